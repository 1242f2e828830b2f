/* decode.h - what one token contributes to text, by the decoders of a pipeline. */
#ifndef TD_TEXT_DECODE_H
#define TD_TEXT_DECODE_H

#include <stdbool.h>

#include "base/strbuf.h"
#include "text/vocab.h"

/* The first token of a text may give other bytes than it does behind another. */
bool td_decode_first_differs(const td_pipeline *pipeline);

/* Appends to out; `spare` is memory to work in.  Control and user-defined tokens are their text. */
void td_decode_token(const td_pipeline *pipeline, const td_vocab_token *token, bool first,
                     td_strbuf *spare, td_strbuf *out);

#endif
