"""archs_cases_mb.py - mixtures of experts: MiniMax, GLM, ERNIE, gpt-oss, Llama 4, Ling, SmallThinker."""
import math

from archs_cases import case, foreign, llama_names, rope

# Every width that a matrix multiplies is a multiple of 32.
GROUPED = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4,
               num_key_value_heads=2, tie_word_embeddings=False)
HEADS = dict(hidden_size=96, intermediate_size=160, num_hidden_layers=2, num_attention_heads=6,
             num_key_value_heads=6, tie_word_embeddings=True, vocab_size=112, rms_norm_eps=1e-4)


def amplitudes(case, name, shape):
    """Routers choose clearly, biases change what they choose, and sinks take a good part of the
    attention.  Experts of one tensor are matrices as others are."""
    gains = case["gains"]
    end = name.rsplit("mlp.", 1)[-1].rsplit("block_sparse_moe.", 1)[-1].rsplit("feed_forward.", 1)[-1]
    if end in ("gate.weight", "gate.weight_1", "router.weight", "primary_router.weight"):
        n_in = shape[0] if gains.get("router_columns") else shape[-1]
        return gains.get("router", 1.5) * math.sqrt(3.0 / n_in)
    if end.endswith("correction_bias"):
        return gains.get("correction", 0.2)
    if name.endswith("sinks"):
        return 2.0
    if end.endswith("_proj_bias"):
        return 0.3
    if end in ("experts.gate_up_proj", "experts.down_proj"):  # [experts, in, out]
        return gains.get("experts", 1.0) * math.sqrt(3.0 / shape[1])
    return None


def moe(name, cls, seed, *configs, **more):
    case(name, cls, seed, *configs, amplitudes=amplitudes, **more)


# ---- minimax_m2: scores by a sigmoid, norms of all heads together ----
MINIMAX = "MiniMaxM2ForCausalLM"


def minimax_rope(n_rot, head_dim, theta=10000.0):
    return dict(rope(theta=theta, partial_rotary_factor=n_rot / head_dim), head_dim=head_dim)


def minimax_old(config, old_style):
    old = old_style(config)
    old["rotary_dim"] = int(old.pop("partial_rotary_factor") * old["head_dim"])
    return dict(old, scoring_func="sigmoid", use_routing_bias=True, use_qk_norm=True,
                qk_norm_type="per_layer", shared_intermediate_size=0, use_mtp=True,
                num_mtp_modules=3, attn_type_list=[1] * old["num_hidden_layers"])


def minimax(name, seed, *configs, n_rot=16, **more):
    moe("minimax_m2_" + name, MINIMAX, seed, *configs, old=minimax_old,
        converter=dict(rotary_dim=n_rot, scoring_func="sigmoid"), **more)


minimax("grouped", 501, GROUPED, minimax_rope(16, 32, 5e6), dict(
    intermediate_size=32, num_local_experts=8, num_experts_per_tok=2))
minimax("one_expert", 502, GROUPED, minimax_rope(16, 16), dict(
    intermediate_size=64, num_local_experts=4, num_experts_per_tok=1), experts="fused")
minimax("all_experts", 503, HEADS, minimax_rope(8, 16), dict(
    tie_word_embeddings=False, intermediate_size=32, num_local_experts=4, num_experts_per_tok=4),
    n_rot=8)
minimax("sixteen", 504, GROUPED, minimax_rope(32, 32), dict(
    intermediate_size=32, num_local_experts=16, num_experts_per_tok=5, num_hidden_layers=2),
    n_rot=32)

# ---- glm4_moe: groups, shared experts, dense layers first ----
GLM = "Glm4MoeForCausalLM"
NO_MTP = dict(num_nextn_predict_layers=0)


def glm(name, seed, *configs, **more):
    moe("glm4_moe_" + name, GLM, seed, *configs, **more)


def half(**more):
    return rope(partial_rotary_factor=0.5, **more)


