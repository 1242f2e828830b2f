/* test_sampler.c - the sampler against a plain and slow one: double precision, a full sort for
 * every step, DRY by comparing all pairs, breakers by searching the text. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/random.h"
#include "engine/sampler.h"

#define N_OF(a) (sizeof(a) / sizeof(a)[0])

/* ---- a vocabulary with breakers whole, in pieces, and empty tokens ---- */

static const char *const words[] = {"a",  "b",   "c", "ab", "\n",  "\n\n", "x\n", "#",  "##", "###",
                                    "a#", "##b", "<", "<|", "end", "|>",   ">",   "en", "d|", "",
                                    "|",  ":",   "*", "d",  "n",   "e",    "#a",  ">a"};

static const char *word_bytes(const void *user, td_token token, size_t *n) {
    (void)user;
    const char *w = token < (td_token)N_OF(words) ? words[token] : "z";
    *n = strlen(w);
    return w;
}

static td_sampler_vocab word_vocab(int n_vocab) {
    return (td_sampler_vocab){.n_vocab = n_vocab, .token_bytes = word_bytes};
}

/* ---- the reference ---- */

typedef struct item {
    int id;
    float logit;
    double p, key;
} item;

static int by_logit(const void *a, const void *b) {
    const item *x = a, *y = b;
    if (x->logit != y->logit) return x->logit > y->logit ? -1 : 1;
    return x->id - y->id;
}

static int by_key(const void *a, const void *b) {
    const item *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return x->id - y->id;
}

static void ref_probabilities(item *c, int n, double temperature) {
    double max = -INFINITY, sum = 0;
    for (int i = 0; i < n; i++) max = fmax(max, c[i].logit);
    for (int i = 0; i < n; i++) {
        const double d = c[i].logit == max ? 0 : c[i].logit - max; /* infinities are equal */
        sum += c[i].p = exp(d / temperature);
    }
    for (int i = 0; i < n; i++) c[i].p /= sum;
}

/* The length of the prefix that holds at least `mass`. */
static int ref_prefix(const item *c, int n, double mass) {
    double sum = 0;
    for (int i = 0; i < n; i++) {
        sum += c[i].p;
        if (sum >= mass) return i + 1;
    }
    return n;
}

static int ref_filters(item *c, int n, const td_sampler_options *o, td_random *random) {
    qsort(c, (size_t)n, sizeof *c, by_logit);
    if (o->top_k > 0 && o->top_k < n) n = o->top_k;
    if (o->typical_p > 0 && o->typical_p < 1) {
        ref_probabilities(c, n, 1);
        double entropy = 0;
        for (int i = 0; i < n; i++)
            if (c[i].p > 0) entropy -= c[i].p * log(c[i].p);
        for (int i = 0; i < n; i++) c[i].key = fabs(-log(c[i].p) - entropy);
        qsort(c, (size_t)n, sizeof *c, by_key);
        n = ref_prefix(c, n, (double)o->typical_p);
        qsort(c, (size_t)n, sizeof *c, by_logit);
    }
    if (o->top_p > 0 && o->top_p < 1) {
        ref_probabilities(c, n, 1);
        n = ref_prefix(c, n, (double)o->top_p);
    }
    if (o->min_p > 0) {
        ref_probabilities(c, n, 1);
        int m = 0;
        while (m < n && c[m].p >= (double)o->min_p * c[0].p) m++;
        n = m;
    }
    if (o->xtc_probability > 0 && o->xtc_threshold > 0 && o->xtc_threshold <= 0.5f &&
        td_random_double(random) < (double)o->xtc_probability) {
        ref_probabilities(c, n, 1);
        int above = 0;
        while (above < n && c[above].p >= (double)o->xtc_threshold) above++;
        if (above > 1) {
            memmove(c, c + above - 1, (size_t)(n - above + 1) * sizeof *c);
            n -= above - 1;
        }
    }
    return n;
}

/* Where the newest breaker ends: how many tokens come after that token. */
static int ref_since_breaker(const td_token *h, int n, int n_vocab, const char *const *breakers,
                             int n_breaker) {
    static char text[4096];
    static int owner[4096];
    int n_text = 0, newest = -1;
    for (int i = 0; i < n; i++) {
        size_t len = 0;
        const char *w = h[i] >= 0 && h[i] < n_vocab ? word_bytes(NULL, h[i], &len) : "";
        if (len == 0) { /* what has no text interrupts */
            w = "\1";
            len = 1;
        }
        for (size_t j = 0; j < len; j++) {
            owner[n_text] = i;
            text[n_text++] = w[j];
        }
    }
    for (int b = 0; b < n_breaker; b++) {
        const int len = (int)strlen(breakers[b]);
        for (int i = 0; i + len <= n_text; i++)
            if (memcmp(text + i, breakers[b], (size_t)len) == 0 && owner[i + len - 1] > newest)
                newest = owner[i + len - 1];
    }
    return n - 1 - newest;
}

