/* charsmap.h - SentencePiece's compiled table of replacements: a double-array trie over UTF-8 and
 * the texts its values point to. */
#ifndef TD_TEXT_CHARSMAP_H
#define TD_TEXT_CHARSMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "text/pipeline.h"

typedef struct td_charsmap {
    const char *units; /* borrowed; [n_unit] little-endian 32-bit numbers, unaligned */
    size_t n_unit;
    const char *texts; /* borrowed; [n_text] bytes, each text ended by NUL */
    size_t n_text;
} td_charsmap;

/* Takes a map apart; it may be empty and then replaces nothing.  `name` is for messages. */
td_status td_charsmap_init(td_charsmap *map, td_text blob, const char *name, td_err *err);

/* The replacement for the longest (else: the shortest) entry that s begins with, and its length in
 * *n_taken; NULL: there is none. */
const char *td_charsmap_find(const td_charsmap *map, const char *s, size_t n, bool longest,
                             size_t *n_taken);

#endif
