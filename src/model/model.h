/* model.h - a model: its architecture, its configuration, its module tree and its bound weights.
 *
 * An architecture is one file (llama.c, gemma3.c ...) with one td_arch.  Opening a model reads the
 * configuration, builds the module tree and binds every weight to a field of a td_layer, once,
 * checking shapes; nothing is packed yet (the engine does that).  forward is straight-line code
 * over operators. */
#ifndef TD_MODEL_MODEL_H
#define TD_MODEL_MODEL_H

#include "model/config.h"
#include "model/module.h"
#include "ops/delta_net.h"
#include "ops/elementwise.h"
#include "ops/experts.h"
#include "ops/kv_cache.h"
#include "ops/linear.h"
#include "ops/mla.h"
#include "ops/rope.h"
#include "ops/router.h"

typedef struct td_model td_model;

/* Buffers of one forward pass, float32, rows of m_max tokens.  Lifetime: session. */
typedef struct td_workspace {
    float *h;             /* [m][n_embd] the residual stream; at the end the normed output */
    float *x, *y;         /* [m][n_embd] input or output of a block; of the second one where two
                             blocks read the same input */
    float *q, *o;         /* [m][n_head * head_dim] queries; attention's output */
    float *k, *v;         /* [m][n_head_kv * head_dim] */
    float *gate, *up;     /* [m][n_ff] */
    float *cs, *cs_local; /* [m][n_rot] rotary tables */
    float *mixed;         /* [m][n_embd] what the experts give */
    float *router_logits; /* [m][n_expert] */
    float *expert_weight; /* [m][n_used] */
    int32_t *chosen;      /* [m][n_used] */
    td_experts_work experts;
    td_mla_work mla;
    td_delta_work delta;
} td_workspace;

typedef struct td_arch {
    const char *name;       /* general.architecture of GGUF files */
    bool hf_only;           /* GGUF files know it by another name */
    const char *hf_classes; /* config.json's "architectures", separated by spaces; the first one
                               names the module tree's root */
    td_status (*read_config)(td_config *config, const td_checkpoint *ckpt, td_err *err);
    td_status (*build_modules)(td_model *model, td_err *err);
    td_status (*forward)(const td_model *model, td_step *step, td_workspace *ws, td_err *err);
} td_arch;

/* One decoder layer; an architecture uses the fields it has.  What is absent is zeroed. */
typedef struct td_layer {
    td_norm attn_norm, attn_post_norm; /* before attention, and of its output before it is added */
    td_linear q_proj, k_proj, v_proj, o_proj;
    td_norm q_norm, k_norm;        /* of each head, or of all heads together */
    td_linear q_a_proj, kv_a_proj; /* MLA: to the latents of queries, and of keys and values; then
                                      q_proj goes on from the first */
    td_norm q_a_norm, kv_a_norm;
    td_mla mla;
    const float *sinks;  /* owned by the model's arena; [n_head] see td_attention_spec; NULL */
    td_linear attn_gate; /* numbers whose sigmoids scale the output: one per head, or per element */
    td_delta_net delta;  /* in place of all these */
    td_norm mlp_norm, mlp_post_norm;
    td_linear gate_proj, up_proj, down_proj; /* the MLP; in layers with experts the one beside them
                                              */
    td_linear shared_gate; /* one number, whose sigmoid scales what that one gives */
    td_router router;
    td_experts experts;
} td_layer;

/* What a part of the model is bound to, under the name that it has in GGUF files: for those who
 * write the model again.  Parts of one name are the rows of one tensor, in this order. */
typedef struct td_part {
    struct td_part *next;
    const char *name;        /* "attn_q" */
    const char *suffix;      /* "weight" or "bias" */
    int i_layer;             /* -1: outside of the layers */
    const td_tensor *tensor; /* as the model reads it, maybe a view; NULL: */
    const float *floats;     /* [n_set][n] */
    int n, n_set;
} td_part;

/* The type that a tensor of a model without weights is taken to have: `gguf` is its name in a GGUF
 * file ("blk.3.attn_q.weight"), t->ne its shape, t->dtype what the configuration promises. */
typedef td_dtype td_assume_type_fn(void *user, const char *gguf, const td_tensor *t, int i_layer);

/* Zero means the default. */
typedef struct td_model_options {
    bool materialize; /* MLA: prompt tokens take the materialized form */
    /* A folder with config.json and no weights opens, with tensors that have no data: it can be
     * described and planned, never run. */
    bool assume;
    td_assume_type_fn *assume_type; /* NULL: what the configuration promises */
    void *assume_user;
} td_model_options;

