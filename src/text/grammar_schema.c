/* grammar_schema.c - JSON Schema to nodes: schemas, objects, arrays, literals.
 *
 * Every schema becomes a rule, so that schemas may refer to themselves.  Each keyword is enforced,
 * is an annotation, or is refused by name: the table below has them all. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "text/grammar_schema.h"

/* ---- failing, and where ---- */

td_gnode *td_gschema_fail(td_gschema *s, td_status code, const char *at, const char *fmt, ...) {
    if (s->status != TD_OK) return NULL;
    char what[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    s->status = td_fail(s->err, code, "%s: at %s: %s", s->b.name, at ? at : "#", what);
    return NULL;
}

const char *td_gschema_at(td_gschema *s, const char *at, const char *key) {
    const size_t n = strlen(at), n_key = strlen(key), n_shown = n_key < 100 ? n_key : 100;
    char *out = td_arena_alloc(&s->b.arena, n + n_shown + 2);
    if (!out || n > 2000) return at;
    memcpy(out, at, n);
    out[n] = '/';
    memcpy(out + n + 1, key, n_shown);
    out[n + 1 + n_shown] = 0;
    return out;
}

static td_gnode *no_memory(td_gschema *s) {
    return td_gschema_fail(s, TD_ERR_NOMEM, "#", "out of memory");
}

static td_gnode *text(td_gschema *s, const char *t) { return td_gnode_string(&s->b, t); }

static td_gnode *space(td_gschema *s) { return td_gschema_shared(s, TD_GSHARED_SPACE); }

/* ---- what everyone uses ---- */

static td_gnode *make_space(td_gschema *s) {
    const td_char_range blank[] = {
        {' ',  ' ' },
        {'\t', '\t'}
    };
    td_gnode *indent = td_gnode_repeat(&s->b, td_gnode_chars(&s->b, blank, 2, false), 0, 40);
    td_gnode *line = td_gnode_seq2(&s->b, text(s, "\n"), indent);
    return td_gnode_repeat(&s->b, td_gnode_alt2(&s->b, text(s, " "), line), 0, 1);
}

/* Digits enough for any double, bounded so that a model cannot write them forever. */
static td_gnode *make_number(td_gschema *s, bool is_integer) {
    td_gbuilder *b = &s->b;
    td_gnode *whole =
        td_gnode_alt2(b, text(s, "0"),
                      td_gnode_seq2(b, td_gschema_digits(s, '1', '9', 1, 1),
                                    td_gschema_digits(s, '0', '9', 0, TD_GSCHEMA_MAX_DIGITS - 1)));
    whole = td_gnode_seq2(b, td_gnode_repeat(b, text(s, "-"), 0, 1), whole);
    if (is_integer) return whole;
    td_gnode *fraction = td_gnode_seq2(b, text(s, "."), td_gschema_digits(s, '0', '9', 1, 20));
    const td_char_range e[] = {
        {'E', 'E'},
        {'e', 'e'}
    };
    const td_char_range sign[] = {
        {'+', '+'},
        {'-', '-'}
    };
    td_gnode *power =
        td_gnode_alt2(b, td_gschema_digits(s, '0', '9', 1, 2),
                      td_gnode_seq2(b, td_gschema_digits(s, '1', '2', 1, 1),
                                    td_gnode_seq2(b, td_gschema_digits(s, '0', '7', 1, 1),
                                                  td_gschema_digits(s, '0', '9', 1, 1))));
    td_gnode *exponent =
        td_gnode_seq3(b, td_gnode_chars(b, e, 2, false),
                      td_gnode_repeat(b, td_gnode_chars(b, sign, 2, false), 0, 1), power);
    return td_gnode_seq3(b, whole, td_gnode_repeat(b, fraction, 0, 1),
                         td_gnode_repeat(b, exponent, 0, 1));
}

/* open, then nothing or `inner`, then close; white space where it may stand. */
static td_gnode *bracketed(td_gschema *s, const char *open, td_gnode *inner, bool may_be_empty,
                           const char *close) {
    td_gbuilder *b = &s->b;
    td_gnode *full = td_gnode_seq2(b, inner, space(s));
    if (may_be_empty) full = td_gnode_repeat(b, full, 0, 1);
    return td_gnode_seq3(b, td_gnode_seq2(b, text(s, open), space(s)), full, text(s, close));
}

/* item { "," item }, min to max of them, where max > 0; *may_be_empty tells if there may be none.
 */
static td_gnode *separated(td_gschema *s, td_gnode *item, td_gnode *again, uint32_t min,
                           uint32_t max) {
    td_gbuilder *b = &s->b;
    td_gnode *more = td_gnode_seq3(b, text(s, ","), space(s), again);
    return td_gnode_seq2(
        b, item,
        td_gnode_repeat(b, more, min > 0 ? min - 1 : 0, max == TD_GRAMMAR_INF ? max : max - 1));
}

static td_gnode *make_member(td_gschema *s) {
    return td_gnode_seq3(&s->b, td_gschema_shared(s, TD_GSHARED_STRING),
                         td_gnode_seq2(&s->b, text(s, ":"), space(s)),
                         td_gschema_shared(s, TD_GSHARED_ANY));
}

static td_gnode *make_any(td_gschema *s) {
    td_glist list = {0};
    for (int i = TD_GSHARED_STRING; i <= TD_GSHARED_ARRAY; i++)
        if (i != TD_GSHARED_INTEGER)
            td_glist_add(&s->b, &list, td_gschema_shared(s, (td_gshared)i));
    td_glist_add(&s->b, &list, text(s, "true"));
    td_glist_add(&s->b, &list, text(s, "false"));
    td_glist_add(&s->b, &list, text(s, "null"));
    return td_gnode_alt(&s->b, &list);
}

static td_gnode *make_shared(td_gschema *s, td_gshared which) {
    td_gbuilder *b = &s->b;
    switch (which) {
    case TD_GSHARED_SPACE: return make_space(s);
    case TD_GSHARED_ANY: return make_any(s);
    case TD_GSHARED_STRING:
        return td_gnode_seq3(b, text(s, "\""),
                             td_gnode_repeat(b, td_gschema_char(s), 0, TD_GRAMMAR_INF),
                             text(s, "\""));
    case TD_GSHARED_NUMBER: return make_number(s, false);
    case TD_GSHARED_INTEGER: return make_number(s, true);
    case TD_GSHARED_OBJECT:
        return bracketed(s, "{", separated(s, make_member(s), make_member(s), 0, TD_GRAMMAR_INF),
                         true, "}");
    default: {
        td_gnode *any = td_gschema_shared(s, TD_GSHARED_ANY);
        return bracketed(s, "[", separated(s, any, any, 0, TD_GRAMMAR_INF), true, "]");
    }
    }
}

td_gnode *td_gschema_shared(td_gschema *s, td_gshared which) {
    if (s->shared[which] == UINT32_MAX) {
        const uint32_t rule = td_gbuilder_add_rule(&s->b, "a shared rule", 13);
        if (rule == UINT32_MAX) return NULL;
        s->shared[which] = rule;
        td_gnode *node = make_shared(s, which);
        if (!node) return NULL;
        s->b.rules[rule].node = node;
    }
    return td_gnode_rule(&s->b, s->shared[which]);
}

/* ---- literals ---- */

/* A value as it is written; space may stand in it as anywhere. */
static td_gnode *literal(td_gschema *s, const td_value *v) {
    td_gbuilder *b = &s->b;
    const bool list = v->type == TD_VALUE_LIST, map = v->type == TD_VALUE_MAP;
    if (!list && !map) {
        td_strbuf json = {0};
        td_value_to_json(v, -1, &json);
        td_gnode *node = json.failed ? no_memory(s) : td_gnode_text(b, json.text, json.n);
        td_strbuf_clear(&json);
        return node;
    }
    const size_t n = list ? v->u.list.n : v->u.map.n;
    td_glist parts = {0};
    for (size_t i = 0; i < n; i++) {
        if (i > 0) {
            td_glist_add(b, &parts, text(s, ","));
            td_glist_add(b, &parts, space(s));
        }
        if (map) {
            td_glist_add(b, &parts, literal(s, v->u.map.entries[i].key));
            td_glist_add(b, &parts, text(s, ":"));
            td_glist_add(b, &parts, space(s));
        }
        td_glist_add(b, &parts, literal(s, list ? v->u.list.items[i] : v->u.map.entries[i].item));
    }
    td_gnode *inner = n > 0 ? td_gnode_seq(b, &parts) : td_gnode_empty(b);
    if (n == 0)
        return td_gnode_seq3(b, text(s, list ? "[" : "{"), space(s), text(s, list ? "]" : "}"));
    return bracketed(s, list ? "[" : "{", inner, false, list ? "]" : "}");
}

/* ---- keywords ---- */

enum {
    IS_STRING = 1,
    IS_NUMBER = 2,
    IS_INTEGER = 4,
    IS_ARRAY = 8,
    IS_OBJECT = 16,
    IS_BOOLEAN = 32,
    IS_NULL = 64,
    NUMERIC = IS_NUMBER | IS_INTEGER,
    ALL_TYPES = 127,
    ANNOTATION = 256,
    STRUCTURAL = 512, /* looked at elsewhere */
    REFUSED = 1024
};

static const struct {
    const char *name;
    int what; /* the types it speaks of, or one of the above */
} keywords[] = {
    {"type",                  STRUCTURAL},
    {"enum",                  STRUCTURAL},
    {"$defs",                 ANNOTATION},
    {"definitions",           ANNOTATION},
    {"title",                 ANNOTATION},
    {"description",           ANNOTATION},
    {"default",               ANNOTATION},
    {"example",               ANNOTATION},
    {"examples",              ANNOTATION},
    {"deprecated",            ANNOTATION},
    {"readOnly",              ANNOTATION},
    {"writeOnly",             ANNOTATION},
    {"discriminator",         ANNOTATION},
    {"externalDocs",          ANNOTATION},
    {"xml",                   ANNOTATION},
    {"contentEncoding",       ANNOTATION},
    {"contentMediaType",      ANNOTATION},
    {"contentSchema",         ANNOTATION},
    {"$schema",               ANNOTATION},
    {"$id",                   ANNOTATION},
    {"id",                    ANNOTATION},
    {"$comment",              ANNOTATION},
    {"$anchor",               ANNOTATION},
    {"$vocabulary",           ANNOTATION},
    {"format",                ANNOTATION}, /* of strings, where we know it: grammar_schema_string.c */
    {"minLength",             IS_STRING },
    {"maxLength",             IS_STRING },
    {"pattern",               IS_STRING },
    {"minimum",               NUMERIC   },
    {"maximum",               NUMERIC   },
    {"exclusiveMinimum",      NUMERIC   },
    {"exclusiveMaximum",      NUMERIC   },
    {"items",                 IS_ARRAY  },
    {"prefixItems",           IS_ARRAY  },
    {"minItems",              IS_ARRAY  },
    {"maxItems",              IS_ARRAY  },
    {"uniqueItems",           IS_ARRAY  },
    {"properties",            IS_OBJECT },
    {"required",              IS_OBJECT },
    {"additionalProperties",  IS_OBJECT },
    {"minProperties",         IS_OBJECT },
    {"maxProperties",         IS_OBJECT },
    {"multipleOf",            REFUSED   },
    {"patternProperties",     REFUSED   },
    {"propertyNames",         REFUSED   },
    {"additionalItems",       REFUSED   },
    {"contains",              REFUSED   },
    {"minContains",           REFUSED   },
    {"maxContains",           REFUSED   },
    {"dependencies",          REFUSED   },
    {"dependentRequired",     REFUSED   },
    {"dependentSchemas",      REFUSED   },
    {"unevaluatedItems",      REFUSED   },
    {"unevaluatedProperties", REFUSED   },
    {"if",                    REFUSED   },
    {"then",                  REFUSED   },
    {"else",                  REFUSED   },
    {"not",                   REFUSED   },
    {"$dynamicRef",           REFUSED   },
    {"$recursiveRef",         REFUSED   },
};

/* What a keyword is; REFUSED for those nobody knows, 0 for $ref and its kin. */
static int keyword_kind(const char *name) {
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        if (strcmp(keywords[i].name, name) == 0) return keywords[i].what;
    static const char *const combine[] = {"$ref", "allOf", "anyOf", "oneOf", "const"};
    for (size_t i = 0; i < sizeof combine / sizeof *combine; i++)
        if (strcmp(combine[i], name) == 0) return 0;
    return strncmp(name, "x-", 2) == 0 ? ANNOTATION : -1;
}

/* Refuses what cannot be enforced; *types gets those that keywords speak of. */
static bool check_keywords(td_gschema *s, const td_value *schema, const char *at, int *types) {
    *types = 0;
    for (size_t i = 0; i < schema->u.map.n; i++) {
        const char *name = schema->u.map.entries[i].key->u.string.text;
        const int what = keyword_kind(name);
        if (what == REFUSED || what < 0) {
            td_gschema_fail(s, TD_ERR_UNSUPPORTED, at,
                            what < 0 ? "the keyword '%.60s' is unknown"
                                     : "the keyword '%.60s' cannot be enforced",
                            name);
            return false;
        }
        *types |= what & ALL_TYPES;
    }
    return true;
}

static int type_named(const char *name) {
    static const struct {
        const char *name;
        int type;
    } types[] = {
        {"string",  IS_STRING },
        {"number",  NUMERIC   },
        {"integer", IS_INTEGER},
        {"array",   IS_ARRAY  },
        {"object",  IS_OBJECT },
        {"boolean", IS_BOOLEAN},
        {"null",    IS_NULL   },
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, name) == 0) return types[i].type;
    return 0;
}

