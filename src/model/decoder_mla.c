/* decoder_mla.c - the modules of multi-head latent attention.
 *
 * Per head, kv_b has the rows that make a key (n_nope) and then those that make a value (n_v).
 * Files hold it as that one matrix, or apart and the first part transposed (GGUF's attn_k_b,
 * attn_v_b).  What a form of attention needs transposed is read by columns. */
#include "model/assume.h"
#include "model/decoder_int.h"

static td_status no_memory(td_err *err) {
    return td_fail(err, TD_ERR_NOMEM, "out of memory: the heads");
}

/* An array of linears, one per head, listed for packing. */
static td_status head_linears(const td_decoder_builder *s, int n, int k, td_linear **out,
                              td_err *err) {
    td_model *m = s->b.model;
    const int n_head = s->c->n_head;
    *out = td_arena_calloc(&m->arena, (size_t)n_head, sizeof **out);
    if (!*out) return no_memory(err);
    for (int h = 0; h < n_head; h++) {
        (*out)[h] = (td_linear){.n = n, .k = k};
        TD_ASSERT(m->n_linear < m->max_linear);
        m->linears[m->n_linear++] = &(*out)[h];
    }
    return TD_OK;
}

/* linears[h] = the rows of a head, as they are or turned. */
static td_status take_rows(const td_decoder_builder *s, const td_tensor *t, int first, int n_row,
                           int stride, bool turned, td_linear *linears, td_err *err) {
    const int n_head = s->c->n_head;
    td_tensor *views = td_arena_calloc(&s->b.model->arena, (size_t)n_head, sizeof *views);
    if (!views) return no_memory(err);
    for (int h = 0; h < n_head; h++) {
        const td_row_map map = {
            .first = (int64_t)h * stride + first, .group = n_row, .stride = n_row};
        views[h] = td_tensor_view(t, n_row, map);
        linears[h].weight = &views[h];
        if (turned) TD_TRY(td_build_transpose(&s->b, &views[h], &linears[h].weight, err));
    }
    return TD_OK;
}

/* One of GGUF's two tensors {k, n, n_head}. */
static td_status find_heads(const td_decoder_builder *s, const td_module *attn, const char *name,
                            int k, int n, const td_tensor **out, td_err *err) {
    const td_tensor *t = td_build_find(&s->b, attn, (td_part_name){name, name}, "weight");
    if (!t)
        return td_fail(err, TD_ERR_FORMAT, "tensor 'blk.%d.%s.weight' is missing", s->b.i_layer,
                       name);
    TD_TRY(td_build_check_type(&s->b, t, err));
    if (t->ne[0] != k || t->ne[1] != n || t->ne[2] != s->c->n_head || t->ne[3] != 1)
        return td_fail(err, TD_ERR_FORMAT,
                       "tensor '%s' has shape {%lld, %lld, %lld}, wanted {%d, %d, %d}", t->name,
                       (long long)t->ne[0], (long long)t->ne[1], (long long)t->ne[2], k, n,
                       s->c->n_head);
    *out = t;
    return TD_OK;
}

