/* linear.h - y = W x + b for every weight type, in the module's mode, one product or many together.
 *
 * Modes.  Native: the weight is multiplied by its type's kernel, packed at load, or panel by panel
 * whenever it is used if it shall stay in the file's map (same bits); a type without a kernel goes
 * through dequantized tiles.  Exact: rows are dequantized panel by panel into float32 and
 * multiplied by the F32 kernel; the weight stays in its file's blocks. */
#ifndef TD_OPS_LINEAR_H
#define TD_OPS_LINEAR_H

#include <stdbool.h>

#include "ops/step.h"
#include "tensor/tensor.h"

/* A bound linear.  Lifetime: model.  weight NULL: the module is absent (tied or optional). */
typedef struct td_linear {
    const td_tensor
        *weight;       /* borrowed from the checkpoint, or a view in the model's arena; {k, n} */
    const float *bias; /* owned by the model's arena; [n] or NULL */
    uint8_t *packed; /* owned by the engine; panels (kernel/pack.h), or NULL: use the file's rows */
    const td_gemm_impl *impl; /* of the packed form; NULL: dequantize */
    int n, k;                 /* outputs, inputs */
    bool exact;               /* always by dequantized values, in native mode too */
    bool of_expert;           /* a matrix of a routed expert: not every token passes it */
} td_linear;

/* An input of linears: x [m][k] with row stride k, and its quantized form once some linear asked
 * for one. The quantized form lives in the step's scratch: making another td_input ends the life of
 * the one before. */
typedef struct td_input {
    const float *x;
    int m, k;
    td_act_type type; /* of act; TD_ACT_F32 until quantized */
    td_act act;
} td_input;

td_input td_input_of(const float *x, int m, int k);

/* What a linear multiplies, once it is packed or td_linear_use_map() was called. */
td_act_type td_linear_act_type(const td_linear *linear);

/* Makes the form `type` of the input in the step's scratch, unless it is there already. */
void td_input_prepare(td_step *step, td_input *in, td_act_type type);

/* One of several products that run together: y[i][0..n) = W a[i] + b for m rows, y of row stride
 * ldy.  `act` holds the rows in the form that the linear wants. */
typedef struct td_product {
    const td_linear *linear;
    td_act act;
    int m;
    float *y;
    ptrdiff_t ldy;
    int first_panel; /* set by td_products_forward */
} td_product;

/* All of them, split over the threads together.  Cannot fail. */
void td_products_forward(td_step *step, td_product *products, int n_product);

/* y[i][0..n) = W x[i] + b for all rows; y has row stride ldy.  Cannot fail. */
void td_linear_forward(td_step *step, const td_linear *linear, td_input *in, float *y,
                       ptrdiff_t ldy);

/* Bytes of the packed form; 0 if this linear is not packed (exact mode, no kernel). */
size_t td_linear_packed_bytes(const td_linear *linear, const td_kernels *kernels);

/* Has the linear use its kernel on the file's own rows. */
void td_linear_use_map(td_linear *linear, const td_kernels *kernels);

/* Packs with all threads into dst (64-byte aligned, td_linear_packed_bytes of it) and points the
 * linear there.  Uses the step's scratch. */
void td_linear_pack(td_linear *linear, td_step *step, uint8_t *dst);

#endif
