/* bench.c - see bench.h. */
#include "jobs/bench.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "jobs/probe.h"

/* Lifetime: the call. */
typedef struct bench {
    const td_bench_options *o;
    td_sequence *seq; /* owned */
    td_token *prompt; /* owned; [n_prompt], at least one */
    double seconds[TD_BENCH_MAX_RUN];
} bench;

/* ---- runs ---- */

/* Evaluates what the sequence has queued, and n_gen tokens more. */
static td_status timed_run(bench *b, const td_token *tokens, int n_token, int n_gen,
                           double *seconds, td_err *err) {
    TD_TRY(td_sequence_truncate(b->seq, 0, err));
    TD_TRY(td_sequence_append(b->seq, tokens, n_token, err));
    TD_TRY(td_sequence_generate(b->seq, n_gen, err));
    const double t0 = td_clock_seconds();
    while (td_sequence_is_active(b->seq)) {
        td_event event;
        int n_event;
        TD_TRY(td_engine_step(b->o->engine, &event, 1, &n_event, err));
    }
    *seconds = td_clock_seconds() - t0;
    return TD_OK;
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static td_bench_figure summarize(double *seconds, int n_run, int n_token) {
    qsort(seconds, (size_t)n_run, sizeof *seconds, by_value);
    const double middle =
        n_run % 2 ? seconds[n_run / 2] : 0.5 * (seconds[n_run / 2 - 1] + seconds[n_run / 2]);
    return (td_bench_figure){.median = n_token / middle,
                             .min = n_token / seconds[n_run - 1],
                             .max = n_token / seconds[0]};
}

/* A decode run of n tokens is n passes of one row: one for the token it begins with, and one for
 * each answer but the last, which nothing reads. */
static td_status measure(bench *b, const char *stage, int n_prompt, int n_gen, td_bench_figure *out,
                         td_err *err) {
    const int n_token = n_gen > 0 ? n_gen : n_prompt;
    if (n_token == 0) return TD_OK;
    for (int i = 0; i <= b->o->n_run; i++) {
        if (b->o->progress &&
            !b->o->progress(b->o->progress_user, stage, (uint64_t)i, (uint64_t)b->o->n_run + 1))
            return td_fail(err, TD_ERR_CANCELLED, "the benchmark was cancelled");
        double seconds;
        TD_TRY(timed_run(b, b->prompt, n_gen > 0 ? 1 : n_prompt, n_gen, &seconds, err));
        if (i > 0) b->seconds[i - 1] = seconds;
    }
    *out = summarize(b->seconds, b->o->n_run, n_token);
    return TD_OK;
}

/* ---- what a token costs ---- */

static void count_costs(const td_engine *engine, int n_gen, td_bench_result *r) {
    const td_engine_cost cost = td_engine_token_cost(engine);
    r->weight_bytes = cost.weight_bytes;
    r->prefill_ops = cost.ops;
    td_engine_info info;
    td_engine_get_info(engine, &info);
    r->kv_bytes = info.kv_bytes / (uint64_t)info.n_ctx * (uint64_t)n_gen / 2;
}

/* ---- all together ---- */

/* Tokens spread over the vocabulary, the same every time (Knuth's multiplicative hash). */
static td_status make_prompt(bench *b, int n_vocab, td_err *err) {
    const int n = b->o->n_prompt > 0 ? b->o->n_prompt : 1;
    b->prompt = td_calloc((size_t)n, sizeof *b->prompt);
    if (!b->prompt) return td_fail_nomem(err, "the prompt", (size_t)n * sizeof *b->prompt);
    for (int i = 0; i < n; i++)
        b->prompt[i] = (td_token)(((uint32_t)i + 1) * 2654435761u % (uint32_t)n_vocab);
    return TD_OK;
}

static td_status run_all(bench *b, td_bench_result *r, td_err *err) {
    td_engine_info info;
    td_engine_get_info(b->o->engine, &info);
    TD_TRY(make_prompt(b, info.n_vocab, err));
    const td_sequence_options options = {.ignore_end = true};
    TD_TRY(td_sequence_create(&b->seq, b->o->engine, &options, err));
    TD_TRY(measure(b, "prefill", b->o->n_prompt, 0, &r->prefill, err));
    TD_TRY(measure(b, "decode", 0, b->o->n_gen, &r->decode, err));
    count_costs(b->o->engine, b->o->n_gen, r);
    r->read_bandwidth = 1e9 * td_probe_bandwidth(info.n_thread);
    r->int8_peak = 1e9 * td_probe_int8_peak(info.n_thread);
    r->f32_peak = 1e9 * td_probe_f32_peak(info.n_thread);
    return TD_OK;
}

td_status td_bench_first_token(td_engine *engine, int n_prompt, double *seconds, td_err *err) {
    bench *b = td_calloc(1, sizeof *b);
    if (!b) return td_fail_nomem(err, "the benchmark", sizeof *b);
    const td_bench_options o = {.engine = engine, .n_prompt = n_prompt, .n_run = 1};
    const td_sequence_options options = {.ignore_end = true};
    td_engine_info info;
    td_engine_get_info(engine, &info);
    b->o = &o;
    td_status status = make_prompt(b, info.n_vocab, err);
    if (status == TD_OK) status = td_sequence_create(&b->seq, engine, &options, err);
    if (status == TD_OK) status = timed_run(b, b->prompt, n_prompt, 1, seconds, err);
    td_sequence_free(b->seq);
    td_free(b->prompt);
    td_free(b);
    return status;
}

td_status td_bench_run(const td_bench_options *o, td_bench_result *r, td_err *err) {
    *r = (td_bench_result){0};
    if (o->n_run < 1 || o->n_run > TD_BENCH_MAX_RUN)
        return td_fail(err, TD_ERR_ARGUMENT, "%d runs, wanted 1 to %d", o->n_run, TD_BENCH_MAX_RUN);
    bench *b = td_calloc(1, sizeof *b);
    if (!b) return td_fail_nomem(err, "the benchmark", sizeof *b);
    b->o = o;
    const td_status status = run_all(b, r, err);
    td_sequence_free(b->seq);
    td_free(b->prompt);
    td_free(b);
    return status;
}

double td_bench_decode_share(const td_bench_result *r) {
    if (r->read_bandwidth <= 0.0) return 0.0;
    return r->decode.median * (double)(r->weight_bytes + r->kv_bytes) / r->read_bandwidth;
}

double td_bench_prefill_share(const td_bench_result *r, double peak) {
    return peak > 0.0 ? r->prefill.median * (double)r->prefill_ops / peak : 0.0;
}
