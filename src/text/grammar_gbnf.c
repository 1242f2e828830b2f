/* grammar_gbnf.c - llama.cpp's notation for grammars.
 *
 *     rule     = name "::=" alternates newline          # comments run to the end of the line
 *     alternates = sequence { "|" sequence }
 *     sequence = { item [ "*" | "+" | "?" | "{m}" | "{m,}" | "{m,n}" ] }
 *     item     = "text" | [class] | [^class] | . | name | ( alternates ) | token
 *     token    = [ "!" ] ( "<[" id "]>" | "<" text ">" )
 *
 * Inside parentheses, after "::=" and after "|" a line may end anywhere. */
#include <string.h>

#include "base/alloc.h"
#include "text/grammar_int.h"
#include "text/utf8.h"

enum { MAX_PARENS = 150, N_NAME_SLOTS = 1024 };

typedef struct parser {
    td_gbuilder b;
    const char *text;
    size_t n, at;
    const td_tokenizer *tok; /* borrowed; NULL: none */
    int n_paren;
    uint32_t heads[N_NAME_SLOTS]; /* rules by hash of their names: number + 1 */
    uint32_t *chain;              /* owned; [rules]: the next with the hash */
    size_t cap_chain;
    td_char_range *ranges; /* owned; of the class being read */
    size_t n_range, cap_range;
    td_strbuf literal; /* the text being read */
    td_err *err;
} parser;

/* ---- places ---- */

static void find_line(const parser *p, size_t at, int *line, int *column) {
    *line = *column = 1;
    for (size_t i = 0; i < at && i < p->n; i++) {
        if (p->text[i] == '\n') {
            ++*line;
            *column = 1;
        } else if ((p->text[i] & 0xC0) != 0x80) {
            ++*column;
        }
    }
}

#define FAIL_AT(p, where, code, ...)                                                               \
    do {                                                                                           \
        int line_, column_;                                                                        \
        td_fail((p)->err, (code), __VA_ARGS__);                                                    \
        find_line((p), (where), &line_, &column_);                                                 \
        return td_fail_in((p)->err, (code), "%s: line %d, column %d", (p)->b.name, line_,          \
                          column_);                                                                \
    } while (0)

static int peek(const parser *p) { return p->at < p->n ? (uint8_t)p->text[p->at] : -1; }

/* What stands at the front, for messages: 'x' or "the end". */
static const char *found(const parser *p, char buffer[16]) {
    uint32_t cp;
    if (p->at >= p->n) return "the end";
    if (p->text[p->at] == '\n' || p->text[p->at] == '\r') return "the end of the line";
    const int n = td_utf8_decode(p->text + p->at, p->n - p->at, &cp);
    if (n <= 0 || cp < 0x20) return "a control byte";
    buffer[0] = buffer[n + 1] = '\'';
    memcpy(buffer + 1, p->text + p->at, (size_t)n);
    buffer[n + 2] = 0;
    return buffer;
}

static bool is_digit(int c) { return c >= '0' && c <= '9'; }

static bool is_word(int c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || is_digit(c);
}

static void skip_space(parser *p, bool newline_ok) {
    for (;;) {
        const int c = peek(p);
        if (c == '#')
            while (p->at < p->n && p->text[p->at] != '\n' && p->text[p->at] != '\r') p->at++;
        else if (c == ' ' || c == '\t' || (newline_ok && (c == '\n' || c == '\r')))
            p->at++;
        else
            return;
    }
}

/* ---- names ---- */

static td_status read_name(parser *p, const char **name, size_t *n) {
    const size_t from = p->at;
    while (is_word(peek(p))) p->at++;
    char buffer[16];
    if (p->at == from)
        FAIL_AT(p, from, TD_ERR_FORMAT, "%s, wanted the name of a rule", found(p, buffer));
    *name = p->text + from;
    *n = p->at - from;
    return TD_OK;
}

