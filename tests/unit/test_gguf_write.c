/* test_gguf_write.c - files written are files read: metadata of every type, tensors, alignment, and
 * what is left behind when writing fails. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "format/gguf_write.h"

#include "support/gguf_builder.h"

static char folder[64], path[96];

static int make_folder(void **state) {
    (void)state;
    strcpy(folder, "/tmp/tandem-gguf-write-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/out.gguf", folder);
    return 0;
}

/* Fails if anything but `path` is left. */
static int remove_folder(void **state) {
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static td_string string_of(const char *s) { return (td_string){s, strlen(s)}; }

static void expect(td_status status, const td_err *err) {
    if (status != TD_OK) fail_msg("%s", err->msg);
}

/* An entry of each type, scalar and array. */
static void put_all(td_gguf_writer *w, td_err *err) {
    static const uint8_t bytes[16] = {1, 0, 0, 0, 0, 0, 0, 0x80, 1, 0, 1, 1, 1, 1, 1, 1};
    char key[32];
    for (int type = 0; type < TD_N_GGUF_TYPE; type++) {
        if (type == TD_GGUF_STRING || type == TD_GGUF_ARRAY) continue;
        snprintf(key, sizeof key, "scalar.%d", type);
        expect(td_gguf_writer_put(w, key, (td_gguf_type)type, bytes, err), err);
        snprintf(key, sizeof key, "array.%d", type);
        const uint64_t n = type == TD_GGUF_BOOL ? 1 : 2;
        expect(td_gguf_writer_put_array(w, key, (td_gguf_type)type, bytes, n, err), err);
    }
    const td_string texts[3] = {string_of("one"), string_of(""), string_of("three")};
    expect(td_gguf_writer_put_string(w, "text", string_of("some text"), err), err);
    expect(td_gguf_writer_put_string(w, "empty", string_of(""), err), err);
    expect(td_gguf_writer_put_strings(w, "texts", texts, 3, err), err);
    expect(td_gguf_writer_put_strings(w, "no.texts", NULL, 0, err), err);
    expect(td_gguf_writer_put_array(w, "no.numbers", TD_GGUF_U32, NULL, 0, err), err);
}

static td_checkpoint *open_written(void) {
    td_checkpoint *ckpt;
    td_err err;
    expect(td_checkpoint_open(&ckpt, path, &err), &err);
    return ckpt;
}

static void check_all(const td_checkpoint *ckpt) {
    assert_int_equal(td_meta_int(td_checkpoint_meta(ckpt, "scalar.4"), 0), 1);
    assert_int_equal(td_checkpoint_meta(ckpt, "scalar.10")->type, TD_META_UINT);
    assert_int_equal(td_meta_int(td_checkpoint_meta(ckpt, "scalar.11"), 0), INT64_MIN + 1);
    assert_true(td_meta_bool(td_checkpoint_meta(ckpt, "scalar.7"), 0));
    const td_meta *array = td_checkpoint_meta(ckpt, "array.5");
    assert_int_equal(array->n_elem, 2);
    assert_int_equal(td_meta_int(array, 1), INT32_MIN);
    const td_meta *texts = td_checkpoint_meta(ckpt, "texts");
    assert_int_equal(texts->n_elem, 3);
    assert_int_equal(td_meta_string(texts, 1).n, 0);
    assert_memory_equal(td_meta_string(texts, 2).text, "three", 5);
    assert_memory_equal(td_meta_string(td_checkpoint_meta(ckpt, "text"), 0).text, "some text", 9);
    assert_int_equal(td_checkpoint_meta(ckpt, "no.texts")->n_elem, 0);
    assert_int_equal(td_checkpoint_meta(ckpt, "no.numbers")->n_elem, 0);
}

static void test_metadata(void **state) {
    (void)state;
    td_gguf_writer w;
    td_err err;
    expect(td_gguf_writer_open(&w, path, &err), &err);
    put_all(&w, &err);
    expect(td_gguf_writer_commit(&w, &err), &err);
    td_checkpoint *ckpt = open_written();
    check_all(ckpt);
    /* Copied once more, entry by entry, it is the same file. */
    char copy[128];
    snprintf(copy, sizeof copy, "%s/copy.gguf", folder);
    expect(td_gguf_writer_open(&w, copy, &err), &err);
    for (size_t i = 0; i < td_checkpoint_n_meta(ckpt); i++)
        expect(td_gguf_writer_copy(&w, td_checkpoint_meta_at(ckpt, i), &err), &err);
    expect(td_gguf_writer_commit(&w, &err), &err);
    td_checkpoint_close(ckpt);
    char command[256];
    snprintf(command, sizeof command, "cmp -s %s %s", path, copy);
    assert_int_equal(system(command), 0);
    unlink(copy);
}

static void test_replace_and_remove(void **state) {
    (void)state;
    td_gguf_writer w;
    td_err err;
    const uint32_t one = 1, two = 2;
    expect(td_gguf_writer_open(&w, path, &err), &err);
    expect(td_gguf_writer_put(&w, "a", TD_GGUF_U32, &one, &err), &err);
    expect(td_gguf_writer_put(&w, "b", TD_GGUF_U32, &one, &err), &err);
    expect(td_gguf_writer_put(&w, "c", TD_GGUF_U32, &one, &err), &err);
    expect(td_gguf_writer_put(&w, "b", TD_GGUF_U32, &two, &err), &err);
    td_gguf_writer_remove(&w, "a");
    td_gguf_writer_remove(&w, "none");
    expect(td_gguf_writer_commit(&w, &err), &err);
    td_checkpoint *ckpt = open_written();
    assert_int_equal(td_checkpoint_n_meta(ckpt), 2);
    assert_string_equal(td_checkpoint_meta_at(ckpt, 0)->key, "b");
    assert_int_equal(td_meta_int(td_checkpoint_meta_at(ckpt, 0), 0), 2);
    assert_string_equal(td_checkpoint_meta_at(ckpt, 1)->key, "c");
    td_checkpoint_close(ckpt);
}

/* Tensors of odd sizes, their data in pieces that do not end where they do. */
static void test_tensors(void **state) {
    (void)state;
    static const struct {
        const char *name;
        td_dtype dtype;
        int n_dims;
        int64_t ne[4];
        size_t n_bytes;
    } rows[] = {
        {"one",   TD_DTYPE_F32,  1, {1},          4  },
        {"odd",   TD_DTYPE_F16,  2, {5, 7},       70 },
        {"q8",    TD_DTYPE_Q8_0, 3, {32, 3, 2},   204},
        {"whole", TD_DTYPE_F32,  4, {2, 2, 2, 1}, 32 },
    };
    td_gguf_writer w;
    td_err err;
    uint8_t data[4 + 70 + 204 + 32];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * 7);
    expect(td_gguf_writer_open(&w, path, &err), &err);
    for (size_t i = 0; i < 4; i++)
        expect(td_gguf_writer_tensor(&w, rows[i].name, rows[i].dtype, rows[i].n_dims, rows[i].ne,
                                     &err),
               &err);
    for (size_t at = 0, n; at < sizeof data; at += n) {
        n = at + 61 < sizeof data ? 61 : sizeof data - at;
        expect(td_gguf_writer_data(&w, data + at, n, &err), &err);
    }
    expect(td_gguf_writer_commit(&w, &err), &err);
    td_checkpoint *ckpt = open_written();
    assert_int_equal(td_checkpoint_n_tensor(ckpt), 4);
    for (size_t i = 0, at = 0; i < 4; at += rows[i++].n_bytes) {
        const td_tensor *t = td_checkpoint_tensor(ckpt, rows[i].name);
        assert_int_equal(t->dtype, rows[i].dtype);
        assert_int_equal(t->n_bytes, rows[i].n_bytes);
        assert_int_equal(t->offset % TD_GGUF_ALIGNMENT, 0);
        assert_memory_equal(t->data, data + at, rows[i].n_bytes);
    }
    td_checkpoint_close(ckpt);
}

