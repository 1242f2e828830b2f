/* tree_model.h - the tree that rule files see of a model, and which of its nodes has which weights.
 *
 * Of KTransformers' own architectures (DeepSeek-V2 and V3, Qwen2Moe, Qwen3Moe, Qwen3Next, Mixtral,
 * Llama, Glm4Moe, SmallThinker) it is the tree of its v0.3.2 modelling files: their classes, their
 * children in their order, each expert a module.  Of others it is that of today's transformers. */
#ifndef TD_PLAN_TREE_MODEL_H
#define TD_PLAN_TREE_MODEL_H

#include "model/model.h"
#include "plan/tree.h"

typedef struct td_tree_link {
    const td_tree_node *node;
    const td_module *module;
} td_tree_link;

/* Which modules' weights belong to a node; in the tree's arena.  A module whose name the tree does
 * not have belongs to the node above. */
typedef struct td_tree_links {
    td_tree_link *all; /* [n], sorted by address of the node */
    size_t n;
} td_tree_links;

/* Fills an initialized tree; links may be NULL.  The model must outlive the links. */
td_status td_tree_of_model(td_tree *tree, td_tree_links *links, const td_model *model, td_err *err);

/* The first of the node's links, *n of them; NULL: none. */
const td_tree_link *td_tree_find_links(const td_tree_links *links, const td_tree_node *node,
                                       size_t *n);

/* Bytes of the tensors that the node has itself, and of all nodes together; as the checkpoint has
 * them, tied ones once. */
uint64_t td_tree_node_bytes(const td_tree_links *links, const td_tree_node *node);
uint64_t td_tree_bytes(const td_tree_links *links);

#endif
