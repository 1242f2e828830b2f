/* vector_ref.c - norms, activations, softmax parts, rope: one row or one head at a time. */
#include <math.h>

#include "kernel/ref/exp.h"
#include "kernel/ref/ref.h"
#include "tensor/quantize.h"

enum { N_LANE = 16 };

/* The fixed tree at the end of every reduction. */
static float add_lanes(float lane[N_LANE]) {
    for (int half = N_LANE / 2; half > 0; half /= 2)
        for (int j = 0; j < half; j++) lane[j] += lane[j + half];
    return lane[0];
}

/* One block of `elems` values; sums go per `group` elements. */
static void quantize_block(const float *x, int elems, int group, int8_t *q, float *d, int16_t *s) {
    float amax = 0;
    for (int i = 0; i < elems; i++) {
        const float a = fabsf(x[i]);
        if (a > amax) amax = a;
    }
    *d = amax / 127.0f;
    const float inverse = amax > 0 ? 127.0f / amax : 0.0f;
    for (int i = 0; i < elems; i += group) {
        int sum = 0;
        for (int j = i; j < i + group; j++) {
            /* fmin/fmax give a number for NaN too; rounding x * inverse can reach 127 but not 128
             */
            const float scaled = fminf(fmaxf(x[j] * inverse, -127.0f), 127.0f);
            q[j] = (int8_t)rintf(scaled);
            sum += q[j];
        }
        s[i / group] = (int16_t)sum;
    }
}

void td_quantize_act_q8_32_ref(const float *x, int k, int8_t *q, float *d, int16_t *s) {
    for (int i = 0; i < k; i += 32) quantize_block(x + i, 32, 32, q + i, d + i / 32, s + i / 32);
}

void td_quantize_act_q8_256_ref(const float *x, int k, int8_t *q, float *d, int16_t *s) {
    for (int i = 0; i < k; i += 256) quantize_block(x + i, 256, 16, q + i, d + i / 256, s + i / 16);
}

void td_rms_norm_ref(float *y, const float *x, const float *w, int n, float eps) {
    float lane[N_LANE] = {0};
    for (int i = 0; i < n; i++) lane[i % N_LANE] = fmaf(x[i], x[i], lane[i % N_LANE]);
    const float r = 1.0f / sqrtf(add_lanes(lane) / (float)n + eps);
    for (int i = 0; i < n; i++) y[i] = w ? x[i] * r * w[i] : x[i] * r;
}

void td_layer_norm_ref(float *y, const float *x, const float *w, const float *b, int n, float eps) {
    float lane[N_LANE] = {0};
    for (int i = 0; i < n; i++) lane[i % N_LANE] += x[i];
    const float mean = add_lanes(lane) / (float)n;
    float square[N_LANE] = {0};
    for (int i = 0; i < n; i++) {
        const float d = x[i] - mean;
        square[i % N_LANE] = fmaf(d, d, square[i % N_LANE]);
    }
    const float r = 1.0f / sqrtf(add_lanes(square) / (float)n + eps);
    for (int i = 0; i < n; i++) {
        const float v = (x[i] - mean) * r, scaled = w ? v * w[i] : v;
        y[i] = b ? scaled + b[i] : scaled;
    }
}

void td_swiglu_ref(float *y, const float *gate, const float *up, int n) {
    for (int i = 0; i < n; i++) {
        const float g = gate[i];
        y[i] = g / (1.0f + td_exp(-g)) * (up ? up[i] : 1.0f);
    }
}

void td_geglu_tanh_ref(float *y, const float *gate, const float *up, int n) {
    for (int i = 0; i < n; i++) {
        const float g = gate[i];
        const float u2 = g * fmaf(g * g, TD_GELU_C2, TD_GELU_C1);
        y[i] = g / (1.0f + td_exp(-u2)) * (up ? up[i] : 1.0f);
    }
}

void td_geglu_ref(float *y, const float *gate, const float *up, int n) {
    for (int i = 0; i < n; i++) {
        const float g = gate[i], a = TD_GELU_MAX < fabsf(g) ? TD_GELU_MAX : fabsf(g);
        const float t = 1.0f / fmaf(TD_GELU_P, a, 1.0f);
        float p = fmaf(TD_GELU_A5, t, TD_GELU_A4);
        p = fmaf(p, t, TD_GELU_A3);
        p = fmaf(p, t, TD_GELU_A2);
        p = fmaf(p, t, TD_GELU_A1);
        const float below = p * t * td_exp(a * a * -0.5f);
        const float positive = g > 0 ? g : 0.0f;
        y[i] = (positive - a * below) * (up ? up[i] : 1.0f);
    }
}

void td_add_ref(float *y, const float *x, int n) {
    for (int i = 0; i < n; i++) y[i] += x[i];
}

void td_scale_ref(float *y, float c, int n) {
    for (int i = 0; i < n; i++) y[i] *= c;
}

void td_softcap_ref(float *x, int n, float cap) {
    for (int i = 0; i < n; i++) x[i] = cap * td_tanh(x[i] / cap);
}

float td_max_ref(const float *x, int n) {
    float max = -INFINITY;
    for (int i = 0; i < n; i++)
        if (x[i] > max) max = x[i];
    return max;
}

