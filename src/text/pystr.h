/* pystr.h - what Python's str does, on UTF-8 bytes; for text/ alone.
 *
 * Bytes that are not UTF-8 count as one character each and are copied as they are.  Case and
 * character classes come from PCRE2's tables (Unicode 14, as Python 3.11). */
#ifndef TD_TEXT_PYSTR_H
#define TD_TEXT_PYSTR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/strbuf.h"

/* The character at s (n > 0 bytes left) and its length in bytes; U+FFFD and 1 where s is broken. */
uint32_t td_pystr_decode(const char *s, size_t n, size_t *n_byte);
/* The character before byte offset `at` > 0. */
uint32_t td_pystr_decode_back(const char *s, size_t at, size_t *n_byte);
/* c is no surrogate and at most 0x10FFFF. */
void td_pystr_add(td_strbuf *out, uint32_t c);

size_t td_pystr_count(const char *s, size_t n);
/* The byte offset of character i; n beyond the end. */
size_t td_pystr_offset(const char *s, size_t n, size_t i);

/* str.isspace for one character, and what splitlines ends a line at. */
bool td_pystr_is_space(uint32_t c);
bool td_pystr_is_newline(uint32_t c);

/* Strips whitespace, or the characters of `chars` when it is not NULL, from *s and *n. */
typedef enum td_pystr_side {
    TD_PYSTR_LEFT = 1,
    TD_PYSTR_RIGHT = 2,
    TD_PYSTR_BOTH = 3
} td_pystr_side;
void td_pystr_strip(const char **s, size_t *n, const char *chars, size_t n_chars,
                    td_pystr_side side);

/* The offset of the first (last) `what` in s; -1 if there is none. An empty `what` is found. */
int64_t td_pystr_find(const char *s, size_t n, const char *what, size_t n_what);
int64_t td_pystr_rfind(const char *s, size_t n, const char *what, size_t n_what);

/* Appends s converted; failures show in out->failed. */
typedef enum td_pystr_case {
    TD_PYSTR_UPPER,
    TD_PYSTR_LOWER,
    TD_PYSTR_CAPITALIZE, /* first character upper, rest lower */
    TD_PYSTR_TITLE,      /* every run of letters so */
    TD_PYSTR_SWAP,
    TD_PYSTR_FOLD /* lower, with a sharp s as two and every sigma alike; other letters as lower */
} td_pystr_case;
void td_pystr_convert(td_strbuf *out, const char *s, size_t n, td_pystr_case to);

/* How often a PCRE2 pattern (UTF and UCP) that matches no empty text is found in s; 0 where s is
 * not UTF-8. */
size_t td_pystr_count_matches(const char *s, size_t n, const char *pattern, td_status *failed);

/* Whether all of s matches a PCRE2 pattern (UTF and UCP); on a failure *failed is set. */
bool td_pystr_matches(const char *s, size_t n, const char *pattern, td_status *failed);

#endif
