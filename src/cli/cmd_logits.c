/* cmd_logits.c - `tandem logits`: the raw logits of every position of a text, as .npy. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/npy.h"
#include "cli/cmd.h"
#include "cli/input.h"
#include "cli/interrupt.h"
#include "engine/engine.h"

/* clang-format off */
static const td_option rows[] = {
    {.name = "prompt", .short_name = 'p', .type = TD_OPTION_STRING, .value = "TEXT",
     .help = "the text; BOS is added where the model wants it"},
    {.name = "tokens", .type = TD_OPTION_STRING, .value = "IDS",
     .help = "token ids in place of a text: 1,2,3; nothing is added"},
    {.name = "tokens-file", .type = TD_OPTION_STRING, .value = "FILE",
     .help = "the same from a file, as 'tandem tokenize' writes it; -: standard input"},
    {.name = "output", .short_name = 'o', .type = TD_OPTION_STRING, .value = "FILE",
     .help = "the file to write; -: standard output"},
};
/* clang-format on */
static const td_option_group group = {"Input and output", rows, 4};

static const td_option_spec spec = {
    .command = "logits",
    .arguments = "MODEL (--prompt TEXT | --tokens IDS | --tokens-file FILE) -o OUT.npy",
    .summary = "Writes the raw logits of every position as a NumPy file: float32, [n_tokens, "
               "n_vocab].",
    .groups = {&td_cmd_model_options, &group, &td_cmd_compute_options, &td_cmd_talk_options},
    .max_positional = 1,
};

typedef struct tokens {
    td_token *ids; /* in the arena */
    int n;
    td_arena arena;
} tokens;

/* Reads "1, 2, 3" or "[1, 2, 3]"; `name` is for messages. */
static td_status parse_ids(const char *text, const char *name, tokens *t, td_err *err) {
    const size_t n_max = strlen(text) / 2 + 1;
    t->ids = td_arena_calloc(&t->arena, n_max, sizeof *t->ids);
    if (!t->ids || n_max > INT32_MAX) return td_fail_nomem(err, "the token ids", n_max * 4);
    const char *s = text + strspn(text, " \t\r\n[");
    while (*s && *s != ']') {
        char *end;
        errno = 0;
        const long id = strtol(s, &end, 10);
        if (end == s || errno != 0 || id < 0 || id > INT32_MAX)
            return td_fail(err, TD_ERR_ARGUMENT, "%s: '%.20s' is no token id", name, s);
        t->ids[t->n++] = (td_token)id;
        s = end + strspn(end, " \t\r\n");
        if (*s == ',')
            s += 1 + strspn(s + 1, " \t\r\n");
        else if (*s && *s != ']')
            return td_fail(err, TD_ERR_ARGUMENT, "%s: '%.20s' after an id, wanted ','", name, s);
    }
    return t->n > 0 ? TD_OK : td_fail(err, TD_ERR_ARGUMENT, "%s holds no token id", name);
}

/* The ids of the command line; those of a prompt need the engine. */
static td_status read_ids(const td_options *o, tokens *t, td_err *err) {
    const char *text = td_options_string(o, "tokens"), *path = td_options_string(o, "tokens-file");
    if (text) return parse_ids(text, "--tokens", t, err);
    if (!path) return TD_OK;
    size_t n;
    TD_TRY(td_input_read(path, &t->arena, &text, &n, err));
    return parse_ids(text, path, t, err);
}

static td_status write_row(void *user, int i_position, const float *logits, td_err *err) {
    td_npy *npy = user;
    (void)i_position;
    return td_npy_write(npy, logits, (size_t)npy->shape[1], err);
}

static td_status write_logits(td_engine *engine, const char *path, const td_token *ids, int n,
                              td_err *err) {
    td_engine_info info;
    td_engine_get_info(engine, &info);
    for (int i = 0; i < n; i++)
        if (ids[i] >= info.n_vocab)
            return td_fail(err, TD_ERR_ARGUMENT, "token %d is out of range, wanted 0 to %d", ids[i],
                           info.n_vocab - 1);
    const int64_t shape[] = {n, info.n_vocab};
    td_npy npy;
    TD_TRY(td_npy_open(&npy, path, shape, 2, err));
    const td_status status = td_engine_eval(engine, ids, n, 0, write_row, &npy, err);
    if (status == TD_OK) return td_npy_close(&npy, err);
    td_npy_abort(&npy);
    return status;
}

/* The engine's context must hold the text, whose length in tokens only the engine knows: a byte is
 * at most a token, and BOS and EOS come on top. */
static int context_for(const char *prompt, const tokens *t) {
    const size_t n = prompt ? strlen(prompt) + 2 : (size_t)t->n;
    return n < 16 ? 16 : n > (1 << 20) ? 1 << 20 : (int)n;
}

static int load_and_write(const td_options *o, const char *model, const tokens *t) {
    const char *prompt = td_options_string(o, "prompt"), *path = td_options_string(o, "output");
    if (strcmp(path, "-") == 0) path = "/dev/stdout";
    td_engine_options options = {.model_path = model,
                                 .weights_path = td_cmd_weights(o, model),
                                 .n_ctx = context_for(prompt, t)};
    td_err err;
    if (td_cmd_engine_options(o, &options, &err) != TD_OK) return td_cmd_usage("%s", err.msg);
    td_interrupt_install();
    td_engine *engine = td_cmd_load(&options);
    if (!engine) return TD_EXIT_FAILURE;
    td_status status = TD_OK;
    td_interrupt_attach(engine);
    if (prompt) {
        td_token *ids = NULL;
        int n;
        status = td_engine_tokenize(engine, prompt, strlen(prompt), TD_TOKENIZE_ADD_SPECIAL, &ids,
                                    &n, &err);
        if (status == TD_OK && n == 0)
            status = td_fail(&err, TD_ERR_ARGUMENT, "the prompt is empty: it has no token");
        if (status == TD_OK) status = write_logits(engine, path, ids, n, &err);
        td_tokens_free(ids);
    } else {
        status = write_logits(engine, path, t->ids, t->n, &err);
    }
    td_interrupt_attach(NULL);
    td_engine_free(engine);
    return status == TD_OK ? TD_EXIT_OK : td_cmd_fail(&err);
}

static int logits_main(const td_options *o) {
    const char *model;
    int i_next;
    if (!td_cmd_take_model(o, 1, &model, &i_next)) return TD_EXIT_USAGE;
    const int n_source = (td_options_string(o, "prompt") != NULL) +
                         (td_options_string(o, "tokens") != NULL) +
                         (td_options_string(o, "tokens-file") != NULL);
    if (n_source != 1)
        return td_cmd_usage("wanted one of --prompt, --tokens and --tokens-file, found %d",
                            n_source);
    if (!td_options_string(o, "output")) return td_cmd_usage("-o is missing, wanted a file name");
    tokens t = {0};
    td_arena_init(&t.arena, 65536);
    td_err err;
    int code = TD_EXIT_FAILURE;
    const td_status status = read_ids(o, &t, &err);
    if (status == TD_ERR_ARGUMENT) {
        code = td_cmd_usage("%s", err.msg);
    } else if (status != TD_OK) {
        code = td_cmd_fail(&err);
    } else if (td_cmd_open_log(o)) {
        code = td_cmd_close_log(load_and_write(o, model, &t));
    }
    td_arena_clear(&t.arena);
    return code;
}

const td_cmd td_cmd_logits = {&spec, logits_main};
