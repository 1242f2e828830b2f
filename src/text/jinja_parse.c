/* jinja_parse.c - statements, and the helpers of both halves of the parser. */
#include "text/jinja_parse_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

/* ---- helpers ---- */

const td_jtoken *td_jparse_token(const td_jparser *p) { return &p->tokens.items[p->at]; }

static bool is_token(const td_jparser *p, td_jtoken_type type, const char *text) {
    const td_jtoken *token = td_jparse_token(p);
    return token->type == type && token->n == strlen(text) &&
           memcmp(token->text, text, token->n) == 0;
}

bool td_jparse_is_op(const td_jparser *p, const char *op) {
    return is_token(p, TD_JTOKEN_OPERATOR, op);
}

bool td_jparse_is_name(const td_jparser *p, const char *name) {
    return is_token(p, TD_JTOKEN_NAME, name);
}

bool td_jparse_skip_op(td_jparser *p, const char *op) {
    const bool is = td_jparse_is_op(p, op);
    p->at += is;
    return is;
}

bool td_jparse_skip_name(td_jparser *p, const char *name) {
    const bool is = td_jparse_is_name(p, name);
    p->at += is;
    return is;
}

bool td_jparse_expect_op(td_jparser *p, const char *op) {
    if (td_jparse_skip_op(p, op)) return true;
    char wanted[8];
    snprintf(wanted, sizeof wanted, "'%s'", op);
    td_jparse_fail_unexpected(p, wanted);
    return false;
}

td_jnode *td_jparse_fail(td_jparser *p, td_status code, int line, const char *fmt, ...) {
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (p->status == TD_OK)
        p->status = td_fail(p->err, code, "%s, line %d: %s", p->t->name, line, text);
    return NULL;
}

td_jnode *td_jparse_fail_unexpected(td_jparser *p, const char *wanted) {
    const td_jtoken *token = td_jparse_token(p);
    const int n = token->n < 60 ? (int)token->n : 60;
    switch (token->type) {
    case TD_JTOKEN_END:
        return td_jparse_fail(p, TD_ERR_FORMAT, token->line, "the template ends, wanted %s",
                              wanted);
    case TD_JTOKEN_NAME:
    case TD_JTOKEN_OPERATOR:
        return td_jparse_fail(p, TD_ERR_FORMAT, token->line, "found '%.*s', wanted %s", n,
                              token->text, wanted);
    case TD_JTOKEN_BLOCK_END:
    case TD_JTOKEN_PRINT_END:
        return td_jparse_fail(p, TD_ERR_FORMAT, token->line, "the tag ends, wanted %s", wanted);
    default:
        return td_jparse_fail(p, TD_ERR_FORMAT, token->line, "found a literal, wanted %s", wanted);
    }
}

bool td_jparse_enter(td_jparser *p) {
    if (p->depth < TD_JMAX_PARSE_DEPTH) {
        p->depth++;
        return true;
    }
    td_jparse_fail(p, TD_ERR_LIMIT, td_jparse_token(p)->line, "nested deeper than %d levels",
                   TD_JMAX_PARSE_DEPTH);
    return false;
}

td_jnode *td_jparse_node(td_jparser *p, td_jkind kind, int line) {
    td_jnode *node = td_arena_calloc(&p->t->arena, 1, sizeof *node);
    if (!node) return td_jparse_fail(p, TD_ERR_NOMEM, line, "out of memory");
    node->kind = kind;
    node->line = line;
    return node;
}

static int highest(const td_jnodes *list, int height) {
    for (size_t i = 0; i < list->n; i++)
        if (list->items[i]->height > height) height = list->items[i]->height;
    return height;
}

