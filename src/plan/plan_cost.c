/* plan_cost.c - bytes and operations per device, and the speed that follows.
 *
 * A decoded token reads every weight that it passes once: of experts, those that are chosen.  A
 * device needs the time of its bytes at its bandwidth; devices work one after the other, as layers
 * do.  A prompt token needs its operations at the device's peak.  Efficiencies are what kernels
 * reach of the measured figures: for the CPU docs/PERF.md has them, for GPUs they are guesses until
 * kernels have run. */
#include <string.h>

#include "plan/plan_int.h"

static const double CPU_DECODE = 0.72, CPU_PREFILL_INT = 0.26, CPU_PREFILL_FLOAT = 0.60;
static const double GPU_DECODE = 0.70, GPU_PREFILL = 0.45;
static const double HANDOVER = 60e-6; /* seconds of a layer that takes place on two devices */

static bool is_float(int dtype) {
    return dtype == TD_DTYPE_F32 || dtype == TD_DTYPE_F16 || dtype == TD_DTYPE_BF16 ||
           dtype == TD_DTYPE_F8_E4M3;
}

td_status td_plan_layer_kv(const td_plan *p, int i_layer, uint64_t *bytes, td_err *err) {
    td_kv_shape shapes[TD_MAX_LAYERS];
    td_model_kv_shapes(p->options.model, shapes);
    const td_kv_spec spec = {.shapes = &shapes[i_layer],
                             .n_layer = 1,
                             .k_dtype = TD_KV_DTYPE_F16,
                             .v_dtype = TD_KV_DTYPE_F16,
                             .n_seq = 1,
                             .n_ctx = p->options.n_ctx,
                             .batch_max = p->options.n_batch};
    size_t n = 0;
    TD_TRY(td_kv_cache_bytes(&n, &spec, err));
    *bytes = n;
    return TD_OK;
}

/* Some rows of the widest activations, in and out, and a staging buffer each way. */
uint64_t td_plan_scratch(const td_plan *p) {
    const td_config *c = &p->options.model->config;
    const uint64_t wide = (uint64_t)(c->n_ff > c->n_embd ? c->n_ff : c->n_embd);
    const uint64_t rows = (uint64_t)p->options.n_batch * (4 * (uint64_t)c->n_embd + 3 * wide) * 4;
    return rows + (uint64_t)c->n_vocab * 16 * 4 + (256u << 20);
}

/* ---- adding up ---- */

static void add_item(td_plan *p, const td_plan_item *item) {
    td_plan_device *d = &p->devices[item->device];
    const td_router_config *r = &p->options.model->config.router;
    const double part = item->is_experts && r->n_expert > 0 ? (double)r->n_used / r->n_expert : 1;
    d->weights += item->bytes;
    if (!item->streams) return;
    d->decode_bytes += (uint64_t)((double)item->bytes * part);
    const bool is_head = item->module->linear == &p->options.model->lm_head;
    const double ops =
        is_head || !(item->is_linear || item->is_experts) ? 0 : 2 * (double)item->n_elem * part;
    *(is_float(item->dtype) ? &d->ops_float : &d->ops_int) += ops;
}

/* The device of a layer's attention: its largest module there decides. */
static void find_attention(const td_plan *p, int *device) {
    uint64_t most[TD_MAX_LAYERS] = {0};
    for (int i = 0; i < p->n_item; i++) {
        const td_plan_item *item = &p->items[i];
        const int layer = td_plan_layer_of(item->module->name);
        const bool attends =
            strstr(item->module->name, "attn") || strstr(item->module->name, "attention");
        if (layer < 0 || layer >= TD_MAX_LAYERS || !attends || item->bytes < most[layer]) continue;
        most[layer] = item->bytes;
        device[layer] = item->device;
    }
}

/* The output matrix of tied models is the embedding table, which is read for every token after all.
 */
static void add_tied_head(td_plan *p) {
    const td_model *m = p->options.model;
    if (m->lm_head.weight != m->embed) return;
    const td_plan_item *head = NULL;
    for (int i = 0; i < p->n_item && !head; i++)
        if (!p->items[i].streams && p->items[i].module->weight == m->embed) head = &p->items[i];
    if (head) p->devices[head->device].decode_bytes += head->bytes;
}

