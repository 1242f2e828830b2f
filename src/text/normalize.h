/* normalize.h - text to normalized text, by the steps of a pipeline.  Immutable after creation. */
#ifndef TD_TEXT_NORMALIZE_H
#define TD_TEXT_NORMALIZE_H

#include <stddef.h>

#include "base/status.h"
#include "base/strbuf.h"
#include "text/pipeline.h"
#include "text/regex.h"
#include "text/special.h"

typedef struct td_normalizer td_normalizer;

/* The steps outlive it.  `symbols` are the tokens that SentencePiece's normalizer leaves as they
 * are; borrowed, may be filled later. */
td_status td_normalizer_create(td_normalizer **out, const td_norm_step *steps, int n_step,
                               const td_special *symbols, td_err *err);
void td_normalizer_free(td_normalizer *norm); /* NULL is fine */

/* Memory of one thread; zeroed is empty. */
typedef struct td_norm_scratch {
    td_strbuf buffers[2];
    td_regex_scratch *regex; /* owned */
} td_norm_scratch;

void td_norm_scratch_clear(td_norm_scratch *scratch);

/* text[0..n) is well-formed; *out lies in the scratch, or is text where there is nothing to do. */
td_status td_normalizer_run(const td_normalizer *norm, td_norm_scratch *scratch, const char *text,
                            size_t n, const char **out, size_t *n_out, td_err *err);

#endif
