/* plan_print.c - the plan as a table, grouped by ranges of layers, and as JSON. */
#include <stdio.h>
#include <string.h>

#include "plan/plan_int.h"

/* Modules of the same name, operator, device and reason in consecutive layers; their types may
 * differ. */
typedef struct group {
    const td_plan_item *item; /* the first one */
    const char *suffix;       /* its name without "model.layers.3." */
    int first, last;          /* layers; -1: outside */
    int n_more;               /* groups of the same parent that were put with it */
    uint64_t bytes;
    int dtypes[3], n_dtype; /* the first ones met */
    bool merged;            /* into an earlier one */
} group;

static const double GIB = 1073741824.0;

static const char *suffix_of(const char *name) {
    const char *at = strstr(name, "layers.");
    const char *dot = at ? strchr(at + 7, '.') : NULL;
    return td_plan_layer_of(name) >= 0 && dot ? dot + 1 : name;
}

static bool same_text(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_fate(const td_plan_item *a, const td_plan_item *b) {
    return a->device == b->device && a->i_rule == b->i_rule && same_text(a->op, b->op) &&
           same_text(a->note, b->note) && same_text(a->check.reason, b->check.reason);
}

static void add_dtype(group *g, int dtype) {
    for (int i = 0; i < g->n_dtype; i++)
        if (g->dtypes[i] == dtype) return;
    if (g->n_dtype < 3) g->dtypes[g->n_dtype++] = dtype;
}

static int make_groups(const td_plan *p, group *groups) {
    int n = 0;
    for (int i = 0; i < p->n_item; i++) {
        const td_plan_item *item = &p->items[i];
        const int layer = td_plan_layer_of(item->module->name);
        const char *suffix = suffix_of(item->module->name);
        int g = n - 1;
        for (; g >= 0; g--)
            if (layer >= 0 && groups[g].last == layer - 1 &&
                strcmp(groups[g].suffix, suffix) == 0 && same_fate(groups[g].item, item))
                break;
        if (g < 0) {
            g = n++;
            groups[g] = (group){.item = item, .suffix = suffix, .first = layer};
        }
        groups[g].last = layer;
        groups[g].bytes += item->bytes;
        add_dtype(&groups[g], item->dtype);
    }
    return n;
}

static size_t parent_length(const char *suffix) {
    const char *dot = strrchr(suffix, '.');
    return dot ? (size_t)(dot - suffix) : 0;
}

/* Brothers over the same layers share a line: "self_attn.{q_proj, o_proj}". */
static void merge_brothers(group *groups, int n) {
    for (int i = 0; i < n; i++)
        for (int j = i + 1; j < n && !groups[i].merged; j++) {
            const size_t length = parent_length(groups[i].suffix);
            if (groups[j].merged || groups[i].first != groups[j].first ||
                groups[i].last != groups[j].last || length != parent_length(groups[j].suffix) ||
                strncmp(groups[i].suffix, groups[j].suffix, length) != 0 ||
                !same_fate(groups[i].item, groups[j].item))
                continue;
            groups[j].merged = true;
            groups[i].n_more++;
            groups[i].bytes += groups[j].bytes;
            for (int k = 0; k < groups[j].n_dtype; k++) add_dtype(&groups[i], groups[j].dtypes[k]);
        }
}

/* ---- text ---- */

static void add_names(const group *groups, int n, int i, td_strbuf *out) {
    const group *g = &groups[i];
    const size_t length = parent_length(g->suffix);
    if (g->n_more == 0) {
        td_strbuf_adds(out, g->suffix);
        return;
    }
    td_strbuf_addf(out, "%.*s%s{%s", (int)length, g->suffix, length ? "." : "",
                   g->suffix + length + (length > 0));
    for (int j = i + 1; j < n; j++) {
        const group *b = &groups[j];
        if (b->merged && b->first == g->first && b->last == g->last &&
            parent_length(b->suffix) == length && strncmp(b->suffix, g->suffix, length) == 0 &&
            same_fate(b->item, g->item))
            td_strbuf_addf(out, ", %s", b->suffix + length + (length > 0));
    }
    td_strbuf_addc(out, '}');
}

/* "rules.yaml:12", "default". */
static void add_source(const td_plan *p, const td_plan_item *item, td_strbuf *out) {
    if (item->i_rule < 0) {
        td_strbuf_adds(out, p->options.rules ? "no rule" : "default");
        return;
    }
    const char *path = td_rules_path(p->options.rules), *slash = strrchr(path, '/');
    td_strbuf_addf(out, "%s:%d", slash ? slash + 1 : path,
                   td_rules_at(p->options.rules, item->i_rule)->line);
}

/* At most `width` columns, the rest cut off by "...". */
static void add_cut(const char *text, int width, td_strbuf *out) {
    const int n = (int)strlen(text);
    if (n <= width)
        td_strbuf_addf(out, "%-*s", width, text);
    else
        td_strbuf_addf(out, "%.*s...", width > 3 ? width - 3 : 0, text);
}

static void print_group(const td_plan *p, const group *groups, int n, int i, int width,
                        td_strbuf *out) {
    const group *g = &groups[i];
    td_strbuf names = {0}, source = {0};
    char layers[32] = "";
    if (g->first >= 0 && g->first < g->last)
        snprintf(layers, sizeof layers, "%d-%d", g->first, g->last);
    else if (g->first >= 0)
        snprintf(layers, sizeof layers, "%d", g->first);
    add_names(groups, n, i, &names);
    add_source(p, g->item, &source);
    char types[64] = "";
    for (int k = 0, n_text = 0; k < g->n_dtype && n_text < 48; k++)
        n_text += snprintf(types + n_text, sizeof types - (size_t)n_text, "%s%s", k ? " " : "",
                           g->dtypes[k] >= 0 ? td_dtype_name(g->dtypes[k]) : "-");
    td_strbuf_addf(out, "%-7s ", layers);
    add_cut(names.text ? names.text : "", width > 114 ? width - 74 : 40, out);
    td_strbuf_addf(out, " %-15s %-7s %-12s %8.2f  %s\n", g->item->op,
                   p->devices[g->item->device].name, types, (double)g->bytes / GIB,
                   source.text ? source.text : "");
    td_strbuf_clear(&names);
    td_strbuf_clear(&source);
}

static void print_reasons(const group *groups, int n, td_strbuf *out) {
    for (int i = 0; i < n; i++) {
        const td_plan_item *item = groups[i].item;
        const char *reason = item->note ? item->note : item->check.reason;
        bool said = !*reason;
        for (int j = 0; j < i && !said; j++) {
            const td_plan_item *b = groups[j].item;
            said = same_text(reason, b->note ? b->note : b->check.reason);
        }
        if (!said) td_strbuf_addf(out, "replaced: %s\n", reason);
    }
}

static void print_devices(const td_plan *p, td_strbuf *out) {
    const td_hardware *h = p->options.hardware;
    td_strbuf_addf(out, "\n%-8s %9s %9s %9s %9s %9s  %s\n", "device", "weights", "KV", "scratch",
                   "sum", "has", "GiB");
    for (int i = 0; i < p->n_device; i++) {
        const td_plan_device *d = &p->devices[i];
        const uint64_t sum = d->weights + d->kv + d->scratch;
        td_strbuf_addf(out, "%-8s %9.2f %9.2f %9.2f %9.2f %9.2f  %s%s\n", d->name,
                       (double)d->weights / GIB, (double)d->kv / GIB, (double)d->scratch / GIB,
                       (double)sum / GIB, (double)d->capacity / GIB,
                       i ? h->gpus[i - 1].name : h->cpu.name,
                       sum > d->capacity ? ": DOES NOT FIT" : "");
    }
}

static void print_speed(const td_plan *p, td_strbuf *out) {
    const td_hardware *h = p->options.hardware;
    if (p->decode > 0)
        td_strbuf_addf(out,
                       "predicted: prefill %.3g tokens/s, decode %.3g tokens/s at a context half "
                       "full of %d%s\n",
                       p->prefill, p->decode, p->options.n_ctx,
                       h->n_gpu > 0 || !h->is_real_cpu ? " (an estimate, from data sheets)" : "");
    if (p->no_kernels)
        for (int i = 1; i < p->n_device; i++)
            if (p->devices[i].weights > 0)
                td_strbuf_addf(out,
                               "planned for %s (%s, sm_%d): this build has no GPU kernels yet, it "
                               "runs on the CPU\n",
                               p->devices[i].name, h->gpus[i - 1].name, h->gpus[i - 1].capability);
}

void td_plan_print(const td_plan *p, int width, td_strbuf *out) {
    td_arena arena;
    td_arena_init(&arena, 1 << 16);
    group *groups = td_arena_calloc(&arena, (size_t)p->n_item + 1, sizeof *groups);
    if (!groups) {
        out->failed = TD_ERR_NOMEM;
        td_arena_clear(&arena);
        return;
    }
    const int n = make_groups(p, groups);
    merge_brothers(groups, n);
    const int name_width = width > 114 ? width - 74 : 40;
    td_strbuf_addf(out, "%-7s %-*s %-15s %-7s %-12s %8s  %s\n", "layers", name_width, "modules",
                   "operator", "device", "type", "GiB", "by");
    for (int i = 0; i < n; i++)
        if (!groups[i].merged) print_group(p, groups, n, i, width, out);
    print_devices(p, out);
    print_reasons(groups, n, out);
    print_speed(p, out);
    td_arena_clear(&arena);
}

/* ---- JSON ---- */

static void add_text(const char *text, td_strbuf *out) {
    td_strbuf_addc(out, '"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') td_strbuf_addc(out, '\\');
        if ((unsigned char)*text >= 0x20) td_strbuf_addc(out, *text);
    }
    td_strbuf_addc(out, '"');
}

