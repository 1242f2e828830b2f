#!/bin/sh
# `tandem doctor` with drivers and GPUs that are not there: a small library answers for libcuda
# (fake_cuda.c). Prints TAP.
set -u
TANDEM=${TANDEM:-${TANDEM_BUILD_DIR:?}/tandem}
root=${TANDEM_SOURCE_DIR:-$(cd "$(dirname "$0")/../.." && pwd)}
[ -x "$TANDEM" ] || { echo "$TANDEM was not built"; exit 1; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
unset TANDEM_MODEL TD_CPU
HOME=$tmp XDG_CONFIG_HOME=$tmp
export HOME XDG_CONFIG_HOME
n=0 status=0
cd "$tmp" || exit 1

verdict() { # verdict RESULT NAME
    n=$((n + 1))
    if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; status=1; fi
}

# A library without its own symbols, so that it takes nothing from sanitizers either.
mkdir lib old
"${TANDEM_CC:-cc}" -shared -fPIC -o lib/libcuda.so.1 "$root/tests/cli/fake_cuda.c" &&
    echo 'int cuInit(unsigned f); int cuInit(unsigned f) { return (int)f; }' >old.c &&
    "${TANDEM_CC:-cc}" -shared -fPIC -o old/libcuda.so.1 old.c
verdict $? "the stand-ins for libcuda build"

# doctor FAKE_CUDA ARGUMENTS...: text in out, code in $code
doctor() {
    FAKE_CUDA=$1
    export FAKE_CUDA
    shift
    LD_LIBRARY_PATH=$tmp/lib "$TANDEM" doctor --no-measure "$@" >out 2>err
    code=$?
}

# says NAME WORDS...: each of the words is in the output
says() {
    name=$1 bad=0
    shift
    for words in "$@"; do
        grep -qF -e "$words" out || { echo "  '$words' is not there"; bad=1; }
    done
    [ $bad -eq 0 ] || { sed 's/^/  /' out; sed 's/^/  /' err; }
    verdict $bad "$name"
}

doctor '12040 0;Tesla T4|75|15360'
says "a T4 can be used, and what it lacks is said" "CUDA 12.4" "Tesla T4, capability 7.5, 15.0 GiB" \
    "the weights stay quantized" "FP8 wants 8.9, this is 7.5" "no GPU kernels yet"
! grep -q "cuda:.*excluded" out
verdict $? "a T4 is not excluded"
doctor '12040 0;Tesla V100-SXM2-16GB|70|16384'
says "a V100 is excluded with the reason" "excluded" "attention: cuda:0: Tesla V100-SXM2-16GB has compute capability 7.0" \
    "want 7.5" "the CPU runs the model"
[ $code -eq 1 ]
verdict $? "and needs attention: exit code 1"
doctor '13000 0;NVIDIA GeForce RTX 4090|89|24564;NVIDIA Strange|120|8192'
says "two GPUs, one without a profile" "cuda:0         NVIDIA GeForce RTX 4090, capability 8.9, 24.0 GiB, 1008 GB/s" \
    "cuda:1         NVIDIA Strange, capability 12.0, 8.0 GiB, 320 GB/s" "no profile of NVIDIA Strange"
doctor '11040 0;Tesla T4|75|15360'
says "an old driver" "knows CUDA 11.4" "-> install driver 525 or later"
[ $code -eq 1 ]
verdict $? "and needs attention: exit code 1"
for trouble in "100:sees no GPU" "803:different versions" "999:kernel module" "7:error 7 of cuInit"; do
    doctor "12040 ${trouble%%:*}"
    [ $code -eq 1 ]
    verdict $? "cuInit fails with ${trouble%%:*}: exit code 1"
    says "and why is said" "out of order" "${trouble#*:}"
done
doctor '12040 0'
says "a driver without GPUs" "the NVIDIA driver knows no GPU"
LD_LIBRARY_PATH=$tmp/old "$TANDEM" doctor --no-measure >out 2>err
[ $? -eq 1 ]
verdict $? "a library that lacks entry points: exit code 1"
says "and why is said" "lacks entry points"

# ---- the levels ----
doctor '12040 0;Tesla T4|75|15360'
TD_CPU=scalar LD_LIBRARY_PATH=$tmp/lib "$TANDEM" doctor --no-measure >out 2>err
lowered=$?
if grep -q "scalar is the best here" out; then
    echo "ok $((n += 1)) - a lowered level needs attention # SKIP this machine has no other"
else
    says "a lowered CPU level is found" "lowered to scalar by TD_CPU" "-> unset TD_CPU"
    [ $lowered -eq 1 ]
    verdict $? "and needs attention: exit code 1"
fi

# ---- JSON ----
doctor '12040 0;Tesla "T4"|75|15360' --json
python3 - <<'PY'
import json
d = json.load(open("out"))
assert d["gpus"][0] == {"name": 'Tesla "T4"', "capability": 75, "memory": 15360 << 20,
                        "bandwidth": d["gpus"][0]["bandwidth"], "usable": True}, d["gpus"]
assert d["driver"] == {"state": "starts", "cuda": 12040, "why_no_gpu": ""}
assert d["needs_attention"] == any(f["attention"] for f in d["findings"])
assert d["cpu"]["n_allowed"] >= 1 and d["memory"]["bytes"] > 0 and len(d["memory"]["nodes"]) >= 1
PY
verdict $? "--json is JSON, and true"

# ---- models ----
doctor '12040 0' "$tmp/none.gguf"
[ $code -eq 1 ] && [ ! -s out ] && grep -qF none.gguf err
verdict $? "a model that is not there: exit code 1 and its name"
"${TANDEM_BUILD_DIR:-$root/build}/tools/synth-model" llama-1.1b m.gguf --type q4_k_m --layers 1 \
    --shrink 8 --vocab 512 >/dev/null
doctor '12040 0' m.gguf
says "a model's weights" "the model" "GiB of weights"
head -c 4000 m.gguf >cut.gguf
doctor '12040 0' cut.gguf
[ $code -eq 1 ] && [ -s err ]
verdict $? "a model that is cut short: exit code 1"

# ---- the page ----
"$TANDEM" doctor --gpus-page >page && cmp -s page "$root/docs/GPUS.md"
verdict $? "docs/GPUS.md is what 'tandem doctor --gpus-page' prints"
echo "1..$n"
exit $status
