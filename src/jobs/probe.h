/* probe.h - what this machine can do at most: the yardsticks of td-check --bench and `tandem
 * bench`.
 *
 * Each call starts n_thread threads of its own (unpinned), measures for a fraction of a second at
 * the level of td_kernels_get, and returns the best of several tries; 0 if it cannot (no memory, no
 * threads).  Numbers of a shared machine swing: probe next to what is measured. */
#ifndef TD_JOBS_PROBE_H
#define TD_JOBS_PROBE_H

#include "plan/hardware.h"

/* GB/s (1e9) of all threads reading memory, each its own part of a buffer of 512 MiB. */
double td_probe_bandwidth(int n_thread);

/* GOP/s of int8 and float32 multiply-adds in registers; a multiply and an add count as two. */
double td_probe_int8_peak(int n_thread);
double td_probe_f32_peak(int n_thread);

/* All three of the CPU at hand, with all its cores, into `h`; a profile's figures are kept. */
void td_probe_hardware(td_hardware *h);

#endif