/* The types a schema allows: those it names, else those its keywords speak of, else all. */
static bool read_types(td_gschema *s, const td_value *schema, int spoken_of, const char *at,
                       int *types) {
    const td_value *type = td_value_get(schema, "type");
    *types = 0;
    if (!type) {
        *types = spoken_of ? spoken_of : ALL_TYPES;
        return true;
    }
    const bool list = type->type == TD_VALUE_LIST;
    for (size_t i = 0; i < (list ? type->u.list.n : 1); i++) {
        const td_value *one = list ? type->u.list.items[i] : type;
        const int bits = one->type == TD_VALUE_STRING ? type_named(one->u.string.text) : 0;
        if (!bits) {
            td_gschema_fail(s, TD_ERR_FORMAT, td_gschema_at(s, at, "type"),
                            "wanted string, number, integer, boolean, object, array or null");
            return false;
        }
        *types |= bits;
    }
    return true;
}

static const td_value *number_at(td_gschema *s, const td_value *schema, const char *key,
                                 const char *at) {
    const td_value *v = td_value_get(schema, key);
    if (v && v->type != TD_VALUE_INT && v->type != TD_VALUE_FLOAT)
        td_gschema_fail(s, TD_ERR_FORMAT, at, "'%s' is not a number", key);
    return v;
}

