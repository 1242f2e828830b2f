/* check_plant.h - wrong kernels that td-check must reject. */
#ifndef TD_TESTS_KERNEL_CHECK_PLANT_H
#define TD_TESTS_KERNEL_CHECK_PLANT_H

#include "kernel/check.h"

/* One wrong kernel: `plant` puts it into a table that is otherwise the reference's. */
typedef struct check_plant {
    const char *slot; /* the slots it sits in: a glob of names */
    const char *fault;
    void (*plant)(td_kernels *t);
    bool crashes; /* needs check_catches_crashes() */
} check_plant;

extern const check_plant check_plants[];
extern const int n_check_plants;

/* Runs the plant's slots until the first failure; true if there was one in every slot. */
bool check_plant_found(const check_plant *plant, uint64_t seed);

#endif
