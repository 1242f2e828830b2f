/* hardware_profiles.c - what GPUs and CPUs can do, by their data sheets, and the names they go by.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "kernel/kernels.h"
#include "plan/hardware.h"

typedef struct gpu_row {
    const char *name;
    const char *words; /* how people and drivers write it, as simplify() leaves it; the first is the
                          one that messages show */
    int capability;
    double memory;          /* GiB that a program can use: a little less than the nominal */
    double bandwidth, link; /* GB/s */
    double f16, int8, fp8;  /* TFLOP/s with float32 sums, TOP/s; 0: not in hardware */
    char source;            /* A: aiconfigurator, D: data sheet */
} gpu_row;

/* clang-format off */
static const gpu_row gpu_rows[] = {
    /* name                  words                           cc   GiB    GB/s  link  f16   int8  fp8 */
    {"GTX 1080 Ti",          "1080ti",                        61,  10.9,  484,  16,   11,   45,    0, 'D'},
    {"Tesla P40",            "p40",                           61,  22.4,  347,  16,   12,   47,    0, 'D'},
    {"Tesla P100",           "p100",                          60,  15.9,  732,  16,   19,    0,    0, 'D'},
    {"Tesla V100 16 GB",     "v100 v10016g",                  70,  15.5,  900,  16,  125,    0,    0, 'D'},
    {"Tesla V100 32 GB",     "v10032g v100sxm232gb v100pcie32gb", 70, 31.5, 900, 16, 125,    0,    0, 'D'},
    {"Tesla T4",             "t4",                            75,  15.0,  320,  16,   65,  130,    0, 'D'},
    {"GTX 1650",             "1650",                          75,   3.6,  128,  16,    3,    0,    0, 'D'},
    {"GTX 1660",             "1660",                          75,   5.6,  192,  16,    5,    0,    0, 'D'},
    {"RTX 2060",             "2060",                          75,   5.6,  336,  16,   26,  103,    0, 'D'},
    {"RTX 2070",             "2070",                          75,   7.6,  448,  16,   30,  119,    0, 'D'},
    {"RTX 2080",             "2080",                          75,   7.6,  448,  16,   40,  161,    0, 'D'},
    {"RTX 2080 Ti",          "2080ti",                        75,  10.6,  616,  16,   54,  215,    0, 'D'},
    {"Quadro RTX 6000",      "quadrortx6000",                 75,  23.5,  672,  16,  130,  261,    0, 'D'},
    {"Quadro RTX 8000",      "rtx8000 8000",                  75,  47.2,  672,  16,  130,  261,    0, 'D'},
    {"A100 40 GB",           "a10040g a100pcie40gb a100sxm440gb", 80, 39.4, 1555, 32, 312, 624,    0, 'A'},
    {"A100 80 GB PCIe",      "a100pcie a100pcie80gb a10080gbpcie", 80, 79.1, 1935, 32, 312, 624,   0, 'A'},
    {"A100 80 GB SXM",       "a100 a100sxm a10080g a100sxm480gb", 80, 79.1, 2039, 32, 312, 624,    0, 'A'},
    {"A30",                  "a30",                           80,  23.5,  933,  32,  165,  330,    0, 'A'},
    {"A10",                  "a10",                           86,  22.1,  600,  32,  125,  250,    0, 'D'},
    {"A10G",                 "a10g",                          86,  22.1,  600,  32,   70,  140,    0, 'D'},
    {"A40",                  "a40",                           86,  44.4,  696,  32,  150,  299,    0, 'D'},
    {"RTX A6000",            "a6000 rtxa6000",                86,  47.4,  768,  32,  155,  310,    0, 'D'},
    {"RTX 3060",             "3060",                          86,  11.6,  360,  32,   25,  101,    0, 'D'},
    {"RTX 3070",             "3070",                          86,   7.6,  448,  32,   41,  163,    0, 'D'},
    {"RTX 3080",             "3080",                          86,   9.6,  760,  32,   60,  238,    0, 'D'},
    {"RTX 3090",             "3090",                          86,  23.5,  936,  32,   71,  284,    0, 'D'},
    {"L4",                   "l4",                            89,  22.0,  300,  32,  121,  242,  242, 'A'},
    {"L40S",                 "l40s",                          89,  44.5,  864,  32,  362,  733,  733, 'A'},
    {"RTX 4070",             "4070",                          89,  11.6,  504,  32,   58,  233,  117, 'D'},
    {"RTX 4080",             "4080",                          89,  15.6,  717,  32,   97,  390,  195, 'D'},
    {"RTX 4090",             "4090",                          89,  23.5, 1008,  32,  165,  660,  330, 'D'},
    {"H100 PCIe",            "h100pcie",                      90,  79.1, 2000,  64,  756, 1513, 1513, 'A'},
    {"H100 SXM",             "h100 h100sxm h10080gbhbm3",     90,  79.1, 3350,  64,  989, 1978, 1978, 'A'},
    {"H200 SXM",             "h200 h200sxm",                  90, 139.8, 4800,  64,  989, 1978, 1978, 'A'},
    {"B200",                 "b200",                         100, 178.0, 7700, 128, 2250, 4500, 4500, 'A'},
    {"RTX 5080",             "5080",                         120,  15.5,  960,  64,  113,  450,  225, 'D'},
    {"RTX 5090",             "5090",                         120,  31.4, 1792,  64,  210,  838,  419, 'D'},
    {"RTX PRO 6000",         "rtxpro6000 pro6000 rtxpro6000blackwell rtxpro6000blackwellworkstationedition rtxpro6000blackwellserveredition",
                                                             120,  95.0, 1792,  64,  468,  936,  936, 'A'},
};

