/* placement.c - a rule file, honoured as far as this build can: the plan is made for this machine,
 * and what it says of the CPU is done. */
#include <string.h>

#include "base/log.h"
#include "engine/engine_int.h"
#include "plan/plan.h"
#include "plan/tree_model.h"

/* Lifetime: the call. */
typedef struct placing {
    td_engine *engine;
    const td_engine_options *options;
    td_rules *rules; /* owned, as all below */
    td_tree tree;
    td_plan plan;
    td_hardware hardware;
} placing;

/* GPUs that are excluded are left out, and that is said. */
static void leave_out_gpus(td_hardware *h) {
    int n = 0;
    for (int i = 0; i < h->n_gpu; i++) {
        char why[256];
        if (td_gpu_excluded(&h->gpus[i], why))
            td_log(TD_LOG_WARN, "%s", why);
        else
            h->gpus[n++] = h->gpus[i];
    }
    h->n_gpu = n;
}

static td_status make_plan(placing *p, td_err *err) {
    const td_hardware_request here = {0};
    TD_TRY(td_rules_load(&p->rules, p->options->rules_path, err));
    TD_TRY(td_tree_of_model(&p->tree, NULL, p->engine->model, err));
    TD_TRY(td_hardware_get(&p->hardware, &here, err));
    leave_out_gpus(&p->hardware);
    const td_plan_options options = {.model = p->engine->model,
                                     .hardware = &p->hardware,
                                     .rules = p->rules,
                                     .tree = &p->tree,
                                     .strict = p->options->strict_rules,
                                     .n_ctx = p->options->n_ctx > 0 ? p->options->n_ctx : 0};
    return td_plan_make(&p->plan, &options, err);
}

/* A rule that wants keys and values of prompts made from the latents. */
static bool wants_materialized(const td_plan *plan) {
    for (int i = 0; i < plan->result.n_entry; i++) {
        const td_rule_value *absorb =
            td_rule_get(plan->result.entries[i].kwargs, "absorb_for_prefill");
        if (absorb && !td_rule_is_true(absorb)) return true;
    }
    return false;
}

/* Linears that a rule wants computed with dequantized values. */
static int mark_exact(td_engine *e, const td_plan *plan) {
    int n = 0;
    for (int i = 0; i < plan->n_item; i++) {
        const td_plan_item *item = &plan->items[i];
        if (item->i_rule < 0 || !item->is_linear || strcmp(item->op, "KLinearTorch") != 0) continue;
        for (int k = 0; k < e->model->n_linear; k++)
            if (e->model->linears[k] == item->module->linear) {
                e->model->linears[k]->exact = true;
                n++;
            }
    }
    return n;
}

static void say(const td_plan *plan, const char *path, int n_exact) {
    int n_gpu = 0, n_other = 0;
    const char *reason = NULL;
    for (int i = 0; i < plan->n_item; i++) {
        const td_plan_item *item = &plan->items[i];
        if (item->i_rule < 0) continue; /* not what anybody wrote */
        const bool on_gpu = item->device > 0 || item->note;
        n_gpu += on_gpu;
        if (on_gpu || item->check.verdict != TD_VERDICT_REPLACED) continue;
        n_other++;
        if (!reason) reason = item->check.reason;
    }
    td_log(TD_LOG_WARN, "%s: %d of %d modules are placed on GPUs and run on the CPU: %s%s%s%s",
           path, n_gpu, plan->n_item,
           plan->n_device > 1 ? "this build has no GPU kernels yet" : "there is no GPU here",
           n_exact > 0 ? "; KLinearTorch: products with dequantized values" : "",
           n_other > 0 ? "; replaced: " : "", n_other > 0 ? reason : "");
}

static td_status place(placing *p, bool *materialize, td_err *err) {
    TD_TRY(make_plan(p, err));
    *materialize = p->engine->model->config.mla.n_rank_kv > 0 && wants_materialized(&p->plan);
    const int n_exact = mark_exact(p->engine, &p->plan);
    if (!*materialize || p->engine->model->options.materialize)
        say(&p->plan, p->options->rules_path, n_exact);
    return TD_OK;
}

td_status td_engine_apply_rules(td_engine *e, const td_engine_options *o, bool *materialize,
                                td_err *err) {
    placing p = {.engine = e, .options = o};
    td_tree_init(&p.tree);
    const td_status status = place(&p, materialize, err);
    td_plan_clear(&p.plan);
    td_tree_clear(&p.tree);
    td_rules_free(p.rules);
    return status;
}
