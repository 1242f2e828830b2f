/* test_gguf.c - one GGUF image: what is read, and all that must be refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "format/gguf.h"

#include "support/gguf_builder.h"
#include "support/gguf_walk.h"

static const float ones[512];

/* A small valid file with a bit of everything: all value types, arrays, a vocabulary, tensors. */
static void build_sample(gguf_builder *b) {
    static const char *const tokens[] = {"<unk>", "<s>", "<0x0A>", "a", "", "ab"};
    static const int32_t types[] = {2, 3, 6, 1, 1, 1};
    static const float scores[] = {0, 0, 0, -1, -2, -3};
    static const uint8_t bytes[] = {1, 2, 255};
    static const uint64_t words[] = {1, UINT64_MAX};
    static const uint8_t q4_0[36] = {0, 0x3C};
    memset(b, 0, sizeof *b);
    gguf_add_string(b, "general.architecture", "llama");
    gguf_add_u32(b, "general.alignment", 32);
    gguf_add_u8(b, "a.u8", 200);
    gguf_add_i32(b, "a.i32", -7);
    gguf_add_u64(b, "a.u64", UINT64_MAX);
    gguf_add_f32(b, "a.f32", 1.5f);
    gguf_add_f64(b, "a.f64", -2.25);
    gguf_add_bool(b, "a.bool", 1);
    gguf_add_array(b, "a.bytes", TD_GGUF_U8, bytes, 3, sizeof bytes);
    gguf_add_array(b, "a.words", TD_GGUF_U64, words, 2, sizeof words);
    gguf_add_array(b, "a.empty", TD_GGUF_STRING, NULL, 0, 0);
    gguf_add_string(b, "tokenizer.ggml.model", "llama");
    gguf_add_strings(b, "tokenizer.ggml.tokens", tokens, 6);
    gguf_add_i32s(b, "tokenizer.ggml.token_type", types, 6);
    gguf_add_f32s(b, "tokenizer.ggml.scores", scores, 6);
    gguf_add_string(b, "tokenizer.chat_template", "{{ x }}");
    gguf_add_tensor(b, "one", TD_DTYPE_F32, 1, (int64_t[]){3}, ones, 12);
    gguf_add_tensor(b, "two", TD_DTYPE_Q4_0, 2, (int64_t[]){32, 2}, q4_0, 36);
}

static uint8_t *sample(size_t *n) {
    gguf_builder b;
    build_sample(&b);
    uint8_t *image = gguf_build(&b, n);
    gguf_builder_clear(&b);
    return image;
}

/* ---- what is read ---- */

static void test_reads_values(void **state) {
    (void)state;
    size_t n;
    uint8_t *image = sample(&n);
    td_gguf g;
    td_err err;
    if (td_gguf_parse(&g, image, n, "sample", &err) != TD_OK) fail_msg("%s", err.msg);
    assert_int_equal(g.version, 3);
    assert_int_equal(g.n_meta, 16);
    assert_int_equal(td_meta_int(&td_gguf_find_meta(&g, "a.u8")->meta, 0), 200);
    assert_int_equal(td_meta_int(&td_gguf_find_meta(&g, "a.i32")->meta, 0), -7);
    assert_true(td_meta_float(&td_gguf_find_meta(&g, "a.f32")->meta, 0) == 1.5);
    assert_true(td_meta_float(&td_gguf_find_meta(&g, "a.f64")->meta, 0) == -2.25);
    assert_true(td_meta_float(&td_gguf_find_meta(&g, "a.i32")->meta, 0) == -7.0);
    assert_true(td_meta_bool(&td_gguf_find_meta(&g, "a.bool")->meta, 0));
    const td_meta *m = &td_gguf_find_meta(&g, "a.u64")->meta;
    assert_int_equal(m->type, TD_META_UINT);
    assert_int_equal(td_meta_int(m, 0), -1);
    assert_true(td_meta_float(m, 0) == 0x1p64);
    m = &td_gguf_find_meta(&g, "a.words")->meta;
    assert_int_equal(m->type, TD_META_ARRAY);
    assert_int_equal(m->elem_type, TD_META_UINT);
    m = &td_gguf_find_meta(&g, "a.bytes")->meta;
    assert_int_equal(m->elem_type, TD_META_INT);
    assert_int_equal(m->n_elem, 3);
    assert_int_equal(td_meta_int(m, 2), 255);
    m = &td_gguf_find_meta(&g, "tokenizer.ggml.tokens")->meta;
    assert_int_equal(m->elem_type, TD_META_STRING);
    assert_int_equal(td_meta_string(m, 5).n, 2);
    assert_memory_equal(td_meta_string(m, 5).text, "ab", 2);
    assert_int_equal(td_meta_string(m, 4).n, 0);
    assert_int_equal(td_gguf_find_meta(&g, "a.empty")->meta.n_elem, 0);
    assert_null(td_gguf_find_meta(&g, "a.missing"));
    td_gguf_clear(&g);
    free(image);
}