typedef struct cpu_row {
    const char *name, *words;
    int n_core;            /* of a socket; performance cores only */
    int n_channel, rate;   /* 64-bit memory channels of a socket, and megatransfers per second */
    double ghz;            /* all cores busy with vectors */
    int int8_ops, f32_ops; /* of a core and cycle at the level, a multiply-add being two */
    unsigned levels;
} cpu_row;

enum {
    SCALAR_AVX2 = TD_CPU_AVX2,
    AVX512 = TD_CPU_AVX2 | TD_CPU_AVX512,
    VNNI = AVX512 | TD_CPU_AVX512_VNNI
};

static const cpu_row cpu_rows[] = {
    /* int8: a VNNI unit does 128 operations a cycle (two units: 256), AVX2 64: three instructions
     * do the work of one.  AMX is not counted: no kernels. */
    {"Xeon E5-2680 v4",        "2680v4 e52680v4",     14,  4, 2400, 2.4,  32, 32, SCALAR_AVX2},
    {"Xeon Gold 6230",         "6230",                20,  6, 2933, 2.2, 256, 64, VNNI},
    {"Xeon Gold 6330",         "6330",                28,  8, 2933, 2.3, 256, 64, VNNI},
    {"Xeon Gold 6454S",        "6454s",               32,  8, 4800, 2.6, 256, 64, VNNI},
    {"Xeon Platinum 8452Y",    "8452y",               36,  8, 4800, 2.5, 256, 64, VNNI},
    {"Xeon Platinum 8480+",    "8480",                56,  8, 4800, 2.4, 256, 64, VNNI},
    {"EPYC 7601",              "7601",                32,  8, 2666, 2.5,  32, 16, SCALAR_AVX2},
    {"EPYC 7302",              "7302",                16,  8, 3200, 3.0,  64, 32, SCALAR_AVX2},
    {"EPYC 7742",              "7742",                64,  8, 3200, 2.5,  64, 32, SCALAR_AVX2},
    {"EPYC 7763",              "7763",                64,  8, 3200, 2.6,  64, 32, SCALAR_AVX2},
    {"EPYC 9354",              "9354",                32, 12, 4800, 3.4, 128, 32, VNNI},
    {"EPYC 9654",              "9654",                96, 12, 4800, 2.7, 128, 32, VNNI},
    {"EPYC 9755",              "9755",               128, 12, 6000, 2.9, 256, 64, VNNI},
    {"Threadripper PRO 5975WX", "5975wx",             32,  8, 3200, 3.8,  64, 32, SCALAR_AVX2},
    {"Threadripper PRO 7975WX", "7975wx",             32,  8, 5200, 4.4, 128, 32, VNNI},
    {"Core i7-12700K",         "12700k i712700k",      8,  2, 4800, 4.5,  64, 32, SCALAR_AVX2},
    {"Core i9-13900K",         "13900k i913900k",      8,  2, 5600, 5.0,  64, 32, SCALAR_AVX2},
    {"Ryzen 9 5950X",          "5950x",               16,  2, 3200, 4.0,  64, 32, SCALAR_AVX2},
    {"Ryzen 9 7950X",          "7950x",               16,  2, 5200, 4.8, 128, 32, VNNI},
    {"Ryzen 9 9950X",          "9950x",               16,  2, 5600, 5.0, 256, 64, VNNI},
};
/* clang-format on */

