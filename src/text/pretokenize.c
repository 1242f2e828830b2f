/* pretokenize.c - see pretokenize.h. */
#include "text/pretokenize.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "text/bpe.h"
#include "text/repair.h"
#include "text/thousands.h"
#include "text/unicode.h"
#include "text/utf8.h"

typedef struct stage {
    td_pre_step step;
    td_regex *regex; /* owned; NULL: not by a regular expression */
    td_thousands thousands;
} stage;

struct td_pretokenizer {
    stage *stages; /* owned */
    int n_stage;
    bool changes_text;
};

/* ---- compiling ---- */

/* Patterns of known models that look at a run of spaces once for each of its places, and what finds
 * the same in linear time.  Where \s+$ matches, it does so from the start of the run; and where
 * Jais looks for a line break in spaces that follow others, it has looked before. */
static const struct {
    const char *slow, *quick;
} rewritten[] = {
    {"\\s+$",                      "(?<!\\s)\\s+$"                                               },
    {"|\\s*[\\r\\n]+|\\s{512}(?!", "|(?<![ \\t\\p{Z}\\x0B\\x0C\\x{85}])\\s*[\\r\\n]+|\\s{512}(?!"},
};

static td_status compile_pattern(stage *s, const char *name, td_err *err) {
    const td_text p = s->step.text;
    const td_regex_dialect dialect =
        s->step.match == TD_MATCH_PCRE ? TD_REGEX_PCRE : TD_REGEX_ONIGURUMA;
    s->thousands = td_thousands_of(p);
    if (s->thousands != TD_THOUSANDS_NONE) return TD_OK;
    if (dialect == TD_REGEX_ONIGURUMA && p.n == strlen(rewritten[0].slow) &&
        memcmp(p.text, rewritten[0].slow, p.n) == 0)
        return td_regex_create(&s->regex, rewritten[0].quick, strlen(rewritten[0].quick), dialect,
                               name, err);
    const char *slow = memmem(p.text, p.n, rewritten[1].slow, strlen(rewritten[1].slow));
    if (!slow) return td_regex_create(&s->regex, p.text, p.n, dialect, name, err);
    td_strbuf quick = {0};
    const size_t n_before = (size_t)(slow - p.text), n_slow = strlen(rewritten[1].slow);
    td_strbuf_add(&quick, p.text, n_before);
    td_strbuf_adds(&quick, rewritten[1].quick);
    td_strbuf_add(&quick, slow + n_slow, p.n - n_before - n_slow);
    td_status st = td_strbuf_check(&quick, "a pattern", err);
    if (st == TD_OK) st = td_regex_create(&s->regex, quick.text, quick.n, dialect, name, err);
    td_strbuf_clear(&quick);
    return st;
}

static td_status compile_all(td_pretokenizer *pre, const td_pre_step *steps, int n_step,
                             const char *name, td_err *err) {
    pre->stages = td_calloc((size_t)n_step, sizeof *pre->stages);
    if (!pre->stages) return td_fail_nomem(err, "the pre-tokenizer", (size_t)n_step);
    for (int i = 0; i < n_step; i++) {
        stage *s = &pre->stages[pre->n_stage++];
        s->step = steps[i];
        const bool splits = s->step.type == TD_PRE_SPLIT;
        if (!splits && s->step.type != TD_PRE_CHUNK) pre->changes_text = true;
        if (splits && (s->step.match == TD_MATCH_REGEX || s->step.match == TD_MATCH_PCRE))
            TD_TRY(compile_pattern(s, name, err));
    }
    return TD_OK;
}

td_status td_pretokenizer_create(td_pretokenizer **out, const td_pre_step *steps, int n_step,
                                 const char *name, td_err *err) {
    *out = NULL;
    td_pretokenizer *pre = td_calloc(1, sizeof *pre);
    if (!pre) return td_fail_nomem(err, "the pre-tokenizer", sizeof *pre);
    const td_status st = compile_all(pre, steps, n_step, name, err);
    if (st != TD_OK) {
        td_pretokenizer_free(pre);
        return st;
    }
    *out = pre;
    return TD_OK;
}

