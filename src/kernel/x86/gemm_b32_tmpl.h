/* gemm_b32_tmpl.h - integer products on weights in runs of 32 under one scale: Q4_0 Q4_1 Q5_0 Q5_1
 * Q8_0 IQ4_NL MXFP4 INT4 INT4_Z32 INT4_Z128.
 *
 * Weights are unpacked once per tile and run into 8 registers of unsigned bytes, four along k per
 * lane.  Where the format subtracts an offset (8, 16, or 128 for signed bytes under VNNI), the sum
 * starts at -offset * sum(a) instead: the same integer.  A zero of its own per output, up to 255,
 * does the same by one multiplication of int16 pairs: |sum(a)| <= 32 * 127 = 4064.
 *
 * Codes go through a byte shuffle.  Those of MXFP4 (-12 to 12) come out as code + 12, those of
 * IQ4_NL (-127 to 113) as signed bytes, which then go the way of Q8_0's.
 *
 * A run of the buffer: int8 q[tile_m][32], float d[tile_m], and a third word per row: the int32
 * start, or, for types with an offset field m, float(sum(a)). */
#include "tensor/codebooks.h"

typedef enum b32_scale { SCALE_F16, SCALE_BF16, SCALE_E8M0 } b32_scale;
typedef enum b32_code { CODE_PLAIN, CODE_IQ4, CODE_FP4 } b32_code;

/* What the types differ in: always a literal. */
typedef struct b32_type {
    int offset; /* subtracted from the unpacked weight; 0 for types with m */
    int max_w;  /* largest unpacked weight; 255: signed bytes */
    bool has_m;
    bool has_z; /* a byte after the scale, to be subtracted: then offset is 1, and z times that */
    bool has_high; /* one word of fifth bits */
    b32_scale scale;
    b32_code code; /* what the nibbles are */
    int n_run;     /* runs under one scale; 0 counts as 1 */
} b32_type;

static const b32_type q4_0 = {.offset = 8, .max_w = 15};
static const b32_type q4_1 = {.max_w = 15, .has_m = true};
static const b32_type q5_0 = {.offset = 16, .max_w = 31, .has_high = true};
static const b32_type q5_1 = {.max_w = 31, .has_m = true, .has_high = true};
static const b32_type q8_0 = {.offset = S8_OFFSET, .max_w = 255};
static const b32_type iq4_nl = {.offset = S8_OFFSET, .max_w = 255, .code = CODE_IQ4};
static const b32_type mxfp4 = {
    .offset = FP4_OFFSET, .max_w = FP4_MAX, .scale = SCALE_E8M0, .code = CODE_FP4};
static const b32_type int4 = {.offset = 8, .max_w = 15, .scale = SCALE_BF16};
static const b32_type int4_z32 = {.offset = 1, .max_w = 15, .has_z = true};
static const b32_type int4_z128 = {.offset = 1, .max_w = 15, .has_z = true, .n_run = 4};

enum {
    B32_ACT_BYTES = 32 + 4 + 4, /* of a run */
    BYTE_ROW = TD_PANEL,        /* bytes of an 8-bit field over the 16 outputs */
    HALF_ROW = TD_PANEL * 2,    /* of a 16-bit field */
    WORD_ROW = TD_PANEL * 4     /* of a 32-bit word */
};

TD_INLINE int b32_n_run(b32_type type) { return type.n_run ? type.n_run : 1; }

/* Bytes of a block before its first run: the scales. */
TD_INLINE size_t b32_scale_bytes(b32_type type) {
    return (size_t)((type.scale == SCALE_E8M0 ? BYTE_ROW : HALF_ROW) + (type.has_m ? HALF_ROW : 0) +
                    (type.has_z ? BYTE_ROW : 0));
}

TD_INLINE size_t b32_run_bytes(b32_type type) {
    const bool bytes = type.max_w == 255 && type.code == CODE_PLAIN;
    return (size_t)((type.has_high ? WORD_ROW : 0) + (bytes ? 8 : 4) * WORD_ROW);
}

TD_INLINE size_t b32_weight_bytes(b32_type type) {
    return b32_scale_bytes(type) + (size_t)b32_n_run(type) * b32_run_bytes(type);
}

/* ---- activations ---- */

TD_INLINE void b32_pack(const tile_args *t, int tile_m, uint8_t *buffer, b32_type type) {
    const td_act *a = &t->g->a;
    const int n_run = b32_n_run(type);
    for (int b = 0; b < t->n_block * n_run; b++, buffer += tile_m * B32_ACT_BYTES) {
        uint8_t *d = buffer + tile_m * 32, *third = d + tile_m * 4;
        const ptrdiff_t block = t->block * n_run + b;
        for (int i = 0; i < t->rows; i++) {
            const ptrdiff_t row = t->row + i;
            const int sum = a->s[row * a->lds + block], start = -type.offset * sum;
            const float sum_f = (float)sum;
            memcpy(buffer + i * 32, a->q + row * a->ldq + block * 32, 32);
            memcpy(d + i * 4, a->d + row * a->ldd + block, 4);
            memcpy(third + i * 4, type.has_m ? (const void *)&sum_f : (const void *)&start, 4);
        }
        for (int i = t->rows; i < tile_m; i++) {
            memset(buffer + i * 32, 0, 32);
            memset(d + i * 4, 0, 4);
            memset(third + i * 4, 0, 4);
        }
    }
}

