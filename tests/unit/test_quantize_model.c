/* test_quantize_model.c - td_quantize_run() on small GGUF files: what is written, what is refused,
 * and what is left behind. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "jobs/quantize_model.h"
#include "tensor/quantize.h"

#include "support/gguf_builder.h"

enum { K = 256, N_ROW = 70, N_EXPERT = 3 };

static char folder[64], out_path[96];

static int make_folder(void **state) {
    (void)state;
    strcpy(folder, "/tmp/tandem-quantize-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(out_path, sizeof out_path, "%s/out.gguf", folder);
    return 0;
}

/* Fails if anything but the file to be written is left. */
static int remove_folder(void **state) {
    (void)state;
    unlink(out_path);
    return rmdir(folder);
}

static float weight_at(size_t i) {
    return (float)((int)((i * 2654435761u >> 8) & 0xFFFF) - 32768) / 32768;
}

/* A model of one layer: a norm, a matrix, experts, an output; `spoil` is put into row 5 of the
 * matrix. */
typedef struct model {
    uint8_t *image; /* owned */
    td_checkpoint *ckpt;
    td_quantize_source source;
} model;

static void open_model(model *m, td_dtype dtype, float spoil) {
    static float x[K * N_ROW * N_EXPERT];
    static uint8_t blocks[sizeof x];
    gguf_builder b = {0};
    td_err err;
    const size_t n = K * N_ROW;
    for (size_t i = 0; i < n * N_EXPERT; i++) x[i] = weight_at(i);
    gguf_add_string(&b, "general.architecture", "llama");
    gguf_add_u32(&b, "general.file_type", 0);
    gguf_add_u32(&b, "general.alignment", 64);
    gguf_add_u32(&b, "llama.block_count", 1);
    gguf_add_i32s(&b, "llama.attention.head_count", (int32_t[]){8, 4}, 2);
    gguf_add_u32(&b, "llama.attention.head_count_kv", 2);
    gguf_add_u32(&b, "llama.expert_count", N_EXPERT);
    gguf_add_u16(&b, "split.no", 0);
    gguf_add_string(&b, "some.text", "kept");
    b.alignment = 64;
    gguf_add_tensor(&b, "output.weight", TD_DTYPE_F32, 2, (int64_t[]){K, N_ROW}, x, n * 4);
    gguf_add_tensor(&b, "blk.0.attn_norm.weight", TD_DTYPE_F32, 1, (int64_t[]){K}, x, K * 4);
    gguf_add_tensor(&b, "blk.0.ffn_up_exps.weight", TD_DTYPE_F32, 3,
                    (int64_t[]){K, N_ROW, N_EXPERT}, x, n * 4 * N_EXPERT);
    if (spoil != 0) x[5 * K + 7] = spoil;
    size_t row_bytes;
    assert_int_equal(td_dtype_row_bytes(&row_bytes, dtype, K, &err), TD_OK);
    assert_int_equal(td_quantize_row(dtype, x, blocks, n, &err), TD_OK);
    gguf_add_tensor(&b, "blk.0.attn_q.weight", dtype, 2, (int64_t[]){K, N_ROW}, blocks,
                    row_bytes * N_ROW);
    size_t n_image;
    m->image = gguf_build(&b, &n_image);
    gguf_builder_clear(&b);
    if (td_checkpoint_open_memory(&m->ckpt, m->image, n_image, "built", &err) != TD_OK ||
        td_quantize_gguf_open(&m->source, m->ckpt, &err) != TD_OK)
        fail_msg("%s", err.msg);
}

static void close_model(model *m) {
    td_quantize_gguf_close(&m->source);
    td_checkpoint_close(m->ckpt);
    free(m->image);
}

static td_quantize_options options_of(const model *m, const char *mix) {
    td_quantize_options o = {.source = &m->source, .path = out_path, .n_thread = 1};
    td_err err;
    o.mix.output_dtype = o.mix.token_embd_dtype = -1;
    if (td_mix_find(&o.mix.mix, mix, &err) != TD_OK) fail_msg("%s", err.msg);
    return o;
}

static td_quantize_result run(const td_quantize_options *o) {
    td_quantize_result r;
    td_err err;
    if (td_quantize_run(o, &r, &err) != TD_OK) fail_msg("%s", err.msg);
    return r;
}

static void expect_refused(const td_quantize_options *o, td_status wanted, const char *words) {
    td_quantize_result r;
    td_err err;
    assert_int_equal(td_quantize_run(o, &r, &err), wanted);
    if (!strstr(err.msg, words)) fail_msg("'%s' is not in: %s", words, err.msg);
    assert_int_not_equal(access(out_path, F_OK), 0);
}

