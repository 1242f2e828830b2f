/* test_random.c - the generator against numbers computed by an independent transcription in Python
 * of the published definitions. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "engine/random.h"

static void test_splitmix(void **state) {
    (void)state;
    static const struct {
        uint64_t seed, out[4];
    } cases[] = {
        {0,
         {UINT64_C(0xe220a8397b1dcdaf), UINT64_C(0x6e789e6aa1b965f4), UINT64_C(0x06c45d188009454f),
          UINT64_C(0xf88bb8a8724c81ec)}},
        {1234567,
         {UINT64_C(0x599ed017fb08fc85), UINT64_C(0x2c73f08458540fa5), UINT64_C(0x883ebce5a3f27c77),
          UINT64_C(0x3fbef740e9177b3f)}},
        {UINT64_MAX,
         {UINT64_C(0xe4d971771b652c20), UINT64_C(0xe99ff867dbf682c9), UINT64_C(0x382ff84cb27281e9),
          UINT64_C(0x6d1db36ccba982d2)}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t s = cases[i].seed;
        for (int j = 0; j < 4; j++) assert_true(td_random_splitmix(&s) == cases[i].out[j]);
    }
}

static void test_xoshiro_from_state(void **state) {
    (void)state;
    static const uint64_t want[] = {UINT64_C(0x0000000002800001), UINT64_C(0x0000000003800067),
                                    UINT64_C(0x000cc00003800067), UINT64_C(0x000cc201994400b2),
                                    UINT64_C(0x8012a2019ac433cd), UINT64_C(0x8a69978acdee33ba)};
    td_random r = {
        {1, 2, 3, 4}
    };
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++)
        assert_true(td_random_next(&r) == want[i]);
}

static void test_xoshiro_from_seed(void **state) {
    (void)state;
    static const struct {
        uint64_t seed, first, second, thousandth;
        double as_double; /* the first one */
    } cases[] = {
        {0,          UINT64_C(0x53175d61490b23df), UINT64_C(0x61da6f3dc380d507),
         UINT64_C(0x376300fa032f6483), 0x1.4c5d7585242c8p-2},
        {1,          UINT64_C(0xcfc5d07f6f03c29b), UINT64_C(0xbf424132963fe08d),
         UINT64_C(0x92d52100f9e1da0d), 0x1.9f8ba0fede078p-1},
        {42,         UINT64_C(0xd0764d4f4476689f), UINT64_C(0x519e4174576f3791),
         UINT64_C(0xa3ed059c1cc38790), 0x1.a0ec9a9e88ecdp-1},
        {1234567,    UINT64_C(0x0610e053dd55ab68), UINT64_C(0x70c979e26e27fbac),
         UINT64_C(0x33d6ba0e5f5c761d), 0x1.843814f7556a0p-6},
        {UINT64_MAX, UINT64_C(0x56ccf8ce948e27b2), UINT64_C(0xe68588432e5a5b90),
         UINT64_C(0x6e67f58f11f35060), 0x1.5b33e33a52388p-2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        td_random r, d;
        td_random_seed(&r, cases[i].seed);
        d = r;
        assert_true(td_random_next(&r) == cases[i].first);
        assert_true(td_random_next(&r) == cases[i].second);
        uint64_t x = 0;
        for (int j = 2; j < 1000; j++) x = td_random_next(&r);
        assert_true(x == cases[i].thousandth);
        assert_true(td_random_double(&d) == cases[i].as_double);
    }
}

static void test_doubles_stay_below_one(void **state) {
    (void)state;
    /* rotl(s0 + s3, 23) + s0 is all ones for these two words: the greatest output there is. */
    td_random r = {
        {0, 0, 0, UINT64_MAX}
    };
    const double top = td_random_double(&r);
    assert_true(top < 1);
    assert_true(top == 1 - 0x1p-53);

    td_random_seed(&r, 7);
    double sum = 0;
    for (int i = 0; i < 100000; i++) {
        const double x = td_random_double(&r);
        assert_true(x >= 0 && x < 1);
        sum += x;
    }
    /* The mean of 100000 has a standard deviation of 0.0009. */
    assert_true(sum / 100000 > 0.496 && sum / 100000 < 0.504);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_splitmix),
        cmocka_unit_test(test_xoshiro_from_state),
        cmocka_unit_test(test_xoshiro_from_seed),
        cmocka_unit_test(test_doubles_stay_below_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
