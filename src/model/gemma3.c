/* gemma3.c - Gemma 3, text (Gemma Team, arXiv 2503.19786): norms before and after each block,
 * normed q and k, a GELU-gated MLP, and five layers with a sliding window for each full one, the
 * two kinds with rotary bases of their own. */
#include "model/archs.h"
#include "model/decoder.h"

#define CLASS(name) "transformers.models.gemma3.modeling_gemma3.Gemma3" name

static td_status read_config(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_config_defaults defaults = {.rope_theta = 1e6,
                                                .norm_eps = 1e-6,
                                                .head_dim = 256,
                                                .activation = TD_ACTIVATION_GELU_TANH};
    static const td_setting theta = {
        "rope.freq_base_swa", "rope_parameters.sliding_attention.rope_theta|rope_local_base_freq"};
    TD_TRY(td_config_read(c, ckpt, &defaults, err));
    TD_TRY(td_config_read_gemma(c, ckpt, 62, err));
    TD_TRY(td_config_mark_windows(c, ckpt, 6, err));
    c->rope_local = (td_rope_config){.theta = 10000, .factor = 1, .attention_factor = 1};
    TD_TRY(td_config_get_float(ckpt, theta, &c->rope_local.theta, err));
    if (!(c->rope_local.theta > 0))
        return td_fail(err, TD_ERR_FORMAT, "%s is %g, wanted above 0", td_config_name(ckpt, theta),
                       c->rope_local.theta);
    return TD_OK;
}

static td_status build_modules(td_model *m, td_err *err) {
    static const td_decoder_spec spec = {
        .classes = {.root = CLASS("ForCausalLM"),
                    .model = CLASS("TextModel"),
                    .embed = CLASS("TextScaledWordEmbedding"),
                    .layer = CLASS("DecoderLayer"),
                    .attention = CLASS("Attention"),
                    .mlp = CLASS("MLP"),
                    .norm = CLASS("RMSNorm"),
                    .rotary = CLASS("RotaryEmbedding"),
                    .act_fn = "transformers.activations.GELUTanh"},
        .names = {.attn_post_norm = {"post_attention_layernorm", "post_attention_norm"},
                    .mlp_norm = {"pre_feedforward_layernorm", "ffn_norm"},
                    .mlp_post_norm = {"post_feedforward_layernorm", "post_ffw_norm"}                 },
        .norm_plus_one = true,
        .qk_norm = TD_QK_NORM_HEAD,
        .neox_gguf = true,
        .neox_hf = true,
        .unsaid = TD_UNSAID_TIED,
    };
    return td_decoder_build(m, &spec, err);
}

const td_arch td_arch_gemma3 = {.name = "gemma3",
                                .hf_classes = "Gemma3ForCausalLM Gemma3ForConditionalGeneration",
                                .read_config = read_config,
                                .build_modules = build_modules,
                                .forward = td_decoder_forward};
