/* test_checkpoint_hf.c - Hugging Face folders: which files a path leads to, metadata, shards, and
 * which arrays make one quantized weight. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "format/checkpoint.h"
#include "tensor/quantize.h"
#include "tensor/source.h"

#include "support/gguf_builder.h"
#include "support/gguf_walk.h"
#include "support/hf_folder.h"

static td_checkpoint *open_path(const char *path) {
    td_checkpoint *ckpt;
    td_err err;
    if (td_checkpoint_open(&ckpt, path, &err) != TD_OK) fail_msg("%s", err.msg);
    gguf_walk(ckpt);
    return ckpt;
}

static void check_refused(const char *path, const char *says) {
    td_err err = {0};
    td_checkpoint *ckpt = (td_checkpoint *)&err;
    const td_status status = td_checkpoint_open(&ckpt, path, &err);
    assert_null(ckpt);
    if (status == TD_OK || !strstr(err.msg, says) || !strstr(err.msg, "/tmp/td_hf_"))
        fail_msg("wanted '%s', got status %d, '%s'", says, (int)status, err.msg);
}

/* One float tensor of that name. */
static void put_weights(hf_folder *f, const char *file, const char *tensor) {
    st_builder b = {0};
    st_add(&b, tensor, "F32", "[2, 2]", NULL, 16);
    assert_int_equal(st_write(&b, hf_path(f, file)), 0);
    st_clear(&b);
}

static void put_gguf(hf_folder *f, const char *file) {
    static const float one = 1;
    gguf_builder b = {0};
    gguf_add_string(&b, "general.name", "Some name");
    gguf_add_tensor(&b, "g", TD_DTYPE_F32, 1, (int64_t[]){1}, &one, 4);
    assert_int_equal(gguf_write(&b, hf_path(f, file)), 0);
    gguf_builder_clear(&b);
}

static td_status open_with(td_checkpoint **ckpt, const char *folder, const char *weights,
                           td_err *err) {
    *ckpt = (td_checkpoint *)err;
    *err = (td_err){0};
    const td_status status = td_checkpoint_open_with(ckpt, folder, weights, err);
    if (status != TD_OK) assert_null(*ckpt);
    return status;
}

static void check_refused_with(const char *folder, const char *weights, const char *says) {
    td_checkpoint *ckpt;
    td_err err;
    const td_status status = open_with(&ckpt, folder, weights, &err);
    if (status == TD_OK || !strstr(err.msg, says) || !strstr(err.msg, "/tmp/td_hf_"))
        fail_msg("wanted '%s', got status %d, '%s'", says, (int)status, err.msg);
}

/* ---- which files ---- */

static void test_paths(void **state) {
    (void)state;
    static const struct {
        const char *path, *tensor;
        int n_file;
    } rows[] = {
        {"",                  "a", 1},
        {"config.json",       "a", 1},
        {"model.safetensors", "a", 1},
        {"other.safetensors", "b", 1}, /* not of the folder's weights: alone */
    };
    hf_folder f;
    hf_make(&f);
    hf_put(&f, "config.json", "{\"hidden_size\": 7}");
    hf_put(&f, "generation_config.json", "{\"top_k\": 5}");
    put_weights(&f, "model.safetensors", "a");
    put_weights(&f, "other.safetensors", "b");
    put_gguf(&f, "m.gguf");
    hf_put(&f, "pytorch_model.bin", "PK");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        td_checkpoint *ckpt = open_path(hf_path(&f, rows[i].path));
        int64_t v = 0;
        assert_int_equal(td_checkpoint_get_kind(ckpt), TD_CHECKPOINT_HF);
        assert_int_equal(td_checkpoint_n_file(ckpt), rows[i].n_file);
        assert_int_equal(td_checkpoint_n_tensor(ckpt), 1);
        assert_non_null(td_checkpoint_tensor(ckpt, rows[i].tensor));
        assert_int_equal(strncmp(td_checkpoint_folder(ckpt), f.path, strlen(f.path)), 0);
        const td_string name = td_checkpoint_name(ckpt);
        assert_int_equal(name.n, strlen(f.path) - strlen("/tmp/"));
        assert_memory_equal(name.text, f.path + strlen("/tmp/"), name.n);
        assert_int_equal(td_checkpoint_get_int(ckpt, "hidden_size", true, 0, 9, &v, NULL), TD_OK);
        assert_int_equal(v, 7);
        assert_int_equal(
            td_checkpoint_get_int(ckpt, "generation_config.top_k", true, 0, 9, &v, NULL), TD_OK);
        assert_int_equal(v, 5);
        const td_tensor *t = td_checkpoint_tensor_at(ckpt, 0);
        td_checkpoint_will_need(ckpt, t);
        td_checkpoint_dont_need(ckpt, t);
        assert_int_equal(td_checkpoint_file_bytes(ckpt, 0), t->offset + 16);
        td_checkpoint_close(ckpt);
    }
    check_refused(hf_path(&f, "missing.safetensors"), "cannot open");
    check_refused(hf_path(&f, "pytorch_model.bin"), "is a pickle");
    hf_remove(&f);
}

static void test_config_only(void **state) {
    (void)state;
    hf_folder f;
    td_err err;
    int64_t v;
    hf_make(&f);
    check_refused(f.path, "a folder without config.json, .safetensors or .gguf");
    hf_put(&f, "config.json", "{\"a\": {\"b\": 300}}");
    td_checkpoint *ckpt = open_path(f.path);
    assert_int_equal(td_checkpoint_n_tensor(ckpt), 0);
    assert_int_equal(td_checkpoint_n_file(ckpt), 1);
    assert_null(td_checkpoint_tensor(ckpt, "a"));
    assert_int_equal(td_checkpoint_get_int(ckpt, "a.b", true, 0, 9, &v, &err), TD_ERR_FORMAT);
    assert_non_null(strstr(err.msg, "/config.json: key 'a.b' is 300, wanted 0 to 9"));
    td_checkpoint_close(ckpt);
    hf_put(&f, "pytorch_model.bin", "PK");
    check_refused(f.path, "pytorch_model.bin is a pickle");
    hf_remove(&f);
}

