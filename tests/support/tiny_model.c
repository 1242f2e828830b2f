/* tiny_model.c - fixtures read; weights by a counter-based hash. */
#include "support/tiny_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/fixture.h"
#include "support/gguf_builder.h"
#include "support/hashed.h"
#include "tensor/quantize.h"

static void die(const char *what, const char *detail) {
    fprintf(stderr, "tiny_model: %s: %s\n", what, detail);
    exit(1);
}

static void *alloc(size_t n, size_t size) {
    void *p = calloc(n > 0 ? n : 1, size);
    if (p == NULL) die("allocation", "out of memory");
    return p;
}

/* ---- fixtures ---- */

static void read_config(tiny_model *m, const json_t *c) {
    m->n_layer = fixture_int(c, "n_layer");
    m->n_embd = fixture_int(c, "n_embd");
    m->n_head = fixture_int(c, "n_head");
    m->n_head_kv = fixture_int(c, "n_head_kv");
    m->head_dim = fixture_int(c, "head_dim");
    m->n_ff = fixture_int(c, "n_ff");
    m->n_vocab = fixture_int(c, "n_vocab");
    m->tied = fixture_int(c, "tied") != 0;
    m->rms_eps = (float)fixture_number(c, "rms_eps");
    m->rope_theta = (float)fixture_number(c, "rope_theta");
    m->rope_linear = (float)fixture_number(c, "rope_linear");
    m->window = fixture_int(c, "window");
    m->window_period = fixture_int(c, "window_period");
    m->rope_theta_swa = (float)fixture_number(c, "rope_theta_swa");
    m->scale_dim = fixture_int(c, "scale_dim");
}

void tiny_model_load(tiny_model *m, const char *name) {
    char path[96];
    snprintf(path, sizeof path, "tiny/%s", name);
    json_t *root = fixture_open(path);
    *m = (tiny_model){0};
    snprintf(m->name, sizeof m->name, "%s", fixture_string(root, "name"));
    snprintf(m->arch, sizeof m->arch, "%s", fixture_string(root, "arch"));
    m->seed = (uint64_t)fixture_number(root, "seed");
    m->fingerprint = strtoull(fixture_string(root, "weights"), NULL, 16);
    read_config(m, json_object_get(root, "config"));

    const json_t *freqs = json_object_get(root, "rope_freqs");
    m->n_rope_freqs = (int)json_array_size(freqs);
    if (m->n_rope_freqs > TINY_MAX_FREQS) die(path, "too many rope_freqs");
    for (int i = 0; i < m->n_rope_freqs; i++)
        m->rope_freqs[i] = (float)json_number_value(json_array_get(freqs, (size_t)i));

    m->tokens = fixture_ints(root, "tokens", &m->n_token);
    m->logits = fixture_floats_base64(root, "logits", (size_t)m->n_token * (size_t)m->n_vocab);
    json_decref(root);
}

void tiny_model_clear(tiny_model *m) {
    free(m->tokens);
    free(m->logits);
    *m = (tiny_model){0};
}

/* ---- weights: the same arithmetic as in make_tiny.py ---- */

float tiny_uniform(uint64_t seed, const char *name, uint64_t i) {
    return hashed_uniform(hashed_key(seed, name), i);
}

static bool ends_with(const char *name, const char *tail) {
    size_t n = strlen(name), n_tail = strlen(tail);
    return n >= n_tail && strcmp(name + n - n_tail, tail) == 0;
}

static float amplitude(const char *name, size_t n_in) {
    if (ends_with(name, "norm.weight") || ends_with(name, ".bias")) return 0.3F;
    double gain = 1;
    if (strstr(name, "attn_q.") != NULL || strstr(name, "attn_k.") != NULL)
        gain = 1.5;
    else if (strcmp(name, "token_embd.weight") == 0 || strcmp(name, "output.weight") == 0)
        gain = 2;
    return (float)(gain * sqrt(3.0 / (double)n_in));
}

/* ---- tensors ---- */

typedef struct writer {
    const tiny_model *m;
    gguf_builder gguf;
    td_dtype dtype; /* of matrices */
    bool expand;
    uint64_t fingerprint;
} writer;

/* The row of the Hugging Face matrix that becomes row i of the file: llama files have each head's
 * two halves interleaved, so that the rotation pairs neighbours. */
