/* rope.h - rotary position embedding (Su et al., arXiv 2104.09864) and its scalings. */
#ifndef TD_OPS_ROPE_H
#define TD_OPS_ROPE_H

#include "ops/step.h"

typedef enum td_rope_scaling {
    TD_ROPE_PLAIN,
    TD_ROPE_LINEAR, /* positions divided by factor */
    TD_ROPE_LLAMA3, /* Llama 3.1: low frequencies divided by factor, high ones kept, a ramp between
                     */
    TD_ROPE_YARN,   /* Peng et al., arXiv 2309.00071 */
    TD_ROPE_LONG    /* LongRoPE, arXiv 2402.13753: divisors per frequency, others past original */
} td_rope_scaling;

/* What a configuration says.  A rope is computed from it in double and rounded once. */
typedef struct td_rope_config {
    td_rope_scaling scaling;
    double theta, factor;
    double original;                          /* context before scaling; all but linear */
    double low_freq_factor, high_freq_factor; /* Llama 3 */
    double beta_fast, beta_slow;              /* YaRN */
    bool truncate;           /* YaRN: the ramp begins and ends at whole dimensions */
    double attention_factor; /* multiplies cosine and sine; 1: none */
} td_rope_config;

/* One set of frequencies.  Lifetime: model. */
typedef struct td_rope {
    int n_rot;                  /* rotated dimensions at the start of each head; even; 0: no rope */
    bool neox;                  /* pairs (i, i + n_rot / 2), else (2i, 2i + 1) */
    const float *inv_freq;      /* owned by the model's arena; [n_rot / 2] */
    const float *inv_freq_long; /* the same, for sequences longer than n_original; NULL: none */
    int n_original;
    float attention_factor; /* multiplies cosine and sine */
} td_rope;

/* Fills inv_freq[n_rot / 2].  divisors: [n_rot / 2] as in GGUF's rope_freqs.weight, or NULL. */
void td_rope_frequencies(float *inv_freq, int n_rot, const td_rope_config *config,
                         const float *divisors);

/* cs[i][n_rot / 2][2] = cosine and sine of position * inv_freq (the product in f32, as transformers
 * has it), times the attention factor, for every token of the batch. */
void td_rope_table(td_step *step, const td_rope *rope, float *cs);

/* Rotates all n_head heads of x [batch n][n_head * head_dim] in place with a table from
 * td_rope_table. */
void td_rope_forward(td_step *step, const td_rope *rope, const float *cs, float *x, int n_head,
                     int head_dim);

#endif
