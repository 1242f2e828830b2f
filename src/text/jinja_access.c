/* jinja_access.c - attributes, items, slices and iteration, in the sandbox.
 *
 * obj.x asks for a method first and an item then; obj['x'] the other way round.  Nothing but our
 * own values and the methods in our tables can be reached, so there is no way out. */
#include "text/jinja_int.h"

#include <string.h>

#include "text/pystr.h"

/* ---- iteration ---- */

int64_t td_jinja_length(const td_value *v) {
    switch (v->type) {
    case TD_VALUE_UNDEFINED: return 0;
    case TD_VALUE_STRING: return (int64_t)v->u.string.n_char;
    case TD_VALUE_LIST: return v->kind == TD_KIND_ITER ? -1 : (int64_t)td_value_count(v);
    case TD_VALUE_MAP: return v->kind == TD_KIND_NAMESPACE ? -1 : (int64_t)v->u.map.n;
    default: return -1;
    }
}

bool td_jinja_is_iterable(const td_value *v) {
    return v->type == TD_VALUE_UNDEFINED || v->type == TD_VALUE_STRING ||
           v->type == TD_VALUE_LIST || (v->type == TD_VALUE_MAP && v->kind != TD_KIND_NAMESPACE) ||
           v->kind == TD_KIND_LOOP;
}

static const td_value *characters(td_jeval *ev, const td_value *v) {
    const char *s = v->u.string.text;
    const size_t n = v->u.string.n;
    td_value *list = td_jinja_list(ev, TD_KIND_PLAIN, v->u.string.n_char);
    for (size_t at = 0, len; list && at < n; at += len) {
        td_pystr_decode(s + at, n - at, &len);
        if (!td_jinja_push(ev, list, td_jinja_string(ev, s + at, len))) return NULL;
    }
    return list;
}

td_value *td_jinja_view(td_jeval *ev, const td_value *map, td_value_kind kind) {
    td_value *list = td_jinja_list(ev, kind, map->u.map.n);
    for (size_t i = 0; list && i < map->u.map.n; i++) {
        const td_value_entry *e = &map->u.map.entries[i];
        const td_value *item = kind == TD_KIND_KEYS ? e->key : e->item;
        if (kind == TD_KIND_ITEMS) {
            td_value *pair = td_jinja_list(ev, TD_KIND_TUPLE, 2);
            if (!td_jinja_push(ev, pair, e->key) || !td_jinja_push(ev, pair, e->item)) return NULL;
            item = pair;
        }
        if (!td_jinja_push(ev, list, item)) return NULL;
    }
    return list;
}

const td_value *td_jinja_draw(td_jeval *ev, const td_value *v) {
    switch (v->type) {
    case TD_VALUE_UNDEFINED: return td_jinja_list(ev, TD_KIND_PLAIN, 0);
    case TD_VALUE_STRING: return characters(ev, v);
    case TD_VALUE_MAP:
        if (v->kind == TD_KIND_NAMESPACE) break;
        return td_jinja_view(ev, v, TD_KIND_KEYS);
    case TD_VALUE_LIST:
        if (v->kind == TD_KIND_ITER) { /* used up by this */
            td_value *iter = (td_value *)v;
            td_value *list = td_jinja_list(ev, TD_KIND_PLAIN, 0);
            if (!list) return NULL;
            list->u.list = iter->u.list;
            iter->u.list.n = 0;
            iter->u.list.cap = 0;
            iter->u.list.broken = NULL;
            return list;
        }
        return v;
    default: break;
    }
    return td_jinja_fail(ev, TD_ERR_ARGUMENT, "'%s' cannot be iterated over",
                         td_value_type_name(v));
}

const td_value *td_jinja_iterate(td_jeval *ev, const td_value *v) {
    const td_value *items = td_jinja_draw(ev, v);
    if (!items || items->kind == TD_KIND_RANGE || !items->u.list.broken) return items;
    ev->status = td_fail(ev->err, TD_ERR_ARGUMENT, "%s", items->u.list.broken);
    return NULL;
}

