"""What the tests of the rules share: the oracle, running td-rules, comparing."""
import importlib.util
import math
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(os.environ.get("TANDEM_SOURCE_DIR", pathlib.Path(__file__).parent.parent.parent))
PROGRAM = pathlib.Path(os.environ.get("TANDEM_BUILD_DIR", ROOT / "build-check")) / "tests" / "td-rules"
SHARED = ROOT / ".." / "shared" / "ktransformers-rules"
SKIPPED = 77


def skip(why):
    print("skipped: " + why)
    sys.exit(SKIPPED)


def load_oracle():
    """The module resolve.py; ends the test as skipped where it or PyYAML is missing."""
    try:
        import yaml  # noqa: F401
    except ImportError:
        skip("python3 has no yaml (Debian: python3-yaml)")
    path = SHARED / "resolve.py"
    if not path.is_file():
        skip("no ../shared/ktransformers-rules here")
    spec = importlib.util.spec_from_file_location("resolve", path)
    module = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True
    spec.loader.exec_module(module)
    module.BASES["transformers.models.llama4.modeling_llama4.Llama4Router"] = ["torch.nn.Linear"]
    name_classes_once(module)
    return module


def name_classes_once(module):
    """KTransformers' and transformers' modelling files name the same classes here (classes.c), which
    the oracle takes for two: it gets one name for both, the class's own."""
    plain = module.canon

    def canon(name):
        found = re.match(r"k?transformers\.models\.(?:\w+\.)*modeling_(\w+)\.(\w+)$", plain(name))
        if not found:
            return plain(name)
        family = "deepseek_v2" if found[1] == "deepseek" else found[1]
        return "models.%s.%s" % (family, found[2])

    module.canon = canon
    module.BASES.update({canon(c): bases for c, bases in list(module.BASES.items())})


def tagged(value):
    """A value as td-rules writes it, so that types and keys are compared, too."""
    if value is None:
        return ["n"]
    if isinstance(value, bool):
        return ["b", value]
    if isinstance(value, int):
        return ["i", value]
    if isinstance(value, float):
        return ["f", "nan" if math.isnan(value) else value]
    if isinstance(value, str):
        return ["s", value]
    if isinstance(value, list):
        return ["l", [tagged(v) for v in value]]
    if isinstance(value, dict):
        return ["m", [[tagged(k), tagged(v)] for k, v in value.items()]]
    raise TypeError(type(value))


def read_tagged(value):
    """td-rules' floats, which are hexadecimal, as Python's."""
    if value[0] == "f":
        x = float.fromhex(value[1])
        return ["f", "nan" if math.isnan(x) else x]
    if value[0] == "l":
        return ["l", [read_tagged(v) for v in value[1]]]
    if value[0] == "m":
        return ["m", [[read_tagged(k), read_tagged(v)] for k, v in value[1]]]
    return value


def run(*arguments):
    done = subprocess.run([str(PROGRAM), *map(str, arguments)], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, encoding="utf-8")
    if done.returncode != 0:
        sys.exit("td-rules %s: exit code %d\n%s" % (" ".join(map(str, arguments))[:300],
                                                    done.returncode, done.stderr[-3000:]))
    return done.stdout.splitlines()


def write_modules(path, pairs):
    with open(path, "w", encoding="utf-8") as f:
        for name, class_name, *_ in pairs:
            f.write("%s %s\n" % (name or ".", class_name))


def entries_of(oracle, config):
    """The oracle's result in td-rules' form."""
    out = []
    for name, e in config.items():
        if e == "default":  # era v010
            out.append([name, oracle.translate_name_to_gguf(name + "." if name else "")[:-1], "default", None, None, -1])
        else:
            out.append([name, e["key"], e["class"], tagged(e["kwargs"]), e.get("device"),
                        -1 if e["rule"] is None else e["rule"]])
    return out


def first_difference(ours, theirs):
    for a, b in zip(ours, theirs):
        if a != b:
            return "ours %s, theirs %s" % (a, b)
    return "ours has %d entries, theirs %d" % (len(ours), len(theirs)) if len(ours) != len(theirs) else None


def read_entries(result):
    return [[*e[:3], e[3] and read_tagged(e[3]), *e[4:]] for e in result["entries"]]
