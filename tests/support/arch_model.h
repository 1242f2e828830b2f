/* arch_model.h - tiny models of every architecture: a fixture of make_archs.py, and the Hugging
 * Face folder and the GGUF file that it describes.
 *
 * The weights are a pure function of (seed, tensor name, element index), computed here and in
 * make_archs.py to the same bits.  How the tensors of the GGUF file follow from those of the
 * folder, and its metadata, were learned from llama.cpp's converter; nothing here knows an
 * architecture.  For tests: what goes wrong ends the program with a message. */
#ifndef TD_SUPPORT_ARCH_MODEL_H
#define TD_SUPPORT_ARCH_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "tandem.h"

typedef struct arch_model {
    char name[64];
    uint64_t seed;
    int n_vocab;
    int n_ctx;            /* the context to run it with: long rope factors depend on it */
    uint64_t fingerprint; /* of all weights, as make_archs.py saw them */
    float tolerance;      /* of the logits */
    bool has_gguf;        /* false: llama.cpp does not have it */
    bool has_old_config;
    td_token *tokens; /* owned; [n_token] */
    int n_token;
    int32_t *positions; /* owned; [n_position], ascending */
    int n_position;
    float *logits;      /* owned; [n_position][n_vocab] */
    float *gguf_logits; /* owned; the same for the GGUF file, which may say less */
    json_t *root;       /* owned; the fixture */
} arch_model;

/* The names of tests/golden/archs/NAME.json in order; free each and the array. */
char **arch_model_list(int *n);

/* Reads tests/golden/archs/NAME.json. */
void arch_model_load(arch_model *m, const char *name);
void arch_model_clear(arch_model *m);

typedef enum arch_dtype {
    ARCH_F32,
    ARCH_BF16,       /* the weights rounded */
    ARCH_BF16_AS_F32 /* the same weights, stored as F32 */
} arch_dtype;

typedef struct arch_folder_options {
    arch_dtype dtype;
    bool old_config; /* config.json as before transformers 5 */
    int n_shard;     /* files; 0 and 1: a single model.safetensors, else also an index */
} arch_folder_options;

/* Writes config.json, the weights and a tokenizer into an existing folder.  Returns the
 * fingerprint of the float32 weights. */
uint64_t arch_model_write_folder(const arch_model *m, arch_folder_options options, const char *dir);

/* Writes the model as llama.cpp's converter does, in F32. */
void arch_model_write_gguf(const arch_model *m, const char *path);

/* Removes a folder and the files in it. */
void arch_model_remove_folder(const char *dir);

#endif
