/* test_quantize.c - block types against fingerprints of the gguf package (tests/golden/blocks.py),
 * and the half formats by hand.
 *
 * The input of the fingerprints is made here exactly as blocks.py makes it, from splitmix64 of a
 * counter, so that 10^5 blocks of each type are compared without being stored. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/quantize.h"

#include "golden/blocks.h"

#define GOLDEN 0x9E3779B97F4A7C15u
enum { N_BLOCK = 100000, CHUNK = 1000 };

static uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

static uint64_t word(uint64_t seed, uint64_t i) { return mix(seed + (i + 1) * GOLDEN); }

/* The sum of mix(element + (i + 1) * GOLDEN); continues at element *at. */
static uint64_t fingerprint_f32(const float *y, size_t n, uint64_t *at) {
    uint64_t h = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &y[i], sizeof bits);
        h += mix(bits + ++*at * GOLDEN);
    }
    return h;
}

static uint64_t fingerprint_u8(const uint8_t *p, size_t n, uint64_t *at) {
    uint64_t h = 0;
    for (size_t i = 0; i < n; i++) h += mix(p[i] + ++*at * GOLDEN);
    return h;
}

/* Where the f16 scales of a block lie; -1: none. */
static void scale_offsets(td_dtype dtype, int offset[2]) {
    offset[0] = 0;
    offset[1] = -1;
    switch ((int)dtype) {
    case TD_DTYPE_BF16:
    case TD_DTYPE_IQ1_M:
    case TD_DTYPE_MXFP4:
    case TD_DTYPE_NVFP4: offset[0] = -1; break;
    case TD_DTYPE_Q4_1:
    case TD_DTYPE_Q5_1:
    case TD_DTYPE_Q4_K:
    case TD_DTYPE_Q5_K: offset[1] = 2; break;
    case TD_DTYPE_Q2_K: offset[0] = 80, offset[1] = 82; break;
    case TD_DTYPE_Q3_K: offset[0] = 108; break;
    case TD_DTYPE_Q6_K: offset[0] = 208; break;
    case TD_DTYPE_TQ1_0: offset[0] = 52; break;
    case TD_DTYPE_TQ2_0: offset[0] = 64; break;
    default: break;
    }
}

/* An f16 (or a bf16) with all exponent bits loses the highest: neither NaN nor infinity. */
static void make_finite(td_dtype dtype, uint8_t *block) {
    int offset[2];
    scale_offsets(dtype, offset);
    for (int i = 0; i < 2; i++)
        if (offset[i] >= 0 && (block[offset[i] + 1] & 0x7C) == 0x7C) block[offset[i] + 1] &= 0xBF;
    if (dtype == TD_DTYPE_BF16 && (block[1] & 0x7F) == 0x7F) block[1] &= 0xBF;
    /* The f16 of IQ1_M is spread over the high nibbles of four words, the lowest first. */
    if (dtype == TD_DTYPE_IQ1_M && (block[53] & 0xC0) == 0xC0 && (block[55] & 0x70) == 0x70)
        block[55] &= 0xBF;
}

/* Byte scales take the low byte of scale[0] and scale[1] in turn. */
static void put_scales(td_dtype dtype, uint8_t *block, const unsigned scale[2]) {
    int offset[2];
    scale_offsets(dtype, offset);
    for (int i = 0; i < 2; i++) {
        if (offset[i] < 0) continue;
        block[offset[i]] = (uint8_t)scale[i];
        block[offset[i] + 1] = (uint8_t)(scale[i] >> 8);
    }
    for (int i = 0; i < 4; i++) {
        uint8_t *top = &block[49 + 2 * i];
        if (dtype == TD_DTYPE_IQ1_M) *top = (uint8_t)((*top & 15) | (scale[0] >> 4 * i & 15) << 4);
        if (dtype == TD_DTYPE_NVFP4) block[i] = (uint8_t)scale[i & 1];
    }
    if (dtype == TD_DTYPE_MXFP4) block[0] = (uint8_t)scale[0];
}

