/* cmd_inspect.c - `tandem inspect`: what a model file holds, as text or JSON. */
#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/json_text.h"
#include "cli/out.h"
#include "format/checkpoint.h"
#include "kernel/kernels.h"
#include "model/model.h"
#include "text/tokenizer.h"

/* Elements of an array of metadata shown in text; --json shows all. */
enum { MAX_SHOWN_ELEMS = 8, MAX_SHOWN_TEXT = 200 };

/* clang-format off */
static const td_option rows[] = {
    {.name = "tensors", .type = TD_OPTION_BOOL,
     .help = "list the tensors: name, type, shape (fastest first), bytes, file and offset"},
    {.name = "metadata", .type = TD_OPTION_BOOL,
     .help = "list the metadata"},
    {.name = "modules", .type = TD_OPTION_BOOL,
     .help = "print the tree of modules that this build makes of the file"},
    {.name = "json", .type = TD_OPTION_BOOL,
     .help = "print JSON"},
};
/* clang-format on */
static const td_option_group group = {"Output", rows, 4};

static const td_option_spec spec = {
    .command = "inspect",
    .arguments = "MODEL [--tensors|--metadata|--modules] [--json]",
    .summary = "Shows what a model file holds: by default a summary, and whether this build runs "
               "it. No weight is read.",
    .groups = {&td_cmd_model_options, &group},
    .max_positional = 1,
};

/* ---- tensors ---- */

static void print_tensors(const td_checkpoint *ckpt) {
    td_out_printf("%-44s %-8s %-28s %14s %4s %14s\n", "name", "type", "shape", "bytes", "file",
                  "offset");
    for (size_t i = 0; i < td_checkpoint_n_tensor(ckpt); i++) {
        const td_tensor *t = td_checkpoint_tensor_at(ckpt, i);
        char shape[96];
        int n = 0;
        for (int d = 0; d < t->n_dims; d++)
            n += snprintf(shape + n, sizeof shape - (size_t)n, "%s%lld", d ? " x " : "",
                          (long long)t->ne[d]);
        td_out_plain(t->name, strlen(t->name), 44);
        td_out_printf(" %-8s %-28s %14zu %4d %14zu\n", td_dtype_name((int)t->dtype), shape,
                      t->n_bytes, t->i_file, t->offset);
    }
}

static void print_tensors_json(const td_checkpoint *ckpt) {
    td_out_text("[");
    for (size_t i = 0; i < td_checkpoint_n_tensor(ckpt); i++) {
        const td_tensor *t = td_checkpoint_tensor_at(ckpt, i);
        td_out_text(i ? ",\n {\"name\": " : "\n {\"name\": ");
        td_out_json(t->name, strlen(t->name));
        td_out_printf(", \"type\": \"%s\", \"shape\": [", td_dtype_name((int)t->dtype));
        for (int d = 0; d < t->n_dims; d++)
            td_out_printf("%s%lld", d ? ", " : "", (long long)t->ne[d]);
        td_out_printf("], \"bytes\": %zu, \"file\": %d, \"offset\": %zu}", t->n_bytes, t->i_file,
                      t->offset);
    }
    td_out_text("\n]\n");
}

/* ---- metadata ---- */

static void print_elem_json(const td_meta *m, uint64_t i) {
    switch (m->type == TD_META_ARRAY ? m->elem_type : m->type) {
    case TD_META_INT: td_out_printf("%lld", (long long)td_meta_int(m, i)); break;
    case TD_META_UINT: td_out_printf("%llu", (unsigned long long)td_meta_int(m, i)); break;
    case TD_META_FLOAT: {
        td_strbuf number = {0};
        td_json_number(td_meta_float(m, i), &number);
        if (number.failed == TD_OK) td_out_write(number.text, number.n);
        td_strbuf_clear(&number);
        break;
    }
    case TD_META_BOOL: td_out_text(td_meta_bool(m, i) ? "true" : "false"); break;
    default: {
        const td_string s = td_meta_string(m, i);
        td_out_json(s.text, s.n);
    }
    }
}

