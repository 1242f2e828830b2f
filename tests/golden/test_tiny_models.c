/* test_tiny_models.c - whole models against Hugging Face transformers, and against themselves.
 *
 * Exact mode must give the logits of the fixtures in tests/golden/tiny (make_tiny.py) within
 * float32 rounding.  Native mode must stay near exact mode on the same file.  In both, the bits of
 * the logits must not depend on the number of threads, on how a prompt is cut into forward passes,
 * or on what other sequences do meanwhile.
 *
 *     test_tiny_models --write NAME DTYPE FILE     writes a tiny model as a GGUF file */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tandem.h"
#include "engine/engine.h"
#include "support/tiny_model.h"

/* Transformers' own float32 is up to 1.5e-5 from float64 on these models. */
static const float TOLERANCE = 1e-4F;
static const float ARGMAX_GAP = 1e-3F;

static const int batches[] = {1, 7, 64};
enum { N_BATCH = 3, MAX_THREAD = 3, N_CTX = 128 };

/* ---- running a model ---- */

static td_engine *open_engine(const char *path, td_mode mode, int n_thread, int n_batch,
                              int n_seq) {
    td_engine *engine = NULL;
    td_err err = {0};
    td_engine_options options = {.model_path = path,
                                 .mode = mode,
                                 .n_thread = n_thread,
                                 .n_batch = n_batch,
                                 .n_ctx = N_CTX,
                                 .n_seq = n_seq};
    if (td_engine_create(&engine, &options, &err) != TD_OK) fail_msg("%s", err.msg);
    return engine;
}

typedef struct collector {
    float *logits;
    size_t n_vocab;
    int n_row;
} collector;

static td_status collect(void *user, int i_position, const float *logits, td_err *err) {
    collector *c = user;
    (void)err;
    assert_int_equal(i_position, c->n_row);
    memcpy(c->logits + (size_t)c->n_row * c->n_vocab, logits, c->n_vocab * sizeof *logits);
    c->n_row++;
    return TD_OK;
}

/* One way of computing the logits of the fixture's first n_token tokens. */
typedef struct way {
    td_mode mode;
    int n_thread, n_batch, n_token;
} way;

