/* sequence.c - one conversation: its tokens, its text on the way out, what happens when the context
 * is full. */
#include <string.h>

#include "base/alloc.h"
#include "engine/engine_int.h"

/* ---- creation and options ---- */

static void free_stops(td_sequence *s) {
    for (int i = 0; i < s->n_stop; i++) td_free(s->stops[i]);
    td_free(s->stops);
    s->stops = NULL;
    s->n_stop = 0;
    s->longest_stop = 0;
}

static td_status copy_stops(td_sequence *s, const td_sequence_options *o, td_err *err) {
    if (o->n_stop <= 0) return TD_OK;
    s->stops = td_calloc((size_t)o->n_stop, sizeof *s->stops);
    if (!s->stops) return td_fail_nomem(err, "the stop strings", (size_t)o->n_stop);
    for (int i = 0; i < o->n_stop; i++) {
        if (!o->stops[i] || !*o->stops[i])
            return td_fail(err, TD_ERR_ARGUMENT, "stop string %d is empty", i + 1);
        s->stops[i] = td_strdup(o->stops[i]);
        if (!s->stops[i]) return td_fail_nomem(err, "a stop string", strlen(o->stops[i]));
        s->n_stop = i + 1;
        const size_t n = strlen(o->stops[i]);
        if (n > s->longest_stop) s->longest_stop = n;
    }
    return TD_OK;
}

static const char *vocab_token_bytes(const void *user, td_token token, size_t *n) {
    return td_engine_token_text(user, token, false, n);
}

static void free_parts(td_sequence *s) {
    free_stops(s);
    td_sampler_free(s->sampler);
    s->sampler = NULL;
    td_matcher_free(s->matcher);
    s->matcher = NULL;
    td_grammar_free(s->grammar);
    s->grammar = NULL;
}

/* The grammar, if the options have one, and a matcher for it. */
static td_status create_matcher(td_sequence *s, const td_sequence_options *o, td_err *err) {
    td_engine *e = s->engine;
    if (!o->grammar && !o->json_schema) return TD_OK;
    if (o->grammar && o->json_schema)
        return td_fail(err, TD_ERR_ARGUMENT, "a grammar and a JSON Schema exclude each other");
    if (o->ignore_end)
        return td_fail(err, TD_ERR_ARGUMENT,
                       "ignore_end excludes a grammar or JSON Schema, which says itself where the "
                       "text ends");
    if (o->grammar)
        TD_TRY(td_grammar_from_gbnf(&s->grammar, o->grammar, strlen(o->grammar), "grammar",
                                    e->tokenizer, err));
    else
        TD_TRY(td_grammar_from_schema(&s->grammar, o->json_schema, strlen(o->json_schema),
                                      "JSON Schema", err));
    if (!e->trie) TD_TRY(td_token_trie_create(&e->trie, e->tokenizer, err));
    return td_matcher_create(&s->matcher, s->grammar, e->trie, err);
}

/* A token, a character not yet complete and what is held back: a step appends no more than that. */
static td_status reserve_text(td_sequence *s, size_t longest_stop, td_err *err) {
    const size_t most = 4 * (s->engine->longest_token + longest_stop) + 64;
    td_strbuf_reserve(&s->held, most);
    td_strbuf_reserve(&s->out, most);
    if (s->held.failed || s->out.failed) {
        td_strbuf_clear_text(&s->held); /* forgets the failure */
        td_strbuf_clear_text(&s->out);
        return td_fail_nomem(err, "text buffers", 2 * most);
    }
    return TD_OK;
}

