/* safetensors.c - taking one safetensors image apart: header, shapes, ranges.
 *
 * The image is hostile until proven otherwise.  After td_safetensors_parse() every array lies
 * inside the image, has as many bytes as its shape and type say, and shares none with another. */
#include "format/safetensors.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "format/hf_json.h"
#include "format/name.h"

/* Types of GGUF that are known by size only stand for what we do not compute with. */
enum { SIZE_1 = 24, SIZE_2 = 25, SIZE_4 = 26, SIZE_8 = 27, DTYPE_F64 = 28 };
enum { MAX_RANK = 8 }; /* of what models have; Qwen2.5-VL has a tensor of 5 */

static const struct {
    const char *name;
    uint8_t bits;
    uint8_t dtype; /* of td_array_tensor() */
} types[TD_N_ARRAY_TYPE] = {
    [TD_ARRAY_BOOL] = {"BOOL",        8,  SIZE_1       },
    [TD_ARRAY_U8] = {"U8",          8,  SIZE_1       },
    [TD_ARRAY_I8] = {"I8",          8,  SIZE_1       },
    [TD_ARRAY_F8_E5M2] = {"F8_E5M2",     8,  SIZE_1       },
    [TD_ARRAY_F8_E4M3] = {"F8_E4M3",     8,  SIZE_1       },
    [TD_ARRAY_F8_E8M0] = {"F8_E8M0",     8,  SIZE_1       },
    [TD_ARRAY_F8_E4M3FNUZ] = {"F8_E4M3FNUZ", 8,  SIZE_1       },
    [TD_ARRAY_F8_E5M2FNUZ] = {"F8_E5M2FNUZ", 8,  SIZE_1       },
    [TD_ARRAY_I16] = {"I16",         16, SIZE_2       },
    [TD_ARRAY_U16] = {"U16",         16, SIZE_2       },
    [TD_ARRAY_F16] = {"F16",         16, TD_DTYPE_F16 },
    [TD_ARRAY_BF16] = {"BF16",        16, TD_DTYPE_BF16},
    [TD_ARRAY_I32] = {"I32",         32, SIZE_4       },
    [TD_ARRAY_U32] = {"U32",         32, SIZE_4       },
    [TD_ARRAY_F32] = {"F32",         32, TD_DTYPE_F32 },
    [TD_ARRAY_F64] = {"F64",         64, DTYPE_F64    },
    [TD_ARRAY_I64] = {"I64",         64, SIZE_8       },
    [TD_ARRAY_U64] = {"U64",         64, SIZE_8       },
    [TD_ARRAY_C64] = {"C64",         64, SIZE_8       },
    [TD_ARRAY_F4] = {"F4",          4,  SIZE_1       },
    [TD_ARRAY_F6_E2M3] = {"F6_E2M3",     6,  SIZE_1       },
    [TD_ARRAY_F6_E3M2] = {"F6_E3M2",     6,  SIZE_1       },
};

const char *td_array_type_name(td_array_type type) { return types[type].name; }

/* What the functions of one parse share. */
typedef struct parse {
    td_safetensors *st;
    const uint8_t *data; /* of the arrays */
    size_t n_data;
    size_t data_at; /* their offset in the file */
    const char *name;
} parse;

/* ---- one entry of the header ---- */

static td_status read_type(const parse *p, td_array *a, const json_t *entry, td_err *err) {
    const json_t *dtype = json_object_get(entry, "dtype");
    const char *text = json_string_value(dtype);
    if (!text)
        return td_fail(err, TD_ERR_FORMAT, "%s: tensor '%s': dtype is missing or no string",
                       p->name, a->name);
    for (int i = 0; i < TD_N_ARRAY_TYPE; i++) {
        a->type = (td_array_type)i;
        if (strcmp(text, types[i].name) == 0) return TD_OK;
    }
    const size_t n = strlen(text);
    const bool show = n <= 32 && td_name_is_printable(text, n);
    return td_fail(err, TD_ERR_UNSUPPORTED, "%s: tensor '%s' has dtype '%s', which is not known",
                   p->name, a->name, show ? text : "...");
}

/* Element i of an array of integers that are not negative. */
static td_status read_size(const parse *p, const td_array *a, const json_t *list, size_t i,
                           uint64_t *out, td_err *err) {
    const json_t *item = json_array_get(list, i);
    if (!json_is_integer(item) || json_integer_value(item) < 0)
        return td_fail(err, TD_ERR_FORMAT,
                       "%s: tensor '%s': a dimension or offset is no integer from 0 on", p->name,
                       a->name);
    *out = (uint64_t)json_integer_value(item);
    return TD_OK;
}

