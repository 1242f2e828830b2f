/* probe_avx2.c - the loops that measure the machine. */
#include "kernel/x86/x86.h"
#include "kernel/x86/vec_avx2.h"
#include "kernel/x86/dot_maddubs_tmpl.h"

#include "kernel/x86/probe_tmpl.h"

uint64_t td_probe_read_avx2(const void *p, size_t bytes) { return probe_read(p, bytes); }
double td_probe_f32_avx2(int n_round) { return probe_f32(n_round); }
double td_probe_int8_avx2(int n_round) { return probe_int8(n_round); }
