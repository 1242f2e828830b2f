/* gemm_float_tmpl.h - products on F32, F16, BF16 and F8_E4M3 weights: fma in k order over chunks of
 * 128, each chunk's sum then added to y, times its scale for F8_E4M3.
 *
 * A register tile is `rows` rows by `n_panel` panels, about 12 independent fma chains, since one
 * chain can start an fma only every fourth cycle.  Where there are many rows, k advances one chunk
 * at a time, so that the weights of a group of panels (32 KB in F32) stay close while all rows
 * pass; those of F8_E4M3 are then expanded to halves first, once for all rows. */

enum {
    FLOAT_CHUNK = 128,
    FLOAT_GROUP = 4,   /* panels */
    FLOAT_ROWS = 6,    /* rows of the tallest tile */
    FLOAT_AHEAD = 4096 /* bytes of prefetch in each panel */
};

/* How weights lie: always a literal. */
typedef struct float_type {
    td_dtype dtype; /* F32, F16, BF16, F8_E4M3 */
    bool scaled;    /* 16 scales in front of each chunk */
} float_type;

typedef struct float_tile {
    const td_gemm_args *g;
    int row, panel;     /* the first of the tile */
    int k0, k1;         /* columns; k0 is a multiple of the chunk */
    const uint8_t *w;   /* column k0 of `panel` (the scales before it) */
    size_t panel_bytes; /* from one panel to the next */
} float_tile;

TD_INLINE size_t float_bytes(float_type type) {
    return type.dtype == TD_DTYPE_F32 ? 4 : type.dtype == TD_DTYPE_F8_E4M3 ? 1 : 2;
}

/* Bytes of the first k columns of a panel. */
TD_INLINE size_t float_panel_bytes(int k, float_type type) {
    const int n_chunk = (k + FLOAT_CHUNK - 1) / FLOAT_CHUNK;
    return TD_PANEL *
           ((size_t)k * float_bytes(type) + (type.scaled ? (size_t)n_chunk * sizeof(float) : 0));
}

/* Strip `strip` of 16 weights. */
TD_INLINE vf float_weights(const uint8_t *w, int strip, float_type type) {
    w += (size_t)(strip * V_LANES) * float_bytes(type);
    if (type.dtype == TD_DTYPE_F32) return vf_load((const float *)(const void *)w);
    if (type.dtype == TD_DTYPE_F16) return vf_load_f16((const uint16_t *)(const void *)w);
    if (type.dtype == TD_DTYPE_F8_E4M3) return vf_load_e4m3(w);
    return vf_load_bf16((const uint16_t *)(const void *)w);
}

/* y += sums of one chunk, times their scales if there are any; in the first chunk y counts as 0. */
TD_INLINE void float_add_to_y(const float_tile *t, vf sum[FLOAT_ROWS][FLOAT_GROUP * N_STRIP],
                              int rows, int n_panel, bool first, const uint8_t *scales) {
    TD_UNROLL for (int v = 0; v < n_panel * N_STRIP; v++) {
        const int i_panel = v / N_STRIP, lane = v % N_STRIP * V_LANES;
        const int col = (t->panel + i_panel) * TD_PANEL;
        const int part = strip_part(t->g->n - col, V_LANES, v % N_STRIP);
        vf scale = vf_zero();
        if (scales)
            scale = vf_load(
                (const float *)(const void *)(scales + (size_t)i_panel * t->panel_bytes) + lane);
        TD_UNROLL for (int i = 0; i < rows; i++) {
            float *y = t->g->y + (t->row + i) * t->g->ldy + col + lane;
            const vf old = first ? vf_zero() : vf_load_part(y, part);
            const vf sum_i = sum[i][v];
            vf_store_part(y, scales ? vf_fma(scale, sum_i, old) : vf_add(old, sum_i), part);
        }
    }
}

TD_INLINE void float_run_tile(const float_tile *t, int rows, int n_panel, float_type type) {
    const td_gemm_args *g = t->g;
    const size_t row_bytes = TD_PANEL * float_bytes(type), panel_bytes = t->panel_bytes;
    const uint8_t *w = t->w;
    const float *x = g->a.x + t->row * g->a.ldx;
    for (int k = t->k0; k < t->k1;) {
        const int end = t->k1 - k < FLOAT_CHUNK ? t->k1 : k + FLOAT_CHUNK;
        const bool first = k == 0;
        const uint8_t *scales = type.scaled ? w : NULL;
        if (type.scaled) w += TD_PANEL * sizeof(float);
        vf sum[FLOAT_ROWS][FLOAT_GROUP * N_STRIP];
        TD_UNROLL for (int i = 0; i < rows; i++)
            TD_UNROLL for (int v = 0; v < n_panel * N_STRIP; v++) sum[i][v] = vf_zero();
        for (; k < end; k++, w += row_bytes) {
            if (rows > 1 && t->row == 0) /* brings the weights in; alone, row 0 is a plain stream */
                TD_UNROLL for (int p = 0; p < n_panel; p++) _mm_prefetch(
                    (const char *)w + (size_t)p * panel_bytes + FLOAT_AHEAD, _MM_HINT_T0);
            vf u[FLOAT_GROUP * N_STRIP];
            TD_UNROLL for (int v = 0; v < n_panel * N_STRIP; v++) u[v] =
                float_weights(w + (size_t)(v / N_STRIP) * panel_bytes, v % N_STRIP, type);
            TD_UNROLL for (int i = 0; i < rows; i++) {
                const vf xi = vf_set1(x[i * g->a.ldx + k]);
                TD_UNROLL for (int v = 0; v < n_panel * N_STRIP; v++) sum[i][v] =
                    vf_fma(u[v], xi, sum[i][v]);
            }
        }
        float_add_to_y(t, sum, rows, n_panel, first, scales);
    }
}

