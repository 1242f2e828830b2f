/* value_str.c - values as Python's str() and repr() write them. */
#include "text/value_int.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/pystr.h"

const char *td_value_type_name(const td_value *v) {
    static const char *const of_type[] = {"Undefined", "NoneType", "bool", "int",     "float",
                                          "str",       "list",     "dict", "function"};
    switch (v->kind) {
    case TD_KIND_MARKUP: return "Markup";
    case TD_KIND_TUPLE: return "tuple";
    case TD_KIND_RANGE: return "range";
    case TD_KIND_ITER: return "generator";
    case TD_KIND_KEYS: return "dict_keys";
    case TD_KIND_VALUES: return "dict_values";
    case TD_KIND_ITEMS: return "dict_items";
    case TD_KIND_NAMESPACE: return "Namespace";
    case TD_KIND_MACRO: return "Macro";
    case TD_KIND_LOOP: return "LoopContext";
    case TD_KIND_CYCLER: return "Cycler";
    case TD_KIND_JOINER: return "Joiner";
    default: return of_type[v->type];
    }
}

/* Makes the last digit of text (as %e writes it) one larger if that reads back as f.  The digits
 * nearest to a power of two may not, and the next ones may: its neighbours above are further apart.
 */
static bool next_reads_back(char *text, double f) {
    char next[40];
    snprintf(next, sizeof next, "%s", text);
    char *last = strchr(next, 'e');
    if (!last || *--last < '0' || *last >= '9') return false;
    ++*last;
    if (strtod(next, NULL) != f) return false;
    memcpy(text, next, sizeof next);
    return true;
}

/* The shortest digits that read back as f, laid out as Python does: an exponent below 1e-4 and from
 * 1e16 on.  The digits are taken out of %e by position, so that the locale's comma is harmless. */
void td_value_add_float(double f, td_strbuf *out) {
    char text[40], digits[24];
    if (isnan(f) || isinf(f)) {
        td_strbuf_adds(out, isnan(f) ? "nan" : f < 0 ? "-inf" : "inf");
        return;
    }
    int precision = 0;
    do snprintf(text, sizeof text, "%.*e", precision, f);
    while (strtod(text, NULL) != f && !next_reads_back(text, f) && ++precision < 17);
    const char *p = text;
    if (*p == '-') {
        td_strbuf_addc(out, '-');
        p++;
    }
    int n = 0;
    for (; *p && *p != 'e'; p++)
        if (*p >= '0' && *p <= '9' && n < (int)sizeof digits) digits[n++] = *p;
    const int exponent = *p == 'e' ? (int)strtol(p + 1, NULL, 10) : 0;
    if (exponent < -4 || exponent >= 16) {
        td_strbuf_add(out, digits, 1);
        if (n > 1) td_strbuf_addc(out, '.');
        td_strbuf_add(out, digits + 1, (size_t)n - 1);
        td_strbuf_addf(out, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
        return;
    }
    if (exponent < 0) {
        td_strbuf_adds(out, "0.");
        for (int i = -1; i > exponent; i--) td_strbuf_addc(out, '0');
        td_strbuf_add(out, digits, (size_t)n);
        return;
    }
    for (int i = 0; i <= exponent || i < n; i++) {
        if (i == exponent + 1) td_strbuf_addc(out, '.');
        td_strbuf_addc(out, i < n ? digits[i] : '0');
    }
    if (n <= exponent + 1) td_strbuf_adds(out, ".0");
}

bool td_value_parse_float(const char *text, size_t n, double *out) {
    char buffer[512], *end;
    if (n == 0 || n >= sizeof buffer || memchr(text, 0, n)) return false;
    memcpy(buffer, text, n);
    buffer[n] = 0;
    if (strpbrk(buffer, "xXpP("))
        return false; /* strtod knows hexadecimal floats, Python does not */
    const locale_t plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    if (plain == (locale_t)0) return false;
    *out = strtod_l(buffer, &end, plain);
    freelocale(plain);
    return *end == 0;
}

bool td_value_is_printable(uint32_t c) {
    static const struct {
        uint32_t first, last;
    } hidden[] = {
        {0,       0x1F    },
        {0x7F,    0xA0    },
        {0xAD,    0xAD    },
        {0x600,   0x605   },
        {0x61C,   0x61C   },
        {0x6DD,   0x6DD   },
        {0x70F,   0x70F   },
        {0x1680,  0x1680  },
        {0x180E,  0x180E  },
        {0x2000,  0x200F  },
        {0x2028,  0x202F  },
        {0x205F,  0x206F  },
        {0x3000,  0x3000  },
        {0xD800,  0xF8FF  },
        {0xFEFF,  0xFEFF  },
        {0xFFF0,  0xFFFB  },
        {0xFFFE,  0xFFFF  },
        {0x110BD, 0x110BD },
        {0x1BCA0, 0x1BCA3 },
        {0x1D173, 0x1D17A },
        {0xE0000, 0xE00FF },
        {0xE01F0, 0x10FFFF},
        {0x1FFFE, 0x1FFFF },
        {0x2FFFE, 0x2FFFF }
    };
    for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++)
        if (c >= hidden[i].first && c <= hidden[i].last) return false;
    return true;
}

