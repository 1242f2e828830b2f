# shellcheck shell=sh disable=SC2154,SC2034  # tmp comes from the script that reads this, status goes there
# bits.sh - for scripts that compare the bytes of `tandem logits` over CPU levels, numbers of
# threads and batches: sourced, with $TANDEM the binary and $tmp a folder.  Prints TAP.  Variables
# that begin with b_ are this file's own.

n_case=0 n_compared=0 status=0

# The compiled-in levels that this machine has, in rising order.
cpu_levels() {
    b_built_in=$("$TANDEM" --version | sed -n 's/.*(built in: \(.*\))$/\1/p')
    for b_level in $b_built_in; do
        if TD_CPU=$b_level "$TANDEM" --version | grep -q "^CPU level: $b_level "; then
            echo "$b_level"
        fi
    done
}

# The first n ids of a fixed stream below n_vocab: token_ids N N_VOCAB
token_ids() {
    awk -v n="$1" -v n_vocab="$2" 'BEGIN {
        x = 12345
        for (i = 0; i < n; i++) {
            x = (x * 1103 + 12345) % 1000003
            printf "%s%d", i ? ", " : "", x % n_vocab
        }
        print ""
    }'
}

# The SHA-256 of the .npy that a way gives, through a pipe: the logits of a long text and a large vocabulary
# are hundreds of megabytes.  Prints "failed" instead if tandem fails, with its message in $tmp/err.
# digest LEVEL/THREADS/BATCH MODEL OPTION...
digest() {
    b_rest=${1#*/}
    b_level=${1%%/*}
    shift
    rm -f "$tmp/failed"
    b_digest=$({ TD_CPU=$b_level "$TANDEM" logits "$@" -t "${b_rest%/*}" --batch "${b_rest#*/}" \
        -o /dev/stdout 2>"$tmp/err" || : >"$tmp/failed"; } | sha256sum)
    if [ -e "$tmp/failed" ]; then echo failed; else echo "${b_digest%% *}"; fi
}

# Compares ways of computing the same logits, given as LEVEL/THREADS/BATCH, with the first of them.
# compare_ways NAME "WAY WAY ..." MODEL OPTION...
compare_ways() {
    b_name=$1 b_ways=$2 b_wrong='' b_first='' b_want='' b_n=0
    shift 2
    for b_way in $b_ways; do
        b_got=$(digest "$b_way" "$@")
        if [ "$b_got" = failed ]; then
            b_wrong="$b_wrong $b_way(failed: $(cat "$tmp/err"))"
        elif [ -z "$b_first" ]; then
            b_first=$b_way b_want=$b_got
        elif [ "$b_got" != "$b_want" ]; then
            b_wrong="$b_wrong $b_way"
        fi
        b_n=$((b_n + 1))
    done
    n_case=$((n_case + 1)) n_compared=$((n_compared + b_n))
    if [ -z "$b_wrong" ] && [ "$b_n" -gt 1 ]; then
        echo "ok $n_case - $b_name: $b_n ways, the same bytes"
    else
        echo "not ok $n_case - $b_name: other bytes than $b_first with:${b_wrong:- (nothing compared)}"
        status=1
    fi
}

# All ways for the levels given: all_ways "LEVEL ..." "THREADS ..." "BATCH ..."
all_ways() {
    for b_level in $1; do
        for b_threads in $2; do
            for b_batch in $3; do echo "$b_level/$b_threads/$b_batch"; done
        done
    done
}
