/* kernels.h - the table of CPU micro-kernels: pure functions on pointers, chosen once at start.
 *
 * kernel/ref fills every slot; each CPU level overrides what it does faster, with the same bits:
 * every variant of every slot equals the reference bit for bit (NaN payloads apart), which td-check
 * proves.  Kernels know no threads, errors or memory; operators (ops/) split the work and call
 * them.
 *
 * Common contract.  Pointers may be unaligned.  Counts may be 0.  Outputs do not overlap inputs
 * unless said so. "lanes": a reduction over n elements keeps 16 partial results, element i going to
 * lane i % 16 in rising i, and then adds lane j + 8 to lane j, j + 4 to j, j + 2 to j, 1 to 0.
 * fma(a, b, c) rounds once. */
#ifndef TD_KERNEL_KERNELS_H
#define TD_KERNEL_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "tensor/dtype.h"

/* ---- activations of a matrix product -----------------------------------------------------------
 */

/* What a weight type wants on the other side (DESIGN, section 5). */
typedef enum td_act_type {
    TD_ACT_F32,    /* float32 as it is */
    TD_ACT_Q8_32,  /* int8 with one scale per 32 elements */
    TD_ACT_Q8_256, /* int8 with one scale per 256 elements */
    TD_N_ACT_TYPE
} td_act_type;

/* m rows of k activations.  Only the members of its type are set.  k is a multiple of the type's
 * block. */
typedef struct td_act {
    const float *x;   /* [m][k], row stride ldx: TD_ACT_F32 */
    const int8_t *q;  /* [m][k], row stride ldq: Q8; never -128 */
    const float *d;   /* [m][k / block], row stride ldd: scales */
    const int16_t *s; /* [m][k / 32] (Q8_32) or [m][k / 16] (Q8_256), row stride lds: sums of q */
    ptrdiff_t ldx, ldq, ldd, lds;
} td_act;

/* q, d, s of one row x[k].  Per block: amax = max |x|, d = amax / 127, q = x * (127 / amax) rounded
 * half to even (amax 0: all 0).  Infinities and NaN give unspecified q but no undefined behaviour.
 */
typedef void td_quantize_act_fn(const float *x, int k, int8_t *q, float *d, int16_t *s);

/* ---- matrix product on packed weights -----------------------------------------------------------
 */

/* y[i][o] = sum over k of w[o][k] * a[i][k], for i < m and o < n.
 * w: panels of TD_PANEL outputs (pack.h), ceil(n / TD_PANEL) of them, consecutive.
 * y: row stride ldy >= n; only the n outputs are written. */
typedef struct td_gemm_args {
    const uint8_t *w;
    td_act a;
    float *y;
    ptrdiff_t ldy;
    int m, n, k;
} td_gemm_args;

typedef void td_gemm_fn(const td_gemm_args *args);

typedef struct td_gemm_impl {
    const char
        *name; /* "gemm_q4_k_avx2"; NULL: no kernel for this type, go through dequantized tiles */
    td_act_type act;
    td_gemm_fn *run;
} td_gemm_impl;

/* ---- the rest
 * -------------------------------------------------------------------------------------- */

/* y = x * (1 / sqrt(sum(x^2) / n + eps)) * w, the sum in lanes by fma(x, x, lane), each product
 * rounded in the order (x * r) * w; w NULL: all ones. y may be x. */
typedef void td_rms_norm_fn(float *y, const float *x, const float *w, int n, float eps);

/* y = (x - mean) * (1 / sqrt(mean of (x - mean)^2 + eps)) * w + b: both sums in lanes, the second
 * by fma(d, d, lane) of d = x - mean, each product and sum at the end rounded; w NULL: all ones, b
 * NULL: zeros.  y may be x. */
typedef void td_layer_norm_fn(float *y, const float *x, const float *w, const float *b, int n,
                              float eps);

/* y[i] = act(gate[i]) * up[i], up NULL: all ones; silu(g) = g / (1 + e(-g)); gelu_tanh(g) = g / (1
 * + e(-2u)) with 2u = g * fma(g * g, C2, C1); gelu(g) = max(g, 0) - a cdf(-a), a = min(|g|, 30).  e
 * is td_exp of ref/exp.h, where the rest of gelu is written down.  y may be gate or up. */
typedef void td_glu_fn(float *y, const float *gate, const float *up, int n);

/* y[i] += x[i] */
typedef void td_add_fn(float *y, const float *x, int n);
/* y[i] *= c */
typedef void td_scale_fn(float *y, float c, int n);

/* x[i] = cap * tanh(x[i] / cap) in place, 0 < cap < inf; tanh is td_tanh of ref/exp.h.  Relative
 * error below 7 * 2^-24, wherever x / cap is no denormal. */
typedef void td_softcap_fn(float *x, int n, float cap);

