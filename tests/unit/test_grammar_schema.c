/* test_grammar_schema.c - JSON Schema: what is accepted, what is refused and by which name, and
 * texts drawn from masks held against a plain checker.  The jsonschema package is asked by
 * tests/golden/check_schemas.py. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/random.h"
#include "text/grammar.h"
#include "text/value_int.h"
#include "unit/tiny_vocab.h"

static td_status compile(td_grammar **g, const char *schema, td_err *err) {
    return td_grammar_from_schema(g, schema, strlen(schema), "schema", err);
}

/* '+' in front: whole; '-': not allowed, or not whole. */
static void texts_are_accepted(void **state) {
    (void)state;
    static const struct {
        const char *schema;
        const char *texts[14];
    } rows[] = {
        {"{}",                                                                                               {"+1", "+\"x\"", "+[1, {\"a\": null}]", "+{\n  \"a\": true\n}", "-{1}", "-[ 1]x"}  },
        {"true",                                                                                             {"+false", "+-0.5e10"}                                                             },
        {"{\"type\": \"boolean\"}",                                                                          {"+true", "+false", "-null"}                                                       },
        {"{\"type\": [\"null\", \"integer\"]}",                                                              {"+null", "+-12", "-1.5", "-01"}                                                   },
        {"{\"enum\": [1, \"a\\\"\", null, [1, {\"b\": []}]]}",
         {"+1", "+\"a\\\"\"", "+null", "+[1,{\"b\": []}]", "-2", "-\"a\"", "-[1]"}                                                                                                              },
        {"{\"enum\": [1, 5, \"abc\", \"d\"], \"minimum\": 2, \"maxLength\": 2}",
         {"+5", "+\"d\"", "-1", "-\"abc\""}                                                                                                                                                     },
        {"{\"const\": {\"k\": 1.5}}",                                                                        {"+{\"k\": 1.5}", "-{\"k\": 1}"}                                                   },
        {"{\"type\": \"string\", \"minLength\": 2, \"maxLength\": 3}",
         {"+\"ab\"", "+\"\u00E9\U0001F600\\n\"", "+\"\\ud83d\\ude00\\u0041\"", "-\"a\"",
          "-\"abcd\"", "-\"\\ud83dxx\"", "-\"\\ude00xx\"", "-\"a\n\""}                                                                                                                          },
        {"{\"type\": \"string\", \"maxLength\": 1e300}",                                                     {"+\"\"", "+\"abc\""}                                                              },
        {"{\"type\": \"string\", \"pattern\": \"^(a|bc){2}\\\\d?$\"}",
         {"+\"abc\"", "+\"bca7\"", "-\"a\"", "-\"aa77\""}                                                                                                                                       },
        {"{\"type\": \"string\", \"pattern\": \"b[^x]\"}",
         {"+\"abcd\"", "+\"b\\\"\"", "-\"bx\"", "-\"ab\"", "+\"\\u0041bb\""}                                                                                                                    },
        {"{\"type\": \"string\", \"pattern\": \"^a|b$\"}",                                                   {"+\"ax\"", "+\"xb\"", "-\"x\""}                                                   },
        {"{\"type\": \"string\", \"pattern\": \"^[\\\\s\\\\\\\\\\\"]$\"}",
         {"+\" \"", "+\"\\t\"", "+\"\\\\\"", "+\"\\\"\"", "+\"\u00A0\"", "-\"a\""}                                                                                                              },
        {"{\"type\": \"string\", \"format\": \"date\"}",
         {"+\"2024-02-29\"", "-\"2023-02-29\"", "-\"1900-02-29\"", "+\"2000-02-29\"",
          "-\"2023-04-31\"", "+\"2023-12-31\"", "-\"0000-01-01\""}                                                                                                                              },
        {"{\"type\": \"string\", \"format\": \"date-time\"}",
         {"+\"2024-02-29T23:59:59.5+01:00\"", "-\"2024-02-29 23:59:59Z\"",
          "-\"2024-02-29T24:00:00Z\""}                                                                                                                                                          },
        {"{\"type\": \"string\", \"format\": \"ipv4\"}",                                                     {"+\"255.0.10.1\"", "-\"256.0.0.1\""}                                              },
        {"{\"type\": \"string\", \"format\": \"nobody-knows\"}",                                             {"+\"x\""}                                                                         },
        {"{\"type\": \"integer\", \"minimum\": -17, \"exclusiveMaximum\": 1205}",
         {"+-17", "+-9", "+0", "+99", "+1204", "-1205", "--18", "--2000", "-00", "+1199"}                                                                                                       },
        {"{\"type\": \"integer\", \"minimum\": 0.5, \"maximum\": 2.5}",                                      {"+1", "+2", "-0", "-3"}                                                           },
        {"{\"type\": \"integer\", \"minimum\": -9223372036854775808}",
         {"+-9223372036854775808", "+9223372036854775807", "+0"}                                                                                                                                },
        {"{\"type\": \"number\", \"exclusiveMinimum\": -0.25, \"maximum\": 3.75}",
         {"+0", "+-0.2", "+-0.2499", "-0.25x", "--0.25", "+3.75", "+3.7", "+3.0", "-3.76", "-4",
          "+1.999", "+3.750", "-3.751", "-1e1"}                                                                                                                                                 },
        {"{\"type\": \"number\", \"exclusiveMinimum\": 2, \"exclusiveMaximum\": 3}",
         {"+2.5", "+2.001", "-2", "-2.0", "-3", "-3.0", "+2.999"}                                                                                                                               },
        {"{\"type\": \"array\", \"items\": {\"type\": \"integer\"}, \"minItems\": 1, "
         "\"maxItems\": 3}",                                                                        {"+[1]", "+[1, 2,3]", "-[]", "-[1,2,3,4]", "-[1,]", "+[\n 1\n]"}                   },
        {"{\"type\": \"array\", \"prefixItems\": [{\"const\": 1}, true], \"items\": false}",
         {"+[]", "+[1]", "+[1,\"x\"]", "-[2]", "-[1,2,3]"}                                                                                                                                      },
        {"{\"type\": \"array\", \"prefixItems\": [{\"const\": 1}], \"items\": {\"const\": 2}, "
         "\"minItems\": 2, \"maxItems\": 3}",                                                       {"+[1,2]", "+[1,2,2]", "-[1]", "-[1,2,2,2]"}                                       },
        {"{\"type\": \"array\", \"maxItems\": 0}",                                                           {"+[]", "-[1]"}                                                                    },
        {"{\"properties\": {\"a\": {\"type\": \"integer\"}, \"b\": {}, \"c\": {}}, "
         "\"required\": [\"b\"]}",                                                                  {"+{\"b\": 1}", "+{\"a\": 1, \"b\": 1}", "+{\"b\": 1,\"c\": 1}", "-{}", "-{\"a\": 1}",
          "-{\"b\": 1,\"a\": 1}", "-{\"b\": 1,\"d\": 1}", "-3"}                                                                                      },
        {"{\"type\": \"object\", \"properties\": {\"ab\": {\"type\": \"null\"}}, "
         "\"additionalProperties\": {\"type\": \"integer\"}}",                                      {"+{}", "+{\"ab\": null}", "+{\"ab\": null, \"abc\": 1, \"a\": 2}", "+{\"\": 1}",
          "-{\"ab\": 1}", "-{\"\\u0061b\": 1}", "-{\"x\": null}", "+{\"\\n\": 1}"}                                       },
        {"{\"type\": \"object\", \"required\": [\"z\"], \"additionalProperties\": true}",
         {"+{\"z\": 1}", "+{\"z\": 1, \"y\": 2}", "-{}", "-{\"y\": 2}"}                                                                                                                         },
        {"{\"type\": \"object\", \"properties\": {\"a\": false, \"b\": true}}",
         {"+{}", "+{\"b\": 1}", "-{\"a\": 1}"}                                                                                                                                                  },
        {"{\"type\": \"object\", \"minProperties\": 1, \"properties\": {\"a\": {}, \"b\": {}}}",
         {"-{}", "+{\"b\": 1}"}                                                                                                                                                                 },
        {"{\"$ref\": \"#/$defs/n\", \"$defs\": {\"n\": {\"properties\": {\"v\": {\"const\": 1}, "
         "\"n\": {\"$ref\": \"#/$defs/n\"}}, \"required\": [\"v\"]}}}",                             {"+{\"v\": 1}", "+{\"v\": 1,\"n\": {\"v\": 1, \"n\": {\"v\": 1}}}", "-{\"n\": {}}"}},
        {"{\"anyOf\": [{\"type\": \"string\"}, {\"type\": \"integer\"}], \"maxLength\": 1, "
         "\"minimum\": 5}",                                                                         {"+\"a\"", "+5", "-\"ab\"", "-4", "-null"}                                         },
        {"{\"allOf\": [{\"properties\": {\"a\": {\"minimum\": 3, \"type\": \"number\"}}, "
         "\"required\": [\"a\"]}, {\"properties\": {\"a\": {\"type\": \"integer\"}, \"b\": {}}}]}", {"+{\"a\": 3}", "+{\"a\": 3, \"b\": 0}", "-{\"a\": 2}", "-{\"a\": 3.5}", "-{}"}    },
        {"{\"allOf\": [{\"properties\": {\"a\": {}}, \"additionalProperties\": false}, "
         "{\"properties\": {\"b\": {}}}]}",                                                         {"+{\"a\": 3}", "+{}", "-{\"b\": 2}"}                                              },
        {"{\"properties\": {\"a/b\": {\"const\": 7}}, \"required\": [\"c\"], "
         "\"additionalProperties\": {\"$ref\": \"#/properties/a~1b\"}}",                            {"+{\"c\": 7}", "-{\"c\": 8}", "+{\"a/b\": 7, \"c\": 7, \"x\": 7}"}                },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        td_grammar *g;
        td_matcher *m;
        td_err err = {0};
        if (compile(&g, rows[i].schema, &err) || td_matcher_create(&m, g, NULL, &err))
            fail_msg("%s\n%s", rows[i].schema, err.msg);
        for (size_t j = 0; j < 14 && rows[i].texts[j]; j++) {
            const char *text = rows[i].texts[j];
            bool ok;
            assert_int_equal(td_matcher_reset(m, NULL), TD_OK);
            assert_int_equal(td_matcher_accept_bytes(m, text + 1, strlen(text + 1), &ok, NULL),
                             TD_OK);
            if ((ok && td_matcher_can_end(m)) != (text[0] == '+'))
                fail_msg("%s\nand %s", rows[i].schema, text);
        }
        td_matcher_free(m);
        td_grammar_free(g);
    }
}

