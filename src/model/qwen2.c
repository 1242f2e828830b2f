/* qwen2.c - Qwen2 and Qwen2.5 (Yang et al., arXiv 2407.10671): as Llama, with biases on q, k and v.
 */
#include "model/archs.h"
#include "model/decoder.h"

#define CLASS(name) "transformers.models.qwen2.modeling_qwen2.Qwen2" name

static td_status read_config(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_config_defaults defaults = {.norm_eps = 1e-6};
    TD_TRY(td_config_read(c, ckpt, &defaults, err));
    return td_config_read_qwen_window(c, ckpt, err);
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
        .qkv_bias = TD_BIAS_REQUIRED,
        .neox_gguf = true,
        .neox_hf = true,
    };
    return td_decoder_build(m, &spec, err);
}

const td_arch td_arch_qwen2 = {.name = "qwen2",
                               .hf_classes = "Qwen2ForCausalLM",
                               .read_config = read_config,
                               .build_modules = build_modules,
                               .forward = td_decoder_forward};
