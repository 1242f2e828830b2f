/* decoder_forward.c - one forward pass of a decoder. */
#include "model/blocks.h"
#include "model/decoder.h"

static void norm_or_copy(td_step *step, const td_norm *norm, const float *x, float *y, int m,
                         int n) {
    if (norm->n)
        td_norm_forward(step, norm, x, y, m);
    else
        memcpy(y, x, (size_t)m * (size_t)n * sizeof *y);
}

/* What a block adds to the stream: its output, normed where the layer has such a norm, scaled. */
static void add_block(td_step *step, const td_config *c, const td_norm *post, float *x, float *h,
                      int m) {
    if (post->n) td_norm_forward(step, post, x, x, m);
    td_scale_forward(step, x, c->residual_scale, m, c->n_embd);
    td_add_forward(step, h, x, m, c->n_embd);
}

static void attention(const td_model *m, td_step *step, td_workspace *ws, int i, float *x) {
    if (m->layers[i].delta.config.n_head_v)
        td_linear_attention(m, step, ws, i, x);
    else if (m->layers[i].mla.n_head)
        td_latent_attention(m, step, ws, i, x);
    else
        td_self_attention(m, step, ws, i, x);
}

static void mlp_or_experts(const td_model *m, td_step *step, td_workspace *ws, int i, float *x) {
    if (m->layers[i].experts.n_expert)
        td_mixture(m, step, ws, i, x);
    else
        td_mlp(m, step, ws, i, x);
}

/* Both blocks read the stream as it was; the MLP's norm is attention's where it has none. */
static void parallel_layer(const td_model *m, td_step *step, td_workspace *ws, int i) {
    const td_config *c = &m->config;
    const td_layer *l = &m->layers[i];
    const int n = step->batch->n;
    td_norm_forward(step, &l->attn_norm, ws->h, ws->x, n);
    if (l->mlp_norm.n)
        td_norm_forward(step, &l->mlp_norm, ws->h, ws->y, n);
    else
        memcpy(ws->y, ws->x, (size_t)n * (size_t)c->n_embd * sizeof *ws->y);
    attention(m, step, ws, i, ws->x);
    mlp_or_experts(m, step, ws, i, ws->y);
    td_add_forward(step, ws->h, ws->x, n, c->n_embd);
    td_add_forward(step, ws->h, ws->y, n, c->n_embd);
}

static void sequential_layer(const td_model *m, td_step *step, td_workspace *ws, int i) {
    const td_config *c = &m->config;
    const td_layer *l = &m->layers[i];
    const int n = step->batch->n;
    if (c->router_early && l->experts.n_expert) {
        td_input in = td_input_of(ws->h, n, c->n_embd);
        td_route(m, step, ws, i, &in);
    }
    norm_or_copy(step, &l->attn_norm, ws->h, ws->x, n, c->n_embd);
    attention(m, step, ws, i, ws->x);
    add_block(step, c, &l->attn_post_norm, ws->x, ws->h, n);

    norm_or_copy(step, &l->mlp_norm, ws->h, ws->x, n, c->n_embd);
    mlp_or_experts(m, step, ws, i, ws->x);
    add_block(step, c, &l->mlp_post_norm, ws->x, ws->h, n);
}

td_status td_decoder_forward(const td_model *m, td_step *step, td_workspace *ws, td_err *err) {
    const td_config *c = &m->config;
    const int n = step->batch->n;
    if (m->rope.n_rot) td_rope_table(step, &m->rope, ws->cs);
    if (c->rope_local.theta > 0) td_rope_table(step, &m->rope_local, ws->cs_local);
    td_embed_forward(step, m->embed, c->embedding_scale, ws->h);
    if (m->positions) td_position_forward(step, m->positions, ws->h);
    td_step_dump(step, -1, "embed_tokens", ws->h, n, c->n_embd);

    for (int i = 0; i < c->n_layer; i++) {
        TD_TRY(td_step_check(step, err));
        if (c->parallel)
            parallel_layer(m, step, ws, i);
        else
            sequential_layer(m, step, ws, i);
        td_step_dump(step, i, "output", ws->h, n, c->n_embd);
    }
    td_norm_forward(step, &m->norm, ws->h, ws->h, n);
    td_step_dump(step, -1, "norm", ws->h, n, c->n_embd);
    return TD_OK;
}
