/* gguf_files.c - opening a GGUF file and finding the parts of a split one.
 *
 * Metadata comes from the first part alone; tensors come from all, in file order. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "format/checkpoint_int.h"
#include "format/name.h"

static td_status file_open(td_format_file *f, const char *path, td_err *err) {
    td_status status = td_format_file_map(f, path, err);
    if (status == TD_OK) status = td_gguf_parse(&f->gguf, f->map.data, f->map.n, path, err);
    if (status != TD_OK) td_format_file_close(f);
    return status;
}

/* An integer key of one part; *out keeps its value if there is none. */
static td_status file_get_int(const td_format_file *f, const char *key, int64_t max, int64_t *out,
                              td_err *err) {
    const td_gguf_meta *m = td_gguf_find_meta(&f->gguf, key);
    if (!m) return TD_OK;
    if (m->meta.type != TD_META_INT)
        return td_fail(err, TD_ERR_FORMAT, "%s: key '%s' is no integer", f->path, key);
    const int64_t v = td_meta_int(&m->meta, 0);
    if (v < 0 || v > max)
        return td_fail(err, TD_ERR_FORMAT, "%s: key '%s' is %" PRId64 ", wanted 0 to %" PRId64,
                       f->path, key, v, max);
    *out = v;
    return TD_OK;
}

/* ---- split files: PREFIX-00001-of-00003.gguf ---- */

enum { SPLIT_SUFFIX = 20, SPLIT_MAX_PARTS = 65535 }; /* bytes; split.count is a u16 */

static void split_suffix(char out[SPLIT_SUFFIX + 1], int i_file, int n_file) {
    /* The casts tell the compiler what SPLIT_MAX_PARTS ensures: five digits are enough. */
    (void)snprintf(out, SPLIT_SUFFIX + 1, "-%05u-of-%05u.gguf", (uint16_t)(i_file + 1),
                   (uint16_t)n_file);
}

/* What a part says about itself; *n_file is 1 for a file that is whole. */
static td_status split_read(const td_format_file *f, int *i_file, int *n_file, td_err *err) {
    int64_t count = 1, no = 0;
    TD_TRY(file_get_int(f, "split.count", SPLIT_MAX_PARTS, &count, err));
    *i_file = 0;
    *n_file = 1;
    if (count <= 1) return TD_OK;
    TD_TRY(file_get_int(f, "split.no", count - 1, &no, err));
    *i_file = (int)no;
    *n_file = (int)count;
    return TD_OK;
}

/* Opens part i of the checkpoint, whose path has the first n_prefix bytes of `sibling`. */
static td_status split_open_part(td_checkpoint *ckpt, int i_part, const char *sibling,
                                 size_t n_prefix, td_err *err) {
    char *path = td_malloc(n_prefix + SPLIT_SUFFIX + 1);
    if (!path) return td_fail_nomem(err, "a path", n_prefix + SPLIT_SUFFIX + 1);
    memcpy(path, sibling, n_prefix);
    split_suffix(path + n_prefix, i_part, ckpt->n_file);
    td_format_file *f = &ckpt->files[i_part];
    td_status status = file_open(f, path, err);
    td_free(path);
    if (status != TD_OK)
        return td_fail_in(err, status, "part %d of %d of a split checkpoint", i_part + 1,
                          ckpt->n_file);
    int i_file, n_file;
    TD_TRY(split_read(f, &i_file, &n_file, err));
    if (i_file != i_part || n_file != ckpt->n_file)
        return td_fail(err, TD_ERR_FORMAT, "%s: says it is part %d of %d, wanted part %d of %d",
                       f->path, i_file + 1, n_file, i_part + 1, ckpt->n_file);
    return TD_OK;
}

/* The total that a part states must be the sum over all. */
static td_status split_check_total(const td_checkpoint *ckpt, td_err *err) {
    int64_t found = 0;
    for (int i = 0; i < ckpt->n_file; i++) found += (int64_t)ckpt->files[i].gguf.n_tensor;
    for (int i = 0; i < ckpt->n_file; i++) {
        int64_t stated = found;
        TD_TRY(file_get_int(&ckpt->files[i], "split.tensors.count", INT32_MAX, &stated, err));
        if (stated != found)
            return td_fail(err, TD_ERR_FORMAT,
                           "%s: split.tensors.count is %" PRId64 ", but the %d parts have %" PRId64
                           " tensors",
                           ckpt->files[i].path, stated, ckpt->n_file, found);
    }
    return TD_OK;
}

