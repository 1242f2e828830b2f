/* cmd.c - what the commands share. */
#include "cli/cmd.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/progress.h"
#include "cli/interrupt.h"

/* clang-format off */
static const td_option model_rows[] = {
    {.name = "model", .short_name = 'm', .type = TD_OPTION_STRING, .value = "FILE",
     .env = "TANDEM_MODEL", .aliases = "--model-path",
     .help = "the model, in place of the argument MODEL"},
    {.name = "weights", .type = TD_OPTION_STRING, .value = "PATH",
     .aliases = "--gguf-path --weights-path --kt-weight-path",
     .help = "read the weights from this GGUF file or folder: MODEL is then the Hugging Face folder "
             "of configuration and tokenizer; without MODEL it is the model itself"},
};
/* clang-format on */
const td_option_group td_cmd_model_options = {"Model", model_rows, 2};

#define KV_TYPES "f16|f32|q8_0|q4_0"

/* clang-format off */
static const td_option compute_rows[] = {
    {.name = "threads", .short_name = 't', .type = TD_OPTION_INT, .max = 1024, .def = "0",
     .value = "N", .env = "TANDEM_THREADS",
     .aliases = "--cpu-infer --cpu-threads --kt-cpuinfer",
     .help = "worker threads; 0: as many as CPUs may be used"},
    {.name = "batch", .short_name = 'b', .type = TD_OPTION_INT, .max = 65536, .def = "0",
     .value = "N", .env = "TANDEM_BATCH",
     .aliases = "--batch-size --chunk-size --chunk-prefill-size --chunked-prefill-size",
     .help = "tokens per forward pass; 0: 512"},
    {.name = "exact", .type = TD_OPTION_BOOL, .env = "TANDEM_EXACT",
     .help = "dequantize all weights and compute in float32 everywhere, KV cache too: slow, for "
             "comparing with other engines"},
    {.name = "kv-type", .type = TD_OPTION_CHOICE, .value = KV_TYPES, .env = "TANDEM_KV_TYPE",
     .help = "number format of the KV cache; unset: f16, with --exact f32"},
    {.name = "cache-type-k", .type = TD_OPTION_CHOICE, .value = KV_TYPES, .aliases = "-ctk",
     .help = "the same for the keys alone"},
    {.name = "cache-type-v", .type = TD_OPTION_CHOICE, .value = KV_TYPES, .aliases = "-ctv",
     .help = "the same for the values alone"},
    {.name = "experts-on-disk", .type = TD_OPTION_BOOL, .env = "TANDEM_EXPERTS_ON_DISK",
     .help = "leave the experts of a mixture in the file and read what the router names, even if "
             "memory would hold them"},
    {.name = "materialize-prompt", .type = TD_OPTION_BOOL, .env = "TANDEM_MATERIALIZE_PROMPT",
     .help = "multi-head latent attention: make keys and values of prompt tokens from the latents, "
             "in place of the absorbed form (KTransformers' absorb_for_prefill: False)"},
};
/* clang-format on */
const td_option_group td_cmd_compute_options = {"Computation", compute_rows, 8};

/* clang-format off */
static const td_option talk_rows[] = {
    {.name = "verbose", .short_name = 'v', .type = TD_OPTION_BOOL, .env = "TANDEM_VERBOSE",
     .help = "say on standard error what is being done"},
    {.name = "log-file", .type = TD_OPTION_STRING, .value = "FILE", .env = "TANDEM_LOG_FILE",
     .help = "write everything that --verbose would say to this file"},
};
/* clang-format on */
const td_option_group td_cmd_talk_options = {"Talk", talk_rows, 2};

/* ---- talk ---- */

/* Messages quote files and templates, which may hold control codes: those never reach a terminal.
 */
static void say(const char *fmt, va_list args) {
    char text[2048];
    vsnprintf(text, sizeof text, fmt, args);
    for (char *c = text; *c; c++)
        if (((unsigned char)*c < 0x20 && *c != '\n') || *c == 0x7f) *c = '?';
    fprintf(stderr, "tandem: %s\n", text);
}

void td_cmd_say(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    say(fmt, args);
    va_end(args);
}

int td_cmd_fail(const td_err *err) {
    td_cmd_say("%s", err->msg);
    return TD_EXIT_FAILURE;
}

int td_cmd_usage(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    say(fmt, args);
    va_end(args);
    return TD_EXIT_USAGE;
}

/* Where log lines go.  Written by td_cmd_open_log and td_cmd_close_log, on the main thread. */
static struct {
    FILE *file; /* owned; NULL: none */
    bool verbose;
} log_sink;

static void write_log(void *user, td_log_level level, const char *line) {
    (void)user;
    if (log_sink.verbose || level <= TD_LOG_WARN) td_cmd_say("%s", line);
    if (log_sink.file) fprintf(log_sink.file, "%s\n", line);
}

