/* synth_arrays.c - a model's arrays by name and shape, as either kind of file has them. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

#include "synth_int.h"

void synth_list_clear(synth_list *list) {
    td_free(list->at);
    *list = (synth_list){0};
}

/* Where the arrays of a layer are added. */
typedef struct builder {
    synth_list *list;
    const synth_shape *s;
    char prefix[SYNTH_MAX_NAME]; /* of names: "blk.3." */
    bool native;
    td_err *err;
    td_status failed; /* the first failure; nothing is added after it */
} builder;

static synth_array *add(builder *b, const char *name, synth_what what, td_dtype dtype) {
    static synth_array nowhere; /* what callers fill after a failure */
    synth_list *list = b->list;
    if (b->failed == TD_OK)
        b->failed = td_grow((void **)&list->at, &list->cap, list->n + 1, sizeof *list->at,
                            "the list of tensors", b->err);
    if (b->failed != TD_OK) return &nowhere;
    synth_array *a = &list->at[list->n++];
    *a = (synth_array){
        .what = what, .dtype = dtype, .n_dims = 1, .ne = {1, 1, 1},
                   .expert = -1
    };
    if (snprintf(a->name, sizeof a->name, "%s%s", b->prefix, name) >= (int)sizeof a->name)
        b->failed = td_fail(b->err, TD_ERR_LIMIT, "the name '%s%s' is too long", b->prefix, name);
    return a;
}

static synth_array *add_vector(builder *b, const char *name, synth_what what, td_dtype dtype,
                               int64_t n) {
    synth_array *a = add(b, name, what, dtype);
    a->ne[0] = n;
    return a;
}

static synth_array *add_matrix(builder *b, const char *name, synth_what what, int64_t k,
                               int64_t n) {
    synth_array *a = add(b, name, what, TD_DTYPE_F32);
    a->n_dims = 2;
    a->ne[0] = a->fan_in = k;
    a->ne[1] = n;
    b->list->n_weight += k * n;
    return a;
}

/* ---- GGUF ---- */

static void gguf_linear(builder *b, const char *name, int64_t k, int64_t n) {
    add_matrix(b, name, SYNTH_WEIGHT, k, n);
}

/* As many matrices as n_stacked, in one tensor. */
static synth_array *gguf_stack(builder *b, const char *name, int64_t k, int64_t n,
                               int64_t n_stacked) {
    synth_array *a = add_matrix(b, name, SYNTH_WEIGHT, k, n);
    a->n_dims = 3;
    a->ne[2] = n_stacked;
    b->list->n_weight += k * n * (n_stacked - 1);
    return a;
}

static void gguf_norm(builder *b, const char *name, int64_t n) {
    add_vector(b, name, SYNTH_NORM, TD_DTYPE_F32, n);
}

static void gguf_latent_attention(builder *b) {
    const synth_shape *s = b->s;
    const int64_t n_q = s->n_head * s->head_dim;
    if (s->q_lora > 0) {
        gguf_linear(b, "attn_q_a.weight", s->n_embd, s->q_lora);
        gguf_norm(b, "attn_q_a_norm.weight", s->q_lora);
        gguf_linear(b, "attn_q_b.weight", s->q_lora, n_q);
    } else {
        gguf_linear(b, "attn_q.weight", s->n_embd, n_q);
    }
    gguf_linear(b, "attn_kv_a_mqa.weight", s->n_embd, s->kv_lora + s->n_rot);
    gguf_norm(b, "attn_kv_a_norm.weight", s->kv_lora);
    /* The keys' one is stored transposed: what it multiplies in the end is the latent vector. */
    gguf_stack(b, "attn_k_b.weight", s->head_dim - s->n_rot, s->kv_lora, s->n_head)->fan_in =
        s->kv_lora;
    gguf_stack(b, "attn_v_b.weight", s->kv_lora, s->v_dim, s->n_head);
}

static void gguf_attention(builder *b) {
    const synth_shape *s = b->s;
    const int64_t n_q = s->n_head * s->head_dim, n_kv = s->n_head_kv * s->head_dim;
    gguf_linear(b, "attn_q.weight", s->n_embd, n_q);
    gguf_linear(b, "attn_k.weight", s->n_embd, n_kv);
    gguf_linear(b, "attn_v.weight", s->n_embd, n_kv);
    if (s->family == SYNTH_QWEN3 || s->family == SYNTH_MINIMAX) {
        const bool per_head = s->family == SYNTH_QWEN3;
        gguf_norm(b, "attn_q_norm.weight", per_head ? s->head_dim : n_q);
        gguf_norm(b, "attn_k_norm.weight", per_head ? s->head_dim : n_kv);
    }
}

