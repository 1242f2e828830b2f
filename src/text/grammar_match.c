/* grammar_match.c - matching across rules.
 *
 * A thread is a state inside a rule and a stack of states to return to; a configuration is the set
 * of threads a text can have led to.  Stacks share their lower parts, and both stacks and
 * configurations of equal content are one, so that where a byte leads is found once.  When a pool
 * is full all but the present configuration is forgotten, and found again as it is needed. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "text/grammar_int.h"

enum { FEW = 16 }; /* sets up to here are searched from front to back */

/* ---- stacks ---- */

static uint32_t push(td_matcher *m, uint32_t ret, uint32_t parent) {
    uint32_t *head = &m->stack_heads[td_ghash(td_ghash(1, ret), parent) % TD_GM_HASH];
    for (uint32_t i = *head; i; i = m->stacks[i].chain)
        if (m->stacks[i].ret == ret && m->stacks[i].parent == parent) return i;
    if (m->n_stack == TD_GM_STACKS) {
        m->trouble = TD_GTROUBLE_FULL;
        return 0;
    }
    const uint32_t number = (uint32_t)m->n_stack++;
    m->stacks[number] = (td_gstack){.ret = ret, .parent = parent, .chain = *head, .canon = number};
    *head = number;
    return number;
}

/* Its parents have theirs already. */
static void set_canon(td_matcher *m, uint32_t stack) {
    if (m->g->n_loop == 0 || m->trouble) return;
    const uint32_t ret = td_glocal_canon(m, m->stacks[stack].ret);
    const uint32_t parent = m->stacks[m->stacks[stack].parent].canon;
    if (m->trouble || (ret == m->stacks[stack].ret && parent == m->stacks[stack].parent)) return;
    m->stacks[stack].canon = push(m, ret, parent);
}

static uint32_t push_return(td_matcher *m, uint32_t ret, uint32_t parent) {
    const td_glocal *l = &m->locals[ret];
    /* A call that is the last thing in its rule leaves nothing to return to. */
    if (l->accepts && !l->has_bytes && !l->has_tokens && !l->has_calls) return parent;
    const size_t before = m->n_stack;
    const uint32_t stack = push(m, ret, parent);
    if (m->n_stack > before) set_canon(m, stack);
    return stack;
}

/* ---- configurations ---- */

static void work_begin(td_matcher *m) {
    if (m->n_work > FEW) memset(m->work_slots, 0, 4 * TD_GM_SET * sizeof *m->work_slots);
    m->n_work = 0;
    m->work_can_end = false;
}

static void put_slot(td_matcher *m, size_t i) {
    uint32_t at = td_ghash(td_ghash(2, m->work[i].local), m->work[i].stack) % (4 * TD_GM_SET);
    while (m->work_slots[at]) at = (at + 1) % (4 * TD_GM_SET);
    m->work_slots[at] = (uint32_t)i + 1;
}

static bool has_thread(const td_matcher *m, td_gthread t) {
    if (m->n_work <= FEW) {
        for (size_t i = 0; i < m->n_work; i++)
            if (m->work[i].local == t.local && m->work[i].stack == t.stack) return true;
        return false;
    }
    uint32_t at = td_ghash(td_ghash(2, t.local), t.stack) % (4 * TD_GM_SET);
    for (; m->work_slots[at]; at = (at + 1) % (4 * TD_GM_SET)) {
        const td_gthread other = m->work[m->work_slots[at] - 1];
        if (other.local == t.local && other.stack == t.stack) return true;
    }
    return false;
}

static void put_thread(td_matcher *m, uint32_t local, uint32_t stack) {
    const td_gthread t = {local, stack};
    if (m->trouble || local == 0 || has_thread(m, t)) return;
    if (m->n_work == TD_GM_SET || m->steps == 0) {
        m->trouble = TD_GTROUBLE_LIMIT;
        return;
    }
    m->steps--;
    m->work[m->n_work++] = t;
    if (m->n_work > FEW + 1)
        put_slot(m, m->n_work - 1);
    else if (m->n_work == FEW + 1)
        for (size_t i = 0; i < m->n_work; i++) put_slot(m, i);
}

/* Adds a thread and those it turns into without a byte: into the rules it calls, and back out of
 * its own where that can end. */
static void work_add(td_matcher *m, uint32_t local, uint32_t stack) {
    size_t done = m->n_work;
    put_thread(m, local, stack);
    for (; done < m->n_work && !m->trouble; done++) {
        const td_gthread t = m->work[done];
        if (m->locals[t.local].accepts) {
            if (t.stack == 0)
                m->work_can_end = true;
            else
                put_thread(m, m->stacks[t.stack].ret, m->stacks[t.stack].parent);
        }
        if (!m->locals[t.local].has_calls) continue;
        td_glocal_find_calls(m, t.local);
        if (m->trouble) return;
        const td_glocal l = m->locals[t.local];
        for (uint32_t i = 0; i < l.n_call && !m->trouble; i++) {
            const td_gcall call = m->calls[l.calls_at + i];
            const uint32_t start = td_glocal_start(m, call.rule);
            if (m->trouble) return;
            put_thread(m, start, push_return(m, call.ret, t.stack));
        }
    }
}