static void print_metadata_json(const td_checkpoint *ckpt) {
    td_out_text("{");
    for (size_t i = 0; i < td_checkpoint_n_meta(ckpt); i++) {
        const td_meta *m = td_checkpoint_meta_at(ckpt, i);
        td_out_text(i ? ",\n " : "\n ");
        td_out_json(m->key, strlen(m->key));
        td_out_text(": ");
        if (m->type != TD_META_ARRAY) {
            print_elem_json(m, 0);
            continue;
        }
        td_out_text("[");
        for (uint64_t k = 0; k < m->n_elem; k++) {
            if (k) td_out_text(", ");
            print_elem_json(m, k);
        }
        td_out_text("]");
    }
    td_out_text("\n}\n");
}

/* One element as text, quoted and cut short if it is a string. */
static void print_elem(const td_meta *m, uint64_t i) {
    const td_meta_type type = m->type == TD_META_ARRAY ? m->elem_type : m->type;
    if (type != TD_META_STRING) {
        print_elem_json(m, i);
        return;
    }
    const td_string s = td_meta_string(m, i);
    td_out_json(s.text, s.n < MAX_SHOWN_TEXT ? s.n : MAX_SHOWN_TEXT);
    if (s.n > MAX_SHOWN_TEXT) td_out_printf(" ... (%zu bytes)", s.n);
}

static void print_metadata(const td_checkpoint *ckpt) {
    for (size_t i = 0; i < td_checkpoint_n_meta(ckpt); i++) {
        const td_meta *m = td_checkpoint_meta_at(ckpt, i);
        td_out_plain(m->key, strlen(m->key), 44);
        td_out_text(" ");
        if (m->type == TD_META_ARRAY) {
            td_out_text("[");
            for (uint64_t k = 0; k < m->n_elem && k < MAX_SHOWN_ELEMS; k++) {
                if (k) td_out_text(", ");
                print_elem(m, k);
            }
            if (m->n_elem > MAX_SHOWN_ELEMS)
                td_out_printf(", ... (%llu in all)", (unsigned long long)m->n_elem);
            td_out_text("]\n");
        } else {
            print_elem(m, 0);
            td_out_text("\n");
        }
    }
}

/* ---- summary ---- */

/* How matrices of a type are multiplied in native mode. */
typedef enum type_path {
    PATH_NONE,  /* not at all: this build does not read the type */
    PATH_TILES, /* no kernel of its own: tiles of it become float32 first, which is slower */
    PATH_KERNEL
} type_path;

typedef struct type_count {
    size_t n_tensor;
    uint64_t bytes;
    type_path path;
} type_count;

typedef struct summary {
    const char *format, *path;
    int n_file;
    uint64_t file_bytes;
    td_string architecture, name, tokenizer, pre, quantization; /* {NULL, 0}: absent */
    int64_t n_ctx_train, n_vocab;                               /* -1: absent */
    bool has_template;
    uint64_t n_parameter, tensor_bytes;
    bool assumed; /* no weights: counts has what the configuration promises */
    td_model_counts counts;
    size_t n_tensor;
    type_count types[TD_N_DTYPE];
    bool runs;
    td_err why_not;
} summary;

/* A metadata string, or {NULL, 0} if it is absent or something else. */
static td_string meta_text(const td_checkpoint *ckpt, const char *key) {
    const td_meta *m = td_checkpoint_meta(ckpt, key);
    return m && m->type == TD_META_STRING ? td_meta_string(m, 0) : (td_string){0};
}

/* Of a folder the first of its classes; else general.architecture. */
static td_string architecture(const td_checkpoint *ckpt) {
    const td_meta *m = td_checkpoint_meta(ckpt, "architectures");
    if (m && m->elem_type == TD_META_STRING && m->n_elem > 0) return td_meta_string(m, 0);
    return meta_text(ckpt, "general.architecture");
}

