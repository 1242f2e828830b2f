/* build_experts.c - the matrices of experts: a tensor each, or slices of one of all. */
#include <inttypes.h>
#include <stdio.h>

#include "model/assume.h"
#include "model/build.h"

static td_status no_memory(td_err *err) {
    return td_fail(err, TD_ERR_NOMEM, "out of memory: the experts");
}

/* ---- names ---- */

static void each_name(const td_builder *b, const td_expert_spec *spec, int i,
                      char name[TD_NAME_MAX]) {
    if (b->is_hf)
        snprintf(name, TD_NAME_MAX, "%s.%d.%s", spec->experts, i, spec->each_hf);
    else
        snprintf(name, TD_NAME_MAX, "%s.%d", spec->each_gguf, i);
}

static const td_tensor *find_each(const td_builder *b, const td_module *parent,
                                  const td_expert_spec *spec, int i) {
    char name[TD_NAME_MAX];
    if (!(b->is_hf ? spec->each_hf : spec->each_gguf)) return NULL;
    each_name(b, spec, i, name);
    return td_build_find(b, parent, (td_part_name){name, name}, "weight");
}

static const td_tensor *find_all(const td_builder *b, const td_module *parent,
                                 const td_expert_spec *spec, bool bias) {
    char name[TD_NAME_MAX];
    if (!(b->is_hf ? spec->all.hf : spec->all.gguf)) return NULL;
    if (!b->is_hf) return td_build_find(b, parent, spec->all, bias ? "bias" : "weight");
    snprintf(name, TD_NAME_MAX, "%s%s", spec->all.hf, bias ? "_bias" : "");
    return td_build_find(b, parent, (td_part_name){name, NULL}, "");
}

bool td_build_has_experts(const td_builder *b, const td_module *parent,
                          const td_expert_spec *spec) {
    if (b->model->assumption) return true;
    return find_all(b, parent, spec, false) || find_each(b, parent, spec, 0);
}

/* For messages. */
static const char *all_or_each(const td_builder *b, const td_expert_spec *spec) {
    if (!b->is_hf) return spec->all.gguf;
    return spec->all.hf ? spec->all.hf : spec->each_hf;
}

/* ---- one tensor of all ---- */

static td_status check_shape(const td_tensor *t, int64_t ne0, int64_t ne1, int64_t ne2,
                             td_err *err) {
    if (t->ne[0] == ne0 && t->ne[1] == ne1 && t->ne[2] == ne2 && t->ne[3] == 1) return TD_OK;
    return td_fail(err, TD_ERR_FORMAT,
                   "tensor '%s' has shape {%" PRId64 ", %" PRId64 ", %" PRId64 ", %" PRId64
                   "}, wanted {%" PRId64 ", %" PRId64 ", %" PRId64 "}",
                   t->name, t->ne[0], t->ne[1], t->ne[2], t->ne[3], ne0, ne1, ne2);
}

/* In an assumed model there is one tensor of all, as GGUF files have it, whatever a folder has. */
static td_status assume_all(const td_builder *b, td_module *parent, const td_expert_spec *spec,
                            bool bias, const td_tensor **out, td_err *err) {
    const int n_whole = spec->n_whole ? spec->n_whole : spec->n;
    char name[TD_NAME_MAX];
    snprintf(name, sizeof name, "%s.%s", spec->experts, spec->each_hf);
    const td_want weight = {
        .part = {name,     spec->all.gguf},
        .suffix = "weight",
        .ne = { spec->k, n_whole, spec->n_expert},
        .kind = TD_ASSUME_EXPERTS,
        .parent = parent
    };
    const td_want of_bias = {
        .part = weight.part, .suffix = "bias", .ne = {n_whole, spec->n_expert},
                .parent = parent
    };
    return td_build_get(b, bias ? &of_bias : &weight, out, err);
}

/* Is the tensor one whose rows are inputs? */
static bool is_turned(const td_builder *b, const td_tensor *t, const td_expert_spec *spec) {
    return spec->transposed && b->is_hf && !t->source && !b->model->assumption;
}

/* Expert i's matrix, all n_whole rows of it, as a tensor of its own. */
static td_status slice(const td_builder *b, const td_tensor *t, const td_expert_spec *spec,
                       int n_whole, int i, td_tensor *out, td_err *err) {
    const bool turned = is_turned(b, t, spec);
    const td_tensor *matrix;
    const int n_row = turned ? spec->k : n_whole;
    *out = td_tensor_view(
        t, n_row, (td_row_map){.first = (int64_t)i * n_row, .group = n_row, .stride = n_row});
    if (!turned) return TD_OK;
    TD_TRY(td_build_transpose(b, out, &matrix, err));
    *out = *matrix;
    return TD_OK;
}

/* The rows of an expert that the matrix is made of. */
static td_tensor part_of(const td_tensor *whole, const td_expert_spec *spec) {
    if (!spec->n_whole) return *whole;
    td_row_map map = spec->map;
    if (whole->map.group == 0) return td_tensor_view(whole, spec->n, map);
    map.first += whole->map.first; /* of a tensor with a source, which is not cut itself */
    td_tensor t = *whole;
    t.map = (td_row_map){0};
    return td_tensor_view(&t, spec->n, map);
}

