/* mla.c - the products of the heads, and both forms of attention. */
#include "ops/mla.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "ops/attention_int.h"
#include "tensor/quantize.h"

/* ---- scratch ---- */

enum { N_PIECE = 12 };

static td_status piece_bytes(const td_mla_config *c, int n_head, int m_max, size_t bytes[N_PIECE],
                             td_err *err) {
    const char *what = "scratch of MLA";
    const size_t head = (size_t)n_head, page = TD_KV_PAGE;
    const size_t per_token[] = {head * (size_t)c->n_nope,
                                head * (size_t)c->n_rot,
                                (size_t)c->n_rank_kv,
                                (size_t)c->n_rot,
                                head * (size_t)c->n_rank_kv,
                                head * (size_t)c->n_rank_kv,
                                1, /* materialized, in floats */
                                head * 2};
    bytes[0] = 2 * head * sizeof(td_product);
    for (int i = 0; i < 8; i++)
        TD_TRY(td_mul_size(&bytes[i + 1], per_token[i] * sizeof(float), (size_t)m_max, what, err));
    bytes[9] = page * (size_t)c->n_rank_kv * sizeof(float);
    bytes[10] = page * head * (size_t)c->n_nope * sizeof(float);
    bytes[11] = page * head * (size_t)c->n_v * sizeof(float);
    return TD_OK;
}

td_status td_mla_work_bytes(size_t *out, const td_mla_config *c, int n_head, int m_max,
                            td_err *err) {
    size_t bytes[N_PIECE];
    *out = 0;
    if (c->n_rank_kv == 0) return TD_OK;
    TD_TRY(piece_bytes(c, n_head, m_max, bytes, err));
    for (int i = 0; i < N_PIECE; i++)
        TD_TRY(td_add_size(out, *out, bytes[i] + TD_CACHE_LINE, "scratch of MLA", err));
    return TD_OK;
}

td_status td_mla_work_init(td_mla_work *w, td_arena *arena, const td_mla_config *c, int n_head,
                           int m_max, td_err *err) {
    size_t bytes[N_PIECE];
    void *at[N_PIECE];
    *w = (td_mla_work){0};
    if (c->n_rank_kv == 0) return TD_OK;
    TD_TRY(piece_bytes(c, n_head, m_max, bytes, err));
    for (int i = 0; i < N_PIECE; i++) {
        at[i] = td_arena_alloc(arena, bytes[i]);
        if (!at[i]) return td_fail_nomem(err, "scratch of MLA", bytes[i]);
    }
    *w = (td_mla_work){.products = at[0],
                       .q_nope = at[1],
                       .q_rot = at[2],
                       .c = at[3],
                       .k_rot = at[4],
                       .absorbed = at[5],
                       .latent_out = at[6],
                       .materialized = at[7],
                       .state = at[8],
                       .latents = at[9],
                       .keys = at[10],
                       .values = at[11]};
    return TD_OK;
}

size_t td_mla_act_max(const td_mla_config *c, int n_head, int m) {
    const int width = c->n_rank_kv > c->n_nope ? c->n_rank_kv : c->n_nope;
    if (c->n_rank_kv == 0) return 0;
    return (size_t)(m > TD_KV_PAGE ? m : TD_KV_PAGE) * (size_t)n_head * (size_t)width;
}

/* ---- parts ---- */

typedef struct mla_job {
    const td_step *step;
    const td_kv_layer *layer;
    const td_mla *mla;
    const td_mla_work *work;
    const float *q, *kv;
    float scale;
    int sequence, block; /* of the page that is materialized */
    float *out;
} mla_job;

static void split_rows(void *context, int begin, int end, int i_thread) {
    (void)i_thread;
    const mla_job *job = context;
    const td_mla_config *c = &job->mla->config;
    const td_mla_work *w = job->work;
    const ptrdiff_t n_nope = c->n_nope, n_rot = c->n_rot, n_rank = c->n_rank_kv;
    for (ptrdiff_t i = begin; i < end; i++) {
        const float *kv = job->kv + i * (n_rank + n_rot);
        memcpy(w->c + i * n_rank, kv, (size_t)n_rank * sizeof *kv);
        memcpy(w->k_rot + i * n_rot, kv + n_rank, (size_t)n_rot * sizeof *kv);
        for (ptrdiff_t at = i * job->mla->n_head; at < (i + 1) * job->mla->n_head; at++) {
            const float *q = job->q + at * (n_nope + n_rot);
            memcpy(w->q_nope + at * n_nope, q, (size_t)n_nope * sizeof *q);
            memcpy(w->q_rot + at * n_rot, q + n_nope, (size_t)n_rot * sizeof *q);
        }
    }
}

