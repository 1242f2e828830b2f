/* hf_gptq.c - weights of GPTQ and AWQ: "X.qweight", "X.qzeros", "X.scales" and "X.g_idx" are one
 * tensor "X.weight". */
#include <string.h>
#include <strings.h>

#include "format/hf_arrays.h"

/* The group and the settings that apply to all weights of the folder. */
typedef struct gptq {
    td_array *main, *zeros, *scales, *g_idx; /* g_idx may be NULL */
    td_source_kind kind;
    int64_t n, k, group;
} gptq;

/* ---- settings ---- */

/* Notes a setting of quantization_config; always false, "this is no weight of ours". */
static bool note_setting(const td_hf_maker *m, const char *key, const char *wanted) {
    const td_meta *meta = td_hf_quant_meta(m, key);
    const char *path = td_checkpoint_meta_file(m->ckpt);
    if (!meta)
        (void)td_fail(td_hf_note(m), TD_ERR_UNSUPPORTED,
                      "%s: quantization_config.%s is missing, wanted %s", path, key, wanted);
    else if (meta->type == TD_META_STRING)
        (void)td_fail(td_hf_note(m), TD_ERR_UNSUPPORTED, "%s: %s is '%.*s', wanted %s", path,
                      meta->key, td_hf_shown(td_meta_string(meta, 0)), td_meta_string(meta, 0).text,
                      wanted);
    else
        (void)td_fail(td_hf_note(m), TD_ERR_UNSUPPORTED, "%s: %s is not %s", path, meta->key,
                      wanted);
    return false;
}

static bool is_gemm(td_string version) {
    return !version.text || (version.n == 4 && strncasecmp(version.text, "gemm", 4) == 0);
}

/* Sets kind; false, with a note, where the packing is another one. */
static bool find_kind(const td_hf_maker *m, gptq *g) {
    const td_string method = td_hf_quant_text(m, "quant_method");
    const td_string format = td_hf_quant_text(m, "checkpoint_format");
    g->kind = TD_SOURCE_AWQ;
    if (td_string_is(method, "awq"))
        return is_gemm(td_hf_quant_text(m, "version")) || note_setting(m, "version", "'gemm'");
    if (!td_string_is(method, "gptq")) return note_setting(m, "quant_method", "'gptq' or 'awq'");
    if (td_string_is(format, "awq_gemm")) return true;
    g->kind = TD_SOURCE_GPTQ;
    if (!format.text || td_string_is(format, "gptq") || td_string_is(format, "gptq_v2"))
        return true;
    return note_setting(m, "checkpoint_format", "'gptq', 'gptq_v2' or 'awq_gemm'");
}

/* *usable is false, with a note, for what we do not compute with. */
static td_status check_settings(const td_hf_maker *m, gptq *g, bool *usable, td_err *err) {
    int64_t bits = 4;
    *usable = find_kind(m, g);
    if (!*usable) return TD_OK;
    TD_TRY(td_hf_quant_int(m, "bits", &bits, err));
    if (bits == 4) return TD_OK;
    (void)td_fail(td_hf_note(m), TD_ERR_UNSUPPORTED, "%s: %s is %lld, wanted 4",
                  td_checkpoint_meta_file(m->ckpt), td_hf_quant_meta(m, "bits")->key,
                  (long long)bits);
    *usable = false;
    return TD_OK;
}

/* ---- arrays ---- */

/* Sets n, k and group; every array must have the shape that follows from the main one. */
static td_status check_shapes(const td_hf_maker *m, gptq *g, td_err *err) {
    td_hf_matrix s, scales;
    int64_t stated = -1;
    const int64_t per_row = g->kind == TD_SOURCE_GPTQ ? 8 : 1, per_col = 9 - per_row;
    if (g->main->type != TD_ARRAY_I32 || g->main->n_dims != 2 || !td_hf_matrix_of(g->main, &s))
        return td_hf_fail_shape(m, g->main, g->main, err);
    g->k = s.n_row * per_row;
    g->n = s.n_col * per_col;
    if (td_hf_scale_dtype(g->scales) == TD_N_DTYPE || g->scales->n_dims != 2 ||
        !td_hf_matrix_of(g->scales, &scales) || scales.n_col != g->n || g->k % scales.n_row != 0)
        return td_hf_fail_shape(m, g->scales, g->main, err);
    if (g->zeros->type != TD_ARRAY_I32 || g->n % 8 != 0 ||
        !td_hf_has_shape(g->zeros, 0, scales.n_row, g->n / 8))
        return td_hf_fail_shape(m, g->zeros, g->main, err);
    g->group = g->k / scales.n_row;
    TD_TRY(td_hf_quant_int(m, "group_size", &stated, err));
    if (stated != -1 && stated != g->group && scales.n_row != 1)
        return td_fail(err, TD_ERR_FORMAT,
                       "%s: tensor '%s' has a scale for %lld weights, but group_size is %lld",
                       td_hf_path(m, g->scales), g->scales->name, (long long)g->group,
                       (long long)stated);
    return TD_OK;
}

