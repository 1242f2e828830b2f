/* hf_quantized.c - weights in FP8, in compressed-tensors' four bits and in MXFP4: which arrays make
 * one, and whether they fit. */
#include <string.h>

#include "format/hf_arrays.h"

static int64_t div_up(int64_t a, int64_t b) { return (a - 1) / b + 1; }

static int64_t rows_of(const td_hf_matrix *s) {
    return (s->n_expert > 0 ? s->n_expert : 1) * s->n_row;
}

/* ---- FP8 ---- */

/* Rows and columns of a block of the configuration's "[128, 128]"; absent, they stay. */
static td_status read_block(const td_hf_maker *m, int64_t block[2], td_err *err) {
    static const char *const keys[] = {"weight_block_size",
                                       "config_groups.group_0.weights.block_structure"};
    const td_meta *meta = td_hf_quant_meta(m, keys[0]);
    if (!meta) meta = td_hf_quant_meta(m, keys[1]);
    if (!meta) return TD_OK;
    if (meta->type != TD_META_ARRAY || meta->elem_type != TD_META_INT || meta->n_elem != 2 ||
        td_meta_int(meta, 0) < 1 || td_meta_int(meta, 1) < 1)
        return td_fail(err, TD_ERR_FORMAT, "%s: key '%s' is not two integers from 1 on",
                       td_checkpoint_meta_file(m->ckpt), meta->key);
    block[0] = td_meta_int(meta, 0);
    block[1] = td_meta_int(meta, 1);
    return TD_OK;
}

/* How many rows and columns share a scale, told by the scale's shape.  False: it fits none. */
static bool find_scale_block(const td_array *scale, const td_hf_matrix *s, const int64_t block[2],
                             td_source *source) {
    const bool experts = s->n_expert > 1;
    source->scale_cols = s->n_col;
    source->scale_rows = 1;
    if (td_hf_has_shape(scale, s->n_expert, s->n_row, 1)) return true;
    if (scale->n_dims == 1 && scale->shape[0] == s->n_row && !experts) return true;
    if (experts && td_hf_has_shape(scale, 0, s->n_expert, s->n_row)) return true;
    source->scale_rows = s->n_row; /* one for each expert */
    if (td_hf_has_shape(scale, s->n_expert, 1, 1)) return true;
    if (experts && scale->n_dims == 1 && scale->shape[0] == s->n_expert) return true;
    source->scale_rows = rows_of(s);
    if (scale->n_dims == 1 && scale->shape[0] == 1) return true;
    source->scale_rows = block[0];
    source->scale_cols = block[1];
    return td_hf_has_shape(scale, s->n_expert, div_up(s->n_row, block[0]),
                           div_up(s->n_col, block[1])) &&
           (!experts || s->n_row % block[0] == 0);
}

static const float scale_of_one = 1;

/* An array without scales is what it is, whatever its rank. */
static td_status make_f8_bare(const td_hf_maker *m, const td_array *main, td_tensor *t,
                              td_err *err) {
    const td_tensor shape = td_array_tensor(main);
    td_hf_weight w = {
        .dtype = TD_DTYPE_F8_E4M3,
        .source = {.kind = TD_SOURCE_F8,
                   .n = td_tensor_rows(&shape),
                   .k = shape.ne[0],
                   .scale = (const uint8_t *)&scale_of_one,
                   .scale_dtype = TD_DTYPE_F32,
                   .scale_rows = td_tensor_rows(&shape),
                   .scale_cols = shape.ne[0]},
        .n_stem = strlen(main->name),
        .suffix = "",
    };
    TD_TRY(td_hf_make_weight(m, main, &w, t, err));
    t->n_dims = shape.n_dims;
    memcpy(t->ne, shape.ne, sizeof t->ne);
    return TD_OK;
}

/* In memory a scale holds for 128 columns, so one of the file must hold for whole ones of these. */
static td_status make_f8_scaled(const td_hf_maker *m, td_array *main, td_array *scale, td_tensor *t,
                                td_err *err) {
    td_hf_matrix s;
    int64_t block[2] = {128, 128};
    size_t n_stem;
    TD_TRY(read_block(m, block, err));
    td_hf_weight w = {.dtype = TD_DTYPE_F8_E4M3, .n_stem = strlen(main->name), .suffix = ""};
    w.source = (td_source){.kind = TD_SOURCE_F8, .scale = scale->data};
    w.source.scale_dtype = td_hf_scale_dtype(scale);
    if (!td_hf_matrix_of(main, &s) || !find_scale_block(scale, &s, block, &w.source))
        return td_hf_fail_shape(m, scale, main, err);
    w.source.n = rows_of(&s);
    w.source.k = s.n_col;
    w.n_expert = s.n_expert;
    w.parts[0] = scale;
    /* What activations were scaled by when they were FP8 too; ours are not. */
    if (td_hf_has_suffix(main, ".weight", &n_stem))
        w.parts[1] = td_hf_sibling(m, main, n_stem, ".input_scale");
    if (w.source.scale_dtype == TD_N_DTYPE) {
        (void)td_fail(td_hf_note(m), TD_ERR_UNSUPPORTED,
                      "%s: the scales '%s' have dtype %s, wanted F32, F16 or BF16",
                      td_hf_path(m, scale), scale->name, td_array_type_name(scale->type));
        return TD_OK;
    }
    if (w.source.scale_cols % 128 != 0 && w.source.scale_cols < w.source.k) {
        (void)td_fail(td_hf_note(m), TD_ERR_UNSUPPORTED,
                      "%s: a scale of '%s' holds for %lld columns, wanted a multiple of 128",
                      td_hf_path(m, scale), scale->name, (long long)w.source.scale_cols);
        return TD_OK;
    }
    return td_hf_make_weight(m, main, &w, t, err);
}

