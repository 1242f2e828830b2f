/* qwen3_next.c - Qwen3-Next: three layers of linear attention to one of full attention with a gate,
 * and a mixture of experts with a gated MLP beside it. */
#include "model/archs.h"
#include "model/decoder.h"

#define CLASS(name) "transformers.models.qwen3_next.modeling_qwen3_next.Qwen3Next" name

static td_status read_config(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_config_defaults defaults = {.norm_eps = 1e-6,
                                                .head_dim = 256,
                                                .rotary_factor = 0.25,
                                                .n_ctx_train = 32768,
                                                .experts = true};
    TD_TRY(td_config_read(c, ckpt, &defaults, err));
    c->router.normalize = true;
    TD_TRY(td_config_read_experts(c, ckpt, err));
    return td_config_read_delta(c, ckpt, err);
}

static td_status build_modules(td_model *m, td_err *err) {
    static const td_decoder_spec spec = {
        .classes = {.root = CLASS("ForCausalLM"),
                    .model = CLASS("Model"),
                    .embed = "torch.nn.Embedding",
                    .layer = CLASS("DecoderLayer"),
                    .attention = CLASS("Attention"),
                    .delta = CLASS("GatedDeltaNet"),
                    .delta_norm = CLASS("RMSNormGated"),
                    .mlp = CLASS("MLP"),
                    .moe = CLASS("SparseMoeBlock"),
                    .router = CLASS("TopKRouter"),
                    .norm = CLASS("RMSNorm"),
                    .rotary = CLASS("RotaryEmbedding"),
                    .act_fn = "torch.nn.SiLU"},
        .names = {.mlp_norm = {"post_attention_layernorm", "post_attention_norm"},
                    .shared = "shared_expert",
                    .shared_gate = "shared_expert_gate"},
        .qkv_bias = TD_BIAS_OPTIONAL,
        .o_bias = TD_BIAS_OPTIONAL,
        .norm_plus_one = true,
        .qk_norm = TD_QK_NORM_HEAD,
        .q_gate = true,
        .neox_gguf = true,
        .neox_hf = true,
    };
    return td_decoder_build(m, &spec, err);
}

const td_arch td_arch_qwen3_next = {.name = "qwen3next",
                                    .hf_classes = "Qwen3NextForCausalLM",
                                    .read_config = read_config,
                                    .build_modules = build_modules,
                                    .forward = td_decoder_forward};
