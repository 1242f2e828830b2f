/* dequantize_int.h - what the dequantize_*.c files share: loads from unaligned little-endian bytes,
 * and one function per type for the dispatch in dequantize.c.
 *
 * Each function makes y[k] of the blocks at src; k is a multiple of the block size. */
#ifndef TD_TENSOR_DEQUANTIZE_INT_H
#define TD_TENSOR_DEQUANTIZE_INT_H

#include <stddef.h>
#include <stdint.h>

#include "tensor/quantize.h"

static inline uint16_t load_u16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }

static inline uint32_t load_u32(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline float load_f16(const uint8_t *p) { return td_f16_to_f32(load_u16(p)); }

/* dequantize_k.c */
void td_dequantize_q2_k(const uint8_t *src, float *y, size_t k);
void td_dequantize_q3_k(const uint8_t *src, float *y, size_t k);
void td_dequantize_q4_k(const uint8_t *src, float *y, size_t k);
void td_dequantize_q5_k(const uint8_t *src, float *y, size_t k);
void td_dequantize_q6_k(const uint8_t *src, float *y, size_t k);
void td_dequantize_tq1_0(const uint8_t *src, float *y, size_t k);
void td_dequantize_tq2_0(const uint8_t *src, float *y, size_t k);

/* dequantize_iq.c */
void td_dequantize_iq1_s(const uint8_t *src, float *y, size_t k);
void td_dequantize_iq1_m(const uint8_t *src, float *y, size_t k);
void td_dequantize_iq2_xxs(const uint8_t *src, float *y, size_t k);
void td_dequantize_iq2_xs(const uint8_t *src, float *y, size_t k);
void td_dequantize_iq2_s(const uint8_t *src, float *y, size_t k);
void td_dequantize_iq3_xxs(const uint8_t *src, float *y, size_t k);
void td_dequantize_iq3_s(const uint8_t *src, float *y, size_t k);
void td_dequantize_iq4_nl(const uint8_t *src, float *y, size_t k);
void td_dequantize_iq4_xs(const uint8_t *src, float *y, size_t k);

#endif
