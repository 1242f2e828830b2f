/* quantize_k.c - float32 to the K types: blocks of 256 weights whose groups have integer scales.
 *
 * First each group gets the scale that suits it alone (quantize_fit.c), and the largest decides the
 * block's.  Then they take turns: each group chooses among the integers next to its scale with
 * the levels that go with each, and the block's scale is fitted to all levels at once. */
#include <string.h>

#include "tensor/quantize_int.h"

enum { N_TURN = 2 };

/* ---- d scale q: Q3_K, Q6_K ---- */

/* What tells the types apart: q in [-half, half - 1], scale in [-scale_half, scale_half - 1].  All
 * have 16 groups of 16. */
typedef struct symmetric_type {
    td_dtype dtype;
    int half, scale_half;
} symmetric_type;

typedef struct symmetric_block {
    const symmetric_type *type;
    const float *x;
    float w[256];
    float d;
    int scale[16];
    int8_t q[256];
} symmetric_block;

static float symmetric_error(const symmetric_block *b, int group, int scale, int8_t q[16]) {
    const float *x = b->x + 16 * group, *w = b->w + 16 * group;
    const float d = b->d * (float)scale, id = reciprocal(d);
    float error = 0;
    for (int i = 0; i < 16; i++) {
        q[i] = (int8_t)round_level(x[i] * id, -b->type->half, b->type->half - 1);
        const float e = x[i] - d * (float)q[i];
        error += w[i] * e * e;
    }
    return error;
}

/* The scale at `around` or next to it, and its levels. */
static void choose_symmetric(symmetric_block *b, int group, int around) {
    float best = INFINITY;
    for (int scale = around - 1; scale <= around + 1; scale++) {
        int8_t q[16];
        if (scale < -b->type->scale_half || scale >= b->type->scale_half) continue;
        const float error = symmetric_error(b, group, scale, q);
        if (!(error < best) && best < INFINITY) continue;
        best = error;
        b->scale[group] = scale;
        memcpy(b->q + 16 * group, q, sizeof q);
    }
}

static float refit_symmetric(const symmetric_block *b) {
    float wxq = 0, wqq = 0;
    for (int i = 0; i < 256; i++) {
        const float q = (float)(b->scale[i / 16] * b->q[i]);
        wxq += b->w[i] * b->x[i] * q;
        wqq += b->w[i] * q * q;
    }
    return wqq > 0 ? round_half(wxq / wqq) : b->d;
}

static void fit_symmetric(symmetric_block *b, const symmetric_type *type, const float *x,
                          const float *importance) {
    b->type = type;
    b->x = x;
    td_quantize_weights(type->dtype, x, importance, td_mean_square(x, 256), 256, b->w);
    float scale[16];
    for (int g = 0; g < 16; g++) scale[g] = td_fit_scale(x + 16 * g, b->w + 16 * g, 16, type->half);
    b->d = round_half(signed_max(scale, 16) / -(float)type->scale_half);
    const float id = reciprocal(b->d);
    for (int g = 0; g < 16; g++)
        choose_symmetric(b, g, round_level(scale[g] * id, -type->scale_half, type->scale_half - 1));
    for (int turn = 0; turn < N_TURN; turn++) {
        b->d = refit_symmetric(b);
        for (int g = 0; g < 16; g++) choose_symmetric(b, g, b->scale[g]);
    }
}

/* Bits go where dequantize_k.c says. */
static void store_q3_k(const symmetric_block *b, uint8_t *dst) {
    memset(dst, 0, 108);
    for (int i = 0; i < 256; i++) {
        const int q = b->q[i] + 4, run = i / 32, l = i % 32;
        dst[l] = (uint8_t)(dst[l] | (q >> 2) << run);
        uint8_t *low = dst + 32 + 32 * (run / 4) + l;
        *low = (uint8_t)(*low | (q & 3) << 2 * (run & 3));
    }
    for (int i = 0; i < 16; i++) {
        const int scale = b->scale[i] + 32;
        uint8_t *low = dst + 96 + (i & 7), *high = dst + 104 + (i & 3);
        *low = (uint8_t)(*low | (scale & 15) << 4 * (i / 8));
        *high = (uint8_t)(*high | (scale >> 4) << 2 * (i / 4));
    }
    store_u16(dst + 108, td_f32_to_f16(b->d));
}

