/* module.c - see module.h. */
#include "model/module.h"

#include <inttypes.h>
#include <string.h>

td_module *td_module_add(td_arena *arena, td_module *parent, const char *name,
                         const char *class_name) {
    td_module *m = td_arena_calloc(arena, 1, sizeof *m);
    const size_t n_parent = parent ? strlen(parent->name) : 0, n_name = strlen(name);
    char *full = td_arena_alloc(arena, n_parent + n_name + 2);
    if (!m || !full) return NULL;
    if (n_parent) {
        memcpy(full, parent->name, n_parent);
        full[n_parent] = '.';
        memcpy(full + n_parent + 1, name, n_name + 1);
    } else {
        memcpy(full, name, n_name + 1);
    }
    m->name = full;
    m->class_name = class_name;
    if (parent) {
        if (parent->last_child)
            parent->last_child->next = m;
        else
            parent->first_child = m;
        parent->last_child = m;
    }
    return m;
}

bool td_module_own(td_arena *arena, td_module *m, const td_tensor *t) {
    td_module_tensor *own = td_arena_calloc(arena, 1, sizeof *own);
    if (!own) return false;
    own->tensor = t;
    *(m->last_tensor ? &m->last_tensor->next : &m->tensors) = own;
    m->last_tensor = own;
    return true;
}

uint64_t td_module_bytes(const td_module *m) {
    uint64_t n = 0;
    for (const td_module_tensor *t = m->tensors; t; t = t->next) n += t->tensor->n_bytes;
    return n;
}

uint64_t td_module_elems(const td_module *m) {
    uint64_t n = 0;
    for (const td_module_tensor *t = m->tensors; t; t = t->next)
        n += (uint64_t)td_tensor_elems(t->tensor);
    return n;
}

const td_module *td_module_find(const td_module *root, const char *name) {
    if (strcmp(root->name, name) == 0) return root;
    for (const td_module *c = root->first_child; c; c = c->next) {
        const td_module *found = td_module_find(c, name);
        if (found) return found;
    }
    return NULL;
}

static void print_shape(const td_tensor *t, td_strbuf *out) {
    for (int i = 0; i < t->n_dims; i++) td_strbuf_addf(out, "%s%" PRId64, i ? ", " : "", t->ne[i]);
}

static void print_text(const td_module *m, td_strbuf *out) {
    td_strbuf_addf(out, "%-48s %s", *m->name ? m->name : "(root)", m->class_name);
    if (m->weight) {
        td_strbuf_addf(out, "  %s {", td_dtype_name((int)m->weight->dtype));
        print_shape(m->weight, out);
        td_strbuf_addc(out, '}');
    }
    if (m->experts)
        td_strbuf_addf(out, "  %d of %d experts, each %d wide, up %s, down %s", m->experts->n_used,
                       m->experts->n_expert, m->experts->n_ff,
                       td_dtype_name((int)m->experts->up[0].weight->dtype),
                       td_dtype_name((int)m->experts->down[0].weight->dtype));
    td_strbuf_addc(out, '\n');
    for (const td_module *c = m->first_child; c; c = c->next) print_text(c, out);
}

/* Names and classes are our own and need no escaping; tensor names are not printed. */
static void print_json(const td_module *m, td_strbuf *out, bool *first) {
    td_strbuf_addf(out, "%s\n  {\"name\": \"%s\", \"class\": \"%s\"", *first ? "" : ",", m->name,
                   m->class_name);
    *first = false;
    if (m->weight) {
        td_strbuf_addf(out, ", \"dtype\": \"%s\", \"shape\": [",
                       td_dtype_name((int)m->weight->dtype));
        print_shape(m->weight, out);
        td_strbuf_addf(out, "], \"bytes\": %zu", m->weight->n_bytes);
    }
    if (m->experts)
        td_strbuf_addf(out,
                       ", \"n_expert\": %d, \"n_used\": %d, \"n_ff\": %d, \"dtype\": \"%s\", "
                       "\"down_dtype\": \"%s\"",
                       m->experts->n_expert, m->experts->n_used, m->experts->n_ff,
                       td_dtype_name((int)m->experts->up[0].weight->dtype),
                       td_dtype_name((int)m->experts->down[0].weight->dtype));
    td_strbuf_addc(out, '}');
    for (const td_module *c = m->first_child; c; c = c->next) print_json(c, out, first);
}

void td_module_print(const td_module *root, bool json, td_strbuf *out) {
    if (!json) {
        print_text(root, out);
        return;
    }
    bool first = true;
    td_strbuf_addc(out, '[');
    print_json(root, out, &first);
    td_strbuf_adds(out, "\n]\n");
}