static void test_reads_tensors(void **state) {
    (void)state;
    size_t n;
    uint8_t *image = sample(&n);
    td_gguf g;
    assert_int_equal(td_gguf_parse(&g, image, n, "sample", NULL), TD_OK);
    assert_int_equal(g.n_tensor, 2);
    const td_tensor *t = &g.tensors[1];
    assert_string_equal(t->name, "two");
    assert_int_equal(t->dtype, TD_DTYPE_Q4_0);
    assert_int_equal(t->n_dims, 2);
    assert_int_equal(t->ne[0], 32);
    assert_int_equal(t->ne[1], 2);
    assert_int_equal(t->ne[2], 1);
    assert_int_equal(t->ne[3], 1);
    assert_int_equal(t->n_bytes, 36);
    assert_ptr_equal(t->data, image + t->offset);
    assert_int_equal(t->data[1], 0x3C);
    assert_int_equal(t->offset % 32, 0);
    td_gguf_clear(&g);
    td_gguf_clear(&g);
    free(image);
}

/* Layouts that are unusual but fine. */
static void test_accepts(void **state) {
    (void)state;
    td_err err;
    for (int variant = 0; variant < 6; variant++) {
        gguf_builder b = {0};
        switch (variant) {
        case 0: break; /* nothing at all */
        case 1: b.version = 2; break;
        case 2: /* a large alignment */
            b.alignment = 4096;
            gguf_add_u32(&b, "general.alignment", 4096);
            gguf_add_tensor(&b, "a", TD_DTYPE_F32, 1, (int64_t[]){3}, ones, 12);
            gguf_add_tensor(&b, "b", TD_DTYPE_F32, 1, (int64_t[]){3}, ones, 12);
            break;
        case 3: /* no padding */
            b.alignment = 1;
            gguf_add_u32(&b, "general.alignment", 1);
            gguf_add_tensor(&b, "a", TD_DTYPE_F16, 1, (int64_t[]){3}, ones, 6);
            gguf_add_tensor(&b, "b", TD_DTYPE_F32, 1, (int64_t[]){3}, ones, 12);
            break;
        case 4: /* infos in another order than data, and a gap */
            gguf_bytes_put(&b.data, ones, 76);
            gguf_add_tensor_info(&b, "b", TD_DTYPE_F32, 1, (int64_t[]){3}, 64);
            gguf_add_tensor_info(&b, "a", TD_DTYPE_F32, 1, (int64_t[]){3}, 0);
            break;
        case 5: /* a type that is known by its size only */
            gguf_add_tensor(&b, "a", (td_dtype)10, 1, (int64_t[]){256}, ones, 84);
            break;
        }
        size_t n;
        uint8_t *image = gguf_build(&b, &n);
        if (gguf_walk_image(image, n, &err) != TD_OK) fail_msg("variant %d: %s", variant, err.msg);
        free(image);
        gguf_builder_clear(&b);
    }
}

/* ---- what is refused ---- */

static const int64_t ne_1[] = {1}, ne_32[] = {32}, ne_33[] = {33}, ne_big[] = {1 << 20};

