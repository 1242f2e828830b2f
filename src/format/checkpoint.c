/* checkpoint.c - opening files, finding the parts of a split one, and the directory over all.
 *
 * A checkpoint is one or more parsed GGUF files.  Metadata comes from the first part alone; tensors
 * come from all, in file order, and are found through one index sorted by name. */
#include "format/checkpoint.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/filemap.h"
#include "format/gguf.h"

typedef struct file {
    char *path;     /* owned */
    td_filemap map; /* zeroed for an image in memory */
    td_gguf gguf;
} file;

struct td_checkpoint {
    char *path;                /* owned; as opened */
    file *files;               /* owned; [n_file], in the order of split.no */
    int n_file;                /* entries of files; those not yet opened are zeroed */
    td_tensor *tensors;        /* owned; [n_tensor], in file order */
    const td_tensor **by_name; /* owned; [n_tensor], sorted */
    size_t n_tensor;
};

/* ---- files ---- */

static void file_close(file *f) {
    td_gguf_clear(&f->gguf);
    td_filemap_close(&f->map);
    td_free(f->path);
    *f = (file){0};
}

static td_status file_open(file *f, const char *path, td_err *err) {
    *f = (file){.path = td_strdup(path)};
    td_status status = f->path ? td_filemap_open(&f->map, path, err)
                               : td_fail_nomem(err, "a path", strlen(path) + 1);
    if (status == TD_OK) status = td_gguf_parse(&f->gguf, f->map.data, f->map.n, path, err);
    if (status != TD_OK) file_close(f);
    return status;
}

