/* vec_avx512.h - one register of 16 lanes: AVX-512 F, BW, DQ, VL. */
#ifndef TD_KERNEL_X86_VEC_AVX512_H
#define TD_KERNEL_X86_VEC_AVX512_H

#include "kernel/x86/vec.h"

#define TD_UNROLL_ROWS TD_UNROLL

typedef __m512 vf;
typedef __m512i vi;
enum { V_LANES = 16, N_STRIP = 1 };

TD_INLINE __mmask16 part_mask(int n) { return (__mmask16)((1u << n) - 1); }

/* For shifts: the intrinsics want either a literal or a count in a register, these take both. */
typedef uint32_t words32 __attribute__((vector_size(64)));
typedef int32_t ints32 __attribute__((vector_size(64)));
typedef uint16_t words16 __attribute__((vector_size(64)));
typedef int16_t ints16 __attribute__((vector_size(64)));

/* ---- float ---- */

TD_INLINE vf vf_zero(void) { return _mm512_setzero_ps(); }
TD_INLINE vf vf_set1(float x) { return _mm512_set1_ps(x); }
TD_INLINE vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
TD_INLINE void vf_store(float *p, vf x) { _mm512_storeu_ps(p, x); }
/* The first n lanes, 0 <= n <= V_LANES; the others read as 0 and are not written. */
TD_INLINE vf vf_load_part(const float *p, int n) { return _mm512_maskz_loadu_ps(part_mask(n), p); }
TD_INLINE void vf_store_part(float *p, vf x, int n) { _mm512_mask_storeu_ps(p, part_mask(n), x); }
/* Lanes below n of `x`, the others of `old`. */
TD_INLINE vf vf_keep(vf x, vf old, int n) { return _mm512_mask_mov_ps(old, part_mask(n), x); }

TD_INLINE vf vf_load_f16(const uint16_t *p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
TD_INLINE vf vf_load_f16_part(const uint16_t *p, int n) {
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(part_mask(n), p));
}
/* The half at p in all lanes. */
TD_INLINE vf vf_set1_f16(const void *p) {
    uint16_t h;
    memcpy(&h, p, sizeof h);
    return _mm512_cvtph_ps(_mm256_set1_epi16((short)h));
}
TD_INLINE vf vf_load_bf16(const uint16_t *p) {
    const __m512i wide =
        _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}
/* V_LANES bytes of E4M3, exactly; NaN stays NaN.  With its seven bits of magnitude moved to those
 * of a half, a byte is 2^-8 times its value, denormals too.  Only all ones are NaN: then adding 1
 * to the last of the seven carries into the half's highest exponent bit, which gives a NaN; in all
 * other bytes that bit is 0 after the addition. */
TD_INLINE vf vf_load_e4m3(const uint8_t *p) {
    const __m256i wide = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)p));
    const __m256i h = _mm256_slli_epi16(wide, 7); /* the sign, twice, and the magnitude */
    const __m256i carry =
        _mm256_add_epi16(_mm256_and_si256(h, _mm256_set1_epi16(0x3f80)), _mm256_set1_epi16(0x80));
    enum { B_WHERE_C = 0xd8 }; /* c ? b : a, bit by bit */
    const __m256i half = _mm256_ternarylogic_epi32(h, carry, _mm256_set1_epi16(0x4000), B_WHERE_C);
    return _mm512_mul_ps(_mm512_cvtph_ps(half), _mm512_set1_ps(0x1p8f));
}
TD_INLINE void vf_store_f16(uint16_t *p, vf x) {
    _mm256_storeu_si256((__m256i *)(void *)p,
                        _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

TD_INLINE vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
TD_INLINE vf vf_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
TD_INLINE vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
TD_INLINE vf vf_div(vf a, vf b) { return _mm512_div_ps(a, b); }
TD_INLINE vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
TD_INLINE vf vf_fnma(vf a, vf b, vf c) { return _mm512_fnmadd_ps(a, b, c); } /* c - a * b */
/* a > b ? a : b and a < b ? a : b: b if either is NaN. */
TD_INLINE vf vf_max(vf a, vf b) { return _mm512_max_ps(a, b); }
TD_INLINE vf vf_min(vf a, vf b) { return _mm512_min_ps(a, b); }
TD_INLINE vf vf_neg(vf a) { return _mm512_xor_ps(a, _mm512_set1_ps(-0.0f)); }
TD_INLINE vf vf_abs(vf a) { return _mm512_andnot_ps(_mm512_set1_ps(-0.0f), a); }
/* limit <= x or x is NaN: y; else 0 */
TD_INLINE vf vf_zero_below(vf y, vf x, float limit) {
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, _mm512_set1_ps(limit), _CMP_NLT_UQ), y);
}

