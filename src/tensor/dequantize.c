/* dequantize.c - every readable block type to float32, one plain loop each: here the floats, the
 * simple blocks and the dispatch; dequantize_k.c and dequantize_iq.c have the rest.
 *
 * The products are formed in the order of the gguf Python package, (d * scale) * q and then minus
 * (dmin * min), because the results must be equal bit for bit. */
#include <math.h>
#include <string.h>

#include "tensor/codebooks.h"
#include "tensor/dequantize_int.h"

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

/* The two smallest are denormal. */
float td_e8m0_half_to_f32(uint8_t e) {
    const uint32_t bits = e < 2 ? 0x00200000u << e : (uint32_t)(e - 1) << 23;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* The codes are doubled (td_fp4_values), so both FP4 types halve their scale. */
static void dequantize_mxfp4(const uint8_t *b, float *y, size_t k) {
    for (const float *end = y + k; y < end; y += 32, b += 17) {
        const float d = td_e8m0_half_to_f32(b[0]);
        for (int j = 0; j < 16; j++) {
            y[j] = d * (float)td_fp4_values[b[1 + j] & 15];
            y[j + 16] = d * (float)td_fp4_values[b[1 + j] >> 4];
        }
    }
}

float td_ue4m3_half_to_f32(uint8_t e4m3) {
    const int exponent = e4m3 >> 3 & 15, mantissa = e4m3 & 7;
    if (e4m3 == 0x7F) return 0;
    return exponent ? ldexpf((float)(8 + mantissa), exponent - 11) : ldexpf((float)mantissa, -10);
}

/* Four runs of 16 weights with a scale each: byte j of a run holds weight j and weight j + 8. */
static void dequantize_nvfp4(const uint8_t *b, float *y, size_t k) {
    for (const float *end = y + k; y < end; b += 36)
        for (int run = 0; run < 4; run++, y += 16) {
            const float d = td_ue4m3_half_to_f32(b[run]);
            for (int j = 0; j < 8; j++) {
                const uint8_t q = b[4 + 8 * run + j];
                y[j] = d * (float)td_fp4_values[q & 15];
                y[j + 8] = d * (float)td_fp4_values[q >> 4];
            }
        }
}

float td_e4m3_to_f32(uint8_t b) {
    const int exponent = b >> 3 & 15, mantissa = b & 7;
    if ((b & 0x7F) == 0x7F) return NAN;
    const float f =
        exponent ? ldexpf((float)(8 + mantissa), exponent - 10) : ldexpf((float)mantissa, -9);
    return b & 0x80 ? -f : f;
}

static void dequantize_f8_e4m3(const uint8_t *b, float *y, size_t k) {
    for (size_t left = k; left > 0;) {
        const size_t n = left < 128 ? left : 128;
        float d;
        memcpy(&d, b, sizeof d);
        for (size_t j = 0; j < n; j++) y[j] = td_e4m3_to_f32(b[4 + j]) * d;
        b += 4 + n;
        y += n;
        left -= n;
    }
}

static void dequantize_int4(const uint8_t *b, float *y, size_t k) {
    for (const float *end = y + k; y < end; y += 32, b += 18) {
        const float d = td_bf16_to_f32(load_u16(b));
        for (int j = 0; j < 16; j++) {
            y[j] = d * (float)((b[2 + j] & 15) - 8);
            y[j + 16] = d * (float)((b[2 + j] >> 4) - 8);
        }
    }
}

/* n_run runs of 32 weights share a scale and a zero. */
static void dequantize_int4_z(const uint8_t *b, float *y, size_t k, int n_run) {
    for (const float *end = y + k; y < end; b += 3 + 16 * n_run) {
        const float d = load_f16(b);
        const int z = b[2];
        for (int run = 0; run < n_run; run++, y += 32)
            for (int j = 0; j < 16; j++) {
                const uint8_t q = b[3 + 16 * run + j];
                y[j] = d * (float)((q & 15) - z);
                y[j + 16] = d * (float)((q >> 4) - z);
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
    case TD_DTYPE_Q2_K: td_dequantize_q2_k(src, y, k); return;
    case TD_DTYPE_Q3_K: td_dequantize_q3_k(src, y, k); return;
    case TD_DTYPE_Q4_K: td_dequantize_q4_k(src, y, k); return;
    case TD_DTYPE_Q5_K: td_dequantize_q5_k(src, y, k); return;
    case TD_DTYPE_Q6_K: td_dequantize_q6_k(src, y, k); return;
    case TD_DTYPE_TQ1_0: td_dequantize_tq1_0(src, y, k); return;
    case TD_DTYPE_TQ2_0: td_dequantize_tq2_0(src, y, k); return;
    case TD_DTYPE_IQ1_S: td_dequantize_iq1_s(src, y, k); return;
    case TD_DTYPE_IQ1_M: td_dequantize_iq1_m(src, y, k); return;
    case TD_DTYPE_IQ2_XXS: td_dequantize_iq2_xxs(src, y, k); return;
    case TD_DTYPE_IQ2_XS: td_dequantize_iq2_xs(src, y, k); return;
    case TD_DTYPE_IQ2_S: td_dequantize_iq2_s(src, y, k); return;
    case TD_DTYPE_IQ3_XXS: td_dequantize_iq3_xxs(src, y, k); return;
    case TD_DTYPE_IQ3_S: td_dequantize_iq3_s(src, y, k); return;
    case TD_DTYPE_IQ4_NL: td_dequantize_iq4_nl(src, y, k); return;
    case TD_DTYPE_IQ4_XS: td_dequantize_iq4_xs(src, y, k); return;
    case TD_DTYPE_MXFP4: dequantize_mxfp4(src, y, k); return;
    case TD_DTYPE_NVFP4: dequantize_nvfp4(src, y, k); return;
    case TD_DTYPE_F8_E4M3: dequantize_f8_e4m3(src, y, k); return;
    case TD_DTYPE_INT4: dequantize_int4(src, y, k); return;
    case TD_DTYPE_INT4_Z32: dequantize_int4_z(src, y, k, 1); return;
    case TD_DTYPE_INT4_Z128: dequantize_int4_z(src, y, k, 4); return;
    case TD_N_GGUF_DTYPE:
    case TD_N_DTYPE: break;
    }
    TD_ASSERT(false); /* known by size only: refused where tensors are bound */
}
