#!/usr/bin/env python3
"""make_archs.py - tiny models of every dense architecture, as Hugging Face folder and as GGUF file.

    PEER_SOURCE=.../llama.cpp python tests/golden/make_archs.py [NAME ...]
                                               writes tests/golden/archs/NAME.json (see README.md)

The logits are those of Hugging Face transformers in float32 with eager attention.  What the GGUF
file looks like is learned from llama.cpp's own converter, which PEER_SOURCE names (the folder with
convert_hf_to_gguf.py); without it nothing is written.  Where the package llama_cpp can be
imported, llama.cpp also computes the logits from that file, and the fixture says how near it comes.

A weight is a pure function of (seed, tensor name, element index): weights() here and arch_model.c
compute the same bits.  How the GGUF tensors follow from the saved ones is found by converting
twice: once the weights, and once a copy of the folder in which every element is its own number.
"""
import base64
import contextlib
import importlib
import json
import logging
import math
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.numpy import load_file, save_file

from archs_cases import CASES
from make_tiny import MASK, fingerprint, logits_of, tokens_of, uniform

HERE = os.path.dirname(os.path.abspath(__file__))
PEER_NOISE = 5e-4
# Router logits differ in the last bits from one implementation to the next: no choice may hang on that.
MIN_ROUTING_GAP = 1e-3
ROUTER = re.compile(r"\.(gate|gate\.wg|router|router\.layer)\.weight$")

# ---- weights -------------------------------------------------------------------------------------


def is_norm(name):
    return name.endswith("norm.weight") or "layernorm.weight" in name or name.endswith(
        ("ln_1.weight", "ln_2.weight", "ln_f.weight", "ln_attn.weight", "ln_mlp.weight",
         "layer_norm.weight"))


def is_cls(case, start):
    return case["cls"] is not None and case["cls"].startswith(start)


def amplitude_and_offset(case, name, shape):
    """What a tensor is drawn from: offset + amplitude * [-1, 1).  Queries and keys are scaled up so
    that attention is not flat; norms and biases are far from ones and zeros."""
    if is_norm(name):
        less_one = is_cls(case, "Gemma") or is_cls(case, "Qwen3Next") or is_cls(case, "Qwen3_5")
        return 0.3, 0.0 if less_one and "linear_attn." not in name else 1.0
    if name.endswith("A_log"):
        return 1.0, -2.0  # so that states remember some dozens of tokens
    special = case["amplitudes"](case, name, shape)
    if special is not None:
        return float(np.float32(special)), 0.0
    if len(shape) == 1:
        return 0.3, 0.0
    gain, fan_in = 1.0, shape[-1]
    if ROUTER.search(name):
        gain = case["gains"].get("router", 2.0)
    elif any(s in name for s in ("q_proj", "k_proj", "q_b_proj", "kv_a_proj", "kv_b_proj")):
        gain = 1.5
    elif any(s in name for s in ("qkv", "q_k_v", "query_key_value", "c_attn")):
        gain = 1.4
    elif any(s in name for s in ("embed", "wte", "wpe")):
        gain = case["gains"].get("embed", 1.0)
    if any(s in name for s in ("lm_head", "embed_out")) or name == "output.weight":
        gain = case["gains"].get("head", 1.0)
    if is_cls(case, "GPT2") and ".c_" in name:
        fan_in = shape[0]
    return float(np.float32(gain * math.sqrt(3.0 / fan_in))), 0.0


def weights(seed, name, shape, amplitude, offset):
    values = uniform(seed, name, int(np.prod(shape))) * np.float32(amplitude)
    return (np.float32(offset) + values).astype(np.float32).reshape(shape)


# ---- Hugging Face --------------------------------------------------------------------------------


def build(cls, config):
    config._attn_implementation = "eager"
    config._experts_implementation = "eager"
    torch.manual_seed(0)
    return getattr(transformers, cls)(config).float().eval()


TEXT_CONFIGS = {n + "ForCausalLM": n + "TextConfig" for n in (
    "Gemma3", "Llama4", "Qwen3_5", "Qwen3_5Moe")}


