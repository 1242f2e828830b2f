/* test_dequantize.c - floats of a byte, all of them, and the block types that only safetensors
 * files hold: each value, each zero, rows that end inside a block.  The types of GGUF are in
 * test_quantize.c. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "tensor/quantize.h"

#include "golden/e4m3.h"

static uint32_t bits_of(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

static float float_of(uint32_t u) {
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

/* The same bits, any NaN counting as any other. */
static void assert_same(float got, float want, const char *what, int i) {
    if (isnan(got) && isnan(want)) return;
    if (bits_of(got) != bits_of(want))
        fail_msg("%s, element %d: %.9g, wanted %.9g", what, i, (double)got, (double)want);
}

/* ---- floats of a byte ---- */

static void test_e4m3(void **state) {
    (void)state;
    for (int b = 0; b < 256; b++)
        assert_same(td_e4m3_to_f32((uint8_t)b), float_of(golden_e4m3[b]), "e4m3", b);
    assert_true(isnan(td_e4m3_to_f32(0x7f)) && isnan(td_e4m3_to_f32(0xff)));
    assert_true(td_e4m3_to_f32(0x7e) == 448 && td_e4m3_to_f32(0x81) == -0x1p-9f);
}

static void test_e8m0_half(void **state) {
    (void)state;
    for (int e = 0; e < 256; e++)
        assert_true((double)td_e8m0_half_to_f32((uint8_t)e) == ldexp(1, e - 128));
}

static void test_ue4m3_half(void **state) {
    (void)state;
    for (int b = 0; b < 256; b++) {
        float want = fabsf(float_of(golden_e4m3[b])) / 2;
        if (b == 0x7f) want = 0;
        if (b == 0xff) want = 240; /* only 0x7f is special */
        assert_same(td_ue4m3_half_to_f32((uint8_t)b), want, "ue4m3", b);
    }
}

/* ---- F8_E4M3 ---- */

enum { MOST_F8 = 400 };

/* A row of k weights, the bytes 3, 4, 5 ... in order, with one of `scales` for each 128; returns
 * its end. */
static uint8_t *make_f8_row(uint8_t *at, size_t k, const float *scales) {
    for (size_t j = 0; j < k; j++) {
        if (j % 128 == 0) {
            memcpy(at, &scales[j / 128], sizeof(float));
            at += sizeof(float);
        }
        *at++ = (uint8_t)(j + 3);
    }
    return at;
}

static void test_f8_rows(void **state) {
    (void)state;
    static const size_t lengths[] = {1, 2, 63, 127, 128, 129, 200, 255, 256, 257, 384, 399};
    static const float scales[4] = {0.0123f, -3e38f, 1e-39f, 7};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        const size_t k = lengths[i];
        uint8_t row[MOST_F8 * 2];
        float y[MOST_F8];
        const uint8_t *end = make_f8_row(row + 1, k, scales); /* unaligned */
        size_t row_bytes = 0;
        assert_int_equal(td_dtype_row_bytes(&row_bytes, TD_DTYPE_F8_E4M3, k, NULL), TD_OK);
        assert_int_equal(end - (row + 1), row_bytes);
        y[k] = 123;
        td_dequantize_row(TD_DTYPE_F8_E4M3, row + 1, y, k);
        for (size_t j = 0; j < k; j++)
            assert_same(y[j], float_of(golden_e4m3[(j + 3) % 256]) * scales[j / 128], "f8_e4m3",
                        (int)j);
        assert_true(y[k] == 123);
    }
}

/* Two rows of a length that is no multiple of 128, one after the other as in memory. */
static void test_f8_second_row(void **state) {
    (void)state;
    static const float scales[2][2] = {
        {2, 3},
        {5, 7}
    };
    uint8_t rows[2 * (130 + 8)];
    float y[130];
    const uint8_t *second = make_f8_row(rows, 130, scales[0]);
    assert_int_equal(second - rows, 138);
    make_f8_row(rows + 138, 130, scales[1]);
    td_dequantize_row(TD_DTYPE_F8_E4M3, second, y, 130);
    assert_true(y[0] == float_of(golden_e4m3[3]) * 5);
    assert_true(y[129] == float_of(golden_e4m3[132]) * 7);
}

