"""archs_cases_ma.py - mixtures of experts: Mixtral, Qwen, OLMoE, Granite, dots and Hunyuan."""
from archs_cases import GROUPED, HEADS, case, rope

# Every width that a weight is multiplied along is a multiple of 32, a block of most types.
QWEN3_MOE = "Qwen3MoeForCausalLM"
# The hub's files have the older name.
QWEN3_KEYS = dict(renamed=dict(num_local_experts="num_experts"))
UNNORMALIZED = "the file does not say whether the chosen weights are normalized: they are"
case("qwen3_moe_top2", QWEN3_MOE, 401, GROUPED, rope(theta=1e6), dict(
    head_dim=32, num_experts=8, num_experts_per_tok=2, moe_intermediate_size=64,
    norm_topk_prob=True), old=True, **QWEN3_KEYS)
case("qwen3_moe_top1", QWEN3_MOE, 402, HEADS, rope(theta=1e4), dict(
    head_dim=32, num_experts=4, num_experts_per_tok=1, moe_intermediate_size=32,
    norm_topk_prob=False, rms_norm_eps=1e-5), old=True, **QWEN3_KEYS,
    gguf_config=dict(norm_topk_prob=True), why=UNNORMALIZED)
case("qwen3_moe_all", QWEN3_MOE, 403, GROUPED, dict(
    head_dim=16, num_experts=5, num_experts_per_tok=5, moe_intermediate_size=32,
    norm_topk_prob=True), experts="fused")
case("qwen3_moe_top8_raw", QWEN3_MOE, 404, GROUPED, dict(
    head_dim=32, num_experts=16, num_experts_per_tok=8, moe_intermediate_size=32,
    norm_topk_prob=False, tie_word_embeddings=True), gguf_config=dict(norm_topk_prob=True),
    why=UNNORMALIZED)
# llama.cpp's file and graph have experts in every layer, no biases of attention and no window; a
# window is in all layers here.
case("qwen3_moe_step", QWEN3_MOE, 405, GROUPED, dict(
    head_dim=32, num_hidden_layers=4, num_experts=6, num_experts_per_tok=3,
    moe_intermediate_size=32, decoder_sparse_step=2, mlp_only_layers=[1], norm_topk_prob=True,
    attention_bias=True), old=True, gguf=False, **QWEN3_KEYS)
case("qwen3_moe_dense_layers", QWEN3_MOE, 406, GROUPED, dict(
    head_dim=16, num_hidden_layers=3, num_experts=8, num_experts_per_tok=3,
    moe_intermediate_size=64, mlp_only_layers=[0, 2], norm_topk_prob=True, use_sliding_window=True,
    sliding_window=12), old=True, gguf=False, **QWEN3_KEYS)

MIXTRAL = "MixtralForCausalLM"
case("mixtral_top2", MIXTRAL, 411, GROUPED, rope(theta=1e6), dict(
    num_local_experts=8, num_experts_per_tok=2), old=True)
case("mixtral_top1", MIXTRAL, 412, HEADS, dict(
    num_local_experts=4, num_experts_per_tok=1, rms_norm_eps=1e-4))
# Files from before the experts were stacked.
case("mixtral_all", MIXTRAL, 413, GROUPED, dict(
    head_dim=32, num_local_experts=3, num_experts_per_tok=3), experts="apart")
case("mixtral_window", MIXTRAL, 414, GROUPED, dict(
    num_local_experts=6, num_experts_per_tok=3, sliding_window=12, num_hidden_layers=3), old=True,
    gguf_config=dict(sliding_window=None), why="the file has no sliding window")

QWEN2_MOE = "Qwen2MoeForCausalLM"
RAW = "the file does not say whether the chosen weights are normalized: they are not"
case("qwen2_moe_top4", QWEN2_MOE, 421, GROUPED, rope(theta=1e6), dict(
    num_experts=12, num_experts_per_tok=4, moe_intermediate_size=32,
    shared_expert_intermediate_size=96, norm_topk_prob=False), old=True)
