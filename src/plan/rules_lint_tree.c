/* rules_lint_tree.c - what the rules do to a tree of modules; see rules_lint.h. */
#include <string.h>

#include "base/alloc.h"
#include "plan/rules_lint_int.h"

typedef struct view {
    linter *l;
    td_rules_options options;
    td_rules_result result;
    td_rules_reach *reach;   /* [n] */
    td_rules_reach *by_name; /* [n]: of rules without their class */
    td_rules_reach *escaped; /* [n]: of rules with "\." for bare dots between words */
} view;

static int line_of_name(const td_rule *rule) {
    return rule->match_name ? rule->match_name->line : rule->line;
}

/* ---- rules in other words, to see what those would match ---- */

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* The pattern with every bare dot between two words escaped; false if it has none. */
static bool escape_dots(const td_rule_value *name, td_strbuf *out) {
    const char *p = name->text;
    bool any = false, in_set = false;
    for (size_t i = 0; i < name->n_text; i++) {
        if (p[i] == '\\' && i + 1 < name->n_text)
            td_strbuf_addc(out, p[i++]);
        else if (p[i] == '[')
            in_set = true;
        else if (p[i] == ']')
            in_set = false;
        else if (p[i] == '.' && !in_set && i > 0 && is_word(p[i - 1]) && is_word(p[i + 1])) {
            td_strbuf_addc(out, '\\');
            any = true;
        }
        td_strbuf_addc(out, p[i]);
    }
    return any;
}

/* The rule as a line of YAML that matches only by name, or with its dots escaped; one that there is
 * nothing to ask about matches nothing. */
static void write_variant(const td_rule *rule, bool dots, td_strbuf *out) {
    td_strbuf pattern = {0};
    bool asks = rule->match_name && !rule->broken;
    if (asks && dots) asks = escape_dots(rule->match_name, &pattern);
    if (asks && !dots) {
        asks = rule->match_class != NULL;
        td_strbuf_add(&pattern, rule->match_name->text, rule->match_name->n_text);
    }
    const td_rule_value name = {
        .type = TD_RULE_STRING, .text = pattern.text ? pattern.text : "", .n_text = pattern.n};
    td_strbuf_adds(out, "- match: {name: ");
    if (asks)
        td_rule_write(&name, out);
    else
        td_strbuf_adds(out, "\"^(?!)\"");
    if (asks && dots && rule->match_class) {
        const td_rule_value class_value = {
            .type = TD_RULE_STRING, .text = rule->match_class, .n_text = strlen(rule->match_class)};
        td_strbuf_adds(out, ", class: ");
        td_rule_write(&class_value, out);
    }
    td_strbuf_adds(out, "}\n  replace: {}\n");
    if (pattern.failed != TD_OK) out->failed = pattern.failed;
    td_strbuf_clear(&pattern);
}

static td_status count_variants(view *v, bool dots, td_rules_reach *reach) {
    td_strbuf text = {0};
    td_rules *rules = NULL;
    const int n = td_rules_n(v->l->rules);
    for (int i = 0; i < n; i++) write_variant(td_rules_at(v->l->rules, i), dots, &text);
    td_status status = td_strbuf_check(&text, "rules", v->l->err);
    if (status == TD_OK && n > 0)
        status = td_rules_parse(&rules, text.text, text.n, td_rules_path(v->l->rules), v->l->err);
    if (status == TD_OK && rules && td_rules_n(rules) == n)
        status = td_rules_count(rules, v->l->tree, &v->options, &v->result, reach, v->l->err);
    td_rules_free(rules);
    td_strbuf_clear(&text);
    return status;
}

/* ---- rules that win nothing ---- */

static const char *plural(int n) { return n == 1 ? "" : "s"; }

