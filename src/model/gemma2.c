/* gemma2.c - Gemma 2 (Gemma Team, arXiv 2408.00118): norms before and after each block, soft caps
 * on attention and logits, a sliding window in every other layer. */
#include "model/archs.h"
#include "model/decoder.h"

#define CLASS(name) "transformers.models.gemma2.modeling_gemma2.Gemma2" name

static td_status read_config(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_config_defaults defaults = {
        .norm_eps = 1e-6, .head_dim = 256, .activation = TD_ACTIVATION_GELU_TANH};
    static const td_setting attention_cap = {"attn_logit_softcapping", "attn_logit_softcapping"};
    static const td_setting logit_cap = {"final_logit_softcapping", "final_logit_softcapping"};
    const bool is_hf = td_checkpoint_get_kind(ckpt) == TD_CHECKPOINT_HF;
    TD_TRY(td_config_read(c, ckpt, &defaults, err));
    TD_TRY(td_config_read_gemma(c, ckpt, 46, err));
    TD_TRY(td_config_mark_windows(c, ckpt, 2, err));
    /* GGUF files of the first days do not name the caps; a null in config.json means none. */
    double of_attention = is_hf ? 0 : 50, of_logits = is_hf ? 0 : 30;
    TD_TRY(td_config_get_float(ckpt, attention_cap, &of_attention, err));
    TD_TRY(td_config_get_float(ckpt, logit_cap, &of_logits, err));
    c->attention_softcap = (float)of_attention;
    c->logit_softcap = (float)of_logits;
    return TD_OK;
}

static td_status build_modules(td_model *m, td_err *err) {
    static const td_decoder_spec spec = {
        .classes = {.root = CLASS("ForCausalLM"),
                    .model = CLASS("Model"),
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
        .qkv_bias = TD_BIAS_OPTIONAL,
        .o_bias = TD_BIAS_OPTIONAL,
        .neox_gguf = true,
        .neox_hf = true,
        .unsaid = TD_UNSAID_TIED,
    };
    return td_decoder_build(m, &spec, err);
}

const td_arch td_arch_gemma2 = {.name = "gemma2",
                                .hf_classes = "Gemma2ForCausalLM",
                                .read_config = read_config,
                                .build_modules = build_modules,
                                .forward = td_decoder_forward};
