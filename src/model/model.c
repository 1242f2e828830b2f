/* model.c - choosing the architecture, opening, and the parts of a forward pass that all models
 * share. */
#include "model/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "model/archs.h"
#include "model/assume.h"
#include "tensor/quantize.h"

/* clang-format off */
static const td_arch *const archs[] = {
    &td_arch_bailing_moe,
    &td_arch_cohere2,
    &td_arch_command_r,
    &td_arch_deepseek2,
    &td_arch_deepseek_v2,
    &td_arch_deepseek_v3,
    &td_arch_deepseek_v32,
    &td_arch_dots1,
    &td_arch_ernie4_5,
    &td_arch_ernie4_5_moe,
    &td_arch_ernie4_5_vl,
    &td_arch_falcon,
    &td_arch_gemma,
    &td_arch_gemma2,
    &td_arch_gemma3,
    &td_arch_glm4,
    &td_arch_glm4_moe,
    &td_arch_glm4_moe_lite,
    &td_arch_glm_moe_dsa,
    &td_arch_gpt2,
    &td_arch_gpt_neox,
    &td_arch_gpt_oss,
    &td_arch_granite,
    &td_arch_granite_moe,
    &td_arch_hunyuan_v1_moe,
    &td_arch_internlm2,
    &td_arch_llama,
    &td_arch_llama4,
    &td_arch_minicpm,
    &td_arch_minimax_m2,
    &td_arch_mistral,
    &td_arch_mixtral,
    &td_arch_olmo2,
    &td_arch_olmoe,
    &td_arch_phi3,
    &td_arch_qwen2,
    &td_arch_qwen2_moe,
    &td_arch_qwen3,
    &td_arch_qwen3_5,
    &td_arch_qwen3_5_moe,
    &td_arch_qwen3_moe,
    &td_arch_qwen3_next,
    &td_arch_smallthinker,
    &td_arch_smollm3,
    &td_arch_spark2_5,
    &td_arch_starcoder2,
    NULL,
};
/* clang-format on */

const td_arch *const *td_arch_list(void) { return archs; }

/* The words of a list separated by spaces. */
static bool list_has(const char *list, td_string word) {
    while (*list) {
        const size_t n = strcspn(list, " ");
        if (n == word.n && memcmp(list, word.text, n) == 0) return true;
        list += n + (list[n] == ' ');
    }
    return false;
}

static const td_arch *arch_of(const td_checkpoint *ckpt, td_string name) {
    const bool is_hf = td_checkpoint_get_kind(ckpt) == TD_CHECKPOINT_HF;
    for (int i = 0; archs[i]; i++)
        if (is_hf ? list_has(archs[i]->hf_classes, name)
                  : !archs[i]->hf_only && td_string_is(name, archs[i]->name))
            return archs[i];
    return NULL;
}

static td_status unknown_arch(const td_checkpoint *ckpt, const char *key, td_string name,
                              td_err *err) {
    const bool is_hf = td_checkpoint_get_kind(ckpt) == TD_CHECKPOINT_HF;
    td_strbuf known = {0};
    for (int i = 0; archs[i]; i++)
        if (is_hf || !archs[i]->hf_only)
            td_strbuf_addf(&known, "%s%s", i ? ", " : "", archs[i]->name);
    const int n_shown = name.n < 64 ? (int)name.n : 64;
    const td_status status = td_fail(
        err, TD_ERR_UNSUPPORTED, "%s: %s is '%.*s'; this build runs %s", td_checkpoint_path(ckpt),
        key, n_shown, name.text, known.text ? known.text : "others");
    td_strbuf_clear(&known);
    return status;
}

static td_status find_arch(const td_checkpoint *ckpt, const td_arch **out, td_err *err) {
    const bool is_hf = td_checkpoint_get_kind(ckpt) == TD_CHECKPOINT_HF;
    const char *key = is_hf ? "architectures" : "general.architecture";
    const td_meta *m = td_checkpoint_meta(ckpt, key);
    if (!m || m->n_elem == 0 || m->elem_type != TD_META_STRING)
        return td_fail(err, TD_ERR_FORMAT, "%s: key '%s' is missing or no string",
                       td_checkpoint_path(ckpt), key);
    const td_string name = td_meta_string(m, 0);
    *out = arch_of(ckpt, name);
    return *out ? TD_OK : unknown_arch(ckpt, key, name, err);
}

