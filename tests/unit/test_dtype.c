/* test_dtype.c - the table of types: sizes against the published ones, fields against the sizes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "tensor/dtype.h"

/* Elements and bytes of a block, as GGUF's own documents state them; from 64 on, as dtype.h does.
 */
static void test_sizes(void **state) {
    (void)state;
    static const struct {
        int id;
        const char *name;
        int elems, bytes;
        bool readable;
    } rows[] = {
        {0,  "f32",       1,   4,   true },
        {1,  "f16",       1,   2,   true },
        {2,  "q4_0",      32,  18,  true },
        {3,  "q4_1",      32,  20,  true },
        {6,  "q5_0",      32,  22,  true },
        {7,  "q5_1",      32,  24,  true },
        {8,  "q8_0",      32,  34,  true },
        {9,  "q8_1",      32,  36,  false},
        {10, "q2_k",      256, 84,  true },
        {11, "q3_k",      256, 110, true },
        {12, "q4_k",      256, 144, true },
        {13, "q5_k",      256, 176, true },
        {14, "q6_k",      256, 210, true },
        {15, "q8_k",      256, 292, false},
        {16, "iq2_xxs",   256, 66,  true },
        {17, "iq2_xs",    256, 74,  true },
        {18, "iq3_xxs",   256, 98,  true },
        {19, "iq1_s",     256, 50,  true },
        {20, "iq4_nl",    32,  18,  true },
        {21, "iq3_s",     256, 110, true },
        {22, "iq2_s",     256, 82,  true },
        {23, "iq4_xs",    256, 136, true },
        {28, "f64",       1,   8,   false},
        {29, "iq1_m",     256, 56,  true },
        {30, "bf16",      1,   2,   true },
        {34, "tq1_0",     256, 54,  true },
        {35, "tq2_0",     256, 66,  true },
        {39, "mxfp4",     32,  17,  true },
        {40, "nvfp4",     64,  36,  true },
        {41, "q1_0",      128, 18,  false},
        {42, "q2_0",      64,  18,  false},
        {64, "f8_e4m3",   128, 132, true },
        {65, "int4",      32,  18,  true },
        {66, "int4_z32",  32,  19,  true },
        {67, "int4_z128", 128, 67,  true },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const td_dtype_info *info = td_dtype_get_info(rows[i].id);
        assert_non_null(info);
        assert_string_equal(info->name, rows[i].name);
        assert_int_equal(info->block_elems, rows[i].elems);
        assert_int_equal(info->block_bytes, rows[i].bytes);
        assert_int_equal(info->readable, rows[i].readable);
        assert_int_equal(td_dtype_from_name(rows[i].name), rows[i].id);
    }
}

static void test_fields_fill_the_block(void **state) {
    (void)state;
    int n_readable = 0;
    for (int id = 0; id < TD_N_DTYPE; id++) {
        const td_dtype_info *info = td_dtype_get_info(id);
        if (!info) continue;
        int bytes = 0;
        for (int f = 0; f < TD_MAX_BLOCK_FIELDS && info->fields[f].n_word; f++) {
            const int word = info->fields[f].word_bytes;
            assert_true(word == 1 || word == 2 || word == 4);
            bytes += word * info->fields[f].n_word;
        }
        assert_int_equal(bytes, info->readable ? info->block_bytes : 0);
        n_readable += info->readable;
    }
    assert_int_equal(n_readable, 30);
}

static void test_names(void **state) {
    (void)state;
    static const struct {
        int id;
        const char *name;
    } rows[] = {
        {12,        "q4_k"            },
        {10,        "q2_k"            },
        {4,         "q4_2"            },
        {31,        "q4_0_4_4"        },
        {137,       "iq2_k"           },
        {43,        "unknown"         },
        {-1,        "unknown"         },
        {212,       "rows-interleaved"},
        {INT32_MAX, "unknown"         },
        {INT32_MIN, "unknown"         },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_string_equal(td_dtype_name(rows[i].id), rows[i].name);
    assert_int_equal(td_dtype_from_name("Q4_K"), TD_DTYPE_Q4_K);
    assert_int_equal(td_dtype_from_name("BF16"), TD_DTYPE_BF16);
    assert_int_equal(td_dtype_from_name("q4_2"), -1);
    assert_int_equal(td_dtype_from_name(""), -1);
    assert_null(td_dtype_get_info(4));
    assert_null(td_dtype_get_info(-1));
    assert_null(td_dtype_get_info(TD_N_DTYPE));
    assert_null(td_dtype_get_info(137));
}

static void test_row_bytes(void **state) {
    (void)state;
    td_err err;
    size_t n = 0;
    assert_int_equal(td_dtype_row_bytes(&n, TD_DTYPE_Q4_K, 512, &err), TD_OK);
    assert_int_equal(n, 288);
    assert_int_equal(td_dtype_row_bytes(&n, TD_DTYPE_F32, 3, &err), TD_OK);
    assert_int_equal(n, 12);
    assert_int_equal(td_dtype_row_bytes(&n, TD_DTYPE_Q8_0, 0, &err), TD_OK);
    assert_int_equal(n, 0);
    assert_int_equal(td_dtype_row_bytes(&n, TD_DTYPE_Q4_K, 255, &err), TD_ERR_FORMAT);
    assert_non_null(strstr(err.msg, "multiple of 256"));
    assert_int_equal(td_dtype_row_bytes(&n, TD_DTYPE_F32, SIZE_MAX / 2, &err), TD_ERR_LIMIT);
    assert_int_equal(td_dtype_row_bytes(&n, (td_dtype)5, 32, &err), TD_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "q4_3"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_fields_fill_the_block),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_row_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
