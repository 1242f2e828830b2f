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
