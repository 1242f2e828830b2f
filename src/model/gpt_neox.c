/* gpt_neox.c - GPT-NeoX and Pythia (Black et al., arXiv 2204.06745): attention and MLP side by side
 * with a LayerNorm each, rotation of a part of each head. */
#include "model/archs.h"
#include "model/decoder.h"

#define CLASS(name) "transformers.models.gpt_neox.modeling_gpt_neox.GPTNeoX" name

static td_status read_config(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_config_defaults defaults = {
        .norm_eps = 1e-5, .rotary_factor = 0.25, .activation = TD_ACTIVATION_GELU};
    static const td_setting parallel = {"use_parallel_residual", "use_parallel_residual"};
    TD_TRY(td_config_read(c, ckpt, &defaults, err));
    c->parallel = true;
    return td_config_get_bool(ckpt, parallel, &c->parallel, err);
}

static td_status build_modules(td_model *m, td_err *err) {
    static const td_decoder_spec spec = {
        .classes = {.root = CLASS("ForCausalLM"),
                    .model = CLASS("Model"),
                    .embed = "torch.nn.Embedding",
                    .layer = CLASS("Layer"),
                    .attention = CLASS("Attention"),
                    .mlp = CLASS("MLP"),
                    .norm = "torch.nn.LayerNorm",
                    .rotary = CLASS("RotaryEmbedding"),
                    .act_fn = "transformers.activations.GELUActivation"},
        .names = {.model = "gpt_neox",
                    .embed = "embed_in",
                    .norm = "final_layer_norm",
                    .lm_head = "embed_out",
                    .attention = "attention",
                    .qkv = "query_key_value",
                    .o = "dense",
                    .up = "dense_h_to_4h",
                    .down = "dense_4h_to_h"                            },
        .qkv = TD_QKV_GROUPS,
        .qkv_bias = TD_BIAS_OPTIONAL,
        .o_bias = TD_BIAS_OPTIONAL,
        .mlp_bias = TD_BIAS_OPTIONAL,
        .norm = TD_NORM_LAYER,
        .plain_mlp = true,
        .neox_gguf = true,
        .neox_hf = true,
        .unsaid = TD_UNSAID_ATTENTION_BIAS | TD_UNSAID_MLP_BIAS | TD_UNSAID_TWO_NORMS,
    };
    return td_decoder_build(m, &spec, err);
}

const td_arch td_arch_gpt_neox = {.name = "gptneox",
                                  .hf_classes = "GPTNeoXForCausalLM",
                                  .read_config = read_config,
                                  .build_modules = build_modules,
                                  .forward = td_decoder_forward};
