/* test_value.c - the value tree, and JSON into it and out of it.  Expected texts of JSON are what
 * Python's json.dumps(ensure_ascii=False) gave. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "text/value.h"

static void check_json(const td_value *v, int indent, const char *want) {
    td_strbuf b = {0};
    td_value_to_json(v, indent, &b);
    assert_int_equal(td_strbuf_check(&b, "json", NULL), TD_OK);
    assert_string_equal(b.text, want);
    td_strbuf_clear(&b);
}

static td_value *parse(td_arena *arena, const char *text) {
    td_value *v;
    td_err err = {0};
    if (td_value_from_json(&v, arena, text, strlen(text), "input", &err) != TD_OK)
        fail_msg("%s", err.msg);
    return v;
}

static void values_know_what_they_are(void **state) {
    (void)state;
    td_arena a;
    td_arena_init(&a, 0);
    size_t n;
    assert_int_equal(td_value_get_type(td_value_none(&a)), TD_VALUE_NONE);
    assert_int_equal(td_value_get_type(td_value_bool(&a, true)), TD_VALUE_BOOL);
    assert_int_equal(td_value_get_type(td_value_int(&a, 1)), TD_VALUE_INT);
    assert_int_equal(td_value_get_type(td_value_float(&a, 1)), TD_VALUE_FLOAT);
    const td_value *s = td_value_string(&a, "a\0b", 3);
    assert_int_equal(td_value_get_type(s), TD_VALUE_STRING);
    assert_memory_equal(td_value_text(s, &n), "a\0b", 4);
    assert_int_equal(n, 3);
    assert_string_equal(td_value_text(td_value_int(&a, 1), &n), "");
    assert_int_equal(n, 0);
    assert_int_equal(td_value_count(s), 0);
    assert_null(td_value_get(s, "a"));
    assert_null(td_value_at(s, 0));
    td_arena_clear(&a);
}

static void lists_grow(void **state) {
    (void)state;
    td_arena a;
    td_arena_init(&a, 0);
    td_value *list = td_value_list(&a);
    for (int64_t i = 0; i < 1000; i++)
        assert_int_equal(td_value_append(&a, list, td_value_int(&a, i)), TD_OK);
    assert_int_equal(td_value_append(&a, list, NULL), TD_ERR_NOMEM);
    assert_int_equal(td_value_append(&a, NULL, list), TD_ERR_NOMEM);
    assert_int_equal(td_value_count(list), 1000);
    check_json(td_value_at(list, 999), -1, "999");
    assert_null(td_value_at(list, 1000));
    td_arena_clear(&a);
}

static void maps_keep_order_and_replace(void **state) {
    (void)state;
    td_arena a;
    td_arena_init(&a, 0);
    td_value *map = td_value_map(&a);
    char key[16];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 3000; i++) { /* far beyond where the index begins */
            snprintf(key, sizeof key, "k%d", i);
            assert_int_equal(td_value_set(&a, map, key, td_value_int(&a, i * 10 + round)), TD_OK);
        }
    }
    assert_int_equal(td_value_set(&a, map, "x", NULL), TD_ERR_NOMEM);
    assert_int_equal(td_value_count(map), 3000);
    check_json(td_value_get(map, "k2999"), -1, "29991");
    check_json(td_value_get(map, "k0"), -1, "1");
    assert_null(td_value_get(map, "k3000"));
    assert_null(td_value_get(map, ""));
    td_value *small = td_value_map(&a);
    td_value_set(&a, small, "z", td_value_none(&a));
    td_value_set(&a, small, "a", td_value_bool(&a, false));
    td_value_set(&a, small, "z", td_value_bool(&a, true));
    check_json(small, -1, "{\"z\": true, \"a\": false}");
    td_arena_clear(&a);
}

