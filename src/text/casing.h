/* casing.h - letters whose upper case is several letters, or another one in titles, and what stands
 * inside words. */
#ifndef TD_TEXT_CASING_H
#define TD_TEXT_CASING_H

#include <stdbool.h>
#include <stdint.h>

typedef struct td_casing {
    uint32_t c;
    const char *upper, *title; /* UTF-8; title: as the first letter of a word */
} td_casing;

/* NULL: c is written in upper case with one letter, in titles too. */
const td_casing *td_casing_find(uint32_t c);

/* Unicode's Case_Ignorable: a sigma before "'s" is not the last of its word. */
bool td_casing_is_ignorable(uint32_t c);

#endif