float td_exp_sum_ref(float *p, int n, float max) {
    float lane[N_LANE] = {0};
    for (int i = 0; i < n; i++) {
        p[i] = td_exp(p[i] - max);
        lane[i % N_LANE] += p[i];
    }
    return add_lanes(lane);
}

void td_to_f16_ref(uint16_t *dst, const float *src, int n) {
    for (int i = 0; i < n; i++) dst[i] = td_f32_to_f16(src[i]);
}

void td_attn_score_f32_ref(float *s, const float *q, const void *k, int n_pos, int head_dim,
                           float scale) {
    const float *row = k;
    for (int j = 0; j < n_pos; j++, row += head_dim) {
        float lane[N_LANE] = {0};
        for (int i = 0; i < head_dim; i++) lane[i % N_LANE] = fmaf(q[i], row[i], lane[i % N_LANE]);
        s[j] = add_lanes(lane) * scale;
    }
}

void td_attn_score_f16_ref(float *s, const float *q, const void *k, int n_pos, int head_dim,
                           float scale) {
    const uint16_t *row = k;
    for (int j = 0; j < n_pos; j++, row += head_dim) {
        float lane[N_LANE] = {0};
        for (int i = 0; i < head_dim; i++)
            lane[i % N_LANE] = fmaf(q[i], td_f16_to_f32(row[i]), lane[i % N_LANE]);
        s[j] = add_lanes(lane) * scale;
    }
}

void td_attn_value_f32_ref(float *acc, const float *p, const void *v, int n_pos, int head_dim) {
    const float *row = v;
    for (int j = 0; j < n_pos; j++, row += head_dim)
        for (int i = 0; i < head_dim; i++) acc[i] = fmaf(p[j], row[i], acc[i]);
}

void td_attn_value_f16_ref(float *acc, const float *p, const void *v, int n_pos, int head_dim) {
    const uint16_t *row = v;
    for (int j = 0; j < n_pos; j++, row += head_dim)
        for (int i = 0; i < head_dim; i++) acc[i] = fmaf(p[j], td_f16_to_f32(row[i]), acc[i]);
}

/* ---- blocks of 32 ---- */

void td_to_q8_0_ref(void *dst, const float *src, int n) {
    (void)td_quantize_row(TD_DTYPE_Q8_0, src, dst, (size_t)n, NULL);
}

void td_to_q4_0_ref(void *dst, const float *src, int n) {
    (void)td_quantize_row(TD_DTYPE_Q4_0, src, dst, (size_t)n, NULL);
}

static void score_blocks(td_dtype dtype, float *s, const float *q, const uint8_t *k, int n_pos,
                         int head_dim) {
    const int block_bytes = td_dtype_get_info((int)dtype)->block_bytes;
    for (int j = 0; j < n_pos; j++) {
        float lane[N_LANE] = {0};
        for (int i = 0; i < head_dim; i += 32, k += block_bytes) {
            float row[32];
            td_dequantize_row(dtype, k, row, 32);
            for (int b = 0; b < 32; b++)
                lane[b % N_LANE] = fmaf(q[i + b], row[b], lane[b % N_LANE]);
        }
        s[j] = add_lanes(lane);
    }
}

void td_attn_score_q8_0_ref(float *s, const float *q, const void *k, int n_pos, int head_dim,
                            float scale) {
    score_blocks(TD_DTYPE_Q8_0, s, q, k, n_pos, head_dim);
    td_scale_ref(s, scale, n_pos);
}

void td_attn_score_q4_0_ref(float *s, const float *q, const void *k, int n_pos, int head_dim,
                            float scale) {
    score_blocks(TD_DTYPE_Q4_0, s, q, k, n_pos, head_dim);
    td_scale_ref(s, scale, n_pos);
}

static void value_blocks(td_dtype dtype, float *acc, const float *p, const uint8_t *v, int n_pos,
                         int head_dim) {
    const int block_bytes = td_dtype_get_info((int)dtype)->block_bytes;
    for (int j = 0; j < n_pos; j++) {
        for (int i = 0; i < head_dim; i += 32, v += block_bytes) {
            float row[32];
            td_dequantize_row(dtype, v, row, 32);
            for (int b = 0; b < 32; b++) acc[i + b] = fmaf(p[j], row[b], acc[i + b]);
        }
    }
}

void td_attn_value_q8_0_ref(float *acc, const float *p, const void *v, int n_pos, int head_dim) {
    value_blocks(TD_DTYPE_Q8_0, acc, p, v, n_pos, head_dim);
}

void td_attn_value_q4_0_ref(float *acc, const float *p, const void *v, int n_pos, int head_dim) {
    value_blocks(TD_DTYPE_Q4_0, acc, p, v, n_pos, head_dim);
}

void td_rope_ref(float *x, const float *cs, int n_rot, bool neox) {
    const int half = n_rot / 2, stride = neox ? half : 1, step = neox ? 1 : 2;
    for (int i = 0; i < half; i++) {
        float *a = x + i * step, *b = a + stride;
        const float c = cs[2 * i], s = cs[2 * i + 1], a0 = *a, b0 = *b;
        *a = a0 * c - b0 * s;
        *b = a0 * s + b0 * c;
    }
}
