/* jinja_lex.c - from template source to tokens, whitespace control included.
 *
 * Newlines are made \n and one at the very end is dropped.  trim_blocks: a newline right behind a
 * block's or comment's end goes.  lstrip_blocks: blanks between the line's start and a block or
 * comment go.  A "-" inside a tag strips all whitespace on that side, a "+" keeps it. */
#include <string.h>

#include "base/alloc.h"
#include "text/jinja_int.h"
#include "text/pystr.h"

enum { MAX_BRACKETS = 200 };

typedef struct lexer {
    td_jtokens *out;
    td_arena *arena;
    const char *name;
    const char *s; /* in the arena, newlines normalized */
    size_t n, at;
    int line;
    char brackets[MAX_BRACKETS]; /* closing characters still wanted */
    int n_bracket;
    td_err *err;
} lexer;

static td_status fail_at(const lexer *lx, int line, const char *what, const char *detail) {
    return td_fail(lx->err, TD_ERR_FORMAT, "%s, line %d: %s%s", lx->name, line, what, detail);
}

static td_status push(lexer *lx, td_jtoken token) {
    td_jtokens *out = lx->out;
    TD_TRY(td_grow((void **)&out->items, &out->cap, out->n + 1, sizeof *out->items, "tokens",
                   lx->err));
    out->items[out->n++] = token;
    return TD_OK;
}

static void advance(lexer *lx, size_t n) {
    for (size_t i = 0; i < n; i++) lx->line += lx->s[lx->at + i] == '\n';
    lx->at += n;
}

static bool has(const lexer *lx, size_t at, const char *text) {
    const size_t n = strlen(text);
    return n <= lx->n - at && memcmp(lx->s + at, text, n) == 0;
}

static size_t skip_space(const lexer *lx, size_t at) {
    for (size_t len; at < lx->n; at += len)
        if (!td_pystr_is_space(td_pystr_decode(lx->s + at, lx->n - at, &len))) break;
    return at;
}

/* ---- the text between tags ---- */

/* Text that ends where a tag begins: `sign` is the tag's, or 0. */
static td_status push_data(lexer *lx, size_t start, size_t end, char sign, bool may_lstrip) {
    const int line = lx->line;
    const char *text = lx->s + start;
    size_t n = end - start;
    if (sign == '-') {
        td_pystr_strip(&text, &n, NULL, 0, TD_PYSTR_RIGHT);
    } else if (sign != '+' && may_lstrip) {
        size_t line_start = n;
        while (line_start > 0 && text[line_start - 1] != '\n') line_start--;
        if (line_start > 0 || start == 0 || lx->s[start - 1] == '\n') {
            size_t n_kept = n;
            td_pystr_strip(&text, &n_kept, NULL, 0, TD_PYSTR_RIGHT);
            if (n_kept <= line_start) n = line_start;
        }
    }
    advance(lx, end - start);
    if (n == 0) return TD_OK;
    return push(lx, (td_jtoken){.type = TD_JTOKEN_DATA, .line = line, .text = text, .n = n});
}

/* If a {% raw %} (or another bare tag) stands at `at`: the offset behind it, else 0.  *sign_end is
 * set when it ended in -%} or +%}. */
static size_t match_bare_tag(const lexer *lx, size_t at, const char *word, char *sign_end) {
    if (!has(lx, at, "{%")) return 0;
    at += 2;
    if (at < lx->n && (lx->s[at] == '-' || lx->s[at] == '+')) at++;
    at = skip_space(lx, at);
    if (!has(lx, at, word)) return 0;
    at = skip_space(lx, at + strlen(word));
    *sign_end = 0;
    if (has(lx, at, "-%}") || has(lx, at, "+%}")) *sign_end = lx->s[at++];
    return has(lx, at, "%}") ? at + 2 : 0;
}

static size_t behind_end(const lexer *lx, size_t at, char sign) {
    if (sign == '-') return skip_space(lx, at);
    return sign != '+' && at < lx->n && lx->s[at] == '\n' ? at + 1 : at;
}