/* Takes all of the options or, on failure, none. */
static td_status apply_options(td_sequence *s, const td_sequence_options *o, td_err *err) {
    static const td_sequence_options defaults;
    if (!o) o = &defaults;
    td_engine *e = s->engine;
    const td_sampler_vocab vocab = {.n_vocab = e->model->config.n_vocab,
                                    .token_bytes = vocab_token_bytes,
                                    .user = e,
                                    .is_constrained = o->grammar || o->json_schema};
    td_sequence fresh = {.engine = e}; /* holds the new parts until all of them are there */
    td_status status = copy_stops(&fresh, o, err);
    if (status == TD_OK) status = create_matcher(&fresh, o, err);
    if (status == TD_OK)
        status = td_sampler_create(&fresh.sampler, &o->sampler, &vocab, e->n_ctx, err);
    if (status == TD_OK) status = reserve_text(s, fresh.longest_stop, err);
    if (status != TD_OK) {
        free_parts(&fresh);
        return status;
    }
    free_parts(s);
    s->sampler = fresh.sampler;
    s->grammar = fresh.grammar;
    s->matcher = fresh.matcher;
    s->stops = fresh.stops;
    s->n_stop = fresh.n_stop;
    s->longest_stop = fresh.longest_stop;
    s->on_full = o->on_full;
    s->n_keep = o->n_keep;
    s->show_special = o->show_special;
    s->ignore_end = o->ignore_end;
    td_detokenizer_init(&s->detokenizer, e->tokenizer, s->n_token == 0, s->show_special);
    return TD_OK;
}

td_status td_sequence_create(td_sequence **out, td_engine *e, const td_sequence_options *options,
                             td_err *err) {
    *out = NULL;
    int slot = 0;
    while (slot < e->n_seq && e->slots[slot]) slot++;
    if (slot == e->n_seq)
        return td_fail(err, TD_ERR_LIMIT, "all %d sequences of the engine are in use", e->n_seq);
    td_sequence *s = td_calloc(1, sizeof *s);
    if (!s) return td_fail_nomem(err, "a sequence", sizeof *s);
    *s = (td_sequence){.engine = e, .slot = slot, .i_logits = -1};
    e->slots[slot] = s;
    td_status status = TD_OK;
    s->tokens = td_calloc((size_t)e->n_ctx, sizeof *s->tokens);
    s->is_prompt = td_calloc((size_t)e->n_ctx, 1);
    if (!s->tokens || !s->is_prompt)
        status = td_fail_nomem(err, "a sequence's tokens", (size_t)e->n_ctx * sizeof *s->tokens);
    if (status == TD_OK) status = apply_options(s, options, err);
    if (status != TD_OK) {
        td_sequence_free(s);
        return status;
    }
    *out = s;
    return TD_OK;
}

void td_sequence_free(td_sequence *s) {
    if (!s) return;
    td_kv_cache_truncate(s->engine->kv, s->slot, 0);
    s->engine->slots[s->slot] = NULL;
    free_parts(s);
    td_strbuf_clear(&s->held);
    td_strbuf_clear(&s->out);
    td_free(s->tokens);
    td_free(s->is_prompt);
    td_free(s);
}

td_status td_sequence_set_options(td_sequence *s, const td_sequence_options *options, td_err *err) {
    TD_TRY(apply_options(s, options, err));
    s->armed = false;
    return TD_OK;
}

/* ---- tokens in ---- */

td_status td_sequence_append(td_sequence *s, const td_token *tokens, int n_token, td_err *err) {
    const int n_vocab = s->engine->model->config.n_vocab;
    if (n_token < 0) return td_fail(err, TD_ERR_ARGUMENT, "%d tokens, wanted 0 or more", n_token);
    if (n_token > s->engine->n_ctx - s->n_token)
        return td_fail(
            err, TD_ERR_LIMIT,
            "%d tokens after %d do not fit into the context of %d tokens: a larger context is needed",
            n_token, s->n_token, s->engine->n_ctx);
    for (int i = 0; i < n_token; i++)
        if (tokens[i] < 0 || tokens[i] >= n_vocab)
            return td_fail(err, TD_ERR_ARGUMENT, "token %d at position %d, wanted 0 to %d",
                           tokens[i], i, n_vocab - 1);
    if (s->n_token == 0) s->n_first = n_token;
    if (n_token > 0) memcpy(s->tokens + s->n_token, tokens, (size_t)n_token * sizeof *tokens);
    memset(s->is_prompt + s->n_token, 1, (size_t)n_token);
    s->n_token += n_token;
    return TD_OK;
}

