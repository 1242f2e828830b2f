/* test_experts.c - the routed experts against the definition in double precision, within bounds
 * that follow from the roundings; and that neither a token's neighbours, nor the threads, nor
 * where the weights are, nor the CPU level change a bit of what it gives.
 *
 * The bounds.  Each number of the definition has an error e: how far what the operator has there
 * may be from it.  u is 2^-24, gamma(n) = n u / (1 - n u).
 *
 * Linear, y = W x + b: e_y = sum |W| e_x + gamma(n) (sum |W|' (|x| + e_x) + |b|), where |W|' are
 * the parts of a weight (support/op_step.h) and n is the roundings that a product may pass.  Float
 * kernels sum one by one within 128 and then those sums: min(k, 128) + k / 128 + 1.  The others
 * round twice per block of activations, and three times for the scales and the integer.  One more
 * is for b.
 *
 * Quantizing: the definition quantizes too.  With A = max (|x| + e_x) over a block and the step d =
 * max |x| / 127, the operator's step is within e_d = max e_x / 127 + gamma(4) A / 127 of it, and
 * what it rounds is within t = (e_x + 127 e_d) / d of x / d.  If no rounding boundary is that near,
 * both have the same integer and e = 127 e_d; else e = d + 128 e_d.
 *
 * Activation: |silu'| <= 1.1; the exponential is within 2 units in the last place, which with the
 * sum, quotient and product is within gamma(8), and its argument is exact.  Gelu's (by tanh) has an
 * argument of five roundings, and |gelu'| <= 1.2.
 *
 * Sum over n slots: gamma(n) sum |w| (|y| + e_y) + sum |w| e_y. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ops/experts.h"
#include "support/op_step.h"

enum { N_TOKEN = 64, MAX_EXPERT = 6, MAX_USED = 3, MAX_WIDTH = 512, N_DEFINED = 9 };

/* ---- the cases ---- */

typedef enum pattern {
    SCATTERED, /* at random; nobody chooses expert 1 */
    ONE_FOR_ALL
} pattern;

typedef struct experts_case {
    td_dtype dtype;
    int n_expert, n_used, n_embd, n_ff;
    bool gated, biases, weigh_input;
    td_activation activation;
    td_glu_bounds bounds;
    pattern pattern;
} experts_case;

#define SILU TD_ACTIVATION_SILU
#define GELU TD_ACTIVATION_GELU_TANH

static const experts_case cases[] = {
    {TD_DTYPE_F32,     6, 3, 40,  24,  true,  false, false, SILU, {0, 0},         SCATTERED  },
    {TD_DTYPE_F32,     5, 2, 33,  17,  true,  true,  false, SILU, {0, 0},         SCATTERED  },
    {TD_DTYPE_F32,     4, 1, 64,  48,  true,  false, true,  SILU, {0, 0},         SCATTERED  },
    {TD_DTYPE_F32,     4, 2, 48,  64,  false, true,  false, GELU, {0, 0},         SCATTERED  },
    {TD_DTYPE_F32,     4, 2, 48,  32,  true,  true,  false, SILU, {1.702f, 0.5f}, SCATTERED  },
    {TD_DTYPE_F32,     3, 1, 32,  32,  true,  false, false, SILU, {0, 0},         ONE_FOR_ALL},
    {TD_DTYPE_F32,     3, 3, 150, 140, true,  false, false, SILU, {0, 0},         ONE_FOR_ALL},
    {TD_DTYPE_BF16,    5, 2, 56,  24,  true,  true,  false, SILU, {0, 0},         SCATTERED  },
    {TD_DTYPE_Q8_0,    6, 2, 96,  64,  true,  false, false, SILU, {0, 0},         SCATTERED  },
    {TD_DTYPE_Q8_0,    4, 2, 64,  32,  false, false, false, SILU, {0, 0},         SCATTERED  },
    {TD_DTYPE_Q8_0,    4, 1, 64,  96,  true,  false, true,  SILU, {0, 0},         SCATTERED  },
    {TD_DTYPE_Q4_K,    4, 2, 256, 256, true,  false, false, SILU, {0, 0},         SCATTERED  },
    {TD_DTYPE_Q4_K,    4, 1, 256, 256, true,  true,  true,  SILU, {0, 0},         ONE_FOR_ALL},
    {TD_DTYPE_MXFP4,   5, 2, 64,  96,  true,  true,  false, SILU, {1.702f, 0.5f}, SCATTERED  },
    {TD_DTYPE_INT4,    5, 2, 96,  64,  true,  false, false, SILU, {0, 0},         SCATTERED  },
    {TD_DTYPE_F8_E4M3, 4, 2, 200, 72,  true,  false, false, SILU, {0, 0},         SCATTERED  },
};
enum { N_CASE = sizeof cases / sizeof *cases };

