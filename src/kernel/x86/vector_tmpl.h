/* vector_tmpl.h - norms, activations, softmax parts, conversions, rope.
 *
 * What works element by element gives the same bits at any width; its tail goes through partial
 * loads.  Reductions keep the 16 lanes of kernels.h in N_STRIP registers, and a tail touches only
 * the lanes it has: adding a zero to the others could turn a -0 into +0. */

/* ---- reductions ---- */

TD_INLINE float add_lanes(const vf x[N_STRIP]) { return sum4(sum_to_4(x)); }

TD_INLINE void rms_norm(float *y, const float *x, const float *w, int n, float eps) {
    vf lane[N_STRIP];
    TD_UNROLL for (int s = 0; s < N_STRIP; s++) lane[s] = vf_zero();
    int i = 0;
    for (; i + TD_PANEL <= n; i += TD_PANEL) {
        TD_UNROLL for (int s = 0; s < N_STRIP; s++) {
            const vf v = vf_load(x + i + s * V_LANES);
            lane[s] = vf_fma(v, v, lane[s]);
        }
    }
    TD_UNROLL for (int s = 0; s < N_STRIP; s++) {
        const int part = strip_part(n - i, V_LANES, s);
        const vf v = vf_load_part(x + i + s * V_LANES, part);
        lane[s] = vf_keep(vf_fma(v, v, lane[s]), lane[s], part);
    }
    const float r = 1.0f / sqrtf(add_lanes(lane) / (float)n + eps);
    for (i = 0; i < n; i += V_LANES) {
        const int part = n - i < V_LANES ? n - i : V_LANES;
        vf v = vf_mul(vf_load_part(x + i, part), vf_set1(r));
        if (w) v = vf_mul(v, vf_load_part(w + i, part));
        vf_store_part(y + i, v, part);
    }
}

TD_INLINE void layer_norm(float *y, const float *x, const float *w, const float *b, int n,
                          float eps) {
    vf lane[N_STRIP], square[N_STRIP];
    TD_UNROLL for (int s = 0; s < N_STRIP; s++) lane[s] = square[s] = vf_zero();
    for (int i = 0; i < n; i += TD_PANEL) {
        TD_UNROLL for (int s = 0; s < N_STRIP; s++) {
            const int part = strip_part(n - i, V_LANES, s);
            const vf v = vf_load_part(x + i + s * V_LANES, part);
            lane[s] = vf_keep(vf_add(lane[s], v), lane[s], part);
        }
    }
    const vf mean = vf_set1(add_lanes(lane) / (float)n);
    for (int i = 0; i < n; i += TD_PANEL) {
        TD_UNROLL for (int s = 0; s < N_STRIP; s++) {
            const int part = strip_part(n - i, V_LANES, s);
            const vf d = vf_sub(vf_load_part(x + i + s * V_LANES, part), mean);
            square[s] = vf_keep(vf_fma(d, d, square[s]), square[s], part);
        }
    }
    const vf r = vf_set1(1.0f / sqrtf(add_lanes(square) / (float)n + eps));
    for (int i = 0; i < n; i += V_LANES) {
        const int part = n - i < V_LANES ? n - i : V_LANES;
        vf v = vf_mul(vf_sub(vf_load_part(x + i, part), mean), r);
        if (w) v = vf_mul(v, vf_load_part(w + i, part));
        if (b) v = vf_add(v, vf_load_part(b + i, part));
        vf_store_part(y + i, v, part);
    }
}

/* Where the largest value is 0, its sign is that of the first zero: the reference keeps what it
 * met first. */
TD_INLINE float first_zero(const float *x) {
    while (*x != 0) x++;
    return *x;
}

TD_INLINE float max_of(const float *x, int n) {
    vf lane = vf_set1(-INFINITY);
    for (int i = 0; i < n; i += V_LANES) {
        const int part = n - i < V_LANES ? n - i : V_LANES;
        /* vf_max keeps its second operand where the first is NaN. */
        lane = vf_keep(vf_max(vf_load_part(x + i, part), lane), lane, part);
    }
    const float max = vf_max_lane(lane);
    return max == 0 ? first_zero(x) : max;
}

