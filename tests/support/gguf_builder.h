/* gguf_builder.h - writes GGUF images for tests: tiny models, vocabularies, and hostile variants.
 *
 *     gguf_builder b = {0};
 *     gguf_add_string(&b, "general.architecture", "llama");
 *     gguf_add_u32(&b, "llama.block_count", 2);
 *     gguf_add_tensor(&b, "output_norm.weight", TD_DTYPE_F32, 1, (int64_t[]){8}, data, 32);
 *     size_t n;
 *     uint8_t *image = gguf_build(&b, &n);   // or gguf_write(&b, "/tmp/x.gguf")
 *     ...
 *     free(image);
 *     gguf_builder_clear(&b);
 *
 * It writes what it is told and checks nothing: lies are its purpose as much as truth.  The fields
 * under "overrides" replace what an honest header would say.  Running out of memory aborts. */
#ifndef TD_SUPPORT_GGUF_BUILDER_H
#define TD_SUPPORT_GGUF_BUILDER_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/gguf.h"
#include "tensor/dtype.h"

typedef struct gguf_bytes {
    uint8_t *p;
    size_t n, cap;
} gguf_bytes;

/* A zeroed one is an empty file of version 3. */
typedef struct gguf_builder {
    gguf_bytes metas, infos, data; /* the three sections; raw bytes may be appended to each */
    uint64_t n_meta, n_tensor;
    /* overrides; 0: the honest value */
    uint32_t version;     /* 3 */
    uint32_t alignment;   /* 32; of the data that is written, whatever general.alignment says */
    int64_t n_meta_lie;   /* added to the metadata count */
    int64_t n_tensor_lie; /* added to the tensor count */
    const char *magic;    /* "GGUF" */
} gguf_builder;

static inline void gguf_bytes_put(gguf_bytes *b, const void *p, size_t n) {
    if (b->n + n > b->cap) {
        b->cap = (b->n + n) * 2 + 64;
        b->p = (uint8_t *)realloc(b->p, b->cap);
        if (!b->p) abort();
    }
    if (n > 0) memcpy(b->p + b->n, p, n);
    b->n += n;
}

static inline void gguf_bytes_u32(gguf_bytes *b, uint32_t v) {
    const uint8_t le[4] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24)};
    gguf_bytes_put(b, le, 4);
}

static inline void gguf_bytes_u64(gguf_bytes *b, uint64_t v) {
    gguf_bytes_u32(b, (uint32_t)v);
    gguf_bytes_u32(b, (uint32_t)(v >> 32));
}

static inline void gguf_bytes_string(gguf_bytes *b, const char *s, size_t n) {
    gguf_bytes_u64(b, n);
    gguf_bytes_put(b, s, n);
}

static inline void gguf_bytes_pad(gguf_bytes *b, size_t from, size_t alignment) {
    static const uint8_t zero[1];
    while ((b->n - from) % alignment != 0) gguf_bytes_put(b, zero, 1);
}

static inline void gguf_builder_clear(gguf_builder *b) {
    free(b->metas.p);
    free(b->infos.p);
    free(b->data.p);
    memset(b, 0, sizeof *b);
}

/* ---- metadata ---- */

/* The key and the type; the value is put into b->metas by the caller. */
static inline void gguf_add_key(gguf_builder *b, const char *key, uint32_t type) {
    gguf_bytes_string(&b->metas, key, strlen(key));
    gguf_bytes_u32(&b->metas, type);
    b->n_meta++;
}

/* A scalar of `bytes` little-endian bytes. */
static inline void gguf_add_scalar(gguf_builder *b, const char *key, td_gguf_type type,
                                   const void *value, size_t bytes) {
    gguf_add_key(b, key, type);
    gguf_bytes_put(&b->metas, value, bytes);
}

static inline void gguf_add_u8(gguf_builder *b, const char *key, uint8_t v) {
    gguf_add_scalar(b, key, TD_GGUF_U8, &v, sizeof v);
}
static inline void gguf_add_u16(gguf_builder *b, const char *key, uint16_t v) {
    gguf_add_scalar(b, key, TD_GGUF_U16, &v, sizeof v);
}
static inline void gguf_add_u32(gguf_builder *b, const char *key, uint32_t v) {
    gguf_add_scalar(b, key, TD_GGUF_U32, &v, sizeof v);
}
static inline void gguf_add_i32(gguf_builder *b, const char *key, int32_t v) {
    gguf_add_scalar(b, key, TD_GGUF_I32, &v, sizeof v);
}
static inline void gguf_add_u64(gguf_builder *b, const char *key, uint64_t v) {
    gguf_add_scalar(b, key, TD_GGUF_U64, &v, sizeof v);
}
static inline void gguf_add_f32(gguf_builder *b, const char *key, float v) {
    gguf_add_scalar(b, key, TD_GGUF_F32, &v, sizeof v);
}
static inline void gguf_add_f64(gguf_builder *b, const char *key, double v) {
    gguf_add_scalar(b, key, TD_GGUF_F64, &v, sizeof v);
}
static inline void gguf_add_bool(gguf_builder *b, const char *key, int v) {
    const uint8_t byte = (uint8_t)v; /* 2 is a lie that can be told */
    gguf_add_scalar(b, key, TD_GGUF_BOOL, &byte, 1);
}