static uint64_t random_fingerprint(td_dtype dtype, uint64_t seed) {
    const td_dtype_info *info = td_dtype_get_info((int)dtype);
    const size_t bytes = (size_t)info->block_bytes, elems = (size_t)info->block_elems;
    uint8_t *blocks = malloc(bytes * CHUNK + 1);
    float *y = malloc(elems * CHUNK * sizeof *y);
    assert_true(blocks && y);
    uint64_t h = 0, at = 0, i_byte = 0, w = 0;
    for (int chunk = 0; chunk < N_BLOCK / CHUNK; chunk++) {
        uint8_t *unaligned = blocks + 1;
        for (size_t i = 0; i < bytes * CHUNK; i++, i_byte++) {
            w = i_byte % 8 == 0 ? word(seed, i_byte / 8) : w >> 8;
            unaligned[i] = (uint8_t)w;
        }
        for (size_t i = 0; i < CHUNK; i++) make_finite(dtype, unaligned + i * bytes);
        td_dequantize_row(dtype, unaligned, y, elems * CHUNK);
        h += fingerprint_f32(y, elems * CHUNK, &at);
    }
    free(blocks);
    free(y);
    return h;
}

static uint64_t extreme_fingerprint(td_dtype dtype) {
    static const uint16_t magnitudes[] = {0x0000, 0x0001, 0x03FF, 0x0400, 0x3C00, 0x7BFF};
    static const uint8_t fills[] = {0x00, 0xFF, 0x80, 0x7F, 0x0F, 0xF0, 0x55, 0xAA};
    const td_dtype_info *info = td_dtype_get_info((int)dtype);
    const size_t elems = (size_t)info->block_elems;
    uint64_t h = 0, at = 0;
    for (int i = 0; i < 8 * 12 * 12; i++) {
        uint8_t block[256];
        float y[256];
        memset(block, fills[i / 144], sizeof block);
        const int of[2] = {i / 12 % 12, i % 12};
        unsigned scale[2];
        for (int j = 0; j < 2; j++) scale[j] = magnitudes[of[j] / 2] | (of[j] % 2 ? 0x8000u : 0);
        put_scales(dtype, block, scale);
        td_dequantize_row(dtype, block, y, elems);
        h += fingerprint_f32(y, elems, &at);
    }
    return h;
}

static uint32_t bits_of(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

/* One float of a block, of a kind that depends on the block's number mod 8; w0 is the block's first
 * word. */
static float make_float(uint64_t i_block, uint32_t w, uint32_t w0) {
    const uint32_t sign_mant = w & 0x807FFFFF;
    const float small = (float)((int)(w >> 28) - 8);
    uint32_t bits = 0;
    switch (i_block % 8) {
    case 0: bits = sign_mant | (120 + (w >> 23 & 7)) << 23; break; /* 2^-7 .. 2^1 */
    case 1: bits = sign_mant | (90 + (w >> 23 & 63)) << 23; break; /* 2^-37 .. 2^27 */
    case 2: bits = bits_of(small); break;                          /* ties and exact levels */
    case 3: bits = bits_of(small / 2); break;
    case 4: bits = bits_of((float)((int)(w >> 16) - 32768)); break;
    case 5: bits = w0 & 0xBFFFFFFF; break;        /* one value, below 2 */
    case 6: break;                                /* zeros */
    case 7: bits = sign_mant | 143u << 23; break; /* 2^16: infinite scales */
    }
    if ((bits & 0x7FFFFFFF) < 16u << 23) bits = 0;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static uint64_t quantized_fingerprint(td_dtype dtype, uint64_t seed) {
    const td_dtype_info *info = td_dtype_get_info((int)dtype);
    const size_t n = info->block_elems < 32 ? 32 : (size_t)info->block_elems;
    const size_t bytes = n / (size_t)info->block_elems * (size_t)info->block_bytes;
    uint64_t h = 0, at = 0;
    for (uint64_t i = 0; i < N_BLOCK * 32 / n; i++) {
        float x[256];
        uint8_t out[128];
        const uint32_t w0 = (uint32_t)(word(seed, n * i) >> 32);
        for (uint64_t j = 0; j < n; j++)
            x[j] = make_float(i, (uint32_t)(word(seed, n * i + j) >> 32), w0);
        assert_int_equal(td_quantize_row(dtype, x, out, n, NULL), TD_OK);
        h += fingerprint_u8(out, bytes, &at);
    }
    return h;
}

static void test_golden_dequantize(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof golden_blocks / sizeof golden_blocks[0]; i++) {
        const td_dtype dtype = golden_blocks[i].dtype;
        if (random_fingerprint(dtype, golden_blocks[i].seed) != golden_blocks[i].random)
            fail_msg("%s: random blocks differ", td_dtype_name((int)dtype));
        if (extreme_fingerprint(dtype) != golden_blocks[i].extreme)
            fail_msg("%s: extreme blocks differ", td_dtype_name((int)dtype));
    }
}

/* No readable type of GGUF goes without: F32 alone has a test of its own. */
static void test_golden_is_complete(void **state) {
    (void)state;
    for (int id = 0; id < TD_N_GGUF_DTYPE; id++) {
        const td_dtype_info *info = td_dtype_get_info(id);
        bool found = id == TD_DTYPE_F32;
        for (size_t i = 0; i < sizeof golden_blocks / sizeof golden_blocks[0]; i++)
            found = found || (int)golden_blocks[i].dtype == id;
        if (info && found != info->readable) fail_msg("%s: readable or golden", info->name);
    }
}

static void test_golden_quantize(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof golden_blocks / sizeof golden_blocks[0]; i++) {
        const td_dtype dtype = golden_blocks[i].dtype;
        assert_true(td_dtype_can_quantize(dtype));
        if (!golden_blocks[i].quantized) continue;
        if (quantized_fingerprint(dtype, golden_blocks[i].seed) != golden_blocks[i].quantized)
            fail_msg("%s: quantized blocks differ", td_dtype_name((int)dtype));
    }
}

