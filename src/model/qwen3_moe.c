/* qwen3_moe.c - Qwen3 with experts (Yang et al., arXiv 2505.09388): as Qwen3, a mixture of experts
 * in the MLP's place. */
#include "model/archs.h"
#include "model/decoder.h"

#define CLASS(name) "transformers.models.qwen3_moe.modeling_qwen3_moe.Qwen3Moe" name

/* All layers or none. */
static td_status read_window(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_setting in_use = {NULL, "use_sliding_window"};
    bool use = false;
    TD_TRY(td_config_get_bool(ckpt, in_use, &use, err));
    if (!use) return TD_OK;
    c->window = 4096;
    TD_TRY(td_config_read_window(c, ckpt, err));
    for (int i = 0; i < c->n_layer; i++) c->layers[i] |= TD_LAYER_LOCAL;
    return TD_OK;
}

static td_status read_config(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_config_defaults defaults = {.norm_eps = 1e-6, .experts = true};
    TD_TRY(td_config_read(c, ckpt, &defaults, err));
    TD_TRY(read_window(c, ckpt, err));
    /* GGUF files do not say it: the released models normalize. */
    c->router.normalize = td_checkpoint_get_kind(ckpt) == TD_CHECKPOINT_GGUF;
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
                    .norm = CLASS("RMSNorm"),
                    .rotary = CLASS("RotaryEmbedding"),
                    .act_fn = "torch.nn.SiLU"},
        .qkv_bias = TD_BIAS_OPTIONAL,
        .o_bias = TD_BIAS_OPTIONAL,
        .qk_norm = TD_QK_NORM_HEAD,
        .neox_gguf = true,
        .neox_hf = true,
    };
    return td_decoder_build(m, &spec, err);
}

const td_arch td_arch_qwen3_moe = {.name = "qwen3moe",
                                   .hf_classes = "Qwen3MoeForCausalLM",
                                   .read_config = read_config,
                                   .build_modules = build_modules,
                                   .forward = td_decoder_forward};
