/* tokenizer.c - see tokenizer.h.
 *
 * The way of a text: special tokens are cut out (special.h); what lies between them is normalized
 * (normalize.h), once more looked through for special tokens, split (pretokenize.h) and handed to
 * the model (bpe.h, spm.h, unigram.h, wordpiece.h). The way back: the bytes of every token are laid
 * out once, at creation (decode.h). */
#include "text/tokenizer.h"

#include <string.h>

#include "base/alloc.h"
#include "text/bpe.h"
#include "text/decode.h"
#include "text/normalize.h"
#include "text/pretokenize.h"
#include "text/pystr.h"
#include "text/repair.h"
#include "text/special.h"
#include "text/spm.h"
#include "text/token_list.h"
#include "text/tokenizer_int.h"
#include "text/unicode.h"
#include "text/unigram.h"
#include "text/utf8.h"
#include "text/wordpiece.h"

enum {
    IS_HIDDEN = 1,   /* gives no text unless special tokens are asked for */
    IS_END = 2,      /* ends the model's turn */
    IS_SPACED = 4,   /* a space at its front may be the one that encoding put before the text */
    SINGLE_WORD = 8, /* of added tokens: pipeline.h */
    LEFT_STRIP = 16,
    RIGHT_STRIP = 32
};

struct td_tokenizer {
    const td_vocab *vocab;   /* borrowed */
    td_pipeline pipeline;    /* the vocabulary's, or what stands for the fields of a GGUF file */
    td_normalizer *norm;     /* owned; NULL: text stays as it is */
    td_pretokenizer *pre;    /* owned; NULL: all text is one piece */
    td_bpe *bpe;             /* owned; BPE */
    td_spm *spm;             /* owned; SPM */
    td_unigram *unigram;     /* owned; UNIGRAM */
    td_wordpiece *wordpiece; /* owned; WORDPIECE, WORDLEVEL */
    bool whole_lines;        /* a piece of line feeds that is a token is that token */
    bool strips_end;         /* a space that the last token ends with is none of the text's */
    td_special raw;          /* tokens to find in raw text, */
    td_special normalized;   /* and those to find in normalized text */
    char *names;             /* owned; what the latter look like there */
    char *bytes;             /* owned; the tokens' bytes, one after the other */
    size_t *byte_at;         /* owned; [n_token + 1] into bytes */
    size_t *first_at;        /* owned; [n_token + 1]: as first token; NULL: no difference */
    uint8_t *flags;          /* owned; [n_token] */
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
    bool strips = v->model == TD_VOCAB_SPM && !v->pipeline;
    for (int i = 0; i < tok->pipeline.n_decode; i++) {
        strips |= tok->pipeline.decodes[i].type == TD_DECODE_STRIP_TEXT;
        tok->strips_end |= tok->pipeline.decodes[i].type == TD_DECODE_BPE;
    }
    for (int32_t i = 0; i < v->n_token; i++) {
        const td_vocab_token *t = &v->tokens[i];
        if (is_control(t) || t->type == TD_TOKEN_UNUSED) tok->flags[i] |= IS_HIDDEN;
        if (is_named_end(t)) tok->flags[i] |= IS_END;
        if (strips && (t->type == TD_TOKEN_NORMAL || v->pipeline)) tok->flags[i] |= IS_SPACED;
    }
    unmark_separator(tok);
    mark_end(tok, v->eos);
    mark_end(tok, v->eot);
    mark_end(tok, v->eom);
    for (int32_t i = 0; i < v->n_end; i++) mark_end(tok, v->ends[i]);
}

/* Appends the bytes of all tokens to out and fills at[n_token + 1]. */
static td_status lay_out(const td_tokenizer *tok, bool first, td_strbuf *out, size_t *at,
                         td_err *err) {
    const td_vocab *v = tok->vocab;
    td_strbuf spare = {0};
    for (int32_t i = 0; i < v->n_token; i++) {
        at[i] = out->n;
        td_decode_token(&tok->pipeline, &v->tokens[i], first, &spare, out);
    }
    at[v->n_token] = out->n;
    td_strbuf_clear(&spare);
    return td_strbuf_check(out, "the vocabulary's text", err);
}

