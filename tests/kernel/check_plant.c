/* check_plant.c - wrong kernels that td-check must reject: the mistakes one makes with these
 * formats and shapes.  Most call the reference on arguments that are slightly off. */
#include "kernel/check_plant.h"

#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/pack.h"
#include "kernel/ref/exp.h"
#include "kernel/ref/ref.h"
#include "tensor/quantize.h"

/* ---- matrix products ---- */

/* The dtype of a faulty kernel: a td_gemm_fn does not know its own.  Set by check_plant_found. */
static td_dtype current_dtype;

static td_gemm_fn *right_gemm(void) {
    td_kernels ref;
    td_kernels_ref(&ref);
    return ref.gemm[current_dtype].run;
}

static void gemm_without_tail(const td_gemm_args *g) {
    td_gemm_args a = *g;
    a.n = g->n / TD_PANEL * TD_PANEL;
    right_gemm()(&a);
}

static void gemm_past_n(const td_gemm_args *g) {
    right_gemm()(g);
    if (g->m > 0 && g->n % TD_PANEL) g->y[(g->m - 1) * g->ldy + g->n] = 0;
}

static void gemm_twin_rows(const td_gemm_args *g) { /* an odd m: the last row is skipped */
    td_gemm_args a = *g;
    a.m = g->m > 1 ? g->m / 2 * 2 : g->m;
    right_gemm()(&a);
}

/* Each panel as two halves of k, added at the end: right up to rounding. */
static void gemm_other_order(const td_gemm_args *g) {
    const int elems = td_dtype_get_info((int)current_dtype)->block_elems;
    const int first = elems == 1 ? g->k / 2 : g->k / elems / 2 * elems;
    const int act_block = elems == 256 ? 256 : 32, group = elems == 256 ? 16 : 32;
    float *y = malloc((size_t)g->m * TD_PANEL * sizeof *y + 1);
    if (!y) exit(2);
    for (int o = 0; o < g->n; o += TD_PANEL) {
        td_gemm_args a = *g;
        a.w = g->w + (size_t)(o / TD_PANEL) * td_pack_panel_bytes(current_dtype, (size_t)g->k);
        a.n = g->n - o < TD_PANEL ? g->n - o : TD_PANEL;
        a.y = g->y + o;
        a.k = first;
        right_gemm()(&a);
        a.w += td_pack_panel_bytes(current_dtype, (size_t)first);
        a.k = g->k - first;
        a.y = y;
        a.ldy = TD_PANEL;
        if (a.a.x) a.a.x += first;
        if (a.a.q) a.a.q += first, a.a.d += first / act_block, a.a.s += first / group;
        right_gemm()(&a);
        for (int i = 0; i < g->m; i++)
            for (int j = 0; j < a.n; j++) g->y[i * g->ldy + o + j] += y[i * TD_PANEL + j];
    }
    free(y);
}

/* The product on weights that `change` has altered, block of a panel by block. */
static void gemm_changed(const td_gemm_args *g, void (*change)(uint8_t *block)) {
    const size_t panels = (size_t)((g->n + TD_PANEL - 1) / TD_PANEL);
    const size_t bytes = td_pack_panel_bytes(current_dtype, (size_t)g->k) * panels;
    const size_t block = (size_t)td_dtype_get_info((int)current_dtype)->block_bytes * TD_PANEL;
    uint8_t *w = malloc(bytes + 1);
    if (!w) exit(2);
    memcpy(w, g->w, bytes);
    for (size_t i = 0; i < bytes; i += block) change(w + i);
    td_gemm_args a = *g;
    a.w = w;
    right_gemm()(&a);
    free(w);
}

/* Sub-block 1 takes the scale of sub-block 0, in every output. */
static void shift_scale(uint8_t *block) {
    int at = 64, bits = 0x3f;
    if (current_dtype == TD_DTYPE_Q6_K) at = 48 * 64, bits = 0xff;
    if (current_dtype == TD_DTYPE_Q2_K) at = 0, bits = 0x0f;
    if (current_dtype == TD_DTYPE_Q3_K) at = 24 * 64, bits = 0x0f;
    for (int row = 0; row < TD_PANEL; row++) {
        uint8_t *word = block + at + row * 4;
        word[1] = (uint8_t)((word[1] & ~bits) | (word[0] & bits));
    }
}
static void gemm_shifted_scale(const td_gemm_args *g) { gemm_changed(g, shift_scale); }

