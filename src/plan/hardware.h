/* hardware.h - the machine that a plan is for: the real one, or one made of data-sheet figures.
 *
 * Figures of profiles come from vendors' data sheets (docs/GPUS.md): good to about 10 %, so what is
 * predicted from them is an estimate.  Rates are dense tensor-core rates. */
#ifndef TD_PLAN_HARDWARE_H
#define TD_PLAN_HARDWARE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "base/strbuf.h"

enum { TD_MAX_GPUS = 16 };

typedef struct td_gpu {
    char name[64];    /* "Tesla T4" */
    int capability;   /* compute capability times ten: 75 */
    uint64_t memory;  /* bytes that a program can use */
    double bandwidth; /* of its memory, bytes per second */
    double f16, int8; /* operations per second, a multiply-add being two; int8 0: none */
    double fp8;       /* 0: no FP8 in hardware */
    double link;      /* to the host, one way, bytes per second */
} td_gpu;

typedef struct td_cpu {
    char name[64];        /* "2 x Xeon Gold 6454S", or the real one's */
    int n_socket, n_core; /* cores of all sockets */
    double bandwidth;     /* reads of all cores, bytes per second; 0: not known yet */
    double int8, f32;     /* operations per second of all cores; 0: not known yet */
} td_cpu;

typedef struct td_hardware {
    td_cpu cpu;
    uint64_t ram; /* bytes that are left for a model */
    td_gpu gpus[TD_MAX_GPUS];
    int n_gpu;
    bool is_real_cpu, is_real_gpu; /* measured or detected, not a profile */
} td_hardware;

/* What stands in for the real machine; NULL: what is there. */
typedef struct td_hardware_request {
    const char *gpus; /* "t4", "2xa10", "1xt4,1x4090"; "none" */
    const char *ram;  /* "64G", "512GiB" */
    const char *cpu;  /* "epyc-9654", "2x6454s" */
} td_hardware_request;

/* TD_ERR_ARGUMENT names what is unknown and what comes near it.  Without a driver there are no
 * GPUs.  The real CPU's rates are left 0. */
td_status td_hardware_get(td_hardware *out, const td_hardware_request *request, td_err *err);

/* The profile of a GPU's name, however it is written: "4090", "rtx-4090", "NVIDIA GeForce RTX
 * 4090".  False if there is none. */
bool td_gpu_profile_find(const char *name, td_gpu *out);

/* The profiles in their order: 0, 1 ... until false. */
bool td_gpu_profile_at(int i, td_gpu *out);

#endif
