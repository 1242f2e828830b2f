/* test_session.c - sequences saved and loaded: what goes on goes on the same, and what does not fit
 * is refused without a trace. */
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
#include "base/filemap.h"
#include "base/hash.h"
#include "engine/session.h"
#include "support/tiny_model.h"
#include "tandem.h"

enum { MAX_TOKENS = 512, N_PROMPT = 20 };

/* Three models: one wide head, a window in five of six layers, and another of the first's kind. */
enum { MQA, WINDOW, GROUPED, N_MODEL };
static const char *const fixtures[N_MODEL] = {"llama_mqa_wide_head", "gemma3_period6",
                                              "llama_grouped"};
static tiny_model models[N_MODEL];
static char paths[N_MODEL][64], session_path[64];

static int write_models(void **state) {
    (void)state;
    for (int i = 0; i < N_MODEL; i++) {
        snprintf(paths[i], sizeof paths[i], "/tmp/td-test-session-%ld-%d.gguf", (long)getpid(), i);
        tiny_model_load(&models[i], fixtures[i]);
        tiny_model_write(&models[i], TD_DTYPE_F16, false, paths[i]);
    }
    snprintf(session_path, sizeof session_path, "/tmp/td-test-session-%ld.tds", (long)getpid());
    return 0;
}

static int remove_models(void **state) {
    (void)state;
    for (int i = 0; i < N_MODEL; i++) {
        tiny_model_clear(&models[i]);
        unlink(paths[i]);
    }
    unlink(session_path);
    return 0;
}

static td_engine *make_engine(int model, td_engine_options o) {
    td_engine *e;
    td_err err;
    o.model_path = paths[model];
    if (o.n_thread == 0) o.n_thread = 1;
    if (td_engine_create(&e, &o, &err) != TD_OK) fail_msg("%s", err.msg);
    return e;
}

/* Draws with all that has a state: the generator, penalties and DRY. */
static td_sequence *make_sequence(td_engine *e, uint64_t seed) {
    const td_sequence_options o = {
        .sampler = {.temperature = 1, .seed = seed, .repeat_penalty = 1.2f, .dry_multiplier = 1},
        .ignore_end = true
    };
    td_sequence *s;
    td_err err;
    if (td_sequence_create(&s, e, &o, &err) != TD_OK) fail_msg("%s", err.msg);
    return s;
}

static void generate(td_engine *e, td_sequence *s, int n) {
    td_err err;
    assert_int_equal(td_sequence_generate(s, n, &err), TD_OK);
    while (td_sequence_is_active(s)) {
        td_event events[4];
        int n_event;
        if (td_engine_step(e, events, 4, &n_event, &err) != TD_OK) fail_msg("%s", err.msg);
    }
}

static void begin(td_engine *e, td_sequence *s, int model, int n) {
    assert_int_equal(td_sequence_append(s, models[model].tokens, N_PROMPT, NULL), TD_OK);
    generate(e, s, n);
}

/* What a sequence holds, for comparing. */
typedef struct snapshot {
    td_token tokens[MAX_TOKENS];
    int n;
} snapshot;

static snapshot snapshot_of(const td_sequence *s) {
    snapshot shot = {0};
    const td_token *tokens = td_sequence_tokens(s, &shot.n);
    assert_in_range(shot.n, 0, MAX_TOKENS);
    memcpy(shot.tokens, tokens, (size_t)shot.n * sizeof *tokens);
    return shot;
}

static void assert_same(const snapshot *a, const snapshot *b) {
    assert_int_equal(a->n, b->n);
    assert_memory_equal(a->tokens, b->tokens, (size_t)a->n * sizeof *a->tokens);
}

static void save(const td_sequence *s) {
    td_err err;
    if (td_sequence_save(s, session_path, &err) != TD_OK) fail_msg("%s", err.msg);
}

static void load(td_sequence *s) {
    td_err err;
    if (td_sequence_load(s, session_path, &err) != TD_OK) fail_msg("%s", err.msg);
}

/* ---- going on ---- */

