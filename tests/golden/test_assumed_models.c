/* test_assumed_models.c - models from config.json alone (td_model_options.assume).
 *
 * Of every fixture in tests/golden/archs the model that is assumed from its configuration must be
 * the one that its weights make: the same modules, each of as many elements.  Every tensor of a
 * file, folder or GGUF, must belong to one module, or be one that is known to have none.  Of real
 * configurations (shared/configs beside the sources, where there are such) the totals must be the
 * published ones. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/model.h"
#include "support/arch_model.h"

static td_model *open_model(const char *path, bool assume, td_checkpoint **ckpt) {
    const td_model_options options = {.assume = assume};
    td_model *model;
    td_err err;
    if (td_checkpoint_open(ckpt, path, &err) != TD_OK) fail_msg("%s", err.msg);
    if (td_model_open(&model, *ckpt, &options, &err) != TD_OK) fail_msg("%s", err.msg);
    return model;
}

static void close_model(td_model *model, td_checkpoint *ckpt) {
    td_model_close(model);
    td_checkpoint_close(ckpt);
}

/* ---- an assumed model is the real one ---- */

static void compare_modules(const char *what, const td_module *want, const td_module *got) {
    assert_string_equal(got->name, want->name);
    assert_string_equal(got->class_name, want->class_name);
    if (td_module_elems(got) != td_module_elems(want))
        fail_msg("%s, module '%s': %llu elements, wanted %llu", what, got->name,
                 (unsigned long long)td_module_elems(got),
                 (unsigned long long)td_module_elems(want));
    const td_module *w = want->first_child, *g = got->first_child;
    for (; w && g; w = w->next, g = g->next) compare_modules(what, w, g);
    if (w || g) fail_msg("%s: module '%s' is not in both trees", what, w ? w->name : g->name);
}

static void remove_weights(const char *dir) {
    char path[256];
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    assert_int_equal(unlink(path), 0);
}

static void check_folder(const arch_model *m, bool old_config) {
    char dir[] = "/tmp/td_assumed_XXXXXX";
    td_checkpoint *ckpt, *bare;
    td_err err;
    assert_non_null(mkdtemp(dir));
    arch_model_write_folder(m, (arch_folder_options){.old_config = old_config}, dir);
    td_model *real = open_model(dir, false, &ckpt);
    remove_weights(dir);
    td_model *assumed = open_model(dir, true, &bare);
    compare_modules(m->name, real->root, assumed->root);
    close_model(assumed, bare);
    assert_int_equal(td_checkpoint_open(&bare, dir, &err), TD_OK);
    assert_int_not_equal(td_model_open(&assumed, bare, NULL, &err), TD_OK);
    assert_non_null(strstr(err.msg, "no weights"));
    td_checkpoint_close(bare);
    close_model(real, ckpt);
    arch_model_remove_folder(dir);
}

static void test_config_alone(void **state) {
    arch_model m;
    arch_model_load(&m, *state);
    for (int old = 0; old <= m.has_old_config; old++) check_folder(&m, old);
    arch_model_clear(&m);
}

/* ---- every tensor has its module ---- */

/* The number behind `before`, -1 if that is not in the name. */
static int number_after(const char *name, const char *before) {
    const char *at = strstr(name, before);
    return at ? atoi(at + strlen(before)) : -1;
}

/* What no module has: sparse attention's indexers, parts for other things than text, and layers
 * that predict further tokens. */
