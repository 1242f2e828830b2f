/* options_help.c - the text of --help, and guesses at what a misspelt word meant. */
#include "base/options.h"

#include <string.h>

enum { WIDTH = 80, INDENT = 26, MAX_WORD = 48 };

/* Appends words wrapped at WIDTH, continuation lines indented; *column is where the line stands. */
static void add_wrapped(td_strbuf *out, const char *text, size_t indent, size_t *column) {
    while (*text) {
        text += strspn(text, " ");
        const size_t n = strcspn(text, " ");
        if (n == 0) break;
        if (*column + 1 + n > WIDTH && *column > indent) {
            td_strbuf_addc(out, '\n');
            for (size_t i = 0; i < indent; i++) td_strbuf_addc(out, ' ');
            *column = indent;
        } else if (*column > indent) {
            td_strbuf_addc(out, ' ');
            (*column)++;
        }
        td_strbuf_add(out, text, n);
        *column += n;
        text += n;
    }
}

/* "0 to 1, default 0.95; TANDEM_TOP_P; also --topp" in parentheses, as far as there is any. */
static void add_facts(td_strbuf *facts, const td_option *row) {
    const char *before = "(";
    if (row->type == TD_OPTION_INT) {
        td_strbuf_addf(facts, "%s%.0f to %.0f", before, row->min, row->max);
        before = "; ";
    } else if (row->type == TD_OPTION_FLOAT) {
        td_strbuf_addf(facts, "%s%g to %g", before, row->min, row->max);
        before = "; ";
    }
    if (row->def) {
        td_strbuf_addf(facts, "%sdefault %s", before, row->def);
        before = "; ";
    }
    if (row->env) {
        td_strbuf_addf(facts, "%s%s", before, row->env);
        before = "; ";
    }
    if (row->aliases) {
        td_strbuf_addf(facts, "%salso", before);
        for (const char *a = row->aliases; *a;) {
            a += strspn(a, " ");
            const size_t n = strcspn(a, " ");
            if (a[0] != '!') td_strbuf_addf(facts, " %.*s", (int)n, a);
            a += n;
        }
        before = "; ";
    }
    if (before[0] == ';') td_strbuf_addc(facts, ')');
}

static void add_row(td_strbuf *out, const td_option *row) {
    const size_t start = out->n;
    if (row->short_name)
        td_strbuf_addf(out, "  -%c, --%s", row->short_name, row->name);
    else
        td_strbuf_addf(out, "      --%s", row->name);
    if (row->value) td_strbuf_addf(out, " %s", row->value);
    size_t column = out->n - start;
    if (column + 2 > INDENT) {
        td_strbuf_addc(out, '\n');
        column = 0;
    }
    for (; column < INDENT; column++) td_strbuf_addc(out, ' ');
    add_wrapped(out, row->help, INDENT, &column);
    td_strbuf facts = {0};
    add_facts(&facts, row);
    if (facts.n > 0) add_wrapped(out, facts.text, INDENT, &column);
    if (facts.failed != TD_OK && out->failed == TD_OK) out->failed = facts.failed;
    td_strbuf_clear(&facts);
    td_strbuf_addc(out, '\n');
}

void td_options_help(const td_option_spec *spec, td_strbuf *out) {
    td_strbuf_addf(out, "usage: tandem %s %s\n\n", spec->command, spec->arguments);
    size_t column = 0;
    add_wrapped(out, spec->summary, 0, &column);
    td_strbuf_addc(out, '\n');
    for (int g = 0; g < TD_MAX_OPTION_GROUPS && spec->groups[g]; g++) {
        td_strbuf_addf(out, "\n%s\n", spec->groups[g]->title);
        for (int r = 0; r < spec->groups[g]->n_row; r++) add_row(out, &spec->groups[g]->rows[r]);
    }
    td_strbuf_adds(out, "\n  -h, --help              print this\n");
}

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* Edits (insert, delete, replace a byte, swap two neighbours) from a to b, of at most MAX_WORD
 * bytes each.  cost[i][j] is that of a[0..i) to b[0..j); rows are used in turns. */
static size_t edit_distance(const char *a, const char *b) {
    const size_t n_a = strlen(a), n_b = strlen(b);
    if (n_a > MAX_WORD || n_b > MAX_WORD) return MAX_WORD;
    size_t cost[3][MAX_WORD + 1];
    for (size_t j = 0; j <= n_b; j++) cost[0][j] = j;
    for (size_t i = 1; i <= n_a; i++) {
        size_t *row = cost[i % 3];
        const size_t *above = cost[(i - 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= n_b; j++) {
            row[j] = above[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = smaller(row[j], smaller(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = smaller(row[j], cost[(i - 2) % 3][j - 2] + 1);
        }
    }
    return cost[n_a % 3][n_b];
}

const char *td_option_nearest(const char *word, const char *const *words, int n) {
    const char *nearest = NULL;
    const size_t n_word = strlen(word);
    size_t least = n_word / 3 + 1; /* more edits than this are another word, not a slip */
    for (int i = 0; i < n; i++) {
        size_t distance = edit_distance(word, words[i]);
        /* A word broken off, "--temp" for "--temperature". */
        if (n_word >= 4 && distance > 1 && strncmp(words[i], word, n_word) == 0) distance = 1;
        if (distance <= least && (!nearest || distance < least)) {
            nearest = words[i];
            least = distance;
        }
    }
    return nearest;
}
