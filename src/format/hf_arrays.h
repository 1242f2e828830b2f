/* hf_arrays.h - the arrays of all files of a folder, and how they become tensors: internal to
 * format/. */
#ifndef TD_FORMAT_HF_ARRAYS_H
#define TD_FORMAT_HF_ARRAYS_H

#include "format/checkpoint_int.h"

typedef struct td_hf_arrays {
    const td_array **all;     /* owned; [n], in file order; borrowed from the files */
    const td_array **by_name; /* owned; [n], sorted */
    bool *hidden;             /* owned; [n], as `all`: part of another one's tensor */
    size_t n;
} td_hf_arrays;

/* NULL if there is none of that name. */
const td_array *td_hf_arrays_find(const td_hf_arrays *arrays, const char *name);

/* Fills ckpt->tensors, those that make one weight together being one (tensor/source.h). */
td_status td_hf_make_tensors(td_checkpoint *ckpt, const td_hf_arrays *arrays, td_err *err);

#endif
