/* hardware.c - profiles, their names, and the machine at hand. */
#include "plan/hardware.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan/driver.h"
#include "runtime/topology.h"

/* ---- profiles ---- */

typedef struct gpu_row {
    const char *name;
    const char *short_names; /* separated by spaces, without anything but letters and digits */
    int capability;
    double memory;          /* GiB that a program can use */
    double bandwidth, link; /* GB/s */
    double f16, int8, fp8;  /* TFLOP/s, TOP/s */
} gpu_row;

/* clang-format off */
static const gpu_row gpu_rows[] = {
    /* name                  short names                cc   GiB    GB/s  link  f16   int8  fp8 */
    {"Tesla V100 16 GB",     "v100 v10016g teslav100",   70,  15.5,  900,  16,  125,    0,    0},
    {"Tesla V100 32 GB",     "v10032g",                  70,  31.5,  900,  16,  125,    0,    0},
    {"Tesla T4",             "t4 teslat4",               75,  15.0,  320,  16,   65,  130,    0},
    {"RTX 2080 Ti",          "2080ti rtx2080ti",         75,  10.5,  616,  16,   54,  215,    0},
    {"GTX 1660",             "1660 gtx1660",             75,   5.5,  192,  16,    5,    0,    0},
    {"GTX 1650",             "1650 gtx1650",             75,   3.6,  128,  16,    3,    0,    0},
    {"Quadro RTX 8000",      "rtx8000 quadrortx8000",    75,  47.0,  672,  16,  130,  261,    0},
    {"A100 40 GB",           "a10040g a100pcie40gb",     80,  39.2, 1555,  32,  312,  624,    0},
    {"A100 80 GB",           "a100 a10080g a100sxm480gb", 80, 79.0, 2039,  32,  312,  624,    0},
    {"A30",                  "a30",                      80,  23.2,  933,  32,  165,  330,    0},
    {"A10",                  "a10",                      86,  22.5,  600,  32,  125,  250,    0},
    {"A10G",                 "a10g",                     86,  22.2,  600,  32,   70,  140,    0},
    {"RTX 3090",             "3090 rtx3090",             86,  23.5,  936,  32,   71,  284,    0},
    {"RTX 3060",             "3060 rtx3060",             86,  11.6,  360,  32,   25,  101,    0},
    {"L4",                   "l4",                       89,  22.0,  300,  32,  121,  242,  242},
    {"L40S",                 "l40s",                     89,  44.5,  864,  32,  362,  733,  733},
    {"RTX 4090",             "4090 rtx4090",             89,  23.5, 1008,  32,  165,  660,  330},
    {"RTX 4080",             "4080 rtx4080",             89,  15.6,  717,  32,   97,  390,  195},
    {"H100 PCIe",            "h100pcie",                 90,  79.0, 2000,  64,  756, 1513, 1513},
    {"H100 SXM",             "h100 h100sxm h10080gbhbm3", 90, 79.0, 3350,  64,  989, 1978, 1978},
    {"H200 SXM",             "h200 h200sxm",             90, 139.0, 4800,  64,  989, 1978, 1978},
    {"B200",                 "b200",                    100, 178.0, 7700, 128, 2250, 4500, 4500},
    {"RTX 5090",             "5090 rtx5090",            120,  31.3, 1792,  64,  210,  838,  419},
    {"RTX 5080",             "5080 rtx5080",            120,  15.5,  960,  64,  113,  450,  225},
    {"RTX PRO 6000",         "rtxpro6000",              120,  94.0, 1792,  64,  468,  936,  936},
};

typedef struct cpu_row {
    const char *name, *short_names;
    int n_core;       /* of a socket */
    double bandwidth; /* GB/s of a socket: 80 % of channels x 8 bytes x transfer rate */
    double ghz;       /* all cores busy with vectors */
    int int8_ops;     /* of a core and cycle, a multiply-add being two */
    int f32_ops;
} cpu_row;

