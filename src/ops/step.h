/* step.h - what every operator of one forward pass needs: kernels, workers, scratch, the batch and
 * its state.
 *
 * The scratch is sized when the engine is made (td_step_scratch_init), so a step allocates nothing.
 */
#ifndef TD_OPS_STEP_H
#define TD_OPS_STEP_H

#include <stdatomic.h>

#include "base/arena.h"
#include "format/checkpoint.h"
#include "kernel/kernels.h"
#include "kernel/pack.h"
#include "ops/batch.h"
#include "runtime/pool.h"

typedef struct td_kv_cache td_kv_cache;

/* Called with each named intermediate result, float32 [m][n]; see td_step_dump. */
typedef void td_dump_fn(void *user, const char *name, const float *x, int m, int n);

/* Lifetime: session; batch is set anew for each step.  Used by the engine thread only. */
typedef struct td_step {
    const td_kernels *kernels;
    td_pool *pool;         /* borrowed */
    td_kv_cache *kv;       /* borrowed */
    const td_batch *batch; /* borrowed; of this step */
    const atomic_int
        *cancel;      /* not 0: stop at the next layer; pairs with td_engine_cancel's store */
    td_dump_fn *dump; /* NULL: no dump */
    void *dump_user;
    uint64_t *expert_counts; /* borrowed; [n_layer][n_expert] how often each was chosen; NULL: not
                                wanted */
    const td_checkpoint *read_ahead; /* borrowed; where experts that stay in the file are; NULL:
                                        none do */

    /* scratch, in an arena of the engine */
    int k_max;   /* the widest input of a linear */
    int8_t *q;   /* [n_act] quantized activations, one form at a time */
    float *d;    /* [n_act / 32] */
    int16_t *s;  /* [n_act / 16] */
    float *tile; /* [n_thread][2 * TD_PANEL * k_max] dequantized weights */
} td_step;

/* Bytes that td_step_scratch_init takes from an arena; n_act: the most elements of an input. */
td_status td_step_scratch_bytes(size_t *out, size_t n_act, int k_max, int n_thread, td_err *err);
/* Takes the scratch out of the arena, which must have that much left. */
td_status td_step_scratch_init(td_step *step, td_arena *arena, size_t n_act, int k_max,
                               td_err *err);

/* The scratch of a thread: 2 * TD_PANEL * k_max floats. */
static inline float *td_step_tile(const td_step *step, int i_thread) {
    return step->tile + (size_t)i_thread * 2 * TD_PANEL * (size_t)step->k_max;
}

/* TD_ERR_CANCELLED if the step was cancelled; called once per layer. */
td_status td_step_check(const td_step *step, td_err *err);

/* Hands x [m][n] to the dump sink under "layers.<i_layer>.<what>" (i_layer < 0: just what). */
void td_step_dump(const td_step *step, int i_layer, const char *what, const float *x, int m, int n);

#endif
