/* gemm_b32_avx2.c - the runs of 32, and NVFP4: 8 lanes, tiles of 4 rows, vpmaddubsw. */
#include "kernel/x86/gemm_tile.h"
#include "kernel/x86/x86.h"
#include "kernel/x86/vec_avx2.h"
#include "kernel/x86/dot_maddubs_tmpl.h"

enum { MAX_TILE = 4 };

#include "kernel/x86/gemm_acc_tmpl.h"
#include "kernel/x86/gemm_fp4_tmpl.h"
#include "kernel/x86/gemm_b32_tmpl.h"

void td_gemm_q4_0_avx2(const td_gemm_args *g) { b32_gemm(g, q4_0, q4_0_pack, q4_0_run); }
void td_gemm_q4_1_avx2(const td_gemm_args *g) { b32_gemm(g, q4_1, with_m_pack, q4_1_run); }
void td_gemm_q5_0_avx2(const td_gemm_args *g) { b32_gemm(g, q5_0, q5_0_pack, q5_0_run); }
void td_gemm_q5_1_avx2(const td_gemm_args *g) { b32_gemm(g, q5_1, with_m_pack, q5_1_run); }
void td_gemm_q8_0_avx2(const td_gemm_args *g) { b32_gemm(g, q8_0, q8_0_pack, q8_0_run); }
void td_gemm_iq4_nl_avx2(const td_gemm_args *g) { b32_gemm(g, iq4_nl, iq4_nl_pack, iq4_nl_run); }
void td_gemm_mxfp4_avx2(const td_gemm_args *g) { b32_gemm(g, mxfp4, mxfp4_pack, mxfp4_run); }
void td_gemm_int4_avx2(const td_gemm_args *g) { b32_gemm(g, int4, int4_pack, int4_run); }
void td_gemm_int4_z32_avx2(const td_gemm_args *g) {
    b32_gemm(g, int4_z32, int4_z32_pack, int4_z32_run);
}
void td_gemm_int4_z128_avx2(const td_gemm_args *g) {
    b32_gemm(g, int4_z128, int4_z128_pack, int4_z128_run);
}
void td_gemm_nvfp4_avx2(const td_gemm_args *g) { nvfp4_gemm(g); }
