/* test_mla.c - both forms of multi-head latent attention against its definition in double
 * precision and against each other, on identical inputs and within bounds that follow from the
 * roundings; and that a token's bits depend on its form alone, whatever its neighbours are.
 *
 * The bounds.  u is 2^-24, gamma(n) = n u / (1 - n u); n_nope, n_rot, n_rank are the widths.
 *
 *   A score is scale * (q K c + r k).  On either way through the triple product, a path passes at
 *   most n_nope + n_rank + 16 roundings and the rotated part's is no longer than n_rot + 4, so with
 *   n = n_nope + n_rank + n_rot + 20 it is wrong by at most
 *
 *       delta = scale (gamma(n) (sum |q| |K| |c| + sum |r| |k|) + quantized)
 *
 *   where `quantized` is what int8 inputs of Q8_0 weights add: each element of a block is off by at
 *   most half a step, D = amax / 254 (and a bit: the step and the division are rounded).  Absorbed
 *   quantizes q: sum D_q |K c|.  Materialized quantizes c: sum |q| |K| D_c.
 *
 *   Weights.  e(s - max) has an argument whose roundings, those of the factors between pages
 *   included, sum up to at most twice u times the range of the scores: delta' = delta + 4 u max
 *   (|s| + delta).  Numerator and denominator both change by e^(delta'), so a weight changes by at
 *   most a factor e^(2 delta').  With the exponentials' own errors (four roundings each, one for
 *   each page's factor), the sums (ten a page), the n_pos products with values that follow one on
 *   another, and the division, a term p_j v_j changes by at most
 *
 *       w = e^(2 delta') (1 + gamma(n_pos + 24 n_page + 16)) - 1
 *
 *   Absorbed: o = sum p c is wrong by E = w sum p |c| + D_o, and V o by sum |V| E + gamma(n_rank +
 *   8) sum |V| (|o| + E).
 *   Materialized: v_j = V c_j is wrong by F_j = sum |V| D_c + gamma(n_rank + 8) sum |V| (|c| +
 *   D_c), and the output by w sum p (|v| + F) + sum p F.
 *
 *   The forms differ by at most the sum of the two. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ops/kv_cache.h"
#include "ops/mla.h"
#include "support/op_step.h"
#include "tensor/quantize.h"

enum { N_SEQ = 5, N_CTX = 150, N_ALL = 1 + 63 + 64 + 65 + 150, MAX_HEAD = 3, MAX_WIDTH = 64 };

static const int lengths[N_SEQ] = {1, 63, 64, 65, N_CTX}; /* around the pages' ends */
static const int first_of[N_SEQ] = {0, 1, 64, 128, 193};

typedef struct mla_case {
    td_dtype dtype;
    td_kv_dtype kv;
    td_mla_config c;
    int n_head;
} mla_case;

static const mla_case cases[] = {
    {TD_DTYPE_F32,  TD_KV_DTYPE_F32,  {0, 64, 32, 16, 32}, 3},
    {TD_DTYPE_F32,  TD_KV_DTYPE_F32,  {0, 20, 13, 6, 7},   2},
    {TD_DTYPE_F32,  TD_KV_DTYPE_F16,  {0, 64, 32, 16, 32}, 2},
    {TD_DTYPE_F32,  TD_KV_DTYPE_Q8_0, {0, 64, 32, 32, 16}, 2},
    {TD_DTYPE_Q8_0, TD_KV_DTYPE_F32,  {0, 64, 32, 16, 32}, 2},
    {TD_DTYPE_Q8_0, TD_KV_DTYPE_F16,  {0, 64, 64, 16, 32}, 3},
};
enum { N_CASE = sizeof cases / sizeof *cases };

typedef struct inputs {
    const mla_case *m;
    op_weight absorb[MAX_HEAD], expand_k[MAX_HEAD], expand_v[MAX_HEAD];
    float scale;
    /* of all tokens, sequence after sequence */
    float q[N_ALL * MAX_HEAD * 2 * MAX_WIDTH], kv[N_ALL * 2 * MAX_WIDTH];
    float c[N_ALL * MAX_WIDTH], k_rot[N_ALL * MAX_WIDTH]; /* as the cache has them */
} inputs;

/* ---- the inputs ---- */

/* Whole numbers of at most 127 times a power of two, with a 127 in every 32 by row and by column:
 * Q8_0 keeps them, whichever way its blocks lie. */
