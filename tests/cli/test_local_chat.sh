#!/bin/sh
# KTransformers' command lines: local_chat as it is typed there, weights beside a folder of
# configuration and tokenizer, and the flags that are mapped or refused. Prints TAP.
set -u
TANDEM=${TANDEM:-${TANDEM_BUILD_DIR:?}/tandem}
writer=${TANDEM_BUILD_DIR:?}/tests/test_archs
[ -x "$TANDEM" ] && [ -x "$writer" ] || { echo "$TANDEM or $writer was not built"; exit 1; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
HOME=$tmp/home XDG_CONFIG_HOME=$tmp/config XDG_STATE_HOME=$tmp/state
export HOME XDG_CONFIG_HOME XDG_STATE_HOME
unset TANDEM_MODEL TANDEM_TEMP TANDEM_TOP_K TANDEM_PREDICT TANDEM_THREADS
n=0 status=0

verdict() { # verdict RESULT NAME: RESULT is 0 for a pass
    n=$((n + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $n - $2"
    else
        echo "not ok $n - $2"
        sed 's/^/  /' "$tmp/err"
        status=1
    fi
}

# expect CODE WORDS ARGUMENTS...: the exit code, and words on standard error (or nothing: '')
expect() {
    code=$1 words=$2
    shift 2
    "$TANDEM" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
    found=$?
    bad=0
    [ $found -eq "$code" ] || { echo "  exit code $found, wanted $code"; bad=1; }
    [ -z "$words" ] || grep -qF -- "$words" "$tmp/err" || { echo "  '$words' is not in:"; bad=1; }
    verdict $bad "$code: tandem $*"
}

# make NAME: a folder of configuration and tokenizer $tmp/NAME, and $tmp/NAME.gguf of its weights
make() {
    mkdir "$tmp/$1.whole" "$tmp/$1"
    "$writer" --write "$1" folder "$tmp/$1.whole"
    "$writer" --write "$1" gguf "$tmp/$1.gguf"
    cp "$tmp/$1.whole"/*.json "$tmp/$1"
}

# edit FOLDER FILE KEY JSON: one member of an object
edit() {
    python3 -c '
import json, sys
path, key, value = sys.argv[1:]
with open(path) as f: o = json.load(f)
o[key] = json.loads(value)
with open(path, "w") as f: json.dump(o, f)' "$1/$2" "$3" "$4"
}

# ---- weights beside a folder ----
for name in deepseek_v2_groups deepseek_v3_mtp mixtral_top2 qwen2_moe_top4 qwen3_moe_top2 glm4_moe_mtp \
    smallthinker_grouped llama_grouped; do
    make $name
    "$TANDEM" logits "$tmp/$name.gguf" --tokens 1,7,9 -o "$tmp/alone.npy" 2>"$tmp/err" &&
        "$TANDEM" logits "$tmp/$name" --gguf_path "$tmp/$name.gguf" --tokens 1,7,9 -o "$tmp/beside.npy" 2>"$tmp/err" &&
        cmp "$tmp/alone.npy" "$tmp/beside.npy"
    verdict $? "$name.gguf gives the same logits beside its folder"
done
folder=$tmp/deepseek_v2_groups gguf=$tmp/deepseek_v2_groups.gguf
expect 0 '' inspect "$folder" --weights "$gguf"
grep -q 'runs here *yes' "$tmp/out" && grep -q 'deepseek2' "$tmp/out"
verdict $? "inspect shows what the GGUF file says"
expect 0 '' inspect "$folder/config.json" --kt-weight-path "$gguf"
expect 0 '' inspect --gguf-path "$gguf"
TANDEM_MODEL=$tmp/none
export TANDEM_MODEL
expect 0 '' inspect --gguf-path "$gguf" # goes before a model that is a default
unset TANDEM_MODEL
mkdir "$tmp/mixed" "$tmp/parts"
cp "$gguf" "$folder"/*.json "$tmp/mixed"
cp "$folder.whole"/*.safetensors "$tmp/parts/w.safetensors"
expect 0 '' inspect "$tmp/mixed" --weights "$tmp/mixed"
grep -q 'GGUF' "$tmp/out"
verdict $? "one folder for both"
"$TANDEM" logits "$folder.whole" --tokens 1,7,9 -o "$tmp/alone.npy" 2>"$tmp/err" &&
    "$TANDEM" logits "$folder" --weights "$tmp/parts" --tokens 1,7,9 -o "$tmp/beside.npy" 2>"$tmp/err" &&
    cmp "$tmp/alone.npy" "$tmp/beside.npy"
verdict $? "safetensors without config.json take the folder's"
cp "$folder.whole"/*.safetensors "$tmp/mixed/model.safetensors"
expect 0 "the safetensors files are taken" run "$tmp/mixed" -p a -n 1
rm "$tmp/mixed/model.safetensors"
cp "$tmp/llama_grouped.gguf" "$tmp/mixed"
expect 1 "several GGUF models" run "$tmp/mixed" --gguf_path "$tmp/mixed" -p a
expect 1 "no weights" run "$folder" --gguf_path "$folder" -p a
expect 1 "a folder without config.json" run "$tmp/parts" --gguf_path "$gguf" -p a
expect 1 "a file: with weights in another place" run "$gguf" --gguf_path "$gguf" -p a
expect 1 "cannot open '$tmp/none'" run "$folder" --gguf_path "$tmp/none" -p a

# ---- a configuration of another model ----
differs() { # differs WORDS KEY JSON: of the folder's config.json
    cp -r "$folder" "$tmp/other"
    edit "$tmp/other" config.json "$2" "$3"
    expect 1 "$1" run "$tmp/other" --gguf_path "$gguf" -p a
    rm -r "$tmp/other"
}
differs "tandem: $gguf: 3 layers, but 4 in the configuration of '$tmp/other'" num_hidden_layers 4
differs "numbers per token" hidden_size 32
differs "attention heads" num_attention_heads 8
differs "numbers per latent" kv_lora_rank 16
differs " experts, but 32 in" n_routed_experts 32
differs "experts per token" num_experts_per_tok 1
differs "numbers inside an expert" moe_intermediate_size 8
differs "rows of embeddings" vocab_size 40
differs "tandem: $tmp/other/config.json: " rms_norm_eps '"small"'
differs "tandem: $tmp/other: num_attention_heads 4 is not a multiple" num_key_value_heads 3
differs "tandem: $tmp/other: architectures is 'NobodyForCausalLM'" architectures '["NobodyForCausalLM"]'
expect 1 "in the configuration of '$tmp/llama_grouped'" run "$tmp/llama_grouped" --gguf_path "$gguf" -p a

# ---- the command line of KTransformers ----
cat >"$tmp/rules.yaml" <<'END'
- match:
    name: "^lm_head$"
  replace:
    class: ktransformers.operators.linear.KTransformersLinear
    kwargs:
      generate_device: "cuda"
      generate_op: "KLinearMarlin"
END
printf 'what is in the file' >"$tmp/question"
chat() { # chat ARGUMENTS...: with standard input as it is
    "$TANDEM" local_chat --model_path "$folder" --gguf_path "$gguf" --cpu_infer 2 --max_new_tokens 6 --temp 0 "$@" \
        >"$tmp/out" 2>"$tmp/err"
}
figures() { # figures N: so many blocks of six lines
    [ "$(grep -c '^prompt eval count:    [0-9][0-9]* token(s)$' "$tmp/out")" -eq "$1" ] &&
        [ "$(grep -c '^prompt eval duration: [0-9.]*s$' "$tmp/out")" -eq "$1" ] &&
        [ "$(grep -c '^prompt eval rate:     [0-9.]* tokens/s$' "$tmp/out")" -eq "$1" ] &&
        [ "$(grep -c '^eval count:           [0-9][0-9]* token(s)$' "$tmp/out")" -eq "$1" ] &&
        [ "$(grep -c '^eval duration:        [0-9.]*s$' "$tmp/out")" -eq "$1" ] &&
        [ "$(grep -c '^eval rate:            [0-9.]* tokens/s$' "$tmp/out")" -eq "$1" ]
}
counts() { sed -n 's/^prompt eval count: *\([0-9]*\) .*/\1/p' "$tmp/out" | tr '\n' ' '; }

printf 'hello\n\n%s\n"""a\nb"""\nhello\n' "$tmp/question" |
    chat --optimize_config_path "$tmp/rules.yaml" --use_cuda_graph True --prompt_file "$tmp/question" \
        --mode normal --chunk_size 64 --device cuda --cache_lens 512 --force_think False
verdict $? "a command line of v0.3.2"
figures 5
verdict $? "five turns, with their figures"
set -- $(counts)
[ "$1" -eq "$5" ] && [ "$2" -eq "$3" ] && [ "$1" -lt "$2" ]
verdict $? "nothing is kept for the next turn; a file stands for its text: $*"
for words in 'placed on GPUs and run on the CPU' '--use_cuda_graph has no effect' '--device cuda has no effect'; do
    grep -qF -- "$words" "$tmp/err"
    verdict $? "it says: $words"
done
printf 'hello\n' | "$TANDEM" local-chat --model-path "$folder" --gguf-path "$gguf" --use-cuda-graph=False \
    --max-new-tokens=2 --device cpu --optimize-rule-path "$tmp/rules.yaml" >"$tmp/out" 2>"$tmp/err"
verdict $? "the same with -"
figures 1 && ! grep -q 'CPU alone' "$tmp/err"
verdict $? "nothing is said of what asks for the CPU"
printf 'hello\n' | "$TANDEM" local_chat --gguf_path "$gguf" --max_new_tokens 2 >"$tmp/out" 2>"$tmp/err" && figures 1
verdict $? "a GGUF file with its own tokenizer needs no folder"
chat --prompt_file "$tmp/question" </dev/null && figures 1
verdict $? "an empty pipe asks for --prompt_file"
chat </dev/null && figures 0
verdict $? "without it, nothing is asked"
chat --prompt hello </dev/null && figures 1
verdict $? "--prompt is the one question"
printf 'a\000b\nhello\n' | chat
[ $? -eq 1 ] && grep -q 'NUL' "$tmp/err" && figures 1
verdict $? "1: a question with a NUL byte; the next one is answered"
{ head -c 3000 /dev/zero | tr '\0' a; echo; } | chat --cache_lens 64
[ $? -eq 1 ] && grep -q 'the context holds 64' "$tmp/err"
verdict $? "1: a question longer than the context"
printf '"""never\nclosed' | chat && figures 1
verdict $? "a block that the end of the input closes"

# ---- the chat template, and the think tag ----
printf '{%% for m in messages %%}{{ m.content }}{%% endfor %%}{%% if x %%}<think>\n{%% endif %%}' >"$folder/chat_template.jinja"
printf 'hello\n' | chat && plain=$(counts)
printf 'hello\n' | chat --force_think && forced=$(counts) && grep -q '^<think>$' "$tmp/out"
verdict $? "--force_think shows the tag"
printf 'hello\n' | chat --vars '{"x": true}' && by_template=$(counts)
printf 'hello\n' | chat --vars '{"x": true}' --force_think True && both=$(counts)
[ "$plain" != "$forced" ] && [ "$forced" = "$by_template" ] && [ "$forced" = "$both" ]
verdict $? "the prompt ends with one tag: $plain, $forced, $by_template, $both"
expect 2 "--force-think has no place with --raw" local_chat "$folder" --raw --force_think
rm "$folder/chat_template.jinja"

# ---- sampling by generation_config.json ----
answer() { # answer ARGUMENTS...: without --temp 0
    printf 'hello\n' | "$TANDEM" local_chat --model_path "$folder" --gguf_path "$gguf" --max_new_tokens 12 "$@" \
        2>"$tmp/err" | sed '/eval/d'
}
likeliest=$(answer --temp 0)
[ "$(answer --seed 1)" != "$likeliest" ] && [ "$(answer --seed 1 --top-k 1)" = "$likeliest" ]
verdict $? "it samples, and flags count"
edit "$folder" generation_config.json top_k 1
[ "$(answer --seed 1)" = "$likeliest" ] && [ "$(answer --seed 1 --top-k 50)" != "$likeliest" ]
verdict $? "generation_config.json says how, but for the flags"
edit "$folder" generation_config.json top_p 7
expect 1 "--top-p: 7 is out of range" local_chat "$folder" --gguf_path "$gguf"
edit "$folder" generation_config.json top_p '"much"'
expect 1 "generation_config.top_p" local_chat "$folder" --gguf_path "$gguf"

# ---- what is mapped, and what is refused by name ----
expect 2 "wanted: tandem local_chat --model_path" local_chat
expect 1 "there is no folder 'some-org/Some-Model' here" local_chat --model_path some-org/Some-Model --gguf_path x
expect 1 "cannot open '$tmp/none'" local_chat "$folder" --gguf_path "$gguf" --optimize_config_path "$tmp/none"
expect 1 "cannot" run "$folder" --gguf_path "$gguf" --rules "$tmp" -p a
expect 2 "wanted normal|long_context" local_chat "$folder" --mode fast
expect 0 "long_context has no effect" local_chat "$folder.whole" --mode long_context
expect 2 "--use_cuda_graph: 'maybe' is neither" local_chat "$folder" --use_cuda_graph=maybe
expect 0 '' run "$folder" --kt-weight-path "$gguf" --kt-cpuinfer 1 --context-length 64 --chunked-prefill-size 16 \
    --repetition-penalty 1.1 -p a -n 1
for c in run local_chat; do
    for flag in --kt-num-gpu-experts --kt_gpu_experts_ratio --kt-gpu-prefill-token-threshold --tensor-parallel-size \
        --kt-enable-dynamic-expert-update --kt-expert-placement-strategy --gpu-experts --mem-fraction-static; do
        expect 2 "$flag is not for '$c': this build computes on the CPU alone" $c "$folder" $flag 1
    done
    expect 2 "one set of threads does all work" $c "$folder" --kt-threadpool-count 2
    expect 2 "one set of threads does all work" $c "$folder" --numa-nodes 2
    expect 2 "types of the weights" $c "$folder" --kt-method AMXINT4
    expect 2 "no expert is deferred" $c "$folder" --kt-max-deferred-experts-per-token 2
    expect 2 "--router-stats" $c "$folder" --record-kt-gpu-expert-distribution
    expect 2 "no code of a model" $c "$folder" --trust-remote-code
    expect 2 "adapters" $c "$folder" --kt-lora-path x
    for flag in --port --host --api_key --max_batch_size --backend_type --page_size --cpu_memory_size_GB --sched_strategy; do
        expect 2 "$flag is not for '$c': this build has no server" $c "$folder" $flag 1
    done
done

# ---- the page: every flag that it names is known ----
page=${TANDEM_SOURCE_DIR:-$(cd "$(dirname "$0")/../.." && pwd)}/docs/KTRANSFORMERS.md
: >"$tmp/unknown"
for flag in $(grep -o -e '`--[a-zA-Z][a-zA-Z0-9_-]*[` ]' "$page" | tr -d '` ' | sort -u); do
    "$TANDEM" local_chat "$flag" >"$tmp/out" 2>"$tmp/err" </dev/null
    [ $? -eq 2 ] && ! grep -q 'unknown option' "$tmp/err" || echo "$flag" >>"$tmp/unknown"
done
cp "$tmp/unknown" "$tmp/err"
[ -s "$page" ] && [ ! -s "$tmp/unknown" ]
verdict $? "docs/KTRANSFORMERS.md names flags that there are"

echo "1..$n"
exit $status
