/* test_tokenizer.c - both kinds of BPE, special tokens and hostile vocabularies, on vocabularies
 * made up here.  test_tokenizer_vectors.c has real ones. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "text/tokenizer.h"
#include "unit/tiny_vocab.h"

enum { ADD = TD_TOKENIZE_ADD_SPECIAL, PARSE = TD_TOKENIZE_PARSE_SPECIAL };

static td_tokenizer *create(const td_vocab *v) {
    td_tokenizer *tok;
    td_err err = {0};
    if (td_tokenizer_create(&tok, v, &err) != TD_OK) fail_msg("%s", err.msg);
    return tok;
}

/* Encodes and compares with `want`, which ends with -1. */
static void check_n(const td_tokenizer *tok, const char *text, size_t n_text, int flags,
                    const int32_t *want) {
    int32_t *got;
    int n;
    td_err err = {0};
    if (td_tokenizer_encode(tok, text, n_text, flags, &got, &n, &err) != TD_OK)
        fail_msg("%s", err.msg);
    assert_non_null(got);
    for (int i = 0; i < n; i++) assert_int_equal(got[i], want[i]);
    assert_int_equal(want[n], -1);
    td_free(got);
}

#define CHECK(tok, text, flags, ...)                                                               \
    check_n(tok, text, strlen(text), flags, (const int32_t[]){__VA_ARGS__, -1})

static const char *const merges[] = {"a b", "b c", "ab c", "  a", "\xC3 \xA9", "a a", "aa a", NULL};
enum { AB = 256, BC, ABC, SPACE_A, E_ACUTE, AA, AAA, N_BPE };

static void bpe_merges_by_rank(void **state) {
    (void)state;
    td_vocab v;
    tiny_bpe(&v, "gpt-2", merges);
    td_tokenizer *tok = create(&v);
    CHECK(tok, "abc", 0, ABC);
    CHECK(tok, "bc", 0, BC);
    CHECK(tok, "abbc", 0, AB, BC);
    CHECK(tok, "x abc", 0, 'x', ' ', ABC); /* "ab" comes before " a" */
    CHECK(tok, "x ac", 0, 'x', SPACE_A, 'c');
    CHECK(tok, "aaaa", 0, AA, AA); /* leftmost first, and the pairs go before the triple */
    CHECK(tok, "aaa", 0, AAA);
    CHECK(tok, "\xC3\xA9\xC3", 0, E_ACUTE, 0xC3); /* an ill-formed end is its bytes */
    check_n(tok, "a\0b", 3, 0, (const int32_t[]){'a', 0, 'b', -1});
    check_n(tok, "", 0, 0, (const int32_t[]){-1});
    td_tokenizer_free(tok);
    td_vocab_clear(&v);
}

static void bpe_drops_bytes_without_a_token(void **state) {
    (void)state;
    td_vocab v;
    tiny_bpe(&v, "gpt-2", merges);
    v.tokens['x'].type = TD_TOKEN_UNUSED;
    td_tokenizer *tok = create(&v);
    CHECK(tok, "axb", 0, AB); /* left out before merging, so that its neighbours meet */
    check_n(tok, "xxx", 3, 0, (const int32_t[]){-1});
    td_tokenizer_free(tok);
    td_vocab_clear(&v);
}

static void ignore_merges_takes_whole_pieces(void **state) {
    (void)state;
    td_vocab v;
    tiny_bpe(&v, "gpt-2", merges);
    const int32_t whole = tiny_add(&v, "xyz", 3, 0, 0), control = tiny_add(&v, "qq", 2, 3, 0);
    td_tokenizer *tok = create(&v);
    CHECK(tok, "xyz", 0, 'x', 'y', 'z');
    td_tokenizer_free(tok);
    v.ignore_merges = true;
    tok = create(&v);
    CHECK(tok, "xyz", 0, whole);
    CHECK(tok, "qq", 0, 'q', 'q'); /* never a control token */
    CHECK(tok, "qq", PARSE, control);
    td_tokenizer_free(tok);
    v.ignore_merges = false;
    strcpy(v.pre, "llama-bpe"); /* implies it */
    tok = create(&v);
    CHECK(tok, "xyz", 0, whole);
    td_tokenizer_free(tok);
    td_vocab_clear(&v);
}