/* Those tensors (assume.h). */
typedef struct td_assumption td_assumption;

/* Lifetime: model.  Read-only once the engine has packed the linears. */
struct td_model {
    const td_arch *arch;
    td_config config;
    const td_checkpoint *ckpt; /* borrowed */
    td_module *root;           /* owned by the arena */
    const char *tensor_root; /* owned by the arena; what stands for the name of the node behind the
                                root ("model") in the names of a Hugging Face folder's tensors */
    const td_tensor *embed;  /* borrowed; {n_embd, n_vocab} */
    const td_tensor *positions; /* borrowed; {n_embd, n_ctx}: learned positions, or NULL */
    td_layer *layers;           /* owned by the arena; [n_layer] */
    td_norm norm;
    td_linear lm_head;
    td_rope rope, rope_local;
    td_linear **linears; /* owned by the arena; every bound linear, in module order */
    int n_linear, max_linear;
    td_part *parts, *last_part; /* owned by the arena; all that is bound, in module order */
    td_model_options options;
    td_assumption *assumption; /* owned; NULL: the checkpoint has its tensors */
    bool neox_gguf; /* GGUF files have the pairs that rotate together half a head apart */
    td_arena arena;
};

/* What a model is made of. */
typedef struct td_model_counts {
    uint64_t n_parameter,
        n_bytes; /* of all tensors that its modules have, as they are in the file */
    /* What the tree does not have, by the configuration: layers that predict further tokens, and
     * experts for other things than text. */
    uint64_t n_draft, n_other;
} td_model_counts;

/* The architectures this build has, NULL at the end. */
const td_arch *const *td_arch_list(void);

/* Binds everything.  Weights beside another folder (td_checkpoint_beside) must agree with its
 * configuration.  The checkpoint must outlive the model.  On failure *out is NULL. */
td_status td_model_open(td_model **out, const td_checkpoint *ckpt, const td_model_options *options,
                        td_err *err);
void td_model_close(td_model *model); /* NULL is fine */

td_status td_model_count(const td_model *model, td_model_counts *out, td_err *err);

/* Fills out[max] with tensors of the checkpoint that no module has, in file order; returns how many
 * there are. */
td_status td_model_unused(const td_model *model, const td_tensor **out, size_t max, size_t *n,
                          td_err *err);

/* A router with a weight that is not finite would send tokens anywhere: TD_ERR_FORMAT names it. */
td_status td_model_check_routers(const td_model *model, td_err *err);

/* Does this build run the checkpoint?  If not, err says which field stops it. */
td_status td_model_check(const td_checkpoint *ckpt, int *n_vocab, td_err *err);
/* Are the weights of the model that td_checkpoint_beside describes, whose configuration is `f`? The
 * first size that differs is named. */
td_status td_model_check_beside(const td_model *m, const td_config *f, td_err *err);
/* Has every token a row in the embedding table? */
td_status td_model_check_vocab(const td_checkpoint *ckpt, int n_vocab, int n_token, td_err *err);
/* Prints the module tree of a checkpoint (td_module_print). */
td_status td_model_describe(const td_checkpoint *ckpt, td_strbuf *out, bool json, td_err *err);

/* What each layer keeps in the KV cache: shapes[n_layer]. */
void td_model_kv_shapes(const td_model *model, td_kv_shape *shapes);

/* Sequences longer than this use LongRoPE's other frequencies; 0: no such thing. */
int td_model_rope_switch(const td_model *model);

/* The longest context the model can have at all, where positions are learned or attention becomes
 * sparse; 0: no such limit. */
int td_model_ctx_max(const td_model *model);

/* The widest input of any linear. */
int td_model_k_max(const td_model *model);

/* The most elements that the inputs of linears which run together have, of m_max tokens. */
size_t td_model_act_max(const td_model *model, int m_max);

/* Bytes that td_workspace_init takes from an arena, and the taking. */
td_status td_workspace_bytes(size_t *out, const td_config *config, int m_max, td_err *err);
td_status td_workspace_init(td_workspace *ws, td_arena *arena, const td_config *config, int m_max,
                            td_err *err);

/* Evaluates step->batch; afterwards ws->h holds the normed output rows. */
td_status td_model_forward(const td_model *model, td_step *step, td_workspace *ws, td_err *err);

/* logits[m][n_vocab] of m rows of normed output h [m][n_embd]; m at most the step's m_max. */
void td_model_logits(const td_model *model, td_step *step, const float *h, int m, float *logits);

#endif
