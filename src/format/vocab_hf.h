/* vocab_hf.h - the vocabulary out of the tokenizer files of a Hugging Face folder. */
#ifndef TD_FORMAT_VOCAB_HF_H
#define TD_FORMAT_VOCAB_HF_H

#include <stdbool.h>

#include "base/status.h"
#include "format/checkpoint.h"
#include "text/vocab.h"

/* True if the folder has a file that td_vocab_read_folder begins with. */
bool td_vocab_in_folder(const char *folder);

/* Reads the first that the folder has of tokenizer.json, tokenizer.model (SentencePiece's, or
 * tiktoken's under its name), vocab.json with merges.txt, *.tiktoken; then the special
 * tokens, chat template and stop ids of tokenizer_config.json, special_tokens_map.json,
 * added_tokens.json, chat_template.jinja, chat_template.json, generation_config.json.  ckpt (NULL:
 * none) gives config.json's bos_token_id and eos_token_id.  Everything lies in the vocabulary's
 * arena.  Errors name file and field; TD_ERR_UNSUPPORTED names what no tokenizer here does. */
td_status td_vocab_read_folder(const char *folder, const td_checkpoint *ckpt, td_vocab *vocab,
                               td_err *err);

/* The same with tokenizer.model, which must be SentencePiece's, in front of tokenizer.json: it has
 * the scores that the other lacks.  A folder that has none is TD_ERR_FORMAT. */
td_status td_vocab_read_sentencepiece(const char *folder, const td_checkpoint *ckpt,
                                      td_vocab *vocab, td_err *err);
bool td_vocab_has_sentencepiece(const char *folder); /* by the file's name */

/* Reads one tokenizer.json in memory; `name` stands for its path. */
td_status td_vocab_read_tokenizer_json(const char *text, size_t n, const char *name,
                                       td_vocab *vocab, td_err *err);

#endif
