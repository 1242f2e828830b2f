/* doctor.c - findings, each with its remedy. */
#include "plan/doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "plan/capability.h"

static const double gib = 1073741824.0;
/* Bytes: of memory below which hardly a model loads, and per second of a disk that takes long. */
static const double little_memory = 2.0 * 1073741824.0, slow_disk = 200e6;

typedef struct list {
    td_finding *findings;
    int n;
} list;

/* The sentence goes to the new finding's `what`; the remedy is a plain text. */
static void add(list *l, td_finding_kind kind, const char *remedy, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void add(list *l, td_finding_kind kind, const char *remedy, const char *format, ...) {
    va_list args;
    if (l->n == TD_MAX_FINDINGS) return;
    td_finding *f = &l->findings[l->n++];
    f->kind = kind;
    va_start(args, format);
    vsnprintf(f->what, sizeof f->what, format, args);
    va_end(args);
    snprintf(f->remedy, sizeof f->remedy, "%s", remedy);
}

/* ---- the driver and its GPUs ---- */

static void examine_driver(const td_doctor_facts *f, list *l) {
    const td_driver *d = &f->driver;
    if (d->state == TD_DRIVER_ABSENT && f->machine.n_nvidia > 0)
        add(l, TD_FINDING_ATTENTION,
            f->machine.is_container
                ? "start the container with access to the GPUs (docker run --gpus all) or install "
                  "NVIDIA's container toolkit on its host"
                : "install NVIDIA's driver, 525 or later, from the distribution's packages",
            "%d NVIDIA GPU%s on the PCI bus, but %s", f->machine.n_nvidia,
            f->machine.n_nvidia > 1 ? "s are" : " is", d->why_not + strlen("no NVIDIA driver: "));
    else if (d->state == TD_DRIVER_ABSENT)
        add(l, TD_FINDING_NOTE, "", "no NVIDIA GPU here: the CPU runs all of a model");
    else if (d->state == TD_DRIVER_BROKEN)
        add(l, TD_FINDING_ATTENTION, "", "%s", d->why_not);
    else if (d->n_gpu == 0)
        add(l, f->machine.n_nvidia > 0 ? TD_FINDING_ATTENTION : TD_FINDING_NOTE, "", "%s",
            d->why_not);
    if (d->state == TD_DRIVER_STARTS && d->n_gpu > 0 && d->version > 0 &&
        d->version < TD_DRIVER_LEAST)
        add(l, TD_FINDING_ATTENTION, "install driver 525 or later",
            "the NVIDIA driver knows CUDA %d.%d, GPU kernels will want %d.%d", d->version / 1000,
            d->version % 1000 / 10, TD_DRIVER_LEAST / 1000, TD_DRIVER_LEAST % 1000 / 10);
}

static void examine_gpus(const td_doctor_facts *f, list *l) {
    int n_usable = 0;
    for (int i = 0; i < f->hardware.n_gpu; i++) {
        const td_gpu *g = &f->hardware.gpus[i];
        char why[256];
        if (td_gpu_excluded(g, why)) {
            add(l, TD_FINDING_ATTENTION, "", "cuda:%d: %s", i, why);
            continue;
        }
        n_usable++;
        if (f->driver.gpus[i].is_closed)
            add(l, TD_FINDING_ATTENTION, "open it with: nvidia-smi -c 0",
                "cuda:%d: %s is closed to programs (compute mode 'prohibited')", i, g->name);
        td_capability c;
        td_capability_check(&c, "KLinearMarlin", TD_DTYPE_Q4_K, g);
        if (c.verdict == TD_VERDICT_REPLACED)
            add(l, TD_FINDING_NOTE, "", "cuda:%d: %s", i, c.reason);
        td_capability_check(&c, "KLinearFP8", TD_DTYPE_F8_E4M3, g);
        if (c.verdict == TD_VERDICT_REPLACED)
            add(l, TD_FINDING_NOTE, "", "cuda:%d: %s", i, c.reason);
        if (g->f16 <= 0)
            add(l, TD_FINDING_NOTE, "",
                "cuda:%d: there is no profile of %s, so its speed cannot be predicted", i, g->name);
    }
    if (n_usable > 0)
        add(l, TD_FINDING_NOTE, "",
            "this build has no GPU kernels yet: what is planned for a GPU runs on the CPU");
}

/* ---- the CPU ---- */

static void examine_cpu(const td_doctor_facts *f, list *l) {
    const td_machine *m = &f->machine;
    if (strcmp(f->level, f->best_level) != 0)
        add(l, TD_FINDING_ATTENTION, "unset TD_CPU",
            "the CPU level is lowered to %s by TD_CPU, this machine has %s", f->level,
            f->best_level);
    else if (strcmp(f->best_level, "scalar") == 0)
        add(l, TD_FINDING_ATTENTION,
            "use a machine with AVX2; in a virtual machine pass the host's CPU through",
            "this CPU shows no AVX2, without which all is many times slower");
    if (m->n_allowed < m->n_affine)
        add(l, TD_FINDING_NOTE, "raise the container's CPU limit (docker run --cpus)",
            "the container may use %d of %d CPUs", m->n_allowed, m->n_affine);
    else if (m->n_affine < m->n_pu)
        add(l, TD_FINDING_NOTE, "start without taskset, or give the job more CPUs",
            "this process may run on %d of %d CPUs", m->n_affine, m->n_pu);
    if (m->n_core < m->n_pu && m->n_allowed > m->n_core)
        add(l, TD_FINDING_NOTE, "",
            "%d hardware threads share %d cores: --threads %d is often as fast as all of them",
            m->n_pu, m->n_core, m->n_core);
    if (m->n_node > 1)
        add(l, TD_FINDING_NOTE, "start with: numactl --interleave=all",
            "%d NUMA nodes: weights lie where the thread was that loaded them, and their memory is "
            "read best if it is spread",
            m->n_node);
}

/* ---- memory and disk ---- */

static void examine_model(const td_doctor_facts *f, list *l) {
    if (f->model_trouble)
        add(l, TD_FINDING_ATTENTION, "", "the model does not run here: %.280s", f->model_trouble);
}

static void examine_memory(const td_doctor_facts *f, list *l) {
    const td_machine *m = &f->machine;
    const double allowed = (double)m->memory_allowed, model = (double)f->model_bytes;
    const double huge = (double)m->huge_2m * 2097152.0 + (double)m->huge_1g * gib;
    if (m->memory_allowed > 0 && allowed < little_memory)
        add(l, TD_FINDING_ATTENTION, "close other programs, or raise the container's memory limit",
            "%.1f GiB of memory are left, which few models fit", allowed / gib);
    else if (model > 0 && allowed > 0 && model * 1.1 > allowed)
        add(l, TD_FINDING_ATTENTION,
            "take a smaller type of weights (tandem quantize), or leave the experts of a mixture in "
            "the file (--experts-on-disk)",
            "the model has %.1f GiB of weights, %.1f GiB of memory are left", model / gib,
            allowed / gib);
    if (allowed > 0 && allowed < 0.5 * (double)m->memory_free)
        add(l, TD_FINDING_NOTE, "raise the limit (docker run --memory, ulimit -v)",
            "of %.1f GiB that are free, a limit leaves %.1f GiB to this process",
            (double)m->memory_free / gib, allowed / gib);
    if (m->thp == TD_THP_NEVER)
        add(l, TD_FINDING_NOTE,
            "as root: echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
            "transparent huge pages are off: loading takes about twice as long");
    if (huge > 0.5 * (double)m->memory)
        add(l, TD_FINDING_ATTENTION, "free them with: sysctl vm.nr_hugepages=0",
            "%.1f GiB are reserved for hugetlbfs, where weights cannot go", huge / gib);
    if (f->disk > 0 && f->disk < slow_disk)
        add(l, f->model_bytes > 0 ? TD_FINDING_ATTENTION : TD_FINDING_NOTE,
            "put the model on an SSD of this machine",
            "the disk gives %.0f MB/s: loading takes %.0f s for each 10 GB", f->disk * 1e-6,
            10e9 / f->disk);
}

int td_doctor_examine(const td_doctor_facts *f, td_finding *out) {
    td_finding all[TD_MAX_FINDINGS];
    list l = {.findings = all};
    int n = 0;
    examine_driver(f, &l);
    examine_gpus(f, &l);
    examine_cpu(f, &l);
    examine_memory(f, &l);
    examine_model(f, &l);
    for (int i = 0; i < l.n; i++)
        if (all[i].kind == TD_FINDING_ATTENTION) out[n++] = all[i];
    for (int i = 0; i < l.n; i++)
        if (all[i].kind == TD_FINDING_NOTE) out[n++] = all[i];
    return n;
}

bool td_doctor_needs_attention(const td_finding *findings, int n) {
    return n > 0 && findings[0].kind == TD_FINDING_ATTENTION;
}
