/* test_archs.c - every architecture against Hugging Face transformers, as a folder and as a GGUF
 * file.
 *
 * Exact mode must give the logits of the fixtures in tests/golden/archs (make_archs.py) from the
 * safetensors folder, with config.json in the new and in the old style, and from the file that
 * llama.cpp's converter makes of it.
 *
 *     test_archs --write NAME gguf FILE       writes a fixture as a GGUF file
 *     test_archs --write NAME folder DIR      ... as a folder
 *     test_archs --write NAME old DIR         ... with an old-style config.json */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tandem.h"
#include "engine/engine.h"
#include "golden/arch_run.h"

static const float MIN_GAP = 4; /* of the two largest logits in tolerances, to compare argmax */

/* What this build does not run yet: beginnings of fixtures' names.  Files of these must be refused
 * with TD_ERR_UNSUPPORTED; folders must be refused. */
static const char *const unsupported_gguf[] = {"deepseek_v32_sparse", NULL};
static const char *const unsupported_folder[] = {"deepseek_v32_sparse", NULL};

static bool is_listed(const char *const *list, const char *name) {
    for (; *list != NULL; list++)
        if (strncmp(name, *list, strlen(*list)) == 0) return true;
    return false;
}

/* ---- comparing ---- */

static int argmax(const float *x, int n) {
    int best = 0;
    for (int i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

/* How far the largest is above the second. */
static float top_gap(const float *x, int n) {
    int best = argmax(x, n);
    float second = -INFINITY;
    for (int i = 0; i < n; i++)
        if (i != best && x[i] > second) second = x[i];
    return x[best] - second;
}

static void compare(const arch_model *m, const char *form, const float *want, const float *got) {
    float worst = 0;
    for (int p = 0; p < m->n_position; p++) {
        const float *a = want + p * m->n_vocab, *b = got + p * m->n_vocab;
        for (int i = 0; i < m->n_vocab; i++) {
            float difference = fabsf(a[i] - b[i]);
            if (!(difference <= m->tolerance))
                fail_msg("%s, %s: position %d, token %d: %g, wanted %g", m->name, form,
                         m->positions[p], i, (double)b[i], (double)a[i]);
            worst = fmaxf(worst, difference);
        }
        if (top_gap(a, m->n_vocab) > MIN_GAP * m->tolerance)
            assert_int_equal(argmax(a, m->n_vocab), argmax(b, m->n_vocab));
    }
    print_message("%s, %s: max |difference| %.1e\n", m->name, form, (double)worst);
}

/* ---- the tests ---- */

static void check_refused(const arch_model *m, const char *path, bool as_unsupported) {
    td_engine *engine = NULL;
    td_err err = {0};
    td_status status = arch_open_engine(&engine, m, path, &err);
    if (status == TD_OK) {
        td_engine_free(engine);
        fail_msg("%s runs now: take it off the list", m->name);
    }
    if (as_unsupported && status != TD_ERR_UNSUPPORTED)
        fail_msg("%s: refused, but not as unsupported: %s", m->name, err.msg);
}

static void test_gguf(void **state) {
    char path[] = "/tmp/td_arch_XXXXXX";
    arch_model m;
    arch_model_load(&m, *state);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    arch_model_write_gguf(&m, path);
    if (is_listed(unsupported_gguf, m.name)) {
        check_refused(&m, path, true);
    } else {
        float *logits = arch_run(&m, path);
        compare(&m, "GGUF", m.gguf_logits, logits);
        free(logits);
    }
    unlink(path);
    arch_model_clear(&m);
}

/* The logits of a folder written with the options, or NULL where it must be and is refused. */
static float *run_folder(const arch_model *m, arch_folder_options options) {
    char dir[] = "/tmp/td_arch_XXXXXX";
    float *logits = NULL;
    assert_non_null(mkdtemp(dir));
    uint64_t fingerprint = arch_model_write_folder(m, options, dir);
    assert_true(fingerprint == m->fingerprint); /* else these are not the oracle's weights */
    if (is_listed(unsupported_folder, m->name))
        check_refused(m, dir, false);
    else
        logits = arch_run(m, dir);
    arch_model_remove_folder(dir);
    return logits;
}

static void test_folder(void **state) {
    arch_model m;
    arch_model_load(&m, *state);
    for (int old = 0; old <= m.has_old_config; old++) {
        float *logits = run_folder(&m, (arch_folder_options){.old_config = old});
        if (logits != NULL) compare(&m, old ? "folder, old style" : "folder", m.logits, logits);
        free(logits);
    }
    arch_model_clear(&m);
}

/* The same weights as one file of F32 and as several of BF16 mean the same. */
static void test_shards(void **state) {
    arch_model m;
    arch_model_load(&m, *state);
    float *want = run_folder(&m, (arch_folder_options){.dtype = ARCH_BF16_AS_F32});
    for (int n_shard = 1; n_shard <= 3; n_shard++) {
        float *got = run_folder(&m, (arch_folder_options){.dtype = ARCH_BF16, .n_shard = n_shard});
        if (want != NULL) compare(&m, "BF16 folder", want, got);
        free(got);
    }
    free(want);
    arch_model_clear(&m);
}

/* ---- the program ---- */

static int write_model(const char *name, const char *form, const char *path) {
    arch_model m;
    arch_model_load(&m, name);
    if (strcmp(form, "gguf") == 0) {
        arch_model_write_gguf(&m, path);
    } else {
        mkdir(path, 0777);
        arch_model_write_folder(&m, (arch_folder_options){.old_config = strcmp(form, "old") == 0},
                                path);
    }
    arch_model_clear(&m);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 5 && strcmp(argv[1], "--write") == 0) return write_model(argv[2], argv[3], argv[4]);
    int n_model;
    size_t n = 0;
    char **models = arch_model_list(&n_model);
    struct CMUnitTest *tests = calloc((size_t)n_model * 2 + 1, sizeof *tests);
    char(*names)[96] = calloc((size_t)n_model * 2 + 1, sizeof *names);
    if (tests == NULL || names == NULL || n_model == 0) return 1;
    for (int i = 0; i < n_model; i++) {
        arch_model m;
        arch_model_load(&m, models[i]);
        for (int form = 0; form < 2; form++) {
            if (form == 1 && !m.has_gguf) continue;
            snprintf(names[n], sizeof names[n], "%s_%s", form == 0 ? "folder" : "gguf", models[i]);
            tests[n] = (struct CMUnitTest){.name = names[n],
                                           .test_func = form == 0 ? test_folder : test_gguf,
                                           .initial_state = models[i]};
            n++;
        }
        arch_model_clear(&m);
    }
    tests[n++] = (struct CMUnitTest){
        .name = "shards_llama_grouped", .test_func = test_shards, .initial_state = "llama_grouped"};
    int n_failed = _cmocka_run_group_tests("archs", tests, n, NULL, NULL);
    for (int i = 0; i < n_model; i++) free(models[i]);
    free(models);
    free(tests);
    free(names);
    return n_failed;
}