bool td_cmd_open_log(const td_options *o) {
    const char *path = td_options_string(o, "log-file");
    log_sink.verbose = td_options_bool(o, "verbose");
    if (path) {
        log_sink.file = fopen(path, "we");
        if (!log_sink.file) {
            td_cmd_say("cannot create '%s': %s", path, strerror(errno));
            return false;
        }
        setvbuf(log_sink.file, NULL, _IOLBF, 0);
    }
    td_log_set(write_log, NULL, path || log_sink.verbose ? TD_LOG_DEBUG : TD_LOG_WARN);
    return true;
}

int td_cmd_close_log(int code) {
    td_log_set(NULL, NULL, TD_LOG_ERROR);
    if (!log_sink.file) return code;
    /* The stream remembers an earlier error but not which: a full disk is by far the likeliest. */
    int e = ferror(log_sink.file) ? ENOSPC : 0;
    if (fclose(log_sink.file) != 0 && e == 0) e = errno;
    log_sink.file = NULL;
    if (e == 0) return code;
    td_cmd_say("the log file is incomplete: %s", strerror(e));
    return TD_EXIT_FAILURE;
}

/* ---- model and engine ---- */

bool td_cmd_take_model(const td_options *o, int n_name, const char **model, int *i_next) {
    const int n = o->n_positional;
    const char *weights = td_options_string(o, "weights");
    *model = td_options_string(o, "model");
    /* From the environment or the config file it is a default, which an argument overrides. */
    const bool flag = td_options_source(o, "model") == TD_OPTION_FROM_FLAG;
    *i_next = 0;
    if (n == n_name && !flag) {
        *model = o->positional[0];
        *i_next = 1;
        return true;
    }
    if (weights && !flag) *model = weights;
    if (n == n_name - 1 && *model) return true;
    if (n == n_name)
        (void)td_cmd_usage("the model is given twice, as --model %s and as '%s'", *model,
                           o->positional[0]);
    else
        (void)td_cmd_usage("an argument is missing, wanted: tandem %s %s", o->spec->command,
                           o->spec->arguments);
    return false;
}

const char *td_cmd_weights(const td_options *o, const char *model) {
    const char *weights = td_options_string(o, "weights");
    return weights == model ? NULL : weights;
}

static td_kv_type take_kv_type(const td_options *o, const char *name, td_kv_type otherwise) {
    static const td_kv_type types[] = {TD_KV_F16, TD_KV_F32, TD_KV_Q8_0, TD_KV_Q4_0};
    const int i = td_options_choice(o, name);
    return i < 0 ? otherwise : types[i];
}

td_status td_cmd_engine_options(const td_options *o, td_engine_options *out, td_err *err) {
    out->n_thread = (int)td_options_int(o, "threads");
    out->n_batch = (int)td_options_int(o, "batch");
    out->mode = td_options_bool(o, "exact") ? TD_MODE_EXACT : TD_MODE_NATIVE;
    const td_kv_type both = take_kv_type(o, "kv-type", TD_KV_DEFAULT);
    const td_kv_type k = take_kv_type(o, "cache-type-k", both);
    const td_kv_type v = take_kv_type(o, "cache-type-v", both);
    const bool k_fits = k == TD_KV_DEFAULT || k == TD_KV_F32;
    const bool v_fits = v == TD_KV_DEFAULT || v == TD_KV_F32;
    if (out->mode == TD_MODE_EXACT && !(k_fits && v_fits))
        return td_fail(err, TD_ERR_ARGUMENT,
                       "--exact and a KV cache of another type than f32 exclude each other");
    out->experts_on_disk = td_options_bool(o, "experts-on-disk");
    out->materialize_prompt = td_options_bool(o, "materialize-prompt");
    out->kv_type = k;
    out->kv_value_type = v;
    /* With --cache-type-k alone the values keep their default, which is not the keys' type. */
    if (v == TD_KV_DEFAULT && k != TD_KV_DEFAULT)
        out->kv_value_type = out->mode == TD_MODE_EXACT ? TD_KV_F32 : TD_KV_F16;
    return TD_OK;
}

static bool show_progress(void *user, const char *stage, uint64_t done, uint64_t total) {
    td_progress_update(user, stage, done, total);
    return !td_interrupt_seen();
}

td_engine *td_cmd_load(td_engine_options *options) {
    td_progress progress;
    td_progress_init(&progress, stderr, isatty(STDERR_FILENO) != 0);
    options->progress = show_progress;
    options->progress_user = &progress;
    td_engine *engine = NULL;
    td_err err;
    const td_status status = td_engine_create(&engine, options, &err);
    td_progress_finish(&progress);
    if (status != TD_OK) (void)td_cmd_fail(&err);
    return engine;
}
