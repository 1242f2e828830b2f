/* predict_model.c - the work of a model's tokens. */
#include "model/model.h"
#include "plan/predict.h"

static td_predict_part *part_of(td_predict_work *w, int dtype) {
    for (int i = 0; i < w->n_part; i++)
        if (w->parts[i].dtype == dtype) return &w->parts[i];
    /* There are fewer dtypes than parts. */
    td_predict_part *p = &w->parts[w->n_part < TD_PREDICT_MAX_PART ? w->n_part++ : 0];
    *p = (td_predict_part){.dtype = dtype};
    return p;
}

static void add_linears(td_predict_work *w, const td_model *m) {
    const double n_expert = m->config.router.n_expert, n_used = m->config.router.n_used;
    for (int i = 0; i < m->n_linear; i++) {
        const td_linear *l = m->linears[i];
        td_predict_part *p = part_of(w, (int)l->weight->dtype);
        const double share = l->of_expert ? n_used / n_expert : 1, ops = 2.0 * l->n * l->k;
        p->decode_bytes += share * (double)l->weight->n_bytes;
        p->decode_ops += share * ops;
        if (l == &m->lm_head) continue;
        p->batch_bytes += (double)l->weight->n_bytes;
        p->prompt_ops += share * ops;
    }
}

static double at_most(double n, int window) { return window > 0 && n > window ? window : n; }

/* Operations of a layer's attention per position that is seen: a product with the key and one with
 * the value for each head. */
static double attention_ops(const td_config *c, const td_kv_shape *shape) {
    if (c->mla.n_rank_kv > 0) return 2.0 * c->n_head * (2.0 * c->mla.n_rank_kv + c->mla.n_rot);
    return 2.0 * c->n_head * ((double)shape->k_dim + shape->v_dim);
}

void td_predict_of_model(td_predict_work *w, const td_model *m, int n_ctx, int n_prompt) {
    td_kv_shape shapes[TD_MAX_LAYERS];
    *w = (td_predict_work){
        .layers = {.n_layer = m->config.n_layer, .n_vocab = m->config.n_vocab}
    };
    add_linears(w, m);
    td_model_kv_shapes(m, shapes);
    for (int i = 0; i < m->config.n_layer; i++) {
        const td_kv_shape *s = &shapes[i];
        if (s->n_state > 0) {
            w->layers.kv_bytes += 8.0 * (double)s->n_state; /* read and written, float32 */
            continue;
        }
        const double row = 2.0 * s->n_head_kv * ((double)s->k_dim + s->v_dim);
        w->layers.kv_bytes += row * at_most(n_ctx, s->window);
        w->layers.attention_ops +=
            attention_ops(&m->config, s) * at_most(0.5 * n_prompt, s->window);
    }
}
