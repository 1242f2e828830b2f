/* charsmap.c - see charsmap.h.  The map is a file's: every step is checked. */
#include "text/charsmap.h"

#include <string.h>

static uint32_t number_at(const char *p) {
    uint8_t b[4];
    memcpy(b, p, 4);
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

td_status td_charsmap_init(td_charsmap *map, td_text blob, const char *name, td_err *err) {
    *map = (td_charsmap){0};
    if (blob.n == 0) return TD_OK;
    const uint32_t n_trie = blob.n >= 4 ? number_at(blob.text) : UINT32_MAX;
    if (blob.n < 4 || n_trie > blob.n - 4 || n_trie % 4 != 0)
        return td_fail(err, TD_ERR_FORMAT,
                       "%s: the map of characters has %u bytes, too few for its trie", name,
                       (unsigned)blob.n);
    map->units = blob.text + 4;
    map->n_unit = n_trie / 4;
    map->texts = map->units + n_trie;
    map->n_text = blob.n - 4 - n_trie;
    return TD_OK;
}

/* The fields of a unit, by the published layout of Darts-clone. */
static uint32_t offset_of(uint32_t unit) { return unit >> 10 << ((unit & 0x200u) >> 6); }
static uint32_t label_of(uint32_t unit) { return unit & 0x800000FFu; }
static bool has_leaf(uint32_t unit) { return unit & 0x100u; }

const char *td_charsmap_find(const td_charsmap *map, const char *s, size_t n, bool longest,
                             size_t *n_taken) {
    const char *found = NULL;
    if (map->n_unit == 0) return NULL;
    uint32_t at = offset_of(number_at(map->units));
    for (size_t i = 0; i < n; i++) {
        const uint8_t c = (uint8_t)s[i];
        at ^= c;
        if (at >= map->n_unit) break;
        const uint32_t unit = number_at(map->units + 4 * (size_t)at);
        if (label_of(unit) != c) break;
        at ^= offset_of(unit);
        if (!has_leaf(unit)) continue;
        if (at >= map->n_unit) break;
        const uint32_t text = number_at(map->units + 4 * (size_t)at) & 0x7FFFFFFFu;
        if (text >= map->n_text || !memchr(map->texts + text, 0, map->n_text - text)) continue;
        found = map->texts + text;
        *n_taken = i + 1;
        if (!longest) break;
    }
    return found;
}