static void ref_dry(float *l, int n_vocab, const td_sampler_options *o, const td_token *h, int n,
                    int n_ctx) {
    static const char *const usual[] = {"\n", ":", "\"", "*"};
    const char *const *breakers = o->dry_breakers ? o->dry_breakers : usual;
    const int n_breaker = o->dry_breakers ? o->n_dry_breaker : 4;
    const int allowed = o->dry_allowed_length ? o->dry_allowed_length : 2;
    const int last_n = o->dry_last_n > 0 && o->dry_last_n < n_ctx ? o->dry_last_n : n_ctx;
    const double base = o->dry_base != 0 ? (double)o->dry_base : 1.75;
    if (n > last_n) {
        h += n - last_n;
        n = last_n;
    }
    const int limit = ref_since_breaker(h, n, n_vocab, breakers, n_breaker);

    for (td_token t = 0; t < n_vocab; t++) {
        int longest = 0;
        for (int at = 1; at < n; at++) { /* t stands at `at`, and would stand at n */
            if (h[at] != t) continue;
            int m = 0;
            while (m < at && h[at - 1 - m] == h[n - 1 - m]) m++;
            if (m > limit) m = limit;
            if (m > longest) longest = m;
        }
        size_t len;
        const char *w = word_bytes(NULL, t, &len);
        bool holds = false;
        for (int b = 0; b < n_breaker; b++) holds |= strstr(w, breakers[b]) != NULL;
        if (longest < allowed || holds) continue;
        l[t] -= (float)fmin((double)o->dry_multiplier * pow(base, longest - allowed), FLT_MAX);
    }
}

static void ref_penalties(float *l, int n_vocab, const td_sampler_options *o, const td_token *h,
                          int n, int n_ctx) {
    for (int i = 0; i < o->n_bias; i++) l[o->bias_tokens[i]] += o->bias_values[i];
    const int last_n = o->penalty_last_n > 0 ? o->penalty_last_n : o->penalty_last_n ? n_ctx : 64;
    const int first = n > last_n ? n - last_n : 0;
    const float repeat = o->repeat_penalty != 0 ? o->repeat_penalty : 1;
    for (td_token t = 0; t < n_vocab; t++) {
        int count = 0;
        for (int i = first; i < n; i++) count += h[i] == t;
        if (!count) continue;
        l[t] = l[t] > 0 ? l[t] / repeat : l[t] * repeat;
        l[t] -= (float)count * o->frequency_penalty + o->presence_penalty;
    }
    if (o->dry_multiplier > 0) ref_dry(l, n_vocab, o, h, n, n_ctx);
}

/* -1: nothing to choose. */
static td_token ref_pick(const td_sampler_options *o, td_random *random, const float *logits,
                         int n_vocab, const td_token *history, int n_history, int n_ctx) {
    float *l = malloc((size_t)n_vocab * sizeof *l);
    item *c = malloc((size_t)n_vocab * sizeof *c);
    assert_non_null(l);
    assert_non_null(c);
    for (int i = 0; i < n_vocab; i++) l[i] = isnan(logits[i]) ? -INFINITY : logits[i];
    ref_penalties(l, n_vocab, o, history, n_history, n_ctx);

    int n = 0;
    td_token best = -1;
    for (int i = 0; i < n_vocab; i++) {
        if (isnan(l[i]) || l[i] == -INFINITY) continue;
        c[n++] = (item){.id = i, .logit = l[i]};
        if (best < 0 || l[i] > l[best]) best = i;
    }
    if (best >= 0 && o->temperature > 0) {
        n = ref_filters(c, n, o, random);
        ref_probabilities(c, n, (double)o->temperature);
        const double u = td_random_double(random);
        double sum = 0;
        int i = 0;
        while (i < n - 1 && (sum += c[i].p) <= u) i++;
        best = c[i].id;
    }
    free(l);
    free(c);
    return best;
}

/* ---- random cases ---- */

static td_random rng;

static double uniform(double lo, double hi) { return lo + (hi - lo) * td_random_double(&rng); }
static int below(int n) { return (int)(td_random_next(&rng) % (uint64_t)n); }
static bool one_in(int n) { return below(n) == 0; }

static float normal(double mean, double deviation) {
    const double u = 1 - td_random_double(&rng), v = td_random_double(&rng);
    return (float)(mean + deviation * sqrt(-2 * log(u)) * cos(6.283185307179586 * v));
}