static char sign_at(const lexer *lx, size_t at) {
    return at < lx->n && (lx->s[at] == '-' || lx->s[at] == '+') ? lx->s[at] : 0;
}

static td_status lex_raw(lexer *lx, size_t body) {
    const int line = lx->line;
    advance(lx, body - lx->at);
    for (size_t at = body; at < lx->n; at++) {
        char sign_end;
        const size_t end = match_bare_tag(lx, at, "endraw", &sign_end);
        if (!end) continue;
        TD_TRY(push_data(lx, body, at, sign_at(lx, at + 2), true));
        advance(lx, behind_end(lx, end, sign_end) - lx->at);
        return TD_OK;
    }
    if (body == lx->n) return TD_OK; /* nothing left: Jinja lets it pass */
    return fail_at(lx, line, "{% raw %} without its {% endraw %}", "");
}

static td_status lex_comment(lexer *lx) {
    const int line = lx->line;
    size_t at = lx->at + 2;
    if (sign_at(lx, at)) at++;
    const int64_t end = td_pystr_find(lx->s + at, lx->n - at, "#}", 2);
    if (at == lx->n) { /* nothing left: Jinja lets it pass */
        advance(lx, at - lx->at);
        return TD_OK;
    }
    if (end < 0) return fail_at(lx, line, "a comment without its end #}", "");
    const size_t close = at + (size_t)end;
    const char sign = close > at ? sign_at(lx, close - 1) : 0;
    advance(lx, behind_end(lx, close + 2, sign) - lx->at);
    return TD_OK;
}

/* ---- inside tags ---- */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static int digit_value(char c) {
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return 99;
}

/* The end of digits of `base` from `at` on, with single underscores between them. */
static size_t skip_digits(const lexer *lx, size_t at, int base) {
    while (at < lx->n) {
        if (digit_value(lx->s[at]) < base)
            at++;
        else if (lx->s[at] == '_' && at + 1 < lx->n && digit_value(lx->s[at + 1]) < base)
            at += 2;
        else
            break;
    }
    return at;
}

/* Where a float literal from lx->at on ends; 0 if there is none. */
static size_t match_float(const lexer *lx) {
    if (lx->at > 0 && lx->s[lx->at - 1] == '.') return 0;
    size_t at = skip_digits(lx, lx->at, 10);
    bool is_float = false;
    if (at + 1 < lx->n && lx->s[at] == '.' && is_digit(lx->s[at + 1])) {
        at = skip_digits(lx, at + 1, 10);
        is_float = true;
    }
    if (at < lx->n && (lx->s[at] == 'e' || lx->s[at] == 'E')) {
        size_t digits = at + 1;
        if (digits < lx->n && (lx->s[digits] == '+' || lx->s[digits] == '-')) digits++;
        if (digits < lx->n && is_digit(lx->s[digits])) return skip_digits(lx, digits, 10);
    }
    return is_float ? at : 0;
}

static td_status lex_float(lexer *lx, size_t end) {
    char digits[400];
    size_t n = 0;
    for (size_t i = lx->at; i < end && n < sizeof digits; i++)
        if (lx->s[i] != '_') digits[n++] = lx->s[i];
    td_jtoken token = {.type = TD_JTOKEN_FLOAT, .line = lx->line};
    if (!td_value_parse_float(digits, n, &token.number.real))
        return fail_at(lx, lx->line, "a number that is too long", "");
    advance(lx, end - lx->at);
    return push(lx, token);
}

