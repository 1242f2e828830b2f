/* quantize_folder_meta.c - a model's configuration as GGUF metadata.
 *
 * The keys are those of llama.cpp's converter, which differ from one architecture to the next: a
 * table says how.  Where its file would say less than the folder, keys are added that td_config
 * reads; where GGUF has no key, the model is refused. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "jobs/quantize_folder.h"

enum { KEY_MAX = 160, NO_WINDOW = -1 };

/* Keys that not all architectures have. */
enum {
    HAS_THETA = 1,       /* rope.freq_base, even where it is 10000 */
    HAS_VOCAB = 2,       /* vocab_size */
    HAS_ROT = 4,         /* rope.dimension_count, even where it is all of a head */
    HAS_HEAD_DIM = 8,    /* attention.key_length and value_length, always ... */
    SAYS_HEAD_DIM = 16,  /* ... or where config.json has head_dim */
    NO_HEAD_KV = 32,     /* attention.head_count_kv only where it differs from head_count */
    HAS_NO_SCALING = 64, /* rope.scaling.type "none" */
    HAS_WINDOW = 128,    /* attention.sliding_window, 0 for none ... */
    NEEDS_WINDOW = 256,  /* ... and none cannot be said */
    HAS_PATTERN = 512,   /* attention.sliding_window_pattern, even where it is the usual one */
    HAS_SWA_THETA = 1024 /* rope.freq_base_swa */
};

typedef struct arch_keys {
    const char *arch;         /* td_arch.name */
    const char *gguf;         /* general.architecture; NULL: the same */
    td_activation activation; /* what a reader of the file takes */
    int period;               /* of the layers without a window, see td_config_mark_windows() */
    unsigned keys;
} arch_keys;

/* clang-format off */
enum { USUAL = HAS_THETA | SAYS_HEAD_DIM, LLAMA = USUAL | HAS_VOCAB | HAS_ROT };
#define SILU TD_ACTIVATION_SILU
#define GELU TD_ACTIVATION_GELU
#define TANH TD_ACTIVATION_GELU_TANH

static const arch_keys table[] = {
    {"cohere2", NULL, SILU, 4, LLAMA | HAS_NO_SCALING | HAS_WINDOW},
    {"command-r", NULL, SILU, NO_WINDOW, USUAL | HAS_NO_SCALING},
    {"ernie4_5", NULL, SILU, NO_WINDOW, USUAL},
    {"falcon", NULL, GELU, NO_WINDOW, 0},
    {"gemma", NULL, TANH, NO_WINDOW, HAS_HEAD_DIM},
    {"gemma2", NULL, TANH, 2, HAS_HEAD_DIM | HAS_WINDOW | NEEDS_WINDOW},
    {"gemma3", NULL, TANH, 6, USUAL | HAS_HEAD_DIM | HAS_WINDOW | NEEDS_WINDOW | HAS_SWA_THETA},
    {"glm4", NULL, SILU, NO_WINDOW, USUAL | HAS_ROT},
    {"gpt2", NULL, TANH, NO_WINDOW, NO_HEAD_KV},
    {"gptneox", NULL, GELU, NO_WINDOW, NO_HEAD_KV | HAS_ROT},
    {"granite", NULL, SILU, NO_WINDOW, HAS_THETA | HAS_VOCAB | HAS_ROT},
    {"internlm2", NULL, SILU, NO_WINDOW, USUAL},
    {"llama", NULL, SILU, NO_WINDOW, LLAMA},
    {"minicpm", NULL, SILU, NO_WINDOW, USUAL},
    {"mistral", "llama", SILU, NO_WINDOW, LLAMA},
    {"olmo2", NULL, SILU, 4, USUAL | HAS_PATTERN},
    {"phi3", NULL, SILU, 0, HAS_THETA | HAS_ROT | HAS_WINDOW},
    {"qwen2", NULL, SILU, NO_WINDOW, USUAL},
    {"qwen3", NULL, SILU, NO_WINDOW, USUAL},
    {"smollm3", NULL, SILU, NO_WINDOW, LLAMA},
    {"spark2_5", NULL, TANH, 1, LLAMA | HAS_WINDOW | HAS_PATTERN | HAS_SWA_THETA},
    {"starcoder2", NULL, TANH, 0, USUAL},
};
/* clang-format on */

