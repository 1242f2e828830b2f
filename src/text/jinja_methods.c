/* jinja_methods.c - methods of str that cut and search, those of dict, list and cycler, and the
 * sandbox's rule: what would change a list or dict cannot be reached. */
#include <limits.h>
#include <string.h>

#include "text/jinja_int.h"
#include "text/pystr.h"

/* ---- strip ---- */

static const td_value *strip(td_jeval *ev, const td_value *v, const td_jcall *call,
                             td_pystr_side side) {
    const char *chars = NULL, *s = v->u.string.text;
    size_t n_chars = 0, n = v->u.string.n;
    if (td_jinja_param_given(call, 0) && !td_jinja_param_text(ev, call, 0, &chars, &n_chars))
        return NULL;
    if (!td_jinja_charge(ev, n_chars / 64 * (n / 64))) return NULL;
    td_pystr_strip(&s, &n, chars, n_chars, side);
    if (!td_jinja_charge(ev, (v->u.string.n - n) / 1024 * (n_chars + 1))) return NULL;
    return td_jinja_string(ev, s, n);
}

static const td_value *m_strip(td_jeval *ev, const td_value *v, const td_jcall *call) {
    return strip(ev, v, call, TD_PYSTR_BOTH);
}

static const td_value *m_lstrip(td_jeval *ev, const td_value *v, const td_jcall *call) {
    return strip(ev, v, call, TD_PYSTR_LEFT);
}

static const td_value *m_rstrip(td_jeval *ev, const td_value *v, const td_jcall *call) {
    return strip(ev, v, call, TD_PYSTR_RIGHT);
}

/* ---- split ---- */

/* Searching from the right compares the whole of `what` at many places. */
static bool charge_rfind(td_jeval *ev, const td_value *v, size_t n_what) {
    return td_jinja_charge(ev, v->u.string.n / 64 * (1 + n_what / 64));
}

/* The next blank-separated word of s from *at on (or before *at): false if there is none. */
static bool next_word(const char *s, size_t n, size_t *at, size_t *start, size_t *end) {
    size_t len;
    while (*at < n && td_pystr_is_space(td_pystr_decode(s + *at, n - *at, &len))) *at += len;
    *start = *at;
    while (*at < n && !td_pystr_is_space(td_pystr_decode(s + *at, n - *at, &len))) *at += len;
    *end = *at;
    return *end > *start;
}

static bool last_word(const char *s, size_t *at, size_t *start, size_t *end) {
    size_t len;
    while (*at > 0 && td_pystr_is_space(td_pystr_decode_back(s, *at, &len))) *at -= len;
    *end = *at;
    while (*at > 0 && !td_pystr_is_space(td_pystr_decode_back(s, *at, &len))) *at -= len;
    *start = *at;
    return *end > *start;
}

static td_value *split_words(td_jeval *ev, const char *s, size_t n, int64_t max, bool from_right) {
    td_value *list = td_jinja_list(ev, TD_KIND_PLAIN, 0);
    size_t at = from_right ? n : 0, start, end;
    while (from_right ? last_word(s, &at, &start, &end) : next_word(s, n, &at, &start, &end)) {
        if (!td_jinja_charge(ev, 1)) return NULL;
        const bool is_rest = max-- == 0;
        if (is_rest && from_right) start = 0;
        if (is_rest && !from_right) end = n;
        if (!td_jinja_push(ev, list, td_jinja_string(ev, s + start, end - start))) return NULL;
        if (is_rest) break;
    }
    return list;
}

