/* granite.c - Granite 3 (IBM): Llama with multipliers on embeddings, attention, residuals and
 * logits. */
#include "model/archs.h"
#include "model/decoder.h"

#define CLASS(name) "transformers.models.granite.modeling_granite.Granite" name

static td_status read_config(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_config_defaults defaults = {.norm_eps = 1e-6};
    static const td_setting attention = {"attention.scale", "attention_multiplier"};
    static const td_setting embedding = {"embedding_scale", "embedding_multiplier"};
    static const td_setting residual = {"residual_scale", "residual_multiplier"};
    static const td_setting logits = {"logit_scale", "logits_scaling"};
    TD_TRY(td_config_read(c, ckpt, &defaults, err));
    if (td_checkpoint_get_kind(ckpt) == TD_CHECKPOINT_HF) c->attention_scale = 1;
    TD_TRY(td_config_get_scale(ckpt, attention, &c->attention_scale, err));
    TD_TRY(td_config_get_scale(ckpt, embedding, &c->embedding_scale, err));
    TD_TRY(td_config_get_scale(ckpt, residual, &c->residual_scale, err));
    float divisor = 1;
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
        .mlp_bias = TD_BIAS_OPTIONAL,
        .neox_gguf = false, /* GGUF's converter permutes the rows of q and k */
        .neox_hf = true,
    };
    return td_decoder_build(m, &spec, err);
}

const td_arch td_arch_granite = {.name = "granite",
                                 .hf_classes = "GraniteForCausalLM",
                                 .read_config = read_config,
                                 .build_modules = build_modules,
                                 .forward = td_decoder_forward};
