/* gemm_k_ref.c - matrix products of the 256-blocks, and how the K types' blocks are read. */
#include <math.h>
#include <string.h>

#include "kernel/pack.h"
#include "kernel/ref/gemm_256_ref.h"

/* One block of one output, for all rows. */
static void add_block(const td_gemm_args *g, const block256 *w, int o, int b, bool has_min) {
    for (int i = 0; i < g->m; i++) {
        const int8_t *a = g->a.q + i * g->a.ldq + b * 256;
        const int16_t *s = g->a.s + i * g->a.lds + b * 16;
        const float da = g->a.d[i * g->a.ldd + b];
        int sum = 0, min_sum = 0;
        for (int j = 0; j < 16; j++) {
            int dot = 0;
            for (int l = 16 * j; l < 16 * j + 16; l++) dot += w->q[l] * a[l];
            sum += w->scale[j] * dot;
            min_sum += w->min[j] * s[j];
        }
        float *y = g->y + i * g->ldy + o;
        *y = fmaf(w->d * da, (float)sum, *y);
        if (has_min) *y = fmaf(-(w->dmin * da), (float)min_sum, *y);
    }
}

void td_ref_gemm_256(const td_gemm_args *g, td_dtype dtype, td_ref_decode_fn *decode,
                     bool has_min) {
    const size_t panel_bytes = td_pack_panel_bytes(dtype, (size_t)g->k);
    const size_t block_bytes = (size_t)td_dtype_get_info((int)dtype)->block_bytes;
    for (int o = 0; o < g->n; o++) {
        const uint8_t *panel = g->w + (size_t)(o / TD_PANEL) * panel_bytes;
        for (int i = 0; i < g->m; i++) g->y[i * g->ldy + o] = 0;
        for (int b = 0; b < g->k / 256; b++) {
            uint8_t bytes[256];
            block256 w = {0};
            td_unpack_block(dtype, panel + (size_t)b * block_bytes * TD_PANEL, o % TD_PANEL,
                            block_bytes, bytes);
            decode(bytes, &w);
            add_block(g, &w, o, b, has_min);
        }
    }
}

/* Q2_K {u8 scales[16]; u8 qs[64]; f16 d, dmin} */
static void decode_q2_k(const uint8_t *p, block256 *b) {
    b->d = td_ref_f16(p + 80);
    b->dmin = td_ref_f16(p + 82);
    for (int i = 0; i < 16; i++) {
        b->scale[i] = p[i] & 15;
        b->min[i] = p[i] >> 4;
    }
    for (int i = 0; i < 256; i++)
        b->q[i] = (int8_t)(p[16 + i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3);
}

/* Q3_K {u8 hmask[32]; u8 qs[64]; u8 scales[12]; f16 d}; a clear bit of hmask takes 4 away. */
static void decode_q3_k(const uint8_t *p, block256 *b) {
    const uint8_t *scales = p + 96;
    b->d = td_ref_f16(p + 108);
    for (int i = 0; i < 16; i++) {
        const int low = scales[i % 8] >> (i / 8 * 4) & 15, high = scales[8 + i % 4] >> (i / 4 * 2);
        b->scale[i] = (int16_t)((low | (high & 3) << 4) - 32);
    }
    for (int i = 0; i < 256; i++) {
        const int low = p[32 + i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
        b->q[i] = (int8_t)((low | (p[i % 32] >> (i / 32) & 1) << 2) - 4);
    }
}

/* Q4_K {f16 d, dmin; u8 scales[12]; u8 qs[128]}; Q5_K has u8 high[32] before qs. */
static void decode_q4_k_q5_k(const uint8_t *p, const uint8_t *high, block256 *b) {
    const uint8_t *qs = high ? high + 32 : p + 16;
    uint8_t scale[8], min[8];
    b->d = td_ref_f16(p);
    b->dmin = td_ref_f16(p + 2);
    td_k_scale_min(p + 4, scale, min);
    for (int i = 0; i < 16; i++) {
        b->scale[i] = scale[i / 2];
        b->min[i] = min[i / 2];
    }
    for (int i = 0; i < 256; i++) {
        const int group = i / 32, l = i % 32;
        const int low = qs[group / 2 * 32 + l] >> (group % 2 * 4) & 15;
        b->q[i] = (int8_t)(low | (high ? (high[l] >> group & 1) << 4 : 0));
    }
}
static void decode_q4_k(const uint8_t *p, block256 *b) { decode_q4_k_q5_k(p, NULL, b); }
static void decode_q5_k(const uint8_t *p, block256 *b) { decode_q4_k_q5_k(p, p + 16, b); }

/* Q6_K {u8 ql[128]; u8 qh[64]; i8 scales[16]; f16 d} */
static void decode_q6_k(const uint8_t *p, block256 *b) {
    const uint8_t *ql = p, *qh = p + 128;
    const int8_t *scales = (const int8_t *)p + 192;
    b->d = td_ref_f16(p + 208);
    for (int i = 0; i < 16; i++) b->scale[i] = scales[i];
    for (int i = 0; i < 256; i++) {
        const int half = i / 128, quarter = i % 128 / 32, l = i % 32;
        const int low = ql[64 * half + quarter % 2 * 32 + l] >> (quarter / 2 * 4) & 15;
        const int high = qh[32 * half + l] >> (2 * quarter) & 3;
        b->q[i] = (int8_t)((low | high << 4) - 32);
    }
}

void td_gemm_q2_k_ref(const td_gemm_args *g) {
    td_ref_gemm_256(g, TD_DTYPE_Q2_K, decode_q2_k, true);
}
void td_gemm_q3_k_ref(const td_gemm_args *g) {
    td_ref_gemm_256(g, TD_DTYPE_Q3_K, decode_q3_k, false);
}
void td_gemm_q4_k_ref(const td_gemm_args *g) {
    td_ref_gemm_256(g, TD_DTYPE_Q4_K, decode_q4_k, true);
}
void td_gemm_q5_k_ref(const td_gemm_args *g) {
    td_ref_gemm_256(g, TD_DTYPE_Q5_K, decode_q5_k, true);
}
void td_gemm_q6_k_ref(const td_gemm_args *g) {
    td_ref_gemm_256(g, TD_DTYPE_Q6_K, decode_q6_k, false);
}