td_jnode *td_jparse_done(td_jparser *p, td_jnode *node) {
    int height = highest(&node->list, 0);
    height = highest(&node->more, height);
    if (node->a && node->a->height > height) height = node->a->height;
    if (node->b && node->b->height > height) height = node->b->height;
    if (node->c && node->c->height > height) height = node->c->height;
    if (node->args) {
        height = highest(&node->args->pos, height);
        height = highest(&node->args->kw, height);
        if (node->args->star && node->args->star->height > height)
            height = node->args->star->height;
        if (node->args->star2 && node->args->star2->height > height)
            height = node->args->star2->height;
    }
    node->height = height + 1;
    if (node->height <= TD_JMAX_HEIGHT) return node;
    return td_jparse_fail(p, TD_ERR_LIMIT, node->line, "more than %d operators in each other",
                          TD_JMAX_HEIGHT);
}

bool td_jparse_push(td_jparser *p, td_jnodes *list, td_jnode *node) {
    if (!node) return false;
    if (list->n == list->cap) {
        const size_t cap = list->cap ? list->cap * 2 : 8;
        td_jnode **items = td_arena_calloc(&p->t->arena, cap, sizeof *items);
        if (!items) {
            td_jparse_fail(p, TD_ERR_NOMEM, node->line, "out of memory");
            return false;
        }
        if (list->n) memcpy(items, list->items, list->n * sizeof *items);
        list->items = items;
        list->cap = cap;
    }
    list->items[list->n++] = node;
    return true;
}

const char *td_jparse_intern(td_jparser *p, const char *text, size_t n) {
    const td_value *known = td_value_find_text(p->names, text, n);
    if (!known) {
        known = td_value_string(&p->t->arena, text, n);
        if (td_value_put(&p->t->arena, p->names, known, known) != TD_OK) {
            td_jparse_fail(p, TD_ERR_NOMEM, 1, "out of memory");
            return NULL;
        }
    }
    return known->u.string.text;
}

const char *td_jparse_expect_name(td_jparser *p) {
    const td_jtoken *token = td_jparse_token(p);
    if (token->type != TD_JTOKEN_NAME) {
        td_jparse_fail_unexpected(p, "a name");
        return NULL;
    }
    p->at++;
    return td_jparse_intern(p, token->text, token->n);
}

/* ---- bodies ---- */

static td_jnode *parse_statement(td_jparser *p);

static bool expect_type(td_jparser *p, td_jtoken_type type, const char *wanted) {
    if (td_jparse_token(p)->type == type) {
        p->at++;
        return true;
    }
    td_jparse_fail_unexpected(p, wanted);
    return false;
}

static td_jnode *parse_data(td_jparser *p) {
    const td_jtoken *token = td_jparse_token(p);
    td_jnode *node = td_jparse_node(p, TD_J_DATA, token->line);
    if (!node) return NULL;
    node->value = td_value_string(&p->t->arena, token->text, token->n);
    if (!node->value) return td_jparse_fail(p, TD_ERR_NOMEM, token->line, "out of memory");
    p->at++;
    return td_jparse_done(p, node);
}

static td_jnode *parse_print(td_jparser *p) {
    td_jnode *node = td_jparse_node(p, TD_J_PRINT, td_jparse_token(p)->line);
    if (!node) return NULL;
    p->at++;
    node->a = td_jparse_tuple(p, true, NULL, false);
    if (!node->a || !expect_type(p, TD_JTOKEN_PRINT_END, "}}")) return NULL;
    return td_jparse_done(p, node);
}

/* Up to a tag whose name is one of `ends` (NULL-terminated), which becomes the current token; up to
 * the end of the template when `ends` is NULL. */
static bool parse_nodes(td_jparser *p, td_jnodes *out, const char *const *ends) {
    for (;;) {
        td_jnode *node;
        switch (td_jparse_token(p)->type) {
        case TD_JTOKEN_DATA: node = parse_data(p); break;
        case TD_JTOKEN_PRINT_BEGIN: node = parse_print(p); break;
        case TD_JTOKEN_BLOCK_BEGIN:
            p->at++;
            for (const char *const *end = ends; end && *end; end++)
                if (td_jparse_is_name(p, *end)) return true;
            node = parse_statement(p);
            if (node && !expect_type(p, TD_JTOKEN_BLOCK_END, "%}")) return false;
            break;
        default:
            if (!ends && td_jparse_token(p)->type == TD_JTOKEN_END) return true;
            td_jparse_fail(p, TD_ERR_FORMAT, td_jparse_token(p)->line,
                           "the template ends, wanted {%% %s %%}", ends ? ends[0] : "");
            return false;
        }
        if (!td_jparse_push(p, out, node)) return false;
    }
}

