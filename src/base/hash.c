/* hash.c - see hash.h. */
#include "base/hash.h"

static uint64_t mix(uint64_t h, uint64_t word) {
    h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15); /* 2^64 / golden ratio, odd */
    return h ^ h >> 32;
}

static uint64_t load_word(const uint8_t *p) {
    uint64_t word = 0;
    for (int i = 0; i < 8; i++) word |= (uint64_t)p[i] << 8 * i; /* compilers make one load of it */
    return word;
}

void td_hash_init(td_hash *hash) { *hash = (td_hash){.h = UINT64_C(0xcbf29ce484222325)}; }

void td_hash_add(td_hash *hash, const void *data, size_t n) {
    const uint8_t *p = data;
    for (; n > 0 && hash->n % 8 != 0; n--, p++) {
        hash->word |= (uint64_t)*p << 8 * (hash->n % 8);
        if (++hash->n % 8 != 0) continue;
        hash->h = mix(hash->h, hash->word);
        hash->word = 0;
    }
    for (; n >= 8; n -= 8, p += 8, hash->n += 8) hash->h = mix(hash->h, load_word(p));
    for (; n > 0; n--, p++, hash->n++) hash->word |= (uint64_t)*p << 8 * (hash->n % 8);
}

void td_hash_add_u64(td_hash *hash, uint64_t x) {
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)(x >> 8 * i);
    td_hash_add(hash, bytes, sizeof bytes);
}

uint64_t td_hash_result(const td_hash *hash) {
    const uint64_t h = hash->n % 8 ? mix(hash->h, hash->word) : hash->h;
    return mix(h, hash->n);
}
