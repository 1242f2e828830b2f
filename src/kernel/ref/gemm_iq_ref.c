/* gemm_iq_ref.c - how the blocks of the IQ and ternary types are read, for td_ref_gemm_256.
 *
 * What these formats multiply with is made of integers: a scale (0.5 + n) / 4 is (2 n + 1) / 8, and
 * the power of two goes into d, which is an f16 and so stays exact.  Byte layouts stand in
 * tensor/dequantize_iq.c. */
#include "kernel/ref/gemm_256_ref.h"
#include "tensor/codebooks.h"

/* n elements of a grid's word, negated where the bit of `signs` is set. */
static void put_signed(int8_t *q, uint64_t word, unsigned signs, int n) {
    for (int j = 0; j < n; j++) {
        const int v = (int)(word >> 8 * j & 255);
        q[j] = (int8_t)(signs >> j & 1 ? -v : v);
    }
}

/* Eight signs stored as seven bits: the last makes their number even. */
static unsigned expand_signs(uint32_t bits) {
    const unsigned i = bits & 127;
    return i | (unsigned)__builtin_parity(i) << 7;
}

static int16_t odd_scale(uint32_t n) { return (int16_t)(2 * n + 1); }

/* IQ2_XXS {f16 d; eight groups {u8 index[4]; u32 signs and scale}} */
static void decode_iq2_xxs(const uint8_t *p, block256 *b) {
    b->d = td_ref_f16(p) * 0.125f;
    for (int r = 0; r < 32; r++) {
        const uint8_t *group = p + 2 + r / 4 * 8;
        const uint32_t rest = td_ref_u32(group + 4);
        b->scale[r / 2] = odd_scale(rest >> 28);
        put_signed(b->q + 8 * r, td_iq2_xxs_grid[group[r % 4]], expand_signs(rest >> (r % 4 * 7)),
                   8);
    }
}

/* Sixteen nibbles. */
static void iq2_scales(const uint8_t *nibbles, block256 *b) {
    for (int i = 0; i < 16; i++) b->scale[i] = odd_scale(nibbles[i / 2] >> (i % 2 * 4) & 15);
}

/* IQ2_XS {f16 d; u16 index and signs[32]; u8 scales[8]} */
static void decode_iq2_xs(const uint8_t *p, block256 *b) {
    b->d = td_ref_f16(p) * 0.125f;
    iq2_scales(p + 66, b);
    for (int r = 0; r < 32; r++) {
        const unsigned q = td_ref_u16(p + 2 + 2 * r);
        put_signed(b->q + 8 * r, td_iq2_xs_grid[q & 511], expand_signs(q >> 9), 8);
    }
}

/* IQ2_S {f16 d; u8 index[32], signs[32], qh[8], scales[8]} */
static void decode_iq2_s(const uint8_t *p, block256 *b) {
    b->d = td_ref_f16(p) * 0.125f;
    iq2_scales(p + 74, b);
    for (int r = 0; r < 32; r++) {
        const int high = p[66 + r / 4] >> (r % 4 * 2) & 3;
        put_signed(b->q + 8 * r, td_iq2_s_grid[p[2 + r] | high << 8], p[34 + r], 8);
    }
}

/* IQ3_XXS {f16 d; u8 index[64]; u32 signs and scale[8]} */
static void decode_iq3_xxs(const uint8_t *p, block256 *b) {
    b->d = td_ref_f16(p) * 0.25f;
    for (int r = 0; r < 32; r++) {
        const uint32_t rest = td_ref_u32(p + 66 + r / 4 * 4);
        const unsigned signs = expand_signs(rest >> (r % 4 * 7));
        b->scale[r / 2] = odd_scale(rest >> 28);
        put_signed(b->q + 8 * r, td_iq3_xxs_grid[p[2 + 2 * r]], signs, 4);
        put_signed(b->q + 8 * r + 4, td_iq3_xxs_grid[p[3 + 2 * r]], signs >> 4, 4);
    }
}

/* IQ3_S {f16 d; u8 index[64], qh[8], signs[32], scales[4]} */
static void decode_iq3_s(const uint8_t *p, block256 *b) {
    b->d = td_ref_f16(p);
    for (int i = 0; i < 16; i++) b->scale[i] = odd_scale(p[106 + i / 4] >> (i / 2 % 2 * 4) & 15);
    for (int i = 0; i < 64; i++) {
        const int high = p[66 + i / 8] >> (i % 8) & 1;
        put_signed(b->q + 4 * i, td_iq3_s_grid[p[2 + i] | high << 8], p[74 + i / 2] >> (i % 2 * 4),
                   4);
    }
}

/* Eight weights element +- 1/8, times 8. */
static void put_iq1(int8_t *q, uint64_t word, bool minus) {
    for (int j = 0; j < 8; j++)
        q[j] = (int8_t)(8 * (int8_t)(word >> 8 * j & 255) + (minus ? -1 : 1));
}

