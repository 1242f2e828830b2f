/* regex_translate.c - Oniguruma's patterns, in the Ruby syntax, as PCRE2's.
 *
 * Most of a pattern means the same to both and is copied.  What differs is spelled out in what both
 * agree on: \s, \d, \w, \b and \h, scripts (for PCRE2 \p{Han} has every character that Chinese text
 * uses), classes inside of classes and their intersections, ^ and $, which are at every line, {,n},
 * and {n}+, which is not possessive.  What has no translation is refused by its text. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "text/regex.h"
#include "text/utf8.h"

enum { MAX_GROUPS = 200, MAX_CLASS_DEPTH = 20, NO_ATOM = -1 };

#define WHITE_SPACE "\\p{Z}\\t-\\r\\x{85}"
/* With the six of Latin-1 that are numbers but no digits: Oniguruma has that quirk. */
#define WORD      "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{B2}\\x{B3}\\x{B9}\\x{BC}-\\x{BE}"
#define DIGIT     "\\p{Nd}"
#define HEX_DIGIT "0-9A-Fa-f"

typedef struct translator {
    const char *p, *end;
    const char *begin, *name; /* for messages */
    td_strbuf *out;
    int64_t atom;                 /* where in out the last atom begins; NO_ATOM: none */
    int64_t groups[MAX_GROUPS];   /* where the open groups begin */
    int64_t contents[MAX_GROUPS]; /* and what is inside of them */
    int n_group;
    td_err *err;
} translator;

static td_status refuse(const translator *t, const char *at, const char *what) {
    const size_t left = (size_t)(t->end - at);
    size_t n = left < 16 ? left : 16;
    n = td_utf8_valid_prefix(at, n);
    return td_fail(t->err, TD_ERR_UNSUPPORTED,
                   "%s: '%.*s' at byte %zu of the pattern: %s cannot be translated", t->name,
                   (int)n, at, (size_t)(at - t->begin), what);
}

/* ---- sets of characters ---- */

/* What one class matches: members of a PCRE2 class, and whole atoms that fit into none. */
typedef struct set {
    td_strbuf members;
    td_strbuf atoms; /* with "|" between them */
} set;

static void set_clear(set *s) {
    td_strbuf_clear(&s->members);
    td_strbuf_clear(&s->atoms);
}

static void set_add_atom(set *s, const char *atom) {
    if (s->atoms.n) td_strbuf_addc(&s->atoms, '|');
    td_strbuf_adds(&s->atoms, atom);
}

/* A set given by its members or, negated, by those it lacks. */
static void set_add_members(set *s, const char *members, bool negated) {
    if (!negated) {
        td_strbuf_adds(&s->members, members);
        return;
    }
    if (s->atoms.n) td_strbuf_addc(&s->atoms, '|');
    td_strbuf_addf(&s->atoms, "[^%s]", members);
}

/* Appends the one atom that matches the set. */
static void set_write(const set *s, bool negated, td_strbuf *out) {
    if (s->atoms.n == 0) {
        td_strbuf_addf(out, "[%s%s]", negated ? "^" : "", s->members.text);
        return;
    }
    td_strbuf_adds(out, negated ? "(?:(?!" : "(?:");
    if (s->members.n) td_strbuf_addf(out, "[%s]|", s->members.text);
    td_strbuf_add(out, s->atoms.text, s->atoms.n);
    td_strbuf_adds(out, negated ? ")(?s:.))" : ")");
}

static td_status set_check(const set *s, td_err *err) {
    TD_TRY(td_strbuf_check(&s->members, "a pattern", err));
    return td_strbuf_check(&s->atoms, "a pattern", err);
}

