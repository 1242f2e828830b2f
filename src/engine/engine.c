/* engine.c - making and freeing an engine, and what it tells about itself. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "engine/engine_int.h"
#include "runtime/topology.h"

enum { DEFAULT_CTX = 4096, MIN_CTX = 512, DEFAULT_BATCH = 512, EVAL_ROWS = 16 };

const char *td_version(void) { return TD_VERSION; }

void td_string_free(char *s) { td_free(s); }

/* ---- creation ---- */

static td_status check_range(const char *name, int value, int max, td_err *err) {
    if (value >= 0 && value <= max) return TD_OK;
    return td_fail(err, TD_ERR_ARGUMENT, "%s is %d, wanted 0 (the default) to %d", name, value,
                   max);
}

static td_status check_options(const td_engine_options *o, td_err *err) {
    if (!o->model_path) return td_fail(err, TD_ERR_ARGUMENT, "no model path given");
    TD_TRY(check_range("kv_type", (int)o->kv_type, TD_KV_Q4_0, err));
    TD_TRY(check_range("kv_value_type", (int)o->kv_value_type, TD_KV_Q4_0, err));
    TD_TRY(check_range("n_thread", o->n_thread, 4096, err));
    if (o->n_ctx != TD_N_CTX_LARGEST) TD_TRY(check_range("n_ctx", o->n_ctx, 1 << 28, err));
    TD_TRY(check_range("n_seq", o->n_seq, 4096, err));
    return check_range("n_batch", o->n_batch, 1 << 16, err);
}

static char *string_copy(td_string s) { return td_strndup(s.text, s.n); }

static td_status read_names(td_engine *e, td_err *err) {
    td_string name;
    TD_TRY(td_checkpoint_get_string(e->ckpt, "general.name", false, &name, err));
    if (!name.text) {
        const char *path = td_checkpoint_path(e->ckpt), *slash = strrchr(path, '/');
        name.text = slash ? slash + 1 : path;
        name.n = strlen(name.text);
    }
    e->name = string_copy(name);
    if (!e->name) return td_fail_nomem(err, "the model's name", name.n);
    return TD_OK;
}

static td_status open_checkpoint(td_engine *e, const td_engine_options *o, td_err *err) {
    if (o->weights_path)
        return td_checkpoint_open_with(&e->ckpt, o->model_path, o->weights_path, err);
    return td_checkpoint_open(&e->ckpt, o->model_path, err);
}

/* With rules twice, if they want the other form of latent attention. */
static td_status open_model(td_engine *e, const td_engine_options *o, td_err *err) {
    td_model_options options = {.materialize = o->materialize_prompt};
    bool materialize = false;
    TD_TRY(td_model_open(&e->model, e->ckpt, &options, err));
    if (!o->rules_path) return TD_OK;
    TD_TRY(td_engine_apply_rules(e, o, &materialize, err));
    if (!materialize || options.materialize) return TD_OK;
    td_model_close(e->model);
    e->model = NULL;
    options.materialize = true;
    TD_TRY(td_model_open(&e->model, e->ckpt, &options, err));
    return td_engine_apply_rules(e, o, &materialize, err);
}

static td_status open_files(td_engine *e, const td_engine_options *o, td_err *err) {
    TD_TRY(open_checkpoint(e, o, err));
    TD_TRY(open_model(e, o, err));
    if (td_checkpoint_has_vocab(e->ckpt)) {
        TD_TRY(td_checkpoint_read_vocab(e->ckpt, &e->vocab, err));
    } else { /* good for tokens, not for text */
        td_log(TD_LOG_WARN, "%s has no tokenizer: only token ids can go in", o->model_path);
        e->vocab = (td_vocab){.bos = -1, .eos = -1, .eot = -1, .eom = -1, .unk = -1, .pad = -1};
    }
    TD_TRY(td_model_check_vocab(e->ckpt, e->model->config.n_vocab, e->vocab.n_token, err));
    TD_TRY(td_tokenizer_create(&e->tokenizer, &e->vocab, err));
    for (int32_t i = 0; i < e->vocab.n_token; i++)
        if (e->vocab.tokens[i].n > e->longest_token) e->longest_token = e->vocab.tokens[i].n;
    return read_names(e, err);
}

static td_kv_dtype kv_dtype_of(td_kv_type type, td_mode mode) {
    switch (type) {
    case TD_KV_F16: return TD_KV_DTYPE_F16;
    case TD_KV_F32: return TD_KV_DTYPE_F32;
    case TD_KV_Q8_0: return TD_KV_DTYPE_Q8_0;
    case TD_KV_Q4_0: return TD_KV_DTYPE_Q4_0;
    case TD_KV_DEFAULT: break;
    }
    return mode == TD_MODE_EXACT ? TD_KV_DTYPE_F32 : TD_KV_DTYPE_F16;
}