static size_t source_row(const tiny_model *m, const char *name, size_t i) {
    bool query_or_key = strstr(name, "attn_q.") != NULL || strstr(name, "attn_k.") != NULL;
    if (strcmp(m->arch, "llama") != 0 || !query_or_key) return i;
    size_t hd = (size_t)m->head_dim, head = i / hd, j = i % hd;
    return head * hd + j % 2 * (hd / 2) + j / 2;
}

/* The weights in file order, counted into the fingerprint by their Hugging Face index and value. */
static float *make_values(writer *w, const char *name, size_t n_in, size_t n_out) {
    float *values = alloc(n_in * n_out, sizeof *values);
    uint64_t key = hashed_key(w->m->seed, name);
    float scale = amplitude(name, n_in);
    bool norm = ends_with(name, "norm.weight"), gemma = strcmp(w->m->arch, "gemma3") == 0;
    for (size_t r = 0; r < n_out; r++)
        for (size_t c = 0; c < n_in; c++) {
            uint64_t index = source_row(w->m, name, r) * n_in + c;
            float v = hashed_uniform(key, index) * scale;
            if (norm && !gemma) v = 1.0F + v;
            w->fingerprint += hashed_fingerprint(key, index, v);
            values[r * n_in + c] = norm && gemma ? 1.0F + v : v;
        }
    return values;
}

/* Where a block keeps its f16 scale, and how it is drawn. */
typedef struct block_form {
    int d;      /* offset; -1: no f16, see put_unit */
    int dmin;   /* offset; -1: none */
    float mean; /* of the digits: the min's unit in units of d, which takes the mean away */
    float rms;  /* of the weights in units of d */
} block_form;

/* Scales and mins are uniform numbers, so the last column is the deviation of their products with
 * uniform digits (of grid elements, for the IQ types). */
static block_form form_of(td_dtype dtype) {
    switch ((int)dtype) {
    case TD_DTYPE_Q4_K: return (block_form){0, 2, 7.5F, 258.0F};
    case TD_DTYPE_Q5_K: return (block_form){0, 2, 15.5F, 527.0F};
    case TD_DTYPE_Q6_K: return (block_form){208, -1, 0, 1366.0F};
    case TD_DTYPE_Q2_K: return (block_form){80, 82, 1.5F, 13.9F};
    case TD_DTYPE_Q3_K: return (block_form){108, -1, 0, 43.3F};
    case TD_DTYPE_IQ1_S: return (block_form){0, -1, 0, 7.2F};
    case TD_DTYPE_IQ1_M: return (block_form){-1, -1, 0, 7.2F};
    case TD_DTYPE_IQ2_XXS:
    case TD_DTYPE_IQ2_XS:
    case TD_DTYPE_IQ2_S: return (block_form){0, -1, 0, 55.0F};
    case TD_DTYPE_IQ3_XXS: return (block_form){0, -1, 0, 143.0F};
    case TD_DTYPE_IQ3_S: return (block_form){0, -1, 0, 140.0F};
    case TD_DTYPE_IQ4_NL: return (block_form){0, -1, 0, 67.7F};
    case TD_DTYPE_IQ4_XS: return (block_form){0, -1, 0, 1251.0F};
    case TD_DTYPE_TQ1_0: return (block_form){52, -1, 0, 0.82F};
    case TD_DTYPE_TQ2_0: return (block_form){64, -1, 0, 0.71F};
    case TD_DTYPE_MXFP4:
    case TD_DTYPE_NVFP4: return (block_form){-1, -1, 0, 5.85F};
    default: die("random_block", td_dtype_name((int)dtype));
    }
    return (block_form){0};
}

/* Scales that are not one f16. */
static void put_unit(td_dtype dtype, float unit, uint8_t *dst) {
    const uint16_t d = td_f32_to_f16(unit);
    const float exponent = log2f(unit);
    if (dtype == TD_DTYPE_MXFP4) dst[0] = (uint8_t)(128 + lrintf(exponent));
    for (int i = 0; i < 4; i++) {
        /* A piece of the f16 above each word's twelve bits; E4M3's exponent above any mantissa. */
        if (dtype == TD_DTYPE_IQ1_M)
            dst[49 + 2 * i] = (uint8_t)((dst[49 + 2 * i] & 15) | (d >> 4 * i & 15) << 4);
        if (dtype == TD_DTYPE_NVFP4)
            dst[i] = (uint8_t)((dst[i] & 7) | (int)fmaxf(0, 8 + floorf(exponent)) << 3);
    }
}

