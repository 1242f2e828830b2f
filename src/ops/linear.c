/* linear.c - quantizing the input, splitting the outputs over the threads, choosing the path. */
#include "ops/linear.h"

#include <string.h>

#include "kernel/pack.h"
#include "tensor/quantize.h"

static const td_gemm_impl *gemm_of(const td_linear *l, const td_kernels *kernels) {
    const td_gemm_impl *impl = &kernels->gemm[l->weight->dtype];
    return impl->run ? impl : NULL;
}

static int n_panel_of(const td_linear *l) { return (l->n + TD_PANEL - 1) / TD_PANEL; }

/* ---- packing ---- */

size_t td_linear_packed_bytes(const td_linear *l, const td_kernels *kernels) {
    if (!gemm_of(l, kernels)) return 0;
    return (size_t)n_panel_of(l) * td_pack_panel_bytes(l->weight->dtype, (size_t)l->k);
}

/* The scratch of a thread: 2 * TD_PANEL * k_max floats. */
static float *tile_of(const td_step *step, int i_thread) {
    return step->tile + (size_t)i_thread * 2 * TD_PANEL * (size_t)step->k_max;
}

typedef struct pack_job {
    const td_step *step;
    const td_linear *linear;
    uint8_t *dst;
} pack_job;

/* n_row rows from `first` on, one after the other: where they lie in the file, or gathered. */
static const uint8_t *rows_of(const td_tensor *w, int first, int n_row, uint8_t *scratch) {
    const size_t row_bytes = td_tensor_row_bytes(w);
    if (!w->source && !w->map.group) return td_tensor_row(w, first, NULL);
    for (int i = 0; i < n_row; i++) {
        uint8_t *to = scratch + (size_t)i * row_bytes;
        const uint8_t *row = td_tensor_row(w, first + i, to);
        if (row != to) memcpy(to, row, row_bytes);
    }
    return scratch;
}

static void pack_panels(void *context, int begin, int end, int i_thread) {
    const pack_job *job = context;
    const td_tensor *w = job->linear->weight;
    const size_t k = (size_t)job->linear->k, panel_bytes = td_pack_panel_bytes(w->dtype, k);
    uint8_t *scratch = (uint8_t *)tile_of(job->step, i_thread);
    for (int p = begin; p < end; p++) {
        const int first = p * TD_PANEL, left = job->linear->n - first;
        const int n_row = left < TD_PANEL ? left : TD_PANEL;
        td_pack_panel(w->dtype, rows_of(w, first, n_row, scratch), td_tensor_row_bytes(w), n_row, k,
                      job->dst + (size_t)p * panel_bytes);
    }
}

void td_linear_pack(td_linear *l, td_step *step, uint8_t *dst) {
    pack_job job = {step, l, dst};
    td_pool_run(step->pool, n_panel_of(l), 4, pack_panels, &job);
    l->packed = dst;
    l->impl = gemm_of(l, step->kernels);
}

/* ---- input ---- */

td_input td_input_of(const float *x, int m, int k) {
    return (td_input){
        .x = x, .m = m, .k = k, .type = TD_ACT_F32, .act = {.x = x, .ldx = k}
    };
}

typedef struct quantize_job {
    td_quantize_act_fn *fn;
    const td_input *in;
    int8_t *q;
    float *d;
    int16_t *s;
} quantize_job;

static void quantize_rows(void *context, int begin, int end, int i_thread) {
    (void)i_thread;
    const quantize_job *job = context;
    const td_act *a = &job->in->act;
    for (int i = begin; i < end; i++)
        job->fn(job->in->x + (ptrdiff_t)i * job->in->k, job->in->k, job->q + i * a->ldq,
                job->d + i * a->ldd, job->s + i * a->lds);
}

