/* test_quantize_folder.c - folders written as GGUF files, against llama.cpp's converter.
 *
 * For every fixture of archs/: the file that td_quantize_run() writes in F32 has the tensors and
 * metadata of the converter's, byte for byte, and the engine computes the folder's logits from it.
 * Tokenizers: a text gives the same ids with the file's vocabulary as with the folder's. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "tandem.h"
#include "base/alloc.h"
#include "base/filemap.h"
#include "golden/arch_run.h"
#include "jobs/quantize_folder.h"
#include "support/hf_folder.h"
#include "text/tokenizer.h"

/* Folders that say what GGUF cannot, and a part of the message. */
static const struct {
    const char *name, *words;
} refused[] = {
    {"llama_yarn_mscale",  "rope_scaling.truncate is false"                           },
    {"mistral_grouped",    "layer 0 has a sliding window of 16 tokens"                },
    {"qwen2_heads_window", "layer 1 has a sliding window of 12 tokens, for which GGUF"},
};

/* Beginnings of the names of those that this build does not write: mixtures of experts. */
static const char *const not_written[] = {"bailing_moe",
                                          "deepseek",
                                          "dots1",
                                          "ernie4_5_moe",
                                          "ernie4_5_vl",
                                          "glm4_moe",
                                          "gpt_oss",
                                          "granitemoe",
                                          "hunyuan",
                                          "llama4",
                                          "minimax",
                                          "mixtral",
                                          "olmoe",
                                          "qwen2_moe",
                                          "qwen3_moe",
                                          "qwen3_next",
                                          "qwen3_5",
                                          "quant_fp8_deepseek",
                                          "quant_int4_kimi",
                                          "smallthinker",
                                          "glm_moe_dsa",
                                          "quant_fp8_minimax",
                                          "quant_mxfp4_gpt_oss"};

/* The converter takes the model's name from elsewhere. */
static const char *const may_differ = "general.name";

/* Rows of q and k change places in these, so that their products are summed in another order, and
 * Llama 3's factors are rounded once more.  The others' logits are the same bits. */
static const char *const sums_differ[] = {"granite", "internlm", "llama",  "minicpm",
                                          "mistral", "quant",    "smollm3"};

/* Keys that the converter does not write; an architecture's stand behind its name. */
static const struct {
    const char *arch, *key; /* arch NULL: any */
} may_be_more[] = {
    {"gemma2",     "attention.scale"             }, /* query_pre_attn_scalar may be any number */
    {"gemma3",     "attention.scale"             },
    {"starcoder2", "attention.sliding_window"    }, /* without it, windows are lost */
    {"gptneox",    "general.file_type"           }, /* forgotten there, as is rotary_emb_base */
    {"gptneox",    "rope.freq_base"              },
    {NULL,         "tokenizer.ggml.add_bos_token"}, /* else guessed by the pre-tokenizer's name */
    {NULL,         "tokenizer.ggml.add_eos_token"},
    {NULL,         "tokenizer.ggml.eot_token_id" }, /* else guessed by the token's text */
};

/* ---- writing ---- */

static td_status write_file(const char *dir, const char *path, td_err *err) {
    td_checkpoint *ckpt;
    td_quantize_source source;
    td_quantize_result r;
    td_quantize_options o = {
        .source = &source, .path = path, .n_thread = 2, .allow_requantize = true};
    o.mix.output_dtype = o.mix.token_embd_dtype = -1;
    TD_TRY(td_mix_find(&o.mix.mix, "F32", err));
    TD_TRY(td_checkpoint_open(&ckpt, dir, err));
    td_status status = td_quantize_folder_open(&source, ckpt, err);
    if (status == TD_OK) status = td_quantize_run(&o, &r, err);
    td_quantize_folder_close(&source);
    td_checkpoint_close(ckpt);
    return status;
}

