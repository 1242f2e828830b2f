"""archs_cases_mc.py - DeepSeek V2 and V3 with their relatives: compressed keys and values, experts."""
from archs_cases import case, rope

V2, V3 = "DeepseekV2ForCausalLM", "DeepseekV3ForCausalLM"
MLA = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4,
           num_key_value_heads=4, kv_lora_rank=32, qk_nope_head_dim=32, qk_rope_head_dim=16,
           v_head_dim=32, moe_intermediate_size=32, first_k_dense_replace=1, rms_norm_eps=1e-6,
           tie_word_embeddings=False, max_position_embeddings=1024)


def yarn(mscale, all_dim, factor=8.0, theta=10000.0, **more):
    """With an original context so short that the ramp has an inside."""
    return rope("yarn", theta, factor=factor, original_max_position_embeddings=128,
                **{"beta_fast": 32, "beta_slow": 1, **more}, mscale=mscale, mscale_all_dim=all_dim)


# ---- GGUF files from before llama.cpp had keys and values compressed ----


def legacy_parameters(cls):
    """Heads are said as they are once expanded, and nothing of groups."""
    def set_gguf_parameters(self):
        cls.set_gguf_parameters(self)
        keys, h = self.gguf_writer.kv_data[0], self.hparams
        for key in ("attention.key_length_mla", "attention.value_length_mla",
                    "expert_group_count", "expert_group_used_count"):
            keys.pop("deepseek2." + key, None)
        for key, value in (("head_count_kv", h["num_attention_heads"]),
                           ("key_length", h["qk_nope_head_dim"] + h["qk_rope_head_dim"]),
                           ("value_length", h["v_head_dim"])):
            keys["deepseek2.attention." + key].value = value
    return set_gguf_parameters


def legacy_tensors(cls):
    """kv_b_proj in one piece."""
    def modify_tensors(self, data, name, bid):
        if name.endswith("kv_b_proj.weight"):
            yield self.map_tensor_name(name), data
        else:
            yield from cls.modify_tensors(self, data, name, bid)
    return modify_tensors


LEGACY = dict(set_gguf_parameters=legacy_parameters, modify_tensors=legacy_tensors)

# ---- deepseek_v2 ----
# llama.cpp takes models of 26 or 27 layers for ones without q_lora_rank.
LITE = dict(peer_keys={"deepseek2.attention.q_lora_rank": 0})
HUB = dict(aux_loss_alpha=0.001, seq_aux=True, moe_layer_freq=1, ep_size=1)
HUB_V2 = dict(HUB, scoring_func="softmax")
# transformers' norms of the compressed states have an epsilon of 1e-6 whatever the configuration says.
EPSILON = "llama.cpp has rms_norm_eps for the norms of the compressed states too"
GROUP_RULE = "llama.cpp takes the sum of the two best for a group's score, the model its best"
case("deepseek_v2_lite", V2, 501, MLA, yarn(0.707, 0.707), dict(
    q_lora_rank=None, n_routed_experts=8, num_experts_per_tok=3, n_shared_experts=2,
    topk_method="greedy"), old_more=HUB_V2, old=True, **LITE)
case("deepseek_v2_lite_legacy", V2, 502, MLA, yarn(0.707, 0.707), dict(
    q_lora_rank=None, n_routed_experts=8, num_experts_per_tok=3, n_shared_experts=2,
    topk_method="greedy", first_k_dense_replace=2), methods=LEGACY, **LITE)
case("deepseek_v2_groups", V2, 503, MLA, yarn(1.0, 1.0), dict(
    q_lora_rank=32, n_routed_experts=16, num_experts_per_tok=4, n_shared_experts=2, n_group=4,
    topk_group=2, topk_method="group_limited_greedy", routed_scaling_factor=16.0), old_more=HUB_V2,
    old=True, why=GROUP_RULE)
case("deepseek_v2_one_expert", V2, 504, MLA, dict(
    q_lora_rank=64, n_routed_experts=4, num_experts_per_tok=1, n_shared_experts=1,
    topk_method="greedy", first_k_dense_replace=0, num_hidden_layers=2, v_head_dim=16,
    rms_norm_eps=1e-4), why=EPSILON)
case("deepseek_v2_all_experts_tied", V2, 505, MLA, rope(theta=5e5), dict(
    q_lora_rank=None, n_routed_experts=4, num_experts_per_tok=4, n_shared_experts=3,
    topk_method="greedy", num_hidden_layers=2, qk_nope_head_dim=64, qk_rope_head_dim=32,
    tie_word_embeddings=True), experts="fused", **LITE)
