/* sampler_filter.c - what drops candidates (top-k, typical, top-p, min-p, XTC), and the draw.
 *
 * The one idea: nothing is ever sorted.  Top-k, top-p, typical-p and the draw all ask where a sum
 * of weights over the candidates in falling order of some value reaches a target (top-k: weight 1
 * each, target k).  find_cut() answers that by radix selection: a histogram of weights over the
 * upper bits of the value, then over the next bits of the one bucket in which the sum gets there,
 * then over the last bits.  That is about one pass over the vocabulary where a sort takes twenty.
 *
 * Candidates stay in rising order of id throughout, which settles every tie. */
#include <math.h>
#include <string.h>

#include "engine/sampler_int.h"

/* Numbers in the order of falling value, first index first on ties. */
typedef struct ranking {
    const float *value;  /* [n], no NaN */
    const float *weight; /* [n], not negative; NULL: 1 each */
    int n;
    float floor; /* indices whose weight (or value, without weights) is smaller are known to lie
                  * beyond the cut, and are passed over */
} ranking;

/* The prefix of a ranking: all that is greater than value, and of what equals it the first
 * n_equal.  `last` is the index of the last one. */
typedef struct cut {
    float value;
    int n_equal;
    int last;
} cut;

/* Rises where the value falls. -0 and +0 are the same value. */
static uint32_t key_of(float value) {
    const float v = value + 0.0f; /* turns -0 into +0 */
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits >> 31 ? bits : 0x7fffffffu - bits;
}

static bool is_reached(double sum, double target, bool strict) {
    return strict ? sum > target : sum >= target;
}

/* The first bucket with which *sum reaches the target, or else the last that weighs anything: the
 * target may lie a rounding error above the sum of all.  *sum becomes what is before it. */
static uint32_t find_bucket(const double *buckets, uint32_t n_bucket, double *sum, double target,
                            bool strict) {
    double before_last = *sum, before = *sum;
    uint32_t last = 0;
    for (uint32_t b = 0; b < n_bucket; b++) {
        if (buckets[b] <= 0) continue;
        last = b;
        before_last = before;
        before += buckets[b];
        if (is_reached(before, target, strict)) break;
    }
    *sum = before_last;
    return last;
}

/* Fills s->list with the indices of numbers of at least `least`, and returns how many.  Mostly few
 * among many are: whole blocks of 16 are passed over with vector compares. */
static int list_least(td_sampler *s, const float *x, int n, float least) {
    int m = 0, i = 0;
    for (; i + 16 <= n; i += 16) {
        int any = 0;
        for (int j = 0; j < 16; j++) any |= x[i + j] >= least;
        if (!any) continue;
        for (int j = i; j < i + 16; j++) {
            s->list[m] = j; /* written always, counted if it holds: no branch to mispredict */
            m += x[j] >= least;
        }
    }
    for (; i < n; i++)
        if (x[i] >= least) s->list[m++] = i;
    return m;
}

/* The shortest prefix whose weights sum to the target, or to more if strict; never empty. */
static cut find_cut(td_sampler *s, const ranking *r, double target, bool strict) {
    static const struct {
        unsigned shift, n_bucket;
    } digits[] = {
        {21, 2048},
        {10, 2048},
        {0,  1024}
    };

    double sum = 0;
    int n = list_least(s, r->weight ? r->weight : r->value, r->n, r->floor);
    for (int d = 0; d < 3; d++) {
        const unsigned shift = digits[d].shift, mask = digits[d].n_bucket - 1;
        memset(s->buckets, 0, digits[d].n_bucket * sizeof s->buckets[0]);
        for (int j = 0; j < n; j++) {
            const int i = s->list[j];
            s->buckets[key_of(r->value[i]) >> shift & mask] += r->weight ? (double)r->weight[i] : 1;
        }
        const uint32_t b = find_bucket(s->buckets, mask + 1, &sum, target, strict);
        int m = 0;
        for (int j = 0; j < n; j++) {
            const int i = s->list[j];
            s->list[m] = i;
            m += (key_of(r->value[i]) >> shift & mask) == b;
        }
        n = m;
    }

    /* Only equal values are left, first index first. */
    int n_equal = 0;
    while (n_equal < n) {
        const int i = s->list[n_equal++];
        sum += r->weight ? (double)r->weight[i] : 1;
        if (is_reached(sum, target, strict)) break;
    }
    const int last = s->list[n_equal - 1];
    return (cut){r->value[last], n_equal, last};
}