static void test_gguf_in_folder(void **state) {
    (void)state;
    hf_folder f;
    hf_make(&f);
    hf_put(&f, "config.json", "{}");
    put_gguf(&f, "m.gguf");
    put_gguf(&f, "mmproj-m.gguf");
    td_checkpoint *ckpt = open_path(f.path);
    assert_int_equal(td_checkpoint_get_kind(ckpt), TD_CHECKPOINT_GGUF);
    assert_null(td_checkpoint_folder(ckpt));
    assert_non_null(td_checkpoint_tensor(ckpt, "g"));
    const td_string name = td_checkpoint_name(ckpt);
    assert_int_equal(name.n, 9);
    assert_memory_equal(name.text, "Some name", 9);
    td_checkpoint_close(ckpt);
    put_gguf(&f, "n.gguf");
    check_refused(f.path, "'m.gguf' and 'n.gguf' among them");
    check_refused_with(f.path, f.path, "'m.gguf' and 'n.gguf' among them");
    hf_empty(&f);
    for (int i = 1; i <= 2; i++) {
        char file[64];
        gguf_builder b = {0};
        gguf_add_u16(&b, "split.no", (uint16_t)(i - 1));
        gguf_add_u16(&b, "split.count", 2);
        snprintf(file, sizeof file, "m-%05d-of-00002.gguf", i);
        assert_int_equal(gguf_write(&b, hf_path(&f, file)), 0);
        gguf_builder_clear(&b);
    }
    ckpt = open_path(f.path);
    assert_int_equal(td_checkpoint_n_file(ckpt), 2);
    td_checkpoint_close(ckpt);
    hf_remove(&f);
}

/* One quantization out of a repository of many lies in a folder of its own. */
static void test_gguf_below(void **state) {
    (void)state;
    hf_folder f;
    hf_make(&f);
    assert_int_equal(mkdir(hf_path(&f, "Q4"), 0777), 0);
    assert_int_equal(mkdir(hf_path(&f, "Q8"), 0777), 0);
    check_refused(f.path, "a folder without config.json, .safetensors or .gguf");
    put_gguf(&f, "Q8/mmproj-m.gguf");
    put_gguf(&f, "Q8/m.gguf");
    td_checkpoint *ckpt = open_path(f.path);
    assert_int_equal(td_checkpoint_get_kind(ckpt), TD_CHECKPOINT_GGUF);
    td_checkpoint_close(ckpt);
    put_gguf(&f, "Q4/m.gguf");
    check_refused(f.path, "'Q4/m.gguf' and 'Q8/m.gguf' among them");
    for (int i = 0; i < 3; i++) {
        static const char *const files[] = {"Q8/mmproj-m.gguf", "Q8/m.gguf", "Q4/m.gguf"};
        unlink(hf_path(&f, files[i]));
    }
    rmdir(hf_path(&f, "Q4"));
    rmdir(hf_path(&f, "Q8"));
    hf_remove(&f);
}

/* ---- weights elsewhere ---- */

static const char *string_of(const td_checkpoint *ckpt, const char *key, char out[32]) {
    td_string s;
    assert_int_equal(td_checkpoint_get_string(ckpt, key, true, &s, NULL), TD_OK);
    assert_in_range(s.n, 0, 31);
    memcpy(out, s.text, s.n);
    out[s.n] = 0;
    return out;
}

static const char word_tokenizer[] =
    "{\"model\": {\"type\": \"WordLevel\", \"unk_token\": \"b\", \"vocab\": {\"a\": 0, \"b\": 1}}}";

/* GGUF's metadata count, the folder's stand beside them; its own weights are not looked at. */
static void test_gguf_elsewhere(void **state) {
    (void)state;
    hf_folder config, weights;
    td_checkpoint *ckpt;
    td_err err;
    td_vocab vocab;
    char text[32];
    hf_make(&config);
    hf_make(&weights);
    hf_put(&config, "config.json", "{\"model_type\": \"x\"}");
    hf_put(&config, "model.safetensors", "not weights");
    put_gguf(&weights, "m.gguf");
    for (int way = 0; way < 2; way++) { /* by the folder and by the file */
        char path[64];
        snprintf(path, sizeof path, "%s%s", weights.path, way ? "/m.gguf" : "");
        if (open_with(&ckpt, config.path, path, &err) != TD_OK) fail_msg("%s", err.msg);
        assert_int_equal(td_checkpoint_get_kind(ckpt), TD_CHECKPOINT_GGUF);
        assert_string_equal(string_of(ckpt, "general.name", text), "Some name");
        assert_string_equal(string_of(td_checkpoint_beside(ckpt), "model_type", text), "x");
        assert_int_equal(td_checkpoint_n_tensor(td_checkpoint_beside(ckpt)), 0);
        assert_false(td_checkpoint_has_vocab(ckpt));
        td_checkpoint_close(ckpt);
    }
    hf_put(&config, "tokenizer.json", word_tokenizer);
    assert_int_equal(open_with(&ckpt, hf_path(&config, "config.json"), weights.path, &err), TD_OK);
    assert_true(td_checkpoint_has_vocab(ckpt));
    if (td_checkpoint_read_vocab(ckpt, &vocab, &err) != TD_OK) fail_msg("%s", err.msg);
    assert_int_equal(vocab.n_token, 2);
    assert_null(vocab.chat_template);
    td_vocab_clear(&vocab);
    td_checkpoint_close(ckpt);

    check_refused_with("/tmp/td_hf_none", weights.path, "cannot open '/tmp/td_hf_none'");
    check_refused_with(hf_path(&weights, "m.gguf"), weights.path, "a file: with weights in");
    check_refused_with(weights.path, weights.path, "a folder without config.json: wanted");
    check_refused_with(config.path, "/tmp/td_hf_none", "cannot open '/tmp/td_hf_none'");
    hf_put(&weights, "config.json", "{");
    check_refused_with(weights.path, weights.path, "/config.json: ");
    hf_remove(&config);
    hf_remove(&weights);
}

