/* tokenizer.c - see tokenizer.h.
 *
 * The way of a text: special tokens are cut out (special.h); what lies between them goes through
 * the pre-tokenizer and byte-level BPE (pretokenize.h, bpe.h), or through SentencePiece's BPE
 * (spm.h). The way back: the bytes of every token are laid out once, at creation. */
#include "text/tokenizer.h"

#include <string.h>

#include "base/alloc.h"
#include "text/bpe.h"
#include "text/pretokenize.h"
#include "text/special.h"
#include "text/spm.h"
#include "text/token_list.h"
#include "text/tokenizer_int.h"

enum {
    IS_HIDDEN = 1, /* gives no text unless special tokens are asked for */
    IS_END = 2,    /* ends the model's turn */
    IS_SPACED = 4  /* SPM: written with U+2581 for spaces, so its first may be the space prefix */
};

struct td_tokenizer {
    const td_vocab *vocab; /* borrowed */
    td_pretokenizer *pre;  /* owned; BPE */
    td_bpe *bpe;           /* owned; BPE */
    td_spm *spm;           /* owned; SPM */
    td_special special;
    char *bytes;     /* owned; the tokens' bytes, one after the other */
    size_t *byte_at; /* owned; [n_token + 1] into bytes */
    uint8_t *flags;  /* owned; [n_token] */
};

/* ---- creation ---- */

/* Tokens that end a turn whatever the file says, by their names: the set of llama.cpp, which files
 * are made for. */
/* clang-format off */
static const char *const end_names[] = {
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>",
    "<end_of_turn>", "</s>", "<|endoftext|>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]",
    "<|end_of_text|>", "<eos>", "<turn|>", "<end_of_utterance>", "<|tool_response>", "[e~[",
    "<\uFF5Cend\u2581of\u2581sentence\uFF5C>",
    /* fill-in-the-middle: padding and the borders of files and repositories */
    "<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]", "<|fim_repo|>", "<|repo_name|>",
    "<fim-repo>", "<REPO>", "<reponame>", "<|file_sep|>"};
/* clang-format on */

static bool has_text(const td_vocab_token *t, const char *name) {
    return t->n == strlen(name) && memcmp(t->text, name, t->n) == 0;
}

/* A normal token of such a name is ordinary text ("</s>" strikes out in HTML) and ends nothing. */
static bool is_named_end(const td_vocab_token *t) {
    if (t->type != TD_TOKEN_CONTROL && t->type != TD_TOKEN_USER_DEFINED) return false;
    for (size_t i = 0; i < sizeof end_names / sizeof *end_names; i++)
        if (has_text(t, end_names[i])) return true;
    return false;
}

static void mark_end(td_tokenizer *tok, int32_t id) {
    if (id >= 0 && id < tok->vocab->n_token) tok->flags[id] |= IS_END;
}

/* In the vocabularies of gpt-oss and Solar "<|end|>" only separates messages of one turn; they are
 * known by the names of the tokens that do end it. */
static void unmark_separator(td_tokenizer *tok) {
    const td_vocab *v = tok->vocab;
    bool has_return = false, has_call = false, has_calls = false, has_flush = false;
    int32_t separator = -1;
    for (int32_t i = 0; i < v->n_token; i++) {
        const td_vocab_token *t = &v->tokens[i];
        if (!(tok->flags[i] & IS_END)) continue;
        has_return |= has_text(t, "<|return|>");
        has_call |= has_text(t, "<|call|>");
        has_calls |= has_text(t, "<|calls|>");
        has_flush |= has_text(t, "<|flush|>");
        if (has_text(t, "<|end|>")) separator = i;
    }
    if (separator >= 0 && ((has_return && has_call) || (has_calls && has_flush)))
        tok->flags[separator] &= (uint8_t)~IS_END;
}

/* Control tokens and those treated like them: matched only with PARSE_SPECIAL, hidden in text.  A
 * user-defined token that ends a turn is a control token whose file mislabels it. */
static bool is_control(const td_vocab_token *t) {
    return t->type == TD_TOKEN_CONTROL || t->type == TD_TOKEN_UNKNOWN || is_named_end(t);
}

static void set_flags(td_tokenizer *tok) {
    const td_vocab *v = tok->vocab;
    for (int32_t i = 0; i < v->n_token; i++) {
        const td_vocab_token *t = &v->tokens[i];
        if (is_control(t) || t->type == TD_TOKEN_UNUSED) tok->flags[i] |= IS_HIDDEN;
        if (is_named_end(t)) tok->flags[i] |= IS_END;
        if (v->model == TD_VOCAB_SPM && t->type == TD_TOKEN_NORMAL) tok->flags[i] |= IS_SPACED;
    }
    unmark_separator(tok);
    mark_end(tok, v->eos);
    mark_end(tok, v->eot);
    mark_end(tok, v->eom);
}

