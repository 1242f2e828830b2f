/* quantize_gguf.c - a GGUF checkpoint as the source of `tandem quantize`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "jobs/quantize_model.h"

typedef struct gguf_source {
    const td_checkpoint *ckpt; /* borrowed */
    const td_tensor **tensors; /* owned */
    char *arch;                /* owned */
} gguf_source;

void td_quantize_gguf_close(td_quantize_source *s) {
    gguf_source *g = s->user;
    if (g) {
        td_free(g->tensors);
        td_free(g->arch);
        td_free(g);
    }
    *s = (td_quantize_source){0};
}

static const uint8_t *read_row(void *user, size_t i_tensor, int64_t row, uint8_t *scratch) {
    const gguf_source *g = user;
    return td_tensor_row(g->tensors[i_tensor], row, scratch);
}

/* Keys that say how the file was cut or laid out, which the new one is not. */
static bool is_about_the_file(const char *key) {
    return strncmp(key, "split.", 6) == 0 || strcmp(key, "general.alignment") == 0;
}

static td_status put_meta(void *user, td_gguf_writer *w, td_err *err) {
    const gguf_source *g = user;
    for (size_t i = 0; i < td_checkpoint_n_meta(g->ckpt); i++) {
        const td_meta *meta = td_checkpoint_meta_at(g->ckpt, i);
        if (!is_about_the_file(meta->key)) TD_TRY(td_gguf_writer_copy(w, meta, err));
    }
    return TD_OK;
}

/* An optional count of the architecture's, of the first layer where layers differ. */
static td_status read_count(const gguf_source *g, const char *name, int64_t *out, td_err *err) {
    char key[256];
    if (snprintf(key, sizeof key, "%s.%s", g->arch, name) >= (int)sizeof key)
        return td_fail(err, TD_ERR_FORMAT, "%s: general.architecture is too long",
                       td_checkpoint_path(g->ckpt));
    return td_checkpoint_get_ints(g->ckpt, key, false, 0, INT32_MAX, 1, out, err);
}

static int by_name(const void *a, const void *b) {
    const td_tensor *const *x = a, *const *y = b;
    return td_mix_compare_names((*x)->name, (*y)->name);
}

static td_status fill(td_quantize_source *s, gguf_source *g, td_err *err) {
    td_string arch;
    TD_TRY(td_checkpoint_get_string(g->ckpt, "general.architecture", true, &arch, err));
    s->n_tensor = td_checkpoint_n_tensor(g->ckpt);
    g->arch = td_strndup(arch.text, arch.n);
    g->tensors = td_calloc(s->n_tensor, sizeof *g->tensors);
    if (!g->arch || !g->tensors)
        return td_fail_nomem(err, "the tensor table", s->n_tensor * sizeof *g->tensors);
    for (size_t i = 0; i < s->n_tensor; i++) g->tensors[i] = td_checkpoint_tensor_at(g->ckpt, i);
    if (s->n_tensor > 0) qsort(g->tensors, s->n_tensor, sizeof *g->tensors, by_name);
    s->tensors = g->tensors;
    s->row = read_row;
    s->put_meta = put_meta;
    s->model.arch = g->arch;
    TD_TRY(read_count(g, "block_count", &s->model.n_layer, err));
    TD_TRY(read_count(g, "attention.head_count", &s->model.n_head, err));
    s->model.n_head_kv = s->model.n_head;
    TD_TRY(read_count(g, "attention.head_count_kv", &s->model.n_head_kv, err));
    return read_count(g, "expert_count", &s->model.n_expert, err);
}

td_status td_quantize_gguf_open(td_quantize_source *out, const td_checkpoint *ckpt, td_err *err) {
    *out = (td_quantize_source){0};
    gguf_source *g = td_calloc(1, sizeof *g);
    if (!g) return td_fail_nomem(err, "the source", sizeof *g);
    g->ckpt = ckpt;
    out->user = g;
    const td_status status = fill(out, g, err);
    if (status != TD_OK) td_quantize_gguf_close(out);
    return status;
}
