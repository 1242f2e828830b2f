#!/usr/bin/env python3
"""make_tiny.py - the expected logits of the tiny models, by Hugging Face transformers in float32.

    python tests/golden/make_tiny.py [NAME ...]        writes tests/golden/tiny/NAME.json

Needs torch, transformers and numpy; the tests themselves need none of them.  The weights are a pure
function of (seed, GGUF tensor name, element index): weight() here and tiny_weight() in tiny_model.c
compute the same bits, so the tree holds only configurations, tokens and logits.  Every parameter is
filled, norms and biases too: ones and zeros hide bugs.
"""
import base64
import json
import math
import os
import sys

import numpy as np
import torch
from transformers import (Gemma3ForCausalLM, Gemma3TextConfig, LlamaConfig, LlamaForCausalLM,
                          Qwen2Config, Qwen2ForCausalLM)

HERE = os.path.dirname(os.path.abspath(__file__))
MASK = (1 << 64) - 1
GOLDEN_RATIO = 0x9E3779B97F4A7C15

# Every key of a configuration, as tiny_model.h names it, and its value where a case says nothing.
DEFAULTS = dict(
    n_layer=2, n_embd=64, n_head=4, n_head_kv=2, head_dim=16, n_ff=96, n_vocab=128, tied=0,
    rms_eps=1e-5, rope_theta=10000.0,
    rope_linear=0.0,        # the factor of linear scaling; 0: none
    rope_llama3=[],         # factor, low, high, original context
    window=0, window_period=0,  # gemma3: period 0 stands for a file that does not say (6)
    rope_theta_swa=0.0,     # gemma3: 0 stands for a file that does not say (1e4)
    scale_dim=0)            # gemma3: query_pre_attn_scalar; 0: the head's width

CASES = {
    "llama_grouped": dict(arch="llama", seed=1, n_token=70),
    "llama_heads_tied": dict(arch="llama", seed=2, n_token=40, n_embd=96, n_head_kv=4, head_dim=24,
                             n_ff=160, n_vocab=107, tied=1, n_layer=3, rms_eps=1e-6),
    "llama_mqa_wide_head": dict(arch="llama", seed=3, n_token=40, n_embd=80, n_head_kv=1,
                                head_dim=32, n_ff=112, rope_theta=500000.0),
    "llama_rope_llama3": dict(arch="llama", seed=4, n_token=96, head_dim=32,
                              rope_llama3=[8.0, 1.0, 4.0, 32]),
    "llama_rope_linear": dict(arch="llama", seed=5, n_token=64, rope_linear=4.0, rope_theta=1e5),
    "llama_blocks": dict(arch="llama", seed=6, n_token=70, n_embd=256, n_head_kv=2, head_dim=64,
                         n_ff=512),
    "qwen2_grouped": dict(arch="qwen2", seed=11, n_token=70, rope_theta=1e6, rms_eps=1e-4),
    "qwen2_heads_tied": dict(arch="qwen2", seed=12, n_token=40, n_embd=96, n_head_kv=4, head_dim=24,
                             n_ff=160, n_vocab=151, tied=1, n_layer=3, rms_eps=1e-6),
    "qwen2_mqa": dict(arch="qwen2", seed=13, n_token=40, n_embd=128, n_head_kv=1, head_dim=32,
                      n_ff=176, tied=1),
    "gemma3_period6": dict(arch="gemma3", seed=21, n_token=70, n_layer=8, n_head_kv=1, head_dim=32,
                           n_vocab=112, tied=1, rms_eps=1e-3, rope_theta=1e6, window=8),
    "gemma3_period3": dict(arch="gemma3", seed=22, n_token=90, n_layer=7, n_embd=96, n_head_kv=2,
                           head_dim=32, n_ff=160, n_vocab=112, tied=1, rms_eps=1e-6,
                           rope_theta=3e5, rope_theta_swa=700.0, window=16, window_period=3,
                           scale_dim=20),
    "gemma3_heads_linear": dict(arch="gemma3", seed=23, n_token=70, n_layer=7, n_embd=64,
                                n_head_kv=4, head_dim=16, n_ff=128, n_vocab=112, tied=1,
                                rms_eps=1e-6, rope_theta=1e6, rope_linear=8.0, window=11),
}


