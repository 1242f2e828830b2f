/* load.c - packing the weights, with all threads, tensor after tensor. */
#include "base/alloc.h"
#include "engine/engine_int.h"

static td_status packed_total(const td_engine *e, size_t *total, td_err *err) {
    *total = 0;
    for (int i = 0; i < e->model->n_linear; i++) {
        const size_t bytes = td_linear_packed_bytes(e->model->linears[i], e->step.kernels);
        TD_TRY(td_add_size(total, *total, bytes + TD_CACHE_LINE, "packed weights", err));
    }
    return TD_OK;
}

td_status td_engine_pack_weights(td_engine *e, const td_engine_options *options, td_err *err) {
    if (options->mode == TD_MODE_EXACT) return TD_OK; /* rows are dequantized from the file's map */
    size_t total, done = 0;
    TD_TRY(packed_total(e, &total, err));
    TD_TRY(td_arena_init_fixed(&e->packed, total, "packed weights", err));
    for (int i = 0; i < e->model->n_linear; i++) {
        td_linear *linear = e->model->linears[i];
        if (options->progress &&
            !options->progress(options->progress_user, "packing weights", done, total))
            return td_fail(err, TD_ERR_CANCELLED, "loading was cancelled");
        const size_t bytes = td_linear_packed_bytes(linear, e->step.kernels);
        if (bytes == 0) continue;
        td_checkpoint_will_need(e->ckpt, linear->weight);
        td_linear_pack(linear, &e->step, td_arena_alloc(&e->packed, bytes));
        td_checkpoint_dont_need(e->ckpt, linear->weight);
        done += bytes;
    }
    if (options->progress)
        options->progress(options->progress_user, "packing weights", total, total);
    return TD_OK;
}
