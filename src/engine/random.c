/* random.c - xoshiro256++ and splitmix64. */
#include "engine/random.h"

static uint64_t rotate_left(uint64_t x, int n) { return x << n | x >> (64 - n); }

uint64_t td_random_splitmix(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

void td_random_seed(td_random *r, uint64_t seed) {
    /* The four outputs cannot all be 0: splitmix64 gives each value once in its period. */
    for (int i = 0; i < 4; i++) r->s[i] = td_random_splitmix(&seed);
}

uint64_t td_random_next(td_random *r) {
    uint64_t *s = r->s;
    const uint64_t out = rotate_left(s[0] + s[3], 23) + s[0];
    const uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return out;
}

double td_random_double(td_random *r) {
    /* 53 bits fill the significand exactly; a 54th would round some outputs up to 1. */
    return (double)(td_random_next(r) >> 11) * 0x1p-53;
}
