/* tiny_vocab.h - vocabularies made up for tests, in place of a file's. */
#ifndef TD_TESTS_TINY_VOCAB_H
#define TD_TESTS_TINY_VOCAB_H

#include <stdlib.h>
#include <string.h>

#include "text/vocab.h"

typedef struct tiny_token {
    const char *text;
    uint8_t type; /* 0: normal */
    float score;
} tiny_token;

/* GPT-2's alphabet, by its published construction: bytes that print stand for themselves, the
 * others are numbered from U+0100.  out has room for 2 * n bytes; returns how many were written. */
static inline size_t tiny_alphabet(const char *raw, size_t n, char *out) {
    size_t n_out = 0;
    for (size_t i = 0; i < n; i++) {
        const unsigned c = (unsigned char)raw[i];
        unsigned cp = c, n_hidden = 0;
        for (unsigned b = 0; b <= c; b++) {
            const int prints = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
            if (b == c && !prints) cp = 256 + n_hidden;
            n_hidden += !prints;
        }
        if (cp < 0x80) {
            out[n_out++] = (char)cp;
        } else {
            out[n_out++] = (char)(0xC0 | cp >> 6);
            out[n_out++] = (char)(0x80 | (cp & 0x3F));
        }
    }
    return n_out;
}

/* Appends a token whose text is copied as it is; returns its id. */
static inline int32_t tiny_add(td_vocab *v, const char *text, size_t n, uint8_t type, float score) {
    td_vocab_token *tokens = td_arena_alloc(&v->arena, (size_t)(v->n_token + 1) * sizeof *tokens);
    if (!tokens) abort();
    if (v->n_token) memcpy(tokens, v->tokens, (size_t)v->n_token * sizeof *tokens);
    tokens[v->n_token] = (td_vocab_token){.text = td_arena_strndup(&v->arena, text, n),
                                          .n = (uint32_t)n,
                                          .score = (double)score,
                                          .type = type ? type : TD_TOKEN_NORMAL};
    v->tokens = tokens;
    return v->n_token++;
}

static inline void tiny_add_merge(td_vocab *v, const char *left, size_t n_left, const char *right,
                                  size_t n_right) {
    td_vocab_merge *merges = td_arena_alloc(&v->arena, (size_t)(v->n_merge + 1) * sizeof *merges);
    if (!merges) abort();
    if (v->n_merge) memcpy(merges, v->merges, (size_t)v->n_merge * sizeof *merges);
    merges[v->n_merge++] = (td_vocab_merge){.left = td_arena_strndup(&v->arena, left, n_left),
                                            .right = td_arena_strndup(&v->arena, right, n_right),
                                            .n_left = (uint32_t)n_left,
                                            .n_right = (uint32_t)n_right};
    v->merges = merges;
}

static inline void tiny_init(td_vocab *v, td_vocab_model model) {
    *v = (td_vocab){
        .model = model, .bos = -1, .eos = -1, .eot = -1, .eom = -1, .unk = -1, .pad = -1};
    td_arena_init(&v->arena, 1 << 16);
}

/* Byte-level BPE: the 256 bytes have the ids 0 to 255, then one token for each merge, in order.
 * merges are pairs of raw texts "left right" (split at the first space after the first byte), ended
 * by NULL. */
static inline void tiny_bpe(td_vocab *v, const char *pre, const char *const *merges) {
    tiny_init(v, TD_VOCAB_BPE);
    strcpy(v->pre, pre);
    char text[256];
    for (int c = 0; c < 256; c++) {
        const char raw = (char)c;
        tiny_add(v, text, tiny_alphabet(&raw, 1, text), TD_TOKEN_NORMAL, 0);
    }
    for (; *merges; merges++) {
        const char *right = strchr(*merges + 1, ' ') + 1;
        const size_t n_left = (size_t)(right - 1 - *merges);
        const size_t n = tiny_alphabet(*merges, n_left, text);
        const size_t n_more = tiny_alphabet(right, strlen(right), text + n);
        tiny_add(v, text, n + n_more, TD_TOKEN_NORMAL, 0);
        tiny_add_merge(v, text, n, text + n, n_more);
    }
}

/* SentencePiece: 0 <unk>, 1 <s>, 2 </s>, then the 256 byte tokens (ids 3 to 258) if with_bytes,
 * then the tokens given, ended by a NULL text. */
static inline void tiny_spm(td_vocab *v, bool with_bytes, const tiny_token *tokens) {
    tiny_init(v, TD_VOCAB_SPM);
    v->unk = tiny_add(v, "<unk>", 5, TD_TOKEN_UNKNOWN, 0);
    v->bos = tiny_add(v, "<s>", 3, TD_TOKEN_CONTROL, 0);
    v->eos = tiny_add(v, "</s>", 4, TD_TOKEN_CONTROL, 0);
    v->add_bos = v->add_space_prefix = true;
    for (unsigned c = 0; with_bytes && c < 256; c++) {
        const char digits[] = "0123456789ABCDEF";
        const char text[6] = {'<', '0', 'x', digits[c >> 4], digits[c & 15], '>'};
        tiny_add(v, text, sizeof text, TD_TOKEN_BYTE, 0);
    }
    for (; tokens->text; tokens++)
        tiny_add(v, tokens->text, strlen(tokens->text), tokens->type, tokens->score);
}

#endif
