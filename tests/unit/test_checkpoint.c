/* test_checkpoint.c - the directory over one or many files: look-ups, typed metadata, splits. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "format/checkpoint.h"

#include "support/gguf_builder.h"
#include "support/gguf_walk.h"

static const float ones[64];

/* Opens what was built and clears the builder; *image must outlive the checkpoint. */
static td_checkpoint *open_built(gguf_builder *b, uint8_t **image) {
    size_t n;
    td_err err;
    td_checkpoint *ckpt;
    *image = gguf_build(b, &n);
    gguf_builder_clear(b);
    if (td_checkpoint_open_memory(&ckpt, *image, n, "built", &err) != TD_OK)
        fail_msg("%s", err.msg);
    return ckpt;
}

/* ---- tensors ---- */

static void test_tensors_by_name(void **state) {
    (void)state;
    gguf_builder b = {0};
    char name[32];
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "blk.%d.weight", i * 37 % 100);
        gguf_add_tensor(&b, name, TD_DTYPE_F32, 1, (int64_t[]){i % 7 + 1}, ones,
                        (size_t)(i % 7 + 1) * 4);
    }
    uint8_t *image;
    td_checkpoint *ckpt = open_built(&b, &image);
    assert_int_equal(td_checkpoint_n_tensor(ckpt), 100);
    assert_int_equal(td_checkpoint_n_file(ckpt), 1);
    assert_string_equal(td_checkpoint_path(ckpt), "built");
    assert_string_equal(td_checkpoint_file(ckpt, 0), "built");
    assert_string_equal(td_checkpoint_format(ckpt), "GGUF v3");
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "blk.%d.weight", i * 37 % 100);
        const td_tensor *t = td_checkpoint_tensor(ckpt, name);
        assert_ptr_equal(t, td_checkpoint_tensor_at(ckpt, (size_t)i));
        assert_int_equal(td_tensor_elems(t), i % 7 + 1);
        assert_int_equal(td_tensor_rows(t), 1);
        td_checkpoint_will_need(ckpt, t);
        td_checkpoint_dont_need(ckpt, t);
    }
    assert_null(td_checkpoint_tensor(ckpt, "blk.100.weight"));
    assert_null(td_checkpoint_tensor(ckpt, ""));
    td_checkpoint_close(ckpt);
    td_checkpoint_close(NULL);
    free(image);
}

/* ---- typed metadata ---- */

typedef enum getter { GET_INT, GET_FLOAT, GET_BOOL, GET_STRING, GET_INTS } getter;

/* Calls one getter with range [0, 100], three layers, and a default of 42. */
static td_status get(const td_checkpoint *ckpt, getter how, const char *key, bool required,
                     double *out, td_err *err) {
    int64_t i = 42, ints[3] = {42, 42, 42};
    double f = 42;
    bool flag = true;
    td_string s;
    td_status status = TD_OK;
    switch (how) {
    case GET_INT:
        status = td_checkpoint_get_int(ckpt, key, required, 0, 100, &i, err);
        *out = (double)i;
        break;
    case GET_FLOAT:
        status = td_checkpoint_get_float(ckpt, key, required, &f, err);
        *out = f;
        break;
    case GET_BOOL:
        status = td_checkpoint_get_bool(ckpt, key, &flag, err);
        *out = flag;
        break;
    case GET_STRING:
        status = td_checkpoint_get_string(ckpt, key, required, &s, err);
        *out = s.text ? (double)s.n : -1;
        break;
    case GET_INTS:
        status = td_checkpoint_get_ints(ckpt, key, required, 0, 100, 3, ints, err);
        *out = (double)(ints[0] * 10000 + ints[1] * 100 + ints[2]);
        break;
    }
    return status;
}

