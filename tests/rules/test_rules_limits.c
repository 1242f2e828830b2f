/* Rule files as hostile input: each is refused by a sentence with its line, or works; in bounded
 * time and without a crash.  Types and matching are held to PyYAML and resolve.py by the .py tests
 * beside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "plan/module_list.h"
#include "plan/rules.h"
#include "plan/rules_builtin.h"
#include "plan/rules_lint.h"

static td_tree small_tree(void) {
    static const char list[] = ". a.Root\nmodel a.Model\nmodel.layers torch.nn.ModuleList\n"
                               "model.layers.0 a.Layer\nmodel.layers.0.mlp torch.nn.Linear\n"
                               "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa! torch.nn.Linear\n";
    td_tree tree;
    td_err err;
    td_tree_init(&tree);
    assert_int_equal(td_module_list_parse(&tree, list, sizeof list - 1, "list", &err), TD_OK);
    return tree;
}

/* Parses and resolves; the message of what failed, "" if nothing did. */
static td_status run(const char *text, size_t n, const td_rules_options *options, td_err *err) {
    td_rules *rules;
    td_rules_result result;
    *err = (td_err){0};
    td_status status = td_rules_parse(&rules, text, n, "r.yaml", err);
    if (status != TD_OK) {
        assert_null(rules);
        return status;
    }
    td_tree tree = small_tree();
    status = td_rules_resolve(rules, &tree, options, &result, err);
    if (status == TD_OK) td_rules_result_clear(&result);
    td_tree_clear(&tree);
    td_rules_free(rules);
    return status;
}

#define M "- match: {name: 'layers'}\n"
#define R "  replace: {class: default}\n"

