/* module.h - the tree of modules, named and classed as in Hugging Face transformers.
 *
 * Nodes are made in the order of transformers' named_modules().  Rules match on names and classes;
 * the operators themselves are reached through the fields of td_decoder, which `op` points into. */
#ifndef TD_MODEL_MODULE_H
#define TD_MODEL_MODULE_H

#include "base/arena.h"
#include "base/status.h"
#include "base/strbuf.h"
#include "ops/experts.h"
#include "ops/linear.h"

/* A tensor of the checkpoint, whole, that a module has. */
typedef struct td_module_tensor {
    const td_tensor *tensor; /* borrowed */
    struct td_module_tensor *next;
} td_module_tensor;

typedef struct td_module {
    const char *name;          /* full: "model.layers.3.mlp.gate_proj"; "" for the root */
    const char *class_name;    /* "torch.nn.Linear" */
    td_linear *linear;         /* borrowed; the operator of a linear, else NULL */
    const td_experts *experts; /* borrowed; the operator of routed experts, else NULL */
    const td_tensor *weight;   /* borrowed; NULL if it has none */
    td_module_tensor *tensors, *last_tensor; /* owned by the model's arena; all that are its own */
    struct td_module *first_child, *last_child, *next; /* owned by the model's arena */
} td_module;

/* Appends a child called parent.name + "." + name.  parent NULL makes a root.  NULL when the arena
 * is full. */
td_module *td_module_add(td_arena *arena, td_module *parent, const char *name,
                         const char *class_name);

/* Gives the module a tensor.  False when the arena is full. */
bool td_module_own(td_arena *arena, td_module *m, const td_tensor *t);

/* Bytes and elements of its own tensors, as they are in the checkpoint. */
uint64_t td_module_bytes(const td_module *m);
uint64_t td_module_elems(const td_module *m);

/* Depth first, parents before children: the one after `at`, NULL at the end. */
const td_module *td_module_find(const td_module *root, const char *name);

/* Prints the tree: one line per module, name, class and weight ("q4_1 {576, 1536}"); or a JSON
 * array. */
void td_module_print(const td_module *root, bool json, td_strbuf *out);

#endif
