/* gguf_walk.h - uses everything a checkpoint hands out, for tests that only ask whether that is
 * safe. */
#ifndef TD_SUPPORT_GGUF_WALK_H
#define TD_SUPPORT_GGUF_WALK_H

#include <stdlib.h>
#include <string.h>

#include "format/checkpoint.h"
#include "tensor/quantize.h"

/* What was read goes here, so that the reads stay. */
static volatile uint64_t gguf_walk_sum;

/* Reads the first and last byte of s, and counts them in. */
static inline uint64_t gguf_touch(td_string s) {
    return s.n == 0 ? 0 : (uint64_t)(unsigned char)s.text[0] + (unsigned char)s.text[s.n - 1] + s.n;
}

static inline uint64_t gguf_walk_meta(const td_meta *m) {
    uint64_t sum = strlen(m->key);
    for (uint64_t i = 0; i < m->n_elem; i++) switch (m->elem_type) {
        case TD_META_INT:
        case TD_META_UINT:
            sum += (uint64_t)td_meta_int(m, i);
            sum += td_meta_float(m, i) > 0;
            break;
        case TD_META_FLOAT: sum += td_meta_float(m, i) > 0; break;
        case TD_META_BOOL: sum += td_meta_bool(m, i); break;
        case TD_META_STRING: sum += gguf_touch(td_meta_string(m, i)); break;
        case TD_META_ARRAY: abort(); /* there are none */
        }
    return sum;
}

/* Every byte of a tensor that lies in one piece, and the first and last row as floats of one that
 * is readable. */
static inline uint64_t gguf_walk_tensor(const td_tensor *t) {
    uint64_t sum = strlen(t->name);
    const td_dtype_info *info = td_dtype_get_info((int)t->dtype);
    const size_t k = (size_t)t->ne[0];
    const int64_t rows = td_tensor_rows(t);
    for (size_t i = 0; i < t->n_bytes && !t->source; i++) sum += t->data[i];
    if (!info->readable || td_tensor_elems(t) == 0) return sum;
    float *y = (float *)malloc(k * sizeof *y);
    uint8_t *scratch = (uint8_t *)malloc(td_tensor_row_bytes(t));
    if (!y || !scratch) abort();
    td_dequantize_row(t->dtype, td_tensor_row(t, 0, scratch), y, k);
    sum += y[k - 1] > 0;
    td_dequantize_row(t->dtype, td_tensor_row(t, rows - 1, scratch), y, k);
    sum += y[k - 1] > 0;
    free(scratch);
    free(y);
    return sum;
}

static inline uint64_t gguf_walk_vocab(const td_checkpoint *ckpt) {
    td_vocab v;
    uint64_t sum = 0;
    if (td_checkpoint_read_vocab(ckpt, &v, NULL) != TD_OK) return 0;
    for (int32_t i = 0; i < v.n_token; i++)
        sum += gguf_touch((td_string){v.tokens[i].text, v.tokens[i].n});
    for (int32_t i = 0; i < v.n_merge; i++) {
        sum += gguf_touch((td_string){v.merges[i].left, v.merges[i].n_left});
        sum += gguf_touch((td_string){v.merges[i].right, v.merges[i].n_right});
    }
    if (v.chat_template) sum += strlen(v.chat_template);
    const int32_t ids[] = {v.bos, v.eos, v.eot, v.eom, v.unk, v.pad};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        if (ids[i] < -1 || ids[i] >= v.n_token) abort();
    td_vocab_clear(&v);
    return sum;
}

/* Walks an open checkpoint. */
static inline void gguf_walk(const td_checkpoint *ckpt) {
    uint64_t sum = 0;
    for (size_t i = 0; i < td_checkpoint_n_meta(ckpt); i++)
        sum += gguf_walk_meta(td_checkpoint_meta_at(ckpt, i));
    for (size_t i = 0; i < td_checkpoint_n_tensor(ckpt); i++)
        sum += gguf_walk_tensor(td_checkpoint_tensor_at(ckpt, i));
    gguf_walk_sum = sum + gguf_walk_vocab(ckpt);
}

/* Opens the image, walks it if it opens, closes it.  The status of opening. */
static inline td_status gguf_walk_image_named(const void *image, size_t n, const char *name,
                                              td_err *err) {
    td_checkpoint *ckpt;
    TD_TRY(td_checkpoint_open_memory(&ckpt, image, n, name, err));
    gguf_walk(ckpt);
    td_checkpoint_close(ckpt);
    return TD_OK;
}

static inline td_status gguf_walk_image(const void *image, size_t n, td_err *err) {
    return gguf_walk_image_named(image, n, "image", err);
}

#endif