void td_quantize_q3_k(const float *x, const float *importance, uint8_t *dst, size_t k) {
    static const symmetric_type type = {TD_DTYPE_Q3_K, 4, 32};
    for (size_t i = 0; i < k; i += 256, dst += 110) {
        symmetric_block b;
        fit_symmetric(&b, &type, x + i, importance ? importance + i : NULL);
        store_q3_k(&b, dst);
    }
}

static void store_q6_k(const symmetric_block *b, uint8_t *dst) {
    memset(dst, 0, 192);
    for (int i = 0; i < 256; i++) {
        const int q = b->q[i] + 32, half = i / 128, run = i / 32 & 3, l = i % 32;
        uint8_t *low = dst + 64 * half + 32 * (run & 1) + l, *high = dst + 128 + 32 * half + l;
        *low = (uint8_t)(*low | (q & 15) << 4 * (run / 2));
        *high = (uint8_t)(*high | (q >> 4) << 2 * run);
    }
    for (int g = 0; g < 16; g++) dst[192 + g] = (uint8_t)(int8_t)b->scale[g];
    store_u16(dst + 208, td_f32_to_f16(b->d));
}

void td_quantize_q6_k(const float *x, const float *importance, uint8_t *dst, size_t k) {
    static const symmetric_type type = {TD_DTYPE_Q6_K, 32, 128};
    for (size_t i = 0; i < k; i += 256, dst += 210) {
        symmetric_block b;
        fit_symmetric(&b, &type, x + i, importance ? importance + i : NULL);
        store_q6_k(&b, dst);
    }
}

/* ---- d scale q - dmin min: Q2_K, Q4_K, Q5_K ---- */

typedef struct affine_type {
    td_dtype dtype;
    int n;         /* weights of a group */
    int max;       /* of q */
    int scale_max; /* of scale and min */
} affine_type;

typedef struct affine_block {
    const affine_type *type;
    const float *x;
    float w[256];
    float d, dmin;
    uint8_t scale[16], min[16];
    uint8_t q[256];
} affine_block;

static float affine_error(const affine_block *b, int group, int scale, int min, uint8_t q[32]) {
    const int n = b->type->n;
    const float *x = b->x + n * group, *w = b->w + n * group;
    const float d = b->d * (float)scale, m = b->dmin * (float)min, id = reciprocal(d);
    float error = 0;
    for (int i = 0; i < n; i++) {
        q[i] = (uint8_t)round_level((x[i] + m) * id, 0, b->type->max);
        const float e = x[i] - (d * (float)q[i] - m);
        error += w[i] * e * e;
    }
    return error;
}

/* The scale and min at those given or next to them, and their levels. */
static void choose_affine(affine_block *b, int group, int scale0, int min0) {
    float best = INFINITY;
    for (int i = 0; i < 9; i++) {
        uint8_t q[32];
        const int scale = scale0 + i / 3 - 1, min = min0 + i % 3 - 1, max = b->type->scale_max;
        if (scale < 0 || scale > max || min < 0 || min > max) continue;
        const float error = affine_error(b, group, scale, min, q);
        if (!(error < best) && best < INFINITY) continue;
        best = error;
        b->scale[group] = (uint8_t)scale;
        b->min[group] = (uint8_t)min;
        memcpy(b->q + b->type->n * group, q, (size_t)b->type->n);
    }
}

/* Both scales at once; each alone where the two say the same. */
static void refit_affine(affine_block *b) {
    double aa = 0, ab = 0, bb = 0, xa = 0, xb = 0;
    for (int i = 0; i < 256; i++) {
        const int g = i / b->type->n;
        const double w = (double)b->w[i], x = (double)b->x[i];
        const double a = b->scale[g] * b->q[i], m = -b->min[g];
        aa += w * a * a;
        ab += w * a * m;
        bb += w * m * m;
        xa += w * x * a;
        xb += w * x * m;
    }
    const double det = aa * bb - ab * ab;
    if (det > 1e-9 * aa * bb) {
        const double d = (xa * bb - xb * ab) / det, dmin = (xb * aa - xa * ab) / det;
        if (d > 0 && dmin >= 0) {
            b->d = round_half((float)d);
            b->dmin = round_half((float)dmin);
        }
    } else if (bb <= 0 && aa > 0 && xa > 0) {
        b->d = round_half((float)(xa / aa));
    }
}