/* Does the message begin with this path, or with a file below it? */
static bool begins_with(const char *msg, const char *path) {
    const size_t n = path ? strlen(path) : 0;
    return n > 0 && strncmp(msg, path, n) == 0 && (msg[n] == ':' || msg[n] == '/');
}

/* Puts the file's name in front of a message, unless format/ has done so. */
static td_status name_file(const td_checkpoint *ckpt, td_status status, td_err *err) {
    const char *path = td_checkpoint_path(ckpt);
    const td_checkpoint *beside = td_checkpoint_beside(ckpt);
    bool named =
        err && (begins_with(err->msg, path) || begins_with(err->msg, td_checkpoint_folder(ckpt)));
    for (int i = 0; err && !named && i < td_checkpoint_n_file(ckpt); i++)
        named = begins_with(err->msg, td_checkpoint_file(ckpt, i));
    if (err && beside) named = named || begins_with(err->msg, td_checkpoint_path(beside));
    return named ? status : td_fail_in(err, status, "%s", path);
}

/* The weights' own metadata count; the other configuration must say the same. */
static td_status check_beside(const td_model *m, td_err *err) {
    const td_checkpoint *beside = td_checkpoint_beside(m->ckpt);
    const td_arch *arch;
    td_config config;
    if (!beside) return TD_OK;
    td_status status = find_arch(beside, &arch, err);
    if (status == TD_OK) status = arch->read_config(&config, beside, err);
    if (status != TD_OK) return name_file(beside, status, err);
    return td_model_check_beside(m, &config, err);
}

static td_status open_model(td_model *m, td_err *err) {
    const char *why_not = td_checkpoint_unsupported(m->ckpt);
    TD_TRY(find_arch(m->ckpt, &m->arch, err));
    TD_TRY(m->arch->read_config(&m->config, m->ckpt, err));
    if (why_not) return td_fail(err, TD_ERR_UNSUPPORTED, "%s", why_not);
    if (td_checkpoint_n_tensor(m->ckpt) == 0) {
        if (!m->options.assume || td_checkpoint_get_kind(m->ckpt) != TD_CHECKPOINT_HF)
            return td_fail(err, TD_ERR_FORMAT,
                           "no weights: wanted safetensors files beside config.json");
        TD_TRY(td_assume_init(m, err));
    }
    TD_TRY(m->arch->build_modules(m, err));
    return check_beside(m, err);
}

td_status td_model_open(td_model **out, const td_checkpoint *ckpt, const td_model_options *options,
                        td_err *err) {
    *out = NULL;
    td_model *m = td_calloc(1, sizeof *m);
    if (!m) return td_fail_nomem(err, "the model", sizeof *m);
    m->ckpt = ckpt;
    if (options) m->options = *options;
    td_arena_init(&m->arena, 1 << 16);
    const td_status status = open_model(m, err);
    if (status != TD_OK) {
        td_model_close(m);
        return name_file(ckpt, status, err);
    }
    *out = m;
    return TD_OK;
}

/* The first element that is not finite of x[n], n: there is none. */
static int first_not_finite(const float *x, int n) {
    int i = 0;
    while (i < n && isfinite(x[i])) i++;
    return i;
}

static td_status check_router(const td_model *m, int i_layer, float *row, td_err *err) {
    const td_router *r = &m->layers[i_layer].router;
    const td_tensor *t = r->gate.weight;
    uint8_t *scratch = (uint8_t *)(row + r->gate.k);
    int i = 0, o = 0;
    for (; o < r->gate.n; o++) {
        td_dequantize_row(t->dtype, td_tensor_row(t, o, scratch), row, (size_t)r->gate.k);
        i = first_not_finite(row, r->gate.k);
        if (i < r->gate.k) break;
    }
    if (o < r->gate.n)
        return td_fail(err, TD_ERR_FORMAT, "tensor '%s': element %d of row %d is %g", t->name, i, o,
                       (double)row[i]);
    if (!r->correction) return TD_OK;
    i = first_not_finite(r->correction, r->gate.n);
    if (i == r->gate.n) return TD_OK;
    return td_fail(err, TD_ERR_FORMAT, "layer %d: the router's correction of expert %d is %g",
                   i_layer, i, (double)r->correction[i]);
}

