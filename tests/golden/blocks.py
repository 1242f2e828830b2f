#!/usr/bin/env python3
"""Fingerprints of what the `gguf` Python package makes of blocks and floats: writes blocks.h.

    python3 tests/golden/blocks.py > tests/golden/blocks.h

Blocks and floats come from a counter-based generator that tests/unit/test_quantize.c repeats, so
only 64-bit hashes are kept.  Both sides must make the same input: read the comments there too.
"""
import sys
from importlib.metadata import version

import gguf
import numpy as np

U64 = np.uint64
GOLDEN = 0x9E3779B97F4A7C15
N_BLOCK = 100000

# name: (block bytes, weights, offsets of the f16 scales in a block).  Three types have other scales:
# see finite_scales and put_scales.
TYPES = {
    "f16": (2, 1, [0]),
    "bf16": (2, 1, []),
    "q4_0": (18, 32, [0]),
    "q4_1": (20, 32, [0, 2]),
    "q5_0": (22, 32, [0]),
    "q5_1": (24, 32, [0, 2]),
    "q8_0": (34, 32, [0]),
    "q4_k": (144, 256, [0, 2]),
    "q5_k": (176, 256, [0, 2]),
    "q6_k": (210, 256, [208]),
    "q2_k": (84, 256, [80, 82]),
    "q3_k": (110, 256, [108]),
    "iq1_s": (50, 256, [0]),
    "iq1_m": (56, 256, []),
    "iq2_xxs": (66, 256, [0]),
    "iq2_xs": (74, 256, [0]),
    "iq2_s": (82, 256, [0]),
    "iq3_xxs": (98, 256, [0]),
    "iq3_s": (110, 256, [0]),
    "iq4_nl": (18, 32, [0]),
    "iq4_xs": (136, 256, [0]),
    "tq1_0": (54, 256, [52]),
    "tq2_0": (66, 256, [64]),
    "mxfp4": (17, 32, []),
    "nvfp4": (36, 64, []),
}
QUANTIZABLE = ["f16", "bf16", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "tq1_0", "tq2_0", "mxfp4"]

# Zero, the smallest and largest denormal, the smallest normal, one, the largest; both signs.
EXTREME_SCALES = [s | h for h in (0x0000, 0x0001, 0x03FF, 0x0400, 0x3C00, 0x7BFF) for s in (0, 0x8000)]
EXTREME_BYTES = [0x00, 0xFF, 0x80, 0x7F, 0x0F, 0xF0, 0x55, 0xAA]


def mix(x):
    """The finalizer of splitmix64."""
    x = (x ^ (x >> U64(30))) * U64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> U64(27))) * U64(0x94D049BB133111EB)
    return x ^ (x >> U64(31))


def words(seed, n):
    """Word i is mix(seed + (i + 1) * GOLDEN)."""
    i = np.arange(1, n + 1, dtype=U64)
    return mix(U64(seed) + i * U64(GOLDEN))


def fingerprint(a):
    """The sum of mix(element bits + (i + 1) * GOLDEN): elements are 32-bit words or bytes."""
    h = U64(0)
    step = 1 << 22
    for at in range(0, a.size, step):
        part = a[at:at + step].astype(U64)
        i = np.arange(at + 1, at + 1 + part.size, dtype=U64)
        h += mix(part + i * U64(GOLDEN)).sum(dtype=U64)
    return int(h)


def finite_scales(name, blocks):
    """An f16 (or a bf16) with all exponent bits loses the highest: NaN and infinity are not compared."""
    for o in TYPES[name][2]:
        top = blocks[:, o + 1]
        top[(top & 0x7C) == 0x7C] &= 0xBF
    if name == "bf16":
        blocks[(blocks[:, 1] & 0x7F) == 0x7F, 1] &= 0xBF
    if name == "iq1_m":  # the f16 is spread over the high nibbles of four words, the lowest first
        all_ones = ((blocks[:, 53] & 0xC0) == 0xC0) & ((blocks[:, 55] & 0x70) == 0x70)
        blocks[all_ones, 55] &= 0xBF
    return blocks


