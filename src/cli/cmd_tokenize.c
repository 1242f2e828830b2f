/* cmd_tokenize.c - `tandem tokenize`: text to token ids and back, without loading weights. */
#include <stdlib.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/filemap.h"
#include "cli/cmd.h"
#include "cli/out.h"
#include "format/checkpoint.h"
#include "format/vocab_hf.h"
#include "text/tokenizer.h"
#include "text/value.h"

/* Bytes of text read at most: more than any context holds. */
static const size_t max_input = (size_t)1 << 30;

/* clang-format off */
static const td_option rows[] = {
    {.name = "decode", .short_name = 'd', .type = TD_OPTION_BOOL,
     .help = "read a JSON array of ids and print the text"},
    {.name = "special", .type = TD_OPTION_BOOL, .def = "on",
     .help = "add BOS and EOS where the model wants them; with --decode, print the names of "
             "control tokens; --no-special does neither"},
    {.name = "plain", .type = TD_OPTION_BOOL,
     .help = "read names of control tokens in the text as the text they are"},
    {.name = "file", .short_name = 'f', .type = TD_OPTION_STRING, .def = "-", .value = "FILE",
     .help = "what to read; -: standard input"},
};
/* clang-format on */
static const td_option_group group = {"Input", rows, 4};

static const td_option_spec spec = {
    .command = "tokenize",
    .arguments = "MODEL [options] < TEXT",
    .summary = "Turns text into token ids: a JSON array on one line. The text is taken as it is, "
               "a newline at its end included.",
    .groups = {&td_cmd_model_options, &group},
    .max_positional = 1,
};

static td_status print_ids(const td_tokenizer *tok, const td_options *o, const char *text, size_t n,
                           td_err *err) {
    const int flags = (td_options_bool(o, "special") ? TD_TOKENIZE_ADD_SPECIAL : 0) |
                      (td_options_bool(o, "plain") ? 0 : TD_TOKENIZE_PARSE_SPECIAL);
    int32_t *tokens;
    int n_token;
    TD_TRY(td_tokenizer_encode(tok, text, n, flags, &tokens, &n_token, err));
    td_out_text("[");
    for (int i = 0; i < n_token; i++) td_out_printf("%s%d", i ? ", " : "", tokens[i]);
    td_out_text("]\n");
    td_free(tokens);
    return TD_OK;
}

/* Checks one id of the array. */
static td_status take_id(const td_value *list, size_t i, int n_vocab, int32_t *out, td_err *err) {
    td_strbuf text = {0};
    const td_value *v = td_value_at(list, i);
    td_value_to_json(v, -1, &text);
    td_status status = td_strbuf_check(&text, "an id", err);
    if (status == TD_OK) {
        char *end = text.text;
        const long id = td_value_get_type(v) == TD_VALUE_INT ? strtol(text.text, &end, 10) : -1;
        if (end == text.text || *end != 0 || id < 0 || id >= n_vocab)
            status = td_fail(err, TD_ERR_ARGUMENT, "element %zu is %.40s, wanted an id of 0 to %d",
                             i, text.text, n_vocab - 1);
        *out = (int32_t)id;
    }
    td_strbuf_clear(&text);
    return status;
}

static td_status print_text(const td_tokenizer *tok, const td_options *o, const td_value *list,
                            td_arena *arena, td_err *err) {
    if (td_value_get_type(list) != TD_VALUE_LIST)
        return td_fail(err, TD_ERR_FORMAT, "the input is no JSON array, wanted one of token ids");
    const size_t n = td_value_count(list);
    int32_t *ids = td_arena_calloc(arena, n + 1, sizeof *ids);
    if (!ids || n > INT32_MAX) return td_fail_nomem(err, "the ids", n * sizeof *ids);
    for (size_t i = 0; i < n; i++)
        TD_TRY(take_id(list, i, td_tokenizer_vocab(tok)->n_token, &ids[i], err));
    td_strbuf text = {0};
    td_tokenizer_decode(tok, ids, (int)n, td_options_bool(o, "special"), &text);
    const td_status status = td_strbuf_check(&text, "the text", err);
    if (status == TD_OK && text.n > 0) td_out_write(text.text, text.n);
    td_strbuf_clear(&text);
    return status;
}

static td_status convert(const td_tokenizer *tok, const td_options *o, td_err *err) {
    char *text;
    size_t n;
    TD_TRY(td_file_read(td_options_string(o, "file"), max_input, &text, &n, err));
    td_status status;
    if (td_options_bool(o, "decode")) {
        td_arena arena;
        td_arena_init(&arena, 65536);
        td_value *list;
        status = td_value_from_json(&list, &arena, text, n, "the input", err);
        if (status == TD_OK) status = print_text(tok, o, list, &arena, err);
        td_arena_clear(&arena);
    } else {
        status = print_ids(tok, o, text, n, err);
    }
    td_free(text);
    return status;
}

/* A folder needs only its tokenizer's files. */
static td_status read_vocab(td_checkpoint **ckpt, const char *path, const char *weights,
                            td_vocab *vocab, td_err *err) {
    struct stat st;
    if (weights) {
        TD_TRY(td_checkpoint_open_with(ckpt, path, weights, err));
        return td_checkpoint_read_vocab(*ckpt, vocab, err);
    }
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return td_vocab_read_folder(path, NULL, vocab, err);
    TD_TRY(td_checkpoint_open(ckpt, path, err));
    return td_checkpoint_read_vocab(*ckpt, vocab, err);
}

static int tokenize_main(const td_options *o) {
    const char *path;
    int i_next;
    if (!td_cmd_take_model(o, 1, &path, &i_next)) return TD_EXIT_USAGE;
    td_checkpoint *ckpt = NULL;
    td_vocab vocab = {0};
    td_tokenizer *tok = NULL;
    td_err err;
    td_status status = read_vocab(&ckpt, path, td_cmd_weights(o, path), &vocab, &err);
    if (status == TD_OK) status = td_tokenizer_create(&tok, &vocab, &err);
    if (status == TD_OK) status = convert(tok, o, &err);
    td_tokenizer_free(tok);
    td_vocab_clear(&vocab);
    td_checkpoint_close(ckpt);
    return status == TD_OK ? TD_EXIT_OK : td_cmd_fail(&err);
}

const td_cmd td_cmd_tokenize = {&spec, tokenize_main};
