/* render_many.c - renders many templates in one process, for check_jinja.py.
 *
 * Standard input: a line of JSON with the variables, then a line with a JSON string for each
 * template.  Standard output: for each a line, "=" and the text as a JSON string, or "!", the
 * td_status and the message as a JSON string. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "text/jinja.h"

static void say(const char *text, size_t n) {
    td_arena arena;
    td_strbuf out = {0};
    td_arena_init(&arena, 0);
    td_value_to_json(td_value_string(&arena, text, n), -1, &out);
    printf("%s\n", out.text);
    fflush(stdout);
    td_strbuf_clear(&out);
    td_arena_clear(&arena);
}

static void render(const td_value *vars, const char *source, size_t n) {
    td_template *t = NULL;
    td_err err = {0};
    char *out = NULL;
    size_t n_out = 0;
    td_status status = td_template_create(&t, "t", source, n, &err);
    if (status == TD_OK) status = td_template_render(t, vars, NULL, &out, &n_out, &err);
    if (status == TD_OK)
        putchar('=');
    else
        printf("!%d ", (int)status);
    say(status == TD_OK ? out : err.msg, status == TD_OK ? n_out : strlen(err.msg));
    td_free(out);
    td_template_free(t);
}

int main(void) {
    char *line = NULL;
    size_t size = 0;
    td_value *vars = NULL;
    td_arena arena;
    td_arena_init(&arena, 0);
    for (ssize_t n; (n = getline(&line, &size, stdin)) > 0;) {
        td_arena one;
        td_value *v;
        td_err err;
        td_arena_init(&one, 0);
        if (td_value_from_json(&v, vars ? &one : &arena, line, (size_t)n, "line", &err) != TD_OK) {
            fprintf(stderr, "%s\n", err.msg);
            return 1;
        }
        size_t n_source;
        if (!vars)
            vars = v;
        else {
            const char *source = td_value_text(v, &n_source);
            render(vars, source, n_source);
        }
        td_arena_clear(&one);
    }
    free(line);
    td_arena_clear(&arena);
    return 0;
}