static td_value *split_at(td_jeval *ev, const char *s, size_t n, const td_value *sep, int64_t max,
                          bool from_right) {
    td_value *list = td_jinja_list(ev, TD_KIND_PLAIN, 0);
    const char *what = sep->u.string.text;
    const size_t n_what = sep->u.string.n;
    for (; list; max--) {
        if (!td_jinja_charge(ev, 1)) return NULL;
        const int64_t at = max == 0     ? -1
                           : from_right ? td_pystr_rfind(s, n, what, n_what)
                                        : td_pystr_find(s, n, what, n_what);
        if (at < 0) return td_jinja_push(ev, list, td_jinja_string(ev, s, n)) ? list : NULL;
        const size_t behind = (size_t)at + n_what;
        const td_value *part = from_right ? td_jinja_string(ev, s + behind, n - behind)
                                          : td_jinja_string(ev, s, (size_t)at);
        if (!td_jinja_push(ev, list, part)) return NULL;
        s = from_right ? s : s + behind;
        n = from_right ? (size_t)at : n - behind;
    }
    return NULL;
}

static const td_value *split(td_jeval *ev, const td_value *v, const td_jcall *call,
                             bool from_right) {
    int64_t max = -1;
    const char *sep;
    size_t n_sep;
    td_value *list;
    if (call->param[1] && !td_jinja_param_int(ev, call, 1, &max)) return NULL;
    if (max < 0) max = INT64_MAX;
    if (!td_jinja_charge(ev, v->u.string.n / 256)) return NULL;
    if (td_jinja_param_given(call, 0)) {
        if (!td_jinja_param_text(ev, call, 0, &sep, &n_sep)) return NULL;
        if (n_sep == 0) return td_jinja_fail(ev, TD_ERR_ARGUMENT, "split at an empty separator");
        if (from_right && !charge_rfind(ev, v, n_sep)) return NULL;
        list = split_at(ev, v->u.string.text, v->u.string.n, call->param[0], max, from_right);
    } else {
        list = split_words(ev, v->u.string.text, v->u.string.n, max, from_right);
    }
    for (size_t i = 0; list && from_right && i < list->u.list.n / 2; i++) {
        const td_value **left = &list->u.list.items[i];
        const td_value **right = &list->u.list.items[list->u.list.n - 1 - i];
        const td_value *swap = *left;
        *left = *right;
        *right = swap;
    }
    return list;
}

static const td_value *m_split(td_jeval *ev, const td_value *v, const td_jcall *call) {
    return split(ev, v, call, false);
}

static const td_value *m_rsplit(td_jeval *ev, const td_value *v, const td_jcall *call) {
    return split(ev, v, call, true);
}

static const td_value *m_splitlines(td_jeval *ev, const td_value *v, const td_jcall *call) {
    const bool keep = td_jinja_param_bool(call, 0, false);
    const char *s = v->u.string.text;
    const size_t n = v->u.string.n;
    td_value *list = td_jinja_list(ev, TD_KIND_PLAIN, 0);
    for (size_t at = 0, next; list && at < n; at = next) {
        const size_t end = td_jinja_line_end(s, n, at, &next);
        const td_value *line = td_jinja_string(ev, s + at, (keep ? next : end) - at);
        if (!td_jinja_push(ev, list, line)) return NULL;
    }
    return list;
}

static const td_value *partition(td_jeval *ev, const td_value *v, const td_jcall *call,
                                 bool from_right) {
    const char *sep, *s = v->u.string.text;
    size_t n_sep;
    const size_t n = v->u.string.n;
    if (!td_jinja_param_text(ev, call, 0, &sep, &n_sep)) return NULL;
    if (n_sep == 0) return td_jinja_fail(ev, TD_ERR_ARGUMENT, "partition at an empty separator");
    if (!td_jinja_charge(ev, n / 256) || (from_right && !charge_rfind(ev, v, n_sep))) return NULL;
    const int64_t at =
        from_right ? td_pystr_rfind(s, n, sep, n_sep) : td_pystr_find(s, n, sep, n_sep);
    const size_t before = at >= 0 ? (size_t)at : from_right ? 0 : n;
    const size_t behind = at >= 0 ? before + n_sep : from_right ? 0 : n;
    td_value *parts = td_jinja_list(ev, TD_KIND_TUPLE, 3);
    const bool ok = td_jinja_push(ev, parts, td_jinja_string(ev, s, before)) &&
                    td_jinja_push(ev, parts, td_jinja_string(ev, sep, at >= 0 ? n_sep : 0)) &&
                    td_jinja_push(ev, parts, td_jinja_string(ev, s + behind, n - behind));
    return ok ? parts : NULL;
}

