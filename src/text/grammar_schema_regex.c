/* grammar_schema_regex.c - patterns, as ECMA-262 has them, to nodes.
 *
 * What is regular is here: characters, classes, groups, alternation, repetition, and ^ and $ at the
 * ends of the whole or of its branches.  What looks elsewhere (lookaround, back references, \b) is
 * refused by name.  A branch without ^ may begin anywhere in the string, one without $ end
 * anywhere. */
#include <string.h>

#include "text/grammar_schema.h"
#include "text/utf8.h"

enum { MAX_RANGES = 512, MAX_GROUPS = 60 };

typedef struct regex {
    td_gschema *s;
    const char *text, *at_schema;
    size_t n, at;
    int depth;
    td_char_range ranges[MAX_RANGES]; /* of the class being read */
    size_t n_range;
} regex;

static td_gnode *refuse(regex *r, const char *what) {
    return td_gschema_fail(r->s, TD_ERR_UNSUPPORTED, r->at_schema,
                           "%s in the pattern (at byte %zu) is not supported", what, r->at);
}

static td_gnode *malformed(regex *r, const char *what) {
    return td_gschema_fail(r->s, TD_ERR_FORMAT, r->at_schema, "%s in the pattern (at byte %zu)",
                           what, r->at);
}

static int peek(const regex *r) { return r->at < r->n ? (uint8_t)r->text[r->at] : -1; }

static bool starts(const regex *r, const char *t) {
    const size_t n = strlen(t);
    return r->n - r->at >= n && memcmp(r->text + r->at, t, n) == 0;
}

/* ---- characters ---- */

static bool add_range(regex *r, uint32_t lo, uint32_t hi) {
    if (r->n_range >= MAX_RANGES - 2) {
        malformed(r, "a class of too many ranges");
        return false;
    }
    r->ranges[r->n_range++] = (td_char_range){lo, hi};
    return true;
}

/* \d \w \s and their opposites. */
static bool add_kind(regex *r, char kind) {
    static const td_char_range digit[] = {
        {'0', '9'}
    };
    static const td_char_range word[] = {
        {'0', '9'},
        {'A', 'Z'},
        {'_', '_'},
        {'a', 'z'}
    };
    static const td_char_range space[] = {
        {0x09,   0x0D  },
        {0x20,   0x20  },
        {0xA0,   0xA0  },
        {0x1680, 0x1680},
        {0x2000, 0x200A},
        {0x2028, 0x2029},
        {0x202F, 0x202F},
        {0x205F, 0x205F},
        {0x3000, 0x3000},
        {0xFEFF, 0xFEFF}
    };
    const char lower = (char)(kind | 0x20);
    const td_char_range *set = lower == 'd' ? digit : lower == 'w' ? word : space;
    const size_t n = lower == 'd' ? 1 : lower == 'w' ? 4 : 10;
    td_char_range other[16];
    if (kind != lower) {
        const size_t n_other = td_char_ranges_negate(set, n, other);
        for (size_t i = 0; i < n_other; i++)
            if (!add_range(r, other[i].lo, other[i].hi)) return false;
        return true;
    }
    for (size_t i = 0; i < n; i++)
        if (!add_range(r, set[i].lo, set[i].hi)) return false;
    return true;
}

