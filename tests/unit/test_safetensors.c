/* test_safetensors.c - one safetensors image: what is read, and all that must be refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "format/safetensors.h"

#include "support/gguf_walk.h"
#include "support/safetensors_builder.h"

static const char name[] = "image.safetensors";

/* ---- what is read ---- */

/* Every dtype with its bytes per element times eight, and what stands for it. */
static const struct {
    const char *dtype;
    size_t bits;
    int id; /* td_dtype */
} dtypes[] = {
    {"BOOL",        8,  24},
    {"U8",          8,  24},
    {"I8",          8,  24},
    {"F8_E5M2",     8,  24},
    {"F8_E8M0",     8,  24},
    {"F8_E4M3FNUZ", 8,  24},
    {"F8_E5M2FNUZ", 8,  24},
    {"I16",         16, 25},
    {"U16",         16, 25},
    {"F16",         16, 1 },
    {"BF16",        16, 30},
    {"I32",         32, 26},
    {"U32",         32, 26},
    {"F32",         32, 0 },
    {"F64",         64, 28},
    {"I64",         64, 27},
    {"U64",         64, 27},
    {"C64",         64, 27},
    {"F4",          4,  24},
    {"F6_E2M3",     6,  24},
    {"F6_E3M2",     6,  24},
};

/* A byte in front makes every other array unaligned. */
static void test_dtypes(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
        st_builder b = {0};
        const size_t n_bytes = 3 * 8 * dtypes[i].bits / 8;
        st_add(&b, "pad", "U8", "[1]", NULL, 1);
        st_add(&b, "x", dtypes[i].dtype, "[3, 8]", NULL, n_bytes);
        size_t n;
        uint8_t *image = st_build(&b, &n);
        td_checkpoint *ckpt;
        td_err err = {0};
        if (td_checkpoint_open_memory(&ckpt, image, n, name, &err) != TD_OK)
            fail_msg("%s: %s", dtypes[i].dtype, err.msg);
        const td_tensor *t = td_checkpoint_tensor(ckpt, "x");
        assert_int_equal(t->dtype, dtypes[i].id);
        assert_int_equal(t->n_bytes, n_bytes);
        assert_memory_equal(t->data, b.data + 1, n_bytes);
        assert_ptr_equal(t->data, image + t->offset);
        assert_int_equal(t->ne[0], dtypes[i].bits < 8 ? (int64_t)n_bytes : 8);
        assert_int_equal(t->ne[1], dtypes[i].bits < 8 ? 1 : 3);
        assert_null(t->source);
        td_checkpoint_will_need(ckpt, t);
        td_checkpoint_dont_need(ckpt, t);
        td_checkpoint_close(ckpt);
        free(image);
        st_clear(&b);
    }
}

static void test_shapes(void **state) {
    (void)state;
    static const struct {
        const char *shape;
        size_t n_byte;
        int n_dims;
        int64_t ne[TD_MAX_DIMS];
    } rows[] = {
        {"[]",                 4,   1, {1, 1, 1, 1}},
        {"[5]",                20,  1, {5, 1, 1, 1}},
        {"[2, 3]",             24,  2, {3, 2, 1, 1}},
        {"[2, 3, 4]",          96,  3, {4, 3, 2, 1}},
        {"[1, 2, 3, 4]",       96,  4, {4, 3, 2, 1}},
        {"[3, 2, 1, 4, 2]",    192, 4, {2, 4, 1, 6}},
        {"[3, 0, 2, 1, 4, 2]", 0,   4, {2, 4, 1, 0}},
        {"[0]",                0,   1, {0, 1, 1, 1}},
        {"[3, 0, 2]",          0,   3, {2, 0, 3, 1}},
    };
    st_builder b = {0};
    char label[16];
    const size_t n_row = sizeof rows / sizeof rows[0];
    for (size_t i = 0; i < n_row; i++) {
        snprintf(label, sizeof label, "t%zu", i);
        st_add(&b, label, "F32", rows[i].shape, NULL, rows[i].n_byte);
    }
    size_t n;
    uint8_t *image = st_build(&b, &n);
    td_checkpoint *ckpt;
    td_err err = {0};
    if (td_checkpoint_open_memory(&ckpt, image, n, name, &err) != TD_OK) fail_msg("%s", err.msg);
    assert_int_equal(td_checkpoint_get_kind(ckpt), TD_CHECKPOINT_HF);
    assert_string_equal(td_checkpoint_format(ckpt), "safetensors");
    assert_null(td_checkpoint_folder(ckpt));
    assert_int_equal(td_checkpoint_n_meta(ckpt), 0);
    assert_int_equal(td_checkpoint_n_tensor(ckpt), n_row);
    for (size_t i = 0; i < n_row; i++) {
        snprintf(label, sizeof label, "t%zu", i);
        const td_tensor *t = td_checkpoint_tensor(ckpt, label);
        assert_int_equal(t->n_dims, rows[i].n_dims);
        for (int d = 0; d < TD_MAX_DIMS; d++) assert_int_equal(t->ne[d], rows[i].ne[d]);
    }
    td_checkpoint_close(ckpt);
    free(image);
    st_clear(&b);
}

