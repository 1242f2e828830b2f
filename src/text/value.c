/* value.c - construction and lookup of values; see value.h and value_int.h.
 *
 * Mappings keep their entries in an array in order of insertion.  Up to eight entries are searched
 * in line; beyond, an open-addressing index of entry numbers is kept beside, always at most half
 * full, so that hostile input cannot make building a mapping quadratic. */
#include "text/value_int.h"

#include <math.h>
#include <string.h>

#include "text/pystr.h"

enum { SMALL_MAP = 8, MAX_KEY_NODES = 64 };

const td_value td_value_const_none = {.type = TD_VALUE_NONE};
const td_value td_value_const_true = {.type = TD_VALUE_BOOL, .u.boolean = 1};
const td_value td_value_const_false = {.type = TD_VALUE_BOOL};

/* ---- constructors ---- */

static td_value *value_new(td_arena *arena, td_value_type type) {
    td_value *v = td_arena_calloc(arena, 1, sizeof *v);
    if (v) v->type = type;
    return v;
}

td_value *td_value_none(td_arena *arena) { return value_new(arena, TD_VALUE_NONE); }

td_value *td_value_bool(td_arena *arena, bool b) {
    td_value *v = value_new(arena, TD_VALUE_BOOL);
    if (v) v->u.boolean = b;
    return v;
}

td_value *td_value_int(td_arena *arena, int64_t i) {
    td_value *v = value_new(arena, TD_VALUE_INT);
    if (v) v->u.integer = i;
    return v;
}

td_value *td_value_float(td_arena *arena, double f) {
    td_value *v = value_new(arena, TD_VALUE_FLOAT);
    if (v) v->u.real = f;
    return v;
}

/* The text stands right behind its value: one allocation, and one cache line for short strings. */
td_value *td_value_string(td_arena *arena, const char *text, size_t n) {
    if (n > SIZE_MAX / 2) return NULL;
    td_value *v = td_arena_alloc(arena, sizeof *v + n + 1);
    if (!v) return NULL;
    *v = (td_value){.type = TD_VALUE_STRING};
    char *copy = (char *)(v + 1);
    if (n) memcpy(copy, text, n);
    copy[n] = 0;
    v->u.string.text = copy;
    v->u.string.n = n;
    v->u.string.n_char = td_pystr_count(copy, n);
    return v;
}

td_value *td_value_list(td_arena *arena) { return value_new(arena, TD_VALUE_LIST); }

td_value *td_value_map(td_arena *arena) { return value_new(arena, TD_VALUE_MAP); }

td_value *td_value_list_of(td_arena *arena, td_value_kind kind, size_t n_want) {
    td_value *v = value_new(arena, TD_VALUE_LIST);
    if (!v) return NULL;
    v->kind = kind;
    if (n_want == 0) return v;
    v->u.list.items = td_arena_calloc(arena, n_want, sizeof *v->u.list.items);
    if (!v->u.list.items) return NULL;
    v->u.list.cap = n_want;
    return v;
}

/* A larger copy of an array in the arena; the old one stays behind unused. */
static void *array_grow(td_arena *arena, const void *old, size_t n, size_t cap, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(cap, size, &bytes)) return NULL;
    void *array = td_arena_alloc(arena, bytes);
    if (array && n) memcpy(array, old, n * size);
    return array;
}

td_status td_value_push(td_arena *arena, td_value *list, const td_value *item) {
    if (!list || !item) return TD_ERR_NOMEM;
    TD_ASSERT(list->type == TD_VALUE_LIST && list->kind != TD_KIND_RANGE);
    if (list->u.list.n == list->u.list.cap) {
        const size_t cap = list->u.list.cap ? list->u.list.cap * 2 : 8;
        const td_value **items =
            array_grow(arena, list->u.list.items, list->u.list.n, cap, sizeof *items);
        if (!items) return TD_ERR_NOMEM;
        list->u.list.items = items;
        list->u.list.cap = cap;
    }
    list->u.list.items[list->u.list.n++] = item;
    return TD_OK;
}

td_status td_value_append(td_arena *arena, td_value *list, td_value *item) {
    return td_value_push(arena, list, item);
}

/* ---- keys ---- */

/* Tuples may share parts, so that a small one can be exponentially large: *budget bounds the walk.
 */
