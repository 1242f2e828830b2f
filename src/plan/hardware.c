/* hardware.c - requests such as "2xa10,1x4090", and the machine at hand. */
#include "plan/hardware.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/options.h"
#include "kernel/kernels.h"
#include "plan/driver.h"
#include "runtime/topology.h"

enum { MAX_NAME = 64, MAX_PROFILE = 64 };

/* ---- requests ---- */

/* A name of a list, without blanks around it; "2xa10" is two of "a10". */
typedef struct piece {
    char name[MAX_NAME];
    int count; /* 0: the number makes no sense */
} piece;

static piece take_piece(const char *text, size_t n) {
    piece p = {.count = 1};
    while (n > 0 && isspace((unsigned char)text[0])) text++, n--;
    while (n > 0 && isspace((unsigned char)text[n - 1])) n--;
    size_t n_digit = 0;
    while (n_digit < n && isdigit((unsigned char)text[n_digit])) n_digit++;
    size_t i_x = n_digit;
    while (i_x < n && text[i_x] == ' ') i_x++;
    if (n_digit > 0 && i_x + 1 < n && tolower((unsigned char)text[i_x]) == 'x') {
        const long count = n_digit < 6 ? strtol(text, NULL, 10) : 0;
        p.count = count >= 1 && count <= TD_MAX_GPUS ? (int)count : 0;
        text += i_x + 1, n -= i_x + 1;
    }
    snprintf(p.name, sizeof p.name, "%.*s", (int)(n < MAX_NAME ? n : MAX_NAME - 1), text);
    return p;
}

static td_status unknown(const char *what, const char *name, td_err *err) {
    char words[MAX_PROFILE][32];
    const char *list[MAX_PROFILE];
    td_strbuf known = {0};
    const bool gpu = strcmp(what, "GPU") == 0;
    int n = 0;
    while (n < MAX_PROFILE &&
           (gpu ? td_gpu_profile_word(n, words[n]) : td_cpu_profile_word(n, words[n]))) {
        list[n] = words[n];
        td_strbuf_addf(&known, "%s%s", n ? ", " : "", words[n]);
        n++;
    }
    const char *near = td_option_nearest(name, list, n);
    const td_status status =
        td_fail(err, TD_ERR_ARGUMENT, "no profile of a %s called '%s'%s%s%s; there are: %s", what,
                name, near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "",
                known.text ? known.text : "none");
    td_strbuf_clear(&known);
    return status;
}

static td_status take_gpus(td_hardware *h, const char *text, td_err *err) {
    h->n_gpu = 0;
    if (strcmp(text, "none") == 0) return TD_OK;
    for (;;) {
        const size_t n = strcspn(text, ",");
        const piece p = take_piece(text, n);
        td_gpu gpu;
        if (!td_gpu_profile_find(p.name, &gpu)) return unknown("GPU", p.name, err);
        if (p.count == 0 || h->n_gpu + p.count > TD_MAX_GPUS)
            return td_fail(err, TD_ERR_ARGUMENT, "GPUs: '%.64s', wanted 1 to %d of them", text,
                           TD_MAX_GPUS);
        for (int i = 0; i < p.count; i++) h->gpus[h->n_gpu++] = gpu;
        if (!text[n]) return TD_OK;
        text += n + 1;
    }
}

/* "64G", "512 GiB", "1.5T"; 1024 to the power, as memory is sold. */
static td_status take_ram(td_hardware *h, const char *text, td_err *err) {
    char *end;
    const double v = strtod(text, &end);
    while (*end == ' ') end++;
    const char unit = (char)toupper((unsigned char)*end);
    const double scale = unit == 'T' ? 1099511627776.0 : unit == 'M' ? 1048576.0 : 1073741824.0;
    bool ok = end != text && v > 0 && v * scale <= 0x1p50;
    if (*end) {
        ok = ok && strchr("MGT", unit);
        end++;
        ok = ok && (!*end || strcasecmp(end, "iB") == 0 || strcasecmp(end, "B") == 0);
    }
    if (!ok)
        return td_fail(err, TD_ERR_ARGUMENT,
                       "memory: '%.40s', wanted a size such as 64G, up to 1024T", text);
    h->ram = (uint64_t)(v * scale);
    return TD_OK;
}

static td_status take_cpu(td_hardware *h, const char *text, td_err *err) {
    const piece p = take_piece(text, strlen(text));
    td_cpu one;
    if (!td_cpu_profile_find(p.name, &one)) return unknown("CPU", p.name, err);
    if (p.count == 0)
        return td_fail(err, TD_ERR_ARGUMENT, "CPUs: '%.64s', wanted 1 to %d of them", text,
                       TD_MAX_GPUS);
    h->is_real_cpu = false;
    h->cpu = one;
    h->cpu.n_socket *= p.count;
    h->cpu.n_core *= p.count;
    h->cpu.bandwidth *= p.count;
    h->cpu.int8 *= p.count;
    h->cpu.f32 *= p.count;
    if (p.count > 1) snprintf(h->cpu.name, sizeof h->cpu.name, "%d x %.48s", p.count, one.name);
    return TD_OK;
}

/* ---- the machine at hand ---- */

static void read_cpu_name(char name[64]) {
    char line[256];
    snprintf(name, 64, "this CPU");
    FILE *f = fopen("/proc/cpuinfo", "re");
    if (!f) return;
    while (fgets(line, sizeof line, f)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon || !colon[1]) continue;
        snprintf(name, 64, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
        break;
    }
    fclose(f);
}

/* A real GPU has its own name, capability and memory; the rates are its profile's, or unknown but
 * for the bandwidth. */
void td_hardware_take_gpus(td_hardware *h, const td_driver *driver) {
    h->n_gpu = driver->n_gpu < TD_MAX_GPUS ? driver->n_gpu : TD_MAX_GPUS;
    h->is_real_gpu = true;
    for (int i = 0; i < h->n_gpu; i++) {
        const td_driver_gpu *found = &driver->gpus[i];
        td_gpu *gpu = &h->gpus[i];
        if (!td_gpu_profile_find(found->name, gpu) || gpu->capability != found->capability)
            *gpu = (td_gpu){0};
        if (gpu->bandwidth <= 0) gpu->bandwidth = found->bandwidth;
        snprintf(gpu->name, sizeof gpu->name, "%s", found->name);
        gpu->capability = found->capability;
        gpu->memory = found->memory;
    }
}

void td_hardware_set_rates(td_hardware *h, double bandwidth, double int8, double f32) {
    if (!h->is_real_cpu) return;
    h->cpu.bandwidth = bandwidth;
    h->cpu.int8 = int8;
    h->cpu.f32 = f32;
    h->cpu.source = TD_FIGURE_MEASURED;
}

bool td_hardware_is_measured(const td_hardware *h) {
    return h->cpu.source == TD_FIGURE_MEASURED && h->n_gpu == 0;
}

td_status td_hardware_get(td_hardware *out, const td_hardware_request *r, td_err *err) {
    *out = (td_hardware){
        .is_real_cpu = true,
        .ram = td_topology_memory_available(),
        .cpu = {.n_socket = 1, .n_core = td_topology_n_cpu(), .levels = td_cpu_detect()}
    };
    read_cpu_name(out->cpu.name);
    if (r->cpu) TD_TRY(take_cpu(out, r->cpu, err));
    if (r->ram) TD_TRY(take_ram(out, r->ram, err));
    if (r->gpus) return take_gpus(out, r->gpus, err);
    td_driver driver;
    td_driver_read(&driver);
    td_hardware_take_gpus(out, &driver);
    return TD_OK;
}
