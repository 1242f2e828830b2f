/* minicpm.c - MiniCPM (Hu et al., arXiv 2404.06395): Llama with scaled embeddings, residuals and
 * logits. */
#include <math.h>

#include "model/archs.h"
#include "model/decoder.h"

#define CLASS(name) "transformers_modules.modeling_minicpm.MiniCPM" name

static td_status read_config(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_config_defaults defaults = {.norm_eps = 1e-6};
    static const td_setting embedding = {"embedding_scale", "scale_emb"};
    static const td_setting residual = {"residual_scale", NULL}, depth = {NULL, "scale_depth"};
    static const td_setting logits = {"logit_scale", NULL}, base = {NULL, "dim_model_base"};
    TD_TRY(td_config_read(c, ckpt, &defaults, err));
    /* What files say that leave these out: the 2B model's values. */
    float scale_depth = 1.4f, dim_model_base = 256;
    c->embedding_scale = 12;
    TD_TRY(td_config_get_scale(ckpt, embedding, &c->embedding_scale, err));
    TD_TRY(td_config_get_scale(ckpt, depth, &scale_depth, err));
    TD_TRY(td_config_get_scale(ckpt, base, &dim_model_base, err));
    c->residual_scale = scale_depth / sqrtf((float)c->n_layer);
    TD_TRY(td_config_get_scale(ckpt, residual, &c->residual_scale, err));
    float divisor = (float)c->n_embd / dim_model_base;
    TD_TRY(td_config_get_scale(ckpt, logits, &divisor, err));
    c->logit_scale = 1 / divisor;
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
                    .norm = CLASS("RMSNorm"),
                    .rotary = CLASS("RotaryEmbedding"),
                    .act_fn = "torch.nn.SiLU"},
        .qkv_bias = TD_BIAS_OPTIONAL,
        .o_bias = TD_BIAS_OPTIONAL,
        .neox_gguf = false, /* GGUF's converter permutes the rows of q and k */
        .neox_hf = true,
        .unsaid = TD_UNSAID_TIED,
    };
    return td_decoder_build(m, &spec, err);
}

const td_arch td_arch_minicpm = {.name = "minicpm",
                                 .hf_classes = "MiniCPMForCausalLM",
                                 .read_config = read_config,
                                 .build_modules = build_modules,
                                 .forward = td_decoder_forward};
