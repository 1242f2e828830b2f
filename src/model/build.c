/* build.c - names, shapes and the binding of tensors. */
#include "model/build.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "model/assume.h"
#include "tensor/quantize.h"
#include "tensor/source.h"

static td_status no_memory(td_err *err) {
    return td_fail(err, TD_ERR_NOMEM, "out of memory: the module tree");
}

/* ---- names ---- */

/* A Hugging Face name is the module's, but for what stands in place of its first part. */
static void hf_name(const td_builder *b, const td_module *parent, const char *part,
                    const char *suffix, char out[TD_NAME_MAX]) {
    const char *root = b->model->tensor_root, *name = parent->name;
    const char *dot = strchr(name, '.');
    if (!*name) { /* lm_head stands beside the model, wherever that is */
        const char *last = strrchr(root, '.');
        const bool nested = last && strncmp(root, "language_model.", 15) == 0;
        snprintf(out, TD_NAME_MAX, "%s%s%s%s", nested ? "language_model." : "", part,
                 *suffix ? "." : "", suffix);
        return;
    }
    snprintf(out, TD_NAME_MAX, "%s%s%s%s%s%s%s", root, *root && dot ? "." : "", dot ? dot + 1 : "",
             *root || dot ? "." : "", part, *suffix ? "." : "", suffix);
}

void td_build_tensor_name(const td_builder *b, const td_module *parent, td_part_name part,
                          const char *suffix, char out[TD_NAME_MAX]) {
    if (b->is_hf)
        hf_name(b, parent, part.hf, suffix, out);
    else if (b->i_layer < 0)
        snprintf(out, TD_NAME_MAX, "%s%s%s", part.gguf, *suffix ? "." : "", suffix);
    else
        snprintf(out, TD_NAME_MAX, "blk.%d.%s%s%s", b->i_layer, part.gguf, *suffix ? "." : "",
                 suffix);
}

const td_tensor *td_build_find(const td_builder *b, const td_module *parent, td_part_name part,
                               const char *suffix) {
    char name[TD_NAME_MAX];
    if (!(b->is_hf ? part.hf : part.gguf)) return NULL;
    td_build_tensor_name(b, parent, part, suffix, name);
    if (b->model->assumption) return td_assume_find(b->model->assumption, name, b->i_layer);
    return td_checkpoint_tensor(b->model->ckpt, name);
}

td_status td_build_find_root(td_builder *b, const char *top, const char *embed, td_err *err) {
    static const char *const forms[] = {"%s", "language_model.%s", "%s.language_model", ""};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        char root[TD_NAME_MAX] = "", name[TD_NAME_MAX];
        const char *percent = strstr(forms[i], "%s");
        if (percent)
            snprintf(root, sizeof root, "%.*s%s%s", (int)(percent - forms[i]), forms[i], top,
                     percent + 2);
        snprintf(name, sizeof name, "%s%s%s.weight", root, *root ? "." : "", embed);
        if (!b->model->assumption && !td_checkpoint_tensor(b->model->ckpt, name)) continue;
        b->model->tensor_root = td_arena_strndup(&b->model->arena, root, strlen(root));
        return b->model->tensor_root ? TD_OK : no_memory(err);
    }
    return td_fail(err, TD_ERR_FORMAT, "tensor '%s.%s.weight' is missing", top, embed);
}

/* ---- what is bound ---- */

static td_status list_part(const td_builder *b, td_part part, td_err *err) {
    td_model *m = b->model;
    td_part *copy = td_arena_calloc(&m->arena, 1, sizeof *copy);
    if (!copy) return no_memory(err);
    *copy = part;
    copy->i_layer = b->i_layer;
    *(m->last_part ? &m->last_part->next : &m->parts) = copy;
    m->last_part = copy;
    return TD_OK;
}

static td_status list_tensor(const td_builder *b, td_part_name name, const td_tensor *t,
                             td_err *err) {
    return list_part(b, (td_part){.name = name.gguf, .suffix = "weight", .tensor = t}, err);
}

