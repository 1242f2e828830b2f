/* rules_scalar.c - what YAML 1.1 makes of a plain scalar, in PyYAML's reading of it.
 *
 * PyYAML decides by regular expressions, some of them stricter than the standard: 1e5 is text, for
 * a float needs a point and its exponent a sign; 08 is text, for it is no octal; yes and off are
 * booleans, y and n are text. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "plan/rules_int.h"

/* ---- words ---- */

static bool is_one_of(const char *text, const char *words) {
    const size_t n = strlen(text);
    for (const char *w = words; n > 0 && (w = strstr(w, text)) != NULL; w += n)
        if ((w == words || w[-1] == ' ') && (w[n] == ' ' || w[n] == 0)) return true;
    return false;
}

#define TRUE_WORDS  "yes Yes YES true True TRUE on On ON"
#define FALSE_WORDS "no No NO false False FALSE off Off OFF"

static bool is_null(const char *text) {
    return text[0] == 0 || is_one_of(text, "~ null Null NULL");
}

/* ---- shapes ---- */

static const char *skip(const char *at, const char *set) { return at + strspn(at, set); }

#define DIGITS  "0123456789"
#define DIGITS_ "0123456789_"

static bool is_in(char c, const char *set) { return c != 0 && strchr(set, c) != NULL; }

/* The end of (:[0-5]?[0-9])+ at the front, or NULL. */
static const char *skip_sixties(const char *at) {
    const char *end = NULL;
    while (*at == ':') {
        at++;
        if (is_in(at[0], "012345") && is_in(at[1], DIGITS))
            at += 2;
        else if (is_in(at[0], DIGITS))
            at++;
        else
            return end;
        end = at;
    }
    return end;
}

static bool looks_like_int(const char *text) {
    const char *at = is_in(text[0], "+-") ? text + 1 : text;
    if (at[0] == '0') {
        if (at[1] == 'b') return at[2] != 0 && *skip(at + 2, "01_") == 0;
        if (at[1] == 'x') return at[2] != 0 && *skip(at + 2, "0123456789abcdefABCDEF_") == 0;
        return *skip(at + 1, "01234567_") == 0;
    }
    if (!is_in(at[0], DIGITS)) return false;
    at = skip(at, DIGITS_);
    if (*at == ':') at = skip_sixties(at);
    return at && *at == 0;
}

/* Whether at is an exponent with its sign, or the end. */
static bool is_exponent_or_end(const char *at) {
    if (*at == 0) return true;
    if (!is_in(at[0], "eE") || !is_in(at[1], "+-") || !is_in(at[2], DIGITS)) return false;
    return *skip(at + 2, DIGITS) == 0;
}

static bool looks_like_float(const char *text) {
    if (is_one_of(text, ".nan .NaN .NAN")) return true;
    if (text[0] == '.' && is_in(text[1], DIGITS))
        return is_exponent_or_end(skip(text + 1, DIGITS_));
    const char *at = is_in(text[0], "+-") ? text + 1 : text;
    if (is_one_of(at, ".inf .Inf .INF")) return true;
    if (!is_in(at[0], DIGITS)) return false;
    at = skip(at, DIGITS_);
    if (*at == '.') return is_exponent_or_end(skip(at + 1, DIGITS_));
    at = skip_sixties(at);
    return at && *at == '.' && *skip(at + 1, DIGITS_) == 0;
}

/* ---- numbers ---- */

static int digit_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'z') return c - 'a' + 10;
    if (c >= 'A' && c <= 'Z') return c - 'A' + 10;
    return 99;
}

/* *sum = *sum * base + digit for one more digit of a number below zero, where there is room for the
 * most negative one. */
static bool push_digit(int64_t *sum, int base, int digit) {
    return !__builtin_mul_overflow(*sum, (int64_t)base, sum) &&
           !__builtin_sub_overflow(*sum, (int64_t)digit, sum);
}

/* Digits of one base; underscores are skipped.  *any: there was one. */
static bool read_digits(const char *at, const char *end, int base, int64_t *sum, bool *any) {
    for (; at < end; at++) {
        if (*at == '_') continue;
        if (digit_value(*at) >= base || !push_digit(sum, base, digit_value(*at))) return false;
        *any = true;
    }
    return true;
}

/* 190:20:30, which is base 60. */
static bool read_sixties(const char *at, int64_t *sum, bool *any) {
    for (const char *end; *at; at = *end ? end + 1 : end) {
        int64_t part = 0;
        end = at + strcspn(at, ":");
        if (!read_digits(at, end, 10, &part, any)) return false;
        if (__builtin_mul_overflow(*sum, (int64_t)60, sum) ||
            __builtin_add_overflow(*sum, part, sum))
            return false;
    }
    return true;
}

