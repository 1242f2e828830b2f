/* arena.h - memory with one lifetime: allocated in order, released all at once.
 *
 * A fixed arena takes its full size at birth and never grows (step scratch: "a step allocates
 * nothing"); a growing one adds blocks (trees built while loading).  All pointers are 64-byte
 * aligned. */
#ifndef TD_BASE_ARENA_H
#define TD_BASE_ARENA_H

#include <stddef.h>

#include "base/status.h"

typedef struct td_arena_block td_arena_block;

/* Memory the caller owns; fields are private. */
typedef struct td_arena {
    td_arena_block *block; /* owned; newest first */
    size_t n_used;         /* bytes, in the newest block */
    size_t block_bytes;    /* of blocks to come; 0: fixed */
} td_arena;

/* A fixed arena of `bytes`. */
td_status td_arena_init_fixed(td_arena *arena, size_t bytes, const char *what, td_err *err);
/* A growing arena; no memory is taken yet. */
void td_arena_init(td_arena *arena, size_t block_bytes);
void td_arena_clear(td_arena *arena); /* frees all; a zeroed arena is fine */

/* NULL when a fixed arena is full or the heap is. Not zeroed (poisoned under ASan until handed
 * out). */
void *td_arena_alloc(td_arena *arena, size_t bytes);
void *td_arena_calloc(td_arena *arena, size_t n, size_t size); /* zeroed, n * size checked */
char *td_arena_strndup(td_arena *arena, const char *s, size_t n);

#endif
