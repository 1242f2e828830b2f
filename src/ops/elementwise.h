/* elementwise.h - embedding rows, norms and the small steps between the products, over the rows of
 * a batch. */
#ifndef TD_OPS_ELEMENTWISE_H
#define TD_OPS_ELEMENTWISE_H

#include "ops/step.h"
#include "tensor/tensor.h"

typedef enum td_norm_kind { TD_NORM_RMS, TD_NORM_LAYER } td_norm_kind;

/* A bound norm over rows of n.  n of 0: the module is absent.  Lifetime: model. */
typedef struct td_norm {
    td_norm_kind kind;
    const float *weight; /* owned by the model's arena; [n_set][n], or NULL: ones */
    const float *bias;   /* owned by the model's arena; [n], or NULL: zeros; of TD_NORM_LAYER */
    int n;
    int n_set; /* row i uses set i % n_set: heads with weights of their own; else 1 */
    float eps;
} td_norm;

/* y[i] = row token[i] of the table {n_embd, n_vocab}, which has no source, dequantized, times
 * scale.
 */
void td_embed_forward(td_step *step, const td_tensor *table, float scale, float *y);

/* y[i] += row position[i] of the table {n_embd, n_ctx}, which has no source. */
void td_position_forward(td_step *step, const td_tensor *table, float *y);

/* y = norm(x) for m rows of norm->n; y may be x. */
void td_norm_forward(td_step *step, const td_norm *norm, const float *x, float *y, int m);

/* y += x over m rows of n. */
void td_add_forward(td_step *step, float *y, const float *x, int m, int n);

/* y *= c over m rows of n. */
void td_scale_forward(td_step *step, float *y, float c, int m, int n);

/* x = x within [-limit, limit] over m rows of n; NaN stays. */
void td_clip_forward(td_step *step, float *x, int m, int n, float limit);

/* x = cap * tanh(x / cap) over m rows of n. */
void td_softcap_forward(td_step *step, float *x, int m, int n, float cap);

typedef enum td_activation {
    TD_ACTIVATION_SILU,
    TD_ACTIVATION_GELU_TANH, /* gelu by tanh: "gelu_new", "gelu_pytorch_tanh" */
    TD_ACTIVATION_GELU,      /* gelu by erf */
    TD_ACTIVATION_RELU
} td_activation;

/* gate = act(gate) * up over m rows of n; up NULL: gate = act(gate). */
void td_glu_forward(td_step *step, td_activation act, float *gate, const float *up, int m, int n);

/* Queries grow with their position: times 1 + scale * log(1 + floor((position + 1) / every)) (Llama
 * 4).  every 0: they do not. */
typedef struct td_temperature {
    int every;
    float scale;
} td_temperature;

/* Scales each token's row of n. */
void td_temperature_forward(td_step *step, const td_temperature *temperature, float *q, int n);

/* The bounded SwiGLU of gpt-oss: down(g sigmoid(alpha g) (u + 1)) with g = min(gate, limit), u = up
 * within -limit to limit.  limit 0: the usual one. */
typedef struct td_glu_bounds {
    float alpha, limit;
} td_glu_bounds;

/* Prepares m rows of n for td_glu_forward with TD_ACTIVATION_SILU: gate = alpha g, up = (u + 1) /
 * alpha. */
void td_glu_bound_forward(td_step *step, const td_glu_bounds *bounds, float *gate, float *up, int m,
                          int n);

/* Scales each of n_head heads of x [m][n_head * head_dim] by the sigmoid of its gate [m][n_head].
 */
void td_head_gate_forward(td_step *step, const float *gate, float *x, int n_head, int head_dim);

#endif