/* ---- weights ---- */

/* The fifth bits of word i of the weights, as 0x10 in each byte.  Bit e of the field belongs to
 * element e, so word i has nibble i: its byte goes to all four bytes, each keeps its own bit, in
 * the high half of the byte (for even i the field comes shifted by 4), and what is not 0 becomes
 * 0x10. */
TD_INLINE vi b32_high_bits(vi field, int i) {
    const vi byte = vi_repeat_byte(i % 2 ? field : vi_sll(field, 4), i / 2);
    return vi_min8(vi_and(byte, vi_set1_32((int)0x80402010)), vi_set1_8(0x10));
}

/* Eight registers of weights of one strip of the run at w. */
TD_INLINE void b32_weights(vi u[8], const uint8_t *w, int strip, b32_type type) {
    w += strip * V_LANES * 4;
    if (type.max_w == 255 && type.code == CODE_PLAIN) {
        TD_UNROLL for (int i = 0; i < 8; i++) u[i] = s8_weights(vi_load(w + i * WORD_ROW));
        return;
    }
    const uint8_t *qs = w + (type.has_high ? WORD_ROW : 0);
    TD_UNROLL for (int i = 0; i < 4; i++) {
        const vi bytes = vi_load(qs + i * WORD_ROW);
        u[i] = vi_and(bytes, vi_set1_8(15));
        u[i + 4] = vi_and(vi_srl(bytes, 4), vi_set1_8(15));
    }
    if (type.has_high) {
        const vi field = vi_load(w);
        TD_UNROLL for (int i = 0; i < 8; i++) u[i] = vi_or(u[i], b32_high_bits(field, i));
    }
    if (type.code != CODE_PLAIN) {
        const vi table = type.code == CODE_FP4 ? fp4_table() : s8_weights(vi_table(td_iq4_values));
        TD_UNROLL for (int i = 0; i < 8; i++) u[i] = vi_lookup(table, u[i]);
    }
}

/* The scales of one strip of the block at w. */
TD_INLINE vf b32_scales(const uint8_t *w, int strip, b32_type type) {
    if (type.scale == SCALE_BF16)
        return vf_load_bf16((const uint16_t *)(const void *)w + strip * V_LANES);
    if (type.scale == SCALE_F16)
        return vf_load_f16((const uint16_t *)(const void *)w + strip * V_LANES);
    /* 2^(e - 128) has the bits (e - 1) << 23, but e = 0 and e = 1 are denormal, 1 << 21 and 1
     * << 22. Those are the first two of (e + 1) << 21, which is the smaller one from e = 2 on. */
    const vi e = vi_load_u8(w + strip * V_LANES);
    return vf_bits(
        vi_max(vi_sll(vi_sub(e, vi_set1_32(1)), 23), vi_sll(vi_add(e, vi_set1_32(1)), 21)));
}

TD_INLINE vi b32_dot(vi start, const vi u[8], const int8_t *a, b32_type type) {
    return type.max_w == 255 ? dot32_s8(start, u, a) : dot32_u(start, u, a, type.max_w);
}

/* ---- the tile ---- */

/* One block of one strip: acc[i] += block of row i, for the tile's rows. */
TD_INLINE void b32_block(vf *acc, const uint8_t *w, const uint8_t *act, int tile_m, int strip,
                         b32_type type) {
    const vf d = b32_scales(w, strip, type);
    const vf m = type.has_m
                     ? vf_load_f16((const uint16_t *)(const void *)(w + HALF_ROW) + strip * V_LANES)
                     : vf_zero();
    const vi z = type.has_z ? vi_load_u8(w + HALF_ROW + strip * V_LANES) : vi_zero();
    w += b32_scale_bytes(type);
    for (int r = 0; r < b32_n_run(type); r++) {
        const uint8_t *d_act = act + tile_m * 32, *third = d_act + tile_m * 4;
        vi u[8];
        b32_weights(u, w, strip, type);
        TD_UNROLL_ROWS for (int i = 0; i < tile_m; i++) {
            vi start = type.offset ? bcast4(third + i * 4) : vi_zero();
            if (type.has_z) start = dot_pair(vi_zero(), z, start);
            const vi sum = b32_dot(start, u, (const int8_t *)act + i * 32, type);
            const vf da = vf_bits(bcast4(d_act + i * 4));
            acc[i] = vf_fma(vf_mul(d, da), vf_from_i32(sum), acc[i]);
            if (type.has_m) acc[i] = vf_fma(vf_mul(m, da), vf_bits(bcast4(third + i * 4)), acc[i]);
        }
        w += b32_run_bytes(type);
        act += tile_m * B32_ACT_BYTES;
    }
}

