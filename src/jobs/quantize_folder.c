/* quantize_folder.c - the tensors of a Hugging Face folder, as a GGUF file has them.
 *
 * A tensor is one or more parts of the model, one below the other (q, k and v), read through the
 * views that the model reads them through.  Norms and biases are the model's own floats.  Weights
 * that only folders have (FP8, INT4 ...) are shown as F32: nothing is lost, and any type may
 * follow. */
#include "jobs/quantize_folder.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "tensor/quantize.h"
#include "tensor/source.h"

enum { MAX_PIECE = 3 };

typedef struct written {
    td_tensor shown;
    int i_layer;
    const td_tensor *pieces[MAX_PIECE]; /* [n_piece]; borrowed from the model */
    int n_piece;
    const float *floats; /* [rows][ne[0]], in place of pieces */
    int head_dim;        /* rows of a head whose first n_rot change places; 0: none do */
    int n_rot;
} written;

typedef struct folder_source {
    td_model *model; /* owned */
    td_vocab vocab;
    bool has_vocab;
    written *tensors; /* owned; [n] */
    size_t n, cap;
    const td_tensor **list; /* owned; [n] */
    uint64_t n_elem;
    td_arena arena; /* of names and floats */
} folder_source;

/* ---- rows ---- */

/* The files of a folder have the pairs that rotate together half of the rotated part apart, those
 * of some architectures in GGUF side by side. */
static int64_t row_in_folder(const written *t, int64_t row) {
    if (t->head_dim == 0) return row;
    const int64_t in_head = row % t->head_dim;
    if (in_head >= t->n_rot) return row;
    return row - in_head + in_head % 2 * (t->n_rot / 2) + in_head / 2;
}

static const uint8_t *read_row(void *user, size_t i_tensor, int64_t row, uint8_t *scratch) {
    const folder_source *f = user;
    const written *t = &f->tensors[i_tensor];
    const int64_t k = t->shown.ne[0];
    if (t->floats) return (const uint8_t *)(t->floats + row * k);
    row = row_in_folder(t, row);
    int i = 0;
    while (row >= t->pieces[i]->ne[1]) row -= t->pieces[i++]->ne[1];
    const td_tensor *piece = t->pieces[i];
    if (piece->dtype == t->shown.dtype) return td_tensor_row(piece, row, scratch);
    float *x = (float *)(void *)scratch;
    const uint8_t *blocks = td_tensor_row(piece, row, (uint8_t *)(x + k));
    td_dequantize_row(piece->dtype, blocks, x, (size_t)k);
    return scratch;
}

/* ---- the list ---- */

/* Where a part goes: the tensor of that name in the same layer, or NULL. */
static written *find_written(const folder_source *f, int i_layer, const char *name) {
    for (size_t i = f->n; i > 0 && f->tensors[i - 1].i_layer == i_layer; i--)
        if (strcmp(f->tensors[i - 1].shown.name, name) == 0) return &f->tensors[i - 1];
    return NULL;
}

static td_status add_written(folder_source *f, int i_layer, const char *name, written **out,
                             td_err *err) {
    TD_TRY(td_grow((void **)&f->tensors, &f->cap, f->n + 1, sizeof *f->tensors, "the tensor table",
                   err));
    const char *copy = td_arena_strndup(&f->arena, name, strlen(name));
    if (!copy) return td_fail_nomem(err, "the tensor table", strlen(name));
    *out = &f->tensors[f->n++];
    **out = (written){
        .i_layer = i_layer, .shown = {.name = copy, .n_dims = 1, .ne = {1, 1, 1, 1}}
    };
    return TD_OK;
}

/* Where GGUF has q, k and v apart and the folder has not, parts are named by their order. */
static const char *part_name(const folder_source *f, const td_part *part) {
    static const char *const split[] = {"attn_q", "attn_k", "attn_v"};
    if (strcmp(f->model->arch->name, "internlm2") != 0 || strcmp(part->name, "attn_qkv") != 0)
        return part->name;
    int n_before = 0;
    for (const td_part *p = f->model->parts; p != part; p = p->next)
        n_before += p->i_layer == part->i_layer && strcmp(p->name, part->name) == 0 &&
                    strcmp(p->suffix, part->suffix) == 0;
    return split[n_before % 3];
}

static td_dtype shown_dtype(const td_tensor *t) {
    const bool made_up =
        t->source && t->source->kind != TD_SOURCE_TRANSPOSED && t->source->kind != TD_SOURCE_MXFP4;
    return made_up ? TD_DTYPE_F32 : t->dtype;
}

static td_status add_piece(written *t, const td_tensor *piece, td_err *err) {
    td_tensor *shown = &t->shown;
    const td_dtype dtype = shown_dtype(piece);
    if (t->n_piece == MAX_PIECE || (t->n_piece > 0 && piece->ne[0] != shown->ne[0]))
        return td_fail(err, TD_ERR_FORMAT,
                       "tensor '%s' does not fit to the others of '%s', wanted at most %d of one "
                       "width",
                       piece->name, shown->name, MAX_PIECE);
    if (t->n_piece == 0) {
        shown->dtype = dtype;
        shown->n_dims = 2;
        shown->ne[0] = piece->ne[0];
        shown->ne[1] = piece->ne[1];
    } else {
        if (dtype != shown->dtype) shown->dtype = TD_DTYPE_F32;
        shown->ne[1] += piece->ne[1];
    }
    t->pieces[t->n_piece++] = piece;
    return TD_OK;
}

