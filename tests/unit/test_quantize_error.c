/* test_quantize_error.c - the errors of the K and IQ types against those of llama.cpp on the same
 * rows (tests/golden/quant_errors.py), and what importance and exactness must do. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "tensor/quantize.h"

#include "golden/quant_errors.h"

enum { K = 512, N_ROW = 6 };

static uint64_t word(uint64_t seed, uint64_t i) {
    uint64_t x = seed + (i + 1) * 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

/* The sum of four numbers of 16 bits out of one word, about 0. */
static float bell(uint64_t seed, uint64_t i) {
    const uint64_t w = word(seed, i);
    const int64_t sum =
        (int64_t)((w & 0xFFFF) + (w >> 16 & 0xFFFF) + (w >> 32 & 0xFFFF) + (w >> 48));
    return (float)(sum - 131070) / 65536.0f;
}

/* Kinds of rows: bell curve, its cube (heavy tails), three quarters zero, all positive. */
static void make_rows(int kind, float x[N_ROW * K]) {
    for (uint64_t i = 0; i < N_ROW * K; i++) {
        const float b = bell(100 + (uint64_t)kind, i);
        x[i] = kind == 1 ? b * b * b : kind == 3 ? b + 1 : b;
        if (kind == 2 && word(200, i) % 4 != 0) x[i] = 0;
    }
}

static void make_importance(float importance[K]) {
    for (uint64_t i = 0; i < K; i++) {
        const float u = bell(300, i);
        importance[i] = u * u + 0.001f;
    }
}

static double mean_square(const float *x, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
    return sum / n;
}

/* What an error of x[i] counts. */
static double weight(td_dtype dtype, const float *x, int i, const float *importance) {
    const double v = (double)x[i];
    if (importance) {
        const int span = dtype == TD_DTYPE_IQ4_NL ? 32 : 256;
        const bool once =
            dtype == TD_DTYPE_Q2_K || dtype == TD_DTYPE_IQ2_XXS || dtype == TD_DTYPE_IQ2_XS;
        if (dtype == TD_DTYPE_Q6_K) return (double)importance[i];
        const double spread = (once ? 1 : 2) * mean_square(x + i / span * span, span);
        return (double)importance[i] * sqrt(spread + v * v);
    }
    switch ((int)dtype) {
    case TD_DTYPE_Q2_K: return fabs(v);
    case TD_DTYPE_Q4_K:
    case TD_DTYPE_Q5_K: return sqrt(mean_square(x + i / 32 * 32, 32)) + fabs(v);
    case TD_DTYPE_IQ2_S: return mean_square(x + i / 256 * 256, 256) / 2 + v * v;
    default: return v * v;
    }
}

static double error_of_row(td_dtype dtype, const float *x, const float *importance) {
    uint8_t blocks[2 * K];
    float y[K];
    double error = 0;
    assert_int_equal(td_quantize_row_weighted(dtype, x, importance, blocks, K, NULL), TD_OK);
    td_dequantize_row(dtype, blocks, y, K);
    for (int i = 0; i < K; i++) {
        const double e = (double)x[i] - (double)y[i];
        error += weight(dtype, x, i, importance) * e * e;
    }
    return error;
}

static void test_errors_of_the_peer(void **state) {
    (void)state;
    static float x[N_ROW * K];
    float importance[K];
    make_importance(importance);
    for (size_t i = 0; i < sizeof golden_errors / sizeof golden_errors[0]; i++) {
        double error = 0;
        make_rows(golden_errors[i].kind, x);
        for (int r = 0; r < N_ROW; r++)
            error += error_of_row(golden_errors[i].dtype, x + r * K,
                                  golden_errors[i].weighted ? importance : NULL);
        if (!(error <= 1.01 * golden_errors[i].error))
            fail_msg("%s, rows of kind %d, %s importance: error %g, the peer's %g",
                     td_dtype_name((int)golden_errors[i].dtype), golden_errors[i].kind,
                     golden_errors[i].weighted ? "with" : "without", error, golden_errors[i].error);
    }
}

/* Where one column of each 32 counts for all, that column is what the blocks get right. */
static void test_importance_is_heeded(void **state) {
    (void)state;
    static const td_dtype dtypes[] = {TD_DTYPE_Q4_0, TD_DTYPE_Q4_1,   TD_DTYPE_Q5_0, TD_DTYPE_Q5_1,
                                      TD_DTYPE_Q3_K, TD_DTYPE_IQ4_XS, TD_DTYPE_IQ2_S};
    static float x[N_ROW * K];
    float importance[K];
    make_rows(0, x);
    for (int i = 0; i < K; i++) importance[i] = i % 32 == 5 ? 1 : 1e-6f;
    for (size_t t = 0; t < sizeof dtypes / sizeof dtypes[0]; t++) {
        double with = 0, without = 0;
        for (int weighted = 0; weighted < 2; weighted++) {
            uint8_t blocks[2 * K];
            float y[K];
            assert_int_equal(td_quantize_row_weighted(dtypes[t], x, weighted ? importance : NULL,
                                                      blocks, K, NULL),
                             TD_OK);
            td_dequantize_row(dtypes[t], blocks, y, K);
            for (int i = 5; i < K; i += 32) {
                const double e = (double)x[i] - (double)y[i];
                *(weighted ? &with : &without) += e * e;
            }
        }
        if (!(with < 0.25 * without))
            fail_msg("%s: %g with importance, %g without", td_dtype_name((int)dtypes[t]), with,
                     without);
    }
}

/* Rows that a type can say exactly stay what they are, nearly: quantizing twice changes little. */
static void test_quantizing_again(void **state) {
    (void)state;
    static float x[N_ROW * K];
    make_rows(0, x);
    for (int id = 0; id < TD_N_GGUF_DTYPE; id++) {
        const td_dtype dtype = (td_dtype)id;
        if (!td_dtype_can_quantize(dtype)) continue;
        uint8_t blocks[4 * K];
        float once[K], twice[K];
        assert_int_equal(td_quantize_row(dtype, x, blocks, K, NULL), TD_OK);
        td_dequantize_row(dtype, blocks, once, K);
        assert_int_equal(td_quantize_row(dtype, once, blocks, K, NULL), TD_OK);
        td_dequantize_row(dtype, blocks, twice, K);
        double first = 0, second = 0;
        for (int i = 0; i < K; i++) {
            first += pow((double)x[i] - (double)once[i], 2);
            second += pow((double)once[i] - (double)twice[i], 2);
        }
        if (!(second <= 0.5 * first))
            fail_msg("%s: %g the first time, %g the second", td_dtype_name(id), first, second);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors_of_the_peer),
        cmocka_unit_test(test_importance_is_heeded),
        cmocka_unit_test(test_quantizing_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
