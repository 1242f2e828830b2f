/* synth_folder.c - a synthetic model as a Hugging Face folder: safetensors files, config.json and
 * tokenizer files. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/outfile.h"

#include "synth_int.h"

static const uint64_t shard_bytes = (uint64_t)4 << 30; /* of each file at most, if it can be */

static td_status write_text(const char *folder, const char *name, const td_strbuf *text,
                            td_err *err) {
    char path[4096];
    td_outfile f;
    TD_TRY(td_strbuf_check(text, name, err));
    snprintf(path, sizeof path, "%s/%s", folder, name);
    TD_TRY(td_outfile_open(&f, path, err));
    const td_status status = td_outfile_write(&f, text->text, text->n, err);
    if (status == TD_OK) return td_outfile_commit(&f, err);
    td_outfile_abort(&f);
    return status;
}

/* ---- tokenizer ---- */

static void add_quoted(td_strbuf *out, td_string text) {
    td_strbuf_addc(out, '"');
    for (size_t i = 0; i < text.n; i++) {
        if (text.text[i] == '"' || text.text[i] == '\\') td_strbuf_addc(out, '\\');
        td_strbuf_addc(out, text.text[i]);
    }
    td_strbuf_addc(out, '"');
}

static void add_tokenizer(td_strbuf *out, const synth_vocab *v, const synth_shape *s) {
    const int64_t special[2] = {s->bos < s->eos ? s->bos : s->eos,
                                s->bos < s->eos ? s->eos : s->bos};
    td_strbuf_adds(out, "{\"version\": \"1.0\", \"truncation\": null, \"padding\": null,\n"
                        "\"added_tokens\": [");
    for (int i = 0; i < 2; i++) {
        td_strbuf_addf(out, "%s{\"id\": %lld, \"content\": ", i ? ", " : "", (long long)special[i]);
        add_quoted(out, v->tokens[special[i]]);
        td_strbuf_adds(out, ", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, "
                            "\"normalized\": false, \"special\": true}");
    }
    td_strbuf_adds(out,
                   "],\n\"normalizer\": null,\n\"pre_tokenizer\": {\"type\": \"ByteLevel\", "
                   "\"add_prefix_space\": false, \"trim_offsets\": true, "
                   "\"use_regex\": true},\n\"post_processor\": null,\n"
                   "\"decoder\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false, "
                   "\"trim_offsets\": true, \"use_regex\": true},\n\"model\": {\"type\": \"BPE\", "
                   "\"dropout\": null, \"unk_token\": null, \"merges\": [");
    add_quoted(out, (td_string){v->merge, strlen(v->merge)});
    td_strbuf_adds(out, "],\n\"vocab\": {");
    bool first = true;
    for (int64_t i = 0; i < v->n; i++) {
        if (i == special[0] || i == special[1]) continue;
        td_strbuf_adds(out, first ? "" : ", ");
        add_quoted(out, v->tokens[i]);
        td_strbuf_addf(out, ": %lld", (long long)i);
        first = false;
    }
    td_strbuf_adds(out, "}}}\n");
}

/* A string of JSON, its line breaks escaped. */
static void add_template(td_strbuf *out) {
    for (const char *c = synth_template; *c; c++) {
        if (*c == '\n')
            td_strbuf_adds(out, "\\n");
        else
            td_strbuf_addc(out, *c);
    }
}

static td_status write_tokenizer(const char *folder, const synth_shape *s, td_err *err) {
    synth_vocab v;
    td_strbuf text = {0};
    TD_TRY(synth_vocab_init(&v, s, err));
    add_tokenizer(&text, &v, s);
    td_status status = write_text(folder, "tokenizer.json", &text, err);
    td_strbuf_clear_text(&text);
    td_strbuf_addf(&text,
                   "{\"tokenizer_class\": \"PreTrainedTokenizerFast\", \"add_bos_token\": %s, "
                   "\"bos_token\": \"<|bos|>\", \"eos_token\": \"<|eos|>\", "
                   "\"model_max_length\": %lld,\n\"chat_template\": \"",
                   s->add_bos ? "true" : "false", (long long)s->n_ctx);
    add_template(&text);
    td_strbuf_adds(&text, "\"}\n");
    if (status == TD_OK) status = write_text(folder, "tokenizer_config.json", &text, err);
    td_strbuf_clear(&text);
    synth_vocab_clear(&v);
    return status;
}

/* ---- safetensors ---- */

static const char *type_name(const synth_array *a) {
    switch (a->what) {
    case SYNTH_CODES_FP8: return "F8_E4M3";
    case SYNTH_CODES_INT4: return "I32";
    case SYNTH_SHAPE: return "I64";
    default: return a->dtype == TD_DTYPE_BF16 ? "BF16" : "F32";
    }
}

