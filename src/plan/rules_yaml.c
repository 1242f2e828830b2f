/* rules_yaml.c - a YAML file as values: libyaml's events, with PyYAML's choices where the standard
 * leaves some.  See rules_int.h for the bounds. */
#include <string.h>
#include <yaml.h>

#include "base/alloc.h"
#include "base/filemap.h"
#include "plan/rules_int.h"
#include "text/utf8.h"

typedef struct anchor {
    const td_rule_value *value; /* NULL while what it names is being read */
} anchor;

typedef struct pair {
    const td_rule_value *key, *value;
    bool merged; /* from a "<<" */
} pair;

/* One parse.  `pairs` is a stack: an open list or map owns what lies above where it began. */
typedef struct reader {
    yaml_parser_t yaml;
    td_rules *rules;
    td_strings anchor_names;
    anchor *anchors; /* [anchor_names.n] */
    size_t cap_anchor;
    pair *pairs;
    size_t n_pair, cap_pair;
    size_t cap_duplicate;
    size_t n_value; /* as if every alias were written out */
    int depth;
    td_err *err;
} reader;

static td_status fail(reader *r, td_status code, int line, const char *what) {
    return td_fail(r->err, code, "%s:%d: %s", r->rules->path, line, what);
}

static td_status fail_nomem(reader *r) {
    return td_fail(r->err, TD_ERR_NOMEM, "out of memory: the rules of '%s'", r->rules->path);
}

static int line_of(const yaml_mark_t *mark) {
    return mark->line < INT32_MAX ? (int)mark->line + 1 : INT32_MAX;
}

static td_status next_event(reader *r, yaml_event_t *event) {
    if (yaml_parser_parse(&r->yaml, event)) return TD_OK;
    const yaml_parser_t *y = &r->yaml;
    if (y->error == YAML_MEMORY_ERROR) return fail_nomem(r);
    return td_fail(r->err, TD_ERR_FORMAT, "%s:%d: no valid YAML: %s%s%s", r->rules->path,
                   line_of(y->error == YAML_READER_ERROR ? &y->mark : &y->problem_mark),
                   y->problem ? y->problem : "unreadable", y->context ? " " : "",
                   y->context ? y->context : "");
}

static td_status count_values(reader *r, size_t n, int line) {
    r->n_value += n;
    if (r->n_value <= TD_RULES_MAX_VALUES) return TD_OK;
    return td_fail(r->err, TD_ERR_LIMIT, "%s:%d: more than %d values, aliases written out",
                   r->rules->path, line, TD_RULES_MAX_VALUES);
}

/* Values that an alias of this one adds. */
static size_t n_values_of(const td_rule_value *v) {
    return v->type == TD_RULE_LIST || v->type == TD_RULE_MAP ? (size_t)v->n_value : 1;
}

static td_status new_value(reader *r, td_rule_value **out, int line) {
    TD_TRY(count_values(r, 1, line));
    *out = td_arena_calloc(&r->rules->arena, 1, sizeof **out);
    if (!*out) return fail_nomem(r);
    (*out)->line = line;
    return TD_OK;
}

/* ---- tags and scalars ---- */

/* The types that a tag can ask for; other tags name types of Python that no rule needs. */
static td_status take_tag(reader *r, const char *tag, int line, td_rule_type *type) {
    static const struct {
        const char *tag;
        td_rule_type type;
    } known[] = {
        {"null",      TD_RULE_NULL  },
        {"bool",      TD_RULE_BOOL  },
        {"int",       TD_RULE_INT   },
        {"float",     TD_RULE_FLOAT },
        {"str",       TD_RULE_STRING},
        {"timestamp", TD_RULE_STRING},
        {"seq",       TD_RULE_LIST  },
        {"map",       TD_RULE_MAP   },
    };
    static const char prefix[] = "tag:yaml.org,2002:";
    const size_t n = sizeof prefix - 1;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strncmp(tag, prefix, n) == 0 && strcmp(tag + n, known[i].tag) == 0) {
            *type = known[i].type;
            return TD_OK;
        }
    return td_fail(r->err, TD_ERR_UNSUPPORTED,
                   "%s:%d: the tag '%.100s' is not supported, wanted !!str, !!int, !!float, "
                   "!!bool, !!null, !!seq or !!map",
                   r->rules->path, line, tag);
}

