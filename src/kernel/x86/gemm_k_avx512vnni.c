/* gemm_k_avx512vnni.c - the 256-blocks: 16 lanes, tiles of 12 rows, vpdpbusd. */
#include "kernel/x86/gemm_tile.h"
#include "kernel/x86/x86.h"
#include "kernel/x86/dot_vnni.h"

enum { MAX_TILE = 12 };

#include "kernel/x86/gemm_acc_tmpl.h"
#include "kernel/x86/gemm_k_tmpl.h"

void td_gemm_q4_k_avx512vnni(const td_gemm_args *g) { k_gemm(g, q4_k, with_min_pack, q4_k_run); }
void td_gemm_q5_k_avx512vnni(const td_gemm_args *g) { k_gemm(g, q5_k, with_min_pack, q5_k_run); }
void td_gemm_q6_k_avx512vnni(const td_gemm_args *g) { k_gemm(g, q6_k, q6_k_pack, q6_k_run); }
