/* tree.c - see tree.h. */
#include "plan/tree.h"

#include <string.h>

void td_tree_init(td_tree *tree) {
    *tree = (td_tree){0};
    td_arena_init(&tree->arena, 1 << 16);
}

void td_tree_clear(td_tree *tree) {
    td_arena_clear(&tree->arena);
    *tree = (td_tree){0};
}

/* parent's name, a dot where it has one, and the part. */
static char *full_name(td_arena *arena, const td_tree_node *parent, const char *part) {
    const size_t n_parent = parent ? strlen(parent->name) : 0, n_part = strlen(part);
    char *name = td_arena_alloc(arena, n_parent + n_part + 2);
    if (!name) return NULL;
    if (n_parent > 0) {
        memcpy(name, parent->name, n_parent);
        name[n_parent] = '.';
    }
    memcpy(name + n_parent + (n_parent > 0), part, n_part + 1);
    return name;
}

td_status td_tree_add(td_tree *tree, td_tree_node *parent, const char *part, const char *class_name,
                      td_tree_node **out, td_err *err) {
    td_tree_node *node = td_arena_calloc(&tree->arena, 1, sizeof *node);
    char *name = full_name(&tree->arena, parent, part);
    char *class_copy = td_arena_strndup(&tree->arena, class_name, strlen(class_name));
    if (!node || !name || !class_copy)
        return td_fail(err, TD_ERR_NOMEM, "out of memory: the tree of modules");
    *node = (td_tree_node){.name = name, .class_name = class_copy};
    if (!parent)
        tree->root = node;
    else if (parent->last_child)
        parent->last_child->next = node;
    else
        parent->first_child = node;
    if (parent) parent->last_child = node;
    tree->n_node++;
    *out = node;
    return TD_OK;
}

/* Whether `name` is this node or one below it. */
static bool is_within(const td_tree_node *node, const char *name) {
    const size_t n = strlen(node->name);
    return n == 0 || (strncmp(node->name, name, n) == 0 && (name[n] == '.' || name[n] == 0));
}

const td_tree_node *td_tree_find(const td_tree *tree, const char *name) {
    const td_tree_node *node = tree->root;
    while (node && strcmp(node->name, name) != 0) {
        const td_tree_node *child = node->first_child;
        while (child && !is_within(child, name)) child = child->next;
        node = child;
    }
    return node;
}
