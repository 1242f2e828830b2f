/* rules_build.c - from the values of a file to its rules; see rules_int.h. */
#include <string.h>

#include "base/alloc.h"
#include "plan/rules_int.h"

/* What is wrong first, in the order that KTransformers looks, is what it would stop at. */
static void give_up(td_rule *rule, int stage, int line, const char *what) {
    if (rule->broken) return;
    rule->broken = what;
    rule->broken_line = line;
    rule->broken_stage = stage;
}

static void take_match(td_rule *rule, const td_rule_value *match) {
    if (!match) {
        give_up(rule, TD_RULES_STAGE_MATCH, rule->line, "the rule has no 'match'");
        return;
    }
    if (match->type != TD_RULE_MAP) {
        give_up(rule, TD_RULES_STAGE_MATCH, match->line,
                "'match' is no map, wanted 'class', 'name' or both");
        return;
    }
    const td_rule_value *class_value = td_rule_get(match, "class");
    const td_rule_value *name = td_rule_get(match, "name");
    if (!class_value && !name)
        give_up(rule, TD_RULES_STAGE_MATCH, match->line,
                "'match' has neither 'class' nor 'name', wanted at least one");
    rule->match_class = td_rule_string(class_value);
    if (class_value && !rule->match_class)
        give_up(rule, TD_RULES_STAGE_CLASS, class_value->line,
                "'match.class' is no string, wanted the dotted name of a class");
    if (name && name->type == TD_RULE_STRING)
        rule->match_name = name;
    else if (name)
        give_up(rule, TD_RULES_STAGE_NAME, name->line,
                "'match.name' is no string, wanted a regular expression");
}

static void take_replace(td_rule *rule, const td_rule_value *replace,
                         const td_rule_value *no_kwargs) {
    if (!replace || replace->type != TD_RULE_MAP) {
        give_up(rule, TD_RULES_STAGE_REPLACE, replace ? replace->line : rule->line,
                replace ? "'replace' is no map, wanted 'class', 'kwargs' or both"
                        : "the rule has no 'replace'");
        return;
    }
    const td_rule_value *class_value = td_rule_get(replace, "class");
    const td_rule_value *kwargs = td_rule_get(replace, "kwargs");
    rule->has_replace_class = class_value != NULL;
    rule->replace_class = class_value ? td_rule_string(class_value) : "default";
    if (!rule->replace_class)
        give_up(rule, TD_RULES_STAGE_REPLACE, class_value->line,
                "'replace.class' is no string, wanted the dotted name of a class or \"default\"");
    if (!kwargs)
        rule->kwargs = no_kwargs;
    else if (kwargs->type == TD_RULE_MAP)
        rule->kwargs = kwargs;
    else
        give_up(rule, TD_RULES_STAGE_REPLACE, kwargs->line,
                "'replace.kwargs' is no map, wanted names and values");
    rule->device = td_rule_get(replace, "device");
}

static void take_rule(td_rule *rule, const td_rule_value *source, const td_rule_value *no_kwargs) {
    *rule = (td_rule){.line = source->line, .source = source, .recursive = true};
    if (source->type != TD_RULE_MAP) {
        give_up(rule, TD_RULES_STAGE_MATCH, source->line,
                "the rule is no map, wanted 'match' and 'replace'");
        return;
    }
    take_match(rule, td_rule_get(source, "match"));
    take_replace(rule, td_rule_get(source, "replace"), no_kwargs);
    const td_rule_value *recursive = td_rule_get(source, "recursive");
    rule->has_recursive = recursive != NULL;
    if (recursive) rule->recursive = td_rule_is_true(recursive);
}

/* Numbers the distinct classes and patterns. */
static td_status number_strings(td_rules *rules, td_strings *classes, td_strings *patterns,
                                td_err *err) {
    for (int i = 0; i < rules->n_rule; i++) {
        const td_rule *rule = &rules->rules[i];
        rules->i_class[i] = rules->i_pattern[i] = -1;
        const char *name = rule->match_class;
        if (name) TD_TRY(td_strings_add(classes, name, strlen(name), &rules->i_class[i], err));
        const td_rule_value *pattern = rule->match_name;
        if (pattern)
            TD_TRY(td_strings_add(patterns, pattern->text, pattern->n_text, &rules->i_pattern[i],
                                  err));
    }
    rules->n_class = (int)classes->n;
    rules->n_pattern = (int)patterns->n;
    rules->class_names = td_arena_calloc(&rules->arena, classes->n, sizeof *rules->class_names);
    if (!rules->class_names) return td_fail(err, TD_ERR_NOMEM, "out of memory: rules");
    for (size_t i = 0; i < classes->n; i++) rules->class_names[i] = classes->texts[i];
    return TD_OK;
}

td_status td_rules_build(td_rules *rules, td_err *err) {
    const td_rule_value *document = rules->document;
    /* An empty file says nothing, and so does null. */
    const bool is_empty = !document || document->type == TD_RULE_NULL;
    if (!is_empty && document->type != TD_RULE_LIST)
        return td_fail(err, TD_ERR_FORMAT, "%s:%d: found %s, wanted a list of rules", rules->path,
                       document->line, td_rule_type_text(document->type));
    const int n = is_empty ? 0 : document->n_item;
    if (n > TD_RULES_MAX_RULES)
        return td_fail(err, TD_ERR_LIMIT, "%s:%d: %d rules, at most %d are read", rules->path,
                       document->items[TD_RULES_MAX_RULES]->line, n, TD_RULES_MAX_RULES);
    td_rule_value *no_kwargs = td_arena_calloc(&rules->arena, 1, sizeof *no_kwargs);
    rules->rules = td_arena_calloc(&rules->arena, (size_t)n, sizeof *rules->rules);
    rules->i_class = td_arena_calloc(&rules->arena, (size_t)n, sizeof *rules->i_class);
    rules->i_pattern = td_arena_calloc(&rules->arena, (size_t)n, sizeof *rules->i_pattern);
    if (!no_kwargs || !rules->rules || !rules->i_class || !rules->i_pattern)
        return td_fail(err, TD_ERR_NOMEM, "out of memory: rules");
    no_kwargs->type = TD_RULE_MAP;
    no_kwargs->n_value = 1;
    for (int i = 0; i < n; i++) take_rule(&rules->rules[i], document->items[i], no_kwargs);
    rules->n_rule = n;
    td_strings classes = {0}, patterns = {0};
    td_status status = number_strings(rules, &classes, &patterns, err);
    td_strings_clear(&classes);
    td_strings_clear(&patterns);
    return status == TD_OK ? td_patterns_create(rules, err) : status;
}

int td_rules_n(const td_rules *rules) { return rules->n_rule; }

const td_rule *td_rules_at(const td_rules *rules, int i) { return &rules->rules[i]; }

const char *td_rules_path(const td_rules *rules) { return rules->path; }

const td_rules_duplicate *td_rules_duplicates(const td_rules *rules, int *n) {
    *n = rules->n_duplicate;
    return rules->duplicates;
}