/* An integer key of one part; *out keeps its value if there is none. */
static td_status file_get_int(const file *f, const char *key, int64_t max, int64_t *out,
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
static td_status split_read(const file *f, int *i_file, int *n_file, td_err *err) {
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

/* Opens part i of the checkpoint, whose path has the prefix of n_prefix bytes. */
static td_status split_open_part(td_checkpoint *ckpt, int i_part, size_t n_prefix, td_err *err) {
    char *path = td_malloc(n_prefix + SPLIT_SUFFIX + 1);
    if (!path) return td_fail_nomem(err, "a path", n_prefix + SPLIT_SUFFIX + 1);
    memcpy(path, ckpt->path, n_prefix);
    split_suffix(path + n_prefix, i_part, ckpt->n_file);
    file *f = &ckpt->files[i_part];
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

/* `first` is the part that was asked for; it moves into its place among the others. */
static td_status split_open(td_checkpoint *ckpt, file *first, int i_first, int n_file,
                            td_err *err) {
    char suffix[SPLIT_SUFFIX + 1];
    split_suffix(suffix, i_first, n_file);
    const size_t n = strlen(ckpt->path);
    if (!first->map.data)
        return td_fail(err, TD_ERR_UNSUPPORTED,
                       "%s: part %d of %d of a split checkpoint, wanted a whole one in memory",
                       ckpt->path, i_first + 1, n_file);
    if (n < SPLIT_SUFFIX || strcmp(ckpt->path + n - SPLIT_SUFFIX, suffix) != 0)
        return td_fail(err, TD_ERR_FORMAT,
                       "%s: says it is part %d of %d, wanted a name ending in '%s' so that the "
                       "other parts can be found",
                       ckpt->path, i_first + 1, n_file, suffix);
    ckpt->files = td_calloc((size_t)n_file, sizeof *ckpt->files);
    if (!ckpt->files)
        return td_fail_nomem(err, "the file table", (size_t)n_file * sizeof *ckpt->files);
    ckpt->n_file = n_file;
    ckpt->files[i_first] = *first;
    *first = (file){0};
    for (int i = 0; i < n_file; i++)
        if (i != i_first) TD_TRY(split_open_part(ckpt, i, n - SPLIT_SUFFIX, err));
    return split_check_total(ckpt, err);
}

/* ---- the directory ---- */

static int by_name(const void *a, const void *b) {
    const td_tensor *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static td_status index_tensors(td_checkpoint *ckpt, td_err *err) {
    size_t n = 0;
    for (int i = 0; i < ckpt->n_file; i++) n += ckpt->files[i].gguf.n_tensor;
    ckpt->tensors = td_calloc(n, sizeof *ckpt->tensors);
    ckpt->by_name = td_calloc(n, sizeof *ckpt->by_name);
    if (!ckpt->tensors || !ckpt->by_name)
        return td_fail_nomem(err, "the tensor table", n * sizeof *ckpt->tensors);
    for (int i = 0; i < ckpt->n_file; i++) {
        const td_gguf *g = &ckpt->files[i].gguf;
        for (size_t j = 0; j < g->n_tensor; j++) {
            td_tensor *t = &ckpt->tensors[ckpt->n_tensor];
            *t = g->tensors[j];
            t->i_file = i;
            ckpt->by_name[ckpt->n_tensor++] = t;
        }
    }
    qsort(ckpt->by_name, n, sizeof *ckpt->by_name, by_name);
    for (size_t i = 1; i < n; i++) {
        const td_tensor *a = ckpt->by_name[i - 1], *b = ckpt->by_name[i];
        if (strcmp(a->name, b->name) == 0)
            return td_fail(err, TD_ERR_FORMAT, "tensor '%s' appears twice, in %s and in %s",
                           a->name, ckpt->files[a->i_file].path, ckpt->files[b->i_file].path);
    }
    return TD_OK;
}

/* Takes over *f, whatever comes of it. */
static td_status open_file(td_checkpoint *ckpt, file *f, td_err *err) {
    int i_file, n_file;
    TD_TRY(split_read(f, &i_file, &n_file, err));
    if (n_file > 1) return split_open(ckpt, f, i_file, n_file, err);
    ckpt->files = td_calloc(1, sizeof *ckpt->files);
    if (!ckpt->files) return td_fail_nomem(err, "the file table", sizeof *ckpt->files);
    ckpt->n_file = 1;
    ckpt->files[0] = *f;
    *f = (file){0};
    return TD_OK;
}

static td_status create(td_checkpoint **out, const char *path, td_err *err) {
    *out = td_calloc(1, sizeof **out);
    if (!*out) return td_fail_nomem(err, "a checkpoint", sizeof **out);
    (*out)->path = td_strdup(path);
    if (!(*out)->path) return td_fail_nomem(err, "a path", strlen(path) + 1);
    return TD_OK;
}

/* The common end of both ways to open: f is parsed, unless status says otherwise. */
static td_status finish(td_checkpoint **out, file *f, td_status status, td_err *err) {
    if (status == TD_OK) status = open_file(*out, f, err);
    if (status == TD_OK) status = index_tensors(*out, err);
    file_close(f);
    if (status != TD_OK) {
        td_checkpoint_close(*out);
        *out = NULL;
    }
    return status;
}

td_status td_checkpoint_open(td_checkpoint **out, const char *path, td_err *err) {
    file f = {0};
    td_status status = create(out, path, err);
    if (status == TD_OK) status = file_open(&f, path, err);
    return finish(out, &f, status, err);
}

td_status td_checkpoint_open_memory(td_checkpoint **out, const void *image, size_t n,
                                    const char *name, td_err *err) {
    file f = {0};
    td_status status = create(out, name, err);
    if (status == TD_OK && !(f.path = td_strdup(name)))
        status = td_fail_nomem(err, "a path", strlen(name) + 1);
    if (status == TD_OK) status = td_gguf_parse(&f.gguf, image, n, name, err);
    return finish(out, &f, status, err);
}

void td_checkpoint_close(td_checkpoint *ckpt) {
    if (!ckpt) return;
    for (int i = 0; i < ckpt->n_file; i++) file_close(&ckpt->files[i]);
    td_free(ckpt->files);
    td_free(ckpt->tensors);
    td_free(ckpt->by_name);
    td_free(ckpt->path);
    td_free(ckpt);
}

/* ---- accessors ---- */

td_checkpoint_kind td_checkpoint_get_kind(const td_checkpoint *ckpt) {
    (void)ckpt;
    return TD_CHECKPOINT_GGUF;
}

const char *td_checkpoint_path(const td_checkpoint *ckpt) { return ckpt->path; }

const char *td_checkpoint_format(const td_checkpoint *ckpt) {
    return ckpt->files[0].gguf.version == 2 ? "GGUF v2" : "GGUF v3";
}

int td_checkpoint_n_file(const td_checkpoint *ckpt) { return ckpt->n_file; }

const char *td_checkpoint_file(const td_checkpoint *ckpt, int i_file) {
    return ckpt->files[i_file].path;
}

size_t td_checkpoint_file_bytes(const td_checkpoint *ckpt, int i_file) {
    return ckpt->files[i_file].gguf.n;
}

/* An image in memory has no map, and advice on its pages could drop the caller's data. */
void td_checkpoint_will_need(const td_checkpoint *ckpt, const td_tensor *t) {
    const td_filemap *map = &ckpt->files[t->i_file].map;
    if (map->data) td_filemap_will_need(map, t->offset, t->n_bytes);
}

void td_checkpoint_dont_need(const td_checkpoint *ckpt, const td_tensor *t) {
    const td_filemap *map = &ckpt->files[t->i_file].map;
    if (map->data) td_filemap_dont_need(map, t->offset, t->n_bytes);
}

size_t td_checkpoint_n_tensor(const td_checkpoint *ckpt) { return ckpt->n_tensor; }

const td_tensor *td_checkpoint_tensor_at(const td_checkpoint *ckpt, size_t i) {
    TD_ASSERT(i < ckpt->n_tensor);
    return &ckpt->tensors[i];
}

const td_tensor *td_checkpoint_tensor(const td_checkpoint *ckpt, const char *name) {
    const td_tensor key = {.name = name}, *p = &key;
    const td_tensor **found =
        bsearch(&p, ckpt->by_name, ckpt->n_tensor, sizeof *ckpt->by_name, by_name);
    return found ? *found : NULL;
}

size_t td_checkpoint_n_meta(const td_checkpoint *ckpt) { return ckpt->files[0].gguf.n_meta; }

const td_meta *td_checkpoint_meta_at(const td_checkpoint *ckpt, size_t i) {
    TD_ASSERT(i < ckpt->files[0].gguf.n_meta);
    return &ckpt->files[0].gguf.metas[i].meta;
}

const td_meta *td_checkpoint_meta(const td_checkpoint *ckpt, const char *key) {
    const td_gguf_meta *m = td_gguf_find_meta(&ckpt->files[0].gguf, key);
    return m ? &m->meta : NULL;
}
