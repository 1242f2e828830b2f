/* vocab_files.c - byte-level vocabularies in older files: vocab.json with merges.txt, and
 * tiktoken's ranks. Neither says how text is split: that is known by the class of the tokenizer. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/strbuf.h"
#include "format/vocab_hf_int.h"
#include "text/pretokenize.h"

/* ---- tokens of the other files ---- */

/* The members of added_tokens_decoder are {"id": {"content": ...}}, of added_tokens.json
 * {"content": id}. */
static json_t *decoder_of(const td_hf *hf) {
    return json_object_get(hf->config, "added_tokens_decoder");
}

static td_status check_id(const td_hf *hf, int64_t id, int64_t n_base, int64_t *n, td_err *err) {
    if (id < 0 || id > 2 * n_base + 65536)
        return td_fail(err, TD_ERR_FORMAT, "%s: an added token has the id %" PRId64, hf->name, id);
    if (id >= *n) *n = id + 1;
    return TD_OK;
}

/* -1 if the key is no number. */
static int64_t id_of_key(const char *key) {
    char *end;
    const long long id = strtoll(key, &end, 10);
    return end == key || *end ? -1 : id;
}

td_status td_hf_set_tokens_with_extra(td_hf *hf, int64_t n_base, td_err *err) {
    int64_t n = n_base;
    const char *key;
    json_t *item, *decoder = decoder_of(hf), *extra = hf->extra;
    json_object_foreach(decoder, key, item) TD_TRY(check_id(hf, id_of_key(key), n_base, &n, err));
    json_object_foreach(extra, key, item) TD_TRY(
        check_id(hf, json_is_integer(item) ? json_integer_value(item) : -1, n_base, &n, err));
    hf->added = td_arena_calloc(
        &hf->vocab->arena, json_object_size(decoder) + json_object_size(extra), sizeof *hf->added);
    if (!hf->added) return td_fail(err, TD_ERR_NOMEM, "out of memory for the added tokens");
    hf->pipeline->added = hf->added;
    return td_hf_set_tokens(hf, n, err);
}

static td_status add_token(td_hf *hf, td_added_token a, const char *text, size_t n, bool special,
                           td_err *err) {
    td_text copy;
    TD_TRY(td_hf_copy(hf, text, n, &copy, err));
    td_vocab_token *t = &hf->vocab->tokens[a.id];
    *t = (td_vocab_token){.text = copy.text,
                          .n = copy.n,
                          .score = t->score,
                          .type = special ? TD_TOKEN_CONTROL : TD_TOKEN_USER_DEFINED,
                          .outside = t->type == TD_TOKEN_UNUSED};
    hf->added[hf->pipeline->n_added++] = a;
    return TD_OK;
}

static bool flag(json_t *o, const char *name) { return json_is_true(json_object_get(o, name)); }

td_status td_hf_add_extra(td_hf *hf, td_err *err) {
    const char *key;
    json_t *item, *decoder = decoder_of(hf), *extra = hf->extra;
    json_object_foreach(decoder, key, item) {
        json_t *content = json_object_get(item, "content");
        const td_added_token a = {.id = (int32_t)id_of_key(key),
                                  .single_word = flag(item, "single_word"),
                                  .lstrip = flag(item, "lstrip"),
                                  .rstrip = flag(item, "rstrip"),
                                  .normalized = flag(item, "normalized")};
        if (!json_is_string(content))
            return td_fail(err, TD_ERR_FORMAT, "%s: added token %s has no 'content'", hf->name,
                           key);
        TD_TRY(add_token(hf, a, json_string_value(content), json_string_length(content),
                         flag(item, "special"), err));
    }
    json_object_foreach(extra, key, item) {
        const int32_t id = (int32_t)json_integer_value(item);
        const uint8_t type = hf->vocab->tokens[id].type;
        if (type == TD_TOKEN_CONTROL || type == TD_TOKEN_USER_DEFINED) continue;
        TD_TRY(add_token(hf, (td_added_token){.id = id}, key, strlen(key), true, err));
    }
    return TD_OK;
}

/* ---- how text is split ---- */

