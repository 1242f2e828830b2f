/* main.c - `tandem COMMAND ...`: finds the command, parses its options, runs it. */
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "cli/cmd.h"
#include "cli/out.h"

static const td_cmd *const commands[] = {
    &td_cmd_run,        &td_cmd_inspect,    &td_cmd_tokenize, &td_cmd_template,
    &td_cmd_logits,     &td_cmd_perplexity, &td_cmd_bench,    &td_cmd_quantize,
    &td_cmd_local_chat, &td_cmd_plan,       &td_cmd_rules,    &td_cmd_doctor,
};
enum { N_COMMAND = sizeof commands / sizeof commands[0] };

static void print_help(void) {
    td_out_text("usage: tandem COMMAND ...\n\nRuns large language models.\n\n");
    for (int i = 0; i < N_COMMAND; i++) {
        const char *summary = commands[i]->spec->summary;
        td_out_printf("  %-12s %.*s\n", commands[i]->spec->command, (int)strcspn(summary, ".:;"),
                      summary);
    }
    td_out_text("\n  --version    print the version, the build and the CPU level in use\n"
                "  --help       print this; 'tandem COMMAND --help' says more\n");
}

static void print_version(void) {
    td_out_printf("tandem %s\n", td_version());
    td_out_printf("build: %s %s, %s%s\n",
#ifdef __clang__
                  "clang", __clang_version__,
#else
                  "gcc", __VERSION__,
#endif
#ifdef NDEBUG
                  "without assertions",
#else
                  "with assertions",
#endif
#ifdef TD_FAULTS
                  ", with fault injection"
#else
                  ""
#endif
    );
    td_out_printf("CPU level: %s (built in: %s)\n", td_cpu_level(), td_cpu_levels());
}

static int print_command_help(const td_cmd *cmd) {
    td_strbuf text = {0};
    td_options_help(cmd->spec, &text);
    td_err err;
    const td_status status = td_strbuf_check(&text, "help", &err);
    if (status == TD_OK) td_out_write(text.text, text.n);
    td_strbuf_clear(&text);
    return status == TD_OK ? TD_EXIT_OK : td_cmd_fail(&err);
}

static int run_command(const td_cmd *cmd, int argc, const char *const *argv) {
    const td_option_spec *all[N_COMMAND];
    for (int i = 0; i < N_COMMAND; i++) all[i] = commands[i]->spec;
    char *config = NULL;
    td_strbuf config_name = {0};
    td_options o = {0};
    td_err err;
    td_status status = td_option_read_config(&config, &config_name, &err);
    if (status == TD_OK)
        status = td_options_parse(&o,
                                  &(td_option_input){.spec = cmd->spec,
                                                     .argc = argc,
                                                     .argv = argv,
                                                     .config = config,
                                                     .config_name = config_name.text,
                                                     .all = all,
                                                     .n_all = N_COMMAND},
                                  &err);
    td_free(config);
    td_strbuf_clear(&config_name);
    if (status == TD_ERR_ARGUMENT) return td_cmd_usage("%s", err.msg);
    if (status != TD_OK) return td_cmd_fail(&err);
    const int code = o.help ? print_command_help(cmd) : cmd->main(&o);
    td_options_clear(&o);
    return code;
}

/* '_' and '-' are the same, as in options. */
static bool is_command(const char *word, const char *name) {
    while (*name && (*word == *name || (*word == '-' && *name == '_'))) word++, name++;
    return *word == *name;
}

static int dispatch(int argc, const char *const *argv) {
    if (argc == 0) {
        print_help();
        return TD_EXIT_USAGE;
    }
    const char *names[N_COMMAND];
    for (int i = 0; i < N_COMMAND; i++) {
        names[i] = commands[i]->spec->command;
        if (is_command(argv[0], names[i])) return run_command(commands[i], argc - 1, argv + 1);
    }
    if (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0 ||
        strcmp(argv[0], "help") == 0) {
        for (int i = 0; argc > 1 && i < N_COMMAND; i++)
            if (is_command(argv[1], names[i])) return print_command_help(commands[i]);
        print_help();
        return TD_EXIT_OK;
    }
    if (strcmp(argv[0], "--version") == 0 || strcmp(argv[0], "version") == 0) {
        print_version();
        return TD_EXIT_OK;
    }
    const char *near = td_option_nearest(argv[0], names, N_COMMAND);
    if (near) return td_cmd_usage("unknown command '%s', did you mean '%s'?", argv[0], near);
    return td_cmd_usage("unknown command '%s'; 'tandem --help' lists them", argv[0]);
}

int main(int argc, char **argv) {
    /* A closed pipe is an error of write(), see out.h, and not our death. */
    signal(SIGPIPE, SIG_IGN);
    /* For line editing alone: numbers stay as the C locale has them. */
    setlocale(LC_CTYPE, "");
    if (MB_CUR_MAX == 1) setlocale(LC_CTYPE, "C.UTF-8");
    int code = dispatch(argc > 0 ? argc - 1 : 0, (const char *const *)argv + (argc > 0));
    if (!td_out_finish() && code == TD_EXIT_OK) code = TD_EXIT_FAILURE;
    return code;
}
