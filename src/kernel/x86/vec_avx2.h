/* vec_avx2.h - one register of 8 lanes, two make the 16: AVX2, FMA, F16C. */
#ifndef TD_KERNEL_X86_VEC_AVX2_H
#define TD_KERNEL_X86_VEC_AVX2_H

#include "kernel/x86/vec.h"

#define TD_UNROLL_ROWS

typedef __m256 vf;
typedef __m256i vi;
enum { V_LANES = 8, N_STRIP = 2 };

/* All bits in lanes below n. */
TD_INLINE __m256i part_mask(int n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* For shifts: the intrinsics want either a literal or a count in a register, these take both. */
typedef uint32_t words32 __attribute__((vector_size(32)));
typedef int32_t ints32 __attribute__((vector_size(32)));
typedef uint16_t words16 __attribute__((vector_size(32)));
typedef int16_t ints16 __attribute__((vector_size(32)));

/* ---- float ---- */

TD_INLINE vf vf_zero(void) { return _mm256_setzero_ps(); }
TD_INLINE vf vf_set1(float x) { return _mm256_set1_ps(x); }
TD_INLINE vf vf_load(const float *p) { return _mm256_loadu_ps(p); }
TD_INLINE void vf_store(float *p, vf x) { _mm256_storeu_ps(p, x); }
/* The first n lanes, 0 <= n <= V_LANES; the others read as 0 and are not written.  A branch for the
 * common case, because masked stores are slow on AMD. */
TD_INLINE vf vf_load_part(const float *p, int n) {
    return n == V_LANES ? vf_load(p) : _mm256_maskload_ps(p, part_mask(n));
}
TD_INLINE void vf_store_part(float *p, vf x, int n) {
    if (n == V_LANES)
        vf_store(p, x);
    else
        _mm256_maskstore_ps(p, part_mask(n), x);
}
/* Lanes below n of `x`, the others of `old`. */
TD_INLINE vf vf_keep(vf x, vf old, int n) {
    return _mm256_blendv_ps(old, x, _mm256_castsi256_ps(part_mask(n)));
}

TD_INLINE vf vf_load_f16(const uint16_t *p) {
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
}
TD_INLINE vf vf_load_f16_part(const uint16_t *p, int n) {
    uint16_t part[8] = {0}; /* there is no masked load of 16-bit elements */
    memcpy(part, p, (size_t)n * sizeof *p);
    return vf_load_f16(part);
}
/* The half at p in all lanes. */
TD_INLINE vf vf_set1_f16(const void *p) {
    uint16_t h;
    memcpy(&h, p, sizeof h);
    return _mm256_cvtph_ps(_mm_set1_epi16((short)h));
}
TD_INLINE vf vf_load_bf16(const uint16_t *p) {
    const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}
/* V_LANES bytes of E4M3, exactly; NaN stays NaN.  With its seven bits of magnitude moved to those
 * of a half, a byte is 2^-8 times its value, denormals too.  Only all ones are NaN: then adding 1
 * to the last of the seven carries into the half's highest exponent bit, which gives a NaN; in all
 * other bytes that bit is 0 after the addition. */
TD_INLINE vf vf_load_e4m3(const uint8_t *p) {
    const __m128i wide = _mm_cvtepi8_epi16(_mm_loadl_epi64((const __m128i *)(const void *)p));
    const __m128i h = _mm_slli_epi16(wide, 7); /* the sign, twice, and the magnitude */
    const __m128i carry =
        _mm_add_epi16(_mm_and_si128(h, _mm_set1_epi16(0x3f80)), _mm_set1_epi16(0x80));
    const __m128i half = _mm_or_si128(_mm_andnot_si128(_mm_set1_epi16(0x4000), h),
                                      _mm_and_si128(carry, _mm_set1_epi16(0x4000)));
    return _mm256_mul_ps(_mm256_cvtph_ps(half), _mm256_set1_ps(0x1p8f));
}
TD_INLINE void vf_store_f16(uint16_t *p, vf x) {
    _mm_storeu_si128((__m128i *)(void *)p,
                     _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

TD_INLINE vf vf_add(vf a, vf b) { return _mm256_add_ps(a, b); }
TD_INLINE vf vf_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
TD_INLINE vf vf_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
TD_INLINE vf vf_div(vf a, vf b) { return _mm256_div_ps(a, b); }
TD_INLINE vf vf_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
TD_INLINE vf vf_fnma(vf a, vf b, vf c) { return _mm256_fnmadd_ps(a, b, c); } /* c - a * b */
/* a > b ? a : b and a < b ? a : b: b if either is NaN. */
TD_INLINE vf vf_max(vf a, vf b) { return _mm256_max_ps(a, b); }
TD_INLINE vf vf_min(vf a, vf b) { return _mm256_min_ps(a, b); }
TD_INLINE vf vf_neg(vf a) { return _mm256_xor_ps(a, _mm256_set1_ps(-0.0f)); }
TD_INLINE vf vf_abs(vf a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
/* limit <= x or x is NaN: y; else 0 */
TD_INLINE vf vf_zero_below(vf y, vf x, float limit) {
    return _mm256_and_ps(y, _mm256_cmp_ps(x, _mm256_set1_ps(limit), _CMP_NLT_UQ));
}

/* The largest lane; no lane is NaN. */
TD_INLINE float vf_max_lane(vf x) {
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_shuffle_ps(m, m, 1)));
}

/* The fixed tree over 16 lanes (kernels.h), down to the last four. */
TD_INLINE __m128 sum_to_4(const vf x[N_STRIP]) {
    const __m256 half = _mm256_add_ps(x[0], x[1]);
    return _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
}

/* ---- integer ---- */

TD_INLINE vi vi_zero(void) { return _mm256_setzero_si256(); }
/* V_LANES uint16, widened. */
TD_INLINE vi vi_load_u16(const uint16_t *p) {
    return _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
}
TD_INLINE vi vi_set1_8(int x) { return _mm256_set1_epi8((char)x); }
TD_INLINE vi vi_set1_32(int x) { return _mm256_set1_epi32(x); }
TD_INLINE vi vi_load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
/* V_LANES bytes, signed or unsigned, one to a lane. */
TD_INLINE vi vi_load_i8(const void *p) {
    return _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p));
}
TD_INLINE vi vi_load_u8(const void *p) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p));
}
/* 16 bytes, in each 128 bits: a table for vi_lookup. */
TD_INLINE vi vi_table(const int8_t p[16]) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)p));
}
/* Bytes table[i] of the bytes i < 16. */
TD_INLINE vi vi_lookup(vi table, vi i) { return _mm256_shuffle_epi8(table, i); }
TD_INLINE vi vi_and(vi a, vi b) { return _mm256_and_si256(a, b); }
TD_INLINE vi vi_or(vi a, vi b) { return _mm256_or_si256(a, b); }
TD_INLINE vi vi_xor(vi a, vi b) { return _mm256_xor_si256(a, b); }
TD_INLINE vi vi_add(vi a, vi b) { return _mm256_add_epi32(a, b); }
TD_INLINE vi vi_sub(vi a, vi b) { return _mm256_sub_epi32(a, b); }
TD_INLINE vi vi_max(vi a, vi b) { return _mm256_max_epi32(a, b); } /* signed */
TD_INLINE vi vi_mul(vi a, vi b) { return _mm256_mullo_epi32(a, b); }
TD_INLINE vi vi_mul16(vi a, vi b) { return _mm256_mullo_epi16(a, b); }
TD_INLINE vi vi_add8(vi a, vi b) { return _mm256_add_epi8(a, b); }
TD_INLINE vi vi_sll(vi a, int n) { return (vi)((words32)a << (uint32_t)n); }
TD_INLINE vi vi_srl(vi a, int n) { return (vi)((words32)a >> (uint32_t)n); }
TD_INLINE vi vi_sra(vi a, int n) { return (vi)((ints32)a >> (int32_t)n); }
TD_INLINE vi vi_sll16(vi a, int n) { return (vi)((words16)a << (uint16_t)n); }
TD_INLINE vi vi_sra16(vi a, int n) { return (vi)((ints16)a >> (int16_t)n); }
TD_INLINE vi vi_add16(vi a, vi b) { return _mm256_add_epi16(a, b); }
/* Pairs of int16 products, added; of u8 * s8 products, added with saturation. */
TD_INLINE vi vi_madd16(vi a, vi b) { return _mm256_madd_epi16(a, b); }
TD_INLINE vi vi_maddubs(vi u, vi s) { return _mm256_maddubs_epi16(u, s); }
TD_INLINE vi vi_min8(vi a, vi b) { return _mm256_min_epu8(a, b); } /* unsigned */
/* Bytes equal to x become 0. */
TD_INLINE vi vi_drop8(vi a, int x) {
    return _mm256_andnot_si256(_mm256_cmpeq_epi8(a, vi_set1_8(x)), a);
}
TD_INLINE vi vi_abs8(vi a) { return _mm256_abs_epi8(a); }
/* a, -a or 0 as the byte of `sign` is positive, negative or 0. */
TD_INLINE vi vi_sign8(vi a, vi sign) { return _mm256_sign_epi8(a, sign); }

