/* checkpoint.h - a directory of named tensors and metadata over one or many mapped files.
 *
 * Two kinds stand behind the one noun.  GGUF: one file, or split as PREFIX-00001-of-00003.gguf,
 * opened by any of its parts.  Hugging Face: a folder with config.json and safetensors files,
 * opened by the folder or by any of these files; tensors have the names of their modules
 * ("model.layers.0.self_attn.q_proj.weight"), quantized weights are one tensor each under the name
 * of the weight they stand for (tensor/source.h), and the metadata are config.json's members,
 * nested ones with dots ("rope_scaling.factor", "text_config.hidden_size", "architectures" an array
 * of strings), null being absent; generation_config.json's follow under "generation_config.".
 *
 * The files are mapped, never copied: every pointer
 * handed out points into a mapping or into the checkpoint and dies with td_checkpoint_close().
 * Files are untrusted: every count, offset, type and alignment is checked once, at open, so the
 * accessors cannot fail. */
#ifndef TD_FORMAT_CHECKPOINT_H
#define TD_FORMAT_CHECKPOINT_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "tensor/tensor.h"
#include "text/vocab.h"

typedef struct td_checkpoint td_checkpoint;

/* `path` is a GGUF file, a folder, or in a folder a .safetensors file, its index or config.json.  A
 * folder without weights has no tensors; one with nothing but a GGUF file opens as that.  On
 * failure *out is NULL, nothing stays open, and err names file and field. */
td_status td_checkpoint_open(td_checkpoint **out, const char *path, td_err *err);
/* The same for the image[n] of a single file in memory, which is borrowed; `name` stands for its
 * path: one ending in ".safetensors" is a folder of that file alone, without configuration. */
td_status td_checkpoint_open_memory(td_checkpoint **out, const void *image, size_t n,
                                    const char *name, td_err *err);
/* The same with configuration and tokenizer in another place than the weights: `folder` is a
 * Hugging Face folder, or its config.json, whose own weights are left alone; `weights` is what
 * td_checkpoint_open takes, and may be the same folder.  What the weights' files say of themselves
 * wins: GGUF's metadata, and a config.json beside safetensors files.  Where there is none, the
 * metadata are those of `folder`.  Its tokenizer and chat template go before those of the weights.
 */
td_status td_checkpoint_open_with(td_checkpoint **out, const char *folder, const char *weights,
                                  td_err *err);
void td_checkpoint_close(td_checkpoint *ckpt); /* NULL is fine */

typedef struct td_string {
    const char *text; /* borrowed, NOT NUL-terminated */
    size_t n;
} td_string;

typedef enum td_checkpoint_kind { TD_CHECKPOINT_GGUF, TD_CHECKPOINT_HF } td_checkpoint_kind;
td_checkpoint_kind td_checkpoint_get_kind(const td_checkpoint *ckpt);

const char *td_checkpoint_path(const td_checkpoint *ckpt);   /* as opened */
const char *td_checkpoint_format(const td_checkpoint *ckpt); /* "GGUF v3", "safetensors" */
/* general.name of a GGUF file, else the name of file or folder. */
td_string td_checkpoint_name(const td_checkpoint *ckpt);
/* The Hugging Face folder that is open, where the tokenizer's files are; NULL for GGUF. */
const char *td_checkpoint_folder(const td_checkpoint *ckpt);
/* The `folder` of td_checkpoint_open_with: its metadata, no tensors.  NULL: none. */
const td_checkpoint *td_checkpoint_beside(const td_checkpoint *ckpt);
/* Why the weights cannot be used although the files are sound: a sentence that names file, field
 * and value ("quantization_config.quant_method is 'aqlm'"); NULL if nothing stands in the way.  The
 * arrays concerned are listed as they are in the files. */
const char *td_checkpoint_unsupported(const td_checkpoint *ckpt);
/* The files of the weights; of a folder without any, its config.json. */
int td_checkpoint_n_file(const td_checkpoint *ckpt);
const char *td_checkpoint_file(const td_checkpoint *ckpt, int i_file); /* its path */
size_t td_checkpoint_file_bytes(const td_checkpoint *ckpt, int i_file);

