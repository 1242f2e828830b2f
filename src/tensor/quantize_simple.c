/* quantize_simple.c - float32 to the block types with one scale and no codebook: the 32-blocks, the
 * ternary types, FP4.
 *
 * Without importance the arithmetic is that of the gguf Python package, so that both give the same
 * bits for finite input whose block scale is no f32 denormal.  Outside of that nothing is promised
 * but safety. */
#include <string.h>

#include "tensor/codebooks.h"
#include "tensor/dequantize_int.h"
#include "tensor/quantize_int.h"

/* trunc(v) held within [0, max]; NaN gives 0. */
static uint8_t to_level(float v, int max) {
    if (!(v > 0.0f)) return 0;
    return v >= (float)max ? (uint8_t)max : (uint8_t)v;
}

/* What the blocks of a row with importance share. */
typedef struct weighting {
    td_dtype dtype;
    const float *x, *importance; /* [k] or NULL */
    float mean_square;           /* of the row */
} weighting;

static weighting weighting_of(td_dtype dtype, const float *x, const float *importance, size_t k) {
    return (weighting){dtype, x, importance, importance ? td_mean_square(x, k) : 0};
}

static void block_weights(const weighting *of, const float *x, float w[32]) {
    td_quantize_weights(of->dtype, x, of->importance + (x - of->x), of->mean_square, 32, w);
}

/* Levels 0 .. 2 * half - 1 around half; without importance the extreme element gets level 0. */
static float levels_symmetric(const weighting *of, const float *x, int half, uint8_t q[32]) {
    float d = signed_max(x, 32) / -(float)half;
    if (of->importance) {
        float w[32];
        block_weights(of, x, w);
        d = round_half(td_fit_scale(x, w, 32, half));
    }
    const float id = reciprocal(d);
    for (int i = 0; i < 32; i++) q[i] = to_level(x[i] * id + ((float)half + 0.5f), 2 * half - 1);
    return d;
}

/* Levels 0 .. n - 1 from *m up, which without importance is the smallest element. */
static float levels_affine(const weighting *of, const float *x, int n, uint8_t q[32], float *m) {
    float min = x[0], max = x[0];
    for (int i = 1; i < 32; i++) {
        if (x[i] < min) min = x[i];
        if (x[i] > max) max = x[i];
    }
    float d = (max - min) / (float)(n - 1);
    if (of->importance) {
        float w[32];
        block_weights(of, x, w);
        d = round_half(td_fit_scale_min(x, w, 32, n - 1, true, &min));
        min = -round_half(min);
    }
    const float id = reciprocal(d);
    for (int i = 0; i < 32; i++) q[i] = to_level((x[i] - min) * id + 0.5f, n - 1);
    *m = min;
    return d;
}

static void store_nibbles(uint8_t *qs, const uint8_t q[32]) {
    for (int j = 0; j < 16; j++) qs[j] = (uint8_t)((q[j] & 15) | (q[j + 16] & 15) << 4);
}

static void store_fifth_bits(uint8_t *qh, const uint8_t q[32]) {
    memset(qh, 0, 4);
    for (int j = 0; j < 32; j++) qh[j / 8] = (uint8_t)(qh[j / 8] | (q[j] >> 4) << (j % 8));
}

void td_quantize_q4_0(const float *x, const float *importance, uint8_t *b, size_t k) {
    const weighting of = weighting_of(TD_DTYPE_Q4_0, x, importance, k);
    uint8_t q[32];
    for (const float *end = x + k; x < end; x += 32, b += 18) {
        store_u16(b, td_f32_to_f16(levels_symmetric(&of, x, 8, q)));
        store_nibbles(b + 2, q);
    }
}

void td_quantize_q4_1(const float *x, const float *importance, uint8_t *b, size_t k) {
    const weighting of = weighting_of(TD_DTYPE_Q4_1, x, importance, k);
    uint8_t q[32];
    float m;
    for (const float *end = x + k; x < end; x += 32, b += 20) {
        store_u16(b, td_f32_to_f16(levels_affine(&of, x, 16, q, &m)));
        store_u16(b + 2, td_f32_to_f16(m));
        store_nibbles(b + 4, q);
    }
}

void td_quantize_q5_0(const float *x, const float *importance, uint8_t *b, size_t k) {
    const weighting of = weighting_of(TD_DTYPE_Q5_0, x, importance, k);
    uint8_t q[32];
    for (const float *end = x + k; x < end; x += 32, b += 22) {
        store_u16(b, td_f32_to_f16(levels_symmetric(&of, x, 16, q)));
        store_fifth_bits(b + 2, q);
        store_nibbles(b + 6, q);
    }
}

void td_quantize_q5_1(const float *x, const float *importance, uint8_t *b, size_t k) {
    const weighting of = weighting_of(TD_DTYPE_Q5_1, x, importance, k);
    uint8_t q[32];
    float m;
    for (const float *end = x + k; x < end; x += 32, b += 24) {
        store_u16(b, td_f32_to_f16(levels_affine(&of, x, 32, q, &m)));
        store_u16(b + 2, td_f32_to_f16(m));
        store_fifth_bits(b + 4, q);
        store_nibbles(b + 8, q);
    }
}

