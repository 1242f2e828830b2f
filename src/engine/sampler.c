/* sampler.c - the sampler object: options checked and copied, and the order of the steps. */
#include "engine/sampler.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/sampler_int.h"

/* ---- options ---- */

static td_status check_float(const char *name, float value, float least, float most, td_err *err) {
    if (value >= least && value <= most) return TD_OK; /* false for NaN */
    return td_fail(err, TD_ERR_ARGUMENT, "%s is %g, wanted %g to %g", name, (double)value,
                   (double)least, (double)most);
}

static td_status check_int(const char *name, int value, int least, td_err *err) {
    if (value >= least) return TD_OK;
    return td_fail(err, TD_ERR_ARGUMENT, "%s is %d, wanted %d or more", name, value, least);
}

static td_status check_bias(const td_sampler_options *o, int n_vocab, td_err *err) {
    TD_TRY(check_int("n_bias", o->n_bias, 0, err));
    if (o->n_bias > 0 && (!o->bias_tokens || !o->bias_values))
        return td_fail(err, TD_ERR_ARGUMENT, "n_bias is %d, but there are no tokens or values",
                       o->n_bias);
    for (int i = 0; i < o->n_bias; i++) {
        if (o->bias_tokens[i] < 0 || o->bias_tokens[i] >= n_vocab)
            return td_fail(err, TD_ERR_ARGUMENT, "bias_tokens[%d] is %d, wanted 0 to %d", i,
                           (int)o->bias_tokens[i], n_vocab - 1);
        /* An infinite bias is fine: it forbids a token, or leaves no other. */
        if (isnan(o->bias_values[i]))
            return td_fail(err, TD_ERR_ARGUMENT, "bias_values[%d] is not a number", i);
    }
    return TD_OK;
}

static td_status check_options(const td_sampler_options *o, td_err *err) {
    const struct {
        const char *name;
        float value, least, most;
    } floats[] = {
        {"temperature",       o->temperature,       0,        FLT_MAX},
        {"top_p",             o->top_p,             0,        1      },
        {"min_p",             o->min_p,             0,        1      },
        {"typical_p",         o->typical_p,         0,        1      },
        {"xtc_probability",   o->xtc_probability,   0,        1      },
        {"xtc_threshold",     o->xtc_threshold,     0,        1      },
        {"repeat_penalty",    o->repeat_penalty,    0,        FLT_MAX},
        {"presence_penalty",  o->presence_penalty,  -FLT_MAX, FLT_MAX},
        {"frequency_penalty", o->frequency_penalty, -FLT_MAX, FLT_MAX},
        {"dry_multiplier",    o->dry_multiplier,    0,        FLT_MAX},
    };
    for (size_t i = 0; i < sizeof floats / sizeof floats[0]; i++)
        TD_TRY(check_float(floats[i].name, floats[i].value, floats[i].least, floats[i].most, err));
    if (o->dry_base != 0) TD_TRY(check_float("dry_base", o->dry_base, 1, FLT_MAX, err));
    TD_TRY(check_int("top_k", o->top_k, 0, err));
    TD_TRY(check_int("penalty_last_n", o->penalty_last_n, -1, err));
    TD_TRY(check_int("dry_allowed_length", o->dry_allowed_length, 0, err));
    return check_int("dry_last_n", o->dry_last_n, -1, err); /* -1 as for the penalties */
}

/* The options with zeros replaced by what they stand for, and without pointers. */
static td_sampler_options fill_defaults(const td_sampler_options *options, int n_ctx) {
    td_sampler_options o = *options;
    if (o.top_p == 0) o.top_p = 1;
    if (o.typical_p == 0) o.typical_p = 1;
    if (o.repeat_penalty == 0) o.repeat_penalty = 1;
    if (o.penalty_last_n == 0) o.penalty_last_n = 64;
    if (o.penalty_last_n < 0) o.penalty_last_n = n_ctx;
    if (o.dry_base == 0) o.dry_base = 1.75f;
    if (o.dry_allowed_length == 0) o.dry_allowed_length = 2;
    if (o.dry_last_n <= 0 || o.dry_last_n > n_ctx) o.dry_last_n = n_ctx; /* s->match has n_ctx */
    o.dry_breakers = NULL;
    o.bias_tokens = NULL;
    o.bias_values = NULL;
    return o;
}

/* ---- the object ---- */

/* An array, zeroed, of n elements; sizes are checked by td_calloc. */
static td_status take(void *out, int n, size_t size, td_err *err) {
    void *p = td_calloc((size_t)n, size);
    if (!p) return td_fail_nomem(err, "the sampler", (size_t)n * size);
    memcpy(out, &p, sizeof p);
    return TD_OK;
}