def random_blocks(name, seed):
    n_bytes = TYPES[name][0]
    flat = words(seed, (N_BLOCK * n_bytes + 7) // 8).view(np.uint8)[:N_BLOCK * n_bytes]
    return finite_scales(name, flat.reshape(N_BLOCK, n_bytes).copy())


def put_scales(name, b, d, m):
    """Byte scales take the low byte of d and m in turn."""
    for o, scale in zip(TYPES[name][2], (d, m)):
        b[o], b[o + 1] = scale & 255, scale >> 8
    if name == "iq1_m":
        for i in range(4):
            b[49 + 2 * i] = b[49 + 2 * i] & 15 | (d >> 4 * i & 15) << 4
    if name == "mxfp4":
        b[0] = d & 255
    if name == "nvfp4":
        b[0:4] = [d & 255, m & 255] * 2


def extreme_blocks(name):
    """Every fill byte with every pair of extreme scales."""
    out = []
    for fill in EXTREME_BYTES:
        for d in EXTREME_SCALES:
            for m in EXTREME_SCALES:
                b = np.full(TYPES[name][0], fill, dtype=np.uint8)
                put_scales(name, b, d, m)
                out.append(b)
    return np.stack(out)


def floats(seed, n_block, n):
    """Blocks of n floats, of a kind that depends on the block's number mod 8."""
    w = (words(seed, n * n_block) >> U64(32)).astype(np.uint32).reshape(n_block, n)
    sign, mant = w & np.uint32(0x80000000), w & np.uint32(0x7FFFFF)
    small = (w >> np.uint32(28)).astype(np.int32)
    kinds = [
        sign | mant | np.uint32(120 << 23) + ((w >> np.uint32(23) & np.uint32(7)) << np.uint32(23)),
        sign | mant | np.uint32(90 << 23) + ((w >> np.uint32(23) & np.uint32(63)) << np.uint32(23)),
        (small - 8).astype(np.float32).view(np.uint32),             # -8 .. 7: ties, exact levels
        ((small - 8).astype(np.float32) / 2).view(np.uint32),
        ((w >> np.uint32(16)).astype(np.int32) - 32768).astype(np.float32).view(np.uint32),
        np.broadcast_to(w[:, :1] & np.uint32(0xBFFFFFFF), w.shape),  # one value, at most 2
        np.zeros_like(w),
        sign | np.uint32(143 << 23) | mant,                          # 2^16: some scales are inf
    ]
    out = np.empty_like(w)
    for kind, bits in enumerate(kinds):
        out[kind::8] = bits[kind::8]
    # A constant block with an f32 denormal scale has an infinite reciprocal: not compared.
    tiny = (out & np.uint32(0x7FFFFFFF)) < np.uint32(16 << 23)
    out[tiny] = 0
    return out.reshape(-1).view(np.float32)


def main():
    np.seterr(all="ignore")
    rows = []
    for i, name in enumerate(TYPES):
        qtype = gguf.GGMLQuantizationType[name.upper()]
        seed = 1000 + i
        random, extreme = random_blocks(name, seed), extreme_blocks(name)
        dq = [gguf.quants.dequantize(b, qtype).reshape(-1).view(np.uint32) for b in (random, extreme)]
        quantized = 0
        if name in QUANTIZABLE:
            n = max(32, TYPES[name][1])
            n_block = N_BLOCK * 32 // n
            x = floats(seed, n_block, n).reshape(n_block, n)
            q = gguf.quants.quantize(x, qtype)
            quantized = fingerprint(np.ascontiguousarray(q).view(np.uint8).reshape(-1))
        rows.append((name, seed, fingerprint(dq[0]), fingerprint(dq[1]), quantized))

    out = sys.stdout
    out.write("/* blocks.h - generated by blocks.py with gguf %s; do not edit. */\n" % version("gguf"))
    out.write("/* clang-format off */\n")
    out.write("static const struct {\n    td_dtype dtype;\n    uint64_t seed;\n")
    out.write("    uint64_t random, extreme; /* of the dequantized blocks */\n")
    out.write("    uint64_t quantized;       /* of the blocks made from floats; 0: the package has no quantizer */\n")
    out.write("} golden_blocks[] = {\n")
    for name, seed, r, e, q in rows:
        out.write("    {TD_DTYPE_%s, %d, 0x%016x, 0x%016x, 0x%016x},\n" % (name.upper(), seed, r, e, q))
    out.write("};\n/* clang-format on */\n")


if __name__ == "__main__":
    main()
