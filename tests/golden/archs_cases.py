"""archs_cases.py - the models that make_archs.py makes: class, seed, prompt length, configuration."""

COMMON = dict(vocab_size=128, max_position_embeddings=512, pad_token_id=0, bos_token_id=1,
              eos_token_id=2)
# Grouped-query attention with a head of its own width, untied; and multi-head attention, tied.
GROUPED = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
               num_key_value_heads=2, tie_word_embeddings=False)
HEADS = dict(hidden_size=96, intermediate_size=160, num_hidden_layers=3, num_attention_heads=4,
             num_key_value_heads=4, tie_word_embeddings=True, vocab_size=112)
WIDE = dict(hidden_size=256, intermediate_size=512, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, tie_word_embeddings=False)

CASES = {}


def rope(kind="default", theta=10000.0, **more):
    return dict(rope_parameters=dict(rope_type=kind, rope_theta=theta, **more))


def factors(n, last=1.5):
    """n rotary factors from 1 up."""
    return [round(1.0 + (last - 1.0) * i / (n - 1) + 0.01 * (i % 3), 4) for i in range(n)]


def case(name, cls, seed, *configs, n_token=70, n_ctx=128, gains=None, gguf=True, gguf_config=None,
         why="", old=False, strip="", config_cls=None, converter=None, tensors=None,
         tolerance=2e-4, renamed=None, old_more=None, experts=None, extra=None, methods=None,
         peer_keys=None, old_read=True, amplitudes=lambda case, name, shape: None):
    """gguf_config: what the converter's file leaves out, for the logits of the GGUF form; why says
    so.  old: an old-style config.json too, or a function that makes it of the new one and of what makes
    the usual one; old_read: transformers still reads it.  strip: a prefix that the hub's files do not have.
    config_cls: of a class that transformers runs as cls.  converter: keys that llama.cpp's converter
    misses in a configuration of transformers 5.  tensors: {name: shape} by configuration, of an
    architecture that transformers lacks: llama.cpp is the oracle then.
    renamed: {new: old} keys of the old-style config.json.  old_more: what only that has.  experts:
    "apart" or "fused" in the GGUF file, where llama.cpp's converter stacks them.  extra: {name:
    shape} by configuration, of tensors in the folder that the logits do not depend on.  methods:
    {name: function of the converter's class that makes the method in its place}.  peer_keys:
    metadata for llama.cpp alone, where it wants more than files have.  amplitudes: of tensors that
    are not drawn as others are, else None."""
    config = dict(COMMON)
    for c in configs:
        config.update(c)
    untied = {"embed": 4.0} if config.get("tie_word_embeddings") is False else {}
    CASES[name] = dict(cls=cls, seed=seed, config=config, n_token=n_token, n_ctx=n_ctx,
                       gains={**untied, **(gains or {})}, gguf=gguf, gguf_config=gguf_config,
                       why=why, old=old, strip=strip, config_cls=config_cls,
                       converter=converter or {}, tensors=tensors, tolerance=tolerance,
                       renamed=renamed or {}, old_more=old_more or {}, experts=experts,
                       extra=extra or (lambda config: {}), methods=methods or {},
                       peer_keys=peer_keys, old_read=old_read, amplitudes=amplitudes)


# ---- llama and its relatives ----
LLAMA = "LlamaForCausalLM"
case("llama_grouped", LLAMA, 101, GROUPED, dict(head_dim=32), rope(theta=5e5), old=True)
case("llama_heads_biases", LLAMA, 102, HEADS, dict(attention_bias=True, mlp_bias=True,
                                                   rms_norm_eps=1e-4))
case("llama_wide", LLAMA, 103, WIDE)
case("llama_llama3", LLAMA, 104, GROUPED, dict(head_dim=32), rope(
    "llama3", 5e5, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
    original_max_position_embeddings=32), n_token=96, old=True)
