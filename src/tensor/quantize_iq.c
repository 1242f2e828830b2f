/* quantize_iq.c - float32 to the IQ types.
 *
 * As with the K types (quantize_k.c) a group of weights first gets the scale that suits it alone,
 * then the groups choose integer scales and the block's scale is fitted to all of them, in turns.
 * The scales of the codebook types are odd multiples of the block's. */
#include <string.h>

#include "tensor/codebooks.h"
#include "tensor/quantize_grid.h"
#include "tensor/quantize_int.h"

enum { N_TURN = 2 };

/* ---- codebooks of runs ---- */

/* Elements have a small offset, of either sign: one for a group of weights, or one for each run. */
typedef enum delta_kind { DELTA_NONE, DELTA_OF_GROUP, DELTA_OF_RUN } delta_kind;
static const float delta_size = 0.125f;

/* A weight is unit * d * (2 scale + 1) * element, scale in [0, scale_max]. */
typedef struct grid_block_type {
    td_dtype dtype;
    td_grid_type grid;
    int n; /* weights of a group */
    int scale_max;
    float unit;
    delta_kind delta;
    bool has_signs, even_signs; /* elements have signs of their own; of eight an even number */
} grid_block_type;

typedef struct grid_block {
    const grid_block_type *type;
    const td_grid *grid;
    float x[256]; /* with signs apart: magnitudes */
    float w[256];
    float d;
    uint8_t signs[32];
    uint8_t scale[16];
    uint16_t entry[64]; /* of each run; TD_GRID_MINUS: the offset is negative */
} grid_block;

/* Where an even number of signs is wanted, the one that costs least is wrong. */
static void take_signs(grid_block *b, const float *x) {
    for (int r = 0; r < 32; r++) {
        unsigned signs = 0;
        int cheapest = 8 * r;
        for (int i = 8 * r; i < 8 * r + 8; i++) {
            if (x[i] < 0) signs |= 1u << (i & 7);
            b->x[i] = fabsf(x[i]);
            if (b->w[i] * x[i] * x[i] < b->w[cheapest] * x[cheapest] * x[cheapest]) cheapest = i;
        }
        if (b->type->even_signs && __builtin_parity(signs)) {
            signs ^= 1u << (cheapest & 7);
            b->x[cheapest] = -b->x[cheapest];
        }
        b->signs[r] = (uint8_t)signs;
    }
}

/* The entries nearest to a group at a scale, its offsets all of one sign. */
static float assign_with(const grid_block *b, int group, float s, float delta, uint16_t *entry) {
    const int n = b->type->n, n_elem = b->grid->n_elem;
    const float *x = b->x + n * group, *w = b->w + n * group;
    float error = 0;
    for (int r = 0; r < n / n_elem; r++) {
        error += td_grid_nearest(b->grid, x + n_elem * r, w + n_elem * r, s, delta, &entry[r]);
        if (delta < 0) entry[r] |= TD_GRID_MINUS;
    }
    return error;
}

static float assign_delta_of_run(const grid_block *b, int group, float s, uint16_t *entry) {
    const int n = b->type->n;
    float error = 0;
    for (int r = 0; r < n / 8; r++) {
        const float *x = b->x + n * group + 8 * r, *w = b->w + n * group + 8 * r;
        uint16_t minus;
        const float e_plus = td_grid_nearest(b->grid, x, w, s, delta_size, &entry[r]);
        const float e_minus = td_grid_nearest(b->grid, x, w, s, -delta_size, &minus);
        if (e_minus < e_plus) entry[r] = minus | TD_GRID_MINUS;
        error += e_minus < e_plus ? e_minus : e_plus;
    }
    return error;
}

/* The best entries of a group at a scale, and their error. */
static float assign(const grid_block *b, int group, float s, uint16_t *entry) {
    if (b->type->delta == DELTA_NONE) return assign_with(b, group, s, 0, entry);
    if (b->type->delta == DELTA_OF_RUN) return assign_delta_of_run(b, group, s, entry);
    uint16_t minus[8];
    const float e_plus = assign_with(b, group, s, delta_size, entry);
    const float e_minus = assign_with(b, group, s, -delta_size, minus);
    if (!(e_minus < e_plus)) return e_plus;
    memcpy(entry, minus, sizeof minus);
    return e_minus;
}