/* The definition of BPE, word for word. */
static int naive_bpe(const char *text, size_t n, int32_t *ids) {
    static const struct {
        int32_t left, right;
    } pairs[] = {
        {'a',  'b' },
        {'b',  'c' },
        {AB,   'c' },
        {' ',  'a' },
        {0xC3, 0xA9},
        {'a',  'a' },
        {AA,   'a' }
    };
    int n_id = 0;
    for (size_t i = 0; i < n; i++) ids[n_id++] = (uint8_t)text[i];
    for (;;) {
        int best_rank = N_BPE, best = 0;
        for (int i = 0; i + 1 < n_id; i++)
            for (int r = 0; r < best_rank && r < N_BPE - 256; r++)
                if (pairs[r].left == ids[i] && pairs[r].right == ids[i + 1]) {
                    best_rank = r;
                    best = i;
                }
        if (best_rank == N_BPE) return n_id;
        ids[best] = 256 + best_rank;
        memmove(ids + best + 1, ids + best + 2, (size_t)(--n_id - best - 1) * sizeof *ids);
    }
}

/* Short pieces go through an array, long ones through a heap: both must equal the definition. */
static void bpe_equals_its_definition(void **state) {
    (void)state;
    td_vocab v;
    tiny_bpe(&v, "gpt-2", merges);
    td_tokenizer *tok = create(&v);
    uint32_t seed = 1;
    for (int round = 0; round < 2000; round++) {
        char text[130];
        int32_t want[131];
        const size_t n = (size_t)round % sizeof text;
        for (size_t i = 0; i < n; i++) {
            seed = seed * 1664525u + 1013904223u;
            text[i] = "abcaab"[(seed >> 24) % 6]; /* letters only: one piece */
        }
        want[naive_bpe(text, n, want)] = -1;
        check_n(tok, text, n, 0, want);
    }
    td_tokenizer_free(tok);
    td_vocab_clear(&v);
}

static void special_tokens_are_cut_out_first(void **state) {
    (void)state;
    td_vocab v;
    tiny_bpe(&v, "gpt-2", merges);
    const int32_t im = tiny_add(&v, "<|im|>", 6, TD_TOKEN_CONTROL, 0);
    const int32_t think = tiny_add(&v, "<think>", 7, TD_TOKEN_USER_DEFINED, 0);
    const int32_t th = tiny_add(&v, "<th", 3, TD_TOKEN_USER_DEFINED, 0);
    const int32_t longer = tiny_add(&v, "<think>!!", 9, TD_TOKEN_CONTROL, 0);
    tiny_add(&v, "<think>", 7, TD_TOKEN_USER_DEFINED, 0); /* a copy: the first one counts */
    td_tokenizer *tok = create(&v);
    CHECK(tok, "ab<think>ab", 0, AB, think, AB);
    CHECK(tok, "<think", 0, th, 'i', 'n', 'k');
    CHECK(tok, "<think>!!", 0, think, '!', '!'); /* the longest of those allowed */
    CHECK(tok, "<think>!!", PARSE, longer);
    CHECK(tok, "a<|im|>", 0, 'a', '<', '|', 'i', 'm', '|', '>');
    CHECK(tok, "a<|im|>", PARSE, 'a', im);
    CHECK(tok, "<|im|><|im|", PARSE, im, '<', '|', 'i', 'm', '|');
    CHECK(tok, "a<think>b", 0, 'a', think, 'b'); /* and nothing merges across */
    td_tokenizer_free(tok);
    td_vocab_clear(&v);
}

static void bos_and_eos_come_once(void **state) {
    (void)state;
    td_vocab v;
    tiny_bpe(&v, "gpt-2", merges);
    v.bos = tiny_add(&v, "<s>", 3, TD_TOKEN_CONTROL, 0);
    v.eos = tiny_add(&v, "</s>", 4, TD_TOKEN_CONTROL, 0);
    v.add_bos = v.add_eos = true;
    td_tokenizer *tok = create(&v);
    CHECK(tok, "a", ADD, v.bos, 'a', v.eos);
    CHECK(tok, "", ADD, v.bos, v.eos);
    CHECK(tok, "a", 0, 'a');
    CHECK(tok, "<s>a</s>", ADD | PARSE, v.bos, 'a', v.eos);
    CHECK(tok, "<s><s>a", ADD | PARSE, v.bos, v.bos, 'a', v.eos); /* the text's own stay */
    CHECK(tok, "<s>", ADD, v.bos, '<', 's', '>', v.eos);
    v.add_bos = v.add_eos = false;
    CHECK(tok, "a", ADD, 'a');
    v.add_bos = v.add_eos = true;
    v.eos = v.bos; /* as in GPT-2 */
    CHECK(tok, "", ADD, v.bos);
    td_tokenizer_free(tok);
    td_vocab_clear(&v);
}

