/* test_probe.c - the probes of the machine give plausible numbers, and 0 where they cannot measure.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "jobs/probe.h"

/* From a slow emulator to a machine with hundreds of cores. */
static void assert_plausible(double rate) { assert_true(rate > 1e-3 && rate < 1e7); }

static void test_rates(void **state) {
    (void)state;
    for (int n_thread = 0; n_thread <= 3; n_thread += 3) { /* 0 counts as 1 */
        assert_plausible(td_probe_int8_peak(n_thread));
        assert_plausible(td_probe_f32_peak(n_thread));
    }
    assert_plausible(td_probe_bandwidth(2));
}

static void test_no_memory(void **state) {
    (void)state;
#ifdef TD_FAULTS
    td_alloc_fault_set(1);
    assert_true(td_probe_bandwidth(1) == 0);
    td_alloc_fault_set(0);
#else
    skip();
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rates),
                                       cmocka_unit_test(test_no_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
