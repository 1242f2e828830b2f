/* jinja_eval.c - expressions: from a tree to a value. */
#include <math.h>
#include <string.h>

#include "text/jinja_int.h"

bool td_jinja_enter(td_jeval *ev, const td_jnode *node) {
    ev->line = node->line;
    if (!td_jinja_charge(ev, 1)) return false;
    if (ev->n_nest < ev->max_nest) {
        ev->n_nest++;
        return true;
    }
    td_jinja_fail(ev, TD_ERR_LIMIT, "expressions and calls nested too deep");
    return false;
}

static const td_value *eval_name(td_jeval *ev, const td_jnode *node) {
    for (const td_jscope *scope = ev->scope; scope; scope = scope->outer) {
        if (!td_jinja_charge(ev, scope->n / 32)) return NULL;
        for (size_t i = 0; i < scope->n; i++)
            if (scope->vars[i].name == node->name) return scope->vars[i].value;
    }
    const td_value *given = td_value_find_text(ev->vars, node->name, strlen(node->name));
    if (given) return given;
    const td_jfunction *global = td_jinja_global(node->name);
    if (global) return td_jinja_callable(ev, TD_KIND_FUNCTION, global, NULL);
    return td_jinja_undefined(ev, NULL, node->name);
}

static const td_value *eval_list(td_jeval *ev, const td_jnode *node) {
    td_value *list =
        td_jinja_list(ev, node->kind == TD_J_TUPLE ? TD_KIND_TUPLE : TD_KIND_PLAIN, node->list.n);
    for (size_t i = 0; list && i < node->list.n; i++)
        if (!td_jinja_push(ev, list, td_jinja_eval(ev, node->list.items[i]))) return NULL;
    return list;
}

static const td_value *eval_dict(td_jeval *ev, const td_jnode *node) {
    td_value *map = td_jinja_map(ev);
    for (size_t i = 0; map && i + 1 < node->list.n; i += 2) {
        const td_value *key = td_jinja_eval(ev, node->list.items[i]);
        if (!key || !td_jinja_put(ev, map, key, td_jinja_eval(ev, node->list.items[i + 1])))
            return NULL;
    }
    return map;
}

static const td_value *eval_unary(td_jeval *ev, const td_jnode *node) {
    int64_t i;
    const td_value *v = td_jinja_eval(ev, node->a);
    if (!v) return NULL;
    if (v->type == TD_VALUE_UNDEFINED) return td_jinja_fail_undefined(ev, v);
    if (td_jinja_as_int(v, &i)) {
        if (node->op == '-' && __builtin_sub_overflow(0, i, &i))
            return td_jinja_fail(ev, TD_ERR_LIMIT, "an integer beyond 64 bits");
        return td_jinja_int(ev, i);
    }
    if (v->type == TD_VALUE_FLOAT)
        return td_jinja_float(ev, node->op == '-' ? -v->u.real : v->u.real);
    return td_jinja_fail(ev, TD_ERR_ARGUMENT, "'%c' does not work on '%s'", node->op,
                         td_value_type_name(v));
}

/* a < b < c is a < b and b < c, with b evaluated once and c only if needed. */
static const td_value *eval_compare(td_jeval *ev, const td_jnode *node) {
    const td_value *left = td_jinja_eval(ev, node->a);
    for (size_t i = 0; left && i < node->list.n; i++) {
        const td_jnode *operand = node->list.items[i];
        const td_value *right = td_jinja_eval(ev, operand->a);
        const int result = right ? td_jinja_compare(ev, operand->op, left, right) : -1;
        if (result < 0) return NULL;
        if (result == 0) return &td_value_const_false;
        left = right;
    }
    return left ? &td_value_const_true : NULL;
}

static const td_value *eval_concat(td_jeval *ev, const td_jnode *node) {
    const size_t mark = ev->out.n;
    for (size_t i = 0; i < node->list.n; i++) {
        const td_value *v = td_jinja_eval(ev, node->list.items[i]);
        if (!v) return NULL;
        td_value_add_str(v, &ev->out);
    }
    return td_jinja_take(ev, mark);
}

static const td_value *eval_cond(td_jeval *ev, const td_jnode *node) {
    const td_value *condition = td_jinja_eval(ev, node->b);
    if (!condition) return NULL;
    if (td_jinja_truth(condition)) return td_jinja_eval(ev, node->a);
    if (node->c) return td_jinja_eval(ev, node->c);
    return td_jinja_undefined_hint(ev, "an inline 'if' was false and has no 'else'");
}

