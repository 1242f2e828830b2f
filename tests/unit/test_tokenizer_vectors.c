/* test_tokenizer_vectors.c - four real vocabularies against the ids llama.cpp gives (../shared).
 *
 * NAME.inp holds texts separated by a line "__ggml_vocab_test__", the last one followed by it, too;
 * NAME.out one line of ids for each, without special tokens. */
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
#include "base/filemap.h"
#include "format/checkpoint.h"
#include "text/tokenizer.h"

#define FOLDER    TD_SOURCE_DIR "/../shared/tokenizer-vectors/"
#define SEPARATOR "\n__ggml_vocab_test__\n"

static char *read_file(const char *name, const char *ending) {
    char path[1024], *data;
    size_t n;
    td_err err = {0};
    snprintf(path, sizeof path, FOLDER "%s%s", name, ending);
    if (td_file_read(path, 1 << 20, &data, &n, &err) != TD_OK) fail_msg("%s", err.msg);
    return data;
}

/* Encodes text, compares with the ids in the line that *out points to, and moves *out to the next;
 * decodes, and compares with the text. */
static void check_text(const td_tokenizer *tok, const char *text, size_t n_text, const char **out) {
    int32_t *tokens;
    int n;
    td_err err = {0};
    if (td_tokenizer_encode(tok, text, n_text, 0, &tokens, &n, &err) != TD_OK)
        fail_msg("%s", err.msg);
    const char *line = *out, *end = strchr(line, '\n');
    assert_non_null(end);
    for (int i = 0; i < n; i++) {
        char *after;
        assert_int_equal(tokens[i], strtol(line, &after, 10));
        line = after;
    }
    while (*line == ' ') line++;
    assert_ptr_equal(line, end);
    *out = end + 1;

    td_strbuf decoded = {0};
    td_tokenizer_decode(tok, tokens, n, false, &decoded);
    assert_int_equal(decoded.n, n_text);
    if (n_text) assert_memory_equal(decoded.text, text, n_text);
    td_strbuf_clear(&decoded);
    td_free(tokens);
}

static void check_vocabulary(void **state) {
    const char *name = *state;
    char path[1024];
    snprintf(path, sizeof path, FOLDER "%s.gguf", name);
    if (access(path, R_OK) != 0) {
        print_message("skipped: %s is not there\n", path);
        skip();
    }
    td_checkpoint *ckpt;
    td_vocab vocab = {0};
    td_tokenizer *tok;
    td_err err = {0};
    if (td_checkpoint_open(&ckpt, path, &err) != TD_OK) fail_msg("%s", err.msg);
    if (td_checkpoint_read_vocab(ckpt, &vocab, &err) != TD_OK) fail_msg("%s", err.msg);
    if (td_tokenizer_create(&tok, &vocab, &err) != TD_OK) fail_msg("%s", err.msg);
    char *const inp = read_file(name, ".inp"), *const out = read_file(name, ".out");
    const char *line = out;
    int n_text = 0;
    for (const char *text = inp, *end; (end = strstr(text, SEPARATOR)); n_text++) {
        check_text(tok, text, (size_t)(end - text), &line);
        text = end + strlen(SEPARATOR);
    }
    assert_int_equal(n_text, 46);
    assert_int_equal(*line, 0);
    td_free(inp);
    td_free(out);
    td_tokenizer_free(tok);
    td_vocab_clear(&vocab);
    td_checkpoint_close(ckpt);
}

int main(void) {
    static char gpt_2[] = "gpt-2", starcoder[] = "starcoder", deepseek[] = "deepseek-llm",
                spm[] = "llama-spm";
    const struct CMUnitTest tests[] = {
        {"gpt-2",        check_vocabulary, NULL, NULL, gpt_2    },
        {"starcoder",    check_vocabulary, NULL, NULL, starcoder},
        {"deepseek-llm", check_vocabulary, NULL, NULL, deepseek },
        {"llama-spm",    check_vocabulary, NULL, NULL, spm      },
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
