/* test_pretokenize.c - the splits of the pre-tokenizers, on good text and on bad. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/strbuf.h"
#include "text/pretokenize.h"

/* Pieces with "|" between them. */
static char *split(const char *name, const char *text, size_t n) {
    td_pretokenizer *pre;
    td_pieces pieces = {0};
    td_err err = {0};
    if (td_pretokenizer_create_named(&pre, name, &err) != TD_OK) fail_msg("%s", err.msg);
    if (td_pretokenizer_split(pre, text, n, true, &pieces, &err) != TD_OK) fail_msg("%s", err.msg);
    td_strbuf out = {0};
    size_t begin = 0;
    for (size_t i = 0; i < pieces.n; i++) {
        const td_span s = pieces.spans[i];
        assert_true(s.end > s.begin && s.begin >= begin);
        if (i) td_strbuf_addc(&out, '|');
        td_strbuf_add(&out, pieces.text + s.begin, s.end - s.begin);
        begin = s.end;
    }
    td_pieces_clear(&pieces);
    td_pretokenizer_free(pre);
    return td_strbuf_take(&out);
}

/* The expected splits are those of Hugging Face's tokenizers with the models' own patterns. */
static void splits_table(void **state) {
    (void)state;
    static const struct {
        const char *name, *text, *pieces;
    } rows[] = {
        {"gpt-2",          "",                            ""                                    },
        {"gpt-2",          "Hello world",                 "Hello| world"                        },
        {"gpt-2",          "I'll don't 'S",               "I|'ll| don|'t| '|S"                  },
        {"gpt-2",          "a   b\n\n c1234",             "a|  | b|\n\n| c|1234"                },
        {"gpt-2",          "trailing  ",                  "trailing|  "                         },
        {"gpt-2",          "x\ny",                        "x|\n|y"                              },
        {"smollm",         "a 123",                       "a| |1|2|3"                           },
        {"starcoder",      "v12\t",                       "v|1|2|\t"                            },
        {"refact",         "7up",                         "7|up"                                },
        {"llama3",         "I'LL pay 12345.67\r\n\r\nok", "I|'LL| pay| |123|45|.|67|\r\n\r\n|ok"},
        {"qwen2",          "I'LL 123!\n\nx",              "I|'LL| |1|2|3|!\n\n|x"               },
 /* the long s counts as an s where case does not matter */
        {"qwen2",          "it'\u017F",                   "it|'\u017F"                          },
        {"deepseek-v3",    "abc1234\u4F60\u597Dx .y",     "abc|123|4|\u4F60\u597D|x| .|y"       },
        {"deepseek-llm",   "a  1\n b!\u4E2D",             "a|  |1|\n| b|!|\u4E2D"               },
        {"deepseek-coder", "x = 12",                      "x| = |1|2"                           },
        {"gpt-4o",         "HelloWORLDfoo's",             "Hello|WORLDfoo's"                    },
        {"kimi-k2",        "a\u4E2D\u6587b\u3001c",       "a|\u4E2D\u6587|b|\u3001c"            },
        {"afmoe",          "1234567 12a\u0E44",           "1|234|567| |12|a|\u0E44"             },
        {"tiny_aya",       "1234567 1234a",               "1|234|567| |123|4|a"                 },
        {"superbpe",       "1234567 123",                 "1|234|567| |123"                     },
        {"gemma4",         "a b\n\n\u2581",               "a\u2581b|\n\n|\u2581"                },
        {"whitespace",     " a  b\n",                     "a|b"                                 },
        {"jais-2",         "a      b\n  \n c",            "a|    | | b|\n  \n| c"               },
        {"default",        "a+b 12345",                   "a|+|b| |123|45"                      },
 /* U+180E is no white space, U+0085 and U+3000 are */
        {"gpt-2",          "a\u180Eb\xC2\x85\u3000c",     "a|\u180E|b|\xC2\x85|\u3000|c"        },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *got = split(rows[i].name, rows[i].text, strlen(rows[i].text));
        assert_string_equal(got, rows[i].pieces);
        td_free(got);
    }
}

