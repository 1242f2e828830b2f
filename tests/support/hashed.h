/* hashed.h - the numbers that golden fixtures' weights are made of: a counter-based hash, the same
 * bits as in make_tiny.py. */
#ifndef TD_SUPPORT_HASHED_H
#define TD_SUPPORT_HASHED_H

#include <stdint.h>
#include <string.h>

static const uint64_t HASHED_GOLDEN_RATIO = 0x9E3779B97F4A7C15u;

static inline uint64_t hashed_mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* What stands for (seed, name). */
static inline uint64_t hashed_key(uint64_t seed, const char *name) {
    uint64_t h = 0xCBF29CE484222325u;
    for (const char *p = name; *p != '\0'; p++) h = (h ^ (uint8_t)*p) * 0x100000001B3u;
    return hashed_mix(h ^ hashed_mix(seed));
}

/* 64 random bits for element i. */
static inline uint64_t hashed_bits(uint64_t key, uint64_t i) {
    return hashed_mix(key + (i + 1) * HASHED_GOLDEN_RATIO);
}

/* A multiple of 2^-23 in [-1, 1) for element i. */
static inline float hashed_uniform(uint64_t key, uint64_t i) {
    int32_t top = (int32_t)(hashed_bits(key, i) >> 40) - (1 << 23);
    return (float)top / (float)(1 << 23);
}

/* What element i adds to the fingerprint of the weights, by its bits or by its value. */
static inline uint64_t hashed_fingerprint_bits(uint64_t key, uint64_t i, uint32_t bits) {
    return hashed_mix(bits ^ ((i + 1) * HASHED_GOLDEN_RATIO + key));
}
static inline uint64_t hashed_fingerprint(uint64_t key, uint64_t i, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return hashed_fingerprint_bits(key, i, bits);
}

#endif
