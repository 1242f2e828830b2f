/* hf_arrays.h - the arrays of all files of a folder, and how they become tensors: internal to
 * format/.
 *
 * Most arrays are a tensor each.  A quantized weight is several, recognized by their names, and is
 * one tensor with a source (tensor/source.h) under the name of the weight: hf_quantized.c and
 * hf_gptq.c have a function for each kind.  What is malformed is refused; what is sound but of a
 * form that no source describes is left as it lies there, and noted in ckpt->hf.unsupported. */
#ifndef TD_FORMAT_HF_ARRAYS_H
#define TD_FORMAT_HF_ARRAYS_H

#include "format/checkpoint_int.h"
#include "tensor/source.h"

typedef struct td_hf_arrays {
    td_array **all;     /* owned; [n], in file order; borrowed from the files */
    td_array **by_name; /* owned; [n], sorted */
    size_t n;
} td_hf_arrays;

/* NULL if there is none of that name. */
td_array *td_hf_arrays_find(const td_hf_arrays *arrays, const char *name);

/* Fills ckpt->tensors. */
td_status td_hf_make_tensors(td_checkpoint *ckpt, const td_hf_arrays *arrays, td_err *err);

/* ---- for the functions of the kinds ---- */

typedef struct td_hf_maker {
    td_checkpoint *ckpt;
    const td_hf_arrays *arrays;
} td_hf_maker;

/* Each looks whether `main` is the main array of a weight of its kind.  If so, *t is set (its name
 * is NULL before) and the arrays that belong to it are hidden. */
td_status td_hf_make_f8(const td_hf_maker *m, td_array *main, td_tensor *t, td_err *err);
td_status td_hf_make_int4(const td_hf_maker *m, td_array *main, td_tensor *t, td_err *err);
td_status td_hf_make_mxfp4(const td_hf_maker *m, td_array *main, td_tensor *t, td_err *err);
td_status td_hf_make_gptq(const td_hf_maker *m, td_array *main, td_tensor *t, td_err *err);

/* The array whose name is the first n_stem bytes of main's and `suffix`; NULL: absent. */
td_array *td_hf_sibling(const td_hf_maker *m, const td_array *main, size_t n_stem,
                        const char *suffix);
/* True, with the bytes before it in *n_stem, if main's name ends in `suffix`. */
bool td_hf_has_suffix(const td_array *main, const char *suffix, size_t *n_stem);

/* Where a sentence goes that says what is not supported: NULL once there is one. */
td_err *td_hf_note(const td_hf_maker *m);
const char *td_hf_path(const td_hf_maker *m, const td_array *a); /* of its file */

/* A member of quantization_config, wherever that lies; absent leaves *out as it is. */
td_status td_hf_quant_int(const td_hf_maker *m, const char *key, int64_t *out, td_err *err);
td_string td_hf_quant_text(const td_hf_maker *m, const char *key);      /* {NULL, 0}: absent */
const td_meta *td_hf_quant_meta(const td_hf_maker *m, const char *key); /* NULL: absent */
bool td_string_is(td_string s, const char *text);
int td_hf_shown(td_string s); /* bytes of it that a message may show: all or none */

/* A matrix, or several of one shape in an array of three dimensions. */
typedef struct td_hf_matrix {
    int64_t n_expert, n_row, n_col; /* n_expert 0: two dimensions */
} td_hf_matrix;

/* False for another rank, or without elements. */
bool td_hf_matrix_of(const td_array *a, td_hf_matrix *out);
/* True if a has the dimensions n_expert (unless 0), n_row and n_col. */
bool td_hf_has_shape(const td_array *a, int64_t n_expert, int64_t n_row, int64_t n_col);
td_status td_hf_fail_shape(const td_hf_maker *m, const td_array *a, const td_array *main,
                           td_err *err);

/* What a group of arrays becomes. */
typedef struct td_hf_weight {
    td_dtype dtype;
    td_source source; /* n counts the rows of all experts */
    int64_t n_expert; /* 0: two dimensions */
    size_t n_stem;    /* the name: that many bytes of main's, and `suffix` */
    const char *suffix;
    td_array *parts[8]; /* hidden with it; NULL: there is none */
} td_hf_weight;

/* Sets *t; n_bytes counts main and the scales and zeros. */
td_status td_hf_make_weight(const td_hf_maker *m, const td_array *main, const td_hf_weight *w,
                            td_tensor *t, td_err *err);

/* The type of scales, TD_N_DTYPE for one that is none. */
td_dtype td_hf_scale_dtype(const td_array *scale);
/* True if each scale is exactly what it is in `dtype`, F16 or BF16. */
bool td_hf_scales_fit(const td_array *scale, td_dtype dtype);

#endif