static bool hashable_within(const td_value *v, int *budget) {
    if (--*budget < 0) return false;
    if (v->type == TD_VALUE_MAP) return v->kind == TD_KIND_NAMESPACE;
    if (v->type != TD_VALUE_LIST) return true;
    if (v->kind == TD_KIND_RANGE || v->kind == TD_KIND_ITER) return true;
    if (v->kind != TD_KIND_TUPLE) return false;
    for (size_t i = 0; i < v->u.list.n; i++)
        if (!hashable_within(v->u.list.items[i], budget)) return false;
    return true;
}

bool td_value_is_hashable(const td_value *v) {
    int budget = MAX_KEY_NODES;
    return hashable_within(v, &budget);
}

static uint64_t hash_bytes(const char *p, size_t n) {
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */
    for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)p[i]) * 0x100000001b3u;
    return h ^ (h >> 29);
}

static uint64_t hash_int(int64_t i) {
    const uint64_t h = (uint64_t)i * 0x9e3779b97f4a7c15u;
    return h ^ (h >> 32);
}

/* True, 1 and 1.0 are one key in Python, so they share a hash. */
static uint64_t hash_key(const td_value *v) {
    switch (v->type) {
    case TD_VALUE_BOOL: return hash_int(v->u.boolean);
    case TD_VALUE_INT: return hash_int(v->u.integer);
    case TD_VALUE_FLOAT:
        if (v->u.real == floor(v->u.real) && fabs(v->u.real) < 9e18)
            return hash_int((int64_t)v->u.real);
        return hash_bytes((const char *)&v->u.real, sizeof v->u.real);
    case TD_VALUE_STRING: return hash_bytes(v->u.string.text, v->u.string.n);
    case TD_VALUE_LIST: {
        uint64_t h = 17;
        if (v->kind == TD_KIND_TUPLE)
            for (size_t i = 0; i < v->u.list.n; i++) h = h * 31 + hash_key(v->u.list.items[i]);
        return h;
    }
    default: return (uint64_t)v->type + 1;
    }
}

static bool is_number(const td_value *v) {
    return v->type == TD_VALUE_BOOL || v->type == TD_VALUE_INT || v->type == TD_VALUE_FLOAT;
}

static bool keys_equal(const td_value *a, const td_value *b) {
    if (a == b) return true;
    if (is_number(a) && is_number(b)) {
        if (a->type == TD_VALUE_FLOAT || b->type == TD_VALUE_FLOAT) {
            const double x = a->type == TD_VALUE_FLOAT  ? a->u.real
                             : a->type == TD_VALUE_BOOL ? a->u.boolean
                                                        : (double)a->u.integer;
            const double y = b->type == TD_VALUE_FLOAT  ? b->u.real
                             : b->type == TD_VALUE_BOOL ? b->u.boolean
                                                        : (double)b->u.integer;
            return x == y;
        }
        return (a->type == TD_VALUE_BOOL ? a->u.boolean : a->u.integer) ==
               (b->type == TD_VALUE_BOOL ? b->u.boolean : b->u.integer);
    }
    if (a->type != b->type) return false;
    switch (a->type) {
    case TD_VALUE_STRING:
        return a->u.string.n == b->u.string.n &&
               memcmp(a->u.string.text, b->u.string.text, a->u.string.n) == 0;
    case TD_VALUE_LIST:
        if (a->kind != TD_KIND_TUPLE || b->kind != TD_KIND_TUPLE || a->u.list.n != b->u.list.n)
            return false;
        for (size_t i = 0; i < a->u.list.n; i++)
            if (!keys_equal(a->u.list.items[i], b->u.list.items[i])) return false;
        return true;
    case TD_VALUE_NONE:
    case TD_VALUE_UNDEFINED: return true;
    default: return false;
    }
}

/* ---- mappings ---- */

static td_value_entry *map_find(const td_value *map, const td_value *key, uint64_t hash) {
    if (!map->u.map.index) {
        for (size_t i = 0; i < map->u.map.n; i++) {
            td_value_entry *e = &map->u.map.entries[i];
            if (e->hash == hash && keys_equal(e->key, key)) return e;
        }
        return NULL;
    }
    const size_t mask = map->u.map.cap * 2 - 1;
    for (size_t slot = hash & mask; map->u.map.index[slot]; slot = (slot + 1) & mask) {
        td_value_entry *e = &map->u.map.entries[map->u.map.index[slot] - 1];
        if (e->hash == hash && keys_equal(e->key, key)) return e;
    }
    return NULL;
}

