/* tensor.h - a named array in a checkpoint: shape, type and borrowed bytes. */
#ifndef TD_TENSOR_TENSOR_H
#define TD_TENSOR_TENSOR_H

#include <stddef.h>
#include <stdint.h>

#include "tensor/dtype.h"

enum { TD_MAX_DIMS = 4 };

typedef struct td_tensor {
    const char *name; /* borrowed from the checkpoint */
    td_dtype dtype;
    int n_dims; /* 1 to 4 */
    int64_t
        ne[TD_MAX_DIMS]; /* ne[0] varies fastest: a linear layer is {in, out}; unused ones are 1 */
    const uint8_t *data; /* borrowed from the file map; may be unaligned */
    size_t n_bytes;
    int i_file;    /* which file of a split checkpoint */
    size_t offset; /* of data in that file */
} td_tensor;

/* ne[0] * ne[1] * ...; checked at open, cannot overflow. */
static inline int64_t td_tensor_elems(const td_tensor *t) {
    return t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3];
}

/* Rows of ne[0] elements. */
static inline int64_t td_tensor_rows(const td_tensor *t) { return t->ne[1] * t->ne[2] * t->ne[3]; }

#endif
