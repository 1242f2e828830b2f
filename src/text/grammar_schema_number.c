/* grammar_schema_number.c - ranges of numbers as digits.
 *
 * Between two numbers of the same length the digits are bound by both as long as they agree, then
 * by one of them, then free: so a range takes two chains of digits, not a list of numbers. */
#include <math.h>
#include <string.h>

#include "text/grammar_schema.h"

#define MOST_DIGITS  UINT64_C(9999999999999999999) /* the greatest number that is written */
#define NO_INT_LEAST INT64_MIN
#define NO_INT_MOST  INT64_MAX

enum { PRECISION = 15 /* digits that a double keeps apart */, MAX_FRACTION = 60 };

td_gnode *td_gschema_digits(td_gschema *s, char lo, char hi, uint32_t min, uint32_t max) {
    if (lo > hi) return td_gnode_never(&s->b);
    const td_char_range range = {(uint32_t)lo, (uint32_t)hi};
    return td_gnode_repeat(&s->b, td_gnode_chars(&s->b, &range, 1, false), min, max);
}

/* ---- whole numbers ---- */

static bool all_are(const char *digits, int n, char c) {
    for (int i = 0; i < n; i++)
        if (digits[i] != c) return false;
    return true;
}

/* n digits from lo to hi, lo <= hi. */
static td_gnode *same_length(td_gschema *s, const char *lo, const char *hi, int n) {
    static const char zeros[] = "00000000000000000000", nines[] = "99999999999999999999";
    if (n == 0) return td_gnode_empty(&s->b);
    if (all_are(lo, n, '0') && all_are(hi, n, '9'))
        return td_gschema_digits(s, '0', '9', (uint32_t)n, (uint32_t)n);
    if (lo[0] == hi[0])
        return td_gnode_seq2(&s->b, td_gnode_text(&s->b, lo, 1),
                             same_length(s, lo + 1, hi + 1, n - 1));
    td_glist list = {0};
    char from = lo[0], to = hi[0];
    if (!all_are(lo + 1, n - 1, '0')) {
        td_glist_add(&s->b, &list,
                     td_gnode_seq2(&s->b, td_gnode_text(&s->b, lo, 1),
                                   same_length(s, lo + 1, nines, n - 1)));
        from++;
    }
    if (!all_are(hi + 1, n - 1, '9')) {
        td_glist_add(&s->b, &list,
                     td_gnode_seq2(&s->b, td_gnode_text(&s->b, hi, 1),
                                   same_length(s, zeros, hi + 1, n - 1)));
        to--;
    }
    if (from <= to)
        td_glist_add(
            &s->b, &list,
            td_gnode_seq2(&s->b, td_gschema_digits(s, from, to, 1, 1),
                          td_gschema_digits(s, '0', '9', (uint32_t)n - 1, (uint32_t)n - 1)));
    return td_gnode_alt(&s->b, &list);
}

static int write_digits(uint64_t x, char out[24]) {
    int n = 0;
    char reversed[24];
    do reversed[n++] = (char)('0' + x % 10);
    while (x /= 10);
    for (int i = 0; i < n; i++) out[i] = reversed[n - 1 - i];
    return n;
}

/* lo to hi, without leading zeros. */
static td_gnode *natural(td_gschema *s, uint64_t lo, uint64_t hi) {
    if (hi > MOST_DIGITS) hi = MOST_DIGITS;
    if (lo > hi) return td_gnode_never(&s->b);
    td_glist list = {0};
    uint64_t power = 1; /* the least number of n digits; 0 counts as one of one digit */
    int n_full_from = 0, n_full_to = 0;
    for (int n = 1; n <= TD_GSCHEMA_MAX_DIGITS; n++, power *= 10) {
        const uint64_t least = n == 1 ? 0 : power, most = n == 19 ? MOST_DIGITS : power * 10 - 1;
        const uint64_t from = lo > least ? lo : least, to = hi < most ? hi : most;
        if (from > to) continue;
        if (n > 1 && from == least && to == most) { /* all numbers of n digits */
            if (n_full_from == 0) n_full_from = n;
            n_full_to = n;
            continue;
        }
        char a[24], b[24];
        write_digits(from, a);
        write_digits(to, b);
        td_glist_add(&s->b, &list, same_length(s, a, b, n));
    }
    if (n_full_from > 0)
        td_glist_add(&s->b, &list,
                     td_gnode_seq2(&s->b, td_gschema_digits(s, '1', '9', 1, 1),
                                   td_gschema_digits(s, '0', '9', (uint32_t)n_full_from - 1,
                                                     (uint32_t)n_full_to - 1)));
    return td_gnode_alt(&s->b, &list);
}

