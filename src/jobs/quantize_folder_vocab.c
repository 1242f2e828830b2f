/* quantize_folder_vocab.c - the tokenizer of a folder as GGUF metadata.
 *
 * GGUF names a pre-tokenizer where a tokenizer.json describes one, and has SentencePiece's scores
 * where it has merges.  So the name is looked for that splits text as the description does, and
 * scores come from tokenizer.model or from the order of the merges. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "format/vocab_hf.h"
#include "jobs/quantize_folder.h"
#include "text/pretokenize.h"
#include "text/spm.h"

static bool text_is(td_text t, const char *text) {
    return t.n == strlen(text) && memcmp(t.text, text, t.n) == 0;
}

static td_status refuse(const td_checkpoint *ckpt, const char *what, td_err *err) {
    return td_fail(err, TD_ERR_UNSUPPORTED, "%s: the tokenizer %s, which GGUF has no form for",
                   td_checkpoint_path(ckpt), what);
}

/* ---- byte-level BPE: the name of the pre-tokenizer ---- */

/* What patterns tell apart: contractions in both cases, letters and digits of many kinds, marks,
 * punctuation, symbols, and white space alone and in runs. */
static const char *const probes[] = {
    "a",       "b",      "Z",           "Q",       "'s",     "'re",       "'VE",
    "'T",      "'",      "1",           "23",      "456",    "7890",      " ",
    "  ",      "    ",   "\n",          "\r",      "\r\n",   "\n\n",      "\t",
    ".",       ",",      "!?",          "-",       "_",      "/",         "//",
    "$",       "+=",     "<|",          "(",       ")",      "#",         "`",
    "\"",      "~",      "é",           "ß",       "Ω",      "б",         "Ж",
    "ǅ",       "ʰ",      "我",          "想在",    "の",     "カ",        "ㄅ",
    "한",      "ก",      "កា",          "ع",       "٣",      "५",         "Ⅷ",
    "²",       "½",      "…",           "。",      "，",     "“",         "£",
    "©",       "🦙",   "👩‍🌾", "e\u0301", "\u0301", "\u200d",    "\u00a0",
    "\u2028",  "\u3000", "\xC2\x85",    "\v",      "\x1F",   "IMGIMGABZ", "<sentinel:1>",
    "million", "THE",    "x1y",         "１",      "Ａ"};

enum { N_PROBE_UNIT = 20000 };

/* Units drawn by a fixed generator, so that all neighbourhoods occur and all runs see the same. */
static td_status make_probe(td_strbuf *out, td_err *err) {
    uint64_t state = 1;
    for (int i = 0; i < N_PROBE_UNIT; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        td_strbuf_adds(out, probes[(state >> 33) % (sizeof probes / sizeof *probes)]);
    }
    return td_strbuf_check(out, "the text to compare pre-tokenizers with", err);
}

static bool same_pieces(const td_pieces *a, const td_pieces *b) {
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i++) {
        const td_span x = a->spans[i], y = b->spans[i];
        if (x.end - x.begin != y.end - y.begin ||
            memcmp(a->text + x.begin, b->text + y.begin, x.end - x.begin) != 0)
            return false;
    }
    return true;
}

static td_status is_same(const char *name, const td_strbuf *probe, const td_pieces *wanted,
                         bool *out, td_err *err) {
    td_pretokenizer *pre;
    td_pieces pieces = {0};
    *out = false;
    TD_TRY(td_pretokenizer_create_named(&pre, name, err));
    const td_status status = td_pretokenizer_split(pre, probe->text, probe->n, true, &pieces, err);
    if (status == TD_OK) *out = same_pieces(&pieces, wanted);
    td_pieces_clear(&pieces);
    td_pretokenizer_free(pre);
    return status;
}

/* Names that mean the same to this build are not the same to others, which go by them for more than
 * the pattern: the ones that say least come first. */
static const char *const first_names[] = {"gpt-2",      "llama-bpe",  "qwen2",  "dbrx",
                                          "smollm",     "gpt-4o",     "tekken", "glm4",
                                          "bailingmoe", "deepseek-v3"};

static td_status find_among(const td_vocab *v, const td_strbuf *probe, const td_pieces *wanted,
                            const char **out, td_err *err) {
    size_t n;
    const td_pretokenizer_def *all = td_pretokenizer_all(&n);
    const size_t n_first = sizeof first_names / sizeof *first_names;
    const unsigned others = TD_PRETOKENIZER_SPACED | TD_PRETOKENIZER_PLAIN | TD_PRETOKENIZER_LINES;
    *out = NULL;
    for (size_t i = 0; i < n_first + n && !*out; i++) {
        const td_pretokenizer_def *def =
            i < n_first ? td_pretokenizer_find(first_names[i]) : &all[i - n_first];
        const bool whole = def && (def->flags & TD_PRETOKENIZER_WHOLE);
        bool same;
        if (!def || whole != v->ignore_merges || (def->flags & others)) continue;
        TD_TRY(is_same(def->name, probe, wanted, &same, err));
        if (same) *out = def->name;
    }
    return TD_OK;
}

