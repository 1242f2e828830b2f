/* vocab_hf_int.h - what the readers of tokenizer files share. */
#ifndef TD_FORMAT_VOCAB_HF_INT_H
#define TD_FORMAT_VOCAB_HF_INT_H

#include <jansson.h>
#include <stdbool.h>

#include "base/status.h"
#include "text/vocab.h"

/* Steps of one kind that a tokenizer may have. */
#define TD_HF_MAX_STEPS 64

/* A vocabulary while it is read; the lists are in its arena, of TD_HF_MAX_STEPS each. */
typedef struct td_hf {
    const char *name; /* of the file, for messages */
    json_t *config;   /* borrowed; tokenizer_config.json, NULL: none */
    json_t *extra;    /* borrowed; added_tokens.json, NULL: none */
    td_vocab *vocab;
    td_pipeline *pipeline;
    td_norm_step *norms;
    td_pre_step *pres;
    td_decode_step *decodes;
    td_added_token *added;
    int32_t *prefix, *suffix;
    bool fused; /* the decoders so far have made one text of the tokens */
} td_hf;

/* A new vocabulary of `model` with an empty pipeline. */
td_status td_hf_init(td_hf *hf, td_vocab *vocab, td_vocab_model model, const char *name,
                     td_err *err);

/* Room for n_token tokens, all of them unused and empty; n is a count of the file. */
td_status td_hf_set_tokens(td_hf *hf, int64_t n_token, td_err *err);
/* A copy in the arena; the text need not end with NUL. */
td_status td_hf_copy(td_hf *hf, const char *text, size_t n, td_text *out, td_err *err);
td_status td_hf_add_norm(td_hf *hf, td_norm_step step, td_err *err);
td_status td_hf_add_pre(td_hf *hf, td_pre_step step, td_err *err);
td_status td_hf_add_decode(td_hf *hf, td_decode_step step, td_err *err);
/* Ids for ADD_SPECIAL, in front of those there or behind. */
td_status td_hf_add_prefix(td_hf *hf, int32_t id, td_err *err);
td_status td_hf_add_suffix(td_hf *hf, int32_t id, td_err *err);

/* tokenizer_json.c: all of a tokenizer.json but what the other files say. */
td_status td_hf_read_tokenizer_json(td_hf *hf, json_t *root, td_vocab *vocab, const char *name,
                                    td_err *err);
/* tokenizer_steps.c: its normalizer, pre-tokenizer, post-processor and decoder. */
td_status td_hf_read_normalizer(td_hf *hf, json_t *o, int depth, td_err *err);
td_status td_hf_read_pre_tokenizer(td_hf *hf, json_t *o, int depth, td_err *err);
td_status td_hf_read_post_processor(td_hf *hf, json_t *o, int depth, td_err *err);
td_status td_hf_read_decoder(td_hf *hf, json_t *o, int depth, td_err *err);

/* The tokens that tokenizer_config.json (added_tokens_decoder) and added_tokens.json have beside
 * n_base of another file: makes room for all, then, once those are filled in, adds these. */
td_status td_hf_set_tokens_with_extra(td_hf *hf, int64_t n_base, td_err *err);
td_status td_hf_add_extra(td_hf *hf, td_err *err);

/* vocab_sentencepiece.c, vocab_files.c: the other kinds of files; data is gone afterwards. */
typedef td_status td_hf_read_fn(td_hf *hf, const char *data, size_t n, td_vocab *vocab,
                                const char *name, td_err *err);
td_hf_read_fn td_hf_read_sentencepiece, td_hf_read_tiktoken;
td_status td_hf_read_bpe_files(td_hf *hf, json_t *vocab_json, const char *merges, size_t n_merges,
                               td_vocab *vocab, td_err *err);

#endif