static bool may_be_unused(const td_model *m, const char *name) {
    static const char *const parts[] = {"indexer.", "vision_model.", "resampler_model.",
                                        "multi_modal_projector.", "weight_1"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (strstr(name, parts[i])) return true;
    return strncmp(name, "mtp.", 4) == 0 || number_after(name, "blk.") >= m->config.n_layer ||
           number_after(name, "model.layers.") >= m->config.n_layer ||
           (m->config.per_modality && number_after(name, ".experts.") >= m->config.router.n_expert);
}

static void check_tensors(const char *what, const char *path) {
    const td_tensor *unused[256];
    td_model_counts counts;
    td_checkpoint *ckpt;
    uint64_t n_bytes = 0, n_elem = 0;
    size_t n;
    td_err err;
    td_model *m = open_model(path, false, &ckpt);
    assert_int_equal(td_model_count(m, &counts, &err), TD_OK);
    assert_int_equal(td_model_unused(m, unused, 256, &n, &err), TD_OK);
    assert_true(n <= 256);
    for (size_t i = 0; i < n; i++) {
        counts.n_bytes += unused[i]->n_bytes;
        counts.n_parameter += (uint64_t)td_tensor_elems(unused[i]);
        if (!may_be_unused(m, unused[i]->name))
            fail_msg("%s: no module has '%s'", what, unused[i]->name);
    }
    for (size_t i = 0; i < td_checkpoint_n_tensor(ckpt); i++) {
        n_bytes += td_checkpoint_tensor_at(ckpt, i)->n_bytes;
        n_elem += (uint64_t)td_tensor_elems(td_checkpoint_tensor_at(ckpt, i));
    }
    assert_true(counts.n_bytes == n_bytes);
    assert_true(counts.n_parameter == n_elem);
    close_model(m, ckpt);
}

static void test_tensors(void **state) {
    char dir[] = "/tmp/td_assumed_XXXXXX", file[64];
    arch_model m;
    arch_model_load(&m, *state);
    assert_non_null(mkdtemp(dir));
    arch_model_write_folder(&m, (arch_folder_options){0}, dir);
    check_tensors(m.name, dir);
    arch_model_remove_folder(dir);
    if (m.has_gguf) {
        snprintf(file, sizeof file, "%s.gguf", dir);
        arch_model_write_gguf(&m, file);
        check_tensors(m.name, file);
        unlink(file);
    }
    arch_model_clear(&m);
}

/* ---- real configurations ---- */

/* Totals in billions as their makers publish them or the geometry gives them (rounded), with layers
 * that predict further tokens and experts for other things than text apart. */
static const struct {
    const char *name;
    double n_parameter, n_draft, n_other;
} totals[] = {
    {"DeepSeek-R1",                    671.026, 11.610, 0   },
    {"DeepSeek-V2-Chat",               235.741, 0,      0   },
    {"DeepSeek-V2-Lite-Chat",          15.706,  0,      0   },
    {"DeepSeek-V3",                    671.026, 11.610, 0   },
    {"ERNIE-4.5-VL-28B-A3B-Thinking",  21.825,  0,      6.80},
    {"GLM-4.7-FP8",                    352.80,  0,      0   },
    {"Kimi-K2-Instruct",               1026.4,  0,      0   },
    {"Kimi-K2-Thinking",               1026.4,  0,      0   },
    {"Llama-4-Scout-17B-16E-Instruct", 107.77,  0,      0   },
    {"Meta-Llama-3.1-8B",              8.030,   0,      0   },
    {"MiniMax-M2",                     228.7,   0,      0   },
    {"MiniMax-M2.5",                   228.7,   0,      0   },
    {"Mixtral-8x7B-v0.1",              46.70,   0,      0   },
    {"Qwen3-0.6B",                     0.596,   0,      0   },
    {"Qwen3-235B-A22B",                235.09,  0,      0   },
    {"Qwen3-30B-A3B",                  30.53,   0,      0   },
    {"Qwen3-30B-A3B-FP8",              30.53,   0,      0   },
    {"Qwen3-8B",                       8.19,    0,      0   },
    {"Qwen3-Coder-480B-A35B-Instruct", 480.15,  0,      0   },
    {"Qwen3-Next-80B-A3B-Thinking",    79.67,   0,      0   },
    {"Qwen3.5-35B-A3B",                34.66,   0.845,  0   },
    {"Qwen3.5-397B-A17B",              396.35,  6.60,   0   },
    {"gpt-oss-120b",                   116.83,  0,      0   },
    {"gpt-oss-20b",                    20.91,   0,      0   },
};

static void assert_billions(const char *name, uint64_t n, double want) {
    const double got = (double)n * 1e-9;
    if (fabs(got - want) > 0.001 * want)
        fail_msg("%s: %.4f billion parameters, wanted %.4f", name, got, want);
}

static bool copy_file(const char *from, const char *to) {
    char buffer[1 << 16];
    FILE *in = fopen(from, "rb"), *out = in ? fopen(to, "wb") : NULL;
    if (!in) return false;
    assert_non_null(out);
    const size_t n = fread(buffer, 1, sizeof buffer, in);
    assert_true(n < sizeof buffer && fwrite(buffer, 1, n, out) == n);
    fclose(in);
    fclose(out);
    return true;
}

/* A configuration in a folder of its own; false: there is none. */
static bool write_config(const char *name, char dir[]) {
    char from[512], to[64];
    snprintf(from, sizeof from, "%s/../shared/configs/%s.json", TD_SOURCE_DIR, name);
    assert_non_null(mkdtemp(dir));
    snprintf(to, sizeof to, "%s/config.json", dir);
    if (copy_file(from, to)) return true;
    rmdir(dir);
    return false;
}

static void test_totals(void **state) {
    size_t n_seen = 0;
    (void)state;
    for (size_t i = 0; i < sizeof totals / sizeof totals[0]; i++) {
        char dir[] = "/tmp/td_assumed_XXXXXX";
        td_model_counts counts;
        td_checkpoint *ckpt;
        td_err err;
        if (!write_config(totals[i].name, dir)) continue;
        n_seen++;
        td_model *m = open_model(dir, true, &ckpt);
        assert_int_equal(td_model_count(m, &counts, &err), TD_OK);
        print_message("%-32s %9.3f billion, %6.3f of drafts, %6.3f of others, %.2f GB\n",
                      totals[i].name, (double)counts.n_parameter * 1e-9,
                      (double)counts.n_draft * 1e-9, (double)counts.n_other * 1e-9,
                      (double)counts.n_bytes * 1e-9);
        assert_billions(totals[i].name, counts.n_parameter, totals[i].n_parameter);
        assert_billions(totals[i].name, counts.n_draft, totals[i].n_draft);
        assert_billions(totals[i].name, counts.n_other, totals[i].n_other);
        close_model(m, ckpt);
        arch_model_remove_folder(dir);
    }
    if (n_seen == 0) skip(); /* no configurations beside the sources */
}

/* ---- types ---- */

typedef struct native {
    const char *quantization; /* the object, or "" */
    const char *module;
    td_dtype dtype;
    uint64_t n_bytes; /* of all of the module's tensors */
} native;

#define GPTQ                                                                                       \
    ", \"quantization_config\": {\"quant_method\": \"gptq\", \"bits\": 4, \"group_size\": 64}"
#define MXFP4 ", \"quantization_config\": {\"quant_method\": \"mxfp4\"}"

#define CONFIG                                                                                     \
    "{\"architectures\": [\"DeepseekV3ForCausalLM\"], \"hidden_size\": 256, "                      \
    "\"num_hidden_layers\": 2, \"first_k_dense_replace\": 1, \"intermediate_size\": 320, "         \
    "\"moe_intermediate_size\": 128, \"n_routed_experts\": 4, \"num_experts_per_tok\": 2, "        \
    "\"n_shared_experts\": 1, \"num_attention_heads\": 2, \"num_key_value_heads\": 2, "            \
    "\"kv_lora_rank\": 64, \"q_lora_rank\": 96, \"qk_nope_head_dim\": 32, "                        \
    "\"qk_rope_head_dim\": 16, \"v_head_dim\": 32, \"vocab_size\": 1000, \"n_group\": 1, "         \
    "\"topk_group\": 1, \"rms_norm_eps\": 1e-6, \"max_position_embeddings\": 512"

#define FP8                                                                                        \
    ", \"quantization_config\": {\"quant_method\": \"fp8\", \"weight_block_size\": [128, 128], "   \
    "\"modules_to_not_convert\": [\"lm_head\", \"model.layers.*.self_attn.o_proj\"]}"
#define INT4                                                                                       \
    ", \"quantization_config\": {\"quant_method\": \"compressed-tensors\", \"format\": "           \
    "\"pack-quantized\", \"ignore\": [\"lm_head\", \"re:.*self_attn.*\", "                         \
    "\"re:.*shared_experts.*\", \"re:.*mlp\\\\.(gate|up|down)_proj.*\"], \"config_groups\": "      \
    "{\"group_0\": {\"weights\": {\"num_bits\": 4, \"type\": \"int\", \"group_size\": 32}}}}"

static const native natives[] = {
    {"",                         "model.layers.0.mlp.gate_proj",    TD_DTYPE_BF16,     256 * 320 * 2                           },
    {", \"dtype\": \"float16\"", "lm_head",                         TD_DTYPE_F16,      256 * 1000 * 2                          },
    {FP8,                        "model.layers.0.mlp.gate_proj",    TD_DTYPE_F8_E4M3,  256 * 320 + 4 * 2 * 3                   },
    {FP8,                        "model.layers.0.self_attn.o_proj", TD_DTYPE_BF16,     256 * 64 * 2                            },
    {FP8,                        "lm_head",                         TD_DTYPE_BF16,     256 * 1000 * 2                          },
    {FP8,                        "model.layers.1.mlp.gate",         TD_DTYPE_BF16,     256 * 4 * 2 + 4 * 2                     },
    {FP8,                        "model.layers.1.mlp.experts",      TD_DTYPE_F8_E4M3,  4 * 3 * (256 * 128 + 4 * 2)             },
    {INT4,                       "model.layers.1.mlp.experts",      TD_DTYPE_INT4,     4 * 3 * (256 * 128 / 2 + 1024 * 2)      },
    {INT4,                       "model.layers.0.mlp.gate_proj",    TD_DTYPE_BF16,     256 * 320 * 2                           },
    {INT4,                       "model.layers.0.self_attn.o_proj", TD_DTYPE_BF16,     256 * 64 * 2                            },
    {GPTQ,                       "model.layers.0.mlp.gate_proj",    TD_DTYPE_INT4_Z32,
     256 * 320 / 2 + 320 * 4 * 2 + 320 * 4 / 2                                                                                 },
    {MXFP4,                      "model.layers.1.mlp.experts",      TD_DTYPE_MXFP4,    4 * 3 * (256 * 128 / 2 + 256 * 128 / 32)},
    {MXFP4,                      "model.layers.0.mlp.gate_proj",    TD_DTYPE_BF16,     256 * 320 * 2                           },
};

static void write_text(const char *dir, const char *more) {
    char path[64];
    snprintf(path, sizeof path, "%s/config.json", dir);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fprintf(f, "%s%s}", CONFIG, more);
    fclose(f);
}

static void test_native_types(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof natives / sizeof natives[0]; i++) {
        char dir[] = "/tmp/td_assumed_XXXXXX";
        td_checkpoint *ckpt;
        assert_non_null(mkdtemp(dir));
        write_text(dir, natives[i].quantization);
        td_model *m = open_model(dir, true, &ckpt);
        const td_module *found = td_module_find(m->root, natives[i].module);
        assert_non_null(found);
        assert_int_equal(found->tensors->tensor->dtype, natives[i].dtype);
        assert_int_equal(td_module_bytes(found), natives[i].n_bytes);
        close_model(m, ckpt);
        arch_model_remove_folder(dir);
    }
}

