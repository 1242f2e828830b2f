/* bench.h - how fast a loaded model is, and how fast this machine could be. */
#ifndef TD_JOBS_BENCH_H
#define TD_JOBS_BENCH_H

#include <stdint.h>

#include "base/status.h"
#include "engine/engine.h"

typedef struct td_bench_options {
    td_engine *engine; /* borrowed; with a free sequence, and n_ctx above n_prompt and n_gen */
    int n_prompt;      /* tokens of a prefill run; 0: none */
    int n_gen;         /* tokens of a decode run, which begins with an empty context; 0: none */
    int n_run;         /* runs of each after one that warms up, 1 to TD_BENCH_MAX_RUN */
    /* Called before each run; false cancels.  May be NULL. */
    td_progress_fn *progress;
    void *progress_user;
} td_bench_options;

enum { TD_BENCH_MAX_RUN = 1000 };

/* Tokens per second over the runs; all 0 without runs. */
typedef struct td_bench_figure {
    double median, min, max;
} td_bench_figure;

typedef struct td_bench_result {
    td_bench_figure prefill, decode;
    uint64_t weight_bytes; /* read per decoded token: all matrices, of experts those chosen */
    uint64_t kv_bytes;     /* read per decoded token, at half of n_gen */
    uint64_t prefill_ops;  /* multiplications and additions per prompt token, in the matrices that
                              all tokens pass: without embedding and output */
    /* This machine, measured with the engine's number of threads right after the runs. */
    double read_bandwidth; /* bytes per second */
    double int8_peak;      /* operations per second; a multiply-add is two */
    double f32_peak;
} td_bench_result;

td_status td_bench_run(const td_bench_options *o, td_bench_result *r, td_err *err);

/* Seconds from a prompt of n_prompt tokens to the first token of the answer, once. */
td_status td_bench_first_token(td_engine *engine, int n_prompt, double *seconds, td_err *err);

/* The part of what the machine could do, 0 to 1: decode by the bytes it reads, prefill by the
 * operations it takes, at `peak` operations per second. */
double td_bench_decode_share(const td_bench_result *r);
double td_bench_prefill_share(const td_bench_result *r, double peak);

#endif
