/* jinja_globals.c - functions that every template can call. */
#include <string.h>
#include <time.h>

#include "text/jinja_int.h"

enum { MAX_RANGE = 100000, MAX_DATE = 65536 };

static const td_value *g_range(td_jeval *ev, const td_value *self, const td_jcall *call) {
    int64_t at[3] = {0, 0, 1};
    int n = 0;
    (void)self;
    while (n < 3 && call->param[n]) {
        if (!td_jinja_param_int(ev, call, n, &at[n])) return NULL;
        n++;
    }
    if (n == 1) {
        at[1] = at[0];
        at[0] = 0;
    }
    if (at[2] == 0) return td_jinja_fail(ev, TD_ERR_ARGUMENT, "the step of a range is zero");
    const bool is_up = at[2] > 0;
    uint64_t count = 0;
    if (is_up ? at[1] > at[0] : at[1] < at[0]) {
        const uint64_t span =
            is_up ? (uint64_t)at[1] - (uint64_t)at[0] : (uint64_t)at[0] - (uint64_t)at[1];
        const uint64_t step = is_up ? (uint64_t)at[2] : 0 - (uint64_t)at[2];
        count = (span - 1) / step + 1;
    }
    if (count > MAX_RANGE)
        return td_jinja_fail(ev, TD_ERR_LIMIT, "a range of more than %d numbers", MAX_RANGE);
    td_value *range = td_jinja_list(ev, TD_KIND_RANGE, 0);
    if (!range) return NULL;
    range->u.range.start = at[0];
    range->u.range.stop = at[1];
    range->u.range.step = at[2];
    range->u.range.n = (size_t)count;
    return range;
}

/* dict(mapping or pairs, key=item, ...) */
static bool fill_map(td_jeval *ev, td_value *map, const td_jcall *call) {
    if (call->n_pos > 1) {
        td_jinja_fail(ev, TD_ERR_ARGUMENT, "a mapping is made from at most one argument, not %zu",
                      call->n_pos);
        return false;
    }
    const td_value *from = call->n_pos ? call->pos[0] : NULL;
    if (from && from->type == TD_VALUE_UNDEFINED) {
        td_jinja_fail_undefined(ev, from);
        return false;
    }
    if (from && from->type == TD_VALUE_MAP && from->kind != TD_KIND_NAMESPACE) {
        for (size_t i = 0; i < from->u.map.n; i++)
            if (!td_jinja_put(ev, map, from->u.map.entries[i].key, from->u.map.entries[i].item))
                return false;
    } else if (from) {
        const td_value *pairs = td_jinja_iterate(ev, from);
        for (size_t i = 0; pairs && i < td_value_count(pairs); i++) {
            const td_value *pair = td_jinja_nth(ev, pairs, i);
            pair = pair ? td_jinja_iterate(ev, pair) : NULL;
            if (!pair) return false;
            if (td_value_count(pair) != 2) {
                td_jinja_fail(ev, TD_ERR_ARGUMENT, "a mapping is made from pairs");
                return false;
            }
            if (!td_jinja_put(ev, map, td_jinja_nth(ev, pair, 0), td_jinja_nth(ev, pair, 1)))
                return false;
        }
        if (!pairs) return false;
    }
    for (size_t i = 0; call->kw && i < call->kw->u.map.n; i++)
        if (!td_jinja_put(ev, map, call->kw->u.map.entries[i].key, call->kw->u.map.entries[i].item))
            return false;
    return true;
}

static const td_value *g_dict(td_jeval *ev, const td_value *self, const td_jcall *call) {
    (void)self;
    td_value *map = td_jinja_map(ev);
    return map && fill_map(ev, map, call) ? map : NULL;
}

static const td_value *g_namespace(td_jeval *ev, const td_value *self, const td_jcall *call) {
    (void)self;
    td_value *map = td_jinja_map(ev);
    if (!map || !fill_map(ev, map, call)) return NULL;
    for (size_t i = 0; i < map->u.map.n; i++) {
        const td_value *key = map->u.map.entries[i].key;
        if (key->type == TD_VALUE_STRING && key->u.string.text[0] == '_')
            return td_jinja_fail(ev, TD_ERR_ARGUMENT, "'%.100s' begins with an underscore",
                                 key->u.string.text);
    }
    map->kind = TD_KIND_NAMESPACE;
    return map;
}