/* Names of POSIX classes and long names of categories; scripts are passed on by name. */
static const struct {
    const char *name, *members;
} properties[] = {
    {"alpha",                "\\p{Alphabetic}"       },
    {"alphabetic",           "\\p{Alphabetic}"       },
    {"digit",                DIGIT                   },
    {"space",                WHITE_SPACE             },
    {"whitespace",           WHITE_SPACE             },
    {"upper",                "\\p{Uppercase}"        },
    {"uppercase",            "\\p{Uppercase}"        },
    {"lower",                "\\p{Lowercase}"        },
    {"lowercase",            "\\p{Lowercase}"        },
    {"alnum",                "\\p{Alphabetic}\\p{Nd}"},
    {"punct",                "\\p{P}"                },
    {"xdigit",               HEX_DIGIT               },
    {"word",                 WORD                    },
    {"cntrl",                "\\p{Cc}"               },
    {"blank",                "\\t\\p{Zs}"            },
    {"ascii",                "\\x{0}-\\x{7F}"        },
    {"any",                  "\\x{0}-\\x{10FFFF}"    },
    {"letter",               "\\p{L}"                },
    {"casedletter",          "\\p{Lu}\\p{Ll}\\p{Lt}" },
    {"uppercaseletter",      "\\p{Lu}"               },
    {"lowercaseletter",      "\\p{Ll}"               },
    {"titlecaseletter",      "\\p{Lt}"               },
    {"modifierletter",       "\\p{Lm}"               },
    {"otherletter",          "\\p{Lo}"               },
    {"mark",                 "\\p{M}"                },
    {"nonspacingmark",       "\\p{Mn}"               },
    {"spacingmark",          "\\p{Mc}"               },
    {"enclosingmark",        "\\p{Me}"               },
    {"number",               "\\p{N}"                },
    {"decimalnumber",        "\\p{Nd}"               },
    {"letternumber",         "\\p{Nl}"               },
    {"othernumber",          "\\p{No}"               },
    {"punctuation",          "\\p{P}"                },
    {"connectorpunctuation", "\\p{Pc}"               },
    {"dashpunctuation",      "\\p{Pd}"               },
    {"openpunctuation",      "\\p{Ps}"               },
    {"closepunctuation",     "\\p{Pe}"               },
    {"initialpunctuation",   "\\p{Pi}"               },
    {"finalpunctuation",     "\\p{Pf}"               },
    {"otherpunctuation",     "\\p{Po}"               },
    {"symbol",               "\\p{S}"                },
    {"mathsymbol",           "\\p{Sm}"               },
    {"currencysymbol",       "\\p{Sc}"               },
    {"modifiersymbol",       "\\p{Sk}"               },
    {"othersymbol",          "\\p{So}"               },
    {"separator",            "\\p{Z}"                },
    {"spaceseparator",       "\\p{Zs}"               },
    {"lineseparator",        "\\p{Zl}"               },
    {"paragraphseparator",   "\\p{Zp}"               },
    {"other",                "\\p{C}"                },
    {"control",              "\\p{Cc}"               },
    {"format",               "\\p{Cf}"               },
    {"privateuse",           "\\p{Co}"               },
    {"unassigned",           "\\p{Cn}"               },
};

static bool is_category(const char *name) {
    static const char *const subs[][2] = {
        {"l", "ultmo"  },
        {"m", "nce"    },
        {"n", "dlo"    },
        {"p", "cdseifo"},
        {"s", "mcko"   },
        {"z", "slp"    },
        {"c", "cfosn"  },
    };
    for (size_t i = 0; i < sizeof subs / sizeof *subs; i++)
        if (name[0] == subs[i][0][0])
            return name[1] == 0 || (name[2] == 0 && strchr(subs[i][1], name[1]));
    return false;
}

/* Adds the property `name` (letters in lower case, nothing between them). */
static void add_property(set *s, char *name, bool negated) {
    char text[64];
    for (size_t i = 0; i < sizeof properties / sizeof *properties; i++)
        if (strcmp(name, properties[i].name) == 0) {
            set_add_members(s, properties[i].members, negated);
            return;
        }
    const bool category = is_category(name);
    name[0] = (char)toupper((unsigned char)name[0]);
    snprintf(text, sizeof text, "\\%c{%s%s}", negated ? 'P' : 'p', category ? "" : "sc:", name);
    td_strbuf_adds(&s->members, text);
}

/* At the letter of \p{...}, \P{...} or \p{^...}. */
static td_status take_property(translator *t, set *s) {
    const char *start = t->p - 1;
    bool negated = *t->p++ == 'P';
    if (t->p == t->end || *t->p != '{') return refuse(t, start, "a property without braces");
    t->p++;
    if (t->p < t->end && *t->p == '^') {
        negated = !negated;
        t->p++;
    }
    char name[32];
    size_t n = 0;
    for (; t->p < t->end && *t->p != '}'; t->p++) {
        if (*t->p == ' ' || *t->p == '_' || *t->p == '-') continue;
        if (n + 1 == sizeof name || !isalnum((unsigned char)*t->p))
            return refuse(t, start, "this property");
        name[n++] = (char)tolower((unsigned char)*t->p);
    }
    name[n] = 0;
    if (t->p == t->end || n == 0) return refuse(t, start, "this property");
    t->p++;
    add_property(s, name, negated);
    return TD_OK;
}