enum { N_GPU_ROW = sizeof gpu_rows / sizeof gpu_rows[0] };
enum { N_CPU_ROW = sizeof cpu_rows / sizeof cpu_rows[0] };

/* Of the bandwidth that channels and rate make, programs read about this much. */
static const double channel_share = 0.8;

/* ---- names ---- */

/* Removes `part` wherever it stands. */
static void remove_all(char *text, const char *part) {
    const size_t n = strlen(part);
    for (char *at = strstr(text, part); at; at = strstr(at, part))
        memmove(at, at + n, strlen(at + n) + 1);
}

/* "amd epyc 7763 64-core processor": from the 64 on it is no name. */
static void cut_core_count(char *text) {
    char *at = strstr(text, "-core");
    if (!at) return;
    while (at > text && isdigit((unsigned char)at[-1])) at--;
    if (at > text && at[-1] == ' ') at[-1] = 0;
}

/* Letters and digits alone, in lower case, without what stands around the name that tells products
 * apart: "Intel(R) Xeon(R) Gold 6454S CPU @ 2.20GHz" becomes "6454s". */
static void simplify(const char *name, char out[64]) {
    static const char *const parts[] = {
        "(r)",  "(tm)",      "nvidia",   "geforce", "tesla", "intel", "xeon",
        "gold", "silver",    "platinum", "amd",     "epyc",  "ryzen", "core",
        "cpu",  "processor", "gen",      "12th",    "13th",  "14th",  "threadripper"};
    char lower[256];
    size_t n = 0;
    for (; name[n] && name[n] != '@' && n < sizeof lower - 1; n++)
        lower[n] = (char)tolower((unsigned char)name[n]);
    lower[n] = 0;
    cut_core_count(lower);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) remove_all(lower, parts[i]);
    n = 0;
    for (size_t i = 0; lower[i] && n < 63; i++)
        if (isalnum((unsigned char)lower[i])) out[n++] = lower[i];
    out[n] = 0;
}

/* Is `rest`, what a driver writes behind a product's name, of no matter: "sxm216gb", "pcie24gb"?
 * "super" and "laptopgpu" are other products. */
static bool is_decoration(const char *rest) {
    static const char *const parts[] = {"sxm2", "sxm3", "sxm4", "sxm5", "sxm",
                                        "pcie", "hbm2", "hbm3", "gb"};
    while (*rest) {
        size_t n = 0;
        for (size_t i = 0; n == 0 && i < sizeof parts / sizeof parts[0]; i++)
            if (strncmp(rest, parts[i], strlen(parts[i])) == 0) n = strlen(parts[i]);
        if (n == 0 && isdigit((unsigned char)*rest)) n = 1;
        if (n == 0) return false;
        rest += n;
    }
    return true;
}

/* How well a name fits a list of words: 0 not at all, else the longer the better.  `loosely` lets
 * decorations follow a word that ends in a letter or stands before one. */
