/* deepseek.c - DeepSeek-V2 (arXiv 2405.04434), V3 and R1 (arXiv 2412.19437), and the models of that
 * shape: Kimi-K2, Moonlight.  Multi-head latent attention, and experts chosen within groups.
 *
 * GGUF has one name for both generations; they differ in how scores are made.  How good a group is
 * goes by its best expert in V2 and by the sum of its best two in V3, as transformers has it. */
#include "model/deepseek.h"

#include <stdio.h>

#include "model/archs.h"

#define V2(name) "transformers.models.deepseek_v2.modeling_deepseek_v2.DeepseekV2" name
#define V3(name) "transformers.models.deepseek_v3.modeling_deepseek_v3.DeepseekV3" name

/* GGUF files that do not say how scores are made (GLM-4.7-Flash) tell by this: only sigmoids have a
 * correction bias. */
static bool has_correction(const td_config *c, const td_checkpoint *ckpt) {
    char name[48];
    snprintf(name, sizeof name, "blk.%d.exp_probs_b.bias", c->n_layer - 1);
    return td_checkpoint_tensor(ckpt, name) != NULL;
}

static td_status read_config(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_config_defaults defaults = {.norm_eps = 1e-6, .mla = true, .experts = true};
    TD_TRY(td_config_read(c, ckpt, &defaults, err));
    if (has_correction(c, ckpt)) c->router.score = TD_ROUTER_SIGMOID;
    TD_TRY(td_config_read_experts(c, ckpt, err));
    c->router.norm_added = 1e-20f;
    if (c->router.score == TD_ROUTER_SIGMOID) c->router.group_rule = TD_ROUTER_GROUP_TOP2;
    return TD_OK;
}

/* V2's folders: groups only if the method says so, weights as they are. */
static td_status read_config_v2(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_setting method = {NULL, "topk_method"};
    td_string name;
    TD_TRY(read_config(c, ckpt, err));
    TD_TRY(td_config_get_string(ckpt, method, &name, err));
    if (!name.text || td_string_is(name, "greedy"))
        c->router.n_group = 0;
    else if (!td_string_is(name, "group_limited_greedy"))
        return td_fail(err, TD_ERR_UNSUPPORTED,
                       "topk_method is '%.*s'; this build knows greedy and group_limited_greedy",
                       name.n < 64 ? (int)name.n : 64, name.text);
    c->router.normalize = false;
    c->router.score = TD_ROUTER_SOFTMAX;
    return TD_OK;
}

td_status td_deepseek_v3_config(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    TD_TRY(read_config(c, ckpt, err));
    c->router.score = TD_ROUTER_SIGMOID;
    c->router.group_rule = TD_ROUTER_GROUP_TOP2;
    return TD_OK;
}

static td_status build_v2(td_model *m, td_err *err) {
    const td_decoder_spec spec = {
        .classes = {.root = V2("ForCausalLM"),
                    .model = V2("Model"),
                    .embed = "torch.nn.Embedding",
                    .layer = V2("DecoderLayer"),
                    .attention = V2("Attention"),
                    .mlp = V2("MLP"),
                    .moe = V2("Moe"),
                    .router = V2("TopkRouter"),
                    .norm = V2("RMSNorm"),
                    .rotary = V2("RotaryEmbedding"),
                    .act_fn = "torch.nn.SiLU"},
        .qkv_bias = TD_BIAS_OPTIONAL,
        .o_bias = TD_BIAS_OPTIONAL,
        .mlp_bias = TD_BIAS_OPTIONAL,
    };
    return td_decoder_build(m, &spec, err);
}

td_status td_deepseek_v3_build(td_model *m, const td_class_names *classes, td_err *err) {
    static const td_setting interleave = {NULL, "rope_interleave"};
    bool neighbours = true;
    TD_TRY(td_config_get_bool(m->ckpt, interleave, &neighbours, err));
    const td_decoder_spec spec = {
        .classes = *classes,
        .qkv_bias = TD_BIAS_OPTIONAL,
        .o_bias = TD_BIAS_OPTIONAL,
        .correction = true,
        .neox_hf = !neighbours,
    };
    return td_decoder_build(m, &spec, err);
}

static td_status build_v3(td_model *m, td_err *err) {
    static const td_class_names classes = {.root = V3("ForCausalLM"),
                                           .model = V3("Model"),
                                           .embed = "torch.nn.Embedding",
                                           .layer = V3("DecoderLayer"),
                                           .attention = V3("Attention"),
                                           .mlp = V3("MLP"),
                                           .moe = V3("MoE"),
                                           .router = V3("TopkRouter"),
                                           .norm = V3("RMSNorm"),
                                           .rotary = V3("RotaryEmbedding"),
                                           .act_fn = "torch.nn.SiLU"};
    return td_deepseek_v3_build(m, &classes, err);
}

static td_status build_gguf(td_model *m, td_err *err) {
    return m->config.router.score == TD_ROUTER_SIGMOID ? build_v3(m, err) : build_v2(m, err);
}

const td_arch td_arch_deepseek2 = {.name = "deepseek2",
                                   .hf_classes = "",
                                   .read_config = read_config,
                                   .build_modules = build_gguf,
                                   .forward = td_decoder_forward};

const td_arch td_arch_deepseek_v2 = {.name = "deepseek_v2",
                                     .hf_only = true,
                                     .hf_classes = "DeepseekV2ForCausalLM",
                                     .read_config = read_config_v2,
                                     .build_modules = build_v2,
                                     .forward = td_decoder_forward};

const td_arch td_arch_deepseek_v3 = {.name = "deepseek_v3",
                                     .hf_only = true,
                                     .hf_classes = "DeepseekV3ForCausalLM KimiK2ForCausalLM "
                                                   "KimiK25ForConditionalGeneration "
                                                   "KimiVLForConditionalGeneration",
                                     .read_config = td_deepseek_v3_config,
                                     .build_modules = build_v3,
                                     .forward = td_decoder_forward};