static td_checkpoint *open_file(const char *path) {
    td_checkpoint *ckpt;
    td_err err;
    if (td_checkpoint_open(&ckpt, path, &err) != TD_OK) fail_msg("%s", err.msg);
    return ckpt;
}

/* ---- tensors ---- */

/* Llama 3's factors follow from the configuration, which the converter computes in float. */
static bool same_floats(const char *name, const float *a, const float *b, size_t n) {
    if (strcmp(name, "rope_freqs.weight") != 0) return memcmp(a, b, n * sizeof *a) == 0;
    for (size_t i = 0; i < n; i++)
        if (fabsf(a[i] - b[i]) > 1e-6f * fabsf(b[i])) return false;
    return true;
}

static void compare_tensors(const char *name, const td_checkpoint *got, const td_checkpoint *want) {
    for (size_t i = 0; i < td_checkpoint_n_tensor(want); i++) {
        const td_tensor *b = td_checkpoint_tensor_at(want, i);
        const td_tensor *a = td_checkpoint_tensor(got, b->name);
        if (!a) fail_msg("%s: tensor '%s' is missing", name, b->name);
        if (a->dtype != b->dtype || a->n_dims != b->n_dims || memcmp(a->ne, b->ne, sizeof a->ne))
            fail_msg("%s: tensor '%s' has another type or shape", name, b->name);
        if (!same_floats(b->name, (const float *)(const void *)a->data,
                         (const float *)(const void *)b->data, (size_t)td_tensor_elems(b)))
            fail_msg("%s: tensor '%s' has other bytes", name, b->name);
    }
    assert_int_equal(td_checkpoint_n_tensor(got), td_checkpoint_n_tensor(want));
}

/* ---- metadata ---- */

static bool same_element(const td_meta *a, const td_meta *b, uint64_t i) {
    const td_meta_type type = a->type == TD_META_ARRAY ? a->elem_type : a->type;
    if (type == TD_META_STRING) {
        const td_string x = td_meta_string(a, i), y = td_meta_string(b, i);
        return x.n == y.n && memcmp(x.text, y.text, x.n) == 0;
    }
    if (type == TD_META_BOOL) return td_meta_bool(a, i) == td_meta_bool(b, i);
    if (type == TD_META_INT) return td_meta_int(a, i) == td_meta_int(b, i);
    /* Scales are computed in double there, in float here. */
    return fabs(td_meta_float(a, i) - td_meta_float(b, i)) <= 2e-7 * fabs(td_meta_float(b, i));
}

static bool same_meta(const td_meta *a, const td_meta *b) {
    if (a->type != b->type || a->n_elem != b->n_elem) return false;
    if (a->type == TD_META_ARRAY && a->elem_type != b->elem_type) return false;
    for (uint64_t i = 0; i < b->n_elem; i++)
        if (!same_element(a, b, i)) return false;
    return true;
}

static bool is_allowed_more(const char *arch, const char *key) {
    const size_t n = strlen(arch);
    const bool own = strncmp(key, arch, n) == 0 && key[n] == '.';
    for (size_t i = 0; i < sizeof may_be_more / sizeof *may_be_more; i++) {
        if (may_be_more[i].arch && strcmp(arch, may_be_more[i].arch) != 0) continue;
        if (strcmp(own ? key + n + 1 : key, may_be_more[i].key) == 0) return true;
    }
    return false;
}

static void compare_metas(const char *name, const td_checkpoint *got, const td_checkpoint *want) {
    td_string arch;
    char arch_text[32];
    td_checkpoint_get_string(want, "general.architecture", true, &arch, NULL);
    snprintf(arch_text, sizeof arch_text, "%.*s", (int)arch.n, arch.text);
    for (size_t i = 0; i < td_checkpoint_n_meta(want); i++) {
        const td_meta *b = td_checkpoint_meta_at(want, i), *a = td_checkpoint_meta(got, b->key);
        if (!a) fail_msg("%s: key '%s' is missing", name, b->key);
        if (!same_meta(a, b) && strcmp(b->key, may_differ) != 0)
            fail_msg("%s: key '%s' has another type or value", name, b->key);
    }
    for (size_t i = 0; i < td_checkpoint_n_meta(got); i++) {
        const char *key = td_checkpoint_meta_at(got, i)->key;
        if (!td_checkpoint_meta(want, key) && !is_allowed_more(arch_text, key))
            fail_msg("%s: key '%s' is not one of the converter's", name, key);
    }
}