static void gguf_experts(builder *b) {
    const synth_shape *s = b->s;
    add_matrix(b, "ffn_gate_inp.weight", SYNTH_ROUTER, s->n_embd, s->n_expert);
    if (s->sigmoid) add_vector(b, "exp_probs_b.bias", SYNTH_BIAS, TD_DTYPE_F32, s->n_expert);
    gguf_stack(b, "ffn_gate_exps.weight", s->n_embd, s->n_ff_exp, s->n_expert)->stacked = true;
    gguf_stack(b, "ffn_up_exps.weight", s->n_embd, s->n_ff_exp, s->n_expert)->stacked = true;
    gguf_stack(b, "ffn_down_exps.weight", s->n_ff_exp, s->n_embd, s->n_expert)->stacked = true;
    if (s->n_expert_shared > 0) {
        const int64_t n_ff = s->n_ff_exp * s->n_expert_shared;
        gguf_linear(b, "ffn_gate_shexp.weight", s->n_embd, n_ff);
        gguf_linear(b, "ffn_up_shexp.weight", s->n_embd, n_ff);
        gguf_linear(b, "ffn_down_shexp.weight", n_ff, s->n_embd);
    }
}

static void gguf_layer(builder *b, int64_t i_layer) {
    const synth_shape *s = b->s;
    snprintf(b->prefix, sizeof b->prefix, "blk.%lld.", (long long)i_layer);
    gguf_norm(b, "attn_norm.weight", s->n_embd);
    if (synth_is_latent(s))
        gguf_latent_attention(b);
    else
        gguf_attention(b);
    gguf_linear(b, "attn_output.weight", s->n_head * s->v_dim, s->n_embd);
    gguf_norm(b, "ffn_norm.weight", s->n_embd);
    if (synth_has_experts(s, i_layer)) {
        gguf_experts(b);
        return;
    }
    gguf_linear(b, "ffn_gate.weight", s->n_embd, s->n_ff);
    gguf_linear(b, "ffn_up.weight", s->n_embd, s->n_ff);
    gguf_linear(b, "ffn_down.weight", s->n_ff, s->n_embd);
}

td_status synth_list_gguf(synth_list *list, const synth_shape *s, td_err *err) {
    builder b = {.list = list, .s = s, .err = err};
    gguf_linear(&b, "token_embd.weight", s->n_embd, s->n_vocab);
    for (int64_t i = 0; i < s->n_layer; i++) gguf_layer(&b, i);
    b.prefix[0] = 0;
    gguf_norm(&b, "output_norm.weight", s->n_embd);
    gguf_linear(&b, "output.weight", s->n_embd, s->n_vocab);
    return b.failed;
}

/* ---- folder ---- */

enum { FP8_BLOCK = 128, INT4_GROUP = 32 };

static int64_t div_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* All arrays of one weight, `name` being without ".weight". */
static void hub_weight(builder *b, const char *name, synth_native kind, const int64_t kn[2],
                       int64_t expert) {
    char part[SYNTH_MAX_NAME];
    const size_t first = b->list->n;
    const synth_what what = kind == SYNTH_FP8    ? SYNTH_CODES_FP8
                            : kind == SYNTH_INT4 ? SYNTH_CODES_INT4
                                                 : SYNTH_WEIGHT;
    snprintf(part, sizeof part, "%s.weight%s", name, kind == SYNTH_INT4 ? "_packed" : "");
    add_matrix(b, part, what, kn[0], kn[1])->dtype = TD_DTYPE_BF16;
    if (kind == SYNTH_FP8) {
        snprintf(part, sizeof part, "%s.weight_scale_inv", name);
        synth_array *a =
            add_vector(b, part, SYNTH_SCALE_FP8, TD_DTYPE_F32, div_up(kn[0], FP8_BLOCK));
        a->n_dims = 2;
        a->ne[1] = div_up(kn[1], FP8_BLOCK);
        a->fan_in = kn[0];
    } else if (kind == SYNTH_INT4) {
        snprintf(part, sizeof part, "%s.weight_scale", name);
        synth_array *a = add_vector(b, part, SYNTH_SCALE_INT4, TD_DTYPE_BF16, kn[0] / INT4_GROUP);
        a->n_dims = 2;
        a->ne[1] = kn[1];
        a->fan_in = kn[0];
        snprintf(part, sizeof part, "%s.weight_shape", name);
        a = add(b, part, SYNTH_SHAPE, TD_DTYPE_F32);
        a->ne[0] = kn[0];
        a->ne[1] = kn[1];
    }
    for (size_t i = first; i < b->list->n; i++) b->list->at[i].expert = expert;
}

