/* test_linear_state.c - a model whose layers keep states: sequences that are cut back, saved,
 * loaded, interrupted and mixed with others go on as one that was left alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support/arch_model.h"
#include "tandem.h"

enum { N_PROMPT = 30, N_NEW = 40, N_ALL = N_PROMPT + N_NEW };
static arch_model model;
static char model_path[64], session_path[64];
static td_token wanted[N_ALL];

static td_engine *make_engine(int n_batch, int n_seq) {
    const td_engine_options o = {
        .model_path = model_path, .n_thread = 2, .n_batch = n_batch, .n_ctx = 128, .n_seq = n_seq};
    td_engine *e;
    td_err err;
    if (td_engine_create(&e, &o, &err) != TD_OK) fail_msg("%s", err.msg);
    return e;
}

static td_sequence *make_sequence(td_engine *e, int n_prompt) {
    td_sequence *s;
    td_err err;
    const td_sequence_options o = {.ignore_end = true};
    if (td_sequence_create(&s, e, &o, &err) != TD_OK) fail_msg("%s", err.msg);
    assert_int_equal(td_sequence_append(s, model.tokens, n_prompt, NULL), TD_OK);
    return s;
}

/* Steps until s has its tokens; cancel: three of the steps are cancelled, in the prompt and after.
 */
static void finish(td_engine *e, td_sequence *s, int n, bool cancel) {
    td_err err;
    assert_int_equal(td_sequence_generate(s, n, NULL), TD_OK);
    for (int i = 0; td_sequence_is_active(s); i++) {
        td_event events[4];
        int n_event;
        const bool cancelled = cancel && (i == 2 || i == 3 || i == 20);
        if (cancelled) td_engine_cancel(e);
        const td_status status = td_engine_step(e, events, 4, &n_event, &err);
        if (cancelled)
            assert_int_equal(status, TD_ERR_CANCELLED);
        else if (status != TD_OK)
            fail_msg("%s", err.msg);
    }
}

static void assert_wanted(const td_sequence *s, int n) {
    int found;
    const td_token *tokens = td_sequence_tokens(s, &found);
    assert_int_equal(found, n);
    assert_memory_equal(tokens, wanted, (size_t)n * sizeof *tokens);
}

static int setup(void **state) {
    (void)state;
    snprintf(model_path, sizeof model_path, "/tmp/td-test-state-%ld.gguf", (long)getpid());
    snprintf(session_path, sizeof session_path, "/tmp/td-test-state-%ld.tds", (long)getpid());
    arch_model_load(&model, "qwen3_next_grouped");
    arch_model_write_gguf(&model, model_path);
    td_engine *e = make_engine(64, 1);
    td_sequence *s = make_sequence(e, N_PROMPT);
    finish(e, s, N_NEW, false);
    int n;
    const td_token *tokens = td_sequence_tokens(s, &n);
    assert_int_equal(n, N_ALL);
    memcpy(wanted, tokens, sizeof wanted);
    td_engine_free(e);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    unlink(model_path);
    unlink(session_path);
    arch_model_clear(&model);
    return 0;
}

static void test_cut_back(void **state) {
    (void)state;
    static const int lengths[] = {N_ALL - 1, N_PROMPT + 5, N_PROMPT, 1, N_ALL};
    td_engine *e = make_engine(7, 1);
    td_sequence *s = make_sequence(e, N_PROMPT);
    finish(e, s, N_NEW, false);
    assert_wanted(s, N_ALL);
    for (int i = 0; i < (int)(sizeof lengths / sizeof *lengths); i++) {
        int n = lengths[i];
        assert_int_equal(td_sequence_truncate(s, n, NULL), TD_OK);
        for (; n < N_PROMPT; n++)
            assert_int_equal(td_sequence_append(s, wanted + n, 1, NULL), TD_OK);
        if (n < N_ALL) finish(e, s, N_ALL - n, false);
        assert_wanted(s, N_ALL);
    }
    td_engine_free(e);
}

static void test_interrupted(void **state) {
    (void)state;
    td_engine *e = make_engine(7, 1);
    td_sequence *s = make_sequence(e, N_PROMPT);
    finish(e, s, N_NEW, true);
    assert_wanted(s, N_ALL);
    td_engine_free(e);
}

static void test_mixed(void **state) {
    (void)state;
    td_engine *e = make_engine(5, 3);
    td_sequence *a = make_sequence(e, 11), *s = make_sequence(e, N_PROMPT);
    td_sequence *b = make_sequence(e, 1);
    assert_int_equal(td_sequence_generate(a, 60, NULL), TD_OK);
    assert_int_equal(td_sequence_generate(b, 20, NULL), TD_OK);
    finish(e, s, N_NEW, false);
    assert_wanted(s, N_ALL);
    td_engine_free(e);
}

static void test_saved(void **state) {
    (void)state;
    td_err err;
    for (int n = 0; n < 12; n += 11) {
        td_engine *a = make_engine(64, 1), *b = make_engine(4, 2);
        td_sequence *s = make_sequence(a, N_PROMPT);
        if (n > 0) finish(a, s, n, false);
        if (td_sequence_save(s, session_path, &err) != TD_OK) fail_msg("%s", err.msg);
        td_engine_free(a);
        td_sequence *other = make_sequence(b, 3), *t = make_sequence(b, 9);
        finish(b, other, 5, false);
        finish(b, t, 5, false);
        if (td_sequence_load(t, session_path, &err) != TD_OK) fail_msg("%s", err.msg);
        assert_wanted(t, N_PROMPT + n);
        finish(b, t, N_NEW - n, false);
        assert_wanted(t, N_ALL);
        td_engine_free(b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_back),
        cmocka_unit_test(test_interrupted),
        cmocka_unit_test(test_mixed),
        cmocka_unit_test(test_saved),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