td_status td_model_check_routers(const td_model *m, td_err *err) {
    if (m->config.router.n_expert == 0) return TD_OK;
    float *row = td_malloc(2 * (size_t)m->config.n_embd * sizeof *row + 256);
    if (!row) return td_fail_nomem(err, "a row", (size_t)m->config.n_embd);
    td_status status = TD_OK;
    for (int i = 0; i < m->config.n_layer && status == TD_OK; i++)
        if (m->layers[i].router.gate.weight) status = check_router(m, i, row, err);
    td_free(row);
    return status == TD_OK ? status : name_file(m->ckpt, status, err);
}

void td_model_close(td_model *m) {
    if (!m) return;
    td_assume_clear(m->assumption);
    td_arena_clear(&m->arena);
    td_free(m);
}

td_status td_model_check(const td_checkpoint *ckpt, int *n_vocab, td_err *err) {
    td_model *m;
    *n_vocab = 0;
    TD_TRY(td_model_open(&m, ckpt, NULL, err));
    *n_vocab = m->config.n_vocab;
    td_model_close(m);
    return TD_OK;
}

td_status td_model_check_vocab(const td_checkpoint *ckpt, int n_vocab, int n_token, td_err *err) {
    if (n_token <= n_vocab) return TD_OK;
    return td_fail(err, TD_ERR_FORMAT,
                   "%s: the tokenizer has %d tokens, the embedding table only %d rows",
                   td_checkpoint_path(ckpt), n_token, n_vocab);
}

td_status td_model_describe(const td_checkpoint *ckpt, td_strbuf *out, bool json, td_err *err) {
    const td_model_options options = {.assume = true};
    td_model *m;
    TD_TRY(td_model_open(&m, ckpt, &options, err));
    td_module_print(m->root, json, out);
    td_model_close(m);
    return td_strbuf_check(out, "the module tree", err);
}

/* ---- what it is made of ---- */

static void count_modules(const td_module *m, td_model_counts *out) {
    out->n_parameter += td_module_elems(m);
    out->n_bytes += td_module_bytes(m);
    for (const td_module *c = m->first_child; c; c = c->next) count_modules(c, out);
}

/* A layer that predicts a further token is one like the last, behind a projection of two rows to
 * one, with three more norms; tables and heads are the model's. */
static td_status count_drafts(const td_model *m, uint64_t *out, td_err *err) {
    static const td_setting set = {NULL, "num_nextn_predict_layers|mtp_num_hidden_layers"};
    const uint64_t n_embd = (uint64_t)m->config.n_embd;
    td_model_counts layer = {0};
    char name[32];
    int n = 0;
    TD_TRY(td_config_get_int(m->ckpt, set, false, 0, TD_MAX_LAYERS, &n, err));
    snprintf(name, sizeof name, "model.layers.%d", m->config.n_layer - 1);
    const td_module *last = n > 0 ? td_module_find(m->root, name) : NULL;
    if (!last) return TD_OK;
    count_modules(last, &layer);
    *out = (uint64_t)n * (layer.n_parameter + 2 * n_embd * n_embd + 3 * n_embd);
    return TD_OK;
}

/* The second bank of experts, which has a router of its own. */
static uint64_t count_bank(const td_model *m) {
    const td_config *c = &m->config;
    const td_meta *widths = td_config_find(m->ckpt, (td_setting){NULL, "moe_intermediate_size"});
    uint64_t n_layer = 0;
    if (!c->per_modality || !widths || widths->type != TD_META_ARRAY ||
        widths->elem_type != TD_META_INT || widths->n_elem < 2)
        return 0;
    const int64_t n_ff = td_meta_int(widths, 1);
    if (n_ff < 1 || n_ff > 1 << 20) return 0;
    for (int i = 0; i < c->n_layer; i++) n_layer += (c->layers[i] & TD_LAYER_EXPERTS) != 0;
    return n_layer * (uint64_t)c->router.n_expert * (uint64_t)c->n_embd * (3 * (uint64_t)n_ff + 1);
}

td_status td_model_count(const td_model *m, td_model_counts *out, td_err *err) {
    *out = (td_model_counts){0};
    count_modules(m->root, out);
    if (td_checkpoint_get_kind(m->ckpt) != TD_CHECKPOINT_HF) return TD_OK;
    out->n_other = count_bank(m);
    return count_drafts(m, &out->n_draft, err);
}

