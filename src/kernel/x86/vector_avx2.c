/* vector_avx2.c - norms, activations, softmax parts, conversions, rope, 8 lanes. */
#include <float.h>
#include <math.h>

#include "kernel/x86/vec_avx2.h"
#include "kernel/x86/x86.h"
#include "tensor/quantize.h"

#include "kernel/x86/exp_tmpl.h"
#include "kernel/x86/vector_tmpl.h"

void td_quantize_act_q8_32_avx2(const float *x, int k, int8_t *q, float *d, int16_t *s) {
    quantize_act_q8_32(x, k, q, d, s);
}
void td_quantize_act_q8_256_avx2(const float *x, int k, int8_t *q, float *d, int16_t *s) {
    quantize_act_q8_256(x, k, q, d, s);
}
void td_rms_norm_avx2(float *y, const float *x, const float *w, int n, float eps) {
    rms_norm(y, x, w, n, eps);
}
void td_layer_norm_avx2(float *y, const float *x, const float *w, const float *b, int n,
                        float eps) {
    layer_norm(y, x, w, b, n, eps);
}
void td_swiglu_avx2(float *y, const float *gate, const float *up, int n) { swiglu(y, gate, up, n); }
void td_geglu_tanh_avx2(float *y, const float *gate, const float *up, int n) {
    geglu_tanh(y, gate, up, n);
}
void td_geglu_avx2(float *y, const float *gate, const float *up, int n) { geglu(y, gate, up, n); }
void td_add_avx2(float *y, const float *x, int n) { add(y, x, n); }
void td_scale_avx2(float *y, float c, int n) { scale(y, c, n); }
void td_softcap_avx2(float *x, int n, float cap) { softcap(x, n, cap); }
float td_max_avx2(const float *x, int n) { return max_of(x, n); }
float td_exp_sum_avx2(float *p, int n, float max) { return exp_sum(p, n, max); }
void td_to_f16_avx2(uint16_t *dst, const float *src, int n) { to_f16(dst, src, n); }
void td_to_q8_0_avx2(void *dst, const float *src, int n) { to_q8_0(dst, src, n); }
void td_to_q4_0_avx2(void *dst, const float *src, int n) { to_q4_0(dst, src, n); }
void td_rope_avx2(float *x, const float *cs, int n_rot, bool neox) { rope(x, cs, n_rot, neox); }