/* A type of the caller's, by the name in a GGUF file. */
static td_dtype choose(void *user, const char *gguf, const td_tensor *t, int i_layer) {
    int *n = user;
    ++*n;
    assert_int_equal(t->dtype, TD_DTYPE_BF16);
    if (strcmp(gguf, "blk.1.ffn_down_exps.weight") != 0) return TD_DTYPE_F32;
    assert_int_equal(i_layer, 1);
    assert_int_equal(t->ne[0], 128);
    assert_int_equal(t->ne[1], 256);
    assert_int_equal(t->ne[2], 4);
    return TD_DTYPE_Q8_0;
}

static void test_chosen_types(void **state) {
    char dir[] = "/tmp/td_assumed_XXXXXX";
    int n = 0;
    const td_model_options options = {.assume = true, .assume_type = choose, .assume_user = &n};
    td_checkpoint *ckpt;
    td_model *m;
    td_err err;
    (void)state;
    assert_non_null(mkdtemp(dir));
    write_text(dir, "");
    assert_int_equal(td_checkpoint_open(&ckpt, dir, &err), TD_OK);
    assert_int_equal(td_model_open(&m, ckpt, &options, &err), TD_OK);
    const td_module *experts = td_module_find(m->root, "model.layers.1.mlp.experts");
    assert_int_equal(td_module_bytes(experts), 2 * 4 * 256 * 128 * 4 + 4 * 256 * 128 / 32 * 34);
    assert_int_equal(experts->experts->down[3].weight->dtype, TD_DTYPE_Q8_0);
    assert_int_equal(n, 3 + 2 * 9 + 3 + 8); /* tables, norm; attention and norms; MLP; mixture */
    close_model(m, ckpt);
    arch_model_remove_folder(dir);
}

