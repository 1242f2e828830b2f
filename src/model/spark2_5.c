/* spark2_5.c - Spark X2.5 (iFlytek): Llama whose heads are scaled by gates, with a GELU gate in the
 * MLP, and windows in some layers, which rotate another part of each head at another base. */
#include "model/archs.h"
#include "model/decoder.h"

#define CLASS(name) "transformers_modules.modeling_spark2_5.Spark2_5" name

static td_status read_config(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_config_defaults defaults = {.norm_eps = 1e-6};
    static const td_setting theta = {"rope.freq_base_swa",
                                     "rope_parameters.sliding_attention.rope_theta"};
    static const td_setting n_rot = {"rope.dimension_count_swa", NULL};
    static const td_setting part = {NULL,
                                    "rope_parameters.sliding_attention.partial_rotary_factor"};
    TD_TRY(td_config_read(c, ckpt, &defaults, err));
    /* config.json says "gelu"; the one implementation to be had, llama.cpp's, takes it by tanh. */
    c->activation = TD_ACTIVATION_GELU_TANH;
    TD_TRY(td_config_read_window(c, ckpt, err));
    TD_TRY(td_config_mark_windows(c, ckpt, 1, err));
    c->rope_local = c->rope;
    TD_TRY(td_config_get_float(ckpt, theta, &c->rope_local.theta, err));
    double factor = (double)c->n_rot / c->head_dim;
    TD_TRY(td_config_get_float(ckpt, part, &factor, err));
    c->n_rot_local = (int)(factor * c->head_dim);
    TD_TRY(td_config_get_int(ckpt, n_rot, false, 2, c->head_dim, &c->n_rot_local, err));
    if (!(c->rope_local.theta > 0) || c->n_rot_local < 2 || c->n_rot_local > c->head_dim ||
        c->n_rot_local % 2 != 0)
        return td_fail(err, TD_ERR_FORMAT,
                       "rotation of layers with a window: base %g, %d dimensions; wanted above 0, "
                       "and an even number up to %d",
                       c->rope_local.theta, c->n_rot_local, c->head_dim);
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
                    .act_fn = "transformers.activations.GELUActivation"},
        .names = {.qkv = "q_k_v_proj", .attn_gate = "g_proj"},
        .qkv = TD_QKV_ROWS,
        .neox_gguf = true,
        .neox_hf = true,
    };
    return td_decoder_build(m, &spec, err);
}

const td_arch td_arch_spark2_5 = {.name = "spark2_5",
                                  .hf_classes = "Spark2_5ForCausalLM",
                                  .read_config = read_config,
                                  .build_modules = build_modules,
                                  .forward = td_decoder_forward};
