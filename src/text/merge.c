/* merge.c - see merge.h.
 *
 * Pairs in the heap are never removed when a merge beside them makes them void; they are recognized
 * when they come out: a symbol knows the rank of its present pair, and TD_MERGE_NONE once it is
 * gone. */
#include "text/merge.h"

#include "base/alloc.h"

void td_merger_clear(td_merger *m) {
    td_free(m->symbols);
    td_free(m->heap);
    *m = (td_merger){0};
}

td_status td_merger_reserve(td_merger *m, size_t n, td_err *err) {
    return td_grow((void **)&m->symbols, &m->cap_symbol, n, sizeof *m->symbols,
                   "the symbols of a text", err);
}

static void sift_down(td_merger *m, size_t i) {
    const uint64_t key = m->heap[i];
    for (size_t child; (child = 2 * i + 1) < m->n_heap; i = child) {
        if (child + 1 < m->n_heap && m->heap[child + 1] < m->heap[child]) child++;
        if (key <= m->heap[child]) break;
        m->heap[i] = m->heap[child];
    }
    m->heap[i] = key;
}

static uint64_t heap_pop(td_merger *m) {
    const uint64_t top = m->heap[0];
    m->heap[0] = m->heap[--m->n_heap];
    if (m->n_heap) sift_down(m, 0);
    return top;
}

static td_status heap_push(td_merger *m, uint64_t key, td_err *err) {
    TD_TRY(td_grow((void **)&m->heap, &m->cap_heap, m->n_heap + 1, sizeof *m->heap,
                   "the heap of merges", err));
    size_t i = m->n_heap++;
    for (; i > 0 && key < m->heap[(i - 1) / 2]; i = (i - 1) / 2) m->heap[i] = m->heap[(i - 1) / 2];
    m->heap[i] = key;
    return TD_OK;
}

/* Looks up the pair that begins at symbol i anew and queues it. */
static td_status update(td_merger *m, uint32_t i, td_merge_rank_fn *rank_of, const void *user,
                        td_err *err) {
    td_merge_symbol *s = &m->symbols[i];
    s->rank = s->next == TD_MERGE_NONE ? TD_MERGE_NONE
                                       : rank_of(user, s, &m->symbols[s->next], &s->merged);
    if (s->rank == TD_MERGE_NONE) return TD_OK;
    return heap_push(m, (uint64_t)s->rank << 32 | i, err);
}

/* Links the symbols and makes a heap of all pairs at once, which is cheaper than pushing each. */
static td_status begin(td_merger *m, size_t n_symbol, td_merge_rank_fn *rank_of, const void *user,
                       td_err *err) {
    m->n_heap = 0;
    TD_TRY(td_grow((void **)&m->heap, &m->cap_heap, n_symbol, sizeof *m->heap, "the heap of merges",
                   err));
    for (uint32_t i = 0; i < n_symbol; i++) {
        td_merge_symbol *s = &m->symbols[i];
        const int last = i + 1 == n_symbol;
        s->prev = i ? i - 1 : TD_MERGE_NONE;
        s->next = last ? TD_MERGE_NONE : i + 1;
        s->rank = last ? TD_MERGE_NONE : rank_of(user, s, s + 1, &s->merged);
        if (s->rank != TD_MERGE_NONE) m->heap[m->n_heap++] = (uint64_t)s->rank << 32 | i;
    }
    for (size_t i = m->n_heap / 2; i-- > 0;) sift_down(m, i);
    return TD_OK;
}

td_status td_merger_run(td_merger *m, size_t n_symbol, td_merge_rank_fn *rank_of, const void *user,
                        td_err *err) {
    TD_TRY(begin(m, n_symbol, rank_of, user, err));
    while (m->n_heap) {
        const uint64_t key = heap_pop(m);
        const uint32_t i = (uint32_t)key;
        td_merge_symbol *s = &m->symbols[i];
        if (s->rank != key >> 32) continue;
        td_merge_symbol *gone = &m->symbols[s->next];
        s->n += gone->n;
        s->id = s->merged;
        s->next = gone->next;
        if (s->next != TD_MERGE_NONE) m->symbols[s->next].prev = i;
        gone->rank = TD_MERGE_NONE;
        TD_TRY(update(m, i, rank_of, user, err));
        if (s->prev != TD_MERGE_NONE) TD_TRY(update(m, s->prev, rank_of, user, err));
    }
    return TD_OK;
}
