/* kv_cache.c - page tables, and writing rows into pages. */
#include "ops/kv_cache.h"

#include <string.h>

#include "base/alloc.h"

static const struct {
    const char *name;
    td_dtype dtype;
} kv_dtypes[TD_N_KV_DTYPE] = {
    [TD_KV_DTYPE_F32] = {"f32",  TD_DTYPE_F32 },
    [TD_KV_DTYPE_F16] = {"f16",  TD_DTYPE_F16 },
    [TD_KV_DTYPE_Q8_0] = {"q8_0", TD_DTYPE_Q8_0},
    [TD_KV_DTYPE_Q4_0] = {"q4_0", TD_DTYPE_Q4_0},
};

const char *td_kv_dtype_name(td_kv_dtype dtype) { return kv_dtypes[dtype].name; }

td_dtype td_kv_dtype_blocks(td_kv_dtype dtype) { return kv_dtypes[dtype].dtype; }

static td_status row_bytes(size_t *out, td_kv_dtype dtype, int head_dim, td_err *err) {
    const td_dtype_info *info = td_dtype_get_info((int)kv_dtypes[dtype].dtype);
    if (head_dim % info->block_elems != 0)
        return td_fail(err, TD_ERR_ARGUMENT,
                       "KV type %s wants a head_dim that is a multiple of %d, this model has %d",
                       kv_dtypes[dtype].name, info->block_elems, head_dim);
    *out = (size_t)(head_dim / info->block_elems) * (size_t)info->block_bytes;
    return TD_OK;
}

/* Pages of all sequences together: each needs the whole context, or a window and a batch at any
 * alignment. */
static td_status count_pages(int *out, const td_kv_shape *shape, const td_kv_spec *spec,
                             td_err *err) {
    int64_t n = ((int64_t)spec->n_ctx + TD_KV_PAGE - 1) / TD_KV_PAGE;
    const int64_t span = (int64_t)shape->window + spec->batch_max;
    const int64_t n_window = (span + TD_KV_PAGE - 1) / TD_KV_PAGE + 1;
    if (shape->window > 0 && n_window < n) n = n_window;
    n *= spec->n_seq;
    if (n > INT32_MAX)
        return td_fail(err, TD_ERR_LIMIT,
                       "a KV cache for %d sequences of %d positions is too large", spec->n_seq,
                       spec->n_ctx);
    *out = (int)n;
    return TD_OK;
}

/* Of the keys or the values of a layer. */
static td_status store_bytes(size_t *out, const td_kv_shape *shape, int dim, td_kv_dtype dtype,
                             int n_page, td_err *err) {
    size_t row;
    TD_TRY(row_bytes(&row, dtype, dim, err));
    TD_TRY(td_mul_size(out, (size_t)shape->n_head_kv * TD_KV_PAGE, row, "KV cache", err));
    return td_mul_size(out, *out, (size_t)n_page, "KV cache", err);
}

static td_status state_bytes(size_t *out, const td_kv_shape *shape, const td_kv_spec *spec,
                             td_err *err) {
    TD_TRY(td_mul_size(out, shape->n_state, (size_t)spec->n_seq, "states", err));
    return td_mul_size(out, *out, sizeof(float), "states", err);
}

td_status td_kv_cache_bytes(size_t *out, const td_kv_spec *spec, td_err *err) {
    *out = 0;
    for (int i = 0; i < spec->n_layer; i++) {
        size_t k, v;
        int n_page = 0;
        if (spec->shapes[i].n_state > 0) {
            TD_TRY(state_bytes(&k, &spec->shapes[i], spec, err));
            TD_TRY(td_add_size(out, *out, k, "KV cache", err));
            continue;
        }
        TD_TRY(count_pages(&n_page, &spec->shapes[i], spec, err));
        TD_TRY(
            store_bytes(&k, &spec->shapes[i], spec->shapes[i].k_dim, spec->k_dtype, n_page, err));
        TD_TRY(
            store_bytes(&v, &spec->shapes[i], spec->shapes[i].v_dim, spec->v_dtype, n_page, err));
        TD_TRY(td_add_size(out, *out, k, "KV cache", err));
        TD_TRY(td_add_size(out, *out, v, "KV cache", err));
    }
    return TD_OK;
}

