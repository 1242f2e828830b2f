/* pystr.c - see pystr.h. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/pystr.h"

#include <pcre2.h>
#include <string.h>

#include "base/alloc.h"
#include "text/casing.h"
#include "text/utf8.h"

/* ---- UTF-8 ---- */

uint32_t td_pystr_decode(const char *s, size_t n, size_t *n_byte) {
    uint32_t c;
    if ((unsigned char)s[0] < 0x80) {
        *n_byte = 1;
        return (unsigned char)s[0];
    }
    const int len = td_utf8_decode(s, n, &c);
    *n_byte = len > 0 ? (size_t)len : 1;
    return len > 0 ? c : 0xFFFD;
}

uint32_t td_pystr_decode_back(const char *s, size_t at, size_t *n_byte) {
    size_t start = at - 1;
    while (start > 0 && at - start < 4 && ((unsigned char)s[start] & 0xC0) == 0x80) start--;
    const uint32_t c = td_pystr_decode(s + start, at - start, n_byte);
    if (*n_byte == at - start) return c;
    *n_byte = 1;
    return 0xFFFD;
}

void td_pystr_add(td_strbuf *out, uint32_t c) {
    char bytes[4];
    td_strbuf_add(out, bytes, (size_t)td_utf8_encode(c, bytes));
}

static bool is_ascii(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] >= 0x80) return false;
    return true;
}

size_t td_pystr_count(const char *s, size_t n) {
    if (is_ascii(s, n)) return n;
    size_t count = 0;
    for (size_t at = 0, len; at < n; at += len, count++) td_pystr_decode(s + at, n - at, &len);
    return count;
}

size_t td_pystr_offset(const char *s, size_t n, size_t i) {
    size_t at = 0;
    for (size_t len; at < n && i > 0; at += len, i--) td_pystr_decode(s + at, n - at, &len);
    return at;
}

/* ---- whitespace ---- */

bool td_pystr_is_newline(uint32_t c) {
    return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
           c == 0x2029;
}

bool td_pystr_is_space(uint32_t c) {
    if (c < 0x80) return c == ' ' || (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x1F);
    return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
           c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

/* Whether the character of n_byte bytes at c is to be stripped. */
static bool in_set(const char *c, size_t n_byte, uint32_t code, const char *chars, size_t n_chars) {
    if (!chars) return td_pystr_is_space(code);
    for (size_t at = 0, len; at < n_chars; at += len) {
        td_pystr_decode(chars + at, n_chars - at, &len);
        if (len == n_byte && memcmp(chars + at, c, len) == 0) return true;
    }
    return false;
}

void td_pystr_strip(const char **s, size_t *n, const char *chars, size_t n_chars,
                    td_pystr_side side) {
    size_t len;
    while ((side & TD_PYSTR_LEFT) && *n > 0) {
        const uint32_t c = td_pystr_decode(*s, *n, &len);
        if (!in_set(*s, len, c, chars, n_chars)) break;
        *s += len;
        *n -= len;
    }
    while ((side & TD_PYSTR_RIGHT) && *n > 0) {
        const uint32_t c = td_pystr_decode_back(*s, *n, &len);
        if (!in_set(*s + *n - len, len, c, chars, n_chars)) break;
        *n -= len;
    }
}

/* ---- searching ---- */

int64_t td_pystr_find(const char *s, size_t n, const char *what, size_t n_what) {
    if (n_what == 0) return 0;
    if (n_what > n) return -1;
    const char *p = n_what == 1 ? memchr(s, what[0], n) : memmem(s, n, what, n_what);
    return p ? p - s : -1;
}

int64_t td_pystr_rfind(const char *s, size_t n, const char *what, size_t n_what) {
    if (n_what > n) return -1;
    if (n_what == 0) return (int64_t)n;
    for (size_t end = n - n_what + 1; end > 0;) {
        const char *p = memrchr(s, what[0], end);
        if (!p) return -1;
        if (memcmp(p, what, n_what) == 0) return p - s;
        end = (size_t)(p - s);
    }
    return -1;
}

/* ---- PCRE2: case and classes beyond ASCII ---- */

static void *pcre_malloc(size_t n, void *user) {
    (void)user;
    return td_malloc(n);
}

static void pcre_free(void *p, void *user) {
    (void)user;
    td_free(p);
}

typedef struct regex {
    pcre2_general_context *memory;
    pcre2_code *code;
    pcre2_match_data *match;
} regex;

static void regex_clear(regex *r) {
    pcre2_match_data_free(r->match);
    pcre2_code_free(r->code);
    pcre2_general_context_free(r->memory);
}

static bool regex_init(regex *r, const char *pattern) {
    int code;
    size_t at;
    *r = (regex){.memory = pcre2_general_context_create(pcre_malloc, pcre_free, NULL)};
    pcre2_compile_context *context = r->memory ? pcre2_compile_context_create(r->memory) : NULL;
    if (context)
        r->code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                                PCRE2_UTF | PCRE2_UCP | PCRE2_DOTALL, &code, &at, context);
    pcre2_compile_context_free(context);
    if (r->code) r->match = pcre2_match_data_create_from_pattern(r->code, r->memory);
    if (r->match) return true;
    regex_clear(r);
    return false;
}