static td_status find_name(const td_vocab *v, const char **out, td_err *err) {
    td_pretokenizer *pre;
    td_pieces pieces = {0};
    td_strbuf probe = {0};
    *out = NULL;
    TD_TRY(td_pretokenizer_create(&pre, v->pipeline->pres, v->pipeline->n_pre, "the pre-tokenizer",
                                  err));
    td_status status = make_probe(&probe, err);
    if (status == TD_OK)
        status = td_pretokenizer_split(pre, probe.text, probe.n, true, &pieces, err);
    if (status == TD_OK) status = find_among(v, &probe, &pieces, out, err);
    td_pieces_clear(&pieces);
    td_strbuf_clear(&probe);
    td_pretokenizer_free(pre);
    return status;
}

static td_status check_bpe(const td_checkpoint *ckpt, td_vocab *v, td_err *err) {
    const td_pipeline *p = v->pipeline;
    const char *name;
    for (int i = 0; i < p->n_norm; i++) {
        if (p->norms[i].type != TD_NORM_NFC)
            return refuse(ckpt, "normalizes text in other ways than to NFC", err);
        td_log(TD_LOG_WARN, "the tokenizer normalizes text to NFC, which GGUF files do not say");
    }
    for (int32_t i = 0; i < v->n_merge; i++) {
        const td_vocab_merge *m = &v->merges[i];
        if (m->n_left == 0 || m->n_right == 0 || memchr(m->left, ' ', m->n_left) ||
            memchr(m->right, ' ', m->n_right))
            return refuse(ckpt, "merges texts that are empty or have spaces", err);
    }
    if (v->n_merge == 0) return refuse(ckpt, "has no merges", err);
    TD_TRY(find_name(v, &name, err));
    if (!name) return refuse(ckpt, "splits text as no pre-tokenizer that has a name", err);
    snprintf(v->pre, sizeof v->pre, "%s", name);
    return TD_OK;
}

/* ---- SentencePiece ---- */

/* Spaces become U+2581, maybe with one more in front: all that GGUF's model "llama" does. */
static td_status check_spaces(const td_checkpoint *ckpt, td_vocab *v, td_err *err) {
    const td_pipeline *p = v->pipeline;
    bool good = true, replaced = false;
    v->add_space_prefix = false;
    for (int i = 0; i < p->n_norm; i++) {
        const td_norm_step *s = &p->norms[i];
        const bool replaces = s->type == TD_NORM_REPLACE && s->flags == 0 &&
                              text_is(s->pattern, " ") && text_is(s->content, TD_SPM_SPACE);
        const bool prepends = s->type == TD_NORM_PREPEND && text_is(s->content, TD_SPM_SPACE);
        good &= replaces || prepends;
        replaced |= replaces;
        v->add_space_prefix |= prepends;
    }
    for (int i = 0; i < p->n_pre; i++) {
        const td_pre_step *s = &p->pres[i];
        const bool prefixes = s->type == TD_PRE_PREFIX && text_is(s->text, TD_SPM_SPACE);
        const bool replaces = s->type == TD_PRE_REPLACE_SPACE && text_is(s->text, TD_SPM_SPACE);
        /* There are no spaces any more that this could split at. */
        const bool splits = replaced && s->type == TD_PRE_SPLIT && s->match == TD_MATCH_STRING &&
                            text_is(s->text, " ");
        good &= prefixes || splits || replaces;
        replaced |= replaces;
        v->add_space_prefix |= prefixes;
    }
    return good && replaced ? TD_OK : refuse(ckpt, "changes or splits text in its own ways", err);
}

typedef struct named {
    const char *text;
    uint32_t n;
    int32_t id;
} named;

static int by_text(const void *a, const void *b) {
    const named *x = a, *y = b;
    const int order = memcmp(x->text, y->text, x->n < y->n ? x->n : y->n);
    return order ? order : (x->n > y->n) - (x->n < y->n);
}