case("qwen2_moe_top1", QWEN2_MOE, 422, HEADS, dict(
    num_experts=4, num_experts_per_tok=1, moe_intermediate_size=64, tie_word_embeddings=False,
    shared_expert_intermediate_size=32, norm_topk_prob=False, rms_norm_eps=1e-4))
case("qwen2_moe_all", QWEN2_MOE, 423, GROUPED, dict(
    num_experts=5, num_experts_per_tok=5, moe_intermediate_size=32, norm_topk_prob=False,
    shared_expert_intermediate_size=64))
case("qwen2_moe_normalized", QWEN2_MOE, 424, GROUPED, dict(
    num_experts=8, num_experts_per_tok=3, moe_intermediate_size=32, norm_topk_prob=True,
    shared_expert_intermediate_size=160), old=True, gguf_config=dict(norm_topk_prob=False), why=RAW)
# llama.cpp has experts in every layer, a matrix of the head's own and no window.
case("qwen2_moe_dense_layers", QWEN2_MOE, 425, HEADS, dict(
    num_hidden_layers=5, num_experts=6, num_experts_per_tok=2, moe_intermediate_size=32,
    shared_expert_intermediate_size=64, norm_topk_prob=False, mlp_only_layers=[0, 3],
    use_sliding_window=True, sliding_window=12, max_window_layers=4, qkv_bias=False), old=True,
    gguf=False)

OLMOE = "OlmoeForCausalLM"
case("olmoe_top8", OLMOE, 431, GROUPED, dict(
    num_key_value_heads=4, intermediate_size=32, num_experts=16, num_experts_per_tok=8,
    norm_topk_prob=False), old=True)
case("olmoe_top1_normalized", OLMOE, 432, GROUPED, rope(theta=5e5), dict(
    num_key_value_heads=4, intermediate_size=64, num_experts=4, num_experts_per_tok=1,
    norm_topk_prob=True), gguf_config=dict(norm_topk_prob=False), why=RAW)
# llama.cpp's norm of k is as wide as q's, and it has no biases.
case("olmoe_grouped_all", OLMOE, 433, HEADS, dict(
    num_key_value_heads=2, intermediate_size=32, num_experts=5, num_experts_per_tok=5,
    rms_norm_eps=1e-3, attention_bias=True), old=True, gguf=False)
case("olmoe_clipped", OLMOE, 434, GROUPED, dict(
    num_key_value_heads=4, intermediate_size=32, num_experts=6, num_experts_per_tok=2,
    norm_topk_prob=True, clip_qkv=0.75), old=True, gguf=False)

GRANITE_MOE, GRANITE_SHARED = "GraniteMoeForCausalLM", "GraniteMoeSharedForCausalLM"
MULTIPLIERS = dict(attention_multiplier=0.15, embedding_multiplier=3.0, residual_multiplier=0.6,
                   logits_scaling=4.0)
case("granitemoe_top2", GRANITE_MOE, 441, GROUPED, MULTIPLIERS, dict(
    num_local_experts=8, num_experts_per_tok=2), gains=dict(head=4.0, embed=1.0), old=True)
case("granitemoe_top1_biases", GRANITE_MOE, 442, HEADS, dict(
    attention_multiplier=0.3, embedding_multiplier=12.0, residual_multiplier=0.22,
    logits_scaling=0.5, rms_norm_eps=1e-5, attention_bias=True, intermediate_size=32,
    num_local_experts=4, num_experts_per_tok=1), gains=dict(embed=0.5))
case("granitemoe_all", GRANITE_MOE, 443, GROUPED, MULTIPLIERS, rope(theta=5e5), dict(
    intermediate_size=32, num_local_experts=5, num_experts_per_tok=5),
    gains=dict(head=4.0, embed=1.0))
case("granitemoeshared_top4", GRANITE_SHARED, 444, GROUPED, MULTIPLIERS, dict(
    intermediate_size=32, num_local_experts=12, num_experts_per_tok=4,
    shared_intermediate_size=64), gains=dict(head=4.0, embed=1.0), old=True)
case("granitemoeshared_top1", GRANITE_SHARED, 445, HEADS, MULTIPLIERS, dict(
    intermediate_size=64, num_local_experts=3, num_experts_per_tok=1,
    shared_intermediate_size=96), gains=dict(embed=4.0))
