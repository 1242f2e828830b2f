/* rules_names.c - names of KTransformers: its GGUF names, its old names, its operators. */
#include <string.h>

#include "plan/rules_int.h"

/* ---- GGUF names, which were keys until v0.3.1 ---- */

/* In this order, each replaced everywhere in what the ones before have left.  That ".mlp.gate"
 * comes after ".mlp.gate_proj", and ".mlp.experts" after both, is what makes them come out right.
 */
static const char *const replacements[][2] = {
    {"lm_head.",                               "output."            },
    {"model.embed_tokens.",                    "token_embd."        },
    {"model.norm.",                            "output_norm."       },
    {"model.layers.",                          "blk."               },
    {".input_layernorm",                       ".attn_norm"         },
    {".mlp.down_proj",                         ".ffn_down"          },
    {".mlp.gate_proj",                         ".ffn_gate"          },
    {".mlp.up_proj",                           ".ffn_up"            },
    {".post_attention_layernorm",              ".ffn_norm"          },
    {".self_attn.q_proj",                      ".attn_q"            },
    {".self_attn.k_proj",                      ".attn_k"            },
    {".self_attn.v_proj",                      ".attn_v"            },
    {".self_attn.o_proj",                      ".attn_output"       },
    {".self_attn.qkv_proj",                    ".attn_qkv"          },
    {".self_attn.kv_a_proj_with_mqa",          ".attn_kv_a_mqa"     },
    {".self_attn.kv_a_layernorm",              ".attn_kv_a_norm"    },
    {".self_attn.kv_b_proj",                   ".attn_kv_b"         },
    {".self_attn.q_a_proj",                    ".attn_q_a"          },
    {".self_attn.q_a_layernorm",               ".attn_q_a_norm"     },
    {".self_attn.q_b_proj",                    ".attn_q_b"          },
    {".self_attn.q_norm",                      ".attn_q_norm"       },
    {".self_attn.k_norm",                      ".attn_k_norm"       },
    {".shared_expert.",                        ".shared_experts."   },
    {".shared_expert_",                        ".shared_experts_"   },
    {".gate_up_proj.",                         ".up_proj"           },
    {".mlp.shared_experts.down_proj",          ".ffn_down_shexp"    },
    {".mlp.gate.e_score_correction_bias",      ".exp_probs_b.bias"  },
    {".mlp.gate",                              ".ffn_gate_inp"      },
    {".mlp.shared_experts.gate_proj",          ".ffn_gate_shexp"    },
    {".mlp.shared_experts.up_proj",            ".ffn_up_shexp"      },
    {".mlp.shared_experts_gate",               ".ffn_gate_inp_shexp"},
    {".mlp.experts",                           ""                   },
    {".block_sparse_moe.gate.",                ".ffn_gate_inp."     },
    {".block_sparse_moe.experts",              ""                   },
    {".feed_forward.experts",                  ""                   },
    {".feed_forward.router",                   ".ffn_gate_inp"      },
    {".feed_forward.shared_experts.down_proj", ".ffn_down_shexp"    },
    {".feed_forward.shared_experts.gate_proj", ".ffn_gate_shexp"    },
    {".feed_forward.shared_experts.up_proj",   ".ffn_up_shexp"      },
};

/* Replaces `old` everywhere in text[0..n), from left to right, into out. */
static void replace_all(const char *text, const char *old, const char *now, td_strbuf *out) {
    const size_t n_old = strlen(old);
    for (const char *found; (found = strstr(text, old)) != NULL; text = found + n_old) {
        td_strbuf_add(out, text, (size_t)(found - text));
        td_strbuf_adds(out, now);
    }
    td_strbuf_adds(out, text);
}

/* The name with a dot behind it is translated, and then its last character dropped, whatever it is:
 * that of ".gate_up_proj." is no dot any more. */
td_status td_rules_gguf_name(const char *name, td_strbuf *out, td_err *err) {
    if (name[0] == 0) return TD_OK;
    td_strbuf a = {0}, b = {0};
    td_strbuf_adds(&a, name);
    td_strbuf_addc(&a, '.');
    for (size_t i = 0; i < sizeof replacements / sizeof replacements[0]; i++) {
        if (!a.text || !strstr(a.text, replacements[i][0])) continue;
        td_strbuf_clear_text(&b);
        replace_all(a.text, replacements[i][0], replacements[i][1], &b);
        const td_strbuf swap = a;
        a = b;
        b = swap;
    }
    td_status status = td_strbuf_check(&a, "a module's name", err);
    if (status == TD_OK) status = td_strbuf_check(&b, "a module's name", err);
    if (status == TD_OK && a.n > 0) td_strbuf_add(out, a.text, a.n - 1);
    td_strbuf_clear(&a);
    td_strbuf_clear(&b);
    return status == TD_OK ? td_strbuf_check(out, "a module's name", err) : status;
}

