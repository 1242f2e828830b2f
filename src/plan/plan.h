/* plan.h - where each module of a model goes, by which operator, and why: made before a weight is
 * read, and for machines that are not there.
 *
 * Modules are placed by a rule file (rules.h) or by defaults: with a GPU, everything but embeddings
 * and routed experts is on it; without one, all is on the CPU.  What a device cannot run is
 * replaced and said so.  This build has no GPU kernels yet: what is planned for a GPU runs on the
 * CPU (td_plan.no_kernels). */
#ifndef TD_PLAN_PLAN_H
#define TD_PLAN_PLAN_H

#include "model/model.h"
#include "plan/capability.h"
#include "plan/hardware.h"
#include "plan/predict.h"
#include "plan/rules.h"

enum { TD_PLAN_CPU = 0, TD_PLAN_MAX_DEVICE = TD_MAX_GPUS + 1 }; /* device i > 0 is GPU i - 1 */

/* A module with weights of its own; of routed experts, all of them together. */
typedef struct td_plan_item {
    const td_module *module;
    const char *op;      /* as the rule or the default says: "KLinearMarlin" */
    td_capability check; /* what becomes of it there */
    int device;
    int dtype; /* of its largest tensor; -1: none */
    uint64_t bytes, n_elem;
    bool is_experts, is_linear;
    bool streams;     /* read for every token: not embeddings */
    int i_rule;       /* -1: by default */
    const char *note; /* owned by the plan; why the device is not the one asked for; NULL */
} td_plan_item;

typedef struct td_plan_device {
    char name[16]; /* "cpu", "cuda:0" */
    uint64_t capacity;
    uint64_t weights, kv, scratch; /* bytes */
    td_predict_work work;          /* of a token here */
    int n_layer;                   /* that attend here */
} td_plan_device;

typedef struct td_plan_options {
    const td_model *model; /* may be an assumed one (td_model_options.assume) */
    const td_hardware *hardware;
    const td_rules *rules; /* NULL: the defaults */
    const td_tree *tree;   /* of the model; with rules */
    td_rules_options rules_options;
    bool strict;        /* an operator or device that has to be replaced is an error */
    bool fit;           /* no rules: as much as fits goes to the GPUs */
    int n_ctx, n_batch; /* 0: 4096, 512 */
} td_plan_options;

typedef struct td_plan {
    td_plan_options options;
    td_plan_item *items; /* owned by the arena; [n_item], in the model's order */
    int n_item;
    td_plan_device devices[TD_PLAN_MAX_DEVICE];
    int n_device;
    int n_replaced;         /* items that do not run as written */
    bool no_kernels;        /* something is planned for a GPU */
    double decode, prefill; /* tokens per second; 0: rates are not known */
    td_rules_result result; /* of the rules */
    td_arena arena;
} td_plan;

/* Borrows all that the options name.  A GPU below compute capability 7.5 is TD_ERR_UNSUPPORTED with
 * the reason.  On failure nothing needs to be cleared. */
td_status td_plan_make(td_plan *plan, const td_plan_options *options, td_err *err);
void td_plan_clear(td_plan *plan); /* zeroed is fine */

/* The item of a module, or NULL. */
const td_plan_item *td_plan_find(const td_plan *plan, const char *name);

/* plan_print.c: a table for people, lines of at most `width` columns, or JSON. */
void td_plan_print(const td_plan *plan, int width, td_strbuf *out);
void td_plan_print_json(const td_plan *plan, td_strbuf *out);

/* plan_write.c: the plan as a KTransformers rule file. */
void td_plan_write_rules(const td_plan *plan, td_strbuf *out);

#endif
