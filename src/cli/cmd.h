/* cmd.h - the commands of `tandem`, and what they share: options, reporting, exit codes.
 *
 * Results go to standard output (out.h), talk to standard error. */
#ifndef TD_CLI_CMD_H
#define TD_CLI_CMD_H

#include <stdbool.h>

#include "tandem.h"

#include "base/options.h"

/* What a command returns and the process exits with. */
enum { TD_EXIT_OK = 0, TD_EXIT_FAILURE = 1, TD_EXIT_USAGE = 2 };

/* A command: its options, and its main function, which gets them parsed. */
typedef struct td_cmd {
    const td_option_spec *spec;
    int (*main)(const td_options *o);
} td_cmd;

extern const td_cmd td_cmd_run, td_cmd_inspect, td_cmd_tokenize, td_cmd_template, td_cmd_logits,
    td_cmd_perplexity, td_cmd_bench, td_cmd_quantize, td_cmd_local_chat, td_cmd_plan, td_cmd_rules,
    td_cmd_doctor;

/* ---- option groups used by several commands ---- */
extern const td_option_group td_cmd_model_options;   /* --model --weights */
extern const td_option_group td_cmd_compute_options; /* --threads --batch --exact --kv-type ... */
extern const td_option_group td_cmd_talk_options;    /* --verbose --log-file */

/* The model's path: --model, or the first of `n_name` positional arguments ("MODEL FILE": 2), the
 * others of which then begin at *i_next; or --weights, if that is all there is.  False, with a
 * message, if arguments lack or are too many.
 */
bool td_cmd_take_model(const td_options *o, int n_name, const char **model, int *i_next);

/* The path of --weights, if it stands beside the model that td_cmd_take_model gave; NULL if there
 * is none, or if it is the model. */
const char *td_cmd_weights(const td_options *o, const char *model);

/* Fills n_thread, n_batch, mode and the KV types; the rest stays. */
td_status td_cmd_engine_options(const td_options *o, td_engine_options *out, td_err *err);

/* td_engine_create with a progress bar and Ctrl-C (interrupt.h).  NULL with a message said. */
td_engine *td_cmd_load(td_engine_options *options);

/* ---- talk ---- */

/* Says "tandem: ..." on standard error. */
void td_cmd_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Says the error; TD_EXIT_FAILURE. */
int td_cmd_fail(const td_err *err);

/* Says what was wrong with the arguments; TD_EXIT_USAGE. */
int td_cmd_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Sends the library's log to standard error with --verbose and to the file of --log-file.  False
 * with a message said. */
bool td_cmd_open_log(const td_options *o);
/* `code` is what the command would exit with: TD_EXIT_FAILURE instead, with a message said, if the
 * log file could not be written whole. */
int td_cmd_close_log(int code);

#endif
