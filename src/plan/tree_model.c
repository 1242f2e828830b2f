/* tree_model.c - see tree_model.h. */
#include "plan/tree_model.h"

#include <stdio.h>
#include <stdlib.h>

#define KT     "ktransformers.models."
#define LINEAR "torch.nn.Linear"
#define SILU   "torch.nn.SiLU"

enum { MAX_CLASS = 160 };

/* A child of a module.  Classes without a dot are of the family's file, and get its stem unless '='
 * stands before them. */
typedef struct child {
    const char *name, *class_name; /* name NULL: the end */
    bool optional;                 /* there only if the model has it */
} child;

typedef struct family {
    const char *root; /* the class of transformers' root, what stands behind the last dot */
    const char *file, *stem;
    const char *root_class;               /* NULL: "ForCausalLM" */
    const char *mlp_name;                 /* NULL: "mlp" */
    const char *dense_class, *moe_class;  /* of what is called so */
    const char *expert_class;             /* NULL: dense_class */
    const char *rotary;                   /* of each attention; NULL: none; "": by its scaling */
    const char *model_rotary;             /* beside the layers; NULL: none */
    const child *attention, *dense, *moe; /* "experts" and shared ones get children of their own */
    const child *expert;                  /* NULL: dense */
} family;

/* clang-format off */
static const child mla[] = {
    {"q_proj", LINEAR, true},
    {"q_a_proj", LINEAR, true},
    {"q_a_layernorm", "RMSNorm", true},
    {"q_b_proj", LINEAR, true},
    {"kv_a_proj_with_mqa", LINEAR, false},
    {"kv_a_layernorm", "RMSNorm", false},
    {"kv_b_proj", LINEAR, false},
    {"o_proj", LINEAR, false},
    {NULL, NULL, false},
};
static const child gqa[] = {
    {"q_proj", LINEAR, false},
    {"k_proj", LINEAR, false},
    {"v_proj", LINEAR, false},
    {"o_proj", LINEAR, false},
    {"q_norm", "RMSNorm", true},
    {"k_norm", "RMSNorm", true},
    {NULL, NULL, false},
};
static const child delta[] = {
    {"act", SILU, false},
    {"conv1d", "torch.nn.Conv1d", false},
    {"in_proj_qkvz", LINEAR, false},
    {"in_proj_ba", LINEAR, false},
    {"norm", "RMSNormGated", false},
    {"out_proj", LINEAR, false},
    {NULL, NULL, false},
};
static const child mlp[] = {
    {"gate_proj", LINEAR, false},
    {"up_proj", LINEAR, false},
    {"down_proj", LINEAR, false},
    {"act_fn", SILU, false},
    {NULL, NULL, false},
};
static const child mlp_w[] = {
    {"w1", LINEAR, false},
    {"w2", LINEAR, false},
    {"w3", LINEAR, false},
    {"act_fn", SILU, false},
    {NULL, NULL, false},
};
static const child mlp_relu[] = {
    {"up", LINEAR, false},
    {"gate", LINEAR, false},
    {"down", LINEAR, false},
    {NULL, NULL, false},
};
static const child moe_deepseek[] = {
    {"experts", "torch.nn.ModuleList", false},
    {"gate", "=MoEGate", false},
    {"shared_experts", "MLP", true},
    {NULL, NULL, false},
};
static const child moe_glm[] = {
    {"experts", "torch.nn.ModuleList", false},
    {"gate", "TopkRouter", false},
    {"shared_experts", "MLP", true},
    {NULL, NULL, false},
};
static const child moe_qwen[] = {
    {"gate", LINEAR, false},
    {"experts", "torch.nn.ModuleList", false},
    {"shared_expert", "MLP", true},
    {"shared_expert_gate", LINEAR, true},
    {NULL, NULL, false},
};
static const child moe_smallthinker[] = {
    {"primary_router", LINEAR, false},
    {"experts", "torch.nn.ModuleList", false},
    {NULL, NULL, false},
};

