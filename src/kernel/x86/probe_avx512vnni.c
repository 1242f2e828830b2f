/* probe_avx512vnni.c - the loops that measure the machine. */
#include "kernel/x86/x86.h"
#include "kernel/x86/dot_vnni.h"

#include "kernel/x86/probe_tmpl.h"

double td_probe_int8_avx512vnni(int n_round) { return probe_int8(n_round); }
