/* rules_lint_item.c - what one rule says, by itself; see rules_lint.h. */
#include <string.h>

#include "base/options.h"
#include "plan/rules_lint_int.h"

enum { ERROR = 1, WARNING = 0 };

/* A finding of a rule. */
static void add(linter *l, int i_rule, int line, bool is_error, td_lint_finding finding) {
    finding.i_rule = i_rule;
    finding.line = line;
    finding.is_error = is_error;
    td_lint_add(l, finding);
}

/* ---- keywords ---- */

#define TYPE(t) (1u << TD_RULE_##t)

typedef struct keyword {
    const char *name;
    unsigned types;
    const char *wanted;
} keyword;

static const keyword keywords[] = {
    {"generate_device",                    TYPE(STRING),              "a device such as \"cuda:0\""              },
    {"prefill_device",                     TYPE(STRING),              "a device such as \"cuda:0\""              },
    {"out_device",                         TYPE(STRING),              "a device such as \"cuda:0\""              },
    {"device",                             TYPE(STRING),              "a device such as \"xpu\""                 },
    {"generate_op",                        TYPE(STRING) | TYPE(NULL), "an operator such as \"KLinearMarlin\""    },
    {"prefill_op",                         TYPE(STRING) | TYPE(NULL), "an operator such as \"KLinearTorch\""     },
    {"backend",                            TYPE(STRING),              "\"llamafile\", \"AMXBF16\" or \"AMXInt8\""},
    {"absorb_for_prefill",                 TYPE(BOOL),                "True or False"                            },
    {"chunck_size",                        TYPE(INT),                 "a number of tokens"                       },
    {"per_layer_prefill_intput_threshold", TYPE(INT) | TYPE(NULL),    "a number of tokens, 0: off"               },
    {"transfer_map",                       TYPE(MAP) | TYPE(NULL),    "layers and devices: {30: \"cuda:1\"}"     },
    {"n_deferred_experts",                 TYPE(LIST) | TYPE(INT),    "a list of numbers"                        },
    {"num_bits",                           TYPE(INT),                 "4 or 8"                                   },
    {"group_size",                         TYPE(INT),                 "-1, 32, 64 or 128"                        },
    {"act_order",                          TYPE(BOOL),                "True or False"                            },
    {"dump_enable",                        TYPE(BOOL),                "True or False"                            },
    {"dump_dir",                           TYPE(STRING),              "a folder"                                 },
};
enum { N_KEYWORD = sizeof keywords / sizeof keywords[0] };

static const keyword *find_keyword(const char *name) {
    for (int i = 0; i < N_KEYWORD; i++)
        if (strcmp(keywords[i].name, name) == 0) return &keywords[i];
    return NULL;
}

/* Spelt as they should be, some known keywords are unknown to KTransformers. */
static const char *correct_but_unknown(const char *name) {
    if (strcmp(name, "chunk_size") == 0) return "chunck_size";
    if (strcmp(name, "per_layer_prefill_input_threshold") == 0)
        return "per_layer_prefill_intput_threshold";
    return NULL;
}

static void lint_unknown_keyword(linter *l, int i_rule, const td_rule_value *key) {
    const char *names[N_KEYWORD];
    for (int i = 0; i < N_KEYWORD; i++) names[i] = keywords[i].name;
    const char *modern = td_rules_modern_name(key->text);
    const char *odd = correct_but_unknown(key->text);
    const char *fix =
        odd ? td_lint_say(l, "write '%s', which is how KTransformers spells it", odd)
        : modern
            ? td_lint_say(l, "write '%s', which is its name since v0.1.2", modern)
            : td_lint_near(l, key->text, names, N_KEYWORD, "remove it, or correct its spelling");
    add(l, i_rule, key->line, WARNING,
        (td_lint_finding){.code = modern ? "old-name" : "unknown-kwarg",
                          .what = td_lint_say(l, "unknown keyword '%.100s' in kwargs", key->text),
                          .why = "most operators swallow keywords they do not know",
                          .fix = fix});
}

/* ---- devices ---- */

static bool is_device(const char *text) {
    static const char *const kinds[] = {"cuda", "cpu", "xpu", "npu"};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const size_t n = strlen(kinds[i]);
        if (strncmp(text, kinds[i], n) != 0) continue;
        if (text[n] == 0) return true;
        if (text[n] != ':' || strcmp(kinds[i], "cpu") == 0) continue;
        const size_t n_digit = strspn(text + n + 1, "0123456789");
        return n_digit > 0 && n_digit < 4 && text[n + 1 + n_digit] == 0;
    }
    return false;
}

