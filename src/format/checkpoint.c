/* checkpoint.c - the directory over the files of either kind.
 *
 * Which kind a path leads to is hf_folder.c's to find out; gguf_files.c and it open the files.
 * Tensors are found through one index sorted by name. */
#include "format/checkpoint.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "format/checkpoint_int.h"
#include "format/name.h"
#include "format/vocab_hf.h"
#include "tensor/source.h"

/* ---- files ---- */

void td_format_file_close(td_format_file *f) {
    td_gguf_clear(&f->gguf);
    td_safetensors_clear(&f->safetensors);
    td_filemap_close(&f->map);
    td_free(f->path);
    *f = (td_format_file){0};
}

td_status td_format_file_map(td_format_file *f, const char *path, td_err *err) {
    *f = (td_format_file){.path = td_strdup(path)};
    if (!f->path) return td_fail_nomem(err, "a path", strlen(path) + 1);
    TD_TRY(td_filemap_open(&f->map, path, err));
    f->n = f->map.n;
    return TD_OK;
}

/* ---- the directory ---- */

static int by_name(const void *a, const void *b) {
    const td_tensor *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static td_status index_tensors(td_checkpoint *ckpt, td_err *err) {
    const size_t n = ckpt->n_tensor;
    ckpt->by_name = td_calloc(n, sizeof *ckpt->by_name);
    if (!ckpt->by_name) return td_fail_nomem(err, "the tensor table", n * sizeof *ckpt->by_name);
    for (size_t i = 0; i < n; i++) ckpt->by_name[i] = &ckpt->tensors[i];
    qsort(ckpt->by_name, n, sizeof *ckpt->by_name, by_name);
    for (size_t i = 1; i < n; i++) {
        const td_tensor *a = ckpt->by_name[i - 1], *b = ckpt->by_name[i];
        if (strcmp(a->name, b->name) == 0)
            return td_fail(err, TD_ERR_FORMAT, "tensor '%s' appears twice, in %s and in %s",
                           a->name, ckpt->files[a->i_file].path, ckpt->files[b->i_file].path);
    }
    return TD_OK;
}

static td_status create(td_checkpoint **out, const char *path, td_err *err) {
    *out = td_calloc(1, sizeof **out);
    if (!*out) return td_fail_nomem(err, "a checkpoint", sizeof **out);
    (*out)->path = td_strdup(path);
    if (!(*out)->path) return td_fail_nomem(err, "a path", strlen(path) + 1);
    td_arena_init(&(*out)->hf.arena, 0);
    td_hf_config_init(&(*out)->hf.config);
    return TD_OK;
}

/* The common end of all ways to open. */
static td_status finish(td_checkpoint **out, td_status status, td_err *err) {
    if (status == TD_OK) status = index_tensors(*out, err);
    if (status != TD_OK) {
        td_checkpoint_close(*out);
        *out = NULL;
    }
    return status;
}

/* Opens what the path of a new checkpoint leads to. */
static td_status open_path(td_checkpoint *ckpt, td_err *err) {
    char *gguf_path = NULL;
    td_status status = td_hf_folder_open(ckpt, &gguf_path, err);
    if (status == TD_OK && gguf_path) status = td_gguf_files_open(ckpt, gguf_path, NULL, 0, err);
    td_free(gguf_path);
    return status;
}

td_status td_checkpoint_open(td_checkpoint **out, const char *path, td_err *err) {
    td_status status = create(out, path, err);
    if (status == TD_OK) status = open_path(*out, err);
    return finish(out, status, err);
}

td_status td_checkpoint_open_with(td_checkpoint **out, const char *folder, const char *weights,
                                  td_err *err) {
    td_checkpoint *beside = NULL;
    td_status status = create(&beside, folder, err);
    *out = NULL;
    if (status == TD_OK) status = td_hf_config_open(beside, err);
    if (status == TD_OK) status = create(out, weights, err);
    if (!*out) {
        td_checkpoint_close(beside);
        return status;
    }
    (*out)->beside = beside;
    if (status == TD_OK) status = open_path(*out, err);
    if (status == TD_OK && (*out)->n_tensor == 0)
        status = td_fail(err, TD_ERR_FORMAT, "%s: no weights: wanted safetensors or GGUF files",
                         weights);
    return finish(out, status, err);
}

td_status td_checkpoint_open_memory(td_checkpoint **out, const void *image, size_t n,
                                    const char *name, td_err *err) {
    td_status status = create(out, name, err);
    if (status == TD_OK)
        status = td_name_ends_with(name, ".safetensors")
                     ? td_hf_image_open(*out, image, n, err)
                     : td_gguf_files_open(*out, name, image, n, err);
    return finish(out, status, err);
}

static void hf_clear(td_hf *hf) {
    td_free(hf->folder);
    td_free(hf->config_path);
    td_hf_config_clear(&hf->config);
    td_arena_clear(&hf->arena);
}

void td_checkpoint_close(td_checkpoint *ckpt) {
    if (!ckpt) return;
    for (int i = 0; i < ckpt->n_file; i++) td_format_file_close(&ckpt->files[i]);
    td_free(ckpt->files);
    td_free(ckpt->tensors);
    td_free(ckpt->by_name);
    td_free(ckpt->path);
    hf_clear(&ckpt->hf);
    td_checkpoint_close(ckpt->beside);
    td_free(ckpt);
}

/* ---- accessors ---- */

td_checkpoint_kind td_checkpoint_get_kind(const td_checkpoint *ckpt) { return ckpt->kind; }

const char *td_checkpoint_path(const td_checkpoint *ckpt) { return ckpt->path; }

const char *td_checkpoint_folder(const td_checkpoint *ckpt) { return ckpt->hf.folder; }

const td_checkpoint *td_checkpoint_beside(const td_checkpoint *ckpt) { return ckpt->beside; }

const char *td_checkpoint_unsupported(const td_checkpoint *ckpt) {
    return ckpt->hf.unsupported.msg[0] ? ckpt->hf.unsupported.msg : NULL;
}

/* What follows the last slash before the end, slashes at the end aside. */
static td_string base_name(const char *path) {
    size_t n = strlen(path), from;
    while (n > 1 && path[n - 1] == '/') n--;
    for (from = n; from > 0 && path[from - 1] != '/';) from--;
    return (td_string){path + from, n - from};
}

td_string td_checkpoint_name(const td_checkpoint *ckpt) {
    const td_meta *m = td_checkpoint_meta(ckpt, "general.name");
    if (ckpt->kind == TD_CHECKPOINT_GGUF && m && m->type == TD_META_STRING)
        return td_meta_string(m, 0);
    return base_name(ckpt->hf.folder ? ckpt->hf.folder : ckpt->path);
}

const char *td_checkpoint_format(const td_checkpoint *ckpt) {
    if (ckpt->kind == TD_CHECKPOINT_HF) return "safetensors";
    return ckpt->files[0].gguf.version == 2 ? "GGUF v2" : "GGUF v3";
}

int td_checkpoint_n_file(const td_checkpoint *ckpt) { return ckpt->n_file; }

const char *td_checkpoint_file(const td_checkpoint *ckpt, int i_file) {
    return ckpt->files[i_file].path;
}

size_t td_checkpoint_file_bytes(const td_checkpoint *ckpt, int i_file) {
    return ckpt->files[i_file].n;
}

/* ---- hints ---- */

typedef void advise_fn(const td_filemap *map, size_t offset, size_t n);

/* The arrays of one tensor may lie in several files, and some in none: a view of the model's own
 * making, or an image in memory, where advice on pages could drop the caller's data. */
static void advise(const td_checkpoint *ckpt, td_source_range range, advise_fn *fn) {
    const uintptr_t at = (uintptr_t)range.data;
    for (int i = 0; i < ckpt->n_file; i++) {
        const td_filemap *map = &ckpt->files[i].map;
        const uintptr_t from = (uintptr_t)map->data;
        if (!map->data || at < from || at - from >= map->n) continue;
        fn(map, at - from, range.n);
        return;
    }
}

/* Of a view, from its first row to its last. */
static td_source_range rows_range(const td_tensor *t) {
    const td_row_map *map = &t->map;
    if (map->group == 0) return (td_source_range){t->data, t->n_bytes};
    const int64_t last = td_tensor_rows(t) - 1;
    const int64_t end = td_row_map_at(map, last) - map->first + 1;
    const size_t row_bytes = td_tensor_row_bytes(t);
    return (td_source_range){t->data + (size_t)map->first * row_bytes, (size_t)end * row_bytes};
}

static void advise_tensor(const td_checkpoint *ckpt, const td_tensor *t, advise_fn *fn) {
    td_source_range ranges[TD_MAX_SOURCE_RANGES] = {rows_range(t)};
    const int n = t->source ? td_source_ranges(t->source, t->dtype, t->data, ranges) : 1;
    for (int i = 0; i < n; i++) advise(ckpt, ranges[i], fn);
}

void td_checkpoint_will_need(const td_checkpoint *ckpt, const td_tensor *t) {
    advise_tensor(ckpt, t, td_filemap_will_need);
}

void td_checkpoint_dont_need(const td_checkpoint *ckpt, const td_tensor *t) {
    advise_tensor(ckpt, t, td_filemap_dont_need);
}

/* ---- tensors and metadata ---- */

size_t td_checkpoint_n_tensor(const td_checkpoint *ckpt) { return ckpt->n_tensor; }

const td_tensor *td_checkpoint_tensor_at(const td_checkpoint *ckpt, size_t i) {
    TD_ASSERT(i < ckpt->n_tensor);
    return &ckpt->tensors[i];
}

const td_tensor *td_checkpoint_tensor(const td_checkpoint *ckpt, const char *name) {
    const td_tensor key = {.name = name}, *p = &key;
    if (ckpt->n_tensor == 0) return NULL;
    const td_tensor **found =
        bsearch(&p, ckpt->by_name, ckpt->n_tensor, sizeof *ckpt->by_name, by_name);
    return found ? *found : NULL;
}

size_t td_checkpoint_n_meta(const td_checkpoint *ckpt) { return ckpt->n_meta; }

const td_meta *td_checkpoint_meta_at(const td_checkpoint *ckpt, size_t i) {
    TD_ASSERT(i < ckpt->n_meta);
    return &ckpt->metas[i].meta;
}

const td_meta *td_checkpoint_meta(const td_checkpoint *ckpt, const char *key) {
    const td_gguf_meta *m = td_gguf_find_in(ckpt->metas_by_key, ckpt->n_meta, key);
    return m ? &m->meta : NULL;
}

const char *td_checkpoint_meta_file(const td_checkpoint *ckpt) {
    if (ckpt->kind == TD_CHECKPOINT_GGUF) return ckpt->files[0].path;
    if (ckpt->hf.config_path) return ckpt->hf.config_path;
    return ckpt->beside ? td_checkpoint_meta_file(ckpt->beside) : ckpt->path;
}

/* ---- vocabulary ---- */

bool td_checkpoint_has_vocab(const td_checkpoint *ckpt) {
    if (ckpt->beside && td_checkpoint_has_vocab(ckpt->beside)) return true;
    if (ckpt->kind == TD_CHECKPOINT_GGUF)
        return td_checkpoint_meta(ckpt, "tokenizer.ggml.model") != NULL;
    return ckpt->hf.folder && td_vocab_in_folder(ckpt->hf.folder);
}

/* The template of a GGUF file, for a folder whose tokenizer has none. */
static td_status add_template(const td_checkpoint *ckpt, td_vocab *vocab, td_err *err) {
    td_string text = {0};
    if (ckpt->kind != TD_CHECKPOINT_GGUF || vocab->chat_template) return TD_OK;
    TD_TRY(td_checkpoint_get_string(ckpt, "tokenizer.chat_template", false, &text, err));
    if (!text.text) return TD_OK;
    vocab->chat_template = td_arena_strndup(&vocab->arena, text.text, text.n);
    return vocab->chat_template ? TD_OK : td_fail_nomem(err, "the chat template", text.n + 1);
}

td_status td_checkpoint_read_vocab(const td_checkpoint *ckpt, td_vocab *vocab, td_err *err) {
    if (ckpt->beside && td_checkpoint_has_vocab(ckpt->beside)) {
        TD_TRY(td_checkpoint_read_vocab(ckpt->beside, vocab, err));
        const td_status status = add_template(ckpt, vocab, err);
        if (status != TD_OK) td_vocab_clear(vocab);
        return status;
    }
    if (ckpt->kind == TD_CHECKPOINT_GGUF) return td_vocab_read_gguf(ckpt, vocab, err);
    if (ckpt->hf.folder) return td_vocab_read_folder(ckpt->hf.folder, ckpt, vocab, err);
    *vocab = (td_vocab){0};
    return td_fail(err, TD_ERR_UNSUPPORTED, "%s: a file in memory has no tokenizer files beside it",
                   ckpt->path);
}
