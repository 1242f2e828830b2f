/* jinja_format.c - "..." % values and "...".format(values). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "text/jinja_int.h"
#include "text/pystr.h"

enum { MAX_PRECISION = 1000, MAX_WIDTH = 1 << 20, MAX_FLOAT_TEXT = 400 + MAX_PRECISION };

/* One conversion, in the words of either language. */
typedef struct spec {
    const char *fill; /* one character */
    size_t n_fill;
    char align; /* '<', '>', '^', '=' (fill behind the sign), or 0: by type */
    char sign;  /* '+', ' ', or 0 */
    bool alternate;
    bool is_zero;
    char group; /* ',', '_', or 0 */
    int64_t width;
    int64_t precision; /* -1: none */
    char type;         /* 0: none */
} spec;

/* Appends sign, prefix and digits, filled up. */
static void add_number(td_jeval *ev, const spec *f, bool is_negative, const char *prefix,
                       const char *digits, size_t n) {
    char sign[2] = {is_negative ? '-' : f->sign, 0};
    const int64_t used = (int64_t)(strlen(sign) + strlen(prefix) + n);
    const int64_t missing = f->width > used ? f->width - used : 0;
    const char align = f->align ? f->align : '>';
    const int64_t before = align == '<' || align == '=' ? 0 : align == '^' ? missing / 2 : missing;
    const int64_t inside = align == '=' ? missing : 0;
    for (int64_t i = 0; i < before; i++) td_strbuf_add(&ev->out, f->fill, f->n_fill);
    td_strbuf_adds(&ev->out, sign);
    td_strbuf_adds(&ev->out, prefix);
    for (int64_t i = 0; i < inside; i++) td_strbuf_add(&ev->out, f->fill, f->n_fill);
    td_strbuf_add(&ev->out, digits, n);
    for (int64_t i = before + inside; i < missing; i++) td_strbuf_add(&ev->out, f->fill, f->n_fill);
}

static void add_text(td_jeval *ev, const spec *f, const char *s, size_t n) {
    size_t n_char = td_pystr_count(s, n);
    if (f->precision >= 0 && (uint64_t)f->precision < n_char) {
        n_char = (size_t)f->precision;
        n = td_pystr_offset(s, n, n_char);
    }
    const int64_t missing = f->width > (int64_t)n_char ? f->width - (int64_t)n_char : 0;
    const int64_t before = f->align == '>' ? missing : f->align == '^' ? missing / 2 : 0;
    for (int64_t i = 0; i < before; i++) td_strbuf_add(&ev->out, f->fill, f->n_fill);
    td_strbuf_add(&ev->out, s, n);
    for (int64_t i = before; i < missing; i++) td_strbuf_add(&ev->out, f->fill, f->n_fill);
}

/* Puts a separator after every `size` of the digits before `n_int`; out has room for twice. */
static size_t group_digits(const char *digits, size_t n, size_t n_int, char group, size_t size,
                           char *out) {
    size_t n_out = 0;
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && i < n_int && (n_int - i) % size == 0) out[n_out++] = group;
        out[n_out++] = digits[i];
    }
    return n_out;
}

static bool add_int(td_jeval *ev, const spec *f, int64_t value, bool is_percent) {
    const char type =
        f->type == 0 || f->type == 'i' || f->type == 'u' || f->type == 'n' ? 'd' : f->type;
    const unsigned base = type == 'd' ? 10 : type == 'o' ? 8 : type == 'b' ? 2 : 16;
    const char *letters = type == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
    char reversed[64], digits[64 + MAX_PRECISION], grouped[2 * (64 + MAX_PRECISION)];
    size_t n = 0, n_rev = 0;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do reversed[n_rev++] = letters[rest % base];
    while ((rest /= base) != 0);
    if (is_percent) /* the precision is the least number of digits */
        for (int64_t i = (int64_t)n_rev; i < f->precision && i < MAX_PRECISION; i++)
            digits[n++] = '0';
    while (n_rev > 0) digits[n++] = reversed[--n_rev];
    const char *prefix = !f->alternate || base == 10 ? ""
                         : base == 8                 ? "0o"
                         : base == 2                 ? "0b"
                         : type == 'X'               ? "0X"
                                                     : "0x";
    if (f->group) n = group_digits(digits, n, n, f->group, base == 10 ? 3 : 4, grouped);
    add_number(ev, f, value < 0, prefix, f->group ? grouped : digits, n);
    return true;
}

