/* rules_match.c - the two tests of a rule: class and name.
 *
 * Patterns are PCRE2's, compiled with the file and turned into machine code once they are used
 * often.  Nothing is without a bound: one match has a limit of steps, and a matcher one of work in
 * all, so that no file keeps anybody waiting long. */
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/alloc.h"
#include "plan/rules_int.h"

/* Steps of one match: most names take a few dozen.  Those that take more than FEW are matched again
 * with MANY. */
#define FEW_STEPS    5000u
#define MANY_STEPS   200000u
#define HEAP_KIB     16384u
#define USES_FOR_JIT 64

/* What a matcher may cost: a test by class or prefix 1, a match 16, a long match a million. */
#define WORK_TRY   1u
#define WORK_MATCH 16u
#define WORK_LONG  1000000u
#define WORK_MAX   1000000000u

struct td_pattern {
    pcre2_code *code;   /* owned; NULL: does not compile */
    const char *prefix; /* what every match begins with, at the front of the name; in the arena */
    size_t n_prefix;
};

struct td_rules_matcher {
    const td_rules *rules;    /* borrowed */
    td_rules_options options; /* borrowed strings */
    td_strings node_classes;  /* of the tree */
    uint8_t **is_a;           /* [node class][rules->n_class]: 0 not asked yet, 1 yes, 2 no */
    uint8_t *known;           /* [rules->n_class], the same */
    pcre2_general_context *general;
    pcre2_match_context *context;
    pcre2_match_data *data;
    pcre2_code **jit; /* [rules->n_pattern]: copies in machine code */
    int *n_use;       /* [rules->n_pattern] */
    uint64_t work;
    const td_tree_node *node; /* the last one, and its class */
    int i_node_class;
};

static void *pcre_malloc(size_t bytes, void *user) {
    (void)user;
    return td_malloc(bytes);
}

static void pcre_free(void *p, void *user) {
    (void)user;
    td_free(p);
}

/* ---- patterns ---- */

static td_status compile(const char *pattern, size_t n, pcre2_general_context *general,
                         pcre2_code **out, td_err *err) {
    td_strbuf translated = {0};
    td_status status = td_rules_translate(pattern, n, &translated, err);
    pcre2_compile_context *context = pcre2_compile_context_create(general);
    if (status == TD_OK && !context)
        status = td_fail(err, TD_ERR_NOMEM, "out of memory for a pattern");
    if (status == TD_OK) {
        pcre2_set_newline(context, PCRE2_NEWLINE_LF);
        int code = 0;
        PCRE2_SIZE at = 0;
        *out = pcre2_compile((PCRE2_SPTR)(translated.text ? translated.text : ""), translated.n,
                             PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &code, &at, context);
        PCRE2_UCHAR why[128] = {0};
        if (!*out) pcre2_get_error_message(code, why, sizeof why);
        if (!*out && code == PCRE2_ERROR_HEAP_FAILED)
            status = td_fail(err, TD_ERR_NOMEM, "out of memory for a pattern");
        else if (!*out)
            status = td_fail(err, TD_ERR_UNSUPPORTED, "the pattern does not compile: %s",
                             (const char *)why);
    }
    pcre2_compile_context_free(context);
    td_strbuf_clear(&translated);
    return status;
}

/* Whether '|' stands outside of all groups, so that the front does not speak for the whole. */
static bool has_alternatives(const char *p, size_t n) {
    int depth = 0;
    bool in_set = false;
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '\\') {
            i++;
        } else if (in_set) {
            in_set = p[i] != ']';
        } else if (p[i] == '[') {
            in_set = true;
            if (i + 1 < n && p[i + 1] == '^') i++;
            if (i + 1 < n && p[i + 1] == ']') i++;
        } else if (p[i] == '(') {
            depth++;
        } else if (p[i] == ')') {
            depth--;
        } else if (p[i] == '|' && depth == 0) {
            return true;
        }
    }
    return false;
}

/* The characters after '^' that stand for themselves; a quantifier takes the last one away. */
static td_status find_prefix(td_pattern *pattern, const char *p, size_t n, td_arena *arena,
                             td_err *err) {
    if (n == 0 || p[0] != '^' || has_alternatives(p, n)) return TD_OK;
    char *text = td_arena_alloc(arena, n);
    if (!text) return td_fail(err, TD_ERR_NOMEM, "out of memory for a pattern");
    size_t n_text = 0, n_before = 0, i = 1;
    while (i < n) {
        const char *meta = "^$.*+?()[]{}|\\";
        const bool escaped = p[i] == '\\' && i + 1 < n && p[i + 1] && strchr(meta, p[i + 1]);
        if (p[i] == 0 || (unsigned char)p[i] >= 0x80 || (!escaped && strchr(meta, p[i]))) break;
        n_before = n_text;
        text[n_text++] = p[escaped ? i + 1 : i];
        i += escaped ? 2 : 1;
    }
    /* A group may be a comment, with the quantifier behind it. */
    if (i < n && p[i] && strchr("*+?{(", p[i])) n_text = n_before;
    pattern->prefix = text;
    pattern->n_prefix = n_text;
    return TD_OK;
}