static void bad_magic(gguf_builder *b) { b->magic = "GGML"; }
static void bad_version_1(gguf_builder *b) { b->version = 1; }
static void bad_version_4(gguf_builder *b) { b->version = 4; }
static void bad_endian(gguf_builder *b) { b->version = 3u << 24; }
static void many_tensors(gguf_builder *b) { b->n_tensor_lie = INT64_MAX; }
static void minus_one_tensor(gguf_builder *b) { b->n_tensor_lie = -1; }
static void million_tensors(gguf_builder *b) { b->n_tensor_lie = 1000000; }
static void many_metas(gguf_builder *b) { b->n_meta_lie = INT64_MAX; }
static void minus_one_meta(gguf_builder *b) { b->n_meta_lie = -1; }
static void thousand_metas(gguf_builder *b) { b->n_meta_lie = 1000; }
static void one_tensor_more(gguf_builder *b) {
    gguf_add_tensor_info(b, "a", TD_DTYPE_F32, 1, ne_1, 0);
    b->n_tensor_lie = 1;
    gguf_bytes_put(&b->data, ones, 4);
}

static void empty_key(gguf_builder *b) { gguf_add_u64(b, "", 1); }
static void control_key(gguf_builder *b) { gguf_add_u8(b, "a\033[2J", 1); }
static void broken_utf8_key(gguf_builder *b) { gguf_add_u8(b, "a\xC3(", 1); }
static void nul_in_key(gguf_builder *b) {
    gguf_bytes_string(&b->metas, "a\0b", 3);
    gguf_bytes_u32(&b->metas, TD_GGUF_BOOL);
    gguf_bytes_put(&b->metas, "\1", 1);
    b->n_meta++;
}
static void endless_key(gguf_builder *b) {
    gguf_bytes_u64(&b->metas, UINT64_MAX);
    gguf_bytes_u64(&b->metas, 0);
    b->n_meta++;
}
static void long_key(gguf_builder *b) {
    char key[65537];
    memset(key, 'k', sizeof key);
    gguf_bytes_string(&b->metas, key, 65536);
    gguf_bytes_u32(&b->metas, TD_GGUF_U8);
    gguf_bytes_put(&b->metas, "\1", 1);
    b->n_meta++;
}
static void double_key(gguf_builder *b) {
    gguf_add_u8(b, "a.b", 1);
    gguf_add_u8(b, "a.c", 1);
    gguf_add_u8(b, "a.b", 2);
}
static void value_type_13(gguf_builder *b) { gguf_add_scalar(b, "a", (td_gguf_type)13, ones, 8); }
static void value_type_huge(gguf_builder *b) {
    gguf_add_key(b, "a", UINT32_MAX);
    gguf_bytes_u64(&b->metas, 0);
}
static void bool_2(gguf_builder *b) { gguf_add_bool(b, "a", 2); }
static void bool_in_array(gguf_builder *b) { gguf_add_array(b, "a", TD_GGUF_BOOL, "\0\1\2", 3, 3); }
static void long_string(gguf_builder *b) {
    gguf_add_key(b, "a", TD_GGUF_STRING);
    gguf_bytes_u64(&b->metas, UINT64_MAX - 7);
}
static void cut_string(gguf_builder *b) {
    gguf_add_key(b, "a", TD_GGUF_STRING);
    gguf_bytes_u64(&b->metas, 100);
    gguf_bytes_put(&b->metas, "short", 5);
}
static void nested_array(gguf_builder *b) {
    gguf_add_array(b, "a", TD_GGUF_ARRAY, NULL, 1, 0);
    gguf_bytes_u32(&b->metas, TD_GGUF_U8);
    gguf_bytes_u64(&b->metas, 0);
}
static void array_of_unknown(gguf_builder *b) {
    gguf_add_array(b, "a", (td_gguf_type)77, ones, 1, 8);
}
static void long_array(gguf_builder *b) { gguf_add_array(b, "a", TD_GGUF_U8, ones, 1000, 8); }
static void array_overflow(gguf_builder *b) {
    gguf_add_array(b, "a", TD_GGUF_U64, ones, (UINT64_MAX >> 3) + 2, 8);
}
static void strings_overflow(gguf_builder *b) {
    gguf_add_array(b, "a", TD_GGUF_STRING, ones, UINT64_MAX / 8, 16);
}
static void cut_strings(gguf_builder *b) {
    gguf_add_array(b, "a", TD_GGUF_STRING, NULL, 2, 0);
    gguf_bytes_string(&b->metas, "x", 1);
    gguf_bytes_u64(&b->metas, 9);
    gguf_bytes_u32(&b->metas, 0);
}