/* Of attention, dense layers and shared experts: INT4 is for routed experts alone. */
static void hub_linear(builder *b, const char *name, int64_t k, int64_t n) {
    const bool fp8 = b->native && b->s->native == SYNTH_FP8;
    hub_weight(b, name, fp8 ? SYNTH_FP8 : SYNTH_BF16, (int64_t[]){k, n}, -1);
}

static void hub_norm(builder *b, const char *name, int64_t n) {
    add_vector(b, name, SYNTH_NORM, TD_DTYPE_BF16, n);
}

static void hub_latent_attention(builder *b) {
    const synth_shape *s = b->s;
    const int64_t n_q = s->n_head * s->head_dim, n_nope = s->head_dim - s->n_rot;
    if (s->q_lora > 0) {
        hub_linear(b, "self_attn.q_a_proj", s->n_embd, s->q_lora);
        hub_norm(b, "self_attn.q_a_layernorm.weight", s->q_lora);
        hub_linear(b, "self_attn.q_b_proj", s->q_lora, n_q);
    } else {
        hub_linear(b, "self_attn.q_proj", s->n_embd, n_q);
    }
    hub_linear(b, "self_attn.kv_a_proj_with_mqa", s->n_embd, s->kv_lora + s->n_rot);
    hub_norm(b, "self_attn.kv_a_layernorm.weight", s->kv_lora);
    hub_linear(b, "self_attn.kv_b_proj", s->kv_lora, s->n_head * (n_nope + s->v_dim));
}

static void hub_attention(builder *b) {
    const synth_shape *s = b->s;
    const int64_t n_q = s->n_head * s->head_dim, n_kv = s->n_head_kv * s->head_dim;
    hub_linear(b, "self_attn.q_proj", s->n_embd, n_q);
    hub_linear(b, "self_attn.k_proj", s->n_embd, n_kv);
    hub_linear(b, "self_attn.v_proj", s->n_embd, n_kv);
    if (s->family == SYNTH_QWEN3 || s->family == SYNTH_MINIMAX) {
        const bool per_head = s->family == SYNTH_QWEN3;
        hub_norm(b, "self_attn.q_norm.weight", per_head ? s->head_dim : n_q);
        hub_norm(b, "self_attn.k_norm.weight", per_head ? s->head_dim : n_kv);
    }
}

/* Gate, up and down of one MLP; `expert` -1: none of the routed ones. */
static void hub_mlp(builder *b, const char *const names[3], int64_t n_ff, int64_t expert) {
    const synth_shape *s = b->s;
    const synth_native kind = !b->native                              ? SYNTH_BF16
                              : s->native == SYNTH_INT4 && expert < 0 ? SYNTH_BF16
                                                                      : s->native;
    for (int i = 0; i < 3; i++) {
        char name[SYNTH_MAX_NAME];
        const int64_t up[2] = {s->n_embd, n_ff}, down[2] = {n_ff, s->n_embd};
        if (expert >= 0)
            snprintf(name, sizeof name, "experts.%lld.%s", (long long)expert, names[i]);
        else
            snprintf(name, sizeof name, "%s", names[i]);
        hub_weight(b, name, kind, i < 2 ? up : down, expert);
    }
}

static void hub_experts(builder *b) {
    static const char *const gate_up_down[] = {"gate_proj", "up_proj", "down_proj"},
                             *const numbered[] = {"w1", "w3", "w2"},
                             *const shared[] = {"shared_experts.gate_proj",
                                                "shared_experts.up_proj",
                                                "shared_experts.down_proj"};
    const synth_shape *s = b->s;
    const bool minimax = s->family == SYNTH_MINIMAX;
    add_matrix(b, "gate.weight", SYNTH_ROUTER, s->n_embd, s->n_expert)->dtype = TD_DTYPE_BF16;
    if (s->sigmoid)
        add_vector(b, minimax ? "e_score_correction_bias" : "gate.e_score_correction_bias",
                   SYNTH_BIAS, TD_DTYPE_F32, s->n_expert);
    for (int64_t e = 0; e < s->n_expert; e++)
        hub_mlp(b, minimax ? numbered : gate_up_down, s->n_ff_exp, e);
    if (s->n_expert_shared > 0) hub_mlp(b, shared, s->n_ff_exp * s->n_expert_shared, -1);
}

