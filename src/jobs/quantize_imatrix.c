/* quantize_imatrix.c - see quantize_imatrix.h. */
#include "jobs/quantize_imatrix.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/cursor.h"
#include "base/filemap.h"
#include "format/checkpoint.h"

enum { MAX_ENTRIES = 1000000, MAX_NAME = 1024 };

typedef struct entry {
    const char *name; /* in the arena */
    float *values;    /* in the arena; [n] */
    size_t n;
} entry;

struct td_imatrix {
    char *path;     /* owned */
    entry *entries; /* owned; [n_entry], sorted by name */
    size_t n_entry, cap_entry;
    int64_t n_chunk;
    const char *dataset; /* in the arena */
    td_arena arena;
};

void td_imatrix_free(td_imatrix *m) {
    if (!m) return;
    td_free(m->path);
    td_free(m->entries);
    td_arena_clear(&m->arena);
    td_free(m);
}

/* A new entry with room for n values. */
static td_status add_entry(td_imatrix *m, const char *name, size_t n_name, size_t n, entry **out,
                           td_err *err) {
    size_t bytes;
    TD_TRY(td_mul_size(&bytes, n, sizeof(float), "an importance matrix", err));
    TD_TRY(td_grow((void **)&m->entries, &m->cap_entry, m->n_entry + 1, sizeof *m->entries,
                   "the importance matrix", err));
    entry *e = &m->entries[m->n_entry];
    e->name = td_arena_strndup(&m->arena, name, n_name);
    e->values = td_arena_alloc(&m->arena, bytes);
    e->n = n;
    if (!e->name || !e->values) return td_fail_nomem(err, "the importance matrix", bytes);
    m->n_entry++;
    *out = e;
    return TD_OK;
}

static td_status check_values(const td_imatrix *m, const entry *e, td_err *err) {
    for (size_t i = 0; i < e->n; i++)
        if (!isfinite(e->values[i]) || e->values[i] < 0)
            return td_fail(err, TD_ERR_FORMAT,
                           "%s: entry '%s': value %zu is %g, wanted a finite mean square", m->path,
                           e->name, i, (double)e->values[i]);
    return TD_OK;
}

