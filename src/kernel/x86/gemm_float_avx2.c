/* gemm_float_avx2.c - products on F32, F16, BF16 and F8_E4M3 weights, 8 lanes. */
#include "kernel/x86/vec_avx2.h"
#include "kernel/x86/x86.h"

#include "kernel/x86/gemm_float_tmpl.h"

void td_gemm_f32_avx2(const td_gemm_args *g) { float_gemm(g, (float_type){TD_DTYPE_F32, false}); }
void td_gemm_f16_avx2(const td_gemm_args *g) { float_gemm(g, (float_type){TD_DTYPE_F16, false}); }
void td_gemm_bf16_avx2(const td_gemm_args *g) { float_gemm(g, (float_type){TD_DTYPE_BF16, false}); }
void td_gemm_f8_e4m3_avx2(const td_gemm_args *g) { f8_gemm(g); }