static void what_cannot_be_enforced_is_named(void **state) {
    (void)state;
    static const struct {
        const char *schema;
        td_status status;
        const char *message;
    } rows[] = {
        {"{\"type\":",                                                          TD_ERR_FORMAT,      "schema: line 1"                          },
        {"3",                                                                   TD_ERR_FORMAT,      "neither an object nor true or false"     },
        {"false",                                                               TD_ERR_ARGUMENT,    "no text at all can match it"             },
        {"{\"properties\": {\"a\": {\"not\": {}}}}",                            TD_ERR_UNSUPPORTED,
         "at #/properties/a: the keyword 'not' cannot be enforced"                                                                            },
        {"{\"items\": {\"multipleOf\": 3}}",                                    TD_ERR_UNSUPPORTED,
         "at #/items: the keyword 'multipleOf'"                                                                                               },
        {"{\"requried\": []}",                                                  TD_ERR_UNSUPPORTED, "at #: the keyword 'requried' is unknown" },
        {"{\"type\": \"objct\"}",                                               TD_ERR_FORMAT,      "at #/type: wanted string"                },
        {"{\"type\": \"array\", \"uniqueItems\": true}",                        TD_ERR_UNSUPPORTED, "'uniqueItems'"                           },
        {"{\"type\": \"array\", \"minItems\": 1e12}",                           TD_ERR_LIMIT,       "'minItems' is 1000000000000"             },
        {"{\"type\": \"string\", \"minLength\": -1}",                           TD_ERR_FORMAT,      "'minLength' is no whole"                 },
        {"{\"type\": \"string\", \"minLength\": 3, \"pattern\": \"a\"}",        TD_ERR_UNSUPPORTED,
         "'pattern' together with minLength"                                                                                                  },
        {"{\"pattern\": \"(?=a)\"}",                                            TD_ERR_UNSUPPORTED, "at #/pattern: a lookahead"               },
        {"{\"pattern\": \"(?<!a)\"}",                                           TD_ERR_UNSUPPORTED, "a lookbehind"                            },
        {"{\"pattern\": \"(a)\\\\1\"}",                                         TD_ERR_UNSUPPORTED, "a back reference"                        },
        {"{\"pattern\": \"\\\\bx\"}",                                           TD_ERR_UNSUPPORTED, "a word boundary"                         },
        {"{\"pattern\": \"a^b\"}",                                              TD_ERR_UNSUPPORTED, "a ^ or $ that is not at an end"          },
        {"{\"pattern\": \"(a\"}",                                               TD_ERR_FORMAT,      "without its closing parenthesis"         },
        {"{\"pattern\": \"[a\"}",                                               TD_ERR_FORMAT,      "without its closing bracket"             },
        {"{\"pattern\": \"*\"}",                                                TD_ERR_FORMAT,      "a repetition of nothing"                 },
        {"{\"enum\": [\"a\"], \"pattern\": \"a\"}",                             TD_ERR_UNSUPPORTED, "'pattern' beside enum"                   },
        {"{\"$ref\": \"http://x/y\"}",                                          TD_ERR_UNSUPPORTED, "only places in this schema"              },
        {"{\"$ref\": \"#/a/b\"}",                                               TD_ERR_FORMAT,      "which is not there"                      },
        {"{\"$ref\": \"#\"}",                                                   TD_ERR_UNSUPPORTED, "refers to itself with nothing in between"},
        {"{\"allOf\": [{\"$ref\": \"#\"}], \"type\": \"null\"}",                TD_ERR_LIMIT,       "in a ring"                               },
        {"{\"anyOf\": []}",                                                     TD_ERR_FORMAT,      "at #/anyOf: wanted a list of schemas"    },
        {"{\"required\": [\"a\"], \"properties\": {\"a\": {\"$ref\": \"#\"}}}", TD_ERR_ARGUMENT,
         "no text at all"                                                                                                                     },
        {"{\"allOf\": [{\"pattern\": \"a\"}, {\"pattern\": \"b\"}]}",           TD_ERR_UNSUPPORTED,
         "two different values of 'pattern'"                                                                                                  },
        {"{\"minProperties\": 3}",                                              TD_ERR_UNSUPPORTED, "'minProperties' of 3"                    },
        {"{\"items\": [{}]}",                                                   TD_ERR_UNSUPPORTED, "say 'prefixItems'"                       },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        td_grammar *g;
        td_err err = {0};
        const td_status status = compile(&g, rows[i].schema, &err);
        if (status != rows[i].status || !strstr(err.msg, rows[i].message))
            fail_msg("%s\ngives %d: %s", rows[i].schema, status, err.msg);
        assert_null(g);
    }
}

