/* options.c - finding options, parsing values, and the environment.
 *
 * The three sources are read in falling order of precedence, and a slot that has its value from one
 * is not touched by the next; so nothing is ever overwritten except by its own source. */
#include "base/options.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/filemap.h"

enum { MAX_SPELLING = 64, MAX_CONFIG_BYTES = 1 << 20 };

/* The value of one table row. Lifetime: that of the td_options. */
struct td_option_slot {
    const td_option *row; /* borrowed */
    td_option_source source;
    bool b;
    int64_t i; /* INT; the index of a CHOICE */
    double f;
    const char *text[2];
    const char **list; /* [n_list], in the arena */
    int n_list, cap_list;
};

/* Where a value stands, for messages: `where` "" or "/home/me/.config/tandem/config:3: ", `as` the
 * name as written there. */
typedef struct place {
    td_option_source source;
    const char *where;
    const char *as;
} place;

/* ---- values ---- */

static td_status set_int(td_option_slot *s, const char *text, const place *at, td_err *err) {
    const td_option *row = s->row;
    char *end;
    errno = 0;
    const long long v = strtoll(text, &end, 10);
    if (end == text || *end != 0 || isspace((unsigned char)text[0]))
        return td_fail(err, TD_ERR_ARGUMENT, "%s%s: '%s' is no whole number, wanted %.0f to %.0f",
                       at->where, at->as, text, row->min, row->max);
    if (errno == ERANGE || (double)v < row->min || (double)v > row->max)
        return td_fail(err, TD_ERR_ARGUMENT, "%s%s: %s is out of range, wanted %.0f to %.0f",
                       at->where, at->as, text, row->min, row->max);
    s->i = v;
    return TD_OK;
}

static td_status set_float(td_option_slot *s, const char *text, const place *at, td_err *err) {
    const td_option *row = s->row;
    char *end;
    const double v = strtod(text, &end);
    if (end == text || *end != 0 || isspace((unsigned char)text[0]) || isnan(v))
        return td_fail(err, TD_ERR_ARGUMENT, "%s%s: '%s' is no number, wanted %g to %g", at->where,
                       at->as, text, row->min, row->max);
    if (v < row->min || v > row->max)
        return td_fail(err, TD_ERR_ARGUMENT, "%s%s: %s is out of range, wanted %g to %g", at->where,
                       at->as, text, row->min, row->max);
    s->f = v;
    return TD_OK;
}

/* 1, 0, or -1 for a word that is neither; Python's True and False are among them. */
static int bool_of(const char *text) {
    static const char *const words[] = {"true", "on", "yes", "1", "false", "off", "no", "0"};
    for (int i = 0; i < 8; i++)
        if (strcasecmp(text, words[i]) == 0) return i < 4;
    return -1;
}

static td_status set_bool(td_option_slot *s, const char *text, const place *at, td_err *err) {
    const int b = bool_of(text);
    if (b < 0)
        return td_fail(err, TD_ERR_ARGUMENT, "%s%s: '%s' is neither on nor off", at->where, at->as,
                       text);
    s->b = b == 1;
    return TD_OK;
}

static td_status set_choice(td_option_slot *s, const char *text, const place *at, td_err *err) {
    const size_t n = strlen(text);
    const char *word = s->row->value;
    for (int i = 0; word; i++) {
        const size_t n_word = strcspn(word, "|");
        if (n_word == n && memcmp(word, text, n) == 0) {
            s->i = i;
            return TD_OK;
        }
        word = word[n_word] ? word + n_word + 1 : NULL;
    }
    return td_fail(err, TD_ERR_ARGUMENT, "%s%s: '%s' is unknown, wanted %s", at->where, at->as,
                   text, s->row->value);
}

static td_status add_to_list(td_option_slot *s, td_arena *arena, const char *text, td_err *err) {
    if (s->n_list == s->cap_list) {
        const int cap = s->cap_list ? 2 * s->cap_list : 4;
        const char **list = td_arena_calloc(arena, (size_t)cap, sizeof *list);
        if (!list) return td_fail_nomem(err, "a list of options", (size_t)cap * sizeof *list);
        if (s->n_list > 0) memcpy(list, s->list, (size_t)s->n_list * sizeof *list);
        s->list = list;
        s->cap_list = cap;
    }
    s->list[s->n_list++] = text;
    return TD_OK;
}

