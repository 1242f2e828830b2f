/* plan.c - placing modules and adding up. */
#include "plan/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan/plan_int.h"

static td_status no_memory(td_err *err) {
    return td_fail(err, TD_ERR_NOMEM, "out of memory: the plan");
}

/* ---- devices ---- */

static td_status make_devices(td_plan *p, td_err *err) {
    const td_hardware *h = p->options.hardware;
    p->devices[TD_PLAN_CPU] = (td_plan_device){.name = "cpu", .capacity = h->ram};
    p->n_device = h->n_gpu + 1;
    for (int i = 0; i < h->n_gpu; i++) {
        char why[256];
        if (td_gpu_excluded(&h->gpus[i], why)) return td_fail(err, TD_ERR_UNSUPPORTED, "%s", why);
        td_plan_device *d = &p->devices[i + 1];
        d->capacity = h->gpus[i].memory;
        snprintf(d->name, sizeof d->name, "cuda:%d", i);
    }
    return TD_OK;
}

static const td_gpu *gpu_of(const td_plan *p, int device) {
    return device > 0 ? &p->options.hardware->gpus[device - 1] : NULL;
}

const char *td_plan_note(td_plan *p, const char *format, const char *a, const char *b) {
    td_strbuf text = {0};
    td_strbuf_addf(&text, format, a, b);
    const char *note = text.text ? td_arena_strndup(&p->arena, text.text, text.n) : NULL;
    td_strbuf_clear(&text);
    return note ? note : "";
}

/* "cuda", "cuda:1", "cpu"; what is not there becomes the nearest that is, with a note. */
static int device_of(td_plan *p, const char *name, const char **note) {
    const int n_gpu = p->n_device - 1;
    *note = NULL;
    if (!name || strcmp(name, "cpu") == 0) return TD_PLAN_CPU;
    const char *colon = strchr(name, ':');
    const long i = colon ? strtol(colon + 1, NULL, 10) : 0;
    if (n_gpu == 0) {
        *note = td_plan_note(p, "there is no %s here%s: the CPU takes it", name, "");
        return TD_PLAN_CPU;
    }
    const bool cuda = strncmp(name, "cuda", 4) == 0 && (name[4] == ':' || name[4] == 0);
    const int device = i < 0 ? 1 : i >= n_gpu ? n_gpu : (int)i + 1;
    if (!cuda)
        *note = td_plan_note(p, "'%s' is another vendor's device: %s takes it", name,
                             p->devices[device].name);
    else if (i >= n_gpu)
        *note = td_plan_note(p, "there is no %s here: %s takes it", name, p->devices[device].name);
    return device;
}

/* ---- items ---- */

static bool has_weights(const td_module *m) { return m->tensors != NULL; }

static int count_modules(const td_module *m) {
    int n = has_weights(m);
    for (const td_module *c = m->first_child; c; c = c->next) n += count_modules(c);
    return n;
}

static int dtype_of(const td_module *m) {
    int dtype = -1;
    uint64_t most = 0;
    for (const td_module_tensor *t = m->tensors; t; t = t->next) {
        if (t->tensor->n_bytes <= most && dtype >= 0) continue;
        most = t->tensor->n_bytes;
        dtype = (int)t->tensor->dtype;
    }
    return dtype;
}

static bool is_embedding(const td_plan *p, const td_module *m) {
    const td_model *model = p->options.model;
    return m->weight && (m->weight == model->embed || m->weight == model->positions) && !m->linear;
}

static void add_items(td_plan *p, const td_module *m) {
    if (has_weights(m))
        p->items[p->n_item++] = (td_plan_item){.module = m,
                                               .dtype = dtype_of(m),
                                               .bytes = td_module_bytes(m),
                                               .n_elem = td_module_elems(m),
                                               .is_experts = m->experts != NULL,
                                               .is_linear = m->linear != NULL,
                                               .streams = !is_embedding(p, m),
                                               .i_rule = -1};
    for (const td_module *c = m->first_child; c; c = c->next) add_items(p, c);
}

/* The number behind "layers." in a name, -1: it is outside of the layers. */
int td_plan_layer_of(const char *name) {
    const char *at = strstr(name, "layers.");
    return at && at[7] >= '0' && at[7] <= '9' ? atoi(at + 7) : -1;
}

/* ---- rules ---- */

/* The entry of a module, or of the nearest one above it that has one: what a rule hides belongs to
 * the module that it won. */
static const td_rules_entry *entry_of(const td_plan *p, const char *name) {
    char at[512];
    snprintf(at, sizeof at, "%s", name);
    for (;;) {
        const td_rules_entry *e = td_rules_find(&p->result, at);
        char *dot = strrchr(at, '.');
        if (e || !*at) return e;
        *(dot ? dot : at) = 0;
    }
}

/* What a rule's class does without the keyword. */
static const char *default_op(const td_plan_item *item, const char *class_name) {
    if (item->is_experts)
        return strcmp(class_name, "default") == 0 ? "KExpertsTorch" : "KExpertsCPU";
    if (strstr(class_name, "KTransformersLinear")) return "KLinearMarlin";
    return item->is_linear ? "KLinearTorch" : "default";
}

