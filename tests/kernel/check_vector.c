/* check_vector.c - norms, activations, softmax parts, conversions, rope.
 *
 * All of them are one shape of call: inputs x and w, an output y that starts as a copy of `initial`
 * or lies over x, and perhaps a result.  A case describes its call in a vector_call; run_variants
 * does the rest. */
#include "kernel/check_vector.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

static const int n_list[] = {0,  1,  2,  3,  7,  8,   15,  16,  17,  31,  32,   33,  47,
                             48, 49, 63, 64, 65, 127, 128, 129, 255, 576, 1000, 2048};
#define COUNT(list) ((int)(sizeof(list) / sizeof(list)[0]))

/* Where the output lies. */
typedef enum overlap { APART, OVER_X, OVER_W, N_OVERLAP } overlap;
static const char *const overlap_names[N_OVERLAP] = {"", "/y=x", "/y=w"};

typedef struct vector_call {
    check_any_fn *fn;
    void (*call)(struct vector_call *v);
    const float *x, *w;
    float *y;
    int n;
    float number;
    bool flag;
    float result; /* for those that return one */

    size_t offset;       /* of the slot */
    size_t y_bytes;      /* of the output */
    check_type type;     /* of the output */
    const void *initial; /* the output's bytes before the call; NULL: canaries */
    bool has_result;
    overlap over;
} vector_call;

static void call_one(void *arg) {
    vector_call *v = arg;
    v->call(v);
}

/* A fresh output; overlapping inputs are moved onto it. */
static void fresh_output(check *c, vector_call *v) {
    v->y = check_output(c, 5, v->y_bytes);
    if (v->initial) memcpy(v->y, v->initial, v->y_bytes);
    if (v->over == OVER_X) v->x = v->y;
    if (v->over == OVER_W) v->w = v->y;
}

static void run_variants(check *c, vector_call *v) {
    v->fn = check_fn_at(&c->ref, v->offset);
    fresh_output(c, v);
    if (!check_call(c, NULL, call_one, v)) return;
    check_keep_expected(c, v->y, v->y_bytes);
    const float result = v->result;
    for (int l = 0; l < c->n_level; l++) {
        if (!check_is_variant(c, l, v->offset)) continue;
        v->fn = check_fn_at(&c->levels[l].table, v->offset);
        fresh_output(c, v);
        if (!check_call(c, c->levels[l].name, call_one, v)) continue;
        check_compare(c, v->y, v->y_bytes, v->type);
        const bool both_nan = v->result != v->result && result != result;
        if (v->has_result && !both_nan && memcmp(&v->result, &result, 4) != 0)
            check_fail(c, "wanted the result %.9g, got %.9g", (double)result, (double)v->result);
    }
}

static float *random_floats(check *c, int region, int n, check_data kind) {
    float *x = check_place(c, region, (size_t)n * sizeof *x, 0);
    check_fill_floats(c, x, (size_t)n, kind);
    return x;
}

/* ---- rms_norm, glu ---- */

static void call_rms_norm(vector_call *v) {
    ((td_rms_norm_fn *)v->fn)(v->y, v->x, v->w, v->n, v->number);
}

void check_rms_norm(check *c, const check_slot *slot) {
    (void)slot;
    for (int i = 0; i < COUNT(n_list); i++) {
        for (int kind = 0; kind <= DATA_BITS; kind++) {
            for (int form = 0; form < 3; form++) { /* apart, over x, without w */
                const int n = n_list[i];
                const char *name = form == 0 ? "" : form == 1 ? "/y=x" : "/no-w";
                if (!check_begin(c, "%s/n%d%s", check_data_name((check_data)kind), n, name))
                    continue;
                vector_call v = {.call = call_rms_norm,
                                 .n = n,
                                 .number = kind == DATA_ZERO ? 0.0f : 1e-5f,
                                 .y_bytes = (size_t)n * sizeof(float),
                                 .offset = offsetof(td_kernels, rms_norm)};
                v.x = random_floats(c, 0, n, (check_data)kind);
                if (form != 2) v.w = random_floats(c, 1, n, DATA_NORMAL);
                if (form == 1) v.over = OVER_X, v.initial = v.x;
                run_variants(c, &v);
            }
        }
    }
}

