/* jinja_parse_int.h - what the two halves of the Jinja parser share: jinja_parse.c has statements,
 * jinja_parse_expr.c expressions.
 *
 * Recursive descent over the tokens with Jinja's own precedences.  Functions that give a node give
 * NULL when they failed; status and message are in the parser then. */
#ifndef TD_TEXT_JINJA_PARSE_INT_H
#define TD_TEXT_JINJA_PARSE_INT_H

#include "text/jinja_int.h"

/* How deep the parser may recurse and how high a tree may grow: long chains of one operator make
 * high trees without any recursion here, but evaluating them recurses. */
enum { TD_JMAX_PARSE_DEPTH = 120, TD_JMAX_HEIGHT = 300 };

typedef struct td_jparser {
    td_template *t;
    td_jtokens tokens;
    size_t at;
    td_value *names;  /* interned: a mapping from each name to itself */
    td_value *blocks; /* names of {% block %}, each of which may stand once */
    int depth;        /* of recursion */
    int n_loop;       /* loops around, in this macro: break needs one */
    int n_for;        /* loops around, in all */
    int uses;         /* of the macro being parsed */
    td_status status; /* TD_OK until something failed */
    td_err *err;
} td_jparser;

/* Tokens.  td_jparse_is_op takes the spelling: "(" or "==". */
const td_jtoken *td_jparse_token(const td_jparser *p);
bool td_jparse_is_op(const td_jparser *p, const char *op);
bool td_jparse_is_name(const td_jparser *p, const char *name);
bool td_jparse_skip_op(td_jparser *p, const char *op);
bool td_jparse_skip_name(td_jparser *p, const char *name);
bool td_jparse_expect_op(td_jparser *p, const char *op);

/* Sets status and message; always NULL. */
td_jnode *td_jparse_fail(td_jparser *p, td_status code, int line, const char *fmt, ...)
    TD_PRINTF(4, 5);
td_jnode *td_jparse_fail_unexpected(td_jparser *p, const char *wanted);
/* Counts a recursion; leave with p->depth--. */
bool td_jparse_enter(td_jparser *p);

td_jnode *td_jparse_node(td_jparser *p, td_jkind kind, int line);
/* Sets the height once all children are there; NULL when it is too high. */
td_jnode *td_jparse_done(td_jparser *p, td_jnode *node);
/* Appends to a node's list; false when node is NULL or memory runs out. */
bool td_jparse_push(td_jparser *p, td_jnodes *list, td_jnode *node);
/* The one pointer for this name; NULL when memory runs out. */
const char *td_jparse_intern(td_jparser *p, const char *text, size_t n);
/* Consumes a name and interns it. */
const char *td_jparse_expect_name(td_jparser *p);

/* Expressions. `extra_end`: a name that ends a tuple besides the usual, or NULL. */
td_jnode *td_jparse_expr(td_jparser *p, bool with_cond);
td_jnode *td_jparse_tuple(td_jparser *p, bool with_cond, const char *extra_end, bool in_parens);
/* Filters from a "|" on, or, if `inline_first`, from the name of the first; input may be NULL. */
td_jnode *td_jparse_filters(td_jparser *p, td_jnode *input, bool inline_first);
/* What may be assigned to: a name, namespace.attribute if allowed, or a tuple of them. */
td_jnode *td_jparse_target(td_jparser *p, const char *extra_end, bool with_namespace);

#endif