# What a GGUF file does not say.
case("deepseek_v2_mscales_biases", V2, 506, MLA, yarn(0.7, 1.2, beta_fast=16, beta_slow=2), dict(
    q_lora_rank=32, n_routed_experts=8, num_experts_per_tok=2, n_shared_experts=1,
    topk_method="greedy", attention_bias=True), gguf=False)

# ---- deepseek_v3 ----
UNREAD = "llama.cpp reads none of rope.scaling.yarn_*"
HUB_V3 = dict(HUB, scoring_func="sigmoid", topk_method="noaux_tc")
SIGMOID = dict(scoring_func="sigmoid")


def mtp(config):
    """The layer that predicts one more token, behind the others."""
    c, prefix = config, f"model.layers.{config['num_hidden_layers']}."
    h, n, kv = c["hidden_size"], c["num_attention_heads"], c["kv_lora_rank"]
    head, ff = c["qk_nope_head_dim"] + c["qk_rope_head_dim"], c["moe_intermediate_size"]
    table = {"embed_tokens": [c["vocab_size"], h], "enorm": [h], "hnorm": [h],
             "eh_proj": [h, 2 * h], "shared_head.norm": [h], "shared_head.head": [c["vocab_size"], h],
             "input_layernorm": [h], "post_attention_layernorm": [h],
             "self_attn.q_a_proj": [c["q_lora_rank"], h], "self_attn.q_a_layernorm": [
                 c["q_lora_rank"]], "self_attn.q_b_proj": [n * head, c["q_lora_rank"]],
             "self_attn.kv_a_proj_with_mqa": [kv + c["qk_rope_head_dim"], h],
             "self_attn.kv_a_layernorm": [kv],
             "self_attn.kv_b_proj": [n * (c["qk_nope_head_dim"] + c["v_head_dim"]), kv],
             "self_attn.o_proj": [h, n * c["v_head_dim"]],
             "mlp.gate": [c["n_routed_experts"], h]}
    mlps = [f"mlp.experts.{e}" for e in range(c["n_routed_experts"])] + ["mlp.shared_experts"]
    for mlp in mlps:
        table.update({f"{mlp}.gate_proj": [ff, h], f"{mlp}.up_proj": [ff, h],
                      f"{mlp}.down_proj": [h, ff]})
    table = {f"{prefix}{k}.weight": v for k, v in table.items()}
    table[prefix + "mlp.gate.e_score_correction_bias"] = [c["n_routed_experts"]]
    return table


case("deepseek_v3_groups", V3, 511, MLA, yarn(1.0, 1.0), dict(
    q_lora_rank=32, n_routed_experts=16, num_experts_per_tok=4, n_shared_experts=1, n_group=4,
    topk_group=2, num_hidden_layers=2, routed_scaling_factor=2.5), old_more=dict(
    HUB_V3, num_nextn_predict_layers=0), converter=SIGMOID, old=True)
# As the hub's folders have it; the GGUF file drops the layer.
case("deepseek_v3_mtp", V3, 512, MLA, yarn(1.0, 1.0), dict(
    q_lora_rank=64, n_routed_experts=8, num_experts_per_tok=3, n_shared_experts=1, n_group=2,
    topk_group=1, num_hidden_layers=2), old_more=dict(HUB_V3, num_nextn_predict_layers=1), extra=mtp,
    converter=SIGMOID, old=True)
case("deepseek_v3_legacy", V3, 513, MLA, yarn(1.0, 1.0), dict(
    q_lora_rank=32, n_routed_experts=8, num_experts_per_tok=2, n_shared_experts=1, n_group=1,
    topk_group=1, num_hidden_layers=2), converter=SIGMOID, methods=LEGACY)
case("deepseek_v3_moonlight", V3, 514, MLA, rope(theta=50000.0), dict(
    q_lora_rank=None, n_routed_experts=12, num_experts_per_tok=3, n_shared_experts=2, n_group=1,
    topk_group=1, routed_scaling_factor=2.446, rms_norm_eps=1e-5), old_more=HUB_V3, converter=SIGMOID,
    old=True, **LITE)
case("deepseek_v3_kimi_k2", V3, 515, MLA, yarn(1.0, 1.0, 32.0, 50000.0, beta_fast=1), dict(
    q_lora_rank=64, n_routed_experts=12, num_experts_per_tok=4, n_shared_experts=1, n_group=1,
    topk_group=1, num_hidden_layers=2, routed_scaling_factor=2.827, rms_norm_eps=1e-5), old_more=dict(
    HUB_V3, model_type="kimi_k2", num_nextn_predict_layers=0), converter=SIGMOID, old=True,
    n_token=50, why=UNREAD, experts="fused")