/* A template that the folder lacks is taken from the GGUF file. */
static void test_template_of_gguf(void **state) {
    (void)state;
    hf_folder f;
    td_checkpoint *ckpt;
    td_err err;
    td_vocab vocab;
    gguf_builder b = {0};
    hf_make(&f);
    hf_put(&f, "config.json", "{}");
    hf_put(&f, "tokenizer.json", word_tokenizer);
    gguf_add_string(&b, "tokenizer.chat_template", "of GGUF");
    gguf_add_tensor(&b, "g", TD_DTYPE_F32, 1, (int64_t[]){1}, &(float){1}, 4);
    assert_int_equal(gguf_write(&b, hf_path(&f, "m.gguf")), 0);
    gguf_builder_clear(&b);
    for (int i = 0; i < 2; i++) {
        if (i == 1) hf_put(&f, "chat_template.jinja", "of the folder");
        assert_int_equal(open_with(&ckpt, f.path, f.path, &err), TD_OK);
        if (td_checkpoint_read_vocab(ckpt, &vocab, &err) != TD_OK) fail_msg("%s", err.msg);
        assert_string_equal(vocab.chat_template, i == 0 ? "of GGUF" : "of the folder");
        td_vocab_clear(&vocab);
        td_checkpoint_close(ckpt);
    }
    hf_remove(&f);
}

/* Safetensors take the folder's configuration where they have none, for their scales too. */
static void test_safetensors_elsewhere(void **state) {
    (void)state;
    hf_folder config, weights;
    td_checkpoint *ckpt;
    td_err err;
    char text[32];
    hf_make(&config);
    hf_make(&weights);
    hf_put(&config, "config.json",
           "{\"model_type\": \"x\", \"quantization_config\": {"
           "\"quant_method\": \"fp8\", \"weight_block_size\": [2, 128]}}");
    check_refused_with(config.path, config.path, "no weights");
    st_builder b = {0};
    uint8_t eights[4 * 128] = {0};
    st_add(&b, "a.weight", "F8_E4M3", "[4, 128]", eights, sizeof eights);
    st_add(&b, "a.weight_scale_inv", "F32", "[2, 1]", (const float[]){1, 2}, 8);
    assert_int_equal(st_write(&b, hf_path(&weights, "w.safetensors")), 0);
    st_clear(&b);
    if (open_with(&ckpt, config.path, weights.path, &err) != TD_OK) fail_msg("%s", err.msg);
    assert_int_equal(td_checkpoint_get_kind(ckpt), TD_CHECKPOINT_HF);
    assert_string_equal(string_of(ckpt, "model_type", text), "x");
    assert_int_equal(td_checkpoint_tensor(ckpt, "a.weight")->source->scale_rows, 2);
    int64_t v;
    assert_int_equal(td_checkpoint_get_int(ckpt, "model_type", true, 0, 9, &v, &err),
                     TD_ERR_FORMAT);
    assert_non_null(strstr(err.msg, "/config.json: key 'model_type'"));
    td_checkpoint_close(ckpt);

    hf_put(&weights, "config.json", "{\"model_type\": \"y\"}"); /* then it is theirs */
    assert_int_equal(open_with(&ckpt, config.path, weights.path, &err), TD_ERR_FORMAT);
    assert_non_null(strstr(err.msg, "a.weight_scale_inv"));
    unlink(hf_path(&weights, "w.safetensors"));
    put_weights(&weights, "v.safetensors", "b");
    assert_int_equal(open_with(&ckpt, config.path, weights.path, &err), TD_OK);
    assert_string_equal(string_of(ckpt, "model_type", text), "y");
    assert_string_equal(string_of(td_checkpoint_beside(ckpt), "model_type", text), "x");
    td_checkpoint_close(ckpt);
    hf_remove(&config);
    hf_remove(&weights);
}

/* Folders that KTransformers makes. */
static void test_merged(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"blk.0.ffn_up_exps.ggml_type",       "has merged"               },
        {"blk.3.ffn_up_exps.7.numa.1.weight", "has packed for NUMA nodes"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        hf_folder f;
        hf_make(&f);
        hf_put(&f, "config.json", "{}");
        put_weights(&f, "model.safetensors", rows[i][0]);
        td_checkpoint *ckpt = open_path(f.path);
        const char *why = td_checkpoint_unsupported(ckpt);
        if (!why || !strstr(why, rows[i][0]) || !strstr(why, rows[i][1]))
            fail_msg("'%s' says '%s'", rows[i][0], why ? why : "nothing");
        td_checkpoint_close(ckpt);
        hf_remove(&f);
    }
}

/* ---- shards ---- */

static const char good_index[] = "{\"metadata\": {\"total_size\": 32}, \"weight_map\": "
                                 "{\"a\": \"s-2.safetensors\", \"b\": \"s-1.safetensors\"}}";

static void test_shards(void **state) {
    (void)state;
    static const char *const paths[] = {"", "s-1.safetensors", "model.safetensors.index.json"};
    hf_folder f;
    hf_make(&f);
    put_weights(&f, "s-2.safetensors", "a");
    put_weights(&f, "s-1.safetensors", "b");
    put_weights(&f, "more.safetensors", "c");
    hf_put(&f, "model.safetensors.index.json", good_index);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        td_checkpoint *ckpt = open_path(hf_path(&f, paths[i]));
        assert_int_equal(td_checkpoint_n_file(ckpt), 2);
        assert_int_equal(td_checkpoint_n_tensor(ckpt), 2);
        assert_int_equal(td_checkpoint_tensor(ckpt, "a")->i_file, 1);
        assert_int_equal(td_checkpoint_tensor(ckpt, "b")->i_file, 0);
        td_checkpoint_close(ckpt);
    }
    unlink(hf_path(&f, "model.safetensors.index.json")); /* then all files */
    td_checkpoint *ckpt = open_path(f.path);
    assert_int_equal(td_checkpoint_n_tensor(ckpt), 3);
    td_checkpoint_close(ckpt);
    put_weights(&f, "again.safetensors", "a");
    check_refused(f.path, "tensor 'a' appears twice");
    hf_remove(&f);
}

