/* test_tree_model.c - the classes that rule files name, and the trees they see of models.
 *
 *     test_tree_model --dump PATH    prints a model's tree, "name class" a line (or the assumed
 * one) test_tree_model --sum PATH     prints bytes of the tree's weights, of tensors that no module
 *                                    has, and of all of the file's
 *
 * test_model_trees.py compares what it prints with the oracle. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "plan/tree_model.h"
#include "support/arch_model.h"

#define KT "ktransformers.models."
#define HF "transformers.models."

/* ---- classes ---- */

/* All that the rule files of KTransformers match, of its present and former ones. */
static const char *const matched[] = {
    "torch.nn.Linear",
    KT "modeling_deepseek_v3.MoEGate",
    KT "modeling_deepseek_v3.DeepseekV3MoE",
    KT "modeling_deepseek_v3.DeepseekV3RotaryEmbedding",
    KT "modeling_deepseek.DeepseekV2MoE",
    KT "modeling_deepseek.DeepseekV2YarnRotaryEmbedding",
    KT "modeling_qwen2_moe.Qwen2MoeRotaryEmbedding",
    KT "modeling_deepseek_v3.DeepseekV3MLP",
    KT "modeling_deepseek_v3.DeepseekV3RMSNorm",
    KT "modeling_qwen2_moe.Qwen2MoeSparseMoeBlock",
    KT "modeling_qwen3_moe.Qwen3MoeRMSNorm",
    KT "modeling_qwen3_moe.Qwen3MoeSparseMoeBlock",
    KT "modeling_qwen2_moe.Qwen2MoeMLP",
    KT "modeling_qwen2_moe.Qwen2MoeRMSNorm",
    KT "modeling_qwen3_moe.Qwen3MoeMLP",
    "ktransformers.operators.experts.KExpertsCPU",
    KT "modeling_deepseek.DeepseekV2RMSNorm",
    KT "modeling_llama.LlamaModel",
    KT "modeling_llama.LlamaRotaryEmbedding",
    KT "modeling_mixtral.MixtralRotaryEmbedding",
    KT "modeling_mixtral.MixtralSparseMoeBlock",
    HF "qwen3_moe.modeling_qwen3_moe.Qwen3MoeMLP",
    HF "qwen3_moe.modeling_qwen3_moe.Qwen3MoeRMSNorm",
    HF "qwen3_moe.modeling_qwen3_moe.Qwen3MoeSparseMoeBlock",
    KT "modeling_glm4_moe.Glm4MoeMLP",
    KT "modeling_glm4_moe.Glm4MoeMoE",
    KT "modeling_glm4_moe.Glm4MoeRMSNorm",
    KT "modeling_glm4_moe.Glm4MoeRotaryEmbedding",
    KT "modeling_qwen3_next.Qwen3NextAttention",
    KT "modeling_qwen3_next.Qwen3NextGatedDeltaNet",
    KT "modeling_qwen3_next.Qwen3NextMLP",
    KT "modeling_qwen3_next.Qwen3NextRMSNorm",
    KT "modeling_qwen3_next.Qwen3NextRotaryEmbedding",
    KT "modeling_qwen3_next.Qwen3NextSparseMoeBlock",
    KT "modeling_smallthinker.SmallthinkerDenseMlpBlock",
    KT "modeling_smallthinker.SmallthinkerMoeBlock",
    KT "modeling_smallthinker.SmallthinkerRMSNorm",
    KT "modeling_smallthinker.SmallthinkerRotaryEmbedding",
    KT "modeling_deepseek.MoEGate",
    KT "modeling_hunyuan.HunYuanAttention",
    KT "modeling_hunyuan.HunYuanDynamicNTKAlphaRotaryEmbedding",
    KT "modeling_hunyuan.HunYuanMLP",
    KT "modeling_hunyuan.HunYuanMoE",
    KT "modeling_hunyuan.HunYuanRMSNorm",
    KT "modeling_llama4.Llama4TextMLP",
    KT "modeling_llama4.Llama4TextMoe",
    KT "modeling_llama4.Llama4TextRMSNorm",
    KT "modeling_llama4.Llama4TextRotaryEmbedding",
};

