/* attention.h - softmax(scale q k) v against the paged KV cache, grouped queries, causal, with or
 * without a window.
 *
 * The softmax runs over pages, that is over blocks of absolute positions, with a running maximum
 * (Milakov and Gimelshein, arXiv 1805.02867): what a token computes does not depend on how its
 * prompt was cut into batches. */
#ifndef TD_OPS_ATTENTION_H
#define TD_OPS_ATTENTION_H

#include "ops/kv_cache.h"

/* Keys and values of the batch must have been written.  q, out: [batch n][n_head * head_dim]. */
void td_attention_forward(td_step *step, int i_layer, int n_head, float scale, const float *q,
                          float *out);

#endif
