/* step.c - scratch, cancellation and dumps of a forward pass. */
#include "ops/step.h"

#include <stdio.h>

#include "base/alloc.h"

typedef struct scratch_sizes {
    size_t q, d, s, tile;
} scratch_sizes;

static td_status scratch_sizes_of(scratch_sizes *z, size_t n_act, int k_max, int n_thread,
                                  td_err *err) {
    const char *what = "step scratch";
    size_t n;
    z->q = n_act;
    TD_TRY(td_mul_size(&z->d, n_act / 32 + 1, sizeof(float), what, err));
    TD_TRY(td_mul_size(&z->s, n_act / 16 + 1, sizeof(int16_t), what, err));
    TD_TRY(td_mul_size(&n, (size_t)k_max, 2 * TD_PANEL * sizeof(float), what, err));
    return td_mul_size(&z->tile, n, (size_t)n_thread, what, err);
}

td_status td_step_scratch_bytes(size_t *out, size_t n_act, int k_max, int n_thread, td_err *err) {
    scratch_sizes z;
    TD_TRY(scratch_sizes_of(&z, n_act, k_max, n_thread, err));
    *out = 4 * TD_CACHE_LINE; /* each piece is rounded up */
    TD_TRY(td_add_size(out, *out, z.q, "step scratch", err));
    TD_TRY(td_add_size(out, *out, z.d, "step scratch", err));
    TD_TRY(td_add_size(out, *out, z.s, "step scratch", err));
    return td_add_size(out, *out, z.tile, "step scratch", err);
}

td_status td_step_scratch_init(td_step *step, td_arena *arena, size_t n_act, int k_max,
                               td_err *err) {
    scratch_sizes z;
    TD_TRY(scratch_sizes_of(&z, n_act, k_max, td_pool_n_thread(step->pool), err));
    step->k_max = k_max;
    step->q = td_arena_alloc(arena, z.q);
    step->d = td_arena_alloc(arena, z.d);
    step->s = td_arena_alloc(arena, z.s);
    step->tile = td_arena_alloc(arena, z.tile);
    if (!step->q || !step->d || !step->s || !step->tile)
        return td_fail_nomem(err, "step scratch", z.q + z.d + z.s + z.tile);
    return TD_OK;
}

td_status td_step_check(const td_step *step, td_err *err) {
    if (step->cancel && atomic_load_explicit(step->cancel, memory_order_relaxed))
        return td_fail(err, TD_ERR_CANCELLED, "cancelled");
    return TD_OK;
}

void td_step_dump(const td_step *step, int i_layer, const char *what, const float *x, int m,
                  int n) {
    if (!step->dump) return;
    char name[128];
    if (i_layer < 0)
        snprintf(name, sizeof name, "%s", what);
    else
        snprintf(name, sizeof name, "layers.%d.%s", i_layer, what);
    step->dump(step->dump_user, name, x, m, n);
}
