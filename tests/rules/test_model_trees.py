#!/usr/bin/env python3
"""The trees that rule files see of real models, against the oracle: names, classes and order of
KTransformers' own architectures; then every rule file of KTransformers on every configuration that
this build knows, module by module; and that the weights of synthetic models add up.

Prints TAP; skipped without ../shared.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import oracle

resolve = oracle.load_oracle()
CONFIGS = oracle.ROOT / ".." / "shared" / "configs"
BUILD = oracle.PROGRAM.parent
KT = "ktransformers.models."
FEW = 2  # experts of a layer, where all are alike


def tree_of(path, tmp, few=False):
    """Our tree of a config.json as pairs, or None and why this build does not know it."""
    folder = pathlib.Path(tmp) / "model"
    folder.mkdir(exist_ok=True)
    config = json.loads(path.read_text())
    if few:
        for part in (config, config.get("text_config", {})):
            for key in ("n_routed_experts", "num_experts", "num_local_experts", "moe_num_experts"):
                if key in part:
                    part[key] = [FEW] * len(part[key]) if isinstance(part[key], list) else FEW
            for key in ("num_experts_per_tok", "experts_per_token", "moe_k", "n_group", "topk_group"):
                if part.get(key):
                    part[key] = 1
    (folder / "config.json").write_text(json.dumps(config))
    done = subprocess.run([str(BUILD / "test_tree_model"), "--dump", str(folder)],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")
    if done.returncode != 0:
        if "this build runs" in done.stderr:
            return None, done.stderr.strip()[:90]
        sys.exit("%s: %s" % (path.name, done.stderr))
    pairs = [line.split(" ") for line in done.stdout.splitlines()]
    return [("" if name == "." else name, class_name) for name, class_name in pairs], config


def walk(node):
    yield node.name, node.cls
    for kid in node.kids.values():
        yield from walk(kid)


def skeleton_of(config):
    """The oracle's tree of KTransformers' own models, with as many layers and experts."""
    name = (config.get("architectures") or [""])[0]
    n = config.get("num_hidden_layers")
    experts = next((config[k] for k in ("n_routed_experts", "num_experts", "num_local_experts") if k in config), 0)
    resolve._moe.__defaults__ = (experts,)
    dense = config.get("first_k_dense_replace", 0)
    lite = not config.get("q_lora_rank")
    make = {
        "DeepseekV3ForCausalLM": lambda: resolve._deepseek(resolve.M_V3, 3, n, dense, lite),
        "DeepseekV2ForCausalLM": lambda: resolve._deepseek(resolve.M_V2, 2, n, dense, lite),
        "Qwen2MoeForCausalLM": lambda: resolve._qwen(KT + "modeling_qwen2_moe.", "Qwen2Moe", n),
        "Qwen3MoeForCausalLM": lambda: resolve._qwen(KT + "modeling_qwen3_moe.", "Qwen3Moe", n, False, True),
        "MixtralForCausalLM": lambda: resolve._mixtral(n),
    }.get(name)
    return list(walk(resolve.build_tree(make()))) if make else None


def is_in_expert(name):
    """The oracle's skeletons leave out the activation of each expert."""
    parts = name.split(".")
    return parts[-1] == "act_fn" and len(parts) > 2 and parts[-3] == "experts"


def check_skeletons(paths, tmp):
    seen = bad = 0
    for path in paths:
        ours, config = tree_of(path, tmp)
        theirs = skeleton_of(config) if ours else None
        if not theirs:
            continue
        seen += 1
        ours = [pair for pair in ours if not is_in_expert(pair[0])]
        if ours != theirs:
            bad += 1
            print("  %s: %d modules, the oracle has %d; first difference %s" % (
                path.name, len(ours), len(theirs), next(((a, b) for a, b in zip(ours, theirs) if a != b), None)))
    return seen, bad


def check_rules(paths, tmp):
    files = sorted((oracle.SHARED / "yaml").rglob("*.yaml"))
    rules = {path: resolve.load_rules(path) for path in files}
    known, seen = {}, []
    for path in paths:
        ours, why = tree_of(path, tmp, few=True)
        if ours is None:
            print("  # not a model of this build: %s: %s" % (path.stem, why))
            continue
        if ours in seen:
            print("  # the same tree as another one: %s" % path.stem)
            continue
        seen.append(ours)
        modules = pathlib.Path(tmp) / path.stem
        oracle.write_modules(modules, ours)
        known[modules] = resolve.build_tree(ours)
    bad = 0
    for modules, root in known.items():
        lines = oracle.run("resolve", "v032", "cuda:0", *[x for path in files for x in (path, modules)])
        assert len(lines) == len(files)
        for path, line in zip(files, lines):
            result = json.loads(line)
            config = resolve.resolve(root, rules[path], "v032", "cuda:0")
            difference = result.get("error") or oracle.first_difference(
                oracle.read_entries(result), oracle.entries_of(resolve, config))
            if difference:
                bad += 1
                print("  %s x %s: %s" % (path.name, modules.name, difference[:600]))
    return len(files), len(known), bad


SYNTHETIC = [(name, form) for name in ("deepseek-v2-lite", "qwen3-30b-a3b", "minimax-m2", "deepseek-v3", "kimi-k2")
             for form in ("gguf", "folder")] + [("llama-1.1b", "gguf")]


def check_sums(tmp):
    """In each synthetic model, what the tree's nodes have is all that the file has."""
    bad = 0
    for name, form in SYNTHETIC:
        out = pathlib.Path(tmp) / (name + "-" + form)
        done = subprocess.run([str(BUILD.parent / "tools" / "synth-model"), name, str(out), "--format", form,
                               "--layers", "2", "--vocab", "512", "--shrink", "8",
                               *([] if name == "llama-1.1b" else ["--experts", "8"])], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              encoding="utf-8")
        if done.returncode != 0:
            sys.exit("synth-model %s: %s" % (name, done.stdout[-1000:]))
        text = subprocess.run([str(BUILD / "test_tree_model"), "--sum", str(out)], stdout=subprocess.PIPE,
                              encoding="utf-8", check=True).stdout
        of_tree, unused, all_bytes = map(int, text.split())
        if of_tree != all_bytes or unused != 0:
            bad += 1
            print("  %s as %s: %d bytes in the tree, %d unused, %d in all" % (name, form, of_tree, unused, all_bytes))
    return bad


def main():
    paths = sorted(CONFIGS.glob("*.json"))
    if not paths:
        oracle.skip("no ../shared/configs here")
    with tempfile.TemporaryDirectory() as tmp:
        seen, bad = check_skeletons(paths, tmp)
        status = bad > 0 or seen == 0
        print("%s 1 - trees of %d configurations of KTransformers' own models" % ("not ok" if status else "ok", seen), flush=True)
        n_file, n_model, bad = check_rules(paths, tmp)
        status |= bad > 0 or n_model == 0
        print("%s 2 - %d rule files on %d models" % ("not ok" if bad else "ok", n_file, n_model), flush=True)
        bad = check_sums(tmp)
        status |= bad > 0
        print("%s 3 - bytes of %d synthetic models" % ("not ok" if bad else "ok", len(SYNTHETIC)), flush=True)
    return 1 if status else 0


if __name__ == "__main__":
    sys.exit(main())
