/* elementwise.c - rows over threads; a few rows are not worth waking anybody. */
#include "ops/elementwise.h"

#include "tensor/quantize.h"

enum { ROWS_PER_PIECE = 8 };

typedef struct rows_job {
    const td_step *step;
    const td_tensor *table;
    const td_norm *norm;
    td_glu_fn *glu;
    float scale;
    float *y;
    const float *x;
    int n;
} rows_job;

static void embed_rows(void *context, int begin, int end, int i_thread) {
    (void)i_thread;
    const rows_job *job = context;
    const size_t row_bytes = job->table->n_bytes / (size_t)td_tensor_rows(job->table);
    for (int i = begin; i < end; i++) {
        float *y = job->y + (ptrdiff_t)i * job->n;
        td_dequantize_row(job->table->dtype,
                          job->table->data + (size_t)job->step->batch->token[i] * row_bytes, y,
                          (size_t)job->n);
        if (job->scale != 1.0f) job->step->kernels->scale(y, job->scale, job->n);
    }
}

void td_embed_forward(td_step *step, const td_tensor *table, float scale, float *y) {
    rows_job job = {.step = step, .table = table, .scale = scale, .y = y, .n = (int)table->ne[0]};
    td_pool_run(step->pool, step->batch->n, ROWS_PER_PIECE, embed_rows, &job);
}

static void norm_rows(void *context, int begin, int end, int i_thread) {
    (void)i_thread;
    const rows_job *job = context;
    for (int i = begin; i < end; i++)
        job->step->kernels->rms_norm(job->y + (ptrdiff_t)i * job->n, job->x + (ptrdiff_t)i * job->n,
                                     job->norm->weight, job->n, job->norm->eps);
}

void td_norm_forward(td_step *step, const td_norm *norm, const float *x, float *y, int m) {
    rows_job job = {.step = step, .norm = norm, .x = x, .y = y, .n = norm->n};
    td_pool_run(step->pool, m, ROWS_PER_PIECE, norm_rows, &job);
}

static void add_rows(void *context, int begin, int end, int i_thread) {
    (void)i_thread;
    const rows_job *job = context;
    for (int i = begin; i < end; i++)
        job->step->kernels->add(job->y + (ptrdiff_t)i * job->n, job->x + (ptrdiff_t)i * job->n,
                                job->n);
}

void td_add_forward(td_step *step, float *y, const float *x, int m, int n) {
    rows_job job = {.step = step, .x = x, .y = y, .n = n};
    td_pool_run(step->pool, m, ROWS_PER_PIECE, add_rows, &job);
}

static void glu_rows(void *context, int begin, int end, int i_thread) {
    (void)i_thread;
    const rows_job *job = context;
    for (int i = begin; i < end; i++) {
        float *gate = job->y + (ptrdiff_t)i * job->n;
        job->glu(gate, gate, job->x + (ptrdiff_t)i * job->n, job->n);
    }
}

void td_glu_forward(td_step *step, td_activation act, float *gate, const float *up, int m, int n) {
    rows_job job = {.step = step, .y = gate, .x = up, .n = n};
    job.glu = act == TD_ACTIVATION_SILU ? step->kernels->swiglu : step->kernels->geglu_tanh;
    td_pool_run(step->pool, m, ROWS_PER_PIECE, glu_rows, &job);
}
