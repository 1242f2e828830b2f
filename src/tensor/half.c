/* half.c - IEEE half and bfloat16, by bits.
 *
 * NaN becomes quiet and keeps the payload that fits, as F16C and AVX512-BF16 do, so that a kernel
 * that uses those instructions gives the same bits. */
#include <string.h>

#include "tensor/quantize.h"

static uint32_t bits_of(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

static float float_of(uint32_t u) {
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

float td_f16_to_f32(uint16_t h) {
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    const uint32_t exp = h >> 10 & 31;
    const uint32_t mant = h & 0x3ff;
    if (exp == 31) return float_of(sign | 0x7f800000 | mant << 13 | (mant ? 0x400000 : 0));
    if (exp > 0) return float_of(sign | (exp + 112) << 23 | mant << 13);
    /* Zero and denormals: mant * 2^-24 is exact in f32. */
    return float_of(sign | bits_of((float)mant * 0x1p-24f));
}

uint16_t td_f32_to_f16(float f) {
    const uint32_t u = bits_of(f);
    const uint32_t sign = u >> 16 & 0x8000;
    const uint32_t a = u & 0x7fffffff;
    if (a > 0x7f800000) return (uint16_t)(sign | 0x7e00 | (a >> 13 & 0x3ff));
    /* 65520 lies midway between the largest half and the next, and goes to the even one: inf. */
    if (a >= 0x477ff000) return (uint16_t)(sign | 0x7c00);
    if (a < 0x38800000) {
        /* Below 2^-14: adding 0.5 leaves the value in units of 2^-24 in the low bits of the sum,
         * which the addition itself has rounded to nearest even. */
        return (uint16_t)(sign | (bits_of(float_of(a) + 0.5f) - 0x3f000000));
    }
    /* Round off 13 bits to nearest even; a carry into the exponent is right. */
    const uint32_t odd = a >> 13 & 1;
    return (uint16_t)(sign | ((a - 0x38000000 + 0xfff + odd) >> 13));
}

float td_bf16_to_f32(uint16_t h) { return float_of((uint32_t)h << 16); }

uint16_t td_f32_to_bf16(float f) {
    const uint32_t u = bits_of(f);
    if ((u & 0x7fffffff) > 0x7f800000) return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}
