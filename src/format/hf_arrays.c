/* hf_arrays.c - arrays become tensors: the walk over all, and what the kinds of quantized weights
 * share. */
#include "format/hf_arrays.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "format/name.h"
#include "tensor/quantize.h"

/* ---- names ---- */

bool td_hf_has_suffix(const td_array *main, const char *suffix, size_t *n_stem) {
    if (!td_name_ends_with(main->name, suffix)) return false;
    *n_stem = strlen(main->name) - strlen(suffix);
    return *n_stem > 0;
}

td_array *td_hf_sibling(const td_hf_maker *m, const td_array *main, size_t n_stem,
                        const char *suffix) {
    char name[TD_SAFETENSORS_MAX_NAME + 32];
    const int n = snprintf(name, sizeof name, "%.*s%s", (int)n_stem, main->name, suffix);
    return n < (int)sizeof name ? td_hf_arrays_find(m->arrays, name) : NULL;
}

td_err *td_hf_note(const td_hf_maker *m) {
    td_err *note = &m->ckpt->hf.unsupported;
    return note->msg[0] ? NULL : note;
}

const char *td_hf_path(const td_hf_maker *m, const td_array *a) {
    return m->ckpt->files[a->i_file].path;
}

/* ---- quantization_config ---- */

const td_meta *td_hf_quant_meta(const td_hf_maker *m, const char *key) {
    static const char *const places[] = {"quantization_config", "text_config.quantization_config",
                                         "compression_config"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        char name[128];
        (void)snprintf(name, sizeof name, "%s.%s", places[i], key);
        const td_meta *found = td_checkpoint_meta(m->ckpt, name);
        if (found) return found;
    }
    return NULL;
}

td_status td_hf_quant_int(const td_hf_maker *m, const char *key, int64_t *out, td_err *err) {
    const td_meta *meta = td_hf_quant_meta(m, key);
    if (!meta) return TD_OK;
    return td_checkpoint_get_int(m->ckpt, meta->key, true, -1, INT32_MAX, out, err);
}

td_string td_hf_quant_text(const td_hf_maker *m, const char *key) {
    const td_meta *meta = td_hf_quant_meta(m, key);
    return meta && meta->type == TD_META_STRING ? td_meta_string(meta, 0) : (td_string){NULL, 0};
}

bool td_string_is(td_string s, const char *text) {
    return s.n == strlen(text) && (s.n == 0 || memcmp(s.text, text, s.n) == 0);
}

int td_hf_shown(td_string s) {
    return s.n <= 64 && td_name_is_printable(s.text, s.n) ? (int)s.n : 0;
}

static bool is_one_of(td_string s, const char *const *texts) {
    for (; *texts; texts++)
        if (td_string_is(s, *texts)) return true;
    return false;
}

/* A member of quantization_config whose value says that the weights are of no kind we know. */
static void check_member(const td_hf_maker *m, const char *key, const char *const *known,
                         const char *wanted) {
    const td_string s = td_hf_quant_text(m, key);
    if (!s.text || is_one_of(s, known)) return;
    (void)td_fail(td_hf_note(m), TD_ERR_UNSUPPORTED, "%s: %s is '%.*s', wanted %s",
                  td_checkpoint_meta_file(m->ckpt), td_hf_quant_meta(m, key)->key, td_hf_shown(s),
                  s.text, wanted);
}

static void check_method(const td_hf_maker *m) {
    static const char *const methods[] = {
        "fp8", "fbgemm_fp8", "compressed-tensors", "gptq", "awq", "mxfp4", NULL};
    static const char *const formats[] = {"pack-quantized",
                                          "float-quantized",
                                          "naive-quantized",
                                          "mxfp4-pack-quantized",
                                          "dense",
                                          "mixed-precision",
                                          NULL};
    check_member(m, "quant_method", methods,
                 "'fp8', 'fbgemm_fp8', 'compressed-tensors', 'gptq', 'awq' or 'mxfp4'");
    if (td_string_is(td_hf_quant_text(m, "quant_method"), "compressed-tensors"))
        check_member(m, "format", formats,
                     "'pack-quantized', 'float-quantized' or 'mxfp4-pack-quantized'");
}

/* ---- shapes ---- */

bool td_hf_matrix_of(const td_array *a, td_hf_matrix *out) {
    if (a->n_bytes == 0 || a->n_dims < 2 || a->n_dims > 3) return false;
    const int64_t *shape = a->shape + (a->n_dims - 2);
    *out = (td_hf_matrix){
        .n_expert = a->n_dims == 3 ? a->shape[0] : 0, .n_row = shape[0], .n_col = shape[1]};
    return true;
}

bool td_hf_has_shape(const td_array *a, int64_t n_expert, int64_t n_row, int64_t n_col) {
    const int64_t *shape = a->shape;
    if (a->n_dims != (n_expert > 0 ? 3 : 2)) return false;
    if (n_expert > 0 && *shape++ != n_expert) return false;
    return shape[0] == n_row && shape[1] == n_col;
}