/* Weight i must belong to group i / group, as it does unless they were sorted by activation. */
static td_status check_order(const td_hf_maker *m, const gptq *g, bool *usable, td_err *err) {
    *usable = true;
    if (!g->g_idx || g->g_idx->n_bytes == 0) return TD_OK;
    if (g->g_idx->type != TD_ARRAY_I32 || g->g_idx->n_dims != 1 || g->g_idx->shape[0] != g->k)
        return td_hf_fail_shape(m, g->g_idx, g->main, err);
    for (int64_t i = 0; i < g->k && *usable; i++) {
        int32_t group;
        memcpy(&group, g->g_idx->data + 4 * i, sizeof group);
        *usable = group == i / g->group;
    }
    if (!*usable)
        (void)td_fail(td_hf_note(m), TD_ERR_UNSUPPORTED,
                      "%s: tensor '%s' puts weights out of order (desc_act), wanted groups of %lld "
                      "in order",
                      td_hf_path(m, g->g_idx), g->g_idx->name, (long long)g->group);
    return TD_OK;
}

static bool scales_usable(const td_hf_maker *m, const gptq *g) {
    if (g->group % 32 != 0)
        (void)td_fail(td_hf_note(m), TD_ERR_UNSUPPORTED,
                      "%s: a scale of '%s' holds for %lld weights, wanted a multiple of 32",
                      td_hf_path(m, g->scales), g->scales->name, (long long)g->group);
    else if (!td_hf_scales_fit(g->scales, TD_DTYPE_F16))
        (void)td_fail(td_hf_note(m), TD_ERR_UNSUPPORTED,
                      "%s: the scales '%s' are %s and not exact in F16, wanted such",
                      td_hf_path(m, g->scales), g->scales->name,
                      td_array_type_name(g->scales->type));
    else
        return true;
    return false;
}

static td_status make(const td_hf_maker *m, const gptq *g, size_t n_stem, td_tensor *t,
                      td_err *err) {
    const bool v2 = td_string_is(td_hf_quant_text(m, "checkpoint_format"), "gptq_v2");
    const td_hf_weight w = {
        .dtype = g->group % 128 == 0 ? TD_DTYPE_INT4_Z128 : TD_DTYPE_INT4_Z32,
        .source = {.kind = g->kind,
                   .n = g->n,
                   .k = g->k,
                   .scale = g->scales->data,
                   .scale_dtype = td_hf_scale_dtype(g->scales),
                   .group = g->group,
                   .zero = g->zeros->data,
                   .zero_add = g->kind == TD_SOURCE_GPTQ && !v2},
        .n_stem = n_stem,
        .suffix = ".weight",
        .parts = {g->scales, g->zeros, g->g_idx},
    };
    return td_hf_make_weight(m, g->main, &w, t, err);
}

td_status td_hf_make_gptq(const td_hf_maker *m, td_array *main, td_tensor *t, td_err *err) {
    size_t n_stem;
    bool usable;
    if (!td_hf_has_suffix(main, ".qweight", &n_stem)) return TD_OK;
    gptq g = {.main = main,
              .zeros = td_hf_sibling(m, main, n_stem, ".qzeros"),
              .scales = td_hf_sibling(m, main, n_stem, ".scales"),
              .g_idx = td_hf_sibling(m, main, n_stem, ".g_idx")};
    TD_TRY(check_settings(m, &g, &usable, err));
    if (!usable) return TD_OK;
    if (!g.zeros || !g.scales)
        return td_fail(err, TD_ERR_FORMAT, "%s: tensor '%s' has no %s beside it",
                       td_hf_path(m, main), main->name, g.scales ? "qzeros" : "scales");
    TD_TRY(check_shapes(m, &g, err));
    TD_TRY(check_order(m, &g, &usable, err));
    if (!usable || !scales_usable(m, &g)) return TD_OK;
    return make(m, &g, n_stem, t, err);
}
