/* thousands.c - see thousands.h. */
#include "text/thousands.h"

#include <string.h>

#include "text/unicode.h"
#include "text/utf8.h"

td_thousands td_thousands_of(td_text pattern) {
    static const struct {
        const char *pattern;
        td_thousands kind;
    } known[] = {
        {"\\p{AFMoE_digits}",          TD_THOUSANDS_GROUPS },
        {"\\d{1,3}(?=(?:\\d{3})*\\b)", TD_THOUSANDS_BOUNDED},
        {"(?=(\\d{3})+(?!\\d))",       TD_THOUSANDS_BORDERS},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (pattern.n == strlen(known[i].pattern) &&
            memcmp(pattern.text, known[i].pattern, pattern.n) == 0)
            return known[i].kind;
    return TD_THOUSANDS_NONE;
}

/* \d is decimal digits only. */
static bool is_digit(uint32_t cp, td_thousands kind) {
    return kind == TD_THOUSANDS_GROUPS ? td_unicode_is_numeric(cp) : td_unicode_is_decimal(cp);
}

/* What \b takes for a character of a word: no joiners, but the numbers of Latin-1. */
static bool is_word(uint32_t cp) {
    if (cp == 0x200C || cp == 0x200D) return false;
    return td_unicode_is_word(cp) || cp == 0xB2 || cp == 0xB3 || cp == 0xB9 ||
           (cp >= 0xBC && cp <= 0xBE);
}

/* The end of the number that begins at `at`, how many digits it has, and whether a character of a
 * word follows. */
static size_t number_end(const char *text, size_t at, size_t end, td_thousands kind,
                         size_t *n_digit, bool *in_word) {
    *n_digit = 0;
    *in_word = false;
    while (at < end) {
        uint32_t cp = 0;
        const int k = td_utf8_decode(text + at, end - at, &cp);
        if (!is_digit(cp, kind)) {
            *in_word = is_word(cp);
            break;
        }
        ++*n_digit;
        at += (size_t)k;
    }
    return at;
}

td_status td_thousands_split(td_thousands kind, const char *text, size_t begin, size_t end,
                             td_thousands_fn *emit, void *user, td_err *err) {
    size_t done = begin; /* what lies before has been handed out */
    for (size_t at = begin; at < end;) {
        uint32_t cp = 0;
        const int k = td_utf8_decode(text + at, end - at, &cp);
        if (!is_digit(cp, kind)) {
            at += (size_t)k;
            continue;
        }
        size_t left;
        bool in_word;
        const size_t stop = number_end(text, at, end, kind, &left, &in_word);
        if (kind == TD_THOUSANDS_BOUNDED && in_word) {
            at = stop;
            continue;
        }
        while (at < stop) {
            const bool border = kind == TD_THOUSANDS_BORDERS;
            const bool full = left % 3 == 0;
            size_t group = at; /* the end of the group */
            for (size_t n = (left - 1) % 3 + 1; n > 0; n--, left--)
                group += (size_t)td_utf8_decode(text + group, stop - group, NULL);
            if (!border || full) {
                if (done < at) TD_TRY(emit(user, done, at, false, err));
                TD_TRY(emit(user, at, border ? at : group, true, err));
                done = border ? at : group;
            }
            at = group;
        }
    }
    return done < end ? emit(user, done, end, false, err) : TD_OK;
}
