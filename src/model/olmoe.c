/* olmoe.c - OLMoE (Muennighoff et al., arXiv 2409.02060): norms of all of q and k together, experts
 * in every layer. */
#include "model/archs.h"
#include "model/decoder.h"

#define CLASS(name) "transformers.models.olmoe.modeling_olmoe.Olmoe" name

static td_status read_config(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_config_defaults defaults = {.norm_eps = 1e-5, .experts = true};
    static const td_setting clip = {"attention.clamp_kqv", "clip_qkv"};
    TD_TRY(td_config_read(c, ckpt, &defaults, err));
    if (td_config_find(ckpt, clip)) TD_TRY(td_config_get_scale(ckpt, clip, &c->qkv_clip, err));
    return td_config_read_experts(c, ckpt, err);
}

static td_status build_modules(td_model *m, td_err *err) {
    static const td_decoder_spec spec = {
        .classes = {.root = CLASS("ForCausalLM"),
                    .model = CLASS("Model"),
                    .embed = "torch.nn.Embedding",
                    .layer = CLASS("DecoderLayer"),
                    .attention = CLASS("Attention"),
                    .moe = CLASS("SparseMoeBlock"),
                    .router = CLASS("TopKRouter"),
                    .norm = CLASS("RMSNorm"),
                    .rotary = CLASS("RotaryEmbedding"),
                    .act_fn = "torch.nn.SiLU"},
        .qkv_bias = TD_BIAS_OPTIONAL,
        .o_bias = TD_BIAS_OPTIONAL,
        .qk_norm = TD_QK_NORM_ALL,
        .neox_gguf = true,
        .neox_hf = true,
    };
    return td_decoder_build(m, &spec, err);
}

const td_arch td_arch_olmoe = {.name = "olmoe",
                               .hf_classes = "OlmoeForCausalLM",
                               .read_config = read_config,
                               .build_modules = build_modules,
                               .forward = td_decoder_forward};
