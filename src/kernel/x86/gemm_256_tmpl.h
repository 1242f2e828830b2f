/* gemm_256_tmpl.h - integer products on the 256-blocks with integer sub-scales: what all of them
 * share.  gemm_k_tmpl.h and gemm_iq_tmpl.h say how a type's blocks are read.
 *
 * Eight words of weights (a run of 32) are unpacked at a time into registers of unsigned bytes,
 * four along k per lane; a block gives sum = scale * dot over its sub-blocks in int32, exactly
 * (gemm_256_ref.h says why that cannot overflow).  What the format subtracts (mins), or what was
 * added to weights to make them unsigned, is a second, small dot: of the sub-blocks' mins or scales
 * with the sums of their activations.
 *
 * A block of the buffer: int8 q[tile_m][256], float d[tile_m], int32 pairs[tile_m][n_pair]: sums of
 * sub-blocks as pairs of int16, sub-block 4 j with 4 j + 2 and 4 j + 1 with 4 j + 3, because that
 * is how the bytes of a word of scales come apart in two instructions. */

typedef enum k_kind {
    KIND_Q2_K,
    KIND_Q3_K,
    KIND_Q4_K,
    KIND_Q5_K,
    KIND_Q6_K,
    KIND_IQ1_S,
    KIND_IQ1_M,
    KIND_IQ2_XXS,
    KIND_IQ2_XS,
    KIND_IQ2_S,
    KIND_IQ3_XXS,
    KIND_IQ3_S,
    KIND_IQ4_XS,
    KIND_TQ1_0,
    KIND_TQ2_0
} k_kind;

/* What the types differ in: always a literal. */
typedef struct k_type {
    k_kind kind;
    int max_w;       /* largest unpacked weight; 255: signed bytes, through s8_weights */
    int n_sub;       /* sub-blocks with a scale: 8 of 32, or 16 of 16 */
    bool has_min;    /* dmin lies behind d */
    int offset_log2; /* 2^this was added to the weights; -1: nothing */
    int words_at;    /* bytes from the block's start to the low bits or the indices, */
    int high_at;     /* the high bits, */
    int signs_at, scales_at, d_at;
    float d_factor; /* the power of two that d is multiplied by; 0: none */
    size_t weight_bytes;
} k_type;

enum {
    HALF_ROW = TD_PANEL * 2, /* bytes of a 16-bit field over the 16 outputs */
    WORD_ROW = TD_PANEL * 4  /* of a 32-bit word */
};

TD_INLINE int k_act_bytes(k_type type) { return 256 + 4 + type.n_sub / 2 * 4; }

/* ---- activations ---- */

TD_INLINE void k_pack(const tile_args *t, int tile_m, uint8_t *buffer, k_type type) {
    const td_act *a = &t->g->a;
    const int n_pair = type.n_sub / 2, wide = 16 / type.n_sub;
    for (int b = 0; b < t->n_block; b++, buffer += tile_m * k_act_bytes(type)) {
        uint8_t *d = buffer + tile_m * 256, *pairs = d + tile_m * 4;
        const ptrdiff_t block = t->block + b;
        for (int i = 0; i < t->rows; i++) {
            const ptrdiff_t row = t->row + i;
            const int16_t *s = a->s + row * a->lds + block * 16;
            int16_t pair[16];
            for (int j = 0; j < type.n_sub; j++) {
                const int to = j / 4 * 4 + j % 2 * 2 + j / 2 % 2;
                pair[to] = (int16_t)(wide == 1 ? s[j] : s[2 * j] + s[2 * j + 1]);
            }
            memcpy(buffer + i * 256, a->q + row * a->ldq + block * 256, 256);
            memcpy(d + i * 4, a->d + row * a->ldd + block, 4);
            memcpy(pairs + i * n_pair * 4, pair, (size_t)n_pair * 4);
        }
        for (int i = t->rows; i < tile_m; i++) {
            memset(buffer + i * 256, 0, 256);
            memset(d + i * 4, 0, 4);
            memset(pairs + i * n_pair * 4, 0, (size_t)n_pair * 4);
        }
    }
}

/* ---- what the including template defines ---- */

/* scale: per sub-block, as dot_scaled wants them.  side: what the pairs of sums are multiplied
 * with, the mins or the scales again, as pairs of int16. */
typedef struct k_scales {
    vi scale[16], side[8];
} k_scales;

/* In all of them w is the block, plus the strip's offset into 32-bit words; d and other halves lie
 * at half of it, at k_half(w, at, strip). */
TD_INLINE void k_get_scales(k_scales *out, const uint8_t *w, int strip, k_type type);
/* d as in the file. */
TD_INLINE vf k_get_d(const uint8_t *w, int strip, k_type type);
/* u = the eight words of a run.  Step p = 0..3 covers two runs of 32 elements, half = 0 and 1. */
TD_INLINE void k_weights(vi u[8], const uint8_t *w, int p, int half, k_type type);
/* The first element of a run. */
TD_INLINE int k_run_start(int p, int half, k_type type);

TD_INLINE const uint16_t *k_half(const uint8_t *w, int at, int strip) {
    return (const uint16_t *)(const void *)(w + at - strip * V_LANES * 2);
}

/* ---- the tile ---- */

/* sum[i] += the run of 32 elements from `start`, for rows [0, n). */
TD_INLINE void k_row_dots(vi *sum, const vi u[8], const vi *scale, const int8_t *act, int n,
                          k_type type) {
    TD_UNROLL_ROWS for (int i = 0; i < n; i++) {
        const int8_t *a = act + i * 256;
        if (type.max_w == 255) {
            sum[i] = dot_scaled_s8(sum[i], u, a, 8, scale[0]);
        } else if (type.n_sub == 8) {
            sum[i] = dot_scaled(sum[i], u, a, 8, type.max_w, scale[0]);
        } else {
            sum[i] = dot_scaled(sum[i], u, a, 4, type.max_w, scale[0]);
            sum[i] = dot_scaled(sum[i], u + 4, a + 16, 4, type.max_w, scale[1]);
        }
    }
}

