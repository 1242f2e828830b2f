/* minimax_m2.c - MiniMax-M2: Llama's layers with norms of all heads together, rotation of a part of
 * each head, and experts scored by a sigmoid in every layer. */
#include "model/archs.h"
#include "model/decoder.h"

#define CLASS(name) "transformers.models.minimax_m2.modeling_minimax_m2.MiniMaxM2" name

/* The hub's files say how many dimensions of a head rotate, not which part of them. */
static td_status read_rotary_dim(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_setting factor = {NULL, "rope_parameters.partial_rotary_factor"};
    static const td_setting dim = {NULL, "rotary_dim"};
    if (td_config_find(ckpt, factor)) return TD_OK;
    TD_TRY(td_config_get_int(ckpt, dim, false, 2, c->head_dim, &c->n_rot, err));
    if (c->n_rot % 2 == 0) return TD_OK;
    return td_fail(err, TD_ERR_FORMAT, "%s is %d, wanted an even number", td_config_name(ckpt, dim),
                   c->n_rot);
}

static td_status read_config(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_config_defaults defaults = {
        .rope_theta = 5e6, .norm_eps = 1e-6, .head_dim = 128, .experts = true};
    static const td_setting shared = {NULL, "shared_intermediate_size"};
    int n_shared = 0;
    TD_TRY(td_config_read(c, ckpt, &defaults, err));
    TD_TRY(read_rotary_dim(c, ckpt, err));
    TD_TRY(td_config_get_int(ckpt, shared, false, 0, 1 << 20, &n_shared, err));
    if (n_shared > 0)
        return td_fail(err, TD_ERR_UNSUPPORTED,
                       "%s is %d: this build knows no shared experts of this architecture",
                       td_config_name(ckpt, shared), n_shared);
    c->router.score = TD_ROUTER_SIGMOID;
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
                    .mlp = CLASS("MLP"),
                    .moe = CLASS("SparseMoeBlock"),
                    .router = CLASS("TopKRouter"),
                    .norm = CLASS("RMSNorm"),
                    .rotary = CLASS("RotaryEmbedding"),
                    .act_fn = "torch.nn.SiLU"},
        .names = {.moe = "block_sparse_moe",
                    .correction = "e_score_correction_bias",
                    .expert_gate = "w1",
                    .expert_up = "w3",
                    .expert_down = "w2"      },
        .qk_norm = TD_QK_NORM_ALL,
        .correction = true,
        .neox_gguf = true,
        .neox_hf = true,
    };
    return td_decoder_build(m, &spec, err);
}

const td_arch td_arch_minimax_m2 = {.name = "minimax-m2",
                                    .hf_classes = "MiniMaxM2ForCausalLM",
                                    .read_config = read_config,
                                    .build_modules = build_modules,
                                    .forward = td_decoder_forward};