static const td_setting set_head_dim = {NULL, "head_dim"};

static const arch_keys *find_keys(const td_model *m) {
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i].arch, m->arch->name) == 0) return &table[i];
    return NULL;
}

static const char *gguf_name(const arch_keys *keys) { return keys->gguf ? keys->gguf : keys->arch; }

static bool is_arch(const td_model *m, const char *name) {
    return strcmp(m->arch->name, name) == 0;
}

td_status td_folder_arch_name(const char **out, const td_model *m, td_err *err) {
    const arch_keys *keys = find_keys(m);
    if (!keys)
        return td_fail(err, TD_ERR_UNSUPPORTED,
                       "%s: this build does not write GGUF files of architecture '%s'",
                       td_checkpoint_path(m->ckpt), m->arch->name);
    *out = gguf_name(keys);
    return TD_OK;
}

/* ---- what cannot be said ---- */

static bool is_local(const td_config *c, int i_layer) {
    return (c->layers[i_layer] & TD_LAYER_LOCAL) != 0;
}

/* A window as wide as the context hides nothing. */
static td_status check_windows(const td_model *m, const arch_keys *keys, td_err *err) {
    const td_config *c = &m->config;
    if ((keys->keys & NEEDS_WINDOW) && c->window == 0)
        return td_fail(err, TD_ERR_UNSUPPORTED,
                       "key 'sliding_window' is missing or 0: GGUF files of architecture '%s' must "
                       "have a window",
                       gguf_name(keys));
    if (keys->period != NO_WINDOW || c->window >= c->n_ctx_train) return TD_OK;
    for (int i = 0; i < c->n_layer; i++)
        if (is_local(c, i))
            return td_fail(err, TD_ERR_UNSUPPORTED,
                           "layer %d has a sliding window of %d tokens, for which GGUF files of "
                           "architecture '%s' have no key: contexts up to %d would compute "
                           "something else",
                           i, c->window, gguf_name(keys), c->n_ctx_train);
    return TD_OK;
}

/* Readers know which layers those are: SmolLM3's every fourth, Cohere2's without a window. */
static td_status check_positions(const td_model *m, td_err *err) {
    const td_config *c = &m->config;
    for (int i = 0; i < c->n_layer; i++) {
        const bool none = (c->layers[i] & TD_LAYER_NO_ROPE) != 0;
        bool wanted = false;
        if (is_arch(m, "smollm3")) wanted = (i + 1) % 4 == 0;
        if (is_arch(m, "cohere2")) wanted = !is_local(c, i);
        if (none != wanted)
            return td_fail(err, TD_ERR_UNSUPPORTED,
                           "layer %d attends %s positions: GGUF has no key to say so, and readers "
                           "of architecture '%s' take it as %s",
                           i, none ? "without" : "with", m->arch->name,
                           wanted ? "without" : "with");
    }
    return TD_OK;
}

static td_status check_rope(const td_model *m, td_err *err) {
    const td_config *c = &m->config;
    if (c->rope.scaling == TD_ROPE_YARN && !c->rope.truncate)
        return td_fail(err, TD_ERR_UNSUPPORTED,
                       "rope_scaling.truncate is false, which GGUF has no key for");
    const bool divides = c->rope.scaling == TD_ROPE_LLAMA3 || c->rope.scaling == TD_ROPE_LONG;
    if (divides && c->rope_local.theta > 0)
        return td_fail(err, TD_ERR_UNSUPPORTED,
                       "rotary factors for layers without a window only: in GGUF they are for all");
    return TD_OK;
}

