/* plan_int.h - what the files of the plan share. */
#ifndef TD_PLAN_PLAN_INT_H
#define TD_PLAN_PLAN_INT_H

#include "plan/plan.h"

/* plan.c */
int td_plan_layer_of(const char *name);
/* On this device, by the operator that is its own there. */
void td_plan_put(td_plan_item *item, int device);
/* A text in the plan's arena; "" when memory is short. */
const char *td_plan_note(td_plan *plan, const char *format, const char *a, const char *b);

/* plan_cost.c: bytes and operations per device, once all is placed; then the speed. */
td_status td_plan_add_up(td_plan *plan, td_err *err);
void td_plan_predict(td_plan *plan);
/* Bytes of the KV cache of one layer at the plan's context. */
td_status td_plan_layer_kv(const td_plan *plan, int i_layer, uint64_t *bytes, td_err *err);
/* Bytes that activations and staging take on a GPU. */
uint64_t td_plan_scratch(const td_plan *plan);

/* plan_fit.c: moves items to the GPUs while they fit. */
td_status td_plan_fit(td_plan *plan, td_err *err);

#endif