/* From behind a tag's words, over its %}, to the tag that ends the body. */
static bool parse_body(td_jparser *p, td_jnodes *out, const char *const *ends) {
    td_jparse_skip_op(p, ":");
    if (!expect_type(p, TD_JTOKEN_BLOCK_END, "%}") || !td_jparse_enter(p)) return false;
    const bool ok = parse_nodes(p, out, ends);
    p->depth--;
    return ok;
}

/* As parse_body, and consumes the end's name. */
static bool parse_whole_body(td_jparser *p, td_jnodes *out, const char *end) {
    const char *const ends[] = {end, NULL};
    if (!parse_body(p, out, ends)) return false;
    p->at++;
    return true;
}

/* ---- statements: each starts behind its own name ---- */

static td_jnode *parse_if(td_jparser *p, int line) {
    static const char *const ends[] = {"endif", "elif", "else", NULL};
    static const char *const last_end[] = {"endif", NULL};
    td_jnode *node = td_jparse_node(p, TD_J_IF, line);
    if (!node) return NULL;
    for (bool is_else = false;;) {
        td_jnode *branch = td_jparse_node(p, TD_J_BRANCH, td_jparse_token(p)->line);
        if (!branch) return NULL;
        if (!is_else) {
            branch->a = td_jparse_tuple(p, false, NULL, false);
            if (!branch->a) return NULL;
        }
        if (!parse_body(p, &branch->list, is_else ? last_end : ends) ||
            !td_jparse_push(p, &node->list, td_jparse_done(p, branch)))
            return NULL;
        if (td_jparse_skip_name(p, "endif")) return td_jparse_done(p, node);
        is_else = td_jparse_is_name(p, "else");
        p->at++;
    }
}

static td_jnode *parse_for(td_jparser *p, int line) {
    static const char *const ends[] = {"endfor", "else", NULL};
    td_jnode *node = td_jparse_node(p, TD_J_FOR, line);
    if (!node) return NULL;
    p->n_for++;
    node->a = td_jparse_target(p, "in", false);
    if (!node->a) return NULL;
    if (!td_jparse_skip_name(p, "in")) return td_jparse_fail_unexpected(p, "'in'");
    node->b = td_jparse_tuple(p, false, "recursive", false);
    if (!node->b) return NULL;
    if (td_jparse_skip_name(p, "if")) {
        node->c = td_jparse_expr(p, true);
        if (!node->c) return NULL;
    }
    node->op = td_jparse_skip_name(p, "recursive");
    p->n_loop++;
    const bool ok = parse_body(p, &node->list, ends);
    p->n_loop--;
    p->n_for--;
    if (!ok) return NULL;
    if (!td_jparse_skip_name(p, "endfor")) {
        p->at++;
        if (!parse_whole_body(p, &node->more, "endfor")) return NULL;
    }
    return td_jparse_done(p, node);
}

static td_jnode *parse_set(td_jparser *p, int line) {
    td_jnode *target = td_jparse_target(p, NULL, true);
    if (!target) return NULL;
    const bool is_assign = td_jparse_skip_op(p, "=");
    td_jnode *node = td_jparse_node(p, is_assign ? TD_J_SET : TD_J_SET_BLOCK, line);
    if (!node) return NULL;
    node->a = target;
    if (is_assign) {
        node->b = td_jparse_tuple(p, true, NULL, false);
        return node->b ? td_jparse_done(p, node) : NULL;
    }
    if (td_jparse_is_op(p, "|")) {
        node->b = td_jparse_filters(p, NULL, false);
        if (!node->b) return NULL;
    }
    return parse_whole_body(p, &node->list, "endset") ? td_jparse_done(p, node) : NULL;
}