static td_status lay_out_bytes(td_tokenizer *tok, td_err *err) {
    const size_t n_token = (size_t)tok->vocab->n_token;
    const bool differs = td_decode_first_differs(&tok->pipeline);
    tok->byte_at = td_calloc(n_token + 1, sizeof *tok->byte_at);
    tok->flags = td_calloc(n_token, 1);
    if (differs) tok->first_at = td_calloc(n_token + 1, sizeof *tok->first_at);
    if (!tok->byte_at || !tok->flags || (differs && !tok->first_at))
        return td_fail_nomem(err, "the vocabulary's text", n_token * sizeof(size_t));
    td_strbuf bytes = {0};
    td_strbuf_addc(&bytes, 0); /* so that there is something to point to */
    td_status st = lay_out(tok, false, &bytes, tok->byte_at, err);
    if (st == TD_OK && differs) st = lay_out(tok, true, &bytes, tok->first_at, err);
    if (st != TD_OK) {
        td_strbuf_clear(&bytes);
        return st;
    }
    tok->bytes = td_strbuf_take(&bytes);
    return TD_OK;
}

/* A file without a list of added tokens has them by type. */
static td_status add_by_type(td_tokenizer *tok, td_err *err) {
    const td_vocab *v = tok->vocab;
    for (int32_t i = 0; i < v->n_token; i++) {
        const td_vocab_token *t = &v->tokens[i];
        const bool control = is_control(t);
        if (t->n == 0 || (!control && t->type != TD_TOKEN_USER_DEFINED)) continue;
        TD_TRY(td_special_add(&tok->raw, (td_special_entry){t->text, t->n, i, control}, err));
    }
    return TD_OK;
}

/* Appends what a token looks like in normalized text.  SentencePiece writes them so already. */
static td_status name_token(td_tokenizer *tok, const td_vocab_token *t, td_norm_scratch *scratch,
                            td_strbuf *names, td_err *err) {
    const char *text = t->text;
    size_t n = t->n;
    const td_pipeline *p = &tok->pipeline;
    const bool plain = p->n_norm == 0 || p->norms[0].type == TD_NORM_SENTENCEPIECE;
    if (!plain && td_utf8_valid_prefix(text, n) == n)
        TD_TRY(td_normalizer_run(tok->norm, scratch, text, n, &text, &n, err));
    td_strbuf_add(names, text, n);
    return td_strbuf_check(names, "the added tokens", err);
}

static td_status name_all(td_tokenizer *tok, td_norm_scratch *scratch, td_strbuf *names,
                          size_t *ends, td_err *err) {
    const td_pipeline *p = &tok->pipeline;
    for (int i = 0; i < p->n_added; i++) {
        if (p->added[i].normalized)
            TD_TRY(name_token(tok, &tok->vocab->tokens[p->added[i].id], scratch, names, err));
        ends[i] = names->n;
    }
    return TD_OK;
}

static td_status add_added(td_tokenizer *tok, const size_t *ends, td_err *err) {
    const td_pipeline *p = &tok->pipeline;
    size_t begin = 0;
    for (int i = 0; i < p->n_added; i++) {
        const td_added_token *a = &p->added[i];
        const td_vocab_token *t = &tok->vocab->tokens[a->id];
        td_special_entry e = {t->text, t->n, a->id, is_control(t)};
        if (a->normalized) {
            e.text = tok->names + begin;
            e.n = (uint32_t)(ends[i] - begin);
        }
        begin = ends[i];
        tok->flags[a->id] |=
            (uint8_t)((a->single_word ? SINGLE_WORD : 0) | (a->lstrip ? LEFT_STRIP : 0) |
                      (a->rstrip ? RIGHT_STRIP : 0));
        if (e.n > 0) TD_TRY(td_special_add(a->normalized ? &tok->normalized : &tok->raw, e, err));
    }
    return TD_OK;
}

static td_status add_specials(td_tokenizer *tok, td_err *err) {
    const td_pipeline *p = &tok->pipeline;
    td_status st = TD_OK;
    if (p->n_added == 0) {
        st = add_by_type(tok, err);
    } else {
        td_norm_scratch scratch = {0};
        td_strbuf names = {0};
        size_t *ends = td_calloc((size_t)p->n_added, sizeof *ends);
        if (!ends) return td_fail_nomem(err, "the added tokens", (size_t)p->n_added);
        st = name_all(tok, &scratch, &names, ends, err);
        if (st == TD_OK) tok->names = td_strbuf_take(&names);
        if (st == TD_OK && !tok->names) st = td_fail_nomem(err, "the added tokens", names.n);
        if (st == TD_OK) st = add_added(tok, ends, err);
        td_norm_scratch_clear(&scratch);
        td_strbuf_clear(&names);
        td_free(ends);
    }
    td_special_finish(&tok->raw);
    td_special_finish(&tok->normalized);
    return st;
}

