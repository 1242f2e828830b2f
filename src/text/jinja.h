/* jinja.h - a Jinja interpreter for chat templates: lexer, parser, evaluator over a value tree.
 *
 * Behaves as transformers sets up jinja2: ImmutableSandboxedEnvironment with trim_blocks and
 * lstrip_blocks, globals raise_exception, strftime_now, namespace, range; undefined is falsy and
 * prints as "".  Templates are hostile input: nothing but our own values can be reached, and steps,
 * depth and output are bounded. */
#ifndef TD_TEXT_JINJA_H
#define TD_TEXT_JINJA_H

#include <stddef.h>

#include "base/status.h"
#include "text/value.h"

typedef struct td_template td_template;

/* Parses `source` (copied).  Syntax errors and unknown tags, filters or tests name the line. `name`
 * is for messages: "chat template". */
td_status td_template_create(td_template **out, const char *name, const char *source,
                             size_t n_source, td_err *err);
void td_template_free(td_template *t); /* NULL is fine */

typedef struct td_template_limits { /* zero: the default */
    size_t max_steps;               /* evaluated nodes; default 1e6 */
    size_t max_depth;               /* calls in each other; default 100, at most 200; expressions
                                       and blocks may nest 16 times as deep */
    size_t max_output;              /* bytes; default 16 MiB */
} td_template_limits;

/* Renders with the members of `vars` (a mapping) as variables.  *out is td_malloc'd,
 * NUL-terminated; NULL on failure.  raise_exception("x") gives TD_ERR_ARGUMENT with "x" in the
 * message.  Thread-safe: t is not modified. */
td_status td_template_render(const td_template *t, const td_value *vars,
                             const td_template_limits *limits, char **out, size_t *n_out,
                             td_err *err);

#endif
