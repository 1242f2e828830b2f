#!/bin/sh
# Real models give the same bytes of logits at every CPU level that this machine has, with 1, 2 and 3
# threads, token by token and in larger forward passes.  (tests/golden/test_bits.sh tries all
# combinations, on tiny models.)
set -eu
TANDEM=${TANDEM:-${TANDEM_BUILD_DIR:?}/tandem}
source=${TANDEM_SOURCE_DIR:?}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
# shellcheck source=tests/support/bits.sh
. "$source/tests/support/bits.sh"

levels=$(cpu_levels)
highest=$(echo "$levels" | tail -n 1)
native=$(echo "$highest/1/1" && all_ways "$highest" "1 2 3" "7 512" && all_ways "$levels" 2 512)
exact=$(echo "$highest/1/7" && all_ways "$levels" 2 512)
text=$(head -c 160 "$source/tests/data/english.txt")

check() { # check NAME MODEL
    if [ -z "$2" ]; then
        n_case=$((n_case + 1))
        echo "ok $n_case - $1 # SKIP no path to the model in the environment"
        return
    fi
    model=$2
    compare_ways "$1" "$native" "$model" --prompt "$text"
    compare_ways "$1, --exact" "$exact" "$model" --prompt "$text" --exact
}

check smollm2 "${TANDEM_TEST_SMOLLM2:-}"
check gemma3 "${TANDEM_TEST_GEMMA3:-}"
echo "# $n_compared runs compared"
exit $status