static const struct {
    td_kv_type k, v;
    td_mode mode;
} kinds[] = {
    {TD_KV_DEFAULT, TD_KV_DEFAULT, TD_MODE_NATIVE},
    {TD_KV_DEFAULT, TD_KV_DEFAULT, TD_MODE_EXACT },
    {TD_KV_F32,     TD_KV_DEFAULT, TD_MODE_NATIVE},
    {TD_KV_Q8_0,    TD_KV_DEFAULT, TD_MODE_NATIVE},
    {TD_KV_Q4_0,    TD_KV_DEFAULT, TD_MODE_NATIVE},
    {TD_KV_Q8_0,    TD_KV_Q4_0,    TD_MODE_NATIVE},
};

static td_engine *engine_of_kind(int model, int kind, int n_ctx, int n_batch, int n_seq) {
    return make_engine(model, (td_engine_options){.mode = kinds[kind].mode,
                                                  .kv_type = kinds[kind].k,
                                                  .kv_value_type = kinds[kind].v,
                                                  .n_ctx = n_ctx,
                                                  .n_batch = n_batch,
                                                  .n_seq = n_seq});
}

/* Saved after n tokens and taken up by another engine, with another context, batch and seed, in a
 * slot where something else was. */
static void go_on(int model, int kind, int n, int n_batch) {
    td_engine *a = engine_of_kind(model, kind, 300, n_batch, 1);
    td_sequence *s = make_sequence(a, 7);
    begin(a, s, model, n);
    save(s);
    const snapshot saved = snapshot_of(s);
    generate(a, s, 12);
    const snapshot wanted = snapshot_of(s);
    td_engine_free(a);

    td_engine *b = engine_of_kind(model, kind, 280, 5, 2);
    td_sequence *other = make_sequence(b, 1), *t = make_sequence(b, 99);
    begin(b, other, model, 3);
    begin(b, t, model, 50);
    load(t);
    const snapshot loaded = snapshot_of(t);
    assert_same(&loaded, &saved);
    generate(b, t, 12);
    snapshot got = snapshot_of(t);
    assert_same(&got, &wanted);
    /* once more, from a position that the cache may or may not still hold */
    load(t);
    assert_int_equal(td_sequence_truncate(t, N_PROMPT + 1, NULL), TD_OK);
    assert_int_equal(
        td_sequence_append(t, wanted.tokens + N_PROMPT + 1, saved.n - N_PROMPT - 1, NULL), TD_OK);
    generate(b, t, 12);
    got = snapshot_of(t);
    assert_same(&got, &wanted);
    td_engine_free(b);
}

static void test_goes_on(void **state) {
    (void)state;
    /* With the prompt around the end of a page, and the same a window of 8 later. */
    static const int lengths[] = {1, 43, 44, 51, 52, 53, 108};
    for (int kind = 0; kind < (int)(sizeof kinds / sizeof kinds[0]); kind++)
        for (int i = 0; i < (int)(sizeof lengths / sizeof lengths[0]); i++)
            for (int model = MQA; model <= WINDOW; model++)
                go_on(model, kind, lengths[i], i % 2 ? 64 : 7);
}

/* Queued tokens, none evaluated at all, and a sequence with nothing. */
static void test_queued_and_empty(void **state) {
    (void)state;
    td_engine *e = make_engine(MQA, (td_engine_options){.n_ctx = 128, .n_seq = 2});
    td_sequence *s = make_sequence(e, 3), *t = make_sequence(e, 4);
    save(s);
    begin(e, t, MQA, 5);
    load(t);
    snapshot shot = snapshot_of(t);
    assert_int_equal(shot.n, 0);
    assert_int_equal(td_sequence_append(s, models[MQA].tokens, N_PROMPT, NULL), TD_OK);
    save(s);
    load(t);
    generate(e, s, 5);
    generate(e, t, 5);
    snapshot wanted = snapshot_of(s);
    shot = snapshot_of(t);
    assert_same(&shot, &wanted);
    assert_int_equal(td_sequence_append(s, models[MQA].tokens, 3, NULL), TD_OK);
    save(s);
    load(t);
    generate(e, s, 5);
    generate(e, t, 5);
    wanted = snapshot_of(s);
    shot = snapshot_of(t);
    assert_same(&shot, &wanted);
    td_engine_free(e);
}