static void test_messages(void **state) {
    (void)state;
    static const struct {
        const char *text;
        td_status status;
        const char *message; /* begins with it; NULL: TD_OK */
    } cases[] = {
        {"",                                                               TD_OK,              NULL                                           },
        {"# nothing\n",                                                    TD_OK,              NULL                                           },
        {"a: b",                                                           TD_ERR_FORMAT,      "r.yaml:1: found a map, wanted a list of rules"},
        {"\n\n5",                                                          TD_ERR_FORMAT,      "r.yaml:3: found an integer"                   },
        {"- 5",                                                            TD_ERR_FORMAT,      "r.yaml:1: rule 1: the rule is no map"         },
        {"- replace: {}",                                                  TD_ERR_FORMAT,      "r.yaml:1: rule 1: the rule has no 'match'"    },
        {"-\n  match: [a]",                                                TD_ERR_FORMAT,      "r.yaml:2: rule 1: 'match' is no map"          },
        {"- match: {}",                                                    TD_ERR_FORMAT,      "r.yaml:1: rule 1: 'match' has neither"        },
        {"- match: {class: 5}",                                            TD_ERR_FORMAT,      "r.yaml:1: rule 1: 'match.class' is no string" },
        {"- match: {class: }",                                             TD_ERR_FORMAT,      "r.yaml:1: rule 1: 'match.class' is no string" },
        {"- match:\n    name: 5",                                          TD_ERR_FORMAT,      "r.yaml:2: rule 1: 'match.name' is no string"  },
        {"- match:\n    name: 'a('",                                       TD_ERR_FORMAT,      "r.yaml:2: rule 1: the pattern fails"          },
        {"- match: {name: '\\K'}",                                         TD_ERR_FORMAT,      "r.yaml:1: rule 1: the pattern fails at byte 1"},
        {"- match: {name: '(?x)a'}",                                       TD_ERR_FORMAT,      "r.yaml:1: rule 1: the pattern fails"          },
        {"- match: {class: no.such.Class}",                                TD_ERR_FORMAT,      "r.yaml:1: rule 1: the class 'no.such"         },
        {M,                                                                TD_ERR_FORMAT,      "r.yaml:1: rule 1: the rule has no 'replace'"  },
        {M "  replace: 5",                                                 TD_ERR_FORMAT,      "r.yaml:2: rule 1: 'replace' is no map"        },
        {M "  replace: {class: 5}",                                        TD_ERR_FORMAT,      "r.yaml:2: rule 1: 'replace.class' is no"      },
        {M "  replace:\n    kwargs: 5",                                    TD_ERR_FORMAT,      "r.yaml:3: rule 1: 'replace.kwargs' is no"     },
        {M "  replace:\n    kwargs:",                                      TD_ERR_FORMAT,      "r.yaml:3: rule 1: 'replace.kwargs' is no"     },
 /* Not reached, so no error, as in KTransformers. */
        {"- match: {name: ''}\n" R "- 5\n- match: {class: no.such.Class}", TD_OK,              NULL                                           },
        {"- match: {class: a.Layer, name: 5}\n" R,                         TD_ERR_FORMAT,      "r.yaml:1: rule 1: 'match.name'"               },
        {"- match: {class: torch.nn.Embedding, name: 5}\n" R,              TD_OK,              NULL                                           },
        {"- match: {name: nowhere}",                                       TD_OK,              NULL                                           },
 /* YAML */
        {"- a\n- [",                                                       TD_ERR_FORMAT,      "r.yaml:3: no valid YAML"                      },
        {"-\tmatch:\n\tname: a",                                           TD_ERR_FORMAT,      "r.yaml:"                                      },
        {M R "---\n" M R,                                                  TD_ERR_FORMAT,      "r.yaml:3: a second document"                  },
        {"- *a",                                                           TD_ERR_FORMAT,      "r.yaml:1: the alias '*a' has no anchor"       },
        {"- &a [*a]",                                                      TD_ERR_FORMAT,      "r.yaml:1: '*a' stands inside"                 },
        {"- &a 1\n- &a 2",                                                 TD_ERR_FORMAT,      "r.yaml:2: the anchor 'a' stands for a second" },
        {"- ? [1]\n  : 2",                                                 TD_ERR_FORMAT,      "r.yaml:1: a key is a list or a map"           },
        {"- {<<: 5}",                                                      TD_ERR_FORMAT,      "r.yaml:1: '<<' wants a map"                   },
        {"- !!python/object:os.system x",                                  TD_ERR_UNSUPPORTED, "r.yaml:1: the tag"                            },
        {"- 99999999999999999999",                                         TD_ERR_FORMAT,      "r.yaml:1: '99999999999999999999' does not fit"},
        {"- !!int x",                                                      TD_ERR_FORMAT,      "r.yaml:1: 'x' is not of the type"             },
        {"- a\n- b\n- \xff\xfe",                                           TD_ERR_FORMAT,      "r.yaml:3: not UTF-8: byte 0xff"               },
        {"- \x01",                                                         TD_ERR_FORMAT,      "r.yaml:1: no valid YAML"                      },
        {"\x7f"
         "ELF\x01\x01",                                           TD_ERR_FORMAT,      "r.yaml:1: no valid YAML"                      },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        td_err err;
        const td_status status = run(cases[i].text, strlen(cases[i].text), NULL, &err);
        const char *message = cases[i].message ? cases[i].message : "";
        if (status != cases[i].status || strncmp(err.msg, message, strlen(message)) != 0)
            fail_msg("%s\nstatus %d, message '%s', wanted '%s'", cases[i].text, (int)status,
                     err.msg, message);
    }
    td_err err;
    const td_rules_options lenient = {.lenient = true};
    static const char unknown[] = "- match: {class: no.such.Class}\n" R;
    assert_int_equal(run(unknown, sizeof unknown - 1, &lenient, &err), TD_OK);
    const td_rules_options v010 = {.era = TD_RULES_V010};
    static const char no_class[] = M "  replace: {kwargs: {}}\n";
    assert_int_equal(run(no_class, sizeof no_class - 1, &v010, &err), TD_ERR_FORMAT);
    assert_non_null(strstr(err.msg, "r.yaml:1: rule 1: 'replace' has no 'class'"));
}