#define SP "\u2581"
static const tiny_token spm_tokens[] = {
    {SP,       0,                     -20  },
    {"a",      0,                     -21  },
    {"b",      0,                     -22  },
    {"c",      0,                     -23  },
    {"ab",     0,                     -2   },
    {"bc",     0,                     -1   },
    {SP "a",   0,                     -3   },
    {SP "ab",  0,                     -4   },
    {"\u00E9", 0,                     -24  },
    {"aa",     0,                     -5   },
    {SP SP,    0,                     -6   },
    {"<x>",    TD_TOKEN_USER_DEFINED, -1000},
    {"ba",     3,                     1000 },
    {"cc",     4,                     1000 },
    {NULL,     0,                     0    },
};
enum { T = 259, S_ = T, S_A, S_B, S_C, S_AB, S_BC, S__A, S__AB, S_E, S_AA, S__, S_X, S_BA, S_CC };

static void spm_merges_by_score(void **state) {
    (void)state;
    td_vocab v;
    tiny_spm(&v, true, spm_tokens);
    td_tokenizer *tok = create(&v);
    CHECK(tok, "abc", 0, S__A, S_BC); /* "bc" before "ab" */
    CHECK(tok, "ab", 0, S__AB);
    CHECK(tok, "a", ADD, v.bos, S__A);
    CHECK(tok, "aaa", 0, S__A, S_AA);
    CHECK(tok, "a  b", 0, S__A, S__, S_B);
    CHECK(tok, "\u00E9", 0, S_, S_E);
    CHECK(tok, "\u00E8", 0, S_, 3 + 0xC3, 3 + 0xA8); /* byte fallback */
    CHECK(tok, "c\xFF\xC3", 0, S_, S_C, 3 + 0xFF, 3 + 0xC3);
    CHECK(tok, "ba", 0, S_, S_B, S_A); /* a control token never comes out of a merge */
    check_n(tok, "", 0, 0, (const int32_t[]){-1});
    td_tokenizer_free(tok);
    td_vocab_clear(&v);
}

static void spm_matches_user_defined_tokens_in_raw_text(void **state) {
    (void)state;
    td_vocab v;
    tiny_spm(&v, true, spm_tokens);
    const int32_t spaces = tiny_add(&v, "   ", 3, TD_TOKEN_USER_DEFINED, -1000);
    td_tokenizer *tok = create(&v);
    CHECK(tok, "a<x>a", 0, S__A, S_X, S__A); /* a space prefix after a special token, too */
    CHECK(tok, "acca", 0, S__A, S_CC, S__A);
    CHECK(tok, "a    a", 0, S__A, spaces, S_, S__A); /* leftmost: three of the four spaces */
    CHECK(tok, "a</s>", PARSE, S__A, v.eos);
    td_tokenizer_free(tok);
    v.add_space_prefix = false;
    tok = create(&v);
    CHECK(tok, "a<x>a b", 0, S_A, S_X, S_A, S_, S_B);
    td_tokenizer_free(tok);
    td_vocab_clear(&v);
}

static void spm_without_bytes_has_the_unknown_token(void **state) {
    (void)state;
    td_vocab v;
    tiny_spm(&v, false, spm_tokens);
    const int32_t a = S__A - 256, b = S_B - 256;
    td_tokenizer *tok = create(&v);
    CHECK(tok, "axyzb", 0, a, v.unk, b); /* a run of unknown characters is one */
    CHECK(tok, "axbx", 0, a, v.unk, b, v.unk);
    td_tokenizer_free(tok);
    v.unk = -1;
    tok = create(&v);
    CHECK(tok, "axb", 0, a, b);
    td_tokenizer_free(tok);
    td_vocab_clear(&v);
}