static const td_value *eval_and_or(td_jeval *ev, const td_jnode *node) {
    const td_value *left = td_jinja_eval(ev, node->a);
    if (!left || td_jinja_truth(left) == (node->kind == TD_J_OR)) return left;
    return td_jinja_eval(ev, node->b);
}

static const td_value *eval_item(td_jeval *ev, const td_jnode *node) {
    const td_value *object = td_jinja_eval(ev, node->a);
    if (!object) return NULL;
    if (node->b->kind != TD_J_SLICE) {
        const td_value *key = td_jinja_eval(ev, node->b);
        return key ? td_jinja_item(ev, object, key) : NULL;
    }
    const td_jnode *const parts[3] = {node->b->a, node->b->b, node->b->c};
    const td_value *bounds[3] = {NULL, NULL, NULL};
    for (int i = 0; i < 3; i++) {
        if (!parts[i]) continue;
        bounds[i] = td_jinja_eval(ev, parts[i]);
        if (!bounds[i]) return NULL;
    }
    return td_jinja_slice(ev, object, bounds);
}

static const td_value *eval_call(td_jeval *ev, const td_jnode *node) {
    td_jcall call = {0};
    const td_value *callee = td_jinja_eval(ev, node->a);
    if (!callee || !td_jinja_collect_args(ev, node->args, &call)) return NULL;
    ev->line = node->line;
    return td_jinja_call_value(ev, callee, &call);
}

static const td_value *eval_filter_or_test(td_jeval *ev, const td_jnode *node) {
    td_jcall call = {0};
    const td_value *input = node->a ? td_jinja_eval(ev, node->a) : ev->block_text;
    if (!input) return NULL;
    if (node->args && !td_jinja_collect_args(ev, node->args, &call)) return NULL;
    ev->line = node->line;
    if (!node->function)
        return td_jinja_fail(ev, TD_ERR_ARGUMENT, "no %s named '%s'",
                             node->kind == TD_J_FILTER ? "filter" : "test", node->name);
    return td_jinja_apply(ev, node->function, input, &call);
}

static const td_value *eval_not(td_jeval *ev, const td_jnode *node) {
    const td_value *v = td_jinja_eval(ev, node->a);
    return v ? td_value_from_bool(!td_jinja_truth(v)) : NULL;
}

static const td_value *eval_binary(td_jeval *ev, const td_jnode *node) {
    const td_value *a = td_jinja_eval(ev, node->a);
    const td_value *b = a ? td_jinja_eval(ev, node->b) : NULL;
    return b ? td_jinja_binary(ev, node->op, a, b) : NULL;
}

static const td_value *eval_attr(td_jeval *ev, const td_jnode *node) {
    const td_value *object = td_jinja_eval(ev, node->a);
    return object ? td_jinja_attr(ev, object, node->name, strlen(node->name)) : NULL;
}

static const td_value *eval_kind(td_jeval *ev, const td_jnode *node) {
    switch (node->kind) {
    case TD_J_CONST: return node->value;
    case TD_J_NAME: return eval_name(ev, node);
    case TD_J_TUPLE:
    case TD_J_LIST: return eval_list(ev, node);
    case TD_J_DICT: return eval_dict(ev, node);
    case TD_J_UNARY: return eval_unary(ev, node);
    case TD_J_BINARY: return eval_binary(ev, node);
    case TD_J_NOT: return eval_not(ev, node);
    case TD_J_AND:
    case TD_J_OR: return eval_and_or(ev, node);
    case TD_J_COMPARE: return eval_compare(ev, node);
    case TD_J_CONCAT: return eval_concat(ev, node);
    case TD_J_COND: return eval_cond(ev, node);
    case TD_J_FILTER:
    case TD_J_TEST: return eval_filter_or_test(ev, node);
    case TD_J_CALL: return eval_call(ev, node);
    case TD_J_ATTR: return eval_attr(ev, node);
    case TD_J_ITEM: return eval_item(ev, node);
    default: return td_jinja_fail(ev, TD_ERR_FORMAT, "this cannot stand here");
    }
}

const td_value *td_jinja_eval(td_jeval *ev, const td_jnode *node) {
    if (!td_jinja_enter(ev, node)) return NULL;
    const td_value *v = eval_kind(ev, node);
    ev->n_nest--;
    return v;
}
