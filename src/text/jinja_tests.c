/* jinja_tests.c - what "x is ..." can ask. */
#include <string.h>

#include "text/jinja_int.h"

static const td_value *answer(int result) { return result < 0 ? NULL : td_value_from_bool(result); }

static const td_value *t_defined(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)ev, (void)call;
    return answer(v->type != TD_VALUE_UNDEFINED);
}

static const td_value *t_undefined(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)ev, (void)call;
    return answer(v->type == TD_VALUE_UNDEFINED);
}

static const td_value *t_none(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)ev, (void)call;
    return answer(v->type == TD_VALUE_NONE);
}

static const td_value *t_boolean(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)ev, (void)call;
    return answer(v->type == TD_VALUE_BOOL);
}

static const td_value *t_true(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)ev, (void)call;
    return answer(v->type == TD_VALUE_BOOL && v->u.boolean);
}

static const td_value *t_false(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)ev, (void)call;
    return answer(v->type == TD_VALUE_BOOL && !v->u.boolean);
}

static const td_value *t_integer(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)ev, (void)call;
    return answer(v->type == TD_VALUE_INT);
}

static const td_value *t_float(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)ev, (void)call;
    return answer(v->type == TD_VALUE_FLOAT);
}

static const td_value *t_number(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)ev, (void)call;
    return answer(td_jinja_is_number(v));
}

static const td_value *t_string(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)ev, (void)call;
    return answer(v->type == TD_VALUE_STRING);
}

static const td_value *t_mapping(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)ev, (void)call;
    return answer(v->type == TD_VALUE_MAP && v->kind != TD_KIND_NAMESPACE);
}

static const td_value *t_iterable(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)ev, (void)call;
    return answer(td_jinja_is_iterable(v));
}

/* What has a length and items by number or key: views of a dict have none, undefined has. */
static const td_value *t_sequence(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)ev, (void)call;
    if (v->type == TD_VALUE_LIST)
        return answer(v->kind == TD_KIND_PLAIN || v->kind == TD_KIND_TUPLE ||
                      v->kind == TD_KIND_RANGE);
    return answer(v->type == TD_VALUE_STRING || v->type == TD_VALUE_UNDEFINED ||
                  (v->type == TD_VALUE_MAP && v->kind != TD_KIND_NAMESPACE));
}

static const td_value *t_callable(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)ev, (void)call;
    return answer(v->type == TD_VALUE_UNDEFINED ||
                  (v->type == TD_VALUE_CALLABLE && v->kind != TD_KIND_CYCLER));
}

static const td_value *t_escaped(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)ev, (void)call;
    return answer(v->kind == TD_KIND_MARKUP);
}

static const td_value *by_method(td_jeval *ev, const td_value *v, const char *name) {
    const td_value *text = td_jinja_to_string(ev, v);
    const td_jcall call = {0};
    return text
               ? td_jinja_table_find(td_jinja_case_methods, name, strlen(name))->fn(ev, text, &call)
               : NULL;
}

static const td_value *t_lower(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)call;
    return by_method(ev, v, "islower");
}

static const td_value *t_upper(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)call;
    return by_method(ev, v, "isupper");
}

static const td_value *remainder_is(td_jeval *ev, const td_value *v, const td_value *divisor,
                                    int64_t wanted) {
    const td_value *rest = divisor ? td_jinja_binary(ev, TD_JOP_MOD, v, divisor) : NULL;
    const td_value *want = rest ? td_jinja_int(ev, wanted) : NULL;
    return want ? answer(td_jinja_equal(ev, rest, want)) : NULL;
}

static const td_value *t_odd(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)call;
    return remainder_is(ev, v, td_jinja_int(ev, 2), 1);
}

static const td_value *t_even(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)call;
    return remainder_is(ev, v, td_jinja_int(ev, 2), 0);
}

static const td_value *t_divisibleby(td_jeval *ev, const td_value *v, const td_jcall *call) {
    return remainder_is(ev, v, call->param[0], 0);
}

/* Identity: of containers the object, of scalars the value, as far as Python's caching goes. */
static const td_value *t_sameas(td_jeval *ev, const td_value *v, const td_jcall *call) {
    const td_value *other = call->param[0];
    if (v == other) return answer(1);
    if (v->type != other->type || v->type == TD_VALUE_LIST || v->type == TD_VALUE_MAP ||
        v->type == TD_VALUE_FLOAT || v->type == TD_VALUE_UNDEFINED || v->type == TD_VALUE_CALLABLE)
        return answer(0);
    return answer(td_jinja_equal(ev, v, other));
}