static bool parse_signature(td_jparser *p, td_jnode *macro) {
    macro->args = td_arena_calloc(&p->t->arena, 1, sizeof *macro->args);
    if (!macro->args) {
        td_jparse_fail(p, TD_ERR_NOMEM, macro->line, "out of memory");
        return false;
    }
    if (!td_jparse_skip_op(p, "(")) return true;
    while (!td_jparse_is_op(p, ")")) {
        if (macro->more.n && !td_jparse_expect_op(p, ",")) return false;
        td_jnode *param = td_jparse_node(p, TD_J_NAME, td_jparse_token(p)->line);
        if (!param) return false;
        param->name = td_jparse_expect_name(p);
        if (!param->name || !td_jparse_push(p, &macro->more, param)) return false;
        if (td_jparse_skip_op(p, "=")) {
            if (!td_jparse_push(p, &macro->args->pos, td_jparse_expr(p, true))) return false;
        } else if (macro->args->pos.n) {
            td_jparse_fail(p, TD_ERR_FORMAT, param->line,
                           "parameter '%s' without a default behind one that has one", param->name);
            return false;
        }
    }
    p->at++;
    return true;
}

/* The body of a macro or call block, with what it mentions noted in macro->op. */
static td_jnode *parse_macro_body(td_jparser *p, td_jnode *macro, const char *end) {
    const int uses = p->uses, n_loop = p->n_loop;
    p->uses = 0;
    p->n_loop = 0;
    const bool ok = parse_whole_body(p, &macro->list, end);
    macro->op = p->uses;
    p->uses |= uses;
    p->n_loop = n_loop;
    return ok ? td_jparse_done(p, macro) : NULL;
}

static td_jnode *parse_macro(td_jparser *p, int line) {
    td_jnode *macro = td_jparse_node(p, TD_J_MACRO, line);
    if (!macro) return NULL;
    macro->name = td_jparse_expect_name(p);
    if (!macro->name) return NULL;
    if (!td_jparse_is_op(p, "(")) return td_jparse_fail_unexpected(p, "'('");
    return parse_signature(p, macro) ? parse_macro_body(p, macro, "endmacro") : NULL;
}

static td_jnode *parse_call_block(td_jparser *p, int line) {
    td_jnode *node = td_jparse_node(p, TD_J_CALL_BLOCK, line);
    td_jnode *macro = td_jparse_node(p, TD_J_MACRO, line);
    if (!node || !macro || !parse_signature(p, macro)) return NULL;
    node->a = td_jparse_expr(p, true);
    if (!node->a) return NULL;
    if (node->a->kind != TD_J_CALL)
        return td_jparse_fail(p, TD_ERR_FORMAT, line, "{%% call %%} wants a call of a macro");
    node->b = parse_macro_body(p, macro, "endcall");
    return node->b ? td_jparse_done(p, node) : NULL;
}

static td_jnode *parse_filter_block(td_jparser *p, int line) {
    td_jnode *node = td_jparse_node(p, TD_J_FILTER_BLOCK, line);
    if (!node) return NULL;
    node->b = td_jparse_filters(p, NULL, true);
    if (!node->b || !parse_whole_body(p, &node->list, "endfilter")) return NULL;
    return td_jparse_done(p, node);
}

static td_jnode *parse_with(td_jparser *p, int line) {
    td_jnode *node = td_jparse_node(p, TD_J_WITH, line);
    if (!node) return NULL;
    node->args = td_arena_calloc(&p->t->arena, 1, sizeof *node->args);
    if (!node->args) return td_jparse_fail(p, TD_ERR_NOMEM, line, "out of memory");
    while (td_jparse_token(p)->type != TD_JTOKEN_BLOCK_END && !td_jparse_is_op(p, ":")) {
        if (node->more.n && !td_jparse_expect_op(p, ",")) return NULL;
        if (!td_jparse_push(p, &node->more, td_jparse_target(p, NULL, false)) ||
            !td_jparse_expect_op(p, "=") ||
            !td_jparse_push(p, &node->args->pos, td_jparse_expr(p, true)))
            return NULL;
    }
    return parse_whole_body(p, &node->list, "endwith") ? td_jparse_done(p, node) : NULL;
}

