/* gguf.c - taking one GGUF image apart: header, metadata, tensor infos, ranges.
 *
 * The image is hostile until proven otherwise.  Counts are held against the bytes that remain
 * before anything is allocated for them, so memory stays proportional to the file.  After
 * td_gguf_parse() every stored pointer, length and offset lies inside the image. */
#include "format/gguf.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "format/name.h"

/* The least an entry can occupy, for checking counts: an 8-byte length and one byte of name, then a
 * type and a byte of value, or a rank, one dimension, type and offset. */
enum { MIN_META_BYTES = 8 + 1 + 4 + 1, MIN_TENSOR_BYTES = 8 + 1 + 4 + 8 + 4 + 8 };

static const struct {
    const char *name;
    td_meta_type type;
    uint8_t bytes; /* 0: variable */
} value_types[TD_N_GGUF_TYPE] = {
    [TD_GGUF_U8] = {"u8",     TD_META_INT,    1},
    [TD_GGUF_I8] = {"i8",     TD_META_INT,    1},
    [TD_GGUF_U16] = {"u16",    TD_META_INT,    2},
    [TD_GGUF_I16] = {"i16",    TD_META_INT,    2},
    [TD_GGUF_U32] = {"u32",    TD_META_INT,    4},
    [TD_GGUF_I32] = {"i32",    TD_META_INT,    4},
    [TD_GGUF_F32] = {"f32",    TD_META_FLOAT,  4},
    [TD_GGUF_BOOL] = {"bool",   TD_META_BOOL,   1},
    [TD_GGUF_STRING] = {"string", TD_META_STRING, 0},
    [TD_GGUF_ARRAY] = {"array",  TD_META_ARRAY,  0},
    [TD_GGUF_U64] = {"u64",    TD_META_INT,    8},
    [TD_GGUF_I64] = {"i64",    TD_META_INT,    8},
    [TD_GGUF_F64] = {"f64",    TD_META_FLOAT,  8},
};

/* A length and that many bytes, borrowed. */
static td_status read_string(td_cursor *c, td_string *out, const char *what, td_err *err) {
    uint64_t n;
    const uint8_t *text;
    TD_TRY(td_cursor_u64(c, &n, what, err));
    if (n > TD_GGUF_MAX_STRING)
        return td_fail(err, TD_ERR_FORMAT, "%s: %s is %" PRIu64 " bytes long, wanted at most %d",
                       c->name, what, n, TD_GGUF_MAX_STRING);
    TD_TRY(td_cursor_bytes(c, &text, (size_t)n, what, err));
    *out = (td_string){(const char *)text, (size_t)n};
    return TD_OK;
}

/* A key or tensor name of 1 to `max` printable bytes, copied into the arena. */
static td_status read_name(td_gguf *g, td_cursor *c, const char **out, size_t max, const char *what,
                           td_err *err) {
    td_string s = {NULL, 0};
    TD_TRY(read_string(c, &s, what, err));
    if (s.n == 0 || s.n > max)
        return td_fail(err, TD_ERR_FORMAT, "%s: %s is %zu bytes long, wanted 1 to %zu", c->name,
                       what, s.n, max);
    if (!td_name_is_printable(s.text, s.n))
        return td_fail(err, TD_ERR_FORMAT,
                       "%s: %s before byte %zu has control characters or is not UTF-8", c->name,
                       what, c->at);
    *out = td_arena_strndup(&g->arena, s.text, s.n);
    if (!*out) return td_fail_nomem(err, what, s.n + 1);
    return TD_OK;
}

/* ---- header ---- */

typedef struct header {
    uint64_t n_tensor, n_meta;
} header;

static td_status read_version(td_gguf *g, td_cursor *c, td_err *err) {
    const uint8_t *magic;
    TD_TRY(td_cursor_bytes(c, &magic, 4, "magic", err));
    if (memcmp(magic, "GGUF", 4) != 0)
        return td_fail(
            err, TD_ERR_FORMAT,
            "%s: not a GGUF file: begins with bytes %02x %02x %02x %02x, wanted \"GGUF\"", c->name,
            magic[0], magic[1], magic[2], magic[3]);
    TD_TRY(td_cursor_u32(c, &g->version, "version", err));
    if (g->version != 0 && (g->version & 0xffff) == 0)
        return td_fail(err, TD_ERR_UNSUPPORTED,
                       "%s: a big-endian GGUF file (version %" PRIu32
                       " with bytes swapped), wanted little-endian",
                       c->name, __builtin_bswap32(g->version));
    if (g->version != 2 && g->version != 3)
        return td_fail(err, TD_ERR_UNSUPPORTED, "%s: GGUF version %" PRIu32 ", wanted 2 or 3",
                       c->name, g->version);
    return TD_OK;
}