/* Byte `byte` of each lane, four times. */
TD_INLINE vi vi_repeat_byte(vi a, int byte) {
    const __m128i in_lane = _mm_setr_epi32(0, 0x04040404, 0x08080808, 0x0c0c0c0c);
    return _mm256_shuffle_epi8(
        a, _mm256_add_epi8(_mm256_broadcastsi128_si256(in_lane), vi_set1_8(byte)));
}

/* table[index] of each lane. */
TD_INLINE vi vi_gather32(const uint32_t *table, vi index) {
    return _mm256_i32gather_epi32((const int *)(const void *)table, index, 4);
}
/* The same for 64-bit elements, as their low and high words.  An element is gathered whole: that is
 * nearly twice as fast as its two words, one after the other. */
TD_INLINE void vi_gather64(const uint64_t *table, vi index, vi *low, vi *high) {
    const long long *base = (const long long *)(const void *)table;
    /* shuffle_ps works within 128 bits: lanes 0, 1, 4, 5 and 2, 3, 6, 7. */
    const __m256i order = _mm256_permute4x64_epi64(index, _MM_SHUFFLE(3, 1, 2, 0));
    const __m256 a =
        _mm256_castsi256_ps(_mm256_i32gather_epi64(base, _mm256_castsi256_si128(order), 8));
    const __m256 b =
        _mm256_castsi256_ps(_mm256_i32gather_epi64(base, _mm256_extracti128_si256(order, 1), 8));
    *low = _mm256_castps_si256(_mm256_shuffle_ps(a, b, _MM_SHUFFLE(2, 0, 2, 0)));
    *high = _mm256_castps_si256(_mm256_shuffle_ps(a, b, _MM_SHUFFLE(3, 1, 3, 1)));
}

