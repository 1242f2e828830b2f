/* vocab_hf.c - see vocab_hf.h: which files of the folder say what. */
#include "format/vocab_hf.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/filemap.h"
#include "format/hf_json.h"
#include "format/vocab_hf_int.h"
#include "text/utf8.h"

enum { MAX_PATH = 4096, MAX_ENDS = 64 };
static const size_t max_file = (size_t)1 << 30;

/* What is open while a folder is read. */
typedef struct folder {
    const char *path;
    td_vocab *vocab;
    td_hf hf;
    json_t *config;     /* owned; tokenizer_config.json, NULL: none */
    json_t *special;    /* owned; special_tokens_map.json */
    json_t *added;      /* owned; added_tokens.json */
    json_t *generation; /* owned; generation_config.json */
    bool wants_scores;  /* of tokenizer.model */
    char name[MAX_PATH];
} folder;

/* ---- files ---- */

/* The path of a file of the folder, in f->name; false if there is none. */
static bool has_file(folder *f, const char *file) {
    const int n = snprintf(f->name, sizeof f->name, "%s/%s", f->path, file);
    return n > 0 && (size_t)n < sizeof f->name && access(f->name, R_OK) == 0;
}

/* *out is NULL if the folder has no such file. */
static td_status read_json(folder *f, const char *file, json_t **out, td_err *err) {
    char *text;
    size_t n;
    *out = NULL;
    if (!has_file(f, file)) return TD_OK;
    TD_TRY(td_file_read(f->name, max_file, &text, &n, err));
    const td_status st = td_hf_json_load(out, text, n, JSON_ALLOW_NUL, f->name, err);
    td_free(text);
    if (st == TD_OK && !json_is_object(*out)) {
        json_decref(*out);
        *out = NULL;
        return td_fail(err, TD_ERR_FORMAT, "%s: no JSON object", f->name);
    }
    return st;
}

/* ---- the vocabulary itself ---- */

static td_status read_tokenizer_json(folder *f, td_err *err) {
    json_t *root;
    TD_TRY(read_json(f, "tokenizer.json", &root, err));
    const td_status st = td_hf_read_tokenizer_json(&f->hf, root, f->vocab, f->name, err);
    json_decref(root);
    return st;
}

static td_status read_whole(folder *f, td_hf_read_fn *read, td_err *err) {
    char *data;
    size_t n;
    TD_TRY(td_file_read(f->name, max_file, &data, &n, err));
    const td_status st = read(&f->hf, data, n, f->vocab, f->name, err);
    td_free(data);
    return st;
}

static td_status read_bpe_files(folder *f, td_err *err) {
    json_t *vocab;
    char *merges;
    size_t n;
    TD_TRY(read_json(f, "vocab.json", &vocab, err));
    td_status st = TD_OK;
    if (!has_file(f, "merges.txt"))
        st = td_fail(err, TD_ERR_FORMAT, "%s: missing, wanted beside vocab.json", f->name);
    else
        st = td_file_read(f->name, max_file, &merges, &n, err);
    if (st == TD_OK) {
        st = td_hf_read_bpe_files(&f->hf, vocab, merges, n, f->vocab, err);
        td_free(merges);
    }
    json_decref(vocab);
    return st;
}

/* The file whose name ends with ".tiktoken", first in order of name; false if there is none. */
static bool find_tiktoken(folder *f) {
    static const char ending[] = ".tiktoken";
    char best[256] = "";
    DIR *dir = opendir(f->path);
    if (!dir) return false;
    for (const struct dirent *e; (e = readdir(dir));) {
        const size_t n = strlen(e->d_name);
        if (n < sizeof ending || n >= sizeof best) continue;
        if (strcmp(e->d_name + n - (sizeof ending - 1), ending) != 0) continue;
        if (!*best || strcmp(e->d_name, best) < 0) memcpy(best, e->d_name, n + 1);
    }
    closedir(dir);
    return *best && has_file(f, best);
}

bool td_vocab_in_folder(const char *path) {
    folder f = {.path = path};
    return has_file(&f, "tokenizer.json") || has_file(&f, "tokenizer.model") ||
           has_file(&f, "vocab.json") || has_file(&f, "tiktoken.model") || find_tiktoken(&f);
}

bool td_vocab_has_sentencepiece(const char *path) {
    folder f = {.path = path};
    return has_file(&f, "tokenizer.model");
}