td_status td_sequence_append_text(td_sequence *s, const char *text, int flags, td_err *err) {
    if (s->n_token > 0) flags &= ~TD_TOKENIZE_ADD_SPECIAL;
    td_token *tokens;
    int n_token;
    TD_TRY(td_engine_tokenize(s->engine, text, strlen(text), flags, &tokens, &n_token, err));
    const td_status status = td_sequence_append(s, tokens, n_token, err);
    td_tokens_free(tokens);
    return status;
}

const td_token *td_sequence_tokens(const td_sequence *s, int *n_token) {
    *n_token = s->n_token;
    return s->tokens;
}

td_status td_sequence_truncate(td_sequence *s, int n_token, td_err *err) {
    if (n_token < 0 || n_token > s->n_token)
        return td_fail(err, TD_ERR_ARGUMENT, "cannot keep %d tokens of %d", n_token, s->n_token);
    s->n_token = n_token;
    s->armed = false;
    s->i_logits = -1;
    /* The logits after the last token are not in the cache, so one token at least is evaluated
     * again: the last. */
    const int usable = s->n_eval < n_token ? s->n_eval : n_token;
    s->n_eval = td_kv_cache_truncate(s->engine->kv, s->slot, usable);
    return TD_OK;
}

td_status td_sequence_generate(td_sequence *s, int n_max, td_err *err) {
    if (n_max < -1) return td_fail(err, TD_ERR_ARGUMENT, "n_max is %d, wanted -1 or more", n_max);
    if (s->n_token == 0)
        return td_fail(err, TD_ERR_ARGUMENT,
                       "nothing to generate from: the sequence has no tokens");
    if (s->matcher) TD_TRY(td_matcher_reset(s->matcher, err));
    if (s->n_eval == s->n_token) { /* evaluate the last token again for its logits */
        const int usable = td_kv_cache_truncate(s->engine->kv, s->slot, s->n_token - 1);
        s->n_eval = usable;
    }
    s->n_left = n_max;
    s->armed = true;
    td_strbuf_clear_text(&s->held);
    td_detokenizer_init(&s->detokenizer, s->engine->tokenizer, false, s->show_special);
    return TD_OK;
}

bool td_sequence_is_active(const td_sequence *s) { return s->armed; }

void td_sequence_stop(td_sequence *s) { s->armed = false; }

const float *td_sequence_logits(const td_sequence *s) {
    if (s->i_logits < 0) return NULL;
    return s->engine->logits + (size_t)s->i_logits * (size_t)s->engine->model->config.n_vocab;
}

/* ---- text out ---- */

/* The first place in text[n] where a stop string begins, whole; n if none. */
static size_t find_stop(const td_sequence *s, const char *text, size_t n) {
    for (size_t at = 0; at < n; at++)
        for (int i = 0; i < s->n_stop; i++) {
            const size_t len = strlen(s->stops[i]);
            if (len <= n - at && memcmp(text + at, s->stops[i], len) == 0) return at;
        }
    return n;
}

/* Bytes at the end of text[n] that may be the beginning of a stop string. */
static size_t possible_stop(const td_sequence *s, const char *text, size_t n) {
    for (size_t at = n > s->longest_stop ? n - s->longest_stop : 0; at < n; at++)
        for (int i = 0; i < s->n_stop; i++)
            if (strlen(s->stops[i]) > n - at && memcmp(text + at, s->stops[i], n - at) == 0)
                return n - at;
    return 0;
}

/* Moves what may be shown from held to out; with `all`, the whole.  True if a stop string was met.
 */
static bool release_text(td_sequence *s, bool all) {
    const char *text = s->held.text ? s->held.text : "";
    const size_t n = s->held.n, stop = find_stop(s, text, n);
    const size_t n_out = stop < n ? stop : all ? n : n - possible_stop(s, text, n);
    td_strbuf_add(&s->out, text, n_out);
    td_strbuf_drop_front(&s->held, stop < n ? n : n_out);
    return stop < n;
}

/* ---- one token further ---- */

