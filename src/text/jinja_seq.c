/* jinja_seq.c - filters that take a sequence apart, sort it or put it together again. */
#include <string.h>

#include "text/jinja_int.h"
#include "text/pystr.h"

/* ---- sorting ---- */

typedef struct pair {
    const td_value *key, *item;
} pair;

/* Merges two sorted runs; only "less than" is asked, as Python does, and equals keep their order.
 */
static bool merge(td_jeval *ev, const pair *from, size_t n_left, size_t n, pair *to, bool reverse) {
    size_t left = 0, right = n_left;
    for (size_t i = 0; i < n; i++) {
        int take_right = left == n_left;
        if (left < n_left && right < n) {
            const td_value *l = from[left].key, *r = from[right].key;
            take_right = td_jinja_compare(ev, TD_JOP_LT, reverse ? l : r, reverse ? r : l);
            if (take_right < 0) return false;
        }
        to[i] = take_right ? from[right++] : from[left++];
    }
    return true;
}

td_value *td_jinja_sort(td_jeval *ev, const td_value *items, const td_value *keys, bool reverse) {
    const size_t n = td_value_count(items);
    pair *from = td_jinja_alloc(ev, n * sizeof *from);
    pair *to = td_jinja_alloc(ev, n * sizeof *to);
    if (!from || !to) return NULL;
    for (size_t i = 0; i < n; i++) {
        from[i].key = td_jinja_nth(ev, keys, i);
        from[i].item = td_jinja_nth(ev, items, i);
        if (!from[i].key || !from[i].item) return NULL;
    }
    for (size_t run = 1; run < n; run *= 2) {
        for (size_t at = 0; at < n; at += 2 * run) {
            const size_t here = n - at < 2 * run ? n - at : 2 * run;
            if (!merge(ev, from + at, here < run ? here : run, here, to + at, reverse)) return NULL;
        }
        pair *swap = from;
        from = to;
        to = swap;
    }
    td_value *list = td_jinja_list(ev, TD_KIND_PLAIN, n);
    for (size_t i = 0; list && i < n; i++)
        if (!td_jinja_push(ev, list, from[i].item)) return NULL;
    return list;
}

/* Strings in lower case unless the case matters; other values as they are. */
static const td_value *fold(td_jeval *ev, const td_value *v, bool case_sensitive) {
    if (!v || case_sensitive || v->type != TD_VALUE_STRING) return v;
    return td_jinja_convert(ev, v, TD_PYSTR_LOWER);
}

/* The part of item that `attribute` (NULL: all of it) names. */
static const td_value *key_of(td_jeval *ev, const td_value *item, const td_value *attribute,
                              const td_value *otherwise, bool case_sensitive) {
    const td_value *v = attribute ? td_jinja_path(ev, item, attribute, otherwise) : item;
    return fold(ev, v, case_sensitive);
}

static td_value *keys_of(td_jeval *ev, const td_value *items, const td_value *attribute,
                         const td_value *otherwise, bool case_sensitive) {
    td_value *keys = td_jinja_list(ev, TD_KIND_PLAIN, td_value_count(items));
    for (size_t i = 0; keys && i < td_value_count(items); i++) {
        const td_value *item = td_jinja_nth(ev, items, i);
        if (!item ||
            !td_jinja_push(ev, keys, key_of(ev, item, attribute, otherwise, case_sensitive)))
            return NULL;
    }
    return keys;
}

/* sort's attribute may name several, with commas: "last,first".  Keys are tuples even of one, since
 * Python compares those by equality first: two undefined are equal but have no order. */