static void hub_layer(builder *b, int64_t i_layer) {
    static const char *const dense[] = {"gate_proj", "up_proj", "down_proj"};
    const synth_shape *s = b->s;
    snprintf(b->prefix, sizeof b->prefix, "model.layers.%lld.", (long long)i_layer);
    hub_norm(b, "input_layernorm.weight", s->n_embd);
    if (synth_is_latent(s))
        hub_latent_attention(b);
    else
        hub_attention(b);
    hub_linear(b, "self_attn.o_proj", s->n_head * s->v_dim, s->n_embd);
    hub_norm(b, "post_attention_layernorm.weight", s->n_embd);
    snprintf(b->prefix, sizeof b->prefix, "model.layers.%lld.%s.", (long long)i_layer,
             s->family == SYNTH_MINIMAX ? "block_sparse_moe" : "mlp");
    if (synth_has_experts(s, i_layer))
        hub_experts(b);
    else
        hub_mlp(b, dense, s->n_ff, -1);
}

td_status synth_list_folder(synth_list *list, const synth_shape *s, bool native, td_err *err) {
    builder b = {.list = list, .s = s, .native = native, .err = err};
    const int64_t embd[2] = {s->n_embd, s->n_vocab};
    hub_weight(&b, "model.embed_tokens", SYNTH_BF16, embd, -1);
    for (int64_t i = 0; i < s->n_layer; i++) hub_layer(&b, i);
    b.prefix[0] = 0;
    hub_norm(&b, "model.norm.weight", s->n_embd);
    hub_weight(&b, "lm_head", SYNTH_BF16, embd, -1);
    return b.failed;
}

/* ---- types and sizes ---- */

td_status synth_choose_types(synth_list *list, const synth_shape *s, const td_mix *mix,
                             td_err *err) {
    const td_mix_options o = {
        .mix = mix,
        .model = {.arch = s->arch,
                  .n_layer = s->n_layer,
                  .n_head = s->n_head,
                  .n_head_kv = synth_is_latent(s) ? 1 : s->n_head_kv,
                  .n_expert = s->n_expert},
        .output_dtype = -1,
        .token_embd_dtype = -1,
    };
    td_tensor *tensors = td_calloc(list->n, sizeof *tensors);
    const td_tensor **pointers = td_calloc(list->n, sizeof *pointers);
    td_mix_choice *choices = td_calloc(list->n, sizeof *choices);
    td_status status = TD_OK;
    if (!tensors || !pointers || !choices)
        status = td_fail_nomem(err, "the types", list->n * sizeof *tensors);
    for (size_t i = 0; i < list->n && status == TD_OK; i++) {
        const synth_array *a = &list->at[i];
        tensors[i] = (td_tensor){
            .name = a->name,
            .dtype = TD_DTYPE_F32,
            .n_dims = a->n_dims,
            .ne = {a->ne[0], a->ne[1], a->ne[2], 1}
        };
        pointers[i] = &tensors[i];
    }
    if (status == TD_OK) status = td_mix_choose(&o, pointers, list->n, choices, err);
    for (size_t i = 0; i < list->n && status == TD_OK; i++)
        list->at[i].dtype = choices[i].kept ? TD_DTYPE_F32 : choices[i].dtype;
    td_free(choices);
    td_free(pointers);
    td_free(tensors);
    return status;
}

td_status synth_array_bytes(size_t *out, const synth_array *a, td_err *err) {
    size_t row_bytes = (size_t)a->ne[0];
    if (a->what == SYNTH_SHAPE) {
        *out = 2 * sizeof(int64_t);
        return TD_OK;
    }
    if (a->what == SYNTH_CODES_INT4)
        row_bytes /= 2;
    else if (a->what != SYNTH_CODES_FP8)
        TD_TRY(td_dtype_row_bytes(&row_bytes, a->dtype, (size_t)a->ne[0], err));
    TD_TRY(td_mul_size(out, row_bytes, (size_t)a->ne[1], a->name, err));
    return td_mul_size(out, *out, (size_t)a->ne[2], a->name, err);
}
