/* vocab_gguf.c - the vocabulary out of tokenizer.* metadata.
 *
 * Everything the tokenizers index by is checked here: arrays of one length, token types, byte
 * tokens, special ids.  Token and merge texts are borrowed from the file and may be any bytes,
 * empty too; only the chat template is promised to be UTF-8.  What a file leaves out is filled in
 * as llama.cpp does (reference: GGUF vocab). */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "format/checkpoint.h"
#include "text/pretokenize.h"
#include "text/spm.h"
#include "text/utf8.h"

static bool string_is(td_string s, const char *text) {
    return s.n == strlen(text) && memcmp(s.text, text, s.n) == 0;
}

/* An array of elem_type with `n` elements (0: any number but none).  NULL if absent and not
 * required. */
static td_status get_array(const td_checkpoint *ckpt, const char *key, td_meta_type elem_type,
                           uint64_t n, bool required, const td_meta **out, td_err *err) {
    const char *path = td_checkpoint_file(ckpt, 0);
    const td_meta *m = *out = td_checkpoint_meta(ckpt, key);
    if (!m && required) return td_fail(err, TD_ERR_FORMAT, "%s: key '%s' is missing", path, key);
    if (!m) return TD_OK;
    if (m->type != TD_META_ARRAY || (m->n_elem > 0 && m->elem_type != elem_type))
        return td_fail(err, TD_ERR_FORMAT, "%s: key '%s' is no array of %s", path, key,
                       elem_type == TD_META_STRING  ? "strings"
                       : elem_type == TD_META_FLOAT ? "floats"
                                                    : "integers");
    if (n > 0 && m->n_elem != n)
        return td_fail(err, TD_ERR_FORMAT,
                       "%s: key '%s' has %" PRIu64 " elements, wanted one for each of %" PRIu64
                       " tokens",
                       path, key, m->n_elem, n);
    if (m->n_elem == 0 || m->n_elem > INT32_MAX)
        return td_fail(err, TD_ERR_FORMAT,
                       "%s: key '%s' has %" PRIu64 " elements, wanted 1 to %" PRId32, path, key,
                       m->n_elem, INT32_MAX);
    return TD_OK;
}

/* ---- tokens ---- */

/* types and scores may be NULL. */
static td_status read_token(const td_checkpoint *ckpt, const td_meta *types, const td_meta *scores,
                            uint64_t i, td_vocab_token *t, td_err *err) {
    if (types) {
        const int64_t type = td_meta_int(types, i);
        if (type < TD_TOKEN_NORMAL || type > TD_TOKEN_BYTE)
            return td_fail(err, TD_ERR_FORMAT,
                           "%s: the type of token %" PRIu64 " is %" PRId64 ", wanted %d to %d",
                           td_checkpoint_file(ckpt, 0), i, type, TD_TOKEN_NORMAL, TD_TOKEN_BYTE);
        t->type = (uint8_t)type;
    }
    if (scores) {
        t->score = td_meta_float(scores, i);
        if (!isfinite(t->score))
            return td_fail(err, TD_ERR_FORMAT,
                           "%s: the score of token %" PRIu64 " is %f, wanted a finite number",
                           td_checkpoint_file(ckpt, 0), i, t->score);
    }
    if (t->type == TD_TOKEN_BYTE && td_vocab_byte_of(t->text, t->n) < 0)
        return td_fail(err, TD_ERR_FORMAT,
                       "%s: token %" PRIu64 " has type %d (a byte), but its text of %" PRIu32
                       " bytes is not like '<0x0A>'",
                       td_checkpoint_file(ckpt, 0), i, TD_TOKEN_BYTE, t->n);
    return TD_OK;
}

static td_status read_tokens(const td_checkpoint *ckpt, td_vocab *vocab, td_err *err) {
    const bool is_spm = vocab->model == TD_VOCAB_SPM || vocab->model == TD_VOCAB_UNIGRAM;
    const td_meta *texts, *types, *scores;
    TD_TRY(get_array(ckpt, "tokenizer.ggml.tokens", TD_META_STRING, 0, true, &texts, err));
    const uint64_t n = texts->n_elem;
    TD_TRY(get_array(ckpt, "tokenizer.ggml.token_type", TD_META_INT, n, false, &types, err));
    TD_TRY(get_array(ckpt, "tokenizer.ggml.scores", TD_META_FLOAT, n, is_spm, &scores, err));
    vocab->tokens = td_arena_calloc(&vocab->arena, (size_t)n, sizeof *vocab->tokens);
    if (!vocab->tokens)
        return td_fail_nomem(err, "the vocabulary", (size_t)n * sizeof *vocab->tokens);
    vocab->n_token = (int32_t)n;
    for (uint64_t i = 0; i < n; i++) {
        const td_string text = td_meta_string(texts, i);
        td_vocab_token *t = &vocab->tokens[i];
        *t = (td_vocab_token){.text = text.text, .n = (uint32_t)text.n, .type = TD_TOKEN_NORMAL};
        TD_TRY(read_token(ckpt, types, is_spm ? scores : NULL, i, t, err));
    }
    return TD_OK;
}