/* `rows` rows over a group of n panels, `step` at a time. */
TD_INLINE void float_rows(float_tile t, int n, int rows, int step, float_type type) {
    const int end = t.panel + n;
    for (; t.panel + step <= end; t.panel += step, t.w += (size_t)step * t.panel_bytes)
        float_run_tile(&t, rows, step, type);
    for (; t.panel < end; t.panel++, t.w += t.panel_bytes) float_run_tile(&t, rows, 1, type);
}

/* All rows over one group of panels and one run of columns. */
TD_INLINE void float_group(float_tile t, int n_panel, float_type type) {
    const int m = t.g->m;
    enum { WIDE = 2 / N_STRIP }; /* panels beside each other under a tall tile: two registers */
    for (; m - t.row >= 6; t.row += 6) float_rows(t, n_panel, 6, WIDE, type);
    for (; m - t.row >= 4; t.row += 4) float_rows(t, n_panel, 4, WIDE, type);
    for (; m - t.row >= 2; t.row += 2) float_rows(t, n_panel, 2, 2 * WIDE, type);
    for (; m - t.row >= 1; t.row += 1) float_rows(t, n_panel, 1, FLOAT_GROUP, type);
}

static void float_clear(const td_gemm_args *g) {
    for (int i = 0; i < g->m; i++) memset(g->y + i * g->ldy, 0, (size_t)g->n * sizeof *g->y);
}

TD_INLINE void float_gemm(const td_gemm_args *g, float_type type) {
    const int n_panel = (g->n + TD_PANEL - 1) / TD_PANEL;
    const int run = g->m > FLOAT_ROWS ? FLOAT_CHUNK : g->k;
    const size_t panel_bytes = float_panel_bytes(g->k, type);
    if (g->k == 0) float_clear(g);
    for (int p = 0; p < n_panel; p += FLOAT_GROUP) {
        const int n = n_panel - p < FLOAT_GROUP ? n_panel - p : FLOAT_GROUP;
        for (int k = 0; k < g->k; k += run) {
            const float_tile t = {.g = g,
                                  .panel = p,
                                  .k0 = k,
                                  .k1 = g->k - k < run ? g->k : k + run,
                                  .w = g->w + (size_t)p * panel_bytes + float_panel_bytes(k, type),
                                  .panel_bytes = panel_bytes};
            float_group(t, n, type);
        }
    }
}

/* ---- F8_E4M3 ---- */

static const float_type f8_e4m3 = {TD_DTYPE_F8_E4M3, true};
static const float_type f8_expanded = {TD_DTYPE_F16, true};

enum {
    F8_GROUP = 2, /* panels that are expanded at a time */
    F8_EXPANDED_BYTES = TD_PANEL * ((int)sizeof(float) + FLOAT_CHUNK * 2)
};

/* One chunk of n columns of a panel: the scales as they are, the weights as halves, which hold
 * them exactly. */
TD_INLINE void f8_expand(const uint8_t *w, int n, uint8_t *to) {
    memcpy(to, w, TD_PANEL * sizeof(float));
    w += TD_PANEL * sizeof(float);
    uint16_t *half = (uint16_t *)(void *)(to + TD_PANEL * sizeof(float));
    for (int i = 0; i < n * TD_PANEL; i += V_LANES) vf_store_f16(half + i, vf_load_e4m3(w + i));
}

TD_INLINE void f8_gemm(const td_gemm_args *g) {
    if (g->m <= FLOAT_ROWS || g->k == 0) { /* one tile of rows uses a weight once */
        float_gemm(g, f8_e4m3);
        return;
    }
    _Alignas(64) uint8_t buffer[F8_GROUP * F8_EXPANDED_BYTES];
    const int n_panel = (g->n + TD_PANEL - 1) / TD_PANEL;
    const size_t panel_bytes = float_panel_bytes(g->k, f8_e4m3);
    for (int p = 0; p < n_panel; p += F8_GROUP) {
        const int n = n_panel - p < F8_GROUP ? n_panel - p : F8_GROUP;
        for (int k = 0; k < g->k; k += FLOAT_CHUNK) {
            const int k1 = g->k - k < FLOAT_CHUNK ? g->k : k + FLOAT_CHUNK;
            const uint8_t *w = g->w + (size_t)p * panel_bytes + float_panel_bytes(k, f8_e4m3);
            for (int i = 0; i < n; i++)
                f8_expand(w + (size_t)i * panel_bytes, k1 - k, buffer + i * F8_EXPANDED_BYTES);
            const float_tile t = {.g = g,
                                  .panel = p,
                                  .k0 = k,
                                  .k1 = k1,
                                  .w = buffer,
                                  .panel_bytes = F8_EXPANDED_BYTES};
            float_group(t, n, f8_expanded);
        }
    }
}
