/* test_quantize_mix.c - the types that mixes give tensors, against llama.cpp's
 * (tests/golden/mixes.py), and the options about them by hand. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "jobs/quantize_mix.h"

typedef struct golden_tensor {
    const char *name;
    int64_t ne[3];
} golden_tensor;

#include "golden/mixes.h"

enum { MAX_TENSORS = 1000 };

static td_tensor tensors[MAX_TENSORS];
static const td_tensor *list[MAX_TENSORS];
static td_mix_choice choices[MAX_TENSORS];

/* Backwards, because the order must not matter. */
static void take_tensors(const golden_tensor *golden, size_t n) {
    assert_true(n <= MAX_TENSORS);
    for (size_t i = 0; i < n; i++) {
        const int64_t *ne = golden[i].ne;
        tensors[i] = (td_tensor){
            .name = golden[i].name, .n_dims = 3, .ne = {ne[0], ne[1], ne[2], 1}
        };
        list[n - 1 - i] = &tensors[i];
    }
}

static const td_mix *mix_of(const char *name) {
    const td_mix *mix;
    td_err err;
    if (td_mix_find(&mix, name, &err) != TD_OK) fail_msg("%s", err.msg);
    return mix;
}

static td_mix_options options_of(const char *mix) {
    return (td_mix_options){
        .mix = mix_of(mix),
        .model = {.arch = "llama", .n_layer = 8, .n_head = 8, .n_head_kv = 8},
        .output_dtype = -1,
        .token_embd_dtype = -1
    };
}

static void choose(const td_mix_options *o, size_t n) {
    td_err err;
    if (td_mix_choose(o, list, n, choices, &err) != TD_OK) fail_msg("%s", err.msg);
}

static void expect_types(size_t i_model, const char *mix, bool imatrix, const char *types) {
    const size_t n = golden_models[i_model].n_tensor;
    td_mix_options o = options_of(mix);
    o.model = golden_models[i_model].model;
    o.has_imatrix = imatrix;
    choose(&o, n);
    assert_int_equal(strlen(types), n);
    for (size_t i = 0; i < n; i++) {
        const int found = (int)choices[n - 1 - i].dtype, wanted = types[i] - '0';
        if (found != wanted)
            fail_msg("%s as %s, %s imatrix: %s became %s, wanted %s", golden_models[i_model].name,
                     mix, imatrix ? "with" : "without", tensors[i].name, td_dtype_name(found),
                     td_dtype_name(wanted));
    }
}

static void test_types_of_the_peer(void **state) {
    (void)state;
    for (size_t m = 0; m < sizeof golden_models / sizeof golden_models[0]; m++) {
        take_tensors(golden_models[m].tensors, golden_models[m].n_tensor);
        for (int i = 0; i < N_GOLDEN_MIX; i++) {
            const char *types = golden_models[m].mixes[i].types;
            const char *with = golden_models[m].mixes[i].with_imatrix;
            expect_types(m, golden_models[m].mixes[i].mix, false, types);
            expect_types(m, golden_models[m].mixes[i].mix, true, with ? with : types);
        }
    }
}

/* Every mix is golden, by its name or another. */
static void test_golden_is_complete(void **state) {
    (void)state;
    int n;
    const td_mix *mixes = td_mixes(&n);
    for (int i = 0; i < n; i++) {
        bool found = false;
        for (int j = 0; j < N_GOLDEN_MIX; j++)
            found = found || mix_of(golden_models[0].mixes[j].mix)->file_type == mixes[i].file_type;
        if (!found) fail_msg("%s has no golden types", mixes[i].name);
    }
}

static const golden_tensor few[] = {
    {"blk.0.attn_norm.weight",      {256, 1, 1}},
    {"blk.0.attn_q.weight",         {256, 8, 1}},
    {"blk.0.attn_v.weight",         {256, 8, 1}},
    {"blk.0.ffn_down.weight",       {256, 8, 1}},
    {"blk.0.ffn_gate_inp.weight",   {256, 8, 1}},
    {"output.weight",               {256, 8, 1}},
    {"per_layer_token_embd.weight", {256, 8, 1}},
    {"token_embd.weight",           {256, 8, 1}},
};
enum { N_FEW = sizeof few / sizeof few[0] };

static const td_mix_choice *choice_of(const char *name) {
    for (size_t i = 0; i < N_FEW; i++)
        if (strcmp(few[i].name, name) == 0) return &choices[N_FEW - 1 - i];
    fail_msg("no tensor %s", name);
    return NULL;
}

static void expect_choice(const char *name, td_dtype dtype) {
    const td_dtype found = choice_of(name)->dtype;
    if (found != dtype)
        fail_msg("%s became %s, wanted %s", name, td_dtype_name((int)found),
                 td_dtype_name((int)dtype));
}

