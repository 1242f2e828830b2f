/* test_hash.c - the checksum against a plain reading of its definition, and what it promises. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/hash.h"

static uint64_t hash_of(const uint8_t *data, size_t n) {
    td_hash hash;
    td_hash_init(&hash);
    td_hash_add(&hash, data, n);
    return td_hash_result(&hash);
}

/* The definition in hash.h, word by word. */
static uint64_t plain_hash(const uint8_t *data, size_t n) {
    uint64_t h = 0xcbf29ce484222325;
    for (size_t i = 0; i <= n; i += 8) {
        if (i == n) break;
        uint8_t word[8] = {0};
        memcpy(word, data + i, n - i < 8 ? n - i : 8);
        uint64_t x = 0;
        for (int b = 7; b >= 0; b--) x = x << 8 | word[b];
        h = (h ^ x) * 0x9e3779b97f4a7c15;
        h ^= h >> 32;
    }
    h = (h ^ n) * 0x9e3779b97f4a7c15;
    return h ^ h >> 32;
}

static void fill(uint8_t *data, size_t n) {
    for (size_t i = 0; i < n; i++) data[i] = (uint8_t)(i * 37 + i / 7);
}

static void test_definition_and_pieces(void **state) {
    (void)state;
    uint8_t data[100];
    fill(data, sizeof data);
    for (size_t n = 0; n <= sizeof data; n++) {
        const uint64_t wanted = plain_hash(data, n);
        assert_true(hash_of(data, n) == wanted);
        for (size_t piece = 1; piece < 20; piece++) {
            td_hash hash;
            td_hash_init(&hash);
            for (size_t at = 0; at < n; at += piece)
                td_hash_add(&hash, data + at, n - at < piece ? n - at : piece);
            assert_true(td_hash_result(&hash) == wanted);
        }
    }
    td_hash hash;
    td_hash_init(&hash);
    td_hash_add_u64(&hash, 0x0807060504030201);
    assert_true(td_hash_result(&hash) == hash_of((const uint8_t *)"\1\2\3\4\5\6\7\10", 8));
}

static void test_damage_is_seen(void **state) {
    (void)state;
    uint8_t data[64];
    fill(data, sizeof data);
    const uint64_t good = hash_of(data, sizeof data);
    for (size_t at = 0; at < sizeof data; at++)
        for (int change = 1; change < 256; change++) {
            data[at] ^= (uint8_t)change;
            assert_true(hash_of(data, sizeof data) != good);
            data[at] ^= (uint8_t)change;
        }
    static const uint8_t zeros[32];
    for (size_t n = 1; n <= sizeof zeros; n++)
        assert_true(hash_of(zeros, n) != hash_of(zeros, n - 1)); /* length counts */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_definition_and_pieces),
        cmocka_unit_test(test_damage_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
