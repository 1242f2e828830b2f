/* tensor.h - a named array in a checkpoint: shape, type and borrowed bytes.
 *
 * Most tensors are rows of blocks, one after the other.  Two things make others of them, and
 * td_tensor_row() hides both: a view takes some rows of a tensor (q out of a fused qkv), and a
 * source (source.h) says how several arrays of a safetensors file make one weight. */
#ifndef TD_TENSOR_TENSOR_H
#define TD_TENSOR_TENSOR_H

#include <stddef.h>
#include <stdint.h>

#include "tensor/dtype.h"

enum { TD_MAX_DIMS = 4 };

typedef struct td_source td_source;

/* Row r of a view is row first + r / group * stride + r % group of the whole.  group 0: of no view,
 * row r is row r. */
typedef struct td_row_map {
    int64_t first, group, stride;
} td_row_map;

static inline int64_t td_row_map_at(const td_row_map *map, int64_t row) {
    if (map->group == 0) return row;
    return map->first + row / map->group * map->stride + row % map->group;
}

typedef struct td_tensor {
    const char *name; /* borrowed from the checkpoint */
    td_dtype dtype;
    int n_dims; /* 1 to 4 */
    int64_t
        ne[TD_MAX_DIMS]; /* ne[0] varies fastest: a linear layer is {in, out}; unused ones are 1 */
    const uint8_t *data; /* borrowed from the file map; may be unaligned */
    size_t n_bytes;      /* of data in the file; with a source, of all its arrays together */
    int i_file;          /* which file of a split checkpoint */
    size_t offset;       /* of data in that file */
    const td_source *source; /* borrowed from the checkpoint; NULL: data holds rows of blocks */
    td_row_map map;          /* of a view */
} td_tensor;

/* Bytes of a row of blocks; checked at open, cannot overflow. */
size_t td_tensor_row_bytes(const td_tensor *t);

/* Row `row` of ne[0] elements as blocks of t->dtype: a pointer into the file where it lies there as
 * such, else scratch[td_tensor_row_bytes(t)], filled. */
const uint8_t *td_tensor_row(const td_tensor *t, int64_t row, uint8_t *scratch);

/* The first n_row rows that `map` takes from t, a tensor that is no view, all of them inside it. */
td_tensor td_tensor_view(const td_tensor *t, int64_t n_row, td_row_map map);

/* ne[0] * ne[1] * ...; checked at open, cannot overflow. */
static inline int64_t td_tensor_elems(const td_tensor *t) {
    return t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3];
}

/* Rows of ne[0] elements. */
static inline int64_t td_tensor_rows(const td_tensor *t) { return t->ne[1] * t->ne[2] * t->ne[3]; }

#endif