static const char *const unknown[] = {
    "",
    ".",
    "torch.nn.Linea",
    "torch.nn.Linear ",
    "torch.nn.modules.linear",
    "Linear",
    "ktransformers.models.",
    "ktransformers.models.modeling_deepseek_v3",
    KT "modeling_deepseek_v3.",
    KT "modeling_deepseek_v3.DeepseekV3",
    KT "modeling_deepseek_v3.DeepseekV3MOE",
    KT "modeling_deepseek_v3.DeepseekV2MoE",
    KT "modeling_deepseek_v3.DeepseekV3MoEGate",
    KT "modeling_deepseek_v3.DeepseekV3RotaryEmbedding:",
    KT "modeling_deepseek_v3.=MoEGate",
    KT "modeling_deepseek_v4.DeepseekV4MoE",
    KT "modeling_minimax_m2.MiniMaxM2MLP",
    HF "smallthinker.modeling_smallthinker.SmallthinkerMLP",
    "ktransformers.operators.experts.KExpertCPU",
};

static void test_known(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof matched / sizeof matched[0]; i++) {
        if (!td_class_is_known(matched[i])) fail_msg("%s is not known", matched[i]);
        assert_true(td_class_is_a(matched[i], matched[i]));
        assert_true(td_class_is_a(matched[i], "torch.nn.Module"));
    }
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
        if (td_class_is_known(unknown[i])) fail_msg("'%s' is known", unknown[i]);
    assert_true(td_class_is_known("transformers_modules.some.modeling_some.SomeMLP"));
}

static const struct {
    const char *node, *rule;
    bool is_a;
} pairs[] = {
    {"torch.nn.Linear",                                           "torch.nn.modules.linear.Linear",                    true },
    {"torch.nn.modules.linear.Linear",                            "torch.nn.Linear",                                   true },
    {"torch.nn.Linear",                                           "torch.nn.Embedding",                                false},
    {"torch.nn.ModuleList",                                       "torch.nn.modules.module.Module",                    true },
    {"torch.nn.Module",                                           "torch.nn.Linear",                                   false},
    {"some.class.OfOurs",                                         "torch.nn.Module",                                   true },
    {"some.class.OfOurs",                                         "torch.nn.Linear",                                   false},
    {KT "modeling_deepseek_v3.DeepseekV3YarnRotaryEmbedding",
     KT "modeling_deepseek_v3.DeepseekV3RotaryEmbedding",                                                              true },
    {KT "modeling_deepseek_v3.DeepseekV3RotaryEmbedding",
     KT "modeling_deepseek_v3.DeepseekV3YarnRotaryEmbedding",                                                          false},
    {KT "modeling_deepseek.DeepseekV2YarnRotaryEmbedding",
     KT "modeling_deepseek_v3.DeepseekV3RotaryEmbedding",                                                              false},
    {KT "modeling_deepseek_v3.MoEGate",                           KT "modeling_deepseek.MoEGate",                      false},
    {KT "modeling_deepseek.DeepseekV2FlashAttention2",            KT "modeling_deepseek.DeepseekV2Attention",
     true                                                                                                                   },
    {KT "modeling_qwen2_moe.Qwen2MoeSdpaAttention",               KT "modeling_qwen2_moe.Qwen2MoeAttention",
     true                                                                                                                   },
    {KT "modeling_qwen3_moe.Qwen3MoeMLP",                         HF "qwen3_moe.modeling_qwen3_moe.Qwen3MoeMLP",       true },
    {HF "qwen3_moe.modeling_qwen3_moe.Qwen3MoeMLP",               KT "modeling_qwen3_moe.Qwen3MoeMLP",                 true },
    {KT "modeling_qwen3_moe.Qwen3MoeMLP",                         HF "qwen2_moe.modeling_qwen2_moe.Qwen2MoeMLP",       false},
    {KT "modeling_deepseek.DeepseekV2MoE",                        HF "deepseek_v2.modeling_deepseek_v2.DeepseekV2Moe",
     true                                                                                                                   },
    {HF "hunyuan_v1_moe.modeling_hunyuan_v1_moe.HunYuanMoEV1Moe", KT "modeling_hunyuan.HunYuanMoE",
     true                                                                                                                   },
    {HF "llama4.modeling_llama4.Llama4Router",                    "torch.nn.Linear",                                   true },
    {HF "llama.modeling_llama.LlamaForCausalLM",                  "transformers.modeling_utils.PreTrainedModel",
     true                                                                                                                   },
    {KT "modeling_smallthinker.SmallThinkerForCausalLM",          "transformers.PreTrainedModel",                      true },
    {HF "llama.modeling_llama.LlamaDecoderLayer",
     "transformers.modeling_layers.GradientCheckpointingLayer",                                                        true },
};