static td_status read_vocabulary(folder *f, td_err *err) {
    if (!f->wants_scores && has_file(f, "tokenizer.json")) return read_tokenizer_json(f, err);
    if (has_file(f, "tokenizer.model")) return read_whole(f, td_hf_read_sentencepiece, err);
    if (has_file(f, "vocab.json")) return read_bpe_files(f, err);
    if (has_file(f, "tiktoken.model") || find_tiktoken(f))
        return read_whole(f, td_hf_read_tiktoken, err);
    return td_fail(err, TD_ERR_FORMAT,
                   "%s: no tokenizer: wanted tokenizer.json, tokenizer.model, vocab.json with "
                   "merges.txt, tiktoken.model or *.tiktoken",
                   f->path);
}

/* ---- special tokens ---- */

/* The text of a role such as "eos_token", a string or an object with "content"; NULL: none. */
static json_t *role_in(json_t *o, const char *role) {
    json_t *v = json_object_get(o, role);
    if (json_is_object(v)) v = json_object_get(v, "content");
    return json_is_string(v) ? v : NULL;
}

static int32_t id_of_role(const folder *f, const char *role) {
    json_t *v = role_in(f->config, role);
    if (!v) v = role_in(f->special, role);
    return v ? td_vocab_find(f->vocab, json_string_value(v), json_string_length(v)) : -1;
}

/* A list of ids, each at most once; those that are no tokens are left out, as models are given more
 * rows than tokens and configurations name them. */
typedef struct ids {
    int32_t *ids; /* in the arena; [MAX_ENDS] */
    int32_t n;
} ids;

static void ids_add(ids *list, const td_vocab *v, int64_t id) {
    if (id < 0 || id >= v->n_token || list->n == MAX_ENDS) return;
    for (int32_t i = 0; i < list->n; i++)
        if (list->ids[i] == id) return;
    list->ids[list->n++] = (int32_t)id;
}

/* An integer or an array of them. */
static void ids_add_json(ids *list, const td_vocab *v, json_t *o) {
    if (json_is_integer(o)) ids_add(list, v, json_integer_value(o));
    for (size_t i = 0; i < json_array_size(o); i++)
        if (json_is_integer(json_array_get(o, i)))
            ids_add(list, v, json_integer_value(json_array_get(o, i)));
}

static void ids_add_meta(ids *list, const td_vocab *v, const td_checkpoint *ckpt, const char *key) {
    const td_meta *m = ckpt ? td_checkpoint_meta(ckpt, key) : NULL;
    if (!m || (m->type != TD_META_INT && (m->type != TD_META_ARRAY || m->elem_type != TD_META_INT)))
        return;
    for (uint64_t i = 0; i < m->n_elem; i++) ids_add(list, v, td_meta_int(m, i));
}

/* The tokenizer's own configuration names the tokens; config.json fills in what it leaves out.  All
 * ids that generation stops at end a turn. */
static td_status read_roles(folder *f, const td_checkpoint *ckpt, td_err *err) {
    td_vocab *v = f->vocab;
    ids ends = {.ids = td_arena_calloc(&v->arena, MAX_ENDS, sizeof *ends.ids)};
    ids begin = {.ids = td_arena_calloc(&v->arena, MAX_ENDS, sizeof *begin.ids)};
    if (!ends.ids || !begin.ids) return td_fail(err, TD_ERR_NOMEM, "out of memory for stop ids");
    const int32_t bos = id_of_role(f, "bos_token"), eos = id_of_role(f, "eos_token");
    const int32_t pad = id_of_role(f, "pad_token"), unk = id_of_role(f, "unk_token");
    if (pad >= 0) v->pad = pad;
    if (unk >= 0) v->unk = unk;
    ids_add_json(&ends, v, json_object_get(f->generation, "eos_token_id"));
    ids_add_meta(&ends, v, ckpt, "generation_config.eos_token_id");
    ids_add_meta(&ends, v, ckpt, "eos_token_id");
    ids_add_meta(&ends, v, ckpt, "text_config.eos_token_id");
    ids_add_json(&begin, v, json_object_get(f->generation, "bos_token_id"));
    ids_add_meta(&begin, v, ckpt, "bos_token_id");
    if (eos >= 0)
        v->eos = eos;
    else if (v->eos < 0 && ends.n > 0)
        v->eos = ends.ids[0];
    if (bos >= 0)
        v->bos = bos;
    else if (v->bos < 0 && begin.n > 0 && !f->config)
        v->bos = begin.ids[0];
    v->ends = ends.ids;
    v->n_end = ends.n;
    td_vocab_name_ends(v);
    return TD_OK;
}

static bool contains(const int32_t *list, int n, int32_t id) {
    for (int i = 0; i < n; i++)
        if (list[i] == id) return true;
    return false;
}

