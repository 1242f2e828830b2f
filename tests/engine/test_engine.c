/* test_engine.c - sequences, batches and text on a tiny model, through tandem.h alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "support/tiny_model.h"
#include "tandem.h"

enum { N_PROMPT = 20, MAX_TEXT = 4096, MAX_TOKENS = 256 };

static tiny_model tiny;
static char path[64];

static int write_model(void **state) {
    (void)state;
    snprintf(path, sizeof path, "/tmp/td-test-engine-%ld.gguf", (long)getpid());
    tiny_model_load(&tiny, "llama_grouped");
    tiny_model_write(&tiny, TD_DTYPE_Q8_0, false, path);
    return 0;
}

static int remove_model(void **state) {
    (void)state;
    tiny_model_clear(&tiny);
    return unlink(path);
}

static td_engine *make_engine(int n_seq, int n_ctx, int n_batch) {
    td_engine *e;
    td_err err = {0};
    const td_engine_options o = {
        .model_path = path, .n_thread = 2, .n_seq = n_seq, .n_ctx = n_ctx, .n_batch = n_batch};
    if (td_engine_create(&e, &o, &err) != TD_OK) fail_msg("%s", err.msg);
    return e;
}

static td_sequence *make_sequence(td_engine *e, const td_sequence_options *o) {
    td_sequence *s;
    td_err err = {0};
    /* The tiny vocabulary's end token may well be the most likely one: look past it. */
    td_sequence_options with_defaults = o ? *o : (td_sequence_options){0};
    with_defaults.ignore_end = true;
    with_defaults.show_special = true;
    if (td_sequence_create(&s, e, &with_defaults, &err) != TD_OK) fail_msg("%s", err.msg);
    return s;
}

/* What a generation gave. */
typedef struct answer {
    char text[MAX_TEXT];
    size_t n_text;
    td_token tokens[MAX_TOKENS];
    int n_token;
    td_finish finish;
} answer;

static void note_event(answer *a, const td_event *ev) {
    memcpy(a->text + a->n_text, ev->text, ev->n_text);
    a->n_text += ev->n_text;
    a->text[a->n_text] = 0;
    if (ev->token >= 0) a->tokens[a->n_token++] = ev->token;
    a->finish = ev->finish;
}

/* Runs s to the end of its generation; no step may allocate. */
static td_status finish_generation(td_engine *e, td_sequence *s, answer *a, td_err *err) {
    td_event events[8];
    *a = (answer){0};
    while (td_sequence_is_active(s)) {
        int n = 0;
        td_alloc_fault_forbid(1);
        const td_status status = td_engine_step(e, events, 8, &n, err);
        td_alloc_fault_forbid(0);
        if (status != TD_OK) return status;
        for (int i = 0; i < n; i++)
            if (events[i].seq == s) note_event(a, &events[i]);
    }
    return TD_OK;
}

static void generate(td_engine *e, td_sequence *s, int n_max, answer *a) {
    td_err err = {0};
    assert_int_equal(td_sequence_generate(s, n_max, &err), TD_OK);
    if (finish_generation(e, s, a, &err) != TD_OK) fail_msg("%s", err.msg);
}

static void append_prompt(td_sequence *s, int from, int n) {
    assert_int_equal(td_sequence_append(s, tiny.tokens + from, n, NULL), TD_OK);
}

static void assert_same_answer(const answer *a, const answer *b) {
    assert_int_equal(a->n_token, b->n_token);
    assert_memory_equal(a->tokens, b->tokens, (size_t)a->n_token * sizeof *a->tokens);
    assert_string_equal(a->text, b->text);
    assert_int_equal(a->finish, b->finish);
}

/* ---- generation ---- */

static void test_length_and_tokens(void **state) {
    (void)state;
    td_engine *e = make_engine(1, 128, 7);
    td_sequence *s = make_sequence(e, NULL);
    append_prompt(s, 0, N_PROMPT);
    answer a;
    generate(e, s, 12, &a);
    assert_int_equal(a.n_token, 12);
    assert_int_equal(a.finish, TD_FINISH_LENGTH);
    int n;
    const td_token *tokens = td_sequence_tokens(s, &n);
    assert_int_equal(n, N_PROMPT + 12);
    assert_memory_equal(tokens, tiny.tokens, N_PROMPT * sizeof *tokens);
    assert_memory_equal(tokens + N_PROMPT, a.tokens, 12 * sizeof *tokens);
    td_engine_stats stats;
    td_engine_get_stats(e, &stats);
    assert_int_equal(stats.n_prefill, N_PROMPT);
    assert_int_equal(stats.n_decode, 11); /* the last token is sampled, not evaluated */
    td_engine_free(e);
}

