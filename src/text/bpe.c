/* bpe.c - see bpe.h.
 *
 * Two tables are built once: from the text of a token to its id, and from a pair of ids to the rank
 * and the result of its merge.  Encoding turns a piece into symbols (the tokens of its bytes or
 * characters) by the first and merges them by the second.
 *
 * A third tells which two symbols can ever be neighbours inside of a token.  Where a piece has
 * others, no merge crosses the border between them, and what lies on its sides is merged on its
 * own: a heap of a whole text, which is what some tokenizers take for one piece, fits no cache. */
#include "text/bpe.h"

#include <string.h>

#include "base/alloc.h"
#include "text/token_map.h"
#include "text/utf8.h"

/* Up to this many symbols are merged in a plain array: scanning it for the lowest rank beats the
 * heap while it fits a few cache lines, and words are that short. */
#define SHORT_PIECE 32

#define BORDER_BITS 19 /* of the hash of two neighbours; 64 KiB, a false hit costs time only */
#define MAX_DERIVED 64 /* parts of parts looked through for the first symbol of a token */

typedef struct pair {
    uint64_t key;   /* left id << 32 | right id */
    uint32_t rank;  /* TD_MERGE_NONE: the slot is free */
    int32_t merged; /* the token the two become */
} pair;

struct td_bpe {
    const td_pipeline *pipeline; /* borrowed */
    int32_t byte_token[256];     /* -1: the byte has no token */
    bool has_bytes;              /* characters: all bytes have a token */
    bool ignore_merges;
    td_token_map map;  /* its strings lie in `raw` */
    char *raw;         /* owned; the tokens' bytes, one after the other */
    pair *pairs;       /* owned; open addressing, at most half full */
    size_t n_pair;     /* a power of two */
    uint64_t *borders; /* owned; the neighbours that some merge joins; NULL: any two may be */
};

/* ---- the alphabet ---- */

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

void td_bpe_encode_text(const char *text, size_t n, td_strbuf *out) {
    for (size_t i = 0; i < n; i++) {
        const uint8_t c = (uint8_t)text[i];
        char bytes[4];
        uint32_t cp = c;
        if (!is_shown_as_itself(c)) cp = 0x100 + (c < 33 ? c : c == 173 ? 67u : c - 127u + 33u);
        td_strbuf_add(out, bytes, (size_t)td_utf8_encode(cp, bytes));
    }
}

/* ---- the table of merges ---- */

static size_t hash_of(uint64_t key) {
    key = (key ^ key >> 29) * 0xBF58476D1CE4E5B9u;
    return (size_t)(key ^ key >> 32);
}

static uint64_t key_of(int32_t left, int32_t right) {
    return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

/* The pair's slot, or the free one where it belongs. */
static pair *pair_slot(const td_bpe *bpe, uint64_t key) {
    const size_t mask = bpe->n_pair - 1;
    for (size_t i = hash_of(key) & mask;; i = (i + 1) & mask) {
        pair *p = &bpe->pairs[i];
        if (p->key == key || p->rank == TD_MERGE_NONE) return p;
    }
}

static uint32_t rank_of(const td_bpe *bpe, int32_t left, int32_t right, int32_t *merged) {
    const pair *p = pair_slot(bpe, key_of(left, right));
    *merged = p->merged;
    return p->rank;
}

/* Control tokens and the like are not reachable by merging: text cannot spell them. */
static bool is_text_token(const td_vocab_token *t) {
    return t->n > 0 && !t->outside &&
           (t->type == TD_TOKEN_NORMAL || t->type == TD_TOKEN_USER_DEFINED ||
            t->type == TD_TOKEN_BYTE);
}

/* The text of a token as pieces have it, in out[n]; false if no piece can. */
static bool text_of_token(const td_bpe *bpe, const td_vocab_token *t, char *out, size_t *n) {
    bool as_is = false;
    *n = t->n;
    if (!bpe->pipeline->byte_level || bpe->pipeline->raw_bytes) {
        memcpy(out, t->text, t->n);
        return true;
    }
    const int byte = t->type == TD_TOKEN_BYTE ? td_vocab_byte_of(t->text, t->n) : -1;
    if (byte < 0) {
        *n = td_bpe_decode_text(t->text, t->n, out, &as_is);
    } else {
        *out = (char)byte;
        *n = 1;
    }
    return !as_is;
}

static void find_bytes(td_bpe *bpe) {
    bpe->has_bytes = !bpe->pipeline->byte_level && bpe->pipeline->byte_fallback;
    for (int c = 0; c < 256; c++) {
        static const char digits[] = "0123456789ABCDEF";
        const char byte = (char)c, name[] = {'<', '0', 'x', digits[c >> 4], digits[c & 15], '>'};
        bpe->byte_token[c] = bpe->pipeline->byte_level
                                 ? td_token_map_find(&bpe->map, &byte, 1)
                                 : td_token_map_find(&bpe->map, name, sizeof name);
    }
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
        size_t n;
        if (!is_text_token(&vocab->tokens[i]) || !text_of_token(bpe, &vocab->tokens[i], at, &n))
            continue;
        td_token_map_add(&bpe->map, at, (uint32_t)n, i);
        at += n;
    }
    find_bytes(bpe);
    return TD_OK;
}

