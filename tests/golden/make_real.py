#!/usr/bin/env python3
"""make_real.py - what two real models say to real text, by Hugging Face transformers in float32.

    python tests/golden/make_real.py [MODEL ...]     writes tests/golden/real/MODEL.json
    ... --full PREFIX     writes every logit as PREFIX-MODEL-english.npy and -code.npy as well, and
                          the ids they belong to as .txt

The models are smollm2 and gemma3: the files that TANDEM_TEST_SMOLLM2 and TANDEM_TEST_GEMMA3 name,
or else what tools/fetch-model fetches.  Needs torch, transformers, accelerate and gguf; the token
ids are those of the fixture that is there, or, with --tokenize, come from llama-cpp-python (what
transformers makes of a GGUF file's tokenizer is not to be trusted).

A fixture is a digest: for every position log-sum-exp, argmax and its lead over the second; for
every third position the 32 largest logits and those of 64 fixed tokens.
"""
import argparse
import base64
import hashlib
import json
import os
import subprocess

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(HERE, "..", "data")

# The English prompt for Gemma is longer than its window of 512.
N_TOKEN = {"smollm2": {"english": 576, "code": 288}, "gemma3": {"english": 768, "code": 288}}
N_TOP, N_PROBE, ROW_STEP = 32, 64, 3


def sha256(path):
    h = hashlib.sha256()
    with open(path, "rb") as f:
        while block := f.read(1 << 20):
            h.update(block)
    return h.hexdigest()


def tokenize(gguf, text, n):
    from llama_cpp import Llama
    model = Llama(gguf, vocab_only=True, verbose=False)
    add_bos = model.metadata.get("tokenizer.ggml.add_bos_token", "false") == "true"
    ids = model.tokenize(text.encode(), add_bos=add_bos, special=False)
    if len(ids) < n:
        raise SystemExit(f"{len(ids)} tokens, wanted {n}")
    return ids[:n]


def load_model(gguf):
    """The file's weights, dequantized to float32."""
    import torch
    from transformers import AutoModelForCausalLM
    model = AutoModelForCausalLM.from_pretrained(
        os.path.dirname(os.path.abspath(gguf)), gguf_file=os.path.basename(gguf),
        dtype=torch.float32, attn_implementation="eager")
    return model.eval()


def logits_of(model, ids):
    import torch
    with torch.inference_mode():
        return model(torch.tensor([ids]), use_cache=False).logits[0].numpy()


def log_sum_exp(x):
    x = x.astype(np.float64)
    top = x.max(-1)
    return top + np.log(np.exp(x - top[:, None]).sum(-1))


def packed(a, dtype):
    return base64.b64encode(np.ascontiguousarray(a).astype(dtype).tobytes()).decode()


def digest(name, ids, logits):
    n, n_vocab = logits.shape
    rows = list(range(0, n, ROW_STEP))
    order = np.argsort(-logits, axis=-1, kind="stable")[:, :N_TOP]
    top = np.take_along_axis(logits, order, -1)
    probes = [int(i) for i in np.random.default_rng(n_vocab).choice(n_vocab, N_PROBE, False)]
    lse = np.concatenate([log_sum_exp(logits[i:i + 64]) for i in range(0, n, 64)])
    return dict(
        name=name, tokens=ids, lse=packed(lse, "<f4"), argmax=packed(order[:, 0], "<i4"),
        lead=packed(top[:, 0] - top[:, 1], "<f4"), rows=rows, n_top=N_TOP,
        top_ids=packed(order[rows], "<i4"), top_values=packed(top[rows], "<f4"), probes=probes,
        probe_values=packed(logits[rows][:, probes], "<f4"))


def model_path(name):
    fetch = os.path.join(HERE, "..", "..", "tools", "fetch-model")
    return (os.environ.get("TANDEM_TEST_" + name.upper())
            or subprocess.check_output([fetch, name], text=True).strip())


def prompt_ids(name, gguf, fixture, retokenize):
    """The token ids of each prompt."""
    if not retokenize:
        with open(fixture) as f:
            return {p["name"]: p["tokens"] for p in json.load(f)["prompts"]}
    ids = {}
    for text, n in N_TOKEN[name].items():
        with open(os.path.join(DATA, text + ".txt"), encoding="utf-8", newline="") as f:
            ids[text] = tokenize(gguf, f.read(), n)
    return ids


def make(name, args):
    import torch
    import transformers
    gguf, path = model_path(name), os.path.join(HERE, "real", name + ".json")
    model, prompts = load_model(gguf), []
    for text, ids in prompt_ids(name, gguf, path, args.tokenize).items():
        logits = logits_of(model, ids)
        print(f"{name}, {text}: {len(ids)} tokens, logits within {logits.min():.1f} .. "
              f"{logits.max():.1f}")
        prompts.append(digest(text, ids, logits))
        if args.full:
            stem = f"{args.full}-{name}-{text}"
            np.save(stem + ".npy", logits)
            with open(stem + ".txt", "w") as f:
                f.write(", ".join(map(str, ids)) + "\n")
    fixture = dict(model=name, sha256=sha256(gguf), n_vocab=int(logits.shape[1]),
                   made_with=f"transformers {transformers.__version__}, torch "
                             f"{torch.__version__}, float32, eager", prompts=prompts)
    with open(path, "w") as f:
        json.dump(fixture, f, separators=(",", ":"))
        f.write("\n")
    print(f"{path}: {os.path.getsize(path)} bytes")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="*", metavar="MODEL", default=list(N_TOKEN))
    parser.add_argument("--tokenize", action="store_true")
    parser.add_argument("--full", metavar="PREFIX")
    args = parser.parse_args()
    for name in args.models:
        make(name, args)


if __name__ == "__main__":
    main()