/* Without floats there is no such part. */
static td_status list_floats(const td_builder *b, const td_part *part, td_err *err) {
    return part->floats ? list_part(b, *part, err) : TD_OK;
}

/* ---- tensors ---- */

/* An NVFP4 weight may have a float of its own, "blk.0.attn_q.scale", that multiplies the product: a
 * model computed without it would be wrong and not say so. */
static td_status check_no_scale(const td_model *model, const char *weight, td_err *err) {
    char name[TD_NAME_MAX];
    const char *end = strrchr(weight, '.');
    snprintf(name, sizeof name, "%.*s.scale", (int)(end ? end - weight : 0), weight);
    if (!td_checkpoint_tensor(model->ckpt, name)) return TD_OK;
    return td_fail(err, TD_ERR_UNSUPPORTED,
                   "tensor '%s' scales '%s', which this build cannot apply yet", name, weight);
}

static td_status check_shape(const td_tensor *t, int64_t ne0, int64_t ne1, td_err *err) {
    if (t->ne[0] == ne0 && t->ne[1] == (ne1 ? ne1 : 1) && t->ne[2] == 1 && t->ne[3] == 1)
        return TD_OK;
    return td_fail(err, TD_ERR_FORMAT,
                   "tensor '%s' has shape {%" PRId64 ", %" PRId64 ", %" PRId64 ", %" PRId64
                   "}, wanted {%" PRId64 ", %" PRId64 "}",
                   t->name, t->ne[0], t->ne[1], t->ne[2], t->ne[3], ne0, ne1 ? ne1 : 1);
}

td_status td_build_check_type(const td_builder *b, const td_tensor *t, td_err *err) {
    if (!td_dtype_get_info((int)t->dtype)->readable)
        return td_fail(err, TD_ERR_UNSUPPORTED,
                       "tensor '%s' has type %s, which this build cannot read yet", t->name,
                       td_dtype_name((int)t->dtype));
    return t->dtype == TD_DTYPE_NVFP4 ? check_no_scale(b->model, t->name, err) : TD_OK;
}

static td_status assume(const td_builder *b, const td_want *w, const char *name,
                        const td_tensor **out, td_err *err) {
    char gguf[TD_NAME_MAX];
    const td_builder as_gguf = {.model = b->model, .i_layer = b->i_layer};
    const td_assume_want want = {
        .name = name,
        .gguf = w->part.gguf ? gguf : NULL,
        .ne = {w->ne[0], w->ne[1], w->ne[2]},
        .kind = (td_assume_kind)w->kind,
        .i_layer = b->i_layer
    };
    const char *suffix = *w->suffix ? w->suffix : "weight"; /* GGUF's names always have one */
    if (want.gguf) td_build_tensor_name(&as_gguf, w->parent, w->part, suffix, gguf);
    return td_assume_make(b->model, &want, out, err);
}

td_status td_build_get(const td_builder *b, const td_want *w, const td_tensor **out, td_err *err) {
    char name[TD_NAME_MAX];
    td_build_tensor_name(b, w->parent, w->part, w->suffix, name);
    if (b->model->assumption) return assume(b, w, name, out, err);
    *out = td_build_find(b, w->parent, w->part, w->suffix);
    if (*out) return td_build_check_type(b, *out, err);
    return td_fail(err, TD_ERR_FORMAT, "tensor '%s' is missing", name);
}

td_status td_build_own(const td_builder *b, td_module *node, const td_tensor *t, td_err *err) {
    for (const td_module_tensor *own = node->tensors; own; own = own->next)
        if (own->tensor == t) return TD_OK;
    return td_module_own(&b->model->arena, node, t) ? TD_OK : no_memory(err);
}

td_status td_build_tensor(const td_builder *b, const td_want *w, const td_tensor **out,
                          td_err *err) {
    TD_TRY(td_build_get(b, w, out, err));
    TD_TRY(check_shape(*out, w->ne[0], w->ne[1], err));
    return list_tensor(b, w->part, *out, err);
}

