/* gpt_oss.c - gpt-oss (OpenAI, arXiv 2508.10925): attention with a sink per head, windows in every
 * other layer, biases throughout, and experts with a bounded SwiGLU whose weights are a softmax
 * over the chosen. */
#include "model/archs.h"
#include "model/decoder.h"

#define CLASS(name) "transformers.models.gpt_oss.modeling_gpt_oss.GptOss" name

static td_status read_bounds(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_setting alpha = {NULL, "swiglu_alpha"};
    static const td_setting limit = {NULL, "swiglu_limit"};
    c->expert_bounds = (td_glu_bounds){.alpha = 1.702f, .limit = 7};
    TD_TRY(td_config_get_scale(ckpt, alpha, &c->expert_bounds.alpha, err));
    return td_config_get_scale(ckpt, limit, &c->expert_bounds.limit, err);
}

static td_status read_config(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_config_defaults defaults = {
        .rope_theta = 150000, .norm_eps = 1e-5, .head_dim = 64, .experts = true};
    TD_TRY(td_config_read(c, ckpt, &defaults, err));
    /* GGUF files do not say it: the released models do not round the ends of YaRN's ramp. */
    if (td_checkpoint_get_kind(ckpt) == TD_CHECKPOINT_GGUF) c->rope.truncate = false;
    TD_TRY(td_config_read_window(c, ckpt, err));
    TD_TRY(td_config_mark_windows(c, ckpt, 2, err));
    TD_TRY(read_bounds(c, ckpt, err));
    c->router.score = TD_ROUTER_SOFTMAX_OF_CHOSEN;
    return td_config_read_experts(c, ckpt, err);
}

static td_status build_modules(td_model *m, td_err *err) {
    static const td_setting use = {NULL, "attention_bias"};
    bool biased = true;
    td_decoder_spec spec = {
        .classes = {.root = CLASS("ForCausalLM"),
                    .model = CLASS("Model"),
                    .embed = "torch.nn.Embedding",
                    .layer = CLASS("DecoderLayer"),
                    .attention = CLASS("Attention"),
                    .mlp = CLASS("MLP"),
                    .router = CLASS("TopKRouter"),
                    .norm = CLASS("RMSNorm"),
                    .rotary = CLASS("RotaryEmbedding"),
                    .act_fn = "torch.nn.SiLU"},
        .names = {.mlp_norm = {"post_attention_layernorm", "post_attention_norm"},
                    .sinks = "sinks",
                    .router = "router"},
        .router_bias = true,
        .expert_bias = true,
        .experts_transposed = true,
        .experts_interleaved = true,
        .neox_gguf = true,
        .neox_hf = true,
    };
    TD_TRY(td_config_get_bool(m->ckpt, use, &biased, err));
    spec.qkv_bias = spec.o_bias = biased ? TD_BIAS_REQUIRED : TD_BIAS_NONE;
    return td_decoder_build(m, &spec, err);
}

const td_arch td_arch_gpt_oss = {.name = "gpt-oss",
                                 .hf_classes = "GptOssForCausalLM",
                                 .read_config = read_config,
                                 .build_modules = build_modules,
                                 .forward = td_decoder_forward};
