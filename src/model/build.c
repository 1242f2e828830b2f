/* build.c - making nodes and binding tensors to them. */
#include "model/build.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tensor/quantize.h"

enum { NAME_MAX_BYTES = 128 };

static td_status no_memory(td_err *err) {
    return td_fail(err, TD_ERR_NOMEM, "out of memory: the module tree");
}

static void tensor_name(const td_builder *b, const char *base, const char *suffix,
                        char out[NAME_MAX_BYTES]) {
    if (b->i_layer < 0)
        snprintf(out, NAME_MAX_BYTES, "%s.%s", base, suffix);
    else
        snprintf(out, NAME_MAX_BYTES, "blk.%d.%s.%s", b->i_layer, base, suffix);
}

/* An NVFP4 weight may have a float of its own, "blk.0.attn_q.scale", that multiplies the product: a
 * model computed without it would be wrong and not say so. */
static td_status check_no_scale(const td_model *model, const char *weight, td_err *err) {
    char name[NAME_MAX_BYTES];
    const char *end = strrchr(weight, '.');
    snprintf(name, sizeof name, "%.*s.scale", (int)(end ? end - weight : 0), weight);
    if (!td_checkpoint_tensor(model->ckpt, name)) return TD_OK;
    return td_fail(err, TD_ERR_UNSUPPORTED,
                   "tensor '%s' scales '%s', which this build cannot apply yet", name, weight);
}

/* The tensor called `name` with shape {ne0, ne1} (ne1 0: one dimension), of a type this build
 * reads. */
static td_status find_tensor(const td_model *model, const char *name, int64_t ne0, int64_t ne1,
                             const td_tensor **out, td_err *err) {
    const td_tensor *t = td_checkpoint_tensor(model->ckpt, name);
    if (!t) return td_fail(err, TD_ERR_FORMAT, "tensor '%s' is missing", name);
    if (t->ne[0] != ne0 || t->ne[1] != (ne1 ? ne1 : 1) || t->ne[2] != 1 || t->ne[3] != 1)
        return td_fail(err, TD_ERR_FORMAT,
                       "tensor '%s' has shape {%" PRId64 ", %" PRId64 ", %" PRId64 ", %" PRId64
                       "}, wanted {%" PRId64 ", %" PRId64 "}",
                       name, t->ne[0], t->ne[1], t->ne[2], t->ne[3], ne0, ne1 ? ne1 : 1);
    if (!td_dtype_get_info((int)t->dtype)->readable)
        return td_fail(err, TD_ERR_UNSUPPORTED,
                       "tensor '%s' has type %s, which this build cannot read yet", name,
                       td_dtype_name((int)t->dtype));
    if (t->dtype == TD_DTYPE_NVFP4) TD_TRY(check_no_scale(model, name, err));
    *out = t;
    return TD_OK;
}

td_status td_build_vector(td_model *model, const char *name, int n, const float **out,
                          td_err *err) {
    const td_tensor *t;
    TD_TRY(find_tensor(model, name, n, 0, &t, err));
    float *v = td_arena_calloc(&model->arena, (size_t)n, sizeof *v);
    if (!v) return no_memory(err);
    td_dequantize_row(t->dtype, t->data, v, (size_t)n);
    *out = v;
    return TD_OK;
}

td_status td_build_module(const td_builder *b, td_module *parent, const char *name,
                          const char *class_name, td_module **out, td_err *err) {
    *out = td_module_add(&b->model->arena, parent, name, class_name);
    return *out ? TD_OK : no_memory(err);
}

/* Makes the node of a linear that is bound already, and lists it for packing. */
static td_status add_linear(const td_builder *b, td_module *parent, const char *name,
                            td_linear *linear, td_err *err) {
    td_module *node;
    TD_TRY(td_build_module(b, parent, name, "torch.nn.Linear", &node, err));
    node->linear = linear;
    node->weight = linear->weight;
    b->model->linears[b->model->n_linear++] = linear;
    return TD_OK;
}

td_status td_build_linear(const td_builder *b, td_module *parent, const td_linear_spec *spec,
                          td_linear *out, td_err *err) {
    char name[NAME_MAX_BYTES];
    *out = (td_linear){.n = spec->n, .k = spec->k};
    tensor_name(b, spec->tensor, "weight", name);
    TD_TRY(find_tensor(b->model, name, spec->k, spec->n, &out->weight, err));
    tensor_name(b, spec->tensor, "bias", name);
    const bool there = td_checkpoint_tensor(b->model->ckpt, name) != NULL;
    if (spec->bias == TD_BIAS_REQUIRED || (spec->bias == TD_BIAS_OPTIONAL && there))
        TD_TRY(td_build_vector(b->model, name, spec->n, &out->bias, err));
    return add_linear(b, parent, spec->name, out, err);
}

td_status td_build_norm(const td_builder *b, td_module *parent, const char *name,
                        const char *tensor, int n, td_norm *out, td_err *err) {
    char full[NAME_MAX_BYTES];
    tensor_name(b, tensor, "weight", full);
    *out = (td_norm){.n = n, .eps = b->model->config.norm_eps};
    TD_TRY(td_build_vector(b->model, full, n, &out->weight, err));
    td_module *node;
    TD_TRY(td_build_module(b, parent, name, b->classes->norm, &node, err));
    node->weight = td_checkpoint_tensor(b->model->ckpt, full);
    return TD_OK;
}

