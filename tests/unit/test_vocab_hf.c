/* test_vocab_hf.c - tokenizer folders: roles of tokens, templates, hostile files.
 * tests/golden/test_tokenizers.c has what real tokenizers do. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "format/vocab_hf.h"
#include "text/tokenizer.h"

static char folder[] = "/tmp/td-vocab-hf-XXXXXX";

static void write_file(const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fwrite(text, 1, strlen(text), f);
    fclose(f);
}

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_files(void **state) {
    (void)state;
    static const char *const names[] = {"tokenizer.json",          "tokenizer_config.json",
                                        "special_tokens_map.json", "added_tokens.json",
                                        "chat_template.jinja",     "chat_template.json",
                                        "tokenizer.model",         "vocab.json",
                                        "generation_config.json",  "merges.txt",
                                        "small.tiktoken"};
    char path[256];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    return rmdir(folder);
}

#define ADDED                                                                                      \
    "\"added_tokens\": [{\"id\": 3, \"content\": \"<s>\", \"special\": true},"                     \
    "{\"id\": 4, \"content\": \"<end>\", \"special\": true},"                                      \
    "{\"id\": 5, \"content\": \"<stop>\", \"special\": true}],"
#define JSON(rest)                                                                                 \
    "{" ADDED "\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0, \"b\": 1, \"ab\": 2},"         \
    "\"merges\": [\"a b\"]}" rest "}"
#define TEMPLATE                                                                                   \
    ", \"post_processor\": {\"type\": \"TemplateProcessing\", \"single\":"                         \
    "[{\"SpecialToken\": {\"id\": \"<s>\", \"type_id\": 0}}, {\"Sequence\": {\"id\": \"A\"}}],"    \
    "\"special_tokens\": {\"<s>\": {\"id\": \"<s>\", \"ids\": [3], \"tokens\": [\"<s>\"]}}}"

static void read_folder(td_vocab *v) {
    td_err err = {0};
    if (td_vocab_read_folder(folder, NULL, v, &err) != TD_OK) fail_msg("%s", err.msg);
}

static void roles_and_template_come_from_all_files(void **state) {
    (void)state;
    td_vocab v;
    write_file("tokenizer.json", JSON(TEMPLATE));
    write_file("tokenizer_config.json",
               "{\"bos_token\": {\"content\": \"<s>\"}, \"eos_token\": \"<end>\","
               "\"add_eos_token\": true, \"chat_template\": [{\"name\": \"tool_use\","
               "\"template\": \"no\"}, {\"name\": \"default\", \"template\": \"yes\"}]}");
    write_file("special_tokens_map.json", "{\"pad_token\": \"<stop>\"}");
    write_file("generation_config.json", "{\"eos_token_id\": [4, 5, 99]}");
    read_folder(&v);
    assert_int_equal(v.n_token, 6);
    assert_int_equal(v.bos, 3);
    assert_int_equal(v.eos, 4);
    assert_int_equal(v.pad, 5);
    assert_int_equal(v.n_end, 2);
    assert_true(v.add_bos && v.add_eos);
    assert_string_equal(v.chat_template, "yes");
    td_tokenizer *tok;
    int32_t *ids;
    int n;
    assert_int_equal(td_tokenizer_create(&tok, &v, NULL), TD_OK);
    assert_true(td_tokenizer_is_end(tok, 4) && td_tokenizer_is_end(tok, 5));
    assert_int_equal(td_tokenizer_encode(tok, "ab", 2, TD_TOKENIZE_ADD_SPECIAL, &ids, &n, NULL),
                     TD_OK);
    assert_int_equal(n, 3);
    assert_int_equal(ids[0], 3);
    assert_int_equal(ids[1], 2);
    assert_int_equal(ids[2], 4);
    td_free(ids);
    td_tokenizer_free(tok);
    td_vocab_clear(&v);
    write_file("chat_template.jinja", "first");
    read_folder(&v);
    assert_string_equal(v.chat_template, "first");
    td_vocab_clear(&v);
}

static void older_files_are_read(void **state) {
    (void)state;
    td_vocab v;
    write_file("vocab.json", "{\"a\": 0, \"b\": 1, \"ab\": 2}");
    write_file("merges.txt", "#version: 0.2\na b\n");
    write_file("added_tokens.json", "{\"<x>\": 3}");
    read_folder(&v);
    assert_int_equal(v.n_token, 4);
    assert_int_equal(v.n_merge, 1);
    assert_int_equal(v.tokens[3].type, TD_TOKEN_CONTROL);
    td_vocab_clear(&v);
}

/* A file and the words that must name what is wrong with it. */
typedef struct bad_file {
    const char *name, *text, *named;
} bad_file;