static td_status lex_int(lexer *lx) {
    int base = 10;
    size_t at = lx->at;
    if (lx->s[at] == '0' && at + 2 < lx->n) {
        const char c = lx->s[at + 1] | 0x20;
        base = c == 'x' ? 16 : c == 'o' ? 8 : c == 'b' ? 2 : 10;
        const size_t first = at + 2 + (lx->s[at + 2] == '_');
        if (base != 10 && first < lx->n && digit_value(lx->s[first]) < base)
            at = first;
        else
            base = 10;
    }
    size_t end = skip_digits(lx, at, base);
    if (base == 10 && lx->s[at] == '0') /* 007 is three numbers to Jinja */
        for (end = at + 1; end < lx->n && (lx->s[end] == '0' || lx->s[end] == '_'); end++) {
        }
    td_jtoken token = {.type = TD_JTOKEN_INT, .line = lx->line};
    for (; at < end; at++) {
        if (lx->s[at] == '_') continue;
        if (__builtin_mul_overflow(token.number.integer, base, &token.number.integer) ||
            __builtin_add_overflow(token.number.integer, digit_value(lx->s[at]),
                                   &token.number.integer))
            return fail_at(lx, lx->line, "an integer beyond 64 bits", "");
    }
    advance(lx, end - lx->at);
    return push(lx, token);
}

/* \xhh, \uhhhh, \Uhhhhhhhh; a pair of surrogates is one character, a lone one U+FFFD. */
static bool unescape_hex(const char *s, size_t n, size_t *at, td_strbuf *out) {
    const size_t wanted = s[*at] == 'x' ? 2 : s[*at] == 'u' ? 4 : 8;
    uint32_t code = 0;
    if (n - *at <= wanted) return false;
    for (size_t i = 1; i <= wanted; i++) {
        if (digit_value(s[*at + i]) > 15) return false;
        code = code << 4 | (uint32_t)digit_value(s[*at + i]);
    }
    *at += wanted;
    if (code >= 0xD800 && code < 0xDC00 && n - *at > 6 && s[*at + 1] == '\\' && s[*at + 2] == 'u') {
        uint32_t low = 0;
        for (size_t i = 3; i <= 6 && digit_value(s[*at + i]) < 16; i++)
            low = low << 4 | (uint32_t)digit_value(s[*at + i]);
        if (low >= 0xDC00 && low < 0xE000) {
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
            *at += 6;
        }
    }
    if (code > 0x10FFFF) return false;
    td_pystr_add(out, code >= 0xD800 && code < 0xE000 ? 0xFFFD : code);
    return true;
}

/* Python's escapes; an unknown one stays as it is, backslash and all. */
static bool unescape(const char *s, size_t n, td_strbuf *out) {
    static const char plain[] = "n\nt\tr\ra\ab\bf\fv\v\\\\''\"\"";
    for (size_t at = 0; at < n; at++) {
        if (s[at] != '\\' || at + 1 >= n) {
            td_strbuf_addc(out, s[at]);
            continue;
        }
        const char c = s[++at];
        const char *p = plain;
        while (*p && *p != c) p += 2;
        if (c == '\n') continue;
        if (*p) {
            td_strbuf_addc(out, p[1]);
        } else if (c == 'x' || c == 'u' || c == 'U') {
            if (!unescape_hex(s, n, &at, out)) return false;
        } else if (c >= '0' && c <= '7') {
            uint32_t code = 0;
            size_t i = 0;
            for (; i < 3 && at + i < n && s[at + i] >= '0' && s[at + i] <= '7'; i++)
                code = code * 8 + (uint32_t)(s[at + i] - '0');
            td_pystr_add(out, code);
            at += i - 1;
        } else if (c == 'N') {
            return false;
        } else {
            td_strbuf_addc(out, '\\');
            td_strbuf_addc(out, c);
        }
    }
    return true;
}

static td_status lex_string(lexer *lx) {
    const char quote = lx->s[lx->at];
    size_t end = lx->at + 1;
    while (end < lx->n && lx->s[end] != quote) end += lx->s[end] == '\\' ? 2 : 1;
    if (end >= lx->n) return fail_at(lx, lx->line, "a string without its closing quote", "");
    const char *text = lx->s + lx->at + 1;
    td_jtoken token = {.type = TD_JTOKEN_STRING, .line = lx->line, .text = text};
    token.n = end - lx->at - 1;
    if (memchr(text, '\\', token.n)) {
        td_strbuf out = {0};
        if (!unescape(text, token.n, &out)) {
            td_strbuf_clear(&out);
            return fail_at(lx, lx->line, "a string with a bad \\x, \\u, \\U or \\N escape", "");
        }
        token.text = out.failed ? NULL : td_arena_strndup(lx->arena, out.n ? out.text : "", out.n);
        token.n = out.n;
        td_strbuf_clear(&out);
        if (!token.text) return td_fail_nomem(lx->err, lx->name, token.n);
    }
    advance(lx, end + 1 - lx->at);
    return push(lx, token);
}