static const family families[] = {
    {.root = "DeepseekV2ForCausalLM", .file = "modeling_deepseek", .stem = "DeepseekV2",
     .dense_class = "MLP", .moe_class = "MoE", .rotary = "",
     .attention = mla, .dense = mlp, .moe = moe_deepseek},
    {.root = "DeepseekV3ForCausalLM", .file = "modeling_deepseek_v3", .stem = "DeepseekV3",
     .dense_class = "MLP", .moe_class = "MoE", .rotary = "",
     .attention = mla, .dense = mlp, .moe = moe_deepseek},
    {.root = "Qwen2MoeForCausalLM", .file = "modeling_qwen2_moe", .stem = "Qwen2Moe",
     .dense_class = "MLP", .moe_class = "SparseMoeBlock", .rotary = "RotaryEmbedding",
     .attention = gqa, .dense = mlp, .moe = moe_qwen},
    /* Its attention borrows the rotation of Qwen2Moe. */
    {.root = "Qwen3MoeForCausalLM", .file = "modeling_qwen3_moe", .stem = "Qwen3Moe",
     .dense_class = "MLP", .moe_class = "SparseMoeBlock",
     .rotary = KT "modeling_qwen2_moe.Qwen2MoeRotaryEmbedding", .model_rotary = "RotaryEmbedding",
     .attention = gqa, .dense = mlp, .moe = moe_qwen},
    {.root = "Qwen3NextForCausalLM", .file = "modeling_qwen3_next", .stem = "Qwen3Next",
     .dense_class = "MLP", .moe_class = "SparseMoeBlock", .model_rotary = "RotaryEmbedding",
     .attention = gqa, .dense = mlp, .moe = moe_qwen},
    {.root = "MixtralForCausalLM", .file = "modeling_mixtral", .stem = "Mixtral",
     .mlp_name = "block_sparse_moe", .dense_class = "MLP", .moe_class = "SparseMoeBlock",
     .expert_class = "BlockSparseTop2MLP", .rotary = "RotaryEmbedding",
     .attention = gqa, .dense = mlp, .moe = moe_qwen, .expert = mlp_w},
    {.root = "LlamaForCausalLM", .file = "modeling_llama", .stem = "Llama",
     .dense_class = "MLP", .rotary = "RotaryEmbedding", .model_rotary = "RotaryEmbedding",
     .attention = gqa, .dense = mlp, .moe = mlp},
    {.root = "Glm4MoeForCausalLM", .file = "modeling_glm4_moe", .stem = "Glm4Moe",
     .dense_class = "MLP", .moe_class = "MoE", .model_rotary = "RotaryEmbedding",
     .attention = gqa, .dense = mlp, .moe = moe_glm},
    {.root = "SmallThinkerForCausalLM", .file = "modeling_smallthinker", .stem = "Smallthinker",
     .root_class = "=SmallThinkerForCausalLM", .mlp_name = "block_sparse_moe",
     .dense_class = "DenseMlpBlock", .moe_class = "MoeBlock", .expert_class = "HierarchicalMLP",
     .model_rotary = "RotaryEmbedding",
     .attention = gqa, .dense = mlp_relu, .moe = moe_smallthinker},
};
/* clang-format on */

/* ---- KTransformers' own trees ---- */

typedef struct builder {
    td_tree *tree;
    const td_model *model;
    const family *family;
} builder;

static td_status add(const builder *b, td_tree_node *parent, const char *part,
                     const char *class_name, td_tree_node **out, td_err *err) {
    char full[MAX_CLASS];
    if (strchr(class_name, '.')) return td_tree_add(b->tree, parent, part, class_name, out, err);
    const bool bare = class_name[0] == '=';
    snprintf(full, sizeof full, KT "%s.%s%s", b->family->file, bare ? "" : b->family->stem,
             class_name + bare);
    return td_tree_add(b->tree, parent, part, full, out, err);
}

/* The module of the model behind a name, or NULL; as td_module_find, but going down one path. */
static const td_module *find_module(const td_module *at, const char *name) {
    while (at && strcmp(at->name, name) != 0) {
        const td_module *c = at->first_child;
        for (; c; c = c->next) {
            const size_t n = strlen(c->name);
            if (strncmp(c->name, name, n) == 0 && (name[n] == 0 || name[n] == '.')) break;
        }
        at = c;
    }
    return at;
}

static bool has(const builder *b, const td_tree_node *parent, const char *part) {
    char name[MAX_CLASS];
    const int n = snprintf(name, sizeof name, "%s.%s", parent->name, part);
    return n < (int)sizeof name && find_module(b->model->root, name) != NULL;
}

static td_status add_experts(const builder *b, td_tree_node *list, td_err *err) {
    const family *f = b->family;
    const child *kinds = f->expert ? f->expert : f->dense;
    const char *class_name = f->expert_class ? f->expert_class : f->dense_class;
    for (int i = 0; i < b->model->config.router.n_expert; i++) {
        td_tree_node *expert, *node;
        char index[16];
        snprintf(index, sizeof index, "%d", i);
        TD_TRY(add(b, list, index, class_name, &expert, err));
        for (const child *c = kinds; c->name; c++)
            TD_TRY(add(b, expert, c->name, c->class_name, &node, err));
    }
    return TD_OK;
}

