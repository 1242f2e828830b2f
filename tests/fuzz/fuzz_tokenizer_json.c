/* fuzz_tokenizer_json.c - any bytes as a tokenizer.json: refused by name, or safe to encode with.
 *
 * The input is the file; a text to encode may follow it behind a NUL byte. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "format/vocab_hf.h"
#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool cond) {
    if (!cond) abort();
}

static void encode(const td_tokenizer *tok, const char *text, size_t n) {
    int32_t *ids;
    int n_id;
    td_err err = {0};
    const int flags = TD_TOKENIZE_ADD_SPECIAL | TD_TOKENIZE_PARSE_SPECIAL;
    const td_status st = td_tokenizer_encode(tok, text, n, flags, &ids, &n_id, &err);
    require(st == TD_OK || err.msg[0]);
    td_strbuf out = {0};
    for (int i = 0; i < n_id; i++)
        require(ids[i] >= 0 && ids[i] < td_tokenizer_vocab(tok)->n_token);
    td_tokenizer_decode(tok, ids, n_id, true, &out);
    td_strbuf_clear(&out);
    td_free(ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char text[] =
        "Hello <s>  w\xC3\xB6rld 12345 \xE2\x96\x81\xE4\xB8\xAD e\xCC\x81 \xFF\n";
    const char *json = (const char *)data;
    const char *nul = size ? memchr(json, 0, size) : NULL;
    const size_t n = nul ? (size_t)(nul - json) : size;
    td_vocab vocab;
    td_tokenizer *tok = NULL;
    td_err err = {0};
    td_status st = td_vocab_read_tokenizer_json(json, n, "fuzz", &vocab, &err);
    if (st == TD_OK) st = td_tokenizer_create(&tok, &vocab, &err);
    require(st == TD_OK || err.msg[0]);
    if (tok) {
        encode(tok, text, sizeof text - 1);
        if (nul) encode(tok, nul + 1, size - n - 1 < 200 ? size - n - 1 : 200);
    }
    td_tokenizer_free(tok);
    td_vocab_clear(&vocab);
    return 0;
}
