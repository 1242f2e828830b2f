/* gemm_iq_tmpl.h - how the blocks of the IQ types and of TQ1_0 and TQ2_0 are read, and their
 * products.
 *
 * Grids are read with gathers.  Where elements have signs, weights become offset + element or
 * offset
 * - element. */
#include "kernel/x86/gemm_256_tmpl.h"
#include "tensor/codebooks.h"

enum { IQ2_OFFSET = 6, IQ3_XXS_OFFSET = 6, IQ3_S_OFFSET = 4, IQ1_OFFSET = 4 }; /* log2 */

/* Elements are up to 43. */
static const k_type iq2_xxs = {.kind = KIND_IQ2_XXS,
                               .max_w = 64 + 43,
                               .n_sub = 8,
                               .offset_log2 = IQ2_OFFSET,
                               .d_at = 0,
                               .words_at = HALF_ROW,
                               .d_factor = 0.125f,
                               .weight_bytes = 66 * TD_PANEL};
static const k_type iq2_xs = {.kind = KIND_IQ2_XS,
                              .max_w = 64 + 43,
                              .n_sub = 16,
                              .offset_log2 = IQ2_OFFSET,
                              .d_at = 0,
                              .words_at = HALF_ROW,
                              .scales_at = HALF_ROW + 16 * WORD_ROW,
                              .d_factor = 0.125f,
                              .weight_bytes = 74 * TD_PANEL};
static const k_type iq2_s = {.kind = KIND_IQ2_S,
                             .max_w = 64 + 43,
                             .n_sub = 16,
                             .offset_log2 = IQ2_OFFSET,
                             .d_at = 0,
                             .words_at = HALF_ROW,
                             .signs_at = HALF_ROW + 8 * WORD_ROW,
                             .high_at = HALF_ROW + 16 * WORD_ROW,
                             .scales_at = HALF_ROW + 18 * WORD_ROW,
                             .d_factor = 0.125f,
                             .weight_bytes = 82 * TD_PANEL};
/* Elements are up to 62. */
static const k_type iq3_xxs = {.kind = KIND_IQ3_XXS,
                               .max_w = 64 + 62,
                               .n_sub = 8,
                               .offset_log2 = IQ3_XXS_OFFSET,
                               .d_at = 0,
                               .words_at = HALF_ROW,
                               .signs_at = HALF_ROW + 16 * WORD_ROW,
                               .d_factor = 0.25f,
                               .weight_bytes = 98 * TD_PANEL};
/* Elements are up to 15. */
static const k_type iq3_s = {.kind = KIND_IQ3_S,
                             .max_w = 16 + 15,
                             .n_sub = 8,
                             .offset_log2 = IQ3_S_OFFSET,
                             .d_at = 0,
                             .words_at = HALF_ROW,
                             .high_at = HALF_ROW + 16 * WORD_ROW,
                             .signs_at = HALF_ROW + 18 * WORD_ROW,
                             .scales_at = HALF_ROW + 26 * WORD_ROW,
                             .weight_bytes = 110 * TD_PANEL};
/* Eight times the element, -1 to 1, and 1 more or less. */
static const k_type iq1_s = {.kind = KIND_IQ1_S,
                             .max_w = 16 + 9,
                             .n_sub = 8,
                             .offset_log2 = IQ1_OFFSET,
                             .d_at = 0,
                             .words_at = HALF_ROW,
                             .high_at = HALF_ROW + 8 * WORD_ROW,
                             .d_factor = 0.125f,
                             .weight_bytes = 50 * TD_PANEL};
static const k_type iq1_m = {.kind = KIND_IQ1_M,
                             .max_w = 16 + 9,
                             .n_sub = 16,
                             .offset_log2 = IQ1_OFFSET,
                             .words_at = 0,
                             .high_at = 8 * WORD_ROW,
                             .scales_at = 12 * WORD_ROW,
                             .d_factor = 0.125f,
                             .weight_bytes = 56 * TD_PANEL};
static const k_type iq4_xs = {.kind = KIND_IQ4_XS,
                              .max_w = 255,
                              .n_sub = 8,
                              .offset_log2 = S8_OFFSET == 128 ? 7 : -1,
                              .d_at = 0,
                              .high_at = HALF_ROW, /* of the scales */
                              .scales_at = 2 * HALF_ROW,
                              .words_at = 2 * HALF_ROW + WORD_ROW,
                              .weight_bytes = 136 * TD_PANEL};
