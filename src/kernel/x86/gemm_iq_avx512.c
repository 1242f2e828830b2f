/* gemm_iq_avx512.c - the IQ and ternary types: 16 lanes, tiles of 24 rows, vpmaddubsw. */
#include "kernel/x86/gemm_tile.h"
#include "kernel/x86/x86.h"
#include "kernel/x86/vec_avx512.h"
#include "kernel/x86/dot_maddubs_tmpl.h"

/* Not 12: unpacking a block costs more here. */
enum { MAX_TILE = 24 };

#include "kernel/x86/gemm_acc_tmpl.h"
#include "kernel/x86/gemm_iq_tmpl.h"

void td_gemm_iq1_s_avx512(const td_gemm_args *g) { k_gemm(g, iq1_s, k_pack_8, iq1_s_run); }
void td_gemm_iq1_m_avx512(const td_gemm_args *g) { k_gemm(g, iq1_m, k_pack_16, iq1_m_run); }
void td_gemm_iq2_xxs_avx512(const td_gemm_args *g) { k_gemm(g, iq2_xxs, k_pack_8, iq2_xxs_run); }
void td_gemm_iq2_xs_avx512(const td_gemm_args *g) { k_gemm(g, iq2_xs, k_pack_16, iq2_xs_run); }
void td_gemm_iq2_s_avx512(const td_gemm_args *g) { k_gemm(g, iq2_s, k_pack_16, iq2_s_run); }
void td_gemm_iq3_xxs_avx512(const td_gemm_args *g) { k_gemm(g, iq3_xxs, k_pack_8, iq3_xxs_run); }
void td_gemm_iq3_s_avx512(const td_gemm_args *g) { k_gemm(g, iq3_s, k_pack_8, iq3_s_run); }
void td_gemm_iq4_xs_avx512(const td_gemm_args *g) { k_gemm(g, iq4_xs, k_pack_8, iq4_xs_run); }
void td_gemm_tq1_0_avx512(const td_gemm_args *g) { k_gemm(g, tq1_0, k_pack_8, tq1_0_run); }
void td_gemm_tq2_0_avx512(const td_gemm_args *g) { k_gemm(g, tq2_0, k_pack_8, tq2_0_run); }
