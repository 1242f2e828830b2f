#!/usr/bin/env python3
"""make_quantized.py - a tiny llama as the hub's quantized folders have it: FP8, INT4, GPTQ, AWQ, MXFP4.
DeepSeek-V3 in FP8 and Kimi K2 with experts in INT4, too.

    python tests/golden/make_quantized.py [NAME ...]    writes tests/golden/archs/quant_NAME.json

Integers and scales are pure functions of (seed, tensor name, element index), as the floats of
make_archs.py are: element() here and saved_tensor.c compute the same bits.  The logits are those
of Hugging Face transformers in float32 with the weights that the integers stand for, computed here
with numpy from the formats' definitions.
"""
import json
import os
import sys
import tempfile

import numpy as np
from safetensors.numpy import save_file

import make_archs
from archs_cases import CASES, COMMON, WIDE, rope
from archs_cases_mc import MLA, yarn
from make_archs import HERE, encoded, positions_of, write
from make_tiny import GOLDEN_RATIO, MASK, logits_of, mix, tensor_key, tokens_of, uniform

# Two widths that 128 divides, and a number of outputs that it does not.
SHAPE = {**WIDE, "intermediate_size": 384, "num_key_value_heads": 1}
UNSIGNED = {"I32": np.uint32, "U8": np.uint8, "F8_E4M3": np.uint8, "BF16": np.uint16,
            "F16": np.uint16, "F32": np.uint32, "I64": np.uint64}

# ---- elements ------------------------------------------------------------------------------------


def bf16_bits(x):
    bits = x.astype(np.float32).view(np.uint32)
    return ((bits + np.uint32(0x7FFF) + (bits >> np.uint32(16) & np.uint32(1)))
            >> np.uint32(16)).astype(np.uint16)


def random_bits(seed, name, n):
    index = np.arange(1, n + 1, dtype=np.uint64) * np.uint64(GOLDEN_RATIO)
    return mix(np.uint64(tensor_key(seed, name)) + index)


def element(seed, name, shape, how):
    """The bits of all elements, in the unsigned type of their width."""
    n, dtype = int(np.prod(shape)), how["dtype"]
    kind = UNSIGNED[dtype]
    if "values" in how:
        return np.array(how["values"], kind)
    if "group" in how:
        return (np.arange(n) // how["group"]).astype(kind)
    if "and" in how:
        bits = random_bits(seed, name, n) >> np.uint64(64 - 8 * np.dtype(kind).itemsize)
        bits = (bits & np.uint64(how["and"])) + np.uint64(how.get("add", 0))
        if dtype == "F8_E4M3":
            bits = np.where(bits & np.uint64(0x7F) == 0x7F, bits ^ np.uint64(1), bits)
        return bits.astype(kind).reshape(shape)
    x = uniform(seed, name, n) * np.float32(how["amplitude"]) + np.float32(how["offset"])
    x = x.astype(np.float32).reshape(shape)
    if dtype == "BF16":
        return bf16_bits(x)
    return x.astype(np.float16).view(np.uint16) if dtype == "F16" else x.view(np.uint32)


def floats(bits, dtype):
    if dtype == "BF16":
        return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)
    if dtype == "F16":
        return bits.view(np.float16).astype(np.float32)
    return bits.view(np.float32)


def fingerprint_of(seed, name, bits):
    bits = bits.reshape(-1).astype(np.uint64) & np.uint64(0xFFFFFFFF)
    index = np.arange(1, bits.size + 1, dtype=np.uint64) * np.uint64(GOLDEN_RATIO)
    key = np.uint64(tensor_key(seed, name))
    return int(np.sum(mix(bits ^ (index + key)), dtype=np.uint64))


# ---- formats: arrays of a weight [n, k], and the float32 weight they stand for -------------------
#
# Each takes deviation, that of the weights, and returns {suffix: (shape, how)} and a function of
# the arrays' bits.  Scales spread by a half to either side of their mean.


def scale(dtype, mean):
    mean = float(np.float32(mean))
    return dict(dtype=dtype, amplitude=float(np.float32(mean / 2)), offset=mean)


