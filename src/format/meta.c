/* meta.c - reading metadata values: the accessors of td_meta, and the typed look-ups that turn a
 * missing, mistyped or misplaced value into a sentence. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "format/checkpoint_int.h"

/* ---- accessors: values lie unaligned and little-endian in the file ---- */

static uint64_t load(const uint8_t *p, int n_byte) {
    uint64_t v = 0;
    for (int i = 0; i < n_byte; i++) v |= (uint64_t)p[i] << 8 * i;
    return v;
}

int64_t td_meta_int(const td_meta *m, uint64_t i) {
    const td_gguf_meta *g = (const td_gguf_meta *)m;
    TD_ASSERT(i < m->n_elem);
    switch (g->stored) {
    case TD_GGUF_U8: return g->data[i];
    case TD_GGUF_I8: return (int8_t)g->data[i];
    case TD_GGUF_U16: return (int64_t)load(g->data + 2 * i, 2);
    case TD_GGUF_I16: return (int16_t)load(g->data + 2 * i, 2);
    case TD_GGUF_U32: return (int64_t)load(g->data + 4 * i, 4);
    case TD_GGUF_I32: return (int32_t)load(g->data + 4 * i, 4);
    case TD_GGUF_U64:
    case TD_GGUF_I64: return (int64_t)load(g->data + 8 * i, 8);
    default: TD_ASSERT(false); return 0;
    }
}

double td_meta_float(const td_meta *m, uint64_t i) {
    const td_gguf_meta *g = (const td_gguf_meta *)m;
    TD_ASSERT(i < m->n_elem);
    if (g->stored == TD_GGUF_F32) {
        const uint32_t bits = (uint32_t)load(g->data + 4 * i, 4);
        float f;
        memcpy(&f, &bits, sizeof f);
        return (double)f;
    }
    if (g->stored == TD_GGUF_F64) {
        const uint64_t bits = load(g->data + 8 * i, 8);
        double f;
        memcpy(&f, &bits, sizeof f);
        return f;
    }
    if (g->stored == TD_GGUF_U64) return (double)(uint64_t)td_meta_int(m, i);
    return (double)td_meta_int(m, i);
}

bool td_meta_bool(const td_meta *m, uint64_t i) {
    const td_gguf_meta *g = (const td_gguf_meta *)m;
    TD_ASSERT(i < m->n_elem && g->stored == TD_GGUF_BOOL);
    return g->data[i] != 0;
}

td_string td_meta_string(const td_meta *m, uint64_t i) {
    const td_gguf_meta *g = (const td_gguf_meta *)m;
    TD_ASSERT(i < m->n_elem && g->stored == TD_GGUF_STRING);
    const uint8_t *p = g->string_at ? g->data + g->string_at[i] : g->data;
    return (td_string){(const char *)p + 8, (size_t)load(p, 8)};
}

/* ---- typed look-ups ---- */

static const char *type_name(td_meta_type type) {
    switch (type) {
    case TD_META_INT:
    case TD_META_UINT: return "an integer";
    case TD_META_FLOAT: return "a float";
    case TD_META_BOOL: return "a bool";
    case TD_META_STRING: return "a string";
    case TD_META_ARRAY: return "an array";
    }
    return "unknown";
}

static td_status fail_type(const td_checkpoint *ckpt, const td_meta *m, const char *wanted,
                           td_err *err) {
    return td_fail(err, TD_ERR_FORMAT, "%s: key '%s' is %s, wanted %s",
                   td_checkpoint_meta_file(ckpt), m->key, type_name(m->type), wanted);
}

/* *m is NULL if the key is absent and not required. */
static td_status find(const td_checkpoint *ckpt, const char *key, bool required, const td_meta **m,
                      td_err *err) {
    *m = td_checkpoint_meta(ckpt, key);
    if (!*m && required)
        return td_fail(err, TD_ERR_FORMAT, "%s: key '%s' is missing", td_checkpoint_meta_file(ckpt),
                       key);
    return TD_OK;
}