/* Shape, and from it n_bytes. */
static td_status read_shape(const parse *p, td_array *a, const json_t *entry, td_err *err) {
    const json_t *shape = json_object_get(entry, "shape");
    const size_t n = json_array_size(shape);
    if (!json_is_array(shape))
        return td_fail(err, TD_ERR_FORMAT, "%s: tensor '%s': shape is missing or no array", p->name,
                       a->name);
    if (n > MAX_RANK)
        return td_fail(err, TD_ERR_UNSUPPORTED,
                       "%s: tensor '%s' has %zu dimensions, wanted at most %d", p->name, a->name, n,
                       MAX_RANK);
    a->n_dims = n == 0 ? 1 : n > TD_MAX_DIMS ? TD_MAX_DIMS : (int)n;
    for (size_t i = 0; i < TD_MAX_DIMS; i++) a->shape[i] = 1;
    /* More dimensions than a td_tensor has: the outermost become one. */
    const size_t n_fold = n > TD_MAX_DIMS ? n - TD_MAX_DIMS : 0;
    int64_t elems = 1, bits;
    bool overflow = false;
    for (size_t i = 0; i < n; i++) {
        uint64_t dim;
        int64_t *at = &a->shape[i < n_fold ? 0 : i - n_fold];
        TD_TRY(read_size(p, a, shape, i, &dim, err));
        overflow |= __builtin_mul_overflow(*at, (int64_t)dim, at);
        overflow |= __builtin_mul_overflow(elems, (int64_t)dim, &elems);
    }
    if (overflow || __builtin_mul_overflow(elems, (int64_t)types[a->type].bits, &bits))
        return td_fail(err, TD_ERR_FORMAT, "%s: tensor '%s': its size overflows", p->name, a->name);
    if (bits % 8 != 0)
        return td_fail(err, TD_ERR_FORMAT,
                       "%s: tensor '%s': %" PRId64 " elements of %d bits are no whole bytes",
                       p->name, a->name, elems, types[a->type].bits);
    a->n_bytes = (size_t)(bits / 8);
    return TD_OK;
}

/* data_offsets count from the first byte behind the header. */
static td_status read_range(const parse *p, td_array *a, const json_t *entry, td_err *err) {
    const json_t *range = json_object_get(entry, "data_offsets");
    uint64_t from = 0, to = 0;
    if (json_array_size(range) != 2)
        return td_fail(err, TD_ERR_FORMAT,
                       "%s: tensor '%s': data_offsets is missing or no pair of offsets", p->name,
                       a->name);
    TD_TRY(read_size(p, a, range, 0, &from, err));
    TD_TRY(read_size(p, a, range, 1, &to, err));
    if (from > to || to > p->n_data)
        return td_fail(err, TD_ERR_FORMAT,
                       "%s: tensor '%s' is at bytes %" PRIu64 " to %" PRIu64
                       ", wanted them in order and inside the %zu bytes of data",
                       p->name, a->name, from, to, p->n_data);
    if (to - from != a->n_bytes)
        return td_fail(err, TD_ERR_FORMAT,
                       "%s: tensor '%s' has %" PRIu64
                       " bytes, but its shape and dtype (%s) want %zu",
                       p->name, a->name, to - from, types[a->type].name, a->n_bytes);
    a->offset = p->data_at + (size_t)from;
    a->data = p->data + from;
    return TD_OK;
}

static td_status read_array(const parse *p, td_array *a, const char *name, const json_t *entry,
                            td_err *err) {
    const size_t n = strlen(name);
    if (n == 0 || n > TD_SAFETENSORS_MAX_NAME || !td_name_is_printable(name, n))
        return td_fail(err, TD_ERR_FORMAT,
                       "%s: a tensor name of %zu bytes, wanted 1 to %d without control characters",
                       p->name, n, TD_SAFETENSORS_MAX_NAME);
    a->name = td_arena_strndup(&p->st->arena, name, n);
    if (!a->name) return td_fail_nomem(err, "a tensor name", n + 1);
    if (!json_is_object(entry))
        return td_fail(err, TD_ERR_FORMAT, "%s: the entry of tensor '%s' is no object", p->name,
                       a->name);
    TD_TRY(read_type(p, a, entry, err));
    TD_TRY(read_shape(p, a, entry, err));
    return read_range(p, a, entry, err);
}

/* ---- the whole header ---- */

static int by_offset(const void *a, const void *b) {
    const td_array *x = a, *y = b;
    if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
    return (x->n_bytes > y->n_bytes) - (x->n_bytes < y->n_bytes);
}

