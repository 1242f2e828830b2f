/* cmd_quantize.c - `tandem quantize`: writes a model again with fewer bits per weight. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/filemap.h"
#include "base/progress.h"
#include "cli/cmd.h"
#include "cli/interrupt.h"
#include "cli/out.h"
#include "jobs/quantize_folder.h"
#include "jobs/quantize_model.h"
#include "tensor/quantize.h"

enum { MAX_TYPES_FILE = 16 << 20 };

/* clang-format off */
static const td_option rows[] = {
    {.name = "threads", .short_name = 't', .type = TD_OPTION_INT, .max = 1024, .def = "0",
     .value = "N", .env = "TANDEM_THREADS",
     .help = "worker threads; 0: as many as CPUs may be used"},
    {.name = "allow-requantize", .type = TD_OPTION_BOOL,
     .help = "convert tensors that are quantized already, too, which loses more than going from "
             "f32, f16 or bf16"},
    {.name = "dry-run", .type = TD_OPTION_BOOL,
     .help = "print each tensor's new type and size, and write nothing; FILE is left out then"},
};
static const td_option mix_rows[] = {
    {.name = "pure", .type = TD_OPTION_BOOL,
     .help = "the mix's main type for all tensors, as far as their shapes allow"},
    {.name = "leave-output-tensor", .type = TD_OPTION_BOOL,
     .help = "keep output.weight as it is"},
    {.name = "output-tensor-type", .type = TD_OPTION_STRING, .value = "TYPE",
     .help = "type of output.weight, such as q8_0"},
    {.name = "token-embedding-type", .type = TD_OPTION_STRING, .value = "TYPE",
     .help = "type of the token embeddings"},
    {.name = "tensor-type", .type = TD_OPTION_LIST, .value = "PATTERN=TYPE",
     .help = "type of the tensors in whose names the regular expression PATTERN is found; may be "
             "given several times, the first that matches wins"},
    {.name = "tensor-type-file", .type = TD_OPTION_STRING, .value = "FILE",
     .help = "read more of PATTERN=TYPE from a file, separated by blanks or newlines"},
};
static const td_option imatrix_rows[] = {
    {.name = "imatrix", .type = TD_OPTION_STRING, .value = "FILE",
     .help = "importance of the columns, as llama-imatrix writes it: GGUF or the older format"},
    {.name = "include-weights", .type = TD_OPTION_LIST, .value = "NAME",
     .help = "use it for tensors with this in their name only; may be given several times"},
    {.name = "exclude-weights", .type = TD_OPTION_LIST, .value = "NAME",
     .help = "do not use it for tensors with this in their name; may be given several times"},
};
static const td_option_refusal refusals[] = {
    {"--keep-split", "the new model is always one file"},
    {"--prune-layers", "layers are not taken out of models"},
    {"--max-buffer-size", "rows go through in small pieces anyway"},
};
/* clang-format on */
static const td_option_group group = {"Quantization", rows, 3};
static const td_option_group mix_group = {"Types of tensors", mix_rows, 6};
static const td_option_group imatrix_group = {"Importance matrix", imatrix_rows, 3};

static const td_option_spec spec = {
    .command = "quantize",
    .arguments = "MODEL FILE TYPE [options]",
    .summary =
        "Writes a model, a GGUF file or a Hugging Face folder, as a GGUF file with other types of "
        "weights: TYPE is the name of one of llama.cpp's mixes, any case, or COPY. F32 F16 BF16 Q8_0 Q6_K Q5_K_M Q5_K_S Q5_K Q5_1 Q5_0 "
        "Q4_K_M Q4_K_S Q4_K Q4_1 Q4_0 IQ4_NL IQ4_XS MXFP4_MOE Q3_K_L Q3_K_M Q3_K_S Q3_K IQ3_M "
        "IQ3_S IQ3_XS IQ3_XXS Q2_K Q2_K_S IQ2_M IQ2_S IQ2_XS IQ2_XXS IQ1_M IQ1_S TQ2_0 TQ1_0. "
        "Q4_K_M is a good first choice; docs/QUANTIZE.md has a table of them.",
    .groups = {&group, &mix_group, &imatrix_group, &td_cmd_talk_options},
    .refusals = refusals,
    .n_refusal = 3,
    .min_positional = 2,
    .max_positional = 3,
};

/* Lifetime: the command. */
typedef struct job {
    const td_options *o;
    const char *model, *path, *type;
    td_checkpoint *ckpt;        /* owned */
    td_quantize_source source;  /* owned */
    td_imatrix *imatrix;        /* owned */
    td_mix_override *overrides; /* owned; [n] */
    size_t n_override, cap_override;
    td_arena arena; /* of texts */
    td_quantize_options options;
    td_progress progress;
} job;

/* ---- options ---- */

/* The type called `name`, as a type of tensors. */
static td_status parse_dtype(const char *name, const char *option, int *out, td_err *err) {
    *out = td_dtype_from_name(name);
    if (*out >= 0 && *out < TD_N_GGUF_DTYPE && td_dtype_can_quantize((td_dtype)*out)) return TD_OK;
    return td_fail(err, TD_ERR_ARGUMENT,
                   "--%s: '%s' is no type that can be written, wanted one "
                   "such as q4_k, iq3_s, q8_0, f16",
                   option, name);
}