/* A count of entries that each take at least min_bytes of what is left. */
static td_status check_count(const td_cursor *c, uint64_t n, uint64_t max, size_t min_bytes,
                             const char *what, td_err *err) {
    if (n > max)
        return td_fail(err, TD_ERR_FORMAT, "%s: %s is %" PRIu64 ", wanted at most %" PRIu64,
                       c->name, what, n, max);
    if (n > td_cursor_left(c) / min_bytes)
        return td_fail(err, TD_ERR_FORMAT,
                       "%s: %s is %" PRIu64 ", but the %zu bytes left hold at most %zu", c->name,
                       what, n, td_cursor_left(c), td_cursor_left(c) / min_bytes);
    return TD_OK;
}

static td_status read_header(td_gguf *g, td_cursor *c, header *h, td_err *err) {
    TD_TRY(read_version(g, c, err));
    TD_TRY(td_cursor_u64(c, &h->n_tensor, "tensor count", err));
    TD_TRY(td_cursor_u64(c, &h->n_meta, "metadata count", err));
    TD_TRY(check_count(c, h->n_tensor, TD_GGUF_MAX_TENSORS, MIN_TENSOR_BYTES, "tensor count", err));
    return check_count(c, h->n_meta, TD_GGUF_MAX_METAS, MIN_META_BYTES, "metadata count", err);
}

/* ---- metadata ---- */

static td_status read_value_type(td_cursor *c, td_gguf_type *out, const char *key, td_err *err) {
    uint32_t id;
    TD_TRY(td_cursor_u32(c, &id, key, err));
    if (id >= TD_N_GGUF_TYPE)
        return td_fail(err, TD_ERR_FORMAT,
                       "%s: key '%s' has value type %" PRIu32 ", wanted 0 to %d", c->name, key, id,
                       TD_N_GGUF_TYPE - 1);
    *out = (td_gguf_type)id;
    return TD_OK;
}

/* Finds where each string of an array begins, so that element i is one look-up. */
static td_status read_strings(td_gguf *g, td_cursor *c, td_gguf_meta *m, td_err *err) {
    const size_t from = c->at, n = (size_t)m->meta.n_elem;
    size_t bytes;
    TD_TRY(td_mul_size(&bytes, n, sizeof *m->string_at, m->meta.key, err));
    m->string_at = td_arena_alloc(&g->arena, bytes);
    if (!m->string_at) return td_fail_nomem(err, m->meta.key, bytes);
    for (size_t i = 0; i < n; i++) {
        td_string s;
        m->string_at[i] = c->at - from;
        TD_TRY(read_string(c, &s, m->meta.key, err));
    }
    return TD_OK;
}

/* What bytes alone do not tell: bools are 0 or 1, and unsigned values may not fit an int64. */
static td_status check_elements(const td_cursor *c, const td_gguf_meta *m, td_meta_type *type,
                                td_err *err) {
    *type = value_types[m->stored].type;
    for (uint64_t i = 0; i < m->meta.n_elem; i++) {
        if (m->stored == TD_GGUF_BOOL && m->data[i] > 1)
            return td_fail(err, TD_ERR_FORMAT, "%s: key '%s': bool is %d, wanted 0 or 1", c->name,
                           m->meta.key, m->data[i]);
        if (m->stored == TD_GGUF_U64 && m->data[8 * i + 7] > 0x7f) *type = TD_META_UINT;
    }
    return TD_OK;
}

