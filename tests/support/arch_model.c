/* arch_model.c - fixtures of make_archs.py read, folders and GGUF files written. */
#include "support/arch_model.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/fixture.h"
#include "support/gguf_builder.h"
#include "support/saved_tensor.h"
#include "tensor/dtype.h"

enum { MAX_RANK = 4, MAX_PATH = 512 };

static void die(const char *what, const char *detail) {
    fprintf(stderr, "arch_model: %s: %s\n", what, detail);
    exit(1);
}

static void *alloc(size_t n, size_t size) {
    void *p = calloc(n > 0 ? n : 1, size);
    if (p == NULL) die("allocation", "out of memory");
    return p;
}

static const json_t *at(const json_t *array, size_t i) { return json_array_get(array, i); }
static size_t size_at(const json_t *array, size_t i) {
    return (size_t)json_integer_value(at(array, i));
}

/* ---- fixtures ---- */

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char **arch_model_list(int *n) {
    static const char folder[] = TD_SOURCE_DIR "/tests/golden/archs";
    DIR *dir = opendir(folder);
    if (dir == NULL) die(folder, "cannot be read");
    char **names = NULL;
    *n = 0;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        size_t length = strlen(entry->d_name);
        if (length <= 5 || strcmp(entry->d_name + length - 5, ".json") != 0) continue;
        names = realloc(names, (size_t)(*n + 1) * sizeof *names);
        if (names == NULL) die("allocation", "out of memory");
        names[*n] = alloc(length, 1);
        memcpy(names[(*n)++], entry->d_name, length - 5);
    }
    closedir(dir);
    if (*n > 0) qsort(names, (size_t)*n, sizeof *names, compare_names);
    return names;
}

void arch_model_load(arch_model *m, const char *name) {
    char path[96];
    snprintf(path, sizeof path, "archs/%s", name);
    *m = (arch_model){.root = fixture_open(path)};
    const json_t *gguf = json_object_get(m->root, "gguf");
    snprintf(m->name, sizeof m->name, "%s", fixture_string(m->root, "name"));
    m->seed = (uint64_t)fixture_number(m->root, "seed");
    m->n_vocab = fixture_int(m->root, "n_vocab");
    m->n_ctx = fixture_int(m->root, "n_ctx");
    m->fingerprint = strtoull(fixture_string(m->root, "weights"), NULL, 16);
    m->tolerance = (float)fixture_number(m->root, "tolerance");
    m->has_gguf = gguf != NULL;
    m->has_old_config = json_object_get(m->root, "config_old") != NULL;
    m->tokens = fixture_ints(m->root, "tokens", &m->n_token);
    m->positions = fixture_ints(m->root, "positions", &m->n_position);
    size_t n = (size_t)m->n_position * (size_t)m->n_vocab;
    m->logits = fixture_floats_base64(m->root, "logits", n);
    bool own = json_object_get(gguf, "logits") != NULL;
    m->gguf_logits = fixture_floats_base64(own ? gguf : m->root, "logits", n);
}

void arch_model_clear(arch_model *m) {
    free(m->tokens);
    free(m->positions);
    free(m->logits);
    free(m->gguf_logits);
    json_decref(m->root);
    *m = (arch_model){0};
}

/* ---- files ---- */

static void write_file(const char *dir, const char *name, const void *bytes, size_t n) {
    char path[MAX_PATH];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    if (f == NULL || fwrite(bytes, 1, n, f) != n || fclose(f) != 0) die(path, "cannot be written");
}

/* Takes the value. */
static void write_json(const char *dir, const char *name, json_t *value) {
    char *text = json_dumps(value, JSON_INDENT(2));
    if (text == NULL) die(name, "cannot be written as JSON");
    write_file(dir, name, text, strlen(text));
    free(text);
    json_decref(value);
}