/* What the fields of a GGUF file mean, as a pipeline. */
static void describe_gguf(td_tokenizer *tok, unsigned pre_flags) {
    static const td_decode_step byte_level[] = {{.type = TD_DECODE_BYTE_FALLBACK},
                                                {.type = TD_DECODE_BYTE_LEVEL}};
    static const td_decode_step spaced[] = {
        {.type = TD_DECODE_BYTE_FALLBACK},
        { .type = TD_DECODE_REPLACE,
         .pattern = {TD_SPM_SPACE, TD_SPM_N_SPACE},
         .content = {" ", 1},
         .spelled_only = true}
    };
    const td_vocab *v = tok->vocab;
    const bool is_spaced = v->model == TD_VOCAB_SPM || (pre_flags & TD_PRETOKENIZER_SPACED);
    td_pipeline *p = &tok->pipeline;
    *p = (td_pipeline){.model_unk = -1};
    p->byte_level =
        v->model == TD_VOCAB_BPE && !(pre_flags & (TD_PRETOKENIZER_SPACED | TD_PRETOKENIZER_PLAIN));
    if (v->model == TD_VOCAB_BPE && !p->byte_level) {
        p->byte_fallback = true;
        p->model_unk = v->unk;
    }
    p->decodes = is_spaced ? spaced : byte_level;
    p->n_decode = is_spaced || p->byte_level ? 2 : 0;
}

static td_status create_model(td_tokenizer *tok, bool ignore_merges, td_err *err) {
    const td_vocab *v = tok->vocab;
    switch (v->model) {
    case TD_VOCAB_BPE: return td_bpe_create(&tok->bpe, v, &tok->pipeline, ignore_merges, err);
    case TD_VOCAB_SPM: return td_spm_create(&tok->spm, v, err);
    case TD_VOCAB_UNIGRAM: return td_unigram_create(&tok->unigram, v, &tok->pipeline, err);
    default: return td_wordpiece_create(&tok->wordpiece, v, &tok->pipeline, err);
    }
}

static td_status create_encoder(td_tokenizer *tok, td_err *err) {
    const td_vocab *v = tok->vocab;
    unsigned pre_flags = 0;
    if (v->pipeline) {
        tok->pipeline = *v->pipeline;
        const td_pipeline *p = &tok->pipeline;
        if (p->n_norm > 0)
            TD_TRY(td_normalizer_create(&tok->norm, p->norms, p->n_norm, &tok->normalized, err));
        if (p->n_pre > 0)
            TD_TRY(td_pretokenizer_create(&tok->pre, p->pres, p->n_pre, "the pre-tokenizer", err));
    } else {
        if (v->model == TD_VOCAB_BPE) {
            TD_TRY(td_pretokenizer_create_named(&tok->pre, v->pre, err));
            pre_flags = td_pretokenizer_find(v->pre)->flags;
        }
        describe_gguf(tok, pre_flags);
    }
    tok->whole_lines = pre_flags & TD_PRETOKENIZER_LINES;
    return create_model(tok, v->ignore_merges || (pre_flags & TD_PRETOKENIZER_WHOLE), err);
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
    td_unigram_free(tok->unigram);
    td_wordpiece_free(tok->wordpiece);
    td_normalizer_free(tok->norm);
    td_special_clear(&tok->raw);
    td_special_clear(&tok->normalized);
    td_free(tok->names);
    td_free(tok->bytes);
    td_free(tok->byte_at);
    td_free(tok->first_at);
    td_free(tok->flags);
    td_free(tok);
}

const td_vocab *td_tokenizer_vocab(const td_tokenizer *tok) { return tok->vocab; }

/* ---- encoding ---- */

/* Memory of one call. */
typedef struct encoder {
    const td_tokenizer *tok; /* borrowed */
    bool with_control;
    td_norm_scratch norm;
    td_pieces pieces;
    td_merger merger;
    td_spm_scratch spm;
    td_unigram_scratch unigram;
    td_token_list list;
} encoder;

