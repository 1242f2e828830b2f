/* test_bad_mixtures.c - mixtures of experts whose numbers or tensors do not fit are refused by
 * name.
 *
 * Each case changes one thing of a fixture that runs. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tandem.h"
#include "engine/engine.h"
#include "support/arch_model.h"

typedef struct bad_case {
    const char *model;
    const char *what;  /* a key of config.json or of the GGUF file, or a tensor */
    const char *value; /* as JSON; NULL: it is taken out */
    const char *text;  /* part of the message */
} bad_case;

static const bad_case bad_folders[] = {
    {"mixtral_top2",            "num_experts_per_tok",                                      "9",                                "num_experts_per_tok"                  },
    {"mixtral_top2",            "num_experts_per_tok",                                      "0",                                "num_experts_per_tok"                  },
    {"mixtral_top2",            "num_experts_per_tok",                                      NULL,                               "is missing"                           },
    {"mixtral_top2",            "num_local_experts",                                        "7",                                "block_sparse_moe.gate.weight"         },
    {"mixtral_top2",            "num_local_experts",                                        "9",                                "block_sparse_moe.gate.weight"         },
    {"mixtral_top2",            "num_local_experts",                                        "1000000000",                       "num_local_experts"                    },
    {"mixtral_top2",            "num_local_experts",                                        "0",                                "mlp.gate_proj.weight"                 },
    {"mixtral_top2",            "intermediate_size",                                        "64",                               "experts.0.w1.weight"                  },
    {"mixtral_top2",            "model.layers.1.block_sparse_moe.experts.5.w2.weight",      NULL,                               "experts.5.w2"                         },
    {"mixtral_top2",            "model.layers.0.block_sparse_moe.gate.weight",              NULL,                               "gate.weight"                          },
    {"qwen2_moe_top4",          "mlp_only_layers",                                          "\"none\"",                         "mlp_only_layers"                      },
    {"qwen2_moe_top4",          "mlp_only_layers",                                          "[0.5]",                            "mlp_only_layers"                      },
    {"qwen2_moe_top4",          "moe_intermediate_size",                                    "64",                               "experts.0.gate_proj.weight"           },
    {"qwen2_moe_top4",          "moe_intermediate_size",                                    "-1",                               "moe_intermediate_size"                },
    {"qwen2_moe_top4",          "shared_expert_intermediate_size",                          "64",                               "shared_expert.gate_proj.weight"       },
    {"qwen2_moe_top4",          "model.layers.0.mlp.shared_expert.up_proj.weight",          NULL,
     "shared_expert.up_proj"                                                                                                                                           },
    {"qwen2_moe_top4",          "model.layers.1.mlp.shared_expert_gate.weight",             NULL,                               "shared_expert_gate"                   },
    {"qwen2_moe_top4",          "model.layers.1.mlp.experts.3.up_proj.weight",              NULL,                               "experts.3.up_proj"                    },
    {"qwen2_moe_top4",          "model.layers.0.mlp.experts.0.up_proj.weight",              NULL,                               "up_proj"                              },
    {"olmoe_clipped",           "clip_qkv",                                                 "-1.0",                             "clip_qkv"                             },
    {"granitemoe_top2",         "intermediate_size",                                        "48",                               "input_linear.weight"                  },
    {"granitemoe_top2",         "model.layers.0.block_sparse_moe.input_linear.weight",      NULL,
     "input_linear"                                                                                                                                                    },
    {"granitemoeshared_top4",   "model.layers.1.shared_mlp.output_linear.weight",           NULL,
     "shared_mlp.output_linear"                                                                                                                                        },
    {"dots1_groups",            "scoring_func",                                             "\"tanh\"",                         "scoring_func is 'tanh'"               },
    {"dots1_groups",            "scoring_func",                                             "7",                                "scoring_func"                         },
    {"dots1_groups",            "n_group",                                                  "5",                                "is not a multiple of n_group 5"       },
    {"dots1_groups",            "n_group",                                                  "65",                               "n_group"                              },
    {"dots1_groups",            "topk_group",                                               "5",                                "topk_group"                           },
    {"dots1_groups",            "topk_group",                                               NULL,                               "is missing"                           },
    {"dots1_groups",            "num_experts_per_tok",                                      "9",                                "at most the 8 experts of topk_group 2"},
    {"dots1_groups",            "n_shared_experts",                                         "3",                                "shared_experts.gate_proj.weight"      },
    {"dots1_groups",            "n_shared_experts",                                         "-1",                               "n_shared_experts"                     },
    {"dots1_groups",            "routed_scaling_factor",                                    "0",                                "routed_scaling_factor"                },
    {"dots1_groups",            "first_k_dense_replace",                                    "2",                                "layers.1.mlp.gate_proj.weight"        },
    {"dots1_groups",            "model.layers.2.mlp.gate.e_score_correction_bias",          NULL,
     "gate.e_score_correction_bias"                                                                                                                                    },
    {"hunyuan_v1_moe_top2",     "moe_topk",                                                 "[2, 1]",                           "moe_topk: layer 1 has 1"              },
    {"hunyuan_v1_moe_top2",     "moe_topk",                                                 "[2]",                              "moe_topk"                             },
    {"hunyuan_v1_moe_top2",     "moe_topk",                                                 "[9, 9]",                           "moe_topk"                             },
    {"hunyuan_v1_moe_alpha",    "rope_parameters",
     "{\"rope_type\": \"dynamic\", \"rope_theta\": 1e4, \"alpha\": -1.0}",                                                      "alpha"                                },
    {"minimax_m2_grouped",      "num_experts_per_tok",                                      "9",                                "num_experts_per_tok"                  },
    {"minimax_m2_grouped",      "num_local_experts",                                        "7",                                "block_sparse_moe.gate.weight"         },
    {"minimax_m2_grouped",      "scoring_func",                                             "\"tanh\"",                         "scoring_func is 'tanh'"               },
    {"minimax_m2_grouped",      "shared_intermediate_size",                                 "32",                               "shared_intermediate_size is 32"       },
    {"minimax_m2_grouped",      "model.layers.1.block_sparse_moe.e_score_correction_bias",  NULL,
     "e_score_correction_bias"                                                                                                                                         },
    {"minimax_m2_grouped",      "model.layers.0.block_sparse_moe.experts.3.w3.weight",      NULL,
     "experts.3.w3"                                                                                                                                                    },
    {"glm4_moe_groups",         "n_group",                                                  "5",                                "is not a multiple of n_group 5"       },
    {"glm4_moe_groups",         "num_experts_per_tok",                                      "7",                                "at most the 6 experts of topk_group 2"},
    {"glm4_moe_groups",         "n_shared_experts",                                         "1",                                "shared_experts.gate_proj.weight"      },
    {"glm4_moe_groups",         "use_qk_norm",                                              "true",                             "q_norm.weight"                        },
    {"glm4_moe_groups",         "model.layers.2.mlp.shared_experts.down_proj.weight",       NULL,
     "shared_experts.down_proj"                                                                                                                                        },
    {"ernie4_5_moe_grouped",    "moe_k",                                                    "9",                                "moe_k"                                },
    {"ernie4_5_moe_grouped",    "moe_num_experts",                                          "7",                                "mlp.gate.weight"                      },
    {"ernie4_5_moe_grouped",    "moe_num_shared_experts",                                   "1",                                "shared_experts.gate_proj.weight"      },
    {"ernie4_5_moe_grouped",    "moe_layer_start_index",                                    "0",                                "layers.0.mlp.gate.weight"             },
    {"ernie4_5_moe_grouped",    "moe_norm_min",                                             "-1.0",                             "moe_norm_min"                         },
    {"ernie4_5_vl_moe_grouped", "moe_num_experts",                                          "[3, 4]",                           "mlp.gate.weight"                      },
    {"ernie4_5_vl_moe_grouped", "moe_num_experts",                                          "[-1, 4]",                          "moe_num_experts"                      },
    {"ernie4_5_vl_moe_grouped", "moe_num_experts",                                          "[\"a\", \"b\"]",                   "moe_num_experts"                      },
    {"ernie4_5_vl_moe_grouped", "moe_intermediate_size",                                    "[48, 64]",                         "experts.0.gate_proj.weight"           },
    {"ernie4_5_vl_moe_grouped", "mlp_layer_types",                                          "[\"dense\", \"sparse\"]",          "mlp_layer_types"                      },
    {"ernie4_5_vl_moe_grouped", "mlp_layer_types",                                          "[\"dense\", \"sparse\", \"odd\"]",
     "layer 2 is 'odd'"                                                                                                                                                },
    {"ernie4_5_vl_moe_grouped", "model.layers.1.mlp.moe_statics.e_score_correction_bias",   NULL,
     "e_score_correction_bias"                                                                                                                                         },
    {"gpt_oss_grouped",         "num_experts_per_tok",                                      "9",                                "num_experts_per_tok"                  },
    {"gpt_oss_grouped",         "num_local_experts",                                        "7",                                "mlp.router.weight"                    },
    {"gpt_oss_grouped",         "intermediate_size",                                        "64",                               "experts.gate_up_proj"                 },
    {"gpt_oss_grouped",         "swiglu_limit",                                             "0",                                "swiglu_limit"                         },
    {"gpt_oss_grouped",         "model.layers.1.self_attn.sinks",                           NULL,                               "self_attn.sinks"                      },
    {"gpt_oss_grouped",         "model.layers.1.self_attn.o_proj.bias",                     NULL,                               "o_proj.bias"                          },
    {"gpt_oss_grouped",         "model.layers.2.mlp.router.bias",                           NULL,                               "router.bias"                          },
    {"gpt_oss_grouped",         "model.layers.0.mlp.experts.down_proj_bias",                NULL,
     "bias of the experts' down_proj"                                                                                                                                  },
    {"gpt_oss_grouped",         "model.layers.0.mlp.experts.gate_up_proj",                  NULL,                               "experts.gate_up_proj"                 },
    {"quant_mxfp4_gpt_oss",     "model.layers.0.mlp.experts.down_proj_scales",              NULL,
     "experts.down_proj"                                                                                                                                               },
    {"llama4_grouped",          "num_experts_per_tok",                                      "5",                                "num_experts_per_tok"                  },
    {"llama4_grouped",          "intermediate_size",                                        "64",                               "experts.gate_up_proj"                 },
    {"llama4_grouped",          "moe_layers",                                               "[0, 1]",                           "layers.0.feed_forward.router.weight"  },
    {"llama4_grouped",          "moe_layers",                                               "\"all\"",                          "moe_layers"                           },
    {"llama4_grouped",          "no_rope_layers",                                           "[1, 1]",                           "no_rope_layers"                       },
    {"llama4_grouped",          "no_rope_layers",                                           "[1, 1, 1, 2]",                     "no_rope_layers"                       },
    {"llama4_grouped",          "floor_scale",                                              "0",                                "floor_scale"                          },
    {"llama4_grouped",          "attention_chunk_size",                                     "-1",                               "attention_chunk_size"                 },
    {"llama4_grouped",          "model.layers.1.feed_forward.shared_expert.up_proj.weight", NULL,
     "shared_expert.up_proj"                                                                                                                                           },
    {"bailing_moe_grouped",     "norm_head",                                                "true",                             "norm_head is true"                    },
    {"bailing_moe_grouped",     "num_experts_per_tok",                                      "9",                                "num_experts_per_tok"                  },
    {"bailing_moe_grouped",     "num_shared_experts",                                       "1",                                "shared_experts.gate_proj.weight"      },
    {"bailing_moe_grouped",     "first_k_dense_replace",                                    "1",                                "layers.0.mlp.gate_proj.weight"        },
    {"smallthinker_grouped",    "moe_num_active_primary_experts",                           "9",
     "moe_num_active_primary_experts"                                                                                                                                  },
    {"smallthinker_grouped",    "moe_num_active_primary_experts",                           NULL,                               "is missing"                           },
    {"smallthinker_grouped",    "moe_enable_early_router",                                  "false",                            "moe_enable_early_router"              },
    {"smallthinker_grouped",    "moe_layer_layout",                                         "[1, 1, 0, 1, 1]",                  "layer 2 has no experts"               },
    {"smallthinker_grouped",    "rope_layout",                                              "[1, 1]",                           "rope_layout"                          },
    {"deepseek_v2_groups",      "topk_method",                                              "\"noaux_tc\"",                     "topk_method is 'noaux_tc'"            },
    {"deepseek_v2_groups",      "topk_group",                                               "5",                                "topk_group"                           },
    {"deepseek_v2_groups",      "n_group",                                                  "3",                                "is not a multiple of n_group 3"       },
    {"deepseek_v2_groups",      "n_shared_experts",                                         "3",                                "shared_experts.gate_proj.weight"      },
    {"deepseek_v2_groups",      "n_routed_experts",                                         "15",                               "n_routed_experts 15 is not a multiple"},
    {"deepseek_v2_lite",        "n_routed_experts",                                         "7",                                "mlp.gate.weight"                      },
    {"deepseek_v2_lite",        "q_lora_rank",                                              "32",                               "q_a_proj.weight"                      },
    {"deepseek_v2_lite",        "kv_lora_rank",                                             NULL,                               "kv_lora_rank"                         },
    {"deepseek_v2_lite",        "kv_lora_rank",                                             "64",                               "kv_a_proj_with_mqa.weight"            },
    {"deepseek_v2_lite",        "qk_rope_head_dim",                                         "15",                               "an even number"                       },
    {"deepseek_v2_lite",        "qk_nope_head_dim",                                         "16",                               "q_proj.weight"                        },
    {"deepseek_v2_lite",        "v_head_dim",                                               "16",                               "kv_b_proj.weight"                     },
    {"deepseek_v2_lite",        "v_head_dim",                                               "0",                                "v_head_dim"                           },
    {"deepseek_v2_lite",        "model.layers.1.self_attn.kv_a_layernorm.weight",           NULL,                               "kv_a_layernorm"                       },
    {"deepseek_v3_groups",      "num_experts_per_tok",                                      "9",                                "at most the 8 experts of topk_group 2"},
    {"deepseek_v3_groups",      "model.layers.1.mlp.gate.e_score_correction_bias",          NULL,
     "gate.e_score_correction_bias"                                                                                                                                    },
    {"deepseek_v3_groups",      "model.layers.1.mlp.experts.15.down_proj.weight",           NULL,
     "experts.15.down_proj"                                                                                                                                            },
    {"deepseek_v3_groups",      "model.layers.0.self_attn.kv_b_proj.weight",                NULL,                               "kv_b_proj"                            },
    {"deepseek_v32_groups",     "index_topk",                                               NULL,                               "index_topk"                           },
    {"deepseek_v32_groups",     "index_topk",                                               "63",                               "beyond 63 this model attends sparsely"},
    {"glm4_moe_lite_top3",      "mlp_layer_types",                                          "[\"dense\"]",                      "mlp_layer_types"                      },
    {"qwen3_next_grouped",      "linear_num_value_heads",                                   "3",
     "is not a multiple of linear_num_key_heads 2"                                                                                                                     },
    {"qwen3_next_grouped",      "linear_num_value_heads",                                   "6",                                "conv1d.weight"                        },
    {"qwen3_next_grouped",      "linear_num_key_heads",                                     NULL,                               "linear_num_key_heads"                 },
    {"qwen3_next_grouped",      "linear_key_head_dim",                                      "0",                                "linear_key_head_dim"                  },
    {"qwen3_next_grouped",      "linear_conv_kernel_dim",                                   "65",                               "linear_conv_kernel_dim"               },
    {"qwen3_next_grouped",      "linear_conv_kernel_dim",                                   "2",                                "conv1d.weight"                        },
    {"qwen3_next_grouped",      "layer_types",                                              "[\"linear_attention\"]",           "layer_types"                          },
    {"qwen3_next_grouped",      "layer_types",                                              "[\"a\", \"b\", \"c\", \"d\"]",     "layer 0 is 'a'"                       },
    {"qwen3_next_grouped",      "head_dim",                                                 "16",                               "q_proj.weight"                        },
    {"qwen3_next_grouped",      "shared_expert_intermediate_size",                          "32",
     "shared_expert.gate_proj.weight"                                                                                                                                  },
    {"qwen3_next_grouped",      "model.layers.1.linear_attn.A_log",                         NULL,                               "linear_attn.A_log"                    },
    {"qwen3_next_grouped",      "model.layers.0.linear_attn.dt_bias",                       NULL,                               "linear_attn.dt_bias"                  },
    {"qwen3_next_grouped",      "model.layers.2.linear_attn.conv1d.weight",                 NULL,                               "conv1d.weight"                        },
    {"qwen3_next_grouped",      "model.layers.0.linear_attn.in_proj_ba.weight",             NULL,
     "in_proj_b.weight"                                                                                                                                                },
    {"qwen3_5_moe_grouped",     "num_experts_per_tok",                                      "9",                                "num_experts_per_tok"                  },
    {"qwen3_5_moe_grouped",     "moe_intermediate_size",                                    "64",                               "experts.0.gate_proj.weight"           },
    {"qwen3_5_moe_grouped",     "model.layers.0.linear_attn.in_proj_z.weight",              NULL,
     "in_proj_z.weight"                                                                                                                                                },
};

