/* grammar_schema_string.c - strings as they stand between quotes in JSON.
 *
 * A character may be written as it is or escaped; halves of surrogate pairs only as pairs.  Where
 * the characters matter, in patterns and in names that must differ from others, each has one
 * spelling, so that no escape can hide what a character is. */
#include <string.h>

#include "text/grammar_schema.h"
#include "text/utf8.h"

static td_gnode *chars(td_gschema *s, const char *pairs) {
    td_char_range ranges[8];
    size_t n = 0;
    for (; pairs[2 * n]; n++)
        ranges[n] = (td_char_range){(uint8_t)pairs[2 * n], (uint8_t)pairs[2 * n + 1]};
    return td_gnode_chars(&s->b, ranges, n, false);
}

static td_gnode *hex(td_gschema *s, uint32_t n) {
    return td_gnode_repeat(&s->b, chars(s, "09AFaf"), n, n);
}

static td_gnode *text(td_gschema *s, const char *t) { return td_gnode_string(&s->b, t); }

td_gnode *td_gschema_char(td_gschema *s) {
    td_gbuilder *b = &s->b;
    static const td_char_range escaped[] = {
        {0,    0x1F},
        {'"',  '"' },
        {'\\', '\\'}
    };
    td_gnode *low = td_gnode_seq3(b, text(s, "\\u"), chars(s, "DDdd"),
                                  td_gnode_seq2(b, chars(s, "CFcf"), hex(s, 2)));
    td_glist units = {0};
    td_glist_add(b, &units, td_gnode_seq2(b, chars(s, "09ACEFacef"), hex(s, 3)));
    td_glist_add(b, &units, td_gnode_seq3(b, chars(s, "DDdd"), chars(s, "07"), hex(s, 2)));
    td_glist_add(
        b, &units,
        td_gnode_seq3(b, chars(s, "DDdd"), chars(s, "89ABab"), td_gnode_seq2(b, hex(s, 2), low)));
    td_gnode *unit = td_gnode_seq2(b, text(s, "u"), td_gnode_alt(b, &units));
    td_gnode *escape =
        td_gnode_seq2(b, text(s, "\\"), td_gnode_alt2(b, chars(s, "\"\"\\\\//bbffnnrrtt"), unit));
    return td_gnode_alt2(b, td_gnode_chars(b, escaped, 3, true), escape);
}

/* ---- sets of characters with one spelling each ---- */

/* How a character that needs an escape is written. */
static void spell(uint32_t c, char out[8]) {
    static const char letters[] = "\"\"\\\\\nn\rr\tt\ff\bb";
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; letters[i]; i += 2)
        if ((uint8_t)letters[i] == c) {
            memcpy(out, (char[]){'\\', letters[i + 1], 0}, 3);
            return;
        }
    memcpy(out, "\\u00", 4);
    out[4] = digits[c >> 4];
    out[5] = digits[c & 15];
    out[6] = 0;
}

static bool holds(const td_char_range *r, size_t n, uint32_t c) {
    for (size_t i = 0; i < n; i++)
        if (r[i].lo <= c && c <= r[i].hi) return true;
    return false;
}

td_gnode *td_gschema_char_of(td_gschema *s, const td_char_range *ranges, size_t n, bool negated) {
    td_gbuilder *b = &s->b;
    td_char_range *bare = td_arena_calloc(&b->arena, 2 * n + 16, sizeof *bare);
    if (!bare) return td_gschema_fail(s, TD_ERR_NOMEM, "#", "out of memory");
    td_glist list = {0};
    td_gnode *set = td_gnode_chars(b, ranges, n, negated);
    if (!set) return NULL;
    const size_t n_set = set->kind == TD_GNODE_CHARS ? set->n : 0;
    size_t n_bare = 0;
    for (size_t i = 0; i < n_set; i++) {
        /* Cut out what needs an escape: all below U+0020, the quote and the backslash. */
        uint32_t lo = set->u.ranges[i].lo < 0x20 ? 0x20 : set->u.ranges[i].lo;
        const uint32_t hi = set->u.ranges[i].hi, cuts[] = {'"', '\\'};
        for (int k = 0; k < 2; k++) {
            if (cuts[k] < lo || cuts[k] > hi) continue;
            if (cuts[k] > lo) bare[n_bare++] = (td_char_range){lo, cuts[k] - 1};
            lo = cuts[k] + 1;
        }
        if (lo <= hi) bare[n_bare++] = (td_char_range){lo, hi};
    }
    if (n_bare) td_glist_add(b, &list, td_gnode_chars(b, bare, n_bare, false));
    for (uint32_t c = 0; n_set && c <= '\\'; c++) {
        char out[8];
        if ((c >= 0x20 && c != '"' && c != '\\') || !holds(set->u.ranges, n_set, c)) continue;
        spell(c, out);
        td_glist_add(b, &list, text(s, out));
    }
    return td_gnode_alt(b, &list);
}

/* ---- names that are not among others ---- */

/* What may follow a prefix that `n` of the names share, up to the closing quote, so that none of
 * them comes to be; at: bytes of the prefix. */