/* Smooth, with many ties, or with what should not be there. */
static void random_logits(float *l, int n) {
    const int kind = below(5);
    const double mean = uniform(-30, 30), deviation = uniform(0.1, 6);
    for (int i = 0; i < n; i++) {
        l[i] = normal(mean, deviation);
        if (kind == 1) l[i] = roundf(l[i]);
        if (kind == 2 && one_in(4)) l[i] = -INFINITY;
        if (kind == 2 && one_in(4)) l[i] = NAN;
        if (kind == 3 && one_in(20)) l[i] = one_in(2) ? 0.0f : -0.0f;
        if (kind == 4 && one_in(30)) l[i] = INFINITY;
    }
}

static td_sampler_options random_options(void) {
    td_sampler_options o = {.seed = td_random_next(&rng)};
    if (!one_in(8)) o.temperature = (float)uniform(0.05, 2);
    if (one_in(8)) o.temperature = 1;
    if (one_in(3)) o.top_k = 1 + below(one_in(2) ? 10 : 200);
    if (one_in(3)) o.top_p = (float)uniform(0.01, 1);
    if (one_in(3)) o.min_p = (float)uniform(0.001, 0.6);
    if (one_in(3)) o.typical_p = (float)uniform(0.01, 1);
    if (one_in(3)) o.xtc_probability = (float)uniform(0.2, 1);
    if (one_in(2)) o.xtc_threshold = (float)uniform(0.001, 0.6);
    if (one_in(3)) o.repeat_penalty = (float)uniform(0.5, 2);
    if (one_in(3)) o.presence_penalty = (float)uniform(-2, 2);
    if (one_in(3)) o.frequency_penalty = (float)uniform(-2, 2);
    if (one_in(2)) o.penalty_last_n = below(100) - 1;
    if (one_in(3)) {
        static const char *const sets[][3] = {
            {"###",     "\n\n", "ab"    },
            {"<|end|>", "a#",   "##b"   },
            {"en",      "|>a",  "aaaaaa"},
        };
        o.dry_multiplier = (float)uniform(0.1, 3);
        if (one_in(2)) o.dry_base = (float)uniform(1, 3);
        if (one_in(2)) o.dry_allowed_length = 1 + below(4);
        if (one_in(2)) o.dry_last_n = below(80) - 1;
        if (!one_in(3)) {
            o.dry_breakers = sets[below(3)];
            o.n_dry_breaker = below(4);
        }
    }
    return o;
}

enum { MAX_HISTORY = 120, MAX_VOCAB = 700 };

/* Repetitive, so that DRY has something to do. */
static int random_history(td_token *h, int n_vocab) {
    const int n = below(MAX_HISTORY + 1), n_kind = 1 + below(n_vocab < 28 ? n_vocab : 28);
    const int start = below(n_vocab - n_kind + 1) % 20;
    for (int i = 0; i < n; i++) h[i] = start + below(n_kind);
    for (int k = 0; k < 3 && n > 8; k++) { /* copies */
        const int len = 1 + below(n / 3), from = below(n - len), to = below(n - len);
        memmove(h + to, h + from, (size_t)len * sizeof *h);
    }
    if (n > 8 && one_in(2)) memmove(h + n - 6, h + below(n - 6), 6 * sizeof *h);
    if (n > 0 && one_in(8)) h[below(n)] = one_in(2) ? -1 : n_vocab;
    return n;
}

static void test_against_reference(void **state) {
    (void)state;
    static float logits[MAX_VOCAB], copy[MAX_VOCAB];
    static td_token history[MAX_HISTORY];
    td_random_seed(&rng, 2024);
    int n_drawn = 0;
    for (int k = 0; k < 6000; k++) {
        const int n_vocab = 1 + below(one_in(2) ? 40 : MAX_VOCAB), n_ctx = 1 + below(MAX_HISTORY);
        td_sampler_options o = random_options();
        td_token bias_tokens[3];
        float bias_values[3];
        o.n_bias = one_in(4) ? 3 : 0;
        o.bias_tokens = bias_tokens;
        o.bias_values = bias_values;
        for (int i = 0; i < 3; i++) {
            bias_tokens[i] = below(n_vocab);
            bias_values[i] = one_in(5) ? -INFINITY : normal(0, 5);
        }
        td_sampler_vocab vocab = word_vocab(n_vocab);
        td_sampler *s;
        td_err err;
        assert_int_equal(td_sampler_create(&s, &o, &vocab, n_ctx, &err), TD_OK);
        td_random random;
        td_random_seed(&random, o.seed);
        for (int draw = 0; draw < 3; draw++) {
            random_logits(logits, n_vocab);
            memcpy(copy, logits, sizeof copy);
            const int n_history = random_history(history, n_vocab);
            const td_token want = ref_pick(&o, &random, logits, n_vocab, history, n_history, n_ctx);
            td_token got = -1;
            td_alloc_fault_forbid(1);
            const td_status st = td_sampler_pick(s, logits, history, n_history, &got, &err);
            td_alloc_fault_forbid(0);
            if (want != got) print_message("case %d, draw %d\n", k, draw);
            assert_int_equal(want, got);
            assert_int_equal(st, want < 0 ? TD_ERR_ARGUMENT : TD_OK);
            assert_memory_equal(copy, logits, sizeof copy);
            n_drawn += want >= 0;
        }
        td_sampler_free(s);
    }
    assert_true(n_drawn > 15000);
}