def config_of(case):
    name = case["config_cls"] or TEXT_CONFIGS.get(case["cls"], case["cls"])
    for end in ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration"):
        name = name.replace(end, "Config")
    return getattr(transformers, name)(**case["config"])


def load(case, folder):
    cls = "AutoModelForCausalLM" if case["config_cls"] else case["cls"]
    model, info = getattr(transformers, cls).from_pretrained(
        folder, attn_implementation="eager", experts_implementation="eager", dtype=torch.float32,
        output_loading_info=True)
    extra = case["extra"](json.loads(Path(folder, "config.json").read_text()))
    layers = {tuple(name.split(".")[:3]) for name in extra}
    for what in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        names = [n for n in info[what] if tuple(n.split(".")[:3]) not in layers]
        assert not names, (what, names)
    return model.eval()


def shapes_of(case, folder):
    """Writes config.json.  Returns {name: shape} of what transformers saves."""
    path = Path(folder, "config.json")
    if case["tensors"]:
        path.write_text(json.dumps(case["config"]))
        return case["tensors"](case["config"])
    build(case["cls"], config_of(case)).save_pretrained(folder)
    if case["config_cls"]:  # the hub's files name a class that transformers does not have
        own = case["config_cls"].replace("Config", "ForCausalLM")
        path.write_text(json.dumps({**json.loads(path.read_text()), "architectures": [own]}))
    saved = load_file(os.path.join(folder, "model.safetensors"))
    shapes = {name.removeprefix(case["strip"]): list(t.shape) for name, t in saved.items()}
    return {**shapes, **case["extra"](json.loads(path.read_text()))}