static void test_f32_rows(void **state) {
    (void)state;
    const float x[3] = {1.5f, -0.0f, 1e-40f};
    uint8_t bytes[sizeof x + 1];
    float y[3];
    assert_true(td_dtype_can_quantize(TD_DTYPE_F32));
    assert_int_equal(td_quantize_row(TD_DTYPE_F32, x, bytes + 1, 3, NULL), TD_OK);
    td_dequantize_row(TD_DTYPE_F32, bytes + 1, y, 3);
    assert_memory_equal(x, y, sizeof x);
}

/* ---- half formats ---- */

static void test_f16_round_trip(void **state) {
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        const float f = td_f16_to_f32((uint16_t)h);
        const uint32_t exp = h >> 10 & 31, mant = h & 0x3FF;
        if (exp == 31 && mant) {
            assert_true(isnan(f));
            assert_int_equal(td_f32_to_f16(f), h | 0x200); /* made quiet, sign and payload kept */
            continue;
        }
        const double magnitude = exp == 31  ? HUGE_VAL
                                 : exp == 0 ? ldexp(mant, -24)
                                            : ldexp(1024 + mant, (int)exp - 25);
        assert_true((double)f == (h & 0x8000 ? -magnitude : magnitude));
        assert_int_equal(signbit(f) != 0, h >> 15);
        assert_int_equal(td_f32_to_f16(f), h);
    }
}

static void test_f16_rounding(void **state) {
    (void)state;
    static const struct {
        double x;
        uint16_t h;
    } rows[] = {
        {65504,          0x7BFF},
        {65519.99,       0x7BFF},
        {65520,          0x7C00},
        {1e30,           0x7C00},
        {0x1p-25,        0x0000},
        {0x1.000002p-25, 0x0001},
        {0x1.8p-24,      0x0002},
        {0x1.8p-25,      0x0001},
        {0x1.ffbp-15,    0x03FF},
        {0x1.ffcp-15,    0x0400},
        {0x1p-14,        0x0400},
        {1 + 0x1p-11,    0x3C00},
        {1 + 0x3p-11,    0x3C02},
        {1 + 0x1.01p-11, 0x3C01},
        {2 - 0x1p-12,    0x4000},
        {0x1p-140,       0x0000},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(td_f32_to_f16((float)rows[i].x), rows[i].h);
        assert_int_equal(td_f32_to_f16((float)-rows[i].x), rows[i].h | 0x8000);
    }
}

