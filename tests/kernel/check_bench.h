/* check_bench.h - times the kernels of the levels under test at the shapes of real models. */
#ifndef TD_TESTS_KERNEL_CHECK_BENCH_H
#define TD_TESTS_KERNEL_CHECK_BENCH_H

#include "kernel/check.h"

/* Prints one csv line per kernel and shape whose "slot/shape" matches the glob (NULL: all). */
void check_bench(check *c, const char *glob);

#endif
