/* llama.c - Llama (Touvron et al., arXiv 2302.13971) and the many models that are one: RMS norm
 * before each block, rotary grouped-query attention, SwiGLU. */
#include <limits.h>

#include "model/archs.h"
#include "model/decoder.h"

#define CLASS(name) "transformers.models.llama.modeling_llama.Llama" name

static td_status read_config(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_config_defaults defaults = {.norm_eps = 1e-6};
    static const td_setting n_expert = {"expert_count", NULL};
    int n = 0;
    TD_TRY(td_config_get_int(ckpt, n_expert, false, 0, INT_MAX, &n, err));
    if (n > 0) return td_arch_mixtral.read_config(c, ckpt, err);
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
        .neox_gguf = false, /* GGUF's converter permutes the rows of q and k */
        .neox_hf = true,
    };
    if (m->config.router.n_expert > 0) return td_arch_mixtral.build_modules(m, err);
    return td_decoder_build(m, &spec, err);
}

/* InternLM3 is Llama with biases, and is one in GGUF files. */
const td_arch td_arch_llama = {.name = "llama",
                               .hf_classes = "LlamaForCausalLM InternLM3ForCausalLM",
                               .read_config = read_config,
                               .build_modules = build_modules,
                               .forward = td_decoder_forward};
