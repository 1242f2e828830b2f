/* test_router.c - the choice of experts and their weights against the definition in double
 * precision; what happens with ties, NaN and infinities; and that a token's neighbours, the threads
 * and the CPU level change nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ops/router.h"
#include "support/op_step.h"

enum { N_EMBD = 24, MAX_EXPERT = 160, MAX_USED = 32, N_TOKEN = 64 };

/* ---- running ---- */

typedef struct routes {
    int32_t chosen[N_TOKEN * MAX_USED];
    float weight[N_TOKEN * MAX_USED];
} routes;

/* Routes m tokens x [m][N_EMBD]. */
static void run(op_step *o, const td_router *router, const float *x, int m, routes *out) {
    static float logits[N_TOKEN * MAX_EXPERT];
    td_input in = td_input_of(x, m, N_EMBD);
    td_router_forward(&o->step, router, &in, logits, out->chosen, out->weight);
}

static op_step *start(int n_thread, unsigned flags) {
    return op_step_start(n_thread, flags, N_TOKEN * N_EMBD, MAX_EXPERT);
}

/* ---- the definition ---- */

typedef struct definition {
    double p[MAX_EXPERT], s[MAX_EXPERT]; /* score, and with the correction */
    double e[MAX_EXPERT];                /* how far from s float32 may be */
    bool keep[MAX_EXPERT];               /* in one of the best groups */
    int chosen[MAX_USED];
    double weight[MAX_USED];
    bool clear; /* no two unequal scores are so close that float32 might order them otherwise */
} definition;

/* Logits are exact here, and so are differences of two.  From there to p are the exponential with
 * its two units in the last place (four roundings), in the denominator too, 160 / 16 + 4 sums and a
 * division. */
enum { N_ROUND_P = 4 + 4 + 14 + 1 };

/* The lowest index of the largest s among those that may be taken and have not been. */
static int best_of(const double *s, const bool *may, int n) {
    int best = -1;
    for (int i = 0; i < n; i++)
        if (may[i] && (best < 0 || s[i] > s[best])) best = i;
    return best;
}

static void look_for_close(definition *d, const double *s, const double *e, int n) {
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++)
            if (s[i] != s[j] && fabs(s[i] - s[j]) <= e[i] + e[j]) d->clear = false;
}

static void define_groups(const td_router_config *c, definition *d) {
    const int n = c->n_expert / c->n_group;
    double worth[MAX_EXPERT], e[MAX_EXPERT];
    bool open[MAX_EXPERT], may[MAX_EXPERT];
    for (int g = 0; g < c->n_group; g++) {
        for (int i = 0; i < n; i++) may[i] = true;
        const int first = best_of(d->s + g * n, may, n);
        worth[g] = d->s[g * n + first];
        e[g] = d->e[g * n + first];
        may[first] = false;
        open[g] = true;
        if (c->group_rule == TD_ROUTER_GROUP_MAX || n == 1) continue;
        const int second = best_of(d->s + g * n, may, n);
        worth[g] += d->s[g * n + second];
        e[g] += d->e[g * n + second] + op_gamma(1) * fabs(worth[g]);
    }
    look_for_close(d, worth, e, c->n_group);
    for (int i = 0; i < c->n_expert; i++) d->keep[i] = false;
    for (int j = 0; j < c->n_group_used; j++) {
        const int g = best_of(worth, open, c->n_group);
        open[g] = false;
        for (int i = 0; i < n; i++) d->keep[g * n + i] = true;
    }
}

static void define_scores(const td_router_config *c, const double *logits, const float *correction,
                          definition *d) {
    double sum = 0, max = -INFINITY;
    for (int i = 0; i < c->n_expert; i++) max = fmax(max, logits[i]);
    for (int i = 0; i < c->n_expert; i++) sum += exp(logits[i] - max);
    for (int i = 0; i < c->n_expert; i++) {
        d->p[i] = logits[i];
        if (c->score == TD_ROUTER_SOFTMAX) d->p[i] = exp(logits[i] - max) / sum;
        if (c->score == TD_ROUTER_SIGMOID) d->p[i] = 1 / (1 + exp(-logits[i]));
        d->s[i] = d->p[i] + (correction ? (double)correction[i] : 0);
        d->e[i] = op_gamma(N_ROUND_P) * fabs(d->p[i]) + op_gamma(1) * fabs(d->s[i]);
        if (c->score == TD_ROUTER_SOFTMAX_OF_CHOSEN) d->e[i] = 0; /* a logit */
        d->keep[i] = true;
    }
}

