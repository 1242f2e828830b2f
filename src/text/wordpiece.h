/* wordpiece.h - words by the longest token at each of their places, and words that are tokens.
 * Immutable after creation. */
#ifndef TD_TEXT_WORDPIECE_H
#define TD_TEXT_WORDPIECE_H

#include <stddef.h>

#include "text/token_list.h"
#include "text/vocab.h"

typedef struct td_wordpiece td_wordpiece;

/* Borrows vocab, a WORDPIECE or WORDLEVEL one, and pipeline. */
td_status td_wordpiece_create(td_wordpiece **out, const td_vocab *vocab,
                              const td_pipeline *pipeline, td_err *err);
void td_wordpiece_free(td_wordpiece *wordpiece); /* NULL is fine */

/* Appends the tokens of a word; the unknown token, if there is one, where no tokens make it up. */
td_status td_wordpiece_encode(const td_wordpiece *wordpiece, const char *word, size_t n_word,
                              td_token_list *out, td_err *err);

#endif