/* The bias lies behind the weights: one input for both. */
static void call_layer_norm(vector_call *v) {
    const float *b = v->flag && v->w ? v->w + v->n : NULL;
    ((td_layer_norm_fn *)v->fn)(v->y, v->x, v->w, b, v->n, v->number);
}

void check_layer_norm(check *c, const check_slot *slot) {
    static const char *const form_names[] = {"", "/y=x", "/no-w", "/no-b"};
    (void)slot;
    for (int i = 0; i < COUNT(n_list); i++) {
        for (int kind = 0; kind <= DATA_BITS; kind++) {
            for (int form = 0; form < COUNT(form_names); form++) {
                const int n = n_list[i];
                if (!check_begin(c, "%s/n%d%s", check_data_name((check_data)kind), n,
                                 form_names[form]))
                    continue;
                vector_call v = {.call = call_layer_norm,
                                 .n = n,
                                 .number = kind == DATA_ZERO ? 0.0f : 1e-5f,
                                 .flag = form != 3,
                                 .y_bytes = (size_t)n * sizeof(float),
                                 .offset = offsetof(td_kernels, layer_norm)};
                v.x = random_floats(c, 0, n, (check_data)kind);
                if (form != 2) v.w = random_floats(c, 1, 2 * n, DATA_NORMAL);
                if (form == 1) v.over = OVER_X, v.initial = v.x;
                run_variants(c, &v);
            }
        }
    }
}

static void call_glu(vector_call *v) { ((td_glu_fn *)v->fn)(v->y, v->x, v->w, v->n); }

void check_glu(check *c, const check_slot *slot) {
    static const size_t offsets[] = {offsetof(td_kernels, swiglu), offsetof(td_kernels, geglu_tanh),
                                     offsetof(td_kernels, geglu)};
    for (int i = 0; i < COUNT(n_list); i++) {
        for (int kind = 0; kind < N_CHECK_DATA; kind++) {
            for (int over = 0; over <= N_OVERLAP; over++) { /* the last: apart, without w */
                const int n = n_list[i];
                if (!check_begin(c, "%s/n%d%s", check_data_name((check_data)kind), n,
                                 over == N_OVERLAP ? "/no-up" : overlap_names[over]))
                    continue;
                vector_call v = {.call = call_glu,
                                 .n = n,
                                 .y_bytes = (size_t)n * sizeof(float),
                                 .over = over == N_OVERLAP ? APART : (overlap)over,
                                 .offset = offsets[slot->id]};
                v.x = random_floats(c, 0, n, (check_data)kind);
                if (over != N_OVERLAP)
                    v.w = random_floats(c, 1, n, kind == DATA_BITS ? DATA_BITS : DATA_NORMAL);
                v.initial = over == OVER_X ? v.x : over == OVER_W ? v.w : NULL;
                run_variants(c, &v);
            }
        }
    }
}

/* ---- add, scale, softcap, max, exp_sum, to_f16 ---- */

static void call_add(vector_call *v) { ((td_add_fn *)v->fn)(v->y, v->x, v->n); }
static void call_scale(vector_call *v) { ((td_scale_fn *)v->fn)(v->y, v->number, v->n); }
static void call_softcap(vector_call *v) { ((td_softcap_fn *)v->fn)(v->y, v->n, v->number); }
static void call_max(vector_call *v) { v->result = ((td_max_fn *)v->fn)(v->x, v->n); }
static void call_exp_sum(vector_call *v) {
    v->result = ((td_exp_sum_fn *)v->fn)(v->y, v->n, v->number);
}
static void call_to_f16(vector_call *v) {
    ((td_to_f16_fn *)v->fn)((uint16_t *)(void *)v->y, v->x, v->n);
}

