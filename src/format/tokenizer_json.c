/* tokenizer_json.c - a tokenizer.json: its vocabulary, merges and added tokens. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "format/hf_json.h"
#include "format/vocab_hf.h"
#include "format/vocab_hf_int.h"

/* ---- what the readers share ---- */

td_status td_hf_init(td_hf *hf, td_vocab *vocab, td_vocab_model model, const char *name,
                     td_err *err) {
    hf->name = name;
    hf->vocab = vocab;
    hf->fused = false;
    *vocab = (td_vocab){
        .model = model, .bos = -1, .eos = -1, .eot = -1, .eom = -1, .unk = -1, .pad = -1};
    td_arena_init(&vocab->arena, 1 << 16);
    hf->pipeline = td_arena_calloc(&vocab->arena, 1, sizeof *hf->pipeline);
    hf->norms = td_arena_calloc(&vocab->arena, TD_HF_MAX_STEPS, sizeof *hf->norms);
    hf->pres = td_arena_calloc(&vocab->arena, TD_HF_MAX_STEPS, sizeof *hf->pres);
    hf->decodes = td_arena_calloc(&vocab->arena, TD_HF_MAX_STEPS, sizeof *hf->decodes);
    hf->prefix = td_arena_calloc(&vocab->arena, TD_HF_MAX_STEPS, sizeof *hf->prefix);
    hf->suffix = td_arena_calloc(&vocab->arena, TD_HF_MAX_STEPS, sizeof *hf->suffix);
    if (!hf->pipeline || !hf->norms || !hf->pres || !hf->decodes || !hf->prefix || !hf->suffix)
        return td_fail(err, TD_ERR_NOMEM, "out of memory for the tokenizer");
    *hf->pipeline = (td_pipeline){.norms = hf->norms,
                                  .pres = hf->pres,
                                  .decodes = hf->decodes,
                                  .prefix = hf->prefix,
                                  .suffix = hf->suffix,
                                  .model_unk = -1};
    vocab->pipeline = hf->pipeline;
    return TD_OK;
}

td_status td_hf_set_tokens(td_hf *hf, int64_t n_token, td_err *err) {
    td_vocab *v = hf->vocab;
    if (n_token < 1 || n_token > INT32_MAX / 2)
        return td_fail(err, TD_ERR_FORMAT, "%s: %" PRId64 " tokens, wanted 1 to %d", hf->name,
                       n_token, INT32_MAX / 2);
    v->tokens = td_arena_calloc(&v->arena, (size_t)n_token, sizeof *v->tokens);
    if (!v->tokens)
        return td_fail_nomem(err, "the vocabulary", (size_t)n_token * sizeof *v->tokens);
    v->n_token = (int32_t)n_token;
    for (int32_t i = 0; i < v->n_token; i++)
        v->tokens[i] = (td_vocab_token){.text = "", .type = TD_TOKEN_UNUSED};
    return TD_OK;
}

td_status td_hf_copy(td_hf *hf, const char *text, size_t n, td_text *out, td_err *err) {
    char *copy = n < UINT32_MAX ? td_arena_alloc(&hf->vocab->arena, n + 1) : NULL;
    if (!copy) return td_fail_nomem(err, "the tokenizer", n);
    memcpy(copy, text, n);
    copy[n] = 0;
    *out = (td_text){copy, (uint32_t)n};
    return TD_OK;
}

static td_status too_many(const td_hf *hf, const char *what, td_err *err) {
    return td_fail(err, TD_ERR_LIMIT, "%s: more than %d %s", hf->name, TD_HF_MAX_STEPS, what);
}

td_status td_hf_add_norm(td_hf *hf, td_norm_step step, td_err *err) {
    if (hf->pipeline->n_norm == TD_HF_MAX_STEPS) return too_many(hf, "normalizers", err);
    hf->norms[hf->pipeline->n_norm++] = step;
    return TD_OK;
}

td_status td_hf_add_pre(td_hf *hf, td_pre_step step, td_err *err) {
    if (hf->pipeline->n_pre == TD_HF_MAX_STEPS) return too_many(hf, "pre-tokenizers", err);
    hf->pres[hf->pipeline->n_pre++] = step;
    return TD_OK;
}

