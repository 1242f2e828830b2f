/* rules_lint.h - what is wrong, or likely not meant, in a rule file.
 *
 * KTransformers says nothing of a rule that wins no module, of a keyword it does not know, of a
 * layer that no device range covers; it stops with a trace or, worse, runs.  Each finding has a
 * line, what was found, why it matters and what to write instead. */
#ifndef TD_PLAN_RULES_LINT_H
#define TD_PLAN_RULES_LINT_H

#include "base/arena.h"
#include "base/status.h"
#include "plan/rules.h"
#include "plan/tree.h"

typedef struct td_lint_finding {
    int line;
    int i_rule;                   /* from 0; -1: of the file */
    bool is_error;                /* KTransformers would stop or cannot do it; else a warning */
    const char *code;             /* "dead-rule": a name for tests and filters */
    const char *what, *why, *fix; /* phrases; in the arena */
} td_lint_finding;

/* Memory the caller owns. */
typedef struct td_lint {
    td_lint_finding *findings; /* [n_finding], owned, by line */
    int n_finding;
    td_arena arena;
} td_lint;

/* Without a tree (NULL) only what needs none is looked at.  On failure nothing needs to be cleared.
 */
td_status td_rules_lint(const td_rules *rules, const td_tree *tree, td_lint *out, td_err *err);

/* The same from text; one that is no list of rules in YAML is a finding, too. */
td_status td_rules_lint_text(const char *text, size_t n, const char *path, const td_tree *tree,
                             td_lint *out, td_err *err);

void td_lint_clear(td_lint *lint); /* zeroed is fine */

/* Appends the findings as text, one paragraph each. */
void td_lint_text(const td_lint *lint, const char *path, td_strbuf *out);

#endif