void check_add(check *c, const check_slot *slot) {
    (void)slot;
    for (int i = 0; i < COUNT(n_list); i++) {
        for (int kind = 0; kind < N_CHECK_DATA; kind++) {
            const int n = n_list[i];
            if (!check_begin(c, "%s/n%d", check_data_name((check_data)kind), n)) continue;
            vector_call v = {.call = call_add,
                             .n = n,
                             .y_bytes = (size_t)n * sizeof(float),
                             .x = random_floats(c, 0, n, (check_data)kind),
                             .initial = random_floats(c, 1, n, (check_data)kind),
                             .offset = offsetof(td_kernels, add)};
            run_variants(c, &v);
        }
    }
}

void check_scale(check *c, const check_slot *slot) {
    (void)slot;
    for (int i = 0; i < COUNT(n_list); i++) {
        for (int kind = 0; kind < N_CHECK_DATA; kind++) {
            const int n = n_list[i];
            if (!check_begin(c, "%s/n%d", check_data_name((check_data)kind), n)) continue;
            vector_call v = {.call = call_scale,
                             .n = n,
                             .number = check_random_normal(c),
                             .y_bytes = (size_t)n * sizeof(float),
                             .initial = random_floats(c, 0, n, (check_data)kind),
                             .offset = offsetof(td_kernels, scale)};
            run_variants(c, &v);
        }
    }
}

/* The reference stays within the bound of kernels.h; where x / cap may be denormal, within a few
 * steps of the denormals times cap. */
static void check_cap_against_double(check *c, const float *x, const float *y, int n, float cap) {
    for (int i = 0; i < n; i++) {
        if (isnan(x[i])) continue;
        const double want = (double)cap * tanh((double)x[i] / (double)cap);
        const double bound = fmax(7 * 0x1p-24 * fabs(want), 4 * fmax(1, (double)cap) * 0x1p-149);
        if (!(fabs((double)y[i] - want) <= bound))
            check_fail(c, "softcap(%.9g, %.9g) is %.9g, in double %.17g", (double)x[i], (double)cap,
                       (double)y[i], want);
    }
}

void check_softcap(check *c, const check_slot *slot) {
    (void)slot;
    static const float caps[] = {50, 30, 0.37f};
    for (int i = 0; i < COUNT(n_list); i++) {
        for (int kind = 0; kind < N_CHECK_DATA + 2; kind++) {
            for (int cap = 0; cap < COUNT(caps); cap++) {
                const int n = n_list[i];
                const check_data data = kind >= N_CHECK_DATA ? DATA_NORMAL : (check_data)kind;
                const char *extra = kind == N_CHECK_DATA       ? "-small"
                                    : kind == N_CHECK_DATA + 1 ? "-near-cap"
                                                               : "";
                if (!check_begin(c, "%s%s/n%d-cap%g", check_data_name(data), extra, n,
                                 (double)caps[cap]))
                    continue;
                float *x = random_floats(c, 0, n, data);
                for (int j = 0; j < n && kind >= N_CHECK_DATA; j++)
                    x[j] *= kind == N_CHECK_DATA ? ldexpf(caps[cap], -check_random_int(c, 0, 40))
                                                 : caps[cap];
                vector_call v = {.call = call_softcap,
                                 .n = n,
                                 .number = caps[cap],
                                 .y_bytes = (size_t)n * sizeof(float),
                                 .initial = x,
                                 .offset = offsetof(td_kernels, softcap)};
                float *y = check_place(c, 1, (size_t)n * sizeof *y, 0);
                if (n > 0) memcpy(y, x, (size_t)n * sizeof *y);
                c->ref.softcap(y, n, caps[cap]);
                check_cap_against_double(c, x, y, n, caps[cap]);
                run_variants(c, &v);
            }
        }
    }
}

