/* qwen3_5.c - the text side of Qwen3.5, with experts and without: as Qwen3-Next, the projections of
 * linear attention in other tensors.  Its three rotary positions are one and the same for text. */
#include "model/archs.h"
#include "model/decoder.h"

#define DENSE(name) "transformers.models.qwen3_5.modeling_qwen3_5.Qwen3_5" name
#define MOE(name)   "transformers.models.qwen3_5_moe.modeling_qwen3_5_moe.Qwen3_5Moe" name

static td_status read_config(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_config_defaults defaults = {
        .norm_eps = 1e-6, .head_dim = 256, .rotary_factor = 0.25, .n_ctx_train = 32768};
    TD_TRY(td_config_read(c, ckpt, &defaults, err));
    return td_config_read_delta(c, ckpt, err);
}

static td_status read_config_moe(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_config_defaults defaults = {.norm_eps = 1e-6,
                                                .head_dim = 256,
                                                .rotary_factor = 0.25,
                                                .n_ctx_train = 32768,
                                                .ff_is_4_embd = true,
                                                .experts = true};
    TD_TRY(td_config_read(c, ckpt, &defaults, err));
    c->n_ff_expert = 512;
    c->router.normalize = true;
    TD_TRY(td_config_read_experts(c, ckpt, err));
    c->n_ff = c->n_ff_expert; /* all layers have experts: no MLP of another width */
    return td_config_read_delta(c, ckpt, err);
}

static td_status build(td_model *m, const td_class_names *classes, td_err *err) {
    const td_decoder_spec spec = {
        .classes = *classes,
        .names = {.mlp_norm = {"post_attention_layernorm", "post_attention_norm"},
                  .shared = "shared_expert",
                  .shared_gate = "shared_expert_gate"},
        .qkv_bias = TD_BIAS_OPTIONAL,
        .o_bias = TD_BIAS_OPTIONAL,
        .norm_plus_one = true,
        .qk_norm = TD_QK_NORM_HEAD,
        .q_gate = true,
        .delta_tiled = true,
        .delta_apart = true,
        .neox_gguf = true,
        .neox_hf = true,
    };
    return td_decoder_build(m, &spec, err);
}

static td_status build_modules(td_model *m, td_err *err) {
    static const td_class_names classes = {.root = DENSE("ForCausalLM"),
                                           .model = DENSE("TextModel"),
                                           .embed = "torch.nn.Embedding",
                                           .layer = DENSE("DecoderLayer"),
                                           .attention = DENSE("Attention"),
                                           .delta = DENSE("GatedDeltaNet"),
                                           .delta_norm = DENSE("RMSNormGated"),
                                           .mlp = DENSE("MLP"),
                                           .norm = DENSE("RMSNorm"),
                                           .rotary = DENSE("TextRotaryEmbedding"),
                                           .act_fn = "torch.nn.SiLU"};
    return build(m, &classes, err);
}

static td_status build_modules_moe(td_model *m, td_err *err) {
    static const td_class_names classes = {.root = MOE("ForCausalLM"),
                                           .model = MOE("TextModel"),
                                           .embed = "torch.nn.Embedding",
                                           .layer = MOE("DecoderLayer"),
                                           .attention = MOE("Attention"),
                                           .delta = MOE("GatedDeltaNet"),
                                           .delta_norm = MOE("RMSNormGated"),
                                           .mlp = MOE("MLP"),
                                           .moe = MOE("SparseMoeBlock"),
                                           .router = MOE("TopKRouter"),
                                           .norm = MOE("RMSNorm"),
                                           .rotary = MOE("TextRotaryEmbedding"),
                                           .act_fn = "torch.nn.SiLU"};
    return build(m, &classes, err);
}

const td_arch td_arch_qwen3_5 = {.name = "qwen35",
                                 .hf_classes = "Qwen3_5ForCausalLM Qwen3_5ForConditionalGeneration",
                                 .read_config = read_config,
                                 .build_modules = build_modules,
                                 .forward = td_decoder_forward};

const td_arch td_arch_qwen3_5_moe = {.name = "qwen35moe",
                                     .hf_classes =
                                         "Qwen3_5MoeForCausalLM Qwen3_5MoeForConditionalGeneration",
                                     .read_config = read_config_moe,
                                     .build_modules = build_modules_moe,
                                     .forward = td_decoder_forward};
