/* test_options.c - option tables: every source, every type, every way to get them wrong. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/options.h"

/* clang-format off */
static const td_option rows[] = {
    {.name = "ctx-size", .short_name = 'c', .type = TD_OPTION_INT, .min = -1, .max = 4096,
     .def = "16", .value = "N", .env = "TANDEM_CTX_SIZE", .aliases = "--ctx -ctx",
     .help = "positions"},
    {.name = "temp", .type = TD_OPTION_FLOAT, .max = 2, .def = "0.8", .value = "X",
     .env = "TANDEM_TEMP", .aliases = "--temperature",
     .help = "temperature"},
    {.name = "raw", .type = TD_OPTION_BOOL, .env = "TANDEM_RAW", .aliases = "-no-cnv !-cnv",
     .help = "no template"},
    {.name = "prompt", .short_name = 'p', .type = TD_OPTION_STRING, .value = "TEXT",
     .help = "text"},
    {.name = "on-full", .type = TD_OPTION_CHOICE, .def = "stop", .value = "stop|shift|error",
     .env = "TANDEM_ON_FULL",
     .help = "what then"},
    {.name = "think", .type = TD_OPTION_CHOICE, .value = "off|on",
     .help = "thinking"},
    {.name = "stop", .type = TD_OPTION_LIST, .value = "TEXT", .env = "TANDEM_STOP",
     .help = "stop texts"},
    {.name = "dump", .type = TD_OPTION_PAIR, .value = "PATTERN DIR",
     .help = "dump"},
    {.name = "use-graph", .type = TD_OPTION_BOOL, .value = "[True|False]",
     .help = "graph"},
};
/* clang-format on */
static const td_option_group group = {"Group", rows, 9};
/* clang-format off */
static const td_option other_rows[] = {
    {.name = "chunks", .type = TD_OPTION_INT, .max = 10, .value = "N", .env = "TANDEM_CHUNKS",
     .help = "chunks"},
};
/* clang-format on */
static const td_option_group other_group = {"Other", other_rows, 1};
static const td_option_refusal refusals[] = {
    {"-ngl --gpu-layers", "there is no GPU"}
};
static const td_option_spec spec = {.command = "run",
                                    .arguments = "MODEL",
                                    .summary = "Runs.",
                                    .groups = {&group},
                                    .refusals = refusals,
                                    .n_refusal = 1,
                                    .max_positional = 2};
static const td_option_spec other = {
    .command = "measure", .arguments = "MODEL", .summary = "Measures.", .groups = {&other_group}};
static const td_option_spec *const all[] = {&spec, &other};

/* Environment of a case: "NAME=value", NULL at the end. */
static const char *fake_env(void *user, const char *name) {
    const char *const *vars = user;
    const size_t n = strlen(name);
    for (; vars && *vars; vars++)
        if (strncmp(*vars, name, n) == 0 && (*vars)[n] == '=') return *vars + n + 1;
    return NULL;
}

enum { MAX_WORDS = 12 };

static td_status parse(td_options *o, const char *const *words, const char *const *env,
                       const char *config, td_err *err) {
    int n = 0;
    while (n < MAX_WORDS && words && words[n]) n++;
    return td_options_parse(o,
                            &(td_option_input){.spec = &spec,
                                               .argc = n,
                                               .argv = words,
                                               .env = fake_env,
                                               .env_user = (void *)(uintptr_t)env,
                                               .config = config,
                                               .config_name = "conf",
                                               .all = all,
                                               .n_all = 2},
                            err);
}

static void test_defaults(void **state) {
    (void)state;
    td_options o;
    td_err err;
    assert_int_equal(parse(&o, NULL, NULL, NULL, &err), TD_OK);
    assert_int_equal(td_options_int(&o, "ctx-size"), 16);
    assert_true(td_options_float(&o, "temp") == 0.8);
    assert_false(td_options_bool(&o, "raw"));
    assert_null(td_options_string(&o, "prompt"));
    assert_int_equal(td_options_choice(&o, "on-full"), 0);
    assert_int_equal(td_options_choice(&o, "think"), -1);
    assert_null(td_options_pair(&o, "dump"));
    int n;
    assert_null(td_options_list(&o, "stop", &n));
    assert_int_equal(n, 0);
    assert_int_equal(td_options_source(&o, "ctx-size"), TD_OPTION_UNSET);
    td_options_clear(&o);
    td_options_clear(&o);
}