/* Adds what a group says about the scale that would suit its entries best. */
static void add_moments(const grid_block *b, int group, const uint16_t *entry, float scale,
                        float *wxv, float *wvv) {
    const int n = b->type->n, n_elem = b->grid->n_elem;
    for (int i = 0; i < n; i++) {
        const unsigned e = entry[i / n_elem];
        float v = td_grid_element(b->grid, e & ~(unsigned)TD_GRID_MINUS, i % n_elem);
        if (b->type->delta != DELTA_NONE) v += e & TD_GRID_MINUS ? -delta_size : delta_size;
        v *= scale;
        *wxv += b->w[n * group + i] * b->x[n * group + i] * v;
        *wvv += b->w[n * group + i] * v * v;
    }
}

/* Takes turns from a scale on; true if it found a better one than *best. */
static void descend(const grid_block *b, int group, float s, float *best, float *best_error) {
    for (int turn = 0; turn < 3; turn++) {
        uint16_t entry[8];
        const float error = assign(b, group, s, entry);
        if (error < *best_error) *best_error = error, *best = s;
        float wxv = 0, wvv = 0;
        add_moments(b, group, entry, 1, &wxv, &wvv);
        const float next = wvv > 0 ? wxv / wvv : 0;
        if (!(next > 0) || fabsf(next - s) < 1e-3f * s) return;
        s = next;
    }
}

/* The scale that suits a group alone. */
static float fit_group(const grid_block *b, int group) {
    static const float starts[2][4] = {
        {0.6f, 0.8f, 1.0f, 1.3f},
        {0.3f, 0.5f, 0.7f, 1.0f}
    };
    const float max = fabsf(signed_max(b->x + b->type->n * group, b->type->n));
    if (!(max > 1e-30f)) return 0;
    const float top = (float)b->type->grid.level[b->type->grid.n_level - 1];
    float best = max / top, best_error = INFINITY;
    for (int i = 0; i < 4; i++)
        descend(b, group, max / top * starts[!b->type->has_signs][i], &best, &best_error);
    return best;
}

/* The scale at `around` or next to it, and its entries. */
static void choose_scale(grid_block *b, int group, int around) {
    const int n_entry = b->type->n / b->grid->n_elem;
    float best = INFINITY;
    for (int scale = around - 1; scale <= around + 1; scale++) {
        uint16_t entry[8];
        if (scale < 0 || scale > b->type->scale_max) continue;
        const float error = assign(b, group, b->type->unit * b->d * (float)(2 * scale + 1), entry);
        if (!(error < best) && best < INFINITY) continue;
        best = error;
        b->scale[group] = (uint8_t)scale;
        memcpy(b->entry + n_entry * group, entry, (size_t)n_entry * sizeof *entry);
    }
}

static void refit_block(grid_block *b) {
    const int n = b->type->n, n_entry = n / b->grid->n_elem;
    float wxv = 0, wvv = 0;
    for (int g = 0; g < 256 / n; g++)
        add_moments(b, g, b->entry + n_entry * g, b->type->unit * (float)(2 * b->scale[g] + 1),
                    &wxv, &wvv);
    if (wvv > 0 && wxv > 0) b->d = round_half(wxv / wvv);
}

static void fit_block(grid_block *b, const grid_block_type *type, const td_grid *grid,
                      const float *x, const float *importance) {
    b->type = type;
    b->grid = grid;
    td_quantize_weights(type->dtype, x, importance, td_mean_square(x, 256), 256, b->w);
    if (type->has_signs)
        take_signs(b, x);
    else
        memcpy(b->x, x, sizeof b->x);
    const int n_group = 256 / type->n;
    float scale[16], max = 0;
    for (int g = 0; g < n_group; g++) {
        scale[g] = fit_group(b, g);
        max = scale[g] > max ? scale[g] : max;
    }
    b->d = round_half(max / (type->unit * (float)(2 * type->scale_max + 1)));
    const float id = reciprocal(type->unit * b->d);
    for (int g = 0; g < n_group; g++)
        choose_scale(b, g, round_level((scale[g] * id - 1) * 0.5f, 0, type->scale_max));
    for (int turn = 0; turn < N_TURN; turn++) {
        refit_block(b);
        for (int g = 0; g < n_group; g++) choose_scale(b, g, b->scale[g]);
    }
}