static td_status store_init(td_kv_store *store, const td_kv_layer *layer, int dim,
                            td_kv_dtype dtype, td_err *err) {
    size_t bytes;
    store->dtype = dtype;
    TD_TRY(row_bytes(&store->row_bytes, dtype, dim, err));
    TD_TRY(store_bytes(&bytes, &layer->shape, dim, dtype, layer->n_page, err));
    store->data = td_malloc_aligned(bytes);
    if (store->data) return TD_OK;
    return td_fail_nomem(err, "the KV cache (a smaller context -c needs less)", bytes);
}

static td_status state_init(td_kv_layer *layer, const td_kv_spec *spec, td_err *err) {
    size_t bytes;
    TD_TRY(state_bytes(&bytes, &layer->shape, spec, err));
    layer->state = td_malloc_aligned(bytes);
    return layer->state ? TD_OK : td_fail_nomem(err, "the states of linear attention", bytes);
}

static td_status layer_init(td_kv_layer *layer, const td_kv_spec *spec, td_err *err) {
    if (layer->shape.n_state > 0) return state_init(layer, spec, err);
    TD_TRY(count_pages(&layer->n_page, &layer->shape, spec, err));
    layer->n_free = layer->n_page;
    layer->n_block = (spec->n_ctx + TD_KV_PAGE - 1) / TD_KV_PAGE;
    const size_t n_entry = (size_t)spec->n_seq * (size_t)layer->n_block;
    layer->free_pages = td_calloc((size_t)layer->n_page, sizeof(int));
    layer->page_of = td_calloc(n_entry, sizeof(int));
    layer->kept_from = td_calloc((size_t)spec->n_seq, sizeof(int));
    if (!layer->free_pages || !layer->page_of || !layer->kept_from)
        return td_fail_nomem(err, "the page tables of the KV cache", n_entry * sizeof(int));
    TD_TRY(store_init(&layer->k, layer, layer->shape.k_dim, spec->k_dtype, err));
    TD_TRY(store_init(&layer->v, layer, layer->shape.v_dim, spec->v_dtype, err));
    for (int i = 0; i < layer->n_page; i++) layer->free_pages[i] = layer->n_page - 1 - i;
    for (size_t i = 0; i < n_entry; i++) layer->page_of[i] = -1;
    return TD_OK;
}

td_status td_kv_cache_create(td_kv_cache **out, const td_kv_spec *spec, td_err *err) {
    *out = NULL;
    td_kv_cache *kv = td_calloc(1, sizeof *kv);
    if (!kv) return td_fail_nomem(err, "the KV cache", sizeof *kv);
    *kv = (td_kv_cache){.n_layer = spec->n_layer, .n_seq = spec->n_seq, .n_ctx = spec->n_ctx};
    kv->layers = td_calloc((size_t)spec->n_layer, sizeof *kv->layers);
    kv->n_reserved = td_calloc((size_t)spec->n_seq, sizeof *kv->n_reserved);
    td_status status = TD_OK;
    if (!kv->layers || !kv->n_reserved)
        status = td_fail_nomem(err, "the KV cache", (size_t)spec->n_layer);
    for (int i = 0; i < spec->n_layer && status == TD_OK; i++) {
        kv->layers[i].shape = spec->shapes[i];
        status = layer_init(&kv->layers[i], spec, err);
    }
    if (status != TD_OK) {
        td_kv_cache_free(kv);
        return status;
    }
    *out = kv;
    return TD_OK;
}

void td_kv_cache_free(td_kv_cache *kv) {
    if (!kv) return;
    for (int i = 0; kv->layers && i < kv->n_layer; i++) {
        td_kv_layer *layer = &kv->layers[i];
        td_free(layer->free_pages);
        td_free(layer->page_of);
        td_free(layer->kept_from);
        td_free_aligned(layer->k.data);
        td_free_aligned(layer->v.data);
        td_free_aligned(layer->state);
    }
    td_free(kv->layers);
    td_free(kv->n_reserved);
    td_free(kv);
}

/* Gives back the pages of blocks [from, to). */
static void release_blocks(td_kv_layer *layer, int seq, int from, int to) {
    int *page_of = layer->page_of + (ptrdiff_t)seq * layer->n_block;
    for (int b = from; b < to; b++) {
        if (page_of[b] < 0) continue;
        layer->free_pages[layer->n_free++] = page_of[b];
        page_of[b] = -1;
    }
}

