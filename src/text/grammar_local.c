/* grammar_local.c - matching inside one rule.
 *
 * A state is a set of places; where a byte leads is found once and kept.  Counted loops keep their
 * count in the place, so that a state per count comes to be only as far as a match gets.  Two rules
 * keep sets finite: a turn of a loop that takes no byte is not counted, and a call takes at least
 * one byte (grammar_compile.c leads around rules that can be empty). */
#include <stdlib.h>
#include <string.h>

#include "text/grammar_int.h"

enum { FEW = 16 }; /* sets up to here are searched from front to back */

/* ---- sets ---- */

void td_glocal_begin(td_matcher *m) {
    td_gset *s = m->set;
    if (s->n > FEW) memset(s->slots, 0, sizeof s->slots);
    s->n = s->n_done = 0;
}

static uint32_t hash_item(td_gitem i, bool fresh) {
    return td_ghash(td_ghash(td_ghash(fresh, i.pos), i.sub), i.count);
}

static bool same_item(td_gitem a, td_gitem b) {
    return a.pos == b.pos && a.sub == b.sub && a.count == b.count;
}

static void put_slot(td_gset *s, size_t i) {
    uint32_t at = hash_item(s->items[i], s->fresh[i]) % (4 * TD_GM_SET);
    while (s->slots[at]) at = (at + 1) % (4 * TD_GM_SET);
    s->slots[at] = (uint32_t)i + 1;
}

static bool has_item(const td_gset *s, td_gitem item, bool fresh) {
    if (s->n <= FEW) {
        for (size_t i = 0; i < s->n; i++)
            if (same_item(s->items[i], item) && s->fresh[i] == fresh) return true;
        return false;
    }
    uint32_t at = hash_item(item, fresh) % (4 * TD_GM_SET);
    for (; s->slots[at]; at = (at + 1) % (4 * TD_GM_SET)) {
        const uint32_t i = s->slots[at] - 1;
        if (same_item(s->items[i], item) && s->fresh[i] == fresh) return true;
    }
    return false;
}

static void put_item(td_matcher *m, td_gitem item, bool fresh) {
    td_gset *s = m->set;
    if (has_item(s, item, fresh)) return;
    if (s->n == TD_GM_SET) {
        m->trouble = TD_GTROUBLE_LIMIT;
        return;
    }
    s->items[s->n] = item;
    s->fresh[s->n++] = fresh;
    if (s->n > FEW + 1)
        put_slot(s, s->n - 1);
    else if (s->n == FEW + 1)
        for (size_t i = 0; i < s->n; i++) put_slot(s, i);
}

static void end_turn(td_matcher *m, uint32_t number, uint32_t count) {
    const td_gloop *l = &m->g->loops[number];
    uint32_t done = count + 1;
    if (l->max == TD_GRAMMAR_INF && done > l->min) done = l->min; /* more does not matter */
    if (l->max == TD_GRAMMAR_INF || done < l->max)
        put_item(m, (td_gitem){.pos = l->start, .count = done}, true);
    if (done >= l->min) put_item(m, (td_gitem){.pos = l->exit}, false);
}

void td_glocal_add(td_matcher *m, td_gitem item, bool fresh) {
    td_gset *s = m->set;
    put_item(m, item, fresh);
    /* The set is its own list of what is left to do. */
    for (; s->n_done < s->n && !m->trouble; s->n_done++) {
        const td_gitem at = s->items[s->n_done];
        const bool is_fresh = s->fresh[s->n_done];
        const td_gpos *p = &m->g->pos[at.pos];
        switch (p->kind) {
        case TD_GPOS_SPLIT:
            put_item(m, (td_gitem){.pos = p->next, .count = at.count}, is_fresh);
            put_item(m, (td_gitem){.pos = p->a, .count = at.count}, is_fresh);
            break;
        case TD_GPOS_ENTER:
            put_item(m, (td_gitem){.pos = m->g->loops[p->a].start}, true);
            if (m->g->loops[p->a].min == 0)
                put_item(m, (td_gitem){.pos = m->g->loops[p->a].exit}, false);
            break;
        case TD_GPOS_LOOP:
            if (!is_fresh) end_turn(m, p->a, at.count);
            break;
        default: break;
        }
    }
}

/* ---- states ---- */

static int by_place(const void *a, const void *b) {
    const td_gitem *x = a, *y = b;
    if (x->pos != y->pos) return x->pos < y->pos ? -1 : 1;
    if (x->sub != y->sub) return x->sub < y->sub ? -1 : 1;
    return x->count < y->count ? -1 : x->count > y->count;
}