void check_max(check *c, const check_slot *slot) {
    (void)slot;
    for (int i = 0; i < COUNT(n_list); i++) {
        for (int kind = 0; kind < N_CHECK_DATA + 2; kind++) {
            const int n = n_list[i];
            const bool negative = kind >= N_CHECK_DATA;
            const check_data data = negative ? DATA_BITS : (check_data)kind;
            const char *extra = kind == N_CHECK_DATA ? "-below-0"
                                : negative           ? "-no-more-than-0"
                                                     : "";
            if (!check_begin(c, "%s%s/n%d", check_data_name(data), extra, n)) continue;
            float *x = random_floats(c, 0, n, data);
            for (int j = 0; j < n && negative; j++) {
                if (x[j] > 0) x[j] = -x[j];
                /* Zeros of both signs among negative numbers: the first zero is the answer. */
                if (kind > N_CHECK_DATA && check_random_int(c, 0, 3) == 0)
                    x[j] = check_random_int(c, 0, 1) ? 0.0f : -0.0f;
            }
            vector_call v = {.call = call_max,
                             .n = n,
                             .x = x,
                             .has_result = true,
                             .offset = offsetof(td_kernels, max)};
            run_variants(c, &v);
        }
    }
}

void check_exp_sum(check *c, const check_slot *slot) {
    (void)slot;
    for (int i = 0; i < COUNT(n_list); i++) {
        for (int kind = 0; kind < N_CHECK_DATA; kind++) {
            const int n = n_list[i];
            if (!check_begin(c, "%s/n%d", check_data_name((check_data)kind), n)) continue;
            const float *p = random_floats(c, 0, n, (check_data)kind);
            vector_call v = {.call = call_exp_sum,
                             .n = n,
                             /* the true maximum, but for any bits, where inf - inf is NaN anyway */
                             .number = kind == DATA_BITS ? 1.0f : c->ref.max(p, n),
                             .y_bytes = (size_t)n * sizeof(float),
                             .initial = p,
                             .has_result = true,
                             .offset = offsetof(td_kernels, exp_sum)};
            run_variants(c, &v);
        }
    }
}

void check_to_f16(check *c, const check_slot *slot) {
    (void)slot;
    for (int i = 0; i < COUNT(n_list); i++) {
        for (int kind = 0; kind < N_CHECK_DATA + 2; kind++) {
            const int n = n_list[i];
            const check_data data = kind >= N_CHECK_DATA ? DATA_NORMAL : (check_data)kind;
            const char *extra = kind == N_CHECK_DATA       ? "-half-denormal"
                                : kind == N_CHECK_DATA + 1 ? "-half-huge"
                                                           : "";
            if (!check_begin(c, "%s%s/n%d", check_data_name(data), extra, n)) continue;
            float *x = random_floats(c, 0, n, data);
            const float factor = kind == N_CHECK_DATA       ? 0x1p-18f
                                 : kind == N_CHECK_DATA + 1 ? 40000.0f
                                                            : 1.0f;
            for (int j = 0; j < n; j++) x[j] *= factor;
            vector_call v = {.call = call_to_f16,
                             .n = n,
                             .x = x,
                             .y_bytes = (size_t)n * sizeof(uint16_t),
                             .type = CHECK_HALF,
                             .offset = offsetof(td_kernels, to_f16)};
            run_variants(c, &v);
        }
    }
}

/* ---- to_q8_0, to_q4_0 ---- */

static void call_to_blocks(vector_call *v) { ((td_to_blocks_fn *)v->fn)(v->y, v->x, v->n); }

/* What the quantizers find hard: equal magnitudes of both signs, values midway between two levels,
 * one extreme, scales at the ends of float32. */
static void fill_hard_block(check *c, float *x) {
    const int kind = check_random_int(c, 0, 4);
    const float top =
        ldexpf(1, kind == 4 ? check_random_int(c, -149, 127) : check_random_int(c, -20, 20));
    for (int i = 0; i < 32; i++) {
        const float sign = check_random_int(c, 0, 1) ? 1.0f : -1.0f;
        const float step = (float)check_random_int(c, 0, kind == 0 ? 254 : 16);
        x[i] = kind == 3 ? check_random_normal(c) * top
                         : sign * top * step / (kind == 0 ? 254.0f : 16.0f);
    }
    x[check_random_int(c, 0, 31)] = top;
    if (kind == 2) x[check_random_int(c, 0, 31)] = -top;
}