static double real_of(const td_value *v) {
    return v->type == TD_VALUE_INT ? (double)v->u.integer : v->u.real;
}

/* The stricter of minimum and exclusiveMinimum, or of their opposites. */
static td_gbound read_bound(td_gschema *s, const td_value *schema, bool least, const char *at) {
    const td_value *open =
        number_at(s, schema, least ? "exclusiveMinimum" : "exclusiveMaximum", at);
    const td_value *closed = number_at(s, schema, least ? "minimum" : "maximum", at);
    if (s->status != TD_OK || (!open && !closed)) return (td_gbound){0};
    bool exclusive = open != NULL;
    if (open && closed)
        exclusive = least ? real_of(open) >= real_of(closed) : real_of(open) <= real_of(closed);
    return (td_gbound){true, exclusive, exclusive ? open : closed};
}

static bool within(double x, td_gbound least, td_gbound most) {
    if (least.is_set &&
        (x < real_of(least.value) || (least.is_exclusive && x == real_of(least.value))))
        return false;
    return !(most.is_set &&
             (x > real_of(most.value) || (most.is_exclusive && x == real_of(most.value))));
}

uint32_t td_gschema_count(td_gschema *s, const td_value *schema, const char *key, uint32_t unset,
                          const char *at) {
    const td_value *v = number_at(s, schema, key, at);
    if (!v || s->status != TD_OK) return unset;
    const double x = real_of(v);
    if (!(x >= 0) || (x < 9e15 && x != (double)(int64_t)x)) {
        td_gschema_fail(s, TD_ERR_FORMAT, at, "'%s' is no whole number of 0 or more", key);
        return unset;
    }
    if (x <= TD_GRAMMAR_MAX_COUNT) return (uint32_t)x;
    if (unset == 0)
        td_gschema_fail(s, TD_ERR_LIMIT, at, "'%s' is %.0f, wanted at most %d", key, x,
                        (int)TD_GRAMMAR_MAX_COUNT);
    return TD_GRAMMAR_MAX_COUNT;
}

