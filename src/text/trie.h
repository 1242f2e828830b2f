/* trie.h - finds all tokens that begin at a place in one walk.  Built once, then read by any number
 * of threads. */
#ifndef TD_TEXT_TRIE_H
#define TD_TEXT_TRIE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct td_trie_node {
    uint32_t first; /* its children are nodes[first .. first + n_child), by label */
    int32_t id;     /* the token that ends here; -1: none */
    uint16_t n_child;
    uint8_t label; /* the byte that leads here */
} td_trie_node;

typedef struct td_trie_entry {
    const char *text; /* borrowed until td_trie_finish() */
    uint32_t n;       /* above 0 */
    int32_t id;
} td_trie_entry;

/* Zeroed is empty. */
typedef struct td_trie {
    td_trie_entry *entries; /* owned; gone once finished */
    size_t n_entry, cap_entry;
    td_trie_node *nodes; /* owned; [0] is the root */
    size_t n_node, cap_node;
} td_trie;

/* Add all, finish once, then walk.  Of equal texts the one with the highest id counts. */
td_status td_trie_add(td_trie *trie, const char *text, uint32_t n, int32_t id, td_err *err);
td_status td_trie_finish(td_trie *trie, td_err *err);
void td_trie_clear(td_trie *trie);

/* The child of a node (0: the root) by a byte, 0 if there is none. */
static inline uint32_t td_trie_next(const td_trie *trie, uint32_t node, uint8_t byte) {
    const td_trie_node *at = &trie->nodes[node];
    uint32_t low = at->first, high = at->first + at->n_child;
    while (low < high) {
        const uint32_t mid = low + (high - low) / 2;
        if (trie->nodes[mid].label < byte)
            low = mid + 1;
        else
            high = mid;
    }
    return low < at->first + at->n_child && trie->nodes[low].label == byte ? low : 0;
}

#endif