/* Norms, and biases that go one behind the other. */
static td_status add_floats(folder_source *f, written *t, const td_part *part, td_err *err) {
    td_tensor *shown = &t->shown;
    const size_t n_old = t->floats ? (size_t)td_tensor_elems(shown) : 0;
    const size_t n_new = (size_t)part->n * (size_t)part->n_set;
    float *x = td_arena_calloc(&f->arena, n_old + n_new, sizeof *x);
    if (!x) return td_fail_nomem(err, "the norms", n_old + n_new);
    if (n_old > 0) memcpy(x, t->floats, n_old * sizeof *x);
    memcpy(x + n_old, part->floats, n_new * sizeof *x);
    t->floats = x;
    shown->dtype = TD_DTYPE_F32;
    shown->n_dims = part->n_set > 1 ? 2 : 1;
    shown->ne[0] = part->n + (int64_t)n_old;
    shown->ne[1] = part->n_set;
    return TD_OK;
}

static td_status add_part(folder_source *f, const td_part *part, td_err *err) {
    char name[160];
    const char *base = part->name ? part_name(f, part) : NULL;
    if (!base)
        return td_fail(err, TD_ERR_UNSUPPORTED, "tensor '%s' has no name in GGUF files",
                       part->tensor ? part->tensor->name : part->suffix);
    if (part->i_layer < 0)
        snprintf(name, sizeof name, "%s.%s", base, part->suffix);
    else
        snprintf(name, sizeof name, "blk.%d.%s.%s", part->i_layer, base, part->suffix);
    written *t = find_written(f, part->i_layer, name);
    if (!t) TD_TRY(add_written(f, part->i_layer, name, &t, err));
    return part->tensor ? add_piece(t, part->tensor, err) : add_floats(f, t, part, err);
}

/* ---- q and k ---- */

static bool is_named(const written *t, const char *name) {
    const char *dot = strrchr(t->shown.name, '.');
    const size_t n = strlen(name), n_name = (size_t)(dot - t->shown.name);
    return n_name > n && t->shown.name[n_name - n - 1] == '.' && memcmp(dot - n, name, n) == 0;
}

static td_status permute_floats(folder_source *f, written *t, td_err *err) {
    const size_t n = (size_t)t->shown.ne[0];
    float *x = td_arena_calloc(&f->arena, n, sizeof *x);
    if (!x) return td_fail_nomem(err, "the biases", n);
    for (size_t i = 0; i < n; i++) x[i] = t->floats[row_in_folder(t, (int64_t)i)];
    t->floats = x;
    return TD_OK;
}

static td_status permute(folder_source *f, td_err *err) {
    const td_model *m = f->model;
    if (m->config.n_rot == 0 || !m->rope.neox || m->neox_gguf) return TD_OK;
    for (size_t i = 0; i < f->n; i++) {
        written *t = &f->tensors[i];
        if (!is_named(t, "attn_q") && !is_named(t, "attn_k")) continue;
        t->head_dim = m->config.head_dim;
        t->n_rot = m->config.n_rot;
        if (t->floats) TD_TRY(permute_floats(f, t, err));
    }
    return TD_OK;
}

/* Command R's norms of single heads are matrices, even where there is but one head. */
static void shape_norms(folder_source *f) {
    if (strcmp(f->model->arch->name, "command-r") != 0) return;
    for (size_t i = 0; i < f->n; i++)
        if (is_named(&f->tensors[i], "attn_q_norm") || is_named(&f->tensors[i], "attn_k_norm"))
            f->tensors[i].shown.n_dims = 2;
}

/* ---- rotary factors ---- */

static td_status add_divisors(folder_source *f, const char *name, int n, float **out, td_err *err) {
    written *t;
    TD_TRY(add_written(f, -1, name, &t, err));
    *out = td_arena_calloc(&f->arena, (size_t)n, sizeof **out);
    if (!*out) return td_fail_nomem(err, "the rotary factors", (size_t)n);
    t->floats = *out;
    t->shown.dtype = TD_DTYPE_F32;
    t->shown.ne[0] = n;
    return TD_OK;
}

/* Llama 3's scaling is in GGUF what it divides each frequency by. */
static td_status add_llama3(folder_source *f, td_err *err) {
    const td_model *m = f->model;
    const int n = m->config.n_rot / 2;
    td_rope_config plain = m->config.rope;
    float *divisors;
    TD_TRY(add_divisors(f, "rope_freqs.weight", n, &divisors, err));
    plain.scaling = TD_ROPE_PLAIN;
    td_rope_frequencies(divisors, m->config.n_rot, &plain, NULL);
    for (int i = 0; i < n; i++) {
        divisors[i] /= m->rope.inv_freq[i];
        if (!(divisors[i] > 0) || divisors[i] > FLT_MAX)
            return td_fail(err, TD_ERR_FORMAT,
                           "rope_scaling: frequency %d would be divided by %g, wanted a number "
                           "above 0",
                           i, (double)divisors[i]);
    }
    return TD_OK;
}

