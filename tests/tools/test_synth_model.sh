#!/bin/sh
# synth-model: cuts of each model in several types are files that `tandem inspect` reads and that are as
# large as was said; whole models have the real ones' numbers of weights; holes read as zeros.
set -eu
TANDEM=${TANDEM:-${TANDEM_BUILD_DIR:?}/tandem}
SYNTH=${TANDEM_BUILD_DIR:?}/tools/synth-model
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
n_case=0 status=0

# result NAME GOOD: GOOD is 0 for success; what was printed is in $tmp/out
result() {
    n_case=$((n_case + 1))
    if [ "$2" = 0 ]; then
        echo "ok $n_case - $1"
    else
        echo "not ok $n_case - $1"
        sed 's/^/# /' "$tmp/out"
        status=1
    fi
}

# Tensors and bytes, as synth-model and inspect say them.
said() { sed -n 's/.* \([0-9]*\) tensors of \([0-9]*\) bytes$/\1 \2/p' "$1"; }
found() { sed -n 's/^tensors *\([0-9]*\), \([0-9]*\) bytes$/\1 \2/p' "$1"; }

cut() { # cut MODEL TYPE FORMAT [OPTION...]
    model=$1 type=$2 format=$3
    shift 3
    "$SYNTH" "$model" "$tmp/m" --type "$type" --format "$format" --layers 1 --vocab 300 --shrink 16 "$@"
}

read_back() { # read_back MODEL TYPE FORMAT [OPTION...]
    good=1
    if cut "$@" >"$tmp/out" 2>&1 && "$TANDEM" inspect "$tmp/m" >"$tmp/inspected" 2>&1; then
        cat "$tmp/inspected" >>"$tmp/out"
        # Scales and shapes in a folder belong to their weights, where inspect counts.
        case $2 in
        native) [ -n "$(found "$tmp/inspected")" ] && good=0 ;;
        *) [ "$(said "$tmp/out")" = "$(found "$tmp/inspected")" ] && good=0 ;;
        esac
    fi
    result "$1 $2 $3" "$good"
    rm -rf "$tmp/m"
}

for model in deepseek-v2-lite qwen3-30b-a3b minimax-m2 deepseek-v3 kimi-k2; do
    for type in q4_k_m q8_0 iq2_xs; do read_back $model $type gguf --experts 4; done
    read_back $model bf16 folder --experts 4
    read_back $model native folder --experts 4
done
read_back llama-1.1b q4_0 gguf
read_back llama-1.1b native folder

whole() { # whole MODEL WEIGHTS [OPTION...]: in millions
    model=$1 wanted=$2
    shift 2
    "$SYNTH" "$model" --dry-run "$@" >"$tmp/out" 2>&1 || true
    got=$(sed -n 's/.*: \([0-9]*\)[0-9]\{6\} weights.*/\1/p' "$tmp/out")
    good=1
    [ "$got" = "$wanted" ] && good=0
    result "$model has $wanted million weights" $good
}
whole deepseek-v2-lite 15706
whole qwen3-30b-a3b 30531
whole minimax-m2 228688
whole deepseek-v3 671025
whole kimi-k2 1026407
whole llama-1.1b 1099
whole kimi-k2 1026407 --type q4_0

# The same arguments, the same bytes; another seed, others; holes, the same length with zeros.
cut qwen3-30b-a3b q4_k_m gguf --experts 4 >"$tmp/out" 2>&1 && mv "$tmp/m" "$tmp/one"
cut qwen3-30b-a3b q4_k_m gguf --experts 4 >"$tmp/out" 2>&1 && mv "$tmp/m" "$tmp/two"
cut qwen3-30b-a3b q4_k_m gguf --experts 4 --seed 7 >"$tmp/out" 2>&1 && mv "$tmp/m" "$tmp/other"
cut qwen3-30b-a3b q4_k_m gguf --experts 4 --sparse >"$tmp/out" 2>&1 && mv "$tmp/m" "$tmp/sparse"
good=0
cmp -s "$tmp/one" "$tmp/two" || good=1
result "the same arguments give the same bytes" $good
good=1
cmp -s "$tmp/one" "$tmp/other" || good=0
result "another seed gives others" $good
good=0
python3 - "$tmp/one" "$tmp/sparse" >"$tmp/out" 2>&1 <<'END' || good=1
import sys
one, sparse = (open(p, "rb").read() for p in sys.argv[1:])
assert len(one) == len(sparse), (len(one), len(sparse))
differ = [i for i in range(len(one)) if one[i] != sparse[i]]
assert differ and all(sparse[i] == 0 for i in differ)
# Three experts of four, in three matrices; some of their bytes are zeros anyway.
experts = 3 * 3 * 128 * 32 * 4.5 / 8
assert 0.8 * experts < len(differ) < 1.6 * experts, (len(differ), experts)
END
result "--sparse has zeros where experts but the first are" $good

# What they compute are finite numbers of the size that logits have.
finite() { # finite MODEL FORMAT TYPE [OPTION...]
    model=$1 format=$2 type=$3 good=0
    shift 3
    cut "$model" "$type" "$format" "$@" >"$tmp/out" 2>&1 || good=1
    "$TANDEM" logits "$tmp/m" -p 'Some text' -o "$tmp/logits.npy" >>"$tmp/out" 2>&1 || good=1
    python3 - "$tmp/logits.npy" >>"$tmp/out" 2>&1 <<'END' || good=1
import array, math, struct, sys
data = open(sys.argv[1], "rb").read()
start = 10 + struct.unpack("<H", data[8:10])[0]
x = array.array("f", data[start:])
assert len(x) >= 300 and all(map(math.isfinite, x))
mean = sum(x) / len(x)
deviation = math.sqrt(sum((v - mean) ** 2 for v in x) / len(x))
assert 0.5 < deviation < 2, deviation
END
    result "$model $type $format${1:+ $*}: finite logits" $good
    rm -rf "$tmp/m" "$tmp/logits.npy"
}
for model in deepseek-v2-lite qwen3-30b-a3b minimax-m2 deepseek-v3 kimi-k2; do
    finite $model gguf q4_k_m --experts 4 --layers 2
    finite $model folder native --experts 4 --layers 2
done
finite llama-1.1b gguf q4_k_m
finite llama-1.1b folder bf16
finite qwen3-30b-a3b gguf q4_k_m --experts 16 --sparse

refuses() { # refuses NAME TEXT OPTION...
    name=$1 text=$2 good=1 got=0
    shift 2
    "$SYNTH" "$@" >"$tmp/out" 2>&1 || got=$?
    [ $got = 2 ] && grep -qF -- "$text" "$tmp/out" && [ ! -e "$tmp/no" ] && good=0
    result "refuses $name" $good
}
refuses "an unknown model" "did you mean 'kimi-k2'?" kimi-k3 "$tmp/no"
refuses "an unknown type" "unknown type 'q9'" kimi-k2 "$tmp/no" --type q9
refuses "native in a GGUF file" "for a folder" kimi-k2 "$tmp/no" --type native --format gguf
refuses "a mix in a folder" "wanted native or bf16" kimi-k2 "$tmp/no" --type q8_0 --format folder
refuses "experts of a dense model" "has no experts" llama-1.1b "$tmp/no" --experts 4
refuses "few tokens" "wanted at least 300" llama-1.1b "$tmp/no" --vocab 10
refuses "no number" "wanted a number" llama-1.1b "$tmp/no" --layers many
refuses "no path" "a path" llama-1.1b
exit $status
