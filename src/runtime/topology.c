/* topology.c - affinity, cgroup v2 and v1 limits, /proc/meminfo. */
#include "runtime/topology.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"

/* The first line of a small file; false if it cannot be read. */
static int read_line(const char *path, char *line, int n) {
    FILE *f = fopen(path, "re");
    if (!f) return 0;
    const int ok = fgets(line, n, f) != NULL;
    fclose(f);
    return ok;
}

/* ---- cgroups ---- */

/* Does a line of /proc/self/cgroup, "4:cpu,cpuacct:/path", name this controller?  Version 2 has the
 * one line "0::/path", and `controller` is "".  Returns the path, else NULL. */
static const char *group_of_line(const char *line, const char *controller) {
    const char *names = strchr(line, ':');
    const char *path = names ? strchr(names + 1, ':') : NULL;
    const size_t n = strlen(controller);
    if (!path) return NULL;
    for (const char *at = names + 1; at <= path; at += strcspn(at, ",:") + 1)
        if (strcspn(at, ",:") == n && strncmp(at, controller, n) == 0) return path + 1;
    return NULL;
}

typedef void visit_fn(const char *folder, void *limits);

/* Calls visit for this process's group and those around it, up to the root that is mounted: each
 * may set a limit.  Inside a container the own group is usually that root. */
static void visit_groups(const char *controller, visit_fn *visit, void *limits) {
    char line[512], folder[640];
    const char *path = NULL;
    FILE *f = fopen("/proc/self/cgroup", "re");
    while (f && !path && fgets(line, sizeof line, f)) path = group_of_line(line, controller);
    if (f) fclose(f);
    if (!path) return;
    line[strcspn(line, "\n")] = 0;
    const int n_mount =
        snprintf(folder, sizeof folder, "/sys/fs/cgroup%s%s", *controller ? "/" : "", controller);
    snprintf(folder + n_mount, sizeof folder - (size_t)n_mount, "%s", path);
    while ((int)strlen(folder) >= n_mount) {
        visit(folder, limits);
        *strrchr(folder, '/') = 0;
    }
}

/* A file of a group that holds one number; 0: none, "max", or version 1's "no limit". */
static double read_limit(const char *folder, const char *file) {
    char path[704], line[128];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    if (!read_line(path, line, sizeof line)) return 0;
    const double v = strtod(line, NULL);
    return v > 0 && v < 1e18 ? v : 0;
}

/* limits: CPUs, the least of all groups; 0: none yet. */
static void take_quota(double quota, double period, void *limits) {
    double *cpus = limits;
    if (quota > 0 && period > 0 && (*cpus == 0 || quota / period < *cpus)) *cpus = quota / period;
}

static void visit_cpu_v2(const char *folder, void *limits) {
    char path[704], line[128];
    double quota = 0, period = 0;
    snprintf(path, sizeof path, "%s/cpu.max", folder);
    if (read_line(path, line, sizeof line) && sscanf(line, "%lf %lf", &quota, &period) == 2)
        take_quota(quota, period, limits);
}

static void visit_cpu_v1(const char *folder, void *limits) {
    take_quota(read_limit(folder, "cpu.cfs_quota_us"), read_limit(folder, "cpu.cfs_period_us"),
               limits);
}

/* limits: bytes still to be had. */
static void take_memory(double limit, double used, void *limits) {
    double *available = limits;
    if (limit > 0 && limit - used < *available) *available = limit > used ? limit - used : 0;
}

/* File pages that nobody has used lately, which the group gives back before it runs out. */
static double inactive_file(const char *folder, const char *name) {
    char path[704], line[128];
    double v = 0;
    snprintf(path, sizeof path, "%s/memory.stat", folder);
    FILE *f = fopen(path, "re");
    if (!f) return 0;
    const size_t n = strlen(name);
    while (fgets(line, sizeof line, f))
        if (strncmp(line, name, n) == 0 && line[n] == ' ') v = strtod(line + n, NULL);
    fclose(f);
    return v;
}

static void visit_memory_v2(const char *folder, void *limits) {
    const double used = read_limit(folder, "memory.current");
    take_memory(read_limit(folder, "memory.max"), used - inactive_file(folder, "inactive_file"),
                limits);
}

static void visit_memory_v1(const char *folder, void *limits) {
    const double used = read_limit(folder, "memory.usage_in_bytes");
    take_memory(read_limit(folder, "memory.limit_in_bytes"),
                used - inactive_file(folder, "total_inactive_file"), limits);
}

/* What the limit on the address space (ulimit -v) leaves. */
static void take_address_space(double *available) {
    struct rlimit limit;
    char line[128];
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return;
    if (!read_line("/proc/self/statm", line, sizeof line)) return;
    take_memory((double)limit.rlim_cur, strtod(line, NULL) * (double)sysconf(_SC_PAGESIZE),
                available);
}

/* ---- the figures ---- */

int td_topology_n_cpu(void) {
    int n = 0;
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) n = CPU_COUNT(&set);
    if (n < 1) n = (int)sysconf(_SC_NPROCESSORS_ONLN);
    double quota = 0;
    visit_groups("", visit_cpu_v2, &quota);
    visit_groups("cpu", visit_cpu_v1, &quota);
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
    visit_groups("", visit_memory_v2, &available);
    visit_groups("memory", visit_memory_v1, &available);
    take_address_space(&available);
    return (uint64_t)available;
}

uint64_t td_topology_peak_memory(void) {
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
    return (uint64_t)usage.ru_maxrss * 1024;
}

/* ---- disk ---- */

double td_topology_disk_speed(const char *path) {
    enum { PIECE = 4 << 20, MOST = 16, ALIGN = 4096 };
    uint8_t *buffer = td_malloc(PIECE + ALIGN);
    uint8_t *aligned = buffer + (ALIGN - (uintptr_t)buffer % ALIGN) % ALIGN;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_DIRECT);
    struct stat st;
    double read_bytes = 0, t0 = td_clock_seconds(), seconds = 0;
    const bool ok = buffer && fd >= 0 && fstat(fd, &st) == 0;
    for (int i = 0; ok && i < MOST && seconds < 0.25; i++) {
        /* Spread over the file, so that what a disk keeps of a neighbourhood is no help. */
        const off_t at = (off_t)((double)st.st_size / MOST * i) / PIECE * PIECE;
        const ssize_t n = pread(fd, aligned, PIECE, at);
        if (n <= 0) break;
        read_bytes += (double)n;
        seconds = td_clock_seconds() - t0;
    }
    if (fd >= 0) close(fd);
    td_free(buffer);
    return seconds > 0 ? read_bytes / seconds : 0;
}
