/* run_config.c - from options to a td_run_config. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "cli/cmd.h"
#include "cli/input.h"
#include "cli/run.h"

/* ---- sampling ---- */

/* Each of these leaves *out alone if the option was not given and only given ones count. */
static void take_float(const td_options *o, const char *name, bool only_given, float *out) {
    if (only_given && td_options_source(o, name) == TD_OPTION_UNSET) return;
    *out = (float)td_options_float(o, name);
}

static void take_int(const td_options *o, const char *name, bool only_given, int *out) {
    if (only_given && td_options_source(o, name) == TD_OPTION_UNSET) return;
    *out = (int)td_options_int(o, name);
}

static void take_seed(const td_options *o, bool only_given, uint64_t *out) {
    if (only_given && td_options_source(o, "seed") == TD_OPTION_UNSET) return;
    const int64_t seed = td_options_int(o, "seed");
    *out = (uint64_t)seed;
    /* 32 random bits, so that the seed printed is easily typed.  Where there is no randomness to be
     * had, -1 taken as a number does as well. */
    uint32_t bits;
    if (seed < 0 && getrandom(&bits, sizeof bits, GRND_NONBLOCK) == sizeof bits) *out = bits;
}

/* Zero means "off" on the command line, but "the default" in the API: what is off is taken out. */
static void take_windows(const td_options *o, bool only_given, td_sampler_options *s) {
    take_int(o, "repeat-last-n", only_given, &s->penalty_last_n);
    if (td_options_int(o, "repeat-last-n") == 0) {
        s->repeat_penalty = 0.0f;
        s->presence_penalty = s->frequency_penalty = 0.0f;
    }
    int dry_last_n = s->dry_last_n;
    take_int(o, "dry-penalty-last-n", only_given, &dry_last_n);
    s->dry_last_n = dry_last_n < 0 ? 0 : dry_last_n;
    if (td_options_int(o, "dry-penalty-last-n") == 0) s->dry_multiplier = 0.0f;
}

static td_status take_breakers(const td_options *o, td_sampler_options *s, td_arena *arena,
                               td_err *err) {
    int n;
    const char *const *texts = td_options_list(o, "dry-sequence-breaker", &n);
    if (n == 0) return TD_OK;
    const char **breakers = td_arena_calloc(arena, (size_t)n, sizeof *breakers);
    if (!breakers) return td_fail_nomem(err, "the DRY breakers", (size_t)n * sizeof *breakers);
    for (int i = 0; i < n; i++) {
        size_t n_text;
        TD_TRY(td_input_unescape(texts[i], arena, &breakers[i], &n_text, err));
        if (n_text == 0)
            return td_fail(err, TD_ERR_ARGUMENT, "--dry-sequence-breaker is empty, wanted a text");
    }
    s->dry_breakers = breakers;
    s->n_dry_breaker = n;
    return TD_OK;
}

/* "15043+1.5" */
static bool parse_bias(const char *text, td_token *token, float *value) {
    char *end;
    if (text[0] < '0' || text[0] > '9') return false;
    errno = 0;
    const long id = strtol(text, &end, 10);
    if (errno != 0 || id > INT32_MAX || (*end != '+' && *end != '-')) return false;
    const char *number = end;
    *token = (td_token)id;
    *value = strtof(number, &end);
    return end != number && *end == 0 && !isnan(*value);
}

static td_status take_biases(const td_options *o, td_sampler_options *s, td_arena *arena,
                             td_err *err) {
    int n;
    const char *const *texts = td_options_list(o, "logit-bias", &n);
    if (n == 0) return TD_OK;
    td_token *tokens = td_arena_calloc(arena, (size_t)n, sizeof *tokens);
    float *values = td_arena_calloc(arena, (size_t)n, sizeof *values);
    if (!tokens || !values) return td_fail_nomem(err, "the logit biases", (size_t)n * 8);
    for (int i = 0; i < n; i++)
        if (!parse_bias(texts[i], &tokens[i], &values[i]))
            return td_fail(err, TD_ERR_ARGUMENT,
                           "--logit-bias: '%s' is none, wanted TOKEN+BIAS or TOKEN-BIAS with a "
                           "token id, such as 15043+1.5",
                           texts[i]);
    s->bias_tokens = tokens;
    s->bias_values = values;
    s->n_bias = n;
    return TD_OK;
}

