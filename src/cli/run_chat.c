/* run_chat.c - the conversation at a terminal.
 *
 * The message list is the truth: each turn renders all of it anew, and run_answer.c finds how much
 * of it the sequence still holds.  Without a chat template the truth is one growing text. */
#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/run.h"

enum { MAX_MESSAGES = 4096 };

/* Lifetime: the conversation.  Texts lie in the arena, which /clear empties. */
typedef struct chat {
    td_run *run;
    td_run_line *line;
    td_message messages[MAX_MESSAGES];
    int n_message;
    td_strbuf transcript; /* the whole text, with --raw */
    td_arena arena;
} chat;

static const char help_text[] =
    "  /bye                 leave (so does Ctrl-D)\n"
    "  /clear               forget the conversation\n"
    "  /set NAME VALUE      temp, top-k, top-p, min-p, seed, predict ... as --NAME of 'tandem run';\n"
    "                       think on|off|auto, verbose on|off, system TEXT\n"
    "  /help                this\n"
    "  \"\"\"                  begins and ends a text of several lines\n"
    "  Ctrl-C               stops the answer\n";

/* ---- messages ---- */

static td_status add_message(chat *c, const char *role, const char *text, size_t n, td_err *err) {
    if (c->n_message == MAX_MESSAGES)
        return td_fail(err, TD_ERR_LIMIT, "the conversation has %d messages: /clear begins anew",
                       MAX_MESSAGES);
    const char *copy = td_arena_strndup(&c->arena, n ? text : "", n);
    if (!copy) return td_fail_nomem(err, "a message", n + 1);
    c->messages[c->n_message++] = (td_message){.role = role, .content = copy};
    return TD_OK;
}

static bool has_system(const chat *c) {
    return c->n_message > 0 && strcmp(c->messages[0].role, "system") == 0;
}

/* Begins anew, with the system message alone. */
static td_status clear(chat *c, td_err *err) {
    td_arena_clear(&c->arena);
    td_arena_init(&c->arena, 65536);
    c->transcript.n = 0;
    c->n_message = 0;
    const char *system = c->run->config->system;
    return system ? add_message(c, "system", system, strlen(system), err) : TD_OK;
}

/* Forgets the oldest message and its answers. */
static bool forget_oldest(chat *c) {
    const int first = has_system(c);
    int next = first + 1;
    while (next < c->n_message && strcmp(c->messages[next].role, "user") != 0) next++;
    if (next >= c->n_message) return false;
    memmove(&c->messages[first], &c->messages[next],
            (size_t)(c->n_message - next) * sizeof c->messages[0]);
    c->n_message -= next - first;
    return true;
}

/* ---- turns ---- */

static void report_finish(const td_run *r, td_finish finish) {
    if (finish == TD_FINISH_LENGTH && r->config->verbose)
        td_cmd_say("the answer was cut at %d tokens (--predict)", r->config->n_max);
    if (r->config->verbose) td_run_print_stats(r);
}

static td_status answer_messages(chat *c, td_run_answer *answer, td_err *err) {
    for (;;) {
        char *prompt = NULL;
        TD_TRY(td_run_render(c->run, c->messages, c->n_message, &prompt, err));
        const td_status status = td_run_answer_prompt(c->run, prompt, strlen(prompt), answer, err);
        td_string_free(prompt);
        const bool shift = c->run->config->sequence.on_full == TD_ON_FULL_SHIFT;
        if (status != TD_ERR_LIMIT || answer->text.n > 0 || !shift || !forget_oldest(c))
            return status;
        td_cmd_say("the context is full: the oldest message is forgotten");
    }
}

/* One question.  If it fails, it is no part of the conversation. */
static td_status take_turn(chat *c, const char *text, td_err *err) {
    td_run_answer answer = {0};
    bool added = false; /* the question stands at the end of the messages */
    const size_t n_transcript = c->transcript.n;
    td_status status;
    if (c->run->config->raw) {
        td_strbuf_adds(&c->transcript, text);
        status = td_strbuf_check(&c->transcript, "the conversation", err);
        if (status == TD_OK)
            status =
                td_run_answer_prompt(c->run, c->transcript.text, c->transcript.n, &answer, err);
        if (status == TD_OK) td_strbuf_add(&c->transcript, answer.text.text, answer.text.n);
    } else {
        status = add_message(c, "user", text, strlen(text), err);
        added = status == TD_OK;
        if (status == TD_OK) status = answer_messages(c, &answer, err);
        if (status == TD_OK)
            status = add_message(c, "assistant", answer.text.text, answer.text.n, err);
    }
    if (status != TD_OK) {
        if (added) c->n_message--;
        if (c->transcript.n > n_transcript) c->transcript.n = n_transcript;
    } else {
        report_finish(c->run, answer.finish);
    }
    td_strbuf_clear(&answer.text);
    return status;
}

/* ---- commands ---- */

static td_status set_system(chat *c, const char *text, td_err *err) {
    const char *copy = td_arena_strndup(&c->run->config->arena, text, strlen(text));
    if (!copy) return td_fail_nomem(err, "the system message", strlen(text) + 1);
    c->run->config->system = copy;
    if (has_system(c)) {
        c->messages[0].content = copy;
        return TD_OK;
    }
    TD_TRY(add_message(c, "system", text, strlen(text), err));
    const td_message system = c->messages[c->n_message - 1];
    memmove(&c->messages[1], &c->messages[0], (size_t)(c->n_message - 1) * sizeof c->messages[0]);
    c->messages[0] = system;
    return TD_OK;
}