const td_value *td_jinja_generate(td_jeval *ev, const td_value *v, const td_jcall *call,
                                  td_jfill *fill) {
    const size_t mark = ev->out.n;
    td_value *list = td_jinja_list(ev, TD_KIND_ITER, 0);
    if (!list || fill(ev, v, call, list)) return list;
    if (ev->status != TD_ERR_ARGUMENT) return NULL;
    const char *why = ev->err ? ev->err->msg : "a generator failed";
    const td_value *message = td_jinja_string(ev, why, strlen(why));
    if (!message) return NULL;
    ev->status = TD_OK;
    ev->out.n = mark;
    if (ev->err) *ev->err = (td_err){0};
    list->u.list.broken = message->u.string.text;
    return list;
}

const td_value *td_jinja_nth(td_jeval *ev, const td_value *list, size_t i) {
    if (list->kind != TD_KIND_RANGE) return list->u.list.items[i];
    return td_jinja_int(ev, list->u.range.start + list->u.range.step * (int64_t)i);
}

/* ---- attributes ---- */

static const td_value *cycler_attr(td_jeval *ev, const td_value *v, const char *name, size_t n) {
    const td_jcycler *cycler = v->u.call.data;
    if (v->kind == TD_KIND_CYCLER && n == 7 && memcmp(name, "current", 7) == 0)
        return td_jinja_nth(ev, cycler->items, cycler->i);
    return NULL;
}

static const td_value *macro_attr(td_jeval *ev, const td_value *v, const char *name, size_t n) {
    const td_jnode *macro = ((const td_jmacro *)v->u.call.data)->node;
    if (n == 4 && memcmp(name, "name", 4) == 0)
        return macro->name ? td_jinja_string(ev, macro->name, strlen(macro->name))
                           : &td_value_const_none;
    if (n == 6 && memcmp(name, "caller", 6) == 0)
        return td_value_from_bool((macro->op & TD_JUSES_CALLER) != 0);
    if (n != 9 || memcmp(name, "arguments", 9) != 0) return NULL;
    td_value *names = td_jinja_list(ev, TD_KIND_TUPLE, macro->more.n);
    for (size_t i = 0; names && i < macro->more.n; i++) {
        const char *param = macro->more.items[i]->name;
        if (!td_jinja_push(ev, names, td_jinja_string(ev, param, strlen(param)))) return NULL;
    }
    return names;
}

/* What Python's getattr would find. */
const td_value *td_jinja_own_attr(td_jeval *ev, const td_value *v, const char *name, size_t n) {
    bool is_unsafe = false;
    if (v->kind == TD_KIND_NAMESPACE) return td_value_find_text(v, name, n);
    if (v->kind == TD_KIND_LOOP) return td_jinja_loop_attr(ev, v, name, n);
    if (v->kind == TD_KIND_MACRO) return macro_attr(ev, v, name, n);
    const td_value *own = v->kind == TD_KIND_CYCLER ? cycler_attr(ev, v, name, n) : NULL;
    if (own) return own;
    const td_jfunction *method = td_jinja_method(v, name, n, &is_unsafe);
    if (method) return td_jinja_callable(ev, TD_KIND_METHOD, method, v);
    if (!is_unsafe && !(n >= 2 && memcmp(name, "__", 2) == 0)) return NULL;
    const size_t mark = ev->out.n;
    td_strbuf_addf(&ev->out, "the sandbox forbids access to '%.*s' of '%s'", n < 80 ? (int)n : 80,
                   name, td_value_type_name(v));
    const td_value *hint = td_jinja_take(ev, mark);
    return hint ? td_jinja_undefined_hint(ev, hint->u.string.text) : NULL;
}

static const td_value *missing(td_jeval *ev, const td_value *v, const char *name, size_t n) {
    const td_value *copy = td_jinja_string(ev, name, n);
    return copy ? td_jinja_undefined(ev, v, copy->u.string.text) : NULL;
}

const td_value *td_jinja_attr(td_jeval *ev, const td_value *v, const char *name, size_t n) {
    if (v->type == TD_VALUE_UNDEFINED && !(n >= 2 && memcmp(name, "__", 2) == 0))
        return td_jinja_fail_undefined(ev, v);
    const td_value *found = td_jinja_own_attr(ev, v, name, n);
    if (found || ev->status) return found;
    if (v->type == TD_VALUE_MAP && v->kind != TD_KIND_NAMESPACE)
        found = td_value_find_text(v, name, n);
    return found ? found : missing(ev, v, name, n);
}

/* ---- items ---- */