static void test_options(void **state) {
    (void)state;
    take_tensors(few, N_FEW);
    td_mix_options o = options_of("q4_k_m");
    choose(&o, N_FEW);
    expect_choice("output.weight", TD_DTYPE_Q6_K);
    expect_choice("blk.0.attn_v.weight", TD_DTYPE_Q6_K);
    expect_choice("blk.0.ffn_gate_inp.weight", TD_DTYPE_F32);
    assert_true(choice_of("blk.0.attn_norm.weight")->kept);
    o.pure = true;
    choose(&o, N_FEW);
    expect_choice("output.weight", TD_DTYPE_Q4_K);
    expect_choice("blk.0.attn_v.weight", TD_DTYPE_Q4_K);
    o.leave_output = true;
    choose(&o, N_FEW);
    expect_choice("output.weight", TD_DTYPE_F32);
    o = options_of("Q4_K_M");
    o.output_dtype = TD_DTYPE_Q5_0;
    o.token_embd_dtype = TD_DTYPE_Q5_1;
    choose(&o, N_FEW);
    expect_choice("output.weight", TD_DTYPE_Q5_0);
    expect_choice("token_embd.weight", TD_DTYPE_Q5_1);
    o.only_copy = true;
    choose(&o, N_FEW);
    for (size_t i = 0; i < N_FEW; i++) assert_int_equal(choices[i].dtype, TD_DTYPE_F32);
}

static void test_patterns(void **state) {
    (void)state;
    take_tensors(few, N_FEW);
    const td_mix_override overrides[] = {
        {"attn_[qk]",   TD_DTYPE_Q8_0},
        {"attn",        TD_DTYPE_F16 },
        {"^per_.*embd", TD_DTYPE_Q3_K},
    };
    td_mix_options o = options_of("Q4_K_S");
    o.overrides = overrides;
    o.n_override = 3;
    o.token_embd_dtype = TD_DTYPE_Q5_1;
    choose(&o, N_FEW);
    expect_choice("blk.0.attn_q.weight", TD_DTYPE_Q8_0);
    expect_choice("blk.0.attn_v.weight", TD_DTYPE_F16);
    expect_choice("blk.0.attn_norm.weight", TD_DTYPE_F32);
    expect_choice("token_embd.weight", TD_DTYPE_Q5_1);
    expect_choice("per_layer_token_embd.weight", TD_DTYPE_Q3_K);
    td_err err;
    const td_mix_override bad[] = {
        {"attn_(q", TD_DTYPE_Q8_0}
    };
    o.overrides = bad;
    o.n_override = 1;
    assert_int_equal(td_mix_choose(&o, list, N_FEW, choices, &err), TD_ERR_ARGUMENT);
    assert_non_null(strstr(err.msg, "attn_(q"));
}

/* Never for the output, nor for what the mix makes finer. */
static void test_needs_imatrix(void **state) {
    (void)state;
    static const struct {
        const char *mix;
        bool needs;
    } rows[] = {
        {"IQ2_XXS", true },
        {"IQ3_XXS", true },
        {"Q2_K_S",  true },
        {"Q2_K",    false},
        {"IQ3_S",   false},
        {"Q4_0",    false}
    };
    take_tensors(few, N_FEW);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const td_mix_options o = options_of(rows[i].mix);
        choose(&o, N_FEW);
        assert_int_equal(choice_of("blk.0.attn_q.weight")->needs_imatrix, rows[i].needs);
        assert_false(choice_of("blk.0.ffn_down.weight")->needs_imatrix);
        assert_false(choice_of("output.weight")->needs_imatrix);
        assert_false(choice_of("blk.0.attn_norm.weight")->needs_imatrix);
    }
}

static void test_names(void **state) {
    (void)state;
    const td_mix *mix;
    td_err err;
    assert_string_equal(mix_of("q4_k_m")->name, "Q4_K_M");
    assert_string_equal(mix_of("15")->name, "Q4_K_M");
    assert_int_equal(mix_of("Q4_K")->file_type, 15);
    assert_int_equal(td_mix_find(&mix, "Q4_K_N", &err), TD_ERR_ARGUMENT);
    assert_non_null(strstr(err.msg, "'Q4_K_M'"));
    assert_int_equal(td_mix_find(&mix, "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", &err), TD_ERR_ARGUMENT);
    assert_int_equal(td_mix_find(&mix, "", &err), TD_ERR_ARGUMENT);
    assert_int_equal(td_mix_find(&mix, "Q1_0", &err), TD_ERR_UNSUPPORTED);
    assert_true(td_mix_compare_names("blk.2.a", "blk.10.a") < 0);
    assert_true(td_mix_compare_names("output.weight", "blk.0.a") < 0);
    assert_true(td_mix_compare_names("blk.0.b", "blk.0.a") > 0);
    assert_int_equal(td_mix_compare_names("a", "a"), 0);
}

/* With experts the layer is taken from the name: one without is refused. */
static void test_refuses(void **state) {
    (void)state;
    static const golden_tensor bad[] = {
        {"blk.8.ffn_down_exps.weight", {256, 8, 4}}
    };
    static const golden_tensor odd[] = {
        {"output.weight", {255, 8, 1}}
    };
    td_err err;
    take_tensors(bad, 1);
    td_mix_options o = options_of("Q4_K_M");
    o.model.n_expert = 4;
    assert_int_equal(td_mix_choose(&o, list, 1, choices, &err), TD_ERR_FORMAT);
    assert_non_null(strstr(err.msg, "blk.8.ffn_down_exps.weight"));
    take_tensors(odd, 1);
    o.output_dtype = TD_DTYPE_Q8_0;
    assert_int_equal(td_mix_choose(&o, list, 1, choices, &err), TD_ERR_ARGUMENT);
    assert_non_null(strstr(err.msg, "q8_0"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types_of_the_peer), cmocka_unit_test(test_golden_is_complete),
        cmocka_unit_test(test_options),           cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_needs_imatrix),     cmocka_unit_test(test_names),
        cmocka_unit_test(test_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