static void add_dead(view *v, int i) {
    linter *l = v->l;
    const td_rule *rule = td_rules_at(l->rules, i);
    const td_rules_reach *reach = &v->reach[i];
    const int n_name = v->by_name[i].n_matched;
    const char *class_name = rule->match_class ? rule->match_class : "";
    td_lint_finding f = {.line = line_of_name(rule), .i_rule = i, .code = "dead-rule"};
    f.why = "the modules it is for silently stay what they are, or go to another rule";
    if (!rule->match_class) {
        f.what = "matches nothing: the pattern finds no module of this model";
        f.fix = "correct the pattern, or remove the rule";
    } else if (!rule->match_name || reach->n_class == 0) {
        f.what =
            td_lint_say(l, "matches nothing: this model has no module of class %.200s", class_name);
        f.fix = "name the class that the model has ('tandem plan --explain' shows it), or remove "
                "the rule";
    } else if (n_name > 0) {
        f.what =
            td_lint_say(l,
                        "matches nothing: the pattern finds %d module%s, such as '%.200s', but "
                        "none of class %.200s",
                        n_name, plural(n_name), v->by_name[i].first->name, class_name);
        f.fix = "let the pattern go on to the modules of that class, as in "
                "\"^model\\\\.layers\\\\.(0|1)\\\\..*$\"";
    } else {
        f.what = td_lint_say(
            l, "matches nothing: the pattern finds none of the %d modules of class %.200s",
            reach->n_class, class_name);
        f.fix = "correct the pattern, or remove the rule";
    }
    td_lint_add(l, f);
}

/* The nearest ancestor's rule that hides `name`; -1: none. */
static int hiding_rule(const view *v, const char *name) {
    char above[1001];
    size_t n = strlen(name);
    if (n > 1000) return -1;
    memcpy(above, name, n + 1);
    const td_rules_entry *e = NULL;
    while (n > 0 && !e) {
        while (n > 0 && above[n - 1] != '.') n--;
        above[n > 0 ? --n : 0] = 0;
        e = td_rules_find(&v->result, above);
    }
    return e ? e->i_rule : -1;
}

static void add_shadowed(view *v, int i) {
    linter *l = v->l;
    const td_rules_reach *reach = &v->reach[i];
    td_lint_finding f = {.line = line_of_name(td_rules_at(l->rules, i)), .i_rule = i};
    f.why = "a module goes to the first rule that matches it";
    if (reach->n_seen > 0) {
        const td_rules_entry *e = td_rules_find(&v->result, reach->first_seen->name);
        f.code = "shadowed-rule";
        f.what = td_lint_say(l,
                             "wins nothing: it matches %d module%s, all of which earlier rules win "
                             "('%.200s': rule %d, line %d)",
                             reach->n_seen, plural(reach->n_seen), reach->first_seen->name,
                             e->i_rule + 1, td_rules_at(l->rules, e->i_rule)->line);
        f.fix = td_lint_say(l, "move it before rule %d, or remove it", e->i_rule + 1);
    } else {
        const int hiding = hiding_rule(v, reach->first->name);
        f.code = "hidden-rule";
        f.what =
            td_lint_say(l,
                        "wins nothing: it matches %d module%s, all below modules of rules "
                        "with 'recursive: False' ('%.200s': rule %d)",
                        reach->n_matched, plural(reach->n_matched), reach->first->name, hiding + 1);
        f.fix = "remove it, or let that rule be recursive";
    }
    td_lint_add(l, f);
}

static void lint_useless(view *v, int i) {
    if (td_rules_at(v->l->rules, i)->broken) return;
    if (v->result.tallies[i].unknown_class)
        td_lint_unknown_class(v->l, i);
    else if (v->reach[i].n_matched == 0)
        add_dead(v, i);
    else if (v->result.tallies[i].n_won == 0)
        add_shadowed(v, i);
}

/* ---- rules that win too much ---- */

static void lint_dots(view *v, int i) {
    const int n = v->reach[i].n_matched, n_escaped = v->escaped[i].n_matched;
    const td_rule *rule = td_rules_at(v->l->rules, i);
    td_strbuf escaped = {0};
    const bool asks = rule->match_name && !rule->broken && escape_dots(rule->match_name, &escaped);
    td_strbuf_clear(&escaped);
    if (!asks || n <= n_escaped) return;
    td_lint_add(v->l, (td_lint_finding){
                          .line = line_of_name(rule),
                          .i_rule = i,
                          .code = "bare-dot",
                          .what = td_lint_say(v->l, "matches %d modules, %d with its dots escaped",
                                              n, n_escaped),
                          .why = "a bare dot stands for any character",
                          .fix = "write \"\\\\.\" for a dot that is meant"});
}

static void lint_experts(view *v, int i) {
    const td_rule *rule = td_rules_at(v->l->rules, i);
    if (!rule->recursive || !rule->replace_class || v->result.tallies[i].n_won == 0) return;
    const char *last = td_lint_last_part(rule->replace_class);
    if (strncmp(last, "KTransformersExperts", 20) != 0 || !v->reach[i].first->first_child) return;
    td_lint_add(v->l, (td_lint_finding){
                          .line = rule->line,
                          .i_rule = i,
                          .code = "experts-recursive",
                          .what = "replaces experts, and goes on to the linears inside of them",
                          .why = "each of them gets an operator and its weights once more",
                          .fix = "add recursive: False"});
}