/* What may begin a name: letters of any script, but not the punctuation and symbols between them.
 */
static bool is_letter(uint32_t c) {
    static const struct {
        uint32_t first, last;
    } others[] = {
        {0,       0x40   },
        {0x5B,    0x5E   },
        {0x60,    0x60   },
        {0x7B,    0xA9   },
        {0xAB,    0xB4   },
        {0xB6,    0xB9   },
        {0xBB,    0xBF   },
        {0xD7,    0xD7   },
        {0xF7,    0xF7   },
        {0x2000,  0x2070 },
        {0x20A0,  0x20CF },
        {0x2190,  0x2BFF },
        {0x3000,  0x3004 },
        {0x3008,  0x3020 },
        {0xFF00,  0xFF20 },
        {0xFFFD,  0xFFFD },
        {0x1F000, 0x1FBFF}
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (c >= others[i].first && c <= others[i].last) return false;
    return true;
}

static size_t match_name(const lexer *lx) {
    size_t at = lx->at;
    for (size_t len; at < lx->n; at += len) {
        const uint32_t c = td_pystr_decode(lx->s + at, lx->n - at, &len);
        if (!is_letter(c) && c != '_' && (at == lx->at || c < '0' || c > '9')) break;
    }
    return at;
}

static td_status lex_operator(lexer *lx) {
    static const char *const operators[] = {"//", "**", "==", "!=", ">=", "<="};
    const char c = lx->s[lx->at];
    size_t n = 1;
    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++)
        if (has(lx, lx->at, operators[i])) n = 2;
    if (n == 1 && (c == 0 || !strchr("+-/*%~[](){}><=.:|,;", c))) {
        size_t len;
        char text[5] = {0};
        td_pystr_decode(lx->s + lx->at, lx->n - lx->at, &len);
        memcpy(text, lx->s + lx->at, len);
        return fail_at(lx, lx->line, "unexpected character ", text);
    }
    if (c == '(' || c == '[' || c == '{') {
        if (lx->n_bracket == MAX_BRACKETS)
            return td_fail(lx->err, TD_ERR_LIMIT,
                           "%s, line %d: more than %d brackets in each other", lx->name, lx->line,
                           MAX_BRACKETS);
        lx->brackets[lx->n_bracket++] = c == '(' ? ')' : c == '[' ? ']' : '}';
    } else if (c == ')' || c == ']' || c == '}') {
        const char text[] = {c, 0};
        if (lx->n_bracket == 0 || lx->brackets[lx->n_bracket - 1] != c)
            return fail_at(lx, lx->line, "unexpected ", text);
        lx->n_bracket--;
    }
    const td_jtoken token = {
        .type = TD_JTOKEN_OPERATOR, .line = lx->line, .text = lx->s + lx->at, .n = n};
    advance(lx, n);
    return push(lx, token);
}

/* If the tag ends here: pushes its end. */
static td_status lex_tag_end(lexer *lx, bool is_block, bool *ended) {
    const char *close = is_block ? "%}" : "}}";
    const char sign = sign_at(lx, lx->at);
    const bool with_sign = sign && (is_block || sign == '-') && has(lx, lx->at + 1, close);
    *ended = lx->n_bracket == 0 && (with_sign || has(lx, lx->at, close));
    if (!*ended) return TD_OK;
    const int line = lx->line;
    const size_t behind = lx->at + 2 + with_sign;
    size_t to = behind;
    if (with_sign && sign == '-')
        to = skip_space(lx, behind);
    else if (is_block && !with_sign)
        to = behind_end(lx, behind, 0);
    advance(lx, to - lx->at);
    return push(lx, (td_jtoken){.type = is_block ? TD_JTOKEN_BLOCK_END : TD_JTOKEN_PRINT_END,
                                .line = line});
}