void arch_model_remove_folder(const char *dir) {
    DIR *d = opendir(dir);
    if (d == NULL) return;
    for (const struct dirent *entry; (entry = readdir(d)) != NULL;) {
        char path[MAX_PATH];
        snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        unlink(path); /* "." and ".." stay */
    }
    closedir(d);
    rmdir(dir);
}

/* ---- vocabulary: as in make_archs.py ---- */

enum { MAX_VOCAB = 200, N_CONTROL = 3 };

typedef struct vocab {
    char tokens[MAX_VOCAB][16], merges[MAX_VOCAB][8];
    const char *token_texts[MAX_VOCAB], *merge_texts[MAX_VOCAB]; /* pointers to those */
    int32_t types[MAX_VOCAB];
    int n_token, n_merge;
} vocab;

static void add_token(vocab *v, int n_vocab, const char *text) {
    if (v->n_token == n_vocab) return;
    snprintf(v->tokens[v->n_token], sizeof v->tokens[0], "%s", text);
    v->token_texts[v->n_token] = v->tokens[v->n_token];
    v->types[v->n_token] = v->n_token < N_CONTROL ? 3 : 1;
    v->n_token++;
}

static vocab *make_vocab(int n_vocab) {
    static const char letters[] = "etaoinshrd";
    vocab *v = alloc(1, sizeof *v);
    if (n_vocab > MAX_VOCAB) die("vocabulary", "too large");
    add_token(v, n_vocab, "<|endoftext|>");
    add_token(v, n_vocab, "<|im_start|>");
    add_token(v, n_vocab, "<|im_end|>");
    add_token(v, n_vocab, "\u0120");
    add_token(v, n_vocab, "\u010a");
    for (int c = '!'; c <= '~'; c++) add_token(v, n_vocab, (char[]){(char)c, '\0'});
    for (int i = 0; i < 100 && v->n_token < n_vocab; i++) {
        char a = letters[i / 10], b = letters[i % 10];
        add_token(v, n_vocab, (char[]){a, b, '\0'});
        v->merge_texts[v->n_merge] = v->merges[v->n_merge];
        snprintf(v->merges[v->n_merge++], sizeof v->merges[0], "%c %c", a, b);
    }
    return v;
}

static json_t *added_tokens(const vocab *v) {
    json_t *added = json_array();
    for (int i = 0; i < N_CONTROL; i++)
        json_array_append_new(added,
                              json_pack("{s:i, s:s, s:b, s:b, s:b, s:b, s:b}", "id", i, "content",
                                        v->token_texts[i], "single_word", 0, "lstrip", 0, "rstrip",
                                        0, "normalized", 0, "special", 1));
    return added;
}

static json_t *byte_level(void) {
    return json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", 0,
                     "trim_offsets", 1, "use_regex", 1);
}

static void write_tokenizer(const arch_model *m, const char *dir) {
    vocab *v = make_vocab(m->n_vocab);
    json_t *ids = json_object(), *merges = json_array();
    for (int i = N_CONTROL; i < v->n_token; i++)
        json_object_set_new(ids, v->token_texts[i], json_integer(i));
    for (int i = 0; i < v->n_merge; i++)
        json_array_append_new(merges, json_string(v->merge_texts[i]));
    json_t *model =
        json_pack("{s:s, s:n, s:n, s:n, s:n, s:b, s:b, s:o, s:o}", "type", "BPE", "dropout",
                  "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", 0,
                  "byte_fallback", 0, "vocab", ids, "merges", merges);
    write_json(dir, "tokenizer.json",
               json_pack("{s:s, s:n, s:n, s:o, s:n, s:o, s:n, s:o, s:o}", "version", "1.0",
                         "truncation", "padding", "added_tokens", added_tokens(v), "normalizer",
                         "pre_tokenizer", byte_level(), "post_processor", "decoder", byte_level(),
                         "model", model));
    write_json(dir, "tokenizer_config.json",
               json_pack("{s:s, s:s, s:s}", "tokenizer_class", "GPT2TokenizerFast", "bos_token",
                         v->token_texts[1], "eos_token", v->token_texts[2]));
    write_json(
        dir, "generation_config.json",
        json_pack("{s:i, s:i, s:i}", "bos_token_id", 1, "eos_token_id", 2, "pad_token_id", 0));
    free(v);
}

