/* perplexity.h - how well a model predicts a text, and how far two models are apart on it.
 *
 * The text is cut into chunks of n_ctx tokens, each evaluated on its own; of each the second half
 * is scored: positions n_ctx/2 to n_ctx-2, each predicting the next token.  If the model wants a
 * BOS, it replaces the first token of every chunk.  These are llama.cpp's rules (tools/perplexity),
 * so that figures compare. */
#ifndef TD_JOBS_PERPLEXITY_H
#define TD_JOBS_PERPLEXITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "engine/engine.h"

/* A running mean with its standard error.  Zeroed is empty. */
typedef struct td_mean {
    double sum, sum_of_squares;
    uint64_t n;
} td_mean;

void td_mean_add(td_mean *m, double x);
double td_mean_value(const td_mean *m); /* 0 if empty */
double td_mean_error(const td_mean *m); /* standard error of the mean; 0 for fewer than two */

/* The mean is that of the negative log-likelihoods; perplexity is its exp, with the error
 * propagated to first order. */
double td_perplexity_value(const td_mean *nll);
double td_perplexity_error(const td_mean *nll);

/* -log softmax(logits)[token], in double. */
double td_nll(const float *logits, int n_vocab, int token);

/* KL(p || q) in nats of the softmaxes of two rows of logits, in double; never below 0. */
double td_kl(const float *p, const float *q, int n_vocab);

/* True if the largest logit stands at the same id, the lowest one among equals. */
bool td_same_argmax(const float *p, const float *q, int n_vocab);

typedef struct td_perplexity_result {
    int n_chunk;          /* evaluated so far */
    td_mean nll;          /* of the engine */
    td_mean baseline_nll; /* of the baseline, if there is one, and the others too: */
    td_mean kl;           /* KL(baseline || engine) */
    td_mean same_argmax;  /* 1 where both say the same */
} td_perplexity_result;

typedef struct td_perplexity_options {
    td_engine *engine;   /* borrowed; its n_ctx is at least n_ctx */
    td_engine *baseline; /* borrowed; the exact engine to compare with; NULL: none */
    const td_token *tokens;
    int n_token; /* at least n_ctx */
    int n_ctx;   /* tokens per chunk, at least 4 */
    int n_chunk; /* at most; 0: all there are */
    /* Called after each chunk; false ends it after this one.  May be NULL. */
    bool (*report)(void *user, int i_chunk, const td_perplexity_result *so_far);
    void *user;
} td_perplexity_options;

/* How many chunks that will be. */
int td_perplexity_n_chunk(const td_perplexity_options *o);

td_status td_perplexity_run(const td_perplexity_options *o, td_perplexity_result *r, td_err *err);

#endif
