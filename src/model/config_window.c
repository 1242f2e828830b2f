/* config_window.c - which layers attend within a sliding window, and how wide it is. */
#include "model/config.h"

#include <math.h>
#include <string.h>

static td_status mark_by_list(td_config *c, const td_checkpoint *ckpt, const td_meta *list,
                              td_err *err) {
    const bool strings = list->elem_type == TD_META_STRING;
    if (list->type != TD_META_ARRAY || (!strings && list->elem_type != TD_META_BOOL) ||
        list->n_elem < (uint64_t)c->n_layer)
        return td_fail(err, TD_ERR_FORMAT,
                       "%s: key '%s' is no list with an entry for each of %d layers",
                       td_checkpoint_path(ckpt), list->key, c->n_layer);
    for (int i = 0; i < c->n_layer; i++) {
        bool local = !strings && td_meta_bool(list, (uint64_t)i);
        if (strings) {
            const td_string kind = td_meta_string(list, (uint64_t)i);
            local = td_string_is(kind, "sliding_attention");
            if (!local && !td_string_is(kind, "full_attention"))
                return td_fail(err, TD_ERR_UNSUPPORTED,
                               "%s: layer %d is '%.*s'; this build knows full_attention and "
                               "sliding_attention",
                               list->key, i, kind.n < 64 ? (int)kind.n : 64, kind.text);
        }
        if (local) c->layers[i] |= TD_LAYER_LOCAL;
    }
    return TD_OK;
}

td_status td_config_mark_windows(td_config *c, const td_checkpoint *ckpt, int period, td_err *err) {
    if (c->window == 0) return TD_OK;
    const td_setting pattern = {"attention.sliding_window_pattern", "layer_types"};
    const td_setting number = {NULL, "sliding_window_pattern"};
    const td_meta *m = td_config_find(ckpt, pattern);
    if (m && m->type == TD_META_ARRAY) return mark_by_list(c, ckpt, m, err);
    TD_TRY(td_config_get_int(ckpt, m ? pattern : number, false, 0, TD_MAX_LAYERS, &period, err));
    for (int i = 0; i < c->n_layer; i++)
        if (period == 0 || (i + 1) % period != 0) c->layers[i] |= TD_LAYER_LOCAL;
    return TD_OK;
}

td_status td_config_read_window(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_setting window = {"attention.sliding_window", "sliding_window"};
    return td_config_get_int(ckpt, window, false, 0, 1 << 30, &c->window, err);
}

td_status td_config_read_last_windows(td_config *c, const td_checkpoint *ckpt, int first,
                                      td_err *err) {
    static const td_setting list = {NULL, "layer_types"};
    static const td_setting n_full = {NULL, "max_window_layers"};
    TD_TRY(td_config_read_window(c, ckpt, err));
    if (td_config_find(ckpt, list)) return td_config_mark_windows(c, ckpt, 1, err);
    TD_TRY(td_config_get_int(ckpt, n_full, false, 0, TD_MAX_LAYERS, &first, err));
    for (int i = first; i < c->n_layer && c->window; i++) c->layers[i] |= TD_LAYER_LOCAL;
    return TD_OK;
}

td_status td_config_read_qwen_window(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_setting in_use = {NULL, "use_sliding_window"};
    bool use = false;
    TD_TRY(td_config_get_bool(ckpt, in_use, &use, err));
    return use ? td_config_read_last_windows(c, ckpt, 28, err) : TD_OK;
}

td_status td_config_read_gemma(td_config *c, const td_checkpoint *ckpt, int n_layer_27b,
                               td_err *err) {
    static const td_setting window = {"attention.sliding_window", "sliding_window"};
    static const td_setting scalar = {NULL, "query_pre_attn_scalar"};
    TD_TRY(td_config_read_window(c, ckpt, err));
    if (c->window == 0 && td_checkpoint_get_kind(ckpt) == TD_CHECKPOINT_GGUF)
        return td_fail(err, TD_ERR_FORMAT, "key '%s' is missing or 0",
                       td_config_name(ckpt, window));
    c->embedding_scale = sqrtf((float)c->n_embd);
    double s = c->head_dim;
    if (td_checkpoint_get_kind(ckpt) == TD_CHECKPOINT_HF)
        s = 256;
    else if (c->n_layer == n_layer_27b)
        s = (double)c->n_embd / c->n_head;
    TD_TRY(td_config_get_float(ckpt, scalar, &s, err));
    if (!(s > 0))
        return td_fail(err, TD_ERR_FORMAT, "%s is %g, wanted above 0", td_config_name(ckpt, scalar),
                       s);
    c->attention_scale = (float)(1 / sqrt(s));
    static const td_setting scale = {"attention.scale", NULL};
    return td_config_get_scale(ckpt, scale, &c->attention_scale, err);
}