/* ---- enum ---- */

static int type_of(const td_value *v) {
    switch (v->type) {
    case TD_VALUE_STRING: return IS_STRING;
    case TD_VALUE_INT: return IS_INTEGER;
    case TD_VALUE_FLOAT:
        return v->u.real < 9e15 && v->u.real > -9e15 && v->u.real == (double)(int64_t)v->u.real
                   ? IS_INTEGER
                   : IS_NUMBER;
    case TD_VALUE_LIST: return IS_ARRAY;
    case TD_VALUE_MAP: return IS_OBJECT;
    case TD_VALUE_BOOL: return IS_BOOLEAN;
    default: return IS_NULL;
    }
}

/* The values of an enum that the other keywords allow. */
static td_gnode *compile_enum(td_gschema *s, const td_value *schema, int types, const char *at) {
    const td_value *values = td_value_get(schema, "enum");
    if (values->type != TD_VALUE_LIST)
        return td_gschema_fail(s, TD_ERR_FORMAT, td_gschema_at(s, at, "enum"), "wanted a list");
    const td_gbound least = read_bound(s, schema, true, at),
                    most = read_bound(s, schema, false, at);
    const uint32_t min = td_gschema_count(s, schema, "minLength", 0, at);
    const uint32_t max = td_gschema_count(s, schema, "maxLength", TD_GRAMMAR_INF, at);
    if (s->status != TD_OK) return NULL;
    td_glist list = {0};
    for (size_t i = 0; i < values->u.list.n; i++) {
        const td_value *v = values->u.list.items[i];
        const int type = type_of(v);
        if (!(type & types)) continue;
        if ((type & NUMERIC) && !within(real_of(v), least, most)) continue;
        if (type == IS_STRING && (v->u.string.n_char < min || v->u.string.n_char > max)) continue;
        if (type & (IS_STRING | IS_ARRAY | IS_OBJECT))
            for (size_t k = 0; k < sizeof keywords / sizeof *keywords; k++)
                if ((keywords[k].what & type) && keywords[k].what <= ALL_TYPES &&
                    !strstr(keywords[k].name, "Length") && td_value_get(schema, keywords[k].name))
                    return td_gschema_fail(s, TD_ERR_UNSUPPORTED, at,
                                           "'%s' beside enum or const is not supported",
                                           keywords[k].name);
        td_glist_add(&s->b, &list, literal(s, v));
    }
    return s->status ? NULL : td_gnode_alt(&s->b, &list);
}

