/* probe_ref.c - the loops that measure the machine, in plain C. */
#include <string.h>

#include "kernel/ref/ref.h"

enum { N_CHAIN = 8 }; /* independent sums, so that no addition waits for the one before */

uint64_t td_probe_read_ref(const void *p, size_t bytes) {
    const uint8_t *at = p;
    uint64_t sum[N_CHAIN] = {0}, word;
    size_t i = 0;
    for (; i + 8 * N_CHAIN <= bytes; i += 8 * N_CHAIN) {
        for (int j = 0; j < N_CHAIN; j++) {
            memcpy(&word, at + i + 8 * j, 8);
            sum[j] ^= word;
        }
    }
    for (int j = 1; j < N_CHAIN; j++) sum[0] ^= sum[j];
    for (; i < bytes; i++) sum[0] ^= at[i];
    return sum[0];
}

/* The results go here, so that the compiler must compute them. */
static void keep(const void *p) { __asm__ volatile("" : : "r"(p) : "memory"); }

double td_probe_int8_ref(int n_round) {
    int32_t sum[N_CHAIN] = {0};
    volatile int8_t w = 3, a = -5;
    for (int i = 0; i < n_round; i++) {
        const int32_t wi = w, ai = a;
        for (int j = 0; j < N_CHAIN; j++)
            sum[j] = (int32_t)((uint32_t)sum[j] + (uint32_t)(wi * ai));
    }
    keep(sum);
    return (double)n_round * N_CHAIN * 2;
}

double td_probe_f32_ref(int n_round) {
    float sum[N_CHAIN] = {0};
    volatile float w = 0.5f, a = 1.5f;
    for (int i = 0; i < n_round; i++) {
        const float wi = w, ai = a;
        for (int j = 0; j < N_CHAIN; j++) sum[j] += wi * ai;
    }
    keep(sum);
    return (double)n_round * N_CHAIN * 2;
}