static void test_bad_index(void **state) {
    (void)state;
    static const struct {
        const char *index, *says;
    } rows[] = {
        {"[]",                                                                         "no JSON object"                 },
        {"{\"weight_map\": ",                                                          "line 1"                         },
        {"{}",                                                                         "weight_map is missing"          },
        {"{\"weight_map\": {}}",                                                       "weight_map is missing, empty"   },
        {"{\"weight_map\": {\"a\": 1}}",                                               "the file of tensor 'a'"         },
        {"{\"weight_map\": {\"a\": \"../s-2.safetensors\"}}",                          "the file of tensor 'a'"         },
        {"{\"weight_map\": {\"a\": \"config.json\"}}",                                 "the file of tensor 'a'"         },
        {"{\"weight_map\": {\"a\": \"no.safetensors\"}}",                              "cannot open"                    },
        {"{\"weight_map\": {\"x\": \"s-2.safetensors\"}}",                             "'x' is not in 's-2.safetensors'"},
        {"{\"weight_map\": {\"a\": \"s-1.safetensors\", \"b\": \"s-2.safetensors\"}}",
         "'a' is not in 's-1.safetensors'"                                                                              },
        {"{\"weight_map\": {\"a\": \"s-2.safetensors\", \"a\": \"s-2.safetensors\"}}",
         "duplicate object key"                                                                                         },
    };
    hf_folder f;
    hf_make(&f);
    hf_put(&f, "config.json", "{}");
    put_weights(&f, "s-2.safetensors", "a");
    put_weights(&f, "s-1.safetensors", "b");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        hf_put(&f, "model.safetensors.index.json", rows[i].index);
        check_refused(f.path, rows[i].says);
    }
    hf_remove(&f);
}

/* ---- metadata ---- */

static void test_config_values(void **state) {
    (void)state;
    hf_folder f;
    td_string s;
    double d = 0;
    int64_t ints[3];
    bool flag = false;
    hf_make(&f);
    hf_put(&f, "config.json",
           "{\"architectures\": [\"LlamaForCausalLM\", \"\"], \"rope\": {\"factor\": 8, \"deep\": "
           "{\"low\": 0.5}}, \"none\": null, \"flag\": true, \"ids\": [1, 2, 3], \"mixed\": [1, "
           "2.5], \"empty\": [], \"odd\": [7, null, {\"x\": \"y\"}], \"big\": "
           "-9223372036854775808, \"bools\": [true, false], \"nul\": \"a\\u0000b\"}");
    td_checkpoint *ckpt = open_path(f.path);
    const td_meta *m = td_checkpoint_meta(ckpt, "architectures");
    assert_int_equal(m->type, TD_META_ARRAY);
    assert_int_equal(m->elem_type, TD_META_STRING);
    assert_int_equal(m->n_elem, 2);
    s = td_meta_string(m, 0);
    assert_int_equal(s.n, strlen("LlamaForCausalLM"));
    assert_memory_equal(s.text, "LlamaForCausalLM", s.n);
    assert_int_equal(td_meta_string(m, 1).n, 0);
    assert_int_equal(td_checkpoint_get_float(ckpt, "rope.factor", true, &d, NULL), TD_OK);
    assert_true(d == 8);
    assert_int_equal(td_checkpoint_get_float(ckpt, "rope.deep.low", true, &d, NULL), TD_OK);
    assert_true(d == 0.5);
    assert_null(td_checkpoint_meta(ckpt, "none"));
    assert_null(td_checkpoint_meta(ckpt, "rope"));
    assert_int_equal(td_checkpoint_get_bool(ckpt, "flag", &flag, NULL), TD_OK);
    assert_true(flag);
    assert_int_equal(td_checkpoint_get_ints(ckpt, "ids", true, 0, 9, 3, ints, NULL), TD_OK);
    assert_int_equal(ints[2], 3);
    m = td_checkpoint_meta(ckpt, "mixed");
    assert_int_equal(m->elem_type, TD_META_FLOAT);
    assert_true(td_meta_float(m, 0) == 1 && td_meta_float(m, 1) == 2.5);
    assert_int_equal(td_checkpoint_meta(ckpt, "empty")->n_elem, 0);
    assert_int_equal(td_meta_int(td_checkpoint_meta(ckpt, "odd.0"), 0), 7);
    assert_null(td_checkpoint_meta(ckpt, "odd.1"));
    assert_int_equal(td_meta_string(td_checkpoint_meta(ckpt, "odd.2.x"), 0).n, 1);
    assert_true(td_meta_int(td_checkpoint_meta(ckpt, "big"), 0) == INT64_MIN);
    m = td_checkpoint_meta(ckpt, "bools");
    assert_true(td_meta_bool(m, 0) && !td_meta_bool(m, 1));
    assert_int_equal(td_meta_string(td_checkpoint_meta(ckpt, "nul"), 0).n, 3);
    td_checkpoint_close(ckpt);
    hf_remove(&f);
}

static void test_bad_config(void **state) {
    (void)state;
    static const struct {
        const char *config, *says;
    } rows[] = {
        {"",                                "line 1"                    },
        {"7",                               "line 1"                    },
        {"[1]",                             "no JSON object"            },
        {"{\"a\": 1, \"a\": 2}",            "duplicate object key"      },
        {"{\"a\": {\"b\": 1}, \"a.b\": 2}", "key 'a.b' appears twice"   },
        {"{\"a\\u0007\": 1}",               "without control characters"},
        {"{\"a\": 1e999}",                  "real number overflow"      },
    };
    hf_folder f;
    hf_make(&f);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        hf_put(&f, "config.json", rows[i].config);
        check_refused(f.path, rows[i].says);
    }
    char deep[512] = "";
    for (int i = 0; i < 40; i++) strcat(deep, "{\"a\":");
    strcat(deep, "1");
    for (int i = 0; i < 40; i++) strcat(deep, "}");
    hf_put(&f, "config.json", deep);
    check_refused(f.path, "nested deeper than 32 levels");
    hf_remove(&f);
}