static void whole_numbers(float *x, int n, int k, uint64_t *state) {
    for (int i = 0; i < n; i++)
        for (int j = 0; j < k; j++) {
            const int sign = op_random_int(state, 2) * 2 - 1;
            const int value = (i + j) % 32 == 0 ? sign * 127 : op_random_int(state, 255) - 127;
            x[i * k + j] = ldexpf((float)value, -10);
        }
}

static void make_head(inputs *in, int h, uint64_t *state) {
    static float k[MAX_WIDTH * MAX_WIDTH], turned[MAX_WIDTH * MAX_WIDTH];
    static float v[MAX_WIDTH * MAX_WIDTH];
    const td_mla_config *c = &in->m->c;
    whole_numbers(k, c->n_nope, c->n_rank_kv, state);
    whole_numbers(v, c->n_v, c->n_rank_kv, state);
    for (int i = 0; i < c->n_nope; i++)
        for (int r = 0; r < c->n_rank_kv; r++) turned[r * c->n_nope + i] = k[i * c->n_rank_kv + r];
    op_weight_make(&in->absorb[h], in->m->dtype, c->n_rank_kv, c->n_nope, turned, NULL);
    op_weight_make(&in->expand_k[h], in->m->dtype, c->n_nope, c->n_rank_kv, k, NULL);
    op_weight_make(&in->expand_v[h], in->m->dtype, c->n_v, c->n_rank_kv, v, NULL);
    const size_t n = (size_t)(c->n_nope * c->n_rank_kv);
    assert_memory_equal(in->absorb[h].values, turned, n * sizeof(float));
    assert_memory_equal(in->expand_k[h].values, k, n * sizeof(float));
}

/* What is read back of n floats stored in the cache. */
static void store(td_kv_dtype kv, const float *x, int n, float *y) {
    uint8_t blocks[MAX_WIDTH * sizeof(float)];
    const td_dtype dtype = td_kv_dtype_blocks(kv);
    memcpy(y, x, (size_t)n * sizeof *x);
    if (dtype == TD_DTYPE_F32) return;
    if (dtype == TD_DTYPE_F16) {
        for (int i = 0; i < n; i++) y[i] = td_f16_to_f32(td_f32_to_f16(x[i]));
        return;
    }
    assert_int_equal(td_quantize_row(dtype, x, blocks, (size_t)n, NULL), TD_OK);
    td_dequantize_row(dtype, blocks, y, (size_t)n);
}

static void make_inputs(inputs *in, const mla_case *m) {
    const td_mla_config *c = &m->c;
    const int n_kv = c->n_rank_kv + c->n_rot;
    uint64_t state = (uint64_t)(m - cases) + 1;
    in->m = m;
    in->scale = 1.0f / sqrtf((float)(c->n_nope + c->n_rot));
    for (int h = 0; h < m->n_head; h++) make_head(in, h, &state);
    op_random_fill(in->q, sizeof in->q / sizeof *in->q, 1, &state);
    op_random_fill(in->kv, sizeof in->kv / sizeof *in->kv, 2, &state);
    for (int t = 0; t < N_ALL; t++) {
        store(m->kv, in->kv + t * n_kv, c->n_rank_kv, in->c + t * c->n_rank_kv);
        store(m->kv, in->kv + t * n_kv + c->n_rank_kv, c->n_rot, in->k_rot + t * c->n_rot);
    }
}

static void clear_inputs(inputs *in) {
    for (int h = 0; h < in->m->n_head; h++) {
        op_weight_clear(&in->absorb[h]);
        op_weight_clear(&in->expand_k[h]);
        op_weight_clear(&in->expand_v[h]);
    }
}

/* ---- running ---- */

typedef enum form { ABSORBED, MATERIALIZED } form;

typedef struct runner {
    op_step *o;
    const inputs *in;
    td_kv_cache *kv;
    td_linear absorb[MAX_HEAD], expand_k[MAX_HEAD], expand_v[MAX_HEAD];
    td_mla mla;
    td_mla_work work;
    float out[N_ALL * MAX_HEAD * MAX_WIDTH]; /* by token */
} runner;

