/* driver.h - which GPUs the NVIDIA driver knows.  The driver library is looked for when it is asked
 * for: without one there are no GPUs, which is no error.  Nothing is launched. */
#ifndef TD_PLAN_DRIVER_H
#define TD_PLAN_DRIVER_H

#include <stdint.h>

typedef struct td_driver_gpu {
    char name[64];
    int capability;  /* compute capability times ten */
    uint64_t memory; /* bytes */
} td_driver_gpu;

/* Fills up to `most`; returns how many. */
int td_driver_gpus(td_driver_gpu *out, int most);

/* The driver's CUDA version times 1000 plus the minor times ten (12040), 0: no driver; and why
 * there are no GPUs, as a sentence, or NULL. */
int td_driver_version(void);
const char *td_driver_why_not(void);

#endif
