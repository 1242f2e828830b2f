/* quantize_imatrix.h - importance matrices: how much an error of a weight counts, by its column.
 *
 * For each matrix of a model it holds the mean square of the activations that meet each of its
 * columns; of experts, one row for each.  Files: GGUF ("NAME.in_sum2" and "NAME.counts"), and
 * llama.cpp's older binary format. */
#ifndef TD_JOBS_QUANTIZE_IMATRIX_H
#define TD_JOBS_QUANTIZE_IMATRIX_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct td_imatrix td_imatrix;

/* The file is untrusted: counts and lengths are held against its size; values must be finite and
 * not negative, names must not appear twice.  On failure *out is NULL and err names file and entry.
 */
td_status td_imatrix_open(td_imatrix **out, const char *path, td_err *err);
/* The same for the bytes[n] of a file; `name` stands for its path. */
td_status td_imatrix_parse(td_imatrix **out, const void *bytes, size_t n, const char *name,
                           td_err *err);
void td_imatrix_free(td_imatrix *m); /* NULL is fine */

size_t td_imatrix_n_entry(const td_imatrix *m);
int64_t td_imatrix_n_chunk(const td_imatrix *m);     /* that it was made from; 0: unknown */
const char *td_imatrix_dataset(const td_imatrix *m); /* the first one's name; NULL: unknown */
const char *td_imatrix_path(const td_imatrix *m);    /* as opened */

/* The values of a tensor, or NULL with *n 0.  They are in use as long as m is. */
const float *td_imatrix_find(const td_imatrix *m, const char *tensor, size_t *n);

/* Forgets entries: with `keep`, those whose name has none of parts[n] in it; else those that have
 * one. */
void td_imatrix_filter(td_imatrix *m, const char *const *parts, int n, int keep);

#endif