static int by_address(const void *a, const void *b) {
    const uintptr_t x = (uintptr_t) * (const td_tensor *const *)a;
    const uintptr_t y = (uintptr_t) * (const td_tensor *const *)b;
    return (x > y) - (x < y);
}

static size_t count_owned(const td_module *m) {
    size_t n = 0;
    for (const td_module_tensor *t = m->tensors; t; t = t->next) n++;
    for (const td_module *c = m->first_child; c; c = c->next) n += count_owned(c);
    return n;
}

static const td_tensor **list_owned(const td_module *m, const td_tensor **at) {
    for (const td_module_tensor *t = m->tensors; t; t = t->next) *at++ = t->tensor;
    for (const td_module *c = m->first_child; c; c = c->next) at = list_owned(c, at);
    return at;
}

td_status td_model_unused(const td_model *m, const td_tensor **out, size_t max, size_t *n,
                          td_err *err) {
    const size_t n_owned = count_owned(m->root);
    const td_tensor **owned = td_calloc(n_owned ? n_owned : 1, sizeof *owned);
    if (!owned) return td_fail_nomem(err, "a list of tensors", n_owned * sizeof *owned);
    list_owned(m->root, owned);
    qsort(owned, n_owned, sizeof *owned, by_address);
    *n = 0;
    for (size_t i = 0; i < td_checkpoint_n_tensor(m->ckpt); i++) {
        const td_tensor *t = td_checkpoint_tensor_at(m->ckpt, i);
        if (bsearch(&t, owned, n_owned, sizeof *owned, by_address)) continue;
        if (*n < max) out[*n] = t;
        ++*n;
    }
    td_free(owned);
    return TD_OK;
}

void td_model_kv_shapes(const td_model *m, td_kv_shape *shapes) {
    const td_config *c = &m->config;
    for (int i = 0; i < c->n_layer; i++) {
        if (c->layers[i] & TD_LAYER_DELTA) {
            shapes[i] = (td_kv_shape){.n_state = td_delta_n_state(&c->delta)};
            continue;
        }
        shapes[i] = (td_kv_shape){.n_head_kv = c->n_head_kv,
                                  .k_dim = c->head_dim,
                                  .v_dim = c->head_dim,
                                  .window = c->layers[i] & TD_LAYER_LOCAL ? c->window : 0,
                                  .chunked = c->chunked};
        if (c->mla.n_rank_kv == 0) continue;
        shapes[i].n_head_kv = 1;
        shapes[i].k_dim = c->mla.n_rot;
        shapes[i].v_dim = c->mla.n_rank_kv;
    }
}

int td_model_rope_switch(const td_model *m) {
    return m->rope.inv_freq_long ? m->rope.n_original : 0;
}

int td_model_ctx_max(const td_model *m) {
    return m->positions ? (int)m->positions->ne[1] : m->config.n_ctx_dense;
}

int td_model_k_max(const td_model *m) {
    int k_max = m->config.router.n_expert; /* the router has a row of them in the scratch */
    for (int i = 0; i < m->n_linear; i++)
        if (m->linears[i]->k > k_max) k_max = m->linears[i]->k;
    return k_max;
}

size_t td_model_act_max(const td_model *m, int m_max) {
    const td_config *c = &m->config;
    const size_t one = (size_t)m_max * (size_t)td_model_k_max(m);
    const size_t width = (size_t)(c->n_ff_expert > c->n_embd ? c->n_ff_expert : c->n_embd);
    const size_t pairs = (size_t)m_max * (size_t)c->router.n_used * width;
    const size_t heads = td_mla_act_max(&c->mla, c->n_head, m_max);
    const size_t most = one > pairs ? one : pairs;
    return most > heads ? most : heads;
}

/* ---- workspace ---- */

/* Row widths of the buffers, in the order of td_workspace. */
enum { N_BUFFER = 15 };