/* add_bos_token and add_eos_token add to what the post-processor does. */
static td_status read_added_ends(folder *f, td_err *err) {
    td_vocab *v = f->vocab;
    td_pipeline *p = f->hf.pipeline;
    json_t *bos = json_object_get(f->config, "add_bos_token");
    json_t *eos = json_object_get(f->config, "add_eos_token");
    if (!json_is_boolean(bos) ? v->add_bos : json_is_true(bos))
        if (v->bos >= 0 && !contains(p->prefix, p->n_prefix, v->bos))
            TD_TRY(td_hf_add_prefix(&f->hf, v->bos, err));
    if (!json_is_boolean(eos) ? v->add_eos : json_is_true(eos))
        if (v->eos >= 0 && !contains(p->suffix, p->n_suffix, v->eos))
            TD_TRY(td_hf_add_suffix(&f->hf, v->eos, err));
    v->add_bos = v->bos >= 0 && contains(p->prefix, p->n_prefix, v->bos);
    v->add_eos = v->eos >= 0 && contains(p->suffix, p->n_suffix, v->eos);
    return TD_OK;
}

/* ---- the chat template ---- */

static td_status set_template(folder *f, const char *text, size_t n, td_err *err) {
    td_text copy;
    const size_t valid = td_utf8_valid_prefix(text, n);
    if (valid != n || memchr(text, 0, n))
        return td_fail(err, TD_ERR_FORMAT, "%s: the chat template is not UTF-8 or has a NUL byte",
                       f->name);
    TD_TRY(td_hf_copy(&f->hf, text, n, &copy, err));
    f->vocab->chat_template = copy.text;
    return TD_OK;
}

/* A template or a list of named ones, of which "default" counts. */
static td_status take_template(folder *f, json_t *o, td_err *err) {
    if (json_is_string(o)) return set_template(f, json_string_value(o), json_string_length(o), err);
    size_t i;
    json_t *item;
    json_array_foreach(o, i, item) {
        const char *name = json_string_value(json_object_get(item, "name"));
        json_t *text = json_object_get(item, "template");
        if (name && strcmp(name, "default") == 0 && json_is_string(text))
            return set_template(f, json_string_value(text), json_string_length(text), err);
    }
    return TD_OK;
}

static td_status read_template(folder *f, td_err *err) {
    if (has_file(f, "chat_template.jinja")) {
        char *text;
        size_t n;
        TD_TRY(td_file_read(f->name, max_file, &text, &n, err));
        const td_status st = set_template(f, text, n, err);
        td_free(text);
        return st;
    }
    json_t *own;
    TD_TRY(read_json(f, "chat_template.json", &own, err));
    td_status st = TD_OK;
    if (json_object_get(own, "chat_template"))
        st = take_template(f, json_object_get(own, "chat_template"), err);
    else
        st = take_template(f, json_object_get(f->config, "chat_template"), err);
    json_decref(own);
    return st;
}

/* ---- the whole ---- */

static td_status read_all(folder *f, const td_checkpoint *ckpt, td_err *err) {
    TD_TRY(read_json(f, "tokenizer_config.json", &f->config, err));
    TD_TRY(read_json(f, "special_tokens_map.json", &f->special, err));
    TD_TRY(read_json(f, "added_tokens.json", &f->added, err));
    TD_TRY(read_json(f, "generation_config.json", &f->generation, err));
    f->hf.config = f->config;
    f->hf.extra = f->added;
    TD_TRY(read_vocabulary(f, err));
    TD_TRY(read_roles(f, ckpt, err));
    TD_TRY(read_added_ends(f, err));
    return read_template(f, err);
}

static td_status read_folder(const char *path, const td_checkpoint *ckpt, bool wants_scores,
                             td_vocab *vocab, td_err *err) {
    folder *f = td_calloc(1, sizeof *f);
    *vocab = (td_vocab){0};
    if (!f) return td_fail_nomem(err, "the tokenizer", sizeof *f);
    f->path = path;
    f->vocab = vocab;
    f->wants_scores = wants_scores;
    const td_status st = read_all(f, ckpt, err);
    json_decref(f->config);
    json_decref(f->special);
    json_decref(f->added);
    json_decref(f->generation);
    td_free(f);
    if (st != TD_OK) td_vocab_clear(vocab);
    return st;
}

td_status td_vocab_read_folder(const char *path, const td_checkpoint *ckpt, td_vocab *vocab,
                               td_err *err) {
    return read_folder(path, ckpt, false, vocab, err);
}

td_status td_vocab_read_sentencepiece(const char *path, const td_checkpoint *ckpt, td_vocab *vocab,
                                      td_err *err) {
    return read_folder(path, ckpt, true, vocab, err);
}
