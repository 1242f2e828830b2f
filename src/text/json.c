/* json.c - JSON into values, through jansson, and out of them, as Python's json.dumps. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "text/pystr.h"
#include "text/value_int.h"

enum { MAX_JSON_DEPTH = 256 };

/* ---- reading ---- */

static td_value *convert(td_arena *arena, json_t *json, int depth, bool *too_deep);

static td_value *convert_array(td_arena *arena, json_t *json, int depth, bool *too_deep) {
    const size_t n = json_array_size(json);
    td_value *list = td_value_list_of(arena, TD_KIND_PLAIN, n);
    for (size_t i = 0; i < n && list; i++) {
        td_value *item = convert(arena, json_array_get(json, i), depth + 1, too_deep);
        if (td_value_append(arena, list, item) != TD_OK) return NULL;
    }
    return list;
}

static td_value *convert_object(td_arena *arena, json_t *json, int depth, bool *too_deep) {
    td_value *map = td_value_map(arena);
    const char *key;
    json_t *item;
    if (!map) return NULL;
    json_object_foreach(json, key, item) {
        td_value *v = convert(arena, item, depth + 1, too_deep);
        if (td_value_set(arena, map, key, v) != TD_OK) return NULL;
    }
    return map;
}

/* NULL when memory runs out, or with *too_deep set. */
static td_value *convert(td_arena *arena, json_t *json, int depth, bool *too_deep) {
    if (depth > MAX_JSON_DEPTH) {
        *too_deep = true;
        return NULL;
    }
    switch (json_typeof(json)) {
    case JSON_OBJECT: return convert_object(arena, json, depth, too_deep);
    case JSON_ARRAY: return convert_array(arena, json, depth, too_deep);
    case JSON_STRING:
        return td_value_string(arena, json_string_value(json), json_string_length(json));
    case JSON_INTEGER: return td_value_int(arena, json_integer_value(json));
    case JSON_REAL: return td_value_float(arena, json_real_value(json));
    case JSON_TRUE:
    case JSON_FALSE: return td_value_bool(arena, json_is_true(json));
    case JSON_NULL: break;
    }
    return td_value_none(arena);
}

td_status td_value_from_json(td_value **out, td_arena *arena, const char *text, size_t n,
                             const char *name, td_err *err) {
    json_error_t problem;
    *out = NULL;
    json_t *json = json_loadb(text, n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &problem);
    if (!json) {
        if (json_error_code(&problem) == json_error_out_of_memory)
            return td_fail_nomem(err, name, n);
        return td_fail(err, TD_ERR_FORMAT, "%s: line %d, column %d: %s", name, problem.line,
                       problem.column, problem.text);
    }
    bool too_deep = false;
    *out = convert(arena, json, 1, &too_deep);
    json_decref(json);
    if (too_deep)
        return td_fail(err, TD_ERR_LIMIT, "%s: nested deeper than %d levels", name, MAX_JSON_DEPTH);
    return *out ? TD_OK : td_fail_nomem(err, name, n);
}

/* ---- writing ---- */

typedef struct writer {
    const td_json_style *style;
    td_strbuf *out;
    const td_value *culprit;
    bool failed;
} writer;

static void write_value(writer *w, const td_value *v, int depth);

static void write_string(writer *w, const char *text, size_t n) {
    td_strbuf_addc(w->out, '"');
    for (size_t at = 0, len; at < n; at += len) {
        const uint32_t c = td_pystr_decode(text + at, n - at, &len);
        const char *escapes = "\"\"\\\\\nn\rr\tt\ff\bb"; /* character, letter of its escape */
        while (*escapes && (unsigned char)*escapes != c) escapes += 2;
        if (c != 0 && *escapes)
            td_strbuf_addf(w->out, "\\%c", escapes[1]);
        else if (c < 0x20 || (w->style->ensure_ascii && c >= 0x7F && c < 0x10000 && c != 0x7F))
            td_strbuf_addf(w->out, "\\u%04x", (unsigned)c);
        else if (w->style->ensure_ascii && c >= 0x10000)
            td_strbuf_addf(w->out, "\\u%04x\\u%04x", (unsigned)(0xD800 + ((c - 0x10000) >> 10)),
                           (unsigned)(0xDC00 + ((c - 0x10000) & 0x3FF)));
        else
            td_strbuf_add(w->out, text + at, len);
    }
    td_strbuf_addc(w->out, '"');
}

static void write_break(writer *w, int depth) {
    if (!w->style->indent) return;
    td_strbuf_addc(w->out, '\n');
    for (int i = 0; i < depth; i++) td_strbuf_add(w->out, w->style->indent, w->style->n_indent);
}

static void write_list(writer *w, const td_value *v, int depth) {
    td_strbuf_addc(w->out, '[');
    for (size_t i = 0; i < v->u.list.n && !w->failed; i++) {
        if (i) td_strbuf_adds(w->out, w->style->item_separator);
        write_break(w, depth + 1);
        write_value(w, v->u.list.items[i], depth + 1);
    }
    if (v->u.list.n) write_break(w, depth);
    td_strbuf_addc(w->out, ']');
}