static td_status add_list(folder_source *f, const char *name, const char *keys, td_err *err) {
    const int n = f->model->config.n_rot / 2;
    const td_meta *list = td_config_find(f->model->ckpt, (td_setting){NULL, keys});
    float *divisors;
    if (!list) return TD_OK;
    TD_TRY(add_divisors(f, name, n, &divisors, err));
    for (int i = 0; i < n; i++) divisors[i] = (float)td_meta_float(list, (uint64_t)i);
    return TD_OK;
}

static td_status add_rotary(folder_source *f, td_err *err) {
    const td_config *c = &f->model->config;
    if (c->n_rot == 0) return TD_OK;
    if (c->rope.scaling == TD_ROPE_LLAMA3) return add_llama3(f, err);
    TD_TRY(add_list(f, "rope_factors_long.weight",
                    "rope_parameters.long_factor|rope_scaling.long_factor", err));
    return add_list(f, "rope_factors_short.weight",
                    "rope_parameters.short_factor|rope_scaling.short_factor", err);
}

/* ---- the source ---- */

void td_quantize_folder_close(td_quantize_source *s) {
    folder_source *f = s->user;
    if (f) {
        if (f->has_vocab) td_vocab_clear(&f->vocab);
        td_model_close(f->model);
        td_free(f->tensors);
        td_free(f->list);
        td_arena_clear(&f->arena);
        td_free(f);
    }
    *s = (td_quantize_source){0};
}

static td_status put_meta(void *user, td_gguf_writer *w, td_err *err) {
    const folder_source *f = user;
    TD_TRY(td_folder_put_config(f->model, f->n_elem, w, err));
    return f->has_vocab ? td_folder_put_vocab(f->model, &f->vocab, w, err) : TD_OK;
}

static int by_name(const void *a, const void *b) {
    const written *x = a, *y = b;
    return td_mix_compare_names(x->shown.name, y->shown.name);
}

/* Every part of the model must be in the list by now. */
static td_status finish_list(folder_source *f, td_quantize_source *s, td_err *err) {
    f->list = td_calloc(f->n, sizeof *f->list);
    if (!f->list) return td_fail_nomem(err, "the tensor table", f->n * sizeof *f->list);
    qsort(f->tensors, f->n, sizeof *f->tensors, by_name);
    for (size_t i = 0; i < f->n; i++) {
        written *t = &f->tensors[i];
        /* Positions are added, never multiplied: converters keep them exact. */
        if (strcmp(t->shown.name, "position_embd.weight") == 0) t->shown.dtype = TD_DTYPE_F32;
        for (int p = 0; p < t->n_piece; p++) {
            const size_t bytes = td_tensor_row_bytes(t->pieces[p]);
            if (bytes > s->n_scratch) s->n_scratch = bytes;
        }
        f->n_elem += (uint64_t)td_tensor_elems(&t->shown);
        f->list[i] = &t->shown;
    }
    s->tensors = f->list;
    s->n_tensor = f->n;
    return TD_OK;
}

static td_status fill(td_quantize_source *s, folder_source *f, const td_checkpoint *ckpt,
                      td_err *err) {
    TD_TRY(td_model_open(&f->model, ckpt, NULL, err));
    TD_TRY(td_folder_arch_name(&s->model.arch, f->model, err));
    TD_TRY(td_folder_check_config(f->model, err));
    for (const td_part *p = f->model->parts; p; p = p->next) TD_TRY(add_part(f, p, err));
    TD_TRY(permute(f, err));
    shape_norms(f);
    TD_TRY(add_rotary(f, err));
    TD_TRY(finish_list(f, s, err));
    s->row = read_row;
    s->put_meta = put_meta;
    s->model.n_layer = f->model->config.n_layer;
    s->model.n_head = f->model->config.n_head;
    s->model.n_head_kv = f->model->config.n_head_kv;
    if (td_checkpoint_has_vocab(ckpt)) {
        TD_TRY(td_folder_read_vocab(ckpt, &f->vocab, err));
        f->has_vocab = true;
    } else {
        td_log(TD_LOG_WARN, "%s has no tokenizer, and so has the new file: it takes token ids only",
               td_checkpoint_path(ckpt));
    }
    return TD_OK;
}

td_status td_quantize_folder_open(td_quantize_source *out, const td_checkpoint *ckpt, td_err *err) {
    *out = (td_quantize_source){0};
    folder_source *f = td_calloc(1, sizeof *f);
    if (!f) return td_fail_nomem(err, "the source", sizeof *f);
    td_arena_init(&f->arena, 1 << 16);
    out->user = f;
    const td_status status = fill(out, f, ckpt, err);
    if (status != TD_OK) td_quantize_folder_close(out);
    return status;
}