# ---- weights -------------------------------------------------------------------------------------


def mix(z):
    """The finalizer of splitmix64, on an int or an array of uint64."""
    if isinstance(z, int):
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def tensor_key(seed, name):
    h = 0xCBF29CE484222325  # FNV-1a
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) & MASK
    return mix(h ^ mix(seed))


def uniform(seed, name, n):
    """n floats of [-1, 1), each a multiple of 2^-23: the same bits in any language."""
    index = np.arange(1, n + 1, dtype=np.uint64)
    h = mix(np.uint64(tensor_key(seed, name)) + index * np.uint64(GOLDEN_RATIO))
    top = (h >> np.uint64(40)).astype(np.int64) - (1 << 23)
    return (top.astype(np.float32) / np.float32(1 << 23)).astype(np.float32)


def amplitude(name, fan_in):
    """Half the width of the interval a tensor's values are drawn from.  Queries, keys and the head
    are scaled up so that attention is not flat and logits spread over several units."""
    if name.endswith("norm.weight") or name.endswith(".bias"):
        return np.float32(0.3)
    gain = 1.0
    if "attn_q." in name or "attn_k." in name:
        gain = 1.5
    elif name in ("token_embd.weight", "output.weight"):
        gain = 2.0
    return np.float32(gain * math.sqrt(3.0 / fan_in))


def weight(arch, seed, name, shape):
    """The tensor as Hugging Face stores it: [out, in] rows, q and k not permuted, gemma's norms
    without the one that its GGUF files have added."""
    n = int(np.prod(shape))
    values = uniform(seed, name, n) * amplitude(name, shape[-1])
    if name.endswith("norm.weight") and arch != "gemma3":
        values = np.float32(1.0) + values
    return values.reshape(shape)


def fingerprint(seed, name, values):
    """A sum over the float bits that notices a wrong value and a wrong place."""
    bits = values.astype(np.float32).reshape(-1).view(np.uint32).astype(np.uint64)
    index = np.arange(1, bits.size + 1, dtype=np.uint64) * np.uint64(GOLDEN_RATIO)
    return int(np.sum(mix(bits ^ (index + np.uint64(tensor_key(seed, name)))), dtype=np.uint64))


# ---- models --------------------------------------------------------------------------------------

LAYER_NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm"}
NORM_NAMES = {
    "gemma3": {"post_attention_layernorm": "post_attention_norm",
               "pre_feedforward_layernorm": "ffn_norm",
               "post_feedforward_layernorm": "post_ffw_norm"},
    "llama": {"post_attention_layernorm": "ffn_norm"},
    "qwen2": {"post_attention_layernorm": "ffn_norm"}}
TOP_NAMES = {"model.embed_tokens.weight": "token_embd.weight",
             "model.norm.weight": "output_norm.weight", "lm_head.weight": "output.weight"}


def gguf_name(arch, name):
    if name in TOP_NAMES:
        return TOP_NAMES[name]
    _, _, layer, rest = name.split(".", 3)
    stem, kind = rest.rsplit(".", 1)
    return f"blk.{layer}.{ {**LAYER_NAMES, **NORM_NAMES[arch]}[stem]}.{kind}"


def rope_parameters(c):
    if c["rope_llama3"]:
        factor, low, high, original = c["rope_llama3"]
        return dict(rope_type="llama3", rope_theta=c["rope_theta"], factor=factor,
                    low_freq_factor=low, high_freq_factor=high,
                    original_max_position_embeddings=int(original))
    if c["rope_linear"]:
        return dict(rope_type="linear", rope_theta=c["rope_theta"], factor=c["rope_linear"])
    return dict(rope_type="default", rope_theta=c["rope_theta"])


