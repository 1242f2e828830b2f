/* test_utf8.c - every form of well-formed and ill-formed UTF-8. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "text/utf8.h"

static void decodes_table(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        int result;  /* of td_utf8_decode */
        uint32_t cp; /* if result > 0 */
    } rows[] = {
        {"a",                1,  'a'     },
        {"\x7F",             1,  0x7F    },
        {"\xC2\x80",         2,  0x80    },
        {"\xDF\xBF",         2,  0x7FF   },
        {"\xE0\xA0\x80",     3,  0x800   },
        {"\xED\x9F\xBF",     3,  0xD7FF  },
        {"\xEE\x80\x80",     3,  0xE000  },
        {"\xEF\xBF\xBF",     3,  0xFFFF  },
        {"\xF0\x90\x80\x80", 4,  0x10000 },
        {"\xF4\x8F\xBF\xBF", 4,  0x10FFFF},
        {"\xE4\xBD\xA0rest", 3,  0x4F60  },
 /* unfinished */
        {"\xC2",             0,  0       },
        {"\xE0\xA0",         0,  0       },
        {"\xF0\x90\x80",     0,  0       },
 /* ill-formed, by maximal subpart */
        {"\x80",             -1, 0       },
        {"\xBF",             -1, 0       },
        {"\xC0\x80",         -1, 0       },
        {"\xC1\xBF",         -1, 0       },
        {"\xF5\x80\x80\x80", -1, 0       },
        {"\xFF",             -1, 0       },
        {"\xC2\x41",         -1, 0       },
        {"\xE0\x80\x80",     -1, 0       }, /* overlong */
        {"\xE0\xA0\x41",     -2, 0       },
        {"\xED\xA0\x80",     -1, 0       }, /* a surrogate */
        {"\xF0\x80\x80\x80", -1, 0       }, /* overlong */
        {"\xF0\x90\x41",     -2, 0       },
        {"\xF0\x90\x80\x41", -3, 0       },
        {"\xF4\x90\x80\x80", -1, 0       }, /* above U+10FFFF */
        {"\xE4\xBD\xE4",     -2, 0       },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t cp = 0;
        assert_int_equal(td_utf8_decode(rows[i].bytes, strlen(rows[i].bytes), &cp), rows[i].result);
        if (rows[i].result > 0) assert_int_equal(cp, rows[i].cp);
    }
    uint32_t cp = 1;
    assert_int_equal(td_utf8_decode("", 1, &cp), 1); /* NUL is a character */
    assert_int_equal(cp, 0);
}

static void every_character_round_trips(void **state) {
    (void)state;
    for (uint32_t cp = 0; cp <= 0x10FFFF; cp++) {
        if (cp >= 0xD800 && cp < 0xE000) continue;
        char bytes[4];
        const int n = td_utf8_encode(cp, bytes);
        uint32_t back = ~cp;
        if (td_utf8_decode(bytes, (size_t)n, &back) != n || back != cp) fail();
        for (int k = 1; k < n; k++)
            if (td_utf8_decode(bytes, (size_t)k, &back) != 0) fail();
    }
}

static void valid_prefix_ends_at_the_fault(void **state) {
    (void)state;
    const char text[] = "eight by\xE4\xBD\xA0tes and more\xF0\x9F\xA6\x99!";
    const size_t n = sizeof text - 1;
    assert_int_equal(td_utf8_valid_prefix(text, n), n);
    assert_int_equal(td_utf8_valid_prefix(text, 0), 0);
    assert_int_equal(td_utf8_valid_prefix(text, 10), 8); /* cut in the middle */
    /* A bad byte anywhere is found, whatever its place in a word of eight. */
    for (size_t i = 0; i < n; i++) {
        char copy[sizeof text];
        memcpy(copy, text, sizeof text);
        copy[i] = (char)0xFF;
        const size_t prefix = td_utf8_valid_prefix(copy, n);
        assert_true(prefix <= i && i - prefix < 4);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_table),
        cmocka_unit_test(every_character_round_trips),
        cmocka_unit_test(valid_prefix_ends_at_the_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