/* ---- arrays ---- */

static td_gnode *compile_array(td_gschema *s, const td_value *schema, const char *at) {
    td_gbuilder *b = &s->b;
    const td_value *prefix = td_value_get(schema, "prefixItems");
    const td_value *items = td_value_get(schema, "items");
    const td_value *unique = td_value_get(schema, "uniqueItems");
    uint32_t min = td_gschema_count(s, schema, "minItems", 0, at);
    uint32_t max = td_gschema_count(s, schema, "maxItems", TD_GRAMMAR_INF, at);
    if (s->status != TD_OK) return NULL;
    if (unique && max > 1 && !(unique->type == TD_VALUE_BOOL && !unique->u.boolean))
        return td_gschema_fail(s, TD_ERR_UNSUPPORTED, at,
                               "the keyword 'uniqueItems' cannot be enforced");
    if (prefix && prefix->type != TD_VALUE_LIST)
        return td_gschema_fail(s, TD_ERR_FORMAT, td_gschema_at(s, at, "prefixItems"),
                               "wanted a list of schemas");
    if (items && items->type == TD_VALUE_LIST)
        return td_gschema_fail(s, TD_ERR_UNSUPPORTED, td_gschema_at(s, at, "items"),
                               "a list of schemas as 'items': say 'prefixItems'");
    const uint32_t n_prefix = prefix ? (uint32_t)prefix->u.list.n : 0;
    if (items && items->type == TD_VALUE_BOOL && !items->u.boolean && max > n_prefix)
        max = n_prefix;
    if (min > max) return td_gnode_never(b);
    if (max == 0) return td_gnode_seq3(b, text(s, "["), space(s), text(s, "]"));
    td_gnode *rest = NULL, *again = NULL;
    const char *where = td_gschema_at(s, at, "items");
    if (max > n_prefix) {
        rest = items ? td_gschema_compile(s, items, where) : td_gschema_shared(s, TD_GSHARED_ANY);
        again = items ? td_gschema_compile(s, items, where) : td_gschema_shared(s, TD_GSHARED_ANY);
    }
    if (n_prefix == 0) return bracketed(s, "[", separated(s, rest, again, min, max), min == 0, "]");
    td_gnode *tail = td_gnode_empty(b);
    if (max > n_prefix)
        tail = td_gnode_repeat(b, td_gnode_seq3(b, text(s, ","), space(s), rest),
                               min > n_prefix ? min - n_prefix : 0,
                               max == TD_GRAMMAR_INF ? max : max - n_prefix);
    for (uint32_t i = n_prefix < max ? n_prefix : max; i-- > 0;) {
        td_gnode *one =
            td_gschema_compile(s, prefix->u.list.items[i], td_gschema_at(s, at, "prefixItems"));
        tail = td_gnode_seq2(b, one, tail);
        if (i > 0) tail = td_gnode_seq3(b, text(s, ","), space(s), tail);
        if (i > 0 && i >= min) tail = td_gnode_repeat(b, tail, 0, 1);
    }
    return bracketed(s, "[", tail, min == 0, "]");
}

/* ---- objects ---- */

typedef struct member {
    const td_value *name;   /* NULL: any that has no place of its own */
    const td_value *schema; /* NULL: any value */
    bool is_required;
} member;

static td_gnode *compile_member(td_gschema *s, const member *m, const td_value *names,
                                const char *at) {
    td_gbuilder *b = &s->b;
    const char *where =
        m->name ? td_gschema_at(s, td_gschema_at(s, at, "properties"), m->name->u.string.text)
                : td_gschema_at(s, at, "additionalProperties");
    td_gnode *key = m->name ? literal(s, m->name) : td_gschema_other_name(s, names);
    td_gnode *value =
        m->schema ? td_gschema_compile(s, m->schema, where) : td_gschema_shared(s, TD_GSHARED_ANY);
    return td_gnode_seq3(b, key, td_gnode_seq2(b, text(s, ":"), space(s)), value);
}