static void define(const td_router_config *c, const double *logits, const float *correction,
                   definition *d) {
    double sum = 0;
    d->clear = true;
    define_scores(c, logits, correction, d);
    look_for_close(d, d->s, d->e, c->n_expert);
    if (c->n_group > 1) define_groups(c, d);
    for (int j = 0; j < c->n_used; j++) {
        d->chosen[j] = best_of(d->s, d->keep, c->n_expert);
        d->keep[d->chosen[j]] = false;
        d->weight[j] = d->p[d->chosen[j]];
        if (c->score == TD_ROUTER_SOFTMAX_OF_CHOSEN) d->weight[j] = exp(d->weight[j]);
        sum += d->weight[j];
    }
    for (int j = 0; j < c->n_used && c->score == TD_ROUTER_SOFTMAX_OF_CHOSEN; j++)
        d->weight[j] /= sum;
    if (c->score == TD_ROUTER_SOFTMAX_OF_CHOSEN) sum = 1;
    sum = fmax(sum + (double)c->norm_added, (double)c->norm_min);
    for (int j = 0; j < c->n_used; j++)
        d->weight[j] *= (c->normalize ? 1 / sum : 1) * (double)c->scale;
}

/* ---- random tokens ---- */

static const struct {
    td_router_config c;
    bool correction;
} cases[] = {
  /* Mixtral, OLMoE, Qwen */
    {{8, 2, TD_ROUTER_SOFTMAX, 0, 0, TD_ROUTER_GROUP_MAX, true, 0, 0, 1},               false},
    {{64, 8, TD_ROUTER_SOFTMAX, 0, 0, TD_ROUTER_GROUP_MAX, false, 0, 0, 1},             false},
    {{60, 4, TD_ROUTER_SOFTMAX, 1, 1, TD_ROUTER_GROUP_MAX, true, 0, 1e-12f, 1},         false},
 /* DeepSeek-V2 and V3 */
    {{160, 6, TD_ROUTER_SOFTMAX, 8, 3, TD_ROUTER_GROUP_MAX, false, 0, 0, 16},           false},
    {{64, 8, TD_ROUTER_SIGMOID, 8, 4, TD_ROUTER_GROUP_TOP2, true, 1e-20f, 0, 2.5f},     true },
    {{16, 4, TD_ROUTER_SIGMOID, 16, 5, TD_ROUTER_GROUP_TOP2, true, 1e-20f, 0, 1},
     true                                                                                    }, /* groups of one */
    {{12, 5, TD_ROUTER_SIGMOID, 2, 1, TD_ROUTER_GROUP_MAX, false, 0, 0, 1},             true },
    {{30, 30, TD_ROUTER_SOFTMAX, 3, 3, TD_ROUTER_GROUP_TOP2, true, 0, 0, 1},            true },
 /* MiniMax, ERNIE, gpt-oss */
    {{32, 8, TD_ROUTER_SIGMOID, 0, 0, TD_ROUTER_GROUP_MAX, true, 1e-20f, 0, 1},         true },
    {{32, 6, TD_ROUTER_SOFTMAX, 0, 0, TD_ROUTER_GROUP_MAX, true, 0, 1e-12f, 1},         true },
    {{32, 4, TD_ROUTER_SOFTMAX_OF_CHOSEN, 0, 0, TD_ROUTER_GROUP_MAX, false, 0, 0, 1},   false},
    {{32, 4, TD_ROUTER_SOFTMAX_OF_CHOSEN, 0, 0, TD_ROUTER_GROUP_MAX, true, 0, 0, 0.5f}, false},
 /* what is added, and the least sum, large enough to be seen */
    {{10, 3, TD_ROUTER_SIGMOID, 0, 0, TD_ROUTER_GROUP_MAX, true, 0.75f, 0, 1},          false},
    {{10, 3, TD_ROUTER_SIGMOID, 0, 0, TD_ROUTER_GROUP_MAX, true, 0, 2.75f, 1},          false},
    {{10, 3, TD_ROUTER_SIGMOID, 0, 0, TD_ROUTER_GROUP_MAX, true, 0.5f, 3, 3},           true },
 /* all of them, and the only one */
    {{7, 7, TD_ROUTER_SOFTMAX, 0, 0, TD_ROUTER_GROUP_MAX, true, 0, 0, 1},               false},
    {{7, 7, TD_ROUTER_SOFTMAX_OF_CHOSEN, 0, 0, TD_ROUTER_GROUP_MAX, false, 0, 0, 1},    false},
    {{1, 1, TD_ROUTER_SOFTMAX, 0, 0, TD_ROUTER_GROUP_MAX, true, 0, 0, 1},               false},
    {{1, 1, TD_ROUTER_SIGMOID, 0, 0, TD_ROUTER_GROUP_MAX, false, 0, 0, 2},              true },
};
enum { N_CASE = sizeof cases / sizeof *cases };