static runner *start(const inputs *in, form f, op_place place, int n_thread, unsigned flags) {
    runner *r = calloc(1, sizeof *r);
    assert_non_null(r);
    const mla_case *m = in->m;
    const td_kv_shape shape = {.n_head_kv = 1, .k_dim = m->c.n_rot, .v_dim = m->c.n_rank_kv};
    const td_kv_spec spec = {.shapes = &shape,
                             .n_layer = 1,
                             .k_dtype = m->kv,
                             .v_dtype = m->kv,
                             .n_seq = N_SEQ,
                             .n_ctx = N_CTX,
                             .batch_max = N_CTX};
    r->in = in;
    r->o = op_step_start(n_thread, flags, td_mla_act_max(&m->c, m->n_head, N_ALL), MAX_WIDTH);
    assert_int_equal(td_kv_cache_create(&r->kv, &spec, NULL), TD_OK);
    r->o->step.kv = r->kv;
    for (int h = 0; h < m->n_head; h++) {
        r->absorb[h] = op_linear(&in->absorb[h], NULL, place, r->o);
        r->expand_k[h] = op_linear(&in->expand_k[h], NULL, place, r->o);
        r->expand_v[h] = op_linear(&in->expand_v[h], NULL, place, r->o);
    }
    r->mla = (td_mla){.config = m->c,
                      .n_head = m->n_head,
                      .absorb = r->absorb,
                      .expand_k = f == MATERIALIZED ? r->expand_k : NULL,
                      .expand_v = r->expand_v};
    assert_int_equal(td_mla_work_init(&r->work, &r->o->arena, &m->c, m->n_head, N_ALL, NULL),
                     TD_OK);
    return r;
}

static void stop(runner *r) {
    td_kv_cache_free(r->kv);
    op_step_stop(r->o);
    free(r);
}

static void run_batch(runner *r, const td_batch *batch) {
    static float q[N_ALL * MAX_HEAD * 2 * MAX_WIDTH], kv[N_ALL * 2 * MAX_WIDTH];
    static float out[N_ALL * MAX_HEAD * MAX_WIDTH];
    const td_mla_config *c = &r->in->m->c;
    const size_t n_q = (size_t)(r->in->m->n_head * (c->n_nope + c->n_rot));
    const size_t n_kv = (size_t)(c->n_rank_kv + c->n_rot);
    const size_t n_out = (size_t)(r->in->m->n_head * c->n_v);
    for (size_t i = 0; i < (size_t)batch->n; i++) {
        const size_t at = (size_t)(first_of[batch->sequence[i]] + batch->position[i]);
        memcpy(q + i * n_q, r->in->q + at * n_q, n_q * sizeof *q);
        memcpy(kv + i * n_kv, r->in->kv + at * n_kv, n_kv * sizeof *kv);
    }
    r->o->step.batch = batch;
    td_mla_split(&r->o->step, &r->mla, &r->work, q, kv);
    td_kv_write(&r->o->step, 0, r->work.k_rot, r->work.c);
    td_mla_forward(&r->o->step, 0, &r->mla, &r->work, r->in->scale, out);
    for (size_t i = 0; i < (size_t)batch->n; i++) {
        const size_t at = (size_t)(first_of[batch->sequence[i]] + batch->position[i]);
        memcpy(r->out + at * n_out, out + i * n_out, n_out * sizeof *out);
    }
}

/* Which tokens were sampled: some inside the prompt, and the end. */
static bool is_sampled(int seq, int position) {
    return position % 5 == 3 || position >= lengths[seq] * 3 / 4;
}

typedef struct way {
    int most;     /* tokens of a sequence in a batch */
    bool mixed;   /* all sequences together; else one after the other */
    bool sampled; /* some tokens are; else all came in */
} way;

/* Sequences [first, last) up to the end, taking turns. */
static void run_sequences(runner *r, way w, int first, int last) {
    static int32_t position[N_ALL], sequence[N_ALL];
    static uint8_t is_prompt[N_ALL];
    for (int from = 0; from < N_CTX; from += w.most) {
        td_batch batch = {.position = position, .sequence = sequence};
        batch.is_prompt = w.sampled ? is_prompt : NULL;
        for (int seq = first; seq < last; seq++) {
            const int end = from + w.most < lengths[seq] ? from + w.most : lengths[seq];
            if (from < end) td_kv_cache_reserve(r->kv, seq, from, end);
        }
        for (int t = from; t < from + w.most; t++)
            for (int seq = first; seq < last; seq++) {
                if (t >= lengths[seq]) continue;
                position[batch.n] = t;
                is_prompt[batch.n] = !is_sampled(seq, t);
                sequence[batch.n++] = seq;
            }
        if (batch.n > 0) run_batch(r, &batch);
    }
}