typedef void store_fn(const grid_block *b, uint8_t *dst);

static void quantize_blocks(const grid_block_type *type, const float *x, const float *importance,
                            uint8_t *dst, size_t k, store_fn *store) {
    const size_t n_bytes = (size_t)td_dtype_get_info((int)type->dtype)->block_bytes;
    td_grid grid;
    td_grid_init(&grid, &type->grid);
    for (size_t i = 0; i < k; i += 256, dst += n_bytes) {
        grid_block b;
        fit_block(&b, type, &grid, x + i, importance ? importance + i : NULL);
        store(&b, dst);
    }
}

/* ---- where the bits go: dequantize_iq.c has the layouts in words ---- */

/* One nibble of scale for each group. */
static void store_nibbles(const uint8_t *scale, int n, uint8_t *dst) {
    for (int i = 0; i < n / 2; i++) dst[i] = (uint8_t)(scale[2 * i] | scale[2 * i + 1] << 4);
}

/* The signs of four runs, and the scale on top. */
static uint32_t signs_and_scale(const grid_block *b, int group) {
    uint32_t word = (uint32_t)b->scale[group] << 28;
    for (int r = 0; r < 4; r++) word |= (uint32_t)(b->signs[4 * group + r] & 127) << 7 * r;
    return word;
}

static void store_iq2_xxs(const grid_block *b, uint8_t *dst) {
    store_u16(dst, td_f32_to_f16(b->d));
    for (int g = 0; g < 8; g++) {
        for (int r = 0; r < 4; r++) dst[2 + 8 * g + r] = (uint8_t)b->entry[4 * g + r];
        store_u32(dst + 6 + 8 * g, signs_and_scale(b, g));
    }
}

static void store_iq2_xs(const grid_block *b, uint8_t *dst) {
    store_u16(dst, td_f32_to_f16(b->d));
    for (int r = 0; r < 32; r++)
        store_u16(dst + 2 + 2 * r, (uint16_t)(b->entry[r] | (b->signs[r] & 127) << 9));
    store_nibbles(b->scale, 16, dst + 66);
}

static void store_iq2_s(const grid_block *b, uint8_t *dst) {
    store_u16(dst, td_f32_to_f16(b->d));
    memcpy(dst + 34, b->signs, 32);
    memset(dst + 66, 0, 8);
    for (int r = 0; r < 32; r++) {
        dst[2 + r] = (uint8_t)b->entry[r];
        dst[66 + r / 4] = (uint8_t)(dst[66 + r / 4] | (b->entry[r] >> 8) << 2 * (r & 3));
    }
    store_nibbles(b->scale, 16, dst + 74);
}

static void store_iq3_xxs(const grid_block *b, uint8_t *dst) {
    store_u16(dst, td_f32_to_f16(b->d));
    for (int r = 0; r < 64; r++) dst[2 + r] = (uint8_t)b->entry[r];
    for (int g = 0; g < 8; g++) store_u32(dst + 66 + 4 * g, signs_and_scale(b, g));
}

static void store_iq3_s(const grid_block *b, uint8_t *dst) {
    store_u16(dst, td_f32_to_f16(b->d));
    memset(dst + 66, 0, 8);
    for (int r = 0; r < 64; r++) {
        dst[2 + r] = (uint8_t)b->entry[r];
        dst[66 + r / 8] = (uint8_t)(dst[66 + r / 8] | (b->entry[r] >> 8) << (r & 7));
    }
    memcpy(dst + 74, b->signs, 32);
    store_nibbles(b->scale, 8, dst + 106);
}

static void store_iq1_s(const grid_block *b, uint8_t *dst) {
    store_u16(dst, td_f32_to_f16(b->d));
    for (int g = 0; g < 8; g++) {
        unsigned qh = (unsigned)b->scale[g] << 12;
        if (b->entry[4 * g] & TD_GRID_MINUS) qh |= 0x8000;
        for (int r = 0; r < 4; r++) {
            dst[2 + 4 * g + r] = (uint8_t)b->entry[4 * g + r];
            qh |= (b->entry[4 * g + r] >> 8 & 7u) << 3 * r;
        }
        store_u16(dst + 34 + 2 * g, (uint16_t)qh);
    }
}

