/* hf_config.c - see hf_config.h.
 *
 * Values are written as they would lie in a GGUF file (integers and floats of 8 bytes, a string
 * behind its length), so that one set of accessors reads both. */
#include "format/hf_config.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/strbuf.h"
#include "format/hf_json.h"
#include "format/name.h"

enum { MAX_DEPTH = 32 };

/* One file being read. */
typedef struct reader {
    td_hf_config *config;
    const char *path;
    td_strbuf key; /* of the value being read */
} reader;

/* How a scalar is stored; TD_GGUF_ARRAY for what is none. */
static td_gguf_type stored_of(const json_t *v) {
    switch (json_typeof(v)) {
    case JSON_INTEGER: return TD_GGUF_I64;
    case JSON_REAL: return TD_GGUF_F64;
    case JSON_STRING: return TD_GGUF_STRING;
    case JSON_TRUE:
    case JSON_FALSE: return TD_GGUF_BOOL;
    default: return TD_GGUF_ARRAY;
    }
}

static td_meta_type type_of(td_gguf_type stored) {
    switch (stored) {
    case TD_GGUF_I64: return TD_META_INT;
    case TD_GGUF_F64: return TD_META_FLOAT;
    case TD_GGUF_BOOL: return TD_META_BOOL;
    default: return TD_META_STRING;
    }
}

/* How the elements of an array are stored: integers among floats are floats.  False if they are not
 * all alike. */
static bool stored_of_all(const json_t *list, td_gguf_type *out) {
    *out = TD_GGUF_I64; /* of an empty one */
    for (size_t i = 0; i < json_array_size(list); i++) {
        const td_gguf_type one = stored_of(json_array_get(list, i));
        if (one == TD_GGUF_ARRAY) return false;
        const bool numbers = (one == TD_GGUF_I64 || one == TD_GGUF_F64) &&
                             (*out == TD_GGUF_I64 || *out == TD_GGUF_F64);
        if (i > 0 && one != *out && !numbers) return false;
        if (i == 0 || one == TD_GGUF_F64) *out = one;
    }
    return true;
}

/* ---- storing ---- */

static size_t stored_bytes(const json_t *v, td_gguf_type stored) {
    if (stored == TD_GGUF_BOOL) return 1;
    return stored == TD_GGUF_STRING ? 8 + json_string_length(v) : 8;
}

/* Returns the end. */
static uint8_t *store(uint8_t *p, const json_t *v, td_gguf_type stored) {
    const size_t n = stored_bytes(v, stored);
    if (stored == TD_GGUF_BOOL) {
        *p = json_is_true(v);
    } else if (stored == TD_GGUF_STRING) {
        const uint64_t n_text = json_string_length(v);
        memcpy(p, &n_text, 8);
        memcpy(p + 8, json_string_value(v), n_text);
    } else if (stored == TD_GGUF_F64) {
        const double f = json_number_value(v);
        memcpy(p, &f, 8);
    } else {
        const int64_t i = json_integer_value(v);
        memcpy(p, &i, 8);
    }
    return p + n;
}

/* The next entry, under the key of the moment. */
static td_status add_meta(reader *r, td_gguf_meta **out, td_err *err) {
    td_hf_config *c = r->config;
    TD_TRY(td_strbuf_check(&r->key, "a key", err));
    if (r->key.n > TD_GGUF_MAX_KEY || !td_name_is_printable(r->key.text, r->key.n))
        return td_fail(err, TD_ERR_FORMAT,
                       "%s: a key of %zu bytes, wanted at most %d without control characters",
                       r->path, r->key.n, TD_GGUF_MAX_KEY);
    if (c->n_meta >= TD_GGUF_MAX_METAS)
        return td_fail(err, TD_ERR_LIMIT, "%s: more than %d values", r->path, TD_GGUF_MAX_METAS);
    TD_TRY(td_grow((void **)&c->metas, &c->cap, c->n_meta + 1, sizeof *c->metas,
                   "the metadata table", err));
    td_gguf_meta *m = &c->metas[c->n_meta];
    *m = (td_gguf_meta){.meta = {.n_elem = 1}};
    m->meta.key = td_arena_strndup(&c->arena, r->key.text, r->key.n);
    if (!m->meta.key) return td_fail_nomem(err, "a key", r->key.n + 1);
    c->n_meta++;
    *out = m;
    return TD_OK;
}

