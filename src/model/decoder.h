/* decoder.h - what decoders have in common: what an architecture differs in is data.
 *
 * Every layer is attention and an MLP, or a mixture of experts in its place, each with a norm
 * before it, after it, both or neither, one after the other or side by side (td_config.parallel):
 *
 *     h += s * post(attention(norm(h)));  h += s * post(mlp(norm(h)))
 *     h += attention(norm(h)) + mlp(norm'(h))
 *
 * A td_decoder_spec names the parts in both file formats and says how they are stored; the
 * configuration (config.h) holds the numbers.  docs/MODELS.md shows how to add an architecture. */
#ifndef TD_MODEL_DECODER_H
#define TD_MODEL_DECODER_H

#include "model/build.h"

/* The class names of one architecture, as its transformers file has them. */
typedef struct td_class_names {
    const char *root, *model, *embed, *layer, *attention, *mlp, *norm, *rotary, *act_fn;
    const char *moe, *router;       /* of layers with experts; router ["torch.nn.Linear"] */
    const char *delta, *delta_norm; /* of linear attention, and of the norm of its heads */
} td_class_names;

/* How a Hugging Face folder stores q, k and v. */
typedef enum td_qkv_layout {
    TD_QKV_SPLIT, /* three tensors */
    TD_QKV_ROWS,  /* one: all rows of q, then k, then v */
    TD_QKV_GROUPS /* one: for each head of k, its heads of q, then itself, then its head of v */
} td_qkv_layout;

typedef enum td_qk_norm {
    TD_QK_NORM_NONE,
    TD_QK_NORM_HEAD,  /* of each head, all with the same weights */
    TD_QK_NORM_PLAIN, /* of each head, without weights, in layers with positions */
    TD_QK_NORM_HEADS, /* of each head, with weights of its own */
    TD_QK_NORM_ALL    /* of all heads together */
} td_qk_norm;

/* Names that differ from the usual ones, which stand in brackets; NULL: the usual one. */
typedef struct td_decoder_names {
    const char *model;            /* ["model"] */
    const char *embed;            /* ["embed_tokens"] */
    const char *positions;        /* learned positions [none]; GGUF: position_embd */
    const char *layers;           /* ["layers"] */
    const char *norm;             /* ["norm"] */
    const char *lm_head;          /* ["lm_head"] */
    const char *attention;        /* ["self_attn"] */
    const char *q, *k, *v, *o;    /* ["q_proj" ...] */
    const char *qkv;              /* of TD_QKV_ROWS and TD_QKV_GROUPS ["qkv_proj"] */
    const char *mlp;              /* ["mlp"] */
    const char *gate, *up, *down; /* ["gate_proj" ...] */
    const char *gate_up;          /* gate's rows, then up's, in one tensor [none] */
    const char *sinks;            /* one logit per head [none]; GGUF: attn_sinks */
    const char *attn_gate;        /* one number per head [none]; GGUF: attn_gate */
    const char *q_norm, *k_norm;  /* ["q_norm", "k_norm"] */
    /* Norms of a layer; GGUF calls the usual ones attn_norm and ffn_norm. */
    td_part_name attn_norm;      /* ["input_layernorm"] */
    td_part_name attn_post_norm; /* [none] */
    td_part_name mlp_norm;       /* ["post_attention_layernorm"] */
    td_part_name mlp_post_norm;  /* [none] */
    /* Of layers with experts; all stand below the first, but a shared MLP that is shared_beside. */
    const char *moe;                                   /* what stands in the MLP's place ["mlp"] */
    const char *router;                                /* ["gate"] */
    const char *correction;                            /* ["gate.e_score_correction_bias"] */
    const char *experts;                               /* ["experts"] */
    const char *expert_gate, *expert_up, *expert_down; /* ["gate_proj" ...] */
    const char *all_gate_up, *all_down; /* tensors of all experts ["experts.gate_up_proj" ...] */
    const char *shared;                 /* ["shared_experts"] */
    const char *shared_gate;            /* one number per token [none]; GGUF: ffn_gate_inp_shexp */
} td_decoder_names;

/* What a model has where config.json says nothing of it: only models without weights ask. */
enum {
    TD_UNSAID_TIED = 1,           /* tie_word_embeddings */
    TD_UNSAID_ATTENTION_BIAS = 2, /* attention_bias and its like */
    TD_UNSAID_MLP_BIAS = 4,       /* mlp_bias and its like */
    TD_UNSAID_TWO_NORMS = 8       /* both of blocks side by side; no file says it */
};

typedef struct td_decoder_spec {
    td_class_names classes;
    td_decoder_names names;
    td_qkv_layout qkv;              /* in Hugging Face folders */
    int qkv_bias, o_bias, mlp_bias; /* TD_BIAS_* */
    int lm_head_bias;
    td_norm_kind norm;
    bool no_pre_norm;   /* attn_norm and mlp_norm are absent */
    bool norm_plus_one; /* see td_norm_spec */
    td_qk_norm qk_norm;
    bool plain_mlp;   /* down(act(up)): no gate */
    bool q_gate;      /* each head's rows of q are followed by those of a gate of its output */
    bool delta_tiled; /* see td_delta_net: of GGUF files */
    bool delta_apart; /* projections of linear attention have tensors of their own, in folders */
    bool conv1d;      /* matrices lie transposed in Hugging Face folders */
    bool correction;  /* the router's choice has a correction bias */
    bool router_bias, expert_bias;
    bool weigh_input;         /* the router's weight multiplies what an expert reads */
    bool router_transposed;   /* in Hugging Face folders */
    int n_bank;               /* there, banks of as many experts each, ours first; 0: 1 */
    bool experts_transposed;  /* tensors of all experts lie as [expert][in][out] in Hugging Face
                                 folders */
    bool experts_interleaved; /* there, rows of gate and up take turns */
    bool shared_beside;       /* the MLP of all tokens is a part of the layer, not of the mixture */
    bool neox_gguf, neox_hf;  /* rotated pairs lie half a head apart in files of this kind */
    int unsaid;               /* TD_UNSAID_* */
} td_decoder_spec;

/* Builds the tree, binds every tensor, fills both ropes.  Uses the configuration, sets n_vocab. */
td_status td_decoder_build(td_model *model, const td_decoder_spec *spec, td_err *err);

/* A td_arch's forward. */
td_status td_decoder_forward(const td_model *model, td_step *step, td_workspace *ws, td_err *err);

#endif