case("llama_linear", LLAMA, 105, GROUPED, rope("linear", 1e5, factor=4.0), old=True)
YARN = dict(factor=4.0, original_max_position_embeddings=256)  # so that the ramp has an inside
case("llama_yarn", LLAMA, 106, GROUPED, dict(head_dim=32, max_position_embeddings=1024), rope(
    "yarn", **YARN), n_token=96, old=True)
# The converter writes these numbers; llama.cpp does not read them, but the file says them.
UNREAD = "llama.cpp reads none of rope.scaling.yarn_*"
case("llama_yarn_betas", LLAMA, 107, HEADS, dict(head_dim=32, max_position_embeddings=1024), rope(
    "yarn", **YARN, beta_fast=16.0, beta_slow=2.0), n_token=96, old=True, why=UNREAD)
case("llama_yarn_attention", LLAMA, 109, GROUPED, dict(max_position_embeddings=1024), rope(
    "yarn", **YARN, attention_factor=1.25), n_token=96, old=True, why=UNREAD)
case("llama_yarn_mscale", LLAMA, 110, GROUPED, dict(
    head_dim=32, max_position_embeddings=1024), rope(
    "yarn", **YARN, mscale=0.7, mscale_all_dim=1.5, truncate=False), n_token=96, gguf=False)
# No converter writes these factors for a llama file.
case("llama_longrope", LLAMA, 108, GROUPED, dict(max_position_embeddings=1024), rope(
    "longrope", 10000.0, factor=4.0, original_max_position_embeddings=256, short_factor=factors(8),
    long_factor=factors(8, 3.0)), n_token=300, n_ctx=512, gguf=False)

WINDOWLESS = "the file has no sliding window"
case("mistral_grouped", "MistralForCausalLM", 111, GROUPED, dict(
    head_dim=32, sliding_window=16), rope(theta=1e6), old=True,
    gguf_config=dict(sliding_window=None), why=WINDOWLESS)
case("mistral_heads_tied", "MistralForCausalLM", 112, HEADS, dict(
    sliding_window=None, rms_norm_eps=1e-6))

case("qwen2_grouped", "Qwen2ForCausalLM", 121, GROUPED, rope(theta=1e6), old=True)
case("qwen2_heads_window", "Qwen2ForCausalLM", 122, HEADS, dict(
    use_sliding_window=True, sliding_window=12, max_window_layers=1), old=True,
    gguf_config=dict(use_sliding_window=False, layer_types=None), why=WINDOWLESS)
case("qwen2_yarn", "Qwen2ForCausalLM", 123, GROUPED, dict(max_position_embeddings=256), rope(
    "yarn", 1e6, **YARN), n_token=96, old=True)

QWEN3 = "Qwen3ForCausalLM"
case("qwen3_grouped", QWEN3, 131, GROUPED, dict(head_dim=32), rope(theta=1e6), old=True)
case("qwen3_heads_tied", QWEN3, 132, HEADS, dict(head_dim=16, rms_norm_eps=1e-4))
case("qwen3_wide", QWEN3, 133, WIDE, dict(head_dim=64))

PHI3 = "Phi3ForCausalLM"
case("phi3_grouped", PHI3, 141, GROUPED, dict(original_max_position_embeddings=512,
                                              sliding_window=None), old=True)
case("phi3_heads_tied", PHI3, 142, HEADS, dict(original_max_position_embeddings=512,
                                               sliding_window=None, rms_norm_eps=1e-4))
# llama.cpp ignores the sliding window that its file has, for the sake of files that say it wrongly.
case("phi3_window", PHI3, 143, GROUPED, dict(original_max_position_embeddings=512,
                                             sliding_window=16), old=True)
LONGROPE = dict(max_position_embeddings=1024, original_max_position_embeddings=256,
                sliding_window=None)
case("phi3_longrope_short", PHI3, 144, WIDE, LONGROPE, rope(
    "longrope", original_max_position_embeddings=256, short_factor=factors(32),
    long_factor=factors(32, 3.0)), n_ctx=256, old=True)