static void lint_device(linter *l, int i_rule, const char *key, const td_rule_value *value) {
    static const char *const words[] = {"cuda", "cuda:0", "cuda:1", "cpu", "xpu", "npu"};
    if (value->type != TD_RULE_STRING || is_device(value->text)) return;
    add(l, i_rule, value->line, ERROR,
        (td_lint_finding){
            .code = "unknown-device",
            .what = td_lint_say(l, "%s is '%.100s', which is no device", key, value->text),
            .why = "torch stops at a device it does not know",
            .fix = td_lint_near(l, value->text, words, 6,
                                "write cpu, cuda, cuda:0, cuda:1 ..., xpu:0 or npu:0")});
}

static void lint_transfer_map(linter *l, int i_rule, const td_rule_value *map) {
    for (int i = 0; map->type == TD_RULE_MAP && i < map->n_item; i++) {
        const td_rule_value *key = map->keys[i], *value = map->items[i];
        if (key->type != TD_RULE_INT)
            add(l, i_rule, key->line, ERROR,
                (td_lint_finding){
                    .code = "bad-type",
                    .what = td_lint_say(l, "transfer_map has the key '%.60s', which is %s",
                                        key->text, td_rule_type_text(key->type)),
                    .why = "layers are looked up by number, so this entry is never found",
                    .fix = "write the layer's number without quotes: 30: \"cuda:1\""});
        if (value->type == TD_RULE_STRING)
            lint_device(l, i_rule, "transfer_map's device", value);
        else
            add(l, i_rule, value->line, ERROR,
                (td_lint_finding){.code = "bad-type",
                                  .what = td_lint_say(l, "transfer_map names %s, wanted a device",
                                                      td_rule_type_text(value->type)),
                                  .why = "torch stops at what is no device",
                                  .fix = "write a device: 30: \"cuda:1\""});
    }
}

/* ---- operators ---- */

static void lint_op_name(linter *l, int i_rule, const char *key, const td_rule_value *value) {
    if (value->type != TD_RULE_STRING || strcmp(value->text, "None") == 0) return;
    const char *modern = td_rules_modern_name(value->text);
    if (modern && td_rules_find_op(modern)) {
        add(l, i_rule, value->line, WARNING,
            (td_lint_finding){.code = "old-name",
                              .what =
                                  td_lint_say(l, "%s '%.100s' is a name of v0.1", key, value->text),
                              .why = "later versions of KTransformers stop at it; Tandem takes it",
                              .fix = td_lint_say(l, "write '%s'", modern)});
        return;
    }
    if (td_rules_find_op(value->text)) return;
    const char *names[64];
    int n = 0, n_name = 0;
    const td_rules_op *ops = td_rules_ops(&n);
    for (; n_name < n && n_name < 64; n_name++) names[n_name] = ops[n_name].name;
    add(l, i_rule, value->line, ERROR,
        (td_lint_finding){.code = "unknown-op",
                          .what = td_lint_say(l, "%s '%.100s' is unknown", key, value->text),
                          .why = "KTransformers stops at an operator it does not know",
                          .fix = td_lint_near(l, value->text, names, n_name,
                                              "see docs/RULES.md for the operators")});
}

/* Whether the operator runs on this kind of device. */
static bool op_fits(const td_rules_op *op, const char *device) {
    if (strcmp(op->devices, "any") == 0) return true;
    return td_lint_is_device(device, op->devices);
}

/* One of the two pairs of operator and device. */
static void lint_op_device(linter *l, int i_rule, const char *op_key, const char *device_key) {
    const td_rule *rule = td_rules_at(l->rules, i_rule);
    const char *name = td_lint_kwarg(rule, op_key), *device = td_lint_kwarg(rule, device_key);
    const td_rules_op *op = name ? td_rules_find_op(name) : NULL;
    if (!op || !device || !is_device(device) || op_fits(op, device)) return;
    const td_rule_value *at = td_rule_get(rule->kwargs, device_key);
    add(l, i_rule, at->line, ERROR,
        (td_lint_finding){
            .code = "op-device",
            .what = td_lint_say(l, "%s with %s '%.60s'", name, device_key, device),
            .why = td_lint_say(l, "%s runs on %s alone", name,
                               strcmp(op->devices, "cuda") == 0 ? "NVIDIA GPUs" : op->devices),
            .fix = strcmp(op->devices, "cpu") == 0 ? td_lint_say(l, "write %s: \"cpu\"", device_key)
                   : td_lint_is_device(device, "cpu") && op->kind == TD_RULES_OP_LINEAR
                       ? "write KLinearCPUInfer, or a device that is a GPU"
                       : td_lint_say(l, "write %s: \"%s\"", device_key, op->devices)});
}

