/* bpe.h - BPE with ranked merges: from one pre-tokenized piece to tokens.
 *
 * Byte-level BPE works on raw bytes throughout: the printable alphabet in which GPT-2 wrote its
 * vocabulary is undone once, when the vocabulary is read.  The other kind works on characters.
 * Immutable after creation. */
#ifndef TD_TEXT_BPE_H
#define TD_TEXT_BPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "text/merge.h"
#include "text/token_list.h"
#include "text/vocab.h"

typedef struct td_bpe td_bpe;

/* Undoes the byte-level alphabet: text[0..n) becomes at most n raw bytes in out; returns how many.
 * A text with a character outside the alphabet was never written in it and is copied as it is; then
 * *as_is is set. */
size_t td_bpe_decode_text(const char *text, size_t n, char *out, bool *as_is);

/* Appends bytes in the byte-level alphabet. */
void td_bpe_encode_text(const char *text, size_t n, td_strbuf *out);

/* Borrows vocab and pipeline (its fields about BPE).  Merges that name unknown tokens are left out,
 * as they can never happen.  ignore_merges: a piece that is a token is that token. */
td_status td_bpe_create(td_bpe **out, const td_vocab *vocab, const td_pipeline *pipeline,
                        bool ignore_merges, td_err *err);
void td_bpe_free(td_bpe *bpe); /* NULL is fine */

/* Appends the tokens of one piece of at most UINT32_MAX / 2 bytes.  Bytes or characters that have
 * no token are left out before merging where the pipeline names no unknown token, as Hugging Face's
 * tokenizers do. */
td_status td_bpe_encode(const td_bpe *bpe, td_merger *merger, const char *piece, size_t n_piece,
                        td_token_list *out, td_err *err);

/* The token whose text is all of the piece, -1: none. */
int32_t td_bpe_find(const td_bpe *bpe, const char *piece, size_t n_piece);

#endif
