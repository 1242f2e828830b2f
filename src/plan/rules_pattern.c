/* rules_pattern.c - regular expressions of Python's `re` in PCRE2's words.
 *
 * Most of the two languages is one.  Where PCRE2 has more (\K, (?1), \Q, [[:alpha:]], (*VERB)),
 * Python refuses the pattern or reads it otherwise; where both have the same sign for two things
 * (\v, \Z, {,3}, \12), it is spelled out here.  Of what Python has alone, only \N{...} and the
 * flags a, L and x are refused. */
#include <string.h>

#include "plan/rules_int.h"

enum { MAX_OPEN = 200 };

typedef struct translator {
    const char *p; /* the pattern */
    size_t n, i;   /* i: where we are */
    td_strbuf *out;
    td_err *err;
    bool can_repeat;    /* a quantifier may stand here */
    bool begun;         /* something other than flags and comments has been seen */
    bool repeated;      /* and if not, because one has just stood */
    int open[MAX_OPEN]; /* numbers of the groups we are in; 0: without one */
    int n_open, n_group;
} translator;

static td_status refuse(const translator *t, const char *what) {
    return td_fail(t->err, TD_ERR_UNSUPPORTED, "the pattern fails at byte %zu: %s", t->i, what);
}

/* The byte `ahead` of the current one, or 0 past the end. */
static char peek(const translator *t, size_t ahead) {
    return ahead < t->n - t->i ? t->p[t->i + ahead] : 0;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_octal(char c) { return c >= '0' && c <= '7'; }

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

static int hex_value(char c) {
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* ---- escapes ---- */

/* \xHH, \uHHHH and \UHHHHHHHH, which have exactly so many digits; i stands on the letter. */
static td_status put_hex(translator *t, int n_digit) {
    uint32_t code = 0;
    for (int i = 1; i <= n_digit; i++) {
        const int digit = hex_value(peek(t, (size_t)i));
        if (digit < 0) return refuse(t, "an escape with too few hexadecimal digits");
        code = code << 4 | (uint32_t)digit;
    }
    if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
        return refuse(t, "an escape that is no character");
    td_strbuf_addf(t->out, "\\x{%x}", code);
    t->i += (size_t)n_digit + 1;
    return TD_OK;
}

/* Up to three octal digits from i on. */
static td_status put_octal(translator *t) {
    unsigned code = 0;
    for (int k = 0; k < 3 && is_octal(peek(t, 0)); k++)
        code = code * 8 + (unsigned)(t->p[t->i++] - '0');
    if (code > 0377) return refuse(t, "an octal escape beyond \\377");
    td_strbuf_addf(t->out, "\\x{%x}", code);
    return TD_OK;
}

/* \1 to \99, or three octal digits. */
static td_status put_number(translator *t) {
    const char a = peek(t, 0), b = peek(t, 1);
    if (a == '0') return put_octal(t);
    if (is_octal(a) && is_octal(b) && is_octal(peek(t, 2))) return put_octal(t);
    int group = a - '0';
    if (is_digit(b)) group = group * 10 + (b - '0');
    if (group > t->n_group) return refuse(t, "a reference to a group that there is not");
    for (int k = 0; k < t->n_open; k++)
        if (t->open[k] == group) return refuse(t, "a reference to a group from its inside");
    td_strbuf_addf(t->out, "\\g{%d}", group);
    t->i += is_digit(b) ? 2 : 1;
    return TD_OK;
}

/* What both kinds of escapes have in common; i stands behind the backslash. */
static td_status put_character_escape(translator *t) {
    const char c = peek(t, 0);
    if (c == 'x') return put_hex(t, 2);
    if (c == 'u') return put_hex(t, 4);
    if (c == 'U') return put_hex(t, 8);
    if (c == 'N') return refuse(t, "\\N is not supported");
    if (c == 'v') {
        td_strbuf_adds(t->out, "\\x0b");
    } else {
        if (is_letter(c) && !strchr("abdDfnrsStwW", c)) return refuse(t, "an unknown escape");
        td_strbuf_addf(t->out, "\\%c", c);
    }
    t->i++;
    return TD_OK;
}

/* Outside of [...]; i stands on the backslash. */
static td_status put_escape(translator *t) {
    if (++t->i == t->n) return refuse(t, "a backslash at the end");
    const char c = peek(t, 0);
    t->can_repeat = c == 0 || !strchr("AbBZ", c);
    t->repeated = false;
    if (is_digit(c)) return put_number(t);
    if (c == 0) {
        td_strbuf_adds(t->out, "\\x{0}");
        t->i++;
        return TD_OK;
    }
    if (!strchr("ABZ", c)) return put_character_escape(t);
    /* \B finds nothing in an empty text, and \Z means the very end. */
    td_strbuf_adds(t->out, c == 'A' ? "\\A" : c == 'Z' ? "\\z" : "(?!\\A\\z)\\B");
    t->i++;
    return TD_OK;
}

/* ---- [...] ---- */

static td_status put_member(translator *t) {
    const char c = peek(t, 0);
    if (c == '[') { /* [:alpha:] is no class in Python, just characters */
        td_strbuf_adds(t->out, "\\[");
        t->i++;
        return TD_OK;
    }
    if (c != '\\') {
        if (c == ':' || c == '.' || c == '=') td_strbuf_addc(t->out, '\\');
        td_strbuf_addc(t->out, c);
        t->i++;
        return TD_OK;
    }
    if (++t->i == t->n) return refuse(t, "a backslash at the end");
    if (is_octal(peek(t, 0))) return put_octal(t);
    if (is_digit(peek(t, 0))) return refuse(t, "an unknown escape");
    return put_character_escape(t);
}

static td_status put_set(translator *t) {
    td_strbuf_addc(t->out, '[');
    t->i++;
    if (peek(t, 0) == '^') {
        td_strbuf_addc(t->out, '^');
        t->i++;
    }
    if (peek(t, 0) == ']') { /* in the first place it is a member */
        td_strbuf_adds(t->out, "\\]");
        t->i++;
    }
    while (t->i < t->n && peek(t, 0) != ']') TD_TRY(put_member(t));
    if (t->i == t->n) return refuse(t, "'[' without ']'");
    td_strbuf_addc(t->out, ']');
    t->i++;
    t->can_repeat = true;
    t->repeated = false;
    return TD_OK;
}

/* ---- groups ---- */

static td_status open_group(translator *t, int number) {
    if (t->n_open == MAX_OPEN) return refuse(t, "more than 200 groups inside of each other");
    t->open[t->n_open++] = number;
    t->can_repeat = t->repeated = false;
    return TD_OK;
}

/* Bytes of the ASCII identifier at the front. */
static size_t identifier_length(const char *s, size_t n) {
    size_t i = 0;
    while (i < n && (is_letter(s[i]) || s[i] == '_' || (i > 0 && is_digit(s[i])))) i++;
    return i;
}

/* Whether a group of this name has begun before. */
static bool is_named_before(const translator *t, const char *name, size_t n) {
    for (size_t i = 0; i + n + 5 <= t->i; i++)
        if (memcmp(t->p + i, "(?P<", 4) == 0 && memcmp(t->p + i + 4, name, n) == 0 &&
            t->p[i + 4 + n] == '>')
            return true;
    return false;
}

/* (?P<name> and (?P=name); i stands on the P. */
static td_status put_named(translator *t) {
    const char sign = peek(t, 1);
    if (sign != '<' && sign != '=') return refuse(t, "an unknown kind of group");
    const char *name = t->p + t->i + 2;
    const size_t n = identifier_length(name, t->n - t->i - 2);
    const char end = sign == '<' ? '>' : ')';
    if (n == 0 || peek(t, 2 + n) != end)
        return refuse(t, "a group's name that is no ASCII identifier");
    if (sign == '=' && !is_named_before(t, name, n))
        return refuse(t, "a reference to a group that there is not");
    td_strbuf_adds(t->out, "(?");
    td_strbuf_add(t->out, t->p + t->i, n + 3);
    t->i += n + 3;
    if (sign == '<') return open_group(t, ++t->n_group);
    t->can_repeat = true;
    t->repeated = false;
    return TD_OK;
}

/* (?(1)a|b) and (?(name)a|b); i stands on the inner parenthesis. */
static td_status put_condition(translator *t) {
    const char *name = t->p + t->i + 1;
    const size_t n_left = t->n - t->i - 1;
    size_t n_digit = 0;
    while (n_digit < n_left && is_digit(name[n_digit])) n_digit++;
    const size_t n = n_digit > 0 ? n_digit : identifier_length(name, n_left);
    if (n == 0 || peek(t, 1 + n) != ')') return refuse(t, "a condition that names no group");
    td_strbuf_adds(t->out, n_digit > 0 ? "(?(" : "(?(<");
    td_strbuf_add(t->out, name, n);
    td_strbuf_adds(t->out, n_digit > 0 ? ")" : ">)");
    t->i += n + 2;
    return open_group(t, 0);
}

/* (?i) for all of the pattern, at its front alone, and (?i-s:...); i stands on the first letter. */
static td_status put_flags(translator *t) {
    const bool at_front = !t->begun;
    bool minus = false;
    td_strbuf_adds(t->out, "(?");
    for (; t->i < t->n && !strchr("):", peek(t, 0)); t->i++) {
        const char c = peek(t, 0);
        if (c == '-' && !minus)
            minus = true;
        else if (c && strchr("aLx", c))
            return refuse(t, "the flags a, L and x are not supported");
        else if (c == 0 || !strchr("imsu", c) || (c == 'u' && minus))
            return refuse(t, "an unknown kind of group");
        if (c != 'u') td_strbuf_addc(t->out, c);
    }
    if (peek(t, 0) == 0) return refuse(t, "'(' without ')'");
    const bool is_group = t->p[t->i++] == ':';
    td_strbuf_addc(t->out, is_group ? ':' : ')');
    t->begun = is_group || t->begun;
    if (is_group) return open_group(t, 0);
    if (!at_front || minus) return refuse(t, "flags that are not at the front");
    return TD_OK;
}

/* (?#...); i stands on the hash. */
static td_status skip_comment(translator *t) {
    const char *end = memchr(t->p + t->i, ')', t->n - t->i);
    if (!end) return refuse(t, "'(' without ')'");
    t->i = (size_t)(end - t->p) + 1;
    return TD_OK;
}

static td_status put_group(translator *t) {
    if (peek(t, 1) != '?') {
        td_strbuf_addc(t->out, '(');
        t->i++;
        return open_group(t, ++t->n_group);
    }
    t->i += 2;
    const char c = peek(t, 0);
    if (c == '#') return skip_comment(t);
    if ((is_letter(c) && c != 'P') || c == '-') return put_flags(t);
    t->begun = true;
    if (c == 'P') return put_named(t);
    if (c == '(') return put_condition(t);
    const bool behind = c == '<' && (peek(t, 1) == '=' || peek(t, 1) == '!');
    if (c == 0 || (!strchr(":=!>", c) && !behind)) return refuse(t, "an unknown kind of group");
    td_strbuf_addf(t->out, "(?%c", c);
    if (behind) td_strbuf_addc(t->out, peek(t, 1));
    t->i += behind ? 2 : 1;
    return open_group(t, 0);
}

/* ---- quantifiers ---- */

/* The length of {m}, {m,}, {,n} or {m,n} at i; 0: the brace is a brace. */
static size_t braces_length(const translator *t) {
    size_t k = 1;
    while (is_digit(peek(t, k))) k++;
    const bool low = k > 1, comma = peek(t, k) == ',';
    if (comma) k++;
    while (comma && is_digit(peek(t, k))) k++;
    return peek(t, k) == '}' && (low || comma) ? k + 1 : 0;
}

static td_status put_quantifier(translator *t, size_t n) {
    if (!t->can_repeat)
        return refuse(t, t->repeated ? "two quantifiers in a row" : "nothing to repeat");
    if (n > 1 && peek(t, 1) == ',') {
        td_strbuf_adds(t->out, "{0");
        td_strbuf_add(t->out, t->p + t->i + 1, n - 1);
    } else {
        td_strbuf_add(t->out, t->p + t->i, n);
    }
    t->i += n;
    if (peek(t, 0) == '?' || peek(t, 0) == '+') td_strbuf_addc(t->out, t->p[t->i++]);
    t->can_repeat = false;
    t->repeated = true;
    return TD_OK;
}

static td_status put_literal(translator *t, const char *text) {
    td_strbuf_adds(t->out, text);
    t->i++;
    t->can_repeat = true;
    t->repeated = false;
    return TD_OK;
}

static td_status put_one(translator *t) {
    const char c = peek(t, 0);
    const size_t n_braces = c == '{' ? braces_length(t) : 0;
    if (c != '(' || peek(t, 1) != '?') t->begun = true;
    switch (c) {
    case 0: return put_literal(t, "\\x{0}");
    case '\\': return put_escape(t);
    case '[': return put_set(t);
    case '(': return put_group(t);
    case '*':
    case '+':
    case '?': return put_quantifier(t, 1);
    case '{': return n_braces > 0 ? put_quantifier(t, n_braces) : put_literal(t, "\\{");
    case ')':
        if (t->n_open == 0) return refuse(t, "')' without '('");
        t->n_open--;
        return put_literal(t, ")");
    default: break;
    }
    const char text[2] = {c, 0};
    TD_TRY(put_literal(t, text));
    if (strchr("^$|", c)) t->can_repeat = false;
    return TD_OK;
}

td_status td_rules_translate(const char *pattern, size_t n, td_strbuf *out, td_err *err) {
    translator t = {.p = pattern, .n = n, .out = out, .err = err};
    if (n > TD_RULES_MAX_PATTERN)
        return td_fail(err, TD_ERR_UNSUPPORTED, "the pattern has %zu bytes, at most %d are read", n,
                       TD_RULES_MAX_PATTERN);
    while (t.i < n) TD_TRY(put_one(&t));
    if (t.n_open > 0) return refuse(&t, "'(' without ')'");
    return td_strbuf_check(out, "a pattern", err);
}
