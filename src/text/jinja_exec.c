/* jinja_exec.c - statements: what they write and set. */
#include <string.h>

#include "text/jinja_int.h"

/* ---- assignment ---- */

static bool assign_tuple(td_jeval *ev, const td_jnode *target, const td_value *v) {
    const td_value *items = td_jinja_iterate(ev, v);
    if (!items) return false;
    if (td_value_count(items) != target->list.n) {
        td_jinja_fail(ev, TD_ERR_ARGUMENT, "%zu values cannot be unpacked into %zu names",
                      td_value_count(items), target->list.n);
        return false;
    }
    for (size_t i = 0; i < target->list.n; i++) {
        const td_value *item = td_jinja_nth(ev, items, i);
        if (!item || !td_jinja_assign(ev, target->list.items[i], item)) return false;
    }
    return true;
}

static bool assign_namespaced(td_jeval *ev, const td_jnode *target, const td_value *v) {
    td_jnode name = {.kind = TD_J_NAME, .line = target->line, .name = target->name};
    const td_value *ns = td_jinja_eval(ev, &name);
    if (!ns) return false;
    if (ns->kind != TD_KIND_NAMESPACE) {
        td_jinja_fail(ev, TD_ERR_ARGUMENT, "'%s' is a '%s': only a namespace takes attributes",
                      target->name, td_value_type_name(ns));
        return false;
    }
    if (target->value->u.string.text[0] == '_') {
        td_jinja_fail(ev, TD_ERR_ARGUMENT, "'%s' cannot be set: it begins with an underscore",
                      target->value->u.string.text);
        return false;
    }
    return td_jinja_put(ev, (td_value *)ns, target->value, v);
}

bool td_jinja_assign(td_jeval *ev, const td_jnode *target, const td_value *v) {
    if (!v) return false;
    if (target->kind == TD_J_NAME) return td_jinja_set_var(ev, ev->scope, target->name, v);
    if (target->kind == TD_J_NAMESPACED) return assign_namespaced(ev, target, v);
    return assign_tuple(ev, target, v);
}

/* ---- statements ---- */

/* Runs a body in a scope of its own. */
static bool exec_scoped(td_jeval *ev, const td_jnodes *body) {
    td_jscope *around = ev->scope;
    ev->scope = td_jinja_scope(ev, around);
    const bool ok = ev->scope && td_jinja_exec(ev, body) != TD_JFLOW_FAIL;
    ev->scope = around;
    return ok;
}

static bool print(td_jeval *ev, const td_value *v) {
    if (!v) return false;
    td_value_add_str(v, &ev->out);
    return !ev->out.failed || td_jinja_take(ev, ev->out.n);
}

/* What a filter or call block makes must be a string: Jinja joins it as it is. */
static bool print_string(td_jeval *ev, const td_value *v) {
    if (!v || v->type == TD_VALUE_STRING) return print(ev, v);
    td_jinja_fail(ev, TD_ERR_ARGUMENT, "the block makes a '%s', not a string",
                  td_value_type_name(v));
    return false;
}

static td_jflow exec_if(td_jeval *ev, const td_jnode *node) {
    for (size_t i = 0; i < node->list.n; i++) {
        const td_jnode *branch = node->list.items[i];
        if (branch->a) {
            const td_value *condition = td_jinja_eval(ev, branch->a);
            if (!condition) return TD_JFLOW_FAIL;
            if (!td_jinja_truth(condition)) continue;
        }
        return td_jinja_exec(ev, &branch->list);
    }
    return TD_JFLOW_NEXT;
}

/* What a body prints, through the filters of node->b if there are any. */
static const td_value *capture(td_jeval *ev, const td_jnode *node) {
    const size_t mark = ev->out.n;
    if (!exec_scoped(ev, &node->list)) return NULL;
    const td_value *text = td_jinja_take(ev, mark);
    if (!text || !node->b) return text;
    ev->block_text = text;
    return td_jinja_eval(ev, node->b);
}

