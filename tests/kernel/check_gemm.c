/* check_gemm.c - the matrix products: shapes, weights, activations, and the reference itself
 * against double precision. */
#include "kernel/check_gemm.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/pack.h"
#include "tensor/quantize.h"

/* Kinds of weights and activations. */
typedef enum gemm_data {
    GEMM_NORMAL,   /* random quants, sane scales; activations quantized from N(0, 1) */
    GEMM_ZERO_W,   /* all weight bytes 0 */
    GEMM_ZERO_A,   /* all activations 0 */
    GEMM_MAX,      /* every byte 0xff but the scales: all nibbles and sub-scales at their top, E4M3
                      at 448; activations all 127 */
    GEMM_MIN,      /* every byte 0x80: int8 weights and sub-scales -128; activations all -127 */
    GEMM_LOW,      /* every byte 0 but the scales: what is stored with an offset is at its lowest;
                      activations all 127 or all -127 */
    GEMM_EDGE,     /* random weights, sane scales; activations all 127 or all -127 */
    GEMM_OVERFLOW, /* random, with the largest scales and activation scales at 1e35 */
    GEMM_TINY,     /* random, with denormal scales and denormal activation scales */
    GEMM_BITS,     /* any bits: infinite and NaN scales */
    N_GEMM_DATA
} gemm_data;

static const char *const data_names[N_GEMM_DATA] = {"normal", "zero-w", "zero-a",   "max",  "min",
                                                    "low",    "edge",   "overflow", "tiny", "bits"};

/* ---- shapes ---- */

static const int m_list[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 12, 13, 16, 17, 31, 33};
static const int n_list[] = {1, 2, 15, 16, 17, 31, 33, 48};
#define COUNT(list) ((int)(sizeof(list) / sizeof(list)[0]))

/* Beyond the grid: real models, and k longer than a kernel's chunk of k at each height of tile. */
static const struct {
    int m, n, k;
} far_shapes[] = {
    {1,  576, 1536           },
    {3,  576, 1536           },
    {4,  320, 960 / 256 * 256},
    {13, 272, 1280           },
    {1,  17,  12544          },
    {2,  33,  6400           },
    {4,  17,  6656           },
    {5,  17,  4352           },
    {12, 16,  2304           },
    {33, 31,  2560           },
    {7,  17,  3840           },
    {1,  16,  25600          },
    {1,  0,   512            },
    {2,  65,  768            }
};

/* Float weights take any k.  (Of F8_E4M3 the last block is short then.) */
static bool any_k(td_dtype dtype) {
    const td_dtype_info *info = td_dtype_get_info((int)dtype);
    return info->block_elems == 1 || info->short_tail;
}

static int block_of(td_dtype dtype) {
    const int elems = td_dtype_get_info((int)dtype)->block_elems;
    return elems == 1 ? 64
                      : elems; /* plain types: "a block" of 64 leaves the chunk of 128 uneven */
}

/* ---- data ---- */

/* What the scale fields of a block are made of. */
typedef enum scale_kind {
    SCALE_F16,
    SCALE_BF16,
    SCALE_E8M0,    /* one byte */
    SCALE_E4M3_X4, /* four bytes without sign */
    SCALE_F32
} scale_kind;

static scale_kind scale_kind_of(td_dtype dtype) {
    switch ((int)dtype) {
    case TD_DTYPE_INT4: return SCALE_BF16;
    case TD_DTYPE_MXFP4: return SCALE_E8M0;
    case TD_DTYPE_NVFP4: return SCALE_E4M3_X4;
    case TD_DTYPE_F8_E4M3: return SCALE_F32;
    default: return SCALE_F16;
    }
}

/* Offsets of the scale fields of a block; -1: none. */
static void scale_fields(td_dtype dtype, int at[2]) {
    at[0] = 0, at[1] = -1;
    switch ((int)dtype) {
    case TD_DTYPE_Q4_1:
    case TD_DTYPE_Q5_1:
    case TD_DTYPE_Q4_K:
    case TD_DTYPE_Q5_K: at[1] = 2; break;
    case TD_DTYPE_Q2_K: at[0] = 80, at[1] = 82; break;
    case TD_DTYPE_Q3_K: at[0] = 108; break;
    case TD_DTYPE_Q6_K: at[0] = 208; break;
    case TD_DTYPE_TQ1_0: at[0] = 52; break;
    case TD_DTYPE_TQ2_0: at[0] = 64; break;
    case TD_DTYPE_IQ1_M: at[0] = -1; break; /* in four pieces: put_iq1_m_scale */
    default: break;
    }
}

