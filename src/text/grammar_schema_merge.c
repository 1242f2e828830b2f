/* grammar_schema_merge.c - schemas that must hold together, as one.
 *
 * A schema with $ref, allOf, anyOf or oneOf beside other keywords becomes a list of schemas without
 * them, any of which may hold: the product of what the parts allow.  const becomes enum on the way.
 * Where two say the same keyword, the stricter stays; where that cannot be said in one schema, it
 * is refused. */
#include <string.h>

#include "text/grammar_schema.h"

static const td_value *flatten(td_gschema *s, const td_value *schema, const char *at, int depth);

static td_value *fail(td_gschema *s, td_status code, const char *at, const char *what) {
    td_gschema_fail(s, code, at, "%s", what);
    return NULL;
}

static td_value *no_memory(td_gschema *s) { return fail(s, TD_ERR_NOMEM, "#", "out of memory"); }

/* ---- $ref ---- */

static int hex_of(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* One step of a JSON pointer, its escapes undone; returns how many bytes of text it took. */
static size_t read_step(const char *text, char *out, size_t n_out) {
    size_t i = 0, n = 0;
    for (; text[i] && text[i] != '/' && n + 1 < n_out; i++) {
        char c = text[i];
        if (c == '%' && hex_of(text[i + 1]) >= 0 && hex_of(text[i + 2]) >= 0) {
            c = (char)(hex_of(text[i + 1]) * 16 + hex_of(text[i + 2]));
            i += 2;
        }
        if (c == '~' && (text[i + 1] == '0' || text[i + 1] == '1'))
            c = text[++i] == '0' ? '~' : '/';
        out[n++] = c;
    }
    out[n] = 0;
    return i;
}

const td_value *td_gschema_resolve(td_gschema *s, const td_value *ref, const char *at) {
    if (ref->type != TD_VALUE_STRING) return fail(s, TD_ERR_FORMAT, at, "'$ref' is not a string");
    const char *p = ref->u.string.text;
    if (p[0] != '#' || (p[1] != 0 && p[1] != '/')) {
        td_gschema_fail(s, TD_ERR_UNSUPPORTED, at,
                        "'$ref' to '%.60s': only places in this schema (\"#/...\") can be named",
                        p);
        return NULL;
    }
    const td_value *v = s->root;
    for (p++; *p == '/' && v;) {
        char step[256];
        p += 1 + read_step(p + 1, step, sizeof step);
        if (v->type == TD_VALUE_MAP) {
            v = td_value_find_text(v, step, strlen(step));
        } else if (v->type == TD_VALUE_LIST && step[0] >= '0' && step[0] <= '9') {
            size_t i = 0;
            for (const char *d = step; *d >= '0' && *d <= '9' && i < 1000000; d++)
                i = i * 10 + (size_t)(*d - '0');
            v = td_value_at(v, i);
        } else {
            v = NULL;
        }
    }
    if (!v || *p) {
        td_gschema_fail(s, TD_ERR_FORMAT, at, "'$ref' to '%.60s', which is not there",
                        ref->u.string.text);
        return NULL;
    }
    return v;
}

/* ---- two schemas as one ---- */

static bool same_value(const td_value *a, const td_value *b) {
    td_strbuf x = {0}, y = {0};
    td_value_to_json(a, -1, &x);
    td_value_to_json(b, -1, &y);
    const bool same = !x.failed && !y.failed && x.n == y.n && memcmp(x.text, y.text, x.n) == 0;
    td_strbuf_clear(&x);
    td_strbuf_clear(&y);
    return same;
}

static bool contains(const td_value *list, const td_value *v) {
    for (size_t i = 0; i < list->u.list.n; i++)
        if (same_value(list->u.list.items[i], v)) return true;
    return false;
}

/* {"allOf": [a, b]} */
static const td_value *both(td_gschema *s, const td_value *a, const td_value *b) {
    if (a == b) return a;
    td_value *map = td_value_map(&s->values), *list = td_value_list(&s->values);
    if (!map || !list || td_value_push(&s->values, list, a) || td_value_push(&s->values, list, b) ||
        td_value_set(&s->values, map, "allOf", list))
        return no_memory(s);
    return map;
}

static const td_value *as_list(td_gschema *s, const td_value *v) {
    if (v->type == TD_VALUE_LIST) return v;
    td_value *list = td_value_list(&s->values);
    if (!list || td_value_push(&s->values, list, v)) return no_memory(s);
    return list;
}

static bool is_text(const td_value *v, const char *text) {
    return v->type == TD_VALUE_STRING && strcmp(v->u.string.text, text) == 0;
}

/* What both lists of types have; an integer is a number. */
static const td_value *common_types(td_gschema *s, const td_value *a, const td_value *b) {
    const td_value *x = as_list(s, a), *y = as_list(s, b);
    td_value *out = td_value_list(&s->values), *integer = td_value_string(&s->values, "integer", 7);
    td_value *number = td_value_string(&s->values, "number", 6);
    if (!x || !y || !out || !integer || !number) return no_memory(s);
    for (size_t i = 0; i < x->u.list.n; i++) {
        const td_value *t = x->u.list.items[i];
        const td_value *keep = NULL;
        if (contains(y, t))
            keep = t;
        else if ((is_text(t, "integer") && contains(y, number)) ||
                 (is_text(t, "number") && contains(y, integer)))
            keep = integer;
        if (keep && !contains(out, keep) && td_value_push(&s->values, out, keep))
            return no_memory(s);
    }
    return out;
}

static const td_value *join_lists(td_gschema *s, const td_value *a, const td_value *b,
                                  bool only_common) {
    td_value *out = td_value_list(&s->values);
    if (!out) return no_memory(s);
    for (size_t i = 0; i < a->u.list.n; i++)
        if ((!only_common || contains(b, a->u.list.items[i])) &&
            td_value_push(&s->values, out, a->u.list.items[i]))
            return no_memory(s);
    for (size_t i = 0; i < b->u.list.n && !only_common; i++)
        if (!contains(a, b->u.list.items[i]) && td_value_push(&s->values, out, b->u.list.items[i]))
            return no_memory(s);
    return out;
}

static double number_of(const td_value *v) {
    return v->type == TD_VALUE_INT ? (double)v->u.integer : v->u.real;
}

static bool is_number(const td_value *v) {
    return v->type == TD_VALUE_INT || v->type == TD_VALUE_FLOAT;
}

/* What b says about a property that only the other schema names. */
static const td_value *restrict_property(td_gschema *s, const td_value *item, const td_value *b) {
    const td_value *more = td_value_get(b, "additionalProperties");
    if (!more || (more->type == TD_VALUE_BOOL && more->u.boolean)) return item;
    return more->type == TD_VALUE_BOOL ? more : both(s, item, more);
}

/* The properties of both; a and b are the schemas that hold them. */
static const td_value *join_properties(td_gschema *s, const td_value *a, const td_value *b) {
    const td_value *x = td_value_get(a, "properties"), *y = td_value_get(b, "properties");
    td_value *out = td_value_map(&s->values);
    if (!out) return no_memory(s);
    for (size_t i = 0; x && x->type == TD_VALUE_MAP && i < x->u.map.n; i++) {
        const td_value_entry *e = &x->u.map.entries[i];
        const td_value *other = y ? td_value_find(y, e->key) : NULL;
        const td_value *item = other ? both(s, e->item, other) : restrict_property(s, e->item, b);
        if (!item || td_value_put(&s->values, out, e->key, item)) return no_memory(s);
    }
    for (size_t i = 0; y && y->type == TD_VALUE_MAP && i < y->u.map.n; i++) {
        const td_value_entry *e = &y->u.map.entries[i];
        if (x && td_value_find(x, e->key)) continue;
        const td_value *item = restrict_property(s, e->item, a);
        if (!item || td_value_put(&s->values, out, e->key, item)) return no_memory(s);
    }
    return out;
}

/* One keyword that both have. */
static const td_value *merge_keyword(td_gschema *s, const char *key, const td_value *a,
                                     const td_value *b, const char *at) {
    static const char *const annotations[] = {"title",    "description", "default", "examples",
                                              "$schema",  "$id",         "$defs",   "definitions",
                                              "$comment", "format"};
    const bool lists = a->type == TD_VALUE_LIST && b->type == TD_VALUE_LIST;
    for (size_t i = 0; i < sizeof annotations / sizeof *annotations; i++)
        if (strcmp(key, annotations[i]) == 0) return a;
    if (same_value(a, b)) return a;
    if (strcmp(key, "type") == 0) return common_types(s, a, b);
    if (strcmp(key, "enum") == 0 && lists) return join_lists(s, a, b, true);
    if (strcmp(key, "required") == 0 && lists) return join_lists(s, a, b, false);
    if (strcmp(key, "items") == 0 || strcmp(key, "additionalProperties") == 0) return both(s, a, b);
    const bool least = strncmp(key, "min", 3) == 0 || strcmp(key, "exclusiveMinimum") == 0;
    const bool most = strncmp(key, "max", 3) == 0 || strcmp(key, "exclusiveMaximum") == 0;
    if ((least || most) && is_number(a) && is_number(b))
        return (number_of(a) > number_of(b)) == least ? a : b;
    td_gschema_fail(s, TD_ERR_UNSUPPORTED, at, "two different values of '%s' must hold together",
                    key);
    return NULL;
}

/* NULL on failure. false as a schema stays false. */
static const td_value *merge(td_gschema *s, const td_value *a, const td_value *b, const char *at) {
    if (++s->n_merge > TD_GSCHEMA_MAX_MERGES)
        return fail(s, TD_ERR_LIMIT, at, "too many schemas must hold together");
    if (a->type == TD_VALUE_BOOL) return a->u.boolean ? b : a;
    if (b->type == TD_VALUE_BOOL) return b->u.boolean ? a : b;
    td_value *out = td_value_map(&s->values);
    if (!out) return no_memory(s);
    for (size_t i = 0; i < a->u.map.n; i++) {
        const td_value_entry *e = &a->u.map.entries[i];
        const char *key = e->key->u.string.text;
        const td_value *other = td_value_find(b, e->key), *item = e->item;
        if (strcmp(key, "properties") == 0) continue;
        if (other) item = merge_keyword(s, key, item, other, at);
        if (!item) return NULL;
        if (td_value_put(&s->values, out, e->key, item)) return no_memory(s);
    }
    for (size_t i = 0; i < b->u.map.n; i++) {
        const td_value_entry *e = &b->u.map.entries[i];
        if (td_value_find(a, e->key) || strcmp(e->key->u.string.text, "properties") == 0) continue;
        if (td_value_put(&s->values, out, e->key, e->item)) return no_memory(s);
    }
    if (td_value_get(a, "properties") || td_value_get(b, "properties")) {
        const td_value *properties = join_properties(s, a, b);
        td_value *key = td_value_string(&s->values, "properties", 10);
        if (!properties || !key || td_value_put(&s->values, out, key, properties))
            return no_memory(s);
    }
    return out;
}

/* ---- lists of alternatives ---- */

/* Every schema of a with every one of b. */
static const td_value *product(td_gschema *s, const td_value *a, const td_value *b,
                               const char *at) {
    if (!a || !b) return NULL;
    td_value *out = td_value_list(&s->values);
    if (!out) return no_memory(s);
    for (size_t i = 0; i < a->u.list.n; i++)
        for (size_t j = 0; j < b->u.list.n; j++) {
            if (out->u.list.n >= TD_GSCHEMA_MAX_FLAT)
                return fail(s, TD_ERR_LIMIT, at, "more than 100 combinations of alternatives");
            const td_value *one = merge(s, a->u.list.items[i], b->u.list.items[j], at);
            if (!one) return NULL;
            if (td_value_push(&s->values, out, one)) return no_memory(s);
        }
    return out;
}

static const td_value *union_of(td_gschema *s, const td_value *schemas, const char *at, int depth) {
    td_value *out = td_value_list(&s->values);
    if (!out) return no_memory(s);
    for (size_t i = 0; i < schemas->u.list.n; i++) {
        const td_value *some = flatten(s, schemas->u.list.items[i], at, depth);
        if (!some) return NULL;
        for (size_t j = 0; j < some->u.list.n; j++) {
            if (out->u.list.n >= TD_GSCHEMA_MAX_FLAT)
                return fail(s, TD_ERR_LIMIT, at,
                            "more than 100 alternatives beside other keywords");
            if (td_value_push(&s->values, out, some->u.list.items[j])) return no_memory(s);
        }
    }
    return out;
}

/* The keywords that stand for themselves, const as enum; in a list of one. */
static const td_value *plain_part(td_gschema *s, const td_value *schema) {
    td_value *map = td_value_map(&s->values), *out = td_value_list(&s->values);
    if (!map || !out || td_value_push(&s->values, out, map)) return no_memory(s);
    for (size_t i = 0; i < schema->u.map.n; i++) {
        const td_value_entry *e = &schema->u.map.entries[i];
        const char *key = e->key->u.string.text;
        if (strcmp(key, "$ref") == 0 || strcmp(key, "allOf") == 0 || strcmp(key, "anyOf") == 0 ||
            strcmp(key, "oneOf") == 0 || strcmp(key, "const") == 0)
            continue;
        if (td_value_put(&s->values, map, e->key, e->item)) return no_memory(s);
    }
    const td_value *constant = td_value_get(schema, "const");
    if (!constant) return out;
    td_value *one = td_value_map(&s->values), *list = td_value_list(&s->values);
    if (!one || !list || td_value_push(&s->values, list, constant) ||
        td_value_set(&s->values, one, "enum", list))
        return no_memory(s);
    td_value *others = td_value_list(&s->values);
    if (!others || td_value_push(&s->values, others, one)) return no_memory(s);
    return product(s, out, others, "#");
}

static const td_value *flatten(td_gschema *s, const td_value *schema, const char *at, int depth) {
    if (depth > TD_GSCHEMA_MAX_DEPTH / 4)
        return fail(s, TD_ERR_LIMIT, at,
                    "schemas that must hold together refer to each other too deeply, or in a ring");
    if (schema->type == TD_VALUE_BOOL) return as_list(s, schema);
    if (schema->type != TD_VALUE_MAP)
        return fail(s, TD_ERR_FORMAT, at, "the schema is neither an object nor true or false");
    const td_value *out = plain_part(s, schema), *ref = td_value_get(schema, "$ref");
    if (ref && out) {
        const td_value *target = td_gschema_resolve(s, ref, at);
        out =
            target ? product(s, out, flatten(s, target, ref->u.string.text, depth + 1), at) : NULL;
    }
    static const char *const keys[] = {"allOf", "anyOf", "oneOf"};
    for (int k = 0; k < 3 && out; k++) {
        const td_value *list = td_value_get(schema, keys[k]);
        if (!list) continue;
        const char *where = td_gschema_at(s, at, keys[k]);
        if (list->type != TD_VALUE_LIST || list->u.list.n == 0)
            return fail(s, TD_ERR_FORMAT, where, "wanted a list of schemas");
        if (k > 0) {
            out = product(s, out, union_of(s, list, where, depth + 1), at);
            continue;
        }
        for (size_t i = 0; i < list->u.list.n && out; i++)
            out = product(s, out, flatten(s, list->u.list.items[i], where, depth + 1), at);
    }
    return out;
}

const td_value *td_gschema_flatten(td_gschema *s, const td_value *schema, const char *at) {
    return flatten(s, schema, at, 0);
}
