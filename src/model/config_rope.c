/* config_rope.c - the rotary embedding's settings: GGUF's rope.scaling.*, config.json's rope_theta
 * with rope_scaling (old) and rope_parameters (new). */
#include "model/config.h"

#include <math.h>
#include <string.h>

/* Where config.json may keep a member of the scaling. */
#define IN_SCALING(name)                                                                           \
    "rope_parameters." name "|rope_parameters.full_attention." name "|rope_scaling." name

static const td_setting set_theta = {"rope.freq_base",
                                     IN_SCALING("rope_theta") "|rope_theta|rotary_emb_base"};
static const td_setting set_type = {"rope.scaling.type",
                                    IN_SCALING("rope_type") "|rope_scaling.type"};
static const td_setting set_factor = {"rope.scaling.factor", IN_SCALING("factor")};
static const td_setting set_linear = {"rope.scale_linear", NULL};
static const td_setting set_original = {
    "rope.scaling.original_context_length",
    IN_SCALING("original_max_position_embeddings") "|original_max_position_embeddings"};
static const td_setting set_low = {NULL, IN_SCALING("low_freq_factor")};
static const td_setting set_high = {NULL, IN_SCALING("high_freq_factor")};
static const td_setting set_fast = {"rope.scaling.yarn_beta_fast", IN_SCALING("beta_fast")};
static const td_setting set_slow = {"rope.scaling.yarn_beta_slow", IN_SCALING("beta_slow")};
static const td_setting set_truncate = {NULL, IN_SCALING("truncate")};
static const td_setting set_mscale = {NULL, IN_SCALING("mscale")};
static const td_setting set_mscale_all = {NULL, IN_SCALING("mscale_all_dim")};
static const td_setting set_yarn_attention = {"rope.scaling.yarn_attn_factor",
                                              IN_SCALING("attention_factor")};
static const td_setting set_attention = {"rope.scaling.attn_factor",
                                         IN_SCALING("attention_factor")};

static td_status read_type(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const struct {
        const char *name;
        td_rope_scaling scaling;
    } names[] = {
        {"none",     TD_ROPE_PLAIN },
        {"default",  TD_ROPE_PLAIN },
        {"dynamic",  TD_ROPE_PLAIN }, /* changes nothing within the context it was trained for */
        {"linear",   TD_ROPE_LINEAR},
        {"llama3",   TD_ROPE_LLAMA3},
        {"yarn",     TD_ROPE_YARN  },
        {"longrope", TD_ROPE_LONG  },
        {"su",       TD_ROPE_LONG  },
    };
    td_string type;
    TD_TRY(td_config_get_string(ckpt, set_type, &type, err));
    if (!type.text) return TD_OK;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!td_string_is(type, names[i].name)) continue;
        c->rope.scaling = names[i].scaling;
        return TD_OK;
    }
    return td_fail(err, TD_ERR_UNSUPPORTED,
                   "%s is '%.*s'; this build knows none, linear, llama3, yarn and longrope",
                   td_config_name(ckpt, set_type), type.n < 64 ? (int)type.n : 64, type.text);
}

static double mscale(double factor, double m) {
    return factor <= 1 ? 1 : 0.1 * m * log(factor) + 1;
}

/* What multiplies cosine and sine: what the file says, else what YaRN's and LongRoPE's papers do.
 */
static td_status read_attention_factor(td_rope_config *r, const td_checkpoint *ckpt, int n_ctx,
                                       td_err *err) {
    if (r->scaling == TD_ROPE_YARN) {
        double m = 0, all = 0;
        TD_TRY(td_config_get_float(ckpt, set_mscale, &m, err));
        TD_TRY(td_config_get_float(ckpt, set_mscale_all, &all, err));
        r->attention_factor = m != 0 && all != 0 ? mscale(r->factor, m) / mscale(r->factor, all)
                                                 : mscale(r->factor, 1);
        return td_config_get_float(ckpt, set_yarn_attention, &r->attention_factor, err);
    }
    if (r->scaling == TD_ROPE_LONG) {
        const double stretch = td_config_find(ckpt, set_factor) ? r->factor : n_ctx / r->original;
        r->attention_factor = stretch <= 1 ? 1 : sqrt(1 + log(stretch) / log(r->original));
    }
    return td_config_get_float(ckpt, set_attention, &r->attention_factor, err);
}

static td_status check(const td_config *c, const td_checkpoint *ckpt, td_err *err) {
    const td_rope_config *r = &c->rope;
    if (!(r->theta > 0) || !(r->factor > 0))
        return td_fail(err, TD_ERR_FORMAT, "%s %g and scaling factor %g: wanted above 0",
                       td_config_name(ckpt, set_theta), r->theta, r->factor);
    if (r->scaling == TD_ROPE_LLAMA3 && !(r->high_freq_factor >= r->low_freq_factor))
        return td_fail(err, TD_ERR_FORMAT, "%s %g is below %s %g", td_config_name(ckpt, set_high),
                       r->high_freq_factor, td_config_name(ckpt, set_low), r->low_freq_factor);
    if ((r->scaling == TD_ROPE_YARN && (!(r->beta_slow > 0) || r->theta == 1)) ||
        !(r->original > 1))
        return td_fail(err, TD_ERR_FORMAT,
                       "%s %g, beta_slow %g: wanted a context above 1, and above 0",
                       td_config_name(ckpt, set_original), r->original, r->beta_slow);
    return TD_OK;
}

td_status td_config_read_rope(td_config *c, const td_checkpoint *ckpt, const td_config_defaults *d,
                              td_err *err) {
    td_rope_config *r = &c->rope;
    *r = (td_rope_config){.theta = d->rope_theta > 0 ? d->rope_theta : 10000,
                          .factor = 1,
                          .original = c->n_ctx_train > 1 ? c->n_ctx_train : 2,
                          .low_freq_factor = 1,
                          .high_freq_factor = 4,
                          .beta_fast = 32,
                          .beta_slow = 1,
                          .truncate = true,
                          .attention_factor = 1};
    TD_TRY(td_config_get_float(ckpt, set_theta, &r->theta, err));
    TD_TRY(read_type(c, ckpt, err));
    TD_TRY(td_config_get_float(ckpt, set_linear, &r->factor, err));
    if (td_config_find(ckpt, set_linear) && r->scaling == TD_ROPE_PLAIN)
        r->scaling = TD_ROPE_LINEAR;
    TD_TRY(td_config_get_float(ckpt, set_factor, &r->factor, err));
    TD_TRY(td_config_get_float(ckpt, set_original, &r->original, err));
    TD_TRY(td_config_get_float(ckpt, set_low, &r->low_freq_factor, err));
    TD_TRY(td_config_get_float(ckpt, set_high, &r->high_freq_factor, err));
    TD_TRY(td_config_get_float(ckpt, set_fast, &r->beta_fast, err));
    TD_TRY(td_config_get_float(ckpt, set_slow, &r->beta_slow, err));
    TD_TRY(td_config_get_bool(ckpt, set_truncate, &r->truncate, err));
    TD_TRY(check(c, ckpt, err));
    return read_attention_factor(r, ckpt, c->n_ctx_train, err);
}
