/* rules_lint_int.h - what the files of lint share. */
#ifndef TD_PLAN_RULES_LINT_INT_H
#define TD_PLAN_RULES_LINT_INT_H

#include "plan/rules_lint.h"

typedef struct linter {
    const td_rules *rules;
    const td_tree *tree; /* NULL: none */
    td_lint *out;
    size_t cap;
    td_err *err;
    td_status status; /* the first failure of ours; nothing is added after it */
} linter;

/* Adds a finding; past a bound they are counted no more. */
void td_lint_add(linter *l, td_lint_finding finding);
/* Text in the arena, never NULL. */
const char *td_lint_say(linter *l, const char *fmt, ...) TD_PRINTF(2, 3);
/* "did you mean 'x'?" of the nearest of words[n], or `otherwise`. */
const char *td_lint_near(linter *l, const char *word, const char *const *words, int n,
                         const char *otherwise);

/* What a message says after "path:12: ", and that line; 1 if it has none. */
const char *td_lint_message(const char *path, const td_err *why, int *line);

/* rules_lint_item.c: what one rule says, by itself. */
void td_lint_rule(linter *l, int i_rule);
void td_lint_unknown_class(linter *l, int i_rule);

/* rules_lint_tree.c: what the rules do to a tree. */
void td_lint_tree(linter *l);
/* rules_lint_layers.c: which devices the layers come to lie on. */
td_status td_lint_layers(linter *l, const td_rules_result *result);

/* ---- small questions ---- */

/* The last part of a dotted name. */
const char *td_lint_last_part(const char *dotted);
/* "cuda" of "cuda:1": whether `device` is of that kind. */
bool td_lint_is_device(const char *device, const char *kind);
/* Whether two names mean one device: "cuda" is "cuda:0". */
bool td_lint_same_device(const char *a, const char *b);
/* kwargs' text by key, with old operators by today's name; NULL if it is missing or no text. */
const char *td_lint_kwarg(const td_rule *rule, const char *key);

#endif
