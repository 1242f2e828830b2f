/* jinja_call.c - calls: arguments, functions of our tables, macros. */
#include <string.h>

#include "text/jinja_int.h"

/* ---- arguments ---- */

static bool collect_kw(td_jeval *ev, const td_jargs *args, td_value *kw) {
    for (size_t i = 0; i < args->kw.n; i++)
        if (!td_jinja_put(ev, kw, args->kw_names[i], td_jinja_eval(ev, args->kw.items[i])))
            return false;
    if (!args->star2) return true;
    const td_value *more = td_jinja_eval(ev, args->star2);
    if (!more) return false;
    if (more->type != TD_VALUE_MAP || more->kind == TD_KIND_NAMESPACE) {
        td_jinja_fail(ev, TD_ERR_ARGUMENT, "the argument after ** is a '%s', not a dict",
                      td_value_type_name(more));
        return false;
    }
    for (size_t i = 0; i < more->u.map.n; i++) {
        const td_value_entry *e = &more->u.map.entries[i];
        if (e->key->type != TD_VALUE_STRING || td_value_find(kw, e->key)) {
            td_jinja_fail(ev, TD_ERR_ARGUMENT, "keywords must be strings and given once");
            return false;
        }
        if (!td_jinja_put(ev, kw, e->key, e->item)) return false;
    }
    return true;
}

bool td_jinja_collect_args(td_jeval *ev, const td_jargs *args, td_jcall *call) {
    td_value *pos = NULL;
    if (args->pos.n || args->star) {
        pos = td_jinja_list(ev, TD_KIND_TUPLE, args->pos.n);
        for (size_t i = 0; i < args->pos.n; i++)
            if (!pos || !td_jinja_push(ev, pos, td_jinja_eval(ev, args->pos.items[i])))
                return false;
    }
    if (args->star) {
        const td_value *more = td_jinja_eval(ev, args->star);
        more = more ? td_jinja_iterate(ev, more) : NULL;
        for (size_t i = 0; more && i < td_value_count(more); i++)
            if (!td_jinja_push(ev, pos, td_jinja_nth(ev, more, i))) return false;
        if (!more) return false;
    }
    if (pos) {
        call->pos = pos->u.list.items;
        call->n_pos = pos->u.list.n;
    }
    if (args->kw.n == 0 && !args->star2) return true;
    td_value *kw = td_jinja_map(ev);
    if (!kw || !collect_kw(ev, args, kw)) return false;
    call->kw = kw;
    return true;
}

/* ---- functions of our tables ---- */

const td_jfunction *td_jinja_table_find(const td_jfunction *table, const char *name, size_t n) {
    for (; table->name; table++)
        if (strlen(table->name) == n && memcmp(table->name, name, n) == 0) return table;
    return NULL;
}

static bool bind_keywords(td_jeval *ev, const td_jfunction *f, td_jcall *call) {
    for (size_t i = 0; call->kw && i < call->kw->u.map.n; i++) {
        const td_value_entry *e = &call->kw->u.map.entries[i];
        int at = 0;
        while (at < TD_JMAX_PARAMS && f->params[at] &&
               strcmp(f->params[at], e->key->u.string.text) != 0)
            at++;
        if (at == TD_JMAX_PARAMS || !f->params[at]) {
            td_jinja_fail(ev, TD_ERR_ARGUMENT, "%s() takes no argument '%.100s'", f->name,
                          e->key->u.string.text);
            return false;
        }
        if (call->param[at]) {
            td_jinja_fail(ev, TD_ERR_ARGUMENT, "%s() got two values for '%s'", f->name,
                          f->params[at]);
            return false;
        }
        call->param[at] = e->item;
    }
    return true;
}

const td_value *td_jinja_apply(td_jeval *ev, const td_jfunction *f, const td_value *self,
                               td_jcall *call) {
    if (f->n_min < 0) return f->fn(ev, self, call);
    size_t n_param = 0;
    while (n_param < TD_JMAX_PARAMS && f->params[n_param]) n_param++;
    if (call->n_pos > n_param)
        return td_jinja_fail(ev, TD_ERR_ARGUMENT, "%s() takes at most %zu arguments, not %zu",
                             f->name, n_param, call->n_pos);
    for (size_t i = 0; i < call->n_pos; i++) call->param[i] = call->pos[i];
    if (!bind_keywords(ev, f, call)) return NULL;
    for (int i = 0; i < f->n_min; i++)
        if (!call->param[i])
            return td_jinja_fail(ev, TD_ERR_ARGUMENT, "%s() wants an argument '%s'", f->name,
                                 f->params[i]);
    return f->fn(ev, self, call);
}

/* ---- macros ---- */

/* The value of parameter i: given by place, by keyword, by default, or undefined. */
static const td_value *macro_param(td_jeval *ev, const td_jnode *macro, const td_jcall *call,
                                   size_t i, size_t *n_kw_used) {
    const char *name = macro->more.items[i]->name;
    if (i < call->n_pos) return call->pos[i];
    const td_value *given = call->kw ? td_value_find_text(call->kw, name, strlen(name)) : NULL;
    if (given) {
        ++*n_kw_used;
        return given;
    }
    const size_t n_default = macro->args->pos.n, first = macro->more.n - n_default;
    if (i >= first) return td_jinja_eval(ev, macro->args->pos.items[i - first]);
    const size_t mark = ev->out.n;
    td_strbuf_addf(&ev->out, "parameter '%s' was not provided", name);
    const td_value *hint = td_jinja_take(ev, mark);
    return hint ? td_jinja_undefined_hint(ev, hint->u.string.text) : NULL;
}

