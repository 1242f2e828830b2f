/* test_capability.c - what becomes of operators and types of weights on GPUs old and new. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "plan/capability.h"

static const td_gpu t4 = {.name = "Tesla T4", .capability = 75};
static const td_gpu v100 = {.name = "Tesla V100", .capability = 70};
static const td_gpu a10 = {.name = "A10", .capability = 86};
static const td_gpu h100 = {.name = "H100", .capability = 90};

static void test_verdicts(void **state) {
    (void)state;
    static const struct {
        const char *op;
        int dtype;
        const td_gpu *gpu; /* NULL: the CPU */
        td_verdict verdict;
        td_device_kind kind;
        const char *runs, *words;
        double cost;
    } cases[] = {
  /* clang-format off */
        {"KLinearMarlin", TD_DTYPE_Q4_K, &a10, TD_VERDICT_AS_WRITTEN, TD_DEVICE_CUDA, "KLinearMarlin", "", 1},
        {"KLinearMarlin", TD_DTYPE_Q4_K, &t4, TD_VERDICT_REPLACED, TD_DEVICE_CUDA, "KLinearMarlin",
         "KLinearMarlin wants 8.0, this is 7.5: the weights stay quantized", 1.3},
        {"VLinearMarlin", TD_DTYPE_Q4_0, &t4, TD_VERDICT_REPLACED, TD_DEVICE_CUDA, "VLinearMarlin", "stay quantized", 1.3},
        {"KExpertsMarlin", TD_DTYPE_IQ2_S, &t4, TD_VERDICT_REPLACED, TD_DEVICE_CUDA, "KExpertsMarlin", "stay quantized", 1.3},
        {"KLinearMarlin", TD_DTYPE_BF16, &a10, TD_VERDICT_REPLACED, TD_DEVICE_CUDA, "KLinearMarlin",
         "the weights stay bf16 as in the file", 1},
        {"KLinearMarlin", TD_DTYPE_Q4_K, NULL, TD_VERDICT_REPLACED, TD_DEVICE_CPU, "KLinearMarlin", "on the CPU", 1},
        {"KLinearTorch", TD_DTYPE_Q4_K, &t4, TD_VERDICT_AS_WRITTEN, TD_DEVICE_CUDA, "KLinearTorch", "", 1},
        {"KLinearTorch", TD_DTYPE_BF16, &t4, TD_VERDICT_REPLACED, TD_DEVICE_CUDA, "KLinearTorch", "computed as f16", 1.2},
        {"KLinearTorch", TD_DTYPE_BF16, &a10, TD_VERDICT_AS_WRITTEN, TD_DEVICE_CUDA, "KLinearTorch", "", 1},
        {"KLinearQ8", TD_DTYPE_Q8_0, &t4, TD_VERDICT_AS_WRITTEN, TD_DEVICE_CUDA, "KLinearQ8", "", 1},
        {"KLinearQ8", TD_DTYPE_Q4_K, NULL, TD_VERDICT_REPLACED, TD_DEVICE_CPU, "KLinearQ8", "stay q4_k", 1},
        {"KLinearFP8", TD_DTYPE_F8_E4M3, &h100, TD_VERDICT_AS_WRITTEN, TD_DEVICE_CUDA, "KLinearFP8", "", 1},
        {"KLinearFP8", TD_DTYPE_F8_E4M3, &a10, TD_VERDICT_REPLACED, TD_DEVICE_CUDA, "KLinearFP8", "FP8 wants 8.9, this is 8.6", 1.5},
        {"KLinearFP8", TD_DTYPE_F8_E4M3, NULL, TD_VERDICT_AS_WRITTEN, TD_DEVICE_CPU, "KLinearFP8", "", 1},
        {"KLinearCPUInfer", TD_DTYPE_Q4_K, NULL, TD_VERDICT_AS_WRITTEN, TD_DEVICE_CPU, "KLinearCPUInfer", "", 1},
        {"KExpertsCPU", TD_DTYPE_Q4_K, &a10, TD_VERDICT_REPLACED, TD_DEVICE_CPU, "KExpertsCPU", "on the CPU only", 1},
        {"KLinearIPEXLLM", TD_DTYPE_Q4_K, &t4, TD_VERDICT_REPLACED, TD_DEVICE_CUDA, "KLinearMarlin", "wants 8.0", 1.3},
        {"KLinearTorchW8A8A2", TD_DTYPE_Q8_0, &a10, TD_VERDICT_REPLACED, TD_DEVICE_CUDA, "KLinearMarlin", "replaced by KLinearMarlin", 1},
        {"KExpertsCPUW8A8", TD_DTYPE_Q8_0, NULL, TD_VERDICT_REPLACED, TD_DEVICE_CPU, "KExpertsCPU", "replaced by KExpertsCPU", 1},
        {"KLinearMarlin", TD_DTYPE_Q4_K, &v100, TD_VERDICT_REFUSED, TD_DEVICE_CUDA, "KLinearMarlin",
         "Tesla V100 has compute capability 7.0", 1},
        {"kv-cache", TD_DTYPE_F16, &t4, TD_VERDICT_AS_WRITTEN, TD_DEVICE_CUDA, "kv-cache", "", 1},
        {"attention", -1, &t4, TD_VERDICT_REPLACED, TD_DEVICE_CUDA, "attention", "attention wants 8.0", 1.2},
        {"norm", TD_DTYPE_F32, &t4, TD_VERDICT_AS_WRITTEN, TD_DEVICE_CUDA, "norm", "", 1},
        {"default", -1, NULL, TD_VERDICT_AS_WRITTEN, TD_DEVICE_CPU, "default", "", 1},
        {"KLinearNone", -1, NULL, TD_VERDICT_REFUSED, TD_DEVICE_CPU, NULL, "no operator is called 'KLinearNone'", 1},
  /* clang-format on */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        td_capability c;
        td_capability_check(&c, cases[i].op, cases[i].dtype, cases[i].gpu);
        const bool ok = c.verdict == cases[i].verdict && c.kind == cases[i].kind &&
                        strstr(c.reason, cases[i].words) && c.cost > cases[i].cost - 0.01 &&
                        c.cost < cases[i].cost + 0.01 && !*c.reason == !*cases[i].words &&
                        !c.op == !cases[i].runs &&
                        (!c.op || strcmp(c.op->name, cases[i].runs) == 0);
        if (!ok)
            fail_msg("case %zu, %s: verdict %d, device %d, cost %g, '%s'", i, cases[i].op,
                     c.verdict, c.kind, c.cost, c.reason);
    }
}