static void test_large_vocabulary(void **state) {
    (void)state;
    enum { N = 262144 };
    static const td_sampler_options cases[] = {
        {.temperature = 0.8f},
        {.temperature = 1,    .top_k = 40, .top_p = 0.95f},
        {.temperature = 1,     .top_k = 5000},
        {.temperature = 1.3f,    .top_p = 0.9f},
        {.temperature = 1,                   .min_p = 0.01f},
        {.temperature = 1,   .typical_p = 0.7f},
        {.temperature = 0.7f,    .xtc_probability = 1, .xtc_threshold = 0.02f},
        {.repeat_penalty = 1.1f                  },
    };
    float *logits = malloc(N * sizeof *logits);
    assert_non_null(logits);
    td_random_seed(&rng, 5);
    for (int i = 0; i < N; i++) logits[i] = normal(20, 3);
    for (int i = 0; i < 20; i++) logits[below(N)] = (float)(31 + 0.25 * i);
    const td_token history[] = {7, 8, 7};
    const td_sampler_vocab vocab = {.n_vocab = N};
    for (size_t k = 0; k < N_OF(cases); k++) {
        td_sampler *s;
        assert_int_equal(td_sampler_create(&s, &cases[k], &vocab, 100, NULL), TD_OK);
        td_random random;
        td_random_seed(&random, cases[k].seed);
        td_token got = -1;
        assert_int_equal(td_sampler_pick(s, logits, history, 3, &got, NULL), TD_OK);
        assert_int_equal(got, ref_pick(&cases[k], &random, logits, N, history, 3, 100));
        td_sampler_free(s);
    }
    free(logits);
}

/* ---- the draw follows the distribution ---- */

static void test_chi_square(void **state) {
    (void)state;
    enum { N = 20, KEPT = 15, N_DRAW = 100000 };
    float logits[N];
    double p[N], sum = 0;
    for (int i = 0; i < N; i++) logits[i] = 0.3f * (float)(i * 7 % N); /* all different */
    const td_sampler_options o = {.temperature = 1.5f, .top_k = KEPT, .seed = 99};
    for (int i = 0; i < N; i++) {
        const bool kept = logits[i] > 0.3f * (N - KEPT - 0.5f);
        sum += p[i] = kept ? exp((double)logits[i] / 1.5) : 0;
    }
    const td_sampler_vocab vocab = {.n_vocab = N};
    td_sampler *s;
    assert_int_equal(td_sampler_create(&s, &o, &vocab, 1, NULL), TD_OK);
    int count[N] = {0};
    for (int i = 0; i < N_DRAW; i++) {
        td_token t;
        assert_int_equal(td_sampler_pick(s, logits, NULL, 0, &t, NULL), TD_OK);
        count[t]++;
    }
    td_sampler_free(s);
    double chi = 0;
    for (int i = 0; i < N; i++) {
        const double want = N_DRAW * p[i] / sum;
        if (p[i] == 0)
            assert_int_equal(count[i], 0);
        else
            chi += (count[i] - want) * (count[i] - want) / want;
    }
    /* 14 degrees of freedom: 36.1 is exceeded once in 1000 seeds, 3.04 is missed as rarely. */
    assert_true(chi < 36.1);
    assert_true(chi > 3.04);
}

/* ---- small ones, by hand ---- */

typedef struct hand_case {
    const char *name;
    td_sampler_options o;
    float logits[6];
    td_token history[12];
    int n_history;
    unsigned allowed; /* bits of the tokens that may come, and each must come in 300 draws */
} hand_case;

#define LN(x) ((float)log(x))

