#!/bin/sh
# Architectures beyond the three of test_bits.sh, and the weights that only safetensors folders have,
# give the same bytes of logits at every CPU level, with 1, 2 and 3 threads and any batch.
set -eu
if [ -n "${TANDEM_SANITIZE:-}" ]; then
    echo "skipped: the plain build compares the bits"
    exit 77
fi
TANDEM=${TANDEM:-${TANDEM_BUILD_DIR:?}/tandem}
writer=${TANDEM_BUILD_DIR:?}/tests/test_archs
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
    granitemoeshared_top4 dots1_groups hunyuan_v1_moe_top2 \
    minimax_m2_grouped glm4_moe_groups ernie4_5_moe_grouped ernie4_5_vl_moe_tied gpt_oss_grouped \
    llama4_grouped bailing_moe_grouped smallthinker_grouped \
    deepseek_v2_groups deepseek_v3_kimi_k2 qwen3_next_grouped quant_fp8_deepseek_v3 \
    quant_int4_kimi_k2 quant_fp8_minimax_m2 quant_mxfp4_gpt_oss qwen3_5_moe_grouped \
    quant_fp8_block quant_fp8_channel quant_int4 quant_gptq quant_gptq_v2 quant_awq quant_mxfp4; do
    mkdir "$tmp/$name"
    "$writer" --write "$name" folder "$tmp/$name"
    token_ids 40 96 >"$tmp/ids"
    compare_ways "$name" "$some" "$tmp/$name" --tokens-file "$tmp/ids"
done

echo "# levels: $(echo "$levels" | tr '\n' ' ')"
echo "# $n_compared runs compared"
exit $status