static void alignment_of(gguf_builder *b, uint32_t a) {
    gguf_add_u32(b, "general.alignment", a);
    gguf_add_tensor(b, "a", TD_DTYPE_F32, 1, ne_1, ones, 4);
}
static void alignment_0(gguf_builder *b) { alignment_of(b, 0); }
static void alignment_24(gguf_builder *b) { alignment_of(b, 24); }
static void alignment_huge(gguf_builder *b) { alignment_of(b, 1u << 31); }
static void alignment_2mib(gguf_builder *b) { alignment_of(b, 2u << 20); }
static void alignment_string(gguf_builder *b) { gguf_add_string(b, "general.alignment", "32"); }
static void alignment_u64(gguf_builder *b) { gguf_add_u64(b, "general.alignment", 32); }
static void alignment_array(gguf_builder *b) {
    const uint32_t a = 32;
    gguf_add_array(b, "general.alignment", TD_GGUF_U32, &a, 1, 4);
}
static void alignment_empty_array(gguf_builder *b) {
    gguf_add_array(b, "general.alignment", TD_GGUF_U32, NULL, 0, 0);
}

static void info(gguf_builder *b, const char *name, uint32_t type, uint32_t n_dims,
                 const int64_t *ne, uint64_t offset) {
    gguf_add_tensor_info(b, name, type, n_dims, ne, offset);
    if (b->data.n == 0) gguf_bytes_put(&b->data, ones, 256);
}
static void empty_name(gguf_builder *b) { info(b, "", 0, 1, ne_1, 0); }
static void control_name(gguf_builder *b) { info(b, "a\n", 0, 1, ne_1, 0); }
static void long_name(gguf_builder *b) {
    char name[129] = "";
    memset(name, 'n', 128);
    info(b, name, 0, 1, ne_1, 0);
}
static void double_name(gguf_builder *b) {
    info(b, "a", 0, 1, ne_1, 0);
    info(b, "b", 0, 1, ne_1, 32);
    info(b, "a", 0, 1, ne_1, 64);
}
static void dims_0(gguf_builder *b) { info(b, "a", 0, 0, ne_1, 0); }
static void dims_5(gguf_builder *b) { info(b, "a", 0, 5, (int64_t[]){1, 1, 1, 1, 1}, 0); }
static void dims_huge(gguf_builder *b) {
    gguf_bytes_string(&b->infos, "a", 1);
    gguf_bytes_u32(&b->infos, UINT32_MAX);
    gguf_bytes_put(&b->infos, ones, 64);
    b->n_tensor++;
}
static void dim_zero(gguf_builder *b) { info(b, "a", 0, 2, (int64_t[]){4, 0}, 0); }
static void dim_negative(gguf_builder *b) { info(b, "a", 0, 2, (int64_t[]){4, -1}, 0); }
static void dims_overflow(gguf_builder *b) {
    info(b, "a", 0, 4, (int64_t[]){1 << 20, 1 << 20, 1 << 20, 1 << 20}, 0);
}
static void dims_wrap_to_zero(gguf_builder *b) {
    info(b, "a", 0, 2, (int64_t[]){INT64_C(1) << 32, INT64_C(1) << 32}, 0);
}
static void bytes_overflow(gguf_builder *b) { info(b, "a", 27, 1, (int64_t[]){INT64_MAX}, 0); }
static void bytes_wrap(gguf_builder *b) { info(b, "a", 0, 1, (int64_t[]){INT64_MAX}, 0); }
static void type_unknown(gguf_builder *b) { info(b, "a", 1234, 1, ne_32, 0); }
static void type_negative(gguf_builder *b) { info(b, "a", UINT32_MAX, 1, ne_32, 0); }
static void type_removed(gguf_builder *b) { info(b, "a", 4, 1, ne_32, 0); }
static void type_ik(gguf_builder *b) { info(b, "a", 137, 1, ne_32, 0); }
static void row_not_whole(gguf_builder *b) { info(b, "a", TD_DTYPE_Q4_0, 1, ne_33, 0); }
static void offset_odd(gguf_builder *b) { info(b, "a", 0, 1, ne_1, 4); }
static void offset_far(gguf_builder *b) { info(b, "a", 0, 1, ne_1, 1024); }
static void offset_wraps(gguf_builder *b) { info(b, "a", 0, 1, ne_32, UINT64_MAX - 31); }
static void end_wraps(gguf_builder *b) {
    info(b, "a", 0, 1, (int64_t[]){INT64_MAX / 4}, UINT64_MAX / 2 + 1);
}
static void beyond_end(gguf_builder *b) { info(b, "a", 0, 1, ne_big, 0); }
static void one_byte_short(gguf_builder *b) {
    gguf_add_tensor(b, "a", TD_DTYPE_F32, 1, ne_32, ones, 127);
}
static void no_data(gguf_builder *b) { gguf_add_tensor_info(b, "a", 0, 1, ne_1, 0); }
static void overlap(gguf_builder *b) {
    info(b, "a", 0, 1, ne_32, 0);
    info(b, "b", 0, 1, ne_32, 96);
}
static void same_place(gguf_builder *b) {
    info(b, "a", 0, 1, ne_1, 32);
    info(b, "b", 0, 1, ne_1, 32);
}