/* What a merge makes; -1: no token. */
static int32_t merged_id(const td_vocab *v, const named *names, td_vocab_merge m, char *text) {
    memcpy(text, m.left, m.n_left);
    memcpy(text + m.n_left, m.right, m.n_right);
    const named key = {.text = text, .n = m.n_left + m.n_right};
    const named *found = bsearch(&key, names, (size_t)v->n_token, sizeof *names, by_text);
    return found ? found->id : -1;
}

/* A pair merges by the score of the token it makes, so all merges that make a token must stand
 * together. */
static td_status score_merges(const td_checkpoint *ckpt, td_vocab *v, const named *names,
                              char *text, td_err *err) {
    int32_t last = -1;
    for (int32_t i = 0; i < v->n_token; i++) v->tokens[i].score = -(double)v->n_merge - i;
    for (int32_t i = 0; i < v->n_merge; i++) {
        const int32_t id = merged_id(v, names, v->merges[i], text);
        if (id < 0 || id == last) continue;
        if (v->tokens[id].score > -(double)v->n_merge)
            return refuse(ckpt, "merges in an order that is not one of tokens", err);
        v->tokens[id].score = -(double)i;
        last = id;
    }
    return TD_OK;
}

static td_status make_scores(const td_checkpoint *ckpt, td_vocab *v, td_err *err) {
    size_t longest = 1;
    for (int32_t i = 0; i < v->n_merge; i++) {
        const size_t n = (size_t)v->merges[i].n_left + v->merges[i].n_right;
        if (n > longest) longest = n;
    }
    named *names = td_calloc((size_t)v->n_token, sizeof *names);
    char *text = td_malloc(longest);
    td_status status = TD_OK;
    if (!names || !text) status = td_fail_nomem(err, "the scores", (size_t)v->n_token);
    if (status == TD_OK) {
        for (int32_t i = 0; i < v->n_token; i++)
            names[i] = (named){v->tokens[i].text, v->tokens[i].n, i};
        qsort(names, (size_t)v->n_token, sizeof *names, by_text);
        status = score_merges(ckpt, v, names, text, err);
    }
    td_free(names);
    td_free(text);
    v->model = TD_VOCAB_SPM;
    return status;
}

static td_status check_sentencepiece(const td_checkpoint *ckpt, const td_vocab *v) {
    const td_pipeline *p = v->pipeline;
    for (int i = 0; i < p->n_norm; i++)
        if (p->norms[i].content.n > 0 || (p->norms[i].flags & TD_NORM_REMOVE_EXTRA))
            td_log(TD_LOG_WARN,
                   "%s: the tokenizer normalizes text, which readers of GGUF files do not",
                   td_checkpoint_path(ckpt));
    return TD_OK;
}

/* ---- reading ---- */

/* A folder may put a token around every text without a name for its role. */
static void name_ends(td_vocab *v) {
    const td_pipeline *p = v->pipeline;
    if (v->bos < 0 && p->n_prefix == 1) {
        v->bos = p->prefix[0];
        v->add_bos = true;
    }
    if (v->eos < 0 && p->n_suffix == 1) {
        v->eos = p->suffix[0];
        v->add_eos = true;
    }
}

static td_status check_vocab(const td_checkpoint *ckpt, td_vocab *v, td_err *err) {
    const td_pipeline *p = v->pipeline;
    const char *folder = td_checkpoint_folder(ckpt);
    if (v->model == TD_VOCAB_BPE && p->byte_level && !p->rank_by_token)
        return check_bpe(ckpt, v, err);
    if ((v->model == TD_VOCAB_BPE || v->model == TD_VOCAB_UNIGRAM) && p->byte_fallback &&
        td_vocab_has_sentencepiece(folder)) {
        td_vocab_clear(v);
        TD_TRY(td_vocab_read_sentencepiece(folder, ckpt, v, err));
        name_ends(v);
    }
    if (v->model == TD_VOCAB_SPM) return check_sentencepiece(ckpt, v);
    if (v->model != TD_VOCAB_BPE || !p->byte_fallback || p->rank_by_token)
        return refuse(ckpt, "is neither byte-level BPE with merges nor SentencePiece's BPE", err);
    TD_TRY(check_spaces(ckpt, v, err));
    return make_scores(ckpt, v, err);
}

td_status td_folder_read_vocab(const td_checkpoint *ckpt, td_vocab *v, td_err *err) {
    TD_TRY(td_checkpoint_read_vocab(ckpt, v, err));
    name_ends(v);
    const td_status status = check_vocab(ckpt, v, err);
    if (status != TD_OK) td_vocab_clear(v);
    return status;
}

/* ---- writing ---- */

/* Tables of the new file.  Lifetime: one td_folder_put_vocab(). */
typedef struct tables {
    const td_vocab *v;
    td_arena arena;
    int32_t n; /* rows of the model */
    td_string *texts;
    float *scores;
    int32_t *types;
} tables;