static int by_thread(const void *a, const void *b) {
    const td_gthread *x = a, *y = b;
    if (x->local != y->local) return x->local < y->local ? -1 : 1;
    return x->stack < y->stack ? -1 : x->stack > y->stack;
}

static uint32_t new_config(td_matcher *m, size_t n, uint32_t *head) {
    if (m->n_config == TD_GM_CONFIGS || n > TD_GM_THREADS - m->n_threads) {
        m->trouble = TD_GTROUBLE_FULL;
        return TD_GM_UNKNOWN;
    }
    const uint32_t number = (uint32_t)m->n_config++;
    td_gconfig *c = &m->configs[number];
    *c = (td_gconfig){.threads_at = (uint32_t)m->n_threads,
                      .n_thread = (uint32_t)n,
                      .canon = TD_GM_UNKNOWN,
                      .chain = *head,
                      .slot = -1,
                      .can_end = m->work_can_end};
    *head = number;
    if (n) memcpy(m->threads + m->n_threads, m->work, n * sizeof *m->work);
    m->n_threads += n;
    for (size_t i = 0; i < n; i++) {
        const td_glocal *l = &m->locals[m->work[i].local];
        if (l->wide > c->wide) c->wide = l->wide;
        if (l->lower > c->lower) c->lower = l->lower;
        c->has_tokens |= l->has_tokens;
    }
    memset(m->config_steps + (size_t)number * (size_t)m->g->n_class, 0xFF,
           (size_t)m->g->n_class * sizeof *m->config_steps);
    return number;
}

static uint32_t work_finish(td_matcher *m) {
    size_t n = 0;
    if (m->n_work > FEW) memset(m->work_slots, 0, 4 * TD_GM_SET * sizeof *m->work_slots);
    for (size_t i = 0; i < m->n_work; i++) {
        const td_glocal *l = &m->locals[m->work[i].local];
        if (l->has_bytes || l->has_tokens) m->work[n++] = m->work[i];
    }
    m->n_work = 0;
    if (m->trouble) return TD_GM_UNKNOWN;
    if (n == 0 && !m->work_can_end) return 0;
    if (n > 1) qsort(m->work, n, sizeof *m->work, by_thread);
    uint32_t h = td_ghash((uint32_t)n, m->work_can_end);
    for (size_t i = 0; i < n; i++) h = td_ghash(td_ghash(h, m->work[i].local), m->work[i].stack);
    uint32_t *head = &m->config_heads[h % TD_GM_HASH];
    for (uint32_t i = *head; i; i = m->configs[i].chain) {
        const td_gconfig *c = &m->configs[i];
        if (c->n_thread == n && c->can_end == m->work_can_end &&
            memcmp(m->threads + c->threads_at, m->work, n * sizeof *m->work) == 0)
            return i;
    }
    return new_config(m, n, head);
}

uint32_t td_gconfig_compute(td_matcher *m, uint32_t config, int byte_class) {
    const td_gconfig c = m->configs[config];
    work_begin(m);
    for (uint32_t i = 0; i < c.n_thread && !m->trouble; i++) {
        const td_gthread t = m->threads[c.threads_at + i];
        const uint32_t to = td_glocal_step(m, t.local, byte_class);
        if (!m->trouble && to != 0) work_add(m, to, t.stack);
    }
    const uint32_t to = work_finish(m);
    m->config_steps[(size_t)config * (size_t)m->g->n_class + (size_t)byte_class] = to;
    return to;
}

uint32_t td_gconfig_token(td_matcher *m, uint32_t config, int32_t token, uint32_t by_bytes) {
    const td_gconfig c = m->configs[config], other = m->configs[by_bytes];
    work_begin(m);
    for (uint32_t i = 0; i < c.n_thread && !m->trouble; i++) {
        const td_gthread t = m->threads[c.threads_at + i];
        if (!m->locals[t.local].has_tokens) continue;
        const uint32_t to = td_glocal_token(m, t.local, token);
        if (!m->trouble && to != 0) work_add(m, to, t.stack);
    }
    for (uint32_t i = 0; i < other.n_thread && !m->trouble; i++)
        work_add(m, m->threads[other.threads_at + i].local, m->threads[other.threads_at + i].stack);
    if (other.can_end) m->work_can_end = true;
    return work_finish(m);
}