static td_status add_children(const builder *b, td_tree_node *parent, const child *list,
                              td_err *err) {
    for (const child *c = list; c->name; c++) {
        td_tree_node *node;
        if (c->optional && !has(b, parent, c->name)) continue;
        TD_TRY(add(b, parent, c->name, c->class_name, &node, err));
        if (strcmp(c->name, "experts") == 0) TD_TRY(add_experts(b, node, err));
        if (strcmp(c->class_name, "MLP") == 0) TD_TRY(add_children(b, node, mlp, err));
    }
    return TD_OK;
}

/* DeepSeek's attention makes its rotation by the kind of scaling. */
static const char *scaled_rotary(const td_model *m) {
    switch (m->config.rope.scaling) {
    case TD_ROPE_YARN: return "YarnRotaryEmbedding";
    case TD_ROPE_LINEAR: return "LinearScalingRotaryEmbedding";
    default: return "RotaryEmbedding";
    }
}

static td_status add_layer(const builder *b, td_tree_node *layers, int i, td_err *err) {
    const family *f = b->family;
    const unsigned kind = b->model->config.layers[i];
    const bool is_delta = kind & TD_LAYER_DELTA, is_moe = kind & TD_LAYER_EXPERTS;
    td_tree_node *layer, *node, *rotary;
    char index[16];
    snprintf(index, sizeof index, "%d", i);
    TD_TRY(add(b, layers, index, "DecoderLayer", &layer, err));
    TD_TRY(add(b, layer, is_delta ? "linear_attn" : "self_attn",
               is_delta ? "GatedDeltaNet" : "Attention", &node, err));
    TD_TRY(add_children(b, node, is_delta ? delta : f->attention, err));
    const char *kept = f->rotary && !*f->rotary ? scaled_rotary(b->model) : f->rotary;
    if (kept) TD_TRY(add(b, node, "rotary_emb", kept, &rotary, err));
    TD_TRY(add(b, layer, f->mlp_name ? f->mlp_name : "mlp", is_moe ? f->moe_class : f->dense_class,
               &node, err));
    TD_TRY(add_children(b, node, is_moe ? f->moe : f->dense, err));
    TD_TRY(add(b, layer, "input_layernorm", "RMSNorm", &node, err));
    return add(b, layer, "post_attention_layernorm", "RMSNorm", &node, err);
}

static td_status add_all(const builder *b, td_err *err) {
    const family *f = b->family;
    td_tree_node *root, *model, *layers, *node;
    TD_TRY(add(b, NULL, "", f->root_class ? f->root_class : "ForCausalLM", &root, err));
    TD_TRY(add(b, root, "model", "Model", &model, err));
    TD_TRY(add(b, model, "embed_tokens", "torch.nn.Embedding", &node, err));
    TD_TRY(add(b, model, "layers", "torch.nn.ModuleList", &layers, err));
    for (int i = 0; i < b->model->config.n_layer; i++) TD_TRY(add_layer(b, layers, i, err));
    TD_TRY(add(b, model, "norm", "RMSNorm", &node, err));
    if (f->model_rotary) TD_TRY(add(b, model, "rotary_emb", f->model_rotary, &node, err));
    return add(b, root, "lm_head", LINEAR, &node, err);
}

/* ---- others ---- */

/* Today's transformers wraps torch's. */
static const char *todays_class(const char *class_name) {
    return strcmp(class_name, SILU) == 0 ? "transformers.activations.SiLUActivation" : class_name;
}