/* n times `part`, between `begin` and `end`. */
static void repeat(td_strbuf *out, const char *begin, const char *part, int n, const char *end) {
    td_strbuf_clear_text(out);
    td_strbuf_adds(out, begin);
    for (int i = 0; i < n; i++) td_strbuf_adds(out, part);
    td_strbuf_adds(out, end);
    assert_int_equal(out->failed, TD_OK);
}

static void expect(const td_strbuf *text, td_status status, const char *words) {
    td_err err;
    const td_status found = run(text->text, text->n, NULL, &err);
    if (found != status || !strstr(err.msg, words))
        fail_msg("status %d, message '%s', wanted '%s'", (int)found, err.msg, words);
}

static void test_bounds(void **state) {
    (void)state;
    td_strbuf text = {0};
    repeat(&text, "", "[", 63, "");
    for (int i = 0; i < 63; i++) td_strbuf_addc(&text, ']');
    expect(&text, TD_ERR_FORMAT, "the rule is no map"); /* deep, but not too deep */
    repeat(&text, "\n", "[", 65, "");
    expect(&text, TD_ERR_LIMIT, "r.yaml:2: lists and maps are nested more than 64 deep");
    repeat(&text, "", "- ", 100000, "");
    expect(&text, TD_ERR_LIMIT, "nested more than 64");
    repeat(&text, "", "{a: ", 900, "");
    expect(&text, TD_ERR_LIMIT, "nested more than 64");
    repeat(&text, "", "# comment\n", 1 << 19, "");
    expect(&text, TD_ERR_LIMIT, "at most 4194304 are read");
    repeat(&text, "", "- a\n", 200000, "");
    expect(&text, TD_ERR_FORMAT, "rule 1: the rule is no map");
    repeat(&text, "", "- a\n", 200001, "");
    expect(&text, TD_ERR_LIMIT, "r.yaml:200001: 200001 rules, at most 200000");
    repeat(&text, "[", "1,", 1000001, "]");
    expect(&text, TD_ERR_LIMIT, "r.yaml:1: more than 1000000 values");
    repeat(&text, "- match: {name: '", "a", 5000, "'}\n");
    expect(&text, TD_ERR_FORMAT, "the pattern has 5000 bytes, at most 4096");
    repeat(&text, "- match: {name: '", "(", 300, "'}\n");
    expect(&text, TD_ERR_FORMAT, "more than 200 groups");
    repeat(&text, "- match: {name: '", "(a{1,9999}){1,9999}", 10, "'}\n");
    expect(&text, TD_ERR_FORMAT, "does not compile");
    repeat(&text, "- match: {name: a}\n  replace: {kwargs: {", "k: 1, ", 100000, "}}\n");
    expect(&text, TD_OK, "");
    td_strbuf_clear(&text);
}

static void test_bombs(void **state) {
    (void)state;
    td_strbuf text = {0};
    td_strbuf_adds(&text, "- &a0 [x]\n");
    for (int i = 1; i < 60; i++) td_strbuf_addf(&text, "- &a%d [*a%d, *a%d]\n", i, i - 1, i - 1);
    expect(&text, TD_ERR_LIMIT, "more than 1000000 values, aliases written out");
    td_strbuf_clear_text(&text);
    td_strbuf_adds(&text, "- &a0 {x: 1, y: 2}\n");
    for (int i = 1; i < 60; i++)
        td_strbuf_addf(&text, "- &a%d {<<: [*a%d, *a%d], k%d: *a%d}\n", i, i - 1, i - 1, i, i - 1);
    expect(&text, TD_ERR_LIMIT, "more than 1000000 values, aliases written out");
    td_strbuf_clear(&text);
}