/* The members of \s, \d, \w and \h, NULL for other letters. */
static const char *shorthand(char letter) {
    switch (letter) {
    case 's': return WHITE_SPACE;
    case 'd': return DIGIT;
    case 'w': return WORD;
    case 'h': return HEX_DIGIT;
    default: return NULL;
    }
}

/* Up to `most` digits of the base, at least one; what is no code point is refused. */
static td_status take_number(translator *t, const char *start, int most, uint32_t base,
                             uint32_t *cp) {
    *cp = 0;
    int n = 0;
    for (; n < most && t->p < t->end && isxdigit((unsigned char)*t->p); n++, t->p++) {
        const uint32_t digit = isdigit((unsigned char)*t->p)
                                   ? (uint32_t)(*t->p - '0')
                                   : (uint32_t)(tolower((unsigned char)*t->p) - 'a' + 10);
        if (digit >= base) break;
        *cp = *cp * base + digit;
    }
    if (n == 0 || *cp > 0x10FFFF || (*cp >= 0xD800 && *cp < 0xE000))
        return refuse(t, start, "this number of a character");
    return TD_OK;
}

/* At the letter of an escape that stands for one character. */
static td_status take_escaped_character(translator *t, uint32_t *cp) {
    static const char letters[] = "n\nt\tr\rf\fv\va\ae\x1B";
    const char *start = t->p - 1;
    const char letter = *t->p++;
    for (size_t i = 0; i + 1 < sizeof letters; i += 2)
        if (letters[i] == letter) {
            *cp = (uint8_t)letters[i + 1];
            return TD_OK;
        }
    if (letter == 'x' && t->p < t->end && *t->p == '{') {
        t->p++;
        TD_TRY(take_number(t, start, 8, 16, cp));
        if (t->p == t->end || *t->p++ != '}') return refuse(t, start, "this number");
        return TD_OK;
    }
    if (letter == 'x') return take_number(t, start, 2, 16, cp);
    if (letter == 'u') return take_number(t, start, 4, 16, cp);
    if (letter == '0') {
        t->p--;
        return take_number(t, start, 3, 8, cp);
    }
    if (isalnum((unsigned char)letter)) return refuse(t, start, "this escape");
    t->p--;
    t->p += td_utf8_decode(t->p, (size_t)(t->end - t->p), cp);
    return TD_OK;
}

static td_status take_class(translator *t, int depth, td_strbuf *out);

/* At "[:name:]", which *taken says. */
static td_status take_posix_class(translator *t, set *s, bool *taken) {
    const char *p = t->p + 2;
    const bool negated = p < t->end && *p == '^';
    if (negated) p++;
    char name[16];
    size_t n = 0;
    while (p < t->end && isalpha((unsigned char)*p) && n + 1 < sizeof name)
        name[n++] = (char)tolower((unsigned char)*p++);
    name[n] = 0;
    *taken = t->end - p >= 2 && p[0] == ':' && p[1] == ']';
    if (!*taken) return TD_OK;
    for (size_t i = 0; i < sizeof properties / sizeof *properties; i++)
        if (strcmp(name, properties[i].name) == 0) {
            set_add_members(s, properties[i].members, negated);
            t->p = p + 2;
            return TD_OK;
        }
    return refuse(t, t->p, "this POSIX class");
}

