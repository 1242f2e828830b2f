/* random.h - the generator behind every draw.
 *
 * xoshiro256++ 1.0 seeded by four outputs of splitmix64, both as Blackman and Vigna define them
 * (prng.di.unimi.it; Steele, Lea and Flood for splitmix64).  The same seed gives the same numbers
 * on every machine. */
#ifndef TD_ENGINE_RANDOM_H
#define TD_ENGINE_RANDOM_H

#include <stdint.h>

/* Memory the caller owns; not all zero, which td_random_seed makes sure of. */
typedef struct td_random {
    uint64_t s[4];
} td_random;

/* The next output of splitmix64; *state moves on. */
uint64_t td_random_splitmix(uint64_t *state);

/* Any seed is fine, 0 included. */
void td_random_seed(td_random *r, uint64_t seed);

/* The next 64 bits. */
uint64_t td_random_next(td_random *r);

/* The top 53 bits of the next output as a double in [0, 1). */
double td_random_double(td_random *r);

#endif
