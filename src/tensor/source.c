/* source.c - rows of blocks out of what safetensors files keep otherwise. */
#include "tensor/source.h"

#include <string.h>

static void read_transposed(const td_source *s, td_dtype dtype, const uint8_t *data, int64_t row,
                            uint8_t *dst) {
    const size_t size = (size_t)td_dtype_get_info((int)dtype)->block_bytes;
    for (int64_t i = 0; i < s->k; i++)
        memcpy(dst + (size_t)i * size, data + (size_t)(i * s->n + row) * size, size);
}

void td_source_read_row(const td_source *s, td_dtype dtype, const uint8_t *data, int64_t row,
                        uint8_t *dst) {
    read_transposed(s, dtype, data, row, dst);
}
