/* gemm_k_tmpl.h - how the blocks of Q2_K Q3_K Q4_K Q5_K Q6_K are read, and their products. */
#include "kernel/x86/gemm_256_tmpl.h"

static const k_type q2_k = {.kind = KIND_Q2_K,
                            .max_w = 3,
                            .n_sub = 16,
                            .has_min = true,
                            .offset_log2 = -1,
                            .scales_at = 0,
                            .words_at = 4 * WORD_ROW,
                            .d_at = 20 * WORD_ROW,
                            .weight_bytes = 84 * TD_PANEL};
static const k_type q3_k = {.kind = KIND_Q3_K,
                            .max_w = 7,
                            .n_sub = 16,
                            .offset_log2 = 2,
                            .high_at = 0,
                            .words_at = 8 * WORD_ROW,
                            .scales_at = 24 * WORD_ROW,
                            .d_at = 27 * WORD_ROW,
                            .weight_bytes = 110 * TD_PANEL};
static const k_type q4_k = {.kind = KIND_Q4_K,
                            .max_w = 15,
                            .n_sub = 8,
                            .has_min = true,
                            .offset_log2 = -1,
                            .d_at = 0,
                            .scales_at = 2 * HALF_ROW,
                            .words_at = 2 * HALF_ROW + 3 * WORD_ROW,
                            .weight_bytes = 144 * TD_PANEL};
static const k_type q5_k = {.kind = KIND_Q5_K,
                            .max_w = 31,
                            .n_sub = 8,
                            .has_min = true,
                            .offset_log2 = -1,
                            .d_at = 0,
                            .scales_at = 2 * HALF_ROW,
                            .high_at = 2 * HALF_ROW + 3 * WORD_ROW,
                            .words_at = 2 * HALF_ROW + 11 * WORD_ROW,
                            .weight_bytes = 176 * TD_PANEL};
static const k_type q6_k = {.kind = KIND_Q6_K,
                            .max_w = 63,
                            .n_sub = 16,
                            .offset_log2 = 5,
                            .words_at = 0,
                            .high_at = 32 * WORD_ROW,
                            .scales_at = 48 * WORD_ROW,
                            .d_at = 52 * WORD_ROW,
                            .weight_bytes = 210 * TD_PANEL};

/* ---- scales ---- */

/* Words of 4 unsigned bytes, sub-blocks 4 j .. 4 j + 3. */
TD_INLINE void spread_scales(vi *scale, vi word) {
    TD_UNROLL for (int i = 0; i < 4; i++) scale[i] =
        dot_scale(vi_and(vi_srl(word, 8 * i), vi_set1_32(255)));
}

TD_INLINE void spread_mins(vi *side, vi word) {
    side[0] = vi_and(word, vi_set1_32(0x00ff00ff));
    side[1] = vi_and(vi_srl(word, 8), vi_set1_32(0x00ff00ff));
}

/* Words of 4 signed numbers in the low `bits` of each byte, for scale and side. */
TD_INLINE void spread_signed(vi *scale, vi *side, vi word, int bits) {
    TD_UNROLL for (int i = 0; i < 4; i++) scale[i] =
        dot_scale(vi_sra(vi_sll(word, 32 - bits - 8 * i), 32 - bits));
    side[0] = vi_sra16(vi_sll16(word, 16 - bits), 16 - bits);
    side[1] = vi_sra16(vi_sll16(word, 8 - bits), 16 - bits);
}

/* Sixteen bytes, a scale in the low nibble and a min in the high one. */
TD_INLINE void q2_k_scales(k_scales *out, const uint8_t *w) {
    TD_UNROLL for (int i = 0; i < 4; i++) {
        const vi word = vi_load(w + i * WORD_ROW);
        spread_scales(out->scale + 4 * i, vi_and(word, vi_set1_8(15)));
        spread_mins(out->side + 2 * i, vi_and(vi_srl(word, 4), vi_set1_8(15)));
    }
}

/* Sixteen numbers of 6 bits in 12 bytes: low nibbles in the first eight, two high bits in the last
 * four.  What they are too large by, 32, is the flip of the sixth bit, which then is the sign. */
TD_INLINE void q3_k_scales(k_scales *out, const uint8_t *w) {
    const vi high = vi_load(w + 2 * WORD_ROW);
    TD_UNROLL for (int i = 0; i < 4; i++) {
        const vi low = vi_and(vi_srl(vi_load(w + i % 2 * WORD_ROW), i / 2 * 4), vi_set1_8(15));
        const vi top = vi_and(vi_sll(vi_srl(high, 2 * i), 4), vi_set1_8(0x30));
        spread_signed(out->scale + 4 * i, out->side + 2 * i, vi_xor(vi_or(low, top), vi_set1_8(32)),
                      6);
    }
}

/* The 6-bit scales and mins in 12 bytes: the first four scales and mins are the low 6 bits of bytes
 * 0-3 and 4-7; the last four have their low nibbles in bytes 8-11 and their high 2 bits on top of
 * the first eight bytes. */
