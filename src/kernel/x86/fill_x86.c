/* fill_x86.c - which level overrides which slot.  Levels in rising order of preference; a later
 * line wins. */
#include "kernel/x86/x86.h"

static void fill_avx2(td_kernels *t) {
    t->gemm[TD_DTYPE_F32] = (td_gemm_impl){"gemm_f32_avx2", TD_ACT_F32, td_gemm_f32_avx2};
    t->gemm[TD_DTYPE_F16] = (td_gemm_impl){"gemm_f16_avx2", TD_ACT_F32, td_gemm_f16_avx2};
    t->gemm[TD_DTYPE_BF16] = (td_gemm_impl){"gemm_bf16_avx2", TD_ACT_F32, td_gemm_bf16_avx2};
    t->gemm[TD_DTYPE_Q4_0] = (td_gemm_impl){"gemm_q4_0_avx2", TD_ACT_Q8_32, td_gemm_q4_0_avx2};
    t->gemm[TD_DTYPE_Q4_1] = (td_gemm_impl){"gemm_q4_1_avx2", TD_ACT_Q8_32, td_gemm_q4_1_avx2};
    t->gemm[TD_DTYPE_Q5_0] = (td_gemm_impl){"gemm_q5_0_avx2", TD_ACT_Q8_32, td_gemm_q5_0_avx2};
    t->gemm[TD_DTYPE_Q5_1] = (td_gemm_impl){"gemm_q5_1_avx2", TD_ACT_Q8_32, td_gemm_q5_1_avx2};
    t->gemm[TD_DTYPE_Q8_0] = (td_gemm_impl){"gemm_q8_0_avx2", TD_ACT_Q8_32, td_gemm_q8_0_avx2};
    t->gemm[TD_DTYPE_IQ4_NL] =
        (td_gemm_impl){"gemm_iq4_nl_avx2", TD_ACT_Q8_32, td_gemm_iq4_nl_avx2};
    t->gemm[TD_DTYPE_MXFP4] = (td_gemm_impl){"gemm_mxfp4_avx2", TD_ACT_Q8_32, td_gemm_mxfp4_avx2};
    t->gemm[TD_DTYPE_INT4] = (td_gemm_impl){"gemm_int4_avx2", TD_ACT_Q8_32, td_gemm_int4_avx2};
    t->gemm[TD_DTYPE_INT4_Z32] =
        (td_gemm_impl){"gemm_int4_z32_avx2", TD_ACT_Q8_32, td_gemm_int4_z32_avx2};
    t->gemm[TD_DTYPE_INT4_Z128] =
        (td_gemm_impl){"gemm_int4_z128_avx2", TD_ACT_Q8_32, td_gemm_int4_z128_avx2};
    t->gemm[TD_DTYPE_NVFP4] = (td_gemm_impl){"gemm_nvfp4_avx2", TD_ACT_Q8_32, td_gemm_nvfp4_avx2};
    t->gemm[TD_DTYPE_F8_E4M3] =
        (td_gemm_impl){"gemm_f8_e4m3_avx2", TD_ACT_F32, td_gemm_f8_e4m3_avx2};
    t->gemm[TD_DTYPE_Q4_K] = (td_gemm_impl){"gemm_q4_k_avx2", TD_ACT_Q8_256, td_gemm_q4_k_avx2};
    t->gemm[TD_DTYPE_Q5_K] = (td_gemm_impl){"gemm_q5_k_avx2", TD_ACT_Q8_256, td_gemm_q5_k_avx2};
    t->gemm[TD_DTYPE_Q6_K] = (td_gemm_impl){"gemm_q6_k_avx2", TD_ACT_Q8_256, td_gemm_q6_k_avx2};
    t->gemm[TD_DTYPE_Q2_K] = (td_gemm_impl){"gemm_q2_k_avx2", TD_ACT_Q8_256, td_gemm_q2_k_avx2};
    t->gemm[TD_DTYPE_Q3_K] = (td_gemm_impl){"gemm_q3_k_avx2", TD_ACT_Q8_256, td_gemm_q3_k_avx2};
    t->gemm[TD_DTYPE_IQ1_S] = (td_gemm_impl){"gemm_iq1_s_avx2", TD_ACT_Q8_256, td_gemm_iq1_s_avx2};
    t->gemm[TD_DTYPE_IQ1_M] = (td_gemm_impl){"gemm_iq1_m_avx2", TD_ACT_Q8_256, td_gemm_iq1_m_avx2};
    t->gemm[TD_DTYPE_IQ2_XXS] =
        (td_gemm_impl){"gemm_iq2_xxs_avx2", TD_ACT_Q8_256, td_gemm_iq2_xxs_avx2};
    t->gemm[TD_DTYPE_IQ2_XS] =
        (td_gemm_impl){"gemm_iq2_xs_avx2", TD_ACT_Q8_256, td_gemm_iq2_xs_avx2};
    t->gemm[TD_DTYPE_IQ2_S] = (td_gemm_impl){"gemm_iq2_s_avx2", TD_ACT_Q8_256, td_gemm_iq2_s_avx2};
    t->gemm[TD_DTYPE_IQ3_XXS] =
        (td_gemm_impl){"gemm_iq3_xxs_avx2", TD_ACT_Q8_256, td_gemm_iq3_xxs_avx2};
    t->gemm[TD_DTYPE_IQ3_S] = (td_gemm_impl){"gemm_iq3_s_avx2", TD_ACT_Q8_256, td_gemm_iq3_s_avx2};
    t->gemm[TD_DTYPE_IQ4_XS] =
        (td_gemm_impl){"gemm_iq4_xs_avx2", TD_ACT_Q8_256, td_gemm_iq4_xs_avx2};
    t->gemm[TD_DTYPE_TQ1_0] = (td_gemm_impl){"gemm_tq1_0_avx2", TD_ACT_Q8_256, td_gemm_tq1_0_avx2};
    t->gemm[TD_DTYPE_TQ2_0] = (td_gemm_impl){"gemm_tq2_0_avx2", TD_ACT_Q8_256, td_gemm_tq2_0_avx2};
    t->quantize_act[TD_ACT_Q8_32] = td_quantize_act_q8_32_avx2;
    t->quantize_act[TD_ACT_Q8_256] = td_quantize_act_q8_256_avx2;
    t->rms_norm = td_rms_norm_avx2;
    t->layer_norm = td_layer_norm_avx2;
    t->swiglu = td_swiglu_avx2;
    t->geglu_tanh = td_geglu_tanh_avx2;
    t->geglu = td_geglu_avx2;
    t->add = td_add_avx2;
    t->scale = td_scale_avx2;
    t->softcap = td_softcap_avx2;
    t->max = td_max_avx2;
    t->exp_sum = td_exp_sum_avx2;
    t->to_f16 = td_to_f16_avx2;
    t->attn_score[TD_KV_DTYPE_F32] = td_attn_score_f32_avx2;
    t->attn_score[TD_KV_DTYPE_F16] = td_attn_score_f16_avx2;
    t->to_q8_0 = td_to_q8_0_avx2;
    t->to_q4_0 = td_to_q4_0_avx2;
    t->attn_score[TD_KV_DTYPE_Q8_0] = td_attn_score_q8_0_avx2;
    t->attn_score[TD_KV_DTYPE_Q4_0] = td_attn_score_q4_0_avx2;
    t->attn_value[TD_KV_DTYPE_F32] = td_attn_value_f32_avx2;
    t->attn_value[TD_KV_DTYPE_F16] = td_attn_value_f16_avx2;
    t->attn_value[TD_KV_DTYPE_Q8_0] = td_attn_value_q8_0_avx2;
    t->attn_value[TD_KV_DTYPE_Q4_0] = td_attn_value_q4_0_avx2;
    t->rope = td_rope_avx2;
    t->probe_read = td_probe_read_avx2;
    t->probe_int8 = td_probe_int8_avx2;
    t->probe_f32 = td_probe_f32_avx2;
}