/* Puts a block's f16 scale into the high nibbles of its last four 16-bit words. */
static void put_iq1_m_scale(uint8_t *block, uint16_t half) {
    for (int i = 0; i < 4; i++) {
        uint8_t *high = block + 49 + 2 * i;
        *high = (uint8_t)((*high & 15) | (half >> 4 * i & 15) << 4);
    }
}

/* The quants of a block with an offset field, without which a weight is its offset alone. */
static void clear_quants(td_dtype dtype, uint8_t *block) {
    const size_t block_bytes = (size_t)td_dtype_get_info((int)dtype)->block_bytes;
    if (dtype == TD_DTYPE_Q2_K) {
        memset(block + 16, 0, 64);
        return;
    }
    const size_t from = dtype == TD_DTYPE_Q4_K || dtype == TD_DTYPE_Q5_K ? 16 : 4;
    memset(block + from, 0, block_bytes - from);
}

static uint16_t half_for(check *c, gemm_data kind) {
    const float x = check_random_normal(c);
    switch (kind) {
    case GEMM_OVERFLOW: return td_f32_to_f16(x < 0 ? -65504.0f : 65504.0f);
    case GEMM_TINY: return (uint16_t)(check_random(c) & 0x83ff);
    default: return td_f32_to_f16(x * 0.01f);
    }
}

static float float_for(check *c, gemm_data kind) {
    const float x = check_random_normal(c);
    switch (kind) {
    case GEMM_OVERFLOW: return x < 0 ? -0x1.fep127f : 0x1.fep127f; /* a bf16 as well */
    case GEMM_TINY: return x * 0x1p-128f;
    default: return x * 0.01f;
    }
}

/* A byte of E8M0: 2^-127 and 2^-128 come out denormal.  Of E4M3: normal data may have any. */
static uint8_t byte_for(check *c, gemm_data kind, scale_kind scale) {
    if (scale == SCALE_E8M0) {
        if (kind == GEMM_OVERFLOW) return 255;
        return (uint8_t)check_random_int(c, kind == GEMM_TINY ? 0 : 112,
                                         kind == GEMM_TINY ? 3 : 127);
    }
    if (kind == GEMM_OVERFLOW) return 0x7e;
    return (uint8_t)(check_random(c) & (kind == GEMM_TINY ? 0x87 : 0xff));
}

static void put_scale(check *c, gemm_data kind, scale_kind scale, uint8_t *at) {
    if (scale == SCALE_F16) {
        const uint16_t half = half_for(c, kind);
        memcpy(at, &half, sizeof half);
    } else if (scale == SCALE_F32 || scale == SCALE_BF16) {
        const float x = float_for(c, kind);
        const uint16_t half = td_f32_to_bf16(x);
        if (scale == SCALE_F32)
            memcpy(at, &x, sizeof x);
        else
            memcpy(at, &half, sizeof half);
    } else {
        for (int i = 0; i < (scale == SCALE_E8M0 ? 1 : 4); i++) at[i] = byte_for(c, kind, scale);
    }
}

/* A block of quants that may be anything, of which the first n_byte bytes are there. */
static void finish_block(check *c, td_dtype dtype, gemm_data kind, uint8_t *block, size_t n_byte) {
    int at[2];
    scale_fields(dtype, at);
    for (int i = 0; i < 2; i++)
        if (at[i] >= 0) put_scale(c, kind, scale_kind_of(dtype), block + at[i]);
    if (dtype == TD_DTYPE_IQ1_M) put_iq1_m_scale(block, half_for(c, kind));
    if (kind == GEMM_MAX && dtype == TD_DTYPE_Q6_K) /* 0xff is -1 there: the most is -128 */
        memset(block + 192, 0x80, 16);
    if (kind == GEMM_NORMAL && (dtype == TD_DTYPE_INT4_Z32 || dtype == TD_DTYPE_INT4_Z128))
        block[2] = (uint8_t)check_random_int(c, 0, 16); /* the other data have any zero */
    if (dtype == TD_DTYPE_F8_E4M3)
        for (size_t i = 4; i < n_byte; i++)
            if ((block[i] & 0x7f) == 0x7f) block[i] &= 0xfe; /* the largest number, not NaN */
}

