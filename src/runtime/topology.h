/* topology.h - how much of this machine the process may use. */
#ifndef TD_RUNTIME_TOPOLOGY_H
#define TD_RUNTIME_TOPOLOGY_H

#include <stdint.h>

/* CPUs for compute threads: those of the affinity mask, at most what the cgroup's CPU quota allows
 * (rounded down, at least 1). */
int td_topology_n_cpu(void);

/* Bytes that can still be taken without swapping: MemAvailable, at most what is left of the
 * cgroup's memory limit (file pages that nobody uses being free) and of the limit on the address
 * space.  0: unknown. */
uint64_t td_topology_memory_available(void);

/* Bytes per second that the disk under a file gives, past the page cache; 0: it cannot be told.
 * Reads at most 64 MiB, for at most a quarter of a second. */
double td_topology_disk_speed(const char *path);

/* Peak resident set of this process in bytes. */
uint64_t td_topology_peak_memory(void);

#endif
