/* grammar_mask.c - which tokens may come next, and going on by one.
 *
 * A mask is a walk of the tree of tokens through the grammar, cut short where nothing is allowed
 * and where everything is.  Masks are kept by configuration. */
#include <string.h>

#include "text/grammar_int.h"

/* ---- limits ---- */

static void begin_call(td_matcher *m) {
    m->steps = TD_GM_STEPS;
    m->trouble = TD_GTROUBLE_NONE;
}

/* After a failed try: true if it is worth another, everything else being forgotten. */
static bool may_retry(td_matcher *m, int i_try) {
    if (m->trouble != TD_GTROUBLE_FULL || i_try > 0) return false;
    td_matcher_forget(m);
    return m->trouble == TD_GTROUBLE_NONE;
}

static td_status fail_ambiguous(td_err *err) {
    return td_fail(err, TD_ERR_LIMIT,
                   "the grammar is too ambiguous: there are too many ways to read the text so far");
}

/* ---- masks ---- */

static void set_tokens(const td_token_trie *t, uint32_t from, uint32_t to, uint32_t *mask) {
    for (uint32_t i = from; i < to; i++) {
        const uint32_t id = (uint32_t)t->order[i];
        mask[id / 32] |= 1u << (id % 32);
    }
}

static void walk(td_matcher *m, uint32_t config, uint32_t *mask) {
    const td_token_trie *t = m->trie;
    uint32_t at[256]; /* configurations along the path; a token has at most 250 bytes */
    uint8_t whole = 0;
    at[0] = config;
    if (m->configs[config].wide > 0) {
        const bool any = m->configs[config].wide == TD_GM_WIDE;
        whole = m->configs[config].wide;
        if (!any && whole >= TD_TRIE_MAX_PLAIN) whole = TD_TRIE_MAX_PLAIN - 1;
        const size_t k = any ? TD_TRIE_MAX_PLAIN : whole;
        memcpy(mask, t->plain_masks + k * t->n_word, t->n_word * sizeof *mask);
    }
    for (size_t i = 0; i < t->n_node;) {
        const td_trie_node *node = &t->nodes[i];
        if (node->whole <= whole) { /* these are in the mask already */
            i = node->next;
            continue;
        }
        const uint32_t to = td_gconfig_step(m, at[node->depth], node->byte);
        if (to == 0) {
            i = node->next;
            continue;
        }
        if (to == TD_GM_UNKNOWN) return;
        if (node->below <= m->configs[to].wide || node->lower <= m->configs[to].lower) {
            set_tokens(t, node->token, t->nodes[node->next].token, mask);
            i = node->next;
            continue;
        }
        set_tokens(t, node->token, node[1].token, mask);
        at[node->depth + 1] = to;
        i++;
    }
}

static void add_whole_tokens(const td_matcher *m, const td_gconfig *c, uint32_t *mask) {
    for (uint32_t i = 0; i < c->n_thread; i++) {
        const td_glocal *l = &m->locals[m->threads[c->threads_at + i].local];
        for (uint32_t j = 0; l->has_tokens && j < l->n_item; j++) {
            const td_gpos *p = &m->g->pos[m->items[l->items_at + j].pos];
            if (p->kind != TD_GPOS_TOKEN) continue;
            const uint32_t word = p->a / 32, bit = 1u << (p->a % 32);
            const bool had = mask[word] & bit;
            if (p->b)
                for (size_t k = 0; k < m->trie->n_word; k++) mask[k] |= m->trie->text_mask[k];
            if (!p->b)
                mask[word] |= bit;
            else if (!had)
                mask[word] &= ~bit;
        }
    }
}