/* Makes the form `type` of the input, unless it is there already. */
static void input_prepare(td_step *step, td_input *in, td_act_type type) {
    if (type == TD_ACT_F32 || in->type == type) return;
    const int block = type == TD_ACT_Q8_32 ? 32 : 256, group = type == TD_ACT_Q8_32 ? 32 : 16;
    in->type = type;
    in->act = (td_act){.x = in->x,
                       .ldx = in->k,
                       .q = step->q,
                       .d = step->d,
                       .s = step->s,
                       .ldq = in->k,
                       .ldd = in->k / block,
                       .lds = in->k / group};
    quantize_job job = {step->kernels->quantize_act[type], in, step->q, step->d, step->s};
    td_pool_run(step->pool, in->m, 4, quantize_rows, &job);
}

/* ---- product ---- */

typedef struct gemm_job {
    const td_step *step;
    const td_linear *linear;
    const td_input *in;
    float *y;
    ptrdiff_t ldy;
} gemm_job;

static void add_bias(const gemm_job *job, int first, int n) {
    if (!job->linear->bias) return;
    for (int i = 0; i < job->in->m; i++)
        job->step->kernels->add(job->y + i * job->ldy + first, job->linear->bias + first, n);
}

static int outputs_left(const td_linear *l, int first, int n_panel) {
    const int n = n_panel * TD_PANEL;
    return l->n - first < n ? l->n - first : n;
}

static void packed_panels(void *context, int begin, int end, int i_thread) {
    (void)i_thread;
    const gemm_job *job = context;
    const td_linear *l = job->linear;
    const int first = begin * TD_PANEL, n = outputs_left(l, first, end - begin);
    const td_gemm_args args = {
        .w = l->packed + (size_t)begin * td_pack_panel_bytes(l->weight->dtype, (size_t)l->k),
        .a = job->in->act,
        .y = job->y + first,
        .ldy = job->ldy,
        .m = job->in->m,
        .n = n,
        .k = l->k};
    l->impl->run(&args);
    add_bias(job, first, n);
}

/* Dequantizes the rows of one panel into float32 and lays them side by side: tile[k][TD_PANEL]. */
static void dequantize_panel(const td_linear *l, int first, int n, float *row, float *tile) {
    uint8_t *scratch = (uint8_t *)(row + l->k); /* where tile_of has room for 15 more rows */
    for (int o = 0; o < TD_PANEL; o++) {
        if (o < n)
            td_dequantize_row(l->weight->dtype, td_tensor_row(l->weight, first + o, scratch), row,
                              (size_t)l->k);
        for (int j = 0; j < l->k; j++) tile[j * TD_PANEL + o] = o < n ? row[j] : 0;
    }
}

static void dequantized_panels(void *context, int begin, int end, int i_thread) {
    const gemm_job *job = context;
    const td_linear *l = job->linear;
    float *tile = tile_of(job->step, i_thread);
    float *row = tile + (size_t)TD_PANEL * (size_t)job->step->k_max;
    for (int p = begin; p < end; p++) {
        const int first = p * TD_PANEL, n = outputs_left(l, first, 1);
        dequantize_panel(l, first, n, row, tile);
        const td_gemm_args args = {
            .w = (const uint8_t *)tile,
            .a = {.x = job->in->x, .ldx = job->in->k},
            .y = job->y + first,
            .ldy = job->ldy,
            .m = job->in->m,
            .n = n,
            .k = l->k
        };
        job->step->kernels->gemm[TD_DTYPE_F32].run(&args);
        add_bias(job, first, n);
    }
}

void td_linear_forward(td_step *step, const td_linear *l, td_input *in, float *y, ptrdiff_t ldy) {
    gemm_job job = {step, l, in, y, ldy};
    const int n_panel = n_panel_of(l), n_thread = td_pool_n_thread(step->pool);
    if (!l->packed) {
        td_pool_run(step->pool, n_panel, 1, dequantized_panels, &job);
        return;
    }
    input_prepare(step, in, l->impl->act);
    /* About eight pieces a thread: small enough that the threads finish together, large enough that
     * taking one costs nothing. */
    td_pool_run(step->pool, n_panel, n_panel / (8 * n_thread), packed_panels, &job);
}
