/* test_vocab_gguf.c - vocabularies out of metadata: defaults, refusals, and real files. */
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

enum { N_TOKEN = 5 };
static const char *const spm_tokens[N_TOKEN] = {"<unk>", "<s>", "</s>", "<0x0a>", "▁a"};
static const int32_t spm_types[N_TOKEN] = {2, 3, 3, 6, 1};
static const float spm_scores[N_TOKEN] = {0, 0, 0, 0, -1.5f};
static const char *const bpe_tokens[N_TOKEN] = {"<|endoftext|>", "a", "b", "ab", "<|im_end|>"};
static const int32_t bpe_types[N_TOKEN] = {3, 1, 1, 1, 4};
static const char *const bpe_merges[] = {"a b", " b", "a  "};

static void add_spm(gguf_builder *b) {
    gguf_add_string(b, "tokenizer.ggml.model", "llama");
    gguf_add_strings(b, "tokenizer.ggml.tokens", spm_tokens, N_TOKEN);
    gguf_add_i32s(b, "tokenizer.ggml.token_type", spm_types, N_TOKEN);
    gguf_add_f32s(b, "tokenizer.ggml.scores", spm_scores, N_TOKEN);
}

static void add_bpe(gguf_builder *b) {
    gguf_add_string(b, "tokenizer.ggml.model", "gpt2");
    gguf_add_strings(b, "tokenizer.ggml.tokens", bpe_tokens, N_TOKEN);
    gguf_add_i32s(b, "tokenizer.ggml.token_type", bpe_types, N_TOKEN);
    gguf_add_strings(b, "tokenizer.ggml.merges", bpe_merges, 1);
}

/* Reads the vocabulary of what was built; on success *vocab is checked before the image goes, by
 * `check`, which may be NULL. */
static td_status read_built(gguf_builder *b, void (*check)(const td_vocab *vocab), td_err *err) {
    size_t n;
    td_vocab vocab;
    td_checkpoint *ckpt;
    uint8_t *image = gguf_build(b, &n);
    gguf_builder_clear(b);
    td_err open_err;
    if (td_checkpoint_open_memory(&ckpt, image, n, "built", &open_err) != TD_OK)
        fail_msg("%s", open_err.msg);
    const td_status status = td_checkpoint_read_vocab(ckpt, &vocab, err);
    if (status == TD_OK && check) check(&vocab);
    td_vocab_clear(&vocab);
    td_checkpoint_close(ckpt);
    free(image);
    return status;
}

static void check_spm(const td_vocab *v) {
    assert_int_equal(v->model, TD_VOCAB_SPM);
    assert_int_equal(v->n_token, N_TOKEN);
    assert_int_equal(v->n_merge, 0);
    for (int i = 0; i < N_TOKEN; i++) {
        assert_int_equal(v->tokens[i].n, strlen(spm_tokens[i]));
        assert_memory_equal(v->tokens[i].text, spm_tokens[i], v->tokens[i].n);
        assert_int_equal(v->tokens[i].type, spm_types[i]);
        assert_true(v->tokens[i].score == spm_scores[i]);
    }
    assert_int_equal(v->bos, 1);
    assert_int_equal(v->eos, 2);
    assert_int_equal(v->unk, 0);
    assert_int_equal(v->eot, -1);
    assert_int_equal(v->eom, -1);
    assert_int_equal(v->pad, -1);
    assert_true(v->add_bos && v->add_space_prefix);
    assert_false(v->add_eos || v->ignore_merges);
    assert_string_equal(v->pre, "");
    assert_string_equal(v->chat_template, "{{ 'hé' }}");
}