static const bad_case bad_files[] = {
    {"mixtral_top2",            "llama.expert_used_count",              "9",      "llama.expert_used_count"        },
    {"mixtral_top2",            "llama.expert_used_count",              NULL,     "is missing"                     },
    {"mixtral_top2",            "llama.expert_count",                   "7",      "ffn_gate_inp.weight"            },
    {"mixtral_top2",            "llama.expert_count",                   NULL,     "blk.0.ffn_up.weight"            },
    {"mixtral_top2",            "blk.1.ffn_up_exps.weight",             NULL,     "ffn_up_exps"                    },
    {"mixtral_all",             "blk.0.ffn_down.1.weight",              NULL,     "ffn_down.1.weight"              },
    {"qwen3_moe_all",           "blk.1.ffn_gate_up_exps.weight",        NULL,     "ffn_gate_up_exps"               },
    {"qwen3_moe_top2",          "qwen3moe.expert_feed_forward_length",  "32",     "ffn_gate_exps.weight"           },
    {"qwen2_moe_top4",          "blk.0.ffn_gate_inp_shexp.weight",      NULL,     "ffn_gate_inp_shexp.weight"      },
    {"qwen2_moe_top4",          "blk.0.ffn_down_shexp.weight",          NULL,     "ffn_down_shexp.weight"          },
    {"dots1_groups",            "dots1.expert_gating_func",             "9",      "dots1.expert_gating_func is 9"  },
    {"dots1_groups",            "dots1.expert_group_count",             "3",      "is not a multiple of"           },
    {"dots1_groups",            "dots1.leading_dense_block_count",      "0",      "blk.0.ffn_gate_inp.weight"      },
    {"dots1_groups",            "blk.1.exp_probs_b.bias",               NULL,     "blk.1.exp_probs_b.bias"         },
    {"minimax_m2_grouped",      "minimax-m2.expert_used_count",         "9",      "minimax-m2.expert_used_count"   },
    {"minimax_m2_grouped",      "minimax-m2.expert_gating_func",        "4",
     "minimax-m2.expert_gating_func is 4"                                                                          },
    {"minimax_m2_grouped",      "blk.1.exp_probs_b.bias",               NULL,     "blk.1.exp_probs_b.bias"         },
    {"glm4_moe_groups",         "glm4moe.expert_shared_count",          "1",      "ffn_gate_shexp.weight"          },
    {"glm4_moe_groups",         "glm4moe.leading_dense_block_count",    "1",      "blk.1.ffn_gate_inp.weight"      },
    {"ernie4_5_moe_grouped",    "ernie4_5-moe.expert_count",            "4",      "ffn_gate_inp.weight"            },
    {"ernie4_5_moe_grouped",    "blk.2.ffn_up_shexp.weight",            NULL,     "ffn_up_shexp.weight"            },
    {"gpt_oss_grouped",         "blk.0.attn_sinks.weight",              NULL,     "blk.0.attn_sinks.weight"        },
    {"gpt_oss_grouped",         "blk.0.ffn_up_exps.bias",               NULL,     "bias of the experts' ffn_up"    },
    {"gpt_oss_grouped",         "gpt-oss.expert_feed_forward_length",   "64",     "ffn_gate_exps.weight"           },
    {"llama4_grouped",          "llama4.interleave_moe_layer_step",     "1",      "blk.0.ffn_gate_inp.weight"      },
    {"bailing_moe_grouped",     "blk.0.ffn_down_shexp.weight",          NULL,     "ffn_down_shexp.weight"          },
    {"smallthinker_grouped",    "smallthinker.expert_used_count",       NULL,     "is missing"                     },
    {"deepseek_v2_lite",        "deepseek2.attention.kv_lora_rank",     NULL,     "kv_lora_rank"                   },
    {"deepseek_v2_lite",        "deepseek2.attention.key_length_mla",   "16",     "wanted more than"               },
    {"deepseek_v2_lite",        "deepseek2.attention.value_length_mla", "16",     "attn_v_b"                       },
    {"deepseek_v2_lite",        "blk.1.attn_k_b.weight",                NULL,     "attn_k_b.weight"                },
    {"deepseek_v3_groups",      "deepseek2.expert_gating_func",         "9",      "expert_gating_func is 9"        },
    {"deepseek_v2_lite_legacy", "blk.0.attn_kv_b.weight",               NULL,     "blk.0.attn_k_b.weight"          },
    {"deepseek_v3_groups",      "deepseek2.expert_used_count",          "9",      "at most the 8 experts"          },
    {"deepseek_v3_groups",      "blk.1.exp_probs_b.bias",               NULL,     "blk.1.exp_probs_b.bias"         },
    {"deepseek_v32_groups",     "deepseek32.attention.indexer.top_k",   "10",
     "beyond 10 this model attends sparsely"                                                                       },
    {"qwen3_next_grouped",      "qwen3next.ssm.inner_size",             "63",
     "wanted qwen3next.ssm.time_step_rank 4 times"                                                                 },
    {"qwen3_next_grouped",      "qwen3next.ssm.conv_kernel",            NULL,     "ssm.conv_kernel"                },
    {"qwen3_next_grouped",      "qwen3next.ssm.state_size",             "32",     "ssm_conv1d.weight"              },
    {"qwen3_next_grouped",      "qwen3next.attention.recurrent_layers", "[true]", "recurrent_layers"               },
    {"qwen3_next_grouped",      "blk.0.ssm_a",                          NULL,     "tensor 'blk.0.ssm_a' is missing"},
    {"qwen3_next_legacy_mtp",   "qwen3next.nextn_predict_layers",       "3",      "nextn_predict_layers"           },
    {"qwen3_5_moe_grouped",     "blk.1.ssm_beta.weight",                NULL,     "blk.1.ssm_beta.weight"          },
};

