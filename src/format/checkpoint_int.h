/* checkpoint_int.h - the inside of a checkpoint, for format/ alone: what its two kinds share.
 *
 * gguf_files.c opens the files of one kind, hf_folder.c those of the other; checkpoint.c makes the
 * directory over them and answers. */
#ifndef TD_FORMAT_CHECKPOINT_INT_H
#define TD_FORMAT_CHECKPOINT_INT_H

#include "base/filemap.h"
#include "format/checkpoint.h"
#include "format/gguf.h"
#include "format/hf_config.h"
#include "format/safetensors.h"

typedef struct td_format_file {
    char *path;                 /* owned */
    td_filemap map;             /* zeroed for an image in memory */
    size_t n;                   /* bytes */
    td_gguf gguf;               /* of the kind GGUF, else zeroed */
    td_safetensors safetensors; /* of the kind HF, else zeroed */
} td_format_file;

/* What a Hugging Face folder has beyond its files; zeroed in a GGUF checkpoint. */
typedef struct td_hf {
    char *folder;      /* owned; NULL for an image in memory */
    char *config_path; /* owned; NULL if there is no config.json */
    td_hf_config config;
    td_arena arena;     /* names and sources of tensors made of several arrays */
    td_err unsupported; /* msg "": nothing */
} td_hf;

struct td_checkpoint {
    td_checkpoint_kind kind;
    char *path;                /* owned; as opened */
    td_format_file *files;     /* owned; [n_file], in the order of split.no or of their names */
    int n_file;                /* entries of files; those not yet opened are zeroed */
    td_tensor *tensors;        /* owned; [n_tensor], in file order */
    const td_tensor **by_name; /* owned; [n_tensor], sorted */
    size_t n_tensor;
    const td_gguf_meta *metas; /* borrowed from the first GGUF file or hf.config, of this
                                  or of beside; [n_meta] */
    const td_gguf_meta *const *metas_by_key;
    size_t n_meta;
    td_hf hf;
    td_checkpoint *beside; /* owned; the folder that the tokenizer comes from; NULL: none */
};

void td_format_file_close(td_format_file *f); /* zeroed is fine */
/* Sets path and map; the rest is the kind's. */
td_status td_format_file_map(td_format_file *f, const char *path, td_err *err);

/* Each fills files, metas and tensors (not by_name) of a checkpoint whose path is set; on failure
 * the caller closes the checkpoint.  An image stands for a file when `image` is not NULL. */
td_status td_gguf_files_open(td_checkpoint *ckpt, const char *path, const void *image, size_t n,
                             td_err *err);
td_status td_hf_image_open(td_checkpoint *ckpt, const void *image, size_t n, td_err *err);

/* Looks at what ckpt->path leads to and opens the folder it finds; sets *gguf_path to a GGUF file
 * to open in its place, which the caller td_free()s, if it leads to one. */
td_status td_hf_folder_open(td_checkpoint *ckpt, char **gguf_path, td_err *err);
/* The same without weights: ckpt->path leads to a folder with config.json, or to that file. */
td_status td_hf_config_open(td_checkpoint *ckpt, td_err *err);

/* The file that a key comes from, for messages. */
const char *td_checkpoint_meta_file(const td_checkpoint *ckpt);

#endif