/* ---- texts drawn from masks ---- */

static double number_of(const td_value *v) {
    return v->type == TD_VALUE_INT ? (double)v->u.integer : v->u.real;
}

static bool is_type(const td_value *v, const char *type) {
    switch (v->type) {
    case TD_VALUE_NONE: return strcmp(type, "null") == 0;
    case TD_VALUE_BOOL: return strcmp(type, "boolean") == 0;
    case TD_VALUE_INT: return strcmp(type, "integer") == 0 || strcmp(type, "number") == 0;
    case TD_VALUE_FLOAT: return strcmp(type, "number") == 0;
    case TD_VALUE_STRING: return strcmp(type, "string") == 0;
    case TD_VALUE_LIST: return strcmp(type, "array") == 0;
    default: return strcmp(type, "object") == 0;
    }
}

static bool below(const td_value *schema, const char *key, double x) {
    const td_value *v = td_value_get(schema, key);
    return v && x < number_of(v);
}

static bool above(const td_value *schema, const char *key, double x) {
    const td_value *v = td_value_get(schema, key);
    return v && x > number_of(v);
}

static bool is_valid(const td_value *s, const td_value *v);

static bool members_are_valid(const td_value *s, const td_value *v) {
    const td_value *properties = td_value_get(s, "properties");
    const td_value *required = td_value_get(s, "required");
    const td_value *more = td_value_get(s, "additionalProperties");
    for (size_t i = 0; i < v->u.map.n; i++) {
        const td_value *known = properties ? td_value_find(properties, v->u.map.entries[i].key) : 0;
        if (!known) known = more;
        if (known && !is_valid(known, v->u.map.entries[i].item)) return false;
    }
    for (size_t i = 0; required && i < required->u.list.n; i++)
        if (!td_value_find(v, required->u.list.items[i])) return false;
    return true;
}

