/* test_delta_net.c - linear attention against its definition in double precision, and the state
 * that it keeps: however tokens are cut into batches and shared among threads, the bytes are the
 * same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "ops/delta_net.h"
#include "ops/kv_cache.h"

enum { N_SEQ = 2, N_TOKEN = 30, N_ALL = N_SEQ * N_TOKEN, MAX_WIDTH = 512 };

static const td_delta_config configs[] = {
    {.n_head_k = 2, .n_head_v = 4, .k_dim = 16, .v_dim = 16, .n_conv = 4},
    {.n_head_k = 3, .n_head_v = 3, .k_dim = 8,  .v_dim = 24, .n_conv = 2},
    {.n_head_k = 1, .n_head_v = 5, .k_dim = 33, .v_dim = 7,  .n_conv = 1},
};

/* ---- the inputs ---- */

static float some_float(uint64_t *state) {
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return (float)(int32_t)(*state >> 32) / 2147483648.0f;
}

typedef struct inputs {
    td_delta_net net;
    float conv[8 * MAX_WIDTH], a[8], g_bias[8], norm[64];
    /* of all tokens, sequence after sequence */
    float mixed[N_ALL * MAX_WIDTH], z[N_ALL * MAX_WIDTH], beta[N_ALL * 8], g[N_ALL * 8];
} inputs;

static void fill(float *x, int n, float scale, uint64_t *state) {
    for (int i = 0; i < n; i++) x[i] = some_float(state) * scale;
}

static void make_inputs(inputs *in, const td_delta_config *c, bool tiled) {
    uint64_t state = (uint64_t)c->n_head_v * 77 + tiled;
    assert_true(td_delta_n_channel(c) <= MAX_WIDTH && c->n_head_v <= 8 && c->v_dim <= 64);
    fill(in->conv, c->n_conv * td_delta_n_channel(c), 1, &state);
    fill(in->a, c->n_head_v, 1, &state);
    for (int h = 0; h < c->n_head_v; h++) in->a[h] = -0.1f - fabsf(in->a[h]);
    fill(in->g_bias, c->n_head_v, 1, &state);
    fill(in->norm, c->v_dim, 1, &state);
    fill(in->mixed, N_ALL * td_delta_n_channel(c), 2, &state);
    fill(in->z, N_ALL * td_delta_n_value(c), 2, &state);
    fill(in->beta, N_ALL * c->n_head_v, 3, &state);
    fill(in->g, N_ALL * c->n_head_v, 3, &state);
    in->g[0] = 40; /* where softplus is a line */
    in->net = (td_delta_net){
        .config = *c, .tiled = tiled, .conv = in->conv, .a = in->a, .g_bias = in->g_bias};
    in->net.norm =
        (td_norm){.kind = TD_NORM_RMS, .weight = in->norm, .n = c->v_dim, .n_set = 1, .eps = 1e-6f};
}

/* ---- the definition ---- */

static double silu(double x) { return x / (1 + exp(-x)); }

/* Channel j of a token of a sequence, after convolution and SiLU. */
static double channel(const inputs *in, int seq, int token, int j) {
    const td_delta_config *c = &in->net.config;
    const int n_channel = td_delta_n_channel(c);
    double y = 0;
    for (int t = 0; t < c->n_conv; t++) {
        const int from = token - (c->n_conv - 1) + t;
        if (from >= 0)
            y += (double)in->conv[t * n_channel + j] *
                 (double)in->mixed[(seq * N_TOKEN + from) * n_channel + j];
    }
    return silu(y);
}

static void unit(const inputs *in, int seq, int token, int first, double length, double *out) {
    const int n = in->net.config.k_dim;
    double sum = 1e-6;
    for (int i = 0; i < n; i++) {
        out[i] = channel(in, seq, token, first + i);
        sum += out[i] * out[i];
    }
    for (int i = 0; i < n; i++) out[i] *= length / sqrt(sum);
}