static const td_value *make_macro(td_jeval *ev, const td_jnode *node) {
    td_jmacro *macro = td_jinja_alloc(ev, sizeof *macro);
    if (!macro) return NULL;
    *macro = (td_jmacro){.node = node, .outer = ev->scope};
    return td_jinja_callable(ev, TD_KIND_MACRO, macro, NULL);
}

static bool exec_call_block(td_jeval *ev, const td_jnode *node) {
    td_jcall call = {0};
    const td_value *callee = td_jinja_eval(ev, node->a->a);
    if (!callee || !td_jinja_collect_args(ev, node->a->args, &call)) return false;
    td_value *kw = call.kw ? (td_value *)call.kw : td_jinja_map(ev);
    const td_value *name = td_jinja_string(ev, "caller", 6);
    if (!kw || !td_jinja_put(ev, kw, name, make_macro(ev, node->b))) return false;
    call.kw = kw;
    ev->line = node->line;
    return print_string(ev, td_jinja_call_value(ev, callee, &call));
}

static bool exec_generation(td_jeval *ev, const td_jnode *node) {
    const td_jmacro macro = {.node = node->b, .outer = ev->scope};
    const td_jcall call = {0};
    return print(ev, td_jinja_call_macro(ev, &macro, &call));
}

static bool exec_with(td_jeval *ev, const td_jnode *node) {
    td_jscope *around = ev->scope;
    td_jscope *scope = td_jinja_scope(ev, around);
    bool ok = scope != NULL;
    for (size_t i = 0; ok && i < node->more.n; i++) {
        const td_value *v = td_jinja_eval(ev, node->args->pos.items[i]);
        ev->scope = scope;
        ok = td_jinja_assign(ev, node->more.items[i], v);
        ev->scope = around; /* the values see what is around the block */
    }
    ev->scope = scope;
    ok = ok && td_jinja_exec(ev, &node->list) != TD_JFLOW_FAIL;
    ev->scope = around;
    return ok;
}

static bool exec_for(td_jeval *ev, const td_jnode *node) {
    const td_value *sequence = td_jinja_eval(ev, node->b);
    return sequence && td_jinja_run_loop(ev, node, ev->scope, sequence, 0);
}

static td_jflow exec_node(td_jeval *ev, const td_jnode *node) {
    bool ok = false;
    switch (node->kind) {
    case TD_J_DATA: ok = print(ev, node->value); break;
    case TD_J_PRINT: ok = print(ev, td_jinja_eval(ev, node->a)); break;
    case TD_J_IF: return exec_if(ev, node);
    case TD_J_FOR: ok = exec_for(ev, node); break;
    case TD_J_SET: ok = td_jinja_assign(ev, node->a, td_jinja_eval(ev, node->b)); break;
    case TD_J_SET_BLOCK: ok = td_jinja_assign(ev, node->a, capture(ev, node)); break;
    case TD_J_MACRO: ok = td_jinja_set_var(ev, ev->scope, node->name, make_macro(ev, node)); break;
    case TD_J_CALL_BLOCK: ok = exec_call_block(ev, node); break;
    case TD_J_FILTER_BLOCK: ok = print_string(ev, capture(ev, node)); break;
    case TD_J_WITH: ok = exec_with(ev, node); break;
    case TD_J_GENERATION: ok = exec_generation(ev, node); break;
    case TD_J_SCOPE: ok = exec_scoped(ev, &node->list); break;
    case TD_J_BREAK: return TD_JFLOW_BREAK;
    case TD_J_CONTINUE: return TD_JFLOW_CONTINUE;
    default: td_jinja_fail(ev, TD_ERR_FORMAT, "an expression stands where a statement belongs");
    }
    return ok ? TD_JFLOW_NEXT : TD_JFLOW_FAIL;
}

td_jflow td_jinja_exec(td_jeval *ev, const td_jnodes *body) {
    for (size_t i = 0; i < body->n; i++) {
        if (!td_jinja_enter(ev, body->items[i])) return TD_JFLOW_FAIL;
        const td_jflow flow = exec_node(ev, body->items[i]);
        ev->n_nest--;
        if (flow != TD_JFLOW_NEXT) return flow;
    }
    return TD_JFLOW_NEXT;
}
