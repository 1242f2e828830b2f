/* jinja_parse_expr.c - expressions, from "or" (binding least) down to literals.
 *
 *   cond: or ["if" or ["else" cond]]     compare: math1 {("==" | "in" | ...) math1}
 *   math1: concat {("+" | "-") concat}   concat: math2 {"~" math2}
 *   math2: pow {("*" | "/" ...) pow}     pow: unary {"**" unary}, to the left, unlike Python's
 *   unary: ["-" | "+"] unary, then .name [item] (args), then |filter and is test */
#include <string.h>

#include "text/jinja_parse_int.h"

static td_jnode *parse_cond(td_jparser *p);
static td_jnode *parse_unary(td_jparser *p, bool with_filter);
static td_jnode *parse_primary(td_jparser *p, bool with_namespace);
static td_jnode *parse_postfix(td_jparser *p, td_jnode *node);

static int line_of(const td_jparser *p) { return td_jparse_token(p)->line; }

static td_jnode *two(td_jparser *p, td_jkind kind, int line, td_jnode *a, td_jnode *b) {
    if (!a || !b) return NULL;
    td_jnode *node = td_jparse_node(p, kind, line);
    if (!node) return NULL;
    node->a = a;
    node->b = b;
    return td_jparse_done(p, node);
}

/* ---- operators ---- */

static td_jnode *binary(td_jparser *p, int op, int line, td_jnode *a, td_jnode *b) {
    td_jnode *node = two(p, TD_J_BINARY, line, a, b);
    if (node) node->op = op;
    return node;
}

static td_jnode *parse_pow(td_jparser *p) {
    int line = line_of(p);
    td_jnode *left = parse_unary(p, true);
    while (left && td_jparse_skip_op(p, "**")) {
        left = binary(p, TD_JOP_POW, line, left, parse_unary(p, true));
        line = line_of(p);
    }
    return left;
}

static int product_op(td_jparser *p) {
    if (td_jparse_skip_op(p, "*")) return TD_JOP_MUL;
    if (td_jparse_skip_op(p, "/")) return TD_JOP_DIV;
    if (td_jparse_skip_op(p, "//")) return TD_JOP_FLOORDIV;
    return td_jparse_skip_op(p, "%") ? TD_JOP_MOD : 0;
}

static td_jnode *parse_math2(td_jparser *p) {
    int line = line_of(p), op;
    td_jnode *left = parse_pow(p);
    while (left && (op = product_op(p)) != 0) {
        left = binary(p, op, line, left, parse_pow(p));
        line = line_of(p);
    }
    return left;
}

static td_jnode *parse_concat(td_jparser *p) {
    const int line = line_of(p);
    td_jnode *first = parse_math2(p);
    if (!first || !td_jparse_is_op(p, "~")) return first;
    td_jnode *node = td_jparse_node(p, TD_J_CONCAT, line);
    if (!node || !td_jparse_push(p, &node->list, first)) return NULL;
    while (td_jparse_skip_op(p, "~"))
        if (!td_jparse_push(p, &node->list, parse_math2(p))) return NULL;
    return td_jparse_done(p, node);
}

static td_jnode *parse_math1(td_jparser *p) {
    int line = line_of(p);
    td_jnode *left = parse_concat(p);
    while (left) {
        const int op = td_jparse_skip_op(p, "+")   ? TD_JOP_ADD
                       : td_jparse_skip_op(p, "-") ? TD_JOP_SUB
                                                   : 0;
        if (op == 0) break;
        left = binary(p, op, line, left, parse_concat(p));
        line = line_of(p);
    }
    return left;
}

static int compare_op(td_jparser *p) {
    static const struct {
        const char *text;
        int op;
    } ops[] = {
        {"==", TD_JOP_EQ},
        {"!=", TD_JOP_NE},
        {"<",  TD_JOP_LT},
        {"<=", TD_JOP_LE},
        {">",  TD_JOP_GT},
        {">=", TD_JOP_GE}
    };
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        if (td_jparse_skip_op(p, ops[i].text)) return ops[i].op;
    if (td_jparse_skip_name(p, "in")) return TD_JOP_IN;
    if (!td_jparse_is_name(p, "not")) return 0;
    p->at++;
    if (td_jparse_skip_name(p, "in")) return TD_JOP_NOT_IN;
    p->at--;
    return 0;
}