glm("grouped", 511, GROUPED, half(theta=1e6), NO_MTP, dict(
    head_dim=32, moe_intermediate_size=32, n_routed_experts=8, num_experts_per_tok=2, n_group=1,
    topk_group=1, use_qk_norm=True, attention_bias=True, first_k_dense_replace=1,
    n_shared_experts=1, routed_scaling_factor=2.5), old=True)
glm("groups", 512, GROUPED, half(), NO_MTP, dict(
    head_dim=16, moe_intermediate_size=32, n_routed_experts=12, num_experts_per_tok=3, n_group=4,
    topk_group=2, use_qk_norm=False, attention_bias=True, first_k_dense_replace=2,
    n_shared_experts=2, norm_topk_prob=False), old=True)
glm("heads_tied", 513, HEADS, half(), NO_MTP, dict(
    head_dim=16, moe_intermediate_size=64, n_routed_experts=4, num_experts_per_tok=1,
    use_qk_norm=False, attention_bias=False, first_k_dense_replace=0, n_shared_experts=1),
    experts="fused")
# The file counts a layer for further tokens, which it may then not have.
glm("mtp", 514, GROUPED, half(), dict(
    head_dim=32, moe_intermediate_size=32, n_routed_experts=4, num_experts_per_tok=4,
    num_hidden_layers=2, use_qk_norm=True, attention_bias=False, first_k_dense_replace=0,
    n_shared_experts=1, num_nextn_predict_layers=1, routed_scaling_factor=1.5))

# ---- ernie4_5_moe ----
ERNIE = "Ernie4_5_MoeForCausalLM"


def ernie(name, seed, *configs, **more):
    gains = dict(correction=0.1, router=1.2, **more.pop("gains", {}))
    moe("ernie4_5_moe_" + name, ERNIE, seed, *configs, gains=gains, **more)


def ernie_old(config, old_style):
    return dict(old_style(config), moe_use_aux_free=True, moe_capacity=[64, 64, 64],
                moe_gate="topk", use_rmsnorm=True, compression_ratio=1.0)


# llama.cpp's converter takes the width of the shared experts to be that of the dense layers, divided
# by the number of key heads, which it is in released models.
ernie("grouped", 521, GROUPED, rope(theta=5e5), dict(
    intermediate_size=128, head_dim=32, moe_intermediate_size=32, moe_num_experts=8, moe_k=2,
    moe_num_shared_experts=2, moe_layer_start_index=1, moe_layer_interval=1), old=ernie_old)
ernie("heads_tied", 522, HEADS, dict(
    intermediate_size=192, head_dim=16, moe_intermediate_size=32, moe_num_experts=4, moe_k=1,
    moe_num_shared_experts=1, moe_layer_start_index=0, moe_layer_interval=1, use_bias=False))
ernie("no_shared", 523, GROUPED, dict(
    head_dim=16, moe_intermediate_size=64, moe_num_experts=6, moe_k=3,
    moe_num_shared_experts=0, moe_layer_start_index=1, moe_layer_interval=1), old=ernie_old)
# llama.cpp wants experts in all layers from the first that has them.
ernie("last_dense", 524, GROUPED, dict(
    num_hidden_layers=6, head_dim=32, moe_intermediate_size=32, moe_num_experts=4, moe_k=4,
    moe_num_shared_experts=1, moe_layer_start_index=2, moe_layer_end_index=4,
    moe_layer_interval=2, use_bias=True), old=ernie_old, gguf=False)

# The text side of ERNIE-4.5-VL: banks of experts for text and for images, routers transposed.
VISION = dict(depth=1, hidden_size=32, intermediate_size=32, num_heads=2, patch_size=2)


def ernie_vl_old(config, _):
    """One level, as the hub's first files have it.  transformers reads it no more."""
    text = dict(config["text_config"])
    theta = text.pop("rope_parameters")["rope_theta"]
    kinds = text.pop("mlp_layer_types")
    text.pop("model_type")
    start, end = kinds.index("sparse"), len(kinds)
    return dict(text, architectures=config["architectures"], model_type="ernie4_5_moe_vl",
                rope_theta=theta, rope_scaling=None, rope_3d=True, freq_allocation=20,
                moe_num_experts=[text["moe_num_experts"]] * 2,
                moe_layer_start_index=[start, start], moe_layer_end_index=[end, end - 1],
                moe_layer_interval=1, vision_config=config["vision_config"])


