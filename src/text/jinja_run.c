/* jinja_run.c - the state of a rendering: budgets, failures, and values made on the way. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "text/jinja_int.h"
#include "text/pystr.h"

const td_value *td_jinja_fail(td_jeval *ev, td_status code, const char *fmt, ...) {
    char text[sizeof((td_err *)0)->msg];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (ev->status == TD_OK)
        ev->status = td_fail(ev->err, code, "%s, line %d: %s", ev->t->name, ev->line, text);
    return NULL;
}

static void *fail_nomem(td_jeval *ev) {
    td_jinja_fail(ev, TD_ERR_NOMEM, "out of memory");
    return NULL;
}

bool td_jinja_charge(td_jeval *ev, size_t n) {
    if (n <= ev->max_step - ev->n_step) {
        ev->n_step += n;
        return true;
    }
    ev->n_step = ev->max_step;
    td_jinja_fail(ev, TD_ERR_LIMIT, "the template runs for more than %zu steps", ev->max_step);
    return false;
}

/* Counts memory before it is taken; an arena rounds up to cache lines. */
static bool budget(td_jeval *ev, size_t bytes) {
    if (bytes < ev->max_byte && bytes + TD_CACHE_LINE <= ev->max_byte - ev->n_byte) {
        ev->n_byte += (bytes + TD_CACHE_LINE - 1) / TD_CACHE_LINE * TD_CACHE_LINE;
        return true;
    }
    td_jinja_fail(ev, TD_ERR_LIMIT, "the template takes more than %zu bytes of memory",
                  ev->max_byte);
    return false;
}

void *td_jinja_alloc(td_jeval *ev, size_t bytes) {
    if (!budget(ev, bytes)) return NULL;
    void *p = td_arena_calloc(&ev->arena, 1, bytes);
    return p ? p : fail_nomem(ev);
}

/* ---- values ---- */

const td_value *td_jinja_int(td_jeval *ev, int64_t i) {
    if (!budget(ev, sizeof(td_value))) return NULL;
    const td_value *v = td_value_int(&ev->arena, i);
    return v ? v : fail_nomem(ev);
}

const td_value *td_jinja_float(td_jeval *ev, double f) {
    if (!budget(ev, sizeof(td_value))) return NULL;
    const td_value *v = td_value_float(&ev->arena, f);
    return v ? v : fail_nomem(ev);
}

const td_value *td_jinja_string(td_jeval *ev, const char *text, size_t n) {
    if (n > SIZE_MAX / 2 || !budget(ev, sizeof(td_value) + n + 1)) return NULL;
    const td_value *v = td_value_string(&ev->arena, text, n);
    return v ? v : fail_nomem(ev);
}

td_value *td_jinja_list(td_jeval *ev, td_value_kind kind, size_t n_want) {
    size_t bytes;
    if (__builtin_mul_overflow(n_want, sizeof(td_value *), &bytes) || bytes > SIZE_MAX / 2)
        bytes = SIZE_MAX / 2;
    if (!budget(ev, sizeof(td_value)) || !budget(ev, bytes)) return NULL;
    td_value *v = td_value_list_of(&ev->arena, kind, n_want);
    return v ? v : fail_nomem(ev);
}

td_value *td_jinja_map(td_jeval *ev) {
    if (!budget(ev, sizeof(td_value))) return NULL;
    td_value *v = td_value_map(&ev->arena);
    return v ? v : fail_nomem(ev);
}

bool td_jinja_push(td_jeval *ev, td_value *list, const td_value *item) {
    if (!list || !item) return false;
    if (list->u.list.n == list->u.list.cap && !budget(ev, (list->u.list.cap * 2 + 8) * sizeof item))
        return false;
    if (td_value_push(&ev->arena, list, item) == TD_OK) return true;
    fail_nomem(ev);
    return false;
}

