/* check.h - the harness of td-check: every variant of every slot of td_kernels against the
 * reference, bit for bit.
 *
 * A case is one slot with one shape and one kind of data; its name says all three, and its data
 * depend on the seed and the name alone, so --seed and --case repeat it.  Each case runs the
 * reference once and then each variant: each function of the levels under test that is not the
 * reference's and not another level's.  Inputs end at an unreadable page, outputs lie between
 * canaries, and a crash is caught and counts as a failure. */
#ifndef TD_TESTS_KERNEL_CHECK_H
#define TD_TESTS_KERNEL_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "kernel/kernels.h"

enum { CHECK_MAX_LEVELS = 8, CHECK_N_REGION = 8, CHECK_CANARY = 64 };

typedef struct check_options {
    uint64_t seed;
    const char *slot, *name; /* globs; NULL: all */
    const char *level;       /* NULL: all the machine has */
    bool list;               /* print the names of the cases instead of running them */
    bool stop;               /* after the first failure */
    FILE *out;               /* where failures go; NULL: nowhere */
} check_options;

typedef struct check_level {
    const char *name;
    td_kernels table;
} check_level;

typedef struct check {
    check_options options;
    td_kernels ref;
    check_level levels[CHECK_MAX_LEVELS];
    int n_level;

    /* The slot and case under test. */
    const char *slot;
    char name[128];
    const char *level;
    bool failed; /* the case already has a failure on this level */
    uint64_t rng;

    /* Memory that ends at an unreadable page; a case places its inputs and outputs there. */
    uint8_t *region_end[CHECK_N_REGION];
    uint8_t *expected; /* the reference's output */

    /* What came out: of this slot, and in all. */
    int64_t slot_runs, runs, failures;
} check;

/* One slot: `run` names and runs all its cases. */
typedef struct check_slot {
    const char *name;
    void (*run)(check *c, const struct check_slot *slot);
    int id; /* dtype, act type or KV type, as the slot needs */
} check_slot;

extern const check_slot check_slots[];
extern const int n_check_slots;

/* Runs all slots; false if anything failed.  verbose: the counts per slot, to stdout. */
bool check_run(check *c, bool verbose);
/* Levels of this machine that options.level admits; names of those it lacks go to stdout. Returns
 * how many it lacks. */
int check_fill_levels(check *c, bool verbose);
void check_init(check *c, const check_options *options);
void check_clear(check *c);

/* Starts a case.  False: filtered out, or only listed. */
bool check_begin(check *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A kernel of one level is about to run: false if the level shares its function with the reference
 * or a lower level.  `offset` is the slot's place in td_kernels. */
bool check_is_variant(const check *c, int i_level, size_t offset);
/* The function of a level's table at `offset`. */
typedef void check_any_fn(void);
check_any_fn *check_fn_at(const td_kernels *t, size_t offset);

/* Calls fn(arg) and counts a run; a signal is a failure, and gives false. */
bool check_call(check *c, const char *level, void (*fn)(void *), void *arg);
/* False under a sanitizer that keeps the signals to itself: a crash then ends the program. */
bool check_catches_crashes(void);
/* Counts a failure of the current case, once per level. */
void check_fail(check *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- data ---- */

uint64_t check_random(check *c);
int check_random_int(check *c, int lo, int hi); /* inclusive */
float check_random_normal(check *c);            /* about N(0, 1) */

typedef enum check_data {
    DATA_NORMAL,
    DATA_ZERO,     /* of both signs */
    DATA_HUGE,     /* sums overflow */
    DATA_DENORMAL, /* and their products */
    DATA_BITS,     /* any bits: infinities, NaN */
    DATA_SOFTMAX,  /* normal, with -inf in places */
    DATA_TIES,     /* halves up to 127, and floats midway between two IEEE halves */
    N_CHECK_DATA
} check_data;
const char *check_data_name(check_data kind);
void check_fill_floats(check *c, float *x, size_t n, check_data kind);
void check_fill_halves(check *c, uint16_t *x, size_t n, check_data kind);

/* Bytes [0, bytes) of region i, the last of them `slack` before an unreadable page. */
void *check_place(check *c, int i, size_t bytes, size_t slack);

/* An output of `bytes` with canaries on both sides in region i; every byte of it is 0xa5, and so is
 * `expected` after check_keep_expected. */
void *check_output(check *c, int i, size_t bytes);
/* Copies the output that the reference just wrote, canaries included. */
void check_keep_expected(check *c, const void *output, size_t bytes);

typedef enum check_type { CHECK_FLOAT, CHECK_HALF, CHECK_BYTES } check_type;
/* Compares an output with the kept one; any NaN equals any NaN. */
void check_compare(check *c, const void *output, size_t bytes, check_type type);

#endif
