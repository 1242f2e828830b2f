/* td-rules: what the rules code makes of files, as JSON lines for test_rules_oracle.py to compare.
 *
 *     td-rules values FILE...                  one line each: the file's values with their types
 *     td-rules resolve ERA DEVICE RULES MODULES...   RULES and MODULES alternate
 *     td-rules search                          reads lines "PATTERN<TAB>TEXT" in JSON strings
 *
 * A line is {"error": ...} where there was one. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/filemap.h"
#include "plan/rules.h"
#include "plan/rules_int.h"
#include "plan/module_list.h"

static void put_string(const char *text, size_t n) {
    putchar('"');
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            printf("\\u%04x", c);
        else
            putchar(c);
    }
    putchar('"');
}

/* ["i", 5], ["m", [[key, value], ...]]: JSON alone would forget what is an int and what a key is.
 */
static void put_value(const td_rule_value *v) {
    switch (v->type) {
    case TD_RULE_NULL: printf("[\"n\"]"); return;
    case TD_RULE_BOOL: printf("[\"b\", %s]", v->boolean ? "true" : "false"); return;
    case TD_RULE_INT: printf("[\"i\", %" PRId64 "]", v->integer); return;
    case TD_RULE_FLOAT: printf("[\"f\", \"%a\"]", v->number); return;
    case TD_RULE_STRING:
        printf("[\"s\", ");
        put_string(v->text, v->n_text);
        putchar(']');
        return;
    case TD_RULE_LIST:
    case TD_RULE_MAP: break;
    }
    printf(v->type == TD_RULE_MAP ? "[\"m\", [" : "[\"l\", [");
    for (int i = 0; i < v->n_item; i++) {
        if (i > 0) printf(", ");
        if (v->type == TD_RULE_MAP) {
            putchar('[');
            put_value(v->keys[i]);
            printf(", ");
        }
        put_value(v->items[i]);
        if (v->type == TD_RULE_MAP) putchar(']');
    }
    printf("]]");
}

static int put_error(const td_err *err) {
    printf("{\"error\": ");
    put_string(err->msg, strlen(err->msg));
    printf("}\n");
    return 0;
}

static int show_values(const char *path) {
    td_rules *rules;
    td_err err;
    char *text;
    size_t n;
    if (td_file_read(path, 1 << 26, &text, &n, &err) != TD_OK) return 1;
    const td_status status = td_rules_read(&rules, text, n, path, &err);
    td_free(text);
    if (status != TD_OK) return put_error(&err);
    if (rules->document)
        put_value(rules->document);
    else
        printf("[\"n\"]");
    putchar('\n');
    td_rules_free(rules);
    return 0;
}

static void put_result(const td_rules *rules, const td_rules_result *result) {
    printf("{\"entries\": [");
    for (int i = 0; i < result->n_entry; i++) {
        const td_rules_entry *e = &result->entries[i];
        printf(i > 0 ? ", [" : "[");
        put_string(e->node->name, strlen(e->node->name));
        printf(", ");
        put_string(e->key, strlen(e->key));
        printf(", ");
        put_string(e->class_name, strlen(e->class_name));
        printf(", ");
        if (e->kwargs)
            put_value(e->kwargs);
        else
            printf("null");
        printf(", ");
        if (e->device)
            put_string(e->device, strlen(e->device));
        else
            printf("null");
        printf(", %d]", e->i_rule);
    }
    printf("], \"won\": [");
    for (int i = 0; i < td_rules_n(rules); i++)
        printf(i > 0 ? ", %d" : "%d", result->tallies[i].n_won);
    printf("]");
}

static void put_counts(const td_rules *rules, const td_tree *tree, const td_rules_options *options,
                       const td_rules_result *result) {
    const size_t n = (size_t)td_rules_n(rules);
    td_rules_reach *reach = td_calloc(n, sizeof *reach);
    td_err err;
    if (reach && td_rules_count(rules, tree, options, result, reach, &err) == TD_OK) {
        printf(", \"matched\": [");
        for (size_t i = 0; i < n; i++) printf(i > 0 ? ", %d" : "%d", reach[i].n_matched);
        printf("]");
    }
    printf("}\n");
    td_free(reach);
}

static int show_resolved(const td_rules_options *options, const char *rules_path,
                         const char *modules_path) {
    td_rules *rules = NULL;
    td_tree tree;
    td_rules_result result = {0};
    td_err err;
    td_tree_init(&tree);
    td_status status = td_rules_load(&rules, rules_path, &err);
    if (status == TD_OK) status = td_module_list_load(&tree, modules_path, &err);
    if (status == TD_OK) status = td_rules_resolve(rules, &tree, options, &result, &err);
    if (status == TD_OK) {
        put_result(rules, &result);
        put_counts(rules, &tree, options, &result);
        td_rules_result_clear(&result);
    } else {
        (void)put_error(&err);
    }
    td_tree_clear(&tree);
    td_rules_free(rules);
    return 0;
}

/* Two files of NUL-terminated texts: patterns, and what to search in. */
static int show_searches(const char *patterns_path, const char *texts_path) {
    char *patterns, *texts;
    size_t n_patterns, n_texts;
    td_err err;
    if (td_file_read(patterns_path, 1 << 26, &patterns, &n_patterns, &err) != TD_OK ||
        td_file_read(texts_path, 1 << 26, &texts, &n_texts, &err) != TD_OK)
        return 1;
    const char *text = texts;
    for (const char *p = patterns; p < patterns + n_patterns; p += strlen(p) + 1) {
        bool found;
        if (td_rules_search(p, strlen(p), text, &found, &err) == TD_OK)
            printf("%d\n", found);
        else
            (void)put_error(&err);
        text += strlen(text) + 1;
    }
    td_free(patterns);
    td_free(texts);
    return 0;
}

int main(int argc, char **argv) {
    if (argc < 2) return 77; /* the tests of this folder run it */
    const char *what = argv[1];
    if (strcmp(what, "values") == 0) {
        for (int i = 2; i < argc; i++)
            if (show_values(argv[i]) != 0) return 1;
        return 0;
    }
    if (strcmp(what, "search") == 0 && argc == 4) return show_searches(argv[2], argv[3]);
    if (strcmp(what, "resolve") != 0 || argc < 6) return 2;
    td_rules_options options = {.default_device = argv[3], .lenient = true};
    options.era = strcmp(argv[2], "v010") == 0   ? TD_RULES_V010
                  : strcmp(argv[2], "v012") == 0 ? TD_RULES_V012
                                                 : TD_RULES_V032;
    for (int i = 4; i + 1 < argc; i += 2)
        if (show_resolved(&options, argv[i], argv[i + 1]) != 0) return 1;
    return 0;
}