/* {% generation %} marks what the model wrote, for training; else it is a call block. */
static td_jnode *parse_generation(td_jparser *p, int line) {
    td_jnode *node = td_jparse_node(p, TD_J_GENERATION, line);
    td_jnode *macro = td_jparse_node(p, TD_J_MACRO, line);
    if (!node || !macro) return NULL;
    macro->args = td_arena_calloc(&p->t->arena, 1, sizeof *macro->args);
    if (!macro->args) return td_jparse_fail(p, TD_ERR_NOMEM, line, "out of memory");
    node->b = parse_macro_body(p, macro, "endgeneration");
    return node->b ? td_jparse_done(p, node) : NULL;
}

/* Nothing extends a chat template, so that a block is written where it stands. */
static td_jnode *parse_block(td_jparser *p, int line) {
    td_jnode *node = td_jparse_node(p, TD_J_SCOPE, line);
    const int n_loop = p->n_loop;
    const char *name = td_jparse_expect_name(p);
    if (!node || !name) return NULL;
    const td_value *known = td_value_find_text(p->blocks, name, strlen(name));
    if (known) return td_jparse_fail(p, TD_ERR_FORMAT, line, "block '%s' is defined twice", name);
    known = td_value_string(&p->t->arena, name, strlen(name));
    if (td_value_put(&p->t->arena, p->blocks, known, known) != TD_OK)
        return td_jparse_fail(p, TD_ERR_NOMEM, line, "out of memory");
    td_jparse_skip_name(p, "scoped");
    td_jparse_skip_name(p, "required");
    p->n_loop = 0;
    if (!parse_whole_body(p, &node->list, "endblock")) return NULL;
    p->n_loop = n_loop;
    td_jparse_skip_name(p, name);
    return td_jparse_done(p, node);
}

static td_jnode *parse_jump(td_jparser *p, td_jkind kind, int line) {
    if (p->n_loop == 0)
        return td_jparse_fail(p, TD_ERR_FORMAT, line, "break or continue outside of a for loop");
    td_jnode *node = td_jparse_node(p, kind, line);
    return node ? td_jparse_done(p, node) : NULL;
}

/* {% print a, b %} */
static td_jnode *parse_print_tag(td_jparser *p, int line) {
    td_jnode *print = td_jparse_node(p, TD_J_PRINT, line);
    td_jnode *node = td_jparse_node(p, TD_J_CONCAT, line);
    if (!print || !node) return NULL;
    while (td_jparse_token(p)->type != TD_JTOKEN_BLOCK_END) {
        if (node->list.n && !td_jparse_expect_op(p, ",")) return NULL;
        if (!td_jparse_push(p, &node->list, td_jparse_expr(p, true))) return NULL;
    }
    print->a = td_jparse_done(p, node);
    return print->a ? td_jparse_done(p, print) : NULL;
}

