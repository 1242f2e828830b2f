/* jinja_text.c - filters on text and numbers. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/jinja_int.h"
#include "text/pystr.h"

const td_value *td_jinja_convert(td_jeval *ev, const td_value *v, int to) {
    const td_value *text = td_jinja_to_string(ev, v);
    if (!text || !td_jinja_charge(ev, text->u.string.n / 32)) return NULL;
    const size_t mark = ev->out.n;
    td_pystr_convert(&ev->out, text->u.string.text, text->u.string.n, (td_pystr_case)to);
    return td_jinja_like(ev, td_jinja_take(ev, mark), text);
}

static const td_value *f_capitalize(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)call;
    return td_jinja_convert(ev, v, TD_PYSTR_CAPITALIZE);
}

static const td_value *f_lower(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)call;
    return td_jinja_convert(ev, v, TD_PYSTR_LOWER);
}

static const td_value *f_upper(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)call;
    return td_jinja_convert(ev, v, TD_PYSTR_UPPER);
}

/* Jinja's words end at a hyphen, blank or opening bracket: not the words of str.title. */
static const td_value *f_title(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)call;
    const td_value *text = td_jinja_to_string(ev, v);
    if (!text) return NULL;
    const char *s = text->u.string.text;
    const size_t n = text->u.string.n, mark = ev->out.n;
    for (size_t at = 0, len; at < n;) {
        size_t end = at;
        bool is_break = false;
        while (end < n && !is_break) {
            const uint32_t c = td_pystr_decode(s + end, n - end, &len);
            is_break = td_pystr_is_space(c) || (c < 0x80 && c && strchr("-({[<", (int)c));
            if (!is_break) end += len;
        }
        size_t n_first = 0;
        if (end > at) td_pystr_decode(s + at, end - at, &n_first);
        td_pystr_convert(&ev->out, s + at, n_first, TD_PYSTR_UPPER);
        td_pystr_convert(&ev->out, s + at + n_first, end - at - n_first, TD_PYSTR_LOWER);
        if (is_break) td_strbuf_add(&ev->out, s + end, len);
        at = is_break ? end + len : end;
    }
    return td_jinja_take(ev, mark);
}

/* Filters that are a method of the text of any value. */
static const td_value *as_method(td_jeval *ev, const td_value *v, const td_jfunction *table,
                                 const char *name, const td_jcall *call) {
    const td_value *text = td_jinja_to_string(ev, v);
    if (!text) return NULL;
    return td_jinja_like(ev, td_jinja_table_find(table, name, strlen(name))->fn(ev, text, call),
                         text);
}

static const td_value *f_trim(td_jeval *ev, const td_value *v, const td_jcall *call) {
    return as_method(ev, v, td_jinja_str_methods, "strip", call);
}

static const td_value *f_string(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)call;
    return td_jinja_to_string(ev, v);
}

static const td_value *f_safe(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)call;
    const td_value *text = td_jinja_to_string(ev, v);
    return text ? td_jinja_mark(ev, text, TD_KIND_MARKUP) : NULL;
}

static const td_value *f_escape(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)call;
    return td_jinja_escape(ev, v);
}

static const td_value *f_forceescape(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)call;
    const td_value *text = td_jinja_to_string(ev, v);
    text = text ? td_jinja_mark(ev, text, TD_KIND_PLAIN) : NULL;
    return text ? td_jinja_escape(ev, text) : NULL;
}

static const td_value *f_replace(td_jeval *ev, const td_value *v, const td_jcall *call) {
    const td_value *old = td_jinja_to_string(ev, call->param[0]);
    const td_value *new = old ? td_jinja_to_string(ev, call->param[1]) : NULL;
    if (!new) return NULL;
    td_jcall inner = {
        .param = {old, new, NULL}
    };
    if (td_jinja_param_given(call, 2)) inner.param[2] = call->param[2];
    const td_value *text = td_jinja_to_string(ev, v); /* not Markup any more, whatever it was */
    text = text ? td_jinja_mark(ev, text, TD_KIND_PLAIN) : NULL;
    return text ? as_method(ev, text, td_jinja_str_methods, "replace", &inner) : NULL;
}

