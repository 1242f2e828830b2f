/* jinja_ops.c - Python's operators on values. */
#include "text/jinja_int.h"

#include <math.h>
#include <string.h>

#include "text/pystr.h"

bool td_jinja_truth(const td_value *v) {
    switch (v->type) {
    case TD_VALUE_UNDEFINED:
    case TD_VALUE_NONE: return false;
    case TD_VALUE_BOOL: return v->u.boolean;
    case TD_VALUE_INT: return v->u.integer != 0;
    case TD_VALUE_FLOAT: return v->u.real != 0;
    case TD_VALUE_STRING: return v->u.string.n != 0;
    case TD_VALUE_LIST: return v->kind == TD_KIND_ITER || td_value_count(v) != 0;
    case TD_VALUE_MAP: return v->kind == TD_KIND_NAMESPACE || v->u.map.n != 0;
    case TD_VALUE_CALLABLE: return true;
    }
    return true;
}

bool td_jinja_is_number(const td_value *v) {
    return v->type == TD_VALUE_INT || v->type == TD_VALUE_BOOL || v->type == TD_VALUE_FLOAT;
}

bool td_jinja_as_int(const td_value *v, int64_t *i) {
    if (v->type == TD_VALUE_INT)
        *i = v->u.integer;
    else if (v->type == TD_VALUE_BOOL)
        *i = v->u.boolean;
    else
        return false;
    return true;
}

double td_jinja_as_float(const td_value *v) {
    if (v->type == TD_VALUE_FLOAT) return v->u.real;
    return v->type == TD_VALUE_BOOL ? v->u.boolean : (double)v->u.integer;
}

/* ---- equality and order ---- */

static int equal_at(td_jeval *ev, const td_value *a, const td_value *b, int depth);

static int lists_equal(td_jeval *ev, const td_value *a, const td_value *b, int depth) {
    if (a->u.list.n != b->u.list.n) return 0;
    for (size_t i = 0; i < a->u.list.n; i++) {
        const int equal = equal_at(ev, a->u.list.items[i], b->u.list.items[i], depth + 1);
        if (equal != 1) return equal;
    }
    return 1;
}

static int maps_equal(td_jeval *ev, const td_value *a, const td_value *b, int depth) {
    if (a->u.map.n != b->u.map.n) return 0;
    for (size_t i = 0; i < a->u.map.n; i++) {
        const td_value *other = td_value_find(b, a->u.map.entries[i].key);
        if (!other) return 0;
        const int equal = equal_at(ev, a->u.map.entries[i].item, other, depth + 1);
        if (equal != 1) return equal;
    }
    return 1;
}

static int ranges_equal(const td_value *a, const td_value *b) {
    if (a->u.range.n != b->u.range.n) return 0;
    if (a->u.range.n == 0) return 1;
    return a->u.range.start == b->u.range.start &&
           (a->u.range.n == 1 || a->u.range.step == b->u.range.step);
}

/* Structures may share parts and so be exponentially large to walk: every pair counts as a step. */
static int equal_at(td_jeval *ev, const td_value *a, const td_value *b, int depth) {
    if (!td_jinja_charge(ev, 1)) return -1;
    if (depth > TD_VALUE_MAX_DEPTH) {
        td_jinja_fail(ev, TD_ERR_LIMIT, "values nested too deep to compare");
        return -1;
    }
    if (td_jinja_is_number(a) && td_jinja_is_number(b)) {
        int64_t i, j;
        if (td_jinja_as_int(a, &i) && td_jinja_as_int(b, &j)) return i == j;
        return td_jinja_as_float(a) == td_jinja_as_float(b);
    }
    if (a->type != b->type) return 0;
    switch (a->type) {
    case TD_VALUE_UNDEFINED:
    case TD_VALUE_NONE: return 1;
    case TD_VALUE_STRING:
        if (a->u.string.n != b->u.string.n) return 0;
        if (!td_jinja_charge(ev, a->u.string.n / 256)) return -1;
        return memcmp(a->u.string.text, b->u.string.text, a->u.string.n) == 0;
    case TD_VALUE_LIST:
        if (a == b) return 1;
        if (a->kind != b->kind || a->kind == TD_KIND_ITER) return 0;
        return a->kind == TD_KIND_RANGE ? ranges_equal(a, b) : lists_equal(ev, a, b, depth);
    case TD_VALUE_MAP:
        if (a == b) return 1;
        if (a->kind == TD_KIND_NAMESPACE || b->kind == TD_KIND_NAMESPACE) return 0;
        return maps_equal(ev, a, b, depth);
    case TD_VALUE_CALLABLE:
        return a->kind == b->kind && a->u.call.data == b->u.call.data &&
               a->u.call.self == b->u.call.self;
    default: return 0;
    }
}

