#!/bin/sh
# The command line: usage errors, exit codes, help, bad inputs, what is printed where. Prints TAP.
# TANDEM is the program; without it the one in the build folder is taken.
set -u
TANDEM=${TANDEM:-${TANDEM_BUILD_DIR:?}/tandem}
root=${TANDEM_SOURCE_DIR:-$(cd "$(dirname "$0")/../.." && pwd)}
vocab=$root/../shared/tokenizer-vectors/gpt-2.gguf
[ -x "$TANDEM" ] || { echo "$TANDEM was not built"; exit 1; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
# Nobody's own settings take part.
for name in $(env | sed -n 's/^\(TANDEM_[A-Z0-9_]*\)=.*/\1/p' |
    grep -v -e '^TANDEM_BUILD_DIR$' -e '^TANDEM_SOURCE_DIR$' -e '^TANDEM_CC$' -e '^TANDEM_SANITIZE$'); do
    unset "$name"
done
HOME=$tmp/home XDG_CONFIG_HOME=$tmp/config XDG_STATE_HOME=$tmp/state
export HOME XDG_CONFIG_HOME XDG_STATE_HOME
n=0 status=0

verdict() { # verdict RESULT NAME: RESULT is 0 for a pass
    n=$((n + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $n - $2"
    else
        echo "not ok $n - $2"
        status=1
    fi
}

skip() { # skip NAME WHY
    n=$((n + 1))
    echo "ok $n - $1 # SKIP $2"
}

show() { sed 's/^/  /' "$1"; }

# expect CODE WORDS ARGUMENTS...: the exit code, and words on standard error (or nothing: '')
expect() {
    code=$1 words=$2
    shift 2
    "$TANDEM" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
    found=$?
    bad=0
    [ $found -eq "$code" ] || { echo "  exit code $found, wanted $code"; bad=1; }
    [ -z "$words" ] || grep -qF -- "$words" "$tmp/err" || { echo "  '$words' is not in:"; bad=1; }
    [ "$code" -eq 0 ] || [ ! -s "$tmp/out" ] || { echo "  something on standard output"; bad=1; }
    [ $bad -eq 0 ] || show "$tmp/err"
    verdict $bad "$code: tandem $*"
}

printf 'not a model' >"$tmp/bad.gguf"
printf 'some text\n' >"$tmp/text"
: >"$tmp/empty"

# ---- help and version ----
commands="run plan doctor rules inspect tokenize template logits perplexity bench quantize local_chat"
expect 0 '' --help
expect 0 '' --version
for c in $commands; do
    "$TANDEM" "$c" --help >"$tmp/$c.help" 2>"$tmp/err"
    verdict $? "0: tandem $c --help"
    [ ! -s "$tmp/err" ] && grep -q "^usage: tandem $c " "$tmp/$c.help"
    verdict $? "'$c --help' has a usage line on standard output, and no talk"
    "$TANDEM" help "$c" 2>/dev/null | cmp -s - "$tmp/$c.help"
    verdict $? "'help $c' says the same"
    "$TANDEM" --help | grep -q "^  $c "
    verdict $? "'--help' lists $c"
done

# ---- the page has every option, alias and variable of the tables ----
: >"$tmp/missing"
for word in $(cat "$tmp"/*.help | grep -o -e '--[a-z][a-z0-9-]*' -e 'TANDEM_[A-Z0-9_]*' | sort -u); do
    grep -qF -e "$word" "$root/docs/OPTIONS.md" || echo "$word" >>"$tmp/missing"
done
for word in $(grep -o -e '[ (]-[a-z]\{1,3\}[,)]\{0,1\}\( \|$\)' "$tmp/run.help" | tr -d ' (,)' | sort -u); do
    grep -qF -e "\`$word\`" "$root/docs/OPTIONS.md" || echo "$word" >>"$tmp/missing"
done
[ ! -s "$tmp/missing" ] || show "$tmp/missing"
[ ! -s "$tmp/missing" ]
verdict $? "docs/OPTIONS.md has all of them"

# ---- usage errors: exit code 2 ----
"$TANDEM" >"$tmp/out" 2>&1
[ $? -eq 2 ]
verdict $? "2: tandem"
expect 2 "did you mean 'run'" rum
expect 2 "unknown command" completely-different
expect 2 "wanted: tandem run MODEL" run
expect 2 "one argument too many" run a b
expect 2 "given twice" run -m a b
expect 2 "did you mean --temp?" run x --tenp 1
expect 2 "did you mean --ctx-size?" run x --ctx-sizes 1
expect 2 "CPU alone" run x -ngl 99
expect 2 "--batch" run x -ub 512
expect 2 "of 'run'" inspect x --temp 1
expect 2 "wanted -1 to" run x -n -2
expect 2 "'12x' is no whole number" run x -c 12x
expect 2 "101 is out of range, wanted 0 to 100" run x --temp 101
expect 2 "'nan' is no number" run x --temp=nan
expect 2 "wanted stop|shift|error" run x --on-full never
expect 2 "wants a value" run x -p
expect 2 "wants a value: PATTERN DIR" run x --dump pattern
expect 2 "exclude each other" run x -p a -f b
expect 2 "no place with --raw" run x -p a --raw --system b
expect 2 "no JSON object" run x -p a --vars '[1]'
expect 2 "--logit-bias: '12'" run x -p a --logit-bias 12
expect 2 "--logit-bias: 'x+1'" run x -p a -l x+1
expect 2 "--stop is empty" run x -p a --stop ''
expect 2 "wanted f16|f32|q8_0|q4_0" run x -p a --kv-type q5_0
expect 2 "--grammar and --json-schema-file exclude each other" run x -p a --grammar b -jf c
expect 2 "--json-schema and --ignore-eos exclude each other" run x -p a -j '{}' --ignore-eos
expect 2 "exclude each other" run x -p a --kv-type f16 --exact
expect 2 "exclude each other" perplexity x y --kv-type f32 -ctv q8_0 --exact
expect 2 "only one of" inspect x --tensors --metadata
expect 2 "--messages is missing" template x
expect 2 "both be standard input" template x --messages - --tools -
expect 2 "found 0" logits x -o y
expect 2 "found 2" logits x -o y --prompt a --tokens 1
expect 2 "-o is missing" logits x --prompt a
expect 2 "'x' is no token id" logits x -o "$tmp/y" --tokens 1,x
expect 2 "'-1' is no token id" logits x -o "$tmp/y" --tokens -1
expect 2 "holds no token id" logits x -o "$tmp/y" --tokens ''
expect 2 "wanted: tandem perplexity MODEL FILE" perplexity x
expect 2 "wanted 4 to" perplexity x y -c 3
expect 2 "exclude each other" perplexity x y --exact --compare-exact
expect 2 "wanted 1 to 1000" bench x -r 0
expect 2 "wanted: tandem quantize MODEL FILE" quantize x Q8_0
expect 2 "did you mean 'Q4_K_M'" quantize x y Q4_KM
expect 2 "'q9' is no type" quantize x y Q8_0 --output-tensor-type q9
expect 2 "wanted PATTERN=TYPE" quantize x y Q8_0 --tensor-type attn_q
expect 2 "exclude each other" quantize x y Q8_0 --include-weights a --exclude-weights b
expect 2 "always one file" quantize x y Q8_0 --keep-split

# ---- failures: exit code 1, and no file left behind ----
for c in run inspect tokenize bench; do
    expect 1 "$tmp/none.gguf" $c "$tmp/none.gguf" $([ $c != run ] || echo -p x)
    expect 1 "$tmp/bad.gguf" $c "$tmp/bad.gguf" $([ $c != run ] || echo -p x)
    expect 1 "$tmp" $c "$tmp" $([ $c != run ] || echo -p x)
done
expect 1 "empty" tokenize "$tmp/empty"
expect 1 "standard input is empty" run x
expect 1 "is empty" run x -f "$tmp/empty"
expect 1 "cannot open '$tmp/none'" run x -f "$tmp/none"
expect 1 "cannot open '$tmp/none'" run x -p a --template "$tmp/none"
expect 1 "/nowhere/x" run x -p a --logprobs /nowhere/x
expect 1 "/nowhere/x" run x -p a --dump '*' /nowhere/x
expect 1 "/nowhere/log" run x -p a --log-file /nowhere/log
expect 1 "bad.gguf" run "$tmp/bad.gguf" -p a --logprobs "$tmp/probs"
expect 1 "bad.gguf" logits "$tmp/bad.gguf" --tokens 1 -o "$tmp/logits.npy"
expect 1 "bad.gguf" perplexity "$tmp/bad.gguf" "$tmp/text"
expect 1 "bad.gguf" quantize "$tmp/bad.gguf" "$tmp/new.gguf" Q8_0
expect 1 "$tmp/none" quantize "$tmp/bad.gguf" "$tmp/new.gguf" Q8_0 --imatrix "$tmp/none"
expect 1 "bad.gguf: " quantize "$tmp/bad.gguf" "$tmp/new.gguf" Q8_0 --imatrix "$tmp/bad.gguf"
expect 1 "cannot open" template "$tmp/none.jinja" --messages "$tmp/text"
[ -z "$(find "$tmp" -name 'probs*' -o -name '*.npy*' -o -name 'new*')" ]
verdict $? "failed commands leave no file behind"

# ---- environment and config file ----
TANDEM_TEMP=hot
export TANDEM_TEMP
expect 2 "TANDEM_TEMP: 'hot'" run x -p a
expect 1 "x" run x -p a --temp 1
unset TANDEM_TEMP
TANDEM_MODEL=$tmp/none.gguf
export TANDEM_MODEL
expect 1 "none.gguf" inspect
expect 1 "bad.gguf" inspect "$tmp/bad.gguf"
unset TANDEM_MODEL
mkdir -p "$tmp/config/tandem"
printf '# mine\n\ntemp = 0.5\nthreads = many\n' >"$tmp/config/tandem/config"
expect 2 "tandem/config:4: threads: 'many'" run x -p a
printf 'tmep = 1\n' >"$tmp/config/tandem/config"
expect 2 "tandem/config:1: unknown key 'tmep'" run x -p a
printf 'temp = 1\n' >"$tmp/config/tandem/config"
expect 1 "bad.gguf" inspect "$tmp/bad.gguf" # a key of another command is fine
rm "$tmp/config/tandem/config"

# ---- standard output that cannot be written ----
if [ -w /dev/full ]; then
    "$TANDEM" --help >/dev/full 2>"$tmp/err"
    [ $? -eq 1 ] && grep -q "cannot write to standard output: No space left" "$tmp/err"
    verdict $? "1, with a message: a full disk"
else
    skip "a full disk" "no /dev/full here"
fi
{ "$TANDEM" run --help 2>"$tmp/err"; echo $? >"$tmp/code"; } | :
# The reader may have gone before or after the pipe took all: 1 or 0, but never words nor a signal.
[ ! -s "$tmp/err" ] && [ "$(cat "$tmp/code")" -le 1 ]
verdict $? "no words: a closed pipe"

# ---- templates and tokens ----
printf '{%% for m in messages %%}{{ m.role }}:{{ m.content }};{%% endfor %%}{%% if add_generation_prompt %%}>{{ x }}{%% endif %%}' \
    >"$tmp/t.jinja"
printf '[{"role": "user", "content": "a\\u00e4"}]' >"$tmp/messages.json"
[ "$("$TANDEM" template "$tmp/t.jinja" --messages "$tmp/messages.json" --vars '{"x": 7}')" = "user:aä;>7" ]
verdict $? "template renders"
[ "$("$TANDEM" template "$tmp/t.jinja" --messages - --no-generation-prompt <"$tmp/messages.json")" = "user:aä;" ]
verdict $? "template reads messages from a pipe; --no-generation-prompt"
printf '{"role": 1}' >"$tmp/map.json"
expect 1 "no list" template "$tmp/t.jinja" --messages "$tmp/map.json"
printf '[{]' >"$tmp/broken.json"
expect 1 "broken.json" template "$tmp/t.jinja" --messages "$tmp/broken.json"
printf '{%% if %%}' >"$tmp/broken.jinja"
expect 1 "chat template" template "$tmp/broken.jinja" --messages "$tmp/messages.json"
expect 1 "mapping" template "$tmp/t.jinja" --messages "$tmp/messages.json" --vars '[]'
if [ -f "$vocab" ]; then
    ids=$(printf 'Hello world' | "$TANDEM" tokenize "$vocab")
    [ "$ids" = "[15496, 995]" ]
    verdict $? "tokenize prints $ids"
    [ "$(echo "$ids" | "$TANDEM" tokenize --decode "$vocab")" = "Hello world" ]
    verdict $? "tokenize --decode goes back"
    for bad in '[50257000]' '[-1]' '["a"]' '[1.5]'; do
        echo "$bad" | "$TANDEM" tokenize -d "$vocab" >"$tmp/out" 2>"$tmp/err"
        [ $? -eq 1 ] && grep -q "wanted an id" "$tmp/err"
        verdict $? "1: tokenize --decode of $bad"
    done
    "$TANDEM" inspect "$vocab" --json | grep -q '"runs": false, "why_not": "'
    verdict $? "inspect says why this build does not run a vocabulary"
    for view in --tensors --metadata --json '--metadata --json' '--tensors --json'; do
        expect 0 '' inspect "$vocab" $view
    done
else
    skip "tokenize and inspect" "no $vocab"
fi

# ---- quantize: a model of one matrix, 64 by 2 ----
# A GGUF header, one key, one tensor info, padding to 128 bytes, zeros.
{
    printf 'GGUF\003\000\000\000\001\000\000\000\000\000\000\000\001\000\000\000\000\000\000\000'
    printf '\024\000\000\000\000\000\000\000general.architecture'
    printf '\010\000\000\000\005\000\000\000\000\000\000\000llama'
    printf '\010\000\000\000\000\000\000\000a.weight\002\000\000\000'
    printf '\100\000\000\000\000\000\000\000\002\000\000\000\000\000\000\000'
    printf '\000\000\000\000\000\000\000\000\000\000\000\000'
    dd if=/dev/zero bs=1 count=539 2>/dev/null
} >"$tmp/small.gguf"
expect 0 "1 tensors, 1 of them converted" quantize "$tmp/small.gguf" "$tmp/new.gguf" q8_0 --threads 2
"$TANDEM" inspect "$tmp/new.gguf" --tensors | grep -q 'a.weight.*q8_0'
verdict $? "quantize writes the type"
expect 0 "another type than the mix" quantize "$tmp/small.gguf" "$tmp/new.gguf" Q4_K_M
expect 2 "--allow-requantize" quantize "$tmp/new.gguf" "$tmp/newer.gguf" Q8_0
expect 2 "is the model itself" quantize "$tmp/new.gguf" "$tmp/new.gguf" COPY
expect 0 '' quantize "$tmp/new.gguf" "$tmp/newer.gguf" Q8_0 --allow-requantize
cp "$tmp/newer.gguf" "$tmp/copy.gguf"
expect 0 '' quantize "$tmp/copy.gguf" "$tmp/newer.gguf" COPY
cmp -s "$tmp/copy.gguf" "$tmp/newer.gguf"
verdict $? "quantize to COPY changes nothing"
rm "$tmp/newer.gguf"
[ "$("$TANDEM" quantize --dry-run "$tmp/small.gguf" IQ2_M 2>"$tmp/err" | tr -s ' ')" = "a.weight f32 -> iq4_nl (fallback)" ]
verdict $? "quantize --dry-run prints types"
printf 'b=f16\na\\.W=Q5_1 c=f16\n' >"$tmp/types"
"$TANDEM" quantize --dry-run "$tmp/small.gguf" Q8_0 --tensor-type-file "$tmp/types" 2>/dev/null | grep -q 'f32 -> q5_1'
verdict $? "quantize --tensor-type-file"
expect 1 "No such file" quantize "$tmp/small.gguf" /nowhere/new.gguf Q8_0
[ ! -e "$tmp/newer.gguf" ]
verdict $? "quantize leaves nothing of what failed"

# A Hugging Face folder, if the program that writes one is built.
writer=${TANDEM_BUILD_DIR:-}/tests/test_archs
if [ -x "$writer" ]; then
    mkdir "$tmp/folder"
    "$writer" --write qwen3_wide folder "$tmp/folder"
    expect 0 "25 tensors, 16 of them converted" quantize "$tmp/folder" "$tmp/folder.gguf" Q4_K_M
    "$TANDEM" inspect "$tmp/folder.gguf" --tensors | grep -q 'blk.1.attn_k.weight.*q4_k'
    verdict $? "quantize takes a folder"
    "$TANDEM" inspect "$tmp/folder.gguf" | grep -q 'runs here *yes'
    verdict $? "what a folder becomes runs"
    "$TANDEM" quantize --dry-run "$tmp/folder" Q8_0 2>/dev/null | grep -q '^output.weight *f32 -> q8_0'
    verdict $? "quantize --dry-run takes a folder"
    expect 2 "is the model itself" quantize "$tmp/folder" "$tmp/folder/model.safetensors" Q8_0
    "$TANDEM" inspect "$tmp/folder" --json | grep -q '"format": "safetensors"' &&
        "$TANDEM" inspect "$tmp/folder" --json | grep -q '"runs": true'
    verdict $? "inspect says that a folder runs"
    "$TANDEM" inspect "$tmp/folder" --modules | grep -q 'model.layers.1.self_attn.q_proj .*f32 {256, 256}'
    verdict $? "inspect shows the modules of a folder"
    rm "$tmp/folder"/tokenizer*
    expect 0 "has no tokenizer" quantize "$tmp/folder" "$tmp/folder.gguf" Q8_0
else
    skip "quantize of a folder" "no $writer"
fi

# Plans: of a folder, of a machine that is not there, by rules.
if [ -x "$writer" ]; then
    mkdir "$tmp/mixture"
    "$writer" --write deepseek_v2_lite folder "$tmp/mixture"
    cat >"$tmp/rules.yaml" <<'END'
- match:
    name: "^model\\.layers\\..*\\.mlp\\.experts$"
  replace:
    class: ktransformers.operators.experts.KTransformersExperts
    kwargs:
      generate_device: "cpu"
      generate_op: "KExpertsCPU"
  recursive: False
- match:
    class: torch.nn.Linear
  replace:
    class: ktransformers.operators.linear.KTransformersLinear
    kwargs:
      generate_device: "cuda"
      generate_op: "KLinearMarlin"
END
    "$TANDEM" plan "$tmp/mixture" --rules "$tmp/rules.yaml" --gpu t4 --cpu 7763 >"$tmp/out" 2>"$tmp/err"
    verdict $? "plan for a T4"
    grep -q 'mlp.experts  *KExpertsCPU  *cpu .*rules.yaml:1$' "$tmp/out" &&
        grep -q 'KLinearMarlin  *cuda:0 .*rules.yaml:9$' "$tmp/out" &&
        grep -q 'KLinearMarlin wants 8.0, this is 7.5: the weights stay quantized' "$tmp/out" &&
        grep -q 'this build has no GPU kernels yet' "$tmp/out"
    verdict $? "plan says what becomes of each operator"
    "$TANDEM" plan "$tmp/mixture" --rules "$tmp/rules.yaml" --gpu t4 --cpu 7763 --json |
        python3 -c 'import json, sys; p = json.load(sys.stdin); sys.exit(not (p["decode"] > 0 and
            sum(d["weights"] for d in p["devices"]) == sum(m["bytes"] for m in p["modules"])))'
    verdict $? "plan --json adds up"
    expect 1 "compute capability 7.0" plan "$tmp/mixture" --gpu v100 --cpu 7763
    expect 2 "no profile of a GPU called 't5'" plan "$tmp/mixture" --gpu t5
    expect 1 "there is no cuda here" plan "$tmp/mixture" --rules "$tmp/rules.yaml" --gpu none --strict --cpu 7763
    "$TANDEM" plan "$tmp/mixture" --rules "$tmp/rules.yaml" --explain model.layers.2.mlp.experts.0.gate_proj \
        >"$tmp/out" 2>&1
    grep -q 'recursive' "$tmp/out"
    verdict $? "plan --explain tells what hides a module"
    "$TANDEM" plan "$tmp/mixture" --gpu 4090 --cpu 7763 --ram 64G --fit --write-rules "$tmp/fit.yaml" --json >"$tmp/fit"
    "$TANDEM" plan "$tmp/mixture" --gpu 4090 --cpu 7763 --ram 64G --rules "$tmp/fit.yaml" --json >"$tmp/again"
    sed 's/"line": [0-9nul]*//' "$tmp/fit" >"$tmp/fit.1"
    sed 's/"line": [0-9nul]*//' "$tmp/again" | cmp - "$tmp/fit.1"
    verdict $? "the rules that plan writes give the same plan"
    "$TANDEM" run "$tmp/mixture" --rules "$tmp/rules.yaml" --raw -p abc -n 2 --temp 0 >"$tmp/out" 2>"$tmp/err" &&
        grep -q 'placed on GPUs and run on the CPU: there is no GPU here' "$tmp/err"
    verdict $? "run honours rules on the CPU and says what it replaced"
    expect 1 "rules.yaml:9: " run "$tmp/mixture" --rules "$tmp/rules.yaml" --strict --raw -p abc -n 2
else
    skip "plans" "no $writer"
fi

# Folders without weights: the configuration alone is looked at.
mkdir "$tmp/bare"
why_not() { # why_not WORDS CONFIG
    printf '%s' "$2" >"$tmp/bare/config.json"
    "$TANDEM" inspect "$tmp/bare" >"$tmp/out" 2>&1
    grep -A3 'runs here *no' "$tmp/out" | tr -s ' \n' ' ' | grep -qF -- "$1"
    verdict $? "inspect of a folder: $1"
}
sizes='"num_hidden_layers": 2, "hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4,
    "rms_norm_eps": 1e-6'
why_not "no weights" '{"architectures": ["LlamaForCausalLM"], '"$sizes"'}'
why_not "architectures is 'FooForCausalLM'" '{"architectures": ["FooForCausalLM"], '"$sizes"'}'
why_not "'num_experts_per_tok' is 9, wanted 1 to 8" '{"architectures": ["Qwen3MoeForCausalLM"],
    "num_experts": 8, "num_experts_per_tok": 9, '"$sizes"'}'
why_not "hidden_size" '{"architectures": ["LlamaForCausalLM"], "num_hidden_layers": 2}'
# 2 tables, and a layer's attention, MLP and norms twice, and the last norm
weights=$((2 * 100 * 64 + 2 * (4 * 64 * 64 + 3 * 64 * 96 + 2 * 64) + 64))
printf '%s' '{"architectures": ["LlamaForCausalLM"], "vocab_size": 100, '"$sizes"'}' >"$tmp/bare/config.json"
"$TANDEM" inspect "$tmp/bare" --json >"$tmp/out" 2>&1 && grep -q "\"n_parameter\": $weights," "$tmp/out" &&
    grep -q "\"assumed_bytes\": $((2 * weights))," "$tmp/out" && grep -q '"runs": false' "$tmp/out"
verdict $? "inspect counts the parameters of a configuration"
"$TANDEM" inspect "$tmp/bare" | grep -q 'parameters .* by config.json'
verdict $? "inspect says where the number is from"
"$TANDEM" inspect "$tmp/bare" --modules | grep -q 'model.layers.1.self_attn.q_proj .*bf16 {64, 64}'
verdict $? "inspect shows the modules of a configuration"
expect 1 "no weights" run "$tmp/bare" --prompt x

echo "1..$n"
exit $status
