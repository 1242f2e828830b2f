/* gemm_float_tmpl.h - products on F32, F16 and BF16 weights: fma in k order over chunks of 128,
 * each chunk's sum then added to y.
 *
 * A register tile is `rows` rows by `n_panel` panels, about 12 independent fma chains, since one
 * chain can start an fma only every fourth cycle.  Where there are many rows, k advances one chunk
 * at a time, so that the weights of a group of panels (32 KB in F32) stay close while all rows
 * pass. */

enum {
    FLOAT_CHUNK = 128,
    FLOAT_GROUP = 4,   /* panels */
    FLOAT_ROWS = 6,    /* rows of the tallest tile */
    FLOAT_AHEAD = 4096 /* bytes of prefetch in each panel */
};

typedef struct float_tile {
    const td_gemm_args *g;
    int row, panel; /* the first of the tile */
    int k0, k1;     /* columns; k0 is a multiple of the chunk */
} float_tile;

TD_INLINE size_t float_bytes(td_dtype dtype) { return dtype == TD_DTYPE_F32 ? 4 : 2; }

/* Strip `strip` of 16 weights. */
TD_INLINE vf float_weights(const uint8_t *w, int strip, td_dtype dtype) {
    w += (size_t)(strip * V_LANES) * float_bytes(dtype);
    if (dtype == TD_DTYPE_F32) return vf_load((const float *)(const void *)w);
    if (dtype == TD_DTYPE_F16) return vf_load_f16((const uint16_t *)(const void *)w);
    return vf_load_bf16((const uint16_t *)(const void *)w);
}

/* y += sums of one chunk; in the first chunk y counts as 0. */
TD_INLINE void float_add_to_y(const float_tile *t, vf sum[FLOAT_ROWS][FLOAT_GROUP * N_STRIP],
                              int rows, int n_panel, bool first) {
    TD_UNROLL for (int v = 0; v < n_panel * N_STRIP; v++) {
        const int col = (t->panel + v / N_STRIP) * TD_PANEL;
        const int part = strip_part(t->g->n - col, V_LANES, v % N_STRIP);
        TD_UNROLL for (int i = 0; i < rows; i++) {
            float *y = t->g->y + (t->row + i) * t->g->ldy + col + v % N_STRIP * V_LANES;
            const vf old = first ? vf_zero() : vf_load_part(y, part);
            vf_store_part(y, vf_add(old, sum[i][v]), part);
        }
    }
}

TD_INLINE void float_run_tile(const float_tile *t, int rows, int n_panel, td_dtype dtype) {
    const td_gemm_args *g = t->g;
    const size_t row_bytes = TD_PANEL * float_bytes(dtype);
    const size_t panel_bytes = (size_t)g->k * row_bytes;
    const uint8_t *w = g->w + (size_t)t->panel * panel_bytes + (size_t)t->k0 * row_bytes;
    const float *x = g->a.x + t->row * g->a.ldx;
    for (int k = t->k0; k < t->k1;) {
        const int end = t->k1 - k < FLOAT_CHUNK ? t->k1 : k + FLOAT_CHUNK;
        const bool first = k == 0;
        vf sum[FLOAT_ROWS][FLOAT_GROUP * N_STRIP];
        TD_UNROLL for (int i = 0; i < rows; i++)
            TD_UNROLL for (int v = 0; v < n_panel * N_STRIP; v++) sum[i][v] = vf_zero();
        for (; k < end; k++, w += row_bytes) {
            if (rows > 1 && t->row == 0) /* brings the weights in; alone, row 0 is a plain stream */
                TD_UNROLL for (int p = 0; p < n_panel; p++) _mm_prefetch(
                    (const char *)w + (size_t)p * panel_bytes + FLOAT_AHEAD, _MM_HINT_T0);
            vf u[FLOAT_GROUP * N_STRIP];
            TD_UNROLL for (int v = 0; v < n_panel * N_STRIP; v++) u[v] =
                float_weights(w + (size_t)(v / N_STRIP) * panel_bytes, v % N_STRIP, dtype);
            TD_UNROLL for (int i = 0; i < rows; i++) {
                const vf xi = vf_set1(x[i * g->a.ldx + k]);
                TD_UNROLL for (int v = 0; v < n_panel * N_STRIP; v++) sum[i][v] =
                    vf_fma(u[v], xi, sum[i][v]);
            }
        }
        float_add_to_y(t, sum, rows, n_panel, first);
    }
}

/* `rows` rows over a group of n panels, `step` at a time. */
TD_INLINE void float_rows(float_tile t, int n, int rows, int step, td_dtype dtype) {
    const int end = t.panel + n;
    for (; t.panel + step <= end; t.panel += step) float_run_tile(&t, rows, step, dtype);
    for (; t.panel < end; t.panel++) float_run_tile(&t, rows, 1, dtype);
}

/* All rows over one group of panels and one run of columns. */
TD_INLINE void float_group(float_tile t, int n_panel, td_dtype dtype) {
    const int m = t.g->m;
    enum { WIDE = 2 / N_STRIP }; /* panels beside each other under a tall tile: two registers */
    for (; m - t.row >= 6; t.row += 6) float_rows(t, n_panel, 6, WIDE, dtype);
    for (; m - t.row >= 4; t.row += 4) float_rows(t, n_panel, 4, WIDE, dtype);
    for (; m - t.row >= 2; t.row += 2) float_rows(t, n_panel, 2, 2 * WIDE, dtype);
    for (; m - t.row >= 1; t.row += 1) float_rows(t, n_panel, 1, FLOAT_GROUP, dtype);
}

TD_INLINE void float_gemm(const td_gemm_args *g, td_dtype dtype) {
    const int n_panel = (g->n + TD_PANEL - 1) / TD_PANEL;
    const int run = g->m > FLOAT_ROWS ? FLOAT_CHUNK : g->k;
    if (g->k == 0)
        for (int i = 0; i < g->m; i++) memset(g->y + i * g->ldy, 0, (size_t)g->n * sizeof *g->y);
    for (int p = 0; p < n_panel; p += FLOAT_GROUP) {
        const int n = n_panel - p < FLOAT_GROUP ? n_panel - p : FLOAT_GROUP;
        for (int k = 0; k < g->k; k += run) {
            const int k1 = g->k - k < run ? g->k : k + run;
            float_group((float_tile){.g = g, .panel = p, .k0 = k, .k1 = k1}, n, dtype);
        }
    }
}