/* ---- the folder ---- */

typedef struct shard {
    char name[48];
    json_t *header;
    gguf_bytes data;
} shard;

/* Floats of single precision may be asked for in another form; all else is what it is. */
static void put_saved(shard *s, const saved_tensor *t, const void *bytes, arch_dtype dtype) {
    const float *values = bytes;
    const char *name = t->dtype;
    size_t begin = s->data.n;
    if (dtype == ARCH_F32 || strcmp(name, "F32") != 0) {
        gguf_bytes_put(&s->data, bytes, t->n * t->size);
    } else {
        for (size_t i = 0; i < t->n; i++) {
            uint16_t half = saved_tensor_bf16(values[i]);
            uint32_t wide = (uint32_t)half << 16;
            gguf_bytes_put(&s->data, dtype == ARCH_BF16 ? (void *)&half : (void *)&wide,
                           dtype == ARCH_BF16 ? sizeof half : sizeof wide);
        }
        if (dtype == ARCH_BF16) name = "BF16";
    }
    json_object_set_new(s->header, t->name,
                        json_pack("{s:s, s:O, s:[I, I]}", "dtype", name, "shape", t->shape,
                                  "data_offsets", (json_int_t)begin, (json_int_t)s->data.n));
}

/* Clears it. */
static void write_shard(shard *s, const char *dir) {
    gguf_bytes image = {0};
    char *header = json_dumps(s->header, JSON_COMPACT);
    if (header == NULL) die(s->name, "cannot be written as JSON");
    size_t n = strlen(header), n_padded = (n + 7) / 8 * 8;
    gguf_bytes_u64(&image, n_padded);
    gguf_bytes_put(&image, header, n);
    while (image.n < 8 + n_padded) gguf_bytes_put(&image, " ", 1);
    gguf_bytes_put(&image, s->data.p, s->data.n);
    write_file(dir, s->name, image.p, image.n);
    free(header);
    free(image.p);
    free(s->data.p);
    json_decref(s->header);
}

uint64_t arch_model_write_folder(const arch_model *m, arch_folder_options options,
                                 const char *dir) {
    enum { MAX_SHARD = 8 };
    shard shards[MAX_SHARD] = {0};
    int n_shard = options.n_shard > 1 ? options.n_shard : 1;
    uint64_t fingerprint = 0;
    size_t total_size = 0, i;
    const json_t *row;
    json_t *weight_map = json_object();
    if (n_shard > MAX_SHARD) die(dir, "too many shards");
    for (int s = 0; s < n_shard; s++) {
        shards[s].header = json_pack("{s:{s:s}}", "__metadata__", "format", "pt");
        snprintf(shards[s].name, sizeof shards[s].name,
                 n_shard > 1 ? "model-%05d-of-%05d.safetensors" : "model.safetensors", s + 1,
                 n_shard);
    }
    json_array_foreach(json_object_get(m->root, "tensors"), i, row) {
        saved_tensor t = saved_tensor_read(row);
        void *bytes = saved_tensor_make(&t, m->seed, &fingerprint);
        shard *s = &shards[i % (size_t)n_shard];
        size_t n_before = s->data.n;
        put_saved(s, &t, bytes, options.dtype);
        json_object_set_new(weight_map, t.name, json_string(s->name));
        total_size += s->data.n - n_before;
        free(bytes);
    }
    for (int s = 0; s < n_shard; s++) write_shard(&shards[s], dir);
    if (n_shard > 1)
        write_json(dir, "model.safetensors.index.json",
                   json_pack("{s:{s:I}, s:O}", "metadata", "total_size", (json_int_t)total_size,
                             "weight_map", weight_map));
    json_decref(weight_map);
    const char *config = options.old_config ? "config_old" : "config";
    write_json(dir, "config.json", json_incref(json_object_get(m->root, config)));
    write_tokenizer(m, dir);
    return fingerprint;
}

