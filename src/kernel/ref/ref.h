/* ref.h - the reference kernels: short, obviously right, no intrinsics.  They are the
 * specification. */
#ifndef TD_KERNEL_REF_REF_H
#define TD_KERNEL_REF_REF_H

#include "kernel/kernels.h"

td_gemm_fn td_gemm_f32_ref, td_gemm_f16_ref, td_gemm_bf16_ref;
td_gemm_fn td_gemm_q4_0_ref, td_gemm_q4_1_ref, td_gemm_q5_0_ref, td_gemm_q5_1_ref, td_gemm_q8_0_ref;
td_gemm_fn td_gemm_iq4_nl_ref, td_gemm_mxfp4_ref, td_gemm_nvfp4_ref, td_gemm_f8_e4m3_ref;
td_gemm_fn td_gemm_int4_ref, td_gemm_int4_z32_ref, td_gemm_int4_z128_ref;
td_gemm_fn td_gemm_q2_k_ref, td_gemm_q3_k_ref, td_gemm_q4_k_ref, td_gemm_q5_k_ref, td_gemm_q6_k_ref;
td_gemm_fn td_gemm_iq1_s_ref, td_gemm_iq1_m_ref, td_gemm_iq2_xxs_ref, td_gemm_iq2_xs_ref,
    td_gemm_iq2_s_ref, td_gemm_iq3_xxs_ref, td_gemm_iq3_s_ref, td_gemm_iq4_xs_ref;
td_gemm_fn td_gemm_tq1_0_ref, td_gemm_tq2_0_ref;

td_quantize_act_fn td_quantize_act_q8_32_ref, td_quantize_act_q8_256_ref;
td_rms_norm_fn td_rms_norm_ref;
td_layer_norm_fn td_layer_norm_ref;
td_glu_fn td_swiglu_ref, td_geglu_tanh_ref, td_geglu_ref;
td_add_fn td_add_ref;
td_scale_fn td_scale_ref;
td_softcap_fn td_softcap_ref;
td_max_fn td_max_ref;
td_exp_sum_fn td_exp_sum_ref;
td_to_f16_fn td_to_f16_ref;
td_to_blocks_fn td_to_q8_0_ref, td_to_q4_0_ref;
td_attn_score_fn td_attn_score_f32_ref, td_attn_score_f16_ref, td_attn_score_q8_0_ref,
    td_attn_score_q4_0_ref;
td_attn_value_fn td_attn_value_f32_ref, td_attn_value_f16_ref, td_attn_value_q8_0_ref,
    td_attn_value_q4_0_ref;
td_rope_fn td_rope_ref;
td_probe_read_fn td_probe_read_ref;
td_probe_peak_fn td_probe_int8_ref, td_probe_f32_ref;

#endif
