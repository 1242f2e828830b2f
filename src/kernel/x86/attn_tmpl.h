/* attn_tmpl.h - scores of one query against cached keys, and the weighted sum of cached values.
 *
 * Scores: 16 lanes per position and the fixed tree (kernels.h); four positions at a time, so that
 * four fma chains run side by side and the end of the tree is shared.  Values: positions in order
 * into accumulators of up to 128 dimensions that stay in registers over all positions.  Blocks are
 * taken whole, 32 dimensions at a time. */

enum { N_BLOCK_STRIP = 2 * N_STRIP }; /* registers of a block */

/* The weights of block `i` of a cache of blocks. */
TD_INLINE void kv_load_block(vf out[N_BLOCK_STRIP], const void *p, ptrdiff_t i, td_kv_dtype dtype) {
    const uint8_t *block = (const uint8_t *)p + i * (dtype == TD_KV_DTYPE_Q8_0 ? 34 : 18);
    const vf d = vf_set1_f16(block);
    if (dtype == TD_KV_DTYPE_Q8_0) {
        TD_UNROLL for (int s = 0; s < N_BLOCK_STRIP; s++) out[s] =
            vf_mul(d, vf_from_i32(vi_load_i8(block + 2 + s * V_LANES)));
        return;
    }
    TD_UNROLL for (int s = 0; s < N_STRIP; s++) {
        const vi bytes = vi_load_u8(block + 2 + s * V_LANES), eight = vi_set1_32(8);
        const vi low = vi_and(bytes, vi_set1_32(15)), high = vi_srl(bytes, 4);
        out[s] = vf_mul(d, vf_from_i32(vi_sub(low, eight)));
        out[s + N_STRIP] = vf_mul(d, vf_from_i32(vi_sub(high, eight)));
    }
}

/* Strip at element i of row `p`. */
TD_INLINE vf kv_load(const void *p, ptrdiff_t i, td_kv_dtype dtype) {
    return dtype == TD_KV_DTYPE_F32 ? vf_load((const float *)p + i)
                                    : vf_load_f16((const uint16_t *)p + i);
}

TD_INLINE vf kv_load_part(const void *p, ptrdiff_t i, int n, td_kv_dtype dtype) {
    return dtype == TD_KV_DTYPE_F32 ? vf_load_part((const float *)p + i, n)
                                    : vf_load_f16_part((const uint16_t *)p + i, n);
}

/* The 16 lanes of q . k for `count` <= 4 positions from j on, then the tree down to 4 lanes each.
 */
TD_INLINE void score_lanes(__m128 *out, const float *q, const void *k, ptrdiff_t j, int count,
                           int head_dim, td_kv_dtype dtype) {
    vf lane[4][N_STRIP];
    TD_UNROLL for (int p = 0; p < count; p++) TD_UNROLL for (int s = 0; s < N_STRIP; s++)
        lane[p][s] = vf_zero();
    const ptrdiff_t row = j * head_dim;
    int i = 0;
    if (dtype != TD_KV_DTYPE_F32 && dtype != TD_KV_DTYPE_F16) {
        for (; i < head_dim; i += 32) {
            TD_UNROLL for (int p = 0; p < count; p++) {
                vf kv[N_BLOCK_STRIP];
                kv_load_block(kv, k, (row + p * head_dim + i) / 32, dtype);
                TD_UNROLL for (int s = 0; s < N_BLOCK_STRIP; s++) lane[p][s % N_STRIP] =
                    vf_fma(vf_load(q + i + s * V_LANES), kv[s], lane[p][s % N_STRIP]);
            }
        }
    }
    for (; i + TD_PANEL <= head_dim; i += TD_PANEL) {
        TD_UNROLL for (int s = 0; s < N_STRIP; s++) {
            const int at = i + s * V_LANES;
            const vf qv = vf_load(q + at);
            TD_UNROLL for (int p = 0; p < count; p++) lane[p][s] =
                vf_fma(qv, kv_load(k, row + p * head_dim + at, dtype), lane[p][s]);
        }
    }
    if (i < head_dim) {
        TD_UNROLL for (int s = 0; s < N_STRIP; s++) {
            const int at = i + s * V_LANES, part = strip_part(head_dim - i, V_LANES, s);
            const vf qv = vf_load_part(q + at, part);
            TD_UNROLL for (int p = 0; p < count; p++) {
                const vf kv = kv_load_part(k, row + p * head_dim + at, part, dtype);
                lane[p][s] = vf_keep(vf_fma(qv, kv, lane[p][s]), lane[p][s], part);
            }
        }
    }
    TD_UNROLL for (int p = 0; p < count; p++) out[p] = sum_to_4(lane[p]);
}

