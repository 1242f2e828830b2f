/* command_r.c - Command R (Cohere): attention and MLP side by side behind one LayerNorm without
 * bias, rotation of neighbours, scaled logits, and norms of q and k in the larger model. */
#include "model/archs.h"
#include "model/decoder.h"

#define CLASS(name) "transformers.models.cohere.modeling_cohere.Cohere" name

static td_status read_config(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_config_defaults defaults = {.norm_eps = 1e-5, .n_ctx_train = 8192};
    static const td_setting logits = {"logit_scale", "logit_scale"};
    TD_TRY(td_config_read(c, ckpt, &defaults, err));
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
        .qk_norm = TD_QK_NORM_HEADS,
        .qkv_bias = TD_BIAS_OPTIONAL,
        .o_bias = TD_BIAS_OPTIONAL,
        .unsaid = TD_UNSAID_TIED,
    };
    return td_decoder_build(m, &spec, err);
}

const td_arch td_arch_command_r = {.name = "command-r",
                                   .hf_classes = "CohereForCausalLM",
                                   .read_config = read_config,
                                   .build_modules = build_modules,
                                   .forward = td_decoder_forward};
