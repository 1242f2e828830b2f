/* dequantize_iq.c - the IQ types: indices into codebooks (codebooks.h), scales and signs.
 *
 * All but IQ4_NL have blocks of 256 weights: eight groups of 32, each four runs of 8.  The products
 * are formed as (scale * element), then the sign. */
#include "tensor/codebooks.h"
#include "tensor/dequantize_int.h"

/* y[n] = d times the elements of a grid's word, negated where the bit of `signs` is set. */
static void put_signed(float *y, float d, uint64_t word, unsigned signs, int n) {
    for (int j = 0; j < n; j++) {
        const float v = d * (float)(word >> 8 * j & 255);
        y[j] = signs >> j & 1 ? -v : v;
    }
}

/* Eight signs stored as seven bits: the last makes their number even. */
static unsigned expand_signs(uint32_t bits) {
    const unsigned i = bits & 127;
    return i | (unsigned)__builtin_parity(i) << 7;
}

/* The scale of the 2-bit types from its nibble. */
static float iq2_scale(float d, int nibble) { return d * (0.5f + (float)nibble) * 0.25f; }

/* A group is two words: four indices of 8 bits; four times 7 sign bits, and the scale on top. */
void td_dequantize_iq2_xxs(const uint8_t *b, float *y, size_t k) {
    for (const float *end = y + k; y < end; y += 256, b += 66) {
        const float d = load_f16(b);
        for (int g = 0; g < 8; g++) {
            const uint8_t *index = b + 2 + 8 * g;
            const uint32_t rest = load_u32(index + 4);
            const float dg = iq2_scale(d, (int)(rest >> 28));
            for (int r = 0; r < 4; r++)
                put_signed(y + 32 * g + 8 * r, dg, td_iq2_xxs_grid[index[r]],
                           expand_signs(rest >> 7 * r), 8);
        }
    }
}

/* A run is 16 bits: index of 9, signs of 7.  A nibble of scale for every two runs. */
void td_dequantize_iq2_xs(const uint8_t *b, float *y, size_t k) {
    for (const float *end = y + k; y < end; y += 256, b += 74) {
        const float d = load_f16(b);
        for (int r = 0; r < 32; r++) {
            const unsigned q = load_u16(b + 2 + 2 * r);
            const int nibble = b[66 + r / 4] >> 4 * (r / 2 & 1) & 15;
            put_signed(y + 8 * r, iq2_scale(d, nibble), td_iq2_xs_grid[q & 511],
                       expand_signs(q >> 9), 8);
        }
    }
}

/* Indices of 10 bits: a byte, and two bits of the group's byte of qh; signs spelled out. */
void td_dequantize_iq2_s(const uint8_t *b, float *y, size_t k) {
    for (const float *end = y + k; y < end; y += 256, b += 82) {
        const float d = load_f16(b);
        for (int r = 0; r < 32; r++) {
            const int index = b[2 + r] | (b[66 + r / 4] >> 2 * (r & 3) & 3) << 8;
            const int nibble = b[74 + r / 4] >> 4 * (r / 2 & 1) & 15;
            put_signed(y + 8 * r, iq2_scale(d, nibble), td_iq2_s_grid[index], b[34 + r], 8);
        }
    }
}

/* A run is two indices of four weights; its signs and the group's scale lie in a word behind. */
void td_dequantize_iq3_xxs(const uint8_t *b, float *y, size_t k) {
    for (const float *end = y + k; y < end; y += 256, b += 98) {
        const float d = load_f16(b);
        for (int r = 0; r < 32; r++) {
            const uint32_t rest = load_u32(b + 66 + 4 * (r / 4));
            const float dg = d * (0.5f + (float)(rest >> 28)) * 0.5f;
            const unsigned signs = expand_signs(rest >> 7 * (r & 3));
            put_signed(y + 8 * r, dg, td_iq3_xxs_grid[b[2 + 2 * r]], signs, 4);
            put_signed(y + 8 * r + 4, dg, td_iq3_xxs_grid[b[3 + 2 * r]], signs >> 4, 4);
        }
    }
}

