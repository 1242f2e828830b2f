/* cmd_plan.c - `tandem plan`: where each module would go, what it takes and how fast it would be,
 * before a weight is read. */
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/outfile.h"
#include "cli/cmd.h"
#include "cli/out.h"
#include "cli/plan_weights.h"
#include "jobs/probe.h"
#include "plan/plan.h"
#include "plan/tree_model.h"

/* clang-format off */
static const td_option rows[] = {
    {.name = "rules", .type = TD_OPTION_STRING, .value = "FILE", .env = "TANDEM_RULES",
     .aliases = "--optimize-config-path --optimize-rule-path",
     .help = "place modules by the rules of this YAML file (KTransformers'); without it by defaults"},
    {.name = "rules-era", .type = TD_OPTION_CHOICE, .value = "v032|v012|v010", .def = "v032",
     .help = "read the rules as KTransformers did from v0.3.2, from v0.1.2 or from v0.1.0 on"},
    {.name = "strict", .type = TD_OPTION_BOOL,
     .help = "refuse rules that cannot run as written, in place of replacing"},
    {.name = "fit", .type = TD_OPTION_BOOL,
     .help = "without rules: as much as fits goes to the GPUs, routed experts last"},
    {.name = "write-rules", .type = TD_OPTION_STRING, .value = "FILE",
     .help = "write the plan as a rule file"},
    {.name = "explain", .type = TD_OPTION_STRING, .value = "MODULE",
     .help = "every rule tried on this module, such as model.layers.3.mlp.experts, and why it did "
             "or did not match"},
    {.name = "assume", .type = TD_OPTION_STRING, .value = "TYPE",
     .help = "of a folder without weights: the types they are taken to have, native or a mix of "
             "tandem quantize; unset: native if the configuration says how they are quantized, else "
             "Q4_K_M"},
    {.name = "ctx-size", .short_name = 'c', .type = TD_OPTION_INT, .min = 1, .max = 1 << 24,
     .def = "4096", .value = "N",
     .help = "positions of the context"},
    {.name = "json", .type = TD_OPTION_BOOL,
     .help = "print JSON"},
};
static const td_option machine_rows[] = {
    {.name = "gpu", .type = TD_OPTION_STRING, .value = "NAMES", .aliases = "--gpus",
     .help = "plan for these GPUs: t4, 2xa10, 1xt4,1x4090 ... or none; unset: those here"},
    {.name = "ram", .type = TD_OPTION_STRING, .value = "SIZE",
     .help = "plan for this much memory, such as 64G; unset: what is left here"},
    {.name = "cpu", .type = TD_OPTION_STRING, .value = "NAME",
     .help = "plan for this CPU, such as 2x6454s or epyc-9654; unset: the one here, measured"},
};
/* clang-format on */
static const td_option_group group = {"Plan", rows, 9};
static const td_option_group machine_group = {"Machine", machine_rows, 3};

static const td_option_spec spec = {
    .command = "plan",
    .arguments = "MODEL [options]",
    .summary =
        "Shows where each module of a model would go, by which operator and why, what each device "
        "has to hold and how fast it would be. MODEL is a GGUF file or a Hugging Face folder; its "
        "config.json alone is enough. No weight is read.",
    .groups = {&td_cmd_model_options, &group, &machine_group, &td_cmd_talk_options},
    .max_positional = 1,
};

/* Lifetime: the command. */
typedef struct job {
    const td_options *o;
    const char *path, *taken; /* the type assumed; NULL: the weights are there */
    td_checkpoint *ckpt;      /* owned, as all below */
    td_model *model;
    td_rules *rules;
    td_tree tree;
    td_hardware hardware;
    td_plan plan;
    td_strbuf text;
} job;

static td_status open_model(job *j, td_err *err) {
    const char *weights = td_cmd_weights(j->o, j->path), *type = td_options_string(j->o, "assume");
    if (weights)
        TD_TRY(td_checkpoint_open_with(&j->ckpt, j->path, weights, err));
    else
        TD_TRY(td_checkpoint_open(&j->ckpt, j->path, err));
    if (td_checkpoint_n_tensor(j->ckpt) > 0) return td_model_open(&j->model, j->ckpt, NULL, err);
    return td_plan_open_assumed(&j->model, j->ckpt, type, &j->taken, err);
}

static td_status get_hardware(job *j, td_err *err) {
    const td_hardware_request request = {.gpus = td_options_string(j->o, "gpu"),
                                         .ram = td_options_string(j->o, "ram"),
                                         .cpu = td_options_string(j->o, "cpu")};
    TD_TRY(td_hardware_get(&j->hardware, &request, err));
    td_probe_hardware(&j->hardware);
    return TD_OK;
}