void td_kv_cache_reserve(td_kv_cache *kv, int seq, int from, int to) {
    for (int i = 0; i < kv->n_layer; i++) {
        td_kv_layer *layer = &kv->layers[i];
        if (layer->state) {
            TD_ASSERT(from == 0 || from == kv->n_reserved[seq]);
            if (from == 0)
                memset(td_kv_cache_state(kv, i, seq), 0, layer->shape.n_state * sizeof(float));
            continue;
        }
        int *page_of = layer->page_of + (ptrdiff_t)seq * layer->n_block;
        const int oldest = from - layer->shape.window + 1; /* position that `from` still sees */
        if (layer->shape.window > 0 && oldest > 0 && oldest / TD_KV_PAGE > layer->kept_from[seq]) {
            release_blocks(layer, seq, layer->kept_from[seq], oldest / TD_KV_PAGE);
            layer->kept_from[seq] = oldest / TD_KV_PAGE;
        }
        for (int b = from / TD_KV_PAGE; b <= (to - 1) / TD_KV_PAGE; b++) {
            if (page_of[b] >= 0) continue;
            TD_ASSERT(layer->n_free > 0);
            page_of[b] = layer->free_pages[--layer->n_free];
        }
    }
    kv->n_reserved[seq] = to;
}

int td_kv_cache_truncate(td_kv_cache *kv, int seq, int n) {
    for (int i = 0; i < kv->n_layer && n > 0; i++) {
        const td_kv_layer *layer = &kv->layers[i];
        if (layer->state && n != kv->n_reserved[seq]) n = 0;
        const int oldest = n - layer->shape.window + 1;
        if (layer->shape.window > 0 &&
            layer->kept_from[seq] * TD_KV_PAGE > (oldest > 0 ? oldest : 0))
            n = 0;
    }
    for (int i = 0; i < kv->n_layer; i++) {
        td_kv_layer *layer = &kv->layers[i];
        if (layer->state) continue;
        release_blocks(layer, seq, (n + TD_KV_PAGE - 1) / TD_KV_PAGE, layer->n_block);
        if (n == 0) layer->kept_from[seq] = 0;
    }
    if (n < kv->n_reserved[seq]) kv->n_reserved[seq] = n;
    return n;
}

/* ---- saving and restoring ---- */

void td_kv_cache_worth_keeping(const td_kv_cache *kv, int seq, int n, int *kept_from) {
    for (int i = 0; i < kv->n_layer; i++) {
        const td_kv_layer *layer = &kv->layers[i];
        const int oldest = n - layer->shape.window;
        kept_from[i] = layer->state ? 0 : layer->kept_from[seq];
        if (layer->shape.window > 0 && oldest > 0 && oldest / TD_KV_PAGE > kept_from[i])
            kept_from[i] = oldest / TD_KV_PAGE;
    }
}

bool td_kv_cache_can_adopt(const td_kv_cache *kv, int i_layer, uint32_t block, int n) {
    const int window = kv->layers[i_layer].shape.window;
    const int oldest = n - window; /* that a sequence may need; the next position sees one less */
    if (window == 0 || oldest <= 0) return block == 0;
    return block >= (uint32_t)(oldest / TD_KV_PAGE) &&
           block <= (uint32_t)((oldest + 1) / TD_KV_PAGE);
}

void td_kv_cache_adopt(td_kv_cache *kv, int seq, const int *kept_from, int n) {
    td_kv_cache_truncate(kv, seq, 0);
    for (int i = 0; i < kv->n_layer; i++) {
        td_kv_layer *layer = &kv->layers[i];
        if (layer->state) continue;
        int *page_of = layer->page_of + (ptrdiff_t)seq * layer->n_block;
        layer->kept_from[seq] = kept_from[i];
        for (int b = kept_from[i]; b * TD_KV_PAGE < n; b++) {
            TD_ASSERT(layer->n_free > 0);
            page_of[b] = layer->free_pages[--layer->n_free];
        }
    }
    kv->n_reserved[seq] = n;
}