/* A random valid block at dst whose weights have about the given standard deviation. */
static void random_block(td_dtype dtype, uint64_t key, uint64_t i_block, float deviation,
                         uint8_t *dst, size_t n_bytes) {
    for (size_t i = 0; i < n_bytes; i++)
        dst[i] = (uint8_t)(hashed_bits(key, i_block * n_bytes + i) >> 56);
    if (dtype == TD_DTYPE_TQ2_0) /* a fourth value does not occur: 3 becomes 1 */
        for (size_t i = 0; i < n_bytes; i++)
            dst[i] = (uint8_t)(dst[i] & ~((dst[i] & dst[i] >> 1 & 0x55) << 1));
    const block_form form = form_of(dtype);
    float unit = deviation / form.rms;
    unit *= 1.0F + 0.5F * hashed_uniform(key ^ 1, i_block);
    uint16_t d = td_f32_to_f16(unit), dmin = td_f32_to_f16(unit * form.mean);
    if (form.d < 0)
        put_unit(dtype, unit, dst);
    else
        memcpy(dst + form.d, &d, 2);
    if (form.dmin >= 0) memcpy(dst + form.dmin, &dmin, 2);
}

/* Types whose values are quantized; of the others any block will do. */
static bool is_simple(td_dtype dtype) { return dtype <= TD_DTYPE_Q8_0 || dtype == TD_DTYPE_BF16; }

/* The blocks of one tensor; the caller frees them. */
static uint8_t *make_blocks(const writer *w, const char *name, const float *values, size_t n_in,
                            size_t n_out, size_t *n_bytes) {
    size_t row_bytes;
    td_err err;
    if (td_dtype_row_bytes(&row_bytes, w->dtype, n_in, &err) != TD_OK) die(name, err.msg);
    uint8_t *blocks = alloc(n_out, row_bytes);
    const td_dtype_info *info = td_dtype_get_info((int)w->dtype);
    size_t block_bytes = (size_t)info->block_bytes, n_block = row_bytes / block_bytes;
    uint64_t key = hashed_key(w->m->seed + 1000, name);
    float deviation = amplitude(name, n_in) / sqrtf(3.0F);
    for (size_t r = 0; r < n_out; r++) {
        uint8_t *row = blocks + r * row_bytes;
        if (is_simple(w->dtype)) {
            if (td_quantize_row(w->dtype, values + r * n_in, row, n_in, &err) != TD_OK)
                die(name, err.msg);
        } else {
            for (size_t b = 0; b < n_block; b++)
                random_block(w->dtype, key, r * n_block + b, deviation, row + b * block_bytes,
                             block_bytes);
        }
    }
    *n_bytes = n_out * row_bytes;
    return blocks;
}

/* n_out 0: a vector. */
static void put_tensor(writer *w, const char *name, td_dtype dtype, size_t n_in, size_t n_out,
                       const void *bytes, size_t n_bytes) {
    const int64_t ne[2] = {(int64_t)n_in, (int64_t)n_out};
    gguf_add_tensor(&w->gguf, name, dtype, n_out > 0 ? 2 : 1, ne, bytes, n_bytes);
}

static void put_matrix(writer *w, const char *name, size_t n_in, size_t n_out) {
    float *values = make_values(w, name, n_in, n_out);
    size_t n_bytes = n_in * n_out * sizeof *values;
    if (w->dtype == TD_DTYPE_F32) {
        put_tensor(w, name, TD_DTYPE_F32, n_in, n_out, values, n_bytes);
    } else {
        size_t block_bytes;
        uint8_t *blocks = make_blocks(w, name, values, n_in, n_out, &block_bytes);
        if (w->expand) {
            td_dequantize_row(w->dtype, blocks, values, n_in * n_out);
            put_tensor(w, name, TD_DTYPE_F32, n_in, n_out, values, n_bytes);
        } else {
            put_tensor(w, name, w->dtype, n_in, n_out, blocks, block_bytes);
        }
        free(blocks);
    }
    free(values);
}

/* As a matrix of one column, so that biases would follow the order of their rows. */
static void put_vector(writer *w, const char *name, size_t n) {
    float *values = make_values(w, name, 1, n);
    put_tensor(w, name, TD_DTYPE_F32, n, 0, values, n * sizeof *values);
    free(values);
}