/* Leaves what takes something or ends, sorted, once each; returns how many. */
static size_t tidy(td_matcher *m, bool without_accept) {
    td_gset *s = m->set;
    size_t n = 0;
    if (s->n > FEW) memset(s->slots, 0, sizeof s->slots);
    for (size_t i = 0; i < s->n; i++) {
        const uint8_t kind = m->g->pos[s->items[i].pos].kind;
        if (kind == TD_GPOS_SPLIT || kind == TD_GPOS_ENTER || kind == TD_GPOS_LOOP) continue;
        if (kind == TD_GPOS_ACCEPT && without_accept) continue;
        s->items[n++] = s->items[i];
    }
    s->n = s->n_done = 0;
    if (n > 1) qsort(s->items, n, sizeof *s->items, by_place);
    size_t out = 0;
    for (size_t i = 0; i < n; i++)
        if (out == 0 || !same_item(s->items[out - 1], s->items[i])) s->items[out++] = s->items[i];
    return out;
}

/* How often in a row a class can be taken; how: its field wide or lower. */
static uint8_t turns_of(const td_matcher *m, td_gitem item, const td_gpos *p, uint8_t how) {
    if (p->kind != TD_GPOS_CLASS || how == 0 || item.sub != 0) return 0;
    if (how == 1) return TD_GM_WIDE;
    const td_gloop *l = &m->g->loops[p->loop];
    const uint32_t left = l->max - item.count;
    return l->max == TD_GRAMMAR_INF || left > TD_GM_WIDE ? TD_GM_WIDE : (uint8_t)left;
}

static void describe(td_matcher *m, td_glocal *l) {
    for (uint32_t i = 0; i < l->n_item; i++) {
        const td_gitem item = m->items[l->items_at + i];
        const td_gpos *p = &m->g->pos[item.pos];
        l->accepts |= p->kind == TD_GPOS_ACCEPT;
        l->has_bytes |= p->kind == TD_GPOS_TEXT || p->kind == TD_GPOS_CLASS;
        l->has_tokens |= p->kind == TD_GPOS_TOKEN;
        l->has_calls |= p->kind == TD_GPOS_CALL;
        const uint8_t wide = turns_of(m, item, p, p->wide);
        const uint8_t lower = turns_of(m, item, p, p->lower);
        if (wide > l->wide) l->wide = wide;
        if (lower > l->lower) l->lower = lower;
    }
}

uint32_t td_glocal_finish(td_matcher *m, bool without_accept) {
    const size_t n = tidy(m, without_accept);
    const td_gitem *items = m->set->items;
    if (m->trouble) return TD_GM_UNKNOWN;
    if (n == 0) return 0;
    uint32_t h = (uint32_t)n;
    for (size_t i = 0; i < n; i++) h = td_ghash(h, hash_item(items[i], false));
    uint32_t *head = &m->local_heads[h % TD_GM_HASH];
    for (uint32_t i = *head; i; i = m->locals[i].chain)
        if (m->locals[i].n_item == n &&
            memcmp(m->items + m->locals[i].items_at, items, n * sizeof *items) == 0)
            return i;
    if (m->n_local == TD_GM_LOCALS || n > TD_GM_ITEMS - m->n_items) {
        m->trouble = TD_GTROUBLE_FULL;
        return TD_GM_UNKNOWN;
    }
    const uint32_t number = (uint32_t)m->n_local++;
    memcpy(m->items + m->n_items, items, n * sizeof *items);
    td_glocal *l = &m->locals[number];
    *l = (td_glocal){.items_at = (uint32_t)m->n_items,
                     .n_item = (uint32_t)n,
                     .n_call = TD_GM_UNKNOWN,
                     .canon = TD_GM_UNKNOWN,
                     .chain = *head};
    m->n_items += n;
    *head = number;
    describe(m, l);
    memset(m->local_steps + (size_t)number * (size_t)m->g->n_class, 0xFF,
           (size_t)m->g->n_class * sizeof *m->local_steps);
    return number;
}

/* ---- what follows ---- */