/* The header's entry, with the shape as Python sees it. */
static void add_entry(td_strbuf *out, const synth_array *a, uint64_t from, uint64_t to) {
    const int64_t last = a->what == SYNTH_CODES_INT4 ? a->ne[0] / 8
                         : a->what == SYNTH_SHAPE    ? 2
                                                     : a->ne[0];
    td_strbuf_addf(out, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[", a->name, type_name(a));
    if (a->n_dims > 1) td_strbuf_addf(out, "%lld,", (long long)a->ne[1]);
    td_strbuf_addf(out, "%lld],\"data_offsets\":[%llu,%llu]}", (long long)last,
                   (unsigned long long)from, (unsigned long long)to);
}

static td_status write_some(void *user, const void *data, size_t n, td_err *err) {
    return td_outfile_write(user, data, n, err);
}

static td_status write_hole(void *user, uint64_t n, td_err *err) {
    return td_outfile_write_hole(user, n, err);
}

/* Arrays [first, end) as one file. */
static td_status write_shard(const char *path, const synth_list *list, const size_t range[2],
                             synth_filler *f, td_err *err) {
    td_strbuf header = {0};
    td_outfile file;
    const synth_sink sink = {&file, write_some, write_hole};
    uint64_t at = 0;
    td_strbuf_adds(&header, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = range[0]; i < range[1]; i++) {
        size_t n;
        TD_TRY(synth_array_bytes(&n, &list->at[i], err));
        add_entry(&header, &list->at[i], at, at + n);
        at += n;
    }
    td_strbuf_addc(&header, '}');
    while (header.n % 8 != 0 && header.failed == TD_OK) td_strbuf_addc(&header, ' ');
    td_status status = td_strbuf_check(&header, "the header", err);
    if (status == TD_OK) status = td_outfile_open(&file, path, err);
    if (status != TD_OK) {
        td_strbuf_clear(&header);
        return status;
    }
    const uint64_t n_header = header.n;
    status = td_outfile_write(&file, &n_header, sizeof n_header, err);
    if (status == TD_OK) status = td_outfile_write(&file, header.text, header.n, err);
    td_strbuf_clear(&header);
    for (size_t i = range[0]; i < range[1] && status == TD_OK; i++)
        status = synth_fill(f, &list->at[i], i, &sink, err);
    if (status == TD_OK) return td_outfile_commit(&file, err);
    td_outfile_abort(&file);
    return status;
}

/* Where each file's arrays begin: *starts is td_free()d by the caller, [*n + 1]. */
static td_status cut_shards(const synth_list *list, size_t **starts, size_t *n, td_err *err) {
    size_t cap = 0;
    uint64_t bytes = 0;
    *starts = NULL;
    *n = 0;
    for (size_t i = 0; i < list->n; i++) {
        size_t one;
        TD_TRY(synth_array_bytes(&one, &list->at[i], err));
        if (i == 0 || bytes + one > shard_bytes) {
            TD_TRY(td_grow((void **)starts, &cap, *n + 2, sizeof **starts, "the files", err));
            (*starts)[(*n)++] = i;
            bytes = 0;
        }
        bytes += one;
    }
    (*starts)[*n] = list->n;
    return TD_OK;
}

static void name_shard(char out[64], size_t i, size_t n) {
    if (n == 1)
        snprintf(out, 64, "model.safetensors");
    else
        snprintf(out, 64, "model-%05zu-of-%05zu.safetensors", i + 1, n);
}

static td_status write_index(const char *folder, const synth_list *list, const size_t *starts,
                             size_t n, td_err *err) {
    td_strbuf text = {0};
    uint64_t total = 0;
    char name[64];
    td_strbuf_adds(&text, "{\"weight_map\": {\n");
    for (size_t shard = 0; shard < n; shard++) {
        name_shard(name, shard, n);
        for (size_t i = starts[shard]; i < starts[shard + 1]; i++) {
            size_t one;
            TD_TRY(synth_array_bytes(&one, &list->at[i], err));
            total += one;
            td_strbuf_addf(&text, "\"%s\": \"%s\"%s\n", list->at[i].name, name,
                           i + 1 < list->n ? "," : "");
        }
    }
    td_strbuf_addf(&text, "}, \"metadata\": {\"total_size\": %llu}}\n", (unsigned long long)total);
    const td_status status = write_text(folder, "model.safetensors.index.json", &text, err);
    td_strbuf_clear(&text);
    return status;
}

static td_status write_weights(const char *folder, const synth_list *list, synth_filler *f,
                               td_err *err) {
    size_t *starts, n;
    td_status status = cut_shards(list, &starts, &n, err);
    if (status == TD_OK && n > 1) status = write_index(folder, list, starts, n, err);
    for (size_t i = 0; i < n && status == TD_OK; i++) {
        char name[64], path[4096];
        name_shard(name, i, n);
        snprintf(path, sizeof path, "%s/%s", folder, name);
        status = write_shard(path, list, &starts[i], f, err);
    }
    td_free(starts);
    return status;
}

td_status synth_write_folder(const char *path, const synth_shape *s, bool native,
                             const synth_list *list, synth_filler *f, td_err *err) {
    td_strbuf text = {0};
    if (strlen(path) > 4000) return td_fail(err, TD_ERR_ARGUMENT, "the path is too long");
    if (mkdir(path, 0777) != 0 && errno != EEXIST)
        return td_fail_errno(err, errno, "cannot create '%s'", path);
    synth_config(&text, s, native);
    td_status status = write_text(path, "config.json", &text, err);
    td_strbuf_clear(&text);
    if (status == TD_OK) status = write_tokenizer(path, s, err);
    if (status == TD_OK) status = write_weights(path, list, f, err);
    return status;
}