/* ---- what is refused ---- */

/* Refused, with a message that names the file. */
static void check_refused(const void *image, size_t n, const char *says) {
    td_err err = {0};
    const td_status status = gguf_walk_image_named(image, n, name, &err);
    if (status == TD_OK || !strstr(err.msg, says) || !strstr(err.msg, name))
        fail_msg("wanted '%s', got status %d, '%s'", says, (int)status, err.msg);
}

static void test_truncations(void **state) {
    (void)state;
    st_builder b = {0};
    size_t n;
    td_err err;
    st_add(&b, "a", "F32", "[2, 2]", NULL, 16);
    st_add(&b, "b.weight", "F8_E4M3", "[2, 3]", NULL, 6);
    st_add(&b, "b.weight_scale", "BF16", "[2, 1]", NULL, 4);
    uint8_t *image = st_build(&b, &n);
    assert_int_equal(gguf_walk_image_named(image, n, name, &err), TD_OK);
    for (size_t cut = 0; cut < n; cut++) {
        uint8_t *copy = (uint8_t *)malloc(cut + 1); /* ends where the file does */
        assert_non_null(copy);
        memcpy(copy, image, cut);
        copy = (uint8_t *)realloc(copy, cut > 0 ? cut : 1);
        check_refused(copy, cut, "");
        free(copy);
    }
    free(image);
    st_clear(&b);
}

#define ENTRY(label, dtype, shape, range)                                                          \
    "\"" label "\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" range "}"