static int64_t context_length(const td_checkpoint *ckpt) {
    const td_setting s = {"context_length", "max_position_embeddings|n_positions|n_ctx"};
    const td_meta *m = td_config_find(ckpt, s);
    return m && m->type == TD_META_INT ? td_meta_int(m, 0) : -1;
}

/* The reference fills every slot that any level has. */
static void find_paths(summary *s) {
    td_kernels kernels;
    td_kernels_ref(&kernels);
    for (int i = 0; i < TD_N_DTYPE; i++) {
        const td_dtype_info *info = td_dtype_get_info(i);
        if (info && info->readable)
            s->types[i].path = kernels.gemm[i].run ? PATH_KERNEL : PATH_TILES;
    }
}

static const char *vocab_model_name(td_vocab_model model) {
    switch (model) {
    case TD_VOCAB_BPE: return "bpe";
    case TD_VOCAB_SPM: return "sentencepiece bpe";
    case TD_VOCAB_UNIGRAM: return "unigram";
    case TD_VOCAB_WORDPIECE: return "wordpiece";
    default: return "words";
    }
}

/* What the tokenizer is; s->runs becomes false if this build has none like it. */
static void summarize_vocab(const td_checkpoint *ckpt, int n_row, summary *s) {
    if (!td_checkpoint_has_vocab(ckpt)) return;
    td_vocab vocab;
    td_tokenizer *tokenizer = NULL;
    td_err err;
    td_status status = td_checkpoint_read_vocab(ckpt, &vocab, &err);
    if (status == TD_OK) {
        s->n_vocab = vocab.n_token;
        s->has_template = vocab.chat_template != NULL;
        if (!s->tokenizer.text) s->tokenizer.text = vocab_model_name(vocab.model);
        if (s->tokenizer.n == 0) s->tokenizer.n = strlen(s->tokenizer.text);
        status = td_tokenizer_create(&tokenizer, &vocab, &err);
        td_tokenizer_free(tokenizer);
        if (status == TD_OK && s->runs)
            status = td_model_check_vocab(ckpt, n_row, vocab.n_token, &err);
        td_vocab_clear(&vocab);
    }
    if (status == TD_OK || !s->runs) return;
    s->runs = false;
    s->why_not = err;
}

/* Of a folder without weights: what it would hold. */
static void summarize_assumed(const td_checkpoint *ckpt, summary *s) {
    const td_model_options options = {.assume = true};
    td_model *m;
    td_err err;
    if (s->n_tensor > 0 || td_model_open(&m, ckpt, &options, &err) != TD_OK) return;
    s->assumed = td_model_count(m, &s->counts, &err) == TD_OK;
    if (s->assumed) s->n_parameter = s->counts.n_parameter;
    td_model_close(m);
}

static void summarize(const td_checkpoint *ckpt, summary *s) {
    *s = (summary){
        .format = td_checkpoint_format(ckpt),
        .path = td_checkpoint_path(ckpt),
        .n_file = td_checkpoint_n_file(ckpt),
        .architecture = architecture(ckpt),
        .name = td_checkpoint_name(ckpt),
        .quantization = meta_text(ckpt, "quantization_config.quant_method"),
        .tokenizer = meta_text(ckpt, "tokenizer.ggml.model"),
        .pre = meta_text(ckpt, "tokenizer.ggml.pre"),
        .has_template = meta_text(ckpt, "tokenizer.chat_template").text != NULL,
        .n_tensor = td_checkpoint_n_tensor(ckpt),
        .n_ctx_train = context_length(ckpt),
        .n_vocab = -1,
    };
    for (int i = 0; i < s->n_file; i++) s->file_bytes += td_checkpoint_file_bytes(ckpt, i);
    const td_meta *tokens = td_checkpoint_meta(ckpt, "tokenizer.ggml.tokens");
    if (tokens && tokens->type == TD_META_ARRAY) s->n_vocab = (int64_t)tokens->n_elem;
    for (size_t i = 0; i < s->n_tensor; i++) {
        const td_tensor *t = td_checkpoint_tensor_at(ckpt, i);
        s->n_parameter += (uint64_t)td_tensor_elems(t);
        s->tensor_bytes += t->n_bytes;
        s->types[t->dtype].n_tensor++;
        s->types[t->dtype].bytes += t->n_bytes;
    }
    find_paths(s);
    summarize_assumed(ckpt, s);
    int n_row;
    s->runs = td_model_check(ckpt, &n_row, &s->why_not) == TD_OK;
    summarize_vocab(ckpt, n_row, s);
}