/* Word by word where no token has a space inside, else in one go. */
static void spm_splits_words_only_where_it_may(void **state) {
    (void)state;
    td_vocab v;
    tiny_spm(&v, true, spm_tokens);
    td_tokenizer *tok = create(&v);
    CHECK(tok, "b a ab", 0, S_, S_B, S__A, S__AB);
    td_tokenizer_free(tok);
    const int32_t across = tiny_add(&v, "b" SP "a", 5, TD_TOKEN_NORMAL, -1.5f);
    tok = create(&v);
    CHECK(tok, "b a ab", 0, S_, across, S__AB);
    td_tokenizer_free(tok);
    td_vocab_clear(&v);
}

static void bytes_of(const td_tokenizer *tok, int32_t id, bool special, const char *want) {
    size_t n;
    const char *text = td_tokenizer_token_bytes(tok, id, special, &n);
    assert_int_equal(n, strlen(want));
    assert_memory_equal(text, want, n);
}

static void token_bytes_are_raw(void **state) {
    (void)state;
    td_vocab v;
    tiny_bpe(&v, "gpt-2", merges);
    const int32_t control = tiny_add(&v, "<|a|>", 5, TD_TOKEN_CONTROL, 0);
    const int32_t user = tiny_add(&v, "\u0120x", 3, TD_TOKEN_USER_DEFINED, 0);
    const int32_t odd = tiny_add(&v, "\u4F60", 3, TD_TOKEN_NORMAL, 0);
    const int32_t unused = tiny_add(&v, "[PAD1]", 6, TD_TOKEN_UNUSED, 0);
    const int32_t byte = tiny_add(&v, "<0x0A>", 6, TD_TOKEN_BYTE, 0);
    td_tokenizer *tok = create(&v);
    for (int c = 0; c < 256; c++) {
        size_t n;
        const char *text = td_tokenizer_token_bytes(tok, c, false, &n);
        assert_int_equal(n, 1);
        assert_int_equal((unsigned char)*text, c);
    }
    bytes_of(tok, SPACE_A, false, " a");
    bytes_of(tok, control, false, "");
    bytes_of(tok, control, true, "<|a|>");
    bytes_of(tok, user, false, "\u0120x"); /* no byte-level alphabet in what users define */
    bytes_of(tok, odd, false, "\u4F60");
    bytes_of(tok, unused, false, "");
    bytes_of(tok, unused, true, "[PAD1]");
    bytes_of(tok, byte, false, "\n");
    bytes_of(tok, -1, true, "");
    bytes_of(tok, v.n_token, true, "");
    assert_ptr_equal(td_tokenizer_vocab(tok), &v);
    td_tokenizer_free(tok);
    td_vocab_clear(&v);

    tiny_spm(&v, true, spm_tokens);
    tok = create(&v);
    bytes_of(tok, S__AB, false, " ab");
    bytes_of(tok, 3 + 0xC3, false, "\xC3");
    bytes_of(tok, v.unk, false, "");
    bytes_of(tok, v.unk, true, "<unk>");
    td_tokenizer_free(tok);
    td_vocab_clear(&v);
}

static void decoding_undoes_encoding(void **state) {
    (void)state;
    static const char *const texts[] = {
        "", "a", " a", "  ab  c ", "\u00E9\u4F60 \xFF\xC3", "a\nb\t", "<x>a", " <x> <x>"};
    for (int model = 0; model < 2; model++) {
        td_vocab v;
        if (model == 0)
            tiny_bpe(&v, "smollm", merges);
        else
            tiny_spm(&v, true, spm_tokens);
        /* A space prefix after a special token is not told from a space of the text. */
        const size_t n_text = sizeof texts / sizeof *texts - (model ? 2 : 0);
        td_tokenizer *tok = create(&v);
        for (size_t i = 0; i < n_text; i++) {
            int32_t *tokens;
            int n;
            td_strbuf out = {0};
            assert_int_equal(
                td_tokenizer_encode(tok, texts[i], strlen(texts[i]), ADD, &tokens, &n, NULL),
                TD_OK);
            td_tokenizer_decode(tok, tokens, n, false, &out);
            assert_int_equal(out.n, strlen(texts[i]));
            if (out.n) assert_memory_equal(out.text, texts[i], out.n);
            td_strbuf_clear(&out);
            td_free(tokens);
        }
        td_tokenizer_free(tok);
        td_vocab_clear(&v);
    }
}

