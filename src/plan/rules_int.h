/* rules_int.h - what the files of the rules share. */
#ifndef TD_PLAN_RULES_INT_H
#define TD_PLAN_RULES_INT_H

#include "plan/rules.h"

/* Bounds on what a file may ask for. */
enum {
    TD_RULES_MAX_BYTES = 4 << 20,
    TD_RULES_MAX_RULES = 200000,
    TD_RULES_MAX_DEPTH = 64,
    TD_RULES_MAX_PATTERN = 4096,  /* bytes */
    TD_RULES_MAX_VALUES = 1000000 /* as if every alias were written out */
};

/* Where a rule is given up, in the order KTransformers looks at its parts. */
enum {
    TD_RULES_STAGE_MATCH = 1,
    TD_RULES_STAGE_CLASS,
    TD_RULES_STAGE_NAME,
    TD_RULES_STAGE_REPLACE
};

/* A distinct name pattern; see rules_match.c. */
typedef struct td_pattern td_pattern;

struct td_rules {
    char *path;     /* owned */
    td_rule *rules; /* [n_rule], in the arena */
    int n_rule;
    const td_rule_value *document; /* NULL: an empty file */
    int *i_pattern;                /* [n_rule], in the arena: which pattern; -1: none */
    td_pattern *patterns;          /* [n_pattern], owned */
    int n_pattern;
    int *i_class;             /* [n_rule], in the arena: which of the classes; -1: none */
    const char **class_names; /* [n_class], in the arena */
    int n_class;
    td_rules_duplicate *duplicates; /* owned, td_free()d */
    int n_duplicate;
    td_arena arena;
};

/* ---- rules_strings.c: numbers for distinct strings ---- */

typedef struct td_strings {
    const char **texts; /* [n], borrowed */
    size_t *lengths;    /* [n] */
    int *slots;         /* [n_slot], -1: free */
    size_t n, cap_text, cap_length, n_slot;
} td_strings;

/* The string's number, a new one (equal to the n before) if it is new; it is not copied. */
td_status td_strings_add(td_strings *s, const char *text, size_t n, int *i, td_err *err);
int td_strings_find(const td_strings *s, const char *text, size_t n); /* -1: none */
void td_strings_clear(td_strings *s);                                 /* zeroed is fine */

/* ---- rules_scalar.c ---- */

/* Gives a plain scalar its type; value->text, n_text and line are set.  False if it looks like a
 * number but is none that can be kept: *why then says so. */
bool td_rule_type_plain(td_rule_value *value, const char **why);
/* The same for one type that a tag such as !!int asks for. */
bool td_rule_type_as(td_rule_value *value, td_rule_type type, const char **why);
/* Equal as keys of a Python dict: 1, 1.0 and true are one key. */
bool td_rule_same_key(const td_rule_value *a, const td_rule_value *b);
uint64_t td_rule_key_hash(const td_rule_value *key);

/* ---- rules_yaml.c ---- */

/* Reads any document, not yet as rules: only rules->document is set. */
td_status td_rules_read(td_rules **out, const char *text, size_t n, const char *path, td_err *err);

/* ---- rules_build.c: from values to rules ---- */

/* Makes rules of rules->document. */
td_status td_rules_build(td_rules *rules, td_err *err);

/* ---- rules_pattern.c ---- */

/* Appends a pattern of Python's `re` in PCRE2's words.  TD_ERR_UNSUPPORTED names what Python
 * refuses or what has no translation. */
td_status td_rules_translate(const char *pattern, size_t n, td_strbuf *out, td_err *err);

/* ---- rules_match.c ---- */

/* Compiles the distinct patterns of the rules; those that do not compile break their rules. */
td_status td_patterns_create(td_rules *rules, td_err *err);
void td_patterns_free(td_rules *rules);

typedef struct td_rules_matcher td_rules_matcher;

td_status td_rules_matcher_create(td_rules_matcher **out, const td_rules *rules,
                                  const td_tree *tree, const td_rules_options *options,
                                  td_err *err);
void td_rules_matcher_free(td_rules_matcher *m); /* NULL is fine */

/* Tries a rule on a module.  Errors are those of matching; a broken rule is a verdict. */
td_status td_rules_matcher_try(td_rules_matcher *m, int i_rule, const td_tree_node *node,
                               td_rules_verdict *verdict, td_err *err);

#endif