/* ---- anchors ---- */

/* Opens the name of a value to come; *i is -1 if it has none. */
static td_status open_anchor(reader *r, const yaml_char_t *name, int line, int *i) {
    *i = -1;
    if (!name) return TD_OK;
    const size_t n = strlen((const char *)name);
    if (td_strings_find(&r->anchor_names, (const char *)name, n) >= 0)
        return td_fail(r->err, TD_ERR_FORMAT,
                       "%s:%d: the anchor '%.100s' stands for a second value", r->rules->path, line,
                       (const char *)name);
    const char *copy = td_arena_strndup(&r->rules->arena, (const char *)name, n);
    if (!copy) return fail_nomem(r);
    TD_TRY(td_grow((void **)&r->anchors, &r->cap_anchor, r->anchor_names.n + 1, sizeof *r->anchors,
                   "anchors", r->err));
    TD_TRY(td_strings_add(&r->anchor_names, copy, n, i, r->err));
    r->anchors[*i] = (anchor){0};
    return TD_OK;
}

static void close_anchor(reader *r, int i, const td_rule_value *value) {
    if (i >= 0) r->anchors[i].value = value;
}

static td_status read_alias(reader *r, const yaml_event_t *event, const td_rule_value **out) {
    const char *name = (const char *)event->data.alias.anchor;
    const int line = line_of(&event->start_mark);
    const int i = td_strings_find(&r->anchor_names, name, strlen(name));
    if (i < 0)
        return td_fail(r->err, TD_ERR_FORMAT, "%s:%d: the alias '*%.100s' has no anchor",
                       r->rules->path, line, name);
    if (!r->anchors[i].value)
        return td_fail(r->err, TD_ERR_FORMAT, "%s:%d: '*%.100s' stands inside of what it names",
                       r->rules->path, line, name);
    *out = r->anchors[i].value;
    return count_values(r, n_values_of(*out), line);
}

/* ---- scalars ---- */

static td_status read_scalar(reader *r, const yaml_event_t *event, td_rule_value **out) {
    const int line = line_of(&event->start_mark);
    td_rule_value *v;
    int i_anchor;
    TD_TRY(open_anchor(r, event->data.scalar.anchor, line, &i_anchor));
    TD_TRY(new_value(r, &v, line));
    v->n_text = event->data.scalar.length;
    v->text = td_arena_strndup(&r->rules->arena, (const char *)event->data.scalar.value, v->n_text);
    if (!v->text) return fail_nomem(r);
    v->type = TD_RULE_STRING;
    const char *why = NULL;
    bool good = true;
    const char *tag = (const char *)event->data.scalar.tag;
    const bool is_plain = tag ? strcmp(tag, "!") == 0 : event->data.scalar.plain_implicit;
    if (tag && !is_plain) {
        td_rule_type type;
        TD_TRY(take_tag(r, tag, line, &type));
        good = td_rule_type_as(v, type, &why);
    } else if (is_plain) {
        good = td_rule_type_plain(v, &why);
    }
    if (!good)
        return td_fail(r->err, TD_ERR_FORMAT, "%s:%d: '%.100s' %s", r->rules->path, line, v->text,
                       why);
    close_anchor(r, i_anchor, v);
    *out = v;
    return TD_OK;
}

/* ---- lists and maps ---- */

static td_status read_value(reader *r, yaml_event_t *event, const td_rule_value **out);

static td_status push_pair(reader *r, const td_rule_value *key, const td_rule_value *value,
                           bool merged) {
    TD_TRY(td_grow((void **)&r->pairs, &r->cap_pair, r->n_pair + 1, sizeof *r->pairs, "values",
                   r->err));
    r->pairs[r->n_pair++] = (pair){key, value, merged};
    return TD_OK;
}