static void index_add(td_value *map, size_t i) {
    const size_t mask = map->u.map.cap * 2 - 1;
    size_t slot = map->u.map.entries[i].hash & mask;
    while (map->u.map.index[slot]) slot = (slot + 1) & mask;
    map->u.map.index[slot] = (uint32_t)(i + 1);
}

/* Capacities are powers of two from SMALL_MAP on, as the index wants. */
static td_status map_grow(td_arena *arena, td_value *map) {
    const size_t cap = map->u.map.cap ? map->u.map.cap * 2 : SMALL_MAP;
    if (cap > UINT32_MAX / 4) return TD_ERR_NOMEM;
    uint32_t *index = NULL;
    if (cap > SMALL_MAP) {
        index = td_arena_calloc(arena, cap * 2, sizeof *index);
        if (!index) return TD_ERR_NOMEM;
    }
    td_value_entry *entries =
        array_grow(arena, map->u.map.entries, map->u.map.n, cap, sizeof *entries);
    if (!entries) return TD_ERR_NOMEM;
    map->u.map.entries = entries;
    map->u.map.cap = cap;
    map->u.map.index = index;
    if (index)
        for (size_t i = 0; i < map->u.map.n; i++) index_add(map, i);
    return TD_OK;
}

td_status td_value_put(td_arena *arena, td_value *map, const td_value *key, const td_value *item) {
    if (!map || !key || !item) return TD_ERR_NOMEM;
    TD_ASSERT(map->type == TD_VALUE_MAP && td_value_is_hashable(key));
    const uint64_t hash = hash_key(key);
    td_value_entry *e = map_find(map, key, hash);
    if (e) {
        e->item = item;
        return TD_OK;
    }
    if (map->u.map.n == map->u.map.cap) TD_TRY(map_grow(arena, map));
    map->u.map.entries[map->u.map.n] = (td_value_entry){.key = key, .item = item, .hash = hash};
    if (map->u.map.index) index_add(map, map->u.map.n);
    map->u.map.n++;
    return TD_OK;
}

td_status td_value_set(td_arena *arena, td_value *map, const char *key, td_value *item) {
    if (!map || !item) return TD_ERR_NOMEM;
    return td_value_put(arena, map, td_value_string(arena, key, strlen(key)), item);
}

const td_value *td_value_find(const td_value *map, const td_value *key) {
    if (map->type != TD_VALUE_MAP || !td_value_is_hashable(key)) return NULL;
    const td_value_entry *e = map_find(map, key, hash_key(key));
    return e ? e->item : NULL;
}

const td_value *td_value_find_text(const td_value *map, const char *text, size_t n) {
    if (!map || map->type != TD_VALUE_MAP) return NULL;
    td_value key = {.type = TD_VALUE_STRING};
    key.u.string.text = text;
    key.u.string.n = n;
    const td_value_entry *e = map_find(map, &key, hash_bytes(text, n));
    return e ? e->item : NULL;
}

/* ---- what a user of the tree may ask ---- */

td_value_type td_value_get_type(const td_value *v) { return v->type; }

size_t td_value_count(const td_value *v) {
    if (v->type == TD_VALUE_MAP) return v->u.map.n;
    if (v->type != TD_VALUE_LIST) return 0;
    return v->kind == TD_KIND_RANGE ? v->u.range.n : v->u.list.n;
}

const td_value *td_value_at(const td_value *list, size_t i) {
    if (list->type != TD_VALUE_LIST || list->kind == TD_KIND_RANGE || i >= list->u.list.n)
        return NULL;
    return list->u.list.items[i];
}

const td_value *td_value_get(const td_value *map, const char *key) {
    return td_value_find_text(map, key, strlen(key));
}

const char *td_value_text(const td_value *string, size_t *n) {
    const bool is_string = string->type == TD_VALUE_STRING;
    if (n) *n = is_string ? string->u.string.n : 0;
    return is_string ? string->u.string.text : "";
}
