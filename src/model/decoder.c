/* decoder.c - the module tree of a dense decoder. */
#include "model/decoder_int.h"

#include <stdio.h>

enum { MAX_ROWS = 1 << 28, MAX_ASSUMED_ROWS = 1 << 24 }; /* of a table */

static td_part_name either_part(td_part_name name, const char *hf, const char *gguf) {
    return (td_part_name){td_either(name.hf, hf), td_either(name.gguf, gguf)};
}

/* ---- norms ---- */

td_status td_decoder_norm(const td_decoder_builder *s, td_module *parent, td_part_name name, int n,
                          td_norm *out, td_err *err) {
    const td_norm_spec spec = {.name = name,
                               .kind = s->spec->norm,
                               .n = n,
                               .eps = s->c->norm_eps,
                               .plus_one = s->spec->norm_plus_one,
                               .class_name = s->spec->classes.norm};
    return td_build_norm(&s->b, parent, &spec, out, err);
}

static td_status norm(const td_decoder_builder *s, td_module *parent, td_part_name name,
                      td_norm *out, td_err *err) {
    return td_decoder_norm(s, parent, name, s->c->n_embd, out, err);
}

/* A norm that a family may have: it does if the spec names it. */
static td_status norm_if_named(const td_decoder_builder *s, td_part_name name, td_norm *out,
                               td_err *err) {
    return name.hf ? norm(s, s->node, name, out, err) : TD_OK;
}

/* Before the MLP.  Layers whose two blocks read the same norm have only one (Falcon 7B, Command R).
 */
static td_status mlp_norm(const td_decoder_builder *s, td_err *err) {
    const td_part_name name =
        either_part(s->spec->names.mlp_norm, "post_attention_layernorm", "ffn_norm");
    const bool is_there = s->b.model->assumption
                              ? s->spec->unsaid & TD_UNSAID_TWO_NORMS
                              : td_build_find(&s->b, s->node, name, "weight") != NULL;
    if (s->c->parallel && !is_there) return TD_OK;
    return norm(s, s->node, name, &s->layer->mlp_norm, err);
}

static const td_setting set_qk_norm = {NULL, "use_qk_norm"};

static td_status qk_norm(const td_decoder_builder *s, td_module *attn, td_part_name name,
                         int n_head, td_norm *out, td_err *err) {
    const td_qk_norm kind = s->spec->qk_norm;
    const td_norm_spec spec = {.name = name,
                               .kind = s->spec->norm,
                               .n = kind == TD_QK_NORM_ALL ? n_head * s->c->head_dim
                                                           : s->c->head_dim,
                               .n_set = kind == TD_QK_NORM_HEADS ? n_head : 1,
                               .eps = s->c->norm_eps,
                               .plus_one = s->spec->norm_plus_one,
                               .class_name = s->spec->classes.norm};
    if (kind == TD_QK_NORM_PLAIN) {
        if (s->c->layers[s->b.i_layer] & TD_LAYER_NO_ROPE) return TD_OK;
        *out = (td_norm){.n = spec.n, .n_set = 1, .eps = spec.eps};
        return TD_OK;
    }
    /* Command R has these norms in its larger models only. */
    bool is_there = td_build_find(&s->b, attn, name, "weight") != NULL;
    if (s->b.model->assumption)
        TD_TRY(td_config_get_bool(s->b.model->ckpt, set_qk_norm, &is_there, err));
    if (kind == TD_QK_NORM_HEADS && !is_there) return TD_OK;
    return td_build_norm(&s->b, attn, &spec, out, err);
}

/* ---- attention ---- */

static td_status split_qkv(const td_decoder_builder *s, td_module *attn, td_err *err) {
    const td_decoder_names *names = &s->spec->names;
    const int n_q = s->c->n_head * s->c->head_dim, n_kv = s->c->n_head_kv * s->c->head_dim;
    td_linear_spec part = {
        .name = {td_either(names->q, "q_proj"), "attn_q"},
        .n = n_q,
        .k = s->c->n_embd,
        .bias = s->spec->qkv_bias
    };
    if (s->spec->q_gate) {
        const int dim = s->c->head_dim;
        part.n_whole = 2 * n_q;
        part.map = (td_row_map){.first = dim, .group = dim, .stride = 2 * dim};
        TD_TRY(td_build_linear(&s->b, attn, &part, &s->layer->attn_gate, err));
        part.map.first = 0;
    }
    TD_TRY(td_build_linear(&s->b, attn, &part, &s->layer->q_proj, err));
    part.n_whole = 0;
    part.name = (td_part_name){td_either(names->k, "k_proj"), "attn_k"};
    part.n = n_kv;
    TD_TRY(td_build_linear(&s->b, attn, &part, &s->layer->k_proj, err));
    part.name = (td_part_name){td_either(names->v, "v_proj"), "attn_v"};
    return td_build_linear(&s->b, attn, &part, &s->layer->v_proj, err);
}