/* A single character of a class, or a set (*is_set), which is added already. */
static td_status take_member(translator *t, int depth, set *s, uint32_t *cp, bool *is_set) {
    *is_set = true;
    if (*t->p == '[') {
        if (t->end - t->p >= 2 && t->p[1] == ':') {
            bool taken;
            TD_TRY(take_posix_class(t, s, &taken));
            if (taken) return TD_OK;
        }
        td_strbuf atom = {0};
        td_status st = take_class(t, depth + 1, &atom);
        if (st == TD_OK) st = td_strbuf_check(&atom, "a pattern", t->err);
        if (st == TD_OK) set_add_atom(s, atom.text);
        td_strbuf_clear(&atom);
        return st;
    }
    if (*t->p == '\\' && t->end - t->p >= 2) {
        const char letter = *++t->p;
        if (letter == 'p' || letter == 'P') return take_property(t, s);
        const char *members = shorthand((char)tolower((unsigned char)letter));
        if (members) {
            set_add_members(s, members, isupper((unsigned char)letter));
            t->p++;
            return TD_OK;
        }
        *is_set = false;
        if (letter == 'b') {
            *cp = 8;
            t->p++;
            return TD_OK;
        }
        return take_escaped_character(t, cp);
    }
    *is_set = false;
    t->p += td_utf8_decode(t->p, (size_t)(t->end - t->p), cp);
    return TD_OK;
}

/* The members up to "]" or "&&". */
static td_status take_operand(translator *t, int depth, set *s) {
    bool first = true;
    for (; t->p < t->end; first = false) {
        if (*t->p == ']' && !first) return TD_OK;
        if (t->end - t->p >= 2 && t->p[0] == '&' && t->p[1] == '&') return TD_OK;
        const char *start = t->p;
        uint32_t low, high;
        bool is_set;
        TD_TRY(take_member(t, depth, s, &low, &is_set));
        if (is_set) continue;
        high = low;
        if (t->end - t->p >= 2 && *t->p == '-' && t->p[1] != ']') {
            t->p++;
            if (*t->p == '[') { /* the minus was a character */
                td_strbuf_adds(&s->members, "\\-");
            } else {
                TD_TRY(take_member(t, depth, s, &high, &is_set));
                if (is_set || high < low) return refuse(t, start, "this range");
            }
        }
        td_strbuf_addf(&s->members, low == high ? "\\x{%X}" : "\\x{%X}-\\x{%X}", low, high);
    }
    return TD_OK;
}

/* The operands of "&&" but the first look ahead, and the first takes the character. */
static td_status take_operands(translator *t, int depth, bool negated, td_strbuf *out) {
    const char *start = t->p;
    td_strbuf ahead = {0};
    set first = {0}, next = {0};
    td_status st = take_operand(t, depth, &first);
    while (st == TD_OK && t->end - t->p >= 2 && t->p[0] == '&') {
        t->p += 2;
        st = take_operand(t, depth, &next);
        if (st == TD_OK) st = set_check(&next, t->err);
        if (st == TD_OK && next.members.n + next.atoms.n == 0) st = refuse(t, start, "this class");
        if (st != TD_OK) break;
        td_strbuf_adds(&ahead, "(?=");
        set_write(&next, false, &ahead);
        td_strbuf_addc(&ahead, ')');
        set_clear(&next);
    }
    if (st == TD_OK) st = set_check(&first, t->err);
    if (st == TD_OK && (t->p == t->end || first.members.n + first.atoms.n == 0))
        st = refuse(t, start, "this class");
    if (st == TD_OK) st = td_strbuf_check(&ahead, "a pattern", t->err);
    if (st == TD_OK && ahead.n == 0) {
        set_write(&first, negated, out);
    } else if (st == TD_OK) {
        td_strbuf_addf(out, negated ? "(?:(?!%s" : "(?:%s", ahead.text);
        set_write(&first, false, out);
        td_strbuf_adds(out, negated ? ")(?s:.))" : ")");
    }
    if (st == TD_OK) t->p++; /* the bracket */
    td_strbuf_clear(&ahead);
    set_clear(&first);
    set_clear(&next);
    return st;
}

/* At "[". */
static td_status take_class(translator *t, int depth, td_strbuf *out) {
    if (depth > MAX_CLASS_DEPTH) return refuse(t, t->p, "a class so deep in classes");
    t->p++;
    const bool negated = t->p < t->end && *t->p == '^';
    if (negated) t->p++;
    return take_operands(t, depth, negated, out);
}

/* ---- outside of classes ---- */

static td_status take_set_escape(translator *t) {
    set s = {0};
    td_status st = TD_OK;
    const char letter = *t->p;
    if (letter == 'p' || letter == 'P') {
        st = take_property(t, &s);
    } else {
        set_add_members(&s, shorthand((char)tolower((unsigned char)letter)), false);
        t->p++;
    }
    if (st == TD_OK) st = set_check(&s, t->err);
    const bool negated = letter != 'P' && isupper((unsigned char)letter);
    if (st == TD_OK) set_write(&s, negated, t->out);
    set_clear(&s);
    return st;
}