td_status td_hf_add_decode(td_hf *hf, td_decode_step step, td_err *err) {
    if (hf->pipeline->n_decode == TD_HF_MAX_STEPS) return too_many(hf, "decoders", err);
    hf->decodes[hf->pipeline->n_decode++] = step;
    return TD_OK;
}

td_status td_hf_add_prefix(td_hf *hf, int32_t id, td_err *err) {
    const int n = hf->pipeline->n_prefix++;
    if (n == TD_HF_MAX_STEPS - 1) return too_many(hf, "special tokens in front", err);
    memmove(hf->prefix + 1, hf->prefix, (size_t)n * sizeof *hf->prefix);
    hf->prefix[0] = id;
    return TD_OK;
}

td_status td_hf_add_suffix(td_hf *hf, int32_t id, td_err *err) {
    if (hf->pipeline->n_suffix == TD_HF_MAX_STEPS)
        return too_many(hf, "special tokens behind", err);
    hf->suffix[hf->pipeline->n_suffix++] = id;
    return TD_OK;
}

/* ---- tokens ---- */

/* Texts of many tokens lie in one block. */
typedef struct block {
    char *at;
} block;

static const char *block_add(block *b, json_t *string) {
    const size_t n = json_string_length(string);
    char *text = b->at;
    memcpy(text, json_string_value(string), n);
    b->at += n;
    return text;
}

static td_status block_init(td_hf *hf, block *b, size_t bytes, td_err *err) {
    b->at = td_arena_alloc(&hf->vocab->arena, bytes);
    return b->at ? TD_OK : td_fail_nomem(err, "the vocabulary's text", bytes);
}

/* The id, checked against what a file of so many tokens can need: holes are allowed, but not an id
 * that would take all memory. */
static td_status take_id(const td_hf *hf, json_t *id, size_t n_entry, int64_t *highest,
                         td_err *err) {
    const int64_t most = 2 * (int64_t)n_entry + 65536;
    const int64_t n = json_is_integer(id) ? json_integer_value(id) : -1;
    if (n < 0 || n > most)
        return td_fail(err, TD_ERR_FORMAT,
                       "%s: a token has the id %" PRId64 ", wanted 0 to %" PRId64, hf->name, n,
                       most);
    if (n > *highest) *highest = n;
    return TD_OK;
}

static td_status count_tokens(const td_hf *hf, json_t *vocab, json_t *added, size_t *n_byte,
                              int64_t *highest, td_err *err) {
    const size_t n_entry =
        json_object_size(vocab) + json_array_size(vocab) + json_array_size(added);
    const char *key;
    json_t *item;
    size_t i;
    *highest = (int64_t)json_array_size(vocab) - 1;
    json_object_foreach(vocab, key, item) {
        *n_byte += strlen(key);
        TD_TRY(take_id(hf, item, n_entry, highest, err));
    }
    json_array_foreach(vocab, i, item) *n_byte += json_string_length(json_array_get(item, 0));
    json_array_foreach(added, i, item) {
        json_t *content = json_object_get(item, "content");
        if (!json_is_string(content))
            return td_fail(err, TD_ERR_FORMAT, "%s: added token %zu has no 'content'", hf->name, i);
        *n_byte += json_string_length(content);
        TD_TRY(take_id(hf, json_object_get(item, "id"), n_entry, highest, err));
    }
    return TD_OK;
}

static td_status read_scored(td_hf *hf, json_t *vocab, block *b, td_err *err) {
    size_t i;
    json_t *item;
    json_array_foreach(vocab, i, item) {
        json_t *text = json_array_get(item, 0), *score = json_array_get(item, 1);
        if (!json_is_string(text) || !json_is_number(score) || !isfinite(json_number_value(score)))
            return td_fail(err, TD_ERR_FORMAT,
                           "%s: token %zu of the model is not a text with a finite score", hf->name,
                           i);
        hf->vocab->tokens[i] = (td_vocab_token){.text = block_add(b, text),
                                                .n = (uint32_t)json_string_length(text),
                                                .score = json_number_value(score),
                                                .type = TD_TOKEN_NORMAL};
    }
    return TD_OK;
}

