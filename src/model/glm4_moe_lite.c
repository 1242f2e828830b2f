/* glm4_moe_lite.c - GLM-4.7-Flash: DeepSeek-V3's shape under a name of its own in folders; GGUF
 * files call it deepseek2. */
#include "model/archs.h"
#include "model/deepseek.h"

#define CLASS(name) "transformers.models.glm4_moe_lite.modeling_glm4_moe_lite.Glm4MoeLite" name

static td_status build_modules(td_model *m, td_err *err) {
    static const td_class_names classes = {.root = CLASS("ForCausalLM"),
                                           .model = CLASS("Model"),
                                           .embed = "torch.nn.Embedding",
                                           .layer = CLASS("DecoderLayer"),
                                           .attention = CLASS("Attention"),
                                           .mlp = CLASS("MLP"),
                                           .moe = CLASS("MoE"),
                                           .router = CLASS("TopkRouter"),
                                           .norm = CLASS("RMSNorm"),
                                           .rotary = CLASS("RotaryEmbedding"),
                                           .act_fn = "torch.nn.SiLU"};
    return td_deepseek_v3_build(m, &classes, err);
}

const td_arch td_arch_glm4_moe_lite = {.name = "glm4_moe_lite",
                                       .hf_only = true,
                                       .hf_classes = "Glm4MoeLiteForCausalLM",
                                       .read_config = td_deepseek_v3_config,
                                       .build_modules = build_modules,
                                       .forward = td_decoder_forward};