/* The id of a merge's part or result, -1 if there is none; `scratch` has room for n bytes. */
static int32_t find_token(const td_bpe *bpe, const char *text, size_t n, char *scratch) {
    if (!bpe->pipeline->byte_level) return n ? td_token_map_find(&bpe->map, text, n) : -1;
    bool as_is;
    const size_t n_raw = td_bpe_decode_text(text, n, scratch, &as_is);
    return as_is || n_raw == 0 ? -1 : td_token_map_find(&bpe->map, scratch, n_raw);
}

static void add_pair(td_bpe *bpe, int32_t left, int32_t right, uint32_t rank, int32_t merged) {
    if (left < 0 || right < 0 || merged < 0) return;
    pair *p = pair_slot(bpe, key_of(left, right));
    if (p->rank == TD_MERGE_NONE) /* of equal merges the first */
        *p = (pair){key_of(left, right), rank, merged};
}

/* The merged token has the prefix of what continues a word once, in its left part. */
static void add_merge(td_bpe *bpe, const td_vocab_merge *m, uint32_t rank, char *scratch) {
    const td_text prefix = bpe->pipeline->continuing;
    size_t skip = 0;
    if (prefix.n && m->n_right >= prefix.n) skip = prefix.n;
    memcpy(scratch, m->left, m->n_left);
    memcpy(scratch + m->n_left, m->right + skip, m->n_right - skip);
    const size_t n = (size_t)m->n_left + m->n_right - skip;
    char *raw = scratch + n;
    add_pair(bpe, find_token(bpe, m->left, m->n_left, raw),
             find_token(bpe, m->right, m->n_right, raw), rank, find_token(bpe, scratch, n, raw));
}

static td_status init_pairs(td_bpe *bpe, size_t n, td_err *err) {
    bpe->n_pair = 16;
    while (bpe->n_pair / 2 < n)
        TD_TRY(td_mul_size(&bpe->n_pair, bpe->n_pair, 2, "the merges", err));
    bpe->pairs = td_calloc(bpe->n_pair, sizeof *bpe->pairs);
    if (!bpe->pairs) return td_fail_nomem(err, "the merges", bpe->n_pair * sizeof *bpe->pairs);
    for (size_t i = 0; i < bpe->n_pair; i++)
        bpe->pairs[i] = (pair){.key = UINT64_MAX, .rank = TD_MERGE_NONE};
    return TD_OK;
}

