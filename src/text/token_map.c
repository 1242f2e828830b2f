/* token_map.c - see token_map.h: open addressing with linear probing. */
#include "text/token_map.h"

#include <string.h>

#include "base/alloc.h"

/* Eight bytes a round, mixed by multiplication; tokens are short, so set-up is what costs. */
static uint32_t hash_of(const char *text, size_t n) {
    uint64_t h = n * 0x9E3779B97F4A7C15u;
    for (; n >= 8; text += 8, n -= 8) {
        uint64_t word;
        memcpy(&word, text, 8);
        h = (h ^ word) * 0xFF51AFD7ED558CCDu;
        h ^= h >> 32;
    }
    uint64_t word = 0;
    for (size_t i = 0; i < n; i++) word = word << 8 | (uint8_t)text[i];
    h = (h ^ word) * 0xC4CEB9FE1A85EC53u;
    return (uint32_t)(h >> 32 ^ h >> 7);
}

td_status td_token_map_init(td_token_map *map, size_t n, td_err *err) {
    *map = (td_token_map){0};
    size_t n_slot = 16;
    while (n_slot / 2 < n) TD_TRY(td_mul_size(&n_slot, n_slot, 2, "the map of tokens", err));
    map->slots = td_calloc(n_slot, sizeof *map->slots);
    if (!map->slots) return td_fail_nomem(err, "the map of tokens", n_slot * sizeof *map->slots);
    map->n_slot = n_slot;
    return TD_OK;
}

void td_token_map_clear(td_token_map *map) {
    td_free(map->slots);
    *map = (td_token_map){0};
}

/* The slot that holds the string, or the free one where it belongs. */
static td_token_map_slot *slot_of(const td_token_map *map, const char *text, size_t n,
                                  uint32_t hash) {
    const size_t mask = map->n_slot - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        td_token_map_slot *slot = &map->slots[i];
        if (!slot->text) return slot;
        if (slot->hash == hash && slot->n == n && memcmp(slot->text, text, n) == 0) return slot;
    }
}

void td_token_map_add(td_token_map *map, const char *text, uint32_t n, int32_t id) {
    const uint32_t hash = hash_of(text, n);
    *slot_of(map, text, n, hash) = (td_token_map_slot){text, n, hash, id};
    if (n > map->n_max) map->n_max = n;
}

int32_t td_token_map_find(const td_token_map *map, const char *text, size_t n) {
    if (n > map->n_max) return -1;
    const td_token_map_slot *slot = slot_of(map, text, n, hash_of(text, n));
    return slot->text ? slot->id : -1;
}
