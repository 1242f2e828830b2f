/* plan_cost.c - what each device holds and does for a token, and the speed that follows
 * (predict.h). */
#include <string.h>

#include "plan/plan_int.h"

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

/* What a device does with matrices of this type that cost this much more there. */
static td_predict_part *part_of(td_plan_device *d, int dtype, double cost) {
    td_predict_work *w = &d->work;
    for (int i = 0; i < w->n_part; i++)
        if (w->parts[i].dtype == dtype && w->parts[i].cost == cost) return &w->parts[i];
    td_predict_part *part = &w->parts[w->n_part < TD_PREDICT_MAX_PART ? w->n_part++ : 0];
    *part = (td_predict_part){.dtype = dtype, .cost = cost};
    return part;
}

static void add_item(td_plan *p, const td_plan_item *item) {
    td_plan_device *d = &p->devices[item->device];
    const td_router_config *r = &p->options.model->config.router;
    const double chosen = item->is_experts && r->n_expert > 0 ? (double)r->n_used / r->n_expert : 1;
    const double ops = 2.0 * (double)item->n_elem * chosen;
    const bool is_head = item->module->linear == &p->options.model->lm_head;
    d->weights += item->bytes;
    if (is_head) d->work.layers.n_vocab = p->options.model->config.n_vocab;
    if (!item->streams || item->dtype < 0) return;
    td_predict_part *part = part_of(d, item->dtype, item->check.cost);
    part->decode_bytes += chosen * (double)item->bytes;
    part->decode_ops += ops;
    if (is_head) return; /* a prompt does not pass it */
    part->batch_bytes += (double)item->bytes;
    part->prompt_ops += ops;
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
    if (!head) return;
    td_plan_device *d = &p->devices[head->device];
    td_predict_part *part = part_of(d, head->dtype, head->check.cost);
    part->decode_bytes += (double)head->bytes;
    part->decode_ops += 2.0 * (double)head->n_elem;
    d->work.layers.n_vocab = m->config.n_vocab;
}

td_status td_plan_add_up(td_plan *p, td_err *err) {
    int attention[TD_MAX_LAYERS] = {0};
    for (int i = 0; i < p->n_device; i++) {
        td_plan_device *d = &p->devices[i];
        d->weights = d->kv = d->scratch = 0;
        d->work = (td_predict_work){0};
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
        d->n_layer++;
    }
    for (int i = 0; i < p->n_device; i++)
        if (i == TD_PLAN_CPU || p->devices[i].weights > 0)
            p->devices[i].scratch = td_plan_scratch(p);
    return TD_OK;
}

/* ---- speed ---- */

/* The layers' own work, shared out by where they attend. */
static void share_layers(td_plan *p) {
    td_predict_work all;
    const int n_layer = p->options.model->config.n_layer;
    td_predict_of_model(&all, p->options.model, p->options.n_ctx / 2, p->options.n_batch);
    for (int i = 0; i < p->n_device; i++) {
        td_predict_layers *layers = &p->devices[i].work.layers;
        const double share = (double)p->devices[i].n_layer / n_layer;
        layers->n_layer = p->devices[i].n_layer;
        layers->kv_bytes = share * all.layers.kv_bytes;
        layers->attention_ops = share * all.layers.attention_ops;
    }
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
    const td_hardware *h = p->options.hardware;
    const double row_bytes = 4.0 * p->options.model->config.n_embd;
    const double link = h->n_gpu > 0 && h->gpus[0].link > 0 ? h->gpus[0].link : 16e9;
    const int n_mixed = n_mixed_layers(p);
    double decode = n_mixed * td_predict_handover_decode();
    double prompt = n_mixed * td_predict_handover_prompt(row_bytes, link, p->options.n_batch);
    share_layers(p);
    for (int i = 0; i < p->n_device; i++) {
        const td_predict_work *work = &p->devices[i].work;
        const td_predict_device d =
            i == TD_PLAN_CPU ? td_predict_cpu(&h->cpu) : td_predict_gpu(&h->gpus[i - 1]);
        if (work->n_part == 0) continue;
        if (!td_predict_is_known(&d)) return;
        decode += td_predict_decode(&d, work);
        prompt += td_predict_prompt(&d, work, p->options.n_batch);
    }
    if (decode > 0) p->decode = 1 / decode;
    if (prompt > 0) p->prefill = 1 / prompt;
}
