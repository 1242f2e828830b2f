/* dot_vnni.h - the dot steps of the integer products by vpdpbusd and vpdpwssd.
 *
 * Both add to 32-bit lanes without saturating, so every sum is exact. */
#ifndef TD_KERNEL_X86_DOT_VNNI_H
#define TD_KERNEL_X86_DOT_VNNI_H

#include "kernel/x86/vec_avx512.h"

/* Signed weights enter as w + 128; the caller's start value takes 128 * sum(a) off again. */
enum { S8_OFFSET = 128 };
TD_INLINE vi s8_weights(vi w) { return _mm512_xor_si512(w, _mm512_set1_epi8(-128)); }

/* Four activations, or two int16, in every lane. */
TD_INLINE vi bcast4(const void *a) {
    int32_t x;
    memcpy(&x, a, 4);
    return _mm512_set1_epi32(x);
}

/* The smallest step: sum + 4 products of unsigned weights with activations, per lane. */
TD_INLINE vi dot_step(vi sum, vi u, vi a) { return _mm512_dpbusd_epi32(sum, u, a); }

/* start + the dot of 32 unsigned weights (u[0..7], each four along k) with 32 activations, per
 * lane.  max_w, the largest weight, is for levels that must mind saturation. */
TD_INLINE vi dot32_u(vi start, const vi u[8], const int8_t *a, int max_w) {
    (void)max_w;
    TD_UNROLL for (int i = 0; i < 8; i++) start = dot_step(start, u[i], bcast4(a + 4 * i));
    return start;
}

/* The same for 16. */
TD_INLINE vi dot16_u(vi start, const vi u[4], const int8_t *a, int max_w) {
    (void)max_w;
    TD_UNROLL for (int i = 0; i < 4; i++) start = dot_step(start, u[i], bcast4(a + 4 * i));
    return start;
}

/* dot32_u for weights that went through s8_weights. */
TD_INLINE vi dot32_s8(vi start, const vi w[8], const int8_t *a) {
    return dot32_u(start, w, a, 255);
}

/* A sub-block's scale (one int32 per lane) as dot_scaled wants it. */
TD_INLINE vi dot_scale(vi scale) { return scale; }

/* sum + scale * (dot of 4 * n_word unsigned weights with as many activations). */
TD_INLINE vi dot_scaled(vi sum, const vi *u, const int8_t *a, int n_word, int max_w, vi scale) {
    (void)max_w;
    vi dot = vi_zero();
    TD_UNROLL for (int i = 0; i < n_word; i++) dot = dot_step(dot, u[i], bcast4(a + 4 * i));
    return vi_add(sum, vi_mul(dot, scale));
}

/* The same for weights that went through s8_weights, too large by 128. */
TD_INLINE vi dot_scaled_s8(vi sum, const vi *w, const int8_t *a, int n_word, vi scale) {
    return dot_scaled(sum, w, a, n_word, 255, scale);
}

/* sum + w0 * a0 + w1 * a1, on pairs of int16. */
TD_INLINE vi dot_pair(vi sum, vi w, vi a) { return _mm512_dpwssd_epi32(sum, w, a); }

#endif