static void test_typed_lookups(void **state) {
    (void)state;
    gguf_builder b = {0};
    gguf_add_u32(&b, "u32", 7);
    gguf_add_scalar(&b, "i8", TD_GGUF_I8, "\xFF", 1);
    gguf_add_scalar(&b, "i16", TD_GGUF_I16, "\xFE\xFF", 2);
    gguf_add_scalar(&b, "i64", TD_GGUF_I64, "\x64\0\0\0\0\0\0", 8);
    gguf_add_u16(&b, "u16", 101);
    gguf_add_u64(&b, "u64", UINT64_MAX);
    gguf_add_f32(&b, "f32", 0.5f);
    gguf_add_f32(&b, "nan", NAN);
    gguf_add_f64(&b, "inf", (double)INFINITY);
    gguf_add_bool(&b, "no", 0);
    gguf_add_string(&b, "string", "text");
    gguf_add_string(&b, "empty", "");
    gguf_add_i32s(&b, "i32s", (int32_t[]){1, 2, 3, 400}, 4);
    gguf_add_i32s(&b, "few", (int32_t[]){1, 2}, 2);
    gguf_add_i32s(&b, "bad", (int32_t[]){1, 2, -3}, 3);
    gguf_add_f32s(&b, "f32s", ones, 3);
    /* clang-format off */
    static const struct {
        getter how;
        const char *key;
        bool required;
        td_status status;
        double value;     /* if TD_OK */
        const char *says; /* else */
    } rows[] = {
        {GET_INT, "u32", true, TD_OK, 7, ""},
        {GET_INT, "i64", true, TD_OK, 100, ""},
        {GET_INT, "absent", false, TD_OK, 42, ""},
        {GET_INT, "absent", true, TD_ERR_FORMAT, 0, "key 'absent' is missing"},
        {GET_INT, "i8", false, TD_ERR_FORMAT, 0, "key 'i8' is -1, wanted 0 to 100"},
        {GET_INT, "i16", false, TD_ERR_FORMAT, 0, "key 'i16' is -2"},
        {GET_INT, "u16", false, TD_ERR_FORMAT, 0, "key 'u16' is 101"},
        {GET_INT, "u64", false, TD_ERR_FORMAT, 0, "key 'u64' is 18446744073709551615"},
        {GET_INT, "f32", false, TD_ERR_FORMAT, 0, "key 'f32' is a float, wanted an integer"},
        {GET_INT, "no", false, TD_ERR_FORMAT, 0, "key 'no' is a bool"},
        {GET_INT, "i32s", false, TD_ERR_FORMAT, 0, "key 'i32s' is an array"},
        {GET_FLOAT, "f32", true, TD_OK, 0.5, ""},
        {GET_FLOAT, "u32", true, TD_OK, 7, ""},
        {GET_FLOAT, "u64", true, TD_OK, 0x1p64, ""},
        {GET_FLOAT, "absent", false, TD_OK, 42, ""},
        {GET_FLOAT, "absent", true, TD_ERR_FORMAT, 0, "missing"},
        {GET_FLOAT, "nan", false, TD_ERR_FORMAT, 0, "wanted a finite number"},
        {GET_FLOAT, "inf", false, TD_ERR_FORMAT, 0, "wanted a finite number"},
        {GET_FLOAT, "string", false, TD_ERR_FORMAT, 0, "is a string, wanted a float"},
        {GET_FLOAT, "f32s", false, TD_ERR_FORMAT, 0, "is an array, wanted a float"},
        {GET_BOOL, "no", false, TD_OK, 0, ""},
        {GET_BOOL, "absent", false, TD_OK, 1, ""},
        {GET_BOOL, "u32", false, TD_ERR_FORMAT, 0, "is an integer, wanted a bool"},
        {GET_STRING, "string", true, TD_OK, 4, ""},
        {GET_STRING, "empty", true, TD_OK, 0, ""},
        {GET_STRING, "absent", false, TD_OK, -1, ""},
        {GET_STRING, "absent", true, TD_ERR_FORMAT, 0, "missing"},
        {GET_STRING, "no", false, TD_ERR_FORMAT, 0, "is a bool, wanted a string"},
        {GET_INTS, "u32", true, TD_OK, 70707, ""},
        {GET_INTS, "i32s", true, TD_OK, 10203, ""},
        {GET_INTS, "absent", false, TD_OK, 424242, ""},
        {GET_INTS, "absent", true, TD_ERR_FORMAT, 0, "missing"},
        {GET_INTS, "few", false, TD_ERR_FORMAT, 0, "has 2 elements, wanted one for each of 3"},
        {GET_INTS, "bad", false, TD_ERR_FORMAT, 0, "key 'bad' is -3"},
        {GET_INTS, "f32s", false, TD_ERR_FORMAT, 0, "is a float, wanted an integer"},
        {GET_INTS, "string", false, TD_ERR_FORMAT, 0, "is a string, wanted an integer"},
    };
    /* clang-format on */
    uint8_t *image;
    td_checkpoint *ckpt = open_built(&b, &image);
    assert_int_equal(td_checkpoint_n_meta(ckpt), 16);
    assert_string_equal(td_checkpoint_meta_at(ckpt, 1)->key, "i8");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        td_err err = {0};
        double value = 0;
        const td_status status =
            get(ckpt, rows[i].how, rows[i].key, rows[i].required, &value, &err);
        if (status != rows[i].status || (status == TD_OK && value != rows[i].value) ||
            (status != TD_OK && (!strstr(err.msg, rows[i].says) || !strstr(err.msg, "built"))))
            fail_msg("row %zu (%s): status %d, value %g, message '%s'", i, rows[i].key, (int)status,
                     value, err.msg);
    }
    td_checkpoint_close(ckpt);
    free(image);
}

