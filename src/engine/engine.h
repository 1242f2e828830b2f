/* engine.h - what the engine offers inside the project, beyond tandem.h. */
#ifndef TD_ENGINE_ENGINE_H
#define TD_ENGINE_ENGINE_H

#include "base/status.h"
#include "format/checkpoint.h"
#include "text/tokenizer.h"

/* Borrowed from the engine. */
const td_checkpoint *td_engine_checkpoint(const td_engine *engine);
const td_tokenizer *td_engine_tokenizer(const td_engine *engine);

/* Called for each position in order with its logits [n_vocab], valid during the call; a status
 * other than TD_OK ends the evaluation and is returned (the callee writes err). */
typedef td_status td_logits_fn(void *user, int i_position, const float *logits, td_err *err);

/* Evaluates tokens[n_token] as a fresh sequence, in forward passes of the engine's n_batch, and
 * hands out the logits of positions from i_first on.  Needs a free sequence slot and n_token <=
 * n_ctx.  The sequence is gone afterwards. */
td_status td_engine_eval(td_engine *engine, const td_token *tokens, int n_token, int i_first,
                         td_logits_fn *fn, void *user, td_err *err);

/* What one decoded token reads and one prompt token computes, in the matrices it passes: of
 * experts, those that are chosen; the output matrix is read, but a prompt does not pass it. */
typedef struct td_engine_cost {
    uint64_t weight_bytes, ops;
} td_engine_cost;
td_engine_cost td_engine_token_cost(const td_engine *engine);

#endif