static td_checkpoint *open_written(void) {
    td_checkpoint *ckpt;
    td_err err;
    if (td_checkpoint_open(&ckpt, out_path, &err) != TD_OK) fail_msg("%s", err.msg);
    return ckpt;
}

/* The tensor is what quantizing the rows of x one by one gives. */
static void expect_tensor(const td_checkpoint *ckpt, const char *name, td_dtype dtype,
                          const float *importance) {
    const td_tensor *t = td_checkpoint_tensor(ckpt, name);
    assert_non_null(t);
    assert_int_equal(t->dtype, dtype);
    const size_t row_bytes = td_tensor_row_bytes(t);
    for (int64_t r = 0; r < td_tensor_rows(t); r++) {
        float x[K];
        uint8_t row[4 * K];
        for (size_t i = 0; i < K; i++) x[i] = weight_at((size_t)r * K + i);
        const float *own = importance ? importance + r / t->ne[1] * K : NULL;
        assert_int_equal(td_quantize_row_weighted(dtype, x, own, row, K, NULL), TD_OK);
        assert_memory_equal(t->data + (size_t)r * row_bytes, row, row_bytes);
    }
}

static void test_what_is_written(void **state) {
    (void)state;
    model m;
    open_model(&m, TD_DTYPE_F32, 0);
    assert_int_equal(m.source.model.n_head, 8);
    assert_int_equal(m.source.model.n_head_kv, 2);
    assert_int_equal(m.source.model.n_expert, N_EXPERT);
    const td_quantize_options o = options_of(&m, "Q4_K_M");
    const td_quantize_result r = run(&o);
    assert_int_equal(r.n_tensor, 4);
    assert_int_equal(r.n_quantized, 3);
    assert_int_equal(r.n_fell_back, 0);
    td_checkpoint *ckpt = open_written();
    assert_int_equal(td_meta_int(td_checkpoint_meta(ckpt, "general.file_type"), 0), 15);
    assert_int_equal(td_meta_int(td_checkpoint_meta(ckpt, "general.quantization_version"), 0), 2);
    assert_int_equal(td_checkpoint_meta(ckpt, "llama.attention.head_count")->n_elem, 2);
    assert_memory_equal(td_meta_string(td_checkpoint_meta(ckpt, "some.text"), 0).text, "kept", 4);
    assert_null(td_checkpoint_meta(ckpt, "split.no"));
    assert_null(td_checkpoint_meta(ckpt, "general.alignment"));
    assert_null(td_checkpoint_meta(ckpt, "quantize.imatrix.file"));
    expect_tensor(ckpt, "output.weight", TD_DTYPE_Q6_K, NULL);
    expect_tensor(ckpt, "blk.0.attn_norm.weight", TD_DTYPE_F32, NULL);
    expect_tensor(ckpt, "blk.0.attn_q.weight", TD_DTYPE_Q4_K, NULL);
    expect_tensor(ckpt, "blk.0.ffn_up_exps.weight", TD_DTYPE_Q4_K, NULL);
    assert_string_equal(td_checkpoint_tensor_at(ckpt, 0)->name, "output.weight");
    td_checkpoint_close(ckpt);
    close_model(&m);
}

/* The importance of experts is their own. */
static td_imatrix *make_imatrix(float importance[K * N_EXPERT], const char *tensor) {
    gguf_builder b = {0};
    const char *dataset = "a.txt";
    const float counts[N_EXPERT] = {1, 1, 1};
    char name[64];
    for (size_t i = 0; i < K * N_EXPERT; i++) importance[i] = (float)(i * i % 97) / 10;
    gguf_add_strings(&b, "imatrix.datasets", &dataset, 1);
    gguf_add_u32(&b, "imatrix.chunk_count", 7);
    snprintf(name, sizeof name, "%s.in_sum2", tensor);
    gguf_add_tensor(&b, name, TD_DTYPE_F32, 1, (int64_t[]){K * N_EXPERT}, importance,
                    K * N_EXPERT * 4);
    snprintf(name, sizeof name, "%s.counts", tensor);
    gguf_add_tensor(&b, name, TD_DTYPE_F32, 1, (int64_t[]){N_EXPERT}, counts, sizeof counts);
    size_t n_image;
    uint8_t *image = gguf_build(&b, &n_image);
    td_imatrix *m;
    td_err err;
    if (td_imatrix_parse(&m, image, n_image, "i.gguf", &err) != TD_OK) fail_msg("%s", err.msg);
    free(image);
    gguf_builder_clear(&b);
    return m;
}