static void store_iq1_m(const grid_block *b, uint8_t *dst) {
    memset(dst + 32, 0, 16);
    for (int r = 0; r < 32; r++) {
        const int high = (b->entry[r] >> 8 & 7) | (b->entry[r] & TD_GRID_MINUS ? 8 : 0);
        dst[r] = (uint8_t)b->entry[r];
        dst[32 + r / 2] = (uint8_t)(dst[32 + r / 2] | high << 4 * (r & 1));
    }
    const unsigned d = td_f32_to_f16(b->d);
    for (int i = 0; i < 4; i++) {
        unsigned word = (d >> 4 * i & 15) << 12;
        for (int j = 0; j < 4; j++) word |= (unsigned)b->scale[4 * i + j] << 3 * j;
        store_u16(dst + 48 + 2 * i, (uint16_t)word);
    }
}

/* ---- the types ---- */

void td_quantize_iq2_xxs(const float *x, const float *importance, uint8_t *dst, size_t k) {
    static const grid_block_type type = {
        TD_DTYPE_IQ2_XXS,
        {td_iq2_xxs_grid, NULL, 256, 3, {8, 25, 43}},
        32,
        15,
        0.125f,
        DELTA_NONE,
        true,
        true
    };
    quantize_blocks(&type, x, importance, dst, k, store_iq2_xxs);
}

void td_quantize_iq2_xs(const float *x, const float *importance, uint8_t *dst, size_t k) {
    static const grid_block_type type = {
        TD_DTYPE_IQ2_XS,
        {td_iq2_xs_grid, NULL, 512, 3, {8, 25, 43}},
        16,
        15,
        0.125f,
        DELTA_NONE,
        true,
        true
    };
    quantize_blocks(&type, x, importance, dst, k, store_iq2_xs);
}

void td_quantize_iq2_s(const float *x, const float *importance, uint8_t *dst, size_t k) {
    static const grid_block_type type = {
        TD_DTYPE_IQ2_S,
        {td_iq2_s_grid, NULL, 1024, 3, {8, 25, 43}},
        16,
        15,
        0.125f,
        DELTA_NONE,
        true,
        false
    };
    quantize_blocks(&type, x, importance, dst, k, store_iq2_s);
}

void td_quantize_iq3_xxs(const float *x, const float *importance, uint8_t *dst, size_t k) {
    static const grid_block_type type = {
        TD_DTYPE_IQ3_XXS,
        {NULL, td_iq3_xxs_grid, 256, 8, {4, 12, 20, 28, 36, 44, 52, 62}},
        32,
        15,
        0.25f,
        DELTA_NONE,
        true,
        true
    };
    quantize_blocks(&type, x, importance, dst, k, store_iq3_xxs);
}

void td_quantize_iq3_s(const float *x, const float *importance, uint8_t *dst, size_t k) {
    static const grid_block_type type = {
        TD_DTYPE_IQ3_S,
        {NULL, td_iq3_s_grid, 512, 8, {1, 3, 5, 7, 9, 11, 13, 15}},
        32,
        15,
        1,
        DELTA_NONE,
        true,
        false
    };
    quantize_blocks(&type, x, importance, dst, k, store_iq3_s);
}

void td_quantize_iq1_s(const float *x, const float *importance, uint8_t *dst, size_t k) {
    static const grid_block_type type = {
        TD_DTYPE_IQ1_S, {td_iq1_grid, NULL, 2048, 3, {-1, 0, 1}},
         32, 7, 1, DELTA_OF_GROUP, false,
        false
    };
    quantize_blocks(&type, x, importance, dst, k, store_iq1_s);
}

void td_quantize_iq1_m(const float *x, const float *importance, uint8_t *dst, size_t k) {
    static const grid_block_type type = {
        TD_DTYPE_IQ1_M, {td_iq1_grid, NULL, 2048, 3, {-1, 0, 1}},
         16, 7, 1, DELTA_OF_RUN, false,
        false
    };
    quantize_blocks(&type, x, importance, dst, k, store_iq1_m);
}