/* Parses one text into a slot; `text` is copied.  PAIR is the command line's alone and is set by
 * set_pair(). */
static td_status set_value(td_option_slot *s, td_arena *arena, const char *text, const place *at,
                           td_err *err) {
    TD_ASSERT(s->row->type != TD_OPTION_PAIR);
    switch (s->row->type) {
    case TD_OPTION_BOOL: TD_TRY(set_bool(s, text, at, err)); break;
    case TD_OPTION_INT: TD_TRY(set_int(s, text, at, err)); break;
    case TD_OPTION_FLOAT: TD_TRY(set_float(s, text, at, err)); break;
    case TD_OPTION_CHOICE: TD_TRY(set_choice(s, text, at, err)); break;
    default: {
        const char *copy = td_arena_strndup(arena, text, strlen(text));
        if (!copy) return td_fail_nomem(err, "the value of an option", strlen(text) + 1);
        if (s->row->type == TD_OPTION_LIST)
            TD_TRY(add_to_list(s, arena, copy, err));
        else
            s->text[0] = copy;
    }
    }
    s->source = at->source;
    return TD_OK;
}

/* ---- finding ---- */

/* Compares a spelling, which `n` bytes of a table hold, with a written word: '_' and '-' are the
 * same beyond the first byte. */
static bool same_spelling(const char *spelling, size_t n, const char *word) {
    for (size_t i = 0; i < n; i++) {
        const char w = i > 0 && word[i] == '_' ? '-' : word[i];
        if (w == 0 || w != spelling[i]) return false;
    }
    return word[n] == 0;
}

/* Steps through words separated by spaces: true and *word, *n set, or false at the end. */
static bool next_word(const char **list, const char **word, size_t *n) {
    if (!*list) return false;
    *list += strspn(*list, " ");
    *word = *list;
    *n = strcspn(*list, " ");
    *list += *n;
    return *n > 0;
}

static bool in_word_list(const char *list, const char *written) {
    const char *word;
    size_t n;
    while (next_word(&list, &word, &n))
        if (same_spelling(word, n, written)) return true;
    return false;
}

/* True if `written` ("--ctx-size", "-c", "--no-raw") names the row; *negated tells how. */
static bool row_matches(const td_option *row, const char *written, bool *negated) {
    *negated = false;
    if (row->short_name && written[0] == '-' && written[1] == row->short_name && written[2] == 0)
        return true;
    if (strncmp(written, "--", 2) == 0) {
        if (same_spelling(row->name, strlen(row->name), written + 2)) return true;
        *negated = row->type == TD_OPTION_BOOL &&
                   (strncmp(written, "--no-", 5) == 0 || strncmp(written, "--no_", 5) == 0) &&
                   same_spelling(row->name, strlen(row->name), written + 5);
        if (*negated) return true;
    }
    const char *list = row->aliases, *word;
    size_t n;
    while (next_word(&list, &word, &n)) {
        *negated = word[0] == '!';
        if (same_spelling(word + *negated, n - *negated, written)) return true;
    }
    *negated = false;
    return false;
}

static const td_option *find_in_spec(const td_option_spec *spec, const char *written,
                                     bool *negated) {
    for (int g = 0; g < TD_MAX_OPTION_GROUPS && spec->groups[g]; g++)
        for (int r = 0; r < spec->groups[g]->n_row; r++)
            if (row_matches(&spec->groups[g]->rows[r], written, negated))
                return &spec->groups[g]->rows[r];
    return NULL;
}

static td_option_slot *slot_of(const td_options *o, const td_option *row) {
    for (int i = 0; i < o->n_slot; i++)
        if (o->slots[i].row == row) return &o->slots[i];
    return NULL;
}

/* "-t8": a short name with its number attached. */
static const td_option *find_attached(const td_option_spec *spec, const char *arg) {
    if (arg[0] != '-' || !arg[1] || !arg[2]) return NULL;
    const char *digits = arg + 2 + (arg[2] == '-');
    if (!isdigit((unsigned char)*digits)) return NULL;
    const char written[3] = {'-', arg[1], 0};
    bool negated;
    const td_option *row = find_in_spec(spec, written, &negated);
    return row && (row->type == TD_OPTION_INT || row->type == TD_OPTION_FLOAT) ? row : NULL;
}