/* ---- old names ---- */

static const td_rules_legacy legacy_names[] = {
  /* operators */
    {"QuantizedLinearMarlin",          "KLinearMarlin"          },
    {"QuantizedLinearTorch",           "KLinearTorch"           },
    {"MLPCPUExperts",                  "KExpertsCPU"            },
    {"MLPCUDAExperts",                 "KExpertsMarlin"         },
    {"MLPExpertsTorch",                "KExpertsTorch"          },
    {"MLPExpertsMarlin",               "KExpertsMarlin"         },
 /* classes */
    {"KTransformersMLPExpert",         "KTransformersExperts"   },
    {"KTransformerLinear",             "KTransformersLinear"    },
    {"DeepseekV2MoEInjected",          "KDeepseekV2MoE"         },
    {"Qwen2MoeSparseMoeBlockInjected", "KQwen2MoeSparseMoeBlock"},
    {"DeepseekV2AttentionInjected",    "KDeepseekV2Attention"   },
    {"DeepseekV2ModelPerLayerPrefill", "KDeepseekV2Model"       },
    {"Qwen2MoeModelPerLayerPrefill",   "KQwen2MoeModel"         },
 /* keywords */
    {"generate_mlp_type",              "generate_op"            },
    {"prefill_mlp_type",               "prefill_op"             },
};
enum { N_LEGACY = sizeof legacy_names / sizeof legacy_names[0] };

const td_rules_legacy *td_rules_legacy_names(int *n) {
    *n = N_LEGACY;
    return legacy_names;
}

const char *td_rules_modern_name(const char *old_name) {
    const char *dot = strrchr(old_name, '.');
    const char *last = dot ? dot + 1 : old_name;
    for (int i = 0; i < N_LEGACY; i++)
        if (strcmp(legacy_names[i].old_name, last) == 0) return legacy_names[i].name;
    return NULL;
}

/* ---- operators ---- */

static const td_rules_op ops[] = {
    {"KLinearMarlin",       TD_RULES_OP_LINEAR,  "cuda"},
    {"VLinearMarlin",       TD_RULES_OP_LINEAR,  "cuda"},
    {"KLinearTorch",        TD_RULES_OP_LINEAR,  "any" },
    {"KLinearQ8",           TD_RULES_OP_LINEAR,  "cuda"},
    {"KLinearFP8",          TD_RULES_OP_LINEAR,  "cuda"},
    {"KLinearCPUInfer",     TD_RULES_OP_LINEAR,  "cpu" },
    {"KLinearIPEXLLM",      TD_RULES_OP_LINEAR,  "xpu" },
    {"KLinearTorchW8A8A2",  TD_RULES_OP_LINEAR,  "npu" },
    {"KExpertsCPU",         TD_RULES_OP_EXPERTS, "cpu" },
    {"KExpertsCPUW8A8",     TD_RULES_OP_EXPERTS, "cpu" },
    {"KExpertsMarlin",      TD_RULES_OP_EXPERTS, "cuda"},
    {"KExpertsTorch",       TD_RULES_OP_EXPERTS, "any" },
    {"KSFTExpertsCPU",      TD_RULES_OP_EXPERTS, "cpu" },
    {"KSFTRouteExpertsCPU", TD_RULES_OP_EXPERTS, "cpu" },
};
enum { N_OP = sizeof ops / sizeof ops[0] };

const td_rules_op *td_rules_ops(int *n) {
    *n = N_OP;
    return ops;
}

const td_rules_op *td_rules_find_op(const char *name) {
    for (int i = 0; i < N_OP; i++)
        if (strcmp(ops[i].name, name) == 0) return &ops[i];
    return NULL;
}

/* ---- classes that replace others, without "ktransformers.operators." ---- */