/* Hints for tensor bytes about to be read, or read for the last time. */
void td_checkpoint_will_need(const td_checkpoint *ckpt, const td_tensor *t);
void td_checkpoint_dont_need(const td_checkpoint *ckpt, const td_tensor *t);

/* ---- tensors ---- */
size_t td_checkpoint_n_tensor(const td_checkpoint *ckpt);
const td_tensor *td_checkpoint_tensor_at(const td_checkpoint *ckpt, size_t i); /* in file order */
/* NULL if there is no tensor of that name. Logarithmic or better. */
const td_tensor *td_checkpoint_tensor(const td_checkpoint *ckpt, const char *name);

/* ---- metadata ---- */
typedef enum td_meta_type {
    TD_META_INT,   /* any integer type of the file, as int64 */
    TD_META_UINT,  /* unsigned 64-bit with a value above INT64_MAX: td_meta_int gives its bits */
    TD_META_FLOAT, /* f32 or f64 */
    TD_META_BOOL,
    TD_META_STRING,
    TD_META_ARRAY
} td_meta_type;

typedef struct td_meta {
    const char *key; /* NUL-terminated */
    td_meta_type type;
    td_meta_type elem_type; /* of an array; never TD_META_ARRAY (nested arrays are refused) */
    uint64_t n_elem;        /* of an array; else 1 */
} td_meta;

size_t td_checkpoint_n_meta(const td_checkpoint *ckpt);
const td_meta *td_checkpoint_meta_at(const td_checkpoint *ckpt, size_t i);     /* in file order */
const td_meta *td_checkpoint_meta(const td_checkpoint *ckpt, const char *key); /* NULL: absent */

/* Element i (0 for scalars) as the named type; the caller has looked at type and n_elem: anything
 * else is a bug of ours (asserted).  INT converts to float. */
int64_t td_meta_int(const td_meta *m, uint64_t i);
double td_meta_float(const td_meta *m, uint64_t i);
bool td_meta_bool(const td_meta *m, uint64_t i);
td_string td_meta_string(const td_meta *m, uint64_t i);

/* Typed look-ups for configuration.  Absent: TD_OK and *out keeps the default put there before, or
 * TD_ERR_FORMAT if `required`.  Wrong type or out of [min, max]: TD_ERR_FORMAT naming file, key,
 * value found and value wanted. */
td_status td_checkpoint_get_int(const td_checkpoint *ckpt, const char *key, bool required,
                                int64_t min, int64_t max, int64_t *out, td_err *err);
td_status td_checkpoint_get_float(const td_checkpoint *ckpt, const char *key, bool required,
                                  double *out, td_err *err); /* not finite is refused */
td_status td_checkpoint_get_bool(const td_checkpoint *ckpt, const char *key, bool *out,
                                 td_err *err);
/* *out is {NULL, 0} if absent. */
td_status td_checkpoint_get_string(const td_checkpoint *ckpt, const char *key, bool required,
                                   td_string *out, td_err *err);
/* An integer that may be a scalar or an array with one value per layer: fills out[n_layer].  A
 * scalar fills all; an array must have at least n_layer elements. */
td_status td_checkpoint_get_ints(const td_checkpoint *ckpt, const char *key, bool required,
                                 int64_t min, int64_t max, int n_layer, int64_t *out, td_err *err);

/* ---- vocabulary and template ---- */

/* True if there is something for td_checkpoint_read_vocab to read. */
bool td_checkpoint_has_vocab(const td_checkpoint *ckpt);

/* Fills a td_vocab (text/vocab.h) from tokenizer.* metadata, or from the tokenizer files of a
 * folder; its strings may be borrowed from the checkpoint. Fails with a named error on: no
 * tokenizer, unknown model, arrays of different lengths, wrong element types, special ids out of
 * range, a BPE vocabulary without merges, malformed byte tokens. */
td_status td_checkpoint_read_vocab(const td_checkpoint *ckpt, td_vocab *vocab, td_err *err);

/* Its half for GGUF files (vocab_gguf.c); the other half: vocab_hf.h. */
td_status td_vocab_read_gguf(const td_checkpoint *ckpt, td_vocab *vocab, td_err *err);

#endif
