/* forward.c - one forward pass, and the evaluation of a token list outside any conversation. */
#include <string.h>

#include "engine/engine_int.h"

td_status td_engine_forward(td_engine *e, int n, td_err *err) {
    const td_batch batch = {.n = n,
                            .token = e->batch_token,
                            .position = e->batch_position,
                            .sequence = e->batch_sequence,
                            .length = e->batch_length,
                            .is_prompt = e->batch_is_prompt};
    e->step.batch = &batch;
    const td_status status = td_model_forward(e->model, &e->step, &e->ws, err);
    e->step.batch = NULL;
    e->dump.i_step++;
    e->dump.i_result = 0;
    if (status == TD_ERR_CANCELLED) atomic_store_explicit(&e->cancel, 0, memory_order_relaxed);
    if (status == TD_OK && e->dump.failed != TD_OK)
        return td_fail(err, e->dump.failed, "dump: %s", e->dump.err.msg);
    return status;
}

void td_engine_logits(td_engine *e, const int *rows, int n) {
    const size_t n_embd = (size_t)e->model->config.n_embd;
    for (int i = 0; i < n; i++)
        memcpy(e->out_h + (size_t)i * n_embd, e->ws.h + (size_t)rows[i] * n_embd,
               n_embd * sizeof(float));
    td_model_logits(e->model, &e->step, e->out_h, n, e->logits);
}

/* Hands out the logits of batch rows whose positions are [from, to); row 0 of the batch is at
 * position `base`. */
static td_status emit_logits(td_engine *e, int base, int from, int to, td_logits_fn *fn, void *user,
                             td_err *err) {
    const size_t n_vocab = (size_t)e->model->config.n_vocab;
    int rows[64];
    const int most = e->n_out_max < 64 ? e->n_out_max : 64;
    for (int at = from; at < to; at += most) {
        const int n = to - at < most ? to - at : most;
        for (int i = 0; i < n; i++) rows[i] = at + i - base;
        td_engine_logits(e, rows, n);
        for (int i = 0; i < n; i++) TD_TRY(fn(user, at + i, e->logits + (size_t)i * n_vocab, err));
    }
    return TD_OK;
}

static td_status eval_in_slot(td_engine *e, int slot, const td_token *tokens, int n_token,
                              int i_first, td_logits_fn *fn, void *user, td_err *err) {
    for (int base = 0; base < n_token; base += e->n_batch) {
        const int n = n_token - base < e->n_batch ? n_token - base : e->n_batch;
        for (int i = 0; i < n; i++) {
            e->batch_token[i] = tokens[base + i];
            e->batch_position[i] = base + i;
            e->batch_sequence[i] = slot;
            e->batch_length[i] = n_token;
            e->batch_is_prompt[i] = 1;
        }
        td_kv_cache_reserve(e->kv, slot, base, base + n);
        TD_TRY(td_engine_forward(e, n, err));
        TD_TRY(emit_logits(e, base, i_first > base ? i_first : base, base + n, fn, user, err));
    }
    return TD_OK;
}

td_status td_engine_eval(td_engine *e, const td_token *tokens, int n_token, int i_first,
                         td_logits_fn *fn, void *user, td_err *err) {
    int slot = 0;
    while (slot < e->n_seq && e->slots[slot]) slot++;
    if (slot == e->n_seq)
        return td_fail(err, TD_ERR_LIMIT, "all %d sequences are in use", e->n_seq);
    if (n_token > e->n_ctx)
        return td_fail(err, TD_ERR_LIMIT, "%d tokens do not fit into the context of %d", n_token,
                       e->n_ctx);
    for (int i = 0; i < n_token; i++)
        if (tokens[i] < 0 || tokens[i] >= e->model->config.n_vocab)
            return td_fail(err, TD_ERR_ARGUMENT, "token %d at position %d, wanted 0 to %d",
                           tokens[i], i, e->model->config.n_vocab - 1);
    const td_status status = eval_in_slot(e, slot, tokens, n_token, i_first, fn, user, err);
    td_kv_cache_truncate(e->kv, slot, 0);
    return status;
}