void td_mla_split(td_step *step, const td_mla *mla, td_mla_work *work, const float *q,
                  const float *kv) {
    mla_job job = {.step = step, .mla = mla, .work = work, .q = q, .kv = kv};
    td_pool_run(step->pool, step->batch->n, 8, split_rows, &job);
}

/* Columns [at, at + ...) of every row. */
static td_act columns_from(const td_input *in, int at) {
    td_act act = in->act;
    act.x += at;
    if (in->type == TD_ACT_F32) return act;
    const int block = in->type == TD_ACT_Q8_32 ? 32 : 256,
              group = in->type == TD_ACT_Q8_32 ? 32 : 16;
    act.q += at;
    act.d += at / block;
    act.s += at / group;
    return act;
}

/* Each head's columns of x [m][n_head * k] through its own matrix: y [m][n_head * n]. */
static void by_head(td_step *step, const td_mla *mla, td_mla_work *w, const td_linear *linears,
                    const float *x, int m, float *y) {
    const int n = linears[0].n, k = linears[0].k;
    td_input in = td_input_of(x, m, mla->n_head * k);
    td_input_prepare(step, &in, td_linear_act_type(&linears[0]));
    for (int h = 0; h < mla->n_head; h++)
        w->products[h] = (td_product){.linear = &linears[h],
                                      .act = columns_from(&in, h * k),
                                      .m = m,
                                      .y = y + (ptrdiff_t)h * n,
                                      .ldy = (ptrdiff_t)mla->n_head * n};
    td_products_forward(step, w->products, mla->n_head);
}

/* ---- absorbed ---- */

static void absorbed(td_step *step, int i_layer, const td_mla *mla, td_mla_work *w, float scale,
                     float *out) {
    const int n = step->batch->n;
    by_head(step, mla, w, mla->absorb, w->q_nope, n, w->absorbed);
    const td_attention_spec spec = {
        .n_head = mla->n_head, .scale = scale, .q_value = w->absorbed, .skip = w->materialized};
    td_attention_forward(step, i_layer, &spec, w->q_rot, w->latent_out);
    by_head(step, mla, w, mla->expand_v, w->latent_out, n, out);
}

/* ---- materialized ---- */

/* One page's latents in float. */
static void load_rows(void *context, int begin, int end, int i_thread) {
    (void)i_thread;
    const mla_job *job = context;
    const td_kv_layer *layer = job->layer;
    const int n_rank = job->mla->config.n_rank_kv;
    const int page = layer->page_of[(ptrdiff_t)job->sequence * layer->n_block + job->block];
    for (int i = begin; i < end; i++)
        td_dequantize_row(td_kv_dtype_blocks(layer->v.dtype),
                          td_kv_row(&layer->v, layer, page, 0, i),
                          job->work->latents + (ptrdiff_t)i * n_rank, (size_t)n_rank);
}

/* Makes keys and values of all heads for n positions of a page. */
static void expand_page(td_step *step, mla_job *job, int n) {
    const td_mla *mla = job->mla;
    const td_mla_config *c = &mla->config;
    const td_mla_work *w = job->work;
    td_pool_run(step->pool, n, 8, load_rows, job);
    td_input in = td_input_of(w->latents, n, c->n_rank_kv);
    td_product *products = w->products;
    td_input_prepare(step, &in, td_linear_act_type(&mla->expand_k[0]));
    for (int h = 0; h < mla->n_head; h++)
        products[h] = (td_product){.linear = &mla->expand_k[h],
                                   .act = in.act,
                                   .m = n,
                                   .y = w->keys + (ptrdiff_t)h * TD_KV_PAGE * c->n_nope,
                                   .ldy = c->n_nope};
    td_products_forward(step, products, mla->n_head);
    td_input_prepare(step, &in, td_linear_act_type(&mla->expand_v[0]));
    for (int h = 0; h < mla->n_head; h++)
        products[h] = (td_product){.linear = &mla->expand_v[h],
                                   .act = in.act,
                                   .m = n,
                                   .y = w->values + (ptrdiff_t)h * TD_KV_PAGE * c->n_v,
                                   .ldy = c->n_v};
    td_products_forward(step, products, mla->n_head);
}