/* "left right": the first space that has something before it separates. */
static td_status read_merges(const td_checkpoint *ckpt, td_vocab *vocab, td_err *err) {
    const td_meta *m;
    TD_TRY(get_array(ckpt, "tokenizer.ggml.merges", TD_META_STRING, 0, true, &m, err));
    vocab->merges = td_arena_calloc(&vocab->arena, (size_t)m->n_elem, sizeof *vocab->merges);
    if (!vocab->merges)
        return td_fail_nomem(err, "the merges", (size_t)m->n_elem * sizeof *vocab->merges);
    vocab->n_merge = (int32_t)m->n_elem;
    for (uint64_t i = 0; i < m->n_elem; i++) {
        const td_string s = td_meta_string(m, i);
        const char *space = s.n > 1 ? memchr(s.text + 1, ' ', s.n - 1) : NULL;
        if (!space || space == s.text + s.n - 1)
            return td_fail(err, TD_ERR_FORMAT,
                           "%s: merge %" PRIu64 " of %zu bytes is not two texts with a space "
                           "between",
                           td_checkpoint_file(ckpt, 0), i, s.n);
        const uint32_t n_left = (uint32_t)(space - s.text);
        vocab->merges[i] = (td_vocab_merge){.left = s.text,
                                            .n_left = n_left,
                                            .right = space + 1,
                                            .n_right = (uint32_t)s.n - n_left - 1};
    }
    return TD_OK;
}

/* ---- special ids and flags ---- */

/* Some converters write "none" as -1, which a u32 keeps as 2^32 - 1. */
static td_status read_id(const td_checkpoint *ckpt, const td_vocab *vocab, const char *key,
                         int32_t *out, td_err *err) {
    const td_meta *m = td_checkpoint_meta(ckpt, key);
    int64_t id = -1;
    *out = -1;
    if (m && m->type == TD_META_INT && (td_meta_int(m, 0) == -1 || td_meta_int(m, 0) == UINT32_MAX))
        return TD_OK;
    TD_TRY(td_checkpoint_get_int(ckpt, key, false, 0, vocab->n_token - 1, &id, err));
    *out = (int32_t)id;
    return TD_OK;
}

static td_status read_special(const td_checkpoint *ckpt, td_vocab *vocab, td_err *err) {
    TD_TRY(read_id(ckpt, vocab, "tokenizer.ggml.bos_token_id", &vocab->bos, err));
    TD_TRY(read_id(ckpt, vocab, "tokenizer.ggml.eos_token_id", &vocab->eos, err));
    TD_TRY(read_id(ckpt, vocab, "tokenizer.ggml.eot_token_id", &vocab->eot, err));
    TD_TRY(read_id(ckpt, vocab, "tokenizer.ggml.eom_token_id", &vocab->eom, err));
    TD_TRY(read_id(ckpt, vocab, "tokenizer.ggml.unknown_token_id", &vocab->unk, err));
    TD_TRY(read_id(ckpt, vocab, "tokenizer.ggml.padding_token_id", &vocab->pad, err));
    td_vocab_name_ends(vocab);
    return TD_OK;
}

static td_status read_pre(const td_checkpoint *ckpt, td_vocab *vocab, td_err *err) {
    td_string pre;
    TD_TRY(td_checkpoint_get_string(ckpt, "tokenizer.ggml.pre", false, &pre, err));
    if (pre.n >= sizeof vocab->pre || (pre.n > 0 && memchr(pre.text, 0, pre.n)))
        return td_fail(err, TD_ERR_FORMAT,
                       "%s: key 'tokenizer.ggml.pre' has %zu bytes, wanted at most %zu and no NUL",
                       td_checkpoint_file(ckpt, 0), pre.n, sizeof vocab->pre - 1);
    if (pre.n > 0) {
        memcpy(vocab->pre, pre.text, pre.n);
        vocab->pre[pre.n] = 0;
    }
    return TD_OK;
}