static td_status take_dtype(const job *j, const char *option, int *out, td_err *err) {
    const char *name = td_options_string(j->o, option);
    *out = -1;
    return name ? parse_dtype(name, option, out, err) : TD_OK;
}

/* "PATTERN=TYPE".  Names of tensors are in lower case, so the pattern is made so. */
static td_status take_override(job *j, const char *text, td_err *err) {
    const char *equals = strrchr(text, '=');
    if (!equals || equals == text)
        return td_fail(err, TD_ERR_ARGUMENT, "--tensor-type: '%s', wanted PATTERN=TYPE", text);
    int dtype;
    TD_TRY(parse_dtype(equals + 1, "tensor-type", &dtype, err));
    char *pattern = td_arena_strndup(&j->arena, text, (size_t)(equals - text));
    if (!pattern) return td_fail_nomem(err, "a pattern", strlen(text));
    bool escaped = false; /* \S is not \s */
    for (char *c = pattern; *c; c++) {
        if (!escaped) *c = (char)tolower((unsigned char)*c);
        escaped = *c == '\\' && !escaped;
    }
    TD_TRY(td_grow((void **)&j->overrides, &j->cap_override, j->n_override + 1,
                   sizeof *j->overrides, "the patterns", err));
    j->overrides[j->n_override++] = (td_mix_override){pattern, (td_dtype)dtype};
    return TD_OK;
}

static td_status take_overrides_of_file(job *j, const char *path, td_err *err) {
    char *text;
    size_t n;
    TD_TRY(td_file_read(path, MAX_TYPES_FILE, &text, &n, err));
    td_status status = TD_OK;
    char *rest;
    for (char *word = strtok_r(text, " \t\r\n", &rest); word && status == TD_OK;
         word = strtok_r(NULL, " \t\r\n", &rest)) {
        status = take_override(j, word, err);
        if (status != TD_OK) status = td_fail_in(err, status, "%s", path);
    }
    td_free(text);
    return status;
}

static td_status take_overrides(job *j, td_err *err) {
    int n;
    const char *const *texts = td_options_list(j->o, "tensor-type", &n);
    for (int i = 0; i < n; i++) TD_TRY(take_override(j, texts[i], err));
    const char *path = td_options_string(j->o, "tensor-type-file");
    if (path) TD_TRY(take_overrides_of_file(j, path, err));
    j->options.mix.overrides = j->overrides;
    j->options.mix.n_override = (int)j->n_override;
    return TD_OK;
}

static td_status take_mix(job *j, td_err *err) {
    td_mix_options *mix = &j->options.mix;
    mix->only_copy = strcasecmp(j->type, "COPY") == 0;
    TD_TRY(td_mix_find(&mix->mix, mix->only_copy ? "F32" : j->type, err));
    mix->pure = td_options_bool(j->o, "pure");
    mix->leave_output = td_options_bool(j->o, "leave-output-tensor");
    TD_TRY(take_dtype(j, "output-tensor-type", &mix->output_dtype, err));
    TD_TRY(take_dtype(j, "token-embedding-type", &mix->token_embd_dtype, err));
    return take_overrides(j, err);
}

static td_status take_imatrix(job *j, td_err *err) {
    int n_include, n_exclude;
    const char *path = td_options_string(j->o, "imatrix");
    const char *const *include = td_options_list(j->o, "include-weights", &n_include);
    const char *const *exclude = td_options_list(j->o, "exclude-weights", &n_exclude);
    if (n_include > 0 && n_exclude > 0)
        return td_fail(err, TD_ERR_ARGUMENT,
                       "--include-weights and --exclude-weights exclude each other");
    if (!path) return TD_OK;
    TD_TRY(td_imatrix_open(&j->imatrix, path, err));
    if (n_include > 0) td_imatrix_filter(j->imatrix, include, n_include, 1);
    if (n_exclude > 0) td_imatrix_filter(j->imatrix, exclude, n_exclude, 0);
    if (td_imatrix_n_entry(j->imatrix) > 0) j->options.imatrix = j->imatrix;
    td_cmd_say("%s: %zu entries", path, td_imatrix_n_entry(j->imatrix));
    return TD_OK;
}

/* Writing over the model would be the end of it. */
static td_status check_path(const job *j, td_err *err) {
    struct stat model, path;
    if (!j->path || stat(j->path, &path) != 0) return TD_OK;
    for (int i = 0; i < td_checkpoint_n_file(j->ckpt); i++) {
        const char *file = td_checkpoint_file(j->ckpt, i);
        if (stat(file, &model) == 0 && model.st_dev == path.st_dev && model.st_ino == path.st_ino)
            return td_fail(err, TD_ERR_ARGUMENT, "'%s' is the model itself, wanted another file",
                           j->path);
    }
    return TD_OK;
}