/* Operators of linears in a class of experts, or the other way round. */
static void lint_op_kind(linter *l, int i_rule, const char *key) {
    const td_rule *rule = td_rules_at(l->rules, i_rule);
    const char *name = td_lint_kwarg(rule, key);
    const td_rules_op *op = name ? td_rules_find_op(name) : NULL;
    if (!op || !rule->replace_class) return;
    const char *last = td_lint_last_part(rule->replace_class);
    const bool linear = strstr(last, "Linear") != NULL, experts = strstr(last, "Experts") != NULL;
    if (linear == experts || linear == (op->kind == TD_RULES_OP_LINEAR)) return;
    add(l, i_rule, td_rule_get(rule->kwargs, key)->line, ERROR,
        (td_lint_finding){.code = "op-class",
                          .what = td_lint_say(l, "%s is no operator of %s", name, last),
                          .why = "KTransformers stops at an operator that the class does not have",
                          .fix = linear ? "write an operator of linears, such as KLinearMarlin"
                                        : "write an operator of experts, such as KExpertsCPU"});
}

/* Two GPUs for one module, or a weight that lies where prefill does not look for it. */
static void lint_two_devices(linter *l, int i_rule) {
    const td_rule *rule = td_rules_at(l->rules, i_rule);
    const char *generate = td_lint_kwarg(rule, "generate_device");
    const char *prefill = td_lint_kwarg(rule, "prefill_device");
    const char *out = td_lint_kwarg(rule, "out_device");
    if (!generate || !prefill || !is_device(generate) || !is_device(prefill)) return;
    const bool cpu = td_lint_is_device(generate, "cpu") || td_lint_is_device(prefill, "cpu");
    const bool has_op = td_lint_kwarg(rule, "generate_op") != NULL;
    const td_rule_value *at = td_rule_get(rule->kwargs, "prefill_device");
    if (!td_lint_same_device(generate, prefill) && (!cpu || !has_op))
        add(l, i_rule, at->line, WARNING,
            (td_lint_finding){.code = "two-devices",
                              .what =
                                  td_lint_say(l, "generate_device is %.60s, prefill_device %.60s",
                                              generate, prefill),
                              .why = "the weights are loaded on generate_device, for both phases",
                              .fix = td_lint_say(l, "write \"%.60s\" for both", generate)});
    if (!out || !is_device(out)) return;
    const td_rule_value *out_at = td_rule_get(rule->kwargs, "out_device");
    if (!td_lint_same_device(out, prefill))
        add(l, i_rule, out_at->line, WARNING,
            (td_lint_finding){
                .code = "two-devices",
                .what = td_lint_say(l, "out_device is %.60s, prefill_device %.60s", out, prefill),
                .why = "the results of one layer land on two devices",
                .fix = td_lint_say(l, "write out_device: \"%.60s\"", prefill)});
}

static void lint_missing_device(linter *l, int i_rule) {
    const td_rule *rule = td_rules_at(l->rules, i_rule);
    if (td_rule_get(rule->kwargs, "generate_device")) return;
    const td_rules_op *op = NULL;
    const char *name = td_lint_kwarg(rule, "generate_op");
    if (name) op = td_rules_find_op(name);
    const bool is_default = rule->replace_class && strcmp(rule->replace_class, "default") == 0;
    if (!is_default && !op) return;
    add(l, i_rule, rule->line, is_default ? ERROR : WARNING,
        (td_lint_finding){
            .code = "no-device",
            .what = "kwargs have no generate_device",
            .why = is_default ? "it says where the weights go, and KTransformers stops without it"
                              : "the operator's own default is \"cuda\", whatever the layer is on",
            .fix = "add generate_device and prefill_device"});
}

/* ---- kwargs ---- */

static void lint_kwarg(linter *l, int i_rule, const td_rule_value *key,
                       const td_rule_value *value) {
    if (key->type != TD_RULE_STRING) {
        add(l, i_rule, key->line, ERROR,
            (td_lint_finding){.code = "bad-type",
                              .what = td_lint_say(l, "the keyword '%.100s' is %s", key->text,
                                                  td_rule_type_text(key->type)),
                              .why = "keywords become names of arguments in Python",
                              .fix = "write a name, or put it in quotes"});
        return;
    }
    const char *modern = td_rules_modern_name(key->text);
    const keyword *known = find_keyword(key->text);
    if (!known) lint_unknown_keyword(l, i_rule, key);
    if (!known && modern) known = find_keyword(modern);
    if (!known) return;
    if (!(known->types & 1u << value->type)) {
        add(l, i_rule, value->line, ERROR,
            (td_lint_finding){
                .code = "bad-type",
                .what = td_lint_say(l, "%s is %s", known->name, td_rule_type_text(value->type)),
                .why = "the operator wants another type and fails when it runs, or takes any text "
                       "for True",
                .fix = td_lint_say(l, "write %s", known->wanted)});
        return;
    }
    if (strstr(known->name, "device")) lint_device(l, i_rule, known->name, value);
    if (strstr(known->name, "_op")) lint_op_name(l, i_rule, known->name, value);
    if (strcmp(known->name, "transfer_map") == 0) lint_transfer_map(l, i_rule, value);
}