static td_status add_pattern(td_hf *hf, const char *pattern, td_err *err) {
    return td_hf_add_pre(hf,
                         (td_pre_step){
                             .type = TD_PRE_SPLIT,
                             .match = TD_MATCH_PCRE,
                             .text = {pattern, (uint32_t)strlen(pattern)}
    },
                         err);
}

/* Splits as a GGUF pre-tokenizer does, and byte-level otherwise. */
static td_status split_like(td_hf *hf, const char *pre, td_err *err) {
    const td_pretokenizer_def *def = td_pretokenizer_find(pre);
    for (int i = 0; i < TD_PRETOKENIZE_MAX_STAGE && def && def->stages[i]; i++)
        TD_TRY(add_pattern(hf, def->stages[i], err));
    hf->pipeline->byte_level = true;
    return TD_OK;
}

static const char *class_of(const td_hf *hf) {
    const char *name = json_string_value(json_object_get(hf->config, "tokenizer_class"));
    return name ? name : "";
}

/* ---- vocab.json and merges.txt ---- */

static td_status read_vocab_json(td_hf *hf, json_t *vocab_json, td_err *err) {
    const char *key;
    json_t *item;
    int64_t n = 0;
    json_object_foreach(vocab_json, key, item)
        TD_TRY(check_id(hf, json_is_integer(item) ? json_integer_value(item) : -1,
                        (int64_t)json_object_size(vocab_json), &n, err));
    TD_TRY(td_hf_set_tokens_with_extra(hf, n, err));
    json_object_foreach(vocab_json, key, item) {
        td_text text;
        TD_TRY(td_hf_copy(hf, key, strlen(key), &text, err));
        hf->vocab->tokens[json_integer_value(item)] =
            (td_vocab_token){.text = text.text, .n = text.n, .type = TD_TOKEN_NORMAL};
    }
    return td_hf_add_extra(hf, err);
}

/* Lines of "left right"; a first line that begins with "#version" is none. */
static td_status read_merges_txt(td_hf *hf, const char *merges, size_t n_merges, td_err *err) {
    td_vocab *v = hf->vocab;
    td_text all;
    size_t n_line = 1;
    TD_TRY(td_hf_copy(hf, merges, n_merges, &all, err));
    for (uint32_t i = 0; i < all.n; i++) n_line += all.text[i] == '\n';
    v->merges = td_arena_calloc(&v->arena, n_line, sizeof *v->merges);
    if (!v->merges) return td_fail_nomem(err, "the merges", n_line * sizeof *v->merges);
    const char *end = all.text + all.n;
    for (const char *line = all.text, *stop; line < end; line = stop + 1) {
        stop = memchr(line, '\n', (size_t)(end - line));
        if (!stop) stop = end;
        size_t n = (size_t)(stop - line);
        if (n > 0 && line[n - 1] == '\r') n--;
        if (n == 0 || (line == all.text && n >= 8 && memcmp(line, "#version", 8) == 0)) continue;
        const char *space = n > 1 ? memchr(line + 1, ' ', n - 1) : NULL;
        if (!space || space == line + n - 1)
            return td_fail(err, TD_ERR_FORMAT, "%s: merge %d is no pair of texts", hf->name,
                           v->n_merge);
        const uint32_t n_left = (uint32_t)(space - line);
        v->merges[v->n_merge++] = (td_vocab_merge){.left = line,
                                                   .n_left = n_left,
                                                   .right = space + 1,
                                                   .n_right = (uint32_t)n - n_left - 1};
    }
    return TD_OK;
}

