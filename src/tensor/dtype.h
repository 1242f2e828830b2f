/* dtype.h - the element and block types of weights: alone knows how big a block is.
 *
 * Numbers and layouts are those of GGUF (ggml's types); a dtype's value is its GGUF id, so that
 * reading a file is a range check.  Types that only safetensors files hold have ids from 64 on:
 * there several tensors make one weight, and tensor/source.h makes blocks of them, row by row.
 * Block layouts: docs of the fields in dtype.c. */
#ifndef TD_TENSOR_DTYPE_H
#define TD_TENSOR_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef enum td_dtype {
    TD_DTYPE_F32 = 0,
    TD_DTYPE_F16 = 1,
    TD_DTYPE_Q4_0 = 2,
    TD_DTYPE_Q4_1 = 3,
    TD_DTYPE_Q5_0 = 6,
    TD_DTYPE_Q5_1 = 7,
    TD_DTYPE_Q8_0 = 8,
    TD_DTYPE_Q2_K = 10,
    TD_DTYPE_Q3_K = 11,
    TD_DTYPE_Q4_K = 12,
    TD_DTYPE_Q5_K = 13,
    TD_DTYPE_Q6_K = 14,
    TD_DTYPE_IQ2_XXS = 16,
    TD_DTYPE_IQ2_XS = 17,
    TD_DTYPE_IQ3_XXS = 18,
    TD_DTYPE_IQ1_S = 19,
    TD_DTYPE_IQ4_NL = 20,
    TD_DTYPE_IQ3_S = 21,
    TD_DTYPE_IQ2_S = 22,
    TD_DTYPE_IQ4_XS = 23,
    TD_DTYPE_IQ1_M = 29,
    TD_DTYPE_BF16 = 30,
    TD_DTYPE_TQ1_0 = 34,
    TD_DTYPE_TQ2_0 = 35,
    TD_DTYPE_MXFP4 = 39,
    TD_DTYPE_NVFP4 = 40,
    TD_N_GGUF_DTYPE = 43, /* ids up to 42 are known by name, see td_dtype_name */

    /* FP8 E4M3 (no infinities, 0x7f and 0xff are NaN) with one f32 scale for 128 elements along k,
     * the last ones of a row being fewer where k is no multiple (short_tail). */
    TD_DTYPE_F8_E4M3 = 64,
    TD_DTYPE_INT4 = 65,      /* (q - 8) d with a bf16 d for 32, nibbles as in Q4_0 */
    TD_DTYPE_INT4_Z32 = 66,  /* (q - z) d with an f16 d and a byte z for 32, nibbles as in Q4_0 */
    TD_DTYPE_INT4_Z128 = 67, /* the same for 128: four runs of 16 bytes, each as in Q4_0 */
    TD_N_DTYPE = 68
} td_dtype;

/* A run of equal words inside a block, for packing (kernel/pack.h): all blocks are such runs, end
 * to end.  word_bytes is 1, 2 or 4. */
typedef struct td_block_field {
    uint8_t word_bytes;
    uint8_t n_word;
} td_block_field;

enum { TD_MAX_BLOCK_FIELDS = 5 };

typedef struct td_dtype_info {
    const char *name; /* "q4_k" */
    int block_elems;  /* weights per block; 1 for plain types */
    int block_bytes;  /* bytes per block; never 0 */
    bool readable;    /* td_dequantize_row knows it; else good for listing only */
    bool short_tail;  /* k need not be a multiple of block_elems: the last block of a row ends
                         after its last element, its last field holding one byte per element */
    td_block_field fields[TD_MAX_BLOCK_FIELDS]; /* up to the first with n_word 0; readable only */
} td_dtype_info;

/* NULL if the size of a block of type `id` is not known.  A tensor of a checkpoint always has an
 * info, with dtype < TD_N_DTYPE; whoever binds it to a module looks at `readable`. */
const td_dtype_info *td_dtype_get_info(int id);

/* A name for any id, "q2_k" or "unknown"; never NULL.  ik_llama.cpp's own ids included. */
const char *td_dtype_name(int id);

/* The dtype called `name` (any case; one that has an info), or -1. */
int td_dtype_from_name(const char *name);

/* Bytes of a row of k elements: k must be a multiple of block_elems (TD_ERR_FORMAT else), unless
 * the type has short_tail. */
td_status td_dtype_row_bytes(size_t *out, td_dtype dtype, size_t k, td_err *err);

#endif
