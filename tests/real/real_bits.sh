#!/bin/sh
# Real models give the same bytes of logits at every CPU level that this machine has and in the ways
# of tests/golden/test_bits.sh: all numbers of threads and batches at the highest level, and three
# pairs of them at the others.
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
ways="$(all_ways "$highest" "1 2 3" "1 7 64 512")
$(for level in $lower; do echo "$level/1/1 $level/2/512 $level/3/7"; done)"
exact_ways=$(for level in $levels; do echo "$level/2/512 $level/1/7"; done)
text=$(head -c 320 "$source/tests/data/english.txt")

check() { # check NAME MODEL
    if [ -z "$2" ]; then
        n_case=$((n_case + 1))
        echo "ok $n_case - $1 # SKIP no path to the model in the environment"
        return
    fi
    compare_ways "$1" "$ways" "$2" --prompt "$text"
    compare_ways "$1 --exact" "$exact_ways" "$2" --prompt "$text" --exact
}

check smollm2 "${TANDEM_TEST_SMOLLM2:-}"
check gemma3 "${TANDEM_TEST_GEMMA3:-}"
echo "# $n_compared runs compared"
exit $status
