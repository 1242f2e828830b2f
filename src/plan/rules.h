/* rules.h - KTransformers' optimize rules: what a YAML file says, and which module each rule wins.
 *
 * A file is a list of rules.  Each module of a tree (tree.h), parents before children, goes to the
 * first rule that matches it: `match.class` as Python's isinstance, then `match.name` as Python's
 * re.search, both if both are given.  A rule with `recursive: False` hides what is below the
 * modules it wins.  Nothing is merged and nothing inherited.
 *
 * Files come from strangers: size, nesting, aliases and matching are bounded, and every complaint
 * names the file and the line.  What is wrong with one rule is an error only when that rule is
 * reached, as in KTransformers; rules_lint.h tells it in any case. */
#ifndef TD_PLAN_RULES_H
#define TD_PLAN_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "base/strbuf.h"
#include "plan/tree.h"

/* ---- values: what YAML 1.1 makes of a scalar, as PyYAML's FullLoader does ---- */

typedef enum td_rule_type {
    TD_RULE_NULL,
    TD_RULE_BOOL,
    TD_RULE_INT,
    TD_RULE_FLOAT,
    TD_RULE_STRING, /* also dates */
    TD_RULE_LIST,
    TD_RULE_MAP
} td_rule_type;

typedef struct td_rule_value {
    td_rule_type type;
    int line; /* counted from 1 */
    union {
        struct {
            const char *text; /* of a scalar, NUL-terminated: as the file has it without quotes */
            size_t n_text;
            union {
                bool boolean;
                int64_t integer;
                double number;
            };
        };
        struct {
            const struct td_rule_value *const *items; /* [n_item] of a list or a map */
            const struct td_rule_value *const *keys;  /* [n_item] of a map: scalars, no two equal */
            int n_item;
            int n_value; /* itself and all below it, aliases counted each time */
        };
    };
} td_rule_value;

/* A map's value by its text key, or NULL; NULL too if `map` is no map. */
const td_rule_value *td_rule_get(const td_rule_value *map, const char *key);
/* The text if `value` is a string, else NULL; NULL is fine. */
const char *td_rule_string(const td_rule_value *value);
/* Python's bool(): false for null, zero and what is empty. */
bool td_rule_is_true(const td_rule_value *value);
/* Same type and content, the order of maps aside; 1 and 1.0 differ. */
bool td_rule_equal(const td_rule_value *a, const td_rule_value *b);
/* "a boolean", "a list": for messages. */
const char *td_rule_type_text(td_rule_type type);
/* Appends the value as YAML in one line, which parses to the same value again. */
void td_rule_write(const td_rule_value *value, td_strbuf *out);

/* ---- a file ---- */

/* KTransformers' ways to read a file (facts: docs/RULES.md). */
typedef enum td_rules_era {
    TD_RULES_V032, /* v0.3.2 and later */
    TD_RULES_V012, /* v0.1.2 to v0.3.1: keys are GGUF names, children default to cuda:0 */
    TD_RULES_V010  /* v0.1.0 and v0.1.1: the last rule that matches wins; `replace.device` */
} td_rules_era;

typedef struct td_rule {
    int line;
    const td_rule_value *source;     /* the whole item; never NULL */
    const char *match_class;         /* NULL: any class */
    const td_rule_value *match_name; /* a string; NULL: any name */
    const char *replace_class;       /* "default" where the file has none; NULL: broken */
    bool has_replace_class;
    const td_rule_value *kwargs; /* a map, empty where the file has none; NULL: broken */
    const td_rule_value *device; /* `replace.device`, which v0.1.0 reads; or NULL */
    bool has_recursive;
    bool recursive;     /* what is below the modules it wins is looked at */
    const char *broken; /* what is wrong, which is an error when the rule is reached; or NULL */
    int broken_line;
    int broken_stage; /* private */
} td_rule;

/* A key that stands twice in one map: the last one counts. */
typedef struct td_rules_duplicate {
    int line, first_line;
    const char *key;
} td_rules_duplicate;

typedef struct td_rules td_rules; /* immutable; may be shared between threads */

/* `path` is for messages and is copied.  TD_ERR_FORMAT and TD_ERR_LIMIT begin with "path:line: ".
 */
td_status td_rules_parse(td_rules **out, const char *text, size_t n, const char *path, td_err *err);
td_status td_rules_load(td_rules **out, const char *path, td_err *err); /* "-": standard input */
void td_rules_free(td_rules *rules);                                    /* NULL is fine */

int td_rules_n(const td_rules *rules);
const td_rule *td_rules_at(const td_rules *rules, int i);
const char *td_rules_path(const td_rules *rules);
const td_rules_duplicate *td_rules_duplicates(const td_rules *rules, int *n);

/* ---- resolving ---- */

/* Zeroed is fine: today's KTransformers with one GPU. */
typedef struct td_rules_options {
    td_rules_era era;
    const char *default_device; /* of modules no rule wins; NULL: "cuda:0" */
    bool lenient;     /* a rule that names an unknown class matches nothing, in place of an error */
    bool skip_broken; /* and so does one that is broken: for lint */
} td_rules_options;

typedef struct td_rules_entry {
    const td_tree_node *node;
    const char *key;        /* what KTransformers looks weights up by: the name, or its GGUF name */
    const char *class_name; /* "default": the module stays what it is */
    const td_rule_value *kwargs; /* a map; NULL only for what no rule of era v010 wins */
    const char *device;          /* era v010: where it is loaded; else NULL */
    int i_rule;                  /* from 0; -1: no rule won it */
} td_rules_entry;