static const char *const operator_classes[] = {
    "RoPE.DynamicNTKScalingRotaryEmbedding",
    "RoPE.KGlm4MoeRotaryEmbedding",
    "RoPE.KHunYuanRotaryEmbedding",
    "RoPE.KLlama4RotaryEmbedding",
    "RoPE.KQwen3MoeRotaryEmbedding",
    "RoPE.KSmallthinkerRotaryEmbedding",
    "RoPE.RotaryEmbedding",
    "RoPE.RotaryEmbeddingV2",
    "RoPE.RotaryEmbeddingV3",
    "RoPE.RotaryEmbeddingV4",
    "RoPE.YarnRotaryEmbedding",
    "RoPE.YarnRotaryEmbeddingV3",
    "ascend.ascend_attention.KDeepseekV2AttentionW8A8A2",
    "ascend.ascend_attention.KDeepseekV2AttentionW8A8A2Serve",
    "ascend.ascend_attention.KQwen3MoeAttentionW8A8A2Serve",
    "ascend.ascend_experts.KDeepseekV3MoEW8A8",
    "ascend.ascend_experts.KExpertsCPUW8A8",
    "ascend.ascend_experts.KQwen3MoeSparseMoeBlockW8A8",
    "ascend.ascend_experts.KTransformersExpertsW8A8",
    "ascend.ascend_gate.KDeepseekV3GateA2",
    "ascend.ascend_layernorm.KDeepseekV3RMSNormW8A8",
    "ascend.ascend_layernorm.KQwen3MoeRMSNormW8A8",
    "ascend.ascend_linear.KTransformersLinearW8A8A2",
    "ascend.ascend_mlp.KDeepseekV3MLPW8A8A2V1",
    "ascend.ascend_mlp.KDeepseekV3MLPW8A8A2V2",
    "attention.KDeepseekV2Attention",
    "attention.KHunYuanAttention",
    "attention.KLlamaAttention",
    "attention.KQwen3MoeAttention",
    "attention.KQwen3MoeAttentionIPEXLLM",
    "balance_serve_attention.KGlm4MoeAttention",
    "balance_serve_attention.KHunYuanAttention",
    "balance_serve_attention.KLlama4Attention",
    "balance_serve_attention.KQwen2MoeAttention",
    "balance_serve_attention.KQwen3MoeAttention",
    "balance_serve_attention.KQwen3NextAttention",
    "balance_serve_attention.KQwen3NextGatedDeltaNet",
    "balance_serve_attention.KSmallthinkerAttention",
    "balance_serve_attention.deepseek_torch_attn",
    "balance_serve_attention.flashinfer_attn",
    "experts.KDeepseekV2MoE",
    "experts.KDeepseekV3MoE",
    "experts.KDeepseekV3MoEV2",
    "experts.KGlm4Experts",
    "experts.KGlm4MoeMoE",
    "experts.KHunyuanMoE",
    "experts.KLlama4Experts",
    "experts.KLlama4Moe",
    "experts.KMistralSparseMoEBlock",
    "experts.KQwen2MoeSparseMoeBlock",
    "experts.KQwen2MoeSparseMoeBlockV2",
    "experts.KQwen3MoeSparseMoeBlock",
    "experts.KQwen3MoeSparseMoeBlockV2",
    "experts.KQwen3NextSparseMoeBlockV2",
    "experts.KSmallthinkerExperts",
    "experts.KSmallthinkerMoeBlock",
    "experts.KTransformersExperts",
    "experts.KTransformersExpertsV2",
    "gate.KMoEGate",
    "gate.KMoEGateGreedy",
    "gate.KMoEGateIPEXLLM",
    "gate.KMoEGateQwen2Moe",
    "layernorm.DeepseekV3RMSNormTorch",
    "layernorm.KDeepseekRMSNormIPEXLLM",
    "layernorm.KGlm4MoeRMSNorm",
    "layernorm.KHunYuanRMSNorm",
    "layernorm.KLlama4RMSNorm",
    "layernorm.KQwen2MoeRMSNorm",
    "layernorm.KQwen3MoeRMSNorm",
    "layernorm.KQwen3NextRMSNorm",
    "layernorm.KSmallthinkerRMSNorm",
    "layernorm.RMSNorm",
    "linear.KTransformersLinear",
    "mlp.KGlm4MoeMLP",
    "mlp.KHunYuanMLP",
    "mlp.KLlama4MLP",
    "mlp.KQwen2MoeMLP",
    "mlp.KSmallthinkerDenseMlpBlock",
    "mlp.kDeepseekV3MLP",
    "models.KDeepseekV2Model",
    "models.KHunyuanModel",
    "models.KLlama4Model",
    "models.KLlamaModel",
    "models.KQwen2MoeModel",
    "models.KQwen3MoeModel",
};
enum { N_OPERATOR_CLASS = sizeof operator_classes / sizeof operator_classes[0] };

static const char prefix[] = "ktransformers.operators.";

const char *td_rules_operator_class_at(int i) {
    return i < N_OPERATOR_CLASS ? operator_classes[i] : NULL;
}

const char *td_rules_operator_class(const char *last_part) {
    for (int i = 0; i < N_OPERATOR_CLASS; i++) {
        const char *dot = strrchr(operator_classes[i], '.');
        if (strcmp(dot + 1, last_part) == 0) return operator_classes[i];
    }
    return last_part;
}

bool td_rules_is_operator_class(const char *name) {
    if (strncmp(name, prefix, sizeof prefix - 1) != 0) return false;
    for (int i = 0; i < N_OPERATOR_CLASS; i++)
        if (strcmp(operator_classes[i], name + sizeof prefix - 1) == 0) return true;
    return false;
}