size_t td_jinja_line_end(const char *s, size_t n, size_t at, size_t *next) {
    for (size_t len; at < n; at += len) {
        const uint32_t c = td_pystr_decode(s + at, n - at, &len);
        if (!td_pystr_is_newline(c)) continue;
        *next = at + len;
        if (c == '\r' && *next < n && s[*next] == '\n') ++*next;
        return at;
    }
    *next = n;
    return n;
}

static const td_value *f_indent(td_jeval *ev, const td_value *v, const td_jcall *call) {
    int64_t width = 4;
    const char *indent = NULL;
    size_t n_indent = 0;
    if (v->type == TD_VALUE_UNDEFINED) return td_jinja_fail_undefined(ev, v);
    if (v->type != TD_VALUE_STRING)
        return td_jinja_fail(ev, TD_ERR_ARGUMENT, "indent wants a string, not '%s'",
                             td_value_type_name(v));
    if (call->param[0] && call->param[0]->type == TD_VALUE_STRING) {
        if (!td_jinja_param_text(ev, call, 0, &indent, &n_indent)) return NULL;
    } else {
        if (call->param[0] && !td_jinja_param_int(ev, call, 0, &width)) return NULL;
        const td_value *blanks = td_jinja_string(ev, " ", 1);
        const td_value *times = blanks ? td_jinja_int(ev, width) : NULL;
        blanks = times ? td_jinja_binary(ev, TD_JOP_MUL, blanks, times) : NULL;
        if (!blanks) return NULL;
        indent = blanks->u.string.text;
        n_indent = blanks->u.string.n;
    }
    const bool first = td_jinja_param_bool(call, 1, false);
    const bool blank = td_jinja_param_bool(call, 2, false);
    const char *s = v->u.string.text;
    const size_t n = v->u.string.n, mark = ev->out.n;
    if (first) td_strbuf_add(&ev->out, indent, n_indent);
    for (size_t at = 0, next; at <= n && !ev->out.failed; at = next) {
        const size_t end = td_jinja_line_end(s, n, at, &next);
        if (at > 0) {
            td_strbuf_addc(&ev->out, '\n');
            if (blank || end > at) td_strbuf_add(&ev->out, indent, n_indent);
        }
        td_strbuf_add(&ev->out, s + at, end - at);
        if (end == n) break;
    }
    return td_jinja_take(ev, mark);
}

static const td_value *f_truncate(td_jeval *ev, const td_value *v, const td_jcall *call) {
    int64_t length = 255, leeway = 5;
    const char *end = "...";
    size_t n_end = 3;
    if (call->param[0] && !td_jinja_param_int(ev, call, 0, &length)) return NULL;
    if (call->param[2] && !td_jinja_param_text(ev, call, 2, &end, &n_end)) return NULL;
    if (td_jinja_param_given(call, 3) && !td_jinja_param_int(ev, call, 3, &leeway)) return NULL;
    const int64_t n_end_char = (int64_t)td_pystr_count(end, n_end);
    if (v->type != TD_VALUE_STRING && length >= n_end_char && leeway >= 0 && leeway < INT_MAX &&
        length < INT_MAX && td_jinja_length(v) >= 0 && td_jinja_length(v) <= length + leeway)
        return v;
    if (v->type != TD_VALUE_STRING || length < n_end_char || leeway < 0 || length > INT_MAX)
        return td_jinja_fail(ev, TD_ERR_ARGUMENT,
                             "truncate wants a string and a length of %lld or more",
                             (long long)n_end_char);
    if (leeway > INT_MAX || (int64_t)v->u.string.n_char <= length + leeway) return v;
    const char *s = v->u.string.text;
    size_t n = td_pystr_offset(s, v->u.string.n, (size_t)(length - n_end_char));
    if (!td_jinja_param_bool(call, 1, false)) {
        const int64_t blank = td_pystr_rfind(s, n, " ", 1);
        if (blank >= 0) n = (size_t)blank;
    }
    const td_value *cut = td_jinja_like(ev, td_jinja_string(ev, s, n), v);
    const td_value *tail = cut ? td_jinja_string(ev, end, n_end) : NULL;
    return tail ? td_jinja_binary(ev, TD_JOP_ADD, cut, tail) : NULL;
}