static void read_numbered(td_hf *hf, json_t *vocab, block *b) {
    const char *key;
    json_t *item;
    json_object_foreach(vocab, key, item) {
        const size_t n = strlen(key);
        memcpy(b->at, key, n);
        hf->vocab->tokens[json_integer_value(item)] =
            (td_vocab_token){.text = b->at, .n = (uint32_t)n, .type = TD_TOKEN_NORMAL};
        b->at += n;
    }
}

static bool flag(json_t *o, const char *name) { return json_is_true(json_object_get(o, name)); }

static td_status read_added(td_hf *hf, json_t *added, block *b, td_err *err) {
    const size_t n = json_array_size(added);
    hf->added = td_arena_calloc(&hf->vocab->arena, n, sizeof *hf->added);
    if (!hf->added) return td_fail_nomem(err, "the added tokens", n * sizeof *hf->added);
    size_t i;
    json_t *item;
    json_array_foreach(added, i, item) {
        json_t *content = json_object_get(item, "content");
        const int32_t id = (int32_t)json_integer_value(json_object_get(item, "id"));
        const bool special = flag(item, "special");
        const uint8_t was = hf->vocab->tokens[id].type;
        hf->vocab->tokens[id] =
            (td_vocab_token){.text = block_add(b, content),
                             .n = (uint32_t)json_string_length(content),
                             .score = hf->vocab->tokens[id].score,
                             .type = special ? TD_TOKEN_CONTROL : TD_TOKEN_USER_DEFINED,
                             .outside = was == TD_TOKEN_UNUSED};
        hf->added[i] = (td_added_token){.id = id,
                                        .single_word = flag(item, "single_word"),
                                        .lstrip = flag(item, "lstrip"),
                                        .rstrip = flag(item, "rstrip"),
                                        .normalized = flag(item, "normalized")};
    }
    hf->pipeline->added = hf->added;
    hf->pipeline->n_added = (int)n;
    return TD_OK;
}

static td_status read_tokens(td_hf *hf, json_t *model, json_t *added, td_err *err) {
    json_t *vocab = json_object_get(model, "vocab");
    const bool scored = hf->vocab->model == TD_VOCAB_UNIGRAM;
    if (scored ? !json_is_array(vocab) : !json_is_object(vocab))
        return td_fail(err, TD_ERR_FORMAT, "%s: the model has no 'vocab' of its kind", hf->name);
    size_t n_byte = 0;
    int64_t highest = -1;
    block b;
    TD_TRY(count_tokens(hf, vocab, added, &n_byte, &highest, err));
    TD_TRY(block_init(hf, &b, n_byte, err));
    TD_TRY(td_hf_set_tokens(hf, highest + 1, err));
    if (scored)
        TD_TRY(read_scored(hf, vocab, &b, err));
    else
        read_numbered(hf, vocab, &b);
    return read_added(hf, added, &b, err);
}

/* ---- merges ---- */

static td_status read_merge(const td_hf *hf, json_t *item, size_t i, block *b, td_vocab_merge *m,
                            td_err *err) {
    json_t *left = json_array_get(item, 0), *right = json_array_get(item, 1);
    if (json_is_string(left) && json_is_string(right)) {
        *m = (td_vocab_merge){.n_left = (uint32_t)json_string_length(left),
                              .n_right = (uint32_t)json_string_length(right)};
        m->left = block_add(b, left);
        m->right = block_add(b, right);
        return TD_OK;
    }
    const size_t n = json_string_length(item);
    const char *text = json_is_string(item) ? block_add(b, item) : "";
    const char *space = n > 1 ? memchr(text + 1, ' ', n - 1) : NULL;
    if (!space || space == text + n - 1)
        return td_fail(err, TD_ERR_FORMAT, "%s: merge %zu is no pair of texts", hf->name, i);
    *m = (td_vocab_merge){.left = text,
                          .n_left = (uint32_t)(space - text),
                          .right = space + 1,
                          .n_right = (uint32_t)(n - 1) - (uint32_t)(space - text)};
    return TD_OK;
}

