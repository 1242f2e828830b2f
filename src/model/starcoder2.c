/* starcoder2.c - StarCoder 2 (Lozhkov et al., arXiv 2402.19173): LayerNorm, biases everywhere, a
 * plain GELU MLP, a sliding window. */
#include "model/archs.h"
#include "model/decoder.h"

#define CLASS(name) "transformers.models.starcoder2.modeling_starcoder2.Starcoder2" name

static td_status read_config(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_config_defaults defaults = {
        .norm_eps = 1e-5, .n_head_kv = 2, .activation = TD_ACTIVATION_GELU_TANH};
    TD_TRY(td_config_read(c, ckpt, &defaults, err));
    TD_TRY(td_config_read_window(c, ckpt, err));
    TD_TRY(td_config_mark_windows(c, ckpt, 0, err));
    return TD_OK;
}

static td_status build_modules(td_model *m, td_err *err) {
    static const td_decoder_spec spec = {
        .classes = {.root = CLASS("ForCausalLM"),
                    .model = CLASS("Model"),
                    .embed = "torch.nn.Embedding",
                    .layer = CLASS("DecoderLayer"),
                    .attention = CLASS("Attention"),
                    .mlp = CLASS("MLP"),
                    .norm = "torch.nn.LayerNorm",
                    .rotary = CLASS("RotaryEmbedding"),
                    .act_fn = "transformers.activations.GELUTanh"},
        .names = {.up = "c_fc", .down = "c_proj"},
        .norm = TD_NORM_LAYER,
        .plain_mlp = true,
        .qkv_bias = TD_BIAS_OPTIONAL,
        .o_bias = TD_BIAS_OPTIONAL,
        .mlp_bias = TD_BIAS_OPTIONAL,
        .neox_gguf = true,
        .neox_hf = true,
        .unsaid = TD_UNSAID_TIED | TD_UNSAID_ATTENTION_BIAS | TD_UNSAID_MLP_BIAS,
    };
    return td_decoder_build(m, &spec, err);
}

const td_arch td_arch_starcoder2 = {.name = "starcoder2",
                                    .hf_classes = "Starcoder2ForCausalLM",
                                    .read_config = read_config,
                                    .build_modules = build_modules,
                                    .forward = td_decoder_forward};