static td_jnode *parse_compare(td_jparser *p) {
    const int line = line_of(p);
    td_jnode *first = parse_math1(p);
    int op = first ? compare_op(p) : 0;
    if (op == 0) return first;
    td_jnode *node = td_jparse_node(p, TD_J_COMPARE, line);
    if (!node) return NULL;
    node->a = first;
    for (; op != 0; op = compare_op(p)) {
        td_jnode *operand = td_jparse_node(p, TD_J_OPERAND, line_of(p));
        if (!operand) return NULL;
        operand->op = op;
        operand->a = parse_math1(p);
        if (!operand->a || !td_jparse_push(p, &node->list, td_jparse_done(p, operand))) return NULL;
    }
    return td_jparse_done(p, node);
}

static td_jnode *parse_not(td_jparser *p) {
    const int line = line_of(p);
    if (!td_jparse_skip_name(p, "not")) return parse_compare(p);
    td_jnode *node = td_jparse_node(p, TD_J_NOT, line);
    if (!node || !td_jparse_enter(p)) return NULL;
    node->a = parse_not(p);
    p->depth--;
    return node->a ? td_jparse_done(p, node) : NULL;
}

static td_jnode *parse_and(td_jparser *p) {
    int line = line_of(p);
    td_jnode *left = parse_not(p);
    while (left && td_jparse_skip_name(p, "and")) {
        left = two(p, TD_J_AND, line, left, parse_not(p));
        line = line_of(p);
    }
    return left;
}

static td_jnode *parse_or(td_jparser *p) {
    int line = line_of(p);
    td_jnode *left = parse_and(p);
    while (left && td_jparse_skip_name(p, "or")) {
        left = two(p, TD_J_OR, line, left, parse_and(p));
        line = line_of(p);
    }
    return left;
}

static td_jnode *parse_cond(td_jparser *p) {
    int line = line_of(p);
    td_jnode *value = parse_or(p);
    while (value && td_jparse_skip_name(p, "if")) {
        td_jnode *node = td_jparse_node(p, TD_J_COND, line);
        if (!node) return NULL;
        node->a = value;
        node->b = parse_or(p);
        if (!node->b) return NULL;
        if (td_jparse_skip_name(p, "else")) {
            node->c = td_jparse_expr(p, true);
            if (!node->c) return NULL;
        }
        value = td_jparse_done(p, node);
        line = line_of(p);
    }
    return value;
}

td_jnode *td_jparse_expr(td_jparser *p, bool with_cond) {
    if (!td_jparse_enter(p)) return NULL;
    td_jnode *node = with_cond ? parse_cond(p) : parse_or(p);
    p->depth--;
    return node;
}

/* ---- tuples and targets ---- */

static bool is_tuple_end(const td_jparser *p, const char *extra_end) {
    const td_jtoken_type type = td_jparse_token(p)->type;
    return type == TD_JTOKEN_PRINT_END || type == TD_JTOKEN_BLOCK_END || td_jparse_is_op(p, ")") ||
           (extra_end && td_jparse_is_name(p, extra_end));
}

typedef enum tuple_of { TUPLE_OF_EXPR, TUPLE_OF_OR, TUPLE_OF_TARGET, TUPLE_OF_NSTARGET } tuple_of;

static td_jnode *parse_item(td_jparser *p, tuple_of what) {
    if (what == TUPLE_OF_EXPR || what == TUPLE_OF_OR)
        return td_jparse_expr(p, what == TUPLE_OF_EXPR);
    if (!td_jparse_enter(p)) return NULL;
    td_jnode *node = parse_primary(p, what == TUPLE_OF_NSTARGET);
    p->depth--;
    return node;
}

static td_jnode *parse_tuple(td_jparser *p, tuple_of what, const char *extra_end, bool in_parens) {
    const int line = line_of(p);
    td_jnode *first = NULL, *node = NULL;
    while (!is_tuple_end(p, extra_end)) {
        td_jnode *item = parse_item(p, what);
        if (!item) return NULL;
        if (!first && !td_jparse_is_op(p, ",")) return item;
        if (!first) node = td_jparse_node(p, TD_J_TUPLE, line);
        first = item;
        if (!node || !td_jparse_push(p, &node->list, item)) return NULL;
        if (!td_jparse_skip_op(p, ",")) break;
    }
    if (!node && !in_parens) return td_jparse_fail_unexpected(p, "an expression");
    if (!node) node = td_jparse_node(p, TD_J_TUPLE, line);
    return node ? td_jparse_done(p, node) : NULL;
}