case("granitemoeshared_none", GRANITE_SHARED, 446, GROUPED, MULTIPLIERS, dict(
    intermediate_size=32, num_local_experts=6, num_experts_per_tok=3,
    shared_intermediate_size=0), gains=dict(head=4.0, embed=1.0), old=True)

DOTS1 = "Dots1ForCausalLM"
case("dots1_groups", DOTS1, 451, GROUPED, dict(
    num_key_value_heads=4, num_hidden_layers=3, first_k_dense_replace=1, n_routed_experts=16,
    num_experts_per_tok=4, n_group=4, topk_group=2, norm_topk_prob=True, n_shared_experts=2,
    moe_intermediate_size=32, routed_scaling_factor=2.5, scoring_func="sigmoid",
    sliding_window=None), old=True)
case("dots1_raw", DOTS1, 452, HEADS, rope(theta=1e6), dict(
    n_routed_experts=6, num_experts_per_tok=2, norm_topk_prob=False, n_shared_experts=1,
    moe_intermediate_size=64, routed_scaling_factor=1.0, scoring_func="sigmoid",
    sliding_window=None, tie_word_embeddings=False, rms_norm_eps=1e-5))
# The function of the scores is the architecture's, though llama.cpp's files name it.
case("dots1_top1", DOTS1, 453, GROUPED, dict(
    num_key_value_heads=4, num_hidden_layers=2, first_k_dense_replace=1, n_routed_experts=4,
    num_experts_per_tok=1, norm_topk_prob=False, n_shared_experts=1, moe_intermediate_size=64,
    routed_scaling_factor=1.5, sliding_window=None), old=True,
    converter=dict(scoring_func="sigmoid"))
# llama.cpp has as many heads of k as of q, a matrix of the head's own, no window and no biases.
case("dots1_all_window", DOTS1, 454, HEADS, dict(
    num_key_value_heads=2, num_hidden_layers=4, first_k_dense_replace=2, n_routed_experts=6,
    num_experts_per_tok=6, norm_topk_prob=True, n_shared_experts=3, moe_intermediate_size=32,
    routed_scaling_factor=0.75, sliding_window=12, max_window_layers=1, attention_bias=True,
    n_group=1, topk_group=1), old=True, gguf=False)

HUNYUAN = "HunYuanMoEV1ForCausalLM"


def hunyuan(n_layer, width, top_k):
    """What files of the hub say of each layer; transformers 5 has one number for all."""
    more = dict(moe_intermediate_size=[width] * n_layer, moe_topk=[top_k] * n_layer,
                num_shared_expert=[1] * n_layer)
    return dict(converter=more, old_more=dict(
        more, use_qk_norm=True, use_cla=False, n_group=False, topk_group=False,
        routed_scaling_factor=False, norm_topk_prob=True))


def alpha(value):
    return rope("dynamic", 10000.0, factor=1.0, alpha=value)


case("hunyuan_v1_moe_top2", HUNYUAN, 461, GROUPED, rope(theta=1e5), dict(
    head_dim=32, intermediate_size=64, num_experts=8, moe_topk=2), old=True,
    **hunyuan(2, 64, 2))
case("hunyuan_v1_moe_top1", HUNYUAN, 462, HEADS, dict(
    head_dim=32, intermediate_size=32, num_experts=4, moe_topk=1, rms_norm_eps=1e-4),
    **hunyuan(3, 32, 1))
case("hunyuan_v1_moe_alpha", HUNYUAN, 463, GROUPED, alpha(1000.0), dict(
    hidden_size=256, num_attention_heads=2, num_key_value_heads=1, head_dim=128,
    intermediate_size=32, num_experts=6, moe_topk=3, max_position_embeddings=32768), old=True,
    **hunyuan(2, 32, 3))
case("hunyuan_v1_moe_all_biases", HUNYUAN, 464, GROUPED, alpha(8.0), dict(
    head_dim=16, intermediate_size=32, num_experts=5, moe_topk=5, attention_bias=True), old=True,
    gguf=False, **hunyuan(2, 32, 5))