typedef struct inputs {
    const experts_case *c;
    op_weight gate[MAX_EXPERT], up[MAX_EXPERT], down[MAX_EXPERT];
    float bias[3 * MAX_EXPERT][MAX_WIDTH];
    float x[N_TOKEN * MAX_WIDTH];
    int32_t chosen[N_TOKEN * MAX_USED];
    float weight[N_TOKEN * MAX_USED];
} inputs;

/* Distinct experts for a token. */
static void choose(const experts_case *c, int32_t *chosen, uint64_t *state) {
    for (int j = 0; j < c->n_used; j++) {
        bool again = true;
        while (again) {
            const bool fixed = c->pattern == ONE_FOR_ALL;
            chosen[j] = fixed ? (j + 1) % c->n_expert : op_random_int(state, c->n_expert);
            again = !fixed && chosen[j] == 1 && c->n_used < c->n_expert;
            for (int i = 0; i < j; i++) again |= chosen[i] == chosen[j];
        }
    }
}

static void make_inputs(inputs *in, const experts_case *c) {
    uint64_t state = (uint64_t)(c - cases) + 1;
    in->c = c;
    for (int i = 0; i < c->n_expert; i++) {
        op_weight_make(&in->gate[i], c->dtype, c->n_ff, c->n_embd, NULL, &state);
        op_weight_make(&in->up[i], c->dtype, c->n_ff, c->n_embd, NULL, &state);
        op_weight_make(&in->down[i], c->dtype, c->n_embd, c->n_ff, NULL, &state);
    }
    op_random_fill(in->bias[0], sizeof in->bias / sizeof(float), 0.5f, &state);
    op_random_fill(in->x, N_TOKEN * MAX_WIDTH, 2, &state);
    for (int i = 0; i < N_TOKEN * MAX_USED; i++) in->weight[i] = 0.6f + 0.5f * op_random(&state);
    for (int t = 0; t < N_TOKEN; t++) choose(c, in->chosen + t * c->n_used, &state);
}

static void clear_inputs(inputs *in) {
    for (int i = 0; i < in->c->n_expert; i++) {
        op_weight_clear(&in->gate[i]);
        op_weight_clear(&in->up[i]);
        op_weight_clear(&in->down[i]);
    }
}

/* ---- running ---- */

typedef struct runner {
    op_step *o;
    td_experts experts;
    td_experts_work work;
    td_linear gate[MAX_EXPERT], up[MAX_EXPERT], down[MAX_EXPERT];
} runner;

static void start(runner *r, inputs *in, op_place place, int n_thread, unsigned flags) {
    const experts_case *c = in->c;
    const td_experts_sizes sizes = {c->n_expert, c->n_used, c->n_embd, c->n_ff};
    const int width = c->n_embd > c->n_ff ? c->n_embd : c->n_ff;
    r->o = op_step_start(n_thread, flags, (size_t)(N_TOKEN * c->n_used * width), width);
    assert_int_equal(td_experts_work_init(&r->work, &r->o->arena, &sizes, N_TOKEN, NULL), TD_OK);
    for (int i = 0; i < c->n_expert; i++) {
        r->gate[i] = op_linear(&in->gate[i], c->biases ? in->bias[3 * i] : NULL, place, r->o);
        r->up[i] = op_linear(&in->up[i], c->biases ? in->bias[3 * i + 1] : NULL, place, r->o);
        r->down[i] = op_linear(&in->down[i], c->biases ? in->bias[3 * i + 2] : NULL, place, r->o);
    }
    r->experts = (td_experts){.n_expert = c->n_expert,
                              .n_used = c->n_used,
                              .n_embd = c->n_embd,
                              .n_ff = c->n_ff,
                              .gate = c->gated ? r->gate : NULL,
                              .up = r->up,
                              .down = r->down,
                              .activation = c->activation,
                              .bounds = c->bounds,
                              .weigh_input = c->weigh_input};
}

/* Tokens `most` at a time. */
static void run(runner *r, inputs *in, int most, float *y) {
    const experts_case *c = in->c;
    for (int t = 0; t < N_TOKEN; t += most) {
        const int m = N_TOKEN - t < most ? N_TOKEN - t : most;
        td_input input = td_input_of(in->x + t * c->n_embd, m, c->n_embd);
        td_experts_forward(&r->o->step, &r->experts, &r->work, &input, in->chosen + t * c->n_used,
                           in->weight + t * c->n_used, y + t * c->n_embd);
    }
}

/* ---- the definition ---- */

/* A row of numbers and how far from each of them the operator may be. */
typedef struct row {
    double v[MAX_WIDTH], e[MAX_WIDTH];
} row;