static int by_name(const void *a, const void *b) {
    const entry *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static td_status finish(td_imatrix *m, td_err *err) {
    if (m->n_entry == 0)
        return td_fail(err, TD_ERR_FORMAT, "%s: an importance matrix without entries", m->path);
    qsort(m->entries, m->n_entry, sizeof *m->entries, by_name);
    for (size_t i = 0; i < m->n_entry; i++) {
        if (i > 0 && strcmp(m->entries[i - 1].name, m->entries[i].name) == 0)
            return td_fail(err, TD_ERR_FORMAT, "%s: entry '%s' appears twice", m->path,
                           m->entries[i].name);
        TD_TRY(check_values(m, &m->entries[i], err));
    }
    return TD_OK;
}

/* ---- the older format: entries of a name, a number of calls, a number of values, the values ----
 */

/* A length that is at least 1 and at most max. */
static td_status read_length(td_cursor *c, size_t *out, size_t max, const char *what, td_err *err) {
    uint32_t n;
    TD_TRY(td_cursor_u32(c, &n, what, err));
    if (n < 1 || n > max)
        return td_fail(err, TD_ERR_FORMAT, "%s: %s at byte %zu is %" PRId32 ", wanted 1 to %zu",
                       c->name, what, c->at - 4, (int32_t)n, max);
    *out = n;
    return TD_OK;
}

/* The values are sums over calls; where no call was counted they are taken as they are. */
static td_status read_old_entry(td_imatrix *m, td_cursor *c, td_err *err) {
    size_t n_name, n;
    const uint8_t *name, *values;
    uint32_t n_call;
    TD_TRY(read_length(c, &n_name, MAX_NAME, "the length of a name", err));
    TD_TRY(td_cursor_bytes(c, &name, n_name, "a name", err));
    if (memchr(name, 0, n_name))
        return td_fail(err, TD_ERR_FORMAT, "%s: the name before byte %zu has a zero in it", c->name,
                       c->at);
    TD_TRY(td_cursor_u32(c, &n_call, "the number of calls", err));
    TD_TRY(read_length(c, &n, td_cursor_left(c) / sizeof(float), "the number of values", err));
    TD_TRY(td_cursor_bytes(c, &values, n * sizeof(float), "values", err));
    entry *e;
    TD_TRY(add_entry(m, (const char *)name, n_name, n, &e, err));
    memcpy(e->values, values, n * sizeof(float));
    if (n_call > 0 && n_call <= INT32_MAX)
        for (size_t i = 0; i < n; i++) e->values[i] /= (float)n_call;
    return TD_OK;
}

static td_status parse_old(td_imatrix *m, td_cursor *c, td_err *err) {
    size_t n_entry;
    TD_TRY(read_length(c, &n_entry, MAX_ENTRIES, "the number of entries", err));
    for (size_t i = 0; i < n_entry; i++) {
        const td_status status = read_old_entry(m, c, err);
        if (status != TD_OK) return td_fail_in(err, status, "entry %zu of %zu", i + 1, n_entry);
    }
    if (td_cursor_left(c) == 0) return TD_OK; /* what follows came later to the format */
    uint32_t n_chunk;
    size_t n_name;
    const uint8_t *name;
    TD_TRY(td_cursor_u32(c, &n_chunk, "the number of chunks", err));
    m->n_chunk = n_chunk <= INT32_MAX ? n_chunk : 0;
    if (td_cursor_left(c) == 0) return TD_OK;
    TD_TRY(read_length(c, &n_name, td_cursor_left(c), "the length of the data set's name", err));
    TD_TRY(td_cursor_bytes(c, &name, n_name, "the data set's name", err));
    m->dataset = td_arena_strndup(&m->arena, (const char *)name, n_name);
    return m->dataset ? TD_OK : td_fail_nomem(err, "the data set's name", n_name);
}

/* ---- GGUF ---- */

static bool ends_with(const char *s, const char *end) {
    const size_t n = strlen(s), n_end = strlen(end);
    return n > n_end && strcmp(s + n - n_end, end) == 0;
}

/* The sums of each of n_mat matrices are divided by its count; what was never used counts evenly.
 */
static td_status take_means(td_imatrix *m, const td_tensor *sums, const td_tensor *counts,
                            td_err *err) {
    const size_t n_name = strlen(sums->name) - strlen(".in_sum2");
    const size_t n = (size_t)td_tensor_elems(sums), n_mat = (size_t)td_tensor_elems(counts);
    if (sums->dtype != TD_DTYPE_F32 || counts->dtype != TD_DTYPE_F32)
        return td_fail(err, TD_ERR_FORMAT, "%s: '%s' and '%s' have the types %s and %s, wanted f32",
                       m->path, sums->name, counts->name, td_dtype_name((int)sums->dtype),
                       td_dtype_name((int)counts->dtype));
    if (n % n_mat != 0)
        return td_fail(err, TD_ERR_FORMAT, "%s: '%s' has %zu values for %zu counts", m->path,
                       sums->name, n, n_mat);
    entry *e;
    TD_TRY(add_entry(m, sums->name, n_name, n, &e, err));
    memcpy(e->values, sums->data, n * sizeof(float));
    const size_t k = n / n_mat;
    for (size_t i_mat = 0; i_mat < n_mat; i_mat++) {
        float count;
        memcpy(&count, counts->data + i_mat * sizeof count, sizeof count);
        float *values = e->values + i_mat * k;
        count = roundf(count);
        for (size_t i = 0; i < k; i++) values[i] = count > 0 ? values[i] / count : 1;
    }
    return TD_OK;
}

static td_status take_facts(td_imatrix *m, const td_checkpoint *ckpt, td_err *err) {
    TD_TRY(
        td_checkpoint_get_int(ckpt, "imatrix.chunk_count", true, 0, UINT32_MAX, &m->n_chunk, err));
    const td_meta *datasets = td_checkpoint_meta(ckpt, "imatrix.datasets");
    if (!datasets || datasets->type != TD_META_ARRAY || datasets->elem_type != TD_META_STRING)
        return td_fail(err, TD_ERR_FORMAT,
                       "%s: key 'imatrix.datasets' is %s, wanted an array of strings", m->path,
                       datasets ? "of another type" : "missing");
    if (datasets->n_elem == 0) return TD_OK;
    const td_string first = td_meta_string(datasets, 0);
    m->dataset = td_arena_strndup(&m->arena, first.text, first.n);
    return m->dataset ? TD_OK : td_fail_nomem(err, "the data set's name", first.n);
}

static td_status read_gguf(td_imatrix *m, const td_checkpoint *ckpt, td_err *err) {
    TD_TRY(take_facts(m, ckpt, err));
    for (size_t i = 0; i < td_checkpoint_n_tensor(ckpt); i++) {
        const td_tensor *sums = td_checkpoint_tensor_at(ckpt, i);
        if (!ends_with(sums->name, ".in_sum2")) continue;
        char name[256];
        const size_t n = strlen(sums->name) - strlen(".in_sum2");
        TD_ASSERT(n + sizeof ".counts" <= sizeof name); /* the checkpoint has checked names */
        memcpy(name, sums->name, n);
        strcpy(name + n, ".counts");
        const td_tensor *counts = td_checkpoint_tensor(ckpt, name);
        if (!counts)
            return td_fail(err, TD_ERR_FORMAT, "%s: '%s' is there, but '%s' is not", m->path,
                           sums->name, name);
        TD_TRY(take_means(m, sums, counts, err));
    }
    return TD_OK;
}

static td_status parse_gguf(td_imatrix *m, const void *bytes, size_t n, td_err *err) {
    td_checkpoint *ckpt;
    TD_TRY(td_checkpoint_open_memory(&ckpt, bytes, n, m->path, err));
    const td_status status = read_gguf(m, ckpt, err);
    td_checkpoint_close(ckpt);
    return status;
}

/* ---- both ---- */

td_status td_imatrix_parse(td_imatrix **out, const void *bytes, size_t n, const char *name,
                           td_err *err) {
    *out = NULL;
    td_imatrix *m = td_calloc(1, sizeof *m);
    if (!m) return td_fail_nomem(err, "the importance matrix", sizeof *m);
    td_arena_init(&m->arena, 65536);
    m->path = td_strdup(name);
    td_status status = m->path ? TD_OK : td_fail_nomem(err, "a file name", strlen(name) + 1);
    td_cursor c = {.data = bytes, .n = n, .name = name};
    if (status == TD_OK)
        status = n >= 4 && memcmp(bytes, "GGUF", 4) == 0 ? parse_gguf(m, bytes, n, err)
                                                         : parse_old(m, &c, err);
    if (status == TD_OK) status = finish(m, err);
    if (status == TD_OK)
        *out = m;
    else
        td_imatrix_free(m);
    return status;
}

td_status td_imatrix_open(td_imatrix **out, const char *path, td_err *err) {
    td_filemap map;
    *out = NULL;
    TD_TRY(td_filemap_open(&map, path, err));
    const td_status status = td_imatrix_parse(out, map.data, map.n, path, err);
    td_filemap_close(&map);
    return status;
}

size_t td_imatrix_n_entry(const td_imatrix *m) { return m->n_entry; }
int64_t td_imatrix_n_chunk(const td_imatrix *m) { return m->n_chunk; }
const char *td_imatrix_dataset(const td_imatrix *m) { return m->dataset; }
const char *td_imatrix_path(const td_imatrix *m) { return m->path; }

const float *td_imatrix_find(const td_imatrix *m, const char *tensor, size_t *n) {
    const entry key = {.name = tensor};
    const entry *e =
        m->n_entry > 0 ? bsearch(&key, m->entries, m->n_entry, sizeof key, by_name) : NULL;
    *n = e ? e->n : 0;
    return e ? e->values : NULL;
}

void td_imatrix_filter(td_imatrix *m, const char *const *parts, int n, int keep) {
    size_t n_left = 0;
    for (size_t i = 0; i < m->n_entry; i++) {
        int has = 0;
        for (int j = 0; j < n; j++) has = has || strstr(m->entries[i].name, parts[j]);
        if (has == !!keep) m->entries[n_left++] = m->entries[i];
    }
    m->n_entry = n_left;
}