TD_INLINE float exp_sum(float *p, int n, float max) {
    vf lane[N_STRIP];
    TD_UNROLL for (int s = 0; s < N_STRIP; s++) lane[s] = vf_zero();
    for (int i = 0; i < n; i += TD_PANEL) {
        TD_UNROLL for (int s = 0; s < N_STRIP; s++) {
            const int part = strip_part(n - i, V_LANES, s);
            float *at = p + i + s * V_LANES;
            const vf e = vf_exp(vf_sub(vf_load_part(at, part), vf_set1(max)));
            vf_store_part(at, e, part);
            lane[s] = vf_keep(vf_add(lane[s], e), lane[s], part);
        }
    }
    return add_lanes(lane);
}

/* ---- element by element ---- */

TD_INLINE vf up_or_one(const float *up, int i, int part) {
    return up ? vf_load_part(up + i, part) : vf_set1(1.0f);
}

TD_INLINE void swiglu(float *y, const float *gate, const float *up, int n) {
    for (int i = 0; i < n; i += V_LANES) {
        const int part = n - i < V_LANES ? n - i : V_LANES;
        const vf g = vf_load_part(gate + i, part), u = up_or_one(up, i, part);
        const vf below = vf_add(vf_set1(1.0f), vf_exp(vf_neg(g)));
        vf_store_part(y + i, vf_mul(vf_div(g, below), u), part);
    }
}

TD_INLINE void geglu_tanh(float *y, const float *gate, const float *up, int n) {
    for (int i = 0; i < n; i += V_LANES) {
        const int part = n - i < V_LANES ? n - i : V_LANES;
        const vf g = vf_load_part(gate + i, part), u = up_or_one(up, i, part);
        const vf u2 = vf_mul(g, vf_fma(vf_mul(g, g), vf_set1(TD_GELU_C2), vf_set1(TD_GELU_C1)));
        const vf below = vf_add(vf_set1(1.0f), vf_exp(vf_neg(u2)));
        vf_store_part(y + i, vf_mul(vf_div(g, below), u), part);
    }
}

TD_INLINE void geglu(float *y, const float *gate, const float *up, int n) {
    const vf one = vf_set1(1.0f);
    for (int i = 0; i < n; i += V_LANES) {
        const int part = n - i < V_LANES ? n - i : V_LANES;
        const vf g = vf_load_part(gate + i, part), u = up_or_one(up, i, part);
        const vf a = vf_min(vf_set1(TD_GELU_MAX), vf_abs(g)); /* NaN stays */
        const vf t = vf_div(one, vf_fma(vf_set1(TD_GELU_P), a, one));
        vf p = vf_fma(vf_set1(TD_GELU_A5), t, vf_set1(TD_GELU_A4));
        p = vf_fma(p, t, vf_set1(TD_GELU_A3));
        p = vf_fma(p, t, vf_set1(TD_GELU_A2));
        p = vf_fma(p, t, vf_set1(TD_GELU_A1));
        const vf e = vf_exp(vf_mul(vf_mul(a, a), vf_set1(-0.5f)));
        const vf below = vf_mul(vf_mul(p, t), e);
        const vf positive = vf_max(g, vf_zero());
        vf_store_part(y + i, vf_mul(vf_sub(positive, vf_mul(a, below)), u), part);
    }
}

TD_INLINE void add(float *y, const float *x, int n) {
    for (int i = 0; i < n; i += V_LANES) {
        const int part = n - i < V_LANES ? n - i : V_LANES;
        vf_store_part(y + i, vf_add(vf_load_part(y + i, part), vf_load_part(x + i, part)), part);
    }
}

TD_INLINE void scale(float *y, float c, int n) {
    for (int i = 0; i < n; i += V_LANES) {
        const int part = n - i < V_LANES ? n - i : V_LANES;
        vf_store_part(y + i, vf_mul(vf_load_part(y + i, part), vf_set1(c)), part);
    }
}

