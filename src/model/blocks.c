/* blocks.c - self-attention, the MLP and the mixture of experts. */
#include "model/blocks.h"

#include <string.h>

#include "ops/attention.h"

/* Norms of q and k run over heads, or over all heads of a token. */
static void norm_heads(td_step *step, const td_norm *norm, float *x, int n_head, int head_dim) {
    if (norm->n == 0) return;
    const int n = step->batch->n;
    td_norm_forward(step, norm, x, x, norm->n == head_dim ? n * n_head : n);
}

static void norm_qk(const td_config *c, const td_layer *l, td_step *step, td_workspace *ws) {
    norm_heads(step, &l->q_norm, ws->q, c->n_head, c->head_dim);
    norm_heads(step, &l->k_norm, ws->k, c->n_head_kv, c->head_dim);
}

void td_self_attention(const td_model *m, td_step *step, td_workspace *ws, int i_layer, float *x) {
    const td_config *c = &m->config;
    const td_layer *l = &m->layers[i_layer];
    const int n = step->batch->n, n_q = c->n_head * c->head_dim, n_kv = c->n_head_kv * c->head_dim;

    td_input in = td_input_of(x, n, c->n_embd);
    td_linear_forward(step, &l->q_proj, &in, ws->q, n_q);
    td_linear_forward(step, &l->k_proj, &in, ws->k, n_kv);
    td_linear_forward(step, &l->v_proj, &in, ws->v, n_kv);
    if (!c->qk_norm_late) norm_qk(c, l, step, ws);
    if (c->qkv_clip > 0) {
        td_clip_forward(step, ws->q, n, n_q, c->qkv_clip);
        td_clip_forward(step, ws->k, n, n_kv, c->qkv_clip);
        td_clip_forward(step, ws->v, n, n_kv, c->qkv_clip);
    }
    if (c->n_rot && !(c->layers[i_layer] & TD_LAYER_NO_ROPE)) {
        const bool local = (c->layers[i_layer] & TD_LAYER_LOCAL) && c->rope_local.theta > 0;
        const td_rope *rope = local ? &m->rope_local : &m->rope;
        const float *cs = local ? ws->cs_local : ws->cs;
        td_rope_forward(step, rope, cs, ws->q, c->n_head, c->head_dim);
        td_rope_forward(step, rope, cs, ws->k, c->n_head_kv, c->head_dim);
    }
    if (c->temperature.every > 0 && c->layers[i_layer] & TD_LAYER_NO_ROPE)
        td_temperature_forward(step, &c->temperature, ws->q, n_q);
    if (c->qk_norm_late) norm_qk(c, l, step, ws);

    td_kv_write(step, i_layer, ws->k, ws->v);
    const td_attention_spec attention = {.n_head = c->n_head,
                                         .scale = c->attention_scale,
                                         .softcap = c->attention_softcap,
                                         .sinks = l->sinks};
    td_attention_forward(step, i_layer, &attention, ws->q, ws->o);
    if (l->attn_gate.weight) { /* q has been used: its place is free */
        const int n_gate = l->attn_gate.n;
        td_linear_forward(step, &l->attn_gate, &in, ws->q, n_gate);
        td_head_gate_forward(step, ws->q, ws->o, n_gate, n_q / n_gate);
    }

    in = td_input_of(ws->o, n, n_q);
    td_linear_forward(step, &l->o_proj, &in, x, c->n_embd);
    td_step_dump(step, i_layer, "self_attn", x, n, c->n_embd);
}

void td_latent_attention(const td_model *m, td_step *step, td_workspace *ws, int i_layer,
                         float *x) {
    const td_config *c = &m->config;
    const td_mla_config *mla = &c->mla;
    const td_layer *l = &m->layers[i_layer];
    const int n = step->batch->n, n_q = c->n_head * c->head_dim;
    td_mla_work *w = &ws->mla;

    td_input in = td_input_of(x, n, c->n_embd);
    td_linear_forward(step, &l->kv_a_proj, &in, ws->k, mla->n_rank_kv + mla->n_rot);
    if (mla->n_rank_q) {
        td_linear_forward(step, &l->q_a_proj, &in, ws->v, mla->n_rank_q);
        td_norm_forward(step, &l->q_a_norm, ws->v, ws->v, n);
        in = td_input_of(ws->v, n, mla->n_rank_q);
    }
    td_linear_forward(step, &l->q_proj, &in, ws->q, n_q);
    td_mla_split(step, &l->mla, w, ws->q, ws->k);
    td_norm_forward(step, &l->kv_a_norm, w->c, w->c, n);
    td_rope_forward(step, &m->rope, ws->cs, w->q_rot, c->n_head, mla->n_rot);
    td_rope_forward(step, &m->rope, ws->cs, w->k_rot, 1, mla->n_rot);

    td_kv_write(step, i_layer, w->k_rot, w->c);
    td_mla_forward(step, i_layer, &l->mla, w, c->attention_scale, ws->o);

    in = td_input_of(ws->o, n, c->n_head * mla->n_v);
    td_linear_forward(step, &l->o_proj, &in, x, c->n_embd);
    td_step_dump(step, i_layer, "self_attn", x, n, c->n_embd);
}

