/* config.c - hyperparameters out of GGUF metadata. */
#include "model/config.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* "<arch>.<key>"; architecture names are checked before anything is read with them, so this fits.
 */
static void full_key(const td_checkpoint *ckpt, const char *key, char out[128]) {
    td_string arch = {0};
    (void)td_checkpoint_get_string(ckpt, "general.architecture", false, &arch, NULL);
    snprintf(out, 128, "%.*s.%s", arch.text ? (int)arch.n : 0, arch.text ? arch.text : "", key);
}

td_status td_config_get_int(const td_checkpoint *ckpt, const char *key, bool required, int min,
                            int max, int *out, td_err *err) {
    char name[128];
    full_key(ckpt, key, name);
    int64_t v = *out;
    TD_TRY(td_checkpoint_get_int(ckpt, name, required, min, max, &v, err));
    *out = (int)v;
    return TD_OK;
}

td_status td_config_get_float(const td_checkpoint *ckpt, const char *key, double *out,
                              td_err *err) {
    char name[128];
    full_key(ckpt, key, name);
    return td_checkpoint_get_float(ckpt, name, false, out, err);
}

/* A value that GGUF allows to differ per layer, and that the dense decoders here need to be one. */
static td_status get_uniform(const td_checkpoint *ckpt, const char *key, bool required, int n_layer,
                             int max, int *out, td_err *err) {
    char name[128];
    full_key(ckpt, key, name);
    int64_t v[TD_MAX_LAYERS];
    for (int i = 0; i < n_layer; i++) v[i] = *out;
    TD_TRY(td_checkpoint_get_ints(ckpt, name, required, 1, max, n_layer, v, err));
    for (int i = 1; i < n_layer; i++)
        if (v[i] != v[0])
            return td_fail(err, TD_ERR_UNSUPPORTED,
                           "%s: layer %d has %lld where layer 0 has %lld; this build wants one "
                           "value for all layers",
                           name, i, (long long)v[i], (long long)v[0]);
    *out = (int)v[0];
    return TD_OK;
}

static td_status read_sizes(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    enum { MAX_WIDTH = 1 << 20 };
    TD_TRY(td_config_get_int(ckpt, "block_count", true, 1, TD_MAX_LAYERS, &c->n_layer, err));
    TD_TRY(td_config_get_int(ckpt, "embedding_length", true, 1, MAX_WIDTH, &c->n_embd, err));
    TD_TRY(td_config_get_int(ckpt, "context_length", true, 1, INT_MAX, &c->n_ctx_train, err));
    TD_TRY(get_uniform(ckpt, "feed_forward_length", true, c->n_layer, MAX_WIDTH, &c->n_ff, err));
    TD_TRY(get_uniform(ckpt, "attention.head_count", true, c->n_layer, 4096, &c->n_head, err));
    c->n_head_kv = c->n_head;
    TD_TRY(
        get_uniform(ckpt, "attention.head_count_kv", false, c->n_layer, 4096, &c->n_head_kv, err));
    if (c->n_head % c->n_head_kv != 0)
        return td_fail(err, TD_ERR_FORMAT,
                       "attention.head_count %d is not a multiple of attention.head_count_kv %d",
                       c->n_head, c->n_head_kv);
    c->head_dim = c->n_embd / c->n_head;
    TD_TRY(td_config_get_int(ckpt, "attention.key_length", false, 1, 65536, &c->head_dim, err));
    int value_length = c->head_dim;
    TD_TRY(td_config_get_int(ckpt, "attention.value_length", false, 1, 65536, &value_length, err));
    if (c->head_dim < 1 || value_length != c->head_dim)
        return td_fail(err, TD_ERR_UNSUPPORTED,
                       "attention.key_length %d and attention.value_length %d: wanted equal and "
                       "above 0",
                       c->head_dim, value_length);
    /* n_head_kv <= n_head, so this bounds both widths and every int product of them. */
    if ((int64_t)c->n_head * c->head_dim > MAX_WIDTH)
        return td_fail(err, TD_ERR_LIMIT,
                       "attention.head_count %d times attention.key_length %d: wanted at most %d",
                       c->n_head, c->head_dim, MAX_WIDTH);
    return TD_OK;
}

static td_status read_rope(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    c->n_rot = c->head_dim;
    TD_TRY(td_config_get_int(ckpt, "rope.dimension_count", false, 2, c->head_dim, &c->n_rot, err));
    if (c->n_rot % 2 != 0)
        return td_fail(err, TD_ERR_FORMAT, "rope.dimension_count %d: wanted an even number",
                       c->n_rot);
    c->rope_theta = 10000;
    TD_TRY(td_config_get_float(ckpt, "rope.freq_base", &c->rope_theta, err));
    c->rope_factor = 1;
    char name[128];
    full_key(ckpt, "rope.scaling.type", name);
    td_string type = {0};
    TD_TRY(td_checkpoint_get_string(ckpt, name, false, &type, err));
    const bool linear = type.text && type.n == 6 && memcmp(type.text, "linear", 6) == 0;
    const bool none = !type.text || (type.n == 4 && memcmp(type.text, "none", 4) == 0);
    if (!linear && !none)
        return td_fail(err, TD_ERR_UNSUPPORTED,
                       "%s is '%.*s'; this build knows none and linear (and Llama 3's "
                       "rope_freqs.weight)",
                       name, (int)type.n, type.text);
    TD_TRY(td_config_get_float(ckpt, "rope.scale_linear", &c->rope_factor, err));
    if (linear) TD_TRY(td_config_get_float(ckpt, "rope.scaling.factor", &c->rope_factor, err));
    if (!(c->rope_theta > 0) || !(c->rope_factor > 0))
        return td_fail(err, TD_ERR_FORMAT,
                       "rope.freq_base %g and scaling factor %g: wanted above 0", c->rope_theta,
                       c->rope_factor);
    return TD_OK;
}

td_status td_config_read_gguf(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    *c = (td_config){.embedding_scale = 1};
    TD_TRY(read_sizes(c, ckpt, err));
    double eps = 0;
    char name[128];
    full_key(ckpt, "attention.layer_norm_rms_epsilon", name);
    TD_TRY(td_checkpoint_get_float(ckpt, name, true, &eps, err));
    if (!(eps >= 0) || eps > 1)
        return td_fail(err, TD_ERR_FORMAT, "%s is %g, wanted 0 to 1", name, eps);
    c->norm_eps = (float)eps;
    TD_TRY(read_rope(c, ckpt, err));
    double scale = 1.0 / sqrt((double)c->head_dim);
    TD_TRY(td_config_get_float(ckpt, "attention.scale", &scale, err));
    c->attention_scale = (float)scale;
    int n_expert = 0;
    TD_TRY(td_config_get_int(ckpt, "expert_count", false, 0, INT_MAX, &n_expert, err));
    if (n_expert > 0)
        return td_fail(err, TD_ERR_UNSUPPORTED,
                       "expert_count is %d: this build does not run mixtures of experts yet",
                       n_expert);
    const td_tensor *table = td_checkpoint_tensor(ckpt, "token_embd.weight");
    if (!table) return td_fail(err, TD_ERR_FORMAT, "tensor 'token_embd.weight' is missing");
    if (table->ne[1] > 1 << 28)
        return td_fail(err, TD_ERR_FORMAT, "tensor 'token_embd.weight': %lld rows are too many",
                       (long long)table->ne[1]);
    c->n_vocab = (int)table->ne[1];
    return TD_OK;
}