int td_jinja_equal(td_jeval *ev, const td_value *a, const td_value *b) {
    return equal_at(ev, a, b, 0);
}

/* -2: failed; else the sign of a - b, or 2 for a NaN. */
static int order_at(td_jeval *ev, const char *op, const td_value *a, const td_value *b, int depth);

static int order_lists(td_jeval *ev, const char *op, const td_value *a, const td_value *b,
                       int depth) {
    const size_t n = a->u.list.n < b->u.list.n ? a->u.list.n : b->u.list.n;
    for (size_t i = 0; i < n; i++) {
        const td_value *x = a->u.list.items[i], *y = b->u.list.items[i];
        const int equal = equal_at(ev, x, y, depth + 1);
        if (equal < 0) return -2;
        if (!equal) return order_at(ev, op, x, y, depth + 1);
    }
    return (a->u.list.n > b->u.list.n) - (a->u.list.n < b->u.list.n);
}

static int order_at(td_jeval *ev, const char *op, const td_value *a, const td_value *b, int depth) {
    if (!td_jinja_charge(ev, 1)) return -2;
    if (depth > TD_VALUE_MAX_DEPTH) {
        td_jinja_fail(ev, TD_ERR_LIMIT, "values nested too deep to compare");
        return -2;
    }
    if (a->type == TD_VALUE_UNDEFINED || b->type == TD_VALUE_UNDEFINED) {
        td_jinja_fail_undefined(ev, a->type == TD_VALUE_UNDEFINED ? a : b);
        return -2;
    }
    int64_t i, j;
    if (td_jinja_as_int(a, &i) && td_jinja_as_int(b, &j)) return (i > j) - (i < j);
    if (td_jinja_is_number(a) && td_jinja_is_number(b)) {
        const double x = td_jinja_as_float(a), y = td_jinja_as_float(b);
        return isnan(x) || isnan(y) ? 2 : (x > y) - (x < y);
    }
    if (a->type == TD_VALUE_STRING && b->type == TD_VALUE_STRING) {
        const size_t n = a->u.string.n < b->u.string.n ? a->u.string.n : b->u.string.n;
        if (!td_jinja_charge(ev, n / 256)) return -2;
        const int order = memcmp(a->u.string.text, b->u.string.text, n);
        if (order) return order < 0 ? -1 : 1;
        return (a->u.string.n > b->u.string.n) - (a->u.string.n < b->u.string.n);
    }
    if (a->type == TD_VALUE_LIST && b->type == TD_VALUE_LIST && a->kind == b->kind &&
        (a->kind == TD_KIND_PLAIN || a->kind == TD_KIND_TUPLE))
        return order_lists(ev, op, a, b, depth);
    td_jinja_fail(ev, TD_ERR_ARGUMENT, "'%s' is not supported between '%s' and '%s'", op,
                  td_value_type_name(a), td_value_type_name(b));
    return -2;
}

