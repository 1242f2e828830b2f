/* rope.c - frequencies, tables and their application. */
#include "ops/rope.h"

#include <math.h>

void td_rope_frequencies(float *inv_freq, int n_rot, double theta, double factor,
                         const float *divisors) {
    for (int i = 0; i < n_rot / 2; i++) {
        const double f = pow(theta, -2.0 * i / n_rot) / factor;
        inv_freq[i] = (float)(divisors ? f / (double)divisors[i] : f);
    }
}

typedef struct rope_job {
    const td_step *step;
    const td_rope *rope;
    float *cs; /* [n][n_rot / 2][2] */
    float *x;
    int n_head, head_dim;
} rope_job;

static void table_rows(void *context, int begin, int end, int i_thread) {
    (void)i_thread;
    const rope_job *job = context;
    for (int i = begin; i < end; i++) {
        float *cs = job->cs + (ptrdiff_t)i * job->rope->n_rot;
        for (int j = 0; j < job->rope->n_rot / 2; j++) {
            const float angle = (float)job->step->batch->position[i] * job->rope->inv_freq[j];
            cs[2 * j] = (float)cos((double)angle);
            cs[2 * j + 1] = (float)sin((double)angle);
        }
    }
}

void td_rope_table(td_step *step, const td_rope *rope, float *cs) {
    rope_job job = {.step = step, .rope = rope, .cs = cs};
    td_pool_run(step->pool, step->batch->n, 8, table_rows, &job);
}

static void rotate_rows(void *context, int begin, int end, int i_thread) {
    (void)i_thread;
    const rope_job *job = context;
    for (int i = begin; i < end; i++) {
        const float *cs = job->cs + (ptrdiff_t)i * job->rope->n_rot;
        for (int h = 0; h < job->n_head; h++)
            job->step->kernels->rope(job->x + ((ptrdiff_t)i * job->n_head + h) * job->head_dim, cs,
                                     job->rope->n_rot, job->rope->neox);
    }
}

void td_rope_forward(td_step *step, const td_rope *rope, const float *cs, float *x, int n_head,
                     int head_dim) {
    /* The job is shared by threads that only read it; cs loses its const on the way in, not on use.
     */
    rope_job job = {step, rope, (float *)(uintptr_t)cs, x, n_head, head_dim};
    td_pool_run(step->pool, step->batch->n, 8, rotate_rows, &job);
}