static void print_types_json(const summary *s) {
    static const char *const paths[] = {"null", "\"dequantized tiles\"", "\"kernel\""};
    td_out_text(" \"types\": {");
    const char *comma = "";
    for (int i = 0; i < TD_N_DTYPE; i++) {
        const type_count *t = &s->types[i];
        if (t->n_tensor == 0) continue;
        td_out_printf("%s\"%s\": {\"n_tensor\": %zu, \"bytes\": %llu, \"runs_through\": %s}", comma,
                      td_dtype_name(i), t->n_tensor, (unsigned long long)t->bytes, paths[t->path]);
        comma = ", ";
    }
    td_out_text("}");
}

static void print_summary_json(const summary *s) {
    const struct {
        const char *key;
        td_string text;
    } texts[] = {
        {"architecture",  s->architecture},
        {"name",          s->name        },
        {"tokenizer",     s->tokenizer   },
        {"pre_tokenizer", s->pre         },
        {"quantization",  s->quantization}
    };
    td_out_text("{\"file\": ");
    td_out_json(s->path, strlen(s->path));
    td_out_printf(", \"format\": \"%s\", \"n_file\": %d, \"file_bytes\": %llu,\n", s->format,
                  s->n_file, (unsigned long long)s->file_bytes);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        td_out_printf(" \"%s\": ", texts[i].key);
        if (texts[i].text.text)
            td_out_json(texts[i].text.text, texts[i].text.n);
        else
            td_out_text("null");
        td_out_text(",\n");
    }
    td_out_printf(" \"n_parameter\": %llu, \"n_tensor\": %zu, \"tensor_bytes\": %llu,\n",
                  (unsigned long long)s->n_parameter, s->n_tensor,
                  (unsigned long long)s->tensor_bytes);
    if (s->assumed)
        td_out_printf(" \"assumed_bytes\": %llu, \"n_draft_parameter\": %llu, "
                      "\"n_other_parameter\": %llu,\n",
                      (unsigned long long)s->counts.n_bytes, (unsigned long long)s->counts.n_draft,
                      (unsigned long long)s->counts.n_other);
    td_out_printf(" \"n_ctx_train\": %lld, \"n_vocab\": %lld, \"has_chat_template\": %s,\n",
                  (long long)s->n_ctx_train, (long long)s->n_vocab,
                  s->has_template ? "true" : "false");
    print_types_json(s);
    td_out_printf(",\n \"runs\": %s, \"why_not\": ", s->runs ? "true" : "false");
    if (s->runs)
        td_out_text("null");
    else
        td_out_json(s->why_not.msg, strlen(s->why_not.msg));
    td_out_text("}\n");
}

static void print_text_row(const char *label, td_string text) {
    td_out_printf("%-18s ", label);
    if (text.text)
        td_out_plain(text.text, text.n, 0);
    else
        td_out_text("-");
    td_out_text("\n");
}

static void print_types(const summary *s) {
    static const char *const notes[] = {", not readable yet",
                                        ", no kernel: runs through dequantized tiles", ""};
    for (int i = 0; i < TD_N_DTYPE; i++) {
        const type_count *t = &s->types[i];
        if (t->n_tensor > 0)
            td_out_printf("  %-16s %5zu %16llu bytes%s\n", td_dtype_name(i), t->n_tensor,
                          (unsigned long long)t->bytes, notes[t->path]);
    }
}

