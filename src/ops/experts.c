/* experts.c - sorting a batch by expert, the grouped products, and adding up. */
#include "ops/experts.h"

#include <string.h>

#include "base/alloc.h"

/* ---- scratch ---- */

enum { N_PIECE = 10 };

/* Bytes of the pieces of td_experts_work, in its order. */
static td_status piece_bytes(const td_experts_sizes *z, int m_max, size_t bytes[N_PIECE],
                             td_err *err) {
    const char *what = "scratch of the experts";
    size_t n_pair, n_outer, n_inner;
    TD_TRY(td_mul_size(&n_pair, (size_t)m_max, (size_t)z->n_used, what, err));
    TD_TRY(td_mul_size(&n_outer, n_pair, (size_t)z->n_embd, what, err));
    TD_TRY(td_mul_size(&n_inner, n_pair, (size_t)z->n_ff, what, err));
    TD_TRY(td_mul_size(&bytes[7], n_outer, sizeof(float), what, err));
    TD_TRY(td_mul_size(&bytes[8], n_inner, sizeof(float), what, err));
    bytes[9] = bytes[8];
    bytes[0] = ((size_t)z->n_expert + 1) * sizeof(int);
    bytes[1] = bytes[2] = n_pair * sizeof(int);
    bytes[3] = 2 * (size_t)z->n_expert * sizeof(td_product);
    bytes[4] = n_outer;
    bytes[5] = (n_outer / 32 + 1) * sizeof(float);
    bytes[6] = (n_outer / 16 + 1) * sizeof(int16_t);
    return TD_OK;
}

td_status td_experts_work_bytes(size_t *out, const td_experts_sizes *sizes, int m_max,
                                td_err *err) {
    size_t bytes[N_PIECE];
    *out = 0;
    if (sizes->n_expert == 0) return TD_OK;
    TD_TRY(piece_bytes(sizes, m_max, bytes, err));
    for (int i = 0; i < N_PIECE; i++)
        TD_TRY(td_add_size(out, *out, bytes[i] + TD_CACHE_LINE, "scratch of the experts", err));
    return TD_OK;
}

td_status td_experts_work_init(td_experts_work *w, td_arena *arena, const td_experts_sizes *sizes,
                               int m_max, td_err *err) {
    size_t bytes[N_PIECE];
    void *at[N_PIECE];
    *w = (td_experts_work){0};
    if (sizes->n_expert == 0) return TD_OK;
    TD_TRY(piece_bytes(sizes, m_max, bytes, err));
    for (int i = 0; i < N_PIECE; i++) {
        at[i] = td_arena_alloc(arena, bytes[i]);
        if (!at[i]) return td_fail_nomem(err, "scratch of the experts", bytes[i]);
    }
    *w = (td_experts_work){.first = at[0],
                           .pair_of = at[1],
                           .token_of = at[2],
                           .products = at[3],
                           .q = at[4],
                           .d = at[5],
                           .s = at[6],
                           .x = at[7],
                           .gate = at[8],
                           .up = at[9]};
    return TD_OK;
}

/* ---- sorting ---- */

/* Counts, then places: within an expert, pairs keep the order of tokens and slots. */
static void sort_pairs(const td_experts *e, td_experts_work *w, const int32_t *chosen, int m) {
    const int n_pair = m * e->n_used;
    memset(w->first, 0, ((size_t)e->n_expert + 1) * sizeof *w->first);
    for (int i = 0; i < n_pair; i++) w->first[chosen[i] + 1]++;
    for (int i = 0; i < e->n_expert; i++) w->first[i + 1] += w->first[i];
    for (int i = 0; i < n_pair; i++) {
        const int at = w->first[chosen[i]]++; /* moves to where the next expert begins */
        w->pair_of[i] = at;
        w->token_of[at] = i / e->n_used;
    }
    for (int i = e->n_expert; i > 0; i--) w->first[i] = w->first[i - 1];
    w->first[0] = 0;
}

/* ---- gathering ---- */

typedef struct gather_job {
    const td_step *step;
    const td_experts *experts;
    const td_experts_work *work;
    const td_input *in;
    const float *weight;
    float *y;
} gather_job;

static void gather_quantized(void *context, int begin, int end, int i_thread) {
    (void)i_thread;
    const gather_job *job = context;
    const td_experts_work *w = job->work;
    const td_act *a = &job->in->act;
    for (int i = begin; i < end; i++) {
        const ptrdiff_t t = w->token_of[i];
        memcpy(w->q + i * a->ldq, a->q + t * a->ldq, (size_t)a->ldq);
        memcpy(w->d + i * a->ldd, a->d + t * a->ldd, (size_t)a->ldd * sizeof *w->d);
        memcpy(w->s + i * a->lds, a->s + t * a->lds, (size_t)a->lds * sizeof *w->s);
    }
}

static void gather_floats(void *context, int begin, int end, int i_thread) {
    (void)i_thread;
    const gather_job *job = context;
    const ptrdiff_t n = job->experts->n_embd;
    for (int i = begin; i < end; i++)
        memcpy(job->work->x + i * n, job->in->x + job->work->token_of[i] * n,
               (size_t)n * sizeof(float));
}

