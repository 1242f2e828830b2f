/* special.h - finds control and user-defined tokens in raw text, before anything else looks at it.
 *
 * The tokens are kept sorted; a match narrows the sorted range byte by byte, so that six thousand
 * tokens that begin with '<' cost no more than a few comparisons at each '<'. */
#ifndef TD_TEXT_SPECIAL_H
#define TD_TEXT_SPECIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct td_special_entry {
    const char *text; /* borrowed */
    uint32_t n;       /* bytes; above 0 */
    int32_t id;
    bool control; /* matched only when the caller asks for control tokens */
} td_special_entry;

typedef struct td_special {
    td_special_entry *entries; /* owned; sorted by text, then id */
    size_t n_entry, cap_entry;
    size_t first[257];   /* entries that begin with byte c: first[c] up to first[c + 1] */
    bool starts[2][256]; /* [1]: some token begins with the byte; [0]: a user-defined one does */
} td_special;

typedef struct td_special_match {
    size_t at, n; /* bytes of the text; n is 0 if there is no match, and at its end */
    int32_t id;
} td_special_match;

/* Zeroed is empty.  Add all tokens, then finish once, then find. */
td_status td_special_add(td_special *special, td_special_entry entry, td_err *err);
void td_special_finish(td_special *special);
void td_special_clear(td_special *special);

/* The first place at or after `from` where a token begins, and the longest token there. */
td_special_match td_special_find(const td_special *special, const char *text, size_t n_text,
                                 size_t from, bool with_control);

/* Bytes of the longest token that the text begins with; 0: none. */
size_t td_special_prefix(const td_special *special, const char *text, size_t n_text);

#endif
