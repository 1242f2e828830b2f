/* test_tokenizers.c - tokenizers of Hugging Face folders against the libraries they are made with.
 *
 * tokenizers/NAME/cases.json has [text, ids, decoded] by make_tokenizers.py.  With a folder as
 * argument the program is a filter for check_tokenizers.py: texts come as JSON strings, one a line,
 * and ids and the hexadecimal bytes of the decoded text go out, one text a line. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/filemap.h"
#include "format/vocab_hf.h"
#include "text/tokenizer.h"
#include "text/value.h"

typedef struct loaded {
    td_vocab vocab;
    td_tokenizer *tok;
    int flags; /* of encoding */
} loaded;

static void load(loaded *l, const char *folder) {
    td_err err = {0};
    if (td_vocab_read_folder(folder, NULL, &l->vocab, &err) != TD_OK) fail_msg("%s", err.msg);
    if (td_tokenizer_create(&l->tok, &l->vocab, &err) != TD_OK) fail_msg("%s", err.msg);
    /* SentencePiece itself never reads control tokens in a text. */
    l->flags = strstr(folder, "/spm_") ? 0 : TD_TOKENIZE_PARSE_SPECIAL;
}

static void unload(loaded *l) {
    td_tokenizer_free(l->tok);
    td_vocab_clear(&l->vocab);
}

/* The ids of a text with special tokens in it, and their text. */
static int convert(const loaded *l, const char *text, size_t n, int32_t **ids, td_strbuf *decoded) {
    int n_id;
    td_err err = {0};
    if (td_tokenizer_encode(l->tok, text, n, l->flags, ids, &n_id, &err) != TD_OK)
        fail_msg("%s", err.msg);
    td_tokenizer_decode(l->tok, *ids, n_id, true, decoded);
    return n_id;
}

static void print_ids(const int32_t *ids, int n_id, td_strbuf *out) {
    td_strbuf_addc(out, '[');
    for (int i = 0; i < n_id; i++) td_strbuf_addf(out, "%s%d", i ? ", " : "", ids[i]);
    td_strbuf_addc(out, ']');
}

static void check_case(const loaded *l, const char *name, size_t i, const td_value *c) {
    size_t n_text, n_want;
    const char *text = td_value_text(td_value_at(c, 0), &n_text);
    const td_value *want_text = td_value_at(c, 2);
    td_strbuf want_ids = {0}, ids_text = {0}, decoded = {0};
    int32_t *ids;
    const int n_id = convert(l, text, n_text, &ids, &decoded);
    print_ids(ids, n_id, &ids_text);
    td_value_to_json(td_value_at(c, 1), -1, &want_ids);
    if (strcmp(ids_text.text, want_ids.text) != 0)
        fail_msg("%s, case %zu: ids\n%s\nwanted\n%s", name, i, ids_text.text, want_ids.text);
    const bool has_text = td_value_get_type(want_text) == TD_VALUE_STRING;
    const char *want = has_text ? td_value_text(want_text, &n_want) : NULL;
    /* Where the library writes U+FFFD for bytes that are no text, ours are those bytes. */
    if (want && !memmem(want, n_want, "\uFFFD", 3)) {
        if (decoded.n != n_want || memcmp(decoded.text ? decoded.text : "", want, n_want) != 0)
            fail_msg("%s, case %zu: decoded\n%s\nwanted\n%s", name, i,
                     decoded.text ? decoded.text : "", want);
    }
    td_strbuf_clear(&want_ids);
    td_strbuf_clear(&ids_text);
    td_strbuf_clear(&decoded);
    td_free(ids);
}

static void check_folder(void **state) {
    const char *name = *state;
    char folder[1024], path[1100], *text;
    size_t n;
    loaded l;
    td_arena arena;
    td_value *cases;
    td_err err = {0};
    snprintf(folder, sizeof folder, "%s/tests/golden/tokenizers/%s", TD_SOURCE_DIR, name);
    snprintf(path, sizeof path, "%s/cases.json", folder);
    load(&l, folder);
    td_arena_init(&arena, 1 << 16);
    if (td_file_read(path, 1 << 24, &text, &n, &err) != TD_OK) fail_msg("%s", err.msg);
    if (td_value_from_json(&cases, &arena, text, n, path, &err) != TD_OK) fail_msg("%s", err.msg);
    assert_true(td_value_count(cases) >= 100);
    for (size_t i = 0; i < td_value_count(cases); i++)
        check_case(&l, name, i, td_value_at(cases, i));
    td_free(text);
    td_arena_clear(&arena);
    unload(&l);
}

static int filter(const char *folder) {
    loaded l;
    char *line = NULL;
    size_t cap = 0;
    load(&l, folder);
    for (ssize_t n; (n = getline(&line, &cap, stdin)) > 0;) {
        td_arena arena;
        td_value *v;
        td_err err = {0};
        td_strbuf out = {0}, decoded = {0};
        int32_t *ids;
        size_t n_text;
        td_arena_init(&arena, 1 << 16);
        if (td_value_from_json(&v, &arena, line, (size_t)n, "input", &err) != TD_OK)
            fail_msg("%s", err.msg);
        const char *text = td_value_text(v, &n_text);
        const int n_id = convert(&l, text, n_text, &ids, &decoded);
        print_ids(ids, n_id, &out);
        printf("%s ", out.text);
        for (size_t i = 0; i < decoded.n; i++) printf("%02x", (uint8_t)decoded.text[i]);
        printf("\n");
        td_free(ids);
        td_strbuf_clear(&out);
        td_strbuf_clear(&decoded);
        td_arena_clear(&arena);
    }
    free(line);
    unload(&l);
    return 0;
}

int main(int argc, char **argv) {
    static char *const names[] = {"gpt2",
                                  "llama3",
                                  "qwen",
                                  "deepseek",
                                  "kimi",
                                  "digits",
                                  "clip",
                                  "metaspace_llama",
                                  "unigram",
                                  "bert",
                                  "wordlevel",
                                  "metaspace_first",
                                  "spm_bpe",
                                  "tiktoken",
                                  "spm_bpe_nmt",
                                  "spm_unigram",
                                  "spm_unigram_bytes",
                                  "steps_nfkd",
                                  "steps_nfkc",
                                  "steps_lower",
                                  "steps_replace",
                                  "steps_bytes",
                                  "steps_bytes_next",
                                  "steps_bert",
                                  "steps_punctuation",
                                  "steps_punctuation_next",
                                  "steps_punctuation_none",
                                  "steps_invert",
                                  "steps_empty",
                                  "steps_borders",
                                  "steps_thousands",
                                  "steps_line_end",
                                  "steps_metaspace",
                                  "steps_whitespace"};
    enum { N = sizeof names / sizeof *names };
    if (argc > 1) return filter(argv[1]);
    struct CMUnitTest tests[N];
    for (int i = 0; i < N; i++)
        tests[i] = (struct CMUnitTest){names[i], check_folder, NULL, NULL, names[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
