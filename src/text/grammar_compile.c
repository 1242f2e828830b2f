/* grammar_compile.c - from nodes to positions.
 *
 * Compiled from the end to the beginning: each node is told the position that follows it and gives
 * the one it begins at, so that nothing is patched later.  A repetition with counts is one loop
 * whose turns the matcher counts; a place has one counter, so a counted loop within another becomes
 * a rule of its own, unless it is so short that it is written out. */
#include <string.h>

#include "base/alloc.h"
#include "text/grammar_int.h"

enum { MAX_POSITIONS = 1000000, MAX_COPIED = 32, NO_LOOP = -1 };

/* A class made before, so that it is made once. */
typedef struct made_class {
    const td_char_range *ranges;
    uint32_t n, row;
} made_class;

typedef struct compiler {
    td_gbuilder *b;
    td_grammar *g;
    made_class *made; /* owned */
    size_t n_made, cap_made;
    int loop; /* the counted loop that is being compiled, or NO_LOOP */
    int wide; /* for classes that come again after each character: 1, counted: 2 */
    td_err *err;
} compiler;

static td_status compile(compiler *c, const td_gnode *node, uint32_t next, uint32_t *out);

static td_status add_pos(compiler *c, td_gpos pos, uint32_t *out) {
    td_grammar *g = c->g;
    if (g->n_pos >= MAX_POSITIONS)
        return td_fail(c->err, TD_ERR_LIMIT, "%s: too large, wanted at most %d positions",
                       c->b->name, MAX_POSITIONS);
    void *p = g->pos;
    TD_TRY(td_grow(&p, &g->cap_pos, g->n_pos + 1, sizeof *g->pos, c->b->name, c->err));
    g->pos = p;
    pos.loop = (uint32_t)c->loop;
    g->pos[g->n_pos] = pos;
    *out = (uint32_t)g->n_pos++;
    return TD_OK;
}

static td_status add_text(compiler *c, const td_gnode *node, uint32_t next, uint32_t *out) {
    td_grammar *g = c->g;
    void *p = g->text;
    TD_TRY(td_grow(&p, &g->cap_text, g->n_text + node->n, 1, c->b->name, c->err));
    g->text = p;
    memcpy(g->text + g->n_text, node->u.text, node->n);
    const uint32_t at = (uint32_t)g->n_text;
    g->n_text += node->n;
    return add_pos(c, (td_gpos){.kind = TD_GPOS_TEXT, .a = at, .b = node->n, .next = next}, out);
}

static td_status find_class(compiler *c, const td_gnode *node, uint32_t *row) {
    for (size_t i = 0; i < c->n_made; i++)
        if (c->made[i].n == node->n &&
            memcmp(c->made[i].ranges, node->u.ranges, node->n * sizeof *node->u.ranges) == 0) {
            *row = c->made[i].row;
            return TD_OK;
        }
    void *p = c->made;
    TD_TRY(td_grow(&p, &c->cap_made, c->n_made + 1, sizeof *c->made, c->b->name, c->err));
    c->made = p;
    TD_TRY(td_gclasses_add(&c->g->classes, node->u.ranges, node->n, row, c->err));
    c->made[c->n_made++] = (made_class){node->u.ranges, node->n, *row};
    return TD_OK;
}

static td_status add_class(compiler *c, const td_gnode *node, uint32_t next, uint32_t *out) {
    uint32_t row;
    TD_TRY(find_class(c, node, &row));
    td_gpos pos = {.kind = TD_GPOS_CLASS, .a = row, .next = next};
    if (td_char_ranges_hold_plain(node->u.ranges, node->n)) pos.wide = (uint8_t)c->wide;
    if (td_char_ranges_hold_lower(node->u.ranges, node->n)) pos.lower = (uint8_t)c->wide;
    return add_pos(c, pos, out);
}

