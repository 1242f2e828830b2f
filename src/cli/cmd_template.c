/* cmd_template.c - `tandem template`: a conversation through a chat template, without loading
 * weights.
 */
#include <string.h>

#include "base/alloc.h"
#include "cli/cmd.h"
#include "cli/input.h"
#include "cli/out.h"
#include "format/checkpoint.h"
#include "text/chat_template.h"

/* clang-format off */
static const td_option rows[] = {
    {.name = "messages", .type = TD_OPTION_STRING, .value = "FILE",
     .help = "the conversation: a JSON array of objects with role, content and whatever else the "
             "template reads; -: standard input"},
    {.name = "tools", .type = TD_OPTION_STRING, .value = "FILE",
     .help = "a JSON array of tools; -: standard input"},
    {.name = "vars", .type = TD_OPTION_STRING, .value = "JSON",
     .aliases = "--chat-template-kwargs",
     .help = "an object whose members become variables of the template"},
    {.name = "generation-prompt", .type = TD_OPTION_BOOL, .def = "on",
     .help = "end with the beginning of an answer; --no-generation-prompt does not"},
};
/* clang-format on */
static const td_option_group group = {"Conversation", rows, 4};

static const td_option_spec spec = {
    .command = "template",
    .arguments = "MODEL|FILE.jinja --messages FILE [options]",
    .summary = "Prints the prompt that a chat template makes of a conversation. A template from a "
               "file has no bos_token and the like, but --vars can give them.",
    .groups = {&td_cmd_model_options, &group},
    .max_positional = 1,
};

/* Reads a JSON file into the arena; *out stays NULL if path is. */
static td_status read_json(const char *path, td_arena *arena, td_value **out, td_err *err) {
    if (!path) return TD_OK;
    const char *text;
    size_t n;
    TD_TRY(td_input_read(path, arena, &text, &n, err));
    return td_value_from_json(out, arena, text, n, path, err);
}

static td_status render(const td_options *o, const char *source, const td_vocab *vocab,
                        td_arena *arena, td_err *err) {
    td_chat_template_input in = {
        .source = source,
        .vocab = vocab,
        .no_generation_prompt = !td_options_bool(o, "generation-prompt"),
    };
    const char *vars = td_options_string(o, "vars");
    TD_TRY(read_json(td_options_string(o, "messages"), arena, &in.messages, err));
    TD_TRY(read_json(td_options_string(o, "tools"), arena, &in.tools, err));
    if (vars) TD_TRY(td_value_from_json(&in.vars, arena, vars, strlen(vars), "--vars", err));
    char *prompt;
    TD_TRY(td_chat_template_render(&in, arena, &prompt, err));
    td_out_text(prompt);
    td_free(prompt);
    return TD_OK;
}

static td_status render_model(const td_options *o, const char *path, td_arena *arena, td_err *err) {
    td_checkpoint *ckpt;
    td_vocab vocab = {0};
    const char *weights = td_cmd_weights(o, path);
    if (weights)
        TD_TRY(td_checkpoint_open_with(&ckpt, path, weights, err));
    else
        TD_TRY(td_checkpoint_open(&ckpt, path, err));
    td_status status = td_checkpoint_read_vocab(ckpt, &vocab, err);
    if (status == TD_OK && !vocab.chat_template)
        status = td_fail(err, TD_ERR_UNSUPPORTED, "'%s' has no chat template", path);
    if (status == TD_OK) status = render(o, vocab.chat_template, &vocab, arena, err);
    td_vocab_clear(&vocab);
    td_checkpoint_close(ckpt);
    return status;
}

static td_status render_file(const td_options *o, const char *path, td_arena *arena, td_err *err) {
    const char *source;
    size_t n;
    TD_TRY(td_input_read(path, arena, &source, &n, err));
    if (strlen(source) != n)
        return td_fail(err, TD_ERR_FORMAT, "'%s' holds a NUL byte, wanted a template", path);
    return render(o, source, NULL, arena, err);
}

static bool ends_with(const char *text, const char *end) {
    const size_t n = strlen(text), n_end = strlen(end);
    return n >= n_end && strcmp(text + n - n_end, end) == 0;
}

static int template_main(const td_options *o) {
    const char *path;
    int i_next;
    if (!td_cmd_take_model(o, 1, &path, &i_next)) return TD_EXIT_USAGE;
    const char *messages = td_options_string(o, "messages");
    const char *tools = td_options_string(o, "tools");
    if (!messages) return td_cmd_usage("--messages is missing, wanted a JSON file");
    if (tools && strcmp(tools, "-") == 0 && strcmp(messages, "-") == 0)
        return td_cmd_usage("--messages and --tools cannot both be standard input");
    td_arena arena;
    td_arena_init(&arena, 65536);
    td_err err;
    const bool is_template = ends_with(path, ".jinja") || ends_with(path, ".j2");
    const td_status status = (is_template ? render_file : render_model)(o, path, &arena, &err);
    td_arena_clear(&arena);
    return status == TD_OK ? TD_EXIT_OK : td_cmd_fail(&err);
}

const td_cmd td_cmd_template = {&spec, template_main};
