/* test_hf_json.c - JSON files as Python writes them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "format/hf_json.h"

/* 10^30, as an integer, is what transformers calls an unlimited length. */
static void test_large_integers(void **state) {
    (void)state;
    static const char text[] =
        "{\"model_max_length\": 1000000000000000019884624838656, \"small\": -12,\n"
        " \"text\": \"99999999999999999999 \\\" 99999999999999999999\",\n"
        " \"list\": [99999999999999999999, -99999999999999999999], \"real\": 1.25e30}";
    json_t *json;
    assert_int_equal(td_hf_json_load(&json, text, strlen(text), 0, "x", NULL), TD_OK);
    assert_true(json_real_value(json_object_get(json, "model_max_length")) == 1e30);
    assert_true(json_is_integer(json_object_get(json, "small")));
    assert_int_equal(json_integer_value(json_object_get(json, "small")), -12);
    assert_string_equal(json_string_value(json_object_get(json, "text")),
                        "99999999999999999999 \" 99999999999999999999");
    json_t *list = json_object_get(json, "list");
    assert_true(json_real_value(json_array_get(list, 0)) == 1e20);
    assert_true(json_real_value(json_array_get(list, 1)) == -1e20);
    assert_true(json_real_value(json_object_get(json, "real")) == 1.25e30);
    json_decref(json);
}

static void test_errors_stay(void **state) {
    (void)state;
    static const char *const texts[] = {"{\"a\": 99999999999999999999", "{\"a\": 1e999}",
                                        "{\"a\": 99999999999999999999x}", ""};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        json_t *json;
        td_err err;
        assert_int_equal(td_hf_json_load(&json, texts[i], strlen(texts[i]), 0, "x", &err),
                         TD_ERR_FORMAT);
        assert_null(json);
        assert_non_null(strstr(err.msg, "x: line "));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_large_integers),
                                       cmocka_unit_test(test_errors_stay)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
