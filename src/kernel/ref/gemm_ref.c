/* gemm_ref.c - matrix products by the numerics of DESIGN, section 5.
 *
 * Blocks along k, in order: a block gives an exact integer sum (or, for float weights, a sum in k
 * order over 128), then acc = fma(scale, sum, acc).  The accumulators are the outputs themselves.
 */
#include <math.h>
#include <string.h>

#include "kernel/pack.h"
#include "kernel/ref/ref.h"
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

/* ---- 32-element blocks: w = d * q + m ---- */

typedef struct block32 {
    float d, m;
    int8_t q[32];
} block32;

static float f16_at(const uint8_t *p) {
    uint16_t h;
    memcpy(&h, p, 2);
    return td_f16_to_f32(h);
}

static void decode32(td_dtype dtype, const uint8_t *p, block32 *b) {
    const bool has_m = dtype == TD_DTYPE_Q4_1 || dtype == TD_DTYPE_Q5_1;
    const bool has_high = dtype == TD_DTYPE_Q5_0 || dtype == TD_DTYPE_Q5_1;
    b->d = f16_at(p);
    b->m = has_m ? f16_at(p + 2) : 0;
    p += has_m ? 4 : 2;
    if (dtype == TD_DTYPE_Q8_0) {
        memcpy(b->q, p, 32);
        return;
    }
    uint32_t high = 0;
    if (has_high) memcpy(&high, p, 4);
    p += has_high ? 4 : 0;
    const int offset = has_m ? 0 : has_high ? 16 : 8;
    for (int j = 0; j < 16; j++) {
        b->q[j] = (int8_t)((p[j] & 15) + (int)(high >> j & 1) * 16 - offset);
        b->q[j + 16] = (int8_t)((p[j] >> 4) + (int)(high >> (j + 16) & 1) * 16 - offset);
    }
}

static void gemm32(const td_gemm_args *g, td_dtype dtype) {
    clear_outputs(g);
    const bool has_m = dtype == TD_DTYPE_Q4_1 || dtype == TD_DTYPE_Q5_1;
    for (int o = 0; o < g->n; o++) {
        for (int b = 0; b < g->k / 32; b++) {
            uint8_t bytes[64];
            block32 w;
            fetch_block(g, dtype, o, b, bytes);
            decode32(dtype, bytes, &w);
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

/* ---- 256-element blocks: w = d * scale[i / 16] * q - dmin * min[i / 32] ---- */

typedef struct block256 {
    float d, dmin;
    int16_t scale[16]; /* per 16 elements */
    int16_t min[8];    /* per 32 elements; all 0 in Q6_K */
    int8_t q[256];
} block256;

/* Q4_K {f16 d, dmin; u8 scales[12]; u8 qs[128]}; Q5_K has u8 qh[32] before qs. */
static void decode_q4_k_q5_k(td_dtype dtype, const uint8_t *p, block256 *b) {
    uint8_t scale[8], min[8];
    b->d = f16_at(p);
    b->dmin = f16_at(p + 2);
    td_k_scale_min(p + 4, scale, min);
    const uint8_t *high = dtype == TD_DTYPE_Q5_K ? p + 16 : NULL;
    const uint8_t *qs = high ? high + 32 : p + 16;
    for (int i = 0; i < 8; i++) {
        b->scale[2 * i] = b->scale[2 * i + 1] = scale[i];
        b->min[i] = min[i];
    }
    for (int i = 0; i < 256; i++) {
        const int group = i / 32, l = i % 32;
        const int low = qs[group / 2 * 32 + l] >> (group % 2 * 4) & 15;
        b->q[i] = (int8_t)(low | (high ? (high[l] >> group & 1) << 4 : 0));
    }
}

/* Q6_K {u8 ql[128]; u8 qh[64]; i8 scales[16]; f16 d} */
static void decode_q6_k(const uint8_t *p, block256 *b) {
    const uint8_t *ql = p, *qh = p + 128;
    const int8_t *scales = (const int8_t *)p + 192;
    b->d = f16_at(p + 208);
    b->dmin = 0;
    memset(b->min, 0, sizeof b->min);
    for (int i = 0; i < 16; i++) b->scale[i] = scales[i];
    for (int i = 0; i < 256; i++) {
        const int half = i / 128, quarter = i % 128 / 32, l = i % 32;
        const int low = ql[64 * half + quarter % 2 * 32 + l] >> (quarter / 2 * 4) & 15;
        const int high = qh[32 * half + l] >> (2 * quarter) & 3;
        b->q[i] = (int8_t)((low | high << 4) - 32);
    }
}

static void gemm256(const td_gemm_args *g, td_dtype dtype) {
    clear_outputs(g);
    for (int o = 0; o < g->n; o++) {
        for (int b = 0; b < g->k / 256; b++) {
            uint8_t bytes[256];
            block256 w;
            fetch_block(g, dtype, o, b, bytes);
            if (dtype == TD_DTYPE_Q6_K)
                decode_q6_k(bytes, &w);
            else
                decode_q4_k_q5_k(dtype, bytes, &w);
            for (int i = 0; i < g->m; i++) {
                const int8_t *a = g->a.q + i * g->a.ldq + b * 256;
                const int16_t *s = g->a.s + i * g->a.lds + b * 16;
                const float da = g->a.d[i * g->a.ldd + b];
                int sum = 0, min_sum = 0;
                for (int j = 0; j < 16; j++) {
                    int dot = 0;
                    for (int l = 16 * j; l < 16 * j + 16; l++) dot += w.q[l] * a[l];
                    sum += w.scale[j] * dot;
                }
                for (int j = 0; j < 8; j++) min_sum += w.min[j] * (s[2 * j] + s[2 * j + 1]);
                float *y = g->y + i * g->ldy + o;
                *y = fmaf(w.d * da, (float)sum, *y);
                if (dtype != TD_DTYPE_Q6_K) *y = fmaf(-(w.dmin * da), (float)min_sum, *y);
            }
        }
    }
}

void td_gemm_q4_k_ref(const td_gemm_args *g) { gemm256(g, TD_DTYPE_Q4_K); }
void td_gemm_q5_k_ref(const td_gemm_args *g) { gemm256(g, TD_DTYPE_Q5_K); }
void td_gemm_q6_k_ref(const td_gemm_args *g) { gemm256(g, TD_DTYPE_Q6_K); }

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
