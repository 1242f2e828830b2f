/* grammar_node.c - making the nodes of a grammar. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "text/grammar_int.h"

/* ---- the builder ---- */

void td_gbuilder_init(td_gbuilder *b, const char *name) {
    *b = (td_gbuilder){.name = name};
    td_arena_init(&b->arena, 65536);
}

void td_gbuilder_clear(td_gbuilder *b) {
    td_arena_clear(&b->arena);
    td_free(b->rules);
    *b = (td_gbuilder){0};
}

td_status td_gbuilder_check(const td_gbuilder *b, td_err *err) {
    switch (b->failed) {
    case TD_OK: return TD_OK;
    case TD_ERR_LIMIT:
        return td_fail(err, TD_ERR_LIMIT,
                       "%s: too large: wanted at most %d rules, %d parts in all and %d levels of "
                       "nesting",
                       b->name, TD_GRAMMAR_MAX_RULES, TD_GRAMMAR_MAX_NODES, TD_GRAMMAR_MAX_DEPTH);
    default: return td_fail_nomem(err, b->name, b->n_node * sizeof(td_gnode));
    }
}

static void *fail(td_gbuilder *b, td_status why) {
    if (b->failed == TD_OK) b->failed = why;
    return NULL;
}

uint32_t td_gbuilder_add_rule(td_gbuilder *b, const char *name, size_t n_name) {
    char *copy = td_arena_strndup(&b->arena, name, n_name);
    if (b->n_rule >= TD_GRAMMAR_MAX_RULES) fail(b, TD_ERR_LIMIT);
    void *rules = b->rules;
    if (!copy || td_grow(&rules, &b->cap_rule, b->n_rule + 1, sizeof *b->rules, "rules", NULL))
        fail(b, TD_ERR_NOMEM);
    if (rules) b->rules = rules;
    if (b->failed) return UINT32_MAX;
    b->rules[b->n_rule] = (td_grule){.name = copy};
    return (uint32_t)b->n_rule++;
}

/* ---- nodes ---- */

static td_gnode *node_of(td_gbuilder *b, td_gnode_kind kind) {
    if (b->failed) return NULL;
    if (b->n_node >= TD_GRAMMAR_MAX_NODES) return fail(b, TD_ERR_LIMIT);
    td_gnode *node = td_arena_calloc(&b->arena, 1, sizeof *node);
    if (!node) return fail(b, TD_ERR_NOMEM);
    b->n_node++;
    node->kind = kind;
    node->depth = 1;
    return node;
}

void td_glist_add(td_gbuilder *b, td_glist *list, td_gnode *node) {
    if (!node || b->failed) return;
    if (list->n == list->cap) {
        const size_t cap = list->cap ? 2 * list->cap : 8;
        td_gnode **items = td_arena_calloc(&b->arena, cap, sizeof *items);
        if (!items) {
            fail(b, TD_ERR_NOMEM);
            return;
        }
        if (list->n) memcpy(items, list->items, list->n * sizeof *items);
        list->items = items;
        list->cap = cap;
    }
    list->items[list->n++] = node;
}

td_gnode *td_gnode_empty(td_gbuilder *b) { return node_of(b, TD_GNODE_EMPTY); }

td_gnode *td_gnode_never(td_gbuilder *b) { return node_of(b, TD_GNODE_NEVER); }

td_gnode *td_gnode_text(td_gbuilder *b, const char *text, size_t n) {
    if (n == 0) return td_gnode_empty(b);
    if (n > TD_GRAMMAR_MAX_NODES) return fail(b, TD_ERR_LIMIT);
    td_gnode *node = node_of(b, TD_GNODE_TEXT);
    if (!node) return NULL;
    char *copy = td_arena_alloc(&b->arena, n);
    if (!copy) return fail(b, TD_ERR_NOMEM);
    memcpy(copy, text, n);
    node->u.text = copy;
    node->n = (uint32_t)n;
    return node;
}

td_gnode *td_gnode_string(td_gbuilder *b, const char *text) {
    return td_gnode_text(b, text, strlen(text));
}

td_gnode *td_gnode_chars(td_gbuilder *b, const td_char_range *ranges, size_t n, bool negated) {
    td_gnode *node = node_of(b, TD_GNODE_CHARS);
    if (!node) return NULL;
    td_char_range *own = td_arena_calloc(&b->arena, n + 2, sizeof *own);
    td_char_range *other = negated ? td_arena_calloc(&b->arena, n + 4, sizeof *own) : NULL;
    if (!own || (negated && !other)) return fail(b, TD_ERR_NOMEM);
    if (n) memcpy(own, ranges, n * sizeof *own);
    n = td_char_ranges_normalize(own, n);
    if (negated) {
        n = td_char_ranges_negate(own, n, other);
        own = other;
    }
    if (n == 0) node->kind = TD_GNODE_NEVER;
    node->u.ranges = own;
    node->n = (uint32_t)n;
    return node;
}