static void test_spellings(void **state) {
    (void)state;
    const struct {
        const char *words[MAX_WORDS];
        int ctx;
        bool raw;
    } cases[] = {
        {{"--ctx-size", "5"},     5,  false},
        {{"--ctx-size=5"},        5,  false},
        {{"--ctx_size=5"},        5,  false},
        {{"-c", "5"},             5,  false},
        {{"-c5"},                 5,  false},
        {{"-c-1"},                -1, false},
        {{"-c", "-1"},            -1, false},
        {{"--ctx", "5"},          5,  false},
        {{"-ctx", "5"},           5,  false},
        {{"-c", "5", "--ctx=6"},  6,  false},
        {{"--raw"},               16, true },
        {{"--raw", "--no-raw"},   16, false},
        {{"--raw=off"},           16, false},
        {{"--raw=yes"},           16, true },
        {{"-no-cnv"},             16, true },
        {{"-no-cnv", "-cnv"},     16, false},
        {{"--no-raw", "-no_cnv"}, 16, true },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        td_options o;
        td_err err;
        assert_int_equal(parse(&o, cases[i].words, NULL, NULL, &err), TD_OK);
        assert_int_equal(td_options_int(&o, "ctx-size"), cases[i].ctx);
        assert_int_equal(td_options_bool(&o, "raw"), cases[i].raw);
        td_options_clear(&o);
    }
}

/* "--use_graph True", as Python's programs write it: only where the row says so, and only a word
 * that is on or off. */
