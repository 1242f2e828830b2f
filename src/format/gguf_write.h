/* gguf_write.h - writing a GGUF file (version 3) that appears complete or not at all.
 *
 *     td_gguf_writer w;
 *     td_gguf_writer_open(&w, "out.gguf", err);
 *     td_gguf_writer_put(&w, "general.file_type", TD_GGUF_U32, &type, err);  // and others
 *     td_gguf_writer_tensor(&w, "output.weight", TD_DTYPE_Q8_0, 2, ne, err); // and others
 *     td_gguf_writer_data(&w, bytes, n, err);  // of all tensors, in order, in pieces of any size
 *     td_gguf_writer_commit(&w, err);          // or td_gguf_writer_abort(&w)
 *
 * Metadata and tensors are collected; the first data writes them out, after which they are fixed.
 * After a failure only td_gguf_writer_abort() may follow. */
#ifndef TD_FORMAT_GGUF_WRITE_H
#define TD_FORMAT_GGUF_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/outfile.h"
#include "format/checkpoint.h"
#include "format/gguf.h"

typedef struct td_gguf_entry td_gguf_entry; /* private: a key and its value as the file has it */
typedef struct td_gguf_info td_gguf_info;   /* private: a tensor */

/* Memory the caller owns; fields are private. */
typedef struct td_gguf_writer {
    td_outfile file;
    td_gguf_entry *entries; /* owned; [n_entry] */
    size_t n_entry, cap_entry;
    td_gguf_info *infos; /* owned; [n_info] */
    size_t n_info, cap_info;
    bool begun;      /* the header is written */
    size_t i_info;   /* the tensor whose data comes next */
    uint64_t n_left; /* of its bytes */
} td_gguf_writer;

/* On failure nothing needs to be aborted. */
td_status td_gguf_writer_open(td_gguf_writer *w, const char *path, td_err *err);

/* ---- metadata: a key that is there already gets the new value in its old place ---- */

/* A scalar of a fixed size, as the machine has it. */
td_status td_gguf_writer_put(td_gguf_writer *w, const char *key, td_gguf_type type,
                             const void *value, td_err *err);
/* An array of such. */
td_status td_gguf_writer_put_array(td_gguf_writer *w, const char *key, td_gguf_type type,
                                   const void *values, uint64_t n, td_err *err);
td_status td_gguf_writer_put_string(td_gguf_writer *w, const char *key, td_string value,
                                    td_err *err);
td_status td_gguf_writer_put_strings(td_gguf_writer *w, const char *key, const td_string *values,
                                     uint64_t n, td_err *err);
/* An entry of a checkpoint that is a GGUF file, exactly as it is there. */
td_status td_gguf_writer_copy(td_gguf_writer *w, const td_meta *meta, td_err *err);
/* A key that is not there is fine. */
void td_gguf_writer_remove(td_gguf_writer *w, const char *key);

/* ---- tensors ---- */

/* Rows must be whole blocks, and the name one that a reader takes: TD_ERR_FORMAT else. */
td_status td_gguf_writer_tensor(td_gguf_writer *w, const char *name, td_dtype dtype, int n_dims,
                                const int64_t *ne, td_err *err);

/* More bytes than the tensors have are a bug of the caller (asserted). */
td_status td_gguf_writer_data(td_gguf_writer *w, const void *data, size_t n, td_err *err);

/* The same for n bytes of zeros, which take no room on the disk where the file system has holes. */
td_status td_gguf_writer_hole(td_gguf_writer *w, uint64_t n, td_err *err);

/* Every tensor must have all its data (asserted).  On failure the file is as it was before. */
td_status td_gguf_writer_commit(td_gguf_writer *w, td_err *err);

/* Leaves nothing behind; zeroed is fine. */
void td_gguf_writer_abort(td_gguf_writer *w);

#endif