def save(case, folder):
    """A folder with config.json and our weights under the names that transformers saves.  Returns
    the table of tensors and the fingerprint of the weights."""
    table, tensors, total = [], {}, 0
    for name, shape in shapes_of(case, folder).items():
        amplitude, offset = amplitude_and_offset(case, name, shape)
        amplitude = float(np.float32(amplitude))
        tensors[name] = weights(case["seed"], name, shape, amplitude, offset)
        table.append([name, shape, amplitude, offset])
        total += fingerprint(case["seed"], name, tensors[name])
    save_file(tensors, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
    return table, tensors, total & MASK


def n_vocab_of(config):
    return config.get("text_config", config)["vocab_size"]


def speaking(model):
    """What gives logits of text: Llama 4's class that sees does not without an image."""
    sees = type(model).__name__ == "Llama4ForConditionalGeneration"
    return model.language_model if sees else model


@contextlib.contextmanager
def routing_gaps():
    """Collects, for every top-k within, the smallest distance from the last chosen score to the
    first one left out; as a ratio where scores are small, which is the distance of their logits.
    Scores by group, with three axes, are not chosen from: the best are added up."""
    gaps, plain = [], (torch.topk, torch.Tensor.topk)

    def watched(scores, k, dim=-1, *rest, **more):
        if k < scores.shape[dim] and scores.dim() < 3:
            top = torch.sort(scores.double(), dim=dim, descending=True).values.movedim(dim, -1)
            last, first = top[..., k - 1], top[..., k]
            apart = (last - first) / last.abs().clamp(max=1.0)
            gaps.append(float(apart[torch.isfinite(apart)].min()))
        return plain[0](scores, k, dim, *rest, **more)

    torch.topk = torch.Tensor.topk = watched
    try:
        yield gaps
    finally:
        torch.topk, torch.Tensor.topk = plain


def clear_of_ties(case):
    """The case with the first seed, of its own and then every thousandth, whose routers choose no
    expert by a hair."""
    for seed in range(case["seed"], case["seed"] + 200 * 1000, 1000):
        tried = dict(case, seed=seed)
        with tempfile.TemporaryDirectory() as folder, routing_gaps() as gaps:
            save(tried, folder)
            tokens = tokens_of(seed, case["n_token"], n_vocab_of(case["config"]))
            logits_of(speaking(load(tried, folder)), tokens)
        if min(gaps, default=1.0) > MIN_ROUTING_GAP:
            return tried
    raise AssertionError("every seed brings two experts close to a tie")


def old_style(config, renamed):
    """config.json as files of the hub have it from before transformers 5, or None.  renamed: new
    names of keys and the old ones."""
    c = {renamed.get(k, k): v for k, v in config.items()}
    rope = c.pop("rope_parameters", None)
    if rope is None:
        return None
    c["torch_dtype"] = c.pop("dtype")
    c["transformers_version"] = "4.40.0"
    types = c.pop("layer_types", None)
    if "full_attention" in rope:
        c["rope_local_base_freq"] = rope["sliding_attention"]["rope_theta"]
        rope = dict(rope["full_attention"])
        c["sliding_window_pattern"] = types.index("full_attention") + 1
    else:
        rope = dict(rope)
        if c["model_type"] == "cohere2":
            c["sliding_window_pattern"] = types.index("full_attention") + 1
    if c["model_type"] == "gpt_neox":
        c["rotary_emb_base"] = rope.pop("rope_theta")
        c["rotary_pct"] = rope.pop("partial_rotary_factor", 1.0)
    else:
        c["rope_theta"] = rope.pop("rope_theta")
        if "partial_rotary_factor" in rope:
            c["partial_rotary_factor"] = rope.pop("partial_rotary_factor")
    kind = rope.pop("rope_type", "default")
    if kind == "longrope":
        c["original_max_position_embeddings"] = rope.pop("original_max_position_embeddings")
    # Older files say "type", younger ones "rope_type".
    c["rope_scaling"] = None if kind == "default" else {
        "rope_type" if kind in ("llama3", "linear") else "type": kind, **rope}
    return c


def same(a, b):
    """Where a tensor lies in memory may change the last bits of a product."""
    return np.abs(a - b).max() < 5e-6


def check_old_style(case, folder, config, tokens, logits):
    make_old = case["old"] if callable(case["old"]) else lambda c, usual: usual(c)
    old = make_old(config, lambda c: old_style(c, case["renamed"])) if case["old"] else None
    if old is None:
        return None
    old.update(case["old_more"])
    if not case["old_read"]:
        return old
    path = os.path.join(folder, "config.json")
    keep = Path(path).read_text()
    # transformers splits experts by the model's own type only, not by what the hub's files say.
    Path(path).write_text(json.dumps({**old, "model_type": config["model_type"]}))
    assert same(logits_of(load(case, folder), tokens), logits), "old-style config differs"
    Path(path).write_text(keep)
    return old


# ---- GGUF, by llama.cpp's converter --------------------------------------------------------------


def vocabulary(n_vocab):
    """Three control tokens, a space, a line feed, printable ASCII and pairs of frequent letters, in
    the byte-level alphabet: what arch_model.c writes too."""
    letters = "etaoinshrd"
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "\u0120", "\u010a"]
    tokens += [chr(c) for c in range(ord("!"), ord("~") + 1)]
    pairs = [(a, b) for a in letters for b in letters][:n_vocab - len(tokens)]
    tokens = (tokens + [a + b for a, b in pairs])[:n_vocab]
    return tokens, [f"{a} {b}" for a, b in pairs]


def write_tokenizer(folder, n_vocab):
    tokens, merges = vocabulary(n_vocab)
    assert len(tokens) == n_vocab
    Path(folder, "tokenizer.json").write_text(json.dumps(dict(
        version="1.0", truncation=None, padding=None, added_tokens=[
            dict(id=i, content=t, single_word=False, lstrip=False, rstrip=False, normalized=False,
                 special=True) for i, t in enumerate(tokens[:3])],
        normalizer=None, pre_tokenizer=dict(type="ByteLevel", add_prefix_space=False,
                                            trim_offsets=True, use_regex=True),
        post_processor=None, decoder=dict(type="ByteLevel", add_prefix_space=True,
                                          trim_offsets=True, use_regex=True),
        model=dict(type="BPE", dropout=None, unk_token=None, continuing_subword_prefix=None,
                   end_of_word_suffix=None, fuse_unk=False, byte_fallback=False,
                   vocab={t: i for i, t in enumerate(tokens) if i >= 3}, merges=merges))))


