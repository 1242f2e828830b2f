/* pretokenize.h - splits text into the pieces that a tokenizer's model encodes one by one.
 *
 * A pre-tokenizer is a sequence of steps (pipeline.h).  Each works on every piece of the one
 * before: a piece is all that an expression sees, so that "end of text" means the end of the piece.
 */
#ifndef TD_TEXT_PRETOKENIZE_H
#define TD_TEXT_PRETOKENIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/strbuf.h"
#include "text/pipeline.h"
#include "text/regex.h"

#define TD_PRETOKENIZE_MAX_STAGE 6

/* Longest text td_pretokenizer_split() takes, so that offsets into a repaired copy fit 32 bits. */
#define TD_PRETOKENIZE_MAX_TEXT ((size_t)1 << 30)

enum {
    TD_PRETOKENIZER_BOS = 1,    /* where the file does not say: BOS goes in front */
    TD_PRETOKENIZER_WHOLE = 2,  /* a piece that is a token is that token, however its merges go */
    TD_PRETOKENIZER_SPACED = 4, /* characters and U+2581 for spaces, in place of bytes */
    TD_PRETOKENIZER_PLAIN = 8,  /* characters in place of bytes, white space is left out */
    TD_PRETOKENIZER_LINES = 16  /* a piece of line feeds that is a token is that token */
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

/* Compiles the steps, which outlive it; `name` is for messages. */
td_status td_pretokenizer_create(td_pretokenizer **out, const td_pre_step *steps, int n_step,
                                 const char *name, td_err *err);
/* The same for a name of the table.  An unknown one is TD_ERR_UNSUPPORTED. */
td_status td_pretokenizer_create_named(td_pretokenizer **out, const char *name, td_err *err);
void td_pretokenizer_free(td_pretokenizer *pre); /* NULL is fine */

typedef struct td_span {
    uint32_t begin, end; /* bytes; end > begin */
} td_span;

/* Pieces of a text, and memory to find them, used again from one text to the next; zeroed is empty.
 */
typedef struct td_pieces {
    const char *text; /* what the spans index: the text given, or what the steps made of it */
    td_span *spans;   /* owned; [n], in order */
    size_t n, cap;
    td_span *spare; /* owned; the pieces of the step before */
    size_t cap_spare;
    td_strbuf buffers[2];
    td_regex_scratch *regex; /* owned */
} td_pieces;

void td_pieces_clear(td_pieces *pieces);

/* Replaces what pieces holds.  Any bytes will do: an ill-formed UTF-8 sequence is split as U+FFFD
 * would be, and the pieces are those of the text given unless a step changes text.  at_start: the
 * text is the beginning of what the user gave.  TD_ERR_LIMIT if the text is longer than
 * TD_PRETOKENIZE_MAX_TEXT or a pattern takes too many steps. */
td_status td_pretokenizer_split(const td_pretokenizer *pre, const char *text, size_t n_text,
                                bool at_start, td_pieces *pieces, td_err *err);

#endif
