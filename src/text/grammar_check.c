/* grammar_check.c - what must be known about rules before they are compiled.
 *
 * A rule is nullable if it matches the empty text, and productive if it matches any text at all.
 * Both are least fixed points.  Parts that can never match are taken out, so that no mask leads
 * into a dead end: {"a": false} in a schema must not let the key "a" begin. */
#include <string.h>

#include "base/alloc.h"
#include "text/grammar_int.h"

enum { MAX_STEPS = 50000000, MAX_INLINE_NODES = 16, N_INLINE_PASS = 4 };

typedef struct checker {
    td_gbuilder *b;
    size_t n_step;
} checker;

/* ---- nullable and productive ---- */

static bool is_nullable(checker *c, const td_gnode *node) {
    c->n_step++;
    switch (node->kind) {
    case TD_GNODE_EMPTY: return true;
    case TD_GNODE_SEQ:
        for (uint32_t i = 0; i < node->n; i++)
            if (!is_nullable(c, node->u.children[i])) return false;
        return true;
    case TD_GNODE_ALT:
        for (uint32_t i = 0; i < node->n; i++)
            if (is_nullable(c, node->u.children[i])) return true;
        return false;
    case TD_GNODE_REPEAT: return node->min == 0 || is_nullable(c, node->u.children[0]);
    case TD_GNODE_RULE: return c->b->rules[node->number].nullable;
    default: return false;
    }
}

static bool is_productive(checker *c, const td_gnode *node) {
    c->n_step++;
    switch (node->kind) {
    case TD_GNODE_NEVER: return false;
    case TD_GNODE_SEQ:
        for (uint32_t i = 0; i < node->n; i++)
            if (!is_productive(c, node->u.children[i])) return false;
        return true;
    case TD_GNODE_ALT:
        for (uint32_t i = 0; i < node->n; i++)
            if (is_productive(c, node->u.children[i])) return true;
        return false;
    case TD_GNODE_REPEAT: return node->min == 0 || is_productive(c, node->u.children[0]);
    case TD_GNODE_RULE: return c->b->rules[node->number].productive;
    default: return true;
    }
}

static td_status too_entangled(const checker *c, td_err *err) {
    return td_fail(err, TD_ERR_LIMIT, "%s: the rules depend on each other too much to be checked",
                   c->b->name);
}

/* Passes in turning direction until nothing changes. */
static td_status find_fixed_points(checker *c, td_err *err) {
    td_gbuilder *b = c->b;
    bool changed = true;
    for (int pass = 0; changed; pass++) {
        changed = false;
        for (size_t i = 0; i < b->n_rule; i++) {
            td_grule *r = &b->rules[pass & 1 ? i : b->n_rule - 1 - i];
            if (!r->nullable && is_nullable(c, r->node)) changed = r->nullable = true;
            if (!r->productive && is_productive(c, r->node)) changed = r->productive = true;
            if (c->n_step > MAX_STEPS) return too_entangled(c, err);
        }
    }
    return TD_OK;
}

/* ---- what can never match goes ---- */

static void prune(checker *c, td_gnode *node) {
    c->n_step++;
    switch (node->kind) {
    case TD_GNODE_SEQ:
    case TD_GNODE_REPEAT:
        for (uint32_t i = 0; i < node->n; i++) prune(c, node->u.children[i]);
        for (uint32_t i = 0; i < node->n; i++) {
            if (node->u.children[i]->kind != TD_GNODE_NEVER) continue;
            const bool repeat = node->kind == TD_GNODE_REPEAT;
            node->kind = repeat && node->min == 0 ? TD_GNODE_EMPTY : TD_GNODE_NEVER;
            break;
        }
        break;
    case TD_GNODE_ALT: {
        uint32_t n = 0;
        for (uint32_t i = 0; i < node->n; i++) {
            prune(c, node->u.children[i]);
            if (node->u.children[i]->kind != TD_GNODE_NEVER)
                node->u.children[n++] = node->u.children[i];
        }
        node->n = n;
        if (n == 0) node->kind = TD_GNODE_NEVER;
        break;
    }
    case TD_GNODE_RULE:
        if (!c->b->rules[node->number].productive) node->kind = TD_GNODE_NEVER;
        break;
    default: break;
    }
}

static bool mark_nullable(checker *c, td_gnode *node) {
    bool all = true, any = false;
    if (node->kind == TD_GNODE_SEQ || node->kind == TD_GNODE_ALT || node->kind == TD_GNODE_REPEAT)
        for (uint32_t i = 0; i < node->n; i++) {
            const bool one = mark_nullable(c, node->u.children[i]);
            all &= one;
            any |= one;
        }
    switch (node->kind) {
    case TD_GNODE_EMPTY: node->nullable = true; break;
    case TD_GNODE_SEQ: node->nullable = all; break;
    case TD_GNODE_ALT: node->nullable = any; break;
    case TD_GNODE_REPEAT: node->nullable = node->min == 0 || any; break;
    case TD_GNODE_RULE: node->nullable = c->b->rules[node->number].nullable; break;
    default: node->nullable = false; break;
    }
    return node->nullable;
}

/* ---- left recursion ---- */

typedef struct edges {
    uint32_t *to; /* owned by the stack frame's rule; grown */
    size_t n, cap;
} edges;