bool td_pystr_matches(const char *s, size_t n, const char *pattern, td_status *failed) {
    regex r;
    if (!regex_init(&r, pattern)) {
        *failed = TD_ERR_NOMEM;
        return false;
    }
    const int rc =
        pcre2_match(r.code, (PCRE2_SPTR)s, n, 0, PCRE2_ANCHORED | PCRE2_ENDANCHORED, r.match, NULL);
    regex_clear(&r);
    if (rc == PCRE2_ERROR_NOMEMORY) *failed = TD_ERR_NOMEM;
    return rc > 0;
}

size_t td_pystr_count_matches(const char *s, size_t n, const char *pattern, td_status *failed) {
    regex r;
    size_t count = 0;
    if (!regex_init(&r, pattern)) {
        *failed = TD_ERR_NOMEM;
        return 0;
    }
    int rc;
    for (size_t at = 0; (rc = pcre2_match(r.code, (PCRE2_SPTR)s, n, at, at ? PCRE2_NO_UTF_CHECK : 0,
                                          r.match, NULL)) > 0;
         count++)
        at = pcre2_get_ovector_pointer(r.match)[1];
    regex_clear(&r);
    if (rc == PCRE2_ERROR_NOMEMORY) *failed = TD_ERR_NOMEM;
    return count;
}

/* All of s through PCRE2's \U or \L: one character in, one out.  NULL on a failure; td_free. */
static char *convert_all(const char *s, size_t n, const char *replacement, size_t *n_out) {
    regex r;
    if (n > SIZE_MAX / 4 || !regex_init(&r, "(.+)")) return NULL;
    size_t size = n * 3 + 16; /* no mapping makes a character longer than three times itself */
    char *out = td_malloc(size);
    int rc = -1;
    if (out)
        rc = pcre2_substitute(r.code, (PCRE2_SPTR)s, n, 0, PCRE2_SUBSTITUTE_EXTENDED, r.match, NULL,
                              (PCRE2_SPTR)replacement, PCRE2_ZERO_TERMINATED, (PCRE2_UCHAR *)out,
                              &size);
    regex_clear(&r);
    if (rc < 0) {
        td_free(out);
        return NULL;
    }
    *n_out = size;
    return out;
}

/* ---- case ---- */

/* One string in three cases, walked in step. */
typedef struct cases {
    const char *s, *upper, *lower; /* lower and upper owned; NULL: s is ASCII, or not UTF-8 */
    size_t n, n_upper, n_lower;
    size_t at, at_upper, at_lower;
} cases;

typedef struct letter {
    uint32_t plain, upper, lower;
    bool is_cased;
    const td_casing *special; /* NULL: upper says all */
} letter;

