#!/bin/sh
# A mixture of experts that is a dense model split (tools/upcycle) says what the dense model says: in exact
# mode the same text and logits; in the default mode it is as near to its own exact mode.
set -eu
TANDEM=${TANDEM:-${TANDEM_BUILD_DIR:?}/tandem}
cd "${TANDEM_SOURCE_DIR:?}"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
prompt='The three primary colours are red, yellow and blue. When one mixes'
n_chunk=2
status=0 n_case=0

if [ -z "${TANDEM_TEST_SMOLLM2:-}" ]; then
    echo "ok 1 - upcycled smollm2 # SKIP no path to the model in the environment"
    exit 0
fi

result() { # result NAME GOOD: GOOD is 0 for success
    n_case=$((n_case + 1))
    if [ "$2" = 0 ]; then
        echo "ok $n_case - $1"
    else
        echo "not ok $n_case - $1"
        status=1
    fi
}

# say NAME MODEL: its text, logits and distance from its exact mode, as files
say() {
    "$TANDEM" run "$2" --raw -p "$prompt" -n 200 --temp 0 --ignore-eos --exact >"$tmp/$1.text" 2>"$tmp/err" &&
        "$TANDEM" logits "$2" -p "$prompt" -o "$tmp/$1.npy" --exact >"$tmp/err" 2>&1 &&
        "$TANDEM" perplexity "$2" tests/data/english.txt --compare-exact --chunks $n_chunk --json \
            >"$tmp/$1.json" 2>"$tmp/err" && return
    sed 's/^/# /' "$tmp/err"
}

say dense "$TANDEM_TEST_SMOLLM2"
for name in "8 of 8" "4 of 8 with decoys"; do
    decoys=
    [ "$name" = "8 of 8" ] || decoys=--decoys
    tools/upcycle "$TANDEM_TEST_SMOLLM2" "$tmp/split.gguf" $decoys >"$tmp/err" 2>&1 || cat "$tmp/err"
    rm -f "$tmp"/split.text "$tmp"/split.npy "$tmp"/split.json
    say split "$tmp/split.gguf"

    good=0
    [ -s "$tmp/dense.text" ] && cmp -s "$tmp/dense.text" "$tmp/split.text" || good=1
    result "$name: 200 tokens of text" $good

    good=0
    tools/td-diff --tolerance 1e-3 "$tmp/dense.npy" "$tmp/split.npy" >"$tmp/out" 2>&1 || good=1
    sed 's/^/# /' "$tmp/out"
    result "$name: exact logits" $good

    good=0
    python3 - "$tmp/dense.json" "$tmp/split.json" <<'END' || good=1
import json
import sys
dense, split = (json.load(open(p)) for p in sys.argv[1:])
print("# mean KL to exact %.6f, the dense model's %.6f" % (split["kl"], dense["kl"]))
sys.exit(not 0 < split["kl"] <= 1.2 * dense["kl"])
END
    result "$name: default mode" $good
done
exit $status
