/* unigram.c - see unigram.h: from left to right the best way to each place is known, then the way
 * back from the end is read off. */
#include "text/unigram.h"

#include <string.h>

#include "base/alloc.h"
#include "text/trie.h"
#include "text/utf8.h"

/* How much less than the least probable token an unknown character counts, in SentencePiece. */
#define UNKNOWN_PENALTY 10.0

/* Stands for the unknown token while none is decided on; byte tokens may take its place. */
enum { NOTHING = -1, UNKNOWN = -2 };

struct td_unigram {
    const td_vocab *vocab;       /* borrowed */
    const td_pipeline *pipeline; /* borrowed */
    td_trie trie;
    double unknown_score;
    int32_t byte_token[256]; /* -1: none */
    bool has_bytes;
};

static td_status fill(td_unigram *u, td_err *err) {
    const td_vocab *v = u->vocab;
    double least = 0;
    bool any = false;
    for (int c = 0; c < 256; c++) u->byte_token[c] = -1;
    for (int32_t i = 0; i < v->n_token; i++) {
        const td_vocab_token *t = &v->tokens[i];
        const int byte = t->type == TD_TOKEN_BYTE ? td_vocab_byte_of(t->text, t->n) : -1;
        if (byte >= 0) u->byte_token[byte] = i;
        if (t->type != TD_TOKEN_NORMAL) continue;
        if (!any || t->score < least) least = t->score;
        any = true;
        if (t->n > 0) TD_TRY(td_trie_add(&u->trie, t->text, t->n, i, err));
    }
    u->unknown_score = least - UNKNOWN_PENALTY;
    u->has_bytes = u->pipeline->byte_fallback;
    for (int c = 0; c < 256; c++) u->has_bytes &= u->byte_token[c] >= 0;
    return td_trie_finish(&u->trie, err);
}

td_status td_unigram_create(td_unigram **out, const td_vocab *vocab, const td_pipeline *pipeline,
                            td_err *err) {
    *out = NULL;
    td_unigram *u = td_calloc(1, sizeof *u);
    if (!u) return td_fail_nomem(err, "the tokenizer", sizeof *u);
    u->vocab = vocab;
    u->pipeline = pipeline;
    const td_status st = fill(u, err);
    if (st != TD_OK) {
        td_unigram_free(u);
        return st;
    }
    *out = u;
    return TD_OK;
}

void td_unigram_free(td_unigram *u) {
    if (!u) return;
    td_trie_clear(&u->trie);
    td_free(u);
}

void td_unigram_scratch_clear(td_unigram_scratch *scratch) {
    td_free(scratch->nodes);
    td_free(scratch->ends);
    *scratch = (td_unigram_scratch){0};
}

/* A token from `begin` to `node`: the first of equally good ways stays. */
static void offer(const td_unigram *u, td_unigram_node *node, double before, double score,
                  size_t begin, int32_t id) {
    double sum = before + score;
    if (u->pipeline->single_precision) sum = (double)((float)before + (float)score);
    if (node->id != NOTHING && sum <= node->score) return;
    *node = (td_unigram_node){sum, (uint32_t)begin, id};
}

static void find_best(const td_unigram *u, td_unigram_node *nodes, const char *piece, size_t n) {
    for (size_t i = 0; i <= n; i++) nodes[i] = (td_unigram_node){0, 0, NOTHING};
    for (size_t at = 0; at < n;) {
        const int k = td_utf8_decode(piece + at, n - at, NULL);
        const size_t n_char = k > 0 ? (size_t)k : 1;
        bool has_char = false;
        uint32_t node = 0;
        for (size_t end = at; end < n;) {
            node = td_trie_next(&u->trie, node, (uint8_t)piece[end++]);
            if (!node) break;
            const int32_t id = u->trie.nodes[node].id;
            if (id < 0) continue;
            offer(u, &nodes[end], nodes[at].score, u->vocab->tokens[id].score, at, id);
            has_char |= end - at == n_char;
        }
        if (!has_char)
            offer(u, &nodes[at + n_char], nodes[at].score, u->unknown_score, at, UNKNOWN);
        at += n_char;
    }
}

static void push_unknown(const td_unigram *u, const char *text, size_t n, bool *after_unknown,
                         td_token_list *out) {
    if (u->has_bytes) {
        for (size_t i = 0; i < n; i++) td_token_list_push(out, u->byte_token[(uint8_t)text[i]]);
        return;
    }
    const int32_t unk = u->pipeline->model_unk;
    if (unk >= 0 && !(*after_unknown && u->pipeline->fuse_unk)) td_token_list_push(out, unk);
    *after_unknown = true;
}

td_status td_unigram_encode(const td_unigram *u, td_unigram_scratch *scratch, const char *piece,
                            size_t n_piece, td_token_list *out, td_err *err) {
    TD_TRY(td_grow((void **)&scratch->nodes, &scratch->cap, n_piece + 1, sizeof *scratch->nodes,
                   "the ways through a text", err));
    TD_TRY(td_grow((void **)&scratch->ends, &scratch->cap_end, n_piece, sizeof *scratch->ends,
                   "the ways through a text", err));
    TD_TRY(td_token_list_reserve(out, n_piece, err));
    td_unigram_node *nodes = scratch->nodes;
    find_best(u, nodes, piece, n_piece);
    size_t n_end = 0;
    for (uint32_t end = (uint32_t)n_piece; end > 0; end = nodes[end].begin)
        scratch->ends[n_end++] = end;
    bool after_unknown = false;
    while (n_end > 0) {
        const uint32_t end = scratch->ends[--n_end];
        const td_unigram_node *node = &nodes[end];
        if (node->id == UNKNOWN) {
            push_unknown(u, piece + node->begin, end - node->begin, &after_unknown, out);
        } else {
            td_token_list_push(out, node->id);
            after_unknown = false;
        }
    }
    return TD_OK;
}
