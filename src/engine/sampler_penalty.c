/* sampler_penalty.c - what changes logits by what was said before: bias, the three penalties, DRY.
 *
 * The repetition penalty is that of CTRL (Keskar et al. 2019, section 4.1) in its usual correction:
 * positive logits are divided, others multiplied, once per distinct token.  Presence and frequency
 * are OpenAI's: presence + count * frequency is subtracted.  Unlike OpenAI's, the window covers the
 * prompt too, as in llama.cpp.  Repetition comes first.
 *
 * DRY ("don't repeat yourself", p-e-w, text-generation-webui pull request 5677) penalizes each
 * token that would make the end of the text longer in a repetition of something earlier.  If the
 * last L tokens also stand earlier in the window and token t followed them there, t's logit falls
 * by multiplier * base ^ (L - allowed_length) for the greatest such L >= allowed_length.  The
 * choices, those of llama.cpp unless said otherwise:
 *   - The two occurrences may overlap, and L has no upper limit.
 *   - A breaker ends the text that counts: L never reaches back over the newest place where one
 *     ends.  The token in which it ends does not count, even if the token goes on after it.
 *   - A token that holds a whole breaker is never penalized.
 *   - A breaker may lie across several tokens.  llama.cpp tokenizes the rest of a breaker once and
 *     looks for exactly those tokens; here every sequence of tokens whose bytes spell it is found,
 *     because a model need not write it in the tokenizer's favourite way.  A token without text
 *     interrupts a breaker.
 *   - Breakers are looked at only when DRY is on.
 *   - The penalty is cut at the greatest float, so that it never is infinite. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/sampler_int.h"

/* The history seen from its end: token i is newest[-i]. */
typedef struct window {
    const td_token *newest;
    int n;
} window;

static window newest_tokens(const td_token *history, int n_history, int n_max) {
    return (window){n_history ? history + n_history - 1 : NULL,
                    n_history < n_max ? n_history : n_max};
}

static bool is_token(const td_sampler *s, td_token t) { return t >= 0 && t < s->n_vocab; }

/* Infinities may meet: +inf as a logit and -inf as a bias.  NaN counts as -inf. */
static void set_logit(td_sampler *s, td_token t, float logit) {
    s->logits[t] = isnan(logit) ? -INFINITY : logit;
}

/* ---- the three penalties ---- */

static void penalize_seen(td_sampler *s, window w) {
    const td_sampler_options *o = &s->opt;
    for (int i = 0; i < w.n; i++)
        if (is_token(s, w.newest[-i])) s->seen[w.newest[-i]]++;
    for (int i = 0; i < w.n; i++) {
        const td_token t = w.newest[-i];
        if (!is_token(s, t) || !s->seen[t]) continue; /* done at its newest occurrence */
        float logit = s->logits[t];
        logit = logit > 0 ? logit / o->repeat_penalty : logit * o->repeat_penalty;
        logit -= (float)s->seen[t] * o->frequency_penalty + o->presence_penalty;
        set_logit(s, t, logit);
        s->seen[t] = 0;
    }
}

/* ---- DRY ---- */

/* z[i] = how many of the newest tokens equal those from i tokens back on: the Z-algorithm
 * (Gusfield, "Algorithms on Strings, Trees and Sequences", 1.3-1.4) on the window from its end.
 * [left, right) is the match found so far that reaches furthest; inside it z is known from the
 * start of the text, so no token is compared equal twice: linear time. */
static void match_newest(int32_t *z, window w) {
    int left = 0, right = 0;
    z[0] = w.n;
    for (int i = 1; i < w.n; i++) {
        int n = 0;
        if (i < right) n = z[i - left] < right - i ? z[i - left] : right - i;
        while (i + n < w.n && w.newest[-n] == w.newest[-(i + n)]) n++;
        z[i] = n;
        if (i + n > right) {
            left = i;
            right = i + n;
        }
    }
}

