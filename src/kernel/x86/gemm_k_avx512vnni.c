/* gemm_k_avx512vnni.c - the K types: 16 lanes, tiles of 12 rows, vpdpbusd. */
#include "kernel/x86/gemm_tile.h"
#include "kernel/x86/x86.h"
#include "kernel/x86/dot_vnni.h"

enum { MAX_TILE = 12 };

#include "kernel/x86/gemm_acc_tmpl.h"
#include "kernel/x86/gemm_k_tmpl.h"

void td_gemm_q2_k_avx512vnni(const td_gemm_args *g) { k_gemm(g, q2_k, k_pack_16, q2_k_run); }
void td_gemm_q3_k_avx512vnni(const td_gemm_args *g) { k_gemm(g, q3_k, k_pack_16, q3_k_run); }
void td_gemm_q4_k_avx512vnni(const td_gemm_args *g) { k_gemm(g, q4_k, k_pack_8, q4_k_run); }
void td_gemm_q5_k_avx512vnni(const td_gemm_args *g) { k_gemm(g, q5_k, k_pack_8, q5_k_run); }
void td_gemm_q6_k_avx512vnni(const td_gemm_args *g) { k_gemm(g, q6_k, k_pack_16, q6_k_run); }