/* transformers has one module for all experts of a layer, called after the family. */
static td_status add_fused_experts(td_tree *tree, td_tree_node *parent, const char *root_class,
                                   td_err *err) {
    static const struct {
        const char *stem, *name;
    } exceptions[] = {
        {"Ernie4_5_VLMoe", "MoeExperts" },
        {"Llama4",         "TextExperts"}
    };
    const char *dot = strrchr(root_class, '.'), *end = strstr(root_class, "For");
    const bool ours = strncmp(root_class, "transformers.models.", 20) == 0 && dot && end > dot;
    char class_name[MAX_CLASS];
    const char *name = "Experts";
    td_tree_node *experts, *act_fn;
    if (!ours) return td_tree_add(tree, parent, "experts", "torch.nn.ModuleList", &experts, err);
    const size_t n_stem = (size_t)(end - dot - 1);
    for (size_t i = 0; i < sizeof exceptions / sizeof exceptions[0]; i++)
        if (strlen(exceptions[i].stem) == n_stem &&
            memcmp(exceptions[i].stem, dot + 1, n_stem) == 0)
            name = exceptions[i].name;
    snprintf(class_name, sizeof class_name, "%.*s%s", (int)(end - root_class), root_class, name);
    TD_TRY(td_tree_add(tree, parent, "experts", class_name, &experts, err));
    if (strstr(class_name, ".GptOss")) return TD_OK;
    return td_tree_add(tree, experts, "act_fn", todays_class(SILU), &act_fn, err);
}

static td_status copy_module(td_tree *tree, td_tree_node *parent, const td_module *m,
                             const td_module *root, td_err *err) {
    const char *dot = strrchr(m->name, '.');
    td_tree_node *node;
    if (m->experts) return add_fused_experts(tree, parent, root->class_name, err);
    TD_TRY(td_tree_add(tree, parent, dot ? dot + 1 : m->name, todays_class(m->class_name), &node,
                       err));
    for (const td_module *c = m->first_child; c; c = c->next)
        TD_TRY(copy_module(tree, node, c, root, err));
    return TD_OK;
}

/* ---- weights ---- */

static size_t count_modules(const td_module *m) {
    size_t n = m->tensors != NULL;
    for (const td_module *c = m->first_child; c; c = c->next) n += count_modules(c);
    return n;
}

/* `above` is the node of the module above, or of the first one above that has a node. */
static void link_modules(td_tree_links *links, const td_tree *tree, const td_tree_node *above,
                         const td_module *m) {
    const td_tree_node *node = td_tree_find(tree, m->name);
    if (!node) node = above;
    if (m->tensors) links->all[links->n++] = (td_tree_link){node, m};
    for (const td_module *c = m->first_child; c; c = c->next) link_modules(links, tree, node, c);
}

static int by_node(const void *a, const void *b) {
    const uintptr_t x = (uintptr_t)((const td_tree_link *)a)->node;
    const uintptr_t y = (uintptr_t)((const td_tree_link *)b)->node;
    return (x > y) - (x < y);
}

static td_status make_links(td_tree_links *links, td_tree *tree, const td_model *m, td_err *err) {
    const size_t n = count_modules(m->root);
    links->n = 0;
    links->all = td_arena_calloc(&tree->arena, n, sizeof *links->all);
    if (!links->all) return td_fail_nomem(err, "the tree of modules", n * sizeof *links->all);
    link_modules(links, tree, tree->root, m->root);
    qsort(links->all, links->n, sizeof *links->all, by_node);
    return TD_OK;
}

/* ---- the interface ---- */

static const family *find_family(const td_model *m) {
    const char *dot = strrchr(m->root->class_name, '.');
    const char *name = dot ? dot + 1 : m->root->class_name;
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
        if (strcmp(families[i].root, name) == 0) return &families[i];
    return NULL;
}

td_status td_tree_of_model(td_tree *tree, td_tree_links *links, const td_model *m, td_err *err) {
    const builder b = {.tree = tree, .model = m, .family = find_family(m)};
    TD_TRY(b.family ? add_all(&b, err) : copy_module(tree, NULL, m->root, m->root, err));
    return links ? make_links(links, tree, m, err) : TD_OK;
}

const td_tree_link *td_tree_find_links(const td_tree_links *links, const td_tree_node *node,
                                       size_t *n) {
    const td_tree_link key = {.node = node};
    const td_tree_link *found =
        links->n ? bsearch(&key, links->all, links->n, sizeof key, by_node) : NULL;
    *n = 0;
    if (!found) return NULL;
    while (found > links->all && found[-1].node == node) found--;
    while (found + *n < links->all + links->n && found[*n].node == node) ++*n;
    return found;
}

uint64_t td_tree_node_bytes(const td_tree_links *links, const td_tree_node *node) {
    uint64_t bytes = 0;
    size_t n;
    const td_tree_link *link = td_tree_find_links(links, node, &n);
    for (size_t i = 0; i < n; i++) bytes += td_module_bytes(link[i].module);
    return bytes;
}

uint64_t td_tree_bytes(const td_tree_links *links) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < links->n; i++) bytes += td_module_bytes(links->all[i].module);
    return bytes;
}