static td_status take_sampler(const td_options *o, bool only_given, td_sampler_options *s,
                              td_arena *arena, td_err *err) {
    take_float(o, "temp", only_given, &s->temperature);
    take_seed(o, only_given, &s->seed);
    take_int(o, "top-k", only_given, &s->top_k);
    take_float(o, "top-p", only_given, &s->top_p);
    take_float(o, "min-p", only_given, &s->min_p);
    take_float(o, "typical", only_given, &s->typical_p);
    take_float(o, "xtc-probability", only_given, &s->xtc_probability);
    take_float(o, "xtc-threshold", only_given, &s->xtc_threshold);
    take_float(o, "repeat-penalty", only_given, &s->repeat_penalty);
    take_float(o, "presence-penalty", only_given, &s->presence_penalty);
    take_float(o, "frequency-penalty", only_given, &s->frequency_penalty);
    take_float(o, "dry-multiplier", only_given, &s->dry_multiplier);
    take_float(o, "dry-base", only_given, &s->dry_base);
    take_int(o, "dry-allowed-length", only_given, &s->dry_allowed_length);
    take_windows(o, only_given, s);
    TD_TRY(take_breakers(o, s, arena, err));
    return take_biases(o, s, arena, err);
}

/* ---- text ---- */

static td_status take_stops(const td_options *o, td_sequence_options *s, td_arena *arena,
                            td_err *err) {
    int n;
    const char *const *texts = td_options_list(o, "stop", &n);
    if (n == 0) return TD_OK;
    const char **stops = td_arena_calloc(arena, (size_t)n, sizeof *stops);
    if (!stops) return td_fail_nomem(err, "the stop texts", (size_t)n * sizeof *stops);
    for (int i = 0; i < n; i++) {
        size_t n_text;
        TD_TRY(td_input_unescape(texts[i], arena, &stops[i], &n_text, err));
        if (n_text == 0) return td_fail(err, TD_ERR_ARGUMENT, "--stop is empty, wanted a text");
    }
    s->stops = stops;
    s->n_stop = n;
    return TD_OK;
}

/* The grammar or schema; of the four options that give one, one at most. */
static td_status take_grammar(td_run_config *c, const td_options *o, td_err *err) {
    static const char *const names[] = {"grammar", "grammar-file", "json-schema",
                                        "json-schema-file"};
    const char *given = NULL;
    for (int i = 0; i < 4; i++) {
        const char *value = td_options_string(o, names[i]);
        if (!value) continue;
        if (given)
            return td_fail(err, TD_ERR_ARGUMENT, "--%s and --%s exclude each other", given,
                           names[i]);
        given = names[i];
        if (i % 2 == 1) {
            const char *path = value;
            size_t n;
            TD_TRY(td_input_read(path, &c->arena, &value, &n, err));
            if (strlen(value) != n)
                return td_fail(err, TD_ERR_ARGUMENT, "--%s: '%s' is not text: byte %zu is 0", given,
                               path, strlen(value));
        }
        *(i < 2 ? &c->sequence.grammar : &c->sequence.json_schema) = value;
    }
    if (given && c->sequence.ignore_end)
        return td_fail(err, TD_ERR_ARGUMENT, "--%s and --ignore-eos exclude each other", given);
    return TD_OK;
}

/* One newline at the end of a file or pipe is the file's, not the prompt's. */
static td_status read_prompt(td_run_config *c, const char *path, td_err *err) {
    TD_TRY(td_input_read(path, &c->arena, &c->prompt, &c->n_prompt, err));
    if (c->n_prompt > 0 && c->prompt[c->n_prompt - 1] == '\n') c->n_prompt--;
    if (c->n_prompt > 0) return TD_OK;
    if (strcmp(path, "-") == 0)
        return td_fail(err, TD_ERR_IO,
                       "no prompt: standard input is empty; say -p TEXT, or start at a terminal");
    return td_fail(err, TD_ERR_IO, "no prompt: '%s' is empty", path);
}