static td_value *multi_keys(td_jeval *ev, const td_value *items, const td_value *attribute,
                            bool case_sensitive) {
    td_value *names = td_jinja_list(ev, TD_KIND_PLAIN, 0);
    if (attribute && attribute->type == TD_VALUE_STRING) {
        const char *s = attribute->u.string.text;
        const size_t n = attribute->u.string.n;
        for (size_t start = 0; start <= n;) {
            const char *comma = memchr(s + start, ',', n - start);
            const size_t end = comma ? (size_t)(comma - s) : n;
            if (!td_jinja_push(ev, names, td_jinja_string(ev, s + start, end - start))) return NULL;
            start = end + 1;
        }
    } else if (!td_jinja_push(ev, names, attribute ? attribute : &td_value_const_none)) {
        return NULL;
    }
    td_value *keys = td_jinja_list(ev, TD_KIND_PLAIN, td_value_count(items));
    for (size_t i = 0; keys && i < td_value_count(items); i++) {
        const td_value *item = td_jinja_nth(ev, items, i);
        td_value *key = item ? td_jinja_list(ev, TD_KIND_TUPLE, names->u.list.n) : NULL;
        for (size_t k = 0; k < names->u.list.n; k++)
            if (!key ||
                !td_jinja_push(ev, key,
                               key_of(ev, item, names->u.list.items[k], NULL, case_sensitive)))
                return NULL;
        if (!td_jinja_push(ev, keys, key)) return NULL;
    }
    return keys;
}

static const td_value *given(const td_jcall *call, int i) {
    return td_jinja_param_given(call, i) ? call->param[i] : NULL;
}

/* Python's sort takes an integer there: not even None. */
static bool param_reverse(td_jeval *ev, const td_jcall *call, int i, bool *reverse) {
    int64_t number = 0;
    if (call->param[i] && !td_jinja_param_int(ev, call, i, &number)) return false;
    *reverse = number != 0;
    return true;
}

static const td_value *f_sort(td_jeval *ev, const td_value *v, const td_jcall *call) {
    bool reverse;
    const td_value *items = td_jinja_iterate(ev, v);
    if (!items || !param_reverse(ev, call, 0, &reverse)) return NULL;
    const td_value *keys =
        multi_keys(ev, items, given(call, 2), td_jinja_param_bool(call, 1, false));
    return keys ? td_jinja_sort(ev, items, keys, reverse) : NULL;
}

static const td_value *f_dictsort(td_jeval *ev, const td_value *v, const td_jcall *call) {
    const char *by = "key";
    size_t n;
    bool reverse;
    if (v->type == TD_VALUE_UNDEFINED) return td_jinja_fail_undefined(ev, v);
    if (v->type != TD_VALUE_MAP || v->kind == TD_KIND_NAMESPACE)
        return td_jinja_fail(ev, TD_ERR_ARGUMENT, "dictsort wants a dict, not '%s'",
                             td_value_type_name(v));
    if (call->param[1] && !td_jinja_param_text(ev, call, 1, &by, &n)) return NULL;
    const bool by_value = strcmp(by, "value") == 0;
    if (!by_value && strcmp(by, "key") != 0)
        return td_jinja_fail(ev, TD_ERR_ARGUMENT, "dictsort sorts by 'key' or 'value'");
    if (!param_reverse(ev, call, 2, &reverse)) return NULL;
    const td_value *items = td_jinja_view(ev, v, TD_KIND_ITEMS);
    const td_value *parts = td_jinja_view(ev, v, by_value ? TD_KIND_VALUES : TD_KIND_KEYS);
    if (!items || !parts) return NULL;
    const td_value *keys = keys_of(ev, parts, NULL, NULL, td_jinja_param_bool(call, 0, false));
    return keys ? td_jinja_sort(ev, items, keys, reverse) : NULL;
}

