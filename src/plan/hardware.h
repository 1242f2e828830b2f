/* hardware.h - the machine that a plan is for: the real one, or one made of data-sheet figures.
 *
 * Figures of profiles (hardware_profiles.c) come from data sheets: good to about 10 %, so what is
 * predicted from them is an estimate and has to be called one.  Rates are those of dense tensor
 * cores. */
#ifndef TD_PLAN_HARDWARE_H
#define TD_PLAN_HARDWARE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "base/strbuf.h"

enum { TD_MAX_GPUS = 16 };

/* Where a figure comes from. */
typedef enum td_figure_source {
    TD_FIGURE_UNKNOWN,
    TD_FIGURE_SHEET,   /* a vendor's data sheet, to 10 % */
    TD_FIGURE_SYSTEM,  /* the system files of NVIDIA's aiconfigurator (Apache-2.0) */
    TD_FIGURE_MEASURED /* on this machine */
} td_figure_source;

typedef struct td_gpu {
    char name[64];    /* "Tesla T4" */
    int capability;   /* compute capability times ten: 75 */
    uint64_t memory;  /* bytes that a program can use */
    double bandwidth; /* of its memory, bytes per second */
    double f16, int8; /* operations per second, a multiply-add being two; int8 0: none */
    double fp8;       /* 0: no FP8 in hardware */
    double link;      /* to the host, one way, bytes per second */
    td_figure_source source;
} td_gpu;

typedef struct td_cpu {
    char name[64];        /* "2 x Xeon Gold 6454S", or the real one's */
    int n_socket, n_core; /* cores of all sockets */
    double bandwidth;     /* reads of all cores, bytes per second; 0: not known yet */
    double int8, f32;     /* operations per second of all cores; 0: not known yet */
    unsigned levels;      /* TD_CPU_* of kernel/kernels.h */
    td_figure_source source;
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

/* TD_ERR_ARGUMENT names what is unknown, the nearest to it, and what there is.  Without a driver
 * there are no GPUs.  The real CPU's rates are left 0: td_hardware_set_rates. */
td_status td_hardware_get(td_hardware *out, const td_hardware_request *request, td_err *err);

/* Rates that were measured on this machine (jobs/probe.h), per second; a profile's are kept. */
void td_hardware_set_rates(td_hardware *h, double bandwidth, double int8, double f32);

/* False if what is predicted for this machine is an estimate: some figure is a data sheet's. */
bool td_hardware_is_measured(const td_hardware *h);

/* The GPUs of the driver (driver.h), each with its profile's rates if it has one. */
struct td_driver;
void td_hardware_take_gpus(td_hardware *h, const struct td_driver *driver);

/* The profile of a GPU's or CPU's name, however it is written: "4090", "rtx-4090", "NVIDIA GeForce
 * RTX 4090".  False if there is none. */
bool td_gpu_profile_find(const char *name, td_gpu *out);
bool td_cpu_profile_find(const char *name, td_cpu *out);

/* The profiles in their order: 0, 1 ... until false.  td_gpu_profile_word is the short name that
 * --gpu takes. */
bool td_gpu_profile_at(int i, td_gpu *out);
bool td_cpu_profile_at(int i, td_cpu *out);
const char *td_gpu_profile_word(int i, char word[32]); /* NULL at the end */
const char *td_cpu_profile_word(int i, char word[32]);

#endif
