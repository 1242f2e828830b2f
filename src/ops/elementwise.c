/* elementwise.c - rows over threads; a few rows are not worth waking anybody. */
#include "ops/elementwise.h"

#include <math.h>

#include "kernel/ref/exp.h"
#include "tensor/quantize.h"

enum { ROWS_PER_PIECE = 8, CAP_PIECE = 4096 };

typedef struct rows_job {
    const td_step *step;
    const td_tensor *table;
    const td_norm *norm;
    td_glu_fn *glu;
    const float *up;
    float scale; /* or cap, or limit */
    float *y;
    const float *x;
    int n;
} rows_job;

static void embed_rows(void *context, int begin, int end, int i_thread) {
    (void)i_thread;
    const rows_job *job = context;
    for (int i = begin; i < end; i++) {
        float *y = job->y + (ptrdiff_t)i * job->n;
        const uint8_t *row = td_tensor_row(job->table, job->step->batch->token[i], NULL);
        td_dequantize_row(job->table->dtype, row, y, (size_t)job->n);
        if (job->scale != 1.0f) job->step->kernels->scale(y, job->scale, job->n);
    }
}

void td_embed_forward(td_step *step, const td_tensor *table, float scale, float *y) {
    rows_job job = {.step = step, .table = table, .scale = scale, .y = y, .n = (int)table->ne[0]};
    td_pool_run(step->pool, step->batch->n, ROWS_PER_PIECE, embed_rows, &job);
}

/* Learned positions come from small tables of plain floats: one element at a time will do. */
static void position_rows(void *context, int begin, int end, int i_thread) {
    (void)i_thread;
    const rows_job *job = context;
    const size_t size = (size_t)td_dtype_get_info((int)job->table->dtype)->block_bytes;
    for (int i = begin; i < end; i++) {
        float *y = job->y + (ptrdiff_t)i * job->n;
        const uint8_t *row = td_tensor_row(job->table, job->step->batch->position[i], NULL);
        for (int j = 0; j < job->n; j++) {
            float p;
            td_dequantize_row(job->table->dtype, row + (size_t)j * size, &p, 1);
            y[j] += p;
        }
    }
}

void td_position_forward(td_step *step, const td_tensor *table, float *y) {
    rows_job job = {.step = step, .table = table, .y = y, .n = (int)table->ne[0]};
    td_pool_run(step->pool, step->batch->n, ROWS_PER_PIECE, position_rows, &job);
}