static td_status check_all(const td_model *m, const arch_keys *keys, td_err *err) {
    static const char *const names[] = {"silu", "gelu_pytorch_tanh", "gelu"};
    const td_config *c = &m->config;
    const bool either_gelu =
        c->activation != TD_ACTIVATION_SILU && keys->activation != TD_ACTIVATION_SILU;
    if (c->activation != keys->activation && either_gelu)
        td_log(TD_LOG_WARN,
               "%s: the activation is '%s'; readers of the new file take '%s', which is nearly the "
               "same",
               td_checkpoint_path(m->ckpt), names[c->activation], names[keys->activation]);
    else if (c->activation != keys->activation)
        return td_fail(err, TD_ERR_UNSUPPORTED,
                       "the activation is '%s', and readers of GGUF files of architecture '%s' "
                       "take '%s'",
                       names[c->activation], gguf_name(keys), names[keys->activation]);
    if (is_arch(m, "falcon") && !c->parallel)
        return td_fail(err, TD_ERR_UNSUPPORTED,
                       "key 'parallel_attn' is false, which GGUF has no key for");
    TD_TRY(check_windows(m, keys, err));
    TD_TRY(check_positions(m, err));
    return check_rope(m, err);
}

td_status td_folder_check_config(const td_model *m, td_err *err) {
    const td_status status = check_all(m, find_keys(m), err);
    return status == TD_OK ? TD_OK : td_fail_in(err, status, "%s", td_checkpoint_path(m->ckpt));
}

/* ---- writing keys ---- */

typedef struct meta {
    td_gguf_writer *w;
    const td_model *m;
    const td_config *c;
    const arch_keys *arch;
    const char *arch_name;
} meta;

static td_status put(const meta *t, const char *name, td_gguf_type type, const void *value,
                     td_err *err) {
    char key[KEY_MAX];
    snprintf(key, sizeof key, "%s.%s", t->arch_name, name);
    return td_gguf_writer_put(t->w, key, type, value, err);
}

static td_status put_int(const meta *t, const char *name, int value, td_err *err) {
    const uint32_t v = (uint32_t)value;
    return put(t, name, TD_GGUF_U32, &v, err);
}

static td_status put_float(const meta *t, const char *name, double value, td_err *err) {
    const float v = (float)value;
    return put(t, name, TD_GGUF_F32, &v, err);
}

static td_status put_text(const meta *t, const char *name, const char *text, td_err *err) {
    char key[KEY_MAX];
    snprintf(key, sizeof key, "%s.%s", t->arch_name, name);
    return td_gguf_writer_put_string(t->w, key, (td_string){text, strlen(text)}, err);
}

static bool has(const meta *t, unsigned key) { return (t->arch->keys & key) != 0; }

/* ---- general.* ---- */

/* "135M": at least two digits, as the names of GGUF files have it. */
static void size_label(char out[32], uint64_t n) {
    static const struct {
        double unit;
        char suffix;
    } units[] = {
        {1e12, 'T'},
        {1e9,  'B'},
        {1e6,  'M'},
        {1e3,  'K'}
    };
    int i = 0;
    while (i < 3 && (double)n <= units[i].unit) i++;
    const double x = (double)n / units[i].unit;
    const double whole = nearbyint(x);
    const int n_fraction = whole < 1 ? 2 : whole < 10 ? 1 : 0;
    snprintf(out, 32, "%.*f%c", n_fraction, x, units[i].suffix);
}

static td_status put_general(const meta *t, uint64_t n_elem, td_err *err) {
    char label[32];
    size_label(label, n_elem);
    const td_string name = td_checkpoint_name(t->m->ckpt);
    const td_string arch = {t->arch_name, strlen(t->arch_name)};
    TD_TRY(td_gguf_writer_put_string(t->w, "general.architecture", arch, err));
    TD_TRY(td_gguf_writer_put_string(t->w, "general.type", (td_string){"model", 5}, err));
    if (name.n > 0) TD_TRY(td_gguf_writer_put_string(t->w, "general.name", name, err));
    return td_gguf_writer_put_string(t->w, "general.size_label", (td_string){label, strlen(label)},
                                     err);
}

/* ---- sizes ---- */

/* Falcon's files do not say it, and Command R's config.json says too little. */
static td_status context(const meta *t, int *out, td_err *err) {
    static const td_setting longest = {NULL, "model_max_length"};
    *out = is_arch(t->m, "falcon") ? 2048 : t->c->n_ctx_train;
    if (!is_arch(t->m, "command-r")) return TD_OK;
    return td_config_get_int(t->m->ckpt, longest, false, 1, INT32_MAX, out, err);
}