/* ---- what is not known ---- */

/* What td_option_nearest() chooses from: the rows' long names and aliases. */
typedef struct candidates {
    const char **words; /* in the arena */
    int n, cap;
} candidates;

static void add_candidate(candidates *c, td_arena *arena, const char *dashes, const char *name,
                          size_t n) {
    char text[MAX_SPELLING];
    if (c->n == c->cap) return;
    const int w = snprintf(text, sizeof text, "%s%.*s", dashes, (int)n, name);
    c->words[c->n] = td_arena_strndup(arena, text, (size_t)w < sizeof text ? (size_t)w : 0);
    if (c->words[c->n]) c->n++;
}

/* Memory that runs out costs the user a hint, no more. */
static candidates find_candidates(const td_option_spec *spec, td_arena *arena) {
    candidates c = {.cap = 512};
    c.words = td_arena_calloc(arena, (size_t)c.cap, sizeof *c.words);
    if (!c.words) return (candidates){0};
    for (int g = 0; g < TD_MAX_OPTION_GROUPS && spec->groups[g]; g++)
        for (int r = 0; r < spec->groups[g]->n_row; r++) {
            const td_option *row = &spec->groups[g]->rows[r];
            add_candidate(&c, arena, "--", row->name, strlen(row->name));
            const char *list = row->aliases, *word;
            size_t n;
            while (next_word(&list, &word, &n))
                if (word[0] == '-' && word[1] == '-') add_candidate(&c, arena, "", word, n);
        }
    return c;
}

static td_status fail_unknown(const td_option_input *in, td_arena *arena, const char *written,
                              td_err *err) {
    for (int i = 0; i < in->spec->n_refusal; i++)
        if (in_word_list(in->spec->refusals[i].spellings, written))
            return td_fail(err, TD_ERR_ARGUMENT, "%s is not for '%s': %s", written,
                           in->spec->command, in->spec->refusals[i].reason);
    for (int i = 0; i < in->n_all; i++) {
        bool negated;
        if (find_in_spec(in->all[i], written, &negated))
            return td_fail(err, TD_ERR_ARGUMENT, "%s is no option of '%s', but of '%s'", written,
                           in->spec->command, in->all[i]->command);
    }
    const candidates c = find_candidates(in->spec, arena);
    const char *near = td_option_nearest(written, c.words, c.n);
    if (near)
        return td_fail(err, TD_ERR_ARGUMENT, "unknown option %s, did you mean %s?", written, near);
    return td_fail(err, TD_ERR_ARGUMENT, "unknown option %s; 'tandem %s --help' lists them",
                   written, in->spec->command);
}

/* ---- the command line ---- */

typedef struct word_reader {
    const td_option_input *in;
    int at; /* index of the next word */
} word_reader;

static td_status take_word(word_reader *r, const place *p, const char *what, const char **out,
                           td_err *err) {
    if (r->at >= r->in->argc)
        return td_fail(err, TD_ERR_ARGUMENT, "%s wants a value: %s", p->as, what);
    *out = r->in->argv[r->at++];
    return TD_OK;
}

static td_status set_pair(td_option_slot *s, td_arena *arena, word_reader *r, const place *p,
                          td_err *err) {
    for (int i = 0; i < 2; i++) {
        const char *text = NULL;
        TD_TRY(take_word(r, p, s->row->value, &text, err));
        s->text[i] = td_arena_strndup(arena, text, strlen(text));
        if (!s->text[i]) return td_fail_nomem(err, "the value of an option", strlen(text) + 1);
    }
    s->source = p->source;
    return TD_OK;
}

