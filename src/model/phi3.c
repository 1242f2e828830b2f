/* phi3.c - Phi-3 and Phi-4 mini (Abdin et al., arXiv 2404.14219): Llama with q, k and v in one
 * matrix, gate and up in another, and LongRoPE in its long versions. */
#include "model/archs.h"
#include "model/decoder.h"

#define CLASS(name) "transformers.models.phi3.modeling_phi3.Phi3" name

static td_status read_config(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_config_defaults defaults = {.norm_eps = 1e-5, .n_ctx_train = 4096};
    TD_TRY(td_config_read(c, ckpt, &defaults, err));
    TD_TRY(td_config_read_window(c, ckpt, err));
    TD_TRY(td_config_mark_windows(c, ckpt, 0, err));
    return TD_OK;
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
        .names = {.gate_up = "gate_up_proj"},
        .qkv = TD_QKV_ROWS,
        .neox_gguf = true,
        .neox_hf = true,
    };
    return td_decoder_build(m, &spec, err);
}

const td_arch td_arch_phi3 = {.name = "phi3",
                              .hf_classes = "Phi3ForCausalLM",
                              .read_config = read_config,
                              .build_modules = build_modules,
                              .forward = td_decoder_forward};