static td_status put_sizes(const meta *t, td_err *err) {
    const td_config *c = t->c;
    int n_ctx = 0;
    TD_TRY(context(t, &n_ctx, err));
    TD_TRY(put_int(t, "block_count", c->n_layer, err));
    TD_TRY(put_int(t, "context_length", n_ctx, err));
    TD_TRY(put_int(t, "embedding_length", c->n_embd, err));
    TD_TRY(put_int(t, "feed_forward_length", c->n_ff, err));
    TD_TRY(put_int(t, "attention.head_count", c->n_head, err));
    if (!has(t, NO_HEAD_KV) || c->n_head_kv != c->n_head)
        TD_TRY(put_int(t, "attention.head_count_kv", c->n_head_kv, err));
    if (has(t, HAS_HEAD_DIM) || c->head_dim != c->n_embd / c->n_head ||
        (has(t, SAYS_HEAD_DIM) && td_config_find(t->m->ckpt, set_head_dim))) {
        TD_TRY(put_int(t, "attention.key_length", c->head_dim, err));
        TD_TRY(put_int(t, "attention.value_length", c->head_dim, err));
    }
    return has(t, HAS_VOCAB) ? put_int(t, "vocab_size", c->n_vocab, err) : TD_OK;
}

/* ---- windows ---- */

static td_status put_pattern(const meta *t, td_err *err) {
    char key[KEY_MAX];
    uint8_t local[TD_MAX_LAYERS];
    const td_config *c = t->c;
    const int period = t->arch->period;
    bool is_usual = true;
    for (int i = 0; i < c->n_layer; i++) {
        local[i] = is_local(c, i);
        is_usual &= local[i] == (c->window > 0 && (period == 0 || (i + 1) % period != 0));
    }
    if (is_usual && !has(t, HAS_PATTERN)) return TD_OK;
    snprintf(key, sizeof key, "%s.attention.sliding_window_pattern", t->arch_name);
    return td_gguf_writer_put_array(t->w, key, TD_GGUF_BOOL, local, (uint64_t)c->n_layer, err);
}

static td_status put_windows(const meta *t, td_err *err) {
    const td_config *c = t->c;
    if (t->arch->period == NO_WINDOW || (c->window == 0 && !has(t, HAS_WINDOW))) return TD_OK;
    TD_TRY(put_int(t, "attention.sliding_window", c->window, err));
    return put_pattern(t, err);
}

/* ---- rotation ---- */

static td_status put_yarn(const meta *t, td_err *err) {
    const td_rope_config *r = &t->c->rope;
    /* What a reader takes that finds none of the keys below. */
    const double attention = r->factor <= 1 ? 1 : 0.1 * log(r->factor) + 1;
    TD_TRY(put_text(t, "rope.scaling.type", "yarn", err));
    TD_TRY(put_float(t, "rope.scaling.factor", r->factor, err));
    TD_TRY(put_int(t, "rope.scaling.original_context_length", (int)r->original, err));
    if (r->attention_factor != attention)
        TD_TRY(put_float(t, "rope.scaling.yarn_attn_factor", r->attention_factor, err));
    if (r->beta_fast != 32) TD_TRY(put_float(t, "rope.scaling.yarn_beta_fast", r->beta_fast, err));
    if (r->beta_slow != 1) TD_TRY(put_float(t, "rope.scaling.yarn_beta_slow", r->beta_slow, err));
    return TD_OK;
}

/* The type of longrope, but in Phi-3's files, which are known by their tensors. */
static td_status put_scaling_type(const meta *t, td_err *err) {
    const td_rope_config *r = &t->c->rope;
    switch (r->scaling) {
    case TD_ROPE_PLAIN:
        return has(t, HAS_NO_SCALING) ? put_text(t, "rope.scaling.type", "none", err) : TD_OK;
    case TD_ROPE_LINEAR:
        TD_TRY(put_text(t, "rope.scaling.type", "linear", err));
        return put_float(t, "rope.scaling.factor", r->factor, err);
    case TD_ROPE_YARN: return put_yarn(t, err);
    case TD_ROPE_LONG:
        return is_arch(t->m, "phi3") ? TD_OK : put_text(t, "rope.scaling.type", "longrope", err);
    case TD_ROPE_LLAMA3: break; /* a tensor */
    }
    return TD_OK;
}

