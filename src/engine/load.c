/* load.c - where each weight will be: packed in memory, or used where it lies in the file's map. */
#include <stdio.h>

#include "base/alloc.h"
#include "base/log.h"
#include "engine/engine_int.h"
#include "plan/predict.h"
#include "runtime/topology.h"

enum { ESTIMATED_CTX = 4096 };

typedef enum placement { PLACE_MEMORY, PLACE_EXPERTS_IN_FILE, PLACE_ALL_IN_FILE } placement;

/* Bytes of packed weights. */
typedef struct weight_sizes {
    size_t experts, others;
    size_t experts_per_token;
} weight_sizes;

static const char *gib_text(uint64_t bytes, char text[32]) {
    snprintf(text, 32, "%.1f GiB", (double)bytes / 1073741824.0);
    return text;
}

/* ---- what there is ---- */

static td_status measure(const td_engine *e, weight_sizes *z, td_err *err) {
    const td_model *m = e->model;
    *z = (weight_sizes){0};
    for (int i = 0; i < m->n_linear; i++) {
        const size_t bytes = td_linear_packed_bytes(m->linears[i], e->step.kernels);
        size_t *sum = m->linears[i]->of_expert ? &z->experts : &z->others;
        TD_TRY(td_add_size(sum, *sum, bytes + TD_CACHE_LINE, "packed weights", err));
    }
    if (m->config.router.n_expert > 0)
        z->experts_per_token =
            z->experts / (size_t)m->config.router.n_expert * (size_t)m->config.router.n_used;
    return TD_OK;
}

/* ---- where it goes ---- */

/* What the KV cache will at least take. */
static size_t kv_estimate(const td_engine *e, const td_engine_options *o) {
    td_kv_shape shapes[TD_MAX_LAYERS];
    const int n_train = e->model->config.n_ctx_train;
    const int n = o->n_ctx > 0 ? o->n_ctx : n_train < ESTIMATED_CTX ? n_train : ESTIMATED_CTX;
    const td_kv_spec spec = td_engine_kv_spec(e, o, shapes, n);
    size_t bytes;
    return td_kv_cache_bytes(&bytes, &spec, NULL) == TD_OK ? bytes : 0;
}

/* How fast a token can be when its experts come from the disk as far as memory cannot keep them. */
static void say_speed(const td_engine *e, const weight_sizes *z, uint64_t left) {
    char read[32];
    const double disk = td_topology_disk_speed(td_checkpoint_file(e->ckpt, 0));
    const double cached = (double)left / (double)(z->experts ? z->experts : 1);
    const double from_disk = (double)z->experts_per_token * (cached < 1 ? 1 - cached : 0);
    if (disk <= 0) return;
    if (from_disk <= 0) {
        td_log(TD_LOG_WARN, "all of them may end up cached in memory; this disk reads %.2f GB/s",
               disk / 1e9);
        return;
    }
    td_log(TD_LOG_WARN,
           "about %s per token have to come from a disk that reads %.2f GB/s: expect %.2g "
           "tokens/s at most",
           gib_text((uint64_t)from_disk, read), disk / 1e9, disk / from_disk);
}

static placement choose(const td_engine *e, const td_engine_options *o, const weight_sizes *z) {
    char need[32], have[32], lack[32], experts[32];
    const uint64_t available = td_topology_memory_available();
    const uint64_t rest = kv_estimate(e, o) + e->scratch_bytes;
    const uint64_t all = z->experts + z->others + rest;
    if (o->experts_on_disk && z->experts > 0) {
        td_log(TD_LOG_INFO, "experts stay in the file, %s of them", gib_text(z->experts, experts));
        return PLACE_EXPERTS_IN_FILE;
    }
    if (available == 0 || all <= available) return PLACE_MEMORY;
    const bool experts_only = z->experts > 0 && z->others + rest <= available;
    td_log(TD_LOG_WARN,
           "the model needs %s of memory, %s are left, %s too little: %s stay in the file and are "
           "read as they are needed",
           gib_text(all, need), gib_text(available, have), gib_text(all - available, lack),
           experts_only ? "the experts" : "all weights");
    if (z->experts > 0) say_speed(e, z, experts_only ? available - z->others - rest : 0);
    return experts_only ? PLACE_EXPERTS_IN_FILE : PLACE_ALL_IN_FILE;
}

/* ---- putting it there ---- */

typedef struct loading {
    const td_engine_options *options;
    uint64_t done, total;
} loading;

static td_status pack(td_engine *e, td_linear *linear, loading *l, td_err *err) {
    const td_engine_options *o = l->options;
    const size_t bytes = td_linear_packed_bytes(linear, e->step.kernels);
    if (o->progress && !o->progress(o->progress_user, "packing weights", l->done, l->total))
        return td_fail(err, TD_ERR_CANCELLED, "loading was cancelled");
    if (bytes == 0) return TD_OK;
    td_checkpoint_will_need(e->ckpt, linear->weight);
    td_linear_pack(linear, &e->step, td_arena_alloc(&e->packed, bytes));
    td_checkpoint_dont_need(e->ckpt, linear->weight);
    l->done += bytes;
    return TD_OK;
}

static td_status place(td_engine *e, const td_engine_options *o, td_err *err) {
    weight_sizes z;
    TD_TRY(measure(e, &z, err));
    const placement where = choose(e, o, &z);
    loading l = {.options = o};
    if (where != PLACE_ALL_IN_FILE) l.total = z.others;
    if (where == PLACE_MEMORY) l.total += z.experts;
    TD_TRY(td_arena_init_fixed(&e->packed, l.total ? l.total : 1, "packed weights", err));
    for (int i = 0; i < e->model->n_linear; i++) {
        td_linear *linear = e->model->linears[i];
        if (where == PLACE_MEMORY || (where == PLACE_EXPERTS_IN_FILE && !linear->of_expert))
            TD_TRY(pack(e, linear, &l, err));
        else
            td_linear_use_map(linear, e->step.kernels);
    }
    if (where != PLACE_MEMORY && z.experts > 0) e->step.read_ahead = e->ckpt;
    if (o->progress) o->progress(o->progress_user, "packing weights", l.total, l.total);
    return TD_OK;
}

td_status td_engine_load_weights(td_engine *e, const td_engine_options *o, td_err *err) {
    TD_TRY(td_model_check_routers(e->model, err));
    if (o->mode == TD_MODE_EXACT) return TD_OK; /* rows are dequantized from the file's map */
    return place(e, o, err);
}

td_engine_cost td_engine_token_cost(const td_engine *e) {
    td_predict_work work;
    double bytes = 0, ops = 0;
    td_predict_of_model(&work, e->model, 0, 0);
    for (int i = 0; i < work.n_part; i++) {
        bytes += work.parts[i].decode_bytes;
        ops += work.parts[i].prompt_ops;
    }
    return (td_engine_cost){(uint64_t)(bytes + 0.5), (uint64_t)(ops + 0.5)};
}