case("deepseek_v3_one_expert", V3, 516, MLA, dict(
    q_lora_rank=32, n_routed_experts=4, num_experts_per_tok=1, n_shared_experts=1, n_group=1,
    topk_group=1, first_k_dense_replace=0, num_hidden_layers=2, norm_topk_prob=True,
    qk_nope_head_dim=64, v_head_dim=16), converter=SIGMOID)
case("deepseek_v3_all_experts_tied", V3, 517, MLA, dict(
    q_lora_rank=32, n_routed_experts=4, num_experts_per_tok=4, n_shared_experts=2, n_group=1,
    topk_group=1, num_hidden_layers=2, norm_topk_prob=False, routed_scaling_factor=1.0,
    tie_word_embeddings=True), converter=SIGMOID)
# What no GGUF file says: biases, and rotation of halves.
case("deepseek_v3_halves_biases", V3, 518, MLA, dict(
    q_lora_rank=32, n_routed_experts=8, num_experts_per_tok=3, n_shared_experts=1, n_group=2,
    topk_group=1, num_hidden_layers=2, rope_interleave=False, attention_bias=True), gguf=False)

# ---- qwen3_next: three layers of linear attention, then one of full attention ----
NEXT = "Qwen3NextForCausalLM"
DELTA = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=4, num_attention_heads=4,
             num_key_value_heads=2, head_dim=32, tie_word_embeddings=False, rms_norm_eps=1e-6,
             linear_conv_kernel_dim=4, linear_key_head_dim=16, linear_value_head_dim=16,
             linear_num_key_heads=2, linear_num_value_heads=4, num_experts=8,
             num_experts_per_tok=2, moe_intermediate_size=32, shared_expert_intermediate_size=64,
             norm_topk_prob=True)
QUARTER = rope(theta=1e6, partial_rotary_factor=0.25)
NO_MTP = dict(methods=dict(no_mtp=lambda cls: True))


def one_projection(cls):
    """q, k, v and z together, as the first files had them."""
    def modify_tensors(self, data, name, bid):
        if name.endswith("in_proj_qkvz.weight"):
            yield f"blk.{bid}.ssm_in.weight", data
        else:
            yield from cls.modify_tensors(self, data, name, bid)
    return modify_tensors


def next_mtp(config):
    """The layer that predicts one more token, as Qwen3-Next's folders have it."""
    c, h, width = config, config["hidden_size"], config["num_attention_heads"] * config["head_dim"]
    kv, ff = c["num_key_value_heads"] * c["head_dim"], c["moe_intermediate_size"]
    table = {"fc": [h, 2 * h], "norm": [h], "pre_fc_norm_embedding": [h], "pre_fc_norm_hidden": [h]}
    layer = {"input_layernorm": [h], "post_attention_layernorm": [h],
             "self_attn.q_proj": [2 * width, h], "self_attn.k_proj": [kv, h],
             "self_attn.v_proj": [kv, h], "self_attn.o_proj": [h, width],
             "self_attn.q_norm": [c["head_dim"]], "self_attn.k_norm": [c["head_dim"]],
             "mlp.gate": [c["num_experts"], h], "mlp.shared_expert_gate": [1, h]}
    mlps = {f"mlp.experts.{e}": ff for e in range(c["num_experts"])}
    for mlp, n in {**mlps, "mlp.shared_expert": c["shared_expert_intermediate_size"]}.items():
        layer.update({f"{mlp}.gate_proj": [n, h], f"{mlp}.up_proj": [n, h],
                      f"{mlp}.down_proj": [h, n]})
    table.update({f"layers.0.{k}": v for k, v in layer.items()})
    return {f"mtp.{k}.weight": v for k, v in table.items()}


# llama.cpp takes heads of values to be as wide as those of keys, and wants experts in all layers.
case("qwen3_next_grouped", NEXT, 521, DELTA, QUARTER, n_token=80, **NO_MTP, old=True, old_more=dict(
    full_attention_interval=4))
case("qwen3_next_one_head", NEXT, 522, DELTA, QUARTER, dict(
    linear_num_key_heads=4, linear_num_value_heads=4, linear_key_head_dim=32,
    linear_value_head_dim=32, num_experts=4, num_experts_per_tok=1, rms_norm_eps=1e-5,
    linear_conv_kernel_dim=3, num_key_value_heads=4, layer_types=[
        "linear_attention", "full_attention"], num_hidden_layers=2), n_token=70, **NO_MTP)
