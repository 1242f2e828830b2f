/* config_delta.c - which layers attend linearly, and the sizes of their heads. */
#include "model/config.h"

enum { MAX_HEADS = 4096, MAX_DIM = 4096, MAX_CONV = 64, MAX_WIDTH = 1 << 20 };

static const td_setting set_n_head_k = {"ssm.group_count", "linear_num_key_heads"};
static const td_setting set_n_head_v = {"ssm.time_step_rank", "linear_num_value_heads"};
static const td_setting set_k_dim = {"ssm.state_size", "linear_key_head_dim"};
static const td_setting set_v_dim = {NULL, "linear_value_head_dim"};
static const td_setting set_n_value = {"ssm.inner_size", NULL};
static const td_setting set_n_conv = {"ssm.conv_kernel", "linear_conv_kernel_dim"};
static const td_setting set_layers = {"attention.recurrent_layers", "layer_types"};
static const td_setting set_interval = {"full_attention_interval", "full_attention_interval"};

static td_status mark_layers(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    const td_meta *list = td_config_find(ckpt, set_layers);
    int interval = 4;
    TD_TRY(td_config_get_int(ckpt, set_interval, false, 1, TD_MAX_LAYERS, &interval, err));
    if (!list) {
        for (int i = 0; i < c->n_layer; i++)
            if ((i + 1) % interval != 0) c->layers[i] |= TD_LAYER_DELTA;
        return TD_OK;
    }
    const bool strings = list->elem_type == TD_META_STRING;
    if (list->type != TD_META_ARRAY || (!strings && list->elem_type != TD_META_BOOL) ||
        list->n_elem < (uint64_t)c->n_layer)
        return td_fail(err, TD_ERR_FORMAT,
                       "key '%s' is no list with an entry for each of %d layers", list->key,
                       c->n_layer);
    for (int i = 0; i < c->n_layer; i++) {
        bool linear = !strings && td_meta_bool(list, (uint64_t)i);
        if (strings) {
            const td_string kind = td_meta_string(list, (uint64_t)i);
            linear = td_string_is(kind, "linear_attention");
            if (!linear && !td_string_is(kind, "full_attention"))
                return td_fail(err, TD_ERR_UNSUPPORTED,
                               "%s: layer %d is '%.*s'; this architecture knows full_attention and "
                               "linear_attention",
                               list->key, i, kind.n < 64 ? (int)kind.n : 64, kind.text);
        }
        if (linear) c->layers[i] |= TD_LAYER_DELTA;
    }
    return TD_OK;
}

td_status td_config_read_delta(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    td_delta_config *d = &c->delta;
    TD_TRY(td_config_get_int(ckpt, set_n_head_k, true, 1, MAX_HEADS, &d->n_head_k, err));
    TD_TRY(td_config_get_int(ckpt, set_n_head_v, true, 1, MAX_HEADS, &d->n_head_v, err));
    TD_TRY(td_config_get_int(ckpt, set_k_dim, true, 1, MAX_DIM, &d->k_dim, err));
    TD_TRY(td_config_get_int(ckpt, set_n_conv, true, 1, MAX_CONV, &d->n_conv, err));
    if (d->n_head_v % d->n_head_k != 0)
        return td_fail(err, TD_ERR_FORMAT, "%s %d is not a multiple of %s %d",
                       td_config_name(ckpt, set_n_head_v), d->n_head_v,
                       td_config_name(ckpt, set_n_head_k), d->n_head_k);
    if (td_checkpoint_get_kind(ckpt) == TD_CHECKPOINT_GGUF) {
        int n_value = 0;
        TD_TRY(td_config_get_int(ckpt, set_n_value, true, 1, MAX_WIDTH, &n_value, err));
        d->v_dim = n_value / d->n_head_v;
        if (n_value % d->n_head_v != 0 || d->v_dim > MAX_DIM)
            return td_fail(err, TD_ERR_FORMAT, "%s is %d, wanted %s %d times at most %d",
                           td_config_name(ckpt, set_n_value), n_value,
                           td_config_name(ckpt, set_n_head_v), d->n_head_v, MAX_DIM);
    } else {
        TD_TRY(td_config_get_int(ckpt, set_v_dim, true, 1, MAX_DIM, &d->v_dim, err));
    }
    if ((int64_t)d->n_head_k * d->k_dim > MAX_WIDTH || (int64_t)d->n_head_v * d->v_dim > MAX_WIDTH)
        return td_fail(
            err, TD_ERR_LIMIT,
            "%d heads of %d and %d of %d of linear attention are too many for this build",
            d->n_head_k, d->k_dim, d->n_head_v, d->v_dim);
    return mark_layers(c, ckpt, err);
}
