/* chat.c - a conversation becomes the model's prompt text. */
#include <string.h>

#include "engine/engine_int.h"
#include "text/chat_template.h"

static td_status make_messages(td_arena *arena, const td_message *messages, int n, td_value **out,
                               td_err *err) {
    *out = td_value_list(arena);
    td_status status = *out ? TD_OK : TD_ERR_NOMEM;
    for (int i = 0; i < n && status == TD_OK; i++) {
        td_value *m = td_value_map(arena);
        const char *role = messages[i].role, *content = messages[i].content;
        status = td_value_append(arena, *out, m);
        if (status == TD_OK)
            status = td_value_set(arena, m, "role", td_value_string(arena, role, strlen(role)));
        if (status == TD_OK)
            status =
                td_value_set(arena, m, "content", td_value_string(arena, content, strlen(content)));
    }
    return status == TD_OK ? TD_OK : td_fail(err, status, "out of memory: the messages");
}

static td_status render(const td_engine *e, const td_message *messages, int n_message,
                        const td_template_options *o, td_arena *arena, char **out, td_err *err) {
    td_chat_template_input in = {.source = o->source ? o->source : e->vocab.chat_template,
                                 .vocab = &e->vocab,
                                 .no_generation_prompt = o->no_generation_prompt};
    if (!in.source)
        return td_fail(err, TD_ERR_UNSUPPORTED, "%s has no chat template",
                       td_checkpoint_path(e->ckpt));
    TD_TRY(make_messages(arena, messages, n_message, &in.messages, err));
    if (o->vars_json)
        TD_TRY(td_value_from_json(&in.vars, arena, o->vars_json, strlen(o->vars_json),
                                  "template variables", err));
    if (o->tools_json)
        TD_TRY(td_value_from_json(&in.tools, arena, o->tools_json, strlen(o->tools_json), "tools",
                                  err));
    return td_chat_template_render(&in, arena, out, err);
}

td_status td_engine_apply_template(const td_engine *e, const td_message *messages, int n_message,
                                   const td_template_options *options, char **out, td_err *err) {
    static const td_template_options defaults;
    *out = NULL;
    td_arena arena;
    td_arena_init(&arena, 0);
    const td_status status =
        render(e, messages, n_message, options ? options : &defaults, &arena, out, err);
    td_arena_clear(&arena);
    return status;
}
