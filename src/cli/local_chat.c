/* local_chat.c - `tandem local_chat`: KTransformers' command of that name, with its options, its
 * turns and its figures.
 *
 * Each line of standard input is a question of its own, as there: an empty one stands for the file
 * of --prompt_file, one that names a file for its text, and one that begins with """ goes on until
 * a line ends with """.  Nothing of a turn is kept for the next. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cmd.h"
#include "cli/input.h"
#include "cli/interrupt.h"
#include "cli/out.h"
#include "cli/run.h"
#include "engine/engine.h"

enum { DEFAULT_PREDICT = 1000 };

/* Lifetime: the command. */
typedef struct local_chat {
    td_run *run;
    td_run_line *line; /* NULL: standard input is no terminal */
    td_strbuf text;    /* the question */
    td_strbuf read;    /* a line out of a pipe */
    bool failed;       /* a question of a pipe had no answer */
} local_chat;

/* ---- what is set before the first question ---- */

/* Taken so that a command line from there works as it is. */
static void say_ignored(const td_options *o) {
    static const char why[] = "has no effect: this build computes on the CPU alone";
    const char *device = td_options_string(o, "device");
    if (td_options_bool(o, "use-cuda-graph")) td_cmd_say("--use_cuda_graph %s", why);
    if (device && strcmp(device, "cpu") != 0) td_cmd_say("--device %s %s", device, why);
    if (td_options_choice(o, "mode") == 1)
        td_cmd_say("--mode long_context has no effect: attention is exact, and --cache_lens says "
                   "how far it reaches");
}

static bool has_generation_config(const td_checkpoint *ckpt) {
    static const char prefix[] = "generation_config.";
    for (size_t i = 0; i < td_checkpoint_n_meta(ckpt); i++)
        if (strncmp(td_checkpoint_meta_at(ckpt, i)->key, prefix, strlen(prefix)) == 0) return true;
    return false;
}

/* Sampling as there: by generation_config.json, with transformers' defaults for what it lacks, or
 * with others where there is no such file.  Our flags go before it. */
static td_status set_sampling(td_run *r, td_err *err) {
    static const struct {
        const char *option, *key;
        double in_file, without_file;
    } settings[] = {
        {"temp",  "generation_config.temperature", 1,  0.6 },
        {"top-k", "generation_config.top_k",       50, 50  },
        {"top-p", "generation_config.top_p",       1,  0.95},
        {"min-p", "generation_config.min_p",       0,  0   },
    };
    const td_checkpoint *ckpt = td_engine_checkpoint(r->engine);
    if (td_checkpoint_beside(ckpt)) ckpt = td_checkpoint_beside(ckpt);
    const bool has_file = has_generation_config(ckpt);
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        if (td_options_source(r->options, settings[i].option) != TD_OPTION_UNSET) continue;
        double value = has_file ? settings[i].in_file : settings[i].without_file;
        char word[64];
        TD_TRY(td_checkpoint_get_float(ckpt, settings[i].key, false, &value, err));
        (void)snprintf(word, sizeof word, "--%s=%.9g", settings[i].option, value);
        const td_status status = td_run_config_set(r->config, word, err);
        if (status != TD_OK) return td_fail_in(err, status, "%s", td_checkpoint_path(ckpt));
    }
    return td_sequence_set_options(r->seq, &r->config->sequence, err);
}

/* ---- questions ---- */

/* One line of a pipe, without its newline.  One that memory does not hold ends the pipe. */
static td_run_line_end read_pipe(local_chat *c, const char **line, size_t *n) {
    int byte = EOF;
    td_strbuf_clear_text(&c->read);
    while (!td_interrupt_seen() && !c->read.failed && (byte = getchar()) != EOF && byte != '\n')
        td_strbuf_addc(&c->read, (char)byte);
    if (td_interrupt_seen()) return TD_RUN_LINE_INTERRUPTED;
    if (byte == EOF && c->read.n == 0) return TD_RUN_LINE_EOF;
    td_err err;
    if (td_strbuf_check(&c->read, "a line of standard input", &err) != TD_OK) {
        (void)td_cmd_fail(&err);
        c->failed = true;
        return TD_RUN_LINE_INTERRUPTED;
    }
    *line = c->read.n > 0 ? c->read.text : "";
    *n = c->read.n;
    return TD_RUN_LINE_READ;
}