/* ---- refusals ---- */

static void refuse_by(td_engine *e, int model, const char *words) {
    td_sequence *t = make_sequence(e, 5);
    begin(e, t, model, 4);
    const snapshot before = snapshot_of(t);
    td_err err;
    assert_int_not_equal(td_sequence_load(t, session_path, &err), TD_OK);
    if (!strstr(err.msg, words)) fail_msg("'%s' is not in: %s", words, err.msg);
    const snapshot after = snapshot_of(t);
    assert_same(&before, &after);
    td_engine_free(e);
}

static void test_other_engines(void **state) {
    (void)state;
    td_engine *e = make_engine(MQA, (td_engine_options){.n_ctx = 128});
    td_sequence *s = make_sequence(e, 3);
    begin(e, s, MQA, 60);
    save(s);
    td_engine_free(e);
    refuse_by(make_engine(GROUPED, (td_engine_options){.n_ctx = 128}), GROUPED, "another model");
    refuse_by(make_engine(WINDOW, (td_engine_options){.n_ctx = 128}), WINDOW, "another model");
    refuse_by(make_engine(MQA, (td_engine_options){.n_ctx = 128, .mode = TD_MODE_EXACT}), MQA,
              "made in native mode, this is exact mode");
    refuse_by(make_engine(MQA, (td_engine_options){.n_ctx = 128, .kv_type = TD_KV_Q8_0}), MQA,
              "keys in f16 and values in f16, this KV cache q8_0 and q8_0");
    refuse_by(make_engine(MQA, (td_engine_options){.n_ctx = 79}), MQA,
              "has 80 tokens, but the context holds 79");
    unlink(session_path);
    refuse_by(make_engine(MQA, (td_engine_options){.n_ctx = 128}), MQA, session_path);
}

/* A small session in memory, and a sequence that should survive attempts to load bad copies. */
typedef struct victim {
    td_engine *engine;
    td_sequence *seq;
    snapshot before;
    uint8_t *good, *bad; /* owned; [n] */
    size_t n;
} victim;

static void make_victim(victim *v, int model) {
    v->engine = make_engine(model, (td_engine_options){.n_ctx = 128, .n_seq = 2});
    td_sequence *s = make_sequence(v->engine, 3);
    assert_int_equal(td_sequence_append(s, models[model].tokens, 3, NULL), TD_OK);
    generate(v->engine, s, 1);
    save(s);
    td_sequence_free(s);
    v->seq = make_sequence(v->engine, 5);
    begin(v->engine, v->seq, model, 4);
    v->before = snapshot_of(v->seq);
    td_filemap map;
    assert_int_equal(td_filemap_open(&map, session_path, NULL), TD_OK);
    v->n = map.n;
    v->good = malloc(v->n);
    v->bad = malloc(v->n);
    assert_true(v->good && v->bad);
    memcpy(v->good, map.data, v->n);
    memcpy(v->bad, map.data, v->n);
    td_filemap_close(&map);
}

/* The victim goes on as if nothing had been tried, and the good session still loads. */
static void bury(victim *v, int model) {
    generate(v->engine, v->seq, 20);
    const snapshot after = snapshot_of(v->seq);
    td_sequence *fresh = make_sequence(v->engine, 5);
    begin(v->engine, fresh, model, 4);
    generate(v->engine, fresh, 20);
    const snapshot wanted = snapshot_of(fresh);
    assert_same(&after, &wanted);
    assert_int_equal(td_session_read(v->seq, v->good, v->n, "good", NULL), TD_OK);
    td_engine_free(v->engine);
    free(v->good);
    free(v->bad);
}

