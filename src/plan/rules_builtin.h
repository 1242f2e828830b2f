/* rules_builtin.h - the rule files of rules/, which are part of the program (cmake/embed.cmake
 * makes a C file of them). */
#ifndef TD_PLAN_RULES_BUILTIN_H
#define TD_PLAN_RULES_BUILTIN_H

#include <stddef.h>

typedef struct td_rules_builtin {
    const char *name; /* "deepseek-v3": the file's name without ".yaml" */
    const char *text; /* NUL-terminated */
    size_t n_text;
} td_rules_builtin;

/* All of them, by name; *n how many. */
const td_rules_builtin *td_rules_builtins(int *n);

#endif
