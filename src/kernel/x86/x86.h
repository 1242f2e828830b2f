/* x86.h - the variants of the x86 levels; contracts are those of kernels.h.
 *
 * A level of a slot that is not listed here uses the one below it. */
#ifndef TD_KERNEL_X86_X86_H
#define TD_KERNEL_X86_X86_H

#include "kernel/kernels.h"

/* ---- avx2 ---- */

td_gemm_fn td_gemm_f32_avx2, td_gemm_f16_avx2, td_gemm_bf16_avx2;
td_gemm_fn td_gemm_q4_0_avx2, td_gemm_q4_1_avx2, td_gemm_q5_0_avx2, td_gemm_q5_1_avx2,
    td_gemm_q8_0_avx2;
td_gemm_fn td_gemm_iq4_nl_avx2, td_gemm_mxfp4_avx2, td_gemm_int4_avx2, td_gemm_int4_z32_avx2,
    td_gemm_int4_z128_avx2, td_gemm_nvfp4_avx2, td_gemm_f8_e4m3_avx2;
td_gemm_fn td_gemm_q2_k_avx2, td_gemm_q3_k_avx2, td_gemm_q4_k_avx2, td_gemm_q5_k_avx2,
    td_gemm_q6_k_avx2;
td_gemm_fn td_gemm_iq1_s_avx2, td_gemm_iq1_m_avx2, td_gemm_iq2_xxs_avx2, td_gemm_iq2_xs_avx2,
    td_gemm_iq2_s_avx2, td_gemm_iq3_xxs_avx2, td_gemm_iq3_s_avx2, td_gemm_iq4_xs_avx2;
td_gemm_fn td_gemm_tq1_0_avx2, td_gemm_tq2_0_avx2;
td_quantize_act_fn td_quantize_act_q8_32_avx2, td_quantize_act_q8_256_avx2;
td_rms_norm_fn td_rms_norm_avx2;
td_layer_norm_fn td_layer_norm_avx2;
td_glu_fn td_swiglu_avx2, td_geglu_tanh_avx2, td_geglu_avx2;
td_add_fn td_add_avx2;
td_scale_fn td_scale_avx2;
td_softcap_fn td_softcap_avx2;
td_max_fn td_max_avx2;
td_exp_sum_fn td_exp_sum_avx2;
td_to_f16_fn td_to_f16_avx2;
td_to_blocks_fn td_to_q8_0_avx2, td_to_q4_0_avx2;
td_attn_score_fn td_attn_score_f32_avx2, td_attn_score_f16_avx2, td_attn_score_q8_0_avx2,
    td_attn_score_q4_0_avx2;
td_attn_value_fn td_attn_value_f32_avx2, td_attn_value_f16_avx2, td_attn_value_q8_0_avx2,
    td_attn_value_q4_0_avx2;
td_rope_fn td_rope_avx2;
td_probe_read_fn td_probe_read_avx2;
td_probe_peak_fn td_probe_int8_avx2, td_probe_f32_avx2;

/* ---- avx512 ---- */

td_gemm_fn td_gemm_f32_avx512, td_gemm_f16_avx512, td_gemm_bf16_avx512;
td_gemm_fn td_gemm_q4_0_avx512, td_gemm_q4_1_avx512, td_gemm_q5_0_avx512, td_gemm_q5_1_avx512,
    td_gemm_q8_0_avx512;
td_gemm_fn td_gemm_iq4_nl_avx512, td_gemm_mxfp4_avx512, td_gemm_int4_avx512,
    td_gemm_int4_z32_avx512, td_gemm_int4_z128_avx512, td_gemm_nvfp4_avx512, td_gemm_f8_e4m3_avx512;
td_gemm_fn td_gemm_q2_k_avx512, td_gemm_q3_k_avx512, td_gemm_q4_k_avx512, td_gemm_q5_k_avx512,
    td_gemm_q6_k_avx512;
td_gemm_fn td_gemm_iq1_s_avx512, td_gemm_iq1_m_avx512, td_gemm_iq2_xxs_avx512,
    td_gemm_iq2_xs_avx512, td_gemm_iq2_s_avx512, td_gemm_iq3_xxs_avx512, td_gemm_iq3_s_avx512,
    td_gemm_iq4_xs_avx512;
td_gemm_fn td_gemm_tq1_0_avx512, td_gemm_tq2_0_avx512;
td_quantize_act_fn td_quantize_act_q8_32_avx512, td_quantize_act_q8_256_avx512;
td_rms_norm_fn td_rms_norm_avx512;
td_layer_norm_fn td_layer_norm_avx512;
td_glu_fn td_swiglu_avx512, td_geglu_tanh_avx512, td_geglu_avx512;
td_add_fn td_add_avx512;
td_scale_fn td_scale_avx512;
td_softcap_fn td_softcap_avx512;
td_max_fn td_max_avx512;
td_exp_sum_fn td_exp_sum_avx512;
td_to_f16_fn td_to_f16_avx512;
td_to_blocks_fn td_to_q8_0_avx512, td_to_q4_0_avx512;
td_attn_score_fn td_attn_score_f32_avx512, td_attn_score_f16_avx512, td_attn_score_q8_0_avx512,
    td_attn_score_q4_0_avx512;
td_attn_value_fn td_attn_value_f32_avx512, td_attn_value_f16_avx512, td_attn_value_q8_0_avx512,
    td_attn_value_q4_0_avx512;
td_rope_fn td_rope_avx512;
td_probe_read_fn td_probe_read_avx512;
td_probe_peak_fn td_probe_int8_avx512, td_probe_f32_avx512;

/* ---- avx512vnni ---- */

td_gemm_fn td_gemm_q4_0_avx512vnni, td_gemm_q4_1_avx512vnni, td_gemm_q5_0_avx512vnni,
    td_gemm_q5_1_avx512vnni, td_gemm_q8_0_avx512vnni;
td_gemm_fn td_gemm_iq4_nl_avx512vnni, td_gemm_mxfp4_avx512vnni, td_gemm_int4_avx512vnni,
    td_gemm_int4_z32_avx512vnni, td_gemm_int4_z128_avx512vnni, td_gemm_nvfp4_avx512vnni;
td_gemm_fn td_gemm_q2_k_avx512vnni, td_gemm_q3_k_avx512vnni, td_gemm_q4_k_avx512vnni,
    td_gemm_q5_k_avx512vnni, td_gemm_q6_k_avx512vnni;
td_gemm_fn td_gemm_iq1_s_avx512vnni, td_gemm_iq1_m_avx512vnni, td_gemm_iq2_xxs_avx512vnni,
    td_gemm_iq2_xs_avx512vnni, td_gemm_iq2_s_avx512vnni, td_gemm_iq3_xxs_avx512vnni,
    td_gemm_iq3_s_avx512vnni, td_gemm_iq4_xs_avx512vnni;
td_gemm_fn td_gemm_tq1_0_avx512vnni, td_gemm_tq2_0_avx512vnni;
td_probe_peak_fn td_probe_int8_avx512vnni;

#endif
