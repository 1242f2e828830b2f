/* internlm2.c - InternLM2 (Cai et al., arXiv 2403.17297): Llama with names of its own and q, k and
 * v in one matrix, group by group. */
#include "model/archs.h"
#include "model/decoder.h"

#define CLASS(name) "transformers_modules.modeling_internlm2.InternLM2" name

static td_status read_config(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_config_defaults defaults = {.norm_eps = 1e-6};
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
                    .act_fn = "torch.nn.SiLU"     },
        .names = { .embed = "tok_embeddings",
                    .lm_head = "output",
                    .attention = "attention",
                    .qkv = "wqkv",
                    .o = "wo",
                    .mlp = "feed_forward",
                    .gate = "w1",
                    .up = "w3",
                    .down = "w2",
                    .attn_norm = {"attention_norm", NULL},
                    .mlp_norm = {"ffn_norm", NULL}},
        .qkv = TD_QKV_GROUPS,
        .qkv_bias = TD_BIAS_OPTIONAL,
        .o_bias = TD_BIAS_OPTIONAL,
        .neox_gguf = false, /* GGUF's converter permutes the rows of q and k */
        .neox_hf = true,
    };
    return td_decoder_build(m, &spec, err);
}

const td_arch td_arch_internlm2 = {.name = "internlm2",
                                   .hf_classes = "InternLM2ForCausalLM",
                                   .read_config = read_config,
                                   .build_modules = build_modules,
                                   .forward = td_decoder_forward};
