/* rules_lint_layers.c - which devices the layers come to lie on; see rules_lint.h. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "plan/rules_int.h"
#include "plan/rules_lint_int.h"

/* Files with more rules than this are not looked at pair by pair. */
enum { MAX_PAIRED_RULES = 500 };

typedef struct layer {
    int number;
    const char *device;  /* of its first module that a rule gives one; NULL: none */
    int i_rule;          /* that rule */
    int n_below;         /* modules below it */
    int n_default;       /* those that no rule wins */
    const char *example; /* the first of those */
} layer;

typedef struct survey {
    linter *l;
    const td_rules_result *result;
    layer *layers; /* owned */
    size_t n, cap;
} survey;

/* The number of a name such as "model.layers.12", or -1. */
static int layer_number(const char *name) {
    const char *dot = strrchr(name, '.');
    static const char layers[] = "layers";
    const size_t n = sizeof layers - 1;
    if (!dot || (size_t)(dot - name) < n || strncmp(dot - n, layers, n) != 0) return -1;
    if (dot[1] == 0 || strlen(dot + 1) > 6 || dot[1 + strspn(dot + 1, "0123456789")]) return -1;
    return atoi(dot + 1);
}

/* Experts compute elsewhere than the layer they belong to. */
static bool says_where(const td_rules_entry *e, const linter *l) {
    if (e->i_rule < 0 || strstr(td_lint_last_part(e->class_name), "Experts")) return false;
    return td_lint_kwarg(td_rules_at(l->rules, e->i_rule), "generate_device") != NULL;
}

static td_status survey_layers(survey *s) {
    for (int i = 0; i < s->result->n_entry; i++) {
        const char *name = s->result->entries[i].node->name;
        const int number = layer_number(name);
        if (number < 0) continue;
        layer found = {.number = number, .i_rule = -1};
        const size_t n = strlen(name);
        for (; i + 1 < s->result->n_entry; i++) {
            const td_rules_entry *e = &s->result->entries[i + 1];
            if (strncmp(e->node->name, name, n) != 0 || e->node->name[n] != '.') break;
            found.n_below++;
            if (e->i_rule < 0 && found.n_default++ == 0) found.example = e->node->name;
            if (found.device || !says_where(e, s->l)) continue;
            found.i_rule = e->i_rule;
            found.device = td_lint_kwarg(td_rules_at(s->l->rules, e->i_rule), "generate_device");
        }
        TD_TRY(td_grow((void **)&s->layers, &s->cap, s->n + 1, sizeof *s->layers, "layers",
                       s->l->err));
        s->layers[s->n++] = found;
    }
    return TD_OK;
}

/* The first layer that lies on another device than the first, or NULL. */
static const layer *second_device(const survey *s) {
    const char *first = NULL;
    for (size_t i = 0; i < s->n; i++) {
        if (!s->layers[i].device) continue;
        if (!first)
            first = s->layers[i].device;
        else if (!td_lint_same_device(first, s->layers[i].device))
            return &s->layers[i];
    }
    return NULL;
}

/* "layer 3" or "layers 3 to 5". */
static const char *range_text(linter *l, const layer *first, const layer *last) {
    return first == last ? td_lint_say(l, "layer %d", first->number)
                         : td_lint_say(l, "layers %d to %d", first->number, last->number);
}

/* ---- gaps ---- */

static bool has_gap(const layer *x) {
    if (x->n_below == 0) return false;
    return !x->device || (x->n_default > 0 && !td_lint_same_device(x->device, "cuda:0"));
}

static void lint_gaps(survey *s) {
    for (size_t i = 0; i < s->n; i++) {
        if (!has_gap(&s->layers[i])) continue;
        size_t end = i;
        while (end + 1 < s->n && has_gap(&s->layers[end + 1]) &&
               !s->layers[end + 1].device == !s->layers[i].device)
            end++;
        const layer *x = &s->layers[i];
        const char *range = range_text(s->l, x, &s->layers[end]);
        td_lint_add(
            s->l,
            (td_lint_finding){
                .line = x->i_rule >= 0 ? td_rules_at(s->l->rules, x->i_rule)->line : 1,
                .i_rule = x->i_rule,
                .code = "device-gap",
                .what = x->device
                            ? td_lint_say(s->l,
                                          "%s: on %s, but %d modules, such as '%.200s', are in no "
                                          "rule",
                                          range, x->device, x->n_default, x->example)
                            : td_lint_say(s->l, "%s: no rule says on which device", range),
                .why = "what no rule wins goes to cuda:0",
                .fix = "widen the range of a rule, or end the file with a default rule for these "
                       "layers"});
        i = end;
    }
}

