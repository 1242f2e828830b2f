/* fuzz_options.c - any bytes as a command line, an environment and a config file.
 *
 * The input is cut at NUL bytes: up to eight words, the value of every environment variable, and
 * the rest is the config file. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* clang-format off */
static const td_option rows[] = {
    {.name = "int", .short_name = 'i', .type = TD_OPTION_INT, .min = -5, .max = 1e9, .def = "1",
     .value = "N", .env = "TANDEM_INT", .aliases = "--integer -int",
     .help = "h"},
    {.name = "float", .type = TD_OPTION_FLOAT, .max = 1, .value = "X", .env = "TANDEM_FLOAT",
     .help = "h"},
    {.name = "bool", .short_name = 'b', .type = TD_OPTION_BOOL, .env = "TANDEM_BOOL",
     .aliases = "-on !-off",
     .help = "h"},
    {.name = "text", .short_name = 't', .type = TD_OPTION_STRING, .value = "TEXT",
     .help = "h"},
    {.name = "word", .type = TD_OPTION_CHOICE, .value = "one|two|three", .env = "TANDEM_WORD",
     .help = "h"},
    {.name = "list", .type = TD_OPTION_LIST, .value = "TEXT", .env = "TANDEM_LIST",
     .help = "h"},
    {.name = "pair", .type = TD_OPTION_PAIR, .value = "A B",
     .help = "h"},
};
/* clang-format on */
static const td_option_group group = {"Group", rows, 7};
static const td_option_refusal refusals[] = {
    {"-x --refused", "it is refused"}
};
static const td_option_spec spec = {.command = "fuzz",
                                    .arguments = "WORDS",
                                    .summary = "Fuzzes.",
                                    .groups = {&group},
                                    .refusals = refusals,
                                    .n_refusal = 1,
                                    .max_positional = 3};
static const td_option_spec *const all[] = {&spec};

static const char *one_value(void *user, const char *name) {
    (void)name;
    return user;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum { N_WORD = 8 };
    char *copy = malloc(size + 1);
    if (!copy) return 0;
    if (size > 0) memcpy(copy, data, size);
    copy[size] = 0;
    const char *parts[N_WORD + 2]; /* words, environment, config */
    int n_part = 0;
    for (size_t at = 0; at <= size && n_part < N_WORD + 2; at += strlen(copy + at) + 1)
        parts[n_part++] = copy + at;
    td_options o;
    td_err err = {0};
    const td_status status = td_options_parse(
        &o,
        &(td_option_input){.spec = &spec,
                           .argc = n_part < N_WORD ? n_part : N_WORD,
                           .argv = parts,
                           .env = one_value,
                           .env_user = n_part > N_WORD ? (void *)(uintptr_t)parts[N_WORD] : NULL,
                           .config = n_part > N_WORD + 1 ? parts[N_WORD + 1] : NULL,
                           .config_name = "config",
                           .all = all,
                           .n_all = 1},
        &err);
    if (status == TD_OK) {
        /* What was accepted is in range. */
        const int64_t i = td_options_int(&o, "int");
        const double f = td_options_float(&o, "float");
        if (!o.help && (i < -5 || i > 1000000000 || !(f >= 0 && f <= 1))) abort();
        td_options_clear(&o);
    } else if (err.msg[0] == 0) {
        abort();
    }
    free(copy);
    return 0;
}