/* One word that begins with '-', and its value. */
static td_status parse_flag(td_options *o, word_reader *r, td_err *err) {
    const char *arg = r->in->argv[r->at++];
    const char *equals = strchr(arg, '=');
    const size_t n_name = equals ? (size_t)(equals - arg) : strlen(arg);
    char written[MAX_SPELLING];
    snprintf(written, sizeof written, "%.*s", n_name > 1000 ? 1000 : (int)n_name, arg);
    const place p = {.source = TD_OPTION_FROM_FLAG, .where = "", .as = written};

    if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
        o->help = true;
        return TD_OK;
    }
    bool negated = false;
    const td_option *row =
        n_name < sizeof written ? find_in_spec(o->spec, written, &negated) : NULL;
    if (!row) {
        row = find_attached(o->spec, arg);
        if (!row) return fail_unknown(r->in, &o->arena, written, err);
        snprintf(written, sizeof written, "-%c", arg[1]);
        return set_value(slot_of(o, row), &o->arena, arg + 2, &p, err);
    }
    td_option_slot *s = slot_of(o, row);
    if (row->type == TD_OPTION_BOOL) {
        if (equals && negated) return td_fail(err, TD_ERR_ARGUMENT, "%s takes no value", written);
        if (equals) return set_value(s, &o->arena, equals + 1, &p, err);
        /* "--flag True", where the row says so. */
        if (row->value && !negated && r->at < r->in->argc && bool_of(r->in->argv[r->at]) >= 0)
            return set_value(s, &o->arena, r->in->argv[r->at++], &p, err);
        return set_value(s, &o->arena, negated ? "off" : "on", &p, err);
    }
    if (row->type == TD_OPTION_PAIR) {
        if (equals)
            return td_fail(err, TD_ERR_ARGUMENT, "%s takes two values after it: %s", written,
                           row->value);
        return set_pair(s, &o->arena, r, &p, err);
    }
    const char *text = equals ? equals + 1 : NULL;
    if (!text) TD_TRY(take_word(r, &p, row->value, &text, err));
    return set_value(s, &o->arena, text, &p, err);
}

static td_status add_positional(td_options *o, const char *arg, td_err *err) {
    if (o->n_positional == o->spec->max_positional)
        return td_fail(err, TD_ERR_ARGUMENT, "'%s' is one argument too many, wanted: tandem %s %s",
                       arg, o->spec->command, o->spec->arguments);
    const char *copy = td_arena_strndup(&o->arena, arg, strlen(arg));
    if (!copy) return td_fail_nomem(err, "an argument", strlen(arg) + 1);
    o->positional[o->n_positional++] = copy;
    return TD_OK;
}

static td_status parse_command_line(td_options *o, const td_option_input *in, td_err *err) {
    word_reader r = {.in = in};
    bool flags = true;
    while (r.at < in->argc && !o->help) {
        const char *arg = in->argv[r.at];
        if (flags && strcmp(arg, "--") == 0) {
            flags = false;
            r.at++;
        } else if (flags && arg[0] == '-' && arg[1] != 0) {
            TD_TRY(parse_flag(o, &r, err));
        } else {
            r.at++;
            TD_TRY(add_positional(o, arg, err));
        }
    }
    return TD_OK;
}

/* ---- environment and config file ---- */

static const char *process_env(void *user, const char *name) {
    (void)user;
    return getenv(name);
}

static td_status parse_env(td_options *o, const td_option_input *in, td_err *err) {
    td_option_env_fn *env = in->env ? in->env : process_env;
    for (int i = 0; i < o->n_slot; i++) {
        td_option_slot *s = &o->slots[i];
        if (!s->row->env || s->source != TD_OPTION_UNSET) continue;
        const char *text = env(in->env_user, s->row->env);
        if (!text || !text[0]) continue;
        const place p = {.source = TD_OPTION_FROM_ENV, .where = "", .as = s->row->env};
        TD_TRY(set_value(s, &o->arena, text, &p, err));
    }
    return TD_OK;
}

/* The row that a key of the config file names, or NULL. */
static const td_option *find_key(const td_option_spec *spec, const char *key) {
    for (int g = 0; g < TD_MAX_OPTION_GROUPS && spec->groups[g]; g++)
        for (int r = 0; r < spec->groups[g]->n_row; r++) {
            const td_option *row = &spec->groups[g]->rows[r];
            if (row->env && same_spelling(row->name, strlen(row->name), key)) return row;
        }
    return NULL;
}

static td_status parse_config_entry(td_options *o, const td_option_input *in, const char *key,
                                    const char *value, const char *where, td_err *err) {
    const place p = {.source = TD_OPTION_FROM_CONFIG, .where = where, .as = key};
    const td_option *row = find_key(o->spec, key);
    if (!row) {
        for (int i = 0; i < in->n_all; i++)
            if (find_key(in->all[i], key)) return TD_OK;
        return td_fail(err, TD_ERR_ARGUMENT,
                       "%sunknown key '%s', wanted the long name of an option that has an "
                       "environment variable",
                       where, key);
    }
    td_option_slot *s = slot_of(o, row);
    if (s->source == TD_OPTION_FROM_FLAG || s->source == TD_OPTION_FROM_ENV) return TD_OK;
    return set_value(s, &o->arena, value, &p, err);
}