static void fill_weights(check *c, const gemm_case *t, gemm_data kind, size_t bytes) {
    const size_t block = (size_t)td_dtype_get_info((int)t->dtype)->block_bytes;
    if (kind == GEMM_ZERO_W) {
        memset(t->rows, 0, bytes);
        return;
    }
    if (kind == GEMM_MAX || kind == GEMM_MIN || kind == GEMM_LOW) {
        memset(t->rows, kind == GEMM_MAX ? 0xff : kind == GEMM_MIN ? 0x80 : 0, bytes);
    } else {
        size_t i = 0;
        for (uint64_t r; i + 8 <= bytes; i += 8) {
            r = check_random(c);
            memcpy(t->rows + i, &r, 8);
        }
        for (; i < bytes; i++) t->rows[i] = (uint8_t)check_random(c);
    }
    if (kind == GEMM_BITS) return;
    for (size_t row = 0; row < bytes; row += t->row_bytes)
        for (size_t b = 0; b < t->row_bytes; b += block) {
            const size_t left = t->row_bytes - b;
            finish_block(c, t->dtype, kind, t->rows + row + b, left < block ? left : block);
        }
}

static check_data float_kind(gemm_data kind) {
    switch (kind) {
    case GEMM_ZERO_W:
    case GEMM_ZERO_A: return DATA_ZERO;
    case GEMM_MAX:
    case GEMM_OVERFLOW: return DATA_HUGE;
    case GEMM_MIN:
    case GEMM_LOW:
    case GEMM_TINY: return DATA_DENORMAL;
    case GEMM_BITS: return DATA_BITS;
    default: return DATA_NORMAL;
    }
}

static void fill_plain_weights(check *c, td_dtype dtype, gemm_data kind, uint8_t *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        float x;
        uint16_t half;
        check_fill_floats(c, &x, 1, kind == GEMM_ZERO_A ? DATA_NORMAL : float_kind(kind));
        if (dtype == TD_DTYPE_F32) {
            memcpy(rows + 4 * i, &x, 4);
            continue;
        }
        if (dtype == TD_DTYPE_BF16)
            half = kind == GEMM_BITS ? (uint16_t)check_random(c) : td_f32_to_bf16(x);
        else
            check_fill_halves(c, &half, 1, kind == GEMM_ZERO_A ? DATA_NORMAL : float_kind(kind));
        memcpy(rows + 2 * i, &half, 2);
    }
}

/* One row of int8 activations, consistent in q, d and s. */
static void fill_act_row(check *c, td_act_type type, gemm_data kind, const gemm_row *to, int k) {
    const int block = type == TD_ACT_Q8_32 ? 32 : 256, group = type == TD_ACT_Q8_32 ? 32 : 16;
    if (kind == GEMM_NORMAL) {
        float *x = malloc((size_t)k * sizeof *x);
        if (!x) exit(2);
        check_fill_floats(c, x, (size_t)k, DATA_NORMAL);
        c->ref.quantize_act[type](x, k, to->q, to->d, to->s);
        free(x);
        return;
    }
    const uint64_t sign = check_random(c);
    for (int i = 0; i < k; i++) {
        int q = check_random_int(c, -127, 127);
        if (kind == GEMM_ZERO_A) q = 0;
        if (kind == GEMM_MAX || kind == GEMM_LOW || kind == GEMM_EDGE) q = sign & 1 ? 127 : -127;
        if (kind == GEMM_MIN) q = sign & 1 ? (i & 1 ? -127 : 127) : -127;
        to->q[i] = (int8_t)q;
    }
    for (int i = 0; i < k / block; i++) {
        float d = check_random_normal(c);
        if (kind == GEMM_OVERFLOW) d = 1e35f;
        if (kind == GEMM_TINY) d *= 1e-40f;
        if (kind == GEMM_BITS) check_fill_floats(c, &d, 1, DATA_BITS);
        to->d[i] = d;
    }
    for (int i = 0; i < k / group; i++) {
        int sum = 0;
        for (int j = 0; j < group; j++) sum += to->q[i * group + j];
        to->s[i] = (int16_t)sum;
    }
}

/* ---- a case ---- */