/* kv_b_proj is sliced by the absorbed form of latent attention: it must stay a plain weight. */
static void lint_kv_b_proj(view *v) {
    static const char end[] = ".kv_b_proj";
    const size_t n_end = sizeof end - 1;
    int i_last = -1;
    for (int i = 0; i < v->result.n_entry; i++) {
        const td_rules_entry *e = &v->result.entries[i];
        const size_t n = strlen(e->node->name);
        if (e->i_rule < 0 || e->i_rule == i_last || n <= n_end || n > 1000) continue;
        if (strcmp(e->node->name + n - n_end, end) != 0) continue;
        const td_rule *rule = td_rules_at(v->l->rules, e->i_rule);
        const char *op = td_lint_kwarg(rule, "generate_op");
        const bool dense = op && strcmp(op, "KLinearTorch") == 0;
        if (!strstr(td_lint_last_part(e->class_name), "Linear") || dense) continue;
        /* Attention on Intel GPUs has no absorbed form. */
        if (td_lint_is_device(td_lint_kwarg(rule, "generate_device"), "xpu")) continue;
        char above[1001];
        memcpy(above, e->node->name, n - n_end);
        above[n - n_end] = 0;
        const td_rules_entry *attention = td_rules_find(&v->result, above);
        if (!attention || attention->i_rule < 0 || strcmp(attention->class_name, "default") == 0)
            continue;
        i_last = e->i_rule;
        td_lint_add(
            v->l,
            (td_lint_finding){
                .line = line_of_name(rule),
                .i_rule = e->i_rule,
                .code = "kv-b-proj",
                .what = td_lint_say(v->l, "wins '%.200s' for %s", e->node->name,
                                    op ? op : td_lint_last_part(e->class_name)),
                .why = td_lint_say(v->l,
                                   "%s slices this weight (absorbed form), which needs it "
                                   "as it is in the file",
                                   td_lint_last_part(attention->class_name)),
                .fix = "leave it out: \"^model\\\\.layers\\\\.(?!.*self_attn\\\\.kv_b_proj).*$\""});
    }
}

/* ---- all ---- */

static td_status look(view *v) {
    linter *l = v->l;
    const int n = td_rules_n(l->rules);
    v->reach = td_calloc((size_t)n, sizeof *v->reach);
    v->by_name = td_calloc((size_t)n, sizeof *v->by_name);
    v->escaped = td_calloc((size_t)n, sizeof *v->escaped);
    if (!v->reach || !v->by_name || !v->escaped)
        return td_fail(l->err, TD_ERR_NOMEM, "out of memory: lint");
    TD_TRY(td_rules_resolve(l->rules, l->tree, &v->options, &v->result, l->err));
    TD_TRY(td_rules_count(l->rules, l->tree, &v->options, &v->result, v->reach, l->err));
    TD_TRY(count_variants(v, false, v->by_name));
    TD_TRY(count_variants(v, true, v->escaped));
    for (int i = 0; i < n; i++) {
        lint_useless(v, i);
        lint_dots(v, i);
        lint_experts(v, i);
    }
    lint_kv_b_proj(v);
    TD_TRY(td_lint_layers(l, &v->result));
    return l->status;
}

void td_lint_tree(linter *l) {
    view v = {
        .l = l, .options = {.lenient = true, .skip_broken = true}
    };
    td_err *err = l->err, why = {0};
    l->err = &why;
    const td_status status = look(&v);
    l->err = err;
    int line;
    const char *text = td_lint_message(td_rules_path(l->rules), &why, &line);
    if (status == TD_ERR_LIMIT && l->status == TD_OK) /* a pattern that takes too long */
        td_lint_add(l, (td_lint_finding){.line = line,
                                         .i_rule = -1,
                                         .is_error = true,
                                         .code = "too-slow",
                                         .what = td_lint_say(l, "%s", text),
                                         .why = "matching would take very long",
                                         .fix = "write a pattern without nested repetitions"});
    else if (status != TD_OK)
        l->status = td_fail(err, status, "%s", why.msg);
    td_rules_result_clear(&v.result);
    td_free(v.reach);
    td_free(v.by_name);
    td_free(v.escaped);
}
