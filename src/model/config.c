/* config.c - hyperparameters out of GGUF metadata or config.json: one table of two names each. */
#include "model/config.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { KEY_MAX = 160, MAX_WIDTH = 1 << 20 };

/* ---- look-ups ---- */

/* "<architecture>.<name>"; an architecture's name is checked before anything is read with it. */
static const td_meta *find_gguf(const td_checkpoint *ckpt, const char *name) {
    td_string arch = {0};
    char key[KEY_MAX];
    (void)td_checkpoint_get_string(ckpt, "general.architecture", false, &arch, NULL);
    snprintf(key, sizeof key, "%.*s.%s", arch.text ? (int)arch.n : 0, arch.text ? arch.text : "",
             name);
    return td_checkpoint_meta(ckpt, key);
}

static const td_meta *find_hf(const td_checkpoint *ckpt, const char *names) {
    while (*names) {
        const int n = (int)strcspn(names, "|");
        char key[KEY_MAX];
        snprintf(key, sizeof key, "text_config.%.*s", n, names);
        const td_meta *m = td_checkpoint_meta(ckpt, key + strlen("text_config."));
        if (!m) m = td_checkpoint_meta(ckpt, key);
        if (m) return m;
        names += n + (names[n] == '|');
    }
    return NULL;
}

const td_meta *td_config_find(const td_checkpoint *ckpt, td_setting s) {
    const bool is_hf = td_checkpoint_get_kind(ckpt) == TD_CHECKPOINT_HF;
    const char *name = is_hf ? s.hf : s.gguf;
    if (!name) return NULL;
    return is_hf ? find_hf(ckpt, name) : find_gguf(ckpt, name);
}

const char *td_config_name(const td_checkpoint *ckpt, td_setting s) {
    const td_meta *m = td_config_find(ckpt, s);
    if (m) return m->key;
    const char *name = td_checkpoint_get_kind(ckpt) == TD_CHECKPOINT_HF ? s.hf : s.gguf;
    return name ? name : "(no such setting)";
}

static td_status missing(const td_checkpoint *ckpt, td_setting s, td_err *err) {
    return td_fail(err, TD_ERR_FORMAT, "key '%s' is missing", td_config_name(ckpt, s));
}

td_status td_config_get_int(const td_checkpoint *ckpt, td_setting s, bool required, int min,
                            int max, int *out, td_err *err) {
    const td_meta *m = td_config_find(ckpt, s);
    if (!m) return required ? missing(ckpt, s, err) : TD_OK;
    int64_t v = *out;
    TD_TRY(td_checkpoint_get_int(ckpt, m->key, true, min, max, &v, err));
    *out = (int)v;
    return TD_OK;
}

td_status td_config_get_float(const td_checkpoint *ckpt, td_setting s, double *out, td_err *err) {
    const td_meta *m = td_config_find(ckpt, s);
    return m ? td_checkpoint_get_float(ckpt, m->key, true, out, err) : TD_OK;
}

td_status td_config_get_bool(const td_checkpoint *ckpt, td_setting s, bool *out, td_err *err) {
    const td_meta *m = td_config_find(ckpt, s);
    return m ? td_checkpoint_get_bool(ckpt, m->key, out, err) : TD_OK;
}

td_status td_config_get_string(const td_checkpoint *ckpt, td_setting s, td_string *out,
                               td_err *err) {
    *out = (td_string){NULL, 0};
    const td_meta *m = td_config_find(ckpt, s);
    return m ? td_checkpoint_get_string(ckpt, m->key, true, out, err) : TD_OK;
}

td_status td_config_get_scale(const td_checkpoint *ckpt, td_setting s, float *out, td_err *err) {
    double v = (double)*out;
    TD_TRY(td_config_get_float(ckpt, s, &v, err));
    if (!(v > 0) || v > 1e30)
        return td_fail(err, TD_ERR_FORMAT, "%s is %g, wanted above 0", td_config_name(ckpt, s), v);
    *out = (float)v;
    return TD_OK;
}

td_status td_config_get_uniform(const td_checkpoint *ckpt, td_setting s, int n_layer, int min,
                                int max, int *out, td_err *err) {
    const td_meta *m = td_config_find(ckpt, s);
    if (!m) return TD_OK;
    int64_t v[TD_MAX_LAYERS];
    TD_TRY(td_checkpoint_get_ints(ckpt, m->key, true, min, max, n_layer, v, err));
    for (int i = 1; i < n_layer; i++)
        if (v[i] != v[0])
            return td_fail(err, TD_ERR_UNSUPPORTED,
                           "%s: layer %d has %lld where layer 0 has %lld; this build wants one "
                           "value for all layers",
                           m->key, i, (long long)v[i], (long long)v[0]);
    *out = (int)v[0];
    return TD_OK;
}

