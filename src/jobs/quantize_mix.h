/* quantize_mix.h - which type each tensor of a model gets: llama.cpp's mixes, by name.
 *
 * A mix is named for the type that most tensors get; those to whose errors a model answers most
 * (attention's values, the down projections of the first layers, the output) get finer ones. */
#ifndef TD_JOBS_QUANTIZE_MIX_H
#define TD_JOBS_QUANTIZE_MIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "tensor/tensor.h"

typedef struct td_mix {
    const char *name;  /* "Q4_K_M" */
    int file_type;     /* general.file_type */
    td_dtype dtype;    /* of most tensors */
    const char *about; /* a phrase for --help; NULL for another name of a mix above */
} td_mix;

/* All mixes, in the order of their listing. */
const td_mix *td_mixes(int *n);

/* By name, any case, or by the number of its file type.  Unknown: TD_ERR_ARGUMENT naming the
 * nearest one; one that this build cannot write: TD_ERR_UNSUPPORTED. */
td_status td_mix_find(const td_mix **out, const char *name, td_err *err);

/* What of the model decides. */
typedef struct td_mix_model {
    const char *arch;                             /* general.architecture */
    int64_t n_layer, n_head, n_head_kv, n_expert; /* 0: none; heads are those of layer 0 */
} td_mix_model;

/* Tensors whose name matches a pattern get a type; the first pattern wins.  `pattern` is a regular
 * expression that may match any part of the name. */
typedef struct td_mix_override {
    const char *pattern;
    td_dtype dtype;
} td_mix_override;

typedef struct td_mix_options {
    const td_mix *mix;
    td_mix_model model;
    bool has_imatrix;
    bool pure;                          /* all get mix->dtype, as far as their shapes allow */
    bool only_copy;                     /* all stay what they are */
    bool leave_output;                  /* output.weight stays what it is */
    int output_dtype, token_embd_dtype; /* -1: as the mix says */
    const td_mix_override *overrides;   /* [n_override] */
    int n_override;
} td_mix_options;

typedef struct td_mix_choice {
    td_dtype dtype;
    bool kept;          /* the tensor is of a kind that is not quantized */
    bool fell_back;     /* its rows are no whole blocks of the type it should have got */
    bool needs_imatrix; /* its type makes garbage without one */
} td_mix_choice;

/* Fills choices[n_tensor].  The tensors' order does not matter: layers count by number, and within
 * one by name. */
td_status td_mix_choose(const td_mix_options *o, const td_tensor *const *tensors, size_t n_tensor,
                        td_mix_choice *choices, td_err *err);

/* How llama.cpp orders tensors in what it writes: by layer, those outside of layers first, then by
 * name. */
int td_mix_compare_names(const char *a, const char *b);

#endif