static const td_value *f_wordcount(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)call;
    const td_value *text = td_jinja_to_string(ev, v);
    if (!text || !td_jinja_charge(ev, text->u.string.n / 64)) return NULL;
    td_status failed = TD_OK;
    const size_t count =
        td_pystr_count_matches(text->u.string.text, text->u.string.n, "[\\p{L}\\p{N}_]++", &failed);
    if (failed) return td_jinja_fail(ev, failed, "out of memory");
    return td_jinja_int(ev, (int64_t)count);
}

static bool add_quoted_url(td_jeval *ev, const td_value *v, bool for_query) {
    const td_value *text = td_jinja_to_string(ev, v);
    if (!text) return false;
    for (size_t i = 0; i < text->u.string.n; i++) {
        const char c = text->u.string.text[i];
        const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                              (c >= '0' && c <= '9') || (c && strchr("_.-~", c)) ||
                              (c == '/' && !for_query);
        if (is_plain)
            td_strbuf_addc(&ev->out, c);
        else if (c == ' ' && for_query)
            td_strbuf_addc(&ev->out, '+');
        else
            td_strbuf_addf(&ev->out, "%%%02X", (unsigned char)c);
    }
    return true;
}

static const td_value *f_urlencode(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)call;
    if (v->type == TD_VALUE_STRING || !td_jinja_is_iterable(v)) {
        const size_t mark = ev->out.n;
        return add_quoted_url(ev, v, false) ? td_jinja_take(ev, mark) : NULL;
    }
    const td_value *pairs =
        v->type == TD_VALUE_MAP ? td_jinja_view(ev, v, TD_KIND_ITEMS) : td_jinja_iterate(ev, v);
    if (!pairs) return NULL;
    const size_t mark = ev->out.n;
    for (size_t i = 0; i < td_value_count(pairs); i++) {
        const td_value *pair = td_jinja_nth(ev, pairs, i);
        if (!pair) return NULL;
        if (pair->type != TD_VALUE_LIST || pair->kind == TD_KIND_RANGE || pair->u.list.n != 2)
            return td_jinja_fail(ev, TD_ERR_ARGUMENT, "urlencode wants pairs");
        if (i) td_strbuf_addc(&ev->out, '&');
        if (!add_quoted_url(ev, pair->u.list.items[0], true)) return NULL;
        td_strbuf_addc(&ev->out, '=');
        if (!add_quoted_url(ev, pair->u.list.items[1], true)) return NULL;
    }
    return td_jinja_take(ev, mark);
}

static const td_value *f_format(td_jeval *ev, const td_value *v, const td_jcall *call) {
    if (call->n_pos && call->kw)
        return td_jinja_fail(ev, TD_ERR_ARGUMENT, "format takes values or keywords, not both");
    const td_value *text = td_jinja_to_string(ev, v);
    if (!text) return NULL;
    if (call->kw) return td_jinja_percent(ev, text, call->kw);
    td_value *values = td_jinja_list(ev, TD_KIND_TUPLE, call->n_pos);
    for (size_t i = 0; i < call->n_pos; i++)
        if (!td_jinja_push(ev, values, call->pos[i])) return NULL;
    return values ? td_jinja_percent(ev, text, values) : NULL;
}

