/* session.c - see session.h.
 *
 * Reading checks everything before it touches the sequence, and what then changes it cannot fail.
 */
#include "engine/session.h"

#include <string.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/filemap.h"
#include "base/hash.h"
#include "base/outfile.h"
#include "engine/engine_int.h"

static const uint8_t magic[8] = "TDSESS\r\n";

enum { CHECKSUM_BYTES = 8, SAMPLE_BYTES = 256 };

/* ---- which model ---- */

static void hash_string(td_hash *hash, const char *text, size_t n) {
    td_hash_add_u64(hash, n);
    td_hash_add(hash, text, n);
}

static void hash_meta_element(td_hash *hash, const td_meta *m, td_meta_type type, uint64_t i) {
    switch (type) {
    case TD_META_INT:
    case TD_META_UINT: td_hash_add_u64(hash, (uint64_t)td_meta_int(m, i)); break;
    case TD_META_BOOL: td_hash_add_u64(hash, td_meta_bool(m, i)); break;
    case TD_META_FLOAT: {
        const double x = td_meta_float(m, i);
        td_hash_add(hash, &x, sizeof x);
        break;
    }
    case TD_META_STRING: {
        const td_string s = td_meta_string(m, i);
        hash_string(hash, s.text, s.n);
        break;
    }
    case TD_META_ARRAY: break; /* arrays of arrays are refused when a file is opened */
    }
}

/* A renamed model or one with another template is still the same. */
static bool is_hyperparameter(const char *key) {
    if (strcmp(key, "general.architecture") == 0) return true;
    return strncmp(key, "general.", 8) != 0 && strncmp(key, "tokenizer.", 10) != 0;
}

static void hash_meta(td_hash *hash, const td_checkpoint *ckpt) {
    for (size_t i = 0; i < td_checkpoint_n_meta(ckpt); i++) {
        const td_meta *m = td_checkpoint_meta_at(ckpt, i);
        if (!is_hyperparameter(m->key)) continue;
        hash_string(hash, m->key, strlen(m->key));
        td_hash_add_u64(hash, m->n_elem);
        const td_meta_type type = m->type == TD_META_ARRAY ? m->elem_type : m->type;
        for (uint64_t e = 0; e < m->n_elem; e++) hash_meta_element(hash, m, type, e);
    }
}

static void hash_tensor(td_hash *hash, const td_tensor *t, uint8_t *row) {
    hash_string(hash, t->name, strlen(t->name));
    td_hash_add_u64(hash, (uint64_t)t->dtype);
    for (int d = 0; d < TD_MAX_DIMS; d++) td_hash_add_u64(hash, (uint64_t)t->ne[d]);
    const size_t n = td_tensor_row_bytes(t);
    if (td_tensor_elems(t) > 0)
        td_hash_add(hash, td_tensor_row(t, td_tensor_rows(t) / 2, row),
                    n < SAMPLE_BYTES ? n : SAMPLE_BYTES);
}

td_status td_session_model_id(const td_engine *e, uint64_t *out, td_err *err) {
    const td_checkpoint *ckpt = e->ckpt;
    size_t longest = 1;
    for (size_t i = 0; i < td_checkpoint_n_tensor(ckpt); i++) {
        const size_t n = td_tensor_row_bytes(td_checkpoint_tensor_at(ckpt, i));
        if (n > longest) longest = n;
    }
    uint8_t *row = td_malloc(longest);
    if (!row) return td_fail_nomem(err, "a row of weights", longest);
    td_hash hash;
    td_hash_init(&hash);
    hash_meta(&hash, ckpt);
    td_hash_add_u64(&hash, (uint64_t)e->model->config.n_vocab);
    td_hash_add_u64(&hash, (uint64_t)e->vocab.n_token);
    for (size_t i = 0; i < td_checkpoint_n_tensor(ckpt); i++)
        hash_tensor(&hash, td_checkpoint_tensor_at(ckpt, i), row);
    td_free(row);
    *out = td_hash_result(&hash);
    return TD_OK;
}

/* ---- the header ---- */

/* All of the file before the pages kept, in its order. */
typedef struct header {
    uint64_t n_bytes, model;
    uint32_t mode, k_dtype, v_dtype, n_layer;
    uint32_t n_token, n_eval, n_first;
    td_random random;
} header;

static td_kv_dtype k_dtype_of(const td_engine *e) { return e->kv->layers[0].k.dtype; }
static td_kv_dtype v_dtype_of(const td_engine *e) { return e->kv->layers[0].v.dtype; }