/* clang-format off */
static const struct {
    const char *label;
    void (*build)(gguf_builder *b);
    td_status status;
    const char *says; /* what the message must contain */
} hostile[] = {
    {"magic", bad_magic, TD_ERR_FORMAT, "wanted \"GGUF\""},
    {"version 1", bad_version_1, TD_ERR_UNSUPPORTED, "version 1, wanted 2 or 3"},
    {"version 4", bad_version_4, TD_ERR_UNSUPPORTED, "version 4"},
    {"big-endian", bad_endian, TD_ERR_UNSUPPORTED, "big-endian"},
    {"2^63 tensors", many_tensors, TD_ERR_FORMAT, "tensor count"},
    {"-1 tensors", minus_one_tensor, TD_ERR_FORMAT, "tensor count"},
    {"10^6 tensors", million_tensors, TD_ERR_FORMAT, "hold at most"},
    {"2^63 keys", many_metas, TD_ERR_FORMAT, "metadata count"},
    {"-1 keys", minus_one_meta, TD_ERR_FORMAT, "metadata count"},
    {"1000 keys", thousand_metas, TD_ERR_FORMAT, "metadata count"},
    {"one tensor more than there is", one_tensor_more, TD_ERR_FORMAT, "tensor"},
    {"empty key", empty_key, TD_ERR_FORMAT, "wanted 1 to 65535"},
    {"control characters in key", control_key, TD_ERR_FORMAT, "control characters"},
    {"key is not UTF-8", broken_utf8_key, TD_ERR_FORMAT, "not UTF-8"},
    {"NUL in key", nul_in_key, TD_ERR_FORMAT, "control characters"},
    {"key of 2^64-1 bytes", endless_key, TD_ERR_FORMAT, "metadata key"},
    {"key of 65536 bytes", long_key, TD_ERR_FORMAT, "wanted 1 to 65535"},
    {"duplicate key", double_key, TD_ERR_FORMAT, "'a.b' appears twice"},
    {"value type 13", value_type_13, TD_ERR_FORMAT, "value type 13"},
    {"value type 2^32-1", value_type_huge, TD_ERR_FORMAT, "value type 4294967295"},
    {"bool is 2", bool_2, TD_ERR_FORMAT, "bool is 2"},
    {"bool in an array is 2", bool_in_array, TD_ERR_FORMAT, "bool is 2"},
    {"string of 2^64-8 bytes", long_string, TD_ERR_FORMAT, "'a'|bytes long"},
    {"string beyond the end", cut_string, TD_ERR_FORMAT, "truncated"},
    {"nested array", nested_array, TD_ERR_FORMAT, "array of arrays"},
    {"array of unknown type", array_of_unknown, TD_ERR_FORMAT, "value type 77"},
    {"array beyond the end", long_array, TD_ERR_FORMAT, "1000 elements"},
    {"array size overflows", array_overflow, TD_ERR_FORMAT, "do not fit"},
    {"string array size overflows", strings_overflow, TD_ERR_FORMAT, "do not fit"},
    {"string in an array beyond the end", cut_strings, TD_ERR_FORMAT, "truncated"},
    {"alignment 0", alignment_0, TD_ERR_FORMAT, "general.alignment is 0"},
    {"alignment 24", alignment_24, TD_ERR_FORMAT, "power of two"},
    {"alignment 2^31", alignment_huge, TD_ERR_FORMAT, "power of two"},
    {"alignment 2 MiB", alignment_2mib, TD_ERR_FORMAT, "power of two"},
    {"alignment is a string", alignment_string, TD_ERR_FORMAT, "not a u32"},
    {"alignment is a u64", alignment_u64, TD_ERR_FORMAT, "not a u32"},
    {"alignment is an array", alignment_array, TD_ERR_FORMAT, "not a u32"},
    {"alignment is an empty array", alignment_empty_array, TD_ERR_FORMAT, "not a u32"},
    {"empty tensor name", empty_name, TD_ERR_FORMAT, "wanted 1 to 127"},
    {"newline in tensor name", control_name, TD_ERR_FORMAT, "control characters"},
    {"tensor name of 128 bytes", long_name, TD_ERR_FORMAT, "128 bytes long"},
    {"duplicate tensor", double_name, TD_ERR_FORMAT, "tensor 'a' appears twice"},
    {"no dimensions", dims_0, TD_ERR_FORMAT, "0 dimensions"},
    {"5 dimensions", dims_5, TD_ERR_FORMAT, "5 dimensions"},
    {"2^32-1 dimensions", dims_huge, TD_ERR_FORMAT, "4294967295 dimensions"},
    {"a dimension is 0", dim_zero, TD_ERR_FORMAT, "dimension 1 is 0"},
    {"a dimension is -1", dim_negative, TD_ERR_FORMAT, "dimension 1 is -1"},
    {"element count overflows", dims_overflow, TD_ERR_FORMAT, "overflows"},
    {"element count wraps to 0", dims_wrap_to_zero, TD_ERR_FORMAT, "overflows"},
    {"byte count overflows", bytes_overflow, TD_ERR_FORMAT, "overflows"},
    {"byte count wraps", bytes_wrap, TD_ERR_FORMAT, "overflows"},
    {"type 1234", type_unknown, TD_ERR_UNSUPPORTED, "tensor 'a' has type 1234 (unknown)"},
    {"type -1", type_negative, TD_ERR_UNSUPPORTED, "type 4294967295"},
    {"a removed type", type_removed, TD_ERR_UNSUPPORTED, "type 4 (q4_2)"},
    {"a type of ik_llama.cpp", type_ik, TD_ERR_UNSUPPORTED, "type 137 (iq2_k)"},
    {"row of 33 q4_0", row_not_whole, TD_ERR_FORMAT, "multiple of 32"},
    {"offset 4", offset_odd, TD_ERR_FORMAT, "offset 4, wanted a multiple of 32"},
    {"offset beyond the end", offset_far, TD_ERR_FORMAT, "offset 1024"},
    {"offset wraps", offset_wraps, TD_ERR_FORMAT, "but the file has"},
    {"end wraps", end_wraps, TD_ERR_FORMAT, "but the file has"},
    {"tensor larger than the file", beyond_end, TD_ERR_FORMAT, "wants 4194304 bytes"},
    {"one byte is missing", one_byte_short, TD_ERR_FORMAT, "wants 128 bytes"},
    {"no data", no_data, TD_ERR_FORMAT, "but the file has"},
    {"tensors overlap", overlap, TD_ERR_FORMAT, "overlap"},
    {"tensors coincide", same_place, TD_ERR_FORMAT, "overlap"},
};
/* clang-format on */