td_status td_build_begin(td_builder *b, td_module **model_node, td_module **layers_node,
                         td_err *err) {
    enum { LINEARS_PER_LAYER = 8 };
    td_model *m = b->model;
    const td_config *c = &m->config;
    m->layers = td_arena_calloc(&m->arena, (size_t)c->n_layer, sizeof *m->layers);
    m->linears =
        td_arena_calloc(&m->arena, (size_t)c->n_layer * LINEARS_PER_LAYER + 1, sizeof *m->linears);
    if (!m->layers || !m->linears) return no_memory(err);
    td_module *node;
    TD_TRY(td_build_module(b, NULL, "", b->classes->root, &m->root, err));
    TD_TRY(td_build_module(b, m->root, "model", b->classes->model, model_node, err));
    TD_TRY(find_tensor(m, "token_embd.weight", c->n_embd, c->n_vocab, &m->embed, err));
    TD_TRY(td_build_module(b, *model_node, "embed_tokens", b->classes->embed, &node, err));
    node->weight = m->embed;
    return td_build_module(b, *model_node, "layers", "torch.nn.ModuleList", layers_node, err);
}

td_status td_build_end(td_builder *b, td_module *model_node, td_err *err) {
    td_model *m = b->model;
    const td_config *c = &m->config;
    td_module *node;
    b->i_layer = -1;
    TD_TRY(td_build_norm(b, model_node, "norm", "output_norm", c->n_embd, &m->norm, err));
    TD_TRY(td_build_module(b, model_node, "rotary_emb", b->classes->rotary, &node, err));
    m->lm_head = (td_linear){.n = c->n_vocab, .k = c->n_embd, .weight = m->embed};
    if (td_checkpoint_tensor(m->ckpt, "output.weight"))
        TD_TRY(find_tensor(m, "output.weight", c->n_embd, c->n_vocab, &m->lm_head.weight, err));
    return add_linear(b, m->root, "lm_head", &m->lm_head, err);
}

td_status td_build_layer(const td_builder *b, td_module *layers_node, td_module **out,
                         td_err *err) {
    char index[16];
    snprintf(index, sizeof index, "%d", b->i_layer);
    return td_build_module(b, layers_node, index, b->classes->layer, out, err);
}

td_status td_build_attention(const td_builder *b, td_module *layer_node, int qkv_bias, int o_bias,
                             td_layer *layer, td_module **out, td_err *err) {
    const td_config *c = &b->model->config;
    const int n_q = c->n_head * c->head_dim, n_kv = c->n_head_kv * c->head_dim;
    const td_linear_spec q = {"q_proj", "attn_q", n_q, c->n_embd, qkv_bias};
    const td_linear_spec k = {"k_proj", "attn_k", n_kv, c->n_embd, qkv_bias};
    const td_linear_spec v = {"v_proj", "attn_v", n_kv, c->n_embd, qkv_bias};
    const td_linear_spec o = {"o_proj", "attn_output", c->n_embd, n_q, o_bias};
    TD_TRY(td_build_module(b, layer_node, "self_attn", b->classes->attention, out, err));
    TD_TRY(td_build_linear(b, *out, &q, &layer->q_proj, err));
    TD_TRY(td_build_linear(b, *out, &k, &layer->k_proj, err));
    TD_TRY(td_build_linear(b, *out, &v, &layer->v_proj, err));
    return td_build_linear(b, *out, &o, &layer->o_proj, err);
}

td_status td_build_mlp(const td_builder *b, td_module *layer_node, int bias, td_layer *layer,
                       td_err *err) {
    const td_config *c = &b->model->config;
    const td_linear_spec gate = {"gate_proj", "ffn_gate", c->n_ff, c->n_embd, bias};
    const td_linear_spec up = {"up_proj", "ffn_up", c->n_ff, c->n_embd, bias};
    const td_linear_spec down = {"down_proj", "ffn_down", c->n_embd, c->n_ff, bias};
    td_module *mlp, *act_fn;
    TD_TRY(td_build_module(b, layer_node, "mlp", b->classes->mlp, &mlp, err));
    TD_TRY(td_build_linear(b, mlp, &gate, &layer->gate_proj, err));
    TD_TRY(td_build_linear(b, mlp, &up, &layer->up_proj, err));
    TD_TRY(td_build_linear(b, mlp, &down, &layer->down_proj, err));
    return td_build_module(b, mlp, "act_fn", b->classes->act_fn, &act_fn, err);
}

td_status td_build_rope(td_model *model, double theta, double factor, bool neox, td_rope *out,
                        td_err *err) {
    const int n_rot = model->config.n_rot;
    const float *divisors = NULL;
    if (td_checkpoint_tensor(model->ckpt, "rope_freqs.weight")) {
        TD_TRY(td_build_vector(model, "rope_freqs.weight", n_rot / 2, &divisors, err));
        for (int i = 0; i < n_rot / 2; i++)
            if (!(divisors[i] > 0))
                return td_fail(err, TD_ERR_FORMAT,
                               "tensor 'rope_freqs.weight': element %d is %g, wanted above 0", i,
                               (double)divisors[i]);
    }
    float *inv_freq = td_arena_calloc(&model->arena, (size_t)n_rot / 2, sizeof *inv_freq);
    if (!inv_freq) return no_memory(err);
    td_rope_frequencies(inv_freq, n_rot, theta, factor, divisors);
    *out = (td_rope){.n_rot = n_rot, .neox = neox, .inv_freq = inv_freq};
    return TD_OK;
}