/* What became of one rule. */
typedef struct td_rules_tally {
    int n_won;
    bool unknown_class; /* it was left out for that (lenient) */
} td_rules_tally;

/* Memory the caller owns.  Borrows from the rules and the tree. */
typedef struct td_rules_result {
    td_rules_entry *entries; /* [n_entry], in the tree's order, without hidden modules */
    int n_entry;
    const td_rules_entry **by_name; /* [n_entry], sorted: for td_rules_find */
    td_rules_tally *tallies;        /* [td_rules_n()] */
    td_arena arena;                 /* owns the above */
} td_rules_result;

/* On failure nothing needs to be cleared. */
td_status td_rules_resolve(const td_rules *rules, const td_tree *tree,
                           const td_rules_options *options, td_rules_result *out, td_err *err);
void td_rules_result_clear(td_rules_result *result); /* zeroed is fine */

/* The entry of a module, or NULL if a rule hides it or the tree lacks it. */
const td_rules_entry *td_rules_find(const td_rules_result *result, const char *name);

/* What a rule would match if it were alone. */
typedef struct td_rules_reach {
    int n_matched;             /* modules, hidden ones too */
    int n_seen;                /* those among them that a resolve reaches */
    int n_class;               /* modules whose class fits, whatever their name */
    const td_tree_node *first; /* the first match; NULL: none */
    const td_tree_node *first_seen;
} td_rules_reach;

/* Fills reach[td_rules_n()], the caller's; `result` is of the same rules and tree.  Rules that
 * cannot be tried reach nothing. */
td_status td_rules_count(const td_rules *rules, const td_tree *tree,
                         const td_rules_options *options, const td_rules_result *result,
                         td_rules_reach *reach, td_err *err);

/* ---- why ---- */

typedef enum td_rules_verdict {
    TD_RULES_MATCHES,
    TD_RULES_CLASS_UNKNOWN,  /* no table knows the class: an error unless lenient */
    TD_RULES_CLASS_DIFFERS,  /* the module is no instance of it */
    TD_RULES_NAME_NOT_FOUND, /* re.search finds nothing */
    TD_RULES_BROKEN          /* rule.broken: an error */
} td_rules_verdict;

/* One rule tried on one module.  `wins`: it is the one that counts; the rules after it would not be
 * tried (era v010: before it have no effect), and are reported all the same. */
typedef struct td_rules_trial {
    int i_rule;
    td_rules_verdict verdict;
    bool wins;
} td_rules_trial;

typedef struct td_rules_explanation {
    const td_tree_node *node;
    const td_rules_trial *trials;  /* [td_rules_n()], in the arena */
    int i_winner;                  /* -1: none */
    const td_tree_node *hidden_by; /* the ancestor whose rule is `recursive: False`, or NULL */
    int i_hiding_rule;             /* that rule, or -1 */
} td_rules_explanation;

/* Tries every rule on the module called `name`.  TD_ERR_ARGUMENT if the tree has none; a broken
 * rule or an unknown class is a verdict here and no error. */
td_status td_rules_explain(const td_rules *rules, const td_tree *tree,
                           const td_rules_options *options, const char *name, td_arena *arena,
                           td_rules_explanation *out, td_err *err);

/* Appends an explanation as lines of text. */
void td_rules_explain_text(const td_rules *rules, const td_rules_explanation *explanation,
                           td_strbuf *out);

/* ---- names (rules_names.c) ---- */

/* Appends KTransformers' GGUF name of a module: its chain of replacements, traps included. */
td_status td_rules_gguf_name(const char *name, td_strbuf *out, td_err *err);

/* Names of v0.1 that circulate in old files and posts. */
typedef struct td_rules_legacy {
    const char *old_name, *name;
} td_rules_legacy;

/* What a class, operator or keyword of older files is called today; NULL if it is no old name.
 * Classes are found by their last part. */
const char *td_rules_modern_name(const char *old_name);
const td_rules_legacy *td_rules_legacy_names(int *n);

/* Operators of `generate_op` and `prefill_op`. */
typedef enum td_rules_op_kind { TD_RULES_OP_LINEAR, TD_RULES_OP_EXPERTS } td_rules_op_kind;

typedef struct td_rules_op {
    const char *name;
    td_rules_op_kind kind;
    const char
        *devices; /* kinds of devices it runs on in KTransformers: "cuda", "cpu xpu", "any" */
} td_rules_op;

const td_rules_op *td_rules_find_op(const char *name); /* today's name; NULL if unknown */
const td_rules_op *td_rules_ops(int *n);

/* Classes of `replace` that KTransformers has: whether a full name is one of them; all of them,
 * without "ktransformers.operators." in front, NULL at the end; and the one that ends in
 * `last_part`, or that itself. */
bool td_rules_is_operator_class(const char *name);
const char *td_rules_operator_class_at(int i);
const char *td_rules_operator_class(const char *last_part);

/* Python's re.search; *found tells.  The pattern is compiled anew each time: for single questions.
 * TD_ERR_UNSUPPORTED names what does not compile. */
td_status td_rules_search(const char *pattern, size_t n_pattern, const char *text, bool *found,
                          td_err *err);

#endif
