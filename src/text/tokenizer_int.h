/* tokenizer_int.h - what decoding at once and decoding as a stream share. */
#ifndef TD_TEXT_TOKENIZER_INT_H
#define TD_TEXT_TOKENIZER_INT_H

#include "text/tokenizer.h"

/* As td_tokenizer_token_bytes(), without the space that encoding put in front of the text: it goes
 * from the first token that gives any bytes, which clears *at_start. */
const char *td_tokenizer_text_of(const td_tokenizer *tok, int32_t token, bool with_special,
                                 bool *at_start, size_t *n);

#endif