static td_status read_merges(td_hf *hf, json_t *model, td_err *err) {
    td_vocab *v = hf->vocab;
    json_t *merges = json_object_get(model, "merges"), *item;
    size_t i, n_byte = 0;
    block b;
    if (!json_is_array(merges))
        return td_fail(err, TD_ERR_FORMAT, "%s: the model has no 'merges'", hf->name);
    json_array_foreach(merges, i, item) n_byte += json_string_length(item) +
                                                  json_string_length(json_array_get(item, 0)) +
                                                  json_string_length(json_array_get(item, 1));
    TD_TRY(block_init(hf, &b, n_byte, err));
    const size_t n = json_array_size(merges);
    v->merges = n < INT32_MAX ? td_arena_calloc(&v->arena, n, sizeof *v->merges) : NULL;
    if (!v->merges) return td_fail_nomem(err, "the merges", n * sizeof *v->merges);
    v->n_merge = (int32_t)n;
    json_array_foreach(merges, i, item) TD_TRY(read_merge(hf, item, i, &b, &v->merges[i], err));
    return TD_OK;
}

/* ---- the model ---- */

static td_status optional_text(td_hf *hf, json_t *model, const char *field, td_text *out,
                               td_err *err) {
    json_t *v = json_object_get(model, field);
    if (!json_is_string(v)) return TD_OK;
    return td_hf_copy(hf, json_string_value(v), json_string_length(v), out, err);
}

/* The token whose name a field of the model has; -1 if it names none. */
static td_status named_token(const td_hf *hf, json_t *model, const char *field, int32_t *out,
                             td_err *err) {
    json_t *v = json_object_get(model, field);
    *out = -1;
    if (!json_is_string(v)) return TD_OK;
    *out = td_vocab_find(hf->vocab, json_string_value(v), json_string_length(v));
    if (*out < 0)
        return td_fail(err, TD_ERR_FORMAT, "%s: '%s' is '%.60s', which is no token", hf->name,
                       field, json_string_value(v));
    return TD_OK;
}

static td_status read_bpe(td_hf *hf, json_t *model, td_err *err) {
    td_pipeline *p = hf->pipeline;
    json_t *dropout = json_object_get(model, "dropout");
    if (json_is_number(dropout) && json_number_value(dropout) != 0)
        return td_fail(err, TD_ERR_UNSUPPORTED,
                       "%s: 'dropout' is %g, wanted none: encoding would be random", hf->name,
                       json_number_value(dropout));
    TD_TRY(read_merges(hf, model, err));
    TD_TRY(named_token(hf, model, "unk_token", &p->model_unk, err));
    TD_TRY(optional_text(hf, model, "continuing_subword_prefix", &p->continuing, err));
    TD_TRY(optional_text(hf, model, "end_of_word_suffix", &p->end_of_word, err));
    p->byte_fallback = flag(model, "byte_fallback");
    p->fuse_unk = flag(model, "fuse_unk");
    hf->vocab->ignore_merges = flag(model, "ignore_merges");
    return TD_OK;
}

static td_status read_unigram(td_hf *hf, json_t *model, td_err *err) {
    td_pipeline *p = hf->pipeline;
    json_t *unk = json_object_get(model, "unk_id");
    if (json_is_integer(unk)) {
        if (json_integer_value(unk) < 0 || json_integer_value(unk) >= hf->vocab->n_token)
            return td_fail(err, TD_ERR_FORMAT, "%s: 'unk_id' is no token", hf->name);
        p->model_unk = (int32_t)json_integer_value(unk);
    }
    p->byte_fallback = flag(model, "byte_fallback");
    p->fuse_unk = true;
    return TD_OK;
}

static td_status read_wordpiece(td_hf *hf, json_t *model, td_err *err) {
    td_pipeline *p = hf->pipeline;
    json_t *most = json_object_get(model, "max_input_chars_per_word");
    TD_TRY(named_token(hf, model, "unk_token", &p->model_unk, err));
    if (hf->vocab->model == TD_VOCAB_WORDLEVEL) return TD_OK;
    TD_TRY(optional_text(hf, model, "continuing_subword_prefix", &p->continuing, err));
    const json_int_t n = json_is_integer(most) ? json_integer_value(most) : 100;
    p->max_word = n < 1 || n > INT32_MAX ? INT32_MAX : (uint32_t)n;
    return TD_OK;
}

