/* cmd_bench.c - `tandem bench`: tokens per second, and the part of what the machine could do. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/progress.h"
#include "cli/cmd.h"
#include "cli/interrupt.h"
#include "cli/out.h"
#include "jobs/bench.h"

enum { LOAD_PROMPT = 16 }; /* tokens */

/* clang-format off */
static const td_option rows[] = {
    {.name = "prompt-tokens", .short_name = 'p', .type = TD_OPTION_INT, .max = 1 << 20,
     .def = "512", .value = "N", .aliases = "--n-prompt",
     .help = "tokens of a prefill run; 0: none"},
    {.name = "gen-tokens", .short_name = 'n', .type = TD_OPTION_INT, .max = 1 << 20, .def = "64",
     .value = "N", .aliases = "--n-gen",
     .help = "tokens of a decode run; 0: none"},
    {.name = "repetitions", .short_name = 'r', .type = TD_OPTION_INT, .min = 1,
     .max = TD_BENCH_MAX_RUN, .def = "5", .value = "N",
     .help = "runs of each, after one that warms up"},
    {.name = "load", .type = TD_OPTION_BOOL,
     .help = "measure loading instead: seconds from the start to the first token of the answer to a "
             "prompt of 16 tokens, and the memory it took"},
    {.name = "json", .type = TD_OPTION_BOOL,
     .help = "print JSON"},
};
/* clang-format on */
static const td_option_group group = {"Benchmark", rows, 5};

static const td_option_spec spec = {
    .command = "bench",
    .arguments = "MODEL [options]",
    .summary = "Measures prefill and decode in tokens per second (median, and spread over the "
               "runs), and how much of this machine's own measured speed that is.",
    .groups = {&td_cmd_model_options, &group, &td_cmd_compute_options, &td_cmd_talk_options},
    .max_positional = 1,
};

static bool show_run(void *user, const char *stage, uint64_t done, uint64_t total) {
    td_progress_update(user, stage, done, total);
    return !td_interrupt_seen();
}

static void print_figure(const char *label, int n_token, int n_run, const td_bench_figure *f,
                         double share, const char *of) {
    if (n_token == 0) return;
    td_out_printf("%-8s %5d tokens %10.2f tokens/s (%.2f to %.2f, %d runs), %.1f %% of the %s\n",
                  label, n_token, f->median, f->min, f->max, n_run, 100.0 * share, of);
}

static void print_text(const td_bench_options *o, const td_engine_info *info, bool exact,
                       const td_bench_result *r) {
    td_out_plain(info->model_name, strlen(info->model_name), 0);
    td_out_printf(", %d threads, CPU level %s%s\n", info->n_thread, td_cpu_level(),
                  exact ? ", exact" : "");
    print_figure("prefill", o->n_prompt, o->n_run, &r->prefill,
                 td_bench_prefill_share(r, exact ? r->f32_peak : r->int8_peak),
                 exact ? "float32 peak" : "int8 peak");
    print_figure("decode", o->n_gen, o->n_run, &r->decode, td_bench_decode_share(r),
                 "read bandwidth");
    td_out_printf("a decoded token reads %.1f MB of weights and %.1f MB of KV cache\n",
                  (double)r->weight_bytes * 1e-6, (double)r->kv_bytes * 1e-6);
    td_out_printf("this machine: reads %.1f GB/s, int8 %.1f Gop/s, float32 %.1f Gop/s\n",
                  r->read_bandwidth * 1e-9, r->int8_peak * 1e-9, r->f32_peak * 1e-9);
}

static void print_figure_json(const char *key, int n_token, const td_bench_figure *f,
                              double share) {
    td_out_printf(" \"%s\": {\"n_token\": %d, \"tokens_per_second\": %.6g, \"min\": %.6g, "
                  "\"max\": %.6g, \"share_of_peak\": %.6g},\n",
                  key, n_token, f->median, f->min, f->max, share);
}

static void print_json(const td_bench_options *o, const td_engine_info *info, bool exact,
                       const td_bench_result *r) {
    td_out_text("{\"model\": ");
    td_out_json(info->model_name, strlen(info->model_name));
    td_out_printf(", \"n_thread\": %d, \"cpu_level\": \"%s\", \"mode\": \"%s\", \"n_run\": %d,\n",
                  info->n_thread, td_cpu_level(), exact ? "exact" : "native", o->n_run);
    print_figure_json("prefill", o->n_prompt, &r->prefill,
                      td_bench_prefill_share(r, exact ? r->f32_peak : r->int8_peak));
    print_figure_json("decode", o->n_gen, &r->decode, td_bench_decode_share(r));
    td_out_printf(" \"weight_bytes_per_token\": %llu, \"kv_bytes_per_token\": %llu, "
                  "\"prefill_ops_per_token\": %llu,\n",
                  (unsigned long long)r->weight_bytes, (unsigned long long)r->kv_bytes,
                  (unsigned long long)r->prefill_ops);
    td_out_printf(" \"read_bandwidth\": %.6g, \"int8_peak\": %.6g, \"f32_peak\": %.6g}\n",
                  r->read_bandwidth, r->int8_peak, r->f32_peak);
}