/* The keywords that the schemas below use. */
static bool is_valid(const td_value *s, const td_value *v) {
    if (s->type == TD_VALUE_BOOL) return s->u.boolean;
    const td_value *type = td_value_get(s, "type"), *any = td_value_get(s, "anyOf");
    bool one = !any;
    for (size_t i = 0; any && i < any->u.list.n; i++) one |= is_valid(any->u.list.items[i], v);
    if (!one || (type && !is_type(v, type->u.string.text))) return false;
    if (v->type == TD_VALUE_INT || v->type == TD_VALUE_FLOAT)
        return !below(s, "minimum", number_of(v)) && !above(s, "maximum", number_of(v));
    if (v->type == TD_VALUE_STRING)
        return !below(s, "minLength", (double)v->u.string.n_char) &&
               !above(s, "maxLength", (double)v->u.string.n_char);
    if (v->type == TD_VALUE_MAP) return members_are_valid(s, v);
    if (v->type != TD_VALUE_LIST) return true;
    const td_value *items = td_value_get(s, "items");
    for (size_t i = 0; items && i < v->u.list.n; i++)
        if (!is_valid(items, v->u.list.items[i])) return false;
    return !below(s, "minItems", (double)v->u.list.n) && !above(s, "maxItems", (double)v->u.list.n);
}