/* A size: above 0. */
static td_status get_size(const td_checkpoint *ckpt, td_setting s, bool required, int n_layer,
                          int max, int *out, td_err *err) {
    if (required && !td_config_find(ckpt, s)) return missing(ckpt, s, err);
    return td_config_get_uniform(ckpt, s, n_layer, 1, max, out, err);
}

/* ---- sizes ---- */

static const td_setting set_n_layer = {"block_count", "num_hidden_layers|n_layer|num_layers"};
static const td_setting set_n_draft = {"nextn_predict_layers", NULL};
static const td_setting set_n_embd = {"embedding_length", "hidden_size|n_embd|d_model"};
static const td_setting set_n_ctx = {"context_length",
                                     "max_position_embeddings|n_positions|n_ctx|seq_length"};
static const td_setting set_n_ff = {"feed_forward_length",
                                    "intermediate_size|ffn_hidden_size|n_inner"};
static const td_setting set_n_head = {"attention.head_count", "num_attention_heads|n_head"};
static const td_setting set_n_head_kv = {"attention.head_count_kv",
                                         "num_key_value_heads|num_kv_heads|n_head_kv"};
static const td_setting set_head_dim = {"attention.key_length", "head_dim"};
static const td_setting set_value_dim = {"attention.value_length", NULL};
static const td_setting set_eps = {"attention.layer_norm_rms_epsilon",
                                   "rms_norm_eps|layer_norm_eps|layer_norm_epsilon|norm_epsilon|"
                                   "norm_eps"};
static const td_setting set_layer_eps = {"attention.layer_norm_epsilon", NULL};
static const td_setting set_scale = {"attention.scale", NULL};
static const td_setting set_n_rot = {"rope.dimension_count", NULL};
static const td_setting set_rotary = {NULL, "rope_parameters.partial_rotary_factor|"
                                            "rope_parameters.full_attention.partial_rotary_factor|"
                                            "partial_rotary_factor|rotary_pct"};

static td_status read_heads(td_config *c, const td_checkpoint *ckpt, const td_config_defaults *d,
                            td_err *err) {
    TD_TRY(get_size(ckpt, set_n_head, true, c->n_layer, 4096, &c->n_head, err));
    c->n_head_kv = d->n_head_kv && d->n_head_kv < c->n_head ? d->n_head_kv : c->n_head;
    TD_TRY(get_size(ckpt, set_n_head_kv, false, c->n_layer, 4096, &c->n_head_kv, err));
    if (c->n_head % c->n_head_kv != 0)
        return td_fail(err, TD_ERR_FORMAT, "%s %d is not a multiple of %s %d",
                       td_config_name(ckpt, set_n_head), c->n_head,
                       td_config_name(ckpt, set_n_head_kv), c->n_head_kv);
    if (d->mla) return td_config_read_mla(c, ckpt, err);
    const bool is_hf = td_checkpoint_get_kind(ckpt) == TD_CHECKPOINT_HF;
    c->head_dim = is_hf && d->head_dim ? d->head_dim : c->n_embd / c->n_head;
    TD_TRY(td_config_get_int(ckpt, set_head_dim, false, 1, 65536, &c->head_dim, err));
    int value_dim = c->head_dim;
    TD_TRY(td_config_get_int(ckpt, set_value_dim, false, 1, 65536, &value_dim, err));
    if (c->head_dim < 1 || value_dim != c->head_dim)
        return td_fail(err, TD_ERR_UNSUPPORTED,
                       "attention.key_length %d and attention.value_length %d: wanted equal and "
                       "above 0",
                       c->head_dim, value_dim);
    /* n_head_kv <= n_head, so this bounds both widths and every int product of them. */
    if ((int64_t)c->n_head * c->head_dim > MAX_WIDTH)
        return td_fail(err, TD_ERR_LIMIT, "%s %d times %s %d: wanted at most %d",
                       td_config_name(ckpt, set_n_head), c->n_head,
                       td_config_name(ckpt, set_head_dim), c->head_dim, MAX_WIDTH);
    return TD_OK;
}

static td_status read_sizes(td_config *c, const td_checkpoint *ckpt, const td_config_defaults *d,
                            td_err *err) {
    TD_TRY(td_config_get_int(ckpt, set_n_layer, true, 1, TD_MAX_LAYERS, &c->n_layer, err));
    int n_draft = 0; /* GGUF counts the layers that predict further tokens, too: the last ones */
    TD_TRY(td_config_get_int(ckpt, set_n_draft, false, 0, c->n_layer - 1, &n_draft, err));
    c->n_layer -= n_draft;
    TD_TRY(td_config_get_int(ckpt, set_n_embd, true, 1, MAX_WIDTH, &c->n_embd, err));
    c->n_ctx_train = d->n_ctx_train ? d->n_ctx_train : 2048;
    TD_TRY(td_config_get_int(ckpt, set_n_ctx, td_checkpoint_get_kind(ckpt) == TD_CHECKPOINT_GGUF, 1,
                             INT_MAX, &c->n_ctx_train, err));
    c->n_ff = c->n_embd <= MAX_WIDTH / 4 ? 4 * c->n_embd : MAX_WIDTH;
    TD_TRY(get_size(ckpt, set_n_ff, !d->ff_is_4_embd, c->n_layer, MAX_WIDTH, &c->n_ff, err));
    return read_heads(c, ckpt, d, err);
}