TD_INLINE void attn_score(float *s, const float *q, const void *k, int n_pos, int head_dim,
                          float scale, td_kv_dtype dtype) {
    int j = 0;
    for (; j + 4 <= n_pos; j += 4) {
        __m128 part[4];
        score_lanes(part, q, k, j, 4, head_dim, dtype);
        _mm_storeu_ps(s + j, _mm_mul_ps(sum4x4(part), _mm_set1_ps(scale)));
    }
    for (; j < n_pos; j++) {
        __m128 part;
        score_lanes(&part, q, k, j, 1, head_dim, dtype);
        s[j] = sum4(part) * scale;
    }
}

/* n_vec registers of dimensions from `from` on. */
TD_INLINE void value_span(float *acc, const float *p, const void *v, int n_pos, int head_dim,
                          ptrdiff_t from, int n_vec, td_kv_dtype dtype) {
    vf sum[8];
    TD_UNROLL for (int i = 0; i < n_vec; i++) sum[i] = vf_load(acc + from + i * V_LANES);
    for (int j = 0; j < n_pos; j++) {
        const vf pj = vf_set1(p[j]);
        const ptrdiff_t at = (ptrdiff_t)j * head_dim + from;
        TD_UNROLL for (int i = 0; i < n_vec; i++) sum[i] =
            vf_fma(pj, kv_load(v, at + i * V_LANES, dtype), sum[i]);
    }
    TD_UNROLL for (int i = 0; i < n_vec; i++) vf_store(acc + from + i * V_LANES, sum[i]);
}

TD_INLINE void value_tail(float *acc, const float *p, const void *v, int n_pos, int head_dim,
                          ptrdiff_t from, td_kv_dtype dtype) {
    const int part = head_dim - (int)from;
    vf sum = vf_load_part(acc + from, part);
    for (int j = 0; j < n_pos; j++) {
        const vf row = kv_load_part(v, (ptrdiff_t)j * head_dim + from, part, dtype);
        sum = vf_fma(vf_set1(p[j]), row, sum);
    }
    vf_store_part(acc + from, sum, part);
}

TD_INLINE void attn_value(float *acc, const float *p, const void *v, int n_pos, int head_dim,
                          td_kv_dtype dtype) {
    int i = 0;
    for (; i + 8 * V_LANES <= head_dim; i += 8 * V_LANES)
        value_span(acc, p, v, n_pos, head_dim, i, 8, dtype);
    for (; i + 4 * V_LANES <= head_dim; i += 4 * V_LANES)
        value_span(acc, p, v, n_pos, head_dim, i, 4, dtype);
    for (; i + V_LANES <= head_dim; i += V_LANES)
        value_span(acc, p, v, n_pos, head_dim, i, 1, dtype);
    if (i < head_dim) value_tail(acc, p, v, n_pos, head_dim, i, dtype);
}

/* n_vec registers of dimensions from `from` on, a multiple of 32 of them. */
TD_INLINE void value_blocks_span(float *acc, const float *p, const void *v, int n_pos, int head_dim,
                                 ptrdiff_t from, int n_vec, td_kv_dtype dtype) {
    vf sum[8];
    TD_UNROLL for (int i = 0; i < n_vec; i++) sum[i] = vf_load(acc + from + i * V_LANES);
    for (int j = 0; j < n_pos; j++) {
        const vf pj = vf_set1(p[j]);
        const ptrdiff_t block = ((ptrdiff_t)j * head_dim + from) / 32;
        TD_UNROLL for (int b = 0; b < n_vec / N_BLOCK_STRIP; b++) {
            vf kv[N_BLOCK_STRIP];
            kv_load_block(kv, v, block + b, dtype);
            TD_UNROLL for (int s = 0; s < N_BLOCK_STRIP; s++) sum[b * N_BLOCK_STRIP + s] =
                vf_fma(pj, kv[s], sum[b * N_BLOCK_STRIP + s]);
        }
    }
    TD_UNROLL for (int i = 0; i < n_vec; i++) vf_store(acc + from + i * V_LANES, sum[i]);
}

TD_INLINE void attn_value_blocks(float *acc, const float *p, const void *v, int n_pos, int head_dim,
                                 td_kv_dtype dtype) {
    int i = 0;
    for (; i + 8 * V_LANES <= head_dim; i += 8 * V_LANES)
        value_blocks_span(acc, p, v, n_pos, head_dim, i, 8, dtype);
    for (; i < head_dim; i += 32)
        value_blocks_span(acc, p, v, n_pos, head_dim, i, N_BLOCK_STRIP, dtype);
}
