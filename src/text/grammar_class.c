/* grammar_class.c - a set of characters as an automaton over their UTF-8 bytes.
 *
 * A row has an entry for each byte.  The first row of a class decides on the first byte; the rows
 * behind it on continuation bytes.  Rows of equal content are one row, so that the ends of long
 * ranges are shared. */
#include <string.h>

#include "base/alloc.h"
#include "text/grammar_int.h"

enum { MAX_ROWS = 8192 };

/* ---- plain characters ---- */

bool td_char_is_plain(uint32_t c) { return c >= 0x20 && c != 0x22 && c != 0x5C && c != 0x7F; }

bool td_char_ranges_hold_plain(const td_char_range *r, size_t n) {
    static const td_char_range plain[] = {
        {0x20,   0x21    },
        {0x23,   0x5B    },
        {0x5D,   0x7E    },
        {0x80,   0xD7FF  },
        {0xE000, 0x10FFFF}
    };
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        size_t j = 0;
        while (j < n && (r[j].lo > plain[i].lo || r[j].hi < plain[i].hi)) j++;
        if (j == n) return false;
    }
    return true;
}

bool td_char_ranges_hold_lower(const td_char_range *r, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (r[i].lo <= 'a' && r[i].hi >= 'z') return true;
    return false;
}

/* ---- rows ---- */

typedef struct builder {
    td_gclasses *c;
    const td_char_range *ranges;
    size_t n_range;
    size_t first_row; /* of this class: only its own rows are shared */
    td_err *err;
} builder;

/* The number of a row of this content, counted from 1. */
static td_status add_row(builder *b, const uint16_t row[256], bool share, uint16_t *entry) {
    td_gclasses *c = b->c;
    for (size_t i = b->first_row; share && i < c->n_row; i++)
        if (memcmp(c->rows[i], row, sizeof c->rows[i]) == 0) {
            *entry = (uint16_t)(i + 1);
            return TD_OK;
        }
    if (c->n_row >= MAX_ROWS)
        return td_fail(b->err, TD_ERR_LIMIT,
                       "the grammar's character classes are too many, wanted at most %d rows",
                       MAX_ROWS);
    void *rows = c->rows;
    TD_TRY(td_grow(&rows, &c->cap_row, c->n_row + 1, sizeof *c->rows, "the character classes",
                   b->err));
    c->rows = rows;
    memcpy(c->rows[c->n_row++], row, sizeof *c->rows);
    *entry = (uint16_t)c->n_row;
    return TD_OK;
}

/* Whether [lo, hi] lies in the ranges: 0 not at all, 1 in part, 2 whole. */
static int overlap(const builder *b, uint32_t lo, uint32_t hi) {
    for (size_t i = 0; i < b->n_range; i++) {
        const td_char_range r = b->ranges[i];
        if (r.lo <= lo && r.hi >= hi) return 2;
        if (r.lo <= hi && r.hi >= lo) return 1;
    }
    return 0;
}

/* What n_more continuation bytes must be, for the characters from `base` on: entry of a row, DEAD
 * or, for none, DONE.  Valid characters only: [least, most]. */
static td_status tail(builder *b, uint32_t base, int n_more, uint32_t least, uint32_t most,
                      uint16_t *entry) {
    const uint32_t last = base + (1u << (6 * n_more)) - 1;
    *entry = TD_CLASS_DEAD;
    const uint32_t lo = base < least ? least : base, hi = last > most ? most : last;
    if (lo > hi || overlap(b, lo, hi) == 0) return TD_OK;
    if (n_more == 0) {
        *entry = TD_CLASS_DONE;
        return TD_OK;
    }
    uint16_t row[256] = {0};
    const uint32_t step = 1u << (6 * (n_more - 1));
    uint16_t same = 0; /* for parts that are whole */
    bool any = false;
    for (uint32_t i = 0; i < 64; i++) {
        const uint32_t from = base + i * step, to = from + step - 1;
        const bool whole = from >= least && to <= most && overlap(b, from, to) == 2;
        if (whole && same) {
            row[0x80 + i] = same;
            continue;
        }
        TD_TRY(tail(b, from, n_more - 1, least, most, &row[0x80 + i]));
        if (whole) same = row[0x80 + i];
        any |= row[0x80 + i] != TD_CLASS_DEAD;
    }
    return any || same ? add_row(b, row, true, entry) : TD_OK;
}

td_status td_gclasses_add(td_gclasses *c, const td_char_range *ranges, size_t n, uint32_t *row,
                          td_err *err) {
    builder b = {.c = c, .ranges = ranges, .n_range = n, .first_row = c->n_row, .err = err};
    uint16_t first[256] = {0};
    uint16_t whole[4] = {0};
    for (uint32_t byte = 0; byte < 0x80; byte++)
        if (overlap(&b, byte, byte)) first[byte] = TD_CLASS_DONE;
    static const struct {
        uint32_t lead_lo, lead_hi, mask, least, most;
        int n_more;
    } forms[] = {
        {0xC2, 0xDF, 0x1F, 0x80,    0x7FF,    1},
        {0xE0, 0xEF, 0x0F, 0x800,   0xFFFF,   2},
        {0xF0, 0xF4, 0x07, 0x10000, 0x10FFFF, 3},
    };
    for (size_t f = 0; f < sizeof forms / sizeof *forms; f++)
        for (uint32_t byte = forms[f].lead_lo; byte <= forms[f].lead_hi; byte++) {
            const int n_more = forms[f].n_more;
            const uint32_t base = (byte & forms[f].mask) << (6 * n_more);
            const uint32_t last = base + (1u << (6 * n_more)) - 1;
            const bool is_whole =
                base >= forms[f].least && last <= forms[f].most && overlap(&b, base, last) == 2;
            if (is_whole && whole[n_more]) {
                first[byte] = whole[n_more];
                continue;
            }
            TD_TRY(tail(&b, base, n_more, forms[f].least, forms[f].most, &first[byte]));
            if (is_whole) whole[n_more] = first[byte];
        }
    uint16_t entry;
    TD_TRY(add_row(&b, first, false, &entry));
    *row = entry - 1u;
    return TD_OK;
}
