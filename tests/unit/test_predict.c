/* test_predict.c - the sums of predictions: what must rise and fall with what. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "plan/predict.h"
#include "tensor/dtype.h"

static bool near(double a, double b) { return fabs(a - b) <= 1e-9 * fabs(b); }

static const td_cpu one_socket = {
    .n_socket = 1, .n_core = 32, .bandwidth = 2e11, .int8 = 2e13, .f32 = 5e12};

/* Bytes at a known share of the bandwidth give a known time. */
static void test_decode_is_bytes_over_bandwidth(void **state) {
    (void)state;
    const td_predict_device d = td_predict_cpu(&one_socket);
    td_predict_part p = {.dtype = TD_DTYPE_Q8_0, .decode_bytes = 9e9, .decode_ops = 1.8e10};
    assert_true(near(td_predict_part_decode(&d, &p), 9e9 / (0.9 * 2e11)));
    p.cost = 1.5;
    assert_true(near(td_predict_part_decode(&d, &p), 1.5 * 9e9 / (0.9 * 2e11)));
    /* A type whose unpacking takes longer than its bytes do. */
    const td_predict_part iq = {.dtype = TD_DTYPE_IQ3_S, .decode_bytes = 9e9, .decode_ops = 2e10};
    assert_true(near(td_predict_part_decode(&d, &iq), 9e9 / (0.9 * 2e11)));
    const td_cpu slow = {.n_socket = 1, .n_core = 2, .bandwidth = 2e11, .int8 = 1e11, .f32 = 2e10};
    const td_predict_device weak = td_predict_cpu(&slow);
    assert_true(td_predict_part_decode(&weak, &iq) > 10 * 9e9 / 2e11);
}

static void test_prompts(void **state) {
    (void)state;
    const td_predict_device d = td_predict_cpu(&one_socket);
    const td_predict_part p = {.dtype = TD_DTYPE_Q4_K, .batch_bytes = 4e9, .prompt_ops = 2e9};
    const double few = td_predict_part_prompt(&d, &p, 8), lot = td_predict_part_prompt(&d, &p, 512);
    assert_true(few > lot);
    assert_true(near(few - lot, 4e9 / (0.9 * 2e11) * (1 / 8.0 - 1 / 512.0)));
    /* Floats go by the float peak. */
    const td_predict_part f = {.dtype = TD_DTYPE_F32, .prompt_ops = 2e9};
    assert_true(near(td_predict_part_prompt(&d, &f, 512), 2e9 / (0.85 * 5e12)));
}

static void test_sockets_and_threads(void **state) {
    (void)state;
    td_cpu two = one_socket;
    two.n_socket = 2, two.bandwidth *= 2, two.n_core *= 2;
    const td_predict_device d1 = td_predict_cpu(&one_socket), d2 = td_predict_cpu(&two);
    const td_predict_part p = {.dtype = TD_DTYPE_Q4_K, .decode_bytes = 4e9};
    const double gain = td_predict_part_decode(&d1, &p) / td_predict_part_decode(&d2, &p);
    assert_true(gain > 1 && gain < 2);
    const td_predict_layers l = {.n_layer = 60, .kv_bytes = 1e8, .n_vocab = 100000};
    td_cpu alone = one_socket;
    alone.n_core = 1;
    const td_predict_device d = td_predict_cpu(&alone);
    assert_true(td_predict_layers_decode(&d, &l) < td_predict_layers_decode(&d1, &l));
    assert_true(td_predict_layers_decode(&d1, &l) < td_predict_layers_decode(&d2, &l) + 1e8 / 1e11);
}

static void test_gpus(void **state) {
    (void)state;
    td_gpu t4, unknown = {.bandwidth = 3e11};
    assert_true(td_gpu_profile_find("t4", &t4));
    const td_predict_device d = td_predict_gpu(&t4), u = td_predict_gpu(&unknown);
    assert_true(td_predict_is_known(&d) && !td_predict_is_known(&u));
    const td_predict_part p = {.dtype = TD_DTYPE_IQ3_S, .decode_bytes = 1e9, .decode_ops = 4e9};
    assert_true(near(td_predict_part_decode(&d, &p), 1e9 / (0.75 * 320e9)));
    assert_true(td_predict_handover_prompt(1e4, 16e9, 1) >
                td_predict_handover_prompt(1e4, 16e9, 512));
    assert_true(near(td_predict_handover_prompt(0, 0, 1), td_predict_handover_decode()));
}

/* The whole is the sum of its parts. */
static void test_sum(void **state) {
    (void)state;
    const td_predict_device d = td_predict_cpu(&one_socket);
    const td_predict_work w = {
        .parts =
            {{.dtype = TD_DTYPE_Q4_K, .decode_bytes = 3e9, .batch_bytes = 3e9, .prompt_ops = 1e10},
                    {.dtype = TD_DTYPE_Q6_K, .decode_bytes = 1e9, .batch_bytes = 1e9, .prompt_ops = 2e9}},
        .n_part = 2,
        .layers = { .n_layer = 32, .kv_bytes = 1e8,                                               .attention_ops = 1e8, .n_vocab = 1000},
    };
    double decode = td_predict_layers_decode(&d, &w.layers);
    double prompt = td_predict_layers_prompt(&d, &w.layers);
    for (int i = 0; i < 2; i++) {
        decode += td_predict_part_decode(&d, &w.parts[i]);
        prompt += td_predict_part_prompt(&d, &w.parts[i], 512);
    }
    assert_true(near(td_predict_decode(&d, &w), decode));
    assert_true(near(td_predict_prompt(&d, &w, 512), prompt));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode_is_bytes_over_bandwidth),
        cmocka_unit_test(test_prompts),
        cmocka_unit_test(test_sockets_and_threads),
        cmocka_unit_test(test_gpus),
        cmocka_unit_test(test_sum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
