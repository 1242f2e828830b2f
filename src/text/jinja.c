/* jinja.c - templates: created once, rendered often; see jinja.h. */
#include "text/jinja.h"

#include <string.h>

#include "base/alloc.h"
#include "text/jinja_int.h"

enum {
    BLOCK_BYTES = 1 << 15,
    DEFAULT_STEPS = 1000000,
    DEFAULT_DEPTH = 100,
    MAX_DEPTH = 200,           /* what the C stack of a thread bears: NEST_PER_CALL levels each */
    NEST_PER_CALL = 16,        /* expressions and statements in each other, for each call */
    DEFAULT_OUTPUT = 16 << 20, /* bytes */
    EXTRA_BYTES = 64 << 20,    /* memory of a rendering: this, and ... */
    BYTES_PER_OUTPUT = 8       /* ... this for each byte of output allowed */
};

td_status td_template_create(td_template **out, const char *name, const char *source,
                             size_t n_source, td_err *err) {
    *out = NULL;
    td_template *t = td_calloc(1, sizeof *t);
    if (!t) return td_fail_nomem(err, name, sizeof *t);
    td_arena_init(&t->arena, BLOCK_BYTES);
    t->name = td_arena_strndup(&t->arena, name, strlen(name));
    td_status status =
        t->name ? td_jinja_parse(t, source, n_source, err) : td_fail_nomem(err, name, strlen(name));
    if (status != TD_OK) {
        td_template_free(t);
        return status;
    }
    *out = t;
    return TD_OK;
}

void td_template_free(td_template *t) {
    if (!t) return;
    td_arena_clear(&t->arena);
    td_free(t);
}

static size_t or_default(size_t given, size_t otherwise) { return given ? given : otherwise; }

static void set_limits(td_jeval *ev, const td_template_limits *limits) {
    const td_template_limits l = limits ? *limits : (td_template_limits){0};
    ev->max_step = or_default(l.max_steps, DEFAULT_STEPS);
    ev->max_call = or_default(l.max_depth, DEFAULT_DEPTH);
    if (ev->max_call > MAX_DEPTH) ev->max_call = MAX_DEPTH;
    ev->max_nest = ev->max_call * NEST_PER_CALL;
    ev->out.max = or_default(l.max_output, DEFAULT_OUTPUT);
    if (__builtin_mul_overflow(ev->out.max, BYTES_PER_OUTPUT, &ev->max_byte) ||
        __builtin_add_overflow(ev->max_byte, EXTRA_BYTES, &ev->max_byte))
        ev->max_byte = SIZE_MAX / 2;
}

td_status td_template_render(const td_template *t, const td_value *vars,
                             const td_template_limits *limits, char **out, size_t *n_out,
                             td_err *err) {
    td_jeval ev = {.t = t, .vars = vars, .line = 1, .err = err};
    *out = NULL;
    if (n_out) *n_out = 0;
    if (!vars || td_value_get_type(vars) != TD_VALUE_MAP)
        return td_fail(err, TD_ERR_ARGUMENT, "%s: the variables are not a mapping", t->name);
    set_limits(&ev, limits);
    td_arena_init(&ev.arena, BLOCK_BYTES);
    ev.scope = td_jinja_scope(&ev, NULL);
    if (ev.scope && td_jinja_exec(&ev, &t->body) != TD_JFLOW_FAIL) {
        const size_t n = ev.out.n;
        *out = td_strbuf_take(&ev.out);
        if (!*out)
            ev.status = td_fail_nomem(err, t->name, n);
        else if (n_out)
            *n_out = n;
    }
    td_strbuf_clear(&ev.out);
    td_arena_clear(&ev.arena);
    return ev.status;
}
