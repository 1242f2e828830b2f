/* merge.h - the merging that byte-level BPE and SentencePiece share: join the adjacent pair of
 * lowest rank, leftmost on ties, until no pair has a rank.
 *
 * A linked list of symbols and a heap of pairs make it n log n, so that one word of a megabyte is
 * no worse than a megabyte of words. */
#ifndef TD_TEXT_MERGE_H
#define TD_TEXT_MERGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define TD_MERGE_NONE UINT32_MAX /* as a rank: the pair does not merge; as an index: no symbol */

typedef struct td_merge_symbol {
    uint32_t at, n;      /* the bytes it stands for; what they index is the caller's affair */
    int32_t id;          /* its token, -1: none */
    int32_t merged;      /* the token that this and the next become */
    uint32_t rank;       /* of that merge; TD_MERGE_NONE: they do not merge */
    uint32_t prev, next; /* its neighbours; TD_MERGE_NONE at the ends */
} td_merge_symbol;

/* The rank of joining two neighbours and the token they become, or TD_MERGE_NONE. */
typedef uint32_t td_merge_rank_fn(const void *user, const td_merge_symbol *left,
                                  const td_merge_symbol *right, int32_t *merged);

/* Memory for merging, used again from one text to the next; zeroed is empty. */
typedef struct td_merger {
    td_merge_symbol *symbols; /* owned */
    size_t cap_symbol;
    uint64_t *heap; /* owned; rank << 32 | index of the left symbol, smallest on top */
    size_t n_heap, cap_heap;
} td_merger;

void td_merger_clear(td_merger *m);

/* Room for n symbols, to be filled (at, n, id) by the caller. */
td_status td_merger_reserve(td_merger *m, size_t n, td_err *err);

/* Merges symbols[0..n_symbol).  Those that remain are the list that begins at symbols[0], linked by
 * `next`. */
td_status td_merger_run(td_merger *m, size_t n_symbol, td_merge_rank_fn *rank_of, const void *user,
                        td_err *err);

#endif
