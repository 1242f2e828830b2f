/* token_map.h - from the bytes of a token to its id: a hash table over strings that live elsewhere.
 *
 * Built once, then read by any number of threads. */
#ifndef TD_TEXT_TOKEN_MAP_H
#define TD_TEXT_TOKEN_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct td_token_map_slot {
    const char *text; /* borrowed; NULL: the slot is free */
    uint32_t n;       /* bytes */
    uint32_t hash;
    int32_t id;
} td_token_map_slot;

typedef struct td_token_map {
    td_token_map_slot *slots; /* owned; [n_slot], a power of two, at most half full */
    size_t n_slot;
    uint32_t n_max; /* bytes of the longest string: longer ones need no look-up */
} td_token_map;

/* Room for n strings. */
td_status td_token_map_init(td_token_map *map, size_t n, td_err *err);
void td_token_map_clear(td_token_map *map); /* zeroed is fine */

/* At most as many as init was told.  Of equal strings the one added last counts. */
void td_token_map_add(td_token_map *map, const char *text, uint32_t n, int32_t id);

/* -1: no such string. */
int32_t td_token_map_find(const td_token_map *map, const char *text, size_t n);

#endif