uint32_t td_glocal_step(td_matcher *m, uint32_t local, int byte_class) {
    uint32_t *to = &m->local_steps[(size_t)local * (size_t)m->g->n_class + (size_t)byte_class];
    if (*to != TD_GM_UNKNOWN) return *to;
    const td_grammar *g = m->g;
    const uint8_t byte = g->class_byte[byte_class];
    const td_glocal *l = &m->locals[local];
    td_glocal_begin(m);
    for (uint32_t i = 0; i < l->n_item && !m->trouble; i++) {
        const td_gitem item = m->items[l->items_at + i];
        const td_gpos *p = &g->pos[item.pos];
        uint32_t sub = 0;
        if (p->kind == TD_GPOS_TEXT) {
            if ((uint8_t)g->text[p->a + item.sub] != byte) continue;
            sub = item.sub + 1 < p->b ? item.sub + 1 : 0;
        } else if (p->kind == TD_GPOS_CLASS) {
            const uint16_t entry = g->classes.rows[item.sub ? item.sub - 1 : p->a][byte];
            if (entry == TD_CLASS_DEAD) continue;
            sub = entry == TD_CLASS_DONE ? 0 : entry;
        } else {
            continue;
        }
        if (sub)
            td_glocal_add(m, (td_gitem){item.pos, sub, item.count}, false);
        else
            td_glocal_add(m, (td_gitem){.pos = p->next, .count = item.count}, false);
    }
    return *to = td_glocal_finish(m, false);
}

uint32_t td_glocal_token(td_matcher *m, uint32_t local, int32_t token) {
    const td_glocal *l = &m->locals[local];
    td_glocal_begin(m);
    for (uint32_t i = 0; i < l->n_item && !m->trouble; i++) {
        const td_gitem item = m->items[l->items_at + i];
        const td_gpos *p = &m->g->pos[item.pos];
        if (p->kind != TD_GPOS_TOKEN) continue;
        const bool has_text = m->trie->text_mask[token / 32] >> (token % 32) & 1;
        if (p->b ? has_text && (uint32_t)token != p->a : (uint32_t)token == p->a)
            td_glocal_add(m, (td_gitem){.pos = p->next, .count = item.count}, false);
    }
    return td_glocal_finish(m, false);
}

uint32_t td_glocal_start(td_matcher *m, uint32_t rule) {
    if (m->starts[rule] != TD_GM_UNKNOWN) return m->starts[rule];
    td_glocal_begin(m);
    td_glocal_add(m, (td_gitem){.pos = m->g->starts[rule]}, false);
    return m->starts[rule] = td_glocal_finish(m, true);
}

/* A count that no token can bring to either end of its loop stands for all such counts. */
static uint32_t canon_count(const td_matcher *m, td_gitem item) {
    const td_gpos *p = &m->g->pos[item.pos];
    if (p->loop == UINT32_MAX) return item.count;
    const td_gloop *l = &m->g->loops[p->loop];
    const uint32_t far = m->trie ? (uint32_t)m->trie->longest + 1 : 1;
    if (l->max != TD_GRAMMAR_INF && l->max - item.count <= far) return item.count;
    if (item.count >= l->min) return l->min;
    return l->min - item.count > far ? 0 : item.count;
}

uint32_t td_glocal_canon(td_matcher *m, uint32_t local) {
    td_glocal *l = &m->locals[local];
    if (l->canon != TD_GM_UNKNOWN) return l->canon;
    if (m->g->n_loop == 0) return l->canon = local;
    td_glocal_begin(m);
    for (uint32_t i = 0; i < l->n_item; i++) {
        td_gitem item = m->items[l->items_at + i];
        item.count = canon_count(m, item);
        put_item(m, item, false);
    }
    return l->canon = td_glocal_finish(m, false);
}

void td_glocal_find_calls(td_matcher *m, uint32_t local) {
    td_glocal *l = &m->locals[local];
    if (l->n_call != TD_GM_UNKNOWN) return;
    const uint32_t calls_at = (uint32_t)m->n_calls;
    uint32_t n_call = 0;
    for (uint32_t i = 0; i < l->n_item && !m->trouble; i++) {
        const td_gpos *p = &m->g->pos[m->items[l->items_at + i].pos];
        if (p->kind != TD_GPOS_CALL) continue;
        bool seen = false;
        for (uint32_t j = 0; j < n_call && !seen; j++) seen = m->calls[calls_at + j].rule == p->a;
        if (seen) continue;
        if (m->n_calls == TD_GM_CALLS) {
            m->trouble = TD_GTROUBLE_FULL;
            return;
        }
        td_glocal_begin(m);
        for (uint32_t j = i; j < l->n_item && !m->trouble; j++) {
            const td_gitem item = m->items[l->items_at + j];
            const td_gpos *q = &m->g->pos[item.pos];
            if (q->kind == TD_GPOS_CALL && q->a == p->a)
                td_glocal_add(m, (td_gitem){.pos = q->next, .count = item.count}, false);
        }
        m->calls[m->n_calls++] = (td_gcall){p->a, td_glocal_finish(m, false)};
        n_call++;
    }
    if (m->trouble) {
        m->n_calls = calls_at;
        return;
    }
    l->calls_at = calls_at;
    l->n_call = n_call;
}
