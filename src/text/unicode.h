/* unicode.h - classes of characters and normal forms, as tokenizers need them (through utf8proc).
 */
#ifndef TD_TEXT_UNICODE_H
#define TD_TEXT_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/strbuf.h"

bool td_unicode_is_white_space(uint32_t cp); /* the property White_Space */
bool td_unicode_is_numeric(uint32_t cp);     /* category N */
bool td_unicode_is_decimal(uint32_t cp);     /* category Nd */
bool td_unicode_is_punctuation(uint32_t cp); /* category P, and ASCII's $+<=>^`|~ */
bool td_unicode_is_mark(uint32_t cp);        /* category M */
bool td_unicode_is_nonspacing(uint32_t cp);  /* category Mn */
bool td_unicode_is_control(uint32_t cp);     /* category C but what is not assigned */
bool td_unicode_is_word(uint32_t cp);        /* letters, marks, numbers, connectors */

/* The lower case of one character: 1 or 2 of them in out. */
int td_unicode_lower(uint32_t cp, uint32_t out[2]);

typedef enum td_unicode_form {
    TD_UNICODE_NFC,
    TD_UNICODE_NFD,
    TD_UNICODE_NFKC,
    TD_UNICODE_NFKD
} td_unicode_form;

/* Appends well-formed text in a normal form, in n log n time whatever the text. */
td_status td_unicode_normalize(td_strbuf *out, const char *text, size_t n, td_unicode_form form,
                               td_err *err);

/* True between two characters that are one grapheme cluster; *state begins with 0 and is kept from
 * one pair of neighbours to the next. */
bool td_unicode_is_joined(uint32_t a, uint32_t b, int32_t *state);

void td_unicode_add(td_strbuf *out, uint32_t cp);

#endif
