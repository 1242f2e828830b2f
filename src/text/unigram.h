/* unigram.h - the tokens of a piece whose scores (logarithms of probabilities) add up to most.
 * Immutable after creation. */
#ifndef TD_TEXT_UNIGRAM_H
#define TD_TEXT_UNIGRAM_H

#include <stddef.h>
#include <stdint.h>

#include "text/token_list.h"
#include "text/vocab.h"

typedef struct td_unigram td_unigram;

/* Borrows vocab and pipeline. */
td_status td_unigram_create(td_unigram **out, const td_vocab *vocab, const td_pipeline *pipeline,
                            td_err *err);
void td_unigram_free(td_unigram *unigram); /* NULL is fine */

/* The best way to a place in the piece. */
typedef struct td_unigram_node {
    double score;
    uint32_t begin; /* where its last token begins */
    int32_t id;     /* that token; -1: nothing ends here */
} td_unigram_node;

/* Memory of one thread; zeroed is empty. */
typedef struct td_unigram_scratch {
    td_unigram_node *nodes; /* owned */
    size_t cap;
    uint32_t *ends; /* owned; where the tokens of the best way end, from the last */
    size_t cap_end;
} td_unigram_scratch;

void td_unigram_scratch_clear(td_unigram_scratch *scratch);

/* Appends the tokens of one piece of at most UINT32_MAX - 1 bytes. */
td_status td_unigram_encode(const td_unigram *unigram, td_unigram_scratch *scratch,
                            const char *piece, size_t n_piece, td_token_list *out, td_err *err);

#endif