/* ---- GGUF ---- */

static void put_meta_array(gguf_builder *g, const char *key, const char *type, const json_t *v) {
    size_t n = json_array_size(v);
    int32_t *ints = alloc(n, sizeof *ints);
    float *floats = alloc(n, sizeof *floats);
    uint8_t *bools = alloc(n, 1);
    for (size_t i = 0; i < n; i++) {
        ints[i] = (int32_t)json_integer_value(at(v, i));
        floats[i] = (float)json_number_value(at(v, i));
        bools[i] = json_is_true(at(v, i));
    }
    if (strcmp(type, "i32") == 0)
        gguf_add_i32s(g, key, ints, n);
    else if (strcmp(type, "u32") == 0)
        gguf_add_array(g, key, TD_GGUF_U32, ints, n, n * sizeof *ints);
    else if (strcmp(type, "f32") == 0)
        gguf_add_f32s(g, key, floats, n);
    else if (strcmp(type, "bool") == 0)
        gguf_add_array(g, key, TD_GGUF_BOOL, bools, n, n);
    else
        die(key, "an array of a type that is not known here");
    free(ints);
    free(floats);
    free(bools);
}

static void put_meta(gguf_builder *g, const char *key, const char *type, const json_t *v) {
    if (json_is_array(v))
        put_meta_array(g, key, type, v);
    else if (strcmp(type, "u32") == 0)
        gguf_add_u32(g, key, (uint32_t)json_integer_value(v));
    else if (strcmp(type, "i32") == 0)
        gguf_add_i32(g, key, (int32_t)json_integer_value(v));
    else if (strcmp(type, "u64") == 0)
        gguf_add_u64(g, key, (uint64_t)json_integer_value(v));
    else if (strcmp(type, "f32") == 0)
        gguf_add_f32(g, key, (float)json_number_value(v));
    else if (strcmp(type, "bool") == 0)
        gguf_add_bool(g, key, json_is_true(v));
    else if (strcmp(type, "string") == 0)
        gguf_add_string(g, key, json_string_value(v));
    else
        die(key, "of a type that is not known here");
}

static void put_vocab(gguf_builder *g, int n_vocab) {
    vocab *v = make_vocab(n_vocab);
    gguf_add_string(g, "tokenizer.ggml.model", "gpt2");
    gguf_add_string(g, "tokenizer.ggml.pre", "gpt-2");
    gguf_add_strings(g, "tokenizer.ggml.tokens", v->token_texts, (size_t)v->n_token);
    gguf_add_i32s(g, "tokenizer.ggml.token_type", v->types, (size_t)v->n_token);
    gguf_add_strings(g, "tokenizer.ggml.merges", v->merge_texts, (size_t)v->n_merge);
    gguf_add_u32(g, "tokenizer.ggml.bos_token_id", 1);
    gguf_add_u32(g, "tokenizer.ggml.eos_token_id", 2);
    free(v);
}

/* All saved tensors, found by name. */
typedef struct saved_set {
    saved_tensor *tensors;
    float **values;
    size_t n;
} saved_set;

static size_t find_saved(const saved_set *set, const char *name) {
    for (size_t i = 0; i < set->n; i++)
        if (strcmp(set->tensors[i].name, name) == 0) return i;
    die("a part of no tensor", name);
    return 0;
}