/* ---- quantized weights: values ---- */

enum { N = 16, K = 256 }; /* outputs and inputs of all weights here */

#define FP8_CONFIG "{\"quantization_config\": {\"quant_method\": \"fp8\"}}"
#define CT_CONFIG  "{\"quantization_config\": {\"quant_method\": \"compressed-tensors\"}}"
#define GPTQ(member)                                                                               \
    "{\"quantization_config\": {\"quant_method\": \"gptq\", \"bits\": 4" member "}}"
#define AWQ(member) "{\"quantization_config\": {\"quant_method\": \"awq\", \"bits\": 4" member "}}"

/* The arrays of a weight, as the file has them. */
typedef struct arrays {
    const uint8_t *data, *scale, *zero;
} arrays;

static uint32_t word_at(const uint8_t *p, int i) {
    uint32_t v;
    memcpy(&v, p + 4 * i, 4);
    return v;
}

static float f16_at(const uint8_t *p, int i) {
    return td_f16_to_f32((uint16_t)(p[2 * i] | p[2 * i + 1] << 8));
}

static float bf16_at(const uint8_t *p, int i) {
    return td_bf16_to_f32((uint16_t)(p[2 * i] | p[2 * i + 1] << 8));
}

/* Codes of the pattern are positive and below 113: no sign, no NaN. */
static float e4m3_of(uint8_t b) {
    const float fraction = (float)(b & 7) / 8;
    return b >> 3 == 0 ? fraction / 64 : (1 + fraction) * (float)(1 << (b >> 3)) / 128;
}

static float f8_channel(const arrays *a, int row, int col) {
    return e4m3_of(a->data[row * K + col]) * bf16_at(a->scale, row);
}

static float f8_block(const arrays *a, int row, int col) {
    float d;
    memcpy(&d, a->scale + 4 * (row / 128 * (K / 128) + col / 128), 4);
    return e4m3_of(a->data[row * K + col]) * d;
}

static int packed_at(const arrays *a, int row, int col) {
    return (int)(word_at(a->data, row * (K / 8) + col / 8) >> 4 * (col % 8) & 15) - 8;
}

static float int4_bf16(const arrays *a, int row, int col) {
    return bf16_at(a->scale, row * (K / 32) + col / 32) * (float)packed_at(a, row, col);
}

static float int4_f16(const arrays *a, int row, int col) {
    return f16_at(a->scale, row * (K / 32) + col / 32) * (float)packed_at(a, row, col);
}

static float gptq_value(const arrays *a, int row, int col, int add) {
    const int group = col / 64;
    const int q = (int)(word_at(a->data, col / 8 * N + row) >> 4 * (col % 8) & 15);
    const int z = (int)(word_at(a->zero, group * (N / 8) + row / 8) >> 4 * (row % 8) & 15);
    return f16_at(a->scale, group * N + row) * (float)(q - (z + add) % 16);
}

static float gptq_v1(const arrays *a, int row, int col) { return gptq_value(a, row, col, 1); }
static float gptq_v2(const arrays *a, int row, int col) { return gptq_value(a, row, col, 0); }

static float awq_value(const arrays *a, int row, int col) {
    static const int order[8] = {0, 2, 4, 6, 1, 3, 5, 7};
    int place = 0;
    while (order[place] != row % 8) place++;
    const int q = (int)(word_at(a->data, col * (N / 8) + row / 8) >> 4 * place & 15);
    const int z = (int)(word_at(a->zero, col / 128 * (N / 8) + row / 8) >> 4 * place & 15);
    return f16_at(a->scale, col / 128 * N + row) * (float)(q - z);
}

static float mxfp4_value(const arrays *a, int row, int col) {
    static const float values[8] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
    const uint8_t q = a->data[(row * K + col) / 2] >> 4 * (col % 2) & 15;
    const float d = ldexpf(1, a->scale[row * (K / 32) + col / 32] - 127);
    return d * (q & 8 ? -values[q & 7] : values[q & 7]);
}

static const struct {
    const char *config, *name; /* of the tensor */
    struct {
        const char *name, *dtype, *shape;
        size_t n_byte;
    } parts[3]; /* data, scales, zeros */
    td_dtype dtype;
    float (*value)(const arrays *a, int row, int col);
} kinds[] = {
    {FP8_CONFIG,
     "a.weight",   {{"a.weight", "F8_E4M3", "[16, 256]", 4096}, {"a.weight_scale", "BF16", "[16, 1]", 32}},
     TD_DTYPE_F8_E4M3,   f8_channel },
    {FP8_CONFIG,
     "a.weight",   {{"a.weight", "F8_E4M3", "[16, 256]", 4096}, {"a.weight_scale_inv", "F32", "[1, 2]", 8}},
     TD_DTYPE_F8_E4M3,   f8_block   },
    {CT_CONFIG,
     "a.weight",   {{"a.weight_packed", "I32", "[16, 32]", 2048}, {"a.weight_scale", "BF16", "[16, 8]", 256}},
     TD_DTYPE_INT4,      int4_bf16  },
    {CT_CONFIG,
     "a.weight",   {{"a.weight_packed", "I32", "[16, 32]", 2048}, {"a.weight_scale", "F16", "[16, 8]", 256}},
     TD_DTYPE_Q4_0,      int4_f16   },
    {GPTQ(", \"group_size\": 64"),
     "a.weight",   {{"a.qweight", "I32", "[32, 16]", 2048},
      {"a.scales", "F16", "[4, 16]", 128},
      {"a.qzeros", "I32", "[4, 2]", 32}},
     TD_DTYPE_INT4_Z32,  gptq_v1    },
    {GPTQ(", \"checkpoint_format\": \"gptq_v2\""),
     "a.weight",   {{"a.qweight", "I32", "[32, 16]", 2048},
      {"a.scales", "F16", "[4, 16]", 128},
      {"a.qzeros", "I32", "[4, 2]", 32}},
     TD_DTYPE_INT4_Z32,  gptq_v2    },
    {AWQ(", \"version\": \"GEMM\""),
     "a.weight",   {{"a.qweight", "I32", "[256, 2]", 2048},
      {"a.scales", "F16", "[2, 16]", 64},
      {"a.qzeros", "I32", "[2, 2]", 16}},
     TD_DTYPE_INT4_Z128, awq_value  },
    {CT_CONFIG,
     "a.weight",   {{"a.weight_packed", "U8", "[16, 128]", 2048}, {"a.weight_scale", "U8", "[16, 8]", 128}},
     TD_DTYPE_MXFP4,     mxfp4_value},
    {"{}",
     "experts.up", {{"experts.up_blocks", "U8", "[2, 8, 8, 16]", 2048},
      {"experts.up_scales", "U8", "[2, 8, 8]", 128}},
     TD_DTYPE_MXFP4,     mxfp4_value},
};