static void norm_rows(void *context, int begin, int end, int i_thread) {
    (void)i_thread;
    const rows_job *job = context;
    const td_norm *norm = job->norm;
    for (int i = begin; i < end; i++) {
        const ptrdiff_t at = (ptrdiff_t)i * job->n;
        const float *w = norm->weight ? norm->weight + i % norm->n_set * norm->n : NULL;
        if (norm->kind == TD_NORM_RMS)
            job->step->kernels->rms_norm(job->y + at, job->x + at, w, norm->n, norm->eps);
        else
            job->step->kernels->layer_norm(job->y + at, job->x + at, w, norm->bias, norm->n,
                                           norm->eps);
    }
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

static void scale_rows(void *context, int begin, int end, int i_thread) {
    (void)i_thread;
    const rows_job *job = context;
    for (int i = begin; i < end; i++)
        job->step->kernels->scale(job->y + (ptrdiff_t)i * job->n, job->scale, job->n);
}

void td_scale_forward(td_step *step, float *y, float c, int m, int n) {
    if (c == 1.0f) return;
    rows_job job = {.step = step, .scale = c, .y = y, .n = n};
    td_pool_run(step->pool, m, ROWS_PER_PIECE, scale_rows, &job);
}

static void clip_rows(void *context, int begin, int end, int i_thread) {
    (void)i_thread;
    const rows_job *job = context;
    const float limit = job->scale;
    for (ptrdiff_t i = (ptrdiff_t)begin * job->n; i < (ptrdiff_t)end * job->n; i++) {
        if (job->y[i] > limit) job->y[i] = limit;
        if (job->y[i] < -limit) job->y[i] = -limit;
    }
}

void td_clip_forward(td_step *step, float *x, int m, int n, float limit) {
    rows_job job = {.step = step, .y = x, .n = n, .scale = limit};
    td_pool_run(step->pool, m, ROWS_PER_PIECE, clip_rows, &job);
}

static void glu_rows(void *context, int begin, int end, int i_thread) {
    (void)i_thread;
    const rows_job *job = context;
    for (int i = begin; i < end; i++) {
        float *gate = job->y + (ptrdiff_t)i * job->n;
        job->glu(gate, gate, job->up ? job->up + (ptrdiff_t)i * job->n : NULL, job->n);
    }
}

/* Exact in any order: no kernel of an instruction set is needed. */
static void reglu(float *y, const float *gate, const float *up, int n) {
    for (int i = 0; i < n; i++) y[i] = (gate[i] < 0 ? 0 : gate[i]) * (up ? up[i] : 1);
}

void td_glu_forward(td_step *step, td_activation act, float *gate, const float *up, int m, int n) {
    const td_kernels *k = step->kernels;
    rows_job job = {.step = step, .y = gate, .up = up, .n = n};
    job.glu = act == TD_ACTIVATION_SILU        ? k->swiglu
              : act == TD_ACTIVATION_GELU_TANH ? k->geglu_tanh
              : act == TD_ACTIVATION_RELU      ? reglu
                                               : k->geglu;
    td_pool_run(step->pool, m, ROWS_PER_PIECE, glu_rows, &job);
}

typedef struct temperature_job {
    const td_step *step;
    td_temperature temperature;
    float *q;
    int n;
} temperature_job;

static void warm_rows(void *context, int begin, int end, int i_thread) {
    (void)i_thread;
    const temperature_job *job = context;
    for (int i = begin; i < end; i++) {
        const int64_t step = ((int64_t)job->step->batch->position[i] + 1) / job->temperature.every;
        const double factor = 1 + (double)job->temperature.scale * log1p((double)step);
        job->step->kernels->scale(job->q + (ptrdiff_t)i * job->n, (float)factor, job->n);
    }
}

void td_temperature_forward(td_step *step, const td_temperature *temperature, float *q, int n) {
    temperature_job job = {step, *temperature, q, n};
    td_pool_run(step->pool, step->batch->n, ROWS_PER_PIECE, warm_rows, &job);
}

typedef struct bound_job {
    td_glu_bounds bounds;
    float *gate, *up;
    int n;
} bound_job;

/* A NaN stays one. */
static void bound_rows(void *context, int begin, int end, int i_thread) {
    (void)i_thread;
    const bound_job *job = context;
    const float alpha = job->bounds.alpha, limit = job->bounds.limit;
    for (ptrdiff_t i = (ptrdiff_t)begin * job->n; i < (ptrdiff_t)end * job->n; i++) {
        const float g = job->gate[i] > limit ? limit : job->gate[i];
        float u = job->up[i] > limit ? limit : job->up[i];
        if (u < -limit) u = -limit;
        job->gate[i] = alpha * g;
        job->up[i] = (u + 1) / alpha;
    }
}

void td_glu_bound_forward(td_step *step, const td_glu_bounds *bounds, float *gate, float *up, int m,
                          int n) {
    bound_job job = {*bounds, gate, up, n};
    td_pool_run(step->pool, m, ROWS_PER_PIECE, bound_rows, &job);
}

/* Pieces of CAP_PIECE elements: a row of logits is long enough for all threads. */
static void cap_pieces(void *context, int begin, int end, int i_thread) {
    (void)i_thread;
    const rows_job *job = context;
    const int pieces_per_row = (job->n + CAP_PIECE - 1) / CAP_PIECE;
    for (int i = begin; i < end; i++) {
        const int at = i % pieces_per_row * CAP_PIECE;
        const int n = job->n - at < CAP_PIECE ? job->n - at : CAP_PIECE;
        job->step->kernels->softcap(job->y + (ptrdiff_t)(i / pieces_per_row) * job->n + at, n,
                                    job->scale);
    }
}

void td_softcap_forward(td_step *step, float *x, int m, int n, float cap) {
    rows_job job = {.step = step, .y = x, .n = n, .scale = cap};
    td_pool_run(step->pool, m * ((n + CAP_PIECE - 1) / CAP_PIECE), 1, cap_pieces, &job);
}

static void gate_rows(void *context, int begin, int end, int i_thread) {
    (void)i_thread;
    const rows_job *job = context;
    for (int i = begin; i < end; i++)
        job->step->kernels->scale(job->y + (ptrdiff_t)i * job->n,
                                  1.0f / (1.0f + td_exp(-job->x[i])), job->n);
}

void td_head_gate_forward(td_step *step, const float *gate, float *x, int n_head, int head_dim) {
    rows_job job = {.step = step, .y = x, .x = gate, .n = head_dim};
    td_pool_run(step->pool, step->batch->n * n_head, ROWS_PER_PIECE, gate_rows, &job);
}