static const td_value *f_center(td_jeval *ev, const td_value *v, const td_jcall *call) {
    const td_value *width = call->param[0] ? call->param[0] : td_jinja_int(ev, 80);
    const td_jcall inner = {.param = {width}};
    return width ? as_method(ev, v, td_jinja_case_methods, "center", &inner) : NULL;
}

/* ---- tojson ---- */

static bool json_style(td_jeval *ev, const td_jcall *call, td_json_style *style) {
    *style = (td_json_style){.item_separator = ", ", .key_separator = ": "};
    style->ensure_ascii = td_jinja_param_bool(call, 0, false);
    style->sort_keys = td_jinja_param_bool(call, 3, false);
    if (td_jinja_param_given(call, 1)) {
        int64_t width = 0;
        style->item_separator = ",";
        if (call->param[1]->type == TD_VALUE_STRING) {
            if (!td_jinja_param_text(ev, call, 1, &style->indent, &style->n_indent)) return false;
        } else {
            if (!td_jinja_param_int(ev, call, 1, &width)) return false;
            const td_value *blank = td_jinja_string(ev, " ", 1);
            const td_value *times = blank ? td_jinja_int(ev, width) : NULL;
            blank = times ? td_jinja_binary(ev, TD_JOP_MUL, blank, times) : NULL;
            if (!blank) return false;
            style->indent = blank->u.string.text;
            style->n_indent = blank->u.string.n;
        }
    }
    if (!td_jinja_param_given(call, 2)) return true;
    const td_value *pair = td_jinja_iterate(ev, call->param[2]);
    if (!pair) return false;
    if (pair->kind == TD_KIND_RANGE || pair->u.list.n != 2 ||
        pair->u.list.items[0]->type != TD_VALUE_STRING ||
        pair->u.list.items[1]->type != TD_VALUE_STRING) {
        td_jinja_fail(ev, TD_ERR_ARGUMENT, "tojson wants two strings as separators");
        return false;
    }
    style->item_separator = pair->u.list.items[0]->u.string.text;
    style->key_separator = pair->u.list.items[1]->u.string.text;
    return true;
}

static const td_value *f_tojson(td_jeval *ev, const td_value *v, const td_jcall *call) {
    td_json_style style;
    const td_value *culprit;
    if (!json_style(ev, call, &style)) return NULL;
    const size_t mark = ev->out.n;
    if (td_value_dump_json(v, &style, &ev->out, &culprit)) return td_jinja_take(ev, mark);
    if (!culprit) return td_jinja_fail(ev, TD_ERR_LIMIT, "values nested too deep for tojson");
    return td_jinja_fail(ev, TD_ERR_ARGUMENT, "tojson cannot write a '%s'",
                         td_value_type_name(culprit));
}

/* ---- numbers ---- */

static const td_value *f_abs(td_jeval *ev, const td_value *v, const td_jcall *call) {
    int64_t i;
    (void)call;
    if (v->type == TD_VALUE_FLOAT) return td_jinja_float(ev, fabs(v->u.real));
    if (td_jinja_as_int(v, &i) && i != INT64_MIN) return td_jinja_int(ev, i < 0 ? -i : i);
    return td_jinja_fail(ev, TD_ERR_ARGUMENT, "abs wants a number, not '%s'",
                         td_value_type_name(v));
}

static int digit_of(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'z') return c - 'a' + 10;
    return c >= 'A' && c <= 'Z' ? c - 'A' + 10 : 99;
}