static bool read_int(td_rule_value *v, const char **why) {
    const bool negative = v->text[0] == '-';
    const char *at = is_in(v->text[0], "+-") ? v->text + 1 : v->text;
    const char *end = v->text + v->n_text;
    int64_t sum = 0;
    bool any = false, fits;
    if (at[0] == '0' && at[1] == 'b')
        fits = read_digits(at + 2, end, 2, &sum, &any);
    else if (at[0] == '0' && at[1] == 'x')
        fits = read_digits(at + 2, end, 16, &sum, &any);
    else if (at[0] == '0')
        fits = read_digits(at, end, 8, &sum, &any);
    else if (memchr(at, ':', (size_t)(end - at)))
        fits = read_sixties(at, &sum, &any);
    else
        fits = read_digits(at, end, 10, &sum, &any);
    if (!negative && fits) fits = !__builtin_sub_overflow((int64_t)0, sum, &sum);
    *why = !fits ? "does not fit into 64 bits" : "has no digits";
    if (!fits || !any) return false;
    v->type = TD_RULE_INT;
    v->integer = sum;
    return true;
}

/* PyYAML adds the parts of base 60 from the last one on. */
static double sum_sixties(char *text) {
    double sum = 0, base = 1;
    for (char *colon; (colon = strrchr(text, ':')) != NULL; base *= 60) {
        sum += strtod(colon + 1, NULL) * base;
        *colon = 0;
    }
    return sum + strtod(text, NULL) * base;
}

static bool read_float(td_rule_value *v, const char **why) {
    const char *at = is_in(v->text[0], "+-") ? v->text + 1 : v->text;
    char digits[1200];
    size_t n = 0;
    *why = "has too many digits";
    if (v->n_text >= sizeof digits) return false;
    for (; *at; at++)
        if (*at != '_') digits[n++] = *at;
    digits[n] = 0;
    double x;
    if (is_one_of(digits, ".nan .NaN .NAN"))
        x = (double)NAN;
    else if (is_one_of(digits, ".inf .Inf .INF"))
        x = (double)INFINITY;
    else
        x = sum_sixties(digits);
    v->type = TD_RULE_FLOAT;
    v->number = v->text[0] == '-' ? -x : x;
    return true;
}

/* ---- types ---- */

static bool set_bool(td_rule_value *v, bool x) {
    v->type = TD_RULE_BOOL;
    v->boolean = x;
    return true;
}

bool td_rule_type_plain(td_rule_value *v, const char **why) {
    v->type = TD_RULE_STRING;
    if (memchr(v->text, 0, v->n_text)) return true;
    if (is_null(v->text))
        v->type = TD_RULE_NULL;
    else if (is_one_of(v->text, TRUE_WORDS))
        return set_bool(v, true);
    else if (is_one_of(v->text, FALSE_WORDS))
        return set_bool(v, false);
    else if (looks_like_float(v->text))
        return read_float(v, why);
    else if (looks_like_int(v->text))
        return read_int(v, why);
    else if (strcmp(v->text, "=") == 0 || strcmp(v->text, "<<") == 0) {
        *why = "is no value of YAML 1.1, wanted quotes around it";
        return false;
    }
    return true;
}

/* A tag takes what the type's own spelling allows, which is narrower than what PyYAML would try. */
bool td_rule_type_as(td_rule_value *v, td_rule_type type, const char **why) {
    v->type = TD_RULE_STRING;
    if (type == TD_RULE_STRING) return true;
    if (type == TD_RULE_NULL) {
        v->type = TD_RULE_NULL;
        return true;
    }
    if (!memchr(v->text, 0, v->n_text)) {
        if (type == TD_RULE_INT && looks_like_int(v->text)) return read_int(v, why);
        if (type == TD_RULE_FLOAT && (looks_like_float(v->text) || looks_like_int(v->text)))
            return read_float(v, why);
        if (type == TD_RULE_BOOL && is_one_of(v->text, TRUE_WORDS)) return set_bool(v, true);
        if (type == TD_RULE_BOOL && is_one_of(v->text, FALSE_WORDS)) return set_bool(v, false);
    }
    *why = "is not of the type that its tag says";
    return false;
}

/* ---- keys ---- */

/* Whether the value is a whole number in Python's eyes, booleans and 2.0 included. */
static bool whole_number(const td_rule_value *v, int64_t *x) {
    if (v->type == TD_RULE_BOOL)
        *x = v->boolean;
    else if (v->type == TD_RULE_INT)
        *x = v->integer;
    else if (v->type == TD_RULE_FLOAT && fabs(v->number) < 9e18 && floor(v->number) == v->number)
        *x = (int64_t)v->number;
    else
        return false;
    return true;
}

bool td_rule_same_key(const td_rule_value *a, const td_rule_value *b) {
    int64_t x = 0, y = 0;
    const bool a_whole = whole_number(a, &x), b_whole = whole_number(b, &y);
    if (a_whole || b_whole) return a_whole && b_whole && x == y;
    if (a->type != b->type) return false;
    if (a->type == TD_RULE_NULL) return true;
    if (a->type == TD_RULE_FLOAT)
        return a->number == b->number || (isnan(a->number) && isnan(b->number));
    return a->n_text == b->n_text && memcmp(a->text, b->text, a->n_text) == 0;
}

uint64_t td_rule_key_hash(const td_rule_value *key) {
    uint64_t h = 14695981039346656037u;
    int64_t x;
    if (whole_number(key, &x)) return ((uint64_t)x ^ h) * 0x9E3779B97F4A7C15u >> 16;
    if (key->type != TD_RULE_STRING) return (uint64_t)key->type;
    for (size_t i = 0; i < key->n_text; i++) h = (h ^ (unsigned char)key->text[i]) * 1099511628211u;
    return h >> 16;
}
