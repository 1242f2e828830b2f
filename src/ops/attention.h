/* attention.h - softmax(scale q k) v against the paged KV cache, grouped queries, causal, with or
 * without a window.
 *
 * The softmax runs over pages, that is over blocks of absolute positions, with a running maximum
 * (Milakov and Gimelshein, arXiv 1805.02867): what a token computes does not depend on how its
 * prompt was cut into batches. */
#ifndef TD_OPS_ATTENTION_H
#define TD_OPS_ATTENTION_H

#include "ops/kv_cache.h"

typedef struct td_attention_spec {
    int n_head;
    float scale;        /* of q k */
    float softcap;      /* s = softcap * tanh(s / softcap) after the scale, as Gemma 2; 0: none */
    const float *sinks; /* borrowed; [n_head] a logit per head that joins the softmax and has no
                         * value, as gpt-oss; NULL: none */
    const float
        *q_value;        /* [batch n][n_head * v_dim] queries to the values, whose product joins the
                          * score: MLA's absorbed form, in which latents are both; NULL: none */
    const uint8_t *skip; /* [batch n] tokens whose rows of `out` are left alone; NULL: none */
} td_attention_spec;

/* Keys and values of the batch must have been written.  q: [batch n][n_head * k_dim], out: [batch
 * n][n_head * v_dim]. */
void td_attention_forward(td_step *step, int i_layer, const td_attention_spec *spec, const float *q,
                          float *out);

#endif