static td_status take_texts(td_run_config *c, const td_options *o, td_err *err) {
    const char *prompt = td_options_string(o, "prompt"), *file = td_options_string(o, "file");
    c->system = td_options_string(o, "system");
    if (prompt && file)
        return td_fail(err, TD_ERR_ARGUMENT, "--prompt and --file exclude each other");
    c->prompt = prompt;
    c->n_prompt = prompt ? strlen(prompt) : 0;
    if (td_options_bool(o, "escape")) {
        size_t n;
        if (prompt) TD_TRY(td_input_unescape(prompt, &c->arena, &c->prompt, &c->n_prompt, err));
        if (c->system) TD_TRY(td_input_unescape(c->system, &c->arena, &c->system, &n, err));
    }
    if (c->raw && c->system)
        return td_fail(err, TD_ERR_ARGUMENT,
                       "--system has no place with --raw, which uses no chat template");
    return TD_OK;
}

td_status td_run_config_read_prompt(td_run_config *c, const td_options *o, td_err *err) {
    const char *file = td_options_string(o, "file");
    if (file) return read_prompt(c, file, err);
    return !c->prompt && !isatty(STDIN_FILENO) ? read_prompt(c, "-", err) : TD_OK;
}

static td_status take_template(td_run_config *c, const td_options *o, td_err *err) {
    c->vars = td_options_string(o, "vars");
    c->think = td_options_choice(o, "think");
    c->force_think = td_options_bool(o, "force-think");
    if (c->raw && c->force_think)
        return td_fail(err, TD_ERR_ARGUMENT,
                       "--force-think has no place with --raw, which uses no chat template");
    if (c->vars && c->vars[strspn(c->vars, " \t\r\n")] != '{')
        return td_fail(err, TD_ERR_ARGUMENT,
                       "--vars: '%.40s' is no JSON object, wanted {\"name\": value, ...}", c->vars);
    const char *path = td_options_string(o, "template");
    size_t n;
    if (path) TD_TRY(td_input_read(path, &c->arena, &c->template_source, &n, err));
    return TD_OK;
}

/* ---- all together ---- */

static td_status take_engine(td_run_config *c, const td_options *o, td_err *err) {
    TD_TRY(td_cmd_engine_options(o, &c->engine, err));
    c->engine.model_path = c->model;
    c->engine.weights_path = td_cmd_weights(o, c->model);
    c->engine.rules_path = td_options_string(o, "rules");
    c->engine.strict_rules = td_options_bool(o, "strict");
    if (td_options_source(o, "ctx-size") != TD_OPTION_UNSET) {
        const int n_ctx = (int)td_options_int(o, "ctx-size");
        c->engine.n_ctx = n_ctx > 0 ? n_ctx : TD_N_CTX_LARGEST;
    }
    c->router_stats_path = td_options_string(o, "router-stats");
    c->engine.count_experts = c->router_stats_path != NULL;
    const char *const *dump = td_options_pair(o, "dump");
    c->engine.dump_pattern = dump ? dump[0] : NULL;
    c->engine.dump_dir = dump ? dump[1] : NULL;
    return TD_OK;
}

static td_status take_on_full(td_run_config *c, const td_options *o, td_err *err) {
    static const td_on_full ways[] = {TD_ON_FULL_STOP, TD_ON_FULL_SHIFT, TD_ON_FULL_ERROR};
    c->sequence.on_full = ways[td_options_choice(o, "on-full")];
    c->sequence.n_keep = (int)td_options_int(o, "keep");
    if (td_options_source(o, "context-shift") == TD_OPTION_UNSET) return TD_OK;
    const td_on_full way = td_options_bool(o, "context-shift") ? TD_ON_FULL_SHIFT : TD_ON_FULL_STOP;
    if (td_options_source(o, "on-full") != TD_OPTION_UNSET && way != c->sequence.on_full)
        return td_fail(err, TD_ERR_ARGUMENT,
                       "--on-full and --%scontext-shift contradict each other",
                       way == TD_ON_FULL_SHIFT ? "" : "no-");
    c->sequence.on_full = way;
    return TD_OK;
}