/* The mins of sub-blocks 2 and 3 change places. */
static void swap_mins(uint8_t *block) {
    for (int row = 0; row < TD_PANEL; row++) {
        uint8_t *word = block + 2 * 64 + row * 4;
        const uint8_t m2 = word[2] & 0x3f, m3 = word[3] & 0x3f;
        word[2] = (uint8_t)((word[2] & 0xc0) | m3);
        word[3] = (uint8_t)((word[3] & 0xc0) | m2);
    }
}
static void gemm_swapped_mins(const td_gemm_args *g) { gemm_changed(g, swap_mins); }

/* -128 read as -127: what |w| in a signed byte would give after saturation. */
static void saturate_weights(uint8_t *block) {
    for (int i = TD_PANEL * 2; i < TD_PANEL * 34; i++)
        if (block[i] == 0x80) block[i] = 0x81;
}
static void gemm_saturated(const td_gemm_args *g) { gemm_changed(g, saturate_weights); }

/* The fifth bits of elements 0 and 16 change places. */
static void swap_high_bits(uint8_t *block) {
    const int at = current_dtype == TD_DTYPE_Q5_0 ? 32 : 64;
    for (int row = 0; row < TD_PANEL; row++) {
        uint8_t *word = block + at + row * 4;
        const uint8_t low = word[0] & 1, high = word[2] & 1;
        word[0] = (uint8_t)((word[0] & 0xfe) | high);
        word[2] = (uint8_t)((word[2] & 0xfe) | low);
    }
}
static void gemm_swapped_high_bits(const td_gemm_args *g) { gemm_changed(g, swap_high_bits); }

/* The second half of the codes in reverse, as a table of signed magnitudes might have it. */
static void swap_codes(uint8_t *block) {
    const int at = current_dtype == TD_DTYPE_MXFP4 ? 1 : current_dtype == TD_DTYPE_NVFP4 ? 4 : 2;
    const int end = td_dtype_get_info((int)current_dtype)->block_bytes;
    for (int i = at * TD_PANEL; i < end * TD_PANEL; i++)
        block[i] ^= (block[i] & 8 ? 7 : 0) | (block[i] & 0x80 ? 0x70 : 0);
}
static void gemm_swapped_codes(const td_gemm_args *g) { gemm_changed(g, swap_codes); }

/* The smallest scale of E8M0 taken for the one above: both are denormal. */
static void raise_e8m0(uint8_t *block) {
    for (int i = 0; i < TD_PANEL; i++)
        if (block[i] == 0) block[i] = 1;
}
static void gemm_raised_e8m0(const td_gemm_args *g) { gemm_changed(g, raise_e8m0); }

/* The denormal scales of NVFP4 flushed to 0. */
static void flush_e4m3(uint8_t *block) {
    for (int i = 0; i < TD_PANEL * 4; i++)
        if ((block[i] & 0x7f) < 8) block[i] = 0;
}
static void gemm_flushed_e4m3(const td_gemm_args *g) { gemm_changed(g, flush_e4m3); }

/* A scale byte 0x7f of NVFP4 taken for the number 240. */
static void number_from_nan(uint8_t *block) {
    for (int i = 0; i < TD_PANEL * 4; i++)
        if (block[i] == 0x7f) block[i] = 0xff;
}
static void gemm_number_from_nan(const td_gemm_args *g) { gemm_changed(g, number_from_nan); }

/* The scales of two runs of NVFP4 change places. */
static void swap_runs(uint8_t *block) {
    for (int row = 0; row < TD_PANEL; row++) {
        uint8_t *word = block + row * 4, first = word[0];
        word[0] = word[1];
        word[1] = first;
    }
}
static void gemm_swapped_runs(const td_gemm_args *g) { gemm_changed(g, swap_runs); }

/* The zero taken for four bits, so that 16 becomes 0. */
static void cut_zero(uint8_t *block) {
    for (int i = TD_PANEL * 2; i < TD_PANEL * 3; i++) block[i] &= 15;
}
static void gemm_cut_zero(const td_gemm_args *g) { gemm_changed(g, cut_zero); }

/* The bf16 scale of INT4 read as an f16. */
static void gemm_wrong_half(const td_gemm_args *g) { td_gemm_q4_0_ref(g); }