/* ---- INT4 ---- */

/* 16 bytes that hold every code in both nibbles: element j is j, element j + 16 is 15 - j. */
static void put_codes(uint8_t qs[16], int first) {
    for (int j = 0; j < 16; j++)
        qs[j] = (uint8_t)(((j + first) & 15) | ((15 - j - first) & 15) << 4);
}

static int code(int j, int first) { return j < 16 ? (j + first) & 15 : (31 - j - first) & 15; }

static const float int4_scales[] = {1, -0.0078125f, 0x1.8p100f, -0.0f, INFINITY, 0x1p-133f};
static const float zero_scales[] = {1, -0.0078125f, 65504, -0.0f, INFINITY, 0x1p-24f};
enum { N_SCALE = sizeof int4_scales / sizeof int4_scales[0] };

static void test_int4(void **state) {
    (void)state;
    uint8_t blocks[N_SCALE * 18 + 1];
    float y[N_SCALE * 32];
    for (int i = 0; i < N_SCALE; i++) {
        const uint16_t d = (uint16_t)(bits_of(int4_scales[i]) >> 16); /* they all are bf16 */
        memcpy(blocks + 1 + 18 * i, &d, sizeof d);
        put_codes(blocks + 1 + 18 * i + 2, i);
    }
    td_dequantize_row(TD_DTYPE_INT4, blocks + 1, y, N_SCALE * 32);
    for (int i = 0; i < N_SCALE * 32; i++) {
        const float w = (float)(code(i % 32, i / 32) - 8);
        assert_same(y[i], int4_scales[i / 32] * w, "int4", i);
    }
}

/* Every code minus every zero that a file can mean (a stored one of 15 and 1 more make 16), under
 * n_run runs. */
static void check_int4_z(td_dtype dtype, int n_run) {
    for (int z = 0; z <= 16; z++) {
        for (int s = 0; s < N_SCALE; s++) {
            uint8_t block[2 + 1 + 4 * 16];
            float y[128];
            const uint16_t d = td_f32_to_f16(zero_scales[s]);
            memcpy(block, &d, sizeof d);
            block[2] = (uint8_t)z;
            for (int run = 0; run < n_run; run++) put_codes(block + 3 + 16 * run, 3 * run);
            td_dequantize_row(dtype, block, y, (size_t)n_run * 32);
            for (int i = 0; i < n_run * 32; i++) {
                const float w = (float)(code(i % 32, 3 * (i / 32)) - z);
                assert_same(y[i], zero_scales[s] * w, td_dtype_name((int)dtype), i);
            }
        }
    }
}

static void test_int4_z(void **state) {
    (void)state;
    check_int4_z(TD_DTYPE_INT4_Z32, 1);
    check_int4_z(TD_DTYPE_INT4_Z128, 4);
}

/* Each block has its own scale and zero. */
static void test_int4_z_blocks(void **state) {
    (void)state;
    uint8_t blocks[2 * 67] = {0};
    const uint16_t one = 0x3c00, two = 0x4000;
    float y[256];
    memcpy(blocks, &one, 2);
    memcpy(blocks + 67, &two, 2);
    blocks[2] = 1;
    blocks[67 + 2] = 3;
    td_dequantize_row(TD_DTYPE_INT4_Z128, blocks, y, 256);
    for (int i = 0; i < 256; i++) assert_true(y[i] == (i < 128 ? -1 : -6));
    memmove(blocks + 19, blocks + 67, 19);
    td_dequantize_row(TD_DTYPE_INT4_Z32, blocks, y, 64);
    for (int i = 0; i < 64; i++) assert_true(y[i] == (i < 32 ? -1 : -6));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_e4m3),          cmocka_unit_test(test_e8m0_half),
        cmocka_unit_test(test_ue4m3_half),    cmocka_unit_test(test_f8_rows),
        cmocka_unit_test(test_f8_second_row), cmocka_unit_test(test_int4),
        cmocka_unit_test(test_int4_z),        cmocka_unit_test(test_int4_z_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
