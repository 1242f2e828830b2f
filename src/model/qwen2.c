/* qwen2.c - Qwen2 and Qwen2.5 (Yang et al., arXiv 2407.10671): as Llama, with biases on q, k and v.
 */
#include "model/archs.h"
#include "model/pre_norm.h"

#define CLASS(name) "transformers.models.qwen2.modeling_qwen2.Qwen2" name

static td_status build_modules(td_model *m, td_err *err) {
    static const td_pre_norm_spec spec = {
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
        .neox = true,
    };
    return td_pre_norm_build(m, &spec, err);
}

const td_arch td_arch_qwen2 = {.gguf_name = "qwen2",
                               .hf_class = "Qwen2ForCausalLM",
                               .read_config = td_config_read_gguf,
                               .build_modules = build_modules,
                               .forward = td_pre_norm_forward};