static void run_all(runner *r, way w) {
    for (int seq = 0; seq < N_SEQ; seq++) td_kv_cache_truncate(r->kv, seq, 0);
    if (w.mixed) {
        run_sequences(r, w, 0, N_SEQ);
        return;
    }
    for (int seq = 0; seq < N_SEQ; seq++) run_sequences(r, w, seq, seq + 1);
}

/* ---- the definition, with bounds ---- */

/* Of one head of one token. */
typedef struct definition {
    double out[MAX_WIDTH];
    double bound[2][MAX_WIDTH]; /* by form */
} definition;

/* How far quantizing to int8 may move each of x[n], of which each may be off by e before. */
static void half_steps(const mla_case *m, const double *x, const double *e, int n, double *d) {
    for (int i = 0; i < n; i++) {
        double amax = 0;
        for (int j = i / 32 * 32; j < i / 32 * 32 + 32 && j < n; j++)
            amax = fmax(amax, fabs(x[j]) + (e ? e[j] : 0));
        d[i] = m->dtype == TD_DTYPE_F32 ? 0 : amax / 254 * 1.0001;
    }
}

/* One position as one head sees it. */
typedef struct seen {
    double c[MAX_WIDTH], d_c[MAX_WIDTH];
    double key[MAX_WIDTH], key_size[MAX_WIDTH],
        key_d[MAX_WIDTH];              /* K c, |K| (|c| + D_c), |K| D_c */
    double v[MAX_WIDTH], f[MAX_WIDTH]; /* V c and F */
    double p, delta[2]; /* of the query at hand: score, then weight; of the score, by form */
} seen;

typedef struct query {
    double nope[MAX_WIDTH], d_nope[MAX_WIDTH], rot[MAX_WIDTH];
} query;

/* y = W c, |W| (|c| + D_c) and |W| D_c */
static void define_product(const op_weight *w, const seen *s, double *y, double *size, double *d) {
    for (int i = 0; i < w->n; i++) {
        y[i] = size[i] = d[i] = 0;
        for (int r = 0; r < w->k; r++) {
            const double value = (double)w->values[i * w->k + r];
            y[i] += value * s->c[r];
            size[i] += fabs(value) * (fabs(s->c[r]) + s->d_c[r]);
            d[i] += fabs(value) * s->d_c[r];
        }
    }
}

static void define_position(const inputs *in, int h, int at, seen *s) {
    const td_mla_config *c = &in->m->c;
    double size[MAX_WIDTH];
    for (int r = 0; r < c->n_rank_kv; r++) s->c[r] = (double)in->c[at * c->n_rank_kv + r];
    half_steps(in->m, s->c, NULL, c->n_rank_kv, s->d_c);
    define_product(&in->expand_k[h], s, s->key, s->key_size, s->key_d);
    define_product(&in->expand_v[h], s, s->v, size, s->f);
    for (int i = 0; i < c->n_v; i++) s->f[i] += op_gamma(c->n_rank_kv + 8) * size[i];
}

static void define_score(const inputs *in, const query *q, int at, seen *s) {
    const td_mla_config *c = &in->m->c;
    double sum = 0, size = 0, of_q = 0, of_c = 0;
    for (int i = 0; i < c->n_nope; i++) {
        sum += q->nope[i] * s->key[i];
        size += (fabs(q->nope[i]) + q->d_nope[i]) * s->key_size[i];
        of_q += q->d_nope[i] * fabs(s->key[i]);
        of_c += fabs(q->nope[i]) * s->key_d[i];
    }
    for (int i = 0; i < c->n_rot; i++) {
        const double product = q->rot[i] * (double)in->k_rot[at * c->n_rot + i];
        sum += product;
        size += fabs(product);
    }
    const double rounded = op_gamma(c->n_nope + c->n_rank_kv + c->n_rot + 20) * size;
    s->p = (double)in->scale * sum;
    s->delta[ABSORBED] = (double)in->scale * (rounded + of_q);
    s->delta[MATERIALIZED] = (double)in->scale * (rounded + of_c);
}

/* Scores become weights; returns w of the two forms. */
static void define_weights(seen *s, int n_pos, double w[2]) {
    double max = -INFINITY, size = 0, sum = 0;
    const int n_page = (n_pos + TD_KV_PAGE - 1) / TD_KV_PAGE;
    for (int j = 0; j < n_pos; j++) max = fmax(max, s[j].p);
    for (int f = ABSORBED; f <= MATERIALIZED; f++) {
        double delta = 0;
        for (int j = 0; j < n_pos; j++) {
            delta = fmax(delta, s[j].delta[f]);
            size = fmax(size, fabs(s[j].p) + s[j].delta[f]);
        }
        delta += ldexp(4, -24) * size;
        w[f] = exp(2 * delta) * (1 + op_gamma(n_pos + 24 * n_page + 16)) - 1;
    }
    for (int j = 0; j < n_pos; j++) sum += s[j].p = exp(s[j].p - max);
    for (int j = 0; j < n_pos; j++) s[j].p /= sum;
}

