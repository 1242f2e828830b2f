/* assume.h - the tensors that a checkpoint would have: a folder with a configuration and no weights
 * is described and planned by tensors without data, made as the builder asks for them.
 *
 * They have the names of a Hugging Face folder, and the types that its configuration promises
 * (quantization_config, else the type that dtype names, else BF16) unless the options' callback
 * says another one.  n_bytes is what the folder's files would hold, scales included.  Internal to
 * model/. */
#ifndef TD_MODEL_ASSUME_H
#define TD_MODEL_ASSUME_H

#include "model/model.h"

/* What a tensor is for: a folder's quantization leaves the plain ones alone. */
typedef enum td_assume_kind { TD_ASSUME_PLAIN, TD_ASSUME_LINEAR, TD_ASSUME_EXPERTS } td_assume_kind;

typedef struct td_assume_want {
    const char *name;        /* in a Hugging Face folder */
    const char *gguf;        /* in a GGUF file; NULL: there is none */
    int64_t ne[TD_MAX_DIMS]; /* 0: no such dimension */
    td_assume_kind kind;
    int i_layer; /* -1: outside of the layers */
} td_assume_want;

/* Sets m->assumption. */
td_status td_assume_init(td_model *m, td_err *err);
void td_assume_clear(td_assumption *a); /* NULL is fine */

/* The tensor made under this name for this layer, NULL if none was. */
const td_tensor *td_assume_find(const td_assumption *a, const char *name, int i_layer);

/* Makes a tensor, or finds it.  TD_ERR_LIMIT if it or all together are too large to count. */
td_status td_assume_make(td_model *m, const td_assume_want *want, const td_tensor **out,
                         td_err *err);

/* At least n zeros, in place of a tensor's elements. */
td_status td_assume_zeros(td_model *m, int n, const float **out, td_err *err);

#endif