def rope_freqs(c):
    """What a GGUF file's rope_freqs.weight holds for Llama 3's scaling: the number that each
    frequency is divided by."""
    if not c["rope_llama3"]:
        return []
    factor, low, high, original = c["rope_llama3"]
    result = []
    for i in range(c["head_dim"] // 2):
        wavelength = 2 * math.pi * c["rope_theta"] ** (2 * i / c["head_dim"])
        smooth = min(max((original / wavelength - low) / (high - low), 0.0), 1.0)
        result.append(float(np.float32(1 / ((1 - smooth) / factor + smooth))))
    return result


def build(arch, c):
    common = dict(
        vocab_size=c["n_vocab"], hidden_size=c["n_embd"], intermediate_size=c["n_ff"],
        num_hidden_layers=c["n_layer"], num_attention_heads=c["n_head"],
        num_key_value_heads=c["n_head_kv"], rms_norm_eps=c["rms_eps"],
        tie_word_embeddings=bool(c["tied"]), max_position_embeddings=512,
        attn_implementation="eager", use_cache=False, pad_token_id=0, bos_token_id=1,
        eos_token_id=2)
    if arch == "gemma3":
        period = c["window_period"] or 6
        kinds = ["full_attention" if (i + 1) % period == 0 else "sliding_attention"
                 for i in range(c["n_layer"])]
        theta_swa = c["rope_theta_swa"] or 10000.0
        config = Gemma3TextConfig(
            **common, head_dim=c["head_dim"], sliding_window=c["window"], layer_types=kinds,
            query_pre_attn_scalar=c["scale_dim"] or c["head_dim"],
            rope_parameters={"full_attention": rope_parameters(c), "sliding_attention": dict(
                rope_type="default", rope_theta=theta_swa)})
        return Gemma3ForCausalLM(config)
    if arch == "qwen2":
        assert c["head_dim"] * c["n_head"] == c["n_embd"], "Qwen2Config has no head_dim"
        return Qwen2ForCausalLM(Qwen2Config(**common, rope_parameters=rope_parameters(c)))
    return LlamaForCausalLM(LlamaConfig(**common, head_dim=c["head_dim"],
                                        rope_parameters=rope_parameters(c)))


def fill(model, arch, seed):
    """Sets every parameter and returns the fingerprint of them all."""
    total = 0
    for name, parameter in model.named_parameters():
        g = gguf_name(arch, name)
        values = weight(arch, seed, g, tuple(parameter.shape))
        total += fingerprint(seed, g, values)
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(values))
    return total & MASK


def tokens_of(seed, n_token, n_vocab):
    u = uniform(seed, "tokens", n_token).astype(np.float64)
    return [int(t) for t in np.floor((u + 1) / 2 * n_vocab)]


def logits_of(model, tokens):
    with torch.no_grad():
        return model(torch.tensor([tokens])).logits[0].float().numpy()


def make(name):
    case = dict(CASES[name])
    arch, seed, n_token = case.pop("arch"), case.pop("seed"), case.pop("n_token")
    c = {**DEFAULTS, **case}
    model = build(arch, c).float().eval()
    weights = fill(model, arch, seed)
    tokens = tokens_of(seed, n_token, c["n_vocab"])
    logits = logits_of(model, tokens)
    return model, dict(
        name=name, arch=arch, seed=seed, config=c, rope_freqs=rope_freqs(c),
        weights=f"{weights:016x}", tokens=tokens,
        logits=base64.b64encode(logits.astype("<f4").tobytes()).decode())


def main():
    for name in sys.argv[1:] or CASES:
        model, fixture = make(name)
        path = os.path.join(HERE, "tiny", name + ".json")
        with open(path, "w") as f:
            f.write("{\n" + ",\n".join(f'"{k}": {json.dumps(v)}' for k, v in fixture.items())
                    + "\n}\n")
        x = np.frombuffer(base64.b64decode(fixture["logits"]), "<f4")
        n = sum(p.numel() for p in model.parameters())
        print(f"{name}: {n} parameters, {len(fixture['tokens'])} tokens, logits of spread "
              f"{x.std():.2f} within {x.min():.2f} .. {x.max():.2f}, {os.path.getsize(path)} bytes")


if __name__ == "__main__":
    main()
