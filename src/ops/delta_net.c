/* delta_net.c - the convolution, the gates and the recurrence. */
#include "ops/delta_net.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "kernel/ref/exp.h"
#include "ops/kv_cache.h"

enum { N_PIECE = 5, CHANNELS_PER_PIECE = 64 };
static const float UNIT_EPS = 1e-6f;
static const float SOFTPLUS_LINEAR = 20; /* from here on softplus(x) is x */

/* ---- sizes ---- */

size_t td_delta_n_state(const td_delta_config *c) {
    const size_t conv = (size_t)(c->n_conv - 1) * (size_t)td_delta_n_channel(c);
    return conv + (size_t)c->n_head_v * (size_t)c->k_dim * (size_t)c->v_dim;
}

static td_status piece_bytes(const td_delta_config *c, int m_max, size_t bytes[N_PIECE],
                             td_err *err) {
    const size_t n_value = (size_t)td_delta_n_value(c), n_head = (size_t)c->n_head_v;
    const size_t widths[N_PIECE] = {(size_t)td_delta_n_channel(c), n_value, n_head, n_head,
                                    n_value};
    for (int i = 0; i < N_PIECE; i++)
        TD_TRY(td_mul_size(&bytes[i], widths[i] * sizeof(float), (size_t)m_max,
                           "scratch of linear attention", err));
    return TD_OK;
}

td_status td_delta_work_bytes(size_t *out, const td_delta_config *c, int m_max, td_err *err) {
    size_t bytes[N_PIECE];
    *out = 0;
    if (c->n_head_v == 0) return TD_OK;
    TD_TRY(piece_bytes(c, m_max, bytes, err));
    for (int i = 0; i < N_PIECE; i++)
        TD_TRY(
            td_add_size(out, *out, bytes[i] + TD_CACHE_LINE, "scratch of linear attention", err));
    return TD_OK;
}

td_status td_delta_work_init(td_delta_work *w, td_arena *arena, const td_delta_config *c, int m_max,
                             td_err *err) {
    size_t bytes[N_PIECE];
    void *at[N_PIECE];
    *w = (td_delta_work){0};
    if (c->n_head_v == 0) return TD_OK;
    TD_TRY(piece_bytes(c, m_max, bytes, err));
    for (int i = 0; i < N_PIECE; i++) {
        at[i] = td_arena_alloc(arena, bytes[i]);
        if (!at[i]) return td_fail_nomem(err, "scratch of linear attention", bytes[i]);
    }
    *w = (td_delta_work){.mixed = at[0], .z = at[1], .beta = at[2], .g = at[3], .o = at[4]};
    return TD_OK;
}

/* ---- parts ---- */

typedef struct delta_job {
    const td_step *step;
    const td_delta_net *net;
    td_delta_work *work;
    int i_layer;
} delta_job;

static float *state_of(const delta_job *job, int i) {
    return td_kv_cache_state(job->step->kv, job->i_layer, job->step->batch->sequence[i]);
}

/* One token's channels [from, to): convolved with the inputs before them, which it joins. */
static void convolve(const td_delta_config *c, const float *taps, float *past, float *x, int from,
                     int to) {
    const int n_channel = td_delta_n_channel(c), n_past = c->n_conv - 1;
    for (int j = from; j < to; j++) {
        const float own = x[j];
        float y = taps[n_past * n_channel + j] * own;
        for (int t = 0; t < n_past; t++) {
            y += taps[t * n_channel + j] * past[t * n_channel + j];
            past[t * n_channel + j] = t + 1 < n_past ? past[(t + 1) * n_channel + j] : own;
        }
        x[j] = y;
    }
}

static void conv_channels(void *context, int begin, int end, int i_thread) {
    (void)i_thread;
    const delta_job *job = context;
    const td_delta_config *c = &job->net->config;
    const int n_channel = td_delta_n_channel(c);
    const int from = begin * CHANNELS_PER_PIECE;
    const int to = end * CHANNELS_PER_PIECE < n_channel ? end * CHANNELS_PER_PIECE : n_channel;
    for (int i = 0; i < job->step->batch->n; i++) {
        float *x = job->work->mixed + (ptrdiff_t)i * n_channel;
        convolve(c, job->net->conv, state_of(job, i), x, from, to);
        job->step->kernels->swiglu(x + from, x + from, NULL, to - from);
    }
}