def ernie_vl(name, seed, *configs, **more):
    text = dict(vocab_size=128, max_position_embeddings=512, pad_token_id=0, bos_token_id=1,
                eos_token_id=2)
    for c in configs:
        text.update(c)
    moe("ernie4_5_vl_moe_" + name, "Ernie4_5_VLMoeForConditionalGeneration", seed,
        dict(text_config=text, vision_config=dict(VISION),
             tie_word_embeddings=text["tie_word_embeddings"]), gguf=False, old=ernie_vl_old,
        old_read=False, gains=dict(correction=0.1, router=1.2, router_columns=True,
                                    embed=1.0 if text["tie_word_embeddings"] else 4.0), **more)


def mrope(theta, *section):
    return rope(theta=theta, mrope_section=list(section))


ernie_vl("grouped", 531, GROUPED, mrope(5e5, 6, 6, 4), dict(
    head_dim=32, moe_intermediate_size=[32, 64], moe_num_experts=4, moe_k=2,
    moe_num_shared_experts=2))
ernie_vl("tied", 532, HEADS, mrope(1e4, 3, 3, 2), dict(
    head_dim=16, moe_intermediate_size=[64, 32], moe_num_experts=6, moe_k=3,
    moe_num_shared_experts=1, num_hidden_layers=3))

# ---- gpt_oss: sinks, biases, windows in every other layer ----
GPT_OSS = "GptOssForCausalLM"
OSS = dict(num_hidden_layers=3, vocab_size=128, rms_norm_eps=1e-5)


def gpt_oss_old(config, old_style):
    """The released files keep layer_types, and have some names of the first implementation too.
    One without scaling has that of the released models."""
    old = old_style(config)
    if old["rope_scaling"] is None:
        return None
    old["rope_scaling"]["rope_type"] = old["rope_scaling"].pop("type")
    old["initial_context_length"] = old["rope_scaling"]["original_max_position_embeddings"]
    return dict(old, layer_types=config["layer_types"], hidden_act="silu",
                experts_per_token=config["num_experts_per_tok"],
                swiglu_limit=config["swiglu_limit"])


def gpt_oss(name, seed, *configs, **more):
    moe("gpt_oss_" + name, GPT_OSS, seed, *configs, old=gpt_oss_old, **more)


def oss_yarn(**more):
    return rope("yarn", 150000.0, **{**dict(factor=32.0, beta_fast=32.0, beta_slow=1.0,
                                           truncate=False, original_max_position_embeddings=256),
                                     **more})


UNREAD = "llama.cpp rounds the ends of YaRN's ramp, and its file does not say that the model does not"
gpt_oss("grouped", 541, GROUPED, OSS, oss_yarn(), dict(
    head_dim=32, intermediate_size=32, num_local_experts=8, num_experts_per_tok=2,
    sliding_window=12, max_position_embeddings=8192), why=UNREAD)
gpt_oss("heads", 542, HEADS, OSS, rope(theta=1e4), dict(
    head_dim=16, intermediate_size=64, num_local_experts=4, num_experts_per_tok=1,
    sliding_window=16, tie_word_embeddings=False))
# Experts that overflow the bounds of the activation.
gpt_oss("clamped", 543, GROUPED, OSS, rope(theta=1e4), dict(
    head_dim=16, intermediate_size=32, num_local_experts=4, num_experts_per_tok=4,
    num_hidden_layers=2, sliding_window=9), gains=dict(experts=5.0))
# Neither alternating windows nor the usual activation; no file of llama.cpp can say so.
gpt_oss("layers", 544, GROUPED, OSS, rope(theta=1e4), dict(
    head_dim=32, intermediate_size=32, num_local_experts=6, num_experts_per_tok=3,
    num_hidden_layers=4, sliding_window=10, swiglu_limit=2.0, layer_types=[
        "full_attention", "sliding_attention", "sliding_attention", "full_attention"]), gguf=False)