bool td_jinja_put(td_jeval *ev, td_value *map, const td_value *key, const td_value *item) {
    if (!map || !key || !item) return false;
    if (!td_value_is_hashable(key)) {
        td_jinja_fail(ev, TD_ERR_ARGUMENT, "'%s' cannot be a key", td_value_type_name(key));
        return false;
    }
    if (key->type == TD_VALUE_STRING && !td_jinja_charge(ev, key->u.string.n / 64)) return false;
    if (map->u.map.n == map->u.map.cap &&
        !budget(ev, (map->u.map.cap * 2 + 8) * (sizeof(td_value_entry) + 2 * sizeof(uint32_t))))
        return false;
    if (td_value_put(&ev->arena, map, key, item) == TD_OK) return true;
    fail_nomem(ev);
    return false;
}

const td_value *td_jinja_undefined(td_jeval *ev, const td_value *of, const char *name) {
    td_value *v = td_jinja_alloc(ev, sizeof *v);
    if (!v) return NULL;
    v->type = TD_VALUE_UNDEFINED;
    v->u.undefined.of = of;
    v->u.undefined.name = name;
    return v;
}

const td_value *td_jinja_undefined_hint(td_jeval *ev, const char *hint) {
    td_value *v = td_jinja_alloc(ev, sizeof *v);
    if (!v) return NULL;
    v->type = TD_VALUE_UNDEFINED;
    v->u.undefined.hint = hint;
    return v;
}

const td_value *td_jinja_fail_undefined(td_jeval *ev, const td_value *v) {
    const char *name = v->u.undefined.name ? v->u.undefined.name : "";
    if (v->u.undefined.hint) return td_jinja_fail(ev, TD_ERR_ARGUMENT, "%s", v->u.undefined.hint);
    if (v->u.undefined.of)
        return td_jinja_fail(ev, TD_ERR_ARGUMENT, "'%s' object has no attribute '%.200s'",
                             td_value_type_name(v->u.undefined.of), name);
    return td_jinja_fail(ev, TD_ERR_ARGUMENT, "'%.200s' is undefined", name);
}

const td_value *td_jinja_callable(td_jeval *ev, td_value_kind kind, const void *data,
                                  const td_value *self) {
    td_value *v = td_jinja_alloc(ev, sizeof *v);
    if (!v) return NULL;
    v->type = TD_VALUE_CALLABLE;
    v->kind = kind;
    v->u.call.data = data;
    v->u.call.self = self;
    return v;
}

const td_value *td_jinja_take(td_jeval *ev, size_t mark) {
    if (ev->out.failed == TD_ERR_LIMIT)
        return td_jinja_fail(ev, TD_ERR_LIMIT,
                             "the template makes more than %zu bytes of text, or nests too deep",
                             ev->out.max);
    if (ev->out.failed) return fail_nomem(ev);
    if (ev->out.n == mark) return td_jinja_string(ev, "", 0);
    const td_value *v = td_jinja_string(ev, ev->out.text + mark, ev->out.n - mark);
    ev->out.n = mark;
    return v;
}

const td_value *td_jinja_to_string(td_jeval *ev, const td_value *v) {
    if (v->type == TD_VALUE_STRING) return v;
    const size_t mark = ev->out.n;
    td_value_add_str(v, &ev->out);
    return td_jinja_take(ev, mark);
}

const td_value *td_jinja_mark(td_jeval *ev, const td_value *v, td_value_kind kind) {
    td_value *copy = td_jinja_alloc(ev, sizeof *copy);
    if (!copy) return NULL;
    *copy = *v;
    copy->kind = kind;
    return copy;
}

const td_value *td_jinja_like(td_jeval *ev, const td_value *v, const td_value *from) {
    if (!v || from->type != TD_VALUE_STRING || from->kind != TD_KIND_MARKUP) return v;
    if (v->type == TD_VALUE_STRING)
        return v->kind == TD_KIND_MARKUP ? v : td_jinja_mark(ev, v, TD_KIND_MARKUP);
    if (v->type != TD_VALUE_LIST) return v;
    td_value *list = td_jinja_list(ev, v->kind, v->u.list.n);
    for (size_t i = 0; list && i < v->u.list.n; i++)
        if (!td_jinja_push(ev, list, td_jinja_mark(ev, v->u.list.items[i], TD_KIND_MARKUP)))
            return NULL;
    return list;
}

