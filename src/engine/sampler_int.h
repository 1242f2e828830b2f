/* sampler_int.h - the inside of a sampler, for the files sampler*.c only.
 *
 * sampler.c owns the object and the order of the steps, sampler_penalty.c what changes logits,
 * sampler_filter.c what drops candidates and the draw. */
#ifndef TD_ENGINE_SAMPLER_INT_H
#define TD_ENGINE_SAMPLER_INT_H

#include "engine/random.h"
#include "engine/sampler.h"
#include "kernel/kernels.h"

/* Limits of what comes in with a request. */
enum { TD_SAMPLER_MAX_BREAKERS = 32, TD_SAMPLER_MAX_BREAKER_BYTES = 40 };

enum { TD_SAMPLER_N_BUCKET = 2048 }; /* of the histogram of sampler_filter.c */

/* What a token can do for a breaker: hold one whole, or end one that began in a token before. */
enum { TD_BREAKER_WHOLE = 1, TD_BREAKER_TAIL = 2 };

/* After `from` bytes of the breaker, this token continues it up to byte `to`.  from 0: the token's
 * last `to` bytes begin the breaker; to = its length: the token begins with the rest of it; else
 * the whole token lies inside the breaker.  Whole breakers have no edge. */
typedef struct td_breaker_edge {
    td_token token;
    uint8_t breaker, from, to;
} td_breaker_edge;

/* Lifetime: sequence.  Written by the engine's thread only. */
struct td_sampler {
    td_sampler_options opt; /* defaults filled in; its pointers are NULL */
    int n_vocab, n_ctx;
    const td_kernels *kernels; /* borrowed from the process */
    td_random random;

    const uint32_t *allowed; /* borrowed; [(n_allowed + 31) / 32]; NULL: all */
    int n_allowed;           /* tokens beyond are not allowed */

    td_token *bias_tokens; /* owned; [opt.n_bias] */
    float *bias_values;    /* owned; [opt.n_bias] */

    /* Penalties and DRY; NULL when both are off. */
    int32_t *seen;          /* owned; [n_vocab]: how often, or how long; all 0 between uses */
    int32_t *match;         /* owned; [n_ctx]: the Z-array of the reversed history; only for DRY */
    uint8_t *breaker_roles; /* owned; [n_vocab] of TD_BREAKER_*; NULL: no breakers */
    td_breaker_edge *edges; /* owned; [n_edge], in rising order of token */
    size_t n_edge, cap_edge;
    uint8_t breaker_bytes[TD_SAMPLER_MAX_BREAKERS]; /* lengths */

    /* Candidates, always in rising order of id, so that "lowest id on ties" is "first on ties".
     * Right after the penalties they are the whole vocabulary, -inf included.  logits is NULL for
     * plain greedy decoding, the rest at temperature 0. */
    int n;
    bool is_whole;  /* candidate i is token i, and ids is not in use yet */
    float max;      /* the greatest of their logits */
    float *logits;  /* owned; [n_vocab], of which n count */
    td_token *ids;  /* owned; likewise */
    float *weights; /* owned; likewise: exp((logit - max) / temperature), see weigh() */
    float *values;  /* owned; likewise: what typical-p sorts by; NULL without it */
    int *list;      /* owned; [n_vocab]: indices of the bucket under view in find_cut() */
    double buckets[TD_SAMPLER_N_BUCKET];
};

/* True if one of the three penalties is on. */
static inline bool td_sampler_has_penalty(const td_sampler_options *o) {
    return o->repeat_penalty != 1 || o->presence_penalty != 0 || o->frequency_penalty != 0;
}

/* ---- sampler_penalty.c ---- */

/* Finds out which tokens hold or cross breakers.  Fills s->breaker_*. */
td_status td_sampler_breakers_init(td_sampler *s, const td_sampler_options *options,
                                   const td_sampler_vocab *vocab, td_err *err);

/* Steps 1 to 3 of sampler.h on s->logits [n_vocab]. No logit becomes NaN. */
void td_sampler_penalize(td_sampler *s, const td_token *history, int n_history);

/* ---- sampler_filter.c ---- */

/* Steps 5 to 11: s->logits holds the n_vocab logits, no NaN, the greatest of which is max > -inf.
 */
td_token td_sampler_draw(td_sampler *s, float max);

#endif