def e4m3(bits):
    bits = bits.astype(np.int64)
    exponent, fraction = bits >> 3 & 15, bits & 7
    value = np.where(exponent == 0, fraction * 2.0 ** -9,
                     (8 + fraction) * 2.0 ** (exponent - 10.0))
    return np.where(bits & 128, -value, value).astype(np.float32)


E4M3 = dict(dtype="F8_E4M3", **{"and": 255})
E4M3_DEVIATION = float(np.sqrt(np.mean(e4m3(np.arange(255)) ** 2 * (np.arange(255) != 127))))


def fp8_block(n, k, deviation):
    rows, cols = -(-n // 128), -(-k // 128)
    arrays = {"weight": ([n, k], E4M3), "weight_scale_inv": (
        [rows, cols], scale("F32", deviation / E4M3_DEVIATION))}

    def weight(a):
        s = floats(a["weight_scale_inv"], "F32").repeat(128, 0).repeat(128, 1)[:n, :k]
        return e4m3(a["weight"]) * s
    return arrays, weight


def fp8_channel(n, k, deviation):
    arrays = {"weight": ([n, k], E4M3),
              "weight_scale": ([n, 1], scale("BF16", deviation / E4M3_DEVIATION))}
    return arrays, lambda a: e4m3(a["weight"]) * floats(a["weight_scale"], "BF16")


def nibbles(words, axis):
    """Eight values of four bits for each word, along an axis, the lowest first."""
    shifts = np.arange(0, 32, 4, dtype=np.uint32)
    x = np.expand_dims(words, axis + 1) >> shifts.reshape([-1 if i == axis + 1 else 1
                                                           for i in range(words.ndim + 1)])
    shape = list(words.shape)
    shape[axis] *= 8
    return (x & np.uint32(15)).astype(np.float32).reshape(shape)


WORDS = dict(dtype="I32", **{"and": 0xFFFFFFFF})
ZEROS = dict(dtype="I32", add=0x44444444, **{"and": 0x77777777})  # from 4 to 11
DIGITS_DEVIATION = 4.6  # of 0 to 15
ZEROED_DEVIATION = 5.2  # less a zero


def int4(n, k, deviation):
    arrays = {"weight_packed": ([n, k // 8], WORDS),
              "weight_scale": ([n, k // 32], scale("BF16", deviation / DIGITS_DEVIATION)),
              "weight_shape": ([2], dict(dtype="I64", values=[n, k]))}

    def weight(a):
        s = floats(a["weight_scale"], "BF16").repeat(32, 1)
        return (nibbles(a["weight_packed"], 1) - np.float32(8)) * s
    return arrays, weight


def gptq(group, add):
    def form(n, k, deviation):
        arrays = {"qweight": ([k // 8, n], WORDS), "qzeros": ([k // group, n // 8], ZEROS),
                  "scales": ([k // group, n], scale("F16", deviation / ZEROED_DEVIATION)),
                  "g_idx": ([k], dict(dtype="I32", group=group))}

        def weight(a):
            zeros = nibbles(a["qzeros"], 1) + np.float32(add)
            q = nibbles(a["qweight"], 0) - zeros.repeat(group, 0)
            return (q * floats(a["scales"], "F16").repeat(group, 0)).T
        return arrays, weight
    return form


def awq(n, k, deviation):
    arrays = {"qweight": ([k, n // 8], WORDS), "qzeros": ([k // 128, n // 8], ZEROS),
              "scales": ([k // 128, n], scale("F16", deviation / ZEROED_DEVIATION))}
    order = np.array([0, 4, 1, 5, 2, 6, 3, 7])  # the nibble that holds output i of eight

    def outputs(words):
        return nibbles(words, 1).reshape(words.shape[0], -1, 8)[:, :, order].reshape(
            words.shape[0], -1)

    def weight(a):
        q = outputs(a["qweight"]) - outputs(a["qzeros"]).repeat(128, 0)
        return (q * floats(a["scales"], "F16").repeat(128, 0)).T
    return arrays, weight


E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6], np.float32)


def mxfp4(n, k, deviation):
    base = 127 + round(np.log2(deviation / 2.7)) - 2
    arrays = {"weight_packed": ([n, k // 2], dict(dtype="U8", **{"and": 255})),
              "weight_scale": ([n, k // 32], dict(dtype="U8", add=int(base), **{"and": 3}))}

    def weight(a):
        digits = np.stack([a["weight_packed"] & 15, a["weight_packed"] >> 4], -1).reshape(n, k)
        x = np.concatenate([E2M1, -E2M1])[digits]
        return x * np.exp2(a["weight_scale"].astype(np.float32) - 127).repeat(32, 1)
    return arrays, weight


def mxfp4_experts(n_expert, k, n, deviation):
    """gpt-oss: all experts together, outputs first, of a parameter that has them last."""
    base = 127 + round(np.log2(deviation / 2.7)) - 2
    arrays = {"_blocks": ([n_expert, n, k // 32, 16], dict(dtype="U8", **{"and": 255})),
              "_scales": ([n_expert, n, k // 32], dict(dtype="U8", add=int(base), **{"and": 3}))}

    def weight(a):
        digits = np.stack([a["_blocks"] & 15, a["_blocks"] >> 4], -1).reshape(n_expert, n, k)
        x = np.concatenate([E2M1, -E2M1])[digits]
        x = x * np.exp2(a["_scales"].astype(np.float32) - 127).repeat(32, 2)
        return x.transpose(0, 2, 1)
    return arrays, weight


def compressed_tensors(form, **weights):
    return dict(quant_method="compressed-tensors", format=form, quantization_status="compressed",
                ignore=["lm_head"], config_groups=dict(group_0=dict(
                    targets=["Linear"], input_activations=None, output_activations=None,
                    weights=dict(symmetric=True, **weights))))


GPTQ = dict(quant_method="gptq", bits=4, desc_act=False, sym=False)
FORMS = {
    "fp8_block": (401, fp8_block, dict(quant_method="fp8", fmt="e4m3", activation_scheme="dynamic",
                                       weight_block_size=[128, 128])),
    "fp8_channel": (402, fp8_channel, compressed_tensors(
        "float-quantized", num_bits=8, type="float", strategy="channel", group_size=None)),
    "int4": (403, int4, compressed_tensors(
        "pack-quantized", num_bits=4, type="int", strategy="group", group_size=32)),
    "gptq": (404, gptq(128, 1), dict(GPTQ, group_size=128, checkpoint_format="gptq")),
    "gptq_v2": (405, gptq(32, 0), dict(GPTQ, group_size=32, checkpoint_format="gptq_v2")),
    "awq": (406, awq, dict(quant_method="awq", bits=4, group_size=128, zero_point=True,
                           version="gemm")),
    "mxfp4": (407, mxfp4, compressed_tensors(
        "mxfp4-pack-quantized", num_bits=4, type="float", strategy="group", group_size=32)),
}

# ---- the models ----------------------------------------------------------------------------------

LLAMA = dict(CASES["llama_wide"], config={**COMMON, **SHAPE, **rope()})
# 128 divides no number of outputs of kv_a_proj_with_mqa.
DEEPSEEK = dict(
    COMMON, **{**MLA, "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2,
               "kv_lora_rank": 128, "moe_intermediate_size": 128}, **yarn(1.0, 1.0), q_lora_rank=128,
    n_routed_experts=8, num_experts_per_tok=2, n_shared_experts=1, n_group=2, topk_group=1)
KIMI = {**DEEPSEEK, "hidden_size": 64, "kv_lora_rank": 64, "q_lora_rank": 64, "n_group": 1,
        "moe_intermediate_size": 96, "routed_scaling_factor": 2.827}
MODELS = {
    "fp8_deepseek_v3": dict(CASES["deepseek_v3_groups"], config=DEEPSEEK),
    "int4_kimi_k2": dict(CASES["deepseek_v3_kimi_k2"], config=KIMI),
    "fp8_minimax_m2": dict(
        CASES["minimax_m2_grouped"], hub=dict(rotary_dim=16, scoring_func="sigmoid"), config={
            **CASES["minimax_m2_grouped"]["config"], "hidden_size": 128, "intermediate_size": 96}),
    "mxfp4_gpt_oss": CASES["gpt_oss_grouped"]}
FORMS["fp8_deepseek_v3"] = (411, *FORMS["fp8_block"][1:])
FORMS["int4_kimi_k2"] = (412, int4, {**FORMS["int4"][2], "ignore": [
    "lm_head", "re:.*self_attn.*", "re:.*shared_experts.*", "re:.*mlp\\.(gate|up|gate_up|down)_proj.*"]})
FORMS["fp8_minimax_m2"] = (1413, fp8_block, {**FORMS["fp8_block"][2], "fmt": "float8_e4m3fn",
                                            "modules_to_not_convert": [
    "gate", "e_score_correction_bias", "lm_head"]})
FORMS["mxfp4_gpt_oss"] = (2414, mxfp4_experts, dict(quant_method="mxfp4", modules_to_not_convert=[
    "model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"]))


def is_quantized(name, tensor):
    """Whether the format of this fixture takes the tensor."""
    if name == "int4_kimi_k2":
        return ".experts." in tensor
    if name == "mxfp4_gpt_oss":
        return tensor.endswith(("experts.gate_up_proj", "experts.down_proj"))
    if ".experts." in tensor:
        return True
    return tensor.endswith(("_proj.weight", "_proj_with_mqa.weight"))


# ---- the fixture ---------------------------------------------------------------------------------


def rows_of(case, form, name, shape):
    """The arrays of one tensor of the model: [(name, shape, how)], and what they stand for.  Without
    a form it stays in BF16."""
    amplitude, offset = make_archs.amplitude_and_offset(case, name, shape)
    if form is None:
        how = dict(dtype="BF16", amplitude=float(np.float32(amplitude)), offset=offset)
        return [(name, shape, how)], lambda a: floats(a[name], "BF16")
    arrays, weight = form(*shape, amplitude / 3 ** 0.5)
    stem = name.removesuffix("weight")
    return [(stem + suffix, *rest) for suffix, rest in arrays.items()], (
        lambda a: weight({suffix: a[stem + suffix] for suffix in arrays}))


def model_of(case, config, state):
    """transformers' model from a folder with these float32 weights."""
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "config.json"), "w") as f:
            json.dump(config, f)
        save_file(state, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
        return make_archs.load(case, folder)


def make(name):
    seed, form, quantization = FORMS[name]
    case = dict(MODELS.get(name, LLAMA), seed=seed)
    table, total, state = [], 0, {}
    with tempfile.TemporaryDirectory() as folder:
        shapes = make_archs.shapes_of(case, folder)
        with open(os.path.join(folder, "config.json")) as f:
            config = json.load(f)
    for tensor, shape in shapes.items():
        rows, weight = rows_of(case, form if is_quantized(name, tensor) else None, tensor, shape)
        bits = {n: element(seed, n, s, how) for n, s, how in rows}
        table += [list(row) for row in rows]
        total += sum(fingerprint_of(seed, n, b) for n, b in bits.items())
        x = weight(bits)
        assert x.shape == tuple(shape) and x.dtype == np.float32, (tensor, x.shape, x.dtype)
        state[tensor] = np.ascontiguousarray(x)
    model = model_of(case, config, state)
    tokens = tokens_of(seed, 70, config["vocab_size"])
    with make_archs.routing_gaps() as gaps:
        logits, positions = logits_of(model, tokens), positions_of(70)
    assert min(gaps, default=1.0) > make_archs.MIN_ROUTING_GAP, "a router is near a tie"
    config.update(dtype="bfloat16", quantization_config=quantization, **MODELS.get(name, {}).get(
        "old_more", {}))
    return dict(name="quant_" + name, seed=seed, n_vocab=config["vocab_size"], n_ctx=128,
                oracle="transformers", tolerance=2e-4, weights=f"{total & MASK:016x}",
                tokens=tokens, positions=positions, config=config, tensors=table,
                logits=encoded(logits[positions])), logits


def main():
    for name in sys.argv[1:] or FORMS:
        fixture, logits = make(name)
        path = os.path.join(HERE, "archs", f"quant_{name}.json")
        write(path, fixture)
        print(f"quant_{name}: logits of spread {logits.std():.2f} within {logits.min():.2f} .. "
              f"{logits.max():.2f}, {os.path.getsize(path)} bytes", flush=True)


if __name__ == "__main__":
    main()