static void encoder_clear(encoder *e) {
    td_norm_scratch_clear(&e->norm);
    td_pieces_clear(&e->pieces);
    td_merger_clear(&e->merger);
    td_spm_scratch_clear(&e->spm);
    td_unigram_scratch_clear(&e->unigram);
}

static td_status push(td_token_list *list, int32_t token, td_err *err) {
    TD_TRY(td_token_list_reserve(list, 1, err));
    td_token_list_push(list, token);
    return TD_OK;
}

static td_status encode_piece(encoder *e, const char *piece, size_t n, td_err *err) {
    const td_tokenizer *tok = e->tok;
    if (tok->whole_lines && *piece == '\n') {
        const int32_t id = td_bpe_find(tok->bpe, piece, n);
        if (id >= 0) return push(&e->list, id, err);
    }
    if (tok->bpe) return td_bpe_encode(tok->bpe, &e->merger, piece, n, &e->list, err);
    if (tok->unigram) return td_unigram_encode(tok->unigram, &e->unigram, piece, n, &e->list, err);
    return td_wordpiece_encode(tok->wordpiece, piece, n, &e->list, err);
}

/* Text without special tokens in it.  GGUF's SPM puts a space in front of the text and of what
 * follows a special token, so that a word there is the same token as elsewhere. */
static td_status encode_plain(encoder *e, const char *text, size_t n_text, bool at_start,
                              td_err *err) {
    const td_tokenizer *tok = e->tok;
    if (n_text == 0) return TD_OK;
    if (tok->spm)
        return td_spm_encode(tok->spm, &e->spm, text, n_text,
                             !tok->vocab->pipeline && tok->vocab->add_space_prefix, &e->list, err);
    if (!tok->pre) return encode_piece(e, text, n_text, err);
    TD_TRY(td_pretokenizer_split(tok->pre, text, n_text, at_start, &e->pieces, err));
    const td_pieces *p = &e->pieces;
    for (size_t i = 0; i < p->n; i++)
        TD_TRY(
            encode_piece(e, p->text + p->spans[i].begin, p->spans[i].end - p->spans[i].begin, err));
    return TD_OK;
}

static bool is_word_at(const char *text, size_t n, size_t at) {
    size_t k;
    return at < n && td_unicode_is_word(td_pystr_decode(text + at, n - at, &k));
}

static bool is_word_before(const char *text, size_t at) {
    size_t k;
    return at > 0 && td_unicode_is_word(td_pystr_decode_back(text, at, &k));
}

/* The next added token at or after `from`, with the white space it takes with it. */
static td_special_match find_added(const encoder *e, const td_special *among, const char *text,
                                   size_t n, size_t from) {
    td_special_match m = {.at = from};
    do {
        m = td_special_find(among, text, n, m.at + m.n, e->with_control);
        if (m.n == 0) return m;
    } while ((e->tok->flags[m.id] & SINGLE_WORD) &&
             (is_word_before(text, m.at) || is_word_at(text, n, m.at + m.n)));
    size_t k;
    while ((e->tok->flags[m.id] & LEFT_STRIP) && m.at > from &&
           td_unicode_is_white_space(td_pystr_decode_back(text, m.at, &k))) {
        m.at -= k;
        m.n += k;
    }
    while ((e->tok->flags[m.id] & RIGHT_STRIP) && m.at + m.n < n &&
           td_unicode_is_white_space(td_pystr_decode(text + m.at + m.n, n - m.at - m.n, &k)))
        m.n += k;
    return m;
}

/* Well-formed text between the tokens of raw text. */
static td_status encode_normalized(encoder *e, const char *text, size_t n, bool at_start,
                                   td_err *err) {
    if (e->tok->norm) TD_TRY(td_normalizer_run(e->tok->norm, &e->norm, text, n, &text, &n, err));
    for (size_t at = 0; at < n;) {
        const td_special_match m = find_added(e, &e->tok->normalized, text, n, at);
        TD_TRY(encode_plain(e, text + at, m.at - at, at_start && at == 0, err));
        if (m.n > 0) TD_TRY(push(&e->list, m.id, err));
        at = m.at + m.n;
    }
    return TD_OK;
}