static td_status add_merges(td_bpe *bpe, const td_vocab *vocab, td_err *err) {
    TD_TRY(init_pairs(bpe, (size_t)vocab->n_merge, err));
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

/* Where any two tokens merge that are one together, a token gives a merge for each place where both
 * of its sides are tokens. */
static size_t split_token(td_bpe *bpe, const td_token_map_slot *slot, bool add) {
    size_t n = 0;
    for (uint32_t i = 1; i < slot->n; i++) {
        const int32_t left = td_token_map_find(&bpe->map, slot->text, i);
        const int32_t right = td_token_map_find(&bpe->map, slot->text + i, slot->n - i);
        if (left < 0 || right < 0) continue;
        n++;
        if (add) add_pair(bpe, left, right, (uint32_t)slot->id, slot->id);
    }
    return n;
}

static td_status derive_merges(td_bpe *bpe, td_err *err) {
    size_t n = 0;
    for (size_t i = 0; i < bpe->map.n_slot; i++)
        if (bpe->map.slots[i].text) n += split_token(bpe, &bpe->map.slots[i], false);
    TD_TRY(init_pairs(bpe, n, err));
    for (size_t i = 0; i < bpe->map.n_slot; i++)
        if (bpe->map.slots[i].text) split_token(bpe, &bpe->map.slots[i], true);
    return TD_OK;
}

/* ---- borders ---- */

/* How each token came to be: one of its merges, -1: by none. */
typedef struct parts {
    int32_t left, right;
} parts;

static int32_t outermost(const parts *of, int32_t id, bool last, bool *lost) {
    for (int i = 0; i < MAX_DERIVED; i++) {
        if (of[id].left < 0) return id;
        id = last ? of[id].right : of[id].left;
    }
    *lost = true;
    return id;
}

static size_t border_of(int32_t left, int32_t right) {
    return hash_of(key_of(left, right)) & (((size_t)1 << BORDER_BITS) - 1);
}

/* A merge joins the last symbol of its left part to the first of its right part.  A token may come
 * to be in several ways, but its text, so its symbols, are the same; where they are not (bytes in
 * place of characters), and where merges go round in circles, there are no borders. */
static td_status mark_borders(td_bpe *bpe, int32_t n_token, td_err *err) {
    const size_t n_word = ((size_t)1 << BORDER_BITS) / 64;
    uint64_t *borders = td_calloc(n_word, sizeof *borders);
    parts *of = td_calloc((size_t)n_token, sizeof *of);
    if (!borders || !of) {
        td_free(borders);
        td_free(of);
        return td_fail_nomem(err, "the borders of merges", n_word * sizeof *borders);
    }
    bool lost = false;
    for (int32_t i = 0; i < n_token; i++) of[i] = (parts){-1, -1};
    for (size_t i = 0; i < bpe->n_pair; i++) {
        const pair *p = &bpe->pairs[i];
        if (p->rank == TD_MERGE_NONE) continue;
        const parts now = {(int32_t)(p->key >> 32), (int32_t)(uint32_t)p->key};
        if (of[p->merged].left < 0) of[p->merged] = now;
    }
    for (size_t i = 0; i < bpe->n_pair && !lost; i++) {
        const pair *p = &bpe->pairs[i];
        if (p->rank == TD_MERGE_NONE) continue;
        const int32_t left = outermost(of, (int32_t)(p->key >> 32), true, &lost);
        const int32_t right = outermost(of, (int32_t)(uint32_t)p->key, false, &lost);
        const size_t bit = border_of(left, right);
        borders[bit / 64] |= (uint64_t)1 << bit % 64;
        /* Each way to the same token must show the same symbols at its ends. */
        const int32_t m = p->merged;
        lost |=
            outermost(of, m, false, &lost) != outermost(of, (int32_t)(p->key >> 32), false, &lost);
        lost |=
            outermost(of, m, true, &lost) != outermost(of, (int32_t)(uint32_t)p->key, true, &lost);
    }
    td_free(of);
    if (lost) {
        td_free(borders);
        return TD_OK;
    }
    bpe->borders = borders;
    return TD_OK;
}

static bool is_border(const td_bpe *bpe, int32_t left, int32_t right) {
    const size_t bit = border_of(left, right);
    return bpe->borders && !(bpe->borders[bit / 64] >> bit % 64 & 1);
}

/* ---- creation ---- */

td_status td_bpe_create(td_bpe **out, const td_vocab *vocab, const td_pipeline *pipeline,
                        bool ignore_merges, td_err *err) {
    *out = NULL;
    td_bpe *bpe = td_calloc(1, sizeof *bpe);
    if (!bpe) return td_fail_nomem(err, "the tokenizer", sizeof *bpe);
    bpe->pipeline = pipeline;
    bpe->ignore_merges = ignore_merges;
    td_status st = add_tokens(bpe, vocab, err);
    if (st == TD_OK)
        st = pipeline->rank_by_token ? derive_merges(bpe, err) : add_merges(bpe, vocab, err);
    if (st == TD_OK) st = mark_borders(bpe, vocab->n_token, err);
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
    td_free(bpe->borders);
    td_free(bpe);
}

int32_t td_bpe_find(const td_bpe *bpe, const char *piece, size_t n_piece) {
    return td_token_map_find(&bpe->map, piece, n_piece);
}

/* ---- merging ---- */

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

static td_status merge_long(const td_bpe *bpe, td_merger *merger, int32_t *ids, size_t *n,
                            td_err *err) {
    TD_TRY(td_merger_reserve(merger, *n, err));
    for (size_t i = 0; i < *n; i++) merger->symbols[i] = (td_merge_symbol){.id = ids[i]};
    TD_TRY(td_merger_run(merger, *n, rank_of_symbols, bpe, err));
    size_t n_left = 0;
    for (uint32_t i = 0; i != TD_MERGE_NONE; i = merger->symbols[i].next)
        ids[n_left++] = merger->symbols[i].id;
    *n = n_left;
    return TD_OK;
}

/* Merges what the list has from `first` on. */
static td_status merge_tail(const td_bpe *bpe, td_merger *merger, td_token_list *out, size_t first,
                            td_err *err) {
    const size_t n = out->n - first;
    int32_t *ids = out->tokens + first;
    if (n <= SHORT_PIECE) {
        out->n = first + merge_short(bpe, ids, n);
        return TD_OK;
    }
    size_t n_done = 0;
    for (size_t begin = 0, end; begin < n; begin = end) {
        for (end = begin + 1; end < n && !is_border(bpe, ids[end - 1], ids[end]);) end++;
        size_t n_part = end - begin;
        if (n_part <= SHORT_PIECE)
            n_part = merge_short(bpe, ids + begin, n_part);
        else
            TD_TRY(merge_long(bpe, merger, ids + begin, &n_part, err));
        memmove(ids + n_done, ids + begin, n_part * sizeof *ids);
        n_done += n_part;
    }
    out->n = first + n_done;
    return TD_OK;
}

/* ---- symbols ---- */

/* The unknown token waits in *unk until the next known symbol: it may stand for several. */
static void push_unknown(const td_bpe *bpe, int32_t *unk, td_token_list *out) {
    const td_pipeline *p = bpe->pipeline;
    if (*unk >= 0 && !p->fuse_unk) td_token_list_push(out, *unk);
    *unk = p->model_unk;
}

static void push_known(int32_t id, int32_t *unk, td_token_list *out) {
    if (*unk >= 0) td_token_list_push(out, *unk);
    *unk = -1;
    td_token_list_push(out, id);
}

static td_status push_bytes(const td_bpe *bpe, const char *piece, size_t n_piece,
                            td_token_list *out, td_err *err) {
    int32_t unk = -1;
    TD_TRY(td_token_list_reserve(out, n_piece, err));
    for (size_t i = 0; i < n_piece; i++) {
        const int32_t id = bpe->byte_token[(uint8_t)piece[i]];
        if (id >= 0)
            push_known(id, &unk, out);
        else
            push_unknown(bpe, &unk, out);
    }
    if (unk >= 0) td_token_list_push(out, unk);
    return TD_OK;
}

/* A character with what marks its place in the word, looked up. */
static int32_t find_character(const td_bpe *bpe, const char *text, size_t n, bool first, bool last,
                              td_strbuf *scratch, td_text *spelled) {
    const td_pipeline *p = bpe->pipeline;
    *spelled = (td_text){text, (uint32_t)n};
    const bool prefixed = !first && p->continuing.n, suffixed = last && p->end_of_word.n;
    if (prefixed || suffixed) {
        td_strbuf_clear_text(scratch);
        if (prefixed) td_strbuf_add(scratch, p->continuing.text, p->continuing.n);
        td_strbuf_add(scratch, text, n);
        if (suffixed) td_strbuf_add(scratch, p->end_of_word.text, p->end_of_word.n);
        if (scratch->failed) return -1;
        *spelled = (td_text){scratch->text, (uint32_t)scratch->n};
    }
    return td_token_map_find(&bpe->map, spelled->text, spelled->n);
}

/* The bytes of an unknown character, if all of them have tokens.  What waits in unk goes on
 * waiting, as it does in Hugging Face's tokenizers. */
static td_status push_fallback(const td_bpe *bpe, td_text spelled, bool *done, td_token_list *out,
                               td_err *err) {
    *done = bpe->has_bytes;
    for (uint32_t i = 0; i < spelled.n; i++)
        *done &= bpe->byte_token[(uint8_t)spelled.text[i]] >= 0;
    if (!*done) return TD_OK;
    TD_TRY(td_token_list_reserve(out, (size_t)spelled.n + 2, err));
    for (uint32_t i = 0; i < spelled.n; i++)
        td_token_list_push(out, bpe->byte_token[(uint8_t)spelled.text[i]]);
    return TD_OK;
}

static td_status push_characters(const td_bpe *bpe, const char *piece, size_t n_piece,
                                 td_strbuf *scratch, td_token_list *out, td_err *err) {
    int32_t unk = -1;
    TD_TRY(td_token_list_reserve(out, n_piece + 2, err));
    for (size_t at = 0; at < n_piece;) {
        const int k = td_utf8_decode(piece + at, n_piece - at, NULL);
        const size_t n = k > 0 ? (size_t)k : 1;
        td_text spelled;
        bool done;
        const int32_t id =
            find_character(bpe, piece + at, n, at == 0, at + n == n_piece, scratch, &spelled);
        TD_TRY(td_strbuf_check(scratch, "a word", err));
        TD_TRY(td_token_list_reserve(out, 2, err));
        at += n;
        if (id >= 0) {
            push_known(id, &unk, out);
            continue;
        }
        TD_TRY(push_fallback(bpe, spelled, &done, out, err));
        if (!done && bpe->pipeline->model_unk >= 0) push_unknown(bpe, &unk, out);
    }
    TD_TRY(td_token_list_reserve(out, 1, err));
    if (unk >= 0) td_token_list_push(out, unk);
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
    const size_t first = out->n;
    if (bpe->pipeline->byte_level) {
        TD_TRY(push_bytes(bpe, piece, n_piece, out, err));
    } else {
        td_strbuf scratch = {0};
        const td_status st = push_characters(bpe, piece, n_piece, &scratch, out, err);
        td_strbuf_clear(&scratch);
        TD_TRY(st);
    }
    return merge_tail(bpe, merger, out, first, err);
}
