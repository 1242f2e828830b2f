/* fuzz_tokenizer.c - any vocabulary, any text: encoding and decoding must do no harm.
 *
 * Input: byte 0 chooses the model (bit 0), the flags of encoding (bits 1-2), BOS and EOS (3-4), the
 * space prefix (5), ignore_merges (6) and whether the 256 byte tokens are there (7); byte 1 the
 * pre-tokenizer; byte 2 how many tokens and byte 3 how many merges follow.  A token is a byte (type
 * in bits 0-2, length in the others), a byte of score and the text; a merge is a byte (lengths of
 * left and right in its halves) and both texts.  The rest is the text to encode. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "text/pretokenize.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

typedef struct input {
    const uint8_t *data;
    size_t n;
} input;

static uint8_t take_byte(input *in) {
    if (in->n == 0) return 0;
    in->n--;
    return *in->data++;
}

/* At most n bytes: fewer at the end of the input. */
static const char *take_text(input *in, uint32_t *n) {
    const char *text = (const char *)in->data;
    if (*n > in->n) *n = (uint32_t)in->n;
    in->data += *n;
    in->n -= *n;
    return text;
}

static void require(bool cond) {
    if (!cond) abort();
}

/* A byte token in either model's form. */
static td_vocab_token byte_token(td_vocab *v, unsigned c) {
    if (v->model == TD_VOCAB_SPM) {
        static const char digits[] = "0123456789ABCDEF";
        const char text[] = {'<', '0', 'x', digits[c >> 4], digits[c & 15], '>'};
        return (td_vocab_token){
            .text = td_arena_strndup(&v->arena, text, 6), .n = 6, .type = TD_TOKEN_BYTE};
    }
    const char ascii = (char)c;
    return (td_vocab_token){
        .text = td_arena_strndup(&v->arena, &ascii, 1), .n = 1, .type = TD_TOKEN_NORMAL};
}

static void read_vocab(td_vocab *v, input *in) {
    const uint8_t bits = take_byte(in), pre = take_byte(in);
    const int32_t n_token = take_byte(in), n_merge = take_byte(in);
    size_t n_pre;
    const td_pretokenizer_def *all = td_pretokenizer_all(&n_pre);
    *v = (td_vocab){.model = bits & 1 ? TD_VOCAB_SPM : TD_VOCAB_BPE,
                    .eot = -1,
                    .eom = -1,
                    .unk = 1,
                    .pad = -1,
                    .add_bos = bits & 8,
                    .add_eos = bits & 16,
                    .add_space_prefix = bits & 32,
                    .ignore_merges = bits & 64};
    strcpy(v->pre, all[pre % n_pre].name);
    td_arena_init(&v->arena, 1 << 16);
    v->tokens = td_arena_calloc(&v->arena, (size_t)n_token + 256, sizeof *v->tokens);
    v->merges = td_arena_calloc(&v->arena, (size_t)n_merge, sizeof *v->merges);
    require(v->tokens && v->merges);
    for (unsigned c = 0; bits & 128 && c < 256; c++) v->tokens[v->n_token++] = byte_token(v, c);
    for (int32_t i = 0; i < n_token; i++) {
        const uint8_t head = take_byte(in);
        const double score = take_byte(in) - 128.0;
        td_vocab_token t = {.n = head >> 3, .score = score, .type = (uint8_t)(head % 6 + 1)};
        t.text = take_text(in, &t.n);
        v->tokens[v->n_token++] = t;
    }
    for (int32_t i = 0; i < n_merge; i++) {
        const uint8_t head = take_byte(in);
        td_vocab_merge m = {.n_left = head >> 4, .n_right = head & 15};
        m.left = take_text(in, &m.n_left);
        m.right = take_text(in, &m.n_right);
        v->merges[v->n_merge++] = m;
    }
    v->bos = v->n_token > 0 ? v->n_token - 1 : -1;
    v->eos = v->n_token > 1 ? v->n_token - 2 : -1;
    if (v->n_token < 2) v->unk = -1;
}

/* The stream gives what decoding at once gives, made well-formed. */
static void check_decoding(const td_tokenizer *tok, const int32_t *tokens, int n_token) {
    for (int with_special = 0; with_special < 2; with_special++) {
        td_strbuf whole = {0}, streamed = {0};
        td_detokenizer d;
        td_detokenizer_init(&d, tok, true, with_special);
        td_tokenizer_decode(tok, tokens, n_token, with_special, &whole);
        for (int i = 0; i < n_token; i++) {
            td_detokenizer_add(&d, tokens[i], &streamed);
            require(td_utf8_valid_prefix(streamed.text ? streamed.text : "", streamed.n) ==
                    streamed.n);
        }
        td_detokenizer_finish(&d, &streamed);
        if (whole.n && td_utf8_valid_prefix(whole.text, whole.n) == whole.n)
            require(streamed.n == whole.n && memcmp(streamed.text, whole.text, whole.n) == 0);
        td_strbuf_clear(&whole);
        td_strbuf_clear(&streamed);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    input in = {data, n};
    const int flags = n ? data[0] >> 1 & 3 : 0;
    td_vocab vocab;
    read_vocab(&vocab, &in);
    td_tokenizer *tok;
    require(td_tokenizer_create(&tok, &vocab, NULL) == TD_OK);
    int32_t *tokens;
    int n_token;
    require(td_tokenizer_encode(tok, (const char *)in.data, in.n, flags, &tokens, &n_token, NULL) ==
            TD_OK);
    for (int i = 0; i < n_token; i++) require(tokens[i] >= 0 && tokens[i] < vocab.n_token);
    check_decoding(tok, tokens, n_token);
    for (int32_t i = 0; i < vocab.n_token; i++) (void)td_tokenizer_is_end(tok, i);
    td_free(tokens);
    td_tokenizer_free(tok);
    td_vocab_clear(&vocab);
    return 0;
}