static const k_type tq1_0 = {.kind = KIND_TQ1_0,
                             .max_w = 2,
                             .n_sub = 8,
                             .offset_log2 = 0,
                             .words_at = 0,
                             .d_at = 13 * WORD_ROW,
                             .weight_bytes = 54 * TD_PANEL};
static const k_type tq2_0 = {.kind = KIND_TQ2_0,
                             .max_w = 3,
                             .n_sub = 8,
                             .offset_log2 = 0,
                             .words_at = 0,
                             .d_at = 16 * WORD_ROW,
                             .weight_bytes = 66 * TD_PANEL};

/* ---- scales ---- */

TD_INLINE vi nibble(vi word, int i) { return vi_and(vi_srl(word, 4 * i), vi_set1_32(15)); }

/* The 16 bits of half `half` of a word, and more above them. */
TD_INLINE vi half_word(vi word, int half) { return half ? vi_srl(word, 16) : word; }

/* 2 n + 1 */
TD_INLINE vi odd(vi n) { return vi_or(vi_sll(n, 1), vi_set1_32(1)); }

/* The scales of 8 or 16 sub-blocks, one int32 per lane. */
TD_INLINE void iq_raw_scales(vi *raw, const uint8_t *w, int strip, k_type type) {
    TD_UNROLL for (int i = 0; i < type.n_sub; i++) {
        switch (type.kind) {
        case KIND_IQ2_XXS: /* on top of the signs */
            raw[i] = odd(nibble(vi_load(w + type.words_at + (2 * i + 1) * WORD_ROW), 7));
            break;
        case KIND_IQ3_XXS:
            raw[i] = odd(nibble(vi_load(w + type.signs_at + i * WORD_ROW), 7));
            break;
        case KIND_IQ2_XS:
        case KIND_IQ2_S:
        case KIND_IQ3_S:
            raw[i] = odd(nibble(vi_load(w + type.scales_at + i / 8 * WORD_ROW), i % 8));
            break;
        case KIND_IQ1_S: { /* three bits below the sign of the delta */
            const vi word = half_word(vi_load(w + type.high_at + i / 2 * WORD_ROW), i % 2);
            raw[i] = odd(vi_and(vi_srl(word, 12), vi_set1_32(7)));
            break;
        }
        case KIND_IQ1_M: { /* four times three bits in 16 */
            const vi word = half_word(vi_load(w + type.scales_at + i / 8 * WORD_ROW), i / 4 % 2);
            raw[i] = odd(vi_and(vi_srl(word, i % 4 * 3), vi_set1_32(7)));
            break;
        }
        case KIND_IQ4_XS: {
            const vi high = vi_srl(vi_load_u16(k_half(w, type.high_at, strip)), 2 * i);
            const vi low = nibble(vi_load(w + type.scales_at), i);
            raw[i] = vi_sub(vi_or(low, vi_sll(vi_and(high, vi_set1_32(3)), 4)), vi_set1_32(32));
            break;
        }
        default: raw[i] = vi_set1_32(1); break;
        }
    }
}

TD_INLINE void k_get_scales(k_scales *out, const uint8_t *w, int strip, k_type type) {
    vi raw[16];
    iq_raw_scales(raw, w, strip, type);
    TD_UNROLL for (int i = 0; i < type.n_sub; i++) out->scale[i] = dot_scale(raw[i]);
    TD_UNROLL for (int i = 0; i < type.n_sub / 2; i++) {
        const int first = i / 2 * 4 + i % 2; /* pairs of sub-blocks: 0 and 2, 1 and 3, ... */
        out->side[i] = vi_or(vi_and(raw[first], vi_set1_32(0xffff)), vi_sll(raw[first + 2], 16));
    }
}

TD_INLINE vf k_get_d(const uint8_t *w, int strip, k_type type) {
    if (type.kind != KIND_IQ1_M) return vf_load_f16(k_half(w, type.d_at, strip));
    const vi w0 = vi_load(w + type.scales_at), w1 = vi_load(w + type.scales_at + WORD_ROW);
    const vi low = vi_set1_32(0x00f), second = vi_set1_32(0x0f0), third = vi_set1_32(0xf00);
    const vi front = vi_or(vi_and(vi_srl(w0, 12), low), vi_and(vi_srl(w0, 24), second));
    const vi back = vi_or(vi_and(vi_srl(w1, 4), third), vi_and(vi_srl(w1, 16), vi_set1_32(0xf000)));
    return vf_from_half(vi_or(front, back));
}

