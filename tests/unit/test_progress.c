/* test_progress.c - the progress line: when it shows, what it says, that it goes away. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/progress.h"

static void test_render(void **state) {
    (void)state;
    const struct {
        uint64_t done, total;
        const char *wanted;
    } cases[] = {
        {0,          0,          "load"                                        },
        {5,          0,          "load"                                        },
        {0,          10,         "load  [                              ]   0 %"},
        {5,          10,         "load  [===============               ]  50 %"},
        {999,        1000,       "load  [============================= ]  99 %"},
        {10,         10,         "load  [==============================] 100 %"},
        {11,         10,         "load  [==============================] 100 %"},
        {UINT64_MAX, UINT64_MAX, "load  [==============================] 100 %"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        td_strbuf line = {0};
        td_progress_render("load", cases[i].done, cases[i].total, &line);
        assert_string_equal(line.text, cases[i].wanted);
        td_strbuf_clear(&line);
    }
}

static void set_env(const char *term, const char *no_color) {
    if (term)
        setenv("TERM", term, 1);
    else
        unsetenv("TERM");
    if (no_color)
        setenv("NO_COLOR", no_color, 1);
    else
        unsetenv("NO_COLOR");
}

static void test_where_it_is_silent(void **state) {
    (void)state;
    const struct {
        const char *term, *no_color;
        bool terminal, draws;
    } cases[] = {
        {"xterm", NULL, true,  true },
        {"xterm", NULL, false, false},
        {"dumb",  NULL, true,  false},
        {"xterm", "1",  true,  false},
        {NULL,    NULL, true,  false},
        {"xterm", "",   true,  true },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        td_progress p;
        set_env(cases[i].term, cases[i].no_color);
        td_progress_init(&p, stderr, cases[i].terminal);
        assert_int_equal(p.out != NULL, cases[i].draws);
    }
}

/* A second is not waited for: the time of the first update is moved back. */
static void test_drawing(void **state) {
    (void)state;
    char text[1024] = "";
    FILE *out = fmemopen(text, sizeof text, "w");
    assert_non_null(out);
    set_env("xterm", NULL);
    td_progress p;
    td_progress_init(&p, out, true);
    td_progress_update(&p, "load", 1, 4);
    td_progress_finish(&p);
    assert_string_equal(text, ""); /* too soon: nothing drawn, nothing to wipe out */

    td_progress_update(&p, "load", 1, 4);
    p.t_start -= 2.0;
    td_progress_update(&p, "load", 2, 4);
    assert_non_null(strstr(text, "50 %"));
    const size_t n = strlen(text);
    td_progress_update(&p, "load", 3, 4);
    assert_int_equal(strlen(text), n); /* ten times a second at most */
    p.t_drawn -= 1.0;
    td_progress_update(&p, "load", 3, 4);
    assert_non_null(strstr(text, "75 %"));
    td_progress_finish(&p);
    assert_string_equal(text + strlen(text) - 4, "\r\x1b[K");
    assert_true(p.t_start == 0.0);
    fclose(out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_render),
        cmocka_unit_test(test_where_it_is_silent),
        cmocka_unit_test(test_drawing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
