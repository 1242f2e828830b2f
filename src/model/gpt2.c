/* gpt2.c - GPT-2 (Radford et al., 2019): learned positions, LayerNorm, biases, a plain GELU MLP;
 * its own files hold the matrices transposed. */
#include "model/archs.h"
#include "model/decoder.h"

#define CLASS(name) "transformers.models.gpt2.modeling_gpt2.GPT2" name

static td_status read_config(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_config_defaults defaults = {.norm_eps = 1e-5,
                                                .n_ctx_train = 1024,
                                                .activation = TD_ACTIVATION_GELU_TANH,
                                                .ff_is_4_embd = true};
    static const td_setting by_layer = {NULL, "scale_attn_by_inverse_layer_idx"};
    static const td_setting scaled = {NULL, "scale_attn_weights"};
    bool is_by_layer = false, is_scaled = true;
    TD_TRY(td_config_read(c, ckpt, &defaults, err));
    TD_TRY(td_config_get_bool(ckpt, by_layer, &is_by_layer, err));
    TD_TRY(td_config_get_bool(ckpt, scaled, &is_scaled, err));
    if (is_by_layer)
        return td_fail(err, TD_ERR_UNSUPPORTED, "%s is true; this build wants one scale for all",
                       td_config_name(ckpt, by_layer));
    if (!is_scaled) c->attention_scale = 1;
    c->n_rot = 0;
    return TD_OK;
}

static td_status build_modules(td_model *m, td_err *err) {
    static const td_decoder_spec spec = {
        .classes = {.root = CLASS("LMHeadModel"),
                    .model = CLASS("Model"),
                    .embed = "torch.nn.Embedding",
                    .layer = CLASS("Block"),
                    .attention = CLASS("Attention"),
                    .mlp = CLASS("MLP"),
                    .norm = "torch.nn.LayerNorm",
                    .act_fn = "transformers.activations.NewGELUActivation"},
        .names = { .model = "transformer",
                    .embed = "wte",
                    .positions = "wpe",
                    .layers = "h",
                    .norm = "ln_f",
                    .attention = "attn",
                    .qkv = "c_attn",
                    .o = "c_proj",
                    .up = "c_fc",
                    .down = "c_proj",
                    .attn_norm = {"ln_1", NULL},
                    .mlp_norm = {"ln_2", NULL}},
        .qkv = TD_QKV_ROWS,
        .qkv_bias = TD_BIAS_OPTIONAL,
        .o_bias = TD_BIAS_OPTIONAL,
        .mlp_bias = TD_BIAS_OPTIONAL,
        .norm = TD_NORM_LAYER,
        .plain_mlp = true,
        .conv1d = true,
        .unsaid = TD_UNSAID_TIED | TD_UNSAID_ATTENTION_BIAS | TD_UNSAID_MLP_BIAS,
    };
    return td_decoder_build(m, &spec, err);
}

const td_arch td_arch_gpt2 = {.name = "gpt2",
                              .hf_classes = "GPT2LMHeadModel",
                              .read_config = read_config,
                              .build_modules = build_modules,
                              .forward = td_decoder_forward};
