/* sampler.h - from logits to a token.
 *
 * The order, each step skipped when neutral:
 *   0. what a grammar does not allow becomes -inf
 *   1. logit bias            2. repetition, presence, frequency penalty    3. DRY
 *   4. (temperature 0: argmax, lowest id on ties; done)
 *   5. top-k   6. typical-p   7. top-p   8. min-p   9. XTC   10. temperature   11. draw
 * Steps 6 to 9 work on the probabilities at temperature 1 of what is left.  The generator is
 * xoshiro256++ seeded by four outputs of splitmix64(seed) (Blackman and Vigna); a draw takes the
 * top 53 bits as a double in [0, 1) and walks the candidates in falling order of probability
 * (lowest id on ties) until the cumulative sum exceeds it.  XTC takes one draw before that, only
 * when it is on. */
#ifndef TD_ENGINE_SAMPLER_H
#define TD_ENGINE_SAMPLER_H

#include <stdint.h>

#include "base/status.h"
#include "engine/random.h"

typedef struct td_sampler td_sampler;

/* A callback for the bytes of a token, so that DRY's breakers (strings) can be turned into token
 * ids. */
typedef struct td_sampler_vocab {
    int n_vocab;
    const char *(*token_bytes)(const void *user, td_token token,
                               size_t *n); /* may be NULL: DRY without breakers */
    const void *user;
    bool is_constrained; /* td_sampler_allow will be called */
} td_sampler_vocab;

/* Copies everything it needs. Out-of-range options are TD_ERR_ARGUMENT naming option, value and
 * range. All memory is taken here: td_sampler_pick allocates nothing (given histories up to n_ctx).
 */
td_status td_sampler_create(td_sampler **out, const td_sampler_options *options,
                            const td_sampler_vocab *vocab, int n_ctx, td_err *err);
void td_sampler_free(td_sampler *s); /* NULL is fine */

/* For the next pick alone: only tokens t < n_token with bit t % 32 of words[t / 32] set.  Borrowed
 * until then. */
void td_sampler_allow(td_sampler *s, const uint32_t *words, int n_token);

/* Chooses a token.  logits [n_vocab] are not changed (NaN counts as -inf; all -inf or NaN gives
 * TD_ERR_ARGUMENT, "the logits are not finite").  history is the sequence so far, prompt included,
 * newest last. */
td_status td_sampler_pick(td_sampler *s, const float *logits, const td_token *history,
                          int n_history, td_token *out, td_err *err);

/* The generator's state: a sampler that is given another's goes on drawing as that one would. */
void td_sampler_get_random(const td_sampler *s, td_random *out);
void td_sampler_set_random(td_sampler *s, const td_random *random); /* not all zero */

#endif
