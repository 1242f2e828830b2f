/* test_templates.c - the chat templates of ../shared rendered as transformers renders them.
 *
 * templates.json has the conversations and what jinja2 made of them (make_template_cases.py, which
 * also says how it is written).  Dates stand there as <<NOW:format>>. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "text/jinja.h"

#define TEMPLATES TD_SOURCE_DIR "/../shared/chat-templates/"

static char *read_file(const char *path, size_t *n) {
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    td_strbuf b = {0};
    char block[4096];
    for (size_t k; (k = fread(block, 1, sizeof block, f)) > 0;) td_strbuf_add(&b, block, k);
    fclose(f);
    *n = b.n;
    return td_strbuf_take(&b);
}

static const char *text_of(const td_value *v) { return td_value_text(v, NULL); }

static long number_of(const td_value *v) {
    td_strbuf b = {0};
    td_value_to_json(v, -1, &b);
    const long n = strtol(b.text, NULL, 10);
    td_strbuf_clear(&b);
    return n;
}

/* Puts the case's text together from an earlier one; marks are still in it. */
static void expected_text(const td_value *test, char *const *earlier, td_strbuf *out) {
    const long i_base = number_of(td_value_at(test, 2));
    const char *base = i_base >= 0 ? earlier[i_base] : "";
    const size_t n_end = (size_t)number_of(td_value_at(test, 4));
    td_strbuf_add(out, base, (size_t)number_of(td_value_at(test, 3)));
    td_strbuf_adds(out, text_of(td_value_at(test, 5)));
    td_strbuf_adds(out, base + strlen(base) - n_end);
}

/* Fills in the dates as of `when`. */
static char *with_dates(const char *text, time_t when) {
    td_strbuf b = {0};
    struct tm local;
    localtime_r(&when, &local);
    for (const char *mark; (mark = strstr(text, "<<NOW:")) != NULL;) {
        const char *end = strstr(mark, ">>");
        char format[100], date[200];
        assert_non_null(end);
        snprintf(format, sizeof format, "%.*s", (int)(end - mark - 6), mark + 6);
        strftime(date, sizeof date, format, &local);
        td_strbuf_add(&b, text, (size_t)(mark - text));
        td_strbuf_adds(&b, date);
        text = end + 2;
    }
    td_strbuf_adds(&b, text);
    return td_strbuf_take(&b);
}

static void check_text(const char *name, const char *conversation, const char *got,
                       const char *want) {
    char *now = with_dates(want, time(NULL));
    char *before = with_dates(want, time(NULL) - 60); /* midnight may have passed in between */
    const bool same = strcmp(got, now) == 0 || strcmp(got, before) == 0;
    if (!same) {
        size_t at = 0;
        while (got[at] && got[at] == now[at]) at++;
        const size_t from = at < 60 ? 0 : at - 60;
        print_error("%s, %s: differs at byte %zu\n  got  %.120s\n  want %.120s\n", name,
                    conversation, at, got + from, now + from);
    }
    td_free(now);
    td_free(before);
    assert_true(same);
}

static void check_case(const td_value *test, const td_value *vars, char *const *earlier,
                       char **output) {
    char path[512], *got = NULL;
    size_t n_source, n_got;
    td_err err = {0};
    td_template *t = NULL;
    const char *name = text_of(td_value_at(test, 0)), *conversation = text_of(td_value_at(test, 1));
    snprintf(path, sizeof path, TEMPLATES "%s", name);
    char *source = read_file(path, &n_source);
    if (!source) fail_msg("%s is missing", path);
    if (td_template_create(&t, name, source, n_source, &err) != TD_OK) fail_msg("%s", err.msg);
    const td_status status = td_template_render(t, vars, NULL, &got, &n_got, &err);
    if (td_value_count(test) == 3) {
        const char *message = text_of(td_value_at(test, 2));
        if (status == TD_OK) fail_msg("%s, %s: no error, wanted '%s'", name, conversation, message);
        if (*message) assert_int_equal(status, TD_ERR_ARGUMENT);
        if (!strstr(err.msg, message)) fail_msg("'%s', wanted '%s'", err.msg, message);
    } else {
        if (status != TD_OK) fail_msg("%s: %s", conversation, err.msg);
        td_strbuf want = {0};
        expected_text(test, earlier, &want);
        assert_int_equal(strlen(got), n_got);
        check_text(name, conversation, got, want.text);
        *output = td_strbuf_take(&want);
    }
    td_free(got);
    td_free(source);
    td_template_free(t);
}

static void templates_render_as_jinja2(void **state) {
    (void)state;
    size_t n;
    char *probe = read_file(TEMPLATES "Qwen-Qwen3-0.6B.jinja", &n);
    if (!probe) {
        print_message("../shared/chat-templates is missing\n");
        skip();
    }
    td_free(probe);
    char *json = read_file(TD_SOURCE_DIR "/tests/golden/templates.json", &n);
    assert_non_null(json);
    td_arena arena;
    td_arena_init(&arena, 0);
    td_value *data;
    td_err err = {0};
    if (td_value_from_json(&data, &arena, json, n, "templates.json", &err) != TD_OK)
        fail_msg("%s", err.msg);
    const td_value *cases = td_value_get(data, "cases");
    const td_value *conversations = td_value_get(data, "conversations");
    const size_t n_case = td_value_count(cases);
    assert_true(n_case > 500);
    char **outputs = td_calloc(n_case, sizeof *outputs);
    for (size_t i = 0; i < n_case; i++) {
        const td_value *test = td_value_at(cases, i);
        const td_value *vars = td_value_get(conversations, text_of(td_value_at(test, 1)));
        assert_non_null(vars);
        check_case(test, vars, outputs, &outputs[i]);
    }
    for (size_t i = 0; i < n_case; i++) td_free(outputs[i]);
    td_free(outputs);
    td_free(json);
    td_arena_clear(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(templates_render_as_jinja2)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
