/* quantize_model.c - see quantize_model.h.
 *
 * A tensor goes through in slabs of rows: the threads turn rows into blocks, each row into its own
 * place of the slab, and the slab is written.  So memory stays small whatever the tensor, and the
 * bytes are the same for any number of threads. */
#include "jobs/quantize_model.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "runtime/pool.h"
#include "runtime/topology.h"
#include "tensor/quantize.h"

enum { SLAB_BYTES = 8 << 20, GRAIN_ELEMS = 16384, QUANTIZATION_VERSION = 2 };

/* ---- the plan ---- */

/* The importance of a tensor's columns: [ne[2]][ne[0]], or NULL. */
static td_status find_importance(const td_quantize_options *o, const td_tensor *t,
                                 const td_mix_choice *choice, const float **out, td_err *err) {
    size_t n = 0;
    *out = o->imatrix ? td_imatrix_find(o->imatrix, t->name, &n) : NULL;
    const bool fits = *out && n % (size_t)t->ne[0] == 0 &&
                      (int64_t)(n / (size_t)t->ne[0]) == t->ne[2] && t->ne[3] == 1;
    /* The matrix may come from a model whose embeddings are its output too. */
    if (*out && !fits && strcmp(t->name, "token_embd.weight") != 0)
        return td_fail(err, TD_ERR_FORMAT,
                       "%s: %zu values for tensor '%s', wanted %lld (of %lld columns)",
                       td_imatrix_path(o->imatrix), n, t->name, (long long)(t->ne[0] * t->ne[2]),
                       (long long)t->ne[0]);
    if (!fits) *out = NULL;
    if (!*out && choice->needs_imatrix)
        return td_fail(err, TD_ERR_ARGUMENT,
                       "tensor '%s' would become %s, which is garbage without an importance "
                       "matrix, and %s",
                       t->name, td_dtype_name((int)choice->dtype),
                       o->imatrix ? "the one given says nothing about it" : "none is given");
    return TD_OK;
}

static td_status check_conversion(const td_quantize_options *o, const td_tensor *t,
                                  const td_mix_choice *choice, td_err *err) {
    const td_dtype_info *from = td_dtype_get_info((int)t->dtype);
    if (choice->dtype == t->dtype) return TD_OK;
    if (!from->readable)
        return td_fail(err, TD_ERR_UNSUPPORTED, "tensor '%s' has type %s, which cannot be read",
                       t->name, from->name);
    if (from->block_elems > 1 && !o->allow_requantize)
        return td_fail(err, TD_ERR_ARGUMENT,
                       "tensor '%s' has type %s already, and would lose more as %s: "
                       "--allow-requantize does it all the same",
                       t->name, from->name, td_dtype_name((int)choice->dtype));
    if (!td_dtype_can_quantize(choice->dtype))
        return td_fail(err, TD_ERR_UNSUPPORTED, "tensor '%s': type %s cannot be written", t->name,
                       td_dtype_name((int)choice->dtype));
    return TD_OK;
}

static td_status count_bytes(td_quantize_result *r, const td_tensor *t, td_dtype to, td_err *err) {
    size_t in, out;
    TD_TRY(td_dtype_row_bytes(&in, t->dtype, (size_t)t->ne[0], err));
    TD_TRY(td_dtype_row_bytes(&out, to, (size_t)t->ne[0], err));
    r->n_elem += (uint64_t)td_tensor_elems(t);
    r->n_bytes_in += in * (uint64_t)td_tensor_rows(t);
    r->n_bytes_out += out * (uint64_t)td_tensor_rows(t);
    return TD_OK;
}

td_status td_quantize_plan(const td_quantize_options *o, td_mix_choice *choices,
                           td_quantize_result *r, td_err *err) {
    const td_quantize_source *s = o->source;
    td_mix_options mix = o->mix;
    mix.model = s->model;
    mix.has_imatrix = o->imatrix != NULL;
    *r = (td_quantize_result){.n_tensor = s->n_tensor};
    TD_TRY(td_mix_choose(&mix, s->tensors, s->n_tensor, choices, err));
    for (size_t i = 0; i < s->n_tensor; i++) {
        TD_TRY(check_conversion(o, s->tensors[i], &choices[i], err));
        TD_TRY(count_bytes(r, s->tensors[i], choices[i].dtype, err));
        r->n_quantized += choices[i].dtype != s->tensors[i]->dtype;
        r->n_fell_back += choices[i].fell_back;
        if (choices[i].needs_imatrix && choices[i].dtype != s->tensors[i]->dtype)
            r->n_needs_imatrix++;
    }
    return TD_OK;
}

static td_status check_importance(const td_quantize_options *o, const td_mix_choice *choices,
                                  td_err *err) {
    const td_quantize_source *s = o->source;
    for (size_t i = 0; i < s->n_tensor; i++) {
        const float *importance;
        if (choices[i].dtype != s->tensors[i]->dtype)
            TD_TRY(find_importance(o, s->tensors[i], &choices[i], &importance, err));
    }
    return TD_OK;
}

