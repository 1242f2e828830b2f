/* td_grammar_bench.c - how long masks take, over generations of a real model.
 *
 *     td-grammar-bench MODEL PROMPT N (-g|-s) FILE ...
 *
 * For each grammar (-g, GBNF) or JSON Schema (-s): the model answers the prompt with at most N
 * tokens, drawn at temperature 1 from what the mask allows, twice; then come the median, the
 * 99th percentile and the longest of the masks' times, in CPU time.  Without arguments it is
 * skipped. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "engine/engine.h"
#include "engine/random.h"
#include "text/grammar.h"

enum { N_RUN = 2, MAX_MASKS = 100000 };

static double times[MAX_MASKS];
static int n_time;

static void check(td_status status, const td_err *err) {
    if (status == TD_OK) return;
    fprintf(stderr, "%s\n", err->msg);
    exit(1);
}

/* Of this thread, so that others on the machine do not count. */
static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static char *read_file(const char *path, size_t *n) {
    FILE *f = fopen(path, "rb");
    char *text = malloc(1 << 20);
    if (!f || !text) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(1);
    }
    *n = fread(text, 1, 1 << 20, f);
    fclose(f);
    return text;
}

static int draw(const float *logits, const uint32_t *mask, int n, td_random *random) {
    double sum = 0, max = -INFINITY;
    for (int i = 0; i < n; i++)
        if (mask[i / 32] >> (i % 32) & 1 && (double)logits[i] > max) max = (double)logits[i];
    if (max == -INFINITY) return -1;
    for (int i = 0; i < n; i++)
        if (mask[i / 32] >> (i % 32) & 1) sum += exp((double)logits[i] - max);
    double at = td_random_double(random) * sum;
    int last = -1;
    for (int i = 0; i < n; i++) {
        if (!(mask[i / 32] >> (i % 32) & 1)) continue;
        last = i;
        at -= exp((double)logits[i] - max);
        if (at < 0) break;
    }
    return last;
}

static void generate(td_engine *e, td_matcher *m, const td_token_trie *trie, const char *prompt,
                     int n_max, uint64_t seed, bool show) {
    td_sequence *s;
    td_err err = {0};
    td_random random;
    td_random_seed(&random, seed);
    check(td_sequence_create(&s, e, NULL, &err), &err);
    check(td_sequence_append_text(s, prompt, TD_TOKENIZE_ADD_SPECIAL | TD_TOKENIZE_PARSE_SPECIAL,
                                  &err),
          &err);
    check(td_matcher_reset(m, &err), &err);
    for (int i = 0; i < n_max; i++) {
        int n_event;
        td_event event[1];
        const uint32_t *mask;
        check(td_sequence_generate(s, 0, &err), &err);
        while (td_sequence_is_active(s)) check(td_engine_step(e, event, 1, &n_event, &err), &err);
        const double t0 = cpu_seconds();
        check(td_matcher_mask(m, &mask, &err), &err);
        if (n_time < MAX_MASKS) times[n_time++] = cpu_seconds() - t0;
        const td_token token =
            draw(td_sequence_logits(s), mask, td_token_trie_n_token(trie), &random);
        if (token < 0 || td_engine_token_is_end(e, token)) break;
        check(td_matcher_accept(m, token, &err), &err);
        size_t n;
        const char *text = td_engine_token_text(e, token, false, &n);
        if (show) fwrite(text, 1, n, stderr);
        if (!td_matcher_can_continue(m)) break;
        if (td_sequence_append(s, &token, 1, &err) != TD_OK) break;
    }
    if (show) fputc('\n', stderr);
    td_sequence_free(s);
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void bench(td_engine *e, const td_token_trie *trie, const char *prompt, int n_max,
                  bool is_schema, const char *path) {
    size_t n;
    td_err err = {0};
    td_grammar *g;
    td_matcher *m;
    char *text = read_file(path, &n);
    const double t0 = td_clock_seconds();
    check(is_schema ? td_grammar_from_schema(&g, text, n, path, &err)
                    : td_grammar_from_gbnf(&g, text, n, path, td_engine_tokenizer(e), &err),
          &err);
    check(td_matcher_create(&m, g, trie, &err), &err);
    const double t1 = td_clock_seconds();
    n_time = 0;
    for (int i = 0; i < N_RUN; i++)
        generate(e, m, trie, prompt, n_max, (uint64_t)i + 1, getenv("SHOW") != NULL);
    qsort(times, (size_t)n_time, sizeof *times, by_value);
    printf("%-32s compiled in %6.3f ms, %5d masks: median %.4f p90 %.4f p99 %.4f max %.4f ms\n",
           strrchr(path, '/') ? strrchr(path, '/') + 1 : path, (t1 - t0) * 1e3, n_time,
           times[n_time / 2] * 1e3, times[n_time * 9 / 10] * 1e3, times[n_time * 99 / 100] * 1e3,
           times[n_time - 1] * 1e3);
    fflush(stdout);
    td_matcher_free(m);
    td_grammar_free(g);
    free(text);
}

int main(int argc, char **argv) {
    if (argc < 6) return 77;
    td_engine *e;
    td_err err = {0};
    td_token_trie *trie;
    check(td_engine_create(&e, &(td_engine_options){.model_path = argv[1], .n_thread = 2}, &err),
          &err);
    const double t0 = td_clock_seconds();
    check(td_token_trie_create(&trie, td_engine_tokenizer(e), &err), &err);
    printf("%d tokens, their tree made in %.0f ms\n", td_token_trie_n_token(trie),
           (td_clock_seconds() - t0) * 1e3);
    for (int i = 4; i + 1 < argc; i += 2)
        bench(e, trie, argv[2], atoi(argv[3]), strcmp(argv[i], "-s") == 0, argv[i + 1]);
    td_token_trie_free(trie);
    td_engine_free(e);
    return 0;
}