static void make_unit(float *x, int n, float length) {
    float sum = 0;
    for (int i = 0; i < n; i++) sum += x[i] * x[i];
    const float scale = length / sqrtf(sum + UNIT_EPS);
    for (int i = 0; i < n; i++) x[i] *= scale;
}

/* Unit vectors and gates of whole tokens. */
static void prepare_tokens(void *context, int begin, int end, int i_thread) {
    (void)i_thread;
    const delta_job *job = context;
    const td_delta_net *net = job->net;
    const td_delta_config *c = &net->config;
    const float q_length = 1 / sqrtf((float)c->k_dim);
    for (int i = begin; i < end; i++) {
        float *q = job->work->mixed + (ptrdiff_t)i * td_delta_n_channel(c);
        for (int h = 0; h < 2 * c->n_head_k; h++)
            make_unit(q + h * c->k_dim, c->k_dim, h < c->n_head_k ? q_length : 1);
        float *beta = job->work->beta + (ptrdiff_t)i * c->n_head_v;
        float *g = job->work->g + (ptrdiff_t)i * c->n_head_v;
        for (int h = 0; h < c->n_head_v; h++) {
            const float x = g[h] + net->g_bias[h];
            beta[h] = 1 / (1 + td_exp(-beta[h]));
            g[h] = td_exp(net->a[h] * (x > SOFTPLUS_LINEAR ? x : log1pf(td_exp(x))));
        }
    }
}

/* Head h's part of token i: S as [k_dim][v_dim], of which S^T k is a weighted sum of rows. */
static void advance(const delta_job *job, float *s, int i, int h, float *correction) {
    const td_delta_net *net = job->net;
    const td_delta_config *c = &net->config;
    td_attn_value_fn *add_rows = job->step->kernels->attn_value[TD_KV_DTYPE_F32];
    const int head_k = net->tiled ? h % c->n_head_k : h / (c->n_head_v / c->n_head_k);
    const ptrdiff_t at = (ptrdiff_t)i * c->n_head_v + h;
    const float *q = job->work->mixed + (ptrdiff_t)i * td_delta_n_channel(c) + head_k * c->k_dim;
    const float *k = q + td_delta_n_key(c);
    const float *v = job->work->mixed + (ptrdiff_t)i * td_delta_n_channel(c) +
                     2 * td_delta_n_key(c) + h * c->v_dim;
    float *o = job->work->o + at * c->v_dim;
    const float beta = job->work->beta[at];

    job->step->kernels->scale(s, job->work->g[at], c->k_dim * c->v_dim);
    memset(correction, 0, (size_t)c->v_dim * sizeof *correction);
    add_rows(correction, k, s, c->k_dim, c->v_dim);
    for (int j = 0; j < c->v_dim; j++) correction[j] = (v[j] - correction[j]) * beta;
    for (int j = 0; j < c->k_dim; j++) add_rows(s + j * c->v_dim, k + j, correction, 1, c->v_dim);
    memset(o, 0, (size_t)c->v_dim * sizeof *o);
    add_rows(o, q, s, c->k_dim, c->v_dim);
}

static void recur_heads(void *context, int begin, int end, int i_thread) {
    const delta_job *job = context;
    const td_delta_config *c = &job->net->config;
    const size_t n_past = (size_t)(c->n_conv - 1) * (size_t)td_delta_n_channel(c);
    float *correction = td_step_tile(job->step, i_thread);
    for (int h = begin; h < end; h++)
        for (int i = 0; i < job->step->batch->n; i++) {
            float *s = state_of(job, i) + n_past + (size_t)h * (size_t)(c->k_dim * c->v_dim);
            advance(job, s, i, h, correction);
        }
}

void td_delta_net_forward(td_step *step, int i_layer, const td_delta_net *net,
                          td_delta_work *work) {
    const td_delta_config *c = &net->config;
    const int n = step->batch->n;
    const int n_piece = (td_delta_n_channel(c) + CHANNELS_PER_PIECE - 1) / CHANNELS_PER_PIECE;
    delta_job job = {step, net, work, i_layer};
    td_pool_run(step->pool, n_piece, 1, conv_channels, &job);
    td_pool_run(step->pool, n, 1, prepare_tokens, &job);
    td_pool_run(step->pool, c->n_head_v, 1, recur_heads, &job);
    td_norm_forward(step, &net->norm, work->o, work->o, n * c->n_head_v);
    td_glu_forward(step, TD_ACTIVATION_SILU, work->z, work->o, n, td_delta_n_value(c));
}