/* printf's text with a point whatever the locale; repr's when there is neither type nor precision.
 */
static size_t float_digits(const spec *f, double value, char *out, size_t size) {
    char pattern[16];
    char type = f->type;
    if (type == '%') type = 'f';
    if (type == 0 || type == 'n') type = 'g';
    int precision = f->precision < 0 ? 6 : (int)f->precision;
    if (precision > MAX_PRECISION) precision = MAX_PRECISION;
    snprintf(pattern, sizeof pattern, "%%%s.*%c", f->alternate ? "#" : "", type);
    const int printed = snprintf(out, size, pattern, precision, fabs(value));
    size_t n = 0;
    if (printed < 0) return 0;
    for (size_t i = 0; i < (size_t)printed && i + 1 < size; i++) {
        const char c = out[i];
        const bool is_plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                              (c >= 'A' && c <= 'Z') || c == '-' || c == '+';
        if (is_plain)
            out[n++] = c;
        else if (n == 0 || out[n - 1] != '.')
            out[n++] = '.';
    }
    out[n] = 0;
    return n;
}

static bool add_float(td_jeval *ev, const spec *f, double value) {
    char digits[MAX_FLOAT_TEXT + 2], grouped[2 * sizeof digits];
    if (f->type == '%') value *= 100;
    size_t n = float_digits(f, value, digits, sizeof digits - 2);
    if (f->type == 0 && f->precision < 0) {
        const size_t mark = ev->out.n;
        td_value_add_float(fabs(value), &ev->out);
        if (ev->out.failed) return true;
        n = ev->out.n - mark < sizeof digits - 2 ? ev->out.n - mark : sizeof digits - 2;
        memcpy(digits, ev->out.text + mark, n);
        ev->out.n = mark;
    } else if (f->type == 0 && !isinf(value) && !isnan(value) && !memchr(digits, '.', n) &&
               !memchr(digits, 'e', n)) {
        digits[n++] = '.';
        digits[n++] = '0';
    }
    if (f->type == '%') digits[n++] = '%';
    size_t n_int = 0;
    while (n_int < n && digits[n_int] >= '0' && digits[n_int] <= '9') n_int++;
    if (f->group) n = group_digits(digits, n, n_int, f->group, 3, grouped);
    add_number(ev, f, signbit(value) && !isnan(value), "", f->group ? grouped : digits, n);
    return true;
}

static bool fail_type(td_jeval *ev, const spec *f, const td_value *v) {
    td_jinja_fail(ev, TD_ERR_ARGUMENT, "format '%c' does not take a '%s'", f->type ? f->type : 's',
                  td_value_type_name(v));
    return false;
}

/* ---- % ---- */

typedef struct percent {
    const char *s;
    size_t n, at;
    const td_value *args;
    size_t i_arg;   /* the next of a tuple, or 1 when the one value is used */
    bool is_markup; /* the format is marked safe, so that texts are escaped */
} percent;

static const td_value *next_arg(td_jeval *ev, percent *p) {
    if (p->args->kind == TD_KIND_TUPLE) {
        if (p->i_arg < p->args->u.list.n) return p->args->u.list.items[p->i_arg++];
    } else if (p->i_arg++ == 0) {
        return p->args;
    }
    return td_jinja_fail(ev, TD_ERR_ARGUMENT, "not enough arguments for format string");
}