static void ill_formed_text_keeps_its_bytes(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t n;
        const char *pieces;
    } rows[] = {
        {"a\xFF\xFE z",          5, "a|\xFF\xFE| z"        },
        {"\xE4\xBD",             2, "\xE4\xBD"             },
        {"\xE4\xBD\xE4\xBD\xA0", 5, "\xE4\xBD|\xE4\xBD\xA0"},
        {"\x80"
         "a\x80",       3, "\x80|a|\x80"          },
        {"\xF0\x9F\xA6 1",       5, "\xF0\x9F\xA6| 1"      },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *got = split("gpt-2", rows[i].text, rows[i].n);
        assert_string_equal(got, rows[i].pieces);
        td_free(got);
    }
    td_pretokenizer *pre;
    td_pieces pieces = {0};
    assert_int_equal(td_pretokenizer_create_named(&pre, "gpt-2", NULL), TD_OK);
    assert_int_equal(td_pretokenizer_split(pre, "a\0b", 3, true, &pieces, NULL), TD_OK);
    assert_int_equal(pieces.n, 3);
    td_pieces_clear(&pieces);
    td_pretokenizer_free(pre);
}

static void the_table_is_sorted_and_compiles(void **state) {
    (void)state;
    static const char text[] = "Hi, 12345 \u4E2D\n\n  it's!";
    size_t n;
    const td_pretokenizer_def *all = td_pretokenizer_all(&n);
    assert_int_equal(n, 91);
    for (size_t i = 0; i < n; i++) {
        if (i) assert_true(strcmp(all[i - 1].name, all[i].name) < 0);
        assert_ptr_equal(td_pretokenizer_find(all[i].name), &all[i]);
        td_free(split(all[i].name, text, strlen(text)));
    }
    assert_string_equal(td_pretokenizer_find("")->name, "default");
    assert_true(td_pretokenizer_find("llama-bpe")->flags & TD_PRETOKENIZER_WHOLE);
    assert_null(td_pretokenizer_find("gpt-3"));
}

static void an_unknown_name_is_named(void **state) {
    (void)state;
    td_pretokenizer *pre;
    td_err err = {0};
    assert_int_equal(td_pretokenizer_create_named(&pre, "no-such-model", &err), TD_ERR_UNSUPPORTED);
    assert_null(pre);
    assert_non_null(strstr(err.msg, "'no-such-model'"));
    assert_non_null(strstr(err.msg, "convert"));
}

/* What takes an engine quadratic time or a deep stack: each must be done in a moment. */
static void hostile_text_is_split_in_linear_time(void **state) {
    (void)state;
    static const char *const units[] = {" ", "a", "A", "1", "\n", "\xFF", "' ", "\u4E2D", "\u0301"};
    enum { N = 200000 };
    static const char *const names[] = {
        "smollm",  "llama3",     "qwen2",  "deepseek-llm", "deepseek-v3", "gpt-4o", "kimi-k2",
        "default", "exaone-moe", "jais-2", "tiny_aya",     "superbpe",    "afmoe",  "gemma4"};
    char *text = malloc(N + 1);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (size_t j = 0; j < sizeof units / sizeof *units; j++) {
            const size_t n_unit = strlen(units[j]);
            size_t n = 0;
            for (; n + n_unit <= N; n += n_unit) memcpy(text + n, units[j], n_unit);
            text[n++] = '5';
            td_free(split(names[i], text, n));
        }
    free(text);
}

static void text_too_long_is_refused(void **state) {
    (void)state;
    td_pretokenizer *pre;
    td_pieces pieces = {0};
    assert_int_equal(td_pretokenizer_create_named(&pre, "gpt-2", NULL), TD_OK);
    assert_int_equal(
        td_pretokenizer_split(pre, "", TD_PRETOKENIZE_MAX_TEXT + 1, true, &pieces, NULL),
        TD_ERR_LIMIT);
    td_pretokenizer_free(pre);
}

/* Machine code that cannot be had for want of memory is done without, so that some failures pass.
 */
static void out_of_memory_is_reported(void **state) {
    (void)state;
    for (int64_t nth = 1;; nth++) {
        td_pretokenizer *pre = NULL;
        td_pieces pieces = {0};
        td_alloc_fault_set(nth);
        td_status st = td_pretokenizer_create_named(&pre, "smollm", NULL);
        if (st == TD_OK) st = td_pretokenizer_split(pre, "ab 12 \xFF", 7, true, &pieces, NULL);
        const bool reached = td_alloc_fault_count() >= nth;
        td_alloc_fault_set(0);
        assert_true(st == TD_OK || (reached && st == TD_ERR_NOMEM));
        td_pieces_clear(&pieces);
        td_pretokenizer_free(pre);
        if (!reached) break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits_table),
        cmocka_unit_test(ill_formed_text_keeps_its_bytes),
        cmocka_unit_test(the_table_is_sorted_and_compiles),
        cmocka_unit_test(an_unknown_name_is_named),
        cmocka_unit_test(hostile_text_is_split_in_linear_time),
        cmocka_unit_test(text_too_long_is_refused),
        cmocka_unit_test(out_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