static void test_importance(void **state) {
    (void)state;
    static float importance[K * N_EXPERT];
    model m;
    open_model(&m, TD_DTYPE_F32, 0);
    td_quantize_options o = options_of(&m, "Q3_K_S");
    o.imatrix = make_imatrix(importance, "blk.0.ffn_up_exps.weight");
    run(&o);
    td_checkpoint *ckpt = open_written();
    expect_tensor(ckpt, "blk.0.ffn_up_exps.weight", TD_DTYPE_Q3_K, importance);
    expect_tensor(ckpt, "blk.0.attn_q.weight", TD_DTYPE_Q3_K, NULL);
    assert_memory_equal(td_meta_string(td_checkpoint_meta(ckpt, "quantize.imatrix.file"), 0).text,
                        "i.gguf", 6);
    assert_memory_equal(
        td_meta_string(td_checkpoint_meta(ckpt, "quantize.imatrix.dataset"), 0).text, "a.txt", 5);
    assert_int_equal(td_meta_int(td_checkpoint_meta(ckpt, "quantize.imatrix.entries_count"), 0), 1);
    assert_int_equal(td_meta_int(td_checkpoint_meta(ckpt, "quantize.imatrix.chunks_count"), 0), 7);
    td_checkpoint_close(ckpt);
    unlink(out_path);
    td_imatrix_free(o.imatrix);
    /* It says nothing about the other matrix. */
    o = options_of(&m, "IQ2_XS");
    expect_refused(&o, TD_ERR_ARGUMENT, "none is given");
    o.imatrix = make_imatrix(importance, "blk.0.ffn_up_exps.weight");
    expect_refused(&o, TD_ERR_ARGUMENT, "'blk.0.attn_q.weight' would become iq2_xs");
    td_imatrix_free(o.imatrix);
    /* And it is of another model. */
    o = options_of(&m, "Q3_K_S");
    o.imatrix = make_imatrix(importance, "blk.0.attn_q.weight");
    expect_refused(&o, TD_ERR_FORMAT, "768 values for tensor 'blk.0.attn_q.weight', wanted 256");
    td_imatrix_free(o.imatrix);
    close_model(&m);
}

static void test_threads_do_not_matter(void **state) {
    (void)state;
    model m;
    open_model(&m, TD_DTYPE_F16, 0);
    td_quantize_options o = options_of(&m, "Q5_K_M");
    size_t n[2] = {0};
    static char bytes[2][1 << 20];
    for (int i = 0; i < 2; i++) {
        o.n_thread = i ? 5 : 1;
        run(&o);
        FILE *f = fopen(out_path, "rb");
        assert_non_null(f);
        n[i] = fread(bytes[i], 1, sizeof bytes[i], f);
        fclose(f);
    }
    assert_int_equal(n[0], n[1]);
    assert_memory_equal(bytes[0], bytes[1], n[0]);
    close_model(&m);
}

static void test_refuses(void **state) {
    (void)state;
    static const struct {
        td_dtype dtype; /* of the source */
        float spoil;
        const char *mix;
        td_status status;
        const char *words;
    } rows[] = {
        {TD_DTYPE_F32,  NAN,      "Q4_K_M", TD_ERR_FORMAT,   "'blk.0.attn_q.weight', row 5"},
        {TD_DTYPE_F16,  INFINITY, "Q8_0",   TD_ERR_FORMAT,   "'blk.0.attn_q.weight', row 5"},
        {TD_DTYPE_F32,  1e9f,     "F16",    TD_ERR_FORMAT,   "too large for f16"           },
        {TD_DTYPE_Q8_0, 0,        "Q4_K_M", TD_ERR_ARGUMENT, "has type q8_0 already"       },
        {TD_DTYPE_Q4_K, 0,        "F32",    TD_ERR_ARGUMENT, "has type q4_k already"       },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        model m;
        open_model(&m, rows[i].dtype, rows[i].spoil);
        td_quantize_options o = options_of(&m, rows[i].mix);
        expect_refused(&o, rows[i].status, rows[i].words);
        o.mix.only_copy = true; /* what is copied is not looked at */
        run(&o);
        td_checkpoint *ckpt = open_written();
        const td_tensor *t = td_checkpoint_tensor(ckpt, "blk.0.attn_q.weight");
        const td_tensor *from = td_checkpoint_tensor(m.ckpt, "blk.0.attn_q.weight");
        assert_int_equal(t->dtype, rows[i].dtype);
        assert_memory_equal(t->data, from->data, from->n_bytes);
        assert_int_equal(td_meta_int(td_checkpoint_meta(ckpt, "general.file_type"), 0), 0);
        td_checkpoint_close(ckpt);
        unlink(out_path);
        close_model(&m);
    }
}