/* Moves the pairs from `begin` on into the value, which lies in the arena. */
static td_status take_pairs(reader *r, size_t begin, td_rule_value *v) {
    const size_t n = r->n_pair - begin;
    const td_rule_value **items = td_arena_calloc(&r->rules->arena, n, sizeof *items);
    const td_rule_value **keys =
        v->type == TD_RULE_MAP ? td_arena_calloc(&r->rules->arena, n, sizeof *keys) : NULL;
    if (!items || (v->type == TD_RULE_MAP && !keys)) return fail_nomem(r);
    size_t n_value = 1;
    for (size_t i = 0; i < n; i++) {
        const pair *p = &r->pairs[begin + i];
        items[i] = p->value;
        if (keys) keys[i] = p->key;
        n_value += n_values_of(p->value) + (keys != NULL);
    }
    v->items = items;
    v->keys = keys;
    v->n_item = (int)n;
    v->n_value = n_value < TD_RULES_MAX_VALUES ? (int)n_value : TD_RULES_MAX_VALUES + 1;
    r->n_pair = begin;
    return TD_OK;
}

static td_status note_duplicate(reader *r, const pair *again, const pair *first) {
    td_rules *rules = r->rules;
    TD_TRY(td_grow((void **)&rules->duplicates, &r->cap_duplicate, (size_t)rules->n_duplicate + 1,
                   sizeof *rules->duplicates, "duplicate keys", r->err));
    rules->duplicates[rules->n_duplicate++] =
        (td_rules_duplicate){again->key->line, first->key->line, again->key->text};
    return TD_OK;
}

/* One entry per key: the first one's place, the last one's value, as in Python's dict. */
static td_status unite_pairs(reader *r, size_t begin) {
    const size_t n = r->n_pair - begin;
    if (n == 0) return TD_OK;
    pair *pairs = r->pairs + begin;
    size_t n_slot = 16;
    while (n_slot < 2 * n) n_slot *= 2;
    uint32_t *slots = td_calloc(n_slot, sizeof *slots); /* the pair's number + 1; 0: free */
    if (!slots) return fail_nomem(r);
    size_t n_kept = 0;
    td_status status = TD_OK;
    for (size_t i = 0; i < n && status == TD_OK; i++) {
        size_t at = (size_t)td_rule_key_hash(pairs[i].key) & (n_slot - 1);
        while (slots[at] && !td_rule_same_key(pairs[slots[at] - 1].key, pairs[i].key))
            at = (at + 1) & (n_slot - 1);
        if (!slots[at]) {
            pairs[n_kept] = pairs[i];
            slots[at] = (uint32_t)++n_kept;
            continue;
        }
        pair *first = &pairs[slots[at] - 1];
        /* What a merge brings is there to be overridden. */
        if (!first->merged && !pairs[i].merged) status = note_duplicate(r, &pairs[i], first);
        first->value = pairs[i].value;
        first->merged = first->merged && pairs[i].merged;
    }
    td_free(slots);
    r->n_pair = begin + n_kept;
    return status;
}

static td_status merge_map(reader *r, const td_rule_value *map, int line) {
    TD_TRY(count_values(r, (size_t)map->n_item, line));
    for (int i = 0; i < map->n_item; i++) TD_TRY(push_pair(r, map->keys[i], map->items[i], true));
    return TD_OK;
}

/* What "<<: value" brings; of a list of maps the first one has the last word. */
static td_status merge(reader *r, const td_rule_value *value, int line) {
    static const char wanted[] = "'<<' wants a map or a list of maps";
    if (value->type == TD_RULE_MAP) return merge_map(r, value, line);
    if (value->type != TD_RULE_LIST) return fail(r, TD_ERR_FORMAT, line, wanted);
    for (int i = value->n_item - 1; i >= 0; i--) {
        if (value->items[i]->type != TD_RULE_MAP) return fail(r, TD_ERR_FORMAT, line, wanted);
        TD_TRY(merge_map(r, value->items[i], line));
    }
    return TD_OK;
}

/* Puts the merged pairs before the map's own, which therefore win. */
static td_status order_pairs(reader *r, size_t begin) {
    const size_t n = r->n_pair - begin;
    if (n == 0) return TD_OK;
    pair *sorted = td_calloc(n, sizeof *sorted);
    if (!sorted) return fail_nomem(r);
    size_t n_sorted = 0;
    for (int own = 0; own < 2; own++)
        for (size_t i = 0; i < n; i++)
            if (r->pairs[begin + i].merged != (own == 1)) sorted[n_sorted++] = r->pairs[begin + i];
    memcpy(r->pairs + begin, sorted, n * sizeof *sorted);
    td_free(sorted);
    return TD_OK;
}

