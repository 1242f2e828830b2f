/* run.h - the parts of `tandem run`.
 *
 *   run_options.c   the option tables
 *   run_config.c    what the options say, as a td_run_config
 *   run_answer.c    prompt -> tokens -> answer, for one turn
 *   run_output.c    the answer on its way to standard output
 *   run_logprobs.c  the file of --logprobs
 *   run_line.c      a line typed at a terminal
 *   run_chat.c      the conversation at a terminal
 *   run.c           the command itself
 *   local_chat.c    KTransformers' command, of the same parts
 *
 * They use the public API alone, and so show that it suffices. */
#ifndef TD_CLI_RUN_H
#define TD_CLI_RUN_H

#include <stdbool.h>
#include <stddef.h>

#include "tandem.h"

#include "base/options.h"
#include "base/outfile.h"

/* ---- run_options.c ---- */

extern const td_option_spec td_run_spec, td_local_chat_spec;
extern const td_option_group td_run_sampler_options;

/* ---- run_config.c ---- */

/* What the user asked for.  Lifetime: the command; strings are borrowed from the options or lie in
 * the arena. */
typedef struct td_run_config {
    const char *model;
    td_engine_options engine;
    td_sequence_options sequence;
    const char *prompt; /* NULL: none yet, or a conversation at the terminal */
    size_t n_prompt;    /* bytes; the prompt may hold NULs */
    const char *system; /* NULL: none */
    int n_max;          /* tokens per answer; -1: no limit */
    bool raw;
    bool force_think; /* prompts end with <think> */
    bool verbose;
    const char *vars;              /* --vars; NULL: none */
    int think;                     /* 1: on, 0: off, -1: as the template likes */
    const char *template_source;   /* NULL: the model's */
    const char *logprobs_path;     /* NULL: none */
    const char *router_stats_path; /* NULL: none */
    const char *session_path;      /* NULL: none */
    bool has_seed;                 /* a seed was given, not drawn */
    td_arena arena;
} td_run_config;

/* TD_ERR_ARGUMENT for what the command line got wrong. */
td_status td_run_config_read(td_run_config *c, const td_options *o, const char *model, td_err *err);
/* The prompt out of the file of --file, or of standard input if that is no terminal. */
td_status td_run_config_read_prompt(td_run_config *c, const td_options *o, td_err *err);
void td_run_config_clear(td_run_config *c);

/* Takes over what one more word ("--temp=0.5") says, for /set; nothing changes on failure. */
td_status td_run_config_set(td_run_config *c, const char *word, td_err *err);

/* What needs the model: tokens of the logit bias are held against its vocabulary. */
td_status td_run_config_check(const td_run_config *c, const td_engine_info *info, td_err *err);

/* ---- run_output.c ---- */

/* On a terminal <think> ... </think> is dimmed, and control codes in the text are made harmless;
 * elsewhere the text passes as it is. */
typedef struct td_run_output {
    bool terminal;
    bool color;    /* NO_COLOR and TERM=dumb turn it off */
    bool thinking; /* inside <think> */
    char held[16]; /* what may be the beginning of a tag */
    size_t n_held;
    char last; /* the last byte written; 0: none */
} td_run_output;

void td_run_output_init(td_run_output *out);
/* Before an answer to `prompt`, which may itself end with "<think>". */
void td_run_output_begin(td_run_output *out, const char *prompt, size_t n_prompt);
/* False if standard output is gone: the answer can be stopped. */
bool td_run_output_text(td_run_output *out, const char *text, size_t n);
/* After an answer: what was held back, the plain colour, and a newline if the last is missing. */
void td_run_output_end(td_run_output *out);

/* ---- run_logprobs.c ---- */

/* Writes one line: {"position", "id", "text", "logprob", "top": [{"id", "text", "logprob"} ...]}.
 * `logits` [n_vocab] are those the token was drawn from. */
td_status td_run_logprobs_write(td_outfile *file, const td_engine *engine, int i_position,
                                td_token token, const float *logits, td_err *err);

/* ---- run_router.c ---- */

/* {"model", "n_expert", "n_used", "layers": {"3": [counts] ...}}: how often each expert of each
 * layer was chosen. */
td_status td_run_router_stats_write(td_outfile *file, const td_engine *engine, td_err *err);

/* ---- run_answer.c ---- */

typedef struct td_run td_run;

/* What is done with the model once it is there.  The exit code. */
typedef int td_run_talk_fn(td_run *r);

struct td_run {
    td_run_config *config;
    const td_options *options;
    td_run_talk_fn *talk;
    td_engine *engine;
    td_engine_info info;
    td_sequence *seq;
    td_run_output output;
    td_outfile logprobs, router_stats; /* not open: none wanted */
    bool answered;                     /* some turn went well: the sequence is worth a session */
};

typedef struct td_run_answer {
    td_strbuf text;   /* owned */
    td_finish finish; /* NONE: interrupted, or standard output is gone */
} td_run_answer;

/* The prompt of a conversation; *out is freed with td_string_free(). */
td_status td_run_render(const td_run *r, const td_message *messages, int n_message, char **out,
                        td_err *err);

/* Makes the sequence hold `prompt`, keeping what it has in common with it, and lets the model
 * answer.  The text goes to the output as it comes. */
td_status td_run_answer_prompt(td_run *r, const char *prompt, size_t n_prompt,
                               td_run_answer *answer, td_err *err);

/* "load 0.5 s | prefill 12 tokens, 315 tokens/s | ..." on standard error. */
void td_run_print_stats(const td_run *r);

/* ---- run_line.c ---- */

/* Lines typed at a terminal, edited by libedit, with a history in a file. */
typedef struct td_run_line td_run_line;

typedef enum td_run_line_end {
    TD_RUN_LINE_READ,
    TD_RUN_LINE_EOF,
    TD_RUN_LINE_INTERRUPTED /* Ctrl-C */
} td_run_line_end;

/* NULL when memory is short or the terminal cannot be used; a message has been said. */
td_run_line *td_run_line_open(void);
void td_run_line_close(td_run_line *line); /* saves the history; NULL is fine */

/* The line without its newline, borrowed until the next call. */
td_run_line_end td_run_line_read(td_run_line *line, const char *prompt, const char **text);
/* Adds to the history. */
void td_run_line_remember(td_run_line *line, const char *text);

/* ---- run.c ---- */

/* Takes what the options say, loads the model and talks; NULL: as `run` does, which answers the
 * prompt of the options or of standard input, or converses.  The exit code. */
int td_run_with_options(const td_options *o, const char *model, td_run_talk_fn *talk);

/* ---- run_chat.c ---- */

/* Talks until Ctrl-D or /bye. The exit code. */
int td_run_chat(td_run *r);

#endif