TD_INLINE void q4_k_scales(k_scales *out, const uint8_t *w) {
    const vi w0 = vi_load(w), w1 = vi_load(w + WORD_ROW), w2 = vi_load(w + 2 * WORD_ROW);
    const vi low6 = vi_set1_8(0x3f), low4 = vi_set1_8(0x0f), high2 = vi_set1_8(0x30);
    spread_scales(out->scale, vi_and(w0, low6));
    spread_scales(out->scale + 4, vi_or(vi_and(w2, low4), vi_and(vi_srl(w0, 2), high2)));
    spread_mins(out->side, vi_and(w1, low6));
    spread_mins(out->side + 2, vi_or(vi_and(vi_srl(w2, 4), low4), vi_and(vi_srl(w1, 2), high2)));
}

/* Sixteen int8. */
TD_INLINE void q6_k_scales(k_scales *out, const uint8_t *w) {
    TD_UNROLL for (int i = 0; i < 4; i++)
        spread_signed(out->scale + 4 * i, out->side + 2 * i, vi_load(w + i * WORD_ROW), 8);
}

TD_INLINE void k_get_scales(k_scales *out, const uint8_t *w, int strip, k_type type) {
    (void)strip;
    switch (type.kind) {
    case KIND_Q2_K: q2_k_scales(out, w + type.scales_at); break;
    case KIND_Q3_K: q3_k_scales(out, w + type.scales_at); break;
    case KIND_Q6_K: q6_k_scales(out, w + type.scales_at); break;
    default: q4_k_scales(out, w + type.scales_at); break;
    }
}

TD_INLINE vf k_get_d(const uint8_t *w, int strip, k_type type) {
    return vf_load_f16(k_half(w, type.d_at, strip));
}

/* ---- weights ---- */

TD_INLINE int k_run_start(int p, int half, k_type type) {
    /* Q6_K: quarters q and q + 2 of a half of the block share nibbles; the others: neighbours. */
    return type.kind == KIND_Q6_K ? p / 2 * 128 + p % 2 * 32 + half * 64 : p * 64 + half * 32;
}

/* Q2_K and Q3_K: bits 2 r, 2 r + 1 of the 32 bytes of a half of the block are run r of it.  Bit
 * 2 p + half of byte l of hmask is the third bit of weight l of that run. */
TD_INLINE void q2_k_weights(vi u[8], const uint8_t *w, int p, int half, k_type type) {
    const uint8_t *qs = w + type.words_at + p / 2 * 8 * WORD_ROW;
    TD_UNROLL for (int i = 0; i < 8; i++) {
        const vi bits = vi_srl(vi_load(qs + i * WORD_ROW), p % 2 * 4);
        u[i] = vi_and(half ? vi_srl(bits, 2) : bits, vi_set1_8(3));
        if (type.kind == KIND_Q3_K) {
            const vi high = vi_srl(vi_load(w + type.high_at + i * WORD_ROW), 2 * p);
            u[i] = vi_or(u[i], vi_and(vi_sll(high, half ? 1 : 2), vi_set1_8(4)));
        }
    }
}

TD_INLINE void k_weights(vi u[8], const uint8_t *w, int p, int half, k_type type) {
    if (type.kind == KIND_Q2_K || type.kind == KIND_Q3_K) {
        q2_k_weights(u, w, p, half, type);
        return;
    }
    const uint8_t *nibbles = w + type.words_at + p * 8 * WORD_ROW;
    TD_UNROLL for (int i = 0; i < 8; i++) {
        const vi bytes = vi_load(nibbles + i * WORD_ROW);
        u[i] = vi_and(half ? vi_srl(bytes, 4) : bytes, vi_set1_8(15));
    }
    if (type.kind == KIND_Q5_K) { /* bit 2 p + half of byte l of qh, whatever the run */
        TD_UNROLL for (int i = 0; i < 8; i++) {
            const vi bits = vi_srl(vi_load(w + type.high_at + i * WORD_ROW), 2 * p);
            u[i] = vi_or(u[i], vi_and(vi_sll(bits, half ? 3 : 4), vi_set1_8(0x10)));
        }
    }
    if (type.kind == KIND_Q6_K) { /* bits 2 quarter, 2 quarter + 1 of byte l of the half's qh */
        const uint8_t *qh = w + type.high_at + p / 2 * 8 * WORD_ROW;
        TD_UNROLL for (int i = 0; i < 8; i++) {
            const vi bits = vi_srl(vi_load(qh + i * WORD_ROW), p % 2 * 2);
            u[i] = vi_or(u[i], vi_and(half ? bits : vi_sll(bits, 4), vi_set1_8(0x30)));
        }
    }
}

/* ---- the instances: what the public functions of the including file name ---- */

static void q2_k_run(const tile_args *t, int m, const uint8_t *act) { k_run(t, m, act, q2_k); }
static void q3_k_run(const tile_args *t, int m, const uint8_t *act) { k_run(t, m, act, q3_k); }
static void q4_k_run(const tile_args *t, int m, const uint8_t *act) { k_run(t, m, act, q4_k); }
static void q5_k_run(const tile_args *t, int m, const uint8_t *act) { k_run(t, m, act, q5_k); }
static void q6_k_run(const tile_args *t, int m, const uint8_t *act) { k_run(t, m, act, q6_k); }
