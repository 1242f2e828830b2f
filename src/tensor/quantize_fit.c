/* quantize_fit.c - the scales of small groups of weights, by weighted least squares.
 *
 * With the levels q held fixed the best scale has a closed form, and with the scale held fixed the
 * best levels are the nearest ones.  Taking turns only finds the optimum next to where it began, so
 * each fit begins at many scales, those that put the extreme element on or near the last level. */
#include <string.h>

#include "tensor/codebooks.h"
#include "tensor/quantize_int.h"

float td_mean_square(const float *x, size_t n) {
    float sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i] * x[i];
    return n ? sum / (float)n : 0;
}

/* How much of the mean square is under the root. */
static float spread(td_dtype dtype) {
    switch ((int)dtype) {
    case TD_DTYPE_Q3_K:
    case TD_DTYPE_Q4_K:
    case TD_DTYPE_Q5_K:
    case TD_DTYPE_IQ1_S:
    case TD_DTYPE_IQ1_M:
    case TD_DTYPE_IQ2_S:
    case TD_DTYPE_IQ3_XXS:
    case TD_DTYPE_IQ3_S:
    case TD_DTYPE_IQ4_NL:
    case TD_DTYPE_IQ4_XS: return 2;
    default: return 1;
    }
}

static void plain_weights(td_dtype dtype, const float *x, float mean_square, int n, float *w) {
    for (int begin = 0; begin < n; begin += 32) {
        const int end = begin + 32 < n ? begin + 32 : n;
        const float root = sqrtf(td_mean_square(x + begin, (size_t)(end - begin)));
        for (int i = begin; i < end; i++) switch ((int)dtype) {
            case TD_DTYPE_Q2_K: w[i] = fabsf(x[i]); break;
            case TD_DTYPE_Q4_K:
            case TD_DTYPE_Q5_K: w[i] = root + fabsf(x[i]); break;
            case TD_DTYPE_IQ2_S: w[i] = 0.5f * mean_square + x[i] * x[i]; break;
            default: w[i] = x[i] * x[i]; break;
            }
    }
}

void td_quantize_weights(td_dtype dtype, const float *x, const float *importance, float mean_square,
                         int n, float *w) {
    const float sigma2 = spread(dtype) * mean_square;
    if (!importance)
        plain_weights(dtype, x, mean_square, n, w);
    else if (dtype == TD_DTYPE_Q6_K)
        memcpy(w, importance, (size_t)n * sizeof *w);
    else
        for (int i = 0; i < n; i++) w[i] = importance[i] * sqrtf(sigma2 + x[i] * x[i]);
    /* Where nothing counts everything does: a scale is wanted all the same. */
    for (int begin = 0; begin < n; begin += 16) {
        float sum = 0;
        for (int i = begin; i < begin + 16; i++) sum += w[i];
        if (!(sum > 0))
            for (int i = begin; i < begin + 16; i++) w[i] = 1e-30f;
    }
}

/* ---- d q ---- */

/* The best scale for the levels nearest to x * id, and what of sum w x^2 it explains. */
static float refit_scale(const float *x, const float *w, int n, int half, float id, float *gain) {
    float wxq = 0, wqq = 0;
    for (int i = 0; i < n; i++) {
        const float q = (float)round_level(x[i] * id, -half, half - 1);
        wxq += w[i] * x[i] * q;
        wqq += w[i] * q * q;
    }
    if (!(wqq > 0)) {
        *gain = 0;
        return 0;
    }
    *gain = wxq * wxq / wqq;
    return wxq / wqq;
}

float td_fit_scale(const float *x, const float *w, int n, int half) {
    const float max = signed_max(x, n);
    if (!(fabsf(max) > 1e-30f)) return 0;
    float best = -max / (float)half, best_gain = 0, gain;
    for (int side = 0; side < (half > 16 ? 1 : 2); side++)
        for (int step = -9; step <= 9; step++) {
            const float level = (side ? (float)(half - 1) : -(float)half) + 0.1f * (float)step;
            const float d = refit_scale(x, w, n, half, level / max, &gain);
            if (gain > best_gain) best_gain = gain, best = d;
        }
    for (int turn = 0; turn < 4; turn++) {
        const float d = refit_scale(x, w, n, half, reciprocal(best), &gain);
        if (!(gain > best_gain)) break;
        best_gain = gain, best = d;
    }
    return best;
}

/* ---- d q - m ---- */

