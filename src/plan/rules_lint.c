/* rules_lint.c - collecting findings; see rules_lint.h. */
#include "plan/rules_lint.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/options.h"
#include "plan/rules_lint_int.h"

enum { MAX_FINDINGS = 10000 };

const char *td_lint_say(linter *l, const char *fmt, ...) {
    char text[1200];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    const char *copy = td_arena_strndup(&l->out->arena, text, strlen(text));
    if (!copy && l->status == TD_OK)
        l->status = td_fail(l->err, TD_ERR_NOMEM, "out of memory: findings");
    return copy ? copy : "";
}

/* Phrases may be of the rules, which do not live as long as the findings. */
static const char *keep(linter *l, const char *text) {
    return text ? td_lint_say(l, "%s", text) : NULL;
}

void td_lint_add(linter *l, td_lint_finding finding) {
    td_lint *out = l->out;
    if (l->status != TD_OK || out->n_finding == MAX_FINDINGS) return;
    finding.what = keep(l, finding.what);
    finding.why = keep(l, finding.why);
    finding.fix = keep(l, finding.fix);
    if (l->status != TD_OK) return;
    l->status = td_grow((void **)&out->findings, &l->cap, (size_t)out->n_finding + 1,
                        sizeof *out->findings, "findings", l->err);
    if (l->status == TD_OK) out->findings[out->n_finding++] = finding;
}

const char *td_lint_near(linter *l, const char *word, const char *const *words, int n,
                         const char *otherwise) {
    const char *near = td_option_nearest(word, words, n);
    return near ? td_lint_say(l, "did you mean '%s'?", near) : otherwise;
}

const char *td_lint_last_part(const char *dotted) {
    const char *dot = strrchr(dotted, '.');
    return dot ? dot + 1 : dotted;
}

bool td_lint_is_device(const char *device, const char *kind) {
    const size_t n = strlen(kind);
    return device && strncmp(device, kind, n) == 0 && (device[n] == 0 || device[n] == ':');
}

bool td_lint_same_device(const char *a, const char *b) {
    const size_t n = strcspn(a, ":"), m = strcspn(b, ":");
    if (n != m || strncmp(a, b, n) != 0) return false;
    return strcmp(a[n] ? a + n : ":0", b[n] ? b + n : ":0") == 0;
}

const char *td_lint_kwarg(const td_rule *rule, const char *key) {
    const char *text = rule->kwargs ? td_rule_string(td_rule_get(rule->kwargs, key)) : NULL;
    const char *modern = text ? td_rules_modern_name(text) : NULL;
    return modern ? modern : text;
}

static void lint_file(linter *l) {
    int n;
    const td_rules_duplicate *duplicates = td_rules_duplicates(l->rules, &n);
    for (int i = 0; i < n; i++)
        td_lint_add(
            l, (td_lint_finding){
                   .line = duplicates[i].line,
                   .i_rule = -1,
                   .code = "duplicate-key",
                   .what = td_lint_say(l, "'%.200s' stands here and in line %d of the same map",
                                       duplicates[i].key, duplicates[i].first_line),
                   .why = "the last one counts, without a word",
                   .fix = "remove one of the two; a new rule begins with '- '"});
    if (td_rules_n(l->rules) == 0)
        td_lint_add(l, (td_lint_finding){.line = 1,
                                         .i_rule = -1,
                                         .is_error = true,
                                         .code = "no-rules",
                                         .what = "the file has no rules",
                                         .why = "KTransformers stops at an empty file",
                                         .fix = "begin with '- match:'"});
}

static int by_line(const void *a, const void *b) {
    const td_lint_finding *x = a, *y = b;
    if (x->line != y->line) return x->line < y->line ? -1 : 1;
    const int order = strcmp(x->code, y->code);
    return order != 0 ? order : strcmp(x->what, y->what);
}

static td_status finish(linter *l) {
    td_lint *out = l->out;
    if (l->status != TD_OK) {
        td_lint_clear(out);
        return l->status;
    }
    if (out->n_finding > 0)
        qsort(out->findings, (size_t)out->n_finding, sizeof *out->findings, by_line);
    return TD_OK;
}

td_status td_rules_lint(const td_rules *rules, const td_tree *tree, td_lint *out, td_err *err) {
    *out = (td_lint){0};
    td_arena_init(&out->arena, 1 << 14);
    linter l = {.rules = rules, .tree = tree, .out = out, .err = err};
    lint_file(&l);
    for (int i = 0; i < td_rules_n(rules) && l.status == TD_OK; i++) td_lint_rule(&l, i);
    if (tree && tree->root && l.status == TD_OK) td_lint_tree(&l);
    return finish(&l);
}

/* ---- files that are no rules at all ---- */

const char *td_lint_message(const char *path, const td_err *why, int *line) {
    const size_t n = strlen(path);
    *line = 1;
    if (strncmp(why->msg, path, n) != 0 || why->msg[n] != ':') return why->msg;
    char *end;
    const long found = strtol(why->msg + n + 1, &end, 10);
    if (found <= 0 || end[0] != ':' || end[1] != ' ') return why->msg;
    *line = (int)found;
    return end + 2;
}

static void add_parse_error(linter *l, const char *path, const td_err *why) {
    int line;
    const char *text = td_lint_message(path, why, &line);
    const char *fix = "correct the YAML";
    if (strstr(text, "second document"))
        fix = "remove the line '---': one file is one list of rules";
    else if (strstr(text, "cannot start any token") || strstr(text, "tab"))
        fix = "indent with blanks: YAML allows no tabs there";
    else if (strstr(text, "UTF-8"))
        fix = "save the file as UTF-8";
    else if (strstr(text, "list of rules"))
        fix = "begin each rule with '- match:'";
    td_lint_add(l, (td_lint_finding){.line = line,
                                     .i_rule = -1,
                                     .is_error = true,
                                     .code = "not-readable",
                                     .what = td_lint_say(l, "%s", text),
                                     .why = "nothing of the file can be used",
                                     .fix = fix});
}

td_status td_rules_lint_text(const char *text, size_t n, const char *path, const td_tree *tree,
                             td_lint *out, td_err *err) {
    td_rules *rules;
    td_err why;
    const td_status status = td_rules_parse(&rules, text, n, path, &why);
    if (status == TD_OK) {
        const td_status linted = td_rules_lint(rules, tree, out, err);
        td_rules_free(rules);
        return linted;
    }
    if (status == TD_ERR_NOMEM) return td_fail(err, status, "%s", why.msg);
    *out = (td_lint){0};
    td_arena_init(&out->arena, 1 << 14);
    linter l = {.out = out, .err = err};
    add_parse_error(&l, path, &why);
    return finish(&l);
}

void td_lint_clear(td_lint *lint) {
    td_free(lint->findings);
    td_arena_clear(&lint->arena);
    *lint = (td_lint){0};
}

void td_lint_text(const td_lint *lint, const char *path, td_strbuf *out) {
    for (int i = 0; i < lint->n_finding; i++) {
        const td_lint_finding *f = &lint->findings[i];
        td_strbuf_addf(out, "%s:%d: %s: ", path, f->line, f->is_error ? "error" : "warning");
        if (f->i_rule >= 0) td_strbuf_addf(out, "rule %d: ", f->i_rule + 1);
        td_strbuf_addf(out, "%s [%s]\n", f->what, f->code);
        td_strbuf_addf(out, "    why: %s\n    fix: %s\n", f->why, f->fix);
    }
}
