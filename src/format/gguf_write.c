/* gguf_write.c - see gguf_write.h. */
#include "format/gguf_write.h"

#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"

struct td_gguf_entry {
    char *key;      /* owned */
    uint8_t *value; /* owned; the bytes behind the key: type and all */
    size_t n;       /* bytes of value */
};

struct td_gguf_info {
    char *name; /* owned */
    td_dtype dtype;
    int n_dims;
    int64_t ne[TD_MAX_DIMS];
    uint64_t offset, n_bytes; /* in the data section */
};

static void release(td_gguf_writer *w) {
    for (size_t i = 0; i < w->n_entry; i++) {
        td_free(w->entries[i].key);
        td_free(w->entries[i].value);
    }
    for (size_t i = 0; i < w->n_info; i++) td_free(w->infos[i].name);
    td_free(w->entries);
    td_free(w->infos);
    *w = (td_gguf_writer){0};
}

td_status td_gguf_writer_open(td_gguf_writer *w, const char *path, td_err *err) {
    *w = (td_gguf_writer){0};
    return td_outfile_open(&w->file, path, err);
}

void td_gguf_writer_abort(td_gguf_writer *w) {
    td_outfile_abort(&w->file);
    release(w);
}

/* ---- metadata ---- */

static size_t scalar_bytes(td_gguf_type type) {
    static const uint8_t bytes[TD_N_GGUF_TYPE] = {
        [TD_GGUF_U8] = 1,  [TD_GGUF_I8] = 1,  [TD_GGUF_U16] = 2, [TD_GGUF_I16] = 2,
        [TD_GGUF_U32] = 4, [TD_GGUF_I32] = 4, [TD_GGUF_F32] = 4, [TD_GGUF_BOOL] = 1,
        [TD_GGUF_U64] = 8, [TD_GGUF_I64] = 8, [TD_GGUF_F64] = 8,
    };
    TD_ASSERT(bytes[type] > 0);
    return bytes[type];
}

static size_t find_entry(const td_gguf_writer *w, const char *key) {
    size_t i = 0;
    while (i < w->n_entry && strcmp(w->entries[i].key, key) != 0) i++;
    return i;
}

void td_gguf_writer_remove(td_gguf_writer *w, const char *key) {
    const size_t i = find_entry(w, key);
    if (i == w->n_entry) return;
    td_free(w->entries[i].key);
    td_free(w->entries[i].value);
    w->n_entry--;
    memmove(&w->entries[i], &w->entries[i + 1], (w->n_entry - i) * sizeof *w->entries);
}

/* Room for a value of n bytes under the key; *at is where it goes. */
static td_status add_entry(td_gguf_writer *w, const char *key, size_t n, uint8_t **at,
                           td_err *err) {
    TD_ASSERT(!w->begun);
    uint8_t *value = td_malloc(n);
    if (!value) return td_fail_nomem(err, key, n);
    const size_t i = find_entry(w, key);
    if (i == w->n_entry) {
        char *name = td_strdup(key);
        td_status status = name ? TD_OK : td_fail_nomem(err, key, strlen(key) + 1);
        if (status == TD_OK)
            status = td_grow((void **)&w->entries, &w->cap_entry, i + 1, sizeof *w->entries,
                             "the metadata table", err);
        if (status != TD_OK) {
            td_free(name);
            td_free(value);
            return status;
        }
        w->entries[w->n_entry++] = (td_gguf_entry){.key = name};
    }
    td_free(w->entries[i].value);
    w->entries[i].value = value;
    w->entries[i].n = n;
    *at = value;
    return TD_OK;
}

/* All our hosts are little-endian, as the file is. */
static uint8_t *put(uint8_t *at, const void *bytes, size_t n) {
    if (n > 0) memcpy(at, bytes, n);
    return at + n;
}

static uint8_t *put_u32(uint8_t *at, uint32_t v) { return put(at, &v, sizeof v); }
static uint8_t *put_u64(uint8_t *at, uint64_t v) { return put(at, &v, sizeof v); }

/* The words that say "an array of n of type". */
enum { ARRAY_HEAD = 4 + 4 + 8 };
static uint8_t *put_array_head(uint8_t *at, td_gguf_type type, uint64_t n) {
    return put_u64(put_u32(put_u32(at, TD_GGUF_ARRAY), (uint32_t)type), n);
}

td_status td_gguf_writer_put(td_gguf_writer *w, const char *key, td_gguf_type type,
                             const void *value, td_err *err) {
    uint8_t *at;
    const size_t n = scalar_bytes(type);
    TD_TRY(add_entry(w, key, 4 + n, &at, err));
    put(put_u32(at, (uint32_t)type), value, n);
    return TD_OK;
}

