/* deepseek_v32.c - DeepSeek-V3.2 and GLM-5: DeepSeek-V3's shape and an indexer, which lets each
 * token attend to index_topk others.  Up to that many tokens these are all there are, and the
 * indexer decides nothing: that far, and no further, this build runs them. */
#include <limits.h>

#include "model/archs.h"
#include "model/deepseek.h"

#define V32(name) "transformers.models.deepseek_v32.modeling_deepseek_v32.DeepseekV32" name
#define GLM(name) "transformers.models.glm_moe_dsa.modeling_glm_moe_dsa.GlmMoeDsa" name

static td_status read_config(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_setting top_k = {"attention.indexer.top_k", "index_topk"};
    TD_TRY(td_deepseek_v3_config(c, ckpt, err));
    /* In GGUF files too the names stand for sigmoids, whether said or not. */
    c->router.score = TD_ROUTER_SIGMOID;
    c->router.group_rule = TD_ROUTER_GROUP_TOP2;
    return td_config_get_int(ckpt, top_k, true, 1, INT_MAX, &c->n_ctx_dense, err);
}

static td_status build_v32(td_model *m, td_err *err) {
    static const td_class_names classes = {.root = V32("ForCausalLM"),
                                           .model = V32("Model"),
                                           .embed = "torch.nn.Embedding",
                                           .layer = V32("DecoderLayer"),
                                           .attention = V32("Attention"),
                                           .mlp = V32("MLP"),
                                           .moe = V32("MoE"),
                                           .router = V32("TopkRouter"),
                                           .norm = V32("RMSNorm"),
                                           .rotary = V32("RotaryEmbedding"),
                                           .act_fn = "torch.nn.SiLU"};
    return td_deepseek_v3_build(m, &classes, err);
}

static td_status build_glm(td_model *m, td_err *err) {
    static const td_class_names classes = {.root = GLM("ForCausalLM"),
                                           .model = GLM("Model"),
                                           .embed = "torch.nn.Embedding",
                                           .layer = GLM("DecoderLayer"),
                                           .attention = GLM("Attention"),
                                           .mlp = GLM("MLP"),
                                           .moe = GLM("MoE"),
                                           .router = GLM("TopkRouter"),
                                           .norm = GLM("RMSNorm"),
                                           .rotary = GLM("RotaryEmbedding"),
                                           .act_fn = "torch.nn.SiLU"};
    return td_deepseek_v3_build(m, &classes, err);
}

const td_arch td_arch_deepseek_v32 = {.name = "deepseek32",
                                      .hf_classes = "DeepseekV32ForCausalLM",
                                      .read_config = read_config,
                                      .build_modules = build_v32,
                                      .forward = td_decoder_forward};

const td_arch td_arch_glm_moe_dsa = {.name = "glm-dsa",
                                     .hf_classes = "GlmMoeDsaForCausalLM",
                                     .read_config = read_config,
                                     .build_modules = build_glm,
                                     .forward = td_decoder_forward};