static void json_comes_and_goes(void **state) {
    (void)state;
    static const struct {
        const char *in, *out; /* NULL: the same */
    } rows[] = {
        {"null",                                                                    NULL                     },
        {"[]",                                                                      NULL                     },
        {"{}",                                                                      NULL                     },
        {" [1 ,2]\n",                                                               "[1, 2]"                 },
        {"{\"b\": [true, false, null], \"a\": {\"x\": \"y\"}}",                     NULL                     },
        {"9223372036854775807",                                                     NULL                     },
        {"-9223372036854775808",                                                    NULL                     },
        {"1.0",                                                                     NULL                     },
        {"0.1",                                                                     NULL                     },
        {"1e16",                                                                    "1e+16"                  },
        {"123456789012345680.0",                                                    "1.2345678901234568e+17" },
        {"1e15",                                                                    "1000000000000000.0"     },
        {"1e-4",                                                                    "0.0001"                 },
        {"1e-5",                                                                    "1e-05"                  },
        {"-0.0",                                                                    NULL                     },
        {"2.5e-320",                                                                "2.5e-320"               },
        {"1.7976931348623157e308",                                                  "1.7976931348623157e+308"},
        {"0.30000000000000004",                                                     NULL                     },
        {"\"h\\u00e9 \\ud83d\\ude00 \\\" \\\\ \\/ \\b\\f\\n\\r\\t\\u0001\\u007f\"",
         "\"h\xC3\xA9 \xF0\x9F\x98\x80 \\\" \\\\ / \\b\\f\\n\\r\\t\\u0001\x7F\""                             },
        {"\"\\u0000\"",                                                             NULL                     },
        {"{\"a\": 1, \"b\": 2, \"a\": 3}",                                          "{\"a\": 3, \"b\": 2}"   },
    };
    td_arena a;
    td_arena_init(&a, 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check_json(parse(&a, rows[i].in), -1, rows[i].out ? rows[i].out : rows[i].in);
    td_arena_clear(&a);
}

static void json_is_indented(void **state) {
    (void)state;
    td_arena a;
    td_arena_init(&a, 0);
    const td_value *v = parse(&a, "{\"a\": [1, {}, []], \"b\": {\"c\": \"d\"}}");
    check_json(
        v, 2, "{\n  \"a\": [\n    1,\n    {},\n    []\n  ],\n  \"b\": {\n    \"c\": \"d\"\n  }\n}");
    check_json(v, 0, "{\n\"a\": [\n1,\n{},\n[]\n],\n\"b\": {\n\"c\": \"d\"\n}\n}");
    check_json(td_value_float(&a, INFINITY), -1, "Infinity");
    check_json(td_value_float(&a, -INFINITY), -1, "-Infinity");
    check_json(td_value_float(&a, NAN), -1, "NaN");
    td_arena_clear(&a);
}

static void bad_json_is_located(void **state) {
    (void)state;
    static const struct {
        const char *text;
        td_status status;
        const char *message;
    } rows[] = {
        {"",                      TD_ERR_FORMAT, "--vars: line 1, column 0"},
        {"{\"a\": 1,\n \"b\" 2}", TD_ERR_FORMAT, "--vars: line 2, column 6"},
        {"[1, 2",                 TD_ERR_FORMAT, "line 1"                  },
        {"[1] x",                 TD_ERR_FORMAT, "line 1"                  },
        {"99999999999999999999",  TD_ERR_FORMAT, "too big integer"         },
        {"1e999",                 TD_ERR_FORMAT, "real number overflow"    },
        {"\"\xFF\"",              TD_ERR_FORMAT, "line 1"                  },
        {"\"\\ud800\"",           TD_ERR_FORMAT, "line 1"                  },
        {"nul",                   TD_ERR_FORMAT, "line 1"                  },
    };
    td_arena a;
    td_arena_init(&a, 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        td_value *v;
        td_err err = {0};
        const size_t n = strlen(rows[i].text);
        assert_int_equal(td_value_from_json(&v, &a, rows[i].text, n, "--vars", &err),
                         rows[i].status);
        assert_null(v);
        if (!strstr(err.msg, rows[i].message)) fail_msg("%s: '%s'", rows[i].text, err.msg);
    }
    td_arena_clear(&a);
}

/* n lists in each other. */
static td_status parse_nested(td_arena *a, size_t n, td_err *err) {
    td_value *v;
    td_strbuf b = {0};
    for (size_t i = 0; i < n; i++) td_strbuf_addc(&b, '[');
    for (size_t i = 0; i < n; i++) td_strbuf_addc(&b, ']');
    const td_status status = td_value_from_json(&v, a, b.text, b.n, "deep", err);
    td_strbuf_clear(&b);
    return status;
}

static void json_depth_is_limited(void **state) {
    (void)state;
    td_arena a;
    td_err err = {0};
    td_arena_init(&a, 0);
    assert_int_equal(parse_nested(&a, 256, &err), TD_OK);
    assert_int_equal(parse_nested(&a, 257, &err), TD_ERR_LIMIT);
    assert_string_equal(err.msg, "deep: nested deeper than 256 levels");
    assert_int_not_equal(parse_nested(&a, 100000, &err), TD_OK);
    td_arena_clear(&a);
}

static void truncated_json_does_no_harm(void **state) {
    (void)state;
    static const char text[] = "{\"a\": [1, -2.5e3, \"x\\u00e9\\n\", null], \"b\": {\"c\": true}}";
    for (size_t n = 0; n < sizeof text - 1; n++) {
        td_arena a;
        td_value *v;
        td_arena_init(&a, 0);
        assert_int_equal(td_value_from_json(&v, &a, text, n, "x", NULL), TD_ERR_FORMAT);
        td_arena_clear(&a);
    }
}

static void a_full_arena_is_no_memory(void **state) {
    (void)state;
    td_arena a;
    assert_int_equal(td_arena_init_fixed(&a, 64, "test", NULL), TD_OK);
    td_value *list = td_value_list(&a);
    assert_non_null(list);
    assert_null(td_value_int(&a, 1));
    assert_null(td_value_string(&a, "x", 1));
    assert_null(td_value_map(&a));
    assert_int_equal(td_value_append(&a, list, list), TD_ERR_NOMEM);
    td_arena_clear(&a);
}

static void every_failed_allocation_is_reported(void **state) {
    (void)state;
    static const char text[] = "{\"a\": [1, 2, 3, 4, 5, 6, 7, 8, 9], \"b\": {\"c\": \"text\"}}";
    for (int64_t nth = 1;; nth++) {
        td_arena a;
        td_value *v;
        td_strbuf b = {0};
        td_arena_init(&a, 256);
        td_alloc_fault_set(nth);
        td_status status = td_value_from_json(&v, &a, text, sizeof text - 1, "x", NULL);
        if (status == TD_OK) {
            td_value_to_json(v, 1, &b);
            status = b.failed;
        }
        const bool fired = td_alloc_fault_count() >= nth;
        td_alloc_fault_set(0);
        td_strbuf_clear(&b);
        td_arena_clear(&a);
        assert_int_equal(status, fired ? TD_ERR_NOMEM : TD_OK);
        if (!fired) break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_know_what_they_are),
        cmocka_unit_test(lists_grow),
        cmocka_unit_test(maps_keep_order_and_replace),
        cmocka_unit_test(json_comes_and_goes),
        cmocka_unit_test(json_is_indented),
        cmocka_unit_test(bad_json_is_located),
        cmocka_unit_test(json_depth_is_limited),
        cmocka_unit_test(truncated_json_does_no_harm),
        cmocka_unit_test(a_full_arena_is_no_memory),
        cmocka_unit_test(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