/* Text between the tokens of raw text. */
static td_status encode_stretch(encoder *e, const char *text, size_t n, bool at_start,
                                td_err *err) {
    if (n == 0) return TD_OK;
    if (!e->tok->norm || td_utf8_valid_prefix(text, n) == n)
        return encode_normalized(e, text, n, at_start, err);
    td_repair r = {0};
    td_status st = td_repair_text(&r, text, n, err);
    if (st == TD_OK) st = encode_normalized(e, r.text.text, r.text.n, at_start, err);
    td_repair_clear(&r);
    return st;
}

static td_status push_all(td_token_list *list, const int32_t *tokens, int n, td_err *err) {
    for (int i = 0; i < n; i++) TD_TRY(push(list, tokens[i], err));
    return TD_OK;
}

/* A single token behind the text is left out where the text brings it. */
static td_status add_suffix(encoder *e, size_t n_prefix, td_err *err) {
    const td_vocab *v = e->tok->vocab;
    td_token_list *list = &e->list;
    const int n = v->pipeline ? v->pipeline->n_suffix : v->add_eos && v->eos >= 0;
    const int32_t *tokens = v->pipeline ? v->pipeline->suffix : &v->eos;
    if (n == 1 && list->n > n_prefix && list->tokens[list->n - 1] == *tokens) return TD_OK;
    return push_all(list, tokens, n, err);
}

/* BOS goes in before the text is known, and out again if the text brings its own. */
static td_status encode(encoder *e, const char *text, size_t n_text, bool special, td_err *err) {
    const td_tokenizer *tok = e->tok;
    const td_vocab *v = tok->vocab;
    td_token_list *list = &e->list;
    if (special && v->pipeline)
        TD_TRY(push_all(list, v->pipeline->prefix, v->pipeline->n_prefix, err));
    else if (special)
        TD_TRY(push_all(list, &v->bos, v->add_bos && v->bos >= 0, err));
    size_t n_prefix = list->n;
    for (size_t at = 0; at < n_text;) {
        const td_special_match m = find_added(e, &tok->raw, text, n_text, at);
        TD_TRY(encode_stretch(e, text + at, m.at - at, at == 0, err));
        if (m.n > 0) TD_TRY(push(list, m.id, err));
        at = m.at + m.n;
    }
    if (n_prefix == 1 && list->n > 1 && list->tokens[1] == list->tokens[0]) {
        memmove(list->tokens, list->tokens + 1, --list->n * sizeof *list->tokens);
        n_prefix = 0;
    }
    if (!v->pipeline) n_prefix = 0; /* where BOS is EOS, a GGUF file's goes in once */
    return special ? add_suffix(e, n_prefix, err) : TD_OK;
}

td_status td_tokenizer_encode(const td_tokenizer *tok, const char *text, size_t n_text, int flags,
                              int32_t **tokens, int *n_token, td_err *err) {
    *tokens = NULL;
    *n_token = 0;
    if (n_text > TD_PRETOKENIZE_MAX_TEXT)
        return td_fail(err, TD_ERR_LIMIT, "the text has %zu bytes, wanted at most %zu", n_text,
                       TD_PRETOKENIZE_MAX_TEXT);
    encoder e = {.tok = tok, .with_control = flags & TD_TOKENIZE_PARSE_SPECIAL};
    td_status st = encode(&e, text, n_text, flags & TD_TOKENIZE_ADD_SPECIAL, err);
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
    if (tok->first_at) {
        *n = tok->first_at[token + 1] - tok->first_at[token];
        bytes = tok->bytes + tok->first_at[token];
    }
    const bool strips = tok->vocab->pipeline || tok->vocab->add_space_prefix;
    if (*n == 0 || !strips || !(tok->flags[token] & IS_SPACED) || *bytes != ' ') return bytes;
    --*n;
    return bytes + 1;
}

bool td_tokenizer_is_end(const td_tokenizer *tok, int32_t token) {
    return token >= 0 && token < tok->vocab->n_token && (tok->flags[token] & IS_END);
}

void td_tokenizer_decode(const td_tokenizer *tok, const int32_t *tokens, int n_token,
                         bool with_special, td_strbuf *out) {
    bool at_start = true, ends_with_space = false;
    for (int i = 0; i < n_token; i++) {
        size_t n;
        const char *text = td_tokenizer_text_of(tok, tokens[i], with_special, &at_start, &n);
        td_strbuf_add(out, text, n);
        if (n > 0) ends_with_space = text[n - 1] == ' ';
    }
    if (tok->strips_end && ends_with_space && !out->failed) out->n--;
}