static td_status add_split(compiler *c, uint32_t one, uint32_t other, uint32_t *out) {
    return add_pos(c, (td_gpos){.kind = TD_GPOS_SPLIT, .next = one, .a = other}, out);
}

/* A mention of a rule.  What a rule matches when called is never empty; if it can be, the way
 * around it is here. */
static td_status add_call(compiler *c, uint32_t rule, bool nullable, uint32_t next, uint32_t *out) {
    TD_TRY(add_pos(c, (td_gpos){.kind = TD_GPOS_CALL, .a = rule, .next = next}, out));
    return nullable ? add_split(c, *out, next, out) : TD_OK;
}

/* ---- repetitions ---- */

/* Nodes of a tree, or more than MAX_COPIED. */
static uint32_t size_of(const compiler *c, const td_gnode *node) {
    uint32_t n = 1;
    if (node->kind == TD_GNODE_RULE && c->b->rules[node->number].inlined)
        return c->b->rules[node->number].n_inlined;
    if (node->kind == TD_GNODE_REPEAT && (node->min > 1 || node->max != TD_GRAMMAR_INF)) {
        const uint64_t turns = node->max == TD_GRAMMAR_INF ? node->min : node->max;
        const uint64_t all = turns * size_of(c, node->u.children[0]);
        return all > MAX_COPIED ? MAX_COPIED + 1 : (uint32_t)all;
    }
    if (node->kind == TD_GNODE_SEQ || node->kind == TD_GNODE_ALT || node->kind == TD_GNODE_REPEAT)
        for (uint32_t i = 0; i < node->n && n <= MAX_COPIED; i++)
            n += size_of(c, node->u.children[i]);
    return n;
}

/* Whether one of the ways through is a class with all letters a to z, or all plain characters. */
static bool has_wide_class(const compiler *c, const td_gnode *node) {
    switch (node->kind) {
    case TD_GNODE_CHARS: return td_char_ranges_hold_lower(node->u.ranges, node->n);
    case TD_GNODE_RULE:
        return c->b->rules[node->number].inlined &&
               has_wide_class(c, c->b->rules[node->number].node);
    case TD_GNODE_ALT:
        for (uint32_t i = 0; i < node->n; i++)
            if (has_wide_class(c, node->u.children[i])) return true;
        return false;
    default: return false;
    }
}

/* x* and x+ */
static td_status compile_star(compiler *c, const td_gnode *node, uint32_t next, uint32_t *out) {
    uint32_t split = 0, body = 0;
    TD_TRY(add_split(c, next, next, &split));
    const int wide = c->wide;
    c->wide = 1;
    TD_TRY(compile(c, node->u.children[0], split, &body));
    c->wide = wide;
    c->g->pos[split].next = body;
    *out = node->min == 0 ? split : body;
    return TD_OK;
}

static td_status compile_copies(compiler *c, const td_gnode *node, uint32_t next, uint32_t *out) {
    const td_gnode *child = node->u.children[0];
    const uint32_t end = next;
    if (node->max == TD_GRAMMAR_INF) {
        td_gnode star = *node;
        star.min = 0;
        TD_TRY(compile_star(c, &star, next, &next));
    } else {
        for (uint32_t i = node->min; i < node->max; i++) {
            TD_TRY(compile(c, child, next, &next));
            TD_TRY(add_split(c, next, end, &next));
        }
    }
    for (uint32_t i = 0; i < node->min; i++) TD_TRY(compile(c, child, next, &next));
    *out = next;
    return TD_OK;
}