static void check_values(const td_tensor *t, size_t i) {
    arrays a = {.data = t->data, .scale = t->source->scale, .zero = t->source->zero};
    uint8_t *scratch = (uint8_t *)malloc(td_tensor_row_bytes(t));
    float y[K];
    assert_non_null(scratch);
    for (int row = 0; row < N; row++) {
        td_dequantize_row(t->dtype, td_tensor_row(t, row, scratch), y, K);
        for (int col = 0; col < K; col++)
            if (y[col] != kinds[i].value(&a, row, col))
                fail_msg("kind %zu, row %d, column %d: %g", i, row, col, (double)y[col]);
    }
    free(scratch);
}

static void test_quantized_values(void **state) {
    (void)state;
    hf_folder f;
    hf_make(&f);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        st_builder b = {0};
        size_t n_byte = 0;
        st_add(&b, "pad", "U8", "[1]", NULL, 1); /* nothing behind it is aligned */
        for (int p = 2; p >= 0; p--) {           /* the main array comes last */
            if (!kinds[i].parts[p].name) continue;
            st_add(&b, kinds[i].parts[p].name, kinds[i].parts[p].dtype, kinds[i].parts[p].shape,
                   NULL, kinds[i].parts[p].n_byte);
            n_byte += kinds[i].parts[p].n_byte;
        }
        hf_put(&f, "config.json", kinds[i].config);
        assert_int_equal(st_write(&b, hf_path(&f, "model.safetensors")), 0);
        td_checkpoint *ckpt = open_path(f.path);
        const td_tensor *t = td_checkpoint_tensor(ckpt, kinds[i].name);
        if (!t) fail_msg("kind %zu: no tensor", i);
        assert_null(td_checkpoint_unsupported(ckpt));
        assert_int_equal(td_checkpoint_n_tensor(ckpt), 2);
        assert_int_equal(t->dtype, kinds[i].dtype);
        assert_int_equal(t->ne[0], K);
        assert_int_equal(td_tensor_rows(t), N);
        assert_int_equal(t->n_bytes, n_byte);
        check_values(t, i);
        td_checkpoint_will_need(ckpt, t);
        td_checkpoint_dont_need(ckpt, t);
        check_values(t, i);
        td_source_range ranges[TD_MAX_SOURCE_RANGES];
        const int n = td_source_ranges(t->source, t->dtype, t->data, ranges);
        for (int r = 0; r < n; r++) n_byte -= ranges[r].n;
        assert_int_equal(n_byte, 0);
        td_checkpoint_close(ckpt);
        st_clear(&b);
    }
    hf_remove(&f);
}

/* ---- quantized weights: what does not fit ---- */

typedef struct part {
    const char *name, *dtype, *shape;
    size_t n_byte;
} part;