static td_status read_flags(const td_checkpoint *ckpt, td_vocab *vocab, td_err *err) {
    vocab->add_bos = vocab->model == TD_VOCAB_SPM || vocab->model == TD_VOCAB_WORDPIECE;
    vocab->add_eos = vocab->model == TD_VOCAB_UNIGRAM;
    vocab->add_space_prefix = vocab->model == TD_VOCAB_SPM;
    const td_pretokenizer_def *def = td_pretokenizer_find(vocab->pre);
    if (vocab->model == TD_VOCAB_BPE && def) { /* an unknown name is the tokenizer's to refuse */
        vocab->add_bos = def->flags & TD_PRETOKENIZER_BOS;
        vocab->ignore_merges = def->flags & TD_PRETOKENIZER_WHOLE;
    }
    TD_TRY(td_checkpoint_get_bool(ckpt, "tokenizer.ggml.add_bos_token", &vocab->add_bos, err));
    TD_TRY(td_checkpoint_get_bool(ckpt, "tokenizer.ggml.add_eos_token", &vocab->add_eos, err));
    if (strcmp(vocab->pre, "gemma4") == 0) vocab->add_bos = true; /* files that say no are wrong */
    return td_checkpoint_get_bool(ckpt, "tokenizer.ggml.add_space_prefix", &vocab->add_space_prefix,
                                  err);
}

/* ---- what Unigram and WordPiece do to text ---- */

/* The compiled map of characters, an array of bytes; empty if the file has none. */
static td_status read_charsmap(const td_checkpoint *ckpt, td_vocab *vocab, td_text *out,
                               td_err *err) {
    const td_meta *m;
    TD_TRY(get_array(ckpt, "tokenizer.ggml.precompiled_charsmap", TD_META_INT, 0, false, &m, err));
    if (!m) return TD_OK;
    char *bytes = td_arena_alloc(&vocab->arena, (size_t)m->n_elem);
    if (!bytes) return td_fail_nomem(err, "the map of characters", (size_t)m->n_elem);
    for (uint64_t i = 0; i < m->n_elem; i++) bytes[i] = (char)(uint8_t)td_meta_int(m, i);
    *out = (td_text){bytes, (uint32_t)m->n_elem};
    return TD_OK;
}

static td_status describe_unigram(const td_checkpoint *ckpt, td_vocab *vocab, td_pipeline *p,
                                  td_norm_step *norms, td_err *err) {
    bool remove_extra = false;
    TD_TRY(td_checkpoint_get_bool(ckpt, "tokenizer.ggml.remove_extra_whitespaces", &remove_extra,
                                  err));
    norms[0] = (td_norm_step){.type = TD_NORM_SENTENCEPIECE, .flags = TD_NORM_ESCAPE};
    if (vocab->add_space_prefix) norms[0].flags |= TD_NORM_DUMMY_PREFIX;
    if (remove_extra) norms[0].flags |= TD_NORM_REMOVE_EXTRA;
    TD_TRY(read_charsmap(ckpt, vocab, &norms[0].content, err));
    p->n_norm = 1;
    p->fuse_unk = true;
    p->n_suffix = vocab->add_eos && vocab->eos >= 0;
    return TD_OK;
}

/* BERT's, as llama.cpp has it: a vocabulary whose words begin with U+2581. */
static td_status describe_wordpiece(const td_checkpoint *ckpt, td_vocab *vocab, td_pipeline *p,
                                    td_norm_step *norms, td_err *err) {
    static const td_pre_step pres[] = {
        {.type = TD_PRE_SPLIT, .match = TD_MATCH_WHITE_SPACE, .behavior = TD_PRE_REMOVED},
        {.type = TD_PRE_SPLIT,                    .match = TD_MATCH_PUNCTUATION                             }
    };
    int32_t *sep = td_arena_alloc(&vocab->arena, sizeof *sep);
    if (!sep) return td_fail_nomem(err, "the vocabulary", sizeof *sep);
    TD_TRY(read_id(ckpt, vocab, "tokenizer.ggml.seperator_token_id", sep, err));
    norms[0] = (td_norm_step){.type = TD_NORM_LLAMA_BERT};
    norms[1] = (td_norm_step){.type = TD_NORM_BERT_CHINESE};
    p->n_norm = 2;
    p->pres = pres;
    p->n_pre = 2;
    p->whole_words = true;
    p->suffix = sep;
    p->n_suffix = *sep >= 0;
    return TD_OK;
}