/* [n_token][n_vocab]; the caller frees them. */
static float *run(const tiny_model *m, const char *path, way w) {
    td_engine *engine = open_engine(path, w.mode, w.n_thread, w.n_batch, 1);
    collector c = {.n_vocab = (size_t)m->n_vocab};
    td_err err = {0};
    c.logits = malloc((size_t)w.n_token * c.n_vocab * sizeof *c.logits);
    assert_non_null(c.logits);
    if (td_engine_eval(engine, m->tokens, w.n_token, 0, collect, &c, &err) != TD_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(c.n_row, w.n_token);
    td_engine_free(engine);
    return c.logits;
}

/* The logits of all tokens, having made sure that every number of threads and every batch give the
 * same bits.  Several threads take small batches for the first tokens only: that costs a hand-over
 * per operator and token. */
static float *run_all_ways(const tiny_model *m, const char *path, td_mode mode) {
    enum { N_SHORT = 12 };
    float *first = run(m, path, (way){mode, 1, 64, m->n_token});
    for (int n_thread = 1; n_thread <= MAX_THREAD; n_thread++)
        for (int i = 0; i < N_BATCH; i++) {
            int n_token = n_thread > 1 && batches[i] < 64 ? N_SHORT : m->n_token;
            float *logits = run(m, path, (way){mode, n_thread, batches[i], n_token});
            for (int p = 0; p < n_token; p++)
                if (memcmp(first + p * m->n_vocab, logits + p * m->n_vocab,
                           (size_t)m->n_vocab * sizeof *logits) != 0)
                    fail_msg("%s: %d threads and batches of %d change the logits of position %d",
                             m->name, n_thread, batches[i], p);
            free(logits);
        }
    return first;
}

/* A path for a temporary file; the caller removes the file. */
static void temp_path(char path[64]) {
    strcpy(path, "/tmp/td_tiny_XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
}

/* ---- comparing ---- */

static int argmax(const float *x, int n) {
    int best = 0;
    for (int i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

/* How far the largest is above the second. */
static float top_gap(const float *x, int n) {
    int best = argmax(x, n);
    float second = -INFINITY;
    for (int i = 0; i < n; i++)
        if (i != best && x[i] > second) second = x[i];
    return x[best] - second;
}

static void compare_logits(const tiny_model *m, const float *want, const float *got) {
    float worst = 0;
    for (int p = 0; p < m->n_token; p++) {
        const float *a = want + p * m->n_vocab, *b = got + p * m->n_vocab;
        for (int i = 0; i < m->n_vocab; i++) {
            float difference = fabsf(a[i] - b[i]);
            if (!(difference <= TOLERANCE))
                fail_msg("%s: position %d, token %d: %g, wanted %g", m->name, p, i, (double)b[i],
                         (double)a[i]);
            worst = fmaxf(worst, difference);
        }
        if (top_gap(a, m->n_vocab) > ARGMAX_GAP)
            assert_int_equal(argmax(a, m->n_vocab), argmax(b, m->n_vocab));
    }
    print_message("%s: max |difference| %.1e\n", m->name, (double)worst);
}

static double log_sum_exp(const float *x, int n) {
    double top = x[argmax(x, n)], sum = 0;
    for (int i = 0; i < n; i++) sum += exp(x[i] - top);
    return top + log(sum);
}

/* KL(p || q) of two rows of logits. */
static double divergence(const float *p, const float *q, int n) {
    double lse_p = log_sum_exp(p, n), lse_q = log_sum_exp(q, n), sum = 0;
    for (int i = 0; i < n; i++) {
        double log_p = p[i] - lse_p;
        sum += exp(log_p) * (log_p - (q[i] - lse_q));
    }
    return sum;
}

static double mean_divergence(const tiny_model *m, const float *p, const float *q) {
    double sum = 0;
    for (int i = 0; i < m->n_token; i++)
        sum += divergence(p + i * m->n_vocab, q + i * m->n_vocab, m->n_vocab);
    return sum / m->n_token;
}

/* ---- exact mode against transformers ---- */

static void test_exact(void **state) {
    tiny_model m;
    char path[64];
    temp_path(path);
    tiny_model_load(&m, *state);
    uint64_t fingerprint = tiny_model_write(&m, TD_DTYPE_F32, false, path);
    assert_true(fingerprint == m.fingerprint); /* else these are not the oracle's weights */
    float *logits = run_all_ways(&m, path, TD_MODE_EXACT);
    compare_logits(&m, m.logits, logits);
    free(logits);
    tiny_model_clear(&m);
    unlink(path);
}

/* ---- native mode ---- */

typedef struct native_case {
    const char *model;
    td_dtype dtype;
    double max_kl; /* mean KL(exact || native), on the same file */
} native_case;

/* Float weights differ from exact mode by the f16 KV cache alone, the others by int8 activations:
 * the limits are some four times what they measure.  (Random blocks with integer sub-scales have
 * them from one extreme to the other, so that few weights decide.) */
static native_case native_cases[] = {
    {"llama_blocks",        TD_DTYPE_F32,     1e-5},
    {"llama_blocks",        TD_DTYPE_F16,     1e-5},
    {"llama_blocks",        TD_DTYPE_BF16,    1e-5},
    {"llama_blocks",        TD_DTYPE_Q8_0,    0.02},
    {"llama_blocks",        TD_DTYPE_Q4_0,    0.02},
    {"llama_blocks",        TD_DTYPE_Q4_1,    0.02},
    {"llama_blocks",        TD_DTYPE_Q5_0,    0.02},
    {"llama_blocks",        TD_DTYPE_Q5_1,    0.02},
    {"llama_blocks",        TD_DTYPE_Q4_K,    0.02},
    {"llama_blocks",        TD_DTYPE_Q5_K,    0.02},
    {"llama_blocks",        TD_DTYPE_Q6_K,    0.02},
    {"llama_mqa_wide_head", TD_DTYPE_F16,     1e-5},
    {"qwen2_grouped",       TD_DTYPE_Q8_0,    0.02},
    {"qwen2_heads_tied",    TD_DTYPE_Q4_1,    0.02},
    {"qwen2_mqa",           TD_DTYPE_F16,     1e-5},
    {"gemma3_period6",      TD_DTYPE_Q8_0,    0.02},
    {"gemma3_period3",      TD_DTYPE_Q5_0,    0.02},
    {"gemma3_heads_linear", TD_DTYPE_BF16,    1e-5},
    {"llama_blocks",        TD_DTYPE_NVFP4,   0.02},
    {"qwen2_grouped",       TD_DTYPE_MXFP4,   0.02},
    {"gemma3_period6",      TD_DTYPE_IQ4_NL,  0.02},
    {"llama_blocks",        TD_DTYPE_Q2_K,    0.02},
    {"llama_blocks",        TD_DTYPE_Q3_K,    0.02},
    {"llama_blocks",        TD_DTYPE_IQ1_S,   0.04},
    {"llama_blocks",        TD_DTYPE_IQ1_M,   0.02},
    {"llama_blocks",        TD_DTYPE_IQ2_XXS, 0.04},
    {"llama_blocks",        TD_DTYPE_IQ2_XS,  0.04},
    {"llama_blocks",        TD_DTYPE_IQ2_S,   0.04},
    {"llama_blocks",        TD_DTYPE_IQ3_XXS, 0.04},
    {"llama_blocks",        TD_DTYPE_IQ3_S,   0.04},
    {"llama_blocks",        TD_DTYPE_IQ4_XS,  0.02},
    {"llama_blocks",        TD_DTYPE_TQ1_0,   0.02},
    {"llama_blocks",        TD_DTYPE_TQ2_0,   0.02},
};

static void test_native(void **state) {
    const native_case *c = *state;
    tiny_model m;
    char path[64], expanded[64];
    temp_path(path);
    temp_path(expanded);
    tiny_model_load(&m, c->model);
    tiny_model_write(&m, c->dtype, false, path);
    tiny_model_write(&m, c->dtype, true, expanded);

    /* Exact mode means the weights that the blocks stand for. */
    float *exact = run(&m, path, (way){TD_MODE_EXACT, 1, 64, m.n_token});
    float *floats = run(&m, expanded, (way){TD_MODE_EXACT, 1, 64, m.n_token});
    compare_logits(&m, floats, exact);

    float *native = run_all_ways(&m, path, TD_MODE_NATIVE);
    double kl = mean_divergence(&m, exact, native);
    print_message("%s as %s: mean KL %.2e\n", c->model, td_dtype_name((int)c->dtype), kl);
    assert_true(kl <= c->max_kl);
    free(exact);
    free(floats);
    free(native);
    tiny_model_clear(&m);
    unlink(path);
    unlink(expanded);
}

/* ---- several sequences, and sequences that go back ---- */

enum { N_SEQ = 3, N_GENERATE = 6 };

/* What became of one sequence. */
typedef struct session {
    td_token generated[N_GENERATE];
    int n_generated;
    float *logits; /* owned; [n_vocab], after the last token evaluated */
} session;

/* Queues tokens and asks for their evaluation. */
static void append(td_sequence *seq, const td_token *tokens, int n) {
    td_err err = {0};
    if (td_sequence_append(seq, tokens, n, &err) != TD_OK) fail_msg("%s", err.msg);
    if (td_sequence_generate(seq, 0, &err) != TD_OK) fail_msg("%s", err.msg);
}

static void generate(td_sequence *seq, int n_max) {
    td_err err = {0};
    if (td_sequence_generate(seq, n_max, &err) != TD_OK) fail_msg("%s", err.msg);
}

static void truncate_to(td_sequence *seq, int n_token) {
    td_err err = {0};
    if (td_sequence_truncate(seq, n_token, &err) != TD_OK) fail_msg("%s", err.msg);
}

static void step(const tiny_model *m, td_engine *engine, td_sequence **seqs, session *sessions,
                 int n_seq) {
    td_event events[N_SEQ];
    td_err err = {0};
    int n_event = 0;
    if (td_engine_step(engine, events, N_SEQ, &n_event, &err) != TD_OK) fail_msg("%s", err.msg);
    for (int s = 0; s < n_seq; s++) {
        const float *logits = td_sequence_logits(seqs[s]);
        if (logits != NULL) memcpy(sessions[s].logits, logits, (size_t)m->n_vocab * sizeof *logits);
        for (int i = 0; i < n_event; i++)
            if (events[i].seq == seqs[s] && events[i].token >= 0) {
                assert_true(sessions[s].n_generated < N_GENERATE);
                sessions[s].generated[sessions[s].n_generated++] = events[i].token;
            }
    }
}

/* Steps until no sequence is active. */
static void step_all(const tiny_model *m, td_engine *engine, td_sequence **seqs, session *sessions,
                     int n_seq) {
    for (;;) {
        int n_active = 0;
        for (int s = 0; s < n_seq; s++) n_active += td_sequence_is_active(seqs[s]);
        if (n_active == 0) return;
        step(m, engine, seqs, sessions, n_seq);
    }
}

static void open_sessions(const tiny_model *m, session *sessions) {
    for (int s = 0; s < N_SEQ; s++) {
        sessions[s] = (session){.logits = calloc((size_t)m->n_vocab, sizeof(float))};
        assert_non_null(sessions[s].logits);
    }
}

static void free_sessions(session *sessions) {
    for (int s = 0; s < N_SEQ; s++) free(sessions[s].logits);
}

static td_sequence *open_sequence(td_engine *engine) {
    td_sequence *seq = NULL;
    td_err err = {0};
    td_sequence_options options = {.ignore_end = true};
    if (td_sequence_create(&seq, engine, &options, &err) != TD_OK) fail_msg("%s", err.msg);
    return seq;
}

/* Sequence s reads tokens[first .. first + n). */
static const struct {
    int first, n;
} prompts[N_SEQ] = {
    {0,  40},
    {7,  33},
    {20, 19}
};

/* Runs each sequence in an engine of its own: first the prompt, whose last logits go to
 * prompt_sessions, then some tokens more. */
static void run_alone(const tiny_model *m, const char *path, td_mode mode, session *prompt_sessions,
                      session *sessions) {
    for (int s = 0; s < N_SEQ; s++) {
        td_engine *engine = open_engine(path, mode, 1, 64, 1);
        td_sequence *seq = open_sequence(engine);
        append(seq, m->tokens + prompts[s].first, prompts[s].n);
        step_all(m, engine, &seq, &prompt_sessions[s], 1);
        generate(seq, N_GENERATE);
        step_all(m, engine, &seq, &sessions[s], 1);
        td_engine_free(engine);
    }
}

/* The same three at once, their prompts dealt out in uneven pieces.  The last sequence first reads
 * tokens that it then gives up again, once all of them and once a part. */
static void run_interleaved(const tiny_model *m, const char *path, td_mode mode, int n_batch,
                            session *prompt_sessions, session *sessions) {
    static const int pieces[N_SEQ][3] = {
        {11, 1,  28},
        {1,  31, 1 },
        {3,  2,  14}
    };
    td_engine *engine = open_engine(path, mode, 2, n_batch, N_SEQ);
    td_sequence *seqs[N_SEQ];
    int n_done[N_SEQ] = {0};
    for (int s = 0; s < N_SEQ; s++) seqs[s] = open_sequence(engine);

    append(seqs[2], m->tokens, 50);
    step_all(m, engine, seqs, prompt_sessions, N_SEQ);
    truncate_to(seqs[2], 0);
    append(seqs[2], m->tokens + prompts[2].first, prompts[2].n);
    step_all(m, engine, seqs, prompt_sessions, N_SEQ);
    append(seqs[2], m->tokens, 15);
    step_all(m, engine, seqs, prompt_sessions, N_SEQ);
    truncate_to(seqs[2], pieces[2][0]);
    n_done[2] = pieces[2][0];

    for (int piece = 0; piece < 3; piece++) {
        for (int s = 0; s < N_SEQ; s++) {
            if (s == 2 && piece == 0) continue;
            append(seqs[s], m->tokens + prompts[s].first + n_done[s], pieces[s][piece]);
            n_done[s] += pieces[s][piece];
            /* The next sequence's piece arrives when this one is under way. */
            step(m, engine, seqs, prompt_sessions, N_SEQ);
        }
        step_all(m, engine, seqs, prompt_sessions, N_SEQ);
    }
    for (int s = 0; s < N_SEQ; s++) assert_int_equal(n_done[s], prompts[s].n);
    for (int s = 0; s < N_SEQ; s++) generate(seqs[s], N_GENERATE);
    step_all(m, engine, seqs, sessions, N_SEQ);
    td_engine_free(engine);
}

static void compare_sessions(const tiny_model *m, const session *alone, const session *together) {
    for (int s = 0; s < N_SEQ; s++) {
        assert_memory_equal(alone[s].logits, together[s].logits,
                            (size_t)m->n_vocab * sizeof(float));
        assert_int_equal(alone[s].n_generated, together[s].n_generated);
        assert_memory_equal(alone[s].generated, together[s].generated, sizeof alone[s].generated);
    }
}

/* The greedy token after a prompt is the oracle's argmax there. */
static void check_first_token(const tiny_model *m, const session *sessions) {
    const float *want = m->logits + (prompts[0].n - 1) * m->n_vocab;
    if (top_gap(want, m->n_vocab) > ARGMAX_GAP)
        assert_int_equal(sessions[0].generated[0], argmax(want, m->n_vocab));
}

static void test_sequences(void **state) {
    static const struct {
        td_mode mode;
        td_dtype dtype;
    } ways[] = {
        {TD_MODE_EXACT,  TD_DTYPE_F32 },
        {TD_MODE_NATIVE, TD_DTYPE_Q8_0}
    };
    tiny_model m;
    char path[64];
    tiny_model_load(&m, *state);
    for (int w = 0; w < 2; w++) {
        session alone[2][N_SEQ], together[2][N_SEQ]; /* after the prompt, at the end */
        for (int i = 0; i < 2; i++) open_sessions(&m, alone[i]);
        temp_path(path);
        tiny_model_write(&m, ways[w].dtype, false, path);
        run_alone(&m, path, ways[w].mode, alone[0], alone[1]);
        for (int s = 0; s < N_SEQ; s++) assert_int_equal(alone[1][s].n_generated, N_GENERATE);
        if (ways[w].mode == TD_MODE_EXACT) check_first_token(&m, alone[1]);
        for (int b = 0; b < N_BATCH; b++) {
            for (int i = 0; i < 2; i++) open_sessions(&m, together[i]);
            run_interleaved(&m, path, ways[w].mode, batches[b], together[0], together[1]);
            for (int i = 0; i < 2; i++) {
                compare_sessions(&m, alone[i], together[i]);
                free_sessions(together[i]);
            }
        }
        for (int i = 0; i < 2; i++) free_sessions(alone[i]);
        unlink(path);
    }
    tiny_model_clear(&m);
}

/* ---- the program ---- */

static const char *const exact_models[] = {
    "llama_grouped",     "llama_heads_tied", "llama_mqa_wide_head", "llama_rope_llama3",
    "llama_rope_linear", "llama_blocks",     "qwen2_grouped",       "qwen2_heads_tied",
    "qwen2_mqa",         "gemma3_period6",   "gemma3_period3",      "gemma3_heads_linear",
};

static const char *const sequence_models[] = {"llama_grouped", "qwen2_grouped", "gemma3_period6"};

#define COUNT(a) (sizeof(a) / sizeof *(a))
enum { MAX_TESTS = 64 };

static int write_model(const char *name, const char *dtype_name, const char *path) {
    tiny_model m;
    int dtype = td_dtype_from_name(dtype_name);
    if (dtype < 0) {
        fprintf(stderr, "unknown type '%s'\n", dtype_name);
        return 2;
    }
    tiny_model_load(&m, name);
    tiny_model_write(&m, (td_dtype)dtype, false, path);
    tiny_model_clear(&m);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 5 && strcmp(argv[1], "--write") == 0) return write_model(argv[2], argv[3], argv[4]);
    static char names[MAX_TESTS][96];
    struct CMUnitTest tests[MAX_TESTS] = {0};
    size_t n = 0;
    for (size_t i = 0; i < COUNT(exact_models); i++, n++) {
        snprintf(names[n], sizeof names[n], "exact_%s", exact_models[i]);
        tests[n] = (struct CMUnitTest){
            .name = names[n], .test_func = test_exact, .initial_state = (void *)exact_models[i]};
    }
    for (size_t i = 0; i < COUNT(native_cases); i++, n++) {
        snprintf(names[n], sizeof names[n], "native_%s_%s", native_cases[i].model,
                 td_dtype_name((int)native_cases[i].dtype));
        tests[n] = (struct CMUnitTest){
            .name = names[n], .test_func = test_native, .initial_state = &native_cases[i]};
    }
    for (size_t i = 0; i < COUNT(sequence_models); i++, n++) {
        snprintf(names[n], sizeof names[n], "sequences_%s", sequence_models[i]);
        tests[n] = (struct CMUnitTest){.name = names[n],
                                       .test_func = test_sequences,
                                       .initial_state = (void *)sequence_models[i]};
    }
    return _cmocka_run_group_tests("tiny_models", tests, n, NULL, NULL);
}
