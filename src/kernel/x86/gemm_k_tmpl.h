/* gemm_k_tmpl.h - integer products on the 256-blocks with integer sub-scales: Q4_K Q5_K Q6_K.
 *
 * Eight words of weights are unpacked at a time into registers of unsigned bytes, four along k per
 * lane; a block gives sum = scale * dot over its sub-blocks in int32, exactly.  What the format
 * subtracts (the mins, or 32 of Q6_K's weights) is a second, small dot: of the sub-blocks' mins or
 * scales with the sums of their activations.
 *
 * A block of the buffer: int8 q[tile_m][256], float d[tile_m], int32 pairs[tile_m][n_pair]: sums of
 * sub-blocks as pairs of int16, sub-block 4 j with 4 j + 2 and 4 j + 1 with 4 j + 3, because that
 * is how the bytes of a word of scales come apart in two instructions. */

/* What the types differ in: always a literal. */
typedef struct k_type {
    int max_w;    /* largest unpacked weight: 15, 31, 63 */
    int n_sub;    /* sub-blocks with a scale: 8 of 32, or 16 of 16 */
    int words_at; /* bytes from the block's start to the low nibbles, */
    int high_at;  /* the high bits, */
    int scales_at, d_at;
    size_t weight_bytes;
} k_type;

enum {
    HALF_ROW = TD_PANEL * 2, /* bytes of a 16-bit field over the 16 outputs */
    WORD_ROW = TD_PANEL * 4  /* of a 32-bit word */
};

static const k_type q4_k = {.max_w = 15,
                            .n_sub = 8,
                            .d_at = 0,
                            .scales_at = 2 * HALF_ROW,
                            .words_at = 2 * HALF_ROW + 3 * WORD_ROW,
                            .weight_bytes = 144 * TD_PANEL};
static const k_type q5_k = {.max_w = 31,
                            .n_sub = 8,
                            .d_at = 0,
                            .scales_at = 2 * HALF_ROW,
                            .high_at = 2 * HALF_ROW + 3 * WORD_ROW,
                            .words_at = 2 * HALF_ROW + 11 * WORD_ROW,
                            .weight_bytes = 176 * TD_PANEL};
static const k_type q6_k = {.max_w = 63,
                            .n_sub = 16,
                            .words_at = 0,
                            .high_at = 32 * WORD_ROW,
                            .scales_at = 48 * WORD_ROW,
                            .d_at = 52 * WORD_ROW,
                            .weight_bytes = 210 * TD_PANEL};

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

/* ---- scales ---- */

/* scale: per sub-block, as dot_scaled wants them.  side: what the pairs of sums are multiplied
 * with, the mins (Q4_K, Q5_K) or the scales again (Q6_K), as pairs of int16. */
typedef struct k_scales {
    vi scale[16], side[8];
} k_scales;

/* Words of 4 unsigned bytes, sub-blocks 4 j .. 4 j + 3. */
TD_INLINE void spread_scales(vi *scale, vi word) {
    TD_UNROLL for (int i = 0; i < 4; i++) scale[i] =
        dot_scale(vi_and(vi_srl(word, 8 * i), vi_set1_32(255)));
}

TD_INLINE void spread_mins(vi *side, vi word) {
    side[0] = vi_and(word, vi_set1_32(0x00ff00ff));
    side[1] = vi_and(vi_srl(word, 8), vi_set1_32(0x00ff00ff));
}

/* The 6-bit scales and mins in 12 bytes: the first four scales and mins are the low 6 bits of bytes
 * 0-3 and 4-7; the last four have their low nibbles in bytes 8-11 and their high 2 bits on top of
 * the first eight bytes. */
TD_INLINE void q4_k_scales(k_scales *out, const uint8_t *w) {
    const vi w0 = vi_load(w), w1 = vi_load(w + WORD_ROW), w2 = vi_load(w + 2 * WORD_ROW);
    const vi low6 = vi_set1_8(0x3f), low4 = vi_set1_8(0x0f), high2 = vi_set1_8(0x30);
    spread_scales(out->scale, vi_and(w0, low6));
    spread_scales(out->scale + 4, vi_or(vi_and(w2, low4), vi_and(vi_srl(w0, 2), high2)));
    spread_mins(out->side, vi_and(w1, low6));
    spread_mins(out->side + 2, vi_or(vi_and(vi_srl(w2, 4), low4), vi_and(vi_srl(w1, 2), high2)));
}

/* Sixteen int8. */
TD_INLINE void q6_k_scales(k_scales *out, const uint8_t *w) {
    TD_UNROLL for (int i = 0; i < 4; i++) {
        const vi word = vi_load(w + i * WORD_ROW);
        TD_UNROLL for (int j = 0; j < 4; j++) out->scale[4 * i + j] =
            dot_scale(vi_sra(vi_sll(word, 24 - 8 * j), 24));
        out->side[2 * i] = vi_sra16(vi_sll16(word, 8), 8);
        out->side[2 * i + 1] = vi_sra16(word, 8);
    }
}

/* ---- weights ---- */

/* Step p = 0..3 covers two runs of 32 elements: those in the low and in the high nibbles of 8
 * words. Returns the first element of a run. */
TD_INLINE int k_run_start(int p, int high, k_type type) {
    /* Q6_K: quarters q and q + 2 of a half share nibbles; the others: neighbours. */
    return type.max_w == 63 ? p / 2 * 128 + p % 2 * 32 + high * 64 : p * 64 + high * 32;
}