static int n_rounding(td_act_type type, int k) {
    if (type == TD_ACT_F32) return (k < 128 ? k : 128) + k / 128 + 2;
    return 2 * (k / (type == TD_ACT_Q8_32 ? 32 : 256)) + 4;
}

static void define_linear(const op_weight *w, const float *bias, td_act_type type, const row *x,
                          row *y) {
    for (int i = 0; i < w->n; i++) {
        double sum = bias ? (double)bias[i] : 0, size = fabs(sum), e = 0;
        for (int j = 0; j < w->k; j++) {
            const double value = (double)w->values[i * w->k + j];
            sum += value * x->v[j];
            size += (double)w->parts[i * w->k + j] * (fabs(x->v[j]) + x->e[j]);
            e += fabs(value) * x->e[j];
        }
        y->v[i] = sum;
        y->e[i] = e + op_gamma(n_rounding(type, w->k)) * size;
    }
}

static void define_block(const td_kernels *kernels, td_act_type type, row *x, int n) {
    float floats[256], d;
    int8_t q[256];
    int16_t s[16];
    double size = 0, e_x = 0;
    for (int i = 0; i < n; i++) {
        floats[i] = (float)x->v[i];
        size = fmax(size, fabs(x->v[i]) + x->e[i]);
        e_x = fmax(e_x, x->e[i]);
    }
    kernels->quantize_act[type](floats, n, q, &d, s);
    const bool exact = e_x == 0; /* the same floats there: the same bytes */
    const double step = (double)d, e_d = e_x / 127 + op_gamma(4) * size / 127;
    for (int i = 0; i < n; i++) {
        const double at = x->v[i] / step, t = (x->e[i] + 127 * e_d) / step;
        const bool same = fabs(at - floor(at) - 0.5) > t;
        x->v[i] = q[i] * step;
        x->e[i] = exact ? 0 : same ? 127 * e_d : step + 128 * e_d;
    }
}

static void define_quantized(td_act_type type, row *x, int n) {
    td_kernels kernels = {0};
    const int block = type == TD_ACT_Q8_32 ? 32 : 256;
    if (type == TD_ACT_F32) return;
    td_kernels_ref(&kernels);
    for (int i = 0; i < n; i += block) {
        row part = {{0}, {0}};
        memcpy(part.v, x->v + i, (size_t)block * sizeof(double));
        memcpy(part.e, x->e + i, (size_t)block * sizeof(double));
        define_block(&kernels, type, &part, block);
        memcpy(x->v + i, part.v, (size_t)block * sizeof(double));
        memcpy(x->e + i, part.e, (size_t)block * sizeof(double));
    }
}

/* gate = act(gate) * up */
static void define_activation(const experts_case *c, row *gate, row *up) {
    const double alpha = (double)c->bounds.alpha, limit = (double)c->bounds.limit;
    for (int i = 0; i < c->n_ff; i++) {
        double g = gate->v[i], e_g = gate->e[i], u = c->gated ? up->v[i] : 1;
        double e_u = c->gated ? up->e[i] : 0;
        if (limit > 0) {
            g = fmin(g, limit) * alpha;
            e_g = alpha * e_g + op_gamma(1) * fabs(g);
            u = (fmax(fmin(u, limit), -limit) + 1) / alpha;
            e_u = e_u / alpha + op_gamma(2) * fabs(u);
        }
        const bool gelu = c->activation == GELU;
        const double argument = gelu ? 2 * sqrt(2 / acos(-1.0)) * (g + 0.044715 * g * g * g) : g;
        const double act = g / (1 + exp(-argument));
        const double relative = op_gamma(8) + (gelu ? op_gamma(5) * fabs(argument) : 0);
        const double e_act = (gelu ? 1.2 : 1.1) * e_g + relative * (fabs(act) + 1.2 * e_g);
        gate->v[i] = act * u;
        gate->e[i] = e_act * (fabs(u) + e_u) + fabs(act) * e_u;
    }
}

/* A weight that multiplies the input does so in float32. */
static void define_input(const inputs *in, int token, int slot, row *x) {
    const experts_case *c = in->c;
    for (int i = 0; i < c->n_embd; i++) {
        float value = in->x[token * c->n_embd + i];
        if (c->weigh_input) value *= in->weight[token * c->n_used + slot];
        x->v[i] = (double)value;
        x->e[i] = 0;
    }
}