static int measure(const td_options *o, td_engine *engine, bool exact) {
    td_progress progress;
    td_progress_init(&progress, stderr, isatty(STDERR_FILENO) != 0);
    const td_bench_options options = {.engine = engine,
                                      .n_prompt = (int)td_options_int(o, "prompt-tokens"),
                                      .n_gen = (int)td_options_int(o, "gen-tokens"),
                                      .n_run = (int)td_options_int(o, "repetitions"),
                                      .progress = show_run,
                                      .progress_user = &progress};
    td_engine_info info;
    td_engine_get_info(engine, &info);
    td_bench_result r;
    td_err err;
    td_interrupt_attach(engine);
    const td_status status = td_bench_run(&options, &r, &err);
    td_interrupt_attach(NULL);
    td_progress_finish(&progress);
    if (status != TD_OK) return td_cmd_fail(&err);
    (td_options_bool(o, "json") ? print_json : print_text)(&options, &info, exact, &r);
    return TD_EXIT_OK;
}

/* ---- loading ---- */

/* The bound that DESIGN sets: the file, a tenth of it, and the KV cache. */
static uint64_t memory_bound(const td_engine_info *info) {
    return info->weight_bytes + info->weight_bytes / 10 + info->kv_bytes;
}

static void print_load(const td_options *o, const td_engine_info *info, double first_token,
                       uint64_t peak) {
    const double total = info->load_seconds + first_token, mib = 1048576.0;
    if (td_options_bool(o, "json")) {
        td_out_text("{\"model\": ");
        td_out_json(info->model_name, strlen(info->model_name));
        td_out_printf(
            ", \"n_thread\": %d, \"load_seconds\": %.6g, \"first_token_seconds\": %.6g,\n",
            info->n_thread, info->load_seconds, first_token);
        td_out_printf(" \"weight_bytes\": %llu, \"kv_bytes\": %llu, \"peak_memory_bytes\": %llu, "
                      "\"memory_bound_bytes\": %llu}\n",
                      (unsigned long long)info->weight_bytes, (unsigned long long)info->kv_bytes,
                      (unsigned long long)peak, (unsigned long long)memory_bound(info));
        return;
    }
    td_out_plain(info->model_name, strlen(info->model_name), 0);
    td_out_printf(", %d threads, CPU level %s\n", info->n_thread, td_cpu_level());
    td_out_printf(
        "start to first token %.2f s: loading %.2f s (%.2f GB/s), prompt of %d tokens and "
        "first token %.2f s\n",
        total, info->load_seconds, (double)info->weight_bytes * 1e-9 / info->load_seconds,
        LOAD_PROMPT, first_token);
    td_out_printf("peak memory %.1f MiB, mapped pages included; file %.1f MiB + 10 %% + KV cache "
                  "%.1f MiB = %.1f MiB\n",
                  (double)peak / mib, (double)info->weight_bytes / mib,
                  (double)info->kv_bytes / mib, (double)memory_bound(info) / mib);
}

static int measure_load(const td_options *o, td_engine *engine) {
    double first_token;
    td_engine_info info;
    td_engine_stats stats;
    td_err err;
    td_interrupt_attach(engine);
    const td_status status = td_bench_first_token(engine, LOAD_PROMPT, &first_token, &err);
    td_interrupt_attach(NULL);
    if (status != TD_OK) return td_cmd_fail(&err);
    td_engine_get_info(engine, &info);
    td_engine_get_stats(engine, &stats);
    print_load(o, &info, first_token, stats.peak_memory_bytes);
    return TD_EXIT_OK;
}

static int bench_main(const td_options *o) {
    const char *model;
    int i_next;
    if (!td_cmd_take_model(o, 1, &model, &i_next)) return TD_EXIT_USAGE;
    const bool load = td_options_bool(o, "load");
    const int n_prompt = load ? LOAD_PROMPT : (int)td_options_int(o, "prompt-tokens");
    const int n_gen = (int)td_options_int(o, "gen-tokens");
    td_engine_options options = {.model_path = model,
                                 .weights_path = td_cmd_weights(o, model),
                                 .n_ctx = (n_prompt > n_gen ? n_prompt : n_gen) + 1};
    td_err err;
    if (td_cmd_engine_options(o, &options, &err) != TD_OK) return td_cmd_usage("%s", err.msg);
    if (!td_cmd_open_log(o)) return TD_EXIT_FAILURE;
    td_interrupt_install();
    td_engine *engine = td_cmd_load(&options);
    int code = TD_EXIT_FAILURE;
    if (engine && load)
        code = measure_load(o, engine);
    else if (engine)
        code = measure(o, engine, options.mode == TD_MODE_EXACT);
    td_engine_free(engine);
    return td_cmd_close_log(code);
}

const td_cmd td_cmd_bench = {&spec, bench_main};