static void test_logits_are_of_the_last_token(void **state) {
    (void)state;
    td_engine *e = make_engine(1, 128, 64);
    td_sequence *s = make_sequence(e, NULL);
    assert_null(td_sequence_logits(s));
    append_prompt(s, 0, N_PROMPT);
    answer a;
    generate(e, s, 0, &a); /* evaluates only */
    assert_int_equal(a.n_token, 0);
    const float *logits = td_sequence_logits(s);
    assert_non_null(logits);
    td_engine_info info;
    td_engine_get_info(e, &info);
    int best = 0;
    for (int i = 1; i < info.n_vocab; i++)
        if (logits[i] > logits[best]) best = i;
    generate(e, s, 1, &a);
    assert_int_equal(a.tokens[0], best);
    td_engine_free(e);
}

static void test_truncate_and_again(void **state) {
    (void)state;
    td_engine *e = make_engine(1, 128, 16);
    td_sequence *s = make_sequence(e, NULL);
    append_prompt(s, 0, N_PROMPT);
    answer first, again;
    generate(e, s, 20, &first);
    for (int keep = N_PROMPT; keep > 0; keep -= 9) {
        assert_int_equal(td_sequence_truncate(s, keep, NULL), TD_OK);
        append_prompt(s, keep, N_PROMPT - keep);
        generate(e, s, 20, &again);
        assert_same_answer(&first, &again);
    }
    assert_int_equal(td_sequence_truncate(s, 500, NULL), TD_ERR_ARGUMENT);
    td_engine_free(e);
}

/* Three conversations in turns, with prompts that arrive while others generate, give what each
 * gives alone. */
static void test_sequences_do_not_meet(void **state) {
    (void)state;
    enum { N = 3, N_NEW = 15 };
    answer alone[N], together[N] = {0};
    td_engine *e = make_engine(N, 128, 8);
    for (int i = 0; i < N; i++) {
        td_sequence *s = make_sequence(e, NULL);
        append_prompt(s, i * 7, 5 + i * 6);
        generate(e, s, N_NEW, &alone[i]);
        td_sequence_free(s);
    }
    td_sequence *seqs[N] = {0};
    td_event events[N];
    int n_started = 0;
    for (int step = 0; step < 200; step++) {
        if (n_started < N && step % 3 == 0) {
            seqs[n_started] = make_sequence(e, NULL);
            append_prompt(seqs[n_started], n_started * 7, 5 + n_started * 6);
            assert_int_equal(td_sequence_generate(seqs[n_started], N_NEW, NULL), TD_OK);
            n_started++;
        }
        int n;
        assert_int_equal(td_engine_step(e, events, N, &n, NULL), TD_OK);
        for (int k = 0; k < n; k++)
            for (int i = 0; i < N; i++)
                if (events[k].seq == seqs[i]) note_event(&together[i], &events[k]);
    }
    for (int i = 0; i < N; i++) assert_same_answer(&alone[i], &together[i]);
    td_sequence *more;
    td_err err;
    assert_int_equal(td_sequence_create(&more, e, NULL, &err), TD_ERR_LIMIT);
    assert_string_equal(err.msg, "all 3 sequences of the engine are in use");
    td_engine_free(e); /* frees its sequences */
}

/* ---- stops ---- */

static void test_stop_strings(void **state) {
    (void)state;
    td_engine *e = make_engine(1, 256, 32);
    td_sequence *s = make_sequence(e, NULL);
    append_prompt(s, 0, N_PROMPT);
    answer whole, cut;
    generate(e, s, 40, &whole);
    assert_true(whole.n_text > 12);
    td_sequence_free(s);
    /* every place and length: the stop may begin and end inside a token */
    for (size_t at = 0; at + 4 < whole.n_text; at += 3) {
        char stop[5] = {0};
        memcpy(stop, whole.text + at, 1 + at % 4);
        const char *const stops[] = {"not in the text", stop};
        const td_sequence_options o = {.stops = stops, .n_stop = 2};
        s = make_sequence(e, &o);
        append_prompt(s, 0, N_PROMPT);
        generate(e, s, 40, &cut);
        const size_t want = (size_t)(strstr(whole.text, stop) - whole.text);
        assert_int_equal(cut.finish, TD_FINISH_STOP);
        assert_int_equal(cut.n_text, want);
        assert_memory_equal(cut.text, whole.text, want);
        td_sequence_free(s);
    }
    const char *const empty[] = {""};
    const td_sequence_options bad = {.stops = empty, .n_stop = 1};
    assert_int_equal(td_sequence_create(&s, e, &bad, NULL), TD_ERR_ARGUMENT);
    assert_null(s);
    td_engine_free(e);
}