/* ---- every architecture ---- */

static void compare_files(const arch_model *m, const char *path) {
    char want_path[] = "/tmp/td_converter_XXXXXX";
    const int fd = mkstemp(want_path);
    assert_true(fd >= 0);
    close(fd);
    arch_model_write_gguf(m, want_path);
    td_checkpoint *got = open_file(path), *want = open_file(want_path);
    compare_tensors(m->name, got, want);
    compare_metas(m->name, got, want);
    td_checkpoint_close(got);
    td_checkpoint_close(want);
    unlink(want_path);
}

static float tolerance_of(const arch_model *m) {
    for (size_t i = 0; i < sizeof sums_differ / sizeof *sums_differ; i++)
        if (strncmp(m->name, sums_differ[i], strlen(sums_differ[i])) == 0) return m->tolerance;
    return 0;
}

static void compare_logits(const arch_model *m, const char *dir, const char *path) {
    float *want = arch_run(m, dir), *got = arch_run(m, path);
    float worst = 0;
    for (int i = 0; i < m->n_position * m->n_vocab; i++)
        worst = fmaxf(worst, fabsf(want[i] - got[i]));
    print_message("%s: max |difference| %.1e\n", m->name, (double)worst);
    assert_true(worst <= tolerance_of(m));
    free(want);
    free(got);
}

static const char *refusal_of(const char *name) {
    for (size_t i = 0; i < sizeof not_written / sizeof *not_written; i++)
        if (strncmp(name, not_written[i], strlen(not_written[i])) == 0) return "this build";
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (strcmp(refused[i].name, name) == 0) return refused[i].words;
    return NULL;
}

static void check_folder(const arch_model *m, const char *dir, const char *path) {
    td_err err;
    const char *words = refusal_of(m->name);
    const td_status status = write_file(dir, path, &err);
    if (words) {
        assert_int_equal(status, TD_ERR_UNSUPPORTED);
        if (!strstr(err.msg, words)) fail_msg("'%s' is not in: %s", words, err.msg);
        assert_int_not_equal(access(path, F_OK), 0);
        return;
    }
    if (status != TD_OK) fail_msg("%s: %s", m->name, err.msg);
    if (m->has_gguf) compare_files(m, path);
    compare_logits(m, dir, path);
    unlink(path);
}

static void test_arch(void **state) {
    arch_model m;
    arch_model_load(&m, *state);
    for (int old = 0; old <= m.has_old_config; old++) {
        char dir[] = "/tmp/td_arch_XXXXXX", path[64];
        assert_non_null(mkdtemp(dir));
        snprintf(path, sizeof path, "%s.gguf", dir);
        arch_model_write_folder(&m, (arch_folder_options){.old_config = old}, dir);
        check_folder(&m, dir, path);
        arch_model_remove_folder(dir);
    }
    arch_model_clear(&m);
}

/* ---- one member of config.json changed ---- */

