/* qwen2_moe.c - Qwen1.5-MoE and Qwen2-57B-A14B (Yang et al., arXiv 2407.10671): Qwen2 with experts,
 * and beside them an MLP for all tokens, with a gate of its own. */
#include "model/archs.h"
#include "model/decoder.h"

#define CLASS(name) "transformers.models.qwen2_moe.modeling_qwen2_moe.Qwen2Moe" name

/* By the list, else every other layer of the first ones. */
static td_status read_window(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_setting in_use = {NULL, "use_sliding_window"};
    static const td_setting list = {NULL, "layer_types"};
    static const td_setting n_first = {NULL, "max_window_layers"};
    bool use = false;
    int last = 28;
    TD_TRY(td_config_get_bool(ckpt, in_use, &use, err));
    if (!use) return TD_OK;
    c->window = 4096;
    TD_TRY(td_config_read_window(c, ckpt, err));
    if (td_config_find(ckpt, list)) return td_config_mark_windows(c, ckpt, 1, err);
    TD_TRY(td_config_get_int(ckpt, n_first, false, 0, TD_MAX_LAYERS, &last, err));
    for (int i = 0; i < c->n_layer && i < last && c->window; i += 2) c->layers[i] |= TD_LAYER_LOCAL;
    return TD_OK;
}

static td_status read_config(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_config_defaults defaults = {.norm_eps = 1e-6, .experts = true};
    TD_TRY(td_config_read(c, ckpt, &defaults, err));
    TD_TRY(read_window(c, ckpt, err));
    c->n_ff_shared = c->n_ff; /* older GGUF files do not say it */
    return td_config_read_experts(c, ckpt, err);
}

static td_status build_modules(td_model *m, td_err *err) {
    static const td_setting qkv_bias = {NULL, "qkv_bias"};
    bool has_bias = true;
    TD_TRY(td_config_get_bool(m->ckpt, qkv_bias, &has_bias, err));
    const td_decoder_spec spec = {
        .classes = {.root = CLASS("ForCausalLM"),
                    .model = CLASS("Model"),
                    .embed = "torch.nn.Embedding",
                    .layer = CLASS("DecoderLayer"),
                    .attention = CLASS("Attention"),
                    .mlp = CLASS("MLP"),
                    .moe = CLASS("SparseMoeBlock"),
                    .router = CLASS("TopKRouter"),
                    .norm = CLASS("RMSNorm"),
                    .rotary = CLASS("RotaryEmbedding"),
                    .act_fn = "torch.nn.SiLU"},
        .names = {.shared = "shared_expert", .shared_gate = "shared_expert_gate"},
        .qkv_bias = has_bias ? TD_BIAS_REQUIRED : TD_BIAS_NONE,
        .neox_gguf = true,
        .neox_hf = true,
    };
    return td_decoder_build(m, &spec, err);
}

const td_arch td_arch_qwen2_moe = {.name = "qwen2moe",
                                   .hf_classes = "Qwen2MoeForCausalLM",
                                   .read_config = read_config,
                                   .build_modules = build_modules,
                                   .forward = td_decoder_forward};
