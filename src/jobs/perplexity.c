/* perplexity.c - see perplexity.h.
 *
 * With a baseline a chunk is evaluated twice: the baseline's rows of the scored half are kept and
 * compared as the engine's come by. */
#include "jobs/perplexity.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

/* ---- arithmetic ---- */

void td_mean_add(td_mean *m, double x) {
    m->sum += x;
    m->sum_of_squares += x * x;
    m->n++;
}

double td_mean_value(const td_mean *m) { return m->n > 0 ? m->sum / (double)m->n : 0.0; }

double td_mean_error(const td_mean *m) {
    if (m->n < 2) return 0.0;
    const double n = (double)m->n, mean = m->sum / n;
    const double variance = m->sum_of_squares / n - mean * mean;
    return variance > 0.0 ? sqrt(variance / (n - 1.0)) : 0.0;
}

double td_perplexity_value(const td_mean *nll) { return exp(td_mean_value(nll)); }

double td_perplexity_error(const td_mean *nll) {
    return td_mean_error(nll) * td_perplexity_value(nll);
}

static double max_of(const float *x, int n) {
    double max = -INFINITY;
    for (int i = 0; i < n; i++)
        if ((double)x[i] > max) max = (double)x[i];
    return max;
}

static double log_sum_exp(const float *x, int n) {
    const double max = max_of(x, n);
    double sum = 0.0;
    for (int i = 0; i < n; i++) sum += exp((double)x[i] - max);
    return max + log(sum);
}

double td_nll(const float *logits, int n_vocab, int token) {
    return log_sum_exp(logits, n_vocab) - (double)logits[token];
}

double td_kl(const float *p, const float *q, int n_vocab) {
    const double lse_p = log_sum_exp(p, n_vocab), lse_q = log_sum_exp(q, n_vocab);
    double kl = 0.0;
    for (int i = 0; i < n_vocab; i++) {
        const double log_p = (double)p[i] - lse_p;
        const double prob = exp(log_p);
        /* 0 log 0 is 0, and must not become 0 * inf. */
        if (prob > 0.0) kl += prob * (log_p - ((double)q[i] - lse_q));
    }
    return kl > 0.0 ? kl : 0.0;
}

static int argmax(const float *x, int n) {
    int best = 0;
    for (int i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

bool td_same_argmax(const float *p, const float *q, int n_vocab) {
    return argmax(p, n_vocab) == argmax(q, n_vocab);
}

/* ---- the run ---- */

typedef struct run {
    const td_perplexity_options *o;
    td_perplexity_result *r;
    td_token *chunk; /* owned; [n_ctx] */
    float *rows;     /* owned; [n_scored][n_vocab] of the baseline; NULL: there is none */
    int n_vocab;
    int first; /* the first scored position */
} run;

static td_status keep_row(void *user, int i_position, const float *logits, td_err *err) {
    run *x = user;
    (void)err;
    if (i_position > x->o->n_ctx - 2) return TD_OK; /* the last one predicts beyond the chunk */
    const size_t i = (size_t)(i_position - x->first);
    memcpy(x->rows + i * (size_t)x->n_vocab, logits, (size_t)x->n_vocab * sizeof *logits);
    td_mean_add(&x->r->baseline_nll, td_nll(logits, x->n_vocab, x->chunk[i_position + 1]));
    return TD_OK;
}

static td_status score_row(void *user, int i_position, const float *logits, td_err *err) {
    run *x = user;
    if (i_position > x->o->n_ctx - 2) return TD_OK;
    const double nll = td_nll(logits, x->n_vocab, x->chunk[i_position + 1]);
    if (!isfinite(nll))
        return td_fail(err, TD_ERR_FORMAT, "the logits at position %d of chunk %d are not finite",
                       i_position, x->r->n_chunk);
    td_mean_add(&x->r->nll, nll);
    if (!x->rows) return TD_OK;
    const float *row = x->rows + (size_t)(i_position - x->first) * (size_t)x->n_vocab;
    td_mean_add(&x->r->kl, td_kl(row, logits, x->n_vocab));
    td_mean_add(&x->r->same_argmax, td_same_argmax(row, logits, x->n_vocab) ? 1.0 : 0.0);
    return TD_OK;
}

static td_status run_chunk(run *x, int i_chunk, td_err *err) {
    const td_perplexity_options *o = x->o;
    const td_vocab *vocab = td_tokenizer_vocab(td_engine_tokenizer(o->engine));
    memcpy(x->chunk, o->tokens + (size_t)i_chunk * (size_t)o->n_ctx,
           (size_t)o->n_ctx * sizeof *x->chunk);
    if (vocab->add_bos && vocab->bos >= 0) x->chunk[0] = vocab->bos;
    if (o->baseline)
        TD_TRY(td_engine_eval(o->baseline, x->chunk, o->n_ctx, x->first, keep_row, x, err));
    TD_TRY(td_engine_eval(o->engine, x->chunk, o->n_ctx, x->first, score_row, x, err));
    x->r->n_chunk++;
    return TD_OK;
}

static td_status take_memory(run *x, td_err *err) {
    const size_t n_scored = (size_t)(x->o->n_ctx - 1 - x->first);
    x->chunk = td_calloc((size_t)x->o->n_ctx, sizeof *x->chunk);
    if (!x->chunk) return td_fail_nomem(err, "a chunk", (size_t)x->o->n_ctx * sizeof *x->chunk);
    if (!x->o->baseline) return TD_OK;
    size_t bytes;
    TD_TRY(td_mul_size(&bytes, n_scored, (size_t)x->n_vocab * sizeof *x->rows, "logits", err));
    x->rows = td_malloc(bytes);
    return x->rows ? TD_OK : td_fail_nomem(err, "the logits of a chunk", bytes);
}

int td_perplexity_n_chunk(const td_perplexity_options *o) {
    const int n = o->n_token / o->n_ctx;
    return o->n_chunk > 0 && o->n_chunk < n ? o->n_chunk : n;
}

td_status td_perplexity_run(const td_perplexity_options *o, td_perplexity_result *r, td_err *err) {
    *r = (td_perplexity_result){0};
    if (o->n_ctx < 4)
        return td_fail(err, TD_ERR_ARGUMENT, "chunks of %d tokens, wanted 4 or more", o->n_ctx);
    if (o->n_token < o->n_ctx)
        return td_fail(err, TD_ERR_ARGUMENT,
                       "the text has %d tokens, wanted at least one chunk of %d", o->n_token,
                       o->n_ctx);
    td_engine_info info;
    td_engine_get_info(o->engine, &info);
    run x = {.o = o, .r = r, .n_vocab = info.n_vocab, .first = o->n_ctx / 2};
    td_status status = take_memory(&x, err);
    const int n_chunk = td_perplexity_n_chunk(o);
    bool go_on = true;
    for (int i = 0; i < n_chunk && go_on && status == TD_OK; i++) {
        status = run_chunk(&x, i, err);
        if (status == TD_OK && o->report) go_on = o->report(o->user, i, r);
    }
    td_free(x.rows);
    td_free(x.chunk);
    return status;
}
