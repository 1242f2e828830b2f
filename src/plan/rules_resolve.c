/* rules_resolve.c - which rule wins which module; see rules.h.
 *
 * The walk is KTransformers' own: a module first, then, unless its rule says `recursive: False`,
 * its children in order.  Trees may be of any depth, so the walk keeps a stack of its own. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "plan/rules_int.h"

/* ---- walking ---- */

typedef struct walk {
    const td_tree_node **stack; /* owned: modules still to come */
    size_t n, cap;
} walk;

static td_status walk_push(walk *w, const td_tree_node *node, td_err *err) {
    if (!node) return TD_OK;
    TD_TRY(td_grow((void **)&w->stack, &w->cap, w->n + 1, sizeof *w->stack, "modules", err));
    w->stack[w->n++] = node;
    return TD_OK;
}

/* Takes the next module and queues its next sibling; its children are the caller's to queue. */
static td_status walk_pop(walk *w, const td_tree_node **node, td_err *err) {
    *node = w->stack[--w->n];
    return walk_push(w, (*node)->next, err);
}

/* ---- entries ---- */

typedef struct resolver {
    const td_rules *rules;
    const td_tree *tree;
    td_rules_options options;
    td_rules_matcher *matcher;
    td_rules_result *out;
    size_t cap_entry;
    const td_rule_value *defaults[2]; /* kwargs of what no rule wins: the root's, the others' */
    td_strbuf name;                   /* owned: for keys */
    td_err *err;
} resolver;

static td_status fail_nomem(const resolver *r) {
    return td_fail(r->err, TD_ERR_NOMEM, "out of memory: resolving rules");
}

static const td_rule_value *new_string(td_arena *arena, const char *text) {
    td_rule_value *v = td_arena_calloc(arena, 1, sizeof *v);
    if (!v) return NULL;
    v->type = TD_RULE_STRING;
    v->n_text = strlen(text);
    v->text = td_arena_strndup(arena, text, v->n_text);
    return v->text ? v : NULL;
}

/* {generate_device: D, prefill_device: D} */
static const td_rule_value *default_kwargs(td_arena *arena, const char *device) {
    td_rule_value *map = td_arena_calloc(arena, 1, sizeof *map);
    const td_rule_value **keys = td_arena_calloc(arena, 2, sizeof *keys);
    const td_rule_value **items = td_arena_calloc(arena, 2, sizeof *items);
    const td_rule_value *value = new_string(arena, device);
    if (!map || !keys || !items || !value) return NULL;
    keys[0] = new_string(arena, "generate_device");
    keys[1] = new_string(arena, "prefill_device");
    items[0] = items[1] = value;
    if (!keys[0] || !keys[1]) return NULL;
    map->type = TD_RULE_MAP;
    map->keys = keys;
    map->items = items;
    map->n_item = 2;
    map->n_value = 5;
    return map;
}

static const char *default_device(const resolver *r, const td_tree_node *node) {
    const bool passed_on = r->options.era == TD_RULES_V032 || node == r->tree->root;
    return passed_on && r->options.default_device ? r->options.default_device : "cuda:0";
}

/* What weights are looked up by. */
static td_status find_key(resolver *r, const td_tree_node *node, const char **key) {
    *key = node->name;
    if (r->options.era == TD_RULES_V032) return TD_OK;
    td_strbuf_clear_text(&r->name);
    TD_TRY(td_rules_gguf_name(node->name, &r->name, r->err));
    *key = td_arena_strndup(&r->out->arena, r->name.text ? r->name.text : "", r->name.n);
    return *key ? TD_OK : fail_nomem(r);
}

static td_status fail_broken(const resolver *r, int i_rule) {
    const td_rule *rule = &r->rules->rules[i_rule];
    return td_fail(r->err, TD_ERR_FORMAT, "%s:%d: rule %d: %s", r->rules->path, rule->broken_line,
                   i_rule + 1, rule->broken);
}

