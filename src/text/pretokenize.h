/* pretokenize.h - splits text into the pieces that byte-level BPE encodes one by one.
 *
 * A pre-tokenizer is a sequence of regular expressions.  Each splits every piece of the one before:
 * its matches become pieces and so do the stretches between them.  The expressions are matched by
 * PCRE2, each piece on its own, so that "end of text" means the end of the piece. */
#ifndef TD_TEXT_PRETOKENIZE_H
#define TD_TEXT_PRETOKENIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define TD_PRETOKENIZE_MAX_STAGE 6

/* Longest text td_pretokenizer_split() takes, so that offsets into a repaired copy fit 32 bits. */
#define TD_PRETOKENIZE_MAX_TEXT ((size_t)1 << 30)

enum {
    TD_PRETOKENIZER_BOS = 1,  /* where the file does not say: BOS goes in front */
    TD_PRETOKENIZER_WHOLE = 2 /* a piece that is a token is that token, however its merges go */
};

/* One name of GGUF's tokenizer.ggml.pre (table: pretokenizers.c).  Patterns are PCRE2's, but for \s
 * and \S, which mean exactly Unicode's White_Space. */
typedef struct td_pretokenizer_def {
    const char *name;
    const char *stages[TD_PRETOKENIZE_MAX_STAGE]; /* NULL after the last */
    unsigned flags;                               /* TD_PRETOKENIZER_* */
} td_pretokenizer_def;

/* A file that names none ("") gets "default", as in llama.cpp.  NULL: the name is unknown. */
const td_pretokenizer_def *td_pretokenizer_find(const char *name);

/* All of them, in order of name. */
const td_pretokenizer_def *td_pretokenizer_all(size_t *n);

typedef struct td_pretokenizer td_pretokenizer;

/* Compiles the patterns.  An unknown name is TD_ERR_UNSUPPORTED. */
td_status td_pretokenizer_create(td_pretokenizer **out, const char *name, td_err *err);
void td_pretokenizer_free(td_pretokenizer *pre); /* NULL is fine */

const td_pretokenizer_def *td_pretokenizer_definition(const td_pretokenizer *pre);

/* Pieces of a text; zeroed is empty. */
typedef struct td_pieces {
    uint32_t *ends; /* owned; piece i is the bytes from ends[i - 1] (or 0) to ends[i]; none empty */
    size_t n, cap;
} td_pieces;

void td_pieces_clear(td_pieces *pieces);

/* Replaces what pieces holds.  Any bytes will do: an ill-formed UTF-8 sequence is split as U+FFFD
 * would be, and the pieces are still those of the text given.  TD_ERR_LIMIT if the text is longer
 * than TD_PRETOKENIZE_MAX_TEXT or a pattern takes too many steps. */
td_status td_pretokenizer_split(const td_pretokenizer *pre, const char *text, size_t n_text,
                                td_pieces *pieces, td_err *err);

#endif
