/* router.h - which experts a token goes to, and with what weight.
 *
 *     p = score(W x + b);  s = p + correction;  the n_used best of s within the best groups;
 *     w = p of the chosen, normalized if asked for, times scale
 *
 * (Shazeer et al., arXiv 1701.06538; groups and correction: DeepSeek-V2 and V3, arXiv 2405.04434
 * and 2412.19437).  Everything is float32.  Of equal scores the lower index wins; NaN never does.
 */
#ifndef TD_OPS_ROUTER_H
#define TD_OPS_ROUTER_H

#include "ops/linear.h"

typedef enum td_router_score {
    TD_ROUTER_SOFTMAX,
    TD_ROUTER_SIGMOID,
    TD_ROUTER_SOFTMAX_OF_CHOSEN /* over the logits of the chosen alone (gpt-oss) */
} td_router_score;

/* What a group of experts is worth; groups stand one after the other. */
typedef enum td_router_group_rule {
    TD_ROUTER_GROUP_MAX, /* its best expert (DeepSeek-V2) */
    TD_ROUTER_GROUP_TOP2 /* the sum of its two best (DeepSeek-V3) */
} td_router_group_rule;

/* Part of a model's configuration. */
typedef struct td_router_config {
    int n_expert, n_used; /* 1 <= n_used <= n_expert */
    td_router_score score;
    int n_group, n_group_used; /* n_group 0 or 1: no groups; else it divides n_expert */
    td_router_group_rule group_rule;
    bool normalize;   /* weights are divided by their sum */
    float norm_added; /* added to the sum before that */
    float norm_min;   /* least sum */
    float scale;
} td_router_config;

/* Lifetime: model.  weight of gate NULL: the module is absent. */
typedef struct td_router {
    td_router_config config;
    td_linear gate;
    const float *correction; /* owned by the model's arena; [n_expert] of the choice alone; NULL */
} td_router;

/* chosen, weight: [batch n][n_used], best first.  logits: scratch [batch n][n_expert]. */
void td_router_forward(td_step *step, const td_router *router, td_input *in, float *logits,
                       int32_t *chosen, float *weight);

#endif