/* A table of n_file files, *first in place i_first; takes over *first if it succeeds. */
static td_status make_table(td_checkpoint *ckpt, td_format_file *first, int i_first, int n_file,
                            td_err *err) {
    ckpt->files = td_calloc((size_t)n_file, sizeof *ckpt->files);
    if (!ckpt->files)
        return td_fail_nomem(err, "the file table", (size_t)n_file * sizeof *ckpt->files);
    ckpt->n_file = n_file;
    ckpt->files[i_first] = *first;
    *first = (td_format_file){0};
    return TD_OK;
}

/* `first` is the part that was asked for; it moves into its place among the others. */
static td_status split_open(td_checkpoint *ckpt, td_format_file *first, int i_first, int n_file,
                            td_err *err) {
    char suffix[SPLIT_SUFFIX + 1];
    split_suffix(suffix, i_first, n_file);
    if (!first->map.data)
        return td_fail(err, TD_ERR_UNSUPPORTED,
                       "%s: part %d of %d of a split checkpoint, wanted a whole one in memory",
                       first->path, i_first + 1, n_file);
    if (!td_name_ends_with(first->path, suffix))
        return td_fail(err, TD_ERR_FORMAT,
                       "%s: says it is part %d of %d, wanted a name ending in '%s' so that the "
                       "other parts can be found",
                       first->path, i_first + 1, n_file, suffix);
    TD_TRY(make_table(ckpt, first, i_first, n_file, err));
    const char *path = ckpt->files[i_first].path;
    for (int i = 0; i < n_file; i++)
        if (i != i_first) TD_TRY(split_open_part(ckpt, i, path, strlen(path) - SPLIT_SUFFIX, err));
    return split_check_total(ckpt, err);
}

/* ---- all files ---- */

static td_status take_tensors(td_checkpoint *ckpt, td_err *err) {
    size_t n = 0;
    for (int i = 0; i < ckpt->n_file; i++) n += ckpt->files[i].gguf.n_tensor;
    ckpt->tensors = td_calloc(n, sizeof *ckpt->tensors);
    if (!ckpt->tensors) return td_fail_nomem(err, "the tensor table", n * sizeof *ckpt->tensors);
    for (int i = 0; i < ckpt->n_file; i++) {
        const td_gguf *g = &ckpt->files[i].gguf;
        for (size_t j = 0; j < g->n_tensor; j++) {
            td_tensor *t = &ckpt->tensors[ckpt->n_tensor++];
            *t = g->tensors[j];
            t->i_file = i;
        }
    }
    return TD_OK;
}

/* Takes over *first if it succeeds. */
static td_status open_files(td_checkpoint *ckpt, td_format_file *first, td_err *err) {
    int i_file, n_file;
    TD_TRY(split_read(first, &i_file, &n_file, err));
    if (n_file > 1)
        TD_TRY(split_open(ckpt, first, i_file, n_file, err));
    else
        TD_TRY(make_table(ckpt, first, 0, 1, err));
    const td_gguf *g = &ckpt->files[0].gguf;
    ckpt->metas = g->metas;
    ckpt->metas_by_key = g->metas_by_key;
    ckpt->n_meta = g->n_meta;
    return take_tensors(ckpt, err);
}

static td_status image_open(td_format_file *f, const char *name, const void *image, size_t n,
                            td_err *err) {
    *f = (td_format_file){.path = td_strdup(name), .n = n};
    if (!f->path) return td_fail_nomem(err, "a path", strlen(name) + 1);
    return td_gguf_parse(&f->gguf, image, n, name, err);
}

td_status td_gguf_files_open(td_checkpoint *ckpt, const char *path, const void *image, size_t n,
                             td_err *err) {
    td_format_file first;
    td_status status =
        image ? image_open(&first, path, image, n, err) : file_open(&first, path, err);
    if (status == TD_OK) status = open_files(ckpt, &first, err);
    td_format_file_close(&first);
    return status;
}
