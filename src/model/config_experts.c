/* config_experts.c - how many experts there are, how they are chosen, and which layers have them.
 */
#include <limits.h>
#include <string.h>

#include "model/config.h"

enum { MAX_EXPERTS = 4096, MAX_GROUPS = 64, MAX_WIDTH = 1 << 20 };

const td_setting td_set_n_expert = {
    "expert_count",
    "num_local_experts|num_experts|n_routed_experts|moe_num_experts|moe_num_primary_experts"};
static const td_setting set_n_used = {
    "expert_used_count",
    "num_experts_per_tok|experts_per_token|moe_k|moe_topk|moe_top_k|moe_num_active_primary_experts"};
static const td_setting set_n_ff = {"expert_feed_forward_length",
                                    "moe_intermediate_size|moe_ffn_hidden_size"};
static const td_setting set_n_shared = {
    "expert_shared_count", "n_shared_experts|num_shared_experts|moe_num_shared_experts|"
                           "num_shared_expert"};
static const td_setting set_n_ff_shared = {
    "expert_shared_feed_forward_length",
    "shared_expert_intermediate_size|shared_intermediate_size"};
static const td_setting set_n_group = {"expert_group_count", "n_group"};
static const td_setting set_n_group_used = {"expert_group_used_count", "topk_group"};
static const td_setting set_normalize = {"expert_weights_norm", "norm_topk_prob"};
static const td_setting set_scale = {"expert_weights_scale", "routed_scaling_factor"};
static const td_setting set_score = {"expert_gating_func", "scoring_func"};
static const td_setting set_n_dense = {"leading_dense_block_count",
                                       "first_k_dense_replace|moe_layer_start_index"};
static const td_setting set_last = {NULL, "moe_layer_end_index"};
static const td_setting set_step = {"interleave_moe_layer_step",
                                    "decoder_sparse_step|interleave_moe_layer_step|"
                                    "moe_layer_interval"};
static const td_setting set_freq = {NULL, "moe_layer_freq"};
static const td_setting set_dense_list = {NULL, "mlp_only_layers"};
static const td_setting set_sparse_list = {NULL, "moe_layers"};
static const td_setting set_kinds = {NULL, "mlp_layer_types"};

/* One number, or a list of it for each layer, or of one for each modality. */
static td_status get_number(const td_config *c, const td_checkpoint *ckpt, td_setting s, int min,
                            int max, int *out, td_err *err) {
    const td_meta *m = td_config_find(ckpt, s);
    if (!c->per_modality || !m || m->type != TD_META_ARRAY || m->elem_type != TD_META_INT ||
        m->n_elem == 0)
        return td_config_get_uniform(ckpt, s, c->n_layer, min, max, out, err);
    const int64_t v = td_meta_int(m, 0);
    if (v < min || v > max)
        return td_fail(err, TD_ERR_FORMAT, "the first of '%s' is %lld, wanted %d to %d", m->key,
                       (long long)v, min, max);
    *out = (int)v;
    return TD_OK;
}

/* By number in GGUF files, by name in config.json. */
static td_status read_score(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    const td_meta *m = td_config_find(ckpt, set_score);
    if (!m) return TD_OK;
    if (td_checkpoint_get_kind(ckpt) == TD_CHECKPOINT_GGUF) {
        int number = 0;
        TD_TRY(td_config_get_int(ckpt, set_score, true, 0, INT_MAX, &number, err));
        if (number > 3)
            return td_fail(err, TD_ERR_UNSUPPORTED,
                           "%s is %d; this build knows 1 (softmax), 2 (sigmoid) and 3 (softmax of "
                           "the chosen)",
                           m->key, number);
        if (number > 0) c->router.score = (td_router_score)(number - 1);
        return TD_OK;
    }
    td_string name;
    TD_TRY(td_config_get_string(ckpt, set_score, &name, err));
    if (td_string_is(name, "softmax"))
        c->router.score = TD_ROUTER_SOFTMAX;
    else if (td_string_is(name, "sigmoid"))
        c->router.score = TD_ROUTER_SIGMOID;
    else
        return td_fail(err, TD_ERR_UNSUPPORTED,
                       "%s is '%.*s'; this build knows softmax and sigmoid", m->key,
                       name.n < 64 ? (int)name.n : 64, name.text);
    return TD_OK;
}

/* Some files say false for a number that they do not use (Hunyuan). */
static bool is_false(const td_checkpoint *ckpt, td_setting s) {
    const td_meta *m = td_config_find(ckpt, s);
    return m && m->type == TD_META_BOOL && !td_meta_bool(m, 0);
}

static td_status read_groups(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    td_router_config *r = &c->router;
    if (is_false(ckpt, set_n_group)) return TD_OK;
    TD_TRY(td_config_get_int(ckpt, set_n_group, false, 0, MAX_GROUPS, &r->n_group, err));
    if (r->n_group <= 1) return TD_OK;
    if (r->n_expert % r->n_group != 0)
        return td_fail(err, TD_ERR_FORMAT, "%s %d is not a multiple of %s %d",
                       td_config_name(ckpt, td_set_n_expert), r->n_expert,
                       td_config_name(ckpt, set_n_group), r->n_group);
    TD_TRY(td_config_get_int(ckpt, set_n_group_used, true, 1, r->n_group, &r->n_group_used, err));
    const int n_left = r->n_expert / r->n_group * r->n_group_used;
    if (r->n_used > n_left)
        return td_fail(err, TD_ERR_FORMAT, "%s is %d, wanted at most the %d experts of %s %d",
                       td_config_name(ckpt, set_n_used), r->n_used, n_left,
                       td_config_name(ckpt, set_n_group_used), r->n_group_used);
    return TD_OK;
}

