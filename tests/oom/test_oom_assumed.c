/* test_oom_assumed.c - the n-th allocation fails, for every n, while a model is made of config.json
 * alone, and the tree that rule files see of it: an error each time, never a crash or a leak. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "plan/tree_model.h"
#include "support/hf_folder.h"

#define SIZES                                                                                      \
    "\"hidden_size\": 64, \"num_hidden_layers\": 2, \"intermediate_size\": 96, "                   \
    "\"moe_intermediate_size\": 32, \"num_experts\": 4, \"num_experts_per_tok\": 2, "              \
    "\"num_attention_heads\": 2, \"num_key_value_heads\": 2, \"head_dim\": 32, "                   \
    "\"vocab_size\": 50, \"rms_norm_eps\": 1e-6, \"max_position_embeddings\": 512, "

/* Excluded by a regular expression, too. */
static const char qwen3_moe[] =
    "{" SIZES "\"architectures\": [\"Qwen3MoeForCausalLM\"], \"quantization_config\": "
    "{\"quant_method\": \"fp8\", \"weight_block_size\": [128, 128], \"ignore\": "
    "[\"lm_head\", \"re:.*self_attn.*\"]}}";

/* Biases and sinks: zeros in place of floats. */
static const char gpt_oss[] =
    "{" SIZES "\"architectures\": [\"GptOssForCausalLM\"], \"num_local_experts\": 4}";

static td_status make_all(const char *path, td_err *err) {
    const td_model_options options = {.assume = true};
    td_checkpoint *ckpt;
    td_model *model = NULL;
    td_model_counts counts;
    td_tree_links links;
    td_tree tree;
    size_t n;
    td_tree_init(&tree);
    td_status status = td_checkpoint_open(&ckpt, path, err);
    if (status == TD_OK) status = td_model_open(&model, ckpt, &options, err);
    if (status == TD_OK) status = td_model_count(model, &counts, err);
    if (status == TD_OK) status = td_model_unused(model, NULL, 0, &n, err);
    if (status == TD_OK) status = td_tree_of_model(&tree, &links, model, err);
    td_tree_clear(&tree);
    td_model_close(model);
    td_checkpoint_close(ckpt);
    return status;
}

/* max_borne of the allocations may fail without harm. */
static void fail_each(const char *config, int max_borne) {
    hf_folder f;
    td_err err = {0};
    int n_borne = 0;
    hf_make(&f);
    hf_put(&f, "config.json", config);
    if (make_all(f.path, &err) != TD_OK) fail_msg("without a fault: %s", err.msg);
    for (int64_t n = 1;; n++) {
        td_alloc_fault_set(n);
        const td_status status = make_all(f.path, &err);
        const bool reached = td_alloc_fault_count() >= n;
        td_alloc_fault_set(0);
        n_borne += reached && status == TD_OK;
        if (!reached) {
            assert_int_equal(status, TD_OK);
            print_message("%lld allocations, each failed once, %d borne\n", (long long)n - 1,
                          n_borne);
            assert_true(n > 10 && n_borne <= max_borne);
            break;
        }
        /* A pattern that cannot be compiled to machine code is interpreted. */
        if (status != TD_ERR_NOMEM && status != TD_OK)
            fail_msg("allocation %lld: %s: %s", (long long)n, td_status_text(status), err.msg);
    }
    hf_remove(&f);
}

static void test_quantized(void **state) {
    (void)state;
    fail_each(qwen3_moe, 16);
}

static void test_biases(void **state) {
    (void)state;
    fail_each(gpt_oss, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quantized),
        cmocka_unit_test(test_biases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
