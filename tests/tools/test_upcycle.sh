#!/bin/sh
# upcycle: a dense model split into experts has the dense one's logits, in several types of weights, all
# experts being used or half of them decoys; and what cannot be split is refused by name.
set -eu
TANDEM=${TANDEM:-${TANDEM_BUILD_DIR:?}/tandem}
SYNTH=${TANDEM_BUILD_DIR:?}/tools/synth-model
upcycle=${TANDEM_SOURCE_DIR:?}/tools/upcycle
td_diff=$TANDEM_SOURCE_DIR/tools/td-diff
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
n_case=0 status=0

result() { # result NAME GOOD: GOOD is 0 for success; what was printed is in $tmp/out
    n_case=$((n_case + 1))
    if [ "$2" = 0 ]; then
        echo "ok $n_case - $1"
    else
        echo "not ok $n_case - $1"
        sed 's/^/# /' "$tmp/out"
        status=1
    fi
}

# MLPs of 512: eight experts of 64.
dense() { "$SYNTH" llama-1.1b "$tmp/dense" --type "$1" --layers 2 --vocab 300 --shrink 11 >"$tmp/out" 2>&1; }

logits() { "$TANDEM" logits "$tmp/$1" -p 'Some text' --exact -o "$tmp/$1.npy" >>"$tmp/out" 2>&1; }

for type in q4_0 q4_1 q5_1 q8_0 iq4_nl f16 bf16 f32; do
    dense $type && logits dense || true
    for decoys in "" --decoys; do
        good=1
        rm -f "$tmp/split.npy"
        "$upcycle" "$tmp/dense" "$tmp/split" $decoys >"$tmp/out" 2>&1 && logits split &&
            "$td_diff" --tolerance 1e-4 "$tmp/dense.npy" "$tmp/split.npy" >>"$tmp/out" 2>&1 && good=0
        result "$type${decoys:+ with decoys}" $good
    done
done

# Decoys are no copies: were they chosen, the numbers would be others.
good=1
python3 - "$tmp/split" <<'END' >"$tmp/out" 2>&1 && good=0
import struct, sys
data = bytearray(open(sys.argv[1], "rb").read())
bias = struct.pack("<8f", -1, 1, -1, 1, 1, -1, 1, -1)
assert data.count(bias) == 2, data.count(bias)
open(sys.argv[1], "wb").write(data.replace(bias, struct.pack("<8f", 1, -1, 1, -1, -1, 1, -1, 1)))
END
logits split && ! "$td_diff" --tolerance 1e-2 "$tmp/dense.npy" "$tmp/split.npy" >>"$tmp/out" 2>&1 || good=1
result "decoys compute something else" $good

refuses() { # refuses NAME TEXT IN [OPTION...]
    name=$1 text=$2 source=$3 good=1 got=0
    shift 3
    "$upcycle" "$source" "$tmp/no" "$@" >"$tmp/out" 2>&1 || got=$?
    [ $got != 0 ] && grep -qF -- "$text" "$tmp/out" && ! grep -q Traceback "$tmp/out" && [ ! -e "$tmp/no" ] && good=0
    result "refuses $name" $good
}
dense q8_0
refuses "parts that are no whole blocks" "cannot be cut into 32 parts" "$tmp/dense" --experts 32
refuses "three experts" "wanted a power of two" "$tmp/dense" --experts 3
"$upcycle" "$tmp/dense" "$tmp/split" >"$tmp/out" 2>&1
refuses "a mixture" "wanted a dense 'llama'" "$tmp/split"
"$SYNTH" qwen3-30b-a3b "$tmp/other" --type q8_0 --layers 1 --vocab 300 --shrink 16 --experts 4 >"$tmp/out" 2>&1
refuses "another architecture" "architecture 'qwen3moe'" "$tmp/other"
dense tq2_0
refuses "a type without a known scale" "whose scales this tool does not know" "$tmp/dense"
head -c 1000 "$tmp/split" >"$tmp/short"
refuses "half a header" "ends in its header" "$tmp/short"
echo nothing >"$tmp/text"
refuses "another file" "is no GGUF file" "$tmp/text"
refuses "no file" "No such file" "$tmp/none"

# Every scale at the largest half: eight times as much is too much.
good=1
dense q8_0
python3 - "$tmp/dense" <<'END' >"$tmp/out" 2>&1 && good=0
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
import os
path = os.path.join(os.environ["TANDEM_SOURCE_DIR"], "tools", "upcycle")
sys.dont_write_bytecode = True
loader = SourceFileLoader("upcycle", path)
tool = module_from_spec(spec_from_loader("upcycle", loader))
loader.exec_module(tool)
model = tool.Gguf(sys.argv[1])
t = next(t for t in model.tensors if t.name == "blk.1.ffn_down.weight")
at = model.map.find(t.data)
copy = bytearray(model.map[:])
copy[at:at + 2] = b"\xff\x7b"
open(sys.argv[1], "wb").write(copy)
END
[ $good = 0 ] && refuses "a scale that overflows" "blk.1.ffn_down.weight': a scale times 8 is beyond Q8_0's" "$tmp/dense" ||
    result "a scale that overflows could be made" 1
exit $status
