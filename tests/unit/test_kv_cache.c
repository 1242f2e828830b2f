/* test_kv_cache.c - pages against a plain model: every position holds what was last written to it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "ops/attention.h"
#include "ops/kv_cache.h"
#include "tensor/quantize.h"

enum { N_CTX = 500, N_SEQ = 3, BATCH = 50, N_HEAD = 4, N_HEAD_KV = 2, HEAD_DIM = 32, N_LAYER = 2 };
static const td_kv_shape shapes[N_LAYER] = {
    {.n_head_kv = N_HEAD_KV, .k_dim = HEAD_DIM, .v_dim = HEAD_DIM},
    { .n_head_kv = N_HEAD_KV,     .k_dim = HEAD_DIM, .v_dim = HEAD_DIM,      .window = 70},
};

/* Something to store that tells layer, sequence, position and element apart. */
static float value_at(int layer, int seq, int position, int i, bool is_v) {
    return sinf((float)(layer * 7 + seq * 31 + position * 3 + i) * 0.37f + (is_v ? 1.0f : 0.0f));
}

typedef struct fixture {
    td_kv_cache *kv;
    td_pool *pool;
    td_kernels kernels;
    td_step step;
    int32_t token[BATCH], position[BATCH], sequence[BATCH];
} fixture;

static td_kv_spec spec_of(td_kv_dtype k_dtype, td_kv_dtype v_dtype) {
    return (td_kv_spec){shapes, N_LAYER, k_dtype, v_dtype, N_SEQ, N_CTX, BATCH};
}

static void setup(fixture *f, td_kv_dtype k_dtype, td_kv_dtype v_dtype) {
    memset(f, 0, sizeof *f);
    td_kernels_fill(&f->kernels, td_cpu_detect());
    assert_int_equal(td_pool_create(&f->pool, 2, NULL), TD_OK);
    const td_kv_spec spec = spec_of(k_dtype, v_dtype);
    assert_int_equal(td_kv_cache_create(&f->kv, &spec, NULL), TD_OK);
    f->step = (td_step){.kernels = &f->kernels, .pool = f->pool, .kv = f->kv};
}

static void teardown(fixture *f) {
    td_kv_cache_free(f->kv);
    td_pool_free(f->pool);
}

static void write_span(fixture *f, int seq, int from, int to) {
    enum { WIDTH = N_HEAD_KV * HEAD_DIM };
    static float k[BATCH * WIDTH], v[BATCH * WIDTH];
    td_batch batch = {
        .n = to - from, .token = f->token, .position = f->position, .sequence = f->sequence};
    f->step.batch = &batch;
    td_kv_cache_reserve(f->kv, seq, from, to);
    for (int i = 0; i < to - from; i++) {
        f->position[i] = from + i;
        f->sequence[i] = seq;
    }
    for (int layer = 0; layer < N_LAYER; layer++) {
        for (int i = 0; i < (to - from) * WIDTH; i++) {
            k[i] = value_at(layer, seq, from + i / WIDTH, i % WIDTH, false);
            v[i] = value_at(layer, seq, from + i / WIDTH, i % WIDTH, true);
        }
        td_kv_write(&f->step, layer, k, v);
    }
    f->step.batch = NULL;
}

static const float sinks[N_HEAD] = {-3, 0.5f, 4, 90};
static const td_attention_spec specs[] = {
    {N_HEAD, 0.5f, 0,    NULL,  NULL, NULL},
    {N_HEAD, 0.5f, 1.5f, NULL,  NULL, NULL},
    {N_HEAD, 0.5f, 0,    sinks, NULL, NULL},
    {N_HEAD, 0.5f, 3,    sinks, NULL, NULL},
};

/* A row of value_at as the cache keeps it. */
static void stored_row(const td_kv_store *store, int layer, int seq, int position, int head_kv,
                       bool is_v, float *out) {
    static const td_dtype dtypes[TD_N_KV_DTYPE] = {TD_DTYPE_F32, TD_DTYPE_F16, TD_DTYPE_Q8_0,
                                                   TD_DTYPE_Q4_0};
    uint8_t bytes[HEAD_DIM * 4];
    for (int d = 0; d < HEAD_DIM; d++)
        out[d] = value_at(layer, seq, position, head_kv * HEAD_DIM + d, is_v);
    assert_int_equal(td_quantize_row(dtypes[store->dtype], out, bytes, HEAD_DIM, NULL), TD_OK);
    td_dequantize_row(dtypes[store->dtype], bytes, out, HEAD_DIM);
}

