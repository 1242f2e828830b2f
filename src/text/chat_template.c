/* chat_template.c - see chat_template.h. */
#include "text/chat_template.h"

#include <string.h>

#include "text/jinja.h"

/* The user's variables win. */
static td_status set_if_absent(td_arena *arena, td_value *vars, const char *name, td_value *item) {
    return td_value_get(vars, name) ? TD_OK : td_value_set(arena, vars, name, item);
}

static td_status set_token(td_arena *arena, td_value *vars, const char *name, const td_vocab *vocab,
                           int32_t id) {
    if (id < 0 || id >= vocab->n_token) return TD_OK;
    const td_vocab_token *token = &vocab->tokens[id];
    return set_if_absent(arena, vars, name, td_value_string(arena, token->text, token->n));
}

static td_status set_all(const td_chat_template_input *in, td_value *vars, td_arena *arena) {
    TD_TRY(td_value_set(arena, vars, "messages", in->messages));
    TD_TRY(set_if_absent(arena, vars, "tools", in->tools ? in->tools : td_value_none(arena)));
    TD_TRY(set_if_absent(arena, vars, "documents", td_value_none(arena)));
    TD_TRY(set_if_absent(arena, vars, "add_generation_prompt",
                         td_value_bool(arena, !in->no_generation_prompt)));
    if (!in->vocab) return TD_OK;
    TD_TRY(set_token(arena, vars, "bos_token", in->vocab, in->vocab->bos));
    TD_TRY(set_token(arena, vars, "eos_token", in->vocab, in->vocab->eos));
    TD_TRY(set_token(arena, vars, "unk_token", in->vocab, in->vocab->unk));
    return set_token(arena, vars, "pad_token", in->vocab, in->vocab->pad);
}

td_status td_chat_template_render(const td_chat_template_input *in, td_arena *arena, char **out,
                                  td_err *err) {
    *out = NULL;
    if (td_value_get_type(in->messages) != TD_VALUE_LIST)
        return td_fail(err, TD_ERR_ARGUMENT, "the messages are no list");
    if (in->tools && td_value_get_type(in->tools) != TD_VALUE_LIST)
        return td_fail(err, TD_ERR_ARGUMENT, "the tools are no list");
    if (in->vars && td_value_get_type(in->vars) != TD_VALUE_MAP)
        return td_fail(err, TD_ERR_ARGUMENT,
                       "the template variables are no mapping of names to values");
    td_value *vars = in->vars ? in->vars : td_value_map(arena);
    if (!vars || set_all(in, vars, arena) != TD_OK)
        return td_fail_nomem(err, "the template variables", 0);
    td_template *t;
    TD_TRY(td_template_create(&t, "chat template", in->source, strlen(in->source), err));
    size_t n;
    const td_status status = td_template_render(t, vars, NULL, out, &n, err);
    td_template_free(t);
    return status;
}