static const cpu_row cpu_rows[] = {
    /* VNNI 512: 2 x 64 multiply-adds a cycle; AVX2 without VNNI: an eighth; AMX is not counted. */
    {"Xeon Gold 6454S",    "6454s xeon6454s xeongold6454s", 32, 246, 2.6, 256, 64},
    {"Xeon Platinum 8452Y", "8452y xeon8452y",              36, 246, 2.5, 256, 64},
    {"Xeon Platinum 8480+", "8480 xeon8480",                56, 246, 2.4, 256, 64},
    {"Xeon Gold 6230",     "6230 xeon6230",                 20, 112, 2.2, 256, 64},
    {"Xeon E5-2680 v4",    "2680v4 e52680v4",               14,  61, 2.4,  32, 32},
    {"EPYC 7601",          "7601 epyc7601",                 32, 136, 2.5,  16, 16},
    {"EPYC 7742",          "7742 epyc7742",                 64, 164, 2.5,  32, 32},
    {"EPYC 7763",          "7763 epyc7763",                 64, 164, 2.6,  32, 32},
    {"EPYC 9654",          "9654 epyc9654",                 96, 369, 2.7, 128, 32},
    {"EPYC 9755",          "9755 epyc9755",                128, 461, 2.9, 256, 64},
    {"Core i9-13900K",     "13900k i913900k",                8,  72, 5.0,  64, 32},
    {"Ryzen 9 7950X",      "7950x ryzen7950x",              16,  67, 4.8, 128, 32},
    {"Ryzen 9 9950X",      "9950x ryzen9950x",              16,  72, 5.0, 256, 64},
};
/* clang-format on */

enum { N_GPU_ROW = sizeof gpu_rows / sizeof gpu_rows[0] };
enum { N_CPU_ROW = sizeof cpu_rows / sizeof cpu_rows[0] };

/* ---- names ---- */

/* Letters and digits alone, in lower case, without what vendors put before their names. */
static void simplify(const char *name, size_t n, char out[64]) {
    static const char *const prefixes[] = {"nvidia", "geforce", "intel", "amd"};
    size_t n_out = 0;
    for (size_t i = 0; i < n && n_out < 63; i++)
        if (isalnum((unsigned char)name[i])) out[n_out++] = (char)tolower((unsigned char)name[i]);
    out[n_out] = 0;
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        const size_t n_prefix = strlen(prefixes[i]);
        if (strncmp(out, prefixes[i], n_prefix) != 0) continue;
        n_out -= n_prefix;
        memmove(out, out + n_prefix, n_out + 1);
    }
}

static bool list_has(const char *list, const char *word) {
    const size_t n_word = strlen(word);
    while (*list) {
        const size_t n = strcspn(list, " ");
        if (n == n_word && memcmp(list, word, n) == 0) return true;
        list += n + (list[n] == ' ');
    }
    return false;
}

static void fill_gpu(const gpu_row *row, td_gpu *out) {
    *out = (td_gpu){.capability = row->capability,
                    .memory = (uint64_t)(row->memory * 1073741824.0),
                    .bandwidth = row->bandwidth * 1e9,
                    .f16 = row->f16 * 1e12,
                    .int8 = row->int8 * 1e12,
                    .fp8 = row->fp8 * 1e12,
                    .link = row->link * 1e9};
    snprintf(out->name, sizeof out->name, "%s", row->name);
}

bool td_gpu_profile_at(int i, td_gpu *out) {
    if (i < 0 || i >= N_GPU_ROW) return false;
    fill_gpu(&gpu_rows[i], out);
    return true;
}

static const gpu_row *find_gpu(const char *name, size_t n) {
    char word[64], own[64];
    simplify(name, n, word);
    for (int i = 0; i < N_GPU_ROW; i++) {
        simplify(gpu_rows[i].name, strlen(gpu_rows[i].name), own);
        if (strcmp(word, own) == 0 || list_has(gpu_rows[i].short_names, word)) return &gpu_rows[i];
    }
    return NULL;
}

bool td_gpu_profile_find(const char *name, td_gpu *out) {
    const gpu_row *row = find_gpu(name, strlen(name));
    if (row) fill_gpu(row, out);
    return row != NULL;
}

static const cpu_row *find_cpu(const char *name, size_t n) {
    char word[64];
    simplify(name, n, word);
    for (int i = 0; i < N_CPU_ROW; i++)
        if (list_has(cpu_rows[i].short_names, word)) return &cpu_rows[i];
    return NULL;
}

/* ---- requests ---- */

/* "2xa10" is 2 of "a10"; without a number it is one.  0: the number makes no sense. */
static int take_count(const char **name, size_t *n) {
    char *end;
    const long count = strtol(*name, &end, 10);
    if (end == *name || (*end != 'x' && *end != 'X') || (size_t)(end - *name) >= *n) return 1;
    *n -= (size_t)(end + 1 - *name);
    *name = end + 1;
    return count < 1 || count > TD_MAX_GPUS ? 0 : (int)count;
}

