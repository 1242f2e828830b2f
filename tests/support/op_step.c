/* op_step.c - see op_step.h. */
#include "support/op_step.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/quantize.h"

static void die(const char *what) {
    fprintf(stderr, "op_step: %s\n", what);
    exit(1);
}

static void *alloc(size_t n, size_t size) {
    void *p = calloc(n, size);
    if (!p) die("out of memory");
    return p;
}

/* ---- the step ---- */

op_step *op_step_start(int n_thread, unsigned cpu_flags, size_t n_act, int k_max) {
    op_step *o = alloc(1, sizeof *o);
    td_arena_init(&o->arena, 1 << 20);
    td_kernels_fill(&o->kernels, cpu_flags);
    o->step.kernels = &o->kernels;
    if (td_pool_create(&o->step.pool, n_thread, NULL) != TD_OK) die("the pool");
    if (td_step_scratch_init(&o->step, &o->arena, n_act, k_max, NULL) != TD_OK) die("the scratch");
    return o;
}

void op_step_stop(op_step *o) {
    td_pool_free(o->step.pool);
    td_arena_clear(&o->arena);
    free(o);
}

/* ---- numbers ---- */

float op_random(uint64_t *state) {
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return (float)(int32_t)(*state >> 32) / 2147483648.0f;
}

int op_random_int(uint64_t *state, int n) {
    (void)op_random(state);
    return (int)((*state >> 33) % (uint64_t)n);
}

void op_random_fill(float *x, size_t n, float scale, uint64_t *state) {
    for (size_t i = 0; i < n; i++) x[i] = op_random(state) * scale;
}

double op_gamma(int n) {
    const double nu = ldexp(n, -24);
    return nu / (1 - nu);
}

/* ---- weights ---- */

/* Blocks of the types that only checkpoints have: a scale, then codes of any value but NaN. */
static void random_blocks(td_dtype dtype, uint8_t *blocks, size_t row_bytes, int n,
                          uint64_t *state) {
    const size_t block_bytes = (size_t)td_dtype_get_info((int)dtype)->block_bytes;
    for (size_t at = 0; at < row_bytes * (size_t)n; at++) {
        const size_t in_block = at % row_bytes % block_bytes;
        const float scale = 0.01f + 0.005f * op_random(state);
        if (in_block == 0 && dtype == TD_DTYPE_F8_E4M3) {
            memcpy(blocks + at, &scale, sizeof scale);
            at += sizeof scale - 1;
        } else if (in_block == 0) {
            const uint16_t d = td_f32_to_bf16(scale);
            memcpy(blocks + at, &d, sizeof d);
            at += sizeof d - 1;
        } else {
            blocks[at] = (uint8_t)op_random_int(state, 256);
            if (dtype == TD_DTYPE_F8_E4M3) blocks[at] &= 0xbf; /* below 2 */
        }
    }
}

/* Of Q4_K, a weight is d scale q - dmin min. */
static void parts_of_q4_k(const uint8_t *block, const float *values, float *parts) {
    uint16_t h;
    uint8_t scale[8], min[8];
    memcpy(&h, block + 2, sizeof h);
    td_k_scale_min(block + 4, scale, min);
    for (int i = 0; i < 256; i++) {
        const float m = td_f16_to_f32(h) * (float)min[i / 32];
        parts[i] = fabsf(values[i] + m) + fabsf(m);
    }
}

static void read_back(op_weight *w, size_t row_bytes) {
    const size_t k = (size_t)w->k;
    for (size_t i = 0; i < (size_t)w->n; i++) {
        const uint8_t *row = w->blocks + i * row_bytes;
        td_dequantize_row(w->tensor.dtype, row, w->values + i * k, k);
        for (size_t j = i * k; j < (i + 1) * k; j++) w->parts[j] = fabsf(w->values[j]);
        for (size_t b = 0; b < k / 256 && w->tensor.dtype == TD_DTYPE_Q4_K; b++)
            parts_of_q4_k(row + b * 144, w->values + i * k + b * 256, w->parts + i * k + b * 256);
    }
}

void op_weight_make(op_weight *w, td_dtype dtype, int n, int k, const float *values,
                    uint64_t *state) {
    const size_t n_elem = (size_t)n * (size_t)k;
    size_t row_bytes;
    if (td_dtype_row_bytes(&row_bytes, dtype, (size_t)k, NULL) != TD_OK) die("a row's length");
    *w = (op_weight){
        .tensor = {.name = "w", .dtype = dtype, .n_dims = 2, .ne = {k, n, 1, 1}},
          .n = n, .k = k
    };
    w->blocks = alloc((size_t)n, row_bytes);
    w->values = alloc(n_elem, sizeof *w->values);
    w->parts = alloc(n_elem, sizeof *w->parts);
    w->tensor.data = w->blocks;
    w->tensor.n_bytes = (size_t)n * row_bytes;
    if (values)
        memcpy(w->values, values, n_elem * sizeof *values);
    else
        op_random_fill(w->values, n_elem, 1.0f / sqrtf((float)k), state);
    if (!td_dtype_can_quantize(dtype) && dtype != TD_DTYPE_F32)
        random_blocks(dtype, w->blocks, row_bytes, n, state);
    for (size_t i = 0; i < (size_t)n && td_dtype_can_quantize(dtype); i++)
        if (td_quantize_row(dtype, w->values + i * (size_t)k, w->blocks + i * row_bytes, (size_t)k,
                            NULL) != TD_OK)
            die("a quantizer");
    if (dtype == TD_DTYPE_F32) memcpy(w->blocks, w->values, n_elem * sizeof *w->values);
    read_back(w, row_bytes);
}

void op_weight_clear(op_weight *w) {
    free(w->blocks);
    free(w->values);
    free(w->parts);
    *w = (op_weight){0};
}

td_linear op_linear(const op_weight *w, const float *bias, op_place place, op_step *o) {
    td_linear l = {.weight = &w->tensor, .bias = bias, .n = w->n, .k = w->k};
    if (place == OP_MAPPED) td_linear_use_map(&l, &o->kernels);
    if (place == OP_PACKED) {
        uint8_t *dst = td_arena_alloc(&o->arena, td_linear_packed_bytes(&l, &o->kernels));
        if (!dst) die("out of memory");
        td_linear_pack(&l, &o->step, dst);
    }
    return l;
}