static bool begins(const td_vocab_token *t, const char *text) {
    const size_t n = strlen(text);
    return t->n >= n && memcmp(t->text, text, n) == 0;
}

static bool ends(const td_vocab_token *t, const char *text) {
    const size_t n = strlen(text);
    return t->n >= n && memcmp(t->text + t->n - n, text, n) == 0;
}

/* Files of the hub forget to mark some tokens as special; llama.cpp's converter knows them by their
 * looks, and readers rely on it. */
static bool looks_special(const td_vocab_token *t) {
    static const char *const whole[] = {"<pad>", "<mask>", "<2mass>", "[@BOS@]"};
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        if (text_is((td_text){t->text, t->n}, whole[i])) return true;
    return (begins(t, "<|") && ends(t, "|>")) || (begins(t, "<｜") && ends(t, "｜>")) ||
           (begins(t, "<unused") && ends(t, ">"));
}

/* U+2581 in what users define is a space to readers. */
static td_status put_spaces(tables *t, td_string *text, td_err *err) {
    char *out = td_arena_alloc(&t->arena, text->n);
    if (!out) return td_fail_nomem(err, "the vocabulary", text->n);
    size_t n = 0;
    for (size_t i = 0; i < text->n;) {
        const bool is_space = text->n - i >= TD_SPM_N_SPACE &&
                              memcmp(text->text + i, TD_SPM_SPACE, TD_SPM_N_SPACE) == 0;
        out[n++] = is_space ? ' ' : text->text[i];
        i += is_space ? TD_SPM_N_SPACE : 1;
    }
    *text = (td_string){out, n};
    return TD_OK;
}

static td_status fill_token(tables *t, int32_t id, td_err *err) {
    const td_vocab_token *token = id < t->v->n_token ? &t->v->tokens[id] : NULL;
    if (!token || (token->n == 0 && token->type == TD_TOKEN_UNUSED)) {
        char name[32];
        const int n = snprintf(name, sizeof name, "[PAD%d]", (int)id);
        const char *copy = td_arena_strndup(&t->arena, name, (size_t)n);
        if (!copy) return td_fail_nomem(err, "the vocabulary", (size_t)n);
        t->texts[id] = (td_string){copy, (size_t)n};
        t->scores[id] = -10000;
        t->types[id] = TD_TOKEN_UNUSED;
        return TD_OK;
    }
    t->texts[id] = (td_string){token->text, token->n};
    t->scores[id] = token->outside ? -1000 : (float)token->score;
    t->types[id] = token->type;
    if (token->type != TD_TOKEN_USER_DEFINED) return TD_OK;
    if (!looks_special(token)) return put_spaces(t, &t->texts[id], err);
    t->types[id] = TD_TOKEN_CONTROL;
    return TD_OK;
}

static td_status put_tokens(tables *t, td_gguf_writer *w, td_err *err) {
    const size_t n = (size_t)t->n;
    t->texts = td_arena_calloc(&t->arena, n, sizeof *t->texts);
    t->scores = td_arena_calloc(&t->arena, n, sizeof *t->scores);
    t->types = td_arena_calloc(&t->arena, n, sizeof *t->types);
    if (!t->texts || !t->scores || !t->types) return td_fail_nomem(err, "the vocabulary", n);
    for (int32_t i = 0; i < t->n; i++) TD_TRY(fill_token(t, i, err));
    TD_TRY(td_gguf_writer_put_strings(w, "tokenizer.ggml.tokens", t->texts, n, err));
    if (t->v->model == TD_VOCAB_SPM)
        TD_TRY(
            td_gguf_writer_put_array(w, "tokenizer.ggml.scores", TD_GGUF_F32, t->scores, n, err));
    return td_gguf_writer_put_array(w, "tokenizer.ggml.token_type", TD_GGUF_I32, t->types, n, err);
}

static td_status put_merges(tables *t, td_gguf_writer *w, td_err *err) {
    const td_vocab *v = t->v;
    td_string *texts = td_arena_calloc(&t->arena, (size_t)v->n_merge, sizeof *texts);
    if (!texts) return td_fail_nomem(err, "the merges", (size_t)v->n_merge);
    for (int32_t i = 0; i < v->n_merge; i++) {
        const td_vocab_merge *m = &v->merges[i];
        const size_t n = (size_t)m->n_left + m->n_right + 1;
        char *text = td_arena_alloc(&t->arena, n);
        if (!text) return td_fail_nomem(err, "the merges", n);
        memcpy(text, m->left, m->n_left);
        text[m->n_left] = ' ';
        memcpy(text + m->n_left + 1, m->right, m->n_right);
        texts[i] = (td_string){text, n};
    }
    return td_gguf_writer_put_strings(w, "tokenizer.ggml.merges", texts, (uint64_t)v->n_merge, err);
}