/* Gives the reason why a pattern does not compile to every rule that has it. */
static td_status break_rules(td_rules *rules, int i_pattern, const char *why, td_err *err) {
    const char *copy = td_arena_strndup(&rules->arena, why, strlen(why));
    if (!copy) return td_fail(err, TD_ERR_NOMEM, "out of memory: rules");
    for (int i = 0; i < rules->n_rule; i++) {
        td_rule *rule = &rules->rules[i];
        if (rules->i_pattern[i] != i_pattern) continue;
        if (rule->broken && rule->broken_stage < TD_RULES_STAGE_NAME) continue;
        rule->broken = copy;
        rule->broken_line = rule->match_name->line;
        rule->broken_stage = TD_RULES_STAGE_NAME;
    }
    return TD_OK;
}

/* Patterns that do not compile are collected by number, and their rules found in one pass each;
 * that is bounded, for beyond some of them nobody reads on. */
enum { MAX_BAD_PATTERNS = 100 };

static td_status create_patterns(td_rules *rules, pcre2_general_context *general, td_err *err) {
    int n_seen = 0, n_bad = 0;
    for (int i = 0; i < rules->n_rule; i++) {
        const int at = rules->i_pattern[i];
        if (at < n_seen) continue; /* none, or compiled already: numbers come in order */
        n_seen = at + 1;
        const td_rule_value *name = rules->rules[i].match_name;
        td_err why;
        const td_status status =
            compile(name->text, name->n_text, general, &rules->patterns[at].code, &why);
        if (status == TD_OK) {
            TD_TRY(find_prefix(&rules->patterns[at], name->text, name->n_text, &rules->arena, err));
        } else if (status != TD_ERR_UNSUPPORTED) {
            return td_fail(err, status, "%s", why.msg);
        } else {
            if (++n_bad > MAX_BAD_PATTERNS)
                return td_fail(err, TD_ERR_LIMIT, "%s:%d: more than %d patterns do not compile",
                               rules->path, name->line, MAX_BAD_PATTERNS);
            TD_TRY(break_rules(rules, at, why.msg, err));
        }
    }
    return TD_OK;
}

td_status td_patterns_create(td_rules *rules, td_err *err) {
    rules->patterns = td_calloc((size_t)rules->n_pattern, sizeof *rules->patterns);
    if (!rules->patterns) return td_fail(err, TD_ERR_NOMEM, "out of memory: patterns");
    pcre2_general_context *general = pcre2_general_context_create(pcre_malloc, pcre_free, NULL);
    const td_status status = general ? create_patterns(rules, general, err)
                                     : td_fail(err, TD_ERR_NOMEM, "out of memory: patterns");
    pcre2_general_context_free(general);
    return status;
}

void td_patterns_free(td_rules *rules) {
    for (int i = 0; rules->patterns && i < rules->n_pattern; i++)
        pcre2_code_free(rules->patterns[i].code);
    td_free(rules->patterns);
    rules->patterns = NULL;
}

td_status td_rules_search(const char *pattern, size_t n_pattern, const char *text, bool *found,
                          td_err *err) {
    pcre2_code *code = NULL;
    TD_TRY(compile(pattern, n_pattern, NULL, &code, err));
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    pcre2_match_context *context = pcre2_match_context_create(NULL);
    td_status status = TD_OK;
    if (data && context) {
        pcre2_set_match_limit(context, MANY_STEPS);
        pcre2_set_heap_limit(context, HEAP_KIB);
        const int rc = pcre2_match(code, (PCRE2_SPTR)text, strlen(text), 0, 0, data, context);
        *found = rc >= 0;
        if (rc < 0 && rc != PCRE2_ERROR_NOMATCH)
            status = td_fail(err, TD_ERR_LIMIT, "the pattern takes too many steps");
    } else {
        status = td_fail(err, TD_ERR_NOMEM, "out of memory for a pattern");
    }
    pcre2_match_context_free(context);
    pcre2_match_data_free(data);
    pcre2_code_free(code);
    return status;
}