static void test_requantize(void **state) {
    (void)state;
    model m;
    open_model(&m, TD_DTYPE_Q8_0, 0);
    td_quantize_options o = options_of(&m, "Q8_0");
    run(&o); /* what has the type already is copied */
    unlink(out_path);
    o = options_of(&m, "Q4_K_M");
    o.allow_requantize = true;
    run(&o);
    td_checkpoint *ckpt = open_written();
    assert_int_equal(td_checkpoint_tensor(ckpt, "blk.0.attn_q.weight")->dtype, TD_DTYPE_Q4_K);
    td_checkpoint_close(ckpt);
    close_model(&m);
}

typedef struct watch {
    int n_left; /* calls until it says stop */
    uint64_t done, total;
} watch;

static bool report(void *user, uint64_t done, uint64_t total) {
    watch *w = user;
    assert_true(done > w->done && done <= total);
    w->done = done;
    w->total = total;
    return w->n_left-- > 0;
}

static void test_report(void **state) {
    (void)state;
    model m;
    open_model(&m, TD_DTYPE_F32, 0);
    watch w = {.n_left = 100};
    td_quantize_options o = options_of(&m, "Q8_0");
    o.report = report;
    o.user = &w;
    const td_quantize_result r = run(&o);
    assert_int_equal(w.done, w.total);
    assert_int_equal(w.total, r.n_bytes_out);
    unlink(out_path);
    w = (watch){.n_left = 1};
    expect_refused(&o, TD_ERR_CANCELLED, "cancelled");
    close_model(&m);
}

static void test_full_disk(void **state) {
    (void)state;
    if (access("/dev/full", W_OK) != 0) skip();
    model m;
    open_model(&m, TD_DTYPE_F32, 0);
    td_quantize_options o = options_of(&m, "Q8_0");
    o.path = "/dev/full";
    expect_refused(&o, TD_ERR_IO, "No space");
    close_model(&m);
}

static void test_out_of_memory(void **state) {
    (void)state;
    const td_mix_override overrides[1] = {
        {"attn_q", TD_DTYPE_Q5_0}
    };
    static float importance[K * N_EXPERT];
    for (int64_t nth = 1;; nth++) {
        model m;
        open_model(&m, TD_DTYPE_F32, 0);
        td_quantize_gguf_close(&m.source);
        td_quantize_options o = options_of(&m, "Q8_0");
        o.imatrix = make_imatrix(importance, "blk.0.ffn_up_exps.weight");
        o.mix.overrides = overrides;
        o.mix.n_override = 1;
        o.n_thread = 2;
        td_quantize_result r;
        td_err err;
        td_alloc_fault_set(nth);
        td_status status = td_quantize_gguf_open(&m.source, m.ckpt, &err);
        if (status == TD_OK) status = td_quantize_run(&o, &r, &err);
        const bool reached = td_alloc_fault_count() >= nth;
        td_alloc_fault_set(0);
        td_imatrix_free(o.imatrix);
        close_model(&m);
        assert_int_equal(status, reached ? TD_ERR_NOMEM : TD_OK);
        if (!reached) break;
        assert_int_not_equal(access(out_path, F_OK), 0);
    }
}

static void test_source_refuses(void **state) {
    (void)state;
    gguf_builder b = {0};
    gguf_add_u32(&b, "llama.block_count", 1);
    size_t n;
    uint8_t *image = gguf_build(&b, &n);
    gguf_builder_clear(&b);
    td_checkpoint *ckpt;
    td_quantize_source source;
    td_err err;
    assert_int_equal(td_checkpoint_open_memory(&ckpt, image, n, "built", &err), TD_OK);
    assert_int_equal(td_quantize_gguf_open(&source, ckpt, &err), TD_ERR_FORMAT);
    assert_non_null(strstr(err.msg, "general.architecture"));
    td_quantize_gguf_close(&source);
    td_checkpoint_close(ckpt);
    free(image);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(test_what_is_written),
        WITH_FOLDER(test_importance),
        WITH_FOLDER(test_threads_do_not_matter),
        WITH_FOLDER(test_refuses),
        WITH_FOLDER(test_requantize),
        WITH_FOLDER(test_report),
        WITH_FOLDER(test_full_disk),
        WITH_FOLDER(test_out_of_memory),
        cmocka_unit_test(test_source_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