/* Each pair's row times its weight. */
static void gather_weighed(void *context, int begin, int end, int i_thread) {
    (void)i_thread;
    const gather_job *job = context;
    const td_experts *e = job->experts;
    for (int i = begin; i < end; i++) {
        float *x = job->work->x + (ptrdiff_t)job->work->pair_of[i] * e->n_embd;
        memcpy(x, job->in->x + (ptrdiff_t)(i / e->n_used) * e->n_embd,
               (size_t)e->n_embd * sizeof(float));
        job->step->kernels->scale(x, job->weight[i], e->n_embd);
    }
}

/* The pairs' rows in the form that the experts want.  One token needs no copies: its row is
 * everybody's. */
static td_act gather(td_step *step, const td_experts *e, td_experts_work *w, td_input *in,
                     const float *weight) {
    const td_act_type type = td_linear_act_type(&e->up[0]);
    gather_job job = {.step = step, .experts = e, .work = w, .in = in, .weight = weight};
    const int n_pair = in->m * e->n_used;
    if (e->weigh_input) {
        td_pool_run(step->pool, n_pair, 8, gather_weighed, &job);
        td_input weighed = td_input_of(w->x, n_pair, e->n_embd);
        td_input_prepare(step, &weighed, type);
        return weighed.act;
    }
    td_input_prepare(step, in, type);
    td_act act = in->act;
    if (in->m == 1) {
        act.ldx = act.ldq = act.ldd = act.lds = 0;
        return act;
    }
    td_pool_run(step->pool, n_pair, 8, type == TD_ACT_F32 ? gather_floats : gather_quantized, &job);
    act.x = w->x;
    act.q = w->q;
    act.d = w->d;
    act.s = w->s;
    return act;
}

/* ---- products ---- */

static td_act act_from(const td_act *a, ptrdiff_t row) {
    td_act from = *a;
    if (a->x) from.x += row * a->ldx;
    if (!a->q) return from;
    from.q += row * a->ldq;
    from.d += row * a->ldd;
    from.s += row * a->lds;
    return from;
}

/* Appends, for each expert that has rows, its product of them. */
static int list_products(const td_experts *e, td_experts_work *w, const td_linear *linears,
                         const td_act *act, float *y, int n_product) {
    const ptrdiff_t ldy = linears[0].n;
    for (int i = 0; i < e->n_expert; i++) {
        const int first = w->first[i], m = w->first[i + 1] - first;
        if (m == 0) continue;
        w->products[n_product++] = (td_product){.linear = &linears[i],
                                                .act = act_from(act, first),
                                                .m = m,
                                                .y = y + first * ldy,
                                                .ldy = ldy};
    }
    return n_product;
}

static void add_up(void *context, int begin, int end, int i_thread) {
    (void)i_thread;
    const gather_job *job = context;
    const td_experts *e = job->experts;
    const td_kernels *kernels = job->step->kernels;
    const float one = 1;
    for (int i = begin; i < end; i++) {
        float *y = job->y + (ptrdiff_t)i * e->n_embd;
        memset(y, 0, (size_t)e->n_embd * sizeof *y);
        for (int j = i * e->n_used; j < (i + 1) * e->n_used; j++)
            kernels->attn_value[TD_KV_DTYPE_F32](
                y, e->weigh_input ? &one : &job->weight[j],
                job->work->x + (ptrdiff_t)job->work->pair_of[j] * e->n_embd, 1, e->n_embd);
    }
}

/* Tells the system which matrices will be read from the file now, all of them at once. */
static void read_ahead(const td_step *step, const td_experts *e, const td_experts_work *w) {
    for (int i = 0; i < e->n_expert; i++) {
        if (w->first[i + 1] == w->first[i]) continue;
        td_checkpoint_will_need(step->read_ahead, e->up[i].weight);
        if (e->gate) td_checkpoint_will_need(step->read_ahead, e->gate[i].weight);
        td_checkpoint_will_need(step->read_ahead, e->down[i].weight);
    }
}

void td_experts_forward(td_step *step, const td_experts *e, td_experts_work *w, td_input *in,
                        const int32_t *chosen, const float *weight, float *y) {
    const int n_pair = in->m * e->n_used;
    sort_pairs(e, w, chosen, in->m);
    if (step->read_ahead) read_ahead(step, e, w);
    td_act act = gather(step, e, w, in, weight);
    const bool gated = e->gate != NULL;
    int n = list_products(e, w, e->up, &act, gated ? w->up : w->gate, 0);
    if (gated) n = list_products(e, w, e->gate, &act, w->gate, n);
    td_products_forward(step, w->products, n);
    if (e->bounds.limit > 0)
        td_glu_bound_forward(step, &e->bounds, w->gate, w->up, n_pair, e->n_ff);
    td_glu_forward(step, e->activation, w->gate, gated ? w->up : NULL, n_pair, e->n_ff);

    td_input hidden = td_input_of(w->gate, n_pair, e->n_ff);
    td_input_prepare(step, &hidden, td_linear_act_type(&e->down[0]));
    n = list_products(e, w, e->down, &hidden.act, w->x, 0);
    td_products_forward(step, w->products, n);
    gather_job job = {.step = step, .experts = e, .work = w, .weight = weight, .y = y};
    td_pool_run(step->pool, in->m, 4, add_up, &job);
}
