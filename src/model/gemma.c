/* gemma.c - Gemma (Gemma Team, arXiv 2403.08295): Llama with wide heads, a GELU gate, scaled
 * embeddings and norms whose weights are stored less one. */
#include <math.h>

#include "model/archs.h"
#include "model/decoder.h"

#define CLASS(name) "transformers.models.gemma.modeling_gemma.Gemma" name

static td_status read_config(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_config_defaults defaults = {
        .norm_eps = 1e-6, .head_dim = 256, .activation = TD_ACTIVATION_GELU_TANH};
    TD_TRY(td_config_read(c, ckpt, &defaults, err));
    c->embedding_scale = sqrtf((float)c->n_embd);
    return TD_OK;
}

static td_status build_modules(td_model *m, td_err *err) {
    static const td_decoder_spec spec = {
        .classes = {.root = CLASS("ForCausalLM"),
                    .model = CLASS("Model"),
                    .embed = CLASS("TextScaledWordEmbedding"),
                    .layer = CLASS("DecoderLayer"),
                    .attention = CLASS("Attention"),
                    .mlp = CLASS("MLP"),
                    .norm = CLASS("RMSNorm"),
                    .rotary = CLASS("RotaryEmbedding"),
                    .act_fn = "transformers.activations.GELUTanh"},
        .norm_plus_one = true,
        .qkv_bias = TD_BIAS_OPTIONAL,
        .o_bias = TD_BIAS_OPTIONAL,
        .neox_gguf = true,
        .neox_hf = true,
        .unsaid = TD_UNSAID_TIED,
    };
    return td_decoder_build(m, &spec, err);
}

const td_arch td_arch_gemma = {.name = "gemma",
                               .hf_classes = "GemmaForCausalLM",
                               .read_config = read_config,
                               .build_modules = build_modules,
                               .forward = td_decoder_forward};