/* Rounds half away from zero, unlike the quantizer of activations (kernel/), because the package
 * does.  Importance changes nothing at 8 bits. */
void td_quantize_q8_0(const float *x, const float *importance, uint8_t *b, size_t k) {
    (void)importance;
    for (const float *end = x + k; x < end; x += 32, b += 34) {
        const float d = fabsf(signed_max(x, 32)) / 127.0f;
        const float id = reciprocal(d);
        store_u16(b, td_f32_to_f16(d));
        for (int j = 0; j < 32; j++) {
            const float v = roundf(x[j] * id);
            b[2 + j] = (uint8_t)(int8_t)(v > 127.0f ? 127 : v >= -127.0f ? (int)v : -127);
        }
    }
}

/* ---- FP4 ---- */

/* The code nearest to v / d; the first of equals. */
static uint8_t nearest_fp4(float v, float d) {
    uint8_t best = 0;
    float best_error = INFINITY;
    for (uint8_t i = 0; i < 16; i++) {
        const float error = fabsf(d * (float)td_fp4_values[i] - v);
        if (error < best_error) best = i, best_error = error;
    }
    return best;
}

/* n / 2 bytes: byte j holds weight j and weight j + n / 2. */
static void store_fp4(const float *x, float d, uint8_t *qs, int n) {
    for (int j = 0; j < n / 2; j++)
        qs[j] = (uint8_t)(nearest_fp4(x[j], d) | nearest_fp4(x[j + n / 2], d) << 4);
}

/* The scale is the power of two that puts the largest element between 4 and 8; 6 is the last code.
 */
void td_quantize_mxfp4(const float *x, const float *importance, uint8_t *b, size_t k) {
    (void)importance;
    for (const float *end = x + k; x < end; x += 32, b += 17) {
        const float max = fabsf(signed_max(x, 32));
        const float e = max > 0 ? floorf(log2f(max)) - 2 + 127 : 0;
        b[0] = to_level(e, 254);
        store_fp4(x, td_e8m0_half_to_f32(b[0]), b + 1, 32);
    }
}

/* The positive E4M3 number nearest to v, halves rounded up; 448 is the largest. */
static uint8_t to_ue4m3(float v) {
    if (!(v > 0)) return 0;
    if (v >= 448) return 0x7E;
    int exponent;
    frexpf(v, &exponent);
    if (exponent < -5) return to_level(v * 512 + 0.5f, 7); /* denormal: multiples of 2^-9 */
    /* Mantissa and exponent as one number, so that rounding up carries. */
    const int mantissa = (int)(ldexpf(v, 4 - exponent) + 0.5f);
    const int code = (exponent + 5) * 8 + mantissa;
    return (uint8_t)(code > 0x7E ? 0x7E : code);
}

void td_quantize_nvfp4(const float *x, const float *importance, uint8_t *b, size_t k) {
    (void)importance;
    for (const float *end = x + k; x < end; b += 36)
        for (int run = 0; run < 4; run++, x += 16) {
            b[run] = to_ue4m3(fabsf(signed_max(x, 16)) / 6);
            store_fp4(x, td_ue4m3_half_to_f32(b[run]), b + 4 + 8 * run, 16);
        }
}

/* ---- ternary ---- */

/* Digits 0, 1, 2 for -d, 0, d; d is the largest magnitude. */
static float ternary_digits(const float x[256], uint8_t digit[256]) {
    const float d = fabsf(signed_max(x, 256)), id = reciprocal(d);
    for (int i = 0; i < 256; i++) digit[i] = to_level(roundf(x[i] * id) + 1, 2);
    return d;
}

/* Five digits make a number up to 242, stored as ceil(number * 256 / 243), see dequantize_k.c.  A
 * byte of four digits has a zero for the fifth. */
static uint8_t pack_digits(const uint8_t *digit, int stride, int n) {
    unsigned number = 0;
    for (int i = 0; i < 5; i++) number = 3 * number + (i < n ? digit[i * stride] : 0);
    return (uint8_t)((number * 256 + 242) / 243);
}

void td_quantize_tq1_0(const float *x, const float *importance, uint8_t *b, size_t k) {
    (void)importance;
    for (const float *end = x + k; x < end; x += 256, b += 54) {
        uint8_t digit[256];
        store_u16(b + 52, td_f32_to_f16(ternary_digits(x, digit)));
        for (int i = 0; i < 32; i++) b[i] = pack_digits(digit + i, 32, 5);
        for (int i = 0; i < 16; i++) b[32 + i] = pack_digits(digit + 160 + i, 16, 5);
        for (int i = 0; i < 4; i++) b[48 + i] = pack_digits(digit + 240 + i, 4, 4);
    }
}

void td_quantize_tq2_0(const float *x, const float *importance, uint8_t *b, size_t k) {
    (void)importance;
    for (const float *end = x + k; x < end; x += 256, b += 66) {
        uint8_t digit[256];
        store_u16(b + 64, td_f32_to_f16(ternary_digits(x, digit)));
        memset(b, 0, 64);
        for (int i = 0; i < 256; i++) {
            uint8_t *q = b + 32 * (i / 128) + i % 32;
            *q = (uint8_t)(*q | digit[i] << 2 * (i / 32 & 3));
        }
    }
}