static td_status fail_unknown(const resolver *r, int i_rule) {
    const td_rule *rule = &r->rules->rules[i_rule];
    const td_rule_value *at = td_rule_get(td_rule_get(rule->source, "match"), "class");
    return td_fail(r->err, TD_ERR_FORMAT,
                   "%s:%d: rule %d: the class '%.200s' is not known, and KTransformers would stop "
                   "here, too",
                   r->rules->path, at ? at->line : rule->line, i_rule + 1, rule->match_class);
}

/* Tries one rule; errors are those that KTransformers would stop at. */
static td_status try_rule(resolver *r, int i_rule, const td_tree_node *node, bool *matches) {
    td_rules_verdict verdict;
    TD_TRY(td_rules_matcher_try(r->matcher, i_rule, node, &verdict, r->err));
    *matches = verdict == TD_RULES_MATCHES;
    if (verdict == TD_RULES_BROKEN && !r->options.skip_broken) return fail_broken(r, i_rule);
    if (verdict == TD_RULES_CLASS_UNKNOWN) {
        if (!r->options.lenient) return fail_unknown(r, i_rule);
        r->out->tallies[i_rule].unknown_class = true;
    }
    const td_rule *rule = &r->rules->rules[i_rule];
    if (*matches && r->options.era == TD_RULES_V010 && !rule->has_replace_class)
        return td_fail(r->err, TD_ERR_FORMAT, "%s:%d: rule %d: 'replace' has no 'class'",
                       r->rules->path, rule->line, i_rule + 1);
    return TD_OK;
}

/* The rule that wins, -1: none; *recursive: whether children are looked at. */
static td_status find_winner(resolver *r, const td_tree_node *node, int *i_winner,
                             bool *recursive) {
    *i_winner = -1;
    *recursive = true;
    for (int i = 0; i < r->rules->n_rule; i++) {
        bool matches;
        TD_TRY(try_rule(r, i, node, &matches));
        if (!matches) continue;
        *i_winner = i;
        if (r->rules->rules[i].has_recursive) *recursive = r->rules->rules[i].recursive;
        if (r->options.era != TD_RULES_V010) break;
    }
    return TD_OK;
}

static td_status add_entry(resolver *r, const td_tree_node *node, int i_rule) {
    td_rules_result *out = r->out;
    const td_rule *rule = i_rule >= 0 ? &r->rules->rules[i_rule] : NULL;
    const bool v010 = r->options.era == TD_RULES_V010;
    td_rules_entry entry = {.node = node, .class_name = "default", .i_rule = i_rule};
    TD_TRY(find_key(r, node, &entry.key));
    if (rule) {
        entry.class_name = rule->replace_class;
        entry.kwargs = rule->kwargs;
        out->tallies[i_rule].n_won++;
    } else if (!v010) {
        entry.kwargs = r->defaults[node != r->tree->root];
    }
    if (rule && v010) {
        entry.device = rule->device ? td_rule_string(rule->device) : default_device(r, node);
        if (!entry.device)
            return td_fail(r->err, TD_ERR_FORMAT, "%s:%d: rule %d: 'replace.device' is no string",
                           r->rules->path, rule->device->line, i_rule + 1);
    }
    TD_TRY(td_grow((void **)&out->entries, &r->cap_entry, (size_t)out->n_entry + 1,
                   sizeof *out->entries, "entries", r->err));
    out->entries[out->n_entry++] = entry;
    return TD_OK;
}

static td_status walk_tree(resolver *r) {
    walk w = {0};
    td_status status = walk_push(&w, r->tree->root, r->err);
    while (status == TD_OK && w.n > 0) {
        const td_tree_node *node;
        int i_winner;
        bool recursive;
        status = walk_pop(&w, &node, r->err);
        if (status == TD_OK) status = find_winner(r, node, &i_winner, &recursive);
        if (status == TD_OK) status = add_entry(r, node, i_winner);
        if (status == TD_OK && recursive) status = walk_push(&w, node->first_child, r->err);
    }
    td_free(w.stack);
    return status;
}

static int compare_names(const void *a, const void *b) {
    const td_rules_entry *x = *(const td_rules_entry *const *)a;
    const td_rules_entry *y = *(const td_rules_entry *const *)b;
    return strcmp(x->node->name, y->node->name);
}