static void test_excluded(void **state) {
    (void)state;
    char text[256];
    assert_null(td_gpu_excluded(&t4, text));
    assert_non_null(td_gpu_excluded(&v100, text));
    assert_non_null(strstr(text, "7.0"));
    assert_non_null(strstr(text, "7.5"));
    assert_non_null(strstr(text, "leave this GPU out"));
    td_gpu long_name = {.capability = 61};
    memset(long_name.name, 'x', sizeof long_name.name - 1);
    assert_non_null(td_gpu_excluded(&long_name, text));
    assert_string_equal(text + strlen(text) - 9, "the model");
}

/* Every class has a dtype, and the table holds together. */
static void test_table(void **state) {
    (void)state;
    bool seen[TD_N_CLASS] = {false};
    for (int i = 0; i < TD_N_DTYPE; i++) seen[td_dtype_class_of(i)] = true;
    for (int i = 0; i < TD_N_CLASS; i++) {
        const td_class_need *n = td_class_need_of((td_dtype_class)i);
        assert_true(seen[i] && n && n->name && n->types && n->cpu_levels);
        assert_true((n->capability > TD_CAPABILITY_LEAST) == (n->below != NULL));
    }
    const td_operator *op;
    int n_op = 0;
    for (; (op = td_operator_at(n_op)) != NULL; n_op++) {
        assert_ptr_equal(td_operator_find(op->name), op);
        assert_false(op->in_build);
        if (op->instead) {
            assert_non_null(td_operator_find(op->instead));
            assert_null(td_operator_find(op->instead)->instead);
        } else {
            assert_true(op->cpu || op->cuda);
            assert_true((op->capability > 0) == (op->below != NULL));
        }
    }
    assert_true(n_op >= 20);
    assert_null(td_class_need_of(TD_N_CLASS));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_excluded),
        cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
