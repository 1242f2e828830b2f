/* gguf.h - one GGUF file, taken apart: internal to format/, behind td_checkpoint.
 *
 * Parsing checks everything that can be checked in one file; afterwards every pointer kept here
 * points into the image and may be followed without a look. */
#ifndef TD_FORMAT_GGUF_H
#define TD_FORMAT_GGUF_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "format/checkpoint.h"
#include "tensor/tensor.h"

/* The limits we set on top of what the format itself says. */
enum {
    TD_GGUF_MAX_TENSORS = 1000000,
    TD_GGUF_MAX_METAS = 100000,
    TD_GGUF_MAX_KEY = 65535,       /* bytes; the specification's own limit */
    TD_GGUF_MAX_TENSOR_NAME = 127, /* bytes; llama.cpp has 63 */
    TD_GGUF_MAX_STRING = 64 << 20, /* bytes; room for a whole tokenizer.json */
    TD_GGUF_MAX_ALIGNMENT = 1 << 20,
    TD_GGUF_ALIGNMENT = 32 /* default */
};

/* How a value is stored: the ids of the file. */
typedef enum td_gguf_type {
    TD_GGUF_U8 = 0,
    TD_GGUF_I8 = 1,
    TD_GGUF_U16 = 2,
    TD_GGUF_I16 = 3,
    TD_GGUF_U32 = 4,
    TD_GGUF_I32 = 5,
    TD_GGUF_F32 = 6,
    TD_GGUF_BOOL = 7,
    TD_GGUF_STRING = 8,
    TD_GGUF_ARRAY = 9,
    TD_GGUF_U64 = 10,
    TD_GGUF_I64 = 11,
    TD_GGUF_F64 = 12,
    TD_N_GGUF_TYPE = 13
} td_gguf_type;

/* A metadata entry; the td_meta handed out is the first field of one.  Those of a Hugging Face
 * folder are kept in the same form (hf_config.h), so that the accessors know only this one. */
typedef struct td_gguf_meta {
    td_meta meta;
    td_gguf_type stored; /* type of the scalar, or of the elements of the array */
    const uint8_t *data; /* first element, unaligned; of strings: the first length */
    uint64_t *string_at; /* in the arena; [n_elem] offsets from data, arrays of strings only */
} td_gguf_meta;

/* A parsed file.  Caller's memory; fields are read by checkpoint.c only. */
typedef struct td_gguf {
    const uint8_t *image; /* borrowed; [n] */
    size_t n;
    uint32_t version; /* 2 or 3 */
    size_t alignment;
    td_gguf_meta *metas; /* in the arena; [n_meta], in file order */
    size_t n_meta;
    const td_gguf_meta **metas_by_key; /* in the arena; [n_meta], sorted */
    td_tensor *tensors;                /* in the arena; [n_tensor], in file order; i_file is 0 */
    size_t n_tensor;
    td_arena arena;
} td_gguf;

/* Parses image[n]; `name` is the file's, for messages.  On failure *g is cleared. */
td_status td_gguf_parse(td_gguf *g, const uint8_t *image, size_t n, const char *name, td_err *err);
void td_gguf_clear(td_gguf *g); /* zeroed is fine */

/* NULL if there is no such key. */
const td_gguf_meta *td_gguf_find_meta(const td_gguf *g, const char *key);

/* The same over any table: td_gguf_sort_metas() sorts it by key and refuses a key that is there
 * twice, `name` being the file's. */
td_status td_gguf_sort_metas(const td_gguf_meta **metas_by_key, size_t n, const char *name,
                             td_err *err);
const td_gguf_meta *td_gguf_find_in(const td_gguf_meta *const *metas_by_key, size_t n,
                                    const char *key);

#endif