/* Three parts of one tensor.  Rows in order are one group of all. */
static td_status fused_qkv(const td_decoder_builder *s, td_module *attn, td_part_name name,
                           bool groups, td_err *err) {
    const td_config *c = s->c;
    const int n_group = groups ? c->n_head_kv : 1;
    const int n_q = c->n_head * c->head_dim / n_group, n_kv = c->n_head_kv * c->head_dim / n_group;
    const int stride = n_q + 2 * n_kv;
    td_linear_spec part = {
        .name = name,
        .n = n_q * n_group,
        .k = c->n_embd,
        .bias = s->spec->qkv_bias,
        .n_whole = stride * n_group,
        .map = {.first = 0, .group = n_q, .stride = stride},
        .transposed = s->spec->conv1d
    };
    TD_TRY(td_build_linear(&s->b, attn, &part, &s->layer->q_proj, err));
    part.n = n_kv * n_group;
    part.map = (td_row_map){.first = n_q, .group = n_kv, .stride = stride};
    TD_TRY(td_build_linear(&s->b, attn, &part, &s->layer->k_proj, err));
    part.map.first = n_q + n_kv;
    return td_build_linear(&s->b, attn, &part, &s->layer->v_proj, err);
}

static td_status sinks(const td_decoder_builder *s, td_module *attn, td_err *err) {
    const td_part_name name = {s->spec->names.sinks, "attn_sinks"};
    const char *suffix = s->b.is_hf ? "" : "weight";
    const td_want want = {.part = name, .suffix = suffix, .ne = {s->c->n_head}, .parent = attn};
    const td_tensor *t;
    TD_TRY(td_build_get(&s->b, &want, &t, err));
    TD_TRY(td_build_own(&s->b, attn, t, err));
    return td_build_floats(&s->b, t, s->c->n_head, &s->layer->sinks, err);
}

static td_status attention(const td_decoder_builder *s, td_err *err) {
    const td_decoder_spec *spec = s->spec;
    td_module *attn;
    if (s->c->layers[s->b.i_layer] & TD_LAYER_DELTA) return td_decoder_delta(s, err);
    TD_TRY(td_build_module(&s->b, s->node, td_either(spec->names.attention, "self_attn"),
                           spec->classes.attention, &attn, err));
    if (s->c->mla.n_rank_kv > 0) return td_decoder_mla(s, attn, err);
    const td_part_name qkv = {td_either(spec->names.qkv, "qkv_proj"), "attn_qkv"};
    const bool fused =
        s->b.is_hf ? spec->qkv != TD_QKV_SPLIT : td_build_find(&s->b, attn, qkv, "weight") != NULL;
    if (fused)
        TD_TRY(fused_qkv(s, attn, qkv, s->b.is_hf && spec->qkv == TD_QKV_GROUPS, err));
    else
        TD_TRY(split_qkv(s, attn, err));
    const td_linear_spec o = {
        .name = {td_either(spec->names.o, "o_proj"), "attn_output"},
        .n = s->c->n_embd,
        .k = s->c->n_head * s->c->head_dim,
        .bias = spec->o_bias,
        .transposed = spec->conv1d
    };
    TD_TRY(td_build_linear(&s->b, attn, &o, &s->layer->o_proj, err));
    if (spec->names.sinks) TD_TRY(sinks(s, attn, err));
    if (spec->names.attn_gate) {
        const td_linear_spec gate = {
            .name = {spec->names.attn_gate, "attn_gate"},
              .n = s->c->n_head, .k = s->c->n_embd
        };
        TD_TRY(td_build_linear(&s->b, attn, &gate, &s->layer->attn_gate, err));
    }
    if (spec->qk_norm == TD_QK_NORM_NONE) return TD_OK;
    const td_part_name q_norm = {td_either(spec->names.q_norm, "q_norm"), "attn_q_norm"};
    const td_part_name k_norm = {td_either(spec->names.k_norm, "k_norm"), "attn_k_norm"};
    TD_TRY(qk_norm(s, attn, q_norm, s->c->n_head, &s->layer->q_norm, err));
    return qk_norm(s, attn, k_norm, s->c->n_head_kv, &s->layer->k_norm, err);
}