/* Writes the outputs of one head of one sequence where work->z has them. */
static void define_head(const inputs *in, int seq, int h, double *out) {
    const td_delta_config *c = &in->net.config;
    const int head_k = in->net.tiled ? h % c->n_head_k : h * c->n_head_k / c->n_head_v;
    static double s[64][64];
    double q[64], k[64], o[64];
    memset(s, 0, sizeof s);
    for (int t = 0; t < N_TOKEN; t++) {
        const int at = seq * N_TOKEN + t;
        const int v = 2 * td_delta_n_key(c) + h * c->v_dim;
        const double x = (double)in->g[at * c->n_head_v + h] + (double)in->g_bias[h];
        const double decay = exp((double)in->a[h] * log1p(exp(x)));
        const double beta = 1 / (1 + exp(-(double)in->beta[at * c->n_head_v + h]));
        unit(in, seq, t, head_k * c->k_dim, 1 / sqrt(c->k_dim), q);
        unit(in, seq, t, td_delta_n_key(c) + head_k * c->k_dim, 1, k);
        double square = 0;
        for (int j = 0; j < c->v_dim; j++) {
            double seen = 0;
            for (int i = 0; i < c->k_dim; i++) seen += decay * s[i][j] * k[i];
            const double correction = beta * (channel(in, seq, t, v + j) - seen);
            o[j] = 0;
            for (int i = 0; i < c->k_dim; i++) {
                s[i][j] = decay * s[i][j] + k[i] * correction;
                o[j] += s[i][j] * q[i];
            }
            square += o[j] * o[j];
        }
        for (int j = 0; j < c->v_dim; j++) {
            const int z = at * td_delta_n_value(c) + h * c->v_dim + j;
            out[z] = o[j] / sqrt(square / c->v_dim + 1e-6) * (double)in->norm[j] *
                     silu((double)in->z[z]);
        }
    }
}

/* ---- running ---- */

typedef struct runner {
    td_kv_cache *kv;
    td_pool *pool;
    td_kernels kernels;
    td_arena arena;
    td_step step;
    td_delta_work work;
    const inputs *in;
    float out[N_ALL * MAX_WIDTH];
} runner;

static runner *start(const inputs *in, int n_thread, unsigned flags) {
    runner *r = calloc(1, sizeof *r);
    assert_non_null(r);
    const td_delta_config *c = &in->net.config;
    const td_kv_shape shapes[2] = {
        {.n_head_kv = 1, .k_dim = 32, .v_dim = 32},
        {.n_state = td_delta_n_state(c)  }
    };
    const td_kv_spec spec = {.shapes = shapes,
                             .n_layer = 2,
                             .k_dtype = TD_KV_DTYPE_F32,
                             .v_dtype = TD_KV_DTYPE_F32,
                             .n_seq = N_SEQ,
                             .n_ctx = N_TOKEN,
                             .batch_max = N_ALL};
    r->in = in;
    td_kernels_fill(&r->kernels, flags);
    assert_int_equal(td_pool_create(&r->pool, n_thread, NULL), TD_OK);
    assert_int_equal(td_kv_cache_create(&r->kv, &spec, NULL), TD_OK);
    td_arena_init(&r->arena, 1 << 16);
    r->step = (td_step){.kernels = &r->kernels, .pool = r->pool, .kv = r->kv, .k_max = MAX_WIDTH};
    r->step.tile = td_arena_alloc(&r->arena, (size_t)n_thread * 2 * TD_PANEL * MAX_WIDTH * 4);
    assert_non_null(r->step.tile);
    assert_int_equal(td_delta_work_init(&r->work, &r->arena, c, N_ALL, NULL), TD_OK);
    return r;
}

static void stop(runner *r) {
    td_kv_cache_free(r->kv);
    td_pool_free(r->pool);
    td_arena_clear(&r->arena);
    free(r);
}