static const td_value *m_partition(td_jeval *ev, const td_value *v, const td_jcall *call) {
    return partition(ev, v, call, false);
}

static const td_value *m_rpartition(td_jeval *ev, const td_value *v, const td_jcall *call) {
    return partition(ev, v, call, true);
}

/* ---- searching ---- */

/* The bytes between characters param[i] and param[i + 1], as slices count them. */
static bool char_range(td_jeval *ev, const td_value *v, const td_jcall *call, int i, size_t *from,
                       size_t *to) {
    const int64_t n = (int64_t)v->u.string.n_char;
    int64_t at[2] = {0, n};
    for (int k = 0; k < 2; k++) {
        if (!td_jinja_param_given(call, i + k)) continue;
        if (!td_jinja_param_int(ev, call, i + k, &at[k])) return false;
        if (at[k] < 0) at[k] = at[k] + n < 0 ? 0 : at[k] + n;
    }
    *from = *to = SIZE_MAX; /* an empty range beyond the end finds not even "" */
    if (at[0] > n || at[0] > at[1]) return true;
    if (at[1] > n) at[1] = n;
    if (!td_jinja_charge(ev, v->u.string.n / 64)) return false;
    *from = td_pystr_offset(v->u.string.text, v->u.string.n, (size_t)at[0]);
    *to = td_pystr_offset(v->u.string.text, v->u.string.n, (size_t)at[1]);
    return true;
}

/* -2: failed; -1: not there; else the character's number. */
static int64_t find(td_jeval *ev, const td_value *v, const td_jcall *call, bool from_right) {
    const char *what, *s = v->u.string.text;
    size_t n_what, from, to;
    if (!td_jinja_param_text(ev, call, 0, &what, &n_what) ||
        !char_range(ev, v, call, 1, &from, &to) || (from_right && !charge_rfind(ev, v, n_what)))
        return -2;
    if (from == SIZE_MAX) return -1;
    const int64_t at = from_right ? td_pystr_rfind(s + from, to - from, what, n_what)
                                  : td_pystr_find(s + from, to - from, what, n_what);
    return at < 0 ? -1 : (int64_t)td_pystr_count(s, from + (size_t)at);
}

static const td_value *m_find(td_jeval *ev, const td_value *v, const td_jcall *call) {
    const int64_t at = find(ev, v, call, false);
    return at == -2 ? NULL : td_jinja_int(ev, at);
}

static const td_value *m_rfind(td_jeval *ev, const td_value *v, const td_jcall *call) {
    const int64_t at = find(ev, v, call, true);
    return at == -2 ? NULL : td_jinja_int(ev, at);
}

static const td_value *found(td_jeval *ev, int64_t at) {
    if (at == -1) return td_jinja_fail(ev, TD_ERR_ARGUMENT, "substring not found");
    return at == -2 ? NULL : td_jinja_int(ev, at);
}

static const td_value *m_index(td_jeval *ev, const td_value *v, const td_jcall *call) {
    return found(ev, find(ev, v, call, false));
}

static const td_value *m_rindex(td_jeval *ev, const td_value *v, const td_jcall *call) {
    return found(ev, find(ev, v, call, true));
}

static const td_value *m_count(td_jeval *ev, const td_value *v, const td_jcall *call) {
    const char *what, *s = v->u.string.text;
    size_t n_what, from, to;
    if (!td_jinja_param_text(ev, call, 0, &what, &n_what) ||
        !char_range(ev, v, call, 1, &from, &to))
        return NULL;
    if (from == SIZE_MAX) return td_jinja_int(ev, 0);
    if (n_what == 0) return td_jinja_int(ev, (int64_t)td_pystr_count(s + from, to - from) + 1);
    int64_t count = 0, at;
    while ((at = td_pystr_find(s + from, to - from, what, n_what)) >= 0) {
        count++;
        from += (size_t)at + n_what;
    }
    return td_jinja_int(ev, count);
}