/* Bytes of a file with this header, whose layers keep their pages from kept_from[] on. */
static td_status file_bytes(size_t *out, const td_engine *e, const header *h, const int *kept_from,
                            td_err *err) {
    *out = sizeof magic + 2 * 4 + 2 * 8 + 8 * 4 + 4 * 8 + CHECKSUM_BYTES;
    *out += 4 * ((size_t)h->n_layer + (size_t)h->n_token);
    for (int i = 0; i < e->kv->n_layer; i++) {
        size_t bytes;
        TD_TRY(td_kv_cache_visit_bytes(&bytes, e->kv, i, kept_from[i], (int)h->n_eval, err));
        TD_TRY(td_add_size(out, *out, bytes, "session", err));
    }
    return TD_OK;
}

/* ---- writing ---- */

typedef struct writer {
    td_outfile file;
    td_hash hash;
} writer;

static td_status put(writer *w, const void *data, size_t n, td_err *err) {
    td_hash_add(&w->hash, data, n);
    return td_outfile_write(&w->file, data, n, err);
}

static td_status put_u32(writer *w, uint32_t x, td_err *err) {
    uint8_t bytes[4];
    for (int i = 0; i < 4; i++) bytes[i] = (uint8_t)(x >> 8 * i);
    return put(w, bytes, sizeof bytes, err);
}

static td_status put_u64(writer *w, uint64_t x, td_err *err) {
    TD_TRY(put_u32(w, (uint32_t)x, err));
    return put_u32(w, (uint32_t)(x >> 32), err);
}

static td_status put_rows(void *user, uint8_t *rows, size_t n, td_err *err) {
    return put(user, rows, n, err);
}

static td_status put_header(writer *w, const header *h, td_err *err) {
    TD_TRY(put(w, magic, sizeof magic, err));
    const uint32_t version[] = {TD_SESSION_VERSION, TD_KV_PAGE};
    for (int i = 0; i < 2; i++) TD_TRY(put_u32(w, version[i], err));
    TD_TRY(put_u64(w, h->n_bytes, err));
    TD_TRY(put_u64(w, h->model, err));
    const uint32_t words[] = {h->mode,    h->k_dtype, h->v_dtype, h->n_layer,
                              h->n_token, h->n_eval,  h->n_first, 0};
    for (int i = 0; i < 8; i++) TD_TRY(put_u32(w, words[i], err));
    for (int i = 0; i < 4; i++) TD_TRY(put_u64(w, h->random.s[i], err));
    return TD_OK;
}

static td_status write_all(writer *w, const td_sequence *s, td_err *err) {
    td_engine *e = s->engine;
    int kept_from[TD_MAX_LAYERS];
    header h = {.mode = (uint32_t)e->mode,
                .k_dtype = (uint32_t)k_dtype_of(e),
                .v_dtype = (uint32_t)v_dtype_of(e),
                .n_layer = (uint32_t)e->kv->n_layer,
                .n_token = (uint32_t)s->n_token,
                .n_eval = (uint32_t)s->n_eval,
                .n_first = (uint32_t)s->n_first};
    td_sampler_get_random(s->sampler, &h.random);
    TD_TRY(td_session_model_id(e, &h.model, err));
    td_kv_cache_worth_keeping(e->kv, s->slot, s->n_eval, kept_from);
    size_t n_bytes;
    TD_TRY(file_bytes(&n_bytes, e, &h, kept_from, err));
    h.n_bytes = n_bytes;
    td_hash_init(&w->hash);
    TD_TRY(put_header(w, &h, err));
    for (int i = 0; i < e->kv->n_layer; i++) TD_TRY(put_u32(w, (uint32_t)kept_from[i], err));
    for (int i = 0; i < s->n_token; i++) TD_TRY(put_u32(w, (uint32_t)s->tokens[i], err));
    for (int i = 0; i < e->kv->n_layer; i++)
        TD_TRY(td_kv_cache_visit(e->kv, s->slot, i, kept_from[i], s->n_eval, put_rows, w, err));
    return put_u64(w, td_hash_result(&w->hash), err);
}

td_status td_sequence_save(const td_sequence *s, const char *path, td_err *err) {
    writer w;
    TD_TRY(td_outfile_open(&w.file, path, err));
    const td_status status = write_all(&w, s, err);
    if (status == TD_OK) return td_outfile_commit(&w.file, err);
    td_outfile_abort(&w.file);
    return status;
}

/* ---- reading ---- */