static bool is_scalar_key(const yaml_event_t *event, const char *text) {
    return event->type == YAML_SCALAR_EVENT && event->data.scalar.plain_implicit &&
           !event->data.scalar.tag && strcmp((const char *)event->data.scalar.value, text) == 0;
}

/* The key at hand and its value. */
static td_status read_pair(reader *r, yaml_event_t *event, bool *any_merged) {
    const int line = line_of(&event->start_mark);
    const td_rule_value *key = NULL, *value;
    const bool merges = is_scalar_key(event, "<<");
    if (is_scalar_key(event, "=")) event->data.scalar.plain_implicit = 0; /* text, as a key */
    td_status status = merges ? TD_OK : read_value(r, event, &key);
    yaml_event_delete(event);
    TD_TRY(status);
    if (key && (key->type == TD_RULE_LIST || key->type == TD_RULE_MAP))
        return fail(r, TD_ERR_FORMAT, line, "a key is a list or a map, wanted a text or a number");
    TD_TRY(next_event(r, event));
    status = read_value(r, event, &value);
    yaml_event_delete(event);
    TD_TRY(status);
    if (!merges) return push_pair(r, key, value, false);
    *any_merged = true;
    return merge(r, value, line);
}

static td_status read_pairs(reader *r, bool is_map, size_t begin) {
    const yaml_event_type_t end = is_map ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT;
    bool any_merged = false;
    for (;;) {
        yaml_event_t event;
        TD_TRY(next_event(r, &event));
        if (event.type == end) {
            yaml_event_delete(&event);
            break;
        }
        if (is_map) {
            TD_TRY(read_pair(r, &event, &any_merged));
            continue;
        }
        const td_rule_value *item;
        const td_status status = read_value(r, &event, &item);
        yaml_event_delete(&event);
        TD_TRY(status);
        TD_TRY(push_pair(r, NULL, item, false));
    }
    if (any_merged) TD_TRY(order_pairs(r, begin));
    return is_map ? unite_pairs(r, begin) : TD_OK;
}

static td_status read_collection(reader *r, const yaml_event_t *event, td_rule_value **out) {
    const bool is_map = event->type == YAML_MAPPING_START_EVENT;
    const int line = line_of(&event->start_mark);
    const yaml_char_t *name =
        is_map ? event->data.mapping_start.anchor : event->data.sequence_start.anchor;
    const yaml_char_t *tag =
        is_map ? event->data.mapping_start.tag : event->data.sequence_start.tag;
    td_rule_value *v;
    int i_anchor;
    td_rule_type type = is_map ? TD_RULE_MAP : TD_RULE_LIST;
    if (tag && strcmp((const char *)tag, "!") != 0)
        TD_TRY(take_tag(r, (const char *)tag, line, &type));
    if (type != (is_map ? TD_RULE_MAP : TD_RULE_LIST))
        return fail(r, TD_ERR_FORMAT, line, "the tag does not fit what it stands before");
    if (r->depth == TD_RULES_MAX_DEPTH)
        return fail(r, TD_ERR_LIMIT, line, "lists and maps are nested more than 64 deep");
    TD_TRY(open_anchor(r, name, line, &i_anchor));
    TD_TRY(new_value(r, &v, line));
    v->type = type;
    const size_t begin = r->n_pair;
    r->depth++;
    TD_TRY(read_pairs(r, is_map, begin));
    r->depth--;
    TD_TRY(take_pairs(r, begin, v));
    close_anchor(r, i_anchor, v);
    *out = v;
    return TD_OK;
}

/* The value that begins with the event, which stays the caller's. */
static td_status read_value(reader *r, yaml_event_t *event, const td_rule_value **out) {
    td_rule_value *v = NULL;
    td_status status;
    switch (event->type) {
    case YAML_ALIAS_EVENT: return read_alias(r, event, out);
    case YAML_SCALAR_EVENT: status = read_scalar(r, event, &v); break;
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT: status = read_collection(r, event, &v); break;
    default: status = fail(r, TD_ERR_FORMAT, line_of(&event->start_mark), "a value is missing");
    }
    *out = v;
    return status;
}

