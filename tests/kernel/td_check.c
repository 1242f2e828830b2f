/* td_check.c - td-check: checks every kernel of every level this machine has against the reference.
 *
 *     td-check [--slot GLOB] [--case GLOB] [--level NAME] [--seed N] [--list] [--plant] [--bench]
 *
 * docs/KERNELS.md says how to use it. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernel/check.h"
#include "kernel/check_bench.h"
#include "kernel/check_plant.h"

static int run_checks(check_options *options) {
    options->out = stdout;
    check c;
    check_init(&c, options);
    const int lacking = check_fill_levels(&c, true);
    if (c.n_level == 0 && options->level) {
        fprintf(stderr, "td-check: no level '%s' here\n", options->level);
        return 2;
    }
    if (!options->list) printf("seed %llu\n", (unsigned long long)options->seed);
    check_run(&c, true);
    if (!options->list) {
        printf("%-20s %8lld runs of a kernel on a case\n", "in all", (long long)c.runs);
        printf("%lld passed, %lld failed, %d skipped\n", (long long)(c.runs - c.failures),
               (long long)c.failures, lacking);
    }
    check_clear(&c);
    return c.failures > 0;
}

static int run_plants(uint64_t seed) {
    int missed = 0, skipped = 0;
    for (int i = 0; i < n_check_plants; i++) {
        if (check_plants[i].crashes && !check_catches_crashes()) {
            printf("skipped: %s: %s (crashes are not ours)\n", check_plants[i].slot,
                   check_plants[i].fault);
            skipped++;
            continue;
        }
        const bool found = check_plant_found(&check_plants[i], seed);
        missed += !found;
        printf("%s: %s: %s\n", found ? "found" : "MISSED", check_plants[i].slot,
               check_plants[i].fault);
    }
    printf("%d passed, %d failed, %d skipped\n", n_check_plants - missed - skipped, missed,
           skipped);
    return missed > 0;
}

static int run_bench(const check_options *options, const char *glob) {
    check c;
    check_init(&c, options);
    check_fill_levels(&c, false);
    check_bench(&c, glob);
    check_clear(&c);
    return 0;
}

int main(int argc, char **argv) {
    check_options options = {.seed = 1};
    bool plant = false, bench = false;
    const char *glob = NULL;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--list") == 0) {
            options.list = true;
        } else if (strcmp(argv[i], "--plant") == 0) {
            plant = true;
        } else if (strcmp(argv[i], "--bench") == 0) {
            bench = true;
            if (value && value[0] != '-') glob = argv[++i];
        } else if (strcmp(argv[i], "--slot") == 0 && value) {
            options.slot = argv[++i];
        } else if (strcmp(argv[i], "--case") == 0 && value) {
            options.name = argv[++i];
        } else if (strcmp(argv[i], "--level") == 0 && value) {
            options.level = argv[++i];
        } else if (strcmp(argv[i], "--seed") == 0 && value) {
            options.seed = strtoull(argv[++i], NULL, 0);
        } else {
            fprintf(stderr, "td-check: cannot understand '%s'\n", argv[i]);
            return 2;
        }
    }
    if (bench) return run_bench(&options, glob);
    return plant ? run_plants(options.seed) : run_checks(&options);
}