td_status td_gguf_writer_put_array(td_gguf_writer *w, const char *key, td_gguf_type type,
                                   const void *values, uint64_t n, td_err *err) {
    uint8_t *at;
    size_t bytes, all;
    TD_TRY(td_mul_size(&bytes, (size_t)n, scalar_bytes(type), key, err));
    TD_TRY(td_add_size(&all, bytes, ARRAY_HEAD, key, err));
    TD_TRY(add_entry(w, key, all, &at, err));
    put(put_array_head(at, type, n), values, bytes);
    return TD_OK;
}

td_status td_gguf_writer_put_string(td_gguf_writer *w, const char *key, td_string value,
                                    td_err *err) {
    uint8_t *at;
    size_t all;
    TD_TRY(td_add_size(&all, value.n, 4 + 8, key, err));
    TD_TRY(add_entry(w, key, all, &at, err));
    put(put_u64(put_u32(at, TD_GGUF_STRING), value.n), value.text, value.n);
    return TD_OK;
}

td_status td_gguf_writer_put_strings(td_gguf_writer *w, const char *key, const td_string *values,
                                     uint64_t n, td_err *err) {
    size_t all = ARRAY_HEAD;
    for (uint64_t i = 0; i < n; i++) {
        TD_TRY(td_add_size(&all, all, 8, key, err));
        TD_TRY(td_add_size(&all, all, values[i].n, key, err));
    }
    uint8_t *at;
    TD_TRY(add_entry(w, key, all, &at, err));
    at = put_array_head(at, TD_GGUF_STRING, n);
    for (uint64_t i = 0; i < n; i++)
        at = put(put_u64(at, values[i].n), values[i].text, values[i].n);
    return TD_OK;
}

/* Bytes of the elements behind m->data: they were checked when the file was opened. */
static size_t stored_bytes(const td_gguf_meta *m) {
    if (m->stored != TD_GGUF_STRING) return (size_t)m->meta.n_elem * scalar_bytes(m->stored);
    if (m->meta.n_elem == 0) return 0;
    const td_string last = td_meta_string(&m->meta, m->meta.n_elem - 1);
    return (size_t)((const uint8_t *)last.text + last.n - m->data);
}

td_status td_gguf_writer_copy(td_gguf_writer *w, const td_meta *meta, td_err *err) {
    const td_gguf_meta *m = (const td_gguf_meta *)meta;
    const size_t n = stored_bytes(m), head = meta->type == TD_META_ARRAY ? ARRAY_HEAD : 4;
    uint8_t *at;
    TD_TRY(add_entry(w, meta->key, head + n, &at, err));
    if (meta->type == TD_META_ARRAY)
        at = put_array_head(at, m->stored, meta->n_elem);
    else
        at = put_u32(at, (uint32_t)m->stored);
    put(at, m->data, n);
    return TD_OK;
}

/* ---- tensors ---- */

static uint64_t padded(uint64_t n) {
    return (n + TD_GGUF_ALIGNMENT - 1) / TD_GGUF_ALIGNMENT * TD_GGUF_ALIGNMENT;
}

/* Shape and size. */
static td_status size_info(td_gguf_info *info, const char *name, const int64_t *ne, td_err *err) {
    int64_t n_row = 1;
    TD_ASSERT(info->n_dims >= 1 && info->n_dims <= TD_MAX_DIMS);
    for (int i = 0; i < info->n_dims; i++) {
        info->ne[i] = ne[i];
        if (ne[i] < 1 || (i > 0 && __builtin_mul_overflow(n_row, ne[i], &n_row)))
            return td_fail(err, TD_ERR_FORMAT, "tensor '%s': dimension %d is %" PRId64, name, i,
                           ne[i]);
    }
    size_t row_bytes, bytes;
    const td_status status = td_dtype_row_bytes(&row_bytes, info->dtype, (size_t)ne[0], err);
    if (status != TD_OK) return td_fail_in(err, status, "tensor '%s'", name);
    TD_TRY(td_mul_size(&bytes, row_bytes, (size_t)n_row, name, err));
    info->n_bytes = bytes;
    return TD_OK;
}

td_status td_gguf_writer_tensor(td_gguf_writer *w, const char *name, td_dtype dtype, int n_dims,
                                const int64_t *ne, td_err *err) {
    TD_ASSERT(!w->begun);
    td_gguf_info info = {.dtype = dtype, .n_dims = n_dims};
    if (strlen(name) < 1 || strlen(name) > TD_GGUF_MAX_TENSOR_NAME)
        return td_fail(err, TD_ERR_FORMAT, "a tensor name of %zu bytes, wanted 1 to %d",
                       strlen(name), TD_GGUF_MAX_TENSOR_NAME);
    if ((int)dtype >= TD_N_GGUF_DTYPE)
        return td_fail(err, TD_ERR_FORMAT, "tensor '%s' has type %s, which GGUF lacks", name,
                       td_dtype_name((int)dtype));
    TD_TRY(size_info(&info, name, ne, err));
    if (w->n_info > 0) {
        const td_gguf_info *last = &w->infos[w->n_info - 1];
        info.offset = last->offset + padded(last->n_bytes);
        if (info.offset < last->offset || info.offset > INT64_MAX - info.n_bytes)
            return td_fail(err, TD_ERR_LIMIT, "tensor '%s': the file would be too long", name);
    }
    TD_TRY(td_grow((void **)&w->infos, &w->cap_info, w->n_info + 1, sizeof *w->infos,
                   "the tensor table", err));
    info.name = td_strdup(name);
    if (!info.name) return td_fail_nomem(err, name, strlen(name) + 1);
    w->infos[w->n_info++] = info;
    return TD_OK;
}

