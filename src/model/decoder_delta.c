/* decoder_delta.c - the modules of linear attention (ops/delta_net.h).
 *
 * Files hold the projections in one of two ways: [q k v z] of each head of k after each other in
 * one tensor, and [beta g] likewise; or all of q, then k, then v in one, and z, beta and g each in
 * its own. */
#include <math.h>

#include "model/decoder_int.h"

/* n floats, in the model's arena. */
static td_status floats(const td_decoder_builder *s, td_module *node, const td_want *want, int n,
                        float **out, td_err *err) {
    const float *read;
    const td_tensor *t;
    TD_TRY(td_build_get(&s->b, want, &t, err));
    TD_TRY(td_build_own(&s->b, node, t, err));
    TD_TRY(td_build_floats(&s->b, t, n, &read, err));
    *out = td_arena_calloc(&s->b.model->arena, (size_t)n, sizeof **out);
    if (!*out) return td_fail_nomem(err, "the gates of linear attention", (size_t)n);
    memcpy(*out, read, (size_t)n * sizeof *read);
    return TD_OK;
}

/* Channels of n_conv taps, turned so that channels lie side by side. */
static td_status taps(const td_decoder_builder *s, td_module *node, td_delta_net *net,
                      td_err *err) {
    const td_part_name name = {"conv1d", "ssm_conv1d"};
    const int n_conv = net->config.n_conv, n_channel = td_delta_n_channel(&net->config);
    const td_want want = {
        .part = name, .suffix = "weight", .ne = {n_conv, 1, n_channel},
                .parent = node
    };
    float *read, *turned;
    td_module *conv;
    TD_TRY(td_build_module(&s->b, node, name.hf, "torch.nn.Conv1d", &conv, err));
    TD_TRY(floats(s, conv, &want, n_conv * n_channel, &read, err));
    const td_tensor *t = td_build_find(&s->b, node, name, "weight");
    if (t->ne[0] != n_conv)
        return td_fail(err, TD_ERR_FORMAT, "tensor '%s' has %lld taps, wanted %d", t->name,
                       (long long)t->ne[0], n_conv);
    turned =
        td_arena_calloc(&s->b.model->arena, (size_t)n_conv * (size_t)n_channel, sizeof *turned);
    if (!turned) return td_fail_nomem(err, "the taps of linear attention", (size_t)n_channel);
    for (int j = 0; j < n_channel; j++)
        for (int i = 0; i < n_conv; i++) turned[i * n_channel + j] = read[j * n_conv + i];
    net->conv = turned;
    return TD_OK;
}

/* Parts of one tensor: for each of n_group groups the rows that the parts have there. */
static td_status rows(const td_decoder_builder *s, td_module *node, td_part_name name, int n_group,
                      const int *n_rows, td_linear *const *out, td_err *err) {
    int stride = 0, first = 0;
    for (int i = 0; out[i]; i++) stride += n_rows[i];
    for (int i = 0; out[i]; i++) {
        const td_linear_spec part = {
            .name = name,
            .n = n_rows[i] * n_group,
            .k = s->c->n_embd,
            .n_whole = stride * n_group,
            .map = {.first = first, .group = n_rows[i], .stride = stride}
        };
        TD_TRY(td_build_linear(&s->b, node, &part, out[i], err));
        first += n_rows[i];
    }
    return TD_OK;
}

/* In an assumed model, as the architecture's own files have them. */
static bool is_grouped(const td_decoder_builder *s, const td_module *node, td_part_name name) {
    if (s->b.model->assumption) return !s->spec->delta_apart;
    return td_build_find(&s->b, node, name, "weight") != NULL;
}

static td_status projections(const td_decoder_builder *s, td_module *node, td_delta_net *net,
                             td_err *err) {
    const td_delta_config *c = &net->config;
    const int per_key = c->n_head_v / c->n_head_k, n_value = td_delta_n_value(c);
    const int in_group[] = {c->k_dim, c->k_dim, per_key * c->v_dim, per_key * c->v_dim};
    const int in_all[] = {td_delta_n_key(c), td_delta_n_key(c), n_value};
    td_linear *const qkvz[] = {&net->q, &net->k, &net->v, &net->z, NULL};
    td_linear *const qkv[] = {&net->q, &net->k, &net->v, NULL}, *const z[] = {&net->z, NULL};
    const td_part_name grouped = {"in_proj_qkvz", "ssm_in"};
    if (is_grouped(s, node, grouped))
        return rows(s, node, grouped, c->n_head_k, in_group, qkvz, err);
    TD_TRY(rows(s, node, (td_part_name){"in_proj_qkv", "attn_qkv"}, 1, in_all, qkv, err));
    return rows(s, node, (td_part_name){"in_proj_z", "attn_gate"}, 1, &n_value, z, err);
}

static td_status gates(const td_decoder_builder *s, td_module *node, td_delta_net *net,
                       td_err *err) {
    const td_delta_config *c = &net->config;
    const int per_key = c->n_head_v / c->n_head_k, in_group[] = {per_key, per_key};
    td_linear *const both[] = {&net->beta, &net->g, NULL};
    td_linear *const beta[] = {&net->beta, NULL}, *const g[] = {&net->g, NULL};
    const td_part_name grouped = {"in_proj_ba", "ssm_ba"};
    const td_want dt = {
        .part = {"dt_bias", "ssm_dt"},
        .suffix = s->b.is_hf ? "" : "bias",
        .ne = {c->n_head_v        },
        .parent = node
    };
    const td_want a_log = {
        .part = {"A_log", "ssm_a"},
          .suffix = "", .ne = {c->n_head_v      },
          .parent = node
    };
    float *a, *g_bias;
    if (is_grouped(s, node, grouped)) {
        TD_TRY(rows(s, node, grouped, c->n_head_k, in_group, both, err));
    } else {
        TD_TRY(rows(s, node, (td_part_name){"in_proj_b", "ssm_beta"}, 1, &c->n_head_v, beta, err));
        TD_TRY(rows(s, node, (td_part_name){"in_proj_a", "ssm_alpha"}, 1, &c->n_head_v, g, err));
    }
    TD_TRY(floats(s, node, &dt, c->n_head_v, &g_bias, err));
    TD_TRY(floats(s, node, &a_log, c->n_head_v, &a, err));
    for (int h = 0; h < c->n_head_v && s->b.is_hf; h++) a[h] = -expf(a[h]);
    net->a = a;
    net->g_bias = g_bias;
    return TD_OK;
}

td_status td_decoder_delta(const td_decoder_builder *s, td_err *err) {
    td_delta_net *net = &s->layer->delta;
    td_module *node;
    TD_TRY(td_build_module(&s->b, s->node, "linear_attn", s->spec->classes.delta, &node, err));
    net->config = s->c->delta;
    net->tiled = !s->b.is_hf && s->spec->delta_tiled;
    TD_TRY(taps(s, node, net, err));
    TD_TRY(projections(s, node, net, err));
    TD_TRY(gates(s, node, net, err));
    const td_norm_spec norm = {
        .name = {"norm", "ssm_norm"},
        .kind = TD_NORM_RMS,
        .n = net->config.v_dim,
        .eps = s->c->norm_eps,
        .class_name = s->spec->classes.delta_norm
    };
    TD_TRY(td_build_norm(&s->b, node, &norm, &net->norm, err));
    const td_linear_spec out = {
        .name = {"out_proj", "ssm_out"},
          .n = s->c->n_embd, .k = td_delta_n_value(&net->config)
    };
    return td_build_linear(&s->b, node, &out, &net->out, err);
}