/* startswith and endswith: one string or a tuple of them. */
static const td_value *has_affix(td_jeval *ev, const td_value *v, const td_jcall *call,
                                 bool at_end) {
    size_t from, to;
    const td_value *affix = call->param[0];
    const bool is_tuple = affix->type == TD_VALUE_LIST && affix->kind == TD_KIND_TUPLE;
    if (!char_range(ev, v, call, 1, &from, &to)) return NULL;
    for (size_t i = 0; i < (is_tuple ? affix->u.list.n : 1); i++) {
        const td_value *one = is_tuple ? affix->u.list.items[i] : affix;
        if (one->type == TD_VALUE_UNDEFINED) return td_jinja_fail_undefined(ev, one);
        if (one->type != TD_VALUE_STRING)
            return td_jinja_fail(ev, TD_ERR_ARGUMENT, "a prefix or suffix is a string, not '%s'",
                                 td_value_type_name(one));
        const size_t n = one->u.string.n;
        if (from == SIZE_MAX || n > to - from) continue;
        if (memcmp(v->u.string.text + (at_end ? to - n : from), one->u.string.text, n) == 0)
            return &td_value_const_true;
    }
    return &td_value_const_false;
}

static const td_value *m_startswith(td_jeval *ev, const td_value *v, const td_jcall *call) {
    return has_affix(ev, v, call, false);
}

static const td_value *m_endswith(td_jeval *ev, const td_value *v, const td_jcall *call) {
    return has_affix(ev, v, call, true);
}

static const td_value *m_removeprefix(td_jeval *ev, const td_value *v, const td_jcall *call) {
    const char *what;
    size_t n;
    if (!td_jinja_param_text(ev, call, 0, &what, &n)) return NULL;
    if (n > v->u.string.n || memcmp(v->u.string.text, what, n) != 0) return v;
    return td_jinja_string(ev, v->u.string.text + n, v->u.string.n - n);
}

static const td_value *m_removesuffix(td_jeval *ev, const td_value *v, const td_jcall *call) {
    const char *what;
    size_t n;
    if (!td_jinja_param_text(ev, call, 0, &what, &n)) return NULL;
    if (n > v->u.string.n || memcmp(v->u.string.text + v->u.string.n - n, what, n) != 0) return v;
    return td_jinja_string(ev, v->u.string.text, v->u.string.n - n);
}

static const td_value *m_replace(td_jeval *ev, const td_value *v, const td_jcall *call) {
    const char *old, *new, *s = v->u.string.text;
    size_t n_old, n_new, n = v->u.string.n;
    int64_t max = -1;
    if (!td_jinja_param_text(ev, call, 0, &old, &n_old) ||
        !td_jinja_param_text(ev, call, 1, &new, &n_new) ||
        (call->param[2] && !td_jinja_param_int(ev, call, 2, &max)))
        return NULL;
    if (max < 0) max = INT64_MAX;
    if (v->kind == TD_KIND_MARKUP) {
        const td_value *safe = td_jinja_escape(ev, call->param[1]);
        if (!safe) return NULL;
        new = safe->u.string.text;
        n_new = safe->u.string.n;
    }
    const size_t mark = ev->out.n;
    for (bool first = true; max > 0 && !ev->out.failed; max--, first = false) {
        int64_t at = td_pystr_find(s, n, old, n_old);
        if (n_old == 0 && !first) { /* "" is found before every character and at the end */
            if (n == 0) break;
            size_t len;
            td_pystr_decode(s, n, &len);
            at = (int64_t)len;
        }
        if (at < 0) break;
        td_strbuf_add(&ev->out, s, (size_t)at);
        td_strbuf_add(&ev->out, new, n_new);
        s += (size_t)at + n_old;
        n -= (size_t)at + n_old;
    }
    td_strbuf_add(&ev->out, s, n);
    return td_jinja_take(ev, mark);
}