static int contains(td_jeval *ev, const td_value *item, const td_value *v) {
    int64_t i;
    if (v->type == TD_VALUE_STRING) {
        if (item->type != TD_VALUE_STRING) {
            td_jinja_fail(ev, TD_ERR_ARGUMENT, "'in <string>' wants a string on its left, not '%s'",
                          td_value_type_name(item));
            return -1;
        }
        if (!td_jinja_charge(ev, v->u.string.n / 64)) return -1;
        return td_pystr_find(v->u.string.text, v->u.string.n, item->u.string.text,
                             item->u.string.n) >= 0;
    }
    if (v->type == TD_VALUE_MAP && v->kind != TD_KIND_NAMESPACE) {
        if (item->type == TD_VALUE_STRING && !td_jinja_charge(ev, item->u.string.n / 64)) return -1;
        if (!td_value_is_hashable(item)) {
            td_jinja_fail(ev, TD_ERR_ARGUMENT, "'%s' cannot be a key", td_value_type_name(item));
            return -1;
        }
        return td_value_find(v, item) != NULL;
    }
    if (v->type == TD_VALUE_LIST && v->kind == TD_KIND_RANGE && td_jinja_as_int(item, &i)) {
        if (v->u.range.n == 0) return 0;
        const int64_t offset = i - v->u.range.start; /* both are small: ranges are limited */
        return offset % v->u.range.step == 0 && offset / v->u.range.step >= 0 &&
               (uint64_t)(offset / v->u.range.step) < v->u.range.n;
    }
    if (v->kind == TD_KIND_KEYS && !td_value_is_hashable(item)) {
        td_jinja_fail(ev, TD_ERR_ARGUMENT, "'%s' cannot be a key", td_value_type_name(item));
        return -1;
    }
    const td_value *items = td_jinja_iterate(ev, v);
    if (!items) return -1;
    for (size_t k = 0; k < td_value_count(items); k++) {
        const td_value *x = td_jinja_nth(ev, items, k);
        const int equal = x == item ? 1 : x ? td_jinja_equal(ev, x, item) : -1;
        if (equal != 0) return equal;
    }
    return 0;
}

int td_jinja_compare(td_jeval *ev, int op, const td_value *a, const td_value *b) {
    int result;
    switch (op) {
    case TD_JOP_EQ: return td_jinja_equal(ev, a, b);
    case TD_JOP_NE: result = td_jinja_equal(ev, a, b); return result < 0 ? result : !result;
    case TD_JOP_IN: return contains(ev, a, b);
    case TD_JOP_NOT_IN: result = contains(ev, a, b); return result < 0 ? result : !result;
    case TD_JOP_LT: result = order_at(ev, "<", a, b, 0); break;
    case TD_JOP_LE: result = order_at(ev, "<=", a, b, 0); break;
    case TD_JOP_GT: result = order_at(ev, ">", a, b, 0); break;
    default: result = order_at(ev, ">=", a, b, 0); break;
    }
    if (result == -2) return -1;
    if (result == 2) return 0;
    if (op == TD_JOP_LT) return result < 0;
    if (op == TD_JOP_LE) return result <= 0;
    return op == TD_JOP_GT ? result > 0 : result >= 0;
}

/* ---- arithmetic ---- */

static const td_value *fail_operands(td_jeval *ev, int op, const td_value *a, const td_value *b) {
    static const char *const text[] = {"", "+", "-", "*", "/", "//", "%", "**"};
    if (a->type == TD_VALUE_UNDEFINED) return td_jinja_fail_undefined(ev, a);
    if (b->type == TD_VALUE_UNDEFINED) return td_jinja_fail_undefined(ev, b);
    return td_jinja_fail(ev, TD_ERR_ARGUMENT, "'%s' is not supported between '%s' and '%s'",
                         text[op], td_value_type_name(a), td_value_type_name(b));
}

static const td_value *fail_overflow(td_jeval *ev) {
    return td_jinja_fail(ev, TD_ERR_LIMIT, "an integer beyond 64 bits");
}

