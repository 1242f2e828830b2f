/* bpe.c - see bpe.h.
 *
 * Two tables are built once: from the bytes of a token to its id, and from a pair of ids to the
 * rank and the result of its merge.  Encoding uses the second only, unless ignore_merges is set. */
#include "text/bpe.h"

#include <string.h>

#include "base/alloc.h"
#include "text/token_map.h"
#include "text/utf8.h"

/* Pieces up to this many symbols are merged in a plain array: scanning it for the lowest rank beats
 * the heap while it fits a few cache lines, and words are that short. */
#define SHORT_PIECE 32

typedef struct pair {
    uint64_t key;   /* left id << 32 | right id */
    uint32_t rank;  /* TD_MERGE_NONE: the slot is free */
    int32_t merged; /* the token the two become */
} pair;

struct td_bpe {
    int32_t byte_token[256]; /* -1: the byte has no token */
    bool ignore_merges;
    td_token_map map; /* its strings lie in `raw` */
    char *raw;        /* owned; the tokens' bytes, one after the other */
    pair *pairs;      /* owned; open addressing, at most half full */
    size_t n_pair;    /* a power of two */
};

/* Bytes that GPT-2's alphabet shows as the character of the same number. */
static bool is_shown_as_itself(uint32_t c) {
    return (c >= 33 && c <= 126) || (c >= 161 && c <= 172) || (c >= 174 && c <= 255);
}

/* The byte a character of the alphabet stands for, -1 if it is none.  The 68 other bytes follow in
 * increasing order from U+0100: 0-32, 127-160, 173. */
static int byte_of(uint32_t cp) {
    if (cp < 0x100) return is_shown_as_itself(cp) ? (int)cp : -1;
    const uint32_t i = cp - 0x100;
    if (i < 33) return (int)i;
    if (i < 67) return (int)(i - 33 + 127);
    return i == 67 ? 173 : -1;
}

size_t td_bpe_decode_text(const char *text, size_t n, char *out, bool *as_is) {
    size_t n_out = 0;
    *as_is = false;
    for (size_t at = 0; at < n;) {
        uint32_t cp = 0;
        const int k = td_utf8_decode(text + at, n - at, &cp);
        const int byte = k > 0 ? byte_of(cp) : -1;
        if (byte < 0) {
            memcpy(out, text, n);
            *as_is = true;
            return n;
        }
        out[n_out++] = (char)byte;
        at += (size_t)k;
    }
    return n_out;
}

/* ---- the table of merges ---- */

static size_t pair_hash(uint64_t key) {
    key = (key ^ key >> 29) * 0xBF58476D1CE4E5B9u;
    return (size_t)(key ^ key >> 32);
}

/* The pair's slot, or the free one where it belongs. */
static pair *pair_slot(const td_bpe *bpe, uint64_t key) {
    const size_t mask = bpe->n_pair - 1;
    for (size_t i = pair_hash(key) & mask;; i = (i + 1) & mask) {
        pair *p = &bpe->pairs[i];
        if (p->key == key || p->rank == TD_MERGE_NONE) return p;
    }
}

static uint32_t rank_of(const td_bpe *bpe, int32_t left, int32_t right, int32_t *merged) {
    const pair *p = pair_slot(bpe, (uint64_t)(uint32_t)left << 32 | (uint32_t)right);
    *merged = p->merged;
    return p->rank;
}

/* Control tokens and the like are not reachable by merging: text cannot spell them. */
static bool is_text_token(const td_vocab_token *t) {
    return t->n > 0 && (t->type == TD_TOKEN_NORMAL || t->type == TD_TOKEN_USER_DEFINED ||
                        t->type == TD_TOKEN_BYTE);
}

