/* quantize_grid.c - see quantize_grid.h.
 *
 * The error of an entry is the sum of the errors of its two halves, and there are only 81 or 64
 * different halves: their errors are computed once for all entries.  Then the entries are looked
 * at by their high half, and most are passed over together, because even with the best of all low
 * halves they would be no better than what has been found. */
#include "tensor/quantize_grid.h"

#include <math.h>

static int level_of(const td_grid_type *type, int8_t element) {
    for (int i = 0; i < type->n_level; i++)
        if (type->level[i] == element) return i;
    TD_ASSERT(false); /* the codebooks hold these levels only */
    return 0;
}

/* The elements of half an entry as the digits of a number, the first the lowest. */
static int half_of(const td_grid *g, unsigned entry, int half) {
    int digits = 0;
    for (int i = g->n_elem / 2 - 1; i >= 0; i--) {
        const float element = td_grid_element(g, entry, half * g->n_elem / 2 + i);
        digits = digits * g->type->n_level + level_of(g->type, (int8_t)element);
    }
    return digits;
}

void td_grid_init(td_grid *g, const td_grid_type *type) {
    g->type = type;
    g->n_elem = type->wide ? 8 : 4;
    g->n_half = type->wide ? 81 : 64;
    for (int h = 0; h <= TD_GRID_HALVES; h++) g->start[h] = 0;
    uint8_t high[TD_GRID_ENTRIES];
    for (int e = 0; e < type->n_entry; e++) {
        high[e] = (uint8_t)half_of(g, (unsigned)e, 1);
        g->start[high[e] + 1]++;
    }
    for (int h = 0; h < TD_GRID_HALVES; h++)
        g->start[h + 1] = (uint16_t)(g->start[h + 1] + g->start[h]);
    uint16_t at[TD_GRID_HALVES];
    for (int h = 0; h < TD_GRID_HALVES; h++) at[h] = g->start[h];
    for (int e = 0; e < type->n_entry; e++) {
        const int i = at[high[e]]++;
        g->entry[i] = (uint16_t)e;
        g->low[i] = (uint8_t)half_of(g, (unsigned)e, 0);
    }
}

/* What is searched, as the compiler's constants: these loops are most of the time that quantizing
 * takes. */
typedef struct grid_shape {
    int n_elem, n_level, n_half;
} grid_shape;

enum { LANES = 8, PADDED = (TD_GRID_HALVES + LANES - 1) / LANES * LANES };

/* The errors of all halves of n elements. */
static inline void half_errors(float (*error)[8], int n, int n_level, float *out) {
    int n_out = 1;
    out[0] = 0;
    for (int i = 0; i < n; i++) {
        for (int level = n_level - 1; level >= 0; level--)
            for (int j = 0; j < n_out; j++) out[level * n_out + j] = out[j] + error[i][level];
        n_out *= n_level;
    }
}

static inline float least(const float x[PADDED]) {
    float lane[LANES];
    for (int j = 0; j < LANES; j++) lane[j] = x[j];
    for (int i = LANES; i < PADDED; i += LANES)
        for (int j = 0; j < LANES; j++) lane[j] = x[i + j] < lane[j] ? x[i + j] : lane[j];
    for (int n = LANES / 2; n > 0; n /= 2)
        for (int j = 0; j < n; j++) lane[j] = lane[j + n] < lane[j] ? lane[j + n] : lane[j];
    return lane[0];
}

/* The least error of high half h with any low half, if it is less than *best. */
static inline void search_half(const td_grid *g, int h, float high, const float *low, float *best,
                               uint16_t *entry) {
    for (int j = g->start[h]; j < g->start[h + 1]; j++) {
        const float e = high + low[g->low[j]];
        if (e < *best) *best = e, *entry = g->entry[j];
    }
}

static inline float nearest(const td_grid *g, const grid_shape n, const float *x, const float *w,
                            float s, float delta, uint16_t *entry) {
    float error[8][8], low[PADDED], high[PADDED];
    for (int level = 0; level < n.n_level; level++) {
        const float value = s * ((float)g->type->level[level] + delta);
        for (int i = 0; i < n.n_elem; i++) {
            const float e = x[i] - value;
            error[i][level] = w[i] * e * e;
        }
    }
    half_errors(error, n.n_elem / 2, n.n_level, low);
    half_errors(error + n.n_elem / 2, n.n_elem / 2, n.n_level, high);
    for (int h = n.n_half; h < PADDED; h++) low[h] = high[h] = INFINITY;
    const float least_low = least(low), least_high = least(high);
    float best = INFINITY;
    *entry = 0;
    /* The best high half first, so that the others have something to be compared with. */
    for (int h = 0; h < n.n_half; h++)
        if (high[h] <= least_high) search_half(g, h, high[h], low, &best, entry);
    for (int h = 0; h < n.n_half; h++)
        if (high[h] + least_low < best) search_half(g, h, high[h], low, &best, entry);
    return best;
}

float td_grid_nearest(const td_grid *g, const float *x, const float *w, float s, float delta,
                      uint16_t *entry) {
    return g->type->wide ? nearest(g, (grid_shape){8, 3, 81}, x, w, s, delta, entry)
                         : nearest(g, (grid_shape){4, 8, 64}, x, w, s, delta, entry);
}