/* Each of the 128 weights of a chunk of F8_E4M3 times the scale, and those products summed. */
static void gemm_scales_first(const td_gemm_args *g) {
    const size_t panel_bytes = td_pack_panel_bytes(TD_DTYPE_F8_E4M3, (size_t)g->k);
    for (int o = 0; o < g->n; o++) {
        const uint8_t *block = g->w + (size_t)(o / TD_PANEL) * panel_bytes;
        for (int i = 0; i < g->m; i++) g->y[i * g->ldy + o] = 0;
        for (int k = 0; k < g->k; k += 128, block += TD_PANEL * 132) {
            const int n = g->k - k < 128 ? g->k - k : 128;
            uint8_t bytes[132];
            float w[128];
            td_unpack_block(TD_DTYPE_F8_E4M3, block, o % TD_PANEL, 4 + (size_t)n, bytes);
            td_dequantize_row(TD_DTYPE_F8_E4M3, bytes, w, (size_t)n);
            for (int i = 0; i < g->m; i++) {
                float sum = 0;
                for (int j = 0; j < n; j++) sum = fmaf(w[j], g->a.x[i * g->a.ldx + k + j], sum);
                g->y[i * g->ldy + o] += sum;
            }
        }
    }
}

/* The product on weights of F8_E4M3 that `change` has altered, byte by byte. */
static void gemm_changed_f8(const td_gemm_args *g, uint8_t (*change)(uint8_t weight)) {
    const size_t panels = (size_t)((g->n + TD_PANEL - 1) / TD_PANEL);
    const size_t panel_bytes = td_pack_panel_bytes(TD_DTYPE_F8_E4M3, (size_t)g->k);
    uint8_t *w = malloc(panels * panel_bytes + 1);
    if (!w) exit(2);
    memcpy(w, g->w, panels * panel_bytes);
    for (size_t p = 0; p < panels; p++)
        for (size_t i = 0; i < panel_bytes; i++)
            if (i % (TD_PANEL * 132) >= TD_PANEL * 4)
                w[p * panel_bytes + i] = change(w[p * panel_bytes + i]);
    td_gemm_args a = *g;
    a.w = w;
    right_gemm()(&a);
    free(w);
}

static uint8_t flush_weight(uint8_t w) { return w & 0x78 ? w : w & 0x80; }
static uint8_t weight_of_nan(uint8_t w) { return (w & 0x7f) == 0x7f ? w & 0xfe : w; }
static void gemm_flushed_f8(const td_gemm_args *g) { gemm_changed_f8(g, flush_weight); }
static void gemm_f8_without_nan(const td_gemm_args *g) { gemm_changed_f8(g, weight_of_nan); }

/* The last, short block of a row is missing. */
static void gemm_without_short(const td_gemm_args *g) {
    td_gemm_args a = *g;
    const size_t panel_bytes = td_pack_panel_bytes(TD_DTYPE_F8_E4M3, (size_t)g->k);
    if (g->k > 128) a.k = g->k / 128 * 128;
    for (int o = 0; o < g->n; o += TD_PANEL) {
        a.w = g->w + (size_t)(o / TD_PANEL) * panel_bytes;
        a.n = g->n - o < TD_PANEL ? g->n - o : TD_PANEL;
        a.y = g->y + o;
        right_gemm()(&a);
    }
}

/* What one easily overlooks in the other 256-blocks: these bits of a byte of every output's word
 * `at`, behind n_half halves, are read as 0. */
typedef struct overlooked {
    td_dtype dtype;
    int n_half, at, byte, bits;
} overlooked;

static const overlooked overlooked_bits[] = {
    {TD_DTYPE_Q2_K,    0, 0,  1, 0x30}, /* of a min */
    {TD_DTYPE_Q3_K,    0, 26, 2, 0x30}, /* the top of a scale */
    {TD_DTYPE_IQ1_S,   1, 9,  3, 0x80}, /* the sign of a delta */
    {TD_DTYPE_IQ1_M,   0, 8,  2, 0x08}, /* the same */
    {TD_DTYPE_IQ2_XXS, 1, 1,  3, 0x04}, /* a sign, which also decides the eighth */
    {TD_DTYPE_IQ2_XS,  1, 2,  1, 0x01}, /* the ninth bit of an index */
    {TD_DTYPE_IQ2_S,   1, 17, 3, 0x80}, /* the tenth bit of the last index */
    {TD_DTYPE_IQ3_XXS, 1, 20, 3, 0x10}, /* the lowest bit of a scale */
    {TD_DTYPE_IQ3_S,   1, 16, 1, 0x80}, /* the ninth bit of an index */
    {TD_DTYPE_IQ4_XS,  2, 0,  0, 0xf0}, /* the low bits of a scale */
    {TD_DTYPE_TQ1_0,   0, 12, 3, 0xff}, /* the last four digits */
    {TD_DTYPE_TQ2_0,   0, 15, 3, 0xc0}  /* the last weight */
};

