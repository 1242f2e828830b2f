/* chat_template.h - a conversation becomes a prompt: the variables of chat templates.
 *
 * They are those transformers gives: messages, tools and documents (None if there are none),
 * add_generation_prompt, and the special tokens the vocabulary has, by name. */
#ifndef TD_TEXT_CHAT_TEMPLATE_H
#define TD_TEXT_CHAT_TEMPLATE_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/status.h"
#include "text/value.h"
#include "text/vocab.h"

typedef struct td_chat_template_input {
    const char *source;    /* the template; NUL-terminated */
    const td_vocab *vocab; /* for bos_token and its like; NULL: they stay undefined */
    td_value *messages;    /* a list of mappings */
    td_value *tools;       /* a list; NULL: none */
    td_value *vars;        /* a mapping that overrides all others but messages; NULL: none.  It is
                              extended by the call */
    bool no_generation_prompt;
} td_chat_template_input;

/* *out is NUL-terminated and td_free()d by the caller; NULL on failure.  The arena is that of the
 * values. */
td_status td_chat_template_render(const td_chat_template_input *in, td_arena *arena, char **out,
                                  td_err *err);

#endif