static void test_by_hand(void **state) {
    (void)state;
    const float inf = INFINITY, nan = NAN;
    const hand_case cases[] = {
        {"greedy takes the lowest id",             {.top_k = 0},                       {1, 3, 2, 3, 3, 0},          {0}, 0, 1u << 1          },
        {"greedy passes over NaN",                 {.top_k = 0},                       {nan, nan, 2, nan, -inf, 1}, {0}, 0, 1u << 2          },
        {"greedy takes +inf",                      {.top_k = 0},                       {1, 3, inf, 3, inf, 0},      {0}, 0, 1u << 2          },
        {"+inf shares",                            {.temperature = 1},                 {1, 3, inf, nan, inf, 80},   {0}, 0, 1u << 2 | 1u << 4},
        {"-inf never comes",                       {.temperature = 9},                 {-inf, 1, -inf, 1, nan, 1},  {0}, 0, 0x2a             },
        {"top-k breaks ties by id",                {.temperature = 1, .top_k = 3},     {1, 2, 1, 2, 1, 1},          {0}, 0, 11               },
        {"top-k beyond the vocabulary",            {.temperature = 1, .top_k = 99},    {0},                         {0}, 0, 63               },
        {"top-p takes the token that crosses",
         {.temperature = 1, .top_p = 0.6f},
         {LN(.5), LN(.3), LN(.1), LN(.05), LN(.03), LN(.02)},
         {0},
         0,                                                                                                                 3                },
        {"top-p stops where it is reached",
         {.temperature = 1, .top_p = 0.5f},
         {2, 2, 2, 2, -inf, -inf},
         {0},
         0,                                                                                                                 3                },
        {"top-p keeps one",                        {.temperature = 1, .top_p = 1e-9f}, {0},                         {0}, 0, 1                },
        {"min-p is relative to the best",
         {.temperature = 1, .min_p = 0.15f},
         {LN(.5), LN(.3), LN(.1), LN(.05), LN(.03), LN(.02)},
         {0},
         0,                                                                                                                 7                },
        {"min-p of 1 keeps the best",
         {.temperature = 1, .min_p = 1},
         {1, 2, 1, 2, 1, 1},
         {0},
         0,                                                                                                                 10               },
 /* H = 1.30; surprises .69 1.20 2.30 3.00 3.51 3.91: 1, then 0, then 2 are closest. */
        {"typical may drop the best",
         {.temperature = 1, .typical_p = 0.25f},
         {LN(.5), LN(.3), LN(.1), LN(.05), LN(.03), LN(.02)},
         {0},
         0,                                                                                                                 2                },
        {"typical goes on to the second",
         {.temperature = 1, .typical_p = 0.75f},
         {LN(.5), LN(.3), LN(.1), LN(.05), LN(.03), LN(.02)},
         {0},
         0,                                                                                                                 3                },
        {"XTC leaves the least of those above",
         {.temperature = 1, .xtc_probability = 1, .xtc_threshold = 0.09f},
         {LN(.5), LN(.3), LN(.1), LN(.05), LN(.03), LN(.02)},
         {0},
         0,                                                                                                                 0x3c             },
        {"XTC leaves a single one above",
         {.temperature = 1, .xtc_probability = 1, .xtc_threshold = 0.4f},
         {LN(.5), LN(.3), LN(.05), LN(.05), LN(.05), LN(.05)},
         {0},
         0,                                                                                                                 63               },
        {"XTC with chance leaves all sometimes",
         {.temperature = 1, .xtc_probability = 0.5f, .xtc_threshold = 0.2f},
         {LN(.45), LN(.45), LN(.1), -inf, -inf, -inf},
         {0},
         0,                                                                                                                 7                },
        {"repetition divides what is positive",
         {.repeat_penalty = 2},
         {4, 3, 1, 0, 0, 0},
         {0, 5},
         2,                                                                                                                 1u << 1          },
        {"repetition multiplies what is negative",
         {.repeat_penalty = 2},
         {-2, -3, -5, -9, -9, -9},
         {0},
         1,                                                                                                                 1u << 1          },
        {"presence counts once",
         {.presence_penalty = 1},
         {4, 3.5f, 1, 0, 0, 0},
         {0, 1, 1, 1},
         4,                                                                                                                 1u << 0          },
        {"frequency counts each",
         {.frequency_penalty = 1},
         {4, 3.5f, 1, 0, 0, 0},
         {0, 0, 0, 1, 1, 0},
         6,                                                                                                                 1u << 1          },
        {"the window forgets",
         {.presence_penalty = 9, .penalty_last_n = 2},
         {4, 3, 2, 0, 0, 0},
         {0, 1, 2},
         3,                                                                                                                 1u << 0          },
 /* DRY on "0 1 2 0 1": 2 would repeat two tokens: 5 - 3 * 1.75^0 = 2 < 3. */
        {"DRY at the allowed length",
         {.dry_multiplier = 3},
         {0, 0, 5, 3, 0, 0},
         {0, 1, 2, 0, 1},
         5,                                                                                                                 1u << 3          },
        {"DRY below the allowed length",
         {.dry_multiplier = 3, .dry_allowed_length = 3},
         {0, 0, 5, 3, 0, 0},
         {0, 1, 2, 0, 1},
         5,                                                                                                                 1u << 2          },
 /* Three tokens: 1 * 2^(3-2) = 2. */
        {"DRY grows",
         {.dry_multiplier = 1, .dry_base = 2},
         {0, 0, 0, 3.5f, 0, 2},
         {0, 1, 2, 3, 0, 1, 2},
         7,                                                                                                                 1u << 5          },
        {"DRY grows by this much",
         {.dry_multiplier = 1, .dry_base = 2},
         {0, 0, 0, 3.5f, 0, 1.4f},
         {0, 1, 2, 3, 0, 1, 2},
         7,                                                                                                                 1u << 3          },
        {"DRY matches may overlap",
         {.dry_multiplier = 1, .dry_base = 2},
         {8, 1, 0, 0, 0, 0},
         {0, 0, 0, 0, 0, 0},                                                                                             /* five tokens: 8 - 2^3 = 0 */
         6,                                                                                     1u << 1          },
        {"DRY stops at a newline (token 4)",
         {.dry_multiplier = 99, .dry_last_n = -1},
         {5, 0, 0, 0, 0, 0},
         {1, 4, 2, 0, 1, 4, 2},
         7,                                                                                                                 1u << 0          },
        {"DRY spares a breaker",
         {.dry_multiplier = 99},
         {0, 0, 0, 0, 5, 4},
         {1, 2, 4, 1, 2},
         5,                                                                                                                 1u << 4          },
        {"DRY is never infinite",
         {.dry_multiplier = FLT_MAX, .dry_base = FLT_MAX},
         {5, -inf, -inf, -inf, -inf, -inf},
         {0, 0, 0, 0, 0},
         5,                                                                                                                 1u << 0          },
    };
    for (size_t k = 0; k < N_OF(cases); k++) {
        const hand_case *c = &cases[k];
        const td_sampler_vocab vocab = word_vocab(6);
        td_sampler *s;
        assert_int_equal(td_sampler_create(&s, &c->o, &vocab, 32, NULL), TD_OK);
        unsigned seen = 0;
        for (int i = 0; i < 300; i++) {
            td_token t;
            assert_int_equal(td_sampler_pick(s, c->logits, c->history, c->n_history, &t, NULL),
                             TD_OK);
            seen |= 1u << t;
        }
        if (seen != c->allowed) print_message("%s: tokens %#x came\n", c->name, seen);
        assert_int_equal(seen, c->allowed);
        td_sampler_free(s);
    }
}

