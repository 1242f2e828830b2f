/* gemm_fp4_tmpl.h - FP4 codes as unsigned bytes, and integer products on NVFP4: runs of 16 with a
 * scale each.
 *
 * A block of 64 is 16 words of four E4M3 scales, then for each run two words of nibbles: those of
 * word j are elements 4 j to 4 j + 3 and 4 j + 8 to 4 j + 11 of the run.  A block of the buffer:
 * int8 q[tile_m][64], float d[2][tile_m], and the int32 starts [4][tile_m], -12 times the sum of a
 * run's activations. */
#include "tensor/codebooks.h"

/* Codes lie in -12..12; 12 is added to them, and 12 * sum(a) taken off the sum again. */
enum { FP4_OFFSET = 12, FP4_MAX = 24 };

TD_INLINE vi fp4_table(void) { return vi_add8(vi_table(td_fp4_values), vi_set1_8(FP4_OFFSET)); }

enum {
    NVFP4_ACT_BYTES = 64 + 2 * 4 + 4 * 4,
    NVFP4_WEIGHT_BYTES = TD_PANEL * 36,
    NVFP4_RUN_BYTES = TD_PANEL * 8
};

static void nvfp4_pack(const tile_args *t, int tile_m, uint8_t *buffer) {
    const td_act *a = &t->g->a;
    memset(buffer, 0, (size_t)(t->n_block * tile_m * NVFP4_ACT_BYTES));
    for (int b = 0; b < t->n_block; b++, buffer += tile_m * NVFP4_ACT_BYTES) {
        uint8_t *d = buffer + tile_m * 64, *starts = d + 2 * tile_m * 4;
        const ptrdiff_t block = t->block + b;
        for (int i = 0; i < t->rows; i++) {
            const int8_t *q = a->q + (t->row + i) * a->ldq + block * 64;
            memcpy(buffer + i * 64, q, 64);
            for (int h = 0; h < 2; h++)
                memcpy(d + (h * tile_m + i) * 4, a->d + (t->row + i) * a->ldd + block * 2 + h, 4);
            for (int r = 0; r < 4; r++) {
                const int start = -FP4_OFFSET * sum16_i8(q + 16 * r);
                memcpy(starts + (r * tile_m + i) * 4, &start, 4);
            }
        }
    }
}

/* Half the value of byte `byte` of each word, an E4M3 scale without sign; a byte 0x7f, which stands
 * for 0, is 0 already.  The magnitude, moved to where a float has exponent and mantissa, becomes y
 * by adding 119 to the exponent.  That is right for normal numbers, 2^-7 and more.  Denormals come
 * out as y = 2^-8 (1 + m / 8) instead of 2^-7 m / 8 = 2 y - 2^-7, and the latter is below y just
 * when y < 2^-7. */
TD_INLINE vf nvfp4_scale(vi word, int byte) {
    const vi moved = byte < 3 ? vi_sll(word, 20 - 8 * byte) : vi_srl(word, 4);
    const vf y = vf_bits(vi_add(vi_and(moved, vi_set1_32(0x07f00000)), vi_set1_32(119 << 23)));
    return vf_min(y, vf_fma(y, vf_set1(2), vf_set1(-0x1p-7f)));
}

/* One block of one strip: acc[i] += block of row i, run after run. */
TD_INLINE void nvfp4_block(vf *acc, const uint8_t *w, const uint8_t *act, int tile_m, int strip) {
    const uint8_t *d_act = act + tile_m * 64, *starts = d_act + 2 * tile_m * 4;
    w += strip * V_LANES * 4;
    const vi scales = vi_drop8(vi_load(w), 0x7f), table = fp4_table();
    w += TD_PANEL * 4;
    TD_UNROLL for (int r = 0; r < 4; r++) {
        const vf d = nvfp4_scale(scales, r);
        vi u[4];
        TD_UNROLL for (int j = 0; j < 2; j++) {
            const vi bytes = vi_load(w + r * NVFP4_RUN_BYTES + j * TD_PANEL * 4);
            u[j] = vi_lookup(table, vi_and(bytes, vi_set1_8(15)));
            u[j + 2] = vi_lookup(table, vi_and(vi_srl(bytes, 4), vi_set1_8(15)));
        }
        TD_UNROLL_ROWS for (int i = 0; i < tile_m; i++) {
            const int8_t *a = (const int8_t *)act + i * 64 + r * 16;
            const vi sum = dot16_u(bcast4(starts + (r * tile_m + i) * 4), u, a, FP4_MAX);
            const vf da = vf_bits(bcast4(d_act + (r / 2 * tile_m + i) * 4));
            acc[i] = vf_fma(vf_mul(d, da), vf_from_i32(sum), acc[i]);
        }
    }
}

TD_INLINE void nvfp4_tile(const tile_args *t, int tile_m, const uint8_t *act) {
    vf acc[N_STRIP][MAX_TILE];
    tile_load(t, tile_m, acc);
    const uint8_t *w = t->w;
    for (int b = 0; b < t->n_block; b++) {
        if (t->row == 0) prefetch_weights(w, NVFP4_WEIGHT_BYTES);
        for (int s = 0; s < N_STRIP; s++) nvfp4_block(acc[s], w, act, tile_m, s);
        w += NVFP4_WEIGHT_BYTES;
        act += tile_m * NVFP4_ACT_BYTES;
    }
    tile_store(t, tile_m, acc);
}

/* MAX_TILE comes from the file that includes this one. */
static void nvfp4_run(const tile_args *t, int tile_m, const uint8_t *act) {
    if (MAX_TILE >= 12 && tile_m == 12) nvfp4_tile(t, MAX_TILE >= 12 ? 12 : 1, act);
    if (MAX_TILE >= 8 && tile_m == 8) nvfp4_tile(t, MAX_TILE >= 8 ? 8 : 1, act);
    if (tile_m == 4) nvfp4_tile(t, 4, act);
    if (tile_m == 2) nvfp4_tile(t, 2, act);
    if (tile_m == 1) nvfp4_tile(t, 1, act);
}

TD_INLINE void nvfp4_gemm(const td_gemm_args *g) {
    const tile_plan plan = {.block_elems = 64,
                            .weight_bytes = NVFP4_WEIGHT_BYTES,
                            .act_bytes = NVFP4_ACT_BYTES,
                            .max_tile = MAX_TILE,
                            .pack = nvfp4_pack,
                            .run = nvfp4_run};
    tile_gemm(&plan, g);
}