static const struct {
    const char *more, *message;
} refusals[] = {
    {", \"quantization_config\": {\"quant_method\": \"aqlm\"}",                                 "aqlm"     },
    {", \"quantization_config\": {\"quant_method\": \"gptq\", \"bits\": 3}",                    "bits is 3"},
    {", \"quantization_config\": {\"quant_method\": \"fp8\", \"weight_block_size\": [0, 128]}",
     "weight_block_size"                                                                                   },
    {", \"quantization_config\": {\"quant_method\": \"fp8\", \"ignore\": [\"re:(\"]}",          "ignore"   },
};

static void test_refusals(void **state) {
    const td_model_options options = {.assume = true};
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        char dir[] = "/tmp/td_assumed_XXXXXX";
        td_checkpoint *ckpt;
        td_model *m;
        td_err err;
        assert_non_null(mkdtemp(dir));
        write_text(dir, refusals[i].more);
        assert_int_equal(td_checkpoint_open(&ckpt, dir, &err), TD_OK);
        assert_int_not_equal(td_model_open(&m, ckpt, &options, &err), TD_OK);
        if (!strstr(err.msg, refusals[i].message))
            fail_msg("'%s' does not name '%s'", err.msg, refusals[i].message);
        td_checkpoint_close(ckpt);
        arch_model_remove_folder(dir);
    }
}