static void test_breaker_over_several_tokens(void **state) {
    (void)state;
    /* "<|" "en" "d|" ">a" holds "<|end|>" after which "a b" repeats "a b" but no more. */
    static const char *const breakers[] = {"<|end|>"};
    const td_token history[] = {3, 0, 1, 2, 13, 17, 18, 27, 0, 1};
    const td_sampler_vocab vocab = word_vocab(N_OF(words));
    float logits[N_OF(words)] = {[2] = 5, [9] = 4};
    static const struct {
        int allowed, n_breaker;
        td_token want;
    } cases[] = {
        {2, 1, 9}, /* two tokens since the breaker: penalized */
        {3, 1, 2}, /* not three */
        {3, 0, 2}, /* nor in the text: "ab" is not ">a" */
    };
    for (size_t k = 0; k < N_OF(cases); k++) {
        const td_sampler_options o = {.dry_multiplier = 9,
                                      .dry_allowed_length = cases[k].allowed,
                                      .dry_breakers = breakers,
                                      .n_dry_breaker = cases[k].n_breaker};
        td_sampler *s;
        td_token t;
        assert_int_equal(td_sampler_create(&s, &o, &vocab, 32, NULL), TD_OK);
        assert_int_equal(td_sampler_pick(s, logits, history, 10, &t, NULL), TD_OK);
        assert_int_equal(t, cases[k].want);
        td_sampler_free(s);
    }
}

/* Equal tokens are the worst case of any method that compares pairs, and a long history must fit.
 */