/* ---- files ---- */

static char folder[] = "/tmp/td_checkpoint_XXXXXX";

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    return rmdir(folder);
}

static void path_of(char *out, size_t n, const char *name) {
    assert_true(snprintf(out, n, "%s/%s", folder, name) < (int)n);
}

static void test_open_file(void **state) {
    (void)state;
    td_err err;
    td_checkpoint *ckpt;
    char path[PATH_MAX];
    gguf_builder b = {.version = 2};
    gguf_add_tensor(&b, "a", TD_DTYPE_F32, 1, (int64_t[]){3}, ones, 12);
    path_of(path, sizeof path, "one.gguf");
    assert_int_equal(gguf_write(&b, path), 0);
    gguf_builder_clear(&b);
    assert_int_equal(td_checkpoint_open(&ckpt, path, &err), TD_OK);
    assert_string_equal(td_checkpoint_file(ckpt, 0), path);
    assert_string_equal(td_checkpoint_format(ckpt), "GGUF v2");
    const td_tensor *t = td_checkpoint_tensor(ckpt, "a");
    assert_non_null(t);
    assert_int_equal(td_checkpoint_file_bytes(ckpt, 0), t->offset + 12);
    td_checkpoint_will_need(ckpt, t);
    td_checkpoint_dont_need(ckpt, t);
    assert_int_equal(t->data[0], 0);
    td_checkpoint_close(ckpt);
    unlink(path);

    ckpt = (td_checkpoint *)&err;
    assert_int_equal(td_checkpoint_open(&ckpt, path, &err), TD_ERR_IO);
    assert_null(ckpt);
    assert_non_null(strstr(err.msg, path));
    assert_int_not_equal(td_checkpoint_open(&ckpt, folder, &err), TD_OK);
    assert_null(ckpt);
}

/* ---- splits ---- */

enum { N_PART = 3 };

/* What may be wrong with a split checkpoint. */
typedef enum flaw {
    FLAW_NONE,
    FLAW_NO_TOTAL, /* fine: the key is optional */
    FLAW_WRONG_TOTAL,
    FLAW_MISSING_PART,    /* the last */
    FLAW_WRONG_NO,        /* the last says it is the second */
    FLAW_WRONG_COUNT,     /* the last says there are four */
    FLAW_NOT_SPLIT,       /* the last says nothing */
    FLAW_DOUBLE_TENSOR,   /* in the first and the last */
    FLAW_BROKEN_PART,     /* the last is cut */
    FLAW_NO_OUT_OF_RANGE, /* split.no is 3 of 3 */
    FLAW_COUNT_IS_STRING
} flaw;

