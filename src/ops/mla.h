/* mla.h - multi-head latent attention (DeepSeek-V2, arXiv 2405.04434, section 2.1): keys and values
 * of all heads are made from one latent vector c per position, and the cache keeps c (as values)
 * and one rotated key that all heads share (as keys).
 *
 * Two forms give the same up to rounding:
 *
 *     absorbed       a_h = A_h q_h;  score = a_h c + r_h k;  o_h = V_h (sum over p of p c)
 *     materialized   k_h = K_h c, v_h = V_h c;  score = q_h k_h + r_h k;  o_h = sum over p of p v_h
 *
 * with A_h the transpose of K_h, q_h and r_h a head's plain and rotated query.  Absorbed is one
 * pass over the cache whatever the number of heads; materialized has narrower products, which pays
 * for prompts.  Which one a token takes depends on where it came from (td_batch.is_prompt), never
 * on its neighbours. */
#ifndef TD_OPS_MLA_H
#define TD_OPS_MLA_H

#include "ops/attention.h"
#include "ops/linear.h"

/* Part of a model's configuration. */
typedef struct td_mla_config {
    int n_rank_q;           /* width of the latent of queries; 0: none */
    int n_rank_kv;          /* width of c; 0: the model has no MLA */
    int n_nope, n_rot, n_v; /* of a head: plain part and rotated part of q and k, value */
} td_mla_config;

/* Lifetime: model.  n_head 0: the module is absent. */
typedef struct td_mla {
    td_mla_config config;
    int n_head;
    td_linear *absorb;   /* A_h: owned by the model's arena; [n_head] n_nope to n_rank_kv */
    td_linear *expand_k; /* K_h: [n_head] n_rank_kv to n_nope; NULL: the materialized form is off */
    td_linear *expand_v; /* V_h: [n_head] n_rank_kv to n_v */
} td_mla;

/* Scratch of one layer at a time.  Lifetime: session. */
typedef struct td_mla_work {
    td_product *products;         /* [2 * n_head] */
    float *q_nope, *q_rot;        /* [m][n_head * n_nope], [m][n_head * n_rot] */
    float *c, *k_rot;             /* [m][n_rank_kv], [m][n_rot] */
    float *absorbed, *latent_out; /* [m][n_head * n_rank_kv] */
    uint8_t *materialized;        /* [m] which tokens take that form */
    float *state;                 /* [m][n_head][2] of their running softmax */
    float *latents;               /* [TD_KV_PAGE][n_rank_kv] a page of c */
    float *keys, *values;         /* [n_head][TD_KV_PAGE][n_nope], ... [n_v]: made from it */
} td_mla_work;

/* Bytes that td_mla_work_init takes from an arena, and the taking, for m_max tokens. */
td_status td_mla_work_bytes(size_t *out, const td_mla_config *config, int n_head, int m_max,
                            td_err *err);
td_status td_mla_work_init(td_mla_work *work, td_arena *arena, const td_mla_config *config,
                           int n_head, int m_max, td_err *err);

/* The most elements of an input of products that run together, of m tokens. */
size_t td_mla_act_max(const td_mla_config *config, int n_head, int m);

/* Parts q [batch n][n_head * (n_nope + n_rot)] and kv [batch n][n_rank_kv + n_rot] into the work's
 * q_nope, q_rot, c and k_rot. */
void td_mla_split(td_step *step, const td_mla *mla, td_mla_work *work, const float *q,
                  const float *kv);

/* out [batch n][n_head * n_v], from the work's q_nope and q_rot (rotated).  The work's c (normed)
 * and k_rot (rotated) must have been written to the cache by td_kv_write(k_rot, c). */
void td_mla_forward(td_step *step, int i_layer, const td_mla *mla, td_mla_work *work, float scale,
                    float *out);

#endif