void td_linear_attention(const td_model *m, td_step *step, td_workspace *ws, int i_layer,
                         float *x) {
    const int n = step->batch->n, n_embd = m->config.n_embd;
    const td_delta_net *net = &m->layers[i_layer].delta;
    const td_delta_config *c = &net->config;
    const int n_key = td_delta_n_key(c), n_value = td_delta_n_value(c);
    const int n_channel = td_delta_n_channel(c);
    td_delta_work *w = &ws->delta;

    td_input in = td_input_of(x, n, n_embd);
    td_linear_forward(step, &net->q, &in, w->mixed, n_channel);
    td_linear_forward(step, &net->k, &in, w->mixed + n_key, n_channel);
    td_linear_forward(step, &net->v, &in, w->mixed + 2 * n_key, n_channel);
    td_linear_forward(step, &net->z, &in, w->z, n_value);
    td_linear_forward(step, &net->beta, &in, w->beta, c->n_head_v);
    td_linear_forward(step, &net->g, &in, w->g, c->n_head_v);
    td_delta_net_forward(step, i_layer, net, w);

    in = td_input_of(w->z, n, n_value);
    td_linear_forward(step, &net->out, &in, x, n_embd);
    td_step_dump(step, i_layer, "linear_attn", x, n, n_embd);
}

/* y = down(act(gate(x)) * up(x)), or down(act(up(x))) without a gate; y may be x. */
static void gated_mlp(const td_model *m, td_step *step, td_workspace *ws, int i_layer,
                      const float *x, float *y) {
    const td_layer *l = &m->layers[i_layer];
    const int n = step->batch->n, n_embd = m->config.n_embd, n_ff = l->up_proj.n;
    const bool gated = l->gate_proj.weight != NULL;

    td_input in = td_input_of(x, n, n_embd);
    if (gated) td_linear_forward(step, &l->gate_proj, &in, ws->gate, n_ff);
    td_linear_forward(step, &l->up_proj, &in, gated ? ws->up : ws->gate, n_ff);
    td_glu_forward(step, m->config.activation, ws->gate, gated ? ws->up : NULL, n, n_ff);

    in = td_input_of(ws->gate, n, n_ff);
    td_linear_forward(step, &l->down_proj, &in, y, n_embd);
}

void td_mlp(const td_model *m, td_step *step, td_workspace *ws, int i_layer, float *x) {
    gated_mlp(m, step, ws, i_layer, x, x);
    td_step_dump(step, i_layer, "mlp", x, step->batch->n, m->config.n_embd);
}

void td_route(const td_model *m, td_step *step, td_workspace *ws, int i_layer, td_input *in) {
    const td_router *r = &m->layers[i_layer].router;
    td_router_forward(step, r, in, ws->router_logits, ws->chosen, ws->expert_weight);
    for (int i = 0; step->expert_counts && i < in->m * r->config.n_used; i++)
        step->expert_counts[(ptrdiff_t)i_layer * r->config.n_expert + ws->chosen[i]]++;
}

void td_mixture(const td_model *m, td_step *step, td_workspace *ws, int i_layer, float *x) {
    const td_config *c = &m->config;
    const td_layer *l = &m->layers[i_layer];
    const int n = step->batch->n;

    td_input in = td_input_of(x, n, c->n_embd);
    if (!c->router_early) td_route(m, step, ws, i_layer, &in);
    td_experts_forward(step, &l->experts, &ws->experts, &in, ws->chosen, ws->expert_weight,
                       ws->mixed);
    if (l->up_proj.weight) {
        if (l->shared_gate.weight) {
            in = td_input_of(x, n, c->n_embd);
            td_linear_forward(step, &l->shared_gate, &in, ws->router_logits, 1);
        }
        gated_mlp(m, step, ws, i_layer, x, x);
        if (l->shared_gate.weight) td_head_gate_forward(step, ws->router_logits, x, 1, c->n_embd);
        td_add_forward(step, x, ws->mixed, n, c->n_embd);
    } else {
        memcpy(x, ws->mixed, (size_t)n * (size_t)c->n_embd * sizeof *x);
    }
    td_step_dump(step, i_layer, "mlp", x, n, c->n_embd);
}
