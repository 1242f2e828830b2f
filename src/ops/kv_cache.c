/* kv_cache.c - page tables, and writing rows into pages. */
#include "ops/kv_cache.h"

#include <string.h>

#include "base/alloc.h"

static size_t elem_bytes(td_kv_dtype dtype) { return dtype == TD_KV_DTYPE_F32 ? 4 : 2; }

/* Pages of all sequences together: each needs the whole context, or a window and a batch at any
 * alignment. */
static td_status count_pages(int *out, const td_kv_shape *shape, int n_seq, int n_ctx,
                             int batch_max, td_err *err) {
    int64_t n = ((int64_t)n_ctx + TD_KV_PAGE - 1) / TD_KV_PAGE;
    const int64_t span = (int64_t)shape->window + batch_max;
    const int64_t n_window = (span + TD_KV_PAGE - 1) / TD_KV_PAGE + 1;
    if (shape->window > 0 && n_window < n) n = n_window;
    n *= n_seq;
    if (n > INT32_MAX)
        return td_fail(err, TD_ERR_LIMIT,
                       "a KV cache for %d sequences of %d positions is too large", n_seq, n_ctx);
    *out = (int)n;
    return TD_OK;
}

static td_status layer_bytes(size_t *out, const td_kv_shape *shape, td_kv_dtype dtype, int n_page,
                             td_err *err) {
    TD_TRY(td_mul_size(out, (size_t)shape->n_head_kv * TD_KV_PAGE,
                       (size_t)shape->head_dim * elem_bytes(dtype), "KV cache", err));
    return td_mul_size(out, *out, (size_t)n_page, "KV cache", err);
}

td_status td_kv_cache_bytes(size_t *out, const td_kv_shape *shapes, int n_layer, td_kv_dtype dtype,
                            int n_seq, int n_ctx, int batch_max, td_err *err) {
    *out = 0;
    for (int i = 0; i < n_layer; i++) {
        size_t bytes;
        int n_page = 0;
        TD_TRY(count_pages(&n_page, &shapes[i], n_seq, n_ctx, batch_max, err));
        TD_TRY(layer_bytes(&bytes, &shapes[i], dtype, n_page, err));
        TD_TRY(td_add_size(out, *out, bytes, "KV cache", err));
        TD_TRY(td_add_size(out, *out, bytes, "KV cache", err));
    }
    return TD_OK;
}

static td_status layer_init(td_kv_layer *layer, int n_seq, int n_ctx, int batch_max, td_err *err) {
    TD_TRY(count_pages(&layer->n_page, &layer->shape, n_seq, n_ctx, batch_max, err));
    layer->n_free = layer->n_page;
    layer->n_block = (n_ctx + TD_KV_PAGE - 1) / TD_KV_PAGE;
    layer->head_bytes = TD_KV_PAGE * (size_t)layer->shape.head_dim * elem_bytes(layer->dtype);
    size_t bytes;
    TD_TRY(layer_bytes(&bytes, &layer->shape, layer->dtype, layer->n_page, err));
    const size_t n_entry = (size_t)n_seq * (size_t)layer->n_block;
    layer->free_pages = td_calloc((size_t)layer->n_page, sizeof(int));
    layer->page_of = td_calloc(n_entry, sizeof(int));
    layer->kept_from = td_calloc((size_t)n_seq, sizeof(int));
    layer->k = td_malloc_aligned(bytes);
    layer->v = td_malloc_aligned(bytes);
    if (!layer->free_pages || !layer->page_of || !layer->kept_from || !layer->k || !layer->v)
        return td_fail_nomem(err, "the KV cache (a smaller context -c needs less)", 2 * bytes);
    for (int i = 0; i < layer->n_page; i++) layer->free_pages[i] = layer->n_page - 1 - i;
    for (size_t i = 0; i < n_entry; i++) layer->page_of[i] = -1;
    return TD_OK;
}

td_status td_kv_cache_create(td_kv_cache **out, const td_kv_shape *shapes, int n_layer,
                             td_kv_dtype dtype, int n_seq, int n_ctx, int batch_max, td_err *err) {
    *out = NULL;
    td_kv_cache *kv = td_calloc(1, sizeof *kv);
    if (!kv) return td_fail_nomem(err, "the KV cache", sizeof *kv);
    *kv = (td_kv_cache){.n_layer = n_layer, .n_seq = n_seq, .n_ctx = n_ctx};
    kv->layers = td_calloc((size_t)n_layer, sizeof *kv->layers);
    td_status status = TD_OK;
    if (!kv->layers) status = td_fail_nomem(err, "the KV cache", (size_t)n_layer);
    for (int i = 0; i < n_layer && status == TD_OK; i++) {
        kv->layers[i].shape = shapes[i];
        kv->layers[i].dtype = dtype;
        status = layer_init(&kv->layers[i], n_seq, n_ctx, batch_max, err);
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
        td_free_aligned(layer->k);
        td_free_aligned(layer->v);
    }
    td_free(kv->layers);
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
}

int td_kv_cache_truncate(td_kv_cache *kv, int seq, int n) {
    for (int i = 0; i < kv->n_layer && n > 0; i++) {
        const td_kv_layer *layer = &kv->layers[i];
        const int oldest = n - layer->shape.window + 1;
        if (layer->shape.window > 0 &&
            layer->kept_from[seq] * TD_KV_PAGE > (oldest > 0 ? oldest : 0))
            n = 0;
    }
    for (int i = 0; i < kv->n_layer; i++) {
        td_kv_layer *layer = &kv->layers[i];
        release_blocks(layer, seq, (n + TD_KV_PAGE - 1) / TD_KV_PAGE, layer->n_block);
        if (n == 0) layer->kept_from[seq] = 0;
    }
    return n;
}

typedef struct write_job {
    const td_step *step;
    td_kv_layer *layer;
    const float *k, *v;
} write_job;

static void write_head(const write_job *job, uint8_t *dst, const float *src) {
    const int n = job->layer->shape.head_dim;
    if (job->layer->dtype == TD_KV_DTYPE_F16)
        job->step->kernels->to_f16((uint16_t *)dst, src, n);
    else
        memcpy(dst, src, (size_t)n * sizeof(float));
}

static void write_rows(void *context, int begin, int end, int i_thread) {
    (void)i_thread;
    const write_job *job = context;
    const td_kv_layer *layer = job->layer;
    const td_batch *batch = job->step->batch;
    const size_t row_bytes = layer->head_bytes / TD_KV_PAGE;
    for (int i = begin; i < end; i++) {
        const int position = batch->position[i];
        const int page =
            layer->page_of[(ptrdiff_t)batch->sequence[i] * layer->n_block + position / TD_KV_PAGE];
        for (int h = 0; h < layer->shape.n_head_kv; h++) {
            const ptrdiff_t src =
                ((ptrdiff_t)i * layer->shape.n_head_kv + h) * layer->shape.head_dim;
            const size_t dst =
                ((size_t)page * (size_t)layer->shape.n_head_kv + (size_t)h) * layer->head_bytes +
                (size_t)(position % TD_KV_PAGE) * row_bytes;
            write_head(job, layer->k + dst, job->k + src);
            write_head(job, layer->v + dst, job->v + src);
        }
    }
}

void td_kv_write(td_step *step, int i_layer, const float *k, const float *v) {
    write_job job = {step, &step->kv->layers[i_layer], k, v};
    td_pool_run(step->pool, step->batch->n, 16, write_rows, &job);
}