static bool percent_count(td_jeval *ev, percent *p, int64_t *count) {
    *count = 0;
    if (p->at < p->n && p->s[p->at] == '*') {
        p->at++;
        const td_value *v = next_arg(ev, p);
        if (!v) return false;
        if (!td_jinja_as_int(v, count)) {
            td_jinja_fail(ev, TD_ERR_ARGUMENT, "'*' in a format wants an integer");
            return false;
        }
    }
    for (; p->at < p->n && p->s[p->at] >= '0' && p->s[p->at] <= '9'; p->at++)
        if (*count <= MAX_WIDTH) *count = *count * 10 + (p->s[p->at] - '0');
    if (*count <= MAX_WIDTH && *count >= -MAX_WIDTH) return true;
    td_jinja_fail(ev, TD_ERR_LIMIT, "a width or precision of more than %d", MAX_WIDTH);
    return false;
}

/* %(name): the value of that key becomes the argument. */
static const td_value *percent_key(td_jeval *ev, percent *p) {
    const size_t start = ++p->at;
    for (int depth = 1; p->at < p->n; p->at++) {
        if (p->s[p->at] == '(') depth++;
        if (p->s[p->at] == ')' && --depth == 0) break;
    }
    if (p->at >= p->n) return td_jinja_fail(ev, TD_ERR_ARGUMENT, "a format key without its ')'");
    if (p->args->type != TD_VALUE_MAP || p->args->kind == TD_KIND_NAMESPACE)
        return td_jinja_fail(ev, TD_ERR_ARGUMENT, "a format with keys wants a mapping");
    const td_value *v = td_value_find_text(p->args, p->s + start, p->at - start);
    p->i_arg = 1; /* so that no conversion without a key comes behind */
    p->at++;
    return v ? v : td_jinja_fail(ev, TD_ERR_ARGUMENT, "a format key is missing in the mapping");
}

static bool percent_convert(td_jeval *ev, const spec *f, const td_value *v, bool is_markup) {
    int64_t i;
    const size_t mark = ev->out.n;
    const bool is_number = td_jinja_is_number(v);
    spec one = *f; /* of a character no precision cuts anything off */
    one.precision = -1;
    if (v->type == TD_VALUE_UNDEFINED && !strchr("sra", f->type)) {
        td_jinja_fail_undefined(ev, v);
        return false;
    }
    switch (f->type) {
    case 's':
    case 'r':
    case 'a':
        if (f->type == 's')
            td_value_add_str(v, &ev->out);
        else if (f->type == 'a' && v->type == TD_VALUE_STRING)
            td_value_add_quoted(v->u.string.text, v->u.string.n, true, &ev->out);
        else
            td_value_add_repr(v, &ev->out);
        const td_value *text = td_jinja_take(ev, mark);
        if (text && is_markup && !(v->kind == TD_KIND_MARKUP && f->type == 's'))
            text = td_jinja_escape(ev, text);
        if (text) add_text(ev, f, text->u.string.text, text->u.string.n);
        return text != NULL;
    case 'c':
        if (v->type == TD_VALUE_STRING && v->u.string.n_char == 1) {
            add_text(ev, &one, v->u.string.text, v->u.string.n);
            return true;
        }
        if (!td_jinja_as_int(v, &i) || i < 0 || i > 0x10FFFF || (i >= 0xD800 && i < 0xE000))
            return fail_type(ev, f, v);
        td_pystr_add(&ev->out, (uint32_t)i);
        const td_value *c = td_jinja_take(ev, mark);
        if (c) add_text(ev, &one, c->u.string.text, c->u.string.n);
        return c != NULL;
    case 'd':
    case 'i':
    case 'u':
        if (v->type == TD_VALUE_FLOAT && fabs(v->u.real) < 9.2e18)
            return add_int(ev, f, (int64_t)v->u.real, true);
        if (v->type == TD_VALUE_FLOAT && isfinite(v->u.real)) {
            td_jinja_fail(ev, TD_ERR_LIMIT, "an integer beyond 64 bits");
            return false;
        }
        return td_jinja_as_int(v, &i) ? add_int(ev, f, i, true) : fail_type(ev, f, v);
    case 'o':
    case 'x':
    case 'X': return td_jinja_as_int(v, &i) ? add_int(ev, f, i, true) : fail_type(ev, f, v);
    default: return is_number ? add_float(ev, f, td_jinja_as_float(v)) : fail_type(ev, f, v);
    }
}