static void print_beside(const char *what, uint64_t n) {
    if (n > 0) td_out_printf(", and %.3f billion %s", (double)n * 1e-9, what);
}

static void print_summary(const summary *s) {
    print_text_row("file", (td_string){.text = s->path, .n = strlen(s->path)});
    td_out_printf("%-18s %s, %d file%s, %llu bytes\n", "format", s->format, s->n_file,
                  s->n_file == 1 ? "" : "s", (unsigned long long)s->file_bytes);
    print_text_row("architecture", s->architecture);
    print_text_row("name", s->name);
    if (s->quantization.text) print_text_row("quantization", s->quantization);
    td_out_printf("%-18s %.3f billion", "parameters", (double)s->n_parameter * 1e-9);
    if (s->assumed) td_out_text(" by config.json");
    print_beside("that predict further tokens", s->counts.n_draft);
    print_beside("for other things than text", s->counts.n_other);
    td_out_text("\n");
    if (s->assumed)
        td_out_printf("%-18s %llu bytes\n", "weights would be",
                      (unsigned long long)s->counts.n_bytes);
    if (s->n_ctx_train >= 0)
        td_out_printf("%-18s %lld\n", "context length", (long long)s->n_ctx_train);
    print_text_row("tokenizer", s->tokenizer);
    print_text_row("pre-tokenizer", s->pre);
    if (s->n_vocab >= 0) td_out_printf("%-18s %lld\n", "vocabulary", (long long)s->n_vocab);
    td_out_printf("%-18s %s\n", "chat template", s->has_template ? "yes" : "no");
    td_out_printf("%-18s %zu, %llu bytes\n", "tensors", s->n_tensor,
                  (unsigned long long)s->tensor_bytes);
    print_types(s);
    if (s->runs)
        td_out_printf("%-18s yes\n", "runs here");
    else
        td_out_printf("%-18s no: %s\n", "runs here", s->why_not.msg);
}

/* ---- the command ---- */

static td_status print_modules(const td_checkpoint *ckpt, bool json, td_err *err) {
    td_strbuf text = {0};
    td_status status = td_model_describe(ckpt, &text, json, err);
    if (status == TD_OK) status = td_strbuf_check(&text, "the module tree", err);
    if (status == TD_OK && text.n > 0) td_out_write(text.text, text.n);
    td_strbuf_clear(&text);
    return status;
}

static td_status inspect(const td_checkpoint *ckpt, const td_options *o, td_err *err) {
    const bool json = td_options_bool(o, "json");
    if (td_options_bool(o, "modules")) return print_modules(ckpt, json, err);
    if (td_options_bool(o, "tensors")) {
        (json ? print_tensors_json : print_tensors)(ckpt);
    } else if (td_options_bool(o, "metadata")) {
        (json ? print_metadata_json : print_metadata)(ckpt);
    } else {
        summary s;
        summarize(ckpt, &s);
        (json ? print_summary_json : print_summary)(&s);
    }
    return TD_OK;
}

static int inspect_main(const td_options *o) {
    const int n_view = td_options_bool(o, "tensors") + td_options_bool(o, "metadata") +
                       td_options_bool(o, "modules");
    if (n_view > 1) return td_cmd_usage("only one of --tensors, --metadata, --modules at a time");
    const char *path;
    int i_next;
    if (!td_cmd_take_model(o, 1, &path, &i_next)) return TD_EXIT_USAGE;
    td_checkpoint *ckpt;
    td_err err;
    const char *weights = td_cmd_weights(o, path);
    td_status status = weights ? td_checkpoint_open_with(&ckpt, path, weights, &err)
                               : td_checkpoint_open(&ckpt, path, &err);
    if (status == TD_OK) status = inspect(ckpt, o, &err);
    td_checkpoint_close(ckpt);
    return status == TD_OK ? TD_EXIT_OK : td_cmd_fail(&err);
}

const td_cmd td_cmd_inspect = {&spec, inspect_main};