case("phi3_longrope_long", PHI3, 145, GROUPED, LONGROPE, rope(
    "longrope", original_max_position_embeddings=256, short_factor=factors(8),
    long_factor=factors(8, 3.0)), n_token=300, n_ctx=512, old=True)
case("phi3_partial_long", PHI3, 146, HEADS, LONGROPE, dict(num_key_value_heads=2), rope(
    "longrope", original_max_position_embeddings=256, partial_rotary_factor=0.75,
    short_factor=factors(9), long_factor=factors(9, 3.0)), n_token=300, n_ctx=512, old=True)
case("phi3_partial_short", PHI3, 147, GROUPED, LONGROPE, rope(
    "longrope", original_max_position_embeddings=256, partial_rotary_factor=0.75,
    short_factor=factors(6), long_factor=factors(6, 3.0)), n_ctx=256)

# ---- gemma: always tied ----
TIED = dict(tie_word_embeddings=True)
GEMMA = "GemmaForCausalLM"
case("gemma_one_kv_head", GEMMA, 151, GROUPED, TIED, dict(
    head_dim=32, num_key_value_heads=1, rms_norm_eps=1e-6), old=True)
case("gemma_heads", GEMMA, 152, HEADS, dict(head_dim=16, rms_norm_eps=1e-4))

GEMMA2 = "Gemma2ForCausalLM"
CAPS = dict(attn_logit_softcapping=4.0, final_logit_softcapping=2.0, sliding_window=8)
case("gemma2_grouped", GEMMA2, 161, GROUPED, TIED, CAPS, dict(
    head_dim=32, query_pre_attn_scalar=24, num_hidden_layers=4), old=True,
    gguf_config=dict(query_pre_attn_scalar=32), why="the file has no query_pre_attn_scalar")
case("gemma2_heads", GEMMA2, 162, HEADS, CAPS, dict(
    head_dim=24, query_pre_attn_scalar=24, rms_norm_eps=1e-4))
case("gemma2_wide", GEMMA2, 163, WIDE, TIED, CAPS, dict(
    head_dim=64, query_pre_attn_scalar=64, attn_logit_softcapping=50.0,
    final_logit_softcapping=30.0, sliding_window=33))

GEMMA3 = "Gemma3ForCausalLM"


def gemma3_rope(full, theta_swa=10000.0):
    return dict(rope_parameters=dict(full_attention=full["rope_parameters"],
                                     sliding_attention=rope(theta=theta_swa)["rope_parameters"]))


case("gemma3_linear", GEMMA3, 171, GROUPED, TIED, dict(
    head_dim=32, query_pre_attn_scalar=32, num_hidden_layers=7, sliding_window=8),
    gemma3_rope(rope("linear", 1e6, factor=8.0)), old=True)
case("gemma3_heads", GEMMA3, 172, HEADS, dict(
    head_dim=16, query_pre_attn_scalar=20, num_hidden_layers=6, sliding_window=11),
    gemma3_rope(rope(theta=3e5)), old=True,
    gguf_config=dict(query_pre_attn_scalar=16), why="the file has no query_pre_attn_scalar")
# A period and a base of the windowed layers that the file does not say.
case("gemma3_period3", GEMMA3, 173, GROUPED, TIED, dict(
    head_dim=32, query_pre_attn_scalar=32, num_hidden_layers=6, sliding_window=8, layer_types=[
        "sliding_attention", "sliding_attention", "full_attention"] * 2),
    gemma3_rope(rope(theta=3e5), 700.0), old=True, gguf=False)

# ---- others with RMS norms ----
case("glm4_grouped", "Glm4ForCausalLM", 181, GROUPED, dict(head_dim=32, attention_bias=True),
     rope(partial_rotary_factor=0.5), old=True)
case("glm4_heads_tied", "Glm4ForCausalLM", 182, HEADS, dict(
    head_dim=24, attention_bias=False, rms_norm_eps=1e-4), rope(partial_rotary_factor=0.5))

