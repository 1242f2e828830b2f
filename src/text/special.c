/* special.c - see special.h. */
#include "text/special.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

td_status td_special_add(td_special *special, td_special_entry entry, td_err *err) {
    TD_TRY(td_grow((void **)&special->entries, &special->cap_entry, special->n_entry + 1,
                   sizeof *special->entries, "the special tokens", err));
    special->entries[special->n_entry++] = entry;
    return TD_OK;
}

static int by_text(const void *a, const void *b) {
    const td_special_entry *x = a, *y = b;
    const int order = memcmp(x->text, y->text, x->n < y->n ? x->n : y->n);
    if (order) return order;
    if (x->n != y->n) return x->n < y->n ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

/* Of entries with equal text keeps the first user-defined and the first control one: a vocabulary
 * full of copies must not make every match walk through them. */
static void drop_copies(td_special *special) {
    td_special_entry *entries = special->entries;
    size_t n = 0, group = 0;
    for (size_t i = 0; i < special->n_entry; i++) {
        const td_special_entry e = entries[i];
        if (n && (entries[n - 1].n != e.n || memcmp(entries[n - 1].text, e.text, e.n) != 0))
            group = n;
        bool copy = false;
        for (size_t j = group; j < n; j++) copy |= entries[j].control == e.control;
        if (!copy) entries[n++] = e;
    }
    special->n_entry = n;
}

void td_special_finish(td_special *special) {
    if (special->n_entry)
        qsort(special->entries, special->n_entry, sizeof *special->entries, by_text);
    drop_copies(special);
    size_t i = 0;
    for (int c = 0; c < 256; c++) {
        special->first[c] = i;
        for (; i < special->n_entry && (uint8_t)special->entries[i].text[0] == c; i++) {
            special->starts[1][c] = true;
            if (!special->entries[i].control) special->starts[0][c] = true;
        }
    }
    special->first[256] = i;
}

void td_special_clear(td_special *special) {
    td_free(special->entries);
    *special = (td_special){0};
}

/* The first entry of [low, high), which agree in `depth` bytes and are all longer than that, whose
 * next byte is at least c. */
static size_t lower_bound(const td_special *special, size_t low, size_t high, size_t depth,
                          unsigned c) {
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        if ((uint8_t)special->entries[mid].text[depth] < c)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* The longest entry that text[0..n_text) begins with, or NULL. */
static const td_special_entry *longest_at(const td_special *special, const char *text,
                                          size_t n_text, bool with_control) {
    const td_special_entry *best = NULL;
    size_t low = special->first[(uint8_t)text[0]], high = special->first[(uint8_t)text[0] + 1];
    for (size_t depth = 1; low < high; depth++) {
        /* Entries that end here sort before those that go on; the lowest id comes first. */
        const td_special_entry *longer = NULL;
        for (; low < high && special->entries[low].n == depth; low++)
            if (!longer && (with_control || !special->entries[low].control))
                longer = &special->entries[low];
        if (longer) best = longer;
        if (depth == n_text) break;
        const unsigned c = (uint8_t)text[depth];
        low = lower_bound(special, low, high, depth, c);
        high = lower_bound(special, low, high, depth, c + 1);
    }
    return best;
}

td_special_match td_special_find(const td_special *special, const char *text, size_t n_text,
                                 size_t from, bool with_control) {
    const bool *starts = special->starts[with_control];
    if (special->n_entry == 0) from = n_text;
    for (size_t at = from; at < n_text; at++) {
        if (!starts[(uint8_t)text[at]]) continue;
        const td_special_entry *e = longest_at(special, text + at, n_text - at, with_control);
        if (e) return (td_special_match){at, e->n, e->id};
    }
    return (td_special_match){n_text, 0, -1};
}

size_t td_special_prefix(const td_special *special, const char *text, size_t n_text) {
    if (special->n_entry == 0 || n_text == 0 || !special->starts[1][(uint8_t)*text]) return 0;
    const td_special_entry *e = longest_at(special, text, n_text, true);
    return e ? e->n : 0;
}
