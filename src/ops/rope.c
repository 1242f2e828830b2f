/* rope.c - frequencies, tables and their application. */
#include "ops/rope.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

/* Factors that are equal (Llama 4) make the ramp a step. */
static double llama3(const td_rope_config *c, double f) {
    const double wavelength = 2 * pi / f;
    const double ramp = (c->original / wavelength - c->low_freq_factor) /
                        (c->high_freq_factor - c->low_freq_factor);
    const double keep = fmin(fmax(ramp, 0), 1);
    return keep * f + (1 - keep) * f / c->factor;
}

/* The dimension that turns `rotations` times over the original context. */
static double yarn_dimension(const td_rope_config *c, int n_rot, double rotations) {
    return n_rot * log(c->original / (rotations * 2 * pi)) / (2 * log(c->theta));
}

static double yarn(const td_rope_config *c, int n_rot, int i, double f) {
    double low = yarn_dimension(c, n_rot, c->beta_fast);
    double high = yarn_dimension(c, n_rot, c->beta_slow);
    if (c->truncate) low = floor(low), high = ceil(high);
    low = fmax(low, 0);
    high = fmin(high, n_rot - 1);
    if (low == high) high += 0.001; /* as transformers has it */
    const double ramp = fmin(fmax((i - low) / (high - low), 0), 1);
    return f * (1 - ramp) + f / c->factor * ramp;
}

void td_rope_frequencies(float *inv_freq, int n_rot, const td_rope_config *c,
                         const float *divisors) {
    for (int i = 0; i < n_rot / 2; i++) {
        double f = pow(c->theta, -2.0 * i / n_rot);
        if (c->scaling == TD_ROPE_LINEAR) f /= c->factor;
        if (c->scaling == TD_ROPE_LLAMA3) f = llama3(c, f);
        if (c->scaling == TD_ROPE_YARN) f = yarn(c, n_rot, i, f);
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
    const td_rope *rope = job->rope;
    const td_batch *batch = job->step->batch;
    for (int i = begin; i < end; i++) {
        float *cs = job->cs + (ptrdiff_t)i * rope->n_rot;
        const bool is_long = rope->inv_freq_long && batch->length[i] > rope->n_original;
        const float *inv_freq = is_long ? rope->inv_freq_long : rope->inv_freq;
        for (int j = 0; j < rope->n_rot / 2; j++) {
            const float angle = (float)batch->position[i] * inv_freq[j];
            cs[2 * j] = (float)cos((double)angle) * rope->attention_factor;
            cs[2 * j + 1] = (float)sin((double)angle) * rope->attention_factor;
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
