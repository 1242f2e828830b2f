/* batch.h - what one forward pass evaluates: tokens, each at a position of a sequence. */
#ifndef TD_OPS_BATCH_H
#define TD_OPS_BATCH_H

#include <stdint.h>

/* Lifetime: step.  Tokens of one sequence stand in rising order of position; sequences may be mixed
 * in any way: what a token computes does not depend on its neighbours in the batch. */
typedef struct td_batch {
    int n;                   /* tokens */
    const int32_t *token;    /* [n] ids, each in [0, n_vocab) */
    const int32_t *position; /* [n] */
    const int32_t *sequence; /* [n] slots of the KV cache */
    const int32_t *length;   /* [n] tokens known of its sequence, those still waiting included: what
                                LongRoPE depends on.  When it crosses the model's limit, the whole
                                sequence is evaluated again */
    const uint8_t
        *is_prompt; /* [n] whether the token came in, and was not sampled here; NULL: all */
} td_batch;

#endif