static td_status take_escape(translator *t) {
    if (t->end - t->p < 2) return refuse(t, t->p, "a backslash at the end");
    const char letter = *++t->p;
    t->atom = (int64_t)t->out->n;
    if (letter == 'p' || letter == 'P' || shorthand((char)tolower((unsigned char)letter)))
        return take_set_escape(t);
    if (letter == 'b' || letter == 'B') {
        const char not = letter == 'B' ? '!' : '=';
        td_strbuf_addf(t->out, "(?:(?<=[" WORD "])(?%c[" WORD "])|(?<![" WORD "])(?%c[" WORD "]))",
                       not == '=' ? '!' : '=', not );
        t->p++;
        return TD_OK;
    }
    if (strchr("AzZGRX", letter) || (letter >= '1' && letter <= '9')) {
        td_strbuf_addf(t->out, "\\%c", letter);
        t->p++;
        /* Digits that follow belong to the number of a group. */
        while (isdigit((unsigned char)letter) && t->p < t->end && isdigit((unsigned char)*t->p))
            td_strbuf_addc(t->out, *t->p++);
        return TD_OK;
    }
    if (letter == 'k' && t->end - t->p >= 2 && t->p[1] == '<') {
        const char *close = memchr(t->p, '>', (size_t)(t->end - t->p));
        if (!close) return refuse(t, t->p - 1, "this reference");
        td_strbuf_add(t->out, t->p - 1, (size_t)(close + 2 - t->p));
        t->p = close + 1;
        return TD_OK;
    }
    uint32_t cp;
    TD_TRY(take_escaped_character(t, &cp));
    td_strbuf_addf(t->out, "\\x{%X}", cp);
    return TD_OK;
}

/* "(?imx-imx)" or "(?imx-imx:": t->p is behind the question mark.  Ruby's m is Perl's s. */
static td_status take_flags(translator *t, const char *start, bool *opens) {
    td_strbuf_adds(t->out, "(?");
    while (t->p < t->end && strchr("im-", *t->p)) {
        td_strbuf_addc(t->out, *t->p == 'm' ? 's' : *t->p);
        t->p++;
    }
    if (t->p == t->end || (*t->p != ':' && *t->p != ')')) return refuse(t, start, "this group");
    *opens = *t->p == ':';
    td_strbuf_addc(t->out, *t->p++);
    return TD_OK;
}

/* Copies "(", "(?:" and the other openings that mean the same to both. */
static td_status take_opening(translator *t) {
    static const char *const same[] = {"(?:", "(?=", "(?!", "(?>", "(?<=", "(?<!"};
    const char *start = t->p;
    const size_t left = (size_t)(t->end - start);
    const int64_t at = (int64_t)t->out->n;
    if (t->n_group == MAX_GROUPS) return refuse(t, start, "a group so deep in groups");
    size_t n = 0;
    for (size_t i = 0; i < sizeof same / sizeof *same && !n; i++)
        if (left >= strlen(same[i]) && memcmp(start, same[i], strlen(same[i])) == 0)
            n = strlen(same[i]);
    if (!n && left >= 2 && start[1] == '*') return refuse(t, start, "a callout");
    if (!n && (left < 2 || start[1] != '?')) n = 1;
    if (!n && left >= 4 && start[2] == '<' && isalpha((unsigned char)start[3])) {
        const char *close = memchr(start, '>', left < 40 ? left : 40);
        if (!close) return refuse(t, start, "this group");
        n = (size_t)(close + 1 - start);
    }
    if (n) {
        td_strbuf_add(t->out, start, n);
        t->p += n;
    } else {
        const bool at_start = at == (t->n_group ? t->contents[t->n_group - 1] : 0);
        bool opens = false;
        t->p += 2;
        TD_TRY(take_flags(t, start, &opens));
        if (!opens && !at_start) return refuse(t, start, "a switch in the middle");
        if (!opens && t->n_group) t->contents[t->n_group - 1] = (int64_t)t->out->n;
        t->atom = NO_ATOM;
        if (!opens) return TD_OK;
    }
    t->groups[t->n_group] = at;
    t->contents[t->n_group++] = (int64_t)t->out->n;
    t->atom = NO_ATOM;
    return TD_OK;
}