/* Evaluates a batch: n tokens, of the sequences and positions given. */
static void run_batch(runner *r, const td_batch *batch) {
    const td_delta_config *c = &r->in->net.config;
    const size_t n_channel = (size_t)td_delta_n_channel(c), n_value = (size_t)td_delta_n_value(c);
    const size_t n_head = (size_t)c->n_head_v;
    for (size_t i = 0; i < (size_t)batch->n; i++) {
        const size_t at = (size_t)(batch->sequence[i] * N_TOKEN + batch->position[i]);
        memcpy(r->work.mixed + i * n_channel, r->in->mixed + at * n_channel, n_channel * 4);
        memcpy(r->work.z + i * n_value, r->in->z + at * n_value, n_value * 4);
        memcpy(r->work.beta + i * n_head, r->in->beta + at * n_head, n_head * 4);
        memcpy(r->work.g + i * n_head, r->in->g + at * n_head, n_head * 4);
    }
    r->step.batch = batch;
    td_delta_net_forward(&r->step, 1, &r->in->net, &r->work);
    for (size_t i = 0; i < (size_t)batch->n; i++) {
        const size_t at = (size_t)(batch->sequence[i] * N_TOKEN + batch->position[i]);
        memcpy(r->out + at * n_value, r->work.z + i * n_value, n_value * 4);
    }
}

/* Both sequences from position `from` on, `most` tokens of each in a batch, taking turns. */
static void run_all(runner *r, int from, int most) {
    int32_t position[N_ALL], sequence[N_ALL];
    for (; from < N_TOKEN; from += most) {
        td_batch batch = {.position = position, .sequence = sequence};
        const int to = from + most < N_TOKEN ? from + most : N_TOKEN;
        for (int seq = 0; seq < N_SEQ; seq++) td_kv_cache_reserve(r->kv, seq, from, to);
        for (int t = from; t < to; t++)
            for (int seq = 0; seq < N_SEQ; seq++) {
                position[batch.n] = t;
                sequence[batch.n++] = seq;
            }
        run_batch(r, &batch);
    }
}

/* ---- the tests ---- */

static void test_definition(void **state) {
    (void)state;
    inputs *in = calloc(1, sizeof *in);
    double *want = calloc((size_t)N_ALL * MAX_WIDTH, sizeof *want);
    assert_non_null(in);
    assert_non_null(want);
    for (size_t i = 0; i < 2 * sizeof configs / sizeof *configs; i++) {
        const td_delta_config *c = &configs[i / 2];
        make_inputs(in, c, i % 2);
        for (int seq = 0; seq < N_SEQ; seq++)
            for (int h = 0; h < c->n_head_v; h++) define_head(in, seq, h, want);
        runner *r = start(in, 1, TD_CPU_SCALAR);
        run_all(r, 0, N_TOKEN);
        /* float32 against double: dozens of roundings of numbers near one, enlarged where a head's
         * output is short before its norm. */
        for (int j = 0; j < N_ALL * td_delta_n_value(c); j++)
            assert_float_equal(r->out[j], want[j], 2e-4);
        stop(r);
    }
    free(want);
    free(in);
}

static void test_same_bytes(void **state) {
    (void)state;
    inputs *in = calloc(1, sizeof *in);
    assert_non_null(in);
    int n_level;
    const td_cpu_level_info *levels = td_cpu_level_list(&n_level);
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        const size_t n_byte = (size_t)N_ALL * (size_t)td_delta_n_value(&configs[i]) * 4;
        make_inputs(in, &configs[i], false);
        runner *want = start(in, 1, TD_CPU_SCALAR);
        run_all(want, 0, N_TOKEN);
        for (int level = 0; level < n_level; level++) {
            if (levels[level].flags & ~td_cpu_detect()) continue;
            for (int most = 1; most <= N_TOKEN; most += 7) {
                runner *got = start(in, 1 + most % 3, levels[level].flags);
                run_all(got, 0, most);
                assert_memory_equal(got->out, want->out, n_byte);
                stop(got);
            }
        }
        stop(want);
    }
    free(in);
}