/* The largest lane; no lane is NaN. */
TD_INLINE float vf_max_lane(vf x) { return _mm512_reduce_max_ps(x); }

/* The fixed tree over 16 lanes (kernels.h). */
TD_INLINE __m128 sum_to_4(const vf x[N_STRIP]) {
    const __m256 half =
        _mm256_add_ps(_mm512_castps512_ps256(x[0]), _mm512_extractf32x8_ps(x[0], 1));
    return _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
}

/* ---- integer ---- */

TD_INLINE vi vi_zero(void) { return _mm512_setzero_si512(); }
/* V_LANES uint16, widened. */
TD_INLINE vi vi_load_u16(const uint16_t *p) {
    return _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
TD_INLINE vi vi_set1_8(int x) { return _mm512_set1_epi8((char)x); }
TD_INLINE vi vi_set1_32(int x) { return _mm512_set1_epi32(x); }
TD_INLINE vi vi_load(const void *p) { return _mm512_loadu_si512(p); }
/* V_LANES bytes, signed or unsigned, one to a lane. */
TD_INLINE vi vi_load_i8(const void *p) {
    return _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p));
}
TD_INLINE vi vi_load_u8(const void *p) {
    return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p));
}
/* 16 bytes, in each 128 bits: a table for vi_lookup. */
TD_INLINE vi vi_table(const int8_t p[16]) {
    return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)p));
}
/* Bytes table[i] of the bytes i < 16. */
TD_INLINE vi vi_lookup(vi table, vi i) { return _mm512_shuffle_epi8(table, i); }
TD_INLINE vi vi_and(vi a, vi b) { return _mm512_and_si512(a, b); }
TD_INLINE vi vi_or(vi a, vi b) { return _mm512_or_si512(a, b); }
TD_INLINE vi vi_xor(vi a, vi b) { return _mm512_xor_si512(a, b); }
TD_INLINE vi vi_add(vi a, vi b) { return _mm512_add_epi32(a, b); }
TD_INLINE vi vi_sub(vi a, vi b) { return _mm512_sub_epi32(a, b); }
TD_INLINE vi vi_max(vi a, vi b) { return _mm512_max_epi32(a, b); } /* signed */
TD_INLINE vi vi_mul(vi a, vi b) { return _mm512_mullo_epi32(a, b); }
TD_INLINE vi vi_mul16(vi a, vi b) { return _mm512_mullo_epi16(a, b); }
TD_INLINE vi vi_add8(vi a, vi b) { return _mm512_add_epi8(a, b); }
TD_INLINE vi vi_sll(vi a, int n) { return (vi)((words32)a << (uint32_t)n); }
TD_INLINE vi vi_srl(vi a, int n) { return (vi)((words32)a >> (uint32_t)n); }
TD_INLINE vi vi_sra(vi a, int n) { return (vi)((ints32)a >> (int32_t)n); }
TD_INLINE vi vi_sll16(vi a, int n) { return (vi)((words16)a << (uint16_t)n); }
TD_INLINE vi vi_sra16(vi a, int n) { return (vi)((ints16)a >> (int16_t)n); }
TD_INLINE vi vi_add16(vi a, vi b) { return _mm512_add_epi16(a, b); }
/* Pairs of int16 products, added; of u8 * s8 products, added with saturation. */
TD_INLINE vi vi_madd16(vi a, vi b) { return _mm512_madd_epi16(a, b); }
TD_INLINE vi vi_maddubs(vi u, vi s) { return _mm512_maddubs_epi16(u, s); }
TD_INLINE vi vi_min8(vi a, vi b) { return _mm512_min_epu8(a, b); } /* unsigned */
/* Bytes equal to x become 0. */
TD_INLINE vi vi_drop8(vi a, int x) {
    return _mm512_maskz_mov_epi8(_mm512_cmpneq_epi8_mask(a, vi_set1_8(x)), a);
}
TD_INLINE vi vi_abs8(vi a) { return _mm512_abs_epi8(a); }
/* a, or -a where the byte of `sign` is negative.  vpsignb, which AVX-512 dropped, also gives 0
 * where sign is 0; there our other factor is 0 anyway. */