/* Patterns that try all ways to cut a name are stopped by steps. */
static void test_patterns(void **state) {
    (void)state;
    static const char *const patterns[] = {
        "(a+)+$",     "(a|aa)+$", "(a|a?)+$", "^(.*a){20}$", "(([a-z])+.)+[A-Z]([a-z])+$",
        "(?=(a+)+$)x"};
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        td_strbuf text = {0};
        td_err err;
        td_strbuf_addf(&text, "- match:\n    name: '%s'\n" R, patterns[i]);
        const td_status status = run(text.text, text.n, NULL, &err);
        /* PCRE2 sees through some of them, and then they are done soon. */
        if (status != TD_OK && (status != TD_ERR_LIMIT ||
                                !strstr(err.msg, "r.yaml:2: the pattern takes too many steps")))
            fail_msg("%s: '%s'", patterns[i], err.msg);
        if (i == 0) assert_int_equal(status, TD_ERR_LIMIT);
        td_strbuf_clear(&text);
    }
}

static td_status resolve_many(const td_tree *tree, int kind, int n_rule, td_err *err) {
    td_strbuf text = {0};
    td_rules *rules;
    td_rules_result result;
    for (int i = 0; i < n_rule; i++) {
        if (kind == 0)
            td_strbuf_addf(&text, "- {match: {name: '^n%d$'}, replace: {}}\n", i);
        else
            td_strbuf_addf(&text, "- {match: {name: 'n%d'}, replace: {}}\n", i);
    }
    assert_int_equal(td_rules_parse(&rules, text.text, text.n, "r.yaml", err), TD_OK);
    td_strbuf_clear(&text);
    const td_status status = td_rules_resolve(rules, tree, NULL, &result, err);
    if (status == TD_OK) td_rules_result_clear(&result);
    td_rules_free(rules);
    return status;
}

/* Rules times modules: done, or refused by name after a bounded amount of work. */
static void test_many(void **state) {
    (void)state;
    td_tree tree;
    td_tree_node *root, *node;
    td_err err = {0};
    td_tree_init(&tree);
    assert_int_equal(td_tree_add(&tree, NULL, "", "a.Root", &root, &err), TD_OK);
    for (int i = 0; i < 60000; i++)
        assert_int_equal(td_tree_add(&tree, root, "m", "torch.nn.Linear", &node, &err), TD_OK);
    for (int kind = 0; kind < 2; kind++)
        assert_int_equal(resolve_many(&tree, kind, 100, &err), TD_OK);
    assert_int_equal(resolve_many(&tree, 0, 50000, &err), TD_ERR_LIMIT);
    assert_non_null(strstr(err.msg, "too much work for a tree of modules"));
    td_tree_clear(&tree);
}

static void test_explain(void **state) {
    (void)state;
    static const char text[] =
        "- match: {class: no.Class}\n" R "- match: {class: torch.nn.Linear}\n" R
        "- match: {name: '^model$'}\n" R "- match: {name: 'layers'}\n" R
        "  recursive: no\n- match: {name: 'mlp'}\n" R "- 5\n";
    static const td_rules_verdict wanted[] = {TD_RULES_CLASS_UNKNOWN,  TD_RULES_MATCHES,
                                              TD_RULES_NAME_NOT_FOUND, TD_RULES_MATCHES,
                                              TD_RULES_MATCHES,        TD_RULES_BROKEN};
    td_rules *rules;
    td_rules_explanation x;
    td_err err;
    td_tree tree = small_tree();
    td_strbuf out = {0};
    assert_int_equal(td_rules_parse(&rules, text, sizeof text - 1, "r.yaml", &err), TD_OK);
    assert_int_equal(
        td_rules_explain(rules, &tree, NULL, "model.layers.0.mlp", &tree.arena, &x, &err), TD_OK);
    for (int i = 0; i < td_rules_n(rules); i++) assert_int_equal(x.trials[i].verdict, wanted[i]);
    assert_int_equal(x.i_winner, 1);
    assert_true(x.trials[1].wins && !x.trials[3].wins);
    assert_string_equal(x.hidden_by->name, "model.layers");
    assert_int_equal(x.i_hiding_rule, 3);
    td_rules_explain_text(rules, &x, &out);
    assert_non_null(strstr(out.text, "hidden: rule 4, line 7, wins model.layers"));
    assert_non_null(strstr(out.text, "rule 2, line 3: wins: default"));
    assert_int_equal(td_rules_explain(rules, &tree, NULL, "model.nothing", &tree.arena, &x, &err),
                     TD_ERR_ARGUMENT);
    assert_non_null(strstr(err.msg, "no module 'model.nothing'"));
    td_strbuf_clear(&out);
    td_rules_free(rules);
    td_tree_clear(&tree);
}

