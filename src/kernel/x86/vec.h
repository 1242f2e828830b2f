/* vec.h - what the x86 templates share: inlining, unrolling, and vectors of 128 bits.
 *
 * A template (*_tmpl.h) is written once against the names of vec_avx2.h or vec_avx512.h: `vf` and
 * `vi` are one register of V_LANES 32-bit lanes, and N_STRIP of them make the 16 lanes that panels
 * (pack.h) and reductions (kernels.h) are made of.  Numbers that differ between the instances of a
 * template are literals passed to TD_INLINE functions, so each instance compiles to straight code.
 */
#ifndef TD_KERNEL_X86_VEC_H
#define TD_KERNEL_X86_VEC_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernel/pack.h"

#define TD_INLINE static inline __attribute__((always_inline))

/* Before a loop with a literal bound: arrays indexed by it stay in registers.  Not under
 * sanitizers: checks in every copy of a body take minutes to compile, and a loop is checked as
 * well. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TD_UNROLL
#elif defined(__clang__)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(undefined_behavior_sanitizer)
#define TD_UNROLL
#else
#define TD_UNROLL _Pragma("clang loop unroll(full)")
#endif
#else
#define TD_UNROLL _Pragma("GCC unroll 16")
#endif

/* TD_UNROLL_ROWS, in vec_<isa>.h: the same for the rows of a tile of the integer products.  With 16
 * registers a loop over the rows is better than what compilers make of all of them at once, for
 * they keep broadcast activations and spill; with 32 the straight code wins (Q4_0, m = 512, per
 * cent of peak: AVX2 gcc 96 looped, 68 unrolled; clang 107, 89; AVX-512 VNNI gcc 57, 64; clang 58,
 * 67). */

/* The last two steps of the fixed tree (kernels.h, "lanes") for four sums at once: lane 2 is added
 * to 0 and 3 to 1, then 1 to 0; element i of the result is the sum of the lanes of x[i]. */
TD_INLINE __m128 sum4x4(const __m128 x[4]) {
    const __m128 ab = _mm_add_ps(_mm_movelh_ps(x[0], x[1]), _mm_movehl_ps(x[1], x[0]));
    const __m128 cd = _mm_add_ps(_mm_movelh_ps(x[2], x[3]), _mm_movehl_ps(x[3], x[2]));
    return _mm_add_ps(_mm_shuffle_ps(ab, cd, _MM_SHUFFLE(2, 0, 2, 0)),
                      _mm_shuffle_ps(ab, cd, _MM_SHUFFLE(3, 1, 3, 1)));
}

/* The same for one sum. */
TD_INLINE float sum4(__m128 x) {
    x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_add_ss(x, _mm_shuffle_ps(x, x, 1)));
}

/* Sum of 16 int8. */
TD_INLINE int sum16_i8(const int8_t *q) {
    /* vpsadbw adds unsigned bytes: bias by 128 and take it off again. */
    const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)q);
    const __m128i sad =
        _mm_sad_epu8(_mm_xor_si128(bytes, _mm_set1_epi8(-128)), _mm_setzero_si128());
    return _mm_cvtsi128_si32(sad) + _mm_extract_epi16(sad, 4) - 16 * 128;
}

/* How many of the `left` elements (may exceed 16) fall into strip i of 16 lanes. */
TD_INLINE int strip_part(int left, int lanes, int i) {
    const int part = left - i * lanes;
    return part < 0 ? 0 : part < lanes ? part : lanes;
}

#endif