static const td_value *fail_zero(td_jeval *ev) {
    return td_jinja_fail(ev, TD_ERR_ARGUMENT, "division by zero");
}

/* Rounds towards minus infinity, as Python does. */
static int64_t floor_div(int64_t a, int64_t b) {
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

static const td_value *int_power(td_jeval *ev, int64_t base, int64_t exponent) {
    int64_t result = 1;
    if (exponent < 0) {
        if (base == 0) return fail_zero(ev);
        return td_jinja_float(ev, pow((double)base, (double)exponent));
    }
    for (;;) {
        if ((exponent & 1) && __builtin_mul_overflow(result, base, &result))
            return fail_overflow(ev);
        exponent >>= 1;
        if (exponent == 0) return td_jinja_int(ev, result);
        if (__builtin_mul_overflow(base, base, &base)) return fail_overflow(ev);
    }
}

static const td_value *int_op(td_jeval *ev, int op, int64_t a, int64_t b) {
    int64_t r;
    switch (op) {
    case TD_JOP_ADD:
        return __builtin_add_overflow(a, b, &r) ? fail_overflow(ev) : td_jinja_int(ev, r);
    case TD_JOP_SUB:
        return __builtin_sub_overflow(a, b, &r) ? fail_overflow(ev) : td_jinja_int(ev, r);
    case TD_JOP_MUL:
        return __builtin_mul_overflow(a, b, &r) ? fail_overflow(ev) : td_jinja_int(ev, r);
    case TD_JOP_DIV: return b == 0 ? fail_zero(ev) : td_jinja_float(ev, (double)a / (double)b);
    case TD_JOP_FLOORDIV:
        if (b == 0) return fail_zero(ev);
        if (b == -1) return a == INT64_MIN ? fail_overflow(ev) : td_jinja_int(ev, -a);
        return td_jinja_int(ev, floor_div(a, b));
    case TD_JOP_MOD:
        if (b == 0) return fail_zero(ev);
        return td_jinja_int(ev, b == -1 ? 0 : a - floor_div(a, b) * b);
    default: return int_power(ev, a, b);
    }
}

static double float_mod(double a, double b) {
    const double r = fmod(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r == 0 ? copysign(0.0, b) : r;
}

/* The whole number nearest to the exact quotient of what float_mod leaves; zero keeps its sign. */
static double float_floor_div(double a, double b) {
    const double quotient = (a - float_mod(a, b)) / b;
    if (quotient == 0) return copysign(0.0, a / b);
    const double whole = floor(quotient);
    return quotient - whole > 0.5 ? whole + 1 : whole;
}

static const td_value *float_op(td_jeval *ev, int op, double a, double b) {
    double r;
    switch (op) {
    case TD_JOP_ADD: return td_jinja_float(ev, a + b);
    case TD_JOP_SUB: return td_jinja_float(ev, a - b);
    case TD_JOP_MUL: return td_jinja_float(ev, a * b);
    case TD_JOP_DIV: return b == 0 ? fail_zero(ev) : td_jinja_float(ev, a / b);
    case TD_JOP_FLOORDIV: return b == 0 ? fail_zero(ev) : td_jinja_float(ev, float_floor_div(a, b));
    case TD_JOP_MOD: return b == 0 ? fail_zero(ev) : td_jinja_float(ev, float_mod(a, b));
    default:
        if (a == 0 && b < 0) return fail_zero(ev);
        r = pow(a, b);
        if (isnan(r) && !isnan(a) && !isnan(b))
            return td_jinja_fail(ev, TD_ERR_UNSUPPORTED, "a complex number");
        if (isinf(r) && !isinf(a) && !isinf(b))
            return td_jinja_fail(ev, TD_ERR_ARGUMENT, "a float out of range");
        return td_jinja_float(ev, r);
    }
}

static const td_value *join_strings(td_jeval *ev, const td_value *a, const td_value *b) {
    const bool is_markup = a->kind == TD_KIND_MARKUP || b->kind == TD_KIND_MARKUP;
    if (is_markup) {
        a = td_jinja_escape(ev, a);
        b = a ? td_jinja_escape(ev, b) : NULL;
        if (!b) return NULL;
    }
    const size_t mark = ev->out.n;
    td_strbuf_add(&ev->out, a->u.string.text, a->u.string.n);
    td_strbuf_add(&ev->out, b->u.string.text, b->u.string.n);
    const td_value *v = td_jinja_take(ev, mark);
    return is_markup && v ? td_jinja_mark(ev, v, TD_KIND_MARKUP) : v;
}

static const td_value *join_lists(td_jeval *ev, const td_value *a, const td_value *b) {
    td_value *list = td_jinja_list(ev, a->kind, a->u.list.n + b->u.list.n);
    for (size_t i = 0; list && i < a->u.list.n; i++)
        if (!td_jinja_push(ev, list, a->u.list.items[i])) return NULL;
    for (size_t i = 0; list && i < b->u.list.n; i++)
        if (!td_jinja_push(ev, list, b->u.list.items[i])) return NULL;
    return list;
}

static const td_value *repeat(td_jeval *ev, const td_value *v, int64_t times) {
    if (times < 0) times = 0;
    if (v->type == TD_VALUE_STRING) {
        const size_t mark = ev->out.n, n = v->u.string.n;
        for (int64_t i = 0; n > 0 && i < times && !ev->out.failed; i++) {
            if (i % 64 == 0 && !td_jinja_charge(ev, 1)) return NULL;
            td_strbuf_add(&ev->out, v->u.string.text, n);
        }
        const td_value *text = td_jinja_take(ev, mark);
        return text && v->kind == TD_KIND_MARKUP ? td_jinja_mark(ev, text, v->kind) : text;
    }
    size_t n;
    if (__builtin_mul_overflow(v->u.list.n, (size_t)times, &n)) n = SIZE_MAX;
    td_value *list = td_jinja_list(ev, v->kind, n);
    for (int64_t i = 0; list && v->u.list.n && i < times; i++)
        for (size_t k = 0; k < v->u.list.n; k++)
            if (!td_jinja_push(ev, list, v->u.list.items[k])) return NULL;
    return list;
}

static bool is_sequence(const td_value *v) {
    return v->type == TD_VALUE_STRING ||
           (v->type == TD_VALUE_LIST && (v->kind == TD_KIND_PLAIN || v->kind == TD_KIND_TUPLE));
}

const td_value *td_jinja_binary(td_jeval *ev, int op, const td_value *a, const td_value *b) {
    int64_t i = 0, j = 0;
    const bool a_is_int = td_jinja_as_int(a, &i), b_is_int = td_jinja_as_int(b, &j);
    if (a_is_int && b_is_int) return int_op(ev, op, i, j);
    if (td_jinja_is_number(a) && td_jinja_is_number(b))
        return float_op(ev, op, td_jinja_as_float(a), td_jinja_as_float(b));
    if (op == TD_JOP_ADD && a->type == TD_VALUE_STRING && b->type == TD_VALUE_STRING)
        return join_strings(ev, a, b);
    if (op == TD_JOP_ADD && a->type == TD_VALUE_LIST && b->type == TD_VALUE_LIST &&
        a->kind == b->kind && is_sequence(a))
        return join_lists(ev, a, b);
    if (op == TD_JOP_MUL && is_sequence(a) && b_is_int) return repeat(ev, a, j);
    if (op == TD_JOP_MUL && is_sequence(b) && a_is_int) return repeat(ev, b, i);
    if (op == TD_JOP_MOD && a->type == TD_VALUE_STRING) return td_jinja_percent(ev, a, b);
    return fail_operands(ev, op, a, b);
}