/* Text held back for a stop that never came is there at the end. */
static void test_held_text_comes_out(void **state) {
    (void)state;
    td_engine *e = make_engine(1, 256, 32);
    td_sequence *s = make_sequence(e, NULL);
    append_prompt(s, 0, N_PROMPT);
    answer whole, held;
    generate(e, s, 10, &whole);
    td_sequence_free(s);
    char stop[MAX_TEXT + 2];
    snprintf(stop, sizeof stop, "%sX", whole.text);
    const char *const stops[] = {stop};
    const td_sequence_options o = {.stops = stops, .n_stop = 1};
    s = make_sequence(e, &o);
    append_prompt(s, 0, N_PROMPT);
    generate(e, s, 10, &held);
    assert_same_answer(&whole, &held);
    td_engine_free(e);
}

/* ---- the context ---- */

static void test_context_full(void **state) {
    (void)state;
    enum { N_CTX = 64 };
    td_engine *e = make_engine(1, N_CTX, 16);
    answer a;
    td_err err;
    td_sequence *s = make_sequence(e, NULL);
    append_prompt(s, 0, N_PROMPT);
    generate(e, s, -1, &a);
    assert_int_equal(a.finish, TD_FINISH_CONTEXT);
    assert_int_equal(a.n_token, N_CTX - N_PROMPT);
    td_sequence_free(s);

    s = make_sequence(e, &(td_sequence_options){.on_full = TD_ON_FULL_ERROR});
    append_prompt(s, 0, N_PROMPT);
    assert_int_equal(td_sequence_generate(s, -1, NULL), TD_OK);
    assert_int_equal(finish_generation(e, s, &a, &err), TD_ERR_LIMIT);
    assert_string_equal(err.msg, "the context of 64 tokens is full");
    assert_false(td_sequence_is_active(s));
    td_sequence_free(s);

    s = make_sequence(e, &(td_sequence_options){.on_full = TD_ON_FULL_SHIFT, .n_keep = 4});
    append_prompt(s, 0, N_PROMPT);
    generate(e, s, 150, &a);
    assert_int_equal(a.n_token, 150);
    int n;
    const td_token *tokens = td_sequence_tokens(s, &n);
    assert_in_range(n, 5, N_CTX);
    assert_memory_equal(tokens, tiny.tokens, 4 * sizeof *tokens);
    /* what a shift leaves is a plain sequence: a fresh one with the same tokens goes on the same
     * way */
    td_token kept[N_CTX];
    memcpy(kept, tokens, (size_t)n * sizeof *kept);
    answer more, fresh;
    const int room = N_CTX - n < 5 ? N_CTX - n : 5;
    generate(e, s, room, &more);
    td_sequence_free(s);
    s = make_sequence(e, NULL);
    assert_int_equal(td_sequence_append(s, kept, n, NULL), TD_OK);
    generate(e, s, room, &fresh);
    assert_same_answer(&more, &fresh);
    td_engine_free(e);
}

static void test_bad_input(void **state) {
    (void)state;
    td_engine *e = make_engine(1, 32, 16);
    td_sequence *s = make_sequence(e, NULL);
    td_err err;
    assert_int_equal(td_sequence_generate(s, 5, &err), TD_ERR_ARGUMENT); /* no tokens */
    const td_token bad[] = {1, -1}, beyond[] = {1 << 20};
    assert_int_equal(td_sequence_append(s, bad, 2, &err), TD_ERR_ARGUMENT);
    assert_int_equal(td_sequence_append(s, beyond, 1, &err), TD_ERR_ARGUMENT);
    assert_int_equal(td_sequence_append(s, tiny.tokens, 33, &err), TD_ERR_LIMIT);
    assert_non_null(strstr(err.msg, "33 tokens after 0 do not fit into the context of 32 tokens"));
    int n;
    td_sequence_tokens(s, &n);
    assert_int_equal(n, 0); /* a failed append queues none */
    td_event events[1];
    assert_int_equal(td_engine_step(e, events, 0, &n, &err), TD_ERR_ARGUMENT);
    assert_int_equal(td_engine_step(e, events, 1, &n, &err), TD_OK); /* nothing to do */
    assert_int_equal(n, 0);
    td_engine_free(e);
    const td_engine_options wrong = {.model_path = "/nonexistent/model.gguf"};
    assert_int_equal(td_engine_create(&e, &wrong, &err), TD_ERR_IO);
    assert_null(e);
    assert_non_null(strstr(err.msg, "/nonexistent/model.gguf"));
}

