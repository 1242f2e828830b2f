/* test_mixtures_native.c - mixtures of experts in integer arithmetic: with Q8_0 weights, native
 * mode stays near exact mode on the same file.
 *
 * Every mixture of archs/ is written as a GGUF file in F32, quantized by td_quantize_run, and
 * evaluated in both modes.  A fixture's argument on the command line evaluates that one alone. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "golden/arch_run.h"
#include "jobs/perplexity.h"
#include "jobs/quantize_model.h"

/* KL(exact || native): in the mean over all positions of all fixtures, and of each fixture in the
 * median.  Where two experts' scores are close, int8 activations may choose the other one, which
 * changes a tiny random model's answer altogether: the mean of one fixture is a matter of how many
 * of its few tokens that happens to (docs/ACCURACY.md has the figures). */
static const double MAX_KL = 0.02;
static td_mean of_all;

static void temp_path(char path[64], int n) {
    snprintf(path, 64, "/tmp/td_mixture_%ld_%d.gguf", (long)getpid(), n);
}

/* Whether some metadata of a file counts experts. */
static bool is_mixture(const char *path) {
    static const char key[] = ".expert_count";
    td_checkpoint *ckpt;
    td_err err;
    bool found = false;
    if (td_checkpoint_open(&ckpt, path, &err) != TD_OK) fail_msg("%s", err.msg);
    for (size_t i = 0; i < td_checkpoint_n_meta(ckpt); i++) {
        const td_meta *meta = td_checkpoint_meta_at(ckpt, i);
        const char *end = strstr(meta->key, key);
        found |= end && strcmp(end, key) == 0 && td_meta_int(meta, 0) > 0;
    }
    td_checkpoint_close(ckpt);
    return found;
}

static void quantize(const char *from, const char *to) {
    td_checkpoint *ckpt = NULL;
    td_quantize_source source;
    td_quantize_result r;
    td_err err;
    td_quantize_options o = {.source = &source, .path = to, .n_thread = 2};
    o.mix.output_dtype = o.mix.token_embd_dtype = -1;
    if (td_mix_find(&o.mix.mix, "Q8_0", &err) != TD_OK ||
        td_checkpoint_open(&ckpt, from, &err) != TD_OK)
        fail_msg("%s", err.msg);
    if (td_quantize_gguf_open(&source, ckpt, &err) != TD_OK ||
        td_quantize_run(&o, &r, &err) != TD_OK)
        fail_msg("%s", err.msg);
    assert_true(r.n_quantized > 0);
    td_quantize_gguf_close(&source);
    td_checkpoint_close(ckpt);
}

/* Has the fixture's runs give the logits of all positions. */
static void want_all_positions(arch_model *m) {
    free(m->positions);
    m->positions = calloc((size_t)m->n_token, sizeof *m->positions);
    assert_non_null(m->positions);
    for (int i = 0; i < m->n_token; i++) m->positions[i] = i;
    m->n_position = m->n_token;
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void compare_modes(arch_model *m, const char *path) {
    td_engine_options options = {.mode = TD_MODE_EXACT, .n_thread = 2, .n_batch = 64};
    td_mean kl = {0}, same = {0};
    want_all_positions(m);
    double *each = calloc((size_t)m->n_position, sizeof *each);
    assert_non_null(each);
    float *exact = arch_run_with(m, path, options);
    options.mode = TD_MODE_NATIVE;
    float *native = arch_run_with(m, path, options);
    for (int i = 0; i < m->n_position; i++) {
        const float *p = exact + i * m->n_vocab, *q = native + i * m->n_vocab;
        each[i] = td_kl(p, q, m->n_vocab);
        td_mean_add(&kl, each[i]);
        td_mean_add(&of_all, each[i]);
        td_mean_add(&same, td_same_argmax(p, q, m->n_vocab));
    }
    qsort(each, (size_t)m->n_position, sizeof *each, by_value);
    const double median = each[m->n_position / 2], worst = each[m->n_position - 1];
    print_message("%s as Q8_0: KL mean %.2e, median %.2e, largest %.2e, the same argmax %.0f %%\n",
                  m->name, td_mean_value(&kl), median, worst, 100 * td_mean_value(&same));
    free(each);
    free(exact);
    free(native);
    assert_true(median <= MAX_KL && isfinite(worst));
}

/* Runs last. */
static void test_all_together(void **state) {
    (void)state;
    print_message("all mixtures: KL mean %.2e\n", td_mean_value(&of_all));
    assert_true(td_mean_value(&of_all) <= MAX_KL);
}

static void test_mixture(void **state) {
    char floats[64], blocks[64];
    td_engine *engine;
    td_err err;
    arch_model m;
    temp_path(floats, 0);
    temp_path(blocks, 1);
    arch_model_load(&m, *state);
    arch_model_write_gguf(&m, floats);
    const td_status status = arch_open_engine(&engine, &m, floats, &err);
    if (status == TD_OK) {
        td_engine_free(engine);
        quantize(floats, blocks);
        compare_modes(&m, blocks);
        unlink(blocks);
    } else if (status != TD_ERR_UNSUPPORTED) { /* test_archs knows which ones are that */
        fail_msg("%s: %s", m.name, err.msg);
    }
    unlink(floats);
    arch_model_clear(&m);
    if (status != TD_OK) skip();
}

/* Whether the fixture is one with experts and a GGUF file. */
static bool is_wanted(const char *name) {
    char path[64];
    arch_model m;
    bool wanted = false;
    arch_model_load(&m, name);
    temp_path(path, 0);
    if (m.has_gguf) {
        arch_model_write_gguf(&m, path);
        wanted = is_mixture(path);
        unlink(path);
    }
    arch_model_clear(&m);
    return wanted;
}

int main(int argc, char **argv) {
    int n_model;
    size_t n = 0;
    char **models = arch_model_list(&n_model);
    struct CMUnitTest *tests = calloc((size_t)n_model + 1, sizeof *tests);
    if (!tests) return 1;
    for (int i = 0; i < n_model; i++) {
        if (argc > 1 && strcmp(models[i], argv[1]) != 0) continue;
        if (is_wanted(models[i]))
            tests[n++] = (struct CMUnitTest){
                .name = models[i], .test_func = test_mixture, .initial_state = models[i]};
    }
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_all_together);
    const int n_failed = n > 1 ? _cmocka_run_group_tests("mixtures", tests, n, NULL, NULL) : 1;
    for (int i = 0; i < n_model; i++) free(models[i]);
    free(models);
    free(tests);
    return n_failed;
}