/* ---- the document ---- */

/* The first document, and that no second one follows; NULL: there is none. */
static td_status read_document(reader *r, const td_rule_value **out) {
    int n_document = 0;
    for (;;) {
        yaml_event_t event;
        TD_TRY(next_event(r, &event));
        const yaml_event_type_t type = event.type;
        const int line = line_of(&event.start_mark);
        td_status status = TD_OK;
        if (type == YAML_DOCUMENT_START_EVENT) {
            if (n_document++ > 0)
                status = fail(r, TD_ERR_FORMAT, line,
                              "a second document begins here, wanted one list of rules");
        } else if (type != YAML_STREAM_START_EVENT && type != YAML_STREAM_END_EVENT &&
                   type != YAML_DOCUMENT_END_EVENT) {
            status = read_value(r, &event, out);
        }
        yaml_event_delete(&event);
        TD_TRY(status);
        if (type == YAML_STREAM_END_EVENT) return TD_OK;
    }
}

static td_status check_text(const td_rules *rules, const char *text, size_t n, td_err *err) {
    if (n > TD_RULES_MAX_BYTES)
        return td_fail(err, TD_ERR_LIMIT, "%s:1: the file has %zu bytes, at most %d are read",
                       rules->path, n, TD_RULES_MAX_BYTES);
    const size_t n_valid = td_utf8_valid_prefix(text, n);
    if (n_valid == n) return TD_OK;
    int line = 1;
    for (size_t i = 0; i < n_valid; i++) line += text[i] == '\n';
    return td_fail(err, TD_ERR_FORMAT, "%s:%d: not UTF-8: byte 0x%02x", rules->path, line,
                   (unsigned)(unsigned char)text[n_valid]);
}

static td_status read_text(td_rules *rules, const char *text, size_t n, td_err *err) {
    TD_TRY(check_text(rules, text, n, err));
    reader r = {.rules = rules, .err = err};
    if (!yaml_parser_initialize(&r.yaml)) return fail_nomem(&r);
    yaml_parser_set_encoding(&r.yaml, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.yaml, (const unsigned char *)text, n);
    const td_status status = read_document(&r, &rules->document);
    yaml_parser_delete(&r.yaml);
    td_strings_clear(&r.anchor_names);
    td_free(r.anchors);
    td_free(r.pairs);
    return status;
}

td_status td_rules_read(td_rules **out, const char *text, size_t n, const char *path, td_err *err) {
    *out = NULL;
    td_rules *rules = td_calloc(1, sizeof *rules);
    if (!rules) return td_fail_nomem(err, "rules", sizeof *rules);
    td_arena_init(&rules->arena, 1 << 16);
    rules->path = td_strdup(path);
    const td_status status = rules->path ? read_text(rules, text, n, err)
                                         : td_fail(err, TD_ERR_NOMEM, "out of memory: rules");
    if (status != TD_OK) {
        td_rules_free(rules);
        return status;
    }
    *out = rules;
    return TD_OK;
}

td_status td_rules_parse(td_rules **out, const char *text, size_t n, const char *path,
                         td_err *err) {
    TD_TRY(td_rules_read(out, text, n, path, err));
    const td_status status = td_rules_build(*out, err);
    if (status == TD_OK) return TD_OK;
    td_rules_free(*out);
    *out = NULL;
    return status;
}

td_status td_rules_load(td_rules **out, const char *path, td_err *err) {
    *out = NULL;
    char *text;
    size_t n;
    TD_TRY(td_file_read(path, TD_RULES_MAX_BYTES, &text, &n, err));
    const td_status status =
        td_rules_parse(out, text, n, strcmp(path, "-") == 0 ? "standard input" : path, err);
    td_free(text);
    return status;
}

void td_rules_free(td_rules *rules) {
    if (!rules) return;
    td_patterns_free(rules);
    td_arena_clear(&rules->arena);
    td_free(rules->duplicates);
    td_free(rules->path);
    td_free(rules);
}