static void test_spm(void **state) {
    (void)state;
    td_err err;
    gguf_builder b = {0};
    add_spm(&b);
    gguf_add_u32(&b, "tokenizer.ggml.bos_token_id", 1);
    gguf_add_i32(&b, "tokenizer.ggml.eos_token_id", 2);
    gguf_add_u32(&b, "tokenizer.ggml.unknown_token_id", 0);
    gguf_add_u32(&b, "tokenizer.ggml.padding_token_id", UINT32_MAX);
    gguf_add_string(&b, "tokenizer.chat_template", "{{ 'hé' }}");
    if (read_built(&b, check_spm, &err) != TD_OK) fail_msg("%s", err.msg);
}

static void check_bpe(const td_vocab *v) {
    static const char *const sides[3][2] = {
        {"a",  "b"},
        {" b", "c"},
        {"a",  " "}
    };
    assert_int_equal(v->model, TD_VOCAB_BPE);
    assert_int_equal(v->n_merge, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(v->merges[i].n_left, strlen(sides[i][0]));
        assert_memory_equal(v->merges[i].left, sides[i][0], v->merges[i].n_left);
        assert_int_equal(v->merges[i].n_right, strlen(sides[i][1]));
        assert_memory_equal(v->merges[i].right, sides[i][1], v->merges[i].n_right);
    }
    assert_int_equal(v->eot, 4); /* by its name */
    assert_true(v->tokens[3].score == 0.0);
    assert_false(v->add_bos || v->add_eos || v->add_space_prefix || v->ignore_merges);
    assert_string_equal(v->pre, "smollm");
    assert_null(v->chat_template);
}

static void test_bpe(void **state) {
    (void)state;
    td_err err;
    gguf_builder b = {0};
    static const char *const merges[] = {"a b", " b c", "a  "};
    gguf_add_string(&b, "tokenizer.ggml.model", "gpt2");
    gguf_add_string(&b, "tokenizer.ggml.pre", "smollm");
    gguf_add_strings(&b, "tokenizer.ggml.tokens", bpe_tokens, N_TOKEN);
    gguf_add_strings(&b, "tokenizer.ggml.merges", merges, 3);
    gguf_add_f32s(&b, "tokenizer.ggml.scores", spm_scores, N_TOKEN);
    if (read_built(&b, check_bpe, &err) != TD_OK) fail_msg("%s", err.msg);
}

/* ---- defaults ---- */

static td_vocab seen; /* only its flags and ids */
static void keep(const td_vocab *v) { seen = *v; }

