/* quantize_folder.h - a Hugging Face folder as the source of td_quantize_run(): the model is opened
 * as the engine opens it, and every part that it is bound to becomes a tensor as llama.cpp's
 * converter writes it.
 *
 * quantize_folder.c has the tensors, quantize_folder_meta.c the configuration,
 * quantize_folder_vocab.c the tokenizer.  What the folder says and a GGUF file cannot is
 * TD_ERR_UNSUPPORTED, never left out in silence. */
#ifndef TD_JOBS_QUANTIZE_FOLDER_H
#define TD_JOBS_QUANTIZE_FOLDER_H

#include "jobs/quantize_model.h"
#include "model/model.h"
#include "text/vocab.h"

/* `ckpt`, a folder, is borrowed.  A folder without a tokenizer gives a file without one. */
td_status td_quantize_folder_open(td_quantize_source *out, const td_checkpoint *ckpt, td_err *err);
void td_quantize_folder_close(td_quantize_source *s); /* zeroed is fine */

/* ---- the parts, of the folder's own files ---- */

/* general.architecture of the file that is to be. */
td_status td_folder_arch_name(const char **out, const td_model *model, td_err *err);

/* Refuses what GGUF's metadata cannot say of the model. */
td_status td_folder_check_config(const td_model *model, td_err *err);

/* The keys "general.*" and "<architecture>.*"; n_elem is the number of all weights. */
td_status td_folder_put_config(const td_model *model, uint64_t n_elem, td_gguf_writer *w,
                               td_err *err);

/* The tokenizer of a folder that has one, from the file that says most: tokenizer.model where
 * tokenizer.json has SentencePiece's merges without its scores.  Refuses what GGUF cannot say. */
td_status td_folder_read_vocab(const td_checkpoint *ckpt, td_vocab *vocab, td_err *err);

/* The keys "tokenizer.*".  A model of more rows than tokens gets placeholders. */
td_status td_folder_put_vocab(const td_model *model, const td_vocab *vocab, td_gguf_writer *w,
                              td_err *err);

#endif
