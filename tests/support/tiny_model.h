/* tiny_model.h - the tiny models: a fixture of make_tiny.py, and the GGUF file it describes.
 *
 * A fixture holds a configuration, a seed, tokens and the logits that Hugging Face transformers
 * computes in float32.  The weights are a pure function of (seed, tensor name, element index),
 * computed here and in make_tiny.py to the same bits; tiny_model_write() lays them out as
 * llama.cpp's converter does.  For tests: what goes wrong ends the program with a message. */
#ifndef TD_SUPPORT_TINY_MODEL_H
#define TD_SUPPORT_TINY_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "tandem.h"
#include "tensor/dtype.h"

enum { TINY_MAX_FREQS = 64 };

typedef struct tiny_model {
    char name[64];
    char arch[16]; /* "llama", "qwen2" or "gemma3" */
    uint64_t seed;
    int n_layer, n_embd, n_head, n_head_kv, head_dim, n_ff, n_vocab;
    bool tied;
    float rms_eps, rope_theta;
    float rope_linear;                /* 0: no linear scaling */
    float rope_freqs[TINY_MAX_FREQS]; /* rope_freqs.weight */
    int n_rope_freqs;                 /* head_dim / 2, or 0: no such tensor */
    int window, window_period;        /* gemma3; a period of 0 is not written */
    float rope_theta_swa;             /* gemma3; 0: not written */
    int scale_dim;                    /* gemma3: queries are scaled by its root; 0: not written */
    uint64_t fingerprint;             /* of all weights, as make_tiny.py saw them */
    td_token *tokens;                 /* owned; [n_token] */
    int n_token;
    float *logits; /* owned; [n_token][n_vocab] */
} tiny_model;

/* Reads tests/golden/tiny/NAME.json. */
void tiny_model_load(tiny_model *m, const char *name);
void tiny_model_clear(tiny_model *m);

/* Writes the model with its matrices as dtype (vectors stay F32, as converters have it).  Types
 * without a quantizer get random blocks with scales in proportion to the weights'.  `expand` stores
 * what those blocks mean, as F32.  Returns the fingerprint of the float32 weights before any
 * quantization. */
uint64_t tiny_model_write(const tiny_model *m, td_dtype dtype, bool expand, const char *path);

/* The number that make_tiny.py calls uniform(): element i of a named stream, in [-1, 1). */
float tiny_uniform(uint64_t seed, const char *name, uint64_t i);

#endif