td_status td_hf_make_f8(const td_hf_maker *m, td_array *main, td_tensor *t, td_err *err) {
    const size_t n = strlen(main->name);
    td_array *scale = td_hf_sibling(m, main, n, "_scale_inv");
    if (!scale) scale = td_hf_sibling(m, main, n, "_scale");
    const bool is_eight_bits = main->type == TD_ARRAY_F8_E5M2 || main->type == TD_ARRAY_I8;
    if (scale && is_eight_bits) {
        (void)td_fail(td_hf_note(m), TD_ERR_UNSUPPORTED,
                      "%s: tensor '%s' has scales and dtype %s, wanted F8_E4M3",
                      td_hf_path(m, main), main->name, td_array_type_name(main->type));
        return TD_OK;
    }
    if (main->type != TD_ARRAY_F8_E4M3 || main->n_bytes == 0) return TD_OK;
    return scale ? make_f8_scaled(m, main, scale, t, err) : make_f8_bare(m, main, t, err);
}

/* ---- compressed-tensors, four bits ---- */

/* The shape of the weight as an array of two integers beside it. */
static td_status read_shape(const td_hf_maker *m, const td_array *shape, int64_t out[2],
                            td_err *err) {
    int32_t narrow[2];
    out[0] = out[1] = 0;
    if (shape->type == TD_ARRAY_I64 && shape->n_bytes == 16) {
        memcpy(out, shape->data, 16);
    } else if (shape->type == TD_ARRAY_I32 && shape->n_bytes == 8) {
        memcpy(narrow, shape->data, 8);
        out[0] = narrow[0];
        out[1] = narrow[1];
    }
    if (out[0] > 0 && out[1] > 0) return TD_OK;
    return td_fail(err, TD_ERR_FORMAT, "%s: tensor '%s' is no shape of two dimensions",
                   td_hf_path(m, shape), shape->name);
}

/* The bits of a weight: what the shape written beside it says, else the configuration.  A shape of
 * four bits must be that of the packed array. */
static td_status read_bits(const td_hf_maker *m, const td_array *shape, const td_array *main,
                           int64_t *bits, td_err *err) {
    td_hf_matrix packed;
    int64_t dims[2];
    *bits = 4;
    if (!td_hf_matrix_of(main, &packed)) return td_hf_fail_shape(m, main, main, err);
    if (!shape) return td_hf_quant_int(m, "config_groups.group_0.weights.num_bits", bits, err);
    TD_TRY(read_shape(m, shape, dims, err));
    if (packed.n_col == div_up(dims[1], 8)) {
        if (dims[1] == packed.n_col * 8 && dims[0] == rows_of(&packed)) return TD_OK;
        return td_hf_fail_shape(m, shape, main, err);
    }
    for (*bits = 2; *bits < 32; ++*bits)
        if (packed.n_col == div_up(dims[1], 32 / *bits)) return TD_OK;
    return td_hf_fail_shape(m, shape, main, err);
}

/* What of a sound group no source describes; true if there is something. */
static bool note_int4(const td_hf_maker *m, const td_array *main, const td_hf_weight *w,
                      int64_t bits, const td_array *extra) {
    const char *path = td_hf_path(m, main);
    const td_array *scale = w->parts[0];
    td_err *note = td_hf_note(m);
    if (bits != 4)
        (void)td_fail(note, TD_ERR_UNSUPPORTED, "%s: tensor '%s' packs %lld bits, wanted 4", path,
                      main->name, (long long)bits);
    else if (extra)
        (void)td_fail(note, TD_ERR_UNSUPPORTED, "%s: tensor '%s' beside '%s', wanted none",
                      td_hf_path(m, extra), extra->name, main->name);
    else if (w->source.group % 32 != 0)
        (void)td_fail(note, TD_ERR_UNSUPPORTED,
                      "%s: a scale of '%s' holds for %lld weights, wanted a multiple of 32", path,
                      main->name, (long long)w->source.group);
    else if (w->dtype == TD_DTYPE_INT4 && !td_hf_scales_fit(scale, TD_DTYPE_BF16))
        (void)td_fail(note, TD_ERR_UNSUPPORTED,
                      "%s: the scales '%s' are F32 and not exact in BF16, wanted such",
                      td_hf_path(m, scale), scale->name);
    else
        return false;
    return true;
}

