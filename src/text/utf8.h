/* utf8.h - decoding and checking UTF-8 as Unicode 15, section 3.9 defines it: no overlong forms, no
 * surrogates, nothing above U+10FFFF. */
#ifndef TD_TEXT_UTF8_H
#define TD_TEXT_UTF8_H

#include <stddef.h>
#include <stdint.h>

#define TD_UTF8_REPLACEMENT   "\xEF\xBF\xBD" /* U+FFFD */
#define TD_UTF8_N_REPLACEMENT 3

/* Looks at the front of s[0..n), n > 0.  Above 0: the bytes of the character there, in *cp (NULL
 * allowed).  0: all n bytes (1 to 3 of them) begin a character that needs more.  Below 0: minus the
 * length of the maximal subpart of an ill-formed sequence, the bytes that one U+FFFD replaces. */
int td_utf8_decode(const char *s, size_t n, uint32_t *cp);

/* Bytes at the front of s[0..n) that are whole, well-formed characters; n if all are. */
size_t td_utf8_valid_prefix(const char *s, size_t n);

/* Writes a scalar value (not a surrogate, at most 0x10FFFF); returns its bytes, 1 to 4. */
int td_utf8_encode(uint32_t cp, char out[4]);

#endif
