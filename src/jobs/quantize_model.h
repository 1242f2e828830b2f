/* quantize_model.h - writes a model again with its weights in other types: the job behind
 * `tandem quantize`.
 *
 * Where the weights come from is abstract (td_quantize_source): a list of tensors under their GGUF
 * names, rows on demand, metadata.  td_quantize_gguf_open() makes one of a GGUF checkpoint,
 * td_quantize_folder_open() (quantize_folder.h) of a Hugging Face folder. */
#ifndef TD_JOBS_QUANTIZE_MODEL_H
#define TD_JOBS_QUANTIZE_MODEL_H

#include "format/checkpoint.h"
#include "format/gguf_write.h"
#include "jobs/quantize_imatrix.h"
#include "jobs/quantize_mix.h"

typedef struct td_quantize_source {
    void *user;
    td_mix_model model;
    /* [n_tensor], as they are to stand in the file; data and source are not looked at.  A tensor
     * that keeps its type must have one of GGUF's. */
    const td_tensor *const *tensors;
    size_t n_tensor;
    /* Row `row` of a tensor as blocks of its dtype: a pointer into the file, or scratch[its
     * td_dtype_row_bytes], filled; n_scratch more bytes lie behind those.  Called by many threads
     * at once. */
    const uint8_t *(*row)(void *user, size_t i_tensor, int64_t row, uint8_t *scratch);
    size_t n_scratch;
    /* Everything but general.file_type and general.quantization_version. */
    td_status (*put_meta)(void *user, td_gguf_writer *w, td_err *err);
} td_quantize_source;

/* `ckpt` is borrowed.  Needs general.architecture; a split model's keys about the split are left
 * out. */
td_status td_quantize_gguf_open(td_quantize_source *out, const td_checkpoint *ckpt, td_err *err);
void td_quantize_gguf_close(td_quantize_source *s); /* zeroed is fine */

typedef struct td_quantize_options {
    const td_quantize_source *source;
    const char *path;      /* of the file to be written; it must not be the source's */
    td_mix_options mix;    /* model and has_imatrix are filled in from here */
    td_imatrix *imatrix;   /* NULL: none */
    bool allow_requantize; /* from a type of blocks to another one */
    int n_thread;          /* 0: as many as CPUs may be used */
    /* May be NULL; false: stop, which gives TD_ERR_CANCELLED and leaves nothing behind. */
    bool (*report)(void *user, uint64_t done, uint64_t total);
    void *user;
} td_quantize_options;

typedef struct td_quantize_result {
    size_t n_tensor, n_quantized, n_fell_back;
    size_t n_needs_imatrix;                   /* tensors of types that make garbage without one */
    uint64_t n_elem, n_bytes_in, n_bytes_out; /* of tensors */
} td_quantize_result;

/* Chooses types: fills choices[source->n_tensor] and the result.  Refuses what the run would refuse
 * without looking at weights, but for a missing importance matrix. */
td_status td_quantize_plan(const td_quantize_options *o, td_mix_choice *choices,
                           td_quantize_result *r, td_err *err);

/* Writes the file, which appears complete or not at all.  The bytes do not depend on the number of
 * threads.  A weight that is not finite, or too large for its type, is an error naming it. */
td_status td_quantize_run(const td_quantize_options *o, td_quantize_result *r, td_err *err);

#endif
