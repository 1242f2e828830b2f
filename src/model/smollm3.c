/* smollm3.c - SmolLM3 (Hugging Face): Llama without positions in every fourth layer. */
#include "model/archs.h"
#include "model/decoder.h"

#define CLASS(name) "transformers.models.smollm3.modeling_smollm3.SmolLM3" name

/* no_rope_layers has a 1 for each layer *with* rotation. */
static td_status mark_no_rope(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_setting list = {NULL, "no_rope_layers"};
    static const td_setting interval = {NULL, "no_rope_layer_interval"};
    const td_meta *m = td_config_find(ckpt, list);
    int64_t rotates[TD_MAX_LAYERS];
    int period = 4;
    TD_TRY(td_config_get_int(ckpt, interval, false, 1, TD_MAX_LAYERS, &period, err));
    for (int i = 0; i < c->n_layer; i++) rotates[i] = (i + 1) % period != 0;
    if (m) TD_TRY(td_checkpoint_get_ints(ckpt, m->key, true, 0, 1, c->n_layer, rotates, err));
    for (int i = 0; i < c->n_layer; i++)
        if (!rotates[i]) c->layers[i] |= TD_LAYER_NO_ROPE;
    return TD_OK;
}

static td_status read_config(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_config_defaults defaults = {
        .norm_eps = 1e-6, .rope_theta = 2e6, .n_head_kv = 4};
    TD_TRY(td_config_read(c, ckpt, &defaults, err));
    TD_TRY(td_config_read_qwen_window(c, ckpt, err));
    return mark_no_rope(c, ckpt, err);
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
        .unsaid = TD_UNSAID_TIED,
    };
    return td_decoder_build(m, &spec, err);
}

const td_arch td_arch_smollm3 = {.name = "smollm3",
                                 .hf_classes = "SmolLM3ForCausalLM",
                                 .read_config = read_config,
                                 .build_modules = build_modules,
                                 .forward = td_decoder_forward};
