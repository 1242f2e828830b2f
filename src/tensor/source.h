/* source.h - weights that a safetensors file keeps in other ways than as rows of blocks, and how a
 * row of blocks is made of them: losslessly, one row at a time, never the whole model.
 *
 * Shapes are those of the file, row-major; n outputs, k inputs.  Everything is checked when the
 * checkpoint is opened, so reading a row cannot fail. */
#ifndef TD_TENSOR_SOURCE_H
#define TD_TENSOR_SOURCE_H

#include "tensor/tensor.h"

typedef enum td_source_kind {
    /* data [k][n] of F32, F16 or BF16: GPT-2's Conv1D. */
    TD_SOURCE_TRANSPOSED,
    /* The columns of another tensor, `of`, whatever that is made of; data is not looked at.
     * Becomes F32; or F8_E4M3, if `of` is TD_SOURCE_F8 with one scale for 128 rows and begins at
     * the first of such (td_source_columns_dtype). */
    TD_SOURCE_COLUMNS,
    /* data [n][k] of F8 E4M3; scales [ceil(n / scale_rows)][ceil(k / scale_cols)] multiply
     * (DeepSeek's weight_scale_inv).  Per channel: scale_rows 1, scale_cols k; per tensor:
     * scale_rows n. Becomes F8_E4M3. */
    TD_SOURCE_F8,
    /* compressed-tensors pack-quantized, 4 bit, symmetric: data [n][k / 8] of int32, weight i of a
     * word in bits 4 i, minus 8; scales [n][k / group].  Becomes INT4, or Q4_0 where the scales are
     * f16. */
    TD_SOURCE_INT4_PACKED,
    /* GPTQ: data [k / 8][n] of int32, weight i of a word in bits 4 i; zeros [k / group][n / 8], the
     * stored zero plus zero_add, modulo 16; scales [k / group][n].  Becomes INT4_Z32 or INT4_Z128.
     */
    TD_SOURCE_GPTQ,
    /* AWQ: data [k][n / 8] of int32, zeros [k / group][n / 8]: bits 4 i of a word are output
     * {0, 2, 4, 6, 1, 3, 5, 7}[i] of its eight; scales [k / group][n].  Becomes INT4_Z32 or
     * INT4_Z128. */
    TD_SOURCE_AWQ,
    /* MXFP4: data [n][k / 2] bytes, even elements in the low nibble; scales [n][k / 32] of E8M0.
     * Becomes MXFP4. */
    TD_SOURCE_MXFP4
} td_source_kind;

struct td_source {
    td_source_kind kind;
    int64_t n, k;
    const uint8_t *scale;           /* borrowed from the file map; may be unaligned */
    td_dtype scale_dtype;           /* F32, F16 or BF16; of MXFP4 it says nothing */
    int64_t scale_rows, scale_cols; /* outputs and inputs that share a scale; F8 */
    int64_t group;                  /* inputs that share a scale; the integer kinds */
    const uint8_t *zero;            /* borrowed; GPTQ and AWQ */
    int zero_add;                   /* 1 in GPTQ's first format, else 0 */
    const td_tensor *of;            /* borrowed; of COLUMNS, its rows of at most
                                       TD_MAX_COLUMNS_ROW bytes */
};

enum { TD_MAX_COLUMNS_ROW = 16384 };

/* What the columns of a tensor become. */
td_dtype td_source_columns_dtype(const td_tensor *of);

/* What td_tensor_row() does for a tensor with a source; `row` is a row of the whole, not of a view.
 */
void td_source_read_row(const td_source *source, td_dtype dtype, const uint8_t *data, int64_t row,
                        uint8_t *dst);

/* One of the arrays that a tensor with a source is made of. */
typedef struct td_source_range {
    const uint8_t *data;
    size_t n; /* bytes */
} td_source_range;

enum { TD_MAX_SOURCE_RANGES = 3 };

/* Fills out[] with data, scales and zeros, those that there are; returns how many. */
int td_source_ranges(const td_source *source, td_dtype dtype, const uint8_t *data,
                     td_source_range out[TD_MAX_SOURCE_RANGES]);

#endif