/* Arrays follow each other from the first byte of the data to the last. */
static td_status check_ranges(const parse *p, td_err *err) {
    size_t end = p->data_at;
    const char *before = "the header";
    for (size_t i = 0; i < p->st->n_array; i++) {
        const td_array *a = &p->st->arrays[i];
        if (a->offset != end)
            return td_fail(err, TD_ERR_FORMAT,
                           "%s: tensor '%s' begins at byte %zu of the data, but '%s' before it "
                           "ends at byte %zu: tensors must not %s",
                           p->name, a->name, a->offset - p->data_at, before, end - p->data_at,
                           a->offset < end ? "overlap" : "leave holes");
        end = a->offset + a->n_bytes;
        before = a->name;
    }
    if (end != p->data_at + p->n_data)
        return td_fail(err, TD_ERR_FORMAT,
                       "%s: the file has %zu bytes of data, but its tensors end at byte %zu",
                       p->name, p->n_data, end - p->data_at);
    return TD_OK;
}

/* Free text about the file; nothing in it is of use here, but it has a form. */
static td_status check_metadata(const parse *p, const json_t *metadata, td_err *err) {
    const char *key;
    json_t *item;
    if (!json_is_object(metadata))
        return td_fail(err, TD_ERR_FORMAT, "%s: __metadata__ is no object", p->name);
    json_object_foreach((json_t *)(uintptr_t)metadata, key, item) {
        if (!json_is_string(item))
            return td_fail(err, TD_ERR_FORMAT, "%s: a value in __metadata__ is no string", p->name);
    }
    return TD_OK;
}

static td_status read_header(const parse *p, json_t *header, td_err *err) {
    const size_t n = json_object_size(header);
    const char *name;
    json_t *entry;
    p->st->arrays = td_arena_calloc(&p->st->arena, n, sizeof *p->st->arrays);
    if (!p->st->arrays) return td_fail_nomem(err, "the tensor table", n * sizeof *p->st->arrays);
    json_object_foreach(header, name, entry) {
        if (strcmp(name, "__metadata__") == 0)
            TD_TRY(check_metadata(p, entry, err));
        else
            TD_TRY(read_array(p, &p->st->arrays[p->st->n_array++], name, entry, err));
    }
    qsort(p->st->arrays, p->st->n_array, sizeof *p->st->arrays, by_offset);
    return check_ranges(p, err);
}

static td_status parse_image(td_safetensors *st, td_cursor *c, td_err *err) {
    uint64_t n_header;
    const uint8_t *text;
    TD_TRY(td_cursor_u64(c, &n_header, "header length", err));
    if (n_header < 2 || n_header > TD_SAFETENSORS_MAX_HEADER)
        return td_fail(err, TD_ERR_FORMAT,
                       "%s: no safetensors file: a header of %" PRIu64 " bytes, wanted 2 to %d",
                       c->name, n_header, TD_SAFETENSORS_MAX_HEADER);
    TD_TRY(td_cursor_bytes(c, &text, (size_t)n_header, "header", err));
    if (text[0] != '{')
        return td_fail(err, TD_ERR_FORMAT,
                       "%s: no safetensors file: its header begins with byte %02x, wanted '{'",
                       c->name, text[0]);
    const parse p = {.st = st,
                     .data = c->data + c->at,
                     .n_data = td_cursor_left(c),
                     .data_at = c->at,
                     .name = c->name};
    json_t *header;
    td_status status =
        td_hf_json_parse(&header, (const char *)text, (size_t)n_header, c->name, err);
    if (status != TD_OK) return td_fail_in(err, status, "the header");
    status = read_header(&p, header, err);
    json_decref(header);
    return status;
}

td_status td_safetensors_parse(td_safetensors *st, const uint8_t *image, size_t n, const char *name,
                               td_err *err) {
    *st = (td_safetensors){0};
    td_arena_init(&st->arena, 0);
    td_cursor c = {.data = image, .n = n, .name = name};
    const td_status status = parse_image(st, &c, err);
    if (status != TD_OK) td_safetensors_clear(st);
    return status;
}

void td_safetensors_clear(td_safetensors *st) {
    td_arena_clear(&st->arena);
    *st = (td_safetensors){0};
}

td_tensor td_array_tensor(const td_array *a) {
    td_tensor t = {
        .name = a->name,
        .dtype = (td_dtype)types[a->type].dtype,
        .n_dims = a->n_dims,
        .ne = {1, 1, 1, 1},
        .data = a->data,
        .n_bytes = a->n_bytes,
        .i_file = a->i_file,
        .offset = a->offset,
    };
    for (int i = 0; i < a->n_dims; i++) t.ne[i] = a->shape[a->n_dims - 1 - i];
    if (types[a->type].bits < 8) {
        t.n_dims = 1;
        t.ne[0] = (int64_t)a->n_bytes;
        t.ne[1] = t.ne[2] = t.ne[3] = 1;
    }
    return t;
}
