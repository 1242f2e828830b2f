/* safetensors.h - one safetensors file, taken apart: internal to format/, behind td_checkpoint.
 *
 * The file is a length, a JSON header with name, type, shape and range of each array, and the bytes
 * of the arrays, which lie without holes and need not be aligned.  Parsing checks everything that
 * can be checked in one file; afterwards every pointer kept here points into the image. */
#ifndef TD_FORMAT_SAFETENSORS_H
#define TD_FORMAT_SAFETENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "tensor/tensor.h"

enum {
    TD_SAFETENSORS_MAX_HEADER = 100000000, /* bytes; the format's own limit */
    TD_SAFETENSORS_MAX_NAME = 1023         /* bytes; ours */
};

typedef enum td_array_type {
    TD_ARRAY_BOOL,
    TD_ARRAY_U8,
    TD_ARRAY_I8,
    TD_ARRAY_F8_E5M2,
    TD_ARRAY_F8_E4M3,
    TD_ARRAY_F8_E8M0,
    TD_ARRAY_F8_E4M3FNUZ,
    TD_ARRAY_F8_E5M2FNUZ,
    TD_ARRAY_I16,
    TD_ARRAY_U16,
    TD_ARRAY_F16,
    TD_ARRAY_BF16,
    TD_ARRAY_I32,
    TD_ARRAY_U32,
    TD_ARRAY_F32,
    TD_ARRAY_F64,
    TD_ARRAY_I64,
    TD_ARRAY_U64,
    TD_ARRAY_C64,
    TD_ARRAY_F4,
    TD_ARRAY_F6_E2M3,
    TD_ARRAY_F6_E3M2,
    TD_N_ARRAY_TYPE
} td_array_type;

const char *td_array_type_name(td_array_type type); /* as the file spells it: "F8_E4M3" */

typedef struct td_array {
    const char *name; /* in the arena of its file */
    td_array_type type;
    int n_dims;                 /* 1 to 4: rank 0 is {1} */
    int64_t shape[TD_MAX_DIMS]; /* row-major, as in the file; unused ones are 1; may be 0 */
    const uint8_t *data;        /* borrowed from the image; unaligned */
    size_t n_bytes, offset;     /* offset in the file */
    int i_file;                 /* 0 until the folder says otherwise */
    bool hidden;                /* part of the tensor of another one: the folder says so */
} td_array;

/* A parsed file.  Caller's memory. */
typedef struct td_safetensors {
    td_array *arrays; /* in the arena; [n_array], in the order of their bytes */
    size_t n_array;
    td_arena arena;
} td_safetensors;

/* Parses image[n]; `name` is the file's, for messages.  On failure *st is cleared. */
td_status td_safetensors_parse(td_safetensors *st, const uint8_t *image, size_t n, const char *name,
                               td_err *err);
void td_safetensors_clear(td_safetensors *st); /* zeroed is fine */

/* The tensor that the array is when nothing stands behind it: its dimensions in our order, and a
 * type with elements of its size (of sub-byte elements, rows of bytes). */
td_tensor td_array_tensor(const td_array *array);

#endif
