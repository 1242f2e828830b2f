/* gemma3.c - Gemma 3, text (Gemma Team, arXiv 2503.19786): norms before and after each block,
 * normed q and k, a GELU-gated MLP, and five layers with a sliding window for each full one, the
 * two kinds with rotary bases of their own. */
#include <math.h>

#include "model/archs.h"
#include "model/blocks.h"
#include "model/build.h"

#define CLASS(name) "transformers.models.gemma3.modeling_gemma3.Gemma3" name

static const td_class_names classes = {
    .root = CLASS("ForCausalLM"),
    .model = CLASS("TextModel"),
    .embed = CLASS("TextScaledWordEmbedding"),
    .layer = CLASS("DecoderLayer"),
    .attention = CLASS("Attention"),
    .mlp = CLASS("MLP"),
    .norm = CLASS("RMSNorm"),
    .rotary = CLASS("RotaryEmbedding"),
    .act_fn = "transformers.activations.GELUTanh",
};

static td_status read_config(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    TD_TRY(td_config_read_gguf(c, ckpt, err));
    c->rope_theta_local = 10000;
    TD_TRY(td_config_get_float(ckpt, "rope.freq_base_swa", &c->rope_theta_local, err));
    if (!(c->rope_theta_local > 0))
        return td_fail(err, TD_ERR_FORMAT, "gemma3.rope.freq_base_swa is %g, wanted above 0",
                       c->rope_theta_local);
    TD_TRY(td_config_get_int(ckpt, "attention.sliding_window", true, 1, 1 << 30, &c->window, err));
    c->window_period = 6;
    TD_TRY(td_config_get_int(ckpt, "attention.sliding_window_pattern", false, 1, TD_MAX_LAYERS,
                             &c->window_period, err));
    c->embedding_scale = sqrtf((float)c->n_embd);
    /* The 27B model, known by its 62 layers, scales by the width of a head had the heads shared
     * n_embd; its file does not say so (models.md, 2.4). */
    if (c->n_layer == 62) c->attention_scale = 1.0f / sqrtf((float)c->n_embd / (float)c->n_head);
    return TD_OK;
}

static td_status build_layer(const td_builder *b, td_module *layers, td_layer *layer, td_err *err) {
    const td_config *c = &b->model->config;
    td_module *node, *attn;
    layer->is_local = (b->i_layer + 1) % c->window_period != 0;
    TD_TRY(td_build_layer(b, layers, &node, err));
    TD_TRY(td_build_attention(b, node, TD_BIAS_NONE, TD_BIAS_NONE, layer, &attn, err));
    TD_TRY(td_build_norm(b, attn, "q_norm", "attn_q_norm", c->head_dim, &layer->q_norm, err));
    TD_TRY(td_build_norm(b, attn, "k_norm", "attn_k_norm", c->head_dim, &layer->k_norm, err));
    TD_TRY(td_build_mlp(b, node, TD_BIAS_NONE, layer, err));
    TD_TRY(td_build_norm(b, node, "input_layernorm", "attn_norm", c->n_embd,
                         &layer->input_layernorm, err));
    TD_TRY(td_build_norm(b, node, "post_attention_layernorm", "post_attention_norm", c->n_embd,
                         &layer->post_attention_layernorm, err));
    TD_TRY(td_build_norm(b, node, "pre_feedforward_layernorm", "ffn_norm", c->n_embd,
                         &layer->pre_feedforward_layernorm, err));
    return td_build_norm(b, node, "post_feedforward_layernorm", "post_ffw_norm", c->n_embd,
                         &layer->post_feedforward_layernorm, err);
}

static td_status build_modules(td_model *m, td_err *err) {
    const td_config *c = &m->config;
    td_builder b = {.model = m, .classes = &classes, .i_layer = -1};
    td_module *model, *layers;
    TD_TRY(td_build_begin(&b, &model, &layers, err));
    for (b.i_layer = 0; b.i_layer < c->n_layer; b.i_layer++)
        TD_TRY(build_layer(&b, layers, &m->layers[b.i_layer], err));
    TD_TRY(td_build_end(&b, model, err));
    TD_TRY(td_build_rope(m, c->rope_theta, c->rope_factor, true, &m->rope, err));
    return td_build_rope(m, c->rope_theta_local, 1, true, &m->rope_local, err);
}

static td_status forward(const td_model *m, td_step *step, td_workspace *ws, td_err *err) {
    const td_config *c = &m->config;
    const int n = step->batch->n;
    td_rope_table(step, &m->rope, ws->cs);
    td_rope_table(step, &m->rope_local, ws->cs_local);
    td_embed_forward(step, m->embed, c->embedding_scale, ws->h);
    td_step_dump(step, -1, "embed_tokens", ws->h, n, c->n_embd);

    for (int i = 0; i < c->n_layer; i++) {
        const td_layer *l = &m->layers[i];
        TD_TRY(td_step_check(step, err));

        td_norm_forward(step, &l->input_layernorm, ws->h, ws->x, n);
        td_self_attention(m, step, ws, i, l->is_local ? &m->rope_local : &m->rope,
                          l->is_local ? ws->cs_local : ws->cs);
        td_norm_forward(step, &l->post_attention_layernorm, ws->x, ws->x, n);
        td_add_forward(step, ws->h, ws->x, n, c->n_embd);

        td_norm_forward(step, &l->pre_feedforward_layernorm, ws->h, ws->x, n);
        td_gated_mlp(m, step, ws, i, TD_ACTIVATION_GELU_TANH);
        td_norm_forward(step, &l->post_feedforward_layernorm, ws->x, ws->x, n);
        td_add_forward(step, ws->h, ws->x, n, c->n_embd);
        td_step_dump(step, i, "output", ws->h, n, c->n_embd);
    }
    td_norm_forward(step, &m->norm, ws->h, ws->h, n);
    td_step_dump(step, -1, "norm", ws->h, n, c->n_embd);
    return TD_OK;
}

const td_arch td_arch_gemma3 = {.gguf_name = "gemma3",
                                .hf_class = "Gemma3ForCausalLM",
                                .read_config = read_config,
                                .build_modules = build_modules,
                                .forward = forward};