static void refuse_bytes(victim *v, size_t n, const char *words) {
    uint8_t *exact = malloc(n + (n == 0)); /* so that a sanitizer sees reads past the end */
    assert_non_null(exact);
    memcpy(exact, v->bad, n);
    td_err err = {0};
    const td_status status = td_session_read(v->seq, exact, n, "bad", &err);
    free(exact);
    assert_int_not_equal(status, TD_OK);
    assert_non_null(strstr(err.msg, "bad: "));
    if (words && !strstr(err.msg, words)) fail_msg("'%s' is not in: %s", words, err.msg);
    int n_token;
    (void)td_sequence_tokens(v->seq, &n_token);
    assert_int_equal(n_token, v->before.n);
}

static void test_every_bit_and_length(void **state) {
    (void)state;
    victim v;
    make_victim(&v, GROUPED);
    for (size_t i = 0; i < v.n; i++) {
        for (int bit = 0; bit < 8; bit++) {
            v.bad[i] ^= (uint8_t)(1 << bit);
            refuse_bytes(&v, v.n, NULL);
            v.bad[i] = v.good[i];
        }
        refuse_bytes(&v, i, NULL);
    }
    print_message("%zu bytes\n", v.n);
    bury(&v, GROUPED);
}

static void put_u32(uint8_t *p, uint32_t x) {
    for (int i = 0; i < 4; i++) p[i] = (uint8_t)(x >> 8 * i);
}

/* Headers that lie, under a checksum that fits. */
static void test_forged(void **state) {
    (void)state;
    enum { VERSION = 8, PAGE = 12, MODE = 32, KEYS = 36, LAYERS = 44, TOKENS = 48, EVAL = 52 };
    enum { FIRST = 56, RANDOM = 64, KEPT = 96 };
    static const struct {
        size_t at;
        uint32_t value;
        const char *words;
    } rows[] = {
        {0,        0,          "it begins otherwise"                      },
        {VERSION,  2,          "of version 2, this build reads version 1" },
        {VERSION,  0,          "of version 0"                             },
        {PAGE,     128,        "pages of 128"                             },
        {16,       1,          "cut off or damaged"                       },
        {24,       1,          "another model"                            },
        {MODE,     1,          "exact mode"                               },
        {MODE,     7,          "mode"                                     },
        {KEYS,     77,         "keys in unknown"                          },
        {LAYERS,   1,          "contradicts itself"                       },
        {TOKENS,   0xffffffff, "4294967295 tokens, but the context holds" },
        {TOKENS,   129,        "129 tokens, but the context holds"        },
        {TOKENS,   128,        "128 tokens"                               },
        {TOKENS,   2,          "contradicts itself"                       },
        {EVAL,     5,          "contradicts itself"                       },
        {EVAL,     4,          "its contents want"                        },
        {EVAL,     0x80000000, "contradicts itself"                       },
        {FIRST,    5,          "contradicts itself"                       },
        {KEPT,     1,          "layer 0 of the session keeps pages from 1"},
        {KEPT,     0xffffffff, "layer 0"                                  },
        {KEPT + 8, 128,        "token 0 of the session is 128"            },
        {KEPT + 8, 0xffffffff, "token 0"                                  },
    };
    victim v;
    make_victim(&v, GROUPED); /* two layers, four tokens, 128 in the vocabulary */
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        put_u32(v.bad + rows[i].at, rows[i].value);
        td_hash hash;
        td_hash_init(&hash);
        td_hash_add(&hash, v.bad, v.n - 8);
        put_u32(v.bad + v.n - 8, (uint32_t)td_hash_result(&hash));
        put_u32(v.bad + v.n - 4, (uint32_t)(td_hash_result(&hash) >> 32));
        if (rows[i].at == TOKENS && rows[i].value == 128)
            refuse_bytes(&v, v.n, NULL); /* what is read as tokens may be any */
        else
            refuse_bytes(&v, v.n, rows[i].words);
        memcpy(v.bad, v.good, v.n);
    }
    memset(v.bad + RANDOM, 0, 32);
    td_hash hash;
    td_hash_init(&hash);
    td_hash_add(&hash, v.bad, v.n - 8);
    put_u32(v.bad + v.n - 8, (uint32_t)td_hash_result(&hash));
    put_u32(v.bad + v.n - 4, (uint32_t)(td_hash_result(&hash) >> 32));
    refuse_bytes(&v, v.n, "contradicts itself");
    bury(&v, GROUPED);
}

