/* check_bench.c - times kernels on one thread: matrix products at m = 1 (decode, from memory) and
 * m = 512 (prefill), vector kernels on rows and caches of usual sizes.
 *
 * Per cent are of what probe_* of the same table measures just before: of memory bandwidth for m =
 * 1, of the int8 or f32 peak else. */
#include "kernel/check_bench.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernel/check_gemm.h"
#include "kernel/pack.h"

enum { STREAM_BYTES = 64 << 20 };

/* What one call of the thing under test costs and does. */
typedef struct bench {
    const char *slot, *level, *shape;
    void (*call)(void *arg);
    void *arg;
    double bytes, ops; /* of one call; 0: not counted */
    double peak_gbps, peak_gops;
} bench;

/* CPU time of this thread: other programs on the machine then cost caches and bandwidth only. */
static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* The best of at least 5 calls and 0.15 s. */
static double seconds_of(const bench *b) {
    double best = 1e30, total = 0;
    for (int i = 0; i < 5 || (total < 0.15 && i < 100000); i++) {
        const double start = cpu_seconds();
        b->call(b->arg);
        const double s = cpu_seconds() - start;
        total += s;
        if (s < best) best = s;
    }
    return best;
}

static void print_bench(const bench *b) {
    const double s = seconds_of(b), gbps = b->bytes / s / 1e9, gops = b->ops / s / 1e9;
    const double share = b->peak_gops > 0 ? gops / b->peak_gops : gbps / b->peak_gbps;
    printf("%s,%s,%s,%.0f,%.2f,%.2f,%.1f\n", b->slot, b->level, b->shape, s * 1e9, gbps, gops,
           share * 100);
    fflush(stdout);
}

static bool wanted(const char *glob, const char *slot, const char *shape) {
    char name[64];
    snprintf(name, sizeof name, "%s/%s", slot, shape);
    return !glob || fnmatch(glob, name, 0) == 0;
}

/* ---- yardsticks ---- */

static double best_rate(double (*once)(const check_level *, uint8_t *), const check_level *level,
                        uint8_t *buffer) {
    double best = 0;
    for (int i = 0; i < 5; i++) {
        const double rate = once(level, buffer);
        if (rate > best) best = rate;
    }
    return best;
}

static volatile uint64_t sink;

static double read_once(const check_level *level, uint8_t *buffer) {
    const double start = cpu_seconds();
    sink = level->table.probe_read(buffer, STREAM_BYTES);
    return STREAM_BYTES / (cpu_seconds() - start) / 1e9;
}
static double int8_once(const check_level *level, uint8_t *buffer) {
    (void)buffer;
    const double start = cpu_seconds(), ops = level->table.probe_int8(1 << 20);
    return ops / (cpu_seconds() - start) / 1e9;
}
static double f32_once(const check_level *level, uint8_t *buffer) {
    (void)buffer;
    const double start = cpu_seconds(), ops = level->table.probe_f32(1 << 20);
    return ops / (cpu_seconds() - start) / 1e9;
}

/* ---- matrix products ---- */

static void call_gemm(void *arg) {
    const gemm_case *t = arg;
    t->run(&t->args);
}

/* Weights that overflow the caches: as many copies of one panel as fit the buffer. */
static void stretch(gemm_case *t, uint8_t *buffer, float *y) {
    const size_t panel = td_pack_panel_bytes(t->dtype, (size_t)t->args.k);
    const int n_panel = (int)(STREAM_BYTES / panel);
    for (int p = 0; p < n_panel; p++) memcpy(buffer + (size_t)p * panel, t->args.w, panel);
    t->args.w = buffer;
    t->args.n = n_panel * TD_PANEL;
    t->args.ldy = t->args.n;
    t->args.y = y;
}

static void bench_gemm(check *c, const check_slot *slot, const char *glob, uint8_t *buffer,
                       float *y) {
    static const struct {
        const char *name;
        int m, n, k;
    } shapes[] = {
        {"m1-k2048",        1,   16,  2048},
        {"m4-k2048",        4,   16,  2048},
        {"m512-n256-k2048", 512, 256, 2048},
        {"m512-n256-k8192", 512, 256, 8192}
    };
    for (int i = 0; i < (int)(sizeof shapes / sizeof shapes[0]); i++) {
        if (!wanted(glob, slot->name, shapes[i].name)) continue;
        gemm_case t = {.dtype = (td_dtype)slot->id, .act = c->ref.gemm[slot->id].act};
        snprintf(c->name, sizeof c->name, "bench");
        gemm_case_make(c, &t, shapes[i].m, shapes[i].n, shapes[i].k, 0);
        const bool stream = shapes[i].m < 16;
        if (stream) stretch(&t, buffer, y);
        for (int l = 0; l < c->n_level; l++) {
            const td_gemm_impl *impl = &c->levels[l].table.gemm[slot->id];
            if (l > 0 && impl->run == c->levels[l - 1].table.gemm[slot->id].run) continue;
            t.run = impl->run;
            const double macs = (double)t.args.m * t.args.n * t.args.k;
            const bool integer = impl->act != TD_ACT_F32;
            bench b = {.slot = slot->name,
                       .level = c->levels[l].name,
                       .shape = shapes[i].name,
                       .call = call_gemm,
                       .arg = &t,
                       .ops = 2 * macs,
                       .bytes = (double)td_pack_panel_bytes(t.dtype, (size_t)t.args.k) * t.args.n /
                                TD_PANEL};
            if (stream)
                b.peak_gbps = best_rate(read_once, &c->levels[l], buffer);
            else
                b.peak_gops = best_rate(integer ? int8_once : f32_once, &c->levels[l], NULL);
            print_bench(&b);
        }
    }
}