td_jnode *td_jparse_tuple(td_jparser *p, bool with_cond, const char *extra_end, bool in_parens) {
    return parse_tuple(p, with_cond ? TUPLE_OF_EXPR : TUPLE_OF_OR, extra_end, in_parens);
}

static bool check_target(td_jparser *p, const td_jnode *node) {
    if (node->kind == TD_J_NAME) {
        if (p->n_for == 0 || strcmp(node->name, "loop") != 0) return true;
        td_jparse_fail(p, TD_ERR_FORMAT, node->line, "'loop' cannot be assigned to in a for loop");
        return false;
    }
    if (node->kind == TD_J_NAMESPACED) return true;
    if (node->kind == TD_J_TUPLE) {
        for (size_t i = 0; i < node->list.n; i++)
            if (!check_target(p, node->list.items[i])) return false;
        return true;
    }
    td_jparse_fail(p, TD_ERR_FORMAT, node->line, "only names can be assigned to");
    return false;
}

td_jnode *td_jparse_target(td_jparser *p, const char *extra_end, bool with_namespace) {
    td_jnode *node =
        parse_tuple(p, with_namespace ? TUPLE_OF_NSTARGET : TUPLE_OF_TARGET, extra_end, false);
    return node && check_target(p, node) ? node : NULL;
}

/* ---- literals and names ---- */

static td_jnode *constant(td_jparser *p, int line, const td_value *value) {
    td_jnode *node = td_jparse_node(p, TD_J_CONST, line);
    if (!value) return td_jparse_fail(p, TD_ERR_NOMEM, line, "out of memory");
    if (!node) return NULL;
    node->value = value;
    return td_jparse_done(p, node);
}

static td_jnode *parse_name(td_jparser *p, bool with_namespace) {
    const int line = line_of(p);
    const char *name = td_jparse_expect_name(p);
    if (!name) return NULL;
    if (strcmp(name, "true") == 0 || strcmp(name, "True") == 0)
        return constant(p, line, &td_value_const_true);
    if (strcmp(name, "false") == 0 || strcmp(name, "False") == 0)
        return constant(p, line, &td_value_const_false);
    if (strcmp(name, "none") == 0 || strcmp(name, "None") == 0)
        return constant(p, line, &td_value_const_none);
    if (strcmp(name, "caller") == 0) p->uses |= TD_JUSES_CALLER;
    if (strcmp(name, "kwargs") == 0) p->uses |= TD_JUSES_KWARGS;
    if (strcmp(name, "varargs") == 0) p->uses |= TD_JUSES_VARARGS;
    td_jnode *node = td_jparse_node(p, TD_J_NAME, line);
    if (!node) return NULL;
    node->name = name;
    if (with_namespace && td_jparse_skip_op(p, ".")) {
        const char *attr = td_jparse_expect_name(p);
        if (!attr) return NULL;
        node->kind = TD_J_NAMESPACED;
        node->value = td_value_string(&p->t->arena, attr, strlen(attr));
        if (!node->value) return td_jparse_fail(p, TD_ERR_NOMEM, line, "out of memory");
    }
    return td_jparse_done(p, node);
}

/* Literals that stand side by side are one string. */
static td_jnode *parse_string(td_jparser *p) {
    const int line = line_of(p);
    td_strbuf text = {0};
    while (td_jparse_token(p)->type == TD_JTOKEN_STRING) {
        td_strbuf_add(&text, td_jparse_token(p)->text, td_jparse_token(p)->n);
        p->at++;
    }
    const td_value *value = NULL;
    if (!text.failed) value = td_value_string(&p->t->arena, text.n ? text.text : "", text.n);
    td_strbuf_clear(&text);
    return constant(p, line, value);
}

static td_jnode *parse_list(td_jparser *p) {
    td_jnode *node = td_jparse_node(p, TD_J_LIST, line_of(p));
    if (!node || !td_jparse_expect_op(p, "[")) return NULL;
    while (!td_jparse_is_op(p, "]")) {
        if (!td_jparse_push(p, &node->list, td_jparse_expr(p, true))) return NULL;
        if (!td_jparse_is_op(p, "]") && !td_jparse_expect_op(p, ",")) return NULL;
    }
    p->at++;
    return td_jparse_done(p, node);
}

