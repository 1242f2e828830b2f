/* dot_maddubs_tmpl.h - the dot steps of the integer products without VNNI.
 *
 * vpmaddubsw adds two u8 * s8 products into a saturating int16, so what is added before going to 32
 * bits is bounded here: |a| <= 127, hence 2 * n * max_w * 127 <= 32767 for n words.  That is 8
 * words of 4-bit weights (30480), 4 of 5-bit ones (31496), 2 of 6-bit ones (32004), 1 of 7-bit ones
 * (32258). */
TD_INLINE int words_per_sum(int max_w) {
    return max_w <= 15 ? 8 : max_w <= 31 ? 4 : max_w <= 63 ? 2 : 1;
}

enum { S8_OFFSET = 0 };
TD_INLINE vi s8_weights(vi w) { return w; }

/* Four activations, or two int16, in every lane. */
TD_INLINE vi bcast4(const void *a) {
    int32_t x;
    memcpy(&x, a, 4);
    return vi_set1_32(x);
}

/* The smallest step: sum + 4 products of unsigned weights with activations, per lane. */
TD_INLINE vi dot_step(vi sum, vi u, vi a) {
    return vi_add(sum, vi_madd16(vi_maddubs(u, a), vi_set1_32(0x10001)));
}

/* The int16 partial sums of n words. */
TD_INLINE vi dot_i16(const vi *u, const int8_t *a, int n) {
    vi sum = vi_maddubs(u[0], bcast4(a));
    TD_UNROLL for (int i = 1; i < n; i++) sum = vi_add16(sum, vi_maddubs(u[i], bcast4(a + 4 * i)));
    return sum;
}

/* sum + scale * (dot of 4 * n_word unsigned weights with as many activations), per lane; `scale`
 * comes from dot_scale.  The widening multiply takes the scale in passing. */
TD_INLINE vi dot_scale(vi scale) {
    return vi_or(vi_and(scale, vi_set1_32(0xffff)), vi_sll(scale, 16));
}

TD_INLINE vi dot_scaled(vi sum, const vi *u, const int8_t *a, int n_word, int max_w, vi scale) {
    const int most = words_per_sum(max_w), step = n_word < most ? n_word : most;
    TD_UNROLL for (int i = 0; i < n_word; i += step) sum =
        vi_add(sum, vi_madd16(dot_i16(u + i, a + 4 * i, step), scale));
    return sum;
}

/* start + the dot of 32 unsigned weights with 32 activations. */
TD_INLINE vi dot32_u(vi start, const vi u[8], const int8_t *a, int max_w) {
    return dot_scaled(start, u, a, 8, max_w, vi_set1_32(0x10001));
}

/* The same for 16. */
TD_INLINE vi dot16_u(vi start, const vi u[4], const int8_t *a, int max_w) {
    return dot_scaled(start, u, a, 4, max_w, vi_set1_32(0x10001));
}

/* dot_scaled for signed weights.  vpmaddubsw wants one side unsigned, so the sign of w moves over
 * to a: |w| * (a * sign w).  A file may hold w = -128: |w| is then 128 as an unsigned byte, and a
 * pair is at most 2 * 128 * 127 = 32512, which fits; two pairs would not. */
TD_INLINE vi dot_scaled_s8(vi sum, const vi *w, const int8_t *a, int n_word, vi scale) {
    TD_UNROLL for (int i = 0; i < n_word; i++) {
        const vi pair = vi_maddubs(vi_abs8(w[i]), vi_sign8(bcast4(a + 4 * i), w[i]));
        sum = vi_add(sum, vi_madd16(pair, scale));
    }
    return sum;
}

/* start + the dot of 32 signed weights with 32 activations. */
TD_INLINE vi dot32_s8(vi start, const vi w[8], const int8_t *a) {
    return dot_scaled_s8(start, w, a, 8, vi_set1_32(0x10001));
}

/* sum + w0 * a0 + w1 * a1, on pairs of int16. */
TD_INLINE vi dot_pair(vi sum, vi w, vi a) { return vi_add(sum, vi_madd16(w, a)); }