/* From behind the '%' on. */
static bool percent_one(td_jeval *ev, percent *p) {
    spec f = {.fill = " ", .n_fill = 1, .align = '>', .precision = -1};
    const td_value *v = NULL;
    bool is_left = false, is_zero = false;
    if (p->at < p->n && p->s[p->at] == '%') { /* with anything in between it is an error */
        td_strbuf_addc(&ev->out, '%');
        p->at++;
        return true;
    }
    if (p->at < p->n && p->s[p->at] == '(' && !(v = percent_key(ev, p))) return false;
    for (; p->at < p->n && strchr("-+ #0", p->s[p->at]) && p->s[p->at]; p->at++) {
        const char flag = p->s[p->at];
        is_left |= flag == '-';
        is_zero |= flag == '0';
        f.alternate |= flag == '#';
        if (flag == '+' || (flag == ' ' && !f.sign)) f.sign = flag;
    }
    if (!percent_count(ev, p, &f.width)) return false;
    if (f.width < 0) {
        is_left = true;
        f.width = -f.width;
    }
    if (p->at < p->n && p->s[p->at] == '.') {
        p->at++;
        if (!percent_count(ev, p, &f.precision)) return false;
        if (f.precision < 0) f.precision = 0;
    }
    while (p->at < p->n && strchr("hlL", p->s[p->at]) && p->s[p->at]) p->at++;
    if (p->at >= p->n) {
        td_jinja_fail(ev, TD_ERR_ARGUMENT, "incomplete format");
        return false;
    }
    f.type = p->s[p->at++];
    if (!f.type || !strchr("sradiuoxXeEfFgGc", f.type)) {
        td_jinja_fail(ev, TD_ERR_ARGUMENT, "unknown format character '%c'", f.type);
        return false;
    }
    if (is_left)
        f.align = '<';
    else if (is_zero && !strchr("srac", f.type))
        f.align = '=', f.fill = "0";
    if (!v) v = next_arg(ev, p);
    return v && percent_convert(ev, &f, v, p->is_markup);
}

const td_value *td_jinja_percent(td_jeval *ev, const td_value *format, const td_value *args) {
    percent p = {.s = format->u.string.text,
                 .n = format->u.string.n,
                 .args = args,
                 .is_markup = format->kind == TD_KIND_MARKUP};
    const size_t mark = ev->out.n;
    while (p.at < p.n && !ev->out.failed) {
        const char *sign = memchr(p.s + p.at, '%', p.n - p.at);
        const size_t end = sign ? (size_t)(sign - p.s) : p.n;
        td_strbuf_add(&ev->out, p.s + p.at, end - p.at);
        p.at = end + 1;
        if (sign && (!td_jinja_charge(ev, 1) || !percent_one(ev, &p))) return NULL;
    }
    const bool is_tuple = args->kind == TD_KIND_TUPLE;
    const bool is_single = args->type != TD_VALUE_LIST && args->type != TD_VALUE_MAP &&
                           args->type != TD_VALUE_UNDEFINED;
    if (is_tuple ? p.i_arg < args->u.list.n : is_single && p.i_arg == 0)
        return td_jinja_fail(ev, TD_ERR_ARGUMENT,
                             "not all arguments converted during string formatting");
    const td_value *text = td_jinja_take(ev, mark);
    return text && p.is_markup ? td_jinja_mark(ev, text, TD_KIND_MARKUP) : text;
}

/* ---- format() ---- */

typedef struct braces {
    const td_jcall *call;
    int64_t i_auto; /* the next of {} {}; -1 once a number was given */
} braces;

