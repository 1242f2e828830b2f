/* gemm_acc_tmpl.h - the accumulators of a tile of the integer products, between y and registers. */

/* Bytes: 1, 2, 4 KiB gave 36, 37, 38 GB/s of Q8_0 at m = 1, 8 KiB 44. */
enum { PREFETCH_AHEAD = 8192 };

/* For the first tile of rows, which brings the weights into the cache: a panel's bytes are one
 * stream, but hardware prefetchers lose it (Q4_K, m = 4, AVX2: 5 GB/s without). */
TD_INLINE void prefetch_weights(const uint8_t *w, size_t bytes) {
    for (size_t i = 0; i < bytes; i += 64)
        _mm_prefetch((const char *)w + PREFETCH_AHEAD + i, _MM_HINT_T0);
}

/* Zero for the first chunk of k, else what the one before left in y. */
TD_INLINE void tile_load(const tile_args *t, int tile_m, vf acc[N_STRIP][MAX_TILE]) {
    TD_UNROLL for (int s = 0; s < N_STRIP; s++) {
        const int part = strip_part(t->cols, V_LANES, s);
        const ptrdiff_t at = t->row * t->g->ldy + t->col + s * V_LANES;
        TD_UNROLL for (int i = 0; i < tile_m; i++) {
            acc[s][i] = vf_zero();
            if (t->block > 0 && i < t->rows)
                acc[s][i] = vf_load_part(t->g->y + at + i * t->g->ldy, part);
        }
    }
}

TD_INLINE void tile_store(const tile_args *t, int tile_m, vf acc[N_STRIP][MAX_TILE]) {
    TD_UNROLL for (int s = 0; s < N_STRIP; s++) {
        const int part = strip_part(t->cols, V_LANES, s);
        const ptrdiff_t at = t->row * t->g->ldy + t->col + s * V_LANES;
        TD_UNROLL for (int i = 0; i < tile_m; i++) if (i < t->rows)
            vf_store_part(t->g->y + at + i * t->g->ldy, acc[s][i], part);
    }
}
