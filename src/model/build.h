/* build.h - finding the tensors of modules in a checkpoint of either kind, and binding them.
 *
 * Every module has two names: its own, which is Hugging Face's ("model.layers.3.self_attn.q_proj"),
 * and GGUF's base name ("blk.3.attn_q").  Tensors are called "<name>.weight" and "<name>.bias". */
#ifndef TD_MODEL_BUILD_H
#define TD_MODEL_BUILD_H

#include "model/model.h"

enum { TD_BIAS_NONE, TD_BIAS_OPTIONAL, TD_BIAS_REQUIRED }; /* zero: none */
enum { TD_NAME_MAX = 256 };

/* Where modules go.  i_layer -1: outside the layers, no "blk.N." in front of GGUF's names. */
typedef struct td_builder {
    td_model *model;
    bool is_hf;
    int i_layer;
} td_builder;

/* A name in both formats; gguf NULL: the module has no tensors there. */
typedef struct td_part_name {
    const char *hf, *gguf;
} td_part_name;

/* A tensor "<part>.<suffix>" under a module (suffix "": none), and what it must be made as where
 * the model is assumed (assume.h). */
typedef struct td_want {
    td_part_name part;
    const char *suffix;
    int64_t ne[3];     /* 0: no such dimension */
    int kind;          /* TD_ASSUME_*; zero: plain */
    td_module *parent; /* of the tensor's module */
} td_want;

/* Finds it, whatever its shape, of a type that this build reads. */
td_status td_build_get(const td_builder *b, const td_want *want, const td_tensor **out,
                       td_err *err);

/* Says that a module has the tensor, once. */
td_status td_build_own(const td_builder *b, td_module *node, const td_tensor *t, td_err *err);

/* A node without weights. */
td_status td_build_module(const td_builder *b, td_module *parent, const char *name,
                          const char *class_name, td_module **out, td_err *err);

/* The name that "<part>.<suffix>" under `parent` has in this checkpoint; suffix "": none. */
void td_build_tensor_name(const td_builder *b, const td_module *parent, td_part_name part,
                          const char *suffix, char out[TD_NAME_MAX]);

/* NULL if the checkpoint has no such tensor. */
const td_tensor *td_build_find(const td_builder *b, const td_module *parent, td_part_name part,
                               const char *suffix);

/* The weight of exactly the shape that is wanted, of one or two dimensions. */
td_status td_build_tensor(const td_builder *b, const td_want *want, const td_tensor **out,
                          td_err *err);

/* Is the type one that this build reads? */
td_status td_build_check_type(const td_builder *b, const td_tensor *t, td_err *err);

/* The tensor {n, k}, which must live as long as the model, read as {k, n}. */
td_status td_build_transpose(const td_builder *b, const td_tensor *t, const td_tensor **out,
                             td_err *err);

/* A linear of n outputs and k inputs: all of a tensor, or some rows of one of n_whole outputs. */
typedef struct td_linear_spec {
    td_part_name name;
    int n, k;
    int bias;               /* TD_BIAS_* */
    int n_whole;            /* outputs of the tensor; 0: n */
    td_row_map map;         /* which of them; of n_whole */
    bool transposed;        /* the tensor is {n_whole, k}: GPT-2's Conv1D in its own files */
    bool plain;             /* folders that quantize weights leave this one alone */
    const char *class_name; /* ["torch.nn.Linear"] */
} td_linear_spec;

/* Binds *out and lists it for packing.  Parts of one tensor share the node that the first of them
 * makes. */
td_status td_build_linear(const td_builder *b, td_module *parent, const td_linear_spec *spec,
                          td_linear *out, td_err *err);

/* One matrix of every expert of a layer, each n outputs and k inputs.  Files keep them as a tensor
 * per expert ("experts.3.gate_proj.weight", "ffn_gate.3.weight") or as one of all
 * ("experts.gate_up_proj", "ffn_gate_exps.weight"), in which a matrix may be a part of the expert's
 * n_whole rows. */
typedef struct td_expert_spec {
    const char *each_hf, *each_gguf; /* "gate_proj", "ffn_gate" */
    /* In Hugging Face folders the whole name, which has no ".weight" behind it unless it says so;
     * NULL: the format has none. */
    td_part_name all;
    const char *experts; /* what the experts are called in Hugging Face folders */
    td_module *node;     /* of the experts: it has the tensors */
    int n_expert, n, k;
    int n_other;     /* experts of other kinds behind them, of folders with a tensor each */
    bool bias;       /* required */
    int n_whole;     /* outputs of an expert in the tensor of all; 0: n */
    td_row_map map;  /* which of them; of n_whole */
    bool transposed; /* the tensor of all lies as [expert][k][n_whole] in Hugging Face folders */
} td_expert_spec;

/* Is there such a matrix, in either way? */
bool td_build_has_experts(const td_builder *b, const td_module *parent, const td_expert_spec *spec);

/* Binds (*out)[n_expert], in the model's arena, and lists them for packing. */
td_status td_build_experts(const td_builder *b, td_module *parent, const td_expert_spec *spec,
                           td_linear **out, td_err *err);

/* A norm over rows of n.  A LayerNorm takes a bias if the file has one. */
typedef struct td_norm_spec {
    td_part_name name;
    td_norm_kind kind;
    int n, n_set; /* n_set 0: 1 */
    float eps;
    bool plus_one; /* the file of a Hugging Face folder holds the weights less one (Gemma) */
    const char *class_name;
} td_norm_spec;
td_status td_build_norm(const td_builder *b, td_module *parent, const td_norm_spec *spec,
                        td_norm *out, td_err *err);

/* A float32 copy in the model's arena of all n elements of a plain tensor. */
td_status td_build_floats(const td_builder *b, const td_tensor *t, int n, const float **out,
                          td_err *err);

/* What the names of a Hugging Face folder's tensors begin with in place of `top`: several layouts
 * are about ("model.", none, "language_model.model." ...).  `embed` is the embedding's name below.
 */
td_status td_build_find_root(td_builder *b, const char *top, const char *embed, td_err *err);

/* Fills a rope, with the divisors that the file has in tensors (GGUF) or lists (config.json). */
td_status td_build_rope(const td_builder *b, const td_rope_config *config, int n_rot, bool neox,
                        td_rope *out, td_err *err);

#endif