static td_status describe(const td_checkpoint *ckpt, td_vocab *vocab, td_err *err) {
    static const td_decode_step decodes[] = {
        {.type = TD_DECODE_BYTE_FALLBACK},
        {.type = TD_DECODE_REPLACE,
         .pattern = {TD_SPM_SPACE, TD_SPM_N_SPACE},
         .content = {" ", 1},
         .spelled_only = true},
        {.type = TD_DECODE_STRIP_TEXT            }
    };
    if (vocab->model == TD_VOCAB_BPE || vocab->model == TD_VOCAB_SPM) return TD_OK;
    td_pipeline *p = td_arena_calloc(&vocab->arena, 1, sizeof *p);
    td_norm_step *norms = td_arena_calloc(&vocab->arena, 2, sizeof *norms);
    int32_t *ends = td_arena_calloc(&vocab->arena, 2, sizeof *ends);
    if (!p || !norms || !ends) return td_fail_nomem(err, "the vocabulary", sizeof *p);
    const bool strips = vocab->model == TD_VOCAB_WORDPIECE || vocab->add_space_prefix;
    ends[0] = vocab->bos;
    ends[1] = vocab->eos;
    *p = (td_pipeline){.norms = norms,
                       .decodes = decodes,
                       .n_decode = strips ? 3 : 2,
                       .prefix = &ends[0],
                       .suffix = &ends[1],
                       .n_prefix = vocab->add_bos && vocab->bos >= 0,
                       .model_unk = vocab->unk};
    vocab->pipeline = p;
    return vocab->model == TD_VOCAB_UNIGRAM ? describe_unigram(ckpt, vocab, p, norms, err)
                                            : describe_wordpiece(ckpt, vocab, p, norms, err);
}

static td_status read_template(const td_checkpoint *ckpt, td_vocab *vocab, td_err *err) {
    td_string s;
    TD_TRY(td_checkpoint_get_string(ckpt, "tokenizer.chat_template", false, &s, err));
    if (!s.text) return TD_OK;
    const size_t valid = td_utf8_valid_prefix(s.text, s.n);
    if (valid != s.n)
        return td_fail(err, TD_ERR_FORMAT,
                       "%s: key 'tokenizer.chat_template' is not UTF-8 at its byte %zu",
                       td_checkpoint_file(ckpt, 0), valid);
    if (memchr(s.text, 0, s.n))
        return td_fail(err, TD_ERR_FORMAT, "%s: key 'tokenizer.chat_template' contains a NUL byte",
                       td_checkpoint_file(ckpt, 0));
    vocab->chat_template = td_arena_strndup(&vocab->arena, s.text, s.n);
    if (!vocab->chat_template) return td_fail_nomem(err, "the chat template", s.n + 1);
    return TD_OK;
}

static td_status read_model(const td_checkpoint *ckpt, td_vocab *vocab, td_err *err) {
    td_string model;
    TD_TRY(td_checkpoint_get_string(ckpt, "tokenizer.ggml.model", true, &model, err));
    static const struct {
        const char *name;
        td_vocab_model model;
    } known[] = {
        {"gpt2",       TD_VOCAB_BPE      },
        {"gemma4",     TD_VOCAB_BPE      },
        {"whitespace", TD_VOCAB_BPE      },
        {"llama",      TD_VOCAB_SPM      },
        {"t5",         TD_VOCAB_UNIGRAM  },
        {"bert",       TD_VOCAB_WORDPIECE},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (string_is(model, known[i].name)) {
            vocab->model = known[i].model;
            if (i == 1 || i == 2) strcpy(vocab->pre, known[i].name); /* if the file names none */
            return TD_OK;
        }
    const size_t n = model.n > 32 ? 32 : model.n;
    const bool show = td_utf8_valid_prefix(model.text, n) == n;
    return td_fail(err, TD_ERR_UNSUPPORTED,
                   "%s: tokenizer.ggml.model is '%.*s', wanted 'gpt2', 'llama', 't5' or 'bert'",
                   td_checkpoint_file(ckpt, 0), show ? (int)n : 0, model.text);
}

static td_status read_all(const td_checkpoint *ckpt, td_vocab *vocab, td_err *err) {
    TD_TRY(read_model(ckpt, vocab, err));
    TD_TRY(read_pre(ckpt, vocab, err));
    TD_TRY(read_tokens(ckpt, vocab, err));
    if (vocab->model == TD_VOCAB_BPE) TD_TRY(read_merges(ckpt, vocab, err));
    TD_TRY(read_special(ckpt, vocab, err));
    TD_TRY(read_flags(ckpt, vocab, err));
    TD_TRY(describe(ckpt, vocab, err));
    return read_template(ckpt, vocab, err);
}

td_status td_vocab_read_gguf(const td_checkpoint *ckpt, td_vocab *vocab, td_err *err) {
    *vocab = (td_vocab){0};
    td_arena_init(&vocab->arena, 0);
    td_status status = read_all(ckpt, vocab, err);
    if (status != TD_OK) td_vocab_clear(vocab);
    return status;
}