static void test_defaults_by_pre(void **state) {
    (void)state;
    static const struct {
        const char *pre;
        bool add_bos, ignore_merges;
    } rows[] = {
        {"default",   false, false},
        {"llama-bpe", true,  true },
        {"llama3",    true,  true },
        {"llama-v3",  true,  true },
        {"falcon3",   true,  true },
        {"tekken",    true,  true },
        {"chameleon", true,  false},
        {"glm4",      false, true },
        {"qwen2",     false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int override = 0; override < 2; override++) {
            gguf_builder b = {0};
            add_bpe(&b);
            gguf_add_string(&b, "tokenizer.ggml.pre", rows[i].pre);
            if (override) {
                gguf_add_bool(&b, "tokenizer.ggml.add_bos_token", !rows[i].add_bos);
                gguf_add_bool(&b, "tokenizer.ggml.add_eos_token", 1);
                gguf_add_bool(&b, "tokenizer.ggml.add_space_prefix", 1);
            }
            assert_int_equal(read_built(&b, keep, NULL), TD_OK);
            assert_int_equal(seen.add_bos, rows[i].add_bos != override);
            assert_int_equal(seen.add_eos, override);
            assert_int_equal(seen.add_space_prefix, override);
            assert_int_equal(seen.ignore_merges, rows[i].ignore_merges);
        }
}

static void test_eot_by_name(void **state) {
    (void)state;
    static const struct {
        const char *tokens[4];
        int32_t eot, eom;
    } rows[] = {
        {{"a", "b", "c", "d"},                           -1, -1},
        {{"a", "<end_of_turn>", "c", "d"},               1,  -1},
        {{"a", "<|eom_id|>", "<|eot_id|>", "d"},         2,  1 },
        {{"<|end|>", "b", "c", "<|return|>"},            3,  -1}, /* gpt-oss */
        {{"<|end|>", "b", "c", "d"},                     0,  -1},
        {{"a", "b", "c", "<｜end▁of▁sentence｜>"}, 3,  -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        gguf_builder b = {0};
        gguf_add_string(&b, "tokenizer.ggml.model", "llama");
        gguf_add_strings(&b, "tokenizer.ggml.tokens", rows[i].tokens, 4);
        gguf_add_f32s(&b, "tokenizer.ggml.scores", spm_scores, 4);
        assert_int_equal(read_built(&b, keep, NULL), TD_OK);
        assert_int_equal(seen.eot, rows[i].eot);
        assert_int_equal(seen.eom, rows[i].eom);
    }
    gguf_builder b = {0};
    add_bpe(&b);
    gguf_add_u32(&b, "tokenizer.ggml.eot_token_id", 0); /* a key beats the name */
    assert_int_equal(read_built(&b, keep, NULL), TD_OK);
    assert_int_equal(seen.eot, 0);
}

/* ---- refusals ---- */

static void no_model(gguf_builder *b) { gguf_add_u8(b, "a", 1); }
static void model_rwkv(gguf_builder *b) { gguf_add_string(b, "tokenizer.ggml.model", "rwkv"); }
static void model_number(gguf_builder *b) { gguf_add_u32(b, "tokenizer.ggml.model", 1); }
static void model_binary(gguf_builder *b) {
    gguf_add_string(b, "tokenizer.ggml.model", "\xFF\xFE");
}
static void only_model(gguf_builder *b) { gguf_add_string(b, "tokenizer.ggml.model", "gpt2"); }
static void tokens_numbers(gguf_builder *b) {
    only_model(b);
    gguf_add_i32s(b, "tokenizer.ggml.tokens", spm_types, N_TOKEN);
}
static void tokens_string(gguf_builder *b) {
    only_model(b);
    gguf_add_string(b, "tokenizer.ggml.tokens", "a");
}
static void tokens_none(gguf_builder *b) {
    only_model(b);
    gguf_add_strings(b, "tokenizer.ggml.tokens", NULL, 0);
}
static void spm_no_scores(gguf_builder *b) {
    gguf_add_string(b, "tokenizer.ggml.model", "llama");
    gguf_add_strings(b, "tokenizer.ggml.tokens", spm_tokens, N_TOKEN);
}
static void spm_with_scores(gguf_builder *b, const float *scores, size_t n) {
    spm_no_scores(b);
    gguf_add_f32s(b, "tokenizer.ggml.scores", scores, n);
}
static void scores_few(gguf_builder *b) { spm_with_scores(b, spm_scores, 4); }
static void scores_empty(gguf_builder *b) { spm_with_scores(b, spm_scores, 0); }
static void scores_nan(gguf_builder *b) { spm_with_scores(b, (float[]){0, 0, NAN, 0, 0}, N_TOKEN); }
static void scores_ints(gguf_builder *b) {
    spm_no_scores(b);
    gguf_add_i32s(b, "tokenizer.ggml.scores", spm_types, N_TOKEN);
}
static void with_types(gguf_builder *b, const int32_t *types, size_t n) {
    spm_with_scores(b, spm_scores, N_TOKEN);
    gguf_add_i32s(b, "tokenizer.ggml.token_type", types, n);
}
static void types_many(gguf_builder *b) { with_types(b, (int32_t[]){1, 1, 1, 1, 1, 1}, 6); }
static void type_0(gguf_builder *b) { with_types(b, (int32_t[]){1, 0, 1, 1, 1}, N_TOKEN); }
static void type_7(gguf_builder *b) { with_types(b, (int32_t[]){1, 1, 1, 1, 7}, N_TOKEN); }
static void type_minus(gguf_builder *b) { with_types(b, (int32_t[]){-1, 1, 1, 1, 1}, N_TOKEN); }
static void types_floats(gguf_builder *b) {
    spm_with_scores(b, spm_scores, N_TOKEN);
    gguf_add_f32s(b, "tokenizer.ggml.token_type", spm_scores, N_TOKEN);
}
static void byte_token(gguf_builder *b, const char *text) {
    const int32_t type = TD_TOKEN_BYTE;
    gguf_add_string(b, "tokenizer.ggml.model", "llama");
    gguf_add_strings(b, "tokenizer.ggml.tokens", &text, 1);
    gguf_add_f32s(b, "tokenizer.ggml.scores", spm_scores, 1);
    gguf_add_i32s(b, "tokenizer.ggml.token_type", &type, 1);
}
static void byte_minus_1(gguf_builder *b) { byte_token(b, "<0x-1>"); }
static void byte_long(gguf_builder *b) { byte_token(b, "<0x100>"); }
static void byte_short(gguf_builder *b) { byte_token(b, "<0xA>"); }
static void byte_empty(gguf_builder *b) { byte_token(b, ""); }
static void byte_not_hex(gguf_builder *b) { byte_token(b, "<0xGG>"); }
static void bpe_no_merges(gguf_builder *b) {
    only_model(b);
    gguf_add_strings(b, "tokenizer.ggml.tokens", bpe_tokens, N_TOKEN);
}
static void one_merge(gguf_builder *b, const char *merge) {
    bpe_no_merges(b);
    gguf_add_strings(b, "tokenizer.ggml.merges", &merge, 1);
}
static void merge_whole(gguf_builder *b) { one_merge(b, "ab"); }
static void merge_empty(gguf_builder *b) { one_merge(b, ""); }
static void merge_no_left(gguf_builder *b) { one_merge(b, " b"); }
static void merge_no_right(gguf_builder *b) { one_merge(b, "a "); }
static void merge_space(gguf_builder *b) { one_merge(b, " "); }
static void merges_empty(gguf_builder *b) {
    bpe_no_merges(b);
    gguf_add_strings(b, "tokenizer.ggml.merges", NULL, 0);
}
static void bos_5(gguf_builder *b) {
    add_spm(b);
    gguf_add_u32(b, "tokenizer.ggml.bos_token_id", N_TOKEN);
}
static void eos_minus_2(gguf_builder *b) {
    add_spm(b);
    gguf_add_i32(b, "tokenizer.ggml.eos_token_id", -2);
}
static void eot_huge(gguf_builder *b) {
    add_spm(b);
    gguf_add_u64(b, "tokenizer.ggml.eot_token_id", UINT64_MAX);
}
static void unk_string(gguf_builder *b) {
    add_spm(b);
    gguf_add_string(b, "tokenizer.ggml.unknown_token_id", "<unk>");
}
static void add_bos_number(gguf_builder *b) {
    add_spm(b);
    gguf_add_u32(b, "tokenizer.ggml.add_bos_token", 1);
}
static void pre_long(gguf_builder *b) {
    add_bpe(b);
    gguf_add_string(b, "tokenizer.ggml.pre",
                    "0123456789012345678901234567890123456789012345678901234567890123");
}
static void pre_nul(gguf_builder *b) {
    add_bpe(b);
    gguf_add_string_n(b, "tokenizer.ggml.pre", "a\0b", 3);
}
static void template_nul(gguf_builder *b) {
    add_spm(b);
    gguf_add_string_n(b, "tokenizer.chat_template", "a\0b", 3);
}
static void template_latin1(gguf_builder *b) {
    add_spm(b);
    gguf_add_string(b, "tokenizer.chat_template", "ab\xE9");
}
static void template_array(gguf_builder *b) {
    add_spm(b);
    gguf_add_strings(b, "tokenizer.chat_template", spm_tokens, 2);
}

static void test_refuses(void **state) {
    (void)state;
    /* clang-format off */
    static const struct {
        const char *label;
        void (*build)(gguf_builder *b);
        td_status status;
        const char *says;
    } rows[] = {
        {"no tokenizer", no_model, TD_ERR_FORMAT, "'tokenizer.ggml.model' is missing"},
        {"rwkv", model_rwkv, TD_ERR_UNSUPPORTED, "is 'rwkv', wanted 'gpt2', 'llama', 't5' or 'bert'"},
        {"model is a number", model_number, TD_ERR_FORMAT, "wanted a string"},
        {"model is not text", model_binary, TD_ERR_UNSUPPORTED, "wanted 'gpt2', 'llama', 't5' or 'bert'"},
        {"no tokens", only_model, TD_ERR_FORMAT, "'tokenizer.ggml.tokens' is missing"},
        {"tokens are numbers", tokens_numbers, TD_ERR_FORMAT, "no array of strings"},
        {"tokens is a string", tokens_string, TD_ERR_FORMAT, "no array of strings"},
        {"tokens is empty", tokens_none, TD_ERR_FORMAT, "has 0 elements"},
        {"no scores", spm_no_scores, TD_ERR_FORMAT, "'tokenizer.ggml.scores' is missing"},
        {"a score too few", scores_few, TD_ERR_FORMAT, "has 4 elements, wanted one for each of 5"},
        {"empty scores", scores_empty, TD_ERR_FORMAT, "has 0 elements"},
        {"a score is NaN", scores_nan, TD_ERR_FORMAT, "the score of token 2"},
        {"scores are integers", scores_ints, TD_ERR_FORMAT, "no array of floats"},
        {"a type too many", types_many, TD_ERR_FORMAT, "has 6 elements"},
        {"a type is 0", type_0, TD_ERR_FORMAT, "the type of token 1 is 0"},
        {"a type is 7", type_7, TD_ERR_FORMAT, "the type of token 4 is 7"},
        {"a type is -1", type_minus, TD_ERR_FORMAT, "the type of token 0 is -1"},
        {"types are floats", types_floats, TD_ERR_FORMAT, "no array of integers"},
        {"byte <0x-1>", byte_minus_1, TD_ERR_FORMAT, "not like '<0x0A>'"},
        {"byte <0x100>", byte_long, TD_ERR_FORMAT, "not like '<0x0A>'"},
        {"byte <0xA>", byte_short, TD_ERR_FORMAT, "not like '<0x0A>'"},
        {"byte without text", byte_empty, TD_ERR_FORMAT, "not like '<0x0A>'"},
        {"byte <0xGG>", byte_not_hex, TD_ERR_FORMAT, "not like '<0x0A>'"},
        {"no merges", bpe_no_merges, TD_ERR_FORMAT, "'tokenizer.ggml.merges' is missing"},
        {"merges is empty", merges_empty, TD_ERR_FORMAT, "has 0 elements"},
        {"merge without a space", merge_whole, TD_ERR_FORMAT, "merge 0 of 2 bytes"},
        {"merge without text", merge_empty, TD_ERR_FORMAT, "merge 0 of 0 bytes"},
        {"merge without left", merge_no_left, TD_ERR_FORMAT, "merge 0 of 2 bytes"},
        {"merge without right", merge_no_right, TD_ERR_FORMAT, "merge 0 of 2 bytes"},
        {"merge is a space", merge_space, TD_ERR_FORMAT, "merge 0 of 1 bytes"},
        {"bos out of range", bos_5, TD_ERR_FORMAT, "bos_token_id' is 5, wanted 0 to 4"},
        {"eos is -2", eos_minus_2, TD_ERR_FORMAT, "eos_token_id' is -2"},
        {"eot is 2^64-1", eot_huge, TD_ERR_FORMAT, "eot_token_id' is 18446744073709551615"},
        {"unk is a string", unk_string, TD_ERR_FORMAT, "wanted an integer"},
        {"add_bos is a number", add_bos_number, TD_ERR_FORMAT, "wanted a bool"},
        {"pre of 64 bytes", pre_long, TD_ERR_FORMAT, "has 64 bytes, wanted at most 63"},
        {"pre with NUL", pre_nul, TD_ERR_FORMAT, "no NUL"},
        {"template with NUL", template_nul, TD_ERR_FORMAT, "contains a NUL"},
        {"template is not UTF-8", template_latin1, TD_ERR_FORMAT, "not UTF-8 at its byte 2"},
        {"template is an array", template_array, TD_ERR_FORMAT, "is an array, wanted a string"},
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        td_err err = {0};
        gguf_builder b = {0};
        rows[i].build(&b);
        const td_status status = read_built(&b, NULL, &err);
        if (status != rows[i].status || !strstr(err.msg, rows[i].says) || !strstr(err.msg, "built"))
            fail_msg("%s: status %d, message '%s', wanted status %d and '%s'", rows[i].label,
                     (int)status, err.msg, (int)rows[i].status, rows[i].says);
    }
}

static void test_out_of_memory(void **state) {
    (void)state;
#ifndef TD_FAULTS
    skip();
#endif
    gguf_builder b = {0};
    add_bpe(&b);
    gguf_add_string(&b, "tokenizer.chat_template", "{{ x }}");
    size_t n;
    uint8_t *image = gguf_build(&b, &n);
    gguf_builder_clear(&b);
    td_checkpoint *ckpt;
    assert_int_equal(td_checkpoint_open_memory(&ckpt, image, n, "built", NULL), TD_OK);
    for (int64_t nth = 1;; nth++) {
        td_vocab vocab;
        td_alloc_fault_set(nth);
        const td_status status = td_checkpoint_read_vocab(ckpt, &vocab, NULL);
        const bool failed = td_alloc_fault_count() >= nth;
        td_alloc_fault_set(0);
        td_vocab_clear(&vocab);
        assert_int_equal(status, failed ? TD_ERR_NOMEM : TD_OK);
        if (!failed) break;
        assert_true(nth < 1000);
    }
    td_checkpoint_close(ckpt);
    free(image);
}

/* ---- real vocabularies ---- */

static void test_real_files(void **state) {
    (void)state;
    static const struct {
        const char *name;
        td_vocab_model model;
        int32_t n_token, n_merge, bos, eos, eot;
        bool add_bos;
    } rows[] = {
        {"gpt-2",        TD_VOCAB_BPE, 50257,  50000, 50256,  50256,  -1,     false},
        {"starcoder",    TD_VOCAB_BPE, 49152,  48872, 0,      0,      -1,     false},
        {"deepseek-llm", TD_VOCAB_BPE, 102400, 99757, 100000, 100001, 100001, true },
        {"llama-spm",    TD_VOCAB_SPM, 32000,  0,     1,      2,      -1,     true },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, TD_SOURCE_DIR "/../shared/tokenizer-vectors/%s.gguf",
                 rows[i].name);
        if (access(path, R_OK) != 0) {
            print_message("skipped: %s is missing\n", path);
            skip();
        }
        td_err err;
        td_vocab v;
        td_checkpoint *ckpt;
        if (td_checkpoint_open(&ckpt, path, &err) != TD_OK) fail_msg("%s", err.msg);
        if (td_checkpoint_read_vocab(ckpt, &v, &err) != TD_OK) fail_msg("%s", err.msg);
        assert_int_equal(v.model, rows[i].model);
        assert_int_equal(v.n_token, rows[i].n_token);
        assert_int_equal(v.n_merge, rows[i].n_merge);
        assert_int_equal(v.bos, rows[i].bos);
        assert_int_equal(v.eos, rows[i].eos);
        assert_int_equal(v.eot, rows[i].eot);
        assert_int_equal(v.add_bos, rows[i].add_bos);
        td_vocab_clear(&v);
        td_checkpoint_close(ckpt);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spm),
        cmocka_unit_test(test_bpe),
        cmocka_unit_test(test_defaults_by_pre),
        cmocka_unit_test(test_eot_by_name),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_real_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