def set_vocab(converter):
    tokens, merges = vocabulary(converter.hparams["vocab_size"])
    w = converter.gguf_writer
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("gpt-2")
    w.add_token_list(tokens)
    w.add_token_types([3 if i < 3 else 1 for i in range(len(tokens))])
    w.add_token_merges(merges)
    w.add_bos_token_id(1)
    w.add_eos_token_id(2)


def convert(case, folder, path):
    """llama.cpp's converter, with a vocabulary of ours: it wants each family's own tokenizer."""
    import gguf
    conversion = importlib.import_module("conversion")
    hparams = conversion.ModelBase.load_hparams(Path(folder), False)
    cls = conversion.get_model_class(
        conversion.get_model_architecture(hparams, conversion.ModelType.TEXT), mmproj=False)
    methods = {name: make(cls) for name, make in case["methods"].items()}
    kind = type(cls.__name__, (cls,), dict(model_arch=cls.model_arch, set_vocab=set_vocab, **methods))
    with torch.inference_mode():
        kind(Path(folder), gguf.LlamaFileType.ALL_F32, Path(path), model_name="tiny",
             hparams={**hparams, **case["converter"]}, eager=True).write()
    return gguf.GGUFReader(path)


TYPES = {"UINT32": "u32", "INT32": "i32", "FLOAT32": "f32", "BOOL": "bool", "STRING": "string",
         "UINT64": "u64"}


def metadata(reader):
    """{key: [type, value]} of all keys but the tokenizer's; arrays have the type of an element."""
    result = {}
    for key, field in reader.fields.items():
        if key.startswith(("GGUF.", "tokenizer.")):
            continue
        value = field.contents()
        if isinstance(value, np.generic):
            value = value.item()
        result[key] = [TYPES[field.types[-1].name], value]
    return result


