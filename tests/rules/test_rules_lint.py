#!/usr/bin/env python3
"""`tandem rules lint`: each planted defect is found where it is, and nothing else; files that are sound
have no finding; KTransformers' own have those that are real.  Prints TAP.
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(os.environ.get("TANDEM_SOURCE_DIR", pathlib.Path(__file__).parent.parent.parent))
TANDEM = pathlib.Path(os.environ.get("TANDEM_BUILD_DIR", ROOT / "build-check")) / "tandem"
V3 = "ktransformers.models.modeling_deepseek_v3."
OPS = "ktransformers.operators."

# A model of eight layers on two GPUs, every part of which the file below places.
SOUND = r'''- match:
    name: "^model\\.embed_tokens$"
  replace:
    class: "default"
    kwargs:
      generate_device: "cpu"
      prefill_device: "cpu"
- match:
    name: "^model\\.layers\\.[0-3]\\.(?!self_attn\\.kv_b_proj|mlp\\.experts).*$"
    class: torch.nn.Linear
  replace:
    class: ktransformers.operators.linear.KTransformersLinear
    kwargs:
      generate_device: "cuda:0"
      prefill_device: "cuda:0"
      generate_op: "KLinearMarlin"
      prefill_op: "KLinearTorch"
- match:
    name: "^model\\.layers\\.[4-7]\\.(?!self_attn\\.kv_b_proj|mlp\\.experts).*$"
    class: torch.nn.Linear
  replace:
    class: ktransformers.operators.linear.KTransformersLinear
    kwargs:
      generate_device: "cuda:1"
      prefill_device: "cuda:1"
      generate_op: "KLinearMarlin"
      prefill_op: "KLinearTorch"
- match:
    class: ktransformers.models.modeling_deepseek_v3.MoEGate
    name: "\\.[0-3]\\.mlp"
  replace:
    class: ktransformers.operators.gate.KMoEGate
    kwargs: {generate_device: "cuda:0", prefill_device: "cuda:0"}
- match:
    name: "^model\\.layers\\.[0-3]\\.mlp\\.experts$"
  replace:
    class: ktransformers.operators.experts.KTransformersExperts
    kwargs:
      generate_device: "cpu"
      generate_op: "KExpertsCPU"
      out_device: "cuda:0"
      prefill_device: "cuda:0"
      prefill_op: "KExpertsTorch"
  recursive: False
- match:
    name: "^model\\.layers\\.[4-7]\\.mlp\\.experts$"
  replace:
    class: ktransformers.operators.experts.KTransformersExperts
    kwargs:
      generate_device: "cpu"
      generate_op: "KExpertsCPU"
      out_device: "cuda:1"
      prefill_device: "cuda:1"
      prefill_op: "KExpertsTorch"
      backend: "AMXInt8"
  recursive: False
- match:
    name: "^model\\.layers\\.[0-3]\\.self_attn$"
  replace:
    class: ktransformers.operators.attention.KDeepseekV2Attention
    kwargs:
      generate_device: "cuda:0"
      prefill_device: "cuda:0"
      absorb_for_prefill: False
- match:
    name: "^model\\.layers\\.[4-7]\\.self_attn$"
  replace:
    class: ktransformers.operators.attention.KDeepseekV2Attention
    kwargs:
      generate_device: "cuda:1"
      prefill_device: "cuda:1"
- match:
    name: "^model$"
  replace:
    class: "ktransformers.operators.models.KDeepseekV2Model"
    kwargs:
      per_layer_prefill_intput_threshold: 0
      transfer_map:
        4: "cuda:1"
- match:
    name: "^lm_head$"
    class: torch.nn.Linear
  replace:
    class: ktransformers.operators.linear.KTransformersLinear
    kwargs:
      generate_device: "cuda:1"
      prefill_device: "cuda:1"
      generate_op: "VLinearMarlin"
      prefill_op: "KLinearTorch"
- match:
    name: "^model\\.layers\\.[0-3]\\."
  replace:
    class: "default"
    kwargs:
      generate_device: "cuda:0"
      prefill_device: "cuda:0"
- match:
    name: "^model\\.layers\\.[4-7]\\.|^model\\.norm$"
  replace:
    class: "default"
    kwargs:
      generate_device: "cuda:1"
      prefill_device: "cuda:1"
'''

MORE = SOUND + "- match:\n    name: \"%s\"\n  replace:\n    class: default\n    kwargs: {generate_device: cpu, prefill_device: cpu}\n"

# what is planted: (name, old, new, codes found, words of the first of them).  The n-th occurrence of
# old is meant with old = (text, n), from 0; the finding stands in the line of new's first difference.
PLANTED = [
    ("a pattern that finds nothing", r"^lm_head$", r"^lm_haed$", {"dead-rule"}, "finds none of"),
    ("a pattern that finds nothing, of any class", None, MORE % "^lm_haed$", {"dead-rule"}, "finds no module"),
    ("a class that the model does not have", V3 + "MoEGate", V3 + "DeepseekV3YarnRotaryEmbedding", {"dead-rule"}, "no module of class"),
    ("layers without their linears", r"[0-3]\\.(?!self_attn\\.kv_b_proj|mlp\\.experts).*$", "[0-3]$", {"dead-rule"}, "finds 4 modules"),
    ("a class and a name that exclude each other", r"\\.[0-3]\\.mlp", r"self_attn", {"dead-rule"}, "none of class"),
    ("a name that no module of the class has", r"\\.[0-3]\\.mlp", r"nowhere", {"dead-rule"}, "finds none of"),
    ("a rule after one that wins all of its modules", None, MORE % r"^model\\.layers\\.2\\.self_attn$", {"shadowed-rule"}, "rule 7"),
    ("a rule below 'recursive: False'", None, MORE % r"^model\\.layers\\.2\\.mlp\\.experts\\.0\\.", {"hidden-rule"}, "rule 5"),
    ("an unknown key of a rule", "  recursive: False", "  recurse: False", {"unknown-key", "experts-recursive"}, None),
    ("an unknown key of match", "    name: \"^lm_head$\"", "    nmae: \"^lm_head$\"", {"unknown-key", "kv-b-proj"}, None),
    ("an unknown key of replace", ("    kwargs:\n", 0), "    kwarg:\n", {"unknown-key", "no-device"}, "did you mean 'kwargs'"),
    ("'device' of v0.1", "    class: \"default\"\n    kwargs:\n", "    class: \"default\"\n    device: cpu\n    kwargs:\n", {"replace-device"}, "kwargs"),
    ("an unknown class in match", V3 + "MoEGate", V3 + "MoEGatte", {"unknown-class"}, "MoEGatte"),
    ("an unknown class in replace", OPS + "gate.KMoEGate", OPS + "gate.KMoEGat", {"unknown-class"}, "gate.KMoEGate"),
    ("a class of v0.1", "experts.KTransformersExperts", "experts.KTransformersMLPExpert", {"old-name"}, "experts.KTransformersExperts"),
    ("an unknown operator", '"KExpertsTorch"', '"KExpertTorch"', {"unknown-op"}, "did you mean 'KExpertsTorch'"),
    ("an operator of v0.1", '"KLinearMarlin"', '"QuantizedLinearMarlin"', {"old-name"}, "KLinearMarlin"),
    ("an unknown device", 'prefill_device: "cuda:0"', 'prefill_device: "cude:0"', {"unknown-device"}, "did you mean 'cuda:0'"),
    ("a GPU's operator on the CPU", 'generate_device: "cuda:1"\n      prefill_device: "cuda:1"\n      generate_op: "VLinearMarlin"',
     'generate_device: "cpu"\n      prefill_device: "cuda:1"\n      generate_op: "VLinearMarlin"', {"op-device"}, "VLinearMarlin"),
    ("the CPU's experts on a GPU", 'generate_device: "cpu"\n      generate_op: "KExpertsCPU"', 'generate_device: "cuda"\n      generate_op: "KExpertsCPU"',
     {"op-device"}, "KExpertsCPU runs on cpu"),
    ("an operator of experts for linears", '"KLinearMarlin"', '"KExpertsMarlin"', {"op-class"}, "KExpertsMarlin"),
    ("two GPUs for one module", 'prefill_device: "cuda:0"\n      absorb', 'prefill_device: "cuda:1"\n      absorb', {"two-devices"}, "prefill_device cuda:1"),
    ("results on another GPU", 'out_device: "cuda:0"', 'out_device: "cuda:1"', {"two-devices"}, "out_device"),
    ("a string for a boolean", "absorb_for_prefill: False", "absorb_for_prefill: 'False'", {"bad-type"}, "absorb_for_prefill is a string"),
    ("a number for a device", 'generate_device: "cuda:1"', "generate_device: 1", {"bad-type"}, "generate_device is an integer"),
    ("a list for transfer_map", 'transfer_map:\n        4: "cuda:1"', 'transfer_map: ["cuda:1"]', {"bad-type", "transfer-map"}, None),
    ("layers as text in transfer_map", '4: "cuda:1"', '"4": "cuda:1"', {"bad-type", "transfer-map"}, None),
    ("a misspelt keyword", "absorb_for_prefill", "absorb_for_prefil", {"unknown-kwarg"}, "did you mean 'absorb_for_prefill'"),
    ("a keyword spelt as it should be", "per_layer_prefill_intput_threshold", "per_layer_prefill_input_threshold", {"unknown-kwarg"}, "intput"),
    ("an unknown backend", '"AMXInt8"', '"AMXInt3"', {"unknown-backend"}, "AMXInt8"),
    ("'False' as text", "  recursive: False", "  recursive: \"False\"", {"recursive-type", "experts-recursive"}, None),
    ("experts without recursive: False", '"KExpertsTorch"\n  recursive: False', '"KExpertsTorch"', {"experts-recursive"}, "recursive: False"),
    ("kv_b_proj quantized", r"[0-3]\\.(?!self_attn\\.kv_b_proj|mlp\\.experts).*$", r"[0-3]\\.(?!mlp\\.experts).*$", {"kv-b-proj"}, "kv_b_proj"),
    ("a layer in no range", None, SOUND.replace("[4-7]", "[5-7]"), {"device-gap"}, "layer 4"),
    ("modules of layers in no range", r'"^model\\.layers\\.[4-7]\\.|^model\\.norm$"', r'"^model\\.norm$"', {"device-gap"}, "layers 4 to 7"),
    ("ranges that overlap", r"[4-7]\\.self_attn$", r"[3-7]\\.self_attn$", {"device-overlap"}, "rule 7"),
    ("transfer_map a layer late", '4: "cuda:1"', '5: "cuda:1"', {"transfer-map"}, "layer 4"),
    ("transfer_map beyond the last layer", '4: "cuda:1"', '4: "cuda:1"\n        9: "cuda:1"', {"transfer-map"}, "the model has 8"),
    ("two GPUs without transfer_map", '\n      transfer_map:\n        4: "cuda:1"', "", {"transfer-map"}, "layer 4"),
    ("a dot that matches more", None, MORE % "proj.weight_scale|model.2xlayers", {"bare-dot"}, "bare dot"),
    ("a key twice", 'generate_device: "cpu"\n      prefill_device: "cpu"', 'generate_device: "cpu"\n      generate_device: "cpu"\n      prefill_device: "cpu"',
     {"duplicate-key"}, "line 6"),
    ("a default without a device", 'generate_device: "cpu"\n      prefill_device: "cpu"', 'prefill_device: "cpu"', {"no-device"}, "generate_device"),
    ("no prefill operator", 'prefill_op: "KLinearTorch"', "prefill_op: null", {"null-op"}, "KLinearTorch"),
    ("a pattern that does not compile", "^lm_head$", "^lm_head($", {"bad-pattern"}, "without ')'"),
    ("a rule without match", "- match:\n    name: \"^lm_head$\"\n    class: torch.nn.Linear\n  replace", "- replace", {"broken-rule"}, "no 'match'"),
    ("a rule without replace", None, SOUND + "- match:\n    name: '^model\\.norm$'\n", {"broken-rule"}, "no 'replace'"),
    ("a match of nothing", "    class: " + V3 + 'MoEGate\n    name: "\\\\.[0-3]\\\\.mlp"', "    {}", {"broken-rule"}, "neither"),
    ("a catastrophic pattern", None, SOUND.replace("^lm_head$", "(\\\\w+\\\\w+)+[!?]$"), {"too-slow"}, "too many steps"),
    ("a second document", None, SOUND + "---\n- match: {name: a}\n", {"not-readable"}, "'---'"),
    ("tabs", "  replace:\n", "\treplace:\n", {"not-readable"}, None),
    ("a map of rules", None, "match: {name: a}\nreplace: {class: default}\n", {"not-readable"}, "list of rules"),
    ("no YAML", None, SOUND + "- [\n", {"not-readable"}, "no valid YAML"),
    ("no rules", None, "# nothing\n", {"no-rules"}, "no rules"),
    ("not UTF-8", None, SOUND.replace("cpu", "cp\udcff", 1), {"not-readable"}, "UTF-8"),
]

# Findings in KTransformers' own files, which are real: file, rule, code.
REAL = {
    # The gate of DeepSeek-V2 is modeling_deepseek.MoEGate.
    ("DeepSeek-V2-Lite-Chat-gpu-cpu", 8, "dead-rule"), ("DeepSeek-V2-Lite-Chat-gpu-cpu", 9, "dead-rule"),
    # Ends with the last range of the file for four GPUs, which rules 56 to 59 have cut in parts.
    ("DeepSeek-V3-Chat-multi-gpu-8", 60, "device-overlap"),
    # Mean the linears of the layers, and name the layers.
    ("Qwen2-57B-A14B-Instruct-multi-gpu", 2, "dead-rule"), ("Qwen2-57B-A14B-Instruct-multi-gpu", 6, "dead-rule"),
    # All MLPs of Qwen3-MoE are experts, below a rule with recursive: False.
    ("Qwen3Moe-serve", 10, "hidden-rule"), ("Qwen3Moe-serve-amx", 10, "hidden-rule"), ("Qwen3Moe-Chat", 10, "hidden-rule"),
    # KExpertsCPU is an operator: before replacing there is no such module.
    ("DeepSeek-V3-Chat-300IA2-npu", 9, "dead-rule"), ("DeepSeek-V3-Chat-300IA2-npu-serve", 9, "dead-rule"),
    # Rule 3 wins all linears of rule 4.
    ("Qwen3-Chat-300IA2-npu-serve", 4, "shadowed-rule"),
}
CONFIGS = [("V3", "DeepSeek-V3"), ("Moonlight", "DeepSeek-V3"), ("V2-Lite", "DeepSeek-V2-Lite-Chat"),
           ("V2", "DeepSeek-V2-Chat"), ("Qwen3Next", "Qwen3-Next-80B-A3B-Thinking"), ("Qwen3", "Qwen3-235B-A22B"),
           ("Mixtral", "Mixtral-8x7B-v0.1"), ("Glm4", "GLM-4.7-FP8")]


def modules():
    linear, norm = "torch.nn.Linear", V3 + "DeepseekV3RMSNorm"
    yield ".", V3 + "DeepseekV3ForCausalLM"
    yield "model", V3 + "DeepseekV3Model"
    yield "model.embed_tokens", "torch.nn.Embedding"
    yield "model.layers", "torch.nn.ModuleList"
    for i in range(8):
        at = "model.layers.%d" % i
        yield at, V3 + "DeepseekV3DecoderLayer"
        yield at + ".self_attn", V3 + "DeepseekV3Attention"
        for name in ("q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj", "o_proj"):
            yield at + ".self_attn." + name, linear
        yield at + ".mlp", V3 + "DeepseekV3MoE"
        yield at + ".mlp.experts", "torch.nn.ModuleList"
        for e in range(2):
            yield at + ".mlp.experts.%d" % e, V3 + "DeepseekV3MLP"
            for name in ("gate_proj", "up_proj", "down_proj"):
                yield at + ".mlp.experts.%d.%s" % (e, name), linear
        yield at + ".mlp.gate", V3 + "MoEGate"
        yield at + ".input_layernorm", norm
    yield "model.norm", norm
    yield "lm_head", linear
    yield "model_2xlayers", norm


def lint(path, *more):
    done = subprocess.run([str(TANDEM), "rules", "lint", str(path), "--json", *map(str, more)],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        findings = json.loads(done.stdout)
    except ValueError:
        sys.exit("lint %s: exit code %d: %s" % (path, done.returncode, done.stderr.decode(errors="replace")))
    assert done.returncode == (1 if findings else 0), done.returncode
    return findings


def plant(old, new):
    """The text, and the line where it first differs from the sound one."""
    if old is None:
        text = new
    else:
        old, nth = old if isinstance(old, tuple) else (old, 0)
        at = -1
        for _ in range(nth + 1):
            at = SOUND.index(old, at + 1)
        text = SOUND[:at] + new + SOUND[at + len(old):]
    same = os.path.commonprefix([SOUND, text])
    return text, same.count("\n") + 1


class Tap:
    n = status = 0

    def result(self, good, name, why=""):
        self.n += 1
        self.status |= not good
        if not good:
            print("  " + why.replace("\n", "\n  "))
        print("%s %d - %s" % ("ok" if good else "not ok", self.n, name), flush=True)


def planted(tap, tmp, listed):
    path = tmp / "rules.yaml"
    path.write_text(SOUND)
    found = lint(path, "--modules", listed)
    tap.result(not found, "the sound file has no finding", json.dumps(found, indent=1))
    for name, old, new, codes, words in PLANTED:
        text, line = plant(old, new)
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
        found = lint(path, "--modules", listed)
        good = {f["code"] for f in found} == codes and all(f["what"] and f["why"] and f["fix"] for f in found)
        good = good and (not words or any(words in f["what"] + f["why"] + f["fix"] for f in found))
        # A defect of what stands in a place is reported there, or in its rule's first lines.
        if old is not None and len(codes) == 1 and codes <= {"unknown-op", "old-name", "unknown-class", "bad-type",
                                                             "unknown-kwarg", "unknown-device", "duplicate-key"}:
            good = good and line in [f["line"] for f in found]
        tap.result(good, name, "planted in line %d\n%s" % (line, json.dumps(found, indent=1)))


def shipped(tap, tmp):
    folder = ROOT / ".." / "shared" / "ktransformers-rules" / "yaml"
    configs = ROOT / ".." / "shared" / "configs"
    files = sorted(folder.rglob("*.yaml"))
    if not files:
        print("ok %d - KTransformers' own files # SKIP no ../shared here" % (tap.n + 1))
        return
    real = set(REAL)
    for path in files:
        config = next((c for k, c in CONFIGS if k in path.name), None)
        more = []
        if config:
            (tmp / config).mkdir(exist_ok=True)
            (tmp / config / "config.json").write_bytes((configs / (config + ".json")).read_bytes())
            more = ["--model", tmp / config]
        elif "Qwen2" in path.name:
            more = ["--modules", qwen2(tmp)]
        found = lint(path, *more)
        unknown = []
        for f in found:
            key = (path.stem, f["rule"], f["code"])
            if key in real:
                real.discard(key)
            else:
                unknown.append(f)
        tap.result(not unknown, "%s on %s" % (path.name, config or "no model"), json.dumps(unknown, indent=1))
    tap.result(not real, "all that is wrong in them is found", str(real))


def qwen2(tmp):
    path, at = tmp / "qwen2", "ktransformers.models.modeling_qwen2_moe.Qwen2Moe"
    with open(path, "w") as f:
        f.write(". %sForCausalLM\nmodel %sModel\nmodel.embed_tokens torch.nn.Embedding\nmodel.layers torch.nn.ModuleList\n" % (at, at))
        for i in range(28):
            f.write(re.sub("^", "model.layers.%d" % i, """ %(at)sDecoderLayer
