#!/bin/sh
# Tiny models give the same bytes of logits at every CPU level that this machine has, with 1, 2 and 3
# threads, in forward passes of 1, 7, 64 and 512 tokens.
set -eu
if [ -n "${TANDEM_SANITIZE:-}" ]; then
    echo "skipped: the plain build compares the bits"
    exit 77
fi
TANDEM=${TANDEM:-${TANDEM_BUILD_DIR:?}/tandem}
writer=${TANDEM_BUILD_DIR:?}/tests/test_tiny_models
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
# shellcheck source=tests/support/bits.sh
. "${TANDEM_SOURCE_DIR:?}/tests/support/bits.sh"

# Many small forward passes with many threads cost a hand-over each: they read a short text, and a
# longer one compares the large batches.
levels=$(cpu_levels)
short=$(all_ways "$levels" "1 2 3" "1 7 64")
long="$(all_ways "$levels" "1 2 3" "64 512") $(all_ways "$levels" 1 "1 7")"
some=$(for level in $levels; do echo "$level/1/1 $level/2/512 $level/3/7"; done)

check() { # check MODEL DTYPE N_VOCAB N_TOKEN "WAYS" OPTION...
    model=$1 dtype=$2 n_vocab=$3 n_token=$4 ways=$5
    shift 5
    "$writer" --write "$model" "$dtype" "$tmp/model.gguf"
    token_ids "$n_token" "$n_vocab" >"$tmp/ids"
    compare_ways "$model $dtype, $n_token tokens${*:+, $*}" "$ways" "$tmp/model.gguf" \
        --tokens-file "$tmp/ids" "$@"
}

check_all_ways() { # check_all_ways MODEL DTYPE N_VOCAB OPTION...
    model=$1 dtype=$2 n_vocab=$3
    shift 3
    check "$model" "$dtype" "$n_vocab" 12 "$short" "$@"
    check "$model" "$dtype" "$n_vocab" 100 "$long" "$@"
}

check_all_ways llama_blocks q4_k 128
check_all_ways qwen2_grouped q5_1 128
check_all_ways gemma3_period6 q8_0 112
check_all_ways gemma3_period3 f32 112 --exact
for dtype in f32 f16 bf16 q4_0 q4_1 q5_0 q5_1 q8_0 iq4_nl mxfp4 nvfp4 q5_k q6_k; do
    check llama_blocks "$dtype" 128 25 "$some"
    check llama_blocks "$dtype" 128 25 "$some" --exact
done
for dtype in q2_k q3_k iq1_s iq1_m iq2_xxs iq2_xs iq2_s iq3_xxs iq3_s iq4_xs tq1_0 tq2_0; do
    check llama_blocks "$dtype" 128 25 "$some"
done
for kv in f32 q8_0 q4_0; do
    check llama_blocks q4_k 128 100 "$some" --kv-type "$kv"
    check gemma3_period6 q8_0 112 100 "$some" --kv-type "$kv"
done
check llama_blocks q8_0 128 100 "$some" --cache-type-k q8_0 --cache-type-v q4_0
check llama_mqa_wide_head f16 128 25 "$some"
check llama_heads_tied q4_0 107 25 "$some"
check gemma3_heads_linear bf16 112 25 "$some"

echo "# levels: $(echo "$levels" | tr '\n' ' ')"
echo "# $n_compared runs compared"
exit $status
