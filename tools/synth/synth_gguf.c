/* synth_gguf.c - a synthetic model as a GGUF file, its keys being those that llama.cpp's converter
 * writes for the real one. */
#include <stdio.h>
#include <string.h>

#include "format/gguf_write.h"

#include "synth_int.h"

/* Keys of one file. */
typedef struct keys {
    td_gguf_writer *w;
    const synth_shape *s;
    td_err *err;
    td_status failed; /* the first failure; nothing is put after it */
    char key[96];
} keys;

/* "key", or "ARCH.key" where it begins with a dot. */
static const char *full_key(keys *k, const char *key) {
    snprintf(k->key, sizeof k->key, "%s%s", key[0] == '.' ? k->s->arch : "", key);
    return k->key;
}

static void put(keys *k, const char *key, td_gguf_type type, const void *value) {
    if (k->failed == TD_OK)
        k->failed = td_gguf_writer_put(k->w, full_key(k, key), type, value, k->err);
}

static void put_u32(keys *k, const char *key, int64_t value) {
    const uint32_t v = (uint32_t)value;
    put(k, key, TD_GGUF_U32, &v);
}

static void put_f32(keys *k, const char *key, double value) {
    const float v = (float)value;
    put(k, key, TD_GGUF_F32, &v);
}

static void put_bool(keys *k, const char *key, bool value) {
    const uint8_t v = value;
    put(k, key, TD_GGUF_BOOL, &v);
}

static void put_text(keys *k, const char *key, const char *text) {
    if (k->failed == TD_OK)
        k->failed = td_gguf_writer_put_string(k->w, full_key(k, key),
                                              (td_string){text, strlen(text)}, k->err);
}

static void put_general(keys *k, const td_mix *mix) {
    char name[64];
    snprintf(name, sizeof name, "synthetic %s", k->s->name);
    put_text(k, "general.architecture", k->s->arch);
    put_text(k, "general.type", "model");
    put_text(k, "general.name", name);
    put_u32(k, "general.file_type", mix->file_type);
    put_u32(k, "general.quantization_version", 2);
}

static void put_attention(keys *k) {
    const synth_shape *s = k->s;
    const bool latent = synth_is_latent(s);
    put_u32(k, ".attention.head_count", s->n_head);
    put_u32(k, ".attention.head_count_kv", latent ? 1 : s->n_head_kv);
    put_f32(k, ".attention.layer_norm_rms_epsilon", s->eps);
    put_u32(k, ".attention.key_length", latent ? s->kv_lora + s->n_rot : s->head_dim);
    put_u32(k, ".attention.value_length", latent ? s->kv_lora : s->v_dim);
    if (latent) {
        if (s->q_lora > 0) put_u32(k, ".attention.q_lora_rank", s->q_lora);
        put_u32(k, ".attention.kv_lora_rank", s->kv_lora);
        put_u32(k, ".attention.key_length_mla", s->head_dim);
        put_u32(k, ".attention.value_length_mla", s->v_dim);
    }
    put_u32(k, ".rope.dimension_count", s->n_rot);
    put_f32(k, ".rope.freq_base", s->theta);
    if (s->yarn > 0) {
        put_text(k, ".rope.scaling.type", "yarn");
        put_f32(k, ".rope.scaling.factor", s->yarn);
        put_u32(k, ".rope.scaling.original_context_length", 4096);
        put_f32(k, ".rope.scaling.yarn_beta_fast", s->beta_fast);
        put_f32(k, ".rope.scaling.yarn_beta_slow", s->beta_slow);
        put_f32(k, ".rope.scaling.yarn_log_multiplier", 0.1 * s->mscale);
    }
}

static void put_experts(keys *k) {
    const synth_shape *s = k->s;
    if (s->n_expert == 0) return;
    put_u32(k, ".expert_count", s->n_expert);
    put_u32(k, ".expert_used_count", s->n_expert_used);
    put_u32(k, ".expert_feed_forward_length", s->n_ff_exp);
    if (s->family == SYNTH_DEEPSEEK) {
        put_u32(k, ".leading_dense_block_count", s->n_dense);
        put_u32(k, ".expert_shared_count", s->n_expert_shared);
        put_f32(k, ".expert_weights_scale", s->weights_scale);
        if (s->normalized) put_bool(k, ".expert_weights_norm", true);
    }
    if (s->family != SYNTH_QWEN3) put_u32(k, ".expert_gating_func", s->sigmoid ? 2 : 1);
    if (s->n_group > 0) {
        put_u32(k, ".expert_group_count", s->n_group);
        put_u32(k, ".expert_group_used_count", s->n_group_used);
    }
}

static void put_vocab(keys *k, const synth_vocab *v) {
    const td_string merge = {v->merge, strlen(v->merge)};
    put_text(k, "tokenizer.ggml.model", "gpt2");
    put_text(k, "tokenizer.ggml.pre", k->s->pre);
    if (k->failed == TD_OK)
        k->failed = td_gguf_writer_put_strings(k->w, "tokenizer.ggml.tokens", v->tokens,
                                               (uint64_t)v->n, k->err);
    if (k->failed == TD_OK)
        k->failed = td_gguf_writer_put_array(k->w, "tokenizer.ggml.token_type", TD_GGUF_I32,
                                             v->types, (uint64_t)v->n, k->err);
    if (k->failed == TD_OK)
        k->failed = td_gguf_writer_put_strings(k->w, "tokenizer.ggml.merges", &merge, 1, k->err);
    put_u32(k, "tokenizer.ggml.bos_token_id", k->s->bos);
    put_u32(k, "tokenizer.ggml.eos_token_id", k->s->eos);
    put_bool(k, "tokenizer.ggml.add_bos_token", k->s->add_bos);
    put_text(k, "tokenizer.chat_template", synth_template);
}

static td_status put_keys(td_gguf_writer *w, const synth_shape *s, const td_mix *mix, td_err *err) {
    keys k = {.w = w, .s = s, .err = err};
    synth_vocab v;
    put_general(&k, mix);
    put_u32(&k, ".block_count", s->n_layer);
    put_u32(&k, ".context_length", s->n_ctx);
    put_u32(&k, ".embedding_length", s->n_embd);
    put_u32(&k, ".feed_forward_length", s->n_ff);
    put_u32(&k, ".vocab_size", s->n_vocab);
    put_attention(&k);
    put_experts(&k);
    TD_TRY(synth_vocab_init(&v, s, err));
    put_vocab(&k, &v);
    synth_vocab_clear(&v);
    return k.failed;
}

static td_status write_some(void *user, const void *data, size_t n, td_err *err) {
    return td_gguf_writer_data(user, data, n, err);
}

static td_status write_hole(void *user, uint64_t n, td_err *err) {
    return td_gguf_writer_hole(user, n, err);
}

td_status synth_write_gguf(const char *path, const synth_shape *s, const td_mix *mix,
                           const synth_list *list, synth_filler *f, td_err *err) {
    td_gguf_writer w;
    const synth_sink sink = {&w, write_some, write_hole};
    TD_TRY(td_gguf_writer_open(&w, path, err));
    td_status status = put_keys(&w, s, mix, err);
    for (size_t i = 0; i < list->n && status == TD_OK; i++) {
        const synth_array *a = &list->at[i];
        status = td_gguf_writer_tensor(&w, a->name, a->dtype, a->n_dims, a->ne, err);
    }
    for (size_t i = 0; i < list->n && status == TD_OK; i++)
        status = synth_fill(f, &list->at[i], i, &sink, err);
    if (status == TD_OK) return td_gguf_writer_commit(&w, err);
    td_gguf_writer_abort(&w);
    return status;
}
