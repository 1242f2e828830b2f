/* npy.c - see npy.h.
 *
 * The header is written twice at the same length: once to take its place, once with the final
 * shape.  Data is little-endian, as are the machines we run on. */
#include "base/npy.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { HEADER_BYTES = 256 }; /* a multiple of 64, as the format asks; 8 dimensions always fit */

static td_status write_header(td_npy *npy, td_err *err) {
    char shape[TD_NPY_MAX_DIMS * 24] = "";
    size_t n = 0;
    for (int i = 0; i < npy->n_dims; i++)
        n += (size_t)snprintf(shape + n, sizeof shape - n, "%lld,%s",
                              npy->shape[i] < 0 ? 0LL : (long long)npy->shape[i],
                              i + 1 < npy->n_dims ? " " : "");
    char header[HEADER_BYTES];
    memset(header, ' ', sizeof header);
    memcpy(header, "\x93NUMPY\x01\x00", 8);
    header[8] = (char)((HEADER_BYTES - 10) & 0xff);
    header[9] = (char)((HEADER_BYTES - 10) >> 8);
    const int w = snprintf(header + 10, sizeof header - 10,
                           "{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }", shape);
    TD_ASSERT(w > 0 && w < HEADER_BYTES - 11);
    header[10 + w] = ' ';
    header[HEADER_BYTES - 1] = '\n';
    return td_outfile_write(&npy->file, header, sizeof header, err);
}

/* Elements of one index of the first dimension; all of them if there is none. */
static td_status row_elems(const td_npy *npy, uint64_t *out, td_err *err) {
    *out = 1;
    for (int i = 1; i < npy->n_dims; i++)
        if (__builtin_mul_overflow(*out, (uint64_t)npy->shape[i], out))
            return td_fail(err, TD_ERR_ARGUMENT, "the shape of '%s' overflows", npy->file.path);
    return TD_OK;
}

td_status td_npy_open(td_npy *npy, const char *path, const int64_t *shape, int n_dims,
                      td_err *err) {
    *npy = (td_npy){.n_dims = n_dims};
    if (n_dims < 0 || n_dims > TD_NPY_MAX_DIMS)
        return td_fail(err, TD_ERR_ARGUMENT, "'%s': %d dimensions, wanted 0 to %d", path, n_dims,
                       TD_NPY_MAX_DIMS);
    for (int i = 0; i < n_dims; i++) {
        if (shape[i] < (i == 0 ? -1 : 0))
            return td_fail(err, TD_ERR_ARGUMENT, "'%s': dimension %d is %lld, wanted 0 or more",
                           path, i, (long long)shape[i]);
        npy->shape[i] = shape[i];
    }
    TD_TRY(td_outfile_open(&npy->file, path, err));
    const td_status status = write_header(npy, err);
    if (status != TD_OK) td_npy_abort(npy);
    return status;
}

td_status td_npy_write(td_npy *npy, const float *data, size_t n, td_err *err) {
    TD_TRY(td_outfile_write(&npy->file, data, n * sizeof *data, err));
    npy->n_written += n;
    return TD_OK;
}

/* Settles shape[0] and holds the count against the shape. */
static td_status settle_shape(td_npy *npy, td_err *err) {
    uint64_t row, wanted;
    TD_TRY(row_elems(npy, &row, err));
    if (npy->n_dims > 0 && npy->shape[0] < 0)
        npy->shape[0] = row ? (int64_t)(npy->n_written / row) : 0;
    if (__builtin_mul_overflow(row, npy->n_dims > 0 ? (uint64_t)npy->shape[0] : 1, &wanted) ||
        wanted != npy->n_written)
        return td_fail(err, TD_ERR_ARGUMENT, "'%s': %llu elements written, its shape wants %llu",
                       npy->file.path, (unsigned long long)npy->n_written,
                       (unsigned long long)wanted);
    return TD_OK;
}

td_status td_npy_close(td_npy *npy, td_err *err) {
    const bool patch = npy->n_dims > 0 && npy->shape[0] < 0;
    td_status status = settle_shape(npy, err);
    if (status == TD_OK && patch) {
        if (fseek(npy->file.stream, 0, SEEK_SET) != 0)
            status = td_fail_errno(err, errno, "cannot go back in '%s'", npy->file.path);
        else
            status = write_header(npy, err);
    }
    if (status == TD_OK)
        status = td_outfile_commit(&npy->file, err);
    else
        td_outfile_abort(&npy->file);
    *npy = (td_npy){0};
    return status;
}

void td_npy_abort(td_npy *npy) {
    td_outfile_abort(&npy->file);
    *npy = (td_npy){0};
}

td_status td_npy_save(const char *path, const float *data, const int64_t *shape, int n_dims,
                      td_err *err) {
    uint64_t n = 1;
    for (int i = 0; i < n_dims; i++)
        if (shape[i] < 0 || __builtin_mul_overflow(n, (uint64_t)shape[i], &n))
            return td_fail(err, TD_ERR_ARGUMENT, "'%s': dimension %d is %lld, wanted 0 or more",
                           path, i, (long long)shape[i]);
    td_npy npy;
    TD_TRY(td_npy_open(&npy, path, shape, n_dims, err));
    const td_status status = td_npy_write(&npy, data, (size_t)n, err);
    if (status == TD_OK) return td_npy_close(&npy, err);
    td_npy_abort(&npy);
    return status;
}