/* The first edge of a token: edges stand in rising order of token. */
static size_t find_edges(const td_sampler *s, td_token token) {
    size_t lo = 0, hi = s->n_edge;
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        if (s->edges[mid].token < token)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* True if the first n_byte bytes of a breaker end at the end of token i of the window.  There is at
 * most one way back: a token shorter than n_byte must lie inside the breaker and leads to one
 * smaller n_byte, any other must begin it. */
static bool breaker_begins(const td_sampler *s, window w, int i, int breaker, int n_byte) {
    for (; n_byte > 0; i++) {
        if (i >= w.n) return false;
        const td_token t = w.newest[-i];
        size_t e = find_edges(s, t);
        while (e < s->n_edge && s->edges[e].token == t &&
               (s->edges[e].breaker != breaker || s->edges[e].to != n_byte))
            e++;
        if (e == s->n_edge || s->edges[e].token != t) return false;
        n_byte = s->edges[e].from;
    }
    return true;
}

/* True if some breaker ends in token i of the window. */
static bool breaker_ends(const td_sampler *s, window w, int i) {
    const td_token t = w.newest[-i];
    const int role = is_token(s, t) ? s->breaker_roles[t] : 0;
    if (role & TD_BREAKER_WHOLE) return true;
    if (!(role & TD_BREAKER_TAIL)) return false;
    for (size_t e = find_edges(s, t); e < s->n_edge && s->edges[e].token == t; e++) {
        const td_breaker_edge *edge = &s->edges[e];
        if (edge->to == s->breaker_bytes[edge->breaker] &&
            breaker_begins(s, w, i + 1, edge->breaker, edge->from))
            return true;
    }
    return false;
}

/* How many tokens came after the newest breaker. */
static int tokens_since_breaker(const td_sampler *s, window w) {
    if (!s->breaker_roles) return w.n;
    for (int i = 0; i < w.n; i++)
        if (breaker_ends(s, w, i)) return i;
    return w.n;
}

static void penalize_repetition(td_sampler *s, window w) {
    const td_sampler_options *o = &s->opt;
    if (w.n <= o->dry_allowed_length) return;
    const int limit = tokens_since_breaker(s, w);
    if (limit < o->dry_allowed_length) return;
    match_newest(s->match, w);
    for (int i = 1; i < w.n; i++) {
        const td_token t = w.newest[-(i - 1)]; /* what followed the earlier occurrence */
        const int length = s->match[i] < limit ? s->match[i] : limit;
        if (is_token(s, t) && length >= o->dry_allowed_length && length > s->seen[t])
            s->seen[t] = length;
    }
    for (int i = 0; i < w.n; i++) {
        const td_token t = w.newest[-i];
        if (!is_token(s, t) || !s->seen[t]) continue;
        const double excess = s->seen[t] - o->dry_allowed_length;
        const double penalty = o->dry_multiplier * pow(o->dry_base, excess);
        s->seen[t] = 0;
        if (s->breaker_roles && s->breaker_roles[t] & TD_BREAKER_WHOLE) continue;
        set_logit(s, t, s->logits[t] - (float)fmin(penalty, FLT_MAX));
    }
}

void td_sampler_penalize(td_sampler *s, const td_token *history, int n_history) {
    const td_sampler_options *o = &s->opt;
    for (int i = 0; i < o->n_bias; i++)
        set_logit(s, s->bias_tokens[i], s->logits[s->bias_tokens[i]] + s->bias_values[i]);
    if (td_sampler_has_penalty(o))
        penalize_seen(s, newest_tokens(history, n_history, o->penalty_last_n));
    if (o->dry_multiplier > 0)
        penalize_repetition(s, newest_tokens(history, n_history, o->dry_last_n));
}

/* ---- breakers into tokens ---- */

static td_status add_edge(td_sampler *s, td_token token, int breaker, size_t from, size_t to,
                          td_err *err) {
    void *edges = s->edges;
    TD_TRY(td_grow(&edges, &s->cap_edge, s->n_edge + 1, sizeof *s->edges, "the DRY breakers", err));
    s->edges = edges;
    s->edges[s->n_edge++] = (td_breaker_edge){token, (uint8_t)breaker, (uint8_t)from, (uint8_t)to};
    return TD_OK;
}

/* Adds what a token of n bytes can do for one breaker. */
static td_status match_breaker(td_sampler *s, td_token token, const char *bytes, size_t n,
                               int breaker, const char *text, td_err *err) {
    const size_t n_text = s->breaker_bytes[breaker];
    if (memmem(bytes, n, text, n_text)) s->breaker_roles[token] |= TD_BREAKER_WHOLE;
    for (size_t k = 1; k < n_text; k++) {
        /* The token's end begins the breaker. */
        if (n >= k && memcmp(bytes + n - k, text, k) == 0)
            TD_TRY(add_edge(s, token, breaker, 0, k, err));
        /* The token goes on after k bytes of it. */
        const size_t rest = n_text - k, step = n < rest ? n : rest;
        if (memcmp(bytes, text + k, step) != 0) continue;
        TD_TRY(add_edge(s, token, breaker, k, k + step, err));
        if (step == rest) s->breaker_roles[token] |= TD_BREAKER_TAIL;
    }
    return TD_OK;
}

td_status td_sampler_breakers_init(td_sampler *s, const td_sampler_options *options,
                                   const td_sampler_vocab *vocab, td_err *err) {
    static const char *const usual[] = {"\n", ":", "\"", "*"};
    const char *const *texts = options->dry_breakers ? options->dry_breakers : usual;
    const int n_text = options->dry_breakers ? options->n_dry_breaker : 4;
    if (n_text < 0 || n_text > TD_SAMPLER_MAX_BREAKERS)
        return td_fail(err, TD_ERR_ARGUMENT, "n_dry_breaker is %d, wanted 0 to %d", n_text,
                       (int)TD_SAMPLER_MAX_BREAKERS);
    for (int i = 0; i < n_text; i++) {
        const size_t n = texts[i] ? strlen(texts[i]) : 0;
        if (n == 0 || n > TD_SAMPLER_MAX_BREAKER_BYTES)
            return td_fail(err, TD_ERR_ARGUMENT, "dry_breakers[%d] has %zu bytes, wanted 1 to %d",
                           i, n, (int)TD_SAMPLER_MAX_BREAKER_BYTES);
        s->breaker_bytes[i] = (uint8_t)n;
    }
    if (n_text == 0 || !vocab->token_bytes) return TD_OK;

    s->breaker_roles = td_calloc((size_t)s->n_vocab, 1);
    if (!s->breaker_roles) return td_fail_nomem(err, "the DRY breakers", (size_t)s->n_vocab);
    for (td_token t = 0; t < s->n_vocab; t++) {
        size_t n = 0;
        const char *bytes = vocab->token_bytes(vocab->user, t, &n);
        if (!bytes || n == 0) continue;
        for (int i = 0; i < n_text; i++) TD_TRY(match_breaker(s, t, bytes, n, i, texts[i], err));
    }
    return TD_OK;
}