static void fill_avx512(td_kernels *t) {
    t->gemm[TD_DTYPE_F32] = (td_gemm_impl){"gemm_f32_avx512", TD_ACT_F32, td_gemm_f32_avx512};
    t->gemm[TD_DTYPE_F16] = (td_gemm_impl){"gemm_f16_avx512", TD_ACT_F32, td_gemm_f16_avx512};
    t->gemm[TD_DTYPE_BF16] = (td_gemm_impl){"gemm_bf16_avx512", TD_ACT_F32, td_gemm_bf16_avx512};
    t->gemm[TD_DTYPE_Q4_0] = (td_gemm_impl){"gemm_q4_0_avx512", TD_ACT_Q8_32, td_gemm_q4_0_avx512};
    t->gemm[TD_DTYPE_Q4_1] = (td_gemm_impl){"gemm_q4_1_avx512", TD_ACT_Q8_32, td_gemm_q4_1_avx512};
    t->gemm[TD_DTYPE_Q5_0] = (td_gemm_impl){"gemm_q5_0_avx512", TD_ACT_Q8_32, td_gemm_q5_0_avx512};
    t->gemm[TD_DTYPE_Q5_1] = (td_gemm_impl){"gemm_q5_1_avx512", TD_ACT_Q8_32, td_gemm_q5_1_avx512};
    t->gemm[TD_DTYPE_Q8_0] = (td_gemm_impl){"gemm_q8_0_avx512", TD_ACT_Q8_32, td_gemm_q8_0_avx512};
    t->gemm[TD_DTYPE_IQ4_NL] =
        (td_gemm_impl){"gemm_iq4_nl_avx512", TD_ACT_Q8_32, td_gemm_iq4_nl_avx512};
    t->gemm[TD_DTYPE_MXFP4] =
        (td_gemm_impl){"gemm_mxfp4_avx512", TD_ACT_Q8_32, td_gemm_mxfp4_avx512};
    t->gemm[TD_DTYPE_INT4] = (td_gemm_impl){"gemm_int4_avx512", TD_ACT_Q8_32, td_gemm_int4_avx512};
    t->gemm[TD_DTYPE_INT4_Z32] =
        (td_gemm_impl){"gemm_int4_z32_avx512", TD_ACT_Q8_32, td_gemm_int4_z32_avx512};
    t->gemm[TD_DTYPE_INT4_Z128] =
        (td_gemm_impl){"gemm_int4_z128_avx512", TD_ACT_Q8_32, td_gemm_int4_z128_avx512};
    t->gemm[TD_DTYPE_NVFP4] =
        (td_gemm_impl){"gemm_nvfp4_avx512", TD_ACT_Q8_32, td_gemm_nvfp4_avx512};
    t->gemm[TD_DTYPE_F8_E4M3] =
        (td_gemm_impl){"gemm_f8_e4m3_avx512", TD_ACT_F32, td_gemm_f8_e4m3_avx512};
    t->gemm[TD_DTYPE_Q4_K] = (td_gemm_impl){"gemm_q4_k_avx512", TD_ACT_Q8_256, td_gemm_q4_k_avx512};
    t->gemm[TD_DTYPE_Q5_K] = (td_gemm_impl){"gemm_q5_k_avx512", TD_ACT_Q8_256, td_gemm_q5_k_avx512};
    t->gemm[TD_DTYPE_Q6_K] = (td_gemm_impl){"gemm_q6_k_avx512", TD_ACT_Q8_256, td_gemm_q6_k_avx512};
    t->gemm[TD_DTYPE_Q2_K] = (td_gemm_impl){"gemm_q2_k_avx512", TD_ACT_Q8_256, td_gemm_q2_k_avx512};
    t->gemm[TD_DTYPE_Q3_K] = (td_gemm_impl){"gemm_q3_k_avx512", TD_ACT_Q8_256, td_gemm_q3_k_avx512};
    t->gemm[TD_DTYPE_IQ1_S] =
        (td_gemm_impl){"gemm_iq1_s_avx512", TD_ACT_Q8_256, td_gemm_iq1_s_avx512};
    t->gemm[TD_DTYPE_IQ1_M] =
        (td_gemm_impl){"gemm_iq1_m_avx512", TD_ACT_Q8_256, td_gemm_iq1_m_avx512};
    t->gemm[TD_DTYPE_IQ2_XXS] =
        (td_gemm_impl){"gemm_iq2_xxs_avx512", TD_ACT_Q8_256, td_gemm_iq2_xxs_avx512};
    t->gemm[TD_DTYPE_IQ2_XS] =
        (td_gemm_impl){"gemm_iq2_xs_avx512", TD_ACT_Q8_256, td_gemm_iq2_xs_avx512};
    t->gemm[TD_DTYPE_IQ2_S] =
        (td_gemm_impl){"gemm_iq2_s_avx512", TD_ACT_Q8_256, td_gemm_iq2_s_avx512};
    t->gemm[TD_DTYPE_IQ3_XXS] =
        (td_gemm_impl){"gemm_iq3_xxs_avx512", TD_ACT_Q8_256, td_gemm_iq3_xxs_avx512};
    t->gemm[TD_DTYPE_IQ3_S] =
        (td_gemm_impl){"gemm_iq3_s_avx512", TD_ACT_Q8_256, td_gemm_iq3_s_avx512};
    t->gemm[TD_DTYPE_IQ4_XS] =
        (td_gemm_impl){"gemm_iq4_xs_avx512", TD_ACT_Q8_256, td_gemm_iq4_xs_avx512};
    t->gemm[TD_DTYPE_TQ1_0] =
        (td_gemm_impl){"gemm_tq1_0_avx512", TD_ACT_Q8_256, td_gemm_tq1_0_avx512};
    t->gemm[TD_DTYPE_TQ2_0] =
        (td_gemm_impl){"gemm_tq2_0_avx512", TD_ACT_Q8_256, td_gemm_tq2_0_avx512};
    t->quantize_act[TD_ACT_Q8_32] = td_quantize_act_q8_32_avx512;
    t->quantize_act[TD_ACT_Q8_256] = td_quantize_act_q8_256_avx512;
    t->rms_norm = td_rms_norm_avx512;
    t->layer_norm = td_layer_norm_avx512;
    t->swiglu = td_swiglu_avx512;
    t->geglu_tanh = td_geglu_tanh_avx512;
    t->geglu = td_geglu_avx512;
    t->add = td_add_avx512;
    t->scale = td_scale_avx512;
    t->softcap = td_softcap_avx512;
    t->max = td_max_avx512;
    t->exp_sum = td_exp_sum_avx512;
    t->to_f16 = td_to_f16_avx512;
    t->attn_score[TD_KV_DTYPE_F32] = td_attn_score_f32_avx512;
    t->attn_score[TD_KV_DTYPE_F16] = td_attn_score_f16_avx512;
    t->to_q8_0 = td_to_q8_0_avx512;
    t->to_q4_0 = td_to_q4_0_avx512;
    t->attn_score[TD_KV_DTYPE_Q8_0] = td_attn_score_q8_0_avx512;
    t->attn_score[TD_KV_DTYPE_Q4_0] = td_attn_score_q4_0_avx512;
    t->attn_value[TD_KV_DTYPE_F32] = td_attn_value_f32_avx512;
    t->attn_value[TD_KV_DTYPE_F16] = td_attn_value_f16_avx512;
    t->attn_value[TD_KV_DTYPE_Q8_0] = td_attn_value_q8_0_avx512;
    t->attn_value[TD_KV_DTYPE_Q4_0] = td_attn_value_q4_0_avx512;
    t->rope = td_rope_avx512;
    t->probe_read = td_probe_read_avx512;
    t->probe_int8 = td_probe_int8_avx512;
    t->probe_f32 = td_probe_f32_avx512;
}