static void overlook_bits(uint8_t *block) {
    for (size_t i = 0; i < sizeof overlooked_bits / sizeof overlooked_bits[0]; i++) {
        const overlooked *o = &overlooked_bits[i];
        if (o->dtype != current_dtype) continue;
        for (int row = 0; row < TD_PANEL; row++)
            block[(o->n_half * 2 + o->at * 4) * TD_PANEL + row * 4 + o->byte] &= (uint8_t)~o->bits;
    }
}
static void gemm_overlooked(const td_gemm_args *g) { gemm_changed(g, overlook_bits); }

/* As if a pair of products saturated an int16: all activations 127 become 126. */
static void gemm_saturated_pairs(const td_gemm_args *g) {
    const size_t n = g->m ? (size_t)((g->m - 1) * g->a.ldq + g->k) : 0;
    int8_t *q = malloc(n + 1);
    if (!q) exit(2);
    memcpy(q, g->a.q, n);
    bool extreme = g->m > 0;
    for (int i = 0; i < g->m; i++)
        for (int j = 0; j < g->k; j++)
            if (abs(q[i * g->a.ldq + j]) != 127) extreme = false;
    if (extreme) q[0] = (int8_t)(q[0] / 127 * 126);
    td_gemm_args a = *g;
    a.a.q = q;
    right_gemm()(&a);
    free(q);
}

/* Runs into the unreadable page behind the weights. */
static void gemm_reads_on(const td_gemm_args *g) {
    const size_t panels = (size_t)((g->n + TD_PANEL - 1) / TD_PANEL);
    right_gemm()(g);
    const volatile uint8_t *end = g->w + td_pack_panel_bytes(current_dtype, (size_t)g->k) * panels;
    (void)end[1];
}

static void set_gemm(td_kernels *t, td_gemm_fn *fn) {
    for (int i = 0; i < TD_N_DTYPE; i++)
        if (t->gemm[i].run) t->gemm[i].run = fn;
}
static void plant_without_tail(td_kernels *t) { set_gemm(t, gemm_without_tail); }
static void plant_past_n(td_kernels *t) { set_gemm(t, gemm_past_n); }
static void plant_twin_rows(td_kernels *t) { set_gemm(t, gemm_twin_rows); }
static void plant_other_order(td_kernels *t) { set_gemm(t, gemm_other_order); }
static void plant_shifted_scale(td_kernels *t) { set_gemm(t, gemm_shifted_scale); }
static void plant_swapped_mins(td_kernels *t) { set_gemm(t, gemm_swapped_mins); }
static void plant_saturated(td_kernels *t) { set_gemm(t, gemm_saturated); }
static void plant_swapped_high_bits(td_kernels *t) { set_gemm(t, gemm_swapped_high_bits); }
static void plant_swapped_codes(td_kernels *t) { set_gemm(t, gemm_swapped_codes); }
static void plant_raised_e8m0(td_kernels *t) { set_gemm(t, gemm_raised_e8m0); }
static void plant_flushed_e4m3(td_kernels *t) { set_gemm(t, gemm_flushed_e4m3); }
static void plant_number_from_nan(td_kernels *t) { set_gemm(t, gemm_number_from_nan); }
static void plant_swapped_runs(td_kernels *t) { set_gemm(t, gemm_swapped_runs); }
static void plant_cut_zero(td_kernels *t) { set_gemm(t, gemm_cut_zero); }
static void plant_wrong_half(td_kernels *t) { set_gemm(t, gemm_wrong_half); }
static void plant_scales_first(td_kernels *t) { set_gemm(t, gemm_scales_first); }
static void plant_flushed_f8(td_kernels *t) { set_gemm(t, gemm_flushed_f8); }
static void plant_f8_without_nan(td_kernels *t) { set_gemm(t, gemm_f8_without_nan); }
static void plant_without_short(td_kernels *t) { set_gemm(t, gemm_without_short); }
static void plant_overlooked(td_kernels *t) { set_gemm(t, gemm_overlooked); }
static void plant_saturated_pairs(td_kernels *t) { set_gemm(t, gemm_saturated_pairs); }
static void plant_reads_on(td_kernels *t) { set_gemm(t, gemm_reads_on); }