static td_status model_of(json_t *model, const char *name, td_vocab_model *out, td_err *err) {
    static const struct {
        const char *type;
        td_vocab_model model;
    } known[] = {
        {"BPE",       TD_VOCAB_BPE      },
        {"Unigram",   TD_VOCAB_UNIGRAM  },
        {"WordPiece", TD_VOCAB_WORDPIECE},
        {"WordLevel", TD_VOCAB_WORDLEVEL},
    };
    const char *type = json_string_value(json_object_get(model, "type"));
    if (!type) /* older files say it by their fields */
        type = json_object_get(model, "merges")                 ? "BPE"
               : json_is_array(json_object_get(model, "vocab")) ? "Unigram"
                                                                : "WordPiece";
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(type, known[i].type) == 0) {
            *out = known[i].model;
            return TD_OK;
        }
    return td_fail(err, TD_ERR_UNSUPPORTED, "%s: model '%.60s' is not supported", name, type);
}

/* Bytes by name are byte tokens where the tokenizer falls back on them. */
static void mark_bytes(td_hf *hf) {
    bool wanted = hf->pipeline->byte_fallback;
    for (int i = 0; i < hf->pipeline->n_decode; i++)
        wanted |= hf->decodes[i].type == TD_DECODE_BYTE_FALLBACK;
    for (int32_t i = 0; wanted && i < hf->vocab->n_token; i++) {
        td_vocab_token *t = &hf->vocab->tokens[i];
        if (t->type == TD_TOKEN_NORMAL && td_vocab_byte_of(t->text, t->n) >= 0)
            t->type = TD_TOKEN_BYTE;
    }
}

/* Where the last thing that happens to a piece is that its bytes are written in the alphabet, and
 * the vocabulary is written so, too, both can stay bytes. */
static void undo_alphabet(td_hf *hf) {
    td_pipeline *p = hf->pipeline;
    const bool bytes = hf->vocab->model == TD_VOCAB_BPE && !p->byte_fallback &&
                       p->continuing.n == 0 && p->end_of_word.n == 0;
    if (!bytes || p->n_pre == 0 || hf->pres[p->n_pre - 1].type != TD_PRE_ALPHABET) return;
    p->byte_level = true;
    p->n_pre--;
}

td_status td_hf_read_tokenizer_json(td_hf *hf, json_t *root, td_vocab *vocab, const char *name,
                                    td_err *err) {
    json_t *model = json_object_get(root, "model");
    td_vocab_model kind = TD_VOCAB_BPE;
    *vocab = (td_vocab){0};
    if (!json_is_object(model)) return td_fail(err, TD_ERR_FORMAT, "%s: 'model' is missing", name);
    TD_TRY(model_of(model, name, &kind, err));
    TD_TRY(td_hf_init(hf, vocab, kind, name, err));
    TD_TRY(read_tokens(hf, model, json_object_get(root, "added_tokens"), err));
    if (kind == TD_VOCAB_BPE)
        TD_TRY(read_bpe(hf, model, err));
    else if (kind == TD_VOCAB_UNIGRAM)
        TD_TRY(read_unigram(hf, model, err));
    else
        TD_TRY(read_wordpiece(hf, model, err));
    vocab->unk = hf->pipeline->model_unk;
    TD_TRY(td_hf_read_normalizer(hf, json_object_get(root, "normalizer"), 0, err));
    TD_TRY(td_hf_read_pre_tokenizer(hf, json_object_get(root, "pre_tokenizer"), 0, err));
    TD_TRY(td_hf_read_post_processor(hf, json_object_get(root, "post_processor"), 0, err));
    json_t *decoder = json_object_get(root, "decoder");
    if (decoder && !json_is_null(decoder))
        TD_TRY(td_hf_read_decoder(hf, decoder, 0, err));
    else /* tokens are set apart by spaces */
        TD_TRY(td_hf_add_decode(hf, (td_decode_step){.type = TD_DECODE_WORDPIECE}, err));
    mark_bytes(hf);
    undo_alphabet(hf);
    return TD_OK;
}

td_status td_vocab_read_tokenizer_json(const char *text, size_t n, const char *name,
                                       td_vocab *vocab, td_err *err) {
    json_t *root;
    td_hf hf = {0};
    *vocab = (td_vocab){0};
    TD_TRY(td_hf_json_load(&root, text, n, JSON_ALLOW_NUL, name, err));
    const td_status st = td_hf_read_tokenizer_json(&hf, root, vocab, name, err);
    json_decref(root);
    if (st != TD_OK) td_vocab_clear(vocab);
    return st;
}