/* Sound files that stay as they lie, with a note. */
/* clang-format off */
static const struct {
    const char *config;
    part parts[4];
    const char *note;
} notes[] = {
    {"{\"quantization_config\": {\"quant_method\": \"aqlm\"}}", {{"a", "F32", "[1]", 4}},
     "/config.json: quantization_config.quant_method is 'aqlm', wanted"},
    {"{\"text_config\": {\"quantization_config\": {\"quant_method\": \"bitsandbytes\"}}}",
     {{"a", "F32", "[1]", 4}}, "text_config.quantization_config.quant_method is 'bitsandbytes'"},
    {"{\"quantization_config\": {\"quant_method\": \"compressed-tensors\", \"format\": \"marlin-24\"}}",
     {{"a", "F32", "[1]", 4}}, "format is 'marlin-24'"},
    {FP8_CONFIG, {{"a.weight", "F8_E5M2", "[2, 2]", 4}, {"a.weight_scale", "F32", "[1]", 4}},
     "dtype F8_E5M2, wanted F8_E4M3"},
    {CT_CONFIG, {{"a.weight", "I8", "[2, 2]", 4}, {"a.weight_scale", "F32", "[1]", 4}},
     "dtype I8, wanted F8_E4M3"},
    {FP8_CONFIG, {{"a.weight", "F8_E4M3", "[2, 2]", 4}, {"a.weight_scale", "F8_E8M0", "[2, 1]", 2}},
     "have dtype F8_E8M0"},
    {"{\"quantization_config\": {\"weight_block_size\": [1, 64]}}",
     {{"a.weight", "F8_E4M3", "[1, 128]", 128}, {"a.weight_scale_inv", "F32", "[1, 2]", 8}},
     "holds for 64 columns, wanted a multiple of 128"},
    {CT_CONFIG, {{"a.weight_packed", "I32", "[1, 8]", 32}, {"a.weight_scale", "F32", "[1, 1]", 4}},
     "F32 and not exact in BF16"},
    {CT_CONFIG, {{"a.weight_packed", "I32", "[1, 4]", 16}, {"a.weight_scale", "BF16", "[1, 2]", 4}},
     "holds for 16 weights, wanted a multiple of 32"},
    {CT_CONFIG, {{"a.weight_packed", "I32", "[1, 4]", 16}, {"a.weight_scale", "BF16", "[1, 1]", 2},
      {"a.weight_zero_point", "I32", "[1, 1]", 4}}, "'a.weight_zero_point' beside"},
    {CT_CONFIG, {{"a.weight_packed", "I32", "[1, 4]", 16}, {"a.weight_scale", "BF16", "[1, 1]", 2},
      {"a.weight_g_idx", "I32", "[32]", 128}}, "'a.weight_g_idx' beside"},
    {"{\"quantization_config\": {\"config_groups\": {\"group_0\": {\"weights\": {\"num_bits\": 8}}}}}",
     {{"a.weight_packed", "I32", "[1, 8]", 32}, {"a.weight_scale", "BF16", "[1, 1]", 2}},
     "packs 8 bits, wanted 4"},
    {CT_CONFIG, {{"a.weight_packed", "U8", "[1, 32]", 32}, {"a.weight_scale", "F8_E4M3", "[1, 4]", 4}},
     "as NVFP4 has"},
    {CT_CONFIG, {{"a.qweight", "I32", "[4, 8]", 128}},
     "quant_method is 'compressed-tensors', wanted 'gptq' or 'awq'"},
    {"{}", {{"a.qweight", "I32", "[4, 8]", 128}}, "quantization_config.quant_method is missing"},
    {GPTQ(", \"checkpoint_format\": \"marlin\""), {{"a.qweight", "I32", "[4, 8]", 128}},
     "checkpoint_format is 'marlin'"},
    {AWQ(", \"version\": \"gemv\""), {{"a.qweight", "I32", "[4, 8]", 128}}, "version is 'gemv'"},
    {"{\"quantization_config\": {\"quant_method\": \"gptq\", \"bits\": 3}}",
     {{"a.qweight", "I32", "[4, 8]", 128}}, "quantization_config.bits is 3, wanted 4"},
    {GPTQ(""), {{"a.qweight", "I32", "[4, 8]", 128}, {"a.qzeros", "I32", "[1, 1]", 4},
      {"a.scales", "F16", "[1, 8]", 16}, {"a.g_idx", "I32", "[32]", 128}}, "desc_act"},
    {GPTQ(""), {{"a.qweight", "I32", "[4, 8]", 128}, {"a.qzeros", "I32", "[2, 1]", 8},
      {"a.scales", "F16", "[2, 8]", 32}}, "holds for 16 weights"},
    {GPTQ(""), {{"a.qweight", "I32", "[4, 8]", 128}, {"a.qzeros", "I32", "[1, 1]", 4},
      {"a.scales", "BF16", "[1, 8]", 16}}, "are BF16 and not exact in F16"},
};

/* Files that contradict themselves. */
static const struct {
    const char *config;
    part parts[4];
    const char *says;
} flaws[] = {
    {FP8_CONFIG, {{"a.weight", "F8_E4M3", "[2, 2]", 4}, {"a.weight_scale", "F32", "[3, 1]", 12}},
     "'a.weight_scale' (F32) has a shape or type that does not fit 'a.weight' (F8_E4M3)"},
    {FP8_CONFIG, {{"a.weight", "F8_E4M3", "[2, 2]", 4}, {"a.weight_scale_inv", "F32", "[2, 2]", 16}},
     "does not fit"},
    {"{\"quantization_config\": {\"weight_block_size\": [128]}}",
     {{"a.weight", "F8_E4M3", "[2, 2]", 4}, {"a.weight_scale_inv", "F32", "[1, 1]", 4}},
     "weight_block_size' is not two integers"},
    {CT_CONFIG, {{"a.weight_packed", "I32", "[1, 4]", 16}}, "has no scales beside it"},
    {CT_CONFIG, {{"a.weight_packed", "I32", "[4]", 16}, {"a.weight_scale", "BF16", "[1, 1]", 2}},
     "does not fit"},
    {CT_CONFIG, {{"a.weight_packed", "I32", "[1, 4]", 16}, {"a.weight_scale", "BF16", "[2, 1]", 4}},
     "does not fit"},
    {CT_CONFIG, {{"a.weight_packed", "I32", "[1, 4]", 16}, {"a.weight_scale", "BF16", "[1, 3]", 6}},
     "does not fit"},
    {CT_CONFIG, {{"a.weight_packed", "I32", "[1, 4]", 16}, {"a.weight_scale", "BF16", "[1, 1]", 2},
      {"a.weight_shape", "I64", "[3]", 24}}, "is no shape of two dimensions"},
    {CT_CONFIG, {{"a.weight_packed", "U8", "[1, 16]", 16}, {"a.weight_scale", "U8", "[1, 2]", 2}},
     "does not fit"},
    {"{}", {{"a_blocks", "U8", "[1, 1, 8]", 8}, {"a_scales", "U8", "[1, 1]", 1}}, "does not fit"},
    {GPTQ(""), {{"a.qweight", "I32", "[4, 8]", 128}}, "has no scales beside it"},
    {GPTQ(""), {{"a.qweight", "I32", "[4, 8]", 128}, {"a.scales", "F16", "[1, 8]", 16}},
     "has no qzeros beside it"},
    {GPTQ(""), {{"a.qweight", "I32", "[4, 8]", 128}, {"a.qzeros", "I32", "[1, 2]", 8},
      {"a.scales", "F16", "[1, 8]", 16}}, "'a.qzeros' (I32) has a shape"},
    {GPTQ(""), {{"a.qweight", "I32", "[4, 8]", 128}, {"a.qzeros", "I32", "[1, 1]", 4},
      {"a.scales", "F16", "[1, 7]", 14}}, "'a.scales' (F16) has a shape"},
    {GPTQ(", \"group_size\": 64"), {{"a.qweight", "I32", "[8, 8]", 256}, {"a.qzeros", "I32", "[2, 1]", 8},
      {"a.scales", "F16", "[2, 8]", 32}}, "but group_size is 64"},
    {"{\"quantization_config\": {\"quant_method\": \"gptq\", \"bits\": \"4\"}}",
     {{"a.qweight", "I32", "[4, 8]", 128}}, "bits' is a string, wanted an integer"},
    {GPTQ(""), {{"a.qweight", "I32", "[4, 8]", 128}, {"a.qzeros", "I32", "[1, 1]", 4},
      {"a.scales", "F16", "[1, 8]", 16}, {"a.weight", "F32", "[1]", 4}},
     "tensor 'a.weight' appears twice"},
};
/* clang-format on */

