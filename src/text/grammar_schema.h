/* grammar_schema.h - JSON Schema to nodes, for grammar_schema*.c alone.
 *
 *   grammar_schema.c          schemas, objects, arrays, literals
 *   grammar_schema_merge.c    $ref, allOf, anyOf and oneOf beside other keywords
 *   grammar_schema_number.c   ranges of numbers as digits
 *   grammar_schema_string.c   strings: lengths, formats, names that are not among others
 *   grammar_schema_regex.c    patterns
 *
 * What makes nodes gives NULL on failure, having written the message; NULL goes in and comes out of
 * the constructors of nodes, so calls nest without checks. */
#ifndef TD_TEXT_GRAMMAR_SCHEMA_H
#define TD_TEXT_GRAMMAR_SCHEMA_H

#include "text/grammar_int.h"
#include "text/value_int.h"

enum {
    TD_GSCHEMA_MAX_DEPTH = 200, /* schemas in schemas */
    TD_GSCHEMA_MAX_FLAT = 100,  /* alternatives that one schema may come to */
    TD_GSCHEMA_MAX_MERGES = 20000,
    TD_GSCHEMA_MAX_DIGITS = 19 /* of the integer part of a number */
};

/* Rules that many schemas mention; UINT32_MAX: not made yet. */
typedef enum td_gshared {
    TD_GSHARED_SPACE,
    TD_GSHARED_ANY,
    TD_GSHARED_STRING,
    TD_GSHARED_NUMBER,
    TD_GSHARED_INTEGER,
    TD_GSHARED_OBJECT,
    TD_GSHARED_ARRAY,
    TD_N_GSHARED
} td_gshared;

typedef struct td_gmemo {
    const td_value *schema;
    uint32_t rule, chain;
} td_gmemo;

typedef struct td_gschema {
    td_gbuilder b;
    td_arena values; /* schemas made by merging */
    const td_value *root;
    td_status status; /* the first failure */
    td_err *err;
    uint32_t shared[TD_N_GSHARED];
    td_gmemo *memo; /* owned */
    size_t n_memo, cap_memo;
    uint32_t memo_heads[1024]; /* number + 1 */
    int depth;
    int n_merge;
} td_gschema;

/* Fails; `at` is where in the schema ("#/properties/a"). */
td_gnode *td_gschema_fail(td_gschema *s, td_status code, const char *at, const char *fmt, ...)
    TD_PRINTF(4, 5);
/* at + "/" + key, in the arena. */
const char *td_gschema_at(td_gschema *s, const char *at, const char *key);

/* grammar_schema.c */
td_gnode *td_gschema_compile(td_gschema *s, const td_value *schema, const char *at);
td_gnode *td_gschema_shared(td_gschema *s, td_gshared which);
/* A count of items, properties or characters: `unset` where the schema lacks the key, 0 for the
 * least of something.  s->status tells of failure. */
uint32_t td_gschema_count(td_gschema *s, const td_value *schema, const char *key, uint32_t unset,
                          const char *at);

/* grammar_schema_merge.c: a schema with $ref, allOf ... as a list of schemas without, any of which
 * may hold.  NULL on failure. */
const td_value *td_gschema_flatten(td_gschema *s, const td_value *schema, const char *at);
/* What a $ref names; NULL on failure. */
const td_value *td_gschema_resolve(td_gschema *s, const td_value *ref, const char *at);

/* grammar_schema_number.c */
typedef struct td_gbound {
    bool is_set, is_exclusive;
    const td_value *value; /* an integer or float */
} td_gbound;

td_gnode *td_gschema_integer(td_gschema *s, td_gbound least, td_gbound most, const char *at);
td_gnode *td_gschema_number(td_gschema *s, td_gbound least, td_gbound most, const char *at);
/* count digits, min to max. */
td_gnode *td_gschema_digits(td_gschema *s, char lo, char hi, uint32_t min, uint32_t max);

/* grammar_schema_string.c */
/* One character of a string between its quotes, escaped or not. */
td_gnode *td_gschema_char(td_gschema *s);
/* A string, with its quotes. */
td_gnode *td_gschema_string(td_gschema *s, const td_value *schema, const char *at);
/* One character of the set, as it is written in a string; surrounding quotes are not meant. */
td_gnode *td_gschema_char_of(td_gschema *s, const td_char_range *ranges, size_t n, bool negated);
/* A string, with its quotes, that is none of the keys of these maps (NULL: none). */
td_gnode *td_gschema_other_name(td_gschema *s, const td_value *names);

/* grammar_schema_regex.c: what the pattern matches, without quotes. */
td_gnode *td_gschema_pattern(td_gschema *s, const char *pattern, size_t n, const char *at);

#endif