/* ---- activations ---- */

static void quantize_half_up_32(const float *x, int k, int8_t *q, float *d, int16_t *s) {
    td_quantize_act_q8_32_ref(x, k, q, d, s);
    for (int i = 0; i < k; i++) /* ties away from zero */
        if (d[i / 32] == 1) q[i] = (int8_t)roundf(x[i]);
}
static void quantize_wrong_group(const float *x, int k, int8_t *q, float *d, int16_t *s) {
    td_quantize_act_q8_256_ref(x, k, q, d, s);
    for (int i = 0; i + 1 < k / 16; i += 2) s[i] = (int16_t)(s[i] + s[i + 1]);
}
static void plant_quantize(td_kernels *t) {
    t->quantize_act[TD_ACT_Q8_32] = quantize_half_up_32;
    t->quantize_act[TD_ACT_Q8_256] = quantize_wrong_group;
}

/* ---- vectors ---- */

static void rms_norm_one_lane(float *y, const float *x, const float *w, int n, float eps) {
    float sum = 0;
    for (int i = 0; i < n; i++) sum = fmaf(x[i], x[i], sum);
    const float r = 1.0f / sqrtf(sum / (float)n + eps);
    for (int i = 0; i < n; i++) y[i] = w ? x[i] * r * w[i] : x[i] * r;
}
static void rms_norm_other_product(float *y, const float *x, const float *w, int n, float eps) {
    float ones[4096];
    for (int i = 0; i < n; i++) ones[i] = 1;
    td_rms_norm_ref(ones, x, NULL, n, eps);
    float copy[4096];
    for (int i = 0; i < n; i++) copy[i] = x[i];
    const float r = n ? ones[0] / copy[0] : 0;
    for (int i = 0; i < n; i++) y[i] = w ? copy[i] * (r * w[i]) : copy[i] * r;
}
static void plant_rms_one_lane(td_kernels *t) { t->rms_norm = rms_norm_one_lane; }
static void plant_rms_other_product(td_kernels *t) { t->rms_norm = rms_norm_other_product; }

static void layer_norm_raw_variance(float *y, const float *x, const float *w, const float *b, int n,
                                    float eps) {
    float sum = 0, square = 0;
    for (int i = 0; i < n; i++) {
        sum += x[i];
        square = fmaf(x[i], x[i], square);
    }
    const float mean = sum / (float)n, r = 1.0f / sqrtf(square / (float)n - mean * mean + eps);
    for (int i = 0; i < n; i++) y[i] = (x[i] - mean) * r * (w ? w[i] : 1) + (b ? b[i] : 0);
}
static void plant_layer_norm(td_kernels *t) { t->layer_norm = layer_norm_raw_variance; }

static void geglu_library_erf(float *y, const float *gate, const float *up, int n) {
    for (int i = 0; i < n; i++)
        y[i] = gate[i] * 0.5f * (1 + erff(gate[i] * sqrtf(0.5f))) * (up ? up[i] : 1);
}
static void swiglu_library_exp(float *y, const float *gate, const float *up, int n) {
    for (int i = 0; i < n; i++) y[i] = gate[i] / (1.0f + expf(-gate[i])) * (up ? up[i] : 1);
}
static void geglu_unfused(float *y, const float *gate, const float *up, int n) {
    for (int i = 0; i < n; i++) {
        const float g = gate[i], u2 = g * (g * g * TD_GELU_C2 + TD_GELU_C1);
        y[i] = g / (1.0f + td_exp(-u2)) * (up ? up[i] : 1);
    }
}
static void plant_glu(td_kernels *t) {
    t->swiglu = swiglu_library_exp;
    t->geglu_tanh = geglu_unfused;
    t->geglu = geglu_library_erf;
}