td_status td_plan_add_up(td_plan *p, td_err *err) {
    int attention[TD_MAX_LAYERS] = {0};
    for (int i = 0; i < p->n_device; i++) {
        td_plan_device *d = &p->devices[i];
        d->weights = d->kv = d->scratch = d->decode_bytes = d->kv_bytes = 0;
        d->ops_int = d->ops_float = 0;
        d->n_layer = 0;
    }
    for (int i = 0; i < p->n_item; i++) add_item(p, &p->items[i]);
    add_tied_head(p);
    find_attention(p, attention);
    for (int i = 0; i < p->options.model->config.n_layer; i++) {
        uint64_t bytes;
        TD_TRY(td_plan_layer_kv(p, i, &bytes, err));
        td_plan_device *d = &p->devices[attention[i]];
        d->kv += bytes;
        d->kv_bytes += bytes / 2;
        d->n_layer++;
    }
    for (int i = 0; i < p->n_device; i++)
        if (i == TD_PLAN_CPU || p->devices[i].weights > 0)
            p->devices[i].scratch = td_plan_scratch(p);
    return TD_OK;
}

/* ---- speed ---- */

/* False if a rate that is needed is not known. */
static bool predict_cpu(td_plan_device *d, const td_cpu *cpu) {
    if (cpu->bandwidth <= 0 || cpu->int8 <= 0 || cpu->f32 <= 0) return d->weights == 0;
    d->decode_seconds = (double)(d->decode_bytes + d->kv_bytes) / (CPU_DECODE * cpu->bandwidth);
    d->prefill_seconds =
        d->ops_int / (CPU_PREFILL_INT * cpu->int8) + d->ops_float / (CPU_PREFILL_FLOAT * cpu->f32);
    return true;
}

static bool predict_gpu(td_plan_device *d, const td_gpu *gpu, double cost) {
    if (d->weights == 0) return true;
    if (gpu->bandwidth <= 0 || gpu->f16 <= 0) return false;
    d->decode_seconds =
        cost * (double)(d->decode_bytes + d->kv_bytes) / (GPU_DECODE * gpu->bandwidth);
    d->prefill_seconds = cost * (d->ops_int + d->ops_float) / (GPU_PREFILL * gpu->f16);
    return true;
}

/* What replacements cost, weighed by bytes. */
static double mean_cost(const td_plan *p, int device) {
    double sum = 0, bytes = 0;
    for (int i = 0; i < p->n_item; i++) {
        if (p->items[i].device != device) continue;
        sum += p->items[i].check.cost * (double)p->items[i].bytes;
        bytes += (double)p->items[i].bytes;
    }
    return bytes > 0 ? sum / bytes : 1;
}

static int n_mixed_layers(const td_plan *p) {
    uint32_t devices[TD_MAX_LAYERS] = {0};
    int n = 0;
    for (int i = 0; i < p->n_item; i++) {
        const int layer = td_plan_layer_of(p->items[i].module->name);
        if (layer >= 0 && layer < TD_MAX_LAYERS) devices[layer] |= 1u << p->items[i].device;
    }
    for (int i = 0; i < TD_MAX_LAYERS; i++) n += (devices[i] & (devices[i] - 1)) != 0;
    return n;
}

void td_plan_predict(td_plan *p) {
    double decode = HANDOVER * n_mixed_layers(p), prefill = 0;
    bool known = predict_cpu(&p->devices[TD_PLAN_CPU], &p->options.hardware->cpu);
    for (int i = 1; i < p->n_device; i++)
        known &= predict_gpu(&p->devices[i], &p->options.hardware->gpus[i - 1], mean_cost(p, i));
    for (int i = 0; i < p->n_device; i++) {
        decode += p->devices[i].decode_seconds;
        prefill += p->devices[i].prefill_seconds;
    }
    p->decode = known && decode > 0 ? 1 / decode : 0;
    p->prefill = known && prefill > 0 ? 1 / prefill : 0;
}