uint32_t td_gconfig_canon(td_matcher *m, uint32_t config) {
    if (m->configs[config].canon != TD_GM_UNKNOWN) return m->configs[config].canon;
    if (m->g->n_loop == 0) return m->configs[config].canon = config;
    const td_gconfig c = m->configs[config];
    work_begin(m);
    for (uint32_t i = 0; i < c.n_thread && !m->trouble; i++) {
        const td_gthread t = m->threads[c.threads_at + i];
        const uint32_t local = td_glocal_canon(m, t.local);
        if (!m->trouble) put_thread(m, local, m->stacks[t.stack].canon);
    }
    m->work_can_end = c.can_end;
    const uint32_t canon = work_finish(m);
    return m->configs[config].canon = canon;
}

uint32_t td_gconfig_initial(td_matcher *m) {
    if (m->initial != TD_GM_UNKNOWN) return m->initial;
    work_begin(m);
    const uint32_t start = td_glocal_start(m, m->g->root);
    if (!m->trouble) work_add(m, start, 0);
    m->work_can_end |= m->g->root_nullable;
    return m->initial = work_finish(m);
}

/* ---- forgetting ---- */

static void clear_pools(td_matcher *m) {
    memset(m->local_heads, 0, TD_GM_HASH * sizeof *m->local_heads);
    memset(m->stack_heads, 0, TD_GM_HASH * sizeof *m->stack_heads);
    memset(m->config_heads, 0, TD_GM_HASH * sizeof *m->config_heads);
    memset(m->starts, 0xFF, m->g->n_rule * sizeof *m->starts);
    const size_t row = (size_t)m->g->n_class * sizeof *m->config_steps;
    memset(m->local_steps, 0, row); /* from nothing comes nothing */
    memset(m->config_steps, 0, row);
    m->locals[0] = (td_glocal){0};
    m->stacks[0] = (td_gstack){0};
    m->configs[0] = (td_gconfig){.slot = -1};
    m->n_local = m->n_stack = m->n_config = 1;
    m->n_items = m->n_calls = m->n_threads = 0;
    m->initial = TD_GM_UNKNOWN;
    for (int i = 0; i < TD_GM_MASKS; i++) m->mask_owner[i] = TD_GM_UNKNOWN;
}

/* Copies out the stacks and states that the present configuration needs, in rising order, which
 * puts parents before their children.  saved_*[old] becomes 1 for each. */
static size_t save(td_matcher *m, td_gthread *threads) {
    const td_gconfig c = m->configs[m->config];
    memset(m->saved_locals, 0, TD_GM_LOCALS * sizeof *m->saved_locals);
    memset(m->saved_stacks, 0, TD_GM_STACKS * sizeof *m->saved_stacks);
    if (c.n_thread) memcpy(threads, m->threads + c.threads_at, c.n_thread * sizeof *threads);
    for (uint32_t i = 0; i < c.n_thread; i++) {
        m->saved_locals[threads[i].local] = 1;
        m->saved_stacks[threads[i].stack] = 1;
    }
    for (size_t i = m->n_stack - 1; i > 0; i--) {
        if (!m->saved_stacks[i]) continue;
        m->saved_stacks[m->stacks[i].parent] = 1;
        m->saved_locals[m->stacks[i].ret] = 1;
        m->saved_stack_nodes[i] = m->stacks[i];
    }
    size_t n_items = 0;
    for (size_t i = 1; i < m->n_local; i++) {
        if (!m->saved_locals[i]) continue;
        const td_glocal *l = &m->locals[i];
        memcpy(m->saved_items + n_items, m->items + l->items_at, l->n_item * sizeof *m->items);
        m->saved_counts[i] = l->n_item;
        n_items += l->n_item;
    }
    return c.n_thread;
}

void td_matcher_forget(td_matcher *m) {
    const size_t n_local = m->n_local, n_stack = m->n_stack;
    const bool can_end = m->configs[m->config].can_end;
    const bool dead = m->config == 0;
    td_gthread *threads = m->work; /* free between calls */
    const size_t n_thread = save(m, threads);
    clear_pools(m);
    m->trouble = TD_GTROUBLE_NONE;
    size_t at = 0;
    for (size_t i = 1; i < n_local; i++) {
        if (!m->saved_locals[i]) continue;
        td_glocal_begin(m);
        memcpy(m->set->items, m->saved_items + at, m->saved_counts[i] * sizeof *m->items);
        m->set->n = m->saved_counts[i];
        at += m->saved_counts[i];
        m->saved_locals[i] = td_glocal_finish(m, false);
    }
    m->saved_stacks[0] = 0;
    for (size_t i = 1; i < n_stack && !m->trouble; i++) {
        if (!m->saved_stacks[i]) continue;
        const td_gstack *s = &m->saved_stack_nodes[i];
        const size_t before = m->n_stack;
        m->saved_stacks[i] = push(m, m->saved_locals[s->ret], m->saved_stacks[s->parent]);
        if (m->n_stack > before) set_canon(m, m->saved_stacks[i]);
    }
    for (size_t i = 0; i < n_thread; i++) {
        threads[i].local = m->saved_locals[threads[i].local];
        threads[i].stack = m->saved_stacks[threads[i].stack];
    }
    m->n_work = n_thread;
    m->work_can_end = can_end;
    m->config = dead ? 0 : work_finish(m);
}