TD_INLINE void softcap(float *x, int n, float cap) {
    for (int i = 0; i < n; i += V_LANES) {
        const int part = n - i < V_LANES ? n - i : V_LANES;
        const vf t = vf_tanh(vf_div(vf_load_part(x + i, part), vf_set1(cap)));
        vf_store_part(x + i, vf_mul(vf_set1(cap), t), part);
    }
}

TD_INLINE void to_f16(uint16_t *dst, const float *src, int n) {
    int i = 0;
    for (; i + V_LANES <= n; i += V_LANES) vf_store_f16(dst + i, vf_load(src + i));
    if (i < n) {
        uint16_t tail[V_LANES];
        vf_store_f16(tail, vf_load_part(src + i, n - i));
        memcpy(dst + i, tail, (size_t)(n - i) * sizeof *dst);
    }
}

/* ---- activations of the integer products ---- */

/* One block of `elems`; sums go per `group`, 16 or 32. */
TD_INLINE void quantize_block(const float *x, int elems, int group, int8_t *q, float *d,
                              int16_t *s) {
    vf top = vf_zero();
    for (int i = 0; i < elems; i += V_LANES) top = vf_max(vf_abs(vf_load(x + i)), top);
    const float amax = vf_max_lane(top);
    *d = amax / 127.0f;
    const vf inverse = vf_set1(amax > 0 ? 127.0f / amax : 0.0f);
    for (int i = 0; i < elems; i += V_LANES) {
        /* As fmaxf and fminf: of NaN and a limit, the limit. */
        vf v = vf_max(vf_mul(vf_load(x + i), inverse), vf_set1(-127.0f));
        v = vf_min(v, vf_set1(127.0f));
        vi_store_i8(q + i, vi_round(v));
    }
    for (int i = 0; i < elems; i += group)
        s[i / group] = (int16_t)(sum16_i8(q + i) + (group == 32 ? sum16_i8(q + i + 16) : 0));
}

TD_INLINE void quantize_act_q8_32(const float *x, int k, int8_t *q, float *d, int16_t *s) {
    for (int i = 0; i < k; i += 32) quantize_block(x + i, 32, 32, q + i, d + i / 32, s + i / 32);
}

TD_INLINE void quantize_act_q8_256(const float *x, int k, int8_t *q, float *d, int16_t *s) {
    for (int i = 0; i < k; i += 256) quantize_block(x + i, 256, 16, q + i, d + i / 256, s + i / 16);
}

/* ---- blocks of a KV cache ---- */

/* The greatest and the least of 32 values; false if one is NaN or infinite. */
TD_INLINE bool block_range(const float *x, float *max, float *min) {
    vf top = vf_load(x), bottom = vf_neg(top), odd[N_STRIP];
    TD_UNROLL for (int s = 0; s < N_STRIP; s++) odd[s] = vf_zero();
    for (int i = 0; i < 32; i += TD_PANEL) {
        TD_UNROLL for (int s = 0; s < N_STRIP; s++) {
            const vf v = vf_load(x + i + s * V_LANES);
            odd[s] = vf_fma(v, vf_zero(), odd[s]);
            top = vf_max(v, top);
            bottom = vf_max(vf_neg(v), bottom);
        }
    }
    if (!(add_lanes(odd) == 0)) return false; /* inf * 0 is NaN */
    *max = vf_max_lane(top);
    *min = -vf_max_lane(bottom);
    return true;
}

TD_INLINE void store_half(uint8_t *p, float x) {
    const uint16_t h = td_f32_to_f16(x);
    memcpy(p, &h, sizeof h);
}

/* A scale that is normal: only then is the arithmetic below that of tensor/quantize.c, where x / d
 * may be far out of range. */
TD_INLINE bool is_normal_scale(float d) { return fabsf(d) >= FLT_MIN && fabsf(d) <= FLT_MAX; }

