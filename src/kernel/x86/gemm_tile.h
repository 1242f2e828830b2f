/* gemm_tile.h - how the integer products walk their matrices.
 *
 * One register tile is `tile_m` rows by one panel.  Its activations are first copied into a buffer
 * on the stack, block after block, so that the tile reads them at fixed distances from one pointer;
 * k is cut into chunks that fit the buffer.  All rows go over a group of panels before the next
 * group, so a chunk of a group (16 panels of 1024 columns: 150 to 280 KB) stays in the second-level
 * cache and the activations of a tile in the first.  Between chunks the accumulators wait in y:
 * storing a float changes nothing. */
#ifndef TD_KERNEL_X86_GEMM_TILE_H
#define TD_KERNEL_X86_GEMM_TILE_H

#include "kernel/kernels.h"
#include "kernel/x86/vec.h"

enum {
    PANEL_GROUP = 16,
    TILE_BUFFER_BYTES = 15 * 1024 /* with the rest of a frame below 16 KiB */
};

/* One register tile: `rows` <= tile_m rows (the others are padding) from `row`, `n_block` blocks
 * from `block`. */
typedef struct tile_args {
    const td_gemm_args *g;
    int row, rows;      /* of y and the activations */
    int block, n_block; /* along k */
    const uint8_t *w;   /* the panel's block `block` */
    int col, cols;      /* of y: 16 but for the last panel */
} tile_args;

/* Copies the activations of a tile of tile_m rows; padding rows become zeros. */
typedef void pack_act_fn(const tile_args *t, int tile_m, uint8_t *buffer);
typedef void tile_fn(const tile_args *t, int tile_m, const uint8_t *buffer);

typedef struct tile_plan {
    int block_elems;
    size_t weight_bytes; /* of one block of a panel */
    size_t act_bytes;    /* of one block of one row in the buffer */
    int max_tile;        /* 24, 12 or 4: heights are that and the smaller ones of tile_height */
    pack_act_fn *pack;
    tile_fn *run;
} tile_plan;

/* The lowest tile that covers `rows`, or the tallest there is. */
static inline int tile_height(int rows, int max_tile) {
    const int height = rows > 12 ? 24 : rows > 8 ? 12 : rows > 4 ? 8 : rows > 2 ? 4 : rows;
    return height < max_tile ? height : max_tile;
}

/* The rows of one tile over a group of panels and one chunk of k. */
static inline void tile_over_panels(const tile_plan *plan, tile_args t, int tile_m, int panel,
                                    int n_panel) {
    _Alignas(64) uint8_t buffer[TILE_BUFFER_BYTES];
    const size_t panel_bytes = (size_t)(t.g->k / plan->block_elems) * plan->weight_bytes;
    plan->pack(&t, tile_m, buffer);
    for (int p = panel; p < panel + n_panel; p++) {
        t.w = t.g->w + (size_t)p * panel_bytes + (size_t)t.block * plan->weight_bytes;
        t.col = p * TD_PANEL;
        t.cols = t.g->n - t.col < TD_PANEL ? t.g->n - t.col : TD_PANEL;
        plan->run(&t, tile_m, buffer);
    }
}

static inline void tile_gemm(const tile_plan *plan, const td_gemm_args *g) {
    const int n_block = g->k / plan->block_elems, n_panel = (g->n + TD_PANEL - 1) / TD_PANEL;
    const size_t tallest = (size_t)tile_height(g->m, plan->max_tile);
    if (g->m == 0) return;
    if (n_block == 0) { /* an empty sum */
        for (int i = 0; i < g->m; i++) memset(g->y + i * g->ldy, 0, (size_t)g->n * sizeof *g->y);
        return;
    }
    const int fits = (int)(TILE_BUFFER_BYTES / (plan->act_bytes * tallest));
    const int n_chunk = (n_block + fits - 1) / fits;
    for (int panel = 0; panel < n_panel; panel += PANEL_GROUP) {
        const int group = n_panel - panel < PANEL_GROUP ? n_panel - panel : PANEL_GROUP;
        for (int c = 0, block = 0; c < n_chunk; c++) {
            /* Chunks of even length: the last one must not be a stub. */
            const int end = (int)((int64_t)n_block * (c + 1) / n_chunk);
            for (int row = 0, tile_m; row < g->m; row += tile_m) {
                const int left = g->m - row;
                tile_m = tile_height(left, plan->max_tile);
                const tile_args t = {.g = g,
                                     .row = row,
                                     .rows = left < tile_m ? left : tile_m,
                                     .block = block,
                                     .n_block = end - block};
                tile_over_panels(plan, t, tile_m, panel, group);
            }
            block = end;
        }
    }
}

#endif