static void buffer_widths(const td_config *c, size_t widths[N_BUFFER]) {
    const size_t n_q = (size_t)c->n_head * (size_t)c->head_dim;
    size_t n_k = (size_t)c->n_head_kv * (size_t)c->head_dim, n_v = n_k;
    if (c->mla.n_rank_kv > 0) { /* the projections to its latents */
        n_k = (size_t)c->mla.n_rank_kv + (size_t)c->mla.n_rot;
        n_v = (size_t)c->mla.n_rank_q;
    }
    const size_t n_embd = (size_t)c->n_embd, n_rot = (size_t)c->n_rot;
    const size_t n_ff = (size_t)(c->n_ff > c->n_ff_shared ? c->n_ff : c->n_ff_shared);
    const size_t n_rot_local = c->n_rot_local ? (size_t)c->n_rot_local : n_rot;
    const size_t n_o = c->mla.n_rank_kv > 0 ? (size_t)c->n_head * (size_t)c->mla.n_v : n_q;
    const size_t n_expert = (size_t)c->router.n_expert, n_used = (size_t)c->router.n_used;
    const size_t n_mixed = n_expert ? n_embd : 0;
    const size_t all[N_BUFFER] = {n_embd,      n_embd,  n_embd,   n_q,    n_o,
                                  n_k,         n_v,     n_ff,     n_ff,   n_rot,
                                  n_rot_local, n_mixed, n_expert, n_used, n_used};
    memcpy(widths, all, sizeof all);
}

static td_experts_sizes experts_sizes(const td_config *c) {
    return (td_experts_sizes){c->router.n_expert, c->router.n_used, c->n_embd, c->n_ff_expert};
}

td_status td_workspace_bytes(size_t *out, const td_config *c, int m_max, td_err *err) {
    size_t widths[N_BUFFER];
    const td_experts_sizes sizes = experts_sizes(c);
    buffer_widths(c, widths);
    size_t more;
    TD_TRY(td_experts_work_bytes(out, &sizes, m_max, err));
    TD_TRY(td_mla_work_bytes(&more, &c->mla, c->n_head, m_max, err));
    TD_TRY(td_add_size(out, *out, more, "workspace", err));
    TD_TRY(td_delta_work_bytes(&more, &c->delta, m_max, err));
    TD_TRY(td_add_size(out, *out, more, "workspace", err));
    for (int i = 0; i < N_BUFFER; i++) {
        size_t bytes;
        TD_TRY(td_mul_size(&bytes, widths[i] * sizeof(float), (size_t)m_max, "workspace", err));
        TD_TRY(td_add_size(out, *out, bytes + TD_CACHE_LINE, "workspace", err));
    }
    return TD_OK;
}

td_status td_workspace_init(td_workspace *ws, td_arena *arena, const td_config *c, int m_max,
                            td_err *err) {
    size_t widths[N_BUFFER];
    void *at[N_BUFFER];
    const td_experts_sizes sizes = experts_sizes(c);
    buffer_widths(c, widths);
    for (int i = 0; i < N_BUFFER; i++) {
        at[i] = td_arena_alloc(arena, widths[i] * (size_t)m_max * sizeof(float));
        if (!at[i]) return td_fail_nomem(err, "the workspace", widths[i] * (size_t)m_max);
    }
    *ws = (td_workspace){.h = at[0],
                         .x = at[1],
                         .y = at[2],
                         .q = at[3],
                         .o = at[4],
                         .k = at[5],
                         .v = at[6],
                         .gate = at[7],
                         .up = at[8],
                         .cs = at[9],
                         .cs_local = at[10],
                         .mixed = at[11],
                         .router_logits = at[12],
                         .expert_weight = at[13],
                         .chosen = at[14]};
    TD_TRY(td_delta_work_init(&ws->delta, arena, &c->delta, m_max, err));
    TD_TRY(td_mla_work_init(&ws->mla, arena, &c->mla, c->n_head, m_max, err));
    return td_experts_work_init(&ws->experts, arena, &sizes, m_max, err);
}

/* ---- forward ---- */

td_status td_model_forward(const td_model *m, td_step *step, td_workspace *ws, td_err *err) {
    return m->arch->forward(m, step, ws, err);
}

void td_model_logits(const td_model *m, td_step *step, const float *h, int n_row, float *logits) {
    const td_config *c = &m->config;
    td_input in = td_input_of(h, n_row, c->n_embd);
    td_linear_forward(step, &m->lm_head, &in, logits, c->n_vocab);
    td_scale_forward(step, logits, c->logit_scale, n_row, c->n_vocab);
    if (c->logit_softcap > 0) td_softcap_forward(step, logits, n_row, c->n_vocab, c->logit_softcap);
}