static td_status compile_counted(compiler *c, const td_gnode *node, uint32_t next, uint32_t *out) {
    td_grammar *g = c->g;
    const td_gnode *child = node->u.children[0];
    void *p = g->loops;
    TD_TRY(td_grow(&p, &g->cap_loop, g->n_loop + 1, sizeof *g->loops, c->b->name, c->err));
    g->loops = p;
    const uint32_t number = (uint32_t)g->n_loop++;
    /* Empty turns count like any, so that a child that can be empty has no least number. */
    g->loops[number] =
        (td_gloop){.min = child->nullable ? 0 : node->min, .max = node->max, .exit = next};
    const int wide = c->wide;
    uint32_t end = 0, body = 0;
    c->loop = (int)number;
    c->wide = 2;
    td_status status = add_pos(c, (td_gpos){.kind = TD_GPOS_LOOP, .a = number}, &end);
    if (status == TD_OK) status = compile(c, child, end, &body);
    c->loop = NO_LOOP;
    c->wide = wide;
    TD_TRY(status);
    g->loops[number].start = body;
    return add_pos(c, (td_gpos){.kind = TD_GPOS_ENTER, .a = number}, out);
}

/* A counted loop within another becomes a rule of its own. */
static td_status compile_apart(compiler *c, const td_gnode *node, uint32_t next, uint32_t *out) {
    td_grammar *g = c->g;
    void *p = g->extra;
    TD_TRY(td_grow(&p, &g->cap_extra, g->n_extra + 1, sizeof *g->extra, c->b->name, c->err));
    g->extra = p;
    const uint32_t rule = (uint32_t)(c->b->n_rule + g->n_extra);
    td_gnode *body = td_arena_alloc(&c->b->arena, sizeof *body);
    if (!body) return td_fail_nomem(c->err, c->b->name, sizeof *body);
    *body = *node;
    g->extra[g->n_extra++] = body;
    return add_call(c, rule, node->nullable, next, out);
}

static td_status compile_repeat(compiler *c, const td_gnode *node, uint32_t next, uint32_t *out) {
    const td_gnode *child = node->u.children[0];
    if (node->max == TD_GRAMMAR_INF && node->min <= 1) return compile_star(c, node, next, out);
    const bool loops = node->max == TD_GRAMMAR_INF || node->max > 1;
    if (!loops || (size_of(c, node) <= MAX_COPIED && !(has_wide_class(c, child) && c->loop < 0)))
        return compile_copies(c, node, next, out);
    if (c->loop != NO_LOOP) return compile_apart(c, node, next, out);
    return compile_counted(c, node, next, out);
}

/* ---- nodes ---- */

static td_status compile(compiler *c, const td_gnode *node, uint32_t next, uint32_t *out) {
    const int wide = c->wide;
    if (node->kind != TD_GNODE_ALT && node->kind != TD_GNODE_CHARS && node->kind != TD_GNODE_RULE)
        c->wide = 0; /* a character of a longer text */
    td_status status = TD_OK;
    switch (node->kind) {
    case TD_GNODE_EMPTY: *out = next; break;
    case TD_GNODE_NEVER: /* only as a whole rule, which nothing mentions */
        status = add_pos(c, (td_gpos){.kind = TD_GPOS_CALL, .a = UINT32_MAX}, out);
        break;
    case TD_GNODE_TEXT: status = add_text(c, node, next, out); break;
    case TD_GNODE_CHARS: status = add_class(c, node, next, out); break;
    case TD_GNODE_SEQ:
        for (uint32_t i = node->n; i-- > 0 && status == TD_OK;)
            status = compile(c, node->u.children[i], next, &next);
        *out = next;
        break;
    case TD_GNODE_ALT: {
        uint32_t all = 0;
        for (uint32_t i = node->n, one; i-- > 0 && status == TD_OK;) {
            status = compile(c, node->u.children[i], next, &one);
            if (status == TD_OK && i + 1 < node->n) status = add_split(c, one, all, &one);
            all = one;
        }
        *out = all;
        break;
    }
    case TD_GNODE_REPEAT: status = compile_repeat(c, node, next, out); break;
    case TD_GNODE_RULE:
        if (c->b->rules[node->number].inlined)
            status = compile(c, c->b->rules[node->number].node, next, out);
        else
            status = add_call(c, node->number, node->nullable, next, out);
        break;
    case TD_GNODE_TOKEN:
        c->g->has_token = true;
        if (node->number > c->g->max_token) c->g->max_token = node->number;
        status = add_pos(
            c,
            (td_gpos){.kind = TD_GPOS_TOKEN, .a = node->number, .b = node->negated, .next = next},
            out);
        break;
    }
    c->wide = wide;
    return status;
}

