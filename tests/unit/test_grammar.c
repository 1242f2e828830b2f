/* test_grammar.c - GBNF: what grammars accept, what is refused and where, and masks against trying
 * each token. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/random.h"
#include "text/grammar_int.h"
#include "unit/tiny_vocab.h"

static td_grammar *parse(const char *text, const td_tokenizer *tok) {
    td_grammar *g;
    td_err err = {0};
    if (td_grammar_from_gbnf(&g, text, strlen(text), "grammar", tok, &err) != TD_OK)
        fail_msg("%s", err.msg);
    return g;
}

static td_matcher *match(const td_grammar *g, const td_token_trie *trie) {
    td_matcher *m;
    td_err err = {0};
    if (td_matcher_create(&m, g, trie, &err) != TD_OK) fail_msg("%s", err.msg);
    return m;
}

#define JSON                                                                                       \
    "root ::= object\n"                                                                            \
    "value ::= object | array | string | number | (\"true\" | \"false\" | \"null\") ws\n"          \
    "object ::= \"{\" ws (string \":\" ws value (\",\" ws string \":\" ws value)*)? \"}\" ws\n"    \
    "array ::= \"[\" ws (value (\",\" ws value)*)? \"]\" ws\n"                                     \
    "string ::= \"\\\"\" ([^\"\\\\\\x7F\\x00-\\x1F] | \"\\\\\" ([\"\\\\bfnrt] | \"u\" "            \
    "[0-9a-fA-F]{4}))* \"\\\"\" ws\n"                                                              \
    "number ::= \"-\"? ([0-9] | [1-9] [0-9]{0,15}) (\".\" [0-9]+)? ws\n"                           \
    "ws ::= | \" \" | \"\\n\" [ \\t]{0,20}\n"

/* '+' in front: whole; '-': not allowed; '~': the beginning of something. */
static void texts_are_accepted(void **state) {
    (void)state;
    static const struct {
        const char *grammar;
        const char *texts[12];
    } rows[] = {
        {"root ::= \"a\"",                                                                    {"+a", "-b", "-aa", "~"}                                                  },
        {"root ::= \"\\x41\\u00e9\\U0001F600\\n\\t\\r\\\\\\\"\\[\\]\"",
         {"+A\u00E9\U0001F600\n\t\r\\\"[]", "~A\xC3", "-A\xC4"}                                                                                                         },
        {"root ::= [a-c\\]-]+",                                                               {"+a]-c", "-d", "~"}                                                      },
        {"root ::= [^a-y\\u0080-\\uFFFF]{2}",                                                 {"+zA", "+\U0001F600\n", "-\u00E9", "-a", "-zzz"}                         },
        {"root ::= .",                                                                        {"+x", "+\n", "+\u6F22", "+\U0010FFFF", "~\xF0\x9F", "-\xFF", "-\xED\xA0"}},
        {"root ::= \"a\"? \"b\"* \"c\"+",                                                     {"+c", "+abbcc", "-aac", "~abb"}                                          },
        {"root ::= \"ab\"{2} \"c\"{0,2} \"d\"{1,}",                                           {"+ababd", "+ababccdd", "-ababcccd", "-abd"}                              },
        {"root ::= a | b\na ::= \"x\" b\nb ::= \"y\" |\n \"z\"",                              {"+y", "+z", "+xz", "-xx"}                                                },
        {"# one\nroot ::=\n (\"a\" # two\n | \"b\"\n) x-1 # three\nx-1 ::= \"1\" | \"\"\r\n",
         {"+a", "+b1", "-1"}                                                                                                                                            },
        {"root ::= \"(\" root \")\" | \"\"",                                                  {"+", "+()", "+((()))", "~((", "-())"}                                    },
        {"root ::= (\"a\"? | \"b\"*){3,5} \"!\"",                                             {"+!", "+aba!", "+bbbbb!", "-aaaaaa"}                                     },
        {"root ::= ((\"a\" | [bc]{40}){2,3} \",\"){1,100}",                                   {"+aa,", "+aaa,aa,", "-aaaa", "-a,"}                                      },
        {"root ::= \"a\"{3,1000000}",                                                         {"~aa", "+aaa", "+aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}                      },
        {"root ::= n \"x\" | \"y\"\nn ::= \"n\" n",                                           {"+y", "-n"}                                                              }, /* n never ends */
        {JSON,
         {"+{}", "+{\"a\": [1, -2.5, {\"b\": null}]}", "+{\"\\u00e9\\n\": \"\u00E9\"}", "-[", "-{a",
          "~{\"a\": \"b", "-{\"a\": \"\\x", "-{\"a\":  1}", "+{\"a\":\n      1}"}                                                                                       },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        td_grammar *g = parse(rows[i].grammar, NULL);
        td_matcher *m = match(g, NULL);
        for (size_t j = 0; j < 12 && rows[i].texts[j]; j++) {
            const char *text = rows[i].texts[j];
            bool ok;
            assert_int_equal(td_matcher_reset(m, NULL), TD_OK);
            assert_int_equal(td_matcher_accept_bytes(m, text + 1, strlen(text + 1), &ok, NULL),
                             TD_OK);
            const char found = !ok ? '-' : td_matcher_can_end(m) ? '+' : '~';
            if (found != text[0]) fail_msg("%s\n%s is %c", rows[i].grammar, text, found);
        }
        td_matcher_free(m);
        td_grammar_free(g);
    }
}

static void mistakes_have_a_place(void **state) {
    (void)state;
    static const struct {
        const char *grammar;
        td_status status;
        const char *message;
    } rows[] = {
        {"",                                             TD_ERR_FORMAT,      "no rule 'root'"                                   },
        {"a ::= \"x\"",                                  TD_ERR_FORMAT,      "no rule 'root'"                                   },
        {"root = \"x\"",                                 TD_ERR_FORMAT,      "line 1, column 6: '=', wanted '::='"              },
        {"root ::= \"x",                                 TD_ERR_FORMAT,      "line 1, column 10: this text has no closing quote"},
        {"root ::= \"\u00E9\" [a",                       TD_ERR_FORMAT,      "line 1, column 14: this class has no closing"     },
        {"root ::= [z-a]",                               TD_ERR_FORMAT,      "ends (U+0061) before it begins (U+007A)"          },
        {"root ::= []",                                  TD_ERR_FORMAT,      "the class is empty"                               },
        {"root ::= \"\\q\"",                             TD_ERR_FORMAT,      "'q' after a backslash"                            },
        {"root ::= \"\\u12g\"",                          TD_ERR_FORMAT,      "wanted 4 hexadecimal digits"                      },
        {"root ::= \"\\U00110000\"",                     TD_ERR_FORMAT,      "is no character"                                  },
        {"root ::= \"\\ud800\"",                         TD_ERR_FORMAT,      "surrogate pair"                                   },
        {"root ::= (\"a\"",                              TD_ERR_FORMAT,      "the end, wanted ')'"                              },
        {"root ::= \"a\")",                              TD_ERR_FORMAT,      "column 13: ')', wanted the end of the rule's line"},
        {"root ::= * \"a\"",                             TD_ERR_FORMAT,      "nothing before this '*'"                          },
        {"root ::= \"a\"{x}",                            TD_ERR_FORMAT,      "wanted a number of repetitions"                   },
        {"root ::= \"a\"{3,2}",                          TD_ERR_FORMAT,      "at least 3 and at most 2"                         },
        {"root ::= \"a\"{99999999999}",                  TD_ERR_LIMIT,       "more repetitions than"                            },
        {"root ::= \"a\"\nroot ::= \"b\"",               TD_ERR_FORMAT,
         "line 2, column 1: rule 'root' is defined"                                                                             },
        {"root ::= \"a\"\n  b",                          TD_ERR_FORMAT,      "line 2, column 4: the end, wanted '::='"          },
        {"root ::= \"a\" b",                             TD_ERR_FORMAT,      "line 1, column 14: rule 'b' is not defined"       },
        {"root ::= a\na ::= a \"x\" | \"y\"",            TD_ERR_UNSUPPORTED, "rule 'a' can begin with itself"                   },
        {"root ::= a\na ::= b? c\nb ::= \"x\"\nc ::= a", TD_ERR_UNSUPPORTED, "left recursion"                                   },
        {"root ::= \"a\" root",                          TD_ERR_ARGUMENT,    "no text at all can match it"                      },
        {"root ::= <x>",                                 TD_ERR_UNSUPPORTED, "no vocabulary to look <x> up in"                  },
        {"root ::= <[x]>",                               TD_ERR_FORMAT,      "wanted the number of a token"                     },
        {"root ::= !x",                                  TD_ERR_FORMAT,      "wanted '<' after '!'"                             },
        {"root ::= \"\xFF\"",                            TD_ERR_FORMAT,      "not UTF-8"                                        },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        td_grammar *g;
        td_err err = {0};
        const td_status status = td_grammar_from_gbnf(&g, rows[i].grammar, strlen(rows[i].grammar),
                                                      "grammar", NULL, &err);
        if (status != rows[i].status || !strstr(err.msg, rows[i].message))
            fail_msg("%s\ngives %d: %s", rows[i].grammar, status, err.msg);
        assert_null(g);
    }
}

static void deep_and_many_are_refused(void **state) {
    (void)state;
    static char text[200000];
    td_grammar *g;
    td_err err = {0};
    strcpy(text, "root ::= ");
    memset(text + 9, '(', 1000);
    assert_int_equal(td_grammar_from_gbnf(&g, text, 1009, "grammar", NULL, &err), TD_ERR_LIMIT);
    strcpy(text, "root ::= \"a\"");
    memset(text + 12, '*', 1000);
    assert_int_equal(td_grammar_from_gbnf(&g, text, 1012, "grammar", NULL, &err), TD_ERR_LIMIT);
    /* A chain of rules as long as it likes is fine. */
    int n = sprintf(text, "root ::= r0\n");
    for (int i = 0; i < 5000; i++) n += sprintf(text + n, "r%d ::= r%d | \"%d\"\n", i, i + 1, i);
    n += sprintf(text + n, "r5000 ::= \"x\"\n");
    td_grammar_free(parse(text, NULL));
}

/* ---- masks ---- */

typedef struct vocabulary {
    td_vocab v;
    td_tokenizer *tok;
    td_token_trie *trie;
} vocabulary;

static void set_up(vocabulary *x) {
    static const char *const merges[] = {"a b",       "b a",    "ab ab",     "\" ,",
                                         "\" }",      "{ \"",   "\" :",      "\\ n",
                                         "x y",       "xy z",   "1 2",       "12 3",
                                         "\xC3 \xA9", "a \xC3", "\xE6 \xBC", "\xE6\xBC \xA2",
                                         "\" :",      ", \"",   "} }",       "\n \n",
                                         "t r",       "tr u",   "tru e",     "abab abab",
                                         "\xF0 \x9F", NULL};
    td_err err = {0};
    tiny_bpe(&x->v, "gpt-2", merges);
    x->v.eos = tiny_add(&x->v, "<end>", 5, TD_TOKEN_CONTROL, 0);
    tiny_add(&x->v, "<think>", 7, TD_TOKEN_CONTROL, 0);
    if (td_tokenizer_create(&x->tok, &x->v, &err) || td_token_trie_create(&x->trie, x->tok, &err))
        fail_msg("%s", err.msg);
}

static void tear_down(vocabulary *x) {
    td_token_trie_free(x->trie);
    td_tokenizer_free(x->tok);
    td_vocab_clear(&x->v);
}

/* Whether a second matcher that has come as far allows the token's bytes. */
static bool is_allowed(td_matcher *m, const vocabulary *x, const td_strbuf *so_far, int32_t token) {
    bool ok;
    size_t n;
    assert_int_equal(td_matcher_reset(m, NULL), TD_OK);
    assert_int_equal(td_matcher_accept_bytes(m, so_far->text, so_far->n, &ok, NULL), TD_OK);
    assert_true(ok);
    if (token == x->v.eos) return td_matcher_can_end(m);
    const char *bytes = td_tokenizer_token_bytes(x->tok, token, false, &n);
    if (n == 0) return false;
    assert_int_equal(td_matcher_accept_bytes(m, bytes, n, &ok, NULL), TD_OK);
    return ok;
}

static void check_masks(const vocabulary *x, const char *grammar, uint64_t seed) {
    td_grammar *g = parse(grammar, x->tok);
    td_matcher *m = match(g, x->trie), *other = match(g, NULL);
    td_random random;
    td_strbuf text = {0};
    td_random_seed(&random, seed);
    td_strbuf_adds(&text, "");
    for (int i = 0; i < 30; i++) {
        const uint32_t *mask;
        int32_t next = -1;
        uint64_t n_seen = 0;
        assert_int_equal(td_matcher_mask(m, &mask, NULL), TD_OK);
        for (int32_t t = 0; t < x->v.n_token; t++) {
            const bool set = mask[t / 32] >> (t % 32) & 1;
            if (set != is_allowed(other, x, &text, t))
                fail_msg("%s\nafter '%s' token %d is %d", grammar, text.text, t, set);
            if (set && t != x->v.eos && td_random_next(&random) % ++n_seen == 0) next = t;
        }
        if (i % 7 == 6) td_matcher_forget(m); /* as when a pool is full */
        if (next < 0) break;
        size_t n;
        const char *bytes = td_tokenizer_token_bytes(x->tok, next, false, &n);
        assert_int_equal(td_matcher_accept(m, next, NULL), TD_OK);
        td_strbuf_add(&text, bytes, n);
    }
    td_strbuf_clear(&text);
    td_matcher_free(m);
    td_matcher_free(other);
    td_grammar_free(g);
}

static void masks_are_those_of_trying(void **state) {
    (void)state;
    static const char *const grammars[] = {
        JSON,
        "root ::= \"a\"? \"b\"* [^ab]{2,5} \"}\"",
        "root ::= \"\\\"\" [^\"\\\\\\x00-\\x1f]{0,3} \"\\\"\" [x-z]*",
        "root ::= \"\\\"\" ([^\"\\\\] | \"\\\\n\"){2,7} \"\\\"}\"",
        "root ::= .{5,6}",
        "root ::= [^x]* \"x\"",
        "root ::= (\"ab\" | \"a\" | \"ba\"){3,} \"\u00E9\"",
        "root ::= [\u00E9-\u6F22]+ | \"true\" | [0-9]{2,}",
        "root ::= s s \"x\"\ns ::= \"a\" s \"b\" | \"\" | \"ab\"",
        "root ::= ([a-b]{2,3} \",\"){1,3} \"123\"",
    };
    vocabulary x;
    set_up(&x);
    for (size_t i = 0; i < sizeof grammars / sizeof *grammars; i++)
        for (uint64_t seed = 0; seed < 4; seed++) check_masks(&x, grammars[i], seed);
    tear_down(&x);
}

static bool bit(const uint32_t *mask, int32_t t) { return mask[t / 32] >> (t % 32) & 1; }

static void tokens_are_taken_whole(void **state) {
    (void)state;
    vocabulary x;
    const uint32_t *mask;
    set_up(&x);
    const int32_t think = x.v.n_token - 1, end = x.v.eos;
    td_grammar *g = parse("root ::= <think> !<[97]>* \"b\"", x.tok);
    td_matcher *m = match(g, x.trie);
    assert_int_equal(td_matcher_mask(m, &mask, NULL), TD_OK);
    for (int32_t t = 0; t < x.v.n_token; t++) assert_int_equal(bit(mask, t), t == think);
    assert_int_equal(td_matcher_accept(m, 'a', NULL), TD_ERR_ARGUMENT);
    assert_int_equal(td_matcher_accept(m, think, NULL), TD_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(td_matcher_mask(m, &mask, NULL), TD_OK);
        for (int32_t t = 0; t < x.v.n_token; t++)
            assert_int_equal(bit(mask, t), t != 'a' && t != think && (t != end || i == 1));
        assert_int_equal(td_matcher_accept(m, 'b', NULL), TD_OK);
    }
    assert_int_equal(td_matcher_accept(m, end, NULL), TD_OK);
    assert_int_equal(td_matcher_mask(m, &mask, NULL), TD_OK);
    for (int32_t t = 0; t < x.v.n_token; t++) assert_false(bit(mask, t));
    td_matcher_free(m);
    td_grammar_free(g);
    td_err err = {0};
    assert_int_equal(td_grammar_from_gbnf(&g, "root ::= <no>", 13, "grammar", x.tok, &err),
                     TD_ERR_ARGUMENT);
    assert_non_null(strstr(err.msg, "<no> is 4 tokens of this model, wanted one"));
    assert_int_equal(td_grammar_from_gbnf(&g, "root ::= <[999]>", 16, "grammar", x.tok, &err),
                     TD_ERR_ARGUMENT);
    tear_down(&x);
}

/* The steps of an ambiguous grammar are bounded, and what was known is forgotten when it is too
 * much; both give an answer. */
static void ambiguity_is_bounded(void **state) {
    (void)state;
    td_grammar *g = parse("root ::= s s s\ns ::= \"a\" s s | \"a\" | \"b\" s s \"c\" s", NULL);
    td_matcher *m = match(g, NULL);
    td_err err = {0};
    bool ok = true;
    td_status status = TD_OK;
    for (int i = 0; i < 3000 && ok && status == TD_OK; i++)
        status = td_matcher_accept_bytes(m, "ab", 2, &ok, &err);
    assert_true(ok);
    if (status != TD_OK) assert_int_equal(status, TD_ERR_LIMIT);
    assert_int_equal(td_matcher_reset(m, NULL), TD_OK);
    assert_int_equal(td_matcher_accept_bytes(m, "aaa", 3, &ok, NULL), TD_OK);
    assert_true(ok && td_matcher_can_end(m));
    td_matcher_free(m);
    td_grammar_free(g);
    /* A stack deeper than the pool cannot be followed: named, not wrong. */
    g = parse("root ::= \"(\" root \")\" | \"\"", NULL);
    m = match(g, NULL);
    status = TD_OK;
    for (int i = 0; i < 40000 && status == TD_OK; i++)
        status = td_matcher_accept_bytes(m, "(", 1, &ok, &err);
    assert_int_equal(status, TD_ERR_LIMIT);
    assert_non_null(strstr(err.msg, "the grammar"));
    td_matcher_free(m);
    td_grammar_free(g);
}

static void running_out_of_memory_is_clean(void **state) {
    (void)state;
    static const char text[] = "root ::= a{2,50} \"x\"* \na ::= [b-c]{3} | \"d\" (a | \"e\")? .";
    vocabulary x;
    set_up(&x);
    bool done = false;
    for (int64_t nth = 1; !done; nth++) {
        td_grammar *g = NULL;
        td_matcher *m = NULL;
        td_token_trie *trie = NULL;
        td_err err = {0};
        td_alloc_fault_set(nth);
        td_status status = td_grammar_from_gbnf(&g, text, sizeof text - 1, "grammar", x.tok, &err);
        if (status == TD_OK) status = td_token_trie_create(&trie, x.tok, &err);
        if (status == TD_OK) status = td_matcher_create(&m, g, trie, &err);
        done = td_alloc_fault_count() < nth;
        td_alloc_fault_set(0);
        assert_int_equal(status, done ? TD_OK : TD_ERR_NOMEM);
        td_matcher_free(m);
        td_token_trie_free(trie);
        td_grammar_free(g);
    }
    tear_down(&x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_accepted),
        cmocka_unit_test(mistakes_have_a_place),
        cmocka_unit_test(deep_and_many_are_refused),
        cmocka_unit_test(masks_are_those_of_trying),
        cmocka_unit_test(tokens_are_taken_whole),
        cmocka_unit_test(ambiguity_is_bounded),
        cmocka_unit_test(running_out_of_memory_is_clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