/* Members in their order.  What follows member i, and some member before it, is a rule: so the
 * ways to leave members out need no more text than there are members. */
static td_gnode *compile_members(td_gschema *s, const member *members, size_t n, bool may_be_empty,
                                 const td_value *names, const char *at) {
    td_gbuilder *b = &s->b;
    td_gnode **after = td_arena_calloc(&b->arena, n + 1, sizeof *after);
    if (!after) return no_memory(s);
    td_glist first = {0};
    td_gnode *rest = td_gnode_empty(b);
    size_t last_first = 0;
    while (last_first < n && !members[last_first].is_required) last_first++;
    for (size_t i = n; i-- > 0;) {
        after[i] = rest;
        td_gnode *one =
            td_gnode_seq3(b, text(s, ","), space(s), compile_member(s, &members[i], names, at));
        const bool many = !members[i].name;
        if (!members[i].is_required) one = td_gnode_repeat(b, one, 0, many ? TD_GRAMMAR_INF : 1);
        if (many) after[i] = one;
        const uint32_t rule = td_gbuilder_add_rule(b, "members of an object", 20);
        td_gnode *body = td_gnode_seq2(b, one, rest);
        if (rule == UINT32_MAX || !body) return NULL;
        b->rules[rule].node = body;
        rest = td_gnode_rule(b, rule);
    }
    for (size_t i = 0; i < n && i <= last_first; i++)
        td_glist_add(b, &first,
                     td_gnode_seq2(b, compile_member(s, &members[i], names, at), after[i]));
    if (s->status != TD_OK || b->failed) return NULL;
    if (n == 0) return td_gnode_seq3(b, text(s, "{"), space(s), text(s, "}"));
    return bracketed(s, "{", td_gnode_alt(b, &first), may_be_empty && last_first == n, "}");
}

static bool is_listed(const td_value *required, const td_value *name) {
    for (size_t i = 0; required && i < required->u.list.n; i++) {
        const td_value *other = required->u.list.items[i];
        if (other->u.string.n == name->u.string.n &&
            memcmp(other->u.string.text, name->u.string.text, name->u.string.n) == 0)
            return true;
    }
    return false;
}

/* properties and required, if they are what they must be. */
static bool check_object(td_gschema *s, const td_value *properties, const td_value *required,
                         const char *at) {
    if (properties && properties->type != TD_VALUE_MAP) {
        td_gschema_fail(s, TD_ERR_FORMAT, td_gschema_at(s, at, "properties"), "wanted an object");
        return false;
    }
    bool good = !required || required->type == TD_VALUE_LIST;
    for (size_t i = 0; good && required && i < required->u.list.n; i++)
        good = required->u.list.items[i]->type == TD_VALUE_STRING;
    if (!good)
        td_gschema_fail(s, TD_ERR_FORMAT, td_gschema_at(s, at, "required"),
                        "wanted a list of names");
    return good;
}

/* The members that a schema names, in the order of properties, then of required. */
static member *list_members(td_gschema *s, const td_value *properties, const td_value *required,
                            const td_value *more, size_t *n, td_value **names) {
    const size_t n_property = properties ? properties->u.map.n : 0;
    const size_t most = n_property + (required ? required->u.list.n : 0) + 1;
    member *members = td_arena_calloc(&s->b.arena, most, sizeof *members);
    *names = td_value_map(&s->values);
    *n = 0;
    if (!members || !*names) return no_memory(s), NULL;
    for (size_t i = 0; i < n_property; i++) {
        const td_value_entry *e = &properties->u.map.entries[i];
        members[(*n)++] = (member){e->key, e->item, is_listed(required, e->key)};
        if (td_value_put(&s->values, *names, e->key, e->key)) return no_memory(s), NULL;
    }
    for (size_t i = 0; required && i < required->u.list.n; i++) {
        const td_value *name = required->u.list.items[i];
        if (td_value_find(*names, name)) continue;
        members[(*n)++] = (member){name, more, true};
        if (td_value_put(&s->values, *names, name, name)) return no_memory(s), NULL;
    }
    return members;
}

