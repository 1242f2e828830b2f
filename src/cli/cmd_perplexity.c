/* cmd_perplexity.c - `tandem perplexity`: how well a model predicts a text. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/progress.h"
#include "cli/cmd.h"
#include "cli/input.h"
#include "cli/interrupt.h"
#include "cli/out.h"
#include "jobs/perplexity.h"

/* clang-format off */
static const td_option rows[] = {
    {.name = "ctx-size", .short_name = 'c', .type = TD_OPTION_INT, .min = 4, .max = 1 << 24,
     .def = "512", .value = "N", .aliases = "--ctx",
     .help = "tokens per chunk"},
    {.name = "chunks", .type = TD_OPTION_INT, .max = 1 << 30, .def = "0", .value = "N",
     .help = "chunks at most; 0: all"},
    {.name = "compare-exact", .type = TD_OPTION_BOOL,
     .help = "evaluate each chunk in exact mode too, and print how far the two are apart"},
    {.name = "json", .type = TD_OPTION_BOOL,
     .help = "print JSON"},
};
/* clang-format on */
static const td_option_group group = {"Perplexity", rows, 4};

static const td_option_spec spec = {
    .command = "perplexity",
    .arguments = "MODEL FILE [options]",
    .summary = "Measures how well a model predicts a text: the text is cut into chunks and the "
               "second half of each is scored, as llama.cpp does it, so that figures compare.",
    .groups = {&td_cmd_model_options, &group, &td_cmd_compute_options, &td_cmd_talk_options},
    .max_positional = 2,
};

/* Lifetime: the command. */
typedef struct job {
    const td_options *o;
    td_engine *engine, *exact; /* owned; exact NULL: not compared */
    td_perplexity_options options;
    bool json;
    td_progress progress;
} job;

/* Prints the running value as soon as a chunk is done. */
static bool report_chunk(void *user, int i_chunk, const td_perplexity_result *r) {
    job *j = user;
    td_progress_finish(&j->progress);
    const double value = td_perplexity_value(&r->nll);
    if (j->json)
        td_out_printf("%s%.9g", i_chunk ? ", " : "", value);
    else
        td_out_printf("[%d] %.4f\n", i_chunk + 1, value);
    return td_out_flush() && !td_interrupt_seen();
}

static void print_json(const job *j, const td_perplexity_result *r) {
    td_out_printf("],\n \"n_ctx\": %d, \"n_chunk\": %d, \"n_scored\": %llu,\n", j->options.n_ctx,
                  r->n_chunk, (unsigned long long)r->nll.n);
    td_out_printf(" \"perplexity\": %.9g, \"error\": %.9g", td_perplexity_value(&r->nll),
                  td_perplexity_error(&r->nll));
    if (j->exact)
        td_out_printf(",\n \"exact_perplexity\": %.9g, \"exact_error\": %.9g,\n \"kl\": %.9g, "
                      "\"kl_error\": %.9g, \"same_argmax\": %.9g",
                      td_perplexity_value(&r->baseline_nll), td_perplexity_error(&r->baseline_nll),
                      td_mean_value(&r->kl), td_mean_error(&r->kl), td_mean_value(&r->same_argmax));
    td_out_text("}\n");
}

static void print_text(const job *j, const td_perplexity_result *r) {
    if (j->exact) {
        td_out_printf("exact PPL = %.4f +/- %.5f\n", td_perplexity_value(&r->baseline_nll),
                      td_perplexity_error(&r->baseline_nll));
        td_out_printf("mean KL(exact || native) = %.6f +/- %.6f nats\n", td_mean_value(&r->kl),
                      td_mean_error(&r->kl));
        td_out_printf("same argmax = %.3f %%\n", 100.0 * td_mean_value(&r->same_argmax));
    }
    td_out_printf("PPL = %.4f +/- %.5f\n", td_perplexity_value(&r->nll),
                  td_perplexity_error(&r->nll));
}

/* Tokenizes the file.  llama.cpp drops one newline at its end: so do we. */
static td_status read_tokens(job *j, const char *path, td_token **tokens, td_err *err) {
    td_arena arena;
    td_arena_init(&arena, 65536);
    const char *text;
    size_t n;
    td_status status = td_input_read(path, &arena, &text, &n, err);
    if (status == TD_OK && n > 0 && text[n - 1] == '\n') n--;
    if (status == TD_OK)
        status = td_engine_tokenize(j->engine, text, n, TD_TOKENIZE_ADD_SPECIAL, tokens,
                                    &j->options.n_token, err);
    td_arena_clear(&arena);
    return status;
}

static int measure(job *j, const char *path) {
    td_token *tokens = NULL;
    td_err err;
    if (read_tokens(j, path, &tokens, &err) != TD_OK) return td_cmd_fail(&err);
    j->options.engine = j->engine;
    j->options.baseline = j->exact;
    j->options.tokens = tokens;
    j->options.report = report_chunk;
    j->options.user = j;
    td_cmd_say("%d tokens, %d chunks of %d", j->options.n_token, td_perplexity_n_chunk(&j->options),
               j->options.n_ctx);
    if (j->json) td_out_text("{\"running\": [");
    td_perplexity_result r;
    td_interrupt_attach(j->engine);
    const td_status status = td_perplexity_run(&j->options, &r, &err);
    const bool interrupted = td_interrupt_seen();
    td_interrupt_attach(NULL);
    td_tokens_free(tokens);
    if (status != TD_OK) return td_cmd_fail(&err);
    if (interrupted) td_cmd_say("stopped after %d chunks", r.n_chunk);
    (j->json ? print_json : print_text)(j, &r);
    return interrupted ? TD_EXIT_FAILURE : TD_EXIT_OK;
}

static int load_and_measure(job *j, const char *model, const char *path) {
    td_engine_options options = {.model_path = model,
                                 .weights_path = td_cmd_weights(j->o, model),
                                 .n_ctx = j->options.n_ctx};
    td_err err;
    if (td_cmd_engine_options(j->o, &options, &err) != TD_OK) return td_cmd_usage("%s", err.msg);
    td_interrupt_install();
    j->engine = td_cmd_load(&options);
    if (!j->engine) return TD_EXIT_FAILURE;
    if (td_options_bool(j->o, "compare-exact")) {
        options.mode = TD_MODE_EXACT;
        options.kv_type = options.kv_value_type = TD_KV_DEFAULT;
        j->exact = td_cmd_load(&options);
        if (!j->exact) return TD_EXIT_FAILURE;
    }
    return measure(j, path);
}

static int perplexity_main(const td_options *o) {
    const char *model;
    int i_next;
    if (!td_cmd_take_model(o, 2, &model, &i_next)) return TD_EXIT_USAGE;
    if (td_options_bool(o, "exact") && td_options_bool(o, "compare-exact"))
        return td_cmd_usage("--exact and --compare-exact exclude each other");
    job j = {
        .o = o,
        .options = {.n_ctx = (int)td_options_int(o, "ctx-size"),
                    .n_chunk = (int)td_options_int(o, "chunks")},
        .json = td_options_bool(o, "json")
    };
    if (!td_cmd_open_log(o)) return TD_EXIT_FAILURE;
    const int code = load_and_measure(&j, model, o->positional[i_next]);
    td_engine_free(j.exact);
    td_engine_free(j.engine);
    return td_cmd_close_log(code);
}

const td_cmd td_cmd_perplexity = {&spec, perplexity_main};