/* ---- the rest ---- */

/* Buffers for any of the vector kernels, in the second-level cache. */
typedef struct vector_bench {
    const td_kernels *t;
    int which;
    float *x, *y, *w; /* [VECTOR_ROOM] */
    uint16_t *half;
    uint8_t *blocks; /* as good for Q8_0 as for Q4_0 */
    int8_t *q;
    int16_t *s;
} vector_bench;

enum { VECTOR_N = 4096, VECTOR_ROOM = 32768, HEAD_DIM = 128, N_POS = 256 };

typedef enum vector_kind {
    V_QUANTIZE_32,
    V_QUANTIZE_256,
    V_RMS_NORM,
    V_SWIGLU,
    V_GEGLU,
    V_ADD,
    V_SCALE,
    V_SOFTCAP,
    V_MAX,
    V_EXP_SUM,
    V_TO_F16,
    V_TO_Q8_0,
    V_TO_Q4_0,
    V_SCORE_F32,
    V_SCORE_F16,
    V_SCORE_Q8_0,
    V_SCORE_Q4_0,
    V_VALUE_F32,
    V_VALUE_F16,
    V_VALUE_Q8_0,
    V_VALUE_Q4_0,
    V_ROPE,
    N_VECTOR_KIND
} vector_kind;

/* Bytes read and written by one call, roughly: 4 per element and stream. */
static const struct {
    const char *slot, *shape;
    double bytes;
} vector_kinds[N_VECTOR_KIND] = {
    {"quantize_act_q8_32",  "k4096",     5.0 * VECTOR_N            },
    {"quantize_act_q8_256", "k4096",     5.0 * VECTOR_N            },
    {"rms_norm",            "n4096",     16.0 * VECTOR_N           },
    {"swiglu",              "n4096",     12.0 * VECTOR_N           },
    {"geglu_tanh",          "n4096",     12.0 * VECTOR_N           },
    {"add",                 "n4096",     12.0 * VECTOR_N           },
    {"scale",               "n4096",     8.0 * VECTOR_N            },
    {"softcap",             "n4096",     8.0 * VECTOR_N            },
    {"max",                 "n4096",     4.0 * VECTOR_N            },
    {"exp_sum",             "n4096",     8.0 * VECTOR_N            },
    {"to_f16",              "n4096",     6.0 * VECTOR_N            },
    {"to_q8_0",             "n4096",     5.0 * VECTOR_N            },
    {"to_q4_0",             "n4096",     4.5 * VECTOR_N            },
    {"attn_score_f32",      "d128-p256", 4.0 * HEAD_DIM *N_POS     },
    {"attn_score_f16",      "d128-p256", 2.0 * HEAD_DIM *N_POS     },
    {"attn_score_q8_0",     "d128-p256", 34. / 32 * HEAD_DIM *N_POS},
    {"attn_score_q4_0",     "d128-p256", 18. / 32 * HEAD_DIM *N_POS},
    {"attn_value_f32",      "d128-p256", 4.0 * HEAD_DIM *N_POS     },
    {"attn_value_f16",      "d128-p256", 2.0 * HEAD_DIM *N_POS     },
    {"attn_value_q8_0",     "d128-p256", 34. / 32 * HEAD_DIM *N_POS},
    {"attn_value_q4_0",     "d128-p256", 18. / 32 * HEAD_DIM *N_POS},
    {"rope",                "n128",      12.0 * 128                },
};