static td_status read_all(td_run_config *c, const td_options *o, td_err *err) {
    c->verbose = td_options_bool(o, "verbose");
    c->raw = td_options_bool(o, "raw");
    c->n_max = (int)td_options_int(o, "predict");
    c->logprobs_path = td_options_string(o, "logprobs");
    c->session_path = td_options_string(o, "session");
    c->has_seed = td_options_int(o, "seed") >= 0;
    c->sequence.show_special = td_options_bool(o, "special");
    c->sequence.ignore_end = td_options_bool(o, "ignore-eos");
    TD_TRY(take_on_full(c, o, err));
    TD_TRY(take_engine(c, o, err));
    TD_TRY(take_sampler(o, false, &c->sequence.sampler, &c->arena, err));
    TD_TRY(take_stops(o, &c->sequence, &c->arena, err));
    TD_TRY(take_grammar(c, o, err));
    TD_TRY(take_template(c, o, err));
    return take_texts(c, o, err);
}

td_status td_run_config_read(td_run_config *c, const td_options *o, const char *model,
                             td_err *err) {
    *c = (td_run_config){.model = model};
    td_arena_init(&c->arena, 65536);
    const td_status status = read_all(c, o, err);
    if (status != TD_OK) td_run_config_clear(c);
    return status;
}

void td_run_config_clear(td_run_config *c) {
    td_arena_clear(&c->arena);
    *c = (td_run_config){0};
}

/* clang-format off */
static const td_option set_rows[] = {
    {.name = "predict", .short_name = 'n', .type = TD_OPTION_INT, .min = -1, .max = 1 << 30,
     .value = "N", .aliases = "--n",
     .help = "tokens per answer"},
    {.name = "think", .type = TD_OPTION_CHOICE, .value = "off|on|auto",
     .help = "let the model think"},
    {.name = "verbose", .type = TD_OPTION_BOOL,
     .help = "figures after each answer"},
};
/* clang-format on */

/* For /set, where only the word itself counts. */
static const char *no_env(void *user, const char *name) {
    (void)user;
    (void)name;
    return NULL;
}

td_status td_run_config_set(td_run_config *c, const char *word, td_err *err) {
    static const td_option_group group = {"Answer", set_rows, 3};
    static const td_option_spec spec = {
        .command = "/set", .arguments = "NAME VALUE", .groups = {&group, &td_run_sampler_options}
    };
    td_options o;
    TD_TRY(td_options_parse(
        &o, &(td_option_input){.spec = &spec, .argc = 1, .argv = &word, .env = no_env}, err));
    td_sampler_options sampler = c->sequence.sampler;
    const td_status status = take_sampler(&o, true, &sampler, &c->arena, err);
    if (status == TD_OK) {
        c->sequence.sampler = sampler;
        take_int(&o, "predict", true, &c->n_max);
        const int think = td_options_choice(&o, "think");
        if (think >= 0) c->think = think == 2 ? -1 : think;
        if (td_options_source(&o, "verbose") != TD_OPTION_UNSET)
            c->verbose = td_options_bool(&o, "verbose");
    }
    td_options_clear(&o);
    return status;
}

td_status td_run_config_check(const td_run_config *c, const td_engine_info *info, td_err *err) {
    const td_sampler_options *s = &c->sequence.sampler;
    for (int i = 0; i < s->n_bias; i++)
        if (s->bias_tokens[i] >= info->n_vocab)
            return td_fail(err, TD_ERR_ARGUMENT,
                           "--logit-bias: token %d is out of range, wanted 0 to %d",
                           s->bias_tokens[i], info->n_vocab - 1);
    return TD_OK;
}