/* True if the message contains one of the texts between '|'. */
static bool says(const char *msg, const char *texts) {
    while (*texts) {
        char one[64];
        const size_t n = strcspn(texts, "|");
        memcpy(one, texts, n);
        one[n] = 0;
        if (strstr(msg, one)) return true;
        texts += n + (texts[n] == '|');
    }
    return false;
}

static void test_refuses(void **state) {
    (void)state;
    size_t n_good = 0;
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        gguf_builder b = {0};
        hostile[i].build(&b);
        size_t n;
        uint8_t *image = gguf_build(&b, &n);
        td_err err = {0};
        const td_status status = gguf_walk_image(image, n, &err);
        if (status != hostile[i].status || !says(err.msg, hostile[i].says))
            print_error("%s: status %d, message '%s', wanted status %d and '%s'\n",
                        hostile[i].label, (int)status, err.msg, (int)hostile[i].status,
                        hostile[i].says);
        else
            n_good++;
        assert_non_null(strstr(err.msg, "image")); /* the file is named */
        free(image);
        gguf_builder_clear(&b);
    }
    assert_int_equal(n_good, sizeof hostile / sizeof hostile[0]);
}

/* Every prefix of a valid file is refused, except those that only lack padding or nothing. */
static void test_truncated(void **state) {
    (void)state;
    size_t n;
    uint8_t *image = sample(&n);
    for (size_t cut = 0; cut < n; cut++) {
        uint8_t *copy = malloc(cut ? cut : 1); /* exact, so that ASan sees the end */
        assert_non_null(copy);
        memcpy(copy, image, cut);
        td_err err = {0};
        const td_status status = gguf_walk_image(copy, cut, &err);
        if (status != TD_ERR_FORMAT || !err.msg[0])
            fail_msg("cut to %zu of %zu bytes: status %d, '%s'", cut, n, (int)status, err.msg);
        free(copy);
    }
    assert_int_equal(gguf_walk_image(image, n, NULL), TD_OK);
    free(image);
}