td_kv_spec td_engine_kv_spec(const td_engine *e, const td_engine_options *o, td_kv_shape *shapes,
                             int n_ctx) {
    const td_kv_type v_type = o->kv_value_type ? o->kv_value_type : o->kv_type;
    td_model_kv_shapes(e->model, shapes);
    return (td_kv_spec){.shapes = shapes,
                        .n_layer = e->model->config.n_layer,
                        .k_dtype = kv_dtype_of(o->kv_type, o->mode),
                        .v_dtype = kv_dtype_of(v_type, o->mode),
                        .n_seq = e->n_seq,
                        .n_ctx = n_ctx,
                        .batch_max = e->n_batch};
}

static bool kv_fits(td_kv_spec spec, int n_ctx, uint64_t available) {
    size_t bytes;
    spec.n_ctx = n_ctx;
    return td_kv_cache_bytes(&bytes, &spec, NULL) == TD_OK && bytes <= available;
}

/* The most positions, in whole pages, up to `most`, for which the cache fits. */
static int largest_context(const td_kv_spec *spec, int most, uint64_t available) {
    int fits = 0, too_many = most / TD_KV_PAGE + 1;
    if (kv_fits(*spec, most, available)) return most;
    while (too_many - fits > 1) {
        const int middle = fits + (too_many - fits) / 2;
        if (kv_fits(*spec, middle * TD_KV_PAGE, available))
            fits = middle;
        else
            too_many = middle;
    }
    return fits * TD_KV_PAGE < MIN_CTX ? MIN_CTX : fits * TD_KV_PAGE;
}

/* The context: what was asked for; the largest that fits; or the model's (at most DEFAULT_CTX),
 * halved while its KV cache does not fit into the memory that is left. */
static int choose_context(const td_engine *e, const td_engine_options *o, const td_kv_spec *spec,
                          uint64_t available) {
    const int n_train = e->model->config.n_ctx_train, most = td_model_ctx_max(e->model);
    if (o->n_ctx > 0) return o->n_ctx;
    if (o->n_ctx == TD_N_CTX_LARGEST) {
        const uint64_t spare = available / 16; /* for what else the process needs */
        const int n = largest_context(spec, most > 0 && most < n_train ? most : n_train,
                                      available ? available - spare : UINT64_MAX);
        td_log(TD_LOG_WARN, "context: %d tokens, the most that %s", n,
               n < n_train ? "memory is left for" : "the model has");
        return n;
    }
    int n = n_train < DEFAULT_CTX ? n_train : DEFAULT_CTX;
    if (most > 0 && most < n) n = most;
    while (available && n >= 2 * MIN_CTX && !kv_fits(*spec, n, available)) n /= 2;
    return n;
}

static td_status check_context(const td_model *m, int n, td_err *err) {
    const int most = td_model_ctx_max(m);
    if (most == 0 || n < most || (n == most && m->positions)) return TD_OK;
    if (m->positions)
        return td_fail(err, TD_ERR_ARGUMENT,
                       "a context of %d tokens: this model has learned positions, %d of them", n,
                       most);
    if (n > most)
        return td_fail(err, TD_ERR_UNSUPPORTED,
                       "a context of %d tokens: beyond %d this model attends sparsely, which this "
                       "build cannot",
                       n, most);
    td_log(TD_LOG_WARN,
           "the context is %d tokens: beyond, this model attends sparsely, which this build cannot",
           n);
    return TD_OK;
}

static td_status make_kv_cache(td_engine *e, const td_engine_options *o, td_err *err) {
    const int n_train = e->model->config.n_ctx_train;
    td_kv_shape shapes[TD_MAX_LAYERS];
    td_kv_spec spec = td_engine_kv_spec(e, o, shapes, o->n_ctx);
    const uint64_t available = td_topology_memory_available();
    spec.n_ctx = choose_context(e, o, &spec, available);
    TD_TRY(check_context(e->model, spec.n_ctx, err));
    size_t bytes;
    TD_TRY(td_kv_cache_bytes(&bytes, &spec, err));
    e->n_ctx = spec.n_ctx;
    if (available != 0 && bytes > available)
        td_log(TD_LOG_WARN,
               "the KV cache may need %zu MiB, %llu MiB of memory are left: try a smaller context",
               bytes >> 20, (unsigned long long)(available >> 20));
    if (e->n_ctx > n_train)
        td_log(TD_LOG_WARN,
               "the context of %d tokens is longer than the %d the model was trained for", e->n_ctx,
               n_train);
    e->kv_bytes = bytes;
    return td_kv_cache_create(&e->kv, &spec, err);
}

