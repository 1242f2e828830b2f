/* trie.c - see trie.h: nodes in order of depth, so that children lie together. */
#include "text/trie.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

td_status td_trie_add(td_trie *trie, const char *text, uint32_t n, int32_t id, td_err *err) {
    TD_TRY(td_grow((void **)&trie->entries, &trie->cap_entry, trie->n_entry + 1,
                   sizeof *trie->entries, "the trie of tokens", err));
    trie->entries[trie->n_entry++] = (td_trie_entry){text, n, id};
    return TD_OK;
}

static int by_text(const void *a, const void *b) {
    const td_trie_entry *x = a, *y = b;
    const int order = memcmp(x->text, y->text, x->n < y->n ? x->n : y->n);
    if (order) return order;
    if (x->n != y->n) return x->n < y->n ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

/* The entries below a node: they agree in `depth` bytes. */
typedef struct range {
    size_t begin, end;
    uint32_t depth;
} range;

typedef struct builder {
    td_trie *trie;
    range *ranges; /* owned; of each node */
    size_t cap_range;
} builder;

static td_status add_node(builder *b, range r, uint8_t label, td_err *err) {
    td_trie *t = b->trie;
    if (t->n_node == UINT32_MAX)
        return td_fail(err, TD_ERR_LIMIT, "the tokens have more than %u bytes", UINT32_MAX);
    TD_TRY(td_grow((void **)&t->nodes, &t->cap_node, t->n_node + 1, sizeof *t->nodes,
                   "the trie of tokens", err));
    TD_TRY(td_grow((void **)&b->ranges, &b->cap_range, t->n_node + 1, sizeof *b->ranges,
                   "the trie of tokens", err));
    b->ranges[t->n_node] = r;
    t->nodes[t->n_node++] = (td_trie_node){.id = -1, .label = label};
    return TD_OK;
}

static td_status add_children(builder *b, size_t node, td_err *err) {
    td_trie *t = b->trie;
    range r = b->ranges[node];
    for (; r.begin < r.end && t->entries[r.begin].n == r.depth; r.begin++)
        t->nodes[node].id = t->entries[r.begin].id;
    t->nodes[node].first = (uint32_t)t->n_node;
    while (r.begin < r.end) {
        const uint8_t label = (uint8_t)t->entries[r.begin].text[r.depth];
        size_t end = r.begin + 1;
        while (end < r.end && (uint8_t)t->entries[end].text[r.depth] == label) end++;
        TD_TRY(add_node(b, (range){r.begin, end, r.depth + 1}, label, err));
        t->nodes[node].n_child++;
        r.begin = end;
    }
    return TD_OK;
}

td_status td_trie_finish(td_trie *trie, td_err *err) {
    builder b = {.trie = trie};
    if (trie->n_entry) qsort(trie->entries, trie->n_entry, sizeof *trie->entries, by_text);
    td_status st = add_node(&b, (range){0, trie->n_entry, 0}, 0, err);
    for (size_t i = 0; i < trie->n_node && st == TD_OK; i++) st = add_children(&b, i, err);
    td_free(b.ranges);
    td_free(trie->entries);
    trie->entries = NULL;
    trie->n_entry = trie->cap_entry = 0;
    return st;
}

void td_trie_clear(td_trie *trie) {
    td_free(trie->entries);
    td_free(trie->nodes);
    *trie = (td_trie){0};
}