static td_gnode *minus(td_gschema *s, td_gnode *node) {
    return td_gnode_seq2(&s->b, td_gnode_text(&s->b, "-", 1), node);
}

/* The integer bound that this comes to; false: out of reach, so none holds. */
static bool integer_bound(td_gbound b, bool is_least, int64_t *out) {
    if (!b.is_set) return true;
    if (b.value->type == TD_VALUE_INT) {
        *out = b.value->u.integer;
        if (!b.is_exclusive) return true;
        if (*out == (is_least ? INT64_MAX : INT64_MIN)) return false;
        *out += is_least ? 1 : -1;
        return true;
    }
    const double f = b.value->u.real;
    double whole = is_least ? ceil(f) : floor(f);
    if (b.is_exclusive && whole == f) whole += is_least ? 1 : -1;
    if (whole >= 9.2e18) return !is_least; /* beyond what is bound at all */
    if (whole <= -9.2e18) return is_least;
    *out = (int64_t)whole;
    return true;
}

td_gnode *td_gschema_integer(td_gschema *s, td_gbound least, td_gbound most, const char *at) {
    int64_t lo = NO_INT_LEAST, hi = NO_INT_MOST;
    (void)at;
    if (!integer_bound(least, true, &lo) || !integer_bound(most, false, &hi) || lo > hi)
        return td_gnode_never(&s->b);
    td_glist list = {0};
    if (hi >= 0)
        td_glist_add(
            &s->b, &list,
            natural(s, lo > 0 ? (uint64_t)lo : 0, hi == NO_INT_MOST ? MOST_DIGITS : (uint64_t)hi));
    if (lo < 0)
        td_glist_add(&s->b, &list,
                     minus(s, natural(s, hi < 0 ? (uint64_t) - (hi + 1) + 1 : 1,
                                      lo == NO_INT_LEAST ? MOST_DIGITS : (uint64_t)-lo)));
    return td_gnode_alt(&s->b, &list);
}

/* ---- decimal numbers ---- */

/* A number without its sign: whole part and digits of the fraction. */
typedef struct decimal {
    bool is_set, is_exclusive;
    uint64_t whole;
    char digits[MAX_FRACTION + 1];
    int n; /* without zeros at the end */
} decimal;

/* From the shortest text that reads as the number: "-1.5e-07".  False if it is too long. */
static bool read_decimal(td_gschema *s, const td_value *v, decimal *d, bool *negative) {
    td_strbuf text = {0};
    td_value_to_json(v, -1, &text);
    if (text.failed) {
        td_gschema_fail(s, TD_ERR_NOMEM, "#", "out of memory");
        return false;
    }
    char digits[2 * MAX_FRACTION + 40];
    int n = 0, point = -1, exponent = 0;
    const char *p = text.text;
    *negative = *p == '-';
    p += *negative;
    for (; (*p >= '0' && *p <= '9') || *p == '.'; p++) {
        if (*p == '.')
            point = n;
        else if (n < 40)
            digits[n++] = *p;
    }
    if (point < 0) point = n;
    if (*p == 'e' || *p == 'E') {
        const bool down = p[1] == '-';
        for (p += 2; *p >= '0' && *p <= '9'; p++)
            if (exponent < 10000) exponent = exponent * 10 + (*p - '0');
        if (down) exponent = -exponent;
    }
    td_strbuf_clear(&text);
    point += exponent;
    if (point > 19 || point < 20 - MAX_FRACTION) return false;
    d->whole = 0;
    for (int i = 0; i < point; i++)
        d->whole = d->whole * 10 + (uint64_t)(i < n ? digits[i] - '0' : 0);
    d->n = 0;
    for (int i = point; i < n && d->n < MAX_FRACTION; i++)
        d->digits[d->n++] = i < 0 ? '0' : digits[i];
    while (d->n > 0 && d->digits[d->n - 1] == '0') d->n--;
    return true;
}

typedef struct fraction {
    td_gschema *s;
    const decimal *lo, *hi; /* NULL: not bound on this side */
    int precision;
} fraction;

static char digit_at(const decimal *d, int i) { return i < d->n ? d->digits[i] : '0'; }

/* Whether the number may end after i digits of its fraction, bound by those given. */
static bool may_end(const decimal *lo, const decimal *hi, int i) {
    if (lo && (lo->n > i || lo->is_exclusive)) return false;
    return !(hi && hi->n <= i && hi->is_exclusive);
}

