/* mixtral.c - Mixtral (Jiang et al., arXiv 2401.04088): Mistral with experts.  In GGUF files it is
 * Llama with a number of experts, and llama.c passes it on. */
#include "model/archs.h"
#include "model/decoder.h"

#define CLASS(name) "transformers.models.mixtral.modeling_mixtral.Mixtral" name

static td_status read_config(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    const bool is_hf = td_checkpoint_get_kind(ckpt) == TD_CHECKPOINT_HF;
    const td_config_defaults defaults = {.norm_eps = 1e-5,
                                         .rope_theta = is_hf ? 1e6 : 0,
                                         .n_head_kv = is_hf ? 8 : 0,
                                         .experts = true};
    TD_TRY(td_config_read(c, ckpt, &defaults, err));
    TD_TRY(td_config_read_window(c, ckpt, err));
    TD_TRY(td_config_mark_windows(c, ckpt, 0, err));
    c->router.normalize = true;
    return td_config_read_experts(c, ckpt, err);
}

static td_status build_modules(td_model *m, td_err *err) {
    static const td_decoder_spec spec = {
        .classes = {.root = CLASS("ForCausalLM"),
                    .model = CLASS("Model"),
                    .embed = "torch.nn.Embedding",
                    .layer = CLASS("DecoderLayer"),
                    .attention = CLASS("Attention"),
                    .moe = CLASS("SparseMoeBlock"),
                    .router = CLASS("TopKRouter"),
                    .norm = CLASS("RMSNorm"),
                    .rotary = CLASS("RotaryEmbedding"),
                    .act_fn = "torch.nn.SiLU"},
        .names = {.moe = "block_sparse_moe",
                    .expert_gate = "w1",
                    .expert_up = "w3",
                    .expert_down = "w2"},
        .neox_gguf = false, /* GGUF's converter permutes the rows of q and k */
        .neox_hf = true,
    };
    return td_decoder_build(m, &spec, err);
}

const td_arch td_arch_mixtral = {.name = "mixtral",
                                 .hf_only = true,
                                 .hf_classes = "MixtralForCausalLM",
                                 .read_config = read_config,
                                 .build_modules = build_modules,
                                 .forward = td_decoder_forward};
