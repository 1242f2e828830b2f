/* attention_int.h - the running softmax that the forms of attention share. */
#ifndef TD_OPS_ATTENTION_INT_H
#define TD_OPS_ATTENTION_INT_H

#include "kernel/kernels.h"

/* Over the blocks seen so far: their maximum, and the sum of e(score - max). */
typedef struct td_softmax {
    float max, sum;
} td_softmax;

/* Takes a block of n scores in, which become weights e(score - max) for the block's values;
 * acc[n_acc], what the blocks before have added up to, is made relative to the new maximum. */
static inline void td_softmax_block(const td_kernels *kernels, td_softmax *s, float *p, int n,
                                    float *acc, int n_acc) {
    const float block_max = kernels->max(p, n);
    if (block_max > s->max) {
        float factor = s->max;
        kernels->exp_sum(&factor, 1, block_max);
        s->sum *= factor;
        kernels->scale(acc, factor, n_acc);
        s->max = block_max;
    }
    s->sum += kernels->exp_sum(p, n, s->max);
}

#endif
