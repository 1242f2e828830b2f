/* quantize.c - float32 to the simple block types.
 *
 * The arithmetic is that of the gguf Python package, so that both give the same bits for finite
 * input whose block scale is no f32 denormal.  Outside of that nothing is promised but safety. */
#include "tensor/quantize.h"

#include <math.h>
#include <string.h>

static void store_u16(uint8_t *p, uint16_t v) {
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

/* trunc(v) held within [0, max]; NaN gives 0. */
static uint8_t to_level(float v, int max) {
    if (!(v > 0.0f)) return 0;
    return v >= (float)max ? (uint8_t)max : (uint8_t)v;
}

static float reciprocal(float d) { return d == 0.0f ? 0.0f : 1.0f / d; }

/* The element of largest magnitude, with its sign; the first of equals. */
static float signed_max(const float *x, int n) {
    float max = x[0];
    for (int i = 1; i < n; i++)
        if (fabsf(x[i]) > fabsf(max)) max = x[i];
    return max;
}

/* Levels 0 .. 2 * half - 1 around half; the extreme element gets level 0. */
static float levels_symmetric(const float *x, int half, uint8_t q[32]) {
    const float d = signed_max(x, 32) / -(float)half;
    const float id = reciprocal(d);
    for (int i = 0; i < 32; i++) q[i] = to_level(x[i] * id + ((float)half + 0.5f), 2 * half - 1);
    return d;
}

/* Levels 0 .. n - 1 from the smallest element up. */
static float levels_affine(const float *x, int n, uint8_t q[32], float *m) {
    float min = x[0], max = x[0];
    for (int i = 1; i < 32; i++) {
        if (x[i] < min) min = x[i];
        if (x[i] > max) max = x[i];
    }
    const float d = (max - min) / (float)(n - 1);
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

static void quantize_f16(const float *x, uint8_t *dst, size_t k) {
    for (size_t i = 0; i < k; i++) store_u16(dst + 2 * i, td_f32_to_f16(x[i]));
}

static void quantize_bf16(const float *x, uint8_t *dst, size_t k) {
    for (size_t i = 0; i < k; i++) store_u16(dst + 2 * i, td_f32_to_bf16(x[i]));
}

static void quantize_q4_0(const float *x, uint8_t *b, size_t k) {
    uint8_t q[32];
    for (const float *end = x + k; x < end; x += 32, b += 18) {
        store_u16(b, td_f32_to_f16(levels_symmetric(x, 8, q)));
        store_nibbles(b + 2, q);
    }
}

static void quantize_q4_1(const float *x, uint8_t *b, size_t k) {
    uint8_t q[32];
    float m;
    for (const float *end = x + k; x < end; x += 32, b += 20) {
        store_u16(b, td_f32_to_f16(levels_affine(x, 16, q, &m)));
        store_u16(b + 2, td_f32_to_f16(m));
        store_nibbles(b + 4, q);
    }
}

static void quantize_q5_0(const float *x, uint8_t *b, size_t k) {
    uint8_t q[32];
    for (const float *end = x + k; x < end; x += 32, b += 22) {
        store_u16(b, td_f32_to_f16(levels_symmetric(x, 16, q)));
        store_fifth_bits(b + 2, q);
        store_nibbles(b + 6, q);
    }
}

static void quantize_q5_1(const float *x, uint8_t *b, size_t k) {
    uint8_t q[32];
    float m;
    for (const float *end = x + k; x < end; x += 32, b += 24) {
        store_u16(b, td_f32_to_f16(levels_affine(x, 32, q, &m)));
        store_u16(b + 2, td_f32_to_f16(m));
        store_fifth_bits(b + 4, q);
        store_nibbles(b + 8, q);
    }
}

/* Rounds half away from zero, unlike the quantizer of activations (kernel/), because the package
 * does. */
static void quantize_q8_0(const float *x, uint8_t *b, size_t k) {
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

typedef void quantize_fn(const float *x, uint8_t *dst, size_t k);

static quantize_fn *quantizer(td_dtype dtype) {
    switch ((int)dtype) {
    case TD_DTYPE_F16: return quantize_f16;
    case TD_DTYPE_BF16: return quantize_bf16;
    case TD_DTYPE_Q4_0: return quantize_q4_0;
    case TD_DTYPE_Q4_1: return quantize_q4_1;
    case TD_DTYPE_Q5_0: return quantize_q5_0;
    case TD_DTYPE_Q5_1: return quantize_q5_1;
    case TD_DTYPE_Q8_0: return quantize_q8_0;
    default: return NULL;
    }
}

bool td_dtype_can_quantize(td_dtype dtype) {
    return dtype == TD_DTYPE_F32 || quantizer(dtype) != NULL;
}

td_status td_quantize_row(td_dtype dtype, const float *x, void *dst, size_t k, td_err *err) {
    if (!td_dtype_can_quantize(dtype))
        return td_fail(err, TD_ERR_UNSUPPORTED,
                       "cannot quantize to %s (type %d), only to f32 f16 bf16 q4_0 q4_1 q5_0 q5_1 "
                       "q8_0",
                       td_dtype_name((int)dtype), (int)dtype);
    const td_dtype_info *info = td_dtype_get_info((int)dtype);
    if (k % (size_t)info->block_elems != 0)
        return td_fail(err, TD_ERR_ARGUMENT, "%zu weights to %s, wanted a multiple of %d", k,
                       info->name, info->block_elems);
    if (dtype == TD_DTYPE_F32)
        memcpy(dst, x, k * sizeof *x);
    else
        quantizer(dtype)(x, dst, k);
    return TD_OK;
}