static const td_value *m_join(td_jeval *ev, const td_value *v, const td_jcall *call) {
    const td_value *items = td_jinja_iterate(ev, call->param[0]);
    if (!items) return NULL;
    const size_t mark = ev->out.n;
    for (size_t i = 0; i < td_value_count(items); i++) {
        const td_value *item = td_jinja_nth(ev, items, i);
        if (!item || !td_jinja_charge(ev, 1)) return NULL;
        if (v->kind == TD_KIND_MARKUP && !(item = td_jinja_escape(ev, item))) return NULL;
        if (item->type != TD_VALUE_STRING)
            return td_jinja_fail(ev, TD_ERR_ARGUMENT, "join wants strings, item %zu is a '%s'", i,
                                 td_value_type_name(item));
        if (i) td_strbuf_add(&ev->out, v->u.string.text, v->u.string.n);
        td_strbuf_add(&ev->out, item->u.string.text, item->u.string.n);
    }
    return td_jinja_take(ev, mark);
}

const td_jfunction td_jinja_str_methods[] = {
    {"strip",        m_strip,        0, {"chars"}                 },
    {"lstrip",       m_lstrip,       0, {"chars"}                 },
    {"rstrip",       m_rstrip,       0, {"chars"}                 },
    {"split",        m_split,        0, {"sep", "maxsplit"}       },
    {"rsplit",       m_rsplit,       0, {"sep", "maxsplit"}       },
    {"splitlines",   m_splitlines,   0, {"keepends"}              },
    {"partition",    m_partition,    1, {"sep"}                   },
    {"rpartition",   m_rpartition,   1, {"sep"}                   },
    {"find",         m_find,         1, {"sub", "start", "end"}   },
    {"rfind",        m_rfind,        1, {"sub", "start", "end"}   },
    {"index",        m_index,        1, {"sub", "start", "end"}   },
    {"rindex",       m_rindex,       1, {"sub", "start", "end"}   },
    {"count",        m_count,        1, {"sub", "start", "end"}   },
    {"startswith",   m_startswith,   1, {"prefix", "start", "end"}},
    {"endswith",     m_endswith,     1, {"suffix", "start", "end"}},
    {"removeprefix", m_removeprefix, 1, {"prefix"}                },
    {"removesuffix", m_removesuffix, 1, {"suffix"}                },
    {"replace",      m_replace,      2, {"old", "new", "count"}   },
    {"join",         m_join,         1, {"iterable"}              },
    {NULL,           NULL,           0, {NULL}                    },
};

/* ---- dict, list, cycler ---- */

static const td_value *d_get(td_jeval *ev, const td_value *v, const td_jcall *call) {
    if (!td_value_is_hashable(call->param[0]))
        return td_jinja_fail(ev, TD_ERR_ARGUMENT, "'%s' cannot be a key",
                             td_value_type_name(call->param[0]));
    if (!td_jinja_charge(
            ev, call->param[0]->type == TD_VALUE_STRING ? call->param[0]->u.string.n / 64 : 0))
        return NULL;
    const td_value *item = td_value_find(v, call->param[0]);
    if (item) return item;
    return call->param[1] ? call->param[1] : &td_value_const_none;
}

static const td_value *d_keys(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)call;
    return td_jinja_view(ev, v, TD_KIND_KEYS);
}

static const td_value *d_values(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)call;
    return td_jinja_view(ev, v, TD_KIND_VALUES);
}

static const td_value *d_items(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)call;
    return td_jinja_view(ev, v, TD_KIND_ITEMS);
}

/* Values never change, so that a copy need not be one. */
static const td_value *copy(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)ev, (void)call;
    return v;
}

/* Counts equal items, or stops at the first; -1: failed. */
static int64_t count_equal(td_jeval *ev, const td_value *v, const td_value *wanted, size_t *first) {
    int64_t count = 0;
    for (size_t i = 0; i < td_value_count(v); i++) {
        const td_value *item = td_jinja_nth(ev, v, i);
        const int equal = item ? td_jinja_equal(ev, item, wanted) : -1;
        if (equal < 0) return -1;
        count += equal;
        if (equal && first) {
            *first = i;
            break;
        }
    }
    return count;
}