static void test_ancestors(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        if (td_class_is_a(pairs[i].node, pairs[i].rule) != pairs[i].is_a)
            fail_msg("%s is%s a %s", pairs[i].node, pairs[i].is_a ? " not" : "", pairs[i].rule);
}

/* ---- opening ---- */

typedef struct seen {
    td_checkpoint *ckpt;
    td_model *model;
    td_tree tree;
    td_tree_links links;
} seen;

static td_status see(seen *s, const char *path, td_err *err) {
    const td_model_options options = {.assume = true};
    *s = (seen){0};
    td_tree_init(&s->tree);
    TD_TRY(td_checkpoint_open(&s->ckpt, path, err));
    TD_TRY(td_model_open(&s->model, s->ckpt, &options, err));
    return td_tree_of_model(&s->tree, &s->links, s->model, err);
}

static void clear(seen *s) {
    td_tree_clear(&s->tree);
    td_model_close(s->model);
    td_checkpoint_close(s->ckpt);
}

/* ---- trees ---- */

static uint64_t check_node(const seen *s, const td_tree_node *node) {
    uint64_t bytes = td_tree_node_bytes(&s->links, node);
    assert_ptr_equal(td_tree_find(&s->tree, node->name), node);
    if (strchr(node->class_name, '.') && strncmp(node->class_name, "modeling_", 9) != 0 &&
        !td_class_is_known(node->class_name))
        fail_msg("%s: class %s is not known", node->name, node->class_name);
    for (const td_tree_node *c = node->first_child; c; c = c->next) bytes += check_node(s, c);
    return bytes;
}

/* Bytes of all tensors, and of those that no module has. */
static uint64_t file_bytes(const seen *s, uint64_t *unused) {
    const td_tensor *list[1024];
    uint64_t all = 0;
    size_t n;
    td_err err;
    assert_int_equal(td_model_unused(s->model, list, 1024, &n, &err), TD_OK);
    assert_true(n <= 1024);
    *unused = 0;
    for (size_t i = 0; i < n; i++) *unused += list[i]->n_bytes;
    for (size_t i = 0; i < td_checkpoint_n_tensor(s->ckpt); i++)
        all += td_checkpoint_tensor_at(s->ckpt, i)->n_bytes;
    return all;
}

static void check_path(const char *path) {
    seen s;
    uint64_t unused;
    td_err err;
    if (see(&s, path, &err) != TD_OK) fail_msg("%s", err.msg);
    const uint64_t bytes = check_node(&s, s.tree.root);
    assert_true(bytes == td_tree_bytes(&s.links));
    const uint64_t all = file_bytes(&s, &unused);
    if (bytes + unused != all)
        fail_msg("%s: %llu bytes in the tree and %llu unused of %llu", path,
                 (unsigned long long)bytes, (unsigned long long)unused, (unsigned long long)all);
    clear(&s);
}

static void test_fixture(void **state) {
    char dir[] = "/tmp/td_tree_XXXXXX", file[64];
    arch_model m;
    arch_model_load(&m, *state);
    assert_non_null(mkdtemp(dir));
    arch_model_write_folder(&m, (arch_folder_options){0}, dir);
    check_path(dir);
    arch_model_remove_folder(dir);
    if (m.has_gguf) {
        snprintf(file, sizeof file, "%s.gguf", dir);
        arch_model_write_gguf(&m, file);
        check_path(file);
        unlink(file);
    }
    arch_model_clear(&m);
}

/* A DeepSeek-V3 of two layers, one dense and one of two experts, without a latent of queries, as
 * KTransformers has it: all that the children's order can get wrong. */
static const char config[] =
    "{\"architectures\": [\"DeepseekV3ForCausalLM\"], \"hidden_size\": 64, \"num_hidden_layers\": 2,"
    " \"first_k_dense_replace\": 1, \"intermediate_size\": 96, \"moe_intermediate_size\": 32,"
    " \"n_routed_experts\": 2, \"num_experts_per_tok\": 1, \"n_shared_experts\": 1, \"n_group\": 1,"
    " \"topk_group\": 1, \"num_attention_heads\": 2, \"kv_lora_rank\": 32, \"q_lora_rank\": 32,"
    " \"qk_nope_head_dim\": 16, \"qk_rope_head_dim\": 16, \"v_head_dim\": 16, \"vocab_size\": 50,"
    " \"rms_norm_eps\": 1e-6, \"max_position_embeddings\": 512, \"rope_scaling\": {\"type\":"
    " \"yarn\", \"factor\": 2, \"original_max_position_embeddings\": 256}}";

