/* rope.h - rotary position embedding (Su et al., arXiv 2104.09864) and its scalings. */
#ifndef TD_OPS_ROPE_H
#define TD_OPS_ROPE_H

#include "ops/step.h"

/* One set of frequencies.  Lifetime: model. */
typedef struct td_rope {
    int n_rot;             /* rotated dimensions at the start of each head; even */
    bool neox;             /* pairs (i, i + n_rot / 2), else (2i, 2i + 1) */
    const float *inv_freq; /* owned by the model's arena; [n_rot / 2] */
} td_rope;

/* inv_freq[i] = theta^(-2i / n_rot) / factor / divisors[i], computed in double and rounded once.
 * divisors: [n_rot / 2] as in GGUF's rope_freqs.weight, or NULL; factor: linear scaling, 1 for
 * none. */
void td_rope_frequencies(float *inv_freq, int n_rot, double theta, double factor,
                         const float *divisors);

/* cs[i][n_rot / 2][2] = cosine and sine of position * inv_freq (the product in f32, as transformers
 * has it) for every token of the batch. */
void td_rope_table(td_step *step, const td_rope *rope, float *cs);

/* Rotates all n_head heads of x [batch n][n_head * head_dim] in place with a table from
 * td_rope_table. */
void td_rope_forward(td_step *step, const td_rope *rope, const float *cs, float *x, int n_head,
                     int head_dim);

#endif
