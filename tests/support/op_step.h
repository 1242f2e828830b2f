/* op_step.h - what tests of single operators need: a step with its threads, kernels and scratch,
 * and linears whose weights are known.  For tests: what goes wrong ends the program with a message.
 */
#ifndef TD_SUPPORT_OP_STEP_H
#define TD_SUPPORT_OP_STEP_H

#include "base/arena.h"
#include "ops/linear.h"

/* The batch and the cache of the step are the test's to set. */
typedef struct op_step {
    td_kernels kernels;
    td_arena arena; /* for whatever shall live as long */
    td_step step;
} op_step;

/* n_act: the most elements of an input of linears; k_max: the widest such input. */
op_step *op_step_start(int n_thread, unsigned cpu_flags, size_t n_act, int k_max);
void op_step_stop(op_step *o);

/* From -1 to 1, by a generator that is the same everywhere. */
float op_random(uint64_t *state);
/* From 0 to n - 1. */
int op_random_int(uint64_t *state, int n);
void op_random_fill(float *x, size_t n, float scale, uint64_t *state);

/* The gamma of n roundings: they change a sum of products by at most that times the sum of its
 * absolute values (Higham, Accuracy and Stability of Numerical Algorithms, lemma 3.1). */
double op_gamma(int n);

/* A matrix of n rows of k.  A weight is the sum of a part or two, each of which enters the sums of
 * a kernel on its own, so that |part| + |part| is what a rounding there is relative to. */
typedef struct op_weight {
    td_tensor tensor;
    uint8_t *blocks; /* owned */
    float *values;   /* owned; [n][k] what the blocks stand for */
    float *parts;    /* owned; [n][k] the parts' absolute values added up */
    int n, k;
} op_weight;

/* values: [n][k], or NULL for random ones; types that nothing quantizes get random blocks. */
void op_weight_make(op_weight *w, td_dtype dtype, int n, int k, const float *values,
                    uint64_t *state);
void op_weight_clear(op_weight *w);

typedef enum op_place {
    OP_EXACT, /* dequantized and multiplied in float32 */
    OP_MAPPED,
    OP_PACKED,
    OP_N_PLACE
} op_place;

/* A linear of the weight, which is borrowed; a packed form lives in the arena of o. */
td_linear op_linear(const op_weight *w, const float *bias, op_place place, op_step *o);

#endif