bool td_jinja_parse_int(const char *s, size_t n, int base, int64_t *out, bool *too_large) {
    td_pystr_strip(&s, &n, NULL, 0, TD_PYSTR_BOTH);
    bool is_negative = false, after_digit = false, prefixed = false;
    *too_large = false;
    *out = 0;
    if (n && (*s == '-' || *s == '+')) {
        is_negative = *s == '-';
        s++;
        n--;
    }
    if (n > 2 && *s == '0') {
        const char c = s[1] | 0x20;
        const int marked = c == 'x' ? 16 : c == 'o' ? 8 : c == 'b' ? 2 : 0;
        if (marked && (base == marked || base == 0)) {
            base = marked;
            prefixed = true;
            s += 2;
            n -= 2;
        }
    }
    if (base == 0) base = 10;
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '_' && (after_digit || (prefixed && i == 0)) && i + 1 < n) {
            after_digit = false;
            prefixed = false;
            continue;
        }
        const int digit = digit_of(s[i]);
        if (digit >= base) return false;
        after_digit = true;
        if (__builtin_mul_overflow(*out, base, out) ||
            __builtin_sub_overflow(*out, digit, out)) /* negative: reaches INT64_MIN */
            *too_large = true;
    }
    if (!is_negative && __builtin_sub_overflow(0, *out, out)) *too_large = true;
    return after_digit;
}

bool td_jinja_parse_float(const char *s, size_t n, double *out) {
    char text[500];
    size_t n_text = 0;
    td_pystr_strip(&s, &n, NULL, 0, TD_PYSTR_BOTH);
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '_') {
            if (i == 0 || i + 1 == n || digit_of(s[i - 1]) > 9 || digit_of(s[i + 1]) > 9)
                return false;
            continue;
        }
        if (n_text == sizeof text) return false;
        text[n_text++] = s[i];
    }
    return td_value_parse_float(text, n_text, out);
}

static const td_value *float_to_int(td_jeval *ev, double f) {
    if (!(f > -9.2e18 && f < 9.2e18))
        return td_jinja_fail(ev, TD_ERR_LIMIT, "a number beyond 64 bits cannot be an integer");
    return td_jinja_int(ev, (int64_t)f);
}

static const td_value *f_int(td_jeval *ev, const td_value *v, const td_jcall *call) {
    const td_value *otherwise = call->param[0] ? call->param[0] : td_jinja_int(ev, 0);
    int64_t i, base = 10;
    double f;
    bool too_large;
    if (!otherwise || (call->param[1] && !td_jinja_param_int(ev, call, 1, &base))) return NULL;
    if (v->type == TD_VALUE_UNDEFINED) return td_jinja_fail_undefined(ev, v);
    if (td_jinja_as_int(v, &i)) return td_jinja_int(ev, i);
    if (v->type == TD_VALUE_FLOAT)
        return isnan(v->u.real) ? otherwise : float_to_int(ev, v->u.real);
    if (v->type != TD_VALUE_STRING || base < 0 || base == 1 || base > 36) return otherwise;
    if (td_jinja_parse_int(v->u.string.text, v->u.string.n, (int)base, &i, &too_large)) {
        if (!too_large) return td_jinja_int(ev, i);
        return td_jinja_fail(ev, TD_ERR_LIMIT, "an integer beyond 64 bits");
    }
    if (!td_jinja_parse_float(v->u.string.text, v->u.string.n, &f) || isnan(f) || isinf(f))
        return otherwise;
    return float_to_int(ev, f);
}

static const td_value *f_float(td_jeval *ev, const td_value *v, const td_jcall *call) {
    double f;
    if (v->type == TD_VALUE_UNDEFINED) return td_jinja_fail_undefined(ev, v);
    if (td_jinja_is_number(v)) return td_jinja_float(ev, td_jinja_as_float(v));
    if (v->type == TD_VALUE_STRING && td_jinja_parse_float(v->u.string.text, v->u.string.n, &f))
        return td_jinja_float(ev, f);
    return call->param[0] ? call->param[0] : td_jinja_float(ev, 0);
}

/* Rounds half to even at a power of ten above one. */
static double round_large(double f, int64_t digits) {
    const double unit = pow(10, (double)-digits);
    return isinf(unit) ? copysign(0, f) : nearbyint(f / unit) * unit;
}

