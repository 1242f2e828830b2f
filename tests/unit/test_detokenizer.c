/* test_detokenizer.c - streaming: never half a character, and nothing lost. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "text/tokenizer.h"
#include "unit/tiny_vocab.h"

#define FFFD "\uFFFD"

static td_tokenizer *create(const td_vocab *v) {
    td_tokenizer *tok;
    td_err err = {0};
    if (td_tokenizer_create(&tok, v, &err) != TD_OK) fail_msg("%s", err.msg);
    return tok;
}

/* The ids of tiny_bpe's first 256 tokens are the bytes; `parts` has what each of them completes. */
static void bytes_become_characters(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        const char *parts[8]; /* one for each byte */
        const char *rest;     /* what td_detokenizer_finish gives */
    } rows[] = {
        {"ab",                   {"a", "b"},                   ""  },
        {"\xC3\xA9x",            {"", "\u00E9", "x"},          ""  },
        {"\xF0\x9F\xA6\x99",     {"", "", "", "\U0001F999"},   ""  },
        {"\xF0\x9F\xA6",         {"", "", ""},                 FFFD},
        {"\xC3",                 {""},                         FFFD},
        {"\x80z",                {FFFD, "z"},                  ""  },
        {"\xFF\xC0",             {FFFD, FFFD},                 ""  },
 /* a maximal subpart is one replacement character */
        {"\xF0\x9F\xA6x",        {"", "", "", FFFD "x"},       ""  },
        {"\xE4\xBD\xE4\xBD\xA0", {"", "", FFFD, "", "\u4F60"}, ""  },
        {"\xE0\x80\x80",         {"", FFFD FFFD, FFFD},        ""  },
        {"\xED\xA0\x80",         {"", FFFD FFFD, FFFD},        ""  },
        {"\xF4\x90\x80\x80",     {"", FFFD FFFD, FFFD, FFFD},  ""  },
        {"\xC3\xC3\xA9",         {"", FFFD, "\u00E9"},         ""  },
        {"\xF0\xF0\x9F\xFF",     {"", FFFD, "", FFFD FFFD},    ""  },
    };
    td_vocab v;
    tiny_bpe(&v, "gpt-2", (const char *const[]){NULL});
    td_tokenizer *tok = create(&v);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        td_detokenizer d;
        td_detokenizer_init(&d, tok, true, false);
        td_strbuf out = {0};
        for (size_t j = 0; rows[i].bytes[j]; j++) {
            td_strbuf_clear(&out);
            td_strbuf_adds(&out, "");
            td_detokenizer_add(&d, (uint8_t)rows[i].bytes[j], &out);
            assert_string_equal(out.text, rows[i].parts[j]);
        }
        td_strbuf_clear(&out);
        td_strbuf_adds(&out, "");
        td_detokenizer_finish(&d, &out);
        assert_string_equal(out.text, rows[i].rest);
        td_detokenizer_finish(&d, &out); /* once is enough */
        assert_string_equal(out.text, rows[i].rest);
        td_strbuf_clear(&out);
    }
    td_tokenizer_free(tok);
    td_vocab_clear(&v);
}

static void tokens_of_several_bytes_and_parts_of_characters(void **state) {
    (void)state;
    td_vocab v;
    /* id 256: the end of one character and the beginning of the next */
    tiny_bpe(&v, "gpt-2", (const char *const[]){"\xA9z \xE4\xBD", "ab cd", NULL});
    td_tokenizer *tok = create(&v);
    td_detokenizer d;
    td_detokenizer_init(&d, tok, true, false);
    td_strbuf out = {0};
    static const int32_t tokens[] = {0xC3, 256, 0xA0, 257, 256, 257, -1, 1 << 30};
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++)
        td_detokenizer_add(&d, tokens[i], &out);
    assert_string_equal(out.text, "\u00E9z\u4F60abcd" FFFD "z" FFFD "abcd");
    td_strbuf_clear(&out);
    td_tokenizer_free(tok);
    td_vocab_clear(&v);
}

static void the_space_prefix_goes_once(void **state) {
    (void)state;
    static const tiny_token tokens[] = {
        {"\u2581Hi",     0, 0},
        {"\u2581",       0, 0},
        {"\u2581\u2581", 0, 0},
        {NULL,           0, 0}
    };
    enum { HI = 259, SPACE, SPACES };
    static const struct {
        int32_t tokens[4]; /* -1 ends */
        bool at_start, with_special;
        const char *text;
    } rows[] = {
        {{HI, HI, -1},      true,  false, "Hi Hi" },
        {{HI, HI, -1},      false, false, " Hi Hi"},
        {{1, HI, -1},       true,  false, "Hi"    }, /* a hidden token does not begin the text */
        {{1, HI, -1},       true,  true,  "<s> Hi"},
        {{SPACE, HI, -1},   true,  false, " Hi"   },
        {{SPACES, -1},      true,  false, " "     },
        {{3 + ' ', HI, -1}, true,  false, "  Hi"  }, /* a byte token is a byte of the text */
    };
    td_vocab v;
    tiny_spm(&v, true, tokens);
    td_tokenizer *tok = create(&v);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        td_detokenizer d;
        td_detokenizer_init(&d, tok, rows[i].at_start, rows[i].with_special);
        td_strbuf out = {0};
        for (int j = 0; rows[i].tokens[j] >= 0; j++)
            td_detokenizer_add(&d, rows[i].tokens[j], &out);
        assert_string_equal(out.text, rows[i].text);
        td_strbuf_clear(&out);
    }
    v.add_space_prefix = false;
    td_detokenizer d;
    td_detokenizer_init(&d, tok, true, false);
    td_strbuf out = {0};
    td_detokenizer_add(&d, HI, &out);
    assert_string_equal(out.text, " Hi");
    td_strbuf_clear(&out);
    td_tokenizer_free(tok);
    td_vocab_clear(&v);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_become_characters),
        cmocka_unit_test(tokens_of_several_bytes_and_parts_of_characters),
        cmocka_unit_test(the_space_prefix_goes_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