static void lint_backend(linter *l, int i_rule) {
    static const char *const backends[] = {"llamafile", "AMXBF16", "AMXInt8", "AMXInt4"};
    const td_rule *rule = td_rules_at(l->rules, i_rule);
    const td_rule_value *backend = td_rule_get(rule->kwargs, "backend");
    if (!td_rule_string(backend)) return;
    for (int i = 0; i < 4; i++)
        if (strcmp(backends[i], backend->text) == 0) return;
    add(l, i_rule, backend->line, ERROR,
        (td_lint_finding){.code = "unknown-backend",
                          .what = td_lint_say(l, "the backend '%.100s' is unknown", backend->text),
                          .why = "KExpertsCPU stops at a backend it does not know",
                          .fix = td_lint_near(l, backend->text, backends, 4,
                                              "write llamafile, AMXBF16 or AMXInt8")});
}

static void lint_null_op(linter *l, int i_rule) {
    const td_rule *rule = td_rules_at(l->rules, i_rule);
    const char *last = td_lint_last_part(rule->replace_class ? rule->replace_class : "");
    const td_rule_value *op = td_rule_get(rule->kwargs, "prefill_op");
    if (!op || !strstr(last, "Linear")) return;
    if (op->type != TD_RULE_NULL && strcmp(op->text, "None") != 0) return;
    add(l, i_rule, op->line, ERROR,
        (td_lint_finding){.code = "null-op",
                          .what = td_lint_say(l, "%s without a prefill_op", last),
                          .why =
                              "before it generates it unloads the prefill operator, which is none",
                          .fix = "write prefill_op: \"KLinearTorch\""});
}

static void lint_kwargs(linter *l, int i_rule) {
    const td_rule *rule = td_rules_at(l->rules, i_rule);
    const td_rule_value *kwargs = rule->kwargs;
    if (!kwargs) return;
    for (int i = 0; i < kwargs->n_item; i++)
        lint_kwarg(l, i_rule, kwargs->keys[i], kwargs->items[i]);
    lint_op_device(l, i_rule, "generate_op", "generate_device");
    lint_op_device(l, i_rule, "prefill_op", "prefill_device");
    lint_op_kind(l, i_rule, "generate_op");
    lint_op_kind(l, i_rule, "prefill_op");
    lint_two_devices(l, i_rule);
    lint_missing_device(l, i_rule);
    lint_backend(l, i_rule);
    lint_null_op(l, i_rule);
}

/* ---- the rule's own keys ---- */

static void lint_keys(linter *l, int i_rule, const td_rule_value *map, const char *where,
                      const char *const *known, int n_known) {
    for (int i = 0; map && map->type == TD_RULE_MAP && i < map->n_item; i++) {
        const td_rule_value *key = map->keys[i];
        bool found = false;
        for (int k = 0; k < n_known && key->type == TD_RULE_STRING; k++)
            found = found || strcmp(key->text, known[k]) == 0;
        if (found) continue;
        add(l, i_rule, key->line, WARNING,
            (td_lint_finding){.code = "unknown-key",
                              .what =
                                  td_lint_say(l, "unknown key '%.100s' in %s", key->text, where),
                              .why = "KTransformers passes over it without a word",
                              .fix = td_lint_near(l, key->text, known, n_known,
                                                  "remove it, or move it to where it belongs")});
    }
}

static void lint_recursive(linter *l, int i_rule) {
    const td_rule *rule = td_rules_at(l->rules, i_rule);
    const td_rule_value *v = td_rule_get(rule->source, "recursive");
    if (!v || v->type == TD_RULE_BOOL) return;
    add(l, i_rule, v->line, WARNING,
        (td_lint_finding){.code = "recursive-type",
                          .what = td_lint_say(l, "recursive is %s, which counts as %s",
                                              td_rule_type_text(v->type),
                                              rule->recursive ? "True" : "False"),
                          .why = "any text but the empty one is true in Python, \"False\" too",
                          .fix = "write recursive: False, without quotes"});
}

