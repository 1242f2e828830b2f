/* ernie4_5_moe.c - ERNIE 4.5 with experts (Baidu): a softmax whose choice a bias corrects, shared
 * experts; and the text side of ERNIE-4.5-VL, whose files have a second bank of experts for images.
 * Where all three of its positions are equal, as in text, its rotation is the plain one. */
#include "model/archs.h"
#include "model/decoder.h"

#define CLASS(name) "transformers.models.ernie4_5_moe.modeling_ernie4_5_moe.Ernie4_5_Moe" name
#define VL_CLASS(name)                                                                             \
    "transformers.models.ernie4_5_vl_moe.modeling_ernie4_5_vl_moe.Ernie4_5_VLMoe" name

static td_status read_config(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_config_defaults defaults = {
        .norm_eps = 1e-5, .rope_theta = 500000, .n_head_kv = 4, .experts = true};
    static const td_setting norm_min = {NULL, "moe_norm_min"};
    TD_TRY(td_config_read(c, ckpt, &defaults, err));
    c->per_modality = true;
    c->router.normalize = true;
    c->router.norm_min = 1e-12f;
    TD_TRY(td_config_get_scale(ckpt, norm_min, &c->router.norm_min, err));
    return td_config_read_experts(c, ckpt, err);
}

static td_status build_modules(td_model *m, td_err *err) {
    static const td_decoder_spec spec = {
        .classes = {.root = CLASS("ForCausalLM"),
                    .model = CLASS("Model"),
                    .embed = "torch.nn.Embedding",
                    .layer = CLASS("DecoderLayer"),
                    .attention = CLASS("Attention"),
                    .mlp = CLASS("MLP"),
                    .moe = CLASS("SparseMoeBlock"),
                    .router = CLASS("TopKRouter"),
                    .norm = CLASS("RMSNorm"),
                    .rotary = CLASS("RotaryEmbedding"),
                    .act_fn = "torch.nn.SiLU"},
        .names = {.correction = "moe_statics.e_score_correction_bias"},
        .qkv_bias = TD_BIAS_OPTIONAL,
        .o_bias = TD_BIAS_OPTIONAL,
        .mlp_bias = TD_BIAS_OPTIONAL,
        .lm_head_bias = TD_BIAS_OPTIONAL,
        .correction = true,
        .unsaid = TD_UNSAID_TIED,
    };
    return td_decoder_build(m, &spec, err);
}

static td_status build_vl(td_model *m, td_err *err) {
    static const td_decoder_spec spec = {
        .classes = {.root = VL_CLASS("ForConditionalGeneration"),
                    .model = VL_CLASS("TextModel"),
                    .embed = "torch.nn.Embedding",
                    .layer = VL_CLASS("DecoderLayer"),
                    .attention = VL_CLASS("TextAttention"),
                    .mlp = VL_CLASS("MLP"),
                    .moe = VL_CLASS("MoeBlock"),
                    .router = VL_CLASS("MoeTopKRouter"),
                    .norm = VL_CLASS("RMSNorm"),
                    .rotary = VL_CLASS("TextRotaryEmbedding"),
                    .act_fn = "torch.nn.SiLU"},
        .names = {.correction = "moe_statics.e_score_correction_bias"               },
        .qkv_bias = TD_BIAS_OPTIONAL,
        .o_bias = TD_BIAS_OPTIONAL,
        .mlp_bias = TD_BIAS_OPTIONAL,
        .correction = true,
        .router_transposed = true,
        .n_bank = 2,
        .unsaid = TD_UNSAID_TIED,
    };
    return td_decoder_build(m, &spec, err);
}

const td_arch td_arch_ernie4_5_moe = {.name = "ernie4_5-moe",
                                      .hf_classes = "Ernie4_5_MoeForCausalLM",
                                      .read_config = read_config,
                                      .build_modules = build_modules,
                                      .forward = td_decoder_forward};

const td_arch td_arch_ernie4_5_vl = {
    .name = "ernie4_5_vl_moe",
    .hf_only = true,
    .hf_classes = "Ernie4_5_VLMoeForConditionalGeneration Ernie4_5_VL_MoeForConditionalGeneration",
    .read_config = read_config,
    .build_modules = build_vl,
    .forward = td_decoder_forward};