static inline void gguf_add_string_n(gguf_builder *b, const char *key, const char *s, size_t n) {
    gguf_add_key(b, key, TD_GGUF_STRING);
    gguf_bytes_string(&b->metas, s, n);
}
static inline void gguf_add_string(gguf_builder *b, const char *key, const char *s) {
    gguf_add_string_n(b, key, s, strlen(s));
}

/* An array of n scalars, `bytes` in all. */
static inline void gguf_add_array(gguf_builder *b, const char *key, td_gguf_type type,
                                  const void *values, uint64_t n, size_t bytes) {
    gguf_add_key(b, key, TD_GGUF_ARRAY);
    gguf_bytes_u32(&b->metas, type);
    gguf_bytes_u64(&b->metas, n);
    gguf_bytes_put(&b->metas, values, bytes);
}
static inline void gguf_add_i32s(gguf_builder *b, const char *key, const int32_t *v, size_t n) {
    gguf_add_array(b, key, TD_GGUF_I32, v, n, n * sizeof *v);
}
static inline void gguf_add_f32s(gguf_builder *b, const char *key, const float *v, size_t n) {
    gguf_add_array(b, key, TD_GGUF_F32, v, n, n * sizeof *v);
}
static inline void gguf_add_strings(gguf_builder *b, const char *key, const char *const *v,
                                    size_t n) {
    gguf_add_array(b, key, TD_GGUF_STRING, NULL, n, 0);
    for (size_t i = 0; i < n; i++) gguf_bytes_string(&b->metas, v[i], strlen(v[i]));
}

/* ---- tensors ---- */

/* An info alone, with any type id and offset; ne[n_dims]. */
static inline void gguf_add_tensor_info(gguf_builder *b, const char *name, uint32_t type,
                                        uint32_t n_dims, const int64_t *ne, uint64_t offset) {
    gguf_bytes_string(&b->infos, name, strlen(name));
    gguf_bytes_u32(&b->infos, n_dims);
    for (uint32_t i = 0; i < n_dims; i++) gguf_bytes_u64(&b->infos, (uint64_t)ne[i]);
    gguf_bytes_u32(&b->infos, type);
    gguf_bytes_u64(&b->infos, offset);
    b->n_tensor++;
}

/* A tensor with its data, which goes behind that of the ones before. */
static inline void gguf_add_tensor(gguf_builder *b, const char *name, td_dtype type,
                                   uint32_t n_dims, const int64_t *ne, const void *data,
                                   size_t n_bytes) {
    gguf_bytes_pad(&b->data, 0, b->alignment ? b->alignment : TD_GGUF_ALIGNMENT);
    gguf_add_tensor_info(b, name, (uint32_t)type, n_dims, ne, b->data.n);
    gguf_bytes_put(&b->data, data, n_bytes);
}

/* ---- the whole ---- */

/* The image, exactly n bytes of malloc, so that ASan sees a read past the end.  free() it. */
static inline uint8_t *gguf_build(const gguf_builder *b, size_t *n) {
    gguf_bytes out = {0};
    gguf_bytes_put(&out, b->magic ? b->magic : "GGUF", 4);
    gguf_bytes_u32(&out, b->version ? b->version : 3);
    gguf_bytes_u64(&out, b->n_tensor + (uint64_t)b->n_tensor_lie);
    gguf_bytes_u64(&out, b->n_meta + (uint64_t)b->n_meta_lie);
    gguf_bytes_put(&out, b->metas.p, b->metas.n);
    gguf_bytes_put(&out, b->infos.p, b->infos.n);
    if (b->data.n > 0) gguf_bytes_pad(&out, 0, b->alignment ? b->alignment : TD_GGUF_ALIGNMENT);
    gguf_bytes_put(&out, b->data.p, b->data.n);
    uint8_t *exact = (uint8_t *)realloc(out.p, out.n);
    if (!exact) abort();
    *n = out.n;
    return exact;
}

/* 0 if the file could be written. */
static inline int gguf_write(const gguf_builder *b, const char *path) {
    size_t n;
    uint8_t *image = gguf_build(b, &n);
    FILE *f = fopen(path, "wb");
    int failed = !f || fwrite(image, 1, n, f) != n;
    if (f && fclose(f) != 0) failed = 1;
    free(image);
    return failed;
}

#endif