typedef struct vocabulary {
    td_vocab v;
    td_tokenizer *tok;
    td_token_trie *trie;
} vocabulary;

/* Draws tokens until the text is whole; closing ones often, so that it ends. */
static bool draw_text(td_matcher *m, const vocabulary *x, uint64_t seed, td_strbuf *text) {
    td_random random;
    td_random_seed(&random, seed);
    for (int i = 0; i < 400; i++) {
        const uint32_t *mask;
        int32_t next = -1;
        uint64_t n_seen = 0;
        assert_int_equal(td_matcher_mask(m, &mask, NULL), TD_OK);
        const bool close = td_random_next(&random) % 3 == 0;
        for (int pass = close ? 0 : 1; pass < 2 && next < 0; pass++)
            for (int32_t t = 0; t < x->v.n_token; t++) {
                if (!(mask[t / 32] >> (t % 32) & 1)) continue;
                if (pass == 0 && t != x->v.eos && (t > 127 || !strchr("\"]},:", t))) continue;
                if (td_random_next(&random) % ++n_seen == 0) next = t;
            }
        assert_true(next >= 0);
        assert_int_equal(td_matcher_accept(m, next, NULL), TD_OK);
        if (next == x->v.eos) return true;
        size_t n;
        const char *bytes = td_tokenizer_token_bytes(x->tok, next, false, &n);
        td_strbuf_add(text, bytes, n);
    }
    return false;
}