static const td_value *f_groupby(td_jeval *ev, const td_value *v, const td_jcall *call) {
    const td_value *items = td_jinja_iterate(ev, v), *attribute = call->param[0];
    const bool case_sensitive = td_jinja_param_bool(call, 2, false);
    const td_value *keys =
        items ? keys_of(ev, items, attribute, call->param[1], case_sensitive) : NULL;
    const td_value *sorted = keys ? td_jinja_sort(ev, items, keys, false) : NULL;
    td_value *groups = sorted ? td_jinja_list(ev, TD_KIND_PLAIN, 0) : NULL;
    const td_value *last = NULL;
    td_value *members = NULL;
    for (size_t i = 0; groups && i < sorted->u.list.n; i++) {
        const td_value *item = sorted->u.list.items[i];
        const td_value *key = key_of(ev, item, attribute, call->param[1], case_sensitive);
        const int same = !key ? -1 : !last ? 0 : td_jinja_equal(ev, last, key);
        if (same < 0) return NULL;
        if (!same) {
            td_value *group = td_jinja_list(ev, TD_KIND_TUPLE, 2);
            members = td_jinja_list(ev, TD_KIND_PLAIN, 0);
            const td_value *shown = key_of(ev, item, attribute, call->param[1], true);
            if (!td_jinja_push(ev, group, shown) || !td_jinja_push(ev, group, members) ||
                !td_jinja_push(ev, groups, group))
                return NULL;
            last = key;
        }
        if (!td_jinja_push(ev, members, item)) return NULL;
    }
    return groups;
}

static bool fill_unique(td_jeval *ev, const td_value *v, const td_jcall *call, td_value *list) {
    const td_value *items = td_jinja_iterate(ev, v);
    td_value *seen = items ? td_jinja_map(ev) : NULL;
    for (size_t i = 0; seen && i < td_value_count(items); i++) {
        const td_value *item = td_jinja_nth(ev, items, i);
        const td_value *key =
            item ? key_of(ev, item, given(call, 1), NULL, td_jinja_param_bool(call, 0, false))
                 : NULL;
        if (!key || !td_jinja_charge(ev, 1)) return false;
        if (td_value_find(seen, key)) continue;
        if (!td_jinja_put(ev, seen, key, item) || !td_jinja_push(ev, list, item)) return false;
    }
    return seen != NULL;
}

static const td_value *f_unique(td_jeval *ev, const td_value *v, const td_jcall *call) {
    return td_jinja_generate(ev, v, call, fill_unique);
}

static const td_value *extreme(td_jeval *ev, const td_value *v, const td_jcall *call, int op) {
    const td_value *items = td_jinja_iterate(ev, v), *best = NULL, *best_key = NULL;
    if (!items) return NULL;
    for (size_t i = 0; i < td_value_count(items); i++) {
        const td_value *item = td_jinja_nth(ev, items, i);
        const td_value *key =
            item ? key_of(ev, item, given(call, 1), NULL, td_jinja_param_bool(call, 0, false))
                 : NULL;
        const int better = !key ? -1 : !best ? 1 : td_jinja_compare(ev, op, key, best_key);
        if (better < 0) return NULL;
        if (!better) continue;
        best = item;
        best_key = key;
    }
    return best ? best : td_jinja_undefined_hint(ev, "no item: the sequence was empty");
}

static const td_value *f_min(td_jeval *ev, const td_value *v, const td_jcall *call) {
    return extreme(ev, v, call, TD_JOP_LT);
}

static const td_value *f_max(td_jeval *ev, const td_value *v, const td_jcall *call) {
    return extreme(ev, v, call, TD_JOP_GT);
}

/* ---- parts ---- */

static const td_value *f_length(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)call;
    const int64_t n = td_jinja_length(v);
    if (n >= 0) return td_jinja_int(ev, n);
    return td_jinja_fail(ev, TD_ERR_ARGUMENT, "'%s' has no length", td_value_type_name(v));
}

static const td_value *f_first(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)call;
    const td_value *items = td_jinja_draw(ev, v);
    if (!items) return NULL;
    if (td_value_count(items)) return td_jinja_nth(ev, items, 0);
    if (!td_jinja_iterate(ev, items)) return NULL; /* broken */
    return td_jinja_undefined_hint(ev, "no first item: the sequence was empty");
}