static td_jnode *parse_dict(td_jparser *p) {
    td_jnode *node = td_jparse_node(p, TD_J_DICT, line_of(p));
    if (!node || !td_jparse_expect_op(p, "{")) return NULL;
    while (!td_jparse_is_op(p, "}")) {
        if (!td_jparse_push(p, &node->list, td_jparse_expr(p, true)) ||
            !td_jparse_expect_op(p, ":") ||
            !td_jparse_push(p, &node->list, td_jparse_expr(p, true)))
            return NULL;
        if (!td_jparse_is_op(p, "}") && !td_jparse_expect_op(p, ",")) return NULL;
    }
    p->at++;
    return td_jparse_done(p, node);
}

static td_jnode *parse_primary(td_jparser *p, bool with_namespace) {
    const td_jtoken *token = td_jparse_token(p);
    switch (token->type) {
    case TD_JTOKEN_NAME: return parse_name(p, with_namespace);
    case TD_JTOKEN_STRING: return parse_string(p);
    case TD_JTOKEN_INT:
        p->at++;
        return constant(p, token->line, td_value_int(&p->t->arena, token->number.integer));
    case TD_JTOKEN_FLOAT:
        p->at++;
        return constant(p, token->line, td_value_float(&p->t->arena, token->number.real));
    default: break;
    }
    if (td_jparse_skip_op(p, "(")) {
        td_jnode *node = td_jparse_tuple(p, true, NULL, true);
        return node && td_jparse_expect_op(p, ")") ? node : NULL;
    }
    if (td_jparse_is_op(p, "[")) return parse_list(p);
    if (td_jparse_is_op(p, "{")) return parse_dict(p);
    return td_jparse_fail_unexpected(p, "an expression");
}

/* ---- what follows a value ---- */

static bool push_keyword(td_jparser *p, td_jargs *args) {
    const td_jtoken *token = td_jparse_token(p);
    const td_value *name = td_value_string(&p->t->arena, token->text, token->n);
    if (args->kw.n == args->cap_names) {
        const size_t cap = args->cap_names ? args->cap_names * 2 : 8;
        const td_value **names = td_arena_calloc(&p->t->arena, cap, sizeof *names);
        if (names && args->kw.n) memcpy(names, args->kw_names, args->kw.n * sizeof *names);
        args->kw_names = names;
        args->cap_names = cap;
    }
    if (!args->kw_names || !name) {
        td_jparse_fail(p, TD_ERR_NOMEM, token->line, "out of memory");
        return false;
    }
    args->kw_names[args->kw.n] = name;
    p->at += 2;
    return td_jparse_push(p, &args->kw, td_jparse_expr(p, true));
}

static bool parse_arg(td_jparser *p, td_jargs *args) {
    const int line = line_of(p);
    const bool is_keyword = td_jparse_token(p)->type == TD_JTOKEN_NAME &&
                            p->tokens.items[p->at + 1].type == TD_JTOKEN_OPERATOR &&
                            p->tokens.items[p->at + 1].n == 1 &&
                            p->tokens.items[p->at + 1].text[0] == '=';
    bool in_order = true;
    if (td_jparse_is_op(p, "*"))
        in_order = !args->star && !args->star2;
    else if (td_jparse_is_op(p, "**") || is_keyword)
        in_order = !args->star2;
    else
        in_order = !args->star && !args->star2 && args->kw.n == 0;
    if (!in_order) {
        td_jparse_fail(p, TD_ERR_FORMAT, line, "arguments of a call in a wrong order");
        return false;
    }
    if (td_jparse_skip_op(p, "*")) return (args->star = td_jparse_expr(p, true)) != NULL;
    if (td_jparse_skip_op(p, "**")) return (args->star2 = td_jparse_expr(p, true)) != NULL;
    if (is_keyword) return push_keyword(p, args);
    return td_jparse_push(p, &args->pos, td_jparse_expr(p, true));
}

