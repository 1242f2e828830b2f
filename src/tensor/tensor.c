/* tensor.c - see tensor.h. */
#include "tensor/tensor.h"

#include "tensor/source.h"

size_t td_tensor_row_bytes(const td_tensor *t) {
    size_t n = 0;
    (void)td_dtype_row_bytes(&n, t->dtype, (size_t)t->ne[0], NULL); /* checked at open */
    return n;
}

const uint8_t *td_tensor_row(const td_tensor *t, int64_t row, uint8_t *scratch) {
    row = td_row_map_at(&t->map, row);
    if (!t->source) return t->data + (size_t)row * td_tensor_row_bytes(t);
    td_source_read_row(t->source, t->dtype, t->data, row, scratch);
    return scratch;
}

td_tensor td_tensor_view(const td_tensor *t, int64_t n_row, td_row_map map) {
    td_tensor view = *t;
    view.n_dims = 2;
    view.ne[1] = n_row;
    view.ne[2] = view.ne[3] = 1;
    view.n_bytes = t->n_bytes / (size_t)td_tensor_rows(t) * (size_t)n_row;
    if (t->source || map.group < n_row) {
        view.map = map;
    } else { /* rows that follow each other are a tensor of their own */
        const size_t before = (size_t)map.first * td_tensor_row_bytes(t);
        if (view.data) view.data += before;
        view.offset += before;
    }
    return view;
}
