/* jinja_loop.c - for loops and the variable "loop".
 *
 * Items are drawn one by one, and the condition of the loop is asked as late as Jinja asks it: just
 * before an iteration, or when loop.last, loop.nextitem or loop.length look ahead. */
#include <string.h>

#include "text/jinja_int.h"

/* Whether the loop's condition lets the item pass: 1, 0, or -1 if it failed. */
static int passes(td_jeval *ev, td_jloop *loop, const td_value *item) {
    if (!loop->test_scope) return 1;
    td_jscope *around = ev->scope;
    ev->scope = loop->test_scope;
    loop->test_scope->n = 0;
    const td_value *v = NULL;
    if (td_jinja_assign(ev, loop->node->a, item)) v = td_jinja_eval(ev, loop->node->c);
    ev->scope = around;
    return v ? td_jinja_truth(v) : -1;
}

/* The next item into *item, NULL at the end; false if that failed. */
static bool draw(td_jeval *ev, td_jloop *loop, const td_value **item) {
    *item = NULL;
    if (loop->ahead) {
        if (loop->i_ahead < loop->ahead->u.list.n)
            *item = loop->ahead->u.list.items[loop->i_ahead++];
        return true;
    }
    while (loop->i_next < loop->n) {
        if (!td_jinja_charge(ev, 1)) return false;
        const td_value *v = td_jinja_nth(ev, loop->sequence, loop->i_next++);
        const int pass = v ? passes(ev, loop, v) : -1;
        if (pass < 0) return false;
        if (pass) {
            *item = v;
            return true;
        }
    }
    return true;
}

static bool peek(td_jeval *ev, td_jloop *loop) {
    return loop->after || draw(ev, loop, &loop->after);
}

static bool advance(td_jeval *ev, td_jloop *loop, const td_value **item) {
    if (loop->after) {
        *item = loop->after;
        loop->after = NULL;
    } else if (!draw(ev, loop, item)) {
        return false;
    }
    if (!*item) return true;
    loop->index0++;
    loop->before = loop->current;
    loop->current = *item;
    return true;
}

/* loop.length of a loop with a condition: all that is left must be drawn. */
static bool measure(td_jeval *ev, td_jloop *loop) {
    if (loop->length >= 0) return true;
    td_value *ahead = td_jinja_list(ev, TD_KIND_PLAIN, 0);
    for (const td_value *item;;) {
        if (!ahead || !draw(ev, loop, &item)) return false;
        if (!item) break;
        if (!td_jinja_push(ev, ahead, item)) return false;
    }
    loop->ahead = ahead;
    loop->length = loop->index0 + 1 + (loop->after != NULL) + (int64_t)ahead->u.list.n;
    return true;
}

/* ---- running ---- */

static td_jflow run_iterations(td_jeval *ev, td_jloop *loop, const td_value *variable,
                               bool *completed) {
    td_jscope *scope = ev->scope;
    for (const td_value *item;;) {
        scope->n = 0; /* what an iteration sets is gone in the next */
        if (!advance(ev, loop, &item)) return TD_JFLOW_FAIL;
        if (!item) return TD_JFLOW_NEXT;
        if (!td_jinja_assign(ev, loop->node->a, item) ||
            !td_jinja_set_var(ev, scope, ev->t->loop, variable))
            return TD_JFLOW_FAIL;
        const td_jflow flow = td_jinja_exec(ev, &loop->node->list);
        if (flow == TD_JFLOW_FAIL || flow == TD_JFLOW_BREAK) return flow;
        if (flow == TD_JFLOW_NEXT) *completed = true;
    }
}

bool td_jinja_run_loop(td_jeval *ev, const td_jnode *node, td_jscope *outer,
                       const td_value *sequence, int64_t depth0) {
    td_jscope *around = ev->scope;
    td_jloop *loop = td_jinja_alloc(ev, sizeof *loop);
    if (!loop) return false;
    *loop = (td_jloop){.node = node, .outer = outer, .index0 = -1, .depth0 = depth0};
    loop->sequence = td_jinja_iterate(ev, sequence);
    if (!loop->sequence) return false;
    loop->n = td_value_count(loop->sequence);
    loop->length = node->c ? -1 : (int64_t)loop->n;
    if (node->c) loop->test_scope = td_jinja_scope(ev, outer);
    const td_value *variable = td_jinja_callable(ev, TD_KIND_LOOP, loop, NULL);
    td_jscope *scope = td_jinja_scope(ev, outer);
    if (!variable || !scope || (node->c && !loop->test_scope)) return false;
    ev->scope = scope;
    bool completed = false;
    td_jflow flow = run_iterations(ev, loop, variable, &completed);
    if (!completed && flow != TD_JFLOW_FAIL) { /* also when every iteration was cut short */
        ev->scope = td_jinja_scope(ev, outer);
        flow = ev->scope ? td_jinja_exec(ev, &node->more) : TD_JFLOW_FAIL;
    }
    ev->scope = around;
    return flow != TD_JFLOW_FAIL;
}