/* Indices of 9 bits for four weights each, the ninth in qh; a nibble of scale for every group. */
void td_dequantize_iq3_s(const uint8_t *b, float *y, size_t k) {
    for (const float *end = y + k; y < end; y += 256, b += 110) {
        const float d = load_f16(b);
        for (int i = 0; i < 64; i++) {
            const int index = b[2 + i] | (b[66 + i / 8] >> (i & 7) & 1) << 8;
            const int nibble = b[106 + i / 16] >> 4 * (i / 8 & 1) & 15;
            put_signed(y + 4 * i, d * (float)(1 + 2 * nibble), td_iq3_s_grid[index],
                       b[74 + i / 2] >> 4 * (i & 1), 4);
        }
    }
}

/* y[8] = d * (element + delta), the elements signed. */
static void put_iq1(float *y, float d, uint64_t word, float delta) {
    for (int j = 0; j < 8; j++) y[j] = d * ((float)(int8_t)(word >> 8 * j & 255) + delta);
}

/* A group's 16 bits of qh: the high three bits of four indices, three bits of scale, the sign of
 * the delta. */
void td_dequantize_iq1_s(const uint8_t *b, float *y, size_t k) {
    for (const float *end = y + k; y < end; y += 256, b += 50) {
        const float d = load_f16(b);
        for (int r = 0; r < 32; r++) {
            const int qh = load_u16(b + 34 + 2 * (r / 4));
            const int index = b[2 + r] | (qh >> 3 * (r & 3) & 7) << 8;
            put_iq1(y + 8 * r, d * (float)(2 * (qh >> 12 & 7) + 1), td_iq1_grid[index],
                    qh & 0x8000 ? -0.125f : 0.125f);
        }
    }
}

/* Four words of scales: in each the low twelve bits are scales for 16 weights each, the high four
 * are a piece of d, the lowest first.  A nibble of qh per run: three bits of the index, the sign of
 * the delta. */
void td_dequantize_iq1_m(const uint8_t *b, float *y, size_t k) {
    for (const float *end = y + k; y < end; y += 256, b += 56) {
        unsigned scales[4], d_bits = 0;
        for (int i = 0; i < 4; i++) {
            scales[i] = load_u16(b + 48 + 2 * i);
            d_bits |= scales[i] >> 12 << 4 * i;
        }
        const float d = td_f16_to_f32((uint16_t)d_bits);
        for (int r = 0; r < 32; r++) {
            const int nibble = b[32 + r / 2] >> 4 * (r & 1) & 15;
            const unsigned scale = scales[r / 8] >> 3 * (r / 2 & 3) & 7;
            put_iq1(y + 8 * r, d * (float)(2 * scale + 1), td_iq1_grid[b[r] | (nibble & 7) << 8],
                    nibble & 8 ? -0.125f : 0.125f);
        }
    }
}

/* 32 weights, of which the byte j holds weight j and weight j + 16. */
static void put_iq4(float *y, float d, const uint8_t q[16]) {
    for (int j = 0; j < 16; j++) {
        y[j] = d * (float)td_iq4_values[q[j] & 15];
        y[j + 16] = d * (float)td_iq4_values[q[j] >> 4];
    }
}

void td_dequantize_iq4_nl(const uint8_t *b, float *y, size_t k) {
    for (const float *end = y + k; y < end; y += 32, b += 18) put_iq4(y, load_f16(b), b + 2);
}

/* A group's scale: four low bits in a nibble, two high bits in a word, less 32. */
void td_dequantize_iq4_xs(const uint8_t *b, float *y, size_t k) {
    for (const float *end = y + k; y < end; y += 256, b += 136) {
        const float d = load_f16(b);
        const int high = load_u16(b + 2);
        for (int g = 0; g < 8; g++) {
            const int scale = (b[4 + g / 2] >> 4 * (g & 1) & 15) | (high >> 2 * g & 3) << 4;
            put_iq4(y + 32 * g, d * (float)(scale - 32), b + 8 + 16 * g);
        }
    }
}