/* ---- the candidates ---- */

/* Keeps the first n of s->list, which rise. */
static void keep_listed(td_sampler *s, int n) {
    for (int j = 0; j < n; j++) {
        const int i = s->list[j];
        s->logits[j] = s->logits[i];
        s->ids[j] = s->is_whole ? i : s->ids[i];
    }
    s->is_whole = false;
    s->n = n;
}

/* Keeps what lies before the cut through value [s->n]. */
static void keep_prefix(td_sampler *s, const float *value, cut c) {
    const int n = list_least(s, value, s->n, c.value);
    int m = 0, n_equal = 0;
    for (int j = 0; j < n; j++) {
        const int i = s->list[j];
        if (value[i] == c.value && ++n_equal > c.n_equal) continue;
        s->list[m++] = i;
    }
    keep_listed(s, m);
}

/* Fills s->weights with exp((logit - max) / temperature), so that the best weighs 1, and returns
 * their sum.  The exponential is the kernels', the same bits on every CPU level; it is 0 below
 * -87. */
static double weigh(td_sampler *s, float temperature) {
    if (temperature == 1) {
        memcpy(s->weights, s->logits, (size_t)s->n * sizeof *s->weights);
        s->kernels->exp_sum(s->weights, s->n, s->max);
    } else { /* not times 1 / temperature, which may overflow */
        for (int i = 0; i < s->n; i++) s->weights[i] = (s->logits[i] - s->max) / temperature;
        s->kernels->exp_sum(s->weights, s->n, 0.0f);
    }
    /* Summed again in double: a float sum of 200,000 weights would move the cuts.  Four sums in a
     * fixed order hide the latency of the addition. */
    double sum[4] = {0};
    int i = 0;
    for (; i + 4 <= s->n; i += 4)
        for (int j = 0; j < 4; j++) sum[j] += (double)s->weights[i + j];
    for (; i < s->n; i++) sum[0] += (double)s->weights[i];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* The ranking by probability: weights from weigh() with this sum, for a cut at target.  What weighs
 * less than (sum - target) / n adds up to less than sum - target, so the target is reached before
 * it; 0.999 is for rounding. */
static ranking by_probability(const td_sampler *s, double sum, double target) {
    return (ranking){.value = s->logits,
                     .weight = s->weights,
                     .n = s->n,
                     .floor = (float)(0.999 * (sum - target) / s->n)};
}

/* The k-th greatest of the maxima of blocks is a bound that at least k logits reach, and few more:
 * most of the vocabulary is dismissed at the price of taking maxima. */
static void filter_top_k(td_sampler *s) {
    enum { BLOCK = 64 };
    const int k = s->opt.top_k, n_block = s->n / BLOCK; /* a rest is left out: still a bound */
    if (k >= s->n) return;
    ranking r = {.value = s->logits, .n = s->n, .floor = -INFINITY};
    if (k < n_block / 2) {
        float *maxima = s->weights; /* free until the next weigh() */
        for (int b = 0; b < n_block; b++)
            maxima[b] = s->kernels->max(s->logits + (ptrdiff_t)b * BLOCK, BLOCK);
        const ranking blocks = {.value = maxima, .n = n_block, .floor = -INFINITY};
        r.floor = find_cut(s, &blocks, k, false).value;
    }
    keep_prefix(s, s->logits, find_cut(s, &r, k, false));
}

/* Locally typical sampling (Meister et al. 2022): the smallest set of tokens, those whose surprise
 * -log p is closest to the entropy H first, that holds at least typical_p.  With d = max - logit,
 * -log p = log Z + d and H = log Z + E[d], so the distance is |d - E[d]|: no logarithm. */
static void filter_typical(td_sampler *s) {
    const double sum = weigh(s, 1.0f), max = s->max;
    double mean = 0;
    for (int i = 0; i < s->n; i++) {
        /* A weight of 0 may come with an infinite d, and their product is 0 here. */
        if (s->weights[i] > 0) mean += (double)s->weights[i] * (max - (double)s->logits[i]);
    }
    mean /= sum;
    for (int i = 0; i < s->n; i++) s->values[i] = (float)-fabs(max - (double)s->logits[i] - mean);
    const ranking r = {.value = s->values, .weight = s->weights, .n = s->n};
    keep_prefix(s, s->values, find_cut(s, &r, (double)s->opt.typical_p * sum, false));
    s->max = s->kernels->max(s->logits, s->n); /* the best need not be typical */
}

/* Nucleus sampling (Holtzman et al. 2020): the smallest set of the most probable tokens that holds
 * at least top_p. */
static void filter_top_p(td_sampler *s) {
    const double sum = weigh(s, 1.0f), target = (double)s->opt.top_p * sum;
    const ranking r = by_probability(s, sum, target);
    keep_prefix(s, s->logits, find_cut(s, &r, target, false));
}

/* Min-p (Nguyen et al. 2024): tokens at least min_p times as probable as the best. */
static void filter_min_p(td_sampler *s) {
    keep_listed(s, list_least(s, s->logits, s->n, s->max + logf(s->opt.min_p)));
}

/* XTC, "exclude top choices" (p-e-w, text-generation-webui pull request 6335): with
 * xtc_probability, of the tokens at least as probable as the threshold only the least probable
 * stays (the highest id on ties, being last in the order).  As in llama.cpp no token is exempt,
 * and above a threshold of 0.5, where two tokens cannot be, the step is off and draws nothing. */
static void filter_xtc(td_sampler *s) {
    if (td_random_double(&s->random) >= (double)s->opt.xtc_probability) return;
    const double sum = weigh(s, 1.0f);
    const int n = list_least(s, s->weights, s->n, (float)((double)s->opt.xtc_threshold * sum));
    if (n < 2) return;
    int stays = s->list[0];
    for (int j = 1; j < n; j++)
        if (s->logits[s->list[j]] <= s->logits[stays]) stays = s->list[j];
    const float logit = s->logits[stays];
    for (int j = 0; j < n; j++) s->logits[s->list[j]] = -INFINITY;
    s->logits[stays] = logit;
    s->max = s->kernels->max(s->logits, s->n);
}

/* Infinite logits share all probability among them. */
static void settle_infinite(td_sampler *s) {
    if (s->max < INFINITY) return;
    for (int i = 0; i < s->n; i++) s->logits[i] = s->logits[i] < INFINITY ? -INFINITY : 0.0f;
    s->max = 0;
}

td_token td_sampler_draw(td_sampler *s, float max) {
    const td_sampler_options *o = &s->opt;
    s->n = s->n_vocab;
    s->max = max;
    s->is_whole = true;
    settle_infinite(s);

    if (o->top_k > 0) filter_top_k(s);
    if (o->typical_p < 1) filter_typical(s);
    if (o->top_p < 1) filter_top_p(s);
    if (o->min_p > 0) filter_min_p(s);
    if (o->xtc_probability > 0 && o->xtc_threshold > 0 && o->xtc_threshold <= 0.5f) filter_xtc(s);

    const double u = td_random_double(&s->random), sum = weigh(s, o->temperature);
    const ranking r = by_probability(s, sum, u * sum);
    const int i = find_cut(s, &r, u * sum, true).last;
    return s->is_whole ? i : s->ids[i];
}