static const td_value *is_name(td_jeval *ev, const td_value *v,
                               const td_jfunction *(*find)(const char *)) {
    if (!td_value_is_hashable(v))
        return td_jinja_fail(ev, TD_ERR_ARGUMENT, "'%s' cannot be a name", td_value_type_name(v));
    return answer(v->type == TD_VALUE_STRING && find(v->u.string.text) != NULL);
}

static const td_value *t_filter(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)call;
    return is_name(ev, v, td_jinja_filter);
}

static const td_value *t_test(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)call;
    return is_name(ev, v, td_jinja_test);
}

static const td_value *t_eq(td_jeval *ev, const td_value *v, const td_jcall *call) {
    return answer(td_jinja_compare(ev, TD_JOP_EQ, v, call->param[0]));
}

static const td_value *t_ne(td_jeval *ev, const td_value *v, const td_jcall *call) {
    return answer(td_jinja_compare(ev, TD_JOP_NE, v, call->param[0]));
}

static const td_value *t_lt(td_jeval *ev, const td_value *v, const td_jcall *call) {
    return answer(td_jinja_compare(ev, TD_JOP_LT, v, call->param[0]));
}

static const td_value *t_le(td_jeval *ev, const td_value *v, const td_jcall *call) {
    return answer(td_jinja_compare(ev, TD_JOP_LE, v, call->param[0]));
}

static const td_value *t_gt(td_jeval *ev, const td_value *v, const td_jcall *call) {
    return answer(td_jinja_compare(ev, TD_JOP_GT, v, call->param[0]));
}

static const td_value *t_ge(td_jeval *ev, const td_value *v, const td_jcall *call) {
    return answer(td_jinja_compare(ev, TD_JOP_GE, v, call->param[0]));
}

static const td_value *t_in(td_jeval *ev, const td_value *v, const td_jcall *call) {
    return answer(td_jinja_compare(ev, TD_JOP_IN, v, call->param[0]));
}

static const td_jfunction tests[] = {
    {"defined",     t_defined,     0, {NULL}   },
    {"undefined",   t_undefined,   0, {NULL}   },
    {"none",        t_none,        0, {NULL}   },
    {"string",      t_string,      0, {NULL}   },
    {"mapping",     t_mapping,     0, {NULL}   },
    {"iterable",    t_iterable,    0, {NULL}   },
    {"sequence",    t_sequence,    0, {NULL}   },
    {"boolean",     t_boolean,     0, {NULL}   },
    {"true",        t_true,        0, {NULL}   },
    {"false",       t_false,       0, {NULL}   },
    {"integer",     t_integer,     0, {NULL}   },
    {"float",       t_float,       0, {NULL}   },
    {"number",      t_number,      0, {NULL}   },
    {"callable",    t_callable,    0, {NULL}   },
    {"escaped",     t_escaped,     0, {NULL}   },
    {"lower",       t_lower,       0, {NULL}   },
    {"upper",       t_upper,       0, {NULL}   },
    {"odd",         t_odd,         0, {NULL}   },
    {"even",        t_even,        0, {NULL}   },
    {"divisibleby", t_divisibleby, 1, {"num"}  },
    {"sameas",      t_sameas,      1, {"other"}},
    {"filter",      t_filter,      0, {NULL}   },
    {"test",        t_test,        0, {NULL}   },
    {"in",          t_in,          1, {"seq"}  },
    {"eq",          t_eq,          1, {"other"}},
    {"equalto",     t_eq,          1, {"other"}},
    {"==",          t_eq,          1, {"other"}},
    {"ne",          t_ne,          1, {"other"}},
    {"!=",          t_ne,          1, {"other"}},
    {"lt",          t_lt,          1, {"other"}},
    {"lessthan",    t_lt,          1, {"other"}},
    {"<",           t_lt,          1, {"other"}},
    {"le",          t_le,          1, {"other"}},
    {"<=",          t_le,          1, {"other"}},
    {"gt",          t_gt,          1, {"other"}},
    {"greaterthan", t_gt,          1, {"other"}},
    {">",           t_gt,          1, {"other"}},
    {"ge",          t_ge,          1, {"other"}},
    {">=",          t_ge,          1, {"other"}},
    {NULL,          NULL,          0, {NULL}   },
};

const td_jfunction *td_jinja_test(const char *name) {
    return td_jinja_table_find(tests, name, strlen(name));
}