/* ---- the matcher ---- */

void td_rules_matcher_free(td_rules_matcher *m) {
    if (!m) return;
    for (size_t i = 0; m->is_a && i < m->node_classes.n; i++) td_free(m->is_a[i]);
    for (int i = 0; m->jit && i < m->rules->n_pattern; i++) pcre2_code_free(m->jit[i]);
    td_free(m->is_a);
    td_free(m->known);
    td_free(m->jit);
    td_free(m->n_use);
    td_strings_clear(&m->node_classes);
    pcre2_match_data_free(m->data);
    pcre2_match_context_free(m->context);
    pcre2_general_context_free(m->general);
    td_free(m);
}

/* The class names in a tree, whose depth is anybody's guess: no recursion. */
static td_status collect_classes(td_rules_matcher *m, const td_tree *tree, td_err *err) {
    const td_tree_node **stack = NULL;
    size_t n = 0, cap = 0;
    td_status status = td_grow((void **)&stack, &cap, 1, sizeof *stack, "modules", err);
    if (status == TD_OK && tree->root) stack[n++] = tree->root;
    while (status == TD_OK && n > 0) {
        const td_tree_node *node = stack[--n];
        int i;
        status =
            td_strings_add(&m->node_classes, node->class_name, strlen(node->class_name), &i, err);
        if (status == TD_OK)
            status = td_grow((void **)&stack, &cap, n + 2, sizeof *stack, "modules", err);
        if (status != TD_OK) break;
        if (node->next) stack[n++] = node->next;
        if (node->first_child) stack[n++] = node->first_child;
    }
    td_free(stack);
    return status;
}

static td_status create(td_rules_matcher *m, const td_tree *tree, td_err *err) {
    TD_TRY(collect_classes(m, tree, err));
    const size_t n_pattern = (size_t)m->rules->n_pattern;
    m->is_a = td_calloc(m->node_classes.n, sizeof *m->is_a);
    m->known = td_calloc((size_t)m->rules->n_class, 1);
    m->jit = td_calloc(n_pattern, sizeof *m->jit);
    m->n_use = td_calloc(n_pattern, sizeof *m->n_use);
    m->general = pcre2_general_context_create(pcre_malloc, pcre_free, NULL);
    m->context = m->general ? pcre2_match_context_create(m->general) : NULL;
    m->data = m->general ? pcre2_match_data_create(1, m->general) : NULL;
    if (!m->is_a || !m->known || !m->jit || !m->n_use || !m->context || !m->data)
        return td_fail(err, TD_ERR_NOMEM, "out of memory for matching rules");
    pcre2_set_heap_limit(m->context, HEAP_KIB);
    return TD_OK;
}

td_status td_rules_matcher_create(td_rules_matcher **out, const td_rules *rules,
                                  const td_tree *tree, const td_rules_options *options,
                                  td_err *err) {
    *out = NULL;
    td_rules_matcher *m = td_calloc(1, sizeof *m);
    if (!m) return td_fail_nomem(err, "matching rules", sizeof *m);
    m->rules = rules;
    if (options) m->options = *options;
    const td_status status = create(m, tree, err);
    if (status != TD_OK) {
        td_rules_matcher_free(m);
        return status;
    }
    *out = m;
    return TD_OK;
}

/* ---- class ---- */

/* A class is known if a table has it, or the tree, which is what KTransformers would have imported
 * it from. */
static bool is_known(td_rules_matcher *m, int i_class) {
    const char *name = m->rules->class_names[i_class];
    if (m->known[i_class] == 0) {
        bool known = td_class_is_known(name);
        for (size_t i = 0; i < m->node_classes.n && !known; i++)
            known = td_class_is_a(m->node_classes.texts[i], name);
        m->known[i_class] = known ? 1 : 2;
    }
    return m->known[i_class] == 1;
}

static td_status test_class(td_rules_matcher *m, int i_class, const td_tree_node *node, bool *is_a,
                            td_err *err) {
    if (node != m->node) {
        m->node = node;
        m->i_node_class =
            td_strings_find(&m->node_classes, node->class_name, strlen(node->class_name));
    }
    uint8_t **row = &m->is_a[m->i_node_class];
    if (!*row) {
        *row = td_calloc((size_t)m->rules->n_class, 1);
        if (!*row) return td_fail_nomem(err, "matching rules", (size_t)m->rules->n_class);
    }
    if ((*row)[i_class] == 0)
        (*row)[i_class] = td_class_is_a(node->class_name, m->rules->class_names[i_class]) ? 1 : 2;
    *is_a = (*row)[i_class] == 1;
    return TD_OK;
}