/* Rows of activations, padded apart so that the strides differ from k. */
static void place_activations(check *c, gemm_case *t, gemm_data kind) {
    td_act *a = &t->args.a;
    const int m = t->args.m, k = t->args.k;
    if (t->act == TD_ACT_F32) {
        a->ldx = k + 3;
        const size_t n = m ? (size_t)((m - 1) * a->ldx + k) : 0;
        float *x = check_place(c, 1, n * sizeof *x, 0);
        check_fill_floats(c, x, n, kind == GEMM_ZERO_W ? DATA_NORMAL : float_kind(kind));
        a->x = x;
        return;
    }
    const int block = t->act == TD_ACT_Q8_32 ? 32 : 256, group = t->act == TD_ACT_Q8_32 ? 32 : 16;
    a->ldq = k + 5;
    a->ldd = k / block + 1;
    a->lds = k / group + 3;
    const ptrdiff_t last = m ? m - 1 : 0, any = m > 0;
    int8_t *q = check_place(c, 1, (size_t)(any * (last * a->ldq + k)), 0);
    float *d = check_place(c, 2, (size_t)(any * (last * a->ldd + k / block)) * sizeof *d, 0);
    int16_t *s = check_place(c, 3, (size_t)(any * (last * a->lds + k / group)) * sizeof *s, 0);
    a->q = q, a->d = d, a->s = s;
    for (int i = 0; i < m; i++) {
        const gemm_row row = {q + i * a->ldq, d + i * a->ldd, s + i * a->lds};
        fill_act_row(c, t->act, kind, &row, k);
    }
}

void gemm_case_make(check *c, gemm_case *t, int m, int n, int k, int kind) {
    const td_dtype_info *info = td_dtype_get_info((int)t->dtype);
    const int n_panel = (n + TD_PANEL - 1) / TD_PANEL;
    const size_t panel_bytes = td_pack_panel_bytes(t->dtype, (size_t)k);
    const size_t row_bytes = panel_bytes / TD_PANEL;
    t->row_bytes = row_bytes;
    t->rows = check_place(c, 4, row_bytes * (size_t)n, 0);
    if (info->block_elems == 1)
        fill_plain_weights(c, t->dtype, (gemm_data)kind, t->rows, (size_t)n * (size_t)k);
    else
        fill_weights(c, t, (gemm_data)kind, row_bytes * (size_t)n);
    /* Every other case has its weights at an odd address. */
    uint8_t *w = check_place(c, 0, panel_bytes * (size_t)n_panel, check_random(c) & 1);
    for (int p = 0; p < n_panel; p++) {
        const int rows = n - p * TD_PANEL < TD_PANEL ? n - p * TD_PANEL : TD_PANEL;
        td_pack_panel(t->dtype, t->rows + (size_t)p * TD_PANEL * row_bytes, row_bytes, rows,
                      (size_t)k, w + (size_t)p * panel_bytes);
    }
    t->args = (td_gemm_args){.w = w, .m = m, .n = n, .k = k, .ldy = n + (n % 3)};
    place_activations(c, t, (gemm_data)kind);
    t->y_bytes = m ? (size_t)((m - 1) * t->args.ldy + n) * sizeof(float) : 0;
    t->args.y = check_output(c, 5, t->y_bytes);
}

static void call_gemm(void *arg) {
    const gemm_case *t = arg;
    t->run(&t->args);
}

/* Activation j of row i, as the kernels see it. */
static double activation(const gemm_case *t, int i, int j) {
    const td_act *a = &t->args.a;
    if (t->act == TD_ACT_F32) return (double)a->x[i * a->ldx + j];
    const int block = t->act == TD_ACT_Q8_32 ? 32 : 256;
    return (double)a->q[i * a->ldq + j] * (double)a->d[i * a->ldd + j / block];
}

/* The reference against sums in double.
 *
 * With u = 2^-24 a result differs from the exact one by at most c u sum(|w'| |x|).  For int8
 * activations every block of them adds one term d da isum, and a second one if the type has an
 * offset or scales for half a block: the scale rounds once, the integer rounds once to f32, and
 * each of the up to 2 n_block fma rounds a partial sum once; td_dequantize_row rounds each weight
 * up to three times: c = 2 n_block + 5.  For float weights each fma and each addition of a chunk
 * rounds once, and td_dequantize_row once if there are scales: c = 128 + n_chunk + 1.  |w'| is |w|
 * plus twice the offset: |d q| + |m| <= |d q - m| + 2 |m|, since d q and m may cancel in w. */