static td_gnode *parent_of(td_gbuilder *b, td_gnode_kind kind, td_gnode *const *children,
                           size_t n) {
    if (b->failed) return NULL;
    td_gnode *node = node_of(b, kind);
    if (!node) return NULL;
    node->u.children = td_arena_calloc(&b->arena, n, sizeof *children);
    if (!node->u.children) return fail(b, TD_ERR_NOMEM);
    for (size_t i = 0; i < n; i++) {
        if (children[i]->depth >= TD_GRAMMAR_MAX_DEPTH) return fail(b, TD_ERR_LIMIT);
        if (children[i]->depth >= node->depth) node->depth = (uint16_t)(children[i]->depth + 1);
        node->u.children[i] = children[i];
    }
    node->n = (uint32_t)n;
    return node;
}

td_gnode *td_gnode_seq(td_gbuilder *b, const td_glist *list) {
    if (list->n == 0) return td_gnode_empty(b);
    if (list->n == 1) return list->items[0];
    return parent_of(b, TD_GNODE_SEQ, list->items, list->n);
}

td_gnode *td_gnode_alt(td_gbuilder *b, const td_glist *list) {
    if (list->n == 0) return td_gnode_never(b);
    if (list->n == 1) return list->items[0];
    return parent_of(b, TD_GNODE_ALT, list->items, list->n);
}

td_gnode *td_gnode_seq2(td_gbuilder *b, td_gnode *first, td_gnode *second) {
    td_gnode *children[] = {first, second};
    return first && second ? parent_of(b, TD_GNODE_SEQ, children, 2) : NULL;
}

td_gnode *td_gnode_seq3(td_gbuilder *b, td_gnode *first, td_gnode *second, td_gnode *third) {
    td_gnode *children[] = {first, second, third};
    return first && second && third ? parent_of(b, TD_GNODE_SEQ, children, 3) : NULL;
}

td_gnode *td_gnode_alt2(td_gbuilder *b, td_gnode *first, td_gnode *second) {
    td_gnode *children[] = {first, second};
    return first && second ? parent_of(b, TD_GNODE_ALT, children, 2) : NULL;
}

td_gnode *td_gnode_repeat(td_gbuilder *b, td_gnode *child, uint32_t min, uint32_t max) {
    if (!child || b->failed) return NULL;
    if (max == 0) return td_gnode_empty(b);
    if (min == 1 && max == 1) return child;
    td_gnode *node = parent_of(b, TD_GNODE_REPEAT, &child, 1);
    if (!node) return NULL;
    node->min = min;
    node->max = max;
    return node;
}

td_gnode *td_gnode_rule(td_gbuilder *b, uint32_t rule) {
    td_gnode *node = node_of(b, TD_GNODE_RULE);
    if (node) node->number = rule;
    return node;
}

td_gnode *td_gnode_token(td_gbuilder *b, uint32_t token, bool negated) {
    td_gnode *node = node_of(b, TD_GNODE_TOKEN);
    if (!node) return NULL;
    node->number = token;
    node->negated = negated;
    return node;
}

/* ---- ranges ---- */

static int by_start(const void *a, const void *b) {
    const td_char_range *x = a, *y = b;
    return x->lo < y->lo ? -1 : x->lo > y->lo;
}

size_t td_char_ranges_normalize(td_char_range *r, size_t n) {
    enum { SURROGATE_LO = 0xD800, SURROGATE_HI = 0xDFFF, LAST = 0x10FFFF };
    qsort(r, n, sizeof *r, by_start);
    size_t out = 0;
    for (size_t i = 0; i < n; i++) {
        if (r[i].lo > r[i].hi || r[i].lo > LAST) continue;
        const uint32_t hi = r[i].hi > LAST ? LAST : r[i].hi;
        if (out > 0 && r[i].lo <= r[out - 1].hi + 1) {
            if (hi > r[out - 1].hi) r[out - 1].hi = hi;
        } else {
            r[out++] = (td_char_range){r[i].lo, hi};
        }
    }
    /* Cutting the surrogates out makes one range more at most. */
    size_t n_kept = 0;
    td_char_range split = {1, 0};
    for (size_t i = 0; i < out; i++) {
        const td_char_range x = r[i];
        if (x.hi < SURROGATE_LO || x.lo > SURROGATE_HI) {
            r[n_kept++] = x;
            continue;
        }
        const td_char_range after = {SURROGATE_HI + 1, x.hi};
        if (x.lo < SURROGATE_LO) r[n_kept++] = (td_char_range){x.lo, SURROGATE_LO - 1};
        if (after.lo > after.hi) continue;
        if (n_kept <= i)
            r[n_kept++] = after;
        else
            split = after; /* there is no room here: it goes in behind the loop */
    }
    out = n_kept;
    if (split.lo <= split.hi) {
        r[out++] = split;
        qsort(r, out, sizeof *r, by_start);
    }
    return out;
}

size_t td_char_ranges_negate(const td_char_range *r, size_t n, td_char_range *out) {
    size_t n_out = 0;
    uint32_t at = 0;
    for (size_t i = 0; i < n; i++) {
        if (r[i].lo > at) out[n_out++] = (td_char_range){at, r[i].lo - 1};
        at = r[i].hi + 1;
    }
    if (at <= 0x10FFFF) out[n_out++] = (td_char_range){at, 0x10FFFF};
    return td_char_ranges_normalize(out, n_out);
}