/* ---- the object ---- */

static td_status take(void *out, size_t n, size_t size, td_err *err) {
    void *p = td_calloc(n, size);
    if (!p) return td_fail_nomem(err, "the grammar's matcher", n * size);
    memcpy(out, &p, sizeof p);
    return TD_OK;
}

static td_status take_memory(td_matcher *m, td_err *err) {
    const size_t n_class = (size_t)m->g->n_class;
    TD_TRY(take(&m->locals, TD_GM_LOCALS, sizeof *m->locals, err));
    TD_TRY(take(&m->items, TD_GM_ITEMS, sizeof *m->items, err));
    TD_TRY(take(&m->calls, TD_GM_CALLS, sizeof *m->calls, err));
    TD_TRY(take(&m->stacks, TD_GM_STACKS, sizeof *m->stacks, err));
    TD_TRY(take(&m->configs, TD_GM_CONFIGS, sizeof *m->configs, err));
    TD_TRY(take(&m->threads, TD_GM_THREADS, sizeof *m->threads, err));
    TD_TRY(take(&m->local_steps, TD_GM_LOCALS * n_class, sizeof *m->local_steps, err));
    TD_TRY(take(&m->config_steps, TD_GM_CONFIGS * n_class, sizeof *m->config_steps, err));
    TD_TRY(take(&m->local_heads, TD_GM_HASH, sizeof *m->local_heads, err));
    TD_TRY(take(&m->stack_heads, TD_GM_HASH, sizeof *m->stack_heads, err));
    TD_TRY(take(&m->config_heads, TD_GM_HASH, sizeof *m->config_heads, err));
    TD_TRY(take(&m->starts, m->g->n_rule, sizeof *m->starts, err));
    TD_TRY(take(&m->set, 1, sizeof *m->set, err));
    TD_TRY(take(&m->work, TD_GM_SET, sizeof *m->work, err));
    TD_TRY(take(&m->work_slots, 4 * TD_GM_SET, sizeof *m->work_slots, err));
    TD_TRY(take(&m->saved_items, TD_GM_ITEMS, sizeof *m->saved_items, err));
    TD_TRY(take(&m->saved_locals, TD_GM_LOCALS, sizeof *m->saved_locals, err));
    TD_TRY(take(&m->saved_counts, TD_GM_LOCALS, sizeof *m->saved_counts, err));
    TD_TRY(take(&m->saved_stacks, TD_GM_STACKS, sizeof *m->saved_stacks, err));
    TD_TRY(take(&m->saved_stack_nodes, TD_GM_STACKS, sizeof *m->saved_stack_nodes, err));
    if (!m->trie) return TD_OK;
    return take(&m->masks, TD_GM_MASKS * m->trie->n_word, sizeof *m->masks, err);
}

td_status td_matcher_create(td_matcher **out, const td_grammar *g, const td_token_trie *trie,
                            td_err *err) {
    *out = NULL;
    if (g->has_token && (!trie || g->max_token >= (uint32_t)trie->n_token))
        return td_fail(err, TD_ERR_ARGUMENT,
                       "the grammar speaks of token %u, the vocabulary has %d tokens",
                       (unsigned)g->max_token, trie ? trie->n_token : 0);
    td_matcher *m = td_calloc(1, sizeof *m);
    if (!m) return td_fail_nomem(err, "the grammar's matcher", sizeof *m);
    m->g = g;
    m->trie = trie;
    td_status status = take_memory(m, err);
    if (status == TD_OK) {
        clear_pools(m);
        status = td_matcher_reset(m, err);
    }
    if (status != TD_OK) {
        td_matcher_free(m);
        return status;
    }
    *out = m;
    return TD_OK;
}

void td_matcher_free(td_matcher *m) {
    if (!m) return;
    void *const parts[] = {m->locals,       m->items,        m->calls,        m->stacks,
                           m->configs,      m->threads,      m->local_steps,  m->config_steps,
                           m->local_heads,  m->stack_heads,  m->config_heads, m->starts,
                           m->set,          m->work,         m->work_slots,   m->saved_items,
                           m->saved_locals, m->saved_counts, m->saved_stacks, m->saved_stack_nodes,
                           m->masks};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) td_free(parts[i]);
    td_free(m);
}