typedef struct inputs {
    op_weight gate;
    td_router router;
    float bias[MAX_EXPERT], correction[MAX_EXPERT], x[N_TOKEN * N_EMBD];
} inputs;

/* Weights in sixteenths, inputs in eighths: logits are exact multiples of 1/128, so that the
 * definition starts from the same ones, and unequal ones are not close.  Every third case has
 * experts with equal rows: ties. */
static void make_inputs(inputs *in, int i_case, op_step *o) {
    const td_router_config *c = &cases[i_case].c;
    static float w[MAX_EXPERT * N_EMBD];
    uint64_t state = (uint64_t)i_case + 1;
    for (int i = 0; i < c->n_expert; i++)
        for (int j = 0; j < N_EMBD; j++) {
            const bool again = i_case % 3 == 0 && i % 4 >= 2;
            w[i * N_EMBD + j] =
                again ? w[(i - 2) * N_EMBD + j] : (float)(op_random_int(&state, 33) - 16) / 16;
        }
    for (int i = 0; i < N_TOKEN * N_EMBD; i++)
        in->x[i] = (float)(op_random_int(&state, 17) - 8) / 8;
    for (int i = 0; i < c->n_expert; i++) {
        in->bias[i] = i_case % 3 == 0 ? 0 : (float)(op_random_int(&state, 65) - 32) / 128;
        in->correction[i] = i_case % 3 == 0 ? 0.25f : op_random(&state);
    }
    op_weight_make(&in->gate, TD_DTYPE_F32, c->n_expert, N_EMBD, w, NULL);
    in->router = (td_router){.config = *c, .gate = op_linear(&in->gate, in->bias, OP_EXACT, o)};
    in->router.correction = cases[i_case].correction ? in->correction : NULL;
}

static void define_token(const inputs *in, int token, definition *d) {
    const td_router_config *c = &in->router.config;
    double logits[MAX_EXPERT];
    for (int i = 0; i < c->n_expert; i++) {
        logits[i] = (double)in->bias[i];
        for (int j = 0; j < N_EMBD; j++)
            logits[i] +=
                (double)in->gate.values[i * N_EMBD + j] * (double)in->x[token * N_EMBD + j];
    }
    define(c, logits, in->router.correction, d);
}

/* After p: the sum of at most 32 of them, what is added, the quotient (of two numbers, each with
 * the roundings of p), the scale. */
enum { N_ROUND_WEIGHT = 2 * N_ROUND_P + MAX_USED + 4 };

static void compare(const inputs *in, const routes *got, int *n_clear) {
    const int n = in->router.config.n_used;
    for (int t = 0; t < N_TOKEN; t++) {
        definition d;
        define_token(in, t, &d);
        if (!d.clear) continue;
        (*n_clear)++;
        for (int j = 0; j < n; j++) {
            assert_int_equal(got->chosen[t * n + j], d.chosen[j]);
            assert_true(fabs((double)got->weight[t * n + j] - d.weight[j]) <=
                        op_gamma(N_ROUND_WEIGHT) * d.weight[j]);
        }
    }
}