static void check_against_double(check *c, const gemm_case *t) {
    const td_gemm_args *g = &t->args;
    const int elems = td_dtype_get_info((int)t->dtype)->block_elems;
    const size_t block_bytes = (size_t)td_dtype_get_info((int)t->dtype)->block_bytes;
    const int act_block = t->act == TD_ACT_Q8_32 ? 32 : 256;
    const double coefficient =
        t->act == TD_ACT_F32 ? 129 + (g->k + 127) / 128 : 2 * (g->k / act_block) + 5;
    int at[2];
    scale_fields(t->dtype, at);
    float *w = malloc(((size_t)g->k + 1) * 2 * sizeof *w), *offset = w + g->k + 1;
    uint8_t *row = malloc(t->row_bytes + 1);
    if (!w || !row) exit(2);
    for (int o = 0; o < g->n; o++) {
        memcpy(row, t->rows + (size_t)o * t->row_bytes, t->row_bytes);
        td_dequantize_row(t->dtype, row, w, (size_t)g->k);
        memset(offset, 0, (size_t)g->k * sizeof *offset);
        if (elems > 1 && at[1] >= 0) { /* the same row without its quants is the offset alone */
            for (size_t b = 0; b < t->row_bytes; b += block_bytes) clear_quants(t->dtype, row + b);
            td_dequantize_row(t->dtype, row, offset, (size_t)g->k);
        }
        for (int i = 0; i < g->m; i++) {
            double sum = 0, weight = 0;
            for (int j = 0; j < g->k; j++) {
                const double x = activation(t, i, j);
                sum += (double)w[j] * x;
                weight += (fabs((double)w[j]) + 2 * fabs((double)offset[j])) * fabs(x);
            }
            const double got = (double)g->y[i * g->ldy + o], bound = coefficient * 0x1p-24 * weight;
            if (!(fabs(got - sum) <= bound))
                check_fail(c,
                           "row %d, output %d: %.9g is %.3g from the sum in double, allowed %.3g",
                           i, o, got, fabs(got - sum), bound);
        }
    }
    free(w);
    free(row);
}

static void run_case(check *c, const check_slot *slot, int m, int n, int k, gemm_data kind) {
    if (!check_begin(c, "%s/m%d-n%d-k%d", data_names[kind], m, n, k)) return;
    const size_t offset = offsetof(td_kernels, gemm) + (size_t)slot->id * sizeof(td_gemm_impl) +
                          offsetof(td_gemm_impl, run);
    gemm_case t = {.dtype = (td_dtype)slot->id, .act = c->ref.gemm[slot->id].act};
    gemm_case_make(c, &t, m, n, k, (int)kind);
    t.run = c->ref.gemm[slot->id].run;
    if (!check_call(c, NULL, call_gemm, &t)) return;
    check_keep_expected(c, t.args.y, t.y_bytes);
    if (kind == GEMM_NORMAL) check_against_double(c, &t);
    for (int l = 0; l < c->n_level; l++) {
        if (!check_is_variant(c, l, offset)) continue;
        t.args.y = check_output(c, 5, t.y_bytes);
        t.run = c->levels[l].table.gemm[slot->id].run;
        if (check_call(c, c->levels[l].name, call_gemm, &t))
            check_compare(c, t.args.y, t.y_bytes, CHECK_FLOAT);
    }
}

void check_gemm(check *c, const check_slot *slot) {
    const int block = block_of((td_dtype)slot->id);
    for (int m = 0; m < COUNT(m_list); m++)
        for (int n = 0; n < COUNT(n_list); n++)
            for (int b = 1; b <= 3; b++)
                run_case(c, slot, m_list[m], n_list[n], b * block, GEMM_NORMAL);
    /* The other data need fewer shapes: a full panel, one output, both. */
    static const int few_n[] = {1, 16, 33};
    for (int kind = GEMM_NORMAL + 1; kind < N_GEMM_DATA; kind++)
        for (int m = 1; m < COUNT(m_list); m++)
            for (int n = 0; n < COUNT(few_n); n++)
                for (int b = 1; b <= 3; b++)
                    run_case(c, slot, m_list[m], few_n[n], b * block, (gemm_data)kind);
    for (int i = 0; i < COUNT(far_shapes); i++)
        run_case(c, slot, far_shapes[i].m, far_shapes[i].n, far_shapes[i].k, GEMM_NORMAL);
    run_case(c, slot, 3, 17, 0, GEMM_NORMAL);
    if (any_k((td_dtype)slot->id))
        for (int k = 1; k < 20; k += 3)
            for (int m = 1; m <= 7; m += 3) run_case(c, slot, m, 17, k * 13, GEMM_NORMAL);
}