case("qwen3_next_all_experts_tied", NEXT, 523, DELTA, rope(theta=1e4, partial_rotary_factor=0.5), dict(
    linear_num_key_heads=1, linear_num_value_heads=4, num_experts=4, num_experts_per_tok=4,
    tie_word_embeddings=True, head_dim=16, layer_types=["full_attention", "linear_attention"],
    num_hidden_layers=2), n_token=130, n_ctx=256, **NO_MTP)
case("qwen3_next_dense_layers", NEXT, 524, DELTA, QUARTER, dict(
    linear_value_head_dim=32, mlp_only_layers=[1], attention_bias=True, norm_topk_prob=False,
    num_experts_per_tok=3), gguf=False)
case("qwen3_next_legacy_mtp", NEXT, 525, DELTA, QUARTER, dict(
    num_experts=4, num_hidden_layers=2, layer_types=["linear_attention", "full_attention"]),
    n_token=70, extra=next_mtp, methods=dict(modify_tensors=one_projection))

# ---- qwen3_5: the same with other tensors; GGUF files have the heads of values in another order ----
MROPE = rope(theta=1e6, partial_rotary_factor=0.5, mrope_section=[3, 3, 2], mrope_interleaved=True)
QWEN35 = {k: v for k, v in DELTA.items() if k not in (
    "num_experts", "num_experts_per_tok", "moe_intermediate_size", "norm_topk_prob",
    "shared_expert_intermediate_size")}
QWEN35_MOE = {k: v for k, v in DELTA.items() if k not in ("intermediate_size", "norm_topk_prob")}
case("qwen3_5_grouped", "Qwen3_5ForCausalLM", 531, QWEN35, MROPE, n_token=80, old=True,
     **NO_MTP)
case("qwen3_5_one_head_tied", "Qwen3_5ForCausalLM", 532, QWEN35, MROPE, dict(
    linear_num_key_heads=1, linear_num_value_heads=2, tie_word_embeddings=True,
    num_hidden_layers=2, layer_types=["full_attention", "linear_attention"]), n_token=70, **NO_MTP)
case("qwen3_5_moe_grouped", "Qwen3_5MoeForCausalLM", 533, QWEN35_MOE, MROPE, n_token=80, old=True,
     **NO_MTP)
case("qwen3_5_moe_six_to_two", "Qwen3_5MoeForCausalLM", 534, QWEN35_MOE, MROPE, dict(
    linear_num_key_heads=2, linear_num_value_heads=6, linear_key_head_dim=32,
    linear_value_head_dim=32, num_experts=4, num_experts_per_tok=4, num_hidden_layers=2,
    layer_types=["linear_attention", "full_attention"], num_key_value_heads=1), n_token=70,
    experts="fused", **NO_MTP)

# ---- glm4_moe_lite: DeepSeek-V3's shape; the file does not say that scores are sigmoids ----
LITE4 = {k: v for k, v in MLA.items() if k != "first_k_dense_replace"}
case("glm4_moe_lite_top3", "Glm4MoeLiteForCausalLM", 541, LITE4, rope(theta=1e6), dict(
    q_lora_rank=32, n_routed_experts=8, num_experts_per_tok=3, n_shared_experts=1, n_group=1,
    topk_group=1, rms_norm_eps=1e-5, v_head_dim=64), converter=dict(first_k_dense_replace=1),
    old_more=dict(HUB, topk_method="noaux_tc", first_k_dense_replace=1), old=True,
    why="llama.cpp takes the scores for softmaxes: it knows the model by its number of layers")

# ---- deepseek_v32, glm_moe_dsa: no more tokens than index_topk, so that the indexer decides nothing ----
DSA = dict(q_lora_rank=32, n_routed_experts=8, num_experts_per_tok=3, n_shared_experts=1,
           index_topk=128, index_head_dim=128, index_n_heads=2)
case("deepseek_v32_groups", "DeepseekV32ForCausalLM", 551, MLA, DSA, yarn(1.0, 1.0), dict(
    n_group=2, topk_group=1), converter=SIGMOID, old_more=HUB_V3, old=True, **NO_MTP)
case("glm_moe_dsa_shared", "GlmMoeDsaForCausalLM", 552, MLA, DSA, rope(theta=1e6), dict(
    n_group=1, topk_group=1, rms_norm_eps=1e-5, indexer_types=["full", "shared", "full"]),
    converter=SIGMOID, old_more=HUB_V3, old=True, **NO_MTP)
# Fewer than the context that this fixture wants: refused.
case("deepseek_v32_sparse", "DeepseekV32ForCausalLM", 553, MLA, DSA, dict(
    n_group=1, topk_group=1, index_topk=32, num_hidden_layers=2), converter=SIGMOID, **NO_MTP)
