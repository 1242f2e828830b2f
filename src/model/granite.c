/* granite.c - Granite 3 (IBM), dense and with experts: Llama with multipliers on embeddings,
 * attention, residuals and logits. */
#include "model/archs.h"
#include "model/decoder.h"

#define CLASS(name) "transformers.models.granite.modeling_granite.Granite" name
#define MOE(name)   "transformers.models.granitemoe.modeling_granitemoe.GraniteMoe" name

static td_status read_multipliers(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_setting attention = {"attention.scale", "attention_multiplier"};
    static const td_setting embedding = {"embedding_scale", "embedding_multiplier"};
    static const td_setting residual = {"residual_scale", "residual_multiplier"};
    static const td_setting logits = {"logit_scale", "logits_scaling"};
    if (td_checkpoint_get_kind(ckpt) == TD_CHECKPOINT_HF) c->attention_scale = 1;
    TD_TRY(td_config_get_scale(ckpt, attention, &c->attention_scale, err));
    TD_TRY(td_config_get_scale(ckpt, embedding, &c->embedding_scale, err));
    TD_TRY(td_config_get_scale(ckpt, residual, &c->residual_scale, err));
    float divisor = 1;
    TD_TRY(td_config_get_scale(ckpt, logits, &divisor, err));
    c->logit_scale = 1 / divisor;
    return TD_OK;
}

static td_status read_config(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_config_defaults defaults = {.norm_eps = 1e-6};
    TD_TRY(td_config_read(c, ckpt, &defaults, err));
    return read_multipliers(c, ckpt, err);
}

static td_status read_config_moe(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_config_defaults defaults = {.norm_eps = 1e-6, .experts = true};
    TD_TRY(td_config_read(c, ckpt, &defaults, err));
    TD_TRY(read_multipliers(c, ckpt, err));
    c->router.score = TD_ROUTER_SOFTMAX_OF_CHOSEN;
    return td_config_read_experts(c, ckpt, err);
}

static td_status build_modules(td_model *m, td_err *err) {
    static const td_decoder_spec spec = {
        .classes = {.root = CLASS("ForCausalLM"),
                    .model = CLASS("Model"),
                    .embed = "torch.nn.Embedding",
                    .layer = CLASS("DecoderLayer"),
                    .attention = CLASS("Attention"),
                    .mlp = CLASS("MLP"),
                    .norm = CLASS("RMSNorm"),
                    .rotary = CLASS("RotaryEmbedding"),
                    .act_fn = "torch.nn.SiLU"},
        .qkv_bias = TD_BIAS_OPTIONAL,
        .o_bias = TD_BIAS_OPTIONAL,
        .mlp_bias = TD_BIAS_OPTIONAL,
        .neox_gguf = false, /* GGUF's converter permutes the rows of q and k */
        .neox_hf = true,
    };
    return td_decoder_build(m, &spec, err);
}

static td_status build_moe(td_model *m, td_err *err) {
    static const td_decoder_spec spec = {
        .classes = {.root = MOE("ForCausalLM"),
                    .model = MOE("Model"),
                    .embed = "torch.nn.Embedding",
                    .layer = MOE("DecoderLayer"),
                    .attention = MOE("Attention"),
                    .mlp = "transformers.models.granitemoeshared.modeling_granitemoeshared."
                           "GraniteMoeSharedMLP", .moe = MOE("MoE"),
                    .router = MOE("TopKRouter"),
                    .norm = MOE("RMSNorm"),
                    .rotary = MOE("RotaryEmbedding"),
                    .act_fn = "torch.nn.SiLU"},
        .names = {.moe = "block_sparse_moe",
                    .router = "router.layer",
                    .all_gate_up = "input_linear.weight",
                    .all_down = "output_linear.weight",
                    .shared = "shared_mlp",
                    .gate_up = "input_linear",
                    .down = "output_linear"           },
        .qkv_bias = TD_BIAS_OPTIONAL,
        .o_bias = TD_BIAS_OPTIONAL,
        .shared_beside = true,
        .neox_gguf = false,
        .neox_hf = true,
    };
    return td_decoder_build(m, &spec, err);
}

const td_arch td_arch_granite = {.name = "granite",
                                 .hf_classes = "GraniteForCausalLM",
                                 .read_config = read_config,
                                 .build_modules = build_modules,
                                 .forward = td_decoder_forward};

const td_arch td_arch_granite_moe = {.name = "granitemoe",
                                     .hf_classes =
                                         "GraniteMoeForCausalLM GraniteMoeSharedForCausalLM",
                                     .read_config = read_config_moe,
                                     .build_modules = build_moe,
                                     .forward = td_decoder_forward};
