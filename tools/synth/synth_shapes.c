/* synth_shapes.c - the models that synth-model knows, and what of them can be cut. */
#include <stdlib.h>
#include <string.h>

#include "base/options.h"

#include "synth_int.h"

static const synth_shape shapes[] = {
    {.name = "deepseek-v2-lite",
     .family = SYNTH_DEEPSEEK,
     .native = SYNTH_BF16,
     .arch = "deepseek2",
     .pre = "deepseek-llm",
     .hub_class = "DeepseekV2ForCausalLM",
     .hub_type = "deepseek_v2",
     .n_layer = 27,
     .n_dense = 1,
     .n_embd = 2048,
     .n_ff = 10944,
     .n_ff_exp = 1408,
     .n_expert = 64,
     .n_expert_used = 6,
     .n_expert_shared = 2,
     .n_group = 1,
     .n_group_used = 1,
     .n_head = 16,
     .n_head_kv = 16,
     .head_dim = 192,
     .n_rot = 64,
     .v_dim = 128,
     .kv_lora = 512,
     .n_vocab = 102400,
     .bos = 100000,
     .eos = 100001,
     .n_ctx = 163840,
     .eps = 1e-6,
     .theta = 1e4,
     .yarn = 40,
     .beta_fast = 32,
     .beta_slow = 1,
     .mscale = 0.707,
     .weights_scale = 1,
     .add_bos = true},
    {.name = "qwen3-30b-a3b",
     .family = SYNTH_QWEN3,
     .native = SYNTH_BF16,
     .arch = "qwen3moe",
     .pre = "qwen2",
     .hub_class = "Qwen3MoeForCausalLM",
     .hub_type = "qwen3_moe",
     .n_layer = 48,
     .n_embd = 2048,
     .n_ff = 6144,
     .n_ff_exp = 768,
     .n_expert = 128,
     .n_expert_used = 8,
     .n_head = 32,
     .n_head_kv = 4,
     .head_dim = 128,
     .n_rot = 128,
     .v_dim = 128,
     .n_vocab = 151936,
     .bos = 151643,
     .eos = 151645,
     .n_ctx = 40960,
     .eps = 1e-6,
     .theta = 1e6,
     .normalized = true},
    {.name = "minimax-m2",
     .family = SYNTH_MINIMAX,
     .native = SYNTH_FP8,
     .arch = "minimax-m2",
     .pre = "minimax-m2",
     .hub_class = "MiniMaxM2ForCausalLM",
     .hub_type = "minimax_m2",
     .n_layer = 62,
     .n_embd = 3072,
     .n_ff = 1536,
     .n_ff_exp = 1536,
     .n_expert = 256,
     .n_expert_used = 8,
     .n_head = 48,
     .n_head_kv = 8,
     .head_dim = 128,
     .n_rot = 64,
     .v_dim = 128,
     .n_vocab = 200064,
     .bos = 200034,
     .eos = 200020,
     .n_ctx = 196608,
     .eps = 1e-6,
     .theta = 5e6,
     .sigmoid = true,
     .normalized = true},
    {.name = "deepseek-v3",
     .family = SYNTH_DEEPSEEK,
     .native = SYNTH_FP8,
     .arch = "deepseek2",
     .pre = "deepseek-v3",
     .hub_class = "DeepseekV3ForCausalLM",
     .hub_type = "deepseek_v3",
     .n_layer = 61,
     .n_dense = 3,
     .n_embd = 7168,
     .n_ff = 18432,
     .n_ff_exp = 2048,
     .n_expert = 256,
     .n_expert_used = 8,
     .n_expert_shared = 1,
     .n_group = 8,
     .n_group_used = 4,
     .n_head = 128,
     .n_head_kv = 128,
     .head_dim = 192,
     .n_rot = 64,
     .v_dim = 128,
     .q_lora = 1536,
     .kv_lora = 512,
     .n_vocab = 129280,
     .bos = 0,
     .eos = 1,
     .n_ctx = 163840,
     .eps = 1e-6,
     .theta = 1e4,
     .yarn = 40,
     .beta_fast = 32,
     .beta_slow = 1,
     .mscale = 1,
     .weights_scale = 2.5,
     .sigmoid = true,
     .normalized = true,
     .add_bos = true},
    {.name = "kimi-k2",
     .family = SYNTH_DEEPSEEK,
     .native = SYNTH_INT4,
     .arch = "deepseek2",
     .pre = "kimi-k2",
     .hub_class = "DeepseekV3ForCausalLM",
     .hub_type = "kimi_k2",
     .n_layer = 61,
     .n_dense = 1,
     .n_embd = 7168,
     .n_ff = 18432,
     .n_ff_exp = 2048,
     .n_expert = 384,
     .n_expert_used = 8,
     .n_expert_shared = 1,
     .n_group = 1,
     .n_group_used = 1,
     .n_head = 64,
     .n_head_kv = 64,
     .head_dim = 192,
     .n_rot = 64,
     .v_dim = 128,
     .q_lora = 1536,
     .kv_lora = 512,
     .n_vocab = 163840,
     .bos = 163584,
     .eos = 163585,
     .n_ctx = 262144,
     .eps = 1e-5,
     .theta = 5e4,
     .yarn = 64,
     .beta_fast = 1,
     .beta_slow = 1,
     .mscale = 1,
     .weights_scale = 2.827,
     .sigmoid = true,
     .normalized = true},
    {.name = "llama-1.1b",
     .family = SYNTH_LLAMA,
     .native = SYNTH_BF16,
     .arch = "llama",
     .pre = "gpt-2",
     .hub_class = "LlamaForCausalLM",
     .hub_type = "llama",
     .n_layer = 22,
     .n_embd = 2048,
     .n_ff = 5632,
     .n_head = 32,
     .n_head_kv = 4,
     .head_dim = 64,
     .n_rot = 64,
     .v_dim = 64,
     .n_vocab = 32000,
     .bos = 1,
     .eos = 2,
     .n_ctx = 2048,
     .eps = 1e-5,
     .theta = 1e4,
     .add_bos = true                       },
};
enum { N_SHAPE = sizeof shapes / sizeof shapes[0], MIN_VOCAB = 300 };