static void put_layer(writer *w, int i_layer) {
    const tiny_model *m = w->m;
    bool gemma = strcmp(m->arch, "gemma3") == 0, bias = strcmp(m->arch, "qwen2") == 0;
    size_t embd = (size_t)m->n_embd, ff = (size_t)m->n_ff, hd = (size_t)m->head_dim;
    size_t q = (size_t)m->n_head * hd, kv = (size_t)m->n_head_kv * hd;
    const struct {
        const char *name;
        size_t n_in, n_out; /* n_out 0: a vector */
        bool wanted;
    } tensors[] = {
        {"attn_norm.weight",           embd, 0,    true },
        {"attn_q.weight",              embd, q,    true },
        {"attn_k.weight",              embd, kv,   true },
        {"attn_v.weight",              embd, kv,   true },
        {"attn_q.bias",                q,    0,    bias },
        {"attn_k.bias",                kv,   0,    bias },
        {"attn_v.bias",                kv,   0,    bias },
        {"attn_output.weight",         q,    embd, true },
        {"attn_q_norm.weight",         hd,   0,    gemma},
        {"attn_k_norm.weight",         hd,   0,    gemma},
        {"post_attention_norm.weight", embd, 0,    gemma},
        {"ffn_norm.weight",            embd, 0,    true },
        {"ffn_gate.weight",            embd, ff,   true },
        {"ffn_up.weight",              embd, ff,   true },
        {"ffn_down.weight",            ff,   embd, true },
        {"post_ffw_norm.weight",       embd, 0,    gemma},
    };
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
        char name[64];
        if (!tensors[i].wanted) continue;
        snprintf(name, sizeof name, "blk.%d.%s", i_layer, tensors[i].name);
        if (tensors[i].n_out > 0)
            put_matrix(w, name, tensors[i].n_in, tensors[i].n_out);
        else
            put_vector(w, name, tensors[i].n_in);
    }
}

static void put_tensors(writer *w) {
    const tiny_model *m = w->m;
    put_matrix(w, "token_embd.weight", (size_t)m->n_embd, (size_t)m->n_vocab);
    for (int i = 0; i < m->n_layer; i++) put_layer(w, i);
    put_vector(w, "output_norm.weight", (size_t)m->n_embd);
    if (!m->tied) put_matrix(w, "output.weight", (size_t)m->n_embd, (size_t)m->n_vocab);
    if (m->n_rope_freqs > 0) {
        size_t n = (size_t)m->n_rope_freqs;
        put_tensor(w, "rope_freqs.weight", TD_DTYPE_F32, n, 0, m->rope_freqs, n * sizeof(float));
    }
}

/* ---- metadata ---- */

static void put_arch_u32(writer *w, const char *key, int value) {
    char full[96];
    snprintf(full, sizeof full, "%s.%s", w->m->arch, key);
    gguf_add_u32(&w->gguf, full, (uint32_t)value);
}

static void put_arch_f32(writer *w, const char *key, float value) {
    char full[96];
    snprintf(full, sizeof full, "%s.%s", w->m->arch, key);
    gguf_add_f32(&w->gguf, full, value);
}

static void put_config(writer *w) {
    const tiny_model *m = w->m;
    gguf_add_string(&w->gguf, "general.architecture", m->arch);
    gguf_add_string(&w->gguf, "general.name", m->name);
    put_arch_u32(w, "block_count", m->n_layer);
    put_arch_u32(w, "context_length", 512);
    put_arch_u32(w, "embedding_length", m->n_embd);
    put_arch_u32(w, "feed_forward_length", m->n_ff);
    put_arch_u32(w, "attention.head_count", m->n_head);
    put_arch_u32(w, "attention.head_count_kv", m->n_head_kv);
    put_arch_f32(w, "attention.layer_norm_rms_epsilon", m->rms_eps);
    put_arch_f32(w, "rope.freq_base", m->rope_theta);
    bool gemma = strcmp(m->arch, "gemma3") == 0;
    if (gemma || m->n_head * m->head_dim != m->n_embd) {
        put_arch_u32(w, "attention.key_length", m->head_dim);
        put_arch_u32(w, "attention.value_length", m->head_dim);
    }
    if (strcmp(m->arch, "llama") == 0) {
        put_arch_u32(w, "vocab_size", m->n_vocab);
        put_arch_u32(w, "rope.dimension_count", m->head_dim);
    }
    if (m->rope_linear > 0) {
        char key[64];
        snprintf(key, sizeof key, "%s.rope.scaling.type", m->arch);
        gguf_add_string(&w->gguf, key, "linear");
        put_arch_f32(w, "rope.scaling.factor", m->rope_linear);
    }
    if (m->window > 0) put_arch_u32(w, "attention.sliding_window", m->window);
    if (m->window_period > 0) put_arch_u32(w, "attention.sliding_window_pattern", m->window_period);
    if (m->rope_theta_swa > 0) put_arch_f32(w, "rope.freq_base_swa", m->rope_theta_swa);
    if (m->scale_dim > 0)
        put_arch_f32(w, "attention.scale", (float)(1 / sqrt((double)m->scale_dim)));
}