static void bound_absorbed(const inputs *in, int h, const seen *s, int n_pos, double w,
                           double *bound) {
    const td_mla_config *c = &in->m->c;
    double o[MAX_WIDTH] = {0}, e[MAX_WIDTH] = {0}, d[MAX_WIDTH];
    for (int j = 0; j < n_pos; j++)
        for (int r = 0; r < c->n_rank_kv; r++) {
            o[r] += s[j].p * s[j].c[r];
            e[r] += w * s[j].p * fabs(s[j].c[r]);
        }
    half_steps(in->m, o, e, c->n_rank_kv, d);
    for (int i = 0; i < c->n_v; i++) {
        bound[i] = 0;
        for (int r = 0; r < c->n_rank_kv; r++) {
            const double value = fabs((double)in->expand_v[h].values[i * c->n_rank_kv + r]);
            bound[i] += value * (e[r] + d[r]);
            bound[i] += op_gamma(c->n_rank_kv + 8) * value * (fabs(o[r]) + e[r] + d[r]);
        }
    }
}

/* s: the positions of the sequence. */
static void define(const inputs *in, int seq, int position, int h, seen *s, definition *d) {
    const td_mla_config *c = &in->m->c;
    const int width = c->n_nope + c->n_rot, n_pos = position + 1;
    const float *of_head =
        in->q + ((ptrdiff_t)(first_of[seq] + position) * in->m->n_head + h) * width;
    query q;
    double w[2];
    for (int i = 0; i < c->n_nope; i++) q.nope[i] = (double)of_head[i];
    for (int i = 0; i < c->n_rot; i++) q.rot[i] = (double)of_head[c->n_nope + i];
    half_steps(in->m, q.nope, NULL, c->n_nope, q.d_nope);
    for (int j = 0; j < n_pos; j++) define_score(in, &q, first_of[seq] + j, &s[j]);
    define_weights(s, n_pos, w);
    bound_absorbed(in, h, s, n_pos, w[ABSORBED], d->bound[ABSORBED]);
    for (int i = 0; i < c->n_v; i++) {
        double *bound = &d->bound[MATERIALIZED][i];
        d->out[i] = *bound = 0;
        for (int j = 0; j < n_pos; j++) {
            d->out[i] += s[j].p * s[j].v[i];
            *bound += s[j].p * (w[MATERIALIZED] * (fabs(s[j].v[i]) + s[j].f[i]) + s[j].f[i]);
        }
    }
}

/* ---- the tests ---- */

typedef struct worst {
    double ratio[3]; /* to the bound: of each form to the definition, of one to the other */
    double bound, size;
} worst;

static void compare_head(const inputs *in, const definition *d, const float *absorbed,
                         const float *materialized, worst *w) {
    for (int i = 0; i < in->m->c.n_v; i++) {
        const double a = (double)absorbed[i], b = (double)materialized[i];
        const double both = d->bound[ABSORBED][i] + d->bound[MATERIALIZED][i];
        w->ratio[0] = fmax(w->ratio[0], fabs(a - d->out[i]) / d->bound[ABSORBED][i]);
        w->ratio[1] = fmax(w->ratio[1], fabs(b - d->out[i]) / d->bound[MATERIALIZED][i]);
        w->ratio[2] = fmax(w->ratio[2], fabs(a - b) / both);
        w->bound = fmax(w->bound, both);
        w->size = fmax(w->size, fabs(d->out[i]));
    }
}

/* All tokens of one head. */
static void compare_runs(const inputs *in, int h, const runner *a, const runner *b, worst *w) {
    static seen s[N_CTX];
    for (int seq = 0; seq < N_SEQ; seq++)
        for (int t = 0; t < lengths[seq]; t++) {
            const ptrdiff_t at =
                ((ptrdiff_t)(first_of[seq] + t) * in->m->n_head + h) * in->m->c.n_v;
            definition d;
            define_position(in, h, first_of[seq] + t, &s[t]);
            define(in, seq, t, h, s, &d);
            compare_head(in, &d, a->out + at, b->out + at, w);
        }
}