GRANITE = "GraniteForCausalLM"
case("granite_grouped", GRANITE, 191, GROUPED, dict(
    attention_multiplier=0.15, embedding_multiplier=3.0, residual_multiplier=0.6,
    logits_scaling=4.0), gains=dict(head=4.0, embed=1.0), old=True)
case("granite_heads_tied", GRANITE, 192, HEADS, dict(
    attention_multiplier=0.3, embedding_multiplier=12.0, residual_multiplier=0.22,
    logits_scaling=0.5, rms_norm_eps=1e-6, attention_bias=True, mlp_bias=True), gains=dict(embed=0.5))

case("olmo2_grouped", "Olmo2ForCausalLM", 201, GROUPED, rope(theta=5e5), old=True)
case("olmo2_heads", "Olmo2ForCausalLM", 202, HEADS, dict(
    rms_norm_eps=1e-4, tie_word_embeddings=False))

case("smollm3_grouped", "SmolLM3ForCausalLM", 211, GROUPED, dict(num_hidden_layers=5),
     rope(theta=2e6), old=True)
case("smollm3_heads_tied", "SmolLM3ForCausalLM", 212, HEADS, dict(
    num_hidden_layers=4, rms_norm_eps=1e-4))

ERNIE = "Ernie4_5ForCausalLM"
case("ernie4_5_grouped", ERNIE, 221, GROUPED, dict(head_dim=32), rope(theta=5e5), old=True)
case("ernie4_5_heads_tied", ERNIE, 222, HEADS, dict(head_dim=16, rms_norm_eps=1e-4))
case("ernie4_5_biases", ERNIE, 223, GROUPED, dict(use_bias=True), gguf=False)

INTERNLM3 = dict(config_cls="InternLM3Config")
case("internlm3_grouped", LLAMA, 231, GROUPED, dict(head_dim=32), rope(theta=5e5), old=True,
     **INTERNLM3)
case("internlm3_heads_biases", LLAMA, 232, HEADS, dict(
    head_dim=16, qkv_bias=True, bias=True, rms_norm_eps=1e-4), **INTERNLM3)

# ---- layer norms ----
GPT2 = "GPT2LMHeadModel"
case("gpt2_heads", GPT2, 241, dict(n_embd=64, n_layer=2, n_head=4, n_positions=512, n_ctx=512,
                                   tie_word_embeddings=True))
# The files of the hub have the names of the bare model.
case("gpt2_bare_names", GPT2, 242, dict(n_embd=96, n_layer=3, n_head=3, n_positions=128, n_ctx=128,
                                        max_position_embeddings=128,
                                        vocab_size=112, layer_norm_epsilon=1e-3,
                                        tie_word_embeddings=True), strip="transformer.")

COHERE = "CohereForCausalLM"
case("cohere_grouped", COHERE, 251, GROUPED, TIED, dict(logit_scale=0.25), gains=dict(embed=4.0),
     old=True)
case("cohere_heads_biases", COHERE, 252, HEADS, dict(
    logit_scale=2.0, layer_norm_eps=1e-3, attention_bias=True), gains=dict(embed=0.5), gguf=False)
case("cohere_qk_norm", COHERE, 253, GROUPED, TIED, dict(logit_scale=0.5, use_qk_norm=True),
     gains=dict(embed=2.0), gguf=False)
# llama.cpp expects these norms from 64 layers on.
case("cohere_qk_norm_deep", COHERE, 254, TIED, dict(
    hidden_size=32, intermediate_size=48, num_hidden_layers=64, num_attention_heads=2,
    num_key_value_heads=1, vocab_size=104, logit_scale=0.5, use_qk_norm=True),
    gains=dict(embed=2.0), n_token=40)
COHERE2 = "Cohere2ForCausalLM"
case("cohere2_grouped", COHERE2, 255, GROUPED, TIED, dict(
    num_hidden_layers=4, sliding_window=8, logit_scale=0.25, rotary_pct=1.0, head_dim=16),
    gains=dict(embed=4.0), old=True)