/* ---- name ---- */

static bool spend(td_rules_matcher *m, uint64_t work) {
    m->work += work;
    return m->work <= WORK_MAX;
}

static td_status fail_work(const td_rules_matcher *m, const td_rule *rule, td_err *err) {
    return td_fail(err, TD_ERR_LIMIT,
                   "%s:%d: the rules and their patterns are too much work for a tree of modules",
                   m->rules->path, rule->line);
}

/* The code to match with; the machine code's copy is refused where memory may not be executable. */
static const pcre2_code *code_of(td_rules_matcher *m, int i) {
    const pcre2_code *code = m->rules->patterns[i].code;
    if (m->n_use[i] > USES_FOR_JIT) return m->jit[i] ? m->jit[i] : code;
    if (m->n_use[i]++ < USES_FOR_JIT) return code;
    pcre2_code *copy = pcre2_code_copy(code);
    if (copy && pcre2_jit_compile(copy, PCRE2_JIT_COMPLETE) != 0) {
        pcre2_code_free(copy);
        copy = NULL;
    }
    m->jit[i] = copy;
    return copy ? copy : code;
}

static int search(td_rules_matcher *m, int i_pattern, const char *name, size_t n, uint32_t n_step) {
    const pcre2_code *code = code_of(m, i_pattern);
    pcre2_set_match_limit(m->context, n_step);
    int rc = pcre2_match(code, (PCRE2_SPTR)name, n, 0, 0, m->data, m->context);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
        rc = pcre2_match(code, (PCRE2_SPTR)name, n, 0, PCRE2_NO_JIT, m->data, m->context);
    return rc;
}

static td_status test_name(td_rules_matcher *m, int i_rule, const td_tree_node *node, bool *found,
                           td_err *err) {
    const td_rule *rule = &m->rules->rules[i_rule];
    const int i_pattern = m->rules->i_pattern[i_rule];
    const td_pattern *pattern = &m->rules->patterns[i_pattern];
    *found = false;
    if (pattern->n_prefix > 0 && strncmp(node->name, pattern->prefix, pattern->n_prefix) != 0)
        return TD_OK;
    const size_t n = strlen(node->name);
    if (!spend(m, WORK_MATCH)) return fail_work(m, rule, err);
    int rc = search(m, i_pattern, node->name, n, FEW_STEPS);
    if (rc == PCRE2_ERROR_MATCHLIMIT) {
        if (!spend(m, WORK_LONG)) return fail_work(m, rule, err);
        rc = search(m, i_pattern, node->name, n, MANY_STEPS);
    }
    *found = rc >= 0;
    if (rc >= 0 || rc == PCRE2_ERROR_NOMATCH) return TD_OK;
    if (rc == PCRE2_ERROR_NOMEMORY)
        return td_fail(err, TD_ERR_NOMEM, "out of memory for matching rules");
    return td_fail(err, TD_ERR_LIMIT,
                   "%s:%d: the pattern takes too many steps on '%.100s' (PCRE2 error %d)",
                   m->rules->path, rule->match_name->line, node->name, rc);
}

/* ---- both ---- */

td_status td_rules_matcher_try(td_rules_matcher *m, int i_rule, const td_tree_node *node,
                               td_rules_verdict *verdict, td_err *err) {
    const td_rule *rule = &m->rules->rules[i_rule];
    const int i_class = m->rules->i_class[i_rule];
    const int stage = rule->broken ? rule->broken_stage : TD_RULES_STAGE_REPLACE + 1;
    bool passed = true;
    *verdict = TD_RULES_BROKEN;
    if (!spend(m, WORK_TRY)) return fail_work(m, rule, err);
    if (stage <= TD_RULES_STAGE_CLASS) return TD_OK;
    *verdict = TD_RULES_CLASS_UNKNOWN;
    if (i_class >= 0 && !is_known(m, i_class)) return TD_OK;
    if (i_class >= 0) TD_TRY(test_class(m, i_class, node, &passed, err));
    *verdict = TD_RULES_CLASS_DIFFERS;
    if (!passed) return TD_OK;
    *verdict = TD_RULES_BROKEN;
    if (stage <= TD_RULES_STAGE_NAME) return TD_OK;
    if (rule->match_name) TD_TRY(test_name(m, i_rule, node, &passed, err));
    *verdict = !passed                           ? TD_RULES_NAME_NOT_FOUND
               : stage == TD_RULES_STAGE_REPLACE ? TD_RULES_BROKEN
                                                 : TD_RULES_MATCHES;
    return TD_OK;
}