static td_status unknown(const char *what, const char *name, size_t n, td_err *err) {
    td_strbuf known = {0};
    const bool gpu = strcmp(what, "GPU") == 0;
    for (int i = 0; i < (gpu ? N_GPU_ROW : N_CPU_ROW); i++) {
        const char *names = gpu ? gpu_rows[i].short_names : cpu_rows[i].short_names;
        td_strbuf_addf(&known, "%s%.*s", i ? ", " : "", (int)strcspn(names, " "), names);
    }
    const td_status status =
        td_fail(err, TD_ERR_ARGUMENT, "no profile of a %s called '%.*s'; there are %s", what,
                n < 64 ? (int)n : 64, name, known.text ? known.text : "none");
    td_strbuf_clear(&known);
    return status;
}

static td_status take_gpus(td_hardware *h, const char *text, td_err *err) {
    h->n_gpu = 0;
    if (strcmp(text, "none") == 0) return TD_OK;
    while (*text) {
        size_t n = strcspn(text, ",");
        const char *name = text;
        text += n + (text[n] == ',');
        const int count = take_count(&name, &n);
        const gpu_row *row = find_gpu(name, n);
        if (!row) return unknown("GPU", name, n, err);
        if (count == 0 || h->n_gpu + count > TD_MAX_GPUS)
            return td_fail(err, TD_ERR_ARGUMENT, "GPUs: wanted 1 to %d of them", TD_MAX_GPUS);
        for (int i = 0; i < count; i++) fill_gpu(row, &h->gpus[h->n_gpu++]);
    }
    return TD_OK;
}

/* "64G", "512 GiB", "1.5T". */
static td_status take_ram(td_hardware *h, const char *text, td_err *err) {
    char *end;
    double v = strtod(text, &end);
    while (*end == ' ') end++;
    const char unit = (char)toupper((unsigned char)*end);
    const double scale = unit == 'T' ? 1099511627776.0 : unit == 'M' ? 1048576.0 : 1073741824.0;
    const bool ok = end != text && (unit == 0 || strchr("MGT", unit)) && v > 0 && v < 1e6;
    if (!ok)
        return td_fail(err, TD_ERR_ARGUMENT, "memory: '%.40s', wanted a size such as 64G", text);
    h->ram = (uint64_t)(v * scale);
    return TD_OK;
}

static td_status take_cpu(td_hardware *h, const char *text, td_err *err) {
    size_t n = strlen(text);
    const char *name = text;
    const int count = take_count(&name, &n);
    const cpu_row *row = find_cpu(name, n);
    if (!row) return unknown("CPU", name, n, err);
    if (count == 0) return td_fail(err, TD_ERR_ARGUMENT, "CPUs: wanted at least 1 of them");
    h->is_real_cpu = false;
    h->cpu = (td_cpu){.n_socket = count,
                      .n_core = count * row->n_core,
                      .bandwidth = count * row->bandwidth * 1e9,
                      .int8 = count * row->n_core * row->ghz * 1e9 * row->int8_ops,
                      .f32 = count * row->n_core * row->ghz * 1e9 * row->f32_ops};
    if (count > 1)
        snprintf(h->cpu.name, sizeof h->cpu.name, "%d x %s", count, row->name);
    else
        snprintf(h->cpu.name, sizeof h->cpu.name, "%s", row->name);
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
        if (strncmp(line, "model name", 10) != 0 || !colon) continue;
        snprintf(name, 64, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
        break;
    }
    fclose(f);
}

/* A real GPU has its own name, capability and memory; the rest is its profile's, or 0. */
static void read_gpus(td_hardware *h) {
    td_driver_gpu found[TD_MAX_GPUS];
    h->n_gpu = td_driver_gpus(found, TD_MAX_GPUS);
    h->is_real_gpu = true;
    for (int i = 0; i < h->n_gpu; i++) {
        td_gpu *gpu = &h->gpus[i];
        *gpu = (td_gpu){0};
        (void)td_gpu_profile_find(found[i].name, gpu);
        snprintf(gpu->name, sizeof gpu->name, "%s", found[i].name);
        gpu->capability = found[i].capability;
        gpu->memory = found[i].memory;
    }
}

td_status td_hardware_get(td_hardware *out, const td_hardware_request *r, td_err *err) {
    *out = (td_hardware){
        .is_real_cpu = true,
        .ram = td_topology_memory_available(),
        .cpu = {.n_socket = 1, .n_core = td_topology_n_cpu()}
    };
    read_cpu_name(out->cpu.name);
    if (r->cpu) TD_TRY(take_cpu(out, r->cpu, err));
    if (r->ram) TD_TRY(take_ram(out, r->ram, err));
    if (r->gpus) return take_gpus(out, r->gpus, err);
    read_gpus(out);
    return TD_OK;
}
