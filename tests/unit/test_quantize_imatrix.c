/* test_quantize_imatrix.c - importance matrices in both formats, and files that lie. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "jobs/quantize_imatrix.h"

#include "support/gguf_builder.h"

static void put_text(gguf_bytes *b, const char *text) {
    gguf_bytes_u32(b, (uint32_t)strlen(text));
    gguf_bytes_put(b, text, strlen(text));
}

/* An entry of the older format. */
static void put_entry(gguf_bytes *b, const char *name, uint32_t n_call, const float *values,
                      uint32_t n) {
    put_text(b, name);
    gguf_bytes_u32(b, n_call);
    gguf_bytes_u32(b, n);
    gguf_bytes_put(b, values, n * sizeof *values);
}

static td_imatrix *parse(const void *bytes, size_t n) {
    td_imatrix *m;
    td_err err;
    if (td_imatrix_parse(&m, bytes, n, "built", &err) != TD_OK) fail_msg("%s", err.msg);
    return m;
}

static void expect_values(const td_imatrix *m, const char *name, const float *wanted, size_t n) {
    size_t found;
    const float *values = td_imatrix_find(m, name, &found);
    assert_int_equal(found, n);
    for (size_t i = 0; i < n; i++) assert_true(values[i] == wanted[i]);
}

static const float six[6] = {2, 4, 6, 8, 0, 12}, three[3] = {1, 2, 3};

static void test_old_format(void **state) {
    (void)state;
    gguf_bytes b = {0};
    gguf_bytes_u32(&b, 2);
    put_entry(&b, "blk.1.attn_q.weight", 2, six, 6);
    put_entry(&b, "blk.0.attn_q.weight", 0, three, 3);
    const size_t n_short = b.n;
    gguf_bytes_u32(&b, 9);
    put_text(&b, "wiki.txt");
    td_imatrix *m = parse(b.p, b.n);
    assert_int_equal(td_imatrix_n_entry(m), 2);
    assert_int_equal(td_imatrix_n_chunk(m), 9);
    assert_string_equal(td_imatrix_dataset(m), "wiki.txt");
    assert_string_equal(td_imatrix_path(m), "built");
    const float halves[6] = {1, 2, 3, 4, 0, 6};
    expect_values(m, "blk.1.attn_q.weight", halves, 6);
    expect_values(m, "blk.0.attn_q.weight", three, 3);
    expect_values(m, "blk.2.attn_q.weight", NULL, 0);
    td_imatrix_free(m);
    m = parse(b.p, n_short); /* as the first version had it */
    assert_int_equal(td_imatrix_n_chunk(m), 0);
    assert_null(td_imatrix_dataset(m));
    td_imatrix_free(m);
    free(b.p);
}

/* Two experts, of which the second was never used. */
static void build_gguf(gguf_builder *b) {
    const char *datasets[2] = {"a.txt", "b.txt"};
    const float counts[2] = {2, 0};
    gguf_add_strings(b, "imatrix.datasets", datasets, 2);
    gguf_add_u32(b, "imatrix.chunk_count", 5);
    gguf_add_u32(b, "imatrix.chunk_size", 512);
    gguf_add_tensor(b, "blk.0.ffn_up_exps.weight.in_sum2", TD_DTYPE_F32, 2, (int64_t[]){3, 2}, six,
                    sizeof six);
    gguf_add_tensor(b, "blk.0.ffn_up_exps.weight.counts", TD_DTYPE_F32, 2, (int64_t[]){1, 2},
                    counts, sizeof counts);
}

static void test_gguf(void **state) {
    (void)state;
    gguf_builder b = {0};
    build_gguf(&b);
    size_t n;
    uint8_t *image = gguf_build(&b, &n);
    td_imatrix *m = parse(image, n);
    free(image);
    gguf_builder_clear(&b);
    assert_int_equal(td_imatrix_n_entry(m), 1);
    assert_int_equal(td_imatrix_n_chunk(m), 5);
    assert_string_equal(td_imatrix_dataset(m), "a.txt");
    const float means[6] = {1, 2, 3, 1, 1, 1};
    expect_values(m, "blk.0.ffn_up_exps.weight", means, 6);
    td_imatrix_free(m);
}

static void test_filter(void **state) {
    (void)state;
    const char *const parts[2] = {"attn", "up"};
    for (int keep = 0; keep < 2; keep++) {
        gguf_bytes b = {0};
        gguf_bytes_u32(&b, 4);
        put_entry(&b, "attn_q", 1, three, 3);
        put_entry(&b, "ffn_up", 1, three, 3);
        put_entry(&b, "ffn_down", 1, three, 3);
        put_entry(&b, "output", 1, three, 3);
        td_imatrix *m = parse(b.p, b.n);
        td_imatrix_filter(m, parts, 2, keep);
        assert_int_equal(td_imatrix_n_entry(m), 2);
        expect_values(m, keep ? "attn_q" : "ffn_down", three, 3);
        expect_values(m, keep ? "ffn_down" : "attn_q", NULL, 0);
        td_imatrix_filter(m, parts, 0, 1);
        expect_values(m, "attn_q", NULL, 0);
        td_imatrix_free(m);
        free(b.p);
    }
}