static void ends_of_turn_are_known(void **state) {
    (void)state;
    td_vocab v;
    tiny_bpe(&v, "gpt-2", merges);
    const int32_t im_end = tiny_add(&v, "<|im_end|>", 10, TD_TOKEN_CONTROL, 0);
    const int32_t user = tiny_add(&v, "<end_of_turn>", 13, TD_TOKEN_USER_DEFINED, 0);
    const int32_t plain = tiny_add(&v, "</s>", 4, TD_TOKEN_NORMAL, 0);
    const int32_t deepseek =
        tiny_add(&v, "<\uFF5Cend\u2581of\u2581sentence\uFF5C>",
                 strlen("<\uFF5Cend\u2581of\u2581sentence\uFF5C>"), TD_TOKEN_CONTROL, 0);
    const int32_t end = tiny_add(&v, "<|end|>", 7, TD_TOKEN_CONTROL, 0);
    v.eos = 'x', v.eot = 'y', v.eom = 'z';
    td_tokenizer *tok = create(&v);
    static const int32_t none[] = {-1, 'a', AB, 1 << 30};
    const int32_t ends[] = {im_end, user, deepseek, end, 'x', 'y', 'z'};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        assert_true(td_tokenizer_is_end(tok, ends[i]));
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_false(td_tokenizer_is_end(tok, none[i]));
    assert_false(td_tokenizer_is_end(tok, plain)); /* ordinary text that looks like one */
    bytes_of(tok, user, false, "");                /* treated as the control token it is */
    CHECK(tok, "<end_of_turn>", PARSE, user);
    td_tokenizer_free(tok);
    /* gpt-oss: "<|end|>" separates messages of one turn */
    tiny_add(&v, "<|return|>", 10, TD_TOKEN_CONTROL, 0);
    tiny_add(&v, "<|call|>", 8, TD_TOKEN_CONTROL, 0);
    tok = create(&v);
    assert_false(td_tokenizer_is_end(tok, end));
    td_tokenizer_free(tok);
    td_vocab_clear(&v);
}

static void hostile_vocabularies_do_no_harm(void **state) {
    (void)state;
    for (int model = 0; model < 2; model++) {
        td_vocab v;
        tiny_init(&v, model ? TD_VOCAB_SPM : TD_VOCAB_BPE);
        for (uint8_t type = 1; type <= 6; type++) {
            tiny_add(&v, "", 0, type, NAN);
            tiny_add(&v, "a", 1, type, INFINITY);
            tiny_add(&v, "a", 1, type, -INFINITY);
            tiny_add(&v, "\xFF\xFE", 2, type, 1);
            tiny_add(&v, "\0", 1, type, 2);
            tiny_add(&v, "<0xZZ>", 6, type, 3);
            tiny_add(&v, "<0x61>", 6, type, 3);
            tiny_add(&v, SP, 3, type, 4);
            tiny_add(&v, "\xE2\x96", 2, type, 4);
        }
        tiny_add_merge(&v, "", 0, "", 0);
        tiny_add_merge(&v, "a", 1, "no such token", 13);
        tiny_add_merge(&v, "a", 1, "a", 1);
        tiny_add_merge(&v, "\xFF", 1, "\xFE", 1);
        td_tokenizer *tok = create(&v);
        for (int flags = 0; flags < 4; flags++) {
            static const char text[] = "aaa \xFF\xFE\xE2\x96\x81\xE2 b\0a";
            int32_t *tokens;
            int n;
            td_strbuf out = {0};
            assert_int_equal(td_tokenizer_encode(tok, text, sizeof text, flags, &tokens, &n, NULL),
                             TD_OK);
            for (int i = 0; i < n; i++) assert_in_range(tokens[i], 0, v.n_token - 1);
            td_tokenizer_decode(tok, tokens, n, true, &out);
            td_strbuf_clear(&out);
            td_free(tokens);
        }
        td_tokenizer_free(tok);
        td_vocab_clear(&v);
    }
    td_vocab empty;
    tiny_init(&empty, TD_VOCAB_BPE);
    td_tokenizer *tok = create(&empty);
    CHECK(tok, "nothing", ADD | PARSE, -1);
    td_tokenizer_free(tok);
    empty.model = TD_VOCAB_SPM;
    tok = create(&empty);
    CHECK(tok, "nothing", ADD | PARSE, -1);
    td_tokenizer_free(tok);
    strcpy(empty.pre, "nonsense");
    empty.model = TD_VOCAB_BPE;
    td_err err = {0};
    assert_int_equal(td_tokenizer_create(&tok, &empty, &err), TD_ERR_UNSUPPORTED);
    assert_null(tok);
    assert_non_null(strstr(err.msg, "nonsense"));
    td_vocab_clear(&empty);
}