static td_rules_options rules_options(const job *j) {
    static const td_rules_era eras[] = {TD_RULES_V032, TD_RULES_V012, TD_RULES_V010};
    return (td_rules_options){.era = eras[td_options_choice(j->o, "rules-era")]};
}

static td_status read_rules(job *j, td_err *err) {
    const char *path = td_options_string(j->o, "rules");
    if (!path) return TD_OK;
    TD_TRY(td_rules_load(&j->rules, path, err));
    return td_tree_of_model(&j->tree, NULL, j->model, err);
}

static td_status explain(job *j, const char *name, td_err *err) {
    td_rules_explanation explanation;
    const td_rules_options options = rules_options(j);
    if (!j->rules)
        return td_fail(err, TD_ERR_ARGUMENT,
                       "--explain needs --rules: without rules modules are "
                       "placed by defaults");
    TD_TRY(td_rules_explain(j->rules, &j->tree, &options, name, &j->tree.arena, &explanation, err));
    td_rules_explain_text(j->rules, &explanation, &j->text);
    return TD_OK;
}

/* ---- what is printed ---- */

static int terminal_width(void) {
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 40) return size.ws_col;
    return 110;
}

static void print_title(job *j) {
    td_model_counts counts;
    const td_string name = td_checkpoint_name(j->ckpt);
    if (td_model_count(j->model, &counts, NULL) != TD_OK) counts = (td_model_counts){0};
    td_strbuf_addf(&j->text, "%.*s: %.1f billion parameters, %.2f GiB of weights%s%s%s\n",
                   name.n < 80 ? (int)name.n : 80, name.text, (double)counts.n_parameter * 1e-9,
                   (double)counts.n_bytes / 1073741824.0, j->taken ? ", taken as " : "",
                   j->taken ? j->taken : "", j->taken ? ": the folder has none" : "");
}

static td_status write_rules(job *j, const char *path, td_err *err) {
    td_outfile file = {0};
    td_strbuf text = {0};
    td_plan_write_rules(&j->plan, &text);
    td_status status = td_strbuf_check(&text, "the rules", err);
    if (status == TD_OK) status = td_outfile_open(&file, path, err);
    if (status == TD_OK) status = td_outfile_write(&file, text.text, text.n, err);
    if (status == TD_OK)
        status = td_outfile_commit(&file, err);
    else
        td_outfile_abort(&file);
    td_strbuf_clear(&text);
    return status;
}

static td_status make_plan(job *j, td_err *err) {
    const td_plan_options options = {.model = j->model,
                                     .hardware = &j->hardware,
                                     .rules = j->rules,
                                     .tree = &j->tree,
                                     .rules_options = rules_options(j),
                                     .strict = td_options_bool(j->o, "strict"),
                                     .fit = td_options_bool(j->o, "fit"),
                                     .n_ctx = (int)td_options_int(j->o, "ctx-size")};
    const char *path = td_options_string(j->o, "write-rules");
    if (options.fit && j->rules)
        return td_fail(err, TD_ERR_ARGUMENT, "--fit and --rules exclude each other");
    TD_TRY(td_plan_make(&j->plan, &options, err));
    if (path) TD_TRY(write_rules(j, path, err));
    if (td_options_bool(j->o, "json")) {
        td_plan_print_json(&j->plan, &j->text);
        return TD_OK;
    }
    print_title(j);
    td_plan_print(&j->plan, terminal_width(), &j->text);
    return TD_OK;
}

static td_status plan(job *j, td_err *err) {
    const char *module = td_options_string(j->o, "explain");
    TD_TRY(open_model(j, err));
    TD_TRY(read_rules(j, err));
    if (module) {
        TD_TRY(explain(j, module, err));
    } else {
        TD_TRY(get_hardware(j, err));
        TD_TRY(make_plan(j, err));
    }
    TD_TRY(td_strbuf_check(&j->text, "the plan", err));
    td_out_write(j->text.text, j->text.n);
    return TD_OK;
}

static int plan_main(const td_options *o) {
    job j = {.o = o};
    int i_next;
    td_err err;
    if (!td_cmd_take_model(o, 1, &j.path, &i_next)) return TD_EXIT_USAGE;
    if (!td_cmd_open_log(o)) return TD_EXIT_FAILURE;
    td_tree_init(&j.tree);
    const td_status status = plan(&j, &err);
    td_strbuf_clear(&j.text);
    td_plan_clear(&j.plan);
    td_tree_clear(&j.tree);
    td_rules_free(j.rules);
    td_model_close(j.model);
    td_checkpoint_close(j.ckpt);
    if (status == TD_OK) return td_cmd_close_log(TD_EXIT_OK);
    return td_cmd_close_log(status == TD_ERR_ARGUMENT ? td_cmd_usage("%s", err.msg)
                                                      : td_cmd_fail(&err));
}

const td_cmd td_cmd_plan = {&spec, plan_main};
