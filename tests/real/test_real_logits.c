/* test_real_logits.c - exact mode on real models against Hugging Face transformers in float32.
 *
 * The fixtures are digests made by tests/golden/make_real.py: every position's log-sum-exp and
 * argmax, and the largest and some fixed logits of every third.  TANDEM_TEST_SMOLLM2 and
 * TANDEM_TEST_GEMMA3 name the model files; without one its test is skipped. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tandem.h"
#include "engine/engine.h"
#include "support/fixture.h"

static const double TOLERANCE = 1e-3; /* five times what it measures */
static const float ARGMAX_LEAD = 1e-2F;

/* One prompt of a fixture. */
typedef struct digest {
    const char *name;
    int n_vocab, n_token, n_row, n_top, n_probe;
    int32_t *tokens;
    float *lse, *lead; /* [n_token]; lead: of the largest logit over the second */
    int32_t *argmax;   /* [n_token] */
    int32_t *rows;     /* [n_row] the positions that the following are of, ascending */
    int32_t *top_ids;  /* [n_row][n_top] */
    float *top_values;
    int32_t *probes;     /* [n_probe] token ids */
    float *probe_values; /* [n_row][n_probe] */
    /* the comparison so far */
    int i_row;
    double worst;
} digest;

static void digest_read(digest *d, const json_t *prompt, int n_vocab) {
    *d = (digest){.name = fixture_string(prompt, "name"), .n_vocab = n_vocab};
    d->tokens = fixture_ints(prompt, "tokens", &d->n_token);
    d->rows = fixture_ints(prompt, "rows", &d->n_row);
    d->probes = fixture_ints(prompt, "probes", &d->n_probe);
    d->n_top = fixture_int(prompt, "n_top");
    size_t n = (size_t)d->n_token, n_row = (size_t)d->n_row;
    d->lse = fixture_floats_base64(prompt, "lse", n);
    d->lead = fixture_floats_base64(prompt, "lead", n);
    d->argmax = fixture_ints_base64(prompt, "argmax", n);
    d->top_ids = fixture_ints_base64(prompt, "top_ids", n_row * (size_t)d->n_top);
    d->top_values = fixture_floats_base64(prompt, "top_values", n_row * (size_t)d->n_top);
    d->probe_values = fixture_floats_base64(prompt, "probe_values", n_row * (size_t)d->n_probe);
}

static void digest_clear(digest *d) {
    free(d->tokens);
    free(d->rows);
    free(d->probes);
    free(d->lse);
    free(d->lead);
    free(d->argmax);
    free(d->top_ids);
    free(d->top_values);
    free(d->probe_values);
}

static void compare(digest *d, int i_position, const char *what, int token, double want,
                    double got) {
    double difference = fabs(got - want);
    if (!(difference <= TOLERANCE))
        fail_msg("%s, position %d, %s %d: %.6f, wanted %.6f", d->name, i_position, what, token, got,
                 want);
    d->worst = fmax(d->worst, difference);
}

static td_status compare_position(void *user, int i_position, const float *logits, td_err *err) {
    digest *d = user;
    (void)err;
    int best = 0;
    for (int i = 1; i < d->n_vocab; i++)
        if (logits[i] > logits[best]) best = i;
    double sum = 0;
    for (int i = 0; i < d->n_vocab; i++) sum += exp((double)logits[i] - (double)logits[best]);
    compare(d, i_position, "log-sum-exp", -1, (double)d->lse[i_position],
            (double)logits[best] + log(sum));
    if (d->lead[i_position] > ARGMAX_LEAD) assert_int_equal(best, d->argmax[i_position]);

    if (d->i_row == d->n_row || d->rows[d->i_row] != i_position) return TD_OK;
    size_t row = (size_t)d->i_row++;
    for (int i = 0; i < d->n_top; i++) {
        size_t at = row * (size_t)d->n_top + (size_t)i;
        compare(d, i_position, "token", d->top_ids[at], (double)d->top_values[at],
                (double)logits[d->top_ids[at]]);
    }
    for (int i = 0; i < d->n_probe; i++)
        compare(d, i_position, "token", d->probes[i],
                (double)d->probe_values[row * (size_t)d->n_probe + (size_t)i],
                (double)logits[d->probes[i]]);
    return TD_OK;
}

/* The fixture's ids came from another tokenizer: ours must give the same for the same text. */
static void compare_tokens(const td_engine *engine, const digest *d) {
    char path[1024];
    snprintf(path, sizeof path, "%s/tests/data/%s.txt", TD_SOURCE_DIR, d->name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    enum { MAX_TEXT = 1 << 20 };
    char *text = malloc(MAX_TEXT);
    assert_non_null(text);
    size_t n_text = fread(text, 1, MAX_TEXT, f);
    fclose(f);
    td_token *tokens = NULL;
    int n_token = 0;
    td_err err = {0};
    if (td_engine_tokenize(engine, text, n_text, TD_TOKENIZE_ADD_SPECIAL, &tokens, &n_token,
                           &err) != TD_OK)
        fail_msg("%s", err.msg);
    assert_true(n_token >= d->n_token);
    for (int i = 0; i < d->n_token; i++)
        if (tokens[i] != d->tokens[i])
            fail_msg("%s: token %d is %d, wanted %d", path, i, tokens[i], d->tokens[i]);
    td_tokens_free(tokens);
    free(text);
}

static void test_model(void **state) {
    const char *name = *state;
    const char *variable =
        strcmp(name, "smollm2") == 0 ? "TANDEM_TEST_SMOLLM2" : "TANDEM_TEST_GEMMA3";
    const char *model_path = getenv(variable);
    if (model_path == NULL || model_path[0] == '\0') {
        print_message("%s is not set\n", variable);
        skip();
    }
    char fixture_name[64];
    snprintf(fixture_name, sizeof fixture_name, "real/%s", name);
    json_t *root = fixture_open(fixture_name);
    const json_t *prompts = json_object_get(root, "prompts");
    assert_true(json_array_size(prompts) > 0);

    td_engine *engine = NULL;
    td_err err = {0};
    td_engine_options options = {.model_path = model_path, .mode = TD_MODE_EXACT, .n_ctx = 1024};
    if (td_engine_create(&engine, &options, &err) != TD_OK) fail_msg("%s", err.msg);
    td_engine_info info;
    td_engine_get_info(engine, &info);
    assert_int_equal(info.n_vocab, fixture_int(root, "n_vocab"));

    for (size_t i = 0; i < json_array_size(prompts); i++) {
        digest d;
        digest_read(&d, json_array_get(prompts, i), info.n_vocab);
        if (td_engine_eval(engine, d.tokens, d.n_token, 0, compare_position, &d, &err) != TD_OK)
            fail_msg("%s", err.msg);
        assert_int_equal(d.i_row, d.n_row);
        print_message("%s, %s: %d positions, max |difference| %.1e\n", name, d.name, d.n_token,
                      d.worst);
        compare_tokens(engine, &d);
        digest_clear(&d);
    }
    td_engine_free(engine);
    json_decref(root);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        {.name = "smollm2", .test_func = test_model, .initial_state = (void *)"smollm2"},
        {.name = "gemma3",  .test_func = test_model, .initial_state = (void *)"gemma3" },
    };
    return cmocka_run_group_tests_name("real_logits", tests, NULL, NULL);
}