/* A hole over the end of one tensor, a whole one, and the beginning of the last. */
static void test_hole(void **state) {
    (void)state;
    const int64_t ne[1] = {3};
    const float ones[3] = {1, 1, 1}, zeros[3] = {0};
    td_gguf_writer w;
    td_err err;
    expect(td_gguf_writer_open(&w, path, &err), &err);
    for (int i = 0; i < 3; i++)
        expect(td_gguf_writer_tensor(&w, (const char *[]){"a", "b", "c"}[i], TD_DTYPE_F32, 1, ne,
                                     &err),
               &err);
    expect(td_gguf_writer_data(&w, ones, 8, &err), &err);
    expect(td_gguf_writer_hole(&w, 4 + 12 + 8, &err), &err);
    expect(td_gguf_writer_data(&w, ones, 4, &err), &err);
    expect(td_gguf_writer_commit(&w, &err), &err);
    td_checkpoint *ckpt = open_written();
    const float wanted_a[3] = {1, 1, 0}, wanted_c[3] = {0, 0, 1};
    assert_memory_equal(td_checkpoint_tensor(ckpt, "a")->data, wanted_a, 12);
    assert_memory_equal(td_checkpoint_tensor(ckpt, "b")->data, zeros, 12);
    assert_memory_equal(td_checkpoint_tensor(ckpt, "c")->data, wanted_c, 12);
    td_checkpoint_close(ckpt);
}

