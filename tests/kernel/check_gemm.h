/* check_gemm.h - one matrix product with its data, for the checks and the benchmarks. */
#ifndef TD_TESTS_KERNEL_CHECK_GEMM_H
#define TD_TESTS_KERNEL_CHECK_GEMM_H

#include "kernel/check.h"

typedef struct gemm_case {
    td_dtype dtype;
    td_act_type act;
    td_gemm_args args;
    td_gemm_fn *run;
    uint8_t *rows; /* the weights as in a file: [n] rows of row_bytes */
    size_t row_bytes, y_bytes;
} gemm_case;

/* Where one row of int8 activations goes. */
typedef struct gemm_row {
    int8_t *q;
    float *d;
    int16_t *s;
} gemm_row;

/* Fills args with data of a kind (0: normal) in the regions of c. dtype and act are set. */
void gemm_case_make(check *c, gemm_case *t, int m, int n, int k, int kind);

/* All cases of slot->id, a dtype. */
void check_gemm(check *c, const check_slot *slot);

#endif