static const struct {
    const char *name, *key, *value; /* value in JSON */
    const char *words;              /* of the refusal; NULL: that can be said */
} changes[] = {
    {"smollm3_grouped",    "no_rope_layers",  "[1, 1, 1, 1, 1]", "layer 3 attends with positions"     },
    {"smollm3_grouped",    "no_rope_layers",  "[1, 0, 1, 0, 1]", "layer 1 attends without positions"  },
    {"llama_grouped",      "hidden_act",      "\"gelu\"",        "the activation is 'gelu', and"      },
    {"gpt_neox_parallel",  "hidden_act",      "\"gelu_new\"",    NULL                                 },
    {"gemma2_grouped",     "sliding_window",  "null",            "'sliding_window' is missing or 0"   },
    {"mistral_heads_tied", "sliding_window",  "511",             "layer 0 has a sliding window of 511"},
    {"mistral_heads_tied", "sliding_window",  "512",             NULL                                 },
    {"qwen3_grouped",      "architectures",   "[\"NoSuchLM\"]",  "NoSuchLM"                           },
    {"qwen3_grouped",      "rope_parameters",
     "{\"rope_type\": \"yarn\", \"factor\": 2, \"truncate\": false, "
     "\"original_max_position_embeddings\": 256}",               "rope_scaling.truncate is false"     },
};

static void change_config(const char *dir, const char *key, const char *value) {
    char path[128];
    snprintf(path, sizeof path, "%s/config.json", dir);
    json_t *config = json_load_file(path, 0, NULL), *v = json_loads(value, JSON_DECODE_ANY, NULL);
    assert_non_null(config);
    assert_int_equal(json_object_set_new(config, key, v), 0);
    assert_int_equal(json_dump_file(config, path, 0), 0);
    json_decref(config);
}

static void test_changed_configs(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        char dir[] = "/tmp/td_arch_XXXXXX", path[64];
        arch_model m;
        td_err err;
        arch_model_load(&m, changes[i].name);
        assert_non_null(mkdtemp(dir));
        snprintf(path, sizeof path, "%s.gguf", dir);
        arch_model_write_folder(&m, (arch_folder_options){0}, dir);
        change_config(dir, changes[i].key, changes[i].value);
        const td_status status = write_file(dir, path, &err);
        if (changes[i].words)
            assert_int_equal(status, TD_ERR_UNSUPPORTED);
        else if (status != TD_OK)
            fail_msg("%s: %s", changes[i].name, err.msg);
        if (changes[i].words && !strstr(err.msg, changes[i].words)) fail_msg("%s", err.msg);
        unlink(path);
        arch_model_remove_folder(dir);
        arch_model_clear(&m);
    }
}

/* ---- tokenizers ---- */

/* Folders of tokenizers/, and the name of their pre-tokenizer or a part of the refusal.  `loses`
 * says what GGUF leaves out, so that some texts cannot have the same ids. */
typedef enum loss { NOTHING, NFC, EXTRA_SPACES, WHOLE_WORDS } loss;

static const struct {
    const char *name, *pre, *words;
    loss loses;
} tokenizers[] = {
    {"deepseek",          "deepseek-v3", NULL,                        NOTHING     },
    {"kimi",              "kimi-k2",     NULL,                        NOTHING     },
    {"llama3",            "llama-bpe",   NULL,                        WHOLE_WORDS },
    {"qwen",              "qwen2",       NULL,                        NFC         },
    {"metaspace_llama",   "default",     NULL,                        NOTHING     },
    {"spm_bpe",           "default",     NULL,                        EXTRA_SPACES},
    {"spm_bpe_nmt",       "default",     NULL,                        EXTRA_SPACES},
    {"digits",            NULL,          "splits text as no",         NOTHING     },
    {"gpt2",              NULL,          "splits text as no",         NOTHING     }, /* a space in front */
    {"metaspace_first",   NULL,          "is neither byte-level BPE", NOTHING     },
    {"bert",              NULL,          "is neither byte-level BPE", NOTHING     },
    {"unigram",           NULL,          "is neither byte-level BPE", NOTHING     },
    {"spm_unigram_bytes", NULL,          "is neither byte-level BPE", NOTHING     },
    {"tiktoken",          NULL,          "is neither byte-level BPE", NOTHING     },
};