typedef struct rows_visit {
    td_kv_rows_fn *fn;
    void *user;
} rows_visit;

static td_status visit_store(const td_kv_layer *layer, const td_kv_store *store, int seq, int block,
                             int n, const rows_visit *visit, td_err *err) {
    const int *page_of = layer->page_of + (ptrdiff_t)seq * layer->n_block;
    for (; block * TD_KV_PAGE < n; block++) {
        const int left = n - block * TD_KV_PAGE, count = left < TD_KV_PAGE ? left : TD_KV_PAGE;
        for (int h = 0; h < layer->shape.n_head_kv; h++)
            TD_TRY(visit->fn(visit->user, td_kv_row(store, layer, page_of[block], h, 0),
                             (size_t)count * store->row_bytes, err));
    }
    return TD_OK;
}

td_status td_kv_cache_visit(td_kv_cache *kv, int seq, int i_layer, int block, int n,
                            td_kv_rows_fn *fn, void *user, td_err *err) {
    const td_kv_layer *layer = &kv->layers[i_layer];
    const rows_visit visit = {fn, user};
    if (layer->state)
        return n == 0 ? TD_OK
                      : fn(user, (uint8_t *)(void *)td_kv_cache_state(kv, i_layer, seq),
                           layer->shape.n_state * sizeof(float), err);
    TD_TRY(visit_store(layer, &layer->k, seq, block, n, &visit, err));
    return visit_store(layer, &layer->v, seq, block, n, &visit, err);
}

td_status td_kv_cache_visit_bytes(size_t *out, const td_kv_cache *kv, int i_layer, int block, int n,
                                  td_err *err) {
    const td_kv_layer *layer = &kv->layers[i_layer];
    const int kept = n - block * TD_KV_PAGE;
    *out = 0;
    if (layer->state && n > 0)
        return td_mul_size(out, layer->shape.n_state, sizeof(float), "session", err);
    if (layer->state || kept <= 0) return TD_OK;
    TD_TRY(td_mul_size(out, (size_t)kept, (size_t)layer->shape.n_head_kv, "session", err));
    return td_mul_size(out, *out, layer->k.row_bytes + layer->v.row_bytes, "session", err);
}

/* ---- a step ---- */

typedef struct write_job {
    const td_step *step;
    td_kv_layer *layer;
    const float *k, *v;
} write_job;

static void write_row(const td_kernels *kernels, td_kv_dtype dtype, uint8_t *dst, const float *src,
                      int n) {
    switch (dtype) {
    case TD_KV_DTYPE_F16: kernels->to_f16((uint16_t *)(void *)dst, src, n); break;
    case TD_KV_DTYPE_Q8_0: kernels->to_q8_0(dst, src, n); break;
    case TD_KV_DTYPE_Q4_0: kernels->to_q4_0(dst, src, n); break;
    default: memcpy(dst, src, (size_t)n * sizeof *src);
    }
}

static void write_rows(void *context, int begin, int end, int i_thread) {
    (void)i_thread;
    const write_job *job = context;
    const td_kernels *kernels = job->step->kernels;
    const td_kv_layer *layer = job->layer;
    const td_batch *batch = job->step->batch;
    const int k_dim = layer->shape.k_dim, v_dim = layer->shape.v_dim;
    for (int i = begin; i < end; i++) {
        const int position = batch->position[i], in_page = position % TD_KV_PAGE;
        const int page =
            layer->page_of[(ptrdiff_t)batch->sequence[i] * layer->n_block + position / TD_KV_PAGE];
        for (int h = 0; h < layer->shape.n_head_kv; h++) {
            const ptrdiff_t item = (ptrdiff_t)i * layer->shape.n_head_kv + h;
            write_row(kernels, layer->k.dtype, td_kv_row(&layer->k, layer, page, h, in_page),
                      job->k + item * k_dim, k_dim);
            write_row(kernels, layer->v.dtype, td_kv_row(&layer->v, layer, page, h, in_page),
                      job->v + item * v_dim, v_dim);
        }
    }
}

void td_kv_write(td_step *step, int i_layer, const float *k, const float *v) {
    write_job job = {step, &step->kv->layers[i_layer], k, v};
    td_pool_run(step->pool, step->batch->n, 16, write_rows, &job);
}