static void test_cancel(void **state) {
    (void)state;
    td_engine *e = make_engine(1, 128, 8);
    td_sequence *s = make_sequence(e, NULL);
    append_prompt(s, 0, N_PROMPT);
    answer whole, after;
    generate(e, s, 10, &whole);
    assert_int_equal(td_sequence_truncate(s, N_PROMPT, NULL), TD_OK);
    assert_int_equal(td_sequence_generate(s, 10, NULL), TD_OK);
    td_engine_cancel(e);
    td_err err;
    assert_int_equal(finish_generation(e, s, &after, &err), TD_ERR_CANCELLED);
    assert_int_equal(finish_generation(e, s, &after, &err),
                     TD_OK); /* one step was cancelled, no more */
    assert_same_answer(&whole, &after);
    td_engine_free(e);
}

/* Options that are refused change nothing. */
static void test_refused_options(void **state) {
    (void)state;
    td_engine *e = make_engine(1, 128, 8);
    td_sequence *s = make_sequence(e, NULL);
    append_prompt(s, 0, N_PROMPT);
    answer whole, after;
    generate(e, s, 10, &whole);
    assert_int_equal(td_sequence_truncate(s, N_PROMPT, NULL), TD_OK);
    const td_sequence_options bad = {.sampler = {.top_p = 2}};
    assert_int_equal(td_sequence_set_options(s, &bad, NULL), TD_ERR_ARGUMENT);
    generate(e, s, 10, &after);
    assert_same_answer(&whole, &after);
    td_engine_free(e);
}

/* One sequence fails; the one behind it in the same step goes on to its end. */
static void test_one_fails_others_go_on(void **state) {
    (void)state;
    td_engine *e = make_engine(2, 32, 16);
    td_sequence *full = make_sequence(e, &(td_sequence_options){.on_full = TD_ON_FULL_ERROR});
    td_sequence *fine = make_sequence(e, NULL);
    append_prompt(full, 0, N_PROMPT);
    append_prompt(fine, 0, 5);
    assert_int_equal(td_sequence_generate(full, -1, NULL), TD_OK);
    assert_int_equal(td_sequence_generate(fine, 20, NULL), TD_OK);
    int n_error = 0, n_token = 0;
    for (int step = 0; step < 100 && (td_sequence_is_active(full) || td_sequence_is_active(fine));
         step++) {
        td_event events[2];
        int n;
        n_error += td_engine_step(e, events, 2, &n, NULL) == TD_ERR_LIMIT;
        for (int i = 0; i < n; i++) n_token += events[i].seq == fine;
    }
    assert_int_equal(n_error, 1);
    assert_int_equal(n_token, 20);
    assert_false(td_sequence_is_active(full));
    assert_false(td_sequence_is_active(fine));
    td_engine_free(e);
}

/* A batch of one row: a prompt gets its turn beside a sequence that generates. */
static void test_prompt_is_not_starved(void **state) {
    (void)state;
    td_engine *e = make_engine(2, 128, 1);
    td_sequence *busy = make_sequence(e, NULL), *late = make_sequence(e, NULL);
    append_prompt(busy, 0, 1);
    append_prompt(late, 0, 5);
    assert_int_equal(td_sequence_generate(busy, 100, NULL), TD_OK);
    assert_int_equal(td_sequence_generate(late, 1, NULL), TD_OK);
    td_event events[2];
    int n;
    for (int step = 0; step < 20; step++)
        assert_int_equal(td_engine_step(e, events, 2, &n, NULL), TD_OK);
    assert_false(td_sequence_is_active(late));
    assert_true(td_sequence_is_active(busy));
    td_engine_free(e);
}

/* A context of one token has nothing to shift: it stops. */
static void test_smallest_context(void **state) {
    (void)state;
    td_engine *e = make_engine(1, 1, 1);
    td_sequence *s = make_sequence(e, &(td_sequence_options){.on_full = TD_ON_FULL_SHIFT});
    append_prompt(s, 0, 1);
    answer a;
    generate(e, s, 5, &a);
    assert_int_equal(a.finish, TD_FINISH_CONTEXT);
    td_engine_free(e);
}