static void link_tokenizer(hf_folder *f, const char *name) {
    static const char *const files[] = {"tokenizer.json", "tokenizer.model",
                                        "cl100k_base.tiktoken"};
    hf_put(f, "config.json", "{}");
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/tests/golden/tokenizers/%s/%s", TD_SOURCE_DIR, name,
                 files[i]);
        if (access(path, R_OK) == 0) assert_int_equal(symlink(path, hf_path(f, files[i])), 0);
    }
}

/* A GGUF file of nothing but the vocabulary, for a model with two rows more than tokens. */
static void write_vocab(const td_vocab *vocab, const char *path) {
    static td_model model;
    td_gguf_writer w;
    td_err err;
    model.config.n_vocab = vocab->n_token + 2;
    if (td_gguf_writer_open(&w, path, &err) != TD_OK ||
        td_folder_put_vocab(&model, vocab, &w, &err) != TD_OK ||
        td_gguf_writer_commit(&w, &err) != TD_OK)
        fail_msg("%s", err.msg);
}

/* True if the text has nothing that the file cannot treat as the folder does: `word` is an added
 * token that is a whole word. */
static bool is_kept(loss loses, const char *text, size_t n) {
    if (loses == NOTHING) return true;
    if (loses != EXTRA_SPACES && memmem(text, n, "word", 4)) return false;
    if (loses == WHOLE_WORDS) return true;
    for (size_t i = 0; i < n; i++) {
        const bool at_end = i == 0 || i == n - 1;
        if ((unsigned char)text[i] >= 0x80) return false;
        if (loses == EXTRA_SPACES && text[i] < ' ') return false;
        if (loses == EXTRA_SPACES && text[i] == ' ' && (at_end || text[i + 1] == ' ')) return false;
    }
    return true;
}

static void compare_text(const td_tokenizer *a, const td_tokenizer *b, const char *text, size_t n) {
    int32_t *x, *y;
    int n_x, n_y;
    td_err err;
    assert_int_equal(td_tokenizer_encode(a, text, n, TD_TOKENIZE_ADD_SPECIAL, &x, &n_x, &err), 0);
    assert_int_equal(td_tokenizer_encode(b, text, n, TD_TOKENIZE_ADD_SPECIAL, &y, &n_y, &err), 0);
    if (n_x != n_y || (n_x > 0 && memcmp(x, y, (size_t)n_x * sizeof *x) != 0))
        fail_msg("other ids for '%.*s'", (int)n, text);
    td_free(x);
    td_free(y);
}

/* How many texts of cases.json were compared. */
static int compare_texts(size_t i, const td_vocab *of_folder, const td_vocab *of_file) {
    char path[512], *json;
    size_t n_json;
    td_err err;
    td_tokenizer *a, *b;
    int n_done = 0;
    snprintf(path, sizeof path, "%s/tests/golden/tokenizers/%s/cases.json", TD_SOURCE_DIR,
             tokenizers[i].name);
    assert_int_equal(td_file_read(path, 1 << 24, &json, &n_json, &err), TD_OK);
    json_t *cases = json_loadb(json, n_json, JSON_ALLOW_NUL, NULL), *row;
    size_t i_case;
    assert_non_null(cases);
    assert_int_equal(td_tokenizer_create(&a, of_folder, &err), TD_OK);
    assert_int_equal(td_tokenizer_create(&b, of_file, &err), TD_OK);
    json_array_foreach(cases, i_case, row) {
        const json_t *text = json_array_get(row, 0);
        const char *s = json_string_value(text);
        const size_t n = json_string_length(text);
        if (!is_kept(tokenizers[i].loses, s, n)) continue;
        compare_text(a, b, s, n);
        n_done++;
    }
    td_tokenizer_free(a);
    td_tokenizer_free(b);
    json_decref(cases);
    td_free(json);
    return n_done;
}