static const char *op_of(const td_plan_item *item, const td_rules_entry *e) {
    const char *op = td_rule_string(td_rule_get(e->kwargs, "generate_op"));
    if (!op) op = td_rule_string(td_rule_get(e->kwargs, "generate_mlp_type"));
    if (!op || strcmp(op, "None") == 0) return default_op(item, e->class_name);
    const char *modern = td_rules_modern_name(op);
    return modern ? modern : op;
}

static td_status place_by_rule(td_plan *p, td_plan_item *item, td_err *err) {
    const td_rules_entry *e = entry_of(p, item->module->name);
    if (!e) {
        item->op = default_op(item, "default");
        return TD_OK;
    }
    const char *device = td_rule_string(td_rule_get(e->kwargs, "generate_device"));
    if (!device) device = e->device;
    item->i_rule = e->i_rule;
    item->op = op_of(item, e);
    item->device = device_of(p, device ? device : "cuda", &item->note);
    if (e->i_rule >= 0 && !td_operator_find(item->op))
        return td_fail(err, TD_ERR_UNSUPPORTED, "%s:%d: no operator is called '%s'",
                       td_rules_path(p->options.rules),
                       td_rules_at(p->options.rules, e->i_rule)->line, item->op);
    return TD_OK;
}

/* ---- defaults ---- */

void td_plan_put(td_plan_item *item, int device) {
    item->device = device;
    if (item->is_experts)
        item->op = device ? "KExpertsMarlin" : "KExpertsCPU";
    else if (item->is_linear)
        item->op = device ? "KLinearMarlin" : "KLinearCPUInfer";
    else
        item->op = "default";
}

static void place_by_default(const td_plan *p, td_plan_item *item) {
    const bool gpu = p->n_device > 1 && item->streams && !item->is_experts;
    td_plan_put(item, gpu ? 1 : TD_PLAN_CPU);
}

/* ---- what becomes of it ---- */

static const char *rule_place(const td_plan *p, const td_plan_item *item, char text[600]) {
    if (item->i_rule < 0)
        snprintf(text, 600, "%s", item->module->name);
    else
        snprintf(text, 600, "%s:%d: %s", td_rules_path(p->options.rules),
                 td_rules_at(p->options.rules, item->i_rule)->line, item->module->name);
    return text;
}

static td_status check_item(td_plan *p, td_plan_item *item, td_err *err) {
    char place[600];
    td_capability_check(&item->check, item->op, item->dtype, gpu_of(p, item->device));
    if (item->check.verdict == TD_VERDICT_REFUSED)
        return td_fail(err, TD_ERR_UNSUPPORTED, "%s: %s", rule_place(p, item, place),
                       item->check.reason);
    if (item->check.kind == TD_DEVICE_CPU) item->device = TD_PLAN_CPU;
    const bool replaced = item->check.verdict == TD_VERDICT_REPLACED || item->note;
    if (replaced && p->options.strict && item->i_rule >= 0)
        return td_fail(err, TD_ERR_UNSUPPORTED, "%s: %s (--strict)", rule_place(p, item, place),
                       item->note ? item->note : item->check.reason);
    p->n_replaced += replaced;
    p->no_kernels |= item->device > 0 && !item->check.op->in_build;
    return TD_OK;
}

/* ---- all together ---- */

static td_status place_all(td_plan *p, td_err *err) {
    const td_plan_options *o = &p->options;
    if (o->rules) TD_TRY(td_rules_resolve(o->rules, o->tree, &o->rules_options, &p->result, err));
    for (int i = 0; i < p->n_item; i++) {
        if (o->rules)
            TD_TRY(place_by_rule(p, &p->items[i], err));
        else
            place_by_default(p, &p->items[i]);
    }
    if (o->fit && !o->rules) TD_TRY(td_plan_fit(p, err));
    for (int i = 0; i < p->n_item; i++) TD_TRY(check_item(p, &p->items[i], err));
    return TD_OK;
}

static td_status make(td_plan *p, td_err *err) {
    td_arena_init(&p->arena, 1 << 16);
    if (p->options.n_ctx == 0) p->options.n_ctx = 4096;
    if (p->options.n_batch == 0) p->options.n_batch = 512;
    TD_TRY(make_devices(p, err));
    const int n = count_modules(p->options.model->root);
    p->items = td_arena_calloc(&p->arena, (size_t)n, sizeof *p->items);
    if (!p->items) return no_memory(err);
    add_items(p, p->options.model->root);
    TD_TRY(place_all(p, err));
    TD_TRY(td_plan_add_up(p, err));
    td_plan_predict(p);
    return TD_OK;
}

td_status td_plan_make(td_plan *p, const td_plan_options *options, td_err *err) {
    *p = (td_plan){.options = *options};
    const td_status status = make(p, err);
    if (status != TD_OK) td_plan_clear(p);
    return status;
}

void td_plan_clear(td_plan *p) {
    td_rules_result_clear(&p->result);
    td_arena_clear(&p->arena);
    *p = (td_plan){0};
}

const td_plan_item *td_plan_find(const td_plan *p, const char *name) {
    for (int i = 0; i < p->n_item; i++)
        if (strcmp(p->items[i].module->name, name) == 0) return &p->items[i];
    return NULL;
}