/* What a file's tensors would vouch for has limits of its own. */
static const struct {
    const char *from, *to, *message;
} limits[] = {
    {"\"vocab_size\": 1000",        "\"vocab_size\": 16777217",       "vocab_size"            },
    {"\"vocab_size\": 1000",        "\"n_vocab\": 1000",              "vocab_size' is missing"},
    {"\"num_hidden_layers\": 2",    "\"num_hidden_layers\": 1000",    "1000 layers of 4096"   },
    {"\"intermediate_size\": 320",  "\"intermediate_size\": 1048577", "intermediate_size"     },
    {"\"num_attention_heads\": 2,", "\"num_attention_heads\": 0,",    "num_attention_heads"   },
};

static void test_limits(void **state) {
    const td_model_options options = {.assume = true};
    (void)state;
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        char dir[] = "/tmp/td_assumed_XXXXXX", path[64];
        td_checkpoint *ckpt;
        td_model *m;
        td_err err;
        assert_non_null(mkdtemp(dir));
        snprintf(path, sizeof path, "%s/config.json", dir);
        FILE *f = fopen(path, "wb");
        const char *at = strstr(CONFIG, limits[i].from);
        assert_non_null(f);
        assert_non_null(at);
        const char *rest = at + strlen(limits[i].from);
        const char *experts = strstr(rest, "\"n_routed_experts\": 4,");
        const bool many = strstr(limits[i].message, "4096") != NULL;
        fprintf(f, "%.*s%s", (int)(at - CONFIG), CONFIG, limits[i].to);
        if (many && experts)
            fprintf(f, "%.*s\"n_routed_experts\": 4096,%s}", (int)(experts - rest), rest,
                    strchr(experts, ',') + 1);
        else
            fprintf(f, "%s}", rest);
        fclose(f);
        assert_int_equal(td_checkpoint_open(&ckpt, dir, &err), TD_OK);
        assert_int_not_equal(td_model_open(&m, ckpt, &options, &err), TD_OK);
        if (!strstr(err.msg, limits[i].message))
            fail_msg("'%s' does not name '%s'", err.msg, limits[i].message);
        td_checkpoint_close(ckpt);
        arch_model_remove_folder(dir);
    }
}

/* ---- the program ---- */

int main(void) {
    const struct CMUnitTest own[] = {
        cmocka_unit_test(test_totals),       cmocka_unit_test(test_native_types),
        cmocka_unit_test(test_chosen_types), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_limits),
    };
    const size_t n_own = sizeof own / sizeof own[0];
    int n_model;
    char **models = arch_model_list(&n_model);
    struct CMUnitTest *tests = calloc((size_t)n_model * 2 + n_own, sizeof *tests);
    char(*names)[96] = calloc((size_t)n_model * 2 + 1, sizeof *names);
    if (tests == NULL || names == NULL || n_model == 0) return 1;
    memcpy(tests, own, sizeof own);
    for (int i = 0; i < 2 * n_model; i++) {
        snprintf(names[i], sizeof names[i], "%s_%s", i % 2 ? "tensors" : "config", models[i / 2]);
        tests[n_own + (size_t)i] =
            (struct CMUnitTest){.name = names[i],
                                .test_func = i % 2 ? test_tensors : test_config_alone,
                                .initial_state = models[i / 2]};
    }
    int n_failed =
        _cmocka_run_group_tests("assumed models", tests, n_own + (size_t)n_model * 2, NULL, NULL);
    for (int i = 0; i < n_model; i++) free(models[i]);
    free(models);
    free(tests);
    free(names);
    return n_failed;
}