/* ---- what is said ---- */

static double mib(uint64_t n) { return (double)n / 1048576.0; }

static void say_result(const td_quantize_result *r) {
    td_cmd_say("%zu tensors, %zu of them converted: %.2f MiB (%.2f bits per weight) to %.2f MiB "
               "(%.2f)",
               r->n_tensor, r->n_quantized, mib(r->n_bytes_in),
               r->n_elem ? 8.0 * (double)r->n_bytes_in / (double)r->n_elem : 0.0,
               mib(r->n_bytes_out),
               r->n_elem ? 8.0 * (double)r->n_bytes_out / (double)r->n_elem : 0.0);
    if (r->n_fell_back > 0)
        td_cmd_say("%zu tensors got another type than the mix has for them, because their rows are "
                   "no whole blocks of it",
                   r->n_fell_back);
}

/* Of a dry run: one that writes has refused. */
static void say_needs(const job *j, const td_quantize_result *r) {
    if (r->n_needs_imatrix > 0 && !j->options.imatrix)
        td_cmd_say(
            "%zu tensors need an importance matrix, and none is given: this would be refused",
            r->n_needs_imatrix);
}

static void print_plan(const job *j, const td_mix_choice *choices) {
    for (size_t i = 0; i < j->source.n_tensor; i++) {
        const td_tensor *t = j->source.tensors[i];
        td_out_plain(t->name, strlen(t->name), 40);
        td_out_printf("  %8s -> %s%s\n", td_dtype_name((int)t->dtype),
                      td_dtype_name((int)choices[i].dtype),
                      choices[i].fell_back ? "  (fallback)" : "");
    }
}

static bool show_progress(void *user, uint64_t done, uint64_t total) {
    td_progress_update(user, "quantizing", done, total);
    return !td_interrupt_seen();
}

/* ---- the command ---- */

static td_status plan(job *j, td_quantize_result *r, td_err *err) {
    td_mix_choice *choices = td_calloc(j->source.n_tensor, sizeof *choices);
    if (!choices) return td_fail_nomem(err, "the tensor table", j->source.n_tensor);
    const td_status status = td_quantize_plan(&j->options, choices, r, err);
    if (status == TD_OK) print_plan(j, choices);
    td_free(choices);
    return status;
}

static td_status convert(job *j, td_quantize_result *r, td_err *err) {
    td_progress_init(&j->progress, stderr, isatty(STDERR_FILENO) != 0);
    j->options.report = show_progress;
    j->options.user = &j->progress;
    j->options.path = j->path;
    td_interrupt_install();
    const td_status status = td_quantize_run(&j->options, r, err);
    td_progress_finish(&j->progress);
    return status;
}

static bool is_folder(const job *j) {
    return j->ckpt && td_checkpoint_get_kind(j->ckpt) == TD_CHECKPOINT_HF;
}

static td_status open_source(job *j, td_err *err) {
    return is_folder(j) ? td_quantize_folder_open(&j->source, j->ckpt, err)
                        : td_quantize_gguf_open(&j->source, j->ckpt, err);
}

static void close_source(job *j) {
    if (is_folder(j))
        td_quantize_folder_close(&j->source);
    else
        td_quantize_gguf_close(&j->source);
}

static td_status quantize(job *j, td_err *err) {
    TD_TRY(take_mix(j, err));
    TD_TRY(take_imatrix(j, err));
    TD_TRY(td_checkpoint_open(&j->ckpt, j->model, err));
    TD_TRY(check_path(j, err));
    TD_TRY(open_source(j, err));
    j->options.source = &j->source;
    j->options.allow_requantize = td_options_bool(j->o, "allow-requantize");
    j->options.n_thread = (int)td_options_int(j->o, "threads");
    td_quantize_result r;
    TD_TRY(j->path ? convert(j, &r, err) : plan(j, &r, err));
    say_result(&r);
    say_needs(j, &r);
    return TD_OK;
}

static int quantize_main(const td_options *o) {
    const bool dry = td_options_bool(o, "dry-run");
    if (!dry && o->n_positional < 3)
        return td_cmd_usage("an argument is missing, wanted: tandem quantize MODEL FILE TYPE");
    job j = {.o = o,
             .model = o->positional[0],
             .path = dry ? NULL : o->positional[1],
             .type = o->positional[o->n_positional - 1]};
    td_arena_init(&j.arena, 4096);
    if (!td_cmd_open_log(o)) return TD_EXIT_FAILURE;
    td_err err;
    const td_status status = quantize(&j, &err);
    close_source(&j);
    td_checkpoint_close(j.ckpt);
    td_imatrix_free(j.imatrix);
    td_free(j.overrides);
    td_arena_clear(&j.arena);
    int code = TD_EXIT_OK;
    if (status == TD_ERR_ARGUMENT)
        code = td_cmd_usage("%s", err.msg);
    else if (status != TD_OK)
        code = td_cmd_fail(&err);
    return td_cmd_close_log(code);
}

const td_cmd td_cmd_quantize = {&spec, quantize_main};
