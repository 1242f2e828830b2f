/* quantize_int.h - what the quantize_*.c files share: stores of little-endian words, fits of
 * scales, and one function per type for the dispatch in quantize.c.
 *
 * A quantizer makes the error sum w (x - y)^2 small, y being what the blocks stand for.  The
 * weights w come from x and from the importance of the columns; which ones, td_quantize_weights()
 * says. */
#ifndef TD_TENSOR_QUANTIZE_INT_H
#define TD_TENSOR_QUANTIZE_INT_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tensor/quantize.h"

static inline void store_u16(uint8_t *p, uint16_t v) {
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static inline void store_u32(uint8_t *p, uint32_t v) {
    store_u16(p, (uint16_t)v);
    store_u16(p + 2, (uint16_t)(v >> 16));
}

/* The integer nearest to v within [min, max]; NaN gives min. */
static inline int round_level(float v, int min, int max) {
    const long i = lrintf(v);
    return i < min ? min : i > max ? max : (int)i;
}

/* The f16 nearest to v that is finite, as a float. */
static inline float round_half(float v) {
    const float limit = 65504.0f;
    return td_f16_to_f32(td_f32_to_f16(v > limit ? limit : v < -limit ? -limit : v));
}

static inline float reciprocal(float d) { return d == 0.0f ? 0.0f : 1.0f / d; }

/* The element of largest magnitude, with its sign; the first of equals. */
static inline float signed_max(const float *x, int n) {
    float max = x[0];
    for (int i = 1; i < n; i++)
        if (fabsf(x[i]) > fabsf(max)) max = x[i];
    return max;
}

/* ---- quantize_fit.c ---- */

/* w[n] for the n weights of a block of a type: without importance (NULL) from x alone.
 * `mean_square` of x is taken over the span that the type wants, td_quantize_mean_span(). */
void td_quantize_weights(td_dtype dtype, const float *x, const float *importance, float mean_square,
                         int n, float *w);

/* The mean of the squares of x[n]. */
float td_mean_square(const float *x, size_t n);

/* d so that x ~ d q, q in [-half, half - 1]; of either sign. 0 if x is all 0. */
float td_fit_scale(const float *x, const float *w, int n, int half);

/* d >= 0 and *m so that x ~ d q - m, q in [0, max].  Unless m_any_sign, *m >= 0. */
float td_fit_scale_min(const float *x, const float *w, int n, int max, bool m_any_sign, float *m);

/* d so that x ~ d v, v one of td_iq4_values. */
float td_fit_iq4(const float *x, const float *w, int n);

/* The index of the value of td_iq4_values nearest to v. */
int td_nearest_iq4(float v);

/* ---- the types: the blocks of x[k] at dst; importance is [k] or NULL ---- */
typedef void td_quantize_fn(const float *x, const float *importance, uint8_t *dst, size_t k);

/* quantize_simple.c */
td_quantize_fn td_quantize_q4_0, td_quantize_q4_1, td_quantize_q5_0, td_quantize_q5_1,
    td_quantize_q8_0, td_quantize_mxfp4, td_quantize_nvfp4, td_quantize_tq1_0, td_quantize_tq2_0;
/* quantize_k.c */
td_quantize_fn td_quantize_q2_k, td_quantize_q3_k, td_quantize_q4_k, td_quantize_q5_k,
    td_quantize_q6_k;
/* quantize_iq.c */
td_quantize_fn td_quantize_iq1_s, td_quantize_iq1_m, td_quantize_iq2_xxs, td_quantize_iq2_xs,
    td_quantize_iq2_s, td_quantize_iq3_xxs, td_quantize_iq3_s, td_quantize_iq4_nl,
    td_quantize_iq4_xs;

#endif