/* Takes all memory a step needs, once. */
static td_status make_scratch(td_engine *e, td_err *err) {
    const td_config *c = &e->model->config;
    const int k_max = td_model_k_max(e->model), n_thread = td_pool_n_thread(e->pool);
    e->n_out_max = e->n_seq > EVAL_ROWS ? e->n_seq : EVAL_ROWS;
    const int m_max = e->n_batch > e->n_out_max ? e->n_batch : e->n_out_max;
    const size_t n_act = td_model_act_max(e->model, m_max);
    size_t total, bytes, row_bytes;
    TD_TRY(td_step_scratch_bytes(&total, n_act, k_max, n_thread, err));
    TD_TRY(td_workspace_bytes(&bytes, c, e->n_batch, err));
    TD_TRY(td_add_size(&total, total, bytes, "scratch", err));
    TD_TRY(td_add_size(&row_bytes, (size_t)c->n_vocab, (size_t)c->n_embd, "scratch", err));
    TD_TRY(td_mul_size(&bytes, row_bytes, sizeof(float) * (size_t)e->n_out_max, "scratch", err));
    TD_TRY(td_add_size(&total, total, bytes, "scratch", err));
    const size_t batch_bytes = (size_t)e->n_batch * sizeof(int32_t);
    TD_TRY(td_add_size(&total, total,
                       5 * batch_bytes + (size_t)e->n_out_max * sizeof(int) + 8 * TD_CACHE_LINE,
                       "scratch", err));
    e->scratch_bytes = total;
    TD_TRY(td_arena_init_fixed(&e->scratch, total, "scratch", err));
    TD_TRY(td_step_scratch_init(&e->step, &e->scratch, n_act, k_max, err));
    TD_TRY(td_workspace_init(&e->ws, &e->scratch, c, e->n_batch, err));
    e->batch_token = td_arena_alloc(&e->scratch, batch_bytes);
    e->batch_position = td_arena_alloc(&e->scratch, batch_bytes);
    e->batch_sequence = td_arena_alloc(&e->scratch, batch_bytes);
    e->batch_length = td_arena_alloc(&e->scratch, batch_bytes);
    e->batch_is_prompt = td_arena_alloc(&e->scratch, (size_t)e->n_batch);
    e->out_h =
        td_arena_alloc(&e->scratch, (size_t)e->n_out_max * (size_t)c->n_embd * sizeof(float));
    e->logits =
        td_arena_alloc(&e->scratch, (size_t)e->n_out_max * (size_t)c->n_vocab * sizeof(float));
    e->out_rows = td_arena_alloc(&e->scratch, (size_t)e->n_out_max * sizeof(int));
    TD_ASSERT(e->logits && e->out_rows);
    return TD_OK;
}

static td_status make_expert_counts(td_engine *e, const td_engine_options *o, td_err *err) {
    const td_config *c = &e->model->config;
    const size_t n = (size_t)c->n_layer * (size_t)c->router.n_expert;
    if (!o->count_experts || n == 0) return TD_OK;
    e->expert_counts = td_calloc(n, sizeof *e->expert_counts);
    if (!e->expert_counts) return td_fail_nomem(err, "the experts' counts", n);
    e->step.expert_counts = e->expert_counts;
    return TD_OK;
}

static td_status create_parts(td_engine *e, const td_engine_options *o, td_err *err) {
    TD_TRY(check_options(o, err));
    TD_TRY(td_kernels_get(&e->step.kernels, err));
    TD_TRY(open_files(e, o, err));
    e->mode = o->mode;
    e->n_seq = o->n_seq ? o->n_seq : 1;
    e->n_batch = o->n_batch ? o->n_batch : DEFAULT_BATCH;
    TD_TRY(td_dump_init(&e->dump, o->dump_pattern, o->dump_dir, err));
    TD_TRY(td_pool_create(&e->pool, o->n_thread ? o->n_thread : td_topology_n_cpu(), err));
    e->step.pool = e->pool;
    TD_TRY(make_scratch(e, err));
    TD_TRY(td_engine_load_weights(e, o, err));
    TD_TRY(make_kv_cache(e, o, err));
    e->step.kv = e->kv;
    e->step.cancel = &e->cancel;
    TD_TRY(make_expert_counts(e, o, err));
    if (e->dump.pattern) {
        e->step.dump = td_dump_write;
        e->step.dump_user = &e->dump;
    }
    e->slots = td_calloc((size_t)e->n_seq, sizeof(td_sequence *));
    return e->slots ? TD_OK : td_fail_nomem(err, "the sequences", (size_t)e->n_seq);
}

