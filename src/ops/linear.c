/* linear.c - quantizing the input, splitting panels of outputs over the threads, choosing the path.
 */
#include "ops/linear.h"

#include <string.h>

#include "tensor/quantize.h"

static const td_gemm_impl *gemm_of(const td_linear *l, const td_kernels *kernels) {
    const td_gemm_impl *impl = &kernels->gemm[l->weight->dtype];
    return impl->run && !l->exact ? impl : NULL;
}

static int n_panel_of(const td_linear *l) { return (l->n + TD_PANEL - 1) / TD_PANEL; }

/* ---- packing ---- */

size_t td_linear_packed_bytes(const td_linear *l, const td_kernels *kernels) {
    if (!gemm_of(l, kernels)) return 0;
    return (size_t)n_panel_of(l) * td_pack_panel_bytes(l->weight->dtype, (size_t)l->k);
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
    uint8_t *scratch = (uint8_t *)td_step_tile(job->step, i_thread);
    for (int p = begin; p < end; p++) {
        const int first = p * TD_PANEL, left = job->linear->n - first;
        const int n_row = left < TD_PANEL ? left : TD_PANEL;
        td_pack_panel(w->dtype, rows_of(w, first, n_row, scratch), td_tensor_row_bytes(w), n_row, k,
                      job->dst + (size_t)p * panel_bytes);
    }
}

void td_linear_use_map(td_linear *l, const td_kernels *kernels) { l->impl = gemm_of(l, kernels); }

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

td_act_type td_linear_act_type(const td_linear *l) { return l->impl ? l->impl->act : TD_ACT_F32; }

void td_input_prepare(td_step *step, td_input *in, td_act_type type) {
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

/* ---- products ---- */

typedef struct products_job {
    const td_step *step;
    const td_product *products;
    int n_product;
} products_job;

static void add_bias(const td_step *step, const td_product *p, int first, int n) {
    if (!p->linear->bias) return;
    for (int i = 0; i < p->m; i++)
        step->kernels->add(p->y + i * p->ldy + first, p->linear->bias + first, n);
}

/* The kernel's arguments for n_panel panels that stand at w, from panel `panel` on. */
static td_gemm_args args_of(const td_product *p, const uint8_t *w, int panel, int n_panel) {
    const int first = panel * TD_PANEL, left = p->linear->n - first;
    return (td_gemm_args){.w = w,
                          .a = p->act,
                          .y = p->y + first,
                          .ldy = p->ldy,
                          .m = p->m,
                          .n = left < n_panel * TD_PANEL ? left : n_panel * TD_PANEL,
                          .k = p->linear->k};
}

static void packed_panels(const td_product *p, int panel, int n_panel) {
    const td_linear *l = p->linear;
    const size_t panel_bytes = td_pack_panel_bytes(l->weight->dtype, (size_t)l->k);
    const td_gemm_args args = args_of(p, l->packed + (size_t)panel * panel_bytes, panel, n_panel);
    l->impl->run(&args);
}

/* Packs a panel in the thread's scratch, beyond the room for its rows. */
static void mapped_panel(const td_step *step, const td_product *p, int panel, int i_thread) {
    const td_linear *l = p->linear;
    uint8_t *rows = (uint8_t *)td_step_tile(step, i_thread);
    uint8_t *packed = (uint8_t *)(td_step_tile(step, i_thread) + TD_PANEL * (size_t)step->k_max);
    const td_gemm_args args = args_of(p, packed, panel, 1);
    td_pack_panel(l->weight->dtype, rows_of(l->weight, panel * TD_PANEL, args.n, rows),
                  td_tensor_row_bytes(l->weight), args.n, (size_t)l->k, packed);
    l->impl->run(&args);
}

/* Dequantizes the rows of a panel into float32 and lays them side by side: tile[k][TD_PANEL]. */
static void dequantized_panel(const td_step *step, const td_product *p, int panel, int i_thread) {
    const td_linear *l = p->linear;
    float *tile = td_step_tile(step, i_thread);
    float *row = tile + (size_t)TD_PANEL * (size_t)step->k_max;
    uint8_t *scratch = (uint8_t *)(row + l->k); /* where there is room for 15 more rows */
    const td_gemm_args args = args_of(p, (const uint8_t *)tile, panel, 1);
    for (int o = 0; o < TD_PANEL; o++) {
        if (o < args.n)
            td_dequantize_row(l->weight->dtype,
                              td_tensor_row(l->weight, panel * TD_PANEL + o, scratch), row,
                              (size_t)l->k);
        for (int j = 0; j < l->k; j++) tile[j * TD_PANEL + o] = o < args.n ? row[j] : 0;
    }
    step->kernels->gemm[TD_DTYPE_F32].run(&args);
}

static void product_panels(const td_step *step, const td_product *p, int begin, int end,
                           int i_thread) {
    const int first = begin * TD_PANEL, left = p->linear->n - first;
    const int n = left < (end - begin) * TD_PANEL ? left : (end - begin) * TD_PANEL;
    if (p->linear->packed) packed_panels(p, begin, end - begin);
    for (int panel = begin; panel < end && !p->linear->packed; panel++) {
        if (p->linear->impl)
            mapped_panel(step, p, panel, i_thread);
        else
            dequantized_panel(step, p, panel, i_thread);
    }
    add_bias(step, p, first, n);
}

/* The last product that begins at or before a panel. */
static int product_at(const products_job *job, int panel) {
    int low = 0, high = job->n_product;
    while (high - low > 1) {
        const int middle = low + (high - low) / 2;
        if (job->products[middle].first_panel <= panel)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static void panels(void *context, int begin, int end, int i_thread) {
    const products_job *job = context;
    for (int i = product_at(job, begin); begin < end; i++) {
        const td_product *p = &job->products[i];
        const int last = p->first_panel + n_panel_of(p->linear), to = end < last ? end : last;
        product_panels(job->step, p, begin - p->first_panel, to - p->first_panel, i_thread);
        begin = to;
    }
}

void td_products_forward(td_step *step, td_product *products, int n_product) {
    products_job job = {step, products, n_product};
    int n_panel = 0;
    for (int i = 0; i < n_product; i++) {
        products[i].first_panel = n_panel;
        n_panel += n_panel_of(products[i].linear);
    }
    /* About eight pieces a thread: small enough that the threads finish together, large enough that
     * taking one costs nothing. */
    const int grain = n_panel / (8 * td_pool_n_thread(step->pool));
    td_pool_run(step->pool, n_panel, grain, panels, &job);
}

void td_linear_forward(td_step *step, const td_linear *l, td_input *in, float *y, ptrdiff_t ldy) {
    td_input_prepare(step, in, td_linear_act_type(l));
    td_product product = {.linear = l, .act = in->act, .m = in->m, .y = y, .ldy = ldy};
    td_products_forward(step, &product, 1);
}