/* ---- the file ---- */

static td_status write_u32(td_gguf_writer *w, uint32_t v, td_err *err) {
    return td_outfile_write(&w->file, &v, sizeof v, err);
}

static td_status write_u64(td_gguf_writer *w, uint64_t v, td_err *err) {
    return td_outfile_write(&w->file, &v, sizeof v, err);
}

static td_status write_name(td_gguf_writer *w, const char *name, td_err *err) {
    TD_TRY(write_u64(w, strlen(name), err));
    return td_outfile_write(&w->file, name, strlen(name), err);
}

static td_status write_info(td_gguf_writer *w, const td_gguf_info *info, td_err *err) {
    TD_TRY(write_name(w, info->name, err));
    TD_TRY(write_u32(w, (uint32_t)info->n_dims, err));
    for (int i = 0; i < info->n_dims; i++) TD_TRY(write_u64(w, (uint64_t)info->ne[i], err));
    TD_TRY(write_u32(w, (uint32_t)info->dtype, err));
    return write_u64(w, info->offset, err);
}

/* Zeros up to the alignment behind n bytes. */
static td_status write_padding(td_gguf_writer *w, uint64_t n, td_err *err) {
    static const uint8_t zeros[TD_GGUF_ALIGNMENT];
    return td_outfile_write(&w->file, zeros, (size_t)(padded(n) - n), err);
}

static td_status begin(td_gguf_writer *w, td_err *err) {
    uint64_t n = 4 + 4 + 8 + 8;
    TD_TRY(td_outfile_write(&w->file, "GGUF", 4, err));
    TD_TRY(write_u32(w, 3, err));
    TD_TRY(write_u64(w, w->n_info, err));
    TD_TRY(write_u64(w, w->n_entry, err));
    for (size_t i = 0; i < w->n_entry; i++) {
        TD_TRY(write_name(w, w->entries[i].key, err));
        TD_TRY(td_outfile_write(&w->file, w->entries[i].value, w->entries[i].n, err));
        n += 8 + strlen(w->entries[i].key) + w->entries[i].n;
    }
    for (size_t i = 0; i < w->n_info; i++) {
        TD_TRY(write_info(w, &w->infos[i], err));
        n += 8 + strlen(w->infos[i].name) + 4 + 8 * (uint64_t)w->infos[i].n_dims + 4 + 8;
    }
    TD_TRY(write_padding(w, n, err));
    w->begun = true;
    w->n_left = w->n_info > 0 ? w->infos[0].n_bytes : 0;
    return TD_OK;
}

/* Data of all tensors in order; `from` NULL: zeros, as a hole. */
static td_status write_data(td_gguf_writer *w, const uint8_t *from, uint64_t n, td_err *err) {
    if (!w->begun) TD_TRY(begin(w, err));
    while (n > 0) {
        TD_ASSERT(w->i_info < w->n_info);
        const uint64_t part = n < w->n_left ? n : w->n_left;
        if (from) {
            TD_TRY(td_outfile_write(&w->file, from, (size_t)part, err));
            from += part;
        } else {
            TD_TRY(td_outfile_write_hole(&w->file, part, err));
        }
        n -= part;
        w->n_left -= part;
        if (w->n_left > 0) continue;
        TD_TRY(write_padding(w, w->infos[w->i_info].n_bytes, err));
        if (++w->i_info < w->n_info) w->n_left = w->infos[w->i_info].n_bytes;
    }
    return TD_OK;
}

td_status td_gguf_writer_data(td_gguf_writer *w, const void *data, size_t n, td_err *err) {
    TD_ASSERT(data || n == 0);
    return write_data(w, data, n, err);
}

td_status td_gguf_writer_hole(td_gguf_writer *w, uint64_t n, td_err *err) {
    return write_data(w, NULL, n, err);
}

td_status td_gguf_writer_commit(td_gguf_writer *w, td_err *err) {
    td_status status = w->begun ? TD_OK : begin(w, err);
    if (status == TD_OK) {
        TD_ASSERT(w->i_info == w->n_info);
        status = td_outfile_commit(&w->file, err);
    }
    td_gguf_writer_abort(w);
    return status;
}
