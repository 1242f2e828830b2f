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

/* One register tile: `rows` <= tile_m rows (the others are padding) from `row`, `n_block` blocks from
 * `block`. */
typedef struct tile_args {
    const td_gemm_args *g;
    int row, rows;      /* of y and the activations */
    int block, n_block; /* along k */
    const uint8_t *w;   /* the panel's block `block` */
    int col, cols;      /* of y: 16 but for the last panel */
} tile_args;

typedef void pack_fn(const tile_args *t, uint8_t *buffer);
typedef void tile_fn(const tile_args *t, const uint8_t *buffer);

/* A tile of one height: how its activations are copied, and the tile itself. */
typedef struct tile_kind {
    int tile_m;
    pack_fn *pack;
    tile_fn *run;
} tile_kind;

typedef struct tile_plan {
    int block_elems;
    size_t weight_bytes; /* of one block of a panel */
    size_t act_bytes;    /* of one block of one row in the buffer */
    const tile_kind *kinds; /* [n_kind], the tallest first, down to 1 row */
    int n_kind;
} tile_plan;

/* The rows [row, row + rows) of one tile, over all panels of a group and one chunk of k. */
static inline void tile_over_panels(const tile_plan *plan, const tile_kind *kind, tile_args t,
                                    int panel, int n_panel) {
    _Alignas(64) uint8_t buffer[TILE_BUFFER_BYTES];
    const size_t panel_bytes = (size_t)(t.g->k / plan->block_elems) * plan->weight_bytes;
    kind->pack(&t, buffer);
    for (int p = panel; p < panel + n_panel; p++) {
        t.w = t.g->w + (size_t)p * panel_bytes + (size_t)t.block * plan->weight_bytes;
        t.col = p * TD_PANEL;
        t.cols = t.g->n - t.col < TD_PANEL ? t.g->n - t.col : TD_PANEL;
        kind->run(&t, buffer);
    }
}

/* The lowest kind that covers `rows`, or the tallest. */
static inline const tile_kind *pick_kind(const tile_plan *plan, int rows) {
    const tile_kind *kind = plan->kinds;
    while (kind + 1 < plan->kinds + plan->n_kind && kind[1].tile_m >= rows) kind++;
    return kind;
}

static inline void tile_gemm(const tile_plan *plan, const td_gemm_args *g) {
    const int n_block = g->k / plan->block_elems, n_panel = (g->n + TD_PANEL - 1) / TD_PANEL;
    const int tallest = pick_kind(plan, g->m)->tile_m;
    const int fits = (int)(TILE_BUFFER_BYTES / (plan->act_bytes * (size_t)tallest));
    const int n_chunk = (n_block + fits - 1) / fits;
    for (int panel = 0; panel < n_panel; panel += PANEL_GROUP) {
        const int group = n_panel - panel < PANEL_GROUP ? n_panel - panel : PANEL_GROUP;
        for (int c = 0, block = 0; c < n_chunk; c++) {
            /* Chunks of even length: the last one must not be a stub. */
            const int end = (int)((int64_t)n_block * (c + 1) / n_chunk);
            for (int row = 0, rows; row < g->m; row += rows) {
                const tile_kind *kind = pick_kind(plan, g->m - row);
                rows = g->m - row < kind->tile_m ? g->m - row : kind->tile_m;
                const tile_args t = {
                    .g = g, .row = row, .rows = rows, .block = block, .n_block = end - block};
                tile_over_panels(plan, kind, t, panel, group);
            }
            block = end;
        }
    }
    if (n_block == 0) /* an empty sum */
        for (int i = 0; i < g->m; i++) memset(g->y + i * g->ldy, 0, (size_t)g->n * sizeof *g->y);
}

#endif
