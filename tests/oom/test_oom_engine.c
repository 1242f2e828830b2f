/* test_oom_engine.c - the n-th allocation fails, for every n, over load, template, run and free:
 * each time an error, never a crash or a leak (LeakSanitizer watches in the sanitizer builds). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "support/arch_model.h"
#include "support/tiny_model.h"
#include "tandem.h"

static const char chat[] =
    "{% for m in messages %}{{ '<' + m.role + '>' + m.content }}{% endfor %}";

static td_status prompt_and_run(td_engine *e, td_err *err) {
    static const char *const stops[] = {"never", "appears"};
    const td_sequence_options o = {
        .sampler = {.temperature = 0.7f, .top_k = 5, .dry_multiplier = 1},
        .stops = stops,
        .n_stop = 2
    };
    const td_message message = {"user", "ab ba"};
    const td_template_options t = {.source = chat, .vars_json = "{\"x\": [1, \"y\"]}"};
    td_sequence *s;
    char *prompt;
    TD_TRY(td_sequence_create(&s, e, &o, err));
    TD_TRY(td_engine_apply_template(e, &message, 1, &t, &prompt, err));
    const td_status status = td_sequence_append_text(
        s, prompt, TD_TOKENIZE_ADD_SPECIAL | TD_TOKENIZE_PARSE_SPECIAL, err);
    td_string_free(prompt);
    TD_TRY(status);
    TD_TRY(td_sequence_generate(s, 3, err));
    while (td_sequence_is_active(s)) {
        td_event events[2];
        int n;
        TD_TRY(td_engine_step(e, events, 2, &n, err));
    }
    return TD_OK;
}

static td_status load_and_run(const char *path, td_mode mode, td_err *err) {
    td_engine *e;
    const td_engine_options o = {
        .model_path = path, .n_thread = 2, .n_seq = 2, .n_ctx = 64, .mode = mode};
    TD_TRY(td_engine_create(&e, &o, err));
    const td_status status = prompt_and_run(e, err);
    td_engine_free(e);
    return status;
}

static void fail_each(const char *fixture, const char *path, td_mode mode) {
    td_err err = {0};
    if (load_and_run(path, mode, &err) != TD_OK) fail_msg("without a fault: %s", err.msg);
    int64_t n = 1;
    for (;; n++) {
        td_alloc_fault_set(n);
        const td_status status = load_and_run(path, mode, &err);
        const bool reached = td_alloc_fault_count() >= n;
        td_alloc_fault_set(0);
        if (!reached) {
            assert_int_equal(status, TD_OK);
            break;
        }
        /* a hint that could not be kept (a JIT stack, say) may be done without */
        if (status != TD_OK && status != TD_ERR_NOMEM)
            fail_msg("allocation %lld: %s: %s", (long long)n, td_status_text(status), err.msg);
    }
    print_message("%s: %lld allocations, each failed once\n", fixture, (long long)n - 1);
    assert_true(n > 20);
}

static void fail_each_of_tiny(const char *fixture, td_dtype dtype, td_mode mode) {
    char path[64];
    snprintf(path, sizeof path, "/tmp/td-test-oom-%ld.gguf", (long)getpid());
    tiny_model tiny;
    tiny_model_load(&tiny, fixture);
    tiny_model_write(&tiny, dtype, false, path);
    tiny_model_clear(&tiny);
    fail_each(fixture, path, mode);
    unlink(path);
}

static void fail_each_of_arch(const char *fixture) {
    char path[64];
    snprintf(path, sizeof path, "/tmp/td-test-oom-%ld.gguf", (long)getpid());
    arch_model m;
    arch_model_load(&m, fixture);
    arch_model_write_gguf(&m, path);
    arch_model_clear(&m);
    fail_each(fixture, path, TD_MODE_NATIVE);
    unlink(path);
}

static void test_llama_native(void **state) {
    (void)state;
    fail_each_of_tiny("llama_grouped", TD_DTYPE_Q8_0, TD_MODE_NATIVE);
}

static void test_gemma3_exact(void **state) {
    (void)state;
    fail_each_of_tiny("gemma3_period3", TD_DTYPE_F16, TD_MODE_EXACT);
}

/* Experts, latent attention. */
static void test_deepseek(void **state) {
    (void)state;
    fail_each_of_arch("deepseek_v3_one_expert");
}

/* Experts, states of linear attention. */
static void test_qwen3_next(void **state) {
    (void)state;
    fail_each_of_arch("qwen3_next_legacy_mtp");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_llama_native),
        cmocka_unit_test(test_gemma3_exact),
        cmocka_unit_test(test_deepseek),
        cmocka_unit_test(test_qwen3_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
