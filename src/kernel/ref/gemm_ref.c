/* gemm_ref.c - matrix products by the numerics of DESIGN, section 5.
 *
 * Blocks along k, in order: a block gives an exact integer sum (or, for float weights, a sum in k
 * order over 128), then acc = fma(scale, sum, acc).  The accumulators are the outputs themselves.
 */
#include <math.h>
#include <string.h>

#include "kernel/pack.h"
#include "kernel/ref/ref.h"
#include "tensor/codebooks.h"
#include "tensor/quantize.h"

enum { FLOAT_CHUNK = 128 };

static void clear_outputs(const td_gemm_args *g) {
    for (int i = 0; i < g->m; i++) memset(g->y + i * g->ldy, 0, (size_t)g->n * sizeof(float));
}

/* Block b of output o, gathered into the file's layout. */
static void fetch_block(const td_gemm_args *g, td_dtype dtype, int o, int b, uint8_t *block) {
    const size_t panel_bytes = td_pack_panel_bytes(dtype, (size_t)g->k);
    const size_t block_bytes = (size_t)td_dtype_get_info((int)dtype)->block_bytes;
    const uint8_t *panel = g->w + (size_t)(o / TD_PANEL) * panel_bytes;
    td_unpack_block(dtype, panel + (size_t)b * block_bytes * TD_PANEL, o % TD_PANEL, block_bytes,
                    block);
}

/* ---- runs of 32: w = d * q + m ---- */

typedef struct block32 {
    float d, m;
    int16_t q[32]; /* offset or zero taken off */
} block32;

static float f16_at(const uint8_t *p) {
    uint16_t h;
    memcpy(&h, p, 2);
    return td_f16_to_f32(h);
}

static float bf16_at(const uint8_t *p) {
    uint16_t h;
    memcpy(&h, p, 2);
    return td_bf16_to_f32(h);
}

/* q of 16 bytes: element j in the low nibble of byte j, j + 16 in the high one. */
static void decode_nibbles(const uint8_t *p, int offset, int16_t q[32]) {
    for (int j = 0; j < 16; j++) {
        q[j] = (int16_t)((p[j] & 15) - offset);
        q[j + 16] = (int16_t)((p[j] >> 4) - offset);
    }
}

static void decode_codes(const uint8_t *p, const int8_t values[16], int16_t q[32]) {
    for (int j = 0; j < 16; j++) {
        q[j] = values[p[j] & 15];
        q[j + 16] = values[p[j] >> 4];
    }
}

/* The fifth bit of element j is bit j of the word at p. */
static void decode_high_bits(const uint8_t *p, int16_t q[32]) {
    uint32_t high;
    memcpy(&high, p, 4);
    for (int j = 0; j < 32; j++) q[j] = (int16_t)(q[j] + (int)(high >> j & 1) * 16);
}

/* Run `run` of the block at p; only INT4_Z128 has more than one. */
static void decode32(td_dtype dtype, const uint8_t *p, int run, block32 *b) {
    b->m = 0;
    b->d = f16_at(p);
    switch (dtype) {
    case TD_DTYPE_Q4_0: decode_nibbles(p + 2, 8, b->q); break;
    case TD_DTYPE_Q4_1:
        b->m = f16_at(p + 2);
        decode_nibbles(p + 4, 0, b->q);
        break;
    case TD_DTYPE_Q5_0:
        decode_nibbles(p + 6, 16, b->q);
        decode_high_bits(p + 2, b->q);
        break;
    case TD_DTYPE_Q5_1:
        b->m = f16_at(p + 2);
        decode_nibbles(p + 8, 0, b->q);
        decode_high_bits(p + 4, b->q);
        break;
    case TD_DTYPE_Q8_0:
        for (int j = 0; j < 32; j++) b->q[j] = (int8_t)p[2 + j];
        break;
    case TD_DTYPE_IQ4_NL: decode_codes(p + 2, td_iq4_values, b->q); break;
    case TD_DTYPE_MXFP4:
        b->d = td_e8m0_half_to_f32(p[0]);
        decode_codes(p + 1, td_fp4_values, b->q);
        break;
    case TD_DTYPE_INT4:
        b->d = bf16_at(p);
        decode_nibbles(p + 2, 8, b->q);
        break;
    case TD_DTYPE_INT4_Z32:
    case TD_DTYPE_INT4_Z128: decode_nibbles(p + 3 + 16 * run, p[2], b->q); break;
    default: break;
    }
}

static void gemm32(const td_gemm_args *g, td_dtype dtype) {
    clear_outputs(g);
    const bool has_m = dtype == TD_DTYPE_Q4_1 || dtype == TD_DTYPE_Q5_1;
    const int n_run = td_dtype_get_info((int)dtype)->block_elems / 32;
    for (int o = 0; o < g->n; o++) {
        for (int b = 0; b < g->k / 32; b++) {
            uint8_t bytes[128];
            block32 w;
            fetch_block(g, dtype, o, b / n_run, bytes);
            decode32(dtype, bytes, b % n_run, &w);
            for (int i = 0; i < g->m; i++) {
                const int8_t *a = g->a.q + i * g->a.ldq + b * 32;
                const float da = g->a.d[i * g->a.ldd + b];
                int sum = 0;
                for (int j = 0; j < 32; j++) sum += w.q[j] * a[j];
                float *y = g->y + i * g->ldy + o;
                *y = fmaf(w.d * da, (float)sum, *y);
                if (has_m) *y = fmaf(w.m * da, (float)g->a.s[i * g->a.lds + b], *y);
            }
        }
    }
}