static void test_refuses(void **state) {
    (void)state;
    td_gguf_writer w;
    td_err err;
    char longest[TD_GGUF_MAX_TENSOR_NAME + 2];
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = 0;
    expect(td_gguf_writer_open(&w, path, &err), &err);
    const int64_t whole[2] = {32, 2}, odd[2] = {31, 2}, none[2] = {32, 0};
    const int64_t huge[3] = {INT64_MAX / 64 * 32, 1 << 20, 1 << 20};
    const int64_t large[2] = {1ll << 40, 1 << 20};
    assert_int_equal(td_gguf_writer_tensor(&w, longest, TD_DTYPE_F32, 2, whole, &err),
                     TD_ERR_FORMAT);
    assert_int_equal(td_gguf_writer_tensor(&w, "", TD_DTYPE_F32, 2, whole, &err), TD_ERR_FORMAT);
    assert_int_equal(td_gguf_writer_tensor(&w, "a", TD_DTYPE_Q8_0, 2, odd, &err), TD_ERR_FORMAT);
    assert_non_null(strstr(err.msg, "'a'"));
    assert_int_equal(td_gguf_writer_tensor(&w, "a", TD_DTYPE_Q8_0, 2, none, &err), TD_ERR_FORMAT);
    assert_int_equal(td_gguf_writer_tensor(&w, "a", TD_DTYPE_INT4, 2, whole, &err), TD_ERR_FORMAT);
    assert_int_equal(td_gguf_writer_tensor(&w, "a", TD_DTYPE_F32, 3, huge, &err), TD_ERR_LIMIT);
    td_status status = TD_OK;
    for (int i = 0; i < 4 && status == TD_OK; i++)
        status = td_gguf_writer_tensor(&w, "a", TD_DTYPE_F32, 2, large, &err);
    assert_int_equal(status, TD_ERR_LIMIT);
    td_gguf_writer_abort(&w);
    assert_int_not_equal(access(path, F_OK), 0);
    td_gguf_writer_abort(&w);
    assert_int_equal(td_gguf_writer_open(&w, folder, &err), TD_ERR_IO);
}

static void test_full_disk(void **state) {
    (void)state;
    if (access("/dev/full", W_OK) != 0) skip();
    static uint8_t data[1 << 20];
    td_gguf_writer w;
    td_err err;
    expect(td_gguf_writer_open(&w, "/dev/full", &err), &err);
    expect(td_gguf_writer_tensor(&w, "a", TD_DTYPE_F16, 1, (int64_t[]){1 << 19}, &err), &err);
    td_status status = td_gguf_writer_data(&w, data, sizeof data, &err);
    if (status == TD_OK) status = td_gguf_writer_commit(&w, &err);
    td_gguf_writer_abort(&w);
    assert_int_equal(status, TD_ERR_IO);
    assert_non_null(strstr(err.msg, "/dev/full"));
    assert_non_null(strstr(err.msg, "No space"));
}

static td_status write_small(td_err *err) {
    td_gguf_writer w;
    const td_string text = string_of("text");
    const uint32_t one = 1;
    const float x[4] = {1, 2, 3, 4};
    TD_TRY(td_gguf_writer_open(&w, path, err));
    td_status status = td_gguf_writer_put(&w, "a", TD_GGUF_U32, &one, err);
    if (status == TD_OK) status = td_gguf_writer_put_array(&w, "b", TD_GGUF_U32, &one, 1, err);
    if (status == TD_OK) status = td_gguf_writer_put_strings(&w, "c", &text, 1, err);
    if (status == TD_OK) status = td_gguf_writer_put_string(&w, "a", text, err);
    if (status == TD_OK)
        status = td_gguf_writer_tensor(&w, "t", TD_DTYPE_F32, 1, (int64_t[]){4}, err);
    if (status == TD_OK) status = td_gguf_writer_data(&w, x, sizeof x, err);
    if (status == TD_OK) return td_gguf_writer_commit(&w, err);
    td_gguf_writer_abort(&w);
    return status;
}

static void test_out_of_memory(void **state) {
    (void)state;
    for (int64_t nth = 1;; nth++) {
        td_err err;
        td_alloc_fault_set(nth);
        const td_status status = write_small(&err);
        const bool reached = td_alloc_fault_count() >= nth;
        td_alloc_fault_set(0);
        assert_int_equal(status, reached ? TD_ERR_NOMEM : TD_OK);
        if (!reached) break;
        assert_int_not_equal(access(path, F_OK), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_metadata, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_replace_and_remove, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_tensors, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_hole, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_refuses, make_folder, remove_folder),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test_setup_teardown(test_out_of_memory, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