/* Bytes of offset + a, or of offset - a where those bits of `signs` are set that `bits` has in that
 * byte (one in each). */
TD_INLINE vi vi_signed_plus(vi a, vi signs, int bits, int offset) {
    const vi bit = vi_set1_32(bits);
    const vi minus = _mm256_cmpeq_epi8(vi_and(signs, bit), bit); /* -a is ~a + 1 */
    return _mm256_sub_epi8(vi_add8(vi_xor(a, minus), vi_set1_8(offset)), minus);
}

TD_INLINE vf vf_from_i32(vi a) { return _mm256_cvtepi32_ps(a); }
/* The low 16 bits of each lane as an IEEE half. */
TD_INLINE vf vf_from_half(vi a) {
    const __m256i words = _mm256_packus_epi32(vi_and(a, vi_set1_32(0xffff)), vi_zero());
    return _mm256_cvtph_ps(
        _mm256_castsi256_si128(_mm256_permute4x64_epi64(words, _MM_SHUFFLE(3, 1, 2, 0))));
}
TD_INLINE vi vi_round(vf a) { return _mm256_cvtps_epi32(a); } /* nearest even */
TD_INLINE vi vi_trunc(vf a) { return _mm256_cvttps_epi32(a); }
TD_INLINE vi vi_bits(vf a) { return _mm256_castps_si256(a); }
TD_INLINE vf vf_bits(vi a) { return _mm256_castsi256_ps(a); }
/* Each lane's low byte, for lanes within -128..127. */
TD_INLINE void vi_store_i8(int8_t *p, vi a) {
    const __m128i words =
        _mm_packs_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    _mm_storel_epi64((__m128i *)(void *)p, _mm_packs_epi16(words, words));
}

/* ---- pairs, for rope ---- */

/* Even and odd elements of 2 * V_LANES floats. */
TD_INLINE void vf_split_pairs(vf a, vf b, vf *even, vf *odd) {
    /* shuffle_ps works within 128 bits: bring the halves into order first. */
    const vf lo = _mm256_permute2f128_ps(a, b, 0x20), hi = _mm256_permute2f128_ps(a, b, 0x31);
    *even = _mm256_shuffle_ps(lo, hi, _MM_SHUFFLE(2, 0, 2, 0));
    *odd = _mm256_shuffle_ps(lo, hi, _MM_SHUFFLE(3, 1, 3, 1));
}
TD_INLINE vf vf_swap_pairs(vf a) { return _mm256_permute_ps(a, 0xb1); }
TD_INLINE vf vf_dup_even(vf a) { return _mm256_moveldup_ps(a); }
TD_INLINE vf vf_dup_odd(vf a) { return _mm256_movehdup_ps(a); }
/* -a in even lanes. */
TD_INLINE vf vf_neg_even(vf a) {
    return _mm256_xor_ps(a, _mm256_castsi256_ps(_mm256_set1_epi64x(0x80000000)));
}

#endif
