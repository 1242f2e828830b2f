/* plan_write.c - the plan as a rule file in KTransformers' dialect. */
#include <stdio.h>
#include <string.h>

#include "plan/plan_int.h"

static const char *wrapper_of(const td_plan_item *item) {
    if (item->is_experts) return "ktransformers.operators.experts.KTransformersExperts";
    if (item->is_linear) return "ktransformers.operators.linear.KTransformersLinear";
    return "default";
}

static bool same_place(const td_plan_item *a, const td_plan_item *b) {
    return a->device == b->device && strcmp(a->op, b->op) == 0 &&
           strcmp(wrapper_of(a), wrapper_of(b)) == 0;
}

/* A name as a pattern that means it alone: dots escaped, in a quoted YAML text. */
static void add_pattern(const char *name, td_strbuf *out) {
    for (; *name; name++)
        if (*name == '.')
            td_strbuf_adds(out, "\\\\.");
        else
            td_strbuf_addc(out, *name);
}

/* "(3|4|5)" of layers [first, last]. */
static void add_layers(int first, int last, td_strbuf *out) {
    if (first == last) {
        td_strbuf_addf(out, "%d", first);
        return;
    }
    for (int i = first; i <= last; i++) td_strbuf_addf(out, "%c%d", i == first ? '(' : '|', i);
    td_strbuf_addc(out, ')');
}

static const char *after_layer(const char *name) {
    const char *dot = strchr(strstr(name, "layers.") + 7, '.');
    return dot ? dot : "";
}

static void add_rule(const td_plan *p, const td_plan_item *item, int first, int last,
                     td_strbuf *out) {
    const char *name = item->module->name, *device = p->devices[item->device].name;
    td_strbuf_adds(out, "- match:\n    name: \"^");
    if (first < 0) {
        add_pattern(name, out);
    } else {
        char before[512];
        snprintf(before, sizeof before, "%.*s", (int)(strstr(name, "layers.") + 7 - name), name);
        add_pattern(before, out);
        add_layers(first, last, out);
        add_pattern(after_layer(name), out);
    }
    td_strbuf_addf(out, "$\"\n  replace:\n    class: \"%s\"\n    kwargs:\n", wrapper_of(item));
    td_strbuf_addf(out, "      generate_device: \"%s\"\n      prefill_device: \"%s\"\n", device,
                   item->is_experts && item->device == TD_PLAN_CPU && p->n_device > 1
                       ? p->devices[1].name
                       : device);
    if (item->is_linear || item->is_experts)
        td_strbuf_addf(out, "      generate_op: \"%s\"\n", item->op);
    if (item->is_experts) td_strbuf_adds(out, "  recursive: False\n");
}

/* Each module of each run of layers that share its place. */
void td_plan_write_rules(const td_plan *p, td_strbuf *out) {
    td_strbuf_adds(out, "# Written by `tandem plan --write-rules`.\n");
    for (int i = 0; i < p->n_item; i++) {
        const td_plan_item *item = &p->items[i];
        const int layer = td_plan_layer_of(item->module->name);
        const char *suffix = layer >= 0 ? after_layer(item->module->name) : NULL;
        bool done = false; /* by the run that an earlier layer began */
        int last = layer;
        for (int k = 0; k < p->n_item && layer >= 0; k++) {
            const td_plan_item *other = &p->items[k];
            const int l = td_plan_layer_of(other->module->name);
            if (l < 0 || strcmp(after_layer(other->module->name), suffix) != 0 ||
                !same_place(item, other))
                continue;
            if (l == layer - 1) done = true;
            if (k > i && l == last + 1) last = l;
        }
        if (!done) add_rule(p, item, layer, last, out);
    }
}
