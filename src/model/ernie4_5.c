/* ernie4_5.c - ERNIE 4.5, dense (Baidu): Llama that rotates neighbours in both file formats. */
#include "model/archs.h"
#include "model/decoder.h"

#define CLASS(name) "transformers.models.ernie4_5.modeling_ernie4_5.Ernie4_5" name

static td_status read_config(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_config_defaults defaults = {
        .norm_eps = 1e-5, .rope_theta = 500000, .head_dim = 128, .n_head_kv = 2};
    return td_config_read(c, ckpt, &defaults, err);
}

static td_status build_modules(td_model *m, td_err *err) {
    static const td_decoder_spec spec = {
        .classes = {.root = CLASS("ForCausalLM"),
                    .model = CLASS("Model"),
                    .embed = "torch.nn.Embedding",
                    .layer = CLASS("DecoderLayer"),
                    .attention = CLASS("Attention"),
                    .mlp = CLASS("MLP"),
                    .norm = CLASS("RMSNorm"),
                    .rotary = CLASS("RotaryEmbedding"),
                    .act_fn = "torch.nn.SiLU"},
        .qkv_bias = TD_BIAS_OPTIONAL,
        .o_bias = TD_BIAS_OPTIONAL,
        .mlp_bias = TD_BIAS_OPTIONAL,
        .unsaid = TD_UNSAID_TIED,
    };
    return td_decoder_build(m, &spec, err);
}

const td_arch td_arch_ernie4_5 = {.name = "ernie4_5",
                                  .hf_classes = "Ernie4_5ForCausalLM Ernie4_5_ForCausalLM",
                                  .read_config = read_config,
                                  .build_modules = build_modules,
                                  .forward = td_decoder_forward};