static int hex_of(int c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* n hexadecimal digits; -1 if they are not there. */
static int64_t read_hex(regex *r, int n) {
    int64_t value = 0;
    for (int i = 0; i < n; i++, r->at++) {
        const int digit = hex_of(peek(r));
        if (digit < 0) return -1;
        value = value * 16 + digit;
    }
    return value;
}

static int64_t read_unicode(regex *r) {
    int64_t value = 0;
    if (peek(r) == '{') {
        r->at++;
        if (hex_of(peek(r)) < 0) return -1;
        for (; hex_of(peek(r)) >= 0 && value <= 0x10FFFF; r->at++)
            value = value * 16 + hex_of(peek(r));
        if (peek(r) != '}') return -1;
        r->at++;
        return value;
    }
    value = read_hex(r, 4);
    if (value >= 0xD800 && value <= 0xDBFF && starts(r, "\\u")) {
        r->at += 2;
        const int64_t low = read_hex(r, 4);
        if (low < 0xDC00 || low > 0xDFFF) return -1;
        value = 0x10000 + ((value - 0xD800) << 10) + (low - 0xDC00);
    }
    return value;
}

/* Behind a backslash: one character in *cp, or a kind (\d ...) added to the ranges with *cp -1. */
static bool read_escape(regex *r, bool in_class, int64_t *cp) {
    const int c = peek(r);
    static const char letters[] = "t\tn\nr\rf\fv\v";
    if (c < 0) return malformed(r, "a backslash at the end"), false;
    if (strchr("dDwWsS", c)) {
        r->at++;
        *cp = -1;
        return add_kind(r, (char)c);
    }
    if (c >= '1' && c <= '9') return refuse(r, "a back reference"), false;
    if (c == 'k') return refuse(r, "a named back reference (\\k)"), false;
    if (!in_class && (c == 'b' || c == 'B')) return refuse(r, "a word boundary (\\b)"), false;
    if (c == 'p' || c == 'P') return refuse(r, "a Unicode property (\\p)"), false;
    if (c == 'c') return refuse(r, "a control letter (\\c)"), false;
    r->at++;
    *cp = c;
    for (size_t i = 0; letters[i]; i += 2)
        if (letters[i] == c) *cp = letters[i + 1];
    if (c == 'b') *cp = '\b';
    if (c == '0') *cp = 0;
    if (c == 'x') *cp = read_hex(r, 2);
    if (c == 'u') *cp = read_unicode(r);
    if (*cp < 0 || *cp > 0x10FFFF || (*cp >= 0xD800 && *cp <= 0xDFFF))
        return malformed(r, "an escape that is no character"), false;
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (letter && !strchr("tnrfvbxu", c)) return refuse(r, "an unknown escape"), false;
    if (c >= 0x80) r->at--, *cp = -2;
    return true;
}

static bool read_char(regex *r, int64_t *cp) {
    uint32_t c;
    const int n = td_utf8_decode(r->text + r->at, r->n - r->at, &c);
    if (n <= 0) return malformed(r, "a byte that is not UTF-8"), false;
    r->at += (size_t)n;
    *cp = c;
    return true;
}

/* One end of a range, or a kind (*cp -1). */
static bool read_class_atom(regex *r, int64_t *cp) {
    if (peek(r) != '\\') return read_char(r, cp);
    r->at++;
    if (!read_escape(r, true, cp)) return false;
    return *cp != -2 || read_char(r, cp);
}

static td_gnode *read_class(regex *r) {
    bool negated = false;
    r->at++;
    r->n_range = 0;
    if (peek(r) == '^') {
        negated = true;
        r->at++;
    }
    while (peek(r) != ']') {
        int64_t lo, hi;
        if (peek(r) < 0) return malformed(r, "a class without its closing bracket");
        if (!read_class_atom(r, &lo)) return NULL;
        if (lo < 0) continue;
        hi = lo;
        if (peek(r) == '-' && r->at + 1 < r->n && r->text[r->at + 1] != ']') {
            r->at++;
            if (!read_class_atom(r, &hi)) return NULL;
            if (hi < lo) return malformed(r, "a range that ends before it begins");
        }
        if (!add_range(r, (uint32_t)lo, (uint32_t)hi)) return NULL;
    }
    r->at++;
    return td_gschema_char_of(r->s, r->ranges, r->n_range, negated);
}

static td_gnode *one_char(regex *r, int64_t cp) {
    const td_char_range range = {(uint32_t)cp, (uint32_t)cp};
    return td_gschema_char_of(r->s, &range, 1, false);
}

/* ---- groups and repetitions ---- */

static td_gnode *read_branches(regex *r, bool is_top);

static td_gnode *read_group(regex *r) {
    if (starts(r, "(?=") || starts(r, "(?!")) return refuse(r, "a lookahead");
    if (starts(r, "(?<=") || starts(r, "(?<!")) return refuse(r, "a lookbehind");
    if (starts(r, "(?:")) {
        r->at += 3;
    } else if (starts(r, "(?<")) {
        const char *end = memchr(r->text + r->at, '>', r->n - r->at);
        if (!end) return malformed(r, "a group's name without its end");
        r->at = (size_t)(end - r->text) + 1;
    } else if (starts(r, "(?")) {
        return refuse(r, "a group with flags");
    } else {
        r->at++;
    }
    if (++r->depth > MAX_GROUPS) return refuse(r, "a nesting of more than 60 groups");
    td_gnode *node = read_branches(r, false);
    r->depth--;
    if (!node) return NULL;
    if (peek(r) != ')') return malformed(r, "a group without its closing parenthesis");
    r->at++;
    return node;
}

static td_gnode *read_atom(regex *r) {
    static const td_char_range line_ends[] = {
        {'\n',   '\n'  },
        {'\r',   '\r'  },
        {0x2028, 0x2029}
    };
    int64_t cp;
    switch (peek(r)) {
    case '(': return read_group(r);
    case '[': return read_class(r);
    case '.': r->at++; return td_gschema_char_of(r->s, line_ends, 3, true);
    case '^':
    case '$': return refuse(r, "a ^ or $ that is not at an end");
    case '*':
    case '+':
    case '?': return malformed(r, "a repetition of nothing");
    case '\\':
        r->at++;
        r->n_range = 0;
        if (!read_escape(r, false, &cp)) return NULL;
        if (cp == -1) return td_gschema_char_of(r->s, r->ranges, r->n_range, false);
        if (cp == -2 && !read_char(r, &cp)) return NULL;
        return one_char(r, cp);
    default: return read_char(r, &cp) ? one_char(r, cp) : NULL;
    }
}

static bool read_number(regex *r, uint32_t *out) {
    uint64_t n = 0;
    const size_t from = r->at;
    for (; peek(r) >= '0' && peek(r) <= '9'; r->at++)
        if (n <= TD_GRAMMAR_MAX_COUNT) n = n * 10 + (uint64_t)(peek(r) - '0');
    *out = n > TD_GRAMMAR_MAX_COUNT ? TD_GRAMMAR_MAX_COUNT : (uint32_t)n;
    return r->at > from;
}

/* {m} {m,} {m,n}; anything else that begins with a brace is text. */
static bool read_braces(regex *r, uint32_t *min, uint32_t *max) {
    const size_t from = r->at++;
    if (read_number(r, min)) {
        *max = *min;
        if (peek(r) == ',') {
            r->at++;
            if (!read_number(r, max)) *max = TD_GRAMMAR_INF;
        }
        if (peek(r) == '}') {
            r->at++;
            return true;
        }
    }
    r->at = from;
    return false;
}

static td_gnode *read_repeats(regex *r, td_gnode *node) {
    uint32_t min = 0, max = TD_GRAMMAR_INF;
    switch (peek(r)) {
    case '*': r->at++; break;
    case '+':
        r->at++;
        min = 1;
        break;
    case '?':
        r->at++;
        max = 1;
        break;
    case '{':
        if (!read_braces(r, &min, &max)) return node;
        break;
    default: return node;
    }
    if (max < min) return malformed(r, "a repetition with more at least than at most");
    if (peek(r) == '?') r->at++; /* lazy: the same strings */
    if (peek(r) == '*' || peek(r) == '+') return malformed(r, "a repetition of a repetition");
    return td_gnode_repeat(&r->s->b, node, min, max);
}

/* A branch; at the top with its anchors. */
static td_gnode *read_sequence(regex *r, bool is_top) {
    td_gbuilder *b = &r->s->b;
    td_glist list = {0};
    td_gnode *any = is_top ? td_gnode_repeat(b, td_gschema_char(r->s), 0, TD_GRAMMAR_INF) : NULL;
    bool open_end = is_top;
    if (is_top && peek(r) == '^')
        r->at++;
    else if (is_top)
        td_glist_add(b, &list, any);
    while (peek(r) >= 0 && peek(r) != '|' && peek(r) != ')') {
        const bool ends = r->at + 1 == r->n || r->text[r->at + 1] == '|';
        if (is_top && peek(r) == '$' && ends) {
            r->at++;
            open_end = false;
            break;
        }
        td_gnode *node = read_atom(r);
        if (node) node = read_repeats(r, node);
        if (!node) return NULL;
        td_glist_add(b, &list, node);
    }
    if (is_top && peek(r) == ')') return malformed(r, "a closing parenthesis too much");
    if (open_end) td_glist_add(b, &list, any);
    return td_gnode_seq(b, &list);
}

static td_gnode *read_branches(regex *r, bool is_top) {
    td_glist list = {0};
    for (;;) {
        td_gnode *node = read_sequence(r, is_top);
        if (!node) return NULL;
        td_glist_add(&r->s->b, &list, node);
        if (peek(r) != '|') break;
        r->at++;
    }
    return td_gnode_alt(&r->s->b, &list);
}

td_gnode *td_gschema_pattern(td_gschema *s, const char *pattern, size_t n, const char *at) {
    regex r = {.s = s, .text = pattern, .n = n, .at_schema = at};
    return read_branches(&r, true);
}