.self_attn %(at)sAttention
.self_attn.q_proj torch.nn.Linear
.self_attn.rotary_emb %(at)sRotaryEmbedding
.mlp %(at)sSparseMoeBlock
.mlp.gate torch.nn.Linear
.mlp.experts torch.nn.ModuleList
.mlp.experts.0 %(at)sMLP
.mlp.experts.0.up_proj torch.nn.Linear
.mlp.shared_expert %(at)sMLP
.mlp.shared_expert.up_proj torch.nn.Linear
.mlp.shared_expert_gate torch.nn.Linear
.input_layernorm %(at)sRMSNorm
.post_attention_layernorm %(at)sRMSNorm""" % {"at": at}, flags=re.M) + "\n")
        f.write("model.norm %sRMSNorm\nlm_head torch.nn.Linear\n" % at)
    return path


def main():
    tap = Tap()
    assert len(PLANTED) >= 30
    with tempfile.TemporaryDirectory() as folder:
        tmp = pathlib.Path(folder)
        listed = tmp / "modules"
        listed.write_text("".join("%s %s\n" % m for m in modules()))
        planted(tap, tmp, listed)
        shipped(tap, tmp)
        for path in sorted((ROOT / "rules").glob("*.yaml")):
            found = lint(path)
            tap.result(not found, "our own %s" % path.name, json.dumps(found, indent=1))
    return 1 if tap.status else 0


raise SystemExit(main())