static const td_value *string_item(td_jeval *ev, const td_value *v, size_t i) {
    const char *s = v->u.string.text;
    const size_t n = v->u.string.n;
    if (v->u.string.n_char != n && !td_jinja_charge(ev, n / 64)) return NULL;
    const size_t at = v->u.string.n_char == n ? i : td_pystr_offset(s, n, i);
    size_t len;
    td_pystr_decode(s + at, n - at, &len);
    return td_jinja_string(ev, s + at, len);
}

static bool is_indexable(const td_value *v) {
    return v->type == TD_VALUE_STRING ||
           (v->type == TD_VALUE_LIST &&
            (v->kind == TD_KIND_PLAIN || v->kind == TD_KIND_TUPLE || v->kind == TD_KIND_RANGE));
}

const td_value *td_jinja_item(td_jeval *ev, const td_value *v, const td_value *key) {
    int64_t i;
    if (v->type == TD_VALUE_UNDEFINED) return td_jinja_fail_undefined(ev, v);
    if (v->type == TD_VALUE_MAP && v->kind != TD_KIND_NAMESPACE) {
        if (key->type == TD_VALUE_STRING && !td_jinja_charge(ev, key->u.string.n / 64)) return NULL;
        const td_value *found = td_value_find(v, key);
        if (found) return found;
    } else if (is_indexable(v) && td_jinja_as_int(key, &i)) {
        const int64_t n = td_jinja_length(v);
        if (i < 0) i += n;
        if (i >= 0 && i < n)
            return v->type == TD_VALUE_STRING ? td_jinja_like(ev, string_item(ev, v, (size_t)i), v)
                                              : td_jinja_nth(ev, v, (size_t)i);
    }
    if (key->type == TD_VALUE_STRING) {
        const td_value *found = td_jinja_own_attr(ev, v, key->u.string.text, key->u.string.n);
        if (found || ev->status) return found;
        return td_jinja_undefined(ev, v, key->u.string.text);
    }
    const size_t mark = ev->out.n;
    td_strbuf_addf(&ev->out, "'%s' object has no element ", td_value_type_name(v));
    td_value_add_repr(key, &ev->out);
    const td_value *hint = td_jinja_take(ev, mark);
    return hint ? td_jinja_undefined_hint(ev, hint->u.string.text) : NULL;
}

static bool is_digits(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (s[i] < '0' || s[i] > '9') return false;
    return n > 0 && n < 18;
}

const td_value *td_jinja_path(td_jeval *ev, const td_value *v, const td_value *path,
                              const td_value *otherwise) {
    if (otherwise && otherwise->type == TD_VALUE_NONE) otherwise = NULL;
    if (path->type == TD_VALUE_NONE) return v;
    if (path->type != TD_VALUE_STRING) {
        v = td_jinja_item(ev, v, path);
        return v && v->type == TD_VALUE_UNDEFINED && otherwise ? otherwise : v;
    }
    const char *s = path->u.string.text;
    const size_t n = path->u.string.n;
    for (size_t start = 0; v && start <= n;) {
        const char *dot = memchr(s + start, '.', n - start);
        const size_t end = dot ? (size_t)(dot - s) : n;
        const td_value *key;
        if (is_digits(s + start, end - start)) {
            int64_t i = 0;
            for (size_t k = start; k < end; k++) i = i * 10 + (s[k] - '0');
            key = td_jinja_int(ev, i);
        } else {
            key = td_jinja_string(ev, s + start, end - start);
        }
        v = key ? td_jinja_item(ev, v, key) : NULL;
        if (v && v->type == TD_VALUE_UNDEFINED && otherwise) v = otherwise;
        start = end + 1;
    }
    return v;
}

/* ---- slices ---- */