#define ATTENTION                                                                                  \
    "(self_attn=DeepseekV3Attention (q_a_proj=Linear) (q_a_layernorm=DeepseekV3RMSNorm) "          \
    "(q_b_proj=Linear) (kv_a_proj_with_mqa=Linear) (kv_a_layernorm=DeepseekV3RMSNorm) "            \
    "(kv_b_proj=Linear) (o_proj=Linear) (rotary_emb=DeepseekV3YarnRotaryEmbedding)) "
#define MLP(name)                                                                                  \
    "(" name "=DeepseekV3MLP (gate_proj=Linear) (up_proj=Linear) (down_proj=Linear) (act_fn=SiLU))"
#define NORMS " (input_layernorm=DeepseekV3RMSNorm) (post_attention_layernorm=DeepseekV3RMSNorm))"
static const char expected[] =
    "(=DeepseekV3ForCausalLM (model=DeepseekV3Model (embed_tokens=Embedding) (layers=ModuleList "
    "(0=DeepseekV3DecoderLayer " ATTENTION MLP("mlp") NORMS
    " (1=DeepseekV3DecoderLayer " ATTENTION
    "(mlp=DeepseekV3MoE (experts=ModuleList " MLP("0") " " MLP("1") ") (gate=MoEGate) " MLP(
        "shared_experts") ")" NORMS ") (norm=DeepseekV3RMSNorm)) (lm_head=Linear))";

static void print_node(const td_tree_node *node, td_strbuf *out) {
    const char *dot = strrchr(node->name, '.');
    td_strbuf_addf(out, "(%s=%s", dot ? dot + 1 : node->name, strrchr(node->class_name, '.') + 1);
    for (const td_tree_node *c = node->first_child; c; c = c->next) {
        td_strbuf_addc(out, ' ');
        print_node(c, out);
    }
    td_strbuf_addc(out, ')');
}

static void test_order(void **state) {
    char dir[] = "/tmp/td_tree_XXXXXX", path[64];
    td_strbuf text = {0};
    seen s;
    td_err err;
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/config.json", dir);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fputs(config, f);
    fclose(f);
    if (see(&s, dir, &err) != TD_OK) fail_msg("%s", err.msg);
    print_node(s.tree.root, &text);
    assert_string_equal(text.text, expected);
    const td_tree_node *experts = td_tree_find(&s.tree, "model.layers.1.mlp.experts");
    assert_int_equal(td_tree_node_bytes(&s.links, experts), 2 * 3 * 64 * 32 * 2);
    assert_int_equal(td_tree_node_bytes(&s.links, experts->first_child), 0);
    td_strbuf_clear(&text);
    clear(&s);
    arch_model_remove_folder(dir);
}

/* ---- printing ---- */

static void dump(const td_tree_node *node) {
    printf("%s %s\n", *node->name ? node->name : ".", node->class_name);
    for (const td_tree_node *c = node->first_child; c; c = c->next) dump(c);
}

static int print_model(const char *what, const char *path) {
    seen s;
    td_err err;
    const td_status status = see(&s, path, &err);
    uint64_t unused, all;
    if (status != TD_OK) {
        fprintf(stderr, "%s\n", err.msg);
    } else if (strcmp(what, "--sum") == 0) {
        all = file_bytes(&s, &unused);
        printf("%llu %llu %llu\n", (unsigned long long)td_tree_bytes(&s.links),
               (unsigned long long)unused, (unsigned long long)all);
    } else {
        dump(s.tree.root);
    }
    clear(&s);
    return status == TD_OK ? 0 : 1;
}

/* ---- the program ---- */

int main(int argc, char **argv) {
    if (argc == 3) return print_model(argv[1], argv[2]);
    const struct CMUnitTest own[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_ancestors),
        cmocka_unit_test(test_order),
    };
    const size_t n_own = sizeof own / sizeof own[0];
    int n_model;
    char **models = arch_model_list(&n_model);
    struct CMUnitTest *tests = calloc((size_t)n_model + n_own, sizeof *tests);
    if (tests == NULL || n_model == 0) return 1;
    memcpy(tests, own, sizeof own);
    for (int i = 0; i < n_model; i++)
        tests[n_own + (size_t)i] = (struct CMUnitTest){
            .name = models[i], .test_func = test_fixture, .initial_state = models[i]};
    int n_failed =
        _cmocka_run_group_tests("trees of models", tests, n_own + (size_t)n_model, NULL, NULL);
    for (int i = 0; i < n_model; i++) free(models[i]);
    free(models);
    free(tests);
    return n_failed;
}
