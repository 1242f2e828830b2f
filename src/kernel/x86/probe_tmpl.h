/* probe_tmpl.h - the loops that measure the machine: sequential reads and chains of multiply-adds.
 */

enum {
    N_CHAIN = 12,      /* more than latency times instructions per cycle */
    READ_AHEAD = 8192, /* bytes, as in gemm_acc_tmpl.h */
    LINE = 64
};

/* Keeps the compiler from merging or dropping the chains. */
TD_INLINE void keep_vi(vi *x) { __asm__ volatile("" : "+v"(*x)); }
TD_INLINE void keep_vf(vf *x) { __asm__ volatile("" : "+v"(*x)); }

TD_INLINE uint64_t probe_read(const void *p, size_t bytes) {
    const uint8_t *at = p;
    vi sum[4] = {vi_zero(), vi_zero(), vi_zero(), vi_zero()};
    size_t i = 0;
    for (; i + 4 * sizeof(vi) <= bytes; i += 4 * sizeof(vi)) {
        TD_UNROLL for (size_t j = 0; j < 4 * sizeof(vi); j += LINE)
            _mm_prefetch((const char *)at + i + READ_AHEAD + j, _MM_HINT_T0);
        TD_UNROLL for (size_t j = 0; j < 4; j++) sum[j] =
            vi_xor(sum[j], vi_load(at + i + j * sizeof(vi)));
    }
    uint64_t words[sizeof(vi) / 8], mix = 0;
    const vi all = vi_xor(vi_xor(sum[0], sum[1]), vi_xor(sum[2], sum[3]));
    memcpy(words, &all, sizeof words);
    for (size_t j = 0; j < sizeof(vi) / 8; j++) mix ^= words[j];
    for (; i < bytes; i++) mix ^= at[i];
    return mix;
}

/* One step of the integer products: 4 multiply-adds per lane. */
TD_INLINE double probe_int8(int n_round) {
    vi sum[N_CHAIN], u = vi_set1_8(3), a = vi_set1_8(-5);
    TD_UNROLL for (int j = 0; j < N_CHAIN; j++) sum[j] = vi_zero();
    for (int i = 0; i < n_round; i++) {
        TD_UNROLL for (int j = 0; j < N_CHAIN; j++) {
            keep_vi(&u);
            sum[j] = dot_step(sum[j], u, a);
            keep_vi(&sum[j]);
        }
    }
    return (double)n_round * N_CHAIN * V_LANES * 4 * 2;
}

TD_INLINE double probe_f32(int n_round) {
    vf sum[N_CHAIN], w = vf_set1(0.5f), x = vf_set1(1.5f);
    TD_UNROLL for (int j = 0; j < N_CHAIN; j++) sum[j] = vf_zero();
    for (int i = 0; i < n_round; i++) {
        TD_UNROLL for (int j = 0; j < N_CHAIN; j++) {
            sum[j] = vf_fma(w, x, sum[j]);
            keep_vf(&sum[j]);
        }
    }
    return (double)n_round * N_CHAIN * V_LANES * 2;
}