static void finish(td_sequence *s, td_event *event, td_finish why) {
    event->finish = why;
    s->armed = false;
    if (why == TD_FINISH_STOP) return;
    td_detokenizer_finish(&s->detokenizer, &s->held);
    if (release_text(s, true)) event->finish = TD_FINISH_STOP;
}

/* The context is full: keeps the first n_keep tokens and the newer half of the others, to be
 * evaluated again. */
static void shift_context(td_sequence *s) {
    int keep = s->n_keep > 0 ? s->n_keep : s->n_first;
    if (keep > s->n_token / 2) keep = s->n_token / 2;
    const int drop = (s->n_token - keep + 1) / 2;
    memmove(s->tokens + keep, s->tokens + keep + drop,
            (size_t)(s->n_token - keep - drop) * sizeof *s->tokens);
    memmove(s->is_prompt + keep, s->is_prompt + keep + drop, (size_t)(s->n_token - keep - drop));
    s->n_token -= drop;
    s->n_eval = td_kv_cache_truncate(s->engine->kv, s->slot, keep);
}

static td_status context_full(td_sequence *s, td_event *event, bool *has_event, td_err *err) {
    switch (s->on_full) {
    case TD_ON_FULL_SHIFT:
        if (s->engine->n_ctx < 2) break; /* a shift would leave nothing */
        shift_context(s);
        return TD_OK;
    case TD_ON_FULL_ERROR:
        s->armed = false;
        return td_fail(err, TD_ERR_LIMIT, "the context of %d tokens is full", s->engine->n_ctx);
    case TD_ON_FULL_STOP: break;
    }
    *has_event = true;
    finish(s, event, TD_FINISH_CONTEXT);
    return TD_OK;
}

/* The next token, of those that the grammar allows. */
static td_status pick(td_sequence *s, td_token *token, td_err *err) {
    if (s->matcher) {
        const int n_token = td_token_trie_n_token(s->engine->trie);
        const uint32_t *allowed;
        TD_TRY(td_matcher_mask(s->matcher, &allowed, err));
        int i = 0;
        while (i < n_token && !allowed[i / 32]) i += 32;
        if (i >= n_token)
            return td_fail(
                err, TD_ERR_ARGUMENT,
                "the grammar leads into a dead end: no token of the model may come next");
        td_sampler_allow(s->sampler, allowed, n_token);
    }
    TD_TRY(td_sampler_pick(s->sampler, td_sequence_logits(s), s->tokens, s->n_token, token, err));
    return s->matcher ? td_matcher_accept(s->matcher, *token, err) : TD_OK;
}

td_status td_sequence_advance(td_sequence *s, td_event *event, bool *has_event, td_err *err) {
    *event = (td_event){.seq = s, .token = -1, .text = ""};
    *has_event = false;
    td_strbuf_clear_text(&s->out);
    if (s->n_left == 0) { /* asked to evaluate only */
        s->armed = false;
        return TD_OK;
    }
    if (s->n_token == s->engine->n_ctx) {
        TD_TRY(context_full(s, event, has_event, err));
    } else {
        TD_TRY(pick(s, &event->token, err));
        *has_event = true;
        s->is_prompt[s->n_token] = 0;
        s->tokens[s->n_token++] = event->token;
        if (s->n_left > 0) s->n_left--;
        const bool is_end = td_engine_token_is_end(s->engine, event->token);
        if (!is_end || s->show_special) td_detokenizer_add(&s->detokenizer, event->token, &s->held);
        if (is_end && !s->ignore_end)
            finish(s, event, TD_FINISH_END);
        else if (s->matcher && !td_matcher_can_continue(s->matcher))
            finish(s, event, TD_FINISH_END);
        else if (release_text(s, false))
            finish(s, event, TD_FINISH_STOP);
        else if (s->n_left == 0)
            finish(s, event, TD_FINISH_LENGTH);
    }
    if (s->out.failed || s->held.failed)
        return td_fail(err, TD_ERR_NOMEM, "out of memory: the text of a token");
    if (s->out.n > 0) event->text = s->out.text;
    event->n_text = s->out.n;
    return TD_OK;
}
