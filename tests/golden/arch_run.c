/* arch_run.c - see arch_run.h. */
#include "golden/arch_run.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static const td_engine_options exact = {.mode = TD_MODE_EXACT, .n_thread = 1, .n_batch = 64};

static td_status open_with(td_engine **engine, const arch_model *m, const char *path,
                           td_engine_options options, td_err *err) {
    options.model_path = path;
    options.n_ctx = m->n_ctx;
    options.n_seq = 1;
    return td_engine_create(engine, &options, err);
}

td_status arch_open_engine(td_engine **engine, const arch_model *m, const char *path, td_err *err) {
    return open_with(engine, m, path, exact, err);
}

typedef struct collector {
    float *logits; /* [n_position][n_vocab] */
    const arch_model *m;
    int n_row;
} collector;

static td_status collect(void *user, int i_position, const float *logits, td_err *err) {
    collector *c = user;
    size_t n = (size_t)c->m->n_vocab;
    (void)err;
    if (c->n_row < c->m->n_position && c->m->positions[c->n_row] == i_position)
        memcpy(c->logits + (size_t)c->n_row++ * n, logits, n * sizeof *logits);
    return TD_OK;
}

float *arch_run_with(const arch_model *m, const char *path, td_engine_options options) {
    td_engine *engine = NULL;
    td_err err = {0};
    collector c = {.m = m};
    if (open_with(&engine, m, path, options, &err) != TD_OK) fail_msg("%s: %s", m->name, err.msg);
    c.logits = calloc((size_t)m->n_position * (size_t)m->n_vocab, sizeof *c.logits);
    assert_non_null(c.logits);
    if (td_engine_eval(engine, m->tokens, m->n_token, 0, collect, &c, &err) != TD_OK)
        fail_msg("%s: %s", m->name, err.msg);
    assert_int_equal(c.n_row, m->n_position);
    td_engine_free(engine);
    return c.logits;
}

float *arch_run(const arch_model *m, const char *path) { return arch_run_with(m, path, exact); }