static td_status put_scaling(const meta *t, td_err *err) {
    const td_rope_config *r = &t->c->rope;
    const bool has_lists = t->m->rope.inv_freq_long != NULL;
    TD_TRY(put_scaling_type(t, err));
    if (has_lists || is_arch(t->m, "phi3"))
        TD_TRY(put_int(t, "rope.scaling.original_context_length", (int)r->original, err));
    if (r->scaling == TD_ROPE_YARN || (!has_lists && r->attention_factor == 1)) return TD_OK;
    return put_float(t, "rope.scaling.attn_factor", r->attention_factor, err);
}

static td_status put_rope(const meta *t, td_err *err) {
    const td_config *c = t->c;
    if (c->n_rot == 0) return TD_OK;
    if (has(t, HAS_THETA) || c->rope.theta != 10000)
        TD_TRY(put_float(t, "rope.freq_base", c->rope.theta, err));
    if (has(t, HAS_SWA_THETA)) TD_TRY(put_float(t, "rope.freq_base_swa", c->rope_local.theta, err));
    if (has(t, HAS_ROT) || c->n_rot != c->head_dim)
        TD_TRY(put_int(t, "rope.dimension_count", c->n_rot, err));
    if (c->n_rot_local > 0) TD_TRY(put_int(t, "rope.dimension_count_swa", c->n_rot_local, err));
    return put_scaling(t, err);
}

/* ---- scales ---- */

/* A number whose reciprocal is `scale`, which is one of such a number. */
static float divisor_of(float scale) {
    const float near = 1 / scale;
    const float around[] = {near, nextafterf(near, 0), nextafterf(near, INFINITY)};
    for (int i = 0; i < 3; i++)
        if (1 / around[i] == scale) return around[i];
    return near;
}

static td_status put_scales(const meta *t, td_err *err) {
    const td_config *c = t->c;
    const bool granite = is_arch(t->m, "granite"), minicpm = is_arch(t->m, "minicpm");
    const bool gemma2 = is_arch(t->m, "gemma2"), gemma3 = is_arch(t->m, "gemma3");
    if (granite || gemma2 || gemma3 ||
        c->attention_scale != (float)(1.0 / sqrt((double)c->head_dim)))
        TD_TRY(put_float(t, "attention.scale", (double)c->attention_scale, err));
    if (gemma2) {
        TD_TRY(put_float(t, "attn_logit_softcapping", (double)c->attention_softcap, err));
        TD_TRY(put_float(t, "final_logit_softcapping", (double)c->logit_softcap, err));
    }
    if (is_arch(t->m, "command-r") || is_arch(t->m, "cohere2"))
        TD_TRY(put_float(t, "logit_scale", (double)c->logit_scale, err));
    if (!granite && !minicpm) return TD_OK;
    TD_TRY(put_float(t, "embedding_scale", (double)c->embedding_scale, err));
    TD_TRY(put_float(t, "residual_scale", (double)c->residual_scale, err));
    return put_float(t, "logit_scale", (double)divisor_of(c->logit_scale), err);
}

/* ---- the whole ---- */

td_status td_folder_put_config(const td_model *m, uint64_t n_elem, td_gguf_writer *w, td_err *err) {
    const arch_keys *keys = find_keys(m);
    const meta t = {.w = w, .m = m, .c = &m->config, .arch = keys, .arch_name = gguf_name(keys)};
    const bool is_layer_norm = m->norm.kind == TD_NORM_LAYER;
    TD_TRY(put_general(&t, n_elem, err));
    TD_TRY(put_sizes(&t, err));
    TD_TRY(put_float(
        &t, is_layer_norm ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon",
        (double)m->config.norm_eps, err));
    if (is_arch(m, "falcon")) TD_TRY(put_text(&t, "tensor_data_layout", "jploski", err));
    if (is_arch(m, "gptneox")) {
        const uint8_t parallel = m->config.parallel;
        TD_TRY(put(&t, "use_parallel_residual", TD_GGUF_BOOL, &parallel, err));
    }
    TD_TRY(put_windows(&t, err));
    TD_TRY(put_rope(&t, err));
    return put_scales(&t, err);
}
