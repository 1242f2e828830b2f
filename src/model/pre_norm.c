/* pre_norm.c - norm, self-attention, add; norm, SwiGLU, add. */
#include "model/pre_norm.h"

#include "model/blocks.h"

static td_status build_layer(const td_builder *b, const td_pre_norm_spec *spec, td_module *layers,
                             td_layer *layer, td_err *err) {
    const int n_embd = b->model->config.n_embd;
    td_module *node, *attn;
    TD_TRY(td_build_layer(b, layers, &node, err));
    TD_TRY(td_build_attention(b, node, spec->qkv_bias, spec->o_bias, layer, &attn, err));
    TD_TRY(td_build_mlp(b, node, spec->mlp_bias, layer, err));
    TD_TRY(td_build_norm(b, node, "input_layernorm", "attn_norm", n_embd, &layer->input_layernorm,
                         err));
    return td_build_norm(b, node, "post_attention_layernorm", "ffn_norm", n_embd,
                         &layer->post_attention_layernorm, err);
}

td_status td_pre_norm_build(td_model *m, const td_pre_norm_spec *spec, td_err *err) {
    td_builder b = {.model = m, .classes = &spec->classes, .i_layer = -1};
    td_module *model, *layers;
    TD_TRY(td_build_begin(&b, &model, &layers, err));
    for (b.i_layer = 0; b.i_layer < m->config.n_layer; b.i_layer++)
        TD_TRY(build_layer(&b, spec, layers, &m->layers[b.i_layer], err));
    TD_TRY(td_build_end(&b, model, err));
    return td_build_rope(m, m->config.rope_theta, m->config.rope_factor, spec->neox, &m->rope, err);
}

td_status td_pre_norm_forward(const td_model *m, td_step *step, td_workspace *ws, td_err *err) {
    const int n = step->batch->n, n_embd = m->config.n_embd;
    td_rope_table(step, &m->rope, ws->cs);
    td_embed_forward(step, m->embed, 1.0f, ws->h);
    td_step_dump(step, -1, "embed_tokens", ws->h, n, n_embd);

    for (int i = 0; i < m->config.n_layer; i++) {
        const td_layer *l = &m->layers[i];
        TD_TRY(td_step_check(step, err));

        td_norm_forward(step, &l->input_layernorm, ws->h, ws->x, n);
        td_self_attention(m, step, ws, i, &m->rope, ws->cs);
        td_add_forward(step, ws->h, ws->x, n, n_embd);

        td_norm_forward(step, &l->post_attention_layernorm, ws->h, ws->x, n);
        td_gated_mlp(m, step, ws, i, TD_ACTIVATION_SILU);
        td_add_forward(step, ws->h, ws->x, n, n_embd);
        td_step_dump(step, i, "output", ws->h, n, n_embd);
    }
    td_norm_forward(step, &m->norm, ws->h, ws->h, n);
    td_step_dump(step, -1, "norm", ws->h, n, n_embd);
    return TD_OK;
}