td_status td_hf_fail_shape(const td_hf_maker *m, const td_array *a, const td_array *main,
                           td_err *err) {
    return td_fail(err, TD_ERR_FORMAT,
                   "%s: tensor '%s' (%s) has a shape or type that does not fit '%s' (%s)",
                   td_hf_path(m, a), a->name, td_array_type_name(a->type), main->name,
                   td_array_type_name(main->type));
}

/* ---- scales ---- */

td_dtype td_hf_scale_dtype(const td_array *scale) {
    switch (scale->type) {
    case TD_ARRAY_F32: return TD_DTYPE_F32;
    case TD_ARRAY_F16: return TD_DTYPE_F16;
    case TD_ARRAY_BF16: return TD_DTYPE_BF16;
    default: return TD_N_DTYPE;
    }
}

bool td_hf_scales_fit(const td_array *scale, td_dtype dtype) {
    const td_dtype own = td_hf_scale_dtype(scale);
    const size_t size = own == TD_DTYPE_F32 ? 4 : 2;
    if (own == dtype) return true;
    for (size_t at = 0; at < scale->n_bytes; at += size) {
        float f, back;
        td_dequantize_row(own, scale->data + at, &f, 1);
        back = dtype == TD_DTYPE_F16 ? td_f16_to_f32(td_f32_to_f16(f))
                                     : td_bf16_to_f32(td_f32_to_bf16(f));
        if (memcmp(&f, &back, sizeof f) != 0) return false;
    }
    return true;
}

/* ---- tensors ---- */

td_status td_hf_make_weight(const td_hf_maker *m, const td_array *main, const td_hf_weight *w,
                            td_tensor *t, td_err *err) {
    td_arena *arena = &m->ckpt->hf.arena;
    const size_t n_suffix = strlen(w->suffix);
    char *name = td_arena_alloc(arena, w->n_stem + n_suffix + 1);
    td_source *source = td_arena_alloc(arena, sizeof *source);
    if (!name || !source) return td_fail_nomem(err, "a tensor", w->n_stem + sizeof *source);
    memcpy(name, main->name, w->n_stem);
    memcpy(name + w->n_stem, w->suffix, n_suffix + 1);
    *source = w->source;
    *t = (td_tensor){
        .name = name,
        .dtype = w->dtype,
        .n_dims = w->n_expert > 0 ? 3 : 2,
        .ne = {source->k, source->n, 1, 1},
        .data = main->data,
        .n_bytes = main->n_bytes,
        .i_file = main->i_file,
        .offset = main->offset,
        .source = source,
    };
    if (w->n_expert > 0) {
        t->ne[1] = source->n / w->n_expert;
        t->ne[2] = w->n_expert;
    }
    for (size_t i = 0; i < sizeof w->parts / sizeof w->parts[0]; i++) {
        if (!w->parts[i]) continue;
        w->parts[i]->hidden = true;
        if (w->parts[i]->data == source->scale || w->parts[i]->data == source->zero)
            t->n_bytes += w->parts[i]->n_bytes;
    }
    return TD_OK;
}

static td_status make_tensor(const td_hf_maker *m, td_array *a, td_tensor *t, td_err *err) {
    TD_TRY(td_hf_make_f8(m, a, t, err));
    TD_TRY(td_hf_make_int4(m, a, t, err));
    TD_TRY(td_hf_make_mxfp4(m, a, t, err));
    return td_hf_make_gptq(m, a, t, err);
}

/* Folders that KTransformers has made: linears and experts under GGUF's names.  Its merge_tensors
 * puts GGML blocks beside FP8 matrices, with the blocks' type in an array of its own, and its
 * convert_cpu_weights cuts experts for a number of NUMA nodes. */
static void check_merged(const td_hf_maker *m) {
    for (size_t i = 0; i < m->arrays->n; i++) {
        const td_array *a = m->arrays->all[i];
        if (!td_name_starts_with(a->name, "blk.")) continue;
        (void)td_fail(
            td_hf_note(m), TD_ERR_UNSUPPORTED,
            "%s: tensor '%s' has a name of GGUF files: weights that KTransformers has %s, "
            "wanted the GGUF file or the folder they were made from",
            td_hf_path(m, a), a->name,
            strstr(a->name, ".numa.") ? "packed for NUMA nodes (convert_cpu_weights)"
                                      : "merged (merge_tensors)");
        return;
    }
}

/* Which arrays are parts of others is known only once all have been looked at. */
td_status td_hf_make_tensors(td_checkpoint *ckpt, const td_hf_arrays *arrays, td_err *err) {
    const td_hf_maker m = {.ckpt = ckpt, .arrays = arrays};
    ckpt->tensors = td_calloc(arrays->n, sizeof *ckpt->tensors);
    if (!ckpt->tensors)
        return td_fail_nomem(err, "the tensor table", arrays->n * sizeof *ckpt->tensors);
    check_merged(&m);
    check_method(&m);
    for (size_t i = 0; i < arrays->n; i++)
        TD_TRY(make_tensor(&m, arrays->all[i], &ckpt->tensors[i], err));
    for (size_t i = 0; i < arrays->n; i++) {
        const td_array *a = arrays->all[i];
        if (a->hidden) continue;
        const td_tensor made = ckpt->tensors[i];
        ckpt->tensors[ckpt->n_tensor++] = made.name ? made : td_array_tensor(a);
    }
    return TD_OK;
}
