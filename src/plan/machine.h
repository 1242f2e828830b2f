/* machine.h - what the machine at hand has and allows, for people to read and for findings
 * (doctor.h): all of it is asked of the system, nothing is measured. */
#ifndef TD_PLAN_MACHINE_H
#define TD_PLAN_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

enum { TD_MAX_NODES = 64 };

typedef enum td_thp { TD_THP_UNKNOWN, TD_THP_NEVER, TD_THP_MADVISE, TD_THP_ALWAYS } td_thp;

/* Figures that the system does not tell are 0. */
typedef struct td_machine {
    int n_socket, n_core;        /* physical ones */
    int n_pu;                    /* hardware threads that are online */
    int n_affine;                /* of these, those this process may run on */
    int n_allowed;               /* of these, as many as the container's CPU quota allows */
    uint64_t l2_bytes, l3_bytes; /* of all cores together */
    int n_node;                  /* NUMA nodes, at least 1 */
    uint64_t node_bytes[TD_MAX_NODES];
    uint64_t memory, memory_free; /* of the machine; what can be taken without swapping */
    uint64_t memory_allowed;      /* of memory_free, what container and ulimit leave */
    uint64_t swap_used;
    td_thp thp;                /* transparent huge pages */
    uint64_t huge_2m, huge_1g; /* reserved pages of hugetlbfs */
    bool is_container;
    int n_nvidia;            /* NVIDIA GPUs on the PCI bus, whether there is a driver or not */
    bool has_nvidia_devices; /* /dev/nvidiactl: the kernel's part of the driver is loaded */
} td_machine;

/* `root` stands before /proc, /sys and /dev: "" but in tests.  Missing files leave their figures 0,
 * but there is one CPU, socket and node at least.  What this process may use is asked of the system
 * itself (runtime/topology.h). */
void td_machine_read(td_machine *out, const char *root);

#endif