/* Cuts blanks off both ends, in place. */
static char *trim(char *s) {
    s += strspn(s, " \t\r");
    size_t n = strlen(s);
    while (n > 0 && strchr(" \t\r", s[n - 1])) n--;
    s[n] = 0;
    return s;
}

/* "key = value"; a value in double quotes keeps its blanks. */
static td_status parse_config_line(td_options *o, const td_option_input *in, char *line,
                                   const char *where, td_err *err) {
    char *key = trim(line);
    if (key[0] == 0 || key[0] == '#') return TD_OK;
    char *equals = strchr(key, '=');
    if (!equals)
        return td_fail(err, TD_ERR_ARGUMENT, "%s'%.80s' has no '=', wanted key = value", where,
                       key);
    *equals = 0;
    char *value = trim(equals + 1);
    const size_t n = strlen(value);
    if (n >= 2 && value[0] == '"' && value[n - 1] == '"') {
        value[n - 1] = 0;
        value++;
    }
    return parse_config_entry(o, in, trim(key), value, where, err);
}

static td_status parse_config(td_options *o, const td_option_input *in, td_err *err) {
    const char *line = in->config;
    for (int i_line = 1; line && *line; i_line++) {
        const size_t n = strcspn(line, "\n");
        char *copy = td_arena_strndup(&o->arena, line, n);
        if (!copy) return td_fail_nomem(err, "a line of the config file", n + 1);
        char where[512];
        snprintf(where, sizeof where, "%.480s:%d: ", in->config_name ? in->config_name : "config",
                 i_line);
        TD_TRY(parse_config_line(o, in, copy, where, err));
        line += n + (line[n] == '\n');
    }
    return TD_OK;
}

/* ---- all together ---- */

static td_status init_slots(td_options *o, td_err *err) {
    for (int g = 0; g < TD_MAX_OPTION_GROUPS && o->spec->groups[g]; g++)
        o->n_slot += o->spec->groups[g]->n_row;
    o->slots = td_arena_calloc(&o->arena, (size_t)o->n_slot + 1, sizeof *o->slots);
    o->positional =
        td_arena_calloc(&o->arena, (size_t)o->spec->max_positional + 1, sizeof *o->positional);
    if (!o->slots || !o->positional)
        return td_fail_nomem(err, "the options", (size_t)o->n_slot * sizeof *o->slots);
    int i = 0;
    for (int g = 0; g < TD_MAX_OPTION_GROUPS && o->spec->groups[g]; g++)
        for (int r = 0; r < o->spec->groups[g]->n_row; r++)
            o->slots[i++].row = &o->spec->groups[g]->rows[r];
    return TD_OK;
}

static td_status set_defaults(td_options *o, td_err *err) {
    for (int i = 0; i < o->n_slot; i++) {
        td_option_slot *s = &o->slots[i];
        if (s->source != TD_OPTION_UNSET) continue;
        if (s->row->type == TD_OPTION_CHOICE) s->i = -1;
        const place p = {.source = TD_OPTION_UNSET, .where = "default of ", .as = s->row->name};
        if (s->row->def) TD_TRY(set_value(s, &o->arena, s->row->def, &p, err));
    }
    return TD_OK;
}

static td_status parse_all(td_options *o, const td_option_input *in, td_err *err) {
    TD_TRY(init_slots(o, err));
    TD_TRY(parse_command_line(o, in, err));
    if (o->help) return TD_OK;
    TD_TRY(parse_env(o, in, err));
    TD_TRY(parse_config(o, in, err));
    TD_TRY(set_defaults(o, err));
    if (o->n_positional < o->spec->min_positional)
        return td_fail(err, TD_ERR_ARGUMENT, "an argument is missing, wanted: tandem %s %s",
                       o->spec->command, o->spec->arguments);
    return TD_OK;
}

td_status td_options_parse(td_options *out, const td_option_input *in, td_err *err) {
    *out = (td_options){.spec = in->spec};
    td_arena_init(&out->arena, 16384);
    const td_status status = parse_all(out, in, err);
    if (status != TD_OK) td_options_clear(out);
    return status;
}

