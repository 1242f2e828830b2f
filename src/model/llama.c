/* llama.c - Llama (Touvron et al., arXiv 2302.13971) and the many models that are one: RMS norm
 * before each block, rotary grouped-query attention, SwiGLU. */
#include "model/archs.h"
#include "model/pre_norm.h"

#define CLASS(name) "transformers.models.llama.modeling_llama.Llama" name

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
        .qkv_bias = TD_BIAS_OPTIONAL,
        .o_bias = TD_BIAS_OPTIONAL,
        .mlp_bias = TD_BIAS_OPTIONAL,
 /* GGUF's converter permutes the rows of q and k so that the rotated pairs lie side by side.
  */
        .neox = false,
    };
    return td_pre_norm_build(m, &spec, err);
}

const td_arch td_arch_llama = {.gguf_name = "llama",
                               .hf_class = "LlamaForCausalLM",
                               .read_config = td_config_read_gguf,
                               .build_modules = build_modules,
                               .forward = td_pre_norm_forward};
