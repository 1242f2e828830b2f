/* mistral.c - Mistral 7B (Jiang et al., arXiv 2310.06825): Llama with a sliding window in its first
 * version.  In GGUF files it is Llama. */
#include "model/archs.h"
#include "model/decoder.h"

#define CLASS(name) "transformers.models.mistral.modeling_mistral.Mistral" name

static td_status read_config(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_config_defaults defaults = {.norm_eps = 1e-6, .n_head_kv = 8};
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
        .neox_hf = true,
    };
    return td_decoder_build(m, &spec, err);
}

const td_arch td_arch_mistral = {.name = "mistral",
                                 .hf_only = true,
                                 .hf_classes = "MistralForCausalLM Ministral3ForCausalLM",
                                 .read_config = read_config,
                                 .build_modules = build_modules,
                                 .forward = td_decoder_forward};