static void test_definition(void **state) {
    (void)state;
    static inputs in;
    static routes got;
    op_step *o = start(1, TD_CPU_SCALAR);
    for (int i = 0; i < N_CASE; i++) {
        int n_clear = 0;
        make_inputs(&in, i, o);
        run(o, &in.router, in.x, N_TOKEN, &got);
        compare(&in, &got, &n_clear);
        print_message("case %d: %d of %d tokens compared\n", i, n_clear, N_TOKEN);
        assert_true(n_clear >= N_TOKEN / 2);
        op_weight_clear(&in.gate);
    }
    op_step_stop(o);
}

/* ---- the same bits ---- */

/* Rows `most` at a time. */
static void run_cut(op_step *o, const inputs *in, int most, routes *out) {
    static routes part;
    const size_t n = (size_t)in->router.config.n_used;
    for (int t = 0; t < N_TOKEN; t += most) {
        const int m = N_TOKEN - t < most ? N_TOKEN - t : most;
        run(o, &in->router, in->x + t * N_EMBD, m, &part);
        memcpy(out->chosen + (size_t)t * n, part.chosen, (size_t)m * n * sizeof *part.chosen);
        memcpy(out->weight + (size_t)t * n, part.weight, (size_t)m * n * sizeof *part.weight);
    }
}

static void test_same_bits(void **state) {
    (void)state;
    static const int cuts[] = {1, 7, N_TOKEN};
    static inputs in;
    static routes want, got;
    int n_level;
    const td_cpu_level_info *levels = td_cpu_level_list(&n_level);
    for (int i = 0; i < N_CASE * n_level; i++) {
        if (levels[i / N_CASE].flags & ~td_cpu_detect()) continue;
        const int n = N_TOKEN * cases[i % N_CASE].c.n_used;
        for (int cut = 0; cut < 3; cut++) {
            op_step *o = start(1, TD_CPU_SCALAR), *other = start(3 - cut, levels[i / N_CASE].flags);
            make_inputs(&in, i % N_CASE, o);
            run(o, &in.router, in.x, N_TOKEN, &want);
            run_cut(other, &in, cuts[cut], &got);
            assert_memory_equal(got.chosen, want.chosen, (size_t)n * sizeof *got.chosen);
            assert_memory_equal(got.weight, want.weight, (size_t)n * sizeof *got.weight);
            op_weight_clear(&in.gate);
            op_step_stop(other);
            op_step_stop(o);
        }
    }
}

/* ---- given logits ---- */

/* Routes one token whose logits are the biases of a gate of zeros. */
static void run_logits(op_step *o, const td_router_config *c, const float *logits,
                       const float *correction, routes *out) {
    static const float zeros[MAX_EXPERT * N_EMBD];
    op_weight gate;
    op_weight_make(&gate, TD_DTYPE_F32, c->n_expert, N_EMBD, zeros, NULL);
    const td_router router = {
        .config = *c, .gate = op_linear(&gate, logits, OP_EXACT, o), .correction = correction};
    run(o, &router, zeros, 1, out);
    op_weight_clear(&gate);
}

