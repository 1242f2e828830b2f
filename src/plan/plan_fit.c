/* plan_fit.c - as much of a model as fits on the GPUs: layer by layer, attention, shared experts
 * and dense parts first, spread over the GPUs by their memory; then routed experts, as long as a
 * whole layer's fit. */
#include <string.h>

#include "plan/plan_int.h"

/* What the driver and its libraries take of a GPU, beside what is counted. */
static const uint64_t RESERVE = 512ull << 20;

typedef struct fitting {
    td_plan *plan;
    uint64_t left[TD_PLAN_MAX_DEVICE]; /* bytes */
} fitting;

static uint64_t layer_bytes(const td_plan *p, int layer, bool experts) {
    uint64_t bytes = 0;
    for (int i = 0; i < p->n_item; i++) {
        const td_plan_item *item = &p->items[i];
        if (td_plan_layer_of(item->module->name) == layer && item->is_experts == experts &&
            item->streams)
            bytes += item->bytes;
    }
    return bytes;
}

static void move_layer(const td_plan *p, int layer, bool experts, int device) {
    for (int i = 0; i < p->n_item; i++) {
        td_plan_item *item = &p->items[i];
        if (td_plan_layer_of(item->module->name) != layer || item->is_experts != experts ||
            !item->streams)
            continue;
        td_plan_put(item, device);
    }
}

/* Takes bytes of a device; false if they are not there. */
static bool take(fitting *f, int device, uint64_t bytes) {
    if (bytes > f->left[device]) return false;
    f->left[device] -= bytes;
    return true;
}

/* The GPU that layer i of n belongs to, so that each has layers as it has memory. */
static int share_of(const fitting *f, int i, int n) {
    double total = 0, sum = 0;
    for (int d = 1; d < f->plan->n_device; d++) total += (double)f->left[d];
    for (int d = 1; d < f->plan->n_device; d++) {
        sum += (double)f->left[d];
        if (i < sum / total * n) return d;
    }
    return f->plan->n_device - 1;
}

/* Parts outside of the layers: embeddings stay, the rest goes beside the last layer if it fits. */
static void place_outside(fitting *f) {
    td_plan *p = f->plan;
    for (int i = 0; i < p->n_item; i++) {
        td_plan_item *item = &p->items[i];
        if (td_plan_layer_of(item->module->name) >= 0 || !item->streams) continue;
        const bool fits = take(f, p->n_device - 1, item->bytes);
        td_plan_put(item, fits ? p->n_device - 1 : TD_PLAN_CPU);
    }
}

td_status td_plan_fit(td_plan *p, td_err *err) {
    fitting f = {.plan = p};
    int share[TD_MAX_LAYERS];
    const int n_layer = p->options.model->config.n_layer;
    if (p->n_device == 1) return TD_OK;
    for (int d = 1; d < p->n_device; d++) {
        const uint64_t fixed = RESERVE + td_plan_scratch(p), all = p->devices[d].capacity;
        f.left[d] = all > fixed ? all - fixed : 0;
    }
    for (int i = 0; i < n_layer; i++) share[i] = share_of(&f, i, n_layer);
    place_outside(&f);
    for (int i = 0; i < n_layer; i++) {
        uint64_t kv;
        TD_TRY(td_plan_layer_kv(p, i, &kv, err));
        const bool fits = take(&f, share[i], layer_bytes(p, i, false) + kv);
        move_layer(p, i, false, fits ? share[i] : TD_PLAN_CPU);
        if (!fits) share[i] = TD_PLAN_CPU;
    }
    for (int i = 0; i < n_layer; i++) {
        const uint64_t bytes = layer_bytes(p, i, true);
        const bool fits = bytes > 0 && share[i] != TD_PLAN_CPU && take(&f, share[i], bytes);
        move_layer(p, i, true, fits ? share[i] : TD_PLAN_CPU);
    }
    return TD_OK;
}