/* Digits from the i-th of the fraction on. */
static td_gnode *fraction_from(const fraction *f, const decimal *lo, const decimal *hi, int i) {
    td_gschema *s = f->s;
    if (!lo && !hi)
        return td_gschema_digits(s, '0', '9', i == 0 ? 1 : 0, (uint32_t)(f->precision - i));
    td_glist list = {0};
    if (i > 0 && may_end(lo, hi, i)) td_glist_add(&s->b, &list, td_gnode_empty(&s->b));
    if (i < f->precision) {
        char from = lo ? digit_at(lo, i) : '0', to = hi ? digit_at(hi, i) : '9';
        if (lo && hi && from == to) {
            td_glist_add(&s->b, &list,
                         td_gnode_seq2(&s->b, td_gnode_text(&s->b, &from, 1),
                                       fraction_from(f, lo, hi, i + 1)));
        } else if (from <= to) {
            if (lo)
                td_glist_add(&s->b, &list,
                             td_gnode_seq2(&s->b, td_gnode_text(&s->b, &from, 1),
                                           fraction_from(f, lo, NULL, i + 1)));
            if (hi)
                td_glist_add(&s->b, &list,
                             td_gnode_seq2(&s->b, td_gnode_text(&s->b, &to, 1),
                                           fraction_from(f, NULL, hi, i + 1)));
            if (lo) from++;
            if (hi) to--;
            if (from <= to)
                td_glist_add(&s->b, &list,
                             td_gnode_seq2(&s->b, td_gschema_digits(s, from, to, 1, 1),
                                           td_gschema_digits(s, '0', '9', 0,
                                                             (uint32_t)(f->precision - i - 1))));
        }
    }
    return td_gnode_alt(&s->b, &list);
}

/* Whole part and fraction: whole numbers lo to hi, the fraction bound by those given. */
static td_gnode *with_fraction(const fraction *f, uint64_t from, uint64_t to, const decimal *lo,
                               const decimal *hi) {
    td_gschema *s = f->s;
    td_gnode *digits =
        td_gnode_seq2(&s->b, td_gnode_text(&s->b, ".", 1), fraction_from(f, lo, hi, 0));
    if (may_end(lo, hi, 0)) digits = td_gnode_repeat(&s->b, digits, 0, 1);
    return td_gnode_seq2(&s->b, natural(s, from, to), digits);
}

/* Numbers without a sign. */
static td_gnode *magnitude(td_gschema *s, const decimal *lo, const decimal *hi) {
    const uint64_t greatest = hi->is_set ? hi->whole : lo->whole;
    char text[24];
    int precision = PRECISION - write_digits(greatest, text);
    if (precision < 1) precision = 1;
    if (precision < lo->n) precision = lo->n;
    if (hi->is_set && precision < hi->n) precision = hi->n;
    const fraction f = {s, lo, hi, precision};
    if (hi->is_set && hi->whole == lo->whole)
        return with_fraction(&f, lo->whole, lo->whole, lo, hi);
    td_glist list = {0};
    if (hi->is_set && hi->whole < lo->whole) return td_gnode_never(&s->b);
    td_glist_add(&s->b, &list, with_fraction(&f, lo->whole, lo->whole, lo, NULL));
    if (hi->is_set) td_glist_add(&s->b, &list, with_fraction(&f, hi->whole, hi->whole, NULL, hi));
    const uint64_t to = hi->is_set ? hi->whole - 1 : MOST_DIGITS;
    if (lo->whole < to)
        td_glist_add(&s->b, &list, with_fraction(&f, lo->whole + 1, to, NULL, NULL));
    return td_gnode_alt(&s->b, &list);
}

static bool is_zero(const decimal *d) { return d->whole == 0 && d->n == 0; }

td_gnode *td_gschema_number(td_gschema *s, td_gbound least, td_gbound most, const char *at) {
    decimal lo = {.is_set = least.is_set, .is_exclusive = least.is_exclusive};
    decimal hi = {.is_set = most.is_set, .is_exclusive = most.is_exclusive};
    bool lo_negative = false, hi_negative = false;
    if ((least.is_set && !read_decimal(s, least.value, &lo, &lo_negative)) ||
        (most.is_set && !read_decimal(s, most.value, &hi, &hi_negative)))
        return td_gschema_fail(s, TD_ERR_UNSUPPORTED, at,
                               "a bound of numbers has more than 19 digits before or 40 after the "
                               "point");
    const decimal zero = {.is_set = true};
    td_glist list = {0};
    /* -0 is 0, and a bound of -0 too. */
    lo_negative &= !is_zero(&lo);
    hi_negative &= !is_zero(&hi);
    if (!hi_negative)
        td_glist_add(&s->b, &list, magnitude(s, lo.is_set && !lo_negative ? &lo : &zero, &hi));
    if (!lo.is_set || lo_negative) {
        decimal from = zero;
        if (hi.is_set && (hi_negative || is_zero(&hi))) from = hi;
        from.is_set = true;
        td_glist_add(&s->b, &list, minus(s, magnitude(s, &from, &lo)));
    }
    return td_gnode_alt(&s->b, &list);
}