/* Takes what these options need and no more: plain greedy decoding needs nothing. */
static td_status take_memory(td_sampler *s, const td_sampler_options *options,
                             const td_sampler_vocab *vocab, td_err *err) {
    const td_sampler_options *o = &s->opt;
    const int n = s->n_vocab;
    const bool dry = o->dry_multiplier > 0, draws = o->temperature > 0;
    if (o->n_bias > 0) {
        TD_TRY(take(&s->bias_tokens, o->n_bias, sizeof *s->bias_tokens, err));
        TD_TRY(take(&s->bias_values, o->n_bias, sizeof *s->bias_values, err));
        memcpy(s->bias_tokens, options->bias_tokens, (size_t)o->n_bias * sizeof *s->bias_tokens);
        memcpy(s->bias_values, options->bias_values, (size_t)o->n_bias * sizeof *s->bias_values);
    }
    if (td_sampler_has_penalty(o) || dry) TD_TRY(take(&s->seen, n, sizeof *s->seen, err));
    if (dry) {
        TD_TRY(take(&s->match, s->n_ctx, sizeof *s->match, err));
        TD_TRY(td_sampler_breakers_init(s, options, vocab, err));
    }
    if (draws || s->seen || o->n_bias > 0 || vocab->is_constrained)
        TD_TRY(take(&s->logits, n, sizeof *s->logits, err));
    if (draws) {
        TD_TRY(take(&s->ids, n, sizeof *s->ids, err));
        TD_TRY(take(&s->weights, n, sizeof *s->weights, err));
        TD_TRY(take(&s->list, n, sizeof *s->list, err));
        if (o->typical_p < 1) TD_TRY(take(&s->values, n, sizeof *s->values, err));
    }
    return TD_OK;
}

td_status td_sampler_create(td_sampler **out, const td_sampler_options *options,
                            const td_sampler_vocab *vocab, int n_ctx, td_err *err) {
    *out = NULL;
    TD_TRY(check_int("n_vocab", vocab->n_vocab, 1, err));
    TD_TRY(check_int("n_ctx", n_ctx, 1, err));
    TD_TRY(check_options(options, err));
    TD_TRY(check_bias(options, vocab->n_vocab, err));

    td_sampler *s = td_calloc(1, sizeof *s);
    if (!s) return td_fail_nomem(err, "the sampler", sizeof *s);
    s->opt = fill_defaults(options, n_ctx);
    s->n_vocab = vocab->n_vocab;
    s->n_ctx = n_ctx;
    td_random_seed(&s->random, options->seed);
    td_status st = td_kernels_get(&s->kernels, err);
    if (st == TD_OK) st = take_memory(s, options, vocab, err);
    if (st != TD_OK) {
        td_sampler_free(s);
        return st;
    }
    *out = s;
    return TD_OK;
}

void td_sampler_free(td_sampler *s) {
    if (!s) return;
    td_free(s->bias_tokens);
    td_free(s->bias_values);
    td_free(s->seen);
    td_free(s->match);
    td_free(s->breaker_roles);
    td_free(s->edges);
    td_free(s->logits);
    td_free(s->ids);
    td_free(s->weights);
    td_free(s->values);
    td_free(s->list);
    td_free(s);
}

void td_sampler_get_random(const td_sampler *s, td_random *out) { *out = s->random; }

void td_sampler_set_random(td_sampler *s, const td_random *random) { s->random = *random; }

/* ---- picking ---- */

void td_sampler_allow(td_sampler *s, const uint32_t *words, int n_token) {
    TD_ASSERT(s->logits);
    s->allowed = words;
    s->n_allowed = n_token < s->n_vocab ? n_token : s->n_vocab;
}

/* Takes out of s->logits what is not allowed, 32 tokens at a time. */
static void forbid(td_sampler *s) {
    for (int i = 0; i < s->n_allowed; i += 32) {
        const uint32_t word = s->allowed[i / 32];
        if (word == UINT32_MAX) continue;
        const int n = s->n_allowed - i < 32 ? s->n_allowed - i : 32;
        for (int j = 0; j < n; j++)
            if (!(word >> j & 1)) s->logits[i + j] = -INFINITY;
    }
    for (int i = s->n_allowed; i < s->n_vocab; i++) s->logits[i] = -INFINITY;
    s->allowed = NULL;
}

td_status td_sampler_pick(td_sampler *s, const float *logits, const td_token *history,
                          int n_history, td_token *out, td_err *err) {
    if (s->logits) {
        for (int i = 0; i < s->n_vocab; i++) {
            const float x = logits[i];
            s->logits[i] = x >= -INFINITY ? x : -INFINITY; /* false for NaN */
        }
        if (s->allowed) forbid(s);
        td_sampler_penalize(s, history, n_history);
        logits = s->logits;
    }

    const float max = s->kernels->max(logits, s->n_vocab); /* passes over NaN */
    if (max == -INFINITY)
        return td_fail(err, TD_ERR_ARGUMENT,
                       "the logits are not finite: none of %d is left to choose", s->n_vocab);
    if (s->opt.temperature > 0) {
        *out = td_sampler_draw(s, max);
        return TD_OK;
    }
    td_token best = 0;
    while (logits[best] != max) best++;
    *out = best;
    return TD_OK;
}
