/* exp.h - the exponential that every level computes, operation for operation.
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

static inline float td_exp(float x) {
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
    p = fmaf(p, r, 1.0f);
    uint32_t bits;
    memcpy(&bits, &shifted, 4);
    bits = (bits + 127u) << 23; /* the low 8 bits of `shifted` are n in two's complement */
    float scale;
    memcpy(&scale, &bits, 4);
    return x < TD_EXP_MIN ? 0.0f : p * scale;
}

#endif
