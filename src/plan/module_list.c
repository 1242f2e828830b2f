/* module_list.c - see module_list.h. */
#include "plan/module_list.h"

#include <string.h>

#include "base/alloc.h"
#include "base/filemap.h"
#include "plan/rules_int.h"
#include "text/utf8.h"

enum { MAX_BYTES = 64 << 20, MAX_NAME = 1000 };

typedef struct builder {
    td_tree *tree;
    td_strings names; /* full names; numbers are those of nodes */
    td_tree_node **nodes;
    size_t cap_node;
    td_err *err;
} builder;

static td_status note(builder *b, td_tree_node *node) {
    int i;
    TD_TRY(td_strings_add(&b->names, node->name, strlen(node->name), &i, b->err));
    TD_TRY(
        td_grow((void **)&b->nodes, &b->cap_node, b->names.n, sizeof *b->nodes, "modules", b->err));
    b->nodes[i] = node;
    return TD_OK;
}

/* The node called name[0..n), made with its parents where it is missing. */
static td_status reach(builder *b, const char *name, size_t n, td_tree_node **out) {
    static const char module[] = "torch.nn.Module";
    if (!b->tree->root) {
        TD_TRY(td_tree_add(b->tree, NULL, "", module, out, b->err));
        TD_TRY(note(b, *out));
    }
    *out = b->tree->root;
    for (size_t end = 0; n > 0 && end < n; end++) {
        const size_t begin = end;
        while (end < n && name[end] != '.') end++;
        const int i = td_strings_find(&b->names, name, end);
        if (i >= 0) {
            *out = b->nodes[i];
            continue;
        }
        char part[MAX_NAME + 1];
        memcpy(part, name + begin, end - begin);
        part[end - begin] = 0;
        TD_TRY(td_tree_add(b->tree, *out, part, module, out, b->err));
        TD_TRY(note(b, *out));
    }
    return TD_OK;
}

static td_status take_line(builder *b, const char *line, size_t n, const char *path, int number) {
    static const char blanks[] = " \t\r";
    size_t i = 0, begin, n_name;
    while (i < n && strchr(blanks, line[i])) i++;
    begin = i;
    while (i < n && !strchr(blanks, line[i])) i++;
    n_name = i - begin;
    if (n_name == 0 || line[begin] == '#') return TD_OK;
    while (i < n && strchr(blanks, line[i])) i++;
    const size_t begin_class = i;
    while (i < n && !strchr(blanks, line[i])) i++;
    if (i == begin_class || n_name > MAX_NAME)
        return td_fail(b->err, TD_ERR_FORMAT, "%s:%d: wanted a module's name and its class", path,
                       number);
    const bool is_root = n_name == 1 && line[begin] == '.';
    td_tree_node *node;
    TD_TRY(reach(b, line + begin, is_root ? 0 : n_name, &node));
    node->class_name = td_arena_strndup(&b->tree->arena, line + begin_class, i - begin_class);
    return node->class_name ? TD_OK : td_fail(b->err, TD_ERR_NOMEM, "out of memory: modules");
}

td_status td_module_list_parse(td_tree *tree, const char *text, size_t n, const char *path,
                               td_err *err) {
    if (td_utf8_valid_prefix(text, n) != n || memchr(text, 0, n))
        return td_fail(err, TD_ERR_FORMAT, "%s: no text in UTF-8", path);
    builder b = {.tree = tree, .err = err};
    td_status status = TD_OK;
    int number = 0;
    for (size_t at = 0; at < n && status == TD_OK; at++) {
        const size_t begin = at;
        while (at < n && text[at] != '\n') at++;
        status = take_line(&b, text + begin, at - begin, path, ++number);
    }
    td_strings_clear(&b.names);
    td_free(b.nodes);
    return status;
}

td_status td_module_list_load(td_tree *tree, const char *path, td_err *err) {
    char *text;
    size_t n;
    TD_TRY(td_file_read(path, MAX_BYTES, &text, &n, err));
    const td_status status = td_module_list_parse(tree, text, n, path, err);
    td_free(text);
    return status;
}
