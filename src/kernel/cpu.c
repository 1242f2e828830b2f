/* cpu.c - what this CPU and its operating system can run. */
#include "kernel/kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>

/* The register state the system saves on a context switch: XCR0. */
static uint64_t read_xcr0(void) {
    uint32_t lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return lo | (uint64_t)hi << 32;
}

unsigned td_cpu_detect(void) {
    enum { XCR0_AVX = 0x6, XCR0_AVX512 = 0xe6 };
    uint32_t a, b, c, d, b7, c7;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return TD_CPU_SCALAR;
    const uint32_t c1 = c, leaf1 = bit_OSXSAVE | bit_AVX | bit_FMA | bit_F16C;
    if ((c1 & leaf1) != leaf1) return TD_CPU_SCALAR;
    if (!__get_cpuid_count(7, 0, &a, &b7, &c7, &d)) return TD_CPU_SCALAR;
    const uint64_t xcr0 = read_xcr0();
    unsigned flags = TD_CPU_SCALAR;
    if ((xcr0 & XCR0_AVX) == XCR0_AVX && (b7 & bit_AVX2)) flags |= TD_CPU_AVX2;
    const uint32_t avx512 = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
    if (flags && (xcr0 & XCR0_AVX512) == XCR0_AVX512 && (b7 & avx512) == avx512) {
        flags |= TD_CPU_AVX512;
        if (c7 & bit_AVX512VNNI) flags |= TD_CPU_AVX512_VNNI;
    }
    return flags;
}
#else
unsigned td_cpu_detect(void) { return TD_CPU_SCALAR; }
#endif
