/* value_int.h - the inside of td_value, for text/ alone.
 *
 * A value is what Python would hold: `type` says what it is to a user of value.h, `kind` which of
 * Python's types of that nature it is (a tuple is a list to us but prints otherwise).  Values made
 * from outside are never changed by an evaluation, with one exception made by the evaluator itself:
 * namespaces and one-shot iterators, which only it creates. */
#ifndef TD_TEXT_VALUE_INT_H
#define TD_TEXT_VALUE_INT_H

#include "text/value.h"

/* Containers may nest this deep where a function must recurse over them. */
#define TD_VALUE_MAX_DEPTH 400

typedef enum td_value_kind {
    TD_KIND_PLAIN,     /* str, list, dict, and every scalar */
    TD_KIND_MARKUP,    /* string: marked safe; "+" escapes what is joined to it */
    TD_KIND_TUPLE,     /* list */
    TD_KIND_RANGE,     /* list without items: start, step and n say all */
    TD_KIND_ITER,      /* list: a generator; no length, always true, empty after one use */
    TD_KIND_KEYS,      /* list: the three views of a mapping */
    TD_KIND_VALUES,    /* list */
    TD_KIND_ITEMS,     /* list */
    TD_KIND_NAMESPACE, /* map: attributes that a template may set */
    TD_KIND_MACRO,     /* callable: `data` is a td_jmacro */
    TD_KIND_FUNCTION,  /* callable: `data` is a td_jfunction, a global one */
    TD_KIND_METHOD,    /* callable: `data` is a td_jfunction, bound to `self` */
    TD_KIND_LOOP,      /* callable: `data` is a td_jloop */
    TD_KIND_CYCLER,    /* callable: `data` is a td_jcycler */
    TD_KIND_JOINER     /* callable: `data` is a td_jcycler */
} td_value_kind;

typedef struct td_value_entry {
    const td_value *key; /* hashable */
    const td_value *item;
    uint64_t hash;
} td_value_entry;

struct td_value {
    td_value_type type;
    td_value_kind kind;
    union {
        int boolean;
        int64_t integer;
        double real;
        struct {
            const char *text; /* NUL-terminated; in the arena */
            size_t n;         /* bytes */
            size_t n_char;    /* code points: equal to n when all is ASCII */
        } string;
        struct {
            const td_value **items;
            size_t n, cap;
            const char *broken; /* NULL, or of an iterator: the failure behind its last item */
        } list;
        struct {
            int64_t start, stop, step; /* stop as it was given: repr shows it */
            size_t n;
        } range;
        struct {
            td_value_entry *entries; /* in order of insertion */
            size_t n, cap;
            uint32_t *index; /* NULL while cap <= 8; else 2 * cap slots of entry number + 1 */
        } map;
        struct {
            const void *data;
            const td_value *self; /* of a method */
        } call;
        struct {
            const char *name;   /* NULL, or what was asked for */
            const char *hint;   /* NULL, or the whole message */
            const td_value *of; /* NULL: a variable; else the object that lacks `name` */
        } undefined;
    } u;
};

/* Shared constants: no arena needed. */
extern const td_value td_value_const_none;
extern const td_value td_value_const_true;
extern const td_value td_value_const_false;

static inline const td_value *td_value_from_bool(int b) {
    return b ? &td_value_const_true : &td_value_const_false;
}

/* A list of `kind` with room for n_want items; NULL when the arena is full. */
td_value *td_value_list_of(td_arena *arena, td_value_kind kind, size_t n_want);
/* As td_value_append, for items that are borrowed. */
td_status td_value_push(td_arena *arena, td_value *list, const td_value *item);

/* Whether v can be a key: not a list or dict; tuples can when they hold keys, 64 at most in all. */
bool td_value_is_hashable(const td_value *v);
/* As td_value_set for any hashable key. */
td_status td_value_put(td_arena *arena, td_value *map, const td_value *key, const td_value *item);
/* NULL if absent or if the key is not hashable. */
const td_value *td_value_find(const td_value *map, const td_value *key);
const td_value *td_value_find_text(const td_value *map, const char *text, size_t n);

/* Python's name of the type: "str", "dict_items". */
const char *td_value_type_name(const td_value *v);

/* str(v), repr(v) and repr of a float, as Python writes them.  Too deep a nesting sets
 * out->failed to TD_ERR_LIMIT. */
void td_value_add_str(const td_value *v, td_strbuf *out);
void td_value_add_repr(const td_value *v, td_strbuf *out);
void td_value_add_float(double f, td_strbuf *out);
/* Only ASCII is left bare in repr when `ascii`. */
void td_value_add_quoted(const char *text, size_t n, bool ascii, td_strbuf *out);

/* Python's str.isprintable for one character, but for unassigned ones beyond the ranges we list. */
bool td_value_is_printable(uint32_t c);

/* Parses all of text as a number the way float() and the lexer do, in any locale. */
bool td_value_parse_float(const char *text, size_t n, double *out);

typedef struct td_json_style {
    const char *item_separator; /* ", " */
    const char *key_separator;  /* ": " */
    const char *indent;         /* NULL: all on one line */
    size_t n_indent;
    bool ensure_ascii;
    bool sort_keys;
} td_json_style;

/* json.dumps.  False with *culprit set when something cannot be written; *culprit is NULL when the
 * nesting is too deep. */
bool td_value_dump_json(const td_value *v, const td_json_style *style, td_strbuf *out,
                        const td_value **culprit);

#endif
