/* regex.c - see regex.h. */
#include "text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/alloc.h"

/* Patterns in use need a few steps a byte; the limit stops those that try every way to cut a text.
 */
#define STEPS         10000000u
#define STEPS_A_BYTE  64u
#define MOST_STEPS    (1u << 31)
#define HEAP_KIB      (256u * 1024u)
#define JIT_STACK     ((size_t)32 << 10)
#define JIT_STACK_MAX ((size_t)256 << 20) /* address space; memory is taken as it is used */

struct td_regex {
    pcre2_general_context *general; /* owned; allocates through base/alloc.h */
    pcre2_code *code;               /* owned */
    char *name;                     /* owned */
    bool jit; /* compiled to machine code; else the interpreter matches, only slower */
};

struct td_regex_scratch {
    pcre2_general_context *general; /* owned */
    pcre2_match_context *context;   /* owned */
    pcre2_match_data *data;         /* owned */
    pcre2_jit_stack *stack;         /* owned; NULL until PCRE2's own does not suffice */
};

static void *pcre_malloc(size_t bytes, void *user) {
    (void)user;
    return td_malloc(bytes);
}

static void pcre_free(void *p, void *user) {
    (void)user;
    td_free(p);
}

/* ---- compiling ---- */

/* PCRE2's \s has U+180E, which is no White_Space since Unicode 6.3; spelled out, it is exact.  `in`
 * is inside a character class, where only the members are wanted. */
static void spell_out_spaces(const char *pattern, size_t n, td_strbuf *out) {
    static const char white_space[] = "\\p{Z}\\t-\\r\\x{85}";
    bool in = false;
    for (size_t i = 0; i < n; i++) {
        const char c = pattern[i];
        if (c == '\\' && i + 1 < n) {
            i++;
            if (pattern[i] == 's')
                td_strbuf_addf(out, in ? "%s" : "[%s]", white_space);
            else if (pattern[i] == 'S' && !in)
                td_strbuf_addf(out, "[^%s]", white_space);
            else
                td_strbuf_addf(out, "\\%c", pattern[i]);
            continue;
        }
        if (c == '[') in = true;
        if (c == ']') in = false;
        td_strbuf_addc(out, c);
    }
}

static td_status compile(td_regex *re, const td_strbuf *pattern, td_err *err) {
    pcre2_compile_context *context = pcre2_compile_context_create(re->general);
    if (!context) return td_fail(err, TD_ERR_NOMEM, "out of memory for a pattern");
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    int code = 0;
    PCRE2_SIZE at = 0;
    const uint32_t options =
        PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C | PCRE2_NO_UTF_CHECK;
    re->code = pcre2_compile((PCRE2_SPTR)(pattern->text ? pattern->text : ""), pattern->n, options,
                             &code, &at, context);
    pcre2_compile_context_free(context);
    if (!re->code && code == PCRE2_ERROR_HEAP_FAILED)
        return td_fail(err, TD_ERR_NOMEM, "out of memory for a pattern");
    if (!re->code) {
        PCRE2_UCHAR why[128] = {0};
        pcre2_get_error_message(code, why, sizeof why);
        return td_fail(err, TD_ERR_UNSUPPORTED, "%s: the pattern does not compile at byte %zu: %s",
                       re->name, (size_t)at, (const char *)why);
    }
    /* Refused where a process may not make memory executable, which is no error. */
    re->jit = pcre2_jit_compile(re->code, PCRE2_JIT_COMPLETE) == 0;
    return TD_OK;
}

static td_status create(td_regex *re, const char *pattern, size_t n, td_regex_dialect dialect,
                        const char *name, td_err *err) {
    re->name = td_strdup(name);
    re->general = pcre2_general_context_create(pcre_malloc, pcre_free, NULL);
    if (!re->name || !re->general) return td_fail(err, TD_ERR_NOMEM, "out of memory for a pattern");
    td_strbuf translated = {0};
    td_status st = TD_OK;
    if (dialect == TD_REGEX_ONIGURUMA)
        st = td_regex_translate(pattern, n, name, &translated, err);
    else
        spell_out_spaces(pattern, n, &translated);
    if (st == TD_OK) st = td_strbuf_check(&translated, "a pattern", err);
    if (st == TD_OK) st = compile(re, &translated, err);
    td_strbuf_clear(&translated);
    return st;
}

