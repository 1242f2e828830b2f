/* exp.h - the exponential and the tanh that every level computes, operation for operation.
 *
 * x is cut to at most 88; below -87 the result is 0.  n = nearest integer to x / ln 2, r = x - n ln
 * 2 in two steps, then the Taylor polynomial of degree 7 by Horner's rule in fma: for |r| <= ln 2 /
 * 2 its remainder is below r^8 / 8! = 5.2e-9, so the result is within 2 ulp.  Scaled by 2^n through
 * the exponent bits. */
#ifndef TD_KERNEL_REF_EXP_H
#define TD_KERNEL_REF_EXP_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define TD_EXP_MAX    88.0f
#define TD_EXP_MIN    (-87.0f)
#define TD_EXP_LOG2E  1.44269502e+00f
#define TD_EXP_ROUND  12582912.0f /* 1.5 * 2^23: adding it rounds to an integer in the low bits */
#define TD_EXP_LN2_HI 6.93145752e-01f /* 15 bits, so n * hi is exact */
#define TD_EXP_LN2_LO 1.42860677e-06f
#define TD_EXP_C7     1.98412701e-04f /* 1 / 7! and so on */
#define TD_EXP_C6     1.38888892e-03f
#define TD_EXP_C5     8.33333377e-03f
#define TD_EXP_C4     4.16666679e-02f
#define TD_EXP_C3     1.66666672e-01f
#define TD_EXP_C2     0.5f

/* gelu_tanh: 2u = g * fma(g * g, C2, C1), C1 = 2 sqrt(2 / pi), C2 = 0.044715 C1 */
#define TD_GELU_C1 1.59576917e+00f
#define TD_GELU_C2 7.13548139e-02f

/* gelu: cdf(-|g|) = t (A1 + A2 t + ... + A5 t^4) e(-g^2 / 2), t = 1 / (1 + P |g|), within 7.5e-8 of
 * the normal distribution's (Abramowitz and Stegun 7.1.26, its a_i halved, its p over sqrt 2).  |g|
 * counts as at most MAX, where the result is 0 in f32, so that infinity times 0 does not happen. */
#define TD_GELU_MAX 30.0f
#define TD_GELU_P   2.31641888e-01f
#define TD_GELU_A1  1.27414796e-01f
#define TD_GELU_A2  (-1.42248368e-01f)
#define TD_GELU_A3  7.10706871e-01f
#define TD_GELU_A4  (-7.26576014e-01f)
#define TD_GELU_A5  5.30702715e-01f

/* e^x = 2^n e^r: scale is 2^n, and p = (e^r - 1) / r. */
typedef struct td_exp_parts {
    float p, r, scale;
} td_exp_parts;

static inline td_exp_parts td_exp_split(float x) {
    const float xc = TD_EXP_MAX < x ? TD_EXP_MAX : x;
    const float shifted = fmaf(xc, TD_EXP_LOG2E, TD_EXP_ROUND);
    const float n = shifted - TD_EXP_ROUND;
    float r = fmaf(n, -TD_EXP_LN2_HI, xc);
    r = fmaf(n, -TD_EXP_LN2_LO, r);
    float p = fmaf(TD_EXP_C7, r, TD_EXP_C6);
    p = fmaf(p, r, TD_EXP_C5);
    p = fmaf(p, r, TD_EXP_C4);
    p = fmaf(p, r, TD_EXP_C3);
    p = fmaf(p, r, TD_EXP_C2);
    p = fmaf(p, r, 1.0f);
    uint32_t bits;
    memcpy(&bits, &shifted, 4);
    bits = (bits + 127u) << 23; /* the low 8 bits of `shifted` are n in two's complement */
    float scale;
    memcpy(&scale, &bits, 4);
    return (td_exp_parts){p, r, scale};
}

static inline float td_exp(float x) {
    const td_exp_parts e = td_exp_split(x);
    return x < TD_EXP_MIN ? 0.0f : fmaf(e.p, e.r, 1.0f) * e.scale;
}

/* tanh x = (e^2|x| - 1) / (e^2|x| + 1) with the sign of x.  e^2|x| - 1 = 2^n (e^r - 1) + (2^n - 1)
 * keeps its relative accuracy down to denormals (n = 0: it is p r).  Relative error below 5 u, u =
 * 2^-24: one for the end of the polynomial and a bit for what stands before, one each for p r, the
 * sum and the quotient.  From 2|x| = 88 on, and long before, it is 1. */
static inline float td_tanh(float x) {
    const td_exp_parts e = td_exp_split(2.0f * fabsf(x));
    const float less_one = fmaf(e.p * e.r, e.scale, e.scale - 1.0f);
    return copysignf(less_one / (less_one + 2.0f), x);
}

#endif