static td_status read_header(td_cursor *c, header *h, td_err *err) {
    const uint8_t *found;
    uint32_t version, page, zero;
    TD_TRY(td_cursor_bytes(c, &found, sizeof magic, "the magic", err));
    if (memcmp(found, magic, sizeof magic) != 0)
        return td_fail(err, TD_ERR_FORMAT, "%s: no session of Tandem: it begins otherwise",
                       c->name);
    TD_TRY(td_cursor_u32(c, &version, "the version", err));
    if (version != TD_SESSION_VERSION)
        return td_fail(err, TD_ERR_UNSUPPORTED,
                       "%s: the session is of version %u, this build reads version %d", c->name,
                       version, TD_SESSION_VERSION);
    TD_TRY(td_cursor_u32(c, &page, "the page size", err));
    TD_TRY(td_cursor_u64(c, &h->n_bytes, "the size", err));
    if (h->n_bytes != c->n)
        return td_fail(err, TD_ERR_FORMAT,
                       "%s: the session has %zu bytes, wanted %llu: it is cut off or damaged",
                       c->name, c->n, (unsigned long long)h->n_bytes);
    if (page != TD_KV_PAGE)
        return td_fail(err, TD_ERR_UNSUPPORTED,
                       "%s: the session has pages of %u positions, this build %d", c->name, page,
                       TD_KV_PAGE);
    TD_TRY(td_cursor_u64(c, &h->model, "the model", err));
    uint32_t *words[] = {&h->mode,    &h->k_dtype, &h->v_dtype, &h->n_layer,
                         &h->n_token, &h->n_eval,  &h->n_first, &zero};
    for (int i = 0; i < 8; i++) TD_TRY(td_cursor_u32(c, words[i], "the header", err));
    for (int i = 0; i < 4; i++) TD_TRY(td_cursor_u64(c, &h->random.s[i], "the generator", err));
    return TD_OK;
}

static td_status check_checksum(const td_cursor *c, td_err *err) {
    td_cursor end = {.data = c->data, .n = c->n, .at = c->at, .name = c->name};
    if (td_cursor_left(&end) >= CHECKSUM_BYTES) end.at = c->n - CHECKSUM_BYTES;
    td_hash hash;
    td_hash_init(&hash);
    td_hash_add(&hash, c->data, end.at);
    uint64_t wanted;
    TD_TRY(td_cursor_u64(&end, &wanted, "the checksum", err));
    if (wanted == td_hash_result(&hash)) return TD_OK;
    return td_fail(err, TD_ERR_FORMAT,
                   "%s: the session is damaged: its checksum is %016llx, wanted %016llx", c->name,
                   (unsigned long long)td_hash_result(&hash), (unsigned long long)wanted);
}

static const char *kv_name(uint32_t dtype) {
    return dtype < TD_N_KV_DTYPE ? td_kv_dtype_name((td_kv_dtype)dtype) : "unknown";
}

/* Whether this engine can go on from the session. */
static td_status check_engine(const td_engine *e, const header *h, const char *name, td_err *err) {
    uint64_t model;
    TD_TRY(td_session_model_id(e, &model, err));
    if (h->model != model)
        return td_fail(err, TD_ERR_ARGUMENT,
                       "%s: the session belongs to another model than %s (%016llx, wanted %016llx)",
                       name, td_checkpoint_path(e->ckpt), (unsigned long long)h->model,
                       (unsigned long long)model);
    if (h->mode != (uint32_t)e->mode)
        return td_fail(err, TD_ERR_ARGUMENT, "%s: the session was made in %s mode, this is %s mode",
                       name, h->mode == TD_MODE_EXACT ? "exact" : "native",
                       e->mode == TD_MODE_EXACT ? "exact" : "native");
    if (h->k_dtype != (uint32_t)k_dtype_of(e) || h->v_dtype != (uint32_t)v_dtype_of(e))
        return td_fail(err, TD_ERR_ARGUMENT,
                       "%s: the session has keys in %s and values in %s, this KV cache %s and %s",
                       name, kv_name(h->k_dtype), kv_name(h->v_dtype),
                       td_kv_dtype_name(k_dtype_of(e)), td_kv_dtype_name(v_dtype_of(e)));
    if (h->n_token > (uint32_t)e->n_ctx)
        return td_fail(err, TD_ERR_LIMIT,
                       "%s: the session has %u tokens, but the context holds %d: give it more room",
                       name, h->n_token, e->n_ctx);
    const uint64_t *s = h->random.s;
    if (h->n_layer != (uint32_t)e->kv->n_layer || h->n_eval > h->n_token ||
        h->n_first > h->n_token || (s[0] | s[1] | s[2] | s[3]) == 0)
        return td_fail(err, TD_ERR_FORMAT,
                       "%s: the session contradicts itself: %u layers, %u tokens, %u evaluated, %u "
                       "of the first append",
                       name, h->n_layer, h->n_token, h->n_eval, h->n_first);
    return TD_OK;
}

