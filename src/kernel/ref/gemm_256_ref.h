/* gemm_256_ref.h - what the reference products of all 256-blocks share: a block as plain numbers,
 * and the loop over blocks (gemm_k_ref.c). */
#ifndef TD_KERNEL_REF_GEMM_256_REF_H
#define TD_KERNEL_REF_GEMM_256_REF_H

#include <string.h>

#include "kernel/ref/ref.h"
#include "tensor/quantize.h"

/* Weight i is d * scale[i / 16] * q[i] - dmin * min[i / 16].
 *
 * A block's integer sums fit 32 bits for whatever a file holds: |scale * q| is at most 4096 (Q6_K:
 * 128 * 32; IQ4_XS: 32 * 127 = 4064; IQ3_XXS: 31 * 62 = 1922), so a sum is at most 4096 * 127 * 256
 * = 133 million, and mins are at most 63.  x86 kernels add an offset of at most 128 to q, which
 * doubles that. */
typedef struct block256 {
    float d, dmin;
    int16_t scale[16], min[16];
    int8_t q[256];
} block256;

/* Fills a block, all zeros before, from its bytes. */
typedef void td_ref_decode_fn(const uint8_t *p, block256 *b);

/* acc = fma(d * d_a, sum of scale[i / 16] * q[i] * a[i], acc), and then, if the type has mins, acc
 * = fma(-(dmin * d_a), sum of min[j] * s[j], acc). */
void td_ref_gemm_256(const td_gemm_args *g, td_dtype dtype, td_ref_decode_fn *decode, bool has_min);

static inline uint16_t td_ref_u16(const uint8_t *p) {
    uint16_t x;
    memcpy(&x, p, 2);
    return x;
}

static inline uint32_t td_ref_u32(const uint8_t *p) {
    uint32_t x;
    memcpy(&x, p, 4);
    return x;
}

static inline float td_ref_f16(const uint8_t *p) { return td_f16_to_f32(td_ref_u16(p)); }

#endif
