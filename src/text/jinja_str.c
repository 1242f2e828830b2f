/* jinja_str.c - methods of str for case, padding and classes of characters. */
#include <string.h>

#include "text/jinja_int.h"
#include "text/pystr.h"

/* ---- case ---- */

static const td_value *m_upper(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)call;
    return td_jinja_convert(ev, v, TD_PYSTR_UPPER);
}

static const td_value *m_lower(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)call;
    return td_jinja_convert(ev, v, TD_PYSTR_LOWER);
}

static const td_value *m_casefold(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)call;
    return td_jinja_convert(ev, v, TD_PYSTR_FOLD);
}

static const td_value *m_capitalize(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)call;
    return td_jinja_convert(ev, v, TD_PYSTR_CAPITALIZE);
}

static const td_value *m_title(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)call;
    return td_jinja_convert(ev, v, TD_PYSTR_TITLE);
}

static const td_value *m_swapcase(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)call;
    return td_jinja_convert(ev, v, TD_PYSTR_SWAP);
}

/* Whether v stays as it is under one conversion and changes under another. */
static const td_value *is_case(td_jeval *ev, const td_value *v, int same, int changed) {
    const td_value *a = td_jinja_convert(ev, v, same);
    const td_value *b = a ? td_jinja_convert(ev, v, changed) : NULL;
    if (!b) return NULL;
    const int is_same = td_jinja_equal(ev, v, a), is_other = td_jinja_equal(ev, v, b);
    return is_same < 0 || is_other < 0 ? NULL : td_value_from_bool(is_same && !is_other);
}

static const td_value *m_islower(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)call;
    return is_case(ev, v, TD_PYSTR_LOWER, TD_PYSTR_UPPER);
}

static const td_value *m_isupper(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)call;
    return is_case(ev, v, TD_PYSTR_UPPER, TD_PYSTR_LOWER);
}

static const td_value *m_istitle(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)call;
    return is_case(ev, v, TD_PYSTR_TITLE, TD_PYSTR_SWAP);
}

/* ---- classes ---- */

static const td_value *matches(td_jeval *ev, const td_value *v, const char *pattern) {
    td_status failed = TD_OK;
    if (!td_jinja_charge(ev, 4 + v->u.string.n / 64)) return NULL;
    const bool is = td_pystr_matches(v->u.string.text, v->u.string.n, pattern, &failed);
    if (failed) return td_jinja_fail(ev, failed, "out of memory");
    return td_value_from_bool(is);
}

static const td_value *m_isalpha(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)call;
    return matches(ev, v, "\\p{L}++");
}

static const td_value *m_isalnum(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)call;
    return matches(ev, v, "[\\p{L}\\p{N}]++");
}

static const td_value *m_isdecimal(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)call;
    return matches(ev, v, "\\p{Nd}++");
}

/* Decimal digits and those above and below the line, or in circles. */
static const td_value *m_isdigit(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)call;
    return matches(ev, v,
                   "[\\p{Nd}\\x{b2}\\x{b3}\\x{b9}\\x{2070}\\x{2074}-\\x{2079}\\x{2080}-\\x{2089}"
                   "\\x{2460}-\\x{2468}\\x{2474}-\\x{247c}\\x{2488}-\\x{2490}\\x{2776}-\\x{277e}"
                   "\\x{2780}-\\x{2788}\\x{278a}-\\x{2792}]++");
}

static const td_value *m_isnumeric(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)call;
    return matches(ev, v, "\\p{N}++");
}

static const td_value *m_isspace(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)call;
    const char *s = v->u.string.text;
    size_t n = v->u.string.n;
    if (!td_jinja_charge(ev, n / 64)) return NULL;
    td_pystr_strip(&s, &n, NULL, 0, TD_PYSTR_LEFT);
    return td_value_from_bool(n == 0 && v->u.string.n > 0);
}

static const td_value *m_isascii(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)ev, (void)call;
    return td_value_from_bool(v->u.string.n == v->u.string.n_char);
}

static const td_value *m_isprintable(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)call;
    if (!td_jinja_charge(ev, v->u.string.n / 64)) return NULL;
    for (size_t at = 0, len; at < v->u.string.n; at += len)
        if (!td_value_is_printable(
                td_pystr_decode(v->u.string.text + at, v->u.string.n - at, &len)))
            return &td_value_const_false;
    return &td_value_const_true;
}

static const td_value *m_isidentifier(td_jeval *ev, const td_value *v, const td_jcall *call) {
    (void)call;
    return matches(ev, v, "[\\p{L}\\p{Nl}_][\\p{L}\\p{Nl}\\p{Mn}\\p{Mc}\\p{Nd}\\p{Pc}]*+");
}

/* ---- padding ---- */

