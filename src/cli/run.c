/* run.c - `tandem run`: one answer, or a conversation. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cmd.h"
#include "cli/input.h"
#include "cli/interrupt.h"
#include "cli/run.h"

/* The answer to a prompt given in advance. */
static int run_once(td_run *r) {
    const td_run_config *c = r->config;
    td_run_answer answer = {0};
    char *rendered = NULL;
    td_err err;
    td_status status = TD_OK;
    if (c->raw) {
        status = td_run_answer_prompt(r, c->prompt, c->n_prompt, &answer, &err);
    } else if (memchr(c->prompt, 0, c->n_prompt)) {
        status = td_fail(&err, TD_ERR_ARGUMENT,
                         "the prompt holds a NUL byte, which only --raw can take");
    } else {
        td_strbuf text = {0};
        td_strbuf_add(&text, c->prompt, c->n_prompt);
        status = td_strbuf_check(&text, "the prompt", &err);
        const td_message messages[] = {
            {.role = "system", .content = c->system},
            {.role = "user",   .content = text.text}
        };
        const int first = c->system ? 0 : 1;
        if (status == TD_OK)
            status = td_run_render(r, messages + first, 2 - first, &rendered, &err);
        td_strbuf_clear(&text);
        if (status == TD_OK)
            status = td_run_answer_prompt(r, rendered, strlen(rendered), &answer, &err);
        td_string_free(rendered);
    }
    td_strbuf_clear(&answer.text);
    if (status != TD_OK) return td_cmd_fail(&err);
    /* Neither Ctrl-C nor a reader that went away makes it a whole answer. */
    return answer.finish == TD_FINISH_NONE && c->n_max != 0 ? TD_EXIT_FAILURE : TD_EXIT_OK;
}

/* What has to be there before the (slow) loading. */
static td_status prepare(td_run *r, td_err *err) {
    const td_run_config *c = r->config;
    if (c->engine.dump_dir && mkdir(c->engine.dump_dir, 0777) != 0 && errno != EEXIST)
        return td_fail_errno(err, errno, "cannot create the folder '%s'", c->engine.dump_dir);
    if (c->router_stats_path) TD_TRY(td_outfile_open(&r->router_stats, c->router_stats_path, err));
    return c->logprobs_path ? td_outfile_open(&r->logprobs, c->logprobs_path, err) : TD_OK;
}

/* Goes on from the file of --session, if there is one.  A seed that was given counts, not the
 * generator that was saved. */
static td_status load_session(td_run *r, td_err *err) {
    const td_run_config *c = r->config;
    if (!c->session_path || access(c->session_path, F_OK) != 0) return TD_OK;
    TD_TRY(td_sequence_load(r->seq, c->session_path, err));
    int n_token;
    (void)td_sequence_tokens(r->seq, &n_token);
    if (c->verbose) td_cmd_say("the session '%s' holds %d tokens", c->session_path, n_token);
    return c->has_seed ? td_sequence_set_options(r->seq, &c->sequence, err) : TD_OK;
}

static td_status make_sequence(td_run *r, td_err *err) {
    TD_TRY(td_sequence_create(&r->seq, r->engine, &r->config->sequence, err));
    return load_session(r, err);
}

/* Runs with the engine loaded. */
static int run_loaded(td_run *r) {
    td_run_config *c = r->config;
    td_err err;
    td_engine_get_info(r->engine, &r->info);
    if (td_run_config_check(c, &r->info, &err) != TD_OK) return td_cmd_usage("%s", err.msg);
    if (!c->raw && !r->info.has_chat_template && !c->template_source) {
        td_cmd_say("the model has no chat template: the prompt is fed as it is%s%s",
                   c->system ? ", and --system is ignored" : "",
                   c->force_think ? ", and --force-think is ignored" : "");
        c->raw = true;
    }
    if (c->verbose) td_cmd_say("seed %llu", (unsigned long long)c->sequence.sampler.seed);
    if (make_sequence(r, &err) != TD_OK) return td_cmd_fail(&err);
    td_run_output_init(&r->output);
    int code = r->talk(r);
    td_run_print_stats(r);
    if (r->logprobs.stream && td_outfile_commit(&r->logprobs, &err) != TD_OK)
        code = td_cmd_fail(&err);
    if (r->router_stats.stream &&
        (td_run_router_stats_write(&r->router_stats, r->engine, &err) != TD_OK ||
         td_outfile_commit(&r->router_stats, &err) != TD_OK))
        code = td_cmd_fail(&err);
    if (c->session_path && r->answered && td_sequence_save(r->seq, c->session_path, &err) != TD_OK)
        code = td_cmd_fail(&err);
    return code;
}

static int run_with(td_run *r) {
    td_err err;
    if (prepare(r, &err) != TD_OK) {
        td_outfile_abort(&r->router_stats);
        return td_cmd_fail(&err);
    }
    td_interrupt_install();
    r->engine = td_cmd_load(&r->config->engine);
    const int code = r->engine ? run_loaded(r) : TD_EXIT_FAILURE;
    td_interrupt_attach(NULL);
    td_sequence_free(r->seq);
    td_engine_free(r->engine);
    td_outfile_abort(&r->logprobs);
    td_outfile_abort(&r->router_stats);
    return code;
}

int td_run_with_options(const td_options *o, const char *model, td_run_talk_fn *talk) {
    td_run_config config;
    td_err err;
    td_status status = td_run_config_read(&config, o, model, &err);
    if (status == TD_OK && !talk) status = td_run_config_read_prompt(&config, o, &err);
    int code = TD_EXIT_FAILURE;
    if (status == TD_ERR_ARGUMENT) {
        code = td_cmd_usage("%s", err.msg);
    } else if (status != TD_OK) {
        code = td_cmd_fail(&err);
    } else if (td_cmd_open_log(o)) {
        if (!talk) talk = config.prompt ? run_once : td_run_chat;
        td_run run = {.config = &config, .options = o, .talk = talk};
        code = td_cmd_close_log(run_with(&run));
    }
    td_run_config_clear(&config);
    return code;
}

static int run_main(const td_options *o) {
    const char *model;
    int i_next;
    if (!td_cmd_take_model(o, 1, &model, &i_next)) return TD_EXIT_USAGE;
    return td_run_with_options(o, model, NULL);
}

const td_cmd td_cmd_run = {&td_run_spec, run_main};
