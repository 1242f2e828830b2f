/* rules_explain.c - every rule tried on one module, and what came of it; see rules.h. */
#include <string.h>

#include "plan/rules_int.h"

typedef struct explainer {
    const td_rules *rules;
    td_rules_matcher *matcher;
    td_rules_era era;
    td_rules_trial *trials; /* of the last module looked at */
    int i_winner;
    bool recursive;
} explainer;

/* Tries all rules; what cannot be tried matches nothing. */
static td_status try_all(explainer *e, const td_tree_node *node, td_err *err) {
    e->i_winner = -1;
    e->recursive = true;
    for (int i = 0; i < e->rules->n_rule; i++) {
        td_rules_verdict verdict;
        TD_TRY(td_rules_matcher_try(e->matcher, i, node, &verdict, err));
        e->trials[i] = (td_rules_trial){.i_rule = i, .verdict = verdict};
        const bool counts = e->i_winner < 0 || e->era == TD_RULES_V010;
        if (verdict != TD_RULES_MATCHES || !counts) continue;
        e->i_winner = i;
        if (e->rules->rules[i].has_recursive) e->recursive = e->rules->rules[i].recursive;
    }
    if (e->i_winner >= 0) e->trials[e->i_winner].wins = true;
    return TD_OK;
}

/* The child that is called `name` or lies above what is, NULL: none. */
static const td_tree_node *step_down(const td_tree_node *node, const char *name) {
    for (const td_tree_node *child = node->first_child; child; child = child->next) {
        const size_t n = strlen(child->name);
        if (strncmp(child->name, name, n) == 0 && (name[n] == '.' || name[n] == 0)) return child;
    }
    return NULL;
}

static td_status explain(explainer *e, const td_tree *tree, const char *name,
                         td_rules_explanation *out, td_err *err) {
    const td_tree_node *node = tree->root;
    out->i_hiding_rule = -1;
    while (node && strcmp(node->name, name) != 0) {
        if (!out->hidden_by) {
            TD_TRY(try_all(e, node, err));
            if (!e->recursive) {
                out->hidden_by = node;
                out->i_hiding_rule = e->i_winner;
            }
        }
        node = step_down(node, name);
    }
    if (!node) return td_fail(err, TD_ERR_ARGUMENT, "the model has no module '%.200s'", name);
    TD_TRY(try_all(e, node, err));
    out->node = node;
    out->trials = e->trials;
    out->i_winner = e->i_winner;
    return TD_OK;
}

td_status td_rules_explain(const td_rules *rules, const td_tree *tree,
                           const td_rules_options *options, const char *name, td_arena *arena,
                           td_rules_explanation *out, td_err *err) {
    *out = (td_rules_explanation){0};
    explainer e = {.rules = rules, .era = options ? options->era : TD_RULES_V032};
    e.trials = td_arena_calloc(arena, (size_t)rules->n_rule, sizeof *e.trials);
    if (!e.trials) return td_fail(err, TD_ERR_NOMEM, "out of memory: explaining rules");
    td_status status = td_rules_matcher_create(&e.matcher, rules, tree, options, err);
    if (status == TD_OK) status = explain(&e, tree, name, out, err);
    td_rules_matcher_free(e.matcher);
    return status;
}

/* ---- as text ---- */

static void add_trial(const td_rules *rules, const td_rules_explanation *x, int i, td_strbuf *out) {
    const td_rule *rule = &rules->rules[i];
    const td_rules_trial *trial = &x->trials[i];
    td_strbuf_addf(out, "  rule %d, line %d: ", i + 1, rule->line);
    switch (trial->verdict) {
    case TD_RULES_CLASS_UNKNOWN:
        td_strbuf_addf(out, "class %s is not known, KTransformers would stop here",
                       rule->match_class);
        break;
    case TD_RULES_CLASS_DIFFERS:
        td_strbuf_addf(out, "class differs: wanted %s", rule->match_class);
        break;
    case TD_RULES_NAME_NOT_FOUND:
        td_strbuf_addf(out, "name differs: %s is not found in it", rule->match_name->text);
        break;
    case TD_RULES_BROKEN: td_strbuf_adds(out, rule->broken); break;
    case TD_RULES_MATCHES:
        if (trial->wins)
            td_strbuf_addf(out, "wins: %s%s", rule->replace_class,
                           rule->recursive ? "" : ", and hides what is below");
        else
            td_strbuf_addf(out, "matches too, but rule %d has won", x->i_winner + 1);
    }
    td_strbuf_addc(out, '\n');
}

void td_rules_explain_text(const td_rules *rules, const td_rules_explanation *x, td_strbuf *out) {
    td_strbuf_addf(out, "%s (%s)\n", x->node->name[0] ? x->node->name : "the model",
                   x->node->class_name);
    if (x->hidden_by)
        td_strbuf_addf(out,
                       "  hidden: rule %d, line %d, wins %s and is 'recursive: False', so no rule "
                       "is tried here; each would say:\n",
                       x->i_hiding_rule + 1, rules->rules[x->i_hiding_rule].line,
                       x->hidden_by->name[0] ? x->hidden_by->name : "the model");
    for (int i = 0; i < rules->n_rule; i++) add_trial(rules, x, i, out);
    if (x->i_winner < 0) td_strbuf_adds(out, "  no rule wins: the module stays what it is\n");
}