/* Writes the raw bytes of a token to out, which has room for its text; returns how many. */
static size_t decode_token(td_vocab_model model, const td_vocab_token *t, char *out) {
    const int byte = t->type == TD_TOKEN_BYTE ? td_vocab_byte_of(t->text, t->n) : -1;
    if (byte >= 0) {
        *out = (char)byte;
        return 1;
    }
    if (model == TD_VOCAB_BPE && (t->type == TD_TOKEN_NORMAL || t->type == TD_TOKEN_BYTE)) {
        bool as_is;
        return td_bpe_decode_text(t->text, t->n, out, &as_is);
    }
    const bool spaced = model == TD_VOCAB_SPM && t->type == TD_TOKEN_NORMAL;
    size_t n = 0;
    for (size_t i = 0; i < t->n;) {
        const bool space = spaced && t->n - i >= TD_SPM_N_SPACE &&
                           memcmp(t->text + i, TD_SPM_SPACE, TD_SPM_N_SPACE) == 0;
        out[n++] = space ? ' ' : t->text[i];
        i += space ? TD_SPM_N_SPACE : 1;
    }
    return n;
}

static td_status lay_out_bytes(td_tokenizer *tok, td_err *err) {
    const td_vocab *v = tok->vocab;
    const size_t n_token = (size_t)v->n_token;
    size_t n_bytes = 0;
    for (size_t i = 0; i < n_token; i++)
        TD_TRY(td_add_size(&n_bytes, n_bytes, v->tokens[i].n, "the vocabulary's text", err));
    tok->bytes = td_malloc(n_bytes);
    tok->byte_at = td_calloc(n_token + 1, sizeof *tok->byte_at);
    tok->flags = td_calloc(n_token, 1);
    if (!tok->bytes || !tok->byte_at || !tok->flags)
        return td_fail_nomem(err, "the vocabulary's text", n_bytes + n_token * sizeof(size_t));
    for (size_t i = 0; i < n_token; i++) {
        const size_t at = tok->byte_at[i];
        tok->byte_at[i + 1] = at + decode_token(v->model, &v->tokens[i], tok->bytes + at);
    }
    return TD_OK;
}

static td_status add_specials(td_tokenizer *tok, td_err *err) {
    const td_vocab *v = tok->vocab;
    for (int32_t i = 0; i < v->n_token; i++) {
        const td_vocab_token *t = &v->tokens[i];
        const bool control = is_control(t);
        if (t->n == 0 || (!control && t->type != TD_TOKEN_USER_DEFINED)) continue;
        TD_TRY(td_special_add(&tok->special, (td_special_entry){t->text, t->n, i, control}, err));
    }
    td_special_finish(&tok->special);
    return TD_OK;
}

static td_status create_encoder(td_tokenizer *tok, td_err *err) {
    if (tok->vocab->model == TD_VOCAB_SPM) return td_spm_create(&tok->spm, tok->vocab, err);
    TD_TRY(td_pretokenizer_create(&tok->pre, tok->vocab->pre, err));
    const bool ignore_merges =
        tok->vocab->ignore_merges ||
        (td_pretokenizer_definition(tok->pre)->flags & TD_PRETOKENIZER_WHOLE);
    return td_bpe_create(&tok->bpe, tok->vocab, ignore_merges, err);
}

td_status td_tokenizer_create(td_tokenizer **out, const td_vocab *vocab, td_err *err) {
    *out = NULL;
    td_tokenizer *tok = td_calloc(1, sizeof *tok);
    if (!tok) return td_fail_nomem(err, "the tokenizer", sizeof *tok);
    tok->vocab = vocab;
    td_status st = create_encoder(tok, err);
    if (st == TD_OK) st = lay_out_bytes(tok, err);
    if (st == TD_OK) st = add_specials(tok, err);
    if (st != TD_OK) {
        td_tokenizer_free(tok);
        return st;
    }
    set_flags(tok);
    *out = tok;
    return TD_OK;
}

void td_tokenizer_free(td_tokenizer *tok) {
    if (!tok) return;
    td_pretokenizer_free(tok->pre);
    td_bpe_free(tok->bpe);
    td_spm_free(tok->spm);
    td_special_clear(&tok->special);
    td_free(tok->bytes);
    td_free(tok->byte_at);
    td_free(tok->flags);
    td_free(tok);
}

const td_vocab *td_tokenizer_vocab(const td_tokenizer *tok) { return tok->vocab; }

/* ---- encoding ---- */

/* Memory of one call. */
typedef struct encoder {
    td_pieces pieces;
    td_merger merger;
    td_spm_scratch spm;
    td_token_list list;
} encoder;

static void encoder_clear(encoder *e) {
    td_pieces_clear(&e->pieces);
    td_merger_clear(&e->merger);
    td_spm_scratch_clear(&e->spm);
}

