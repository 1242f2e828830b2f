/* rules_strings.c - a hash table from strings to numbers; see rules_int.h. */
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "plan/rules_int.h"

static uint64_t hash_text(const char *text, size_t n) {
    td_hash h;
    td_hash_init(&h);
    td_hash_add(&h, text, n);
    return td_hash_result(&h);
}

/* The slot that holds the string, or the free one where it belongs. */
static size_t find_slot(const td_strings *s, const char *text, size_t n) {
    size_t i = (size_t)hash_text(text, n) & (s->n_slot - 1);
    while (s->slots[i] >= 0) {
        const int at = s->slots[i];
        if (s->lengths[at] == n && memcmp(s->texts[at], text, n) == 0) break;
        i = (i + 1) & (s->n_slot - 1);
    }
    return i;
}

static td_status grow_slots(td_strings *s, td_err *err) {
    size_t n_slot, bytes;
    TD_TRY(td_mul_size(&n_slot, s->n_slot > 0 ? s->n_slot : 32, 2, "a table of names", err));
    TD_TRY(td_mul_size(&bytes, n_slot, sizeof *s->slots, "a table of names", err));
    int *slots = td_malloc(bytes);
    if (!slots) return td_fail_nomem(err, "a table of names", bytes);
    for (size_t i = 0; i < n_slot; i++) slots[i] = -1;
    td_free(s->slots);
    s->slots = slots;
    s->n_slot = n_slot;
    for (size_t i = 0; i < s->n; i++) slots[find_slot(s, s->texts[i], s->lengths[i])] = (int)i;
    return TD_OK;
}

int td_strings_find(const td_strings *s, const char *text, size_t n) {
    return s->n_slot > 0 ? s->slots[find_slot(s, text, n)] : -1;
}

td_status td_strings_add(td_strings *s, const char *text, size_t n, int *i, td_err *err) {
    *i = td_strings_find(s, text, n);
    if (*i >= 0) return TD_OK;
    if (2 * (s->n + 1) > s->n_slot) TD_TRY(grow_slots(s, err));
    TD_TRY(td_grow((void **)&s->texts, &s->cap_text, s->n + 1, sizeof *s->texts, "names", err));
    TD_TRY(
        td_grow((void **)&s->lengths, &s->cap_length, s->n + 1, sizeof *s->lengths, "names", err));
    *i = (int)s->n;
    s->texts[s->n] = text;
    s->lengths[s->n++] = n;
    s->slots[find_slot(s, text, n)] = *i;
    return TD_OK;
}

void td_strings_clear(td_strings *s) {
    td_free(s->texts);
    td_free(s->lengths);
    td_free(s->slots);
    *s = (td_strings){0};
}