/* IQ1_S {f16 d; u8 index[32]; u16 qh[8]} */
static void decode_iq1_s(const uint8_t *p, block256 *b) {
    b->d = td_ref_f16(p) * 0.125f;
    for (int r = 0; r < 32; r++) {
        const unsigned qh = td_ref_u16(p + 34 + r / 4 * 2);
        b->scale[r / 2] = odd_scale(qh >> 12 & 7);
        put_iq1(b->q + 8 * r, td_iq1_grid[p[2 + r] | (qh >> (r % 4 * 3) & 7) << 8], qh >> 15);
    }
}

/* IQ1_M {u8 index[32], qh[16]; u16 scales[4]}, d in the top nibbles of the scales */
static void decode_iq1_m(const uint8_t *p, block256 *b) {
    unsigned d = 0;
    for (int i = 0; i < 16; i++) {
        const unsigned word = td_ref_u16(p + 48 + i / 4 * 2);
        d |= word >> 12 << (i / 4 * 4);
        b->scale[i] = odd_scale(word >> (i % 4 * 3) & 7);
    }
    b->d = td_f16_to_f32((uint16_t)d) * 0.125f;
    for (int r = 0; r < 32; r++) {
        const int nibble = p[32 + r / 2] >> (r % 2 * 4) & 15;
        put_iq1(b->q + 8 * r, td_iq1_grid[p[r] | (nibble & 7) << 8], nibble >> 3);
    }
}

/* IQ4_XS {f16 d; u16 scales_h; u8 scales_l[4], qs[128]} */
static void decode_iq4_xs(const uint8_t *p, block256 *b) {
    const int scales_h = td_ref_u16(p + 2);
    b->d = td_ref_f16(p);
    for (int i = 0; i < 16; i++) {
        const int g = i / 2, low = p[4 + g / 2] >> (g % 2 * 4) & 15;
        b->scale[i] = (int16_t)((low | (scales_h >> 2 * g & 3) << 4) - 32);
    }
    for (int i = 0; i < 256; i++)
        b->q[i] = td_iq4_values[p[8 + i / 32 * 16 + i % 16] >> (i % 32 / 16 * 4) & 15];
}

static void unit_scales(block256 *b) {
    for (int i = 0; i < 16; i++) b->scale[i] = 1;
}

/* TQ1_0 {u8 qs[48], qh[4]; f16 d}: digit n of a byte is the top one of byte * 3^n, in base 3.  A
 * run is digit n of 32, then of 16, then of 4 bytes. */
static void decode_tq1_0(const uint8_t *p, block256 *b) {
    static const uint8_t power[5] = {1, 3, 9, 27, 81};
    b->d = td_ref_f16(p + 52);
    unit_scales(b);
    for (int i = 0; i < 256; i++) {
        const int first = i < 160 ? 0 : i < 240 ? 32 : 48, n = i < 160 ? 32 : i < 240 ? 16 : 4;
        const int at = i < 160 ? i : i < 240 ? i - 160 : i - 240;
        const uint8_t rest = (uint8_t)(p[first + at % n] * power[at / n]);
        b->q[i] = (int8_t)((rest * 3 >> 8) - 1);
    }
}

/* TQ2_0 {u8 qs[64]; f16 d} */
static void decode_tq2_0(const uint8_t *p, block256 *b) {
    b->d = td_ref_f16(p + 64);
    unit_scales(b);
    for (int i = 0; i < 256; i++)
        b->q[i] = (int8_t)((p[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3) - 1);
}

void td_gemm_iq2_xxs_ref(const td_gemm_args *g) {
    td_ref_gemm_256(g, TD_DTYPE_IQ2_XXS, decode_iq2_xxs, false);
}
void td_gemm_iq2_xs_ref(const td_gemm_args *g) {
    td_ref_gemm_256(g, TD_DTYPE_IQ2_XS, decode_iq2_xs, false);
}
void td_gemm_iq2_s_ref(const td_gemm_args *g) {
    td_ref_gemm_256(g, TD_DTYPE_IQ2_S, decode_iq2_s, false);
}
void td_gemm_iq3_xxs_ref(const td_gemm_args *g) {
    td_ref_gemm_256(g, TD_DTYPE_IQ3_XXS, decode_iq3_xxs, false);
}
void td_gemm_iq3_s_ref(const td_gemm_args *g) {
    td_ref_gemm_256(g, TD_DTYPE_IQ3_S, decode_iq3_s, false);
}
void td_gemm_iq1_s_ref(const td_gemm_args *g) {
    td_ref_gemm_256(g, TD_DTYPE_IQ1_S, decode_iq1_s, false);
}
void td_gemm_iq1_m_ref(const td_gemm_args *g) {
    td_ref_gemm_256(g, TD_DTYPE_IQ1_M, decode_iq1_m, false);
}
void td_gemm_iq4_xs_ref(const td_gemm_args *g) {
    td_ref_gemm_256(g, TD_DTYPE_IQ4_XS, decode_iq4_xs, false);
}
void td_gemm_tq1_0_ref(const td_gemm_args *g) {
    td_ref_gemm_256(g, TD_DTYPE_TQ1_0, decode_tq1_0, false);
}
void td_gemm_tq2_0_ref(const td_gemm_args *g) {
    td_ref_gemm_256(g, TD_DTYPE_TQ2_0, decode_tq2_0, false);
}