/* Puts the last atom and what follows it into a group of their own. */
static td_status wrap_atom(translator *t) {
    td_strbuf tail = {0};
    td_strbuf_add(&tail, t->out->text + t->atom, t->out->n - (size_t)t->atom);
    const td_status st = td_strbuf_check(&tail, "a pattern", t->err);
    if (st == TD_OK) {
        t->out->n = (size_t)t->atom;
        td_strbuf_adds(t->out, "(?:");
        td_strbuf_add(t->out, tail.text, tail.n);
        td_strbuf_addc(t->out, ')');
    }
    td_strbuf_clear(&tail);
    return st;
}

/* At "{", which is a character where no numbers follow. */
static td_status take_interval(translator *t) {
    const char *start = t->p, *p = t->p + 1;
    uint32_t low = 0, high = 0;
    bool has_low = false, has_high = false, comma = false;
    for (; p < t->end && isdigit((unsigned char)*p) && low < 100000; p++, has_low = true)
        low = low * 10 + (uint32_t)(*p - '0');
    if (p < t->end && *p == ',') {
        comma = true;
        for (p++; p < t->end && isdigit((unsigned char)*p) && high < 100000; p++, has_high = true)
            high = high * 10 + (uint32_t)(*p - '0');
    }
    if (p == t->end || *p != '}' || (!has_low && !has_high)) {
        t->atom = (int64_t)t->out->n;
        td_strbuf_adds(t->out, "\\{");
        t->p++;
        return TD_OK;
    }
    if (t->atom == NO_ATOM || low > 65535 || high > 65535 || (has_high && high < low))
        return refuse(t, start, "this repetition");
    t->p = p + 1;
    if (!comma)
        td_strbuf_addf(t->out, "{%u}", low);
    else if (has_high)
        td_strbuf_addf(t->out, "{%u,%u}", low, high);
    else
        td_strbuf_addf(t->out, "{%u,}", low);
    if (t->p == t->end || (*t->p != '+' && (*t->p != '?' || comma))) return TD_OK;
    TD_TRY(td_strbuf_check(t->out, "a pattern", t->err));
    return wrap_atom(t);
}

static td_status take_plain(translator *t) {
    const int k = td_utf8_decode(t->p, (size_t)(t->end - t->p), NULL);
    t->atom = (int64_t)t->out->n;
    td_strbuf_add(t->out, t->p, (size_t)k);
    t->p += k;
    return TD_OK;
}

static td_status take_next(translator *t) {
    switch (*t->p) {
    case '\\': return take_escape(t);
    case '[': t->atom = (int64_t)t->out->n; return take_class(t, 0, t->out);
    case '(':
        if (t->end - t->p >= 3 && t->p[1] == '?' && t->p[2] == '#')
            return refuse(t, t->p, "a comment");
        return take_opening(t);
    case ')':
        if (t->n_group == 0) return refuse(t, t->p, "a bracket that closes nothing");
        t->atom = t->groups[--t->n_group];
        td_strbuf_addc(t->out, *t->p++);
        return TD_OK;
    case '{': return take_interval(t);
    case '^':
    case '$': td_strbuf_addf(t->out, "(?m:%c)", *t->p++); return TD_OK;
    case '|':
        t->atom = NO_ATOM;
        td_strbuf_addc(t->out, *t->p++);
        return TD_OK;
    case '*':
    case '+':
    case '?': td_strbuf_addc(t->out, *t->p++); return TD_OK;
    default: return take_plain(t);
    }
}

td_status td_regex_translate(const char *pattern, size_t n, const char *name, td_strbuf *out,
                             td_err *err) {
    translator t = {.p = pattern,
                    .end = pattern + n,
                    .begin = pattern,
                    .name = name,
                    .out = out,
                    .atom = NO_ATOM,
                    .err = err};
    if (td_utf8_valid_prefix(pattern, n) != n)
        return td_fail(err, TD_ERR_FORMAT, "%s: the pattern is not UTF-8", name);
    while (t.p < t.end) {
        TD_TRY(take_next(&t));
        TD_TRY(td_strbuf_check(out, "a pattern", err));
    }
    if (t.n_group) return refuse(&t, pattern, "a group that is never closed");
    return TD_OK;
}
