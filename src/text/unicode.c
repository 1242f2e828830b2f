/* unicode.c - see unicode.h. */
#include "text/unicode.h"

#include <stdlib.h>
#include <utf8proc.h>

#include "base/alloc.h"
#include "text/utf8.h"

static utf8proc_category_t category_of(uint32_t cp) { return utf8proc_category((int32_t)cp); }

bool td_unicode_is_white_space(uint32_t cp) {
    if (cp < 0x80) return cp == ' ' || (cp >= 9 && cp <= 13);
    return cp == 0x85 || cp == 0xA0 || cp == 0x1680 || (cp >= 0x2000 && cp <= 0x200A) ||
           cp == 0x2028 || cp == 0x2029 || cp == 0x202F || cp == 0x205F || cp == 0x3000;
}

bool td_unicode_is_numeric(uint32_t cp) {
    if (cp < 0x80) return cp >= '0' && cp <= '9';
    const utf8proc_category_t c = category_of(cp);
    return c >= UTF8PROC_CATEGORY_ND && c <= UTF8PROC_CATEGORY_NO;
}

bool td_unicode_is_decimal(uint32_t cp) {
    return cp < 0x80 ? cp >= '0' && cp <= '9' : category_of(cp) == UTF8PROC_CATEGORY_ND;
}

bool td_unicode_is_punctuation(uint32_t cp) {
    if (cp < 0x80)
        return (cp >= 33 && cp <= 47) || (cp >= 58 && cp <= 64) || (cp >= 91 && cp <= 96) ||
               (cp >= 123 && cp <= 126);
    const utf8proc_category_t c = category_of(cp);
    return c >= UTF8PROC_CATEGORY_PC && c <= UTF8PROC_CATEGORY_PO;
}

bool td_unicode_is_mark(uint32_t cp) {
    const utf8proc_category_t c = category_of(cp);
    return c >= UTF8PROC_CATEGORY_MN && c <= UTF8PROC_CATEGORY_ME;
}

bool td_unicode_is_nonspacing(uint32_t cp) { return category_of(cp) == UTF8PROC_CATEGORY_MN; }

bool td_unicode_is_control(uint32_t cp) { return category_of(cp) >= UTF8PROC_CATEGORY_CC; }

bool td_unicode_is_word(uint32_t cp) {
    const utf8proc_category_t c = category_of(cp);
    /* Other_Alphabetic beyond letters and marks are the circled and squared letters. */
    return (c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_NL) || c == UTF8PROC_CATEGORY_PC ||
           cp == 0x200C || cp == 0x200D || (cp >= 0x24B6 && cp <= 0x24E9) ||
           (cp >= 0x1F130 && cp <= 0x1F149) || (cp >= 0x1F150 && cp <= 0x1F169) ||
           (cp >= 0x1F170 && cp <= 0x1F189);
}

int td_unicode_lower(uint32_t cp, uint32_t out[2]) {
    if (cp == 0x130) { /* the one character whose lower case is two */
        out[0] = 'i';
        out[1] = 0x307;
        return 2;
    }
    out[0] = (uint32_t)utf8proc_tolower((int32_t)cp);
    return 1;
}

void td_unicode_add(td_strbuf *out, uint32_t cp) {
    char bytes[4];
    td_strbuf_add(out, bytes, (size_t)td_utf8_encode(cp, bytes));
}

bool td_unicode_is_joined(uint32_t a, uint32_t b, int32_t *state) {
    return !utf8proc_grapheme_break_stateful((int32_t)a, (int32_t)b, state);
}

/* ---- normal forms ---- */

typedef struct codes {
    int32_t *cps; /* owned */
    size_t n, cap;
} codes;

/* A mark while a run of them is brought into order. */
typedef struct mark {
    uint32_t i;
    int32_t cp;
    int32_t class;
} mark;

static int class_of(int32_t cp) { return utf8proc_get_property(cp)->combining_class; }

static int by_class(const void *a, const void *b) {
    const mark *x = a, *y = b;
    if (x->class != y->class) return x->class < y->class ? -1 : 1;
    return (x->i > y->i) - (x->i < y->i);
}