/* n_elem values of type m->stored: one for a scalar. */
static td_status read_elements(td_gguf *g, td_cursor *c, td_gguf_meta *m, td_meta_type *type,
                               td_err *err) {
    const bool is_string = m->stored == TD_GGUF_STRING;
    const size_t elem_bytes = is_string ? 8 : value_types[m->stored].bytes;
    if (m->meta.n_elem > td_cursor_left(c) / elem_bytes)
        return td_fail(
            err, TD_ERR_FORMAT,
            "%s: key '%s': %" PRIu64 " elements of type %s do not fit the %zu bytes left", c->name,
            m->meta.key, m->meta.n_elem, value_types[m->stored].name, td_cursor_left(c));
    m->data = c->data + c->at;
    if (is_string) {
        *type = TD_META_STRING;
        if (m->meta.type == TD_META_ARRAY) return read_strings(g, c, m, err);
        td_string s;
        return read_string(c, &s, m->meta.key, err);
    }
    c->at += elem_bytes * (size_t)m->meta.n_elem;
    if (m->stored == TD_GGUF_BOOL || m->stored == TD_GGUF_U64)
        return check_elements(c, m, type, err);
    *type = value_types[m->stored].type;
    return TD_OK;
}

static td_status read_meta(td_gguf *g, td_cursor *c, td_gguf_meta *m, td_err *err) {
    TD_TRY(read_name(g, c, &m->meta.key, TD_GGUF_MAX_KEY, "metadata key", err));
    TD_TRY(read_value_type(c, &m->stored, m->meta.key, err));
    m->meta.n_elem = 1;
    if (m->stored != TD_GGUF_ARRAY) {
        TD_TRY(read_elements(g, c, m, &m->meta.type, err));
        m->meta.elem_type = m->meta.type;
        return TD_OK;
    }
    m->meta.type = TD_META_ARRAY;
    TD_TRY(read_value_type(c, &m->stored, m->meta.key, err));
    if (m->stored == TD_GGUF_ARRAY)
        return td_fail(err, TD_ERR_FORMAT, "%s: key '%s': an array of arrays, wanted a flat one",
                       c->name, m->meta.key);
    TD_TRY(td_cursor_u64(c, &m->meta.n_elem, m->meta.key, err));
    return read_elements(g, c, m, &m->meta.elem_type, err);
}

static int by_key(const void *a, const void *b) {
    const td_gguf_meta *const *x = a, *const *y = b;
    return strcmp((*x)->meta.key, (*y)->meta.key);
}

td_status td_gguf_sort_metas(const td_gguf_meta **metas_by_key, size_t n, const char *name,
                             td_err *err) {
    qsort(metas_by_key, n, sizeof *metas_by_key, by_key);
    for (size_t i = 1; i < n; i++)
        if (strcmp(metas_by_key[i - 1]->meta.key, metas_by_key[i]->meta.key) == 0)
            return td_fail(err, TD_ERR_FORMAT, "%s: key '%s' appears twice", name,
                           metas_by_key[i]->meta.key);
    return TD_OK;
}