static void fit_affine(affine_block *b, const affine_type *type, const float *x,
                       const float *importance) {
    b->type = type;
    b->x = x;
    td_quantize_weights(type->dtype, x, importance, td_mean_square(x, 256), 256, b->w);
    const int n = type->n, n_group = 256 / n;
    float scale[16], min[16], max_scale = 0, max_min = 0;
    for (int g = 0; g < n_group; g++) {
        scale[g] = td_fit_scale_min(x + n * g, b->w + n * g, n, type->max, false, &min[g]);
        max_scale = scale[g] > max_scale ? scale[g] : max_scale;
        max_min = min[g] > max_min ? min[g] : max_min;
    }
    b->d = round_half(max_scale / (float)type->scale_max);
    b->dmin = round_half(max_min / (float)type->scale_max);
    const float id = reciprocal(b->d), idmin = reciprocal(b->dmin);
    for (int g = 0; g < n_group; g++)
        choose_affine(b, g, round_level(scale[g] * id, 0, type->scale_max),
                      round_level(min[g] * idmin, 0, type->scale_max));
    for (int turn = 0; turn < N_TURN; turn++) {
        refit_affine(b);
        for (int g = 0; g < n_group; g++) choose_affine(b, g, b->scale[g], b->min[g]);
    }
}

void td_quantize_q2_k(const float *x, const float *importance, uint8_t *dst, size_t k) {
    static const affine_type type = {TD_DTYPE_Q2_K, 16, 3, 15};
    for (size_t i = 0; i < k; i += 256, dst += 84) {
        affine_block b;
        fit_affine(&b, &type, x + i, importance ? importance + i : NULL);
        for (int g = 0; g < 16; g++) dst[g] = (uint8_t)(b.scale[g] | b.min[g] << 4);
        memset(dst + 16, 0, 64);
        for (int j = 0; j < 256; j++) {
            uint8_t *q = dst + 16 + 32 * (j / 128) + j % 32;
            *q = (uint8_t)(*q | b.q[j] << 2 * (j / 32 & 3));
        }
        store_u16(dst + 80, td_f32_to_f16(b.d));
        store_u16(dst + 82, td_f32_to_f16(b.dmin));
    }
}

/* The other way round than td_k_scale_min(). */
static void store_scale_min(const affine_block *b, uint8_t dst[12]) {
    for (int i = 0; i < 4; i++) {
        dst[i] = (uint8_t)(b->scale[i] | (b->scale[i + 4] >> 4) << 6);
        dst[i + 4] = (uint8_t)(b->min[i] | (b->min[i + 4] >> 4) << 6);
        dst[i + 8] = (uint8_t)((b->scale[i + 4] & 15) | (b->min[i + 4] & 15) << 4);
    }
}

/* qh is NULL for Q4_K. */
static void store_k45(const affine_block *b, uint8_t *dst, uint8_t *qh, uint8_t *qs) {
    store_u16(dst, td_f32_to_f16(b->d));
    store_u16(dst + 2, td_f32_to_f16(b->dmin));
    store_scale_min(b, dst + 4);
    memset(qs, 0, 128);
    if (qh) memset(qh, 0, 32);
    for (int i = 0; i < 256; i++) {
        const int g = i / 32, l = i % 32;
        uint8_t *q = qs + 32 * (g / 2) + l;
        *q = (uint8_t)(*q | (b->q[i] & 15) << 4 * (g & 1));
        if (qh) qh[l] = (uint8_t)(qh[l] | (b->q[i] >> 4) << g);
    }
}

void td_quantize_q4_k(const float *x, const float *importance, uint8_t *dst, size_t k) {
    static const affine_type type = {TD_DTYPE_Q4_K, 32, 15, 63};
    for (size_t i = 0; i < k; i += 256, dst += 144) {
        affine_block b;
        fit_affine(&b, &type, x + i, importance ? importance + i : NULL);
        store_k45(&b, dst, NULL, dst + 16);
    }
}

void td_quantize_q5_k(const float *x, const float *importance, uint8_t *dst, size_t k) {
    static const affine_type type = {TD_DTYPE_Q5_K, 32, 31, 63};
    for (size_t i = 0; i < k; i += 256, dst += 176) {
        affine_block b;
        fit_affine(&b, &type, x + i, importance ? importance + i : NULL);
        store_k45(&b, dst, dst + 16, dst + 48);
    }
}
