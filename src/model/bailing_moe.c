/* bailing_moe.c - Ling (Ling Team, arXiv 2503.05139): Llama's attention with q, k and v in one
 * matrix, and DeepSeek-V2's experts without its groups. */
#include "model/archs.h"
#include "model/decoder.h"

#define CLASS(name) "modeling_bailing_moe.BailingMoe" name

/* What the class can do besides, and released models do not. */
static td_status refuse(const td_checkpoint *ckpt, const char *key, td_err *err) {
    const td_setting s = {NULL, key};
    bool on = false;
    TD_TRY(td_config_get_bool(ckpt, s, &on, err));
    if (!on) return TD_OK;
    return td_fail(err, TD_ERR_UNSUPPORTED, "%s is true, which this build does not compute",
                   td_config_name(ckpt, s));
}

static td_status read_config(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_config_defaults defaults = {.norm_eps = 1e-6, .experts = true};
    TD_TRY(td_config_read(c, ckpt, &defaults, err));
    TD_TRY(refuse(ckpt, "norm_head", err)); /* GGUF's converter does it to the weights */
    TD_TRY(refuse(ckpt, "multi_gate", err));
    return td_config_read_experts(c, ckpt, err);
}

static td_status build_modules(td_model *m, td_err *err) {
    static const td_decoder_spec spec = {
        .classes = {.root = CLASS("ForCausalLM"),
                    .model = CLASS("Model"),
                    .embed = "torch.nn.Embedding",
                    .layer = CLASS("DecoderLayer"),
                    .attention = CLASS("Attention"),
                    .mlp = CLASS("MLP"),
                    .moe = CLASS("SparseMoeBlock"),
                    .router = CLASS("Gate"),
                    .norm = CLASS("RMSNorm"),
                    .rotary = CLASS("RotaryEmbedding"),
                    .act_fn = "torch.nn.SiLU"},
        .names = {.embed = "word_embeddings",
                    .attention = "attention",
                    .qkv = "query_key_value",
                    .o = "dense"      },
        .qkv = TD_QKV_ROWS,
        .qkv_bias = TD_BIAS_OPTIONAL,
        .o_bias = TD_BIAS_OPTIONAL,
        .neox_hf = true,
    };
    return td_decoder_build(m, &spec, err);
}

const td_arch td_arch_bailing_moe = {.name = "bailingmoe",
                                     .hf_classes = "BailingMoeForCausalLM",
                                     .read_config = read_config,
                                     .build_modules = build_modules,
                                     .forward = td_decoder_forward};
