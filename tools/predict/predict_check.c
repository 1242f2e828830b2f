/* predict_check.c - holds plan/predict.c to what a model really does: runs the benchmark, takes the
 * bandwidth and peaks that it measured, and says how far the prediction made of them is off. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "engine/engine.h"
#include "jobs/bench.h"
#include "model/model.h"
#include "plan/predict.h"

enum { N_PROMPT = 256, N_GEN = 24, N_RUN = 3 };

/* With --cpu-time every clock of the process is the processor's.  The library takes the time by
 * clock_gettime, which this definition stands before. */
static bool cpu_time;

int clock_gettime(clockid_t clock, struct timespec *t) {
    const bool replaced = cpu_time && clock == CLOCK_MONOTONIC;
    return (int)syscall(SYS_clock_gettime, replaced ? CLOCK_PROCESS_CPUTIME_ID : clock, t);
}

static int fail(const char *path, const td_err *err) {
    fprintf(stderr, "predict-check: %s: %s\n", path, err->msg);
    return 1;
}

static void print(const char *what, double measured, double seconds) {
    printf("  %-8s measured %9.2f tokens/s, predicted %9.2f: %+.0f %%\n", what, measured,
           1 / seconds, 100 * (1 / seconds / measured - 1));
}

static td_status check(const char *path, int n_thread, td_engine *engine, td_err *err) {
    const td_bench_options o = {
        .engine = engine, .n_prompt = N_PROMPT, .n_gen = N_GEN, .n_run = N_RUN};
    td_bench_result r;
    td_model *model;
    td_predict_work work;
    TD_TRY(td_bench_run(&o, &r, err));
    TD_TRY(td_model_open(&model, td_engine_checkpoint(engine), NULL, err));
    td_predict_of_model(&work, model, N_GEN / 2, N_PROMPT);
    td_model_close(model);
    const td_cpu cpu = {.n_socket = 1,
                        .n_core = n_thread,
                        .bandwidth = r.read_bandwidth,
                        .int8 = r.int8_peak,
                        .f32 = r.f32_peak};
    const td_predict_device device = td_predict_cpu(&cpu);
    printf("%s, %d threads: reads %.1f GB/s, int8 %.0f Gop/s, float32 %.0f Gop/s\n", path, n_thread,
           1e-9 * r.read_bandwidth, 1e-9 * r.int8_peak, 1e-9 * r.f32_peak);
    print("prefill", r.prefill.median, td_predict_prompt(&device, &work, N_PROMPT));
    print("decode", r.decode.median, td_predict_decode(&device, &work));
    return TD_OK;
}

int main(int argc, char **argv) {
    cpu_time = argc > 1 && strcmp(argv[1], "--cpu-time") == 0;
    const int at = 1 + cpu_time;
    const int n_thread = argc > at + 1 ? atoi(argv[at]) : 0;
    if (n_thread < 1) {
        fprintf(stderr, "usage: predict-check [--cpu-time] THREADS MODEL...\n");
        return 2;
    }
    for (int i = at + 1; i < argc; i++) {
        td_engine *engine;
        td_err err;
        const td_engine_options o = {
            .model_path = argv[i], .n_thread = n_thread, .n_ctx = N_PROMPT + 1};
        if (td_engine_create(&engine, &o, &err) != TD_OK) return fail(argv[i], &err);
        const td_status status = check(argv[i], n_thread, engine, &err);
        td_engine_free(engine);
        if (status != TD_OK) return fail(argv[i], &err);
    }
    return 0;
}