static void swiglu_no_alias(float *y, const float *gate, const float *up, int n) {
    for (int i = 0; i < n; i++) y[i] = 0;
    td_swiglu_ref(y, gate, up, n);
}
static void plant_swiglu_no_alias(td_kernels *t) { t->swiglu = swiglu_no_alias; }

static void add_without_tail(float *y, const float *x, int n) { td_add_ref(y, x, n & ~7); }
static void scale_past_end(float *y, float c, int n) {
    td_scale_ref(y, c, n);
    if (n % 16) y[n] = 0;
}
/* Right to an ulp or two, but the C library's tanh and not ours. */
static void softcap_by_library(float *x, int n, float cap) {
    for (int i = 0; i < n; i++) x[i] = cap * tanhf(x[i] / cap);
}
static float max_wrong_zero(const float *x, int n) { return td_max_ref(x, n) + 0.0f; }
static float max_takes_nan(const float *x, int n) {
    float max = -INFINITY;
    for (int i = 0; i < n; i++)
        if (!(x[i] <= max)) max = x[i];
    return max;
}
static float exp_sum_in_order(float *p, int n, float max) {
    float sum = 0;
    td_exp_sum_ref(p, n, max);
    for (int i = 0; i < n; i++) sum += p[i];
    return sum;
}
static void to_f16_truncated(uint16_t *dst, const float *src, int n) {
    td_to_f16_ref(dst, src, n);
    for (int i = 0; i < n; i++)
        if (fabsf(td_f16_to_f32(dst[i])) > fabsf(src[i])) dst[i]--;
}
static void plant_add(td_kernels *t) { t->add = add_without_tail; }
static void plant_scale(td_kernels *t) { t->scale = scale_past_end; }
static void plant_softcap(td_kernels *t) { t->softcap = softcap_by_library; }
static void plant_max_zero(td_kernels *t) { t->max = max_wrong_zero; }
static void plant_max_nan(td_kernels *t) { t->max = max_takes_nan; }
static void plant_exp_sum(td_kernels *t) { t->exp_sum = exp_sum_in_order; }
static void plant_to_f16(td_kernels *t) { t->to_f16 = to_f16_truncated; }

static void rope_fused(float *x, const float *cs, int n_rot, bool neox) {
    const int half = n_rot / 2, stride = neox ? half : 1, step = neox ? 1 : 2;
    for (int i = 0; i < half; i++) {
        float *a = x + i * step, *b = a + stride;
        const float c = cs[2 * i], s = cs[2 * i + 1], a0 = *a, b0 = *b;
        *a = fmaf(a0, c, -(b0 * s));
        *b = fmaf(a0, s, b0 * c);
    }
}
static void rope_always_neox(float *x, const float *cs, int n_rot, bool neox) {
    (void)neox;
    td_rope_ref(x, cs, n_rot, true);
}
static void plant_rope_fused(td_kernels *t) { t->rope = rope_fused; }
static void plant_rope_neox(td_kernels *t) { t->rope = rope_always_neox; }

/* ---- attention ---- */

