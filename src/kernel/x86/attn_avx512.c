/* attn_avx512.c - attention scores and values over F32 and F16 caches, 16 lanes. */
#include "kernel/x86/vec_avx512.h"
#include "kernel/x86/x86.h"

#include "kernel/x86/attn_tmpl.h"

void td_attn_score_f32_avx512(float *s, const float *q, const void *k, int n_pos, int head_dim,
                              float scale) {
    attn_score(s, q, k, n_pos, head_dim, scale, TD_KV_DTYPE_F32);
}
void td_attn_score_f16_avx512(float *s, const float *q, const void *k, int n_pos, int head_dim,
                              float scale) {
    attn_score(s, q, k, n_pos, head_dim, scale, TD_KV_DTYPE_F16);
}
void td_attn_value_f32_avx512(float *acc, const float *p, const void *v, int n_pos, int head_dim) {
    attn_value(acc, p, v, n_pos, head_dim, TD_KV_DTYPE_F32);
}
void td_attn_value_f16_avx512(float *acc, const float *p, const void *v, int n_pos, int head_dim) {
    attn_value(acc, p, v, n_pos, head_dim, TD_KV_DTYPE_F16);
}