td_status td_build_floats(const td_builder *b, const td_tensor *t, int n, const float **out,
                          td_err *err) {
    TD_TRY(td_build_check_type(b, t, err));
    if (t->source || td_tensor_elems(t) != n)
        return td_fail(err, TD_ERR_FORMAT,
                       "tensor '%s' has %" PRId64 " elements, wanted %d plain ones", t->name,
                       td_tensor_elems(t), n);
    if (b->model->assumption) return td_assume_zeros(b->model, n, out, err);
    float *v = td_arena_calloc(&b->model->arena, (size_t)n, sizeof *v);
    if (!v) return no_memory(err);
    for (int64_t row = 0; row < td_tensor_rows(t); row++)
        td_dequantize_row(t->dtype, td_tensor_row(t, row, NULL), v + row * t->ne[0],
                          (size_t)t->ne[0]);
    *out = v;
    return TD_OK;
}

/* ---- modules ---- */

td_status td_build_module(const td_builder *b, td_module *parent, const char *name,
                          const char *class_name, td_module **out, td_err *err) {
    *out = td_module_add(&b->model->arena, parent, name, class_name);
    return *out ? TD_OK : no_memory(err);
}

td_status td_build_transpose(const td_builder *b, const td_tensor *t, const td_tensor **out,
                             td_err *err) {
    const bool plain =
        !t->source && t->map.group == 0 && td_dtype_get_info((int)t->dtype)->block_elems == 1;
    td_tensor *copy = td_arena_calloc(&b->model->arena, 1, sizeof *copy);
    td_source *source = td_arena_calloc(&b->model->arena, 1, sizeof *source);
    if (!copy || !source) return no_memory(err);
    if (!plain && td_tensor_row_bytes(t) > TD_MAX_COLUMNS_ROW)
        return td_fail(err, TD_ERR_UNSUPPORTED,
                       "tensor '%s' has rows of %zu bytes, this build turns at most %d", t->name,
                       td_tensor_row_bytes(t), TD_MAX_COLUMNS_ROW);
    *copy = *t;
    copy->ne[0] = t->ne[1];
    copy->ne[1] = t->ne[0];
    copy->map = (td_row_map){0};
    copy->source = source;
    if (!plain) copy->dtype = td_source_columns_dtype(t);
    *source = (td_source){.kind = plain ? TD_SOURCE_TRANSPOSED : TD_SOURCE_COLUMNS,
                          .n = copy->ne[1],
                          .k = copy->ne[0],
                          .of = plain ? NULL : t};
    *out = copy;
    return TD_OK;
}

/* *whole is the tensor as the checkpoint has it. */
static td_status bind_weight(const td_builder *b, td_module *parent, const td_linear_spec *spec,
                             td_linear *out, const td_tensor **whole, td_err *err) {
    const int n_whole = spec->n_whole ? spec->n_whole : spec->n;
    const bool turned = spec->transposed && b->is_hf && !b->model->assumption;
    const td_want want = {
        .part = spec->name,
        .suffix = "weight",
        .ne = {turned ? n_whole : spec->k, turned ? spec->k : n_whole},
        .kind = spec->plain ? TD_ASSUME_PLAIN : TD_ASSUME_LINEAR,
        .parent = parent
    };
    TD_TRY(td_build_get(b, &want, &out->weight, err));
    *whole = out->weight;
    TD_TRY(check_shape(out->weight, want.ne[0], want.ne[1], err));
    if (turned) TD_TRY(td_build_transpose(b, out->weight, &out->weight, err));
    if (!spec->n_whole) return TD_OK;
    td_tensor *view = td_arena_calloc(&b->model->arena, 1, sizeof *view);
    if (!view) return no_memory(err);
    *view = td_tensor_view(out->weight, spec->n, spec->map);
    out->weight = view;
    return TD_OK;
}

