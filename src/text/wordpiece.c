/* wordpiece.c - see wordpiece.h. */
#include "text/wordpiece.h"

#include "base/alloc.h"
#include "text/spm.h"
#include "text/trie.h"
#include "text/utf8.h"

struct td_wordpiece {
    const td_pipeline *pipeline; /* borrowed */
    td_trie trie;
    bool whole;         /* WORDLEVEL */
    bool begins;        /* the first token of a word has U+2581 in front */
    bool dead_end;      /* no token continues a word */
    uint32_t continues; /* the node where tokens that continue a word begin */
};

/* The node that a text leads to, 0 if none. */
static uint32_t walk(const td_trie *trie, td_text text) {
    uint32_t node = 0;
    for (uint32_t i = 0; i < text.n; i++) {
        node = td_trie_next(trie, node, (uint8_t)text.text[i]);
        if (!node) return 0;
    }
    return node;
}

static td_status fill(td_wordpiece *w, const td_vocab *v, td_err *err) {
    for (int32_t i = 0; i < v->n_token; i++) {
        const td_vocab_token *t = &v->tokens[i];
        if (t->n > 0 && t->type == TD_TOKEN_NORMAL)
            TD_TRY(td_trie_add(&w->trie, t->text, t->n, i, err));
    }
    TD_TRY(td_trie_finish(&w->trie, err));
    w->continues = walk(&w->trie, w->pipeline->continuing);
    w->dead_end = w->continues == 0 && w->pipeline->continuing.n > 0;
    return TD_OK;
}

td_status td_wordpiece_create(td_wordpiece **out, const td_vocab *vocab,
                              const td_pipeline *pipeline, td_err *err) {
    *out = NULL;
    td_wordpiece *w = td_calloc(1, sizeof *w);
    if (!w) return td_fail_nomem(err, "the tokenizer", sizeof *w);
    w->pipeline = pipeline;
    w->whole = vocab->model == TD_VOCAB_WORDLEVEL;
    w->begins = pipeline->whole_words;
    const td_status st = fill(w, vocab, err);
    if (st != TD_OK) {
        td_wordpiece_free(w);
        return st;
    }
    *out = w;
    return TD_OK;
}

void td_wordpiece_free(td_wordpiece *w) {
    if (!w) return;
    td_trie_clear(&w->trie);
    td_free(w);
}

static size_t count_characters(const char *word, size_t n) {
    size_t count = 0;
    for (size_t at = 0; at < n; count++) {
        const int k = td_utf8_decode(word + at, n - at, NULL);
        at += k > 0 ? (size_t)k : 1;
    }
    return count;
}

/* The longest token from `node` on that ends between characters; *n is its part of the word. */
static int32_t longest(const td_wordpiece *w, uint32_t node, const char *word, size_t n_word,
                       size_t *n) {
    int32_t best = -1;
    for (size_t i = 0; i < n_word;) {
        node = td_trie_next(&w->trie, node, (uint8_t)word[i++]);
        if (!node) break;
        const bool between = i == n_word || ((uint8_t)word[i] & 0xC0) != 0x80;
        if (w->trie.nodes[node].id < 0 || !between) continue;
        best = w->trie.nodes[node].id;
        *n = i;
    }
    return best;
}

/* All of the word in tokens, or nothing. */
static td_status cut(const td_wordpiece *w, const char *word, size_t n_word, td_token_list *out,
                     td_err *err) {
    const size_t first = out->n;
    const td_text mark = {TD_SPM_SPACE, TD_SPM_N_SPACE};
    uint32_t node = w->begins ? walk(&w->trie, mark) : 0;
    if (w->begins && node == 0) return TD_OK;
    for (size_t at = 0, n = 0; at < n_word; at += n) {
        int32_t id = -1;
        if (at == 0 || !w->dead_end) id = longest(w, node, word + at, n_word - at, &n);
        if (id < 0) {
            out->n = first;
            return TD_OK;
        }
        TD_TRY(td_token_list_reserve(out, 1, err));
        td_token_list_push(out, id);
        node = w->continues;
    }
    return TD_OK;
}

static td_status take_whole(const td_wordpiece *w, const char *word, size_t n_word,
                            td_token_list *out, td_err *err) {
    const uint32_t node = walk(&w->trie, (td_text){word, (uint32_t)n_word});
    const int32_t id = node ? w->trie.nodes[node].id : -1;
    if (id < 0) return TD_OK;
    TD_TRY(td_token_list_reserve(out, 1, err));
    td_token_list_push(out, id);
    return TD_OK;
}

td_status td_wordpiece_encode(const td_wordpiece *w, const char *word, size_t n_word,
                              td_token_list *out, td_err *err) {
    const size_t before = out->n;
    if (w->whole)
        TD_TRY(take_whole(w, word, n_word, out, err));
    else if (w->pipeline->max_word == 0 || n_word <= w->pipeline->max_word ||
             count_characters(word, n_word) <= w->pipeline->max_word)
        TD_TRY(cut(w, word, n_word, out, err));
    if (out->n > before || w->pipeline->model_unk < 0) return TD_OK;
    TD_TRY(td_token_list_reserve(out, 1, err));
    td_token_list_push(out, w->pipeline->model_unk);
    return TD_OK;
}
