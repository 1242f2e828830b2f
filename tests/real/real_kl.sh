#!/bin/sh
# How far the default integer arithmetic is from exact mode on real text, held against llama.cpp's
# own distance from float32 on the same files and text (tests/golden/real/peer.json).
set -eu
TANDEM=${TANDEM:-${TANDEM_BUILD_DIR:?}/tandem}
cd "${TANDEM_SOURCE_DIR:?}"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
status=0

check() { # check NUMBER NAME MODEL
    if [ -z "$3" ]; then
        echo "ok $1 - $2 # SKIP no path to the model in the environment"
        return
    fi
    n_chunk=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]]["n_chunk"])' \
        tests/golden/real/peer.json "$2")
    "$TANDEM" perplexity "$3" tests/data/english.txt --compare-exact --chunks "$n_chunk" --json \
        >"$tmp/$2.json" 2>"$tmp/err" || cat "$tmp/err"
    python3 - "$1" "$2" "$tmp/$2.json" <<'END' || status=1
import hashlib
import json
import sys

number, name, path = sys.argv[1:]
with open(path) as f:
    ours = json.load(f)
with open("tests/golden/real/peer.json") as f:
    peer = json.load(f)[name]
with open("tests/data/english.txt", "rb") as f:
    same_text = hashlib.sha256(f.read()).hexdigest() == peer["text_sha256"]

MAX_KL = {"smollm2": 0.005}  # ideal int8 activations give 0.0033 there
change = abs(ours["perplexity"] - ours["exact_perplexity"])
kl_limit = min(peer["kl"] + peer["kl_se"], MAX_KL.get(name, 1))
change_limit = abs(peer["ppl_change"]) + peer["ppl_change_se"]
checks = [
    ("the text is the one that the peer read", same_text),
    ("as many positions scored as the peer's", ours["n_scored"] == peer["n_scored"]),
    ("exact perplexity %.4f, transformers' %.4f" % (ours["exact_perplexity"], peer["ppl_float32"]),
     abs(ours["exact_perplexity"] / peer["ppl_float32"] - 1) < 1e-3),
    ("mean KL %.6f +- %.6f, limit %.6f" % (ours["kl"], ours["kl_error"], kl_limit),
     ours["kl"] <= kl_limit),
    ("perplexity changes by %.4f, limit %.4f" % (change, change_limit), change <= change_limit),
]
for what, good in checks:
    print("#%s %s" % ("" if good else " FAILED:", what))
good = all(good for _, good in checks)
print("%s %s - %s: integer arithmetic against exact" % ("ok" if good else "not ok", number, name))
sys.exit(not good)
END
}

check 1 smollm2 "${TANDEM_TEST_SMOLLM2:-}"
check 2 gemma3 "${TANDEM_TEST_GEMMA3:-}"
exit $status
