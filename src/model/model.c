/* model.c - choosing the architecture, opening, and the parts of a forward pass that all models
 * share. */
#include "model/model.h"

#include <string.h>

#include "base/alloc.h"
#include "model/archs.h"

static const td_arch *const archs[] = {&td_arch_llama, &td_arch_qwen2, &td_arch_gemma3, NULL};

const td_arch *const *td_arch_list(void) { return archs; }

static td_status find_arch(const td_checkpoint *ckpt, const td_arch **out, td_err *err) {
    td_string name;
    TD_TRY(td_checkpoint_get_string(ckpt, "general.architecture", true, &name, err));
    for (int i = 0; archs[i]; i++) {
        if (strlen(archs[i]->gguf_name) != name.n) continue;
        if (memcmp(archs[i]->gguf_name, name.text, name.n) != 0) continue;
        *out = archs[i];
        return TD_OK;
    }
    td_strbuf known = {0};
    for (int i = 0; archs[i]; i++)
        td_strbuf_addf(&known, "%s%s", i ? ", " : "", archs[i]->gguf_name);
    const int n_shown = name.n < 64 ? (int)name.n : 64;
    td_status status =
        td_fail(err, TD_ERR_UNSUPPORTED, "%s: general.architecture is '%.*s'; this build runs %s",
                td_checkpoint_path(ckpt), n_shown, name.text, known.text ? known.text : "others");
    td_strbuf_clear(&known);
    return status;
}

static td_status open_model(td_model *m, td_err *err) {
    TD_TRY(find_arch(m->ckpt, &m->arch, err));
    TD_TRY(m->arch->read_config(&m->config, m->ckpt, err));
    return m->arch->build_modules(m, err);
}

/* Puts the file's name in front of a message, unless format/ has done so. */
static td_status name_file(const td_checkpoint *ckpt, td_status status, td_err *err) {
    const char *path = td_checkpoint_path(ckpt);
    if (err && strncmp(err->msg, path, strlen(path)) == 0) return status;
    return td_fail_in(err, status, "%s", path);
}

td_status td_model_open(td_model **out, const td_checkpoint *ckpt, td_err *err) {
    *out = NULL;
    td_model *m = td_calloc(1, sizeof *m);
    if (!m) return td_fail_nomem(err, "the model", sizeof *m);
    m->ckpt = ckpt;
    td_arena_init(&m->arena, 1 << 16);
    const td_status status = open_model(m, err);
    if (status != TD_OK) {
        td_model_close(m);
        return name_file(ckpt, status, err);
    }
    *out = m;
    return TD_OK;
}

void td_model_close(td_model *m) {
    if (!m) return;
    td_arena_clear(&m->arena);
    td_free(m);
}

td_status td_model_check(const td_checkpoint *ckpt, td_err *err) {
    td_model *m;
    TD_TRY(td_model_open(&m, ckpt, err));
    td_model_close(m);
    return TD_OK;
}

td_status td_model_describe(const td_checkpoint *ckpt, td_strbuf *out, bool json, td_err *err) {
    td_model *m;
    TD_TRY(td_model_open(&m, ckpt, err));
    td_module_print(m->root, json, out);
    td_model_close(m);
    return td_strbuf_check(out, "the module tree", err);
}

void td_model_kv_shapes(const td_model *m, td_kv_shape *shapes) {
    for (int i = 0; i < m->config.n_layer; i++)
        shapes[i] = (td_kv_shape){.n_head_kv = m->config.n_head_kv,
                                  .head_dim = m->config.head_dim,
                                  .window = m->layers[i].is_local ? m->config.window : 0};
}

int td_model_k_max(const td_model *m) {
    int k_max = 0;
    for (int i = 0; i < m->n_linear; i++)
        if (m->linears[i]->k > k_max) k_max = m->linears[i]->k;
    return k_max;
}

/* ---- workspace ---- */

/* Row widths of the buffers, in the order of td_workspace. */
enum { N_BUFFER = 10 };

static void buffer_widths(const td_config *c, size_t widths[N_BUFFER]) {
    const size_t n_q = (size_t)c->n_head * (size_t)c->head_dim;
    const size_t n_kv = (size_t)c->n_head_kv * (size_t)c->head_dim;
    const size_t all[N_BUFFER] = {(size_t)c->n_embd,
                                  (size_t)c->n_embd,
                                  n_q,
                                  n_q,
                                  n_kv,
                                  n_kv,
                                  (size_t)c->n_ff,
                                  (size_t)c->n_ff,
                                  (size_t)c->n_rot,
                                  (size_t)c->n_rot};
    memcpy(widths, all, sizeof all);
}

td_status td_workspace_bytes(size_t *out, const td_config *c, int m_max, td_err *err) {
    size_t widths[N_BUFFER];
    buffer_widths(c, widths);
    *out = 0;
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
    buffer_widths(c, widths);
    float **buffers[N_BUFFER] = {&ws->h, &ws->x,    &ws->q,  &ws->o,  &ws->k,
                                 &ws->v, &ws->gate, &ws->up, &ws->cs, &ws->cs_local};
    for (int i = 0; i < N_BUFFER; i++) {
        *buffers[i] = td_arena_alloc(arena, widths[i] * (size_t)m_max * sizeof(float));
        if (!*buffers[i]) return td_fail_nomem(err, "the workspace", widths[i] * (size_t)m_max);
    }
    return TD_OK;
}

/* ---- forward ---- */

td_status td_model_forward(const td_model *m, td_step *step, td_workspace *ws, td_err *err) {
    return m->arch->forward(m, step, ws, err);
}

void td_model_logits(const td_model *m, td_step *step, const float *h, int n_row, float *logits) {
    td_input in = td_input_of(h, n_row, m->config.n_embd);
    td_linear_forward(step, &m->lm_head, &in, logits, m->config.n_vocab);
}
