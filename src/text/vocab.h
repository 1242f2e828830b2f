/* vocab.h - a vocabulary as plain data: what a tokenizer needs to know, whatever file it came from.
 *
 * format/ fills it; text/tokenizer.c reads it.  Strings and arrays are owned by the arena inside,
 * or borrowed from the checkpoint where said so; the checkpoint outlives the vocabulary. */
#ifndef TD_TEXT_VOCAB_H
#define TD_TEXT_VOCAB_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "text/pipeline.h"

typedef enum td_vocab_model {
    TD_VOCAB_BPE, /* BPE with ranked merges, byte-level (GGUF "gpt2") unless the pipeline says not
                   */
    TD_VOCAB_SPM, /* SentencePiece-style BPE with scores and byte fallback (GGUF "llama") */
    TD_VOCAB_UNIGRAM,   /* the most probable tokens, by scores (GGUF "t5") */
    TD_VOCAB_WORDPIECE, /* the longest token at each place of a word (GGUF "bert") */
    TD_VOCAB_WORDLEVEL  /* words are tokens */
} td_vocab_model;

/* GGUF's token types. */
typedef enum td_token_type {
    TD_TOKEN_NORMAL = 1,
    TD_TOKEN_UNKNOWN = 2,
    TD_TOKEN_CONTROL = 3,
    TD_TOKEN_USER_DEFINED = 4,
    TD_TOKEN_UNUSED = 5,
    TD_TOKEN_BYTE = 6
} td_token_type;

typedef struct td_vocab_token {
    const char *text; /* borrowed; NOT NUL-terminated; byte-level alphabet for BPE, "\u2581" for
                         spaces in SPM */
    double score;     /* SPM: higher merges first; UNIGRAM: they are added; else 0 */
    uint32_t n;       /* bytes */
    uint8_t type;     /* td_token_type */
    bool outside;     /* not the model's: found as an added token only */
} td_vocab_token;

/* A BPE merge: the texts of the two parts, borrowed, in rank order. */
typedef struct td_vocab_merge {
    const char *left, *right;
    uint32_t n_left, n_right;
} td_vocab_merge;

typedef struct td_vocab {
    td_vocab_model model;
    td_vocab_token *tokens; /* [n_token], in the arena */
    int32_t n_token;
    td_vocab_merge *merges; /* [n_merge], BPE only, in the arena */
    int32_t n_merge;
    char pre[64]; /* name of the pre-tokenizer ("smollm"), "" if the file names none */
    /* special ids; -1: none */
    int32_t bos, eos, eot, eom, unk, pad;
    bool add_bos, add_eos; /* with the defaults of models.md 5.2 and 10.4 already applied */
    bool add_space_prefix; /* SPM */
    bool ignore_merges;    /* BPE: a piece that is a token is that token */
    const int32_t *ends;   /* [n_end], in the arena: more ids that end a turn */
    int32_t n_end;
    const td_pipeline *pipeline; /* in the arena; NULL: what GGUF's fields above say */
    const char *chat_template;   /* NUL-terminated, in the arena; NULL: none */
    td_arena arena;
} td_vocab;

void td_vocab_clear(td_vocab *vocab); /* zeroed is fine */

/* The id of the token with exactly this text, -1: none.  Looks at all of them. */
int32_t td_vocab_find(const td_vocab *vocab, const char *text, size_t n);

/* Fills eot and eom, where they are -1, with the tokens known to end a turn by name. */
void td_vocab_name_ends(td_vocab *vocab);

/* The byte that a text of the form "<0xXX>" names (hexadecimal digits of either case), -1 if it has
 * another form. */
int td_vocab_byte_of(const char *text, size_t n);

#endif