/* NULL: failed. */
static td_jargs *parse_args(td_jparser *p) {
    td_jargs *args = td_arena_calloc(&p->t->arena, 1, sizeof *args);
    if (!args) td_jparse_fail(p, TD_ERR_NOMEM, line_of(p), "out of memory");
    if (!args || !td_jparse_expect_op(p, "(")) return NULL;
    while (!td_jparse_is_op(p, ")")) {
        if (!parse_arg(p, args)) return NULL;
        if (!td_jparse_is_op(p, ")") && !td_jparse_expect_op(p, ",")) return NULL;
    }
    p->at++;
    return args;
}

static td_jnode *parse_call(td_jparser *p, td_jnode *callee) {
    td_jnode *node = td_jparse_node(p, TD_J_CALL, line_of(p));
    if (!node) return NULL;
    node->a = callee;
    node->args = parse_args(p);
    return node->args ? td_jparse_done(p, node) : NULL;
}

static td_jnode *parse_subscribed(td_jparser *p) {
    const int line = line_of(p);
    td_jnode *from = NULL;
    if (!td_jparse_is_op(p, ":")) {
        from = td_jparse_expr(p, true);
        if (!from || !td_jparse_is_op(p, ":")) return from;
    }
    p->at++;
    td_jnode *node = td_jparse_node(p, TD_J_SLICE, line);
    if (!node) return NULL;
    node->a = from;
    if (!td_jparse_is_op(p, ":") && !td_jparse_is_op(p, "]") && !td_jparse_is_op(p, ",")) {
        node->b = td_jparse_expr(p, true);
        if (!node->b) return NULL;
    }
    if (td_jparse_skip_op(p, ":") && !td_jparse_is_op(p, "]") && !td_jparse_is_op(p, ",")) {
        node->c = td_jparse_expr(p, true);
        if (!node->c) return NULL;
    }
    return td_jparse_done(p, node);
}

static td_jnode *parse_item_access(td_jparser *p, td_jnode *object) {
    const int line = line_of(p);
    p->at++;
    td_jnode *key = NULL, *tuple = NULL;
    while (!td_jparse_is_op(p, "]")) {
        if (key && !td_jparse_expect_op(p, ",")) return NULL;
        td_jnode *next = parse_subscribed(p);
        if (!next) return NULL;
        if (key && !tuple) {
            tuple = td_jparse_node(p, TD_J_TUPLE, line);
            if (!tuple || !td_jparse_push(p, &tuple->list, key)) return NULL;
        }
        if (tuple && !td_jparse_push(p, &tuple->list, next)) return NULL;
        key = next;
    }
    p->at++;
    if (!key) { /* x[] is x[()] to Jinja */
        tuple = td_jparse_node(p, TD_J_TUPLE, line);
        if (!tuple) return NULL;
    }
    if (tuple) {
        for (size_t i = 0; i < tuple->list.n; i++)
            if (tuple->list.items[i]->kind == TD_J_SLICE)
                return td_jparse_fail(p, TD_ERR_UNSUPPORTED, line, "slices of several dimensions");
        key = td_jparse_done(p, tuple);
    }
    return two(p, TD_J_ITEM, line, object, key);
}

static td_jnode *parse_attribute(td_jparser *p, td_jnode *object) {
    const int line = line_of(p);
    p->at++;
    const td_jtoken *token = td_jparse_token(p);
    if (token->type == TD_JTOKEN_INT) {
        p->at++;
        const td_value *i = td_value_int(&p->t->arena, token->number.integer);
        return two(p, TD_J_ITEM, line, object, constant(p, token->line, i));
    }
    if (token->type != TD_JTOKEN_NAME) return td_jparse_fail_unexpected(p, "a name or number");
    td_jnode *node = td_jparse_node(p, TD_J_ATTR, line);
    if (!node) return NULL;
    node->a = object;
    node->name = td_jparse_expect_name(p);
    return node->name ? td_jparse_done(p, node) : NULL;
}

static td_jnode *parse_postfix(td_jparser *p, td_jnode *node) {
    while (node) {
        if (td_jparse_is_op(p, "."))
            node = parse_attribute(p, node);
        else if (td_jparse_is_op(p, "["))
            node = parse_item_access(p, node);
        else if (td_jparse_is_op(p, "("))
            node = parse_call(p, node);
        else
            break;
    }
    return node;
}

