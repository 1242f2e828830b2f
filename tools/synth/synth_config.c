/* synth_config.c - config.json as the hub's models have it. */
#include <math.h>

#include "synth_int.h"

static void field(td_strbuf *out, const char *key, int64_t value) {
    td_strbuf_addf(out, "  \"%s\": %lld,\n", key, (long long)value);
}

/* A number that Python reads as a float. */
static void add_real(td_strbuf *out, double value) {
    td_strbuf_addf(out, value == floor(value) ? "%.1f" : "%g", value);
}

static void real_field(td_strbuf *out, const char *key, double value) {
    td_strbuf_addf(out, "  \"%s\": ", key);
    add_real(out, value);
    td_strbuf_adds(out, ",\n");
}

static const char *truth(bool b) { return b ? "true" : "false"; }

static void add_deepseek(td_strbuf *out, const synth_shape *s) {
    const bool v2 = !s->sigmoid;
    field(out, "first_k_dense_replace", s->n_dense);
    field(out, "kv_lora_rank", s->kv_lora);
    if (s->q_lora > 0)
        field(out, "q_lora_rank", s->q_lora);
    else
        td_strbuf_adds(out, "  \"q_lora_rank\": null,\n");
    field(out, "qk_nope_head_dim", s->head_dim - s->n_rot);
    field(out, "qk_rope_head_dim", s->n_rot);
    field(out, "v_head_dim", s->v_dim);
    field(out, "moe_intermediate_size", s->n_ff_exp);
    field(out, "moe_layer_freq", 1);
    field(out, "n_routed_experts", s->n_expert);
    field(out, "n_shared_experts", s->n_expert_shared);
    field(out, "num_experts_per_tok", s->n_expert_used);
    field(out, "n_group", s->n_group);
    field(out, "topk_group", s->n_group_used);
    field(out, "num_nextn_predict_layers", 0);
    real_field(out, "routed_scaling_factor", s->weights_scale);
    td_strbuf_addf(out,
                   "  \"norm_topk_prob\": %s,\n"
                   "  \"scoring_func\": \"%s\",\n  \"topk_method\": \"%s\",\n"
                   "  \"attention_bias\": false,\n",
                   truth(s->normalized), v2 ? "softmax" : "sigmoid", v2 ? "greedy" : "noaux_tc");
}

static void add_qwen3(td_strbuf *out, const synth_shape *s) {
    field(out, "head_dim", s->head_dim);
    field(out, "moe_intermediate_size", s->n_ff_exp);
    field(out, "num_experts", s->n_expert);
    field(out, "num_experts_per_tok", s->n_expert_used);
    field(out, "decoder_sparse_step", 1);
    td_strbuf_addf(out,
                   "  \"norm_topk_prob\": %s,\n  \"mlp_only_layers\": [],\n"
                   "  \"attention_bias\": false,\n  \"sliding_window\": null,\n"
                   "  \"use_sliding_window\": false,\n",
                   truth(s->normalized));
}

static void add_minimax(td_strbuf *out, const synth_shape *s) {
    field(out, "head_dim", s->head_dim);
    field(out, "rotary_dim", s->n_rot);
    field(out, "num_local_experts", s->n_expert);
    field(out, "num_experts_per_tok", s->n_expert_used);
    field(out, "shared_intermediate_size", 0);
    td_strbuf_adds(out, "  \"use_qk_norm\": true,\n  \"qk_norm_type\": \"per_layer\",\n"
                        "  \"use_routing_bias\": true,\n  \"scoring_func\": \"sigmoid\",\n");
}

static void add_quantization(td_strbuf *out, const synth_shape *s) {
    if (s->native == SYNTH_FP8) {
        td_strbuf_adds(out, "  \"quantization_config\": {\n    \"quant_method\": \"fp8\",\n"
                            "    \"fmt\": \"e4m3\",\n    \"activation_scheme\": \"dynamic\",\n"
                            "    \"weight_block_size\": [128, 128]");
        if (s->family == SYNTH_MINIMAX)
            td_strbuf_adds(out, ",\n    \"modules_to_not_convert\": [\"gate\", "
                                "\"e_score_correction_bias\", \"lm_head\"]");
        td_strbuf_adds(out, "\n  },\n");
    } else if (s->native == SYNTH_INT4) {
        td_strbuf_adds(
            out, "  \"quantization_config\": {\n    \"quant_method\": \"compressed-tensors\",\n"
                 "    \"format\": \"pack-quantized\",\n"
                 "    \"quantization_status\": \"compressed\",\n    \"config_groups\": {\n"
                 "      \"group_0\": {\n        \"input_activations\": null,\n"
                 "        \"output_activations\": null,\n        \"targets\": [\"Linear\"],\n"
                 "        \"weights\": {\"actorder\": null, \"block_structure\": null, "
                 "\"dynamic\": false, \"group_size\": 32, \"num_bits\": 4, "
                 "\"strategy\": \"group\", \"symmetric\": true, \"type\": \"int\"}\n"
                 "      }\n    },\n    \"ignore\": [\"lm_head\", \"re:.*self_attn.*\", "
                 "\"re:.*shared_experts.*\", "
                 "\"re:.*mlp\\\\.(gate|up|gate_up|down)_proj.*\"],\n"
                 "    \"kv_cache_scheme\": null\n  },\n");
    }
}

static void add_rope(td_strbuf *out, const synth_shape *s) {
    real_field(out, "rope_theta", s->theta);
    if (s->yarn == 0) {
        td_strbuf_adds(out, "  \"rope_scaling\": null,\n");
        return;
    }
    td_strbuf_addf(out,
                   "  \"rope_scaling\": {\"type\": \"yarn\", \"factor\": %g, "
                   "\"original_max_position_embeddings\": 4096, \"beta_fast\": %g, "
                   "\"beta_slow\": %g, \"mscale\": ",
                   s->yarn, s->beta_fast, s->beta_slow);
    add_real(out, s->mscale);
    td_strbuf_adds(out, ", \"mscale_all_dim\": ");
    add_real(out, s->mscale);
    td_strbuf_adds(out, "},\n");
}

void synth_config(td_strbuf *out, const synth_shape *s, bool native) {
    td_strbuf_addf(out, "{\n  \"architectures\": [\"%s\"],\n  \"model_type\": \"%s\",\n",
                   s->hub_class, s->hub_type);
    field(out, "vocab_size", s->n_vocab);
    field(out, "hidden_size", s->n_embd);
    field(out, "intermediate_size", s->n_ff);
    field(out, "num_hidden_layers", s->n_layer);
    field(out, "num_attention_heads", s->n_head);
    field(out, "num_key_value_heads", s->n_head_kv);
    field(out, "max_position_embeddings", s->n_ctx);
    field(out, "bos_token_id", s->bos);
    field(out, "eos_token_id", s->eos);
    if (s->family == SYNTH_DEEPSEEK) add_deepseek(out, s);
    if (s->family == SYNTH_QWEN3) add_qwen3(out, s);
    if (s->family == SYNTH_MINIMAX) add_minimax(out, s);
    if (s->family == SYNTH_LLAMA) td_strbuf_adds(out, "  \"attention_bias\": false,\n");
    add_rope(out, s);
    if (native) add_quantization(out, s);
    td_strbuf_addf(out,
                   "  \"hidden_act\": \"silu\",\n  \"rms_norm_eps\": %g,\n"
                   "  \"tie_word_embeddings\": false,\n  \"torch_dtype\": \"bfloat16\",\n"
                   "  \"use_cache\": true\n}\n",
                   s->eps);
}
