/* test_mla_forms.c - the two forms of MLA in whole models: with materialized prompts, exact mode
 * gives the logits that it gives without; and which form a token takes follows from where it came
 * from.
 *
 * Every fixture of archs/ whose configuration has latent keys and values. */
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

#include "engine/engine_int.h"
#include "golden/arch_run.h"

enum { N_PROMPT = 20, N_GENERATE = 8, MAX_VOCAB = 512 };

static const float TOLERANCE = 1e-4f; /* of logits in exact mode */

/* ---- the same logits ---- */

static void test_same_logits(void **state) {
    char dir[] = "/tmp/td_mla_XXXXXX";
    td_engine_options options = {.mode = TD_MODE_EXACT, .n_thread = 2, .n_batch = 64};
    arch_model m;
    float worst = 0;
    arch_model_load(&m, *state);
    assert_non_null(mkdtemp(dir));
    arch_model_write_folder(&m, (arch_folder_options){0}, dir);
    float *absorbed = arch_run_with(&m, dir, options);
    options.materialize_prompt = true;
    float *materialized = arch_run_with(&m, dir, options);
    const int n = m.n_position * m.n_vocab;
    for (int i = 0; i < n; i++) worst = fmaxf(worst, fabsf(absorbed[i] - materialized[i]));
    print_message("%s: max |difference| %.1e\n", m.name, (double)worst);
    for (int i = 0; i < n; i++) assert_true(fabsf(absorbed[i] - materialized[i]) <= TOLERANCE);
    /* The same bits would mean that the option does nothing. */
    assert_memory_not_equal(absorbed, materialized, (size_t)n * sizeof *absorbed);
    free(absorbed);
    free(materialized);
    arch_model_remove_folder(dir);
    arch_model_clear(&m);
}

/* ---- the form follows from the role ---- */

static const char *const role_model = "deepseek_v3_kimi_k2"; /* several layers of MLA */
static char path[] = "/tmp/td_mla_XXXXXX";

static td_engine *make_engine(int n_batch, td_mode mode) {
    td_engine *e;
    td_err err;
    const td_engine_options options = {.model_path = path,
                                       .mode = mode,
                                       .n_thread = 2,
                                       .n_batch = n_batch,
                                       .n_ctx = 64,
                                       .n_seq = 1,
                                       .materialize_prompt = true};
    if (td_engine_create(&e, &options, &err) != TD_OK) fail_msg("%s", err.msg);
    return e;
}

/* The logits from which each token was sampled, and the tokens. */
typedef struct generation {
    float logits[N_GENERATE][MAX_VOCAB];
    td_token tokens[N_PROMPT + N_GENERATE];
} generation;

static void generate(const arch_model *m, int n_batch, td_mode mode, generation *g) {
    td_engine *e = make_engine(n_batch, mode);
    td_sequence *s;
    td_event event;
    td_err err;
    const td_sequence_options options = {.ignore_end = true}; /* greedy, by default */
    int n = 0;
    assert_int_equal(td_sequence_create(&s, e, &options, &err), TD_OK);
    assert_int_equal(td_sequence_append(s, m->tokens, N_PROMPT, &err), TD_OK);
    assert_int_equal(td_sequence_generate(s, N_GENERATE, &err), TD_OK);
    while (td_sequence_is_active(s)) {
        int n_event, n_token;
        if (td_engine_step(e, &event, 1, &n_event, &err) != TD_OK) fail_msg("%s", err.msg);
        (void)td_sequence_tokens(s, &n_token);
        if (n_token == N_PROMPT) continue; /* the prompt goes on */
        assert_true(n < N_GENERATE);
        memcpy(g->logits[n++], td_sequence_logits(s), (size_t)m->n_vocab * sizeof(float));
    }
    int n_token;
    const td_token *tokens = td_sequence_tokens(s, &n_token);
    assert_int_equal(n, N_GENERATE);
    assert_int_equal(n_token, N_PROMPT + N_GENERATE);
    memcpy(g->tokens, tokens, sizeof g->tokens);
    td_engine_free(e);
}