td_status td_hf_read_bpe_files(td_hf *hf, json_t *vocab_json, const char *merges, size_t n_merges,
                               td_vocab *vocab, td_err *err) {
    static const char *const like_gpt2[] = {"",
                                            "GPT2Tokenizer",
                                            "GPT2TokenizerFast",
                                            "RobertaTokenizer",
                                            "BartTokenizer",
                                            "PreTrainedTokenizerFast"};
    TD_TRY(td_hf_init(hf, vocab, TD_VOCAB_BPE, hf->name ? hf->name : "merges.txt", err));
    const char *class = class_of(hf);
    const bool qwen =
        strcmp(class, "Qwen2Tokenizer") == 0 || strcmp(class, "Qwen2TokenizerFast") == 0;
    bool known = qwen;
    for (size_t i = 0; i < sizeof like_gpt2 / sizeof *like_gpt2; i++)
        known |= strcmp(class, like_gpt2[i]) == 0;
    if (!known)
        return td_fail(err, TD_ERR_UNSUPPORTED,
                       "%s: tokenizer_class '%.60s' without a tokenizer.json is not supported",
                       hf->name, class);
    TD_TRY(read_vocab_json(hf, vocab_json, err));
    TD_TRY(read_merges_txt(hf, merges, n_merges, err));
    if (qwen) TD_TRY(td_hf_add_norm(hf, (td_norm_step){.type = TD_NORM_NFC}, err));
    TD_TRY(td_hf_add_decode(hf, (td_decode_step){.type = TD_DECODE_BYTE_LEVEL}, err));
    return split_like(hf, qwen ? "qwen2" : "gpt-2", err);
}

/* ---- tiktoken ---- */

static int digit_of(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Appends base64's bytes in GPT-2's alphabet's place: as they are. */
static bool decode_base64(const char *text, size_t n, td_strbuf *out) {
    uint32_t bits = 0;
    int n_bit = 0;
    while (n > 0 && text[n - 1] == '=') n--;
    for (size_t i = 0; i < n; i++) {
        const int digit = digit_of(text[i]);
        if (digit < 0) return false;
        bits = (bits << 6 | (uint32_t)digit) & 0xFFFFFF;
        n_bit += 6;
        if (n_bit < 8) continue;
        n_bit -= 8;
        td_strbuf_addc(out, (char)(bits >> n_bit));
    }
    return n > 0;
}

/* One line: base64, a space, a rank. */
static td_status read_line(const td_hf *hf, const char *line, size_t n, td_strbuf *bytes,
                           int64_t *rank, td_err *err) {
    const char *space = memchr(line, ' ', n);
    td_strbuf_clear_text(bytes);
    *rank = -1;
    if (space && decode_base64(line, (size_t)(space - line), bytes) && space + 1 < line + n) {
        *rank = 0;
        for (const char *p = space + 1; p < line + n && *rank >= 0; p++)
            *rank = *p >= '0' && *p <= '9' && *rank < INT32_MAX ? *rank * 10 + (*p - '0') : -1;
    }
    if (*rank < 0)
        return td_fail(err, TD_ERR_FORMAT,
                       "%s: a line of %zu bytes is not a token in base64 and a rank", hf->name, n);
    return td_strbuf_check(bytes, "a token", err);
}

typedef td_status line_fn(td_hf *hf, int64_t rank, const td_strbuf *bytes, int64_t *n, td_err *err);

static td_status each_line(td_hf *hf, const char *data, size_t n_data, line_fn *take, int64_t *n,
                           td_err *err) {
    td_strbuf bytes = {0};
    td_status st = TD_OK;
    for (const char *line = data, *end = data + n_data, *stop; line < end && st == TD_OK;
         line = stop + 1) {
        int64_t rank;
        stop = memchr(line, '\n', (size_t)(end - line));
        if (!stop) stop = end;
        size_t n_line = (size_t)(stop - line);
        if (n_line > 0 && line[n_line - 1] == '\r') n_line--;
        if (n_line == 0) continue;
        st = read_line(hf, line, n_line, &bytes, &rank, err);
        if (st == TD_OK) st = take(hf, rank, &bytes, n, err);
    }
    td_strbuf_clear(&bytes);
    return st;
}

static td_status count_line(td_hf *hf, int64_t rank, const td_strbuf *bytes, int64_t *n,
                            td_err *err) {
    (void)bytes;
    return check_id(hf, rank, INT32_MAX / 8, n, err);
}

static td_status take_line(td_hf *hf, int64_t rank, const td_strbuf *bytes, int64_t *n,
                           td_err *err) {
    td_text copy;
    (void)n;
    TD_TRY(td_hf_copy(hf, bytes->text, bytes->n, &copy, err));
    hf->vocab->tokens[rank] =
        (td_vocab_token){.text = copy.text, .n = copy.n, .type = TD_TOKEN_NORMAL};
    return TD_OK;
}

/* The special tokens of the first Qwen, which only its program names: they follow the ranks. */
static td_status add_qwen_specials(td_hf *hf, int64_t n_rank, td_err *err) {
    static const char *const names[] = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
    enum { N_NAME = 3, N_EXTRA = 205 };
    td_added_token *added = td_arena_calloc(&hf->vocab->arena, N_NAME + N_EXTRA, sizeof *added);
    if (!added) return td_fail(err, TD_ERR_NOMEM, "out of memory for the special tokens");
    hf->added = added;
    hf->pipeline->added = added;
    hf->pipeline->n_added = 0;
    for (int i = 0; i < N_NAME + N_EXTRA; i++) {
        char name[32];
        snprintf(name, sizeof name, i < N_NAME ? "%s" : "<|extra_%s%d|>",
                 i < N_NAME ? names[i] : "", i - N_NAME);
        TD_TRY(add_token(hf, (td_added_token){.id = (int32_t)n_rank + i}, name, strlen(name), true,
                         err));
    }
    hf->vocab->eos = (int32_t)n_rank;
    return TD_OK;
}

/* What OpenAI's cl100k_base differs in from Llama 3: white space at the end is one piece. */
static const char cl100k[] =
    "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}++|\\p{N}{1,3}+"
    "| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*+|\\s++\\z|\\s*[\\r\\n]|\\s+(?!\\S)|\\s";

/* The pre-tokenizer of a tiktoken file (or a pattern), by the names of files and classes that have
 * one. */
static const char *pre_of(const td_hf *hf) {
    static const struct {
        const char *file, *class, *pre;
    } known[] = {
        {"qwen.tiktoken",        "QWenTokenizer",     "qwen2"  },
        {"tiktoken.model",       "TikTokenTokenizer", "kimi-k2"},
        {"gpt2.tiktoken",        NULL,                "gpt-2"  },
        {"r50k_base.tiktoken",   NULL,                "gpt-2"  },
        {"p50k_base.tiktoken",   NULL,                "gpt-2"  },
        {"cl100k_base.tiktoken", NULL,                cl100k   },
        {"o200k_base.tiktoken",  NULL,                "gpt-4o" },
    };
    const char *slash = strrchr(hf->name, '/');
    const char *file = slash ? slash + 1 : hf->name;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].class && strcmp(class_of(hf), known[i].class) == 0) return known[i].pre;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(file, known[i].file) == 0) return known[i].pre;
    return NULL;
}