/* *whole is NULL where there is none. */
static td_status bind_bias(const td_builder *b, td_module *parent, const td_linear_spec *spec,
                           td_linear *out, const td_tensor **whole, td_err *err) {
    const int n_whole = spec->n_whole ? spec->n_whole : spec->n;
    const td_want want = {.part = spec->name, .suffix = "bias", .ne = {n_whole}, .parent = parent};
    const td_tensor *t = td_build_find(b, parent, spec->name, "bias");
    *whole = NULL;
    if (spec->bias == TD_BIAS_NONE || (!t && spec->bias == TD_BIAS_OPTIONAL)) return TD_OK;
    if (!t) TD_TRY(td_build_get(b, &want, &t, err));
    *whole = t;
    TD_TRY(td_build_floats(b, t, n_whole, &out->bias, err));
    if (!spec->n_whole) return TD_OK;
    float *part = td_arena_calloc(&b->model->arena, (size_t)spec->n, sizeof *part);
    if (!part) return no_memory(err);
    for (int i = 0; i < spec->n; i++) part[i] = out->bias[td_row_map_at(&spec->map, i)];
    out->bias = part;
    return TD_OK;
}

td_status td_build_linear(const td_builder *b, td_module *parent, const td_linear_spec *spec,
                          td_linear *out, td_err *err) {
    td_model *m = b->model;
    const td_tensor *weight, *whole_bias;
    *out = (td_linear){.n = spec->n, .k = spec->k};
    TD_TRY(bind_weight(b, parent, spec, out, &weight, err));
    TD_TRY(bind_bias(b, parent, spec, out, &whole_bias, err));
    TD_TRY(list_tensor(b, spec->name, out->weight, err));
    const td_part bias = {
        .name = spec->name.gguf, .suffix = "bias", .floats = out->bias, .n = spec->n, .n_set = 1};
    TD_TRY(list_floats(b, &bias, err));
    TD_ASSERT(m->n_linear < m->max_linear);
    m->linears[m->n_linear++] = out;
    const char *name = spec->name.hf;
    td_module *node = parent->last_child;
    if (spec->n_whole && node && strcmp(strrchr(node->name, '.') + 1, name) == 0) return TD_OK;
    const char *class_name = spec->class_name   ? spec->class_name
                             : spec->transposed ? "transformers.pytorch_utils.Conv1D"
                                                : "torch.nn.Linear";
    TD_TRY(td_build_module(b, parent, name, class_name, &node, err));
    node->linear = out;
    node->weight = out->weight;
    if (whole_bias) TD_TRY(td_build_own(b, node, whole_bias, err));
    return td_build_own(b, node, weight, err);
}

td_status td_build_norm(const td_builder *b, td_module *parent, const td_norm_spec *spec,
                        td_norm *out, td_err *err) {
    const int n_set = spec->n_set ? spec->n_set : 1;
    const td_tensor *weight, *bias = td_build_find(b, parent, spec->name, "bias");
    td_want want = {
        .part = spec->name, .suffix = "weight", .ne = {spec->n, spec->n_set},
                .parent = parent
    };
    *out = (td_norm){.kind = spec->kind, .n = spec->n, .n_set = n_set, .eps = spec->eps};
    TD_TRY(td_build_get(b, &want, &weight, err));
    if (b->model->assumption && strcmp(spec->class_name, "torch.nn.LayerNorm") == 0) {
        want.suffix = "bias";
        TD_TRY(td_build_get(b, &want, &bias, err));
    }
    TD_TRY(td_build_floats(b, weight, spec->n * n_set, &out->weight, err));
    if (spec->plus_one && b->is_hf) {
        float *w = td_arena_calloc(&b->model->arena, (size_t)spec->n, sizeof *w);
        if (!w) return no_memory(err);
        for (int i = 0; i < spec->n; i++) w[i] = out->weight[i] + 1;
        out->weight = w;
    }
    if (bias && spec->kind == TD_NORM_LAYER)
        TD_TRY(td_build_floats(b, bias, spec->n, &out->bias, err));
    td_part part = {.name = spec->name.gguf,
                    .suffix = "weight",
                    .floats = out->weight,
                    .n = spec->n,
                    .n_set = n_set};
    TD_TRY(list_floats(b, &part, err));
    part.suffix = "bias";
    part.floats = out->bias;
    part.n_set = 1;
    TD_TRY(list_floats(b, &part, err));
    td_module *node;
    TD_TRY(td_build_module(b, parent, spec->name.hf, spec->class_name, &node, err));
    node->weight = weight;
    if (bias && spec->kind == TD_NORM_LAYER) TD_TRY(td_build_own(b, node, bias, err));
    return td_build_own(b, node, weight, err);
}

