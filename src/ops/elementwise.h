/* elementwise.h - embedding rows, norms and the small steps between the products, over the rows of
 * a batch. */
#ifndef TD_OPS_ELEMENTWISE_H
#define TD_OPS_ELEMENTWISE_H

#include "ops/step.h"
#include "tensor/tensor.h"

/* A bound RMS norm.  Lifetime: model. */
typedef struct td_norm {
    const float *weight; /* owned by the model's arena; [n] */
    int n;
    float eps;
} td_norm;

/* y[i] = row token[i] of the table {n_embd, n_vocab}, dequantized, times scale. */
void td_embed_forward(td_step *step, const td_tensor *table, float scale, float *y);

/* y = rms_norm(x) for m rows of norm->n; y may be x. */
void td_norm_forward(td_step *step, const td_norm *norm, const float *x, float *y, int m);

/* y += x over m rows of n. */
void td_add_forward(td_step *step, float *y, const float *x, int m, int n);

typedef enum td_activation { TD_ACTIVATION_SILU, TD_ACTIVATION_GELU_TANH } td_activation;

/* gate = act(gate) * up over m rows of n. */
void td_glu_forward(td_step *step, td_activation act, float *gate, const float *up, int m, int n);

#endif
