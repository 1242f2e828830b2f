#!/bin/sh
# td-diff on dumps of a tiny model: equal runs are equal, and between native and exact mode it names the
# first result that can differ.
set -eu
TANDEM=${TANDEM:-${TANDEM_BUILD_DIR:?}/tandem}
td_diff=${TANDEM_SOURCE_DIR:?}/tools/td-diff
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
n_case=0 status=0

# expect NAME WANTED-STATUS WANTED-TEXT COMMAND...
expect() {
    name=$1 wanted=$2 text=$3 got=0
    shift 3
    "$@" >"$tmp/out" 2>&1 || got=$?
    n_case=$((n_case + 1))
    if [ "$got" = "$wanted" ] && grep -qF -- "$text" "$tmp/out"; then
        echo "ok $n_case - $name"
    else
        echo "not ok $n_case - $name: status $got, wanted $wanted with '$text'"
        sed 's/^/# /' "$tmp/out"
        status=1
    fi
}

dump() { # dump FOLDER OPTION...
    folder=$1
    shift
    "$TANDEM" run "$tmp/model.gguf" --raw -p abc -n 2 --temp 0 --ignore-eos --dump '*' "$tmp/$folder" "$@" >/dev/null \
        2>"$tmp/err" || cat "$tmp/err"
}

"$TANDEM_BUILD_DIR/tests/test_tiny_models" --write llama_grouped q8_0 "$tmp/model.gguf"
dump one
dump two -t 1
dump exact --exact
expect "equal runs" 0 "no difference" "$td_diff" "$tmp/one" "$tmp/two"
expect "the embedding is exact in both modes, the first block is not" 1 \
    "00000-0001-layers.0.self_attn.npy" "$td_diff" "$tmp/one" "$tmp/exact"
expect "a tolerance" 0 "no difference" "$td_diff" --tolerance 10 "$tmp/one" "$tmp/exact"
expect "two files" 1 "values differ" "$td_diff" "$tmp/one/00000-0002-layers.0.mlp.npy" \
    "$tmp/exact/00000-0002-layers.0.mlp.npy"
expect "a file of another shape" 1 "shape" "$td_diff" "$tmp/one/00000-0000-embed_tokens.npy" \
    "$tmp/one/00001-0000-embed_tokens.npy"
expect "not a .npy file" 2 "not a .npy file" "$td_diff" "$tmp/model.gguf" "$tmp/model.gguf"
expect "no such folder" 2 "td-diff:" "$td_diff" "$tmp/none" "$tmp/one"
exit $status
