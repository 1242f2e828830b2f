/* llama4.c - Llama 4, text (Meta): layers with positions attend within chunks and norm q and k
 * without weights, those without positions attend to all with queries that grow with their
 * position; the router's weight, a sigmoid, multiplies what an expert reads. */
#include "model/archs.h"
#include "model/decoder.h"

#define CLASS(name) "transformers.models.llama4.modeling_llama4.Llama4" name

/* All layers but every fourth have positions, unless a list says it. */
static td_status mark_positions(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_setting list = {NULL, "no_rope_layers"};
    static const td_setting interval = {NULL, "no_rope_layer_interval"};
    const td_meta *m = td_config_find(ckpt, list);
    int64_t with[TD_MAX_LAYERS];
    int period = 4;
    TD_TRY(td_config_get_int(ckpt, interval, false, 1, TD_MAX_LAYERS, &period, err));
    for (int i = 0; i < c->n_layer; i++) with[i] = (i + 1) % period != 0;
    if (m && m->n_elem > 0)
        TD_TRY(td_checkpoint_get_ints(ckpt, m->key, true, 0, 1, c->n_layer, with, err));
    for (int i = 0; i < c->n_layer; i++)
        c->layers[i] |= with[i] ? TD_LAYER_LOCAL : TD_LAYER_NO_ROPE;
    return TD_OK;
}

/* GGUF files say nothing of chunks and temperatures, but a window of 0 where there are none. */
static td_status read_attention(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_setting chunk = {"attention.sliding_window", "attention_chunk_size"};
    static const td_setting tuning = {NULL, "attn_temperature_tuning"};
    static const td_setting every = {NULL, "floor_scale"};
    static const td_setting scale = {NULL, "attn_scale"};
    c->window = 8192;
    c->chunked = true;
    c->temperature = (td_temperature){.every = 8192, .scale = 0.1f};
    TD_TRY(td_config_get_int(ckpt, chunk, false, 0, 1 << 30, &c->window, err));
    if (td_checkpoint_get_kind(ckpt) == TD_CHECKPOINT_GGUF) {
        if (c->window == 0) return TD_OK;
        c->window = 8192;
    }
    TD_TRY(mark_positions(c, ckpt, err));
    TD_TRY(td_config_get_int(ckpt, every, false, 1, 1 << 30, &c->temperature.every, err));
    TD_TRY(td_config_get_scale(ckpt, scale, &c->temperature.scale, err));
    const td_meta *m = td_config_find(ckpt, tuning); /* true or false, or a number in older files */
    if (m && (m->type == TD_META_BOOL ? !td_meta_bool(m, 0)
                                      : m->type == TD_META_INT && td_meta_int(m, 0) == 0))
        c->temperature.every = 0;
    return TD_OK;
}

static td_status read_config(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_config_defaults defaults = {
        .rope_theta = 500000, .norm_eps = 1e-5, .head_dim = 128, .experts = true};
    static const td_setting n_ff = {NULL, "intermediate_size_mlp"};
    TD_TRY(td_config_read(c, ckpt, &defaults, err));
    TD_TRY(read_attention(c, ckpt, err));
    c->qk_norm_late = true;
    c->n_ff_expert = c->n_ff;
    TD_TRY(td_config_get_int(ckpt, n_ff, false, 1, 1 << 20, &c->n_ff, err));
    c->router.score = TD_ROUTER_SIGMOID;
    TD_TRY(td_config_read_experts(c, ckpt, err));
    c->n_ff_shared = c->n_ff_expert;
    return TD_OK;
}

/* GGUF files do not say it: of the released models the larger one does not norm q and k. */
static td_status read_qk_norm(td_qk_norm *out, const td_model *m, td_err *err) {
    static const td_setting use = {NULL, "use_qk_norm"};
    bool normed =
        td_checkpoint_get_kind(m->ckpt) == TD_CHECKPOINT_HF || m->config.router.n_expert != 128;
    TD_TRY(td_config_get_bool(m->ckpt, use, &normed, err));
    *out = normed ? TD_QK_NORM_PLAIN : TD_QK_NORM_NONE;
    return TD_OK;
}

static td_status build_modules(td_model *m, td_err *err) {
    td_decoder_spec spec = {
        .classes = {.root = CLASS("ForCausalLM"),
                    .model = CLASS("TextModel"),
                    .embed = "torch.nn.Embedding",
                    .layer = CLASS("TextDecoderLayer"),
                    .attention = CLASS("TextAttention"),
                    .mlp = CLASS("TextMLP"),
                    .moe = CLASS("TextMoe"),
                    .router = CLASS("Router"),
                    .norm = CLASS("TextRMSNorm"),
                    .rotary = CLASS("TextRotaryEmbedding"),
                    .act_fn = "torch.nn.SiLU"},
        .names = {.mlp = "feed_forward", .router = "router",     .shared = "shared_expert"      },
        .qkv_bias = TD_BIAS_OPTIONAL,
        .o_bias = TD_BIAS_OPTIONAL,
        .weigh_input = true,
        .experts_transposed = true,
    };
    TD_TRY(read_qk_norm(&spec.qk_norm, m, err));
    return td_decoder_build(m, &spec, err);
}

const td_arch td_arch_llama4 = {.name = "llama4",
                                .hf_classes = "Llama4ForCausalLM Llama4ForConditionalGeneration",
                                .read_config = read_config,
                                .build_modules = build_modules,
                                .forward = td_decoder_forward};