/* Names of filters and tests may be dotted; none of ours is, so a dot makes an unknown one. */
static td_jnode *parse_named(td_jparser *p, td_jkind kind, td_jnode *input) {
    td_jnode *node = td_jparse_node(p, kind, line_of(p));
    if (!node) return NULL;
    node->a = input;
    node->name = td_jparse_expect_name(p);
    if (!node->name) return NULL;
    bool is_dotted = false;
    while (td_jparse_skip_op(p, ".")) {
        is_dotted = true;
        node->name = td_jparse_expect_name(p);
        if (!node->name) return NULL;
    }
    if (!is_dotted)
        node->function =
            kind == TD_J_FILTER ? td_jinja_filter(node->name) : td_jinja_test(node->name);
    return node;
}

td_jnode *td_jparse_filters(td_jparser *p, td_jnode *input, bool inline_first) {
    while (inline_first || td_jparse_skip_op(p, "|")) {
        inline_first = false;
        td_jnode *node = parse_named(p, TD_J_FILTER, input);
        if (!node) return NULL;
        if (td_jparse_is_op(p, "(")) {
            node->args = parse_args(p);
            if (!node->args) return NULL;
        }
        input = td_jparse_done(p, node);
        if (!input) return NULL;
    }
    return input;
}

/* Whether an argument follows a test's name without parentheses: x is divisibleby 3. */
static bool starts_bare_argument(const td_jparser *p) {
    switch (td_jparse_token(p)->type) {
    case TD_JTOKEN_STRING:
    case TD_JTOKEN_INT:
    case TD_JTOKEN_FLOAT: return true;
    case TD_JTOKEN_NAME:
        return !td_jparse_is_name(p, "else") && !td_jparse_is_name(p, "or") &&
               !td_jparse_is_name(p, "and");
    default: return td_jparse_is_op(p, "[") || td_jparse_is_op(p, "{");
    }
}

static td_jnode *parse_test(td_jparser *p, td_jnode *input) {
    const int line = line_of(p);
    const bool is_negated = td_jparse_skip_name(p, "not");
    td_jnode *node = parse_named(p, TD_J_TEST, input);
    if (!node) return NULL;
    if (td_jparse_is_op(p, "(")) {
        node->args = parse_args(p);
        if (!node->args) return NULL;
    } else if (starts_bare_argument(p)) {
        if (td_jparse_is_name(p, "is"))
            return td_jparse_fail(p, TD_ERR_FORMAT, line, "tests cannot be chained with 'is'");
        node->args = td_arena_calloc(&p->t->arena, 1, sizeof *node->args);
        if (!node->args) return td_jparse_fail(p, TD_ERR_NOMEM, line, "out of memory");
        td_jnode *arg = parse_postfix(p, parse_primary(p, false));
        if (!td_jparse_push(p, &node->args->pos, arg)) return NULL;
    }
    if (!td_jparse_done(p, node) || !is_negated) return p->status == TD_OK ? node : NULL;
    td_jnode *negation = td_jparse_node(p, TD_J_NOT, line);
    if (!negation) return NULL;
    negation->a = node;
    return td_jparse_done(p, negation);
}

static td_jnode *parse_filter_expr(td_jparser *p, td_jnode *node) {
    while (node) {
        if (td_jparse_is_op(p, "|"))
            node = td_jparse_filters(p, node, false);
        else if (td_jparse_skip_name(p, "is"))
            node = parse_test(p, node);
        else if (td_jparse_is_op(p, "("))
            node = parse_call(p, node);
        else
            break;
    }
    return node;
}

/* A minus binds tighter than a filter behind its operand: -1|abs is (-1)|abs. */
static td_jnode *parse_unary(td_jparser *p, bool with_filter) {
    const int line = line_of(p);
    const bool is_minus = td_jparse_is_op(p, "-");
    td_jnode *node;
    if (is_minus || td_jparse_is_op(p, "+")) {
        p->at++;
        node = td_jparse_node(p, TD_J_UNARY, line);
        if (!node || !td_jparse_enter(p)) return NULL;
        node->op = is_minus ? '-' : '+';
        node->a = parse_unary(p, false);
        p->depth--;
        node = node->a ? td_jparse_done(p, node) : NULL;
    } else {
        node = parse_primary(p, false);
    }
    node = parse_postfix(p, node);
    return with_filter ? parse_filter_expr(p, node) : node;
}