TD_INLINE void to_q8_0(void *dst, const float *x, int n) {
    uint8_t *b = dst;
    for (int k = 0; k < n; k += 32, b += 34) {
        float max, min;
        const bool finite = block_range(x + k, &max, &min);
        const float d = finite ? (max > -min ? max : -min) / 127.0f : 0.0f;
        if (!is_normal_scale(d)) {
            (void)td_quantize_row(TD_DTYPE_Q8_0, x + k, b, 32, NULL);
            continue;
        }
        store_half(b, d);
        const vf id = vf_set1(1.0f / d);
        for (int i = 0; i < 32; i += V_LANES) {
            /* Half away from zero: what truncation leaves over is exact, and so is its double,
             * which truncates to 1 or -1 from a half on. */
            vf v = vf_max(vf_mul(vf_load(x + k + i), id), vf_set1(-127.0f));
            v = vf_min(v, vf_set1(127.0f));
            const vi whole = vi_trunc(v);
            const vf rest = vf_sub(v, vf_from_i32(whole));
            vi_store_i8((int8_t *)(b + 2 + i), vi_add(whole, vi_trunc(vf_add(rest, rest))));
        }
    }
}

/* Levels 0 .. 15 around 8.5, truncated. */
TD_INLINE vi q4_0_levels(const float *x, vf id) {
    const vf v = vf_add(vf_mul(vf_load(x), id), vf_set1(8.5f));
    return vi_trunc(vf_min(vf_max(v, vf_zero()), vf_set1(15.0f)));
}

TD_INLINE void to_q4_0(void *dst, const float *x, int n) {
    uint8_t *b = dst;
    for (int k = 0; k < n; k += 32, b += 18) {
        float max, min;
        const bool finite = block_range(x + k, &max, &min);
        /* Of equal magnitudes with both signs the first counts: left to the reference. */
        const float d = finite && max != -min ? (max > -min ? max : min) / -8.0f : 0.0f;
        if (!is_normal_scale(d)) {
            (void)td_quantize_row(TD_DTYPE_Q4_0, x + k, b, 32, NULL);
            continue;
        }
        store_half(b, d);
        const vf id = vf_set1(1.0f / d);
        for (int i = 0; i < 16; i += V_LANES) {
            const vi low = q4_0_levels(x + k + i, id), high = q4_0_levels(x + k + 16 + i, id);
            const vi both = vi_or(low, vi_sll(high, 4));
            vi_store_i8((int8_t *)(b + 2 + i), vi_sra(vi_sll(both, 24), 24));
        }
    }
}

/* ---- rope ---- */

/* Pairs (i, i + half): a and b come from two places, c and s are taken apart. */
TD_INLINE void rope_neox(float *x, const float *cs, int half) {
    for (int i = 0; i < half; i += V_LANES) {
        const int part = half - i < V_LANES ? half - i : V_LANES;
        const vf cs0 = vf_load_part(cs + 2 * i, strip_part(2 * part, V_LANES, 0));
        const vf cs1 = vf_load_part(cs + 2 * i + V_LANES, strip_part(2 * part, V_LANES, 1));
        vf c, s;
        vf_split_pairs(cs0, cs1, &c, &s);
        const vf a = vf_load_part(x + i, part), b = vf_load_part(x + i + half, part);
        vf_store_part(x + i, vf_sub(vf_mul(a, c), vf_mul(b, s)), part);
        vf_store_part(x + i + half, vf_add(vf_mul(a, s), vf_mul(b, c)), part);
    }
}

/* Neighbours: even lanes a*c + -(b*s), odd lanes b*c + a*s. */
TD_INLINE void rope_interleaved(float *x, const float *cs, int n) {
    for (int i = 0; i < n; i += V_LANES) {
        const int part = n - i < V_LANES ? n - i : V_LANES;
        const vf ab = vf_load_part(x + i, part), pair = vf_load_part(cs + i, part);
        const vf turned = vf_mul(vf_swap_pairs(ab), vf_dup_odd(pair));
        const vf straight = vf_mul(ab, vf_dup_even(pair));
        vf_store_part(x + i, vf_add(straight, vf_neg_even(turned)), part);
    }
}

TD_INLINE void rope(float *x, const float *cs, int n_rot, bool neox) {
    if (neox)
        rope_neox(x, cs, n_rot / 2);
    else
        rope_interleaved(x, cs, n_rot / 2 * 2);
}
