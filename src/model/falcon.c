/* falcon.c - Falcon 7B and 40B (Almazrouei et al., arXiv 2311.16867): attention and MLP side by
 * side behind one LayerNorm or two, one head of keys for many of queries, a plain GELU MLP. */
#include "model/archs.h"
#include "model/decoder.h"

#define CLASS(name) "transformers.models.falcon.modeling_falcon.Falcon" name

static const td_setting set_new = {NULL, "new_decoder_architecture"};
static const td_setting set_multi = {NULL, "multi_query"};
static const td_setting set_parallel = {NULL, "parallel_attn"};
static const td_setting set_alibi = {NULL, "alibi"};

static td_status read_config(td_config *c, const td_checkpoint *ckpt, td_err *err) {
    static const td_config_defaults defaults = {
        .norm_eps = 1e-5, .activation = TD_ACTIVATION_GELU, .ff_is_4_embd = true};
    bool is_new = false, multi = true, alibi = false;
    TD_TRY(td_config_read(c, ckpt, &defaults, err));
    TD_TRY(td_config_get_bool(ckpt, set_alibi, &alibi, err));
    if (alibi)
        return td_fail(err, TD_ERR_UNSUPPORTED, "%s is true: this build does not know ALiBi",
                       td_config_name(ckpt, set_alibi));
    TD_TRY(td_config_get_bool(ckpt, set_new, &is_new, err));
    TD_TRY(td_config_get_bool(ckpt, set_multi, &multi, err));
    c->parallel = true;
    TD_TRY(td_config_get_bool(ckpt, set_parallel, &c->parallel, err));
    if (is_new) c->parallel = true;
    /* The first architecture counts heads of keys by multi_query, whatever num_kv_heads says. */
    if (td_checkpoint_get_kind(ckpt) == TD_CHECKPOINT_HF && !is_new)
        c->n_head_kv = multi ? 1 : c->n_head;
    return TD_OK;
}

/* Does config.json promise a norm for each block? */
static td_status read_two_norms(const td_checkpoint *ckpt, bool *out, td_err *err) {
    static const td_setting set_n_norm = {NULL, "num_ln_in_parallel_attn"};
    int n_norm = 2;
    TD_TRY(td_config_get_bool(ckpt, set_new, out, err));
    TD_TRY(td_config_get_int(ckpt, set_n_norm, false, 1, 2, &n_norm, err));
    *out = *out && n_norm == 2;
    return TD_OK;
}

static td_status build_modules(td_model *m, td_err *err) {
    td_decoder_spec spec = {
        .classes = {.root = CLASS("ForCausalLM"),
                    .model = CLASS("Model"),
                    .embed = "torch.nn.Embedding",
                    .layer = CLASS("DecoderLayer"),
                    .attention = CLASS("Attention"),
                    .mlp = CLASS("MLP"),
                    .norm = "torch.nn.LayerNorm",
                    .rotary = CLASS("RotaryEmbedding"),
                    .act_fn = "transformers.activations.GELUActivation"},
        .names = {.model = "transformer",
                    .embed = "word_embeddings",
                    .layers = "h",
                    .norm = "ln_f",
                    .attention = "self_attention",
                    .qkv = "query_key_value",
                    .o = "dense",
                    .up = "dense_h_to_4h",
                    .down = "dense_4h_to_h"                            },
        .qkv = TD_QKV_GROUPS,
        .qkv_bias = TD_BIAS_OPTIONAL,
        .o_bias = TD_BIAS_OPTIONAL,
        .mlp_bias = TD_BIAS_OPTIONAL,
        .norm = TD_NORM_LAYER,
        .plain_mlp = true,
        .neox_gguf = true,
        .neox_hf = true,
        .unsaid = TD_UNSAID_TIED,
    };
    bool has_two = false;
    if (m->assumption) TD_TRY(read_two_norms(m->ckpt, &has_two, err));
    if (has_two) spec.unsaid |= TD_UNSAID_TWO_NORMS;
    /* Falcon 40B has a norm for each block; GGUF gives the older name to the MLP's. */
    if (has_two || td_checkpoint_tensor(m->ckpt, "blk.0.attn_norm_2.weight") ||
        td_checkpoint_tensor(m->ckpt, "transformer.h.0.ln_attn.weight")) {
        spec.names.attn_norm = (td_part_name){"ln_attn", "attn_norm_2"};
        spec.names.mlp_norm = (td_part_name){"ln_mlp", "attn_norm"};
    }
    return td_decoder_build(m, &spec, err);
}

const td_arch td_arch_falcon = {.name = "falcon",
                                .hf_classes = "FalconForCausalLM RWForCausalLM",
                                .read_config = read_config,
                                .build_modules = build_modules,
                                .forward = td_decoder_forward};