/* One word of many bytes must not take quadratic time. */
static void a_long_word_takes_no_longer_than_many(void **state) {
    (void)state;
    enum { N = 300000 };
    char *text = malloc(N);
    for (int model = 0; model < 2; model++)
        for (int kind = 0; kind < 3; kind++) {
            td_vocab v;
            if (model == 0)
                tiny_bpe(&v, "llama3", merges);
            else
                tiny_spm(&v, true, spm_tokens);
            td_tokenizer *tok = create(&v);
            for (int i = 0; i < N; i++) text[i] = kind == 0 ? 'a' : kind == 1 ? ' ' : "abc"[i % 3];
            int32_t *tokens;
            int n;
            assert_int_equal(td_tokenizer_encode(tok, text, N, 0, &tokens, &n, NULL), TD_OK);
            assert_in_range(n, 1, N);
            td_free(tokens);
            td_tokenizer_free(tok);
            td_vocab_clear(&v);
        }
    free(text);
}

static void text_too_long_is_refused(void **state) {
    (void)state;
    td_vocab v;
    tiny_spm(&v, true, spm_tokens);
    td_tokenizer *tok = create(&v);
    int32_t *tokens = (int32_t[]){0};
    int n = 1;
    td_err err = {0};
    assert_int_equal(td_tokenizer_encode(tok, "", SIZE_MAX, 0, &tokens, &n, &err), TD_ERR_LIMIT);
    assert_null(tokens);
    assert_int_equal(n, 0);
    td_tokenizer_free(tok);
    td_vocab_clear(&v);
}

/* PCRE2 does without machine code if there is no memory for it, so that some failures pass. */
static void out_of_memory_is_reported(void **state) {
    (void)state;
    static const char text[] = "abc <x> \xFF a word of more than thirty-two bytes: "
                               "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    for (int model = 0; model < 2; model++) {
        td_vocab v;
        if (model == 0)
            tiny_bpe(&v, "smollm", merges);
        else
            tiny_spm(&v, true, spm_tokens);
        tiny_add(&v, "<y>", 3, TD_TOKEN_USER_DEFINED, 0);
        v.add_bos = true;
        v.bos = 0;
        for (int64_t nth = 1;; nth++) {
            td_tokenizer *tok = NULL;
            int32_t *tokens = NULL;
            int n = 0;
            td_alloc_fault_set(nth);
            td_status st = td_tokenizer_create(&tok, &v, NULL);
            if (st == TD_OK)
                st = td_tokenizer_encode(tok, text, sizeof text - 1, ADD, &tokens, &n, NULL);
            const bool reached = td_alloc_fault_count() >= nth;
            td_alloc_fault_set(0);
            assert_true(st == TD_OK || (reached && st == TD_ERR_NOMEM && !tokens));
            td_free(tokens);
            td_tokenizer_free(tok);
            if (!reached) break;
        }
        td_vocab_clear(&v);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bpe_merges_by_rank),
        cmocka_unit_test(bpe_drops_bytes_without_a_token),
        cmocka_unit_test(ignore_merges_takes_whole_pieces),
        cmocka_unit_test(bpe_equals_its_definition),
        cmocka_unit_test(special_tokens_are_cut_out_first),
        cmocka_unit_test(bos_and_eos_come_once),
        cmocka_unit_test(spm_merges_by_score),
        cmocka_unit_test(spm_matches_user_defined_tokens_in_raw_text),
        cmocka_unit_test(spm_without_bytes_has_the_unknown_token),
        cmocka_unit_test(spm_splits_words_only_where_it_may),
        cmocka_unit_test(token_bytes_are_raw),
        cmocka_unit_test(decoding_undoes_encoding),
        cmocka_unit_test(ends_of_turn_are_known),
        cmocka_unit_test(hostile_vocabularies_do_no_harm),
        cmocka_unit_test(a_long_word_takes_no_longer_than_many),
        cmocka_unit_test(text_too_long_is_refused),
        cmocka_unit_test(out_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