static const td_value *f_last(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)call;
    if (v->kind == TD_KIND_ITER)
        return td_jinja_fail(ev, TD_ERR_ARGUMENT,
                             "a generator has no last item: put '|list' before");
    const td_value *items = td_jinja_iterate(ev, v);
    if (!items) return NULL;
    const size_t n = td_value_count(items);
    if (n) return td_jinja_nth(ev, items, n - 1);
    return td_jinja_undefined_hint(ev, "no last item: the sequence was empty");
}

static td_value *copy_items(td_jeval *ev, const td_value *items, td_value_kind kind, bool reverse) {
    const size_t n = td_value_count(items);
    td_value *list = td_jinja_list(ev, kind, n);
    for (size_t i = 0; list && i < n; i++)
        if (!td_jinja_push(ev, list, td_jinja_nth(ev, items, reverse ? n - 1 - i : i))) return NULL;
    return list;
}

static const td_value *f_list(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)call;
    const td_value *items = td_jinja_iterate(ev, v);
    return items ? copy_items(ev, items, TD_KIND_PLAIN, false) : NULL;
}

static const td_value *f_reverse(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)call;
    if (v->type == TD_VALUE_STRING) {
        const td_value *const bounds[3] = {NULL, NULL, td_jinja_int(ev, -1)};
        return bounds[2] ? td_jinja_slice(ev, v, bounds) : NULL;
    }
    const td_value_kind kind = v->kind == TD_KIND_ITER ? TD_KIND_PLAIN : TD_KIND_ITER;
    const td_value *items = td_jinja_iterate(ev, v);
    return items ? copy_items(ev, items, kind, true) : NULL;
}

static bool fill_items(td_jeval *ev, const td_value *v, const td_jcall *call, td_value *list) {
    (void)call;
    if (v->type == TD_VALUE_UNDEFINED) return true;
    if (v->type != TD_VALUE_MAP || v->kind == TD_KIND_NAMESPACE) {
        td_jinja_fail(ev, TD_ERR_ARGUMENT, "items wants a dict, not '%s'", td_value_type_name(v));
        return false;
    }
    const td_value *pairs = td_jinja_view(ev, v, TD_KIND_ITEMS);
    if (!pairs) return false;
    list->u.list = pairs->u.list;
    return true;
}

static const td_value *f_items(td_jeval *ev, const td_value *v, const td_jcall *call) {
    return td_jinja_generate(ev, v, call, fill_items);
}

static const td_value *f_join(td_jeval *ev, const td_value *v, const td_jcall *call) {
    const td_value *between = call->param[0] ? td_jinja_to_string(ev, call->param[0]) : NULL;
    if (call->param[0] && !between) return NULL;
    const td_value *items = td_jinja_iterate(ev, v);
    if (!items) return NULL;
    const size_t mark = ev->out.n;
    for (size_t i = 0; i < td_value_count(items); i++) {
        const td_value *item = td_jinja_nth(ev, items, i);
        if (item && given(call, 1)) item = td_jinja_path(ev, item, given(call, 1), NULL);
        if (!item || !td_jinja_charge(ev, 1)) return NULL;
        if (i && between) td_strbuf_add(&ev->out, between->u.string.text, between->u.string.n);
        td_value_add_str(item, &ev->out);
    }
    return td_jinja_take(ev, mark);
}

static const td_value *f_sum(td_jeval *ev, const td_value *v, const td_jcall *call) {
    const td_value *items = td_jinja_iterate(ev, v);
    const td_value *sum = call->param[1] ? call->param[1] : td_jinja_int(ev, 0);
    if (sum && sum->type == TD_VALUE_STRING)
        return td_jinja_fail(ev, TD_ERR_ARGUMENT, "strings are joined, not summed");
    for (size_t i = 0; items && sum && i < td_value_count(items); i++) {
        const td_value *item = td_jinja_nth(ev, items, i);
        if (item && given(call, 0)) item = td_jinja_path(ev, item, given(call, 0), NULL);
        if (!item || !td_jinja_charge(ev, 1)) return NULL;
        sum = td_jinja_binary(ev, TD_JOP_ADD, sum, item);
    }
    return items ? sum : NULL;
}

