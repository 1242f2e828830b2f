/* machine.c - /proc and /sys. */
#include "plan/machine.h"

#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/topology.h"

/* ---- files ---- */

/* The first line of root + path, "" if it cannot be read. */
static const char *read_file(const char *root, const char *path, char line[256]) {
    char full[512];
    line[0] = 0;
    snprintf(full, sizeof full, "%s%s", root, path);
    FILE *f = fopen(full, "re");
    if (!f) return line;
    if (!fgets(line, 256, f)) line[0] = 0;
    fclose(f);
    return line;
}

static uint64_t read_count(const char *root, const char *path) {
    char line[256];
    return strtoull(read_file(root, path, line), NULL, 10);
}

static bool exists(const char *root, const char *path) {
    char full[512];
    snprintf(full, sizeof full, "%s%s", root, path);
    return access(full, F_OK) == 0;
}

/* ---- CPUs, caches, nodes ---- */

enum { MAX_CPU = 4096 };

/* The first line of a file of CPU i. */
static const char *read_cpu_file(const char *root, int i, const char *file, char line[256]) {
    char path[256];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/%s", i, file);
    return read_file(root, path, line);
}

/* Is CPU i the first of a list such as "0-3,8"?  Whatever several CPUs share is counted at the
 * first of them. */
static bool is_first(const char *root, int i, const char *file) {
    char line[256];
    read_cpu_file(root, i, file, line);
    return line[0] && strtol(line, NULL, 10) == i;
}

/* "1024K", "32M" */
static uint64_t read_size(const char *text) {
    char *end;
    const uint64_t n = strtoull(text, &end, 10);
    return *end == 'K' ? n << 10 : *end == 'M' ? n << 20 : n;
}

static void read_caches(td_machine *m, const char *root, int i) {
    char file[64], line[256];
    for (int index = 0; index < 8; index++) {
        snprintf(file, sizeof file, "cache/index%d/shared_cpu_list", index);
        if (!is_first(root, i, file)) continue;
        snprintf(file, sizeof file, "cache/index%d/level", index);
        const long level = strtol(read_cpu_file(root, i, file, line), NULL, 10);
        snprintf(file, sizeof file, "cache/index%d/size", index);
        const uint64_t size = read_size(read_cpu_file(root, i, file, line));
        if (level == 2) m->l2_bytes += size;
        if (level == 3) m->l3_bytes += size;
    }
}

static void read_cpu(td_machine *m, const char *root, int i) {
    m->n_pu++;
    m->n_core += is_first(root, i, "topology/thread_siblings_list");
    m->n_socket += is_first(root, i, "topology/core_siblings_list");
    read_caches(m, root, i);
}

/* The CPUs of a list such as "0-3,8". */
static void read_cpus(td_machine *m, const char *root) {
    char line[256];
    const char *at = read_file(root, "/sys/devices/system/cpu/online", line);
    while (*at >= '0' && *at <= '9') {
        char *end;
        const long first = strtol(at, &end, 10);
        const long last = *end == '-' ? strtol(end + 1, &end, 10) : first;
        for (long i = first; i <= last && i < MAX_CPU; i++) read_cpu(m, root, (int)i);
        at = end + (*end == ',');
    }
    if (m->n_pu == 0) m->n_pu = (int)sysconf(_SC_NPROCESSORS_ONLN);
    if (m->n_pu < 1) m->n_pu = 1;
    if (m->n_core == 0) m->n_core = m->n_pu;
    if (m->n_socket == 0) m->n_socket = 1;
}

/* "Node 0 MemTotal:  123 kB" */
static void read_nodes(td_machine *m, const char *root) {
    char path[128], line[256];
    unsigned long long kib;
    for (int i = 0; i < TD_MAX_NODES; i++) {
        snprintf(path, sizeof path, "/sys/devices/system/node/node%d/meminfo", i);
        if (sscanf(read_file(root, path, line), "Node %*d MemTotal: %llu kB", &kib) != 1) continue;
        if (kib > 0) m->node_bytes[m->n_node++] = kib << 10;
    }
    if (m->n_node == 0) m->node_bytes[m->n_node++] = m->memory;
}

/* ---- memory, GPUs, containers ---- */

static void read_meminfo(td_machine *m, const char *root) {
    char path[512], line[256];
    unsigned long long kib, swap_total = 0, swap_free = 0;
    snprintf(path, sizeof path, "%s/proc/meminfo", root);
    FILE *f = fopen(path, "re");
    if (!f) return;
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "MemTotal: %llu kB", &kib) == 1) m->memory = kib << 10;
        if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1) m->memory_free = kib << 10;
        if (sscanf(line, "SwapTotal: %llu kB", &kib) == 1) swap_total = kib << 10;
        if (sscanf(line, "SwapFree: %llu kB", &kib) == 1) swap_free = kib << 10;
    }
    fclose(f);
    m->swap_used = swap_total > swap_free ? swap_total - swap_free : 0;
}

/* "always [madvise] never": the one in brackets. */
static td_thp read_thp(const char *root) {
    char line[256];
    read_file(root, "/sys/kernel/mm/transparent_hugepage/enabled", line);
    return strstr(line, "[always]")    ? TD_THP_ALWAYS
           : strstr(line, "[madvise]") ? TD_THP_MADVISE
           : strstr(line, "[never]")   ? TD_THP_NEVER
                                       : TD_THP_UNKNOWN;
}

/* Display controllers of vendor 10de: classes 0300 and 0302. */
static int count_nvidia(const char *root) {
    char path[512], line[256];
    int n = 0;
    snprintf(path, sizeof path, "%s/sys/bus/pci/devices", root);
    DIR *folder = opendir(path);
    if (!folder) return 0;
    for (const struct dirent *e = readdir(folder); e; e = readdir(folder)) {
        if (e->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "/sys/bus/pci/devices/%.64s/vendor", e->d_name);
        if (strtoul(read_file(root, path, line), NULL, 16) != 0x10de) continue;
        snprintf(path, sizeof path, "/sys/bus/pci/devices/%.64s/class", e->d_name);
        n += strtoul(read_file(root, path, line), NULL, 16) >> 16 == 0x03;
    }
    closedir(folder);
    return n;
}

static bool in_container(const char *root) {
    char line[256];
    if (exists(root, "/.dockerenv") || exists(root, "/run/.containerenv")) return true;
    return strstr(read_file(root, "/proc/1/cgroup", line), "docker") != NULL;
}

void td_machine_read(td_machine *m, const char *root) {
    cpu_set_t set;
    *m = (td_machine){0};
    read_cpus(m, root);
    m->n_allowed = td_topology_n_cpu();
    m->n_affine = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : m->n_pu;
    read_meminfo(m, root);
    read_nodes(m, root);
    m->memory_allowed = td_topology_memory_available();
    m->thp = read_thp(root);
    m->huge_2m = read_count(root, "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages");
    m->huge_1g = read_count(root, "/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages");
    m->is_container = in_container(root);
    m->n_nvidia = count_nvidia(root);
    m->has_nvidia_devices = exists(root, "/dev/nvidiactl");
}
