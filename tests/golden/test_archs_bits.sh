#!/bin/sh
# Architectures beyond the three of test_bits.sh, the weights that only safetensors folders have, and
# mixtures of experts in every form, give the same bytes of logits at every CPU level, with 1, 2 and
# 3 threads and any batch: a prompt in one piece or cut.
set -eu
if [ -n "${TANDEM_SANITIZE:-}" ]; then
    echo "skipped: the plain build compares the bits"
    exit 77
fi
TANDEM=${TANDEM:-${TANDEM_BUILD_DIR:?}/tandem}
writer=${TANDEM_BUILD_DIR:?}/tests/test_archs
SYNTH=${TANDEM_BUILD_DIR:?}/tools/synth-model
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
# shellcheck source=tests/support/bits.sh
. "${TANDEM_SOURCE_DIR:?}/tests/support/bits.sh"

levels=$(cpu_levels)
some=$(for level in $levels; do echo "$level/1/1 $level/2/64 $level/3/7"; done)

# One of each way to compute: windows, soft caps, LayerNorm, parallel blocks, both GELUs, LongRoPE ...
for name in cohere2_grouped cohere_qk_norm falcon_new_decoder gemma2_grouped glm4_grouped \
    gpt2_heads gpt_neox_parallel granite_grouped olmo2_grouped phi3_partial_long smollm3_grouped \
    spark2_5_grouped starcoder2_grouped mixtral_top2 qwen2_moe_top4 olmoe_clipped \
    granitemoeshared_top4 dots1_groups hunyuan_v1_moe_top2 minimax_m2_grouped glm4_moe_groups \
    ernie4_5_moe_grouped ernie4_5_vl_moe_tied gpt_oss_clamped llama4_grouped bailing_moe_grouped \
    smallthinker_grouped qwen3_next_grouped quant_fp8_minimax_m2 quant_mxfp4_gpt_oss \
    qwen3_5_moe_grouped \
    quant_fp8_block quant_fp8_channel quant_int4 quant_gptq quant_gptq_v2 quant_awq quant_mxfp4; do
    mkdir "$tmp/$name"
    "$writer" --write "$name" folder "$tmp/$name"
    token_ids 40 96 >"$tmp/ids"
    compare_ways "$name" "$some" "$tmp/$name" --tokens-file "$tmp/ids"
done

# Mixtures, with a prompt longer than a page of the KV cache.
token_ids 70 96 >"$tmp/ids"
top=$(echo "$levels" | tail -n 1)
more="$(for level in $levels; do echo "$level/1/512 $level/3/7"; done) $top/2/64 $top/2/1"

mixture() { # mixture NAME MODEL OPTION...
    name=$1 model=$2
    shift 2
    compare_ways "$name${*:+, $*}" "$more" "$model" --tokens-file "$tmp/ids" "$@"
}

blocks() { # blocks NAME TYPE OPTION...: a fixture as a GGUF file of other types
    name=$1 type=$2
    shift 2
    "$writer" --write "$name" gguf "$tmp/floats.gguf"
    "$TANDEM" quantize "$tmp/floats.gguf" "$tmp/blocks.gguf" "$type" "$@" >"$tmp/out" 2>&1
    mixture "$name as $type${*:+ $*}" "$tmp/blocks.gguf"
}

blocks mixtral_top2 bf16
blocks qwen3_moe_top2 q8_0
blocks gpt_oss_grouped mxfp4_moe
# Experts of whole blocks of 256, that no fixture has.
for type in q4_k_m q6_k; do
    "$SYNTH" minimax-m2 "$tmp/synth.gguf" --type "$type" --format gguf --layers 1 --experts 4 \
        --vocab 300 --shrink 6 >"$tmp/out"
    mixture "minimax-m2 as $type" "$tmp/synth.gguf"
    rm "$tmp/synth.gguf"
done
"$SYNTH" minimax-m2 "$tmp/synth" --format folder --layers 1 --experts 4 --vocab 300 --shrink 12 \
    >"$tmp/out"
mixture "minimax-m2 in FP8" "$tmp/synth"

# Latent attention in both forms.
for name in deepseek_v2_groups deepseek_v3_kimi_k2 quant_fp8_deepseek_v3 quant_int4_kimi_k2; do
    mkdir "$tmp/$name"
    "$writer" --write "$name" folder "$tmp/$name"
    mixture "$name" "$tmp/$name"
    mixture "$name" "$tmp/$name" --materialize-prompt
done
mixture deepseek_v3_kimi_k2 "$tmp/deepseek_v3_kimi_k2" --materialize-prompt --exact
blocks deepseek_v3_kimi_k2 q8_0
mixture "deepseek_v3_kimi_k2 as q8_0" "$tmp/blocks.gguf" --materialize-prompt

echo "# levels: $(echo "$levels" | tr '\n' ' ')"
echo "# $n_compared runs compared"
exit $status
