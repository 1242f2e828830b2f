/* smallthinker.c - SmallThinker (arXiv 2507.20984): the router reads a layer's input, so that
 * experts can be fetched during attention; a ReLU gate; windows in the layers with positions. */
#include "model/archs.h"
#include "model/decoder.h"

#define CLASS(name) "modeling_smallthinker.SmallThinker" name

/* A list with 0 or 1 for each layer; layers marks those that have `marked` there. */
static td_status mark(td_config *c, const td_checkpoint *ckpt, const char *key, int marked,
                      unsigned flag, td_err *err) {
    const td_setting s = {NULL, key};
    int64_t v[TD_MAX_LAYERS];
    if (!td_config_find(ckpt, s)) return TD_OK;
    TD_TRY(td_checkpoint_get_ints(ckpt, td_config_name(ckpt, s), true, 0, 1, c->n_layer, v, err));
    for (int i = 0; i < c->n_layer; i++)
        if (v[i] == marked) c->layers[i] |= (uint8_t)flag;
    return TD_OK;
}

/* GGUF files with a window have it, and positions, in all layers but every fourth from the first.
 */
static td_status read_layers(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_setting window = {"attention.sliding_window", "sliding_window_size"};
    TD_TRY(td_config_get_int(ckpt, window, false, 0, 1 << 30, &c->window, err));
    if (td_checkpoint_get_kind(ckpt) == TD_CHECKPOINT_GGUF) {
        for (int i = 0; i < c->n_layer && c->window; i++)
            c->layers[i] |= i % 4 ? TD_LAYER_LOCAL : TD_LAYER_NO_ROPE;
        return TD_OK;
    }
    TD_TRY(mark(c, ckpt, "rope_layout", 0, TD_LAYER_NO_ROPE, err));
    if (c->window) TD_TRY(mark(c, ckpt, "sliding_window_layout", 1, TD_LAYER_LOCAL, err));
    return TD_OK;
}

/* The class has more than released models use. */
static td_status check_class(const td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_setting early = {NULL, "moe_enable_early_router"};
    static const td_setting second = {NULL, "moe_enable_secondary_experts"};
    static const td_setting kinds = {NULL, "moe_layer_layout"};
    static const td_setting qk_norm = {NULL, "use_qk_norm"};
    bool is_early = true, has_second = false, has_norm = false;
    int64_t sparse[TD_MAX_LAYERS];
    TD_TRY(td_config_get_bool(ckpt, early, &is_early, err));
    TD_TRY(td_config_get_bool(ckpt, second, &has_second, err));
    TD_TRY(td_config_get_bool(ckpt, qk_norm, &has_norm, err));
    if (!is_early || has_second || has_norm)
        return td_fail(err, TD_ERR_UNSUPPORTED,
                       "%s: wanted moe_enable_early_router, and neither "
                       "moe_enable_secondary_experts nor use_qk_norm",
                       td_checkpoint_path(ckpt));
    if (!td_config_find(ckpt, kinds)) return TD_OK;
    TD_TRY(td_checkpoint_get_ints(ckpt, td_config_name(ckpt, kinds), true, 0, 1, c->n_layer, sparse,
                                  err));
    for (int i = 0; i < c->n_layer; i++)
        if (!sparse[i])
            return td_fail(err, TD_ERR_UNSUPPORTED, "%s: layer %d has no experts; wanted all to",
                           td_config_name(ckpt, kinds), i);
    return TD_OK;
}

static td_status read_config(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_config_defaults defaults = {
        .norm_eps = 1e-6, .ff_is_4_embd = true, .experts = true};
    static const td_setting softmax = {NULL, "moe_primary_router_apply_softmax"};
    const bool is_hf = td_checkpoint_get_kind(ckpt) == TD_CHECKPOINT_HF;
    bool is_softmax = !is_hf;
    TD_TRY(td_config_read(c, ckpt, &defaults, err));
    TD_TRY(read_layers(c, ckpt, err));
    TD_TRY(check_class(c, ckpt, err));
    TD_TRY(td_config_get_bool(ckpt, softmax, &is_softmax, err));
    c->activation = TD_ACTIVATION_RELU;
    c->router_early = true;
    c->router.score = is_softmax ? TD_ROUTER_SOFTMAX : TD_ROUTER_SIGMOID;
    c->router.normalize = true;
    return td_config_read_experts(c, ckpt, err);
}

static td_status build_modules(td_model *m, td_err *err) {
    static const td_decoder_spec spec = {
        .classes = {.root = CLASS("ForCausalLM"),
                    .model = CLASS("Model"),
                    .embed = "torch.nn.Embedding",
                    .layer = CLASS("DecoderLayer"),
                    .attention = CLASS("Attention"),
                    .mlp = CLASS("MoeBlock"),
                    .norm = CLASS("RMSNorm"),
                    .rotary = CLASS("RotaryEmbedding"),
                    .act_fn = "torch.nn.ReLU"},
        .names = {.moe = "block_sparse_moe",
                    .router = "primary_router",
                    .expert_gate = "gate",
                    .expert_up = "up",
                    .expert_down = "down"},
        .neox_gguf = true,
        .neox_hf = true,
    };
    return td_decoder_build(m, &spec, err);
}

const td_arch td_arch_smallthinker = {.name = "smallthinker",
                                      .hf_classes = "SmallThinkerForCausalLM",
                                      .read_config = read_config,
                                      .build_modules = build_modules,
                                      .forward = td_decoder_forward};