/* ---- values for single weights ---- */

/* The byte j holds weight j and weight j + 16. */
static void store_iq4(const uint8_t q[32], uint8_t *dst) {
    for (int j = 0; j < 16; j++) dst[j] = (uint8_t)(q[j] | q[j + 16] << 4);
}

/* The values nearest to 32 weights, and their error. */
static float assign_iq4(const float *x, const float *w, float d, uint8_t q[32]) {
    const float id = reciprocal(d);
    float error = 0;
    for (int i = 0; i < 32; i++) {
        q[i] = (uint8_t)td_nearest_iq4(x[i] * id);
        const float e = x[i] - d * (float)td_iq4_values[q[i]];
        error += w[i] * e * e;
    }
    return error;
}

void td_quantize_iq4_nl(const float *x, const float *importance, uint8_t *dst, size_t k) {
    for (size_t i = 0; i < k; i += 32, dst += 18) {
        float w[32];
        uint8_t q[32];
        td_quantize_weights(TD_DTYPE_IQ4_NL, x + i, importance ? importance + i : NULL,
                            td_mean_square(x + i, 32), 32, w);
        const float d = round_half(td_fit_iq4(x + i, w, 32));
        assign_iq4(x + i, w, d, q);
        store_u16(dst, td_f32_to_f16(d));
        store_iq4(q, dst + 2);
    }
}

/* IQ4_XS: eight groups of 32, scales from -32 to 31. */
typedef struct iq4_block {
    const float *x;
    float w[256];
    float d;
    int scale[8];
    uint8_t q[256];
} iq4_block;

static void choose_iq4(iq4_block *b, int group, int around) {
    float best = INFINITY;
    for (int scale = around - 1; scale <= around + 1; scale++) {
        uint8_t q[32];
        if (scale < -32 || scale > 31) continue;
        const float error =
            assign_iq4(b->x + 32 * group, b->w + 32 * group, b->d * (float)scale, q);
        if (!(error < best) && best < INFINITY) continue;
        best = error;
        b->scale[group] = scale;
        memcpy(b->q + 32 * group, q, sizeof q);
    }
}

static void fit_iq4_block(iq4_block *b, const float *x, const float *importance) {
    b->x = x;
    td_quantize_weights(TD_DTYPE_IQ4_XS, x, importance, td_mean_square(x, 256), 256, b->w);
    float scale[8];
    for (int g = 0; g < 8; g++) scale[g] = td_fit_iq4(x + 32 * g, b->w + 32 * g, 32);
    b->d = round_half(signed_max(scale, 8) / -32);
    const float id = reciprocal(b->d);
    for (int g = 0; g < 8; g++) choose_iq4(b, g, round_level(scale[g] * id, -32, 31));
    for (int turn = 0; turn < N_TURN; turn++) {
        float wxv = 0, wvv = 0;
        for (int i = 0; i < 256; i++) {
            const float v = (float)(b->scale[i / 32] * td_iq4_values[b->q[i]]);
            wxv += b->w[i] * x[i] * v;
            wvv += b->w[i] * v * v;
        }
        if (wvv > 0) b->d = round_half(wxv / wvv);
        for (int g = 0; g < 8; g++) choose_iq4(b, g, b->scale[g]);
    }
}

void td_quantize_iq4_xs(const float *x, const float *importance, uint8_t *dst, size_t k) {
    for (size_t i = 0; i < k; i += 256, dst += 136) {
        iq4_block b;
        fit_iq4_block(&b, x + i, importance ? importance + i : NULL);
        store_u16(dst, td_f32_to_f16(b.d));
        unsigned high = 0;
        memset(dst + 4, 0, 4);
        for (int g = 0; g < 8; g++) {
            const int scale = b.scale[g] + 32;
            dst[4 + g / 2] = (uint8_t)(dst[4 + g / 2] | (scale & 15) << 4 * (g & 1));
            high |= (unsigned)(scale >> 4) << 2 * g;
            store_iq4(b.q + 32 * g, dst + 8 + 16 * g);
        }
        store_u16(dst + 2, (uint16_t)high);
    }
}