static void call_vector(void *arg) {
    vector_bench *v = arg;
    const td_kernels *t = v->t;
    switch ((vector_kind)v->which) {
    case V_QUANTIZE_32: t->quantize_act[TD_ACT_Q8_32](v->x, VECTOR_N, v->q, v->y, v->s); break;
    case V_QUANTIZE_256: t->quantize_act[TD_ACT_Q8_256](v->x, VECTOR_N, v->q, v->y, v->s); break;
    case V_RMS_NORM: t->rms_norm(v->y, v->x, v->w, VECTOR_N, 1e-5f); break;
    case V_SWIGLU: t->swiglu(v->y, v->x, v->w, VECTOR_N); break;
    case V_GEGLU: t->geglu_tanh(v->y, v->x, v->w, VECTOR_N); break;
    case V_ADD: t->add(v->y, v->x, VECTOR_N); break;
    case V_SCALE: t->scale(v->y, 1.0f, VECTOR_N); break;
    case V_SOFTCAP: t->softcap(v->y, VECTOR_N, 30.0f); break;
    case V_MAX: v->y[0] = t->max(v->x, VECTOR_N); break;
    case V_EXP_SUM:
        memcpy(v->y, v->x, VECTOR_N * sizeof(float));
        v->w[0] = t->exp_sum(v->y, VECTOR_N, 3.0f);
        break;
    case V_TO_F16: t->to_f16(v->half, v->x, VECTOR_N); break;
    case V_TO_Q8_0: t->to_q8_0(v->q, v->x, VECTOR_N); break;
    case V_TO_Q4_0: t->to_q4_0(v->q, v->x, VECTOR_N); break;
    case V_SCORE_Q8_0:
        t->attn_score[TD_KV_DTYPE_Q8_0](v->y, v->w, v->blocks, N_POS, HEAD_DIM, 1);
        break;
    case V_SCORE_Q4_0:
        t->attn_score[TD_KV_DTYPE_Q4_0](v->y, v->w, v->blocks, N_POS, HEAD_DIM, 1);
        break;
    case V_VALUE_Q8_0:
        t->attn_value[TD_KV_DTYPE_Q8_0](v->y, v->w, v->blocks, N_POS, HEAD_DIM);
        break;
    case V_VALUE_Q4_0:
        t->attn_value[TD_KV_DTYPE_Q4_0](v->y, v->w, v->blocks, N_POS, HEAD_DIM);
        break;
    case V_SCORE_F32: t->attn_score[TD_KV_DTYPE_F32](v->y, v->w, v->x, N_POS, HEAD_DIM, 1); break;
    case V_SCORE_F16:
        t->attn_score[TD_KV_DTYPE_F16](v->y, v->w, v->half, N_POS, HEAD_DIM, 1);
        break;
    case V_VALUE_F32: t->attn_value[TD_KV_DTYPE_F32](v->y, v->w, v->x, N_POS, HEAD_DIM); break;
    case V_VALUE_F16: t->attn_value[TD_KV_DTYPE_F16](v->y, v->w, v->half, N_POS, HEAD_DIM); break;
    case V_ROPE: t->rope(v->y, v->w, 128, true); break;
    default: break;
    }
}

static void bench_vectors(check *c, const char *glob) {
    vector_bench v = {.x = check_place(c, 0, VECTOR_ROOM * 4, 0),
                      .y = check_place(c, 1, VECTOR_ROOM * 4, 0),
                      .w = check_place(c, 2, VECTOR_ROOM * 4, 0),
                      .half = check_place(c, 3, VECTOR_ROOM * 2, 0),
                      .q = check_place(c, 4, VECTOR_ROOM, 0),
                      .s = check_place(c, 5, VECTOR_ROOM * 2, 0),
                      .blocks = check_place(c, 6, VECTOR_ROOM * 2, 0)};
    for (int i = 0; i < N_VECTOR_KIND; i++) {
        if (!wanted(glob, vector_kinds[i].slot, vector_kinds[i].shape)) continue;
        v.which = i;
        check_fill_floats(c, v.x, VECTOR_ROOM, DATA_NORMAL);
        check_fill_floats(c, v.y, VECTOR_ROOM, DATA_NORMAL);
        check_fill_floats(c, v.w, VECTOR_ROOM, DATA_NORMAL);
        check_fill_halves(c, v.half, VECTOR_ROOM, DATA_NORMAL);
        check_fill_halves(c, (uint16_t *)(void *)v.blocks, VECTOR_ROOM, DATA_NORMAL);
        for (int l = 0; l < c->n_level; l++) {
            v.t = &c->levels[l].table;
            if (strcmp(c->levels[l].name, "avx512vnni") == 0) continue; /* the same as avx512 */
            const bench b = {.slot = vector_kinds[i].slot,
                             .level = c->levels[l].name,
                             .shape = vector_kinds[i].shape,
                             .call = call_vector,
                             .arg = &v,
                             .bytes = vector_kinds[i].bytes,
                             .peak_gbps = 1e9};
            print_bench(&b);
        }
    }
}

void check_bench(check *c, const char *glob) {
    uint8_t *buffer = aligned_alloc(2 << 20, STREAM_BYTES);
    float *y = malloc((size_t)4 << 20);
    if (!buffer || !y) exit(2);
    memset(buffer, 1, STREAM_BYTES);
    printf("slot,level,shape,ns,GB/s,GOP/s,percent of peak\n");
    for (int i = 0; i < n_check_slots; i++)
        if (strncmp(check_slots[i].name, "gemm_", 5) == 0)
            bench_gemm(c, &check_slots[i], glob, buffer, y);
    bench_vectors(c, glob);
    free(buffer);
    free(y);
}