static bool spec_number(const char *s, size_t n, size_t *at, int64_t *out) {
    *out = 0;
    const size_t start = *at;
    for (; *at < n && s[*at] >= '0' && s[*at] <= '9'; ++*at)
        if (*out <= MAX_WIDTH) *out = *out * 10 + (s[*at] - '0');
    return *at > start;
}

/* [[fill]align][sign][#][0][width][,][.precision][type] */
static bool parse_spec(td_jeval *ev, const char *s, size_t n, spec *f) {
    size_t at = 0, len = 0;
    *f = (spec){.fill = " ", .n_fill = 1, .precision = -1};
    if (n > 0) td_pystr_decode(s, n, &len);
    if (len < n && s[len] && strchr("<>^=", s[len])) {
        f->fill = s;
        f->n_fill = len;
        f->align = s[len];
        at = len + 1;
    } else if (n > 0 && s[0] && strchr("<>^=", s[0])) {
        f->align = s[at++];
    }
    if (at < n && s[at] && strchr("+- ", s[at])) f->sign = s[at] == '-' ? 0 : s[at], at++;
    if (at < n && s[at] == '#') f->alternate = true, at++;
    if (at < n && s[at] == '0') {
        f->is_zero = !f->align; /* of a text it is only what fills up */
        if (!f->align) f->align = '=';
        if (f->fill != s) f->fill = "0";
        at++;
    }
    spec_number(s, n, &at, &f->width);
    if (at < n && (s[at] == ',' || s[at] == '_')) f->group = s[at++];
    bool ok = true;
    if (at < n && s[at] == '.') {
        at++;
        ok = spec_number(s, n, &at, &f->precision);
    }
    if (at < n) f->type = s[at++];
    if (ok && at == n && f->width <= MAX_WIDTH && f->precision <= MAX_WIDTH) return true;
    td_jinja_fail(ev, TD_ERR_ARGUMENT, "bad format specification '%.*s'", n < 40 ? (int)n : 40, s);
    return false;
}

static bool format_value(td_jeval *ev, const td_value *v, const char *s, size_t n) {
    spec f;
    int64_t i;
    if (n == 0) {
        td_value_add_str(v, &ev->out);
        return true;
    }
    if (!parse_spec(ev, s, n, &f)) return false;
    const bool is_plain = !f.sign && !f.alternate && !f.group && (f.align != '=' || f.is_zero);
    if (v->type == TD_VALUE_STRING && (f.type == 0 || f.type == 's') && is_plain) {
        add_text(ev, &f, v->u.string.text, v->u.string.n);
        return true;
    }
    const bool wants_float = f.type && strchr("eEfFgG%", f.type);
    if (v->type == TD_VALUE_FLOAT && (wants_float || f.type == 0 || f.type == 'n'))
        return add_float(ev, &f, v->u.real);
    if (td_jinja_as_int(v, &i) && wants_float) return add_float(ev, &f, (double)i);
    if (td_jinja_as_int(v, &i) && f.precision < 0 && (f.type == 0 || strchr("dboxXn", f.type)))
        return add_int(ev, &f, i, false);
    return fail_type(ev, &f, v);
}