case("cohere2_heads", COHERE2, 256, HEADS, dict(
    num_hidden_layers=5, sliding_window=13, logit_scale=1.0, rotary_pct=1.0, head_dim=24,
    layer_norm_eps=1e-3), rope(theta=50000.0))

case("starcoder2_grouped", "Starcoder2ForCausalLM", 261, GROUPED, dict(sliding_window=16),
     rope(theta=1e5), old=True, gguf_config=dict(sliding_window=None), why=WINDOWLESS)
case("starcoder2_heads_tied", "Starcoder2ForCausalLM", 262, HEADS, dict(
    sliding_window=None, norm_epsilon=1e-3))

FALCON = "FalconForCausalLM"
FALCONS = dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=4, alibi=False, bias=False,
               parallel_attn=True)
case("falcon_multi_query", FALCON, 271, FALCONS, TIED, dict(
    multi_query=True, new_decoder_architecture=False), old=True, converter=dict(num_kv_heads=1))
case("falcon_new_decoder", FALCON, 272, FALCONS, dict(
    new_decoder_architecture=True, num_kv_heads=2, tie_word_embeddings=False))
case("falcon_one_norm", FALCON, 273, FALCONS, dict(
    hidden_size=96, new_decoder_architecture=True, num_kv_heads=2, num_ln_in_parallel_attn=1,
    tie_word_embeddings=False, layer_norm_epsilon=1e-3))

NEOX = "GPTNeoXForCausalLM"
NEOXES = dict(hidden_size=64, intermediate_size=160, num_hidden_layers=2, num_attention_heads=4)
case("gpt_neox_parallel", NEOX, 281, NEOXES, rope(partial_rotary_factor=0.25), dict(
    use_parallel_residual=True, tie_word_embeddings=False), old=True,
    converter=dict(rotary_pct=0.25))
case("gpt_neox_sequential", NEOX, 282, NEOXES, rope(theta=25000.0, partial_rotary_factor=0.5), dict(
    use_parallel_residual=False, num_hidden_layers=3, tie_word_embeddings=False,
    layer_norm_eps=1e-3), old=True, converter=dict(rotary_pct=0.5),
    gguf_config=rope(partial_rotary_factor=0.5), why="the file has no base of the rotation")

# ---- what transformers lacks: config.json and names as the hub has them ----


def llama_names(c):
    """The tensors of a llama-like model."""
    h, ff, head = c["hidden_size"], c["intermediate_size"], c["hidden_size"] // c["num_attention_heads"]
    kv = c["num_key_value_heads"] * head
    layer = {"self_attn.q_proj": [h, h], "self_attn.k_proj": [kv, h], "self_attn.v_proj": [kv, h],
             "self_attn.o_proj": [h, h], "mlp.gate_proj": [ff, h], "mlp.up_proj": [ff, h],
             "mlp.down_proj": [h, ff], "input_layernorm": [h], "post_attention_layernorm": [h]}
    table = {"model.embed_tokens.weight": [c["vocab_size"], h], "model.norm.weight": [h]}
    for i in range(c["num_hidden_layers"]):
        table.update({f"model.layers.{i}.{k}.weight": v for k, v in layer.items()})
    if not c["tie_word_embeddings"]:
        table["lm_head.weight"] = [c["vocab_size"], h]
    return table


