/* cohere2.c - Command R7B (Cohere): Command R with a sliding window in three layers of four and no
 * positions in the fourth. */
#include "model/archs.h"
#include "model/decoder.h"

#define CLASS(name) "transformers.models.cohere2.modeling_cohere2.Cohere2" name

static td_status read_config(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_config_defaults defaults = {.norm_eps = 1e-5, .n_ctx_train = 8192};
    static const td_setting logits = {"logit_scale", "logit_scale"};
    TD_TRY(td_config_read(c, ckpt, &defaults, err));
    TD_TRY(td_config_read_window(c, ckpt, err));
    TD_TRY(td_config_mark_windows(c, ckpt, 4, err));
    for (int i = 0; i < c->n_layer; i++)
        if (!(c->layers[i] & TD_LAYER_LOCAL)) c->layers[i] |= TD_LAYER_NO_ROPE;
    c->parallel = true;
    c->logit_scale = 0.0625f;
    return td_config_get_scale(ckpt, logits, &c->logit_scale, err);
}

static td_status build_modules(td_model *m, td_err *err) {
    static const td_decoder_spec spec = {
        .classes = {.root = CLASS("ForCausalLM"),
                    .model = CLASS("Model"),
                    .embed = "torch.nn.Embedding",
                    .layer = CLASS("DecoderLayer"),
                    .attention = CLASS("Attention"),
                    .mlp = CLASS("MLP"),
                    .norm = CLASS("LayerNorm"),
                    .rotary = CLASS("RotaryEmbedding"),
                    .act_fn = "torch.nn.SiLU"},
        .norm = TD_NORM_LAYER,
        .qkv_bias = TD_BIAS_OPTIONAL,
        .o_bias = TD_BIAS_OPTIONAL,
        .unsaid = TD_UNSAID_TIED,
    };
    return td_decoder_build(m, &spec, err);
}

const td_arch td_arch_cohere2 = {.name = "cohere2",
                                 .hf_classes = "Cohere2ForCausalLM",
                                 .read_config = read_config,
                                 .build_modules = build_modules,
                                 .forward = td_decoder_forward};