static size_t fit(const char *words, const char *name, bool loosely) {
    size_t best = 0;
    while (*words) {
        const size_t n = strcspn(words, " ");
        if (strncmp(name, words, n) == 0) {
            const char *rest = name + n;
            const bool ok = !*rest || (loosely && isalpha((unsigned char)*rest));
            if (ok && is_decoration(rest) && n + !*rest > best) best = n + !*rest;
        }
        words += n + (words[n] == ' ');
    }
    return best;
}

/* "rtx4090" is looked for as it is, then as "4090". */
static const gpu_row *find_gpu(const char *name) {
    char word[64];
    simplify(name, word);
    const char *tries[] = {word, NULL};
    static const char *const series[] = {"rtx", "gtx", "quadrortx", "quadro"};
    for (size_t i = 0; i < sizeof series / sizeof series[0]; i++)
        if (strncmp(word, series[i], strlen(series[i])) == 0) tries[1] = word + strlen(series[i]);
    for (int t = 0; t < 2 && tries[t]; t++) {
        const gpu_row *best = NULL;
        size_t most = 0;
        for (int i = 0; i < N_GPU_ROW; i++) {
            char own[64];
            simplify(gpu_rows[i].name, own);
            if (strcmp(own, tries[t]) == 0) return &gpu_rows[i];
            const size_t n = fit(gpu_rows[i].words, tries[t], true);
            if (n > most) most = n, best = &gpu_rows[i];
        }
        if (best) return best;
    }
    return NULL;
}

static const cpu_row *find_cpu(const char *name) {
    char word[64], own[64];
    simplify(name, word);
    for (int i = 0; i < N_CPU_ROW; i++) {
        simplify(cpu_rows[i].name, own);
        if (strcmp(word, own) == 0) return &cpu_rows[i];
        if (fit(cpu_rows[i].words, word, false)) return &cpu_rows[i];
    }
    return NULL;
}

/* ---- rows ---- */

bool td_gpu_profile_at(int i, td_gpu *out) {
    if (i < 0 || i >= N_GPU_ROW) return false;
    const gpu_row *row = &gpu_rows[i];
    *out = (td_gpu){.capability = row->capability,
                    .memory = (uint64_t)(row->memory * 1073741824.0),
                    .bandwidth = row->bandwidth * 1e9,
                    .f16 = row->f16 * 1e12,
                    .int8 = row->int8 * 1e12,
                    .fp8 = row->fp8 * 1e12,
                    .link = row->link * 1e9,
                    .source = row->source == 'A' ? TD_FIGURE_SYSTEM : TD_FIGURE_SHEET};
    snprintf(out->name, sizeof out->name, "%s", row->name);
    return true;
}

bool td_gpu_profile_find(const char *name, td_gpu *out) {
    const gpu_row *row = find_gpu(name);
    return row && td_gpu_profile_at((int)(row - gpu_rows), out);
}

bool td_cpu_profile_at(int i, td_cpu *out) {
    if (i < 0 || i >= N_CPU_ROW) return false;
    const cpu_row *row = &cpu_rows[i];
    const double cycles = row->n_core * row->ghz * 1e9;
    *out = (td_cpu){.n_socket = 1,
                    .n_core = row->n_core,
                    .bandwidth = channel_share * row->n_channel * row->rate * 8e6,
                    .int8 = cycles * row->int8_ops,
                    .f32 = cycles * row->f32_ops,
                    .levels = row->levels,
                    .source = TD_FIGURE_SHEET};
    snprintf(out->name, sizeof out->name, "%s", row->name);
    return true;
}

bool td_cpu_profile_find(const char *name, td_cpu *out) {
    const cpu_row *row = find_cpu(name);
    return row && td_cpu_profile_at((int)(row - cpu_rows), out);
}

static const char *first_word(const char *words, char word[32]) {
    snprintf(word, 32, "%.*s", (int)strcspn(words, " "), words);
    return word;
}

const char *td_gpu_profile_word(int i, char word[32]) {
    return i >= 0 && i < N_GPU_ROW ? first_word(gpu_rows[i].words, word) : NULL;
}

const char *td_cpu_profile_word(int i, char word[32]) {
    return i >= 0 && i < N_CPU_ROW ? first_word(cpu_rows[i].words, word) : NULL;
}