static void put_parts(hf_folder *f, const char *config, const part parts[4]) {
    st_builder b = {0};
    for (int p = 0; p < 4 && parts[p].name; p++)
        st_add(&b, parts[p].name, parts[p].dtype, parts[p].shape, NULL, parts[p].n_byte);
    hf_put(f, "config.json", config);
    assert_int_equal(st_write(&b, hf_path(f, "model.safetensors")), 0);
    st_clear(&b);
}

static void test_notes(void **state) {
    (void)state;
    hf_folder f;
    hf_make(&f);
    for (size_t i = 0; i < sizeof notes / sizeof notes[0]; i++) {
        size_t n_part = 0;
        put_parts(&f, notes[i].config, notes[i].parts);
        td_checkpoint *ckpt = open_path(f.path);
        const char *note = td_checkpoint_unsupported(ckpt);
        if (!note || !strstr(note, notes[i].note) || !strstr(note, f.path))
            fail_msg("row %zu: wanted '%s', got '%s'", i, notes[i].note, note ? note : "nothing");
        while (n_part < 4 && notes[i].parts[n_part].name) n_part++;
        assert_int_equal(td_checkpoint_n_tensor(ckpt), n_part);
        td_checkpoint_close(ckpt);
    }
    hf_remove(&f);
}

static void test_flaws(void **state) {
    (void)state;
    hf_folder f;
    hf_make(&f);
    for (size_t i = 0; i < sizeof flaws / sizeof flaws[0]; i++) {
        put_parts(&f, flaws[i].config, flaws[i].parts);
        check_refused(f.path, flaws[i].says);
    }
    hf_remove(&f);
}

/* Scales in another file than the weight, and a weight without any. */
static void test_parts_over_files(void **state) {
    (void)state;
    hf_folder f;
    st_builder one = {0}, two = {0};
    uint8_t scratch[8];
    float y[2];
    hf_make(&f);
    st_add(&one, "a.weight_scale", "F32", "[]", (const float[]){0.5f}, 4);
    st_add(&two, "a.weight", "F8_E4M3", "[2, 2]", "\x38\x40\xB8\x39", 4);
    st_add(&two, "b", "F8_E4M3", "[2]", "\x38\x39", 2);
    assert_int_equal(st_write(&one, hf_path(&f, "1.safetensors")), 0);
    assert_int_equal(st_write(&two, hf_path(&f, "2.safetensors")), 0);
    td_checkpoint *ckpt = open_path(f.path);
    const td_tensor *t = td_checkpoint_tensor(ckpt, "a.weight");
    assert_int_equal(td_checkpoint_n_tensor(ckpt), 2);
    assert_int_equal(t->i_file, 1);
    td_checkpoint_will_need(ckpt, t);
    td_checkpoint_dont_need(ckpt, t);
    td_dequantize_row(t->dtype, td_tensor_row(t, 1, scratch), y, 2);
    assert_true(y[0] == -0.5f && y[1] == 0.5625f);
    t = td_checkpoint_tensor(ckpt, "b");
    assert_int_equal(t->n_dims, 1);
    td_checkpoint_will_need(ckpt, t);
    td_dequantize_row(t->dtype, td_tensor_row(t, 0, scratch), y, 2);
    assert_true(y[0] == 1 && y[1] == 1.125f);
    td_checkpoint_close(ckpt);
    st_clear(&one);
    st_clear(&two);
    hf_remove(&f);
}

static void test_transposed(void **state) {
    (void)state;
    static const float data[2][3] = {
        {1, 2, 3},
        {4, 5, 6}
    };
    const td_source source = {.kind = TD_SOURCE_TRANSPOSED, .n = 3, .k = 2};
    const td_tensor t = {
        .name = "t",
        .dtype = TD_DTYPE_F32,
        .n_dims = 2,
        .ne = {2, 3, 1, 1},
        .data = (const uint8_t *)data,
        .n_bytes = sizeof data,
        .source = &source
    };
    float row[2];
    assert_ptr_equal(td_tensor_row(&t, 1, (uint8_t *)row), row);
    assert_true(row[0] == 2 && row[1] == 5);
    const td_tensor view = td_tensor_view(&t, 1, (td_row_map){2, 1, 1});
    (void)td_tensor_row(&view, 0, (uint8_t *)row);
    assert_true(row[0] == 3 && row[1] == 6);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_config_only),
        cmocka_unit_test(test_gguf_in_folder),
        cmocka_unit_test(test_gguf_below),
        cmocka_unit_test(test_gguf_elsewhere),
        cmocka_unit_test(test_template_of_gguf),
        cmocka_unit_test(test_safetensors_elsewhere),
        cmocka_unit_test(test_merged),
        cmocka_unit_test(test_shards),
        cmocka_unit_test(test_bad_index),
        cmocka_unit_test(test_config_values),
        cmocka_unit_test(test_bad_config),
        cmocka_unit_test(test_quantized_values),
        cmocka_unit_test(test_notes),
        cmocka_unit_test(test_flaws),
        cmocka_unit_test(test_parts_over_files),
        cmocka_unit_test(test_transposed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