static td_status lex_tag(lexer *lx, bool is_block) {
    TD_TRY(push(lx, (td_jtoken){.type = is_block ? TD_JTOKEN_BLOCK_BEGIN : TD_JTOKEN_PRINT_BEGIN,
                                .line = lx->line}));
    const int line = lx->line;
    advance(lx, sign_at(lx, lx->at + 2) ? 3 : 2);
    lx->n_bracket = 0;
    for (bool ended = false;;) {
        TD_TRY(lex_tag_end(lx, is_block, &ended));
        if (ended) return TD_OK;
        advance(lx, skip_space(lx, lx->at) - lx->at);
        if (lx->at >= lx->n)
            return fail_at(lx, line, is_block ? "a {% without its %}" : "a {{ without its }}", "");
        TD_TRY(lex_tag_end(lx, is_block, &ended));
        if (ended) return TD_OK;
        const char c = lx->s[lx->at];
        const size_t name_end = match_name(lx);
        if (is_digit(c)) {
            const size_t end = match_float(lx);
            TD_TRY(end ? lex_float(lx, end) : lex_int(lx));
        } else if (name_end > lx->at) {
            const td_jtoken token = {.type = TD_JTOKEN_NAME,
                                     .line = lx->line,
                                     .text = lx->s + lx->at,
                                     .n = name_end - lx->at};
            advance(lx, token.n);
            TD_TRY(push(lx, token));
        } else if (c == '\'' || c == '"') {
            TD_TRY(lex_string(lx));
        } else {
            TD_TRY(lex_operator(lx));
        }
    }
}

static td_status lex_all(lexer *lx) {
    while (lx->at < lx->n) {
        const size_t start = lx->at;
        size_t tag = start;
        while (tag < lx->n && !has(lx, tag, "{%") && !has(lx, tag, "{{") && !has(lx, tag, "{#"))
            tag++;
        if (tag >= lx->n) {
            TD_TRY(push_data(lx, start, lx->n, 0, false));
            break;
        }
        const char what = lx->s[tag + 1];
        TD_TRY(push_data(lx, start, tag, sign_at(lx, tag + 2), what != '{'));
        char sign_end = 0;
        const size_t raw = what == '%' ? match_bare_tag(lx, tag, "raw", &sign_end) : 0;
        if (raw && sign_end != '+')
            TD_TRY(lex_raw(lx, sign_end == '-' ? skip_space(lx, raw) : raw));
        else if (what == '#')
            TD_TRY(lex_comment(lx));
        else
            TD_TRY(lex_tag(lx, what == '%'));
    }
    return push(lx, (td_jtoken){.type = TD_JTOKEN_END, .line = lx->line});
}

td_status td_jinja_lex(td_jtokens *out, td_arena *arena, const char *name, const char *source,
                       size_t n, td_err *err) {
    lexer lx = {.out = out, .arena = arena, .name = name, .line = 1, .err = err};
    char *s = td_arena_strndup(arena, source, n);
    if (!s) return td_fail_nomem(err, name, n);
    for (size_t i = 0; i < n; i++) {
        if (source[i] == '\r' && i + 1 < n && source[i + 1] == '\n') continue;
        s[lx.n++] = source[i] == '\r' ? '\n' : source[i];
    }
    if (lx.n > 0 && s[lx.n - 1] == '\n') lx.n--;
    s[lx.n] = 0;
    lx.s = s;
    *out = (td_jtokens){0};
    const td_status status = lex_all(&lx);
    if (status == TD_OK) return TD_OK;
    td_free(out->items);
    *out = (td_jtokens){0};
    return status;
}