static void write_key(writer *w, const td_value *key) {
    if (key->type == TD_VALUE_STRING) {
        write_string(w, key->u.string.text, key->u.string.n);
        return;
    }
    if (key->type == TD_VALUE_LIST || key->type == TD_VALUE_MAP ||
        key->type == TD_VALUE_UNDEFINED || key->type == TD_VALUE_CALLABLE) {
        w->culprit = key;
        w->failed = true;
        return;
    }
    td_strbuf_addc(w->out, '"');
    write_value(w, key, 0);
    td_strbuf_addc(w->out, '"');
}

/* qsort's order: strings by their bytes, which is the order of their characters, numbers by size;
 * what Python could not compare stays in no order, and the caller has refused it before. */
static int compare_entries(const void *a, const void *b) {
    const td_value *x = (*(const td_value_entry *const *)a)->key;
    const td_value *y = (*(const td_value_entry *const *)b)->key;
    if (x->type == TD_VALUE_STRING) {
        const size_t n = x->u.string.n < y->u.string.n ? x->u.string.n : y->u.string.n;
        const int order = memcmp(x->u.string.text, y->u.string.text, n);
        return order ? order : (x->u.string.n > y->u.string.n) - (x->u.string.n < y->u.string.n);
    }
    const double f = x->type == TD_VALUE_FLOAT ? x->u.real : (double)x->u.integer;
    const double g = y->type == TD_VALUE_FLOAT ? y->u.real : (double)y->u.integer;
    return (f > g) - (f < g);
}

static bool is_sortable(const td_value *v) {
    for (size_t i = 0; i < v->u.map.n; i++) {
        const td_value_type t = v->u.map.entries[i].key->type;
        const td_value_type first = v->u.map.entries[0].key->type;
        if ((t == TD_VALUE_STRING) != (first == TD_VALUE_STRING)) return false;
        if (t != TD_VALUE_STRING && t != TD_VALUE_INT && t != TD_VALUE_FLOAT) return false;
    }
    return true;
}

static void write_map(writer *w, const td_value *v, int depth) {
    const size_t n = v->u.map.n;
    const td_value_entry **order = NULL;
    if (w->style->sort_keys && n > 1) {
        if (!is_sortable(v)) {
            w->culprit = v;
            w->failed = true;
            return;
        }
        order = td_calloc(n, sizeof *order);
        if (!order) {
            w->out->failed = TD_ERR_NOMEM;
            return;
        }
        for (size_t i = 0; i < n; i++) order[i] = &v->u.map.entries[i];
        qsort(order, n, sizeof *order, compare_entries);
    }
    td_strbuf_addc(w->out, '{');
    for (size_t i = 0; i < n && !w->failed; i++) {
        const td_value_entry *e = order ? order[i] : &v->u.map.entries[i];
        if (i) td_strbuf_adds(w->out, w->style->item_separator);
        write_break(w, depth + 1);
        write_key(w, e->key);
        td_strbuf_adds(w->out, w->style->key_separator);
        write_value(w, e->item, depth + 1);
    }
    if (n) write_break(w, depth);
    td_strbuf_addc(w->out, '}');
    td_free(order);
}

static void write_float(writer *w, double f) {
    if (isnan(f))
        td_strbuf_adds(w->out, "NaN");
    else if (isinf(f))
        td_strbuf_adds(w->out, f < 0 ? "-Infinity" : "Infinity");
    else
        td_value_add_float(f, w->out);
}

static void write_value(writer *w, const td_value *v, int depth) {
    if (depth > TD_VALUE_MAX_DEPTH) w->failed = true;
    if (w->failed || w->out->failed) return;
    switch (v->type) {
    case TD_VALUE_NONE: td_strbuf_adds(w->out, "null"); return;
    case TD_VALUE_BOOL: td_strbuf_adds(w->out, v->u.boolean ? "true" : "false"); return;
    case TD_VALUE_INT: td_strbuf_addf(w->out, "%lld", (long long)v->u.integer); return;
    case TD_VALUE_FLOAT: write_float(w, v->u.real); return;
    case TD_VALUE_STRING: write_string(w, v->u.string.text, v->u.string.n); return;
    case TD_VALUE_LIST:
        if (v->kind != TD_KIND_PLAIN && v->kind != TD_KIND_TUPLE) break;
        write_list(w, v, depth);
        return;
    case TD_VALUE_MAP:
        if (v->kind == TD_KIND_NAMESPACE) break;
        write_map(w, v, depth);
        return;
    default: break;
    }
    w->culprit = v;
    w->failed = true;
}

bool td_value_dump_json(const td_value *v, const td_json_style *style, td_strbuf *out,
                        const td_value **culprit) {
    writer w = {.style = style, .out = out};
    write_value(&w, v, 0);
    *culprit = w.culprit;
    return !w.failed;
}

void td_value_to_json(const td_value *v, int indent, td_strbuf *out) {
    char spaces[64];
    memset(spaces, ' ', sizeof spaces);
    const size_t n_indent = indent < 0 ? 0 : (size_t)indent;
    const td_json_style style = {
        .item_separator = indent < 0 ? ", " : ",",
        .key_separator = ": ",
        .indent = indent < 0 ? NULL : spaces,
        .n_indent = n_indent < sizeof spaces ? n_indent : sizeof spaces,
    };
    const td_value *culprit;
    if (!td_value_dump_json(v, &style, out, &culprit) && !out->failed) out->failed = TD_ERR_LIMIT;
}
