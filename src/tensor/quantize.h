/* quantize.h - scalar conversion between float32 and every block type.
 *
 * These are the definitions the kernels are measured against.  Dequantizing gives, bit for bit,
 * what the `gguf` Python package gives; so does quantizing without importance for the types that
 * package quantizes (BF16 F16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 TQ1_0 TQ2_0 MXFP4).  For the other types the
 * error, weighted as llama.cpp weights it, is what counts. */
#ifndef TD_TENSOR_QUANTIZE_H
#define TD_TENSOR_QUANTIZE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "tensor/dtype.h"

/* y[k] = the k weights of the blocks at src (unaligned is fine).  k is a multiple of the block size
 * and dtype is readable: both are checked when a tensor is opened, so this cannot fail. */
void td_dequantize_row(td_dtype dtype, const void *src, float *y, size_t k);

/* The blocks of x[k] at dst.  TD_ERR_UNSUPPORTED for a type without a quantizer.  NaN and infinity
 * give blocks that stand for anything. */
td_status td_quantize_row(td_dtype dtype, const float *x, void *dst, size_t k, td_err *err);

/* The same; `importance` is NULL or says for each column how much an error there counts, such as
 * the mean square of the activations that meet it: [k], finite and not negative. */
td_status td_quantize_row_weighted(td_dtype dtype, const float *x, const float *importance,
                                   void *dst, size_t k, td_err *err);

/* True if td_quantize_row knows the type. */
bool td_dtype_can_quantize(td_dtype dtype);

/* IEEE half and bfloat16 by bits; to_* round to nearest even, NaN stays NaN. */
float td_f16_to_f32(uint16_t h);
uint16_t td_f32_to_f16(float f);
float td_bf16_to_f32(uint16_t h);
uint16_t td_f32_to_bf16(float f);

/* Floats of a byte.  E4M3 as in OCP's OFP8 specification: bias 7, no infinities, 0x7f and 0xff are
 * NaN.  The scales of the FP4 types are halved, because the codes are doubled (td_fp4_values):
 * 2^(e - 128) for a byte e of E8M0; of NVFP4's E4M3 the sign bit says nothing and 0x7f is 0. */
float td_e4m3_to_f32(uint8_t b);
float td_e8m0_half_to_f32(uint8_t e);
float td_ue4m3_half_to_f32(uint8_t e4m3);

/* The eight (scale, min) pairs of a Q4_K or Q5_K block, from its 12 scale bytes. */
void td_k_scale_min(const uint8_t scales[12], uint8_t scale[8], uint8_t min[8]);

#endif