static void test_names(void **state) {
    (void)state;
    int n;
    const td_rules_legacy *legacy = td_rules_legacy_names(&n);
    assert_true(n > 10);
    for (int i = 0; i < n; i++) {
        assert_string_equal(td_rules_modern_name(legacy[i].old_name), legacy[i].name);
        assert_null(td_rules_modern_name(legacy[i].name)); /* nothing is renamed twice */
    }
    assert_string_equal(td_rules_modern_name("ktransformers.operators.linear.KTransformerLinear"),
                        "KTransformersLinear");
    const td_rules_op *ops = td_rules_ops(&n);
    for (int i = 0; i < n; i++) assert_ptr_equal(td_rules_find_op(ops[i].name), &ops[i]);
    assert_null(td_rules_find_op("QuantizedLinearMarlin"));
    assert_true(td_rules_is_operator_class("ktransformers.operators.gate.KMoEGate"));
    assert_false(td_rules_is_operator_class("ktransformers.operators.KMoEGate"));
}

static void test_builtin(void **state) {
    (void)state;
    int n;
    const td_rules_builtin *all = td_rules_builtins(&n);
    assert_true(n >= 7);
    for (int i = 0; i < n; i++) {
        td_rules *rules;
        td_err err;
        assert_int_equal(strlen(all[i].text), all[i].n_text);
        assert_memory_equal(all[i].text, "# ", 2); /* the line that `tandem rules show` prints */
        assert_int_equal(td_rules_parse(&rules, all[i].text, all[i].n_text, all[i].name, &err),
                         TD_OK);
        for (int k = 0; k < td_rules_n(rules); k++) assert_null(td_rules_at(rules, k)->broken);
        td_rules_free(rules);
    }
}

/* Every allocation of ours fails once. */
static void test_out_of_memory(void **state) {
    (void)state;
    static const char text[] = "- &a\n  match: {name: '^a(?!b)', class: torch.nn.Linear}\n"
                               "  replace: {class: x, kwargs: {<<: {p: 1}, p: [2, ~]}}\n- *a\n";
    td_tree tree = small_tree();
    bool done = false;
    for (int nth = 1; !done; nth++) {
        td_rules *rules = NULL;
        td_rules_result result = {0};
        td_lint lint = {0};
        td_err err;
        td_alloc_fault_set(nth);
        td_status status = td_rules_parse(&rules, text, sizeof text - 1, "r.yaml", &err);
        if (status == TD_OK) status = td_rules_resolve(rules, &tree, NULL, &result, &err);
        if (status == TD_OK) status = td_rules_lint(rules, &tree, &lint, &err);
        done = td_alloc_fault_count() < nth;
        td_alloc_fault_set(0);
        if (done) assert_int_equal(status, TD_OK);
        if (status != TD_OK && status != TD_ERR_NOMEM)
            fail_msg("allocation %d: status %d, '%s'", nth, (int)status, err.msg);
        td_lint_clear(&lint);
        td_rules_result_clear(&result);
        td_rules_free(rules);
    }
    td_tree_clear(&tree);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),      cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_bombs),         cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_many),          cmocka_unit_test(test_explain),
        cmocka_unit_test(test_names),         cmocka_unit_test(test_builtin),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