/* ---- weights ---- */

TD_INLINE int k_run_start(int p, int half, k_type type) {
    (void)type;
    return p * 64 + half * 32;
}

/* The two words of eight weights with signs in the low byte of each lane of `signs`. */
TD_INLINE void put_signed(vi u[2], vi signs, int offset) {
    const vi bytes = vi_repeat_byte(signs, 0);
    u[0] = vi_signed_plus(u[0], bytes, 0x08040201, offset);
    u[1] = vi_signed_plus(u[1], bytes, (int)0x80402010, offset);
}

/* Fields of 7 bits: the lowest bit of each becomes the parity of its bits; others are of no use. */
TD_INLINE vi parity_of_7(vi x) {
    const vi pairs = vi_xor(x, vi_srl(x, 1));
    return vi_xor(vi_xor(pairs, vi_srl(pairs, 2)), vi_xor(vi_srl(pairs, 4), vi_srl(x, 6)));
}

/* The field at bit `at` as eight signs, the last of which makes their number even. */
TD_INLINE vi signs_of_7(vi x, vi parity, int at) {
    const vi last = at < 7 ? vi_sll(parity, (7 - at) & 31) : vi_srl(parity, (at - 7) & 31);
    return vi_or(vi_and(vi_srl(x, at), vi_set1_8(0x7f)), vi_and(last, vi_set1_32(0x80)));
}

TD_INLINE vi byte_at(vi word, int i) { return vi_and(vi_srl(word, 8 * i), vi_set1_32(255)); }

/* A word of four indices, and one of four times 7 signs. */
TD_INLINE void iq2_xxs_weights(vi u[8], const uint8_t *w, int group) {
    const vi index = vi_load(w + 2 * group * WORD_ROW);
    const vi signs = vi_load(w + (2 * group + 1) * WORD_ROW), parity = parity_of_7(signs);
    TD_UNROLL for (int r = 0; r < 4; r++) {
        vi_gather64(td_iq2_xxs_grid, byte_at(index, r), &u[2 * r], &u[2 * r + 1]);
        put_signed(u + 2 * r, signs_of_7(signs, parity, 7 * r), 1 << IQ2_OFFSET);
    }
}

/* Two words, each twice 9 bits of index below 7 of signs. */
TD_INLINE void iq2_xs_weights(vi u[8], const uint8_t *w, int group) {
    TD_UNROLL for (int i = 0; i < 2; i++) {
        const vi word = vi_load(w + (2 * group + i) * WORD_ROW), parity = parity_of_7(word);
        TD_UNROLL for (int j = 0; j < 2; j++) {
            vi *run = u + 4 * i + 2 * j;
            vi_gather64(td_iq2_xs_grid, vi_and(half_word(word, j), vi_set1_32(511)), &run[0],
                        &run[1]);
            put_signed(run, signs_of_7(word, parity, 16 * j + 9), 1 << IQ2_OFFSET);
        }
    }
}

/* Bytes with two more bits for each in qh, and eight signs for each. */
TD_INLINE void iq2_s_weights(vi u[8], const uint8_t *w, int p, int half, k_type type) {
    const int group = 2 * p + half;
    const vi index = vi_load(w + type.words_at + group * WORD_ROW);
    const vi signs = vi_load(w + type.signs_at + group * WORD_ROW);
    const vi word = vi_load(w + type.high_at + p / 2 * WORD_ROW);
    const vi high = vi_srl(word, p % 2 * 16 + half * 8);
    TD_UNROLL for (int r = 0; r < 4; r++) {
        const vi top = vi_and(vi_sll(high, 8 - 2 * r), vi_set1_32(0x300));
        vi_gather64(td_iq2_s_grid, vi_or(byte_at(index, r), top), &u[2 * r], &u[2 * r + 1]);
        put_signed(u + 2 * r, vi_srl(signs, 8 * r), 1 << IQ2_OFFSET);
    }
}

/* Two words of four indices, each of four weights, and a word of four times 7 signs. */
TD_INLINE void iq3_xxs_weights(vi u[8], const uint8_t *w, int group, k_type type) {
    const vi signs = vi_load(w + type.signs_at + group * WORD_ROW), parity = parity_of_7(signs);
    TD_UNROLL for (int r = 0; r < 4; r++) {
        const vi index = vi_load(w + type.words_at + (2 * group + r / 2) * WORD_ROW);
        TD_UNROLL for (int i = 0; i < 2; i++) u[2 * r + i] =
            vi_gather32(td_iq3_xxs_grid, byte_at(index, r % 2 * 2 + i));
        put_signed(u + 2 * r, signs_of_7(signs, parity, 7 * r), 1 << IQ3_XXS_OFFSET);
    }
}

