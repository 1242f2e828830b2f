/* dequantize.c - every readable block type to float32, one plain loop each.
 *
 * The products are formed in the order of the gguf Python package, (d * scale) * q and then minus
 * (dmin * min), because the results must be equal bit for bit. */
#include <string.h>

#include "tensor/quantize.h"

static uint16_t load_u16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }

static uint32_t load_u32(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static float load_f16(const uint8_t *p) { return td_f16_to_f32(load_u16(p)); }

/* Scale i and min i have 6 bits each.  The first four of either lie whole in the low bits of bytes
 * 0-3 and 4-7; the others have a nibble each in bytes 8-11 and their top two bits above the first
 * four. */
void td_k_scale_min(const uint8_t scales[12], uint8_t scale[8], uint8_t min[8]) {
    for (int i = 0; i < 4; i++) {
        scale[i] = scales[i] & 63;
        min[i] = scales[i + 4] & 63;
        scale[i + 4] = (uint8_t)((scales[i + 8] & 15) | (scales[i] >> 6) << 4);
        min[i + 4] = (uint8_t)(scales[i + 8] >> 4 | (scales[i + 4] >> 6) << 4);
    }
}

static void dequantize_f32(const uint8_t *src, float *y, size_t k) {
    memcpy(y, src, k * sizeof *y); /* all our hosts are little-endian */
}

static void dequantize_f16(const uint8_t *src, float *y, size_t k) {
    for (size_t i = 0; i < k; i++) y[i] = load_f16(src + 2 * i);
}

static void dequantize_bf16(const uint8_t *src, float *y, size_t k) {
    for (size_t i = 0; i < k; i++) y[i] = td_bf16_to_f32(load_u16(src + 2 * i));
}

/* In the 32-blocks, the low nibble of byte j is weight j and the high one weight j + 16. */
static void dequantize_q4_0(const uint8_t *b, float *y, size_t k) {
    for (const float *end = y + k; y < end; y += 32, b += 18) {
        const float d = load_f16(b);
        for (int j = 0; j < 16; j++) {
            y[j] = d * (float)((b[2 + j] & 15) - 8);
            y[j + 16] = d * (float)((b[2 + j] >> 4) - 8);
        }
    }
}

static void dequantize_q4_1(const uint8_t *b, float *y, size_t k) {
    for (const float *end = y + k; y < end; y += 32, b += 20) {
        const float d = load_f16(b), m = load_f16(b + 2);
        for (int j = 0; j < 16; j++) {
            y[j] = d * (float)(b[4 + j] & 15) + m;
            y[j + 16] = d * (float)(b[4 + j] >> 4) + m;
        }
    }
}

/* The fifth bit of weight j is bit j of qh. */
static void dequantize_q5_0(const uint8_t *b, float *y, size_t k) {
    for (const float *end = y + k; y < end; y += 32, b += 22) {
        const float d = load_f16(b);
        const uint32_t qh = load_u32(b + 2);
        for (int j = 0; j < 16; j++) {
            const uint32_t lo = (b[6 + j] & 15u) | (qh >> j & 1) << 4;
            const uint32_t hi = (uint32_t)b[6 + j] >> 4 | (qh >> (j + 16) & 1) << 4;
            y[j] = d * (float)((int)lo - 16);
            y[j + 16] = d * (float)((int)hi - 16);
        }
    }
}

static void dequantize_q5_1(const uint8_t *b, float *y, size_t k) {
    for (const float *end = y + k; y < end; y += 32, b += 24) {
        const float d = load_f16(b), m = load_f16(b + 2);
        const uint32_t qh = load_u32(b + 4);
        for (int j = 0; j < 16; j++) {
            const uint32_t lo = (b[8 + j] & 15u) | (qh >> j & 1) << 4;
            const uint32_t hi = (uint32_t)b[8 + j] >> 4 | (qh >> (j + 16) & 1) << 4;
            y[j] = d * (float)lo + m;
            y[j + 16] = d * (float)hi + m;
        }
    }
}

static void dequantize_q8_0(const uint8_t *b, float *y, size_t k) {
    for (const float *end = y + k; y < end; y += 32, b += 34) {
        const float d = load_f16(b);
        for (int j = 0; j < 32; j++) y[j] = d * (float)(int8_t)b[2 + j];
    }
}

/* Q4_K and Q5_K: eight groups of 32 weights.  Byte l of the j-th 32 bytes of qs holds weight l of
 * group 2j (low nibble) and of group 2j + 1 (high nibble); bit g of qh[l] is the fifth bit of
 * weight l of group g.  qh is NULL for Q4_K. */
static void dequantize_k45(const uint8_t *b, const uint8_t *qh, const uint8_t *qs, float *y) {
    const float d = load_f16(b), dmin = load_f16(b + 2);
    uint8_t scale[8], min[8];
    td_k_scale_min(b + 4, scale, min);
    for (int g = 0; g < 8; g++) {
        const float dg = d * (float)scale[g], mg = dmin * (float)min[g];
        const uint8_t *q = qs + 32 * (g / 2);
        const int shift = 4 * (g & 1);
        for (int l = 0; l < 32; l++) {
            const int high = qh ? (qh[l] >> g & 1) << 4 : 0;
            y[32 * g + l] = dg * (float)((q[l] >> shift & 15) | high) - mg;
        }
    }
}

static void dequantize_q4_k(const uint8_t *b, float *y, size_t k) {
    for (const float *end = y + k; y < end; y += 256, b += 144) dequantize_k45(b, NULL, b + 16, y);
}

static void dequantize_q5_k(const uint8_t *b, float *y, size_t k) {
    for (const float *end = y + k; y < end; y += 256, b += 176)
        dequantize_k45(b, b + 16, b + 48, y);
}

/* Two halves of 128 weights, each four runs of 32: run r takes nibble r / 2 of ql[32 * (r & 1) + l]
 * and bits 2r, 2r + 1 of qh[l].  One signed 8-bit scale for every 16 weights. */
static void dequantize_q6_k(const uint8_t *b, float *y, size_t k) {
    for (const float *end = y + k; y < end; y += 256, b += 210) {
        const float d = load_f16(b + 208);
        for (int half = 0; half < 2; half++) {
            const uint8_t *ql = b + 64 * half, *qh = b + 128 + 32 * half;
            const uint8_t *scales = b + 192 + 8 * half;
            for (int r = 0; r < 4; r++) {
                float *out = y + 128 * half + 32 * r;
                for (int l = 0; l < 32; l++) {
                    const int lo = ql[32 * (r & 1) + l] >> 4 * (r / 2) & 15;
                    const int q = lo | (qh[l] >> 2 * r & 3) << 4;
                    const float ds = d * (float)(int8_t)scales[2 * r + l / 16];
                    out[l] = ds * (float)(q - 32);
                }
            }
        }
    }
}

void td_dequantize_row(td_dtype dtype, const void *src, float *y, size_t k) {
    switch (dtype) {
    case TD_DTYPE_F32: dequantize_f32(src, y, k); return;
    case TD_DTYPE_F16: dequantize_f16(src, y, k); return;
    case TD_DTYPE_BF16: dequantize_bf16(src, y, k); return;
    case TD_DTYPE_Q4_0: dequantize_q4_0(src, y, k); return;
    case TD_DTYPE_Q4_1: dequantize_q4_1(src, y, k); return;
    case TD_DTYPE_Q5_0: dequantize_q5_0(src, y, k); return;
    case TD_DTYPE_Q5_1: dequantize_q5_1(src, y, k); return;
    case TD_DTYPE_Q8_0: dequantize_q8_0(src, y, k); return;
    case TD_DTYPE_Q4_K: dequantize_q4_k(src, y, k); return;
    case TD_DTYPE_Q5_K: dequantize_q5_k(src, y, k); return;
    case TD_DTYPE_Q6_K: dequantize_q6_k(src, y, k); return;
    case TD_N_DTYPE: break;
    }
    TD_ASSERT(false); /* known by size only: refused where tensors are bound */
}
