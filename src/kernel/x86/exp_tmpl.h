/* exp_tmpl.h - td_exp of ref/exp.h on V_LANES lanes, operation for operation. */
#include "kernel/ref/exp.h"

TD_INLINE vf vf_exp(vf x) {
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
    p = vf_fma(p, r, vf_set1(1.0f));
    const vi scale = vi_sll(vi_add(vi_bits(shifted), vi_set1_32(127)), 23);
    return vf_zero_below(vf_mul(p, vf_bits(scale)), x, TD_EXP_MIN);
}