/* Bytes with one more bit for each in qh, and four signs for each. */
TD_INLINE void iq3_s_weights(vi u[8], const uint8_t *w, int p, int half, k_type type) {
    const int group = 2 * p + half;
    const vi signs = vi_load(w + type.signs_at + group * WORD_ROW);
    const vi word = vi_load(w + type.high_at + p / 2 * WORD_ROW);
    const vi high = vi_srl(word, p % 2 * 16 + half * 8);
    TD_UNROLL for (int r = 0; r < 4; r++) {
        const vi index = vi_load(w + type.words_at + (2 * group + r / 2) * WORD_ROW);
        TD_UNROLL for (int i = 0; i < 2; i++) {
            const vi top = vi_and(vi_sll(high, 8 - 2 * r - i), vi_set1_32(0x100));
            u[2 * r + i] = vi_gather32(td_iq3_s_grid, vi_or(byte_at(index, r % 2 * 2 + i), top));
        }
        put_signed(u + 2 * r, vi_srl(signs, 8 * r), 1 << IQ3_S_OFFSET);
    }
}

/* Eight weights 8 (element + 1) + 8 + delta, delta -1 where bit `bit` of `signs` is set, else 1. */
TD_INLINE void iq1_run(vi u[2], vi index, vi signs, int bit) {
    const vi minus = vi_sra(vi_sll(signs, 31 - bit), 31);
    const vi base = vi_xor(vi_set1_8(9), vi_and(minus, vi_set1_8(9 ^ 7)));
    vi_gather64(td_iq1_grid, index, &u[0], &u[1]);
    TD_UNROLL for (int i = 0; i < 2; i++) u[i] =
        vi_add8(vi_sll(vi_add8(u[i], vi_set1_8(1)), 3), base);
}

/* Bytes with three more bits for each in qh: IQ1_S has four times three bits, scale and delta of a
 * group in 16, IQ1_M four nibbles of three bits and a delta. */
TD_INLINE void iq1_weights(vi u[8], const uint8_t *w, int p, int half, k_type type) {
    const vi index = vi_load(w + type.words_at + (2 * p + half) * WORD_ROW);
    const vi word = vi_load(w + type.high_at + p * WORD_ROW);
    const int bits = type.kind == KIND_IQ1_S ? 3 : 4;
    TD_UNROLL for (int r = 0; r < 4; r++) {
        const vi high = vi_and(vi_srl(word, 16 * half + bits * r), vi_set1_32(7));
        const int delta_at = 16 * half + (type.kind == KIND_IQ1_S ? 15 : 4 * r + 3);
        iq1_run(u + 2 * r, vi_or(byte_at(index, r), vi_sll(high, 8)), word, delta_at);
    }
}

TD_INLINE void iq4_xs_weights(vi u[8], const uint8_t *w, int group) {
    const vi table = vi_table(td_iq4_values);
    TD_UNROLL for (int i = 0; i < 4; i++) {
        const vi bytes = vi_load(w + (4 * group + i) * WORD_ROW);
        const vi low = vi_and(bytes, vi_set1_8(15)), high = vi_and(vi_srl(bytes, 4), vi_set1_8(15));
        u[i] = s8_weights(vi_lookup(table, low));
        u[i + 4] = s8_weights(vi_lookup(table, high));
    }
}

/* Digit n of a byte is the top one of byte * 3^n, in base 3.  The words of a group and the powers
 * of their digits: 32 bytes have digits 0 to 4, then 16 bytes, then 4 have digits 0 to 3. */