static void print_item_json(const td_plan *p, const td_plan_item *item, td_strbuf *out) {
    static const char *const verdicts[] = {"as written", "replaced", "refused"};
    td_strbuf_adds(out, "  {\"module\": ");
    add_text(item->module->name, out);
    td_strbuf_addf(
        out, ", \"operator\": \"%s\", \"runs\": \"%s\", \"device\": \"%s\", \"dtype\": \"%s\"",
        item->op, item->check.op->name, p->devices[item->device].name,
        item->dtype >= 0 ? td_dtype_name(item->dtype) : "");
    td_strbuf_addf(out, ", \"bytes\": %llu, \"verdict\": \"%s\", \"line\": ",
                   (unsigned long long)item->bytes, verdicts[item->check.verdict]);
    if (item->i_rule < 0)
        td_strbuf_adds(out, "null");
    else
        td_strbuf_addf(out, "%d", td_rules_at(p->options.rules, item->i_rule)->line);
    td_strbuf_adds(out, ", \"reason\": ");
    add_text(item->note ? item->note : item->check.reason, out);
    td_strbuf_addc(out, '}');
}

void td_plan_print_json(const td_plan *p, td_strbuf *out) {
    td_strbuf_adds(out, "{\"devices\": [\n");
    for (int i = 0; i < p->n_device; i++) {
        const td_plan_device *d = &p->devices[i];
        const td_hardware *h = p->options.hardware;
        td_strbuf_addf(out, "  {\"name\": \"%s\", \"model\": ", d->name);
        add_text(i ? h->gpus[i - 1].name : h->cpu.name, out);
        td_strbuf_addf(out,
                       ", \"capacity\": %llu, \"weights\": %llu, \"kv\": %llu, \"scratch\": %llu, "
                       "\"fits\": %s}%s\n",
                       (unsigned long long)d->capacity, (unsigned long long)d->weights,
                       (unsigned long long)d->kv, (unsigned long long)d->scratch,
                       d->weights + d->kv + d->scratch <= d->capacity ? "true" : "false",
                       i + 1 < p->n_device ? "," : "");
    }
    td_strbuf_addf(
        out, " ],\n \"prefill\": %.6g, \"decode\": %.6g, \"n_ctx\": %d, \"gpu_kernels\": %s,\n",
        p->prefill, p->decode, p->options.n_ctx, p->no_kernels ? "false" : "true");
    td_strbuf_adds(out, " \"modules\": [\n");
    for (int i = 0; i < p->n_item; i++) {
        print_item_json(p, &p->items[i], out);
        td_strbuf_adds(out, i + 1 < p->n_item ? ",\n" : "\n");
    }
    td_strbuf_adds(out, " ]}\n");
}