static td_status heads(const td_decoder_builder *s, td_module *attn, td_err *err) {
    const td_mla_config *c = &s->c->mla;
    td_mla *mla = &s->layer->mla;
    const td_part_name name = {"kv_b_proj", "attn_kv_b"};
    const td_tensor *k, *v, *both = td_build_find(&s->b, attn, name, "weight");
    *mla = (td_mla){.config = *c, .n_head = s->c->n_head};
    TD_TRY(head_linears(s, c->n_rank_kv, c->n_nope, &mla->absorb, err));
    TD_TRY(head_linears(s, c->n_v, c->n_rank_kv, &mla->expand_v, err));
    if (s->b.model->options.materialize)
        TD_TRY(head_linears(s, c->n_nope, c->n_rank_kv, &mla->expand_k, err));
    td_module *node;
    TD_TRY(td_build_module(&s->b, attn, name.hf, "torch.nn.Linear", &node, err));
    if (both || s->b.is_hf) {
        const int stride = c->n_nope + c->n_v;
        const td_want want = {
            .part = name,
            .suffix = "weight",
            .ne = {c->n_rank_kv, (int64_t)s->c->n_head * stride},
            .kind = TD_ASSUME_LINEAR,
            .parent = attn
        };
        TD_TRY(td_build_tensor(&s->b, &want, &both, err));
        node->weight = both;
        TD_TRY(td_build_own(&s->b, node, both, err));
        TD_TRY(take_rows(s, both, 0, c->n_nope, stride, true, mla->absorb, err));
        if (mla->expand_k)
            TD_TRY(take_rows(s, both, 0, c->n_nope, stride, false, mla->expand_k, err));
        return take_rows(s, both, c->n_nope, c->n_v, stride, false, mla->expand_v, err);
    }
    TD_TRY(find_heads(s, attn, "attn_k_b", c->n_nope, c->n_rank_kv, &k, err));
    TD_TRY(find_heads(s, attn, "attn_v_b", c->n_rank_kv, c->n_v, &v, err));
    node->weight = v;
    TD_TRY(td_build_own(&s->b, node, k, err));
    TD_TRY(td_build_own(&s->b, node, v, err));
    TD_TRY(take_rows(s, k, 0, c->n_rank_kv, c->n_rank_kv, false, mla->absorb, err));
    if (mla->expand_k)
        TD_TRY(take_rows(s, k, 0, c->n_rank_kv, c->n_rank_kv, true, mla->expand_k, err));
    return take_rows(s, v, 0, c->n_v, c->n_v, false, mla->expand_v, err);
}

/* A latent's norm, with an epsilon of its own: the definition has 1e-6 there, whatever the
 * configuration says of the others. */
static td_status latent_norm(const td_decoder_builder *s, td_module *attn, td_part_name name, int n,
                             td_norm *out, td_err *err) {
    TD_TRY(td_decoder_norm(s, attn, name, n, out, err));
    out->eps = 1e-6f;
    return TD_OK;
}

td_status td_decoder_mla(const td_decoder_builder *s, td_module *attn, td_err *err) {
    const td_mla_config *c = &s->c->mla;
    const int bias = s->spec->qkv_bias;
    td_linear_spec part = {
        .name = {"q_proj", "attn_q"},
          .n = s->c->n_head * s->c->head_dim, .k = s->c->n_embd
    };
    if (c->n_rank_q > 0) {
        const td_linear_spec q_a = {
            .name = {"q_a_proj", "attn_q_a"},
              .n = c->n_rank_q, .k = s->c->n_embd, .bias = bias
        };
        const td_part_name norm = {"q_a_layernorm", "attn_q_a_norm"};
        TD_TRY(td_build_linear(&s->b, attn, &q_a, &s->layer->q_a_proj, err));
        TD_TRY(latent_norm(s, attn, norm, c->n_rank_q, &s->layer->q_a_norm, err));
        part.name = (td_part_name){"q_b_proj", "attn_q_b"};
        part.k = c->n_rank_q;
    }
    TD_TRY(td_build_linear(&s->b, attn, &part, &s->layer->q_proj, err));
    part.name = (td_part_name){"kv_a_proj_with_mqa", "attn_kv_a_mqa"};
    part.n = c->n_rank_kv + c->n_rot;
    part.k = s->c->n_embd;
    part.bias = bias;
    TD_TRY(td_build_linear(&s->b, attn, &part, &s->layer->kv_a_proj, err));
    const td_part_name norm = {"kv_a_layernorm", "attn_kv_a_norm"};
    TD_TRY(latent_norm(s, attn, norm, c->n_rank_kv, &s->layer->kv_a_norm, err));
    TD_TRY(heads(s, attn, err));
    part.name = (td_part_name){td_either(s->spec->names.o, "o_proj"), "attn_output"};
    part.n = s->c->n_embd;
    part.k = s->c->n_head * c->n_v;
    part.bias = s->spec->o_bias;
    return td_build_linear(&s->b, attn, &part, &s->layer->o_proj, err);
}
