/* safetensors_builder.h - writes safetensors images and folders for tests, true and hostile ones.
 *
 *     st_builder b = {0};
 *     st_add(&b, "a.weight", "F32", "[2, 3]", data, 24);
 *     size_t n;
 *     uint8_t *image = st_build(&b, &n);   // or st_write(&b, "/tmp/model.safetensors")
 *     free(image);
 *     st_clear(&b);
 *
 * It writes what it is told and checks nothing.  Running out of memory aborts. */
#ifndef TD_SUPPORT_SAFETENSORS_BUILDER_H
#define TD_SUPPORT_SAFETENSORS_BUILDER_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ST_MAX_HEADER = 16384, ST_MAX_DATA = 1 << 18 };

typedef struct st_builder {
    char header[ST_MAX_HEADER]; /* without the braces */
    size_t n_header;
    uint8_t *data; /* owned; [ST_MAX_DATA] */
    size_t n_data;
} st_builder;

/* shape as JSON: "[2, 3]".  data NULL: bytes of a fixed pattern. */
static inline void st_add(st_builder *b, const char *name, const char *dtype, const char *shape,
                          const void *data, size_t n) {
    if (!b->data) b->data = (uint8_t *)malloc(ST_MAX_DATA);
    if (!b->data || b->n_data + n > ST_MAX_DATA) abort();
    if (data)
        memcpy(b->data + b->n_data, data, n);
    else
        for (size_t i = 0; i < n; i++) b->data[b->n_data + i] = (uint8_t)((i * 37 + n) % 113);
    const int wrote =
        snprintf(b->header + b->n_header, ST_MAX_HEADER - b->n_header,
                 "%s\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%zu,%zu]}",
                 b->n_header ? "," : "", name, dtype, shape, b->n_data, b->n_data + n);
    if (wrote < 0 || (size_t)wrote >= ST_MAX_HEADER - b->n_header) abort();
    b->n_header += (size_t)wrote;
    b->n_data += n;
}

/* A header as it is told, and n_data bytes of zeros. */
static inline uint8_t *st_image(const char *header, size_t n_header, const void *data,
                                size_t n_data, size_t *n) {
    uint8_t *image = (uint8_t *)calloc(1, 8 + n_header + n_data);
    if (!image) abort();
    for (int i = 0; i < 8; i++) image[i] = (uint8_t)((uint64_t)n_header >> 8 * i);
    memcpy(image + 8, header, n_header);
    if (data && n_data) memcpy(image + 8 + n_header, data, n_data);
    *n = 8 + n_header + n_data;
    return image;
}

static inline uint8_t *st_build(const st_builder *b, size_t *n) {
    char header[ST_MAX_HEADER + 2];
    const int n_header = snprintf(header, sizeof header, "{%.*s}", (int)b->n_header, b->header);
    return st_image(header, (size_t)n_header, b->data, b->n_data, n);
}

static inline int st_write_bytes(const char *path, const void *bytes, size_t n) {
    FILE *f = fopen(path, "wb");
    if (!f) return -1;
    const int ok = fwrite(bytes, 1, n, f) == n;
    return fclose(f) == 0 && ok ? 0 : -1;
}

static inline int st_write(const st_builder *b, const char *path) {
    size_t n;
    uint8_t *image = st_build(b, &n);
    const int result = st_write_bytes(path, image, n);
    free(image);
    return result;
}

static inline void st_clear(st_builder *b) {
    free(b->data);
    *b = (st_builder){0};
}

#endif
