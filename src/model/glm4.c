/* glm4.c - GLM-4-0414 (GLM Team, arXiv 2406.12793): norms before and after each block, rotation of
 * neighbours in the first half of each head, gate and up in one matrix. */
#include "model/archs.h"
#include "model/decoder.h"

#define CLASS(name) "transformers.models.glm4.modeling_glm4.Glm4" name

static td_status read_config(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_config_defaults defaults = {
        .norm_eps = 1.5625e-7, .head_dim = 128, .n_head_kv = 2, .rotary_factor = 0.5};
    return td_config_read(c, ckpt, &defaults, err);
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
        .names = {.gate_up = "gate_up_proj",
                    .attn_post_norm = {"post_self_attn_layernorm", "post_attention_norm"},
                    .mlp_post_norm = {"post_mlp_layernorm", "post_ffw_norm"}     },
        .qkv_bias = TD_BIAS_OPTIONAL,
        .unsaid = TD_UNSAID_ATTENTION_BIAS,
    };
    return td_decoder_build(m, &spec, err);
}

const td_arch td_arch_glm4 = {.name = "glm4",
                              .hf_classes = "Glm4ForCausalLM",
                              .read_config = read_config,
                              .build_modules = build_modules,
                              .forward = td_decoder_forward};
