/* test_perplexity.c - the arithmetic of perplexity and divergence, against values by hand. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "jobs/perplexity.h"

static void expect_near(double found, double wanted) {
    if (!(fabs(found - wanted) <= 1e-12 * (1.0 + fabs(wanted))))
        fail_msg("%.17g, wanted %.17g", found, wanted);
}

static void test_mean(void **state) {
    (void)state;
    td_mean m = {0};
    expect_near(td_mean_value(&m), 0);
    expect_near(td_mean_error(&m), 0);
    td_mean_add(&m, 2);
    expect_near(td_mean_value(&m), 2);
    expect_near(td_mean_error(&m), 0);
    td_mean_add(&m, 4);
    td_mean_add(&m, 6);
    expect_near(td_mean_value(&m), 4);
    /* variance 8/3 over n - 1 = 2 */
    expect_near(td_mean_error(&m), sqrt(8.0 / 3.0 / 2.0));
    expect_near(td_perplexity_value(&m), exp(4.0));
    expect_near(td_perplexity_error(&m), exp(4.0) * sqrt(8.0 / 3.0 / 2.0));
}

static void test_nll(void **state) {
    (void)state;
    const float even[] = {3, 3, 3, 3}, large[] = {1000, 999, -1000};
    expect_near(td_nll(even, 4, 2), log(4.0));
    expect_near(td_nll(large, 3, 0), log(1.0 + exp(-1.0)));
    expect_near(td_nll(large, 3, 1), 1.0 + log(1.0 + exp(-1.0)));
    const float forbidden[] = {0, -INFINITY};
    expect_near(td_nll(forbidden, 2, 0), 0);
    assert_true(isinf(td_nll(forbidden, 2, 1)));
    const float broken[] = {0, NAN};
    assert_true(isnan(td_nll(broken, 2, 0)));
}

static void test_kl(void **state) {
    (void)state;
    const float p[] = {logf(3.0f), 0}, q[] = {0, 0}, shifted[] = {logf(3.0f) + 7, 7};
    expect_near(td_kl(q, q, 2), 0);
    const double lse = log(exp((double)p[0]) + 1.0);
    const double wanted =
        exp((double)p[0] - lse) * ((double)p[0] - lse + log(2.0)) + exp(-lse) * (-lse + log(2.0));
    expect_near(td_kl(p, q, 2), wanted);
    assert_true(fabs(td_kl(p, shifted, 2)) < 1e-6); /* logits are known up to a constant */
    const float sure[] = {0, -INFINITY};
    expect_near(td_kl(sure, q, 2), log(2.0));
    assert_true(isinf(td_kl(q, sure, 2)));
}

static void test_same_argmax(void **state) {
    (void)state;
    const float a[] = {1, 3, 2}, b[] = {0, 9, 9}, c[] = {5, 1, 5};
    assert_true(td_same_argmax(a, b, 3));
    assert_false(td_same_argmax(a, c, 3));
    assert_true(td_same_argmax(a, b, 1));
}

static void test_chunks(void **state) {
    (void)state;
    const struct {
        int n_token, n_ctx, n_chunk, wanted;
    } cases[] = {
        {1024, 512, 0, 2},
        {1023, 512, 0, 1},
        {1023, 512, 5, 1},
        {4096, 512, 3, 3}
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const td_perplexity_options o = {
            .n_token = cases[i].n_token, .n_ctx = cases[i].n_ctx, .n_chunk = cases[i].n_chunk};
        assert_int_equal(td_perplexity_n_chunk(&o), cases[i].wanted);
    }
}

/* Refused before any engine is asked. */
static void test_too_short(void **state) {
    (void)state;
    td_perplexity_result r;
    td_err err;
    td_perplexity_options o = {.n_token = 100, .n_ctx = 3};
    assert_int_equal(td_perplexity_run(&o, &r, &err), TD_ERR_ARGUMENT);
    o.n_ctx = 512;
    assert_int_equal(td_perplexity_run(&o, &r, &err), TD_ERR_ARGUMENT);
    assert_non_null(strstr(err.msg, "100 tokens"));
    assert_non_null(strstr(err.msg, "512"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mean),   cmocka_unit_test(test_nll),
        cmocka_unit_test(test_kl),     cmocka_unit_test(test_same_argmax),
        cmocka_unit_test(test_chunks), cmocka_unit_test(test_too_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
