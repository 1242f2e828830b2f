/* bpe.h - byte-level BPE: from the bytes of one pre-tokenized piece to tokens.
 *
 * Works on raw bytes throughout: the printable alphabet in which GPT-2 wrote its vocabulary is
 * undone once, when the vocabulary is read.  Immutable after creation. */
#ifndef TD_TEXT_BPE_H
#define TD_TEXT_BPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text/merge.h"
#include "text/token_list.h"
#include "text/vocab.h"

typedef struct td_bpe td_bpe;

/* Undoes the byte-level alphabet: text[0..n) becomes at most n raw bytes in out; returns how many.
 * A text with a character outside the alphabet was never written in it and is copied as it is; then
 * *as_is is set. */
size_t td_bpe_decode_text(const char *text, size_t n, char *out, bool *as_is);

/* Borrows vocab.  Merges that name unknown tokens are left out, as they can never happen.
 * ignore_merges: a piece that is a token is that token. */
td_status td_bpe_create(td_bpe **out, const td_vocab *vocab, bool ignore_merges, td_err *err);
void td_bpe_free(td_bpe *bpe); /* NULL is fine */

/* Appends the tokens of one piece of at most UINT32_MAX / 2 bytes.  Bytes that have no token are
 * left out before merging, as Hugging Face's tokenizers do. */
td_status td_bpe_encode(const td_bpe *bpe, td_merger *merger, const char *piece, size_t n_piece,
                        td_token_list *out, td_err *err);

#endif
