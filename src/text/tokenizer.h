/* tokenizer.h - text to token ids and back.
 *
 * Immutable after creation: any number of threads may use one.  Input need not be valid UTF-8:
 * byte-level BPE takes bytes as they are; SPM turns what is no character into byte tokens. */
#ifndef TD_TEXT_TOKENIZER_H
#define TD_TEXT_TOKENIZER_H

#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "text/vocab.h"

typedef struct td_tokenizer td_tokenizer;

/* Borrows vocab, which must outlive it.  An unknown pre-tokenizer name is TD_ERR_UNSUPPORTED naming
 * it. */
td_status td_tokenizer_create(td_tokenizer **out, const td_vocab *vocab, td_err *err);
void td_tokenizer_free(td_tokenizer *tok); /* NULL is fine */

const td_vocab *td_tokenizer_vocab(const td_tokenizer *tok);

/* Flags: TD_TOKENIZE_* of tandem.h.  User-defined tokens are matched in the text always, control
 * tokens with PARSE_SPECIAL.  ADD_SPECIAL puts BOS in front unless the text's first token is BOS
 * already, EOS likewise. *tokens is td_malloc'd, NULL and 0 on failure. */
td_status td_tokenizer_encode(const td_tokenizer *tok, const char *text, size_t n_text, int flags,
                              int32_t **tokens, int *n_token, td_err *err);

/* The raw bytes of one token: byte-level alphabet undone, "\u2581" a space, <0xXX> one byte; may be
 * part of a character.  Control, unknown and unused tokens give nothing unless with_special (then
 * their name).  Borrowed from the tokenizer. */
const char *td_tokenizer_token_bytes(const td_tokenizer *tok, int32_t token, bool with_special,
                                     size_t *n);

/* True for eos, eot, eom and the well-known names of end-of-turn tokens ("<|im_end|>",
 * "<end_of_turn>" ...). */
bool td_tokenizer_is_end(const td_tokenizer *tok, int32_t token);

/* Decodes tokens to text, appended to out: their bytes as they are, which need not be UTF-8. Undoes
 * the space prefix of SPM at the start (add_space_prefix). */
void td_tokenizer_decode(const td_tokenizer *tok, const int32_t *tokens, int n_token,
                         bool with_special, td_strbuf *out);

/* ---- streaming: never hands out half a UTF-8 character ---- */
typedef struct td_detokenizer {
    const td_tokenizer *tok; /* borrowed */
    bool with_special;
    bool at_start;      /* the SPM space prefix may still come */
    uint8_t pending[4]; /* bytes of a character not yet complete */
    int n_pending;
} td_detokenizer;

void td_detokenizer_init(td_detokenizer *d, const td_tokenizer *tok, bool at_start,
                         bool with_special);
/* Appends to out the text that this token completes.  Bytes that can no longer become a character
 * come out as U+FFFD. */
void td_detokenizer_add(td_detokenizer *d, int32_t token, td_strbuf *out);
/* Flushes an incomplete character as U+FFFD. */
void td_detokenizer_finish(td_detokenizer *d, td_strbuf *out);

#endif
