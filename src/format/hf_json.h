/* hf_json.h - JSON files of a Hugging Face folder, as jansson's trees: internal to format/. */
#ifndef TD_FORMAT_HF_JSON_H
#define TD_FORMAT_HF_JSON_H

#include <jansson.h>

#include "base/status.h"

enum { TD_HF_MAX_JSON = 64 << 20 }; /* bytes of a file; an index of 100,000 tensors has 10 MB */

/* json_loadb() of text[n] with its flags and our messages, `name` being the text's; but integers
 * beyond int64 become reals instead of errors: transformers writes such a model_max_length (10^30,
 * as an integer) into many a tokenizer_config.json.  The caller json_decref()s *out, which is NULL
 * on failure. */
td_status td_hf_json_load(json_t **out, const char *text, size_t n, size_t flags, const char *name,
                          td_err *err);

/* Parses text[n], whose top must be an object without a key that appears twice at any level; `name`
 * is for messages.  The caller json_decref()s *out, which is NULL on failure. */
td_status td_hf_json_parse(json_t **out, const char *text, size_t n, const char *name, td_err *err);

/* The same for a file. */
td_status td_hf_json_read(json_t **out, const char *path, td_err *err);

#endif