/* The rules that may come first in a node. */
static td_status left_edges(checker *c, const td_gnode *node, edges *e, td_err *err) {
    switch (node->kind) {
    case TD_GNODE_SEQ:
        for (uint32_t i = 0; i < node->n; i++) {
            TD_TRY(left_edges(c, node->u.children[i], e, err));
            if (!node->u.children[i]->nullable) break;
        }
        return TD_OK;
    case TD_GNODE_ALT:
    case TD_GNODE_REPEAT:
        for (uint32_t i = 0; i < node->n; i++) TD_TRY(left_edges(c, node->u.children[i], e, err));
        return TD_OK;
    case TD_GNODE_RULE: {
        void *to = e->to;
        TD_TRY(td_grow(&to, &e->cap, e->n + 1, sizeof *e->to, "the left edges of rules", err));
        e->to = to;
        e->to[e->n++] = node->number;
        return TD_OK;
    }
    default: return TD_OK;
    }
}

static td_status refuse_recursion(const checker *c, uint32_t rule, td_err *err) {
    const td_grule *r = &c->b->rules[rule];
    if (r->line > 0)
        return td_fail(err, TD_ERR_UNSUPPORTED,
                       "%s: line %d, column %d: rule '%s' can begin with itself (left recursion)",
                       c->b->name, r->line, r->column, r->name);
    return td_fail(err, TD_ERR_UNSUPPORTED, "%s: %s refers to itself with nothing in between",
                   c->b->name, r->name);
}

typedef struct frame {
    uint32_t rule;
    size_t at, end; /* of its edges that are left to follow */
} frame;

enum { WHITE, GREY, BLACK };

/* Depth first, with a stack of its own: chains of rules may be long. */
static td_status visit(checker *c, uint32_t root, uint8_t *colors, frame *stack, edges *e,
                       td_err *err) {
    size_t n = 0;
    e->n = 0;
    colors[root] = GREY;
    TD_TRY(left_edges(c, c->b->rules[root].node, e, err));
    stack[n++] = (frame){root, 0, e->n};
    while (n > 0) {
        frame *top = &stack[n - 1];
        if (top->at == top->end) {
            colors[top->rule] = BLACK;
            n--;
            if (n > 0) e->n = stack[n - 1].end;
            continue;
        }
        const uint32_t to = e->to[top->at++];
        if (colors[to] == GREY) return refuse_recursion(c, to, err);
        if (colors[to] == BLACK) continue;
        colors[to] = GREY;
        const size_t at = e->n;
        TD_TRY(left_edges(c, c->b->rules[to].node, e, err));
        stack[n++] = (frame){to, at, e->n};
    }
    return TD_OK;
}

static td_status find_left_recursion(checker *c, td_err *err) {
    const size_t n = c->b->n_rule;
    uint8_t *colors = td_calloc(n, 1);
    frame *stack = td_calloc(n, sizeof *stack);
    edges e = {0};
    td_status status = TD_OK;
    if (!colors || !stack) status = td_fail_nomem(err, c->b->name, n * sizeof *stack);
    for (size_t i = 0; i < n && status == TD_OK; i++)
        if (colors[i] == WHITE) status = visit(c, (uint32_t)i, colors, stack, &e, err);
    td_free(colors);
    td_free(stack);
    td_free(e.to);
    return status;
}

/* ---- small rules take the place of their mentions ---- */

/* Nodes after inlining; above MAX_INLINE_NODES: too many, or not possible. */
static uint32_t inlined_size(const checker *c, const td_gnode *node) {
    uint32_t n = 1;
    switch (node->kind) {
    case TD_GNODE_RULE:
        return c->b->rules[node->number].inlined ? c->b->rules[node->number].n_inlined
                                                 : MAX_INLINE_NODES + 1;
    case TD_GNODE_SEQ:
    case TD_GNODE_ALT:
        for (uint32_t i = 0; i < node->n && n <= MAX_INLINE_NODES; i++)
            n += inlined_size(c, node->u.children[i]);
        return n;
    case TD_GNODE_REPEAT:
        n += inlined_size(c, node->u.children[0]);
        if (n > MAX_INLINE_NODES || node->max == TD_GRAMMAR_INF)
            return node->min > 1 ? MAX_INLINE_NODES + 1 : n;
        return node->max > MAX_INLINE_NODES ? MAX_INLINE_NODES + 1 : n * node->max;
    default: return n;
    }
}

static void choose_inlined(checker *c, uint32_t root) {
    for (int pass = 0; pass < N_INLINE_PASS; pass++)
        for (size_t i = 0; i < c->b->n_rule; i++) {
            td_grule *r = &c->b->rules[i];
            if (r->inlined || i == root) continue;
            r->n_inlined = inlined_size(c, r->node);
            r->inlined = r->n_inlined <= MAX_INLINE_NODES;
        }
}

td_status td_gcheck_run(td_gbuilder *b, uint32_t root, td_err *err) {
    checker c = {.b = b};
    TD_TRY(find_fixed_points(&c, err));
    for (size_t i = 0; i < b->n_rule; i++) mark_nullable(&c, b->rules[i].node);
    TD_TRY(find_left_recursion(&c, err));
    if (!b->rules[root].productive)
        return td_fail(err, TD_ERR_ARGUMENT, "%s: no text at all can match it", b->name);
    for (size_t i = 0; i < b->n_rule; i++) prune(&c, b->rules[i].node);
    for (size_t i = 0; i < b->n_rule; i++) mark_nullable(&c, b->rules[i].node);
    choose_inlined(&c, root);
    return TD_OK;
}