static void check_written(size_t i, const td_vocab *of_folder, hf_folder *f) {
    char path[64];
    td_vocab vocab;
    td_err err;
    snprintf(path, sizeof path, "%s.gguf", f->path);
    write_vocab(of_folder, path);
    td_checkpoint *ckpt = open_file(path);
    if (td_checkpoint_read_vocab(ckpt, &vocab, &err) != TD_OK) fail_msg("%s", err.msg);
    assert_string_equal(vocab.pre, tokenizers[i].pre);
    assert_int_equal(vocab.n_token, of_folder->n_token + 2);
    assert_int_equal(vocab.tokens[vocab.n_token - 1].type, TD_TOKEN_UNUSED);
    assert_true(compare_texts(i, of_folder, &vocab) > 10);
    td_vocab_clear(&vocab);
    td_checkpoint_close(ckpt);
    unlink(path);
}

static void test_tokenizer(void **state) {
    const size_t i = *(size_t *)*state;
    hf_folder f;
    td_checkpoint *ckpt;
    td_vocab vocab;
    td_err err;
    hf_make(&f);
    link_tokenizer(&f, tokenizers[i].name);
    if (td_checkpoint_open(&ckpt, f.path, &err) != TD_OK) fail_msg("%s", err.msg);
    const td_status status = td_folder_read_vocab(ckpt, &vocab, &err);
    if (tokenizers[i].words) {
        assert_int_equal(status, TD_ERR_UNSUPPORTED);
        if (!strstr(err.msg, tokenizers[i].words)) fail_msg("%s", err.msg);
    } else {
        if (status != TD_OK) fail_msg("%s", err.msg);
        check_written(i, &vocab, &f);
        td_vocab_clear(&vocab);
    }
    td_checkpoint_close(ckpt);
    hf_remove(&f);
}

/* Beside a tokenizer.json of merges, tokenizer.model has the scores. */
static void test_scores(void **state) {
    (void)state;
    hf_folder f;
    td_checkpoint *ckpt;
    td_vocab vocab;
    td_err err;
    hf_make(&f);
    link_tokenizer(&f, "metaspace_llama");
    assert_int_equal(td_checkpoint_open(&ckpt, f.path, &err), TD_OK);
    assert_int_equal(td_folder_read_vocab(ckpt, &vocab, &err), TD_OK);
    assert_int_equal(vocab.model, TD_VOCAB_SPM);
    assert_true(vocab.n_merge > 0);
    td_vocab_clear(&vocab);
    unlink(hf_path(&f, "config.json"));
    link_tokenizer(&f, "spm_bpe");
    assert_int_equal(td_folder_read_vocab(ckpt, &vocab, &err), TD_OK);
    assert_int_equal(vocab.model, TD_VOCAB_SPM);
    assert_int_equal(vocab.n_merge, 0);
    td_vocab_clear(&vocab);
    td_checkpoint_close(ckpt);
    hf_remove(&f);
}

/* ---- the program ---- */

int main(void) {
    int n_model;
    size_t n = 0;
    char **models = arch_model_list(&n_model);
    enum { N_TOKENIZER = sizeof tokenizers / sizeof *tokenizers };
    size_t indices[N_TOKENIZER];
    struct CMUnitTest *tests = calloc((size_t)n_model + N_TOKENIZER + 2, sizeof *tests);
    if (!tests || n_model == 0) return 1;
    for (int i = 0; i < n_model; i++)
        tests[n++] = (struct CMUnitTest){
            .name = models[i], .test_func = test_arch, .initial_state = models[i]};
    for (size_t i = 0; i < N_TOKENIZER; i++) {
        indices[i] = i;
        tests[n++] = (struct CMUnitTest){
            .name = tokenizers[i].name, .test_func = test_tokenizer, .initial_state = &indices[i]};
    }
    tests[n++] = (struct CMUnitTest){.name = "changed_configs", .test_func = test_changed_configs};
    tests[n++] = (struct CMUnitTest){.name = "scores", .test_func = test_scores};
    const int n_failed = _cmocka_run_group_tests("quantize_folder", tests, n, NULL, NULL);
    for (int i = 0; i < n_model; i++) free(models[i]);
    free(models);
    free(tests);
    return n_failed;
}
