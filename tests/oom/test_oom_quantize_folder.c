/* test_oom_quantize_folder.c - the n-th allocation fails, for every n, while a folder is written as
 * a GGUF file: an error each time, never a crash, a leak or half a file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "jobs/quantize_folder.h"
#include "support/arch_model.h"
#include "support/hf_folder.h"

typedef td_status action(const td_checkpoint *ckpt, const char *path, td_err *err);

static td_status write_file(const td_checkpoint *ckpt, const char *path, td_err *err) {
    td_quantize_source source;
    td_quantize_result r;
    td_quantize_options o = {.source = &source, .path = path, .n_thread = 1};
    o.mix.output_dtype = o.mix.token_embd_dtype = -1;
    TD_TRY(td_mix_find(&o.mix.mix, "Q8_0", err));
    td_status status = td_quantize_folder_open(&source, ckpt, err);
    if (status == TD_OK) status = td_quantize_run(&o, &r, err);
    td_quantize_folder_close(&source);
    return status;
}

static td_status read_vocab(const td_checkpoint *ckpt, const char *path, td_err *err) {
    td_vocab vocab;
    (void)path;
    TD_TRY(td_folder_read_vocab(ckpt, &vocab, err));
    td_vocab_clear(&vocab);
    return TD_OK;
}

static void fail_each(const char *folder, action *act) {
    char path[96];
    td_checkpoint *ckpt;
    td_err err = {0};
    snprintf(path, sizeof path, "%s.gguf", folder);
    if (td_checkpoint_open(&ckpt, folder, &err) != TD_OK || act(ckpt, path, &err) != TD_OK)
        fail_msg("without a fault: %s", err.msg);
    unlink(path);
    for (int64_t n = 1;; n++) {
        td_alloc_fault_set(n);
        const td_status status = act(ckpt, path, &err);
        const bool reached = td_alloc_fault_count() >= n;
        td_alloc_fault_set(0);
        if (!reached) {
            assert_int_equal(status, TD_OK);
            print_message("%lld allocations, each failed once\n", (long long)n - 1);
            assert_true(n > 5);
            break;
        }
        /* Patterns do without machine code if there is no memory for it. */
        if (status != TD_OK && status != TD_ERR_NOMEM)
            fail_msg("allocation %lld: %s: %s", (long long)n, td_status_text(status), err.msg);
        if (status != TD_OK) assert_int_not_equal(access(path, F_OK), 0);
        unlink(path);
    }
    unlink(path);
    td_checkpoint_close(ckpt);
}

/* q and k with biases, which change places, rotary factors, and a byte-level tokenizer. */
static void test_model(void **state) {
    (void)state;
    static const char *const names[] = {"llama_heads_biases", "llama_llama3"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        arch_model m;
        hf_folder f;
        hf_make(&f);
        arch_model_load(&m, names[i]);
        arch_model_write_folder(&m, (arch_folder_options){0}, f.path);
        fail_each(f.path, write_file);
        arch_model_clear(&m);
        hf_remove(&f);
    }
}

/* Scores from merges. */
static void test_merges(void **state) {
    (void)state;
    static const char tokenizer[] =
        TD_SOURCE_DIR "/tests/golden/tokenizers/metaspace_llama/tokenizer.json";
    hf_folder f;
    hf_make(&f);
    hf_put(&f, "config.json", "{}");
    assert_int_equal(symlink(tokenizer, hf_path(&f, "tokenizer.json")), 0);
    fail_each(f.path, read_vocab);
    hf_remove(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_merges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
