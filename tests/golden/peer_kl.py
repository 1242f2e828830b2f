#!/usr/bin/env python3
"""peer_kl.py - how far integer arithmetic is from float32, on the same file: llama.cpp's and ours.

    python tests/golden/peer_kl.py peer MODEL ...     puts the peer's figures on smollm2 or gemma3
                                          (found as make_real.py finds them) into
                                          tests/golden/real/peer.json
    python tests/golden/peer_kl.py npy EXACT.npy NATIVE.npy IDS.txt
                                          the same figures from two files of `tandem logits`, over
                                          all positions, with the token ids they were made from

The protocol is that of llama.cpp's perplexity program: the text's tokens are cut into chunks of 512
(the first token of each replaced by BOS where the model wants one), every chunk is read as a text
of its own, and the tokens of its second half are scored.  KL is KL(float32 || integer) per scored
position over the whole vocabulary.  `peer` needs torch, transformers, accelerate, gguf and
llama-cpp-python; `npy` needs numpy alone.
"""
import json
import math
import os
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
TEXT = os.path.join(HERE, "..", "data", "english.txt")
N_CTX, MAX_CHUNK = 512, 18


def log_softmax(x):
    x = x.astype(np.float64)
    x -= x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def score(exact, native, targets):
    """Per position: KL(exact || native), and both negative log-likelihoods of the target."""
    rows = []
    for i in range(0, len(targets), 16):
        p, q = log_softmax(exact[i:i + 16]), log_softmax(native[i:i + 16])
        at = np.arange(len(p)), targets[i:i + 16]
        rows.append(np.stack([(np.exp(p) * (p - q)).sum(-1), -p[at], -q[at]], 1))
    return np.concatenate(rows)


def summary(rows):
    n = len(rows)
    kl, nll_exact, nll_native = rows.T
    change = nll_native - nll_exact
    ppl_exact, ppl_native = math.exp(nll_exact.mean()), math.exp(nll_native.mean())
    return dict(n_scored=n, kl=kl.mean(), kl_se=kl.std(ddof=1) / math.sqrt(n), kl_max=kl.max(),
                ppl_float32=ppl_exact, ppl=ppl_native, ppl_change=ppl_native - ppl_exact,
                ppl_change_se=ppl_exact * change.std(ddof=1) / math.sqrt(n))


def rounded(figures):
    return {k: float(f"{v:.6g}") if isinstance(v, float) else v for k, v in figures.items()}


def chunks_of(ids, bos):
    for start in range(0, min(len(ids), N_CTX * MAX_CHUNK) - N_CTX + 1, N_CTX):
        chunk = list(ids[start:start + N_CTX])
        if bos is not None:
            chunk[0] = bos
        yield chunk


def measure_peer(name):
    import llama_cpp
    import torch
    import transformers
    from make_real import load_model, logits_of, model_path, sha256
    gguf = model_path(name)
    peer = llama_cpp.Llama(gguf, n_ctx=N_CTX, n_batch=N_CTX, logits_all=True, verbose=False,
                           n_threads=2, n_threads_batch=2)
    add_bos = peer.metadata.get("tokenizer.ggml.add_bos_token", "false") == "true"
    with open(TEXT, "rb") as f:
        text = f.read()
    ids = peer.tokenize(text, add_bos=add_bos, special=False)
    model = load_model(gguf)
    rows = []
    for i, chunk in enumerate(chunks_of(ids, peer.token_bos() if add_bos else None)):
        peer.reset()
        peer.eval(chunk)
        exact = logits_of(model, chunk)
        first, last = N_CTX // 2, N_CTX - 1
        rows.append(score(exact[first:last], peer.scores[first:last], chunk[first + 1:]))
        print(i, rounded(summary(np.concatenate(rows))), file=sys.stderr, flush=True)
    path = os.path.join(HERE, "real", "peer.json")
    figures = {}
    if os.path.exists(path):
        with open(path) as f:
            figures = json.load(f)
    figures[name] = dict(
        rounded(summary(np.concatenate(rows))), n_ctx=N_CTX, n_chunk=len(rows),
        text="tests/data/english.txt", text_sha256=sha256(TEXT), model_sha256=sha256(gguf),
        peer=f"llama-cpp-python {llama_cpp.__version__}, its defaults, on the CPU",
        float32=f"transformers {transformers.__version__}, torch {torch.__version__}, eager",
        command=f"python tests/golden/peer_kl.py peer {name}")
    with open(path, "w") as f:
        json.dump(figures, f, indent=1)
        f.write("\n")
    print(json.dumps(figures[name], indent=1))


def compare_npy(exact_path, native_path, ids_path):
    exact, native = np.load(exact_path, mmap_mode="r"), np.load(native_path, mmap_mode="r")
    with open(ids_path) as f:
        ids = [int(word) for word in f.read().strip("[] \n").split(",")]
    if exact.shape != native.shape or len(ids) != len(exact):
        raise SystemExit(f"{exact.shape}, {native.shape} and {len(ids)} ids do not fit together")
    print(json.dumps(rounded(summary(score(exact[:-1], native[:-1], ids[1:]))), indent=1))


def main():
    if len(sys.argv) > 2 and sys.argv[1] == "peer":
        for name in sys.argv[2:]:
            measure_peer(name)
    elif len(sys.argv) == 5 and sys.argv[1] == "npy":
        compare_npy(*sys.argv[2:])
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