/* ---- vocabulary: printable ASCII, a space, and pairs of frequent letters up to n_vocab ---- */

enum { MAX_VOCAB = 256 };

typedef struct tiny_vocab {
    char tokens[MAX_VOCAB][16], merges[MAX_VOCAB][16];
    const char *token_texts[MAX_VOCAB], *merge_texts[MAX_VOCAB]; /* pointers to those */
    float scores[MAX_VOCAB];
    int32_t types[MAX_VOCAB];
    int n_token, n_merge;
} tiny_vocab;

static void add_token(tiny_vocab *v, int n_vocab, const char *text, int32_t type, float score) {
    if (v->n_token == n_vocab) return;
    snprintf(v->tokens[v->n_token], sizeof v->tokens[0], "%s", text);
    v->token_texts[v->n_token] = v->tokens[v->n_token];
    v->types[v->n_token] = type;
    v->scores[v->n_token] = score;
    v->n_token++;
}

static void make_vocab(tiny_vocab *v, int n_vocab, bool spm) {
    static const char letters[] = "etaoinshrd";
    const char *const bpe_specials[] = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
    const char *const spm_specials[] = {"<pad>", "<eos>", "<bos>", "<unk>"};
    const int control = 3, unknown = 2;
    if (n_vocab > MAX_VOCAB) die("vocabulary", "too large");
    for (int i = 0; i < (spm ? 4 : 3); i++)
        add_token(v, n_vocab, spm ? spm_specials[i] : bpe_specials[i],
                  spm && i == 3 ? unknown : control, 0);
    add_token(v, n_vocab, spm ? "\u2581" : "\u0120", 1, -100);
    add_token(v, n_vocab, spm ? "\n" : "\u010a", 1, -101);
    for (int c = '!'; c <= '~'; c++) add_token(v, n_vocab, (char[]){(char)c, '\0'}, 1, -(float)c);
    for (int i = 0; i < 100 && v->n_token < n_vocab; i++) {
        char a = letters[i / 10], b = letters[i % 10];
        add_token(v, n_vocab, (char[]){a, b, '\0'}, 1, -(float)i);
        v->merge_texts[v->n_merge] = v->merges[v->n_merge];
        snprintf(v->merges[v->n_merge++], sizeof v->merges[0], "%c %c", a, b);
    }
}

static void put_vocab(writer *w) {
    gguf_builder *g = &w->gguf;
    bool spm = strcmp(w->m->arch, "gemma3") == 0;
    tiny_vocab *v = alloc(1, sizeof *v);
    make_vocab(v, w->m->n_vocab, spm);
    size_t n = (size_t)v->n_token;
    gguf_add_string(g, "tokenizer.ggml.model", spm ? "llama" : "gpt2");
    if (!spm)
        gguf_add_string(g, "tokenizer.ggml.pre",
                        strcmp(w->m->arch, "qwen2") == 0 ? "qwen2" : "smollm");
    gguf_add_strings(g, "tokenizer.ggml.tokens", v->token_texts, n);
    gguf_add_i32s(g, "tokenizer.ggml.token_type", v->types, n);
    if (spm)
        gguf_add_f32s(g, "tokenizer.ggml.scores", v->scores, n);
    else
        gguf_add_strings(g, "tokenizer.ggml.merges", v->merge_texts, (size_t)v->n_merge);
    gguf_add_u32(g, "tokenizer.ggml.bos_token_id", spm ? 2 : 1);
    gguf_add_u32(g, "tokenizer.ggml.eos_token_id", spm ? 1 : 2);
    gguf_add_u32(g, "tokenizer.ggml.unknown_token_id", spm ? 3 : 0);
    gguf_add_bool(g, "tokenizer.ggml.add_bos_token", spm);
    gguf_add_bool(g, "tokenizer.ggml.add_space_prefix", 0);
    free(v);
}

uint64_t tiny_model_write(const tiny_model *m, td_dtype dtype, bool expand, const char *path) {
    writer w = {.m = m, .dtype = dtype, .expand = expand};
    put_config(&w);
    put_vocab(&w);
    put_tensors(&w);
    if (gguf_write(&w.gguf, path) != 0) die(path, "cannot be written");
    gguf_builder_clear(&w.gguf);
    return w.fingerprint;
}
