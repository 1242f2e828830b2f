/* thousands.h - the patterns that group the digits of a number by three from its right end.
 *
 * A matcher that goes from left to right counts the rest of the number anew at each group, which is
 * quadratic; these are known by their text and done by counting once. */
#ifndef TD_TEXT_THOUSANDS_H
#define TD_TEXT_THOUSANDS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "text/pipeline.h"

typedef enum td_thousands {
    TD_THOUSANDS_NONE,
    TD_THOUSANDS_GROUPS,  /* "\p{AFMoE_digits}", llama.cpp's name: the groups of any number */
    TD_THOUSANDS_BOUNDED, /* "\d{1,3}(?=(?:\d{3})*\b)": those of a number that ends a word */
    TD_THOUSANDS_BORDERS  /* "(?=(\d{3})+(?!\d))": the places with a multiple of three behind */
} td_thousands;

td_thousands td_thousands_of(td_text pattern);

/* Hands the matches in text[begin..end), in order, and what lies between them to `emit`. */
typedef td_status td_thousands_fn(void *user, size_t begin, size_t end, bool is_match, td_err *err);
td_status td_thousands_split(td_thousands kind, const char *text, size_t begin, size_t end,
                             td_thousands_fn *emit, void *user, td_err *err);

#endif
