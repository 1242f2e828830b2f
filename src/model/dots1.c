/* dots1.c - dots.llm1 (Huo et al., arXiv 2506.05767): Qwen3's attention, DeepSeek-V3's experts. */
#include "model/archs.h"
#include "model/decoder.h"

#define CLASS(name) "transformers.models.dots1.modeling_dots1.Dots1" name

static td_status read_config(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_config_defaults defaults = {.norm_eps = 1e-6, .experts = true};
    TD_TRY(td_config_read(c, ckpt, &defaults, err));
    TD_TRY(td_config_read_last_windows(c, ckpt, 62, err));
    c->router.score = TD_ROUTER_SIGMOID;
    c->router.group_rule = TD_ROUTER_GROUP_TOP2;
    c->router.norm_added = 1e-20f;
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
                    .moe = CLASS("MoE"),
                    .router = CLASS("TopkRouter"),
                    .norm = CLASS("RMSNorm"),
                    .rotary = CLASS("RotaryEmbedding"),
                    .act_fn = "torch.nn.SiLU"},
        .qkv_bias = TD_BIAS_OPTIONAL,
        .o_bias = TD_BIAS_OPTIONAL,
        .qk_norm = TD_QK_NORM_HEAD,
        .correction = true,
        .neox_gguf = true,
        .neox_hf = true,
    };
    return td_decoder_build(m, &spec, err);
}

const td_arch td_arch_dots1 = {.name = "dots1",
                               .hf_classes = "Dots1ForCausalLM",
                               .read_config = read_config,
                               .build_modules = build_modules,
                               .forward = td_decoder_forward};