static td_status read_eps(td_config *c, const td_checkpoint *ckpt, const td_config_defaults *d,
                          td_err *err) {
    const td_setting s = td_config_find(ckpt, set_layer_eps) ? set_layer_eps : set_eps;
    double eps = d->norm_eps;
    if (eps == 0 && !td_config_find(ckpt, s)) return missing(ckpt, s, err);
    TD_TRY(td_config_get_float(ckpt, s, &eps, err));
    if (!(eps >= 0) || eps > 1)
        return td_fail(err, TD_ERR_FORMAT, "%s is %g, wanted 0 to 1", td_config_name(ckpt, s), eps);
    c->norm_eps = (float)eps;
    return TD_OK;
}

static td_status read_n_rot(td_config *c, const td_checkpoint *ckpt, const td_config_defaults *d,
                            td_err *err) {
    double factor = d->rotary_factor > 0 ? d->rotary_factor : 1;
    TD_TRY(td_config_get_float(ckpt, set_rotary, &factor, err));
    if (!(factor > 0) || factor > 1)
        return td_fail(err, TD_ERR_FORMAT, "%s is %g, wanted above 0 and at most 1",
                       td_config_name(ckpt, set_rotary), factor);
    const bool is_hf = td_checkpoint_get_kind(ckpt) == TD_CHECKPOINT_HF;
    c->n_rot = is_hf ? (int)(c->head_dim * factor) : c->head_dim;
    TD_TRY(td_config_get_int(ckpt, set_n_rot, false, 2, c->head_dim, &c->n_rot, err));
    if (c->n_rot < 2 || c->n_rot % 2 != 0)
        return td_fail(err, TD_ERR_FORMAT, "%s: %d rotated dimensions, wanted an even number",
                       td_config_name(ckpt, is_hf ? set_rotary : set_n_rot), c->n_rot);
    return TD_OK;
}

static td_status read_activation(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const struct {
        const char *name;
        td_activation activation;
    } names[] = {
        {"silu",              TD_ACTIVATION_SILU     },
        {"swish",             TD_ACTIVATION_SILU     },
        {"gelu",              TD_ACTIVATION_GELU     },
        {"relu",              TD_ACTIVATION_RELU     },
        {"gelu_new",          TD_ACTIVATION_GELU_TANH},
        {"gelu_fast",         TD_ACTIVATION_GELU_TANH},
        {"gelu_pytorch_tanh", TD_ACTIVATION_GELU_TANH},
    };
    const td_setting s = {NULL, "hidden_activation|hidden_act|activation_function|activation"};
    td_string act;
    TD_TRY(td_config_get_string(ckpt, s, &act, err));
    if (!act.text) return TD_OK;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!td_string_is(act, names[i].name)) continue;
        c->activation = names[i].activation;
        return TD_OK;
    }
    return td_fail(err, TD_ERR_UNSUPPORTED,
                   "%s is '%.*s'; this build knows silu, gelu, gelu_pytorch_tanh and relu",
                   td_config_name(ckpt, s), act.n < 64 ? (int)act.n : 64, act.text);
}

td_status td_config_read(td_config *c, const td_checkpoint *ckpt, const td_config_defaults *d,
                         td_err *err) {
    static const td_config_defaults none;
    if (!d) d = &none;
    *c = (td_config){
        .embedding_scale = 1, .residual_scale = 1, .logit_scale = 1, .activation = d->activation};
    TD_TRY(read_sizes(c, ckpt, d, err));
    TD_TRY(read_eps(c, ckpt, d, err));
    TD_TRY(read_activation(c, ckpt, err));
    if (!d->mla) TD_TRY(read_n_rot(c, ckpt, d, err));
    TD_TRY(td_config_read_rope(c, ckpt, d, err));
    double scale = 1.0 / sqrt((double)c->head_dim);
    TD_TRY(td_config_get_float(ckpt, set_scale, &scale, err));
    c->attention_scale = (float)scale;
    if (d->mla) TD_TRY(td_config_read_mla_scale(c, ckpt, err));
    int n_expert = 0;
    if (d->experts) return TD_OK;
    TD_TRY(td_config_get_int(ckpt, td_set_n_expert, false, 0, INT_MAX, &n_expert, err));
    if (n_expert > 0)
        return td_fail(err, TD_ERR_UNSUPPORTED,
                       "%s is %d: this build knows no mixture of experts of this architecture",
                       td_config_name(ckpt, td_set_n_expert), n_expert);
    return TD_OK;
}