static const td_value *g_cycler(td_jeval *ev, const td_value *self, const td_jcall *call) {
    (void)self;
    if (call->n_pos == 0 || call->kw)
        return td_jinja_fail(ev, TD_ERR_ARGUMENT, "cycler() wants items");
    td_value *items = td_jinja_list(ev, TD_KIND_TUPLE, call->n_pos);
    for (size_t i = 0; i < call->n_pos; i++)
        if (!td_jinja_push(ev, items, call->pos[i])) return NULL;
    td_jcycler *cycler = td_jinja_alloc(ev, sizeof *cycler);
    if (!cycler) return NULL;
    cycler->items = items;
    return td_jinja_callable(ev, TD_KIND_CYCLER, cycler, NULL);
}

static const td_value *g_joiner(td_jeval *ev, const td_value *self, const td_jcall *call) {
    (void)self;
    td_jcycler *joiner = td_jinja_alloc(ev, sizeof *joiner);
    if (!joiner) return NULL;
    joiner->items = call->param[0] ? call->param[0] : td_jinja_string(ev, ", ", 2);
    return joiner->items ? td_jinja_callable(ev, TD_KIND_JOINER, joiner, NULL) : NULL;
}

static const td_value *g_raise(td_jeval *ev, const td_value *self, const td_jcall *call) {
    (void)self;
    const td_value *text = td_jinja_to_string(ev, call->param[0]);
    return text ? td_jinja_fail(ev, TD_ERR_ARGUMENT, "%s", text->u.string.text) : NULL;
}

/* Python's own directives, which strftime lacks or would fill in: %f is microseconds, and a local
 * time without a zone prints nothing for %z and %Z. */
static bool add_date_format(td_jeval *ev, const td_value *format, long nanoseconds) {
    const char *s = format->u.string.text;
    for (size_t i = 0; i < format->u.string.n; i++) {
        const char next = s[i] == '%' ? s[i + 1] : 0;
        if (next == 'f')
            td_strbuf_addf(&ev->out, "%06ld", nanoseconds / 1000);
        else if (next == '%')
            td_strbuf_adds(&ev->out, "%%");
        else if (next != 'z' && next != 'Z') {
            td_strbuf_addc(&ev->out, s[i]);
            continue;
        }
        i++;
    }
    return ev->out.failed == TD_OK;
}

static const td_value *g_strftime_now(td_jeval *ev, const td_value *self, const td_jcall *call) {
    const char *text;
    size_t n;
    struct timespec now;
    struct tm local;
    (void)self;
    if (!td_jinja_param_text(ev, call, 0, &text, &n)) return NULL;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0 || !localtime_r(&now.tv_sec, &local))
        return td_jinja_fail(ev, TD_ERR_IO, "the time of day is not known");
    const size_t mark = ev->out.n;
    add_date_format(ev, call->param[0], now.tv_nsec);
    td_strbuf_addc(&ev->out, '.'); /* so that a result of no bytes differs from a failure */
    const td_value *format = td_jinja_take(ev, mark);
    for (size_t size = 256; format && size <= MAX_DATE; size *= 8) {
        char *date = td_jinja_alloc(ev, size);
        if (!date) return NULL;
        const size_t n_date = strftime(date, size, format->u.string.text, &local);
        if (n_date > 0) return td_jinja_string(ev, date, n_date - 1);
    }
    return format ? td_jinja_fail(ev, TD_ERR_LIMIT, "a date of more than %d bytes", MAX_DATE)
                  : NULL;
}

static const td_jfunction globals[] = {
    {"range",           g_range,        1,  {"start", "stop", "step"}},
    {"namespace",       g_namespace,    -1, {NULL}                   },
    {"dict",            g_dict,         -1, {NULL}                   },
    {"cycler",          g_cycler,       -1, {NULL}                   },
    {"joiner",          g_joiner,       0,  {"sep"}                  },
    {"raise_exception", g_raise,        1,  {"message"}              },
    {"strftime_now",    g_strftime_now, 1,  {"format"}               },
    {NULL,              NULL,           0,  {NULL}                   },
};

const td_jfunction *td_jinja_global(const char *name) {
    return td_jinja_table_find(globals, name, strlen(name));
}
