/* arena.c - blocks in a list, bump allocation in the newest. */
#include "base/arena.h"

#include <string.h>

#include "base/alloc.h"

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif
#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(p, n)   ASAN_POISON_MEMORY_REGION(p, n)
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#else
#define POISON(p, n)   ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#endif

enum { HUGE_FROM = 8 << 20 }; /* bytes */

struct td_arena_block {
    td_arena_block *older;
    size_t bytes; /* of data */
    char data[] TD_ALIGNED(TD_CACHE_LINE);
};

static td_arena_block *block_create(size_t bytes, td_arena_block *older) {
    if (bytes > SIZE_MAX - sizeof(td_arena_block)) return NULL;
    td_arena_block *block = td_malloc_aligned(sizeof *block + bytes);
    if (!block) return NULL;
    if (bytes >= HUGE_FROM) td_advise_huge(block, sizeof *block + bytes);
    block->older = older;
    block->bytes = bytes;
    POISON(block->data, bytes);
    return block;
}

td_status td_arena_init_fixed(td_arena *arena, size_t bytes, const char *what, td_err *err) {
    *arena = (td_arena){.block = block_create(bytes, NULL)};
    if (!arena->block) return td_fail_nomem(err, what, bytes);
    return TD_OK;
}

void td_arena_init(td_arena *arena, size_t block_bytes) {
    *arena = (td_arena){.block_bytes = block_bytes ? block_bytes : 65536};
}

void td_arena_clear(td_arena *arena) {
    for (td_arena_block *block = arena->block, *older; block; block = older) {
        older = block->older;
        UNPOISON(block->data, block->bytes);
        td_free_aligned(block);
    }
    *arena = (td_arena){0};
}

void *td_arena_alloc(td_arena *arena, size_t bytes) {
    if (bytes > SIZE_MAX - TD_CACHE_LINE) return NULL;
    const size_t rounded = (bytes + TD_CACHE_LINE - 1) / TD_CACHE_LINE * TD_CACHE_LINE;
    if (!arena->block || rounded > arena->block->bytes - arena->n_used) {
        if (arena->block_bytes == 0) return NULL;
        const size_t want = rounded > arena->block_bytes ? rounded : arena->block_bytes;
        td_arena_block *block = block_create(want, arena->block);
        if (!block) return NULL;
        arena->block = block;
        arena->n_used = 0;
    }
    char *p = arena->block->data + arena->n_used;
    arena->n_used += rounded;
    UNPOISON(p, bytes);
    return p;
}

void *td_arena_calloc(td_arena *arena, size_t n, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes)) return NULL;
    void *p = td_arena_alloc(arena, bytes);
    if (p) memset(p, 0, bytes);
    return p;
}

char *td_arena_strndup(td_arena *arena, const char *s, size_t n) {
    if (n == SIZE_MAX) return NULL;
    char *copy = td_arena_alloc(arena, n + 1);
    if (!copy) return NULL;
    memcpy(copy, s, n);
    copy[n] = 0;
    return copy;
}
