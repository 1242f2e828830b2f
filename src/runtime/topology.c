/* topology.c - affinity, cgroup v2 and v1 limits, /proc/meminfo. */
#include "runtime/topology.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* The first line of a small file; false if it cannot be read. */
static int read_line(const char *path, char *line, int n) {
    FILE *f = fopen(path, "re");
    if (!f) return 0;
    const int ok = fgets(line, n, f) != NULL;
    fclose(f);
    return ok;
}

/* A cgroup file that holds one number; "max", absent or v1's "no limit" give `none`. */
static double read_number(const char *path, double none) {
    char line[128];
    if (!read_line(path, line, sizeof line) || strncmp(line, "max", 3) == 0) return none;
    const double v = strtod(line, NULL);
    return v > 0 && v < 1e18 ? v : none;
}

/* Quota divided by period, in CPUs; 0: no limit.  Inside a container the own group is the root of
 * the mount. */
static double cgroup_cpus(void) {
    char line[128];
    double quota = 0, period = 0;
    if (read_line("/sys/fs/cgroup/cpu.max", line, sizeof line)) {
        if (sscanf(line, "%lf %lf", &quota, &period) != 2) return 0;
    } else {
        quota = read_number("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", 0);
        period = read_number("/sys/fs/cgroup/cpu/cpu.cfs_period_us", 0);
    }
    return quota > 0 && period > 0 ? quota / period : 0;
}

int td_topology_n_cpu(void) {
    int n = 0;
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) n = CPU_COUNT(&set);
    if (n < 1) n = (int)sysconf(_SC_NPROCESSORS_ONLN);
    const double quota = cgroup_cpus();
    if (quota > 0 && quota < n) n = (int)quota;
    return n < 1 ? 1 : n;
}

/* "MemAvailable:  123 kB" */
static double meminfo_available(void) {
    FILE *f = fopen("/proc/meminfo", "re");
    if (!f) return 0;
    char line[128];
    double kib = 0;
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "MemAvailable: %lf kB", &kib) == 1) break;
    fclose(f);
    return kib * 1024;
}

uint64_t td_topology_memory_available(void) {
    double available = meminfo_available();
    double limit = read_number("/sys/fs/cgroup/memory.max", 0);
    double used = read_number("/sys/fs/cgroup/memory.current", 0);
    if (limit <= 0) {
        limit = read_number("/sys/fs/cgroup/memory/memory.limit_in_bytes", 0);
        used = read_number("/sys/fs/cgroup/memory/memory.usage_in_bytes", 0);
    }
    if (limit > 0 && limit - used < available) available = limit > used ? limit - used : 0;
    return (uint64_t)available;
}

uint64_t td_topology_peak_memory(void) {
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
    return (uint64_t)usage.ru_maxrss * 1024;
}