static bool compute(td_matcher *m, const uint32_t **words) {
    const uint32_t canon = td_gconfig_canon(m, m->config);
    if (m->trouble) return false;
    const size_t n_word = m->trie->n_word;
    int slot = m->configs[canon].slot;
    if (slot < 0) {
        slot = m->next_mask;
        uint32_t *mask = m->masks + (size_t)slot * n_word;
        if (m->mask_owner[slot] != TD_GM_UNKNOWN) m->configs[m->mask_owner[slot]].slot = -1;
        m->mask_owner[slot] = TD_GM_UNKNOWN;
        memset(mask, 0, n_word * sizeof *mask);
        walk(m, canon, mask);
        if (m->trouble) return false;
        const td_gconfig *c = &m->configs[canon];
        if (c->has_tokens) add_whole_tokens(m, c, mask);
        if (c->can_end)
            for (size_t i = 0; i < n_word; i++) mask[i] |= m->trie->end_mask[i];
        m->configs[canon].slot = slot;
        m->mask_owner[slot] = canon;
        m->next_mask = (slot + 1) % TD_GM_MASKS;
    }
    *words = m->masks + (size_t)slot * n_word;
    return true;
}

td_status td_matcher_mask(td_matcher *m, const uint32_t **words, td_err *err) {
    TD_ASSERT(m->trie);
    begin_call(m);
    for (int i_try = 0;; i_try++) {
        if (compute(m, words)) return TD_OK;
        if (!may_retry(m, i_try)) return fail_ambiguous(err);
    }
}

/* ---- going on ---- */

/* Where bytes lead; 0 if nowhere, UNKNOWN on failure. */
static uint32_t follow(td_matcher *m, uint32_t config, const char *bytes, size_t n) {
    for (size_t i = 0; i < n && config != 0 && config != TD_GM_UNKNOWN; i++)
        config = td_gconfig_step(m, config, (uint8_t)bytes[i]);
    return config;
}

static uint32_t follow_token(td_matcher *m, int32_t token) {
    const td_token_trie *t = m->trie;
    uint32_t to = 0;
    if (t->text_mask[token / 32] >> (token % 32) & 1) {
        size_t n;
        const char *bytes = td_tokenizer_token_bytes(t->tok, token, false, &n);
        to = follow(m, m->config, bytes, n);
    }
    if (m->trouble || !m->configs[m->config].has_tokens) return to;
    return td_gconfig_token(m, m->config, token, to);
}

td_status td_matcher_accept(td_matcher *m, int32_t token, td_err *err) {
    const td_token_trie *t = m->trie;
    TD_ASSERT(t);
    if (token < 0 || token >= t->n_token)
        return td_fail(err, TD_ERR_ARGUMENT, "token %d, wanted 0 to %d", (int)token,
                       t->n_token - 1);
    if (td_tokenizer_is_end(t->tok, token) && td_matcher_can_end(m)) {
        m->ended = true;
        m->config = 0;
        return TD_OK;
    }
    begin_call(m);
    for (int i_try = 0;; i_try++) {
        const uint32_t to = follow_token(m, token);
        if (m->trouble == TD_GTROUBLE_NONE) {
            if (to == 0)
                return td_fail(err, TD_ERR_ARGUMENT, "the grammar does not allow token %d here",
                               (int)token);
            m->config = to;
            return TD_OK;
        }
        if (!may_retry(m, i_try)) return fail_ambiguous(err);
    }
}

td_status td_matcher_accept_bytes(td_matcher *m, const char *bytes, size_t n, bool *ok,
                                  td_err *err) {
    *ok = true;
    for (size_t i = 0; i < n && *ok; i++) {
        begin_call(m);
        for (int i_try = 0;; i_try++) {
            const uint32_t to = td_gconfig_step(m, m->config, (uint8_t)bytes[i]);
            if (m->trouble == TD_GTROUBLE_NONE) {
                m->config = to;
                *ok = to != 0;
                break;
            }
            if (!may_retry(m, i_try)) return fail_ambiguous(err);
        }
    }
    return TD_OK;
}

td_status td_matcher_reset(td_matcher *m, td_err *err) {
    begin_call(m);
    m->ended = false;
    m->config = 0;
    for (int i_try = 0;; i_try++) {
        const uint32_t initial = td_gconfig_initial(m);
        if (m->trouble == TD_GTROUBLE_NONE) {
            m->config = initial;
            return TD_OK;
        }
        if (!may_retry(m, i_try)) return fail_ambiguous(err);
    }
}

bool td_matcher_can_end(const td_matcher *m) { return m->configs[m->config].can_end; }

bool td_matcher_can_continue(const td_matcher *m) { return m->configs[m->config].n_thread > 0; }