const td_value *td_jinja_escape(td_jeval *ev, const td_value *v) {
    if (v->type == TD_VALUE_STRING && v->kind == TD_KIND_MARKUP) return v;
    const td_value *text = td_jinja_to_string(ev, v);
    if (!text) return NULL;
    const size_t mark = ev->out.n;
    for (size_t i = 0; i < text->u.string.n; i++) {
        const char c = text->u.string.text[i];
        if (c == '&')
            td_strbuf_adds(&ev->out, "&amp;");
        else if (c == '<')
            td_strbuf_adds(&ev->out, "&lt;");
        else if (c == '>')
            td_strbuf_adds(&ev->out, "&gt;");
        else if (c == '\'')
            td_strbuf_adds(&ev->out, "&#39;");
        else if (c == '"')
            td_strbuf_adds(&ev->out, "&#34;");
        else
            td_strbuf_addc(&ev->out, c);
    }
    text = td_jinja_take(ev, mark);
    return text ? td_jinja_mark(ev, text, TD_KIND_MARKUP) : NULL;
}

/* ---- variables ---- */

td_jscope *td_jinja_scope(td_jeval *ev, td_jscope *outer) {
    td_jscope *scope = td_jinja_alloc(ev, sizeof *scope);
    if (scope) scope->outer = outer;
    return scope;
}

bool td_jinja_set_var(td_jeval *ev, td_jscope *scope, const char *name, const td_value *v) {
    if (!v || !td_jinja_charge(ev, scope->n / 32)) return false;
    for (size_t i = 0; i < scope->n; i++) {
        if (scope->vars[i].name == name) {
            scope->vars[i].value = v;
            return true;
        }
    }
    if (scope->n == scope->cap) {
        const size_t cap = scope->cap ? scope->cap * 2 : 8;
        td_jvar *vars = td_jinja_alloc(ev, cap * sizeof *vars);
        if (!vars) return false;
        if (scope->n) memcpy(vars, scope->vars, scope->n * sizeof *vars);
        scope->vars = vars;
        scope->cap = cap;
    }
    scope->vars[scope->n++] = (td_jvar){.name = name, .value = v};
    return true;
}

/* ---- parameters ---- */

bool td_jinja_param_int(td_jeval *ev, const td_jcall *call, int i, int64_t *out) {
    if (call->param[i] && td_jinja_as_int(call->param[i], out)) return true;
    if (call->param[i] && call->param[i]->type == TD_VALUE_UNDEFINED)
        td_jinja_fail_undefined(ev, call->param[i]);
    else
        td_jinja_fail(ev, TD_ERR_ARGUMENT, "argument %d wants an integer, not '%s'", i + 1,
                      call->param[i] ? td_value_type_name(call->param[i]) : "nothing");
    return false;
}

bool td_jinja_param_text(td_jeval *ev, const td_jcall *call, int i, const char **text, size_t *n) {
    const td_value *v = call->param[i];
    if (v && v->type == TD_VALUE_STRING) {
        *text = v->u.string.text;
        *n = v->u.string.n;
        return true;
    }
    if (v && v->type == TD_VALUE_UNDEFINED)
        td_jinja_fail_undefined(ev, v);
    else
        td_jinja_fail(ev, TD_ERR_ARGUMENT, "argument %d wants a string, not '%s'", i + 1,
                      v ? td_value_type_name(v) : "nothing");
    return false;
}

bool td_jinja_param_given(const td_jcall *call, int i) {
    return call->param[i] && call->param[i]->type != TD_VALUE_NONE;
}

bool td_jinja_param_bool(const td_jcall *call, int i, bool otherwise) {
    return call->param[i] ? td_jinja_truth(call->param[i]) : otherwise;
}
