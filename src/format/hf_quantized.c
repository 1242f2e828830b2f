/* hf_quantized.c - arrays become tensors. */
#include "base/alloc.h"
#include "format/hf_arrays.h"

td_status td_hf_make_tensors(td_checkpoint *ckpt, const td_hf_arrays *arrays, td_err *err) {
    ckpt->tensors = td_calloc(arrays->n, sizeof *ckpt->tensors);
    if (!ckpt->tensors)
        return td_fail_nomem(err, "the tensor table", arrays->n * sizeof *ckpt->tensors);
    for (size_t i = 0; i < arrays->n; i++)
        if (!arrays->hidden[i]) ckpt->tensors[ckpt->n_tensor++] = td_array_tensor(arrays->all[i]);
    return TD_OK;
}