static const td_value *f_round(td_jeval *ev, const td_value *v, const td_jcall *call) {
    int64_t digits = 0;
    char text[400];
    const char *method = "common";
    size_t n_method;
    if (v->type == TD_VALUE_UNDEFINED) return td_jinja_fail_undefined(ev, v);
    if (!td_jinja_is_number(v))
        return td_jinja_fail(ev, TD_ERR_ARGUMENT, "round wants a number, not '%s'",
                             td_value_type_name(v));
    if (call->param[1] && !td_jinja_param_text(ev, call, 1, &method, &n_method)) return NULL;
    const bool to_int = call->param[0] && call->param[0]->type == TD_VALUE_NONE;
    if (to_int && strcmp(method, "common") == 0 && v->type == TD_VALUE_FLOAT)
        return float_to_int(ev, nearbyint(v->u.real));
    if (to_int && strcmp(method, "common") == 0) return f_int(ev, v, &(td_jcall){0});
    if (call->param[0] && !td_jinja_param_int(ev, call, 0, &digits)) return NULL;
    const double f = td_jinja_as_float(v);
    if (strcmp(method, "common") == 0) {
        if (v->type != TD_VALUE_FLOAT) {
            int64_t i = 0;
            td_jinja_as_int(v, &i);
            if (digits >= 0) return td_jinja_int(ev, i);
            return float_to_int(ev, round_large(f, digits));
        }
        if (digits < 0) return td_jinja_float(ev, round_large(f, digits));
        if (digits > 22 || isinf(f) || isnan(f) || fabs(f) > 1e22) return v;
        snprintf(text, sizeof text, "%.*f", (int)digits, f);
        return td_jinja_float(ev, strtod(text, NULL));
    }
    if (strcmp(method, "ceil") != 0 && strcmp(method, "floor") != 0)
        return td_jinja_fail(ev, TD_ERR_ARGUMENT, "round's method is common, ceil or floor");
    const double unit = pow(10, (double)digits);
    const double whole = *method == 'c' ? ceil(f * unit) : floor(f * unit);
    if (isnan(whole) || isinf(whole))
        return td_jinja_fail(ev, TD_ERR_ARGUMENT, "round: a float out of range");
    return td_jinja_float(ev, whole / unit + 0.0); /* no -0.0: Python's whole is an integer */
}

const td_jfunction td_jinja_text_filters[] = {
    {"abs",         f_abs,         0,  {NULL}                                               },
    {"capitalize",  f_capitalize,  0,  {NULL}                                               },
    {"center",      f_center,      0,  {"width"}                                            },
    {"e",           f_escape,      0,  {NULL}                                               },
    {"escape",      f_escape,      0,  {NULL}                                               },
    {"float",       f_float,       0,  {"default"}                                          },
    {"forceescape", f_forceescape, 0,  {NULL}                                               },
    {"format",      f_format,      -1, {NULL}                                               },
    {"indent",      f_indent,      0,  {"width", "first", "blank"}                          },
    {"int",         f_int,         0,  {"default", "base"}                                  },
    {"lower",       f_lower,       0,  {NULL}                                               },
    {"replace",     f_replace,     2,  {"old", "new", "count"}                              },
    {"round",       f_round,       0,  {"precision", "method"}                              },
    {"safe",        f_safe,        0,  {NULL}                                               },
    {"string",      f_string,      0,  {NULL}                                               },
    {"title",       f_title,       0,  {NULL}                                               },
    {"tojson",      f_tojson,      0,  {"ensure_ascii", "indent", "separators", "sort_keys"}},
    {"trim",        f_trim,        0,  {"chars"}                                            },
    {"truncate",    f_truncate,    0,  {"length", "killwords", "end", "leeway"}             },
    {"upper",       f_upper,       0,  {NULL}                                               },
    {"urlencode",   f_urlencode,   0,  {NULL}                                               },
    {"wordcount",   f_wordcount,   0,  {NULL}                                               },
    {NULL,          NULL,          0,  {NULL}                                               },
};
