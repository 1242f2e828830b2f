/* quantize_pattern.c - see quantize_pattern.h. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "jobs/quantize_pattern.h"

#include <pcre2.h>
#include <string.h>

#include "base/alloc.h"

enum { MATCH_LIMIT = 1000000, HEAP_LIMIT_KIB = 16384 };

struct td_pattern_set {
    const td_mix_override *overrides; /* borrowed */
    int n;
    pcre2_general_context *general; /* owned; allocates through base/alloc.h */
    pcre2_match_context *limits;    /* owned */
    pcre2_match_data *match;        /* owned */
    pcre2_code *codes[];            /* owned; [n] */
};

static void *pcre_malloc(size_t n, void *user) {
    (void)user;
    return td_malloc(n);
}

static void pcre_free(void *p, void *user) {
    (void)user;
    td_free(p);
}

void td_pattern_set_free(td_pattern_set *set) {
    if (!set) return;
    for (int i = 0; i < set->n; i++) pcre2_code_free(set->codes[i]);
    pcre2_match_data_free(set->match);
    pcre2_match_context_free(set->limits);
    pcre2_general_context_free(set->general);
    td_free(set);
}

static td_status compile(td_pattern_set *set, pcre2_compile_context *context, td_err *err) {
    for (int i = 0; i < set->n; i++) {
        const char *pattern = set->overrides[i].pattern;
        int code;
        PCRE2_SIZE at;
        set->codes[i] = pcre2_compile((PCRE2_SPTR)pattern, strlen(pattern), PCRE2_NEVER_BACKSLASH_C,
                                      &code, &at, context);
        if (set->codes[i]) continue;
        if (code == PCRE2_ERROR_HEAP_FAILED) return td_fail_nomem(err, pattern, strlen(pattern));
        PCRE2_UCHAR why[120] = "";
        pcre2_get_error_message(code, why, sizeof why);
        return td_fail(err, TD_ERR_ARGUMENT, "the pattern '%s', at byte %zu: %s", pattern, at,
                       (const char *)why);
    }
    return TD_OK;
}

static td_status fill(td_pattern_set *set, td_err *err) {
    set->general = pcre2_general_context_create(pcre_malloc, pcre_free, NULL);
    if (set->general) set->limits = pcre2_match_context_create(set->general);
    if (set->limits) set->match = pcre2_match_data_create(1, set->general);
    pcre2_compile_context *context = set->match ? pcre2_compile_context_create(set->general) : NULL;
    if (!context) return td_fail_nomem(err, "the patterns", sizeof *set);
    pcre2_set_match_limit(set->limits, MATCH_LIMIT);
    pcre2_set_heap_limit(set->limits, HEAP_LIMIT_KIB);
    const td_status status = compile(set, context, err);
    pcre2_compile_context_free(context);
    return status;
}

td_status td_pattern_set_create(td_pattern_set **out, const td_mix_override *overrides, int n,
                                td_err *err) {
    *out = NULL;
    td_pattern_set *set = td_calloc(1, sizeof *set + (size_t)n * sizeof set->codes[0]);
    if (!set) return td_fail_nomem(err, "the patterns", sizeof *set);
    set->overrides = overrides;
    set->n = n;
    const td_status status = n > 0 ? fill(set, err) : TD_OK;
    if (status == TD_OK)
        *out = set;
    else
        td_pattern_set_free(set);
    return status;
}

td_status td_pattern_find(const td_pattern_set *set, const char *name, int *i_pattern,
                          td_err *err) {
    *i_pattern = -1;
    for (int i = 0; i < set->n; i++) {
        const int found = pcre2_match(set->codes[i], (PCRE2_SPTR)name, strlen(name), 0, 0,
                                      set->match, set->limits);
        if (found >= 0) {
            *i_pattern = i;
            return TD_OK;
        }
        if (found == PCRE2_ERROR_NOMEMORY) return td_fail_nomem(err, "a pattern", HEAP_LIMIT_KIB);
        if (found != PCRE2_ERROR_NOMATCH)
            return td_fail(err, TD_ERR_ARGUMENT,
                           "the pattern '%s' takes too long for the name '%s'",
                           set->overrides[i].pattern, name);
    }
    return TD_OK;
}
