/* schedule.c - which tokens of which sequences go into the next forward pass.
 *
 * Sequences that need one token come first, one row each; what room is left goes to prompts.  Each
 * step begins with another sequence, so that none waits for ever when the batch is small. */
#include "base/clock.h"
#include "engine/engine_int.h"

/* Adds up to `most` queued tokens of s; returns the new batch size. */
static int add_tokens(td_engine *e, td_sequence *s, int n, int most) {
    int count = s->n_token - s->n_eval;
    if (count > most) count = most;
    for (int i = 0; i < count; i++) {
        e->batch_token[n + i] = s->tokens[s->n_eval + i];
        e->batch_position[n + i] = s->n_eval + i;
        e->batch_sequence[n + i] = s->slot;
        e->batch_length[n + i] = s->n_token;
        e->batch_is_prompt[n + i] = s->is_prompt[s->n_eval + i];
    }
    td_kv_cache_reserve(e->kv, s->slot, s->n_eval, s->n_eval + count);
    return n + count;
}

/* A sequence that grows past the model's rope switch, or shrinks below it, has other keys from its
 * first token on: all of it is evaluated again. */
static void notice_length(td_engine *e, td_sequence *s) {
    if (!s || !s->armed) return;
    const int at = td_model_rope_switch(e->model);
    const bool is_long = at > 0 && s->n_token > at;
    if (is_long != s->is_long) s->n_eval = td_kv_cache_truncate(e->kv, s->slot, 0);
    s->is_long = is_long;
}

/* After a step that broke off, states of linear attention are past what has been evaluated. */
static void forget_step(td_engine *e) {
    for (int i = 0; i < e->n_seq; i++) {
        td_sequence *s = e->slots[i];
        if (s) s->n_eval = td_kv_cache_truncate(e->kv, i, s->n_eval);
    }
}

static int queued(const td_sequence *s) { return s && s->armed ? s->n_token - s->n_eval : 0; }

/* Fills the batch arrays; returns the number of tokens. */
static int fill_batch(td_engine *e, bool *is_prefill) {
    int n_single = 0;
    for (int i = 0; i < e->n_seq; i++) notice_length(e, e->slots[i]);
    for (int i = 0; i < e->n_seq; i++) n_single += queued(e->slots[i]) == 1;
    const int first = e->next_slot;
    e->next_slot = (first + 1) % e->n_seq;

    /* A prompt whose turn it is gets a row even when the others could fill the batch. */
    int n = 0;
    td_sequence *turn = e->slots[first];
    if (queued(turn) > 1)
        n = add_tokens(e, turn, 0, n_single < e->n_batch ? e->n_batch - n_single : 1);
    *is_prefill = n > 0;
    for (int i = 0; i < e->n_seq && n < e->n_batch; i++) {
        td_sequence *s = e->slots[(first + i) % e->n_seq];
        if (queued(s) == 1) n = add_tokens(e, s, n, 1);
    }
    for (int i = 0; i < e->n_seq && n < e->n_batch; i++) {
        td_sequence *s = e->slots[(first + i) % e->n_seq];
        if (s == turn || queued(s) <= 1) continue;
        n = add_tokens(e, s, n, e->n_batch - n);
        *is_prefill = true;
    }
    return n;
}

/* Moves n_eval of the batch's sequences on; rows[] of those with nothing left queued, in slot order
 * of the batch. */
static int collect_outputs(td_engine *e, int n, int *rows) {
    int n_row = 0;
    for (int i = 0; i < n; i++) {
        td_sequence *s = e->slots[e->batch_sequence[i]];
        s->n_eval = e->batch_position[i] + 1;
        if (s->n_eval != s->n_token) continue;
        TD_ASSERT(n_row < e->n_out_max);
        s->i_logits = n_row;
        rows[n_row++] = i;
    }
    return n_row;
}

static void count_step(td_engine *e, int n, bool is_prefill, double seconds) {
    if (is_prefill) {
        e->stats.n_prefill += (uint64_t)n;
        e->stats.prefill_seconds += seconds;
    } else {
        e->stats.n_decode += (uint64_t)n;
        e->stats.decode_seconds += seconds;
    }
}

td_status td_engine_step(td_engine *e, td_event *events, int max_event, int *n_event, td_err *err) {
    *n_event = 0;
    if (max_event < e->n_seq)
        return td_fail(err, TD_ERR_ARGUMENT,
                       "room for %d events, wanted one for each of %d sequences", max_event,
                       e->n_seq);
    const double t0 = td_clock_seconds();
    for (int i = 0; i < e->n_seq; i++)
        if (e->slots[i]) e->slots[i]->i_logits = -1;
    bool is_prefill;
    const int n = fill_batch(e, &is_prefill);
    if (n == 0) return TD_OK;
    const td_status forward = td_engine_forward(e, n, err);
    if (forward != TD_OK) {
        forget_step(e);
        return forward;
    }
    const int n_row = collect_outputs(e, n, e->out_rows);
    if (n_row > 0) td_engine_logits(e, e->out_rows, n_row);
    td_status status = TD_OK;
    for (int i = 0; i < e->n_seq; i++) {
        td_sequence *s = e->slots[i];
        if (!s || s->i_logits < 0) continue;
        bool has_event;
        /* One that fails ends; the others go on.  The first error is the one that is told. */
        const td_status advanced =
            td_sequence_advance(s, &events[*n_event], &has_event, status == TD_OK ? err : NULL);
        if (advanced != TD_OK) {
            s->armed = false;
            if (status == TD_OK) status = advanced;
        } else if (has_event) {
            (*n_event)++;
        }
    }
    count_step(e, n, is_prefill, td_clock_seconds() - t0);
    return status;
}