typedef struct saved {
    uint8_t bytes[1 << 16];
    size_t n, at;
} saved;

static td_status save_rows(void *user, uint8_t *rows, size_t n, td_err *err) {
    saved *s = user;
    (void)err;
    assert_true(s->n + n <= sizeof s->bytes);
    memcpy(s->bytes + s->n, rows, n);
    s->n += n;
    return TD_OK;
}

static td_status restore_rows(void *user, uint8_t *rows, size_t n, td_err *err) {
    saved *s = user;
    (void)err;
    assert_true(s->at + n <= s->n);
    memcpy(rows, s->bytes + s->at, n);
    s->at += n;
    return TD_OK;
}

/* A sequence can be gone on with, begun again, and taken to another cache. */
static void test_state(void **state) {
    (void)state;
    enum { HALF = 13 };
    inputs *in = calloc(1, sizeof *in);
    saved *s = calloc(1, sizeof *s);
    assert_non_null(in);
    assert_non_null(s);
    make_inputs(in, &configs[0], false);
    const size_t n_byte = (size_t)N_ALL * (size_t)td_delta_n_value(&configs[0]) * 4;
    runner *want = start(in, 1, TD_CPU_SCALAR), *got = start(in, 1, TD_CPU_SCALAR);
    run_all(want, 0, N_TOKEN);
    run_all(got, 0, N_TOKEN);
    memset(got->out, 0, n_byte);

    int kept_from[2];
    assert_int_equal(td_kv_cache_truncate(got->kv, 0, N_TOKEN), N_TOKEN);
    assert_int_equal(td_kv_cache_truncate(got->kv, 0, N_TOKEN - 1), 0); /* gone past it */
    assert_int_equal(td_kv_cache_truncate(got->kv, 1, 0), 0);
    run_all(got, 0, HALF); /* both from their first token: the old states are gone */
    assert_memory_equal(got->out, want->out, n_byte);

    runner *other = start(in, 1, TD_CPU_SCALAR), *first = start(in, 1, TD_CPU_SCALAR);
    for (int seq = 0; seq < N_SEQ; seq++) {
        int32_t position[HALF], sequence[HALF];
        for (int t = 0; t < HALF; t++) {
            position[t] = t;
            sequence[t] = seq;
        }
        td_kv_cache_reserve(first->kv, seq, 0, HALF);
        run_batch(first, &(td_batch){.n = HALF, .position = position, .sequence = sequence});
    }
    for (int seq = 0; seq < N_SEQ; seq++) {
        size_t n_total = 0, n;
        s->n = s->at = 0;
        td_kv_cache_worth_keeping(first->kv, seq, HALF, kept_from);
        for (int layer = 0; layer < 2; layer++) {
            assert_int_equal(td_kv_cache_visit(first->kv, seq, layer, kept_from[layer], HALF,
                                               save_rows, s, NULL),
                             TD_OK);
            assert_int_equal(
                td_kv_cache_visit_bytes(&n, first->kv, layer, kept_from[layer], HALF, NULL), TD_OK);
            n_total += n;
            assert_true(td_kv_cache_can_adopt(other->kv, layer, (uint32_t)kept_from[layer], HALF));
        }
        assert_int_equal(n_total, s->n);
        td_kv_cache_adopt(other->kv, seq, kept_from, HALF);
        for (int layer = 0; layer < 2; layer++)
            assert_int_equal(td_kv_cache_visit(other->kv, seq, layer, kept_from[layer], HALF,
                                               restore_rows, s, NULL),
                             TD_OK);
        assert_int_equal(td_kv_cache_truncate(other->kv, seq, HALF), HALF);
    }
    memcpy(other->out, first->out, n_byte);
    run_all(other, HALF, 5);
    assert_memory_equal(other->out, want->out, n_byte);
    stop(first);
    stop(other);
    stop(got);
    stop(want);
    free(s);
    free(in);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_definition),
        cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
