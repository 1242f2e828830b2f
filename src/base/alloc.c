/* alloc.c - the one door to the heap, and the tests' switch on it. */
#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef TD_FAULTS
/* Written by the test's thread before the code under test runs; atomic because workers allocate
 * too. */
static _Atomic int64_t n_tried, fail_at;
static _Atomic int forbidden;

void td_alloc_fault_set(int64_t nth) {
    n_tried = 0;
    fail_at = nth;
}

int64_t td_alloc_fault_count(void) { return n_tried; }

void td_alloc_fault_forbid(int on) { forbidden = on; }

static int fault(void) {
    if (forbidden) {
        fputs("tandem: an allocation happened inside a step\n", stderr);
        abort();
    }
    return ++n_tried == fail_at;
}
#else
void td_alloc_fault_set(int64_t nth) { (void)nth; }
int64_t td_alloc_fault_count(void) { return 0; }
void td_alloc_fault_forbid(int on) { (void)on; }
static int fault(void) { return 0; }
#endif

void *td_malloc(size_t bytes) {
    if (fault()) return NULL;
    return malloc(bytes ? bytes : 1);
}

void *td_calloc(size_t n, size_t size) {
    if (fault()) return NULL;
    return calloc(n ? n : 1, size ? size : 1);
}

void *td_realloc(void *p, size_t bytes) {
    if (fault()) return NULL;
    return realloc(p, bytes ? bytes : 1);
}

void td_free(void *p) { free(p); }

char *td_strdup(const char *s) { return td_strndup(s, strlen(s)); }

char *td_strndup(const char *s, size_t n) {
    char *copy = td_malloc(n + 1);
    if (!copy) return NULL;
    memcpy(copy, s, n);
    copy[n] = 0;
    return copy;
}

void *td_malloc_aligned(size_t bytes) {
    if (fault() || bytes > SIZE_MAX - TD_CACHE_LINE) return NULL;
    const size_t rounded = (bytes + TD_CACHE_LINE - 1) / TD_CACHE_LINE * TD_CACHE_LINE;
    return aligned_alloc(TD_CACHE_LINE, rounded ? rounded : TD_CACHE_LINE);
}

void td_free_aligned(void *p) { free(p); }

void td_advise_huge(void *p, size_t bytes) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const uintptr_t first = ((uintptr_t)p + page - 1) / page * page, end = (uintptr_t)p + bytes;
    if (end > first) (void)madvise((void *)first, end - first, MADV_HUGEPAGE);
}

td_status td_grow(void **array, size_t *cap, size_t n_want, size_t size, const char *what,
                  td_err *err) {
    if (n_want <= *cap) return TD_OK;
    size_t n = *cap < 8 ? 8 : *cap;
    while (n < n_want) {
        if (n > SIZE_MAX / 2)
            return td_fail(err, TD_ERR_LIMIT, "%s: %zu elements are too many", what, n_want);
        n *= 2;
    }
    size_t bytes;
    TD_TRY(td_mul_size(&bytes, n, size, what, err));
    void *p = td_realloc(*array, bytes);
    if (!p) return td_fail_nomem(err, what, bytes);
    *array = p;
    *cap = n;
    return TD_OK;
}

td_status td_mul_size(size_t *out, size_t a, size_t b, const char *what, td_err *err) {
    if (__builtin_mul_overflow(a, b, out))
        return td_fail(err, TD_ERR_LIMIT, "%s: %zu times %zu overflows", what, a, b);
    return TD_OK;
}

td_status td_add_size(size_t *out, size_t a, size_t b, const char *what, td_err *err) {
    if (__builtin_add_overflow(a, b, out))
        return td_fail(err, TD_ERR_LIMIT, "%s: %zu plus %zu overflows", what, a, b);
    return TD_OK;
}