static td_run_line_end read_line(local_chat *c, const char *prompt, const char **line, size_t *n) {
    if (!c->line) return read_pipe(c, line, n);
    const td_run_line_end how = td_run_line_read(c->line, prompt, line);
    if (how == TD_RUN_LINE_READ) *n = strlen(*line);
    return how;
}

/* Cuts """ off the end of the text from `from` on; false: it is not there. */
static bool cut_quotes(td_strbuf *text, size_t from) {
    if (text->n < from + 3 || memcmp(text->text + text->n - 3, "\"\"\"", 3) != 0) return false;
    text->n -= 3;
    text->text[text->n] = 0;
    return true;
}

/* What the user enters: a line, or several in """. */
static td_run_line_end read_text(local_chat *c) {
    const char *line;
    size_t n;
    td_strbuf_clear_text(&c->text);
    td_run_line_end how = read_line(c, "Chat: ", &line, &n);
    if (how != TD_RUN_LINE_READ) return how;
    if (c->line) td_run_line_remember(c->line, line);
    const bool block = strncmp(line, "\"\"\"", 3) == 0;
    td_strbuf_add(&c->text, block ? line + 3 : line, block ? n - 3 : n);
    size_t from = 0;
    while (block && !cut_quotes(&c->text, from)) {
        td_strbuf_addc(&c->text, '\n');
        from = c->text.n;
        how = read_line(c, "", &line, &n);
        if (how == TD_RUN_LINE_EOF) break;
        if (how != TD_RUN_LINE_READ) return how;
        td_strbuf_add(&c->text, line, n);
    }
    return TD_RUN_LINE_READ;
}