static void test_forms(void **state) {
    (void)state;
    static inputs in;
    const way plain = {.most = N_CTX};
    for (int i = 0; i < N_CASE; i++) {
        make_inputs(&in, &cases[i]);
        worst w = {{0}, 0, 0};
        runner *a = start(&in, ABSORBED, OP_PACKED, 1, TD_CPU_SCALAR);
        runner *b = start(&in, MATERIALIZED, OP_PACKED, 1, TD_CPU_SCALAR);
        run_all(a, plain);
        run_all(b, plain);
        for (int h = 0; h < cases[i].n_head; h++) compare_runs(&in, h, a, b, &w);
        print_message("case %d: %.2g, %.2g, %.2g of the bounds, at most %.1e of values to %.2g\n",
                      i, w.ratio[0], w.ratio[1], w.ratio[2], w.bound, w.size);
        assert_true(w.ratio[0] <= 1 && w.ratio[1] <= 1 && w.ratio[2] <= 1);
        assert_true(w.bound < w.size / 2); /* else they say nothing */
        stop(a);
        stop(b);
        clear_inputs(&in);
    }
}

/* Each token has the bits of its form. */
static void check_bits(const runner *got, way w, const float *of_form[2]) {
    const size_t n_out = (size_t)(got->in->m->n_head * got->in->m->c.n_v);
    const bool may = got->mla.expand_k != NULL;
    for (int seq = 0; seq < N_SEQ; seq++)
        for (int t = 0; t < lengths[seq]; t++) {
            const size_t at = (size_t)(first_of[seq] + t) * n_out;
            const form f = may && !(w.sampled && is_sampled(seq, t)) ? MATERIALIZED : ABSORBED;
            if (memcmp(got->out + at, of_form[f] + at, n_out * sizeof(float)) != 0)
                fail_msg("case %d, %s, %s, %d at a time%s: sequence %d, position %d: other bits",
                         (int)(got->in->m - cases), got->o->kernels.level,
                         f == ABSORBED ? "absorbed" : "materialized", w.most,
                         w.mixed ? ", mixed" : "", seq, t);
        }
}

/* Every cut, mixed or not, with sampled tokens or not; the numbers of threads take turns. */
static void compare_ways(const inputs *in, unsigned flags, int turn, const float *of_form[2]) {
    static const int cuts[] = {1, 7, 64, N_CTX};
    for (int i = 0; i < 16; i++) {
        const way w = {.most = cuts[i / 4], .mixed = i % 2, .sampled = i / 2 % 2};
        /* Many small steps with many threads are hand-overs and little else. */
        const int n_thread = w.most == 1 ? 1 + w.sampled : 1 + (i + turn) % 3;
        const bool exact = n_thread == 3 && in->m->dtype == TD_DTYPE_F32; /* the same arithmetic */
        const op_place place = exact ? OP_EXACT : n_thread == 2 ? OP_MAPPED : OP_PACKED;
        if (w.most == 1 && !w.mixed) continue; /* as the runs that gave of_form */
        if (w.most == 1 && flags == TD_CPU_SCALAR && !w.sampled) continue; /* slow */
        if (w.most == 7 && flags != TD_CPU_SCALAR && !w.mixed) continue;
        /* Where the materialized form is off, what is sampled makes no difference. */
        for (int f = w.sampled ? MATERIALIZED : ABSORBED; f <= MATERIALIZED; f++) {
            runner *r = start(in, (form)f, place, n_thread, flags);
            memset(r->out, 0xff, sizeof r->out);
            run_all(r, w);
            check_bits(r, w, of_form);
            stop(r);
        }
    }
}

static void test_same_bits(void **state) {
    (void)state;
    static inputs in;
    int n_level;
    const td_cpu_level_info *levels = td_cpu_level_list(&n_level);
    for (int i = 0; i < N_CASE; i++) {
        make_inputs(&in, &cases[i]);
        runner *of[2];
        for (int f = ABSORBED; f <= MATERIALIZED; f++) {
            of[f] = start(&in, (form)f, OP_PACKED, 1, TD_CPU_SCALAR);
            run_all(of[f], (way){.most = 1});
        }
        const float *of_form[2] = {of[ABSORBED]->out, of[MATERIALIZED]->out};
        for (int level = 0; level < n_level; level++)
            if (!(levels[level].flags & ~td_cpu_detect()))
                compare_ways(&in, levels[level].flags, i + level, of_form);
        stop(of[ABSORBED]);
        stop(of[MATERIALIZED]);
        clear_inputs(&in);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