static void score_in_order(float *s, const float *q, const void *k, int n_pos, int head_dim,
                           float scale) {
    const float *row = k;
    for (int j = 0; j < n_pos; j++, row += head_dim) {
        float sum = 0;
        for (int i = 0; i < head_dim; i++) sum = fmaf(q[i], row[i], sum);
        s[j] = sum * scale;
    }
}
/* The scale goes into the query, tripled, and a third comes off at the end. */
static void score_scaled_query(float *s, const float *q, const void *k, int n_pos, int head_dim,
                               float scale) {
    float scaled[256];
    for (int i = 0; i < head_dim; i++) scaled[i] = q[i] * (scale * 3); /* 3: or rounding is exact */
    td_attn_score_f16_ref(s, scaled, k, n_pos, head_dim, 1.0f / 3);
}
static void value_unfused(float *acc, const float *p, const void *v, int n_pos, int head_dim) {
    const float *row = v;
    for (int j = 0; j < n_pos; j++, row += head_dim)
        for (int i = 0; i < head_dim; i++) acc[i] += p[j] * row[i];
}
static void value_skips_last(float *acc, const float *p, const void *v, int n_pos, int head_dim) {
    td_attn_value_f16_ref(acc, p, v, n_pos / 4 * 4, head_dim);
}
/* The scale of a block times the sum of q * k: right up to rounding. */
static void score_scales_sum(float *s, const float *q, const void *k, int n_pos, int head_dim,
                             float scale) {
    const uint8_t *b = k;
    for (int j = 0; j < n_pos; j++) {
        float sum = 0;
        for (int i = 0; i < head_dim; i += 32, b += 34) {
            uint16_t d;
            memcpy(&d, b, sizeof d);
            float part = 0;
            for (int e = 0; e < 32; e++) part = fmaf(q[i + e], (float)(int8_t)b[2 + e], part);
            sum = fmaf(td_f16_to_f32(d), part, sum);
        }
        s[j] = sum * scale;
    }
}
/* Low and high nibbles in turns, as some formats have them. */
static void value_mixed_nibbles(float *acc, const float *p, const void *v, int n_pos,
                                int head_dim) {
    const uint8_t *b = v;
    for (int j = 0; j < n_pos; j++)
        for (int i = 0; i < head_dim; i += 32, b += 18) {
            uint16_t d;
            memcpy(&d, b, sizeof d);
            for (int e = 0; e < 32; e++) {
                const int q = e % 2 ? b[2 + e / 2] >> 4 : b[2 + e / 2] & 15;
                acc[i + e] = fmaf(p[j], td_f16_to_f32(d) * (float)(q - 8), acc[i + e]);
            }
        }
}
static void value_short(float *acc, const float *p, const void *v, int n_pos, int head_dim) {
    td_attn_value_q8_0_ref(acc, p, v, n_pos / 4 * 4, head_dim);
}
static void score_short(float *s, const float *q, const void *k, int n_pos, int head_dim,
                        float scale) {
    td_attn_score_q4_0_ref(s, q, k, n_pos / 4 * 4, head_dim, scale);
}
/* Half to even instead of half away from zero. */
static void to_q8_0_even(void *dst, const float *src, int n) {
    td_to_q8_0_ref(dst, src, n);
    uint8_t *b = dst;
    for (int k = 0; k < n; k += 32, b += 34) {
        float max = 0;
        for (int i = 0; i < 32; i++) max = fmaxf(max, fabsf(src[k + i]));
        if (!(max > 1e-30f && max < 1e30f)) continue;
        const float id = 1.0f / (max / 127.0f);
        for (int i = 0; i < 32; i++) b[2 + i] = (uint8_t)(int8_t)rintf(src[k + i] * id);
    }
}
/* The last of equal magnitudes gives the scale its sign. */
static void to_q4_0_last(void *dst, const float *src, int n) {
    for (int k = 0; k < n; k += 32) {
        float turned[32];
        uint8_t *b = (uint8_t *)dst + k / 32 * 18, swapped[18];
        for (int i = 0; i < 32; i++) turned[i] = src[k + 31 - i];
        td_to_q4_0_ref(swapped, turned, 32);
        memcpy(b, swapped, 2);
        for (int j = 0; j < 16; j++) {
            const uint8_t q = swapped[2 + 15 - j];
            b[2 + j] = (uint8_t)(q >> 4 | q << 4);
        }
    }
}
static void plant_to_blocks(td_kernels *t) {
    t->to_q8_0 = to_q8_0_even;
    t->to_q4_0 = to_q4_0_last;
}

static void plant_attn(td_kernels *t) {
    t->attn_score[TD_KV_DTYPE_F32] = score_in_order;
    t->attn_score[TD_KV_DTYPE_F16] = score_scaled_query;
    t->attn_score[TD_KV_DTYPE_Q8_0] = score_scales_sum;
    t->attn_score[TD_KV_DTYPE_Q4_0] = score_short;
    t->attn_value[TD_KV_DTYPE_F32] = value_unfused;
    t->attn_value[TD_KV_DTYPE_F16] = value_skips_last;
    t->attn_value[TD_KV_DTYPE_Q8_0] = value_short;
    t->attn_value[TD_KV_DTYPE_Q4_0] = value_mixed_nibbles;
}

/* ---- the list ---- */