/* The rule of that name, made if it is new. */
static td_status rule_of(parser *p, const char *name, size_t n, uint32_t *rule) {
    uint32_t h = 7;
    for (size_t i = 0; i < n; i++) h = td_ghash(h, (uint8_t)name[i]);
    uint32_t *head = &p->heads[h % N_NAME_SLOTS];
    for (uint32_t i = *head; i; i = p->chain[i - 1]) {
        const char *other = p->b.rules[i - 1].name;
        if (strlen(other) == n && memcmp(other, name, n) == 0) {
            *rule = i - 1;
            return TD_OK;
        }
    }
    *rule = td_gbuilder_add_rule(&p->b, name, n);
    TD_TRY(td_gbuilder_check(&p->b, p->err));
    void *chain = p->chain;
    TD_TRY(td_grow(&chain, &p->cap_chain, *rule + 1, sizeof *p->chain, "rules", p->err));
    p->chain = chain;
    p->chain[*rule] = *head;
    *head = *rule + 1;
    td_grule *r = &p->b.rules[*rule];
    find_line(p, (size_t)(name - p->text), &r->line, &r->column);
    return TD_OK;
}

/* ---- characters ---- */

static int hex_of(int c) {
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static td_status read_escape(parser *p, uint32_t *cp) {
    const size_t from = p->at++;
    const int c = peek(p);
    char buffer[16];
    if (c == 'x' || c == 'u' || c == 'U') {
        const int n = c == 'x' ? 2 : c == 'u' ? 4 : 8;
        uint64_t value = 0;
        p->at++;
        for (int i = 0; i < n; i++, p->at++) {
            const int digit = hex_of(peek(p));
            if (digit < 0)
                FAIL_AT(p, p->at, TD_ERR_FORMAT, "%s, wanted %d hexadecimal digits after \\%c",
                        found(p, buffer), n, c);
            value = value * 16 + (uint64_t)digit;
        }
        if (value > 0x10FFFF)
            FAIL_AT(p, from, TD_ERR_FORMAT, "\\%c%0*llx is no character, wanted at most 10ffff", c,
                    n, (unsigned long long)value);
        *cp = (uint32_t)value;
        return TD_OK;
    }
    static const char letters[] = "t\tr\rn\n\\\\\"\"[[]]--";
    for (size_t i = 0; letters[i]; i += 2)
        if (c == letters[i]) {
            *cp = (uint8_t)letters[i + 1];
            p->at++;
            return TD_OK;
        }
    FAIL_AT(p, from, TD_ERR_FORMAT, "%s after a backslash, wanted one of x u U t r n \\ \" [ ] -",
            found(p, buffer));
}

static td_status read_char(parser *p, uint32_t *cp) {
    if (peek(p) == '\\') return read_escape(p, cp);
    const int n = td_utf8_decode(p->text + p->at, p->n - p->at, cp);
    if (n <= 0) FAIL_AT(p, p->at, TD_ERR_FORMAT, "the text is not UTF-8 here");
    p->at += (size_t)n;
    return TD_OK;
}

static td_status read_literal(parser *p, td_gnode **out) {
    const size_t from = p->at++;
    td_strbuf_clear_text(&p->literal);
    td_strbuf_adds(&p->literal, "");
    while (peek(p) != '"') {
        uint32_t cp;
        char bytes[4];
        const size_t at = p->at;
        if (p->at >= p->n) FAIL_AT(p, from, TD_ERR_FORMAT, "this text has no closing quote");
        TD_TRY(read_char(p, &cp));
        if (cp >= 0xD800 && cp <= 0xDFFF)
            FAIL_AT(p, at, TD_ERR_FORMAT, "U+%04X is half of a surrogate pair, not a character",
                    (unsigned)cp);
        td_strbuf_add(&p->literal, bytes, (size_t)td_utf8_encode(cp, bytes));
    }
    p->at++;
    TD_TRY(td_strbuf_check(&p->literal, p->b.name, p->err));
    *out = td_gnode_text(&p->b, p->literal.text, p->literal.n);
    return TD_OK;
}

static td_status read_class(parser *p, td_gnode **out) {
    const size_t from = p->at++;
    bool negated = false;
    if (peek(p) == '^') {
        negated = true;
        p->at++;
    }
    p->n_range = 0;
    while (peek(p) != ']') {
        td_char_range r;
        const size_t at = p->at;
        if (p->at >= p->n) FAIL_AT(p, from, TD_ERR_FORMAT, "this class has no closing bracket");
        TD_TRY(read_char(p, &r.lo));
        r.hi = r.lo;
        if (peek(p) == '-' && p->at + 1 < p->n && p->text[p->at + 1] != ']') {
            p->at++;
            TD_TRY(read_char(p, &r.hi));
            if (r.hi < r.lo)
                FAIL_AT(p, at, TD_ERR_FORMAT, "the range ends (U+%04X) before it begins (U+%04X)",
                        (unsigned)r.hi, (unsigned)r.lo);
        }
        void *ranges = p->ranges;
        TD_TRY(td_grow(&ranges, &p->cap_range, p->n_range + 1, sizeof r, p->b.name, p->err));
        p->ranges = ranges;
        p->ranges[p->n_range++] = r;
    }
    if (p->n_range == 0)
        FAIL_AT(p, from, TD_ERR_FORMAT, "the class is empty; '.' stands for any character");
    p->at++;
    *out = td_gnode_chars(&p->b, p->ranges, p->n_range, negated);
    return TD_OK;
}

/* ---- tokens ---- */

static td_status read_number(parser *p, const char *what, uint64_t *out) {
    char buffer[16];
    *out = 0;
    if (!is_digit(peek(p)))
        FAIL_AT(p, p->at, TD_ERR_FORMAT, "%s, wanted %s", found(p, buffer), what);
    for (; is_digit(peek(p)); p->at++)
        if (*out <= UINT32_MAX) *out = *out * 10 + (uint64_t)(peek(p) - '0');
    return TD_OK;
}

/* <text>: the text with its brackets must be one token of the vocabulary. */
static td_status find_token(parser *p, size_t from, uint64_t *id) {
    const char *end = memchr(p->text + from, '>', p->n - from);
    if (!end) FAIL_AT(p, from, TD_ERR_FORMAT, "this token has no closing '>'");
    const size_t n = (size_t)(end - p->text) + 1 - from;
    const int shown = n < 40 ? (int)n : 40;
    p->at = from + n;
    if (!p->tok)
        FAIL_AT(p, from, TD_ERR_UNSUPPORTED, "there is no vocabulary to look %.*s up in", shown,
                p->text + from);
    int32_t *tokens;
    int n_token;
    TD_TRY(td_tokenizer_encode(p->tok, p->text + from, n, TD_TOKENIZE_PARSE_SPECIAL, &tokens,
                               &n_token, p->err));
    *id = n_token == 1 ? (uint64_t)tokens[0] : 0;
    td_free(tokens);
    if (n_token != 1)
        FAIL_AT(p, from, TD_ERR_ARGUMENT, "%.*s is %d tokens of this model, wanted one", shown,
                p->text + from, n_token);
    p->at = from + n;
    return TD_OK;
}

static td_status read_token(parser *p, td_gnode **out) {
    const size_t from = p->at;
    const bool negated = peek(p) == '!';
    char buffer[16];
    if (negated) p->at++;
    if (peek(p) != '<')
        FAIL_AT(p, p->at, TD_ERR_FORMAT, "%s, wanted '<' after '!'", found(p, buffer));
    uint64_t id = 0;
    if (p->at + 1 < p->n && p->text[p->at + 1] == '[') {
        p->at += 2;
        TD_TRY(read_number(p, "the number of a token", &id));
        if (p->n - p->at < 2 || memcmp(p->text + p->at, "]>", 2) != 0)
            FAIL_AT(p, p->at, TD_ERR_FORMAT, "%s, wanted ']>' after the token's number",
                    found(p, buffer));
        p->at += 2;
    } else {
        TD_TRY(find_token(p, p->at, &id));
    }
    const uint64_t n_token = p->tok ? (uint64_t)td_tokenizer_vocab(p->tok)->n_token : INT32_MAX;
    if (id >= n_token)
        FAIL_AT(p, from, TD_ERR_ARGUMENT, "token %llu, wanted less than %llu",
                (unsigned long long)id, (unsigned long long)n_token);
    *out = td_gnode_token(&p->b, (uint32_t)id, negated);
    return TD_OK;
}

/* ---- repetitions ---- */

static td_status read_count(parser *p, uint32_t *out) {
    uint64_t n;
    const size_t from = p->at;
    TD_TRY(read_number(p, "a number of repetitions", &n));
    if (n > TD_GRAMMAR_MAX_COUNT)
        FAIL_AT(p, from, TD_ERR_LIMIT, "more repetitions than %d", (int)TD_GRAMMAR_MAX_COUNT);
    *out = (uint32_t)n;
    return TD_OK;
}

/* {m} {m,} {m,n} */
static td_status read_braces(parser *p, bool nested, uint32_t *min, uint32_t *max) {
    const size_t from = p->at++;
    char buffer[16];
    skip_space(p, nested);
    TD_TRY(read_count(p, min));
    *max = *min;
    skip_space(p, nested);
    if (peek(p) == ',') {
        p->at++;
        skip_space(p, nested);
        *max = TD_GRAMMAR_INF;
        if (is_digit(peek(p))) TD_TRY(read_count(p, max));
        skip_space(p, nested);
    }
    if (peek(p) != '}') FAIL_AT(p, p->at, TD_ERR_FORMAT, "%s, wanted '}'", found(p, buffer));
    if (*max < *min)
        FAIL_AT(p, from, TD_ERR_FORMAT, "at least %u and at most %u repetitions", (unsigned)*min,
                (unsigned)*max);
    p->at++;
    return TD_OK;
}

/* What may follow an item: any number of * + ? {}. */
static td_status read_repeats(parser *p, bool nested, td_gnode **node) {
    for (;;) {
        uint32_t min = 0, max = TD_GRAMMAR_INF;
        switch (peek(p)) {
        case '*': p->at++; break;
        case '+':
            min = 1;
            p->at++;
            break;
        case '?':
            max = 1;
            p->at++;
            break;
        case '{': TD_TRY(read_braces(p, nested, &min, &max)); break;
        default: return TD_OK;
        }
        *node = td_gnode_repeat(&p->b, *node, min, max);
        TD_TRY(td_gbuilder_check(&p->b, p->err));
        skip_space(p, nested);
    }
}

/* ---- rules ---- */

static td_status read_alternates(parser *p, bool nested, td_gnode **out);

static td_status read_group(parser *p, td_gnode **out) {
    const size_t from = p->at++;
    char buffer[16];
    if (++p->n_paren > MAX_PARENS)
        FAIL_AT(p, from, TD_ERR_LIMIT, "parentheses nest deeper than %d", MAX_PARENS);
    skip_space(p, true);
    TD_TRY(read_alternates(p, true, out));
    p->n_paren--;
    if (peek(p) != ')') FAIL_AT(p, p->at, TD_ERR_FORMAT, "%s, wanted ')'", found(p, buffer));
    p->at++;
    return TD_OK;
}

/* *out is NULL where no item begins. */
static td_status read_item(parser *p, td_gnode **out) {
    const int c = peek(p);
    *out = NULL;
    if (c == '"') return read_literal(p, out);
    if (c == '[') return read_class(p, out);
    if (c == '<' || c == '!') return read_token(p, out);
    if (c == '(') return read_group(p, out);
    if (c == '.') {
        p->at++;
        *out = td_gnode_chars(&p->b, NULL, 0, true);
        return TD_OK;
    }
    if (c == '*' || c == '+' || c == '?' || c == '{')
        FAIL_AT(p, p->at, TD_ERR_FORMAT, "there is nothing before this '%c' to repeat", c);
    if (is_word(c)) {
        const char *name;
        size_t n;
        uint32_t rule;
        TD_TRY(read_name(p, &name, &n));
        TD_TRY(rule_of(p, name, n, &rule));
        *out = td_gnode_rule(&p->b, rule);
    }
    return TD_OK;
}

static td_status read_sequence(parser *p, bool nested, td_gnode **out) {
    td_glist list = {0};
    for (;;) {
        td_gnode *node;
        TD_TRY(read_item(p, &node));
        TD_TRY(td_gbuilder_check(&p->b, p->err));
        if (!node) break;
        skip_space(p, nested);
        TD_TRY(read_repeats(p, nested, &node));
        td_glist_add(&p->b, &list, node);
    }
    *out = td_gnode_seq(&p->b, &list);
    return TD_OK;
}

static td_status read_alternates(parser *p, bool nested, td_gnode **out) {
    td_glist list = {0};
    for (;;) {
        td_gnode *node;
        TD_TRY(read_sequence(p, nested, &node));
        td_glist_add(&p->b, &list, node);
        if (peek(p) != '|') break;
        p->at++;
        skip_space(p, true);
    }
    *out = td_gnode_alt(&p->b, &list);
    return td_gbuilder_check(&p->b, p->err);
}

static td_status read_rule(parser *p) {
    const char *name;
    size_t n;
    uint32_t rule;
    char buffer[16];
    const size_t from = p->at;
    TD_TRY(read_name(p, &name, &n));
    TD_TRY(rule_of(p, name, n, &rule));
    if (p->b.rules[rule].node)
        FAIL_AT(p, from, TD_ERR_FORMAT, "rule '%s' is defined a second time",
                p->b.rules[rule].name);
    skip_space(p, false);
    if (p->n - p->at < 3 || memcmp(p->text + p->at, "::=", 3) != 0)
        FAIL_AT(p, p->at, TD_ERR_FORMAT, "%s, wanted '::=' after the name of a rule",
                found(p, buffer));
    p->at += 3;
    skip_space(p, true);
    td_gnode *node;
    TD_TRY(read_alternates(p, false, &node));
    p->b.rules[rule].node = node;
    if (p->at < p->n && peek(p) != '\n' && peek(p) != '\r')
        FAIL_AT(p, p->at, TD_ERR_FORMAT, "%s, wanted the end of the rule's line", found(p, buffer));
    skip_space(p, true);
    return TD_OK;
}

static td_status parse(parser *p, uint32_t *root) {
    skip_space(p, true);
    while (p->at < p->n) TD_TRY(read_rule(p));
    for (size_t i = 0; i < p->b.n_rule; i++) {
        const td_grule *r = &p->b.rules[i];
        if (!r->node)
            return td_fail(p->err, TD_ERR_FORMAT,
                           "%s: line %d, column %d: rule '%s' is not defined", p->b.name, r->line,
                           r->column, r->name);
    }
    const size_t n = p->b.n_rule;
    TD_TRY(rule_of(p, "root", 4, root));
    if (p->b.n_rule > n)
        return td_fail(p->err, TD_ERR_FORMAT, "%s: there is no rule 'root', where all begins",
                       p->b.name);
    return TD_OK;
}

td_status td_grammar_from_gbnf(td_grammar **out, const char *text, size_t n, const char *name,
                               const td_tokenizer *tok, td_err *err) {
    *out = NULL;
    td_err local; /* messages are put together in pieces */
    parser *p = td_calloc(1, sizeof *p);
    if (!p) return td_fail_nomem(err, name, sizeof *p);
    p->text = text;
    p->n = n;
    p->tok = tok;
    p->err = err ? err : &local;
    td_gbuilder_init(&p->b, name);
    uint32_t root = 0;
    td_status status = parse(p, &root);
    if (status == TD_OK) status = td_grammar_build(out, &p->b, root, p->err);
    td_gbuilder_clear(&p->b);
    td_strbuf_clear(&p->literal);
    td_free(p->ranges);
    td_free(p->chain);
    td_free(p);
    return status;
}
