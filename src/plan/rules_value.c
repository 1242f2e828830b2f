/* rules_value.c - looking into values, and writing them; see rules.h. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan/rules_int.h"

const td_rule_value *td_rule_get(const td_rule_value *map, const char *key) {
    if (!map || map->type != TD_RULE_MAP) return NULL;
    for (int i = 0; i < map->n_item; i++) {
        const td_rule_value *k = map->keys[i];
        if (k->type == TD_RULE_STRING && k->n_text == strlen(key) && strcmp(k->text, key) == 0)
            return map->items[i];
    }
    return NULL;
}

const char *td_rule_string(const td_rule_value *value) {
    return value && value->type == TD_RULE_STRING ? value->text : NULL;
}

bool td_rule_is_true(const td_rule_value *v) {
    switch (v->type) {
    case TD_RULE_NULL: return false;
    case TD_RULE_BOOL: return v->boolean;
    case TD_RULE_INT: return v->integer != 0;
    case TD_RULE_FLOAT: return v->number != 0;
    case TD_RULE_STRING: return v->n_text > 0;
    case TD_RULE_LIST:
    case TD_RULE_MAP: return v->n_item > 0;
    }
    return true;
}

static bool equal_maps(const td_rule_value *a, const td_rule_value *b) {
    for (int i = 0; i < a->n_item; i++) {
        int j = 0;
        while (j < b->n_item && !td_rule_equal(a->keys[i], b->keys[j])) j++;
        if (j == b->n_item || !td_rule_equal(a->items[i], b->items[j])) return false;
    }
    return true;
}

bool td_rule_equal(const td_rule_value *a, const td_rule_value *b) {
    if (a == b) return true;
    if (a->type != b->type) return false;
    switch (a->type) {
    case TD_RULE_NULL: return true;
    case TD_RULE_BOOL: return a->boolean == b->boolean;
    case TD_RULE_INT: return a->integer == b->integer;
    case TD_RULE_FLOAT: return a->number == b->number || (isnan(a->number) && isnan(b->number));
    case TD_RULE_STRING: return a->n_text == b->n_text && memcmp(a->text, b->text, a->n_text) == 0;
    case TD_RULE_MAP: return a->n_item == b->n_item && equal_maps(a, b);
    case TD_RULE_LIST: break;
    }
    if (a->n_item != b->n_item) return false;
    for (int i = 0; i < a->n_item; i++)
        if (!td_rule_equal(a->items[i], b->items[i])) return false;
    return true;
}

const char *td_rule_type_text(td_rule_type type) {
    switch (type) {
    case TD_RULE_NULL: return "null";
    case TD_RULE_BOOL: return "a boolean";
    case TD_RULE_INT: return "an integer";
    case TD_RULE_FLOAT: return "a number";
    case TD_RULE_STRING: return "a string";
    case TD_RULE_LIST: return "a list";
    case TD_RULE_MAP: return "a map";
    }
    return "?";
}

/* ---- writing ---- */

/* Python's escapes are YAML's; anything else beyond ASCII stands for itself. */
static void write_string(const char *text, size_t n, td_strbuf *out) {
    td_strbuf_addc(out, '"');
    for (size_t i = 0; i < n; i++) {
        const char c = text[i];
        if (c == '"' || c == '\\')
            td_strbuf_addf(out, "\\%c", c);
        else if (c == '\n')
            td_strbuf_adds(out, "\\n");
        else if ((unsigned char)c < 0x20 || c == 0x7f)
            td_strbuf_addf(out, "\\x%02x", (unsigned)(unsigned char)c);
        else
            td_strbuf_addc(out, c);
    }
    td_strbuf_addc(out, '"');
}

/* The shortest digits that give the number back, with the point and the sign of the exponent that
 * YAML 1.1 asks of a float. */
static void write_float(double x, td_strbuf *out) {
    if (isnan(x) || isinf(x)) {
        td_strbuf_adds(out, isnan(x) ? ".nan" : x > 0 ? ".inf" : "-.inf");
        return;
    }
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, x);
        if (strtod(text, NULL) == x) break;
    }
    const size_t n = strcspn(text, "e");
    td_strbuf_add(out, text, n);
    if (!memchr(text, '.', n)) td_strbuf_adds(out, ".0");
    td_strbuf_adds(out, text + n);
}

void td_rule_write(const td_rule_value *v, td_strbuf *out) {
    switch (v->type) {
    case TD_RULE_NULL: td_strbuf_adds(out, "null"); return;
    case TD_RULE_BOOL: td_strbuf_adds(out, v->boolean ? "True" : "False"); return;
    case TD_RULE_INT: td_strbuf_addf(out, "%" PRId64, v->integer); return;
    case TD_RULE_FLOAT: write_float(v->number, out); return;
    case TD_RULE_STRING: write_string(v->text, v->n_text, out); return;
    case TD_RULE_LIST:
    case TD_RULE_MAP: break;
    }
    td_strbuf_addc(out, v->type == TD_RULE_MAP ? '{' : '[');
    for (int i = 0; i < v->n_item; i++) {
        if (i > 0) td_strbuf_adds(out, ", ");
        if (v->type == TD_RULE_MAP) {
            td_rule_write(v->keys[i], out);
            td_strbuf_adds(out, ": ");
        }
        td_rule_write(v->items[i], out);
    }
    td_strbuf_addc(out, v->type == TD_RULE_MAP ? '}' : ']');
}
