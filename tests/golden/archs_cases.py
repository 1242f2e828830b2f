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


def case(name, cls, seed, *configs, n_token=70, n_ctx=128, gains=None, gguf=True, gguf_config=None,
         why="", old=False, strip=""):
    """gguf_config: what the converter's file leaves out, for the logits of the GGUF form; why says
    so.  strip: a prefix that the hub's files do not have.  old: an old-style config.json too."""
    config = dict(COMMON)
    for c in configs:
        config.update(c)
    untied = {"embed": 4.0} if config.get("tie_word_embeddings") is False else {}
    CASES[name] = dict(cls=cls, seed=seed, config=config, n_token=n_token, n_ctx=n_ctx,
                       gains={**untied, **(gains or {})}, gguf=gguf, gguf_config=gguf_config,
                       why=why, old=old, strip=strip)


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
case("llama_yarn", LLAMA, 106, GROUPED, dict(head_dim=32, max_position_embeddings=128), rope(
    "yarn", 10000.0, factor=4.0, original_max_position_embeddings=32), n_token=96, old=True)

case("qwen3_grouped", "Qwen3ForCausalLM", 131, GROUPED, dict(head_dim=32), rope(theta=1e6),
     old=True)
case("qwen3_heads_tied", "Qwen3ForCausalLM", 132, HEADS, dict(head_dim=16, rms_norm_eps=1e-4))

case("phi3_grouped", "Phi3ForCausalLM", 141, GROUPED, dict(
    original_max_position_embeddings=512, sliding_window=None), old=True)

case("gemma2_grouped", "Gemma2ForCausalLM", 161, GROUPED, dict(
    head_dim=32, tie_word_embeddings=True, sliding_window=8, query_pre_attn_scalar=24,
    attn_logit_softcapping=4.0, final_logit_softcapping=2.0, num_hidden_layers=4), old=True,
     gguf_config=dict(query_pre_attn_scalar=32), why="the file has no query_pre_attn_scalar")

case("glm4_grouped", "Glm4ForCausalLM", 181, GROUPED, dict(
    head_dim=32, attention_bias=True), rope(partial_rotary_factor=0.5), old=True)

case("gpt2_heads", "GPT2LMHeadModel", 241, dict(
    n_embd=64, n_layer=2, n_head=4, n_positions=512, n_ctx=512, tie_word_embeddings=True))