/* ---- changing a fixture ---- */

/* Of an array of rows [name, ...]. */
static bool remove_row(json_t *rows, const char *name) {
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        if (strcmp(json_string_value(json_array_get(row, 0)), name) == 0)
            return json_array_remove(rows, i) == 0;
    }
    return false;
}

static json_t *parsed(const char *text) {
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(value);
    return value;
}

static void change_folder(json_t *root, const bad_case *c) {
    json_t *config = json_object_get(root, "config"),
           *text = json_object_get(config, "text_config");
    if (text) config = text;
    if (c->value)
        json_object_set_new(config, c->what, parsed(c->value));
    else if (json_object_del(config, c->what) != 0 &&
             !remove_row(json_object_get(root, "tensors"), c->what))
        fail_msg("%s has no '%s'", c->model, c->what);
}

/* Keys stand with their types. */
static void change_file(json_t *root, const bad_case *c) {
    json_t *gguf = json_object_get(root, "gguf"), *keys = json_object_get(gguf, "metadata");
    if (c->value)
        json_array_set_new(json_object_get(keys, c->what), 1, parsed(c->value));
    else if (json_object_del(keys, c->what) != 0 &&
             !remove_row(json_object_get(gguf, "tensors"), c->what))
        fail_msg("%s has no '%s'", c->model, c->what);
}