static td_jnode *parse_statement(td_jparser *p) {
    static const char *const foreign[] = {"extends", "include", "import", "from", "autoescape"};
    const int line = td_jparse_token(p)->line;
    if (td_jparse_token(p)->type != TD_JTOKEN_NAME)
        return td_jparse_fail_unexpected(p, "the name of a tag");
    if (td_jparse_skip_name(p, "if")) return parse_if(p, line);
    if (td_jparse_skip_name(p, "for")) return parse_for(p, line);
    if (td_jparse_skip_name(p, "set")) return parse_set(p, line);
    if (td_jparse_skip_name(p, "macro")) return parse_macro(p, line);
    if (td_jparse_skip_name(p, "call")) return parse_call_block(p, line);
    if (td_jparse_skip_name(p, "filter")) return parse_filter_block(p, line);
    if (td_jparse_skip_name(p, "with")) return parse_with(p, line);
    if (td_jparse_skip_name(p, "generation")) return parse_generation(p, line);
    if (td_jparse_skip_name(p, "block")) return parse_block(p, line);
    if (td_jparse_skip_name(p, "break")) return parse_jump(p, TD_J_BREAK, line);
    if (td_jparse_skip_name(p, "continue")) return parse_jump(p, TD_J_CONTINUE, line);
    if (td_jparse_skip_name(p, "print")) return parse_print_tag(p, line);
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
        if (td_jparse_is_name(p, foreign[i]))
            return td_jparse_fail(p, TD_ERR_UNSUPPORTED, line,
                                  "{%% %s %%}: a chat template stands alone", foreign[i]);
    const int n = td_jparse_token(p)->n < 60 ? (int)td_jparse_token(p)->n : 60;
    return td_jparse_fail(p, TD_ERR_FORMAT, line, "unknown tag {%% %.*s %%}, or one out of place",
                          n, td_jparse_token(p)->text);
}

/* ---- names of filters and tests ---- */

static bool check_names(td_jparser *p, const td_jnode *node, bool is_soft);

static bool check_list(td_jparser *p, const td_jnodes *list, bool is_soft) {
    for (size_t i = 0; i < list->n; i++)
        if (!check_names(p, list->items[i], is_soft)) return false;
    return true;
}

/* An unknown filter or test is an error of the template, except under a condition (is_soft), where
 * it is one only if it is reached: so does Jinja, and templates rely on it. */
static bool check_names(td_jparser *p, const td_jnode *node, bool is_soft) {
    if (!node) return true;
    if ((node->kind == TD_J_FILTER || node->kind == TD_J_TEST) && !node->function && !is_soft) {
        td_jparse_fail(p, TD_ERR_FORMAT, node->line, "no %s named '%s'",
                       node->kind == TD_J_FILTER ? "filter" : "test", node->name);
        return false;
    }
    const bool is_condition =
        node->kind == TD_J_IF || node->kind == TD_J_COND || (is_soft && node->kind == TD_J_BRANCH);
    const bool is_statement = node->kind >= TD_J_DATA && node->kind != TD_J_PRINT;
    const bool soft = is_condition || (is_soft && !is_statement);
    const bool is_filtered = node->kind == TD_J_FILTER_BLOCK || node->kind == TD_J_SET_BLOCK;
    const bool soft_head =
        is_condition || (is_soft && !is_filtered); /* a for's sequence belongs to what is around */
    if (!check_names(p, node->a, soft_head) || !check_names(p, node->b, soft_head) ||
        !check_names(p, node->c, soft) || !check_list(p, &node->list, soft) ||
        !check_list(p, &node->more, soft))
        return false;
    if (!node->args) return true;
    return check_list(p, &node->args->pos, soft) && check_list(p, &node->args->kw, soft) &&
           check_names(p, node->args->star, soft) && check_names(p, node->args->star2, soft);
}

td_status td_jinja_parse(td_template *t, const char *source, size_t n, td_err *err) {
    td_jparser p = {.t = t, .err = err, .names = td_value_map(&t->arena)};
    p.blocks = td_value_map(&t->arena);
    if (!p.names || !p.blocks) return td_fail_nomem(err, t->name, n);
    t->loop = td_jparse_intern(&p, "loop", 4);
    t->caller = td_jparse_intern(&p, "caller", 6);
    t->kwargs = td_jparse_intern(&p, "kwargs", 6);
    t->varargs = td_jparse_intern(&p, "varargs", 7);
    TD_TRY(p.status);
    TD_TRY(td_jinja_lex(&p.tokens, &t->arena, t->name, source, n, err));
    if (parse_nodes(&p, &t->body, NULL)) check_list(&p, &t->body, false);
    td_free(p.tokens.items);
    return p.status;
}