static void part_path(char *out, size_t n, int i) {
    char name[64];
    snprintf(name, sizeof name, "m-%05d-of-%05d.gguf", i + 1, N_PART);
    path_of(out, n, name);
}

static void write_part(int i, flaw with) {
    const bool last = i == N_PART - 1;
    char path[PATH_MAX], name[32];
    gguf_builder b = {0};
    if (i == 0) gguf_add_string(&b, "general.architecture", "llama");
    const int no = !last ? i : with == FLAW_WRONG_NO ? 1 : with == FLAW_NO_OUT_OF_RANGE ? 3 : i;
    if (!last || with != FLAW_NOT_SPLIT) {
        gguf_add_u16(&b, "split.no", (uint16_t)no);
        if (last && with == FLAW_COUNT_IS_STRING)
            gguf_add_string(&b, "split.count", "3");
        else
            gguf_add_u16(&b, "split.count", last && with == FLAW_WRONG_COUNT ? 4 : N_PART);
        if (with != FLAW_NO_TOTAL)
            gguf_add_i32(&b, "split.tensors.count", with == FLAW_WRONG_TOTAL ? 7 : 2 * N_PART);
    }
    for (int j = 0; j < 2; j++) {
        snprintf(name, sizeof name, "t.%d", 2 * i + j);
        if (last && j == 0 && with == FLAW_DOUBLE_TENSOR) name[2] = '0';
        gguf_add_tensor(&b, name, TD_DTYPE_F32, 1, (int64_t[]){i + 1}, ones, (size_t)(i + 1) * 4);
    }
    if (last && with == FLAW_BROKEN_PART) b.data.n -= 1;
    part_path(path, sizeof path, i);
    assert_int_equal(gguf_write(&b, path), 0);
    if (last && with == FLAW_MISSING_PART) unlink(path);
    gguf_builder_clear(&b);
}

static void remove_parts(void) {
    char path[PATH_MAX];
    for (int i = 0; i < N_PART; i++) {
        part_path(path, sizeof path, i);
        unlink(path);
    }
}

static void check_split(const td_checkpoint *ckpt) {
    char path[PATH_MAX], name[32];
    assert_int_equal(td_checkpoint_n_file(ckpt), N_PART);
    assert_int_equal(td_checkpoint_n_tensor(ckpt), 2 * N_PART);
    assert_non_null(td_checkpoint_meta(ckpt, "general.architecture"));
    for (int i = 0; i < N_PART; i++) {
        part_path(path, sizeof path, i);
        assert_string_equal(td_checkpoint_file(ckpt, i), path);
    }
    for (int i = 0; i < 2 * N_PART; i++) {
        snprintf(name, sizeof name, "t.%d", i);
        const td_tensor *t = td_checkpoint_tensor(ckpt, name);
        assert_ptr_equal(t, td_checkpoint_tensor_at(ckpt, (size_t)i));
        assert_int_equal(t->i_file, i / 2);
        assert_int_equal(t->ne[0], i / 2 + 1);
    }
}

static void test_split_by_any_part(void **state) {
    (void)state;
    char path[PATH_MAX];
    td_err err;
    td_checkpoint *ckpt;
    for (int i = 0; i < N_PART; i++) write_part(i, FLAW_NONE);
    for (int i = 0; i < N_PART; i++) {
        part_path(path, sizeof path, i);
        if (td_checkpoint_open(&ckpt, path, &err) != TD_OK) fail_msg("%s", err.msg);
        assert_string_equal(td_checkpoint_path(ckpt), path);
        check_split(ckpt);
        td_checkpoint_close(ckpt);
    }
    remove_parts();
}