td_status td_engine_create(td_engine **out, const td_engine_options *options, td_err *err) {
    *out = NULL;
    const double t0 = td_clock_seconds();
    td_engine *e = td_calloc(1, sizeof *e);
    if (!e) return td_fail_nomem(err, "the engine", sizeof *e);
    const td_status status = create_parts(e, options, err);
    if (status != TD_OK) {
        td_engine_free(e);
        return status;
    }
    e->load_seconds = td_clock_seconds() - t0;
    td_log(TD_LOG_INFO, "%s: %s, %d layers, context %d, %d threads, CPU level %s, loaded in %.2f s",
           e->name, e->model->arch->name, e->model->config.n_layer, e->n_ctx,
           td_pool_n_thread(e->pool), e->step.kernels->level, e->load_seconds);
    *out = e;
    return TD_OK;
}

void td_engine_free(td_engine *e) {
    if (!e) return;
    for (int i = 0; e->slots && i < e->n_seq; i++) td_sequence_free(e->slots[i]);
    td_free(e->slots);
    td_pool_free(e->pool);
    td_kv_cache_free(e->kv);
    td_arena_clear(&e->scratch);
    td_arena_clear(&e->packed);
    td_dump_clear(&e->dump);
    td_token_trie_free(e->trie);
    td_tokenizer_free(e->tokenizer);
    td_vocab_clear(&e->vocab);
    td_model_close(e->model);
    td_checkpoint_close(e->ckpt);
    td_free(e->expert_counts);
    td_free(e->name);
    td_free(e);
}

/* ---- what it tells ---- */

void td_engine_get_info(const td_engine *e, td_engine_info *info) {
    const td_config *c = &e->model->config;
    *info = (td_engine_info){.architecture = e->model->arch->name,
                             .model_name = e->name,
                             .n_ctx = e->n_ctx,
                             .n_ctx_train = c->n_ctx_train,
                             .n_vocab = c->n_vocab,
                             .n_layer = c->n_layer,
                             .n_thread = td_pool_n_thread(e->pool),
                             .n_batch = e->n_batch,
                             .bos = e->vocab.bos,
                             .eos = e->vocab.eos,
                             .has_chat_template = e->vocab.chat_template != NULL,
                             .kv_bytes = e->kv_bytes,
                             .load_seconds = e->load_seconds};
    for (size_t i = 0; i < td_checkpoint_n_tensor(e->ckpt); i++) {
        const td_tensor *t = td_checkpoint_tensor_at(e->ckpt, i);
        info->n_parameter += (uint64_t)td_tensor_elems(t);
        info->weight_bytes += t->n_bytes;
    }
}

void td_engine_get_stats(const td_engine *e, td_engine_stats *stats) {
    *stats = e->stats;
    stats->peak_memory_bytes = td_topology_peak_memory();
}

const uint64_t *td_engine_expert_counts(const td_engine *e, int i_layer, int *n_expert) {
    const td_config *c = &e->model->config;
    *n_expert = 0;
    if (!e->expert_counts || i_layer < 0 || i_layer >= c->n_layer ||
        !e->model->layers[i_layer].experts.n_expert)
        return NULL;
    *n_expert = c->router.n_expert;
    return e->expert_counts + (size_t)i_layer * (size_t)c->router.n_expert;
}

void td_engine_cancel(td_engine *e) { atomic_store_explicit(&e->cancel, 1, memory_order_relaxed); }

const td_checkpoint *td_engine_checkpoint(const td_engine *e) { return e->ckpt; }

const td_tokenizer *td_engine_tokenizer(const td_engine *e) { return e->tokenizer; }

/* ---- text ---- */

td_status td_engine_tokenize(const td_engine *e, const char *text, size_t n_text, int flags,
                             td_token **tokens, int *n_token, td_err *err) {
    *tokens = NULL;
    *n_token = 0;
    if (e->vocab.n_token == 0)
        return td_fail(err, TD_ERR_UNSUPPORTED, "%s has no tokenizer, so no text can be read",
                       e->name);
    return td_tokenizer_encode(e->tokenizer, text, n_text, flags, tokens, n_token, err);
}

void td_tokens_free(td_token *tokens) { td_free(tokens); }

const char *td_engine_token_text(const td_engine *e, td_token token, bool with_special,
                                 size_t *n_text) {
    if (token < 0 || token >= e->vocab.n_token) {
        *n_text = 0;
        return "";
    }
    return td_tokenizer_token_bytes(e->tokenizer, token, with_special, n_text);
}

bool td_engine_token_is_end(const td_engine *e, td_token token) {
    return token >= 0 && token < e->vocab.n_token && td_tokenizer_is_end(e->tokenizer, token);
}