static td_status bind_all(const td_builder *b, const td_tensor *t, const td_expert_spec *spec,
                          td_linear *linears, td_err *err) {
    const int n_whole = spec->n_whole ? spec->n_whole : spec->n;
    const bool turned = is_turned(b, t, spec);
    TD_TRY(td_build_check_type(b, t, err));
    TD_TRY(check_shape(t, turned ? n_whole : spec->k, turned ? spec->k : n_whole, spec->n_expert,
                       err));
    td_tensor *views = td_arena_calloc(&b->model->arena, (size_t)spec->n_expert, sizeof *views);
    if (!views) return no_memory(err);
    TD_TRY(td_build_own(b, spec->node, t, err));
    for (int i = 0; i < spec->n_expert; i++) {
        td_tensor whole;
        TD_TRY(slice(b, t, spec, n_whole, i, &whole, err));
        views[i] = part_of(&whole, spec);
        linears[i].weight = &views[i];
    }
    return TD_OK;
}

/* Zeros for all. */
static td_status assume_bias(const td_builder *b, td_module *parent, const td_expert_spec *spec,
                             td_linear *linears, td_err *err) {
    const td_tensor *t;
    const float *zeros;
    TD_TRY(assume_all(b, parent, spec, true, &t, err));
    TD_TRY(td_build_own(b, spec->node, t, err));
    TD_TRY(td_assume_zeros(b->model, spec->n, &zeros, err));
    for (int i = 0; i < spec->n_expert; i++) linears[i].bias = zeros;
    return TD_OK;
}

static td_status bind_bias(const td_builder *b, td_module *parent, const td_expert_spec *spec,
                           td_linear *linears, td_err *err) {
    const int n_whole = spec->n_whole ? spec->n_whole : spec->n;
    const td_tensor *t = find_all(b, parent, spec, true);
    const float *all;
    float *own =
        td_arena_calloc(&b->model->arena, (size_t)spec->n_expert * (size_t)spec->n, sizeof *own);
    if (!own) return no_memory(err);
    if (!t)
        return td_fail(err, TD_ERR_FORMAT, "%s, layer %d: the bias of the experts' %s is missing",
                       parent->name, b->i_layer, b->is_hf ? spec->each_hf : spec->each_gguf);
    TD_TRY(td_build_own(b, spec->node, t, err));
    TD_TRY(td_build_floats(b, t, spec->n_expert * n_whole, &all, err));
    for (int i = 0; i < spec->n_expert; i++) {
        float *bias = own + (size_t)i * (size_t)spec->n;
        for (int64_t o = 0; o < spec->n; o++)
            bias[o] = all[(int64_t)i * n_whole + td_row_map_at(&spec->map, o)];
        linears[i].bias = bias;
    }
    return TD_OK;
}

/* ---- a tensor each ---- */

static td_status bind_each(const td_builder *b, td_module *parent, const td_expert_spec *spec,
                           td_linear *linears, td_err *err) {
    for (int i = 0; i < spec->n_expert; i++) {
        char name[TD_NAME_MAX];
        each_name(b, spec, i, name);
        const td_want want = {
            .part = {name,    name   },
              .suffix = "weight", .ne = {spec->k, spec->n},
              .parent = parent
        };
        TD_TRY(td_build_tensor(b, &want, &linears[i].weight, err));
        /* No tensor comes twice, and there are too many to look. */
        if (!td_module_own(&b->model->arena, spec->node, linears[i].weight)) return no_memory(err);
    }
    return TD_OK;
}

/* A config that counts fewer experts than the file has would leave some out silently. */
static td_status check_count(const td_builder *b, const td_module *parent,
                             const td_expert_spec *spec, td_err *err) {
    const td_tensor *t = find_each(b, parent, spec, spec->n_expert + spec->n_other);
    if (!t) return TD_OK;
    return td_fail(err, TD_ERR_FORMAT, "tensor '%s': the configuration has %d experts only",
                   t->name, spec->n_expert);
}

td_status td_build_experts(const td_builder *b, td_module *parent, const td_expert_spec *spec,
                           td_linear **out, td_err *err) {
    td_model *m = b->model;
    const td_tensor *all = find_all(b, parent, spec, false);
    td_linear *linears = td_arena_calloc(&m->arena, (size_t)spec->n_expert, sizeof *linears);
    if (!linears) return no_memory(err);
    for (int i = 0; i < spec->n_expert; i++) {
        linears[i] = (td_linear){.n = spec->n, .k = spec->k, .of_expert = true};
        TD_ASSERT(m->n_linear < m->max_linear);
        m->linears[m->n_linear++] = &linears[i];
    }
    if (m->assumption) TD_TRY(assume_all(b, parent, spec, false, &all, err));
    if (all)
        TD_TRY(bind_all(b, all, spec, linears, err));
    else if (find_each(b, parent, spec, 0))
        TD_TRY(bind_each(b, parent, spec, linears, err));
    else {
        return td_fail(err, TD_ERR_FORMAT,
                       "%s, layer %d: tensors of the experts ('%s') are missing", parent->name,
                       b->i_layer, all_or_each(b, spec));
    }
    TD_TRY(check_count(b, parent, spec, err));
    if (spec->bias)
        TD_TRY((m->assumption ? assume_bias : bind_bias)(b, parent, spec, linears, err));
    *out = linears;
    return TD_OK;
}
