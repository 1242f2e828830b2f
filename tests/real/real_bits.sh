#!/bin/sh
# Real models give the same bytes of logits at every CPU level that this machine has, with 1, 2 and 3
# threads, in forward passes of 1, 7, 64 and 512 tokens: 768 tokens, past Gemma's window, at the highest
# level, and 48 tokens at the others.  (tests/golden/test_bits.sh tries all combinations, on tiny models.)
set -eu
TANDEM=${TANDEM:-${TANDEM_BUILD_DIR:?}/tandem}
source=${TANDEM_SOURCE_DIR:?}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
# shellcheck source=tests/support/bits.sh
. "$source/tests/support/bits.sh"

levels=$(cpu_levels)
highest=$(echo "$levels" | tail -n 1)
lower=$(echo "$levels" | sed '$d')
long=$(all_ways "$highest" "1 2 3" "512 64 7 1")
short="$highest/2/512 $(all_ways "$lower" 2 "1 7") $(all_ways "$lower" "1 3" 64) $(all_ways "$lower" 2 512)"
exact="$highest/1/7 $(all_ways "$levels" 2 512) $highest/3/64"

check() { # check NAME MODEL
    if [ -z "$2" ]; then
        n_case=$((n_case + 1))
        echo "ok $n_case - $1 # SKIP no path to the model in the environment"
        return
    fi
    "$TANDEM" tokenize "$2" <"$source/tests/data/english.txt" >"$tmp/ids"
    echo "$(cut -d, -f1-768 "$tmp/ids")]" >"$tmp/long"
    echo "$(cut -d, -f1-48 "$tmp/ids")]" >"$tmp/short"
    compare_ways "$1, 768 tokens" "$long" "$2" --tokens-file "$tmp/long"
    compare_ways "$1, 48 tokens" "$short" "$2" --tokens-file "$tmp/short"
    compare_ways "$1, 48 tokens, --exact" "$exact" "$2" --tokens-file "$tmp/short" --exact
}

check smollm2 "${TANDEM_TEST_SMOLLM2:-}"
check gemma3 "${TANDEM_TEST_GEMMA3:-}"
echo "# $n_compared runs compared"
exit $status
