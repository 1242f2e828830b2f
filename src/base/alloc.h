/* alloc.h - all heap allocation of Tandem goes through here, so that tests can count it and make it
 * fail.
 *
 * In builds with TD_FAULTS (the check presets) every allocation first passes td_alloc_fault_*;
 * product builds compile that away. */
#ifndef TD_BASE_ALLOC_H
#define TD_BASE_ALLOC_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* As malloc, calloc, realloc, free, strdup, strndup.  A size of 0 gives a valid pointer.  td_calloc
 * checks n * size. */
void *td_malloc(size_t bytes);
void *td_calloc(size_t n, size_t size);
void *td_realloc(void *p, size_t bytes);
void td_free(void *p);
char *td_strdup(const char *s);
char *td_strndup(const char *s, size_t n);

/* 64-byte aligned, not zeroed; freed with td_free_aligned. */
void *td_malloc_aligned(size_t bytes);
void td_free_aligned(void *p);

/* Asks for huge pages under a large block that will be written all over: fewer faults.  A hint. */
void td_advise_huge(void *p, size_t bytes);

/* Grows an array of `size`-byte elements to hold at least n_want: doubles *cap.  On failure nothing
 * changes. */
td_status td_grow(void **array, size_t *cap, size_t n_want, size_t size, const char *what,
                  td_err *err);

/* Sizes that come from input are combined with these only. */
td_status td_mul_size(size_t *out, size_t a, size_t b, const char *what, td_err *err);
td_status td_add_size(size_t *out, size_t a, size_t b, const char *what, td_err *err);

/* ---- fault injection: only in builds with TD_FAULTS, else they do nothing ---- */
void td_alloc_fault_set(
    int64_t nth); /* the nth allocation from now (1 is the next) fails, and it alone; 0: none */
int64_t td_alloc_fault_count(void); /* allocations tried since the last td_alloc_fault_set */
void td_alloc_fault_forbid(
    int on); /* while on, every allocation aborts the process: "a step allocates nothing" */

#endif