def strided(offsets):
    """The parts [start, [[n, stride], ...]] that a sequence of offsets is made of, each a nest of
    loops with the innermost last."""
    parts = []
    while offsets.size:
        current, loops = offsets, []
        while current.size > 1:
            steps = np.diff(current)
            if steps[0] <= 0:
                break
            other = np.flatnonzero(steps != steps[0])
            n = int(other[0]) + 1 if other.size else current.size
            loops.insert(0, [n, int(steps[0])])
            blocks = current[:current.size // n * n].reshape(-1, n)
            same = ((blocks - blocks[:, :1]) == (blocks[0] - blocks[0, 0])).all(1)
            n_same = int(np.argmin(same)) if not same.all() else same.size
            current = blocks[:n_same, 0]
            if n_same == 1:
                break
        loops = loops or [[1, 1]]
        parts.append([int(offsets[0]), loops])
        offsets = offsets[int(np.prod([n for n, _ in loops])):]
    return parts


def gather(parts, flat):
    out = []
    for name, start, loops in parts:
        index = np.array([start])
        for n, stride in loops:
            index = (index[:, None] + np.arange(n) * stride).reshape(-1)
        out.append(flat[name][index])
    return np.concatenate(out)


def derivation(ids, starts, names):
    """The parts [name of a saved tensor, start, loops] that an array of element numbers is."""
    owner = np.searchsorted(starts, ids, side="right") - 1
    cuts = np.flatnonzero(np.diff(owner)) + 1
    parts = []
    for piece in np.split(np.arange(ids.size), cuts):
        i = owner[piece[0]]
        parts += [[names[i], *p] for p in strided(ids[piece] - starts[i])]
    return parts


def gguf_tensors(real, numbered, tensors):
    """[name, [ne], {"parts"/"add" or "values"}] of each tensor of the converter's file."""
    names, sizes = list(tensors), [t.size for t in tensors.values()]
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    flat = {n: t.reshape(-1) for n, t in tensors.items()}
    result = []
    for a, b in zip(real.tensors, numbered.tensors):
        assert a.name == b.name and a.tensor_type.name == "F32", a
        x, ids = a.data.reshape(-1), b.data.reshape(-1)
        ne = [int(n) for n in a.shape]
        computed = a.name.endswith("ssm_a")  # from A_log, with an exponential
        if computed or np.array_equal(x, ids):
            result.append([a.name, ne, dict(values=base64.b64encode(x.tobytes()).decode())])
            continue
        for add in (0, 1):
            if ids.min() < add or ids.max() - add >= sum(sizes):
                continue
            parts = derivation(ids.astype(np.int64) - add, starts, names)
            if np.array_equal(gather(parts, flat) + np.float32(add), x):
                break
        else:
            raise AssertionError(f"{a.name}: no derivation found")
        result.append([a.name, ne, dict(parts=parts, add=add) if add else dict(parts=parts)])
    return result


def peer_logits(path, tokens, n_ctx, keys=None):
    import llama_cpp
    m = llama_cpp.Llama(path, n_ctx=n_ctx, n_batch=256, n_ubatch=256, logits_all=True,
                        verbose=False, n_threads=2, type_k=0, type_v=0, flash_attn=False,
                        kv_overrides=keys)
    m.eval(tokens)
    return np.array(m.scores[:len(tokens)])


def number_elements(folder, tensors, copy):
    """A copy of the folder in which each element is its own number."""
    os.mkdir(copy)
    for file in os.listdir(folder):
        if file.endswith(".json"):
            shutil.copy(os.path.join(folder, file), copy)
    start, numbers = 0, {}
    for n, t in tensors.items():
        numbers[n] = np.arange(start, start + t.size, dtype=np.float32).reshape(t.shape)
        start += t.size
    assert start < 1 << 24
    save_file(numbers, os.path.join(copy, "model.safetensors"), metadata={"format": "pt"})


def regrouped(tensors, form):
    """The experts in another form: "apart", a tensor for each expert of each matrix, as files had
    them before they were stacked, or "fused", gate and up in one tensor, expert by expert."""
    by_name, result = {row[0]: row for row in tensors}, []
    for name, ne, how in tensors:
        kind = name.split(".")[-2].removeprefix("ffn_").removesuffix("_exps")
        if not name.endswith("_exps.weight") or (form == "fused" and kind == "down"):
            result.append([name, ne, how])
        elif form == "apart":
            assert len(how["parts"]) == ne[2]
            result += [[name.replace(f"{kind}_exps", f"{kind}.{i}"), ne[:2], dict(parts=[part])]
                       for i, part in enumerate(how["parts"])]
        elif kind == "gate":
            up = by_name[name.replace("gate", "up")][2]["parts"]
            both = [part for pair in zip(how["parts"], up, strict=True) for part in pair]
            assert len(both) == 2 * ne[2]
            result.append([name.replace("gate", "gate_up"), [ne[0], 2 * ne[1], ne[2]],
                           dict(parts=both)])
    return result


def gguf_part(case, folder, tensors):
    """Leaves the converter's file at folder/real.gguf."""
    real = convert(case, folder, os.path.join(folder, "real.gguf"))
    copy = os.path.join(folder, "numbered")
    number_elements(folder, tensors, copy)
    numbered = convert(case, copy, os.path.join(copy, "x.gguf"))
    derived = gguf_tensors(real, numbered, tensors)
    if case["experts"]:
        derived = regrouped(derived, case["experts"])
    return dict(metadata=metadata(real), tensors=derived)


def compare_with_peer(case, folder, part, model, tokens, positions, logits):
    """Fills in what the logits of the GGUF file are, where it says less than the folder, and how
    near llama.cpp comes to them."""
    want = logits
    if case["gguf_config"]:
        changed = dict(case, config={**case["config"], **case["gguf_config"]})
        less = build(case["cls"], config_of(changed))
        less.load_state_dict(model.state_dict())
        want = logits_of(less, tokens)
        part["logits"] = encoded(want[positions])
    if case["why"]:
        part["differs"] = case["why"]
    try:
        got = peer_logits(os.path.join(folder, "real.gguf"), tokens, case["n_ctx"],
                          case["peer_keys"])
        part["peer"] = float(f"{np.abs(got - want).max():.1e}")
    except ImportError:
        print("llama_cpp cannot be imported, so that nothing is compared with llama.cpp")


# ---- the fixture ---------------------------------------------------------------------------------


def encoded(x):
    return base64.b64encode(np.ascontiguousarray(x, "<f4").tobytes()).decode()


def positions_of(n_token):
    last = max(0, n_token - 16)
    return sorted({*range(0, last, 8), *range(last, n_token)})


def make_logits(case, folder, tokens):
    """By transformers, from the folder as from the configuration."""
    model = load(case, folder)
    again = build(case["cls"], config_of(case))
    again.load_state_dict(model.state_dict())
    logits = logits_of(speaking(model), tokens)
    assert same(logits, logits_of(speaking(again), tokens)), "the folder is another model"
    return model, logits


def make(name):
    case, gguf, old = CASES[name], None, None
    if not case["tensors"] and "expert" in str(case["config"]):
        case = clear_of_ties(case)
    with tempfile.TemporaryDirectory() as folder:
        table, tensors, total = save(case, folder)
        config = json.loads(Path(folder, "config.json").read_text())
        n_vocab = n_vocab_of(config)
        tokens = tokens_of(case["seed"], case["n_token"], n_vocab)
        positions = positions_of(len(tokens))
        write_tokenizer(folder, n_vocab)
        if case["gguf"]:
            gguf = gguf_part(case, folder, tensors)
        if case["tensors"]:
            logits = peer_logits(os.path.join(folder, "real.gguf"), tokens, case["n_ctx"])
        else:
            model, logits = make_logits(case, folder, tokens)
            old = check_old_style(case, folder, config, tokens, logits)
            if gguf:
                compare_with_peer(case, folder, gguf, model, tokens, positions, logits)
    oracle = "llama.cpp" if case["tensors"] else "transformers"
    fixture = dict(name=name, seed=case["seed"], n_vocab=n_vocab, n_ctx=case["n_ctx"], oracle=oracle,
                   tolerance=case["tolerance"], weights=f"{total:016x}", tokens=tokens,
                   positions=positions, config=config, config_old=old, tensors=table, gguf=gguf,
                   logits=encoded(logits[positions]))
    return {k: v for k, v in fixture.items() if v is not None}, logits


def write(path, fixture):
    def lines(rows):
        return "[\n" + ",\n".join(json.dumps(r, separators=(",", ":")) for r in rows) + "]"

    def text(key, value):
        if key == "tensors":
            return lines(value)
        if key == "gguf":
            return "{\n" + ",\n".join(f'"{k}": {text(k, v)}' for k, v in value.items()) + "}"
        return json.dumps(value)
    with open(path, "w") as f:
        f.write("{\n" + ",\n".join(f'"{k}": {text(k, v)}' for k, v in fixture.items()) + "\n}\n")


def main():
    source = os.environ.get("PEER_SOURCE")
    if not source:
        print("make_archs.py: PEER_SOURCE does not name llama.cpp's sources; nothing is written")
        return
    sys.path[1:1] = [source, os.path.join(source, "gguf-py")]
    logging.disable(logging.WARNING)
    transformers.utils.logging.disable_progress_bar()
    os.makedirs(os.path.join(HERE, "archs"), exist_ok=True)
    for name in sys.argv[1:] or CASES:
        fixture, logits = make(name)
        path = os.path.join(HERE, "archs", name + ".json")
        write(path, fixture)
        peer = fixture.get("gguf", {}).get("peer")
        print(f"{name}: logits of spread {logits.std():.2f} within {logits.min():.2f} .. "
              f"{logits.max():.2f}, llama.cpp within {peer}, {os.path.getsize(path)} bytes"
              + ("  <-- differs" if peer is not None and peer > PEER_NOISE else ""), flush=True)


if __name__ == "__main__":
    main()
