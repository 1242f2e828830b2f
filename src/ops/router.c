/* router.c - one work item is one token. */
#include "ops/router.h"

#include <math.h>
#include <string.h>

#include "kernel/ref/exp.h"

enum { MAX_GROUPS = 64 }; /* of a row of flags on the stack; config.c checks */

typedef struct router_job {
    const td_step *step;
    const td_router *router;
    float *logits;
    int32_t *chosen;
    float *weight;
} router_job;

/* Whether score a at index i comes before score b at index j. */
static bool is_better(float a, int i, float b, int j) {
    if (isnan(a)) return isnan(b) && i < j;
    return isnan(b) || a > b || (a == b && i < j);
}

/* The n best of score[n_all], best first: insertion into a sorted list. */
static void top_k(const float *score, int n_all, int n, int32_t *best) {
    int n_best = 0;
    for (int i = 0; i < n_all; i++) {
        if (n_best == n && !is_better(score[i], i, score[best[n - 1]], best[n - 1])) continue;
        int at = n_best < n ? n_best++ : n - 1;
        for (; at > 0 && is_better(score[i], i, score[best[at - 1]], best[at - 1]); at--)
            best[at] = best[at - 1];
        best[at] = i;
    }
}

static float group_score(const float *score, int n, td_router_group_rule rule) {
    int32_t best[2];
    const int n_best = rule == TD_ROUTER_GROUP_TOP2 && n > 1 ? 2 : 1;
    top_k(score, n, n_best, best);
    return n_best == 2 ? score[best[0]] + score[best[1]] : score[best[0]];
}

/* Takes the experts of all but the best groups out of the choice. */
static void limit_groups(const td_router_config *c, float *score) {
    float of_group[MAX_GROUPS];
    int32_t best[MAX_GROUPS];
    bool keep[MAX_GROUPS] = {false};
    const int n = c->n_expert / c->n_group;
    for (int g = 0; g < c->n_group; g++) of_group[g] = group_score(score + g * n, n, c->group_rule);
    top_k(of_group, c->n_group, c->n_group_used, best);
    for (int i = 0; i < c->n_group_used; i++) keep[best[i]] = true;
    for (int i = 0; i < c->n_expert; i++)
        if (!keep[i / n]) score[i] = -INFINITY;
}

/* p = softmax(p) */
static void softmax(const td_kernels *k, float *p, int n) {
    const float sum = k->exp_sum(p, n, k->max(p, n));
    for (int i = 0; i < n; i++) p[i] /= sum;
}

static void weigh(const td_router_config *c, float *weight) {
    float sum = 0;
    for (int i = 0; i < c->n_used; i++) sum += weight[i];
    sum += c->norm_added;
    if (sum < c->norm_min) sum = c->norm_min;
    for (int i = 0; i < c->n_used; i++) {
        if (c->normalize) weight[i] /= sum;
        weight[i] *= c->scale;
    }
}

/* p: the token's logits, used up.  score: scratch [n_expert]. */
static void route(const td_router *r, const td_kernels *k, float *p, float *score, int32_t *chosen,
                  float *weight) {
    const td_router_config *c = &r->config;
    if (c->score == TD_ROUTER_SOFTMAX) softmax(k, p, c->n_expert);
    for (int i = 0; i < c->n_expert && c->score == TD_ROUTER_SIGMOID; i++)
        p[i] = 1.0f / (1.0f + td_exp(-p[i]));
    for (int i = 0; i < c->n_expert; i++) score[i] = p[i] + (r->correction ? r->correction[i] : 0);
    if (c->n_group > 1) limit_groups(c, score);
    top_k(score, c->n_expert, c->n_used, chosen);
    for (int i = 0; i < c->n_used; i++) weight[i] = p[chosen[i]];
    if (c->score == TD_ROUTER_SOFTMAX_OF_CHOSEN) softmax(k, weight, c->n_used);
    weigh(c, weight);
}

static void route_tokens(void *context, int begin, int end, int i_thread) {
    const router_job *job = context;
    const td_router_config *c = &job->router->config;
    float *score = td_step_tile(job->step, i_thread);
    for (int i = begin; i < end; i++)
        route(job->router, job->step->kernels, job->logits + (ptrdiff_t)i * c->n_expert, score,
              job->chosen + (ptrdiff_t)i * c->n_used, job->weight + (ptrdiff_t)i * c->n_used);
}

void td_router_forward(td_step *step, const td_router *r, td_input *in, float *logits,
                       int32_t *chosen, float *weight) {
    td_linear_forward(step, &r->gate, in, logits, r->config.n_expert);
    router_job job = {step, r, logits, chosen, weight};
    td_pool_run(step->pool, in->m, 8, route_tokens, &job);
}
