/* fuzz_rules.c - any bytes as a rule file: refused by a sentence with a line, or resolved over a
 * small tree, explained and linted. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "plan/rules_lint.h"

#define V3 "ktransformers.models.modeling_deepseek_v3."

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add(td_tree *tree, td_tree_node *parent, const char *part, const char *class_name,
                td_tree_node **out) {
    td_tree_node *node;
    if (td_tree_add(tree, parent, part, class_name, &node, NULL) != TD_OK) abort();
    if (out) *out = node;
}

static void grow(td_tree *tree) {
    td_tree_node *root, *model, *layers, *layer, *part, *experts;
    td_tree_init(tree);
    add(tree, NULL, "", V3 "DeepseekV3ForCausalLM", &root);
    add(tree, root, "model", V3 "DeepseekV3Model", &model);
    add(tree, model, "embed_tokens", "torch.nn.Embedding", NULL);
    add(tree, model, "layers", "torch.nn.ModuleList", &layers);
    for (int i = 0; i < 3; i++) {
        const char number[2] = {(char)('0' + i), 0};
        add(tree, layers, number, V3 "DeepseekV3DecoderLayer", &layer);
        add(tree, layer, "self_attn", V3 "DeepseekV3Attention", &part);
        add(tree, part, "kv_b_proj", "torch.nn.Linear", NULL);
        add(tree, part, "rotary_emb", V3 "DeepseekV3YarnRotaryEmbedding", NULL);
        add(tree, layer, "mlp", V3 "DeepseekV3MoE", &part);
        add(tree, part, "experts", "torch.nn.ModuleList", &experts);
        add(tree, experts, "0", V3 "DeepseekV3MLP", NULL);
    }
    add(tree, root, "lm_head", "torch.nn.Linear", NULL);
}

static void check_error(td_status status, const td_err *err) {
    if (err->msg[0] == 0 || strnlen(err->msg, sizeof err->msg) == sizeof err->msg) abort();
    if ((status == TD_ERR_FORMAT || status == TD_ERR_LIMIT) && strncmp(err->msg, "fuzz:", 5) != 0)
        abort();
}

static void resolve(const td_rules *rules, const td_tree *tree, td_rules_era era) {
    const td_rules_options options = {.era = era, .lenient = true};
    td_rules_result result;
    td_err err;
    const td_status status = td_rules_resolve(rules, tree, &options, &result, &err);
    if (status != TD_OK) {
        check_error(status, &err);
        return;
    }
    if (result.n_entry < 1 || result.entries[0].node != tree->root) abort();
    td_strbuf text = {0};
    for (int i = 0; i < result.n_entry; i++)
        if (result.entries[i].kwargs) td_rule_write(result.entries[i].kwargs, &text);
    td_strbuf_clear(&text);
    td_rules_result_clear(&result);
}

/* What is written is read again as the same. */
static void write_again(const td_rules *rules) {
    td_strbuf text = {.max = 1 << 20};
    for (int i = 0; i < td_rules_n(rules); i++) {
        td_strbuf_adds(&text, "- ");
        td_rule_write(td_rules_at(rules, i)->source, &text);
        td_strbuf_addc(&text, '\n');
    }
    td_rules *again;
    td_err err;
    if (text.failed == TD_OK &&
        td_rules_parse(&again, text.text ? text.text : "", text.n, "fuzz", &err) == TD_OK) {
        for (int i = 0; i < td_rules_n(rules); i++)
            if (td_rules_n(again) != td_rules_n(rules) ||
                !td_rule_equal(td_rules_at(rules, i)->source, td_rules_at(again, i)->source))
                abort();
        td_rules_free(again);
    } else if (text.failed == TD_OK) {
        abort();
    }
    td_strbuf_clear(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    td_rules *rules;
    td_tree tree;
    td_lint lint;
    td_err err;
    grow(&tree);
    const char *text = (const char *)data;
    const td_status status = td_rules_parse(&rules, size ? text : "", size, "fuzz", &err);
    if (status == TD_OK) {
        resolve(rules, &tree, TD_RULES_V032);
        resolve(rules, &tree, TD_RULES_V010);
        if (size < 4096) write_again(rules);
        td_rules_free(rules);
    } else {
        if (rules) abort();
        check_error(status, &err);
    }
    if (td_rules_lint_text(size ? text : "", size, "fuzz", &tree, &lint, &err) == TD_OK)
        td_lint_clear(&lint);
    td_tree_clear(&tree);
    return 0;
}