static void test_split_flaws(void **state) {
    (void)state;
    static const struct {
        flaw flaw;
        td_status status;
        const char *says;
    } rows[] = {
        {FLAW_NO_TOTAL,        TD_OK,         ""                                                },
        {FLAW_WRONG_TOTAL,     TD_ERR_FORMAT, "split.tensors.count is 7, but the 3 parts have 6"},
        {FLAW_MISSING_PART,    TD_ERR_IO,     "part 3 of 3"                                     },
        {FLAW_WRONG_NO,        TD_ERR_FORMAT, "says it is part 2 of 3, wanted part 3 of 3"      },
        {FLAW_WRONG_COUNT,     TD_ERR_FORMAT, "says it is part 3 of 4, wanted part 3 of 3"      },
        {FLAW_NOT_SPLIT,       TD_ERR_FORMAT, "says it is part 1 of 1, wanted part 3 of 3"      },
        {FLAW_DOUBLE_TENSOR,   TD_ERR_FORMAT, "tensor 't.0' appears twice"                      },
        {FLAW_BROKEN_PART,     TD_ERR_FORMAT, "part 3 of 3"                                     },
        {FLAW_NO_OUT_OF_RANGE, TD_ERR_FORMAT, "key 'split.no' is 3, wanted 0 to 2"              },
        {FLAW_COUNT_IS_STRING, TD_ERR_FORMAT, "key 'split.count' is no integer"                 },
    };
    char path[PATH_MAX];
    part_path(path, sizeof path, 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        td_err err = {0};
        td_checkpoint *ckpt;
        for (int part = 0; part < N_PART; part++) write_part(part, rows[i].flaw);
        const td_status status = td_checkpoint_open(&ckpt, path, &err);
        if (status != rows[i].status || !strstr(err.msg, rows[i].says))
            fail_msg("flaw %d: status %d, '%s'", (int)rows[i].flaw, (int)status, err.msg);
        if (status == TD_OK)
            td_checkpoint_close(ckpt);
        else
            assert_non_null(strstr(err.msg, ".gguf"));
        remove_parts();
    }
}

/* A part under another name, or in memory, cannot lead to the others. */
static void test_split_without_name(void **state) {
    (void)state;
    char from[PATH_MAX], to[PATH_MAX];
    td_err err;
    td_checkpoint *ckpt;
    write_part(0, FLAW_NONE);
    part_path(from, sizeof from, 0);
    path_of(to, sizeof to, "renamed.gguf");
    assert_int_equal(rename(from, to), 0);
    assert_int_equal(td_checkpoint_open(&ckpt, to, &err), TD_ERR_FORMAT);
    assert_non_null(strstr(err.msg, "-00001-of-00003.gguf"));
    unlink(to);

    gguf_builder b = {0};
    gguf_add_u16(&b, "split.count", 65535);
    gguf_add_u16(&b, "split.no", 65534);
    size_t n;
    uint8_t *image = gguf_build(&b, &n);
    assert_int_equal(td_checkpoint_open_memory(&ckpt, image, n, "x-65535-of-65535.gguf", &err),
                     TD_ERR_UNSUPPORTED);
    assert_null(ckpt);
    free(image);
    gguf_builder_clear(&b);
}

static void test_out_of_memory(void **state) {
    (void)state;
#ifndef TD_FAULTS
    skip();
#endif
    char path[PATH_MAX];
    for (int i = 0; i < N_PART; i++) write_part(i, FLAW_NONE);
    part_path(path, sizeof path, 1);
    for (int64_t nth = 1;; nth++) {
        td_checkpoint *ckpt;
        td_err err;
        td_alloc_fault_set(nth);
        const td_status status = td_checkpoint_open(&ckpt, path, &err);
        const bool failed = td_alloc_fault_count() >= nth;
        td_alloc_fault_set(0);
        td_checkpoint_close(ckpt);
        assert_int_equal(status, failed ? TD_ERR_NOMEM : TD_OK);
        if (!failed) break;
        assert_true(nth < 1000);
    }
    remove_parts();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tensors_by_name), cmocka_unit_test(test_typed_lookups),
        cmocka_unit_test(test_open_file),       cmocka_unit_test(test_split_by_any_part),
        cmocka_unit_test(test_split_flaws),     cmocka_unit_test(test_split_without_name),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