/* Reads and checks what stands between the header and the pages; *tokens is borrowed. */
static td_status read_tables(const td_engine *e, td_cursor *c, const header *h, int *kept_from,
                             const uint8_t **tokens, td_err *err) {
    for (int i = 0; i < e->kv->n_layer; i++) {
        uint32_t block;
        TD_TRY(td_cursor_u32(c, &block, "the pages kept", err));
        if (!td_kv_cache_can_adopt(e->kv, i, block, (int)h->n_eval))
            return td_fail(err, TD_ERR_FORMAT,
                           "%s: layer %d of the session keeps pages from %u on, which does not fit "
                           "%u positions",
                           c->name, i, block, h->n_eval);
        kept_from[i] = (int)block;
    }
    td_cursor at = *c;
    TD_TRY(td_cursor_bytes(c, tokens, (size_t)h->n_token * 4, "the tokens", err));
    for (uint32_t i = 0; i < h->n_token; i++) {
        uint32_t token;
        TD_TRY(td_cursor_u32(&at, &token, "a token", err));
        if (token >= (uint32_t)e->model->config.n_vocab)
            return td_fail(err, TD_ERR_FORMAT, "%s: token %u of the session is %u, wanted 0 to %d",
                           c->name, i, token, e->model->config.n_vocab - 1);
    }
    size_t n_bytes;
    TD_TRY(file_bytes(&n_bytes, e, h, kept_from, err));
    if (n_bytes == c->n) return TD_OK;
    return td_fail(err, TD_ERR_FORMAT, "%s: the session has %zu bytes, its contents want %zu",
                   c->name, c->n, n_bytes);
}

static td_status take_rows(void *user, uint8_t *rows, size_t n, td_err *err) {
    td_cursor *c = user;
    const uint8_t *bytes;
    TD_TRY(td_cursor_bytes(c, &bytes, n, "keys and values", err));
    memcpy(rows, bytes, n);
    return TD_OK;
}

/* All has been checked. */
static void adopt(td_sequence *s, const header *h, const uint8_t *tokens, const int *kept_from,
                  td_cursor *pages) {
    td_kv_cache *kv = s->engine->kv;
    s->armed = false;
    s->i_logits = -1;
    s->n_token = (int)h->n_token;
    s->n_eval = (int)h->n_eval;
    s->n_first = (int)h->n_first;
    for (int i = 0; i < s->n_token; i++) {
        const uint8_t *t = tokens + 4 * (size_t)i;
        const uint32_t id =
            (uint32_t)t[0] | (uint32_t)t[1] << 8 | (uint32_t)t[2] << 16 | (uint32_t)t[3] << 24;
        s->tokens[i] = (td_token)id;
        s->is_prompt[i] = 1;
    }
    td_sampler_set_random(s->sampler, &h->random);
    td_kv_cache_adopt(kv, s->slot, kept_from, s->n_eval);
    for (int i = 0; i < kv->n_layer; i++) {
        const td_status status =
            td_kv_cache_visit(kv, s->slot, i, kept_from[i], s->n_eval, take_rows, pages, NULL);
        TD_ASSERT(status == TD_OK); /* read_tables has compared the sizes */
    }
}

td_status td_session_read(td_sequence *s, const uint8_t *data, size_t n, const char *name,
                          td_err *err) {
    td_cursor c = {.data = data, .n = n, .name = name};
    int kept_from[TD_MAX_LAYERS];
    const uint8_t *tokens;
    header h;
    TD_TRY(read_header(&c, &h, err));
    TD_TRY(check_checksum(&c, err));
    TD_TRY(check_engine(s->engine, &h, name, err));
    TD_TRY(read_tables(s->engine, &c, &h, kept_from, &tokens, err));
    adopt(s, &h, tokens, kept_from, &c);
    return TD_OK;
}

td_status td_sequence_load(td_sequence *s, const char *path, td_err *err) {
    td_filemap map;
    TD_TRY(td_filemap_open(&map, path, err));
    const td_status status = td_session_read(s, map.data, map.n, path, err);
    td_filemap_close(&map);
    return status;
}