/* max of x[n], -inf for n 0; NaN are ignored. */
typedef float td_max_fn(const float *x, int n);
/* p[i] = e(p[i] - max) in place; returns their sum, in lanes. */
typedef float td_exp_sum_fn(float *p, int n, float max);

/* dst[i] = src[i] as IEEE half, nearest even. */
typedef void td_to_f16_fn(uint16_t *dst, const float *src, int n);

/* The blocks of src[n] as td_quantize_row (tensor/quantize.h) makes them, n a multiple of 32; the
 * same bytes for NaN and infinities too. */
typedef void td_to_blocks_fn(void *dst, const float *src, int n);

/* s[j] = (sum over d of q[d] * k[j][d], in lanes by fma) * scale, j < n_pos; k: [n_pos][head_dim]
 * contiguous.  Of blocks (Q8_0, Q4_0), k[j][d] is the dequantized weight, a product that is exact;
 * head_dim is a multiple of 32. */
typedef void td_attn_score_fn(float *s, const float *q, const void *k, int n_pos, int head_dim,
                              float scale);
/* acc[d] = fma(p[j], v[j][d], acc[d]) for j = 0 .. n_pos - 1 in order; v: [n_pos][head_dim]
 * contiguous, blocks as above. */
typedef void td_attn_value_fn(float *acc, const float *p, const void *v, int n_pos, int head_dim);

/* Rotates pairs of one head of n_rot dimensions: (a, b) becomes (a*c - b*s, a*s + b*c), each
 * product and sum rounded on its own.  cs: [n_rot / 2][2] cosine and sine.  neox: pairs (i, i +
 * n_rot / 2); else (2i, 2i + 1). */
typedef void td_rope_fn(float *x, const float *cs, int n_rot, bool neox);

/* For measuring the machine (jobs/probe.h): what the kernels of this level are held against. */

/* Reads p[bytes] in order, as a kernel at memory speed would, and returns some mix of it. */
typedef uint64_t td_probe_read_fn(const void *p, size_t bytes);
/* Does n_round rounds of independent multiply-adds in registers, by the instruction that the matrix
 * products of the level live on, and returns how many operations that was; a multiply and an add
 * count as two. */
typedef double td_probe_peak_fn(int n_round);

/* The types a KV cache may have. */
typedef enum td_kv_dtype {
    TD_KV_DTYPE_F32,
    TD_KV_DTYPE_F16,
    TD_KV_DTYPE_Q8_0,
    TD_KV_DTYPE_Q4_0,
    TD_N_KV_DTYPE
} td_kv_dtype;

typedef struct td_kernels {
    const char *level; /* "scalar", "avx2", "avx512", "avx512vnni" */
    td_gemm_impl gemm[TD_N_DTYPE];
    td_quantize_act_fn *quantize_act[TD_N_ACT_TYPE]; /* [TD_ACT_F32] is NULL */
    td_rms_norm_fn *rms_norm;
    td_layer_norm_fn *layer_norm;
    td_glu_fn *swiglu, *geglu_tanh, *geglu;
    td_add_fn *add;
    td_scale_fn *scale;
    td_softcap_fn *softcap;
    td_max_fn *max;
    td_exp_sum_fn *exp_sum;
    td_to_f16_fn *to_f16;
    td_to_blocks_fn *to_q8_0, *to_q4_0;
    td_attn_score_fn *attn_score[TD_N_KV_DTYPE];
    td_attn_value_fn *attn_value[TD_N_KV_DTYPE];
    td_rope_fn *rope;
    td_probe_read_fn *probe_read;
    td_probe_peak_fn *probe_int8, *probe_f32;
} td_kernels;

/* ---- choosing
 * ---------------------------------------------------------------------------------------- */

/* CPU levels, in rising order of preference; each is a bit. */
enum {
    TD_CPU_SCALAR = 0,
    TD_CPU_AVX2 = 1,   /* with FMA and F16C */
    TD_CPU_AVX512 = 2, /* F BW DQ VL */
    TD_CPU_AVX512_VNNI = 4
};

typedef struct td_cpu_level_info {
    const char *name;
    unsigned flags; /* all bits a machine needs for this level */
} td_cpu_level_info;

/* The compiled-in levels in rising order; *n of them. */
const td_cpu_level_info *td_cpu_level_list(int *n);

/* What this machine has: cpuid and the operating system's state (xgetbv). */
unsigned td_cpu_detect(void);

/* Fills a table for a machine with these flags. */
void td_kernels_fill(td_kernels *t, unsigned flags);

/* Fills the slots of the reference, and of x86 levels: called by td_kernels_fill. */
void td_kernels_ref(td_kernels *t);
void td_kernels_x86(td_kernels *t, unsigned flags);

/* The process's table, chosen at the first call (before the first thread starts): what the machine
 * has, lowered by TD_CPU=scalar|avx2|avx512|avx512vnni.  An unknown TD_CPU, or one above the
 * machine, is TD_ERR_ARGUMENT. */
td_status td_kernels_get(const td_kernels **out, td_err *err);

#endif
