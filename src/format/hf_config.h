/* hf_config.h - config.json and generation_config.json as metadata entries: internal to format/.
 *
 * Members of objects get the names of their parents with dots in front.  Arrays of numbers, bools
 * or strings are arrays; what else an array may hold is flattened too, positions being the names
 * ("block_configs.0.ffn.width").  null is absent. */
#ifndef TD_FORMAT_HF_CONFIG_H
#define TD_FORMAT_HF_CONFIG_H

#include "base/arena.h"
#include "base/status.h"
#include "format/gguf.h"

typedef struct td_hf_config {
    td_gguf_meta *metas; /* owned; [n_meta], in the order of the files */
    size_t n_meta, cap;
    const td_gguf_meta **metas_by_key; /* owned; [n_meta], sorted */
    td_arena arena;                    /* keys and values, laid out as in a GGUF file */
} td_hf_config;

void td_hf_config_init(td_hf_config *config);
void td_hf_config_clear(td_hf_config *config); /* zeroed is fine */

/* Adds the members of a JSON file, `prefix` ("" or "generation_config.") before their names. */
td_status td_hf_config_read(td_hf_config *config, const char *path, const char *prefix,
                            td_err *err);

/* After the last file: makes metas_by_key, and refuses a key that is there twice in `path`. */
td_status td_hf_config_finish(td_hf_config *config, const char *path, td_err *err);

#endif
