/* cmd_rules.c - `tandem rules`: what is wrong in a rule file, and the rule files that come along.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/filemap.h"
#include "cli/cmd.h"
#include "cli/out.h"
#include "cli/plan_weights.h"
#include "plan/module_list.h"
#include "plan/rules_builtin.h"
#include "plan/rules_lint.h"
#include "plan/tree_model.h"

/* clang-format off */
static const td_option rows[] = {
    {.name = "modules", .type = TD_OPTION_STRING, .value = "FILE",
     .help = "lint: the modules to match in place of a model's, a name and a class per line"},
    {.name = "json", .type = TD_OPTION_BOOL,
     .help = "lint: print JSON"},
};
/* clang-format on */
static const td_option_group group = {"Rules", rows, 2};

static const td_option_spec spec = {
    .command = "rules",
    .arguments = "lint FILE [--model MODEL] | show [NAME]",
    .summary =
        "Looks through a rule file, or shows those that come with the program. 'lint' tells what "
        "is wrong or likely not meant in FILE, line by line, with a fix; with a model, also rules "
        "that win none of its modules and layers that no device range covers. It exits with 1 if "
        "it finds something. 'show' lists the files, or prints one.",
    .groups = {&td_cmd_model_options, &group, &td_cmd_talk_options},
    .min_positional = 1,
    .max_positional = 2,
};

/* ---- show ---- */

static int show(const char *name) {
    int n;
    const td_rules_builtin *all = td_rules_builtins(&n);
    const char *names[64];
    for (int i = 0; i < n; i++) {
        const char *text = all[i].text;
        if (name && strcmp(all[i].name, name) == 0) {
            td_out_write(text, all[i].n_text);
            return TD_EXIT_OK;
        }
        if (i < 64) names[i] = all[i].name;
        if (name) continue;
        /* The first line of a file says what it is for. */
        td_out_printf("%-14s ", all[i].name);
        td_out_write(text + 2, strcspn(text + 2, "\n"));
        td_out_text("\n");
    }
    if (!name) return TD_EXIT_OK;
    const char *near = td_option_nearest(name, names, n < 64 ? n : 64);
    if (near) return td_cmd_usage("no rules are called '%s', did you mean '%s'?", name, near);
    return td_cmd_usage("no rules are called '%s'; 'tandem rules show' lists them", name);
}

/* ---- lint ---- */

/* Lifetime: the command. */
typedef struct job {
    const td_options *o;
    const char *path;
    td_checkpoint *ckpt; /* owned, as all below */
    td_model *model;
    td_tree tree;
    td_lint lint;
} job;

static td_status read_tree(job *j, td_err *err) {
    const char *modules = td_options_string(j->o, "modules");
    const char *model = td_options_string(j->o, "model");
    const char *taken;
    if (modules) return td_module_list_load(&j->tree, modules, err);
    if (!model) return TD_OK;
    TD_TRY(td_checkpoint_open(&j->ckpt, model, err));
    if (td_checkpoint_n_tensor(j->ckpt) > 0)
        TD_TRY(td_model_open(&j->model, j->ckpt, NULL, err));
    else
        TD_TRY(td_plan_open_assumed(&j->model, j->ckpt, NULL, &taken, err));
    return td_tree_of_model(&j->tree, NULL, j->model, err);
}

static void print_json_string(const char *key, const char *text) {
    td_out_printf(", \"%s\": ", key);
    td_out_json(text, strlen(text));
}

static void print_json(const job *j) {
    td_out_text("[");
    for (int i = 0; i < j->lint.n_finding; i++) {
        const td_lint_finding *f = &j->lint.findings[i];
        td_out_printf("%s\n {\"line\": %d, \"rule\": ", i > 0 ? "," : "", f->line);
        if (f->i_rule >= 0)
            td_out_printf("%d", f->i_rule + 1);
        else
            td_out_text("null");
        print_json_string("severity", f->is_error ? "error" : "warning");
        print_json_string("code", f->code);
        print_json_string("what", f->what);
        print_json_string("why", f->why);
        print_json_string("fix", f->fix);
        td_out_text("}");
    }
    td_out_text(j->lint.n_finding > 0 ? "\n]\n" : "]\n");
}

/* Quoted parts of the file may hold control codes: line by line through td_out_plain. */
static td_status print_text(const job *j, td_err *err) {
    td_strbuf text = {0};
    td_lint_text(&j->lint, j->path, &text);
    const td_status status = td_strbuf_check(&text, "findings", err);
    const char *line = text.text ? text.text : "";
    while (status == TD_OK && *line) {
        const size_t n = strcspn(line, "\n");
        td_out_plain(line, n, 0);
        td_out_text("\n");
        line += n + (line[n] == '\n');
    }
    td_strbuf_clear(&text);
    return status;
}

static td_status lint(job *j, td_err *err) {
    char *text;
    size_t n;
    TD_TRY(read_tree(j, err));
    TD_TRY(td_file_read(j->path, (size_t)64 << 20, &text, &n, err));
    const td_tree *tree = j->tree.root ? &j->tree : NULL;
    const td_status status = td_rules_lint_text(text, n, j->path, tree, &j->lint, err);
    td_free(text);
    TD_TRY(status);
    if (td_options_bool(j->o, "json")) {
        print_json(j);
        return TD_OK;
    }
    return print_text(j, err);
}

static int lint_main(const td_options *o) {
    job j = {.o = o, .path = o->positional[1]};
    td_err err;
    if (!td_cmd_open_log(o)) return TD_EXIT_FAILURE;
    td_tree_init(&j.tree);
    const td_status status = lint(&j, &err);
    const bool clean = j.lint.n_finding == 0;
    td_lint_clear(&j.lint);
    td_tree_clear(&j.tree);
    td_model_close(j.model);
    td_checkpoint_close(j.ckpt);
    if (status != TD_OK) return td_cmd_close_log(td_cmd_fail(&err));
    return td_cmd_close_log(clean ? TD_EXIT_OK : TD_EXIT_FAILURE);
}

static int rules_main(const td_options *o) {
    const char *verb = o->n_positional > 0 ? o->positional[0] : "";
    const char *name = o->n_positional > 1 ? o->positional[1] : NULL;
    if (strcmp(verb, "show") == 0) return show(name);
    if (strcmp(verb, "lint") == 0 && name) return lint_main(o);
    if (strcmp(verb, "lint") == 0)
        return td_cmd_usage("an argument is missing, wanted: tandem rules lint FILE");
    return td_cmd_usage("'%s' is nothing that rules can do, wanted lint or show", verb);
}

const td_cmd td_cmd_rules = {&spec, rules_main};