/* ---- MLP ---- */

/* Gate and up in one tensor: gate_up in Hugging Face folders, a double ffn_up in GGUF files. */
static td_status gate_and_up(const td_decoder_builder *s, td_module *mlp, td_linear_spec part,
                             td_part_name gate, td_err *err) {
    const td_part_name up = part.name;
    const char *gate_up = s->spec->names.gate_up;
    const bool fused =
        s->b.is_hf ? gate_up != NULL : td_build_find(&s->b, mlp, gate, "weight") == NULL;
    if (!fused) {
        part.name = gate;
        TD_TRY(td_build_linear(&s->b, mlp, &part, &s->layer->gate_proj, err));
        part.name = up;
        return td_build_linear(&s->b, mlp, &part, &s->layer->up_proj, err);
    }
    part.name = (td_part_name){td_either(gate_up, "gate_up_proj"), up.gguf};
    part.n_whole = 2 * part.n;
    part.map = (td_row_map){.first = 0, .group = part.n, .stride = part.n};
    TD_TRY(td_build_linear(&s->b, mlp, &part, &s->layer->gate_proj, err));
    part.map.first = part.n;
    return td_build_linear(&s->b, mlp, &part, &s->layer->up_proj, err);
}

td_status td_decoder_mlp(const td_decoder_builder *s, td_module *mlp, int n_ff, bool shared,
                         td_err *err) {
    const td_decoder_names *names = &s->spec->names;
    const td_part_name gate = {td_either(names->gate, "gate_proj"),
                               shared ? "ffn_gate_shexp" : "ffn_gate"};
    td_linear_spec part = {
        .name = {td_either(names->up, "up_proj"), shared ? "ffn_up_shexp" : "ffn_up"},
        .n = n_ff,
        .k = s->c->n_embd,
        .bias = s->spec->mlp_bias,
        .transposed = s->spec->conv1d
    };
    if (s->spec->plain_mlp)
        TD_TRY(td_build_linear(&s->b, mlp, &part, &s->layer->up_proj, err));
    else
        TD_TRY(gate_and_up(s, mlp, part, gate, err));
    part.name =
        (td_part_name){td_either(names->down, "down_proj"), shared ? "ffn_down_shexp" : "ffn_down"};
    part.n = s->c->n_embd;
    part.k = n_ff;
    td_module *act_fn;
    TD_TRY(td_build_linear(&s->b, mlp, &part, &s->layer->down_proj, err));
    return td_build_module(&s->b, mlp, "act_fn", s->spec->classes.act_fn, &act_fn, err);
}

static td_status mlp(const td_decoder_builder *s, td_err *err) {
    td_module *node;
    if (s->c->layers[s->b.i_layer] & TD_LAYER_EXPERTS) return td_decoder_experts(s, err);
    TD_TRY(td_build_module(&s->b, s->node, td_either(s->spec->names.mlp, "mlp"),
                           s->spec->classes.mlp, &node, err));
    return td_decoder_mlp(s, node, s->c->n_ff, false, err);
}

/* ---- the whole ---- */

/* A table of n_embd columns, as long as it is; of an assumed model as long as a setting says. */
static td_status table(const td_decoder_builder *s, td_module *model, td_part_name name,
                       td_setting length, const td_tensor **out, td_err *err) {
    const td_tensor *t = td_build_find(&s->b, model, name, "weight");
    int n_row = 0;
    if (s->b.model->assumption)
        TD_TRY(td_config_get_int(s->b.model->ckpt, length, true, 1, MAX_ASSUMED_ROWS, &n_row, err));
    const td_want want = {
        .part = name,
        .suffix = "weight",
        .ne = {s->c->n_embd, t ? t->ne[1] : n_row},
        .parent = model
    };
    return td_build_tensor(&s->b, &want, out, err);
}

