# bits.sh - for scripts that compare the bytes of `tandem logits` over CPU levels, numbers of
# threads and batches: sourced, with $TANDEM the binary and $tmp a folder.  Prints TAP.

n_case=0 n_compared=0 status=0

# The compiled-in levels that this machine has, in rising order.
cpu_levels() {
    built_in=$("$TANDEM" --version | sed -n 's/.*(built in: \(.*\))$/\1/p')
    for level in $built_in; do
        if TD_CPU=$level "$TANDEM" --version | grep -q "^CPU level: $level "; then echo "$level"; fi
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

# logits LEVEL THREADS BATCH OUT MODEL OPTION...
logits() {
    level=$1 threads=$2 batch=$3 out=$4
    shift 4
    TD_CPU=$level "$TANDEM" logits "$@" -t "$threads" --batch "$batch" -o "$out" 2>"$tmp/err"
}

# Compares ways of computing the same logits, given as LEVEL/THREADS/BATCH, with the first of them.
# compare_ways NAME "WAY WAY ..." MODEL OPTION...
compare_ways() {
    name=$1 ways=$2 wrong='' first='' n=0
    shift 2
    for way in $ways; do
        out=$tmp/other.npy
        [ -n "$first" ] || out=$tmp/first.npy
        rest=${way#*/}
        if ! logits "${way%%/*}" "${rest%/*}" "${rest#*/}" "$out" "$@"; then
            wrong="$wrong $way(failed: $(cat "$tmp/err"))"
        elif [ -z "$first" ]; then
            first=$way
        elif ! cmp -s "$tmp/first.npy" "$out"; then
            wrong="$wrong $way"
        fi
        n=$((n + 1))
    done
    n_case=$((n_case + 1)) n_compared=$((n_compared + n))
    if [ -z "$wrong" ] && [ "$n" -gt 1 ]; then
        echo "ok $n_case - $name: $n ways, the same bytes"
    else
        echo "not ok $n_case - $name: other bytes than $first with:${wrong:- (nothing compared)}"
        status=1
    fi
    rm -f "$tmp/first.npy" "$tmp/other.npy"
}

# All ways for the levels given: all_ways "LEVEL ..." "THREADS ..." "BATCH ..."
all_ways() {
    for level in $1; do
        for threads in $2; do
            for batch in $3; do echo "$level/$threads/$batch"; done
        done
    done
}
