/* jinja_pick.c - filters that ask each item something: map, select, reject; and default, attr. */
#include <string.h>

#include "text/jinja_int.h"

static const td_value *f_default(td_jeval *ev, const td_value *v, const td_jcall *call) {
    const bool also_false = td_jinja_param_bool(call, 1, false);
    if (v->type != TD_VALUE_UNDEFINED && (!also_false || td_jinja_truth(v))) return v;
    return call->param[0] ? call->param[0] : td_jinja_string(ev, "", 0);
}

static const td_value *f_attr(td_jeval *ev, const td_value *v, const td_jcall *call) {
    const char *name;
    size_t n;
    if (!td_jinja_param_text(ev, call, 0, &name, &n)) return NULL;
    if (v->type == TD_VALUE_UNDEFINED) return td_jinja_fail_undefined(ev, v);
    const td_value *found = td_jinja_own_attr(ev, v, name, n);
    return found || ev->status ? found : td_jinja_undefined(ev, v, name);
}

/* The function a map or select names first, and the arguments left for it. */
static const td_jfunction *named_function(td_jeval *ev, const td_value *name, bool is_test) {
    if (name->type != TD_VALUE_STRING) {
        td_jinja_fail(ev, TD_ERR_ARGUMENT, "the name of a %s must be a string",
                      is_test ? "test" : "filter");
        return NULL;
    }
    const char *text = name->u.string.text;
    const td_jfunction *f = is_test ? td_jinja_test(text) : td_jinja_filter(text);
    if (!f)
        td_jinja_fail(ev, TD_ERR_ARGUMENT, "no %s named '%.100s'", is_test ? "test" : "filter",
                      text);
    return f;
}

/* map(attribute=path, default=value): default stands in at every part of the path. */
static bool map_attribute(td_jeval *ev, const td_value *items, const td_value *kw, td_value *list) {
    const td_value *path = td_value_find_text(kw, "attribute", 9);
    const td_value *otherwise = td_value_find_text(kw, "default", 7);
    if (kw->u.map.n != (otherwise ? 2u : 1u)) {
        td_jinja_fail(ev, TD_ERR_ARGUMENT, "map takes attribute and default, or a filter");
        return false;
    }
    for (size_t i = 0; i < td_value_count(items); i++) {
        const td_value *v = td_jinja_nth(ev, items, i);
        v = v && td_jinja_charge(ev, 1) ? td_jinja_path(ev, v, path, otherwise) : NULL;
        if (!td_jinja_push(ev, list, v)) return false;
    }
    return true;
}

/* What broke the input breaks the output behind the same items. */
static bool pass_on(const td_value *items, td_value *list) {
    if (items->kind != TD_KIND_RANGE) list->u.list.broken = items->u.list.broken;
    return true;
}

static bool fill_map(td_jeval *ev, const td_value *v, const td_jcall *call, td_value *list) {
    if (!td_jinja_truth(v)) return true;
    const td_value *items = td_jinja_draw(ev, v);
    if (!items) return false;
    if (call->n_pos == 0 && call->kw && td_value_find_text(call->kw, "attribute", 9))
        return map_attribute(ev, items, call->kw, list) && pass_on(items, list);
    if (call->n_pos == 0) {
        td_jinja_fail(ev, TD_ERR_ARGUMENT, "map wants a filter or attribute=");
        return false;
    }
    const td_jfunction *f = named_function(ev, call->pos[0], false);
    for (size_t i = 0; f && i < td_value_count(items); i++) {
        td_jcall inner = {.pos = call->pos + 1, .n_pos = call->n_pos - 1, .kw = call->kw};
        const td_value *item = td_jinja_nth(ev, items, i);
        if (!item || !td_jinja_charge(ev, 1) ||
            !td_jinja_push(ev, list, td_jinja_apply(ev, f, item, &inner)))
            return false;
    }
    return f && pass_on(items, list);
}

static const td_value *f_map(td_jeval *ev, const td_value *v, const td_jcall *call) {
    return td_jinja_generate(ev, v, call, fill_map);
}

/* Keeps the items that answer `wanted`; the first of `n_skip` arguments names an attribute. */
static bool pick(td_jeval *ev, const td_value *v, const td_jcall *call, bool wanted, size_t n_skip,
                 td_value *list) {
    if (!td_jinja_truth(v)) return true;
    const td_value *items = td_jinja_draw(ev, v);
    if (!items) return false;
    if (call->n_pos < n_skip) {
        td_jinja_fail(ev, TD_ERR_ARGUMENT, "the name of an attribute is missing");
        return false;
    }
    const td_jfunction *f = NULL;
    if (call->n_pos > n_skip) {
        f = named_function(ev, call->pos[n_skip], true);
        if (!f) return false;
    }
    for (size_t i = 0; i < td_value_count(items); i++) {
        const td_value *item = td_jinja_nth(ev, items, i);
        const td_value *asked = item && n_skip ? td_jinja_path(ev, item, call->pos[0], NULL) : item;
        if (!asked || !td_jinja_charge(ev, 1)) return false;
        if (f) {
            td_jcall inner = {
                .pos = call->pos + n_skip + 1, .n_pos = call->n_pos - n_skip - 1, .kw = call->kw};
            asked = td_jinja_apply(ev, f, asked, &inner);
            if (!asked) return false;
        }
        if (td_jinja_truth(asked) == wanted && !td_jinja_push(ev, list, item)) return false;
    }
    return pass_on(items, list);
}

static bool fill_select(td_jeval *ev, const td_value *v, const td_jcall *call, td_value *list) {
    return pick(ev, v, call, true, 0, list);
}

static const td_value *f_select(td_jeval *ev, const td_value *v, const td_jcall *call) {
    return td_jinja_generate(ev, v, call, fill_select);
}

static bool fill_reject(td_jeval *ev, const td_value *v, const td_jcall *call, td_value *list) {
    return pick(ev, v, call, false, 0, list);
}

static const td_value *f_reject(td_jeval *ev, const td_value *v, const td_jcall *call) {
    return td_jinja_generate(ev, v, call, fill_reject);
}

static bool fill_selectattr(td_jeval *ev, const td_value *v, const td_jcall *call, td_value *list) {
    return pick(ev, v, call, true, 1, list);
}

static const td_value *f_selectattr(td_jeval *ev, const td_value *v, const td_jcall *call) {
    return td_jinja_generate(ev, v, call, fill_selectattr);
}

static bool fill_rejectattr(td_jeval *ev, const td_value *v, const td_jcall *call, td_value *list) {
    return pick(ev, v, call, false, 1, list);
}

static const td_value *f_rejectattr(td_jeval *ev, const td_value *v, const td_jcall *call) {
    return td_jinja_generate(ev, v, call, fill_rejectattr);
}

const td_jfunction td_jinja_pick_filters[] = {
    {"attr",       f_attr,       1,  {"name"}                    },
    {"d",          f_default,    0,  {"default_value", "boolean"}},
    {"default",    f_default,    0,  {"default_value", "boolean"}},
    {"map",        f_map,        -1, {NULL}                      },
    {"reject",     f_reject,     -1, {NULL}                      },
    {"rejectattr", f_rejectattr, -1, {NULL}                      },
    {"select",     f_select,     -1, {NULL}                      },
    {"selectattr", f_selectattr, -1, {NULL}                      },
    {NULL,         NULL,         0,  {NULL}                      },
};