static td_status layer(td_decoder_builder *s, td_module *layers, td_err *err) {
    char index[16];
    const td_decoder_names *names = &s->spec->names;
    snprintf(index, sizeof index, "%d", s->b.i_layer);
    TD_TRY(td_build_module(&s->b, layers, index, s->spec->classes.layer, &s->node, err));
    TD_TRY(attention(s, err));
    TD_TRY(mlp(s, err));
    if (!s->spec->no_pre_norm) {
        const td_part_name name = either_part(names->attn_norm, "input_layernorm", "attn_norm");
        TD_TRY(norm(s, s->node, name, &s->layer->attn_norm, err));
    }
    TD_TRY(norm_if_named(s, names->attn_post_norm, &s->layer->attn_post_norm, err));
    if (!s->spec->no_pre_norm) TD_TRY(mlp_norm(s, err));
    return norm_if_named(s, names->mlp_post_norm, &s->layer->mlp_post_norm, err);
}

static td_status embeddings(td_decoder_builder *s, td_module *model, td_err *err) {
    td_model *m = s->b.model;
    td_module *node;
    const td_part_name embed = {td_either(s->spec->names.embed, "embed_tokens"), "token_embd"};
    const td_tensor *t = td_build_find(&s->b, model, embed, "weight");
    if (t && (t->ne[1] > MAX_ROWS || t->source))
        return td_fail(err, TD_ERR_UNSUPPORTED,
                       "tensor '%s': wanted at most 2^28 rows that are not quantized by parts",
                       t->name);
    TD_TRY(table(s, model, embed, (td_setting){NULL, "text_config.vocab_size|vocab_size"},
                 &m->embed, err));
    m->config.n_vocab = (int)m->embed->ne[1];
    TD_TRY(td_build_module(&s->b, model, embed.hf, s->spec->classes.embed, &node, err));
    node->weight = m->embed;
    TD_TRY(td_build_own(&s->b, node, m->embed, err));
    if (!s->spec->names.positions) return TD_OK;
    const td_part_name positions = {s->spec->names.positions, "position_embd"};
    const td_setting length = {NULL, "n_positions|max_position_embeddings"};
    TD_TRY(table(s, model, positions, length, &m->positions, err));
    if (td_dtype_get_info((int)m->positions->dtype)->block_elems != 1 || m->positions->source)
        return td_fail(err, TD_ERR_UNSUPPORTED, "tensor '%s' has type %s, wanted f32, f16 or bf16",
                       m->positions->name, td_dtype_name((int)m->positions->dtype));
    if (m->config.n_ctx_train > (int)m->positions->ne[1])
        m->config.n_ctx_train = (int)m->positions->ne[1];
    TD_TRY(td_build_module(&s->b, model, positions.hf, "torch.nn.Embedding", &node, err));
    node->weight = m->positions;
    return td_build_own(&s->b, node, m->positions, err);
}

static td_status head(td_decoder_builder *s, td_err *err) {
    td_model *m = s->b.model;
    const td_linear_spec spec = {
        .name = {td_either(s->spec->names.lm_head, "lm_head"), "output"},
        .n = m->config.n_vocab,
        .k = m->config.n_embd,
        .bias = s->spec->lm_head_bias,
        .plain = true
    };
    bool tied = s->spec->unsaid & TD_UNSAID_TIED;
    if (m->assumption)
        TD_TRY(td_config_get_bool(m->ckpt, (td_setting){NULL, "tie_word_embeddings"}, &tied, err));
    else
        tied = !td_build_find(&s->b, m->root, spec.name, "weight");
    if (!tied) return td_build_linear(&s->b, m->root, &spec, &m->lm_head, err);
    td_module *node;
    m->lm_head = (td_linear){.n = spec.n, .k = spec.k, .weight = m->embed};
    TD_TRY(td_build_module(&s->b, m->root, spec.name.hf, "torch.nn.Linear", &node, err));
    node->linear = &m->lm_head;
    node->weight = m->embed;
    m->linears[m->n_linear++] = &m->lm_head;
    return TD_OK;
}