TD_INLINE vi vi_sign8(vi a, vi sign) {
    return _mm512_mask_sub_epi8(a, _mm512_movepi8_mask(sign), _mm512_setzero_si512(), a);
}

/* Byte `byte` of each lane, four times. */
TD_INLINE vi vi_repeat_byte(vi a, int byte) {
    const __m128i in_lane = _mm_setr_epi32(0, 0x04040404, 0x08080808, 0x0c0c0c0c);
    return _mm512_shuffle_epi8(a,
                               _mm512_add_epi8(_mm512_broadcast_i32x4(in_lane), vi_set1_8(byte)));
}

/* table[index] of each lane. */
TD_INLINE vi vi_gather32(const uint32_t *table, vi index) {
    return _mm512_i32gather_epi32(index, (const int *)(const void *)table, 4);
}
/* The same for 64-bit elements, as their low and high words.  An element is gathered whole: that is
 * nearly twice as fast as its two words, one after the other. */
TD_INLINE void vi_gather64(const uint64_t *table, vi index, vi *low, vi *high) {
    const long long *base = (const long long *)(const void *)table;
    const vi a = _mm512_i32gather_epi64(_mm512_castsi512_si256(index), base, 8);
    const vi b = _mm512_i32gather_epi64(_mm512_extracti64x4_epi64(index, 1), base, 8);
    const vi even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    *low = _mm512_permutex2var_epi32(a, even, b);
    *high = _mm512_permutex2var_epi32(a, _mm512_or_si512(even, _mm512_set1_epi32(1)), b);
}

/* Bytes of offset + a, or of offset - a where those bits of `signs` are set that `bits` has in that
 * byte (one in each). */
TD_INLINE vi vi_signed_plus(vi a, vi signs, int bits, int offset) {
    const __mmask64 minus = _mm512_test_epi8_mask(signs, vi_set1_32(bits));
    const vi plus = vi_set1_8(offset);
    return _mm512_mask_sub_epi8(vi_add8(a, plus), minus, plus, a);
}

TD_INLINE vf vf_from_i32(vi a) { return _mm512_cvtepi32_ps(a); }
/* The low 16 bits of each lane as an IEEE half. */
TD_INLINE vf vf_from_half(vi a) { return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(a)); }
TD_INLINE vi vi_round(vf a) { return _mm512_cvtps_epi32(a); } /* nearest even */
TD_INLINE vi vi_trunc(vf a) { return _mm512_cvttps_epi32(a); }
TD_INLINE vi vi_bits(vf a) { return _mm512_castps_si512(a); }
TD_INLINE vf vf_bits(vi a) { return _mm512_castsi512_ps(a); }
/* Each lane's low byte, for lanes within -128..127. */
TD_INLINE void vi_store_i8(int8_t *p, vi a) {
    _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtepi32_epi8(a));
}

/* ---- pairs, for rope ---- */

/* Even and odd elements of 2 * V_LANES floats. */
TD_INLINE void vf_split_pairs(vf a, vf b, vf *even, vf *odd) {
    const __m512i evens =
        _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odds = _mm512_or_si512(evens, _mm512_set1_epi32(1));
    *even = _mm512_permutex2var_ps(a, evens, b);
    *odd = _mm512_permutex2var_ps(a, odds, b);
}
TD_INLINE vf vf_swap_pairs(vf a) { return _mm512_permute_ps(a, 0xb1); }
TD_INLINE vf vf_dup_even(vf a) { return _mm512_moveldup_ps(a); }
TD_INLINE vf vf_dup_odd(vf a) { return _mm512_movehdup_ps(a); }
/* -a in even lanes. */
TD_INLINE vf vf_neg_even(vf a) {
    return _mm512_castsi512_ps(
        _mm512_xor_si512(_mm512_castps_si512(a), _mm512_set1_epi64(0x80000000)));
}

#endif