void check_to_blocks(check *c, const check_slot *slot) {
    const bool wide = slot->id == TD_KV_DTYPE_Q8_0;
    static const int blocks[] = {0, 1, 2, 3, 4, 8, 200};
    for (int i = 0; i < COUNT(blocks); i++) {
        for (int kind = 0; kind <= N_CHECK_DATA; kind++) {
            const bool hard = kind == N_CHECK_DATA;
            const int n = blocks[i] * 32;
            if (!check_begin(c, "%s/n%d", hard ? "hard" : check_data_name((check_data)kind), n))
                continue;
            float *x = random_floats(c, 0, n, hard ? DATA_NORMAL : (check_data)kind);
            for (int b = 0; hard && b < blocks[i]; b++) fill_hard_block(c, x + b * 32);
            vector_call v = {.call = call_to_blocks,
                             .n = n,
                             .x = x,
                             .y_bytes = (size_t)blocks[i] * (wide ? 34 : 18),
                             .type = CHECK_BYTES,
                             .offset = wide ? offsetof(td_kernels, to_q8_0)
                                            : offsetof(td_kernels, to_q4_0)};
            run_variants(c, &v);
        }
    }
}

/* ---- quantize_act ---- */

/* q, d and s one after the other in the output; n is k, flag means blocks of 256. */
static void call_quantize(vector_call *v) {
    const int n_block = v->n / (v->flag ? 256 : 32);
    float *d = v->y;
    int16_t *s = (int16_t *)(void *)(d + n_block);
    int8_t *q = (int8_t *)(s + v->n / (v->flag ? 16 : 32));
    ((td_quantize_act_fn *)v->fn)(v->x, v->n, q, d, s);
}

void check_quantize_act(check *c, const check_slot *slot) {
    const bool wide = slot->id == TD_ACT_Q8_256;
    const int block = wide ? 256 : 32, group = wide ? 16 : 32;
    static const int blocks[] = {0, 1, 2, 3, 5, 18};
    for (int i = 0; i < COUNT(blocks); i++) {
        for (int kind = 0; kind < N_CHECK_DATA; kind++) {
            const int n_block = blocks[i], k = n_block * block;
            if (!check_begin(c, "%s/k%d", check_data_name((check_data)kind), k)) continue;
            float *x = random_floats(c, 0, k, (check_data)kind);
            const size_t bytes = (size_t)n_block * 4 + (size_t)(k / group) * 2 + (size_t)k;
            vector_call v = {.call = call_quantize,
                             .n = k,
                             .x = x,
                             .flag = wide,
                             .y_bytes = (bytes + 3) / 4 * 4, /* d comes first and wants 4 */
                             .type = CHECK_BYTES,
                             .offset = offsetof(td_kernels, quantize_act) +
                                       (size_t)slot->id * sizeof(td_quantize_act_fn *)};
            run_variants(c, &v);
        }
    }
}

/* ---- rope ---- */

static void call_rope(vector_call *v) { ((td_rope_fn *)v->fn)(v->y, v->w, v->n, v->flag); }

void check_rope(check *c, const check_slot *slot) {
    (void)slot;
    static const int n_rot[] = {0,  2,  4,  6,  8,  14, 16, 18,  30,
                                32, 34, 48, 64, 66, 80, 96, 128, 256};
    for (int i = 0; i < COUNT(n_rot); i++) {
        for (int kind = 0; kind <= DATA_BITS; kind++) {
            for (int neox = 0; neox < 2; neox++) {
                const int n = n_rot[i];
                if (!check_begin(c, "%s/n%d/%s", check_data_name((check_data)kind), n,
                                 neox ? "neox" : "norm"))
                    continue;
                vector_call v = {.call = call_rope,
                                 .n = n,
                                 .flag = neox,
                                 .w = random_floats(c, 0, n, DATA_NORMAL),
                                 .initial = random_floats(c, 1, n, (check_data)kind),
                                 .y_bytes = (size_t)n * sizeof(float),
                                 .offset = offsetof(td_kernels, rope)};
                run_variants(c, &v);
            }
        }
    }
}