static td_status add_scalar(reader *r, const json_t *v, td_gguf_type stored, td_err *err) {
    td_gguf_meta *m;
    TD_TRY(add_meta(r, &m, err));
    uint8_t *data = td_arena_alloc(&r->config->arena, stored_bytes(v, stored));
    if (!data) return td_fail_nomem(err, m->meta.key, stored_bytes(v, stored));
    store(data, v, stored);
    m->stored = stored;
    m->data = data;
    m->meta.type = m->meta.elem_type = type_of(stored);
    return TD_OK;
}

static td_status add_array(reader *r, const json_t *list, td_gguf_type stored, td_err *err) {
    td_gguf_meta *m;
    TD_TRY(add_meta(r, &m, err));
    const size_t n = json_array_size(list);
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++) bytes += stored_bytes(json_array_get(list, i), stored);
    uint8_t *p = td_arena_alloc(&r->config->arena, bytes);
    if (!p) return td_fail_nomem(err, m->meta.key, bytes);
    m->stored = stored;
    m->data = p;
    m->meta.type = TD_META_ARRAY;
    m->meta.elem_type = type_of(stored);
    m->meta.n_elem = n;
    if (stored == TD_GGUF_STRING) {
        m->string_at = td_arena_calloc(&r->config->arena, n, sizeof *m->string_at);
        if (!m->string_at) return td_fail_nomem(err, m->meta.key, n * sizeof *m->string_at);
    }
    for (size_t i = 0; i < n; i++) {
        if (m->string_at) m->string_at[i] = (uint64_t)(p - m->data);
        p = store(p, json_array_get(list, i), stored);
    }
    return TD_OK;
}

/* ---- walking ---- */

static td_status add_value(reader *r, json_t *v, int depth, td_err *err);

/* A value under one more part of the key. */
static td_status add_member(reader *r, const char *part, json_t *v, int depth, td_err *err) {
    const size_t n_parent = r->key.n;
    if (depth > 1) td_strbuf_addc(&r->key, '.');
    td_strbuf_adds(&r->key, part);
    TD_TRY(td_strbuf_check(&r->key, "a key", err));
    TD_TRY(add_value(r, v, depth, err));
    r->key.n = n_parent;
    r->key.text[n_parent] = 0;
    return TD_OK;
}

static td_status add_value(reader *r, json_t *v, int depth, td_err *err) {
    td_gguf_type stored = stored_of(v);
    if (depth > MAX_DEPTH)
        return td_fail(err, TD_ERR_LIMIT, "%s: nested deeper than %d levels", r->path, MAX_DEPTH);
    if (json_is_null(v)) return TD_OK;
    if (stored != TD_GGUF_ARRAY) return add_scalar(r, v, stored, err);
    if (json_is_array(v) && stored_of_all(v, &stored)) return add_array(r, v, stored, err);
    const char *name;
    json_t *item;
    json_object_foreach(v, name, item) TD_TRY(add_member(r, name, item, depth + 1, err));
    for (size_t i = 0; i < json_array_size(v); i++) {
        char position[24];
        (void)snprintf(position, sizeof position, "%zu", i);
        TD_TRY(add_member(r, position, json_array_get(v, i), depth + 1, err));
    }
    return TD_OK;
}

void td_hf_config_init(td_hf_config *config) {
    *config = (td_hf_config){0};
    td_arena_init(&config->arena, 0);
}

void td_hf_config_clear(td_hf_config *config) {
    td_free(config->metas);
    td_free(config->metas_by_key);
    td_arena_clear(&config->arena);
    *config = (td_hf_config){0};
}

td_status td_hf_config_read(td_hf_config *config, const char *path, const char *prefix,
                            td_err *err) {
    json_t *json;
    reader r = {.config = config, .path = path};
    TD_TRY(td_hf_json_read(&json, path, err));
    td_strbuf_adds(&r.key, prefix);
    const td_status status = add_value(&r, json, 0, err);
    td_strbuf_clear(&r.key);
    json_decref(json);
    return status;
}

td_status td_hf_config_finish(td_hf_config *config, const char *path, td_err *err) {
    config->metas_by_key = td_calloc(config->n_meta, sizeof *config->metas_by_key);
    if (!config->metas_by_key)
        return td_fail_nomem(err, "the metadata table",
                             config->n_meta * sizeof *config->metas_by_key);
    for (size_t i = 0; i < config->n_meta; i++) config->metas_by_key[i] = &config->metas[i];
    return td_gguf_sort_metas(config->metas_by_key, config->n_meta, path, err);
}
