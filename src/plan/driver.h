/* driver.h - which GPUs the NVIDIA driver knows.  The driver's library is looked for when it is
 * asked for: without one there are no GPUs, which is no error.  Nothing is launched. */
#ifndef TD_PLAN_DRIVER_H
#define TD_PLAN_DRIVER_H

#include <stdint.h>

enum {
    TD_DRIVER_MOST = 16,
    TD_DRIVER_LEAST = 12000 /* CUDA 12.0, driver 525: what GPU kernels will want */
};

typedef struct td_driver_gpu {
    char name[64];
    int capability;  /* compute capability times ten */
    uint64_t memory; /* bytes */
    double
        bandwidth; /* of its memory, bytes per second, by clock and width of the bus; 0: untold */
    int is_closed; /* compute mode "prohibited": no program may use it */
} td_driver_gpu;

typedef enum td_driver_state {
    TD_DRIVER_ABSENT, /* no library */
    TD_DRIVER_BROKEN, /* a library that lacks entry points, or does not start */
    TD_DRIVER_STARTS  /* it answers; it may know no GPU, and may be too old */
} td_driver_state;

typedef struct td_driver {
    td_driver_state state;
    int version;       /* the newest CUDA it knows, 12040 is 12.4; 0: untold */
    char why_not[256]; /* why there are no GPUs, and what to do: a sentence; "" if there are */
    td_driver_gpu gpus[TD_DRIVER_MOST];
    int n_gpu;
} td_driver;

/* Looks for libcuda.so.1 as programs do (LD_LIBRARY_PATH first), then where WSL and NixOS keep it.
 */
void td_driver_read(td_driver *out);

#endif
