/* test_kernel_plant.c - td-check finds every wrong kernel planted in it: the proof that it looks.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "kernel/check_plant.h"

static void test_plant(void **state) {
    const check_plant *plant = *state;
    if (plant->crashes && !check_catches_crashes()) skip();
    if (!check_plant_found(plant, 1)) fail_msg("%s: not found: %s", plant->slot, plant->fault);
}

int main(void) {
    enum { MOST = 64 };
    struct CMUnitTest tests[MOST];
    const int n = n_check_plants < MOST ? n_check_plants : MOST;
    for (int i = 0; i < n; i++)
        tests[i] = (struct CMUnitTest){.name = check_plants[i].fault,
                                       .test_func = test_plant,
                                       .initial_state = (void *)(uintptr_t)&check_plants[i]};
    return _cmocka_run_group_tests("kernel_plant", tests, (size_t)n, NULL, NULL);
}