/* All the tokens in one forward pass, the first n_prompt being told to have come in: the logits
 * from which each of the others was sampled. */
static void evaluate(const arch_model *m, td_mode mode, int n_prompt, const generation *of,
                     generation *g) {
    td_engine *e = make_engine(64, mode);
    const int n = N_PROMPT + N_GENERATE - 1;
    td_err err;
    for (int i = 0; i < n; i++) {
        e->batch_token[i] = of->tokens[i];
        e->batch_position[i] = i;
        e->batch_sequence[i] = 0;
        e->batch_length[i] = n;
        e->batch_is_prompt[i] = i < n_prompt;
    }
    td_kv_cache_reserve(e->kv, 0, 0, n);
    if (td_engine_forward(e, n, &err) != TD_OK) fail_msg("%s", err.msg);
    for (int i = 0; i < N_GENERATE; i++) {
        const int row = N_PROMPT - 1 + i;
        td_engine_logits(e, &row, 1);
        memcpy(g->logits[i], e->logits, (size_t)m->n_vocab * sizeof(float));
    }
    td_engine_free(e);
}

static bool same_bits(const arch_model *m, const generation *a, const generation *b, int i) {
    return memcmp(a->logits[i], b->logits[i], (size_t)m->n_vocab * sizeof(float)) == 0;
}

static void test_roles(void **state) {
    static generation stepped, told, all_prompt, none;
    const int cuts[] = {1, 7, 64};
    arch_model m;
    (void)state;
    arch_model_load(&m, role_model);
    assert_true(m.n_vocab <= MAX_VOCAB && m.n_token >= N_PROMPT);
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    arch_model_write_gguf(&m, path);
    for (int i = 0; i < 6; i++) {
        const td_mode mode = i < 3 ? TD_MODE_EXACT : TD_MODE_NATIVE;
        const int last = N_GENERATE - 1;
        generate(&m, cuts[i % 3], mode, &stepped);
        evaluate(&m, mode, N_PROMPT, &stepped, &told);
        evaluate(&m, mode, N_PROMPT + N_GENERATE, &stepped, &all_prompt);
        evaluate(&m, mode, 0, &stepped, &none);
        for (int j = 0; j < N_GENERATE; j++) assert_true(same_bits(&m, &stepped, &told, j));
        /* Which the other roles would not give. */
        assert_true(same_bits(&m, &stepped, &all_prompt, 0));
        assert_false(same_bits(&m, &stepped, &all_prompt, last));
        assert_false(same_bits(&m, &stepped, &none, 0));
        assert_false(same_bits(&m, &stepped, &none, last));
    }
    unlink(path);
    arch_model_clear(&m);
}

/* ---- the program ---- */

static bool has_mla(const char *name) {
    arch_model m;
    arch_model_load(&m, name);
    const json_t *config = json_object_get(m.root, "config");
    /* A sparse indexer's model runs up to so many tokens, which test_archs knows. */
    const json_int_t most = json_integer_value(json_object_get(config, "index_topk"));
    const bool has = json_object_get(config, "kv_lora_rank") && (most == 0 || most >= m.n_token);
    arch_model_clear(&m);
    return has;
}

int main(void) {
    int n_model;
    size_t n = 0;
    char **models = arch_model_list(&n_model);
    struct CMUnitTest *tests = calloc((size_t)n_model + 1, sizeof *tests);
    if (!tests) return 1;
    for (int i = 0; i < n_model; i++)
        if (has_mla(models[i]))
            tests[n++] = (struct CMUnitTest){
                .name = models[i], .test_func = test_same_logits, .initial_state = models[i]};
    tests[n++] = (struct CMUnitTest){.name = "roles", .test_func = test_roles};
    const int n_failed = n > 1 ? _cmocka_run_group_tests("mla_forms", tests, n, NULL, NULL) : 1;
    for (int i = 0; i < n_model; i++) free(models[i]);
    free(models);
    free(tests);
    return n_failed;
}