static td_status add_tokens(td_bpe *bpe, const td_vocab *vocab, td_err *err) {
    size_t n_raw = 0;
    for (int32_t i = 0; i < vocab->n_token; i++)
        TD_TRY(td_add_size(&n_raw, n_raw, vocab->tokens[i].n, "the vocabulary's text", err));
    bpe->raw = td_malloc(n_raw);
    if (!bpe->raw) return td_fail_nomem(err, "the vocabulary's text", n_raw);
    TD_TRY(td_token_map_init(&bpe->map, (size_t)vocab->n_token, err));
    char *at = bpe->raw;
    for (int32_t i = 0; i < vocab->n_token; i++) {
        const td_vocab_token *t = &vocab->tokens[i];
        if (!is_text_token(t)) continue;
        const int byte = t->type == TD_TOKEN_BYTE ? td_vocab_byte_of(t->text, t->n) : -1;
        bool as_is = false;
        size_t n = 1;
        if (byte >= 0)
            *at = (char)byte;
        else
            n = td_bpe_decode_text(t->text, t->n, at, &as_is);
        if (as_is) continue;
        td_token_map_add(&bpe->map, at, (uint32_t)n, i);
        at += n;
    }
    for (int c = 0; c < 256; c++) {
        const char byte = (char)c;
        bpe->byte_token[c] = td_token_map_find(&bpe->map, &byte, 1);
    }
    return TD_OK;
}

/* The id of a merge's part or result, -1 if there is none; `scratch` has room for n bytes. */
static int32_t find_token(const td_bpe *bpe, const char *text, size_t n, char *scratch) {
    bool as_is;
    const size_t n_raw = td_bpe_decode_text(text, n, scratch, &as_is);
    return as_is || n_raw == 0 ? -1 : td_token_map_find(&bpe->map, scratch, n_raw);
}

static void add_merge(td_bpe *bpe, const td_vocab_merge *m, uint32_t rank, char *scratch) {
    memcpy(scratch, m->left, m->n_left);
    memcpy(scratch + m->n_left, m->right, m->n_right);
    const size_t n = (size_t)m->n_left + m->n_right;
    char *raw = scratch + n;
    const int32_t left = find_token(bpe, m->left, m->n_left, raw);
    const int32_t right = find_token(bpe, m->right, m->n_right, raw);
    const int32_t merged = find_token(bpe, scratch, n, raw);
    if (left < 0 || right < 0 || merged < 0) return;
    const uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    pair *p = pair_slot(bpe, key);
    if (p->rank == TD_MERGE_NONE) *p = (pair){key, rank, merged}; /* of equal merges the first */
}

static td_status add_merges(td_bpe *bpe, const td_vocab *vocab, td_err *err) {
    bpe->n_pair = 16;
    while (bpe->n_pair / 2 < (size_t)vocab->n_merge) bpe->n_pair *= 2;
    bpe->pairs = td_calloc(bpe->n_pair, sizeof *bpe->pairs);
    if (!bpe->pairs) return td_fail_nomem(err, "the merges", bpe->n_pair * sizeof *bpe->pairs);
    for (size_t i = 0; i < bpe->n_pair; i++)
        bpe->pairs[i] = (pair){.key = UINT64_MAX, .rank = TD_MERGE_NONE};

    size_t n_longest = 0;
    for (int32_t i = 0; i < vocab->n_merge; i++) {
        const size_t n = (size_t)vocab->merges[i].n_left + vocab->merges[i].n_right;
        if (n > n_longest) n_longest = n;
    }
    char *scratch = td_malloc(2 * n_longest); /* the joined text and its raw bytes */
    if (!scratch) return td_fail_nomem(err, "the longest merge", 2 * n_longest);
    for (int32_t i = 0; i < vocab->n_merge; i++)
        add_merge(bpe, &vocab->merges[i], (uint32_t)i, scratch);
    td_free(scratch);
    return TD_OK;
}