/* Every cut is refused by a sentence, except where the format may end. */
static void test_cut(void **state) {
    (void)state;
    gguf_bytes b = {0};
    gguf_bytes_u32(&b, 1);
    put_entry(&b, "x", 1, three, 3);
    const size_t n_entries = b.n;
    gguf_bytes_u32(&b, 9);
    put_text(&b, "wiki");
    for (size_t n = 0; n < b.n; n++) {
        td_imatrix *m;
        td_err err;
        uint8_t *exact = malloc(n + 1);
        assert_non_null(exact);
        memcpy(exact, b.p, n);
        const td_status status = td_imatrix_parse(&m, exact, n, "cut", &err);
        const bool whole = n == n_entries || n == n_entries + 4;
        assert_int_equal(status, whole ? TD_OK : TD_ERR_FORMAT);
        if (!whole) assert_non_null(strstr(err.msg, "cut"));
        td_imatrix_free(m);
        free(exact);
    }
    free(b.p);
}

static void expect_refused(const void *bytes, size_t n, const char *words) {
    td_imatrix *m;
    td_err err;
    assert_int_equal(td_imatrix_parse(&m, bytes, n, "built", &err), TD_ERR_FORMAT);
    assert_null(m);
    if (!strstr(err.msg, words)) fail_msg("'%s' is not in: %s", words, err.msg);
}

static void test_old_lies(void **state) {
    (void)state;
    static const struct {
        uint32_t n_entry, n_name, n_value;
        const char *words;
    } rows[] = {
        {0,          1,          3,          "number of entries"},
        {0xFFFFFFFF, 1,          3,          "number of entries"},
        {2,          1,          3,          "entry 2 of 2"     },
        {1,          0,          3,          "length of a name" },
        {1,          0x7FFFFFFF, 3,          "length of a name" },
        {1,          1,          0,          "number of values" },
        {1,          1,          0x40000001, "number of values" },
        {1,          1,          4,          "wants 16 bytes"   },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        gguf_bytes b = {0};
        gguf_bytes_u32(&b, rows[i].n_entry);
        gguf_bytes_u32(&b, rows[i].n_name);
        gguf_bytes_put(&b, "x", 1);
        gguf_bytes_u32(&b, 1);
        gguf_bytes_u32(&b, rows[i].n_value);
        gguf_bytes_put(&b, three, sizeof three);
        expect_refused(b.p, b.n, rows[i].words);
        free(b.p);
    }
    const float bad[3][3] = {
        {1, NAN,      3},
        {1, -1,       3},
        {1, INFINITY, 3}
    };
    for (int i = 0; i < 3; i++) {
        gguf_bytes b = {0};
        gguf_bytes_u32(&b, 1);
        put_entry(&b, "x", 1, bad[i], 3);
        expect_refused(b.p, b.n, "entry 'x': value 1");
        free(b.p);
    }
    gguf_bytes twice = {0};
    gguf_bytes_u32(&twice, 2);
    put_entry(&twice, "x", 1, three, 3);
    put_entry(&twice, "x", 1, three, 3);
    expect_refused(twice.p, twice.n, "'x' appears twice");
    free(twice.p);
}

/* What a file may lack or have wrong, one at a time. */
static void test_gguf_lies(void **state) {
    (void)state;
    static const char *const words[] = {
        "imatrix.chunk_count", "imatrix.datasets", "x.counts",       "wanted f32",
        "6 values for",        "without entries",  "of another type"};
    for (int lie = 0; lie < 7; lie++) {
        gguf_builder b = {0};
        const char *dataset = "a";
        const float counts[4] = {1, 1, 1, 1};
        if (lie != 0) gguf_add_u32(&b, "imatrix.chunk_count", 5);
        if (lie == 6) gguf_add_u32(&b, "imatrix.datasets", 5);
        if (lie != 1 && lie != 6) gguf_add_strings(&b, "imatrix.datasets", &dataset, 1);
        if (lie != 5)
            gguf_add_tensor(&b, "x.in_sum2", lie == 3 ? TD_DTYPE_F16 : TD_DTYPE_F32, 1,
                            (int64_t[]){6}, six, lie == 3 ? 12 : 24);
        if (lie != 2)
            gguf_add_tensor(&b, "x.counts", TD_DTYPE_F32, 1, (int64_t[]){lie == 4 ? 4 : 2}, counts,
                            lie == 4 ? 16 : 8);
        size_t n;
        uint8_t *image = gguf_build(&b, &n);
        expect_refused(image, n, words[lie]);
        free(image);
        gguf_builder_clear(&b);
    }
}

static void test_out_of_memory(void **state) {
    (void)state;
    gguf_builder b = {0};
    build_gguf(&b);
    size_t n;
    uint8_t *image = gguf_build(&b, &n);
    for (int64_t nth = 1;; nth++) {
        td_imatrix *m;
        td_err err;
        td_alloc_fault_set(nth);
        const td_status status = td_imatrix_parse(&m, image, n, "built", &err);
        const bool reached = td_alloc_fault_count() >= nth;
        td_alloc_fault_set(0);
        assert_int_equal(status, reached ? TD_ERR_NOMEM : TD_OK);
        td_imatrix_free(m);
        if (!reached) break;
    }
    free(image);
    gguf_builder_clear(&b);
}

static void test_files(void **state) {
    (void)state;
    td_imatrix *m;
    td_err err;
    assert_int_equal(td_imatrix_open(&m, "/nowhere/imatrix", &err), TD_ERR_IO);
    assert_non_null(strstr(err.msg, "/nowhere/imatrix"));
    td_imatrix_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_old_format), cmocka_unit_test(test_gguf),
        cmocka_unit_test(test_filter),     cmocka_unit_test(test_cut),
        cmocka_unit_test(test_old_lies),   cmocka_unit_test(test_gguf_lies),
        cmocka_unit_test(test_files),      cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