/* softmax(scale q k) v of one head in double precision, from stored_row. */
static void attend_plainly(const fixture *f, const td_attention_spec *spec, int layer, int seq,
                           int position, const float *q, int head, double *out) {
    const td_kv_layer *l = &f->kv->layers[layer];
    const int window = shapes[layer].window, head_kv = head / (N_HEAD / N_HEAD_KV);
    const int first = window && position >= window ? position - window + 1 : 0;
    double weight[N_CTX], sink = spec->sinks ? (double)spec->sinks[head] : -INFINITY, max = sink;
    float row[HEAD_DIM];
    for (int j = first; j <= position; j++) {
        double dot = 0;
        stored_row(&l->k, layer, seq, j, head_kv, false, row);
        for (int d = 0; d < HEAD_DIM; d++) dot += (double)q[d] * (double)row[d];
        weight[j] = dot * (double)spec->scale;
        if (spec->softcap > 0)
            weight[j] = (double)spec->softcap * tanh(weight[j] / (double)spec->softcap);
        if (weight[j] > max) max = weight[j];
    }
    for (int d = 0; d < HEAD_DIM; d++) out[d] = 0;
    double sum = exp(sink - max);
    for (int j = first; j <= position; j++) {
        const double p = exp(weight[j] - max);
        sum += p;
        stored_row(&l->v, layer, seq, j, head_kv, true, row);
        for (int d = 0; d < HEAD_DIM; d++) out[d] += p * (double)row[d];
    }
    for (int d = 0; d < HEAD_DIM; d++) out[d] /= sum;
}

/* Against what is stored the rest is float32 arithmetic: scores are sums of 32 products below 1,
 * which move by a few units of 2^-24 each, and weights by that factor. */
static const double tolerance = 2e-5;

static void check_attention(fixture *f, const td_attention_spec *spec, int seq, int position) {
    float q[N_HEAD * HEAD_DIM], out[N_HEAD * HEAD_DIM];
    const td_batch batch = {
        .n = 1, .token = f->token, .position = &(int32_t){position}, .sequence = &(int32_t){seq}};
    f->step.batch = &batch;
    for (int i = 0; i < N_HEAD * HEAD_DIM; i++) q[i] = cosf((float)(i * 5 + position) * 0.11f);
    for (int layer = 0; layer < N_LAYER; layer++) {
        td_attention_forward(&f->step, layer, spec, q, out);
        for (int h = 0; h < N_HEAD; h++) {
            double want[HEAD_DIM];
            attend_plainly(f, spec, layer, seq, position, q + h * HEAD_DIM, h, want);
            for (int d = 0; d < HEAD_DIM; d++)
                assert_true(fabs((double)out[h * HEAD_DIM + d] - want[d]) <= tolerance);
        }
    }
    f->step.batch = NULL;
}

static void test_attention(void **state) {
    (void)state;
    for (int types = 0; types < TD_N_KV_DTYPE + 2; types++) {
        const td_kv_dtype mixed[2][2] = {
            {TD_KV_DTYPE_Q8_0, TD_KV_DTYPE_F16 },
            {TD_KV_DTYPE_F32,  TD_KV_DTYPE_Q4_0}
        };
        const bool is_mixed = types >= TD_N_KV_DTYPE;
        fixture f;
        setup(&f, is_mixed ? mixed[types - TD_N_KV_DTYPE][0] : (td_kv_dtype)types,
              is_mixed ? mixed[types - TD_N_KV_DTYPE][1] : (td_kv_dtype)types);
        int at[N_SEQ] = {0};
        /* three sequences advance in turns by odd amounts, so that their pages interleave */
        for (int round = 0; round < 30; round++) {
            const int seq = round % N_SEQ, n = 1 + (round * 13) % BATCH;
            const int to = at[seq] + n < N_CTX ? at[seq] + n : N_CTX;
            if (to == at[seq]) continue;
            write_span(&f, seq, at[seq], to);
            at[seq] = to;
            const td_attention_spec *spec = &specs[round % 4];
            for (int s = 0; s < N_SEQ; s++)
                if (at[s] > 0) check_attention(&f, spec, s, at[s] - 1);
            check_attention(&f, spec, seq, to - (n + 1) / 2);
        }
        teardown(&f);
    }
}