void td_gemm_q4_0_ref(const td_gemm_args *g) { gemm32(g, TD_DTYPE_Q4_0); }
void td_gemm_q4_1_ref(const td_gemm_args *g) { gemm32(g, TD_DTYPE_Q4_1); }
void td_gemm_q5_0_ref(const td_gemm_args *g) { gemm32(g, TD_DTYPE_Q5_0); }
void td_gemm_q5_1_ref(const td_gemm_args *g) { gemm32(g, TD_DTYPE_Q5_1); }
void td_gemm_q8_0_ref(const td_gemm_args *g) { gemm32(g, TD_DTYPE_Q8_0); }
void td_gemm_iq4_nl_ref(const td_gemm_args *g) { gemm32(g, TD_DTYPE_IQ4_NL); }
void td_gemm_mxfp4_ref(const td_gemm_args *g) { gemm32(g, TD_DTYPE_MXFP4); }
void td_gemm_int4_ref(const td_gemm_args *g) { gemm32(g, TD_DTYPE_INT4); }
void td_gemm_int4_z32_ref(const td_gemm_args *g) { gemm32(g, TD_DTYPE_INT4_Z32); }
void td_gemm_int4_z128_ref(const td_gemm_args *g) { gemm32(g, TD_DTYPE_INT4_Z128); }

/* ---- NVFP4: runs of 16 with a scale each, two of them under one scale of the activations ---- */

/* {u8 scales[4]; u8 qs[4][8]}: byte j of a run holds elements j and j + 8 */
static void decode_nvfp4_run(const uint8_t *block, int run, float *d, int8_t q[16]) {
    const uint8_t *qs = block + 4 + 8 * run;
    *d = td_ue4m3_half_to_f32(block[run]);
    for (int j = 0; j < 8; j++) {
        q[j] = td_fp4_values[qs[j] & 15];
        q[j + 8] = td_fp4_values[qs[j] >> 4];
    }
}

void td_gemm_nvfp4_ref(const td_gemm_args *g) {
    clear_outputs(g);
    for (int o = 0; o < g->n; o++) {
        for (int r = 0; r < g->k / 16; r++) {
            uint8_t bytes[36];
            int8_t q[16];
            float d;
            fetch_block(g, TD_DTYPE_NVFP4, o, r / 4, bytes);
            decode_nvfp4_run(bytes, r % 4, &d, q);
            for (int i = 0; i < g->m; i++) {
                const int8_t *a = g->a.q + i * g->a.ldq + r * 16;
                const float da = g->a.d[i * g->a.ldd + r / 2];
                int sum = 0;
                for (int j = 0; j < 16; j++) sum += q[j] * a[j];
                float *y = g->y + i * g->ldy + o;
                *y = fmaf(d * da, (float)sum, *y);
            }
        }
    }
}

/* ---- float weights: sums in k order over chunks of 128 ---- */

static void gemm_float(const td_gemm_args *g, td_dtype dtype) {
    clear_outputs(g);
    for (int o = 0; o < g->n; o++) {
        for (int k0 = 0; k0 < g->k; k0 += FLOAT_CHUNK) {
            const int n = g->k - k0 < FLOAT_CHUNK ? g->k - k0 : FLOAT_CHUNK;
            float w[FLOAT_CHUNK];
            for (int j = 0; j < n; j++) {
                uint8_t bytes[4];
                fetch_block(g, dtype, o, k0 + j, bytes);
                td_dequantize_row(dtype, bytes, w + j, 1);
            }
            for (int i = 0; i < g->m; i++) {
                const float *x = g->a.x + i * g->a.ldx + k0;
                float sum = 0;
                for (int j = 0; j < n; j++) sum = fmaf(w[j], x[j], sum);
                g->y[i * g->ldy + o] += sum;
            }
        }
    }
}

void td_gemm_f32_ref(const td_gemm_args *g) { gemm_float(g, TD_DTYPE_F32); }
void td_gemm_f16_ref(const td_gemm_args *g) { gemm_float(g, TD_DTYPE_F16); }
void td_gemm_bf16_ref(const td_gemm_args *g) { gemm_float(g, TD_DTYPE_BF16); }

/* ---- FP8: chunks of 128 with a scale each; the last one may be shorter ---- */

void td_gemm_f8_e4m3_ref(const td_gemm_args *g) {
    enum { BLOCK_BYTES = 4 + FLOAT_CHUNK };
    const size_t panel_bytes = td_pack_panel_bytes(TD_DTYPE_F8_E4M3, (size_t)g->k);
    clear_outputs(g);
    for (int o = 0; o < g->n; o++) {
        const uint8_t *panel = g->w + (size_t)(o / TD_PANEL) * panel_bytes;
        for (int k0 = 0; k0 < g->k; k0 += FLOAT_CHUNK, panel += BLOCK_BYTES * TD_PANEL) {
            const int n = g->k - k0 < FLOAT_CHUNK ? g->k - k0 : FLOAT_CHUNK;
            uint8_t bytes[BLOCK_BYTES];
            float scale, w[FLOAT_CHUNK];
            td_unpack_block(TD_DTYPE_F8_E4M3, panel, o % TD_PANEL, 4 + (size_t)n, bytes);
            memcpy(&scale, bytes, sizeof scale);
            for (int j = 0; j < n; j++) w[j] = td_e4m3_to_f32(bytes[4 + j]);
            for (int i = 0; i < g->m; i++) {
                const float *x = g->a.x + i * g->a.ldx + k0;
                float *y = g->y + i * g->ldy + o, sum = 0;
                for (int j = 0; j < n; j++) sum = fmaf(w[j], x[j], sum);
                *y = fmaf(scale, sum, *y);
            }
        }
    }
}