/* ---- transfer_map ---- */

/* The map of a rule that wins a module, and that rule. */
static const td_rule_value *find_map(const survey *s, int *i_rule) {
    for (*i_rule = 0; *i_rule < td_rules_n(s->l->rules); ++*i_rule) {
        const td_rule *rule = td_rules_at(s->l->rules, *i_rule);
        const td_rule_value *map = rule->kwargs ? td_rule_get(rule->kwargs, "transfer_map") : NULL;
        if (map && map->type == TD_RULE_MAP && s->result->tallies[*i_rule].n_won > 0) return map;
    }
    return NULL;
}

/* Where the map has the hidden state at a layer: of its keys up to there the largest one. */
static const td_rule_value *state_at(const td_rule_value *map, int number) {
    const td_rule_value *device = NULL;
    int64_t largest = -1;
    for (int i = 0; i < map->n_item; i++) {
        const td_rule_value *key = map->keys[i];
        if (key->type != TD_RULE_INT || key->integer > number || key->integer < largest) continue;
        largest = key->integer;
        device = map->items[i];
    }
    return device;
}

static bool disagrees(const survey *s, const td_rule_value *map, const layer *x) {
    const td_rule_value *state = state_at(map, x->number);
    const char *device = state ? td_rule_string(state) : s->layers[0].device;
    return device && x->device && !td_lint_same_device(device, x->device);
}

static void lint_map(survey *s, const td_rule_value *map, int i_rule) {
    for (size_t i = 0; i < s->n; i++) {
        const layer *x = &s->layers[i];
        if (!disagrees(s, map, x)) continue;
        size_t end = i;
        while (end + 1 < s->n && disagrees(s, map, &s->layers[end + 1])) end++;
        const td_rule_value *state = state_at(map, x->number);
        td_lint_add(
            s->l, (td_lint_finding){
                      .line = state ? state->line : map->line,
                      .i_rule = i_rule,
                      .is_error = true,
                      .code = "transfer-map",
                      .what = td_lint_say(s->l, "%s: on %s by rule %d, on %s by transfer_map",
                                          range_text(s->l, x, &s->layers[end]), x->device,
                                          x->i_rule + 1, state ? state->text : s->layers[0].device),
                      .why = "the layer would compute with its input on another device",
                      .fix = td_lint_say(s->l,
                                         "write the layer where each device begins, such "
                                         "as %d: \"%s\"",
                                         x->number, x->device)});
        i = end;
    }
    for (int i = 0; i < map->n_item; i++)
        if (map->keys[i]->type == TD_RULE_INT &&
            (map->keys[i]->integer < 0 || map->keys[i]->integer > s->layers[s->n - 1].number))
            td_lint_add(s->l,
                        (td_lint_finding){
                            .line = map->keys[i]->line,
                            .i_rule = i_rule,
                            .code = "transfer-map",
                            .what = td_lint_say(s->l,
                                                "transfer_map names layer %s, the model has "
                                                "%d",
                                                map->keys[i]->text, s->layers[s->n - 1].number + 1),
                            .why = "this entry is never used",
                            .fix = "remove it, or correct the number"});
}

static void lint_transfer(survey *s) {
    int i_rule;
    const td_rule_value *map = find_map(s, &i_rule);
    const layer *second = second_device(s);
    if (map) {
        lint_map(s, map, i_rule);
    } else if (second) {
        td_lint_add(s->l,
                    (td_lint_finding){
                        .line = td_rules_at(s->l->rules, second->i_rule)->line,
                        .i_rule = second->i_rule,
                        .is_error = true,
                        .code = "transfer-map",
                        .what = td_lint_say(s->l,
                                            "layer %d is on %s, and no rule with a transfer_map "
                                            "wins the model",
                                            second->number, second->device),
                        .why = "the hidden state stays on the first device, and the layer fails",
                        .fix = td_lint_say(s->l,
                                           "add a rule for \"^model$\" with kwargs: transfer_map: "
                                           "{%d: \"%s\"}",
                                           second->number, second->device)});
    }
}

