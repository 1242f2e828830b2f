/* npy.h - writing a float32 array, C order, as a NumPy .npy file of version 1.0.
 *
 * Rows may be written as they come: the first dimension may be unknown at the start (-1) and is
 * patched into the header at the end.  Format: numpy.lib.format. */
#ifndef TD_BASE_NPY_H
#define TD_BASE_NPY_H

#include <stddef.h>
#include <stdint.h>

#include "base/outfile.h"
#include "base/status.h"

enum { TD_NPY_MAX_DIMS = 8 };

/* Memory the caller owns; zeroed is a file not open. */
typedef struct td_npy {
    td_outfile file;
    int64_t shape[TD_NPY_MAX_DIMS]; /* slowest first */
    int n_dims;
    uint64_t n_written; /* elements */
} td_npy;

/* shape[n_dims], 0 to TD_NPY_MAX_DIMS dimensions of 0 or more; shape[0] may be -1. */
td_status td_npy_open(td_npy *npy, const char *path, const int64_t *shape, int n_dims, td_err *err);

/* Appends n elements. */
td_status td_npy_write(td_npy *npy, const float *data, size_t n, td_err *err);

/* Completes the file.  Fails, leaving none, if the elements written do not fill the shape. */
td_status td_npy_close(td_npy *npy, td_err *err);

/* Leaves nothing behind; a file not open is fine. */
void td_npy_abort(td_npy *npy);

/* All at once. */
td_status td_npy_save(const char *path, const float *data, const int64_t *shape, int n_dims,
                      td_err *err);

#endif