static int check_drawn(const vocabulary *x, const char *schema) {
    td_grammar *g;
    td_matcher *m;
    td_arena arena;
    td_value *s, *v;
    td_err err = {0};
    int n_whole = 0;
    td_arena_init(&arena, 0);
    if (compile(&g, schema, &err) || td_matcher_create(&m, g, x->trie, &err) ||
        td_value_from_json(&s, &arena, schema, strlen(schema), "schema", &err))
        fail_msg("%s: %s", schema, err.msg);
    for (uint64_t seed = 0; seed < 12; seed++) {
        td_strbuf text = {0};
        td_strbuf_adds(&text, "");
        assert_int_equal(td_matcher_reset(m, NULL), TD_OK);
        if (draw_text(m, x, seed, &text)) {
            n_whole++;
            if (td_value_from_json(&v, &arena, text.text, text.n, "text", &err) != TD_OK)
                fail_msg("%s\ngave %s\n%s", schema, text.text, err.msg);
            if (!is_valid(s, v)) fail_msg("%s\ngave %s", schema, text.text);
        }
        td_strbuf_clear(&text);
    }
    td_arena_clear(&arena);
    td_matcher_free(m);
    td_grammar_free(g);
    return n_whole;
}

static void drawn_texts_are_valid(void **state) {
    (void)state;
    static const char *const schemas[] = {
        "{}",
        "{\"type\": \"string\"}",
        "{\"type\": \"string\", \"minLength\": 3, \"maxLength\": 9}",
        "{\"type\": \"integer\", \"minimum\": -105, \"maximum\": 2030}",
        "{\"type\": \"number\", \"minimum\": 0.125, \"maximum\": 7}",
        "{\"type\": \"number\", \"maximum\": -12.5}",
        "{\"type\": \"array\", \"items\": {\"type\": \"boolean\"}, \"minItems\": 2, \"maxItems\": 5}",
        "{\"type\": \"array\", \"items\": {\"type\": \"array\", \"items\": {\"type\": \"integer\"}, "
        "\"maxItems\": 2}}",
        "{\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"integer\"}, \"b\": {\"type\": "
        "\"string\", \"maxLength\": 4}, \"c\": {\"type\": \"null\"}}, \"required\": [\"b\"]}",
        "{\"type\": \"object\", \"properties\": {\"k\": {\"type\": \"integer\"}}, "
        "\"additionalProperties\": {\"type\": \"string\", \"maxLength\": 3}}",
        "{\"anyOf\": [{\"type\": \"null\"}, {\"type\": \"array\", \"items\": {}, \"minItems\": 1}]}",
    };
    static const char *const merges[] = {"\" :", "\" ,", "{ \"", "\" }",
                                         "t r",  "1 2",  "a \"", NULL};
    vocabulary x;
    td_err err = {0};
    int n_whole = 0;
    tiny_bpe(&x.v, "gpt-2", merges);
    x.v.eos = tiny_add(&x.v, "<end>", 5, TD_TOKEN_CONTROL, 0);
    if (td_tokenizer_create(&x.tok, &x.v, &err) || td_token_trie_create(&x.trie, x.tok, &err))
        fail_msg("%s", err.msg);
    for (size_t i = 0; i < sizeof schemas / sizeof *schemas; i++)
        n_whole += check_drawn(&x, schemas[i]);
    assert_true(n_whole > 100); /* of 132: so the checks above did look at something */
    td_token_trie_free(x.trie);
    td_tokenizer_free(x.tok);
    td_vocab_clear(&x.v);
}

static void running_out_of_memory_is_clean(void **state) {
    (void)state;
    static const char schema[] =
        "{\"allOf\": [{\"properties\": {\"a\": {\"pattern\": \"^[a-c]+$\"}}}, {\"$ref\": "
        "\"#/$defs/b\"}], \"required\": [\"z\"], \"$defs\": {\"b\": {\"properties\": {\"n\": "
        "{\"minimum\": 1.5, \"type\": \"number\"}}, \"additionalProperties\": {\"enum\": [1, "
        "[2]]}}}}";
    bool done = false;
    for (int64_t nth = 1; !done; nth++) {
        td_grammar *g;
        td_err err = {0};
        td_alloc_fault_set(nth);
        const td_status status = compile(&g, schema, &err);
        done = td_alloc_fault_count() < nth;
        td_alloc_fault_set(0);
        if (status != (done ? TD_OK : TD_ERR_NOMEM)) fail_msg("%d: %s", status, err.msg);
        td_grammar_free(g);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_accepted),
        cmocka_unit_test(what_cannot_be_enforced_is_named),
        cmocka_unit_test(drawn_texts_are_valid),
        cmocka_unit_test(running_out_of_memory_is_clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
