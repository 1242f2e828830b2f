/* experts.h - the routed experts of a layer: many MLPs of one shape, of which each token takes a
 * few.
 *
 *     y = sum over slots j of weight[j] * down_e(act(gate_e(x)) * up_e(x)),  e = chosen[j]
 *
 * A grouped matrix product: the batch's rows are gathered by expert, each expert's matrices are
 * read once, and what its rows give is added up per token in the order of the slots, so that a
 * token's result does not depend on the batch. */
#ifndef TD_OPS_EXPERTS_H
#define TD_OPS_EXPERTS_H

#include "ops/elementwise.h"
#include "ops/linear.h"

/* Lifetime: model.  n_expert 0: the module is absent. */
typedef struct td_experts {
    int n_expert, n_used; /* of all; of one token */
    int n_embd, n_ff;     /* outer and inner width */
    td_linear *gate, *up; /* owned by the model's arena; [n_expert] of n_ff outputs */
    td_linear *down;      /* owned by the model's arena; [n_expert] of n_embd outputs */
    td_activation activation;
    td_glu_bounds bounds; /* of gate and up */
    bool weigh_input;     /* the weight multiplies x before the expert, not its output (Llama 4) */
} td_experts;

/* What the widest layer of a model needs. */
typedef struct td_experts_sizes {
    int n_expert, n_used, n_embd, n_ff;
} td_experts_sizes;

/* Scratch of one layer at a time.  A pair is a token and one of its slots; pairs are sorted by
 * expert.  Lifetime: session. */
typedef struct td_experts_work {
    int *first;           /* [n_expert + 1] where each expert's pairs begin */
    int *pair_of;         /* [token][slot] its place among the sorted pairs */
    int *token_of;        /* [pair] */
    td_product *products; /* [2 * n_expert] */
    int8_t *q;            /* [pair][n_embd], gathered activations */
    float *d;             /* [pair][n_embd / 32] */
    int16_t *s;           /* [pair][n_embd / 16] */
    float *x;             /* [pair][n_embd], in float where they are wanted so; then the outputs */
    float *gate, *up;     /* [pair][n_ff] */
} td_experts_work;

/* Bytes that td_experts_work_init takes from an arena, and the taking, for m_max tokens. */
td_status td_experts_work_bytes(size_t *out, const td_experts_sizes *sizes, int m_max, td_err *err);
td_status td_experts_work_init(td_experts_work *work, td_arena *arena,
                               const td_experts_sizes *sizes, int m_max, td_err *err);

/* chosen, weight: [in->m][n_used].  y: [in->m][n_embd], not in->x.  The step's scratch must have
 * room for in->m * n_used rows of n_ff. */
void td_experts_forward(td_step *step, const td_experts *experts, td_experts_work *work,
                        td_input *in, const int32_t *chosen, const float *weight, float *y);

#endif