static const td_value *l_count(td_jeval *ev, const td_value *v, const td_jcall *call) {
    const int64_t count = count_equal(ev, v, call->param[0], NULL);
    return count < 0 ? NULL : td_jinja_int(ev, count);
}

static const td_value *l_index(td_jeval *ev, const td_value *v, const td_jcall *call) {
    size_t at = 0;
    const int64_t count = count_equal(ev, v, call->param[0], &at);
    if (count < 0) return NULL;
    if (count == 0) return td_jinja_fail(ev, TD_ERR_ARGUMENT, "index: no such item in the list");
    return td_jinja_int(ev, (int64_t)at);
}

static const td_value *c_next(td_jeval *ev, const td_value *v, const td_jcall *call) {
    td_jcycler *cycler = (td_jcycler *)v->u.call.data;
    (void)call;
    const td_value *item = td_jinja_nth(ev, cycler->items, cycler->i);
    cycler->i = (cycler->i + 1) % td_value_count(cycler->items);
    return item;
}

static const td_value *c_reset(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)ev, (void)call;
    ((td_jcycler *)v->u.call.data)->i = 0;
    return &td_value_const_none;
}

static const td_jfunction dict_methods[] = {
    {"get",    d_get,    1, {"key", "default"}},
    {"keys",   d_keys,   0, {NULL}            },
    {"values", d_values, 0, {NULL}            },
    {"items",  d_items,  0, {NULL}            },
    {"copy",   copy,     0, {NULL}            },
    {NULL,     NULL,     0, {NULL}            },
};

static const td_jfunction list_methods[] = {
    {"count", l_count, 1, {"value"}},
    {"index", l_index, 1, {"value"}},
    {"copy",  copy,    0, {NULL}   }, /* last: a tuple has none */
    {NULL,    NULL,    0, {NULL}   },
};

static const td_jfunction cycler_methods[] = {
    {"next",  c_next,  0, {NULL}},
    {"reset", c_reset, 0, {NULL}},
    {NULL,    NULL,    0, {NULL}}
};

static bool is_one_of(const char *const *names, const char *name, size_t n) {
    for (; *names; names++)
        if (strlen(*names) == n && memcmp(*names, name, n) == 0) return true;
    return false;
}

const td_jfunction *td_jinja_method(const td_value *self, const char *name, size_t n,
                                    bool *is_unsafe) {
    static const char *const dict_unsafe[] = {"clear",      "pop",    "popitem",
                                              "setdefault", "update", NULL};
    static const char *const list_unsafe[] = {"append", "clear",  "pop",    "reverse", "insert",
                                              "sort",   "extend", "remove", NULL};
    *is_unsafe = false;
    if (self->type == TD_VALUE_STRING) {
        const td_jfunction *f = td_jinja_table_find(td_jinja_str_methods, name, n);
        return f ? f : td_jinja_table_find(td_jinja_case_methods, name, n);
    }
    if (self->type == TD_VALUE_MAP && self->kind == TD_KIND_PLAIN) {
        *is_unsafe = is_one_of(dict_unsafe, name, n);
        return td_jinja_table_find(dict_methods, name, n);
    }
    if (self->kind == TD_KIND_CYCLER) return td_jinja_table_find(cycler_methods, name, n);
    if (self->type != TD_VALUE_LIST) return NULL;
    if (self->kind == TD_KIND_PLAIN)
        *is_unsafe = is_one_of(list_unsafe, name, n);
    else if (self->kind != TD_KIND_TUPLE && self->kind != TD_KIND_RANGE)
        return NULL;
    const td_jfunction *f = td_jinja_table_find(list_methods, name, n);
    return f && f->fn == copy && self->kind != TD_KIND_PLAIN ? NULL : f;
}
