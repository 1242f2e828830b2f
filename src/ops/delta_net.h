/* delta_net.h - linear attention by the gated delta rule (Yang et al., arXiv 2412.06464): instead
 * of keys and values, a layer keeps one matrix S per head of values, which every token decays and
 * corrects.
 *
 *     S *= g;  S += k (beta (v - S^T k))^T;  o = S^T q
 *
 * q, k and v are first convolved along the sequence, each channel with its own n_conv taps, and put
 * through SiLU; q and k are made unit vectors.  So a layer's state of a sequence is the inputs of
 * the last n_conv - 1 tokens, and S: its home is the KV cache (td_kv_cache_state).
 *
 * A head takes its tokens one after the other whatever the batch is: the results depend neither on
 * how a prompt is cut nor on the threads, which share out the heads. */
#ifndef TD_OPS_DELTA_NET_H
#define TD_OPS_DELTA_NET_H

#include "ops/elementwise.h"
#include "ops/linear.h"

/* Part of a model's configuration. */
typedef struct td_delta_config {
    int n_head_k, n_head_v; /* n_head_v, a multiple of n_head_k; 0: the model has no such layers */
    int k_dim, v_dim;       /* of a head */
    int n_conv;             /* taps */
} td_delta_config;

/* Lifetime: model.  config.n_head_v 0: the module is absent. */
typedef struct td_delta_net {
    td_delta_config config;
    bool tiled;          /* head h of v belongs to head h % n_head_k of k, else to h / (n_head_v /
                            n_head_k) */
    td_linear q, k, v;   /* to the channels that are convolved */
    td_linear z;         /* [n_head_v * v_dim] gates of the output */
    td_linear beta, g;   /* [n_head_v] */
    const float *conv;   /* owned by the model's arena, as those below; [n_conv][n_channel], the
                            token's own tap last */
    const float *a;      /* [n_head_v] below 0 */
    const float *g_bias; /* [n_head_v] */
    td_norm norm;        /* of each head of the output */
    td_linear out;
} td_delta_net;

/* Scratch of one layer at a time.  Lifetime: session. */
typedef struct td_delta_work {
    float *mixed;    /* [m][n_channel] q, k and v */
    float *z;        /* [m][n_head_v * v_dim] */
    float *beta, *g; /* [m][n_head_v] */
    float *o;        /* [m][n_head_v * v_dim] */
} td_delta_work;

static inline int td_delta_n_key(const td_delta_config *c) { return c->n_head_k * c->k_dim; }
static inline int td_delta_n_value(const td_delta_config *c) { return c->n_head_v * c->v_dim; }
static inline int td_delta_n_channel(const td_delta_config *c) {
    return 2 * td_delta_n_key(c) + td_delta_n_value(c);
}

/* Floats of the state of one sequence in one layer: [n_conv - 1][n_channel] inputs, the oldest
 * first, and [n_head_v][k_dim][v_dim]. */
size_t td_delta_n_state(const td_delta_config *c);

/* Bytes that td_delta_work_init takes from an arena, and the taking, for m_max tokens. */
td_status td_delta_work_bytes(size_t *out, const td_delta_config *c, int m_max, td_err *err);
td_status td_delta_work_init(td_delta_work *work, td_arena *arena, const td_delta_config *c,
                             int m_max, td_err *err);

/* From what the linears gave (mixed, z, and beta and g as they came) to the input of `out`, which
 * is left in work->z.  Moves the states of the batch's sequences on by their tokens. */
void td_delta_net_forward(td_step *step, int i_layer, const td_delta_net *net, td_delta_work *work);

#endif