td_status td_hf_read_tiktoken(td_hf *hf, const char *data, size_t n, td_vocab *vocab,
                              const char *name, td_err *err) {
    TD_TRY(td_hf_init(hf, vocab, TD_VOCAB_BPE, name, err));
    const char *pre = pre_of(hf);
    if (!pre)
        return td_fail(err, TD_ERR_UNSUPPORTED,
                       "%s: how this tiktoken file splits text is not known (tokenizer_class "
                       "'%.60s')",
                       name, class_of(hf));
    int64_t n_rank = 0;
    TD_TRY(each_line(hf, data, n, count_line, &n_rank, err));
    const bool qwen = strcmp(pre, "qwen2") == 0 && !decoder_of(hf);
    TD_TRY(td_hf_set_tokens_with_extra(hf, n_rank + (qwen ? 208 : 0), err));
    TD_TRY(each_line(hf, data, n, take_line, &n_rank, err));
    TD_TRY(qwen ? add_qwen_specials(hf, n_rank, err) : td_hf_add_extra(hf, err));
    hf->pipeline->rank_by_token = true;
    hf->pipeline->raw_bytes = true;
    vocab->ignore_merges = true;
    if (pre != cl100k) return split_like(hf, pre, err);
    hf->pipeline->byte_level = true;
    return add_pattern(hf, cl100k, err);
}
