/* build.h - what architectures use to build their module tree and bind its weights. */
#ifndef TD_MODEL_BUILD_H
#define TD_MODEL_BUILD_H

#include "model/model.h"

enum { TD_BIAS_NONE, TD_BIAS_OPTIONAL, TD_BIAS_REQUIRED }; /* zero: none */

/* The class names of one architecture, as its transformers file has them. */
typedef struct td_class_names {
    const char *root, *model, *embed, *layer, *attention, *mlp, *norm, *rotary, *act_fn;
} td_class_names;

/* Where modules go.  i_layer -1: outside the layers, no "blk.N." in front of tensor names. */
typedef struct td_builder {
    td_model *model;
    const td_class_names *classes;
    int i_layer;
} td_builder;

/* A node without weights. */
td_status td_build_module(const td_builder *b, td_module *parent, const char *name,
                          const char *class_name, td_module **out, td_err *err);

/* A linear of n outputs and k inputs bound to "<blk.N.><tensor>.weight", and ".bias" as asked. */
typedef struct td_linear_spec {
    const char *name;   /* last part of the module's name: "q_proj" */
    const char *tensor; /* GGUF base name: "attn_q" */
    int n, k;
    int bias; /* TD_BIAS_* */
} td_linear_spec;
td_status td_build_linear(const td_builder *b, td_module *parent, const td_linear_spec *spec,
                          td_linear *out, td_err *err);

/* An RMS norm over n elements bound to "<blk.N.><tensor>.weight". */
td_status td_build_norm(const td_builder *b, td_module *parent, const char *name,
                        const char *tensor, int n, td_norm *out, td_err *err);

/* The shells all decoders share.  Begin: root -> model -> embed_tokens, layers; end: norm,
 * rotary_emb, lm_head (tied to the embedding when there is no output.weight). */
td_status td_build_begin(td_builder *b, td_module **model_node, td_module **layers_node,
                         td_err *err);
td_status td_build_end(td_builder *b, td_module *model_node, td_err *err);

/* The node of layer b->i_layer. */
td_status td_build_layer(const td_builder *b, td_module *layers_node, td_module **out, td_err *err);

/* self_attn with q, k, v and o projections of the configuration's sizes; *out for more children. */
td_status td_build_attention(const td_builder *b, td_module *layer_node, int qkv_bias, int o_bias,
                             td_layer *layer, td_module **out, td_err *err);

/* mlp with gate, up and down projections and an act_fn. */
td_status td_build_mlp(const td_builder *b, td_module *layer_node, int bias, td_layer *layer,
                       td_err *err);

/* Fills a rope from theta and linear factor, with rope_freqs.weight as divisors if the file has it.
 */
td_status td_build_rope(td_model *model, double theta, double factor, bool neox, td_rope *out,
                        td_err *err);

/* A float32 copy in the model's arena of a one-dimensional tensor of n elements. */
td_status td_build_vector(td_model *model, const char *tensor, int n, const float **out,
                          td_err *err);

#endif