td_status td_regex_create(td_regex **out, const char *pattern, size_t n, td_regex_dialect dialect,
                          const char *name, td_err *err) {
    *out = NULL;
    td_regex *re = td_calloc(1, sizeof *re);
    if (!re) return td_fail_nomem(err, "a pattern", sizeof *re);
    const td_status st = create(re, pattern, n, dialect, name, err);
    if (st != TD_OK) {
        td_regex_free(re);
        return st;
    }
    *out = re;
    return TD_OK;
}

void td_regex_free(td_regex *re) {
    if (!re) return;
    pcre2_code_free(re->code);
    pcre2_general_context_free(re->general);
    td_free(re->name);
    td_free(re);
}

/* ---- matching ---- */

void td_regex_scratch_free(td_regex_scratch *s) {
    if (!s) return;
    pcre2_jit_stack_free(s->stack);
    pcre2_match_data_free(s->data);
    pcre2_match_context_free(s->context);
    pcre2_general_context_free(s->general);
    td_free(s);
}

static td_status scratch_create(td_regex_scratch **out, td_err *err) {
    td_regex_scratch *s = td_calloc(1, sizeof *s);
    if (s) s->general = pcre2_general_context_create(pcre_malloc, pcre_free, NULL);
    if (s && s->general) s->context = pcre2_match_context_create(s->general);
    if (s && s->context) s->data = pcre2_match_data_create(1, s->general);
    if (!s || !s->data) {
        td_regex_scratch_free(s);
        return td_fail(err, TD_ERR_NOMEM, "out of memory for matching a pattern");
    }
    pcre2_set_heap_limit(s->context, HEAP_KIB);
    *out = s;
    return TD_OK;
}

/* Machine code has 32 KiB of stack; a long word of a pattern with alternatives inside needs more,
 * and the interpreter, which keeps its stack on the heap, is what is left without that. */
static int match(const td_regex *re, td_regex_scratch *s, PCRE2_SPTR text, size_t n, size_t from) {
    int rc = PCRE2_ERROR_JIT_STACKLIMIT;
    if (re->jit) rc = pcre2_jit_match(re->code, text, n, from, 0, s->data, s->context);
    if (re->jit && rc == PCRE2_ERROR_JIT_STACKLIMIT && !s->stack) {
        s->stack = pcre2_jit_stack_create(JIT_STACK, JIT_STACK_MAX, s->general);
        if (s->stack) {
            pcre2_jit_stack_assign(s->context, NULL, s->stack);
            rc = pcre2_jit_match(re->code, text, n, from, 0, s->data, s->context);
        }
    }
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
        rc = pcre2_match(re->code, text, n, from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, s->data,
                         s->context);
    return rc;
}

td_status td_regex_find(const td_regex *re, td_regex_scratch **scratch, const char *text, size_t n,
                        size_t from, td_regex_range *range, td_err *err) {
    if (!*scratch) TD_TRY(scratch_create(scratch, err));
    td_regex_scratch *s = *scratch;
    const size_t most = (MOST_STEPS - STEPS) / STEPS_A_BYTE;
    pcre2_set_match_limit(s->context, STEPS + STEPS_A_BYTE * (uint32_t)(n < most ? n : most));
    const int rc = match(re, s, (PCRE2_SPTR)text, n, from);
    *range = (td_regex_range){0};
    if (rc >= 0) {
        const PCRE2_SIZE *at = pcre2_get_ovector_pointer(s->data);
        /* A \K inside of a look-around can turn a match inside out. */
        range->found = at[0] >= from && at[1] >= at[0];
        range->begin = at[0];
        range->end = at[1];
    }
    if (rc >= 0 || rc == PCRE2_ERROR_NOMATCH) return TD_OK;
    if (rc == PCRE2_ERROR_NOMEMORY)
        return td_fail(err, TD_ERR_NOMEM, "out of memory for splitting the text");
    return td_fail(err, TD_ERR_LIMIT, "%s cannot split the text: too many steps (PCRE2 error %d)",
                   re->name, rc);
}