static const td_value *pad(td_jeval *ev, const td_value *v, const td_jcall *call, int n_side) {
    int64_t width;
    const char *filler = " ";
    size_t n_filler = 1;
    if (!td_jinja_param_int(ev, call, 0, &width)) return NULL;
    if (call->param[1] && !td_jinja_param_text(ev, call, 1, &filler, &n_filler)) return NULL;
    if (td_pystr_count(filler, n_filler) != 1)
        return td_jinja_fail(ev, TD_ERR_ARGUMENT, "text is filled up with one character");
    const int64_t n = (int64_t)v->u.string.n_char;
    if (width <= n) return v;
    const int64_t missing = width - n; /* Python puts the odd one left when the width is odd */
    const int64_t left = n_side == 2   ? missing / 2 + (missing & width & 1)
                         : n_side == 1 ? missing
                                       : 0;
    const size_t mark = ev->out.n;
    for (int64_t i = 0; i <= missing && !ev->out.failed; i++) {
        if (i == left) td_strbuf_add(&ev->out, v->u.string.text, v->u.string.n);
        if (i < missing) td_strbuf_add(&ev->out, filler, n_filler);
    }
    return td_jinja_take(ev, mark);
}

static const td_value *m_ljust(td_jeval *ev, const td_value *v, const td_jcall *call) {
    return pad(ev, v, call, 0);
}

static const td_value *m_rjust(td_jeval *ev, const td_value *v, const td_jcall *call) {
    return pad(ev, v, call, 1);
}

static const td_value *m_center(td_jeval *ev, const td_value *v, const td_jcall *call) {
    return pad(ev, v, call, 2);
}

static const td_value *m_zfill(td_jeval *ev, const td_value *v, const td_jcall *call) {
    int64_t width;
    if (!td_jinja_param_int(ev, call, 0, &width)) return NULL;
    const char *s = v->u.string.text;
    const bool is_signed = *s == '-' || *s == '+';
    const size_t mark = ev->out.n;
    if (is_signed) td_strbuf_addc(&ev->out, *s);
    for (int64_t n = (int64_t)v->u.string.n_char; n < width && !ev->out.failed; n++)
        td_strbuf_addc(&ev->out, '0');
    td_strbuf_add(&ev->out, s + is_signed, v->u.string.n - is_signed);
    return td_jinja_take(ev, mark);
}

static const td_value *m_expandtabs(td_jeval *ev, const td_value *v, const td_jcall *call) {
    int64_t size = 8, column = 0;
    if (call->param[0] && !td_jinja_param_int(ev, call, 0, &size)) return NULL;
    const size_t n = v->u.string.n, mark = ev->out.n;
    for (size_t at = 0, len; at < n && !ev->out.failed; at += len) {
        const uint32_t c = td_pystr_decode(v->u.string.text + at, n - at, &len);
        if (c != '\t') {
            td_strbuf_add(&ev->out, v->u.string.text + at, len);
            column = c == '\n' || c == '\r' ? 0 : column + 1;
            continue;
        }
        for (int64_t k = size > 0 ? size - column % size : 0; k > 0 && !ev->out.failed;
             k--, column++)
            td_strbuf_addc(&ev->out, ' ');
    }
    return td_jinja_take(ev, mark);
}

/* ---- format ---- */

static const td_value *m_format_map(td_jeval *ev, const td_value *v, const td_jcall *call) {
    if (call->param[0]->type != TD_VALUE_MAP)
        return td_jinja_fail(ev, TD_ERR_ARGUMENT, "format_map wants a dict");
    const td_jcall inner = {.kw = call->param[0]};
    return td_jinja_format(ev, v, &inner);
}

const td_jfunction td_jinja_case_methods[] = {
    {"upper",        m_upper,         0,  {NULL}               },
    {"lower",        m_lower,         0,  {NULL}               },
    {"casefold",     m_casefold,      0,  {NULL}               },
    {"capitalize",   m_capitalize,    0,  {NULL}               },
    {"title",        m_title,         0,  {NULL}               },
    {"swapcase",     m_swapcase,      0,  {NULL}               },
    {"islower",      m_islower,       0,  {NULL}               },
    {"isupper",      m_isupper,       0,  {NULL}               },
    {"istitle",      m_istitle,       0,  {NULL}               },
    {"isalpha",      m_isalpha,       0,  {NULL}               },
    {"isalnum",      m_isalnum,       0,  {NULL}               },
    {"isdigit",      m_isdigit,       0,  {NULL}               },
    {"isdecimal",    m_isdecimal,     0,  {NULL}               },
    {"isnumeric",    m_isnumeric,     0,  {NULL}               },
    {"isspace",      m_isspace,       0,  {NULL}               },
    {"isascii",      m_isascii,       0,  {NULL}               },
    {"isidentifier", m_isidentifier,  0,  {NULL}               },
    {"isprintable",  m_isprintable,   0,  {NULL}               },
    {"ljust",        m_ljust,         1,  {"width", "fillchar"}},
    {"rjust",        m_rjust,         1,  {"width", "fillchar"}},
    {"center",       m_center,        1,  {"width", "fillchar"}},
    {"zfill",        m_zfill,         1,  {"width"}            },
    {"expandtabs",   m_expandtabs,    0,  {"tabsize"}          },
    {"format",       td_jinja_format, -1, {NULL}               },
    {"format_map",   m_format_map,    1,  {"map"}              },
    {NULL,           NULL,            0,  {NULL}               },
};
