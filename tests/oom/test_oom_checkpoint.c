/* test_oom_checkpoint.c - the n-th allocation fails, for every n, while a Hugging Face folder is
 * opened: an error each time, never a crash or a leak. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/alloc.h"
#include "format/checkpoint.h"
#include "support/hf_folder.h"

static td_status open_and_close(const char *path, td_err *err) {
    td_checkpoint *ckpt;
    const td_status status = td_checkpoint_open(&ckpt, path, err);
    if (status != TD_OK) assert_null(ckpt);
    td_checkpoint_close(ckpt);
    return status;
}

static void fail_each(const char *path) {
    td_err err = {0};
    if (open_and_close(path, &err) != TD_OK) fail_msg("without a fault: %s", err.msg);
    for (int64_t n = 1;; n++) {
        td_alloc_fault_set(n);
        const td_status status = open_and_close(path, &err);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quantized),
        cmocka_unit_test(test_shards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
