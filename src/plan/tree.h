/* tree.h - the tree of modules that rules are matched on: names and classes as KTransformers sees
 * them, in its order.
 *
 * It is not the model's own tree (model/module.h), which has what Tandem computes with: rule files
 * test classes and names of modules that need not exist here, such as an expert's gate_proj or a
 * layer's rotary_emb. */
#ifndef TD_PLAN_TREE_H
#define TD_PLAN_TREE_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/status.h"

typedef struct td_tree_node {
    const char *name;       /* full, dotted: "model.layers.3.mlp.experts"; "" for the root */
    const char *class_name; /* full: "ktransformers.models.modeling_deepseek_v3.DeepseekV3MoE" */
    struct td_tree_node *first_child, *last_child, *next; /* owned by the tree, in order */
} td_tree_node;

/* Memory the caller owns. */
typedef struct td_tree {
    td_tree_node *root; /* owned by the arena; NULL: empty */
    int n_node;
    td_arena arena;
} td_tree;

void td_tree_init(td_tree *tree);
void td_tree_clear(td_tree *tree); /* zeroed is fine */

/* Appends a child called parent's name + "." + part, or the root (parent NULL, part "").  Strings
 * are copied. */
td_status td_tree_add(td_tree *tree, td_tree_node *parent, const char *part, const char *class_name,
                      td_tree_node **out, td_err *err);

/* NULL if there is none. */
const td_tree_node *td_tree_find(const td_tree *tree, const char *name);

/* ---- classes (classes.c): one table of names, aliases and bases ---- */

/* Is `class_name` this node's class, another name of it, or an ancestor's?  As Python's isinstance:
 * torch.nn.Module is everybody's ancestor. */
bool td_class_is_a(const char *node_class, const char *class_name);

/* Does any table know this class?  Rules that name another one abort KTransformers' loading. */
bool td_class_is_known(const char *class_name);

#endif