/* The elements that a nest of loops [[n, stride], ...] visits, the innermost loop last. */
static size_t visit(const json_t *loops, size_t i_loop, const float *src, size_t n_src,
                    float *dst) {
    if (i_loop == json_array_size(loops)) {
        *dst = *src;
        return 1;
    }
    size_t n = size_at(at(loops, i_loop), 0), stride = size_at(at(loops, i_loop), 1), n_done = 0;
    if (n > 0 && (n - 1) * stride >= n_src) die("parts", "outside their tensor");
    for (size_t i = 0; i < n; i++)
        n_done += visit(loops, i_loop + 1, src + i * stride, n_src - i * stride, dst + n_done);
    return n_done;
}

static size_t count_visits(const json_t *loops) {
    size_t n = 1;
    for (size_t i = 0; i < json_array_size(loops); i++) n *= size_at(at(loops, i), 0);
    return n;
}

/* The n values of [name, start, loops] after each other. */
static float *gather(const saved_set *set, const json_t *parts, size_t n) {
    float *values = alloc(n, sizeof *values);
    size_t n_done = 0;
    for (size_t p = 0; p < json_array_size(parts); p++) {
        const json_t *part = at(parts, p), *loops = at(part, 2);
        size_t i = find_saved(set, json_string_value(at(part, 0))), start = size_at(part, 1);
        if (start >= set->tensors[i].n || count_visits(loops) > n - n_done)
            die("parts", "outside their tensor");
        n_done +=
            visit(loops, 0, set->values[i] + start, set->tensors[i].n - start, values + n_done);
    }
    if (n_done != n) die("parts", "do not fill their tensor");
    return values;
}

/* row: [name, [ne], {parts, add} or {values}]. */
static void put_gguf_tensor(gguf_builder *g, const saved_set *set, const json_t *row) {
    const json_t *shape = at(row, 1), *how = at(row, 2);
    int64_t ne[MAX_RANK];
    size_t n = 1, n_dims = json_array_size(shape);
    if (n_dims > MAX_RANK) die("a GGUF tensor", "of too many dimensions");
    for (size_t i = 0; i < n_dims; i++) {
        ne[i] = (int64_t)size_at(shape, i);
        n *= size_at(shape, i);
    }
    const json_t *parts = json_object_get(how, "parts");
    float *values = parts ? gather(set, parts, n) : fixture_floats_base64(how, "values", n);
    float add = (float)json_number_value(json_object_get(how, "add"));
    for (size_t i = 0; i < n && add != 0; i++) values[i] += add;
    gguf_add_tensor(g, json_string_value(at(row, 0)), TD_DTYPE_F32, (uint32_t)n_dims, ne, values,
                    n * sizeof *values);
    free(values);
}

void arch_model_write_gguf(const arch_model *m, const char *path) {
    const json_t *gguf = json_object_get(m->root, "gguf"), *row, *meta;
    const json_t *table = json_object_get(m->root, "tensors");
    saved_set set = {.n = json_array_size(table)};
    gguf_builder g = {0};
    uint64_t fingerprint = 0;
    const char *key;
    size_t i;
    set.tensors = alloc(set.n, sizeof *set.tensors);
    set.values = alloc(set.n, sizeof *set.values);
    json_array_foreach(table, i, row) {
        set.tensors[i] = saved_tensor_read(row);
        if (strcmp(set.tensors[i].dtype, "F32") != 0) die(m->name, "a GGUF file of other than F32");
        set.values[i] = saved_tensor_make(&set.tensors[i], m->seed, &fingerprint);
    }
    if (fingerprint != m->fingerprint) die(m->name, "these are not the oracle's weights");
    json_object_foreach(json_object_get(gguf, "metadata"), key, meta) {
        put_meta(&g, key, json_string_value(at(meta, 0)), at(meta, 1));
    }
    put_vocab(&g, m->n_vocab);
    json_array_foreach(json_object_get(gguf, "tensors"), i, row) { put_gguf_tensor(&g, &set, row); }
    if (gguf_write(&g, path) != 0) die(path, "cannot be written");
    gguf_builder_clear(&g);
    for (i = 0; i < set.n; i++) free(set.values[i]);
    free(set.values);
    free(set.tensors);
}