/* Text without special tokens in it.  SPM puts a space in front of the text and of what follows a
 * special token, so that a word there is the same token as elsewhere. */
static td_status encode_plain(const td_tokenizer *tok, encoder *e, const char *text, size_t n_text,
                              td_err *err) {
    if (n_text == 0) return TD_OK;
    if (tok->spm)
        return td_spm_encode(tok->spm, &e->spm, text, n_text, tok->vocab->add_space_prefix,
                             &e->list, err);
    TD_TRY(td_pretokenizer_split(tok->pre, text, n_text, &e->pieces, err));
    size_t begin = 0;
    for (size_t i = 0; i < e->pieces.n; i++) {
        const size_t end = e->pieces.ends[i];
        TD_TRY(td_bpe_encode(tok->bpe, &e->merger, text + begin, end - begin, &e->list, err));
        begin = end;
    }
    return TD_OK;
}

static td_status push(td_token_list *list, int32_t token, td_err *err) {
    TD_TRY(td_token_list_reserve(list, 1, err));
    td_token_list_push(list, token);
    return TD_OK;
}

/* BOS goes in before the text is known, and out again if the text brings its own. */
static td_status encode(const td_tokenizer *tok, encoder *e, const char *text, size_t n_text,
                        int flags, td_err *err) {
    const td_vocab *v = tok->vocab;
    const bool special = flags & TD_TOKENIZE_ADD_SPECIAL;
    const bool with_control = flags & TD_TOKENIZE_PARSE_SPECIAL;
    const bool add_bos = special && v->add_bos && v->bos >= 0;
    if (add_bos) TD_TRY(push(&e->list, v->bos, err));
    for (size_t at = 0; at < n_text;) {
        const td_special_match m = td_special_find(&tok->special, text, n_text, at, with_control);
        TD_TRY(encode_plain(tok, e, text + at, m.at - at, err));
        if (m.n > 0) TD_TRY(push(&e->list, m.id, err));
        at = m.at + m.n;
    }
    td_token_list *list = &e->list;
    if (add_bos && list->n > 1 && list->tokens[1] == v->bos)
        memmove(list->tokens, list->tokens + 1, --list->n * sizeof *list->tokens);
    const bool add_eos = special && v->add_eos && v->eos >= 0;
    if (add_eos && (list->n == 0 || list->tokens[list->n - 1] != v->eos))
        TD_TRY(push(list, v->eos, err));
    return TD_OK;
}

td_status td_tokenizer_encode(const td_tokenizer *tok, const char *text, size_t n_text, int flags,
                              int32_t **tokens, int *n_token, td_err *err) {
    *tokens = NULL;
    *n_token = 0;
    if (n_text > TD_PRETOKENIZE_MAX_TEXT)
        return td_fail(err, TD_ERR_LIMIT, "the text has %zu bytes, wanted at most %zu", n_text,
                       TD_PRETOKENIZE_MAX_TEXT);
    encoder e = {0};
    td_status st = encode(tok, &e, text, n_text, flags, err);
    if (st == TD_OK) st = td_token_list_reserve(&e.list, 1, err); /* never NULL on success */
    encoder_clear(&e);
    if (st != TD_OK) {
        td_free(e.list.tokens);
        return st;
    }
    *tokens = e.list.tokens;
    *n_token = (int)e.list.n;
    return TD_OK;
}

/* ---- decoding ---- */

const char *td_tokenizer_token_bytes(const td_tokenizer *tok, int32_t token, bool with_special,
                                     size_t *n) {
    *n = 0;
    if (token < 0 || token >= tok->vocab->n_token) return "";
    if ((tok->flags[token] & IS_HIDDEN) && !with_special) return "";
    const size_t at = tok->byte_at[token];
    *n = tok->byte_at[token + 1] - at;
    return tok->bytes + at;
}

const char *td_tokenizer_text_of(const td_tokenizer *tok, int32_t token, bool with_special,
                                 bool *at_start, size_t *n) {
    const char *bytes = td_tokenizer_token_bytes(tok, token, with_special, n);
    if (*n == 0 || !*at_start) return bytes;
    *at_start = false;
    if (!tok->vocab->add_space_prefix || !(tok->flags[token] & IS_SPACED) || *bytes != ' ')
        return bytes;
    --*n;
    return bytes + 1;
}

bool td_tokenizer_is_end(const td_tokenizer *tok, int32_t token) {
    return token >= 0 && token < tok->vocab->n_token && (tok->flags[token] & IS_END);
}

void td_tokenizer_decode(const td_tokenizer *tok, const int32_t *tokens, int n_token,
                         bool with_special, td_strbuf *out) {
    bool at_start = true;
    for (int i = 0; i < n_token; i++) {
        size_t n;
        const char *text = td_tokenizer_text_of(tok, tokens[i], with_special, &at_start, &n);
        td_strbuf_add(out, text, n);
    }
}