/* The value of "name.attr[key]"; an empty name is the next by number. */
static const td_value *field_value(td_jeval *ev, braces *b, const char *s, size_t n) {
    size_t at = 0;
    int64_t number;
    while (at < n && s[at] != '.' && s[at] != '[') at++;
    const td_value *v = NULL;
    size_t digits = 0;
    const bool is_number = at > 0 && spec_number(s, at, &digits, &number) && digits == at;
    if (n == 0 || is_number) { /* with something behind, a number counts as no number there */
        if (n == 0 ? b->i_auto < 0 : at == n && b->i_auto > 0)
            return td_jinja_fail(ev, TD_ERR_ARGUMENT, "format mixes {} and {0}");
        if (n == 0)
            number = b->i_auto++;
        else if (at == n)
            b->i_auto = -1;
        if ((uint64_t)number < b->call->n_pos) v = b->call->pos[number];
    } else if (b->call->kw) {
        v = td_value_find_text(b->call->kw, s, at);
    }
    if (!v)
        return td_jinja_fail(ev, TD_ERR_ARGUMENT, "format has no value for {%.*s}",
                             at < 40 ? (int)at : 40, s);
    while (v && at < n) {
        const bool is_item = s[at++] == '[';
        const size_t start = at;
        while (at < n && (is_item ? s[at] != ']' : s[at] != '.' && s[at] != '[')) at++;
        size_t end = start;
        if (is_item && at == n) return td_jinja_fail(ev, TD_ERR_ARGUMENT, "format lacks a ']'");
        if (!is_item) {
            v = td_jinja_attr(ev, v, s + start, at - start);
            continue;
        }
        const bool is_index = spec_number(s, at, &end, &number) && end == at;
        const td_value *key =
            is_index ? td_jinja_int(ev, number) : td_jinja_string(ev, s + start, at - start);
        v = key ? td_jinja_item(ev, v, key) : NULL;
        at++;
    }
    return v;
}

static bool format_text(td_jeval *ev, braces *b, const char *s, size_t n, int depth);

/* What stands between { and }: name, !conversion, :specification (which may hold fields). */
static bool format_field(td_jeval *ev, braces *b, const char *s, size_t n, int depth) {
    size_t name = 0;
    int bracket = 0;
    for (; name < n && (bracket || (s[name] != '!' && s[name] != ':')); name++)
        bracket = s[name] == '[' ? 1 : s[name] == ']' ? 0 : bracket;
    const td_value *v = field_value(ev, b, s, name);
    if (!v) return false;
    const size_t mark = ev->out.n;
    if (name + 1 < n && s[name] == '!') {
        const char conversion = s[name + 1];
        if (conversion == 's')
            td_value_add_str(v, &ev->out);
        else if (conversion == 'a' && v->type == TD_VALUE_STRING)
            td_value_add_quoted(v->u.string.text, v->u.string.n, true, &ev->out);
        else
            td_value_add_repr(v, &ev->out);
        v = td_jinja_take(ev, mark);
        if (!v) return false;
        name += 2;
        if (!strchr("sra", conversion) || (name < n && s[name] != ':')) {
            td_jinja_fail(ev, TD_ERR_ARGUMENT, "bad conversion in a format");
            return false;
        }
    }
    if (name >= n) return format_value(ev, v, "", 0);
    if (!format_text(ev, b, s + name + 1, n - name - 1, depth + 1)) return false;
    const td_value *inner = td_jinja_take(ev, mark);
    return inner && format_value(ev, v, inner->u.string.text, inner->u.string.n);
}

static bool format_text(td_jeval *ev, braces *b, const char *s, size_t n, int depth) {
    for (size_t at = 0; at < n; at++) {
        if (ev->out.failed) break;
        if (s[at] != '{' && s[at] != '}') {
            td_strbuf_addc(&ev->out, s[at]);
            continue;
        }
        if (at + 1 < n && s[at + 1] == s[at] && depth == 0) {
            td_strbuf_addc(&ev->out, s[at++]);
            continue;
        }
        const size_t start = at + 1;
        int open = s[at] == '{';
        while (open > 0 && ++at < n) open += (s[at] == '{') - (s[at] == '}');
        if (at >= n || s[start - 1] == '}' || depth > 1) {
            td_jinja_fail(ev, TD_ERR_ARGUMENT, "a single brace, or too many, in a format");
            return false;
        }
        if (!td_jinja_charge(ev, 1) || !format_field(ev, b, s + start, at - start, depth))
            return false;
    }
    return true;
}

const td_value *td_jinja_format(td_jeval *ev, const td_value *format, const td_jcall *call) {
    braces b = {.call = call};
    const size_t mark = ev->out.n;
    if (!format_text(ev, &b, format->u.string.text, format->u.string.n, 0)) return NULL;
    return td_jinja_take(ev, mark);
}