# ---- llama4, its text side ----
LLAMA4 = "Llama4ForCausalLM"


def llama4_old(config, old_style):
    """The hub's first files leave the layers' kinds to their periods."""
    old = dict(old_style(config), no_rope_layers=[], no_rope_layer_interval=4)
    old.pop("moe_layers")
    return old


def llama4(name, seed, *configs, **more):
    moe("llama4_" + name, LLAMA4, seed, *configs, **more)


FIXED = ("llama.cpp's files do not say the size of a chunk, the scale of temperatures and whether "
         "queries are normalized")
UNCHUNKED = dict(attention_chunk_size=8192, floor_scale=8192, attn_scale=0.1)
llama4("grouped", 551, GROUPED, rope(theta=5e5), dict(
    head_dim=32, num_hidden_layers=4, intermediate_size=32, intermediate_size_mlp=96,
    num_local_experts=4, num_experts_per_tok=1, interleave_moe_layer_step=2,
    attention_chunk_size=16, floor_scale=10, attn_scale=0.3), gguf_config=UNCHUNKED, why=FIXED,
    old=llama4_old)
llama4("all_sparse", 552, HEADS, rope(
    "llama3", 5e5, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
    original_max_position_embeddings=32), dict(
    head_dim=16, num_hidden_layers=5, intermediate_size=32, intermediate_size_mlp=64,
    num_local_experts=8, num_experts_per_tok=2, interleave_moe_layer_step=1,
    attention_chunk_size=8192, floor_scale=8192, attn_scale=0.1))
llama4("no_norms", 553, GROUPED, rope(theta=1e4), dict(
    head_dim=16, num_hidden_layers=3, intermediate_size=64, intermediate_size_mlp=32,
    num_local_experts=4, num_experts_per_tok=4, moe_layers=[0, 2], use_qk_norm=False,
    no_rope_layers=[1, 0, 1], attention_chunk_size=24, attn_temperature_tuning=False,
    attention_bias=True), gguf=False)

# The class that sees, too: its text has a level of its own, and names begin with language_model.
moe("llama4_vision", "Llama4ForConditionalGeneration", 554, dict(
    tie_word_embeddings=False, text_config=dict(
        GROUPED, vocab_size=128, max_position_embeddings=512, pad_token_id=0, bos_token_id=1,
        eos_token_id=2, head_dim=32, intermediate_size=32, intermediate_size_mlp=96,
        num_local_experts=4, num_experts_per_tok=1, interleave_moe_layer_step=2,
        attention_chunk_size=16, floor_scale=8, **rope(theta=5e5)),
    vision_config=dict(hidden_size=32, intermediate_size=128, num_hidden_layers=1,
                       num_attention_heads=2, image_size=8, patch_size=4, vision_output_dim=32,
                       projector_input_dim=32, projector_output_dim=32)),
    gains=dict(embed=4.0), gguf=False)

# ---- what transformers lacks ----


def experts(c, table, i, prefix, n_ff, names, n_expert):
    for e in range(n_expert):
        for name, shape in zip(names, ([n_ff, c["hidden_size"]], [n_ff, c["hidden_size"]],
                                       [c["hidden_size"], n_ff])):
            table[f"model.layers.{i}.{prefix}.experts.{e}.{name}.weight"] = shape