/* Any byte may have any single bit wrong, or all: whatever opens must be safe to use. */
static void test_flipped(void **state) {
    (void)state;
    size_t n, n_opened = 0;
    uint8_t *image = sample(&n);
    for (size_t i = 0; i < n; i++)
        for (int bit = 0; bit < 9; bit++) {
            const uint8_t was = image[i];
            image[i] = (uint8_t)(was ^ (bit < 8 ? 1 << bit : 0xFF));
            n_opened += gguf_walk_image(image, n, NULL) == TD_OK;
            image[i] = was;
        }
    assert_in_range(n_opened, 1, 9 * n);
    assert_int_equal(gguf_walk_image(image, n, NULL), TD_OK);
    free(image);
}

/* Each allocation fails once: nothing leaks (ASan watches), and the message names memory. */
static void test_out_of_memory(void **state) {
    (void)state;
#ifndef TD_FAULTS
    skip();
#endif
    size_t n;
    uint8_t *image = sample(&n);
    for (int64_t nth = 1;; nth++) {
        td_gguf g;
        td_err err;
        td_alloc_fault_set(nth);
        const td_status status = td_gguf_parse(&g, image, n, "sample", &err);
        const bool failed = td_alloc_fault_count() >= nth;
        td_alloc_fault_set(0);
        if (status == TD_OK) td_gguf_clear(&g);
        assert_int_equal(status, failed ? TD_ERR_NOMEM : TD_OK);
        if (!failed) break;
        assert_true(nth < 1000);
    }
    free(image);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_values),  cmocka_unit_test(test_reads_tensors),
        cmocka_unit_test(test_accepts),       cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_truncated),     cmocka_unit_test(test_flipped),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