static td_gnode *other_from(td_gschema *s, const char **names, size_t n, size_t at, int depth) {
    td_gbuilder *b = &s->b;
    if (depth > TD_GSCHEMA_MAX_DEPTH / 2)
        return td_gschema_fail(s, TD_ERR_LIMIT, "#",
                               "additionalProperties beside names of more than %d characters",
                               TD_GSCHEMA_MAX_DEPTH / 2);
    td_char_range *next = td_arena_calloc(&b->arena, n + 1, sizeof *next);
    const char **below = td_arena_calloc(&b->arena, n + 1, sizeof *below);
    if (!next || !below) return td_gschema_fail(s, TD_ERR_NOMEM, "#", "out of memory");
    td_glist list = {0};
    size_t n_next = 0;
    bool is_name = false;
    for (size_t i = 0; i < n; i++) {
        uint32_t c;
        if (!names[i][at]) {
            is_name = true;
            continue;
        }
        const int len = td_utf8_decode(names[i] + at, strlen(names[i] + at), &c);
        if (len <= 0 || holds(next, n_next, c)) continue;
        next[n_next++] = (td_char_range){c, c};
        size_t n_below = 0;
        for (size_t j = i; j < n; j++)
            if (strncmp(names[j] + at, names[i] + at, (size_t)len) == 0)
                below[n_below++] = names[j];
        td_glist_add(b, &list,
                     td_gnode_seq2(b, td_gschema_char_of(s, &next[n_next - 1], 1, false),
                                   other_from(s, below, n_below, at + (size_t)len, depth + 1)));
    }
    td_gnode *any = td_gschema_char_of(s, NULL, 0, true);
    td_glist_add(b, &list,
                 td_gnode_seq2(b, td_gschema_char_of(s, next, n_next, true),
                               td_gnode_repeat(b, any, 0, TD_GRAMMAR_INF)));
    if (!is_name) td_glist_add(b, &list, td_gnode_empty(b));
    return s->status ? NULL : td_gnode_alt(b, &list);
}

td_gnode *td_gschema_other_name(td_gschema *s, const td_value *names) {
    const size_t n = names ? names->u.map.n : 0;
    if (n == 0) return td_gschema_shared(s, TD_GSHARED_STRING);
    const char **texts = td_arena_calloc(&s->b.arena, n, sizeof *texts);
    if (!texts) return td_gschema_fail(s, TD_ERR_NOMEM, "#", "out of memory");
    for (size_t i = 0; i < n; i++) texts[i] = names->u.map.entries[i].key->u.string.text;
    return td_gnode_seq3(&s->b, text(s, "\""), other_from(s, texts, n, 0, 0), text(s, "\""));
}

/* ---- formats ---- */

#define DATE                                                                                       \
    "([1-9][0-9]{3}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|" \
    "02-(0[1-9]|1[0-9]|2[0-8]))|([1-9][0-9](0[48]|[2468][048]|[13579][26])|([2468][048]|"          \
    "[13579][26])00)-02-29)"
#define TIME                                                                                       \
    "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
#define OCTET "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
#define LABEL "[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?"

static const char *format_pattern(const char *format) {
    static const struct {
        const char *format, *pattern;
    } known[] = {
        {"date",      "^" DATE "$"                                                          },
        {"time",      "^" TIME "$"                                                          },
        {"date-time", "^" DATE "T" TIME "$"                                                 },
        {"uuid",      "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"                },
        {"ipv4",      "^" OCTET "(\\." OCTET "){3}$"                                        },
        {"email",
         "^[A-Za-z0-9_+-]{1,32}(\\.[A-Za-z0-9_+-]{1,32}){0,3}@(" LABEL "\\.){1,4}" LABEL "$"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].format, format) == 0) return known[i].pattern;
    return NULL;
}

/* ---- strings ---- */

td_gnode *td_gschema_string(td_gschema *s, const td_value *schema, const char *at) {
    td_gbuilder *b = &s->b;
    const td_value *pattern = td_value_get(schema, "pattern");
    const td_value *format = td_value_get(schema, "format");
    const bool has_length = td_value_get(schema, "minLength") || td_value_get(schema, "maxLength");
    td_gnode *body;
    if (pattern && pattern->type != TD_VALUE_STRING)
        return td_gschema_fail(s, TD_ERR_FORMAT, at, "'pattern' is not a string");
    if (format && format->type != TD_VALUE_STRING)
        return td_gschema_fail(s, TD_ERR_FORMAT, at, "'format' is not a string");
    const char *known = format ? format_pattern(format->u.string.text) : NULL;
    if (pattern && has_length)
        return td_gschema_fail(s, TD_ERR_UNSUPPORTED, at,
                               "'pattern' together with minLength or maxLength is not supported: "
                               "put the lengths into the pattern");
    if (pattern) {
        body = td_gschema_pattern(s, pattern->u.string.text, pattern->u.string.n,
                                  td_gschema_at(s, at, "pattern"));
    } else if (known && !has_length) {
        body = td_gschema_pattern(s, known, strlen(known), td_gschema_at(s, at, "format"));
    } else if (has_length) {
        const uint32_t min = td_gschema_count(s, schema, "minLength", 0, at);
        const uint32_t max = td_gschema_count(s, schema, "maxLength", TD_GRAMMAR_INF, at);
        if (s->status != TD_OK) return NULL;
        if (min > max) return td_gnode_never(b);
        body = td_gnode_repeat(b, td_gschema_char(s), min, max);
    } else {
        return td_gschema_shared(s, TD_GSHARED_STRING);
    }
    return td_gnode_seq3(b, text(s, "\""), body, text(s, "\""));
}
