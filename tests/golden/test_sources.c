/* test_sources.c - quantized weights of Hugging Face folders against products formed by numpy
 * before they were packed (make_sources.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "format/checkpoint.h"
#include "golden/sources.h"
#include "tensor/quantize.h"

/* FNV-1a over all rows as floats. */
static uint64_t hash_tensor(const td_tensor *t) {
    const size_t k = (size_t)t->ne[0];
    uint8_t *scratch = (uint8_t *)malloc(td_tensor_row_bytes(t));
    float *y = (float *)malloc(k * sizeof *y);
    assert_true(scratch && y);
    uint64_t h = 0xCBF29CE484222325u;
    for (int64_t row = 0; row < td_tensor_rows(t); row++) {
        td_dequantize_row(t->dtype, td_tensor_row(t, row, scratch), y, k);
        for (size_t i = 0; i < k * sizeof *y; i++)
            h = (h ^ ((const uint8_t *)y)[i]) * 0x100000001B3u;
    }
    free(scratch);
    free(y);
    return h;
}

static void test_all(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof golden_sources / sizeof golden_sources[0]; i++) {
        char path[512];
        td_checkpoint *ckpt;
        td_err err;
        snprintf(path, sizeof path, "%s/tests/golden/sources/%s", TD_SOURCE_DIR,
                 golden_sources[i].folder);
        if (td_checkpoint_open(&ckpt, path, &err) != TD_OK) fail_msg("%s", err.msg);
        assert_null(td_checkpoint_unsupported(ckpt));
        const td_tensor *t = td_checkpoint_tensor(ckpt, golden_sources[i].tensor);
        if (!t) fail_msg("%s: no tensor %s", path, golden_sources[i].tensor);
        assert_int_equal(t->dtype, golden_sources[i].dtype);
        for (int d = 0; d < 3; d++) assert_int_equal(t->ne[d], golden_sources[i].ne[d]);
        if (hash_tensor(t) != golden_sources[i].hash)
            fail_msg("%s: other weights than expected", path);
        td_checkpoint_close(ckpt);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