static void test_hostile_headers(void **state) {
    (void)state;
    /* clang-format off */
    static const struct {
        const char *header;
        size_t n_data;
        const char *says;
    } rows[] = {
        {"{}", 1, "has 1 bytes of data, but its tensors end at byte 0"},
        {"[]", 0, "begins with byte 5b"},
        {"  {}", 0, "begins with byte 20"},
        {"{]", 0, "line 1"},
        {"{\"a\":1}", 0, "the entry of tensor 'a' is no object"},
        {"{\"\":{}}", 0, "a tensor name of 0 bytes"},
        {"{\"a\\u0007b\":{}}", 0, "without control characters"},
        {"{\"a\\u0000b\":{}}", 0, "line 1"},
        {"{\"a\":{}}", 0, "tensor 'a': dtype is missing"},
        {"{\"__metadata__\":[]}", 0, "__metadata__ is no object"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "a value in __metadata__ is no string"},
        {"{" ENTRY("a", "7", "[1]", "[0,4]") "}", 4, "dtype is missing or no string"},
        {"{" ENTRY("a", "\"F128\"", "[1]", "[0,16]") "}", 16, "dtype 'F128', which is not known"},
        {"{" ENTRY("a", "\"\\u001b[0m\"", "[1]", "[0,16]") "}", 16, "dtype '...'"},
        {"{" ENTRY("a", "\"F32\"", "7", "[0,4]") "}", 4, "shape is missing or no array"},
        {"{" ENTRY("a", "\"F32\"", "[-1]", "[0,4]") "}", 4, "no integer from 0 on"},
        {"{" ENTRY("a", "\"F32\"", "[1.5]", "[0,4]") "}", 4, "no integer from 0 on"},
        {"{" ENTRY("a", "\"F32\"", "[1,1,1,1,1,1,1,1,1]", "[0,4]") "}", 4, "has 9 dimensions"},
        {"{" ENTRY("a", "\"F32\"", "[4294967296,4294967296]", "[0,4]") "}", 4, "overflows"},
        {"{" ENTRY("a", "\"F32\"", "[1152921504606846976]", "[0,4]") "}", 4, "overflows"},
        {"{" ENTRY("a", "\"F32\"", "[9223372036854775808]", "[0,4]") "}", 4, "no integer from 0 on"},
        {"{" ENTRY("a", "\"F4\"", "[3]", "[0,2]") "}", 2, "are no whole bytes"},
        {"{" ENTRY("a", "\"F32\"", "[1]", "[4]") "}", 4, "no pair of offsets"},
        {"{" ENTRY("a", "\"F32\"", "[1]", "[0,4,8]") "}", 4, "no pair of offsets"},
        {"{" ENTRY("a", "\"F32\"", "[1]", "[4,0]") "}", 4, "wanted them in order"},
        {"{" ENTRY("a", "\"F32\"", "[1]", "[0,5]") "}", 4, "inside the 4 bytes"},
        {"{" ENTRY("a", "\"F32\"", "[1]", "[9223372036854775803,9223372036854775807]") "}", 4,
         "inside the 4 bytes"},
        {"{" ENTRY("a", "\"F32\"", "[2]", "[0,4]") "}", 4, "has 4 bytes, but its shape"},
        {"{" ENTRY("a", "\"F32\"", "[1]", "[4,8]") "}", 8, "must not leave holes"},
        {"{" ENTRY("a", "\"F32\"", "[1]", "[0,4]") "," ENTRY("b", "\"F32\"", "[1]", "[2,6]") "}", 6,
         "tensor 'b' begins at byte 2 of the data, but 'a' before it ends at byte 4: tensors must "
         "not overlap"},
        {"{" ENTRY("a", "\"F32\"", "[1]", "[0,4]") "," ENTRY("b", "\"F32\"", "[1]", "[8,12]") "}",
         12, "must not leave holes"},
        {"{" ENTRY("a", "\"F32\"", "[1]", "[0,4]") "," ENTRY("b", "\"F32\"", "[1]", "[0,4]") "}", 4,
         "must not overlap"},
        {"{" ENTRY("a", "\"F32\"", "[1]", "[0,4]") "}", 5, "has 5 bytes of data"},
        {"{" ENTRY("a", "\"F32\"", "[1]", "[0,4]") "," ENTRY("a", "\"F32\"", "[1]", "[4,8]") "}", 8,
         "duplicate object key"},
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t n;
        uint8_t *image = st_image(rows[i].header, strlen(rows[i].header), NULL, rows[i].n_data, &n);
        check_refused(image, n, rows[i].says);
        free(image);
    }
}

static void test_header_length(void **state) {
    (void)state;
    uint8_t image[64] = {0};
    check_refused(image, sizeof image, "a header of 0 bytes");
    image[0] = 1;
    check_refused(image, sizeof image, "a header of 1 bytes");
    image[0] = 57; /* one more than there are */
    check_refused(image, sizeof image, "header wants 57 bytes, 56 are left");
    image[3] = 0xFF;
    check_refused(image, sizeof image, "wanted 2 to 100000000");
    memset(image, 0xFF, 8);
    check_refused(image, sizeof image, "a header of 18446744073709551615 bytes");
}

static void test_deep_header(void **state) {
    (void)state;
    enum { DEPTH = 100000 };
    char *text = (char *)malloc(5 + DEPTH);
    assert_non_null(text);
    memcpy(text, "{\"a\":", 5);
    memset(text + 5, '[', DEPTH);
    size_t n;
    uint8_t *image = st_image(text, 5 + DEPTH, NULL, 0, &n);
    check_refused(image, n, "maximum parsing depth");
    free(image);
    free(text);
}

static void test_long_name(void **state) {
    (void)state;
    for (size_t length = TD_SAFETENSORS_MAX_NAME; length <= TD_SAFETENSORS_MAX_NAME + 1; length++) {
        st_builder b = {0};
        char *label = (char *)calloc(1, length + 1);
        size_t n;
        td_err err;
        assert_non_null(label);
        memset(label, 'x', length);
        st_add(&b, label, "F8_E4M3", "[1]", NULL, 1);
        uint8_t *image = st_build(&b, &n);
        if (length == TD_SAFETENSORS_MAX_NAME)
            assert_int_equal(gguf_walk_image_named(image, n, name, &err), TD_OK);
        else
            check_refused(image, n, "a tensor name of 1024 bytes");
        free(image);
        free(label);
        st_clear(&b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dtypes),        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_truncations),   cmocka_unit_test(test_hostile_headers),
        cmocka_unit_test(test_header_length), cmocka_unit_test(test_deep_header),
        cmocka_unit_test(test_long_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