static void test_dry_long_history(void **state) {
    (void)state;
    enum { N = 200000 };
    td_token *history = calloc(N, sizeof *history);
    assert_non_null(history);
    const td_sampler_options o = {.dry_multiplier = 1};
    const td_sampler_vocab vocab = word_vocab(4);
    const float logits[] = {9, 1, 2, 0};
    td_sampler *s;
    td_token t;
    assert_int_equal(td_sampler_create(&s, &o, &vocab, N, NULL), TD_OK);
    assert_int_equal(td_sampler_pick(s, logits, history, N, &t, NULL), TD_OK);
    assert_int_equal(t, 2);
    td_sampler_free(s);

    /* A history longer than the context uses its end. */
    assert_int_equal(td_sampler_create(&s, &o, &vocab, 100, NULL), TD_OK);
    assert_int_equal(td_sampler_pick(s, logits, history, N, &t, NULL), TD_OK);
    assert_int_equal(t, 2);
    td_sampler_free(s);
    free(history);
}

static void test_same_seed_same_tokens(void **state) {
    (void)state;
    enum { N = 50, N_DRAW = 200 };
    float logits[N];
    td_random_seed(&rng, 3);
    for (int i = 0; i < N; i++) logits[i] = normal(0, 1);
    td_token out[3][N_DRAW];
    const uint64_t seeds[] = {17, 17, 18};
    const td_sampler_vocab vocab = {.n_vocab = N};
    for (int k = 0; k < 3; k++) {
        const td_sampler_options o = {
            .temperature = 1, .xtc_probability = 0.5f, .xtc_threshold = 0.03f, .seed = seeds[k]};
        td_sampler *s;
        assert_int_equal(td_sampler_create(&s, &o, &vocab, 1, NULL), TD_OK);
        for (int i = 0; i < N_DRAW; i++)
            assert_int_equal(td_sampler_pick(s, logits, NULL, 0, &out[k][i], NULL), TD_OK);
        td_sampler_free(s);
    }
    assert_memory_equal(out[0], out[1], sizeof out[0]);
    assert_memory_not_equal(out[0], out[2], sizeof out[0]);
}

/* ---- errors ---- */

static void test_no_choice(void **state) {
    (void)state;
    const float bad[] = {NAN, -INFINITY, NAN}, good[] = {1, 2, 3};
    const td_token tokens[] = {0, 1, 2};
    const float never[] = {-INFINITY, -INFINITY, -INFINITY};
    const struct {
        float temperature, repeat_penalty;
        int n_bias;
    } cases[] = {
        {0, 0, 0},
        {1, 0, 0},
        {0, 2, 0},
        {0, 0, 3},
        {1, 0, 3},
    };
    const td_sampler_vocab vocab = {.n_vocab = 3};
    for (size_t k = 0; k < N_OF(cases); k++) {
        td_sampler *s;
        td_err err;
        td_token t = 77;
        const td_sampler_options o = {.temperature = cases[k].temperature,
                                      .repeat_penalty = cases[k].repeat_penalty,
                                      .bias_tokens = tokens,
                                      .bias_values = never,
                                      .n_bias = cases[k].n_bias};
        assert_int_equal(td_sampler_create(&s, &o, &vocab, 8, &err), TD_OK);
        assert_int_equal(td_sampler_pick(s, cases[k].n_bias ? good : bad, NULL, 0, &t, &err),
                         TD_ERR_ARGUMENT);
        assert_non_null(strstr(err.msg, "the logits are not finite"));
        assert_int_equal(t, 77);
        td_sampler_free(s);
    }
}