static void test_bf16(void **state) {
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        const float f = td_bf16_to_f32((uint16_t)h);
        assert_int_equal(td_f32_to_bf16(f), isnan(f) ? h | 0x40 : h);
    }
    assert_int_equal(td_f32_to_bf16(1 + 0x1p-8f), 0x3F80); /* ties go to even */
    assert_int_equal(td_f32_to_bf16(1 + 0x3p-8f), 0x3F82);
    assert_int_equal(td_f32_to_bf16(1 + 0x1.01p-8f), 0x3F81);
    assert_int_equal(td_f32_to_bf16(0x1.fffffep127f), 0x7F80);
    assert_true(isnan(td_bf16_to_f32(td_f32_to_bf16(NAN))));
}

/* The pairs spelled out by index, as the format's description does. */
static void test_k_scale_min(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 1000; seed++) {
        uint8_t sc[12], scale[8], min[8];
        for (uint64_t i = 0; i < 12; i++) sc[i] = (uint8_t)word(seed, i);
        td_k_scale_min(sc, scale, min);
        for (int i = 0; i < 4; i++) {
            assert_int_equal(scale[i], sc[i] % 64);
            assert_int_equal(min[i], sc[i + 4] % 64);
        }
        for (int i = 4; i < 8; i++) {
            assert_int_equal(scale[i], sc[i + 4] % 16 + sc[i - 4] / 64 * 16);
            assert_int_equal(min[i], sc[i + 4] / 16 + sc[i] / 64 * 16);
        }
    }
}

/* ---- what the package does not define ---- */

static void test_quantize_refuses(void **state) {
    (void)state;
    td_err err;
    const float x[32] = {0};
    uint8_t out[256];
    assert_int_equal(td_quantize_row(TD_DTYPE_INT4, x, out, 32, &err), TD_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "int4"));
    assert_int_equal(td_quantize_row((td_dtype)99, x, out, 32, &err), TD_ERR_UNSUPPORTED);
    assert_int_equal(td_quantize_row(TD_DTYPE_Q8_0, x, out, 31, &err), TD_ERR_ARGUMENT);
    assert_int_equal(td_quantize_row(TD_DTYPE_Q4_K, x, out, 32, &err), TD_ERR_ARGUMENT);
    assert_non_null(strstr(err.msg, "q4_k"));
    assert_int_equal(td_quantize_row(TD_DTYPE_Q8_0, x, out, 0, &err), TD_OK);
}

/* NaN, infinities and denormal scales must stay within the block and without undefined behaviour,
 * and importance that is zero everywhere, or huge, must too. */
static void test_quantize_survives(void **state) {
    (void)state;
    static const float odd[] = {NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 1e-45f, 1e-39f, 0.0f};
    static const float importances[] = {0, 1, 1e-45f, 3e38f};
    for (size_t i = 0; i < sizeof golden_blocks / sizeof golden_blocks[0]; i++) {
        const td_dtype dtype = golden_blocks[i].dtype;
        const td_dtype_info *info = td_dtype_get_info((int)dtype);
        for (int a = 0; a < 64; a++) {
            float x[256], y[256], importance[256];
            uint8_t out[513];
            for (int j = 0; j < 256; j++) {
                x[j] = j % 3 == 0 ? odd[a / 8] : j % 5 == 0 ? odd[a % 8] : 1;
                importance[j] = importances[(a + (a % 3 ? j : 0)) % 4];
            }
            memset(out, 0xA5, sizeof out);
            assert_int_equal(td_quantize_row(dtype, x, out, 256, NULL), TD_OK);
            assert_int_equal(out[256 / info->block_elems * info->block_bytes], 0xA5);
            td_dequantize_row(dtype, out, y, 256);
            assert_int_equal(td_quantize_row_weighted(dtype, x, importance, out, 256, NULL), TD_OK);
            assert_int_equal(out[256 / info->block_elems * info->block_bytes], 0xA5);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_dequantize),
        cmocka_unit_test(test_golden_is_complete),
        cmocka_unit_test(test_golden_quantize),
        cmocka_unit_test(test_f32_rows),
        cmocka_unit_test(test_f16_round_trip),
        cmocka_unit_test(test_f16_rounding),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_k_scale_min),
        cmocka_unit_test(test_quantize_refuses),
        cmocka_unit_test(test_quantize_survives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
