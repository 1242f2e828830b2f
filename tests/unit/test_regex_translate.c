/* test_regex_translate.c - Oniguruma's patterns in PCRE2's words, by what they match.
 *
 * The expected matches are those of Hugging Face's tokenizers (Split, "isolated"). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/alloc.h"
#include "text/regex.h"

/* The matches of a pattern with "|" between them; empty ones show as nothing. */
static char *matches_of(const char *pattern, const char *text) {
    td_regex *re;
    td_regex_scratch *scratch = NULL;
    td_err err = {0};
    td_strbuf out = {0};
    const size_t n = strlen(text);
    if (td_regex_create(&re, pattern, strlen(pattern), TD_REGEX_ONIGURUMA, "test", &err) != TD_OK)
        fail_msg("%s: %s", pattern, err.msg);
    for (size_t at = 0; at <= n;) {
        td_regex_range r;
        if (td_regex_find(re, &scratch, text, n, at, &r, &err) != TD_OK) fail_msg("%s", err.msg);
        if (!r.found) break;
        if (out.n || at > 0) td_strbuf_addc(&out, '|');
        td_strbuf_add(&out, text + r.begin, r.end - r.begin);
        at = r.end > r.begin ? r.end : r.end + 1;
    }
    td_strbuf_addc(&out, 0);
    td_regex_scratch_free(scratch);
    td_regex_free(re);
    return td_strbuf_take(&out);
}

static void constructs_match_as_in_oniguruma(void **state) {
    (void)state;
    static const struct {
        const char *pattern, *text, *matches;
    } rows[] = {
        {"\\s+",                     "a\u180E \u3000b\xC2\x85", " \u3000|\xC2\x85"   },
        {"[^\\S\\n]+",               "a \n\t b",                " |\t "              },
        {"\\w+",                     "caf\u0301e_1-\u00B2",     "caf\u0301e_1|\u00B2"},
        {"\\d",                      "1\u0661\u00B2",           "1|\u0661"           },
        {"\\h+",                     "xBEEFg \t",               "BEEF"               },
        {"\\bfo",                    "fo xfo -fo",              "fo|fo"              },
        {"o\\B",                     "on no",                   "o"                  },
        {"^b|a$",                    "a\nb a\nb",               "a|b|a|b"            },
        {"\\p{Han}+",                "\u4E2D\u3001\u6587",      "\u4E2D|\u6587"      },
        {"\\p{^L}+",                 "a1b",                     "1"                  },
        {"\\p{Letter}+",             "ab1",                     "ab"                 },
        {"[\\p{L}&&[^\\p{Han}]]+",   "a\u4E2Db",                "a|b"                },
        {"[a-z&&[^aeiou]&&[^x]]+",   "abcxde",                  "bc|d"               },
        {"[^a-z&&[b-d]]+",           "abce",                    "a|e"                },
        {"[a[b-d]]+",                "xabcdx",                  "abcd"               },
        {"[[:alpha:]_]+",            "ab_1",                    "ab_"                },
        {"[]a]+",                    "a]b",                     "a]"                 },
        {"[\\x{41}\\u0042\\x43-]+",  "xABC-",                   "ABC-"               },
        {"a{,2}b",                   "aaab",                    "aab"                },
        {"(?:ab{2}+)",               "abbbb",                   "abbbb"              },
        {"a{2}?b",                   "aab b",                   "aab|b"              },
        {"x{y}",                     "x{y}",                    "x{y}"               },
        {"(?i:'s|'T)",               "'S 't '\u017F",           "'S|'t|'\u017F"      },
        {"(?m:a.b)",                 "a\nb",                    "a\nb"               },
        {"a.b",                      "a\nb",                    ""                   },
        {"(?<year>\\d\\d)\\k<year>", "1212",                    "1212"               },
        {"\\v",                      "a\vb\n",                  "\v"                 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *got = matches_of(rows[i].pattern, rows[i].text);
        if (strcmp(got, rows[i].matches) != 0)
            fail_msg("%s: '%s', wanted '%s'", rows[i].pattern, got, rows[i].matches);
        td_free(got);
    }
}

static void what_has_no_translation_is_named(void **state) {
    (void)state;
    static const struct {
        const char *pattern, *named;
    } rows[] = {
        {"a(?~bc)",       "'(?~bc)' at byte 1"},
        {"(*FAIL)",       "a callout"         },
        {"a(?i)b",        "a switch"          },
        {"(?x: a)",       "this group"        },
        {"\\y",           "this escape"       },
        {"\\p{L",         "this property"     },
        {"\\p{Klingon}",  "does not compile"  },
        {"[a",            "this class"        },
        {"[b-a]",         "this range"        },
        {"[a&&]",         "this class"        },
        {"(a",            "never closed"      },
        {"a)",            "closes nothing"    },
        {"a\\",           "a backslash"       },
        {"a{3,1}",        "this repetition"   },
        {"\\x{110000}",   "this number"       },
        {"[[:klingon:]]", "POSIX class"       },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        td_regex *re;
        td_err err = {0};
        assert_int_equal(td_regex_create(&re, rows[i].pattern, strlen(rows[i].pattern),
                                         TD_REGEX_ONIGURUMA, "test", &err),
                         TD_ERR_UNSUPPORTED);
        assert_null(re);
        if (!strstr(err.msg, rows[i].named)) fail_msg("%s: %s", rows[i].pattern, err.msg);
    }
}

/* A pattern that tries every way to cut a text ends with an error. */
static void too_many_steps_are_an_error(void **state) {
    (void)state;
    td_regex *re;
    td_regex_scratch *scratch = NULL;
    td_regex_range r;
    td_err err = {0};
    static const char pattern[] = "(?:a|aa)+$";
    assert_int_equal(td_regex_create(&re, pattern, sizeof pattern - 1, TD_REGEX_PCRE, "test", &err),
                     TD_OK);
    char text[101];
    memset(text, 'a', 100);
    text[99] = 'b';
    text[100] = 0;
    const td_status st = td_regex_find(re, &scratch, text, 100, 0, &r, &err);
    assert_int_equal(st, TD_ERR_LIMIT);
    assert_non_null(strstr(err.msg, "too many steps"));
    td_regex_scratch_free(scratch);
    td_regex_free(re);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constructs_match_as_in_oniguruma),
        cmocka_unit_test(what_has_no_translation_is_named),
        cmocka_unit_test(too_many_steps_are_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