/* ---- the run ---- */

/* A worker's own. */
typedef struct worker {
    float *x;         /* owned; a row */
    uint8_t *scratch; /* owned; a row as the source has it */
    int64_t bad_row;  /* the first that could not be said in the type; -1: none */
} worker;

/* Lifetime: one td_quantize_run(). */
typedef struct run {
    const td_quantize_options *o;
    td_mix_choice *choices; /* owned; [n_tensor] */
    td_gguf_writer writer;
    td_pool *pool;   /* owned */
    worker *workers; /* owned; [n_worker] */
    int n_worker;
    uint8_t *slab;          /* owned */
    uint64_t n_done, n_all; /* bytes of tensors in the new file */
    /* The tensor under way. */
    size_t i_tensor;
    const float *importance;
    int64_t first_row; /* of the slab */
    size_t row_bytes;
} run;

static bool all_finite(const float *x, size_t n) {
    float sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i] * 0.0f; /* 0, or else NaN */
    return sum == 0;
}

static void convert_row(const run *j, worker *w, int64_t row, uint8_t *dst) {
    const td_quantize_source *s = j->o->source;
    const td_tensor *t = s->tensors[j->i_tensor];
    const td_dtype dtype = j->choices[j->i_tensor].dtype;
    const size_t k = (size_t)t->ne[0];
    const uint8_t *blocks = s->row(s->user, j->i_tensor, row, w->scratch);
    if (dtype == t->dtype) {
        memcpy(dst, blocks, j->row_bytes);
        return;
    }
    td_dequantize_row(t->dtype, blocks, w->x, k);
    bool good = all_finite(w->x, k);
    const float *importance = j->importance;
    if (importance) importance += (size_t)(row / t->ne[1]) * k;
    if (td_quantize_row_weighted(dtype, w->x, importance, dst, k, NULL) != TD_OK) good = false;
    td_dequantize_row(dtype, dst, w->x, k);
    if (!good || !all_finite(w->x, k))
        if (w->bad_row < 0 || row < w->bad_row) w->bad_row = row;
}

static void convert_rows(void *context, int begin, int end, int i_thread) {
    run *j = context;
    for (int i = begin; i < end; i++)
        convert_row(j, &j->workers[i_thread], j->first_row + i, j->slab + (size_t)i * j->row_bytes);
}

static td_status check_rows(const run *j, td_err *err) {
    const td_tensor *t = j->o->source->tensors[j->i_tensor];
    int64_t bad = -1;
    for (int i = 0; i < j->n_worker; i++) {
        const int64_t row = j->workers[i].bad_row;
        if (row >= 0 && (bad < 0 || row < bad)) bad = row;
    }
    if (bad < 0) return TD_OK;
    return td_fail(err, TD_ERR_FORMAT,
                   "tensor '%s', row %lld: a weight is not finite, or too large for %s", t->name,
                   (long long)bad, td_dtype_name((int)j->choices[j->i_tensor].dtype));
}

static td_status write_tensor(run *j, td_err *err) {
    const td_tensor *t = j->o->source->tensors[j->i_tensor];
    const td_mix_choice *choice = &j->choices[j->i_tensor];
    const int64_t n_row = td_tensor_rows(t);
    TD_TRY(td_dtype_row_bytes(&j->row_bytes, choice->dtype, (size_t)t->ne[0], err));
    j->importance = NULL;
    if (choice->dtype != t->dtype) TD_TRY(find_importance(j->o, t, choice, &j->importance, err));
    const int64_t most = SLAB_BYTES / (int64_t)j->row_bytes;
    const int64_t n_slab_row = most < 1 ? 1 : most;
    const int grain = t->ne[0] < GRAIN_ELEMS ? (int)(GRAIN_ELEMS / t->ne[0]) : 1;
    for (j->first_row = 0; j->first_row < n_row; j->first_row += n_slab_row) {
        const int64_t left = n_row - j->first_row;
        const int n = (int)(left < n_slab_row ? left : n_slab_row);
        td_pool_run(j->pool, n, grain, convert_rows, j);
        TD_TRY(check_rows(j, err));
        TD_TRY(td_gguf_writer_data(&j->writer, j->slab, (size_t)n * j->row_bytes, err));
        j->n_done += (uint64_t)n * j->row_bytes;
        if (j->o->report && !j->o->report(j->o->user, j->n_done, j->n_all))
            return td_fail(err, TD_ERR_CANCELLED, "cancelled");
    }
    return TD_OK;
}

/* ---- metadata ---- */

static td_status put_u32(td_gguf_writer *w, const char *key, int64_t value, td_err *err) {
    const uint32_t v = (uint32_t)value;
    return td_gguf_writer_put(w, key, TD_GGUF_U32, &v, err);
}

static td_status put_text(td_gguf_writer *w, const char *key, const char *text, td_err *err) {
    return td_gguf_writer_put_string(w, key, (td_string){text, strlen(text)}, err);
}