/* ---- overlaps ---- */

static bool same_text(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* Two rules that do the same on two devices. */
static bool is_pair(const td_rule *a, const td_rule *b) {
    if (!a->replace_class || !b->replace_class || !same_text(a->replace_class, b->replace_class))
        return false;
    if (!same_text(td_lint_kwarg(a, "generate_op"), td_lint_kwarg(b, "generate_op"))) return false;
    const char *keys[] = {"generate_device", "prefill_device"};
    for (int i = 0; i < 2; i++) {
        const char *x = td_lint_kwarg(a, keys[i]), *y = td_lint_kwarg(b, keys[i]);
        if (x && y && !td_lint_same_device(x, y)) return true;
    }
    return false;
}

typedef struct overlap {
    int n;               /* modules that both match */
    const char *example; /* the first of them */
} overlap;

/* What rule b matches of what earlier rules have won: by_rule[b]. */
static td_status find_overlaps(const survey *s, td_rules_matcher *m, int b, overlap *by_rule) {
    const td_rules *rules = s->l->rules;
    memset(by_rule, 0, (size_t)b * sizeof *by_rule);
    for (int i = 0; i < s->result->n_entry; i++) {
        const td_rules_entry *e = &s->result->entries[i];
        if (e->i_rule < 0 || e->i_rule >= b) continue;
        if (!is_pair(td_rules_at(rules, e->i_rule), td_rules_at(rules, b))) continue;
        td_rules_verdict verdict;
        TD_TRY(td_rules_matcher_try(m, b, e->node, &verdict, s->l->err));
        if (verdict != TD_RULES_MATCHES) continue;
        if (by_rule[e->i_rule].n++ == 0) by_rule[e->i_rule].example = e->node->name;
    }
    return TD_OK;
}

/* A rule that matches all that an earlier one has won is that one's complement: a way to say "and
 * the rest".  One that matches a part of it is a range that overlaps. */
static td_status lint_overlaps(survey *s, td_rules_matcher *m, overlap *by_rule) {
    const td_rules *rules = s->l->rules;
    for (int b = 1; b < td_rules_n(rules); b++) {
        if (s->result->tallies[b].n_won == 0 || td_rules_at(rules, b)->broken) continue;
        TD_TRY(find_overlaps(s, m, b, by_rule));
        for (int a = 0; a < b; a++) {
            if (by_rule[a].n == 0 || by_rule[a].n == s->result->tallies[a].n_won) continue;
            const td_rule *rule = td_rules_at(rules, b);
            td_lint_add(s->l, (td_lint_finding){
                                  .line = rule->match_name ? rule->match_name->line : rule->line,
                                  .i_rule = b,
                                  .code = "device-overlap",
                                  .what = td_lint_say(
                                      s->l,
                                      "matches %d of the modules that rule %d wins for another "
                                      "device, such as '%.200s'",
                                      by_rule[a].n, a + 1, by_rule[a].example),
                                  .why = "the ranges overlap: these modules go to the earlier rule",
                                  .fix = "let one range end where the other begins"});
        }
    }
    return TD_OK;
}

static td_status lint_all_overlaps(survey *s) {
    const td_rules *rules = s->l->rules;
    const td_rules_options options = {.lenient = true};
    const size_t n = (size_t)td_rules_n(rules);
    if (n > MAX_PAIRED_RULES) return TD_OK;
    td_rules_matcher *m;
    TD_TRY(td_rules_matcher_create(&m, rules, s->l->tree, &options, s->l->err));
    overlap *by_rule = td_calloc(n, sizeof *by_rule);
    const td_status status =
        by_rule ? lint_overlaps(s, m, by_rule) : td_fail(s->l->err, TD_ERR_NOMEM, "out of memory");
    td_free(by_rule);
    td_rules_matcher_free(m);
    return status;
}

td_status td_lint_layers(linter *l, const td_rules_result *result) {
    survey s = {.l = l, .result = result};
    td_status status = survey_layers(&s);
    if (status == TD_OK && s.n > 0 && second_device(&s)) lint_gaps(&s);
    if (status == TD_OK && s.n > 0) lint_transfer(&s);
    if (status == TD_OK) status = lint_all_overlaps(&s);
    td_free(s.layers);
    return status;
}