/* Python's slice.indices: start, stop and step of a walk over n items, and how many it meets. */
static bool slice_indices(td_jeval *ev, const td_value *const bounds[3], int64_t n, int64_t at[3],
                          int64_t *count) {
    at[0] = at[1] = 0;
    at[2] = 1;
    for (int i = 2; i >= 0; i--) {
        if (!bounds[i] || bounds[i]->type == TD_VALUE_NONE) {
            if (i == 0) at[0] = at[2] < 0 ? n - 1 : 0;
            if (i == 1) at[1] = at[2] < 0 ? -1 : n;
            continue;
        }
        if (!td_jinja_as_int(bounds[i], &at[i])) {
            td_jinja_fail(ev, TD_ERR_ARGUMENT, "a slice wants integers or none, not '%s'",
                          td_value_type_name(bounds[i]));
            return false;
        }
        if (i == 2) continue;
        if (at[i] < 0) at[i] += n;
        if (at[i] < 0) at[i] = at[2] < 0 ? -1 : 0;
        if (at[i] >= n) at[i] = at[2] < 0 ? n - 1 : n;
    }
    if (at[2] == 0) {
        td_jinja_fail(ev, TD_ERR_ARGUMENT, "the step of a slice is zero");
        return false;
    }
    if (at[2] > n + 1) at[2] = n + 1; /* any larger step meets as few; keeps the sums small */
    if (at[2] < -n - 1) at[2] = -n - 1;
    const int64_t span = at[2] > 0 ? at[1] - at[0] : at[0] - at[1];
    const int64_t stride = at[2] > 0 ? at[2] : -at[2];
    *count = span > 0 ? (span + stride - 1) / stride : 0;
    return true;
}

static const td_value *slice_string(td_jeval *ev, const td_value *v, int64_t start, int64_t step,
                                    int64_t count) {
    const char *s = v->u.string.text;
    const size_t n = v->u.string.n, mark = ev->out.n;
    const bool is_ascii = n == v->u.string.n_char;
    if (!td_jinja_charge(ev, n / 64)) return NULL;
    if (step == 1) {
        const size_t from = is_ascii ? (size_t)start : td_pystr_offset(s, n, (size_t)start);
        const size_t len =
            is_ascii ? (size_t)count : td_pystr_offset(s + from, n - from, (size_t)count);
        return td_jinja_string(ev, s + from, len);
    }
    if (!td_jinja_charge(ev, (size_t)count / 16)) return NULL;
    size_t at = count == 0 ? 0 : is_ascii ? (size_t)start : td_pystr_offset(s, n, (size_t)start);
    for (int64_t i = 0; i < count; i++) {
        size_t len;
        td_pystr_decode(s + at, n - at, &len);
        td_strbuf_add(&ev->out, s + at, len);
        for (int64_t k = 0; i + 1 < count && k < (step < 0 ? -step : step); k++) {
            if (step > 0)
                td_pystr_decode(s + at, n - at, &len);
            else
                td_pystr_decode_back(s, at, &len);
            at = step > 0 ? at + len : at - len;
        }
    }
    return td_jinja_take(ev, mark);
}

/* Number i of a range, which may be beyond its end, where nobody asks for it: it wraps around. */
static int64_t range_at(const td_value *v, int64_t i) {
    return (int64_t)((uint64_t)v->u.range.start + (uint64_t)v->u.range.step * (uint64_t)i);
}

const td_value *td_jinja_slice(td_jeval *ev, const td_value *v, const td_value *const bounds[3]) {
    int64_t at[3], count;
    if (v->type == TD_VALUE_UNDEFINED) return td_jinja_fail_undefined(ev, v);
    if (!is_indexable(v))
        return td_jinja_fail(ev, TD_ERR_ARGUMENT, "'%s' cannot be sliced", td_value_type_name(v));
    if (!slice_indices(ev, bounds, td_jinja_length(v), at, &count)) return NULL;
    const int64_t start = at[0], step = at[2];
    if (v->type == TD_VALUE_STRING) {
        const td_value *text = slice_string(ev, v, count ? start : 0, step, count);
        return text && v->kind == TD_KIND_MARKUP ? td_jinja_mark(ev, text, v->kind) : text;
    }
    if (v->kind == TD_KIND_RANGE) {
        td_value *range = td_jinja_list(ev, TD_KIND_RANGE, 0);
        if (!range) return NULL;
        range->u.range.start = range_at(v, start);
        range->u.range.stop = range_at(v, at[1]);
        range->u.range.step = (int64_t)((uint64_t)v->u.range.step * (uint64_t)step);
        range->u.range.n = (size_t)count;
        return range;
    }
    td_value *list = td_jinja_list(ev, v->kind, (size_t)count);
    for (int64_t i = 0; list && i < count; i++)
        if (!td_jinja_push(ev, list, v->u.list.items[start + i * step])) return NULL;
    return list;
}