def bailing_names(c):
    """Queries, keys and values in one matrix; experts, and shared ones in one MLP."""
    head, n_head, n_kv = c["head_dim"], c["num_attention_heads"], c["num_key_value_heads"]
    names = {"embed_tokens": "word_embeddings", "self_attn.q_proj": "attention.query_key_value",
             "self_attn.o_proj": "attention.dense"}
    hidden, n_ff, table = c["hidden_size"], c["moe_intermediate_size"], {}
    for name, shape in llama_names(c).items():
        if "mlp." in name or "k_proj" in name or "v_proj" in name:
            continue
        if "q_proj" in name:
            shape = [(n_head + 2 * n_kv) * head, hidden]
        elif "o_proj" in name:
            shape = [hidden, n_head * head]
        old = next((o for o in names if o in name), None)
        table[name.replace(old, names[old]) if old else name] = shape
    for i in range(c["num_hidden_layers"]):
        table[f"model.layers.{i}.mlp.gate.weight"] = [c["num_experts"], hidden]
        experts(c, table, i, "mlp", n_ff, ("gate_proj", "up_proj", "down_proj"), c["num_experts"])
        shared = n_ff * c["num_shared_experts"]
        for name in ("gate_proj", "up_proj"):
            table[f"model.layers.{i}.mlp.shared_experts.{name}.weight"] = [shared, hidden]
        table[f"model.layers.{i}.mlp.shared_experts.down_proj.weight"] = [hidden, shared]
    return table


BAILING = foreign("BailingMoeForCausalLM", "bailing_moe", use_bias=False, use_qkv_bias=False,
                  norm_head=False, norm_softmax=False, multi_gate=False, first_k_dense_replace=0)
moe("bailing_moe_grouped", None, 561, GROUPED, BAILING, dict(
    head_dim=32, moe_intermediate_size=32, num_experts=8, num_experts_per_tok=3,
    num_shared_experts=2, norm_topk_prob=True, rope_theta=600000.0), tensors=bailing_names,
    tolerance=1e-3)
moe("bailing_moe_heads", None, 562, HEADS, BAILING, dict(
    head_dim=16, tie_word_embeddings=False, moe_intermediate_size=64, num_experts=4,
    num_experts_per_tok=1, num_shared_experts=1, norm_topk_prob=False), tensors=bailing_names,
    tolerance=1e-3)


def smallthinker_names(c):
    head, n_head, n_kv = c["head_dim"], c["num_attention_heads"], c["num_key_value_heads"]
    hidden, table = c["hidden_size"], {}
    widths = {"q_proj": [n_head * head, hidden], "k_proj": [n_kv * head, hidden],
              "v_proj": [n_kv * head, hidden], "o_proj": [hidden, n_head * head]}
    for name, shape in llama_names(dict(c, intermediate_size=32)).items():
        if "mlp." not in name:
            table[name] = next((w for part, w in widths.items() if part in name), shape)
    for i in range(c["num_hidden_layers"]):
        n_expert = c["moe_num_primary_experts"]
        table[f"model.layers.{i}.block_sparse_moe.primary_router.weight"] = [n_expert, hidden]
        experts(c, table, i, "block_sparse_moe", c["moe_ffn_hidden_size"], ("gate", "up", "down"),
                n_expert)
    return table


def smallthinker(name, seed, *configs, n_layer, windows=None, **more):
    layers = dict(num_hidden_layers=n_layer, rope_layout=windows or [1] * n_layer,
                  sliding_window_layout=windows or [0] * n_layer, sliding_window_size=4096,
                  moe_layer_layout=[1] * n_layer, moe_enable_early_router=True)
    moe("smallthinker_" + name, None, seed, *configs, foreign(
        "SmallThinkerForCausalLM", "smallthinker"), layers, tensors=smallthinker_names,
        tolerance=1e-3, **more)


# llama.cpp's window is 4096 whatever the file says, so that no tiny model fills it.
smallthinker("grouped", 571, GROUPED, dict(
    head_dim=32, moe_ffn_hidden_size=32, moe_num_primary_experts=8,
    moe_num_active_primary_experts=4, moe_primary_router_apply_softmax=False, rope_theta=1.5e6),
    n_layer=5, windows=[0, 1, 1, 1, 0])
smallthinker("heads_tied", 572, HEADS, dict(
    head_dim=16, moe_ffn_hidden_size=64, moe_num_primary_experts=4,
    moe_num_active_primary_experts=3, moe_primary_router_apply_softmax=True), n_layer=2)
