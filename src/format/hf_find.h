/* hf_find.h - what a path leads to: a GGUF file, or a Hugging Face folder and which of its files
 * hold the weights.  Internal to format/. */
#ifndef TD_FORMAT_HF_FIND_H
#define TD_FORMAT_HF_FIND_H

#include <jansson.h>

#include "base/status.h"
#include "format/name.h"

#define TD_HF_CONFIG "config.json"

typedef struct td_hf_found {
    char *gguf;           /* owned; the GGUF file to open, the rest is empty; NULL: a folder */
    char *folder;         /* owned */
    td_name_list names;   /* of all files in the folder, sorted */
    td_name_list weights; /* of the safetensors files to open, sorted; may be empty */
    char *index_path;     /* owned; of the index that named them, or NULL */
    json_t *weight_map;   /* owned; its map from tensors to files, or NULL */
} td_hf_found;

/* Of a folder the weights are model.safetensors, else the files that model.safetensors.index.json
 * names, else all .safetensors files.  A path that names one of them, the index or config.json
 * stands for the folder; one that names another .safetensors file or index stands for it alone.  In
 * a folder without any, the one GGUF file (or set of split ones) is the model; without config.json,
 * too, the one in the folders below.  On failure *found
 * is cleared. */
td_status td_hf_find(td_hf_found *found, const char *path, td_err *err);
/* The same for the configuration alone: `path` is a folder that has one, or its config.json, and no
 * weights are chosen. */
td_status td_hf_find_config(td_hf_found *found, const char *path, td_err *err);
void td_hf_found_clear(td_hf_found *found);

#endif