/* The same for the tile's rows, twelve at a time: of a taller tile the sums wait in memory, which
 * costs less than unpacking the weights again. */
TD_INLINE void k_run_dots(vi *sum, const vi u[8], const vi *scale, const int8_t *act, int tile_m,
                          k_type type) {
    if (tile_m <= 12) {
        k_row_dots(sum, u, scale, act, tile_m, type);
    } else {
        for (int i = 0; i < tile_m; i += 12) k_row_dots(sum + i, u, scale, act + i * 256, 12, type);
    }
}

/* acc[i] += d * sum[i], with what the format subtracts, for the tile's rows. */
TD_INLINE void k_finish(vf *acc, const vi *sum, const vi *side, vf d, vf dmin, const uint8_t *act,
                        int tile_m, k_type type) {
    const int n_pair = type.n_sub / 2;
    const uint8_t *d_act = act + tile_m * 256, *pairs = d_act + tile_m * 4;
    TD_UNROLL_ROWS for (int i = 0; i < tile_m; i++) {
        vi extra = vi_zero();
        if (type.has_min || type.offset_log2 >= 0) {
            TD_UNROLL for (int j = 0; j < n_pair; j++) extra =
                dot_pair(extra, side[j], bcast4(pairs + (i * n_pair + j) * 4));
        }
        const vf da = vf_bits(bcast4(d_act + i * 4));
        if (type.has_min) {
            acc[i] = vf_fma(vf_mul(d, da), vf_from_i32(sum[i]), acc[i]);
            acc[i] = vf_fnma(vf_mul(dmin, da), vf_from_i32(extra), acc[i]);
        } else {
            const vi exact = vi_sub(sum[i], vi_sll(extra, type.offset_log2 & 31));
            acc[i] = vf_fma(vf_mul(d, da), vf_from_i32(exact), acc[i]);
        }
    }
}

/* One block of one strip: acc[i] += block of row i. */
TD_INLINE void k_block(vf *acc, const uint8_t *block, const uint8_t *act, int tile_m, int strip,
                       k_type type) {
    const uint8_t *w = block + strip * V_LANES * 4;
    k_scales scales;
    k_get_scales(&scales, w, strip, type);
    vi sum[MAX_TILE];
    TD_UNROLL for (int i = 0; i < tile_m; i++) sum[i] = vi_zero();
    /* Not unrolled: with q of Q6_K's p = 2 half + q a literal, shifts get cheaper and the whole 8
     * to 10 % slower. */
    for (int p = 0; p < 4; p++) {
        TD_UNROLL for (int half = 0; half < 2; half++) {
            const int start = k_run_start(p, half, type);
            vi u[8];
            k_weights(u, w, p, half, type);
            k_run_dots(sum, u, scales.scale + start * type.n_sub / 256, (const int8_t *)act + start,
                       tile_m, type);
        }
    }
    vf d = k_get_d(w, strip, type);
    if (type.d_factor > 0) d = vf_mul(d, vf_set1(type.d_factor));
    const vf dmin = type.has_min ? vf_load_f16(k_half(w, type.d_at + HALF_ROW, strip)) : vf_zero();
    k_finish(acc, sum, scales.side, d, dmin, act, tile_m, type);
}

TD_INLINE void k_tile(const tile_args *t, int tile_m, const uint8_t *act, k_type type) {
    vf acc[N_STRIP][MAX_TILE];
    tile_load(t, tile_m, acc);
    const uint8_t *w = t->w;
    for (int b = 0; b < t->n_block; b++) {
        if (t->row == 0) prefetch_weights(w, type.weight_bytes);
        for (int s = 0; s < N_STRIP; s++) k_block(acc[s], w, act, tile_m, s, type);
        w += type.weight_bytes;
        act += tile_m * k_act_bytes(type);
    }
    tile_store(t, tile_m, acc);
}

/* MAX_TILE comes from the file that includes this one. */
TD_INLINE void k_run(const tile_args *t, int tile_m, const uint8_t *act, k_type type) {
    if (MAX_TILE >= 24 && tile_m == 24) k_tile(t, MAX_TILE >= 24 ? 24 : 1, act, type);
    if (MAX_TILE >= 12 && tile_m == 12) k_tile(t, MAX_TILE >= 12 ? 12 : 1, act, type);
    if (MAX_TILE >= 8 && tile_m == 8) k_tile(t, MAX_TILE >= 8 ? 8 : 1, act, type);
    if (tile_m == 4) k_tile(t, 4, act, type);
    if (tile_m == 2) k_tile(t, 2, act, type);
    if (tile_m == 1) k_tile(t, 1, act, type);
}

TD_INLINE void k_gemm(const td_gemm_args *g, k_type type, pack_act_fn *pack, tile_fn *run) {
    const tile_plan plan = {.block_elems = 256,
                            .weight_bytes = type.weight_bytes,
                            .act_bytes = (size_t)k_act_bytes(type),
                            .max_tile = MAX_TILE,
                            .pack = pack,
                            .run = run};
    tile_gemm(&plan, g);
}

/* All types with as many sub-blocks pack alike. */
static const k_type pack_8 = {.n_sub = 8}, pack_16 = {.n_sub = 16};
static void k_pack_8(const tile_args *t, int m, uint8_t *to) { k_pack(t, m, to, pack_8); }
static void k_pack_16(const tile_args *t, int m, uint8_t *to) { k_pack(t, m, to, pack_16); }
