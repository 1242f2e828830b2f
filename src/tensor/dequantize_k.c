/* dequantize_k.c - blocks of 256 weights without a codebook: the K types and the ternary ones. */
#include "tensor/dequantize_int.h"

/* Q2_K and Q3_K: two halves of 128 weights, each four runs of 32: run r takes bits 2r, 2r + 1 of
 * the 32 bytes of its half.  One scale for every 16 weights.  A low nibble is the scale, the high
 * one the min. */
void td_dequantize_q2_k(const uint8_t *b, float *y, size_t k) {
    for (const float *end = y + k; y < end; y += 256, b += 84) {
        const float d = load_f16(b + 80), dmin = load_f16(b + 82);
        for (int run = 0; run < 8; run++) {
            const uint8_t *q = b + 16 + 32 * (run / 4);
            for (int l = 0; l < 32; l++) {
                const uint8_t scale = b[2 * run + l / 16];
                const float ds = d * (float)(scale & 15), m = dmin * (float)(scale >> 4);
                y[32 * run + l] = ds * (float)(q[l] >> 2 * (run & 3) & 3) - m;
            }
        }
    }
}

/* The 16 scales have 6 bits each: nibbles in bytes 0-7 (the low ones first), above them two bits
 * each in bytes 8-11. */
static void unpack_q3_k_scales(const uint8_t packed[12], int scale[16]) {
    for (int i = 0; i < 16; i++) {
        const int low = packed[i & 7] >> 4 * (i / 8) & 15;
        const int high = packed[8 + (i & 3)] >> 2 * (i / 4) & 3;
        scale[i] = (low | high << 4) - 32;
    }
}

/* Bit `run` of the mask byte l is the third bit of the weight, turned around: 4 is taken away where
 * it is clear. */
void td_dequantize_q3_k(const uint8_t *b, float *y, size_t k) {
    for (const float *end = y + k; y < end; y += 256, b += 110) {
        const float d = load_f16(b + 108);
        int scale[16];
        unpack_q3_k_scales(b + 96, scale);
        for (int run = 0; run < 8; run++) {
            const uint8_t *q = b + 32 + 32 * (run / 4);
            for (int l = 0; l < 32; l++) {
                const int low = q[l] >> 2 * (run & 3) & 3, minus = b[l] >> run & 1 ? 0 : 4;
                y[32 * run + l] = d * (float)scale[2 * run + l / 16] * (float)(low - minus);
            }
        }
    }
}

/* Scale i and min i have 6 bits each.  The first four of either lie whole in the low bits of bytes
 * 0-3 and 4-7; the others have a nibble each in bytes 8-11 and their top two bits above the first
 * four. */
void td_k_scale_min(const uint8_t scales[12], uint8_t scale[8], uint8_t min[8]) {
    for (int i = 0; i < 4; i++) {
        scale[i] = scales[i] & 63;
        min[i] = scales[i + 4] & 63;
        scale[i + 4] = (uint8_t)((scales[i + 8] & 15) | (scales[i] >> 6) << 4);
        min[i + 4] = (uint8_t)(scales[i + 8] >> 4 | (scales[i + 4] >> 6) << 4);
    }
}

/* Q4_K and Q5_K: eight groups of 32 weights.  Byte l of the j-th 32 bytes of qs holds weight l of
 * group 2j (low nibble) and of group 2j + 1 (high nibble); bit g of qh[l] is the fifth bit of
 * weight l of group g.  qh is NULL for Q4_K. */
static void dequantize_k45(const uint8_t *b, const uint8_t *qh, const uint8_t *qs, float *y) {
    const float d = load_f16(b), dmin = load_f16(b + 2);
    uint8_t scale[8], min[8];
    td_k_scale_min(b + 4, scale, min);
    for (int g = 0; g < 8; g++) {
        const float dg = d * (float)scale[g], mg = dmin * (float)min[g];
        const uint8_t *q = qs + 32 * (g / 2);
        const int shift = 4 * (g & 1);
        for (int l = 0; l < 32; l++) {
            const int high = qh ? (qh[l] >> g & 1) << 4 : 0;
            y[32 * g + l] = dg * (float)((q[l] >> shift & 15) | high) - mg;
        }
    }
}

void td_dequantize_q4_k(const uint8_t *b, float *y, size_t k) {
    for (const float *end = y + k; y < end; y += 256, b += 144) dequantize_k45(b, NULL, b + 16, y);
}

void td_dequantize_q5_k(const uint8_t *b, float *y, size_t k) {
    for (const float *end = y + k; y < end; y += 256, b += 176)
        dequantize_k45(b, b + 16, b + 48, y);
}

/* Two halves of 128 weights, each four runs of 32: run r takes nibble r / 2 of ql[32 * (r & 1) + l]
 * and bits 2r, 2r + 1 of qh[l].  One signed 8-bit scale for every 16 weights. */
void td_dequantize_q6_k(const uint8_t *b, float *y, size_t k) {
    for (const float *end = y + k; y < end; y += 256, b += 210) {
        const float d = load_f16(b + 208);
        for (int half = 0; half < 2; half++) {
            const uint8_t *ql = b + 64 * half, *qh = b + 128 + 32 * half;
            const uint8_t *scales = b + 192 + 8 * half;
            for (int r = 0; r < 4; r++) {
                float *out = y + 128 * half + 32 * r;
                for (int l = 0; l < 32; l++) {
                    const int lo = ql[32 * (r & 1) + l] >> 4 * (r / 2) & 15;
                    const int q = lo | (qh[l] >> 2 * r & 3) << 4;
                    const float ds = d * (float)(int8_t)scales[2 * r + l / 16];
                    out[l] = ds * (float)(q - 32);
                }
            }
        }
    }
}

/* One of three values a digit. */
static float ternary(float d, int digit) { return d * (float)(digit - 1); }

/* Five base-3 digits a byte: the byte is ceil(n * 256 / 243) for the digits' number n, so that each
 * multiplication by 3 moves the next digit out at the top.  Digit n of all bytes of a run comes
 * before digit n + 1: of 32 bytes, then of 16, then four digits of the last 4. */
void td_dequantize_tq1_0(const uint8_t *b, float *y, size_t k) {
    static const struct {
        int first, n_byte, n_digit;
    } runs[3] = {
        {0,  32, 5},
        {32, 16, 5},
        {48, 4,  4}
    };
    for (const float *end = y + k; y < end; b += 54) {
        const float d = load_f16(b + 52);
        for (int r = 0; r < 3; r++) {
            uint8_t power = 1;
            for (int n = 0; n < runs[r].n_digit; n++, power = (uint8_t)(power * 3))
                for (int i = 0; i < runs[r].n_byte; i++) {
                    const uint8_t rest = (uint8_t)(b[runs[r].first + i] * power);
                    *y++ = ternary(d, rest * 3 >> 8);
                }
        }
    }
}

/* Two halves of 128 weights: run r takes bits 2r, 2r + 1 of the 32 bytes of its half. */
void td_dequantize_tq2_0(const uint8_t *b, float *y, size_t k) {
    for (const float *end = y + k; y < end; y += 256, b += 66) {
        const float d = load_f16(b + 64);
        for (int run = 0; run < 8; run++)
            for (int l = 0; l < 32; l++)
                y[32 * run + l] = ternary(d, b[32 * (run / 4) + l] >> 2 * (run & 3) & 3);
    }
}