static void test_word_after_switch(void **state) {
    (void)state;
    const struct {
        const char *words[MAX_WORDS];
        bool on;
        int n_positional;
    } cases[] = {
        {{"--use-graph"},                        true,  0},
        {{"--use_graph", "True"},                true,  0},
        {{"--use_graph", "False"},               false, 0},
        {{"--use_graph", "0"},                   false, 0},
        {{"--use_graph=False"},                  false, 0},
        {{"--use_graph", "Falsehood"},           true,  1},
        {{"--use_graph", "--raw"},               true,  0},
        {{"--no-use-graph", "True"},             false, 1},
        {{"--use_graph", "False", "--", "True"}, false, 1},
        {{"--raw", "True"},                      false, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        td_options o;
        td_err err;
        if (parse(&o, cases[i].words, NULL, NULL, &err) != TD_OK) fail_msg("%zu: %s", i, err.msg);
        assert_int_equal(td_options_bool(&o, "use-graph"), cases[i].on);
        assert_int_equal(o.n_positional, cases[i].n_positional);
        td_options_clear(&o);
    }
}

static void test_texts(void **state) {
    (void)state;
    const char *words[] = {"--stop", "a",  "m.gguf", "--stop=b=c", "--dump", "layers.*",
                           "out",    "-p", "--raw",  "--",         "-x",     NULL};
    td_options o;
    td_err err;
    assert_int_equal(parse(&o, words, NULL, NULL, &err), TD_OK);
    int n;
    const char *const *stops = td_options_list(&o, "stop", &n);
    assert_int_equal(n, 2);
    assert_string_equal(stops[0], "a");
    assert_string_equal(stops[1], "b=c");
    assert_string_equal(td_options_pair(&o, "dump")[0], "layers.*");
    assert_string_equal(td_options_pair(&o, "dump")[1], "out");
    /* A value is taken as it stands, even if it looks like an option. */
    assert_string_equal(td_options_string(&o, "prompt"), "--raw");
    assert_false(td_options_bool(&o, "raw"));
    assert_int_equal(o.n_positional, 2);
    assert_string_equal(o.positional[0], "m.gguf");
    assert_string_equal(o.positional[1], "-x");
    td_options_clear(&o);
}

static void test_long_list(void **state) {
    (void)state;
    td_options o;
    td_err err;
    char config[20 * 100] = "";
    for (int i = 0; i < 100; i++) sprintf(config + strlen(config), "stop = %d\n", i);
    assert_int_equal(parse(&o, NULL, NULL, config, &err), TD_OK);
    int n;
    const char *const *stops = td_options_list(&o, "stop", &n);
    assert_int_equal(n, 100);
    assert_string_equal(stops[0], "0");
    assert_string_equal(stops[99], "99");
    td_options_clear(&o);
}

static void test_help_needs_nothing_else(void **state) {
    (void)state;
    const char *words[] = {"--help", "--nonsense", NULL};
    const char *env[] = {"TANDEM_TEMP=abc", NULL};
    td_options o;
    td_err err;
    assert_int_equal(parse(&o, words, env, "nonsense", &err), TD_OK);
    assert_true(o.help);
    td_options_clear(&o);
    /* After "--" it is a word like any other. */
    const char *plain[] = {"--", "--help", NULL};
    assert_int_equal(parse(&o, plain, NULL, NULL, &err), TD_OK);
    assert_false(o.help);
    assert_string_equal(o.positional[0], "--help");
    td_options_clear(&o);
}

static void test_precedence(void **state) {
    (void)state;
    const char *config = "# a comment\n\n  temp = 0.1\nctx_size=1\r\non-full = shift\n"
                         "chunks = 3\nstop = \" x \"\n";
    const char *env[] = {"TANDEM_TEMP=0.2", "TANDEM_CTX_SIZE=2", "TANDEM_RAW=", NULL};
    const char *words[] = {"--temp", "0.3", NULL};
    td_options o;
    td_err err;
    assert_int_equal(parse(&o, words, env, config, &err), TD_OK);
    assert_true(td_options_float(&o, "temp") == 0.3);
    assert_int_equal(td_options_source(&o, "temp"), TD_OPTION_FROM_FLAG);
    assert_int_equal(td_options_int(&o, "ctx-size"), 2);
    assert_int_equal(td_options_source(&o, "ctx-size"), TD_OPTION_FROM_ENV);
    assert_int_equal(td_options_choice(&o, "on-full"), 1);
    assert_int_equal(td_options_source(&o, "on-full"), TD_OPTION_FROM_CONFIG);
    assert_int_equal(td_options_source(&o, "raw"), TD_OPTION_UNSET); /* empty is unset */
    int n;
    assert_string_equal(td_options_list(&o, "stop", &n)[0], " x ");
    td_options_clear(&o);
}

/* What goes wrong, and what the message must name. */
static void test_errors(void **state) {
    (void)state;
    const struct {
        const char *words[MAX_WORDS];
        const char *env[2];
        const char *config;
        const char *wanted[3];
    } cases[] = {
        {.words = {"-c", "4097"},                 .wanted = {"-c", "4097", "-1 to 4096"}         },
        {.words = {"-c", "99999999999999999999"}, .wanted = {"9999", "-1 to 4096"}               },
        {.words = {"--ctx", "12x"},               .wanted = {"--ctx", "'12x'", "whole number"}   },
        {.words = {"--ctx="},                     .wanted = {"--ctx", "''"}                      },
        {.words = {"--ctx", " 1"},                .wanted = {"' 1'"}                             },
        {.words = {"-c1x"},                       .wanted = {"-c", "'1x'"}                       },
        {.words = {"--temp", "2.1"},              .wanted = {"--temp", "2.1", "0 to 2"}          },
        {.words = {"--temp", "nan"},              .wanted = {"'nan'"}                            },
        {.words = {"--temp", "inf"},              .wanted = {"inf", "0 to 2"}                    },
        {.words = {"--temp", "1,5"},              .wanted = {"'1,5'"}                            },
        {.words = {"--on-full", "stopp"},         .wanted = {"'stopp'", "stop|shift|error"}      },
        {.words = {"--on-full", "sto"},           .wanted = {"'sto'"}                            },
        {.words = {"--raw=maybe"},                .wanted = {"--raw", "'maybe'"}                 },
        {.words = {"--no-raw=on"},                .wanted = {"--no-raw"}                         },
        {.words = {"--prompt"},                   .wanted = {"--prompt", "TEXT"}                 },
        {.words = {"--dump", "x"},                .wanted = {"--dump", "PATTERN DIR"}            },
        {.words = {"--dump=x", "y"},              .wanted = {"--dump"}                           },
        {.words = {"--tmp", "1"},                 .wanted = {"--tmp", "did you mean --temp?"}    },
        {.words = {"--temperatur", "1"},          .wanted = {"did you mean --temperature?"}      },
        {.words = {"--zzzzzzzzz"},                .wanted = {"--zzzzzzzzz", "tandem run --help"} },
        {.words = {"-ngl", "99"},                 .wanted = {"-ngl", "'run'", "there is no GPU"} },
        {.words = {"--gpu_layers=9"},             .wanted = {"there is no GPU"}                  },
        {.words = {"--chunks", "1"},              .wanted = {"--chunks", "'measure'"}            },
        {.words = {"a", "b", "c"},                .wanted = {"'c'", "tandem run MODEL"}          },
        {.env = {"TANDEM_TEMP=abc"},              .wanted = {"TANDEM_TEMP", "'abc'", "0 to 2"}   },
        {.env = {"TANDEM_RAW=2"},                 .wanted = {"TANDEM_RAW", "'2'"}                },
        {.config = "\ntemp = x\n",                .wanted = {"conf:2: temp", "'x'"}              },
        {.config = "temp\n",                      .wanted = {"conf:1: ", "'temp'", "key = value"}},
        {.config = "tempo = 1\n",                 .wanted = {"conf:1: ", "'tempo'"}              },
        {.config = "prompt = hi\n",               .wanted = {"'prompt'"}                         },
        {.config = " = 1",                        .wanted = {"conf:1: ", "''"}                   },
        {.config = "ctx-size = \"\"",             .wanted = {"conf:1: ctx-size", "''"}           },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        td_options o;
        td_err err = {0};
        assert_int_equal(parse(&o, cases[i].words, cases[i].env, cases[i].config, &err),
                         TD_ERR_ARGUMENT);
        for (int w = 0; w < 3 && cases[i].wanted[w]; w++)
            if (!strstr(err.msg, cases[i].wanted[w]))
                fail_msg("case %zu: '%s' is not in '%s'", i, cases[i].wanted[w], err.msg);
    }
}

static void test_missing_argument(void **state) {
    (void)state;
    const td_option_spec needy = {.command = "x",
                                  .arguments = "MODEL FILE",
                                  .groups = {&group},
                                  .min_positional = 2,
                                  .max_positional = 2};
    const char *words[] = {"m"};
    td_options o;
    td_err err;
    assert_int_equal(
        td_options_parse(
            &o, &(td_option_input){.spec = &needy, .argc = 1, .argv = words, .env = fake_env},
            &err),
        TD_ERR_ARGUMENT);
    assert_non_null(strstr(err.msg, "MODEL FILE"));
}

static void test_overlong_words(void **state) {
    (void)state;
    char word[5000];
    memset(word, 'a', sizeof word);
    memcpy(word, "--", 2);
    word[sizeof word - 1] = 0;
    const char *words[] = {word, NULL};
    td_options o;
    td_err err;
    assert_int_equal(parse(&o, words, NULL, NULL, &err), TD_ERR_ARGUMENT);
    assert_int_equal(parse(&o, NULL, NULL, word, &err), TD_ERR_ARGUMENT);
    word[3000] = '=';
    assert_int_equal(parse(&o, words, NULL, NULL, &err), TD_ERR_ARGUMENT);
    const char *value[] = {"-p", word, NULL};
    assert_int_equal(parse(&o, value, NULL, NULL, &err), TD_OK);
    assert_int_equal(strlen(td_options_string(&o, "prompt")), sizeof word - 1);
    td_options_clear(&o);
}

static void test_help_text(void **state) {
    (void)state;
    td_strbuf text = {0};
    td_options_help(&spec, &text);
    assert_int_equal(text.failed, TD_OK);
    const char *wanted[] = {"usage: tandem run MODEL",
                            "-c, --ctx-size N",
                            "TANDEM_CTX_SIZE",
                            "-1 to 4096",
                            "default 0.8",
                            "--temperature",
                            "--dump PATTERN DIR",
                            "--think off|on",
                            "--help"};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        if (!strstr(text.text, wanted[i])) fail_msg("'%s' is not in the help", wanted[i]);
    assert_null(strstr(text.text, "!-cnv"));
    for (const char *line = text.text; *line;) {
        const size_t n = strcspn(line, "\n");
        assert_true(n <= 80);
        line += n + (line[n] == '\n');
    }
    td_strbuf_clear(&text);
}

static void test_nearest(void **state) {
    (void)state;
    const char *words[] = {"--temp", "--top-k", "--top-p", "--threads"};
    const struct {
        const char *word, *wanted;
    } cases[] = {
        {"--tenp",       "--temp"   },
        {"--tmep",       "--temp"   },
        {"--topk",       "--top-k"  },
        {"--thread",     "--threads"},
        {"--thr",        "--threads"},
        {"--completely", NULL       },
        {"",             NULL       },
        {"-t",           NULL       },
        {"--top-k=",     "--top-k"  }
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *found = td_option_nearest(cases[i].word, words, 4);
        if (!cases[i].wanted)
            assert_null(found);
        else
            assert_string_equal(found, cases[i].wanted);
    }
    assert_null(td_option_nearest("--temp", NULL, 0));
}

static void test_environment_names(void **state) {
    (void)state;
    int n;
    const td_option_env_name *names = td_option_env_names(&n);
    assert_true(n > 0);
    for (int i = 0; i < n; i++) {
        assert_non_null(names[i].help);
        (void)td_option_env(names[i].name);
    }
    setenv("TD_CPU", "", 1);
    assert_null(td_option_env("TD_CPU"));
    setenv("TD_CPU", "avx2", 1);
    assert_string_equal(td_option_env("TD_CPU"), "avx2");
    unsetenv("TD_CPU");
}

static void expect_path(const char *wanted) {
    td_strbuf path = {0};
    assert_int_equal(td_option_user_path("XDG_CONFIG_HOME", "/.config", "config", &path),
                     wanted != NULL);
    if (wanted) assert_string_equal(path.text, wanted);
    td_strbuf_clear(&path);
}

static void test_user_path(void **state) {
    (void)state;
    setenv("HOME", "/home/me", 1);
    setenv("XDG_CONFIG_HOME", "/cfg", 1);
    expect_path("/cfg/tandem/config");
    setenv("XDG_CONFIG_HOME", "relative", 1); /* to be ignored, says the XDG specification */
    expect_path("/home/me/.config/tandem/config");
    unsetenv("XDG_CONFIG_HOME");
    expect_path("/home/me/.config/tandem/config");
    unsetenv("HOME");
    expect_path(NULL);
}

static void test_config_file(void **state) {
    (void)state;
    char folder[] = "/tmp/tandem-options-XXXXXX", sub[64], file[96];
    assert_non_null(mkdtemp(folder));
    snprintf(sub, sizeof sub, "%s/tandem", folder);
    snprintf(file, sizeof file, "%s/config", sub);
    setenv("XDG_CONFIG_HOME", folder, 1);
    char *text;
    td_strbuf path = {0};
    td_err err;
    assert_int_equal(td_option_read_config(&text, &path, &err), TD_OK);
    assert_null(text); /* there is none */
    td_strbuf_clear(&path);

    assert_int_equal(mkdir(sub, 0700), 0);
    FILE *f = fopen(file, "wb");
    fputs("temp = 1\n", f);
    fclose(f);
    assert_int_equal(td_option_read_config(&text, &path, &err), TD_OK);
    assert_string_equal(text, "temp = 1\n");
    assert_string_equal(path.text, file);
    td_free(text);
    td_strbuf_clear(&path);

    f = fopen(file, "wb");
    fwrite("a\0b", 1, 3, f);
    fclose(f);
    assert_int_equal(td_option_read_config(&text, &path, &err), TD_ERR_FORMAT);
    assert_null(text);
    td_strbuf_clear(&path);

    unlink(file);
    assert_int_equal(mkdir(file, 0700), 0); /* there, but no file */
    assert_int_equal(td_option_read_config(&text, &path, &err), TD_ERR_IO);
    td_strbuf_clear(&path);
    rmdir(file);
    rmdir(sub);
    rmdir(folder);
    unsetenv("XDG_CONFIG_HOME");
}

#ifdef TD_FAULTS
static void test_out_of_memory(void **state) {
    (void)state;
    const char *words[] = {"--stop", "a", "--stop=b", "m.gguf", "--dump", "x", "y", NULL};
    const char *env[] = {"TANDEM_TEMP=1", NULL};
    td_status status = TD_ERR_NOMEM;
    for (int64_t n = 1; status != TD_OK; n++) {
        td_options o;
        td_err err;
        td_alloc_fault_set(n);
        status = parse(&o, words, env, "stop = c\non-full = shift\n", &err);
        td_alloc_fault_set(0);
        if (status == TD_OK)
            td_options_clear(&o);
        else
            assert_int_equal(status, TD_ERR_NOMEM);
        assert_true(n < 1000);
    }
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),          cmocka_unit_test(test_spellings),
        cmocka_unit_test(test_word_after_switch), cmocka_unit_test(test_texts),
        cmocka_unit_test(test_long_list),         cmocka_unit_test(test_help_needs_nothing_else),
        cmocka_unit_test(test_precedence),        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_missing_argument),  cmocka_unit_test(test_overlong_words),
        cmocka_unit_test(test_help_text),         cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_environment_names), cmocka_unit_test(test_user_path),
        cmocka_unit_test(test_config_file),
#ifdef TD_FAULTS
        cmocka_unit_test(test_out_of_memory),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