static const struct {
    const char *name;
    td_router_score score;
    int n, n_used, n_group, n_group_used;
    td_router_group_rule rule;
    float logits[8], correction[8];
    int chosen[8];
} given[] = {
#define MAX_RULE TD_ROUTER_GROUP_MAX
#define TOP2     TD_ROUTER_GROUP_TOP2
    {"tie, lowest index",
                                         TD_ROUTER_SOFTMAX,                                      6,
                                         3,                                                            0,
                                         0,                                                                  MAX_RULE,
                                         {1, 2, 2, 1, 2, 1},
                                         {0},
                                         {1, 2, 4}                                                                                                                 },
    {"all equal",
                                         TD_ROUTER_SIGMOID,                                      8,
                                         4,                                                            0,
                                         0,                                                                  MAX_RULE,
                                         {3, 3, 3, 3, 3, 3, 3, 3},
                                         {0},
                                         {0, 1, 2, 3}                                                                                                              },
    {"zeros of both signs",
                                         TD_ROUTER_SOFTMAX_OF_CHOSEN,                            4,
                                         2,                                                            0,
                                         0,                                                                  MAX_RULE,
                                         {-0.0f, 0, -0.0f, 0},
                                         {0},
                                         {0, 1}                                                                                                                    },
    {"tie of groups by max",
                                         TD_ROUTER_SOFTMAX,                                      8,
                                         2,                                                            4,
                                         2,                                                                  MAX_RULE,
                                         {0, 3, 1, 3, 3, 0, 2, 2},
                                         {0},
                                         {1, 3}                                                                                                                    },
    {"tie of groups by two",
                                         TD_ROUTER_SIGMOID,                                      8,
                                         3,                                                            4,
                                         2,                                                                  TOP2,
                                         {0, 0, 2, 1, 1, 2, 2, 1},
                                         {0},
                                         {2, 5, 3}                                                                                                                 },
    {"max and two differ: max",           TD_ROUTER_SIGMOID, 4, 1, 2, 1, MAX_RULE, {3, -3, 2, 2},                {0}, {0}      },
    {"max and two differ: two",           TD_ROUTER_SIGMOID, 4, 1, 2, 1, TOP2,     {3, -3, 2, 2},                {0}, {2}      },
    {"correction chooses",
                                         TD_ROUTER_SIGMOID,                                      4,
                                         2,                                                            0,
                                         0,                                                                  MAX_RULE,
                                         {3, 2, 1, 0},
                                         {-1, 0, 0, 1},
                                         {3, 1}                                                                                                                    },
    {"correction chooses groups",
                                         TD_ROUTER_SIGMOID,                                      4,
                                         2,                                                            2,
                                         1,                                                                  TOP2,
                                         {3, 3, 1, 0},
                                         {0, 0, 2, 0},
                                         {2, 3}                                                                                                                    },
    {"NaN is last",                       TD_ROUTER_SIGMOID, 4, 3, 0, 0, MAX_RULE, {NAN, 1, 2, NAN},             {0}, {2, 1, 0}},
    {"NaN is behind -inf",
                                         TD_ROUTER_SOFTMAX_OF_CHOSEN,                            4,
                                         3,                                                            0,
                                         0,                                                                  MAX_RULE,
                                         {NAN, 1, 2, -INFINITY},
                                         {0},
                                         {2, 1, 3}                                                                                                                 },
    {"NaN makes a softmax of NaN",
                                         TD_ROUTER_SOFTMAX,                                      4,
                                         3,                                                            0,
                                         0,                                                                  MAX_RULE,
                                         {0, 1, NAN, 2},
                                         {0},
                                         {0, 1, 2}                                                                                                                 },
    {"all NaN, softmax",
                                         TD_ROUTER_SOFTMAX,                                      5,
                                         3,                                                            0,
                                         0,                                                                  MAX_RULE,
                                         {NAN, NAN, NAN, NAN, NAN},
                                         {0},
                                         {0, 1, 2}                                                                                                                 },
    {"all NaN, sigmoid",
                                         TD_ROUTER_SIGMOID,                                      4,
                                         4,                                                            0,
                                         0,                                                                  MAX_RULE,
                                         {NAN, NAN, NAN, NAN},
                                         {0},
                                         {0, 1, 2, 3}                                                                                                              },
    {"all NaN, of chosen",
                                         TD_ROUTER_SOFTMAX_OF_CHOSEN,                            4,
                                         2,                                                            0,
                                         0,                                                                  MAX_RULE,
                                         {NAN, NAN, NAN, NAN},
                                         {0},
                                         {0, 1}                                                                                                                    },
    {"+inf",                              TD_ROUTER_SIGMOID, 4, 2, 0, 0, MAX_RULE, {0, INFINITY, 1, INFINITY},   {0}, {1, 3}   },
    {"+inf, of chosen",
                                         TD_ROUTER_SOFTMAX_OF_CHOSEN,                            3,
                                         2,                                                            0,
                                         0,                                                                  MAX_RULE,
                                         {0, INFINITY, 1},
                                         {0},
                                         {1, 2}                                                                                                                    },
    {"-inf",                              TD_ROUTER_SOFTMAX, 4, 3, 0, 0, MAX_RULE, {-INFINITY, 0, -INFINITY, 1}, {0}, {3, 1, 0}},
    {"all -inf",
                                         TD_ROUTER_SIGMOID,                                      3,
                                         2,                                                            0,
                                         0,                                                                  MAX_RULE,
                                         {-INFINITY, -INFINITY, -INFINITY},
                                         {0},
                                         {0, 1}                                                                                                                    },
    {"NaN beside a number in the groups",
                                         TD_ROUTER_SIGMOID,                                      4,
                                         2,                                                            2,
                                         1,                                                                  MAX_RULE,
                                         {NAN, 2, 1, 1},
                                         {0},
                                         {1, 2}                                                                                                                    },
};