static td_gnode *compile_object(td_gschema *s, const td_value *schema, const char *at) {
    const td_value *properties = td_value_get(schema, "properties");
    const td_value *required = td_value_get(schema, "required");
    const td_value *more = td_value_get(schema, "additionalProperties");
    const uint32_t min = td_gschema_count(s, schema, "minProperties", 0, at);
    const uint32_t max = td_gschema_count(s, schema, "maxProperties", TD_GRAMMAR_INF, at);
    if (s->status != TD_OK || !check_object(s, properties, required, at)) return NULL;
    /* Without a word about others, an object that names its properties has no others. */
    const bool is_closed = more ? more->type == TD_VALUE_BOOL && !more->u.boolean
                                : properties && properties->u.map.n > 0;
    size_t n, n_required = 0;
    td_value *names;
    member *members = list_members(s, properties, required, more, &n, &names);
    if (!members) return NULL;
    for (size_t i = 0; i < n; i++) n_required += members[i].is_required;
    const size_t n_named = n;
    if (!is_closed) members[n++] = (member){NULL, more, false};
    if (min > (n_required > 1 ? n_required : 1))
        return td_gschema_fail(s, TD_ERR_UNSUPPORTED, at,
                               "'minProperties' of %u cannot be enforced: name more of them in "
                               "'required'",
                               (unsigned)min);
    if (max == 0 && n_required == 0)
        n = 0;
    else if (is_closed ? max < n_named : max != TD_GRAMMAR_INF)
        return td_gschema_fail(s, TD_ERR_UNSUPPORTED, at,
                               "'maxProperties' of %u cannot be enforced here", (unsigned)max);
    return compile_members(s, members, n, min == 0, names, at);
}

/* ---- schemas ---- */

/* A schema without $ref and its kin. */
static td_gnode *compile_flat(td_gschema *s, const td_value *schema, const char *at) {
    td_gbuilder *b = &s->b;
    int types, spoken_of;
    if (schema->type == TD_VALUE_BOOL)
        return schema->u.boolean ? td_gschema_shared(s, TD_GSHARED_ANY) : td_gnode_never(b);
    if (!check_keywords(s, schema, at, &spoken_of)) return NULL;
    if (!td_value_get(schema, "type") && td_value_get(schema, "enum")) spoken_of = ALL_TYPES;
    if (!read_types(s, schema, spoken_of, at, &types)) return NULL;
    if (td_value_get(schema, "enum")) return compile_enum(s, schema, types, at);
    if (types == ALL_TYPES && spoken_of == 0) return td_gschema_shared(s, TD_GSHARED_ANY);
    td_glist list = {0};
    if (types & IS_OBJECT) td_glist_add(b, &list, compile_object(s, schema, at));
    if (types & IS_ARRAY) td_glist_add(b, &list, compile_array(s, schema, at));
    if (types & IS_STRING) td_glist_add(b, &list, td_gschema_string(s, schema, at));
    if (types & NUMERIC) {
        const td_gbound least = read_bound(s, schema, true, at);
        const td_gbound most = read_bound(s, schema, false, at);
        const bool number = types & IS_NUMBER;
        if (s->status != TD_OK) return NULL;
        if (!least.is_set && !most.is_set)
            td_glist_add(b, &list,
                         td_gschema_shared(s, number ? TD_GSHARED_NUMBER : TD_GSHARED_INTEGER));
        else
            td_glist_add(b, &list,
                         number ? td_gschema_number(s, least, most, at)
                                : td_gschema_integer(s, least, most, at));
    }
    if (types & IS_BOOLEAN) {
        td_glist_add(b, &list, text(s, "true"));
        td_glist_add(b, &list, text(s, "false"));
    }
    if (types & IS_NULL) td_glist_add(b, &list, text(s, "null"));
    return s->status != TD_OK ? NULL : td_gnode_alt(b, &list);
}

/* Whether the schema says nothing that must hold but the keyword. */
static bool says_only(const td_value *schema, const char *keyword) {
    if (!td_value_get(schema, keyword)) return false;
    for (size_t i = 0; i < schema->u.map.n; i++) {
        const char *name = schema->u.map.entries[i].key->u.string.text;
        if (strcmp(name, keyword) != 0 && keyword_kind(name) != ANNOTATION) return false;
    }
    return true;
}

static td_gnode *compile_list(td_gschema *s, const td_value *schemas, const char *at) {
    td_glist list = {0};
    if (schemas->type != TD_VALUE_LIST || schemas->u.list.n == 0)
        return td_gschema_fail(s, TD_ERR_FORMAT, at, "wanted a list of schemas");
    for (size_t i = 0; i < schemas->u.list.n && s->status == TD_OK; i++) {
        char number[24];
        snprintf(number, sizeof number, "%zu", i);
        td_glist_add(&s->b, &list,
                     td_gschema_compile(s, schemas->u.list.items[i], td_gschema_at(s, at, number)));
    }
    return s->status != TD_OK ? NULL : td_gnode_alt(&s->b, &list);
}

