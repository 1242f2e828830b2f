/* td_schema_sample.c - for check_schemas.py: samples schemas, and asks whether texts are accepted.
 *
 *     td-schema-sample VOCABULARY.gguf < REQUESTS
 *
 * A request is a line {"schema": text, "seed": n, "n_max": n, "texts": [text ...]}; the answer a
 * line {"text", "finished", "accepted": [bool ...]} or {"error"}.  Tokens are drawn from the masks
 * without a model, so that every corner comes up; closing ones more often, so that texts end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/random.h"
#include "format/checkpoint.h"
#include "text/grammar.h"
#include "text/value.h"

static td_vocab vocab;
static td_tokenizer *tok;
static td_token_trie *trie;

static bool closes(int32_t token) {
    size_t n;
    const char *text = td_tokenizer_token_bytes(tok, token, false, &n);
    return n > 0 && n <= 3 && strspn(text, "\"]},:") >= n;
}

/* A token of the mask, -1: the end. */
static int32_t draw(const uint32_t *mask, td_random *random) {
    const int n = vocab.n_token;
    const uint64_t dice = td_random_next(random) % 100;
    int32_t found = -1;
    uint64_t n_seen = 0;
    for (int32_t t = 0; t < n; t++) {
        if (!(mask[t / 32] >> (t % 32) & 1)) continue;
        size_t length;
        td_tokenizer_token_bytes(tok, t, false, &length);
        if (dice < 25 && !td_tokenizer_is_end(tok, t) && !closes(t)) continue;
        if (dice >= 25 && dice < 60 && length > 1) continue;
        if (td_random_next(random) % ++n_seen == 0) found = t;
    }
    if (found >= 0) return found;
    for (int32_t t = 0; t < n; t++)
        if ((mask[t / 32] >> (t % 32) & 1) && td_random_next(random) % ++n_seen == 0) found = t;
    return found;
}

static td_status sample(td_matcher *m, uint64_t seed, int n_max, td_strbuf *text, bool *finished,
                        td_err *err) {
    td_random random;
    td_random_seed(&random, seed);
    *finished = false;
    for (int i = 0; i < n_max && !*finished; i++) {
        const uint32_t *mask;
        TD_TRY(td_matcher_mask(m, &mask, err));
        const int32_t token = draw(mask, &random);
        if (token < 0) return td_fail(err, TD_ERR_ARGUMENT, "dead end after '%s'", text->text);
        TD_TRY(td_matcher_accept(m, token, err));
        if (td_tokenizer_is_end(tok, token)) {
            *finished = true;
            break;
        }
        size_t n;
        const char *bytes = td_tokenizer_token_bytes(tok, token, false, &n);
        td_strbuf_add(text, bytes, n);
        *finished = td_matcher_can_end(m) && !td_matcher_can_continue(m);
    }
    return TD_OK;
}

static td_status answer(td_arena *arena, const td_value *request, td_value *out, td_err *err) {
    size_t n;
    td_grammar *g;
    td_matcher *m;
    td_strbuf text = {0};
    bool finished = false;
    const char *schema = td_value_text(td_value_get(request, "schema"), &n);
    td_strbuf_adds(&text, "");
    TD_TRY(td_grammar_from_schema(&g, schema, n, "schema", err));
    td_status status = td_matcher_create(&m, g, trie, err);
    td_strbuf number = {0};
    td_value_to_json(td_value_get(request, "seed"), -1, &number);
    const uint64_t seed = strtoull(number.text, NULL, 10);
    td_strbuf_clear(&number);
    td_value_to_json(td_value_get(request, "n_max"), -1, &number);
    const int n_max = atoi(number.text);
    td_strbuf_clear(&number);
    if (status == TD_OK) status = sample(m, seed, n_max, &text, &finished, err);
    const td_value *texts = td_value_get(request, "texts");
    td_value *accepted = td_value_list(arena);
    for (size_t i = 0; status == TD_OK && i < td_value_count(texts); i++) {
        const char *one = td_value_text(td_value_at(texts, i), &n);
        bool ok;
        status = td_matcher_reset(m, err);
        if (status == TD_OK) status = td_matcher_accept_bytes(m, one, n, &ok, err);
        if (status == TD_OK)
            status =
                td_value_append(arena, accepted, td_value_bool(arena, ok && td_matcher_can_end(m)));
    }
    if (status == TD_OK) {
        td_value_set(arena, out, "text", td_value_string(arena, text.text, text.n));
        td_value_set(arena, out, "finished", td_value_bool(arena, finished));
        td_value_set(arena, out, "accepted", accepted);
    }
    td_strbuf_clear(&text);
    td_matcher_free(m);
    td_grammar_free(g);
    return status;
}

int main(int argc, char **argv) {
    td_err err = {0};
    td_checkpoint *ckpt;
    if (argc < 2) return 77;
    if (td_checkpoint_open(&ckpt, argv[1], &err) || td_checkpoint_read_vocab(ckpt, &vocab, &err) ||
        td_tokenizer_create(&tok, &vocab, &err) || td_token_trie_create(&trie, tok, &err)) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    static char line[1 << 20];
    while (fgets(line, sizeof line, stdin)) {
        td_arena arena;
        td_value *request;
        td_strbuf json = {0};
        td_arena_init(&arena, 0);
        td_value *out = td_value_map(&arena);
        td_status status =
            td_value_from_json(&request, &arena, line, strlen(line), "request", &err);
        if (status == TD_OK) status = answer(&arena, request, out, &err);
        if (status != TD_OK)
            td_value_set(&arena, out, "error", td_value_string(&arena, err.msg, strlen(err.msg)));
        td_value_to_json(out, -1, &json);
        puts(json.text);
        fflush(stdout);
        td_strbuf_clear(&json);
        td_arena_clear(&arena);
    }
    td_token_trie_free(trie);
    td_tokenizer_free(tok);
    td_vocab_clear(&vocab);
    td_checkpoint_close(ckpt);
    return 0;
}