/* One head of one token against the page. */
static void attend_page(const mla_job *job, int i_token, int head) {
    const td_kernels *kernels = job->step->kernels;
    const td_kv_layer *layer = job->layer;
    const td_mla_config *c = &job->mla->config;
    const td_mla_work *w = job->work;
    const int left = job->step->batch->position[i_token] - job->block * TD_KV_PAGE + 1;
    const int n = left < TD_KV_PAGE ? left : TD_KV_PAGE;
    const int page = layer->page_of[(ptrdiff_t)job->sequence * layer->n_block + job->block];
    const ptrdiff_t item = (ptrdiff_t)i_token * job->mla->n_head + head;
    float p[TD_KV_PAGE], of_rot[TD_KV_PAGE];
    td_softmax s = {w->state[2 * item], w->state[2 * item + 1]};
    float *acc = job->out + item * c->n_v;
    kernels->attn_score[TD_KV_DTYPE_F32](p, w->q_nope + item * c->n_nope,
                                         w->keys + (ptrdiff_t)head * TD_KV_PAGE * c->n_nope, n,
                                         c->n_nope, job->scale);
    kernels->attn_score[layer->k.dtype](of_rot, w->q_rot + item * c->n_rot,
                                        td_kv_row(&layer->k, layer, page, 0, 0), n, c->n_rot,
                                        job->scale);
    kernels->add(p, of_rot, n);
    td_softmax_block(kernels, &s, p, n, acc, c->n_v);
    kernels->attn_value[TD_KV_DTYPE_F32](acc, p, w->values + (ptrdiff_t)head * TD_KV_PAGE * c->n_v,
                                         n, c->n_v);
    w->state[2 * item] = s.max;
    w->state[2 * item + 1] = s.sum;
}

static bool takes_part(const mla_job *job, int i_token) {
    const td_batch *batch = job->step->batch;
    return job->work->materialized[i_token] && batch->sequence[i_token] == job->sequence &&
           batch->position[i_token] >= job->block * TD_KV_PAGE;
}

static void attend_items(void *context, int begin, int end, int i_thread) {
    (void)i_thread;
    const mla_job *job = context;
    const int n_head = job->mla->n_head;
    for (int i = begin; i < end; i++)
        if (takes_part(job, i / n_head)) attend_page(job, i / n_head, i % n_head);
}

static void begin_items(const mla_job *job) {
    const int n_head = job->mla->n_head, n_v = job->mla->config.n_v;
    for (int i = 0; i < job->step->batch->n; i++) {
        if (!job->work->materialized[i]) continue;
        memset(job->out + (ptrdiff_t)i * n_head * n_v, 0, (size_t)(n_head * n_v) * sizeof(float));
        for (int h = 0; h < n_head; h++) {
            job->work->state[2 * (i * n_head + h)] = -INFINITY;
            job->work->state[2 * (i * n_head + h) + 1] = 0;
        }
    }
}

static void end_items(void *context, int begin, int end, int i_thread) {
    (void)i_thread;
    const mla_job *job = context;
    const int n_head = job->mla->n_head, n_v = job->mla->config.n_v;
    for (ptrdiff_t item = begin; item < end; item++)
        if (job->work->materialized[item / n_head])
            job->step->kernels->scale(job->out + item * n_v, 1.0f / job->work->state[2 * item + 1],
                                      n_v);
}

/* The last position of a sequence's tokens that take this form, -1: it has none; and whether token
 * `first` is the first of them, so that each sequence is done once. */
static int last_position(const mla_job *job, int first) {
    const td_batch *batch = job->step->batch;
    int last = -1;
    for (int i = 0; i < batch->n; i++) {
        if (!job->work->materialized[i] || batch->sequence[i] != batch->sequence[first]) continue;
        if (i < first) return -1;
        if (batch->position[i] > last) last = batch->position[i];
    }
    return last;
}

static void materialized(td_step *step, mla_job *job) {
    begin_items(job);
    for (int i = 0; i < step->batch->n; i++) {
        if (!job->work->materialized[i]) continue;
        const int last = last_position(job, i);
        job->sequence = step->batch->sequence[i];
        for (job->block = 0; job->block * TD_KV_PAGE <= last; job->block++) {
            const int left = last + 1 - job->block * TD_KV_PAGE;
            expand_page(step, job, left < TD_KV_PAGE ? left : TD_KV_PAGE);
            td_pool_run(step->pool, step->batch->n * job->mla->n_head, 8, attend_items, job);
        }
    }
    td_pool_run(step->pool, step->batch->n * job->mla->n_head, 64, end_items, job);
}

void td_mla_forward(td_step *step, int i_layer, const td_mla *mla, td_mla_work *w, float scale,
                    float *out) {
    const td_batch *batch = step->batch;
    int n_materialized = 0;
    for (int i = 0; i < batch->n; i++) {
        w->materialized[i] = mla->expand_k && (!batch->is_prompt || batch->is_prompt[i]);
        n_materialized += w->materialized[i];
    }
    mla_job job = {.step = step,
                   .layer = &step->kv->layers[i_layer],
                   .mla = mla,
                   .work = w,
                   .scale = scale,
                   .out = out};
    if (n_materialized < batch->n) absorbed(step, i_layer, mla, w, scale, out);
    if (n_materialized > 0) materialized(step, &job);
}
