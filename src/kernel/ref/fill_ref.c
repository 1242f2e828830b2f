/* fill_ref.c - the reference fills the whole table. */
#include "kernel/ref/ref.h"

void td_kernels_ref(td_kernels *t) {
    *t = (td_kernels){
        .level = "scalar",
        .gemm =
            {
                   [TD_DTYPE_F32] = {"gemm_f32_ref", TD_ACT_F32, td_gemm_f32_ref},
                   [TD_DTYPE_F16] = {"gemm_f16_ref", TD_ACT_F32, td_gemm_f16_ref},
                   [TD_DTYPE_BF16] = {"gemm_bf16_ref", TD_ACT_F32, td_gemm_bf16_ref},
                   [TD_DTYPE_Q4_0] = {"gemm_q4_0_ref", TD_ACT_Q8_32, td_gemm_q4_0_ref},
                   [TD_DTYPE_Q4_1] = {"gemm_q4_1_ref", TD_ACT_Q8_32, td_gemm_q4_1_ref},
                   [TD_DTYPE_Q5_0] = {"gemm_q5_0_ref", TD_ACT_Q8_32, td_gemm_q5_0_ref},
                   [TD_DTYPE_Q5_1] = {"gemm_q5_1_ref", TD_ACT_Q8_32, td_gemm_q5_1_ref},
                   [TD_DTYPE_Q8_0] = {"gemm_q8_0_ref", TD_ACT_Q8_32, td_gemm_q8_0_ref},
                   [TD_DTYPE_IQ4_NL] = {"gemm_iq4_nl_ref", TD_ACT_Q8_32, td_gemm_iq4_nl_ref},
                   [TD_DTYPE_MXFP4] = {"gemm_mxfp4_ref", TD_ACT_Q8_32, td_gemm_mxfp4_ref},
                   [TD_DTYPE_NVFP4] = {"gemm_nvfp4_ref", TD_ACT_Q8_32, td_gemm_nvfp4_ref},
                   [TD_DTYPE_INT4] = {"gemm_int4_ref", TD_ACT_Q8_32, td_gemm_int4_ref},
                   [TD_DTYPE_INT4_Z32] = {"gemm_int4_z32_ref", TD_ACT_Q8_32, td_gemm_int4_z32_ref},
                   [TD_DTYPE_INT4_Z128] = {"gemm_int4_z128_ref", TD_ACT_Q8_32, td_gemm_int4_z128_ref},
                   [TD_DTYPE_F8_E4M3] = {"gemm_f8_e4m3_ref", TD_ACT_F32, td_gemm_f8_e4m3_ref},
                   [TD_DTYPE_Q4_K] = {"gemm_q4_k_ref", TD_ACT_Q8_256, td_gemm_q4_k_ref},
                   [TD_DTYPE_Q5_K] = {"gemm_q5_k_ref", TD_ACT_Q8_256, td_gemm_q5_k_ref},
                   [TD_DTYPE_Q6_K] = {"gemm_q6_k_ref", TD_ACT_Q8_256, td_gemm_q6_k_ref},
                   },
        .quantize_act = {[TD_ACT_Q8_32] = td_quantize_act_q8_32_ref,
                   [TD_ACT_Q8_256] = td_quantize_act_q8_256_ref   },
        .rms_norm = td_rms_norm_ref,
        .layer_norm = td_layer_norm_ref,
        .swiglu = td_swiglu_ref,
        .geglu_tanh = td_geglu_tanh_ref,
        .geglu = td_geglu_ref,
        .add = td_add_ref,
        .scale = td_scale_ref,
        .softcap = td_softcap_ref,
        .max = td_max_ref,
        .exp_sum = td_exp_sum_ref,
        .to_f16 = td_to_f16_ref,
        .attn_score =
            {[TD_KV_DTYPE_F32] = td_attn_score_f32_ref,    [TD_KV_DTYPE_F16] = td_attn_score_f16_ref   },
        .attn_value =
            {[TD_KV_DTYPE_F32] = td_attn_value_f32_ref, [TD_KV_DTYPE_F16] = td_attn_value_f16_ref},
        .rope = td_rope_ref,
        .probe_read = td_probe_read_ref,
        .probe_int8 = td_probe_int8_ref,
        .probe_f32 = td_probe_f32_ref,
    };
}