const td_value *td_jinja_call_loop(td_jeval *ev, td_jloop *loop, const td_jcall *call) {
    const size_t mark = ev->out.n;
    if (!loop->node->op)
        return td_jinja_fail(ev, TD_ERR_ARGUMENT, "only a 'recursive' for loop can be called");
    if (call->n_pos != 1 || call->kw)
        return td_jinja_fail(ev, TD_ERR_ARGUMENT, "loop() takes one argument");
    if (ev->n_call >= ev->max_call)
        return td_jinja_fail(ev, TD_ERR_LIMIT, "calls nested deeper than %zu", ev->max_call);
    ev->n_call++;
    const bool ok = td_jinja_run_loop(ev, loop->node, loop->outer, call->pos[0], loop->depth0 + 1);
    ev->n_call--;
    return ok ? td_jinja_take(ev, mark) : NULL;
}

/* ---- loop.x ---- */

static const td_value *loop_cycle(td_jeval *ev, const td_value *self, const td_jcall *call) {
    const td_jloop *loop = self->u.call.data;
    if (call->n_pos == 0 || call->kw)
        return td_jinja_fail(ev, TD_ERR_ARGUMENT, "loop.cycle() wants items");
    return call->pos[(uint64_t)loop->index0 % call->n_pos];
}

static const td_value *loop_changed(td_jeval *ev, const td_value *self, const td_jcall *call) {
    td_jloop *loop = (td_jloop *)self->u.call.data;
    td_value *now = td_jinja_list(ev, TD_KIND_TUPLE, call->n_pos);
    for (size_t i = 0; i < call->n_pos; i++)
        if (!td_jinja_push(ev, now, call->pos[i])) return NULL;
    if (!now) return NULL;
    const int same = loop->changed ? td_jinja_equal(ev, loop->changed, now) : 0;
    if (same < 0) return NULL;
    loop->changed = now;
    return td_value_from_bool(!same);
}

static const td_jfunction methods[] = {
    {"cycle",   loop_cycle,   -1, {NULL}},
    {"changed", loop_changed, -1, {NULL}},
    {NULL,      NULL,         0,  {NULL}}
};

static const td_value *neighbour(td_jeval *ev, td_jloop *loop, bool is_next) {
    if (is_next && !peek(ev, loop)) return NULL;
    const td_value *v = is_next ? loop->after : loop->before;
    if (v) return v;
    return td_jinja_undefined_hint(ev,
                                   is_next ? "there is no next item" : "there is no previous item");
}

const td_value *td_jinja_loop_attr(td_jeval *ev, const td_value *v, const char *name, size_t n) {
    enum {
        INDEX,
        INDEX0,
        REVINDEX,
        REVINDEX0,
        FIRST,
        LAST,
        LENGTH,
        DEPTH,
        DEPTH0,
        PREV,
        NEXT,
        END
    };
    static const char *const names[] = {"index",  "index0",   "revindex", "revindex0",
                                        "first",  "last",     "length",   "depth",
                                        "depth0", "previtem", "nextitem"};
    td_jloop *loop = (td_jloop *)v->u.call.data;
    int which = 0;
    while (which < END && (strlen(names[which]) != n || memcmp(names[which], name, n) != 0))
        which++;
    switch (which) {
    case INDEX: return td_jinja_int(ev, loop->index0 + 1);
    case INDEX0: return td_jinja_int(ev, loop->index0);
    case FIRST: return td_value_from_bool(loop->index0 == 0);
    case DEPTH: return td_jinja_int(ev, loop->depth0 + 1);
    case DEPTH0: return td_jinja_int(ev, loop->depth0);
    case PREV:
    case NEXT: return neighbour(ev, loop, which == NEXT);
    case LAST: return peek(ev, loop) ? td_value_from_bool(!loop->after) : NULL;
    case LENGTH: return measure(ev, loop) ? td_jinja_int(ev, loop->length) : NULL;
    case REVINDEX: return measure(ev, loop) ? td_jinja_int(ev, loop->length - loop->index0) : NULL;
    case REVINDEX0:
        return measure(ev, loop) ? td_jinja_int(ev, loop->length - loop->index0 - 1) : NULL;
    default: break;
    }
    const td_jfunction *method = td_jinja_table_find(methods, name, n);
    return method ? td_jinja_callable(ev, TD_KIND_METHOD, method, v) : NULL;
}
