/* quantize.c - float32 to every block type: the dispatch; quantize_simple.c, quantize_k.c and
 * quantize_iq.c have the types. */
#include <string.h>

#include "tensor/quantize_int.h"

static void quantize_f32(const float *x, const float *importance, uint8_t *dst, size_t k) {
    (void)importance;
    memcpy(dst, x, k * sizeof *x); /* all our hosts are little-endian */
}

static void quantize_f16(const float *x, const float *importance, uint8_t *dst, size_t k) {
    (void)importance;
    for (size_t i = 0; i < k; i++) store_u16(dst + 2 * i, td_f32_to_f16(x[i]));
}

static void quantize_bf16(const float *x, const float *importance, uint8_t *dst, size_t k) {
    (void)importance;
    for (size_t i = 0; i < k; i++) store_u16(dst + 2 * i, td_f32_to_bf16(x[i]));
}

static td_quantize_fn *quantizer(td_dtype dtype) {
    switch ((int)dtype) {
    case TD_DTYPE_F32: return quantize_f32;
    case TD_DTYPE_F16: return quantize_f16;
    case TD_DTYPE_BF16: return quantize_bf16;
    case TD_DTYPE_Q4_0: return td_quantize_q4_0;
    case TD_DTYPE_Q4_1: return td_quantize_q4_1;
    case TD_DTYPE_Q5_0: return td_quantize_q5_0;
    case TD_DTYPE_Q5_1: return td_quantize_q5_1;
    case TD_DTYPE_Q8_0: return td_quantize_q8_0;
    case TD_DTYPE_Q2_K: return td_quantize_q2_k;
    case TD_DTYPE_Q3_K: return td_quantize_q3_k;
    case TD_DTYPE_Q4_K: return td_quantize_q4_k;
    case TD_DTYPE_Q5_K: return td_quantize_q5_k;
    case TD_DTYPE_Q6_K: return td_quantize_q6_k;
    case TD_DTYPE_TQ1_0: return td_quantize_tq1_0;
    case TD_DTYPE_TQ2_0: return td_quantize_tq2_0;
    case TD_DTYPE_IQ1_S: return td_quantize_iq1_s;
    case TD_DTYPE_IQ1_M: return td_quantize_iq1_m;
    case TD_DTYPE_IQ2_XXS: return td_quantize_iq2_xxs;
    case TD_DTYPE_IQ2_XS: return td_quantize_iq2_xs;
    case TD_DTYPE_IQ2_S: return td_quantize_iq2_s;
    case TD_DTYPE_IQ3_XXS: return td_quantize_iq3_xxs;
    case TD_DTYPE_IQ3_S: return td_quantize_iq3_s;
    case TD_DTYPE_IQ4_NL: return td_quantize_iq4_nl;
    case TD_DTYPE_IQ4_XS: return td_quantize_iq4_xs;
    case TD_DTYPE_MXFP4: return td_quantize_mxfp4;
    case TD_DTYPE_NVFP4: return td_quantize_nvfp4;
    default: return NULL;
    }
}

bool td_dtype_can_quantize(td_dtype dtype) { return quantizer(dtype) != NULL; }

td_status td_quantize_row(td_dtype dtype, const float *x, void *dst, size_t k, td_err *err) {
    return td_quantize_row_weighted(dtype, x, NULL, dst, k, err);
}

td_status td_quantize_row_weighted(td_dtype dtype, const float *x, const float *importance,
                                   void *dst, size_t k, td_err *err) {
    td_quantize_fn *fn = quantizer(dtype);
    if (!fn)
        return td_fail(err, TD_ERR_UNSUPPORTED,
                       "cannot quantize to %s (type %d), only to GGUF's own types",
                       td_dtype_name((int)dtype), (int)dtype);
    const td_dtype_info *info = td_dtype_get_info((int)dtype);
    if (k % (size_t)info->block_elems != 0)
        return td_fail(err, TD_ERR_ARGUMENT, "%zu weights to %s, wanted a multiple of %d", k,
                       info->name, info->block_elems);
    fn(x, importance, dst, k);
    return TD_OK;
}