static bool has_param(const td_jnode *macro, const char *name) {
    for (size_t i = 0; i < macro->more.n; i++)
        if (macro->more.items[i]->name == name) return true;
    return false;
}

static bool bind_caller(td_jeval *ev, const td_jnode *macro, const td_jcall *call,
                        size_t *n_kw_used) {
    if (!(macro->op & TD_JUSES_CALLER) || has_param(macro, ev->t->caller)) return true;
    const td_value *caller = call->kw ? td_value_find_text(call->kw, "caller", 6) : NULL;
    *n_kw_used += caller != NULL;
    if (!caller || caller->type == TD_VALUE_NONE)
        caller = td_jinja_undefined_hint(ev, "no caller defined");
    return td_jinja_set_var(ev, ev->scope, ev->t->caller, caller);
}

/* What no parameter took goes into varargs and kwargs if the body mentions them. */
static bool bind_rest(td_jeval *ev, const td_jnode *macro, const td_jcall *call, size_t n_kw_used) {
    const char *name = macro->name ? macro->name : "caller";
    const bool takes_kw = macro->op & TD_JUSES_KWARGS && !has_param(macro, ev->t->kwargs);
    if (takes_kw) {
        td_value *rest = td_jinja_map(ev);
        for (size_t i = 0; rest && call->kw && i < call->kw->u.map.n; i++) {
            const td_value_entry *e = &call->kw->u.map.entries[i];
            bool is_taken =
                strcmp(e->key->u.string.text, "caller") == 0 && (macro->op & TD_JUSES_CALLER) != 0;
            for (size_t k = call->n_pos; k < macro->more.n; k++)
                is_taken |= strcmp(macro->more.items[k]->name, e->key->u.string.text) == 0;
            if (!is_taken && !td_jinja_put(ev, rest, e->key, e->item)) return false;
        }
        if (!rest || !td_jinja_set_var(ev, ev->scope, ev->t->kwargs, rest)) return false;
    } else if (call->kw && call->kw->u.map.n > n_kw_used) {
        td_jinja_fail(ev, TD_ERR_ARGUMENT, "macro '%s' got a keyword argument it does not take",
                      name);
        return false;
    }
    const bool takes_pos = macro->op & TD_JUSES_VARARGS && !has_param(macro, ev->t->varargs);
    if (takes_pos) {
        td_value *rest = td_jinja_list(ev, TD_KIND_TUPLE, 0);
        for (size_t i = macro->more.n; i < call->n_pos; i++)
            if (!td_jinja_push(ev, rest, call->pos[i])) return false;
        return td_jinja_set_var(ev, ev->scope, ev->t->varargs, rest);
    }
    if (call->n_pos <= macro->more.n) return true;
    td_jinja_fail(ev, TD_ERR_ARGUMENT, "macro '%s' takes at most %zu arguments, not %zu", name,
                  macro->more.n, call->n_pos);
    return false;
}

static bool run_macro(td_jeval *ev, const td_jnode *macro, const td_jcall *call) {
    size_t n_kw_used = 0;
    for (size_t i = 0; i < macro->more.n; i++) {
        const td_value *v = macro_param(ev, macro, call, i, &n_kw_used);
        if (!td_jinja_set_var(ev, ev->scope, macro->more.items[i]->name, v)) return false;
    }
    return bind_caller(ev, macro, call, &n_kw_used) && bind_rest(ev, macro, call, n_kw_used) &&
           td_jinja_exec(ev, &macro->list) != TD_JFLOW_FAIL;
}

const td_value *td_jinja_call_macro(td_jeval *ev, const td_jmacro *m, const td_jcall *call) {
    td_jscope *around = ev->scope;
    const size_t mark = ev->out.n;
    if (ev->n_call >= ev->max_call)
        return td_jinja_fail(ev, TD_ERR_LIMIT, "calls nested deeper than %zu", ev->max_call);
    ev->n_call++;
    ev->scope = td_jinja_scope(ev, m->outer);
    const bool ok = ev->scope && run_macro(ev, m->node, call);
    ev->scope = around;
    ev->n_call--;
    return ok ? td_jinja_take(ev, mark) : NULL;
}

/* ---- any value ---- */

static const td_value *call_joiner(td_jeval *ev, const td_value *f) {
    td_jcycler *joiner = (td_jcycler *)f->u.call.data;
    return joiner->i++ == 0 ? td_jinja_string(ev, "", 0) : joiner->items;
}

const td_value *td_jinja_call_value(td_jeval *ev, const td_value *f, td_jcall *call) {
    if (f->type == TD_VALUE_UNDEFINED) return td_jinja_fail_undefined(ev, f);
    switch (f->kind) {
    case TD_KIND_FUNCTION: return td_jinja_apply(ev, f->u.call.data, f->u.call.self, call);
    case TD_KIND_METHOD: {
        const td_value *v = td_jinja_apply(ev, f->u.call.data, f->u.call.self, call);
        return td_jinja_like(ev, v, f->u.call.self);
    }
    case TD_KIND_MACRO: return td_jinja_call_macro(ev, f->u.call.data, call);
    case TD_KIND_LOOP: return td_jinja_call_loop(ev, (td_jloop *)f->u.call.data, call);
    case TD_KIND_JOINER: return call_joiner(ev, f);
    default:
        return td_jinja_fail(ev, TD_ERR_ARGUMENT, "'%s' cannot be called", td_value_type_name(f));
    }
}