const td_gguf_meta *td_gguf_find_in(const td_gguf_meta *const *metas_by_key, size_t n,
                                    const char *key) {
    size_t lo = 0, hi = n;
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        const int order = strcmp(key, metas_by_key[mid]->meta.key);
        if (order == 0) return metas_by_key[mid];
        if (order < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

static td_status read_metas(td_gguf *g, td_cursor *c, size_t n, td_err *err) {
    g->metas = td_arena_calloc(&g->arena, n, sizeof *g->metas);
    g->metas_by_key = td_arena_alloc(&g->arena, n * sizeof *g->metas_by_key);
    if (!g->metas || !g->metas_by_key)
        return td_fail_nomem(err, "the metadata table", n * sizeof *g->metas);
    for (; g->n_meta < n; g->n_meta++) {
        g->metas_by_key[g->n_meta] = &g->metas[g->n_meta];
        td_status status = read_meta(g, c, &g->metas[g->n_meta], err);
        if (status != TD_OK)
            return td_fail_in(err, status, "metadata entry %zu of %zu", g->n_meta + 1, n);
    }
    return td_gguf_sort_metas(g->metas_by_key, n, c->name, err);
}

const td_gguf_meta *td_gguf_find_meta(const td_gguf *g, const char *key) {
    return td_gguf_find_in(g->metas_by_key, g->n_meta, key);
}

static td_status read_alignment(td_gguf *g, const char *name, td_err *err) {
    const td_gguf_meta *m = td_gguf_find_meta(g, "general.alignment");
    g->alignment = TD_GGUF_ALIGNMENT;
    if (!m) return TD_OK;
    if (m->meta.type != TD_META_INT || m->stored != TD_GGUF_U32)
        return td_fail(err, TD_ERR_FORMAT, "%s: key 'general.alignment' is not a u32", name);
    const int64_t a = td_meta_int(&m->meta, 0);
    if (a < 1 || a > TD_GGUF_MAX_ALIGNMENT || (a & (a - 1)) != 0)
        return td_fail(err, TD_ERR_FORMAT,
                       "%s: general.alignment is %" PRId64 ", wanted a power of two up to %d", name,
                       a, TD_GGUF_MAX_ALIGNMENT);
    g->alignment = (size_t)a;
    return TD_OK;
}

/* ---- tensors ---- */

static td_status read_dims(td_cursor *c, td_tensor *t, td_err *err) {
    uint32_t n;
    TD_TRY(td_cursor_u32(c, &n, t->name, err));
    if (n < 1 || n > TD_MAX_DIMS)
        return td_fail(err, TD_ERR_FORMAT,
                       "%s: tensor '%s' has %" PRIu32 " dimensions, wanted 1 to %d", c->name,
                       t->name, n, TD_MAX_DIMS);
    t->n_dims = (int)n;
    int64_t elems = 1;
    for (uint32_t i = 0; i < TD_MAX_DIMS; i++) {
        uint64_t ne = 1;
        if (i < n) TD_TRY(td_cursor_u64(c, &ne, t->name, err));
        if (ne < 1 || ne > INT64_MAX)
            return td_fail(err, TD_ERR_FORMAT,
                           "%s: tensor '%s': dimension %" PRIu32 " is %" PRId64
                           ", wanted at least 1",
                           c->name, t->name, i, (int64_t)ne);
        t->ne[i] = (int64_t)ne;
        if (__builtin_mul_overflow(elems, t->ne[i], &elems))
            return td_fail(err, TD_ERR_FORMAT, "%s: tensor '%s': its element count overflows",
                           c->name, t->name);
    }
    return TD_OK;
}

static td_status read_dtype(td_cursor *c, td_tensor *t, td_err *err) {
    uint32_t id;
    TD_TRY(td_cursor_u32(c, &id, t->name, err));
    const bool fits = id <= INT32_MAX;
    if (!fits || id >= TD_N_GGUF_DTYPE || !td_dtype_get_info((int)id))
        return td_fail(err, TD_ERR_UNSUPPORTED,
                       "%s: tensor '%s' has type %" PRIu32 " (%s), which this build does not know",
                       c->name, t->name, id, fits ? td_dtype_name((int)id) : "unknown");
    t->dtype = (td_dtype)id;
    const td_dtype_info *info = td_dtype_get_info((int)id);
    if (t->ne[0] % info->block_elems != 0)
        return td_fail(err, TD_ERR_FORMAT,
                       "%s: tensor '%s': rows of %" PRId64
                       " elements, wanted a multiple of %d for type %s",
                       c->name, t->name, t->ne[0], info->block_elems, info->name);
    const size_t n_block = (size_t)(td_tensor_elems(t) / info->block_elems);
    if (__builtin_mul_overflow(n_block, (size_t)info->block_bytes, &t->n_bytes))
        return td_fail(err, TD_ERR_FORMAT,
                       "%s: tensor '%s': the size of %zu blocks of %d bytes overflows", c->name,
                       t->name, n_block, info->block_bytes);
    return TD_OK;
}

/* Name, shape, type; the offset is relative to the data section until place_tensors(). */
static td_status read_tensor(td_gguf *g, td_cursor *c, td_tensor *t, td_err *err) {
    uint64_t offset;
    TD_TRY(read_name(g, c, &t->name, TD_GGUF_MAX_TENSOR_NAME, "tensor name", err));
    TD_TRY(read_dims(c, t, err));
    TD_TRY(read_dtype(c, t, err));
    TD_TRY(td_cursor_u64(c, &offset, t->name, err));
    if (offset % g->alignment != 0)
        return td_fail(err, TD_ERR_FORMAT,
                       "%s: tensor '%s' is at offset %" PRIu64 ", wanted a multiple of %zu",
                       c->name, t->name, offset, g->alignment);
    t->offset = (size_t)offset;
    return TD_OK;
}

/* Makes offsets absolute and holds every range against the end of the file. */
static td_status place_tensors(td_gguf *g, const td_cursor *c, td_err *err) {
    const size_t data_at = (c->at + g->alignment - 1) & ~(g->alignment - 1);
    for (size_t i = 0; i < g->n_tensor; i++) {
        td_tensor *t = &g->tensors[i];
        size_t from, to;
        if (__builtin_add_overflow(data_at, t->offset, &from) ||
            __builtin_add_overflow(from, t->n_bytes, &to) || to > g->n)
            return td_fail(
                err, TD_ERR_FORMAT,
                "%s: tensor '%s' wants %zu bytes at offset %zu of the data, which begins "
                "at byte %zu, but the file has %zu bytes",
                c->name, t->name, t->n_bytes, t->offset, data_at, g->n);
        t->offset = from;
        t->data = g->image + from;
    }
    return TD_OK;
}

static int by_offset(const void *a, const void *b) {
    const td_tensor *const *x = a, *const *y = b;
    return ((*x)->offset > (*y)->offset) - ((*x)->offset < (*y)->offset);
}

/* No two tensors may share bytes: sizes add up to at most the file's. */
static td_status check_overlap(const td_gguf *g, const char *name, td_err *err) {
    const size_t bytes = g->n_tensor * sizeof(td_tensor *);
    const td_tensor **sorted = td_malloc(bytes);
    if (!sorted) return td_fail_nomem(err, "the tensor table", bytes);
    for (size_t i = 0; i < g->n_tensor; i++) sorted[i] = &g->tensors[i];
    qsort(sorted, g->n_tensor, sizeof *sorted, by_offset);
    td_status status = TD_OK;
    for (size_t i = 1; i < g->n_tensor && status == TD_OK; i++) {
        const td_tensor *a = sorted[i - 1], *b = sorted[i];
        if (a->offset + a->n_bytes > b->offset)
            status = td_fail(err, TD_ERR_FORMAT,
                             "%s: tensors '%s' (bytes %zu to %zu) and '%s' (from byte %zu) overlap",
                             name, a->name, a->offset, a->offset + a->n_bytes, b->name, b->offset);
    }
    td_free(sorted);
    return status;
}

static td_status read_tensors(td_gguf *g, td_cursor *c, size_t n, td_err *err) {
    g->tensors = td_arena_calloc(&g->arena, n, sizeof *g->tensors);
    if (!g->tensors) return td_fail_nomem(err, "the tensor table", n * sizeof *g->tensors);
    for (; g->n_tensor < n; g->n_tensor++) {
        td_status status = read_tensor(g, c, &g->tensors[g->n_tensor], err);
        if (status != TD_OK)
            return td_fail_in(err, status, "tensor info %zu of %zu", g->n_tensor + 1, n);
    }
    TD_TRY(place_tensors(g, c, err));
    return check_overlap(g, c->name, err);
}

static td_status parse(td_gguf *g, td_cursor *c, td_err *err) {
    header h;
    TD_TRY(read_header(g, c, &h, err));
    TD_TRY(read_metas(g, c, (size_t)h.n_meta, err));
    TD_TRY(read_alignment(g, c->name, err));
    /* Again, now that the metadata is gone: a table must be no larger than what is left. */
    TD_TRY(check_count(c, h.n_tensor, TD_GGUF_MAX_TENSORS, MIN_TENSOR_BYTES, "tensor count", err));
    return read_tensors(g, c, (size_t)h.n_tensor, err);
}

td_status td_gguf_parse(td_gguf *g, const uint8_t *image, size_t n, const char *name, td_err *err) {
    *g = (td_gguf){.image = image, .n = n};
    td_arena_init(&g->arena, 0);
    td_cursor c = {.data = image, .n = n, .name = name};
    td_status status = parse(g, &c, err);
    if (status != TD_OK) td_gguf_clear(g);
    return status;
}

void td_gguf_clear(td_gguf *g) {
    td_arena_clear(&g->arena);
    *g = (td_gguf){0};
}