const synth_shape *synth_shapes(int *n) {
    *n = N_SHAPE;
    return shapes;
}

static td_status find(synth_shape *out, const char *name, td_err *err) {
    const char *names[N_SHAPE];
    for (int i = 0; i < N_SHAPE; i++) {
        names[i] = shapes[i].name;
        *out = shapes[i];
        if (strcmp(name, names[i]) == 0) return TD_OK;
    }
    const char *near = td_option_nearest(name, names, N_SHAPE);
    return td_fail(err, TD_ERR_ARGUMENT, "unknown model '%s'%s%s%s", name,
                   near ? ", did you mean '" : "; --help lists them", near ? near : "",
                   near ? "'?" : "");
}

/* Every width, in whole blocks of 32; heads stay as wide as they are, so that they become fewer. */
static void shrink(synth_shape *s, int64_t by) {
    int64_t *const widths[] = {&s->n_embd, &s->n_ff, &s->n_ff_exp, &s->q_lora, &s->kv_lora};
    for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++) {
        if (*widths[i] == 0) continue;
        *widths[i] = *widths[i] / by / 32 * 32;
        if (*widths[i] == 0) *widths[i] = 32;
    }
    s->n_head_kv = s->n_head_kv > by ? s->n_head_kv / by : 1;
    s->n_head = s->n_head / by / s->n_head_kv * s->n_head_kv;
    if (s->n_head == 0) s->n_head = s->n_head_kv;
}

/* One layer with experts stays, as do as many groups as the experts can make. */
static td_status cut_experts(synth_shape *s, int64_t n, td_err *err) {
    if (s->n_expert == 0)
        return td_fail(err, TD_ERR_ARGUMENT, "--experts: %s has no experts", s->name);
    s->n_expert = n;
    if (s->n_expert_used > n) s->n_expert_used = n;
    const bool groups_fit = s->n_group > 1 && n % s->n_group == 0 && n / s->n_group >= 2 &&
                            n / s->n_group * s->n_group_used >= s->n_expert_used;
    if (s->n_group > 1 && !groups_fit) s->n_group = s->n_group_used = 1;
    return TD_OK;
}

td_status synth_shape_find(synth_shape *out, const char *name, const synth_cut *cut, td_err *err) {
    TD_TRY(find(out, name, err));
    if (cut->n_layer > 0) out->n_layer = cut->n_layer;
    if (out->n_dense >= out->n_layer) out->n_dense = out->n_layer - 1;
    if (cut->n_expert > 0) TD_TRY(cut_experts(out, cut->n_expert, err));
    if (cut->shrink > 1) shrink(out, cut->shrink);
    if (cut->n_vocab > 0) {
        if (cut->n_vocab < MIN_VOCAB)
            return td_fail(err, TD_ERR_ARGUMENT, "--vocab %lld, wanted at least %d",
                           (long long)cut->n_vocab, MIN_VOCAB);
        out->n_vocab = cut->n_vocab;
        if (out->bos >= out->n_vocab) out->bos = out->n_vocab - 2;
        if (out->eos >= out->n_vocab) out->eos = out->n_vocab - 1;
    }
    return TD_OK;
}