static letter cases_next(cases *c) {
    size_t len;
    letter l = {.plain = td_pystr_decode(c->s + c->at, c->n - c->at, &len)};
    c->at += len;
    l.upper = l.lower = l.plain;
    if (c->upper) {
        l.upper = td_pystr_decode(c->upper + c->at_upper, c->n_upper - c->at_upper, &len);
        c->at_upper += len;
        l.lower = td_pystr_decode(c->lower + c->at_lower, c->n_lower - c->at_lower, &len);
        c->at_lower += len;
    } else if (l.plain >= 'a' && l.plain <= 'z') {
        l.upper = l.plain - 32;
    } else if (l.plain >= 'A' && l.plain <= 'Z') {
        l.lower = l.plain + 32;
    }
    l.special = l.plain < 0x80 ? NULL : td_casing_find(l.plain);
    l.is_cased = l.upper != l.lower || l.special || l.plain == 0x130;
    return l;
}

/* A sigma is written differently where a word ends: after a letter, and with none behind it.  What
 * is ignorable stands in no way on either side. */
static bool is_final_sigma(const cases *c, bool after_letter) {
    if (!after_letter) return false;
    cases ahead = *c;
    while (ahead.at < ahead.n) {
        const letter l = cases_next(&ahead);
        if (!td_casing_is_ignorable(l.plain)) return !l.is_cased;
    }
    return true;
}

/* An upper-case letter that is the first of its word is one of a title. */
static void add_letter(td_strbuf *out, const cases *c, const letter *l, bool upper,
                       td_pystr_case to, bool after_letter) {
    const bool first = to == TD_PYSTR_CAPITALIZE || to == TD_PYSTR_TITLE;
    if (to == TD_PYSTR_FOLD && l->plain == 0xDF)
        td_strbuf_adds(out, "ss");
    else if (to == TD_PYSTR_FOLD && (l->plain == 0x3A3 || l->plain == 0x3C2))
        td_pystr_add(out, 0x3C3);
    else if (upper && l->special)
        td_strbuf_adds(out, first ? l->special->title : l->special->upper);
    else if (!upper && l->plain == 0x130)
        td_strbuf_adds(out, "i\xCC\x87"); /* the only letter that is two in lower case */
    else if (!upper && l->plain == 0x3A3 && is_final_sigma(c, after_letter))
        td_pystr_add(out, 0x3C2);
    else
        td_pystr_add(out, upper ? l->upper : l->lower);
}

void td_pystr_convert(td_strbuf *out, const char *s, size_t n, td_pystr_case to) {
    cases c = {.s = s, .n = n};
    char *upper = NULL, *lower = NULL;
    if (!is_ascii(s, n) && td_utf8_valid_prefix(s, n) == n) {
        upper = convert_all(s, n, "\\U$1", &c.n_upper);
        lower = upper ? convert_all(s, n, "\\L$1", &c.n_lower) : NULL;
        if (!lower && !out->failed) out->failed = TD_ERR_NOMEM;
        c.upper = lower ? upper : NULL;
        c.lower = lower;
    }
    bool in_word = false, after_letter = false;
    for (bool first = true; c.at < n; first = false) {
        const size_t start = c.at;
        const letter l = cases_next(&c);
        if (!l.is_cased) {
            td_strbuf_add(out, s + start, c.at - start);
            in_word = false;
            after_letter = after_letter && td_casing_is_ignorable(l.plain);
            continue;
        }
        bool up = to == TD_PYSTR_UPPER;
        if (to == TD_PYSTR_CAPITALIZE) up = first;
        if (to == TD_PYSTR_TITLE) up = !in_word;
        if (to == TD_PYSTR_SWAP) up = l.plain == l.lower;
        add_letter(out, &c, &l, up, to, after_letter);
        in_word = after_letter = true;
    }
    td_free(upper);
    td_free(lower);
}