TD_INLINE void b32_tile(const tile_args *t, int tile_m, const uint8_t *act, b32_type type) {
    const size_t weight_bytes = b32_weight_bytes(type);
    vf acc[N_STRIP][MAX_TILE];
    tile_load(t, tile_m, acc);
    const uint8_t *w = t->w;
    for (int b = 0; b < t->n_block; b++) {
        if (t->row == 0) prefetch_weights(w, weight_bytes);
        /* Not unrolled: gcc would keep the activations of one strip for the next, and spill. */
        for (int s = 0; s < N_STRIP; s++) b32_block(acc[s], w, act, tile_m, s, type);
        w += weight_bytes;
        act += b32_n_run(type) * tile_m * B32_ACT_BYTES;
    }
    tile_store(t, tile_m, acc);
}

/* MAX_TILE comes from the file that includes this one. */
TD_INLINE void b32_run(const tile_args *t, int tile_m, const uint8_t *act, b32_type type) {
    if (MAX_TILE >= 12 && tile_m == 12) b32_tile(t, MAX_TILE >= 12 ? 12 : 1, act, type);
    if (MAX_TILE >= 8 && tile_m == 8) b32_tile(t, MAX_TILE >= 8 ? 8 : 1, act, type);
    if (tile_m == 4) b32_tile(t, 4, act, type);
    if (tile_m == 2) b32_tile(t, 2, act, type);
    if (tile_m == 1) b32_tile(t, 1, act, type);
}

TD_INLINE void b32_gemm(const td_gemm_args *g, b32_type type, pack_act_fn *pack, tile_fn *run) {
    const tile_plan plan = {.block_elems = 32 * b32_n_run(type),
                            .weight_bytes = b32_weight_bytes(type),
                            .act_bytes = (size_t)b32_n_run(type) * B32_ACT_BYTES,
                            .max_tile = MAX_TILE,
                            .pack = pack,
                            .run = run};
    tile_gemm(&plan, g);
}

/* ---- the instances: what the public functions of the including file name ---- */

static void q4_0_pack(const tile_args *t, int m, uint8_t *to) { b32_pack(t, m, to, q4_0); }
static void q5_0_pack(const tile_args *t, int m, uint8_t *to) { b32_pack(t, m, to, q5_0); }
static void q8_0_pack(const tile_args *t, int m, uint8_t *to) { b32_pack(t, m, to, q8_0); }
static void iq4_nl_pack(const tile_args *t, int m, uint8_t *to) { b32_pack(t, m, to, iq4_nl); }
static void mxfp4_pack(const tile_args *t, int m, uint8_t *to) { b32_pack(t, m, to, mxfp4); }
static void int4_pack(const tile_args *t, int m, uint8_t *to) { b32_pack(t, m, to, int4); }
static void int4_z32_pack(const tile_args *t, int m, uint8_t *to) { b32_pack(t, m, to, int4_z32); }
static void int4_z128_pack(const tile_args *t, int m, uint8_t *to) {
    b32_pack(t, m, to, int4_z128);
}
/* Q4_1 and Q5_1 both keep the sum as it is. */
static void with_m_pack(const tile_args *t, int m, uint8_t *to) { b32_pack(t, m, to, q4_1); }

static void q4_0_run(const tile_args *t, int m, const uint8_t *act) { b32_run(t, m, act, q4_0); }
static void q4_1_run(const tile_args *t, int m, const uint8_t *act) { b32_run(t, m, act, q4_1); }
static void q5_0_run(const tile_args *t, int m, const uint8_t *act) { b32_run(t, m, act, q5_0); }
static void q5_1_run(const tile_args *t, int m, const uint8_t *act) { b32_run(t, m, act, q5_1); }
static void q8_0_run(const tile_args *t, int m, const uint8_t *act) { b32_run(t, m, act, q8_0); }
static void iq4_nl_run(const tile_args *t, int m, const uint8_t *act) {
    b32_run(t, m, act, iq4_nl);
}
static void mxfp4_run(const tile_args *t, int m, const uint8_t *act) { b32_run(t, m, act, mxfp4); }
static void int4_run(const tile_args *t, int m, const uint8_t *act) { b32_run(t, m, act, int4); }
static void int4_z32_run(const tile_args *t, int m, const uint8_t *act) {
    b32_run(t, m, act, int4_z32);
}
static void int4_z128_run(const tile_args *t, int m, const uint8_t *act) {
    b32_run(t, m, act, int4_z128);
}
