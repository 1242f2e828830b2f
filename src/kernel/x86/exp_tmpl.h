/* exp_tmpl.h - td_exp and td_tanh of ref/exp.h on V_LANES lanes, operation for operation. */
#include "kernel/ref/exp.h"

typedef struct vf_exp_parts {
    vf p, r, scale;
} vf_exp_parts;

TD_INLINE vf_exp_parts vf_exp_split(vf x) {
    const vf xc = vf_min(vf_set1(TD_EXP_MAX), x); /* NaN stays */
    const vf shifted = vf_fma(xc, vf_set1(TD_EXP_LOG2E), vf_set1(TD_EXP_ROUND));
    const vf n = vf_sub(shifted, vf_set1(TD_EXP_ROUND));
    vf r = vf_fma(n, vf_set1(-TD_EXP_LN2_HI), xc);
    r = vf_fma(n, vf_set1(-TD_EXP_LN2_LO), r);
    vf p = vf_fma(vf_set1(TD_EXP_C7), r, vf_set1(TD_EXP_C6));
    p = vf_fma(p, r, vf_set1(TD_EXP_C5));
    p = vf_fma(p, r, vf_set1(TD_EXP_C4));
    p = vf_fma(p, r, vf_set1(TD_EXP_C3));
    p = vf_fma(p, r, vf_set1(TD_EXP_C2));
    p = vf_fma(p, r, vf_set1(1.0f));
    const vi scale = vi_sll(vi_add(vi_bits(shifted), vi_set1_32(127)), 23);
    return (vf_exp_parts){p, r, vf_bits(scale)};
}

TD_INLINE vf vf_exp(vf x) {
    const vf_exp_parts e = vf_exp_split(x);
    return vf_zero_below(vf_mul(vf_fma(e.p, e.r, vf_set1(1.0f)), e.scale), x, TD_EXP_MIN);
}

TD_INLINE vf vf_tanh(vf x) {
    const vf_exp_parts e = vf_exp_split(vf_mul(vf_set1(2.0f), vf_abs(x)));
    const vf less_one = vf_fma(vf_mul(e.p, e.r), e.scale, vf_sub(e.scale, vf_set1(1.0f)));
    const vf t = vf_div(less_one, vf_add(less_one, vf_set1(2.0f)));
    const vi sign = vi_and(vi_bits(x), vi_set1_32(INT32_MIN));
    return vf_bits(vi_or(vi_bits(vf_abs(t)), sign));
}