const check_plant check_plants[] = {
    {"gemm_*",          "the last, partial panel is missing",           plant_without_tail,      false},
    {"gemm_*",          "writes one output past n",                     plant_past_n,            false},
    {"gemm_*",          "the last of an odd number of rows is missing", plant_twin_rows,         false},
    {"gemm_*",          "adds halves of k at the end",                  plant_other_order,       false},
    {"gemm_q?_k",       "a sub-block takes its neighbour's scale",      plant_shifted_scale,     false},
    {"gemm_q[45]_k",    "two mins change places",                       plant_swapped_mins,      false},
    {"gemm_q8_0",       "a weight of -128 saturates",                   plant_saturated,         false},
    {"gemm_q5_[01]",    "two fifth bits change places",                 plant_swapped_high_bits, false},
    {"gemm_iq4_nl",     "half of the codes in reverse",                 plant_swapped_codes,     false},
    {"gemm_??fp4",      "half of the codes in reverse",                 plant_swapped_codes,     false},
    {"gemm_mxfp4",      "the denormal scales become one",               plant_raised_e8m0,       false},
    {"gemm_nvfp4",      "denormal scales become 0",                     plant_flushed_e4m3,      false},
    {"gemm_nvfp4",      "a scale of 0x7f counts",                       plant_number_from_nan,   false},
    {"gemm_nvfp4",      "a run takes its neighbour's scale",            plant_swapped_runs,      false},
    {"gemm_int4_z*",    "a zero of 16 becomes 0",                       plant_cut_zero,          false},
    {"gemm_int4",       "the scale read as f16",                        plant_wrong_half,        false},
    {"gemm_f8_e4m3",    "multiplies each weight by the scale",          plant_scales_first,      false},
    {"gemm_f8_e4m3",    "denormal weights become 0",                    plant_flushed_f8,        false},
    {"gemm_f8_e4m3",    "NaN becomes a number",                         plant_f8_without_nan,    false},
    {"gemm_f8_e4m3",    "the short block of a row is missing",          plant_without_short,     false},
    {"gemm_q[23]_k",    "bits are overlooked",                          plant_overlooked,        false},
    {"gemm_iq?_[mxs]*", "bits are overlooked",                          plant_overlooked,        false},
    {"gemm_tq?_0",      "bits are overlooked",                          plant_overlooked,        false},
    {"gemm_iq?_[mxs]*", "extreme products saturate",                    plant_saturated_pairs,   false},
    {"gemm_q4_0",       "reads past the weights",                       plant_reads_on,          true },
    {"quantize_act_*",  "rounds half up; sums over the wrong groups",   plant_quantize,          false},
    {"rms_norm",        "one lane instead of 16",                       plant_rms_one_lane,      false},
    {"rms_norm",        "multiplies r * w first",                       plant_rms_other_product, false},
    {"layer_norm",      "the variance as a difference of means",        plant_layer_norm,        false},
    {"*glu*",           "another exp or erf; a product not fused",      plant_glu,               false},
    {"swiglu",          "writes y before reading the gate",             plant_swiglu_no_alias,   false},
    {"add",             "the tail is missing",                          plant_add,               false},
    {"scale",           "writes past the end",                          plant_scale,             false},
    {"softcap",         "another tanh",                                 plant_softcap,           false},
    {"max",             "loses the sign of zero",                       plant_max_zero,          false},
    {"max",             "takes NaN for a maximum",                      plant_max_nan,           false},
    {"exp_sum",         "adds in order",                                plant_exp_sum,           false},
    {"to_f16",          "truncates",                                    plant_to_f16,            false},
    {"rope",            "fuses a product and a sum",                    plant_rope_fused,        false},
    {"rope",            "ignores the kind of pairs",                    plant_rope_neox,         false},
    {"to_q?_0",         "rounds to even; the last of equals counts",    plant_to_blocks,         false},
    {"attn_*",          "adds in order; scales early or late; short",   plant_attn,              false},
};
const int n_check_plants = sizeof check_plants / sizeof check_plants[0];

bool check_plant_found(const check_plant *plant, uint64_t seed) {
    bool all = true;
    for (int i = 0; i < n_check_slots; i++) {
        const check_slot *slot = &check_slots[i];
        if (fnmatch(plant->slot, slot->name, 0) != 0) continue;
        const check_options options = {.seed = seed, .slot = slot->name, .stop = true};
        check c;
        check_init(&c, &options);
        current_dtype = (td_dtype)slot->id;
        c.n_level = 1;
        c.levels[0].name = "planted";
        td_kernels_ref(&c.levels[0].table);
        plant->plant(&c.levels[0].table);
        if (check_run(&c, false)) all = false;
        check_clear(&c);
    }
    return all;
}