td_status td_bpe_create(td_bpe **out, const td_vocab *vocab, bool ignore_merges, td_err *err) {
    *out = NULL;
    td_bpe *bpe = td_calloc(1, sizeof *bpe);
    if (!bpe) return td_fail_nomem(err, "the tokenizer", sizeof *bpe);
    bpe->ignore_merges = ignore_merges;
    td_status st = add_tokens(bpe, vocab, err);
    if (st == TD_OK) st = add_merges(bpe, vocab, err);
    if (st != TD_OK) {
        td_bpe_free(bpe);
        return st;
    }
    *out = bpe;
    return TD_OK;
}

void td_bpe_free(td_bpe *bpe) {
    if (!bpe) return;
    td_token_map_clear(&bpe->map);
    td_free(bpe->raw);
    td_free(bpe->pairs);
    td_free(bpe);
}

/* ---- encoding ---- */

/* Merges ids[0..n), n <= SHORT_PIECE, in place; returns how many remain. */
static size_t merge_short(const td_bpe *bpe, int32_t *ids, size_t n) {
    uint32_t rank[SHORT_PIECE]; /* of the pair (i, i + 1) */
    int32_t merged[SHORT_PIECE];
    for (size_t i = 0; i + 1 < n; i++) rank[i] = rank_of(bpe, ids[i], ids[i + 1], &merged[i]);
    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++)
            if (rank[i] < rank[best]) best = i;
        if (rank[best] == TD_MERGE_NONE) break;
        ids[best] = merged[best];
        n--;
        for (size_t i = best + 1; i < n; i++) {
            ids[i] = ids[i + 1];
            rank[i - 1] = rank[i]; /* rank[best] is looked up anew below */
            merged[i - 1] = merged[i];
        }
        if (best + 1 < n) rank[best] = rank_of(bpe, ids[best], ids[best + 1], &merged[best]);
        if (best > 0) rank[best - 1] = rank_of(bpe, ids[best - 1], ids[best], &merged[best - 1]);
    }
    return n;
}

static uint32_t rank_of_symbols(const void *user, const td_merge_symbol *left,
                                const td_merge_symbol *right, int32_t *merged) {
    return rank_of(user, left->id, right->id, merged);
}

static td_status encode_long(const td_bpe *bpe, td_merger *merger, const char *piece,
                             size_t n_piece, td_token_list *out, td_err *err) {
    TD_TRY(td_merger_reserve(merger, n_piece, err));
    size_t n = 0;
    for (size_t i = 0; i < n_piece; i++) {
        const int32_t id = bpe->byte_token[(uint8_t)piece[i]];
        if (id >= 0) merger->symbols[n++] = (td_merge_symbol){.id = id};
    }
    if (n == 0) return TD_OK;
    TD_TRY(td_merger_run(merger, n, rank_of_symbols, bpe, err));
    for (uint32_t i = 0; i != TD_MERGE_NONE; i = merger->symbols[i].next) {
        TD_TRY(td_token_list_reserve(out, 1, err));
        td_token_list_push(out, merger->symbols[i].id);
    }
    return TD_OK;
}

td_status td_bpe_encode(const td_bpe *bpe, td_merger *merger, const char *piece, size_t n_piece,
                        td_token_list *out, td_err *err) {
    if (bpe->ignore_merges) {
        const int32_t id = td_token_map_find(&bpe->map, piece, n_piece);
        if (id >= 0) {
            TD_TRY(td_token_list_reserve(out, 1, err));
            td_token_list_push(out, id);
            return TD_OK;
        }
    }
    if (n_piece > SHORT_PIECE) return encode_long(bpe, merger, piece, n_piece, out, err);
    TD_TRY(td_token_list_reserve(out, SHORT_PIECE, err));
    int32_t *ids = out->tokens + out->n;
    size_t n = 0;
    for (size_t i = 0; i < n_piece; i++) {
        const int32_t id = bpe->byte_token[(uint8_t)piece[i]];
        if (id >= 0) ids[n++] = id;
    }
    out->n += merge_short(bpe, ids, n);
    return TD_OK;
}