def internlm2_names(c):
    """The same with q, k and v of each group of heads together."""
    names = {"self_attn.o_proj": "attention.wo", "mlp.gate_proj": "feed_forward.w1",
             "mlp.up_proj": "feed_forward.w3", "mlp.down_proj": "feed_forward.w2",
             "input_layernorm": "attention_norm", "post_attention_layernorm": "ffn_norm",
             "embed_tokens": "tok_embeddings", "lm_head": "output", "model.norm": "model.norm",
             "self_attn.q_proj": "attention.wqkv"}
    table = {}
    for name, shape in llama_names(c).items():
        old = next((o for o in names if o in name), None)
        if old == "self_attn.q_proj":
            n_head, n_kv = c["num_attention_heads"], c["num_key_value_heads"]
            shape = [shape[0] // n_head * (n_head + 2 * n_kv), shape[1]]
        if old:
            table[name.replace(old, names[old])] = shape
    return table


def spark_names(c):
    """The same with q, k and v after each other, heads of their own width and a gate per head."""
    head, n_head, n_kv = c["head_dim"], c["num_attention_heads"], c["num_key_value_heads"]
    table = {}
    for name, shape in llama_names(c).items():
        if "self_attn.q_proj" in name:
            table[name.replace("q_proj", "q_k_v_proj")] = [(n_head + 2 * n_kv) * head, shape[1]]
            table[name.replace("q_proj", "g_proj")] = [n_head, shape[1]]
        elif "self_attn.o_proj" in name:
            table[name] = [shape[0], n_head * head]
        elif "self_attn" not in name:
            table[name] = shape
    return table


def foreign(architecture, model_type, **more):
    return dict(architectures=[architecture], model_type=model_type, torch_dtype="float32",
                hidden_act="silu", rms_norm_eps=1e-5, rope_theta=10000.0, rope_scaling=None, **more)


MINICPM = foreign("MiniCPMForCausalLM", "minicpm")
case("minicpm_grouped", None, 291, GROUPED, MINICPM, dict(
    scale_emb=12, scale_depth=1.4, dim_model_base=32), tensors=llama_names, tolerance=1e-3,
    gains=dict(embed=0.5, head=2.0))
case("minicpm_heads_tied", None, 292, HEADS, MINICPM, dict(
    scale_emb=5, scale_depth=0.9, dim_model_base=24, rms_norm_eps=1e-6), tensors=llama_names,
    tolerance=1e-3, gains=dict(embed=4.0))
INTERNLM2 = foreign("InternLM2ForCausalLM", "internlm2", bias=False)
case("internlm2_grouped", None, 301, GROUPED, INTERNLM2, dict(
    rope_scaling=dict(type="dynamic", factor=2.0)), tensors=internlm2_names, tolerance=1e-3)
case("internlm2_heads", None, 302, HEADS, INTERNLM2, dict(
    tie_word_embeddings=False, rope_theta=1e6, rms_norm_eps=1e-4), tensors=internlm2_names,
    tolerance=1e-3)
SPARK = foreign("Spark2_5ForCausalLM", "spark2_5", gate_attn_act_mode="sigmoid",
                headwise_attn_output_gate=True)


def spark_rope(full, swa, theta_swa):
    return dict(hidden_act="gelu", rope_parameters=dict(
        full_attention=dict(rope_type="default", rope_theta=1e6, partial_rotary_factor=full),
        sliding_attention=dict(rope_type="default", rope_theta=theta_swa,
                               partial_rotary_factor=swa)))


# llama.cpp's GELU is a table in half precision, which alone costs 3e-3: these logits are those of a
# build without the table (GGML_GELU_FP16 undefined).
case("spark2_5_grouped", None, 311, GROUPED, SPARK, spark_rope(0.25, 1.0, 10000.0), dict(
    head_dim=32, num_hidden_layers=4, sliding_window=12, layer_types=[
        "sliding_attention", "sliding_attention", "sliding_attention", "full_attention"]),
    tensors=spark_names, tolerance=1e-3)
case("spark2_5_heads_tied", None, 312, HEADS, SPARK, spark_rope(0.5, 0.5, 500.0), dict(
    head_dim=24, sliding_window=9, rms_norm_eps=1e-4, layer_types=[
        "full_attention", "sliding_attention", "sliding_attention"]), tensors=spark_names,
    tolerance=1e-3)

# ---- mixtures of experts, each part in a file of its own; they add to CASES ----
import archs_cases_ma  # noqa: E402,F401
import archs_cases_mc  # noqa: E402,F401
import archs_cases_mb  # noqa: E402,F401