const td_pretokenizer_def *td_pretokenizer_find(const char *name) {
    size_t low = 0, high;
    const td_pretokenizer_def *all = td_pretokenizer_all(&high);
    if (!*name) name = "default";
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        const int order = strcmp(name, all[mid].name);
        if (order == 0) return &all[mid];
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

td_status td_pretokenizer_create_named(td_pretokenizer **out, const char *name, td_err *err) {
    *out = NULL;
    const td_pretokenizer_def *def = td_pretokenizer_find(name);
    if (!def)
        return td_fail(err, TD_ERR_UNSUPPORTED,
                       "pre-tokenizer '%s' (tokenizer.ggml.pre) is not known; wanted one such as "
                       "'smollm', 'llama-bpe' or 'qwen2': convert the model again with a converter "
                       "that knows it, or use a newer version of this program",
                       name);
    td_pre_step steps[TD_PRETOKENIZE_MAX_STAGE + 1];
    int n = 0;
    if (def->flags & TD_PRETOKENIZER_SPACED)
        steps[n++] = (td_pre_step){
            .type = TD_PRE_REPLACE_SPACE, .text = {"\u2581", 3}
        };
    for (int i = 0; i < TD_PRETOKENIZE_MAX_STAGE && def->stages[i]; i++)
        steps[n++] = (td_pre_step){
            .type = TD_PRE_SPLIT,
            .match = TD_MATCH_PCRE,
            .text = {def->stages[i], (uint32_t)strlen(def->stages[i])}
        };
    if (def->flags & TD_PRETOKENIZER_PLAIN)
        steps[n++] = (td_pre_step){
            .type = TD_PRE_SPLIT, .match = TD_MATCH_WHITE_SPACE, .behavior = TD_PRE_REMOVED};
    char label[96];
    snprintf(label, sizeof label, "pre-tokenizer '%s'", def->name);
    return td_pretokenizer_create(out, steps, n, label, err);
}

void td_pretokenizer_free(td_pretokenizer *pre) {
    if (!pre) return;
    for (int i = 0; i < pre->n_stage; i++) td_regex_free(pre->stages[i].regex);
    td_free(pre->stages);
    td_free(pre);
}

/* ---- pieces ---- */

void td_pieces_clear(td_pieces *pieces) {
    td_free(pieces->spans);
    td_free(pieces->spare);
    td_strbuf_clear(&pieces->buffers[0]);
    td_strbuf_clear(&pieces->buffers[1]);
    td_regex_scratch_free(pieces->regex);
    *pieces = (td_pieces){0};
}

static td_status add_piece(td_pieces *pieces, size_t begin, size_t end, td_err *err) {
    if (begin == end) return TD_OK;
    if (pieces->n == pieces->cap)
        TD_TRY(td_grow((void **)&pieces->spans, &pieces->cap, pieces->n + 1, sizeof *pieces->spans,
                       "the pieces of a text", err));
    pieces->spans[pieces->n++] = (td_span){(uint32_t)begin, (uint32_t)end};
    return TD_OK;
}

/* ---- splitting: matches and what lies between them become pieces ---- */

/* What becomes of the matches of one piece. */
typedef struct splitter {
    const td_pre_step *step;
    td_pieces *out;
    size_t first; /* out->n before this piece */
    bool was_match;
    bool has_open; /* MERGED_WITH_NEXT: a match waits for what follows */
    size_t open_begin, open_end;
} splitter;

static td_status emit_with_next(splitter *s, size_t begin, size_t end, bool is_match, td_err *err) {
    if (!is_match) {
        const size_t from = s->has_open ? s->open_begin : begin;
        s->has_open = false;
        return add_piece(s->out, from, end, err);
    }
    if (s->has_open) TD_TRY(add_piece(s->out, s->open_begin, s->open_end, err));
    s->has_open = true;
    s->open_begin = begin;
    s->open_end = end;
    return TD_OK;
}

/* Takes the next stretch of the piece, a match or what lies between two. */
static td_status emit(void *user, size_t begin, size_t end, bool found, td_err *err) {
    splitter *s = user;
    const bool is_match = found != s->step->invert;
    const bool was_match = s->was_match;
    bool extends = false;
    s->was_match = is_match;
    switch (s->step->behavior) {
    case TD_PRE_ISOLATED: break;
    case TD_PRE_REMOVED:
        if (is_match) return TD_OK;
        break;
    case TD_PRE_MERGED_WITH_PREVIOUS: extends = is_match && !was_match; break;
    case TD_PRE_MERGED_WITH_NEXT: return emit_with_next(s, begin, end, is_match, err);
    case TD_PRE_CONTIGUOUS: extends = is_match == was_match; break;
    }
    td_pieces *out = s->out;
    if (extends && out->n > s->first && out->spans[out->n - 1].end == begin) {
        out->spans[out->n - 1].end = (uint32_t)end;
        return TD_OK;
    }
    return add_piece(out, begin, end, err);
}

/* An empty match right behind another does not count, and the search goes on a character later. */
static td_status split_by_regex(const stage *g, splitter *s, const char *text, td_span span,
                                td_err *err) {
    const size_t n = span.end - span.begin;
    const char *piece = text + span.begin;
    size_t done = 0;
    for (size_t at = 0; at <= n;) {
        td_regex_range r;
        TD_TRY(td_regex_find(g->regex, &s->out->regex, piece, n, at, &r, err));
        if (!r.found) break;
        if (r.end == r.begin) {
            at = r.end + (r.end < n ? (size_t)td_utf8_decode(piece + r.end, n - r.end, NULL) : 1);
            if (r.begin == done && done > 0) continue;
        } else {
            at = r.end;
        }
        if (r.begin > done) TD_TRY(emit(s, span.begin + done, span.begin + r.begin, false, err));
        TD_TRY(emit(s, span.begin + r.begin, span.begin + r.end, true, err));
        done = r.end;
    }
    return done < n ? emit(s, span.begin + done, span.end, false, err) : TD_OK;
}

static td_status split_by_string(splitter *s, const char *text, td_span span, td_err *err) {
    const td_text what = s->step->text;
    size_t done = span.begin;
    while (what.n > 0 && done < span.end) {
        const char *p = memmem(text + done, span.end - done, what.text, what.n);
        if (!p) break;
        const size_t at = (size_t)(p - text);
        if (at > done) TD_TRY(emit(s, done, at, false, err));
        TD_TRY(emit(s, at, at + what.n, true, err));
        done = at + what.n;
    }
    return done < span.end ? emit(s, done, span.end, false, err) : TD_OK;
}

static bool is_in_class(uint32_t cp, td_pre_match match) {
    switch (match) {
    case TD_MATCH_NUMERIC: return td_unicode_is_numeric(cp);
    case TD_MATCH_PUNCTUATION: return td_unicode_is_punctuation(cp);
    default: return td_unicode_is_white_space(cp);
    }
}

static td_status split_by_class(splitter *s, const char *text, td_span span, td_err *err) {
    size_t done = span.begin;
    for (size_t at = span.begin; at < span.end;) {
        uint32_t cp = 0;
        const size_t k = (size_t)td_utf8_decode(text + at, span.end - at, &cp);
        if (is_in_class(cp, s->step->match)) {
            if (at > done) TD_TRY(emit(s, done, at, false, err));
            TD_TRY(emit(s, at, at + k, true, err));
            done = at + k;
        }
        at += k;
    }
    return done < span.end ? emit(s, done, span.end, false, err) : TD_OK;
}

static td_status split_piece(const stage *g, const char *text, td_span span, td_pieces *out,
                             td_err *err) {
    splitter s = {.step = &g->step, .out = out, .first = out->n};
    if (g->thousands != TD_THOUSANDS_NONE)
        TD_TRY(td_thousands_split(g->thousands, text, span.begin, span.end, emit, &s, err));
    else if (g->regex)
        TD_TRY(split_by_regex(g, &s, text, span, err));
    else if (g->step.match == TD_MATCH_STRING)
        TD_TRY(split_by_string(&s, text, span, err));
    else
        TD_TRY(split_by_class(&s, text, span, err));
    return s.has_open ? add_piece(out, s.open_begin, s.open_end, err) : TD_OK;
}

/* Pieces of `length` characters, the last one shorter. */
static td_status chunk_piece(const stage *g, const char *text, td_span span, td_pieces *out,
                             td_err *err) {
    size_t begin = span.begin;
    uint32_t n = 0;
    for (size_t at = span.begin; at < span.end;) {
        at += (size_t)td_utf8_decode(text + at, span.end - at, NULL);
        if (++n < g->step.length) continue;
        TD_TRY(add_piece(out, begin, at, err));
        begin = at;
        n = 0;
    }
    return add_piece(out, begin, span.end, err);
}

/* ---- steps that change text ---- */

/* Appends a piece as the step has it. */
static void rewrite_piece(const td_pre_step *step, const char *piece, size_t n, bool at_start,
                          td_strbuf *to) {
    const td_text what = step->text;
    if (step->type == TD_PRE_ALPHABET) {
        td_bpe_encode_text(piece, n, to);
        return;
    }
    if (step->type == TD_PRE_PREFIX) {
        const bool has = n >= what.n && memcmp(piece, what.text, what.n) == 0;
        if (!has && (at_start || !step->first_only)) td_strbuf_add(to, what.text, what.n);
        td_strbuf_add(to, piece, n);
        return;
    }
    for (const char *end = piece + n; piece < end;) {
        const char *space = memchr(piece, ' ', (size_t)(end - piece));
        const char *stop = space ? space : end;
        td_strbuf_add(to, piece, (size_t)(stop - piece));
        if (space) td_strbuf_add(to, what.text, what.n);
        piece = space ? space + 1 : end;
    }
}

/* The pieces of `from` go over into a new text. */
static td_status rewrite_all(const td_pre_step *step, const td_span *from, size_t n_from,
                             bool at_start, td_pieces *pieces, td_err *err) {
    td_strbuf *to = &pieces->buffers[pieces->text == pieces->buffers[0].text];
    td_strbuf_clear_text(to);
    to->max = UINT32_MAX - 1;
    for (size_t i = 0; i < n_from; i++) {
        const size_t begin = to->n;
        rewrite_piece(step, pieces->text + from[i].begin, from[i].end - from[i].begin,
                      at_start && i == 0, to);
        TD_TRY(td_strbuf_check(to, "the text to tokenize", err));
        TD_TRY(add_piece(pieces, begin, to->n, err));
    }
    pieces->text = to->text;
    return TD_OK;
}

/* ---- the whole ---- */

static td_status run_stage(const stage *g, bool *at_start, td_pieces *pieces, td_err *err) {
    td_span *const from = pieces->spans;
    const size_t n_from = pieces->n, cap = pieces->cap;
    pieces->spans = pieces->spare;
    pieces->cap = pieces->cap_spare;
    pieces->n = 0;
    pieces->spare = from;
    pieces->cap_spare = cap;
    if (g->step.type != TD_PRE_SPLIT && g->step.type != TD_PRE_CHUNK)
        return rewrite_all(&g->step, from, n_from, *at_start, pieces, err);
    for (size_t i = 0; i < n_from; i++)
        TD_TRY(g->step.type == TD_PRE_SPLIT ? split_piece(g, pieces->text, from[i], pieces, err)
                                            : chunk_piece(g, pieces->text, from[i], pieces, err));
    if (n_from && (pieces->n == 0 || pieces->spans[0].begin != from[0].begin)) *at_start = false;
    return TD_OK;
}

static td_status split_valid(const td_pretokenizer *pre, const char *text, size_t n_text,
                             bool at_start, td_pieces *pieces, td_err *err) {
    pieces->n = 0;
    pieces->text = text;
    TD_TRY(add_piece(pieces, 0, n_text, err));
    for (int i = 0; i < pre->n_stage; i++)
        TD_TRY(run_stage(&pre->stages[i], &at_start, pieces, err));
    return TD_OK;
}

/* Pieces of the copy become those of the text; no piece begins or ends inside a U+FFFD. */
static void map_back(const td_repair *r, const char *text, td_pieces *pieces) {
    size_t i_place = 0;
    uint32_t grown = 0;
    pieces->text = text;
    for (size_t i = 0; i < 2 * pieces->n; i++) {
        uint32_t *at = i % 2 ? &pieces->spans[i / 2].end : &pieces->spans[i / 2].begin;
        while (i_place < r->n && r->places[i_place].end <= *at) grown = r->places[i_place++].grown;
        *at -= grown;
    }
}

td_status td_pretokenizer_split(const td_pretokenizer *pre, const char *text, size_t n_text,
                                bool at_start, td_pieces *pieces, td_err *err) {
    pieces->n = 0;
    if (n_text == 0) return TD_OK;
    if (n_text > TD_PRETOKENIZE_MAX_TEXT)
        return td_fail(err, TD_ERR_LIMIT, "the text has %zu bytes, wanted at most %zu", n_text,
                       TD_PRETOKENIZE_MAX_TEXT);
    if (td_utf8_valid_prefix(text, n_text) == n_text)
        return split_valid(pre, text, n_text, at_start, pieces, err);
    td_repair r = {0};
    td_status st = td_repair_text(&r, text, n_text, err);
    if (st == TD_OK) st = split_valid(pre, r.text.text, r.text.n, at_start, pieces, err);
    if (st == TD_OK && !pre->changes_text) map_back(&r, text, pieces);
    td_repair_clear(&r);
    return st;
}
