/* run_answer.c - one turn: a prompt becomes tokens, the model answers. */
#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/interrupt.h"
#include "cli/run.h"

/* ---- the prompt ---- */

/* The variables of the template: those of --think, which --vars may override.  A JSON object is
 * extended in front, for of members of the same name the last counts. */
static td_status add_vars(const td_run_config *c, td_strbuf *vars, td_err *err) {
    if (c->think >= 0)
        td_strbuf_addf(vars, "{\"enable_thinking\": %s, \"thinking\": %s",
                       c->think ? "true" : "false", c->think ? "true" : "false");
    if (c->vars && c->think < 0) {
        td_strbuf_adds(vars, c->vars);
    } else if (c->vars) {
        const char *members = strchr(c->vars, '{') + 1;
        const bool empty = members[strspn(members, " \t\r\n")] == '}';
        td_strbuf_addf(vars, "%s%s", empty ? "" : ", ", members);
    } else if (c->think >= 0) {
        td_strbuf_addc(vars, '}');
    }
    return td_strbuf_check(vars, "the template variables", err);
}

/* Appends <think>, unless the prompt ends with it; *prompt is replaced. */
static td_status add_think(char **prompt, td_err *err) {
    static const char tag[] = "<think>";
    size_t n = strlen(*prompt);
    while (n > 0 && strchr(" \n\r\t", (*prompt)[n - 1])) n--;
    if (n >= strlen(tag) && memcmp(*prompt + n - strlen(tag), tag, strlen(tag)) == 0) return TD_OK;
    td_strbuf text = {0};
    td_strbuf_adds(&text, *prompt);
    td_strbuf_adds(&text, "<think>\n");
    td_string_free(*prompt);
    *prompt = NULL;
    TD_TRY(td_strbuf_check(&text, "the prompt", err));
    *prompt = td_strbuf_take(&text);
    return TD_OK;
}

td_status td_run_render(const td_run *r, const td_message *messages, int n_message, char **out,
                        td_err *err) {
    td_strbuf vars = {0};
    *out = NULL;
    td_status status = add_vars(r->config, &vars, err);
    if (status == TD_OK)
        status = td_engine_apply_template(
            r->engine, messages, n_message,
            &(td_template_options){.vars_json = vars.text, .source = r->config->template_source},
            out, err);
    td_strbuf_clear(&vars);
    return status == TD_OK && r->config->force_think ? add_think(out, err) : status;
}

/* Queues tokens, keeping the beginning that the sequence already holds.  The last one is evaluated
 * in any case: its logits are what the answer begins with. */
static td_status queue_tokens(td_run *r, const td_token *tokens, int n_token, td_err *err) {
    if (n_token == 0) return td_fail(err, TD_ERR_ARGUMENT, "the prompt is empty: it has no token");
    if (n_token > r->info.n_ctx)
        return td_fail(err, TD_ERR_LIMIT,
                       "the prompt has %d tokens, but the context holds %d: give it more room with "
                       "-c %d (the model was trained for %d)",
                       n_token, r->info.n_ctx, n_token + 256, r->info.n_ctx_train);
    int n_have, n_common = 0;
    const td_token *have = td_sequence_tokens(r->seq, &n_have);
    while (n_common < n_have && n_common < n_token && have[n_common] == tokens[n_common])
        n_common++;
    if (n_common == n_token) n_common--;
    if (n_common < n_have) TD_TRY(td_sequence_truncate(r->seq, n_common, err));
    return td_sequence_append(r->seq, tokens + n_common, n_token - n_common, err);
}

static td_status queue_prompt(td_run *r, const char *prompt, size_t n_prompt, td_err *err) {
    td_token *tokens;
    int n_token;
    TD_TRY(td_engine_tokenize(r->engine, prompt, n_prompt,
                              TD_TOKENIZE_ADD_SPECIAL | TD_TOKENIZE_PARSE_SPECIAL, &tokens,
                              &n_token, err));
    const td_status status = queue_tokens(r, tokens, n_token, err);
    td_tokens_free(tokens);
    return status;
}

/* ---- the answer ---- */

/* What one event brings.  *gone: standard output is. */
static td_status take_event(td_run *r, const td_event *event, td_run_answer *answer, bool *gone,
                            td_err *err) {
    if (r->logprobs.stream && event->token >= 0) {
        int n_token;
        (void)td_sequence_tokens(r->seq, &n_token);
        const float *logits = td_sequence_logits(r->seq);
        if (logits)
            TD_TRY(td_run_logprobs_write(&r->logprobs, r->engine, n_token - 1, event->token, logits,
                                         err));
    }
    if (event->n_text > 0) {
        td_strbuf_add(&answer->text, event->text, event->n_text);
        TD_TRY(td_strbuf_check(&answer->text, "the answer", err));
        *gone = !td_run_output_text(&r->output, event->text, event->n_text);
    }
    if (event->finish != TD_FINISH_NONE) answer->finish = event->finish;
    return TD_OK;
}

static td_status generate(td_run *r, td_run_answer *answer, td_err *err) {
    bool gone = false;
    TD_TRY(td_sequence_generate(r->seq, r->config->n_max, err));
    while (!gone && td_sequence_is_active(r->seq)) {
        td_event events[1];
        int n_event = 0;
        const td_status status = td_engine_step(r->engine, events, 1, &n_event, err);
        if (status == TD_ERR_CANCELLED) {
            if (td_interrupt_seen()) break;
            continue; /* Ctrl-C came just after the answer before; it was meant for that one */
        }
        TD_TRY(status);
        for (int i = 0; i < n_event && !gone; i++)
            TD_TRY(take_event(r, &events[i], answer, &gone, err));
    }
    if (td_sequence_is_active(r->seq)) td_sequence_stop(r->seq);
    return TD_OK;
}

td_status td_run_answer_prompt(td_run *r, const char *prompt, size_t n_prompt,
                               td_run_answer *answer, td_err *err) {
    *answer = (td_run_answer){0};
    TD_TRY(queue_prompt(r, prompt, n_prompt, err));
    td_run_output_begin(&r->output, prompt, n_prompt);
    td_interrupt_attach(r->engine);
    const td_status status = generate(r, answer, err);
    td_interrupt_attach(NULL);
    td_run_output_end(&r->output);
    if (status == TD_OK) r->answered = true;
    if (status == TD_OK && answer->finish == TD_FINISH_CONTEXT)
        td_cmd_say("the context of %d tokens is full: give it more room with -c, or say "
                   "--on-full shift",
                   r->info.n_ctx);
    return status;
}

void td_run_print_stats(const td_run *r) {
    td_engine_stats s;
    td_engine_get_stats(r->engine, &s);
    const double prefill = s.prefill_seconds > 0 ? (double)s.n_prefill / s.prefill_seconds : 0;
    const double decode = s.decode_seconds > 0 ? (double)s.n_decode / s.decode_seconds : 0;
    fprintf(stderr,
            "load %.2f s | prefill %llu tokens, %.1f tokens/s | decode %llu tokens, %.1f tokens/s "
            "| peak memory %.0f MiB\n",
            r->info.load_seconds, (unsigned long long)s.n_prefill, prefill,
            (unsigned long long)s.n_decode, decode,
            (double)s.peak_memory_bytes / (1024.0 * 1024.0));
}