/* ---- regrouping ---- */

static bool fill_batch(td_jeval *ev, const td_value *v, const td_jcall *call, td_value *rows) {
    int64_t size;
    const td_value *items = td_jinja_iterate(ev, v), *filler = given(call, 1);
    if (items && td_value_count(items) == 0) return true; /* the size is not even looked at */
    if (!items || !td_jinja_param_int(ev, call, 0, &size)) return false;
    td_value *row = td_jinja_list(ev, TD_KIND_PLAIN, 0);
    for (size_t i = 0; row && i < td_value_count(items); i++) {
        if (row->u.list.n == (uint64_t)size) { /* of size 0 is an empty one, the first */
            if (!td_jinja_push(ev, rows, row)) return false;
            row = td_jinja_list(ev, TD_KIND_PLAIN, 0);
        }
        if (!td_jinja_push(ev, row, td_jinja_nth(ev, items, i))) return false;
    }
    for (int64_t n = row && filler ? (int64_t)row->u.list.n : size; n < size; n++)
        if (!td_jinja_push(ev, row, filler)) return false;
    return td_jinja_push(ev, rows, row);
}

static const td_value *f_batch(td_jeval *ev, const td_value *v, const td_jcall *call) {
    return td_jinja_generate(ev, v, call, fill_batch);
}

static bool fill_slice(td_jeval *ev, const td_value *v, const td_jcall *call, td_value *columns) {
    int64_t n_slice;
    const td_value *items = td_jinja_iterate(ev, v), *filler = given(call, 1);
    if (!items || !td_jinja_param_int(ev, call, 0, &n_slice)) return false;
    if (n_slice == 0) {
        td_jinja_fail(ev, TD_ERR_ARGUMENT, "slice wants at least one slice");
        return false;
    }
    const int64_t n = (int64_t)td_value_count(items);
    int64_t at = 0;
    for (int64_t i = 0; i < n_slice; i++) {
        const bool is_longer = i < n % n_slice;
        td_value *column = td_jinja_list(ev, TD_KIND_PLAIN, 0);
        for (const int64_t end = at + n / n_slice + is_longer; at < end; at++)
            if (!td_jinja_push(ev, column, td_jinja_nth(ev, items, (size_t)at))) return false;
        if (filler && !is_longer && !td_jinja_push(ev, column, filler)) return false;
        if (!td_jinja_push(ev, columns, column)) return false;
    }
    return true;
}

static const td_value *f_slice(td_jeval *ev, const td_value *v, const td_jcall *call) {
    return td_jinja_generate(ev, v, call, fill_slice);
}

const td_jfunction td_jinja_seq_filters[] = {
    {"batch",    f_batch,    1, {"linecount", "fill_with"}                },
    {"count",    f_length,   0, {NULL}                                    },
    {"dictsort", f_dictsort, 0, {"case_sensitive", "by", "reverse"}       },
    {"first",    f_first,    0, {NULL}                                    },
    {"groupby",  f_groupby,  1, {"attribute", "default", "case_sensitive"}},
    {"items",    f_items,    0, {NULL}                                    },
    {"join",     f_join,     0, {"d", "attribute"}                        },
    {"last",     f_last,     0, {NULL}                                    },
    {"length",   f_length,   0, {NULL}                                    },
    {"list",     f_list,     0, {NULL}                                    },
    {"max",      f_max,      0, {"case_sensitive", "attribute"}           },
    {"min",      f_min,      0, {"case_sensitive", "attribute"}           },
    {"reverse",  f_reverse,  0, {NULL}                                    },
    {"slice",    f_slice,    1, {"slices", "fill_with"}                   },
    {"sort",     f_sort,     0, {"reverse", "case_sensitive", "attribute"}},
    {"sum",      f_sum,      0, {"attribute", "start"}                    },
    {"unique",   f_unique,   0, {"case_sensitive", "attribute"}           },
    {NULL,       NULL,       0, {NULL}                                    },
};
