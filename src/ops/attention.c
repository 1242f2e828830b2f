/* attention.c - one work item is one token and one head. */
#include "ops/attention.h"

#include <math.h>
#include <string.h>

#include "ops/attention_int.h"

typedef struct attention_job {
    const td_step *step;
    const td_kv_layer *layer;
    const td_attention_spec *spec;
    const float *q;
    float *out;
} attention_job;

/* One query head of one token. */
static void attend(const attention_job *job, int i_token, int head) {
    const td_kernels *kernels = job->step->kernels;
    const td_attention_spec *spec = job->spec;
    const td_kv_layer *layer = job->layer;
    const td_kv_shape *shape = &layer->shape;
    const int position = job->step->batch->position[i_token];
    const int k_dim = shape->k_dim, v_dim = shape->v_dim;
    const int *page_of =
        layer->page_of + (ptrdiff_t)job->step->batch->sequence[i_token] * layer->n_block;
    const int head_kv = head / (spec->n_head / shape->n_head_kv);
    const ptrdiff_t item = (ptrdiff_t)i_token * spec->n_head + head;
    const float *q = job->q + item * k_dim;
    float *acc = job->out + item * v_dim;

    memset(acc, 0, (size_t)v_dim * sizeof *acc);
    /* A sink is a logit that was there before the first position and has no value. */
    td_softmax s = {-INFINITY, 0};
    if (spec->sinks) s = (td_softmax){spec->sinks[head], 1};
    int first = 0;
    if (shape->window > 0 && position >= shape->window)
        first = position - (shape->chunked ? position % shape->window : shape->window - 1);
    for (int block = first / TD_KV_PAGE; block <= position / TD_KV_PAGE; block++) {
        const int base = block * TD_KV_PAGE;
        const int from = first > base ? first - base : 0;
        const int to = position - base < TD_KV_PAGE ? position - base + 1 : TD_KV_PAGE;
        const uint8_t *k = td_kv_row(&layer->k, layer, page_of[block], head_kv, from);
        const uint8_t *v = td_kv_row(&layer->v, layer, page_of[block], head_kv, from);
        float p[TD_KV_PAGE], of_value[TD_KV_PAGE];
        kernels->attn_score[layer->k.dtype](p, q, k, to - from, k_dim, spec->scale);
        if (spec->q_value) {
            kernels->attn_score[layer->v.dtype](of_value, spec->q_value + item * v_dim, v,
                                                to - from, v_dim, spec->scale);
            kernels->add(p, of_value, to - from);
        }
        if (spec->softcap > 0) kernels->softcap(p, to - from, spec->softcap);
        td_softmax_block(kernels, &s, p, to - from, acc, v_dim);
        kernels->attn_value[layer->v.dtype](acc, p, v, to - from, v_dim);
    }
    kernels->scale(acc, 1.0f / s.sum, v_dim);
}

static void attend_items(void *context, int begin, int end, int i_thread) {
    (void)i_thread;
    const attention_job *job = context;
    const int n_head = job->spec->n_head;
    for (int i = begin; i < end; i++)
        if (!job->spec->skip || !job->spec->skip[i / n_head]) attend(job, i / n_head, i % n_head);
}

void td_attention_forward(td_step *step, int i_layer, const td_attention_spec *spec, const float *q,
                          float *out) {
    attention_job job = {step, &step->kv->layers[i_layer], spec, q, out};
    td_pool_run(step->pool, step->batch->n * spec->n_head, step->batch->n > 8 ? 8 : 1, attend_items,
                &job);
}