/* u = the eight words of a run. w: the block, plus the strip's offset. */
TD_INLINE void k_weights(vi u[8], const uint8_t *w, int p, int high, k_type type) {
    const uint8_t *nibbles = w + type.words_at + p * 8 * WORD_ROW;
    TD_UNROLL for (int i = 0; i < 8; i++) {
        const vi bytes = vi_load(nibbles + i * WORD_ROW);
        u[i] = vi_and(high ? vi_srl(bytes, 4) : bytes, vi_set1_8(15));
    }
    if (type.max_w == 31) { /* bit 2 p + high of byte l of qh, whatever the run */
        TD_UNROLL for (int i = 0; i < 8; i++) {
            const vi bits = vi_srl(vi_load(w + type.high_at + i * WORD_ROW), 2 * p);
            u[i] = vi_or(u[i], vi_and(vi_sll(bits, high ? 3 : 4), vi_set1_8(0x10)));
        }
    }
    if (type.max_w == 63) { /* bits 2 quarter, 2 quarter + 1 of byte l of the half's qh */
        const uint8_t *qh = w + type.high_at + p / 2 * 8 * WORD_ROW;
        TD_UNROLL for (int i = 0; i < 8; i++) {
            const vi bits = vi_srl(vi_load(qh + i * WORD_ROW), p % 2 * 2);
            u[i] = vi_or(u[i], vi_and(high ? bits : vi_sll(bits, 4), vi_set1_8(0x30)));
        }
    }
}

/* ---- the tile ---- */

/* sum[i] += the run of 32 elements from `start`, for the tile's rows. */
TD_INLINE void k_run_dots(vi *sum, const vi u[8], const vi *scale, const int8_t *act, int tile_m,
                          k_type type) {
    TD_UNROLL_ROWS for (int i = 0; i < tile_m; i++) {
        const int8_t *a = act + i * 256;
        if (type.n_sub == 8) {
            sum[i] = dot_scaled(sum[i], u, a, 8, type.max_w, scale[0]);
        } else {
            sum[i] = dot_scaled(sum[i], u, a, 4, type.max_w, scale[0]);
            sum[i] = dot_scaled(sum[i], u + 4, a + 16, 4, type.max_w, scale[1]);
        }
    }
}

/* One block of one strip: acc[i] += block of row i. w: the block, plus the strip's offset into
 * 32-bit words; d at half of it. */
TD_INLINE void k_block(vf *acc, const uint8_t *w, const uint8_t *act, int tile_m, int strip,
                       k_type type) {
    const uint8_t *words = w + strip * V_LANES * 4;
    const uint16_t *d_at = (const uint16_t *)(const void *)(w + type.d_at) + strip * V_LANES;
    k_scales scales;
    if (type.n_sub == 8)
        q4_k_scales(&scales, words + type.scales_at);
    else
        q6_k_scales(&scales, words + type.scales_at);
    vi sum[MAX_TILE];
    TD_UNROLL for (int i = 0; i < tile_m; i++) sum[i] = vi_zero();
    /* Not unrolled: with q of Q6_K's p = 2 half + q a literal, shifts get cheaper and the whole 8
     * to 10 % slower. */
    for (int p = 0; p < 4; p++) {
        TD_UNROLL for (int high = 0; high < 2; high++) {
            const int start = k_run_start(p, high, type);
            vi u[8];
            k_weights(u, words, p, high, type);
            k_run_dots(sum, u, scales.scale + start * type.n_sub / 256, (const int8_t *)act + start,
                       tile_m, type);
        }
    }
    const int n_pair = type.n_sub / 2;
    const uint8_t *d_act = act + tile_m * 256, *pairs = d_act + tile_m * 4;
    const vf d = vf_load_f16(d_at);
    const vf dmin = type.n_sub == 8 ? vf_load_f16(d_at + TD_PANEL) : vf_zero();
    TD_UNROLL_ROWS for (int i = 0; i < tile_m; i++) {
        vi side = vi_zero();
        TD_UNROLL for (int j = 0; j < n_pair; j++) side =
            dot_pair(side, scales.side[j], bcast4(pairs + (i * n_pair + j) * 4));
        const vf da = vf_bits(bcast4(d_act + i * 4));
        if (type.n_sub == 8) {
            acc[i] = vf_fma(vf_mul(d, da), vf_from_i32(sum[i]), acc[i]);
            acc[i] = vf_fnma(vf_mul(dmin, da), vf_from_i32(side), acc[i]);
        } else {
            const vi exact = vi_sub(sum[i], vi_sll(side, 5)); /* weights were 32 too large */
            acc[i] = vf_fma(vf_mul(d, da), vf_from_i32(exact), acc[i]);
        }
    }
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

/* ---- the instances: what the public functions of the including file name ---- */

/* Q4_K and Q5_K both have eight mins. */
static void with_min_pack(const tile_args *t, int m, uint8_t *to) { k_pack(t, m, to, q4_k); }
static void q6_k_pack(const tile_args *t, int m, uint8_t *to) { k_pack(t, m, to, q6_k); }

static void q4_k_run(const tile_args *t, int m, const uint8_t *act) { k_run(t, m, act, q4_k); }
static void q5_k_run(const tile_args *t, int m, const uint8_t *act) { k_run(t, m, act, q5_k); }
static void q6_k_run(const tile_args *t, int m, const uint8_t *act) { k_run(t, m, act, q6_k); }
