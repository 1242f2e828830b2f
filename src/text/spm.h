/* spm.h - SentencePiece's BPE as GGUF's "llama" vocabularies have it: scores in place of merges,
 * and bytes for characters the vocabulary lacks.
 *
 * Immutable after creation. */
#ifndef TD_TEXT_SPM_H
#define TD_TEXT_SPM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "text/merge.h"
#include "text/token_list.h"
#include "text/vocab.h"

#define TD_SPM_SPACE   "\xE2\x96\x81" /* U+2581, which stands for a space in the vocabulary */
#define TD_SPM_N_SPACE 3

typedef struct td_spm td_spm;

/* Borrows vocab. */
td_status td_spm_create(td_spm **out, const td_vocab *vocab, td_err *err);
void td_spm_free(td_spm *spm); /* NULL is fine */

/* Memory for encoding, used again from one text to the next; zeroed is empty. */
typedef struct td_spm_scratch {
    td_merger merger;
    td_strbuf text; /* the text with its spaces replaced */
} td_spm_scratch;

void td_spm_scratch_clear(td_spm_scratch *scratch);

/* Appends the tokens of text[0..n_text), n_text at most UINT32_MAX / 4, with a space in front if
 * space_prefix. */
td_status td_spm_encode(const td_spm *spm, td_spm_scratch *scratch, const char *text, size_t n_text,
                        bool space_prefix, td_token_list *out, td_err *err);

#endif