/* ---- rope ---- */

static td_status check_divisors(const char *name, const float *divisors, int n, td_err *err) {
    for (int i = 0; i < n; i++)
        if (!(divisors[i] > 0))
            return td_fail(err, TD_ERR_FORMAT, "'%s': element %d is %g, wanted above 0", name, i,
                           (double)divisors[i]);
    return TD_OK;
}

/* A list in config.json: rope_scaling.long_factor and short_factor. */
static td_status list_divisors(const td_builder *b, const td_meta *list, int n, const float **out,
                               td_err *err) {
    if (list->type != TD_META_ARRAY || list->n_elem != (uint64_t)n ||
        (list->elem_type != TD_META_FLOAT && list->elem_type != TD_META_INT))
        return td_fail(err, TD_ERR_FORMAT, "key '%s' is no list of %d numbers", list->key, n);
    float *v = td_arena_calloc(&b->model->arena, (size_t)n, sizeof *v);
    if (!v) return no_memory(err);
    for (int i = 0; i < n; i++) v[i] = (float)td_meta_float(list, (uint64_t)i);
    *out = v;
    return check_divisors(list->key, v, n, err);
}

/* NULL if the file has none. */
static td_status find_divisors(const td_builder *b, const char *tensor, td_setting list, int n,
                               const float **out, td_err *err) {
    *out = NULL;
    if (b->is_hf) {
        const td_meta *m = td_config_find(b->model->ckpt, list);
        return m ? list_divisors(b, m, n, out, err) : TD_OK;
    }
    const td_tensor *t = td_checkpoint_tensor(b->model->ckpt, tensor);
    if (!t) return TD_OK;
    TD_TRY(td_build_own(b, b->model->root, t, err));
    TD_TRY(td_build_floats(b, t, n, out, err));
    return check_divisors(tensor, *out, n, err);
}

static td_status frequencies(const td_builder *b, const td_rope_config *config,
                             const float *divisors, int n_rot, const float **out, td_err *err) {
    float *inv_freq = td_arena_calloc(&b->model->arena, (size_t)n_rot / 2, sizeof *inv_freq);
    if (!inv_freq) return no_memory(err);
    td_rope_frequencies(inv_freq, n_rot, config, divisors);
    *out = inv_freq;
    return TD_OK;
}

td_status td_build_rope(const td_builder *b, const td_rope_config *config, int n_rot, bool neox,
                        td_rope *out, td_err *err) {
    static const td_setting long_list = {NULL,
                                         "rope_parameters.long_factor|rope_scaling.long_factor"};
    static const td_setting short_list = {NULL,
                                          "rope_parameters.short_factor|rope_scaling.short_factor"};
    static const td_setting none = {NULL, NULL};
    const int n = n_rot / 2;
    const float *freqs, *of_long, *of_short;
    TD_TRY(find_divisors(b, "rope_freqs.weight", none, n, &freqs, err));
    TD_TRY(find_divisors(b, "rope_factors_long.weight", long_list, n, &of_long, err));
    TD_TRY(find_divisors(b, "rope_factors_short.weight", short_list, n, &of_short, err));
    if (!of_long != !of_short || (config->scaling == TD_ROPE_LONG && !of_long))
        return td_fail(err, TD_ERR_FORMAT, "longrope without both its long and its short factors");
    *out = (td_rope){.n_rot = n_rot,
                     .neox = neox,
                     .n_original = (int)(config->original < 1e9 ? config->original : 1e9),
                     .attention_factor = (float)config->attention_factor};
    if (of_long) TD_TRY(frequencies(b, config, of_long, n_rot, &out->inv_freq_long, err));
    return frequencies(b, config, of_long ? of_short : freqs, n_rot, &out->inv_freq, err);
}
