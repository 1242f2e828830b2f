/* olmo2.c - OLMo 2 (arXiv 2501.00656) and OLMo 3: norms after each block instead of before, and of
 * all of q and k together; OLMo 3 has a sliding window in three layers of four. */
#include "model/archs.h"
#include "model/decoder.h"

#define CLASS(name) "transformers.models.olmo2.modeling_olmo2.Olmo2" name

static td_status read_config(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_config_defaults defaults = {.norm_eps = 1e-5};
    TD_TRY(td_config_read(c, ckpt, &defaults, err));
    TD_TRY(td_config_read_window(c, ckpt, err));
    TD_TRY(td_config_mark_windows(c, ckpt, 4, err));
    /* Only layers without a window have their rotation stretched. */
    if (c->window && c->rope.scaling != TD_ROPE_PLAIN)
        c->rope_local =
            (td_rope_config){.theta = c->rope.theta, .factor = 1, .attention_factor = 1};
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
                    .norm = CLASS("RMSNorm"),
                    .rotary = CLASS("RotaryEmbedding"),
                    .act_fn = "torch.nn.SiLU"},
        .names = {.attn_post_norm = {"post_attention_layernorm", "post_attention_norm"},
                    .mlp_post_norm = {"post_feedforward_layernorm", "post_ffw_norm"}},
        .no_pre_norm = true,
        .qk_norm = TD_QK_NORM_ALL,
        .neox_gguf = true,
        .neox_hf = true,
    };
    return td_decoder_build(m, &spec, err);
}

const td_arch td_arch_olmo2 = {.name = "olmo2",
                               .hf_classes = "Olmo2ForCausalLM Olmo3ForCausalLM",
                               .read_config = read_config,
                               .build_modules = build_modules,
                               .forward = td_decoder_forward};