void td_options_clear(td_options *o) {
    td_arena_clear(&o->arena);
    *o = (td_options){0};
}

/* ---- reading values ---- */

static const td_option_slot *get_slot(const td_options *o, const char *name, td_option_type type) {
    for (int i = 0; i < o->n_slot; i++)
        if (strcmp(o->slots[i].row->name, name) == 0) {
            TD_ASSERT(o->slots[i].row->type == type);
            return &o->slots[i];
        }
    TD_ASSERT(false && "no option of that name");
    static const td_option_slot none = {0};
    (void)type;
    return &none;
}

td_option_source td_options_source(const td_options *o, const char *name) {
    for (int i = 0; i < o->n_slot; i++)
        if (strcmp(o->slots[i].row->name, name) == 0) return o->slots[i].source;
    TD_ASSERT(false && "no option of that name");
    return TD_OPTION_UNSET;
}

bool td_options_bool(const td_options *o, const char *name) {
    return get_slot(o, name, TD_OPTION_BOOL)->b;
}

int64_t td_options_int(const td_options *o, const char *name) {
    return get_slot(o, name, TD_OPTION_INT)->i;
}

double td_options_float(const td_options *o, const char *name) {
    return get_slot(o, name, TD_OPTION_FLOAT)->f;
}

const char *td_options_string(const td_options *o, const char *name) {
    return get_slot(o, name, TD_OPTION_STRING)->text[0];
}

int td_options_choice(const td_options *o, const char *name) {
    return (int)get_slot(o, name, TD_OPTION_CHOICE)->i;
}

const char *const *td_options_list(const td_options *o, const char *name, int *n) {
    const td_option_slot *s = get_slot(o, name, TD_OPTION_LIST);
    *n = s->n_list;
    return s->list;
}

const char *const *td_options_pair(const td_options *o, const char *name) {
    const td_option_slot *s = get_slot(o, name, TD_OPTION_PAIR);
    return s->source == TD_OPTION_UNSET ? NULL : s->text;
}

/* ---- environment ---- */

static const td_option_env_name env_names[] = {
    {"TD_CPU",          "the highest CPU level to use, to test lower ones: scalar, avx2, avx512, ..."},
    {"XDG_CONFIG_HOME", "where tandem/config lies; else $HOME/.config"                               },
    {"XDG_STATE_HOME",  "where tandem/history lies; else $HOME/.local/state"                         },
    {"HOME",            "for the two before"                                                         },
    {"NO_COLOR",        "set to anything: no colours, no progress bar"                               },
    {"TERM",            "'dumb': the same"                                                           },
};

const td_option_env_name *td_option_env_names(int *n) {
    *n = (int)(sizeof env_names / sizeof env_names[0]);
    return env_names;
}

const char *td_option_env(const char *name) {
    for (size_t i = 0; i < sizeof env_names / sizeof env_names[0]; i++)
        if (strcmp(env_names[i].name, name) == 0) {
            const char *value = getenv(name);
            return value && value[0] ? value : NULL;
        }
    TD_ASSERT(false && "a name that env_names lacks");
    return NULL;
}

bool td_option_user_path(const char *variable, const char *fallback, const char *leaf,
                         td_strbuf *out) {
    const char *base = td_option_env(variable);
    if (base && base[0] == '/') {
        td_strbuf_addf(out, "%s/tandem/%s", base, leaf);
        return true;
    }
    const char *home = td_option_env("HOME");
    if (!home) return false;
    td_strbuf_addf(out, "%s%s/tandem/%s", home, fallback, leaf);
    return true;
}

td_status td_option_read_config(char **text, td_strbuf *path, td_err *err) {
    *text = NULL;
    if (!td_option_user_path("XDG_CONFIG_HOME", "/.config", "config", path)) return TD_OK;
    TD_TRY(td_strbuf_check(path, "the path of the config file", err));
    if (access(path->text, F_OK) != 0) return TD_OK;
    size_t n;
    TD_TRY(td_file_read(path->text, MAX_CONFIG_BYTES, text, &n, err));
    if (strlen(*text) != n) {
        td_free(*text);
        *text = NULL;
        return td_fail(err, TD_ERR_FORMAT, "'%s' holds a NUL byte, wanted text", path->text);
    }
    return TD_OK;
}