/* ---- failures outside ---- */

static void test_out_of_memory(void **state) {
    (void)state;
    td_engine *e = make_engine(WINDOW, (td_engine_options){.n_ctx = 128, .n_seq = 2});
    td_sequence *s = make_sequence(e, 3), *t = make_sequence(e, 5);
    begin(e, s, WINDOW, 10);
    save(s); /* what a failed save must leave */
    begin(e, t, WINDOW, 4);
    const snapshot before = snapshot_of(t);
    generate(e, s, 1);
    int n_failed = 0;
    for (int64_t n = 1;; n++) {
        td_err err;
        td_alloc_fault_set(n);
        const td_status saved = td_sequence_save(s, session_path, &err);
        const bool reached = td_alloc_fault_count() >= n;
        td_alloc_fault_set(0);
        if (!reached) {
            assert_int_equal(saved, TD_OK);
            break;
        }
        assert_int_equal(saved, TD_ERR_NOMEM);
        td_alloc_fault_set(1);
        assert_int_equal(td_sequence_load(t, session_path, &err), TD_ERR_NOMEM);
        td_alloc_fault_set(0);
        const snapshot after = snapshot_of(t);
        assert_same(&before, &after);
        n_failed++;
    }
    assert_true(n_failed >= 3);
    load(t);
    const snapshot wanted = snapshot_of(s), got = snapshot_of(t);
    assert_same(&got, &wanted);
    td_err err;
    assert_int_equal(td_sequence_save(s, "/nowhere/at/all", &err), TD_ERR_IO);
    assert_non_null(strstr(err.msg, "/nowhere/at/all"));
    td_engine_free(e);
}

/* ---- context shift with a window ---- */

static void test_shift_with_window(void **state) {
    (void)state;
    enum { N_CTX = 200, N_NEW = 420, N_KEEP = 6 };
    td_engine *e = make_engine(WINDOW, (td_engine_options){.n_ctx = N_CTX, .n_batch = 16});
    const td_sequence_options shift = {
        .on_full = TD_ON_FULL_SHIFT, .n_keep = N_KEEP, .ignore_end = true};
    td_sequence *s;
    assert_int_equal(td_sequence_create(&s, e, &shift, NULL), TD_OK);
    assert_int_equal(td_sequence_append(s, models[WINDOW].tokens, N_PROMPT, NULL), TD_OK);
    assert_int_equal(td_sequence_generate(s, N_NEW, NULL), TD_OK);
    int n_new = 0;
    while (td_sequence_is_active(s)) {
        td_event event;
        int n_event;
        td_err err;
        if (td_engine_step(e, &event, 1, &n_event, &err) != TD_OK) fail_msg("%s", err.msg);
        n_new += n_event > 0 && event.token >= 0;
    }
    assert_int_equal(n_new, N_NEW);
    const snapshot end = snapshot_of(s);
    assert_memory_equal(end.tokens, models[WINDOW].tokens, N_KEEP * sizeof(td_token));
    td_sequence_free(s);
    /* What a shift left is a plain sequence: a fresh one with the same tokens goes on the same. */
    assert_in_range(end.n, N_KEEP + 20, N_CTX);
    assert_int_equal(td_sequence_create(&s, e, &shift, NULL), TD_OK);
    assert_int_equal(td_sequence_append(s, end.tokens, end.n - 10, NULL), TD_OK);
    generate(e, s, 10);
    const snapshot fresh = snapshot_of(s);
    assert_same(&fresh, &end);
    td_engine_free(e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goes_on),
        cmocka_unit_test(test_queued_and_empty),
        cmocka_unit_test(test_other_engines),
        cmocka_unit_test(test_every_bit_and_length),
        cmocka_unit_test(test_forged),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_shift_with_window),
    };
    return cmocka_run_group_tests(tests, write_models, remove_models);
}