/* A generation obeys its grammar from its first token on, greedy or drawn, and the next one begins
 * anew. */
static void test_grammar(void **state) {
    (void)state;
    td_engine *e = make_engine(1, 128, 64);
    td_sequence *s;
    td_err err = {0};
    for (int drawn = 0; drawn < 2; drawn++) {
        const td_sequence_options o = {
            .grammar = "root ::= \"<\" [a-c]{3} (\"x\" | \"yz\") \">\"",
            .sampler = {.temperature = (float)drawn, .top_k = 5, .repeat_penalty = 1.3f}
        };
        assert_int_equal(td_sequence_create(&s, e, &o, &err), TD_OK);
        append_prompt(s, 0, N_PROMPT);
        for (int turn = 0; turn < 2; turn++) {
            answer a;
            generate(e, s, 12, &a);
            assert_int_equal(a.finish, TD_FINISH_END); /* nothing may follow: no end token */
            assert_int_equal(a.text[0], '<');
            assert_int_equal(strspn(a.text + 1, "abc"), 3);
            assert_true(strcmp(a.text + 4, "x>") == 0 || strcmp(a.text + 4, "yz>") == 0);
        }
        td_sequence_free(s);
    }
    const td_sequence_options o = {.json_schema = "{\"enum\": [true, [1]]}"};
    assert_int_equal(td_sequence_create(&s, e, &o, &err), TD_OK);
    append_prompt(s, 0, N_PROMPT);
    answer a;
    generate(e, s, 30, &a);
    assert_int_equal(a.finish, TD_FINISH_END);
    assert_true(a.text[0] == 't' ? strcmp(a.text, "true") == 0 : a.text[0] == '[');
    generate(e, s, 1, &a); /* cut short */
    assert_int_equal(a.finish, TD_FINISH_LENGTH);
    td_engine_free(e);
}

static void test_refused_grammars(void **state) {
    (void)state;
    static const struct {
        td_sequence_options options;
        td_status status;
        const char *message;
    } rows[] = {
        {{.grammar = "root ::= x"},                          TD_ERR_FORMAT,      "rule 'x' is not defined"       },
        {{.json_schema = "{\"not\": {}}"},                   TD_ERR_UNSUPPORTED, "JSON Schema: at #: the keyword"},
        {{.grammar = "root ::= \"x\"", .json_schema = "{}"}, TD_ERR_ARGUMENT,    "exclude each other"            },
        {{.grammar = "root ::= \"x\"", .ignore_end = true},  TD_ERR_ARGUMENT,    "ignore_end"                    },
        {{.grammar = "root ::= <[999999]>"},                 TD_ERR_ARGUMENT,    "token 999999, wanted less than"},
    };
    td_engine *e = make_engine(1, 128, 64);
    td_sequence *s;
    td_err err = {0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(td_sequence_create(&s, e, &rows[i].options, &err), rows[i].status);
        assert_non_null(strstr(err.msg, rows[i].message));
        assert_null(s);
    }
    /* The vocabulary has no byte of this character: the generation fails, it does not go astray. */
    const td_sequence_options o = {.grammar = "root ::= \"\\u6f22\""};
    assert_int_equal(td_sequence_create(&s, e, &o, &err), TD_OK);
    append_prompt(s, 0, N_PROMPT);
    assert_int_equal(td_sequence_generate(s, 5, &err), TD_OK);
    answer a;
    assert_int_equal(finish_generation(e, s, &a, &err), TD_ERR_ARGUMENT);
    assert_non_null(strstr(err.msg, "dead end"));
    assert_false(td_sequence_is_active(s));
    td_engine_free(e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_length_and_tokens),
        cmocka_unit_test(test_logits_are_of_the_last_token),
        cmocka_unit_test(test_truncate_and_again),
        cmocka_unit_test(test_sequences_do_not_meet),
        cmocka_unit_test(test_stop_strings),
        cmocka_unit_test(test_held_text_comes_out),
        cmocka_unit_test(test_context_full),
        cmocka_unit_test(test_bad_input),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_refused_options),
        cmocka_unit_test(test_one_fails_others_go_on),
        cmocka_unit_test(test_prompt_is_not_starved),
        cmocka_unit_test(test_smallest_context),
        cmocka_unit_test(test_grammar),
        cmocka_unit_test(test_refused_grammars),
    };
    return cmocka_run_group_tests(tests, write_model, remove_model);
}
