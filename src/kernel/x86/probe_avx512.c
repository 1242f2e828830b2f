/* probe_avx512.c - the loops that measure the machine. */
#include "kernel/x86/x86.h"
#include "kernel/x86/vec_avx512.h"
#include "kernel/x86/dot_maddubs_tmpl.h"

#include "kernel/x86/probe_tmpl.h"

uint64_t td_probe_read_avx512(const void *p, size_t bytes) { return probe_read(p, bytes); }
double td_probe_f32_avx512(int n_round) { return probe_f32(n_round); }
double td_probe_int8_avx512(int n_round) { return probe_int8(n_round); }