TD_INLINE void tq1_0_weights(vi u[8], const uint8_t *w, int group) {
    static const struct {
        uint8_t word[8], power[8];
    } at[8] = {
        {{0, 1, 2, 3, 4, 5, 6, 7},       {1, 1, 1, 1, 1, 1, 1, 1}        },
        {{0, 1, 2, 3, 4, 5, 6, 7},       {3, 3, 3, 3, 3, 3, 3, 3}        },
        {{0, 1, 2, 3, 4, 5, 6, 7},       {9, 9, 9, 9, 9, 9, 9, 9}        },
        {{0, 1, 2, 3, 4, 5, 6, 7},       {27, 27, 27, 27, 27, 27, 27, 27}},
        {{0, 1, 2, 3, 4, 5, 6, 7},       {81, 81, 81, 81, 81, 81, 81, 81}},
        {{8, 9, 10, 11, 8, 9, 10, 11},   {1, 1, 1, 1, 3, 3, 3, 3}        },
        {{8, 9, 10, 11, 8, 9, 10, 11},   {9, 9, 9, 9, 27, 27, 27, 27}    },
        {{8, 9, 10, 11, 12, 12, 12, 12}, {81, 81, 81, 81, 1, 3, 9, 27}   }
    };
    const vi low = vi_set1_32(0x00ff00ff), three = vi_set1_32(0x00030003);
    TD_UNROLL for (int i = 0; i < 8; i++) {
        const vi bytes = vi_load(w + at[group].word[i] * WORD_ROW);
        const vi power = vi_set1_32(at[group].power[i] * 0x10001);
        const vi even = vi_and(vi_mul16(vi_and(bytes, low), power), low);
        const vi odds = vi_and(vi_mul16(vi_and(vi_srl(bytes, 8), low), power), low);
        u[i] = vi_or(vi_and(vi_srl(vi_mul16(even, three), 8), low),
                     vi_and(vi_mul16(odds, three), vi_set1_32((int)0xff00ff00)));
    }
}

/* Bits 2 r, 2 r + 1 of the 32 bytes of a half of the block are run r of it. */
TD_INLINE void tq2_0_weights(vi u[8], const uint8_t *w, int p, int half) {
    const uint8_t *qs = w + p / 2 * 8 * WORD_ROW;
    TD_UNROLL for (int i = 0; i < 8; i++) {
        const vi bits = vi_srl(vi_load(qs + i * WORD_ROW), p % 2 * 4);
        u[i] = vi_and(half ? vi_srl(bits, 2) : bits, vi_set1_8(3));
    }
}

TD_INLINE void k_weights(vi u[8], const uint8_t *w, int p, int half, k_type type) {
    const int group = 2 * p + half;
    const uint8_t *words = w + type.words_at;
    switch (type.kind) {
    case KIND_IQ2_XXS: iq2_xxs_weights(u, words, group); break;
    case KIND_IQ2_XS: iq2_xs_weights(u, words, group); break;
    case KIND_IQ2_S: iq2_s_weights(u, w, p, half, type); break;
    case KIND_IQ3_XXS: iq3_xxs_weights(u, w, group, type); break;
    case KIND_IQ3_S: iq3_s_weights(u, w, p, half, type); break;
    case KIND_IQ1_S:
    case KIND_IQ1_M: iq1_weights(u, w, p, half, type); break;
    case KIND_IQ4_XS: iq4_xs_weights(u, words, group); break;
    case KIND_TQ1_0: tq1_0_weights(u, words, group); break;
    default: tq2_0_weights(u, words, p, half); break;
    }
}

/* ---- the instances: what the public functions of the including file name ---- */

static void iq1_s_run(const tile_args *t, int m, const uint8_t *act) { k_run(t, m, act, iq1_s); }
static void iq1_m_run(const tile_args *t, int m, const uint8_t *act) { k_run(t, m, act, iq1_m); }
static void iq2_xxs_run(const tile_args *t, int m, const uint8_t *act) {
    k_run(t, m, act, iq2_xxs);
}
static void iq2_xs_run(const tile_args *t, int m, const uint8_t *act) { k_run(t, m, act, iq2_xs); }
static void iq2_s_run(const tile_args *t, int m, const uint8_t *act) { k_run(t, m, act, iq2_s); }
static void iq3_xxs_run(const tile_args *t, int m, const uint8_t *act) {
    k_run(t, m, act, iq3_xxs);
}
static void iq3_s_run(const tile_args *t, int m, const uint8_t *act) { k_run(t, m, act, iq3_s); }
static void iq4_xs_run(const tile_args *t, int m, const uint8_t *act) { k_run(t, m, act, iq4_xs); }
static void tq1_0_run(const tile_args *t, int m, const uint8_t *act) { k_run(t, m, act, tq1_0); }
static void tq2_0_run(const tile_args *t, int m, const uint8_t *act) { k_run(t, m, act, tq2_0); }
