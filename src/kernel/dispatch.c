/* dispatch.c - the list of CPU levels and the process's kernel table. */
#include <string.h>

#include "base/options.h"
#include "kernel/kernels.h"

static const td_cpu_level_info levels[] = {
    {"scalar",     TD_CPU_SCALAR                                   },
#if defined(__x86_64__)
    {"avx2",       TD_CPU_AVX2                                     },
    {"avx512",     TD_CPU_AVX2 | TD_CPU_AVX512                     },
    {"avx512vnni", TD_CPU_AVX2 | TD_CPU_AVX512 | TD_CPU_AVX512_VNNI},
#endif
};
enum { N_LEVEL = sizeof levels / sizeof levels[0] };

const td_cpu_level_info *td_cpu_level_list(int *n) {
    *n = N_LEVEL;
    return levels;
}

void td_kernels_fill(td_kernels *t, unsigned flags) {
    td_kernels_ref(t);
#if defined(__x86_64__)
    td_kernels_x86(t, flags);
#else
    (void)flags;
#endif
    for (int i = 0; i < N_LEVEL; i++)
        if ((levels[i].flags & flags) == levels[i].flags) t->level = levels[i].name;
}

/* Written once, by the first td_kernels_get, before the first thread starts. */
static td_kernels table;

static td_status lower_level(unsigned *flags, td_err *err) {
    const char *wanted = td_option_env("TD_CPU");
    if (!wanted || !*wanted) return TD_OK;
    for (int i = 0; i < N_LEVEL; i++) {
        if (strcmp(levels[i].name, wanted) != 0) continue;
        if ((levels[i].flags & *flags) != levels[i].flags)
            return td_fail(err, TD_ERR_ARGUMENT, "TD_CPU=%s: this machine does not have that level",
                           wanted);
        *flags = levels[i].flags;
        return TD_OK;
    }
    return td_fail(err, TD_ERR_ARGUMENT, "TD_CPU=%s: unknown level, wanted one of: %s", wanted,
                   td_cpu_levels());
}

td_status td_kernels_get(const td_kernels **out, td_err *err) {
    if (!table.level) {
        unsigned flags = td_cpu_detect();
        TD_TRY(lower_level(&flags, err));
        td_kernels_fill(&table, flags);
    }
    *out = &table;
    return TD_OK;
}

const char *td_cpu_level(void) {
    const td_kernels *t;
    return td_kernels_get(&t, NULL) == TD_OK ? t->level : "unknown";
}

const char *td_cpu_levels(void) {
#if defined(__x86_64__)
    return "scalar avx2 avx512 avx512vnni";
#else
    return "scalar";
#endif
}
