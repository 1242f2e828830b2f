/* value.h - a tree of dynamically typed values, as JSON and Jinja know them.
 *
 * Values live in an arena and are never freed one by one.  Mappings keep insertion order.  Used for
 * template variables, for JSON read from users, and inside the Jinja evaluator. */
#ifndef TD_TEXT_VALUE_H
#define TD_TEXT_VALUE_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "base/strbuf.h"

typedef enum td_value_type {
    TD_VALUE_UNDEFINED,
    TD_VALUE_NONE,
    TD_VALUE_BOOL,
    TD_VALUE_INT,
    TD_VALUE_FLOAT,
    TD_VALUE_STRING,
    TD_VALUE_LIST,
    TD_VALUE_MAP,
    TD_VALUE_CALLABLE /* macros and built-in functions: made by jinja only */
} td_value_type;

typedef struct td_value td_value; /* defined in value_int.h, for text/ alone */

/* Constructors: NULL when the arena is full.  Strings are copied into the arena. */
td_value *td_value_none(td_arena *arena);
td_value *td_value_bool(td_arena *arena, bool b);
td_value *td_value_int(td_arena *arena, int64_t i);
td_value *td_value_float(td_arena *arena, double f);
td_value *td_value_string(td_arena *arena, const char *text, size_t n);
td_value *td_value_list(td_arena *arena);
td_value *td_value_map(td_arena *arena);

/* TD_ERR_NOMEM or TD_OK.  A key set twice keeps its place and takes the new value. A NULL item is
 * TD_ERR_NOMEM, so that constructors can be nested without a check at each. */
td_status td_value_append(td_arena *arena, td_value *list, td_value *item);
td_status td_value_set(td_arena *arena, td_value *map, const char *key, td_value *item);

td_value_type td_value_get_type(const td_value *v);
size_t td_value_count(const td_value *v);                           /* of a list or map */
const td_value *td_value_at(const td_value *list, size_t i);        /* NULL beyond the end */
const td_value *td_value_get(const td_value *map, const char *key); /* NULL if absent */
const char *td_value_text(const td_value *string, size_t *n);       /* NUL-terminated too */

/* Parses a JSON text (through jansson), depth at most 256, integers exact in int64, mappings in
 * order, last duplicate wins; errors name line and column.  `name` is for messages: "--vars". */
td_status td_value_from_json(td_value **out, td_arena *arena, const char *text, size_t n,
                             const char *name, td_err *err);

/* Appends as Python's json.dumps(ensure_ascii=False) writes it; indent < 0: one line with ", " and
 * ": ". */
void td_value_to_json(const td_value *v, int indent, td_strbuf *out);

#endif
