/* quantize_grid.h - the entry of a codebook nearest to a run of weights, for quantize_iq.c. */
#ifndef TD_TENSOR_QUANTIZE_GRID_H
#define TD_TENSOR_QUANTIZE_GRID_H

#include <stdint.h>

#include "tensor/dtype.h"

enum { TD_GRID_HALVES = 81, TD_GRID_ENTRIES = 2048, TD_GRID_MINUS = 0x8000 };

/* A codebook: 8 elements of 3 levels or 4 elements of 8 levels. */
typedef struct td_grid_type {
    const uint64_t *wide;   /* entries of 8 elements; or */
    const uint32_t *narrow; /* of 4 */
    int n_entry, n_level;
    int8_t level[8]; /* ascending */
} td_grid_type;

/* Its entries by their high half.  On the stack of who quantizes a row: making it costs less than
 * searching for a few runs. */
typedef struct td_grid {
    const td_grid_type *type;
    int n_elem, n_half;                 /* of an entry; different halves there can be */
    uint16_t start[TD_GRID_HALVES + 1]; /* entries with high half h: [start[h], start[h + 1]) */
    uint16_t entry[TD_GRID_ENTRIES];
    uint8_t low[TD_GRID_ENTRIES]; /* their low half */
} td_grid;

void td_grid_init(td_grid *g, const td_grid_type *type);

/* The entry e of least error sum w (x - s (e + delta))^2, which is returned. */
float td_grid_nearest(const td_grid *g, const float *x, const float *w, float s, float delta,
                      uint16_t *entry);

/* Element i of an entry. */
static inline float td_grid_element(const td_grid *g, unsigned entry, int i) {
    const uint64_t word = g->type->wide ? g->type->wide[entry] : g->type->narrow[entry];
    return (float)(int8_t)(word >> 8 * i);
}

#endif