/* ---- attention ---- */

static const int dim_list[] = {1,  2,  8,  15, 16, 17, 24,  31,  32,  33,
                               48, 64, 65, 72, 80, 96, 128, 160, 192, 256};
static const int pos_list[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 33};

/* One head: x is the query or the probabilities, w the cache; the head's size is in `dim`. */
typedef struct attn_call {
    vector_call v;
    int dim;
} attn_call;

static void call_attn_score(vector_call *v) {
    ((td_attn_score_fn *)v->fn)(v->y, v->x, v->w, v->n, ((attn_call *)v)->dim, v->number);
}

static void call_attn_value(vector_call *v) {
    ((td_attn_value_fn *)v->fn)(v->y, v->x, v->w, v->n, ((attn_call *)v)->dim);
}

/* n elements of a cache of blocks: any scale of `kind`, any quants. */
static const void *random_blocks(check *c, int n, int block_bytes, check_data kind) {
    const size_t bytes = (size_t)(n / 32) * (size_t)block_bytes;
    uint8_t *cache = check_place(c, 1, bytes, 0);
    for (size_t i = 0; i < bytes; i++) cache[i] = (uint8_t)check_random(c);
    for (size_t at = 0; at < bytes; at += (size_t)block_bytes) {
        uint16_t d;
        check_fill_halves(c, &d, 1, kind);
        memcpy(cache + at, &d, sizeof d);
    }
    return cache;
}

static const void *random_cache(check *c, const check_slot *slot, int n, check_data kind) {
    if (slot->id == TD_KV_DTYPE_F32) return random_floats(c, 1, n, kind);
    if (slot->id == TD_KV_DTYPE_Q8_0) return random_blocks(c, n, 34, kind);
    if (slot->id == TD_KV_DTYPE_Q4_0) return random_blocks(c, n, 18, kind);
    uint16_t *cache = check_place(c, 1, (size_t)n * sizeof *cache, 0);
    check_fill_halves(c, cache, (size_t)n, kind);
    return cache;
}

static void run_attn(check *c, const check_slot *slot, int dim, int n_pos, check_data kind,
                     bool score) {
    if (!check_begin(c, "%s/d%d-p%d", check_data_name(kind), dim, n_pos)) return;
    attn_call a = {
        .dim = dim,
        .v = {.n = n_pos,
              .number = 0.125f,
              .call = score ? call_attn_score : call_attn_value,
              .y_bytes = (size_t)(score ? n_pos : dim) * sizeof(float),
              .offset =
                  score ? offsetof(td_kernels, attn_score) : offsetof(td_kernels, attn_value)}
    };
    a.v.offset += (size_t)slot->id * sizeof(check_any_fn *);
    a.v.x = random_floats(c, 0, score ? dim : n_pos, kind);
    a.v.w = random_cache(c, slot, dim * n_pos, kind);
    if (!score) a.v.initial = random_floats(c, 2, dim, kind);
    run_variants(c, &a.v);
}

static void check_attn(check *c, const check_slot *slot, bool score) {
    const bool blocks = slot->id == TD_KV_DTYPE_Q8_0 || slot->id == TD_KV_DTYPE_Q4_0;
    for (int i = 0; i < COUNT(dim_list); i++) {
        if (blocks && dim_list[i] % 32 != 0) continue;
        for (int j = 0; j < COUNT(pos_list); j++)
            for (int kind = 0; kind <= DATA_BITS; kind++)
                run_attn(c, slot, dim_list[i], pos_list[j], (check_data)kind, score);
    }
}

void check_attn_score(check *c, const check_slot *slot) { check_attn(c, slot, true); }
void check_attn_value(check *c, const check_slot *slot) { check_attn(c, slot, false); }