static void check_refused(const bad_case *c, const char *path) {
    td_engine *engine = NULL;
    td_err err = {0};
    const td_engine_options options = {.model_path = path,
                                       .mode = TD_MODE_EXACT,
                                       .n_thread = 1,
                                       .n_batch = 16,
                                       .n_ctx = 64,
                                       .n_seq = 1};
    const td_status status = td_engine_create(&engine, &options, &err);
    if (status == TD_OK) {
        td_engine_free(engine);
        fail_msg("%s runs with %s = %s", c->model, c->what, c->value ? c->value : "(nothing)");
    }
    if (!strstr(err.msg, c->text))
        fail_msg("%s, %s: '%s', wanted '%s' in it", c->model, c->what, err.msg, c->text);
    assert_true(status == TD_ERR_FORMAT || status == TD_ERR_UNSUPPORTED);
}

/* ---- the tests ---- */

static void test_folders(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bad_folders / sizeof bad_folders[0]; i++) {
        char dir[] = "/tmp/td_bad_XXXXXX";
        arch_model m;
        assert_non_null(mkdtemp(dir));
        arch_model_load(&m, bad_folders[i].model);
        change_folder(m.root, &bad_folders[i]);
        arch_model_write_folder(&m, (arch_folder_options){.dtype = ARCH_F32}, dir);
        check_refused(&bad_folders[i], dir);
        arch_model_remove_folder(dir);
        arch_model_clear(&m);
    }
}

static void test_files(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bad_files / sizeof bad_files[0]; i++) {
        char path[] = "/tmp/td_bad_XXXXXX";
        arch_model m;
        const int fd = mkstemp(path);
        assert_true(fd >= 0);
        close(fd);
        arch_model_load(&m, bad_files[i].model);
        change_file(m.root, &bad_files[i]);
        arch_model_write_gguf(&m, path);
        check_refused(&bad_files[i], path);
        unlink(path);
        arch_model_clear(&m);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folders),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