static bool is_file(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* The text that a question stands for; NULL: nothing.  `arena` holds what comes out of files. */
static td_status take_text(local_chat *c, td_arena *arena, const char **text, td_err *err) {
    const char *file = td_options_string(c->run->options, "file");
    size_t n;
    TD_TRY(td_strbuf_check(&c->text, "the question", err));
    *text = c->text.n > 0 ? c->text.text : NULL;
    if (*text && strlen(*text) != c->text.n)
        return td_fail(err, TD_ERR_ARGUMENT, "the question holds a NUL byte");
    if (*text ? !is_file(*text) : !file) return TD_OK;
    file = *text ? *text : file;
    TD_TRY(td_input_read(file, arena, text, &n, err));
    if (strlen(*text) != n)
        return td_fail(err, TD_ERR_ARGUMENT, "'%s' is not text: byte %zu is 0", file,
                       strlen(*text));
    return TD_OK;
}

/* ---- answers ---- */

/* The lines that people's scripts read. */
static void print_figures(const td_run *r, const td_engine_stats *before) {
    td_engine_stats s;
    td_engine_get_stats(r->engine, &s);
    const uint64_t n_prompt = s.n_prefill - before->n_prefill;
    const uint64_t n_answer = s.n_decode - before->n_decode;
    const double prompt_s = s.prefill_seconds - before->prefill_seconds;
    const double answer_s = s.decode_seconds - before->decode_seconds;
    td_out_printf("prompt eval count:    %llu token(s)\n"
                  "prompt eval duration: %.6fs\n"
                  "prompt eval rate:     %.3f tokens/s\n",
                  (unsigned long long)n_prompt, prompt_s,
                  prompt_s > 0 ? (double)n_prompt / prompt_s : 0);
    td_out_printf("eval count:           %llu token(s)\n"
                  "eval duration:        %.6fs\n"
                  "eval rate:            %.3f tokens/s\n",
                  (unsigned long long)n_answer, answer_s,
                  answer_s > 0 ? (double)n_answer / answer_s : 0);
    (void)td_out_flush();
}

static td_status ask(local_chat *c, const char *text, td_run_answer *answer, td_err *err) {
    td_run *r = c->run;
    const td_message messages[] = {
        {.role = "system", .content = r->config->system},
        {.role = "user",   .content = text             }
    };
    const int first = r->config->system ? 0 : 1;
    td_engine_stats before;
    char *prompt = NULL;
    /* What an earlier turn left is no part of the figures. */
    TD_TRY(td_sequence_truncate(r->seq, 0, err));
    if (!r->config->raw) TD_TRY(td_run_render(r, messages + first, 2 - first, &prompt, err));
    td_engine_get_stats(r->engine, &before);
    if (r->config->force_think && prompt) td_out_text("<think>\n");
    if (prompt) text = prompt;
    const td_status status = td_run_answer_prompt(r, text, strlen(text), answer, err);
    td_string_free(prompt);
    if (status == TD_OK) print_figures(r, &before);
    return status;
}

/* One question; *leave: the answer was interrupted, and there is nobody to ask another. */
static td_status take_turn(local_chat *c, bool *leave, td_err *err) {
    td_run_answer answer = {0};
    const char *text = NULL;
    td_arena arena;
    td_arena_init(&arena, 65536);
    td_status status = take_text(c, &arena, &text, err);
    if (status == TD_OK && text) status = ask(c, text, &answer, err);
    const bool cut = text && answer.finish == TD_FINISH_NONE && c->run->config->n_max != 0;
    if (status == TD_OK && cut && !c->line) *leave = c->failed = true;
    if (status == TD_OK && !text && c->line)
        fputs("(an empty line stands for --prompt_file FILE, which was not given)\n", stderr);
    td_strbuf_clear(&answer.text);
    td_arena_clear(&arena);
    return status;
}

static void talk_on(local_chat *c) {
    bool leave = false, interrupted = false, asked = false;
    td_err err;
    while (!leave) {
        const td_run_line_end how = read_text(c);
        /* A pipe that is empty from the start asks for the file. */
        const bool at_once = how == TD_RUN_LINE_EOF && !asked && !c->line;
        if (how == TD_RUN_LINE_EOF && !at_once) break;
        if (how == TD_RUN_LINE_INTERRUPTED && (interrupted || !c->line)) break;
        interrupted = how == TD_RUN_LINE_INTERRUPTED;
        if (interrupted) fputs("(Ctrl-C again or Ctrl-D leaves)\n", stderr);
        if (interrupted) continue;
        asked = true;
        leave = at_once;
        if (take_turn(c, &leave, &err) == TD_OK) continue;
        (void)td_cmd_fail(&err);
        c->failed = !c->line;
    }
}

static int talk(td_run *r) {
    local_chat c = {.run = r};
    td_err err;
    say_ignored(r->options);
    if (td_options_source(r->options, "predict") == TD_OPTION_UNSET)
        r->config->n_max = DEFAULT_PREDICT;
    if (set_sampling(r, &err) != TD_OK) return td_cmd_fail(&err);
    if (r->config->prompt) {
        bool leave;
        td_strbuf_add(&c.text, r->config->prompt, r->config->n_prompt);
        c.failed = take_turn(&c, &leave, &err) != TD_OK && td_cmd_fail(&err) != TD_EXIT_OK;
    } else {
        if (isatty(STDIN_FILENO)) {
            c.line = td_run_line_open();
            if (!c.line) return TD_EXIT_FAILURE;
        }
        talk_on(&c);
        td_run_line_close(c.line);
    }
    td_strbuf_clear(&c.text);
    td_strbuf_clear(&c.read);
    return c.failed ? TD_EXIT_FAILURE : TD_EXIT_OK;
}

/* ---- the command ---- */

/* "deepseek-ai/DeepSeek-V3": a model's name at the hub, where no such folder is. */
static bool is_hub_name(const char *path) {
    const char *slash = strchr(path, '/');
    return slash && slash != path && slash[1] && !strchr(slash + 1, '/') && path[0] != '.' &&
           path[0] != '~' && access(path, F_OK) != 0;
}

static int local_chat_main(const td_options *o) {
    const char *model;
    int i_next;
    if (!td_cmd_take_model(o, 1, &model, &i_next)) return TD_EXIT_USAGE;
    if (is_hub_name(model)) {
        td_cmd_say("there is no folder '%s' here, and models are read from files: download "
                   "configuration and tokenizer first",
                   model);
        return TD_EXIT_FAILURE;
    }
    return td_run_with_options(o, model, talk);
}

const td_cmd td_cmd_local_chat = {&td_local_chat_spec, local_chat_main};
