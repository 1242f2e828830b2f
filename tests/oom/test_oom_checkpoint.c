/* test_oom_checkpoint.c - the n-th allocation fails, for every n, while a Hugging Face folder is
 * opened: an error each time, never a crash or a leak. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "format/checkpoint.h"
#include "support/gguf_builder.h"
#include "support/hf_folder.h"

/* `weights` NULL: they lie in the folder; else the vocabulary is read, too. */
static td_status open_and_close(const char *path, const char *weights, td_err *err) {
    td_checkpoint *ckpt;
    td_vocab vocab = {0};
    td_status status = weights ? td_checkpoint_open_with(&ckpt, path, weights, err)
                               : td_checkpoint_open(&ckpt, path, err);
    if (status != TD_OK) assert_null(ckpt);
    if (status == TD_OK && weights) status = td_checkpoint_read_vocab(ckpt, &vocab, err);
    td_vocab_clear(&vocab);
    td_checkpoint_close(ckpt);
    return status;
}

static void fail_each_with(const char *path, const char *weights) {
    td_err err = {0};
    if (open_and_close(path, weights, &err) != TD_OK) fail_msg("without a fault: %s", err.msg);
    for (int64_t n = 1;; n++) {
        td_alloc_fault_set(n);
        const td_status status = open_and_close(path, weights, &err);
        const bool reached = td_alloc_fault_count() >= n;
        td_alloc_fault_set(0);
        if (!reached) {
            assert_int_equal(status, TD_OK);
            print_message("%s: %lld allocations, each failed once\n", path, (long long)n - 1);
            assert_true(n > 10);
            return;
        }
        if (status != TD_ERR_NOMEM)
            fail_msg("allocation %lld: %s: %s", (long long)n, td_status_text(status), err.msg);
    }
}

static void fail_each(const char *path) { fail_each_with(path, NULL); }

/* Every kind of quantized weight. */
static void test_quantized(void **state) {
    (void)state;
    static const char *const folders[] = {"fp8_block", "int4_bf16", "gptq", "awq", "mxfp4_experts"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/tests/golden/sources/%s", TD_SOURCE_DIR, folders[i]);
        fail_each(path);
    }
}

static void test_shards(void **state) {
    (void)state;
    hf_folder f;
    hf_make(&f);
    hf_put(&f, "config.json", "{\"a\": [\"x\", \"y\"], \"b\": {\"c\": 1.5}, \"d\": [1, null]}");
    hf_put(&f, "generation_config.json", "{\"top_k\": 5}");
    hf_put(&f, "model.safetensors.index.json",
           "{\"weight_map\": {\"a\": \"s-2.safetensors\", \"b\": \"s-1.safetensors\"}}");
    for (int i = 1; i <= 2; i++) {
        st_builder b = {0};
        st_add(&b, i == 1 ? "b" : "a", "F32", "[2]", NULL, 8);
        assert_int_equal(st_write(&b, hf_path(&f, i == 1 ? "s-1.safetensors" : "s-2.safetensors")),
                         0);
        st_clear(&b);
    }
    fail_each(f.path);
    hf_remove(&f);
}

/* A folder of configuration and tokenizer, the weights a folder below. */
static void test_elsewhere(void **state) {
    (void)state;
    hf_folder config, weights;
    gguf_builder b = {0};
    hf_make(&config);
    hf_make(&weights);
    hf_put(&config, "config.json", "{\"a\": 1}");
    hf_put(
        &config, "tokenizer.json",
        "{\"model\": {\"type\": \"WordLevel\", \"unk_token\": \"b\", \"vocab\": {\"a\": 0, \"b\": "
        "1}}}");
    gguf_add_string(&b, "tokenizer.chat_template", "x");
    gguf_add_tensor(&b, "g", TD_DTYPE_F32, 1, (int64_t[]){1}, &(float){1}, 4);
    assert_int_equal(mkdir(hf_path(&weights, "Q8"), 0777), 0);
    assert_int_equal(gguf_write(&b, hf_path(&weights, "Q8/m.gguf")), 0);
    gguf_builder_clear(&b);
    fail_each_with(config.path, weights.path);
    unlink(hf_path(&weights, "Q8/m.gguf"));
    rmdir(hf_path(&weights, "Q8"));
    hf_remove(&config);
    hf_remove(&weights);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quantized),
        cmocka_unit_test(test_shards),
        cmocka_unit_test(test_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
