/* glm4_moe.c - GLM-4.5 and 4.6 (GLM-4.5 Team, arXiv 2508.06471): DeepSeek-V3's experts behind
 * grouped-query attention that rotates half of each head. */
#include "model/archs.h"
#include "model/decoder.h"

#define CLASS(name) "transformers.models.glm4_moe.modeling_glm4_moe.Glm4Moe" name

static td_status read_config(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_config_defaults defaults = {
        .norm_eps = 1e-5, .rotary_factor = 0.5, .experts = true};
    TD_TRY(td_config_read(c, ckpt, &defaults, err));
    c->router.score = TD_ROUTER_SIGMOID;
    c->router.group_rule = TD_ROUTER_GROUP_TOP2;
    c->router.normalize = true;
    c->router.norm_added = 1e-20f;
    return td_config_read_experts(c, ckpt, err);
}

/* GGUF files do not say whether q and k are normed: they have the norms or not. */
static td_status read_qk_norm(td_qk_norm *out, const td_checkpoint *ckpt, td_err *err) {
    static const td_setting use = {NULL, "use_qk_norm"};
    bool normed = td_checkpoint_tensor(ckpt, "blk.0.attn_q_norm.weight") != NULL;
    TD_TRY(td_config_get_bool(ckpt, use, &normed, err));
    *out = normed ? TD_QK_NORM_HEAD : TD_QK_NORM_NONE;
    return TD_OK;
}

static td_status build_modules(td_model *m, td_err *err) {
    td_decoder_spec spec = {
        .classes = {.root = CLASS("ForCausalLM"),
                    .model = CLASS("Model"),
                    .embed = "torch.nn.Embedding",
                    .layer = CLASS("DecoderLayer"),
                    .attention = CLASS("Attention"),
                    .mlp = CLASS("MLP"),
                    .moe = CLASS("MoE"),
                    .router = CLASS("TopkRouter"),
                    .norm = CLASS("RMSNorm"),
                    .rotary = CLASS("RotaryEmbedding"),
                    .act_fn = "torch.nn.SiLU"},
        .names = {.mlp_norm = {"post_attention_layernorm", "post_attention_norm"}},
        .qkv_bias = TD_BIAS_OPTIONAL,
        .correction = true,
        .neox_gguf = true,
        .neox_hf = true,
    };
    TD_TRY(read_qk_norm(&spec.qk_norm, m->ckpt, err));
    return td_decoder_build(m, &spec, err);
}

const td_arch td_arch_glm4_moe = {.name = "glm4moe",
                                  .hf_classes = "Glm4MoeForCausalLM",
                                  .read_config = read_config,
                                  .build_modules = build_modules,
                                  .forward = td_decoder_forward};