void td_value_add_quoted(const char *text, size_t n, bool ascii, td_strbuf *out) {
    const char quote = memchr(text, '\'', n) && !memchr(text, '"', n) ? '"' : '\'';
    td_strbuf_addc(out, quote);
    for (size_t at = 0, len; at < n; at += len) {
        const uint32_t c = td_pystr_decode(text + at, n - at, &len);
        if (c == '\n')
            td_strbuf_adds(out, "\\n");
        else if (c == '\r')
            td_strbuf_adds(out, "\\r");
        else if (c == '\t')
            td_strbuf_adds(out, "\\t");
        else if (c == '\\' || c == (uint32_t)quote)
            td_strbuf_addf(out, "\\%c", (char)c);
        else if (c < 0x20 || c == 0x7F)
            td_strbuf_addf(out, "\\x%02x", (unsigned)c);
        else if (c < 0x7F || (!ascii && td_value_is_printable(c)))
            td_strbuf_add(out, text + at, len);
        else if (c < 0x100)
            td_strbuf_addf(out, "\\x%02x", (unsigned)c);
        else if (c < 0x10000)
            td_strbuf_addf(out, "\\u%04x", (unsigned)c);
        else
            td_strbuf_addf(out, "\\U%08x", (unsigned)c);
    }
    td_strbuf_addc(out, quote);
}

static void add_repr(const td_value *v, int depth, td_strbuf *out);

static void add_map(const td_value *v, int depth, td_strbuf *out) {
    td_strbuf_adds(out, v->kind == TD_KIND_NAMESPACE ? "<Namespace {" : "{");
    for (size_t i = 0; i < v->u.map.n; i++) {
        if (i) td_strbuf_adds(out, ", ");
        add_repr(v->u.map.entries[i].key, depth + 1, out);
        td_strbuf_adds(out, ": ");
        add_repr(v->u.map.entries[i].item, depth + 1, out);
    }
    td_strbuf_adds(out, v->kind == TD_KIND_NAMESPACE ? "}>" : "}");
}

static void add_list(const td_value *v, int depth, td_strbuf *out) {
    const char *open = "[", *close = "]";
    if (v->kind == TD_KIND_TUPLE) open = "(", close = v->u.list.n == 1 ? ",)" : ")";
    if (v->kind == TD_KIND_KEYS) open = "dict_keys([", close = "])";
    if (v->kind == TD_KIND_VALUES) open = "dict_values([", close = "])";
    if (v->kind == TD_KIND_ITEMS) open = "dict_items([", close = "])";
    td_strbuf_adds(out, open);
    for (size_t i = 0; i < v->u.list.n; i++) {
        if (i) td_strbuf_adds(out, ", ");
        add_repr(v->u.list.items[i], depth + 1, out);
    }
    td_strbuf_adds(out, close);
}

static void add_range(const td_value *v, td_strbuf *out) {
    const long long start = v->u.range.start, stop = v->u.range.stop, step = v->u.range.step;
    td_strbuf_addf(out, "range(%lld, %lld", start, stop);
    if (step != 1) td_strbuf_addf(out, ", %lld", step);
    td_strbuf_addc(out, ')');
}

static void add_repr(const td_value *v, int depth, td_strbuf *out) {
    if (depth > TD_VALUE_MAX_DEPTH && !out->failed) out->failed = TD_ERR_LIMIT;
    if (out->failed) return;
    switch (v->type) {
    case TD_VALUE_UNDEFINED: td_strbuf_adds(out, "Undefined"); break;
    case TD_VALUE_NONE: td_strbuf_adds(out, "None"); break;
    case TD_VALUE_BOOL: td_strbuf_adds(out, v->u.boolean ? "True" : "False"); break;
    case TD_VALUE_INT: td_strbuf_addf(out, "%lld", (long long)v->u.integer); break;
    case TD_VALUE_FLOAT: td_value_add_float(v->u.real, out); break;
    case TD_VALUE_STRING:
        if (v->kind == TD_KIND_MARKUP) td_strbuf_adds(out, "Markup(");
        td_value_add_quoted(v->u.string.text, v->u.string.n, false, out);
        if (v->kind == TD_KIND_MARKUP) td_strbuf_addc(out, ')');
        break;
    case TD_VALUE_MAP: add_map(v, depth, out); break;
    case TD_VALUE_LIST:
        if (v->kind == TD_KIND_RANGE)
            add_range(v, out);
        else if (v->kind == TD_KIND_ITER)
            td_strbuf_adds(out, "<generator object>");
        else
            add_list(v, depth, out);
        break;
    case TD_VALUE_CALLABLE: td_strbuf_addf(out, "<%s>", td_value_type_name(v)); break;
    }
}

void td_value_add_repr(const td_value *v, td_strbuf *out) { add_repr(v, 0, out); }

void td_value_add_str(const td_value *v, td_strbuf *out) {
    if (v->type == TD_VALUE_STRING)
        td_strbuf_add(out, v->u.string.text, v->u.string.n);
    else if (v->type != TD_VALUE_UNDEFINED)
        add_repr(v, 0, out);
}