/* Blocks of 32 do not fit heads of 80, and the message says so. */
static void test_head_dim(void **state) {
    (void)state;
    const td_kv_shape odd = {.n_head_kv = 2, .k_dim = 80, .v_dim = 80};
    td_kv_spec spec = {&odd, 1, TD_KV_DTYPE_F16, TD_KV_DTYPE_Q8_0, 1, 100, 10};
    td_kv_cache *kv;
    size_t bytes;
    td_err err;
    assert_int_equal(td_kv_cache_create(&kv, &spec, &err), TD_ERR_ARGUMENT);
    assert_null(kv);
    assert_string_equal(
        err.msg, "KV type q8_0 wants a head_dim that is a multiple of 32, this model has 80");
    spec.k_dtype = TD_KV_DTYPE_Q4_0;
    assert_int_equal(td_kv_cache_bytes(&bytes, &spec, &err), TD_ERR_ARGUMENT);
    assert_non_null(strstr(err.msg, "q4_0"));
}

static void check_pages(const fixture *f) {
    for (int i = 0; i < N_LAYER; i++) {
        const td_kv_layer *layer = &f->kv->layers[i];
        int used = 0;
        for (int b = 0; b < N_SEQ * layer->n_block; b++) used += layer->page_of[b] >= 0;
        assert_int_equal(used + layer->n_free, layer->n_page); /* invariant 2 */
    }
}

static void test_truncate(void **state) {
    (void)state;
    fixture f;
    setup(&f, TD_KV_DTYPE_F32, TD_KV_DTYPE_F32);
    for (int from = 0; from < 450; from += BATCH) write_span(&f, 0, from, from + BATCH);
    check_pages(&f);
    assert_int_equal(td_kv_cache_truncate(f.kv, 0, 440), 440); /* within the last batch */
    check_pages(&f);
    write_span(&f, 0, 440, 445);
    check_attention(&f, &specs[0], 0, 444);
    /* the window layer has given up what position 200 would read: everything has to come again */
    assert_int_equal(td_kv_cache_truncate(f.kv, 0, 200), 0);
    check_pages(&f);
    for (int i = 0; i < N_LAYER; i++)
        assert_int_equal(f.kv->layers[i].n_free, f.kv->layers[i].n_page);
    for (int from = 0; from < 300; from += BATCH) write_span(&f, 0, from, from + BATCH);
    check_attention(&f, &specs[0], 0, 299);
    teardown(&f);
}

static void test_window_layer_is_small(void **state) {
    (void)state;
    fixture f;
    setup(&f, TD_KV_DTYPE_F16, TD_KV_DTYPE_F16);
    /* 500 positions are 8 pages; 70 + 50 at any alignment are at most 3 */
    assert_int_equal(f.kv->layers[0].n_page, N_SEQ * 8);
    assert_int_equal(f.kv->layers[1].n_page, N_SEQ * 3);
    size_t bytes;
    td_kv_spec spec = spec_of(TD_KV_DTYPE_F16, TD_KV_DTYPE_Q8_0);
    assert_int_equal(td_kv_cache_bytes(&bytes, &spec, NULL), TD_OK);
    const size_t n_block = (size_t)N_SEQ * (8 + 3) * TD_KV_PAGE * N_HEAD_KV * HEAD_DIM / 32;
    assert_int_equal(bytes, n_block * (64 + 34));
    /* more pages than an int counts are refused, not wrapped */
    spec.n_seq = 4096;
    spec.n_ctx = 1 << 26;
    assert_int_equal(td_kv_cache_bytes(&bytes, &spec, NULL), TD_ERR_LIMIT);
    teardown(&f);
}

static void test_out_of_memory(void **state) {
    (void)state;
    const td_kv_spec spec = spec_of(TD_KV_DTYPE_F16, TD_KV_DTYPE_F16);
    for (int64_t n = 1;; n++) {
        td_kv_cache *kv;
        td_alloc_fault_set(n);
        const td_status status = td_kv_cache_create(&kv, &spec, NULL);
        td_alloc_fault_set(0);
        if (status == TD_OK) {
            td_kv_cache_free(kv);
            break;
        }
        assert_int_equal(status, TD_ERR_NOMEM);
        assert_null(kv);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attention),     cmocka_unit_test(test_head_dim),
        cmocka_unit_test(test_truncate),      cmocka_unit_test(test_window_layer_is_small),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