static void lint_broken(linter *l, int i_rule) {
    const td_rule *rule = td_rules_at(l->rules, i_rule);
    if (!rule->broken) return;
    const bool pattern = strncmp(rule->broken, "the pattern", 11) == 0;
    add(l, i_rule, rule->broken_line, ERROR,
        (td_lint_finding){.code = pattern ? "bad-pattern" : "broken-rule",
                          .what = rule->broken,
                          .why = "KTransformers stops when it comes to this rule",
                          .fix = pattern ? "correct the regular expression; a dot is \"\\\\.\" in "
                                           "double quotes"
                                         : "write match: {name: ..., class: ...} and replace: "
                                           "{class: ..., kwargs: {...}}"});
}

static void lint_device_key(linter *l, int i_rule) {
    const td_rule *rule = td_rules_at(l->rules, i_rule);
    if (!rule->device) return;
    add(l, i_rule, rule->device->line, WARNING,
        (td_lint_finding){.code = "replace-device",
                          .what = "'device' in replace",
                          .why = "it has had no effect since v0.1.2",
                          .fix = "write generate_device and prefill_device in kwargs"});
}

static void lint_replace_class(linter *l, int i_rule) {
    const td_rule *rule = td_rules_at(l->rules, i_rule);
    const char *name = rule->has_replace_class ? rule->replace_class : NULL;
    if (!name || strcmp(name, "default") == 0 || td_rules_is_operator_class(name)) return;
    const int line = td_rule_get(td_rule_get(rule->source, "replace"), "class")->line;
    const char *modern = td_rules_modern_name(name);
    if (modern) {
        add(l, i_rule, line, WARNING,
            (td_lint_finding){.code = "old-name",
                              .what = td_lint_say(l, "'%.200s' is a name of v0.1", name),
                              .why = "later versions of KTransformers stop at it; Tandem takes it",
                              .fix =
                                  td_lint_say(l, "write '%s'", td_rules_operator_class(modern))});
        return;
    }
    const char *words[256];
    int n = 0;
    for (const char *word; n < 256 && (word = td_rules_operator_class_at(n)) != NULL; n++)
        words[n] = td_lint_last_part(word);
    const char *near = td_option_nearest(td_lint_last_part(name), words, n);
    add(l, i_rule, line, ERROR,
        (td_lint_finding){.code = "unknown-class",
                          .what = td_lint_say(l, "the class '%.200s' in replace is unknown", name),
                          .why = "KTransformers stops at a class that it cannot import",
                          .fix = near ? td_lint_say(l, "did you mean 'ktransformers.operators.%s'?",
                                                    td_rules_operator_class(near))
                                      : "see docs/RULES.md for the classes"});
}

/* What a tree knows, too, is rules_lint_tree.c's to say. */
static void lint_match_class(linter *l, int i_rule) {
    const td_rule *rule = td_rules_at(l->rules, i_rule);
    if (!l->tree && rule->match_class && !td_class_is_known(rule->match_class))
        td_lint_unknown_class(l, i_rule);
}

void td_lint_unknown_class(linter *l, int i_rule) {
    const td_rule *rule = td_rules_at(l->rules, i_rule);
    const td_rule_value *at = td_rule_get(td_rule_get(rule->source, "match"), "class");
    add(l, i_rule, at->line, ERROR,
        (td_lint_finding){
            .code = "unknown-class",
            .what = td_lint_say(l, "the class '%.200s' in match is unknown", rule->match_class),
            .why = "KTransformers stops at a class that it cannot import",
            .fix = "correct its name, or remove it and match by name"});
}

void td_lint_rule(linter *l, int i_rule) {
    static const char *const rule_keys[] = {"match", "replace", "recursive"};
    static const char *const match_keys[] = {"class", "name"};
    static const char *const replace_keys[] = {"class", "kwargs", "device"};
    const td_rule_value *source = td_rules_at(l->rules, i_rule)->source;
    lint_broken(l, i_rule);
    if (source->type != TD_RULE_MAP) return;
    lint_keys(l, i_rule, source, "the rule", rule_keys, 3);
    lint_keys(l, i_rule, td_rule_get(source, "match"), "match", match_keys, 2);
    lint_keys(l, i_rule, td_rule_get(source, "replace"), "replace", replace_keys, 3);
    lint_device_key(l, i_rule);
    lint_match_class(l, i_rule);
    lint_replace_class(l, i_rule);
    lint_recursive(l, i_rule);
    lint_kwargs(l, i_rule);
}