/* What does not change with the levels. */
typedef struct affine_fit {
    const float *x, *w;
    int n, max;
    bool m_any_sign;
    double w_sum, wx;
} affine_fit;

/* The best d and m for the levels nearest to (x + m0) * id, and what of sum w x^2 they explain.  In
 * double precision, because what remains when the sums cancel is small. */
static void refit_scale_min(const affine_fit *f, float id, float m0, double *d, double *m,
                            double *gain) {
    double wq = 0, wqq = 0, wxq = 0;
    for (int i = 0; i < f->n; i++) {
        const double q = round_level((f->x[i] + m0) * id, 0, f->max), wqi = (double)f->w[i] * q;
        wq += wqi;
        wqq += wqi * q;
        wxq += wqi * (double)f->x[i];
    }
    *gain = -1;
    *d = *m = 0;
    const double det = f->w_sum * wqq - wq * wq;
    if (!(wqq > 0)) return;
    if (det > 0) {
        *d = (f->w_sum * wxq - f->wx * wq) / det;
        *m = (wxq * wq - f->wx * wqq) / det;
    }
    if (!(det > 0) || (*m < 0 && !f->m_any_sign)) {
        *d = wxq / wqq;
        *m = 0;
    }
    if (*d > 0) *gain = *d * wxq - *m * f->wx;
}

float td_fit_scale_min(const float *x, const float *w, int n, int max, bool m_any_sign, float *m) {
    affine_fit f = {x, w, n, max, m_any_sign, 0, 0};
    float lo = x[0], hi = x[0];
    for (int i = 0; i < n; i++) {
        lo = x[i] < lo ? x[i] : lo;
        hi = x[i] > hi ? x[i] : hi;
        f.w_sum += (double)w[i];
        f.wx += (double)w[i] * (double)x[i];
    }
    if (lo > 0 && !m_any_sign) lo = 0;
    *m = -lo;
    if (!(hi - lo > 1e-30f)) return 0;
    float best = (hi - lo) / (float)max;
    double best_gain = -1, d, mi, gain;
    const float base = max > 3 ? -1.0f : -0.5f;
    for (int step = 0; step <= 20; step++) {
        const float id = ((float)max + base + 0.1f * (float)step) / (hi - lo);
        refit_scale_min(&f, id, -lo, &d, &mi, &gain);
        if (gain > best_gain) best_gain = gain, best = (float)d, *m = (float)mi;
    }
    for (int turn = 0; turn < 4; turn++) {
        refit_scale_min(&f, reciprocal(best), *m, &d, &mi, &gain);
        if (!(gain > best_gain)) break;
        best_gain = gain, best = (float)d, *m = (float)mi;
    }
    return best;
}

/* ---- d v ---- */

/* Between which whole numbers the next value is nearer. */
static const float iq4_borders[15] = {-115.5f, -93.5f, -74,   -57,   -42, -28.5f, -16, -4.5f,
                                      7,       19,     31.5f, 45.5f, 61,  79,     101};

int td_nearest_iq4(float v) {
    int i = v > iq4_borders[7] ? 8 : 0;
    i += v > iq4_borders[i + 3] ? 4 : 0;
    i += v > iq4_borders[i + 1] ? 2 : 0;
    return i + (v > iq4_borders[i] ? 1 : 0);
}

static float refit_iq4(const float *x, const float *w, int n, float id, float *gain) {
    float wxv = 0, wvv = 0;
    for (int i = 0; i < n; i++) {
        const float v = (float)td_iq4_values[td_nearest_iq4(x[i] * id)];
        wxv += w[i] * x[i] * v;
        wvv += w[i] * v * v;
    }
    *gain = wvv > 0 ? wxv * wxv / wvv : 0;
    return wvv > 0 ? wxv / wvv : 0;
}

float td_fit_iq4(const float *x, const float *w, int n) {
    const float max = signed_max(x, n);
    if (!(fabsf(max) > 1e-30f)) return 0;
    float best = max / -127, best_gain = 0, gain;
    for (int side = 0; side < 2; side++)
        for (int step = -7; step <= 7; step++) {
            const float v = (float)td_iq4_values[side ? 15 : 0] + 2 * (float)step;
            const float d = refit_iq4(x, w, n, v / max, &gain);
            if (gain > best_gain) best_gain = gain, best = d;
        }
    for (int turn = 0; turn < 4; turn++) {
        const float d = refit_iq4(x, w, n, reciprocal(best), &gain);
        if (!(gain > best_gain)) break;
        best_gain = gain, best = d;
    }
    return best;
}