static void bad_files_are_named(void **state) {
    (void)state;
    static const bad_file rows[] = {
        {"added_tokens.json", "{}",                                                                    "no tokenizer"          },
        {"tokenizer.json",    "{",                                                                     "line 1"                },
        {"tokenizer.json",    "[]",                                                                    "no JSON object"        },
        {"tokenizer.json",    "{}",                                                                    "'model' is missing"    },
        {"tokenizer.json",    "{\"model\": {\"type\": \"Magic\"}}",                                    "'Magic'"               },
        {"tokenizer.json",    "{\"model\": {\"type\": \"BPE\"}}",                                      "'vocab'"               },
        {"tokenizer.json",    "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}}}",               "'merges'"              },
        {"tokenizer.json",    "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 2000000000}}}",
         "id 2000000000"                                                                                                       },
        {"tokenizer.json",    "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": -1}}}",              "id -1"                 },
        {"tokenizer.json",
         "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": [\"ab\"]}}",              "merge 0"               },
        {"tokenizer.json",
         "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": [],"
         "\"unk_token\": \"u\"}}",                                                                     "'unk_token' is 'u'"    },
        {"tokenizer.json",
         "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": [],"
         "\"dropout\": 0.1}}",                                                                         "'dropout'"             },
        {"tokenizer.json",    "{\"model\": {\"type\": \"Unigram\", \"vocab\": [[\"a\"]]}}",            "token 0"               },
        {"tokenizer.json",
         "{\"model\": {\"type\": \"Unigram\", \"vocab\": [[\"a\", 0]], \"unk_id\": 1}}",               "'unk_id'"              },
        {"tokenizer.json",    JSON(", \"normalizer\": {\"type\": \"Odd\"}"),                           "normalizer 'Odd'"      },
        {"tokenizer.json",    JSON(", \"pre_tokenizer\": {\"type\": \"UnicodeScripts\"}"),
         "'UnicodeScripts'"                                                                                                    },
        {"tokenizer.json",    JSON(", \"pre_tokenizer\": {\"type\": \"Split\"}"),                      "'pattern'"             },
        {"tokenizer.json",    JSON(", \"pre_tokenizer\": {\"type\": \"FixedLength\", \"length\": 0}"),
         "'length'"                                                                                                            },
        {"tokenizer.json",    JSON(", \"decoder\": {\"type\": \"CTC\"}"),                              "decoder 'CTC'"         },
        {"tokenizer.json",
         JSON(", \"post_processor\": {\"type\": \"BertProcessing\", \"cls\": [\"c\", 9],"
              "\"sep\": [\"s\", 0]}"),
         "'id'"                                                                                                                },
        {"tokenizer.model",   "\x0A\x05zz",                                                            "no SentencePiece model"},
        {"tokenizer.model",   "",                                                                      "0 tokens"              },
        {"vocab.json",        "{\"a\": 0}",                                                            "merges.txt"            },
        {"small.tiktoken",    "YQ== 0\n",                                                              "is not known"          },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        td_vocab v;
        td_err err = {0};
        remove_files(NULL);
        write_file(rows[i].name, rows[i].text);
        const td_status st = td_vocab_read_folder(folder, NULL, &v, &err);
        if (st == TD_OK) fail_msg("%s was taken", rows[i].text);
        if (!strstr(err.msg, rows[i].named)) fail_msg("%s: %s", rows[i].text, err.msg);
    }
}

static void out_of_memory_is_reported(void **state) {
    (void)state;
    static const char json[] =
        JSON(", \"normalizer\": {\"type\": \"NFC\"}, \"pre_tokenizer\": {\"type\": \"Metaspace\","
             "\"replacement\": \"_\"}, \"decoder\": {\"type\": \"WordPiece\", \"prefix\": \"#\"}");
    for (int64_t nth = 1;; nth++) {
        td_vocab v;
        td_tokenizer *tok = NULL;
        int32_t *ids = NULL;
        int n;
        td_alloc_fault_set(nth);
        td_status st = td_vocab_read_tokenizer_json(json, sizeof json - 1, "json", &v, NULL);
        if (st == TD_OK) st = td_tokenizer_create(&tok, &v, NULL);
        if (st == TD_OK) st = td_tokenizer_encode(tok, "ab e\u0301<s>", 9, 3, &ids, &n, NULL);
        const bool reached = td_alloc_fault_count() >= nth;
        td_alloc_fault_set(0);
        assert_true(st == TD_OK || (reached && st == TD_ERR_NOMEM));
        td_free(ids);
        td_tokenizer_free(tok);
        td_vocab_clear(&v);
        if (!reached) break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(roles_and_template_come_from_all_files, remove_files),
        cmocka_unit_test_teardown(older_files_are_read, remove_files),
        cmocka_unit_test_teardown(bad_files_are_named, remove_files),
        cmocka_unit_test(out_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
