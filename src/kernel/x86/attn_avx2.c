/* attn_avx2.c - attention scores and values over a KV cache of any type, 8 lanes. */
#include "kernel/x86/vec_avx2.h"
#include "kernel/x86/x86.h"

#include "kernel/x86/attn_tmpl.h"

void td_attn_score_f32_avx2(float *s, const float *q, const void *k, int n_pos, int head_dim,
                            float scale) {
    attn_score(s, q, k, n_pos, head_dim, scale, TD_KV_DTYPE_F32);
}
void td_attn_score_f16_avx2(float *s, const float *q, const void *k, int n_pos, int head_dim,
                            float scale) {
    attn_score(s, q, k, n_pos, head_dim, scale, TD_KV_DTYPE_F16);
}
void td_attn_value_f32_avx2(float *acc, const float *p, const void *v, int n_pos, int head_dim) {
    attn_value(acc, p, v, n_pos, head_dim, TD_KV_DTYPE_F32);
}
void td_attn_value_f16_avx2(float *acc, const float *p, const void *v, int n_pos, int head_dim) {
    attn_value(acc, p, v, n_pos, head_dim, TD_KV_DTYPE_F16);
}
void td_attn_score_q8_0_avx2(float *s, const float *q, const void *k, int n_pos, int head_dim,
                             float scale) {
    attn_score(s, q, k, n_pos, head_dim, scale, TD_KV_DTYPE_Q8_0);
}
void td_attn_value_q8_0_avx2(float *acc, const float *p, const void *v, int n_pos, int head_dim) {
    attn_value_blocks(acc, p, v, n_pos, head_dim, TD_KV_DTYPE_Q8_0);
}
void td_attn_score_q4_0_avx2(float *s, const float *q, const void *k, int n_pos, int head_dim,
                             float scale) {
    attn_score(s, q, k, n_pos, head_dim, scale, TD_KV_DTYPE_Q4_0);
}
void td_attn_value_q4_0_avx2(float *acc, const float *p, const void *v, int n_pos, int head_dim) {
    attn_value_blocks(acc, p, v, n_pos, head_dim, TD_KV_DTYPE_Q4_0);
}
