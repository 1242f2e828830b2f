/* check_slots.c - the slots of td_kernels, by name. */
#include "kernel/check_gemm.h"
#include "kernel/check_vector.h"

const check_slot check_slots[] = {
    {"gemm_f32",            check_gemm,         TD_DTYPE_F32   },
    {"gemm_f16",            check_gemm,         TD_DTYPE_F16   },
    {"gemm_bf16",           check_gemm,         TD_DTYPE_BF16  },
    {"gemm_q4_0",           check_gemm,         TD_DTYPE_Q4_0  },
    {"gemm_q4_1",           check_gemm,         TD_DTYPE_Q4_1  },
    {"gemm_q5_0",           check_gemm,         TD_DTYPE_Q5_0  },
    {"gemm_q5_1",           check_gemm,         TD_DTYPE_Q5_1  },
    {"gemm_q8_0",           check_gemm,         TD_DTYPE_Q8_0  },
    {"gemm_q4_k",           check_gemm,         TD_DTYPE_Q4_K  },
    {"gemm_q5_k",           check_gemm,         TD_DTYPE_Q5_K  },
    {"gemm_q6_k",           check_gemm,         TD_DTYPE_Q6_K  },
    {"quantize_act_q8_32",  check_quantize_act, TD_ACT_Q8_32   },
    {"quantize_act_q8_256", check_quantize_act, TD_ACT_Q8_256  },
    {"rms_norm",            check_rms_norm,     0              },
    {"layer_norm",          check_layer_norm,   0              },
    {"swiglu",              check_glu,          0              },
    {"geglu_tanh",          check_glu,          1              },
    {"geglu",               check_glu,          2              },
    {"add",                 check_add,          0              },
    {"scale",               check_scale,        0              },
    {"softcap",             check_softcap,      0              },
    {"max",                 check_max,          0              },
    {"exp_sum",             check_exp_sum,      0              },
    {"to_f16",              check_to_f16,       0              },
    {"attn_score_f32",      check_attn_score,   TD_KV_DTYPE_F32},
    {"attn_score_f16",      check_attn_score,   TD_KV_DTYPE_F16},
    {"attn_value_f32",      check_attn_value,   TD_KV_DTYPE_F32},
    {"attn_value_f16",      check_attn_value,   TD_KV_DTYPE_F16},
    {"rope",                check_rope,         0              },
};
const int n_check_slots = sizeof check_slots / sizeof check_slots[0];