/* Element i of integers, within [min, max]. */
static td_status int_in_range(const td_checkpoint *ckpt, const td_meta *m, uint64_t i, int64_t min,
                              int64_t max, int64_t *out, td_err *err) {
    const td_gguf_meta *g = (const td_gguf_meta *)m;
    const int64_t v = td_meta_int(m, i);
    if (g->stored == TD_GGUF_U64 && v < 0)
        return td_fail(err, TD_ERR_FORMAT,
                       "%s: key '%s' is %" PRIu64 ", wanted %" PRId64 " to %" PRId64,
                       td_checkpoint_meta_file(ckpt), m->key, (uint64_t)v, min, max);
    if (v < min || v > max)
        return td_fail(err, TD_ERR_FORMAT,
                       "%s: key '%s' is %" PRId64 ", wanted %" PRId64 " to %" PRId64,
                       td_checkpoint_meta_file(ckpt), m->key, v, min, max);
    *out = v;
    return TD_OK;
}

static bool is_int(td_meta_type type) { return type == TD_META_INT || type == TD_META_UINT; }

td_status td_checkpoint_get_int(const td_checkpoint *ckpt, const char *key, bool required,
                                int64_t min, int64_t max, int64_t *out, td_err *err) {
    const td_meta *m;
    TD_TRY(find(ckpt, key, required, &m, err));
    if (!m) return TD_OK;
    if (!is_int(m->type)) return fail_type(ckpt, m, "an integer", err);
    return int_in_range(ckpt, m, 0, min, max, out, err);
}

td_status td_checkpoint_get_float(const td_checkpoint *ckpt, const char *key, bool required,
                                  double *out, td_err *err) {
    const td_meta *m;
    TD_TRY(find(ckpt, key, required, &m, err));
    if (!m) return TD_OK;
    if (!is_int(m->type) && m->type != TD_META_FLOAT) return fail_type(ckpt, m, "a float", err);
    const double v = td_meta_float(m, 0);
    if (!isfinite(v))
        return td_fail(err, TD_ERR_FORMAT, "%s: key '%s' is %f, wanted a finite number",
                       td_checkpoint_meta_file(ckpt), key, v);
    *out = v;
    return TD_OK;
}

td_status td_checkpoint_get_bool(const td_checkpoint *ckpt, const char *key, bool *out,
                                 td_err *err) {
    const td_meta *m = td_checkpoint_meta(ckpt, key);
    if (!m) return TD_OK;
    if (m->type != TD_META_BOOL) return fail_type(ckpt, m, "a bool", err);
    *out = td_meta_bool(m, 0);
    return TD_OK;
}

td_status td_checkpoint_get_string(const td_checkpoint *ckpt, const char *key, bool required,
                                   td_string *out, td_err *err) {
    const td_meta *m;
    *out = (td_string){NULL, 0};
    TD_TRY(find(ckpt, key, required, &m, err));
    if (!m) return TD_OK;
    if (m->type != TD_META_STRING) return fail_type(ckpt, m, "a string", err);
    *out = td_meta_string(m, 0);
    return TD_OK;
}

td_status td_checkpoint_get_ints(const td_checkpoint *ckpt, const char *key, bool required,
                                 int64_t min, int64_t max, int n_layer, int64_t *out, td_err *err) {
    const td_meta *m;
    TD_TRY(find(ckpt, key, required, &m, err));
    if (!m) return TD_OK;
    if (!is_int(m->elem_type)) {
        if (m->type != TD_META_ARRAY)
            return fail_type(ckpt, m, "an integer or an array of them", err);
        return td_fail(err, TD_ERR_FORMAT, "%s: an element of key '%s' is %s, wanted an integer",
                       td_checkpoint_meta_file(ckpt), key, type_name(m->elem_type));
    }
    const bool is_array = m->type == TD_META_ARRAY;
    if (is_array && m->n_elem < (uint64_t)n_layer)
        return td_fail(err, TD_ERR_FORMAT,
                       "%s: key '%s' has %" PRIu64 " elements, wanted one for each of %d layers",
                       td_checkpoint_meta_file(ckpt), key, m->n_elem, n_layer);
    for (int i = 0; i < n_layer; i++)
        TD_TRY(int_in_range(ckpt, m, is_array ? (uint64_t)i : 0, min, max, &out[i], err));
    return TD_OK;
}
