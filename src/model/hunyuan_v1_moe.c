/* hunyuan_v1_moe.c - Hunyuan-A13B (Tencent): norms of each head's q and k behind their rotation,
 * experts in every layer and an MLP of the same width beside them. */
#include <math.h>

#include "model/archs.h"
#include "model/decoder.h"

#define CLASS(name) "transformers.models.hunyuan_v1_moe.modeling_hunyuan_v1_moe.HunYuanMoEV1" name

/* A longer context by a larger base; GGUF files have the base that comes of it. */
static td_status stretch_base(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_setting set_alpha = {NULL, "rope_parameters.alpha|rope_scaling.alpha"};
    float alpha = 1;
    TD_TRY(td_config_get_scale(ckpt, set_alpha, &alpha, err));
    if (c->rope.scaling == TD_ROPE_PLAIN && c->head_dim > 2)
        c->rope.theta *= pow((double)alpha, c->head_dim / (c->head_dim - 2.0));
    return TD_OK;
}

static td_status read_config(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_config_defaults defaults = {.norm_eps = 1e-5, .experts = true};
    TD_TRY(td_config_read(c, ckpt, &defaults, err));
    TD_TRY(stretch_base(c, ckpt, err));
    c->qk_norm_late = true;
    c->n_ff_shared = c->n_ff;
    TD_TRY(td_config_read_experts(c, ckpt, err));
    c->router.normalize = true;
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
                    .moe = CLASS("Moe"),
                    .norm = CLASS("RMSNorm"),
                    .rotary = CLASS("RotaryEmbedding"),
                    .act_fn = "torch.nn.SiLU"},
        .names = {.router = "gate.wg",
                    .shared = "shared_mlp",
                    .q_norm = "query_layernorm",
                    .k_norm = "key_layernorm"},
        .qkv_bias = TD_BIAS_OPTIONAL,
        .o_bias = TD_BIAS_OPTIONAL,
        .qk_norm = TD_QK_NORM_HEAD,
        .neox_gguf = true,
        .neox_hf = true,
    };
    return td_decoder_build(m, &spec, err);
}

const td_arch td_arch_hunyuan_v1_moe = {.name = "hunyuan-moe",
                                        .hf_classes = "HunYuanMoEV1ForCausalLM",
                                        .read_config = read_config,
                                        .build_modules = build_modules,
                                        .forward = td_decoder_forward};
