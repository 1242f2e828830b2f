/* source.c - rows of blocks out of what safetensors files keep otherwise.
 *
 * The integer kinds differ only in where the nibble of a weight lies: each has a function that
 * unpacks 32 of a row, and one that puts them together as our blocks want them. */
#include "tensor/source.h"

#include <string.h>

#include "tensor/quantize.h"

enum { RUN = 32 }; /* weights that are unpacked at once, and of which 16 bytes are made */

static uint32_t load_u32(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static uint16_t load_u16(const uint8_t *p) {
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static size_t size_of(td_dtype dtype) { return (size_t)td_dtype_get_info((int)dtype)->block_bytes; }

static float load_scale(const td_source *s, int64_t i) {
    const uint8_t *p = s->scale + (size_t)i * size_of(s->scale_dtype);
    float f;
    if (s->scale_dtype == TD_DTYPE_F16) return td_f16_to_f32(load_u16(p));
    if (s->scale_dtype == TD_DTYPE_BF16) return td_bf16_to_f32(load_u16(p));
    memcpy(&f, p, sizeof f);
    return f;
}

static void read_transposed(const td_source *s, td_dtype dtype, const uint8_t *data, int64_t row,
                            uint8_t *dst) {
    const size_t size = size_of(dtype);
    for (int64_t i = 0; i < s->k; i++)
        memcpy(dst + (size_t)i * size, data + (size_t)(i * s->n + row) * size, size);
}

/* ---- columns ---- */

td_dtype td_source_columns_dtype(const td_tensor *of) {
    const td_source *s = of->source;
    const bool one_scale = s && s->kind == TD_SOURCE_F8 && s->scale_rows == 128 &&
                           of->map.first % 128 == 0 &&
                           (of->map.group == 0 || of->map.group >= of->ne[1]);
    return one_scale ? TD_DTYPE_F8_E4M3 : TD_DTYPE_F32;
}

/* Blocks down the column: 128 rows of the other tensor share its scale. */
static void read_f8_column(const td_tensor *of, int64_t column, int64_t k, uint8_t *dst) {
    const td_source *s = of->source;
    const int64_t n_scale = (s->k + s->scale_cols - 1) / s->scale_cols;
    for (int64_t at = 0; at < k; at += 128) {
        const int64_t first = of->map.first + at, n = k - at < 128 ? k - at : 128;
        const float d = load_scale(s, first / 128 * n_scale + column / s->scale_cols);
        memcpy(dst, &d, 4);
        for (int64_t i = 0; i < n; i++) dst[4 + i] = of->data[(first + i) * s->k + column];
        dst += 4 + n;
    }
}

/* Of each row, the block with the column in it. */
static void read_column(const td_tensor *of, int64_t column, int64_t k, uint8_t *dst) {
    uint8_t scratch[TD_MAX_COLUMNS_ROW];
    float block[256];
    const td_dtype_info *info = td_dtype_get_info((int)of->dtype);
    const int64_t i_block = column / info->block_elems,
                  left = of->ne[0] - i_block * info->block_elems;
    for (int64_t i = 0; i < k; i++) {
        const uint8_t *row = td_tensor_row(of, i, scratch);
        td_dequantize_row(of->dtype, row + (size_t)i_block * (size_t)info->block_bytes, block,
                          (size_t)(left < info->block_elems ? left : info->block_elems));
        memcpy(dst + i * 4, &block[column - i_block * info->block_elems], 4);
    }
}

/* ---- F8 ---- */

/* Scales that hold for more than 128 columns are repeated. */
static void read_f8(const td_source *s, const uint8_t *data, int64_t row, uint8_t *dst) {
    const int64_t n_col = (s->k + s->scale_cols - 1) / s->scale_cols;
    const int64_t first = row / s->scale_rows * n_col;
    data += row * s->k;
    for (int64_t at = 0; at < s->k; at += 128) {
        const size_t n = (size_t)(s->k - at < 128 ? s->k - at : 128);
        const float d = load_scale(s, first + at / s->scale_cols);
        memcpy(dst, &d, 4);
        memcpy(dst + 4, data + at, n);
        dst += 4 + n;
    }
}

/* ---- the integer kinds ---- */

static void unpack_packed(const td_source *s, const uint8_t *data, int64_t row, int64_t at,
                          uint8_t q[RUN]) {
    const uint8_t *p = data + (size_t)(row * s->k + at) / 2;
    for (int w = 0; w < RUN / 8; w++)
        for (int i = 0; i < 8; i++) q[8 * w + i] = load_u32(p + 4 * w) >> 4 * i & 15;
}

static void unpack_gptq(const td_source *s, const uint8_t *data, int64_t row, int64_t at,
                        uint8_t q[RUN]) {
    for (int w = 0; w < RUN / 8; w++) {
        const uint32_t word = load_u32(data + (size_t)((at / 8 + w) * s->n + row) * 4);
        for (int i = 0; i < 8; i++) q[8 * w + i] = word >> 4 * i & 15;
    }
}

/* Output j of the eight in a word lies in bits 4 * awq_place[j]. */
static const uint8_t awq_place[8] = {0, 4, 1, 5, 2, 6, 3, 7};

static void unpack_awq(const td_source *s, const uint8_t *data, int64_t row, int64_t at,
                       uint8_t q[RUN]) {
    const int shift = 4 * awq_place[row % 8];
    for (int i = 0; i < RUN; i++)
        q[i] = load_u32(data + (size_t)((at + i) * (s->n / 8) + row / 8) * 4) >> shift & 15;
}

static void unpack(const td_source *s, const uint8_t *data, int64_t row, int64_t at,
                   uint8_t q[RUN]) {
    if (s->kind == TD_SOURCE_GPTQ)
        unpack_gptq(s, data, row, at, q);
    else if (s->kind == TD_SOURCE_AWQ)
        unpack_awq(s, data, row, at, q);
    else
        unpack_packed(s, data, row, at, q);
}

/* Byte j holds weight j and, in its high nibble, weight j + 16. */
static void pack_run(uint8_t *dst, const uint8_t q[RUN]) {
    for (int j = 0; j < RUN / 2; j++) dst[j] = (uint8_t)(q[j] | q[j + RUN / 2] << 4);
}

/* Blocks of 32 with the offset 8: INT4, or Q4_0.  Their scales convert exactly. */
static void read_symmetric(const td_source *s, td_dtype dtype, const uint8_t *data, int64_t row,
                           uint8_t *dst) {
    const int64_t first = row * (s->k / s->group);
    for (int64_t at = 0; at < s->k; at += RUN, dst += 2 + RUN / 2) {
        uint8_t q[RUN];
        const float f = load_scale(s, first + at / s->group);
        const uint16_t d = dtype == TD_DTYPE_Q4_0 ? td_f32_to_f16(f) : td_f32_to_bf16(f);
        memcpy(dst, &d, 2);
        unpack(s, data, row, at, q);
        pack_run(dst + 2, q);
    }
}

/* What was stored plus one is kept to its four bits: in GPTQ's first format a zero of 0 is stored
 * as 15. */
static uint8_t load_zero(const td_source *s, int64_t row, int64_t i_group) {
    const uint32_t word = load_u32(s->zero + (size_t)(i_group * (s->n / 8) + row / 8) * 4);
    const int place = s->kind == TD_SOURCE_AWQ ? awq_place[row % 8] : (int)(row % 8);
    return (uint8_t)((word >> 4 * place & 15) + (uint32_t)s->zero_add) & 15;
}

/* Blocks of 32 or 128 with a zero. */
static void read_with_zero(const td_source *s, td_dtype dtype, const uint8_t *data, int64_t row,
                           uint8_t *dst) {
    const int64_t block = dtype == TD_DTYPE_INT4_Z128 ? 128 : 32;
    for (int64_t at = 0; at < s->k; at += RUN, dst += RUN / 2) {
        uint8_t q[RUN];
        if (at % block == 0) {
            const int64_t i_group = at / s->group;
            const uint16_t d = td_f32_to_f16(load_scale(s, i_group * s->n + row));
            memcpy(dst, &d, 2);
            dst[2] = load_zero(s, row, i_group);
            dst += 3;
        }
        unpack(s, data, row, at, q);
        pack_run(dst, q);
    }
}

/* ---- MXFP4 ---- */

static void read_mxfp4(const td_source *s, const uint8_t *data, int64_t row, uint8_t *dst) {
    const uint8_t *p = data + (size_t)(row * s->k) / 2;
    const uint8_t *scale = s->scale + row * (s->k / 32);
    for (int64_t at = 0; at < s->k; at += RUN, p += RUN / 2, dst += 1 + RUN / 2) {
        uint8_t q[RUN];
        for (int i = 0; i < RUN; i++) q[i] = p[i / 2] >> 4 * (i % 2) & 15;
        dst[0] = scale[at / 32];
        pack_run(dst + 1, q);
    }
}

/* ---- all kinds ---- */

void td_source_read_row(const td_source *s, td_dtype dtype, const uint8_t *data, int64_t row,
                        uint8_t *dst) {
    switch (s->kind) {
    case TD_SOURCE_TRANSPOSED: read_transposed(s, dtype, data, row, dst); return;
    case TD_SOURCE_COLUMNS:
        if (dtype == TD_DTYPE_F8_E4M3)
            read_f8_column(s->of, row, s->k, dst);
        else
            read_column(s->of, row, s->k, dst);
        return;
    case TD_SOURCE_F8: read_f8(s, data, row, dst); return;
    case TD_SOURCE_INT4_PACKED: read_symmetric(s, dtype, data, row, dst); return;
    case TD_SOURCE_GPTQ:
    case TD_SOURCE_AWQ: read_with_zero(s, dtype, data, row, dst); return;
    case TD_SOURCE_MXFP4: read_mxfp4(s, data, row, dst); return;
    }
}

int td_source_ranges(const td_source *s, td_dtype dtype, const uint8_t *data,
                     td_source_range out[TD_MAX_SOURCE_RANGES]) {
    const size_t n = (size_t)s->n, k = (size_t)s->k;
    size_t n_scale = 0;
    if (s->kind == TD_SOURCE_COLUMNS && s->of->source)
        return td_source_ranges(s->of->source, s->of->dtype, s->of->data, out);
    if (s->kind == TD_SOURCE_COLUMNS) {
        const size_t before = (size_t)s->of->map.first * td_tensor_row_bytes(s->of);
        out[0] = (td_source_range){s->of->data + before, s->of->n_bytes};
        return 1;
    }
    out[0] = (td_source_range){data, n * k / 2};
    switch (s->kind) {
    case TD_SOURCE_TRANSPOSED: out[0].n = n * k * size_of(dtype); return 1;
    case TD_SOURCE_F8:
        out[0].n = n * k;
        n_scale = (n + (size_t)s->scale_rows - 1) / (size_t)s->scale_rows *
                  ((k + (size_t)s->scale_cols - 1) / (size_t)s->scale_cols);
        break;
    case TD_SOURCE_MXFP4: out[1] = (td_source_range){s->scale, n * k / 32}; return 2;
    default: n_scale = n * (k / (size_t)s->group);
    }
    out[1] = (td_source_range){s->scale, n_scale * size_of(s->scale_dtype)};
    if (!s->zero) return 2;
    out[2] = (td_source_range){s->zero, k / (size_t)s->group * n / 2};
    return 3;
}