static td_status sort_entries(resolver *r) {
    td_rules_result *out = r->out;
    const size_t n = (size_t)out->n_entry;
    out->by_name = td_arena_calloc(&out->arena, n, sizeof *out->by_name);
    if (!out->by_name) return fail_nomem(r);
    for (size_t i = 0; i < n; i++) out->by_name[i] = &out->entries[i];
    qsort(out->by_name, n, sizeof *out->by_name, compare_names);
    return TD_OK;
}

static td_status resolve(resolver *r) {
    td_arena *arena = &r->out->arena;
    r->out->tallies = td_arena_calloc(arena, (size_t)r->rules->n_rule, sizeof *r->out->tallies);
    const char *device = r->options.default_device ? r->options.default_device : "cuda:0";
    r->defaults[0] = default_kwargs(arena, device);
    r->defaults[1] = default_kwargs(arena, r->options.era == TD_RULES_V032 ? device : "cuda:0");
    if (!r->out->tallies || !r->defaults[0] || !r->defaults[1]) return fail_nomem(r);
    TD_TRY(td_rules_matcher_create(&r->matcher, r->rules, r->tree, &r->options, r->err));
    TD_TRY(walk_tree(r));
    return sort_entries(r);
}

td_status td_rules_resolve(const td_rules *rules, const td_tree *tree,
                           const td_rules_options *options, td_rules_result *out, td_err *err) {
    *out = (td_rules_result){0};
    td_arena_init(&out->arena, 1 << 16);
    resolver r = {.rules = rules, .tree = tree, .out = out, .err = err};
    if (options) r.options = *options;
    const td_status status = resolve(&r);
    td_rules_matcher_free(r.matcher);
    td_strbuf_clear(&r.name);
    if (status != TD_OK) td_rules_result_clear(out);
    return status;
}

void td_rules_result_clear(td_rules_result *result) {
    td_free(result->entries);
    td_arena_clear(&result->arena);
    *result = (td_rules_result){0};
}

const td_rules_entry *td_rules_find(const td_rules_result *result, const char *name) {
    int low = 0, high = result->n_entry;
    while (low < high) {
        const int middle = low + (high - low) / 2;
        const int order = strcmp(result->by_name[middle]->node->name, name);
        if (order == 0) return result->by_name[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* ---- counting ---- */

typedef struct tallier {
    const td_rules *rules;
    td_rules_matcher *matcher;
    const td_rules_result *result;
    int i_entry; /* the next entry, for both are in the tree's order */
    td_rules_reach *reach;
} tallier;

static td_status count_node(tallier *t, const td_tree_node *node, td_err *err) {
    const bool is_seen =
        t->i_entry < t->result->n_entry && t->result->entries[t->i_entry].node == node;
    t->i_entry += is_seen;
    for (int i = 0; i < t->rules->n_rule; i++) {
        td_rules_reach *reach = &t->reach[i];
        td_rules_verdict verdict;
        TD_TRY(td_rules_matcher_try(t->matcher, i, node, &verdict, err));
        reach->n_class += verdict == TD_RULES_MATCHES || verdict == TD_RULES_NAME_NOT_FOUND;
        if (verdict != TD_RULES_MATCHES) continue;
        if (reach->n_matched++ == 0) reach->first = node;
        if (is_seen && reach->n_seen++ == 0) reach->first_seen = node;
    }
    return TD_OK;
}

td_status td_rules_count(const td_rules *rules, const td_tree *tree,
                         const td_rules_options *options, const td_rules_result *result,
                         td_rules_reach *reach, td_err *err) {
    tallier t = {.rules = rules, .result = result, .reach = reach};
    memset(reach, 0, (size_t)rules->n_rule * sizeof *reach);
    TD_TRY(td_rules_matcher_create(&t.matcher, rules, tree, options, err));
    walk w = {0};
    td_status status = walk_push(&w, tree->root, err);
    while (status == TD_OK && w.n > 0) {
        const td_tree_node *node;
        status = walk_pop(&w, &node, err);
        if (status == TD_OK) status = count_node(&t, node, err);
        if (status == TD_OK) status = walk_push(&w, node->first_child, err);
    }
    td_free(w.stack);
    td_rules_matcher_free(t.matcher);
    return status;
}