static void test_given_logits(void **state) {
    (void)state;
    static routes got;
    op_step *o = start(1, TD_CPU_SCALAR);
    for (size_t i = 0; i < sizeof given / sizeof *given; i++) {
        const td_router_config c = {.n_expert = given[i].n,
                                    .n_used = given[i].n_used,
                                    .score = given[i].score,
                                    .n_group = given[i].n_group,
                                    .n_group_used = given[i].n_group_used,
                                    .group_rule = given[i].rule,
                                    .normalize = true,
                                    .scale = 1};
        run_logits(o, &c, given[i].logits, given[i].correction, &got);
        for (int j = 0; j < c.n_used; j++)
            if (got.chosen[j] != given[i].chosen[j])
                fail_msg("%s: slot %d has expert %d, wanted %d", given[i].name, j, got.chosen[j],
                         given[i].chosen[j]);
    }
    op_step_stop(o);
}

/* The correction chooses and weighs nothing. */
static void test_correction_weighs_nothing(void **state) {
    (void)state;
    static routes got;
    const float logits[3] = {0, 0, 0}, correction[3] = {-8, 8, 0};
    op_step *o = start(1, TD_CPU_SCALAR);
    const td_router_config c = {.n_expert = 3, .n_used = 2, .score = TD_ROUTER_SIGMOID, .scale = 1};
    run_logits(o, &c, logits, correction, &got);
    assert_int_equal(got.chosen[0], 1);
    assert_int_equal(got.chosen[1], 2);
    assert_true(got.weight[0] == 0.5f && got.weight[1] == 0.5f);
    op_step_stop(o);
}

/* What the gates of broken files may give: any of the logits, and of the corrections, NaN or
 * infinite.  Each token still goes to n_used experts, that are not the same one. */
static float poison(uint64_t *state) {
    static const float values[] = {NAN, -NAN, INFINITY, -INFINITY, 3.4e38f, -3.4e38f, 1e-45f, 0};
    const int i = op_random_int(state, 16);
    return i < 8 ? values[i] : op_random(state);
}

static void check_poisoned(const td_router_config *c, const float *logits, const float *correction,
                           const routes *got) {
    bool taken[MAX_EXPERT] = {false};
    for (int j = 0; j < c->n_used; j++) {
        assert_in_range(got->chosen[j], 0, c->n_expert - 1);
        assert_false(taken[got->chosen[j]]);
        taken[got->chosen[j]] = true;
    }
    if (c->score == TD_ROUTER_SOFTMAX || c->n_group > 1) return;
    for (int i = 0; i < c->n_expert; i++)
        for (int j = 0; j < c->n_used; j++)
            if (isnan(logits[got->chosen[j]] + correction[got->chosen[j]]))
                assert_true(taken[i] || isnan(logits[i] + correction[i]));
}

static void test_poisoned(void **state) {
    (void)state;
    static routes got;
    uint64_t random = 5;
    float logits[32], correction[32];
    op_step *o = start(1, TD_CPU_SCALAR);
    for (int round = 0; round < 600; round++) {
        const td_router_config c = {.n_expert = 32,
                                    .n_used = 1 + op_random_int(&random, 16),
                                    .score = (td_router_score)(round % 3),
                                    .n_group = round % 2 ? 4 : 0,
                                    .n_group_used = 2,
                                    .group_rule = (td_router_group_rule)(round % 4 / 2),
                                    .normalize = true,
                                    .scale = 1};
        for (int i = 0; i < 32; i++) {
            logits[i] = poison(&random);
            correction[i] = round % 5 == 0 ? poison(&random) : 0;
        }
        run_logits(o, &c, logits, correction, &got);
        check_poisoned(&c, logits, correction, &got);
    }
    op_step_stop(o);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_definition),   cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_given_logits), cmocka_unit_test(test_correction_weighs_nothing),
        cmocka_unit_test(test_poisoned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