static td_gnode *compile_schema(td_gschema *s, const td_value *schema, const char *at) {
    if (schema->type == TD_VALUE_BOOL) return compile_flat(s, schema, at);
    if (says_only(schema, "$ref")) {
        const td_value *ref = td_value_get(schema, "$ref");
        const td_value *target = td_gschema_resolve(s, ref, at);
        return target ? td_gschema_compile(s, target, ref->u.string.text) : NULL;
    }
    if (says_only(schema, "anyOf"))
        return compile_list(s, td_value_get(schema, "anyOf"), td_gschema_at(s, at, "anyOf"));
    if (says_only(schema, "oneOf"))
        return compile_list(s, td_value_get(schema, "oneOf"), td_gschema_at(s, at, "oneOf"));
    const td_value *all = td_value_get(schema, "allOf");
    if (says_only(schema, "allOf") && all->type == TD_VALUE_LIST && all->u.list.n == 1)
        return compile_list(s, all, td_gschema_at(s, at, "allOf"));
    const td_value *flat = td_gschema_flatten(s, schema, at);
    td_glist list = {0};
    for (size_t i = 0; flat && i < flat->u.list.n && s->status == TD_OK; i++)
        td_glist_add(&s->b, &list, compile_flat(s, flat->u.list.items[i], at));
    return s->status != TD_OK ? NULL : td_gnode_alt(&s->b, &list);
}

/* The rule of a schema; false if it is new, and then noted. */
static bool find_memo(td_gschema *s, const td_value *schema, const char *at, uint32_t *rule) {
    uint32_t *head = &s->memo_heads[((uintptr_t)schema / 64) % 1024];
    for (uint32_t i = *head; i; i = s->memo[i - 1].chain)
        if (s->memo[i - 1].schema == schema) {
            *rule = s->memo[i - 1].rule;
            return true;
        }
    char name[200];
    snprintf(name, sizeof name, "the schema at %.150s", at);
    *rule = td_gbuilder_add_rule(&s->b, name, strlen(name));
    void *memo = s->memo;
    if (*rule == UINT32_MAX ||
        td_grow(&memo, &s->cap_memo, s->n_memo + 1, sizeof *s->memo, "schemas", NULL)) {
        no_memory(s);
        return false;
    }
    s->memo = memo;
    s->memo[s->n_memo++] = (td_gmemo){schema, *rule, *head};
    *head = (uint32_t)s->n_memo;
    return false;
}

td_gnode *td_gschema_compile(td_gschema *s, const td_value *schema, const char *at) {
    uint32_t rule;
    if (s->status != TD_OK || s->b.failed) return NULL;
    if (schema->type != TD_VALUE_MAP && schema->type != TD_VALUE_BOOL)
        return td_gschema_fail(s, TD_ERR_FORMAT, at,
                               "the schema is neither an object nor true or false");
    if (find_memo(s, schema, at, &rule)) return td_gnode_rule(&s->b, rule);
    if (s->status != TD_OK || s->b.failed) return NULL;
    if (++s->depth > TD_GSCHEMA_MAX_DEPTH)
        return td_gschema_fail(s, TD_ERR_LIMIT, at, "schemas nest deeper than %d",
                               TD_GSCHEMA_MAX_DEPTH);
    td_gnode *node = compile_schema(s, schema, at);
    s->depth--;
    if (!node) return NULL;
    s->b.rules[rule].node = node;
    return td_gnode_rule(&s->b, rule);
}

static td_status build(td_gschema *s, td_grammar **out, const char *json, size_t n, td_err *err) {
    td_value *root;
    TD_TRY(td_value_from_json(&root, &s->values, json, n, s->b.name, err));
    s->root = root;
    td_gnode *node = td_gschema_compile(s, root, "#");
    if (s->status != TD_OK) return s->status;
    TD_TRY(td_gbuilder_check(&s->b, err));
    const uint32_t rule = td_gbuilder_add_rule(&s->b, "the schema", 10);
    TD_TRY(td_gbuilder_check(&s->b, err));
    s->b.rules[rule].node = node;
    return td_grammar_build(out, &s->b, rule, err);
}

td_status td_grammar_from_schema(td_grammar **out, const char *json, size_t n, const char *name,
                                 td_err *err) {
    *out = NULL;
    td_gschema *s = td_calloc(1, sizeof *s);
    if (!s) return td_fail_nomem(err, name, sizeof *s);
    td_gbuilder_init(&s->b, name);
    td_arena_init(&s->values, 65536);
    s->err = err;
    for (int i = 0; i < TD_N_GSHARED; i++) s->shared[i] = UINT32_MAX;
    const td_status status = build(s, out, json, n, err);
    td_gbuilder_clear(&s->b);
    td_arena_clear(&s->values);
    td_free(s->memo);
    td_free(s);
    return status;
}