static void fill_avx512vnni(td_kernels *t) {
    t->gemm[TD_DTYPE_Q4_0] =
        (td_gemm_impl){"gemm_q4_0_avx512vnni", TD_ACT_Q8_32, td_gemm_q4_0_avx512vnni};
    t->gemm[TD_DTYPE_Q4_1] =
        (td_gemm_impl){"gemm_q4_1_avx512vnni", TD_ACT_Q8_32, td_gemm_q4_1_avx512vnni};
    t->gemm[TD_DTYPE_Q5_0] =
        (td_gemm_impl){"gemm_q5_0_avx512vnni", TD_ACT_Q8_32, td_gemm_q5_0_avx512vnni};
    t->gemm[TD_DTYPE_Q5_1] =
        (td_gemm_impl){"gemm_q5_1_avx512vnni", TD_ACT_Q8_32, td_gemm_q5_1_avx512vnni};
    t->gemm[TD_DTYPE_Q8_0] =
        (td_gemm_impl){"gemm_q8_0_avx512vnni", TD_ACT_Q8_32, td_gemm_q8_0_avx512vnni};
    t->gemm[TD_DTYPE_IQ4_NL] =
        (td_gemm_impl){"gemm_iq4_nl_avx512vnni", TD_ACT_Q8_32, td_gemm_iq4_nl_avx512vnni};
    t->gemm[TD_DTYPE_MXFP4] =
        (td_gemm_impl){"gemm_mxfp4_avx512vnni", TD_ACT_Q8_32, td_gemm_mxfp4_avx512vnni};
    t->gemm[TD_DTYPE_INT4] =
        (td_gemm_impl){"gemm_int4_avx512vnni", TD_ACT_Q8_32, td_gemm_int4_avx512vnni};
    t->gemm[TD_DTYPE_INT4_Z32] =
        (td_gemm_impl){"gemm_int4_z32_avx512vnni", TD_ACT_Q8_32, td_gemm_int4_z32_avx512vnni};
    t->gemm[TD_DTYPE_INT4_Z128] =
        (td_gemm_impl){"gemm_int4_z128_avx512vnni", TD_ACT_Q8_32, td_gemm_int4_z128_avx512vnni};
    t->gemm[TD_DTYPE_NVFP4] =
        (td_gemm_impl){"gemm_nvfp4_avx512vnni", TD_ACT_Q8_32, td_gemm_nvfp4_avx512vnni};
    t->gemm[TD_DTYPE_Q4_K] =
        (td_gemm_impl){"gemm_q4_k_avx512vnni", TD_ACT_Q8_256, td_gemm_q4_k_avx512vnni};
    t->gemm[TD_DTYPE_Q5_K] =
        (td_gemm_impl){"gemm_q5_k_avx512vnni", TD_ACT_Q8_256, td_gemm_q5_k_avx512vnni};
    t->gemm[TD_DTYPE_Q6_K] =
        (td_gemm_impl){"gemm_q6_k_avx512vnni", TD_ACT_Q8_256, td_gemm_q6_k_avx512vnni};
    t->gemm[TD_DTYPE_Q2_K] =
        (td_gemm_impl){"gemm_q2_k_avx512vnni", TD_ACT_Q8_256, td_gemm_q2_k_avx512vnni};
    t->gemm[TD_DTYPE_Q3_K] =
        (td_gemm_impl){"gemm_q3_k_avx512vnni", TD_ACT_Q8_256, td_gemm_q3_k_avx512vnni};
    t->gemm[TD_DTYPE_IQ1_S] =
        (td_gemm_impl){"gemm_iq1_s_avx512vnni", TD_ACT_Q8_256, td_gemm_iq1_s_avx512vnni};
    t->gemm[TD_DTYPE_IQ1_M] =
        (td_gemm_impl){"gemm_iq1_m_avx512vnni", TD_ACT_Q8_256, td_gemm_iq1_m_avx512vnni};
    t->gemm[TD_DTYPE_IQ2_XXS] =
        (td_gemm_impl){"gemm_iq2_xxs_avx512vnni", TD_ACT_Q8_256, td_gemm_iq2_xxs_avx512vnni};
    t->gemm[TD_DTYPE_IQ2_XS] =
        (td_gemm_impl){"gemm_iq2_xs_avx512vnni", TD_ACT_Q8_256, td_gemm_iq2_xs_avx512vnni};
    t->gemm[TD_DTYPE_IQ2_S] =
        (td_gemm_impl){"gemm_iq2_s_avx512vnni", TD_ACT_Q8_256, td_gemm_iq2_s_avx512vnni};
    t->gemm[TD_DTYPE_IQ3_XXS] =
        (td_gemm_impl){"gemm_iq3_xxs_avx512vnni", TD_ACT_Q8_256, td_gemm_iq3_xxs_avx512vnni};
    t->gemm[TD_DTYPE_IQ3_S] =
        (td_gemm_impl){"gemm_iq3_s_avx512vnni", TD_ACT_Q8_256, td_gemm_iq3_s_avx512vnni};
    t->gemm[TD_DTYPE_IQ4_XS] =
        (td_gemm_impl){"gemm_iq4_xs_avx512vnni", TD_ACT_Q8_256, td_gemm_iq4_xs_avx512vnni};
    t->gemm[TD_DTYPE_TQ1_0] =
        (td_gemm_impl){"gemm_tq1_0_avx512vnni", TD_ACT_Q8_256, td_gemm_tq1_0_avx512vnni};
    t->gemm[TD_DTYPE_TQ2_0] =
        (td_gemm_impl){"gemm_tq2_0_avx512vnni", TD_ACT_Q8_256, td_gemm_tq2_0_avx512vnni};
    t->probe_int8 = td_probe_int8_avx512vnni;
}

void td_kernels_x86(td_kernels *t, unsigned flags) {
    if (flags & TD_CPU_AVX2) fill_avx2(t);
    if (flags & TD_CPU_AVX512) fill_avx512(t);
    if (flags & TD_CPU_AVX512_VNNI) fill_avx512vnni(t);
}