/* Sorts a run of marks by class, stable.  Runs are short but in hostile text. */
static td_status order_run(int32_t *cps, size_t n, td_err *err) {
    mark few[32];
    mark *marks = n <= 32 ? few : td_calloc(n, sizeof *marks);
    if (!marks) return td_fail_nomem(err, "a run of combining marks", n * sizeof *marks);
    for (size_t i = 0; i < n; i++) marks[i] = (mark){(uint32_t)i, cps[i], class_of(cps[i])};
    qsort(marks, n, sizeof *marks, by_class);
    for (size_t i = 0; i < n; i++) cps[i] = marks[i].cp;
    if (marks != few) td_free(marks);
    return TD_OK;
}

static td_status order_marks(codes *c, td_err *err) {
    for (size_t i = 0; i < c->n; i++) {
        size_t end = i;
        while (end < c->n && class_of(c->cps[end]) > 0) end++;
        if (end - i > 1) TD_TRY(order_run(c->cps + i, end - i, err));
        if (end > i) i = end;
    }
    return TD_OK;
}

static td_status decompose(codes *c, const char *text, size_t n, bool compat, td_err *err) {
    const utf8proc_option_t options =
        (utf8proc_option_t)(UTF8PROC_DECOMPOSE | (compat ? UTF8PROC_COMPAT : 0));
    enum { MOST = 32 }; /* the longest decomposition of one character has 18 */
    c->n = 0;
    for (size_t at = 0; at < n;) {
        uint32_t cp = 0;
        int last = 0;
        at += (size_t)td_utf8_decode(text + at, n - at, &cp);
        TD_TRY(td_grow((void **)&c->cps, &c->cap, c->n + MOST, sizeof *c->cps,
                       "the text to normalize", err));
        c->n += (size_t)utf8proc_decompose_char((int32_t)cp, c->cps + c->n, MOST, options, &last);
    }
    return order_marks(c, err);
}

/* Characters that a normal form leaves alone where the next is one of them, too. */
static bool is_plain(uint32_t cp, td_unicode_form form) {
    if (cp < 0x80) return true;
    if (form != TD_UNICODE_NFC) return false;
    return cp < 0x300 || (cp >= 0x400 && cp <= 0x482) || (cp >= 0x3400 && cp <= 0x9FFF) ||
           (cp >= 0xAC00 && cp <= 0xD7A3);
}

/* The end of the stretch from `at` that stays as it is: where a character is followed by one that
 * is not plain it goes with that one. */
static size_t plain_end(const char *text, size_t n, size_t at, td_unicode_form form) {
    size_t last = at; /* where the last plain character begins */
    while (at < n) {
        uint32_t cp = 0;
        const int k = td_utf8_decode(text + at, n - at, &cp);
        if (!is_plain(cp, form)) return last;
        last = at;
        at += (size_t)k;
    }
    return n;
}

/* The end of the stretch from `at` that has to be looked at: behind it are two plain characters. */
static size_t complex_end(const char *text, size_t n, size_t at, td_unicode_form form) {
    int n_plain = 0;
    size_t before = at;
    while (at < n) {
        uint32_t cp = 0;
        const int k = td_utf8_decode(text + at, n - at, &cp);
        n_plain = is_plain(cp, form) ? n_plain + 1 : 0;
        if (n_plain == 2) return before;
        if (n_plain == 1) before = at;
        at += (size_t)k;
    }
    return n;
}

static td_status normalize(td_strbuf *out, const char *text, size_t n, td_unicode_form form,
                           codes *c, td_err *err) {
    const bool compat = form == TD_UNICODE_NFKC || form == TD_UNICODE_NFKD;
    const bool compose = form == TD_UNICODE_NFC || form == TD_UNICODE_NFKC;
    for (size_t at = 0; at < n;) {
        const size_t plain = plain_end(text, n, at, form);
        td_strbuf_add(out, text + at, plain - at);
        const size_t end = complex_end(text, n, plain, form);
        TD_TRY(decompose(c, text + plain, end - plain, compat, err));
        utf8proc_ssize_t n_code = (utf8proc_ssize_t)c->n;
        if (compose && n_code > 0)
            n_code = utf8proc_normalize_utf32(
                c->cps, n_code, (utf8proc_option_t)(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
        for (utf8proc_ssize_t i = 0; i < n_code; i++) td_unicode_add(out, (uint32_t)c->cps[i]);
        at = end;
    }
    return td_strbuf_check(out, "the text to normalize", err);
}

td_status td_unicode_normalize(td_strbuf *out, const char *text, size_t n, td_unicode_form form,
                               td_err *err) {
    codes c = {0};
    const td_status st = normalize(out, text, n, form, &c, err);
    td_free(c.cps);
    return st;
}