static td_status put_imatrix(td_gguf_writer *w, const td_imatrix *m, td_err *err) {
    TD_TRY(put_text(w, "quantize.imatrix.file", td_imatrix_path(m), err));
    const char *dataset = td_imatrix_dataset(m);
    if (dataset) TD_TRY(put_text(w, "quantize.imatrix.dataset", dataset, err));
    TD_TRY(put_u32(w, "quantize.imatrix.entries_count", (int64_t)td_imatrix_n_entry(m), err));
    if (td_imatrix_n_chunk(m) == 0) return TD_OK;
    return put_u32(w, "quantize.imatrix.chunks_count", td_imatrix_n_chunk(m), err);
}

static td_status describe(run *j, td_err *err) {
    const td_quantize_source *s = j->o->source;
    TD_TRY(s->put_meta(s->user, &j->writer, err));
    if (!j->o->mix.only_copy) {
        TD_TRY(put_u32(&j->writer, "general.quantization_version", QUANTIZATION_VERSION, err));
        TD_TRY(put_u32(&j->writer, "general.file_type", j->o->mix.mix->file_type, err));
    }
    if (j->o->imatrix) TD_TRY(put_imatrix(&j->writer, j->o->imatrix, err));
    for (size_t i = 0; i < s->n_tensor; i++) {
        const td_tensor *t = s->tensors[i];
        TD_TRY(
            td_gguf_writer_tensor(&j->writer, t->name, j->choices[i].dtype, t->n_dims, t->ne, err));
        td_log(TD_LOG_INFO, "%s: %s to %s%s", t->name, td_dtype_name((int)t->dtype),
               td_dtype_name((int)j->choices[i].dtype),
               j->choices[i].fell_back ? ", for want of whole blocks" : "");
    }
    return TD_OK;
}

/* ---- memory ---- */

static td_status make_workers(run *j, td_err *err) {
    const td_quantize_source *s = j->o->source;
    size_t most_in = 0, most_elems = 0, most_out = SLAB_BYTES;
    for (size_t i = 0; i < s->n_tensor; i++) {
        size_t in, out;
        TD_TRY(td_dtype_row_bytes(&in, s->tensors[i]->dtype, (size_t)s->tensors[i]->ne[0], err));
        TD_TRY(td_dtype_row_bytes(&out, j->choices[i].dtype, (size_t)s->tensors[i]->ne[0], err));
        most_in = in > most_in ? in : most_in;
        most_out = out > most_out ? out : most_out;
        if ((size_t)s->tensors[i]->ne[0] > most_elems) most_elems = (size_t)s->tensors[i]->ne[0];
    }
    size_t x_bytes;
    TD_TRY(td_add_size(&most_in, most_in, s->n_scratch, "a row", err));
    TD_TRY(td_mul_size(&x_bytes, most_elems, sizeof(float), "a row", err));
    j->slab = td_malloc(most_out);
    j->workers = td_calloc((size_t)j->n_worker, sizeof *j->workers);
    if (!j->slab || !j->workers) return td_fail_nomem(err, "a slab of rows", most_out);
    for (int i = 0; i < j->n_worker; i++) {
        worker *w = &j->workers[i];
        w->bad_row = -1;
        w->x = td_malloc(x_bytes);
        w->scratch = td_malloc(most_in);
        if (!w->x || !w->scratch) return td_fail_nomem(err, "a row", x_bytes + most_in);
    }
    return TD_OK;
}

static void release(run *j) {
    td_gguf_writer_abort(&j->writer);
    td_pool_free(j->pool);
    for (int i = 0; i < j->n_worker && j->workers; i++) {
        td_free(j->workers[i].x);
        td_free(j->workers[i].scratch);
    }
    td_free(j->workers);
    td_free(j->slab);
    td_free(j->choices);
}

static td_status run_all(run *j, td_quantize_result *r, td_err *err) {
    const td_quantize_options *o = j->o;
    j->choices = td_calloc(o->source->n_tensor, sizeof *j->choices);
    if (!j->choices) return td_fail_nomem(err, "the tensor table", o->source->n_tensor);
    TD_TRY(td_quantize_plan(o, j->choices, r, err));
    TD_TRY(check_importance(o, j->choices, err));
    j->n_all = r->n_bytes_out;
    j->n_worker = o->n_thread > 0 ? o->n_thread : td_topology_n_cpu();
    TD_TRY(td_pool_create(&j->pool, j->n_worker, err));
    TD_TRY(make_workers(j, err));
    TD_TRY(td_gguf_writer_open(&j->writer, o->path, err));
    TD_TRY(describe(j, err));
    for (j->i_tensor = 0; j->i_tensor < o->source->n_tensor; j->i_tensor++)
        TD_TRY(write_tensor(j, err));
    return td_gguf_writer_commit(&j->writer, err);
}

td_status td_quantize_run(const td_quantize_options *o, td_quantize_result *r, td_err *err) {
    run j = {.o = o};
    const td_status status = run_all(&j, r, err);
    release(&j);
    return status;
}