/* "/set NAME VALUE" becomes "--NAME=VALUE". */
static td_status set(chat *c, const char *args, td_err *err) {
    args += strspn(args, " ");
    const size_t n_name = strcspn(args, " ");
    const char *value = args + n_name + strspn(args + n_name, " ");
    if (n_name == 0 || !value[0])
        return td_fail(err, TD_ERR_ARGUMENT, "wanted: /set NAME VALUE; /help says more");
    if (n_name == 6 && memcmp(args, "system", 6) == 0) return set_system(c, value, err);
    td_strbuf word = {0};
    td_strbuf_addf(&word, "--%.*s=%s", (int)n_name, args, value);
    const td_run_config before = *c->run->config;
    td_status status = td_strbuf_check(&word, "/set", err);
    if (status == TD_OK) status = td_run_config_set(c->run->config, word.text, err);
    if (status == TD_OK) status = td_run_config_check(c->run->config, &c->run->info, err);
    td_strbuf_clear(&word);
    if (status == TD_OK)
        status = td_sequence_set_options(c->run->seq, &c->run->config->sequence, err);
    if (status != TD_OK) { /* what did not take effect must not come back with the next /set */
        c->run->config->sequence.sampler = before.sequence.sampler;
        c->run->config->n_max = before.n_max;
        c->run->config->think = before.think;
        c->run->config->verbose = before.verbose;
    }
    return status;
}

/* *leave is set by /bye. */
static td_status take_command(chat *c, const char *text, bool *leave, td_err *err) {
    if (strcmp(text, "/bye") == 0 || strcmp(text, "/exit") == 0 || strcmp(text, "/quit") == 0) {
        *leave = true;
        return TD_OK;
    }
    if (strcmp(text, "/clear") == 0) return clear(c, err);
    if (strncmp(text, "/set", 4) == 0 && (text[4] == ' ' || !text[4])) return set(c, text + 4, err);
    if (strcmp(text, "/help") == 0 || strcmp(text, "/?") == 0) {
        fputs(help_text, stderr);
        return TD_OK;
    }
    return td_fail(err, TD_ERR_ARGUMENT, "unknown command '%.40s'; /help lists them", text);
}

/* ---- lines ---- */

/* Reads on until a line ends with """; text holds what followed the first one. */
static td_run_line_end read_block(chat *c, const char *first, td_strbuf *text) {
    const char *line = first;
    for (;;) {
        const char *end = strstr(line, "\"\"\"");
        td_strbuf_add(text, line, end ? (size_t)(end - line) : strlen(line));
        if (end) return TD_RUN_LINE_READ;
        td_strbuf_addc(text, '\n');
        const td_run_line_end how = td_run_line_read(c->line, "... ", &line);
        if (how != TD_RUN_LINE_READ) return how;
    }
}

/* One text of the user's, which may run over several lines; a block in """ is never a command. */
static td_run_line_end read_text(chat *c, td_strbuf *text, bool *is_command) {
    const char *line;
    *is_command = false;
    text->n = 0;
    const td_run_line_end how = td_run_line_read(c->line, ">>> ", &line);
    if (how != TD_RUN_LINE_READ) return how;
    td_run_line_remember(c->line, line);
    if (strncmp(line, "\"\"\"", 3) == 0) return read_block(c, line + 3, text);
    *is_command = line[0] == '/';
    td_strbuf_adds(text, line);
    return TD_RUN_LINE_READ;
}

static int talk(chat *c) {
    td_strbuf text = {0};
    bool leave = false, interrupted = false;
    td_err err;
    if (clear(c, &err) != TD_OK) return td_cmd_fail(&err);
    while (!leave) {
        bool is_command;
        const td_run_line_end how = read_text(c, &text, &is_command);
        if (how == TD_RUN_LINE_EOF || (how == TD_RUN_LINE_INTERRUPTED && interrupted)) break;
        interrupted = how == TD_RUN_LINE_INTERRUPTED;
        if (interrupted) fputs("(Ctrl-C again, Ctrl-D or /bye leaves)\n", stderr);
        if (interrupted || text.n == 0) continue;
        td_status status = td_strbuf_check(&text, "the text", &err);
        if (status == TD_OK && is_command)
            status = take_command(c, text.text, &leave, &err);
        else if (status == TD_OK)
            status = take_turn(c, text.text, &err);
        if (status != TD_OK) (void)td_cmd_fail(&err);
    }
    td_strbuf_clear(&text);
    return TD_EXIT_OK;
}

int td_run_chat(td_run *r) {
    chat *c = td_arena_calloc(&r->config->arena, 1, sizeof *c);
    if (!c) {
        td_cmd_say("out of memory: the conversation");
        return TD_EXIT_FAILURE;
    }
    c->run = r;
    c->line = td_run_line_open();
    if (!c->line) return TD_EXIT_FAILURE;
    fprintf(stderr, "%s (%s). /help lists the commands.\n", r->info.model_name,
            r->info.architecture);
    const int code = talk(c);
    td_run_line_close(c->line);
    td_strbuf_clear(&c->transcript);
    td_arena_clear(&c->arena);
    return code;
}