static td_status compile_rule(compiler *c, const td_gnode *node, td_err *err) {
    td_grammar *g = c->g;
    uint32_t accept = 0, start = 0;
    c->loop = NO_LOOP;
    c->wide = 0;
    TD_TRY(add_pos(c, (td_gpos){.kind = TD_GPOS_ACCEPT}, &accept));
    TD_TRY(compile(c, node, accept, &start));
    void *p = g->starts;
    TD_TRY(td_grow(&p, &g->cap_rule, g->n_rule + 1, sizeof *g->starts, c->b->name, err));
    g->starts = p;
    g->starts[g->n_rule++] = start;
    return TD_OK;
}

/* ---- bytes that no position tells apart ---- */

static void split_classes(td_grammar *g, const uint16_t row[256]) {
    /* Pairs of (class so far, entry) are the new classes. */
    uint8_t fresh[256];
    uint16_t entries[256];
    uint8_t olds[256];
    int n = 0;
    for (int byte = 0; byte < 256; byte++) {
        int i = 0;
        while (i < n && (olds[i] != g->byte_class[byte] || entries[i] != row[byte])) i++;
        if (i == n) {
            olds[n] = g->byte_class[byte];
            entries[n++] = row[byte];
        }
        fresh[byte] = (uint8_t)i;
    }
    memcpy(g->byte_class, fresh, sizeof fresh);
    g->n_class = n;
}

static void find_byte_classes(td_grammar *g) {
    uint16_t used[256] = {0};
    g->n_class = 1;
    for (size_t i = 0; i < g->n_text; i++)
        used[(uint8_t)g->text[i]] = (uint16_t)(1 + (uint8_t)g->text[i]);
    split_classes(g, used);
    for (size_t i = 0; i < g->classes.n_row && g->n_class < 256; i++)
        split_classes(g, g->classes.rows[i]);
    for (int byte = 255; byte >= 0; byte--) g->class_byte[g->byte_class[byte]] = (uint8_t)byte;
}

/* ---- all of it ---- */

static td_status build(td_grammar *g, td_gbuilder *b, uint32_t root, td_err *err) {
    TD_TRY(td_gbuilder_check(b, err));
    TD_TRY(td_gcheck_run(b, root, err));
    compiler c = {.b = b, .g = g, .err = err};
    td_status status = TD_OK;
    for (size_t i = 0; i < b->n_rule && status == TD_OK; i++)
        status = compile_rule(&c, b->rules[i].node, err);
    for (size_t i = 0; i < g->n_extra && status == TD_OK; i++)
        status = compile_rule(&c, g->extra[i], err);
    td_free(c.made);
    TD_TRY(status);
    g->root = root;
    g->root_nullable = b->rules[root].nullable;
    find_byte_classes(g);
    return TD_OK;
}

td_status td_grammar_build(td_grammar **out, td_gbuilder *b, uint32_t root, td_err *err) {
    *out = NULL;
    td_grammar *g = td_calloc(1, sizeof *g);
    if (!g) return td_fail_nomem(err, b->name, sizeof *g);
    const td_status status = build(g, b, root, err);
    td_free(g->extra); /* its nodes are the builder's */
    g->extra = NULL;
    if (status != TD_OK) {
        td_grammar_free(g);
        return status;
    }
    *out = g;
    return TD_OK;
}

void td_grammar_free(td_grammar *g) {
    if (!g) return;
    td_free(g->pos);
    td_free(g->loops);
    td_free(g->starts);
    td_free(g->text);
    td_free(g->classes.rows);
    td_free(g);
}
