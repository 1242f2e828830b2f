/* blocks.c - self-attention and the gated MLP. */
#include "model/blocks.h"

#include "ops/attention.h"

void td_self_attention(const td_model *m, td_step *step, td_workspace *ws, int i_layer,
                       const td_rope *rope, const float *cs) {
    const td_config *c = &m->config;
    const td_layer *l = &m->layers[i_layer];
    const int n = step->batch->n, n_q = c->n_head * c->head_dim, n_kv = c->n_head_kv * c->head_dim;

    td_input in = td_input_of(ws->x, n, c->n_embd);
    td_linear_forward(step, &l->q_proj, &in, ws->q, n_q);
    td_linear_forward(step, &l->k_proj, &in, ws->k, n_kv);
    td_linear_forward(step, &l->v_proj, &in, ws->v, n_kv);
    if (l->q_norm.weight) td_norm_forward(step, &l->q_norm, ws->q, ws->q, n * c->n_head);
    if (l->k_norm.weight) td_norm_forward(step, &l->k_norm, ws->k, ws->k, n * c->n_head_kv);
    td_rope_forward(step, rope, cs, ws->q, c->n_head, c->head_dim);
    td_rope_forward(step, rope, cs, ws->k, c->n_head_kv, c->head_dim);

    td_kv_write(step, i_layer, ws->k, ws->v);
    td_attention_forward(step, i_layer, c->n_head, c->attention_scale, ws->q, ws->o);

    in = td_input_of(ws->o, n, n_q);
    td_linear_forward(step, &l->o_proj, &in, ws->x, c->n_embd);
    td_step_dump(step, i_layer, "self_attn", ws->x, n, c->n_embd);
}

void td_gated_mlp(const td_model *m, td_step *step, td_workspace *ws, int i_layer,
                  td_activation act) {
    const td_config *c = &m->config;
    const td_layer *l = &m->layers[i_layer];
    const int n = step->batch->n;

    td_input in = td_input_of(ws->x, n, c->n_embd);
    td_linear_forward(step, &l->gate_proj, &in, ws->gate, c->n_ff);
    td_linear_forward(step, &l->up_proj, &in, ws->up, c->n_ff);
    td_glu_forward(step, act, ws->gate, ws->up, n, c->n_ff);

    in = td_input_of(ws->gate, n, c->n_ff);
    td_linear_forward(step, &l->down_proj, &in, ws->x, c->n_embd);
    td_step_dump(step, i_layer, "mlp", ws->x, n, c->n_embd);
}
