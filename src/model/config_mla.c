/* config_mla.c - the sizes of multi-head latent attention. */
#include <math.h>

#include "model/config.h"

enum { MAX_DIM = 65536, MAX_WIDTH = 1 << 20 };

static const td_setting set_rank_q = {"attention.q_lora_rank", "q_lora_rank"};
static const td_setting set_rank_kv = {"attention.kv_lora_rank", "kv_lora_rank"};
static const td_setting set_nope = {NULL, "qk_nope_head_dim"};
static const td_setting set_rot = {"rope.dimension_count", "qk_rope_head_dim"};
static const td_setting set_v = {"attention.value_length_mla", "v_head_dim"};
static const td_setting set_k_mla = {"attention.key_length_mla", NULL};
/* Of files that were made before the absorbed form was known there. */
static const td_setting set_k_old = {"attention.key_length", NULL};
static const td_setting set_v_old = {"attention.value_length", NULL};
static const td_setting set_mscale_all = {
    NULL, "rope_parameters.mscale_all_dim|rope_scaling.mscale_all_dim"};
static const td_setting set_log_multiplier = {"rope.scaling.yarn_log_multiplier", NULL};

static td_status read_gguf_dims(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    const bool now = td_config_find(ckpt, set_k_mla) != NULL;
    const td_setting k = now ? set_k_mla : set_k_old, v = now ? set_v : set_v_old;
    int n_k = 0;
    TD_TRY(td_config_get_int(ckpt, k, true, 1, MAX_DIM, &n_k, err));
    TD_TRY(td_config_get_int(ckpt, v, true, 1, MAX_DIM, &c->mla.n_v, err));
    c->mla.n_nope = n_k - c->mla.n_rot;
    if (c->mla.n_nope > 0) return TD_OK;
    return td_fail(err, TD_ERR_FORMAT, "%s is %d, wanted more than %s %d", td_config_name(ckpt, k),
                   n_k, td_config_name(ckpt, set_rot), c->mla.n_rot);
}

td_status td_config_read_mla(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    td_mla_config *m = &c->mla;
    TD_TRY(td_config_get_int(ckpt, set_rank_q, false, 0, MAX_WIDTH, &m->n_rank_q, err));
    TD_TRY(td_config_get_int(ckpt, set_rank_kv, true, 1, MAX_WIDTH, &m->n_rank_kv, err));
    TD_TRY(td_config_get_int(ckpt, set_rot, true, 2, MAX_DIM, &m->n_rot, err));
    if (m->n_rot % 2 != 0)
        return td_fail(err, TD_ERR_FORMAT, "%s: %d rotated dimensions, wanted an even number",
                       td_config_name(ckpt, set_rot), m->n_rot);
    if (td_checkpoint_get_kind(ckpt) == TD_CHECKPOINT_GGUF) {
        TD_TRY(read_gguf_dims(c, ckpt, err));
    } else {
        TD_TRY(td_config_get_int(ckpt, set_nope, true, 1, MAX_DIM, &m->n_nope, err));
        TD_TRY(td_config_get_int(ckpt, set_v, true, 1, MAX_DIM, &m->n_v, err));
    }
    c->n_head_kv = c->n_head;
    c->n_rot = m->n_rot;
    c->head_dim = m->n_nope + m->n_rot;
    const int64_t width = (int64_t)c->n_head * (c->head_dim > m->n_v ? c->head_dim : m->n_v);
    if (width > MAX_WIDTH || (int64_t)c->n_head * m->n_rank_kv > 16 * MAX_WIDTH)
        return td_fail(err, TD_ERR_LIMIT, "%d heads of %d with %s %d are too many for this build",
                       c->n_head, c->head_dim, td_config_name(ckpt, set_rank_kv), m->n_rank_kv);
    return TD_OK;
}

/* YaRN's part of the scale: (1 + 0.1 m ln factor)^2, the factor 0.1 being in GGUF's multiplier. */
td_status td_config_read_mla_scale(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    double m = 0, multiplier = 0;
    if (c->rope.scaling != TD_ROPE_YARN) return TD_OK;
    if (td_checkpoint_get_kind(ckpt) == TD_CHECKPOINT_GGUF) c->rope.attention_factor = 1;
    TD_TRY(td_config_get_float(ckpt, set_mscale_all, &m, err));
    multiplier = 0.1 * m;
    TD_TRY(td_config_get_float(ckpt, set_log_multiplier, &multiplier, err));
    if (multiplier == 0 || c->rope.factor <= 1) return TD_OK;
    const double mscale = 1 + multiplier * log(c->rope.factor);
    c->attention_scale = (float)((double)c->attention_scale * mscale * mscale);
    return TD_OK;
}