td_status td_hf_make_int4(const td_hf_maker *m, td_array *main, td_tensor *t, td_err *err) {
    size_t n_stem;
    td_hf_matrix s, g;
    int64_t bits;
    if (main->type != TD_ARRAY_I32 || !td_hf_has_suffix(main, "_packed", &n_stem)) return TD_OK;
    td_array *scale = td_hf_sibling(m, main, n_stem, "_scale");
    td_array *shape = td_hf_sibling(m, main, n_stem, "_shape");
    td_array *extra = td_hf_sibling(m, main, n_stem, "_zero_point");
    if (!extra) extra = td_hf_sibling(m, main, n_stem, "_g_idx");
    if (!scale)
        return td_fail(err, TD_ERR_FORMAT, "%s: tensor '%s' has no scales beside it",
                       td_hf_path(m, main), main->name);
    TD_TRY(read_bits(m, shape, main, &bits, err));
    (void)td_hf_matrix_of(main, &s); /* read_bits() has looked */
    td_hf_weight w = {.n_stem = n_stem, .suffix = "", .n_expert = s.n_expert};
    w.parts[0] = scale;
    w.parts[1] = shape;
    w.source = (td_source){.kind = TD_SOURCE_INT4_PACKED,
                           .n = rows_of(&s),
                           .k = s.n_col * 8,
                           .scale = scale->data,
                           .scale_dtype = td_hf_scale_dtype(scale)};
    w.dtype = w.source.scale_dtype == TD_DTYPE_F16 ? TD_DTYPE_Q4_0 : TD_DTYPE_INT4;
    if (bits != 4) {
        (void)note_int4(m, main, &w, bits, extra);
        return TD_OK;
    }
    if (w.source.scale_dtype == TD_N_DTYPE || !td_hf_matrix_of(scale, &g) ||
        g.n_expert != s.n_expert || g.n_row != s.n_row || w.source.k % g.n_col != 0)
        return td_hf_fail_shape(m, scale, main, err);
    w.source.group = w.source.k / g.n_col;
    if (note_int4(m, main, &w, bits, extra)) return TD_OK;
    return td_hf_make_weight(m, main, &w, t, err);
}

/* ---- MXFP4 ---- */

/* Blocks of 16 bytes: [n][k / 32][16], or with experts before. */
static bool blocks_of(const td_array *main, td_hf_matrix *out) {
    const int d = main->n_dims;
    if (d < 3 || main->n_bytes == 0 || main->shape[d - 1] != 16) return false;
    *out = (td_hf_matrix){.n_expert = d == 4 ? main->shape[0] : 0,
                          .n_row = main->shape[d - 3],
                          .n_col = main->shape[d - 2] * 16};
    return true;
}

static bool is_bytes(const td_array *a) {
    return a->type == TD_ARRAY_U8 || a->type == TD_ARRAY_F8_E8M0;
}

td_status td_hf_make_mxfp4(const td_hf_maker *m, td_array *main, td_tensor *t, td_err *err) {
    size_t n_stem;
    td_hf_matrix s;
    if (main->type != TD_ARRAY_U8) return TD_OK;
    const bool packed = td_hf_has_suffix(main, "_packed", &n_stem);
    if (!packed && !td_hf_has_suffix(main, "_blocks", &n_stem)) return TD_OK;
    td_array *scale = td_hf_sibling(m, main, n_stem, packed ? "_scale" : "_scales");
    if (!scale) return TD_OK; /* an array that happens to have such a name */
    if (!is_bytes(scale) || td_hf_sibling(m, main, n_stem, "_global_scale")) {
        (void)td_fail(td_hf_note(m), TD_ERR_UNSUPPORTED,
                      "%s: tensor '%s' has scales of dtype %s, or of two levels, as NVFP4 has: "
                      "wanted MXFP4's",
                      td_hf_path(m, main), main->name, td_array_type_name(scale->type));
        return TD_OK;
    }
    if (packed ? !td_hf_matrix_of(main, &s) : !blocks_of(main, &s))
        return td_hf_fail_shape(m, main, main, err);
    if (s.n_col % 16 != 0 || !td_hf_has_shape(scale, s.n_expert, s.n_row, s.n_col / 16))
        return td_hf_fail_shape(m, scale, main, err);
    const td_hf_weight w = {
        .dtype = TD_DTYPE_MXFP4,
        .source = {.kind = TD_SOURCE_MXFP4,
                   .n = rows_of(&s),
                   .k = s.n_col * 2,
                   .scale = scale->data},
        .n_stem = n_stem,
        .suffix = "",
        .n_expert = s.n_expert,
        .parts = {scale       }
    };
    return td_hf_make_weight(m, main, &w, t, err);
}