static void define_token(const inputs *in, int token, td_act_type type, row *y) {
    const experts_case *c = in->c;
    static row x, gate, up, out;
    double size[MAX_WIDTH] = {0};
    *y = (row){{0}, {0}};
    for (int j = 0; j < c->n_used; j++) {
        const int expert = in->chosen[token * c->n_used + j];
        const float *bias = c->biases ? in->bias[3 * expert] : NULL;
        const double w = c->weigh_input ? 1 : (double)in->weight[token * c->n_used + j];
        define_input(in, token, j, &x);
        define_quantized(type, &x, c->n_embd);
        if (c->gated) define_linear(&in->gate[expert], bias, type, &x, &gate);
        define_linear(&in->up[expert], bias ? bias + MAX_WIDTH : NULL, type, &x,
                      c->gated ? &up : &gate);
        define_activation(c, &gate, &up);
        define_quantized(type, &gate, c->n_ff);
        define_linear(&in->down[expert], bias ? bias + 2 * MAX_WIDTH : NULL, type, &gate, &out);
        for (int i = 0; i < c->n_embd; i++) {
            y->v[i] += w * out.v[i];
            y->e[i] += fabs(w) * out.e[i];
            size[i] += fabs(w) * (fabs(out.v[i]) + out.e[i]);
        }
    }
    for (int i = 0; i < c->n_embd; i++) y->e[i] += op_gamma(c->n_used) * size[i];
}

/* ---- the tests ---- */

static void check_values(const inputs *in, td_act_type type, const float *y) {
    static row want;
    double worst = 0, size = 0, bound = 0;
    for (int t = 0; t < N_DEFINED; t++) {
        define_token(in, t, type, &want);
        for (int i = 0; i < in->c->n_embd; i++) {
            const double wrong = fabs((double)y[t * in->c->n_embd + i] - want.v[i]);
            worst = fmax(worst, wrong / want.e[i]);
            size = fmax(size, fabs(want.v[i]));
            bound = fmax(bound, want.e[i]);
        }
    }
    print_message("case %d, %s: %.2g of the bound, which is at most %.1e, of values up to %.2g\n",
                  (int)(in->c - cases), td_dtype_name((int)in->c->dtype), worst, bound, size);
    assert_true(worst <= 1);
    assert_true(bound < 0.1 * size); /* else it says nothing */
}

static void test_values(void **state) {
    (void)state;
    static inputs in;
    static float y[N_TOKEN * MAX_WIDTH];
    for (int i = 0; i < N_CASE; i++) {
        make_inputs(&in, &cases[i]);
        for (int place = 0; place < OP_N_PLACE; place++) {
            runner r;
            start(&r, &in, (op_place)place, 1, TD_CPU_SCALAR);
            run(&r, &in, N_TOKEN, y);
            check_values(&in, td_linear_act_type(&r.up[0]), y);
            op_step_stop(r.o);
        }
        clear_inputs(&in);
    }
}

/* The batch cut into ones, sevens and not at all, each with another number of threads, which ones
 * `turn` says. */
static void compare_ways(inputs *in, op_place place, unsigned flags, int turn, const float *want) {
    static const int cuts[] = {1, 7, N_TOKEN};
    static float got[N_TOKEN * MAX_WIDTH];
    const size_t n = (size_t)(N_TOKEN * in->c->n_embd);
    for (int i = 0; i < 3; i++) {
        const int n_thread = 1 + (i + turn) % 3;
        runner r;
        start(&r, in, place, n_thread, flags);
        for (size_t j = 0; j < n; j++) got[j] = NAN;
        run(&r, in, cuts[i], got);
        if (memcmp(got, want, n * sizeof *got) != 0)
            fail_msg("case %d, %s, place %d, %d threads, batch %d, %s: other bits",
                     (int)(in->c - cases), td_dtype_name((int)in->c->dtype), (int)place, n_thread,
                     cuts[i], r.o->kernels.level);
        op_step_stop(r.o);
    }
}

static void test_same_bits(void **state) {
    (void)state;
    static inputs in;
    static float exact[N_TOKEN * MAX_WIDTH], native[N_TOKEN * MAX_WIDTH];
    int n_level;
    const td_cpu_level_info *levels = td_cpu_level_list(&n_level);
    for (int i = 0; i < N_CASE; i++) {
        make_inputs(&in, &cases[i]);
        for (int place = 0; place < OP_N_PLACE; place++) {
            float *want = place == OP_EXACT ? exact : native; /* mapped and packed are the same */
            runner r;
            start(&r, &in, (op_place)place, 1, TD_CPU_SCALAR);
            if (place != OP_PACKED) run(&r, &in, N_TOKEN, want);
            op_step_stop(r.o);
            for (int level = 0; level < n_level; level++)
                if (!(levels[level].flags & ~td_cpu_detect()))
                    compare_ways(&in, (op_place)place, levels[level].flags, i + place + level,
                                 want);
        }
        clear_inputs(&in);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