static void test_bad_options(void **state) {
    (void)state;
    static const td_token outside[] = {5}, below_zero[] = {-1}, inside[] = {1};
    static const float one[] = {1}, not_a_number[] = {NAN};
    static const char *const empty[] = {"a", ""};
    static const char *const null[] = {NULL};
    static const char *const too_long[] = {"01234567890123456789012345678901234567890"};
    const struct {
        const char *wanted; /* in the message */
        td_sampler_options o;
    } cases[] = {
        {"temperature is -1",                            {.temperature = -1}                                              },
        {"temperature is nan",                           {.temperature = NAN}                                             },
        {"temperature is inf",                           {.temperature = INFINITY}                                        },
        {"top_k is -3, wanted 0",                        {.top_k = -3}                                                    },
        {"top_p is 1.5, wanted 0 to 1",                  {.top_p = 1.5f}                                                  },
        {"top_p is -0.1",                                {.top_p = -0.1f}                                                 },
        {"min_p is 2",                                   {.min_p = 2}                                                     },
        {"typical_p is -1",                              {.typical_p = -1}                                                },
        {"xtc_probability is 1.1",                       {.xtc_probability = 1.1f}                                        },
        {"xtc_threshold is -1",                          {.xtc_threshold = -1}                                            },
        {"repeat_penalty is -2",                         {.repeat_penalty = -2}                                           },
        {"presence_penalty is ",                         {.presence_penalty = NAN}                                        },
        {"frequency_penalty is -inf",                    {.frequency_penalty = -INFINITY}                                 },
        {"penalty_last_n is -2, wanted -1",              {.penalty_last_n = -2}                                           },
        {"dry_multiplier is -1",                         {.dry_multiplier = -1}                                           },
        {"dry_base is 0.5, wanted 1",                    {.dry_base = 0.5f}                                               },
        {"dry_allowed_length is -1",                     {.dry_allowed_length = -1}                                       },
        {"dry_last_n is -2",                             {.dry_last_n = -2}                                               },
        {"n_bias is -1",                                 {.n_bias = -1}                                                   },
        {"n_bias is 1",                                  {.n_bias = 1, .bias_tokens = inside}                             },
        {"bias_tokens[0] is 5, wanted 0 to 4",
         {.n_bias = 1, .bias_tokens = outside, .bias_values = one}                                                        },
        {"bias_tokens[0] is -1",                         {.n_bias = 1, .bias_tokens = below_zero, .bias_values = one}     },
        {"bias_values[0]",                               {.n_bias = 1, .bias_tokens = inside, .bias_values = not_a_number}},
        {"n_dry_breaker is 33, wanted 0 to 32",
         {.dry_multiplier = 1, .dry_breakers = empty, .n_dry_breaker = 33}                                                },
        {"n_dry_breaker is -1",                          {.dry_multiplier = 1, .dry_breakers = empty, .n_dry_breaker = -1}},
        {"dry_breakers[1] has 0 bytes",
         {.dry_multiplier = 1, .dry_breakers = empty, .n_dry_breaker = 2}                                                 },
        {"dry_breakers[0] has 0 bytes",
         {.dry_multiplier = 1, .dry_breakers = null, .n_dry_breaker = 1}                                                  },
        {"dry_breakers[0] has 41 bytes, wanted 1 to 40",
         {.dry_multiplier = 1, .dry_breakers = too_long, .n_dry_breaker = 1}                                              },
    };
    const td_sampler_vocab vocab = word_vocab(5);
    for (size_t k = 0; k < N_OF(cases); k++) {
        td_sampler *s = (td_sampler *)&s;
        td_err err = {0};
        assert_int_equal(td_sampler_create(&s, &cases[k].o, &vocab, 8, &err), TD_ERR_ARGUMENT);
        assert_null(s);
        if (!strstr(err.msg, cases[k].wanted)) print_message("%s\n", err.msg);
        assert_non_null(strstr(err.msg, cases[k].wanted));
        assert_int_equal(td_sampler_create(&s, &cases[k].o, &vocab, 8, NULL), TD_ERR_ARGUMENT);
    }
    td_sampler *s;
    const td_sampler_options plain = {0};
    const td_sampler_vocab none = {0};
    assert_int_equal(td_sampler_create(&s, &plain, &none, 8, NULL), TD_ERR_ARGUMENT);
    assert_int_equal(td_sampler_create(&s, &plain, &vocab, 0, NULL), TD_ERR_ARGUMENT);
    td_sampler_free(NULL);
}

static void test_out_of_memory(void **state) {
    (void)state;
    static const char *const breakers[] = {"\n\n", "<|end|>", "###"};
    const td_token bias_tokens[] = {1};
    const float bias_values[] = {2};
    const td_sampler_options o = {.temperature = 1,
                                  .typical_p = 0.9f,
                                  .repeat_penalty = 1.1f,
                                  .dry_multiplier = 1,
                                  .dry_breakers = breakers,
                                  .n_dry_breaker = 3,
                                  .bias_tokens = bias_tokens,
                                  .bias_values = bias_values,
                                  .n_bias = 1};
    const td_sampler_vocab vocab = word_vocab(N_OF(words));
    td_sampler *s;
    td_err err;
    assert_int_equal(td_sampler_create(&s, &o, &vocab, 64, &err), TD_OK);
    td_sampler_free(s);
#ifdef TD_FAULTS
    int n = 1;
    for (;; n++) {
        td_alloc_fault_set(n);
        const td_status st = td_sampler_create(&s, &o, &vocab, 64, &err);
        if (st == TD_OK) break;
        assert_int_equal(st, TD_ERR_NOMEM);
        assert_null(s);
    }
    td_alloc_fault_set(0);
    assert_true(n > 11);
    td_sampler_free(s);
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_against_reference),
        cmocka_unit_test(test_large_vocabulary),
        cmocka_unit_test(test_chi_square),
        cmocka_unit_test(test_breaker_over_several_tokens),
        cmocka_unit_test(test_dry_long_history),
        cmocka_unit_test(test_same_seed_same_tokens),
        cmocka_unit_test(test_no_choice),
        cmocka_unit_test(test_bad_options),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