static td_status ropes(const td_decoder_builder *s, td_err *err) {
    td_model *m = s->b.model;
    const td_config *c = s->c;
    const bool neox = s->b.is_hf ? s->spec->neox_hf : s->spec->neox_gguf;
    if (c->n_rot == 0) return TD_OK;
    TD_TRY(td_build_rope(&s->b, &c->rope, c->n_rot, neox, &m->rope, err));
    m->rope_local = m->rope;
    if (c->rope_local.theta == 0) return TD_OK;
    const int n_rot = c->n_rot_local ? c->n_rot_local : c->n_rot;
    return td_build_rope(&s->b, &c->rope_local, n_rot, neox, &m->rope_local, err);
}

/* Has a linear of the kind a bias?  The file tells, or of an assumed model one of the settings. */
static td_status resolve_bias(const td_model *m, const char *settings, bool usual, int *bias,
                              td_err *err) {
    if (*bias != TD_BIAS_OPTIONAL) return TD_OK;
    TD_TRY(td_config_get_bool(m->ckpt, (td_setting){NULL, settings}, &usual, err));
    *bias = usual ? TD_BIAS_REQUIRED : TD_BIAS_NONE;
    return TD_OK;
}

static td_status resolve_biases(const td_model *m, td_decoder_spec *spec, td_err *err) {
    const bool attention = spec->unsaid & TD_UNSAID_ATTENTION_BIAS;
    const bool mlp = spec->unsaid & TD_UNSAID_MLP_BIAS;
    if (!m->assumption) return TD_OK;
    TD_TRY(resolve_bias(m, "attention_bias|use_qkv_bias|qkv_bias|use_bias|bias", attention,
                        &spec->qkv_bias, err));
    TD_TRY(resolve_bias(m, "attention_bias|use_bias|bias", attention, &spec->o_bias, err));
    TD_TRY(resolve_bias(m, "use_bias", false, &spec->lm_head_bias, err));
    return resolve_bias(m, "mlp_bias|use_bias|bias", mlp, &spec->mlp_bias, err);
}

td_status td_decoder_build(td_model *m, const td_decoder_spec *family, td_err *err) {
    td_decoder_spec resolved = *family, *spec = &resolved;
    const int n_head = m->config.mla.n_rank_kv > 0 ? m->config.n_head : 0;
    const int per_layer = 12 + 3 * n_head + 3 * m->config.router.n_expert; /* linears */
    td_decoder_builder s = {
        .b = {.model = m,
              .is_hf = td_checkpoint_get_kind(m->ckpt) == TD_CHECKPOINT_HF,
              .i_layer = -1},
        .spec = spec,
        .c = &m->config
    };
    TD_TRY(resolve_biases(m, spec, err));
    const td_decoder_names *names = &spec->names;
    const char *top = td_either(names->model, "model");
    const size_t n_layer = (size_t)m->config.n_layer;
    m->neox_gguf = spec->neox_gguf;
    m->max_linear = m->config.n_layer * per_layer + 1;
    m->layers = td_arena_calloc(&m->arena, n_layer, sizeof *m->layers);
    m->linears = td_arena_calloc(&m->arena, (size_t)m->max_linear, sizeof(td_linear *));
    if (!m->layers || !m->linears) return td_fail_nomem(err, "the layers", n_layer);
    if (s.b.is_hf)
        TD_TRY(td_build_find_root(&s.b, top, td_either(names->embed, "embed_tokens"), err));
    td_module *model, *layers, *node;
    TD_TRY(td_build_module(&s.b, NULL, "", spec->classes.root, &m->root, err));
    TD_TRY(td_build_module(&s.b, m->root, top, spec->classes.model, &model, err));
    TD_TRY(embeddings(&s, model, err));
    TD_TRY(td_build_module(&s.b, model, td_either(names->layers, "layers"), "torch.nn.ModuleList",
                           &layers, err));
    for (s.b.i_layer = 0; s.b.i_layer < m->config.n_layer; s.b.i_layer++) {
        s.layer = &m->layers[s.b.i_layer];
        TD_TRY(layer(&s, layers, err));
    }
    s.b.i_layer = -1;
    const td_part_name norm_name = {td_either(names->norm, "norm"), "output_norm"};
    TD_TRY(norm(&s, model, norm_name, &m->norm, err));
    if (spec->classes.rotary)
        TD_TRY(td_build_module(&s.b, model, "rotary_emb", spec->classes.rotary, &node, err));
    TD_TRY(head(&s, err));
    return ropes(&s, err);
}
