#!/usr/bin/env python3
"""Quantized weights as Hugging Face folders keep them: writes sources/*/ and sources.h.

    python3 tests/golden/make_sources.py

For each case the weights are drawn as plain integers, scales and zeros, multiplied out in float32,
and only then packed as the tool that makes such files packs them; the safetensors package writes
the files.  What must come back are the products, of which sources.h keeps 64-bit hashes.  Where
transformers unpacks the same form itself, its result is compared here too.
"""
import json
import pathlib
import shutil

import numpy as np
import torch
from safetensors.torch import save_file
from transformers.integrations import finegrained_fp8, mxfp4

HERE = pathlib.Path(__file__).parent
OUT = HERE / "sources"
rng = np.random.default_rng(4)
rows = []


def fnv(values):
    """FNV-1a over the bytes of float32 values, as tests/golden/test_sources.c computes it."""
    h = 0xCBF29CE484222325
    for byte in np.ascontiguousarray(values, np.float32).tobytes():
        h = (h ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return h


def write(case, config, tensors, expected):
    """`expected`: {name: (type, values)}; arrays that are a tensor each need not be named."""
    folder = OUT / case
    folder.mkdir(parents=True)
    config = {"model_type": "llama", "quantization_config": config}
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    save_file({k: v.contiguous() for k, v in tensors.items()}, folder / "model.safetensors",
              metadata={"format": "pt"})
    for name, (dtype, values) in expected.items():
        ne = (list(values.shape[::-1]) + [1, 1])[:3]
        rows.append('    {"%s", "%s", %s, {%d, %d, %d}, 0x%016x},' % (
            case, name, dtype, *ne, fnv(values)))


def scales(shape, dtype):
    """Random ones, as float32 and as the file has them."""
    t = torch.from_numpy(np.array((rng.random(shape, np.float32) + 0.25) / 64)).to(dtype)
    return t, np.asarray(t.float().numpy())


# ---- FP8 ----

def f8(shape):
    """Every code but the two NaNs, negative zero and denormals too."""
    codes = rng.integers(0, 256, shape, np.uint8)
    codes[(codes & 0x7F) == 0x7F] = 0x80
    t = torch.from_numpy(codes).view(torch.float8_e4m3fn)
    return t, np.asarray(t.float().numpy())


def spread(s, block, shape):
    """Each scale over the rows and columns of its block."""
    return np.repeat(np.repeat(s, block[0], -2), block[1], -1)[..., :shape[-2], :shape[-1]]


def fp8_block(case, shape, block, dtype, config):
    w, values = f8(shape)
    n_block = [-(-shape[-2] // block[0]), -(-shape[-1] // block[1])]
    s, plain = scales([*shape[:-2], *n_block], dtype)
    expected = values * spread(plain, block, shape)
    if len(shape) == 2 and shape[0] % block[0] == 0 and shape[1] % block[1] == 0:
        theirs = finegrained_fp8._dequantize_fp8_weight(w, s, list(block), torch.float32)
        assert np.array_equal(theirs.numpy(), expected)
    name = "a.weight" if len(shape) == 2 else "experts.down_proj"
    write(case, config, {name: w, name + "_scale_inv": s},
          {name: ("TD_DTYPE_F8_E4M3", expected)})


def fp8_scaled(case, shape, scale_shape, dtype, config):
    w, values = f8(shape)
    s, plain = scales(scale_shape, dtype)
    if plain.ndim == 1 and plain.size > 1:
        plain = plain[:, None]
    write(case, config, {"a.weight": w, "a.weight_scale": s, "a.input_scale": torch.ones(1),
                         "a.bias": torch.ones(shape[0])},
          {"a.weight": ("TD_DTYPE_F8_E4M3", values * plain),
           "a.bias": ("TD_DTYPE_F32", np.ones(shape[0], np.float32))})


# ---- four bits ----

def nibbles(values, axis):
    """Eight neighbours along `axis` to one int32, the first in the lowest bits."""
    v = np.moveaxis(values.astype(np.uint32), axis, -1)
    v = v.reshape(*v.shape[:-1], -1, 8)
    words = np.bitwise_or.reduce(v << (4 * np.arange(8, dtype=np.uint32)), axis=-1)
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(words, -1, axis)).view(np.int32))


def draw(n, k, group):
    q = rng.integers(0, 16, (n, k))
    z = rng.integers(0, 16, (n, k // group))
    return q, z


def multiply(q, z, s, group):
    """(q - z) * s in float32; z and s are [n][k / group]."""
    wide = lambda a: np.repeat(a, group, axis=1)
    return (q - wide(z)).astype(np.float32) * wide(s)


def int4(case, n, k, group, dtype, ours):
    q, z = draw(n, k, group)
    s, plain = scales([n, k // group], dtype)
    config = {"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {
        "group_0": {"targets": ["Linear"], "input_activations": None, "weights": {
            "num_bits": 4, "type": "int", "symmetric": True, "strategy": "group",
            "group_size": group}}}, "ignore": ["lm_head"]}
    write(case, config, {"a.weight_packed": nibbles(q, 1), "a.weight_scale": s,
                         "a.weight_shape": torch.tensor([n, k])},
          {"a.weight": (ours, multiply(q, np.full_like(z, 8), plain, group))})


def gptq(case, n, k, group, dtype, v2, g_idx):
    q, z = draw(n, k, group)
    s, plain = scales([n, k // group], dtype)
    if not v2:  # the first format keeps the zero less one; less than none wraps
        packed_zeros = nibbles(((z - 1) & 15).T, 1)
    else:
        packed_zeros = nibbles(z.T, 1)
    config = {"quant_method": "gptq", "bits": 4, "group_size": group if group < k else -1,
              "desc_act": False, "sym": False}
    if v2:
        config["checkpoint_format"] = "gptq_v2"
    tensors = {"a.qweight": nibbles(q.T, 0), "a.qzeros": packed_zeros, "a.scales": s.T,
               "a.bias": torch.ones(n)}
    if g_idx:
        tensors["a.g_idx"] = torch.arange(k, dtype=torch.int32) // group
    write(case, config, tensors, {
        "a.weight": ("TD_DTYPE_INT4_Z128" if group % 128 == 0 else "TD_DTYPE_INT4_Z32",
                     multiply(q, z, plain, group))})


def awq_order(values):
    """[...][n]: bits 4 i of a word hold output {0, 2, 4, 6, 1, 3, 5, 7}[i] of its eight."""
    v = values.reshape(*values.shape[:-1], -1, 8)[..., [0, 2, 4, 6, 1, 3, 5, 7]]
    return nibbles(v.reshape(values.shape), 1)


def awq(case, n, k, group):
    q, z = draw(n, k, group)
    s, plain = scales([n, k // group], torch.float16)
    config = {"quant_method": "awq", "bits": 4, "group_size": group, "version": "gemm",
              "zero_point": True}
    write(case, config, {"a.qweight": awq_order(q.T), "a.qzeros": awq_order(z.T),
                         "a.scales": s.T},
          {"a.weight": ("TD_DTYPE_INT4_Z128" if group % 128 == 0 else "TD_DTYPE_INT4_Z32",
                        multiply(q, z, plain, group))})


# ---- MXFP4 ----

# Minus zero is zero, as it is to the gguf package.
FP4 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6], np.float32)


def mxfp4_draw(shape):
    """Codes, bytes with the even one low, exponents, and what they stand for."""
    q = rng.integers(0, 16, shape).astype(np.uint8)
    e = rng.integers(100, 140, [*shape[:-1], shape[-1] // 32]).astype(np.uint8)
    values = np.ldexp(FP4[q], np.repeat(e.astype(np.int32) - 127, 32, axis=-1))
    return torch.from_numpy(q[..., ::2] | q[..., 1::2] << 4), torch.from_numpy(e), values


def mxfp4_packed(case, n, k):
    b, e, values = mxfp4_draw((n, k))
    write(case, {"quant_method": "compressed-tensors", "format": "mxfp4-pack-quantized"},
          {"a.weight_packed": b, "a.weight_scale": e}, {"a.weight": ("TD_DTYPE_MXFP4", values)})


def mxfp4_experts(case, n_expert, n, k):
    b, e, values = mxfp4_draw((n_expert, n, k))
    blocks = b.reshape(n_expert, n, k // 32, 16)
    theirs = mxfp4.convert_moe_packed_tensors(blocks, e, dtype=torch.float32)
    assert np.array_equal(theirs.numpy().transpose(0, 2, 1), values)
    name = "model.layers.0.mlp.experts.gate_up_proj"
    write(case, {"quant_method": "mxfp4"},
          {name + "_blocks": blocks, name + "_scales": e, name + "_bias": torch.ones(n_expert, n)},
          {name: ("TD_DTYPE_MXFP4", values)})


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    fp8 = {"quant_method": "fp8", "weight_block_size": [128, 128]}
    fp8_block("fp8_block", (256, 128), (128, 128), torch.float32, fp8)
    fp8_block("fp8_block_ragged", (136, 200), (128, 128), torch.float32, fp8)
    fp8_block("fp8_block_wide", (40, 300), (16, 256), torch.bfloat16,
              {"quant_method": "fp8", "weight_block_size": [16, 256]})
    fp8_block("fp8_block_experts", (3, 32, 144), (16, 128), torch.float32,
              {"quant_method": "fp8", "weight_block_size": [16, 128]})
    ct = {"quant_method": "compressed-tensors", "format": "float-quantized"}
    fp8_scaled("fp8_channel", (24, 144), [24, 1], torch.bfloat16, ct)
    fp8_scaled("fp8_channel_flat", (24, 144), [24], torch.float32, {"quant_method": "fbgemm_fp8"})
    fp8_scaled("fp8_tensor", (24, 144), [], torch.float32, ct)
    int4("int4_bf16", 12, 128, 32, torch.bfloat16, "TD_DTYPE_INT4")
    int4("int4_f16", 12, 256, 128, torch.float16, "TD_DTYPE_Q4_0")
    int4("int4_channel", 12, 96, 96, torch.bfloat16, "TD_DTYPE_INT4")
    gptq("gptq", 24, 256, 128, torch.float16, False, True)
    gptq("gptq_32", 16, 96, 32, torch.float16, False, False)
    gptq("gptq_v2", 16, 128, 64, torch.float16, True, True)
    gptq("gptq_one_group", 8, 384, 384, torch.float16, False, True)
    awq("awq", 24, 256, 128)
    awq("awq_64", 16, 192, 64)
    mxfp4_packed("mxfp4_packed", 12, 96)
    mxfp4_experts("mxfp4_experts", 3, 10, 64)
    (HERE / "sources.h").write_text(
        "/* sources.h - generated by make_sources.py; do not edit. */\n/* clang-format off */\n"
        "static const struct {\n    const char *folder, *tensor;\n    td_dtype dtype;\n"
        "    int64_t ne[3];\n    uint64_t hash; /* of the weights as floats */\n"
        "} golden_sources[] = {\n" + "\n".join(rows) + "\n};\n/* clang-format on */\n")


if __name__ == "__main__":
    main()