static td_status put_special(const tables *t, td_gguf_writer *w, td_err *err) {
    const td_vocab *v = t->v;
    const struct {
        const char *key;
        int32_t id;
    } ids[] = {
        {"tokenizer.ggml.bos_token_id",     v->bos},
        {"tokenizer.ggml.eos_token_id",     v->eos},
        {"tokenizer.ggml.eot_token_id",     v->eot},
        {"tokenizer.ggml.eom_token_id",     v->eom},
        {"tokenizer.ggml.unknown_token_id", v->unk},
        {"tokenizer.ggml.padding_token_id", v->pad},
    };
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        const uint32_t id = (uint32_t)ids[i].id;
        if (ids[i].id >= 0 && ids[i].id < t->n)
            TD_TRY(td_gguf_writer_put(w, ids[i].key, TD_GGUF_U32, &id, err));
    }
    return TD_OK;
}

/* Losses that show in few texts. */
static void warn_of_losses(const tables *t) {
    const td_vocab *v = t->v;
    const td_pipeline *p = v->pipeline;
    int n_loose = 0;
    for (int i = 0; i < p->n_added; i++)
        n_loose += p->added[i].single_word || p->added[i].lstrip || p->added[i].rstrip;
    if (n_loose > 0)
        td_log(TD_LOG_WARN,
               "%d added tokens are whole words or take white space with them: GGUF files do not "
               "say so",
               n_loose);
    if (v->n_token > t->n)
        td_log(TD_LOG_WARN, "the last %d of %d tokens are left out: the model has no rows for them",
               (int)(v->n_token - t->n), (int)v->n_token);
    for (int32_t i = 0; i < v->n_end; i++)
        if (v->ends[i] != v->eos && v->ends[i] != v->eot && v->ends[i] != v->eom)
            td_log(TD_LOG_WARN, "token %d ends a turn, too: GGUF files have no key for it",
                   (int)v->ends[i]);
    if (p->n_prefix > v->add_bos || p->n_suffix > v->add_eos)
        td_log(TD_LOG_WARN,
               "the tokenizer puts more tokens around a text than bos and eos: GGUF files do not "
               "say so");
}

static td_status put_flag(td_gguf_writer *w, const char *key, bool value, td_err *err) {
    const uint8_t v = value;
    return td_gguf_writer_put(w, key, TD_GGUF_BOOL, &v, err);
}

static td_status put_text(td_gguf_writer *w, const char *key, const char *text, td_err *err) {
    return td_gguf_writer_put_string(w, key, (td_string){text, strlen(text)}, err);
}

static td_status put_all(tables *t, td_gguf_writer *w, td_err *err) {
    const td_vocab *v = t->v;
    const bool is_spm = v->model == TD_VOCAB_SPM;
    warn_of_losses(t);
    TD_TRY(put_text(w, "tokenizer.ggml.model", is_spm ? "llama" : "gpt2", err));
    TD_TRY(put_text(w, "tokenizer.ggml.pre", is_spm ? "default" : v->pre, err));
    TD_TRY(put_tokens(t, w, err));
    if (!is_spm) TD_TRY(put_merges(t, w, err));
    TD_TRY(put_special(t, w, err));
    TD_TRY(put_flag(w, "tokenizer.ggml.add_bos_token", v->add_bos, err));
    TD_TRY(put_flag(w, "tokenizer.ggml.add_eos_token", v->add_eos, err));
    if (is_spm) TD_TRY(put_flag(w, "tokenizer.ggml.add_space_prefix", v->add_space_prefix, err));
    if (!v->chat_template) return TD_OK;
    return put_text(w, "tokenizer.chat_template", v->chat_template, err);
}

td_status td_folder_put_vocab(const td_model *m, const td_vocab *v, td_gguf_writer *w,
                              td_err *err) {
    tables t = {.v = v, .n = m->config.n_vocab};
    const int64_t most = 2 * (int64_t)v->n_token + 65536;
    if (t.n > most)
        return td_fail(err, TD_ERR_FORMAT, "%d rows for %d tokens: wanted at most %lld", (int)t.n,
                       (int)v->n_token, (long long)most);
    td_arena_init(&t.arena, 1 << 20);
    const td_status status = put_all(&t, w, err);
    td_arena_clear(&t.arena);
    return status;
}
