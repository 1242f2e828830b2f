/* grammar_trie.c - the tokens of a vocabulary as a tree of bytes.
 *
 * A mask is a walk over this tree.  Two things make the walk short where almost every token is
 * allowed, inside strings: nodes know whether all that follows them is plain characters (or
 * letters), and how many; and the tokens that are nothing but plain characters have masks ready, by
 * their length. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "text/grammar_int.h"
#include "text/utf8.h"

enum { LONGEST = 250 }; /* a token's depth fits a byte */

typedef struct entry {
    const uint8_t *bytes;
    uint32_t n;
    int32_t id;
} entry;

static int by_bytes(const void *a, const void *b) {
    const entry *x = a, *y = b;
    const int order = memcmp(x->bytes, y->bytes, x->n < y->n ? x->n : y->n);
    if (order != 0) return order;
    if (x->n != y->n) return x->n < y->n ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* The characters from each byte offset to the end, if they are all plain; else NOT_PLAIN. */
static void count_plain(const entry *e, uint8_t counts[LONGEST + 1]) {
    memset(counts, TD_TRIE_NOT_PLAIN, e->n + 1);
    counts[e->n] = 0;
    size_t end = e->n;
    while (end > 0) {
        size_t at = end - 1;
        while (at > 0 && end - at < 4 && (e->bytes[at] & 0xC0) == 0x80) at--;
        uint32_t c;
        const int n = td_utf8_decode((const char *)e->bytes + at, end - at, &c);
        if (n <= 0 || (size_t)n != end - at || !td_char_is_plain(c)) return;
        counts[at] = (uint8_t)(counts[end] + 1);
        end = at;
    }
}

static void set_bit(uint32_t *mask, int32_t id) { mask[id / 32] |= 1u << (id % 32); }

static td_status take_nodes(td_token_trie *t, const entry *entries, td_err *err) {
    size_t n_node = 1;
    for (size_t i = 0; i < t->n_order; i++) {
        size_t common = 0;
        if (i > 0)
            while (common < entries[i - 1].n && common < entries[i].n &&
                   entries[i - 1].bytes[common] == entries[i].bytes[common])
                common++;
        n_node += entries[i].n - common;
    }
    t->nodes = td_calloc(n_node, sizeof *t->nodes);
    t->order = td_calloc(t->n_order, sizeof *t->order);
    if (!t->nodes || !t->order)
        return td_fail_nomem(err, "the tree of tokens", n_node * sizeof *t->nodes);
    return TD_OK;
}

static void build_nodes(td_token_trie *t, const entry *entries) {
    uint32_t path[LONGEST + 1]; /* nodes of the token before */
    size_t n_path = 0, n = 0;
    uint8_t counts[LONGEST + 1];
    for (size_t i = 0; i < t->n_order; i++) {
        const entry *e = &entries[i];
        size_t common = 0;
        while (common < n_path && common < e->n && t->nodes[path[common]].byte == e->bytes[common])
            common++;
        for (size_t d = common; d < n_path; d++) t->nodes[path[d]].next = (uint32_t)n;
        for (size_t d = common; d < e->n; d++) {
            t->nodes[n] =
                (td_trie_node){.token = (uint32_t)i, .byte = e->bytes[d], .depth = (uint8_t)d};
            path[d] = (uint32_t)n++;
        }
        n_path = e->n;
        t->order[i] = e->id;
        count_plain(e, counts);
        size_t first_lower = e->n; /* from there on all is a to z */
        while (first_lower > 0 && e->bytes[first_lower - 1] >= 'a' &&
               e->bytes[first_lower - 1] <= 'z')
            first_lower--;
        for (size_t d = 0; d < e->n; d++) {
            td_trie_node *node = &t->nodes[path[d]];
            if (counts[d + 1] > node->below) node->below = counts[d + 1];
            const uint8_t lower =
                d + 1 >= first_lower ? (uint8_t)(e->n - d - 1) : TD_TRIE_NOT_PLAIN;
            if (lower > node->lower) node->lower = lower;
            if (counts[0] > node->whole) node->whole = counts[0];
        }
        for (int k = counts[0]; k < TD_TRIE_MAX_PLAIN; k++)
            set_bit(t->plain_masks + (size_t)k * t->n_word, e->id);
        if (counts[0] != TD_TRIE_NOT_PLAIN)
            set_bit(t->plain_masks + (size_t)TD_TRIE_MAX_PLAIN * t->n_word, e->id);
    }
    for (size_t d = 0; d < n_path; d++) t->nodes[path[d]].next = (uint32_t)n;
    t->nodes[n] = (td_trie_node){.next = (uint32_t)n, .token = (uint32_t)t->n_order};
    t->n_node = n;
}

static td_status build(td_token_trie *t, const td_tokenizer *tok, td_err *err) {
    const size_t n_token = (size_t)td_tokenizer_vocab(tok)->n_token;
    t->tok = tok;
    t->n_token = (int)n_token;
    t->n_word = (n_token + 31) / 32;
    t->plain_masks = td_calloc((TD_TRIE_MAX_PLAIN + 1) * t->n_word, sizeof(uint32_t));
    t->end_mask = td_calloc(t->n_word, sizeof(uint32_t));
    t->text_mask = td_calloc(t->n_word, sizeof(uint32_t));
    entry *entries = td_calloc(n_token, sizeof *entries);
    td_status status = TD_OK;
    if (!t->plain_masks || !t->end_mask || !t->text_mask || !entries)
        status = td_fail_nomem(err, "the tree of tokens", n_token * sizeof *entries);
    for (int32_t id = 0; status == TD_OK && id < t->n_token; id++) {
        size_t n;
        const char *bytes = td_tokenizer_token_bytes(tok, id, false, &n);
        if (td_tokenizer_is_end(tok, id)) {
            set_bit(t->end_mask, id);
        } else if (n > 0 && n <= LONGEST) {
            set_bit(t->text_mask, id);
            entries[t->n_order++] = (entry){(const uint8_t *)bytes, (uint32_t)n, id};
            if (n > t->longest) t->longest = n;
        }
    }
    if (status == TD_OK) {
        qsort(entries, t->n_order, sizeof *entries, by_bytes);
        status = take_nodes(t, entries, err);
    }
    if (status == TD_OK) build_nodes(t, entries);
    td_free(entries);
    return status;
}

td_status td_token_trie_create(td_token_trie **out, const td_tokenizer *tok, td_err *err) {
    *out = NULL;
    td_token_trie *t = td_calloc(1, sizeof *t);
    if (!t) return td_fail_nomem(err, "the tree of tokens", sizeof *t);
    const td_status status = build(t, tok, err);
    if (status != TD_OK) {
        td_token_trie_free(t);
        return status;
    }
    *out = t;
    return TD_OK;
}

void td_token_trie_free(td_token_trie *t) {
    if (!t) return;
    td_free(t->nodes);
    td_free(t->order);
    td_free(t->plain_masks);
    td_free(t->end_mask);
    td_free(t->text_mask);
    td_free(t);
}

int td_token_trie_n_token(const td_token_trie *t) { return t->n_token; }