static td_status read_widths(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    int n_shared = 0;
    if (c->n_ff_expert == 0) c->n_ff_expert = c->n_ff;
    TD_TRY(get_number(c, ckpt, set_n_ff, 1, MAX_WIDTH, &c->n_ff_expert, err));
    if (td_config_find(ckpt, set_n_ff_shared))
        return td_config_get_int(ckpt, set_n_ff_shared, true, 0, MAX_WIDTH, &c->n_ff_shared, err);
    if (!td_config_find(ckpt, set_n_shared)) return TD_OK;
    TD_TRY(td_config_get_uniform(ckpt, set_n_shared, c->n_layer, 0, MAX_WIDTH / c->n_ff_expert,
                                 &n_shared, err));
    c->n_ff_shared = n_shared * c->n_ff_expert;
    return TD_OK;
}

/* The layers of a list have experts, or have none. */
static td_status mark_list(td_config *c, const td_meta *list, bool sparse, td_err *err) {
    if (list->type != TD_META_ARRAY || (list->n_elem > 0 && list->elem_type != TD_META_INT))
        return td_fail(err, TD_ERR_FORMAT, "key '%s' is no list of layers", list->key);
    for (uint64_t i = 0; i < list->n_elem; i++) {
        const int64_t layer = td_meta_int(list, i);
        if (layer < 0 || layer >= c->n_layer) continue;
        c->layers[layer] &= (uint8_t) ~(unsigned)TD_LAYER_EXPERTS;
        if (sparse) c->layers[layer] |= TD_LAYER_EXPERTS;
    }
    return TD_OK;
}

/* A word for each layer says all. */
static td_status mark_kinds(td_config *c, const td_meta *list, td_err *err) {
    if (list->type != TD_META_ARRAY || list->elem_type != TD_META_STRING ||
        list->n_elem < (uint64_t)c->n_layer)
        return td_fail(err, TD_ERR_FORMAT, "key '%s' is no list with a word for each of %d layers",
                       list->key, c->n_layer);
    for (int i = 0; i < c->n_layer; i++) {
        const td_string kind = td_meta_string(list, (uint64_t)i);
        if (td_string_is(kind, "sparse"))
            c->layers[i] |= TD_LAYER_EXPERTS;
        else if (!td_string_is(kind, "dense"))
            return td_fail(err, TD_ERR_UNSUPPORTED,
                           "%s: layer %d is '%.*s'; this build knows dense and sparse", list->key,
                           i, kind.n < 64 ? (int)kind.n : 64, kind.text);
    }
    return TD_OK;
}

/* All from n_dense to last, every step-th of them, but for those that a list takes out. */
static td_status mark_layers(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    int n_dense = 0, step = 1, freq = 1, last = -1;
    const td_meta *m = td_config_find(ckpt, set_kinds);
    if (m) return mark_kinds(c, m, err);
    m = td_config_find(ckpt, set_sparse_list);
    if (m) return mark_list(c, m, true, err);
    TD_TRY(get_number(c, ckpt, set_n_dense, 0, TD_MAX_LAYERS, &n_dense, err));
    TD_TRY(get_number(c, ckpt, set_last, -1, TD_MAX_LAYERS, &last, err));
    if (last < 0 || last >= c->n_layer) last = c->n_layer - 1;
    TD_TRY(td_config_get_int(ckpt, set_step, false, 0, TD_MAX_LAYERS, &step, err));
    m = td_config_find(ckpt, set_freq);
    if (m && m->type != TD_META_ARRAY)
        TD_TRY(td_config_get_int(ckpt, set_freq, false, 1, TD_MAX_LAYERS, &freq, err));
    for (int i = n_dense; i <= last && step > 0; i++)
        if ((i + 1) % step == 0 && i % freq == 0) c->layers[i] |= TD_LAYER_EXPERTS;
    m = td_config_find(ckpt, set_dense_list);
    return m ? mark_list(c, m, false, err) : TD_OK;
}

td_status td_config_read_experts(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    td_router_config *r = &c->router;
    TD_TRY(get_number(c, ckpt, td_set_n_expert, 0, MAX_EXPERTS, &r->n_expert, err));
    if (r->n_expert == 0) return TD_OK;
    if (r->n_used == 0 && !td_config_find(ckpt, set_n_used))
        return td_fail(err, TD_ERR_FORMAT, "key '%s' is missing", td_config_name(ckpt, set_n_used));
    TD_TRY(td_config_get_uniform(ckpt, set_n_used, c->n_layer, 1, r->n_expert, &r->n_used, err));
    if (r->n_used > r->n_expert)
        return td_fail(err, TD_ERR_FORMAT, "%s is missing, and its default %d is above %s %d",
                       td_config_name(ckpt, set_n_used), r->n_used,
                       td_config_name(ckpt, td_set_n_expert), r->n_expert);
    TD_TRY(read_score(c, ckpt, err));
    TD_TRY(td_config_get_bool(ckpt, set_normalize, &r->normalize, err));
    if (r->scale == 0) r->scale = 1;
    if (!is_false(ckpt, set_scale)) TD_TRY(td_config_get_scale(ckpt, set_scale, &r->scale, err));
    TD_TRY(read_groups(c, ckpt, err));
    TD_TRY(read_widths(c, ckpt, err));
    return mark_layers(c, ckpt, err);
}
